/* version-range.c - requirement ranges: the reader of operator lists, matching, printing. Pure; any thread.
 *
 * A range is a list of sets of clauses: one set must fit, with all its clauses. A clause is an interval with the flags of its
 * ecosystem's rules, and the text it is printed as. */
#include "lang/version/version-range-internal.h"

#include <stdio.h>

#define SYSTEM(id) (1u << VERSION_SYSTEM_##id)
enum {
	ALTERNATIVES = SYSTEM(NPM) | SYSTEM(PACKAGIST),
	BLANK_IS_AND = SYSTEM(NPM) | SYSTEM(PACKAGIST) | SYSTEM(PUB),
	COMMA_IS_AND = ~(SYSTEM(NPM) | SYSTEM(PUB)),
	PARENTHESES = SYSTEM(PYPI) | SYSTEM(DEBIAN) | SYSTEM(CRAN),
	BARE_VERSION = SYSTEM(NPM) | SYSTEM(CARGO) | SYSTEM(RUBYGEMS) | SYSTEM(PACKAGIST) | SYSTEM(PUB),
	SPACED = SYSTEM(RUBYGEMS) | SYSTEM(DEBIAN) | SYSTEM(RPM) | SYSTEM(CRAN),
	PARTIALS = SYSTEM(NPM) | SYSTEM(CARGO) | SYSTEM(PACKAGIST) | SYSTEM(PUB),
};

static bool is_one_of(enum version_system s, unsigned set)
{
	return set >> s & 1;
}

static const struct {
	const char *name;
	enum version_order order;
} systems[] = {
#define X(id, name, order) { name, VERSION_##order },
	VERSION_SYSTEM_TABLE(X)
#undef X
};

const char *version_system_name(enum version_system s)
{
	return s < VERSION_SYSTEMS ? systems[s].name : "unknown";
}

enum version_order version_system_order(enum version_system s)
{
	return s < VERSION_SYSTEMS ? systems[s].order : VERSION_ORDERS;
}

bool version_system_of(str ecosystem, enum version_system *ret)
{
	enum version_order order;

	if (!version_order_of(ecosystem, &order))
		return false;
	if (order == VERSION_SEMVER) {
		bool npm = str_eqz(ecosystem, "npm"), cargo = str_eqz(ecosystem, "crates.io");

		*ret = npm ? VERSION_SYSTEM_NPM : cargo ? VERSION_SYSTEM_CARGO : VERSION_SYSTEM_GO;
		return npm || cargo || str_eqz(ecosystem, "Go");
	}
	for (int i = 0; i < VERSION_SYSTEMS; i++)
		if (systems[i].order == order)
			*ret = (enum version_system)i;
	return true;
}

/* --- building --- */

int range_fail(const struct range_parser *p, size_t at, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(p->reterr, WEIR_EPARSE, "%s range, column %zu: %s", version_system_name(p->system), at + 1, text);
}

static void *grown(struct arena *a, const void *old, size_t n, size_t *cap, size_t size)
{
	void *v = arena_array(a, *cap ? 2 * *cap : 2, size);

	if (!v)
		return NULL;
	if (n)
		memcpy(v, old, n * size);
	*cap = *cap ? 2 * *cap : 2;
	return v;
}

int range_add_set(struct range_parser *p)
{
	struct version_range *r = p->range;

	if (r->n >= LIMIT_VERSION_RANGE_CLAUSES)
		return err_set(p->reterr, WEIR_ELIMIT, "%s range, column %zu: more than %d alternatives: write fewer",
					   version_system_name(p->system), p->at + 1, LIMIT_VERSION_RANGE_CLAUSES);
	if (r->n == r->cap) {
		struct clause_set *sets = grown(p->arena, r->sets, r->n, &r->cap, sizeof(*sets));

		if (!sets)
			return arena_check(p->arena, "version range", p->reterr);
		r->sets = sets;
	}
	r->sets[r->n++] = (struct clause_set){ NULL, 0, 0 };
	return 0;
}

