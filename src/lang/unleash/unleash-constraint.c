/* unleash-constraint.c - constraints: compiled to what their operator compares with, and held against a context. Pure; any thread.
 *
 * A constraint that cannot be obeyed (an operator nobody knows, a number, date, version or pattern that is none) never holds, inverted or not. A
 * field that the context does not have holds for NOT_IN alone; "inverted" turns the answer round. Texts whose case does not count are one pattern
 * of RE2, which folds as Unicode does and takes time by the text's length alone. */
#include "base/base.h"
#include "unleash-internal.h"

#include <ctype.h>

static const struct {
	const char  *name;
	enum operand operand;
} ops[] = {
#define X(id, name, operand) { name, OPERAND_##operand },
	UNLEASH_OP_TABLE(X)
#undef X
};

/* --- compiling --- */

static enum op op_named(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (str_eqz(name, ops[i].name))
			return (enum op)i;
	return OP_UNKNOWN;
}

/* A value as text: numbers and booleans as they were written. */
static str text_of(const struct doc_node *n)
{
	return !n || n->kind == DOC_NULL || n->kind == DOC_MAP || n->kind == DOC_SEQ ? STR_NULL : n->text;
}

/* "values", without blanks around them and without empty ones; where there is no list, "value" as the only one. */
static int read_values(struct arena *a, const struct doc_node *n, struct texts *ret, struct err *reterr)
{
	const struct doc_node *list = doc_get(n, "values");
	size_t                 most = list && list->kind == DOC_SEQ ? doc_len(list) : 0, k = 0;
	str                   *v, one = str_trim(text_of(doc_get(n, "value")));

	if (most > UNLEASH_VALUES_MAX)
		return err_set(reterr, WEIR_ELIMIT, "a constraint has at most %d values, not %zu", UNLEASH_VALUES_MAX, most);
	v = ARENA_ARRAY(a, most + 1, str);
	for (size_t i = 0; v && i < most; i++) {
		str s = str_trim(text_of(doc_at(list, i)));

		if (s.len)
			v[k++] = arena_str(a, s);
	}
	if (v && !k && one.len)
		v[k++] = arena_str(a, one);
	*ret = (struct texts){ v, v ? k : 0 };
	return arena_check(a, "a constraint", reterr);
}

/* "value"; where there is none, the first of "values". */
static str read_value(const struct doc_node *n)
{
	str s = text_of(doc_get(n, "value"));

	return s.ptr ? s : text_of(doc_at(doc_get(n, "values"), 0));
}

static void free_regex(void *r) { regex_free(r); }

static void compile_pattern(struct arena *a, str text, struct constraint *c)
{
	struct regex *r;
	struct err    e;

	if (regex_new(text, UNLEASH_PATTERN_BYTES, &r, &e)) {
		c->broken = arena_printf(a, "%s", e.msg);
	} else if (!arena_at_end(a, free_regex, r)) {
		regex_free(r);
		a->failed = true;
	} else {
		c->pattern = r;
	}
}

static void add_literal(struct buf *out, str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i];

		if (!ch)
			buf_addz(out, "\\x00");
		else if (ch < 0x80 && !isalnum(ch) && ch != '_')
			buf_addf(out, "\\%c", ch);
		else
			buf_addc(out, (char)ch);
	}
}

/* STR_* without regard to case as one pattern. */
static void compile_texts(struct arena *a, struct constraint *c)
{
	struct buf CLEANUP_BUF out = BUF_INIT(8 << 20);

	if (!c->values.n)
		return;
	buf_addz(&out, c->op == OP_STR_STARTS_WITH ? "(?i)\\A(?:" : "(?i)(?:");
	for (size_t i = 0; i < c->values.n; i++) {
		if (i)
			buf_addc(&out, '|');
		add_literal(&out, c->values.v[i]);
	}
	buf_addz(&out, c->op == OP_STR_ENDS_WITH ? ")\\z" : ")");
	if (out.failed)
		c->broken = "its values are too many to be compared without regard to case";
	else
		compile_pattern(a, buf_str(&out), c);
}

