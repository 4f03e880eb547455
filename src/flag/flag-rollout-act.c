/* flag-rollout-act.c - how a guarded rollout begins, and what is done when its state machine says so. Each step is one change of the flag whose transaction
 * holds the rollout's row and event, too: whoever dies between two writes leaves the step undone, and the next turn takes it.
 *
 * The end of a rollout puts the text back that stands in its row, byte for byte: the new one when it was promoted, else the former. Rollouts' thread;
 * rollout_start() and rollout_rewrite() any. */
#include "base/base.h"

#include "base/hash.h"
#include "base/log.h"
#include "flag/rollout-room.h"

enum { STEPS_PER_TURN = 8, CONFLICTS_TOLD = 10, ACT_ARENA_MAX = 64 << 20 };

/* --- one act --- */

struct act {
	struct flag_rollouts *s;
	struct guarded        after; /* a copy: what it will be */
	struct rollout_step   step;
	struct rollout_saved  saved;
	double                share;
	const char           *by;
	struct buf            evidence;
};

static bool changes_the_flag(enum rollout_act a) { return a == ACT_SHARE || a == ACT_PROMOTE || a == ACT_FINISH || a == ACT_ROLL_BACK; }

static const char *result_of(enum rollout_state state)
{
	return state == ROLLOUT_FINISHED ? "promoted" : rollout_state_name(state);
}

static int append(struct act *a, struct db_tx *tx, int64_t revision, struct err *reterr)
{
	const struct guarded *g = &a->after;
	struct rollout_fact   f = { .id = g->id, .set_id = g->set_id, .project = g->project, .environment = g->environment, .key = g->key, .by = str_z(a->by),
								.share = a->share, .revision = revision, .cause = a->step.cause, .evidence = buf_str(&a->evidence) };

	switch (a->step.act) {
	case ACT_SHARE:
	case ACT_PROMOTE: f.type = EVENT_FLAG_ROLLOUT_STEPPED; break;
	case ACT_HOLD:
		f.type = EVENT_FLAG_ROLLOUT_HELD;
		f.verdict = g->has_verdict ? judge_call_name(g->verdict.call) : "undecided";
		break;
	case ACT_RESUME: f.type = EVENT_FLAG_ROLLOUT_RESUMED; break;
	case ACT_FINISH:
	case ACT_ROLL_BACK:
		f.type = EVENT_FLAG_ROLLOUT_FINISHED;
		f.result = result_of(g->ro.state);
		break;
	default: return 0;
	}
	return rollout_event(a->s->room, tx, &f, reterr);
}

static int also(struct db_tx *tx, void *arg, int64_t revision, struct err *reterr)
{
	struct act *a = arg;
	int         rc = rollout_store_save(tx, &a->saved, reterr);

	return rc ? rc : append(a, tx, revision, reterr);
}

static int alone_tx(struct db_tx *tx, void *arg, struct err *reterr) { return also(tx, arg, 0, reterr); }

/* The flag's text after the act. */
static int text_after(struct act *a, struct arena *arena, str *ret, struct err *reterr)
{
	const struct guarded *g = &a->after;

	*ret = a->step.act == ACT_FINISH ? g->next : g->previous;
	if (a->step.act == ACT_FINISH || a->step.act == ACT_ROLL_BACK)
		return 0;
	return rollout_text(arena, g->previous, g->next, g->id, g->salt, a->share, ret, reterr);
}

static int change_the_flag(struct act *a, struct err *reterr)
{
	struct arena CLEANUP_ARENA arena = ARENA_INIT(ACT_ARENA_MAX);
	const struct guarded      *g = &a->after;
	struct flag_text           t = { .key = g->key };
	struct flag_change         c = { .id = g->set_id, .source = FLAG_IN_STORE, .base = -1, .texts = &t, .n = 1, .by = str_z(a->by), .address = STR(""),
									 .now = clock_wall(a->s->room->cfg.clock), .restores = a->step.act == ACT_ROLL_BACK, .rollout = g->id, .also = also,
									 .also_arg = a };
	char                       comment[ROLLOUT_CAUSE_SIZE];
	int64_t                    revision;
	int                        rc = text_after(a, &arena, &t.json, reterr);

	if (a->saved.ended)
		snprintf(comment, sizeof(comment), "rollout %s: %s: %s", g->id, result_of(g->ro.state), a->step.cause);
	else
		snprintf(comment, sizeof(comment), "rollout %s: %g%%: %s", g->id, a->share * 100, a->step.cause);
	c.comment = str_z(comment);
	return rc ? rc : flag_apply(a->s->room, &c, &revision, reterr);
}

static void done(struct act *a, struct guarded *g)
{
	pthread_mutex_lock(&a->s->lock);
	g->ro = a->after.ro;
	memcpy(g->entered, a->after.entered, sizeof(g->entered));
	g->version++;
	if (a->step.order_done)
		g->order = ORDER_NONE;
	if (a->saved.ended)
		g->ro.state = ROLLOUT_NONE; /* the turn takes it off the list */
	pthread_mutex_unlock(&a->s->lock);
}

