/* flag-files.c - sets that are kept in the repository: the gate's check of .weir/flags/NAME.json, and taking them over once they are accepted.
 *
 * The check reads what a change offers; flag_on_change() reads the default branch after the push and applies the differences as one revision per set, by
 * the pusher, so that history, events and clients see no difference to a set of the store. Repeatable: without differences nothing is written. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "flag/flag-index.h"
#include "flag/room.h"

#include <ctype.h>

#define FLAGS_DIR ".weir/flags"
enum { FILE_ARENA_MAX = 512 << 20 };

/* What the routes' :set can name: a set that no address reaches could be neither read nor asked for, and its name stands in headers and tables. */
static bool is_name(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '.' && s.ptr[i] != '_' && s.ptr[i] != '-')
			return false;
	return s.len > 0 && s.len <= LIMIT_NAME_BYTES && s.ptr[0] != '.' && s.ptr[0] != '-';
}

/* "production" of ".weir/flags/production.json"; STR_NULL: another path. */
static str set_name(str path)
{
	str name;

	if (!str_has_prefix(path, STR(FLAGS_DIR "/")) || !str_has_suffix(path, STR(".json")))
		return STR_NULL;
	name = str_sub(path, strlen(FLAGS_DIR "/"), path.len - strlen(FLAGS_DIR "/") - strlen(".json"));
	return is_name(name) ? name : STR_NULL;
}

/* --- reading a file --- */

struct file_check {
	struct doc_check          *c;
	const struct flag_set_def *def;
};

static void tell_flag(void *ctx, const struct flag *f, const char *what)
{
	const struct file_check *at = ctx;

	for (size_t i = 0; i < at->def->n_flags; i++)
		if (str_eq(at->def->flags[i].key, f->key))
			doc_error_at(at->c, at->def->flags[i].line, at->def->flags[i].col, "flag '%.*s': %s", STR_ARG(str_sub(f->key, 0, 100)), what);
}

static str json_of(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              w;

	if (!n)
		return (str){ "", 0 };
	jw_init(&w, &out);
	jw_node(&w, n);
	return arena_str(a, buf_str(&out));
}

/* The node of a flag as it was read, without the "key" of the list form. */
static str flag_json(struct arena *a, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct jw              w;

	jw_init(&w, &out);
	jw_obj(&w);
	for (size_t i = 0; i < doc_len(n); i++)
		if (!str_eqz(n->map.pairs[i].key, "key")) {
			jw_key_n(&w, n->map.pairs[i].key);
			jw_node(&w, n->map.pairs[i].value);
		}
	jw_end(&w);
	return arena_str(a, buf_str(&out));
}

struct file {
	struct flag_set_def  def;
	struct flag_set_head head;
	struct flag_text    *texts;
};

/* Problems go to c, those between flags too. Non-zero: it is no JSON, or too large. */
static int read_file(struct doc_check *c, str id, str text, struct file *ret, struct err *reterr)
{
	struct doc_node       *root;
	const struct doc_node *flags;
	struct flag_set       *set = NULL;
	int                    rc = doc_parse_json(c->arena, c->file, text, &root, reterr);

	if (rc)
		return rc;
	flag_set_def_read(c, root, &ret->def);
	for (size_t i = 0; i < ret->def.n_flags; i++)
		if (ret->def.flags[i].rollout)
			doc_error_at(c, ret->def.flags[i].line, ret->def.flags[i].col, "weir.rollout is for sets that are kept in the store");
	if (c->n_diags)
		return 0;
	flags = doc_get(root, "flags");
	ret->head = (struct flag_set_head){ .id = id, .revision = 1, .evaluators = json_of(c->arena, ret->def.evaluators), .metadata = json_of(c->arena, ret->def.metadata),
									   .segments = json_of(c->arena, ret->def.segments) };
	ret->texts = ARENA_ARRAY(c->arena, ret->def.n_flags + 1, struct flag_text);
	for (size_t i = 0; ret->texts && i < ret->def.n_flags; i++)
		ret->texts[i] = (struct flag_text){ ret->def.flags[i].key,
											flag_json(c->arena, flags->kind == DOC_MAP ? flags->map.pairs[i].value : doc_at(flags, i)) };
	if ((rc = arena_check(c->arena, "flag file", reterr)))
		return rc;
	if (!(rc = flag_set_build(NULL, &ret->head, ret->texts, ret->def.n_flags, &set, reterr))) {
		struct file_check at = { c, &ret->def };

		flag_set_check(set, tell_flag, &at);
	}
	flag_set_unref(set);
	return rc;
}

