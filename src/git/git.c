/* git.c - opening repositories, names to ids, single commits and blobs, over libgit2.
 *
 * Guarantees: never writes; reads nothing of the machine's git configuration (the repository's own only); an absent
 * object is an error, never an empty answer. libgit2's process-wide settings are made once, before the first open.
 * Any thread, one at a time for each git_repo. */
#include "git/git-internal.h" /* first: git2.h uses names that base.h forbids */
#include "base/fs.h"

#include <pthread.h>

const char git_zero_id[GIT_ID_SIZE] = "0000000000000000000000000000000000000000";

static pthread_once_t setup_once = PTHREAD_ONCE_INIT;

static void setup(void)
{
	const char *extensions[] = { "partialclone", "worktreeconfig" };

	git_libgit2_init();
	/* weir opens only repositories that it was told to; their owner may be another user (the server's). */
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	/* Objects were hashed when git indexed the pack (receive.fsckObjects): hashing them again doubles the cost of a read. */
	git_libgit2_opts(GIT_OPT_ENABLE_STRICT_HASH_VERIFICATION, 0);
	/* Repositories that git knows as partial clones open; what they lack is reported object by object. */
	git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, extensions, ARRAY_SIZE(extensions));
	/* The same answer on every machine: no /etc/gitconfig, no ~/.gitconfig. */
	for (int level = GIT_CONFIG_LEVEL_PROGRAMDATA; level <= GIT_CONFIG_LEVEL_GLOBAL; level++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
}

int git_fail(struct err *reterr, int rc, const char *fmt, ...)
{
	const git_error *e = git_error_last();
	char             what[512];
	va_list          ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof what, fmt, ap);
	va_end(ap);
	if (rc == GIT_ENOTFOUND)
		return err_set(reterr, WEIR_EIO, "incomplete: %s: an object is missing from the repository (%s)", what, e ? e->message : "not found");
	return err_set(reterr, WEIR_EIO, "%s: %s", what, e ? e->message : "libgit2 failed without a message");
}

int git_oid_of(const char *hex, git_oid *ret, struct err *reterr)
{
	if (strlen(hex) != GIT_OID_HEXSZ || git_oid_fromstr(ret, hex))
		return err_set(reterr, WEIR_EINVAL, "'%.60s' is no object id: 40 hex digits are needed", hex);
	return 0;
}

bool git_is_shallow(const struct git_repo *r, const git_oid *id)
{
	for (size_t i = 0; i < r->n_shallow; i++)
		if (!memcmp(r->shallow[i].id, id->id, GIT_OID_RAWSZ))
			return true;
	return false;
}

/* libgit2 1.5 does not know $GIT_DIR/shallow: one commit id per line whose parents are not there on purpose. */
static int read_shallow(struct git_repo *r, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4 << 20);
	char                   path[4096];
	str                    line, rest;
	int                    rc = fs_join(path, sizeof path, reterr, git_repository_commondir(r->repo), "shallow");

	if (rc || !fs_exists(path))
		return rc;
	rc = fs_read(path, &text, reterr);
	if (rc)
		return rc;
	r->shallow = calloc(text.len / GIT_OID_HEXSZ + 1, sizeof *r->shallow);
	if (!r->shallow)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the shallow commits of %s", r->path);
	for (rest = buf_str(&text); rest.len;) {
		str_cut(rest, '\n', &line, &rest);
		if (line.len >= GIT_OID_HEXSZ && !git_oid_fromstrn(&r->shallow[r->n_shallow], line.ptr, GIT_OID_HEXSZ))
			r->n_shallow++;
	}
	return 0;
}

static int open_parts(struct git_repo *r, struct err *reterr)
{
	int rc = git_repository_open_ext(&r->repo, r->path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);

	if (rc == GIT_ENOTFOUND)
		return err_set(reterr, WEIR_ENOENT, "%s is no git repository", r->path);
	if (rc)
		return git_fail(reterr, rc, "cannot open the repository %s", r->path);
	rc = git_repository_odb(&r->odb, r->repo);
	if (rc)
		return git_fail(reterr, rc, "cannot open the objects of %s", r->path);
	if (r->quarantine) {
		if (!fs_is_dir(r->quarantine))
			return err_set(reterr, WEIR_ENOENT, "the folder of offered objects %s is not there", r->quarantine);
		rc = git_odb_add_disk_alternate(r->odb, r->quarantine);
		if (rc)
			return git_fail(reterr, rc, "cannot open the offered objects %s", r->quarantine);
	}
	return read_shallow(r, reterr);
}

