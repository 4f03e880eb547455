/* cmd-new.c - `weir new`: a project from a golden path: its files, a git repository with a first commit, a project on the server
 * and the remote to push to. What fails takes back what it made: afterwards everything is there, or nothing. */
#include "base/base.h"
#include "cli/cli.h"
#include "base/fs.h"
#include "base/proc.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "golden/golden.h"

#include <limits.h>
#include <unistd.h>

enum { PARAMS_MAX = 100, GIT_TIMEOUT_MS = 60000 };

struct making {
	struct cli *c;
	const char *template_name, *name, *target;
	usec_t began;
	int64_t version;
	bool has_author; /* git knows who commits */
	struct err *reterr;
};

/* --- git --- */

static int git(struct making *m, const char *const *args, bool *ret_ok)
{
	const char *argv[32] = { "git", "-C", m->target };
	struct buf out CLEANUP_BUF = BUF_INIT(64 << 10);
	struct proc_run run = {
		.argv = argv, .timeout_ms = GIT_TIMEOUT_MS, .out = ret_ok ? NULL : &out, .err = ret_ok ? NULL : &out
	};
	size_t n = 3;
	int status, r;

	for (; *args; args++) {
		if (n + 1 >= ARRAY_SIZE(argv))
			BUG("too many words for git");
		argv[n++] = *args;
	}
	r = proc_run(&run, &status, m->reterr);
	if (!r && ret_ok)
		*ret_ok = status == 0;
	else if (!r && status)
		r = err_set(m->reterr, WEIR_EIO, "git %s: %s", argv[3], out.len ? buf_z(&out) : "failed");
	return r;
}
#define GIT(m, ...) git((m), (const char *const[]){ __VA_ARGS__, NULL }, NULL)

static int first_commit(struct making *m)
{
	char *message =
		arena_printf(cli_arena(m->c), "Begin from the golden path %s, version %lld", m->template_name, (long long)m->version);
	int r = GIT(m, "init", "--quiet", "--initial-branch=main");

	if (!r)
		r = git(m, (const char *const[]){ "var", "GIT_COMMITTER_IDENT", NULL }, &m->has_author);
	if (!r)
		r = GIT(m, "add", "--all");
	if (r)
		return r;
	if (m->has_author)
		return GIT(m, "-c", "commit.gpgSign=false", "commit", "--quiet", "--message", message);
	return GIT(m, "-c", "user.name=weir", "-c", "user.email=weir@localhost", "-c", "commit.gpgSign=false", "commit", "--quiet",
			   "--message", message);
}

/* --- the server --- */

static int create_project(struct making *m)
{
	struct buf body CLEANUP_BUF = BUF_INIT(4096);
	struct doc_node *answer;
	struct jw w;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "name", m->name);
	jw_kstrz(&w, "template", m->template_name);
	jw_kint(&w, "began_at", m->began);
	jw_end(&w);
	return cli_call(m->c, "POST", "/api/v1/projects", buf_str(&body), &answer, m->reterr);
}

/* One word of a POSIX shell: git runs helpers through one. */
static void add_quoted(struct buf *out, const char *word)
{
	buf_addc(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_addz(out, "'\\''");
		else
			buf_addc(out, *word);
	}
	buf_addc(out, '\'');
}

static int add_option(struct making *m, struct buf *out, const char *option, const char *path)
{
	char *full;

	if (!path || !*path)
		return 0;
	full = realpath(path, NULL);
	if (!full)
		return err_set(m->reterr, WEIR_ENOENT, "%s %s cannot be found", option, path);
	buf_addf(out, " %s ", option);
	add_quoted(out, full);
	free(full);
	return 0;
}

/* The helper is this program with the settings at hand: files are named, what is in them is not. */
static int helper_command(struct making *m, struct buf *out)
{
	const struct settings *s = cli_settings(m->c);
	char self[PATH_MAX];
	int r = fs_self_exe(self, sizeof(self), m->reterr);

	if (r)
		return r;
	buf_addc(out, '!');
	add_quoted(out, self);
	buf_addz(out, " credential");
	r = add_option(m, out, "--config", s->file);
	if (!r)
		r = add_option(m, out, "--token-file", cli_setting(m->c, "token-file"));
	buf_addz(out, " --server ");
	add_quoted(out, cli_setting(m->c, "server"));
	return r ? r : buf_check(out, "credential helper", m->reterr);
}

static int add_remote(struct making *m)
{
	const char *server = cli_setting(m->c, "server");
	size_t len = strlen(server);
	struct buf helper CLEANUP_BUF = BUF_INIT(4 * PATH_MAX);
	char *key, *url;
	int r = helper_command(m, &helper);

	while (len && server[len - 1] == '/')
		len--;
	key = arena_printf(cli_arena(m->c), "credential.%.*s.helper", (int)len, server);
	url = arena_printf(cli_arena(m->c), "%.*s/git/%s.git", (int)len, server, m->name);
	if (!r)
		r = arena_check(cli_arena(m->c), "remote", m->reterr);
	if (!r)
		r = GIT(m, "remote", "add", "origin", url);
	if (!r) /* an empty one first: helpers of the user's own settings must not store the token */
		r = GIT(m, "config", "--add", key, "");
	if (!r)
		r = GIT(m, "config", "--add", key, buf_z(&helper));
	if (!r)
		r = GIT(m, "config", "push.autoSetupRemote", "true");
	return r;
}

/* --- the command --- */

