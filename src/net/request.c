/* request.c - a request's life and what handlers ask of it (see http.h).
 *
 * Everything a handler reads is a slice into the parser's buffer, which stays until the answer was sent, or into the request's arena.
 * Used by one thread at a time (http-internal.h says which). */
#include "base/base.h"
#include "net/http-internal.h"

struct http_req *req_new(struct http_server *s, struct MHD_Connection *mhd)
{
	struct http_req *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->s = s;
	r->mhd = mhd;
	r->refs = 1;
	r->status = 200;
	r->began = clock_mono(s->cfg.clock);
	arena_init(&r->arena, LIMIT_HTTP_ARENA_BYTES);
	buf_init(&r->body, 0);
	buf_init(&r->out, LIMIT_HTTP_OUT_BYTES);
	return r;
}

void req_unref(struct http_req *r)
{
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	stream_free(r->stream);
	if (r->made)
		MHD_destroy_response(r->made);
	VEC_FINI(&r->set_headers);
	buf_fini(&r->body);
	buf_fini(&r->out);
	arena_fini(&r->arena);
	free(r);
}

struct arena *http_arena(struct http_req *r) { return &r->arena; }
str           http_method(const struct http_req *r) { return r->method; }
str           http_path(const struct http_req *r) { return r->match.path; }
str           http_raw_path(const struct http_req *r) { return r->raw_path; }
str           http_authority(const struct http_req *r) { return r->strict.authority; }
str           http_raw_query(const struct http_req *r) { return r->raw_query; }
str           http_body(const struct http_req *r) { return buf_str(&r->body); }
str           http_remote(const struct http_req *r) { return str_z(r->remote); }

const struct http_identity *http_who(const struct http_req *r) { return &r->who; }

str http_param(const struct http_req *r, const char *name)
{
	for (size_t i = 0; i < r->match.n_params; i++)
		if (str_eqz(r->match.params[i].name, name))
			return r->match.params[i].value;
	return STR_NULL; /* handlers that serve two routes ask for what only one of them has */
}

int64_t http_param_int(const struct http_req *r, const char *name)
{
	int64_t v = 0;

	if (!str_to_i64(http_param(r, name), &v))
		BUG("parameter '%s' of route '%s' is not :int", name, r->match.entry->route->path);
	return v;
}

/* The value of one name in "a=1&b=2"; decoded into the arena. */
static str form_field(struct arena *a, str text, const char *name)
{
	str pair, key, value;

	if (!text.len)
		return STR_NULL;
	for (bool more = true; more;) {
		more = str_cut(text, '&', &pair, &text);
		if (!str_cut(pair, '=', &key, &value))
			value = STR("");
		if (url_decode(a, key, true, &key) && str_eqz(key, name) && url_decode(a, value, true, &value) &&
		    str_utf8_valid(value))
			return value;
	}
	return STR_NULL;
}

str http_query(const struct http_req *r, const char *name)
{
	for (size_t i = 0; i < r->match.n_query; i++)
		if (str_eqz(r->match.query[i].name, name))
			return r->match.query[i].value;
	return STR_NULL; /* handlers that serve two routes ask for what only one of them has */
}

int64_t http_query_int(const struct http_req *r, const char *name, int64_t otherwise)
{
	str     v = http_query(r, name);
	int64_t n = otherwise;

	if (v.ptr && !str_to_i64(v, &n))
		BUG("query '%s' of route '%s' is not QUERY_INT", name, r->match.entry->route->path);
	return n;
}

str http_header(const struct http_req *r, const char *name)
{
	str want = str_z(name);

	for (size_t i = 0; i < r->n_headers; i++)
		if (str_eq_nocase(r->headers[i].name, want))
			return r->headers[i].value;
	return STR_NULL;
}

static bool pair_text(struct arena *a, str s, str *ret)
{
	return url_decode(a, s, true, ret) && str_utf8_valid(*ret) && !str_contains(*ret, str_n("", 1));
}

int http_query_pairs(struct http_req *r, struct http_pair **ret, size_t *ret_n, struct err *reterr)
{
	str    left = http_raw_query(r), pair, name, value;
	size_t n = 1;

	for (size_t i = 0; i < left.len; i++)
		n += left.ptr[i] == '&';
	if (n > LIMIT_HTTP_PAIRS)
		return err_set(reterr, WEIR_ELIMIT, "the query has more than %d names", LIMIT_HTTP_PAIRS);
	*ret = ARENA_ARRAY(&r->arena, n, struct http_pair);
	*ret_n = 0;
	for (bool more = *ret && left.len > 0; more;) {
		more = str_cut(left, '&', &pair, &left);
		if (!str_cut(pair, '=', &name, &value))
			value = STR("");
		if (!pair_text(&r->arena, name, &name) || !pair_text(&r->arena, value, &value))
			return err_set(reterr, WEIR_EINVAL, "the query has a bad escape, a NUL or bytes that are not UTF-8");
		if (name.len)
			(*ret)[(*ret_n)++] = (struct http_pair){ name, value };
	}
	return arena_check(&r->arena, "the query", reterr);
}

str http_cookie(const struct http_req *r, const char *name)
{
	str left = http_header(r, "cookie"), pair, key, value;

	while (left.len) {
		str_cut(left, ';', &pair, &left);
		if (str_cut(str_trim(pair), '=', &key, &value) && str_eqz(key, name))
			return value;
		if (!left.ptr)
			break;
	}
	return STR_NULL;
}

/* "application/json" of "application/json; charset=utf-8" */
static bool content_type_is(const struct http_req *r, const char *type)
{
	str v = http_header(r, "content-type"), left, right;

	str_cut(v, ';', &left, &right);
	return str_eq_nocase(str_trim(left), str_z(type));
}

int http_body_json(struct http_req *r, struct doc_node **ret, struct err *reterr)
{
	if (r->json) {
		*ret = r->json;
		return 0;
	}
	if (!content_type_is(r, "application/json"))
		return err_set(reterr, WEIR_EINVAL, "the body must be JSON, with 'Content-Type: application/json'");
	if (!r->body.len)
		return err_set(reterr, WEIR_EINVAL, "the body is empty; it must be JSON");
	int e = doc_parse_json(&r->arena, "body", buf_str(&r->body), &r->json, reterr);

	*ret = r->json;
	return e;
}

str http_form(struct http_req *r, const char *name)
{
	if (!content_type_is(r, "application/x-www-form-urlencoded"))
		return STR_NULL;
	return form_field(&r->arena, buf_str(&r->body), name);
}

bool http_gone(const struct http_req *r)
{
	if (atomic_load(&r->s->stopping))
		return true;
	if (r->stream)
		return stream_gone(r);
	return r->conn && conn_peer_gone(r->conn->fd);
}
