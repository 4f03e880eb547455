/* workflow.c - reads a workflow file: the YAML tree becomes a struct workflow, or a list of problems with their places.
 *
 * Every key is obeyed or refused: keys of GitHub's dialect that weir does not obey are refused by name, unknown ones with the nearest known
 * key. This file has the top of the document and its triggers; workflow-job.c the jobs, workflow-step.c the steps, workflow-text.c scalars and
 * expressions. Pure, any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/workflow-read.h"

static const char *const top_obeyed[] = { "name", "on", "permissions", "env", "defaults", "concurrency", "jobs", "run-name", NULL };
static const char *const top_known[] = { "description", NULL };

/* Events of GitHub that never start anything here. */
static const char *const events_known[] = {
	"branch_protection_rule", "check_run", "check_suite", "create", "delete", "deployment", "deployment_status", "discussion",
	"discussion_comment", "fork", "gollum", "image_version", "issue_comment", "issues", "label", "merge_group", "milestone", "page_build",
	"project", "project_card", "project_column", "public", "pull_request", "pull_request_comment", "pull_request_review",
	"pull_request_review_comment", "pull_request_target", "registry_package", "release", "repository_dispatch", "schedule",
	"status", "watch", "workflow_call", "workflow_run", NULL,
};
static const char *const events_obeyed[] = { "push", "workflow_dispatch", NULL };

/* --- on --- */

/* branches and branches-ignore, or their like: one filter; both at once are refused. */
static void read_filter(struct wf_reader *r, const struct doc_node *push, const char *key, const char *ignore_key, struct wf_filter *f)
{
	const struct doc_node *plain = doc_get(push, key), *ignore = doc_get(push, ignore_key);
	const struct doc_node *n = plain ? plain : ignore;
	bool                   positive = false;

	if (!n)
		return;
	if (plain && ignore) {
		doc_error(r->c, ignore, "'%s' and '%s' cannot be used together: put patterns with '!' into '%s'", key, ignore_key, key);
		return;
	}
	f->set = true;
	f->ignore = !plain;
	if (n->kind == DOC_NULL) {
		doc_error(r->c, n, "'%s' must not be empty", plain ? key : ignore_key);
		return;
	}
	wf_strings(r, n, plain ? key : ignore_key, &f->patterns, &f->n);
	for (size_t i = 0; i < f->n; i++) {
		const struct doc_node *at = n->kind == DOC_SEQ ? n->seq.items[i] : n;

		if (f->patterns[i].len > LIMIT_GLOB_BYTES)
			doc_error(r->c, at, "the pattern is longer than %d bytes", LIMIT_GLOB_BYTES);
		if (f->patterns[i].ptr[0] != '!')
			positive = true;
		else if (f->ignore)
			doc_error(r->c, at, "'!' has no meaning in '%s'", ignore_key);
	}
	if (plain && f->n && !positive)
		doc_error(r->c, n, "'%s' has only patterns with '!': add at least one without, for what they are taken from", key);
}

static void read_push(struct wf_reader *r, const struct doc_node *n, struct workflow *wf)
{
	static const char *const obeyed[] = { "branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore", NULL };

	wf->on_push = true;
	if (!n || n->kind == DOC_NULL || !wf_map(r, n, "'on.push'", obeyed, NULL))
		return;
	read_filter(r, n, "branches", "branches-ignore", &wf->branches);
	read_filter(r, n, "tags", "tags-ignore", &wf->tags);
	read_filter(r, n, "paths", "paths-ignore", &wf->paths);
}

static void check_default(struct wf_reader *r, const struct wf_input *in)
{
	const struct doc_node *d = in->default_value;
	bool                   found = false;

	if (!d || d->kind == DOC_NULL)
		return;
	if (in->type == WF_INPUT_BOOLEAN && d->kind != DOC_BOOL)
		doc_error(r->c, d, "the default of a boolean input must be true or false");
	if (in->type == WF_INPUT_NUMBER && d->kind != DOC_INT && d->kind != DOC_REAL)
		doc_error(r->c, d, "the default of a number input must be a number");
	if ((in->type == WF_INPUT_STRING || in->type == WF_INPUT_ENVIRONMENT) && d->kind != DOC_STR)
		doc_error(r->c, d, "the default of this input must be a text: put it into quotes");
	if (in->type != WF_INPUT_CHOICE)
		return;
	for (size_t i = 0; i < in->n_options; i++)
		found = found || str_eq(in->options[i], d->kind == DOC_STR ? d->s : d->text);
	if (!found)
		doc_error(r->c, d, "the default of a choice must be one of its options");
}