static void print_param(struct cli *c, const struct golden_param *p)
{
	cli_printf(c, "    --param %.*s=...  ", STR_ARG(p->name));
	cli_print_text(c, 18 + (unsigned)p->name.len, 8,
				   arena_printf(cli_arena(c), "%.*s (%.*s)", STR_ARG(p->summary), STR_ARG(p->otherwise)));
}

static int list_templates(struct cli *c, struct err *reterr)
{
	struct golden_template *all;
	struct jw *w = cli_wants_json(c) ? cli_json(c) : NULL;
	size_t n;
	int r = golden_list(cli_arena(c), &all, &n, reterr);

	if (w)
		jw_arr(w);
	for (size_t i = 0; i < n && !r; i++) {
		if (w) {
			jw_obj(w);
			jw_kstr(w, "name", all[i].name);
			jw_kstr(w, "summary", all[i].summary);
			jw_kint(w, "version", all[i].version);
			jw_key(w, "parameters");
			jw_obj(w);
		} else {
			cli_printf(c, "%s%.*s%s  ", cli_color(c, "bold"), STR_ARG(all[i].name), cli_color(c, ""));
			cli_print_text(c, (unsigned)all[i].name.len + 2, 4, arena_dup(cli_arena(c), all[i].summary));
		}
		for (size_t k = 0; k < all[i].n_params; k++) {
			const struct golden_param *p = &all[i].params[k];

			if (w)
				(jw_key_n(w, p->name), jw_str(w, p->otherwise));
			else
				print_param(c, p);
		}
		if (w)
			(jw_end(w), jw_end(w));
	}
	if (w)
		jw_end(w);
	return r;
}

static int read_params(struct cli *c, struct golden_value *values, size_t *ret_n, struct err *reterr)
{
	str all = cli_option(c, "param") ? str_z(cli_option(c, "param")) : STR(""), one;

	*ret_n = 0;
	while (all.len) {
		str_cut(all, '\n', &one, &all);
		if (*ret_n == PARAMS_MAX)
			return err_set(reterr, WEIR_ELIMIT, "more than %d parameters", PARAMS_MAX);
		if (!str_cut(one, '=', &values[*ret_n].name, &values[*ret_n].value))
			return err_set(reterr, WEIR_EINVAL, "--param needs NAME=VALUE, not '%.*s'", STR_ARG(str_sub(one, 0, 80)));
		++*ret_n;
	}
	return 0;
}

static void tell(struct making *m, bool with_project)
{
	struct jw *w;

	if (cli_wants_json(m->c)) {
		w = cli_json(m->c);
		jw_obj(w);
		jw_kstrz(w, "name", m->name);
		jw_kstrz(w, "template", m->template_name);
		jw_kint(w, "version", m->version);
		jw_kstrz(w, "folder", m->target);
		jw_kbool(w, "project", with_project);
		jw_end(w);
		return;
	}
	cli_printf(m->c, "%s%s%s is ready in %s, with tests, a workflow and .weir/service.yaml.\n", cli_color(m->c, "bold"), m->name,
			   cli_color(m->c, ""), m->target);
	if (!m->has_author)
		cli_notef(m->c,
				  "The first commit is by weir@localhost, because git does not know you: git config --global user.email ...\n");
	if (with_project)
		cli_printf(m->c, "Next: cd %s && git push\n", m->target);
	else
		cli_printf(m->c, "Next: cd %s; `weir project create %s` makes its place on the server.\n", m->target, m->name);
}

static int run_new(struct cli *c, struct err *reterr)
{
	struct golden_value values[PARAMS_MAX];
	bool with_project = !cli_switch(c, "no-project");
	struct making m = { .c = c, .reterr = reterr, .began = clock_wall_now() };
	size_t n;
	int r;

	if (cli_switch(c, "list"))
		return list_templates(c, reterr);
	if (cli_n_args(c) != 2)
		return err_set(reterr, WEIR_EINVAL, "weir new needs a template and a name; `weir new --list` shows the templates");
	m.template_name = cli_arg(c, 0);
	m.name = cli_arg(c, 1);
	m.target = cli_option(c, "into") ? cli_option(c, "into") : m.name;
	r = read_params(c, values, &n, reterr);
	if (!r)
		r = golden_render(str_z(m.template_name), str_z(m.name), values, n, m.target, &m.version, reterr);
	if (r)
		return r;
	r = first_commit(&m);
	if (!r && with_project)
		r = add_remote(&m);
	if (!r && with_project)
		r = create_project(&m);
	if (r && fs_remove_tree(m.target, NULL))
		err_wrap(reterr, "%s could not be removed", m.target);
	if (!r)
		tell(&m, with_project);
	return r;
}

static const struct cli_opt opts[] = {
	{ .name = "into", .arg = "FOLDER", .help = "folder to make (the name)" },
	{ .name = "param", .arg = "NAME=VALUE", .help = "a parameter of the template; may be repeated", .repeat = true },
	{ .name = "no-project", .help = "files and repository only, nothing on the server" },
	{ .name = "list", .help = "lists the templates and their parameters" },
	{ NULL },
};
const struct cli_command cmd_new = {
	.name = "new",
	.args = "[TEMPLATE NAME]",
	.summary = "Begins a project from a golden path",
	.help =
		"Makes a folder with a service that works as it stands (tests, workflow, .weir/service.yaml), a git repository with a "
		"first\n"
		"commit, a project on the server, and a remote that `git push` goes to. When something fails, nothing is left behind.",
	.opts = opts,
	.args_max = 2,
	.run = run_new
};
