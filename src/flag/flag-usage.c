/* flag-usage.c - counting how often flags are asked for (see flag-usage.h).
 *
 * A tally is a hash table of counts that one thread at a time owns: it takes it out of its slot by an atomic exchange, adds, and puts it back by another; a slot
 * that is empty (the writer has just taken its tally) means a fresh one. Two threads that share a slot hand a second tally to a list. Nobody waits.
 * The writer's thread merges all tallies into `pending` and writes that in portions; what could not be written is kept and tried again. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "flag/flag-usage.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { SLOTS = 64, CACHE_LINE = 64, FLUSH_S = 10, PRUNE_S = 3600, PORTION = 1000, FIRST_SLOTS = 256, HOURS_KEPT_APART = 48 };
#define USEC_PER_HOUR (3600 * USEC_PER_SEC)

/* Reasons of answers, and what clients counted by themselves. */
enum { REASON_REPORTED = FLAG_ERROR + 1, N_REASONS };

struct cell { /* one flag, variant and hour */
	uint64_t hash;
	uint32_t set;  /* index */
	uint32_t text; /* where its key begins in the texts; the variant follows */
	uint16_t key_len, variant_len;
	int32_t  hour;
	uint64_t asked, bulk;
	usec_t   last_asked, last_bulk;
};
struct tally_set {
	char    *id;
	uint64_t reasons[N_REASONS];
	uint64_t dropped;
};
struct flag_tally {
	struct flag_tally *next; /* in the list of handed over ones */
	VEC(struct tally_set) sets;
	VEC(struct cell) cells;
	VEC(char) texts;
	uint32_t *slots; /* index + 1 of a cell; 0: free */
	size_t    n_slots; /* a power of two */
};

struct slot {
	_Alignas(CACHE_LINE) _Atomic(struct flag_tally *) tally;
};
struct flag_usage {
	struct slot slots[SLOTS];
	_Atomic(struct flag_tally *) handed_over;
	struct db          *db;
	const struct clock *clock;
	pthread_mutex_t     lock;    /* of the two that follow; among those who gather, never of those who count */
	struct flag_tally  *pending; /* gathered, not written */
	struct map          totals;  /* set -> struct total; since start */
	pthread_mutex_t     writing; /* one writes at a time */
	pthread_mutex_t     turn_lock;
	pthread_cond_t      turn;
	bool                stop, started;
	pthread_t           writer;
};
struct total {
	uint64_t reasons[N_REASONS], dropped;
};

/* --- tallies --- */

static struct flag_tally *tally_free(struct flag_tally *t)
{
	if (!t)
		return NULL;
	for (size_t i = 0; i < t->sets.n; i++)
		free(t->sets.v[i].id);
	VEC_FINI(&t->sets);
	VEC_FINI(&t->cells);
	VEC_FINI(&t->texts);
	free(t->slots);
	free(t);
	return NULL;
}

static struct flag_tally *tally_new(void)
{
	struct flag_tally *t = calloc(1, sizeof(*t));

	if (t && !(t->slots = calloc(FIRST_SLOTS, sizeof(*t->slots)))) {
		free(t);
		return NULL;
	}
	if (t)
		t->n_slots = FIRST_SLOTS;
	return t;
}

/* Index of the set; -1: no memory. Newest first: the adds of one request are of one set. */
static ssize_t set_index(struct flag_tally *t, str id)
{
	struct tally_set s = { .id = NULL };

	for (size_t i = t->sets.n; i-- > 0;)
		if (str_eqz(id, t->sets.v[i].id))
			return (ssize_t)i;
	if (!(s.id = str_dup(id)))
		return -1;
	if (!VEC_PUSH(&t->sets, s)) {
		free(s.id);
		return -1;
	}
	return (ssize_t)t->sets.n - 1;
}

static str key_of(const struct flag_tally *t, const struct cell *c) { return str_n(t->texts.v + c->text, c->key_len); }
static str variant_of(const struct flag_tally *t, const struct cell *c) { return str_n(t->texts.v + c->text + c->key_len, c->variant_len); }

