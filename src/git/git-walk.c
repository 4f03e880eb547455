/* git-walk.c - the commits reachable from some commits and not from others, newest first.
 *
 * Own walk instead of libgit2's, because that one (1.5) knows no shallow clones and answers a missing parent with a bare
 * error. A priority queue by commit time; "hidden" spreads from the known commits to their ancestors. The walk ends when
 * nothing wanted is open any more and all that is left is older than the oldest wanted commit, and a few commits later: with
 * clocks far out of order it may call a known commit new (and look at it again), never the other way round. Any thread; one walk belongs to one git_repo. */
#include "git/git-internal.h" /* first: git2.h uses names that base.h forbids */
#include "base/vec.h"

enum { WALK_SLOP = 8 }; /* hidden commits still taken from the queue after the last wanted one: evens out clocks that differ */

void walk_init(struct walk *w, struct git_repo *r) { *w = (struct walk){ .r = r, .oldest = INT64_MAX }; }

void walk_fini(struct walk *w)
{
	oidmap_fini(&w->index);
	free(w->commits);
	free(w->parents);
	free(w->heap);
	free(w->out);
	*w = (struct walk){ 0 };
}

static int no_memory(struct err *reterr) { return err_set(reterr, WEIR_ENOMEM, "no memory to walk the history"); }

static int push_u32(uint32_t **v, size_t *n, size_t *cap, uint32_t x, struct err *reterr)
{
	if (!vec_grow((void **)v, cap, *n, sizeof **v))
		return no_memory(reterr);
	(*v)[(*n)++] = x;
	return 0;
}

static bool newer(const struct walk *w, uint32_t a, uint32_t b)
{
	return w->commits[a].time != w->commits[b].time ? w->commits[a].time > w->commits[b].time : a < b;
}

static int heap_push(struct walk *w, uint32_t c, struct err *reterr)
{
	int rc = push_u32(&w->heap, &w->n_heap, &w->cap_heap, c, reterr);

	if (rc)
		return rc;
	for (size_t i = w->n_heap - 1; i && newer(w, w->heap[i], w->heap[(i - 1) / 2]); i = (i - 1) / 2) {
		uint32_t t = w->heap[i];

		w->heap[i] = w->heap[(i - 1) / 2];
		w->heap[(i - 1) / 2] = t;
	}
	return 0;
}

static uint32_t heap_pop(struct walk *w)
{
	uint32_t top = w->heap[0];

	w->heap[0] = w->heap[--w->n_heap];
	for (size_t i = 0;;) {
		size_t   child = 2 * i + 1;
		uint32_t t;

		if (child >= w->n_heap)
			break;
		if (child + 1 < w->n_heap && newer(w, w->heap[child + 1], w->heap[child]))
			child++;
		if (!newer(w, w->heap[child], w->heap[i]))
			break;
		t = w->heap[i];
		w->heap[i] = w->heap[child];
		w->heap[child] = t;
		i = child;
	}
	return top;
}

/* Position of a commit in w->commits, made when it is new. */
static int commit_at(struct walk *w, const git_oid *id, uint32_t *ret, struct err *reterr)
{
	uint32_t *at = oidmap_at(&w->index, id);

	if (!at)
		return no_memory(reterr);
	if (!*at) {
		if (!vec_grow((void **)&w->commits, &w->cap_commits, w->n_commits, sizeof *w->commits)) {
			*at = UINT32_MAX; /* the walk is given up: only keep the map whole */
			return no_memory(reterr);
		}
		w->commits[w->n_commits++] = (struct walk_commit){ .id = *id };
		*at = (uint32_t)w->n_commits;
	}
	*ret = *at - 1;
	return 0;
}

