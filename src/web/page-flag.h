/* page-flag.h - inside src/web: what the pages of flags and their forms share. */
#ifndef WEIR_WEB_PAGE_FLAG_H
#define WEIR_WEB_PAGE_FLAG_H

#include "web/page.h"

struct refusal { /* a form that was sent and refused; the page comes back with what was typed */
	const char       *form; /* its name in the template: failed.FORM */
	const struct err *why;
};
#define SET_API "/api/v1/projects/%.*s/flag-sets/%.*s" /* with SET_ARGS(r): both names need no escaping, the route's pattern says so */
#define SET_ARGS(r) STR_ARG(http_param((r), "project")), STR_ARG(http_param((r), "set"))

/* Whole pages. refused NULL: nobody sent a form. */
MUST_CHECK int flag_sets_show(struct http_req *r, struct web *web, const struct refusal *refused, struct err *reterr);
MUST_CHECK int flag_set_show(struct http_req *r, struct web *web, const struct refusal *refused, struct err *reterr);
/* explained: the API's answer to the form "explain", NULL: it was not sent. */
MUST_CHECK int flag_show(struct http_req *r, struct web *web, str key, const struct refusal *refused, const struct doc_node *explained, struct err *reterr);

/* Adds set {...}, path "/projects/P/flags/S", in_store, may_change, and by the rules of its environment may_save, may_propose, may_kill. -WEIR_ENOENT: there is no such set. */
MUST_CHECK int flag_page_set(struct page *p, struct err *reterr);
/* Adds key: a difference as the API tells it, its values as text. NULL: null. */
void flag_page_diff(struct page *p, const char *key, const struct doc_node *diff);
/* The flag's page: "/projects/P/flags/S/flag?key=KEY". */
const char *flag_href(struct page *p, str key);
/* Which of the set's pages this is: at: {WHICH: true}. */
void flag_page_at(struct page *p, const char *which);
/* "body:4:7: ..." of a call whose text began in its second line is "FIELD:3:7: ..." of the field. */
void flag_retell(struct err *e, const char *field);
/* The JSON text that a person typed. Errors "FIELD:line:col: ..." */
MUST_CHECK int flag_typed(struct http_req *r, const char *field, struct doc_node **ret, struct err *reterr);

#endif
