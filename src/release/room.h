/* room.h - what the files of this room share: the releases in memory, and how they are stored. Private to src/release.
 *
 * One lock (room->lock) covers services, releases and instances. The worker thread makes every transition; requests only read, add a queued
 * release, or leave an order that the worker obeys. */
#ifndef WEIR_RELEASE_ROOM_H
#define WEIR_RELEASE_ROOM_H

#include "base/arena.h"
#include "base/base.h"
#include "base/hash.h"
#include "base/vec.h"
#include "release/artifact.h"
#include "release/evidence.h"
#include "release/release.h"
#include "release/service-file.h"
#include "release/traffic.h"
#include "release/workload.h"

#include <pthread.h>

enum { SERVICE_ID_SIZE = 200, ACTOR_SIZE = 80, CAUSE_SIZE = 400, DIE_MAX = 3, GAP_CHECKS = 5 };

struct service { /* one service in one environment; never forgotten, because its slot and route are its own */
	char     id[SERVICE_ID_SIZE]; /* "project/service/environment" */
	char     project[65], name[65], environment[65];
	unsigned slot;
	char     stable[ID_SIZE];     /* release whose version is the service's; empty: none yet */
	bool     born;                /* a user was answered */
	struct traffic_route route;   /* as it should be */
	bool     has_route;
	char     route_error[256];    /* why it could not be set; empty: it is */
};

struct release {
	char     id[ID_SIZE];
	int64_t  seq; /* 1.. in the order of their making; the tag in records */
	struct service *service;
	char     digest[ARTIFACT_DIGEST_SIZE], commit[41], run[65], by[ACTOR_SIZE], ended_by[ACTOR_SIZE];
	struct rollout ro;
	enum traffic_arm arm;
	unsigned share;          /* of the canary, in ten-thousandths */
	char     from[ID_SIZE];  /* the release before it; empty: none */
	char     superseded_by[ID_SIZE];
	char     cause[CAUSE_SIZE];
	usec_t   created_at, ended_at;
	str      file;           /* service.yaml as it was at the commit; in the arena */
	struct arena arena;
	const struct service_def *def;
	const struct service_environment *env;
	/* not stored */
	enum rollout_order order;
	char     order_by[ACTOR_SIZE];
	int      order_result;   /* 0 or -code, valid once order is NONE again */
	char     order_error[CAUSE_SIZE];
	uint64_t order_count;
	struct judge_params   params; /* what the last verdict was made with */
	struct judge_input    input;
	struct judge_segment  segs[JUDGE_SEGMENTS_MAX];
	struct judge_verdict  verdict;
	struct evidence_counts counts;
	bool     has_verdict, watching;
	bool     reverted;       /* the traffic went back, the transition may not be stored yet: it must not return meanwhile */
	int      failing;        /* code that the last turn failed with: said once */
	usec_t   point_first, point_at; /* first (since weir began) and last chart point */
	struct { uint64_t requests, failed; } gap[2][GAP_CHECKS]; /* counters minus records at the last checks, by arm */
	unsigned n_gap;
	struct traffic_counts last_counters;
	usec_t   drained_at;     /* since when it is over and may be forgotten */
};

struct instance {
	char     name[WORKLOAD_NAME_SIZE];
	char     release[ID_SIZE];
	uint16_t port;
	bool     want;           /* to run, or to go */
	enum traffic_arm arm;
	/* not stored */
	bool     started, in_proxy, healthy, stopping;
	unsigned good;           /* good health answers in a row */
	usec_t   check_at, leaving_since;
	unsigned starts, starts_before; /* starts_before: when it became healthy */
	usec_t   look_at;        /* at the starts of an instance that serves */
	char     met[160];       /* the limit for which it was ended last; empty: none */
};

