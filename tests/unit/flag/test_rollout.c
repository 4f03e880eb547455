/* Guarded rollouts, the pure part: who gets a change (grows and shrinks last in, first out), how users count, that chance alone takes nothing back also with
 * users who always fail, that harm is found, what is stored; and what contexts get of a flag with two arms. */
#include "lib/test.h"

#include "base/hash.h"
#include "flag/flag-eval.h"
#include "flag/rollout-room.h"
#include "flag/unleash-give.h"

#include <math.h>

static const double STEPS[] = { 0.1, 0.5, 1 };

static uint64_t bucket_of(unsigned run, unsigned user)
{
	char salt[32], key[32];

	snprintf(salt, sizeof(salt), "run-%u", run);
	snprintf(key, sizeof(key), "user-%u", user);
	return flag_bucket(str_z(salt), str_z(key));
}

static void test_last_in_first_out(void **s UNUSED)
{
	enum { KEYS = 10000 };
	static const double shares[] = { 0.0001, 0.01, 0.1, 0.5, 0.9, 1 };
	size_t              had = 0;

	for (size_t k = 0; k < ARRAY_SIZE(shares); k++) {
		size_t n = 0;

		for (unsigned i = 0; i < KEYS; i++) {
			uint64_t b = bucket_of(1, i);

			n += flag_in_canary(b, shares[k]);
			if (k && flag_in_canary(b, shares[k - 1]))
				assert_true(flag_in_canary(b, shares[k])); /* growing takes nobody out; taking back lets those stay who were first */
			assert_true(b == bucket_of(1, i));
		}
		assert_true(n >= had && fabs((double)n - KEYS * shares[k]) < 5 * sqrt(KEYS * shares[k] * (1 - shares[k])) + 2);
		had = n;
	}
	assert_int_equal(had, KEYS);
	/* documented: SHA-256 of salt, 0, key */
	assert_true(flag_bucket(STR("salt"), STR("key")) == flag_bucket(STR("salt"), STR("key")) && flag_bucket(STR("salt"), STR("key")) != flag_bucket(STR("sal"), STR("tkey")));
	unsigned char raw[SHA256_BYTES];
	sha256(str_n("salt\0key", 8), raw);
	assert_true(flag_bucket(STR("salt"), STR("key")) >> 56 == raw[0]);
}

static void test_outcomes(void **s UNUSED)
{
	const struct flag_outcome plain = { STR("x"), false, -INFINITY, INFINITY }, failure = { STR("x"), true, -INFINITY, INFINITY }, fast = { STR("x"), false, 0, 500 };

	assert_false(flag_outcome_failed(&plain, FLAG_OK_UNSAID, NAN));
	assert_true(flag_outcome_failed(&plain, FLAG_OK_FALSE, NAN));
	assert_true(flag_outcome_failed(&failure, FLAG_OK_UNSAID, NAN));
	assert_false(flag_outcome_failed(&failure, FLAG_OK_TRUE, NAN));
	assert_false(flag_outcome_failed(&fast, FLAG_OK_UNSAID, 500));
	assert_true(flag_outcome_failed(&fast, FLAG_OK_UNSAID, 500.1));
	assert_true(flag_outcome_failed(&fast, FLAG_OK_UNSAID, -1));
	assert_false(flag_outcome_failed(&fast, FLAG_OK_TRUE, 900)); /* what is said outright counts */
	assert_false(flag_outcome_failed(&fast, FLAG_OK_UNSAID, NAN));
}

static struct flag_track new_track(void)
{
	struct flag_track t;
	struct err        e = { 0 };

	assert_ok(flag_track_init(&t, STEPS, ARRAY_SIZE(STEPS), &e), &e);
	return t;
}

static enum judge_call judged(const struct flag_track *t, size_t step, enum judge_why *ret_why)
{
	struct judge_segment seg[JUDGE_SEGMENTS_MAX];
	struct judge_verdict v;
	struct judge_input   in;
	struct err           e = { 0 };

