/* steps-env.c - what exactly is run for a step: script, shell, working folder, environment. Runs on the job's thread. */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "pipeline/steps-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- files of a step, read-only inside: box/files/script, box/files/N (made when something else than a script is needed); written by it:
 * box/files/cmd. Script and command files are the same files for all steps of a job: no process of a step outlives it, and making files is what
 * costs most on a busy disk --- */

static int files_path(const struct job *j, const char *name, char out[1100], struct err *reterr)
{
	if (snprintf(out, 1100, "%s/box/files/%s", j->dir, name) >= 1100)
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	return 0;
}

int step_file(struct job *j, size_t i, const char *name, str data, mode_t mode, struct err *reterr)
{
	char path[1100], number[32];
	int  r;

	snprintf(number, sizeof(number), "%zu", i);
	r = files_path(j, number, path, reterr);
	if (!r)
		r = fs_mkdirs(path, 0755, reterr);
	if (!r && snprintf(path, sizeof(path), "%s/box/files/%zu/%s", j->dir, i, name) >= (int)sizeof(path))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	return r ? r : fs_write_quick(path, data, mode, reterr);
}

int step_script(struct job *j, str text, struct err *reterr)
{
	char           path[1100];
	int            r = files_path(j, "script", path, reterr);
	CLEANUP_FD int fd = r ? -1 : open(path, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0700);

	if (r)
		return r;
	if (fd < 0 || fchmod(fd, 0755))
		return err_errno(reterr, errno, "cannot write %s", path);
	/* over the former text, then cut: an emptied file would be sent to the disk at once */
	r = fs_write_fd(fd, path, text, reterr);
	if (!r && ftruncate(fd, (off_t)text.len))
		r = err_errno(reterr, errno, "cannot write %s", path);
	return r;
}

static const char *const command_files[][2] = { { "GITHUB_ENV", "env" }, { "GITHUB_OUTPUT", "output" }, { "GITHUB_PATH", "path" },
	                                            { "GITHUB_STEP_SUMMARY", "summary" }, { "GITHUB_STATE", "state" } };

/* Is the folder as we made it? A step may have added, removed or replaced anything in it. */
static bool only_command_files(int dir)
{
	int            fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR           *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t         known = 0, other = 0;

	if (!d) {
		base_cleanup_fd(&fd);
		return false;
	}
	while ((e = readdir(d))) {
		size_t k = 0;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		while (k < ARRAY_SIZE(command_files) && strcmp(e->d_name, command_files[k][1]))
			k++;
		known += k < ARRAY_SIZE(command_files);
		other += k == ARRAY_SIZE(command_files);
		if (other)
			break;
	}
	closedir(d);
	return known == ARRAY_SIZE(command_files) && !other;
}

/* Empties the command files of the step before; false when they are not all what we once made: plain files with one name and our mode. */
static bool reuse_files(const char *path)
{
	CLEANUP_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat    st;

	if (dir < 0 || fstat(dir, &st) || (st.st_mode & 07777) != 0755 || !only_command_files(dir))
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(command_files); k++) {
		CLEANUP_FD int fd = openat(dir, command_files[k][1], O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1 || (st.st_mode & 07777) != 0644)
			return false;
		if (st.st_size && ftruncate(fd, 0))
			return false;
	}
	return true;
}

/* Before each step; no process of an earlier one is left, and what those wrote is in state.json. */
static int make_files(struct job *j, struct err *reterr)
{
	char path[1100], away[1100], name[64];
	int  r = files_path(j, "cmd", path, reterr);

	if (r || reuse_files(path))
		return r;
	/* moved away, not removed: a step may have left folders in it that an ordinary user cannot look into */
	snprintf(name, sizeof(name), "cmd-%lld", (long long)clock_mono_now());
	r = files_path(j, name, away, reterr);
	if (!r && rename(path, away) && errno != ENOENT)
		r = err_errno(reterr, errno, "cannot rename %s", path);
	if (!r && mkdir(path, 0755))
		r = err_errno(reterr, errno, "cannot make %s", path);
	for (size_t k = 0; !r && k < ARRAY_SIZE(command_files); k++) {
		CLEANUP_FD int fd = -1;

		snprintf(name, sizeof(name), "cmd/%s", command_files[k][1]);
		r = files_path(j, name, path, reterr);
		fd = r ? -1 : open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (!r && (fd < 0 || fchmod(fd, 0644)))
			r = err_errno(reterr, errno, "cannot make %s", path);
		if (!r)
			r = sandbox_give(path, j->slot, reterr);
	}
	if (!r)
		r = files_path(j, "cmd", path, reterr);
	if (!r && chmod(path, 0755)) /* whatever the umask is */
		r = err_errno(reterr, errno, "cannot make %s", path);
	return r ? r : sandbox_give(path, j->slot, reterr);
}

/* --- environment --- */