/* --- the check --- */

struct looking {
	const struct change       *c;
	const struct finding_sink *sink;
	struct flag_room          *room; /* NULL: on a laptop */
};

static int report(const struct looking *l, str path, uint32_t line, uint32_t col, const char *message, struct err *reterr)
{
	char           digest[SHA256_HEX], text[LIMIT_PATH_BYTES + 1100];
	struct finding f = { .check = STR("files"), .rule = STR("flags"), .severity = SEVERITY_ERROR, .path = path, .line = line, .col = col,
						 .message = str_z(message), .advice = STR("mend the flag file; the format is flagd's, see docs/flags.md") };

	snprintf(text, sizeof(text), "%.*s %s", STR_ARG(path), message);
	sha256_hex(str_z(text), digest);
	f.fingerprint = str_z(digest);
	return l->sink->add(l->sink->ctx, &f, reterr);
}

/* Kept in the store already? Then the file would be the second place of one set. */
static bool is_in_store(const struct looking *l, str name)
{
	char                     id[FLAG_ID_SIZE];
	const struct flag_entry *e;
	bool                     ret;

	if (!l->room)
		return false;
	snprintf(id, sizeof(id), "%.*s/%.*s", STR_ARG(l->c->project), STR_ARG(name));
	e = flag_table_find(flag_read_begin(l->room->tables), str_z(id));
	ret = e && e->source == FLAG_IN_STORE;
	flag_read_end(l->room->tables);
	return ret;
}

static int look_at(const struct looking *l, str path, str text, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(FILE_ARENA_MAX);
	char                       file[LIMIT_PATH_BYTES + 1];
	str                        name = set_name(path);
	struct doc_check           c;
	struct file                f = { 0 };
	struct err                 e = { 0 };
	int                        rc = 0;

	snprintf(file, sizeof(file), "%.*s", STR_ARG(path));
	if (!name.ptr)
		return report(l, path, 1, 1, "flags are read from " FLAGS_DIR "/NAME.json, where NAME has at most 64 letters, digits, '.', '_' and '-' and begins with none of '.' and '-'",
					  reterr);
	if (is_in_store(l, name))
		return report(l, path, 1, 1, "this flag set is kept in the store; a set is kept in one place only", reterr);
	doc_check_init(&c, &a, file);
	if (read_file(&c, name, text, &f, &e))
		return report(l, path, 1, 1, e.msg, reterr);
	for (size_t i = 0; !rc && i < c.n_diags; i++)
		rc = report(l, path, c.diags[i].line, c.diags[i].col, c.diags[i].msg, reterr);
	return rc;
}

static bool is_flag_path(str path) { return str_has_prefix(path, STR(FLAGS_DIR "/")) && !str_eqz(path, FLAGS_DIR "/README.md"); }

static int look_at_blob(void *ctx, str path, unsigned mode UNUSED, const char *id, struct err *reterr)
{
	struct looking        *l = ctx;
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_DOC_BYTES);
	int                    rc;

	if (!is_flag_path(path))
		return 0;
	if ((rc = git_read_blob(l->c->repo, id, &text, reterr)) == -WEIR_ELIMIT)
		return report(l, path, 1, 1, "a flag file has at most 8 MiB", reterr);
	return rc ? rc : look_at(l, path, buf_str(&text), reterr);
}

static int check_run(void *ctx, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct flag_room **room = ctx;
	struct looking     l = { c, sink, room ? *room : NULL };
	char               id[GIT_ID_SIZE], rev[GIT_ID_SIZE + 16];
	int                rc = 0;

	for (size_t i = 0; !rc && c->files && i < c->n_files; i++)
		if (is_flag_path(c->files[i].path))
			rc = look_at(&l, c->files[i].path, c->files[i].content, reterr);
	if (c->files || !c->repo || !strcmp(c->new_id, git_zero_id))
		return rc;
	snprintf(rev, sizeof(rev), "%s^{commit}", c->new_id);
	if (git_resolve(c->repo, rev, id, NULL)) /* a tag of something that has no files */
		return 0;
	rc = git_tree_each(c->repo, id, FLAGS_DIR, look_at_blob, &l, reterr);
	return rc == -WEIR_ENOENT ? 0 : rc;
}

