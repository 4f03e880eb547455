/* fold.c - events into the state (see insight.h). Pure on its state: no clock, no I/O; one thread at a time. */
#include "base/base.h"
#include "base/limits.h"
#include "insight/state.h"

const enum event_type insight_types[] = {
	EVENT_PROJECT_CREATED,  EVENT_CHANGE_ACCEPTED,   EVENT_RELEASE_STARTED,     EVENT_RELEASE_HELD,
	EVENT_RELEASE_RESUMED,  EVENT_RELEASE_PROMOTED,  EVENT_RELEASE_FINISHED,    EVENT_RELEASE_ROLLED_BACK,
};
const size_t insight_n_types = ARRAY_SIZE(insight_types);

int insight_state_new(struct insight_state **ret, struct err *reterr)
{
	struct insight_state *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for measurements");
	arena_init(&s->texts, LIMIT_INSIGHT_BYTES);
	map_init(&s->projects);
	*ret = s;
	return 0;
}

static void project_free(struct iproject *p)
{
	VEC_FINI(&p->changes);
	VEC_FINI(&p->deploys);
	map_fini(&p->by_commit);
	map_fini(&p->by_release);
	free(p);
}

struct insight_state *insight_state_free(struct insight_state *s)
{
	if (!s)
		return NULL;
	for (struct map_entry *e = map_next(&s->projects, NULL); e; e = map_next(&s->projects, e))
		project_free(e->value);
	map_fini(&s->projects);
	arena_fini(&s->texts);
	free(s);
	return NULL;
}

static struct iproject *project_get(struct insight_state *s, str name)
{
	struct iproject *p = map_get(&s->projects, name);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->name = arena_str(&s->texts, name);
	p->default_ref = STR("");
	map_init(&p->by_commit);
	map_init(&p->by_release);
	if (!p->name.ptr || !map_put(&s->projects, name, p, NULL)) {
		project_free(p);
		return NULL;
	}
	return p;
}

/* A copy of a field's text; "" when it is absent. */
static str keep(struct insight_state *s, const struct doc_node *data, const char *field)
{
	str v = doc_get_str(data, field);

	return v.ptr ? arena_str(&s->texts, v) : STR("");
}

static bool index_put(struct map *m, str key, size_t index) { return map_put(m, key, (void *)(uintptr_t)(index + 1), NULL); }

static int fold_change(struct insight_state *s, struct iproject *p, const struct event *ev, const struct doc_node *d)
{
	struct ichange c;

	if (p->default_ref.len && !str_eq(doc_get_str(d, "ref"), p->default_ref))
		return 0;
	c = (struct ichange){ .old_id = keep(s, d, "old"), .new_id = keep(s, d, "new"), .committed = doc_get_int(d, "committed_at", 0),
		                  .accepted = ev->time, .commits = doc_get_int(d, "commits", 0), .seq = ev->seq };
	return VEC_PUSH(&p->changes, c) && index_put(&p->by_commit, c.new_id, p->changes.n - 1) ? 0 : -WEIR_ENOMEM;
}

static int fold_started(struct insight_state *s, struct iproject *p, const struct event *ev, const struct doc_node *d)
{
	struct ideploy r;

	if (!str_eqz(doc_get_str(d, "environment"), INSIGHT_PRODUCTION))
		return 0;
	r = (struct ideploy){ .id = keep(s, d, "release"), .service = keep(s, d, "service"), .version = keep(s, d, "version"),
		                  .digest = keep(s, d, "digest"), .commit = keep(s, d, "commit"), .cause = STR(""), .by = keep(s, d, "by"),
		                  .first = doc_get_bool(d, "first", false), .started = ev->time, .seq = ev->seq };
	if (map_has(&p->by_release, r.id))
		return 0; /* a release begins once */
	return VEC_PUSH(&p->deploys, r) && index_put(&p->by_release, r.id, p->deploys.n - 1) ? 0 : -WEIR_ENOMEM;
}

static struct ideploy *deploy_find(struct iproject *p, const struct doc_node *d)
{
	uintptr_t i = (uintptr_t)map_get(&p->by_release, doc_get_str(d, "release"));

	return i ? &p->deploys.v[i - 1] : NULL;
}

static void fold_rolled_back(struct insight_state *s, struct ideploy *r, const struct event *ev, const struct doc_node *d)
{
	if (r->rolled_back)
		return;
	r->rolled_back = ev->time;
	r->first_bad = doc_get_int(d, "first_bad_at", 0);
	r->last_bad = doc_get_int(d, "last_bad_at", 0);
	r->cause = keep(s, d, "cause");
	r->by = keep(s, d, "by");
	r->superseded = !r->promoted && str_has_prefix(r->cause, STR("superseded"));
}

