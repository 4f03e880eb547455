/* openapi.c - the OpenAPI 3.1 document, made from the route table: what is served is what is documented. */
#include "base/base.h"
#include "net/http-internal.h"

static void path_text(const struct route_entry *e, struct buf *out)
{
	buf_clear(out);
	for (size_t i = 0; i < e->n_segs; i++) {
		const struct route_seg *seg = &e->segs[i];

		buf_addc(out, '/');
		if (seg->kind == SEG_LITERAL)
			buf_add_str(out, seg->text);
		else
			buf_addf(out, "{%.*s}%.*s", STR_ARG(seg->text), STR_ARG(seg->suffix));
	}
}

static void write_param(struct jw *w, const struct route_seg *seg)
{
	jw_obj(w);
	jw_kstr(w, "name", seg->text);
	jw_kstrz(w, "in", "path");
	jw_kbool(w, "required", true);
	if (seg->kind == SEG_REST)
		jw_kstrz(w, "description", "the rest of the path, slashes included");
	jw_key(w, "schema");
	jw_obj(w);
	jw_kstrz(w, "type", seg->kind == SEG_INT ? "integer" : "string");
	if (seg->kind == SEG_NAME)
		jw_kstrz(w, "pattern", "^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$");
	else if (seg->kind == SEG_ID)
		jw_kstrz(w, "pattern", "^[0-9A-HJKMNP-TV-Z]{26}$");
	jw_end(w);
	jw_end(w);
}

