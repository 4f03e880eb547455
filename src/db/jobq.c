/* jobq.c - the job queue's one table and its transitions (see jobq.h).
 *
 * The table holds live jobs only: waiting (run_at says from when) or running (worker, lease_until). A finished or dead job's
 * row is deleted in the transaction that tells its owner, so the same (queue, id) can be put again. Every
 * transition is one statement with its precondition in WHERE. Runs in the caller's transaction. */
#include "base/base.h"
#include "base/limits.h"
#include "db/jobq.h"

const struct db_migration jobq_migrations[] = {
	{ "create job queue",
	  "CREATE TABLE jobq (queue @text@ NOT NULL, id @text@ NOT NULL, payload @text@ NOT NULL, labels @text@ NOT NULL,"
	  " state @text@ NOT NULL, attempt @int@ NOT NULL, max_attempts @int@ NOT NULL, run_at @int@ NOT NULL,"
	  " worker @text@ NOT NULL, lease_until @int@ NOT NULL, cause @text@ NOT NULL, PRIMARY KEY (queue, id),"
	  " CHECK (state IN ('waiting', 'running'))) @strict@;"
	  "CREATE INDEX jobq_waiting ON jobq (queue, labels, run_at, id) WHERE state = 'waiting';"
	  "CREATE INDEX jobq_running ON jobq (queue, lease_until) WHERE state = 'running'" },
};
const size_t jobq_n_migrations = ARRAY_SIZE(jobq_migrations);

#define JOBQ_COLUMNS "id, payload, labels, attempt, cause, lease_until, max_attempts"

int jobq_put(struct db_tx *tx, const char *queue, str id, str payload, str labels, int64_t max_attempts, usec_t run_at,
             struct err *reterr)
{
	if (!id.len || max_attempts < 1)
		return err_set(reterr, WEIR_EINVAL, "a job needs an id and at least one attempt");
	return db_exec(tx, reterr,
	               "INSERT INTO jobq (queue, id, payload, labels, state, attempt, max_attempts, run_at, worker, lease_until, cause)"
	               " VALUES ($1, $2, $3, $4, 'waiting', 0, $5, $6, '', 0, '') ON CONFLICT (queue, id) DO NOTHING",
	               "zsssii", queue, id, payload.ptr ? payload : STR("{}"), labels.ptr ? labels : STR(""), max_attempts,
	               (int64_t)run_at);
}

/* Every label must be among the offers; both are comma-separated. */
static bool jobq_offers_all(str labels, str offers)
{
	while (labels.len) {
		str  label, offer, rest = offers;
		bool found = false;

		(void)str_cut(labels, ',', &label, &labels);
		while (rest.len && !found) {
			(void)str_cut(rest, ',', &offer, &rest);
			found = str_eq(offer, label);
		}
		if (!found)
			return false;
	}
	return true;
}

/* Copies the present row of JOBQ_COLUMNS. */
static int jobq_item_copy(struct db_rows *rows, struct arena *a, struct jobq_item *ret, struct err *reterr)
{
	*ret = (struct jobq_item){
		.id = arena_str(a, db_str(rows, 0)),
		.payload = arena_str(a, db_str(rows, 1)),
		.labels = arena_str(a, db_str(rows, 2)),
		.attempt = db_int(rows, 3),
		.cause = arena_str(a, db_str(rows, 4)),
		.lease_until = db_int(rows, 5),
	};
	return arena_check(a, "a job", reterr);
}

/* A job whose lease ran out and that has attempts left. *ret_id STR_NULL: none. */
static int jobq_pick_lost(struct db_tx *tx, const char *queue, str offers, usec_t now, struct arena *a, str *ret_id,
                          struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows,
	                              "SELECT id, labels FROM jobq WHERE queue = $1 AND state = 'running' AND lease_until < $2"
	                              " AND attempt < max_attempts ORDER BY lease_until, id",
	                              "zi", queue, (int64_t)now);

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		rc = 0;
		if (jobq_offers_all(db_str(rows, 1), offers)) {
			*ret_id = arena_str(a, db_str(rows, 0));
			return arena_check(a, "a job", reterr);
		}
	}
	return rc;
}

/* The oldest due job with exactly these labels, if it is older than *run_at. */
static int jobq_oldest(struct db_tx *tx, const char *queue, str labels, usec_t now, struct arena *a, str *id, int64_t *run_at,
                       struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows,
	                              "SELECT id, run_at FROM jobq WHERE queue = $1 AND state = 'waiting' AND labels = $2 AND run_at <= $3"
	                              " ORDER BY run_at, id LIMIT 1",
	                              "zsi", queue, labels, (int64_t)now);

	if (!rc && (rc = db_next(rows, reterr)) == 1) {
		rc = 0;
		if (!id->ptr || db_int(rows, 1) < *run_at || (db_int(rows, 1) == *run_at && str_cmp(db_str(rows, 0), *id) < 0)) {
			*run_at = db_int(rows, 1);
			*id = arena_str(a, db_str(rows, 0));
			rc = arena_check(a, "a job", reterr);
		}
	}
	return rc;
}

/* Oldest waiting job: steps from one distinct label set to the next (there are few, the index finds each at once), so that a
 * thousand jobs for other workers cost nothing. */
static int jobq_pick_waiting(struct db_tx *tx, const char *queue, str offers, usec_t now, struct arena *a, str *ret_id,
                             struct err *reterr)
{
	int64_t run_at = 0;
	str     labels = STR_NULL;
	bool    found = true;
	int     rc = 0;