static void compile_networks(struct arena *a, struct constraint *c)
{
	struct network *v = ARENA_ARRAY(a, c->values.n + 1, struct network);
	size_t          n = 0;

	for (size_t i = 0; v && i < c->values.n; i++)
		if (network_parse(c->values.v[i], &v[n]))
			n++; /* what is no address is passed over */
	c->networks.v = v;
	c->networks.n = n;
}

static void compile_version(struct arena *a, str text, struct constraint *c)
{
	struct version *v = NULL;

	text = str_trim(text);
	if (!semver_ok(text))
		c->broken = "its value is no semantic version such as 1.2.3";
	else if (version_parse(a, VERSION_SEMVER, semver_core(text), &v, NULL))
		a->failed = true;
	c->version = v;
}

static void compile_operand(struct arena *a, const struct doc_node *n, struct constraint *c)
{
	bool nocase = doc_get_bool(n, "caseInsensitive", false);
	str  value = read_value(n);

	switch (ops[c->op].operand) {
	case OPERAND_LIST:
		if (c->values.n)
			qsort((void *)(uintptr_t)c->values.v, c->values.n, sizeof(*c->values.v), texts_cmp);
		break;
	case OPERAND_TEXTS:
		if (nocase)
			compile_texts(a, c);
		break;
	case OPERAND_NUMBER:
		if (!str_to_double(str_trim(value), &c->number))
			c->broken = "its value is no number";
		break;
	case OPERAND_DATE:
		if (!date_parse(value, &c->date))
			c->broken = "its value is no time such as 2027-01-31T09:00:00Z";
		break;
	case OPERAND_VERSION:
		compile_version(a, value, c);
		break;
	case OPERAND_PATTERN:
		if (!value.ptr)
			c->broken = "it has no value";
		else
			compile_pattern(a, nocase ? str_z(arena_printf(a, "(?i)%.*s", STR_ARG(value))) : value, c);
		break;
	case OPERAND_ADDRESSES:
		compile_networks(a, c);
		break;
	}
}

static int compile_one(struct arena *a, const struct doc_node *n, struct constraint *c, struct err *reterr)
{
	int rc = 0;

	c->field = arena_str(a, doc_get_str(n, "contextName"));
	c->op_name = arena_str(a, doc_get_str(n, "operator"));
	c->op = op_named(c->op_name);
	c->inverted = doc_get_bool(n, "inverted", false);
	if (!c->field.len)
		c->broken = "it names no field of the context";
	if (c->op == OP_UNKNOWN) {
		c->broken = "its operator is not known";
		return 0;
	}
	if (ops[c->op].operand == OPERAND_LIST || ops[c->op].operand == OPERAND_TEXTS || ops[c->op].operand == OPERAND_ADDRESSES)
		rc = read_values(a, n, &c->values, reterr);
	if (!rc)
		compile_operand(a, n, c);
	return rc ? rc : arena_check(a, "a constraint", reterr);
}

int constraints_compile(struct arena *a, const struct doc_node *n, struct constraints *ret, struct err *reterr)
{
	size_t             count = n && n->kind == DOC_SEQ ? doc_len(n) : 0;
	struct constraint *v;
	int                rc = 0;

	if (count > UNLEASH_CONSTRAINTS_MAX)
		return err_set(reterr, WEIR_ELIMIT, "a strategy or segment has at most %d constraints, not %zu", UNLEASH_CONSTRAINTS_MAX, count);
	v = ARENA_ARRAY(a, count + 1, struct constraint);
	for (size_t i = 0; v && !rc && i < count; i++)
		rc = compile_one(a, doc_at(n, i), &v[i], reterr);
	*ret = (struct constraints){ v, v ? count : 0 };
	return rc ? rc : arena_check(a, "constraints", reterr);
}

