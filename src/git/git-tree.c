/* git-tree.c - files of a commit by path, all files under a folder, differences between two commits.
 *
 * Any thread, one at a time for each git_repo; callbacks run on the caller's thread. */
#include "git/git-internal.h" /* first: git2.h uses names that base.h forbids */

int git_tree_of(struct git_repo *r, const char *id, git_tree **ret, struct err *reterr)
{
	git_object *o = NULL, *tree = NULL;
	git_oid     oid;
	int         rc = git_oid_of(id, &oid, reterr);

	if (rc)
		return rc;
	rc = git_object_lookup(&o, r->repo, &oid, GIT_OBJECT_ANY);
	if (!rc)
		rc = git_object_peel(&tree, o, GIT_OBJECT_TREE);
	git_object_free(o);
	if (rc == GIT_EPEEL || rc == GIT_EINVALIDSPEC)
		return err_set(reterr, WEIR_EINVAL, "object %s is neither a commit nor a tree", id);
	if (rc)
		return git_fail(reterr, rc, "cannot read the tree of %s", id);
	*ret = (git_tree *)tree;
	return 0;
}

/* The entry at path, or -WEIR_ENOENT. An absent tree object is told from an absent name by looking at each part by itself. */
static int entry_at(struct git_repo *r, const char *commit, const char *path, git_tree_entry **ret, struct err *reterr)
{
	git_tree *tree;
	str       rest = str_z(path), part;
	int       rc = git_tree_of(r, commit, &tree, reterr);

	while (!rc) {
		const git_tree_entry *e;
		git_tree             *sub;
		char                  name[4096];
		bool                  deeper = str_cut(rest, '/', &part, &rest);

		snprintf(name, sizeof name, "%.*s", STR_ARG(part));
		e = git_tree_entry_byname(tree, name);
		if (!e || (deeper && git_tree_entry_type(e) != GIT_OBJECT_TREE)) {
			rc = err_set(reterr, WEIR_ENOENT, "%s: no such file at %.12s", path, commit);
		} else if (!deeper) {
			rc = git_tree_entry_dup(ret, e) ? err_set(reterr, WEIR_ENOMEM, "no memory") : 0;
			break;
		} else {
			rc = git_tree_lookup(&sub, r->repo, git_tree_entry_id(e));
			if (rc) {
				rc = git_fail(reterr, rc, "cannot read the folder of %s", path);
				break;
			}
			git_tree_free(tree);
			tree = sub;
			continue;
		}
		break;
	}
	if (tree)
		git_tree_free(tree);
	return rc;
}

int git_read_path(struct git_repo *r, const char *commit, const char *path, struct buf *out, struct err *reterr)
{
	git_tree_entry *e = NULL;
	char            id[GIT_ID_SIZE];
	int             rc = entry_at(r, commit, path, &e, reterr);

	if (rc)
		return rc;
	if (git_tree_entry_type(e) != GIT_OBJECT_BLOB)
		rc = err_set(reterr, WEIR_ENOENT, "%s: no file at %.12s", path, commit);
	else
		rc = git_read_blob(r, git_oid_tostr(id, sizeof id, git_tree_entry_id(e)), out, reterr);
	git_tree_entry_free(e);
	return rc && rc != -WEIR_ENOENT ? err_wrap(reterr, "%s", path) : rc;
}

struct each {
	struct git_repo *r;
	git_tree_fn      fn;
	void            *ctx;
	struct buf       path;
	unsigned         depth;
};

static int each_in(struct each *e, const git_oid *id, struct err *reterr)
{
	git_tree *tree;
	size_t    base = e->path.len;
	int       rc = git_tree_lookup(&tree, e->r->repo, id);

	if (rc)
		return git_fail(reterr, rc, "cannot read the folder '%s'", buf_z(&e->path));
	if (++e->depth > LIMIT_TREE_DEPTH)
		rc = err_set(reterr, WEIR_ELIMIT, "folders are nested more than %d deep", LIMIT_TREE_DEPTH);
	for (size_t i = 0; !rc && i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *t = git_tree_entry_byindex(tree, i);
		char                  hex[GIT_ID_SIZE];

		buf_addz(&e->path, git_tree_entry_name(t));
		git_oid_tostr(hex, sizeof hex, git_tree_entry_id(t));
		if (git_tree_entry_type(t) == GIT_OBJECT_TREE) {
			buf_addc(&e->path, '/');
			rc = each_in(e, git_tree_entry_id(t), reterr);
		} else {
			rc = buf_check(&e->path, "path", reterr);
			if (!rc)
				rc = e->fn(e->ctx, buf_str(&e->path), git_tree_entry_filemode_raw(t), hex, reterr);
		}
		if (!rc && e->path.len > base)
			e->path.ptr[e->path.len = base] = '\0';
	}
	e->depth--;
	git_tree_free(tree);
	return rc;
}

