/* flag-set-bench.c - a large set of flags: how long it takes to build and to change, what it holds in memory, what an evaluation takes.
 * flag-set-bench [FLAGS]: half of them with targeting, every tenth by percentage. One thread, no server. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-eval.h"

#include <sys/resource.h>
#include <time.h>

enum { EVALUATIONS = 2000000, EDITS = 50 };

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mib(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long  pages = 0;

	if (f && fscanf(f, "%*d %ld", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * 4096 / (1 << 20);
}

static str definition(struct arena *a, size_t i, bool on)
{
	static const char targeted[] = ",\"targeting\":{\"if\":[{\"and\":[{\"ends_with\":[{\"var\":\"email\"},\"@example.org\"]},"
								   "{\"in\":[{\"var\":\"country\"},[\"de\",\"fr\"]]}]},\"on\",null]}";
	static const char split[] = ",\"targeting\":{\"fractional\":[[\"on\",20],[\"off\",80]]}";

	return str_z(arena_printf(a, "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"%s\"%s}", on ? "on" : "off",
							  i % 10 == 0 ? split : i % 2 ? targeted : ""));
}

static struct flag_set *build(const struct flag_set *before, int64_t revision, const struct flag_text *texts, size_t n)
{
	struct flag_set_head head = { .id = STR("bench/large"), .revision = revision, .evaluators = STR(""), .metadata = STR("") };
	struct flag_set     *s = NULL;
	struct err           err = { 0 };

	if (flag_set_build(before, &head, texts, n, &s, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	return s;
}

static void edits(struct flag_set *s, const struct flag_text *texts, size_t n)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	double                     begin = seconds(), took;

	for (size_t i = 0; i < EDITS; i++) {
		struct flag_text t = { texts[i * 7919 % n].key, definition(&a, i, true) };
		struct flag_set *next = build(s, (int64_t)i + 2, &t, 1);

		flag_set_unref(next);
	}
	took = seconds() - begin;
	printf("one edit: %.2f ms (mean of %d)\n", took * 1000 / EDITS, EDITS);
}

static void evaluations(const struct flag_set *s, const struct flag_text *texts, size_t n)
{
	struct logic_pair   pairs[] = { { .key = "targetingKey", .key_len = 12, .value = logic_string(STR("user-4711")) },
									{ .key = "email", .key_len = 5, .value = logic_string(STR("someone@example.org")) },
									{ .key = "country", .key_len = 7, .value = logic_string(STR("de")) } };
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct flag_context c = { .scratch = &a };
	struct err          err = { 0 };
	size_t              matched = 0;
	double              begin, took;

	if (logic_object(&a, pairs, ARRAY_SIZE(pairs), &c.data, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		exit(1);
	}
	begin = seconds();
	for (size_t i = 0; i < EVALUATIONS; i++) {
		struct flag_answer answer;

		flag_evaluate(s, texts[i * 7919 % n].key, FLAG_BOOL, &c, &answer);
		matched += answer.reason == FLAG_TARGETING_MATCH;
	}
	took = seconds() - begin;
	printf("one evaluation, a flag at random: %.0f ns (%zu of %d by a rule)\n", took * 1e9 / EVALUATIONS, matched, EVALUATIONS);
}

int main(int argc, char **argv)
{
	size_t                     n, bytes = 0;
	uint64_t                   asked = 1000000;
	struct arena CLEANUP_ARENA a = ARENA_INIT((size_t)4 << 30);
	struct flag_text          *texts;
	struct flag_set           *s;
	struct rusage              u;
	double                     before, begin, took;

	if (argc > 1 && (!str_to_u64(str_z(argv[1]), &asked) || !asked || asked > LIMIT_FLAGS)) {
		fprintf(stderr, "usage: flag-set-bench [FLAGS], 1 to %d\n", LIMIT_FLAGS);
		return 2;
	}
	n = (size_t)asked;
	texts = calloc(n, sizeof(*texts));
	for (size_t i = 0; texts && i < n; i++) {
		texts[i] = (struct flag_text){ str_z(arena_printf(&a, "team-%zu/flag-%zu", i % 100, i)), definition(&a, i, false) };
		bytes += texts[i].key.len + texts[i].json.len;
	}
	before = resident_mib();
	begin = seconds();
	s = build(NULL, 1, texts, n);
	took = seconds() - begin;
	getrusage(RUSAGE_SELF, &u);
	printf("%zu flags: built in %.2f s, %.0f MiB (%.0f bytes a flag; their keys and texts are %.0f), most at any time %.0f MiB over the texts\n", flag_set_count(s), took,
		   resident_mib() - before, (resident_mib() - before) * (1 << 20) / (double)n, (double)bytes / (double)n, (double)u.ru_maxrss / 1024 - before);
	edits(s, texts, n);
	evaluations(s, texts, n);
	flag_set_unref(s);
	free(texts);
	return 0;
}
