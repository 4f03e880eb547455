/* embed.h - files that are compiled into the program (made by tools/embed.py, sorted by name, ended by a NULL name). */
#ifndef WEIR_BASE_EMBED_H
#define WEIR_BASE_EMBED_H

#include "base/base.h"
#include "base/str.h"

struct embed_file {
	const char *name;
	str         data; /* NUL-terminated behind */
	bool        executable;
};

#endif
