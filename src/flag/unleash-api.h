/* unleash-api.h - what the files of Unleash's protocol share. Internal to src/flag. */
#ifndef WEIR_FLAG_UNLEASH_API_H
#define WEIR_FLAG_UNLEASH_API_H

#include "flag/room.h"
#include "flag/unleash-give.h"

/* --- which set --- */
struct unleash_set { /* a set as it is now; texts in the request's arena */
	struct flag_set *set; /* the holder's reference */
	str              id, project, name, environment;
	usec_t           changed_at;
};
/* The one set that a request means: of those that its token may see (and of `projects`, where there are any), the one that the header
 * Unleash-Environment or `environment` names by its environment, name or id; the only one where nothing says which.
 * False: the request was refused (404 none, 400 several). The caller calls flag_set_unref(ret->set). */
bool unleash_choose(struct flag_room *r, struct http_req *req, const str *projects, size_t n_projects, str environment, struct unleash_set *ret);
/* As the header has it, "" without. */
str unleash_environment(const struct http_req *req);

/* --- texts that many clients ask for: made once per revision and query (unleash-cache.c) --- */
struct unleash_cache;
struct unleash_cache *unleash_cache_new(void); /* NULL: no memory */
struct unleash_cache *unleash_cache_free(struct unleash_cache *c); /* nobody holds a text any more; NULL fine */
/* Calls use(text) with the text kept under `key`, or with one that make() writes now and that is kept then. */
MUST_CHECK int unleash_cached(struct unleash_cache *c, str key, int (*make)(void *ctx, struct buf *out, struct err *reterr),
							  void (*use)(void *ctx, str text), void *ctx, struct err *reterr);

/* --- features (unleash-features.c) --- */
/* "features":[...],"segments":[...] of a set, members of an object that is open in w. */
MUST_CHECK int unleash_write_all(struct jw *w, const struct unleash_set *s, const struct unleash_query *q, struct err *reterr);
/* What the text of an answer depends on beside the set's revision. */
void unleash_query_key(struct buf *out, const struct unleash_set *s, const struct unleash_query *q);

/* --- what changed (unleash-delta.c) --- */
/* {"events":[...]} that lead from revision `after` to s; after < 0, or one that leads nowhere: a hydration. */
MUST_CHECK int unleash_delta(struct flag_room *r, const struct unleash_set *s, int64_t after, const struct unleash_query *q, void (*use)(void *ctx, str text),
							 void *ctx, struct err *reterr);
MUST_CHECK int unleash_pull(struct sse_client *c, struct buf *out, bool *ret_end, void *room, struct err *reterr);

/* {"id", "name", "message", "details"}: errors as Unleash's server writes them. */
void unleash_error(struct http_req *req, int status, const char *code, str message);
bool unleash_is_json(const struct http_req *req); /* its Content-Type */

/* --- handlers --- */
int unleash_get_features(struct http_req *req, void *room, struct err *reterr);
int unleash_get_feature(struct http_req *req, void *room, struct err *reterr);
int unleash_get_delta(struct http_req *req, void *room, struct err *reterr);
int unleash_get_stream(struct http_req *req, void *room, struct err *reterr);
int unleash_get_frontend(struct http_req *req, void *room, struct err *reterr);
int unleash_post_frontend(struct http_req *req, void *room, struct err *reterr);
int unleash_get_about(struct http_req *req, void *room, struct err *reterr); /* weir's own: what is left out, and why */
/* The query of features, delta and streaming: project, namePrefix, tag, environment; anything else is refused. False: it was refused. The set's
 * reference is the caller's. */
bool unleash_read_query(struct flag_room *r, struct http_req *req, struct unleash_set *ret_set, struct unleash_query *ret, struct err *reterr, int *ret_rc);

/* --- unleash-clients.c: who asks, and how often for what --- */
int unleash_post_register(struct http_req *req, void *room, struct err *reterr);
int unleash_post_metrics(struct http_req *req, void *room, struct err *reterr);
int unleash_post_bulk(struct http_req *req, void *room, struct err *reterr);
int unleash_post_frontend_register(struct http_req *req, void *room, struct err *reterr);
int unleash_post_frontend_metrics(struct http_req *req, void *room, struct err *reterr);
int unleash_get_clients(struct http_req *req, void *room, struct err *reterr);
int unleash_get_counts(struct http_req *req, void *room, struct err *reterr);

#endif
