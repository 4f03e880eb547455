/* runner-job.c - a job at work in its slot: a thread runs its steps, the slot's thread delivers what they say (deliver.h), through any time in which the
 * server is away. */
#include "base/base.h"
#include "base/limits.h"
#include "base/log.h"
#include "doc/doc.h"
#include "pipeline/deliver.h"
#include "pipeline/runner-internal.h"

enum { SETTLE_MS = 25, IDLE_MS = 500 };

/* Waits for a change after `seen`, or ms. */
static void slot_wait(struct slot *s, uint64_t seen, int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&s->lock);
	while (s->changes == seen)
		if (pthread_cond_timedwait(&s->cond, &s->lock, &t))
			break;
	pthread_mutex_unlock(&s->lock);
}

static void slot_waiting(void *ctx, bool begins) { runner_place_move(((struct slot *)ctx)->r, begins ? -1 : 1); }

static void *job_main(void *arg)
{
	struct slot *s = arg;
	int          rc = job_run(s->job, &s->job_err);

	pthread_mutex_lock(&s->lock);
	s->job_rc = rc;
	s->job_done = true;
	s->changes++;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static bool job_ended(struct slot *s, uint64_t *ret_seen)
{
	bool d;

	pthread_mutex_lock(&s->lock);
	d = s->job_done;
	*ret_seen = s->changes;
	pthread_mutex_unlock(&s->lock);
	return d;
}

void runner_job_give_back(struct slot *s, str job, str lease, const char *cause)
{
	CLEANUP_BUF struct buf body = BUF_INIT(8192);
	struct http_call       call = HTTP_CALL_INIT;
	char                   path[300];
	struct jw              w;
	struct err             e;

	snprintf(path, sizeof(path), "/api/v1/runner/jobs/%.*s/finish", STR_ARG(str_sub(job, 0, 64)));
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstr(&w, "lease", lease);
	jw_kstrz(&w, "result", "failure");
	jw_kbool(&w, "retry", true);
	jw_kstrz(&w, "cause", cause);
	jw_end(&w);
	call.method = "POST";
	call.path = path;
	call.body = buf_str(&body);
	if (http_call_ok(s->client, &call, &e))
		log_warn("runner", "job %.*s: cannot be given back, its lease will run out: %s", STR_ARG(job), e.msg);
}

/* 0: go on; otherwise the job is over for us. */
static int on_error(struct slot *s, int rc, const struct err *e, int64_t *backoff)
{
	if (rc == -WEIR_EGONE) {
		log_warn("runner", "job %s: %s; its processes are killed", job_id(s->job), e->msg);
		return rc;
	}
	if (rc != -WEIR_EAUTH && !err_retryable(rc)) {
		log_error("runner", "job %s: %s", job_id(s->job), e->msg);
		runner_job_give_back(s, str_z(job_id(s->job)), str_z(job_lease(s->job)), e->msg);
		return rc;
	}
	if (e->code == WEIR_EUNAVAIL)
		runner_server_away(s->r, "sending what a step says", e);
	else if (*backoff == 0)
		log_warn("runner", "job %s: %s; its steps go on, what they say is sent later", job_id(s->job), e->msg);
	runner_back_off(s->r, backoff);
	return 0;
}

/* Delivers until the server knows the end (0), the job is lost (-WEIR_EGONE and others), or the runner stops (-WEIR_ECANCELED). */
static int deliver_all(struct slot *s, struct deliver *d)
{
	int64_t backoff = 0;

	while (!d->finished) {
		struct err e = { 0 };
		uint64_t   seen;
		bool       done = job_ended(s, &seen);
		int        rc;

		if (runner_stopping(s->r))
			return -WEIR_ECANCELED;
		if (done && s->job_rc) {
			log_error("runner", "job %s: %s", job_id(s->job), s->job_err.msg);
			runner_job_give_back(s, str_z(job_id(s->job)), str_z(job_lease(s->job)), s->job_err.msg);
			return s->job_rc;
		}
		rc = deliver_turn(d, &e);
		if (rc) {
			rc = on_error(s, rc, &e, &backoff);
			if (rc)
				return rc;
			continue;
		}
		runner_server_answers(s->r);
		backoff = 0;
		if (!d->finished && !done) {
			slot_wait(s, seen, IDLE_MS);
			if (!job_ended(s, &seen))
				clock_sleep_ms(SETTLE_MS); /* a busy log goes out in pieces, not line by line */
		}
	}
	return 0;
}

void runner_job_work(struct slot *s, bool fresh)
{
	struct deliver d;
	struct err     e = { 0 };
	int            rc = deliver_init(&d, s->client, s->job, fresh, &e);

	s->job_done = false;
	s->job_rc = 0;
	if (!rc && pthread_create(&s->job_thread, NULL, job_main, s))
		rc = err_set(&e, WEIR_ENOMEM, "cannot start a thread for a job");
	if (rc) {
		log_error("runner", "job %s: %s", job_id(s->job), e.msg);
		runner_job_give_back(s, str_z(job_id(s->job)), str_z(job_lease(s->job)), e.msg);
	} else {
		rc = deliver_all(s, &d);
		if (rc == -WEIR_ECANCELED)
			job_detach(s->job);
		else if (rc)
			job_kill(s->job);
		pthread_join(s->job_thread, NULL);
	}
	deliver_fini(&d);
	runner_place_move(s->r, -1); /* the next job need not wait for the disk */
	if (rc != -WEIR_ECANCELED && job_remove(s->job, &e))
		log_error("runner", "%s", e.msg);
	runner_place_move(s->r, 1);
	s->job = job_close(s->job);
}

int runner_job_open(struct slot *s, const char *dir, str spec, struct err *reterr)
{
	char              etc[1100];
	struct job_config cfg = { .dir = dir, .exe = s->r->exe, .etc = etc, .starter = s->r->starter, .slot = s->index, .memory_bytes_max = s->r->memory, .pids_max = s->r->pids,
		                      .waiting = slot_waiting, .changed = runner_slot_changed, .changed_ctx = s };

	snprintf(etc, sizeof(etc), "%s/etc", s->r->dir);
	return job_open(&cfg, spec, &s->job, reterr);
}
