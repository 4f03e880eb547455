/* client.c - HTTP client on libcurl's easy interface (see client.h). One handle per client, used by one thread at a time.
 *
 * Only http and https, no redirect is followed, no proxy of the environment, no signals. The token goes into a header, and never into an error's text. */
#include "base/base.h"
#include "net/client.h"

#include "doc/doc.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

struct http_client {
	CURL *curl;
	char *base, *auth; /* "Authorization: Bearer ..." or NULL */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void           curl_start(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

int http_client_new(const char *base_url, const char *token, struct http_client **ret, struct err *reterr)
{
	struct http_client *c;
	size_t              n = strlen(base_url);

	if (strncmp(base_url, "http://", 7) && strncmp(base_url, "https://", 8))
		return err_set(reterr, WEIR_EINVAL, "'%s' is not the address of a server (http:// or https://)", base_url);
	pthread_once(&curl_once, curl_start);
	c = calloc(1, sizeof(*c));
	if (c && (c->curl = curl_easy_init()))
		c->base = str_dup(str_n(base_url, n && base_url[n - 1] == '/' ? n - 1 : n));
	if (!c || !c->curl || !c->base) {
		http_client_free(c);
		return err_set(reterr, WEIR_ENOMEM, "no memory for an HTTP client");
	}
	if (token && *token && asprintf(&c->auth, "Authorization: Bearer %s", token) < 0) {
		c->auth = NULL;
		http_client_free(c);
		return err_set(reterr, WEIR_ENOMEM, "no memory for an HTTP client");
	}
	*ret = c;
	return 0;
}

struct http_client *http_client_free(struct http_client *c)
{
	if (!c)
		return NULL;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->base);
	if (c->auth)
		explicit_bzero(c->auth, strlen(c->auth));
	free(c->auth);
	free(c);
	return NULL;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;

	n *= size;
	if (call->sink)
		return call->sink(call->sink_ctx, str_n(p, n)) ? 0 : n;
	if (!call->out)
		return n;
	buf_add(call->out, p, n);
	return call->out->failed ? 0 : n;
}

static size_t on_upload(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *call = arg;
	ssize_t           got;

	do
		got = read(call->body_fd, p, size * n);
	while (got < 0 && errno == EINTR);
	return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static bool add_header(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);

	if (more)
		*list = more;
	return more != NULL;
}

static struct curl_slist *headers_of(struct http_client *c, const struct http_call *call, bool has_body)
{
	struct curl_slist *list = NULL;
	char               type[192];
	bool               ok = add_header(&list, "Expect:"); /* no round trip for 100 Continue */

	if (c->auth)
		ok = ok && add_header(&list, c->auth);
	if (has_body) {
		snprintf(type, sizeof(type), "Content-Type: %s", call->content_type ? call->content_type : "application/json");
		ok = ok && add_header(&list, type);
	}
	for (const char *const *h = call->headers; h && *h; h++)
		ok = ok && add_header(&list, *h);
	if (ok)
		return list;
	curl_slist_free_all(list);
	return NULL;
}

static int on_progress(void *arg, curl_off_t dn UNUSED, curl_off_t d UNUSED, curl_off_t un UNUSED, curl_off_t u UNUSED)
{
	const struct http_call *call = arg;

	return atomic_load(call->stop);
}

/* Ends of a call that are not its whole time. */
static void set_ends(CURL *h, struct http_call *call)
{
	if (call->stall_ms > 0) {
		curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)((call->stall_ms + 999) / 1000));
	}
	if (call->stop) {
		curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(h, CURLOPT_XFERINFODATA, call);
	}
}

static void read_answer(CURL *h, struct http_call *call)
{
	const char         *type = NULL;
	struct curl_header *etag;
	long                status = 0;
	curl_off_t          wait = 0;

	curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
	call->status = (int)status;
	call->content_type_out[0] = call->etag_out[0] = 0;
	if (!curl_easy_getinfo(h, CURLINFO_CONTENT_TYPE, &type) && type)
		snprintf(call->content_type_out, sizeof(call->content_type_out), "%s", type);
	if (curl_easy_header(h, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK && strlen(etag->value) < sizeof(call->etag_out))
		snprintf(call->etag_out, sizeof(call->etag_out), "%s", etag->value);
	curl_easy_getinfo(h, CURLINFO_RETRY_AFTER, &wait);
	call->retry_after_s = wait;
}

static void set_body(struct http_client *c, struct http_call *call)
{
	CURL *h = c->curl;

	if (call->body_fd > 0) {
		curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(h, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(h, CURLOPT_READDATA, call);
	} else if (call->body.ptr || !strcmp(call->method, "POST") || !strcmp(call->method, "PUT")) {
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, call->body.ptr ? call->body.ptr : "");
		curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.len);
	} else if (!strcmp(call->method, "HEAD")) {
		curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	}
}