static uint64_t mix(uint64_t h, size_t set, str variant, int32_t hour)
{
	h ^= (uint64_t)set * 0x9e3779b97f4a7c15u ^ (uint64_t)(uint32_t)hour * 0xff51afd7ed558ccdu;
	for (size_t i = 0; i < variant.len; i++)
		h = (h ^ (unsigned char)variant.ptr[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static bool grow(struct flag_tally *t)
{
	size_t    n = t->n_slots * 2;
	uint32_t *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t at = t->cells.v[i].hash & (n - 1);

		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	return true;
}

static bool add_text(struct flag_tally *t, str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!VEC_PUSH(&t->texts, s.ptr[i]))
			return false;
	return true;
}

static struct cell *cell_new(struct flag_tally *t, size_t at, const struct cell *like, str key, str variant)
{
	struct cell c = *like;

	c.text = (uint32_t)t->texts.n;
	if (t->cells.n >= LIMIT_FLAG_USAGE_CELLS || !add_text(t, key) || !add_text(t, variant) || !VEC_PUSH(&t->cells, c))
		return NULL;
	t->slots[at] = (uint32_t)t->cells.n;
	if (t->cells.n * 2 > t->n_slots && !grow(t) && t->cells.n + 1 >= t->n_slots) { /* full: without room to probe nothing may be added */
		t->slots[at] = 0;
		t->cells.n--;
		return NULL;
	}
	return &t->cells.v[t->cells.n - 1];
}

/* The cell of (set, key, variant, hour), made when it is new; NULL: the limit is met, or there is no memory. */
static struct cell *cell_of(struct flag_tally *t, size_t set, str key, uint64_t key_hash, str variant, int32_t hour)
{
	struct cell like = { .hash = mix(key_hash, set, variant, hour), .set = (uint32_t)set, .hour = hour, .key_len = (uint16_t)key.len,
						 .variant_len = (uint16_t)variant.len };
	size_t      at = like.hash & (t->n_slots - 1);

	for (; t->slots[at]; at = (at + 1) & (t->n_slots - 1)) {
		struct cell *c = &t->cells.v[t->slots[at] - 1];

		if (c->hash == like.hash && c->set == set && c->hour == hour && str_eq(key, key_of(t, c)) && str_eq(variant, variant_of(t, c)))
			return c;
	}
	return cell_new(t, at, &like, key, variant);
}

static usec_t later(usec_t a, usec_t b) { return a > b ? a : b; }

/* Adds all of `from` to `to`; what finds no room counts as dropped. */
static void merge(struct flag_tally *to, const struct flag_tally *from)
{
	for (size_t i = 0; i < from->sets.n; i++) {
		ssize_t set = set_index(to, str_z(from->sets.v[i].id));

		if (set >= 0)
			to->sets.v[set].dropped += from->sets.v[i].dropped;
	}
	for (size_t i = 0; i < from->cells.n; i++) {
		const struct cell *c = &from->cells.v[i];
		str                key = key_of(from, c);
		ssize_t            set = set_index(to, str_z(from->sets.v[c->set].id));
		uint64_t           h;
		struct cell       *sum;

		if (set < 0 || (!c->asked && !c->bulk))
			continue;
		crypto_shorthash((unsigned char *)&h, (const unsigned char *)key.ptr, key.len, (const unsigned char[crypto_shorthash_KEYBYTES]){ 0 });
		if (!(sum = cell_of(to, (size_t)set, key, h, variant_of(from, c), c->hour))) {
			to->sets.v[set].dropped += c->asked + c->bulk;
			continue;
		}
		sum->asked += c->asked;
		sum->bulk += c->bulk;
		sum->last_asked = later(sum->last_asked, c->last_asked);
		sum->last_bulk = later(sum->last_bulk, c->last_bulk);
	}
}

/* --- counting --- */

static atomic_uint            next_slot;
static _Thread_local unsigned own_slot; /* number + 1 */

static struct slot *slot_of_thread(struct flag_usage *u)
{
	if (!own_slot)
		own_slot = atomic_fetch_add(&next_slot, 1) % SLOTS + 1;
	return &u->slots[own_slot - 1];
}

struct flag_tally *flag_usage_begin(struct flag_usage *u)
{
	struct flag_tally *t = u ? atomic_exchange(&slot_of_thread(u)->tally, NULL) : NULL;

	return t || !u ? t : tally_new();
}

static void hand_over(struct flag_usage *u, struct flag_tally *t)
{
	t->next = atomic_load(&u->handed_over);
	while (!atomic_compare_exchange_weak(&u->handed_over, &t->next, t)) /* taken all at once only: no ABA */
		;
}

void flag_usage_end(struct flag_usage *u, struct flag_tally *t)
{
	struct flag_tally *other = t ? atomic_exchange(&slot_of_thread(u)->tally, t) : NULL;

	if (other)
		hand_over(u, other);
}

static void count(struct flag_tally *t, size_t set, str key, uint64_t hash, str variant, enum flag_usage_how how, uint64_t n, usec_t at)
{
	struct cell *c = cell_of(t, set, key, hash, variant, (int32_t)(at / USEC_PER_HOUR));

	if (!c) {
		t->sets.v[set].dropped += n;
	} else if (how == FLAG_USED_BULK) {
		c->bulk += n;
		c->last_bulk = later(c->last_bulk, at);
	} else {
		c->asked += n;
		c->last_asked = later(c->last_asked, at);
	}
}

void flag_usage_add(struct flag_tally *t, str set, const struct flag_answer *a, enum flag_usage_how how, usec_t now)
{
	ssize_t i = t ? set_index(t, set) : -1;

	if (i < 0)
		return;
	t->sets.v[i].reasons[a->reason]++;
	if (a->flag)
		count(t, (size_t)i, a->flag->key, a->flag->hash, a->variant ? a->variant->name : STR(""), how, 1, now);
}

void flag_usage_report(struct flag_tally *t, str set, str key, str variant, uint64_t n, usec_t at, usec_t now)
{
	ssize_t  i = t ? set_index(t, set) : -1;
	uint64_t h;

	if (i < 0 || !n || !key.len || key.len > LIMIT_FLAG_KEY_BYTES || variant.len > LIMIT_FLAG_KEY_BYTES)
		return;
	if (at > now)
		at = now;
	if (at < now - LIMIT_FLAG_USAGE_DAYS * 24 * USEC_PER_HOUR)
		return;
	if (n > UINT32_MAX) /* nobody asks that often between two reports; sums must stay far from the end of the column */
		n = UINT32_MAX;
	t->sets.v[i].reasons[REASON_REPORTED] += n;
	crypto_shorthash((unsigned char *)&h, (const unsigned char *)key.ptr, key.len, (const unsigned char[crypto_shorthash_KEYBYTES]){ 0 });
	count(t, (size_t)i, key, h, variant.ptr ? variant : STR(""), FLAG_USED_ASKED, n, at);
}

/* --- gathering; with u->lock --- */

static void take_totals(struct flag_usage *u, const struct flag_tally *t)
{
	for (size_t i = 0; i < t->sets.n; i++) {
		const struct tally_set *s = &t->sets.v[i];
		struct total           *sum = map_get(&u->totals, str_z(s->id));

		if (!sum && (sum = calloc(1, sizeof(*sum))) && !map_put(&u->totals, str_z(s->id), sum, NULL)) {
			free(sum);
			sum = NULL;
		}
		for (size_t k = 0; sum && k < N_REASONS; k++)
			sum->reasons[k] += s->reasons[k];
	}
}

static void take(struct flag_usage *u, struct flag_tally *t)
{
	if (t) {
		take_totals(u, t);
		merge(u->pending, t);
		tally_free(t);
	}
}

/* A thread that counts at this moment holds its tally: it is taken the next time. */
static void gather(struct flag_usage *u)
{
	struct flag_tally *t = atomic_exchange(&u->handed_over, NULL);

	while (t) {
		struct flag_tally *next = t->next;

		take(u, t);
		t = next;
	}
	for (size_t i = 0; i < SLOTS; i++)
		take(u, atomic_exchange(&u->slots[i].tally, NULL));
}

/* --- writing --- */

struct portion {
	const struct flag_tally  *t;
	struct cell             **cells; /* by set, key, variant, hour: two servers meet the rows in one order */
	size_t                    n;
};

static int write_cell(struct db_tx *tx, const struct flag_tally *t, const struct cell *c, struct err *reterr)
{
	const char *set = t->sets.v[c->set].id;
	str         key = key_of(t, c);
	int         rc = db_exec(tx, reterr,
							 "INSERT INTO flag_usage (set_id, flag, variant, hour, asked, bulk) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (set_id, flag, variant, hour)"
							 " DO UPDATE SET asked = flag_usage.asked + excluded.asked, bulk = flag_usage.bulk + excluded.bulk",
							 "zssiii", set, key, variant_of(t, c), (int64_t)c->hour, (int64_t)c->asked, (int64_t)c->bulk);

	return rc ? rc
			  : db_exec(tx, reterr,
						"INSERT INTO flag_last_use (set_id, flag, asked, bulk) VALUES ($1, $2, $3, $4) ON CONFLICT (set_id, flag) DO UPDATE SET"
						" asked = CASE WHEN excluded.asked > flag_last_use.asked THEN excluded.asked ELSE flag_last_use.asked END,"
						" bulk = CASE WHEN excluded.bulk > flag_last_use.bulk THEN excluded.bulk ELSE flag_last_use.bulk END",
						"zsii", set, key, c->last_asked, c->last_bulk);
}

static int portion_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct portion *p = arg;
	int             rc = 0;

	for (size_t i = 0; !rc && i < p->n; i++)
		rc = write_cell(tx, p->t, p->cells[i], reterr);
	return rc;
}

static int by_row(const void *pa, const void *pb, void *tally)
{
	const struct cell *a = *(struct cell *const *)pa, *b = *(struct cell *const *)pb;
	const struct flag_tally *t = tally;
	int                      d = strcmp(t->sets.v[a->set].id, t->sets.v[b->set].id);

	if (!d)
		d = str_cmp(key_of(t, a), key_of(t, b));
	if (!d)
		d = str_cmp(variant_of(t, a), variant_of(t, b));
	return d ? d : (a->hour > b->hour) - (a->hour < b->hour);
}

struct drops {
	struct flag_tally *t;
	usec_t             now;
};

static int drops_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct drops *d = arg;
	int           rc = 0;

	for (size_t i = 0; !rc && i < d->t->sets.n; i++)
		if (d->t->sets.v[i].dropped)
			rc = db_exec(tx, reterr,
						 "INSERT INTO flag_usage_state (set_id, began_at, dropped_at) VALUES ($1, 0, $2) ON CONFLICT (set_id) DO UPDATE SET dropped_at = excluded.dropped_at",
						 "zi", d->t->sets.v[i].id, d->now);
	return rc;
}

