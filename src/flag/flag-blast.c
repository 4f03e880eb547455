/* flag-blast.c - contexts evaluated by two compiled sets (see flag-blast.h). Pure; any thread.
 *
 * Bounded: flags, evaluations and kinds of moves have limits, and the answer says how much was looked at. */
#include "base/base.h"

#include "base/limits.h"
#include "base/map.h"
#include "flag/flag-blast.h"

struct work {
	struct arena                     *arena;
	const struct flag_blast_question *q;
	struct flag_blast                *ret;
	struct map                        seen; /* keys that are in ret->flags, or left out */
	bool                              failed;
};

/* --- which flags --- */

static void take(struct work *w, str key, bool touched)
{
	if (map_has(&w->seen, key))
		return;
	if (!map_put(&w->seen, key, w, NULL)) {
		w->failed = true;
	} else if (w->ret->n_flags == LIMIT_FLAG_BLAST_FLAGS) {
		w->ret->left_out++;
	} else {
		struct flag_blast_flag *f = &w->ret->flags[w->ret->n_flags++];

		*f = (struct flag_blast_flag){ .key = key, .touched = touched, .moves = ARENA_ARRAY(w->arena, FLAG_BLAST_MOVES, struct flag_blast_move) };
	}
}

static int by_key(const void *pa, const void *pb)
{
	return str_cmp(*(const str *)pa, *(const str *)pb);
}

/* Every flag of both sets, by key. */
static void take_all(struct work *w)
{
	size_t max = flag_set_count(w->q->before) + flag_set_count(w->q->after), n = 0;
	str   *keys = ARENA_ARRAY(w->arena, max + 1, str);

	for (const struct flag *f = keys ? flag_set_next(w->q->before, NULL) : NULL; f; f = flag_set_next(w->q->before, f))
		keys[n++] = f->key;
	for (const struct flag *f = keys ? flag_set_next(w->q->after, NULL) : NULL; f; f = flag_set_next(w->q->after, f))
		if (!flag_set_find(w->q->before, f->key))
			keys[n++] = f->key;
	if (keys)
		qsort(keys, n, sizeof(*keys), by_key);
	for (size_t i = 0; i < n; i++)
		take(w, keys[i], true);
}

static bool needs_one_seen(const struct work *w, const struct flag *f)
{
	for (size_t i = 0; i < f->n_prerequisites; i++)
		if (map_has(&w->seen, f->prerequisites[i].flag))
			return true;
	return false;
}

/* Those that depend on a flag that is seen, once; true when there were any. */
static bool take_dependents(struct work *w, const struct flag_set *s)
{
	bool any = false;

	for (const struct flag *f = flag_set_next(s, NULL); f && !w->failed; f = flag_set_next(s, f))
		if (f->n_prerequisites && !map_has(&w->seen, f->key) && needs_one_seen(w, f)) {
			take(w, f->key, false);
			any = true;
		}
	return any;
}

/* A chain has at most LIMIT_FLAG_CHAIN flags, so that many rounds find all. */
static void choose(struct work *w)
{
	bool more = true;

	if (!w->q->touched)
		take_all(w);
	for (size_t i = 0; w->q->touched && i < w->q->n_touched; i++)
		take(w, w->q->touched[i], true);
	for (int i = 0; more && i < LIMIT_FLAG_CHAIN; i++) {
		bool before = take_dependents(w, w->q->before);

		more = take_dependents(w, w->q->after) || before;
	}
}

/* --- what they get --- */

static bool same_variant(const struct flag_variant *a, const struct flag_variant *b)
{
	return a == b || (a && b && str_eq(a->name, b->name) && str_eq(a->json, b->json));
}

static bool same_answer(const struct flag_answer *a, const struct flag_answer *b) { return a->error == b->error && same_variant(a->variant, b->variant); }

static void note(struct flag_blast_flag *f, size_t context, const struct flag_answer *from, const struct flag_answer *to)
{
	size_t i = 0;

	f->flips++;
	if (f->n_examples < FLAG_BLAST_EXAMPLES) {
		f->examples[f->n_examples].context = context;
		f->examples[f->n_examples].from = *from;
		f->examples[f->n_examples++].to = *to;
	}
	while (i < f->n_moves && !(same_answer(&f->moves[i].from, from) && same_answer(&f->moves[i].to, to)))
		i++;
	if (i == FLAG_BLAST_MOVES)
		return;
	if (i == f->n_moves)
		f->moves[f->n_moves++] = (struct flag_blast_move){ *from, *to, 0 };
	f->moves[i].contexts++;
}

static void look_at(struct flag_blast_flag *f, const struct flag_blast_question *q, size_t context, struct arena *scratch, uint64_t *spent)
{
	struct flag_context c = { .data = q->contexts[context], .now = q->now, .scratch = scratch, .spent = spent };
	struct flag_answer  from, to;

	flag_evaluate(q->before, f->key, FLAG_ANY, &c, &from);
	flag_evaluate(q->after, f->key, FLAG_ANY, &c, &to);
	from.details = to.details = NULL; /* in scratch */
	if (!same_answer(&from, &to))
		note(f, context, &from, &to);
}

int flag_blast(struct arena *a, const struct flag_blast_question *q, struct flag_blast *ret, struct err *reterr)
{
	struct work w = { .arena = a, .q = q, .ret = ret };
	uint64_t    spent = 0;
	size_t      each;
	int         rc;

	*ret = (struct flag_blast){ .flags = ARENA_ARRAY(a, LIMIT_FLAG_BLAST_FLAGS, struct flag_blast_flag) };
	map_init(&w.seen);
	if (ret->flags)
		choose(&w);
	map_fini(&w.seen);
	rc = w.failed ? err_set(reterr, WEIR_ENOMEM, "blast radius") : arena_check(a, "blast radius", reterr);
	if (rc)
		return rc;
	each = 2 * (ret->n_flags ? ret->n_flags : 1);
	ret->contexts = q->n_contexts < LIMIT_FLAG_BLAST_STEPS / each ? q->n_contexts : LIMIT_FLAG_BLAST_STEPS / each;
	for (size_t i = 0; i < ret->contexts; i++) {
		for (size_t j = 0; j < ret->n_flags; j++) {
			struct arena CLEANUP_ARENA scratch = ARENA_INIT(4 * LIMIT_FLAG_SCRATCH_BYTES); /* costs nothing while rules make nothing */

			look_at(&ret->flags[j], q, i, &scratch, &spent);
		}
		if (spent >= LIMIT_FLAG_BLAST_NODES)
			ret->contexts = i + 1; /* each flag saw the same contexts */
	}
	return 0;
}
