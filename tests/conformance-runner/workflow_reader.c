/* workflow_reader.c - GitHub's own pairs of workflow and what its readers make of it (actions/languageservices).
 *
 * Good files: the struct workflow is written in GitHub's template form and compared whole, but for `events`, which the suite compares for one
 * reader only. Wrong files: weir must refuse them at each place that the suite names (its words are its own). Skipped with their reason: files that
 * weir refuses by name, reusable workflows, and the options of GitHub's readers (limits of other sizes, source tables). */
#include "base/base.h"
#include "workflow_suites.h"

#include <math.h>

/* --- GitHub's template form --- */

static void put_string(struct jw *w, struct arena *a, const struct doc_node *n);

static str text_of(struct arena *a, const struct doc_node *n)
{
	return n->kind == DOC_STR ? n->s : expr_to_string(a, expr_from_doc(a, n));
}

/* Index behind the "}}" that ends the expression which begins at `from` (behind its "${{"), or the length. */
static size_t expr_end(str s, size_t from)
{
	bool quoted = false;

	for (size_t i = from; i + 1 < s.len; i++) {
		if (s.ptr[i] == '\'')
			quoted = !quoted;
		if (!quoted && s.ptr[i] == '}' && s.ptr[i + 1] == '}')
			return i + 2;
	}
	return s.len;
}

static void add_literal(struct buf *b, str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '\'' || c == '{' || c == '}')
			buf_addc(b, c);
		buf_addc(b, c);
	}
}

/* The one expression that a text with ${{ }} stands for: the expression itself, or format('...', ...). */
static str as_expression(struct arena *a, str s)
{
	struct buf form = BUF_INIT(1 << 20), args = BUF_INIT(1 << 20);
	size_t     i = 0, n = 0;
	str        only = STR_NULL, result;

	while (i < s.len) {
		if (s.len - i >= 3 && memcmp(s.ptr + i, "${{", 3) == 0) {
			size_t end = expr_end(s, i + 3);
			str    e = str_trim(str_sub(s, i + 3, end - i - 5));

			if (i == 0 && end == s.len)
				only = e;
			buf_addf(&form, "{%zu}", n++);
			buf_addf(&args, ", %.*s", STR_ARG(e));
			i = end;
			continue;
		}
		size_t next = i;
		while (next < s.len && !(s.len - next >= 3 && memcmp(s.ptr + next, "${{", 3) == 0))
			next++;
		add_literal(&form, str_sub(s, i, next - i));
		i = next;
	}
	result = only.ptr ? only : str_z(arena_printf(a, "format('%s'%s)", buf_z(&form), buf_z(&args)));
	buf_fini(&form);
	buf_fini(&args);
	return result;
}

static void put_expr(struct jw *w, str e)
{
	jw_obj(w);
	jw_kint(w, "type", 3);
	jw_kstr(w, "expr", e);
	jw_end(w);
}

/* A constant like ${{ 'text' }} is its value. */
static void put_expression(struct jw *w, struct arena *a, str text)
{
	str                      e = as_expression(a, text);
	struct expr             *parsed;
	const struct expr_value *v;
	const struct expr_env    env = { expr_object(a, NULL, 0), NULL, NULL };

	if (e.len >= 2 && e.ptr[0] == '\'' && expr_parse(a, e, &parsed, NULL) == 0 && expr_eval(a, parsed, &env, &v, NULL) == 0 && v->kind == EXPR_STRING)
		jw_str(w, v->s);
	else
		put_expr(w, e);
}

static void put_string(struct jw *w, struct arena *a, const struct doc_node *n)
{
	if (n->kind == DOC_STR && str_contains(n->s, STR("${{")))
		put_expression(w, a, n->s);
	else
		jw_str(w, n->kind == DOC_NULL ? STR("") : text_of(a, n));
}

static void put_number(struct jw *w, double d)
{
	if (isnan(d))
		jw_strz(w, "NaN");
	else if (isinf(d))
		jw_strz(w, d > 0 ? "Infinity" : "-Infinity");
	else
		jw_num(w, d == 0 ? 0 : d);
}