static void evidence_of(const struct guarded *g, const struct judge_input *in, struct buf *out)
{
	struct jw w;

	jw_init(&w, out);
	judge_write_evidence(&w, &g->spec.judge, in, &g->verdict);
}

static int carry_out(struct flag_rollouts *s, struct guarded *g, const struct rollout_step *step, const struct judge_input *in, struct err *reterr)
{
	usec_t     now = clock_wall(s->room->cfg.clock);
	struct act a = { .s = s, .after = *g, .step = *step, .by = step->order_done && g->order_by[0] ? g->order_by : "weir", .evidence = BUF_INIT(ROLLOUT_DOC_BYTES) };
	int        rc;

	a.after.ro = step->next;
	if (step->act == ACT_SHARE || step->act == ACT_PROMOTE) {
		a.share = g->spec.plan.steps[guarded_step(&a.after)];
		a.after.entered[guarded_step(&a.after)] = now;
	}
	if (g->has_verdict && step->act != ACT_REMEMBER)
		evidence_of(g, in, &a.evidence);
	a.saved = (struct rollout_saved){ .g = &a.after, .cause = step->act == ACT_REMEMBER || step->act == ACT_REFUSE_ORDER ? NULL : step->cause,
									  .evidence = buf_str(&a.evidence), .order_done = step->order_done,
									  .order_answer = step->act == ACT_REFUSE_ORDER ? step->cause : NULL, .ended = rollout_over(step->next.state) ? now : 0 };
	rc = changes_the_flag(step->act) ? change_the_flag(&a, reterr) : db_write(s->room->cfg.db, alone_tx, &a, reterr);
	if (!rc)
		done(&a, g);
	buf_fini(&a.evidence);
	return rc;
}

/* --- asking --- */

static struct rollout_step ask(struct flag_rollouts *s, struct guarded *g, struct judge_segment seg[JUDGE_SEGMENTS_MAX], struct judge_input *in)
{
	struct rollout_inputs ri = { .now = clock_wall(s->room->cfg.clock), .plan = &g->spec.plan, .order = g->order };
	struct err            e = { 0 };
	int                   rc;

	flag_track_input(&g->track, guarded_step(g), seg, in);
	if ((rc = judge_step(&g->spec.judge, in, &g->verdict, &e)))
		log_error("flag", "rollout %s: %s", g->id, e.msg);
	g->has_verdict = !rc;
	ri.call = rc ? JUDGE_CANNOT : g->verdict.call;
	ri.why = rc ? JUDGE_WHY_MISSING : g->verdict.why;
	ri.enough = g->spec.enough && flag_track_canary_at(&g->track, guarded_step(g)) >= g->spec.enough;
	return rollout_next(&g->ro, &ri);
}

void rollout_act(struct flag_rollouts *s, struct guarded *g)
{
	struct judge_segment seg[JUDGE_SEGMENTS_MAX];
	struct judge_input   in;

	for (int i = 0; i < STEPS_PER_TURN && g->ro.state != ROLLOUT_NONE; i++) {
		struct rollout_step step = ask(s, g, seg, &in);
		struct err          e = { 0 };
		int                 rc;

		if (step.act == ACT_NONE && !step.order_done)
			return;
		rc = carry_out(s, g, &step, &in, &e);
		g->conflicts = rc == -WEIR_ECONFLICT ? g->conflicts + 1 : 0; /* one is nothing: the row is read again at the next turn */
		if (rc && (rc == -WEIR_ECONFLICT ? g->conflicts == CONFLICTS_TOLD : rc != g->failing))
			log_error("flag", "rollout %s: %s: %s (tried again until it succeeds)", g->id, step.cause ? step.cause : "", e.msg);
		g->failing = rc;
		if (rc)
			return;
	}
}

/* --- beginning --- */

struct begin {
	struct flag_room           *r;
	const struct rollout_start *o;
	struct guarded             *g;
	usec_t                      now;
};

