/* gate-history.c - scans the whole history of a repository for credentials: gate-history REPO [THREADS] [-v]
 *
 * What `weir check --history` does, without the rest of the program, for tests/bench/gate. Prints one line of figures; -v the
 * report before it. The folder $WEIR_BENCH_CACHE keeps the compiled rules. */
#include "base/base.h"
#include "base/hash.h"
#include "gate/gate.h"

#include <sys/resource.h>

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec / 1e6; }

static int scan(const char *path, unsigned threads, bool verbose, struct err *reterr)
{
	struct arena       a = ARENA_INIT(1U << 30);
	struct gate_config cfg = { .cache_dir = getenv("WEIR_BENCH_CACHE"), .threads = threads };
	struct gate_stats  st = { 0 };
	struct gate       *g = NULL;
	struct git_repo   *r = NULL;
	struct verdict     v;
	struct rusage      ru;
	struct buf         text = BUF_INIT(1 << 28);
	usec_t             begun, opened, done;
	int                rc = (begun = clock_mono_now(), gate_new(&cfg, &g, reterr));

	if (!rc)
		rc = git_repo_open(path, NULL, &r, reterr);
	opened = clock_mono_now();
	if (!rc)
		rc = gate_check_history(g, r, NULL, &a, &v, &st, reterr);
	done = clock_mono_now();
	if (!rc && verbose) {
		gate_report_text(&v, &text, false);
		printf("%s", buf_z(&text));
	}
	getrusage(RUSAGE_SELF, &ru);
	if (!rc)
		printf("{\"verdict\":\"%s\",\"findings\":%zu,\"blobs\":%llu,\"mib\":%.1f,\"open_s\":%.3f,\"scan_s\":%.3f,\"cpu_s\":%.3f,\"rss_kib\":%ld}\n",
		       gate_call_name(v.call), v.n_findings + v.n_dropped, (unsigned long long)st.blobs, (double)st.bytes / (1 << 20),
		       (double)(opened - begun) / 1e6, (double)(done - opened) / 1e6, seconds(ru.ru_utime) + seconds(ru.ru_stime), ru.ru_maxrss);
	buf_fini(&text);
	gate_free(g);
	git_repo_close(r);
	arena_fini(&a);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = { 0 };

	base_init();
	if (argc < 2) {
		fprintf(stderr, "usage: gate-history REPO [THREADS] [-v]\n");
		return 2;
	}
	if (scan(argv[1], argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, argc > 3, &e)) {
		fprintf(stderr, "%s\n", e.msg);
		return 2;
	}
	return 0;
}