/* Any value, with the type it has. */
static void put_token(struct jw *w, struct arena *a, const struct doc_node *n)
{
	if (n->kind == DOC_MAP || n->kind == DOC_SEQ) {
		bool map = n->kind == DOC_MAP;

		jw_obj(w);
		jw_kint(w, "type", map ? 2 : 1);
		jw_key(w, map ? "map" : "seq");
		jw_arr(w);
		for (size_t i = 0; i < doc_len(n); i++) {
			if (map) {
				jw_obj(w);
				jw_kstr(w, "Key", n->map.pairs[i].key);
				jw_key(w, "Value");
				put_token(w, a, n->map.pairs[i].value);
				jw_end(w);
			} else {
				put_token(w, a, n->seq.items[i]);
			}
		}
		jw_end(w);
		jw_end(w);
	} else if (n->kind == DOC_INT) {
		put_number(w, (double)n->i);
	} else if (n->kind == DOC_REAL) {
		put_number(w, n->d);
	} else if (n->kind == DOC_BOOL) {
		jw_bool(w, n->b);
	} else if (n->kind == DOC_NULL) {
		jw_null(w);
	} else {
		put_string(w, a, n);
	}
}

struct field {
	const char            *key;
	const struct doc_node *value;
	bool                   string;
};

static int by_place(const void *a, const void *b)
{
	const struct doc_node *x = ((const struct field *)a)->value, *y = ((const struct field *)b)->value;

	return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : (x->col > y->col) - (x->col < y->col);
}

