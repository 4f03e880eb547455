/* haproxy.h - what the files of HAProxy's back end share: what is set, the files it comes back from, the commands it is told. Private to src/release.
 *
 * traffic-haproxy.c has the operations and the life cycle, haproxy-files.c the configuration and the maps, haproxy-sync.c what is told over the runtime
 * socket. One thread (the room's worker). */
#ifndef WEIR_RELEASE_HAPROXY_H
#define WEIR_RELEASE_HAPROXY_H

#include "base/base.h"
#include "base/vec.h"
#include "release/haproxy-socket.h"
#include "release/traffic.h"
#include "release/workload.h"

enum { ANSWER_BYTES_MAX = 4 << 20, CONFIG_BYTES_MAX = 8 << 20, RING_BYTES = 32 << 20, SERVER_NAME_SIZE = WORKLOAD_NAME_SIZE };

struct server {
	char     name[SERVER_NAME_SIZE];
	uint16_t port;
};
struct slot {
	bool                 used;
	struct traffic_route route;
	unsigned             share_b;
	uint64_t             tag;
	unsigned             timeout_ms[2]; /* by arm; 0: the default */
	VEC(struct server) arm[2];
};
struct traffic_haproxy {
	struct traffic_haproxy_config cfg;
	char         dir[80], socket[96], master[96];
	char         haproxy[64];
	bool         started;
	bool         files_stale; /* a file could not be written: again at restore */
	struct slot *slot;
	char         pid[32]; /* of the worker that the last restore saw */
};

/* --- files (haproxy-files.c) --- */
enum map_file { MAP_HOSTS, MAP_PORTS, MAP_SHARES, MAP_TAGS, MAP_CLIENTS, MAP_TIMEOUTS, MAP_N };
extern const char *const haproxy_map_names[MAP_N];
/* True when a slot below `before` has that client header. */
bool haproxy_header_seen(const struct traffic_haproxy *t, unsigned before, const char *header);
unsigned haproxy_timeout(const struct slot *s, unsigned arm); /* ms */
/* Appends the slot's lines of a map. */
void haproxy_map_line(const struct traffic_haproxy *t, unsigned slot, enum map_file which, struct buf *b);
MUST_CHECK int haproxy_write_config(struct traffic_haproxy *t, struct err *reterr);
MUST_CHECK int haproxy_write_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr);
MUST_CHECK int haproxy_write_all(struct traffic_haproxy *t, struct err *reterr);

/* --- the runtime socket (haproxy-sync.c) --- */
MUST_CHECK int haproxy_tell(struct traffic_haproxy *t, struct buf *answer, struct err *reterr, const char *fmt, ...) PRINTF(4, 5);
/* An answer that is empty when the command worked. */
MUST_CHECK int haproxy_tell_quiet(const struct buf *answer, const char *what, struct err *reterr);
MUST_CHECK int haproxy_worker(struct traffic_haproxy *t, char ret_pid[32], struct err *reterr);
/* Asks the master for new workers from the present files (written first) and waits until the new one answers. */
MUST_CHECK int haproxy_reload(struct traffic_haproxy *t, struct err *reterr);
size_t haproxy_find_server(const struct server *v, size_t n, const char *name); /* n: not there */
MUST_CHECK int haproxy_add(struct traffic_haproxy *t, unsigned slot, unsigned arm, const struct server *s, struct err *reterr);
/* 0 when HAProxy has forgotten the server, -WEIR_EBUSY while it has connections. */
MUST_CHECK int haproxy_delete(struct traffic_haproxy *t, unsigned slot, unsigned arm, const char *name, struct err *reterr);
/* Deletes what should not be there, then adds or sets each line that should. */
MUST_CHECK int haproxy_sync_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr);
MUST_CHECK int haproxy_sync_all(struct traffic_haproxy *t, struct err *reterr);

#endif