/* What was dropped is said, counted, and kept for those who ask whether a flag was used. */
static int write_drops(struct flag_usage *u, struct flag_tally *t, struct err *reterr)
{
	struct drops d = { t, clock_wall(u->clock) };
	uint64_t     all = 0;
	int          rc;

	for (size_t i = 0; i < t->sets.n; i++)
		all += t->sets.v[i].dropped;
	if (!all || (rc = db_write_in_turn(u->db, drops_tx, &d, reterr)))
		return all ? rc : 0;
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < t->sets.n; i++) {
		struct total *sum = t->sets.v[i].dropped ? map_get(&u->totals, str_z(t->sets.v[i].id)) : NULL;

		if (sum)
			sum->dropped += t->sets.v[i].dropped;
		t->sets.v[i].dropped = 0;
	}
	pthread_mutex_unlock(&u->lock);
	log_warn("flag", "%llu evaluations were not counted: more than %d flags and variants were used within %d s", (unsigned long long)all, LIMIT_FLAG_USAGE_CELLS,
			 FLUSH_S);
	return 0;
}

/* Writes t; *ret_written: how many of the cells in order are on disk. */
static int write_tally(struct flag_usage *u, struct flag_tally *t, struct cell **order, size_t *ret_written, struct err *reterr)
{
	int rc = write_drops(u, t, reterr);

	*ret_written = 0;
	for (size_t i = 0; i < t->cells.n; i++)
		order[i] = &t->cells.v[i];
	if (t->cells.n)
		qsort_r(order, t->cells.n, sizeof(*order), by_row, t);
	while (!rc && *ret_written < t->cells.n) {
		struct portion p = { t, order + *ret_written, t->cells.n - *ret_written };

		p.n = p.n > PORTION ? PORTION : p.n;
		if (!(rc = db_write_in_turn(u->db, portion_tx, &p, reterr)))
			*ret_written += p.n;
	}
	return rc;
}

