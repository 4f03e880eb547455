/* verify.c - is the log what was written? Recomputes every hash, walks every sequence, checks every signature.
 *
 * Runs in the caller's thread, in one snapshot, page by page (memory does not grow with the log). The first thing that is
 * wrong ends it with -WEIR_EREFUSED and a name for it. */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "event/log.h"

#include <inttypes.h>

enum { PAGE = 500 };

struct verify {
	struct event_verify *out;
	event_key_vec        trusted;
	struct map           heads; /* project -> struct head: as the newest checkpoint so far had it */
	struct buf           kept;  /* newest checkpoint's body, from outside of the database; empty: none */
	bool                 kept_seen;
	bool                 all_have_positions; /* on SQLite; elsewhere the newest may wait for theirs */
};
struct head {
	int64_t seq;
	char    hash[SHA256_HEX];
};
struct chain { /* one stream as far as it was walked */
	str           project;
	int64_t       seq, pos;
	unsigned char hash[32];
};

#define WHERE_FMT      "project %.*s, event %" PRId64 " (%.*s)"
#define WHERE_ARG(ev)  STR_ARG(shown((ev)->project)), (ev)->seq, STR_ARG((ev)->type)

static str shown(str project) { return project.len ? project : STR("-"); }

/* --- one stream --- */

static int verify_event(struct chain *c, const struct event *ev, bool hash_whole, struct err *reterr)
{
	unsigned char want[32];
	int           rc;

	if (ev->seq != c->seq + 1 && ev->seq <= c->seq)
		return err_set(reterr, WEIR_EREFUSED, "project %.*s: event %" PRId64 " is not behind event %" PRId64, STR_ARG(shown(c->project)),
		               ev->seq, c->seq);
	if (ev->seq != c->seq + 1)
		return err_set(reterr, WEIR_EREFUSED, "project %.*s: event %" PRId64 " is missing (the next one is %" PRId64 ")",
		               STR_ARG(shown(c->project)), c->seq + 1, ev->seq);
	rc = event_hash(ev, c->seq ? c->hash : NULL, want, reterr);
	if (rc)
		return rc;
	if (!hash_whole || memcmp(want, ev->hash, 32))
		return err_set(reterr, WEIR_EREFUSED, WHERE_FMT ": stored bytes do not match the hash", WHERE_ARG(ev));
	if (ev->pos && ev->pos <= c->pos)
		return err_set(reterr, WEIR_EREFUSED, WHERE_FMT ": its position %" PRId64 " is not behind the one before it", WHERE_ARG(ev),
		               ev->pos);
	if (ev->pos)
		c->pos = ev->pos;
	c->seq = ev->seq;
	memcpy(c->hash, ev->hash, 32);
	return 0;
}

/* One page. *ret_n: its rows. */
static int verify_page(struct db_tx *tx, struct chain *c, int64_t *ret_n, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT((size_t)PAGE * (LIMIT_EVENT_BYTES + 1024));
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows,
	                              "SELECT " EVENT_COLUMNS ", COALESCE(p.pos, 0) FROM event e LEFT JOIN event_pos p"
	                              " ON p.project = e.project AND p.seq = e.seq WHERE e.project = $1 AND e.seq > $2"
	                              " ORDER BY e.seq LIMIT $3",
	                              "sii", c->project, *ret_n < 0 ? INT64_MIN : c->seq, (int64_t)PAGE);

	*ret_n = 0;
	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct event ev;

		rc = event_of_row(rows, &a, &ev, reterr);
		ev.pos = db_int(rows, 7);
		if (!rc)
			rc = verify_event(c, &ev, db_str(rows, 6).len == 32, reterr);
		++*ret_n;
	}
	return rc;
}

static int verify_stream(struct db_tx *tx, struct verify *v, str project, struct err *reterr)
{
	struct chain c = { .project = project };
	int64_t      n = -1, head = 0; /* -1: the first page begins below 1, so that nothing hides there */
	bool         found;
	int          rc = 0;

	do {
		rc = verify_page(tx, &c, &n, reterr);
		v->out->events += n > 0 ? n : 0;
	} while (!rc && n == PAGE);
	if (!rc)
		rc = db_get_int(tx, reterr, &head, &found, "SELECT seq FROM event_head WHERE project = $1", "s", project);
	if (rc)
		return rc;
	if (head > c.seq)
		return err_set(reterr, WEIR_EREFUSED, "project %.*s: the log ends with event %" PRId64 ", its head says %" PRId64
		               ": the end was cut off", STR_ARG(shown(project)), c.seq, head);
	if (head < c.seq)
		return err_set(reterr, WEIR_EREFUSED, "project %.*s: event %" PRId64 " is behind the stream's head %" PRId64,
		               STR_ARG(shown(project)), c.seq, head);
	v->out->projects++;
	return 0;
}

