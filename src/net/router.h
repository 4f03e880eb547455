/* router.h - from a method and a path to one route: a trie over path segments; query and form by the route's lists. Pure, no locks: built before the server starts,
 * read by all threads afterwards. */
#ifndef WEIR_NET_ROUTER_H
#define WEIR_NET_ROUTER_H

#include "base/arena.h"
#include "net/http.h"

#include <stdatomic.h>

enum { ROUTE_SEGS_MAX = 16, ROUTE_PARAMS_MAX = 8, ROUTE_QUERY_MAX = 8, ROUTE_STATUS_MIN = 100, ROUTE_STATUS_MAX = 599 };

enum seg_kind { SEG_LITERAL, SEG_NAME, SEG_INT, SEG_ID, SEG_REST };
struct route_seg {
	enum seg_kind kind;
	str           text;   /* the literal, or the parameter's name */
	str           suffix; /* of a parameter: ":project.git" has ".git" */
};

struct route_entry {
	const struct http_route *route;
	void                    *ctx;
	struct route_seg         segs[ROUTE_SEGS_MAX];
	size_t                   n_segs;
	str                      method;
	_Atomic uint64_t         answers[ROUTE_STATUS_MAX - ROUTE_STATUS_MIN + 1]; /* for metrics */
};

struct route_param {
	str name, value; /* value decoded, in the request's arena */
};
struct route_match {
	struct route_entry *entry; /* NULL: see `known` and `allow` */
	str                 path; /* decoded, in the arena */
	struct route_param  params[ROUTE_PARAMS_MAX];
	size_t              n_params;
	struct route_param  query[ROUTE_QUERY_MAX]; /* see router_query() */
	size_t              n_query;
	struct route_param  form[ROUTE_QUERY_MAX]; /* see router_form() */
	size_t              n_form;
	bool                known;     /* the path exists, the method does not */
	char                allow[64]; /* "GET, HEAD, POST" when known */
};

struct router;
MUST_CHECK int router_new(struct router **ret, struct err *reterr);
struct router *router_free(struct router *r);
/* -WEIR_EINVAL for a pattern that is not understood, -WEIR_ECONFLICT for one that overlaps with an earlier route. */
MUST_CHECK int router_add(struct router *r, const struct http_route *route, void *ctx, struct err *reterr);
/* Finds the route of `method` (HEAD is served by GET) for the raw path (undecoded, without query). Segments are decoded once, after
 * splitting. -WEIR_EINVAL: the path is malformed (bad escape, control byte, "." or ".." segment, no leading '/'). */
MUST_CHECK int router_match(const struct router *r, str method, str raw_path, struct arena *a, struct route_match *ret,
                            struct err *reterr);
/* Fills m->query from the raw query of a request whose route was found. -WEIR_EINVAL: a name that the route does not know (with the nearest that it
 * does), a name twice, a required one missing, a value that is not what the route says; values are in no message. */
MUST_CHECK int router_query(struct route_match *m, str raw_query, struct arena *a, struct err *reterr);
/* The same for the fields of a form, from a body in application/x-www-form-urlencoded. */
MUST_CHECK int router_form(struct route_match *m, str body, struct arena *a, struct err *reterr);
/* -WEIR_EINVAL when one of a route's lists of names is impossible; for router_add(). */
MUST_CHECK int router_check_query(const struct http_route *route, struct err *reterr);
/* All routes in the order they were added. */
size_t router_count(const struct router *r);
struct route_entry *router_at(const struct router *r, size_t i);

/* Percent-decoding of one component into the arena; false on a bad escape. plus: '+' means space (queries, forms). */
bool url_decode(struct arena *a, str s, bool plus, str *ret);

#endif
