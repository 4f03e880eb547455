/* flag-index.c - the index of flag references (see flag-index.h). Worker threads and the subscriber of change.accepted; one refresh at a time per server.
 *
 * A refresh compares the files of the commit with those it has, reads and searches the blobs that are new, and writes them in portions; the state names the
 * new commit only after all of them. Each portion can be repeated: what a crash cuts off, the next refresh completes. */
#include "base/base.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "flag/flag-index.h"

enum {
	SCAN_VERSION = 1, /* another one: everything is searched again */
	PORTION = 200, REF_BYTES = 12, LIST_ARENA_MAX = 256 << 20, SCAN_ARENA_MAX = 32 << 20, DATA_MAX = 512 << 10, LINE_MAX_ = 0x7fffffff,
	MODE_LINK = 0120000, MODE_MODULE = 0160000
};
#define GETTER_BIT 0x80000000u

uint64_t flag_index_hash(str text)
{
	static const unsigned char seed[crypto_shorthash_KEYBYTES] = { 0 };
	uint64_t                   h;

	crypto_shorthash((unsigned char *)&h, (const unsigned char *)text.ptr, text.len, seed);
	return h;
}

/* --- what a blob holds, as bytes --- */

static void put(struct buf *out, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_addc(out, (char)(v >> (8 * i)));
}

static uint64_t take(const char *p, int bytes)
{
	uint64_t v = 0;

	for (int i = 0; i < bytes; i++)
		v |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return v;
}

/* White space in a text makes a sentence more often than a key: such ones count in calls of getters only. */
static bool may_be_key(const struct flag_literal *l)
{
	for (size_t i = 0; !l->getter && i < l->text.len; i++)
		if (l->text.ptr[i] == ' ')
			return false;
	return true;
}

static int encode(enum flag_lang lang, str text, struct buf *out, bool *ret_cut, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(SCAN_ARENA_MAX);
	struct flag_literals       found;
	int                        rc = flag_refs_scan(lang, text, &a, &found, reterr);

	for (size_t i = 0; !rc && i < found.all.n; i++) {
		const struct flag_literal *l = &found.all.v[i];

		if (!may_be_key(l))
			continue;
		put(out, flag_index_hash(l->text), 8);
		put(out, (l->line & LINE_MAX_) | (l->getter ? GETTER_BIT : 0), 4);
	}
	*ret_cut = found.cut;
	flag_literals_fini(&found);
	return rc ? rc : buf_check(out, "texts of a file", reterr);
}

/* --- a refresh --- */

struct file {
	str            path;
	char           blob[GIT_ID_SIZE];
	enum flag_lang lang;
	bool           has_data; /* it was searched in this refresh */
	bool           cut;
	struct buf     data;
};
struct refresh {
	struct flag_room *r;
	str               project;
	struct git_repo  *repo;
	struct arena      arena;
	char              commit[GIT_ID_SIZE], had[GIT_ID_SIZE];
	struct map        before; /* path -> "BLOB LANG" */
	struct map        now;    /* path, of the commit */
	VEC(struct file) changed;
	str              *gone;
	size_t            n_gone, files, beyond;
	struct file      *from; /* the portion */
	size_t            n;
};

static char *tag_of(struct arena *a, const char *blob, enum flag_lang lang) { return arena_printf(a, "%s %s", blob, flag_lang_name(lang)); }

static int state_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct refresh              *f = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT commit_id, version FROM flag_ref_state WHERE project = $1", "s", f->project);

	f->had[0] = '\0';
	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	if (db_int(rows, 1) == SCAN_VERSION)
		snprintf(f->had, sizeof(f->had), "%.*s", STR_ARG(db_str(rows, 0)));
	return 0;
}

static int before_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct refresh              *f = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT path, blob, lang FROM flag_ref_file WHERE project = $1", "s", f->project);

	map_fini(&f->before);
	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		char *tag = arena_printf(&f->arena, "%.*s %.*s", STR_ARG(db_str(rows, 1)), STR_ARG(db_str(rows, 2)));

		rc = tag && map_put(&f->before, db_str(rows, 0), tag, NULL) ? 0 : err_set(reterr, WEIR_ENOMEM, "files of a project");
	}
	return rc;
}

static int look_at(void *ctx, str path, unsigned mode, const char *blob, struct err *reterr)
{
	struct refresh *f = ctx;
	struct file     one = { .lang = flag_lang_of(path), .data = BUF_INIT(DATA_MAX) };
	const char     *had;
	char           *tag;

	if (one.lang == LANG_NONE || mode == MODE_LINK || mode == MODE_MODULE)
		return 0;
	if (f->files >= LIMIT_FLAG_REF_FILES || !str_utf8_valid(path)) { /* the path stands in tables and answers, which are UTF-8 */
		f->beyond++;
		return 0;
	}
	f->files++;
	one.path = arena_str(&f->arena, path);
	snprintf(one.blob, sizeof(one.blob), "%s", blob);
	tag = tag_of(&f->arena, blob, one.lang);
	if (!tag || !map_put(&f->now, path, tag, NULL))
		return err_set(reterr, WEIR_ENOMEM, "files of a project");
	had = map_get(&f->before, path);
	if (had && f->had[0] && !strcmp(had, tag))
		return 0;
	return VEC_PUSH(&f->changed, one) ? 0 : err_set(reterr, WEIR_ENOMEM, "files of a project");
}