	flag_track_input(t, step, seg, &in);
	assert_ok(judge_step(&judge_defaults, &in, &v, &e), &e);
	if (ret_why)
		*ret_why = v.why;
	return v.call;
}

static void test_each_user_counts_once_a_step(void **s UNUSED)
{
	struct flag_track           t = new_track();
	const struct judge_segment *seg = t.seg;
	const uint64_t              low = 1ULL << 58, mid = 3ULL << 61, high = 15ULL << 60; /* 1.6 %, 37.5 %, 93.75 % */

	assert_false(flag_track_outcome(&t, low, true)); /* nobody saw this user evaluate it */
	assert_int_equal(t.unexposed, 1);
	flag_track_exposed(&t, low, 0);
	flag_track_exposed(&t, mid, 0);
	flag_track_exposed(&t, high, 0);
	assert_true(flag_track_outcome(&t, low, true));
	for (int i = 0; i < 5; i++)
		assert_false(flag_track_outcome(&t, low, true)); /* a broken account fails again and again: one error */
	assert_false(flag_track_outcome(&t, mid, false));
	assert_true(flag_track_outcome(&t, mid, true)); /* the first one was well, a later one not */
	assert_false(flag_track_outcome(&t, high, false));
	assert_true(seg[0].requests_canary == 1 && seg[0].errors_canary == 1 && seg[0].requests_stable == 2 && seg[0].errors_stable == 1);
	flag_track_exposed(&t, low, 1);
	flag_track_exposed(&t, mid, 1);
	flag_track_exposed(&t, high, 1);
	flag_track_exposed(&t, high, 0); /* a late word of an earlier step takes nothing back */
	assert_false(flag_track_outcome(&t, low, true)); /* was canary before: draws no more */
	assert_true(flag_track_outcome(&t, mid, true));
	assert_false(flag_track_outcome(&t, high, false));
	const struct judge_segment *again = &seg[flag_track_segment(1, 1)];
	assert_true(again->requests_canary == 1 && again->errors_canary == 1 && again->requests_stable == 1 && again->errors_stable == 0);
	assert_int_equal(t.canary_users, 2);
	assert_int_equal(flag_track_canary_at(&t, 1), 1);
	/* the shares of the draws */
	struct judge_segment out[JUDGE_SEGMENTS_MAX];
	struct judge_input   in;
	flag_track_input(&t, 1, out, &in);
	assert_int_equal(in.n_seg, 2);
	assert_int_equal(in.good_from, 1);
	assert_true(out[0].canary_share == 0.1 && fabs(out[1].canary_share - 0.4 / 0.9) < 1e-12);
	/* the last step: all of them, alone */
	flag_track_exposed(&t, low, 2);
	flag_track_exposed(&t, high, 2);
	assert_true(flag_track_outcome(&t, low, true));
	assert_false(flag_track_outcome(&t, high, false));
	flag_track_input(&t, 2, out, &in);
	assert_true(in.n_seg == 1 && out[0].canary_share == 1 && out[0].requests_canary == 2 && out[0].failed_canary == 1 && out[0].requests_stable == 0);
	assert_int_equal(in.clients_canary, 1);
	flag_track_fini(&t);
}

/* One world: users come and come again, at each step; `fails` says for whom it goes wrong. True: taken back. */
static bool world(unsigned run, unsigned users, bool (*fails)(unsigned run, unsigned user, bool canary), bool *ret_split, bool *ret_good)
{
	struct flag_track t = new_track();
	bool              worse = false;

	*ret_good = true;
	for (size_t step = 0; step + 1 < ARRAY_SIZE(STEPS) && !worse; step++) {
		bool good = false;

		for (unsigned round = 0; round < 3 && !worse; round++)
			for (unsigned i = 0; i < users && !worse; i++) {
				uint64_t       b = bucket_of(run, i);
				enum judge_why why;

				flag_track_exposed(&t, b, step);
				flag_track_outcome(&t, b, fails(run, i, flag_in_canary(b, STEPS[step])));
				if (i % 50 && !fails(run, i, true))
					continue;
				enum judge_call call = judged(&t, step, &why);
				worse = call == JUDGE_WORSE;
				good = good || call == JUDGE_GOOD;
				*ret_split = *ret_split || (call == JUDGE_CANNOT && why == JUDGE_WHY_SAMPLE_RATIO);
			}
		*ret_good = *ret_good && good;
	}
	flag_track_fini(&t);
	return worse;
}

