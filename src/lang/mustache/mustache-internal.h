/* mustache-internal.h - the parsed template, shared by parser and renderer. */
#ifndef WEIR_LANG_MUSTACHE_INTERNAL_H
#define WEIR_LANG_MUSTACHE_INTERNAL_H

#include "base/base.h"
#include "lang/mustache/mustache.h"

enum mustache_kind {
	MUSTACHE_TEXT, /* at most one line, with its newline */
	MUSTACHE_VAR,
	MUSTACHE_RAW,
	MUSTACHE_SECTION,
	MUSTACHE_INVERTED,
	MUSTACHE_PARTIAL,
	MUSTACHE_PARENT,
	MUSTACHE_BLOCK
};

struct mustache_node {
	enum mustache_kind kind;
	bool at_bol;  /* what it prints begins a line of the template: indentation goes before it */
	bool alone;   /* PARTIAL, PARENT, BLOCK: stood alone on its line(s), which is removed */
	bool dynamic; /* PARTIAL, PARENT: the name is looked up in the data */
	uint32_t line, col;
	const struct mustache *of;
	str text;        /* TEXT: the text; SECTION: unrendered content; others: the name */
	str name;        /* of the variable, section, partial, parent or block, without blanks */
	str lead;        /* white space before the tag on its line: PARTIAL alone, BLOCK: indentation; PARENT: see alone */
	str open, close; /* SECTION: delimiters in force */
	struct mustache_node *next, *first, *last;
};
struct mustache {
	const char *name;
	struct mustache_node *first, *last;
};

/* Parses with other delimiters than {{ }} (for what lambdas give back). */
MUST_CHECK int mustache_parse_with(struct arena *a, const char *name, str text, str open, str close, struct mustache **ret,
								   struct err *reterr);
void mustache_escape_add(struct buf *out, str s, enum mustache_escape escape);

#endif