/* Events about a release that began; one of another environment is not known here. */
static void fold_release(struct insight_state *s, struct iproject *p, enum event_type t, const struct event *ev, const struct doc_node *d)
{
	struct ideploy *r = deploy_find(p, d);

	if (!r)
		return;
	switch (t) {
	case EVENT_RELEASE_PROMOTED:
		r->promoted = r->promoted ? r->promoted : ev->time;
		r->held_worse = false;
		break;
	case EVENT_RELEASE_FINISHED: r->finished = r->finished ? r->finished : ev->time; r->held_worse = false; break;
	case EVENT_RELEASE_HELD:
		r->held_worse = str_has_prefix(doc_get_str(d, "verdict"), STR("worse")) || str_eqz(doc_get_str(d, "verdict"), "fail");
		r->held_at = ev->time;
		break;
	case EVENT_RELEASE_RESUMED: r->held_worse = false; break;
	case EVENT_RELEASE_ROLLED_BACK: fold_rolled_back(s, r, ev, d); break;
	default: break;
	}
}

static int fold_created(struct insight_state *s, struct iproject *p, const struct doc_node *d)
{
	str branch = doc_get_str(d, "default_branch");

	if (!branch.len)
		return 0;
	p->default_ref = str_has_prefix(branch, STR("refs/")) ? arena_str(&s->texts, branch)
	                                                      : str_z(arena_printf(&s->texts, "refs/heads/%.*s", STR_ARG(branch)));
	return 0;
}

static bool matters(enum event_type t)
{
	for (size_t i = 0; i < insight_n_types; i++)
		if (insight_types[i] == t)
			return true;
	return false;
}

int insight_fold(struct insight_state *s, const struct event *ev, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	enum event_type              t = event_type_find(ev->type);
	struct iproject             *p;
	struct doc_node             *d;
	int                          rc;

	if (!matters(t))
		return 0;
	p = project_get(s, ev->project);
	if (!p)
		return err_set(reterr, WEIR_ENOMEM, "no memory for measurements");
	if (ev->seq <= p->last_seq)
		return 0;
	rc = doc_parse_json(&a, "event", ev->data, &d, reterr);
	if (rc)
		return rc;
	if (t == EVENT_PROJECT_CREATED)
		rc = fold_created(s, p, d);
	else if (t == EVENT_CHANGE_ACCEPTED)
		rc = fold_change(s, p, ev, d);
	else if (t == EVENT_RELEASE_STARTED)
		rc = fold_started(s, p, ev, d);
	else
		fold_release(s, p, t, ev, d);
	if (rc)
		return err_set(reterr, WEIR_ENOMEM, "no memory for measurements");
	p->last_seq = ev->seq;
	return arena_check(&s->texts, "measurements", reterr);
}

/* --- the state as bytes --- */

static int project_cmp(const void *a, const void *b)
{
	return str_cmp((*(const struct iproject *const *)a)->name, (*(const struct iproject *const *)b)->name);
}

static void deploy_write(const struct ideploy *r, struct jw *w)
{
	jw_obj(w);
	jw_kint(w, "seq", r->seq);
	jw_kstr(w, "id", r->id);
	jw_kstr(w, "service", r->service);
	jw_kstr(w, "version", r->version);
	jw_kstr(w, "digest", r->digest);
	jw_kstr(w, "commit", r->commit);
	jw_kbool(w, "first", r->first);
	jw_kint(w, "started", r->started);
	jw_kint(w, "promoted", r->promoted);
	jw_kint(w, "finished", r->finished);
	jw_kint(w, "rolled_back", r->rolled_back);
	jw_kint(w, "first_bad", r->first_bad);
	jw_kint(w, "last_bad", r->last_bad);
	jw_kint(w, "held_at", r->held_at);
	jw_kbool(w, "held_worse", r->held_worse);
	jw_kbool(w, "superseded", r->superseded);
	jw_kstr(w, "cause", r->cause);
	jw_kstr(w, "by", r->by);
	jw_end(w);
}

static void project_write(const struct iproject *p, struct jw *w)
{
	jw_obj(w);
	jw_kstr(w, "name", p->name);
	jw_kstr(w, "default_ref", p->default_ref);
	jw_kint(w, "last_seq", p->last_seq);
	jw_key(w, "changes");
	jw_arr(w);
	for (size_t i = 0; i < p->changes.n; i++) {
		const struct ichange *c = &p->changes.v[i];

		jw_obj(w);
		jw_kint(w, "seq", c->seq);
		jw_kstr(w, "old", c->old_id);
		jw_kstr(w, "new", c->new_id);
		jw_kint(w, "committed", c->committed);
		jw_kint(w, "accepted", c->accepted);
		jw_kint(w, "commits", c->commits);
		jw_end(w);
	}
	jw_end(w);
	jw_key(w, "deployments");
	jw_arr(w);
	for (size_t i = 0; i < p->deploys.n; i++)
		deploy_write(&p->deploys.v[i], w);
	jw_end(w);
	jw_end(w);
}

void insight_state_write(const struct insight_state *s, struct jw *w)
{
	size_t                  n = 0;
	const struct iproject **all = calloc(map_count(&s->projects) + 1, sizeof(*all));

	if (!all) {
		w->out->failed = true;
		return;
	}
	for (struct map_entry *e = map_next(&s->projects, NULL); e; e = map_next(&s->projects, e))
		all[n++] = e->value;
	qsort(all, n, sizeof(*all), project_cmp);
	jw_obj(w);
	jw_kstrz(w, "definition", INSIGHT_DEFINITION);
	jw_key(w, "projects");
	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		project_write(all[i], w);
	jw_end(w);
	jw_end(w);
	free(all);
}
