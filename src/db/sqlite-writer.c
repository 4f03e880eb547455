/* sqlite-writer.c - group commit: one thread runs the functions of all db_write() callers.
 *
 * It takes all that wait (up to LIMIT_DB_GROUP), runs each in a savepoint of one transaction and answers after the
 * commit is on disk. A function that fails takes only itself back. When the commit fails, or SQLite gave up the whole transaction,
 * every function of the group that had not failed by itself gets that error: nobody is told of success before the disk has it. */
#include "base/base.h"
#include "db/sqlite.h"

/* Runs one function in its savepoint. False: SQLite gave up the whole transaction; *why says it. */
static bool lite_run_one(struct lite_conn *c, struct lite_write *w, struct err *why)
{
	w->rc = lite_do(c, "SAVEPOINT weir_fn", w->reterr);
	if (!w->rc)
		w->rc = db_run_fn(&w->tx.base, w->fn, w->arg, w->reterr);
	if (sqlite3_get_autocommit(c->h)) {
		if (!w->rc)
			w->rc = err_set(w->reterr, WEIR_EIO, "SQLite took the transaction back");
		(void)err_set(why, w->rc < 0 ? -w->rc : WEIR_EIO, "the transaction was taken back: %s", w->reterr ? w->reterr->msg : "SQLite");
		return false;
	}
	if (w->rc)
		(void)lite_do(c, "ROLLBACK TO weir_fn", NULL);
	(void)lite_do(c, "RELEASE weir_fn", NULL);
	return true;
}

static void lite_answer(struct lite *b, struct lite_write *group)
{
	for (struct lite_write *w = group; w; w = w->next)
		for (unsigned i = 0; !w->rc && i < w->tx.base.n_channels; i++)
			db_fire(b->db, w->tx.base.channels[i]);
	pthread_mutex_lock(&b->lock);
	for (struct lite_write *w = group, *next; w; w = next) {
		next = w->next; /* w is gone with its caller's stack once the lock is free */
		w->done = true;
		pthread_cond_signal(&w->cond);
	}
	pthread_mutex_unlock(&b->lock);
}

/* All that did not fail by themselves get *why. */
static void lite_fail_group(struct lite_write *group, const struct lite_write *end, const struct err *why)
{
	for (struct lite_write *w = group; w && w != end; w = w->next)
		if (!w->rc)
			w->rc = err_set(w->reterr, why->code, "%s", why->msg);
}

static void lite_run_group(struct lite *b, struct lite_write *group)
{
	struct lite_conn *c = b->writer;
	struct err        why = { 0 };

	while (group) {
		struct lite_write *w = group, *rest = NULL, *last = NULL;
		bool               alive = true;

		lite_epoch_begin(b);
		if (lite_do(c, "BEGIN IMMEDIATE", &why)) {
			lite_epoch_end(b);
			lite_fail_group(group, NULL, &why);
			lite_answer(b, group);
			return;
		}
		for (; w && alive; last = w, w = w->next)
			alive = lite_run_one(c, w, &why);
		rest = w; /* those behind the one that broke the transaction get a new one */
		if (last)
			last->next = NULL;
		if (!alive || lite_do(c, "COMMIT", &why)) {
			lite_rollback(c);
			lite_fail_group(group, NULL, &why);
		}
		lite_epoch_end(b); /* before the answer: who is told reads what was written */
		lite_answer(b, group);
		group = rest;
	}
}

/* Takes up to LIMIT_DB_GROUP waiting functions; called with the lock. */
static struct lite_write *lite_take_group(struct lite *b)
{
	struct lite_write *group = b->first, *w = group;

	for (unsigned n = 1; w && w->next && n < LIMIT_DB_GROUP; n++)
		w = w->next;
	if (!w)
		return NULL;
	b->first = w->next;
	w->next = NULL;
	if (!b->first)
		b->last = &b->first;
	for (w = group; w; w = w->next)
		b->n_waiting--;
	return group;
}

void *lite_writer_main(void *arg)
{
	struct lite *b = arg;

	pthread_mutex_lock(&b->lock);
	for (;;) {
		struct lite_write *group = lite_take_group(b);

		if (group) {
			pthread_mutex_unlock(&b->lock);
			lite_run_group(b, group);
			pthread_mutex_lock(&b->lock);
		} else if (b->stop) {
			break;
		} else {
			pthread_cond_wait(&b->work, &b->lock);
		}
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

int lite_write(void *bp, db_fn fn, void *arg, bool in_turn UNUSED, struct err *reterr)
{
	struct lite      *b = bp;
	struct err        own = { 0 };
	struct lite_write w = { .fn = fn, .arg = arg, .reterr = reterr ? reterr : &own };

	w.tx.base.db = b->db;
	w.tx.base.write = true;
	w.tx.conn = b->writer;
	pthread_cond_init(&w.cond, NULL);
	pthread_mutex_lock(&b->lock);
	if (b->n_waiting >= LIMIT_DB_WAITING) {
		w.rc = err_set(reterr, WEIR_EBUSY, "%d writes wait for the database already; try again", LIMIT_DB_WAITING);
		w.done = true;
	} else {
		*b->last = &w;
		b->last = &w.next;
		b->n_waiting++;
		pthread_cond_signal(&b->work);
	}
	while (!w.done)
		pthread_cond_wait(&w.cond, &b->lock);
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&w.cond);
	return w.rc;
}