/* Is the blob searched already, maybe for another project? Then nothing is read. */
static int known_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct refresh *f = arg;
	int64_t         one;
	int             rc = 0;

	for (size_t i = 0; !rc && i < f->n; i++) {
		bool found = false;

		rc = db_get_int(tx, reterr, &one, &found, "SELECT 1 FROM flag_ref_blob WHERE blob = $1 AND lang = $2 AND version = $3", "zzi", f->from[i].blob,
						flag_lang_name(f->from[i].lang), (int64_t)SCAN_VERSION);
		f->from[i].has_data = !found;
	}
	return rc;
}

static int search(struct refresh *f, struct file *one, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_FLAG_REF_BYTES);
	int                    rc = git_read_blob(f->repo, one->blob, &text, reterr);

	if (rc == -WEIR_ELIMIT) {
		one->cut = true;
		return 0;
	}
	if (!rc && text.len && memchr(text.ptr, '\0', text.len)) /* no text */
		return 0;
	return rc ? rc : encode(one->lang, buf_str(&text), &one->data, &one->cut, reterr);
}

static int write_file(struct db_tx *tx, const struct refresh *f, const struct file *one, struct err *reterr)
{
	const char *lang = flag_lang_name(one->lang);
	int64_t     there;
	bool        found = true;
	int         rc;

	if (one->has_data)
		rc = db_exec(tx, reterr,
					 "INSERT INTO flag_ref_blob (blob, lang, version, cut, data) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (blob, lang) DO UPDATE SET"
					 " version = excluded.version, cut = excluded.cut, data = excluded.data",
					 "zziib", one->blob, lang, (int64_t)SCAN_VERSION, (int64_t)one->cut, buf_str(&one->data));
	else
		rc = db_get_int(tx, reterr, &there, &found, "SELECT 1 FROM flag_ref_blob WHERE blob = $1 AND lang = $2", "zz", one->blob, lang);
	if (!rc && !found)
		return err_set(reterr, WEIR_EBUSY, "another server changes the index of flag references at this moment: ask again");
	return rc ? rc
			  : db_exec(tx, reterr,
						"INSERT INTO flag_ref_file (project, path, blob, lang) VALUES ($1, $2, $3, $4) ON CONFLICT (project, path) DO UPDATE SET blob = excluded.blob,"
						" lang = excluded.lang",
						"sszz", f->project, one->path, one->blob, lang);
}

static int portion_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct refresh *f = arg;
	int             rc = 0;

	for (size_t i = 0; !rc && i < f->n; i++)
		rc = write_file(tx, f, &f->from[i], reterr);
	return rc;
}

static int take_portion(struct refresh *f, struct err *reterr)
{
	int rc = db_read(f->r->cfg.db, known_tx, f, reterr);

	for (size_t i = 0; !rc && i < f->n; i++)
		if (f->from[i].has_data)
			rc = search(f, &f->from[i], reterr);
	if (!rc)
		rc = db_write(f->r->cfg.db, portion_tx, f, reterr);
	for (size_t i = 0; i < f->n; i++)
		buf_fini(&f->from[i].data);
	return rc;
}

static int end_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct refresh *f = arg;
	int             rc = 0;

	for (size_t i = 0; !rc && i < f->n_gone; i++)
		rc = db_exec(tx, reterr, "DELETE FROM flag_ref_file WHERE project = $1 AND path = $2", "ss", f->project, f->gone[i]);
	if (!rc)
		rc = db_exec(tx, reterr, "DELETE FROM flag_ref_blob WHERE NOT EXISTS (SELECT 1 FROM flag_ref_file f WHERE f.blob = flag_ref_blob.blob AND f.lang = flag_ref_blob.lang)", "");
	return rc ? rc
			  : db_exec(tx, reterr,
						"INSERT INTO flag_ref_state (project, commit_id, version, at, files, beyond) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (project) DO UPDATE SET"
						" commit_id = excluded.commit_id, version = excluded.version, at = excluded.at, files = excluded.files, beyond = excluded.beyond",
						"sziiii", f->project, f->commit, (int64_t)SCAN_VERSION, clock_wall(f->r->cfg.clock), (int64_t)f->files, (int64_t)f->beyond);
}

static int list_gone(struct refresh *f, struct err *reterr)
{
	f->gone = ARENA_ARRAY(&f->arena, map_count(&f->before) + 1, str);
	for (struct map_entry *e = f->gone ? map_next(&f->before, NULL) : NULL; e; e = map_next(&f->before, e))
		if (!map_has(&f->now, str_n(e->key, e->key_len)))
			f->gone[f->n_gone++] = str_n(e->key, e->key_len);
	return arena_check(&f->arena, "files of a project", reterr);
}

