/* strict.c - request line and header rules behind the parser (see strict.h).
 *
 * One function per rule, each with its section; the first broken rule wins. Runs on loop threads, allocates nothing. What even these checks
 * cannot see (line ends inside chunked framing) is listed in docs/threat-model.md. */
#include "base/base.h"
#include "base/limits.h"
#include "net/strict.h"

#define REFUSE(status, ...) (err_set(reterr, WEIR_EINVAL, __VA_ARGS__), (status))

static bool is_tchar(unsigned char c) /* RFC 9110 5.6.2 */
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_tchar((unsigned char)s.ptr[i]))
			return false;
	return s.len > 0;
}

static bool is_digits(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
	return s.len > 0;
}

static bool ipv6_literal_valid(str s) /* the text between the brackets */
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdefABCDEF:.", s.ptr[i]) || !s.ptr[i])
			return false;
	return s.len >= 2 && memchr(s.ptr, ':', s.len);
}

/* "" or ":" and up to five digits. */
static bool port_part_valid(str s)
{
	if (!s.len)
		return true;
	return s.ptr[0] == ':' && (s.len == 1 || (s.len <= 6 && is_digits(str_sub(s, 1, 5))));
}

static bool is_host_char(unsigned char c) /* reg-name without sub-delims that no host name has */
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("-._~%", c));
}

bool strict_authority_valid(str s)
{
	size_t end;

	if (s.len && s.ptr[0] == '[') {
		end = str_find(s, ']');
		return end < s.len && ipv6_literal_valid(str_sub(s, 1, end - 1)) && port_part_valid(str_sub(s, end + 1, s.len));
	}
	end = str_find(s, ':');
	for (size_t i = 0; i < end; i++)
		if (!is_host_char((unsigned char)s.ptr[i]))
			return false;
	return end > 0 && end <= 255 && port_part_valid(str_sub(s, end, s.len));
}

static int check_method(const struct strict_request *q, struct err *reterr)
{
	return is_token(q->method) ? 0 : REFUSE(400, "the method is not a token (RFC 9110 9.1)");
}

static int check_version(const struct strict_request *q, struct err *reterr) /* RFC 9112 2.3 */
{
	str v = q->version;

	if (v.len != 8 || !str_has_prefix(v, STR("HTTP/")) || v.ptr[6] != '.' || !is_digits(str_sub(v, 5, 1)) ||
	    !is_digits(str_sub(v, 7, 1)))
		return REFUSE(400, "the HTTP version is not HTTP/1.1 or HTTP/1.0 (RFC 9112 2.3)");
	return v.ptr[5] == '1' ? 0 : REFUSE(505, "this port speaks HTTP/1.1 and HTTP/1.0 only");
}

static bool is_target(str t)
{
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.ptr[i];

		if (c <= 0x20 || c >= 0x7f || c == '#' || c == '"' || c == '<' || c == '>')
			return false;
	}
	return true;
}

/* "http://host/path" without its scheme; STR_NULL when it is no absolute http URI. */
static str without_scheme(str t)
{
	if (t.len > 8 && str_eq_nocase(str_sub(t, 0, 7), STR("http://")))
		return str_sub(t, 7, t.len);
	if (t.len > 9 && str_eq_nocase(str_sub(t, 0, 8), STR("https://")))
		return str_sub(t, 8, t.len);
	return STR_NULL;
}

/* Forms of RFC 9112 3.2: origin and absolute; asterisk for OPTIONS; authority never (no tunnels here). */
static int check_target(const struct strict_request *q, struct strict_result *ret, struct err *reterr)
{
	str t = q->target, rest;

	if (!is_target(t))
		return REFUSE(400, "the request target holds a byte that no URI may hold (RFC 3986 2)");
	if (str_eqz(q->method, "CONNECT"))
		return REFUSE(501, "CONNECT is not served here");
	if (str_eqz(t, "*") && str_eqz(q->method, "OPTIONS")) {
		ret->path = t;
		return 0;
	}
	if (t.len && t.ptr[0] != '/') {
		rest = without_scheme(t);
		if (!rest.ptr)
			return REFUSE(400, "the request target is neither a path nor an absolute http URI (RFC 9112 3.2)");
		ret->authority = str_sub(rest, 0, str_find(rest, '/'));
		if (!strict_authority_valid(ret->authority))
			return REFUSE(400, "the authority of the request target is not valid (RFC 9110 4.2.4)");
		t = str_sub(rest, ret->authority.len, rest.len);
		if (!t.len)
			t = STR("/");
	}
	if (!t.len)
		return REFUSE(400, "the request target is empty (RFC 9112 3.2)");
	if (!str_cut(t, '?', &ret->path, &ret->query))
		ret->query = STR_NULL;
	return 0;
}

