/* Golden paths: every template renders, reads with the strict readers, and passes its own tests; bad values are refused; nothing
 * half. */
#include "tests/lib/test.h"

#include "base/fs.h"
#include "base/proc.h"
#include "doc/doc.h"
#include "flag/flag-def.h"
#include "golden/golden-internal.h"
#include "pipeline/plan.h"
#include "release/service-file.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	struct arena a;
	char dir[PATH_MAX], target[PATH_MAX + 8];
	struct golden_template *templates;
	size_t n;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	arena_init(&f->a, 64 << 20);
	if (fs_temp_dir("weir-golden-", f->dir, sizeof(f->dir), &f->err) || golden_list(&f->a, &f->templates, &f->n, &f->err))
		fail_msg("%s", f->err.msg);
	snprintf(f->target, sizeof(f->target), "%s/shop", f->dir);
	*state = f;
	return 0;
}
static int teardown(void **state)
{
	struct fixture *f = *state;
	int r = fs_remove_tree(f->dir, &f->err);

	arena_fini(&f->a);
	free(f);
	return r;
}

static str read_file(struct fixture *f, const char *name)
{
	struct buf text CLEANUP_BUF = BUF_INIT(1 << 20);
	char path[PATH_MAX];

	assert_ok(fs_join(path, sizeof(path), &f->err, f->target, name), &f->err);
	assert_ok(fs_read(path, &text, &f->err), &f->err);
	return arena_str(&f->a, buf_str(&text));
}

static size_t count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void render_next(struct fixture *f, str template_name, const char *project, const struct golden_value *values, size_t n)
{
	assert_ok(fs_remove_tree(f->target, &f->err), &f->err);
	assert_ok(golden_render(template_name, str_z(project), values, n, f->target, NULL, &f->err), &f->err);
}

static void test_list(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->n, 2);
	assert_str(f->templates[0].name, "http-c");
	assert_str(f->templates[1].name, "http-python");
	for (size_t i = 0; i < f->n; i++) {
		assert_true(f->templates[i].summary.len > 0);
		assert_true(f->templates[i].version > 0);
	}
}

/* The embedded names against the folder: a file that the build does not list would be missing from projects. */
static size_t count_files(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[PATH_MAX];
		struct stat st;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, "__pycache__"))
			continue;
		assert_true(snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < PATH_MAX);
		assert_int_equal(lstat(path, &st), 0);
		n += S_ISDIR(st.st_mode) ? count_files(path) : 1;
	}
	closedir(d);
	return n;
}

static const struct golden_value with_flags = { { "flags", 5 }, { "yes", 3 } };

static size_t files_of_switches(const struct golden_template *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n_params; i++)
		n += t->params[i].n_files;
	return n;
}

static void test_no_file_is_forgotten(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < f->n; i++) {
		char source[PATH_MAX];

		snprintf(source, sizeof(source), "%s/src/golden/templates/%.*s", SOURCE_DIR, STR_ARG(f->templates[i].name));
		render_next(f, f->templates[i].name, "shop", &with_flags, 1);
		assert_int_equal(count_files(f->target) + 1, count_files(source)); /* template.yaml describes, and is not copied */
		render_next(f, f->templates[i].name, "shop", NULL, 0);
		assert_int_equal(count_files(f->target) + 1 + files_of_switches(&f->templates[i]), count_files(source));
	}
}

static void check_readers(struct fixture *f, const char *name)
{
	struct workflow *w;
	struct service_file s;

	assert_ok(workflow_parse(&f->a, ".github/workflows/ci.yml", read_file(f, ".github/workflows/ci.yml"), &w, &f->err), &f->err);
	assert_int_equal(w->n_jobs, 2);
	assert_ok(service_file_parse(&f->a, read_file(f, ".weir/service.yaml"), &s, &f->err), &f->err);
	assert_int_equal(s.n, 1);
	assert_str(s.services[0].name, name);
	assert_string_equal(s.services[0].health_path, "/healthz");
}

