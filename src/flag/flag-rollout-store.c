/* flag-rollout-store.c - tables of guarded rollouts: a row each, the users that count in parts, and what other servers hand over. Any thread.
 *
 * A row's version grows with every write that another must know of; who writes names the version that it saw, so that two owners (one whose lock was
 * lost without its knowing) cannot both take a step. */
#include "base/base.h"

#include "flag/rollout-room.h"

/* --- lists --- */

#define ROW_COLUMNS "id, set_id, key, state, spec, ro, counts, evidence, cause, by_actor, order_word, order_answer, running, started_at, ended_at, version"

static void read_row(struct db_rows *rows, struct arena *a, struct rollout_row *r)
{
	str *const texts[] = { &r->id, &r->set_id, &r->key, &r->state, &r->spec, &r->ro, &r->counts, &r->evidence, &r->cause, &r->by, &r->order, &r->order_answer };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		*texts[i] = arena_str(a, db_str(rows, (int)i));
	r->running = db_int(rows, 12) != 0;
	r->started_at = db_int(rows, 13);
	r->ended_at = db_int(rows, 14);
	r->version = db_int(rows, 15);
}

int rollout_store_list(struct db_tx *tx, struct arena *a, str set_id, size_t max, struct rollout_row **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT " ROW_COLUMNS " FROM flag_rollout WHERE set_id = $1 ORDER BY id DESC LIMIT $2", "si", set_id, (int64_t)max);

	*ret = ARENA_ARRAY(a, max + 1, struct rollout_row);
	*ret_n = 0;
	while (!rc && *ret && *ret_n < max && (rc = db_next(rows, reterr)) > 0) {
		read_row(rows, a, &(*ret)[(*ret_n)++]);
		rc = 0;
	}
	return rc ? rc : arena_check(a, "rollouts of a flag set", reterr);
}

int rollout_store_row(struct db_tx *tx, struct arena *a, str id, struct rollout_row *ret, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int                          rc = db_query(tx, reterr, &rows, "SELECT " ROW_COLUMNS " FROM flag_rollout WHERE id = $1", "s", id);

	if (rc || (rc = db_next(rows, reterr)) < 0)
		return rc;
	if (!rc)
		return err_set(reterr, WEIR_ENOENT, "there is no rollout of a flag '%.*s'", STR_ARG(str_sub(id, 0, 40)));
	read_row(rows, a, ret);
	return arena_check(a, "rollout of a flag", reterr);
}

int rollout_store_running(struct db_tx *tx, struct rollout_mark out[LIMIT_FLAG_ROLLOUTS], size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT id, version FROM flag_rollout WHERE running = 1 ORDER BY id LIMIT $1", "i", (int64_t)LIMIT_FLAG_ROLLOUTS);

	*ret_n = 0;
	while (!rc && *ret_n < LIMIT_FLAG_ROLLOUTS && (rc = db_next(rows, reterr)) > 0) {
		snprintf(out[*ret_n].id, ID_SIZE, "%.*s", STR_ARG(db_str(rows, 0)));
		out[(*ret_n)++].version = db_int(rows, 1);
		rc = 0;
	}
	return rc;
}

/* --- one --- */

static void write_ro(const struct guarded *g, struct jw *w)
{
	jw_obj(w);
	jw_kstrz(w, "state", rollout_state_name(g->ro.state));
	jw_kint(w, "step", (int64_t)g->ro.step);
	jw_kbool(w, "paused", g->ro.paused);
	jw_kbool(w, "held", g->ro.held);
	jw_kbool(w, "asked", g->ro.asked);
	jw_kint(w, "entered", g->ro.entered);
	jw_kint(w, "held_since", g->ro.held_since);
	jw_kint(w, "cannot_since", g->ro.cannot_since);
	jw_key(w, "steps");
	jw_arr(w);
	for (size_t i = 0; i < g->spec.plan.n_steps; i++)
		jw_int(w, g->entered[i]);
	jw_end(w);
	jw_end(w);
}

static void read_ro(const struct doc_node *n, struct guarded *g)
{
	const struct doc_node *steps = doc_get(n, "steps");

	g->ro = (struct rollout){
		.state = rollout_state_find(doc_get_str(n, "state")),
		.step = (size_t)doc_get_int(n, "step", 0),
		.paused = doc_get_bool(n, "paused", false),
		.held = doc_get_bool(n, "held", false),
		.asked = doc_get_bool(n, "asked", false),
		.entered = doc_get_int(n, "entered", 0),
		.held_since = doc_get_int(n, "held_since", 0),
		.cannot_since = doc_get_int(n, "cannot_since", 0),
	};
	for (size_t i = 0; i < FLAG_STEPS_MAX; i++)
		g->entered[i] = doc_at(steps, i) && doc_at(steps, i)->kind == DOC_INT ? doc_at(steps, i)->i : 0;
}

