/* local-job.c - one job of `weir run`: started in a thread of its own, shown while it runs, ended, its folder removed. */
#include "base/base.h"
#include "base/fs.h"
#include "confine/confine.h"
#include "pipeline/local-internal.h"
#include "pipeline/sandbox.h"

#include <unistd.h>

static void on_change(void *ctx)
{
	struct local *l = ctx;

	pthread_mutex_lock(&l->lock);
	l->changes++;
	pthread_cond_signal(&l->cond);
	pthread_mutex_unlock(&l->lock);
}

static void *job_thread(void *arg)
{
	struct local_job *lj = arg;
	int               rc = job_run(lj->job, &lj->err);

	pthread_mutex_lock(&lj->l->lock);
	lj->rc = rc;
	lj->done = true;
	lj->l->changes++;
	pthread_cond_signal(&lj->l->cond);
	pthread_mutex_unlock(&lj->l->lock);
	return NULL;
}

int local_job_start(struct local *l, struct local_job *lj, struct err *reterr)
{
	CLEANUP_BUF struct buf spec = BUF_INIT(8 << 20);
	struct job_config      jc = { .exe = l->cfg->exe, .starter = l->starter, .source = l->cfg->source, .local = true,
		                               .memory_bytes_max = confine_default_memory(l->max), .pids_max = SANDBOX_DEFAULT_PIDS, .changed = on_change, .changed_ctx = l };
	const struct local_group *g = &l->groups[lj->plan->group];
	struct plan_job_extra  x = { .job = STR("local"), .lease = STR("local"), .lease_ms = 30000, .attempt = 1, .job_total = g->n_jobs };
	char                   id[80];
	int                    r;

	snprintf(id, sizeof(id), "local-%d-%zu-%zu", (int)getpid(), lj->plan->group, lj->plan->index);
	x.job = str_z(id);
	r = plan_job_spec(l->arena, l->plan, lj->plan, l->state, &x, &spec, reterr);
	if (!r && snprintf(lj->dir, sizeof(lj->dir), "%s/%s", l->cfg->dir, id) >= (int)sizeof(lj->dir))
		r = err_set(reterr, WEIR_ELIMIT, "the path of the jobs' folder is too long");
	while (lj->slot < 63 && (l->slots >> lj->slot) & 1)
		lj->slot++;
	jc.etc_dir = l->etc;
	jc.dir = lj->dir;
	jc.slot = lj->slot;
	if (!r)
		r = job_open(&jc, buf_str(&spec), &lj->job, reterr);
	if (!r && pthread_create(&lj->thread, NULL, job_thread, lj))
		r = err_set(reterr, WEIR_ENOMEM, "cannot start a thread for a job");
	if (r) {
		lj->job = job_close(lj->job);
		return r;
	}
	lj->running = true;
	l->slots |= UINT64_C(1) << lj->slot;
	l->running++;
	if (l->cfg->job_started)
		l->cfg->job_started(l->cfg->ctx, lj->plan);
	return 0;
}

/* --- showing what happened --- */

static int show_log(struct local *l, struct local_job *lj, struct err *reterr)
{
	char    tmp[32 << 10];
	ssize_t n;

	while ((n = job_read_log(lj->job, lj->shown, lj->shown_bytes, tmp, sizeof(tmp), reterr)) > 0) {
		lj->shown_bytes += n;
		if (l->cfg->log)
			l->cfg->log(l->cfg->ctx, lj->plan, lj->shown, str_n(tmp, (size_t)n));
	}
	return (int)n;
}

int local_job_show(struct local *l, struct local_job *lj, struct err *reterr)
{
	while (lj->shown < job_n_steps(lj->job)) {
		struct job_view v;
		int             r;

		job_get_view(lj->job, lj->shown, &v);
		if (v.state == JOB_QUEUED)
			return 0;
		if (!lj->shown_start && l->cfg->step_started)
			l->cfg->step_started(l->cfg->ctx, lj->plan, lj->shown, &v);
		lj->shown_start = true;
		r = show_log(l, lj, reterr);
		if (r || !v.ended)
			return r;
		if (l->cfg->step_ended)
			l->cfg->step_ended(l->cfg->ctx, lj->plan, lj->shown, &v);
		lj->shown++;
		lj->shown_start = false;
		lj->shown_bytes = 0;
	}
	return 0;
}

/* --- removing the folders of ended jobs, on a thread of its own: a file system may wait for its disk at each folder (online discard), which no job and
 * no line on the terminal should wait for --- */

static void *remover_main(void *arg)
{
	struct local *l = arg;

	pthread_mutex_lock(&l->lock);
	for (;;) {
		struct local_job *lj = l->removing;

		if (!lj && l->no_more)
			break;
		if (!lj) {
			pthread_cond_wait(&l->to_remove, &l->lock);
			continue;
		}
		l->removing = lj->next;
		pthread_mutex_unlock(&l->lock);
		struct err e = { 0 };
		int        r = l->cfg->keep ? 0 : job_remove(lj->job, &e);

		lj->job = job_close(lj->job);
		pthread_mutex_lock(&l->lock);
		if (r && !l->remove_rc) {
			l->remove_rc = r;
			l->remove_err = e;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* Nothing of this thread looks at the job afterwards. */
static void remove_later(struct local *l, struct local_job *lj)
{
	pthread_mutex_lock(&l->lock);
	lj->next = l->removing;
	l->removing = lj;
	pthread_cond_signal(&l->to_remove);
	pthread_mutex_unlock(&l->lock);
}

int local_remover_start(struct local *l, struct err *reterr)
{
	return pthread_create(&l->remover, NULL, remover_main, l) ? err_set(reterr, WEIR_ENOMEM, "cannot start a thread") : 0;
}

/* Waits until every folder is gone. */
int local_remover_end(struct local *l, struct err *reterr)
{
	pthread_mutex_lock(&l->lock);
	l->no_more = true;
	pthread_cond_signal(&l->to_remove);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->remover, NULL);
	if (l->remove_rc && reterr)
		*reterr = l->remove_err;
	return l->remove_rc;
}

/* --- ends --- */

int local_job_end(struct local *l, struct local_job *lj, struct err *reterr)
{
	CLEANUP_BUF struct buf outputs = BUF_INIT(4 << 20);
	struct local_group    *g = &l->groups[lj->plan->group];
	int                    r;

	pthread_join(lj->thread, NULL);
	lj->running = false;
	lj->ended = true;
	l->running--;
	l->slots &= ~(UINT64_C(1) << lj->slot);
	g->n_ended++;
	r = local_job_show(l, lj, reterr);
	if (!r && lj->rc) {
		*reterr = lj->err;
		r = lj->rc;
	}
	job_get_result(lj->job, &lj->result);
	job_get_outputs(lj->job, &outputs);
	if (!r)
		r = doc_parse_json(l->arena, "outputs", buf_str(&outputs), &lj->outputs, reterr);
	if (!r && l->cfg->job_ended)
		l->cfg->job_ended(l->cfg->ctx, lj->plan, &lj->result);
	if (!r && g->n_jobs > 1 && g->plan.fail_fast && lj->result.state == JOB_FAILURE && !lj->plan->continue_on_error)
		for (size_t i = 0; i < g->n_jobs; i++)
			if (g->jobs[i].running)
				job_cancel(g->jobs[i].job, "fail-fast: another job of the matrix failed");
	remove_later(l, lj);
	return r;
}