static void check_flags(struct fixture *f)
{
	struct flag_set_def def;
	struct service_file s;
	struct doc_node    *root;
	struct doc_check    c;

	assert_ok(doc_parse_json(&f->a, "production.json", read_file(f, ".weir/flags/production.json"), &root, &f->err), &f->err);
	doc_check_init(&c, &f->a, "production.json");
	flag_set_def_read(&c, root, &def);
	assert_ok(doc_check_result(&c, &f->err), &f->err);
	assert_int_equal(def.n_flags, 1);
	assert_ok(service_file_parse(&f->a, read_file(f, ".weir/service.yaml"), &s, &f->err), &f->err);
	assert_str(s.services[0].envs[0].flags, "production");
}

/* Names that YAML, a shell or a compiler may take for something else. */
static void test_strict_readers(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "shop", "no", "true", "y", "null", "a-1", "e1", "int" };

	for (size_t i = 0; i < f->n; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			struct doc_node *origin;

			render_next(f, f->templates[i].name, names[k], &with_flags, 1);
			check_readers(f, names[k]);
			check_flags(f);
			render_next(f, f->templates[i].name, names[k], NULL, 0);
			check_readers(f, names[k]);
			assert_ok(doc_parse_yaml(&f->a, "template.yaml", read_file(f, ".weir/template.yaml"), &origin, &f->err), &f->err);
			assert_true(str_eq(doc_get_str(origin, "template"), f->templates[i].name));
			assert_int_equal(doc_get_int(origin, "version", 0), f->templates[i].version);
			assert_str(doc_get_str(doc_get(origin, "parameters"), "name"), names[k]);
			assert_int_equal(doc_len(doc_get(origin, "parameters")), f->templates[i].n_params + 1);
		}
	}
}

static void run(struct fixture *f, const char *const *argv)
{
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);
	struct proc_run p = { .argv = argv, .cwd = f->target, .timeout_ms = 300000, .out = &out, .err = &out };
	int status;

	assert_ok(proc_run(&p, &status, &f->err), &f->err);
	if (status)
		fail_msg("%s ended with %d:\n%s", argv[0], status, buf_z(&out));
}

static void test_python_passes_its_tests(void **state)
{
	struct fixture *f = *state;

	render_next(f, STR("http-python"), "shop", NULL, 0);
	run(f, (const char *const[]){ "python3", "-m", "unittest", "discover", "-s", "tests", NULL });
	render_next(f, STR("http-python"), "class", NULL, 0); /* a keyword */
	run(f, (const char *const[]){ "python3", "-c", "import app; assert app.NAME == 'class'", NULL });
}

static void test_c_passes_its_tests(void **state)
{
	struct fixture *f = *state;

	render_next(f, STR("http-c"), "ledger", NULL, 0);
	run(f, (const char *const[]){ "make", "-s", "all", "test", "CFLAGS=-O1 -Werror", NULL });
	assert_int_equal(access(f->target, R_OK), 0);
	render_next(f, STR("http-c"), "ledger", &with_flags, 1);
	run(f, (const char *const[]){ "make", "-s", "all", "test", "CFLAGS=-O1 -Werror", NULL });
	render_next(f, STR("http-c"), "test", NULL, 0); /* the name of a make target and of another program */
	run(f, (const char *const[]){ "make", "-s", "all", "CFLAGS=-O0", NULL });
}

static void test_parameters(void **state)
{
	struct fixture *f = *state;
	const struct golden_value values[] = {
		{ STR("description"), STR("Sells <b>\"bread\"</b>: & more # {{name}} $(id)") },
		{ STR("host"), STR("shop.example.org") },
		{ STR("client"), STR("connection") },
	};
	struct doc_node *origin;

	render_next(f, STR("http-python"), "shop", values, 3);
	check_readers(f, "shop");
	assert_true(
		str_contains(read_file(f, "README.md"), STR("Sells &lt;b&gt;&quot;bread&quot;&lt;/b&gt;: &amp; more # {{name}} $(id)")));
	assert_true(str_contains(read_file(f, ".weir/service.yaml"), STR("route: {host: shop.example.org}")));
	assert_true(str_contains(read_file(f, ".weir/service.yaml"), STR("client: connection")));
	assert_ok(doc_parse_yaml(&f->a, "template.yaml", read_file(f, ".weir/template.yaml"), &origin, &f->err), &f->err);
	assert_true(str_eq(doc_get_str(doc_get(origin, "parameters"), "description"), values[0].value));
}

