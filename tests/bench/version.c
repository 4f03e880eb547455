/* version.c - `./dev bench version`: parses and comparisons per second of each version order, over the suite's shown texts (or
 * four built-in ones without $WEIR_CONFORMANCE). */
#include "base/base.h"
#include "base/fs.h"
#include "lang/version/version.h"

enum { TEXTS_MAX = 5000, ROUNDS = 2000000 };

static size_t read_texts(const char *data, str *texts)
{
	str rest = str_z(data), line, word;
	size_t n = 0;

	while (rest.len && n + 2 < TEXTS_MAX) {
		str_cut(rest, '\n', &line, &rest);
		if (!line.len || line.ptr[0] == '#')
			continue;
		str_cut(line, ' ', &word, &line);
		texts[n++] = word;
		if (line.len > 2)
			texts[n++] = str_sub(line, 2, line.len);
	}
	return n;
}

/* Processor time of this process in microseconds: what others do on a shared machine counts less. */
static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void bench(enum version_order o, const char *data)
{
	static str texts[TEXTS_MAX];
	static struct version *v[TEXTS_MAX];
	struct arena a CLEANUP_ARENA = ARENA_INIT(256 << 20);
	size_t n = read_texts(data, texts), at = 0;
	double began = cpu_us(), parsed, compared;
	int64_t less = 0;

	for (size_t i = 0; i < n; i++)
		if (version_parse(&a, o, texts[i], &v[at], NULL) == 0)
			at++;
	parsed = cpu_us() - began;
	began = cpu_us();
	for (size_t i = 0; i < ROUNDS; i++)
		less += version_compare(v[i % at], v[(i * 7 + 1) % at]) < 0;
	compared = cpu_us() - began;
	printf("%-10s %6.2f M parses/s  %7.1f M comparisons/s  (%zu texts, %lld%% less)\n", version_order_name(o),
		   (double)at / parsed, ROUNDS / compared, at, (long long)(less * 100 / ROUNDS));
}

int main(void)
{
	const char *dir = getenv("WEIR_CONFORMANCE");

	for (int o = 0; o < VERSION_ORDERS; o++) {
		struct buf data CLEANUP_BUF = BUF_INIT(64 << 20);
		char path[4096];

		snprintf(path, sizeof(path), "%s/versions/compare/%s.txt", dir ? dir : "", version_order_name((enum version_order)o));
		if (!dir || fs_read(path, &data, NULL))
			buf_addz(&data, "1.0.0 < 1.0.1\n1.0.0-rc1 < 1.0.0\n");
		bench((enum version_order)o, buf_z(&data));
	}
	return 0;
}
