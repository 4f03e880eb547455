/* version-maven.c - Maven's order (POM reference, "Version Order Specification"). Pure; any thread.
 *
 * Tokens are compared one by one; the shorter version is filled up with tokens that mean nothing: "", or 0 where the longer one
 * has a number behind a dot. */
#include "lang/version/version-internal.h"

static str lowered(struct arena *a, str s)
{
	char *copy = arena_dup(a, s);

	for (size_t i = 0; copy && i < s.len; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] = (char)(copy[i] + 32);
	return copy ? str_n(copy, s.len) : STR_NULL;
}

static bool is_null(const struct maven_token *t)
{
	return t->number ? !t->text.len
					 : (!t->text.len || str_eqz(t->text, "final") || str_eqz(t->text, "ga") || str_eqz(t->text, "release"));
}

/* "a1" is alpha-1, and so on: only before a digit. */
static str full_name(str word, bool before_digit)
{
	if (before_digit && str_eqz(word, "a"))
		return STR("alpha");
	if (before_digit && str_eqz(word, "b"))
		return STR("beta");
	if (before_digit && str_eqz(word, "m"))
		return STR("milestone");
	return str_eqz(word, "cr") ? STR("rc") : word;
}

/* Tokens that mean nothing are cut off the end, and before each hyphen. */
static void trim(struct version *v)
{
	size_t kept = 0;

	for (size_t i = 0; i <= v->n_tokens; i++) {
		if (i == v->n_tokens || v->tokens[i].hyphen)
			while (kept > 1 && is_null(&v->tokens[kept - 1]))
				kept--;
		if (i < v->n_tokens)
			v->tokens[kept++] = v->tokens[i];
	}
	v->n_tokens = kept;
}

int maven_parse(struct arena *a, str s, struct version *v, struct err *reterr)
{
	bool hyphen = false;
	str text = lowered(a, s);

	v->tokens = ARENA_ARRAY(a, s.len + 1, struct maven_token);
	if (!v->tokens || !text.ptr)
		return arena_check(a, "version", reterr);
	while (text.len) {
		struct maven_token *t = &v->tokens[v->n_tokens++];
		size_t n = 0;

		t->hyphen = hyphen;
		t->number = is_digit(text.ptr[0]);
		while (n < text.len && text.ptr[n] != '.' && text.ptr[n] != '-' && text.ptr[n] != '_' &&
			   is_digit(text.ptr[n]) == t->number)
			n++;
		t->text = str_sub(text, 0, n);
		if (!n) { /* two separators in a row: a 0 between them */
			t->number = true;
			t->text = STR("");
		} else if (t->number) {
			t->text = cut_zeros(t->text);
		} else {
			t->text = full_name(t->text, n < text.len && is_digit(text.ptr[n]));
		}
		text = str_sub(text, n, text.len);
		hyphen = text.len && text.ptr[0] != '.';
		if (text.len && (text.ptr[0] == '.' || text.ptr[0] == '-' ||
						 text.ptr[0] == '_')) /* between a digit and a letter there is a hyphen unsaid */
			text = str_sub(text, 1, text.len);
	}
	trim(v);
	return 0;
}

static int word_rank(str w)
{
	static const char *const ranks[] = { "alpha", "beta", "milestone", "rc", "snapshot", "", "sp" };

	if (str_eqz(w, "final") || str_eqz(w, "ga") || str_eqz(w, "release"))
		w = STR("");
	for (size_t i = 0; i < ARRAY_SIZE(ranks); i++)
		if (str_eqz(w, ranks[i]))
			return (int)i;
	return ARRAY_SIZE(ranks);
}

static int compare_numbers(str a, str b)
{
	return a.len != b.len ? (a.len < b.len ? -1 : 1) : str_cmp(a, b);
}

static int compare_words(str a, str b)
{
	int x = word_rank(a), y = word_rank(b);

	return x != y ? (x < y ? -1 : 1) : x == 7 ? str_cmp(a, b) : 0;
}

/* .word < -word < -number < .number */
static int class_of(const struct maven_token *t)
{
	return t->number ? (t->hyphen ? 2 : 3) : t->hyphen ? 1 : 0;
}

static int compare_tokens(const struct maven_token *a, const struct maven_token *b)
{
	int x = class_of(a), y = class_of(b);

	if (x != y)
		return x < y ? -1 : 1;
	return a->number ? compare_numbers(a->text, b->text) : compare_words(a->text, b->text);
}

int maven_compare(const struct version *a, const struct version *b)
{
	size_t n = a->n_tokens > b->n_tokens ? a->n_tokens : b->n_tokens;

	for (size_t i = 0; i < n; i++) {
		const struct maven_token *x = i < a->n_tokens ? &a->tokens[i] : NULL, *y = i < b->n_tokens ? &b->tokens[i] : NULL;
		const struct maven_token *there = x ? x : y;
		struct maven_token fill = { .hyphen = there->hyphen, .number = there->number && !there->hyphen, .text = STR("") };
		int r = compare_tokens(x ? x : &fill, y ? y : &fill);

		if (r)
			return r;
	}
	return 0;
}