static void write_query(struct jw *w, const struct http_query_param *q)
{
	jw_obj(w);
	jw_kstrz(w, "name", q->name);
	jw_kstrz(w, "in", "query");
	jw_kbool(w, "required", q->required);
	if (q->doc)
		jw_kstrz(w, "description", q->doc);
	jw_key(w, "schema");
	jw_obj(w);
	jw_kstrz(w, "type", q->kind == QUERY_INT ? "integer" : "string");
	if (q->kind == QUERY_INT) {
		jw_kint(w, "minimum", q->min);
		if (q->max < INT64_MAX)
			jw_kint(w, "maximum", q->max);
	} else if (q->kind == QUERY_WORD) {
		jw_key(w, "enum");
		jw_arr(w);
		for (const char *const *word = q->words; *word; word++)
			jw_strz(w, *word);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void write_content(struct jw *w, const char *type, const char *schema)
{
	jw_key(w, "content");
	jw_obj(w);
	jw_key(w, type);
	jw_obj(w);
	if (schema) {
		jw_key(w, "schema");
		jw_raw(w, str_z(schema));
	}
	jw_end(w);
	jw_end(w);
}

static void write_answers(struct jw *w, const struct http_route *route)
{
	jw_key(w, "responses");
	jw_obj(w);
	jw_key(w, "200");
	jw_obj(w);
	jw_kstrz(w, "description", "done");
	if (route->kind == HTTP_SSE)
		write_content(w, "text/event-stream", NULL);
	else if (route->answer_doc)
		write_content(w, "application/json", route->answer_doc);
	jw_end(w);
	jw_key(w, "default");
	jw_obj(w);
	jw_kstrz(w, "$ref", "#/components/responses/Error");
	jw_end(w);
	jw_end(w);
}

/* "GET /api/v1/runs/:run" becomes "get_api_v1_runs_run". */
static void operation_id(const struct route_entry *e, struct buf *out)
{
	buf_clear(out);
	for (const char *p = e->route->method; *p; p++)
		buf_addc(out, (char)(*p | 32));
	for (size_t i = 0; i < e->n_segs; i++) {
		buf_addc(out, '_');
		for (size_t k = 0; k < e->segs[i].text.len; k++) {
			char c = e->segs[i].text.ptr[k];

			buf_addc(out, (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_');
		}
	}
}

static void write_operation(struct jw *w, const struct route_entry *e, struct buf *tmp)
{
	const struct http_route *route = e->route;

	buf_clear(tmp);
	for (const char *p = route->method; *p; p++)
		buf_addc(tmp, (char)(*p | 32));
	jw_key_n(w, buf_str(tmp));
	jw_obj(w);
	operation_id(e, tmp);
	jw_kstr(w, "operationId", buf_str(tmp));
	jw_kstrz(w, "summary", route->doc ? route->doc : "");
	jw_kstrz(w, "x-weir-scope", scope_name(route->scope == SCOPE_JOB ? SCOPE_RELEASE : route->scope));
	if (route->scope == SCOPE_JOB)
		jw_kbool(w, "x-weir-job", true);
	if (route->scope != SCOPE_NONE) {
		jw_key(w, "security");
		jw_raw(w, STR("[{\"bearer\":[]},{\"basic\":[]},{\"session\":[]}]"));
	}
	jw_key(w, "parameters");
	jw_arr(w);
	for (size_t i = 0; i < e->n_segs; i++)
		if (e->segs[i].kind != SEG_LITERAL)
			write_param(w, &e->segs[i]);
	for (const struct http_query_param *q = route->query; q && q->name; q++)
		write_query(w, q);
	jw_end(w);
	if (route->body_max) {
		jw_key(w, "requestBody");
		jw_obj(w);
		jw_kint(w, "x-weir-bytes-max", route->body_max);
		write_content(w, route->body_doc ? "application/json" : route->form ? "application/x-www-form-urlencoded" : "*/*", route->body_doc);
		jw_end(w);
	}
	write_answers(w, route);
	jw_end(w);
}

/* Methods of one path stand together in OpenAPI, wherever they stand in the tables. */
static void write_path(struct jw *w, const struct http_server *s, size_t first, struct buf *path, struct buf *tmp)
{
	jw_key_n(w, buf_str(path));
	jw_obj(w);
	for (size_t i = first; i < router_count(s->router); i++) {
		path_text(router_at(s->router, i), tmp);
		if (str_eq(buf_str(tmp), buf_str(path)))
			write_operation(w, router_at(s->router, i), tmp);
	}
	jw_end(w);
}

static bool path_was_before(const struct http_server *s, size_t i, struct buf *path, struct buf *tmp)
{
	for (size_t k = 0; k < i; k++) {
		path_text(router_at(s->router, k), tmp);
		if (str_eq(buf_str(tmp), buf_str(path)))
			return true;
	}
	return false;
}

static const char components[] =
    "{\"securitySchemes\":{"
    "\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"a token that has the operation's x-weir-scope; where x-weir-job is true, "
    "a running job's own token too\"},"
    "\"basic\":{\"type\":\"http\",\"scheme\":\"basic\",\"description\":\"any user name, the token as password\"},"
    "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"weir_session\"}},"
    "\"responses\":{\"Error\":{\"description\":\"what was wrong and what to do\",\"content\":{\"application/json\":{\"schema\":"
    "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"object\",\"required\":[\"code\",\"message\"],"
    "\"properties\":{\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"}}}}}}}}}}";

int http_server_openapi(const struct http_server *s, struct buf *out, struct err *reterr)
{
	struct buf path CLEANUP_BUF = BUF_INIT(4096), tmp CLEANUP_BUF = BUF_INIT(4096);
	struct jw  w;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kstrz(&w, "openapi", "3.1.0");
	jw_key(&w, "info");
	jw_obj(&w);
	jw_kstrz(&w, "title", "weir");
	jw_kstrz(&w, "version", WEIR_VERSION);
	jw_end(&w);
	jw_key(&w, "paths");
	jw_obj(&w);
	for (size_t i = 0; i < router_count(s->router); i++) {
		path_text(router_at(s->router, i), &path);
		if (!path_was_before(s, i, &path, &tmp))
			write_path(&w, s, i, &path, &tmp);
	}
	jw_end(&w);
	jw_key(&w, "components");
	jw_raw(&w, str_z(components));
	jw_end(&w);
	return buf_check(out, "the OpenAPI document", reterr);
}