static void read_input(struct wf_reader *r, const struct doc_pair *p, struct wf_input *in)
{
	static const char *const obeyed[] = { "description", "type", "required", "default", "options", NULL };
	static const char *const known[] = { "deprecationMessage", NULL };
	static const char *const types[] = { "string", "boolean", "number", "choice", "environment", NULL };
	const struct doc_node   *n = p->value, *type, *options;

	in->name = p->key;
	if (!wf_identifier(p->key))
		doc_error_at(r->c, p->line, p->col, "input name '%.*s' must be letters, digits, '_' and '-', starting with a letter or '_'",
		             STR_ARG(p->key));
	if (n->kind == DOC_NULL || !wf_map(r, n, "an input", obeyed, known))
		return;
	in->description = wf_literal(r, doc_get(n, "description"), "'description'");
	type = doc_get(n, "type");
	if (type) {
		int t = doc_want_enum(r->c, type, "'type'", types);

		in->type = t < 0 ? WF_INPUT_STRING : (enum wf_input_type)t;
	}
	if (doc_get(n, "required"))
		in->required = doc_want_bool(r->c, doc_get(n, "required"), "'required'");
	options = doc_get(n, "options");
	if (options && in->type != WF_INPUT_CHOICE)
		doc_error(r->c, options, "'options' belong to an input of type 'choice'");
	else if (options)
		wf_strings(r, options, "'options'", &in->options, &in->n_options);
	if (in->type == WF_INPUT_CHOICE && in->n_options == 0)
		doc_error(r->c, n, "an input of type 'choice' needs 'options'");
	in->default_value = wf_scalar(r, doc_get(n, "default"), "'default'", 0);
	check_default(r, in);
}

static void read_dispatch(struct wf_reader *r, const struct doc_node *n, struct workflow *wf)
{
	static const char *const obeyed[] = { "inputs", NULL };
	const struct doc_node   *inputs;

	wf->on_dispatch = true;
	if (!n || n->kind == DOC_NULL || !wf_map(r, n, "'on.workflow_dispatch'", obeyed, NULL))
		return;
	inputs = doc_get(n, "inputs");
	if (!inputs || inputs->kind == DOC_NULL || !wf_map(r, inputs, "'inputs'", NULL, NULL))
		return;
	if (inputs->map.n > LIMIT_WORKFLOW_INPUTS) {
		doc_error(r->c, inputs, "more than %d inputs", LIMIT_WORKFLOW_INPUTS);
		return;
	}
	wf->inputs = ARENA_ARRAY(r->a, inputs->map.n, struct wf_input);
	for (size_t i = 0; wf->inputs && i < inputs->map.n; i++)
		read_input(r, &inputs->map.pairs[i], &wf->inputs[wf->n_inputs++]);
}

static void read_event(struct wf_reader *r, str name, uint32_t line, uint32_t col, const struct doc_node *value, struct workflow *wf)
{
	if (str_eqz(name, "push")) {
		read_push(r, value, wf);
		return;
	}
	if (str_eqz(name, "workflow_dispatch")) {
		read_dispatch(r, value, wf);
		return;
	}
	for (size_t i = 0; events_known[i]; i++)
		if (str_eqz(name, events_known[i])) {
			doc_error_at(r->c, line, col, "event '%s' is not obeyed by weir yet: what is are push and workflow_dispatch",
			             events_known[i]);
			return;
		}
	const char *near = doc_nearest(name, events_obeyed);
	near = near ? near : doc_nearest(name, events_known);
	doc_error_at(r->c, line, col, near ? "unknown event '%.*s' (did you mean '%s'?)" : "unknown event '%.*s'", STR_ARG(name),
	             near ? near : "");
}

