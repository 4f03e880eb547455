/* run-create.c - runs begin: from an accepted change (subscriber of change.accepted) or by hand (dispatch).
 *
 * Reading git and planning happen before the transaction; in it all runs of one change are stored together with a mark that the change was seen, so
 * that the event may come any number of times. A workflow that cannot be read or planned is a run.skipped with its cause: the push
 * is in the repository already, and nothing may be lost silently. Runs on the subscriber's thread or a worker. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "pipeline/run-internal.h"

enum { WORKFLOWS_MAX = 64 };

struct source_file {
	str path, text;
};
struct sources {
	struct arena      *a;
	struct git_repo   *repo;
	const char        *commit;
	struct source_file files[WORKFLOWS_MAX];
	size_t             n;
	bool               too_many;
	str               *paths; /* changed */
	size_t             n_paths;
	bool               paths_known;
	str                subject;
};

static int take_file(void *ctx, str path, unsigned mode, const char *id, struct err *reterr)
{
	struct sources *s = ctx;
	struct buf      b = BUF_INIT(LIMIT_WORKFLOW_BYTES + 1);
	int             rc;

	if (!workflow_is_path(path) || (mode & 0170000) != 0100000)
		return 0;
	if (s->n == WORKFLOWS_MAX) {
		s->too_many = true;
		return 0;
	}
	rc = git_read_blob(s->repo, id, &b, reterr);
	if (rc == -WEIR_ELIMIT) /* the reader will refuse it for its size, with the file's name */
		rc = 0;
	if (rc == 0)
		s->files[s->n++] = (struct source_file){ arena_str(s->a, path), arena_str(s->a, buf_str(&b)) };
	buf_fini(&b);
	return rc ? rc : arena_check(s->a, "workflows", reterr);
}

static int take_path(void *ctx, const struct git_delta *d, struct err *reterr)
{
	struct sources *s = ctx;

	(void)reterr;
	if (s->n_paths == LIMIT_CHANGED_PATHS) {
		s->paths_known = false;
		return 0;
	}
	s->paths[s->n_paths++] = arena_str(s->a, d->path);
	return 0;
}

static bool is_zero(const char *id)
{
	return strspn(id, "0") == strlen(id);
}

/* Workflows, changed files and subject of the commit. old: zeros when the ref is new. */
static int read_sources(struct sources *s, const char *old, struct err *reterr)
{
	static const char *const dirs[] = { ".github/workflows", ".forgejo/workflows", ".gitea/workflows", ".weir/workflows" };
	struct git_commit        commit;
	char                     id[GIT_ID_SIZE];
	int                      rc = git_resolve(s->repo, s->commit, id, reterr); /* a commit that is gone for good is -WEIR_ENOENT */

	if (rc == 0)
		rc = git_commit_read(s->repo, s->commit, s->a, &commit, reterr);
	if (rc)
		return rc;
	s->subject = text_clean(s->a, commit.subject, 500);
	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(dirs); i++) {
		struct err e = { 0 };

		rc = git_tree_each(s->repo, s->commit, dirs[i], take_file, s, &e);
		if (rc == -WEIR_ENOENT)
			rc = 0;
		else if (rc && reterr)
			*reterr = e;
	}
	s->paths = ARENA_ARRAY(s->a, LIMIT_CHANGED_PATHS, str);
	if (rc == 0 && s->paths && s->n && !is_zero(old)) {
		s->paths_known = true;
		if (git_diff_each(s->repo, old, s->commit, take_path, s, NULL))
			s->paths_known = false; /* the old commit is gone: path filters match, as for a new ref */
	}
	return rc ? rc : arena_check(s->a, "workflows", reterr);
}

/* --- change.accepted --- */

struct change_turn {
	const struct event   *ev;
	const struct sources *src;
	str                   ref, old_id, new_id, actor;
	const struct err     *failure;
};

static int event_skipped(struct turn *t, const struct change_turn *c, str workflow, str cause, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "workflow", workflow);
	jw_kstr(&w, "commit", c->new_id);
	jw_kstr(&w, "ref", c->ref);
	jw_kstr(&w, "cause", cause);
	jw_end(&w);
	return run_event(t, c->ev->project, EVENT_RUN_SKIPPED, &b, reterr);
}

