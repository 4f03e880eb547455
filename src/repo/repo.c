/* repo.c - the room: folders, hooks, projects and their bare repositories.
 *
 * Making a project is repeatable: the repository is made first (under its final name, by `git init`, which may run again),
 * then the project's row and event in one transaction. A repository without a row is what a crash in between leaves; the next
 * creation of that name takes it over. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/embed.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/proc.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

bool repo_name_ok(str name)
{
	if (!name.len || name.len > LIMIT_NAME_BYTES || str_has_suffix(name, STR(".git")) || str_has_suffix(name, STR(".lock")))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!alnum && (!i || !strchr("._-", c) || !c))
			return false;
	}
	return !str_contains(name, STR(".."));
}

int repo_path_of(struct repo_store *s, str project, char *out, size_t size, struct err *reterr)
{
	if (!repo_name_ok(project))
		return err_set(reterr, WEIR_ENOENT, "there is no project '%.*s'", STR_ARG(str_sub(project, 0, LIMIT_NAME_BYTES)));
	if (snprintf(out, size, "%s/%.*s.git", s->repos, STR_ARG(project)) >= (int)size)
		return err_set(reterr, WEIR_ELIMIT, "the path of project '%.*s' is too long", STR_ARG(project));
	return 0;
}

/* What git refuses by itself, set once per repository (docs/threat-model.md): broken or hostile objects, too much input. */
static const char *const bare_config[][2] = {
	{ "receive.fsckObjects", "true" },          { "receive.fsck.hasDot", "error" },         { "receive.fsck.hasDotdot", "error" },
	{ "receive.fsck.hasDotgit", "error" },      { "receive.fsck.fullPathname", "error" },   { "receive.fsck.emptyName", "error" },
	{ "receive.fsck.nullSha1", "error" },       { "receive.fsck.gitmodulesUrl", "error" },  { "receive.fsck.gitmodulesSymlink", "error" },
	{ "receive.denyDeleteCurrent", "ignore" },  { "receive.advertisePushOptions", "false" }, { "receive.autogc", "true" },
	{ "uploadpack.allowFilter", "true" },       { "core.logAllRefUpdates", "true" },        { "gc.reflogExpire", "90.days" },
	{ "core.hooksPath", "../../hooks" }, /* relative to the repository: who pushes to its path is refused too */
	{ "core.fsync", "committed" },              { "http.receivepack", "true" },
};

static int repo_bare_init(const char *path, struct err *reterr)
{
	const char *const      init[] = { "git", "init", "-q", "--bare", "--template=", "-b", "main", path, NULL };
	char                   config[PATH_MAX];
	CLEANUP_BUF struct buf text = BUF_INIT(64 << 10);
	struct proc_run        run = { .argv = init, .timeout_ms = 60000 };
	int                    r = proc_run(&run, NULL, reterr);

	if (!r)
		r = fs_join(config, sizeof(config), reterr, path, "config");
	if (r)
		return err_wrap(reterr, "cannot make repository %s", path);
	buf_addz(&text, "# written by weir when the project was made\n[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n");
	for (size_t i = 0; i < ARRAY_SIZE(bare_config); i++) {
		const char *dot = strrchr(bare_config[i][0], '.'), *first = strchr(bare_config[i][0], '.');

		if (first == dot)
			buf_addf(&text, "[%.*s]\n", (int)(dot - bare_config[i][0]), bare_config[i][0]);
		else
			buf_addf(&text, "[%.*s \"%.*s\"]\n", (int)(first - bare_config[i][0]), bare_config[i][0], (int)(dot - first - 1), first + 1);
		buf_addf(&text, "\t%s = %s\n", dot + 1, bare_config[i][1]);
	}
	buf_addf(&text, "[receive]\n\tmaxInputSize = %lld\n", (long long)LIMIT_PUSH_BYTES);
	return fs_write_atomic(config, buf_str(&text), 0644, reterr);
}

struct create_arg {
	struct repo_store *s;
	str                name, template_name, actor;
	usec_t             began_at;
};

