/* version-range-semver.c - the requirements of npm (node-semver's grammar), Cargo, Composer and Dart: ^ ~ partial versions and
 * hyphens, each made one interval. Pure; any thread. */
#include "lang/version/version-range-internal.h"

bool partial_parse(str s, struct partial *ret)
{
	*ret = (struct partial){ .n = 0 };
	while (s.len && (s.ptr[0] == 'v' || s.ptr[0] == 'V' || s.ptr[0] == '='))
		s = str_sub(s, 1, s.len);
	for (;;) {
		str digits = take_digits(&s);

		if (digits.len) {
			if (ret->wild || ret->n == PARTIAL_MAX)
				return false;
			ret->num[ret->n++] = digits;
		} else if (s.len && (s.ptr[0] == 'x' || s.ptr[0] == 'X' || s.ptr[0] == '*')) {
			ret->wild = true;
			s = str_sub(s, 1, s.len);
		} else {
			return false;
		}
		if (s.len < 2 || s.ptr[0] != '.' || (!is_digit(s.ptr[1]) && !strchr("xX*", s.ptr[1])))
			break;
		s = str_sub(s, 1, s.len);
	}
	if (str_eqz(s, "."))
		return false;
	ret->rest = s;
	if (s.len && s.ptr[0] == '-')
		str_cut(str_sub(s, 1, s.len), '+', &ret->pre, &s);
	return true;
}

str digits_plus_one(struct arena *a, str digits)
{
	char *out = arena_printf(a, "0%.*s", STR_ARG(digits));
	size_t i = digits.len;

	if (!out)
		return STR_NULL;
	while (out[i] == '9')
		out[i--] = '0';
	out[i]++;
	return out[0] == '0' ? str_z(out + 1) : str_z(out);
}

str partial_text(struct arena *a, const struct partial *v, size_t n, size_t width, int raise)
{
	struct buf out CLEANUP_BUF = BUF_INIT(2 * LIMIT_VERSION_BYTES);

	for (size_t i = 0; i < n || i < width; i++) {
		str digits = i < n && i < v->n ? v->num[i] : STR("0");

		if (raise && i + 1 == n)
			digits = digits_plus_one(a, digits);
		if (i)
			buf_addc(&out, '.');
		buf_add_str(&out, digits);
	}
	return arena_str(a, buf_str(&out));
}

static bool is_zero(str digits)
{
	return !cut_zeros(digits).len;
}

/* The numbers of which the last is raised for ^: the first that is not 0. */
static size_t caret_numbers(const struct range_parser *p, const struct partial *v)
{
	size_t n = 1, most = p->system == VERSION_SYSTEM_PUB ? 2 : v->n < 3 ? v->n : 3;

	while (n < most && is_zero(v->num[n - 1]))
		n++;
	return n;
}

static size_t tilde_numbers(const struct range_parser *p, const struct partial *v)
{
	if (p->system == VERSION_SYSTEM_PACKAGIST)
		return v->n > 1 ? v->n - 1 : 1;
	return v->n > 1 ? 2 : 1;
}

static size_t width_of(const struct range_parser *p)
{
	return p->system == VERSION_SYSTEM_PACKAGIST ? 4 : 3;
}

static int read_partial(struct range_parser *p, str text, size_t at, struct partial *v)
{
	if (!partial_parse(text, v) || v->n > width_of(p) || (v->wild && v->rest.len) ||
		(v->rest.len && p->system != VERSION_SYSTEM_PACKAGIST && (v->n < 3 || (v->rest.ptr[0] != '-' && v->rest.ptr[0] != '+'))))
		return range_fail(p, at, "not a version: write numbers with dots between them, as in 1.2.3");
	if (p->system == VERSION_SYSTEM_PUB && (v->n != 3 || v->wild))
		return range_fail(p, at, "not a whole version: write three numbers, as in 1.2.3");
	return 0;
}

/* Composer compares what has no stability of its own from its -dev on. */
static int bound(struct range_parser *p, size_t at, str text, bool dev, const struct version **ret)
{
	int r;

	if (dev && p->system == VERSION_SYSTEM_PACKAGIST)
		text = str_z(arena_printf(p->arena, "%.*s-dev", STR_ARG(text)));
	r = text.ptr ? range_version(p, at, text, ret) : arena_check(p->arena, "version range", p->reterr);
	if (!r && p->system == VERSION_SYSTEM_PACKAGIST) {
		if (!(*ret)->padded)
			return range_fail(p, at, "not a version that Composer can compare: write numbers and a stability, as in 1.2.3-beta1");
		*ret = (*ret)->padded;
	}
	return r;
}

/* From the version, up to the first n numbers with the last raised. */
static int span(struct range_parser *p, str lo, const struct partial *v, size_t n, size_t at, struct clause *c)
{
	int r = bound(p, at, lo, !v->rest.len, &c->lo);

	c->hi_open = c->hi_final = true;
	return r ? r : bound(p, at, partial_text(p->arena, v, n, width_of(p), 1), true, &c->hi);
}