static bool always_the_same(unsigned run, unsigned user, bool canary UNUSED) { return (user * 2654435761U + run * 40503U) % 100 < 3; }
static bool sick(unsigned run, unsigned user, bool canary) { return always_the_same(run, user, false) || (canary && user % 5 == 0); }
static bool nobody(unsigned run UNUSED, unsigned user UNUSED, bool canary UNUSED) { return false; }

/* 3 % of the users fail whatever they get, each time. Looked at after each error, over all steps: the chance of a false rollback is worse_alpha, 1 %. */
static void test_chance_takes_nothing_back(void **s UNUSED)
{
	unsigned worse = 0, split = 0;

	for (unsigned run = 0; run < 200; run++) {
		bool is_split = false, good;

		worse += world(run, 1000, always_the_same, &is_split, &good);
		split += is_split;
	}
	print_message("null world: %u of 200 taken back, %u held for their split\n", worse, split);
	assert_true(worse <= 7); /* 2 are expected at most; 8 or more come by chance once in a thousand */
	assert_true(split <= 1);
}

static void test_harm_is_found_and_good_goes_on(void **s UNUSED)
{
	for (unsigned run = 0; run < 20; run++) {
		bool split = false, good;

		assert_true(world(run, 1000, sick, &split, &good));
		assert_false(world(run, 4000, nobody, &split, &good));
		assert_true(good && !split);
	}
}

static void test_what_is_stored_is_read_back(void **s UNUSED)
{
	struct flag_track      t = new_track(), again = new_track();
	struct buf CLEANUP_BUF counts = BUF_INIT(1 << 20), counts2 = BUF_INIT(1 << 20);
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct doc_node       *n;
	struct jw              w;
	struct err             e = { 0 };

	for (unsigned i = 0; i < 3000; i++) {
		flag_track_exposed(&t, bucket_of(7, i), i % 3);
		flag_track_outcome(&t, bucket_of(7, i + 10), i % 9 == 0);
	}
	assert_true(t.dirty == UINT64_MAX && t.changed);
	jw_init(&w, &counts);
	flag_track_write(&t, &w);
	assert_ok(doc_parse_json(&a, "counts", buf_str(&counts), &n, &e), &e);
	assert_ok(flag_track_read(&again, n, &e), &e);
	struct buf one[FLAG_PARTS], two[FLAG_PARTS];
	for (unsigned part = 0; part < FLAG_PARTS; part++) {
		buf_init(&one[part], 1 << 20);
		buf_init(&two[part], 1 << 20);
	}
	assert_ok(flag_track_parts(&t, UINT64_MAX - 1, one, &e), &e);
	assert_int_equal(one[0].len, 0);
	assert_ok(flag_track_parts(&t, 1, one, &e), &e);
	for (unsigned part = 0; part < FLAG_PARTS; part++) {
		assert_ok(flag_track_part_read(&again, buf_str(&one[part]), &e), &e);
		assert_ok(flag_track_part_read(&again, buf_str(&one[part]), &e), &e); /* twice is once */
		assert_err(flag_track_part_read(&again, str_sub(buf_str(&one[part]), 0, one[part].len - 1), &e), WEIR_EINTERNAL);
	}
	assert_ok(flag_track_parts(&again, UINT64_MAX, two, &e), &e);
	for (unsigned part = 0; part < FLAG_PARTS; part++) {
		assert_true(one[part].len && one[part].len == two[part].len);
		buf_fini(&one[part]);
		buf_fini(&two[part]);
	}
	jw_init(&w, &counts2);
	flag_track_write(&again, &w);
	assert_str(buf_str(&counts2), buf_z(&counts));
	for (unsigned i = 0; i < 3000; i++) { /* and both go on alike */
		flag_track_exposed(&t, bucket_of(7, i), 1);
		flag_track_exposed(&again, bucket_of(7, i), 1);
		assert_true(flag_track_outcome(&t, bucket_of(7, i), i % 7 == 0) == flag_track_outcome(&again, bucket_of(7, i), i % 7 == 0));
	}
	static const char damage[12] = { 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0 };
	assert_err(flag_track_part_read(&again, str_n(damage, sizeof(damage)), &e), WEIR_EINTERNAL); /* a step that there is not */
	flag_track_fini(&t);
	flag_track_fini(&again);
}

