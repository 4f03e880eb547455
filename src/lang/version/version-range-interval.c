/* version-range-interval.c - the intervals of Maven, NuGet (with floating versions) and Go's retract. Pure; any thread. */
#include "lang/version/version-range-internal.h"

static str interval_token(struct range_parser *p)
{
	size_t from = p->at;

	while (p->at < p->end && p->text.ptr[p->at] > ' ' && !strchr(",()[]", p->text.ptr[p->at]))
		p->at++;
	return str_sub(p->text, from, p->at - from);
}

/* NuGet: 1.* is from 1 on and below 2, 1.0-* from its first pre-release on up to 1.0, 1.0-beta.* its betas and 1.0. */
static int floating(struct range_parser *p, str text, size_t at, struct clause *c)
{
	struct partial v;
	bool pre = str_has_suffix(text, STR("-*"));
	int r;

	if (!partial_parse(text, &v) || v.n > 4 || (v.wild && !str_eqz(v.rest, "-*") && v.rest.len) || (!v.wild && !pre))
		return range_fail(p, at, "not a floating version: write 1.*, 1.2.* or 1.2.3-*");
	c->final_only = v.wild && !pre;
	if (v.wild && !v.n)
		return 0;
	r = range_version(p, at, str_z(arena_printf(p->arena, "%.*s%s", STR_ARG(partial_text(p->arena, &v, v.n, 3, 0)), pre ? "-0" : "")),
					  &c->lo);
	c->hi_open = c->hi_final = v.wild;
	return r ? r : range_version(p, at, partial_text(p->arena, &v, v.n, 3, v.wild), &c->hi);
}

static bool is_whole(str text)
{
	struct partial v;

	return partial_parse(text, &v) && !v.wild && (!v.rest.len || v.rest.ptr[0] == '-' || v.rest.ptr[0] == '+');
}

static int bare(struct range_parser *p)
{
	struct clause c = { .kind = CLAUSE_WITHIN };
	size_t at = p->at;
	str text = interval_token(p);
	int r;

	if (!text.len)
		return range_fail(p, at, "a version is missing: write one, as in 1.2 or [1.2,1.3)");
	c.text = arena_str(p->arena, text);
	if (p->system == VERSION_SYSTEM_NUGET && str_contains(text, STR("*"))) {
		r = floating(p, text, at, &c);
	} else if (p->system == VERSION_SYSTEM_MAVEN) {
		r = range_version(p, at, text, &p->range->soft);
	} else {
		if (!is_whole(text))
			return range_fail(p, at, "not a version: write numbers with dots between them, as in 1.2.3");
		r = range_version(p, at, text, &c.lo);
	}
	return r ? r : range_add(p, &c);
}

static int side(struct range_parser *p, str text, size_t at, bool low, const struct version **ret)
{
	if (!text.len) {
		if (p->system == VERSION_SYSTEM_GO)
			return range_fail(p, at, "a version is missing: write both, as in [v1.2.0, v1.2.9]");
		return 0;
	}
	if (p->system == VERSION_SYSTEM_NUGET && low && str_contains(text, STR("*"))) { /* [1.*, ): the least of them */
		struct clause c = { .kind = CLAUSE_WITHIN };
		int r = floating(p, text, at, &c);

		*ret = c.lo;
		return r;
	}
	if (p->system != VERSION_SYSTEM_MAVEN && !is_whole(text))
		return range_fail(p, at, "not a version: write numbers with dots between them, as in 1.2.3");
	return range_version(p, at, text, ret);
}

struct sides {
	str    lo, hi; /* as written; the same when there is no comma */
	size_t hi_at;
	bool   comma;
};

static int read_sides(struct range_parser *p, size_t start, struct sides *s, struct clause *c)
{
	int r;

	range_blanks(p);
	s->lo = s->hi = interval_token(p);
	s->hi_at = start;
	r = side(p, s->lo, start + 1, true, &c->lo);
	range_blanks(p);
	s->comma = range_take(p, ",");
	if (!s->comma || r)
		return r;
	range_blanks(p);
	s->hi_at = p->at;
	s->hi = interval_token(p);
	r = side(p, s->hi, s->hi_at, false, &c->hi);
	range_blanks(p);
	return r;
}

/* Reads the closing bracket and looks at what both say together. */
static int close_interval(struct range_parser *p, const struct sides *s, struct clause *c)
{
	c->hi_open = !range_take(p, "]");
	if (c->hi_open && !range_take(p, ")"))
		return range_fail(p, p->at, "an interval is not closed: write ']' or ')'");
	if (!s->comma && (c->hi_open || c->lo_open || !s->lo.len || str_contains(s->lo, STR("*"))))
		return range_fail(p, p->at - 1, "one version alone stands in brackets: write [1.2]");
	if (p->system == VERSION_SYSTEM_GO && (c->lo_open || c->hi_open))
		return range_fail(p, p->at - 1, "an interval of Go holds both its ends: write [v1.2.0, v1.2.9]");
	if (!s->comma)
		c->hi = c->lo;
	if (c->lo && c->hi && version_compare(c->lo, c->hi) > 0)
		return range_fail(p, s->hi_at, "the interval ends before it begins: write the lower version first");
	return 0;
}

/* Behind '[' or '(' at `start`. */
static int interval(struct range_parser *p, size_t start)
{
	struct clause c = { .kind = CLAUSE_WITHIN, .bound = true, .lo_open = p->text.ptr[start] == '(' };
	struct sides s;
	int r = read_sides(p, start, &s, &c);

	if (!r)
		r = close_interval(p, &s, &c);
	if (r)
		return r;
	c.text = s.comma ? str_z(arena_printf(p->arena, "%c%.*s,%s%.*s%c", c.lo_open ? '(' : '[', STR_ARG(s.lo),
										  p->system == VERSION_SYSTEM_MAVEN || !s.hi.len ? "" : " ", STR_ARG(s.hi), c.hi_open ? ')' : ']'))
					 : str_z(arena_printf(p->arena, "[%.*s]", STR_ARG(s.lo)));
	return range_add(p, &c);
}

int range_intervals(struct range_parser *p)
{
	int r;

	do {
		size_t start;

		range_blanks(p);
		start = p->at;
		r = range_add_set(p);
		if (!r && (range_take(p, "[") || (p->system != VERSION_SYSTEM_GO && range_take(p, "("))))
			r = interval(p, start);
		else if (!r && p->range->n == 1) {
			r = bare(p);
			range_blanks(p);
			break;
		} else if (!r)
			r = range_fail(p, p->at, "another interval is missing: write it as [1.2,1.3)");
		range_blanks(p);
	} while (!r && p->system == VERSION_SYSTEM_MAVEN && range_take(p, ","));
	if (!r && p->at < p->end)
		r = range_fail(p, p->at, "not understood: write one version or interval%s",
					   p->system == VERSION_SYSTEM_MAVEN ? ", ',' between two intervals" : "");
	return r;
}
