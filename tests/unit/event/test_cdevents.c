/* test_cdevents.c - every event type that names a CDEvents type becomes one that fits the public schema. */
#include "lib/test.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/proc.h"
#include "event/log.h"

#include <unistd.h>

/* A value for each field of the type's line; `full` also the optional ones. */
static void example_data(enum event_type t, bool full, struct buf *out)
{
	str       fields = str_z(event_type_fields(t)), word, name, type;
	struct jw w;

	jw_init(&w, out);
	jw_obj(&w);
	while (fields.len) {
		(void)str_cut(fields, ' ', &word, &fields);
		(void)str_cut(word, ':', &name, &type);
		if (str_has_suffix(name, STR("?"))) {
			if (!full)
				continue;
			name.len--;
		}
		jw_key_n(&w, name);
		switch (type.ptr[0]) {
		case 's': jw_fmt(&w, "%.*s: a/b%%", STR_ARG(name)); break;
		case 'i': jw_int(&w, 7); break;
		case 'n': jw_num(&w, 0.5); break;
		case 'b': jw_bool(&w, true); break;
		case 'o': jw_obj(&w); jw_end(&w); break;
		default: jw_arr(&w); jw_end(&w); break;
		}
	}
	jw_end(&w);
}

static bool example(enum event_type t, bool full, str source, struct buf *out)
{
	struct buf data      CLEANUP_BUF = BUF_INIT(10000);
	struct buf canonical CLEANUP_BUF = BUF_INIT(10000);
	struct err           e = { 0 };
	struct event         ev = { .project = STR("shop"), .seq = 3, .time = 1700000000123456, .type = str_z(event_type_name(t)),
		                    .actor = STR("token:t") };
	struct jw            w;

	example_data(t, full, &data);
	assert_ok(event_data_check(t, buf_str(&data), &canonical, &e), &e);
	ev.data = buf_str(&canonical);
	jw_init(&w, out);
	return event_write_cdevent(&ev, source, &w);
}

static void test_exactly_the_named(void **s UNUSED)
{
	for (int t = EVENT_NONE + 1; t < EVENT_TYPE_MAX; t++) {
		struct buf out CLEANUP_BUF = BUF_INIT(10000);

		assert_int_equal(example(t, true, STR("https://weir.example"), &out), *event_type_cdevent(t) != 0);
	}
}

static void test_form(void **s UNUSED)
{
	struct buf out CLEANUP_BUF = BUF_INIT(10000);
	struct event   ev = { .project = STR("shop"), .seq = 9, .time = 1700000000123456, .type = STR("run.finished"), .actor = STR("weir"),
		              .data = STR("{\"cause\":\"2 tests\",\"result\":\"failure\",\"run\":\"01J\",\"workflow\":\"ci\"}") };
	struct jw      w;

	jw_init(&w, &out);
	assert_true(event_write_cdevent(&ev, STR("https://weir.example/"), &w));
	assert_string_equal(
	    buf_z(&out),
	    "{\"context\":{\"specversion\":\"0.5.0\",\"id\":\"shop/9\",\"source\":\"https://weir.example\",\"type\":\"dev.cdevents.pipelinerun.finished"
	    ".0.3.0\",\"timestamp\":\"2023-11-14T22:13:20.123456Z\"},\"subject\":{\"id\":\"01J\",\"source\":\"https://weir.example\",\"content\":{"
	    "\"pipelineName\":\"ci\",\"uri\":\"https://weir.example/api/v1/runs/01J\",\"outcome\":\"failure\",\"errors\":\"2 tests\"}},\"customData\":"
	    "{\"cause\":\"2 tests\",\"result\":\"failure\",\"run\":\"01J\",\"workflow\":\"ci\"},\"customDataContentType\":\"application/json\"}");
}

static void test_schemas(void **s UNUSED)
{
	char            dir[256], file[300], schemas[4096];
	struct buf lines CLEANUP_BUF = BUF_INIT(1 << 20);
	struct buf said  CLEANUP_BUF = BUF_INIT(1 << 16);
	const char      *conformance = test_conformance_dir(), *script = getenv("WEIR_CHECK_CDEVENTS");
	struct err       e = { 0 };
	int              status = 0;
	struct proc_run  run = { .timeout_ms = 60000, .out = &said, .err = &said };

	if (!conformance || !script) {
		printf("skipped: WEIR_CONFORMANCE is not set\n");
		skip();
	}
	for (int t = EVENT_NONE + 1; t < EVENT_TYPE_MAX; t++)
		for (int full = 0; full < 2; full++)
			if (example(t, full, STR("https://weir.example"), &lines))
				buf_addc(&lines, '\n');
	assert_ok(buf_check(&lines, "lines", &e), &e);
	assert_ok(fs_temp_dir("weir-test-cdevents", dir, sizeof(dir), &e), &e);
	(void)snprintf(file, sizeof(file), "%s/events.jsonl", dir);
	(void)snprintf(schemas, sizeof(schemas), "%s/sbom/cdevents/schemas", conformance);
	assert_ok(fs_write_quick(file, buf_str(&lines), 0600, &e), &e);
	run.argv = (const char *const[]){ "python3", script, schemas, file, NULL };
	assert_ok(proc_run(&run, &status, &e), &e);
	assert_ok(fs_remove_tree(dir, &e), &e);
	if (status == 77) {
		printf("skipped: the Python package jsonschema is not installed\n");
		skip();
	}
	printf("%s", buf_z(&said));
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exactly_the_named),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_schemas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
