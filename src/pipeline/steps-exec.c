/* steps-exec.c - one step from its `if` to its end. Runs on the job's thread.
 *
 * Guarantees: state.json says "running" before the guard starts and has the end before the next step begins; `out` is written again from its start
 * when a step is taken up, with the same bytes (steplog.h). A failure of the step is its outcome, not an error of step_run(). */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "pipeline/steps-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

struct exec {
	struct job        *j;
	struct step       *s;
	size_t             i;
	struct arena       arena;
	struct step_eval   eval;
	bool               continue_on_error;
	struct guard      *guard;
	struct guard_status status;
	struct steplog     log;
	int64_t            raw;     /* bytes of the raw log that went through */
	bool               headed;  /* the line with the limits is out */
	int                fd_out;
	bool               superseded; /* a release whose place a newer one took */
};

/* --- log --- */

static int out_write(struct exec *x, struct buf *b, struct err *reterr)
{
	int r = buf_check(b, "log of a step", reterr);

	if (!r && b->len)
		r = fs_write_fd(x->fd_out, "log of a step", buf_str(b), reterr);
	if (!r && b->len) {
		pthread_mutex_lock(&x->j->lock);
		x->s->view.log_bytes += (int64_t)b->len;
		pthread_mutex_unlock(&x->j->lock);
		job_notify(x->j);
	}
	buf_clear(b);
	return r;
}

static int say(struct exec *x, const char *text, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);

	steplog_say(&x->log, &b, "%s", text);
	return out_write(x, &b, reterr);
}

/* The first step's log says which limits hold; before its first byte, so that reading again gives the same. */
static int head(struct exec *x, struct err *reterr)
{
	CLEANUP_BUF struct buf limits = BUF_INIT(1000);
	char                   line[1100];

	if (x->headed)
		return 0;
	x->headed = true;
	for (size_t k = 0; k < x->i; k++)
		if (x->j->steps[k].view.state != JOB_SKIPPED)
			return 0;
	guard_head(x->guard, &limits);
	snprintf(line, sizeof(line), "weir %s, sandbox: own user, processes, files and /tmp; network shared; limits: %s", WEIR_VERSION,
	         limits.len ? limits.ptr : "unknown");
	return say(x, line, reterr);
}

static int drain(struct exec *x, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(16 << 20);
	char                   tmp[64 << 10];
	ssize_t                n;
	int                    r = 0;

	while (!r && (n = guard_read_log(x->guard, x->raw, tmp, sizeof(tmp), reterr)) != 0) {
		if (n < 0)
			return (int)n;
		x->raw += n;
		r = head(x, reterr);
		steplog_feed(&x->log, str_n(tmp, (size_t)n), false, &out);
		if (!r)
			r = out_write(x, &out, reterr);
	}
	return r;
}

/* --- ends --- */

static void view_end(struct exec *x, enum job_state state, int exit_status, const char *cause)
{
	CLEANUP_BUF struct buf masked = BUF_INIT(4096);
	struct job            *j = x->j;

	masks_apply(&j->masks, str_z(cause), &masked);
	x->s->conclusion = (state == JOB_FAILURE || x->superseded) && x->continue_on_error ? JOB_SUCCESS : state;
	if (x->s->conclusion == JOB_FAILURE && !j->failed) {
		j->failed = true;
		if (!j->result.cause[0])
			snprintf(j->result.cause, sizeof(j->result.cause), "step %zu '%.200s': %.250s", x->i + 1, x->s->view.name, buf_z(&masked));
	}
	pthread_mutex_lock(&j->lock);
	x->s->view.state = state;
	x->s->view.exit_status = exit_status;
	x->s->view.ended = x->status.ended ? x->status.ended : clock_wall_now();
	x->s->view.continued = state == JOB_FAILURE && x->continue_on_error;
	snprintf(x->s->view.cause, sizeof(x->s->view.cause), "%.500s", buf_z(&masked));
	pthread_mutex_unlock(&j->lock);
}

static int finish(struct exec *x, enum job_state state, int exit_status, const char *cause, struct err *reterr)
{
	int r;

	view_end(x, state, exit_status, cause);
	r = job_state_write(x->j, true, reterr);
	job_notify(x->j);
	return r;
}

/* The step could not be begun: its log says why. */
static int finish_error(struct exec *x, const struct err *e, struct err *reterr)
{
	int r;

	r = x->fd_out >= 0 ? say(x, e->msg, reterr) : 0;
	return r ? r : finish(x, JOB_FAILURE, -1, e->msg, reterr);
}