struct release_room {
	struct release_config cfg;
	char                  data_dir[200], bind[64];
	char                  self[256];
	const char           *guard_argv[3];
	struct db            *db;
	struct workload_process *procs;
	struct workload_ops   work;
	struct traffic_haproxy *proxy;
	struct traffic_ops    traffic;
	struct evidence      *evidence;
	uint16_t              http_port, evidence_port;
	pthread_mutex_t       lock;
	pthread_mutex_t       kick_lock;  /* covers kicked, stop */
	pthread_cond_t        kick;       /* wakes the worker */
	pthread_cond_t        obeyed;     /* an order was obeyed */
	pthread_t             worker, health, keeper;
	pthread_cond_t        tidy;       /* wakes the keeper, at the end */
	bool                  running, stop, kicked;
	int64_t               next_seq;
	usec_t                second_at;  /* next once-a-second work */
	bool                  proxy_down; /* said once */
	VEC(struct service *) services;
	VEC(struct release *) releases;   /* not over, live, warm, or still with instances */
	VEC(struct instance *) instances;
};

/* --- store (release-store.c) --- */
extern const struct db_migration release_migrations[];
extern const size_t              release_n_migrations;

struct store_event {
	enum event_type type;
	str             data; /* JSON object */
};
struct store_change { /* one transaction */
	struct release_room *room;
	const struct release *release;  /* row to write, or NULL */
	const struct service *service;  /* row to write, or NULL */
	const struct evidence_counts *counts; /* of `release`, or NULL */
	struct instance *const *add;    /* instances to write (new, or want changed) */
	size_t           n_add;
	const char      *del_instance;  /* name, or NULL */
	struct store_event events[3];
	size_t           n_events;
	const char      *actor;
	const struct artifact_row *version;
};
struct artifact_row {
	const char *digest, *service, *commit, *run;
	int64_t     bytes;
};
MUST_CHECK int store_write(const struct store_change *c, struct err *reterr);
MUST_CHECK int store_load(struct release_room *room, struct err *reterr); /* services, releases that matter, instances */
MUST_CHECK int store_load_release(struct release_room *room, const char *id, struct release **ret, struct err *reterr); /* -WEIR_ENOENT */
MUST_CHECK int store_save_counts(struct release_room *room, int64_t seq, const struct evidence_counts *c, struct err *reterr);
MUST_CHECK int store_add_point(struct release_room *room, const char *id, usec_t at, str doc, struct err *reterr);
/* Elements of an open array: a project's newest releases; a release's chart points. */
MUST_CHECK int store_list(struct release_room *room, const char *project, struct jw *w, struct err *reterr);
MUST_CHECK int store_points(struct release_room *room, const char *release, struct jw *w, struct err *reterr);
/* Calls fn with the digest of each version that must stay: see keep.c. The lock is held. */
MUST_CHECK int store_kept(struct release_room *room, unsigned newest, int (*fn)(void *arg, str digest, struct err *reterr), void *arg, struct err *reterr);
void release_write(struct jw *w, const struct release *r, bool with_file); /* fields of an open object */
struct release *release_free(struct release *r);
/* Parses r->file and finds its service and environment. */
MUST_CHECK int release_bind(struct release *r, struct err *reterr);

/* --- room (release-room.c); the lock is held --- */
struct service *room_service(struct release_room *room, str id);
struct release *room_release(struct release_room *room, str id);
struct release *room_active(struct release_room *room, const struct service *s); /* newest that is not over, or NULL */
void room_kick(struct release_room *room);
void room_url(const struct release_room *room, const struct traffic_route *route, char *out, size_t size);
void room_version(const struct release *r, char out[16]);

/* --- turn (release-turn.c): the worker's work; the lock is held --- */
void turn_once(struct release_room *room);
void turn_release(struct release_room *room, struct release *r);

/* --- health (release-health.c) --- */
void *turn_health_main(void *room); /* thread */

/* --- keep (keep.c) --- */
void *keep_main(void *room); /* thread */

/* --- acts (release-act.c): carrying out what rollout_next() decided; the lock is held --- */
MUST_CHECK int act_do(struct release_room *room, struct release *r, const struct rollout_step *s, struct err *reterr);
void act_shares(struct release_room *room, struct service *s); /* brings the share of its slot to what the states say */
void act_judge(struct release_room *room, struct release *r);

#endif
