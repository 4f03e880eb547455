/* Copies of sets: what is written is read back, what was damaged anywhere is refused, and a room of copies goes forward only. */
#include "lib/test.h"

#include "flag/flag-copy.h"
#include "flag/room.h"

#define ON_OFF "{\"state\":\"ENABLED\",\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"on\"}"
#define OFF_ON "{\"state\":\"ENABLED\",\n\"variants\":{\"on\":true,\"off\":false},\"defaultVariant\":\"off\"}"

static int put(void *ctx, str piece, struct err *reterr UNUSED)
{
	buf_add_str(ctx, piece);
	return 0;
}

static struct flag_set *set_of(const struct flag_text *t, size_t n, int64_t revision, const char *evaluators)
{
	struct flag_set_head head = { STR("shop/production"), revision, str_z(evaluators), STR("{\"flagSetId\":\"x\"}"), STR("{\"beta\":{\"id\":1,\"constraints\":[]}}") };
	struct flag_set     *s;
	struct err           e = { 0 };

	assert_ok(flag_set_build(NULL, &head, t, n, &s, &e), &e);
	return s;
}

static void write_copy(struct buf *out, const struct flag_text *t, size_t n, int64_t revision, const char *evaluators)
{
	struct flag_set *s = set_of(t, n, revision, evaluators);
	struct flag_copy c = { .id = STR("shop/production"), .project = STR("shop"), .name = STR("production"), .environment = STR("live"),
		                   .source = FLAG_IN_REPOSITORY, .revision = revision, .changed_at = 12345, .evaluators = flag_set_head(s)->evaluators,
		                   .metadata = flag_set_head(s)->metadata, .segments = flag_set_head(s)->segments };
	struct err       e = { 0 };

	assert_ok(flag_copy_write(&c, s, put, out, &e), &e);
	flag_set_unref(s);
}

static void test_round_trip(void **state UNUSED)
{
	const struct flag_text t[] = { { STR("a"), STR(ON_OFF) }, { STR("say \"hi\""), STR(OFF_ON) } };
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct buf CLEANUP_BUF     out = BUF_INIT(1 << 20);
	struct flag_copy           c;
	struct err                 e = { 0 };
	bool                       quoted = false;

	write_copy(&out, t, 2, 7, "{\"staff\":true}");
	assert_ok(flag_copy_read(&a, "f", buf_str(&out), &c, &e), &e);
	assert_str(c.id, "shop/production");
	assert_str(c.environment, "live");
	assert_int_equal(c.source, FLAG_IN_REPOSITORY);
	assert_int_equal(c.revision, 7);
	assert_int_equal(c.changed_at, 12345);
	assert_str(c.evaluators, "{\"staff\":true}");
	assert_str(c.metadata, "{\"flagSetId\":\"x\"}");
	assert_str(c.segments, "{\"beta\":{\"id\":1,\"constraints\":[]}}");
	assert_int_equal(c.n, 2);
	for (size_t i = 0; i < c.n; i++)
		quoted = quoted || (str_eqz(c.texts[i].key, "say \"hi\"") && !str_contains(c.texts[i].json, STR("\n")) && str_contains(c.texts[i].json, STR("\"off\"}")));
	assert_true(quoted);
	buf_clear(&out);
	write_copy(&out, NULL, 0, 0, "");
	assert_ok(flag_copy_read(&a, "f", buf_str(&out), &c, &e), &e);
	assert_int_equal(c.n, 0);
	assert_int_equal(c.evaluators.len, 0);
}

static void test_damage(void **state UNUSED)
{
	const struct flag_text t[] = { { STR("a"), STR(ON_OFF) } };
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct buf CLEANUP_BUF     out = BUF_INIT(1 << 20);
	struct flag_copy           c;
	struct err                 e = { 0 };

	write_copy(&out, t, 1, 1, "");
	for (size_t i = 0; i < out.len; i++) {
		out.ptr[i] ^= 1;
		assert_err(flag_copy_read(&a, "f", buf_str(&out), &c, &e), WEIR_EPARSE);
		out.ptr[i] ^= 1;
		assert_err(flag_copy_read(&a, "f", str_sub(buf_str(&out), 0, i), &c, &e), WEIR_EPARSE);
	}
	buf_addc(&out, '\n');
	assert_err(flag_copy_read(&a, "f", buf_str(&out), &c, &e), WEIR_EPARSE);
}