int range_add(struct range_parser *p, const struct clause *c)
{
	struct clause_set *s = &p->range->sets[p->range->n - 1];
	struct clause *copy;

	if (p->range->clauses++ >= LIMIT_VERSION_RANGE_CLAUSES)
		return err_set(p->reterr, WEIR_ELIMIT, "%s range, column %zu: more than %d clauses: write fewer",
					   version_system_name(p->system), p->at + 1, LIMIT_VERSION_RANGE_CLAUSES);
	copy = ARENA_NEW(p->arena, struct clause);
	if (copy && s->n == s->cap)
		s->v = grown(p->arena, s->v, s->n, &s->cap, sizeof(*s->v));
	if (!copy || !s->v || p->arena->failed)
		return arena_check(p->arena, "version range", p->reterr);
	*copy = *c;
	s->v[s->n++] = copy;
	return 0;
}

int range_version(struct range_parser *p, size_t at, str text, const struct version **ret)
{
	struct version *v;
	int r;

	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || strchr("\"'\\$&;,|()[]{}<>=`", text.ptr[i]))
			return range_fail(p, at + i, "this character cannot stand in a version: write letters, digits and . - + _ ~");
	r = version_parse(p->arena, version_system_order(p->system), text, &v, p->reterr);
	if (r)
		return err_wrap(p->reterr, "%s range, column %zu", version_system_name(p->system), at + 1);
	*ret = v;
	return 0;
}

bool range_blanks(struct range_parser *p)
{
	size_t from = p->at;

	while (p->at < p->end && (p->text.ptr[p->at] == ' ' || (p->text.ptr[p->at] >= '\t' && p->text.ptr[p->at] <= '\r')))
		p->at++;
	return p->at > from;
}

bool range_take(struct range_parser *p, const char *word)
{
	if (!str_has_prefix(str_sub(p->text, p->at, p->end - p->at), str_z(word)))
		return false;
	p->at += strlen(word);
	return true;
}

enum range_op range_operator(struct range_parser *p, str *ret_spelling)
{
	enum { ALL = ~SYSTEM(DEBIAN), EQ2 = SYSTEM(PYPI) | SYSTEM(PACKAGIST) | SYSTEM(HACKAGE) | SYSTEM(CRAN) };
	static const struct {
		const char *op;
		enum range_op id;
		unsigned in;
	} ops[] = {
		{ "===", OP_SAME, SYSTEM(PYPI) },
		{ "^>=", OP_CARET, SYSTEM(HACKAGE) },
		{ "~>", OP_TILDE, SYSTEM(NPM) | SYSTEM(RUBYGEMS) },
		{ "~=", OP_TILDE, SYSTEM(PYPI) },
		{ "=~", OP_TILDE, SYSTEM(ALPINE) },
		{ ">=", OP_GE, ~0u },
		{ "<=", OP_LE, ~0u },
		{ "==", OP_EQ, EQ2 },
		{ "!=", OP_NE, SYSTEM(PYPI) | SYSTEM(RUBYGEMS) | SYSTEM(PACKAGIST) | SYSTEM(CRAN) },
		{ "<>", OP_NE, SYSTEM(PACKAGIST) },
		{ "<<", OP_LT, SYSTEM(DEBIAN) },
		{ ">>", OP_GT, SYSTEM(DEBIAN) },
		{ "<", OP_LT, (unsigned)ALL },
		{ ">", OP_GT, (unsigned)ALL },
		{ "=", OP_EQ,
		  SYSTEM(NPM) | SYSTEM(CARGO) | SYSTEM(RUBYGEMS) | SYSTEM(PACKAGIST) | SYSTEM(DEBIAN) | SYSTEM(RPM) | SYSTEM(ALPINE) },
		{ "~", OP_TILDE, SYSTEM(NPM) | SYSTEM(CARGO) | SYSTEM(PACKAGIST) | SYSTEM(ALPINE) },
		{ "^", OP_CARET, SYSTEM(NPM) | SYSTEM(CARGO) | SYSTEM(PACKAGIST) | SYSTEM(PUB) },
	};

