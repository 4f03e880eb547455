/* cmd-hook.c - `weir hook install|uninstall`: puts `weir check` before commit and push of the repository around the working
 * folder. A hook that is there already is kept and runs first. Running either command twice is fine. Main thread. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "base/fs.h"
#include "base/proc.h"
#include "git/git.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOOK_MARK   "# weir-hook: made by 'weir hook install'; 'weir hook uninstall' takes it away."
#define HOOK_BEFORE ".before-weir"

struct hook {
	const char *name, *body; /* behind the lines that set $weir */
};
static const struct hook hooks[] = {
	{ "pre-commit",
	  "if [ -x \"$0" HOOK_BEFORE "\" ]; then \"$0" HOOK_BEFORE "\" \"$@\" || exit $?; fi\n"
	  "exec \"$weir\" check --staged\n" },
	{ "pre-push",
	  "pushed=$(cat)\n"
	  "if [ -x \"$0" HOOK_BEFORE "\" ]; then printf '%s\\n' \"$pushed\" | \"$0" HOOK_BEFORE "\" \"$@\" || exit $?; fi\n"
	  "printf '%s\\n' \"$pushed\" | {\n"
	  "\tstatus=0\n"
	  "\twhile read -r local_ref local_id remote_ref remote_id; do\n"
	  "\t\tcase \"$local_id\" in ''|*[!0]*) ;; *) continue ;; esac # a deletion\n"
	  "\t\t[ -n \"$local_id\" ] || continue\n"
	  "\t\tgit cat-file -e \"$remote_id^{commit}\" 2>/dev/null || remote_id=\n"
	  "\t\t\"$weir\" check \"$remote_id..$local_id\" </dev/null || { code=$?; [ $code -gt $status ] && status=$code; }\n"
	  "\tdone\n"
	  "\texit $status\n"
	  "}\n" },
};

/* What was done to one hook: a line, or with --json an object of the list. */
static void tell(struct cli *c, const struct hook *h, const char *path, const char *done)
{
	struct jw *w;

	if (!cli_wants_json(c)) {
		cli_printf(c, "%s %s\n", path, done);
		return;
	}
	w = cli_json(c);
	jw_obj(w);
	jw_kstrz(w, "hook", h->name);
	jw_kstrz(w, "path", path);
	jw_kstrz(w, "done", done);
	jw_end(w);
}

/* The folder git takes hooks from (core.hooksPath included), made when it is missing. */
static int hooks_dir(char *out, size_t size, struct err *reterr)
{
	static const char *const argv[] = { "git", "rev-parse", "--git-path", "hooks", NULL };
	CLEANUP_BUF struct buf   text = BUF_INIT(8192);
	struct proc_run          run = { .argv = argv, .out = &text };
	int                      rc = proc_run(&run, NULL, reterr);
	str                      dir = str_trim(buf_str(&text));

	if (rc)
		return err_wrap(reterr, "is this a git repository?");
	if (snprintf(out, size, "%.*s", STR_ARG(dir)) >= (int)size)
		return err_set(reterr, WEIR_ELIMIT, "the path of the hooks is too long");
	return fs_mkdirs(out, 0777, reterr);
}

/* core.hooksPath may name a folder that many repositories use: weir then runs in all of them, which has to be said. */
static void tell_of_shared(struct cli *c, const char *dir)
{
	static const char *const argv[] = { "git", "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel", NULL };
	CLEANUP_BUF struct buf   text = BUF_INIT(16384);
	struct proc_run          run = { .argv = argv, .out = &text };
	str                      line, rest;

	if (*dir != '/' || proc_run(&run, NULL, NULL))
		return;
	for (rest = buf_str(&text); rest.len;) {
		str_cut(rest, '\n', &line, &rest);
		if (line.len && str_has_prefix(str_z(dir), line) && (dir[line.len] == '/' || !dir[line.len]))
			return;
	}
	cli_notef(c, "hooks are taken from %s (core.hooksPath), outside of this repository: other repositories may use them, too\n", dir);
}

