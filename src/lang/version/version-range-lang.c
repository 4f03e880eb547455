/* version-range-lang.c - PEP 440 specifiers, RubyGems requirements, Hackage's ranges with && || and parentheses, and the form in
 * which Composer compares versions. Pure; any thread. */
#include "lang/version/version-range-internal.h"

/* --- PEP 440 --- */

static str epoch_of(str text)
{
	size_t n = str_find(text, '!');

	return n < text.len ? str_sub(text, 0, n + 1) : STR("");
}

/* The first n numbers with all that stands behind them, from the .dev0 of the first on. */
static int pypi_prefix(struct range_parser *p, str epoch, const struct partial *v, size_t n, size_t at, struct clause *c)
{
	str lo = partial_text(p->arena, v, n, 0, 0), hi = partial_text(p->arena, v, n, 0, 1);
	int r;

	lo = str_z(arena_printf(p->arena, "%.*s%.*s.dev0", STR_ARG(epoch), STR_ARG(lo)));
	hi = str_z(arena_printf(p->arena, "%.*s%.*s.dev0", STR_ARG(epoch), STR_ARG(hi)));
	r = range_version(p, at, lo, &c->lo);
	c->hi_open = c->public_only = true;
	return r ? r : range_version(p, at, hi, &c->hi);
}

static int pypi_compatible(struct range_parser *p, str text, size_t at, struct clause *c)
{
	str epoch = epoch_of(text);
	const struct version *v;
	struct partial n;
	int r = range_version(p, at, text, &v);

	if (r)
		return r;
	if (!partial_parse(str_sub(text, epoch.len, text.len), &n) || n.n < 2 || n.wild)
		return range_fail(p, at, "~= needs two numbers at least: write ~=1.2");
	r = pypi_prefix(p, epoch, &n, n.n - 1, at, c);
	c->lo = v;
	return r;
}

int range_pypi(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c)
{
	const struct version *v;
	str epoch = epoch_of(text);
	struct partial n;
	int r;

	if (op == OP_SAME) {
		c->kind = CLAUSE_TEXT;
		c->same = arena_str(p->arena, text);
		return range_version(p, at, text, &v);
	}
	if (str_has_suffix(text, STR(".*"))) {
		if ((op != OP_EQ && op != OP_NE) || !partial_parse(str_sub(text, epoch.len, text.len), &n) || n.rest.len || !n.n)
			return range_fail(p, at, ".* stands behind numbers and == or != alone: write ==1.2.*");
		c->negated = op == OP_NE;
		return pypi_prefix(p, epoch, &n, n.n, at, c);
	}
	r = range_version(p, at, text, &v);
	if (r)
		return r;
	if (v->key.ptr[0] == 1)
		return range_fail(p, at, "not a PEP 440 version: write one as 1.2.3rc1, or ===TEXT");
	if (v->local && op != OP_EQ && op != OP_NE)
		return range_fail(p, at, "a +local version stands behind == and != alone: leave the part from + on out");
	if (op == OP_TILDE)
		return pypi_compatible(p, text, at, c);
	r = range_plain(p, op, text, at, c);
	c->public_only = op == OP_GE || op == OP_LE || ((op == OP_EQ || op == OP_NE) && !v->local);
	c->hi_final = op == OP_LT && !v->pre;
	c->lo_final = op == OP_GT;
	return r;
}

/* --- RubyGems --- */

int range_rubygems(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c)
{
	struct partial v;
	int r;

	if (!partial_parse(text, &v) || v.wild || !is_digit(text.ptr[0]))
		return range_fail(p, at, "not a version: write numbers with dots between them, as in ~> 1.2");
	if (op != OP_TILDE)
		return range_plain(p, op == OP_BARE ? OP_EQ : op, text, at, c);
	r = range_version(p, at, text, &c->lo);
	c->hi_open = c->hi_final = true;
	return r ? r : range_version(p, at, partial_text(p->arena, &v, v.n > 1 ? v.n - 1 : 1, 0, 1), &c->hi);
}