	*ret_spelling = STR("");
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (is_one_of(p->system, ops[i].in) && range_take(p, ops[i].op)) {
			*ret_spelling = str_z(ops[i].op);
			return ops[i].id;
		}
	}
	return OP_BARE;
}

str range_token(struct range_parser *p)
{
	size_t from = p->at;

	while (p->at < p->end && p->text.ptr[p->at] > ' ' && !strchr(",|()<>=&{}", p->text.ptr[p->at]))
		p->at++;
	return str_sub(p->text, from, p->at - from);
}

/* --- lists of operators and versions --- */

int range_plain(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c)
{
	const struct version *v;
	int r;

	if (op == OP_TILDE) { /* Alpine: 1.2 and all that goes on behind it */
		c->kind = CLAUSE_FUZZY;
		c->same = arena_str(p->arena, text);
	}
	r = range_version(p, at, text, &v);
	if (r || op == OP_TILDE)
		return r;
	c->bound = true;
	c->negated = op == OP_NE;
	c->lo = op == OP_LT || op == OP_LE ? NULL : v;
	c->hi = op == OP_GT || op == OP_GE ? NULL : v;
	c->lo_open = op == OP_GT;
	c->hi_open = op == OP_LT;
	return 0;
}

static int compile(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c)
{
	if (is_one_of(p->system, PARTIALS))
		return range_semver(p, op, text, at, c);
	if (p->system == VERSION_SYSTEM_PYPI)
		return range_pypi(p, op, text, at, c);
	if (p->system == VERSION_SYSTEM_RUBYGEMS)
		return range_rubygems(p, op, text, at, c);
	return range_plain(p, op, text, at, c);
}

/* The " - " of npm and Composer behind a version. */
static bool take_hyphen(struct range_parser *p)
{
	size_t from = p->at;

	if (is_one_of(p->system, ALTERNATIVES) && range_blanks(p) && range_take(p, "-") && range_blanks(p))
		return true;
	p->at = from;
	return false;
}

static int clause(struct range_parser *p)
{
	struct clause c = { .kind = CLAUSE_WITHIN };
	size_t start = p->at, at;
	str spelling, token;
	enum range_op op = range_operator(p, &spelling);
	int r;

	range_blanks(p);
	at = p->at;
	token = range_token(p);
	if (p->system == VERSION_SYSTEM_DEBIAN && op == OP_BARE && at < p->end && strchr("<>", p->text.ptr[at]))
		return range_fail(p, at, "< and > are not understood: write <<, <=, >= or >>");
	if (!token.len)
		return range_fail(p, at, "a version is missing: write one%s", op == OP_BARE ? ", as in >= 1.2" : " behind the operator");
	if (strchr("~^!", token.ptr[0])) /* printed without the blank before it, it would be another operator */
		return range_fail(p, at, "a version begins with no %c: write one operator and a version", token.ptr[0]);
	if (op == OP_BARE && !is_one_of(p->system, BARE_VERSION))
		return range_fail(p, start, "a version without an operator: write one before it, as in >= %.*s", (int)(token.len > 40 ? 40 : token.len),
						  token.ptr);
	if (op == OP_BARE && take_hyphen(p)) {
		str to = range_token(p);

		r = to.len ? range_hyphen(p, token, to, at, &c) : range_fail(p, p->at, "a version is missing behind ' - '");
		c.text = str_z(arena_printf(p->arena, "%.*s - %.*s", STR_ARG(token), STR_ARG(to)));
	} else {
		r = compile(p, op, token, at, &c);
		c.text = str_z(arena_printf(p->arena, "%.*s%s%.*s", STR_ARG(spelling),
									spelling.len && is_one_of(p->system, SPACED) ? " " : "", STR_ARG(token)));
	}
	return r ? r : range_add(p, &c);
}