static int create_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct create_arg     *c = arg;
	CLEANUP_BUF struct buf data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;
	int                    r;

	r = db_exec(tx, reterr,
	            "INSERT INTO project (name, state, template, default_ref, created) VALUES ($1, 'active', $2, 'refs/heads/main', $3)", "ssi",
	            c->name, c->template_name.len ? c->template_name : STR(""), clock_wall(c->s->cfg.clock));
	if (r == -WEIR_EEXIST)
		return err_set(reterr, WEIR_EEXIST, "there is a project '%.*s' already", STR_ARG(c->name));
	if (r)
		return r;
	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "name", c->name);
	if (c->template_name.len)
		jw_kstr(&w, "template", c->template_name);
	jw_kstrz(&w, "default_branch", "main");
	if (c->began_at)
		jw_kint(&w, "began_at", c->began_at);
	jw_end(&w);
	return event_append(c->s->cfg.log, tx, c->name, EVENT_PROJECT_CREATED, c->actor, buf_str(&data), NULL, reterr);
}

/* The repository is made again when a crash left one without its project: it may be half made. */
static int make_once(struct repo_store *s, const char *path, struct create_arg *c, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 10);
	struct repo_project        p;
	int                        r = repo_project_get(s, c->name, &a, &p, NULL);

	if (!r)
		return err_set(reterr, WEIR_EEXIST, "there is a project '%.*s' already", STR_ARG(c->name));
	r = r == -WEIR_ENOENT ? repo_bare_init(path, reterr) : err_set(reterr, -r, "cannot look for project '%.*s'", STR_ARG(c->name));
	return r ? r : db_write(s->cfg.db, create_tx, c, reterr);
}

int repo_create(struct repo_store *s, str name, str template_name, usec_t began_at, str actor, struct err *reterr)
{
	struct create_arg c = { s, name, template_name, actor, began_at };
	char              path[PATH_MAX];
	int               r;

	if (!repo_name_ok(name))
		return err_set(reterr, WEIR_EINVAL,
		               "'%.*s' cannot be a project's name: it needs 1 to %d of a-z 0-9 . _ -, beginning with a letter or digit",
		               STR_ARG(str_sub(name, 0, 2 * LIMIT_NAME_BYTES)), LIMIT_NAME_BYTES);
	r = repo_path_of(s, name, path, sizeof(path), reterr);
	if (r)
		return r;
	pthread_mutex_lock(&s->making);
	r = make_once(s, path, &c, reterr);
	pthread_mutex_unlock(&s->making);
	return r;
}

static int archive_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct create_arg     *c = arg;
	CLEANUP_BUF struct buf data = BUF_INIT(4096);
	struct jw              w;
	int64_t                n = 0;
	int r = db_exec_n(tx, reterr, &n, "UPDATE project SET state = 'archived' WHERE name = $1 AND state = 'active'", "s", c->name);

	if (r || !n)
		return r ? r : err_set(reterr, WEIR_ENOENT, "there is no active project '%.*s'", STR_ARG(c->name));
	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "name", c->name);
	jw_end(&w);
	return event_append(c->s->cfg.log, tx, c->name, EVENT_PROJECT_ARCHIVED, c->actor, buf_str(&data), NULL, reterr);
}

int repo_archive(struct repo_store *s, str name, str actor, struct err *reterr)
{
	struct create_arg c = { s, name, STR_NULL, actor, 0 };

	return db_write(s->cfg.db, archive_tx, &c, reterr);
}

static bool is_pushed_to(struct repo_store *s, str project)
{
	for (struct map_entry *e = map_next(&s->pushes, NULL); e; e = map_next(&s->pushes, e))
		if (str_eqz(project, ((struct repo_push *)e->value)->project))
			return true;
	return false;
}

void repo_quarantines_clear(struct repo_store *s, str project)
{
	char           path[PATH_MAX], folder[PATH_MAX];
	struct dirent *d;
	struct err     e = { 0 };
	DIR           *dir;

	if (is_pushed_to(s, project) || repo_path_of(s, project, path, sizeof(path), NULL) || fs_join(folder, sizeof(folder), NULL, path, "objects"))
		return;
	dir = opendir(folder);
	while (dir && (d = readdir(dir))) {
		if (strncmp(d->d_name, "tmp_objdir-", strlen("tmp_objdir-")) || fs_join(path, sizeof(path), NULL, folder, d->d_name))
			continue;
		if (fs_remove_tree(path, &e))
			log_warn("repo", "%s", e.msg);
	}
	if (dir)
		closedir(dir);
}