static void test_users_have_a_limit(void **s UNUSED)
{
	struct flag_track t = new_track();

	for (uint64_t i = 1; i <= LIMIT_FLAG_USERS + 100; i++)
		flag_track_exposed(&t, i * 0x9E3779B97F4A7C15ULL, 0);
	assert_int_equal(t.n, LIMIT_FLAG_USERS);
	assert_int_equal(t.crowded, 100);
	assert_true(flag_track_knows(&t, 0x9E3779B97F4A7C15ULL) && !flag_track_knows(&t, (LIMIT_FLAG_USERS + 50) * 0x9E3779B97F4A7C15ULL));
	flag_track_fini(&t);
}

/* --- texts and evaluation --- */

#define OLD "{\"state\":\"ENABLED\",\"variants\":{\"a\":1,\"b\":2.50},\"defaultVariant\":\"a\",\"metadata\":{\"t\":\"x\"}}"
#define NEW "{\"state\":\"ENABLED\",\"variants\":{\"s\":\"text\"},\"defaultVariant\":\"s\",\"weir\":{\"owner\":\"me\"}}"

static struct flag_set *built(struct arena *a, str text, const char *other)
{
	struct flag_set_head head = { STR("p/s"), 1, STR(""), STR("") };
	struct flag_text     t[] = { { STR("f"), text }, { STR("g"), str_z(other) } };
	struct flag_set     *set;
	struct err           e = { 0 };

	(void)a;
	assert_ok(flag_set_build(NULL, &head, t, 2, &set, &e), &e);
	return set;
}

static struct flag_answer asked(struct arena *a, const struct flag_set *set, const char *key, enum flag_type want)
{
	struct flag_context c = { .scratch = a };
	struct flag_answer  answer;
	struct logic_pair   pair = { .key = "targetingKey", .key_len = 12, .value = logic_string(str_z(key ? key : "")) };
	struct err          e = { 0 };

	assert_ok(logic_object(a, &pair, key ? 1 : 0, &c.data, &e), &e);
	flag_evaluate(set, STR("f"), want, &c, &answer);
	return answer;
}

/* Clients that evaluate themselves know nothing of arms: they get the flag as it was until the change is promoted. */
static void test_unleash_clients_get_the_former_one(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct buf CLEANUP_BUF     out = BUF_INIT(1 << 20);
	struct flag_set           *set;
	struct jw                  w;
	struct err                 e = { 0 };
	str                        text;

	assert_ok(rollout_text(&a, STR(OLD), STR("{\"state\":\"DISABLED\",\"variants\":{\"s\":\"text\"},\"weir\":{\"from\":\"2027-01-01T00:00:00Z\"}}"), "ID", STR("salt"), 0.3, &text, &e), &e);
	set = built(&a, text, OLD);
	const struct flag     *f = flag_set_find(set, STR("f"));
	const struct doc_node *def = unleash_def(&a, f);
	assert_str(doc_get_str(def, "defaultVariant"), "a");
	assert_null(unleash_left_out(&a, set, f, def));
	jw_init(&w, &out);
	unleash_write_feature(&w, STR("p"), f, def, NULL, false);
	assert_true(str_contains(buf_str(&out), STR("\"enabled\":true")));
	flag_set_unref(set);
}

