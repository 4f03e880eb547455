/* query.c - the query of a request against its route's list of names (see router.h).
 *
 * What a handler reads with http_query() has passed here: it is known, stands once, and is what the route says. Messages name the
 * parameter, never its value: it may be a secret that was put into the wrong place. Pure; runs on loop threads. */
#include "base/base.h"
#include "net/router.h"

const struct http_query_param http_any_query[] = { { .name = NULL } };

static size_t list_len(const struct http_query_param *list)
{
	size_t n = 0;

	while (list && list[n].name)
		n++;
	return n;
}

int router_check_query(const struct http_route *route, struct err *reterr)
{
	size_t n = list_len(route->query);

	if (n > ROUTE_QUERY_MAX)
		return err_set(reterr, WEIR_EINVAL, "route '%s' has more than %d query names", route->path, ROUTE_QUERY_MAX);
	for (size_t i = 0; i < n; i++) {
		const struct http_query_param *q = &route->query[i];

		if ((q->kind == QUERY_INT && q->min > q->max) || (q->kind == QUERY_WORD && (!q->words || !*q->words)))
			return err_set(reterr, WEIR_EINVAL, "route '%s': no value of the query name '%s' is possible", route->path, q->name);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(route->query[k].name, q->name))
				return err_set(reterr, WEIR_EINVAL, "route '%s' lists the query name '%s' twice", route->path, q->name);
	}
	return 0;
}

static void names_join(const char *const *names, struct buf *out)
{
	for (size_t i = 0; names[i]; i++)
		buf_addf(out, "%s%s", i ? ", " : "", names[i]);
}

static int unknown(const struct http_query_param *list, str name, struct err *reterr)
{
	const char *names[ROUTE_QUERY_MAX + 1] = { NULL }, *near;
	struct buf known CLEANUP_BUF = BUF_INIT(1024);
	size_t     n = list_len(list);

	if (!n)
		return err_set(reterr, WEIR_EINVAL, "unknown query name '%.*s': this address takes no query", STR_ARG(str_sub(name, 0, 64)));
	for (size_t i = 0; i < n; i++)
		names[i] = list[i].name;
	near = doc_nearest(name, names);
	if (near)
		return err_set(reterr, WEIR_EINVAL, "unknown query name '%.*s' (did you mean '%s'?)", STR_ARG(str_sub(name, 0, 64)), near);
	names_join(names, &known);
	return err_set(reterr, WEIR_EINVAL, "unknown query name '%.*s'; known here: %s", STR_ARG(str_sub(name, 0, 64)), buf_z(&known));
}

static int check_value(const struct http_query_param *q, str value, struct err *reterr)
{
	struct buf known CLEANUP_BUF = BUF_INIT(1024);
	int64_t    n;

	if (q->kind == QUERY_INT && (!str_to_i64(value, &n) || n < q->min || n > q->max))
		return q->max == INT64_MAX
		           ? err_set(reterr, WEIR_EINVAL, "query '%s' must be a whole number from %lld on", q->name, (long long)q->min)
		           : err_set(reterr, WEIR_EINVAL, "query '%s' must be a whole number from %lld to %lld", q->name, (long long)q->min,
		                     (long long)q->max);
	if (q->kind != QUERY_WORD)
		return 0;
	for (const char *const *word = q->words; *word; word++)
		if (str_eqz(value, *word))
			return 0;
	names_join(q->words, &known);
	return err_set(reterr, WEIR_EINVAL, "query '%s' must be one of: %s", q->name, buf_z(&known));
}

static const struct route_param *find(const struct route_match *m, const char *name)
{
	for (size_t i = 0; i < m->n_query; i++)
		if (str_eqz(m->query[i].name, name))
			return &m->query[i];
	return NULL;
}

static bool is_text(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.ptr[i]) /* what is handed on as a C string must not end early */
			return false;
	return str_utf8_valid(s);
}

static int take_pair(struct route_match *m, str pair, struct arena *a, struct err *reterr)
{
	const struct http_query_param *q = m->entry->route->query;
	str                            name, value;
	int                            r;

	if (!str_cut(pair, '=', &name, &value))
		value = STR("");
	if (!name.len)
		return err_set(reterr, WEIR_EINVAL, "the query holds an empty name");
	if (!url_decode(a, name, true, &name) || !is_text(name))
		return err_set(reterr, WEIR_EINVAL, "a name in the query has a bad escape, a NUL or bytes that are not UTF-8");
	while (q && q->name && !str_eqz(name, q->name))
		q++;
	if (!q || !q->name)
		return unknown(m->entry->route->query, name, reterr);
	if (find(m, q->name))
		return err_set(reterr, WEIR_EINVAL, "query '%s' stands twice", q->name);
	if (!url_decode(a, value, true, &value) || !is_text(value))
		return err_set(reterr, WEIR_EINVAL, "query '%s' has a bad escape, a NUL or bytes that are not UTF-8", q->name);
	r = check_value(q, value, reterr);
	if (!r)
		m->query[m->n_query++] = (struct route_param){ str_z(q->name), value };
	return r;
}

int router_query(struct route_match *m, str raw_query, struct arena *a, struct err *reterr)
{
	str pair;
	int r = 0;

	m->n_query = 0;
	if (m->entry->route->query == http_any_query)
		return 0;
	for (bool more = raw_query.len > 0; more && !r;) {
		more = str_cut(raw_query, '&', &pair, &raw_query);
		r = take_pair(m, pair, a, reterr);
	}
	for (const struct http_query_param *q = m->entry->route->query; !r && q && q->name; q++)
		if (q->required && !find(m, q->name))
			r = err_set(reterr, WEIR_EINVAL, "query '%s' is missing: %s", q->name, q->doc ? q->doc : "it is required");
	return r;
}