static int flush_tally(struct flag_usage *u, struct flag_tally *t, struct err *reterr)
{
	struct cell **order = calloc(t->cells.n + 1, sizeof(*order));
	size_t        written = 0;
	int           rc = order ? write_tally(u, t, order, &written, reterr) : err_set(reterr, WEIR_ENOMEM, "counts of flags");

	if (rc) { /* the rest goes back */
		for (size_t i = 0; i < written; i++)
			order[i]->asked = order[i]->bulk = 0;
		pthread_mutex_lock(&u->lock);
		merge(u->pending, t);
		pthread_mutex_unlock(&u->lock);
	}
	free(order);
	tally_free(t);
	return rc;
}

int flag_usage_flush(struct flag_usage *u, struct err *reterr)
{
	struct flag_tally *t = NULL, *fresh;
	int                rc = 0;

	pthread_mutex_lock(&u->writing);
	fresh = tally_new();
	pthread_mutex_lock(&u->lock);
	gather(u);
	if (fresh) {
		t = u->pending;
		u->pending = fresh;
	}
	pthread_mutex_unlock(&u->lock);
	rc = t ? flush_tally(u, t, reterr) : err_set(reterr, WEIR_ENOMEM, "counts of flags");
	pthread_mutex_unlock(&u->writing);
	return rc;
}