static int transfer_error(const struct http_client *c, const struct http_call *call, CURLcode e, struct err *reterr)
{
	switch (e) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(reterr, WEIR_ETIMEOUT, "%s %s%s: no answer in time", call->method, c->base, call->path);
	case CURLE_WRITE_ERROR:
		if (call->out && call->out->failed)
			return err_set(reterr, WEIR_ELIMIT, "%s %s%s: the answer is over %zu bytes", call->method, c->base, call->path,
			               call->out->max);
		return err_set(reterr, WEIR_ECANCELED, "%s %s%s: stopped", call->method, c->base, call->path);
	case CURLE_ABORTED_BY_CALLBACK:
		if (call->stop && atomic_load(call->stop))
			return err_set(reterr, WEIR_ECANCELED, "%s %s%s: stopped", call->method, c->base, call->path);
		return err_set(reterr, WEIR_EIO, "%s %s%s: the body cannot be read", call->method, c->base, call->path);
	case CURLE_OUT_OF_MEMORY: return err_set(reterr, WEIR_ENOMEM, "%s %s%s: out of memory", call->method, c->base, call->path);
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return err_set(reterr, WEIR_EINVAL, "'%s%s' is not an address that can be called", c->base, call->path);
	default:
		return err_set(reterr, WEIR_EUNAVAIL, "%s %s%s: %s", call->method, c->base, call->path, curl_easy_strerror(e));
	}
}

int http_call(struct http_client *c, struct http_call *call, struct err *reterr)
{
	CURL              *h = c->curl;
	char *url          CLEANUP_FREE = NULL;
	struct curl_slist *headers;
	bool               has_body = call->body.ptr || call->body_fd > 0;
	int64_t            timeout = call->timeout_ms ? call->timeout_ms : 30000;
	CURLcode           e;

	headers = headers_of(c, call, has_body);
	if (!headers || asprintf(&url, "%s%s", c->base, call->path) < 0) {
		url = NULL;
		curl_slist_free_all(headers);
		return err_set(reterr, WEIR_ENOMEM, "no memory for a call");
	}
	curl_easy_reset(h); /* keeps connections */
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, timeout > 0 ? (long)timeout : 0L);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, call);
	set_ends(h, call);
	set_body(c, call);
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, call->method);
	e = curl_easy_perform(h);
	curl_slist_free_all(headers);
	read_answer(h, call);
	return e == CURLE_OK ? 0 : transfer_error(c, call, e, reterr);
}

/* The code of the table whose HTTP status this is; the server's own word for it is taken when it says one. */
static int code_of(int status, str name)
{
	for (int i = 1; i < WEIR_ERR_MAX; i++)
		if (str_eqz(name, err_name(i)))
			return i;
	for (int i = 1; i < WEIR_ERR_MAX; i++)
		if (err_http_status(i) == status)
			return i;
	return status >= 500 ? WEIR_EUNAVAIL : WEIR_EINVAL;
}

int http_call_ok(struct http_client *c, struct http_call *call, struct err *reterr)
{
	struct arena a       CLEANUP_ARENA = ARENA_INIT(4 << 20);
	struct doc_node     *n = NULL;
	const struct doc_node *said;
	str                  msg = STR_NULL;
	int                  r = http_call(c, call, reterr);

	if (r || call->status < 400)
		return r;
	if (call->out && !doc_parse_json(&a, "answer", buf_str(call->out), &n, NULL))
		msg = doc_get_str(said = doc_get(n, "error"), "message");
	if (!msg.len)
		return err_set(reterr, code_of(call->status, STR_NULL), "%s %s%s: status %d", call->method, c->base, call->path, call->status);
	return err_set(reterr, code_of(call->status, doc_get_str(said, "code")), "%.*s", STR_ARG(msg));
}