const struct check_ops flag_file_check = { "files", check_run, NULL };

/* --- taking over --- */

struct turn {
	struct flag_room *r;
	str               project, by, subject;
	struct git_repo  *repo;
	struct map        seen; /* names of sets that the commit has */
};

/* What differs between the set as it is and as the file has it; removed flags have an empty text. */
static size_t differences(const struct flag_set *now, const struct file *f, struct arena *a, struct flag_text **ret)
{
	struct flag_text *v = ARENA_ARRAY(a, flag_set_count(now) + f->def.n_flags + 1, struct flag_text);
	struct map        there;
	size_t            n = 0;

	map_init(&there);
	for (size_t i = 0; v && i < f->def.n_flags; i++) {
		const struct flag *old = flag_set_find(now, f->texts[i].key);

		if (!old || !str_eq(old->text, f->texts[i].json))
			v[n++] = f->texts[i];
		if (!map_put(&there, f->texts[i].key, &f->texts[i], NULL))
			a->failed = true;
	}
	for (const struct flag *old = v ? flag_set_next(now, NULL) : NULL; old; old = flag_set_next(now, old))
		if (!map_has(&there, old->key))
			v[n++] = (struct flag_text){ old->key, STR("") };
	map_fini(&there);
	*ret = v;
	return n;
}

static int create_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct stored_set *s = arg;
	int                rc = flag_store_create(tx, s, reterr);

	return rc ? rc : db_notify(tx, FLAG_CHANNEL, reterr);
}

static int make_set(struct turn *t, str id, str name, struct err *reterr)
{
	struct stored_set s = { .id = id, .project = t->project, .name = name, .environment = name, .source = FLAG_IN_REPOSITORY,
							.changed_at = clock_wall(t->r->cfg.clock) };
	int               rc = db_write(t->r->cfg.db, create_tx, &s, reterr);

	return rc == -WEIR_EEXIST || !rc ? flag_reload(t->r, id, reterr) : rc;
}

/* Applies what differs; f empty: the file is gone. */
static int apply_file(struct turn *t, struct arena *a, const struct flag_entry *e, struct flag_set *now, const struct file *f, struct err *reterr)
{
	struct flag_change c = { .id = str_z(e->id), .source = FLAG_IN_REPOSITORY, .base = flag_set_head(now)->revision, .by = t->by, .address = STR("git push"), .comment = t->subject,
							 .evaluators = f->head.evaluators, .metadata = f->head.metadata, .segments = f->head.segments, .now = clock_wall(t->r->cfg.clock) };
	struct flag_text  *texts;
	int64_t            revision;

	c.n = differences(now, f, a, &texts);
	c.texts = texts;
	c.with_head = !str_eq(flag_set_head(now)->evaluators, f->head.evaluators) || !str_eq(flag_set_head(now)->metadata, f->head.metadata);
	c.with_segments = !str_eq(flag_set_head(now)->segments, f->head.segments);
	if (!c.evaluators.ptr)
		c.evaluators = c.metadata = c.segments = STR("");
	if (arena_check(a, "flag file", reterr))
		return -reterr->code;
	return c.n || c.with_head || c.with_segments ? flag_apply(t->r, &c, &revision, reterr) : 0;
}

static int take_set(struct turn *t, str name, str text, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(FILE_ARENA_MAX);
	char                      *id = arena_printf(&a, "%.*s/%.*s", STR_ARG(t->project), STR_ARG(name));
	struct doc_check           c;
	struct file                f = { 0 };
	struct flag_entry          seen = { .id = id };
	const struct flag_entry   *e;
	struct flag_set           *now;
	int                        rc;

	doc_check_init(&c, &a, FLAGS_DIR);
	if (text.ptr && ((rc = read_file(&c, name, text, &f, reterr)) || (rc = doc_check_result(&c, reterr))))
		return rc;
	if (text.ptr && (rc = make_set(t, str_z(id), name, reterr)))
		return rc;
	e = flag_table_find(flag_read_begin(t->r->tables), str_z(id));
	now = e && e->source == FLAG_IN_REPOSITORY ? flag_set_ref(e->set) : NULL;
	flag_read_end(t->r->tables);
	if (!now) {
		log_warn("flag", "%s is kept in the store; " FLAGS_DIR "/%.*s.json is not taken over", id, STR_ARG(name));
		return 0;
	}
	rc = apply_file(t, &a, &seen, now, &f, reterr);
	flag_set_unref(now);
	return rc;
}

