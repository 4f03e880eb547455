/* workflow-step.c - the steps of a job: commands, and the two actions that are built in. Pure, any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/workflow-read.h"

static const char *const step_obeyed[] = { "id", "name", "if", "run", "shell", "working-directory", "env", "continue-on-error",
	"timeout-minutes", "uses", "with", NULL };
static const char *const step_known[] = { "background", "wait", "wait-all", "cancel", "parallel", NULL };

static const char *const checkout_obeyed[] = { "ref", "fetch-depth", "path", NULL };
static const char *const checkout_known[] = { "repository", "token", "ssh-key", "ssh-known-hosts", "ssh-strict", "ssh-user",
	"persist-credentials", "clean", "filter", "sparse-checkout", "sparse-checkout-cone-mode", "fetch-tags", "show-progress", "lfs",
	"submodules", "set-safe-directory", "github-server-url", NULL };
static const char *const release_obeyed[] = { "service", "environment", "files", NULL };

static const struct {
	const char        *name;
	enum wf_uses       uses;
	const char *const *inputs, *const *inputs_known;
	const char *const *needed;
} actions[] = {
	{ "actions/checkout@v4", WF_CHECKOUT, checkout_obeyed, checkout_known, NULL },
	{ "weir/release@v1", WF_RELEASE, release_obeyed, NULL, release_obeyed },
};

static void read_uses(struct wf_reader *r, const struct doc_node *n, const struct doc_node *step, struct wf_step *s)
{
	str                    name = wf_literal(r, n, "'uses'");
	const struct doc_node *with = doc_get(step, "with");

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!str_eqz(name, actions[i].name))
			continue;
		s->uses = actions[i].uses;
		if (with && with->kind == DOC_STR) /* one expression for all: the runner looks at what it gives */
			return;
		if (with && with->kind != DOC_NULL)
			(void)wf_map(r, with, "'with'", actions[i].inputs, actions[i].inputs_known);
		for (const char *const *k = actions[i].needed; k && *k; k++)
			if (!doc_get(with, *k))
				doc_error(r->c, with ? with : n, "%s needs the input '%s'", actions[i].name, *k);
		return;
	}
	if (name.len)
		doc_error(r->c, n, "action '%.*s' is not built in: what is are actions/checkout@v4 and weir/release@v1; write the others as 'run'",
		          STR_ARG(name));
}

static void check_id(struct wf_reader *r, const struct doc_node *n, struct wf_job *job, struct wf_step *s)
{
	if (!n)
		return;
	s->id = wf_literal(r, n, "'id'");
	if (str_has_prefix(s->id, STR("__")))
		doc_error(r->c, n, "step id '%.*s': ids that start with '__' are reserved", STR_ARG(s->id));
	else if (!wf_identifier(s->id))
		doc_error(r->c, n, "step id '%.*s' must be letters, digits, '_' and '-', start with a letter or '_' and be shorter than 100",
		          STR_ARG(s->id));
	for (size_t i = 0; i < job->n_steps; i++)
		if (str_eq_nocase(job->steps[i].id, s->id))
			doc_error(r->c, n, "step id '%.*s' is used twice in this job", STR_ARG(s->id));
}

/* Keys that belong to one of the two forms only. */
static void check_form(struct wf_reader *r, const struct doc_node *n, bool is_run)
{
	static const char *const run_only[] = { "shell", "working-directory", NULL };
	static const char *const uses_only[] = { "with", NULL };
	const char *const       *wrong = is_run ? uses_only : run_only;

	for (size_t i = 0; i < n->map.n; i++)
		for (const char *const *k = wrong; *k; k++)
			if (str_eqz(n->map.pairs[i].key, *k))
				doc_error_at(r->c, n->map.pairs[i].line, n->map.pairs[i].col, "'%s' belongs to a step with '%s'", *k,
				             is_run ? "uses" : "run");
}

static void read_step(struct wf_reader *r, const struct doc_node *n, struct wf_job *job, struct wf_step *s)
{
	const struct doc_node *run, *uses;

	s->line = n->line;
	s->col = n->col;
	if (!wf_map(r, n, "a step", step_obeyed, step_known))
		return;
	check_id(r, doc_get(n, "id"), job, s);
	s->name = wf_scalar(r, doc_get(n, "name"), "'name'", WF_AT_STEP);
	s->cond = wf_cond(r, doc_get(n, "if"), WF_AT_STEP_IF);
	s->continue_on_error = wf_bool(r, doc_get(n, "continue-on-error"), "'continue-on-error'", WF_AT_STEP);
	s->timeout_minutes = wf_number(r, doc_get(n, "timeout-minutes"), "'timeout-minutes'", 0.001, LIMIT_JOB_MINUTES, WF_AT_STEP);
	wf_pairs_read(r, doc_get(n, "env"), "'env'", WF_AT_STEP, true, &s->env);
	run = doc_get(n, "run");
	uses = doc_get(n, "uses");
	if (run && uses) {
		doc_error(r->c, uses, "a step has either 'run' or 'uses'");
		return;
	}
	if (uses) {
		check_form(r, n, false);
		read_uses(r, uses, n, s);
		wf_pairs_read(r, doc_get(n, "with"), "'with'", WF_AT_STEP, true, &s->with);
		return;
	}
	for (const char *const *k = step_known; !run && *k; k++)
		if (doc_get(n, *k))
			return; /* a kind of step that was refused by name already */
	check_form(r, n, true);
	if (!run)
		doc_error(r->c, n, "a step needs 'run' or 'uses'");
	s->run = wf_filled(r, run, "'run'", WF_AT_STEP);
	s->shell = wf_filled(r, doc_get(n, "shell"), "'shell'", WF_AT_STEP);
	s->working_directory = wf_scalar(r, doc_get(n, "working-directory"), "'working-directory'", WF_AT_STEP);
}

void wf_read_steps(struct wf_reader *r, const struct doc_node *n, struct wf_job *job)
{
	if (!n || !doc_is_seq(r->c, n, "'steps'"))
		return;
	if (n->seq.n == 0)
		doc_error(r->c, n, "'steps' must have at least one step");
	if (n->seq.n > LIMIT_JOB_STEPS) {
		doc_error(r->c, n, "%zu steps are more than %d", n->seq.n, LIMIT_JOB_STEPS);
		return;
	}
	job->steps = ARENA_ARRAY(r->a, n->seq.n ? n->seq.n : 1, struct wf_step);
	for (size_t i = 0; job->steps && i < n->seq.n; i++) {
		read_step(r, n->seq.items[i], job, &job->steps[i]);
		job->n_steps++;
	}
}
