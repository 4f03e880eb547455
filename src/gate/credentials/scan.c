/* scan.c - which texts of a change are scanned, by how many threads, and what becomes a finding.
 *
 * Guarantees: the new blobs of the commits offered (or the files given), each once; the same findings in the same order
 * whatever the threads did; memory is bounded (a batch of ids per queue slot, one blob per thread, RESULTS_BYTES_MAX of
 * findings). The calling thread lists blobs and scans whatever the queue has no room for; helpers have their own git_repo. */
#include "gate/credentials/cred-internal.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"

#include <pthread.h>

enum {
	BATCH_BLOBS = 64,
	BATCH_BYTES = 1 << 20,
	QUEUE_BATCHES = 64,
	HELP_FROM_BYTES = 1 << 20, /* below this a second thread costs more than it saves */
	RESULTS_BYTES_MAX = 64 << 20,
	RESULTS_MAX = 20000,
};

struct item {
	struct git_new_blob blob; /* path is in the batch's arena */
	uint64_t            seq;
};
struct batch {
	struct arena arena;
	struct item  items[BATCH_BLOBS];
	size_t       n, bytes;
};
struct result {
	struct finding f; /* in the lane's arena */
	uint64_t       seq;
};
/* What one thread works with. */
struct lane {
	struct scan        *scan;
	struct cred_worker *worker;
	struct git_repo    *repo;
	struct arena        arena;
	VEC(struct result) results;
	uint64_t   blobs, bytes, skipped;
	struct err err;
	pthread_t  thread;
};
struct scan {
	struct cred     *c;
	struct bqueue   *queue;
	struct batch    *open;
	struct lane      lanes[16]; /* [0]: the calling thread */
	unsigned         n_lanes;
	bool             helped;
	uint64_t         seq, seen_bytes;
};

/* --- findings --- */
struct place {
	uint32_t line, col, end_line, end_col;
};

static struct place place_of(str text, size_t start, size_t end)
{
	struct place p = { .line = 1 };
	size_t       begin = 0;

	for (const char *nl; (nl = memchr(text.ptr + begin, '\n', start - begin)); begin = (size_t)(nl - text.ptr) + 1)
		p.line++;
	p.col = (uint32_t)(start - begin + 1);
	p.end_line = p.line;
	for (const char *nl; (nl = memchr(text.ptr + begin, '\n', end - begin)); begin = (size_t)(nl - text.ptr) + 1)
		p.end_line++;
	p.end_col = (uint32_t)(end - begin + 1);
	return p;
}

static int keep(struct lane *l, const struct finding *f, uint64_t seq, struct err *reterr)
{
	struct result r = { .f = *f, .seq = seq };

	if (l->results.n >= RESULTS_MAX)
		return 0; /* refused twenty thousand times over: nobody reads on */
	r.f.path = arena_str(&l->arena, f->path);
	r.f.commit = arena_str(&l->arena, f->commit);
	r.f.message = arena_str(&l->arena, f->message);
	r.f.fingerprint = arena_str(&l->arena, f->fingerprint);
	if (!VEC_PUSH(&l->results, r))
		return err_set(reterr, WEIR_ENOMEM, "no memory for findings");
	return arena_check(&l->arena, "findings", reterr);
}

