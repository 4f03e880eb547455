/* edge-internal.h - what the files of src/edge share. */
#ifndef WEIR_EDGE_EDGE_INTERNAL_H
#define WEIR_EDGE_EDGE_INTERNAL_H

#include "base/clock.h"
#include "base/limits.h"
#include "edge/edge.h"
#include "flag/flag-copy.h"
#include "net/client.h"
#include "net/standard.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

/* --- edge-disk.c: DATA/edge. One thread at a time writes a file --- */
struct edge_disk {
	char dir[PATH_MAX]; /* absolute */
	int  lock;
	atomic_long damaged, failed; /* files that were ignored; writes that failed */
};
MUST_CHECK int edge_disk_open(struct edge_disk *d, const char *data, struct err *reterr); /* makes the folder, takes its lock */
void edge_disk_close(struct edge_disk *d);
/* Every set into the room; a damaged file is named in the log, and its forerunner is taken. */
MUST_CHECK int edge_disk_load(struct edge_disk *d, struct flag_room *flag, struct err *reterr);
/* The text of set "project/name" replaces the one on disk, which stays beside it as the forerunner. */
MUST_CHECK int edge_disk_save(struct edge_disk *d, str id, str text, struct err *reterr);
MUST_CHECK int edge_disk_remove(struct edge_disk *d, str id, struct err *reterr);
/* A small sealed file of the edge's own. Reading: -WEIR_ENOENT when absent; a damaged one is counted, -WEIR_EPARSE. */
MUST_CHECK int edge_disk_read(struct edge_disk *d, const char *name, struct buf *out, struct err *reterr);
MUST_CHECK int edge_disk_write(struct edge_disk *d, const char *name, struct buf *text, struct err *reterr);

/* --- edge-token.c: who the clients are. Any thread --- */
struct edge_tokens;
MUST_CHECK int edge_tokens_open(struct edge_disk *d, const char *server, const unsigned char key[32], const struct clock *clock, struct edge_tokens **ret,
								struct err *reterr);
struct edge_tokens *edge_tokens_close(struct edge_tokens *t); /* saves; NULL fine */
/* http_config.authenticate and authenticate_slow; ctx: the struct. */
int edge_tokens_know(void *tokens, str scheme, str credentials, struct http_identity *ret, struct err *reterr);
int edge_tokens_ask(void *tokens, str scheme, str credentials, struct http_identity *ret, struct err *reterr);
MUST_CHECK int edge_tokens_save(struct edge_tokens *t, struct err *reterr); /* when something changed */
struct edge_token_counts {
	unsigned long known, asked, refused, unanswered, limited;
};
void edge_tokens_counts(struct edge_tokens *t, struct edge_token_counts *ret);

/* --- edge-link.c: the thread that follows the server --- */
struct edge_link;
struct edge_link_state {
	bool          connected;
	usec_t        confirmed_at; /* wall: when the copy was last known to be what the server has; 0: never */
	unsigned long attempts, older;
};
MUST_CHECK int edge_link_start(const struct edge_config *cfg, struct edge_disk *d, struct flag_room *flag, const struct clock *clock, struct edge_link **ret,
							   struct err *reterr);
struct edge_link *edge_link_stop(struct edge_link *l); /* NULL fine */
void edge_link_state(struct edge_link *l, struct edge_link_state *ret);
/* How long to wait before attempt number `attempt` (0: the first after a good time): doubles up to LIMIT_EDGE_WAIT_S, spread by random, so that edges
 * that lost their server together do not come back together. retry_after_s: the server's wish, 0: none. Pure. */
int64_t edge_wait_ms(unsigned attempt, int64_t retry_after_s, uint32_t random);

#endif