void wf_read_on(struct wf_reader *r, const struct doc_node *n, struct workflow *wf)
{
	if (n->kind == DOC_MAP) {
		for (size_t i = 0; i < n->map.n; i++)
			read_event(r, n->map.pairs[i].key, n->map.pairs[i].line, n->map.pairs[i].col, n->map.pairs[i].value, wf);
	} else if (n->kind == DOC_SEQ) {
		for (size_t i = 0; i < n->seq.n; i++) {
			const struct doc_node *item = n->seq.items[i];

			if (item->kind == DOC_STR)
				read_event(r, item->s, item->line, item->col, NULL, wf);
			else
				doc_error(r->c, item, "an event in 'on' must be a name, not a %s", doc_kind_name(item->kind));
		}
	} else if (n->kind == DOC_STR) {
		read_event(r, n->s, n->line, n->col, NULL, wf);
	} else {
		doc_error(r->c, n, "'on' must be an event's name, a list of them or a map, not a %s", doc_kind_name(n->kind));
	}
	if ((n->kind == DOC_MAP || n->kind == DOC_SEQ) && doc_len(n) == 0)
		doc_error(r->c, n, "'on' names no event");
}

/* --- what workflow and jobs share --- */

void wf_read_defaults(struct wf_reader *r, const struct doc_node *n, unsigned may, const struct doc_node **ret_shell,
                      const struct doc_node **ret_dir)
{
	static const char *const obeyed[] = { "run", NULL };
	static const char *const run_obeyed[] = { "shell", "working-directory", NULL };
	const struct doc_node   *run;

	if (!n || n->kind == DOC_NULL || !wf_map(r, n, "'defaults'", obeyed, NULL))
		return;
	run = doc_get(n, "run");
	if (!run || run->kind == DOC_NULL || !wf_map(r, run, "'defaults.run'", run_obeyed, NULL))
		return;
	*ret_shell = wf_filled(r, doc_get(run, "shell"), "'shell'", may);
	*ret_dir = wf_filled(r, doc_get(run, "working-directory"), "'working-directory'", may);
}

const struct doc_node *wf_read_permissions(struct wf_reader *r, const struct doc_node *n)
{
	static const char *const all[] = { "read-all", "write-all", NULL };
	static const char *const levels[] = { "read", "write", "none", NULL };
	static const char *const scopes[] = { "actions", "artifact-metadata", "attestations", "checks", "code-quality", "contents",
		"copilot-requests", "deployments", "discussions", "drives", "id-token", "issues", "models", "packages", "pages", "pull-requests",
		"repository-projects", "security-events", "statuses", "vulnerability-alerts", NULL };

	if (!n || n->kind == DOC_NULL)
		return NULL;
	if (n->kind == DOC_STR)
		return doc_want_enum(r->c, n, "'permissions'", all) < 0 ? NULL : n;
	if (!wf_map(r, n, "'permissions'", scopes, NULL))
		return NULL;
	for (size_t i = 0; i < n->map.n; i++)
		(void)doc_want_enum(r->c, n->map.pairs[i].value, "a permission", levels);
	return n;
}

void wf_read_concurrency(struct wf_reader *r, const struct doc_node *n, unsigned may, struct wf_concurrency *ret)
{
	static const char *const obeyed[] = { "group", "cancel-in-progress", "queue", NULL };
	static const char *const queues[] = { "single", "max", NULL };
	const struct doc_node   *group = n, *queue;

	if (!n)
		return;
	if (n->kind == DOC_MAP) {
		(void)wf_map(r, n, "'concurrency'", obeyed, NULL);
		group = doc_need(r->c, n, "group");
		ret->cancel = wf_bool(r, doc_get(n, "cancel-in-progress"), "'cancel-in-progress'", may);
		queue = doc_get(n, "queue");
		ret->queue_max = queue && doc_want_enum(r->c, queue, "'queue'", queues) == 1;
		if (ret->queue_max && ret->cancel && (ret->cancel->kind != DOC_BOOL || ret->cancel->b))
			doc_error(r->c, queue, "'queue: max' and 'cancel-in-progress' cannot be used together: what is cancelled need not be queued");
	}
	ret->group = wf_filled(r, group, "the concurrency group", may);
}

