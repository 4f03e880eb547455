/* The static estimate: exact for what is known, told sizes, and never below what an evaluation costs (random expressions and
 * values). */
#include "cel_fixture.h"

#include "lang/cel/cel.h"

static uint64_t sizes(void *ctx, str attribute)
{
	static const struct {
		const char *attribute;
		uint64_t size;
	} known[] = { { "s", 100 }, { "l", 7 },        { "names", 5 },  { "names.@items", 20 },
				  { "m", 3 },   { "m.@keys", 10 }, { "x.list", 4 }, { "x.list.@items", 6 } };

	(void)ctx;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_eqz(attribute, known[i].attribute))
			return known[i].size;
	return UINT64_MAX;
}

static void test_known(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
	} rows[] = {
		{ "1", 0, 0 },
		{ "n + 1", 2, 2 },
		{ "[n, 2]", 11, 11 },
		{ "{'a': n}", 31, 31 },
		{ "n > 0 && n < 5", 2, 4 },
		{ "true ? n : n + 1", 0, 2 },
		{ "s == 'a'", 2, 2 },
		{ "s + s", 3, 23 },
		{ "s.startsWith('a')", 2, 12 },
		{ "n in l", 3, 10 },
		{ "'a' in m", 2, 2 },
		{ "l.all(v, v > 0)", 2, 2 + 7 * 5 },
		{ "l.exists(v, v > 0)", 2, 2 + 7 * 6 },
		{ "l.exists_one(v, v > 0)", 3, 3 + 7 * 3 },
		{ "l.map(v, v + 1)", 12, 12 + 7 * 14 },
		{ "names.all(v, v == s)", 2, 2 + 5 * (3 + 3 + 2) },
		{ "x.list.exists(v, v == s)", 3, 3 + 4 * (4 + 3 + 10) },
		{ "x['list'].exists(v, v == s)", 3, 3 + 4 * (4 + 3 + 10) },
		{ "x.other.exists(v, true)", 3, UINT64_MAX },
		{ "cel.bind(t, s + s, t.size())", 5, 25 },
		{ "lists.range(20).size()", 2, 4 },
		{ "lists.range(n).size()", 3, UINT64_MAX },
	};
	struct fixture *f = *state;
	struct cel_cost c;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_ok(fixture_check(f, rows[i].text), &f->err);
		assert_ok(cel_cost_estimate(f->ast, sizes, NULL, &c, &f->err), &f->err);
		if (c.min != rows[i].min || c.max != rows[i].max)
			fail_msg("%s: expected %llu to %llu, seen %llu to %llu", rows[i].text, (unsigned long long)rows[i].min,
					 (unsigned long long)rows[i].max, (unsigned long long)c.min, (unsigned long long)c.max);
	}
	assert_ok(fixture_parse(f, "1"), &f->err);
	assert_err(cel_cost_estimate(f->ast, NULL, NULL, &c, &f->err), WEIR_EINVAL);
}

/* --- random expressions --- */

struct random {
	uint64_t state;
};

static unsigned below(struct random *r, unsigned n)
{
	r->state = r->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(r->state >> 33) % n;
}

enum kind { INT, BOOL, TEXT, INTS, TEXTS, KINDS };