/* Dart: <2.0.0 leaves out the pre-releases of 2.0.0, unless the lower bound is one of them. */
static void finish_pub(struct clause_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; s->v[i]->hi_final && k < s->n; k++) {
			const struct version *lo = s->v[k]->lo, *hi = s->v[i]->hi;

			if (lo && lo->pre && str_eq(str_sub(lo->key, 0, lo->release_bytes), str_sub(hi->key, 0, hi->release_bytes)))
				s->v[i]->hi_final = false;
		}
}

static bool set_ends(const struct range_parser *p) { return p->at == p->end || p->text.ptr[p->at] == '|'; }

/* What stands between two clauses of a set; *ret_more: a clause follows. */
static int between(struct range_parser *p, bool *ret_more)
{
	bool blank = range_blanks(p);

	*ret_more = !set_ends(p);
	if (!*ret_more)
		return 0;
	if (p->text.ptr[p->at] == ',' && is_one_of(p->system, (unsigned)COMMA_IS_AND)) {
		p->at++;
		range_blanks(p);
		*ret_more = p->system != VERSION_SYSTEM_PYPI || p->at < p->end;
		return 0;
	}
	if (is_one_of(p->system, BLANK_IS_AND) && (blank || strchr("<>=", p->text.ptr[p->at])))
		return 0;
	return range_fail(p, p->at, "not understood: write %s between two versions", is_one_of(p->system, BLANK_IS_AND) ? "a blank" : "','");
}

static int one_set(struct range_parser *p)
{
	bool more = true;
	int r = range_add_set(p);

	range_blanks(p);
	if (!r && set_ends(p)) { /* npm: nothing is any version */
		bool any = p->system == VERSION_SYSTEM_NPM || (p->system == VERSION_SYSTEM_PYPI && p->range->n == 1);

		return any ? 0 : range_fail(p, p->at, "a version is missing: write one, as in >=1.2");
	}
	while (!r && more) {
		r = clause(p);
		if (!r)
			r = between(p, &more);
	}
	if (!r && p->system == VERSION_SYSTEM_PUB)
		finish_pub(&p->range->sets[p->range->n - 1]);
	return r;
}

static int lists(struct range_parser *p)
{
	int r;

	range_blanks(p);
	while (p->end > p->at && (unsigned char)p->text.ptr[p->end - 1] <= ' ')
		p->end--;
	if (is_one_of(p->system, PARENTHESES) && p->end - p->at >= 2 && p->text.ptr[p->at] == '(' && p->text.ptr[p->end - 1] == ')') {
		p->at++;
		p->end--;
	}
	r = one_set(p);
	while (!r && p->at < p->end) {
		if (!is_one_of(p->system, ALTERNATIVES) || (!range_take(p, "||") && !(p->system == VERSION_SYSTEM_PACKAGIST && range_take(p, "|"))))
			return range_fail(p, p->at, "'|' is not understood here: write %s", is_one_of(p->system, ALTERNATIVES) ? "||" : "','");
		r = one_set(p);
	}
	return r;
}

int version_range_parse(struct arena *a, enum version_system system, str text, struct version_range **ret, struct err *reterr)
{
	struct range_parser p = { .arena = a, .system = system, .text = text, .end = text.len, .reterr = reterr };
	int r;

	if (text.len > LIMIT_VERSION_RANGE_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "a version range of %zu bytes is longer than %d: write a shorter one", text.len,
					   LIMIT_VERSION_RANGE_BYTES);
	p.range = ARENA_NEW(a, struct version_range);
	if (!p.range)
		return arena_check(a, "version range", reterr);
	p.range->system = system;
	if (system == VERSION_SYSTEM_MAVEN || system == VERSION_SYSTEM_NUGET || system == VERSION_SYSTEM_GO)
		r = range_intervals(&p);
	else
		r = system == VERSION_SYSTEM_HACKAGE ? range_hackage_text(&p) : lists(&p);
	if (!r)
		r = arena_check(a, "version range", reterr);
	if (!r)
		*ret = p.range;
	return r;
}