/* --- Hackage: a list of sets for each part of the tree; && takes each with each --- */

int range_hackage(struct range_parser *p, enum range_op op, str text, size_t at, struct clause *c)
{
	struct partial v;
	str lo;
	int r;

	if (!partial_parse(text, &v) || v.rest.len || !v.n || !is_digit(text.ptr[0]) || (v.wild && op != OP_EQ))
		return range_fail(p, at, "not a version: write numbers with dots between them, as in >=1.2 (.* behind == alone)");
	if (op != OP_CARET && !v.wild)
		return range_plain(p, op, text, at, c);
	lo = partial_text(p->arena, &v, v.n, 0, 0);
	r = range_version(p, at, lo, &c->lo);
	c->hi_open = true;
	return r ? r : range_version(p, at, partial_text(p->arena, &v, v.wild ? v.n : 2, 0, 1), &c->hi);
}

static int hackage_or(struct range_parser *p);

static int hackage_clause(struct range_parser *p)
{
	struct clause c = { .kind = CLAUSE_WITHIN };
	str spelling, token;
	size_t start = p->at;
	enum range_op op = range_operator(p, &spelling);
	int r;

	range_blanks(p);
	start = op == OP_BARE ? start : p->at;
	token = range_token(p);
	if (op == OP_BARE && (str_eqz(token, "-any") || str_eqz(token, "-none")))
		c.kind = str_eqz(token, "-any") ? CLAUSE_WITHIN : CLAUSE_NONE, r = 0;
	else if (op == OP_BARE || !token.len)
		return range_fail(p, start, "an operator and a version are missing: write them as in >=1.2 && <1.3");
	else
		r = range_hackage(p, op, token, start, &c);
	c.text = str_z(arena_printf(p->arena, "%.*s%.*s", STR_ARG(spelling), STR_ARG(token)));
	if (!r)
		r = range_add_set(p);
	return r ? r : range_add(p, &c);
}

static int hackage_atom(struct range_parser *p)
{
	int r;

	range_blanks(p);
	if (!range_take(p, "("))
		return hackage_clause(p);
	if (++p->depth > VERSION_RANGE_DEPTH_MAX)
		return err_set(p->reterr, WEIR_ELIMIT, "Hackage range, column %zu: parentheses nest deeper than %d: write fewer", p->at,
					   VERSION_RANGE_DEPTH_MAX);
	r = hackage_or(p);
	range_blanks(p);
	if (!r && !range_take(p, ")"))
		r = range_fail(p, p->at, "a parenthesis is not closed: write ')'");
	p->depth--;
	return r;
}

/* The sets from `from` to `mid` with each of those from `mid` on. */
static int multiply(struct range_parser *p, size_t from, size_t mid)
{
	struct version_range *r = p->range, left = *r;
	size_t end = r->n, keep = r->n;
	int err = 0;

	for (size_t i = from; !err && i < mid; i++) {
		for (size_t k = mid; !err && k < end; k++) {
			err = range_add_set(p);
			for (size_t n = 0; !err && n < left.sets[i].n; n++)
				err = range_add(p, left.sets[i].v[n]);
			for (size_t n = 0; !err && n < left.sets[k].n; n++)
				err = range_add(p, left.sets[k].v[n]);
		}
	}
	if (err)
		return err;
	memmove(r->sets + from, r->sets + keep, (r->n - keep) * sizeof(*r->sets));
	r->n = from + r->n - keep;
	return 0;
}

static int hackage_and(struct range_parser *p)
{
	size_t from = p->range->n;
	int r = hackage_atom(p);

	for (;;) {
		size_t mid = p->range->n;

		range_blanks(p);
		if (r || !range_take(p, "&&"))
			return r;
		r = hackage_atom(p);
		if (!r)
			r = multiply(p, from, mid);
	}
}