/* The first project behind `after` that has events or a head. */
static int next_project(struct db_tx *tx, struct arena *a, str *project, bool *ret_found, struct err *reterr)
{
	if (!project->ptr)
		return db_get_str(tx, reterr, a, project, ret_found,
		                  "SELECT project FROM event UNION SELECT project FROM event_head ORDER BY project LIMIT 1", "");
	return db_get_str(tx, reterr, a, project, ret_found,
	                  "SELECT project FROM event WHERE project > $1 UNION SELECT project FROM event_head WHERE project > $1"
	                  " ORDER BY project LIMIT 1", "s", *project);
}

static int verify_streams(struct db_tx *tx, struct verify *v, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	str                         project = STR_NULL;
	bool                        found = true;
	int                         rc = 0;

	while (!rc && found) {
		rc = next_project(tx, &a, &project, &found, reterr);
		if (!rc && found)
			rc = verify_stream(tx, v, project, reterr);
	}
	return rc;
}

/* Positions are an index, not facts; but on them rests that no reader misses an event: 1..n, each for an event. */
static int verify_positions(struct db_tx *tx, const struct verify *v, struct err *reterr)
{
	int64_t n = 0, max = 0, stray = 0;
	int     rc = db_get_int(tx, reterr, &n, NULL, "SELECT COUNT(*) FROM event_pos", "");

	if (!rc)
		rc = db_get_int(tx, reterr, &max, NULL, "SELECT COALESCE(MAX(pos), 0) FROM event_pos", "");
	if (!rc)
		rc = db_get_int(tx, reterr, &stray, NULL,
		                "SELECT COUNT(*) FROM event_pos p LEFT JOIN event e ON e.project = p.project AND e.seq = p.seq WHERE e.seq IS NULL", "");
	if (!rc && v->all_have_positions && n < v->out->events)
		rc = err_set(reterr, WEIR_EREFUSED, "%" PRId64 " events have no position: readers of all projects would miss them",
		             v->out->events - n);
	if (!rc && (n != max || stray))
		rc = err_set(reterr, WEIR_EREFUSED, "the positions of events are not 1 to %" PRId64 " (%" PRId64 " rows, %" PRId64
		             " without an event)", max, n, stray);
	return rc;
}

/* --- checkpoints --- */

struct checkpoint_row {
	int64_t id;
	str     body, signature, key;
};

static int checkpoint_signature(const struct verify *v, const struct checkpoint_row *r, struct err *reterr)
{
	bool trusted = false;

	for (size_t i = 0; i < v->trusted.n && !trusted; i++)
		trusted = str_eq(r->key, str_n((const char *)v->trusted.v[i].b, crypto_sign_PUBLICKEYBYTES));
	if (!trusted)
		return err_set(reterr, WEIR_EREFUSED, "checkpoint %" PRId64 ": signed with a key that event.pub does not list", r->id);
	if (r->signature.len != crypto_sign_BYTES ||
	    crypto_sign_verify_detached((const unsigned char *)r->signature.ptr, (const unsigned char *)r->body.ptr, r->body.len,
	                                (const unsigned char *)r->key.ptr))
		return err_set(reterr, WEIR_EREFUSED, "checkpoint %" PRId64 ": the signature does not fit what it says", r->id);
	return 0;
}

static int checkpoint_hash_at(struct db_tx *tx, str project, int64_t seq, char out[SHA256_HEX], bool *ret_found, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows, "SELECT hash FROM event WHERE project = $1 AND seq = $2", "si", project, seq);

	if (!rc)
		rc = db_next(rows, reterr);
	*ret_found = rc == 1;
	if (rc == 1 && db_str(rows, 0).len == 32)
		hex_of((const unsigned char *)db_str(rows, 0).ptr, 32, out);
	else
		out[0] = 0;
	return rc < 0 ? rc : 0;
}