int git_repo_open(const char *path, const char *quarantine, struct git_repo **ret, struct err *reterr)
{
	struct git_repo *r = calloc(1, sizeof *r);
	int              rc;

	pthread_once(&setup_once, setup);
	if (!r || !(r->path = str_dup(str_z(path))) || !(r->known_prefix = str_dup(STR("refs/"))) ||
	    (quarantine && !(r->quarantine = str_dup(str_z(quarantine))))) {
		git_repo_close(r);
		return err_set(reterr, WEIR_ENOMEM, "no memory to open %s", path);
	}
	rc = open_parts(r, reterr);
	if (rc) {
		git_repo_close(r);
		return rc;
	}
	*ret = r;
	return 0;
}

int git_repo_dup(const struct git_repo *r, struct git_repo **ret, struct err *reterr)
{
	struct git_repo *copy;
	int              rc = git_repo_open(r->path, r->quarantine, &copy, reterr);

	if (!rc)
		rc = git_repo_set_known_refs(copy, r->known_prefix, reterr);
	if (!rc)
		*ret = copy;
	return rc;
}

struct git_repo *git_repo_close(struct git_repo *r)
{
	if (!r)
		return NULL;
	git_odb_free(r->odb);
	git_repository_free(r->repo);
	free(r->path);
	free(r->quarantine);
	free(r->known_prefix);
	free(r->shallow);
	free(r);
	return NULL;
}

int git_repo_set_known_refs(struct git_repo *r, const char *prefix, struct err *reterr)
{
	char *copy = prefix ? str_dup(str_z(prefix)) : NULL;

	if (prefix && !copy)
		return err_set(reterr, WEIR_ENOMEM, "no memory");
	free(r->known_prefix);
	r->known_prefix = copy;
	return 0;
}

const char *git_repo_path(const struct git_repo *r) { return r->path; }

int git_resolve(struct git_repo *r, const char *rev, char ret_id[GIT_ID_SIZE], struct err *reterr)
{
	git_object *o = NULL, *commit = NULL;
	int         rc = git_revparse_single(&o, r->repo, rev);

	if (!rc)
		rc = git_object_peel(&commit, o, GIT_OBJECT_COMMIT);
	if (!rc)
		git_oid_tostr(ret_id, GIT_ID_SIZE, git_object_id(commit));
	git_object_free(o);
	git_object_free(commit);
	if (!rc)
		return 0;
	if (rc == GIT_ENOTFOUND || rc == GIT_EINVALIDSPEC || rc == GIT_EPEEL || rc == GIT_EAMBIGUOUS || rc == GIT_EUNBORNBRANCH)
		return err_set(reterr, WEIR_ENOENT, "'%.200s' leads to no commit in %s", rev, r->path);
	return git_fail(reterr, rc, "cannot resolve '%.200s'", rev);
}

int git_refs_each(struct git_repo *r, int (*fn)(void *ctx, str name, const char *id, struct err *reterr), void *ctx,
                  struct err *reterr)
{
	git_reference_iterator *it;
	git_reference          *ref;
	int                     rc = git_reference_iterator_new(&it, r->repo), n = 0;

	if (rc)
		return git_fail(reterr, rc, "cannot list the refs of %s", r->path);
	while (!rc && (n = git_reference_next(&ref, it)) == 0) {
		const git_oid *target = git_reference_target(ref);
		char           id[GIT_ID_SIZE];

		if (target)
			rc = fn(ctx, str_z(git_reference_name(ref)), git_oid_tostr(id, sizeof id, target), reterr);
		git_reference_free(ref);
	}
	git_reference_iterator_free(it);
	return rc ? rc : n == GIT_ITEROVER ? 0 : git_fail(reterr, n, "cannot list the refs of %s", r->path);
}