static int keep_hit(struct lane *l, const struct cred_hit *h, str path, str commit, uint64_t seq, struct err *reterr)
{
	const struct cred_worker *w = l->worker;
	const struct cred_rule   *r = &l->scan->c->rules.rules.v[h->rule];
	CLEANUP_BUF struct buf    message = BUF_INIT(4096);
	str                       secret = str_n(w->text.ptr + h->start, h->end - h->start);
	struct place              p = place_of(w->text, h->start, h->end);
	char                      fingerprint[33];
	struct finding            f = { .check = STR("credentials"), .rule = str_z(r->id), .severity = r->severity, .path = path, .line = p.line,
		                            .col = p.col, .end_line = p.end_line, .end_col = p.end_col, .commit = commit };

	if (f.severity == SEVERITY_ERROR && (h->weak || (r->checksum != CHECKSUM_NONE && !cred_checksum_ok(r->checksum, secret)) || (r->mild_in_tests && cred_path_is_test(path))))
		f.severity = SEVERITY_WARNING;
	cred_fingerprint(l->scan->c->key, r->id, secret, fingerprint);
	buf_addf(&message, "%s ", r->title);
	cred_excerpt(secret, r->certain, &message);
	if (r->checksum != CHECKSUM_NONE)
		buf_addz(&message, cred_checksum_ok(r->checksum, secret) ? ", its checksum fits" : ", its checksum does not fit: cut or altered");
	f.message = buf_str(&message);
	f.advice = str_z(r->advice);
	f.fingerprint = str_z(fingerprint);
	return keep(l, &f, seq, reterr);
}

static int scan_text(struct lane *l, str path, str commit, str text, uint64_t seq, struct err *reterr)
{
	int rc = cred_worker_scan(l->worker, path, text, reterr);

	for (size_t i = 0; !rc && i < l->worker->hits.n; i++)
		rc = keep_hit(l, &l->worker->hits.v[i], path, commit, seq, reterr);
	l->blobs++;
	l->bytes += text.len;
	return rc;
}

static int too_large(struct lane *l, str path, str commit, size_t size, uint64_t seq, struct err *reterr)
{
	char           text[160];
	struct finding f = { .check = STR("credentials"), .rule = STR("credentials-not-scanned"), .severity = SEVERITY_NOTE, .path = path,
		                 .commit = commit, .advice = STR("keep large files out of git, or look at this one by hand") };

	snprintf(text, sizeof text, "%zu bytes are more than the %d that are scanned for credentials: not looked at", size, LIMIT_SCAN_BLOB_BYTES);
	f.message = str_z(text);
	l->skipped++;
	return keep(l, &f, seq, reterr);
}

static int scan_item(struct lane *l, const struct item *it, struct err *reterr)
{
	str   commit = str_z(it->blob.commit), text;
	void *hold;
	int   rc;

	if (it->blob.size > LIMIT_SCAN_BLOB_BYTES)
		return too_large(l, it->blob.path, commit, it->blob.size, it->seq, reterr);
	rc = git_blob_hold(l->repo, &it->blob, LIMIT_SCAN_BLOB_BYTES, &text, &hold, reterr);
	if (rc)
		return rc;
	rc = scan_text(l, it->blob.path, commit, text, it->seq, reterr);
	git_blob_release(hold);
	return rc;
}

/* --- batches and threads --- */
static void batch_free(struct batch *b)
{
	if (b)
		arena_fini(&b->arena);
	free(b);
}

static int batch_scan(struct lane *l, struct batch *b, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < b->n; i++)
		rc = scan_item(l, &b->items[i], reterr);
	batch_free(b);
	return rc;
}

static void *helper(void *arg)
{
	struct lane  *l = arg;
	struct batch *b;

	while ((b = bqueue_pop(l->scan->queue, -1))) {
		if (l->err.code)
			batch_free(b); /* the scan has failed: only empty the queue */
		else if (batch_scan(l, b, &l->err) && !l->err.code)
			l->err.code = WEIR_EINTERNAL;
	}
	return NULL;
}

static int lane_open(struct scan *s, struct git_repo *repo, struct err *reterr)
{
	struct lane *l = &s->lanes[s->n_lanes];
	int          rc;

	*l = (struct lane){ .scan = s, .repo = repo, .arena = ARENA_INIT(RESULTS_BYTES_MAX) };
	rc = cred_worker_get(s->c, &l->worker, reterr);
	if (!rc)
		s->n_lanes++;
	return rc;
}

