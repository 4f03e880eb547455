/* The swap of the table: readers in several threads always see a whole set of one revision, and what they do not see any more is freed. */
#include "lib/test.h"

#include "flag/flag-eval.h"
#include "flag/flag-table.h"

#include <pthread.h>
#include <stdatomic.h>

enum { READERS = 4, SWAPS = 300 };

static struct flag_tables *tables;
static atomic_bool         stop;
static atomic_long         reads;

/* Two flags that every revision gives the same value. */
static struct flag_entry *entry(int64_t revision)
{
	char                 text[128];
	struct flag_entry    like = { .id = (char[]){ "p/s" }, .project = (char[]){ "p" }, .name = (char[]){ "s" }, .environment = (char[]){ "" } };
	struct flag_set_head head = { .id = STR("p/s"), .revision = revision, .evaluators = STR(""), .metadata = STR("") };
	struct flag_set     *s;
	struct err           e = { 0 };

	snprintf(text, sizeof(text), "{\"state\":\"ENABLED\",\"variants\":{\"v\":%lld},\"defaultVariant\":\"v\"}", (long long)revision);
	struct flag_text t[] = { { STR("a"), str_z(text) }, { STR("b"), str_z(text) } };
	assert_ok(flag_set_build(NULL, &head, t, 2, &s, &e), &e);
	return flag_entry_new(&like, s);
}

static void *reader(void *arg)
{
	while (!atomic_load(&stop)) {
		const struct flag_entry *e = flag_table_find(flag_read_begin(tables), STR("p/s"));
		str                      a = flag_set_find(e->set, STR("a"))->variants[0].json, b = flag_set_find(e->set, STR("b"))->variants[0].json;

		if (!str_eq(a, b))
			*(bool *)arg = true;
		flag_read_end(tables);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

static void test_swaps(void **state UNUSED)
{
	pthread_t  threads[READERS];
	bool       torn[READERS] = { false };
	struct err e = { 0 };

	tables = flag_tables_new();
	assert_ok(flag_tables_put(tables, "p/s", entry(1), &e), &e);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &torn[i]), 0);
	for (int i = 2; i < SWAPS; i++)
		assert_ok(flag_tables_put(tables, "p/s", entry(i), &e), &e);
	while (atomic_load(&reads) < 10 * READERS)
		sched_yield();
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		assert_false(torn[i]);
	}
	tables = flag_tables_free(tables);
}

static void test_order(void **state UNUSED)
{
	struct err e = { 0 };

	tables = flag_tables_new();
	for (int i = 0; i < 20; i++) {
		char              id[16];
		struct flag_entry like = { .id = id, .project = id, .name = id, .environment = id };
		struct flag_set_head head = { .id = STR("x"), .revision = 1, .evaluators = STR(""), .metadata = STR("") };
		struct flag_set  *s;

		snprintf(id, sizeof(id), "p/%d", (i * 7) % 20);
		assert_ok(flag_set_build(NULL, &head, NULL, 0, &s, &e), &e);
		assert_ok(flag_tables_put(tables, id, flag_entry_new(&like, s), &e), &e);
	}
	assert_ok(flag_tables_put(tables, "p/3", NULL, &e), &e);
	assert_int_equal(flag_read_begin(tables)->n, 19);
	flag_read_end(tables);
	assert_null(flag_table_find(flag_read_begin(tables), STR("p/3")));
	flag_read_end(tables);
	assert_non_null(flag_table_find(flag_read_begin(tables), STR("p/4")));
	flag_read_end(tables);
	tables = flag_tables_free(tables);
}

static void put(const char *project, const char *name, const char *flag_set_id)
{
	char                 id[32], metadata[64];
	struct flag_entry    like = { .id = id, .project = (char *)(uintptr_t)project, .name = (char *)(uintptr_t)name, .environment = (char[]){ "" } };
	struct flag_set_head head = { .id = STR("x"), .revision = 1, .evaluators = STR("") };
	struct flag_set     *s;
	struct err           e = { 0 };

	snprintf(id, sizeof(id), "%s/%s", project, name);
	snprintf(metadata, sizeof(metadata), "{\"flagSetId\":\"%s\"}", flag_set_id);
	head.metadata = str_z(metadata);
	assert_ok(flag_set_build(NULL, &head, NULL, 0, &s, &e), &e);
	assert_ok(flag_tables_put(tables, id, flag_entry_new(&like, s), &e), &e);
}

/* By project, flagSetId and name: all that match and no other, also where names are beginnings of others. */
static void test_other_names(void **state UNUSED)
{
	const struct flag_table  *t;
	struct flag_entry *const *v;
	size_t                    n;

	tables = flag_tables_new();
	put("p", "a", "one");
	put("p", "b", "two");
	put("p-q", "a", "two");
	put("p.q", "z", "three");
	put("pp", "a", "on");
	t = flag_read_begin(tables);
	v = flag_table_of_project(t, "p", &n);
	assert_int_equal(n, 2);
	assert_string_equal(v[0]->id, "p/a");
	assert_string_equal(v[1]->id, "p/b");
	assert_string_equal(flag_table_of_project(t, "pp", &n)[0]->id, "pp/a");
	assert_int_equal(n, 1);
	flag_table_of_project(t, "q", &n);
	assert_int_equal(n, 0);
	assert_string_equal(flag_table_of_set_id(t, STR("one"), &n)[0]->id, "p/a");
	assert_int_equal(n, 1);
	flag_table_of_set_id(t, STR("two"), &n);
	assert_int_equal(n, 2);
	flag_table_of_set_id(t, STR("tw"), &n);
	assert_int_equal(n, 0);
	flag_table_of_name(t, STR("a"), &n);
	assert_int_equal(n, 3);
	flag_read_end(tables);
	tables = flag_tables_free(tables);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_swaps), cmocka_unit_test(test_order), cmocka_unit_test(test_other_names) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
