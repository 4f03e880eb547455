/* runner.c - slots, claims, and the jobs of an earlier runner (see runner.h).
 *
 * A slot has a thread, which claims and delivers; while it has a job, one more that runs the job's steps. There are more slots than places: a slot needs
 * a place to claim, and a job whose step only waits for its release gives its place away meanwhile, so that a long bake keeps nobody from working. The claim's id is written down
 * before the first call with it, so that a runner killed between the server's answer and the first file asks again and gets the same job. */
#include "base/base.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vec.h"
#include "confine/confine.h"
#include "doc/doc.h"
#include "pipeline/deliver.h"
#include "pipeline/guard.h"
#include "pipeline/runner.h"
#include "pipeline/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <unistd.h>

enum { CLAIM_WAIT_MS = 5000, BACKOFF_MIN_MS = 1000, BACKOFF_MAX_MS = 30000, SETTLE_MS = 25, IDLE_MS = 500, SLOTS_MAX = 60, WAITING_MAX = 30 };

struct slot {
	struct runner      *r;
	unsigned            index;
	pthread_t           thread;
	bool                started;
	struct http_client *client;
	pthread_mutex_t     lock;
	pthread_cond_t      cond;
	uint64_t            changes;
	/* the job at work */
	struct job         *job;
	pthread_t           job_thread;
	bool                job_done; /* under lock */
	int                 job_rc;
	struct err          job_err;
};
struct runner {
	char     dir[1024], exe[1024], name[128], labels[256];
	char    *url, *token;
	unsigned n_places, n_slots; /* jobs that may work at once; slots: those and WAITING_MAX that wait */
	unsigned n_busy;            /* places taken, under lock */
	pthread_cond_t place_free;
	uint64_t memory, pids;
	int      fd_lock;
	struct guard_starter *starter;
	struct slot *slots;
	pthread_mutex_t lock;
	bool     stop;
	VEC(char *) found; /* folders of jobs of an earlier runner, not yet taken up */
};

static bool stopping(struct runner *r)
{
	bool s;

	pthread_mutex_lock(&r->lock);
	s = r->stop;
	pthread_mutex_unlock(&r->lock);
	return s;
}

static void slot_changed(void *ctx)
{
	struct slot *s = ctx;

	pthread_mutex_lock(&s->lock);
	s->changes++;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

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
static void place_move(struct runner *r, int by)
{
	pthread_mutex_lock(&r->lock);
	r->n_busy = (unsigned)((int)r->n_busy + by);
	pthread_cond_broadcast(&r->place_free);
	pthread_mutex_unlock(&r->lock);
}

static void slot_waiting(void *ctx, bool begins) { place_move(((struct slot *)ctx)->r, begins ? -1 : 1); }

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

/* --- a job at work --- */

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

/* Tells the server that this job cannot be done here; for jobs without a struct. */
static void give_back(struct slot *s, str job, str lease, const char *cause)
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
	uint64_t seen;

	if (rc == -WEIR_EGONE) {
		log_warn("runner", "job %s: %s; its processes are killed", job_id(s->job), e->msg);
		return rc;
	}
	if (rc != -WEIR_EAUTH && !err_retryable(rc)) {
		log_error("runner", "job %s: %s", job_id(s->job), e->msg);
		give_back(s, str_z(job_id(s->job)), str_z(job_lease(s->job)), e->msg);
		return rc;
	}
	if (*backoff == 0)
		log_warn("runner", "job %s: %s; its steps go on, what they say is sent later", job_id(s->job), e->msg);
	*backoff = *backoff ? (*backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : *backoff * 2) : BACKOFF_MIN_MS;
	for (int64_t waited = 0; waited < *backoff && !stopping(s->r); waited += 100) {
		(void)job_ended(s, &seen);
		clock_sleep_ms(100);
	}
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

		if (stopping(s->r))
			return -WEIR_ECANCELED;
		if (done && s->job_rc) {
			log_error("runner", "job %s: %s", job_id(s->job), s->job_err.msg);
			give_back(s, str_z(job_id(s->job)), str_z(job_lease(s->job)), s->job_err.msg);
			return s->job_rc;
		}
		rc = deliver_turn(d, &e);
		if (rc) {
			rc = on_error(s, rc, &e, &backoff);
			if (rc)
				return rc;
			continue;
		}
		if (backoff)
			log_info("runner", "job %s: the server is back", job_id(s->job));
		backoff = 0;
		if (!d->finished && !done) {
			slot_wait(s, seen, IDLE_MS);
			if (!job_ended(s, &seen))
				clock_sleep_ms(SETTLE_MS); /* a busy log goes out in pieces, not line by line */
		}
	}
	return 0;
}

