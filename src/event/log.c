/* log.c - opening the log, appending to it, and giving events their place in the order of all projects.
 *
 * Tables: event (append-only facts; the canonical bytes are made of its columns, so that no column can differ from what was hashed),
 * event_head (last seq per project: its row is the lock that makes seq gapless), event_pos (position over all projects).
 * A position must never appear behind one that a reader has passed already. SQLite has one writer, so event_append() hands
 * them out. On PostgreSQL transactions commit in any order; there event_sequence() numbers events after they were committed, under
 * the lock of one row, whoever reads next. event_append() runs in the caller's transaction. */
#include "base/base.h"
#include "base/limits.h"
#include "base/log.h"
#include "event/log.h"

#include <errno.h>

static const struct db_migration event_migrations[] = {
	{ "create event log",
	  "CREATE TABLE event (project @text@ NOT NULL, seq @int@ NOT NULL, time @int@ NOT NULL, type @text@ NOT NULL,"
	  " actor @text@ NOT NULL, data @text@ NOT NULL, hash @blob@ NOT NULL, PRIMARY KEY (project, seq)) @strict@;"
	  "CREATE TABLE event_head (project @text@ NOT NULL PRIMARY KEY, seq @int@ NOT NULL) @strict@;"
	  "CREATE TABLE event_pos (pos @int@ NOT NULL PRIMARY KEY, project @text@ NOT NULL, seq @int@ NOT NULL,"
	  " UNIQUE (project, seq)) @strict@;"
	  "CREATE TABLE event_pos_lock (id @int@ NOT NULL PRIMARY KEY, turns @int@ NOT NULL) @strict@;"
	  "INSERT INTO event_pos_lock (id, turns) VALUES (1, 0);"
	  "CREATE TABLE event_checkpoint (id @int@ NOT NULL PRIMARY KEY, body @text@ NOT NULL, signature @blob@ NOT NULL,"
	  " public_key @blob@ NOT NULL, events @int@ NOT NULL) @strict@;"
	  "CREATE TABLE event_subscriber (name @text@ NOT NULL PRIMARY KEY) @strict@;"
	  "CREATE TABLE event_cursor (subscriber @text@ NOT NULL REFERENCES event_subscriber (name), project @text@ NOT NULL,"
	  " seq @int@ NOT NULL, PRIMARY KEY (subscriber, project)) @strict@" },
};

void event_canonical(const struct event *ev, struct buf *out)
{
	buf_addz(out, "{\"actor\":\"");
	buf_add_json(out, ev->actor);
	buf_addz(out, "\",\"data\":");
	buf_add_str(out, ev->data);
	buf_addz(out, ",\"project\":\"");
	buf_add_json(out, ev->project);
	buf_addf(out, "\",\"seq\":%lld,\"time\":%lld,\"type\":\"", (long long)ev->seq, (long long)ev->time);
	buf_add_json(out, ev->type);
	buf_addz(out, "\"}");
}

int event_hash(const struct event *ev, const unsigned char *previous, unsigned char out[32], struct err *reterr)
{
	static const unsigned char zero[32];
	struct buf b               CLEANUP_BUF = BUF_INIT(LIMIT_EVENT_BYTES + 32);
	int                        rc;

	buf_add(&b, previous ? previous : zero, 32);
	event_canonical(ev, &b);
	rc = buf_check(&b, "an event", reterr);
	if (!rc)
		sha256(buf_str(&b), out);
	return rc;
}

/* --- append --- */

static int event_previous_hash(struct db_tx *tx, str project, int64_t seq, unsigned char out[32], struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows, "SELECT hash FROM event WHERE project = $1 AND seq = $2", "si", project, seq);
	str             hash;

	if (!rc)
		rc = db_next(rows, reterr);
	if (rc < 0)
		return rc;
	hash = rc ? db_str(rows, 0) : STR_NULL;
	if (hash.len != 32)
		return err_set(reterr, WEIR_EIO, "project %.*s: event %lld is missing or damaged; run `weir log verify`", STR_ARG(project),
		               (long long)seq);
	memcpy(out, hash.ptr, 32);
	return 0;
}