/* Plans one workflow and stores its run, or why there is none. */
static int plan_one(struct turn *t, const struct change_turn *c, const struct source_file *f, struct err *reterr)
{
	struct workflow *wf = NULL;
	struct plan     *plan = NULL;
	struct err       e = { 0 };
	char             id[ID_SIZE];
	struct plan_input in = { .event = STR("push"), .project = c->ev->project, .ref = c->ref, .commit = c->new_id, .before = c->old_id,
		                     .actor = c->actor, .subject = c->src->subject, .server_url = str_z(t->p->cfg.server_url),
		                     .run_id = str_z(id_new(id)), .run_attempt = 1, .paths = c->src->paths, .n_paths = c->src->n_paths,
		                     .paths_known = c->src->paths_known };
	int rc = workflow_parse(t->a, arena_dup(t->a, f->path), f->text, &wf, &e);

	if (rc == 0)
		rc = run_next_number(t, in.project, &in.run_number, &e);
	if (rc == 0)
		rc = plan_make(t->a, wf, &in, &plan, &e);
	if (rc == -WEIR_EINVAL || rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT)
		return event_skipped(t, c, wf ? wf->name : f->path, str_z(arena_printf(t->a, "invalid: %s", e.msg)), reterr);
	if (rc) {
		if (reterr)
			*reterr = e;
		return rc;
	}
	if (!plan->runs)
		return event_skipped(t, c, wf->name, plan->cause, reterr);
	return run_create(t, plan, &in, f->text, reterr);
}

static int change_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct change_turn *c = arg;
	int64_t             added = 0;
	int rc = db_exec_n(t->tx, reterr, &added, "INSERT INTO pl_change (project, seq) VALUES ($1, $2) ON CONFLICT (project, seq) DO NOTHING", "si",
	                   c->ev->project, c->ev->seq);

	if (rc || added == 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < c->src->n; i++)
		rc = plan_one(t, c, &c->src->files[i], reterr);
	if (rc == 0 && c->src->too_many)
		rc = event_skipped(t, c, STR("-"), STR("limit: more than 64 workflows; the rest does not run"), reterr);
	return rc;
}

/* What can never be stored or read must not hold back the project's stream: the change is marked as seen, with the reason. */
static int give_up_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct change_turn *c = arg;
	int64_t             added = 0;
	int rc = db_exec_n(t->tx, reterr, &added, "INSERT INTO pl_change (project, seq) VALUES ($1, $2) ON CONFLICT (project, seq) DO NOTHING", "si",
	                   c->ev->project, c->ev->seq);

	return rc || added == 0 ? rc : event_skipped(t, c, STR("-"), text_clean(t->a, str_z(c->failure->msg), LIMIT_CAUSE_BYTES), reterr);
}

static int give_up(struct pipeline *p, struct change_turn *c, int rc, struct err *failure, struct err *reterr)
{
	c->failure = failure;
	if (!err_retryable(rc) && rc != -WEIR_EINTERNAL)
		return turn_write(p, STR("weir"), give_up_turn, c, reterr);
	if (reterr)
		*reterr = *failure;
	return rc;
}

static bool get_id(const struct doc_node *n, const char *key, char out[GIT_ID_SIZE])
{
	str s = doc_get_str(n, key);

	if (s.len != GIT_ID_SIZE - 1)
		return false;
	memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return true;
}

/* "token:laptop" -> "laptop": github.actor */
static str short_actor(str actor)
{
	str left, right;

	return str_cut(actor, ':', &left, &right) ? right : actor;
}

int pipeline_on_change(const struct event *ev, void *ctx, struct err *reterr)
{
	struct pipeline           *p = ctx;
	CLEANUP_ARENA struct arena a = ARENA_INIT(LIMIT_PIPELINE_MEM);
	struct doc_node           *n = NULL;
	char                       old_id[GIT_ID_SIZE], new_id[GIT_ID_SIZE];
	struct sources            *s = ARENA_NEW(&a, struct sources);
	int                        rc = doc_parse_json(&a, "change.accepted", ev->data, &n, reterr);

	if (rc == 0 && !s)
		rc = arena_check(&a, "change", reterr);
	if (rc)
		return rc;
	if (!get_id(n, "old", old_id) || !get_id(n, "new", new_id))
		return err_set(reterr, WEIR_EINVAL, "change.accepted %lld of %.*s has no commit ids", (long long)ev->seq, STR_ARG(ev->project));
	if (is_zero(new_id))
		return 0; /* the ref was deleted */
	struct change_turn c = { ev, s, doc_get_str(n, "ref"), str_z(old_id), str_z(new_id), short_actor(doc_get_str(n, "pusher")), NULL };
	struct err         e = { 0 };
	s->a = &a;
	s->commit = new_id;
	rc = p->cfg.source->open(p->cfg.source->ctx, ev->project, &s->repo, &e);
	if (rc == 0)
		rc = read_sources(s, old_id, &e);
	s->repo = s->repo ? git_repo_close(s->repo) : NULL;
	if (rc == 0)
		rc = turn_write(p, STR("weir"), change_turn, &c, &e);
	return rc ? give_up(p, &c, rc, &e, reterr) : 0;
}

