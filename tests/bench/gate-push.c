/* gate-push.c - time of the gate over HEAD~1..HEAD of a repository, with its rules loaded: gate-push REPO */
#include "base/base.h"
#include "base/hash.h"
#include "gate/gate.h"

enum { ROUNDS = 200 };

static int by_size(const void *a, const void *b)
{
	usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;

	return (x > y) - (x < y);
}

static int one_push(struct gate *g, const char *path, usec_t *ret_took, struct err *reterr)
{
	struct change    c = { .project = STR("bench"), .ref = STR("refs/heads/main") };
	struct arena     a = ARENA_INIT(64 << 20);
	struct git_repo *r;
	struct verdict   v;
	usec_t           begun = clock_mono_now();
	int              rc = git_repo_open(path, NULL, &r, reterr);

	if (rc)
		return rc;
	rc = git_resolve(r, "HEAD~1", c.old_id, reterr);
	if (!rc)
		rc = git_resolve(r, "HEAD", c.new_id, reterr);
	if (!rc)
		rc = git_repo_set_known_refs(r, NULL, reterr); /* HEAD is the only branch here: a push has not moved it yet */
	c.repo = r;
	c.target = c.old_id;
	if (!rc)
		rc = gate_check_change(g, &c, &a, &v, reterr);
	git_repo_close(r);
	arena_fini(&a);
	*ret_took = clock_mono_now() - begun;
	return rc ? rc : v.call == VERDICT_PASS ? 0 : err_set(reterr, WEIR_EINVAL, "the verdict is %s", gate_call_name(v.call));
}

int main(int argc, char **argv)
{
	static usec_t      took[ROUNDS];
	struct gate_config cfg = { .cache_dir = getenv("WEIR_BENCH_CACHE") };
	struct gate       *g;
	struct err         e = { 0 };
	usec_t             begun = clock_mono_now();
	int                rc;

	base_init();
	rc = argc == 2 ? gate_new(&cfg, &g, &e) : err_set(&e, WEIR_EINVAL, "usage: gate-push REPO");
	begun = clock_mono_now() - begun;
	for (int i = 0; !rc && i < ROUNDS; i++)
		rc = one_push(g, argv[1], &took[i], &e);
	if (rc) {
		fprintf(stderr, "%s\n", e.msg);
		return 2;
	}
	qsort(took, ROUNDS, sizeof *took, by_size);
	printf("push path: the gate over one commit with 100 changed files, %d times: median %.2f ms, p99 %.2f ms; gate opened in %.0f ms\n", ROUNDS,
	       (double)took[ROUNDS / 2] / 1e3, (double)took[ROUNDS * 99 / 100] / 1e3, (double)begun / 1e3);
	gate_free(g);
	return 0;
}