static void commit_copy(const git_commit *c, struct arena *a, struct git_commit *out)
{
	const git_signature *author = git_commit_author(c), *committer = git_commit_committer(c);
	const char          *message = git_commit_message(c);

	git_oid_tostr(out->id, sizeof out->id, git_commit_id(c));
	git_oid_tostr(out->tree, sizeof out->tree, git_commit_tree_id(c));
	out->message = arena_str(a, str_z(message ? message : ""));
	out->subject = str_trim(str_sub(out->message, 0, str_find(out->message, '\n')));
	out->author_name = arena_str(a, str_z(author->name));
	out->author_email = arena_str(a, str_z(author->email));
	out->committer_email = arena_str(a, str_z(committer->email));
	out->authored = (usec_t)author->when.time * USEC_PER_SEC;
	out->committed = (usec_t)committer->when.time * USEC_PER_SEC;
	out->authored_offset_min = author->when.offset;
	out->n_parents = git_commit_parentcount(c);
	out->parents = arena_array(a, out->n_parents ? out->n_parents : 1, sizeof *out->parents);
	for (size_t i = 0; out->parents && i < out->n_parents; i++)
		git_oid_tostr(out->parents[i], sizeof out->parents[i], git_commit_parent_id(c, (unsigned)i));
}

int git_commit_read(struct git_repo *r, const char *id, struct arena *a, struct git_commit *ret, struct err *reterr)
{
	struct git_commit out = { 0 };
	git_commit       *c;
	git_oid           oid;
	int               rc = git_oid_of(id, &oid, reterr);

	if (rc)
		return rc;
	rc = git_commit_lookup(&c, r->repo, &oid);
	if (rc)
		return git_fail(reterr, rc, "cannot read commit %s", id);
	commit_copy(c, a, &out);
	git_commit_free(c);
	rc = arena_check(a, "commits", reterr);
	if (!rc)
		*ret = out;
	return rc;
}

int git_read_blob(struct git_repo *r, const char *blob, struct buf *out, struct err *reterr)
{
	struct git_new_blob b = { 0 };
	git_oid             oid;
	git_object_t        type;
	void               *hold;
	str                 text;
	int                 rc = git_oid_of(blob, &oid, reterr);

	if (rc)
		return rc;
	rc = git_odb_read_header(&b.size, &type, r->odb, &oid);
	if (rc)
		return git_fail(reterr, rc, "cannot read blob %s", blob);
	memcpy(b.id, blob, sizeof b.id);
	rc = git_blob_hold(r, &b, out->max - out->len, &text, &hold, reterr);
	if (rc)
		return rc;
	buf_add_str(out, text);
	git_blob_release(hold);
	return buf_check(out, "blob", reterr);
}

int git_blob_hold(struct git_repo *r, const struct git_new_blob *b, size_t max, str *ret, void **ret_hold, struct err *reterr)
{
	git_odb_object *o;
	git_oid         oid;
	int             rc = git_oid_of(b->id, &oid, reterr);

	if (rc)
		return rc;
	if (b->size > max)
		return err_set(reterr, WEIR_ELIMIT, "blob %s has %zu bytes, more than the limit of %zu", b->id, b->size, max);
	rc = git_odb_read(&o, r->odb, &oid);
	if (rc)
		return git_fail(reterr, rc, "cannot read blob %s", b->id);
	if (git_odb_object_type(o) != GIT_OBJECT_BLOB) {
		git_odb_object_free(o);
		return err_set(reterr, WEIR_EINVAL, "object %s is no blob", b->id);
	}
	*ret = str_n(git_odb_object_data(o), git_odb_object_size(o));
	*ret_hold = o;
	return 0;
}

void git_blob_release(void *hold) { git_odb_object_free(hold); }

int git_find(const char *start, char *out, size_t size, struct err *reterr)
{
	git_buf     found = GIT_BUF_INIT;
	int         rc;
	git_repository *repo;

	pthread_once(&setup_once, setup);
	rc = git_repository_discover(&found, start, 0, NULL);
	if (!rc)
		rc = git_repository_open_ext(&repo, found.ptr, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
	git_buf_dispose(&found);
	if (rc)
		return err_set(reterr, WEIR_ENOENT, "%s is not inside a git repository", start);
	rc = snprintf(out, size, "%s", git_repository_workdir(repo) ? git_repository_workdir(repo) : git_repository_path(repo)) >= (int)size;
	git_repository_free(repo);
	return rc ? err_set(reterr, WEIR_ELIMIT, "the path of the repository around %s is too long", start) : 0;
}
