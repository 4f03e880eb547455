/* cmd-project.c - `weir project create|list|show|archive`: projects of the server. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"

static void project_print(struct cli *c, const struct doc_node *p)
{
	cli_printf(c, "%s%-24.*s%s %-9.*s %.*s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(p, "name")), cli_color(c, ""),
	           STR_ARG(doc_get_str(p, "state")), STR_ARG(doc_get_str(p, "clone_url")));
}

static int project_answer(struct cli *c, const struct doc_node *p)
{
	if (cli_wants_json(c))
		jw_node(cli_json(c), p);
	else
		project_print(c, p);
	return 0;
}

static int run_create(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf body = BUF_INIT(4096);
	struct doc_node       *answer;
	struct jw              w;
	int                    r;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "name", cli_arg(c, 0));
	jw_end(&w);
	r = cli_call(c, "POST", "/api/v1/projects", buf_str(&body), &answer, reterr);
	return r ? r : project_answer(c, answer);
}

static int run_list(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    r = cli_call(c, "GET", "/api/v1/projects", STR_NULL, &answer, reterr);

	if (r)
		return r;
	all = doc_get(answer, "projects");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	for (size_t i = 0; i < doc_len(all); i++)
		project_print(c, doc_at(all, i));
	if (!doc_len(all))
		cli_notef(c, "no projects yet: `weir new --list` shows how to begin one\n");
	return 0;
}

static int project_call(struct cli *c, const char *method, const char *tail, struct err *reterr)
{
	struct doc_node *answer;
	int              r = cli_call_named(c, method, "/api/v1/projects/", cli_arg(c, 0), tail, &answer, reterr);

	return r ? r : project_answer(c, answer);
}

static int run_show(struct cli *c, struct err *reterr) { return project_call(c, "GET", "", reterr); }
static int run_archive(struct cli *c, struct err *reterr) { return project_call(c, "POST", "/archive", reterr); }

const struct cli_command cmd_project_create = {
	.name = "project create", .args = "NAME", .summary = "Makes a project with an empty repository", .args_min = 1, .args_max = 1, .run = run_create
};
const struct cli_command cmd_project_list = { .name = "project list", .args = "", .summary = "Lists the projects", .run = run_list };
const struct cli_command cmd_project_show = {
	.name = "project show", .args = "NAME", .summary = "Tells one project and its clone address", .args_min = 1, .args_max = 1, .run = run_show
};
const struct cli_command cmd_project_archive = {
	.name = "project archive", .args = "NAME", .summary = "Makes a project read-only", .args_min = 1, .args_max = 1, .run = run_archive
};