/* Appends an expression of the kind; `v` is an int inside loops. */
static void generate(struct random *r, struct buf *b, enum kind k, int depth)
{
	static const char *const leaves[KINDS][4] = {
		{ "n", "7", "m.a", "l[0]" },
		{ "true", "n > 2", "'a' in m", "n in l" },
		{ "s", "'abc'", "names[1]", "string(n)" },
		{ "l", "[1, n]", "[]", "lists.range(5)" },
		{ "names", "['x', s]", "m.map(k, k)", "s.split('b')" },
	};
	static const char *const forms[KINDS][6] = {
		/* $I $B $T $L $N stand for an expression of each kind */
		{ "($I + $I)", "size($T)", "size($L)", "($B ? $I : $I)", "cel.bind(t, $T, size(t + t))", "$N.size()" },
		{ "($B && $B)", "($B || $B)", "($T == $T)", "$L.all(v, v < $I)", "$N.exists(w, w == $T)",
		  "$N.exists_one(w, w.contains($T))" },
		{ "($T + $T)", "($B ? $T : $T)", "$T.lowerAscii()", "cel.bind(t, $T, t + t)", "dyn($T)", "optional.of($T).orValue($T)" },
		{ "($L + $L)", "$L.map(v, v + $I)", "$L.filter(v, $B)", "$N.map(w, size(w + $T))", "[$I, $I]",
		  "$L.transformList(i, v, i + v)" },
		{ "($N + $N)", "$N.map(w, w + $T)", "$N.filter(w, w != $T)", "[$T, $T]", "$N.transformMap(i, w, $T).map(k, $T)",
		  "$L.map(v, $T)" },
	};
	static const char letters[] = "IBTLN";
	const char *form = depth <= 0 ? leaves[k][below(r, 4)] : forms[k][below(r, 6)];

	for (; *form; form++) {
		if (*form == '$')
			generate(r, b, (enum kind)(strchr(letters, *++form) - letters), depth - 1 - (int)below(r, 2));
		else
			buf_addc(b, *form);
	}
}

static struct cel_value text_value(struct fixture *f, struct random *r, unsigned max)
{
	unsigned n = below(r, max + 1);
	char *p = arena_alloc(&f->a, n + 1);

	for (unsigned i = 0; i < n; i++)
		p[i] = (char)('a' + below(r, 3));
	return cel_of_str(str_n(p, n));
}

static void evaluate(struct fixture *f, struct random *r, const char *text)
{
	static const str names[] = { { "n", 1 }, { "s", 1 }, { "l", 1 }, { "names", 5 }, { "m", 1 }, { "x", 1 } };
	struct cel_value items[7], texts[5], values[6], key = cel_of_str(STR("a")), seven = cel_of_int(7);
	struct cel_vars vars = { .names = names, .values = values, .n = ARRAY_SIZE(names) };
	struct cel_program *p;
	struct cel_value v;
	struct cel_cost c;
	uint64_t cost;

	for (size_t i = 0; i < ARRAY_SIZE(items); i++)
		items[i] = cel_of_int(below(r, 10));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		texts[i] = text_value(f, r, 20);
	values[0] = cel_of_int(below(r, 10));
	values[1] = text_value(f, r, 100);
	values[2] = cel_of_list(&f->a, items, below(r, 8));
	values[3] = cel_of_list(&f->a, texts, below(r, 6));
	values[4] = cel_of_map(&f->a, &key, &seven, below(r, 2));
	values[5] = cel_of_null();
	assert_ok(cel_cost_estimate(f->ast, sizes, NULL, &c, &f->err), &f->err);
	assert_ok(cel_compile(&f->a, f->env, f->ast, &p, &f->err), &f->err);
	if (cel_eval(&f->a, p, &vars, &v, &cost, &f->err))
		return; /* over the limit: nothing to compare */
	if (cost > c.max || cost < c.min)
		fail_msg("%s costs %llu, estimated %llu to %llu", text, (unsigned long long)cost, (unsigned long long)c.min,
				 (unsigned long long)c.max);
}

static void test_random(void **state)
{
	struct fixture *whole = *state;
	size_t bounded = 0;

	for (unsigned seed = 1; seed <= 1500; seed++) {
		struct fixture f = { .env = whole->env, .a = ARENA_INIT(64 << 20) }; /* one environment, memory per expression */
		struct random r = { seed };
		struct buf b CLEANUP_BUF = BUF_INIT(1 << 16);
		struct cel_cost c;

		generate(&r, &b, (enum kind)below(&r, KINDS), 4);
		if (fixture_parse(&f, buf_z(&b)) || cel_check(&f.a, f.env, f.ast, &f.err))
			fail_msg("seed %u: %s", seed, f.err.msg);
		assert_ok(cel_cost_estimate(f.ast, sizes, NULL, &c, &f.err), &f.err);
		bounded += c.max != UINT64_MAX;
		for (int i = 0; i < 3; i++)
			evaluate(&f, &r, buf_z(&b));
		arena_fini(&f.a);
	}
	assert_true(bounded > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = { CEL_TEST(test_known), CEL_TEST(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
