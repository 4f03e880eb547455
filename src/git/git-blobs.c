/* git-blobs.c - the blobs that new commits bring, and all blobs of a history: each once, with the path and the commit that
 * brought it first.
 *
 * Commits are taken oldest first, parents before children whatever their dates say. A folder is entered only when it differs
 * from the same folder in every parent, and each tree object at most once: whatever it holds was reported then, or was known.
 * A merge so brings only what none of its parents has, and a file that only moved brings nothing: what a parent has and the
 * commit has not is known.
 * Runs on the caller's thread, callbacks too. */
#include "git/git-internal.h" /* first: git2.h uses names that base.h forbids */

#include "base/vec.h"

enum { PARENTS_MAX = 64 }; /* of an octopus merge compared; further ones are ignored, which looks at more, never at less */

typedef int (*blob_fn)(void *ctx, const struct git_new_blob *b, struct err *reterr);

enum { SEEN = 1, KNOWN = 2 }; /* of an object: it was reported or entered; it is in a parent */
enum { CANDIDATES_BYTES_MAX = 256 << 20 }; /* paths of one commit's changes */

struct candidate {
	git_oid           id;
	str               path;
	unsigned          mode;
	struct candidate *next;
};

struct blobs {
	struct git_repo    *r;
	struct oidmap       seen; /* trees and blobs */
	struct arena        arena; /* candidates of the present commit */
	struct candidate   *first, **last;
	blob_fn             fn;
	void               *ctx;
	struct git_new_blob blob;
	struct buf          path;
	unsigned            depth;
	bool                whole; /* a whole history: what a parent has was reported before, parents need no look */
};

/* Marks an object; *ret: how it was marked before. */
static int mark(struct blobs *b, const git_oid *id, uint32_t how, uint32_t *ret, struct err *reterr)
{
	uint32_t *at = oidmap_at(&b->seen, id);

	if (!at)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the objects seen");
	*ret = *at;
	*at |= how;
	return 0;
}

static int report(struct blobs *b, const struct candidate *c, struct err *reterr)
{
	git_object_t type;
	uint32_t     was = 0;
	int          rc = mark(b, &c->id, SEEN, &was, reterr);

	if (rc || was)
		return rc;
	git_oid_tostr(b->blob.id, sizeof b->blob.id, &c->id);
	rc = git_odb_read_header(&b->blob.size, &type, b->r->odb, &c->id);
	if (rc)
		return git_fail(reterr, rc, "cannot read blob %s ('%.*s' at %.12s)", b->blob.id, STR_ARG(c->path), b->blob.commit);
	if (type != GIT_OBJECT_BLOB)
		return err_set(reterr, WEIR_EIO, "incomplete: '%.*s' at %.12s is no blob", STR_ARG(c->path), b->blob.commit);
	b->blob.path = c->path;
	b->blob.mode = c->mode;
	return b->fn(b->ctx, &b->blob, reterr);
}

/* Reported when the whole commit was looked at: only then it is known what merely moved. */
static int remember(struct blobs *b, const git_tree_entry *e, struct err *reterr)
{
	struct candidate *c = ARENA_NEW(&b->arena, struct candidate);
	int               rc = buf_check(&b->path, "path", reterr);

	if (rc)
		return rc;
	if (c) {
		c->id = *git_tree_entry_id(e);
		c->path = arena_str(&b->arena, buf_str(&b->path));
		c->mode = git_tree_entry_filemode_raw(e);
		*b->last = c;
		b->last = &c->next;
	}
	return arena_check(&b->arena, "changes of one commit", reterr);
}

static bool in_a_parent(git_tree *const *parents, size_t n, const char *name, const git_oid *id)
{
	for (size_t i = 0; i < n; i++) {
		const git_tree_entry *p = parents[i] ? git_tree_entry_byname(parents[i], name) : NULL;

		if (p && git_oid_equal(git_tree_entry_id(p), id))
			return true;
	}
	return false;
}

static int tree_in(struct blobs *b, const git_oid *id, git_tree *const *parents, size_t n_parents, struct err *reterr);

/* The folder `e`, beside the folders of the same name in the parents. */
static int folder(struct blobs *b, const git_tree_entry *e, git_tree *const *parents, size_t n_parents, struct err *reterr)
{
	git_tree *sub[PARENTS_MAX] = { NULL };
	size_t    n = 0;
	int       rc = 0;

	for (size_t i = 0; !rc && i < n_parents; i++) {
		const git_tree_entry *p = parents[i] ? git_tree_entry_byname(parents[i], git_tree_entry_name(e)) : NULL;

		if (!p || git_tree_entry_type(p) != GIT_OBJECT_TREE)
			continue;
		rc = git_tree_lookup(&sub[n++], b->r->repo, git_tree_entry_id(p));
		if (rc)
			rc = git_fail(reterr, rc, "cannot read the folder '%s' of a parent of %.12s", buf_z(&b->path), b->blob.commit);
	}
	buf_addc(&b->path, '/');
	if (!rc)
		rc = tree_in(b, git_tree_entry_id(e), sub, n, reterr);
	for (size_t i = 0; i < n; i++)
		git_tree_free(sub[i]);
	return rc;
}

