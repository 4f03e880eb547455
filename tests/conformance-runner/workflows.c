/* workflows.c - three collections of workflow files: actions/starter-workflows (all must be read and planned), SchemaStore (valid ones are
 * read, invalid ones refused) and nektos/act (the ones of `run` steps: planned, or refused where they are wrong).
 *
 * A file that weir refuses only because it names a key, event or action that weir does not obey yet counts as skipped, with that name: that is the
 * promise of a strict reader. Any other refusal of a good file is a failure. */
#include "base/base.h"
#include "workflow_suites.h"

struct workflow *conf_read_workflow(struct conf_case *c, const char *file, str text, struct doc_check *check, const char **ret_named,
                                    const char **ret_other)
{
	struct workflow *wf = NULL;
	struct err       e = { 0 };

	*ret_named = *ret_other = "";
	doc_check_init(check, c->arena, file);
	if (workflow_read(c->arena, text, check, &wf, &e))
		*ret_other = arena_dupz(c->arena, e.msg);
	for (size_t i = 0; i < check->n_diags; i++) {
		const char *m = check->diags[i].msg;
		bool        named = strstr(m, "is not obeyed by weir") || strstr(m, "is not built in");
		const char *said = arena_printf(c->arena, "%u:%u: %s", check->diags[i].line, check->diags[i].col, m);

		if (named && !**ret_named)
			*ret_named = said;
		else if (!named && !**ret_other)
			*ret_other = said;
	}
	return wf;
}

/* Plans it for the first event that it names. False with a message in *why. */
static bool can_plan(struct conf_case *c, const struct workflow *wf, const char **why)
{
	struct plan_input in = { .event = wf->on_push ? STR("push") : STR("workflow_dispatch"), .project = STR("p"), .ref = STR("refs/heads/main"),
		                     .commit = STR("1111111111111111111111111111111111111111"), .before = STR("0000000000000000000000000000000000000000"),
		                     .actor = STR("a"), .subject = STR("s"), .server_url = STR("http://w"), .run_id = STR("r"), .run_number = 1,
		                     .run_attempt = 1 };
	struct plan      *p = NULL;
	struct err        e = { 0 };
	int               rc = plan_make(c->arena, wf, &in, &p, &e);

	*why = arena_dupz(c->arena, e.msg);
	return rc == 0 || strstr(e.msg, "is required by"); /* inputs that a person must give */
}

static void run_good(struct conf_case *c, const char *file, str text)
{
	struct doc_check check;
	const char      *named, *other, *why;
	struct workflow *wf = conf_read_workflow(c, file, text, &check, &named, &other);

	if (*other)
		conf_fail(c, NULL, "read", "%s", other);
	else if (!wf)
		conf_skip(c, NULL, "refused by name: %s", named);
	else if (!can_plan(c, wf, &why))
		conf_fail(c, NULL, "planned", "%s", why);
	else
		conf_pass(c, NULL);
}

static void run_starter(struct conf_case *c)
{
	run_good(c, "starter.yml", doc_get_str(c->json, "yaml"));
}
static const char *const starter_files[] = { "pipelines/starter-workflows.jsonl", NULL };
const struct conf_suite suite_starter_workflows = { .name = "starter-workflows", .files = starter_files, .name_key = "path", .run = run_starter };

static void run_schemastore(struct conf_case *c)
{
	struct doc_check check;
	const char      *named, *other;
	str              text = doc_get_str(c->json, "yaml");

	if (str_eqz(doc_get_str(c->json, "expect"), "valid")) {
		run_good(c, "schema.yml", text);
		return;
	}
	if (conf_read_workflow(c, "schema.yml", text, &check, &named, &other))
		conf_fail(c, NULL, "refused", "accepted");
	else if (!*other)
		conf_skip(c, NULL, "refused, by name: %s", named); /* what is wrong with it stands in a part that weir does not read */
	else
		conf_pass(c, NULL);
}
static const char *const schemastore_files[] = { "pipelines/schemastore-github-workflow.jsonl", NULL };
const struct conf_suite suite_schemastore_workflow = { .name = "schemastore-workflow", .files = schemastore_files, .run = run_schemastore };

/* Only the planning; running them is the runner's scenario. */
static void run_act(struct conf_case *c)
{
	struct doc_check check;
	const char      *named, *other, *class = arena_dup(c->arena, doc_get_str(c->json, "class"));
	str              text = doc_get_str(c->json, "workflow"), expect = doc_get_str(c->json, "expect");

	if (!str_eqz(doc_get_str(c->json, "class"), "run_only")) {
		conf_skip(c, NULL, "class %s", class);
		return;
	}
	if (str_eqz(expect, "success") || (str_eqz(expect, "failure") && !doc_get_str(c->json, "note").len)) {
		run_good(c, "act.yml", text);
		return;
	}
	if (conf_read_workflow(c, "act.yml", text, &check, &named, &other))
		conf_fail(c, NULL, "refused", "accepted");
	else
		conf_pass(c, NULL);
}
static const char *const act_files[] = { "pipelines/act-workflows.jsonl", NULL };
const struct conf_suite suite_act_workflows = { .name = "act-workflows", .files = act_files, .run = run_act };