static int begin_also(struct db_tx *tx, void *arg, int64_t revision, struct err *reterr)
{
	struct begin         *b = arg;
	const struct guarded *g = b->g;
	struct rollout_fact   f = { .type = EVENT_FLAG_ROLLOUT_STARTED, .id = g->id, .set_id = g->set_id, .project = g->project, .environment = g->environment,
								.key = g->key, .by = b->o->by, .share = g->spec.plan.steps[0], .revision = revision, .cause = "begins" };
	struct arena CLEANUP_ARENA a = ARENA_INIT(ACT_ARENA_MAX);
	str                   was;
	int rc = db_get_str(tx, reterr, &a, &was, NULL, "SELECT text FROM flag WHERE set_id = $1 AND key = $2 AND replaced = $3", "ssi", g->set_id, g->key, revision);

	if (!rc && !str_eq(was, g->previous))
		return err_set(reterr, WEIR_ECONFLICT, "flag '%.*s' was changed meanwhile: look at it again", STR_ARG(str_sub(g->key, 0, 100)));
	if (!rc)
		rc = rollout_store_insert(tx, g, b->o->spec_json, b->o->by, b->now, reterr);
	if (rc == -WEIR_EEXIST)
		return err_set(reterr, WEIR_ECONFLICT, "flag '%.*s' is being rolled out already", STR_ARG(str_sub(g->key, 0, 100)));
	return rc ? rc : rollout_event(b->r, tx, &f, reterr);
}

/* The definition that there is, in a; what a rollout begins from. */
static int present(struct flag_room *r, const struct rollout_start *o, struct arena *a, struct guarded *g, struct err *reterr)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), o->set_id);
	const struct flag       *f = e ? flag_set_find(e->set, o->key) : NULL;
	int                      rc = 0;

	if (!e) {
		rc = err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(o->set_id, 0, 200)));
	} else if (!f) {
		rc = err_set(reterr, WEIR_ENOENT, "set %.*s has no flag '%.*s': nobody can be given a change of it", STR_ARG(o->set_id), STR_ARG(str_sub(o->key, 0, 100)));
	} else if (f->archived) {
		rc = err_set(reterr, WEIR_EREFUSED, "flag '%.*s' is archived: unarchive it first", STR_ARG(str_sub(o->key, 0, 100)));
	} else if (f->arms) {
		rc = err_set(reterr, WEIR_ECONFLICT, "flag '%.*s' is being rolled out already (%.*s)", STR_ARG(str_sub(o->key, 0, 100)), STR_ARG(f->arms->rollout));
	} else if (str_eq(f->text, o->definition)) {
		rc = err_set(reterr, WEIR_EINVAL, "flag '%.*s' has this definition already", STR_ARG(str_sub(o->key, 0, 100)));
	} else {
		g->previous = arena_str(a, f->text);
		g->project = arena_str(a, str_z(e->project));
		g->environment = arena_str(a, str_z(e->environment));
	}
	flag_read_end(r->tables);
	return rc;
}

int rollout_start(struct flag_room *r, const struct rollout_start *o, struct arena *a, char ret_id[ID_SIZE], int64_t *ret_revision, struct err *reterr)
{
	struct guarded     g = { .set_id = o->set_id, .key = o->key, .next = o->definition, .spec = o->spec };
	struct begin       b = { .r = r, .o = o, .g = &g, .now = clock_wall(r->cfg.clock) };
	struct flag_text   t = { .key = o->key };
	struct flag_change c = { .id = o->set_id, .source = FLAG_IN_STORE, .base = o->base, .texts = &t, .n = 1, .by = o->by, .address = o->address, .now = b.now,
							 .rollout = g.id, .also = begin_also, .also_arg = &b };
	int                rc;

	id_new(g.id);
	g.salt = o->spec.salt.len ? o->spec.salt : str_z(g.id);
	g.ro = (struct rollout){ .state = o->spec.plan.n_steps == 1 ? ROLLOUT_BAKING : ROLLOUT_CANARY, .entered = b.now };
	g.entered[0] = b.now;
	c.comment = str_z(arena_printf(a, "rollout %s: %g%%%s%.*s", g.id, o->spec.plan.steps[0] * 100, o->comment.len ? ": " : "", STR_ARG(o->comment)));
	rc = present(r, o, a, &g, reterr);
	if (!rc)
		rc = rollout_text(a, g.previous, g.next, g.id, g.salt, o->spec.plan.steps[0], &t.json, reterr);
	if (!rc)
		rc = flag_apply(r, &c, ret_revision, reterr);
	if (rc)
		return rc;
	memcpy(ret_id, g.id, ID_SIZE);
	rollouts_kick(r->rollouts);
	return 0;
}

/* --- the kill switch --- */

int rollout_rewrite(const struct flag_set *now, struct flag_change *c, struct arena *a, struct err *reterr)
{
	struct flag_text *copy = NULL;

	for (size_t i = 0; i < c->n; i++) {
		const struct flag *f = flag_set_find(now, c->texts[i].key);
		int                rc;

		if (!f || !f->arms || !c->texts[i].json.len || !rollout_switches_off(f->text, c->texts[i].json))
			continue;
		if (!copy && !(copy = ARENA_ARRAY(a, c->n, struct flag_text)))
			return arena_check(a, "flags", reterr);
		if (c->texts != copy)
			memcpy(copy, c->texts, c->n * sizeof(*copy));
		c->texts = copy;
		if ((rc = rollout_off_text(a, rollout_previous(a, f->text), &copy[i].json, reterr)))
			return rc;
	}
	return 0;
}