static int entry(struct blobs *b, const git_tree_entry *e, git_tree *const *parents, size_t n_parents, struct err *reterr)
{
	git_object_t type = git_tree_entry_type(e);
	uint32_t     was = 0;
	int          rc;

	if (type == GIT_OBJECT_COMMIT) /* a submodule: its objects are elsewhere */
		return 0;
	if (in_a_parent(parents, n_parents, git_tree_entry_name(e), git_tree_entry_id(e)))
		return 0;
	if (type != GIT_OBJECT_TREE)
		return oidmap_get(&b->seen, git_tree_entry_id(e)) ? 0 : remember(b, e, reterr);
	rc = mark(b, git_tree_entry_id(e), SEEN, &was, reterr);
	return rc || was ? rc : folder(b, e, parents, n_parents, reterr);
}

/* Everything under an entry that a parent has and the commit has not. */
static int gone(struct blobs *b, const git_tree_entry *e, unsigned depth, struct err *reterr)
{
	git_tree *tree;
	uint32_t  was = 0;
	int       rc;

	if (git_tree_entry_type(e) == GIT_OBJECT_COMMIT)
		return 0;
	rc = mark(b, git_tree_entry_id(e), KNOWN, &was, reterr);
	if (rc || was & KNOWN || git_tree_entry_type(e) != GIT_OBJECT_TREE)
		return rc;
	if (depth > LIMIT_TREE_DEPTH)
		return err_set(reterr, WEIR_ELIMIT, "folders are nested more than %d deep before %.12s", LIMIT_TREE_DEPTH, b->blob.commit);
	rc = git_tree_lookup(&tree, b->r->repo, git_tree_entry_id(e));
	if (rc)
		return git_fail(reterr, rc, "cannot read the folder '%s' of a parent of %.12s", git_tree_entry_name(e), b->blob.commit);
	for (size_t i = 0; !rc && i < git_tree_entrycount(tree); i++)
		rc = gone(b, git_tree_entry_byindex(tree, i), depth + 1, reterr);
	git_tree_free(tree);
	return rc;
}

static int gone_from(struct blobs *b, const git_tree *tree, const git_tree *parent, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < git_tree_entrycount(parent); i++) {
		const git_tree_entry *p = git_tree_entry_byindex(parent, i), *e = git_tree_entry_byname(tree, git_tree_entry_name(p));

		if (!e || (git_tree_entry_type(p) == GIT_OBJECT_BLOB && !git_oid_equal(git_tree_entry_id(p), git_tree_entry_id(e))))
			rc = gone(b, p, b->depth, reterr);
	}
	return rc;
}

static int tree_in(struct blobs *b, const git_oid *id, git_tree *const *parents, size_t n_parents, struct err *reterr)
{
	git_tree *tree;
	size_t    base = b->path.len;
	int       rc = git_tree_lookup(&tree, b->r->repo, id);

	if (rc)
		return git_fail(reterr, rc, "cannot read the folder '%s' at %.12s", buf_z(&b->path), b->blob.commit);
	if (++b->depth > LIMIT_TREE_DEPTH)
		rc = err_set(reterr, WEIR_ELIMIT, "folders are nested more than %d deep at %.12s", LIMIT_TREE_DEPTH, b->blob.commit);
	for (size_t i = 0; !rc && i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *e = git_tree_entry_byindex(tree, i);

		buf_addz(&b->path, git_tree_entry_name(e));
		rc = entry(b, e, parents, n_parents, reterr);
		if (!rc && b->path.len > base)
			b->path.ptr[b->path.len = base] = '\0';
	}
	for (size_t i = 0; !rc && i < n_parents; i++)
		if (parents[i])
			rc = gone_from(b, tree, parents[i], reterr);
	b->depth--;
	git_tree_free(tree);
	return rc;
}

static int parents_of(struct blobs *b, const struct walk *w, const struct walk_commit *c, git_tree **out, size_t *ret_n, struct err *reterr)
{
	size_t n = b->whole ? 0 : c->n_parents < PARENTS_MAX ? c->n_parents : PARENTS_MAX;

	for (*ret_n = 0; *ret_n < n; ++*ret_n) {
		const struct walk_commit *p = &w->commits[w->parents[c->parents + *ret_n]];
		git_commit               *obj;
		int                       rc = git_commit_lookup(&obj, b->r->repo, &p->id);

		if (!rc) {
			rc = git_commit_tree(&out[*ret_n], obj);
			git_commit_free(obj);
		}
		if (rc)
			return git_fail(reterr, rc, "cannot read the parent %s of %.12s", git_oid_tostr_s(&p->id), b->blob.commit);
	}
	return 0;
}

