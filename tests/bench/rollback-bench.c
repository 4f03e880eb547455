/* rollback-bench.c - how long users feel a dead change: N releases on which every request answers 500, under 200 requests/s from hey, 5% to the canary.
 *
 * Real HAProxy, s6 and bubblewrap; time from the first bad answer to the last one as HAProxy's records have it, and how many requests failed.
 * usage: rollback-bench [N]; prints one JSON object, and exits non-zero when the aim (p99 under 1 s, median of failed requests at most 6) is missed. */
#include "lib/test.h"

#include "release/room.inc.h"

enum { RUNS_MAX = 1000 };

static const char *yaml(const char *env)
{
	static char text[1000];

	snprintf(text, sizeof(text),
	         "service: shop\ncommand: [/usr/bin/python3, app.py]\nhealth: {path: /healthz, interval: 200ms}\nroute: {host: shop.localhost}\n"
	         "client: connection\nstop-grace: 2s\nenvironments: {production: {env: {%s}}}\nrollout: {steps: [5%%, 100%%], bake: 1s}\n",
	         env);
	return text;
}

static pid_t load_spawn(void)
{
	char             url[64];
	const char      *argv[] = { "hey", "-z", "3h", "-c", "40", "-q", "5", "-host", "shop.localhost", url, NULL };
	struct proc_spec spec = PROC_SPEC_INIT;
	pid_t            pid;
	int CLEANUP_FD   null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/", release_http_port(fx.room));
	spec.argv = argv;
	spec.fd_out = spec.fd_err = null_fd;
	FX_OK(proc_spawn(&spec, &pid, &fx_err));
	return pid;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double percentile(const double *v, size_t n, double p)
{
	size_t i = (size_t)((double)n * p);

	return v[i < n ? i : n - 1];
}

static bool one(double *ret_ms, double *ret_failed)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(16 << 20);
	const struct doc_node *r, *segs;
	char                   id[ID_SIZE];
	usec_t                 until = clock_mono_now() + 60 * USEC_PER_SEC;

	if (fx_release(yaml("FAIL: \"1\""), "production", id) != 201)
		return false;
	while (!fx_over(id) && clock_mono_now() < until)
		clock_sleep_ms(20);
	clock_sleep_ms(400); /* its last answers */
	r = fx_get(id, &a);
	*ret_ms = (double)(doc_get_int(r, "last_bad_at", 0) - doc_get_int(r, "first_bad_at", 0)) / 1000;
	*ret_failed = 0;
	segs = doc_get(r, "segments");
	for (size_t i = 0; i < doc_len(segs); i++)
		*ret_failed += (double)doc_get_int(doc_at(segs, i), "failed_canary", 0);
	return str_eqz(doc_get_str(r, "state"), "rolled-back");
}

int main(int argc, char **argv)
{
	static double ms[RUNS_MAX], failed[RUNS_MAX];
	uint64_t      n = 100;
	pid_t         load;
	char          id[ID_SIZE];
	unsigned      missed = 0;
	int           status;
	bool          ok;

	if (argc > 1 && (!str_to_u64(str_z(argv[1]), &n) || n < 1 || n > RUNS_MAX))
		return fprintf(stderr, "usage: rollback-bench [N]\n"), 2;
	base_init();
	log_set_level(LOG_ERROR);
	fx_setup(NULL);
	fx_upload();
	if (fx_release(yaml(""), "production", id) != 201)
		BUG("the first version was not accepted");
	while (!fx_over(id))
		clock_sleep_ms(50);
	load = load_spawn();
	clock_sleep_ms(2000);
	for (uint64_t i = 0; i < n; i++) {
		missed += !one(&ms[i], &failed[i]);
		if (isatty(2))
			fprintf(stderr, "\r%llu of %llu", (unsigned long long)i + 1, (unsigned long long)n);
	}
	kill(load, SIGTERM);
	(void)!proc_wait(load, &status, NULL);
	fx_teardown(NULL);
	qsort(ms, n, sizeof(double), by_value);
	qsort(failed, n, sizeof(double), by_value);
	ok = !missed && percentile(ms, n, 0.99) < 1000 && percentile(failed, n, 0.5) <= 6;
	printf("{\"bench\":\"rollback\",\"n\":%llu,\"requests_per_s\":200,\"share\":0.05,\"first_to_last_bad_ms\":{\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f},"
	       "\"failed_requests\":{\"p50\":%.0f,\"p99\":%.0f,\"max\":%.0f},\"not_rolled_back\":%u,\"ok\":%s}\n",
	       (unsigned long long)n, percentile(ms, n, 0.5), percentile(ms, n, 0.99), ms[n - 1], percentile(failed, n, 0.5), percentile(failed, n, 0.99),
	       failed[n - 1], missed, ok ? "true" : "false");
	return ok ? 0 : 1;
}
