/* steps.c - a job's life: opened from its folder, run step by step, looked at, cancelled, removed (see steps.h). */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "confine/confine.h"
#include "pipeline/steps-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char *const state_names[] = { "queued", "running", "success", "failure", "skipped", "cancelled" };

const char *job_state_name(enum job_state s) { return state_names[s]; }

void job_notify(struct job *j)
{
	if (j->changed)
		j->changed(j->changed_ctx);
}

bool job_is_cancelled(struct job *j)
{
	bool c;

	pthread_mutex_lock(&j->lock);
	c = j->cancel || j->killed || j->timed_out;
	pthread_mutex_unlock(&j->lock);
	return c;
}

int job_keep(struct job *j, struct kvs *to, const struct kv *kv, struct err *reterr)
{
	int r = kvs_set(to, arena_str(&j->arena, kv->key), arena_str(&j->arena, kv->value), reterr);

	return r ? r : arena_check(&j->arena, "outputs and environment of the job", reterr);
}

int step_dir(const struct job *j, size_t i, const char *name, char out[1100])
{
	return snprintf(out, 1100, "%s/steps/%zu%s%s", j->dir, i, *name ? "/" : "", name) >= 1100 ? -WEIR_ELIMIT : 0;
}

/* --- opening --- */

static int spec_masks(struct job *j, struct err *reterr)
{
	const struct doc_node *masks = doc_get(j->spec, "masks");
	int                    r = masks_add(&j->masks, doc_get_str(j->spec, "token"), reterr);

	for (size_t i = 0; !r && i < doc_len(masks); i++)
		r = masks_add(&j->masks, doc_at(masks, i)->text, reterr);
	return r;
}

static bool safe_name(str s)
{
	if (!s.len || s.len > LIMIT_NAME_BYTES || s.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", s.ptr[i]) || !s.ptr[i])
			return false;
	return true;
}

static int spec_take(struct job *j, struct err *reterr)
{
	const struct doc_node *steps = doc_get(j->spec, "steps");
	str                    project = doc_get_str(j->spec, "project"), id = doc_get_str(j->spec, "job");

	if (doc_get_int(j->spec, "spec", 0) != 1)
		return err_set(reterr, WEIR_EINVAL, "job spec: version %lld is not the one this runner knows (1)", (long long)doc_get_int(j->spec, "spec", 0));
	if (!safe_name(project) || !safe_name(id))
		return err_set(reterr, WEIR_EINVAL, "job spec: without a usable project or job id");
	j->id = arena_dup(&j->arena, id);
	j->project = arena_dup(&j->arena, project);
	j->lease = arena_dup(&j->arena, doc_get_str(j->spec, "lease"));
	j->name = arena_dup(&j->arena, doc_get_str(j->spec, "name"));
	snprintf(j->cgroup, sizeof(j->cgroup), "%.60s-%lld-%u", j->id, (long long)doc_get_int(j->spec, "attempt", 1), j->slot);
	j->contexts = expr_from_doc(&j->arena, doc_get(j->spec, "contexts"));
	if (!j->contexts || j->contexts->kind != EXPR_OBJECT)
		return err_set(reterr, WEIR_EINVAL, "job spec: without contexts");
	j->n_steps = doc_len(steps);
	j->steps = calloc(j->n_steps + 1, sizeof(*j->steps));
	if (!j->steps)
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; i < j->n_steps; i++) {
		j->steps[i].spec = doc_at(steps, i);
		j->steps[i].id = doc_get_str(doc_at(steps, i), "id");
		j->steps[i].view.exit_status = -1;
	}
	return spec_masks(j, reterr);
}

static int spec_load(struct job *j, str given, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_DOC_BYTES);
	struct doc_node       *n;
	char                   path[1100];
	int                    r = fs_join(path, sizeof(path), reterr, j->dir, "spec.json");

	if (!r && given.ptr)
		r = fs_mkdirs(j->dir, 0700, reterr);
	if (!r && given.ptr && !j->local)
		r = fs_write_atomic(path, given, 0600, reterr);
	if (!r && given.ptr)
		buf_add_str(&b, given);
	else if (!r)
		r = fs_read(path, &b, reterr);
	if (!r)
		r = buf_check(&b, "job spec", reterr);
	if (!r)
		r = doc_parse_json(&j->arena, "job spec", buf_str(&b), &n, reterr);
	if (r)
		return r;
	j->spec = n;
	return spec_take(j, reterr);
}