static enum rollout_order order_of(str word)
{
	static const struct {
		const char        *word;
		enum rollout_order order;
	} all[] = { { "promote", ORDER_PROMOTE }, { "pause", ORDER_PAUSE }, { "resume", ORDER_RESUME }, { "abort", ORDER_ABORT } };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (str_eqz(word, all[i].word))
			return all[i].order;
	return ORDER_NONE;
}

/* The spec was checked when it was written. */
static int read_spec(struct guarded *g, str text, struct err *reterr)
{
	struct doc_node *n;
	struct doc_check c;
	int              rc = doc_parse_json(&g->arena, "rollout", text, &n, reterr);

	if (rc)
		return rc;
	doc_check_init(&c, &g->arena, "rollout");
	rollout_spec_read(&c, n, &g->spec);
	return doc_check_result(&c, reterr);
}

int rollout_store_load(struct db_tx *tx, const char *id, struct guarded *g, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	struct doc_node             *ro;
	struct arena                *a = &g->arena;
	int rc = db_query(tx, reterr, &rows,
					  "SELECT r.set_id, s.project, s.environment, r.key, r.previous, r.next, r.salt, r.version, r.order_word, r.order_by, r.spec, r.ro"
					  " FROM flag_rollout AS r JOIN flag_set AS s ON s.id = r.set_id WHERE r.id = $1 AND r.running = 1",
					  "z", id);

	if (rc || (rc = db_next(rows, reterr)) < 0)
		return rc;
	if (!rc)
		return err_set(reterr, WEIR_ENOENT, "rollout %s is over", id);
	snprintf(g->id, sizeof(g->id), "%s", id);
	g->version = db_int(rows, 7);
	g->order = order_of(db_str(rows, 8));
	snprintf(g->order_by, sizeof(g->order_by), "%.*s", STR_ARG(db_str(rows, 9)));
	rc = doc_parse_json(a, "rollout", arena_str(a, db_str(rows, 11)), &ro, reterr);
	if (!rc && !g->set_id.ptr) { /* what never changes */
		g->set_id = arena_str(a, db_str(rows, 0));
		g->project = arena_str(a, db_str(rows, 1));
		g->environment = arena_str(a, db_str(rows, 2));
		g->key = arena_str(a, db_str(rows, 3));
		g->previous = arena_str(a, db_str(rows, 4));
		g->next = arena_str(a, db_str(rows, 5));
		g->salt = arena_str(a, db_str(rows, 6));
		rc = read_spec(g, arena_str(a, db_str(rows, 10)), reterr);
	}
	if (!rc)
		read_ro(ro, g);
	return rc ? rc : arena_check(a, "rollout of a flag", reterr);
}

int rollout_store_insert(struct db_tx *tx, const struct guarded *g, str spec, str by, usec_t now, struct err *reterr)
{
	struct buf CLEANUP_BUF ro = BUF_INIT(4096);
	struct jw              w;
	int64_t                running;
	int                    rc = db_get_int(tx, reterr, &running, NULL, "SELECT COUNT(*) FROM flag_rollout WHERE running = 1", "");

	if (!rc && running >= LIMIT_FLAG_ROLLOUTS)
		return err_set(reterr, WEIR_ELIMIT, "%d rollouts of flags are under way, which is the most: wait for one, or abort one", LIMIT_FLAG_ROLLOUTS);
	jw_init(&w, &ro);
	write_ro(g, &w);
	if (!rc)
		rc = db_exec(tx, reterr,
					 "INSERT INTO flag_rollout (id, set_id, key, running, state, spec, previous, next, salt, ro, counts, evidence, cause, by_actor, started_at,"
					 " ended_at, order_word, order_by, order_answer, version) VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, '{}', '', 'begins', $10, $11, 0, '', '', '', 1)",
					 "zsszssssssi", g->id, g->set_id, g->key, rollout_state_name(g->ro.state), spec, g->previous, g->next, g->salt, buf_str(&ro), by, now);
	return rc ? rc : db_notify(tx, ROLLOUT_CHANNEL, reterr);
}

static int drop_users(struct db_tx *tx, const char *id, struct err *reterr)
{
	return db_exec(tx, reterr, "DELETE FROM flag_rollout_user WHERE rollout = $1", "z", id);
}