static int event_insert(struct db_tx *tx, const struct event *ev, struct err *reterr)
{
	int rc = db_exec(tx, reterr, "INSERT INTO event (project, seq, time, type, actor, data, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
	                 "siisssb", ev->project, ev->seq, (int64_t)ev->time, ev->type, ev->actor, ev->data,
	                 str_n((const char *)ev->hash, 32));

	return rc ? rc : db_notify(tx, EVENT_CHANNEL, reterr);
}

static bool event_name_ok(str s, size_t max) { return s.len <= max && str_utf8_valid(s) && !(s.len && memchr(s.ptr, 0, s.len)); }

int event_append(struct event_log *log, struct db_tx *tx, str project, enum event_type type, str actor, str data, int64_t *ret_seq,
                 struct err *reterr)
{
	struct buf canonical CLEANUP_BUF = BUF_INIT(LIMIT_EVENT_BYTES);
	unsigned char        previous[32];
	struct event         ev = { .project = project.ptr ? project : STR(""), .type = str_z(event_type_name(type)), .actor = actor };
	int                  rc = event_data_check(type, data, &canonical, reterr);

	if (rc)
		return rc;
	if (!actor.len || !event_name_ok(actor, LIMIT_ACTOR_BYTES) || !event_name_ok(project, LIMIT_NAME_BYTES))
		return err_set(reterr, WEIR_EINVAL, "event %s: an actor (1 to %d bytes) and a project name (at most %d) are needed",
		               event_type_name(type), LIMIT_ACTOR_BYTES, LIMIT_NAME_BYTES);
	ev.data = buf_str(&canonical);
	/* the head's row is locked from here to the end of the transaction */
	rc = db_get_int(tx, reterr, &ev.seq, NULL,
	                "INSERT INTO event_head (project, seq) VALUES ($1, 1)"
	                " ON CONFLICT (project) DO UPDATE SET seq = event_head.seq + 1 RETURNING seq", "s", ev.project);
	ev.time = clock_wall(log->clock); /* behind the lock: times grow with seq as far as the clock does */
	if (!rc && ev.seq > 1)
		rc = event_previous_hash(tx, ev.project, ev.seq - 1, previous, reterr);
	if (!rc)
		rc = event_hash(&ev, ev.seq > 1 ? previous : NULL, ev.hash, reterr);
	if (!rc)
		rc = event_insert(tx, &ev, reterr);
	if (!rc && db_is_sqlite(log->db))
		rc = db_exec(tx, reterr,
		             "INSERT INTO event_pos (pos, project, seq) VALUES ((SELECT COALESCE(MAX(pos), 0) + 1 FROM event_pos), $1, $2)", "si",
		             ev.project, ev.seq);
	if (!rc && ret_seq)
		*ret_seq = ev.seq;
	return rc;
}

/* --- positions on PostgreSQL --- */

/* A head's seq that is larger than the project's last position: cheap where all is numbered. */
static int event_pos_pending(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL,
	                  "SELECT COUNT(*) FROM event_head h WHERE h.seq >"
	                  " COALESCE((SELECT MAX(p.seq) FROM event_pos p WHERE p.project = h.project), 0)", "");
}

static int event_pos_assign(struct db_tx *tx, void *arg UNUSED, struct err *reterr)
{
	int rc = db_exec(tx, reterr, "UPDATE event_pos_lock SET turns = turns + 1 WHERE id = 1", ""); /* one server after the other */

	/* by time, but never against a project's own order, whatever the clocks of the servers said */
	return rc ? rc
	          : db_exec(tx, reterr,
	                    "INSERT INTO event_pos (pos, project, seq)"
	                    " SELECT (SELECT COALESCE(MAX(pos), 0) FROM event_pos) + ROW_NUMBER() OVER (ORDER BY n.t, n.project, n.seq),"
	                    " n.project, n.seq FROM (SELECT e.project, e.seq, MAX(e.time) OVER (PARTITION BY e.project ORDER BY e.seq) AS t"
	                    " FROM event_head h JOIN event e ON e.project = h.project AND e.seq >"
	                    " COALESCE((SELECT MAX(p.seq) FROM event_pos p WHERE p.project = h.project), 0)) n", "");
}

int event_sequence(struct event_log *log, struct err *reterr)
{
	int64_t n = 0;
	int     rc;

	if (db_is_sqlite(log->db))
		return 0;
	rc = db_read(log->db, event_pos_pending, &n, reterr);
	if (!rc && n)
		rc = db_write(log->db, event_pos_assign, NULL, reterr);
	return rc;
}