static int event_file(struct job *j, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_DOC_BYTES);
	const struct doc_node *event = doc_path(j->spec, "contexts.github.event");
	struct jw              w;
	char                   path[1100];
	int                    r = fs_join(path, sizeof(path), reterr, j->dir, "box/files/event.json");

	jw_init(&w, &b);
	if (event) {
		jw_node(&w, event);
	} else {
		jw_obj(&w);
		jw_end(&w);
	}
	if (!r)
		r = buf_check(&b, "event", reterr);
	return r ? r : fs_write_quick(path, buf_str(&b), 0644, reterr);
}

/* A new job's folder, up to the first state.json; a crash in between leaves a folder that is prepared again. */
static int first_state(struct job *j, struct err *reterr)
{
	char box[1100];
	int  r = fs_join(box, sizeof(box), reterr, j->dir, "box");

	if (!r)
		r = sandbox_prepare(box, j->project, j->slot, !j->etc, reterr);
	if (!r)
		r = event_file(j, reterr);
	j->started = clock_wall_now();
	return r ? r : job_state_write(j, true, reterr);
}

static void copy_config(struct job *j, const struct job_config *c)
{
	j->dir = str_dup(str_z(c->dir));
	j->exe = str_dup(str_z(c->exe));
	j->source = c->source ? str_dup(str_z(c->source)) : NULL;
	j->starter = c->starter;
	j->local = c->local;
	j->leave_steps = c->leave_steps;
	j->slot = c->slot;
	j->memory = c->memory_bytes_max;
	j->pids = c->pids_max;
	j->waiting = c->waiting;
	j->changed = c->changed;
	j->changed_ctx = c->changed_ctx;
}

static int shared_etc(struct job *j, const char *base, struct err *reterr)
{
	char path[1100];
	int  r = sandbox_etc(base, path, sizeof(path), reterr);

	if (!r && !(j->etc = str_dup(str_z(path))))
		r = err_set(reterr, WEIR_ENOMEM, "out of memory");
	return r;
}