static void check_refused(struct fixture *f, const char *template_name, const char *project, const char *key, const char *value,
						  int code, const char *want)
{
	const struct golden_value v = { str_z(key), str_z(value) };
	int r = golden_render(str_z(template_name), str_z(project), &v, key != NULL, f->target, NULL, &f->err);

	if (r != -code || !strstr(f->err.msg, want))
		fail_msg("%s=%s: expected %s '%s', seen %s '%s'", key, value, err_name(code), want, r ? err_name(r) : "0", f->err.msg);
	assert_int_equal(count_entries(f->dir), 0);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const bad_names[] = { "",
											 "Shop",
											 "1shop",
											 "-x",
											 "x-",
											 "a/b",
											 "..",
											 "a.b",
											 "a b",
											 "a\"b",
											 "a\nb",
											 "\xc3\xa9",
											 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddx" };

	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++)
		check_refused(f, "http-python", bad_names[i], NULL, NULL, WEIR_EINVAL, "project name");
	check_refused(f, "http-pyton", "shop", NULL, NULL, WEIR_ENOENT, "did you mean 'http-python'");
	check_refused(f, "http-python", "shop", "hots", "x", WEIR_EINVAL, "did you mean 'host'");
	check_refused(f, "http-python", "shop", "host", "a.b}\ncommand: [rm]", WEIR_EINVAL, "parameter 'host' must be a host name");
	check_refused(f, "http-python", "shop", "host", "-a", WEIR_EINVAL, "host name");
	check_refused(f, "http-python", "shop", "client", "a: b", WEIR_EINVAL, "parameter 'client' must be a word");
	check_refused(f, "http-python", "shop", "flags", "maybe", WEIR_EINVAL, "parameter 'flags' must be yes or no");
	check_refused(f, "http-python", "shop", "description", "two\nlines", WEIR_EINVAL, "one line");
	check_refused(f, "http-python", "shop", "description", "\x1b[31mred", WEIR_EINVAL, "one line");
	check_refused(f, "http-python", "shop", "description", "\xff", WEIR_EINVAL, "one line");
	check_refused(f, "http-python", "shop", "name", "x", WEIR_EINVAL, "no parameter 'name'");
}

static void test_given_twice(void **state)
{
	struct fixture *f = *state;
	const struct golden_value v[] = { { STR("bake"), STR("1m") }, { STR("bake"), STR("2m") } };

	assert_err(golden_render(STR("http-c"), STR("shop"), v, 2, f->target, NULL, &f->err), WEIR_EINVAL);
	assert_non_null(strstr(f->err.msg, "given twice"));
}

static void test_never_overwrites(void **state)
{
	struct fixture *f = *state;

	assert_ok(fs_mkdirs(f->target, 0755, &f->err), &f->err);
	assert_err(golden_render(STR("http-c"), STR("shop"), NULL, 0, f->target, NULL, &f->err), WEIR_EEXIST);
	assert_int_equal(count_entries(f->target), 0);
	assert_int_equal(count_entries(f->dir), 1);
	assert_err(golden_render(STR("http-c"), STR("shop"), NULL, 0, "/nosuch/folder/shop", NULL, &f->err), WEIR_ENOENT);
}

/* A full disk in the middle: the limit on file sizes stands in for it. */
static void test_nothing_half_written(void **state)
{
	struct fixture *f = *state;
	char self[PATH_MAX];
	const char *argv[] = { "/bin/sh", "-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" --render \"$1\"", self, f->target, NULL };
	struct buf out CLEANUP_BUF = BUF_INIT(1 << 20);
	struct proc_run p = { .argv = argv, .timeout_ms = 60000, .out = &out, .err = &out };
	int status;

	assert_ok(fs_self_exe(self, sizeof(self), &f->err), &f->err);
	assert_ok(proc_run(&p, &status, &f->err), &f->err);
	if (status != 7)
		fail_msg("expected 7, seen %d: %s", status, buf_z(&out));
	assert_int_equal(count_entries(f->dir), 0);
}

