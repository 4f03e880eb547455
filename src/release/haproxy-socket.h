/* haproxy-socket.h - HAProxy's runtime socket: commands and the formats of its answers (management guide of 2.6, "Unix Socket commands"). */
#ifndef WEIR_RELEASE_HAPROXY_SOCKET_H
#define WEIR_RELEASE_HAPROXY_SOCKET_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

/* Sends commands (separated by ';') to the socket at path and reads the whole answer into *answer (cleared first). -WEIR_EUNAVAIL when nobody listens. */
MUST_CHECK int haproxy_command(const char *path, str cmd, struct buf *answer, struct err *reterr);
/* Value of "Name: value" in the answer of `show info`; STR_NULL when absent. */
str haproxy_info(str text, const char *name);
/* Field number `index` (from 0) of a line of `show stat`; STR_NULL past its end. */
str haproxy_csv(str line, size_t index);
/* text: "pxname,..." header and one backend's line. All requests that ended, and those answered 5xx. */
MUST_CHECK int haproxy_backend_line(str text, uint64_t *ret_done, uint64_t *ret_failed, struct err *reterr);

#endif