int env_add(struct env_list *l, str key, str value, struct err *reterr)
{
	char *text;

	if (!key.len || memchr(key.ptr, '=', key.len) || memchr(key.ptr, 0, key.len) || (value.len && memchr(value.ptr, 0, value.len)))
		return err_set(reterr, WEIR_EINVAL, "env: '%.*s' cannot be an environment variable", STR_ARG(str_sub(key, 0, 60)));
	text = arena_printf(l->a, "%.*s=", STR_ARG(key));
	if (text) { /* the value may be longer than what %.*s takes */
		char *all = arena_alloc(l->a, key.len + value.len + 2);

		if (all) {
			memcpy(all, text, key.len + 1);
			if (value.len)
				memcpy(all + key.len + 1, value.ptr, value.len);
		}
		text = all;
	}
	if (!text)
		return arena_check(l->a, "environment of a step", reterr);
	for (size_t i = 0; i < l->v.n; i++)
		if (!strncmp(l->v.v[i], text, key.len + 1)) {
			l->v.v[i] = text;
			return 0;
		}
	return VEC_PUSH(&l->v, (const char *)text) ? 0 : err_set(reterr, WEIR_ENOMEM, "out of memory");
}

static int add_z(struct env_list *l, const char *key, const char *value, struct err *reterr)
{
	return env_add(l, str_z(key), str_z(value), reterr);
}

static int add_github(struct step_eval *e, struct env_list *l, struct err *reterr)
{
	static const char *const names[] = { "sha", "ref", "ref_name", "ref_type", "ref_protected", "repository", "repository_owner", "run_id", "run_number",
		                                 "run_attempt", "actor", "triggering_actor", "workflow", "job", "event_name", "server_url", "api_url",
		                                 "head_ref", "base_ref", "workspace", "event_path", "workflow_ref", "workflow_sha", "action" };
	const struct expr_value *github = expr_get(e->env_all.contexts, STR("github"));
	int                      r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(names); i++) {
		const struct expr_value *v = expr_get(github, str_z(names[i]));
		char                     key[64];
		size_t                   n = 0;

		if (!v || v->kind == EXPR_OBJECT || v->kind == EXPR_ARRAY)
			continue;
		n = (size_t)snprintf(key, sizeof(key), "GITHUB_%s", names[i]);
		for (size_t k = 7; k < n; k++)
			key[k] = key[k] >= 'a' && key[k] <= 'z' ? (char)(key[k] - 32) : key[k];
		r = env_add(l, str_n(key, n), expr_to_string(e->a, v), reterr);
	}
	return r;
}

static int add_path(struct job *j, struct env_list *l, const struct expr_value *env, struct err *reterr)
{
	CLEANUP_BUF struct buf    b = BUF_INIT(LIMIT_STEP_FILE_BYTES);
	const struct expr_value *own = expr_get(env, STR("PATH"));
	int                       r;

	for (size_t i = j->paths.n; i > 0; i--) { /* the last one added comes first */
		buf_add_str(&b, j->paths.v[i - 1]);
		buf_addc(&b, ':');
	}
	buf_add_str(&b, own && own->kind == EXPR_STRING ? own->s : STR(SANDBOX_PATH));
	r = buf_check(&b, "PATH", reterr);
	return r ? r : env_add(l, STR("PATH"), buf_str(&b), reterr);
}

static int add_files(struct env_list *l, struct err *reterr)
{
	char path[128];
	int  r = 0;

	for (size_t k = 0; !r && k < ARRAY_SIZE(command_files); k++) {
		snprintf(path, sizeof(path), SANDBOX_FILES "/cmd/%s", command_files[k][1]);
		r = add_z(l, command_files[k][0], path, reterr);
	}
	return r;
}

/* The order is the precedence: what the runner sets cannot be replaced by a workflow, except CI, HOME, TMPDIR and PATH. */
static int make_env(struct step_eval *e, struct env_list *l, struct err *reterr)
{
	static const char *const first[][2] = { { "CI", "true" }, { "HOME", SANDBOX_HOME }, { "USER", "runner" }, { "LANG", "C.UTF-8" },
		                                    { "DEBIAN_FRONTEND", "noninteractive" } };
	static const char *const last[][2] = { { "GITHUB_ACTIONS", "true" }, { "RUNNER_OS", "Linux" }, { "RUNNER_ARCH", "X64" },
		                                   { "RUNNER_NAME", "weir" }, { "RUNNER_TEMP", SANDBOX_TEMP }, { "RUNNER_WORKSPACE", SANDBOX_WORK },
		                                   { "RUNNER_TOOL_CACHE", SANDBOX_WORK "/_tool" }, { "RUNNER_ENVIRONMENT", "self-hosted" },
		                                   { "WEIR", WEIR_VERSION } };
	int r = 0;

	for (size_t k = 0; !r && k < ARRAY_SIZE(first); k++)
		r = add_z(l, first[k][0], first[k][1], reterr);
	for (size_t k = 0; !r && k < e->env->len; k++)
		r = env_add(l, e->env->pairs[k].key, expr_to_string(e->a, e->env->pairs[k].value), reterr);
	for (size_t k = 0; !r && k < ARRAY_SIZE(last); k++)
		r = add_z(l, last[k][0], last[k][1], reterr);
	if (!r)
		r = add_path(e->job, l, e->env, reterr);
	if (!r)
		r = add_github(e, l, reterr);
	return r ? r : add_files(l, reterr);
}