static int take_commit(struct refresh *f, struct err *reterr)
{
	int rc = db_read(f->r->cfg.db, before_tx, f, reterr);

	if (!rc && f->commit[0])
		rc = git_tree_each(f->repo, f->commit, "", look_at, f, reterr);
	for (size_t i = 0; !rc && i < f->changed.n; i += PORTION) {
		f->from = f->changed.v + i;
		f->n = f->changed.n - i < PORTION ? f->changed.n - i : PORTION;
		rc = take_portion(f, reterr);
	}
	if (!rc)
		rc = list_gone(f, reterr);
	return rc ? rc : db_write(f->r->cfg.db, end_tx, f, reterr);
}

/* The commit of the default branch; empty: there is none yet. */
static int head_of(struct refresh *f, struct err *reterr)
{
	const struct source_ops *s = &f->r->cfg.source;
	char                     ref[256];
	int                      rc = s->default_ref(s->ctx, f->project, ref, sizeof(ref), reterr);

	if (!rc)
		rc = s->open(s->ctx, f->project, &f->repo, reterr);
	if (rc)
		return rc;
	if ((rc = git_resolve(f->repo, ref, f->commit, reterr)) == -WEIR_ENOENT) {
		f->commit[0] = '\0';
		rc = 0;
	}
	return rc;
}

static int refresh_locked(struct flag_room *r, str project, struct err *reterr)
{
	struct refresh f = { .r = r, .project = project, .arena = ARENA_INIT(LIST_ARENA_MAX) };
	int            rc;

	map_init(&f.before);
	map_init(&f.now);
	rc = head_of(&f, reterr);
	if (!rc)
		rc = db_read(r->cfg.db, state_tx, &f, reterr);
	if (!rc && (strcmp(f.commit, f.had) || !f.commit[0]))
		rc = take_commit(&f, reterr);
	VEC_FINI(&f.changed);
	map_fini(&f.now);
	map_fini(&f.before);
	arena_fini(&f.arena);
	git_repo_close(f.repo);
	return rc;
}

int flag_index_refresh(struct flag_room *r, str project, struct err *reterr)
{
	int rc;

	pthread_mutex_lock(&r->indexing);
	rc = refresh_locked(r, project, reterr);
	pthread_mutex_unlock(&r->indexing);
	return rc;
}

/* --- reading --- */

static int by_hash(const void *pa, const void *pb)
{
	const struct flag_ref *a = pa, *b = pb;
	int                    d = (a->hash > b->hash) - (a->hash < b->hash);

	if (!d)
		d = str_cmp(a->path, b->path);
	return d ? d : (a->line > b->line) - (a->line < b->line);
}

static int read_state(struct db_tx *tx, str project, struct flag_index *ret, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT commit_id, at, files, beyond FROM flag_ref_state WHERE project = $1", "s", project);

	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	snprintf(ret->commit, sizeof(ret->commit), "%.*s", STR_ARG(db_str(rows, 0)));
	ret->at = db_int(rows, 1);
	ret->files = (size_t)db_int(rows, 2);
	ret->skipped = (size_t)db_int(rows, 3);
	return 0;
}

int flag_index_read(struct db_tx *tx, struct arena *a, str project, struct flag_index *ret, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct flag_ref) found = VEC_INIT;
	int rc;

	*ret = (struct flag_index){ .commit = "" };
	rc = read_state(tx, project, ret, reterr);
	if (!rc)
		rc = db_query(tx, reterr, &rows,
					  "SELECT f.path, b.cut, b.data FROM flag_ref_file f JOIN flag_ref_blob b ON b.blob = f.blob AND b.lang = f.lang WHERE f.project = $1", "s", project);
	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		str path = arena_str(a, db_str(rows, 0)), data = db_str(rows, 2);

		ret->skipped += db_int(rows, 1) != 0;
		rc = 0;
		for (size_t i = 0; !rc && i + REF_BYTES <= data.len; i += REF_BYTES) {
			uint32_t        line = (uint32_t)take(data.ptr + i + 8, 4);
			struct flag_ref one = { take(data.ptr + i, 8), path, line & ~GETTER_BIT, line & GETTER_BIT };

			rc = VEC_PUSH(&found, one) ? 0 : err_set(reterr, WEIR_ENOMEM, "references of flags");
		}
	}
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), by_hash);
	ret->v = ARENA_ARRAY(a, found.n + 1, struct flag_ref);
	ret->n = found.n;
	if (ret->v && found.n)
		memcpy(ret->v, found.v, found.n * sizeof(*ret->v));
	VEC_FINI(&found);
	return rc ? rc : arena_check(a, "references of flags", reterr);
}

const struct flag_ref *flag_index_find(const struct flag_index *ix, uint64_t hash, size_t *ret_n)
{
	size_t low = 0, high = ix->n, n = 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (ix->v[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < ix->n && ix->v[low + n].hash == hash)
		n++;
	*ret_n = n;
	return ix->v + low;
}
