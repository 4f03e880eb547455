/* title.h - what a process is called in ps: for processes that are forked off without starting the program again, so that whoever looks for (or
 * kills) the parent by its command line does not mean the child. */
#ifndef WEIR_BASE_TITLE_H
#define WEIR_BASE_TITLE_H

#include "base/base.h"

/* Overwrites this process's command line as /proc shows it, cut to the length of the old one. Main thread of a program. */
void base_set_title(const char *fmt, ...) PRINTF(1, 2);

#endif