/* Whole, but not what it should be. */
static void test_hostile(void **state UNUSED)
{
#define HEAD(id, project, name, more) "{\"format\":1,\"id\":\"" id "\",\"project\":\"" project "\",\"name\":\"" name "\",\"environment\":\"\"," \
	"\"source\":\"store\",\"revision\":1,\"changed_at\":1," more "}\n"
	static const char *const bad[] = {
		"", "\n", "{}\nnull\nnull\n", "[]\n",
		HEAD("../x", "..", "x", "\"flags\":0") "null\nnull\nnull\n",
		HEAD("a/b", "a", "c", "\"flags\":0") "null\nnull\nnull\n",
		HEAD("a/b~c", "a", "b~c", "\"flags\":0") "null\nnull\nnull\n",
		HEAD("a/b", "a", "b", "\"flags\":0,\"more\":1") "null\nnull\nnull\n",
		HEAD("a/b", "a", "b", "\"flags\":0") "null\n",
		HEAD("a/b", "a", "b", "\"flags\":-1") "null\nnull\nnull\n",
		HEAD("a/b", "a", "b", "\"flags\":99999999") "null\nnull\nnull\n",
		HEAD("a/b", "a", "b", "\"flags\":1") "null\nnull\nnull\n",
		HEAD("a/b", "a", "b", "\"flags\":1") "null\nnull\nnull\n\"k\"\n",
		HEAD("a/b", "a", "b", "\"flags\":1") "null\nnull\nnull\nk\n{}\n",
		HEAD("a/b", "a", "b", "\"flags\":1") "null\nnull\nnull\n\"\"\n{}\n",
		HEAD("a/b", "a", "b", "\"flags\":1") "null\nnull\nnull\n\"\\u0000\"\n{}\n",
		HEAD("a/b", "a", "b", "\"flags\":0") "null\nnull\nnull\n\"k\"\n{}\n",
	};
	static const char good[] = HEAD("a/b", "a", "b", "\"flags\":1") "null\nnull\nnull\n\"k\"\n{}\n";
	struct arena CLEANUP_ARENA a = ARENA_INIT(256 << 20);
	struct buf CLEANUP_BUF     out = BUF_INIT(1 << 20);
	struct flag_copy           c;
	struct err                 e = { 0 };

	buf_addz(&out, good);
	flag_copy_seal(&out);
	assert_ok(flag_copy_read(&a, "f", buf_str(&out), &c, &e), &e);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		buf_clear(&out);
		buf_addz(&out, bad[i]);
		flag_copy_seal(&out);
		if (!flag_copy_read(&a, "f", buf_str(&out), &c, &e))
			fail_msg("number %zu is taken: %s", i, bad[i]);
	}
}

static int take(struct flag_room *r, const struct flag_text *t, size_t n, int64_t revision, const char *evaluators, bool *ret_news)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct buf CLEANUP_BUF     out = BUF_INIT(1 << 20);
	struct flag_copy           c;
	struct err                 e = { 0 };

	write_copy(&out, t, n, revision, evaluators);
	assert_ok(flag_copy_read(&a, "f", buf_str(&out), &c, &e), &e);
	return flag_copy_take(r, &c, ret_news, &e);
}

static void test_room(void **state UNUSED)
{
	const struct flag_text     three[] = { { STR("a"), STR(ON_OFF) }, { STR("b"), STR(ON_OFF) }, { STR("c"), STR(ON_OFF) } };
	const struct flag_text     two[] = { { STR("a"), STR(OFF_ON) }, { STR("c"), STR(ON_OFF) } };
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct flag_room          *r;
	struct flag_copied        *v;
	struct err                 e = { 0 };
	size_t                     n;
	bool                       news;

	assert_ok(flag_open_copies(&clock_real, (const unsigned char[32]){ 1 }, &r, &e), &e);
	assert_int_equal(flag_copy_revision(r, STR("shop/production")), -1);
	assert_int_equal(take(r, three, 3, 5, "", &news), 0);
	assert_true(news);
	assert_int_equal(take(r, two, 2, 5, "", &news), 0);
	assert_false(news); /* the same revision is the same set */
	assert_int_equal(take(r, two, 2, 4, "", &news), -WEIR_ECONFLICT);
	assert_int_equal(flag_copy_revision(r, STR("shop/production")), 5);
	assert_int_equal(take(r, two, 2, 6, "{\"staff\":true}", &news), 0);
	assert_ok(flag_copy_list(r, &a, &v, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].revision, 6);
	assert_ok(flag_copy_drop(r, STR("shop/production"), &e), &e);
	assert_ok(flag_copy_drop(r, STR("shop/production"), &e), &e);
	assert_int_equal(flag_copy_revision(r, STR("shop/production")), -1);
	flag_close(r);
}

/* What changed, what was removed and what is new is what the copy says, however it was put together. */
static void test_differences(void **state UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(16 << 20);
	struct flag_room          *r;
	struct err                 e = { 0 };
	bool                       news;

	assert_ok(flag_open_copies(&clock_real, (const unsigned char[32]){ 1 }, &r, &e), &e);
	srand(7);
	for (int64_t revision = 1; revision < 40; revision++) {
		struct buf CLEANUP_BUF before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
		struct flag_text       t[20];
		struct flag_copy       head = { .id = STR("shop/production"), .project = STR("shop"), .name = STR("production"), .environment = STR("live"),
			                            .source = FLAG_IN_REPOSITORY, .revision = revision, .changed_at = 12345, .metadata = STR("{\"flagSetId\":\"x\"}"),
			                            .segments = STR("{\"beta\":{\"id\":1,\"constraints\":[]}}") };
		struct flag_set       *s;
		size_t                 n = 0, count;

		for (int i = 0; i < 20; i++)
			if (rand() % 3)
				t[n++] = (struct flag_text){ str_z(arena_printf(&a, "k%d", i)), rand() % 2 ? STR(ON_OFF) : str_z("{\"state\":\"DISABLED\",\"variants\":{\"on\":true}}") };
		assert_int_equal(take(r, t, n, revision, "", &news), 0);
		s = flag_present_set(r, STR("shop/production"));
		count = flag_set_count(s);
		assert_int_equal(count, n);
		for (size_t i = 0; i < n; i++)
			assert_true(str_eq(flag_set_find(s, t[i].key)->text, t[i].json));
		assert_ok(flag_copy_write(&head, s, put, &after, &e), &e);
		write_copy(&before, t, n, revision, "");
		assert_true(str_eq(buf_str(&before), buf_str(&after)));
		flag_set_unref(s);
	}
	flag_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage), cmocka_unit_test(test_hostile),
		                                cmocka_unit_test(test_room), cmocka_unit_test(test_differences) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
