/* checks.h - the list of checks that domains bring for their own files; server and laptop run the same ones. */
#ifndef WEIR_SERVER_CHECKS_H
#define WEIR_SERVER_CHECKS_H

#include "change/change.h"

/* Static table; the gate adds "credentials" and its own files by itself. */
const struct check_ops *checks_all(size_t *ret_n);

#endif