/* --- shell --- */

static const char *shell_template(str shell)
{
	static const char *const known[][2] = { { "bash", "bash --noprofile --norc -eo pipefail {0}" }, { "sh", "sh -e {0}" }, { "python", "python3 {0}" },
		                                    { "pwsh", "pwsh -command . '{0}'" } };

	if (!shell.len)
		return "bash -e {0}";
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqz(shell, known[i][0]))
			return known[i][1];
	return NULL;
}

/* Words of a template, quotes of both kinds kept together; {0} anywhere in a word becomes the script. */
static int shell_words(struct arena *a, str t, const char *script, const char ***ret, struct err *reterr)
{
	const char **argv = ARENA_ARRAY(a, t.len + 2, const char *);
	size_t       n = 0;
	bool         placed = false;

	for (size_t i = 0; argv && i < t.len;) {
		CLEANUP_BUF struct buf w = BUF_INIT(65536);
		char                   quote = 0;

		while (i < t.len && (t.ptr[i] == ' ' || t.ptr[i] == '\t'))
			i++;
		if (i == t.len)
			break;
		for (; i < t.len && (quote || (t.ptr[i] != ' ' && t.ptr[i] != '\t')); i++) {
			if (quote ? t.ptr[i] == quote : t.ptr[i] == '"' || t.ptr[i] == '\'') {
				quote = quote ? 0 : t.ptr[i];
			} else if (str_has_prefix(str_sub(t, i, 3), STR("{0}"))) {
				buf_addz(&w, script);
				placed = true;
				i += 2;
			} else {
				buf_addc(&w, t.ptr[i]);
			}
		}
		argv[n++] = arena_dup(a, buf_str(&w));
	}
	if (!placed || !n)
		return err_set(reterr, WEIR_EINVAL, "shell: '%.*s' is neither bash, sh, python nor a command with {0} where the script belongs",
		               STR_ARG(str_sub(t, 0, 80)));
	*ret = argv;
	return arena_check(a, "shell", reterr);
}

static int run_prepare(struct step_eval *e, size_t i, struct step_plan *ret, struct err *reterr)
{
	const struct doc_node *s = e->job->steps[i].spec;
	str                    shell = doc_get_str(s, "shell"), script;
	const char            *t;
	int                    r = 0;

	if (!shell.len)
		shell = doc_get_str(doc_get(e->job->spec, "defaults"), "shell");
	if (shell.len)
		r = eval_text(e, "shell", shell, &shell, reterr);
	if (!r)
		r = eval_text(e, "run", doc_get_str(s, "run"), &script, reterr);
	if (r)
		return r;
	t = shell_template(shell);
	r = shell_words(e->a, t ? str_z(t) : shell, SANDBOX_FILES "/script", &ret->argv, reterr);
	return r ? r : step_script(e->job, script, reterr);
}

static int working_directory(struct step_eval *e, size_t i, const char **ret, struct err *reterr)
{
	str dir = doc_get_str(e->job->steps[i].spec, "working_directory");
	int r = 0;

	if (!dir.len)
		dir = doc_get_str(doc_get(e->job->spec, "defaults"), "working_directory");
	if (dir.len)
		r = eval_text(e, "working-directory", dir, &dir, reterr);
	if (r)
		return r;
	if (memchr(dir.ptr ? dir.ptr : "", 0, dir.len))
		return err_set(reterr, WEIR_EINVAL, "working-directory holds a NUL byte");
	*ret = dir.len && dir.ptr[0] == '/' ? arena_dup(e->a, dir)
	                                    : arena_printf(e->a, SANDBOX_WORK "/%s/%s%s%.*s", e->job->project, e->job->project, dir.len ? "/" : "",
	                                                   STR_ARG(dir));
	return arena_check(e->a, "working-directory", reterr);
}

int step_prepare(struct step_eval *e, size_t i, struct step_plan *ret, struct err *reterr)
{
	struct job     *j = e->job;
	struct env_list env = { e->a, VEC_INIT };
	bool            run = str_eqz(doc_get_str(j->steps[i].spec, "uses"), "run");
	int             r;

	*ret = (struct step_plan){ 0 };
	snprintf(ret->writable, sizeof(ret->writable), "cmd");
	r = make_files(j, reterr);
	if (!r)
		r = make_env(e, &env, reterr);
	if (!r)
		r = run ? working_directory(e, i, &ret->cwd, reterr) : 0;
	if (!r && !run)
		ret->cwd = arena_printf(e->a, SANDBOX_WORK "/%s/%s", j->project, j->project);
	if (!r)
		r = run ? run_prepare(e, i, ret, reterr) : builtin_prepare(e, i, &env, ret, reterr);
	if (!r) {
		ret->env = ARENA_ARRAY(e->a, env.v.n + 1, const char *);
		if (ret->env && env.v.n)
			memcpy(ret->env, env.v.v, env.v.n * sizeof(*ret->env));
		r = arena_check(e->a, "environment of a step", reterr);
	}
	VEC_FINI(&env.v);
	return r;
}