static int commit_in(struct blobs *b, const struct walk *w, const struct walk_commit *c, struct err *reterr)
{
	git_tree *parents[PARENTS_MAX] = { NULL };
	size_t    n = 0;
	uint32_t  was = 0;
	int       rc = mark(b, &c->tree, SEEN, &was, reterr);

	if (rc || was)
		return rc;
	b->first = NULL;
	b->last = &b->first;
	git_oid_tostr(b->blob.commit, sizeof b->blob.commit, &c->id);
	rc = parents_of(b, w, c, parents, &n, reterr);
	if (!rc)
		rc = tree_in(b, &c->tree, parents, n, reterr);
	for (size_t i = 0; i < n; i++)
		git_tree_free(parents[i]);
	for (const struct candidate *k = b->first; !rc && k; k = k->next)
		rc = report(b, k, reterr);
	arena_fini(&b->arena);
	return rc;
}

/* A new parent of the commit whose turn has not come; -1: none. */
static int64_t parent_to_come(const struct walk *w, const struct walk_commit *c)
{
	for (size_t i = 0; i < c->n_parents; i++) {
		uint32_t p = w->parents[c->parents + i];

		if (w->commits[p].flags & WALK_WANTED && !(w->commits[p].flags & (WALK_HIDDEN | WALK_REPORTED)))
			return p;
	}
	return -1;
}

/* Reports the commit, parents first: dates are what the pusher wrote, and a child that claims to be older than its parent would
 * make what the parent brings pass for known. */
static int commit_and_parents(struct blobs *b, struct walk *w, uint32_t first, struct err *reterr)
{
	VEC(uint32_t) stack = VEC_INIT;
	bool pushed = VEC_PUSH(&stack, first);
	int  rc = 0;

	while (!rc && pushed && stack.n) {
		struct walk_commit *c = &w->commits[stack.v[stack.n - 1]];
		int64_t             parent = c->flags & (WALK_HIDDEN | WALK_REPORTED) ? -1 : parent_to_come(w, c);

		if (parent >= 0) {
			pushed = VEC_PUSH(&stack, (uint32_t)parent);
			continue;
		}
		if (!(c->flags & (WALK_HIDDEN | WALK_REPORTED)))
			rc = commit_in(b, w, c, reterr);
		c->flags |= WALK_REPORTED;
		stack.n--;
	}
	VEC_FINI(&stack);
	return pushed ? rc : err_set(reterr, WEIR_ENOMEM, "no memory for the order of commits");
}

static int blobs_of_walk(struct walk *w, bool whole, blob_fn fn, void *ctx, struct err *reterr)
{
	struct blobs b = { .r = w->r, .whole = whole, .fn = fn, .ctx = ctx, .path = BUF_INIT(LIMIT_PATH_BYTES), .arena = ARENA_INIT(CANDIDATES_BYTES_MAX) };
	bool         more;
	int          rc = walk_run(w, SIZE_MAX - 1, &more, reterr);

	for (size_t i = w->n_out; !rc && i--;)
		rc = commit_and_parents(&b, w, w->out[i], reterr);
	oidmap_fini(&b.seen);
	buf_fini(&b.path);
	return rc;
}

int git_new_blobs(struct git_repo *r, const char *old_id, const char *new_id, blob_fn fn, void *ctx, struct err *reterr)
{
	struct walk w;
	git_oid     id;
	int         rc = git_oid_of(new_id, &id, reterr);

	walk_init(&w, r);
	if (!rc)
		rc = walk_want(&w, &id, reterr);
	if (!rc && strcmp(old_id, git_zero_id)) {
		rc = git_oid_of(old_id, &id, reterr);
		if (!rc)
			rc = walk_hide(&w, &id, reterr);
	}
	if (!rc)
		rc = walk_refs(&w, true, reterr);
	if (!rc)
		rc = blobs_of_walk(&w, false, fn, ctx, reterr);
	walk_fini(&w);
	return rc;
}

int git_all_blobs(struct git_repo *r, blob_fn fn, void *ctx, struct err *reterr)
{
	struct walk w;
	int         rc;

	walk_init(&w, r);
	rc = walk_refs(&w, false, reterr);
	if (!rc)
		rc = blobs_of_walk(&w, true, fn, ctx, reterr);
	walk_fini(&w);
	return rc;
}