static void work(struct slot *s, bool fresh)
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
		give_back(s, str_z(job_id(s->job)), str_z(job_lease(s->job)), e.msg);
	} else {
		rc = deliver_all(s, &d);
		if (rc == -WEIR_ECANCELED)
			job_detach(s->job);
		else if (rc)
			job_kill(s->job);
		pthread_join(s->job_thread, NULL);
	}
	deliver_fini(&d);
	if (rc != -WEIR_ECANCELED && job_remove(s->job, &e))
		log_error("runner", "%s", e.msg);
	s->job = job_close(s->job);
}

static int open_job(struct slot *s, const char *dir, str spec, struct err *reterr)
{
	char              etc[1100];
	struct job_config cfg = { .dir = dir, .exe = s->r->exe, .etc = etc, .starter = s->r->starter, .slot = s->index, .memory_bytes_max = s->r->memory, .pids_max = s->r->pids,
		                      .waiting = slot_waiting, .changed = slot_changed, .changed_ctx = s };

	snprintf(etc, sizeof(etc), "%s/etc", s->r->dir);
	return job_open(&cfg, spec, &s->job, reterr);
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
		r = open_job(s, dir, buf_str(spec), reterr);
		if (r)
			give_back(s, id, lease, reterr->msg);
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
	if (open_job(s, dir, STR_NULL, &e)) {
		log_error("runner", "the job in %s cannot be taken up: %s", dir, e.msg);
		if (fs_remove_tree(dir, &e))
			log_error("runner", "%s", e.msg);
	} else {
		log_info("runner", "job %s: taken up again", job_id(s->job));
	}
	free(dir);
	return s->job != NULL;
}

static void *slot_main(void *arg)
{
	struct slot *s = arg;
	int64_t      backoff = 0;

	while (!stopping(s->r)) {
		struct err e = { 0 };
		bool       got = false, found = take_found(s);
		int        rc = 0;

		if (found)
			place_move(s->r, 1);
		else if (!place_take(s->r))
			break;
		else
			rc = claim(s, &got, &e);
		if (found || got)
			work(s, got);
		place_move(s->r, -1);
		if (!rc) {
			backoff = 0;
			continue;
		}
		if (!backoff)
			log_warn("runner", "claim: %s; trying again", e.msg);
		backoff = backoff ? (backoff * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff * 2) : BACKOFF_MIN_MS;
		for (int64_t waited = 0; waited < backoff && !stopping(s->r); waited += 100)
			clock_sleep_ms(100);
	}
	return NULL;
}

/* --- start and stop --- */

/* A claim that brought this job was answered: asking with it again would bring the job a second time. */
static void forget_claim(struct runner *r, const char *spec_path)
{
	struct arena           a = ARENA_INIT(64 << 20);
	CLEANUP_BUF struct buf spec = BUF_INIT(LIMIT_DOC_BYTES);
	struct doc_node       *n = NULL;
	char                   path[1100];

	if (fs_read(spec_path, &spec, NULL) || doc_parse_json(&a, spec_path, buf_str(&spec), &n, NULL))
		n = NULL;
	for (unsigned i = 0; n && i < SLOTS_MAX; i++) {
		CLEANUP_BUF struct buf b = BUF_INIT(63);

		snprintf(path, sizeof(path), "%s/claim-%u", r->dir, i);
		if (fs_exists(path) && !fs_read(path, &b, NULL) && str_eq(buf_str(&b), doc_get_str(n, "lease")))
			(void)unlink(path);
	}
	arena_fini(&a);
}

static int find_jobs(struct runner *r, struct err *reterr)
{
	char           path[1300];
	DIR           *d;
	struct dirent *e;
	int            rc = 0;

	snprintf(path, sizeof(path), "%s/jobs", r->dir);
	rc = fs_mkdirs(path, 0700, reterr);
	if (rc)
		return rc;
	fs_spread(path);
	d = opendir(path);
	if (!d)
		return err_errno(reterr, errno, "cannot read %s", path);
	while (!rc && (e = readdir(d))) {
		char *dir;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/jobs/%.250s/spec.json", r->dir, e->d_name);
		bool whole = fs_exists(path);

		if (whole)
			forget_claim(r, path);
		*strrchr(path, '/') = 0;
		if (!whole) { /* killed before the first file */
			rc = fs_remove_tree(path, reterr);
			continue;
		}
		dir = str_dup(str_z(path));
		if (!dir || !VEC_PUSH(&r->found, dir)) {
			free(dir);
			rc = err_set(reterr, WEIR_ENOMEM, "out of memory");
		}
	}
	closedir(d);
	snprintf(path, sizeof(path), "%s/etc", r->dir);
	if (!rc && !r->found.n) /* else running steps may have a copy in use */
		rc = fs_remove_tree(path, reterr);
	return rc;
}

