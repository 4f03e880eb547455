/* flag-rule.c - the shape of a targeting rule, as flagd's schema has it (flag_rule_check). Pure.
 *
 * What a rule means is src/lang/logic's business, which is lenient where flagd is: a mistaken rule makes its own flag fail. Here mistakes are
 * found when a definition is written: unknown operators, wrong numbers and kinds of arguments, weights that are no whole numbers, names
 * below $flagd that nobody fills, evaluators that are not there. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-def.h"

#include <ctype.h>

struct check {
	struct doc_check      *c;
	const struct doc_node *evaluators;
	unsigned               depth;
};

static void value(struct check *k, const struct doc_node *n);

static bool is_rule(const struct doc_node *n) { return n->kind == DOC_MAP; }

static void values(struct check *k, const struct doc_node *list)
{
	for (size_t i = 0; i < doc_len(list); i++)
		value(k, doc_at(list, i));
}

/* --- the operators whose arguments have a shape of their own --- */

static void check_var(struct check *k, const char *op UNUSED, const struct doc_node *n)
{
	if (n->kind == DOC_SEQ && (!doc_len(n) || doc_at(n, 0)->kind != DOC_STR))
		doc_error(k->c, n, "\"var\": the list must begin with the name of a property of the context");
	if (n->kind == DOC_STR && str_has_prefix(n->s, STR("$flagd.")) && !str_eqz(n->s, "$flagd.flagKey") && !str_eqz(n->s, "$flagd.timestamp"))
		doc_error(k->c, n, "unknown '%.*s': below $flagd there are flagKey and timestamp", STR_ARG(str_sub(n->s, 0, 80)));
}

static void check_names(struct check *k, const char *op, const struct doc_node *n)
{
	if (n->kind != DOC_SEQ) {
		doc_error(k->c, n, "\"%s\" takes a list of names", op);
		return;
	}
	for (size_t i = 0; i < doc_len(n); i++)
		(void)doc_want_str(k->c, doc_at(n, i), "name of a property");
}

static void check_missing_some(struct check *k, const char *op, const struct doc_node *n)
{
	const struct doc_node *least = doc_at(n, 0);

	if (n->kind != DOC_SEQ || doc_len(n) != 2 || (least->kind != DOC_INT && least->kind != DOC_REAL)) {
		doc_error(k->c, n, "\"%s\" takes [how many, [names]]", op);
		return;
	}
	check_names(k, op, doc_at(n, 1));
}