/* --- old rows --- */

static int prune_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	int64_t now = *(const int64_t *)arg / USEC_PER_HOUR, apart = (now - HOURS_KEPT_APART) / 24 * 24;
	int     rc = db_exec(tx, reterr, "DELETE FROM flag_usage WHERE hour < $1", "i", now - (int64_t)LIMIT_FLAG_USAGE_DAYS * 24);

	if (!rc) /* after some days the hours of a day become one row, that of its first hour */
		rc = db_exec(tx, reterr,
					 "INSERT INTO flag_usage (set_id, flag, variant, hour, asked, bulk) SELECT set_id, flag, variant, hour / 24 * 24, SUM(asked), SUM(bulk) FROM flag_usage"
					 " WHERE hour < $1 AND hour % 24 <> 0 GROUP BY set_id, flag, variant, hour / 24 * 24 ON CONFLICT (set_id, flag, variant, hour)"
					 " DO UPDATE SET asked = flag_usage.asked + excluded.asked, bulk = flag_usage.bulk + excluded.bulk",
					 "i", apart);
	return rc ? rc : db_exec(tx, reterr, "DELETE FROM flag_usage WHERE hour < $1 AND hour % 24 <> 0", "i", apart);
}

int flag_usage_prune(struct flag_usage *u, struct err *reterr)
{
	int64_t now = clock_wall(u->clock);

	return db_write_in_turn(u->db, prune_tx, &now, reterr);
}

/* --- the writer's thread --- */

/* True: stop. */
static bool wait_turn(struct flag_usage *u)
{
	struct timespec until;
	bool            stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += FLUSH_S;
	pthread_mutex_lock(&u->turn_lock);
	while (!u->stop && pthread_cond_timedwait(&u->turn, &u->turn_lock, &until) != ETIMEDOUT)
		;
	stop = u->stop;
	pthread_mutex_unlock(&u->turn_lock);
	return stop;
}