/* A map of the given fields in the order of the file; nothing when none is there. */
static void put_fields(struct jw *w, struct arena *a, struct field *f, size_t n)
{
	size_t m = 0;

	for (size_t i = 0; i < n; i++)
		if (f[i].value)
			f[m++] = f[i];
	qsort(f, m, sizeof(*f), by_place);
	jw_obj(w);
	jw_kint(w, "type", 2);
	jw_key(w, "map");
	jw_arr(w);
	for (size_t i = 0; i < m; i++) {
		jw_obj(w);
		jw_kstrz(w, "Key", f[i].key);
		jw_key(w, "Value");
		if (f[i].string)
			put_string(w, a, f[i].value);
		else
			put_token(w, a, f[i].value);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void put_pairs(struct jw *w, struct arena *a, const char *key, const struct wf_pairs *p)
{
	if (p->whole) {
		jw_key(w, key);
		put_string(w, a, p->whole);
		return;
	}
	if (!p->n)
		return;
	jw_key(w, key);
	jw_obj(w);
	jw_kint(w, "type", 2);
	jw_key(w, "map");
	jw_arr(w);
	for (size_t i = 0; i < p->n; i++) {
		jw_obj(w);
		jw_kstr(w, "Key", p->v[i].key);
		jw_key(w, "Value");
		put_string(w, a, p->v[i].value);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static void put_defaults(struct jw *w, struct arena *a, const struct doc_node *shell, const struct doc_node *dir)
{
	struct field f[] = { { "shell", shell, true }, { "working-directory", dir, true } };

	if (!shell && !dir)
		return;
	jw_key(w, "defaults");
	jw_obj(w);
	jw_kint(w, "type", 2);
	jw_key(w, "map");
	jw_arr(w);
	jw_obj(w);
	jw_kstrz(w, "Key", "run");
	jw_key(w, "Value");
	put_fields(w, a, f, 2);
	jw_end(w);
	jw_end(w);
	jw_end(w);
}

static void put_permissions(struct jw *w, const struct doc_node *n)
{
	static const char *const all[] = { "actions", "checks", "contents", "deployments", "discussions", "id-token", "issues", "packages", "pages",
		"pull-requests", "repository-projects", "security-events", "statuses" };

	if (!n)
		return;
	jw_key(w, "permissions");
	jw_obj(w);
	for (size_t i = 0; n->kind == DOC_MAP && i < n->map.n; i++)
		if (!str_eqz(n->map.pairs[i].value->text, "none"))
			{
			jw_key_n(w, n->map.pairs[i].key);
			jw_str(w, n->map.pairs[i].value->text);
		}
	for (size_t i = 0; n->kind == DOC_STR && i < ARRAY_SIZE(all); i++)
		jw_kstr(w, all[i], str_sub(n->s, 0, str_find(n->s, '-')));
	jw_end(w);
}

static void put_if(struct jw *w, struct arena *a, const struct doc_node *n)
{
	str          text = n ? str_trim(n->kind == DOC_STR ? n->s : n->text) : STR("");
	struct expr *e = NULL;

	jw_key(w, "if");
	if (!text.len) {
		put_expr(w, STR("success()"));
		return;
	}
	if (str_contains(text, STR("${{")))
		text = as_expression(a, text);
	if (expr_parse(a, text, &e, NULL) == 0 && expr_uses_status(e))
		put_expr(w, text);
	else
		put_expr(w, str_z(arena_printf(a, "success() && (%.*s)", STR_ARG(text))));
}

static void put_optional(struct jw *w, struct arena *a, const char *key, const struct doc_node *n, bool string)
{
	if (!n)
		return;
	jw_key(w, key);
	if (string)
		put_string(w, a, n);
	else
		put_token(w, a, n);
}

static void put_concurrency(struct jw *w, struct arena *a, const struct wf_concurrency *c)
{
	struct field fields[] = { { "group", c->group, true }, { "cancel-in-progress", c->cancel, false } };

	if (c->group && c->cancel) {
		jw_key(w, "concurrency");
		put_fields(w, a, fields, 2);
	} else {
		put_optional(w, a, "concurrency", c->group, true);
	}
}

static void put_step(struct jw *w, struct arena *a, const struct wf_job *job, size_t index)
{
	static const char *const ids[] = { "__run", "__actions_checkout", "__weir_release" };
	const struct wf_step    *s = &job->steps[index];
	size_t                   same = 1;

	jw_obj(w);
	for (size_t i = 0; i < index; i++)
		same += !job->steps[i].id.len && job->steps[i].uses == s->uses;
	if (s->id.len)
		jw_kstr(w, "id", s->id);
	else if (same > 1)
		jw_kstrz(w, "id", arena_printf(a, "%s_%zu", ids[s->uses], same));
	else
		jw_kstrz(w, "id", ids[s->uses]);
	put_optional(w, a, "name", s->name, true);
	put_if(w, a, s->cond);
	put_optional(w, a, "continue-on-error", s->continue_on_error, false);
	put_optional(w, a, "timeout-minutes", s->timeout_minutes, false);
	put_pairs(w, a, "env", &s->env);
	put_optional(w, a, "working-directory", s->working_directory, true);
	put_optional(w, a, "shell", s->shell, true);
	put_optional(w, a, "run", s->run, true);
	if (s->uses == WF_CHECKOUT)
		jw_kstrz(w, "uses", "actions/checkout@v4");
	put_pairs(w, a, "with", &s->with);
	jw_end(w);
}

static void put_job(struct jw *w, struct arena *a, const struct workflow *wf, const struct wf_job *j)
{
	struct field strategy[] = { { "matrix", j->matrix, false }, { "fail-fast", j->fail_fast, false }, { "max-parallel", j->max_parallel, false } };
	struct field environment[] = { { "name", j->environment, true }, { "url", j->environment_url, true } };

	jw_obj(w);
	jw_kstrz(w, "type", "job");
	jw_kstr(w, "id", j->id);
	jw_key(w, "name");
	if (j->name)
		put_string(w, a, j->name);
	else
		jw_str(w, j->id);
	if (j->n_needs) {
		jw_key(w, "needs");
		jw_arr(w);
		for (size_t i = 0; i < j->n_needs; i++)
			jw_str(w, wf->jobs[j->needs[i]].id);
		jw_end(w);
	}
	put_if(w, a, j->cond);
	if (j->strategy) {
		jw_key(w, "strategy");
		put_string(w, a, j->strategy);
	} else if (j->matrix || j->fail_fast || j->max_parallel) {
		jw_key(w, "strategy");
		put_fields(w, a, strategy, 3);
	}
	put_optional(w, a, "continue-on-error", j->continue_on_error, false);
	put_optional(w, a, "timeout-minutes", j->timeout_minutes, false);
	put_optional(w, a, "cancel-timeout-minutes", j->cancel_timeout_minutes, false);
	put_concurrency(w, a, &j->concurrency);
	put_permissions(w, j->permissions ? j->permissions : wf->permissions);
	put_pairs(w, a, "env", &j->env);
	if (j->environment && j->environment_url) {
		jw_key(w, "environment");
		put_fields(w, a, environment, 2);
	} else {
		put_optional(w, a, "environment", j->environment, true);
	}
	put_defaults(w, a, j->default_shell, j->default_working_directory);
	put_optional(w, a, "runs-on", j->runs_on, j->runs_on && j->runs_on->kind != DOC_SEQ);
	put_pairs(w, a, "outputs", &j->outputs);
	jw_key(w, "steps");
	jw_arr(w);
	for (size_t i = 0; i < j->n_steps; i++)
		put_step(w, a, j, i);
	jw_end(w);
	jw_end(w);
}

static void put_workflow(struct jw *w, struct arena *a, const struct workflow *wf)
{
	static const char *const types[] = { "string", "boolean", "number", "choice", "environment" };

	jw_obj(w);
	if (wf->n_inputs) {
		jw_key(w, "input-types");
		jw_obj(w);
		for (size_t i = 0; i < wf->n_inputs; i++) {
			jw_key_n(w, wf->inputs[i].name);
			jw_strz(w, types[wf->inputs[i].type]);
		}
		jw_end(w);
	}
	put_pairs(w, a, "env", &wf->env);
	put_defaults(w, a, wf->default_shell, wf->default_working_directory);
	put_permissions(w, wf->permissions);
	put_concurrency(w, a, &wf->concurrency);
	jw_key(w, "jobs");
	jw_arr(w);
	for (size_t i = 0; i < wf->n_jobs; i++)
		put_job(w, a, wf, &wf->jobs[i]);
	jw_end(w);
	jw_end(w);
}

/* --- comparing --- */

static void canonical_without_events(struct conf_case *c, const struct doc_node *n, struct buf *out)
{
	struct doc_node *copy = ARENA_NEW(c->arena, struct doc_node);

	*copy = *n;
	copy->map.pairs = ARENA_ARRAY(c->arena, n->map.n + 1, struct doc_pair);
	copy->map.n = 0;
	for (size_t i = 0; i < n->map.n; i++)
		if (!str_eqz(n->map.pairs[i].key, "events"))
			copy->map.pairs[copy->map.n++] = n->map.pairs[i];
	doc_canonical(copy, out);
}

static void compare(struct conf_case *c, const struct workflow *wf)
{
	struct buf       json CLEANUP_BUF = BUF_INIT(8 << 20), want CLEANUP_BUF = BUF_INIT(8 << 20), seen CLEANUP_BUF = BUF_INIT(8 << 20);
	struct doc_node *n = NULL;
	struct jw        w;
	struct err       e = { 0 };

	jw_init(&w, &json);
	put_workflow(&w, c->arena, wf);
	if (doc_parse_json(c->arena, "seen", buf_str(&json), &n, &e)) {
		conf_fail(c, NULL, "JSON", "%s", e.msg);
		return;
	}
	canonical_without_events(c, doc_get(c->json, "expected"), &want);
	doc_canonical(n, &seen);
	conf_equal(c, NULL, buf_str(&want), buf_str(&seen));
}

/* Is there a problem at each place that the suite names? */
static bool all_places(struct conf_case *c, const struct doc_check *check, const char **ret_missing)
{
	const struct doc_node *errors = doc_path(c->json, "expected.errors");

	for (size_t i = 0; i < doc_len(errors); i++) {
		const char *msg = arena_dup(c->arena, doc_get_str(doc_at(errors, i), "Message")), *at = strstr(msg, "(Line: ");
		unsigned    line = 0, col = 0;
		bool        found = false;

		if (!at || sscanf(at, "(Line: %u, Col: %u)", &line, &col) != 2) {
			found = check->n_diags > 0; /* the suite names no place: refused is enough */
		}
		for (size_t k = 0; k < check->n_diags; k++)
			found = found || (check->diags[k].line == line && check->diags[k].col == col);
		if (!found) {
			*ret_missing = msg;
			return false;
		}
	}
	return true;
}

static void run(struct conf_case *c)
{
	static const char *const foreign[] = { "max-depth", "max-file-size", "max-result-size", "permissions-policy", "skip-reusable-workflows",
		"is-partial-rerun", "experimental-features", NULL };
	const struct doc_node *options = doc_get(c->json, "options");
	const char            *named, *other, *missing = "", *file = arena_dup(c->arena, doc_get_str(c->json, "path"));
	struct doc_check       check;
	struct workflow       *wf;

	if (doc_get_bool(options, "include-source", false)) {
		conf_skip(c, NULL, "source tables of GitHub's readers");
		return;
	}
	wf = conf_read_workflow(c, file, doc_get_str(c->json, "input"), &check, &named, &other);
	if (doc_get_bool(c->json, "is_error", false)) {
		if (!wf && all_places(c, &check, &missing)) {
			conf_pass(c, NULL);
			return;
		}
		for (const char *const *k = foreign; *k; k++)
			if (doc_get(options, *k)) {
				conf_skip(c, NULL, "an option of GitHub's readers: %s", *k);
				return;
			}
		if (*named)
			conf_skip(c, NULL, "refused by name: %s", named);
		else
			conf_fail(c, NULL, missing, "%s", wf ? "accepted" : other);
		return;
	}
	if (*other && !*named)
		conf_fail(c, NULL, "read", "%s", other);
	else if (!wf)
		conf_skip(c, NULL, "refused by name: %s", named);
	else
		compare(c, wf);
}

static const char *const files[] = { "pipelines/workflow-reader.jsonl", NULL };
const struct conf_suite suite_workflow_reader = { .name = "workflow-reader", .files = files, .run = run };
