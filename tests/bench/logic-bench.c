/* logic-bench.c - `./dev bench logic` runs it: nanoseconds and allocations per evaluation of the cases of tests/bench/logic.json.
 *
 * logic-bench FILE: prints one line "NAME NANOSECONDS ALLOCATIONS BYTES" per case, of processor time; BYTES is the compiled rule's size. Every
 * allocation of the process is counted while the rules run. */
#include "base/base.h"
#include "base/fs.h"
#include "lang/logic/logic.h"

enum { RUNS = 2000000, WARM = 200000 };

static size_t allocations;

void *__libc_malloc(size_t n); /* glibc's own, behind the counting ones */
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}
void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

/* Processor time of this process: what others do on a shared machine counts less. */
static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int bench(struct arena *a, const char *name, const struct doc_node *c, struct err *reterr)
{
	struct logic_options o = { .dialect = LOGIC_FLAGD };
	struct logic_env env = { .flag_key = str_z(name), .timestamp = 1700000000, .scratch = a };
	struct logic_value v = logic_null(), want;
	struct logic_rule *rule;
	size_t before, size = a->used;
	double began, took;
	int r = logic_compile(a, doc_get(c, "rule"), &o, &rule, reterr);

	size = a->used - size;
	if (!r)
		r = logic_from_doc(a, doc_get(c, "context"), &env.data, reterr);
	if (!r)
		r = logic_from_doc(a, doc_get(c, "result"), &want, reterr);
	for (size_t i = 0; i < WARM && !r; i++)
		r = logic_eval(rule, &env, &v, reterr);
	before = allocations;
	began = cpu_ns();
	for (size_t i = 0; i < RUNS && !r; i++)
		r = logic_eval(rule, &env, &v, reterr);
	took = cpu_ns() - began;
	if (!r && (v.kind != want.kind || !str_eq(logic_text(v), logic_text(want))))
		r = err_set(reterr, WEIR_EINVAL, "%s: another result than the file says", name);
	if (!r)
		printf("%s %.1f %.3f %zu\n", name, took / RUNS, (double)(allocations - before) / RUNS, size);
	return r;
}

int main(int argc, char **argv)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(64 << 20);
	struct buf data CLEANUP_BUF = BUF_INIT(1 << 20);
	struct doc_node *cases;
	struct err err = { 0 };
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: logic-bench FILE\n");
		return 2;
	}
	r = fs_read(argv[1], &data, &err);
	if (!r)
		r = doc_parse_json(&a, argv[1], buf_str(&data), &cases, &err);
	for (size_t i = 0; !r && i < doc_len(cases); i++)
		r = bench(&a, cases->map.pairs[i].key.ptr, cases->map.pairs[i].value, &err);
	if (r)
		fprintf(stderr, "%s\n", err.msg);
	return r ? 1 : 0;
}