int rollout_store_save(struct db_tx *tx, const struct rollout_saved *s, struct err *reterr)
{
	const struct guarded  *g = s->g;
	struct buf CLEANUP_BUF ro = BUF_INIT(4096), counts = BUF_INIT(ROLLOUT_DOC_BYTES);
	struct jw              w;
	int64_t                n;
	int                    rc;

	jw_init(&w, &ro);
	write_ro(g, &w);
	jw_init(&w, &counts);
	flag_track_write(&g->track, &w);
	rc = db_exec_n(tx, reterr, &n,
				   "UPDATE flag_rollout SET state = $3, ro = $4, counts = $5, cause = CASE WHEN $6 = '' THEN cause ELSE $6 END,"
				   " evidence = CASE WHEN $7 = '' THEN evidence ELSE $7 END, order_word = CASE WHEN $8 = 1 THEN '' ELSE order_word END,"
				   " order_answer = CASE WHEN $8 = 1 THEN $9 ELSE order_answer END, running = $10, ended_at = $11, version = version + 1"
				   " WHERE id = $1 AND version = $2 AND running = 1",
				   "zizsszsizii", g->id, g->version, rollout_state_name(g->ro.state), buf_str(&ro), buf_str(&counts), s->cause ? s->cause : "",
				   s->evidence.ptr ? s->evidence : STR(""), (int64_t)s->order_done, s->order_answer ? s->order_answer : "", (int64_t)!s->ended, s->ended);
	if (!rc && !n)
		rc = err_set(reterr, WEIR_ECONFLICT, "rollout %s was changed meanwhile", g->id);
	if (!rc && s->ended)
		rc = drop_users(tx, g->id, reterr);
	return rc ? rc : db_notify(tx, ROLLOUT_CHANNEL, reterr);
}

/* --- counts --- */

static int store_users(struct db_tx *tx, const struct guarded *g, struct err *reterr)
{
	struct buf parts[FLAG_PARTS];
	int        rc;

	for (unsigned i = 0; i < FLAG_PARTS; i++)
		buf_init(&parts[i], LIMIT_FLAG_USERS * 12);
	rc = flag_track_parts(&g->track, g->track.dirty, parts, reterr);
	for (unsigned i = 0; i < FLAG_PARTS; i++) {
		if (!rc && g->track.dirty >> i & 1)
			rc = db_exec(tx, reterr,
						 "INSERT INTO flag_rollout_user (rollout, part, users) VALUES ($1, $2, $3) ON CONFLICT (rollout, part) DO UPDATE SET users = excluded.users",
						 "zib", g->id, (int64_t)i, buf_str(&parts[i]));
		buf_fini(&parts[i]);
	}
	return rc;
}

int rollout_store_counts(struct db_tx *tx, const struct guarded *g, struct err *reterr)
{
	struct buf CLEANUP_BUF counts = BUF_INIT(ROLLOUT_DOC_BYTES);
	struct jw              w;
	int64_t                n;
	int                    rc;

	jw_init(&w, &counts);
	flag_track_write(&g->track, &w);
	rc = db_exec_n(tx, reterr, &n, "UPDATE flag_rollout SET counts = $2 WHERE id = $1 AND version = $3 AND running = 1", "zsi", g->id, buf_str(&counts), g->version);
	if (!rc && !n)
		rc = err_set(reterr, WEIR_ECONFLICT, "rollout %s was changed meanwhile", g->id);
	return rc ? rc : store_users(tx, g, reterr);
}

int rollout_store_track(struct db_tx *tx, struct guarded *g, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct doc_node           *n = NULL;
	str                        counts;
	int                        rc = db_get_str(tx, reterr, &a, &counts, NULL, "SELECT counts FROM flag_rollout WHERE id = $1", "z", g->id);

	if (!rc && !(rc = doc_parse_json(&a, "counts", counts, &n, reterr)))
		rc = flag_track_read(&g->track, n, reterr);
	if (!rc) {
		struct db_rows CLEANUP_ROWS *rows = NULL;

		rc = db_query(tx, reterr, &rows, "SELECT users FROM flag_rollout_user WHERE rollout = $1", "z", g->id);
		while (!rc && (rc = db_next(rows, reterr)) > 0)
			rc = flag_track_part_read(&g->track, db_str(rows, 0), reterr);
	}
	return rc;
}

/* --- orders --- */

int rollout_store_order(struct db_tx *tx, str id, str word, str by, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct rollout_row         row;
	int                        rc = rollout_store_row(tx, &a, id, &row, reterr);

	if (rc)
		return rc;
	if (!row.running)
		return err_set(reterr, WEIR_ECONFLICT, "the rollout is over: %.*s", STR_ARG(row.state));
	if (row.order.len)
		return err_set(reterr, WEIR_EBUSY, "another order for it is being obeyed");
	rc = db_exec(tx, reterr, "UPDATE flag_rollout SET order_word = $2, order_by = $3, order_answer = '', version = version + 1 WHERE id = $1 AND running = 1", "sss",
				 id, word, by);
	return rc ? rc : db_notify(tx, ROLLOUT_CHANNEL, reterr);
}