bool constraint_is_timed(const struct constraint *c) { return !c->broken && ops[c->op].operand == OPERAND_DATE && str_eqz(c->field, "currentTime"); }

/* --- holding it against a context --- */

static bool compare(enum op op, int order)
{
	switch (op) {
	case OP_NUM_EQ:
	case OP_SEMVER_EQ:
		return order == 0;
	case OP_NUM_GT:
	case OP_SEMVER_GT:
		return order > 0;
	case OP_NUM_GTE:
	case OP_SEMVER_GTE:
		return order >= 0;
	case OP_NUM_LT:
	case OP_SEMVER_LT:
		return order < 0;
	default:
		return order <= 0;
	}
}

static bool number_holds(const struct constraint *c, str value)
{
	double d;

	return str_to_double(str_trim(value), &d) && compare(c->op, d < c->number ? -1 : d > c->number);
}

static bool contains(str text, str part)
{
	return part.len <= text.len && memmem(text.ptr, text.len, part.ptr, part.len);
}

static bool text_holds(struct evaluation *e, const struct constraint *c, str value)
{
	if (c->pattern)
		return evaluation_charge(e, 1 + value.len / 16) && regex_search(c->pattern, value);
	for (size_t i = 0; i < c->values.n; i++) {
		str s = c->values.v[i];

		if (!evaluation_charge(e, c->op == OP_STR_CONTAINS ? 1 + value.len / 64 : 1))
			return false;
		if (c->op == OP_STR_STARTS_WITH ? str_has_prefix(value, s) : c->op == OP_STR_ENDS_WITH ? str_has_suffix(value, s) : contains(value, s))
			return true;
	}
	return false;
}

static bool version_holds(struct evaluation *e, const struct constraint *c, str value)
{
	struct version *v;

	value = str_trim(value);
	if (!semver_ok(value) || !evaluation_charge(e, 1 + value.len / 16))
		return false;
	if (version_parse(e->env->scratch, VERSION_SEMVER, semver_core(value), &v, NULL)) {
		e->failed = true;
		return false;
	}
	return compare(c->op, version_compare(v, c->version));
}

static bool address_holds(struct evaluation *e, const struct constraint *c, str value)
{
	struct network address;

	if (!network_parse(value, &address) || address.bits != 128)
		return false;
	for (size_t i = 0; i < c->networks.n && evaluation_charge(e, 1); i++)
		if (network_has(&c->networks.v[i], &address))
			return true;
	return false;
}

static bool date_holds(const struct evaluation *e, const struct constraint *c)
{
	str    value;
	usec_t t = e->env->now;

	if (evaluation_get(e, c->field, &value) ? !date_parse(value, &t) : !str_eqz(c->field, "currentTime"))
		return false;
	return c->op == OP_DATE_AFTER ? t > c->date : t < c->date;
}

static bool holds(struct evaluation *e, const struct constraint *c)
{
	str value = STR_NULL;

	if (ops[c->op].operand == OPERAND_DATE)
		return date_holds(e, c);
	if (!evaluation_get(e, c->field, &value))
		return c->op == OP_NOT_IN;
	switch (ops[c->op].operand) {
	case OPERAND_LIST:
		return texts_have(&c->values, value) == (c->op == OP_IN);
	case OPERAND_TEXTS:
		return text_holds(e, c, value);
	case OPERAND_NUMBER:
		return number_holds(c, value);
	case OPERAND_VERSION:
		return version_holds(e, c, value);
	case OPERAND_PATTERN:
		return evaluation_charge(e, 1 + value.len / 16) && regex_search(c->pattern, value);
	default:
		return address_holds(e, c, value);
	}
}

bool constraint_holds(struct evaluation *e, const struct constraint *c)
{
	bool ret;

	if (c->broken || !evaluation_charge(e, 1))
		return false;
	ret = holds(e, c) != c->inverted;
	return ret && !e->failed; /* what a limit cut short must not be turned round */
}