static void check_prefix(struct check *k, const char *op, const struct doc_node *n)
{
	if (n->kind != DOC_SEQ || doc_len(n) != 2) {
		doc_error(k->c, n, "\"%s\" takes two texts", op);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		if (doc_at(n, i)->kind != DOC_STR && !is_rule(doc_at(n, i)))
			doc_error(k->c, doc_at(n, i), "\"%s\" compares texts, not a %s", op, doc_kind_name(doc_at(n, i)->kind));
	values(k, n);
}

/* Digits without a leading zero; *p is moved behind them. */
static bool number_part(const char **p, const char *end)
{
	const char *begin = *p;

	while (*p < end && **p >= '0' && **p <= '9')
		++*p;
	return *p > begin && (*begin != '0' || *p == begin + 1);
}

static bool identifiers(const char **p, const char *end, bool numbers_plain)
{
	for (;;) {
		const char *begin = *p;
		bool        digits = true;

		for (; *p < end && (isalnum((unsigned char)**p) || **p == '-'); ++*p)
			digits = digits && **p >= '0' && **p <= '9';
		if (*p == begin || (numbers_plain && digits && *begin == '0' && *p > begin + 1))
			return false;
		if (*p == end || **p != '.')
			return true;
		++*p;
	}
}

static bool is_semver(str s)
{
	const char *p = s.ptr, *end = s.ptr + s.len;

	for (int i = 0; i < 3; i++)
		if ((i && (p == end || *p++ != '.')) || !number_part(&p, end))
			return false;
	if (p < end && *p == '-' && (p++, !identifiers(&p, end, true)))
		return false;
	if (p < end && *p == '+' && (p++, !identifiers(&p, end, false)))
		return false;
	return p == end;
}

static void check_version(struct check *k, const struct doc_node *n)
{
	if (n->kind == DOC_STR) {
		if (!is_semver(n->s))
			doc_error(k->c, n, "'%.*s' is no semantic version (1.2.3, 1.2.3-rc.1)", STR_ARG(str_sub(n->s, 0, 80)));
	} else if (!doc_get(n, "var")) {
		doc_error(k->c, n, "\"sem_ver\" compares a version or {\"var\": name}");
	} else {
		value(k, n);
	}
}

static void check_sem_ver(struct check *k, const char *op, const struct doc_node *n)
{
	static const char *const ops[] = { "=", "!=", ">", "<", ">=", "<=", "~", "^", NULL };

	if (n->kind != DOC_SEQ || doc_len(n) != 3) {
		doc_error(k->c, n, "\"%s\" takes [version, operator, version]", op);
		return;
	}
	check_version(k, doc_at(n, 0));
	(void)doc_want_enum(k->c, doc_at(n, 1), "operator of sem_ver", ops);
	check_version(k, doc_at(n, 2));
}

static void check_weight(struct check *k, const struct doc_node *entry)
{
	const struct doc_node *weight = doc_at(entry, 1);

	if (entry->kind != DOC_SEQ || doc_len(entry) < 1 || doc_len(entry) > 2) {
		doc_error(k->c, entry, "\"fractional\": an entry is [variant, weight]; the weight may be left out");
		return;
	}
	value(k, doc_at(entry, 0));
	if (!weight)
		return;
	if (is_rule(weight))
		value(k, weight);
	else if (weight->kind != DOC_INT || weight->i < 0)
		doc_error(k->c, weight, "\"fractional\": a weight is a whole number of 0 or more");
}

static void check_fractional(struct check *k, const char *op, const struct doc_node *n)
{
	size_t first = 0;

	if (n->kind != DOC_SEQ || !doc_len(n)) {
		doc_error(k->c, n, "\"%s\" takes a list of [variant, weight]", op);
		return;
	}
	if (is_rule(doc_at(n, 0))) /* what the share is drawn by */
		value(k, doc_at(n, first++));
	for (size_t i = first; i < doc_len(n); i++)
		check_weight(k, doc_at(n, i));
}

static void check_ref(struct check *k, const char *op, const struct doc_node *n)
{
	str name = doc_want_str(k->c, n, op);

	if (name.len && k->evaluators && !doc_get_n(k->evaluators, name))
		doc_error(k->c, n, "there is no '%.*s' in \"$evaluators\"", STR_ARG(str_sub(name, 0, 80)));
}

/* --- all operators --- */

enum { ANY = 1000 };
static const struct rule_op {
	const char *name;
	unsigned    min, max; /* arguments */
	bool        bare;     /* one argument may stand without its list */
	void      (*check)(struct check *k, const char *op, const struct doc_node *n); /* instead of counting */
} operators[] = {
	{ "var", 0, 0, false, check_var },
	{ "missing", 0, 0, false, check_names },
	{ "missing_some", 0, 0, false, check_missing_some },
	{ "if", 1, ANY, false, NULL },
	{ "==", 2, 2, false, NULL },
	{ "===", 2, 2, false, NULL },
	{ "!=", 2, 2, false, NULL },
	{ "!==", 2, 2, false, NULL },
	{ ">", 2, 2, false, NULL },
	{ ">=", 2, 2, false, NULL },
	{ "<", 2, 3, false, NULL },
	{ "<=", 2, 3, false, NULL },
	{ "%", 2, 2, false, NULL },
	{ "/", 2, 2, false, NULL },
	{ "*", 2, ANY, false, NULL },
	{ "+", 1, ANY, false, NULL },
	{ "-", 1, ANY, false, NULL },
	{ "!", 1, 1, true, NULL },
	{ "!!", 1, 1, true, NULL },
	{ "or", 1, ANY, false, NULL },
	{ "and", 1, ANY, false, NULL },
	{ "max", 1, ANY, false, NULL },
	{ "min", 1, ANY, false, NULL },
	{ "merge", 1, ANY, false, NULL },
	{ "cat", 1, ANY, false, NULL },
	{ "in", 2, 2, false, NULL },
	{ "substr", 2, 3, false, NULL },
	{ "map", 2, 2, false, NULL },
	{ "filter", 2, 2, false, NULL },
	{ "all", 2, 2, false, NULL },
	{ "none", 2, 2, false, NULL },
	{ "some", 2, 2, false, NULL },
	{ "reduce", 3, 3, false, NULL },
	{ "starts_with", 0, 0, false, check_prefix },
	{ "ends_with", 0, 0, false, check_prefix },
	{ "sem_ver", 0, 0, false, check_sem_ver },
	{ "fractional", 0, 0, false, check_fractional },
	{ "$ref", 0, 0, false, check_ref },
};

static const struct rule_op *find_operator(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (str_eqz(name, operators[i].name))
			return &operators[i];
	return NULL;
}

static void unknown_operator(struct check *k, const struct doc_pair *p)
{
	const char *names[ARRAY_SIZE(operators) + 1], *near;

	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		names[i] = operators[i].name;
	names[ARRAY_SIZE(operators)] = NULL;
	near = doc_nearest(p->key, names);
	doc_error_at(k->c, p->line, p->col, "unknown operator '%.*s'%s%s%s", STR_ARG(str_sub(p->key, 0, 80)), near ? " (did you mean '" : "",
				 near ? near : "", near ? "'?)" : "");
}

static void check_count(struct check *k, const struct rule_op *o, const struct doc_node *n)
{
	if (n->kind != DOC_SEQ) {
		if (!o->bare)
			doc_error(k->c, n, "\"%s\" takes a list of arguments, not a %s", o->name, doc_kind_name(n->kind));
		else
			value(k, n);
		return;
	}
	if (doc_len(n) < o->min || doc_len(n) > o->max) {
		if (o->min == o->max)
			doc_error(k->c, n, "\"%s\" takes %u argument%s, not %zu", o->name, o->min, o->min == 1 ? "" : "s", doc_len(n));
		else if (o->max == ANY)
			doc_error(k->c, n, "\"%s\" takes %u or more arguments, not %zu", o->name, o->min, doc_len(n));
		else
			doc_error(k->c, n, "\"%s\" takes %u to %u arguments, not %zu", o->name, o->min, o->max, doc_len(n));
	}
	values(k, n);
}

/* A map is an operator with its arguments; every other value stands for itself. */
static void value(struct check *k, const struct doc_node *n)
{
	const struct rule_op *o;

	if (n->kind != DOC_MAP)
		return;
	if (doc_len(n) != 1) {
		doc_error(k->c, n, "a rule is a map of one operator, not of %zu keys", doc_len(n));
		return;
	}
	if (!(o = find_operator(n->map.pairs[0].key))) {
		unknown_operator(k, &n->map.pairs[0]);
		return;
	}
	if (++k->depth > LIMIT_DOC_DEPTH) /* the document's own limit comes first; this one bounds shared nodes */
		doc_error(k->c, n, "rules are nested deeper than %d", LIMIT_DOC_DEPTH);
	else if (o->check)
		o->check(k, o->name, n->map.pairs[0].value);
	else
		check_count(k, o, n->map.pairs[0].value);
	k->depth--;
}

void flag_rule_check(struct doc_check *c, const struct doc_node *rule, const struct doc_node *evaluators)
{
	struct check k = { .c = c, .evaluators = evaluators };

	if (!rule)
		return;
	if (rule->kind != DOC_MAP)
		doc_error(c, rule, "a rule must be a map, not a %s", doc_kind_name(rule->kind));
	else if (doc_len(rule))
		value(&k, rule);
}
