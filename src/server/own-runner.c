/* own-runner.c - keeps one `weir runner` process running beside the server (see own-runner.h).
 *
 * One thread waits for the process and starts it again, 0.5 s doubling to 30 s apart while it ends early. */
#include "base/base.h"
#include "server/own-runner.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "server/holder.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>

enum { RESTART_MIN_MS = 500, RESTART_MAX_MS = 30000, STEADY_MS = 60000, STOP_WAIT_MS = 10000 };

struct own_runner {
	char            exe[PATH_MAX], data[PATH_MAX], url[512], token_file[PATH_MAX], slots[16];
	pthread_t       thread;
	pthread_mutex_t lock;
	pthread_cond_t  wake;
	pid_t           pid; /* 0: none runs */
	bool            stop;
};

static void wait_locked(struct own_runner *r, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!r->stop && pthread_cond_timedwait(&r->wake, &r->lock, &until) != ETIMEDOUT)
		;
}

extern char **environ;

/* The server's environment without what the command line of a person may carry: a token there would win over the runner's own. */
static const char **runner_env(struct err *reterr)
{
	size_t       n = 0, kept = 0;
	const char **env;

	while (environ[n])
		n++;
	env = calloc(n + 1, sizeof(*env));
	for (size_t i = 0; env && i < n; i++)
		if (!str_has_prefix(str_z(environ[i]), STR("WEIR_")))
			env[kept++] = environ[i];
	if (!env)
		(void)err_set(reterr, WEIR_ENOMEM, "no memory for the runner's environment");
	return env;
}

static int spawn_locked(struct own_runner *r, struct err *reterr)
{
	const char *const argv[] = { r->exe,         "runner",      "--data",         r->data, "--server", r->url,
		                         "--token-file", r->token_file, "--runner-slots", r->slots, NULL };
	struct proc_spec  spec = PROC_SPEC_INIT;
	const char      **env = runner_env(reterr);
	int               rc;

	if (!env)
		return -WEIR_ENOMEM;
	spec.argv = argv;
	spec.env = env;
	spec.new_session = true;
	rc = proc_spawn(&spec, &r->pid, reterr);
	free(env);
	return rc;
}

/* The runner of an earlier server (killed, so that it could not end it) is told to make room: it may talk to an address where nobody answers
 * any more. Its steps go on under their guards and the next runner takes them up. True when there is one. */
static bool replace_earlier(const struct own_runner *r)
{
	char  lock[PATH_MAX], name[128];
	pid_t pid;

	if (fs_join(lock, sizeof(lock), NULL, r->data, "runner/lock"))
		return false;
	pid = holder_of_lock(lock);
	if (pid <= 0)
		return false;
	holder_name(pid, name, sizeof(name));
	if (!str_has_suffix(str_z(name), STR(" runner"))) {
		log_error("server", "%s is held by '%s' (process %d), which is no runner: no own runner can start", lock, name, (int)pid);
		return true;
	}
	log_info("server", "the runner of an earlier server (process %d) makes room for the own one", (int)pid);
	(void)kill(pid, SIGTERM);
	return true;
}

static void *runner_main(void *arg)
{
	struct own_runner *r = arg;
	int64_t            pause_ms = RESTART_MIN_MS;

	pthread_mutex_lock(&r->lock);
	while (!r->stop) {
		struct err e = { 0 };
		usec_t     begun = clock_mono_now();
		int        status = -1, rc = spawn_locked(r, &e);

		if (!rc) {
			pid_t pid = r->pid;

			pthread_mutex_unlock(&r->lock);
			rc = proc_wait(pid, &status, &e);
			pthread_mutex_lock(&r->lock);
			r->pid = 0;
		}
		if (r->stop)
			break;
		pause_ms = clock_mono_now() - begun > STEADY_MS * USEC_PER_MSEC ? RESTART_MIN_MS : pause_ms;
		if (rc)
			log_error("server", "own runner: %s", e.msg);
		else if (status == err_exit_code(WEIR_EBUSY) && replace_earlier(r))
			pause_ms = RESTART_MIN_MS;
		else
			log_warn("server", "own runner ended with status %d; starting it again in %lld ms", status, (long long)pause_ms);
		wait_locked(r, pause_ms);
		pause_ms = pause_ms * 2 > RESTART_MAX_MS ? RESTART_MAX_MS : pause_ms * 2;
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int own_runner_start(const char *data, const char *server_url, const char *token_file, unsigned slots, struct own_runner **ret,
                     struct err *reterr)
{
	struct own_runner *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;
	int                rc;

	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the own runner");
	snprintf(r->data, sizeof(r->data), "%s", data);
	snprintf(r->url, sizeof(r->url), "%s", server_url);
	snprintf(r->token_file, sizeof(r->token_file), "%s", token_file);
	snprintf(r->slots, sizeof(r->slots), "%u", slots);
	rc = fs_self_exe(r->exe, sizeof(r->exe), reterr);
	if (rc) {
		free(r);
		return rc;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&r->thread, NULL, runner_main, r)) {
		free(r);
		return err_set(reterr, WEIR_ENOMEM, "cannot start a thread for the own runner");
	}
	*ret = r;
	return 0;
}

struct own_runner *own_runner_stop(struct own_runner *r)
{
	if (!r)
		return NULL;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	if (r->pid > 0)
		kill(r->pid, SIGTERM);
	pthread_cond_signal(&r->wake);
	for (int waited = 0; r->pid > 0 && waited < STOP_WAIT_MS; waited += 50) {
		pthread_mutex_unlock(&r->lock);
		clock_sleep_ms(50);
		pthread_mutex_lock(&r->lock);
	}
	if (r->pid > 0)
		kill(r->pid, SIGKILL);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}