static int check_field(const struct strict_header *h, struct err *reterr)
{
	if (!is_token(h->name))
		return REFUSE(400, "a header name is empty or not a token (RFC 9110 5.1, RFC 9112 5.1)");
	for (size_t i = 0; i < h->value.len; i++) {
		unsigned char c = (unsigned char)h->value.ptr[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return REFUSE(400, "header '%.*s' holds a control byte (RFC 9110 5.5)", STR_ARG(h->name));
	}
	return 0;
}

static int check_length(str v, struct strict_result *ret, struct err *reterr)
{
	if (ret->has_length)
		return REFUSE(400, "more than one Content-Length (RFC 9110 8.6)");
	if (!is_digits(v))
		return REFUSE(400, "Content-Length is not a number (RFC 9110 8.6)");
	if (!str_to_i64(v, &ret->length))
		return REFUSE(413, "Content-Length is larger than any limit");
	ret->has_length = true;
	return 0;
}

static int check_coding(str v, struct strict_result *ret, struct err *reterr)
{
	if (!v.len)
		return REFUSE(400, "Transfer-Encoding is empty");
	if (ret->chunked)
		return REFUSE(400, "more than one Transfer-Encoding (RFC 9112 7.1)");
	if (!str_eq_nocase(v, STR("chunked"))) /* RFC 9112 6.1 */
		return memmem(v.len ? v.ptr : "", v.len, "chunked", 7) && memchr(v.ptr, ',', v.len)
		           ? REFUSE(400, "Transfer-Encoding is not the one word 'chunked'")
		           : REFUSE(501, "only the transfer coding 'chunked' is understood");
	ret->chunked = true;
	return 0;
}

static int check_framing(const struct strict_request *q, struct strict_result *ret, struct err *reterr)
{
	str  host = STR_NULL;
	bool has_host = false;

	for (size_t i = 0; i < q->n_headers; i++) {
		const struct strict_header *h = &q->headers[i];
		int                         r = check_field(h, reterr);

		if (!r && str_eq_nocase(h->name, STR("host"))) {
			if (has_host)
				return REFUSE(400, "more than one Host (RFC 9112 3.2)");
			has_host = true;
			host = str_trim(h->value);
		} else if (!r && str_eq_nocase(h->name, STR("content-length"))) {
			r = check_length(str_trim(h->value), ret, reterr);
		} else if (!r && str_eq_nocase(h->name, STR("transfer-encoding"))) {
			r = check_coding(str_trim(h->value), ret, reterr);
		}
		if (r)
			return r;
	}
	if (ret->chunked && ret->has_length)
		return REFUSE(400, "Content-Length and Transfer-Encoding in one request (RFC 9112 6.1)");
	if (ret->chunked && str_eqz(q->version, "HTTP/1.0"))
		return REFUSE(400, "Transfer-Encoding in an HTTP/1.0 request (RFC 9112 6.1)");
	if (!has_host && !str_eqz(q->version, "HTTP/1.0"))
		return REFUSE(400, "no Host (RFC 9112 3.2)");
	if (has_host && !strict_authority_valid(host))
		return REFUSE(400, "Host is not host[:port] (RFC 9110 7.2)");
	if (!ret->authority.len)
		ret->authority = host;
	return 0;
}

static int check_size(const struct strict_request *q, struct err *reterr)
{
	size_t n = q->method.len + q->target.len + q->version.len + 4;

	if (q->target.len > LIMIT_HTTP_TARGET_BYTES)
		return REFUSE(414, "the request target is longer than %d bytes", LIMIT_HTTP_TARGET_BYTES);
	if (q->n_headers > LIMIT_HTTP_HEADERS)
		return REFUSE(431, "more than %d header lines", LIMIT_HTTP_HEADERS);
	for (size_t i = 0; i < q->n_headers; i++)
		n += q->headers[i].name.len + q->headers[i].value.len + 4;
	return n <= LIMIT_HTTP_HEADER_BYTES ? 0 : REFUSE(431, "request line and headers are over %d bytes", LIMIT_HTTP_HEADER_BYTES);
}

/* Every line must end in exactly CR LF, which the parser turned into two NULs, right before the next line. */
static bool ends_line(str s, const char *next) { return next == s.ptr + s.len + 2 && !next[-1] && !next[-2]; }

static int check_line_ends(const struct strict_request *q, struct err *reterr)
{
	str last = q->version;

	if (q->target_at != q->method.ptr + q->method.len + 1 || q->version.ptr != q->target_at + q->target.len + 1)
		return REFUSE(400, "the request line is not three words with one space between them (RFC 9112 3)");
	for (size_t i = 0; i < q->n_headers; i++) {
		const struct strict_header *h = &q->headers[i];

		if (!ends_line(last, h->name.ptr))
			return REFUSE(400, "a header line does not end in CR LF, is folded or holds a NUL (RFC 9112 2.2, 5.2)");
		last = h->value;
	}
	/* The empty line must follow at once: the parser also stops at a line that begins with ':'. */
	if (q->headers_end != last.ptr + last.len + 4 || memcmp(last.ptr + last.len, "\0\0\0\0", 4))
		return REFUSE(400, "a header name is empty, or a line holds a NUL (RFC 9110 5.1)");
	return 0;
}

bool strict_name_valid(str name) { return is_token(name); }

bool strict_chunk_lines(const char *buffer, const char *from, const char *piece)
{
	for (const char *p = from; p < piece; p++)
		if (*p == '\n' && (p == buffer || p[-1] != '\r'))
			return false;
	return true;
}

int strict_check(const struct strict_request *q, struct strict_result *ret, struct err *reterr)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	if ((r = check_size(q, reterr)) || (r = check_method(q, reterr)) || (r = check_version(q, reterr)) ||
	    (r = check_target(q, ret, reterr)))
		return r;
	if ((r = check_framing(q, ret, reterr)))
		return r;
	return q->in_place ? check_line_ends(q, reterr) : 0;
}