/* One head of a checkpoint against the log; the same as in the checkpoint before needs no second look. */
static int checkpoint_head(struct db_tx *tx, struct verify *v, int64_t id, const struct doc_node *n, struct err *reterr)
{
	str          project = doc_get_str(n, "project"), hash = doc_get_str(n, "hash");
	int64_t      seq = doc_get_int(n, "seq", 0);
	struct head *h = map_get(&v->heads, project);
	char         stored[SHA256_HEX];
	bool         found;
	int          rc;

	if (h && h->seq == seq && str_eqz(hash, h->hash))
		return 0;
	if (h && seq <= h->seq)
		return err_set(reterr, WEIR_EREFUSED, "checkpoint %" PRId64 ": project %.*s goes back from event %" PRId64 " to %" PRId64, id,
		               STR_ARG(shown(project)), h->seq, seq);
	rc = checkpoint_hash_at(tx, project, seq, stored, &found, reterr);
	if (rc)
		return rc;
	if (!found)
		return err_set(reterr, WEIR_EREFUSED, "project %.*s: checkpoint %" PRId64 " signed event %" PRId64
		               ", which is not in the log: the end was cut off", STR_ARG(shown(project)), id, seq);
	if (!str_eqz(hash, stored))
		return err_set(reterr, WEIR_EREFUSED, "project %.*s, event %" PRId64 ": it is not the one that checkpoint %" PRId64 " signed",
		               STR_ARG(shown(project)), seq, id);
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h || !map_put(&v->heads, project, h, NULL)) {
			free(h);
			return err_set(reterr, WEIR_ENOMEM, "no memory for a checkpoint");
		}
	}
	h->seq = seq;
	(void)snprintf(h->hash, sizeof(h->hash), "%s", stored);
	return 0;
}

static int verify_checkpoint(struct db_tx *tx, struct verify *v, const struct checkpoint_row *r, int64_t id, const char *previous,
                             struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	struct doc_node            *body;
	const struct doc_node      *heads;
	int                         rc;

	if (r->id != id)
		return err_set(reterr, WEIR_EREFUSED, "checkpoint %" PRId64 " is missing (the next one is %" PRId64 ")", id, r->id);
	rc = checkpoint_signature(v, r, reterr);
	if (!rc)
		rc = doc_parse_json(&a, "checkpoint", r->body, &body, reterr);
	if (rc)
		return rc;
	if (doc_get_int(body, "id", 0) != id || !str_eqz(doc_get_str(body, "previous"), previous))
		return err_set(reterr, WEIR_EREFUSED, "checkpoint %" PRId64 ": it does not follow the one before it", id);
	heads = doc_get(body, "heads");
	for (size_t i = 0; i < doc_len(heads) && !rc; i++)
		rc = checkpoint_head(tx, v, id, doc_at(heads, i), reterr);
	v->kept_seen = v->kept_seen || str_eq(r->body, buf_str(&v->kept));
	v->out->checkpoints += !rc;
	return rc;
}

static int checkpoint_read(struct db_tx *tx, int64_t after, struct arena *a, struct checkpoint_row *r, bool *ret_found,
                           struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows,
	                              "SELECT id, body, signature, public_key FROM event_checkpoint WHERE id > $1 ORDER BY id LIMIT 1", "i", after);

	if (!rc)
		rc = db_next(rows, reterr);
	*ret_found = rc == 1;
	if (rc != 1)
		return rc;
	*r = (struct checkpoint_row){ db_int(rows, 0), arena_str(a, db_str(rows, 1)), arena_str(a, db_str(rows, 2)),
		                          arena_str(a, db_str(rows, 3)) };
	return arena_check(a, "a checkpoint", reterr);
}

static int verify_checkpoints(struct db_tx *tx, struct verify *v, struct err *reterr)
{
	char    previous[SHA256_HEX] = "";
	int64_t id = INT64_MIN, want = 1;
	bool    found = true;
	int     rc = 0;

	while (!rc && found) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(2 * LIMIT_CHECKPOINT_BYTES);
		struct checkpoint_row       r;

		rc = checkpoint_read(tx, id, &a, &r, &found, reterr);
		if (rc || !found)
			break;
		rc = verify_checkpoint(tx, v, &r, want++, previous, reterr);
		id = r.id;
		sha256_hex(r.body, previous);
	}
	if (!rc && v->kept.len && !v->kept_seen)
		rc = err_set(reterr, WEIR_EREFUSED, "the newest checkpoint that this server signed (event.checkpoint beside its key) is not in the"
		             " database: the log was cut off or replaced by an older one");
	return rc;
}

static int verify_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct verify *v = arg;
	int            rc = verify_streams(tx, v, reterr);

	if (!rc)
		rc = verify_checkpoints(tx, v, reterr);
	return rc ? rc : verify_positions(tx, v, reterr);
}

