/* flag-usage.h - how often each flag of a set is asked for, and what it gave.
 *
 * Counting takes no lock: a thread takes its table of counts out of its slot, adds, and puts it back. A thread of its own gathers all tables about every ten
 * seconds and at close and adds them to the table flag_usage, one row per flag, variant and hour, so that several servers on one database add up. What
 * a killed server had not written is lost: at most that time's counts. Only flags that are asked for cost anything, and past LIMIT_FLAG_USAGE_CELLS
 * further ones are dropped, with a message.
 *
 * Two figures are kept apart. `asked`: somebody named the flag (a single evaluation, a client's own count). `bulk`: it stood in an answer with all flags of the
 * set, which does not say that anybody reads it. An answer 304 counts nothing: nothing was evaluated. A flag that does not exist counts as an error of
 * the set, never as a row. */
#ifndef WEIR_FLAG_FLAG_USAGE_H
#define WEIR_FLAG_FLAG_USAGE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "db/db.h"
#include "flag/flag-eval.h"

struct flag_usage;
struct flag_tally; /* one thread's counts while it adds */

/* The tables must be there (flag_migrations). The database and clock stay the caller's. */
MUST_CHECK int flag_usage_new(struct db *db, const struct clock *clock, struct flag_usage **ret, struct err *reterr);
MUST_CHECK int flag_usage_start(struct flag_usage *u, struct err *reterr); /* the thread that writes */
struct flag_usage *flag_usage_free(struct flag_usage *u);                 /* writes what is left; NULL fine; returns NULL */

/* --- counting: any thread, no lock, no database. u NULL: nothing is counted --- */

enum flag_usage_how { FLAG_USED_ASKED, FLAG_USED_BULK };
/* Around the adds of one request; not nested in one thread. NULL: nothing is counted (no memory). */
struct flag_tally *flag_usage_begin(struct flag_usage *u);
/* One evaluation of a flag of the set `set` ("shop/production"). t NULL: nothing. now: of the evaluation. */
void flag_usage_add(struct flag_tally *t, str set, const struct flag_answer *a, enum flag_usage_how how, usec_t now);
/* What a client counted by itself: n times this variant ("" : it got none) of a flag, up to the time `at`, counted as asked. The caller makes sure that the set has
 * this flag and the flag this variant: rows are made of them. Times in the future count as now, those before the kept days are dropped. */
void flag_usage_report(struct flag_tally *t, str set, str key, str variant, uint64_t n, usec_t at, usec_t now);
void flag_usage_end(struct flag_usage *u, struct flag_tally *t);

/* Writes what was counted up to now (the thread does it by itself). */
MUST_CHECK int flag_usage_flush(struct flag_usage *u, struct err *reterr);
/* Removes rows past LIMIT_FLAG_USAGE_DAYS and makes one row of each day that is over for two days (the thread does it every hour). */
MUST_CHECK int flag_usage_prune(struct flag_usage *u, struct err *reterr);
/* Prometheus: weir_flag_evaluations_total{set,reason}, weir_flag_evaluations_dropped_total. */
void flag_usage_metrics(struct flag_usage *u, struct buf *out);

/* --- reading: what was written, by any server --- */

struct flag_use {
	str     key, variant; /* variant "": the caller's own default, or an error */
	int64_t asked, bulk;
};
struct flag_last_use {
	str    key;
	usec_t asked, bulk; /* 0: never */
};
/* When counting began in this database: before it nobody can say anything. */
MUST_CHECK int flag_usage_began(struct db_tx *tx, usec_t *ret, struct err *reterr);
/* When counts of this set were dropped for the last time (LIMIT_FLAG_USAGE_CELLS); 0: never. A flag that is not counted may have been used then. */
MUST_CHECK int flag_usage_dropped(struct db_tx *tx, str set, usec_t *ret, struct err *reterr);
/* Counts since the hour of `since`, by key and variant. key STR_NULL: all flags of the set that were used. */
MUST_CHECK int flag_usage_counts(struct db_tx *tx, struct arena *a, str set, str key, usec_t since, struct flag_use **ret, size_t *ret_n, struct err *reterr);
/* The last use of each flag that was ever used since counting began, by key; older than the kept rows, too. */
MUST_CHECK int flag_usage_lasts(struct db_tx *tx, struct arena *a, str set, str key, struct flag_last_use **ret, size_t *ret_n, struct err *reterr);

#endif
