/* answer.c - from what a handler left in its request to bytes on the wire: errors, headers, static files, redirects.
 *
 * One place makes every answer, so that each carries the same safety headers. Runs on the thread that has the request. */
#include "base/base.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/http-internal.h"

void http_status(struct http_req *r, int status) { r->status = status; }

static bool header_text_ok(str v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.ptr[i] == '\r' || v.ptr[i] == '\n' || !v.ptr[i])
			return false;
	return true;
}

void http_set_header(struct http_req *r, const char *name, str value)
{
	struct http_set_header h = { name, arena_str(&r->arena, value) };

	if (r->stream && stream_frozen(r))
		BUG("header %s after the first http_write()", name);
	if (!header_text_ok(value))
		BUG("header %s: its value holds a line end", name);
	if (value.len && !h.value.ptr)
		return; /* the arena is at its limit; run_handler() asks arena_check() */
	for (size_t i = 0; i < r->set_headers.n; i++) {
		/* Set-Cookie is the one header that may come several times. */
		if (!strcasecmp(r->set_headers.v[i].name, name) && strcasecmp(name, "set-cookie")) {
			r->set_headers.v[i] = h;
			return;
		}
	}
	if (!VEC_PUSH(&r->set_headers, h))
		r->arena.failed = true;
}

void http_set_headerf(struct http_req *r, const char *name, const char *fmt, ...)
{
	struct buf b CLEANUP_BUF = BUF_INIT(LIMIT_HTTP_HEADER_BYTES);
	va_list    ap;

	va_start(ap, fmt);
	buf_addv(&b, fmt, ap);
	va_end(ap);
	http_set_header(r, name, buf_str(&b));
}

static bool has_header(const struct http_req *r, const char *name)
{
	for (size_t i = 0; i < r->set_headers.n; i++)
		if (!strcasecmp(r->set_headers.v[i].name, name))
			return true;
	return false;
}

struct buf *http_out(struct http_req *r) { return &r->out; }
void        http_type(struct http_req *r, const char *content_type) { r->type = content_type; }

void http_json(struct http_req *r, struct jw *w)
{
	r->type = "application/json";
	jw_init(w, &r->out);
}

int http_static(struct http_req *r, const char *content_type, str bytes, bool immutable)
{
	char hex[SHA256_HEX], etag[24];
	str  seen = http_header(r, "if-none-match");

	sha256_hex(bytes, hex);
	snprintf(etag, sizeof(etag), "\"%.16s\"", hex);
	http_set_header(r, "ETag", str_z(etag));
	http_set_header(r, "Cache-Control", immutable ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
	if (seen.len && (str_eqz(seen, "*") || str_contains(seen, str_z(etag)))) {
		r->status = 304;
		return 0;
	}
	r->type = content_type;
	r->borrowed = bytes;
	return 0;
}

void http_redirect(struct http_req *r, int status, const char *location)
{
	r->status = status;
	http_set_header(r, "Location", str_z(location));
}

/* --- errors --- */

bool answer_is_page(const struct http_req *r)
{
	static const char *const not_pages[] = { "/api/", "/git/", "/events", "/ofrep/", "/v1/", "/v8/", "/nx/", "/hooks/", "/mcp",
		                                     "/metrics", "/healthz", "/readyz" };

	for (size_t i = 0; i < ARRAY_SIZE(not_pages); i++)
		if (str_has_prefix(r->raw_path, str_z(not_pages[i])))
			return false;
	return str_contains(http_header(r, "accept"), STR("text/html"));
}

static bool wants_text(const struct http_req *r)
{
	return str_has_prefix(r->raw_path, STR("/git/")) || str_has_prefix(http_header(r, "accept"), STR("text/plain"));
}

static void error_page(struct http_req *r, int status, const char *name, str msg)
{
	r->type = "text/html; charset=utf-8";
	if (r->s->pages.error) {
		r->s->pages.error(r->s->pages.ctx, r, status, name, msg);
		return;
	}
	buf_addf(&r->out, "<!doctype html><html lang=en><meta charset=utf-8><title>%d</title><h1>%d</h1><p>", status, status);
	buf_add_html(&r->out, msg);
	buf_addz(&r->out, "</p></html>\n");
}

void http_server_pages(struct http_server *s, const struct http_pages *pages) { s->pages = *pages; }

void http_login_page(struct http_req *r, str message, str next)
{
	r->type = "text/html; charset=utf-8";
	if (r->s->pages.login) {
		r->s->pages.login(r->s->pages.ctx, r, message, next);
		return;
	}
	buf_addz(&r->out, "<!doctype html><html lang=en><meta charset=utf-8><title>weir: log in</title><h1>Log in</h1><p role=alert>");
	buf_add_html(&r->out, message);
	buf_addz(&r->out, "</p><form method=post action=/login><label>Access token <input name=token type=password "
	                  "autocomplete=current-password required></label><input type=hidden name=next value=\"");
	buf_add_html(&r->out, next);
	buf_addz(&r->out, "\"><button>Log in</button></form></html>\n");
}

static http_error_form form_of(const struct http_req *r)
{
	http_error_form write = NULL;
	size_t          longest = 0;

	for (size_t i = 0; i < r->s->forms.n; i++) {
		const struct error_form *f = &r->s->forms.v[i];

		if (f->prefix.len >= longest && str_has_prefix(r->raw_path, f->prefix)) {
			write = f->write;
			longest = f->prefix.len;
		}
	}
	return write;
}

void answer_error(struct http_req *r, int status, const struct err *e)
{
	http_error_form form = form_of(r);
	const char *name = err_name(e->code);
	str         msg = str_z(e->msg);
	struct jw   w;

	if (!status)
		status = err_http_status(e->code);
	if (status == 500)
		msg = STR("internal error; the server's log has the cause");
	r->status = status;
	r->failed = true;
	if (e != &r->err)
		r->err = *e;
	r->borrowed = STR_NULL;
	buf_clear(&r->out);
	if (status == 401 && str_has_prefix(r->raw_path, STR("/git/")))
		http_set_header(r, "WWW-Authenticate", STR("Basic realm=\"weir\", charset=\"UTF-8\""));
	else if (status == 401)
		http_set_header(r, "WWW-Authenticate", STR("Bearer realm=\"weir\""));
	if (err_retryable(e->code) && !has_header(r, "Retry-After"))
		http_set_header(r, "Retry-After", STR("1"));
	if (form) {
		form(r, status, name, msg);
	} else if (answer_is_page(r)) {
		error_page(r, status, name, msg);
	} else if (wants_text(r)) {
		r->type = "text/plain; charset=utf-8";
		buf_add_str(&r->out, msg);
		buf_addc(&r->out, '\n');
	} else {
		http_json(r, &w);
		jw_obj(&w);
		jw_key(&w, "error");
		jw_obj(&w);
		jw_kstrz(&w, "code", name);
		jw_kstr(&w, "message", msg);
		jw_end(&w);
		jw_end(&w);
	}
}

void answer_errorf(struct http_req *r, int status, int code, const char *fmt, ...)
{
	struct err e = { 0 };
	char       text[sizeof(e.msg)];
	va_list    ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&e, code, "%s", text);
	answer_error(r, status, &e);
}