static int parse(struct walk *w, uint32_t c, struct err *reterr)
{
	git_oid     id = w->commits[c].id;
	git_commit *obj;
	unsigned    n;
	int         rc;

	if (w->commits[c].flags & WALK_PARSED)
		return 0;
	rc = git_commit_lookup(&obj, w->r->repo, &id);
	if (rc)
		return git_fail(reterr, rc, "cannot read commit %s", git_oid_tostr_s(&id));
	n = git_is_shallow(w->r, &id) ? 0 : git_commit_parentcount(obj);
	w->commits[c].tree = *git_commit_tree_id(obj);
	w->commits[c].time = git_commit_time(obj);
	w->commits[c].parents = (uint32_t)w->n_parents;
	w->commits[c].n_parents = n;
	w->commits[c].flags |= WALK_PARSED;
	for (unsigned i = 0; !rc && i < n; i++) {
		uint32_t p = 0;

		rc = commit_at(w, git_commit_parent_id(obj, i), &p, reterr);
		if (!rc)
			rc = push_u32(&w->parents, &w->n_parents, &w->cap_parents, p, reterr);
	}
	git_commit_free(obj);
	return rc;
}

static int enqueue(struct walk *w, uint32_t c, struct err *reterr)
{
	int rc;

	if (w->commits[c].flags & WALK_QUEUED)
		return 0;
	rc = parse(w, c, reterr);
	if (rc)
		return rc;
	w->commits[c].flags |= WALK_QUEUED;
	if (!(w->commits[c].flags & WALK_HIDDEN))
		w->n_open++;
	return heap_push(w, c, reterr);
}

/* Hides a commit, and with it all ancestors that were taken from the queue already: they would spread no more by themselves. */
static int hide(struct walk *w, uint32_t from, struct err *reterr)
{
	uint32_t *stack = NULL;
	size_t    n = 0, cap = 0;
	int       rc = push_u32(&stack, &n, &cap, from, reterr);

	while (!rc && n) {
		uint32_t            c = stack[--n];
		struct walk_commit *k = &w->commits[c];

		if (k->flags & WALK_HIDDEN)
			continue;
		k->flags |= WALK_HIDDEN;
		if (k->flags & WALK_QUEUED && !(k->flags & WALK_WANTED))
			w->n_open--; /* still in the heap: it spreads when its turn comes */
		else if (k->flags & WALK_WANTED)
			for (uint32_t i = 0; !rc && i < k->n_parents; i++)
				rc = push_u32(&stack, &n, &cap, w->parents[k->parents + i], reterr);
	}
	free(stack);
	return rc;
}

int walk_want(struct walk *w, const git_oid *id, struct err *reterr)
{
	uint32_t c;
	int      rc = commit_at(w, id, &c, reterr);

	return rc ? rc : enqueue(w, c, reterr);
}

int walk_hide(struct walk *w, const git_oid *id, struct err *reterr)
{
	uint32_t c;
	int      rc = commit_at(w, id, &c, reterr);

	if (!rc)
		rc = hide(w, c, reterr);
	return rc ? rc : enqueue(w, c, reterr);
}

int walk_refs(struct walk *w, bool hidden, struct err *reterr)
{
	git_reference_iterator *it;
	git_reference          *ref;
	int                     rc, n;

	if (!w->r->known_prefix)
		return 0;
	rc = git_reference_iterator_new(&it, w->r->repo);
	if (rc)
		return git_fail(reterr, rc, "cannot list the refs of %s", w->r->path);
	while (!rc && (n = git_reference_next(&ref, it)) == 0) {
		git_object *commit = NULL;

		if (!strncmp(git_reference_name(ref), w->r->known_prefix, strlen(w->r->known_prefix)) &&
		    !git_reference_peel(&commit, ref, GIT_OBJECT_COMMIT))
			rc = hidden ? walk_hide(w, git_object_id(commit), reterr) : walk_want(w, git_object_id(commit), reterr);
		git_object_free(commit);
		git_reference_free(ref);
	}
	git_reference_iterator_free(it);
	if (!rc && n != GIT_ITEROVER)
		rc = git_fail(reterr, n, "cannot list the refs of %s", w->r->path);
	return rc;
}

