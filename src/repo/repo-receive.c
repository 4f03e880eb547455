/* repo-receive.c - the whole decision about a push, asked by the pre-receive hook while the objects are in quarantine.
 *
 * A push is refused as a whole when one of its refs is: git's pre-receive hook knows no half. Runs on the hook's thread. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"

enum { FINDINGS_JSON_BYTES = 160 << 10 };

struct collected { /* findings of this room's own checks, put in front of the gate's */
	struct arena   *a;
	struct finding *v;
	size_t          n, cap;
};

static int collect(void *ctx, const struct finding *f, struct err *reterr)
{
	struct collected *c = ctx;

	if (c->n == 100) /* one push needs no more to be understood */
		return 0;
	if (c->n == c->cap) {
		size_t          cap = c->cap ? c->cap * 2 : 8;
		struct finding *v = ARENA_ARRAY(c->a, cap, struct finding);

		if (!v)
			return arena_check(c->a, "the findings of a push", reterr);
		if (c->n)
			memcpy(v, c->v, c->n * sizeof(*v));
		c->v = v;
		c->cap = cap;
	}
	c->v[c->n] = *f;
	c->v[c->n].path = arena_str(c->a, f->path);
	c->v[c->n].commit = arena_str(c->a, f->commit);
	c->v[c->n].message = arena_str(c->a, f->message);
	c->v[c->n++].advice = arena_str(c->a, f->advice);
	return arena_check(c->a, "the findings of a push", reterr);
}

static void code_json(const struct finding_code *code, struct jw *w)
{
	str line, left = code->lines;

	jw_key(w, "code");
	jw_obj(w);
	jw_kint(w, "first", code->first);
	jw_key(w, "lines");
	jw_arr(w);
	for (bool more = true; more;) {
		more = str_cut(left, '\n', &line, &left);
		jw_str(w, line.ptr ? line : STR(""));
	}
	jw_end(w);
	jw_end(w);
}

void repo_findings_json(const struct verdict *v, struct jw *w)
{
	static const char *const severities[] = { "none", "note", "warning", "error" };

	jw_arr(w);
	for (size_t i = 0; i < v->n_findings && w->out->len < FINDINGS_JSON_BYTES; i++) {
		const struct finding *f = &v->findings[i];

		jw_obj(w);
		jw_kstr(w, "check", f->check);
		jw_kstr(w, "rule", f->rule);
		jw_kstrz(w, "severity", severities[f->severity]);
		jw_kstr(w, "path", f->path);
		jw_kint(w, "line", f->line);
		jw_kint(w, "col", f->col);
		jw_kstr(w, "message", str_sub(f->message, 0, 400));
		jw_kstr(w, "advice", str_sub(f->advice, 0, 400));
		jw_kstr(w, "fingerprint", f->fingerprint);
		jw_kbool(w, "waived", f->waived);
		if (f->waived)
			jw_kstr(w, "waiver", f->waiver);
		if (f->code.first)
			code_json(&f->code, w);
		jw_end(w);
	}
	jw_end(w);
}

/* Rules of the protected default branch. Appends to text and answers false when the update is not allowed. */
static int protection_check(const struct repo_push *push, struct git_repo *git, str default_ref, const struct ref_update *u, struct buf *text,
                            bool *ret_ok, struct err *reterr)
{
	bool forward = true;
	int  r = 0;

	*ret_ok = true;
	if (!str_eq(u->ref, default_ref) || push->is_admin || !strcmp(u->old_id, git_zero_id))
		return 0;
	if (!strcmp(u->new_id, git_zero_id)) {
		buf_addf(text, "%.*s is protected: it cannot be deleted\n  do: ask someone with the admin scope\n", STR_ARG(u->ref));
		*ret_ok = false;
		return 0;
	}
	r = git_is_ancestor(git, u->old_id, u->new_id, &forward, reterr);
	if (!r && !forward) {
		buf_addf(text, "%.*s is protected: this push would take commits away\n  do: git pull --rebase, then push again (or ask someone with the admin scope)\n",
		         STR_ARG(u->ref));
		*ret_ok = false;
	}
	return r;
}

/* The ref's target before the change: where policies, waivers and rights come from. */
static void target_find(struct git_repo *git, str default_ref, char out[GIT_ID_SIZE])
{
	char ref[512];

	snprintf(ref, sizeof(ref), "%.*s", STR_ARG(default_ref));
	if (git_resolve(git, ref, out, NULL))
		snprintf(out, GIT_ID_SIZE, "%s", git_zero_id);
}