/* --- matching --- */

static bool same_release(const struct version *a, const struct version *b)
{
	return a->release_bytes == b->release_bytes && memcmp(a->key.ptr, b->key.ptr, a->release_bytes) == 0;
}

/* The version against a bound of c. */
static int compare(const struct clause *c, const struct version *v, const struct version *bound)
{
	if (c->public_only || (v->order == VERSION_RPM && (!v->local || !bound->local)))
		return str_cmp(str_sub(v->key, 0, v->public_bytes), str_sub(bound->key, 0, bound->public_bytes));
	return version_compare(v, bound);
}

static bool is_within(const struct clause *c, const struct version *v)
{
	if (c->lo) {
		int r = compare(c, v, c->lo);

		if (r < 0 || (r == 0 && c->lo_open))
			return false;
		if (c->lo_final && ((v->post && !c->lo->post) || v->local) && same_release(v, c->lo))
			return false;
	}
	if (c->hi) {
		int r = compare(c, v, c->hi);

		if (r > 0 || (r == 0 && c->hi_open) || (c->hi_final && v->pre && same_release(v, c->hi)))
			return false;
	}
	return !(c->final_only && v->pre);
}

static bool clause_has(const struct clause *c, const struct version *v)
{
	str rest;

	switch (c->kind) {
	case CLAUSE_NONE: return false;
	case CLAUSE_TEXT: return str_eq_nocase(c->same, v->text) != c->negated;
	case CLAUSE_FUZZY:
		rest = str_sub(v->text, c->same.len, v->text.len);
		return str_has_prefix(v->text, c->same) && !(rest.len && is_digit(rest.ptr[0]));
	default: break;
	}
	if (v->order == VERSION_PYPI && v->key.ptr[0] == 1) /* no PEP 440 version: === alone */
		return false;
	if (v->order == VERSION_PACKAGIST && (c->lo || c->hi)) {
		if (!v->padded)
			return c->negated;
		v = v->padded;
	}
	return is_within(c, v) != c->negated;
}

/* npm and Cargo: a pre-release of numbers that the set names a pre-release of. */
static bool names_pre(const struct clause_set *s, const struct version *v)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct version *lo = s->v[i]->lo, *hi = s->v[i]->hi;

		if ((lo && lo->pre && same_release(lo, v)) || (hi && hi->pre && same_release(hi, v)))
			return true;
	}
	return false;
}

bool version_range_has(const struct version_range *range, const struct version *v)
{
	bool strict = range->system == VERSION_SYSTEM_NPM || range->system == VERSION_SYSTEM_CARGO;

	if (v->order != version_system_order(range->system))
		BUG("a version of another order than the range's");
	for (size_t i = 0; i < range->n; i++) {
		const struct clause_set *s = &range->sets[i];
		bool fits = true;

		for (size_t k = 0; fits && k < s->n; k++)
			fits = clause_has(s->v[k], v);
		if (fits && (!strict || !v->pre || names_pre(s, v)))
			return true;
	}
	return false;
}

const struct version *version_range_soft(const struct version_range *range)
{
	return range->soft;
}

void version_range_print(const struct version_range *range, struct buf *out)
{
	bool intervals = range->system == VERSION_SYSTEM_MAVEN || range->system == VERSION_SYSTEM_NUGET;
	const char *and = range->system == VERSION_SYSTEM_HACKAGE		? " && "
					  : is_one_of(range->system, BLANK_IS_AND)	? " "
																	: ", ";

	for (size_t i = 0; i < range->n; i++) {
		if (i)
			buf_addz(out, intervals ? "," : " || ");
		for (size_t k = 0; k < range->sets[i].n; k++) {
			if (k)
				buf_addz(out, and);
			buf_add_str(out, range->sets[i].v[k]->text);
		}
	}
}