static void *write_turns(void *arg)
{
	struct flag_usage *u = arg;
	usec_t             pruned = 0;
	bool               told = false;

	while (!wait_turn(u)) {
		struct err e = { 0 };
		int        rc = flag_usage_flush(u, &e);

		if (!rc && (!pruned || clock_mono(u->clock) - pruned > PRUNE_S * USEC_PER_SEC) && !(rc = flag_usage_prune(u, &e)))
			pruned = clock_mono(u->clock);
		if (rc && !told)
			log_error("flag", "counts of flags cannot be written, they are kept and tried again every %d s: %s", FLUSH_S, e.msg);
		told = rc != 0;
	}
	return NULL;
}

/* --- life --- */

static int began_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_exec(tx, reterr, "INSERT INTO flag_usage_state (set_id, began_at, dropped_at) VALUES ('', $1, 0) ON CONFLICT (set_id) DO NOTHING", "i", *(int64_t *)arg);
}

int flag_usage_new(struct db *db, const struct clock *clock, struct flag_usage **ret, struct err *reterr)
{
	struct flag_usage *u = aligned_alloc(CACHE_LINE, sizeof(*u));
	pthread_condattr_t attr;
	int64_t            now = clock_wall(clock);

	*ret = NULL;
	if (!u)
		return err_set(reterr, WEIR_ENOMEM, "counts of flags");
	memset(u, 0, sizeof(*u));
	u->db = db;
	u->clock = clock;
	map_init(&u->totals);
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->writing, NULL);
	pthread_mutex_init(&u->turn_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&u->turn, &attr);
	pthread_condattr_destroy(&attr);
	*ret = u;
	if (!(u->pending = tally_new()))
		return err_set(reterr, WEIR_ENOMEM, "counts of flags");
	return db_write(db, began_tx, &now, reterr);
}

int flag_usage_start(struct flag_usage *u, struct err *reterr)
{
	if (pthread_create(&u->writer, NULL, write_turns, u))
		return err_set(reterr, WEIR_EINTERNAL, "flags: cannot start the thread that writes counts");
	u->started = true;
	return 0;
}

static void stop_writer(struct flag_usage *u)
{
	pthread_mutex_lock(&u->turn_lock);
	u->stop = true;
	pthread_cond_signal(&u->turn);
	pthread_mutex_unlock(&u->turn_lock);
	if (u->started)
		pthread_join(u->writer, NULL);
}

struct flag_usage *flag_usage_free(struct flag_usage *u)
{
	struct err e = { 0 };

	if (!u)
		return NULL;
	stop_writer(u);
	if (u->pending && flag_usage_flush(u, &e))
		log_warn("flag", "the last counts of flags are lost: %s", e.msg);
	tally_free(u->pending);
	for (struct map_entry *m = map_next(&u->totals, NULL); m; m = map_next(&u->totals, m))
		free(m->value);
	map_fini(&u->totals);
	pthread_cond_destroy(&u->turn);
	pthread_mutex_destroy(&u->turn_lock);
	pthread_mutex_destroy(&u->writing);
	pthread_mutex_destroy(&u->lock);
	free(u);
	return NULL;
}

/* --- Prometheus --- */

static void one_total(struct buf *out, const char *set, const struct total *t)
{
	for (size_t k = 0; k < N_REASONS; k++)
		if (t->reasons[k])
			buf_addf(out, "weir_flag_evaluations_total{set=\"%s\",reason=\"%s\"} %llu\n", set, k == REASON_REPORTED ? "REPORTED" : flag_reason_name((enum flag_reason)k),
					 (unsigned long long)t->reasons[k]);
}