int http_refuse(struct http_req *r, int status, const char *fmt, ...)
{
	struct err e = { 0 };
	char       text[sizeof(e.msg)];
	va_list    ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&e, status == 429 ? WEIR_EBUSY : WEIR_EINVAL, "%s", text);
	answer_error(r, status, &e);
	return 0;
}

void answer_handler_error(struct http_req *r, int status)
{
	if (!r->err.code)
		err_set(&r->err, WEIR_EINTERNAL, "the handler failed without saying why");
	if (!status)
		status = err_http_status(r->err.code);
	/* Once, here, where a request ends; what clients alone are to blame for is counted and not logged. */
	if (status >= 500)
		log_error("net", "%.*s %.*s: %d %s: %s (%s:%d)", STR_ARG(r->method), STR_ARG(r->raw_path), status, err_name(r->err.code),
		          r->err.msg, r->err.file ? r->err.file : "?", r->err.line);
	answer_error(r, status, &r->err);
}

void run_handler(struct http_req *r)
{
	const struct route_entry *entry = r->match.entry;
	int                       ret;

	r->err = (struct err){ 0 };
	(void)buf_reserve(&r->out, 1000); /* most answers fit: no growing step by step */
	ret = entry->route->fn(r, entry->ctx, &r->err);
	if (!ret)
		ret = arena_check(&r->arena, "the request", &r->err);
	if (!ret)
		ret = buf_check(&r->out, "the answer", &r->err);
	if (ret) /* a limit met by the answer is the server's fault, not the request's */
		answer_handler_error(r, r->out.failed ? 500 : 0);
	if (r->failed && r->made) { /* of an event stream */
		MHD_destroy_response(r->made);
		r->made = NULL;
	}
}

/* --- to the wire --- */

static void add_headers(struct http_req *r, struct MHD_Response *resp)
{
	for (size_t i = 0; i < r->set_headers.n; i++) {
		struct http_set_header *h = &r->set_headers.v[i];

		MHD_add_response_header(resp, h->name, h->value.len ? h->value.ptr : "");
	}
	if (r->type && r->status != 304)
		MHD_add_response_header(resp, "Content-Type", r->type);
	MHD_add_response_header(resp, "X-Content-Type-Options", "nosniff");
	if (!has_header(r, "Cache-Control"))
		MHD_add_response_header(resp, "Cache-Control", "no-store");
	if (r->type && !strncmp(r->type, "text/html", 9)) {
		if (!has_header(r, "Content-Security-Policy"))
			MHD_add_response_header(resp, "Content-Security-Policy",
			                        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
		MHD_add_response_header(resp, "Referrer-Policy", "same-origin");
	}
	if (r->must_close || atomic_load(&r->s->stopping))
		MHD_add_response_header(resp, "Connection", "close");
}

enum MHD_Result answer_queue_response(struct http_req *r, struct MHD_Response *resp)
{
	enum MHD_Result ret;

	if (!resp)
		return MHD_NO;
	add_headers(r, resp);
	r->state = REQ_SENT;
	ret = MHD_queue_response(r->mhd, (unsigned)r->status, resp);
	MHD_destroy_response(resp);
	return ret;
}

enum MHD_Result answer_queue(struct http_req *r)
{
	struct MHD_Response *resp;
	size_t               n = r->borrowed.ptr ? r->borrowed.len : r->out.len;

	if (r->made) {
		resp = TAKE_PTR(r->made);
	} else if (r->borrowed.ptr) {
		resp = MHD_create_response_from_buffer(n, (void *)(uintptr_t)r->borrowed.ptr, MHD_RESPMEM_PERSISTENT);
	} else {
		/* The request, and with it the buffer, stays until the answer was sent (NOTIFY_COMPLETED). */
		resp = MHD_create_response_from_buffer(n, n ? r->out.ptr : NULL, MHD_RESPMEM_PERSISTENT);
		if (n && !r->type)
			r->type = "text/plain; charset=utf-8";
	}
	return answer_queue_response(r, resp);
}
