/* strict.h - what libmicrohttpd 0.9.75 lets through and RFC 9110 and 9112 forbid. Pure: slices in, verdict out. */
#ifndef WEIR_NET_STRICT_H
#define WEIR_NET_STRICT_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

struct strict_header {
	str name, value;
};
struct strict_request {
	str method, target, version;
	const struct strict_header *headers;
	size_t                      n_headers;
	/* The parser ends each line in place with NULs and hands out pointers into one buffer. When set, the distance between neighbours
	 * shows lone line feeds, NULs, folded lines and blanks that the slices hide. Only for versions of the parser that do so. */
	bool        in_place;
	const char *target_at;   /* in_place: where the parser has the target */
	const char *headers_end; /* in_place: first byte behind the empty line */
};
struct strict_result {
	bool    chunked;
	bool    has_length;
	int64_t length;    /* body bytes when has_length */
	str     authority; /* of the Host header, or of an absolute target */
	str     path;      /* from '/' on, or "*" */
	str     query;     /* STR_NULL without '?' */
};

/* 0, or an HTTP status (400, 413, 431, 501, 505) with *reterr saying what was wrong. The connection must be closed then. */
int strict_check(const struct strict_request *q, struct strict_result *ret, struct err *reterr);
/* The bytes that the parser took for framing before a piece of a chunked body, as far as they are still in its buffer: every line must end in CR LF
 * (RFC 9112 7.1). False: one does not. [from, piece) is what is looked at, buffer <= from. */
bool strict_chunk_lines(const char *buffer, const char *from, const char *piece);
bool strict_name_valid(str name); /* of a header or trailer field */
/* host[:port] of RFC 3986, without user information; an empty one is refused. */
bool strict_authority_valid(str s);

#endif
