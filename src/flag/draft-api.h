/* draft-api.h - what the files with the routes of drafts, differences and blast radii share. Internal to them. */
#ifndef WEIR_FLAG_DRAFT_API_H
#define WEIR_FLAG_DRAFT_API_H

#include "base/limits.h"
#include "flag/draft.h"

enum { BODY_MAX = LIMIT_DOC_BYTES, WORK_ARENA_MAX = 1 << 30 };

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
#define DRAFT_PATH SET_PATH "/drafts/:draft:int"
/* Of a body with a change, for OpenAPI: the properties of FLAG_CHANGE_KEYS. */
#define CHANGE_PROPERTIES                                                                                                             \
	"\"flags\":{\"type\":\"object\"},\"evaluators\":{\"type\":\"object\"},\"metadata\":{\"type\":\"object\"},\"segments\":{\"type\":\"object\"},\"environment\":{\"type\":\"string\"}," \
	"\"comment\":{\"type\":\"string\"}"

/* --- flag-draft-request.c: texts live as long as the request --- */

str draft_set_of(struct http_req *req); /* PROJECT/SET; STR_NULL: no memory */
struct draft_actor draft_actor_of(struct http_req *req);
/* *c: the change for its rules. with_version: an edit. */
MUST_CHECK int draft_read_body(struct flag_room *r, struct http_req *req, bool with_version, struct draft *d, struct flag_change *c, struct err *reterr);
/* The body of an act: version (must it be there?) and one text (which key; must it be there?). */
MUST_CHECK int draft_read_act(struct http_req *req, bool with_version, const char *text_key, bool must, int64_t *ret_version, str *ret_text,
							  struct err *reterr);
/* A change of a body that is not stored; other keys beside it: NULL-ended `known`. */
MUST_CHECK int draft_read_change(struct http_req *req, const char *const *known, struct flag_change *c, const struct doc_node **ret_body, struct err *reterr);

/* --- flag-draft-view.c --- */

struct draft_view { /* r, set and id, or state, before and max, are the caller's; arena_fini() of its arena in any case */
	struct flag_room      *r;
	struct arena           arena;
	struct draft          *v;
	size_t                 n;
	struct flag_change    *changes;
	struct draft_conflict **conflicts;
	size_t                *n_conflicts;
	struct draft_rules    *rules;
	str                    set;
	int64_t                id;    /* 0: a list */
	int                    state; /* of a list */
	int64_t                before;
	size_t                 max;
};
/* One draft (id) or a list of them, each with what it touches, its conflicts and its rules. */
MUST_CHECK int draft_view_read(struct draft_view *q, struct err *reterr);
void draft_view_write(struct jw *w, struct draft_view *q, size_t i); /* with its body, when it is no list */
bool draft_waits(const struct draft *d); /* it may still be applied */

/* --- flag-diff-api.c --- */

/* What the set's flags share after the change. */
struct flag_set_head draft_head_after(const struct flag_set *before, const struct flag_change *c);

#endif
