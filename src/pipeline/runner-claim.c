/* runner-claim.c - a slot's thread: it takes a place, claims a job, works on it, and begins again.
 *
 * The claim's id is written down before the first call with it, so that a runner killed between the server's answer and the first file asks again and gets
 * the same job. */
#include "base/base.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "doc/doc.h"
#include "pipeline/runner-internal.h"

#include <unistd.h>

enum { CLAIM_WAIT_MS = 5000 };

/* --- places --- */

/* Waits for a free place; false when the runner stops. */
static bool place_take(struct runner *r)
{
	pthread_mutex_lock(&r->lock);
	while (!r->stop && r->n_busy >= r->n_places)
		pthread_cond_wait(&r->place_free, &r->lock);
	bool got = !r->stop;

	r->n_busy += got;
	pthread_mutex_unlock(&r->lock);
	return got;
}

/* A place more or less is taken; more than there are for a while, when a job's wait is over or jobs of an earlier runner are taken up. */
void runner_place_move(struct runner *r, int by)
{
	pthread_mutex_lock(&r->lock);
	r->n_busy = (unsigned)((int)r->n_busy + by);
	pthread_cond_broadcast(&r->place_free);
	pthread_mutex_unlock(&r->lock);
}

/* --- claiming --- */

static int claim_id(struct slot *s, bool renew, char out[64], struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(63);
	char                   path[1100];
	int                    r = 0;

	snprintf(path, sizeof(path), "%s/claim-%u", s->r->dir, s->index);
	if (!renew && fs_exists(path) && !fs_read(path, &b, NULL) && b.len >= 16) {
		snprintf(out, 64, "%s", buf_z(&b));
		return 0;
	}
	random_text(out, 32);
	r = fs_write_atomic(path, str_z(out), 0600, reterr);
	return r;
}

static void claim_body(const struct slot *s, const char *claim, struct buf *out)
{
	str       rest = str_z(s->r->labels), one;
	struct jw w;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kstrz(&w, "runner", s->r->name);
	jw_key(&w, "labels");
	jw_arr(&w);
	while (rest.len) {
		str_cut(rest, ',', &one, &rest);
		if (str_trim(one).len)
			jw_str(&w, str_trim(one));
	}
	jw_end(&w);
	jw_kint(&w, "wait_ms", CLAIM_WAIT_MS);
	jw_kstrz(&w, "claim", claim);
	jw_end(&w);
}

static int new_job(struct slot *s, const struct buf *spec, struct err *reterr)
{
	struct arena     a = ARENA_INIT(64 << 20);
	struct doc_node *n = NULL;
	char             dir[1300];
	int              r = doc_parse_json(&a, "job spec", buf_str(spec), &n, reterr);
	str              id = doc_get_str(n, "job"), lease = doc_get_str(n, "lease");

	for (size_t i = 0; !r && i < id.len; i++)
		if (!strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_", id.ptr[i]))
			r = err_set(reterr, WEIR_EINVAL, "job spec: the job's id cannot be a folder's name");
	if (!r && (!id.len || id.len > LIMIT_NAME_BYTES))
		r = err_set(reterr, WEIR_EINVAL, "job spec: without a usable job id");
	if (!r) {
		snprintf(dir, sizeof(dir), "%s/jobs/%.*s-%lld", s->r->dir, STR_ARG(id), (long long)doc_get_int(n, "attempt", 1));
		r = runner_job_open(s, dir, buf_str(spec), reterr);
		if (r)
			runner_job_give_back(s, id, lease, reterr->msg);
		if (r && fs_remove_tree(dir, NULL))
			log_error("runner", "%s cannot be removed", dir);
	}
	arena_fini(&a);
	return r;
}

/* One call. *ret_got: a job is open in s->job. */
static int claim(struct slot *s, bool *ret_got, struct err *reterr)
{
	CLEANUP_BUF struct buf body = BUF_INIT(4096), out = BUF_INIT(LIMIT_DOC_BYTES);
	struct http_call       call = HTTP_CALL_INIT;
	char                   id[64];
	int                    r = claim_id(s, false, id, reterr);

	*ret_got = false;
	if (r)
		return r;
	claim_body(s, id, &body);
	call.method = "POST";
	call.path = "/api/v1/runner/claim";
	call.body = buf_str(&body);
	call.out = &out;
	call.timeout_ms = CLAIM_WAIT_MS + 10000;
	r = http_call_ok(s->client, &call, reterr);
	if (r || call.status != 200)
		return r;
	r = new_job(s, &out, reterr);
	*ret_got = !r;
	if (!r)
		r = claim_id(s, true, id, reterr); /* the job is in its folder: the next claim is another one */
	else if (claim_id(s, true, id, NULL))
		log_error("runner", "%s cannot be written", s->r->dir);
	return r;
}

/* A job of an earlier runner, for this slot; an unreadable one is dropped, its lease runs out. */
static bool take_found(struct slot *s)
{
	struct runner *r = s->r;
	char          *dir = NULL;
	struct err     e;

	pthread_mutex_lock(&r->lock);
	if (r->found.n)
		dir = r->found.v[--r->found.n];
	pthread_mutex_unlock(&r->lock);
	if (!dir)
		return false;
	if (runner_job_open(s, dir, STR_NULL, &e)) {
		log_error("runner", "the job in %s cannot be taken up: %s", dir, e.msg);
		if (fs_remove_tree(dir, &e))
			log_error("runner", "%s", e.msg);
	} else {
		log_info("runner", "job %s: taken up again", job_id(s->job));
	}
	free(dir);
	return s->job != NULL;
}

/* One claim and what comes of it. A slot whose claim fails keeps its place while it waits: the other slots would only find the same server away. */
static void claim_and_work(struct slot *s, int64_t *backoff)
{
	struct err e = { 0 };
	bool       got = false;
	int        rc = claim(s, &got, &e);

	if (rc) {
		runner_server_away(s->r, "claim", &e);
		runner_back_off(s->r, backoff);
		return;
	}
	runner_server_answers(s->r);
	*backoff = 0;
	if (got)
		runner_job_work(s, true);
}

void *runner_slot_main(void *arg)
{
	struct slot *s = arg;
	int64_t      backoff = 0;

	while (!runner_stopping(s->r)) {
		if (take_found(s)) {
			runner_place_move(s->r, 1);
			runner_job_work(s, false);
		} else if (place_take(s->r)) {
			claim_and_work(s, &backoff);
		} else {
			break;
		}
		runner_place_move(s->r, -1);
	}
	return NULL;
}
