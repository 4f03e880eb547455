/* evidence.h - what happened to each request: counts per release, arm and share, from one record per request.
 *
 * HAProxy's ring sends the records over TCP to a loopback listener on a port that stays the same, and keeps them while weir is down. A record names
 * the release (tag), the share that was valid when its arm was drawn, arm, status and client; so counts need no clock and may come late. Each record is
 * counted once: its number (HAProxy's request counter) is kept in a window that is stored with the counts.
 * One own thread; all functions may be called from any. */
#ifndef WEIR_RELEASE_EVIDENCE_H
#define WEIR_RELEASE_EVIDENCE_H

#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"
#include "judge/judge.h"
#include "release/latency.h"
#include "release/service-file.h"
#include "release/traffic.h"

enum { EVIDENCE_CLIENTS_MAX = 16 };

/* One record, parsed. */
struct evidence_record {
	char     boot[48];  /* which HAProxy process */
	uint64_t number;    /* of the request in that process */
	unsigned slot;
	enum traffic_arm arm;
	uint64_t tag;
	unsigned share_b;   /* at the draw */
	int      status;    /* 0: no answer */
	bool     failed;    /* 5xx, no answer, or the server broke off; a client that left is no failure */
	usec_t   ended;     /* wall time */
	int64_t  took_ms;   /* from the request's first byte to the answer's last; -1: not known */
	uint64_t address, connection, header; /* hashes of client keys; header 0: absent */
};
/* False when the line is no record of an arm. */
bool evidence_parse(str line, struct evidence_record *ret);

struct evidence_counts {
	struct judge_segment seg[JUDGE_SEGMENTS_MAX];
	unsigned seg_share[JUDGE_SEGMENTS_MAX]; /* canary share in ten-thousandths */
	size_t   n_seg;
	uint32_t n_clients;                     /* distinct clients with canary errors, at most EVIDENCE_CLIENTS_MAX */
	uint64_t clients[EVIDENCE_CLIENTS_MAX];
	usec_t   first_bad, last_bad;           /* failed canary requests: end of the first and last one */
	usec_t   first_good;                    /* first canary answer that did not fail */
	uint64_t missing;                       /* records that never came, by HAProxy's counters */
	struct latency latency[2];              /* of answers that did not fail: canary, stable */
	uint64_t records;                       /* all that were counted: grows with each change */
	uint64_t seen[2], seen_failed[2];       /* by arm, since `base` */
	struct traffic_counts base;             /* HAProxy's counters where `seen` began */
	bool     has_base;
};
/* JSON for the database, and back. */
void evidence_write(struct jw *w, const struct evidence_counts *c);
MUST_CHECK int evidence_read(const struct doc_node *n, struct evidence_counts *ret, struct err *reterr);

struct evidence_watch {
	uint64_t             tag;
	unsigned             slot;
	enum traffic_arm     canary;
	enum service_client  client;
	usec_t               error_window;
	struct evidence_counts counts; /* to go on from */
};
struct evidence_config {
	uint16_t port;
	void (*wake)(void *ctx);       /* after failed canary requests; quick, from the evidence thread */
	/* Stores counts that changed (at least every 50 ms while they do), with the window of numbers seen; from the evidence thread. */
	int (*save)(void *ctx, uint64_t tag, const struct evidence_counts *c, struct err *reterr);
	int (*save_window)(void *ctx, str window, struct err *reterr);
	void *ctx;
};
struct evidence;

MUST_CHECK int evidence_new(const struct evidence_config *cfg, struct evidence **ret, struct err *reterr);
/* Restores the window of numbers seen (what save_window got); before start. */
void evidence_set_window(struct evidence *e, str window);
MUST_CHECK int evidence_start(struct evidence *e, struct err *reterr); /* listens */
struct evidence *evidence_free(struct evidence *e);                    /* stops the thread, saves; returns NULL */

MUST_CHECK int evidence_watch(struct evidence *e, const struct evidence_watch *w, struct err *reterr); /* again: no-op */
void evidence_unwatch(struct evidence *e, uint64_t tag);
bool evidence_get(struct evidence *e, uint64_t tag, struct evidence_counts *ret);
/* Sets where the comparison with HAProxy's counters begins (at the start, and when HAProxy was restarted): `seen` begins there. `before` are the counts
 * that were got before the counters were read: what came in between stays in `seen`, so that nothing seems missing that is not. */
void evidence_set_base(struct evidence *e, uint64_t tag, const struct traffic_counts *base, const struct evidence_counts *before);
/* Adds requests known from counters only; they are counted as missing, at the share given (ten-thousandths for the canary). */
void evidence_add_missing(struct evidence *e, uint64_t tag, enum traffic_arm arm, unsigned canary_share, uint64_t requests, uint64_t failed);
/* Since when HAProxy has been connected without a break (monotonic), 0: it is not. */
usec_t evidence_connected_since(struct evidence *e);
/* For tests and the listener: counts one line. */
void evidence_feed(struct evidence *e, str line);

#endif