static int take_lock(struct runner *r, struct err *reterr)
{
	char path[1100];
	int  rc = fs_mkdirs(r->dir, 0700, reterr);

	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/lock", r->dir);
	r->fd_lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (r->fd_lock < 0)
		return err_errno(reterr, errno, "cannot open %s", path);
	return flock(r->fd_lock, LOCK_EX | LOCK_NB) ? err_set(reterr, WEIR_EBUSY, "another runner works in %s", r->dir) : 0;
}

static int configure(struct runner *r, const struct runner_config *c, struct err *reterr)
{
	char     data[PATH_MAX];

	r->n_places = c->slots < 1 ? 1 : c->slots > SLOTS_MAX ? SLOTS_MAX : c->slots;
	r->n_slots = r->n_places + WAITING_MAX > SLOTS_MAX ? SLOTS_MAX : r->n_places + WAITING_MAX;
	r->memory = c->memory_bytes_max ? c->memory_bytes_max : confine_default_memory(r->n_places);
	r->pids = c->pids_max ? c->pids_max : SANDBOX_DEFAULT_PIDS;
	r->url = str_dup(str_z(c->server_url));
	r->token = str_dup(str_z(c->token));
	snprintf(r->labels, sizeof(r->labels), "%s",
	         c->labels ? c->labels : "debian,linux,self-hosted,ubuntu-20.04,ubuntu-22.04,ubuntu-24.04,ubuntu-latest,weir,x64");
	if (c->name)
		snprintf(r->name, sizeof(r->name), "%s", c->name);
	else if (gethostname(r->name, sizeof(r->name) - 1))
		snprintf(r->name, sizeof(r->name), "runner");
	if (fs_mkdirs(c->data, 0700, reterr))
		return -WEIR_EIO;
	if (!realpath(c->data, data))
		return err_errno(reterr, errno, "%s", c->data);
	if (snprintf(r->dir, sizeof(r->dir), "%.900s/runner", data) > 900)
		return err_set(reterr, WEIR_ELIMIT, "%s: the path is too long", data);
	snprintf(r->exe, sizeof(r->exe), "%s", c->exe ? c->exe : "");
	return c->exe ? 0 : fs_self_exe(r->exe, sizeof(r->exe), reterr);
}

static int start_slot(struct runner *r, unsigned i, struct err *reterr)
{
	struct slot       *s = &r->slots[i];
	pthread_condattr_t attr;
	int                rc;

	s->r = r;
	s->index = i;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->cond, &attr);
	pthread_condattr_destroy(&attr);
	rc = http_client_new(r->url, r->token, &s->client, reterr);
	if (!rc && pthread_create(&s->thread, NULL, slot_main, s))
		rc = err_set(reterr, WEIR_ENOMEM, "cannot start a thread");
	s->started = !rc;
	return rc;
}

int runner_start(const struct runner_config *cfg, struct runner **ret, struct err *reterr)
{
	struct runner *r = calloc(1, sizeof(*r));
	int            rc;

	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	r->fd_lock = -1;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->place_free, NULL);
	/* the starter is forked off before the lock, which it must not hold, and before any thread */
	rc = guard_starter_new(&r->starter, reterr);
	if (!rc)
		rc = configure(r, cfg, reterr);
	if (!rc)
		rc = take_lock(r, reterr);
	if (!rc)
		rc = sandbox_probe(reterr);
	if (!rc)
		rc = find_jobs(r, reterr);
	r->slots = calloc(SLOTS_MAX, sizeof(*r->slots));
	for (unsigned i = 0; !rc && i < r->n_slots; i++)
		rc = start_slot(r, i, reterr);
	if (rc) {
		runner_stop(r);
		return rc;
	}
	*ret = r;
	return 0;
}

struct runner *runner_stop(struct runner *r)
{
	if (!r)
		return NULL;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->place_free);
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; r->slots && i < r->n_slots; i++) {
		struct slot *s = &r->slots[i];

		if (!s->r)
			continue;
		if (s->started) {
			slot_changed(s);
			pthread_join(s->thread, NULL);
		}
		http_client_free(s->client);
		pthread_cond_destroy(&s->cond);
		pthread_mutex_destroy(&s->lock);
	}
	for (size_t i = 0; i < r->found.n; i++)
		free(r->found.v[i]);
	VEC_FINI(&r->found);
	free(r->slots);
	free(r->url);
	if (r->token)
		explicit_bzero(r->token, strlen(r->token));
	free(r->token);
	base_cleanup_fd(&r->fd_lock);
	guard_starter_free(r->starter);
	pthread_cond_destroy(&r->place_free);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}