int git_tree_each(struct git_repo *r, const char *commit, const char *dir, git_tree_fn fn, void *ctx, struct err *reterr)
{
	struct each     e = { .r = r, .fn = fn, .ctx = ctx, .path = BUF_INIT(LIMIT_PATH_BYTES) };
	git_tree_entry *at = NULL;
	git_tree       *root;
	git_oid         id;
	int             rc;

	if (*dir) {
		rc = entry_at(r, commit, dir, &at, reterr);
		if (rc)
			return rc;
		if (git_tree_entry_type(at) != GIT_OBJECT_TREE)
			rc = err_set(reterr, WEIR_ENOENT, "%s: no folder at %.12s", dir, commit);
		id = *git_tree_entry_id(at);
		git_tree_entry_free(at);
		buf_addf(&e.path, "%s/", dir);
	} else {
		rc = git_tree_of(r, commit, &root, reterr);
		if (!rc) {
			id = *git_tree_id(root);
			git_tree_free(root);
		}
	}
	if (!rc)
		rc = each_in(&e, &id, reterr);
	buf_fini(&e.path);
	return rc;
}

static char status_letter(git_delta_t s)
{
	switch (s) {
	case GIT_DELTA_ADDED: return 'A';
	case GIT_DELTA_DELETED: return 'D';
	case GIT_DELTA_RENAMED: return 'R';
	case GIT_DELTA_TYPECHANGE: return 'T';
	default: return 'M';
	}
}

static int diff_make(struct git_repo *r, const char *old_commit, const char *new_commit, git_diff **ret, struct err *reterr)
{
	git_diff_options      opts = GIT_DIFF_OPTIONS_INIT;
	git_diff_find_options find = GIT_DIFF_FIND_OPTIONS_INIT;
	git_tree             *from = NULL, *to = NULL;
	int                   rc = 0;

	opts.flags = GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_SKIP_BINARY_CHECK;
	find.flags = GIT_DIFF_FIND_RENAMES;
	find.rename_limit = 400; /* similarity is pairs: git's own default limit */
	if (strcmp(old_commit, git_zero_id))
		rc = git_tree_of(r, old_commit, &from, reterr);
	if (!rc && strcmp(new_commit, git_zero_id))
		rc = git_tree_of(r, new_commit, &to, reterr);
	if (!rc) {
		rc = git_diff_tree_to_tree(ret, r->repo, from, to, &opts);
		if (!rc && (rc = git_diff_find_similar(*ret, &find)))
			git_diff_free(*ret);
		if (rc)
			rc = git_fail(reterr, rc, "cannot compare %.12s with %.12s", old_commit, new_commit);
	}
	git_tree_free(from);
	git_tree_free(to);
	return rc;
}

int git_diff_each(struct git_repo *r, const char *old_commit, const char *new_commit,
                  int (*fn)(void *ctx, const struct git_delta *d, struct err *reterr), void *ctx, struct err *reterr)
{
	git_diff *diff = NULL;
	int       rc = diff_make(r, old_commit, new_commit, &diff, reterr);

	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *d = git_diff_get_delta(diff, i);
		struct git_delta      out = { .status = status_letter(d->status), .mode = d->new_file.mode };

		out.old_path = str_z(d->old_file.path);
		out.path = out.status == 'D' ? out.old_path : str_z(d->new_file.path);
		git_oid_tostr(out.blob, sizeof out.blob, &d->new_file.id);
		git_oid_tostr(out.old_blob, sizeof out.old_blob, &d->old_file.id);
		rc = fn(ctx, &out, reterr);
	}
	git_diff_free(diff);
	return rc;
}