/* Starts helpers once there is enough to do. Where none can be started the caller scans alone. */
static void get_help(struct scan *s)
{
	struct git_repo *main_repo = s->lanes[0].repo, *repo;

	s->helped = true;
	if (s->c->threads < 2 || bqueue_new(QUEUE_BATCHES, &s->queue, NULL))
		return;
	while (s->n_lanes < s->c->threads) {
		struct lane *l = &s->lanes[s->n_lanes];

		if (git_repo_dup(main_repo, &repo, NULL))
			return;
		if (lane_open(s, repo, NULL)) {
			git_repo_close(repo);
			return;
		}
		if (pthread_create(&l->thread, NULL, helper, l)) {
			cred_worker_put(s->c, l->worker);
			git_repo_close(repo);
			s->n_lanes--;
			return;
		}
	}
}

static int batch_done(struct scan *s, struct err *reterr)
{
	struct batch *b = TAKE_PTR(s->open);

	if (!b)
		return 0;
	if (!s->helped && s->seen_bytes >= HELP_FROM_BYTES)
		get_help(s);
	if (s->n_lanes > 1 && !bqueue_push(s->queue, b, NULL))
		return 0;
	return batch_scan(&s->lanes[0], b, reterr);
}

static int on_blob(void *ctx, const struct git_new_blob *blob, struct err *reterr)
{
	struct scan *s = ctx;
	struct item *it;

	if (!s->open) {
		s->open = calloc(1, sizeof *s->open);
		if (!s->open)
			return err_set(reterr, WEIR_ENOMEM, "no memory for blobs to scan");
		arena_init(&s->open->arena, BATCH_BLOBS * (LIMIT_PATH_BYTES + 64) + (64 << 10));
	}
	it = &s->open->items[s->open->n++];
	it->blob = *blob;
	it->blob.path = arena_str(&s->open->arena, blob->path);
	it->seq = s->seq++;
	s->open->bytes += blob->size;
	s->seen_bytes += blob->size;
	if (arena_check(&s->open->arena, "paths", reterr))
		return -WEIR_ENOMEM;
	return s->open->n == BATCH_BLOBS || s->open->bytes >= BATCH_BYTES ? batch_done(s, reterr) : 0;
}

static int result_order(const void *pa, const void *pb)
{
	const struct result *a = pa, *b = pb;
	int                  c = (a->seq > b->seq) - (a->seq < b->seq);

	if (!c)
		c = (a->f.line > b->f.line) - (a->f.line < b->f.line);
	return c ? c : (a->f.col > b->f.col) - (a->f.col < b->f.col);
}

/* Hands the results on, oldest commit first: the same secret in the same file once, where it came first. */
static int deliver(struct result *all, size_t n, const struct finding_sink *sink, struct err *reterr)
{
	CLEANUP_BUF struct buf key = BUF_INIT(64 << 10);
	struct map             seen = MAP_INIT;
	int                    rc = 0;

	if (n)
		qsort(all, n, sizeof *all, result_order);
	for (size_t i = 0; !rc && i < n; i++) {
		buf_clear(&key);
		buf_addf(&key, "%.*s %.*s %.*s", STR_ARG(all[i].f.rule), STR_ARG(all[i].f.fingerprint), STR_ARG(all[i].f.path));
		if (map_has(&seen, buf_str(&key)))
			continue;
		if (!map_put(&seen, buf_str(&key), all, NULL))
			rc = err_set(reterr, WEIR_ENOMEM, "no memory for findings");
		if (!rc)
			rc = sink->add(sink->ctx, &all[i].f, reterr);
	}
	map_fini(&seen);
	return rc;
}

static int merge(struct scan *s, const struct finding_sink *sink, struct err *reterr)
{
	VEC(struct result) all = VEC_INIT;
	int                rc = 0;

	for (unsigned i = 0; !rc && i < s->n_lanes; i++)
		for (size_t k = 0; !rc && k < s->lanes[i].results.n; k++)
			if (!VEC_PUSH(&all, s->lanes[i].results.v[k]))
				rc = err_set(reterr, WEIR_ENOMEM, "no memory for findings");
	if (!rc)
		rc = deliver(all.v, all.n, sink, reterr);
	VEC_FINI(&all);
	return rc;
}