	while (!rc && found) {
		if (labels.ptr)
			rc = db_get_str(tx, reterr, a, &labels, &found,
			                "SELECT labels FROM jobq WHERE queue = $1 AND state = 'waiting' AND labels > $2 ORDER BY labels LIMIT 1",
			                "zs", queue, labels);
		else
			rc = db_get_str(tx, reterr, a, &labels, &found,
			                "SELECT labels FROM jobq WHERE queue = $1 AND state = 'waiting' ORDER BY labels LIMIT 1", "z", queue);
		if (!rc && found && jobq_offers_all(labels, offers))
			rc = jobq_oldest(tx, queue, labels, now, a, ret_id, &run_at, reterr);
	}
	return rc;
}

int jobq_claim(struct db_tx *tx, const char *queue, str worker, str offers, usec_t now, usec_t lease, struct arena *a,
               struct jobq_item *ret, bool *ret_found, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	str                  id = STR_NULL;
	int                  rc = jobq_pick_lost(tx, queue, offers, now, a, &id, reterr);

	*ret_found = false;
	if (!rc && !id.ptr)
		rc = jobq_pick_waiting(tx, queue, offers, now, a, &id, reterr);
	if (rc || !id.ptr)
		return rc;
	rc = db_query(tx, reterr, &rows,
	              "UPDATE jobq SET state = 'running', attempt = attempt + 1, worker = $3, lease_until = $4,"
	              " cause = CASE WHEN state = 'running' THEN 'lost: lease of ' || worker || ' ran out' ELSE cause END"
	              " WHERE queue = $1 AND id = $2 RETURNING " JOBQ_COLUMNS,
	              "zssi", queue, id, worker, (int64_t)(now + lease));
	if (!rc && (rc = db_next(rows, reterr)) == 1) {
		*ret_found = true;
		rc = jobq_item_copy(rows, a, ret, reterr);
	}
	return rc;
}

/* 0 when a row was changed; else -WEIR_EGONE. */
static int jobq_held(int rc, int64_t n, const char *queue, str id, struct err *reterr)
{
	if (rc || n)
		return rc;
	return err_set(reterr, WEIR_EGONE, "job %.*s of queue %s is no longer held (lost, finished or cancelled)", STR_ARG(id), queue);
}

int jobq_renew(struct db_tx *tx, const char *queue, str id, str worker, usec_t now, usec_t lease, struct err *reterr)
{
	int64_t n = 0;
	int     rc = db_exec_n(tx, reterr, &n,
	                       "UPDATE jobq SET lease_until = $4 WHERE queue = $1 AND id = $2 AND worker = $3 AND state = 'running'", "zssi",
	                       queue, id, worker, (int64_t)(now + lease));

	return jobq_held(rc, n, queue, id, reterr);
}

int jobq_done(struct db_tx *tx, const char *queue, str id, struct err *reterr)
{
	int64_t n = 0;
	int     rc = db_exec_n(tx, reterr, &n, "DELETE FROM jobq WHERE queue = $1 AND id = $2", "zs", queue, id);

	return jobq_held(rc, n, queue, id, reterr);
}

int jobq_retry(struct db_tx *tx, const char *queue, str id, str cause, usec_t run_at, bool *ret_dead, struct err *reterr)
{
	int64_t n = 0;
	int     rc = db_exec_n(tx, reterr, &n,
	                       "UPDATE jobq SET state = 'waiting', run_at = $3, cause = $4, worker = '', lease_until = 0"
	                       " WHERE queue = $1 AND id = $2 AND state = 'running' AND attempt < max_attempts",
	                       "zsis", queue, id, (int64_t)run_at, cause);

	*ret_dead = false;
	if (rc || n)
		return rc;
	rc = db_exec_n(tx, reterr, &n, "DELETE FROM jobq WHERE queue = $1 AND id = $2 AND state = 'running'", "zs", queue, id);
	*ret_dead = !rc && n;
	return jobq_held(rc, n, queue, id, reterr);
}

/* One job whose lease ran out: back to waiting, or out of the table when its attempts are used up. */
static int jobq_reap_one(struct db_tx *tx, const char *queue, usec_t now, struct arena *a, struct jobq_item *ret, bool *ret_dead,
                         bool *ret_found, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows,
	                              "UPDATE jobq SET state = 'waiting', cause = 'lost: lease of ' || worker || ' ran out', worker = '',"
	                              " run_at = $2, lease_until = 0 WHERE queue = $1 AND id = (SELECT id FROM jobq WHERE queue = $1"
	                              " AND state = 'running' AND lease_until < $2 ORDER BY lease_until, id LIMIT 1)"
	                              " RETURNING " JOBQ_COLUMNS,
	                              "zi", queue, (int64_t)now);

	*ret_found = false;
	if (!rc)
		rc = db_next(rows, reterr);
	if (rc != 1)
		return rc;
	*ret_found = true;
	*ret_dead = db_int(rows, 3) >= db_int(rows, 6);
	rc = jobq_item_copy(rows, a, ret, reterr);
	rows = db_rows_close(rows);
	if (!rc && *ret_dead)
		rc = db_exec(tx, reterr, "DELETE FROM jobq WHERE queue = $1 AND id = $2", "zs", queue, ret->id);
	return rc;
}

int jobq_reap(struct db_tx *tx, const char *queue, usec_t now,
              int (*fn)(struct db_tx *tx, const struct jobq_item *item, bool dead, void *ctx, struct err *reterr), void *ctx,
              struct err *reterr)
{
	bool found = true, dead;
	int  rc = 0;

	while (!rc && found) {
		struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_JOBQ_ITEM_BYTES);
		struct jobq_item item;

		rc = jobq_reap_one(tx, queue, now, &a, &item, &dead, &found, reterr);
		if (!rc && found)
			rc = fn(tx, &item, dead, ctx, reterr);
	}
	return rc;
}