/* --- the whole --- */

static void read_top(struct wf_reader *r, const struct doc_node *top, struct workflow *wf)
{
	const struct doc_node *on, *jobs;

	if (!wf_map(r, top, "a workflow", top_obeyed, top_known))
		return;
	wf->name = wf_literal(r, doc_get(top, "name"), "'name'");
	if (wf->name.len == 0)
		wf->name = wf->file;
	if (wf->name.len > LIMIT_WORKFLOW_NAME_BYTES)
		doc_error(r->c, doc_get(top, "name"), "'name' is longer than %d bytes", LIMIT_WORKFLOW_NAME_BYTES);
	on = doc_need(r->c, top, "on");
	if (on)
		wf_read_on(r, on, wf);
	wf_pairs_read(r, doc_get(top, "env"), "'env'", WF_AT_WORKFLOW | WF_SECRETS, true, &wf->env);
	wf_read_defaults(r, doc_get(top, "defaults"), 0, &wf->default_shell, &wf->default_working_directory);
	wf->permissions = wf_read_permissions(r, doc_get(top, "permissions"));
	wf_read_concurrency(r, doc_get(top, "concurrency"), WF_AT_WORKFLOW, &wf->concurrency);
	wf->run_name = wf_scalar(r, doc_get(top, "run-name"), "'run-name'", WF_AT_WORKFLOW);
	jobs = doc_need(r->c, top, "jobs");
	if (jobs)
		wf_read_jobs(r, jobs, wf);
}

/* A syntax error of the YAML text is a problem of the file too: its message already says where. */
static int add_syntax_error(struct doc_check *c, const struct err *e)
{
	const char *msg = e->msg;
	size_t      file_len = strlen(c->file);
	unsigned    line = 1, col = 1;
	int         used = 0;

	if (strncmp(msg, c->file, file_len) == 0 && sscanf(msg + file_len, ":%u:%u: %n", &line, &col, &used) == 2 && used > 0)
		msg += file_len + (size_t)used;
	doc_error_at(c, line, col, "%s", msg);
	return 0;
}

int workflow_read(struct arena *a, str text, struct doc_check *c, struct workflow **ret, struct err *reterr)
{
	struct wf_reader r = { a, c };
	struct workflow *wf = ARENA_NEW(a, struct workflow);
	struct doc_node *top = NULL;
	struct err       e = { 0 };
	int              rc;

	*ret = NULL;
	if (!wf)
		return arena_check(a, "workflow", reterr);
	if (text.len > LIMIT_WORKFLOW_BYTES) {
		doc_error_at(c, 1, 1, "the workflow is larger than %d bytes", LIMIT_WORKFLOW_BYTES);
		return 0;
	}
	rc = doc_parse_yaml(a, c->file, text, &top, &e);
	if (rc == -WEIR_ENOMEM) {
		if (reterr)
			*reterr = e;
		return rc;
	}
	if (rc)
		return add_syntax_error(c, &e);
	wf->file = arena_str(a, str_z(c->file));
	sha256_hex(text, wf->digest);
	read_top(&r, top, wf);
	rc = arena_check(a, "workflow", reterr);
	if (rc)
		return rc;
	if (c->n_diags == 0)
		*ret = wf;
	return 0;
}

int workflow_parse(struct arena *a, const char *file, str text, struct workflow **ret, struct err *reterr)
{
	struct doc_check c;
	int              rc;

	doc_check_init(&c, a, file);
	rc = workflow_read(a, text, &c, ret, reterr);
	return rc ? rc : doc_check_result(&c, reterr);
}

bool workflow_is_path(str path)
{
	static const char *const dirs[] = { ".github/workflows/", ".forgejo/workflows/", ".gitea/workflows/", ".weir/workflows/" };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		str dir = str_z(dirs[i]), rest;

		if (!str_has_prefix(path, dir))
			continue;
		rest = str_sub(path, dir.len, path.len);
		return (str_has_suffix(rest, STR(".yml")) || str_has_suffix(rest, STR(".yaml"))) && str_find(rest, '/') == rest.len;
	}
	return false;
}