int event_verify(struct db *db, const char *key_dir, struct event_verify *ret, struct err *reterr)
{
	struct event_verify out = { 0 };
	struct verify       v = { .out = &out, .trusted = VEC_INIT, .heads = MAP_INIT, .kept = BUF_INIT(LIMIT_CHECKPOINT_BYTES),
		                .all_have_positions = db_is_sqlite(db) };
	bool                found;
	int                 rc = event_keys_trusted(key_dir, &v.trusted, reterr);

	if (!rc)
		rc = event_checkpoint_kept(key_dir, &v.kept, &found, reterr);
	if (!rc)
		rc = db_read(db, verify_fn, &v, reterr);
	for (struct map_entry *e = map_next(&v.heads, NULL); e; e = map_next(&v.heads, e))
		free(e->value);
	map_fini(&v.heads);
	VEC_FINI(&v.trusted);
	buf_fini(&v.kept);
	if (!rc)
		*ret = out;
	return rc;
}

/* --- against a backup --- */

struct against { /* walks the backup; for each event the log is asked in its own snapshot */
	struct db_tx *log;
	struct db    *backup;
};

static int against_event(struct db_tx *log, const struct event *b, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(2 * LIMIT_EVENT_BYTES);
	struct db_rows *rows CLEANUP_ROWS = NULL;
	struct event    l;
	int             rc = db_query(log, reterr, &rows, "SELECT " EVENT_COLUMNS " FROM event e WHERE e.project = $1 AND e.seq = $2", "si",
	                              b->project, b->seq);

	if (!rc)
		rc = db_next(rows, reterr);
	if (rc == 0)
		return err_set(reterr, WEIR_EREFUSED, WHERE_FMT ": it is in the backup and not in the log", WHERE_ARG(b));
	if (rc == 1)
		rc = event_of_row(rows, &a, &l, reterr);
	if (!rc && (memcmp(l.hash, b->hash, 32) || l.time != b->time || !str_eq(l.type, b->type) || !str_eq(l.actor, b->actor) ||
	            !str_eq(l.data, b->data)))
		rc = err_set(reterr, WEIR_EREFUSED, WHERE_FMT ": it differs from the backup", WHERE_ARG(b));
	return rc;
}

static int against_page(struct db_tx *tx, const struct against *g, str project, int64_t *seq, bool *ret_more, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT((size_t)PAGE * (LIMIT_EVENT_BYTES + 1024));
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             n = 0;
	int             rc = db_query(tx, reterr, &rows, "SELECT " EVENT_COLUMNS " FROM event e WHERE e.project = $1 AND e.seq > $2"
	                              " ORDER BY e.seq LIMIT $3", "sii", project, *seq, (int64_t)PAGE);

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct event b;

		rc = event_of_row(rows, &a, &b, reterr);
		if (!rc)
			rc = against_event(g->log, &b, reterr);
		*seq = b.seq;
		n++;
	}
	*ret_more = n == PAGE;
	return rc;
}

static int against_backup_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	const struct against *g = arg;
	struct arena a        CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	str                   project = STR_NULL;
	bool                  found = true;
	int                   rc = 0;

	while (!rc && found) {
		int64_t seq = INT64_MIN;
		bool    more = true;

		rc = next_project(tx, &a, &project, &found, reterr);
		while (!rc && found && more)
			rc = against_page(tx, g, project, &seq, &more, reterr);
	}
	return rc;
}

static int against_log_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct against *g = arg;

	g->log = tx;
	return db_read(g->backup, against_backup_fn, g, reterr);
}

int event_verify_against(struct db *db, const char *key_dir, const char *backup_path, struct event_verify *ret, struct err *reterr)
{
	struct buf url CLEANUP_BUF = BUF_INIT(8192);
	struct against g = { 0 };
	int            rc = event_verify(db, key_dir, ret, reterr);

	if (rc)
		return rc;
	if (!fs_exists(backup_path))
		return err_set(reterr, WEIR_ENOENT, "there is no backup %s", backup_path);
	buf_addf(&url, "sqlite:%s", backup_path);
	rc = buf_check(&url, "the path of a backup", reterr);
	if (!rc)
		rc = db_open(buf_z(&url), &g.backup, reterr);
	if (rc)
		return err_wrap(reterr, "backup %s", backup_path);
	rc = db_read(db, against_log_fn, &g, reterr);
	db_close(g.backup);
	return rc;
}