/* --- what the step said back --- */

/* A command file: written by the step, so anything may lie there. Too large or no plain file is the step's failure. */
static int read_back(struct exec *x, const char *name, struct buf *out, struct err *reterr)
{
	char           path[1100];
	struct stat    st;
	CLEANUP_FD int fd = -1;

	if (snprintf(path, sizeof(path), "%s/box/files/cmd/%s", x->j->dir, name) >= (int)sizeof(path))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(reterr, WEIR_EREFUSED, "the step replaced the file of $GITHUB_%s by something else", name);
	if (st.st_size > LIMIT_STEP_FILE_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "$GITHUB_%s: %lld bytes, more than the limit of %d", name, (long long)st.st_size,
		               LIMIT_STEP_FILE_BYTES);
	return fs_read_fd(fd, name, out, reterr);
}

static int take_kvs(struct exec *x, const char *file, struct kvs *to, bool env, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_STEP_FILE_BYTES);
	struct kvs             got = { 0 };
	int                    r = read_back(x, file, &b, reterr);

	if (!r)
		r = stepfile_parse(&x->arena, env ? "$GITHUB_ENV" : file, buf_str(&b), &got, reterr);
	for (size_t k = 0; !r && k < got.n; k++) {
		if (env)
			r = stepfile_env_allowed(got.v[k].key, reterr);
		if (!r)
			r = job_keep(x->j, to, &got.v[k], reterr);
	}
	kvs_fini(&got);
	return r;
}

static int take_paths(struct exec *x, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_STEP_FILE_BYTES);
	int                    r = read_back(x, "path", &b, reterr);
	str                    rest = buf_str(&b), line;

	while (!r && rest.len) {
		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		if (memchr(line.ptr ? line.ptr : "", 0, line.len) || !str_utf8_valid(line))
			return err_set(reterr, WEIR_EPARSE, "$GITHUB_PATH: not text");
		if (line.len && !VEC_PUSH(&x->j->paths, arena_str(&x->j->arena, line)))
			r = err_set(reterr, WEIR_ENOMEM, "out of memory");
	}
	return r;
}

static int take_summary(struct exec *x, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_STEP_FILE_BYTES), masked = BUF_INIT(2 * LIMIT_STEP_FILE_BYTES);
	int                    r = read_back(x, "summary", &b, reterr);

	if (r || !b.len)
		return r;
	masks_apply(&x->j->masks, buf_str(&b), &masked);
	pthread_mutex_lock(&x->j->lock);
	free(x->s->summary);
	x->s->summary = buf_take(&masked);
	pthread_mutex_unlock(&x->j->lock);
	return 0;
}

static int take_commands(struct exec *x, struct err *reterr)
{
	struct job *j = x->j;
	int         r = 0;

	for (size_t k = 0; !r && k < x->log.outputs.n; k++)
		r = job_keep(j, &x->s->outputs, &x->log.outputs.v[k], reterr);
	for (size_t k = 0; !r && k < x->log.states.n; k++)
		r = job_keep(j, &x->s->states, &x->log.states.v[k], reterr);
	for (size_t k = 0; !r && k < x->log.env.n; k++)
		r = job_keep(j, &j->env, &x->log.env.v[k], reterr);
	for (size_t k = 0; !r && k < x->log.paths.n; k++)
		if (!VEC_PUSH(&j->paths, arena_str(&j->arena, x->log.paths.v[k])))
			r = err_set(reterr, WEIR_ENOMEM, "out of memory");
	for (size_t k = 0; !r && k < x->log.new_masks.n; k++)
		if (!VEC_PUSH(&j->added_masks, arena_str(&j->arena, x->log.new_masks.v[k])))
			r = err_set(reterr, WEIR_ENOMEM, "out of memory");
	return r ? r : arena_check(&j->arena, "outputs and environment of the job", reterr);
}

static int take_back(struct exec *x, struct err *reterr)
{
	int r = take_commands(x, reterr);

	if (!r)
		r = take_kvs(x, "env", &x->j->env, true, reterr);
	if (!r)
		r = take_kvs(x, "output", &x->s->outputs, false, reterr);
	if (!r)
		r = take_kvs(x, "state", &x->s->states, false, reterr);
	if (!r)
		r = take_paths(x, reterr);
	if (!r)
		r = take_summary(x, reterr);
	if (!r && x->log.failed.code)
		r = err_set(reterr, x->log.failed.code, "%s", x->log.failed.msg);
	return r;
}

/* --- watching --- */

