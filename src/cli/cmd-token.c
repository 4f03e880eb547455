/* cmd-token.c - `weir token create|list|revoke`: access tokens of the server. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"

static int run_create(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf body = BUF_INIT(4096);
	const char            *scope = cli_option(c, "scope");
	struct doc_node       *answer;
	struct jw              w;
	int                    r;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "name", cli_arg(c, 0));
	jw_kstrz(&w, "scope", scope ? scope : "read");
	if (cli_option(c, "project"))
		jw_kstrz(&w, "project", cli_option(c, "project"));
	if (cli_option(c, "expires"))
		jw_kstrz(&w, "expires_in", cli_option(c, "expires"));
	jw_end(&w);
	r = cli_call(c, "POST", "/api/v1/tokens", buf_str(&body), &answer, reterr);
	if (r)
		return r;
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), answer);
		return 0;
	}
	/* The text alone on stdout, so that it can be put where it belongs without a copy on the screen. */
	cli_printf(c, "%.*s\n", STR_ARG(doc_get_str(answer, "token")));
	cli_notef(c, "token '%s' with the scope %s; it is shown this once\n", cli_arg(c, 0), scope ? scope : "read");
	return 0;
}

static void token_print(struct cli *c, const struct doc_node *t)
{
	str project = doc_get_str(t, "project"), expires = doc_get_str(t, "expires_at");

	cli_printf(c, "%s%-24.*s%s %-8.*s %-16.*s %s%.*s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(t, "name")), cli_color(c, ""),
	           STR_ARG(doc_get_str(t, "scope")), STR_ARG(project.len ? project : STR("all projects")), expires.len ? "until " : "",
	           STR_ARG(expires.len ? expires : STR("no end")));
}

static int run_list(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    r = cli_call(c, "GET", "/api/v1/tokens", STR_NULL, &answer, reterr);

	if (r)
		return r;
	all = doc_get(answer, "tokens");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	for (size_t i = 0; i < doc_len(all); i++)
		token_print(c, doc_at(all, i));
	return 0;
}

static int run_revoke(struct cli *c, struct err *reterr)
{
	struct doc_node *answer;
	int              r = cli_call_named(c, "DELETE", "/api/v1/tokens/", cli_arg(c, 0), "", &answer, reterr);

	if (r)
		return r;
	if (cli_wants_json(c)) {
		struct jw *w = cli_json(c);

		jw_obj(w);
		jw_kstrz(w, "revoked", cli_arg(c, 0));
		jw_end(w);
	} else {
		cli_printf(c, "revoked %s\n", cli_arg(c, 0));
	}
	return 0;
}

static const struct cli_opt create_opts[] = {
	{ "scope", "SCOPE", "read (the default), develop, release, admin, runner or flags" },
	{ "project", "PROJECT", "for this project only" },
	{ "expires", "TIME", "how long it is good, for example 90d; without it: until it is revoked" },
	{ NULL, NULL, NULL },
};
const struct cli_command cmd_token_create = {
	.name = "token create", .args = "NAME", .summary = "Makes an access token and prints it once", .opts = create_opts,
	.help = "Each scope holds the ones before it: read, develop (push, run), release (release, roll back), admin (projects, tokens). The scope\n"
	        "runner is for runners alone, flags for applications that only ask what flags say, edge for `weir edge` alone. git sends the token as the password, with any user name.",
	.args_min = 1, .args_max = 1, .run = run_create
};
const struct cli_command cmd_token_list = { .name = "token list", .args = "", .summary = "Lists the access tokens", .run = run_list };
const struct cli_command cmd_token_revoke = {
	.name = "token revoke", .args = "NAME", .summary = "Ends an access token and the sessions begun with it", .args_min = 1, .args_max = 1,
	.run = run_revoke
};