static int take_file(void *ctx, str path, unsigned mode UNUSED, const char *blob, struct err *reterr)
{
	struct turn           *t = ctx;
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_DOC_BYTES);
	str                    name = set_name(path);
	struct err             e = { 0 };
	int                    rc;

	if (!name.ptr)
		return 0;
	if (!map_put(&t->seen, name, t, NULL))
		return err_set(reterr, WEIR_ENOMEM, "flag files");
	rc = git_read_blob(t->repo, blob, &text, &e);
	if (!rc)
		rc = take_set(t, name, buf_str(&text), &e);
	if (!rc || err_retryable(e.code)) {
		if (rc)
			*reterr = e;
		return rc;
	}
	/* It passed the gate and is wrong all the same: an older file, pushed before the room was there. The last good set is served. */
	log_warn("flag", "project %.*s: %.*s is not taken over: %s", STR_ARG(t->project), STR_ARG(path), e.msg);
	return 0;
}

/* Sets whose file the commit does not have any more lose their flags. */
static int drop_gone(struct turn *t, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(FILE_ARENA_MAX);
	const struct flag_table   *table = flag_read_begin(t->r->tables);
	str                       *gone = ARENA_ARRAY(&a, table->n + 1, str);
	size_t                     n = 0;
	int                        rc = 0;

	for (size_t i = 0; gone && i < table->n; i++) {
		const struct flag_entry *e = table->entries[i];

		if (e->source == FLAG_IN_REPOSITORY && str_eqz(t->project, e->project) && flag_set_count(e->set) && !map_has(&t->seen, str_z(e->name)))
			gone[n++] = arena_str(&a, str_z(e->name));
	}
	flag_read_end(t->r->tables);
	for (size_t i = 0; !rc && i < n; i++)
		rc = take_set(t, gone[i], STR_NULL, reterr);
	return rc ? rc : arena_check(&a, "flag sets", reterr);
}

/* Names of flags in the code follow the default branch. What fails here is done by whoever asks for them next. */
static void follow_references(struct flag_room *r, str project)
{
	const struct flag_table *table = flag_read_begin(r->tables);
	bool                     has_set = false;
	struct err               e = { 0 };

	for (size_t i = 0; i < table->n; i++)
		has_set |= str_eqz(project, table->entries[i]->project);
	flag_read_end(r->tables);
	if (has_set && flag_index_refresh(r, project, &e))
		log_warn("flag", "project %.*s: references of flags are not brought up to date: %s", STR_ARG(project), e.msg);
}

int flag_on_change(const struct event *ev, void *ctx, struct err *reterr)
{
	struct flag_room          *r = ctx;
	struct arena CLEANUP_ARENA a = ARENA_INIT(4 << 20);
	struct doc_node           *n = NULL;
	char                       ref[256], commit[GIT_ID_SIZE];
	struct turn                t = { .r = r, .project = ev->project };
	int                        rc = doc_parse_json(&a, "change.accepted", ev->data, &n, reterr);

	if (!rc)
		rc = r->cfg.source.default_ref(r->cfg.source.ctx, ev->project, ref, sizeof(ref), reterr);
	if (rc)
		return rc == -WEIR_ENOENT ? 0 : rc; /* the project is gone */
	snprintf(commit, sizeof(commit), "%.*s", STR_ARG(doc_get_str(n, "new")));
	if (!str_eqz(doc_get_str(n, "ref"), ref) || !strcmp(commit, git_zero_id))
		return 0;
	t.by = doc_get_str(n, "pusher");
	t.subject = str_sub(doc_get_str(n, "subject"), 0, LIMIT_FLAG_COMMENT_BYTES);
	if ((rc = r->cfg.source.open(r->cfg.source.ctx, ev->project, &t.repo, reterr)))
		return rc == -WEIR_ENOENT ? 0 : rc;
	map_init(&t.seen);
	rc = git_tree_each(t.repo, commit, FLAGS_DIR, take_file, &t, reterr);
	if (rc == -WEIR_ENOENT)
		rc = 0;
	if (!rc)
		rc = drop_gone(&t, reterr);
	map_fini(&t.seen);
	git_repo_close(t.repo);
	if (!rc)
		follow_references(r, ev->project);
	return rc;
}