/* A path as a terminal may show it. */
static void add_shown(struct buf *text, str path)
{
	for (size_t i = 0; i < path.len; i++)
		buf_addc(text, (unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f ? '?' : path.ptr[i]);
}

static void finding_text(struct buf *text, const struct finding *f)
{
	buf_addf(text, "%.*s  ", STR_ARG(f->rule));
	add_shown(text, f->path);
	buf_addf(text, ":%u", f->line ? f->line : 1);
	if (f->commit.len)
		buf_addf(text, "  (commit %.*s)", STR_ARG(str_sub(f->commit, 0, 12)));
	buf_addf(text, "\n  %.*s\n  do: %.*s\n", STR_ARG(f->message), STR_ARG(f->advice));
}

static int gate_ask(struct repo_store *s, const struct change *c, struct arena *a, struct buf *text, struct verdict *ret, struct err *reterr)
{
	struct collected    mine = { .a = a };
	struct finding_sink sink = { collect, &mine };
	int                 r = repo_hostile_check(c, &sink, reterr);

	if (r)
		return r;
	if (mine.n) {
		for (size_t i = 0; i < mine.n; i++)
			finding_text(text, &mine.v[i]);
		*ret = (struct verdict){ .call = VERDICT_FAIL, .findings = mine.v, .n_findings = mine.n };
		snprintf(ret->digest, sizeof(ret->digest), "repo");
		return 0;
	}
	return s->cfg.receive.check(s->cfg.receive.ctx, c, a, ret, text, reterr);
}

static int refuse(struct repo_store *s, const struct repo_push *push, const struct ref_update *u, const struct verdict *v, const char *reason,
                  struct err *reterr)
{
	CLEANUP_BUF struct buf json = BUF_INIT(LIMIT_EVENT_BYTES);
	struct verdict         none = { 0 };
	struct jw              w;

	jw_init(&w, &json);
	repo_findings_json(v ? v : &none, &w);
	return repo_refusal_record(s, str_z(push->project), u, str_z(push->actor), v && v->digest[0] ? str_z(v->digest) : STR("none"),
	                           buf_str(&json), str_z(reason), reterr);
}

struct push_check { /* one push being looked at */
	struct repo_store      *s;
	const struct repo_push *push;
	struct git_repo        *git;
	struct repo_project     project;
	struct arena           *a;
	struct buf             *text;
};

static int judged(struct push_check *p, const struct ref_update *u, const struct verdict *v, struct push_verdict *ret, bool *ret_ok,
                  struct err *reterr)
{
	CLEANUP_BUF struct buf json = BUF_INIT(LIMIT_EVENT_BYTES);
	const char            *reason = "findings";
	struct jw              w;

	if (v->call == VERDICT_PASS) {
		jw_init(&w, &json);
		repo_findings_json(v, &w);
		*ret = (struct push_verdict){ .actor = str_z(p->push->actor),
			                          .digest = arena_str(p->a, v->digest[0] ? str_z(v->digest) : STR("none")),
			                          .findings = (int64_t)v->n_findings,
			                          .findings_json = arena_str(p->a, buf_str(&json)) };
		return arena_check(p->a, "a verdict", reterr);
	}
	*ret_ok = false;
	if (v->call != VERDICT_FAIL)
		reason = arena_printf(p->a, "cannot judge: %.*s", STR_ARG(str_sub(v->cause, 0, 400)));
	return refuse(p->s, p->push, u, v, reason ? reason : "cannot judge", reterr);
}

static int one_update(struct push_check *p, const struct ref_update *u, struct push_verdict *ret, bool *ret_ok, struct err *reterr)
{
	char           target[GIT_ID_SIZE];
	struct verdict v = { 0 };
	struct change  c = { .project = p->project.name, .ref = u->ref, .pusher = str_z(p->push->actor), .trust = TRUST_DEVELOPER, .repo = p->git, .keep_code = true };
	int            r = protection_check(p->push, p->git, p->project.default_ref, u, p->text, ret_ok, reterr);

	if (r || !*ret_ok)
		return r ? r : refuse(p->s, p->push, u, NULL, "protected branch", reterr);
	target_find(p->git, p->project.default_ref, target);
	snprintf(c.old_id, sizeof(c.old_id), "%s", u->old_id);
	snprintf(c.new_id, sizeof(c.new_id), "%s", u->new_id);
	c.target = target;
	if (strcmp(u->new_id, git_zero_id))
		r = gate_ask(p->s, &c, p->a, p->text, &v, reterr);
	else
		v.call = VERDICT_PASS;
	if (!r)
		return judged(p, u, &v, ret, ret_ok, reterr);
	/* the pusher hears why; that the refusal cannot be recorded either would say nothing new */
	if (refuse(p->s, p->push, u, NULL, "weir could not look", NULL))
		log_warn("repo", "project %s: a refusal was not recorded", p->push->project);
	return r;
}

static int all_updates(struct push_check *p, const struct ref_update *u, size_t n, bool *ret_ok, struct err *reterr)
{
	struct push_verdict *v = ARENA_ARRAY(p->a, n, struct push_verdict);
	int                  r = v || !n ? 0 : arena_check(p->a, "a push", reterr);

	for (size_t i = 0; !r && i < n; i++) {
		bool ok = true;

		if (n > 1)
			buf_addf(p->text, "%.*s\n", STR_ARG(u[i].ref));
		r = one_update(p, &u[i], &v[i], &ok, reterr);
		*ret_ok &= ok;
	}
	if (r || !*ret_ok)
		return r;
	return repo_verdicts_put(p->s, p->project.name, u, v, n, reterr);
}

int repo_receive(struct repo_store *s, const struct repo_push *push, const char *quarantine, const struct ref_update *u, size_t n,
                 struct buf *text, bool *ret_ok, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(512 << 20);
	struct push_check          p = { .s = s, .push = push, .a = &a, .text = text };
	char                       path[PATH_MAX];
	int                        r = repo_project_get(s, str_z(push->project), &a, &p.project, reterr);

	if (r)
		return r;
	*ret_ok = false;
	if (!str_eqz(p.project.state, "active")) {
		buf_addf(text, "project '%s' is archived: it can be read, not pushed to\n", push->project);
		return 0;
	}
	if (n > LIMIT_PUSH_REFS) {
		buf_addf(text, "this push moves %zu refs; the limit is %d\n  do: push fewer at once\n", n, LIMIT_PUSH_REFS);
		return 0;
	}
	for (size_t i = 0; i < n; i++)
		if (!str_utf8_valid(u[i].ref)) {
			buf_addz(text, "the name of a ref is not UTF-8\n  do: rename the branch or tag (git branch -m)\n");
			return 0;
		}
	*ret_ok = true;
	r = repo_path_of(s, p.project.name, path, sizeof(path), reterr);
	if (!r)
		r = git_repo_open(path, quarantine, &p.git, reterr);
	if (!r)
		r = all_updates(&p, u, n, ret_ok, reterr);
	git_repo_close(p.git);
	return r;
}