/* --- the handle --- */

static void event_on_news(void *ctx) /* a thread of the db */
{
	struct event_log *log = ctx;

	pthread_mutex_lock(&log->lock);
	log->generation++;
	pthread_cond_broadcast(&log->news);
	for (size_t i = 0; i < log->on_commit.n; i++)
		log->on_commit.v[i].fn(log->on_commit.v[i].ctx);
	pthread_mutex_unlock(&log->lock);
}

int event_on_commit(struct event_log *log, void (*fn)(void *ctx), void *ctx, struct err *reterr)
{
	struct event_commit_fn f = { fn, ctx };
	bool                   ok;

	pthread_mutex_lock(&log->lock);
	ok = VEC_PUSH(&log->on_commit, f);
	pthread_mutex_unlock(&log->lock);
	return ok ? 0 : err_set(reterr, WEIR_ENOMEM, "no memory for a listener of the event log");
}

void event_off_commit(struct event_log *log, void *ctx)
{
	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < log->on_commit.n;)
		if (log->on_commit.v[i].ctx == ctx)
			log->on_commit.v[i] = log->on_commit.v[--log->on_commit.n];
		else
			i++;
	pthread_mutex_unlock(&log->lock);
}

bool event_wait(struct event_log *log, uint64_t *generation, usec_t until)
{
	struct timespec ts = { until / USEC_PER_SEC, (until % USEC_PER_SEC) * 1000 };
	bool            go_on;

	pthread_mutex_lock(&log->lock);
	while (!log->stop && log->generation == *generation)
		if (!until)
			pthread_cond_wait(&log->news, &log->lock);
		else if (pthread_cond_timedwait(&log->news, &log->lock, &ts) == ETIMEDOUT)
			break;
	*generation = log->generation;
	go_on = !log->stop;
	pthread_mutex_unlock(&log->lock);
	return go_on;
}

int event_log_open(struct db *db, const char *key_dir, const struct clock *clock, struct event_log **ret, struct err *reterr)
{
	struct event_log  *log = calloc(1, sizeof(*log));
	pthread_condattr_t attr;
	int                rc = 0;

	if (!log)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the event log");
	log->db = db;
	log->clock = clock;
	pthread_mutex_init(&log->lock, NULL);
	pthread_mutex_init(&log->lease_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&log->news, &attr);
	pthread_condattr_destroy(&attr);
	log->key_dir = strdup(key_dir);
	if (!log->key_dir)
		rc = err_set(reterr, WEIR_ENOMEM, "no memory for the event log");
	if (!rc)
		rc = db_migrate(db, "event", event_migrations, ARRAY_SIZE(event_migrations), reterr);
	if (!rc)
		rc = event_key_open(key_dir, &log->key, reterr);
	if (!rc)
		rc = event_checkpoint_check_key(log, reterr);
	if (!rc)
		rc = db_listen(db, EVENT_CHANNEL, event_on_news, log, &log->listener, reterr);
	if (rc) {
		log->started = false;
		(void)event_log_close(log);
		return rc;
	}
	*ret = log;
	return 0;
}

int event_log_start(struct event_log *log, struct err *reterr)
{
	int rc = event_keeper_start(log, reterr);

	if (!rc)
		rc = event_subscribers_start(log, reterr);
	log->started = !rc;
	return rc;
}

void event_log_stop(struct event_log *log)
{
	pthread_mutex_lock(&log->lock);
	log->stop = true;
	pthread_cond_broadcast(&log->news);
	pthread_mutex_unlock(&log->lock);
	event_subscribers_stop(log);
	event_lease_end(log); /* another server may go on at once */
	event_keeper_stop(log);
}

struct event_log *event_log_close(struct event_log *log)
{
	struct err e = { 0 };

	if (!log)
		return NULL;
	event_log_stop(log);
	db_unlisten(log->listener);
	if (log->listener && event_checkpoint(log, &e))
		log_warn("event", "no checkpoint at the end: %s", e.msg);
	VEC_FINI(&log->on_commit);
	sodium_memzero(&log->key, sizeof(log->key));
	pthread_cond_destroy(&log->news);
	pthread_mutex_destroy(&log->lock);
	pthread_mutex_destroy(&log->lease_lock);
	free(log->key_dir);
	free(log);
	return NULL;
}