/* > >= < <= = with numbers left out: the whole of what they leave open is meant. */
static int open_numbers(struct range_parser *p, enum range_op op, const struct partial *v, size_t at, struct clause *c)
{
	str from = partial_text(p->arena, v, v->n, width_of(p), 0), behind = partial_text(p->arena, v, v->n, width_of(p), 1);

	switch (op) {
	case OP_GT: return bound(p, at, behind, true, &c->lo);
	case OP_GE: return bound(p, at, from, true, &c->lo);
	case OP_LT: c->hi_open = c->hi_final = true; return bound(p, at, from, true, &c->hi);
	case OP_LE: c->hi_open = c->hi_final = true; return bound(p, at, behind, true, &c->hi);
	default: c->negated = op == OP_NE; return span(p, from, v, v->n, at, c);
	}
}

static int whole(struct range_parser *p, enum range_op op, str text, bool stable, size_t at, struct clause *c)
{
	const struct version *v = NULL;
	int r = bound(p, at, text, stable && (op == OP_LT || op == OP_GE), &v);

	c->bound = true;
	c->negated = op == OP_NE;
	c->lo = op == OP_LT || op == OP_LE ? NULL : v;
	c->hi = op == OP_GT || op == OP_GE ? NULL : v;
	c->lo_open = op == OP_GT;
	c->hi_open = op == OP_LT;
	c->hi_final = !r && op == OP_LT && p->system == VERSION_SYSTEM_PUB && !v->pre && !str_contains(text, STR("+"));
	return r;
}

/* dev-main, 1.x-dev, 1.2@beta, dev-main#0123: the branch; the flag and the commit choose nothing among versions. */
static bool composer_branch(struct range_parser *p, enum range_op op, str *text, struct clause *c)
{
	str_cut(*text, '#', text, &(str){ NULL, 0 });
	str_cut(*text, '@', text, &(str){ NULL, 0 });
	if (!str_has_prefix(*text, STR("dev-")))
		return false;
	c->kind = CLAUSE_TEXT;
	c->negated = op == OP_NE;
	c->same = arena_str(p->arena, *text);
	return true;
}

/* What only Composer writes; true: *ret_r is the outcome. */
static bool composer_own(struct range_parser *p, enum range_op op, str *text, size_t at, struct clause *c, int *ret_r)
{
	*ret_r = 0;
	if (composer_branch(p, op, text, c)) {
		if (op != OP_BARE && op != OP_EQ && op != OP_NE)
			*ret_r = range_fail(p, at, "a branch has no order: write it without operator");
		return true;
	}
	if (!text->len) /* "@dev" alone: any */
		return true;
	if (!str_has_suffix(*text, STR("x-dev")))
		return false;
	*ret_r = whole(p, op == OP_BARE ? OP_EQ : op, *text, false, at, c);
	return true;
}

static int numbers(struct range_parser *p, enum range_op op, str text, const struct partial *v, size_t at, struct clause *c)
{
	bool composer = p->system == VERSION_SYSTEM_PACKAGIST;
	str  full = v->rest.len ? text : partial_text(p->arena, v, v->n, width_of(p), 0);

	if (op == OP_CARET)
		return span(p, full, v, caret_numbers(p, v), at, c);
	if (op == OP_TILDE)
		return span(p, full, v, tilde_numbers(p, v), at, c);
	if (v->wild || (!composer && v->n < width_of(p)))
		return open_numbers(p, op, v, at, c);
	return whole(p, op, full, !v->rest.len, at, c);
}

int range_semver(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c)
{
	struct partial v;
	int r;

	if (p->system == VERSION_SYSTEM_PUB && op == OP_BARE && str_eqz(text, "any"))
		return 0;
	if (p->system == VERSION_SYSTEM_PACKAGIST && composer_own(p, op, &text, at, c, &r))
		return r;
	r = read_partial(p, text, at, &v);
	if (r)
		return r;
	if (op == OP_BARE)
		op = p->system == VERSION_SYSTEM_CARGO && !v.wild ? OP_CARET : OP_EQ;
	if (v.n)
		return numbers(p, op, text, &v, at, c);
	c->kind = op == OP_LT || op == OP_GT || op == OP_NE ? CLAUSE_NONE : CLAUSE_WITHIN; /* * */
	return 0;
}

int range_hyphen(struct range_parser *p, str from, str to, size_t at, struct clause *c)
{
	struct partial lo, hi;
	int r = read_partial(p, from, at, &lo);

	if (!r)
		r = read_partial(p, to, at, &hi);
	if (!r && lo.n)
		r = bound(p, at, lo.rest.len ? from : partial_text(p->arena, &lo, lo.n, width_of(p), 0), !lo.rest.len, &c->lo);
	if (r || !hi.n)
		return r;
	if (hi.rest.len || hi.n >= 3)
		return bound(p, at, hi.rest.len ? to : partial_text(p->arena, &hi, hi.n, width_of(p), 0), false, &c->hi);
	c->hi_open = c->hi_final = true;
	return bound(p, at, partial_text(p->arena, &hi, hi.n, width_of(p), 1), true, &c->hi);
}
