/* json-view.h - JSON as people read it: indented, short lists and maps on one line, and each token with the class that colours it. Pure. */
#ifndef WEIR_WEB_JSON_VIEW_H
#define WEIR_WEB_JSON_VIEW_H

#include "doc/doc.h"

enum { JSON_VIEW_LINES_MAX = 4000 }; /* shown as coloured lines: a page that nobody can scroll helps nobody */

/* The tree as indented text, for a field that is edited. */
void json_view_text(const struct doc_node *n, struct buf *out);
/* Writes a list of lines [{number, indent, parts: [{class, text}]}]; class: key, text, num, word or mark. At most JSON_VIEW_LINES_MAX; true: all of it. */
bool json_view_lines(const struct doc_node *n, struct jw *w);

#endif