static int hackage_or(struct range_parser *p)
{
	int r = hackage_and(p);

	while (!r) {
		range_blanks(p);
		if (!range_take(p, "||"))
			break;
		r = hackage_and(p);
	}
	return r;
}

int range_hackage_text(struct range_parser *p)
{
	int r = hackage_or(p);

	if (!r && p->at < p->end)
		r = range_fail(p, p->at, "not understood: write && or || between two versions");
	return r;
}

/* --- Composer's normal form: four numbers, one stability --- */

static str stability(str *s)
{
	static const struct {
		const char *word, *name;
	} words[] = { { "alpha", "-alpha" }, { "beta", "-beta" }, { "patch", "-pl" }, { "stable", "" }, { "rc", "-RC" },
				  { "pl", "-pl" },       { "a", "-alpha" },   { "b", "-beta" },   { "p", "-pl" } };
	str rest = *s, word;

	if (rest.len && strchr("-._", rest.ptr[0]))
		rest = str_sub(rest, 1, rest.len);
	word = take_letters(&rest);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (str_eq_nocase(word, str_z(words[i].word))) {
			*s = rest;
			return str_z(words[i].name);
		}
	}
	return STR_NULL;
}

static bool is_x(char c) { return c == 'x' || c == 'X'; }

/* The four numbers, with zeros (behind an x: nines) for those that are left out; false: there is none where one must be. */
static bool padded_numbers(str *s, struct buf *out, bool *ret_wild)
{
	bool   more = true;
	size_t n = 0;

	for (*ret_wild = false; n < 4 && more && !*ret_wild; n++) {
		str digits = take_digits(s);

		*ret_wild = !digits.len && s->len && is_x(s->ptr[0]) && n;
		if (!digits.len && !*ret_wild)
			return false;
		if (*ret_wild)
			buf_addz(out, ".9999999");
		else
			buf_addf(out, "%s%.*s", n ? "." : "", STR_ARG(digits));
		more = !*ret_wild && s->len >= 2 && s->ptr[0] == '.' && (is_digit(s->ptr[1]) || is_x(s->ptr[1]));
		if (*ret_wild || more)
			*s = str_sub(*s, 1, s->len);
	}
	for (; n < 4; n++)
		buf_addz(out, *ret_wild ? ".9999999" : ".0");
	return true;
}

static bool padded_text(str s, struct buf *out)
{
	bool wild;
	str word, rest;

	str_cut(s, '+', &s, &rest);
	if (s.len && (s.ptr[0] == 'v' || s.ptr[0] == 'V'))
		s = str_sub(s, 1, s.len);
	if (!padded_numbers(&s, out, &wild))
		return false;
	word = stability(&s);
	buf_add_str(out, word.ptr ? word : STR(""));
	if (word.len) {
		if (s.len > 1 && (s.ptr[0] == '.' || s.ptr[0] == '-') && is_digit(s.ptr[1]))
			s = str_sub(s, 1, s.len);
		buf_add_str(out, take_digits(&s));
	}
	if (s.len && strchr("-._", s.ptr[0]))
		s = str_sub(s, 1, s.len);
	if (str_eq_nocase(s, STR("dev"))) {
		buf_addz(out, "-dev");
		return true;
	}
	return !s.len && !wild;
}

int packagist_pad(struct arena *a, struct version *v, struct err *reterr)
{
	struct buf text CLEANUP_BUF = BUF_INIT(2 * LIMIT_VERSION_BYTES), key CLEANUP_BUF = BUF_INIT(16 * LIMIT_VERSION_BYTES);
	struct version *padded;

	if (!padded_text(v->text, &text))
		return 0;
	padded = ARENA_NEW(a, struct version);
	if (!padded)
		return arena_check(a, "version", reterr);
	padded->order = VERSION_PACKAGIST;
	padded->any = key_packagist(&key, buf_str(&text));
	padded->text = v->text;
	padded->padded = padded;
	padded->key = arena_str(a, buf_str(&key));
	v->padded = padded;
	return buf_check(&key, "version", reterr);
}