#define DESCRIPTION(more) "name: t\nsummary: s\nversion: 3\nparameters:\n  d: {kind: line, default: x, summary: y}\n" more

static int render_own(struct fixture *f, const char *description, const char *name, const char *text)
{
	const struct embed_file files[] = { { "t/template.yaml", str_z(description), false }, { name, str_z(text), true } };
	const struct golden_source src = { files, 2 };
	const struct golden_value v = { STR("d"), STR("\"; system(\"id\"); //") };

	assert_ok(fs_remove_tree(f->target, &f->err), &f->err);
	return golden_render_from(&src, STR("t"), STR("shop"), &v, 1, f->target, NULL, &f->err);
}

/* Free text stands only where it is escaped: in code its name is not known. */
static void test_lines_stay_out_of_code(void **state)
{
	struct fixture *f = *state;

	assert_err(render_own(f, DESCRIPTION(""), "t/a.c", "puts(\"{{d}}\");"), WEIR_EINVAL);
	assert_non_null(strstr(f->err.msg, "t/a.c:1:7: nothing gives a value for 'd'"));
	assert_err(render_own(f, DESCRIPTION(""), "t/{{d}}", ""), WEIR_EINVAL);
	assert_ok(render_own(f, DESCRIPTION(""), "t/a.yaml", "d: {{d}}"), &f->err);
	assert_str(read_file(f, "a.yaml"), "d: \"\\\"; system(\\\"id\\\"); //\"");
	assert_ok(render_own(f, DESCRIPTION(""), "t/dot-x/{{name}}-y/dot-z", "{{name}}"), &f->err);
	assert_str(read_file(f, ".x/shop-y/.z"), "shop");
}

static void test_descriptions_are_strict(void **state)
{
	struct fixture *f = *state;

	assert_err(render_own(f, DESCRIPTION("  e: {kind: lin, default: x, summary: y}\n"), "t/a", ""), WEIR_EINVAL);
	assert_non_null(strstr(f->err.msg, "t/template.yaml:6:13"));
	assert_err(render_own(f, DESCRIPTION("  e: {kind: word, default: x, summary: y, files: [a]}\n"), "t/a", ""), WEIR_EINVAL);
	assert_non_null(strstr(f->err.msg, "only a switch has files"));
	assert_err(render_own(f, DESCRIPTION("  e: {kind: switch, default: 'no', summary: y, files: a}\n"), "t/a", ""), WEIR_EINVAL);
	assert_err(render_own(f, DESCRIPTION("verison: 1\n"), "t/a", ""), WEIR_EINVAL);
	assert_non_null(strstr(f->err.msg, "did you mean 'version'"));
	assert_err(render_own(f, DESCRIPTION("  name: {kind: word, default: x, summary: y}\n"), "t/a", ""), WEIR_EINVAL);
	assert_err(render_own(f, DESCRIPTION("  e: {kind: word, default: 'a b', summary: y}\n"), "t/a", ""), WEIR_EINVAL);
	assert_err(render_own(f, DESCRIPTION("  e: {kind: word, default: '{{f}}', summary: y}\n"), "t/a", ""), WEIR_EINVAL);
	assert_err(render_own(f, DESCRIPTION(""), "t/a", "{{#x}}"), WEIR_EPARSE);
	assert_false(fs_exists(f->target));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strict_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_python_passes_its_tests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_c_passes_its_tests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parameters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_overwrites, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_half_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines_stay_out_of_code, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descriptions_are_strict, setup, teardown),
	};
	struct err err;

	if (argc == 3 && !strcmp(argv[1], "--render")) {
		int r = golden_render(STR("http-c"), STR("shop"), NULL, 0, argv[2], NULL, &err);

		fprintf(stderr, "%s\n", r ? err.msg : "rendered");
		return r ? 7 : 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