void flag_usage_metrics(struct flag_usage *u, struct buf *out)
{
	uint64_t dropped = 0;

	pthread_mutex_lock(&u->lock);
	gather(u);
	buf_addz(out, "# HELP weir_flag_evaluations_total Evaluations of flags by set and reason; REPORTED: counted by clients.\n"
				  "# TYPE weir_flag_evaluations_total counter\n");
	for (struct map_entry *m = map_next(&u->totals, NULL); m; m = map_next(&u->totals, m)) {
		one_total(out, m->key, m->value); /* the id of a set has no character that must be escaped */
		dropped += ((const struct total *)m->value)->dropped;
	}
	pthread_mutex_unlock(&u->lock);
	buf_addf(out,
			 "# HELP weir_flag_evaluations_dropped_total Evaluations that were not counted by flag: too many flags at once.\n"
			 "# TYPE weir_flag_evaluations_dropped_total counter\nweir_flag_evaluations_dropped_total %llu\n",
			 (unsigned long long)dropped);
}

/* --- reading --- */

int flag_usage_began(struct db_tx *tx, usec_t *ret, struct err *reterr)
{
	bool found;

	return db_get_int(tx, reterr, ret, &found, "SELECT began_at FROM flag_usage_state WHERE set_id = ''", "");
}

int flag_usage_dropped(struct db_tx *tx, str set, usec_t *ret, struct err *reterr)
{
	bool found;

	return db_get_int(tx, reterr, ret, &found, "SELECT dropped_at FROM flag_usage_state WHERE set_id = $1", "s", set);
}

/* Bytes decide the order, not the database's language. */
static int by_use(const void *pa, const void *pb)
{
	const struct flag_use *a = pa, *b = pb;
	int                    d = str_cmp(a->key, b->key);

	return d ? d : str_cmp(a->variant, b->variant);
}

static int by_last(const void *pa, const void *pb) { return str_cmp(((const struct flag_last_use *)pa)->key, ((const struct flag_last_use *)pb)->key); }

int flag_usage_counts(struct db_tx *tx, struct arena *a, str set, str key, usec_t since, struct flag_use **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct flag_use) found = VEC_INIT;
	int rc = db_query(tx, reterr, &rows,
					  key.ptr ? "SELECT flag, variant, SUM(asked), SUM(bulk) FROM flag_usage WHERE set_id = $1 AND hour >= $2 AND flag = $3 GROUP BY flag, variant"
							  : "SELECT flag, variant, SUM(asked), SUM(bulk) FROM flag_usage WHERE set_id = $1 AND hour >= $2 GROUP BY flag, variant",
					  key.ptr ? "sis" : "si", set, (int64_t)(since / USEC_PER_HOUR), key);

	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct flag_use u = { arena_str(a, db_str(rows, 0)), arena_str(a, db_str(rows, 1)), db_int(rows, 2), db_int(rows, 3) };

		rc = VEC_PUSH(&found, u) ? 0 : err_set(reterr, WEIR_ENOMEM, "counts of flags");
	}
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), by_use);
	*ret = ARENA_ARRAY(a, found.n + 1, struct flag_use);
	*ret_n = found.n;
	if (*ret && found.n)
		memcpy(*ret, found.v, found.n * sizeof(**ret));
	VEC_FINI(&found);
	return rc ? rc : arena_check(a, "counts of flags", reterr);
}

int flag_usage_lasts(struct db_tx *tx, struct arena *a, str set, str key, struct flag_last_use **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct flag_last_use) found = VEC_INIT;
	int rc = db_query(tx, reterr, &rows,
					  key.ptr ? "SELECT flag, asked, bulk FROM flag_last_use WHERE set_id = $1 AND flag = $2" :
								"SELECT flag, asked, bulk FROM flag_last_use WHERE set_id = $1",
					  key.ptr ? "ss" : "s", set, key);

	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct flag_last_use u = { arena_str(a, db_str(rows, 0)), db_int(rows, 1), db_int(rows, 2) };

		rc = VEC_PUSH(&found, u) ? 0 : err_set(reterr, WEIR_ENOMEM, "last uses of flags");
	}
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), by_last);
	*ret = ARENA_ARRAY(a, found.n + 1, struct flag_last_use);
	*ret_n = found.n;
	if (*ret && found.n)
		memcpy(*ret, found.v, found.n * sizeof(**ret));
	VEC_FINI(&found);
	return rc ? rc : arena_check(a, "last uses of flags", reterr);
}