static int step(struct walk *w, uint32_t c, struct err *reterr)
{
	bool hidden = w->commits[c].flags & WALK_HIDDEN;
	int  rc = 0;

	if (!hidden) {
		w->n_open--;
		w->commits[c].flags |= WALK_WANTED;
		if (w->commits[c].time < w->oldest)
			w->oldest = w->commits[c].time;
		rc = push_u32(&w->out, &w->n_out, &w->cap_out, c, reterr);
	}
	for (uint32_t i = 0; !rc && i < w->commits[c].n_parents; i++) {
		uint32_t p = w->parents[w->commits[c].parents + i];

		if (hidden)
			rc = hide(w, p, reterr);
		if (!rc)
			rc = enqueue(w, p, reterr);
	}
	return rc;
}

int walk_run(struct walk *w, size_t max, bool *ret_more, struct err *reterr)
{
	int rc = 0, slop = WALK_SLOP;

	while (!rc && w->n_heap && w->n_out <= max) {
		bool may_matter = w->n_open || w->commits[w->heap[0]].time >= w->oldest; /* commits of one second have no order */

		if (!may_matter && !slop--)
			break;
		if (may_matter)
			slop = WALK_SLOP;
		rc = step(w, heap_pop(w), reterr);
	}
	*ret_more = w->n_out > max;
	return rc;
}

/* --- the public questions --- */
int git_log_range(struct git_repo *r, const char *old_id, const char *new_id, size_t max, struct arena *a,
                  struct git_commit **ret, size_t *ret_n, bool *ret_more, struct err *reterr)
{
	struct walk        w;
	struct git_commit *out = NULL;
	git_oid            from, to;
	size_t             n = 0;
	bool               zero = !strcmp(old_id, git_zero_id), more;
	int                rc;

	walk_init(&w, r);
	rc = git_oid_of(new_id, &to, reterr);
	if (!rc)
		rc = walk_want(&w, &to, reterr);
	if (!rc && zero)
		rc = walk_refs(&w, true, reterr);
	if (!rc && !zero && !(rc = git_oid_of(old_id, &from, reterr)))
		rc = walk_hide(&w, &from, reterr);
	/* Commits taken early may be hidden later: walk to the end, cut afterwards. */
	if (!rc)
		rc = walk_run(&w, SIZE_MAX - 1, &more, reterr);
	more = false;
	if (!rc && !(out = arena_array(a, (w.n_out < max ? w.n_out : max) + 1, sizeof *out)))
		rc = arena_check(a, "commits", reterr);
	for (size_t i = 0; !rc && i < w.n_out; i++) {
		char id[GIT_ID_SIZE];

		if (w.commits[w.out[i]].flags & WALK_HIDDEN)
			continue;
		if (n == max) {
			more = true;
			break;
		}
		git_oid_tostr(id, sizeof id, &w.commits[w.out[i]].id);
		rc = git_commit_read(r, id, a, &out[n++], reterr);
	}
	walk_fini(&w);
	if (rc)
		return rc;
	*ret = out;
	*ret_n = n;
	*ret_more = more;
	return 0;
}

int git_is_ancestor(struct git_repo *r, const char *ancestor, const char *commit, bool *ret, struct err *reterr)
{
	struct walk w;
	git_oid     old, from;
	bool        found = false;
	int         rc = git_oid_of(ancestor, &old, reterr);

	walk_init(&w, r);
	if (!rc)
		rc = git_oid_of(commit, &from, reterr);
	if (!rc)
		rc = walk_want(&w, &from, reterr);
	/* Newest first finds the usual answer (a few commits back) at once; "no" needs the whole history, whatever the clocks say. */
	while (!rc && !found && w.n_heap) {
		uint32_t c = heap_pop(&w);

		found = !memcmp(w.commits[c].id.id, old.id, GIT_OID_RAWSZ);
		if (!found)
			rc = step(&w, c, reterr);
	}
	walk_fini(&w);
	if (!rc)
		*ret = found;
	return rc;
}
