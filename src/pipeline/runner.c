/* runner.c - the runner's start and stop, the jobs of an earlier runner, and what its slots share (see runner.h).
 *
 * A slot has a thread, which claims and delivers (runner-claim.c); while it has a job, one more that runs the job's steps (runner-job.c). There are more
 * slots than places: a slot needs a place to claim, and a job whose step only waits for its release gives its place away meanwhile, so that a long bake
 * keeps nobody from working. */
#include "base/base.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/vec.h"
#include "confine/confine.h"
#include "doc/doc.h"
#include "pipeline/guard.h"
#include "pipeline/runner-internal.h"
#include "pipeline/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

bool runner_stopping(struct runner *r)
{
	bool s;

	pthread_mutex_lock(&r->lock);
	s = r->stop;
	pthread_mutex_unlock(&r->lock);
	return s;
}

void runner_slot_changed(void *ctx)
{
	struct slot *s = ctx;

	pthread_mutex_lock(&s->lock);
	s->changes++;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
}

/* --- the server is away --- */

void runner_server_away(struct runner *r, const char *what, const struct err *e)
{
	bool first;

	pthread_mutex_lock(&r->lock);
	first = !r->away;
	r->away = true;
	pthread_mutex_unlock(&r->lock);
	if (first)
		log_warn("runner", "%s: %s; running steps go on, what they say is sent later; trying again", what, e->msg);
}

void runner_server_answers(struct runner *r)
{
	bool back;

	pthread_mutex_lock(&r->lock);
	back = r->away;
	r->away = false;
	pthread_mutex_unlock(&r->lock);
	if (back)
		log_info("runner", "the server is back");
}

static bool is_away(struct runner *r)
{
	bool a;

	pthread_mutex_lock(&r->lock);
	a = r->away;
	pthread_mutex_unlock(&r->lock);
	return a;
}

/* A part of ms, from a half to the whole. */
static int64_t jitter(int64_t ms)
{
	uint32_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		return ms;
	return ms / 2 + (int64_t)(n % (uint32_t)(ms / 2 + 1));
}

void runner_back_off(struct runner *r, int64_t *backoff_ms)
{
	bool    was_away = is_away(r);
	int64_t wait;

	*backoff_ms = *backoff_ms == 0 ? BACKOFF_MIN_MS : *backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : *backoff_ms * 2;
	wait = jitter(*backoff_ms);
	for (int64_t waited = 0; waited < wait && !runner_stopping(r) && is_away(r) == was_away; waited += 50)
		clock_sleep_ms(50);
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
	confine_cgroup_sweep((time_t)(clock_wall_now() / USEC_PER_SEC) - SWEEP_AFTER_S);
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
	if (!rc && pthread_create(&s->thread, NULL, runner_slot_main, s))
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
			runner_slot_changed(s);
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
