/* query.c - the query of a request and the fields of its form against the route's lists of names (see router.h).
 *
 * What a handler reads with http_query() or http_form() has passed here: it is known, stands once, and is what the route says. Messages name the
 * parameter, never its value: it may be a secret that was put into the wrong place. Pure; runs on loop threads and workers. */
#include "base/base.h"
#include "net/router.h"

const struct http_query_param http_any_query[] = { { .name = NULL } };
const struct http_query_param http_no_fields[] = { { .name = NULL } };

/* One of the two places where names stand: what is allowed, and what was found. */
struct place {
	const struct http_query_param *list;
	const char                    *noun;   /* "query", "field": before a name in quotes */
	const char                    *of;     /* "query name", "field" */
	const char                    *whole;  /* "query", "form" */
	struct route_param            *found;
	size_t                        *n_found;
};

static struct place query_of(struct route_match *m)
{
	return (struct place){ m->entry->route->query, "query", "query name", "query", m->query, &m->n_query };
}

static struct place form_of(struct route_match *m)
{
	return (struct place){ m->entry->route->form, "field", "field", "form", m->form, &m->n_form };
}

static size_t list_len(const struct http_query_param *list)
{
	size_t n = 0;

	while (list && list[n].name)
		n++;
	return n;
}

static int check_list(const struct http_route *route, const struct http_query_param *list, const char *of, struct err *reterr)
{
	size_t n = list_len(list);

	if (n > ROUTE_QUERY_MAX)
		return err_set(reterr, WEIR_EINVAL, "route '%s' has more than %d %ss", route->path, ROUTE_QUERY_MAX, of);
	for (size_t i = 0; i < n; i++) {
		const struct http_query_param *q = &list[i];

		if ((q->kind == QUERY_INT && q->min > q->max) || (q->kind == QUERY_WORD && (!q->words || !*q->words)))
			return err_set(reterr, WEIR_EINVAL, "route '%s': no value of the %s '%s' is possible", route->path, of, q->name);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(list[k].name, q->name))
				return err_set(reterr, WEIR_EINVAL, "route '%s' lists the %s '%s' twice", route->path, of, q->name);
	}
	return 0;
}

int router_check_query(const struct http_route *route, struct err *reterr)
{
	int r = check_list(route, route->query, "query name", reterr);

	if (!r && route->form && route->kind != HTTP_FAST && route->kind != HTTP_WORKER)
		r = err_set(reterr, WEIR_EINVAL, "route '%s': a form is read by FAST and WORKER routes only", route->path);
	return r ? r : check_list(route, route->form, "field", reterr);
}

static void names_join(const char *const *names, struct buf *out)
{
	for (size_t i = 0; names[i]; i++)
		buf_addf(out, "%s%s", i ? ", " : "", names[i]);
}

static int unknown(const struct place *p, str name, struct err *reterr)
{
	const char *names[ROUTE_QUERY_MAX + 1] = { NULL }, *near;
	struct buf known CLEANUP_BUF = BUF_INIT(1024);
	size_t     n = list_len(p->list);

	if (!n)
		return err_set(reterr, WEIR_EINVAL, "unknown %s '%.*s': this address takes no %s", p->of, STR_ARG(str_sub(name, 0, 64)), p->whole);
	for (size_t i = 0; i < n; i++)
		names[i] = p->list[i].name;
	near = doc_nearest(name, names);
	if (near)
		return err_set(reterr, WEIR_EINVAL, "unknown %s '%.*s' (did you mean '%s'?)", p->of, STR_ARG(str_sub(name, 0, 64)), near);
	names_join(names, &known);
	return err_set(reterr, WEIR_EINVAL, "unknown %s '%.*s'; known here: %s", p->of, STR_ARG(str_sub(name, 0, 64)), buf_z(&known));
}

static int check_value(const char *noun, const struct http_query_param *q, str value, struct err *reterr)
{
	struct buf known CLEANUP_BUF = BUF_INIT(1024);
	int64_t    n;

	if (q->kind == QUERY_INT && (!str_to_i64(value, &n) || n < q->min || n > q->max))
		return q->max == INT64_MAX
		           ? err_set(reterr, WEIR_EINVAL, "%s '%s' must be a whole number from %lld on", noun, q->name, (long long)q->min)
		           : err_set(reterr, WEIR_EINVAL, "%s '%s' must be a whole number from %lld to %lld", noun, q->name, (long long)q->min,
		                     (long long)q->max);
	if (q->kind != QUERY_WORD)
		return 0;
	for (const char *const *word = q->words; *word; word++)
		if (str_eqz(value, *word))
			return 0;
	names_join(q->words, &known);
	return err_set(reterr, WEIR_EINVAL, "%s '%s' must be one of: %s", noun, q->name, buf_z(&known));
}

static bool is_found(const struct place *p, const char *name)
{
	for (size_t i = 0; i < *p->n_found; i++)
		if (str_eqz(p->found[i].name, name))
			return true;
	return false;
}

static bool is_text(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.ptr[i]) /* what is handed on as a C string must not end early */
			return false;
	return str_utf8_valid(s);
}

static int take_pair(const struct place *p, str pair, struct arena *a, struct err *reterr)
{
	const struct http_query_param *q = p->list;
	str                            name, value;
	int                            r;

	if (!str_cut(pair, '=', &name, &value))
		value = STR("");
	if (!name.len)
		return err_set(reterr, WEIR_EINVAL, "the %s holds an empty name", p->whole);
	if (!url_decode(a, name, true, &name) || !is_text(name))
		return err_set(reterr, WEIR_EINVAL, "a name in the %s has a bad escape, a NUL or bytes that are not UTF-8", p->whole);
	while (q && q->name && !str_eqz(name, q->name))
		q++;
	if (!q || !q->name)
		return unknown(p, name, reterr);
	if (is_found(p, q->name))
		return err_set(reterr, WEIR_EINVAL, "%s '%s' stands twice", p->noun, q->name);
	if (!url_decode(a, value, true, &value) || !is_text(value))
		return err_set(reterr, WEIR_EINVAL, "%s '%s' has a bad escape, a NUL or bytes that are not UTF-8", p->noun, q->name);
	r = check_value(p->noun, q, value, reterr);
	if (!r)
		p->found[(*p->n_found)++] = (struct route_param){ str_z(q->name), value };
	return r;
}

static int take_all(const struct place *p, str raw, struct arena *a, struct err *reterr)
{
	str pair;
	int r = 0;

	*p->n_found = 0;
	for (bool more = raw.len > 0; more && !r;) {
		more = str_cut(raw, '&', &pair, &raw);
		r = take_pair(p, pair, a, reterr);
	}
	for (const struct http_query_param *q = p->list; !r && q && q->name; q++)
		if (q->required && !is_found(p, q->name))
			r = err_set(reterr, WEIR_EINVAL, "%s '%s' is missing: %s", p->noun, q->name, q->doc ? q->doc : "it is required");
	return r;
}

int router_query(struct route_match *m, str raw_query, struct arena *a, struct err *reterr)
{
	struct place p = query_of(m);

	m->n_query = m->n_form = 0;
	return p.list == http_any_query ? 0 : take_all(&p, raw_query, a, reterr);
}

int router_form(struct route_match *m, str body, struct arena *a, struct err *reterr)
{
	struct place p = form_of(m);

	return take_all(&p, body, a, reterr);
}