int job_open(const struct job_config *cfg, str spec_json, struct job **ret, struct err *reterr)
{
	struct job *j = calloc(1, sizeof(*j));
	bool        found = false;
	int         r;

	if (!j)
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	copy_config(j, cfg);
	arena_init(&j->arena, 256 << 20);
	masks_init(&j->masks);
	buf_init(&j->outputs, LIMIT_JOB_OUTPUT_BYTES - 1024);
	buf_init(&j->environment_url, 4096);
	pthread_mutex_init(&j->lock, NULL);
	j->result.state = JOB_RUNNING;
	j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = j->wake < 0 ? err_errno(reterr, errno, "cannot make an event") : 0;
	if (!r && cfg->etc_dir && !(j->etc = str_dup(str_z(cfg->etc_dir))))
		r = err_set(reterr, WEIR_ENOMEM, "out of memory");
	else if (!r && cfg->etc)
		r = shared_etc(j, cfg->etc, reterr);
	if (!r)
		r = spec_load(j, spec_json, reterr);
	if (!r)
		r = job_state_read(j, &found, reterr);
	if (!r && !found)
		r = first_state(j, reterr);
	if (r) {
		job_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

struct job *job_close(struct job *j)
{
	if (!j)
		return NULL;
	for (size_t i = 0; i < j->n_steps; i++) {
		kvs_fini(&j->steps[i].outputs);
		kvs_fini(&j->steps[i].states);
		free(j->steps[i].summary);
	}
	free(j->steps);
	kvs_fini(&j->env);
	VEC_FINI(&j->paths);
	VEC_FINI(&j->added_masks);
	masks_fini(&j->masks);
	buf_fini(&j->outputs);
	buf_fini(&j->environment_url);
	base_cleanup_fd(&j->wake);
	pthread_mutex_destroy(&j->lock);
	arena_fini(&j->arena);
	free(j->dir);
	free(j->exe);
	free(j->source);
	free(j->etc);
	free(j);
	return NULL;
}

/* --- running --- */

static int end_job(struct job *j, struct err *reterr)
{
	struct err e = { 0 };
	int        r = eval_outputs(j, &e);

	pthread_mutex_lock(&j->lock);
	if (r) {
		buf_clear(&j->outputs);
		buf_addz(&j->outputs, "{}");
		j->failed = true;
		if (!j->result.cause[0])
			snprintf(j->result.cause, sizeof(j->result.cause), "%.500s", e.msg);
	}
	if (j->cancel && !j->timed_out)
		snprintf(j->result.cause, sizeof(j->result.cause), "%s", j->cancel_cause);
	j->result.ended = clock_wall_now();
	j->result.state = j->cancel && !j->timed_out ? JOB_CANCELLED : j->failed || j->timed_out ? JOB_FAILURE : JOB_SUCCESS;
	pthread_mutex_unlock(&j->lock);
	r = job_state_write(j, true, reterr);
	job_notify(j);
	return r;
}

int job_run(struct job *j, struct err *reterr)
{
	int r = 0;

	if (j->result.state != JOB_RUNNING)
		return 0;
	for (size_t i = 0; !r && i < j->n_steps; i++) {
		bool over;

		pthread_mutex_lock(&j->lock);
		over = j->detached || j->killed;
		pthread_mutex_unlock(&j->lock);
		if (over && j->steps[i].view.state != JOB_RUNNING)
			return err_set(reterr, WEIR_ECANCELED, "the job is left as it is");
		if (!j->steps[i].view.ended)
			r = step_run(j, i, reterr);
	}
	return r ? r : end_job(j, reterr);
}

static void wake(struct job *j)
{
	uint64_t one = 1;

	if (write(j->wake, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
}

void job_cancel(struct job *j, const char *cause)
{
	pthread_mutex_lock(&j->lock);
	if (!j->cancel)
		snprintf(j->cancel_cause, sizeof(j->cancel_cause), "%.500s", cause && *cause ? cause : "cancelled");
	j->stopped = j->stopped ? j->stopped : clock_wall_now();
	j->cancel = true;
	pthread_mutex_unlock(&j->lock);
	wake(j);
}

void job_kill(struct job *j)
{
	pthread_mutex_lock(&j->lock);
	j->killed = true;
	pthread_mutex_unlock(&j->lock);
	wake(j);
}

void job_detach(struct job *j)
{
	pthread_mutex_lock(&j->lock);
	j->detached = true;
	pthread_mutex_unlock(&j->lock);
	wake(j);
}

/* --- looking --- */

const char *job_id(const struct job *j) { return j->id; }
const char *job_lease(const struct job *j) { return j->lease; }
const char *job_name(const struct job *j) { return j->name; }
int64_t     job_lease_ms(const struct job *j) { return doc_get_int(j->spec, "lease_ms", 30000); }
unsigned    job_slot(const struct job *j) { return j->slot; }
size_t      job_n_steps(const struct job *j) { return j->n_steps; }

void job_get_view(struct job *j, size_t step, struct job_view *ret)
{
	pthread_mutex_lock(&j->lock);
	*ret = j->steps[step].view;
	pthread_mutex_unlock(&j->lock);
}

void job_get_result(struct job *j, struct job_result *ret)
{
	pthread_mutex_lock(&j->lock);
	*ret = j->result;
	pthread_mutex_unlock(&j->lock);
}

ssize_t job_read_log(struct job *j, size_t step, int64_t offset, void *p, size_t n, struct err *reterr)
{
	char           path[1100];
	CLEANUP_FD int fd = -1;
	struct job_view v;
	ssize_t        got;

	job_get_view(j, step, &v);
	if (offset >= v.log_bytes)
		return 0;
	if ((int64_t)n > v.log_bytes - offset)
		n = (size_t)(v.log_bytes - offset);
	if (step_dir(j, step, "out", path))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd < 0 ? -1 : pread(fd, p, n, offset);
	return got < 0 ? err_errno(reterr, errno, "cannot read %s", path) : got;
}

void job_get_summary(struct job *j, size_t step, struct buf *out)
{
	pthread_mutex_lock(&j->lock);
	if (j->steps[step].summary)
		buf_addz(out, j->steps[step].summary);
	pthread_mutex_unlock(&j->lock);
}

void job_get_outputs(struct job *j, struct buf *out)
{
	pthread_mutex_lock(&j->lock);
	buf_add_str(out, j->outputs.len ? buf_str(&j->outputs) : STR("{}"));
	pthread_mutex_unlock(&j->lock);
}

void job_get_environment_url(struct job *j, struct buf *out)
{
	pthread_mutex_lock(&j->lock);
	buf_add_str(out, buf_str(&j->environment_url));
	pthread_mutex_unlock(&j->lock);
}

int job_remove(struct job *j, struct err *reterr)
{
	confine_cgroup_remove(j->cgroup);
	return fs_remove_tree(j->dir, reterr);
}
