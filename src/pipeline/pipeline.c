/* pipeline.c - the room's life: opening, the scheduler's thread, closing.
 *
 * One thread wakes each second for what the clock brings (scheduler-turn.c); everything else happens in the transactions of those who
 * bring news. Waiting claims are woken by the database's notice "pl_jobs". */
#include "base/base.h"

#include "base/fs.h"
#include "base/log.h"
#include "db/jobq.h"
#include "pipeline/run-internal.h"

static void on_jobs(void *ctx)
{
	struct pipeline *p = ctx;

	pthread_mutex_lock(&p->lock);
	p->jobs_seq++;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static void init_locks(struct pipeline *p)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < LOG_LOCKS; i++)
		pthread_mutex_init(&p->log_locks[i], NULL);
}

static int open_parts(struct pipeline *p, struct err *reterr)
{
	int rc = db_migrate(p->cfg.db, "jobq", jobq_migrations, jobq_n_migrations, reterr);

	if (rc == 0)
		rc = db_migrate(p->cfg.db, "pipeline", pipeline_migrations, pipeline_n_migrations, reterr);
	if (rc == 0)
		rc = fs_join(p->logs, sizeof(p->logs), reterr, p->cfg.data, "logs/runs");
	if (rc == 0)
		rc = fs_mkdirs(p->logs, 0750, reterr);
	if (rc == 0)
		rc = db_listen(p->cfg.db, "pl_jobs", on_jobs, p, &p->on_jobs, reterr);
	return rc ? rc : pipeline_streams_open(p, reterr);
}

int pipeline_open(const struct pipeline_config *cfg, struct pipeline **ret, struct err *reterr)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	int              rc;

	*ret = NULL;
	if (!p)
		return err_set(reterr, WEIR_ENOMEM, "pipeline");
	p->cfg = *cfg;
	p->clock = cfg->clock ? cfg->clock : &clock_real;
	p->lease = (cfg->lease_ms ? cfg->lease_ms : 30000) * USEC_PER_MSEC;
	if (p->cfg.claims_max == 0)
		p->cfg.claims_max = 8;
	init_locks(p);
	rc = open_parts(p, reterr);
	if (rc)
		p = pipeline_close(p);
	*ret = p;
	return rc;
}

int pipeline_turn(struct pipeline *p, struct err *reterr)
{
	return scheduler_turn(p, reterr);
}

static bool wait_second(struct pipeline *p)
{
	usec_t          until = clock_mono_now() + USEC_PER_SEC;
	struct timespec ts = { until / USEC_PER_SEC, (until % USEC_PER_SEC) * 1000 };
	bool            go_on;

	pthread_mutex_lock(&p->lock);
	while (!p->stop && clock_mono_now() < until)
		(void)pthread_cond_timedwait(&p->wake, &p->lock, &ts);
	go_on = !p->stop;
	pthread_mutex_unlock(&p->lock);
	return go_on;
}

static void *scheduler_main(void *arg)
{
	struct pipeline *p = arg;

	while (wait_second(p)) {
		struct err e = { 0 };

		if (scheduler_turn(p, &e))
			log_warn("pipeline", "scheduler: %s", e.msg);
	}
	return NULL;
}

int pipeline_start(struct pipeline *p, struct err *reterr)
{
	int rc = scheduler_renew_all(p, reterr);

	if (rc)
		return rc;
	rc = pthread_create(&p->thread, NULL, scheduler_main, p);
	if (rc)
		return err_errno(reterr, rc, "the scheduler's thread");
	p->started = true;
	return 0;
}

struct pipeline *pipeline_close(struct pipeline *p)
{
	if (!p)
		return NULL;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	p->on_jobs = db_unlisten(p->on_jobs);
	p->on_runs = db_unlisten(p->on_runs);
	if (p->run_hub)
		p->run_hub = sse_hub_free(p->run_hub);
	if (p->log_hub)
		p->log_hub = sse_hub_free(p->log_hub);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	for (size_t i = 0; i < LOG_LOCKS; i++)
		pthread_mutex_destroy(&p->log_locks[i]);
	free(p);
	return NULL;
}