static int is_ours(const char *path, bool *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
	int                    rc;

	*ret = false;
	if (!fs_exists(path))
		return 0;
	rc = fs_read(path, &text, reterr);
	if (!rc)
		*ret = str_contains(buf_str(&text), STR(HOOK_MARK));
	return rc;
}

static void add_quoted(struct buf *out, const char *text)
{
	buf_addc(out, '\'');
	for (; *text; text++)
		if (*text == '\'')
			buf_addz(out, "'\\''");
		else
			buf_addc(out, *text);
	buf_addc(out, '\'');
}

static int write_hook(const struct hook *h, const char *path, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(64 << 10);
	char                   self[4096];
	int                    rc = fs_self_exe(self, sizeof self, reterr);

	if (rc)
		return rc;
	buf_addz(&text, "#!/bin/sh\n" HOOK_MARK "\nweir=");
	add_quoted(&text, self);
	buf_addf(&text, "\n[ -x \"$weir\" ] || weir=weir\n%s", h->body);
	rc = buf_check(&text, "hook", reterr);
	return rc ? rc : fs_write_quick(path, buf_str(&text), 0755, reterr);
}

static int install_one(struct cli *c, const struct hook *h, const char *dir, struct err *reterr)
{
	char path[4200], before[4300];
	bool ours;
	int  rc;

	snprintf(path, sizeof path, "%s/%s", dir, h->name);
	snprintf(before, sizeof before, "%s%s", path, HOOK_BEFORE);
	rc = is_ours(path, &ours, reterr);
	if (rc)
		return rc;
	if (fs_exists(path) && !ours) {
		if (fs_exists(before))
			return err_set(reterr, WEIR_EEXIST, "%s and %s are both there and neither is weir's: remove one of them", path, before);
		if (rename(path, before))
			return err_errno(reterr, errno, "cannot keep the hook %s", path);
		cli_notef(c, "%s: the hook that was there is kept as %s and runs first\n", h->name, before);
	}
	rc = write_hook(h, path, reterr);
	if (!rc)
		tell(c, h, path, "installed");
	return rc;
}

static int uninstall_one(struct cli *c, const struct hook *h, const char *dir, struct err *reterr)
{
	char path[4200], before[4300];
	bool ours;
	int  rc;

	snprintf(path, sizeof path, "%s/%s", dir, h->name);
	snprintf(before, sizeof before, "%s%s", path, HOOK_BEFORE);
	rc = is_ours(path, &ours, reterr);
	if (rc || !ours)
		return rc;
	if (fs_exists(before) ? rename(before, path) : unlink(path))
		return err_errno(reterr, errno, "cannot take away %s", path);
	tell(c, h, path, "removed");
	return 0;
}

static int each_hook(struct cli *c, int (*fn)(struct cli *, const struct hook *, const char *, struct err *), struct err *reterr)
{
	char dir[4096];
	int  rc = hooks_dir(dir, sizeof dir, reterr);

	if (cli_wants_json(c))
		jw_arr(cli_json(c));
	for (size_t i = 0; !rc && i < ARRAY_SIZE(hooks); i++)
		rc = fn(c, &hooks[i], dir, reterr);
	if (cli_wants_json(c))
		jw_end(cli_json(c));
	return rc;
}

static int run_install(struct cli *c, struct err *reterr)
{
	char dir[4096];
	int  rc = hooks_dir(dir, sizeof dir, reterr);

	if (rc)
		return rc;
	tell_of_shared(c, dir);
	return each_hook(c, install_one, reterr);
}

static int run_uninstall(struct cli *c, struct err *reterr) { return each_hook(c, uninstall_one, reterr); }

const struct cli_command cmd_hook_install = {
	.name = "hook install",
	.args = "",
	.summary = "Runs 'weir check' before each commit and push of this repository",
	.help = "Writes pre-commit and pre-push. Hooks that are there already are kept and run first.",
	.run = run_install,
};
const struct cli_command cmd_hook_uninstall = {
	.name = "hook uninstall",
	.args = "",
	.summary = "Takes weir's hooks away again and puts the former ones back",
	.run = run_uninstall,
};
