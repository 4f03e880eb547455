/* flag-draft-view.c - drafts as they are shown: read with their conflicts, approvals and rules, written as JSON.
 *
 * Worker threads. What is read (a draft with its conflicts) is one snapshot; the rules of the environment are those of the default branch at that
 * moment. An old draft is shown even when it could not be written any more. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/draft-api.h"

static str json_of(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              w;

	if (!n || n->kind == DOC_NULL)
		return STR("");
	jw_init(&w, &out);
	jw_node(&w, n);
	return arena_str(a, buf_str(&out));
}

/* What a draft touches, without looking whether it is still right: an old one can be shown although it could not be written any more. */
static int change_of(struct arena *a, const struct draft *d, struct flag_change *c, struct err *reterr)
{
	const struct doc_node *flags, *environment;
	struct doc_node       *body;
	struct flag_text      *texts;
	int                    rc = doc_parse_json(a, "draft", d->body, &body, reterr);

	*c = (struct flag_change){ .id = d->set, .source = FLAG_IN_STORE, .base = d->base };
	if (rc)
		return rc;
	flags = doc_get(body, "flags");
	environment = doc_get(body, "environment");
	texts = ARENA_ARRAY(a, doc_len(flags) + 1, struct flag_text);
	for (size_t i = 0; texts && i < doc_len(flags); i++)
		texts[i] = (struct flag_text){ flags->map.pairs[i].key, json_of(a, flags->map.pairs[i].value) };
	c->texts = texts;
	c->n = texts ? doc_len(flags) : 0;
	c->with_head = doc_get(body, "evaluators");
	c->evaluators = doc_len(doc_get(body, "evaluators")) ? json_of(a, doc_get(body, "evaluators")) : STR("");
	c->metadata = doc_len(doc_get(body, "metadata")) ? json_of(a, doc_get(body, "metadata")) : STR("");
	c->with_segments = doc_get(body, "segments");
	c->segments = doc_len(doc_get(body, "segments")) ? json_of(a, doc_get(body, "segments")) : STR("");
	c->with_environment = environment;
	c->environment = environment ? environment->s : STR("");
	return arena_check(a, "draft", reterr);
}

bool draft_waits(const struct draft *d) { return d->state == DRAFT_OPEN || d->state == DRAFT_SCHEDULED || d->state == DRAFT_FAILED; }

static int view_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct draft_view *q = arg;
	struct stored_set  s;
	int                rc;

	arena_fini(&q->arena);
	q->n = 1;
	rc = flag_store_find(tx, &q->arena, q->set, &s, reterr);
	if (!rc && !q->id)
		rc = draft_list(tx, &q->arena, q->set, q->state, q->before, q->max, &q->v, &q->n, reterr);
	else if (!rc && (q->v = ARENA_NEW(&q->arena, struct draft)))
		rc = draft_find(tx, &q->arena, q->set, q->id, q->v, reterr);
	q->changes = ARENA_ARRAY(&q->arena, q->n + 1, struct flag_change);
	q->conflicts = ARENA_ARRAY(&q->arena, q->n + 1, struct draft_conflict *);
	q->n_conflicts = ARENA_ARRAY(&q->arena, q->n + 1, size_t);
	q->rules = ARENA_ARRAY(&q->arena, q->n + 1, struct draft_rules);
	for (size_t i = 0; !rc && !(rc = arena_check(&q->arena, "drafts", reterr)) && i < q->n; i++) {
		rc = change_of(&q->arena, &q->v[i], &q->changes[i], reterr);
		if (!rc && draft_waits(&q->v[i]))
			rc = draft_conflicts(tx, &q->arena, &q->v[i], &q->changes[i], &q->conflicts[i], &q->n_conflicts[i], reterr);
	}
	return rc;
}

int draft_view_read(struct draft_view *q, struct err *reterr)
{
	int rc = db_read(q->r->cfg.db, view_tx, q, reterr);

	for (size_t i = 0; !rc && i < q->n; i++)
		rc = draft_rules_load(q->r, &q->arena, &q->changes[i], &q->rules[i], reterr);
	return rc;
}

static void write_conflicts(struct jw *w, const struct draft_view *q, size_t at)
{
	jw_key(w, "conflicts");
	jw_arr(w);
	for (size_t i = 0; i < q->n_conflicts[at]; i++) {
		jw_obj(w);
		jw_kstr(w, "what", q->conflicts[at][i].what);
		jw_kint(w, "revision", q->conflicts[at][i].revision);
		jw_end(w);
	}
	jw_end(w);
}

static void write_approvals(struct jw *w, const struct draft *d)
{
	jw_key(w, "approvals");
	jw_arr(w);
	for (size_t i = 0; i < d->n_approvals; i++) {
		jw_obj(w);
		draft_write_approval(w, &d->approvals[i]);
		jw_kbool(w, "void", d->approvals[i].version != d->version);
		jw_end(w);
	}
	jw_end(w);
}

static void write_end(struct jw *w, const struct draft *d)
{
	if (d->cause.len)
		jw_kstr(w, "cause", d->cause);
	if (d->ended_at) {
		jw_kstr(w, "ended_by", d->ended_by);
		jw_ktime(w, "ended_at", d->ended_at);
	}
	if (d->revision)
		jw_kint(w, "revision", d->revision);
	if (d->late_s)
		jw_kint(w, "late_s", d->late_s);
}

/* The body's own keys, as they came. */
static void write_body(struct jw *w, struct arena *a, const struct draft *d)
{
	struct doc_node *n;

	if (doc_parse_json(a, "draft", d->body, &n, NULL))
		return;
	for (size_t i = 0; i < doc_len(n); i++) {
		jw_key_n(w, n->map.pairs[i].key);
		jw_node(w, n->map.pairs[i].value);
	}
}

void draft_view_write(struct jw *w, struct draft_view *q, size_t i)
{
	const struct draft *d = &q->v[i];

	jw_obj(w);
	jw_kint(w, "id", d->id);
	jw_kstr(w, "set", d->set);
	jw_kstrz(w, "state", draft_states[d->state]);
	jw_kint(w, "version", d->version);
	jw_kint(w, "base", d->base);
	jw_kstr(w, "title", d->title);
	jw_kstr(w, "comment", d->comment);
	jw_kstr(w, "by", d->by);
	jw_ktime(w, "opened_at", d->opened_at);
	jw_kstr(w, "changed_by", d->changed_by);
	jw_ktime(w, "changed_at", d->changed_at);
	if (d->apply_at)
		jw_ktime(w, "apply_at", d->apply_at);
	jw_key(w, "keys");
	jw_raw(w, d->keys);
	if (q->id)
		write_body(w, &q->arena, d);
	write_conflicts(w, q, i);
	jw_kbool(w, "protected", q->rules[i].rule[0] || q->rules[i].rule[1]);
	jw_kint(w, "approvals_needed", draft_needed(&q->rules[i]));
	write_approvals(w, d);
	jw_kbool(w, "approved", draft_is_approved(d, &q->rules[i]));
	write_end(w, d);
	jw_end(w);
}