static bool told_to_stop(struct exec *x)
{
	bool stop;

	pthread_mutex_lock(&x->j->lock);
	stop = x->j->killed || (x->j->cancel && !x->j->timed_out);
	pthread_mutex_unlock(&x->j->lock);
	return stop;
}

static bool detached(struct job *j)
{
	bool d;

	pthread_mutex_lock(&j->lock);
	d = j->detached;
	pthread_mutex_unlock(&j->lock);
	return d;
}

static int watch(struct exec *x, bool stoppable, struct err *reterr)
{
	bool asked = false;
	int  r;

	for (;;) {
		struct pollfd p[2] = { { guard_news_fd(x->guard), POLLIN, 0 }, { x->j->wake, asked ? 0 : POLLIN, 0 } };

		if (poll(p, 2, 500) < 0 && errno != EINTR)
			return err_errno(reterr, errno, "cannot watch a step");
		if (detached(x->j))
			return err_set(reterr, WEIR_ECANCELED, "the runner ends; the step goes on");
		guard_clear_news(x->guard);
		if (p[1].revents) {
			uint64_t n;

			if (read(x->j->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
				return err_errno(reterr, errno, "cannot watch a step");
		}
		if (!asked && (stoppable || x->j->killed) && told_to_stop(x)) {
			guard_stop(x->guard, x->j->killed);
			asked = true;
		}
		r = drain(x, reterr);
		if (!r && (p[0].revents & (POLLHUP | POLLERR) || !p[0].revents))
			r = guard_look(x->guard, &x->status, reterr);
		if (r)
			return r;
		if (x->status.end)
			return drain(x, reterr);
		if (p[0].revents & POLLHUP)
			clock_sleep_ms(1); /* between the guard's last byte and its end, or before its first */
	}
}

/* --- from the guard's status to the step's outcome --- */

static bool is_superseded(const struct exec *x)
{
	return x->status.end == GUARD_EXITED && x->status.exit_status == RELEASE_SUPERSEDED_STATUS &&
	       str_eqz(doc_get_str(x->s->spec, "uses"), "weir/release@v1");
}

struct ending {
	enum job_state state;
	char           cause[600];
};

/* What the guard says of it. */
static struct ending ending_of(const struct exec *x)
{
	struct ending e = { x->status.exit_status ? JOB_FAILURE : JOB_SUCCESS, "" };

	switch (x->status.end) {
	case GUARD_EXITED:
		if (x->status.exit_status)
			snprintf(e.cause, sizeof(e.cause), "exit %d", x->status.exit_status);
		return e;
	case GUARD_STOPPED:
		e.state = JOB_CANCELLED;
		snprintf(e.cause, sizeof(e.cause), "%.500s", x->j->cancel_cause[0] ? x->j->cancel_cause : "cancelled");
		return e;
	default:
		e.state = JOB_FAILURE;
		snprintf(e.cause, sizeof(e.cause), "%s: %s", x->status.end == GUARD_TIMEOUT ? "timeout" : x->status.end == GUARD_LOST ? "lost" : "sandbox",
		         x->status.text);
		return e;
	}
}

/* A newer release took the place of this one: so ends the job, unless the step's failure would not end it either. */
static void superseded(struct exec *x, struct ending *e)
{
	const struct kv *told = kvs_get(&x->s->outputs, STR("cause"));
	str              why = told ? str_sub(told->value, 0, 300) : STR("superseded by a newer release");

	snprintf(e->cause, sizeof(e->cause), "%.*s", STR_ARG(why));
	e->state = JOB_CANCELLED;
	x->superseded = true;
	if (!x->continue_on_error)
		job_cancel(x->j, e->cause);
}

/* What the step said back; something wrong in it is its failure. */
static int hear(struct exec *x, struct ending *e, struct err *reterr)
{
	struct err back = { 0 };

	if (!take_back(x, &back))
		return 0;
	if (e->state == JOB_SUCCESS)
		e->state = JOB_FAILURE;
	if (!e->cause[0])
		snprintf(e->cause, sizeof(e->cause), "%.500s", back.msg);
	return x->log.failed.code ? 0 : say(x, arena_printf(&x->arena, "::error::%s", back.msg), reterr);
}

static int outcome(struct exec *x, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(16 << 20);
	struct ending          e = ending_of(x);
	bool                   no_status = x->status.end == GUARD_LOST || x->status.end == GUARD_SANDBOX;
	int                    r = head(x, reterr);

	steplog_feed(&x->log, STR_NULL, true, &out);
	if (!r)
		r = out_write(x, &out, reterr);
	if (!r)
		r = hear(x, &e, reterr);
	if (r)
		return r;
	if (is_superseded(x))
		superseded(x, &e);
	if (x->status.end != GUARD_EXITED)
		r = say(x, arena_printf(&x->arena, "weir: %s", e.cause), reterr);
	if (!r && x->status.log_cut)
		r = say(x, "weir: a part of the step's output is missing", reterr);
	return r ? r : finish(x, e.state, no_status ? -1 : x->status.exit_status, e.cause, reterr);
}

/* --- beginning --- */

static void name_of(struct exec *x, char *out, size_t size)
{
	str         name = doc_get_str(x->s->spec, "name"), run = doc_get_str(x->s->spec, "run"), line, uses = doc_get_str(x->s->spec, "uses");
	CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);
	struct err  ignored;

	if (name.len && !eval_text(&x->eval, "name", name, &name, &ignored)) {
		masks_apply(&x->j->masks, name, &b);
	} else {
		str_cut(str_trim(run), '\n', &line, NULL);
		if (run.len)
			buf_addf(&b, "Run %.*s", STR_ARG(str_sub(line, 0, 200)));
		else
			buf_add_str(&b, uses);
	}
	name = buf_str(&b);
	while (name.len >= size || !str_utf8_valid(name)) /* never cut inside a character */
		name.len--;
	snprintf(out, size, "%.*s", STR_ARG(name));
}

static usec_t stopped_at(struct job *j)
{
	usec_t at;

	pthread_mutex_lock(&j->lock);
	at = j->stopped ? j->stopped : clock_wall_now();
	pthread_mutex_unlock(&j->lock);
	return at;
}

static int64_t time_left(struct exec *x, double minutes)
{
	int64_t job_ms = doc_get_int(x->j->spec, "timeout_ms", 6 * 3600000), own = (int64_t)(minutes * 60000);
	int64_t left = job_ms - (clock_wall_now() - x->j->started) / USEC_PER_MSEC;

	if (x->j->timed_out || job_is_cancelled(x->j)) /* what is left for always() steps */
		left = doc_get_int(x->j->spec, "cancel_timeout_ms", 5 * 60000) - (clock_wall_now() - stopped_at(x->j)) / USEC_PER_MSEC;
	if (left < 1)
		left = 1;
	return minutes > 0 && own < left ? (own < 1 ? 1 : own) : left;
}

static bool unsecure_commands(const struct step_eval *e)
{
	const struct expr_value *v = expr_get(e->env, STR("ACTIONS_ALLOW_UNSECURE_COMMANDS"));

	return v && v->kind == EXPR_STRING && str_eq_nocase(v->s, STR("true"));
}

static int open_out(struct exec *x, struct err *reterr)
{
	char path[1100];

	if (step_dir(x->j, x->i, "", path))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	int r = 0;

	if (mkdir(path, 0700) && errno != EEXIST) /* the first one: `steps` is not there yet */
		r = fs_mkdirs(path, 0700, reterr);
	if (r)
		return r;
	(void)step_dir(x->j, x->i, "out", path);
	x->fd_out = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	return x->fd_out < 0 ? err_errno(reterr, errno, "cannot write %s", path) : 0;
}

static int start_guard(struct exec *x, double minutes, struct err *reterr)
{
	struct job         *j = x->j;
	struct step_plan    p;
	struct sandbox_spec spec = { 0 };
	char                dir[1100], box[1100];
	int                 r = step_prepare(&x->eval, x->i, &p, reterr);

	if (r)
		return r;
	if (step_dir(j, x->i, "", dir) || snprintf(box, sizeof(box), "%s/box", j->dir) >= (int)sizeof(box))
		return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
	spec = (struct sandbox_spec){ .job_dir = box, .secret_dir = p.has_secret ? p.secret : NULL, .weir_exe = p.has_secret ? j->exe : NULL, .writable = p.writable, .etc_dir = j->etc,
		                          .cwd = p.cwd, .argv = p.argv, .env = p.env, .slot = j->slot, .cgroup = j->cgroup,
		                          .memory_bytes_max = j->memory, .pids_max = j->pids };
	return r ? r : guard_start(j->starter, j->exe, dir, &spec, time_left(x, minutes), !j->local, &x->guard, reterr);
}

/* Evaluates what must be known before the step starts. *ret_run false: skipped. */
static int decide(struct exec *x, bool *ret_run, double *ret_minutes, struct err *reterr)
{
	const struct doc_node *spec = x->s->spec;
	bool                   release = str_eqz(doc_get_str(spec, "uses"), "weir/release@v1");
	int                    r = eval_init(&x->eval, x->j, &x->arena, doc_get(spec, "env"), reterr);

	*ret_run = true;
	*ret_minutes = 0;
	name_of(x, x->s->view.name, sizeof(x->s->view.name));
	/* also when the env is wrong: that is a failure of the step like any other */
	int flag = eval_flag(&x->eval, "continue-on-error", doc_get(spec, "continue_on_error"), &x->continue_on_error, r ? NULL : reterr);
	r = r ? r : flag;
	if (!r)
		r = eval_if(&x->eval, doc_get_str(spec, "if"), ret_run, reterr);
	if (!r && *ret_run)
		r = eval_number(&x->eval, "timeout-minutes", doc_get(spec, "timeout_minutes"), 0, ret_minutes, reterr);
	if (!r && *ret_run && release && x->j->local)
		*ret_run = false;
	return r;
}

static int skip(struct exec *x, struct err *reterr)
{
	bool release = x->j->local && str_eqz(doc_get_str(x->s->spec, "uses"), "weir/release@v1");

	return finish(x, JOB_SKIPPED, -1,
	              release ? "weir run releases nothing" : doc_get_str(x->s->spec, "if").len ? "if: evaluated to false" : "an earlier step failed or the job was cancelled",
	              reterr);
}

static int begin(struct exec *x, double minutes, struct err *reterr)
{
	char dir[1100];
	int  r;

	if (x->s->view.state == JOB_RUNNING) { /* an earlier runner was here */
		if (step_dir(x->j, x->i, "", dir))
			return err_set(reterr, WEIR_ELIMIT, "the path of the job's folder is too long");
		r = guard_adopt(dir, &x->guard, reterr);
		if (r || x->guard)
			return r;
	}
	pthread_mutex_lock(&x->j->lock);
	x->s->view.state = JOB_RUNNING;
	x->s->view.started = clock_wall_now();
	pthread_mutex_unlock(&x->j->lock);
	/* not fsync'd: when the machine falls, the step falls with it */
	r = job_state_write(x->j, false, reterr);
	job_notify(x->j);
	return r ? r : start_guard(x, minutes, reterr);
}

static int step_go(struct exec *x, struct err *reterr)
{
	bool       run, waits, cancelled, adopted = x->s->view.state == JOB_RUNNING;
	double     minutes;
	struct err e = { 0 };
	int        r = open_out(x, reterr);

	if (r)
		return r;
	steplog_init(&x->log, &x->j->masks, false);
	do { /* whether it was decided before or after a cancel must be known: only a step that begins in spite of it is not stopped by it */
		cancelled = job_is_cancelled(x->j);
		r = decide(x, &run, &minutes, &e);
	} while (cancelled != job_is_cancelled(x->j));
	x->log.unsecure = unsecure_commands(&x->eval);
	if (r)
		return finish_error(x, &e, reterr);
	if (!run && !adopted)
		return skip(x, reterr);
	r = begin(x, minutes, &e);
	if (r)
		return finish_error(x, &e, reterr);
	waits = x->j->waiting && str_eqz(doc_get_str(x->s->spec, "uses"), "weir/release@v1");
	if (waits)
		x->j->waiting(x->j->changed_ctx, true);
	r = watch(x, adopted || !cancelled, reterr);
	if (waits)
		x->j->waiting(x->j->changed_ctx, false);
	if (!r && x->status.end == GUARD_TIMEOUT && !x->j->timed_out &&
	    clock_wall_now() - x->j->started >= doc_get_int(x->j->spec, "timeout_ms", INT64_MAX / 2000) * USEC_PER_MSEC) {
		pthread_mutex_lock(&x->j->lock);
		x->j->timed_out = true;
		x->j->stopped = x->j->stopped ? x->j->stopped : clock_wall_now();
		pthread_mutex_unlock(&x->j->lock);
		snprintf(x->j->result.cause, sizeof(x->j->result.cause), "timeout: %lld min",
		         (long long)(doc_get_int(x->j->spec, "timeout_ms", 0) / 60000));
	}
	return r ? r : outcome(x, reterr);
}

int step_run(struct job *j, size_t i, struct err *reterr)
{
	struct exec x = { .j = j, .s = &j->steps[i], .i = i, .fd_out = -1, .arena = ARENA_INIT(64 << 20) };
	int         r = step_go(&x, reterr);

	guard_close(x.guard);
	base_cleanup_fd(&x.fd_out);
	steplog_fini(&x.log);
	arena_fini(&x.arena);
	return r;
}