/* --- dispatch --- */

struct dispatch_turn {
	struct dispatch *d;
	struct sources  *src;
	size_t           file;
	str              ref, commit;
};

static int dispatch_turn(struct turn *t, void *arg, struct err *reterr)
{
	struct dispatch_turn *x = arg;
	struct source_file   *f = &x->src->files[x->file];
	struct workflow      *wf = NULL;
	struct plan          *plan = NULL;
	struct plan_input     in = { .event = STR("workflow_dispatch"), .project = x->d->project, .ref = x->ref, .commit = x->commit,
		                         .before = str_z(git_zero_id), .actor = short_actor(x->d->actor), .subject = x->src->subject,
		                         .server_url = str_z(t->p->cfg.server_url), .run_id = str_z(x->d->ret_run), .run_attempt = 1,
		                         .inputs = x->d->inputs };
	int rc = workflow_parse(t->a, arena_dup(t->a, f->path), f->text, &wf, reterr);

	if (rc == 0)
		rc = run_next_number(t, in.project, &in.run_number, reterr);
	if (rc == 0)
		rc = plan_make(t->a, wf, &in, &plan, reterr);
	if (rc)
		return rc;
	if (!plan->runs)
		return err_set(reterr, WEIR_EREFUSED, "%.*s cannot be dispatched: %.*s", STR_ARG(f->path), STR_ARG(plan->cause));
	return run_create(t, plan, &in, f->text, reterr);
}

/* "ci", "ci.yml" or the whole path. */
static bool names_file(str want, str path)
{
	str base = path;

	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/') {
			base = str_sub(path, i, path.len);
			break;
		}
	if (str_eq(want, path) || str_eq(want, base))
		return true;
	return base.len > want.len && str_has_prefix(base, want) && base.ptr[want.len] == '.';
}

/* The full name of the ref that a dispatch names, and its commit. */
static int resolve_ref(struct pipeline *p, struct git_repo *repo, str project, str ref, struct arena *a, str *ret_ref,
                       char ret_commit[GIT_ID_SIZE], struct err *reterr)
{
	static const char *const prefixes[] = { "", "refs/heads/", "refs/tags/" };
	char                     buf[LIMIT_PATH_BYTES];

	if (ref.len == 0) {
		int rc = p->cfg.source->default_ref(p->cfg.source->ctx, project, buf, sizeof(buf), reterr);
		if (rc)
			return rc;
		ref = arena_str(a, str_z(buf));
	}
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		const char *full = arena_printf(a, "%s%.*s", prefixes[i], STR_ARG(ref));

		if (!full || strncmp(full, "refs/", 5) != 0)
			continue;
		if (git_resolve(repo, full, ret_commit, NULL) == 0) {
			*ret_ref = str_z(full);
			return 0;
		}
	}
	return err_set(reterr, WEIR_ENOENT, "%.*s has no branch or tag '%.*s'", STR_ARG(project), STR_ARG(ref));
}

int pipeline_dispatch(struct pipeline *p, struct dispatch *d, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(LIMIT_PIPELINE_MEM);
	struct sources            *s = ARENA_NEW(&a, struct sources);
	struct dispatch_turn       x = { .d = d, .src = s };
	char                       commit[GIT_ID_SIZE];
	size_t                     found = 0;
	int                        rc;

	if (!s)
		return arena_check(&a, "dispatch", reterr);
	rc = p->cfg.source->open(p->cfg.source->ctx, d->project, &s->repo, reterr);
	if (rc)
		return rc;
	rc = resolve_ref(p, s->repo, d->project, d->ref, &a, &x.ref, commit, reterr);
	s->a = &a;
	s->commit = commit;
	if (rc == 0)
		rc = read_sources(s, git_zero_id, reterr);
	s->repo = git_repo_close(s->repo);
	if (rc)
		return rc;
	for (size_t i = 0; i < s->n; i++)
		if (names_file(d->workflow, s->files[i].path)) {
			x.file = i;
			found++;
		}
	if (found != 1)
		return err_set(reterr, WEIR_ENOENT, found ? "%zu workflows are called '%.*s': give the whole path"
		                                          : "%zu workflows are called '%.*s' at this ref", found, STR_ARG(d->workflow));
	x.commit = str_z(commit);
	(void)id_new(d->ret_run);
	return turn_write(p, d->actor, dispatch_turn, &x, reterr);
}