/* Ends the helpers; their first error counts when the caller has none. */
static int join(struct scan *s, int rc, struct err *reterr)
{
	if (s->queue)
		bqueue_close(s->queue);
	for (struct batch *b; !rc && s->queue && (b = bqueue_pop(s->queue, 0));)
		rc = batch_scan(&s->lanes[0], b, reterr);
	for (unsigned i = 1; i < s->n_lanes; i++) {
		pthread_join(s->lanes[i].thread, NULL);
		if (!rc && s->lanes[i].err.code)
			rc = err_set(reterr, s->lanes[i].err.code, "%s", s->lanes[i].err.msg);
	}
	return rc;
}

/* What was found before an error is handed on, too: a known leak is a reason to refuse, whatever else could not be looked at. */
static int finish(struct scan *s, int rc, const struct finding_sink *sink, struct err *reterr)
{
	int merged;

	if (rc && s->open && batch_scan(&s->lanes[0], TAKE_PTR(s->open), NULL))
		(void)0; /* the first error is the one that counts */
	rc = join(s, rc, reterr);
	merged = merge(s, sink, rc ? NULL : reterr);
	return rc ? rc : merged;
}

static void scan_fini(struct scan *s)
{
	for (unsigned i = 0; i < s->n_lanes; i++) {
		cred_worker_put(s->c, s->lanes[i].worker);
		if (i)
			git_repo_close(s->lanes[i].repo);
		VEC_FINI(&s->lanes[i].results);
		arena_fini(&s->lanes[i].arena);
	}
	batch_free(s->open);
	bqueue_free(s->queue);
}

static int scan_files(struct scan *s, const struct change *c, struct err *reterr)
{
	struct lane *l = &s->lanes[0];
	int          rc = 0;

	for (size_t i = 0; !rc && i < c->n_files; i++, s->seq++) {
		const struct change_file *f = &c->files[i];

		rc = f->content.len > LIMIT_SCAN_BLOB_BYTES ? too_large(l, f->path, STR_NULL, f->content.len, s->seq, reterr)
		                                            : scan_text(l, f->path, STR_NULL, f->content, s->seq, reterr);
	}
	return rc;
}

int cred_check(void *ctx, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct scan s = { .c = ctx };
	int         rc = lane_open(&s, c->repo, reterr);

	if (!rc)
		rc = c->files ? scan_files(&s, c, reterr) : git_new_blobs(c->repo, c->old_id, c->new_id, on_blob, &s, reterr);
	if (!rc)
		rc = batch_done(&s, reterr);
	rc = finish(&s, rc, sink, reterr);
	scan_fini(&s);
	return rc;
}

int cred_history(struct cred *c, struct git_repo *repo, const struct finding_sink *sink, uint64_t *ret_blobs, uint64_t *ret_bytes,
                 uint64_t *ret_skipped, struct err *reterr)
{
	struct scan s = { .c = c };
	int         rc = lane_open(&s, repo, reterr);

	if (!rc)
		rc = git_all_blobs(repo, on_blob, &s, reterr);
	if (!rc)
		rc = batch_done(&s, reterr);
	rc = finish(&s, rc, sink, reterr);
	for (unsigned i = 0; !rc && i < s.n_lanes; i++) {
		*ret_blobs += s.lanes[i].blobs;
		*ret_bytes += s.lanes[i].bytes;
		*ret_skipped += s.lanes[i].skipped;
	}
	scan_fini(&s);
	return rc;
}

int cred_scan_text(struct cred *c, str path, str commit, str text, const struct finding_sink *sink, struct err *reterr)
{
	struct scan s = { .c = c };
	int         rc = lane_open(&s, NULL, reterr);

	if (!rc)
		rc = text.len > LIMIT_SCAN_BLOB_BYTES ? too_large(&s.lanes[0], path, commit, text.len, 0, reterr)
		                                      : scan_text(&s.lanes[0], path, commit, text, 0, reterr);
	if (!rc)
		rc = merge(&s, sink, reterr);
	scan_fini(&s);
	return rc;
}