static size_t complaints;
static void complain(void *ctx UNUSED, const struct flag *f UNUSED, const char *what UNUSED) { complaints++; }

static void test_two_arms(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct flag_set           *set;
	struct err                 e = { 0 };
	unsigned                   canary = 0;
	str                        text;

	assert_ok(rollout_text(&a, STR(OLD), STR(NEW), "ID", STR("salt"), 0.3, &text, &e), &e);
	set = built(&a, text, "{\"state\":\"ENABLED\",\"variants\":{\"v\":1},\"weir\":{\"prerequisites\":[{\"flag\":\"f\",\"variants\":[\"b\"]}]}}");
	for (unsigned i = 0; i < 1000; i++) {
		char               key[32];
		struct flag_answer answer;
		bool               is;

		snprintf(key, sizeof(key), "u%u", i);
		answer = asked(&a, set, key, FLAG_ANY);
		is = flag_in_canary(flag_bucket(STR("salt"), str_z(key)), 0.3);
		canary += is;
		assert_str(answer.variant->name, is ? "s" : "a");
		assert_str(answer.flag->metadata, is ? "{\"weir.arm\":\"canary\"}" : "{\"weir.arm\":\"stable\",\"t\":\"x\"}");
		assert_int_equal(asked(&a, set, key, FLAG_STRING).error, is ? FLAG_OK : FLAG_TYPE_MISMATCH); /* the type is the arm's own */
		assert_int_equal(asked(&a, set, key, FLAG_NUMBER).error, is ? FLAG_TYPE_MISMATCH : FLAG_OK);
	}
	assert_in_range(canary, 230, 370);
	assert_str(asked(&a, set, NULL, FLAG_ANY).variant->name, "a");
	assert_str(asked(&a, set, "", FLAG_ANY).variant->name, "a");
	complaints = 0;
	flag_set_check(set, complain, NULL);
	assert_int_equal(complaints, 1); /* g needs a variant that only one arm has */
	flag_set_unref(set);
}

static void test_texts(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct err                 e = { 0 };
	struct flag_set           *set;
	str                        text, off;

	assert_ok(rollout_text(&a, STR(OLD), STR(NEW), "ID", STR("salt"), 0.25, &text, &e), &e);
	set = built(&a, text, OLD);
	const struct flag *f = flag_set_find(set, STR("f"));
	assert_null(f->broken);
	assert_true(f->arms && f->arms->share == 0.25 && f->arms->canary == f && f->arms->stable != f);
	assert_str(f->arms->rollout, "ID");
	assert_str(f->owner, "me");
	flag_set_unref(set);
	assert_ok(rollout_off_text(&a, STR(OLD), &off, &e), &e);
	assert_true(rollout_switches_off(text, off));
	assert_ok(rollout_off_text(&a, text, &off, &e), &e);
	assert_true(rollout_switches_off(text, off));
	assert_ok(rollout_off_text(&a, STR(NEW), &off, &e), &e);
	assert_true(rollout_switches_off(text, off));
	assert_false(rollout_switches_off(text, STR(OLD)));
	assert_false(rollout_switches_off(text, STR("{\"state\":\"DISABLED\",\"variants\":{\"a\":1},\"defaultVariant\":\"a\"}"))); /* and something else */
	assert_false(rollout_switches_off(text, STR("{")));
	for (size_t i = 0; i < 5; i++) { /* strictly read */
		static const char *const bad[] = {
			"{\"id\":\"I\",\"share\":2,\"salt\":\"s\",\"previous\":" OLD "}", "{\"id\":\"I\",\"share\":0.1,\"previous\":" OLD "}",
			"{\"id\":\"I\",\"share\":0.1,\"salt\":\"s\"}", "{\"id\":\"I\",\"share\":0.1,\"salt\":\"s\",\"previous\":" OLD ",\"more\":1}",
			"{\"id\":\"I\",\"share\":0.1,\"salt\":\"s\",\"previous\":{\"state\":\"ENABLED\",\"variants\":{\"a\":1},\"weir\":{\"rollout\":{}}}}",
		};
		struct flag_set *one = built(&a, str_z(arena_printf(&a, "{\"state\":\"ENABLED\",\"variants\":{\"a\":1},\"weir\":{\"rollout\":%s}}", bad[i])), OLD);

		assert_non_null(flag_set_find(one, STR("f"))->broken);
		flag_set_unref(one);
	}
	char *large = arena_alloc(&a, LIMIT_FLAG_BYTES);
	memset(large, 'x', LIMIT_FLAG_BYTES - 1);
	assert_err(rollout_text(&a, STR(OLD), str_z(arena_printf(&a, "{\"state\":\"ENABLED\",\"variants\":{\"s\":\"%s\"}}", large)), "ID", STR("s"), 0.1, &text, &e), WEIR_ELIMIT);
}