/* --- for other rooms --- */

static int source_path(void *ctx, str project, char *out, size_t size, struct err *reterr)
{
	int r = repo_path_of(ctx, project, out, size, reterr);

	if (!r && !fs_is_dir(out))
		return err_set(reterr, WEIR_ENOENT, "there is no project '%.*s'", STR_ARG(project));
	return r;
}

static int source_open(void *ctx, str project, struct git_repo **ret, struct err *reterr)
{
	char path[PATH_MAX];
	int  r = source_path(ctx, project, path, sizeof(path), reterr);

	return r ? r : git_repo_open(path, NULL, ret, reterr);
}

static int source_default_ref(void *ctx, str project, char *out, size_t size, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 10);
	struct repo_project        p;
	int                        r = repo_project_get(ctx, project, &a, &p, reterr);

	if (!r)
		snprintf(out, size, "%.*s", STR_ARG(p.default_ref));
	return r;
}

struct source_ops repo_source(struct repo_store *s)
{
	return (struct source_ops){ .open = source_open, .path = source_path, .default_ref = source_default_ref, .ctx = s };
}

/* --- the room --- */

extern const struct embed_file repo_hook_files[]; /* the one program of hook-main.c */

/* Both hooks are the same program: it looks at the name that it was started under. */
static int hooks_write(struct repo_store *s, struct err *reterr)
{
	static const char *const names[] = { "pre-receive", "post-receive" };
	int                      r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(names); i++) {
		char path[PATH_MAX];

		r = fs_join(path, sizeof(path), reterr, s->hooks, names[i]);
		if (!r)
			r = fs_write_quick(path, repo_hook_files[0].data, 0755, reterr);
	}
	return r;
}

static int folders_make(struct repo_store *s, struct err *reterr)
{
	const struct {
		char       *path;
		const char *name;
		mode_t      mode;
	} folders[] = { { s->repos, "repos", 0700 }, { s->hooks, "hooks", 0755 }, { s->home, "run/git-home", 0755 } };
	char run[PATH_MAX];
	int  r = fs_join(run, sizeof(run), reterr, s->cfg.data_dir, "run");

	if (!r)
		r = fs_mkdirs(run, 0700, reterr);
	for (size_t i = 0; !r && i < ARRAY_SIZE(folders); i++) {
		r = fs_join(folders[i].path, PATH_MAX, reterr, s->cfg.data_dir, folders[i].name);
		if (!r)
			r = fs_mkdirs(folders[i].path, folders[i].mode, reterr);
	}
	return r ? r : fs_join(s->socket, sizeof(s->socket), reterr, run, "hook.sock");
}

int repo_open(const struct repo_config *cfg, struct repo_store **ret, struct err *reterr)
{
	struct repo_store *s = calloc(1, sizeof(*s));
	int                r;

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the repositories' room");
	s->cfg = *cfg;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->making, NULL);
	map_init(&s->pushes);
	r = folders_make(s, reterr);
	if (!r)
		r = hooks_write(s, reterr);
	if (!r)
		r = db_migrate(cfg->db, "repo", repo_migrations, repo_n_migrations, reterr);
	if (r) {
		repo_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

int repo_start(struct repo_store *s, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 20);
	struct repo_project       *p;
	size_t                     n = 0;
	int                        r = repo_project_list(s, &a, &p, &n, reterr);

	for (size_t i = 0; !r && i < n; i++) {
		struct err e = { 0 };

		pthread_mutex_lock(&s->lock);
		repo_quarantines_clear(s, p[i].name);
		pthread_mutex_unlock(&s->lock);
		if (repo_reconcile(s, p[i].name, &e)) /* one broken repository must not keep the others away */
			log_error("repo", "project %.*s: %s", STR_ARG(p[i].name), e.msg);
	}
	return r ? r : repo_hooks_start(s, &s->listener, reterr);
}

struct repo_store *repo_close(struct repo_store *s)
{
	if (!s)
		return NULL;
	s->listener = repo_hooks_stop(s->listener);
	map_fini(&s->pushes);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->making);
	free(s);
	return NULL;
}