/* --- other changes of the flag --- */

static const struct flag_text *text_of(const struct flag_change *c, str key)
{
	for (size_t i = 0; i < c->n; i++)
		if (str_eq(c->texts[i].key, key))
			return &c->texts[i];
	return NULL;
}

struct running {
	str id, key, previous;
	double share;
};

static int switched_off(struct flag_room *r, struct db_tx *tx, const struct flag_change *c, const struct stored_set *s, const struct running *g, int64_t revision,
						struct err *reterr)
{
	struct rollout_fact f = { .type = EVENT_FLAG_ROLLOUT_FINISHED, .id = g->id.ptr, .set_id = s->id, .project = s->project, .environment = s->environment,
							  .key = g->key, .by = c->by, .revision = revision, .cause = "the flag was switched off", .result = "aborted" };
	int rc = db_exec(tx, reterr,
					 "UPDATE flag_rollout SET running = 0, state = 'aborted', cause = 'the flag was switched off', ended_at = $2, order_word = '', version = version + 1"
					 " WHERE id = $1", "si", g->id, c->now);

	if (!rc)
		rc = drop_users(tx, g->id.ptr, reterr);
	if (!rc)
		rc = rollout_event(r, tx, &f, reterr);
	return rc ? rc : db_notify(tx, ROLLOUT_CHANNEL, reterr);
}

static int running_of(struct db_tx *tx, struct arena *a, str set_id, struct running *v, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT id, key, previous FROM flag_rollout WHERE set_id = $1 AND running = 1", "s", set_id);

	while (!rc && *ret_n < LIMIT_FLAG_ROLLOUTS && (rc = db_next(rows, reterr)) > 0) {
		v[(*ret_n)++] = (struct running){ .id = arena_str(a, db_str(rows, 0)), .key = arena_str(a, db_str(rows, 1)), .previous = arena_str(a, db_str(rows, 2)) };
		rc = 0;
	}
	return rc ? rc : arena_check(a, "running rollouts", reterr);
}

int rollout_store_guard(struct flag_room *r, struct db_tx *tx, const struct flag_change *c, const struct stored_set *s, int64_t revision, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(256 << 20);
	struct running             v[LIMIT_FLAG_ROLLOUTS];
	size_t                     n = 0;
	int                        rc = running_of(tx, &a, s->id, v, &n, reterr);

	for (size_t i = 0; !rc && i < n; i++) {
		const struct flag_text *t = text_of(c, v[i].key);
		str                     off;

		if (!t || (c->rollout && str_eqz(v[i].id, c->rollout)))
			continue;
		if ((rc = rollout_off_text(&a, v[i].previous, &off, reterr)))
			return rc;
		rc = str_eq(t->json, off) ? switched_off(r, tx, c, s, &v[i], revision, reterr)
								  : err_set(reterr, WEIR_ECONFLICT, "flag '%.*s' is being rolled out (%.*s): wait for its end, abort it, or switch the flag off",
											STR_ARG(str_sub(t->key, 0, 100)), STR_ARG(v[i].id));
	}
	return rc;
}

/* --- several servers --- */

int rollout_store_hand_over(struct db_tx *tx, str events, struct err *reterr)
{
	char id[ID_SIZE];
	int  rc = db_exec(tx, reterr, "INSERT INTO flag_track (id, events) VALUES ($1, $2)", "zb", id_new(id), events);

	return rc ? rc : db_notify(tx, ROLLOUT_CHANNEL, reterr);
}

/* --- events --- */

int rollout_event(struct flag_room *r, struct db_tx *tx, const struct rollout_fact *f, struct err *reterr)
{
	struct buf CLEANUP_BUF data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstrz(&w, "rollout", f->id);
	jw_kstr(&w, "set", f->set_id);
	jw_kstr(&w, "environment", f->environment);
	jw_kstr(&w, "flag", f->key);
	if (f->type == EVENT_FLAG_ROLLOUT_STARTED || f->type == EVENT_FLAG_ROLLOUT_STEPPED)
		jw_knum(&w, "share", f->share);
	if (f->revision)
		jw_kint(&w, "revision", f->revision);
	if (f->result)
		jw_kstrz(&w, "result", f->result);
	if (f->verdict)
		jw_kstrz(&w, "verdict", f->verdict);
	if (f->cause)
		jw_kstrz(&w, "cause", f->cause);
	if (f->evidence.len) {
		jw_key(&w, "evidence");
		jw_raw(&w, f->evidence);
	}
	jw_end(&w);
	return event_append(r->cfg.log, tx, f->project, f->type, f->by, buf_str(&data), NULL, reterr);
}