static const char *spec_error(const char *json)
{
	static char                message[1024];
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct doc_node           *n;
	struct doc_check           c;
	struct rollout_spec        spec;
	struct err                 e = { 0 };

	assert_ok(doc_parse_json(&a, "spec", str_z(json), &n, &e), &e);
	doc_check_init(&c, &a, "spec");
	rollout_spec_read(&c, n, &spec);
	(void)!doc_check_result(&c, &e);
	snprintf(message, sizeof(message), "%s", e.msg);
	return message;
}

static void test_what_is_asked_for(void **s UNUSED)
{
	static const struct {
		const char *json, *said;
	} all[] = {
		{ "{\"outcomes\":[\"x\"]}", "" },
		{ "{\"outcomes\":[{\"name\":\"x\",\"max\":3,\"min\":1}],\"steps\":[0.5,\"100%\"],\"step-min\":\"1m\",\"enough\":50,\"salt\":\"s\",\"hold\":{\"after\":\"5m\",\"then\":\"roll-back\"}}", "" },
		{ "{}", "outcomes" },
		{ "{\"outcomes\":[]}", "1 to 8" },
		{ "{\"outcomes\":[\"x\",\"x\"]}", "twice" },
		{ "{\"outcomes\":[\"\"]}", "the name of an outcome" },
		{ "{\"outcomes\":[{\"name\":\"x\",\"maximum\":3}]}", "maximum" },
		{ "{\"outcomes\":[{\"name\":\"x\",\"max\":3,\"min\":4}]}", "above max" },
		{ "{\"outcomes\":[\"x\"],\"steps\":[\"50%\"]}", "100%" },
		{ "{\"outcomes\":[\"x\"],\"steps\":[0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,0.1,1]}", "at most 10" },
		{ "{\"outcomes\":[\"x\"],\"enough\":0}", "enough" },
		{ "{\"outcomes\":[\"x\"],\"salt\":\"\"}", "salt" },
		{ "{\"outcomes\":[\"x\"],\"step-min\":\"x\"}", "step-min" },
		{ "{\"outcomes\":[\"x\"],\"budget\":\"80%\"}", "budget" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].said[0] ? !strstr(spec_error(all[i].json), all[i].said) : *spec_error(all[i].json))
			fail_msg("%s: %s", all[i].json, spec_error(all[i].json));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_in_first_out),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_each_user_counts_once_a_step),
		cmocka_unit_test(test_chance_takes_nothing_back),
		cmocka_unit_test(test_harm_is_found_and_good_goes_on),
		cmocka_unit_test(test_what_is_stored_is_read_back),
		cmocka_unit_test(test_users_have_a_limit),
		cmocka_unit_test(test_two_arms),
		cmocka_unit_test(test_unleash_clients_get_the_former_one),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_what_is_asked_for),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
