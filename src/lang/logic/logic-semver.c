/* logic-semver.c - flagd's sem_ver: node-semver's strict grammar, with a leading v and missing minor and patch allowed.
 *
 * Nothing is allocated: a version is parsed into numbers and a slice. What is no version, an operator that there is not and a
 * wrong number of arguments give null. */
#include "base/base.h"
#include "logic-internal.h"

enum { SEMVER_MAX = 256 }; /* as node-semver has it */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_identifier(char c) { return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-'; }

static bool version_number(str s, uint64_t *ret)
{
	if (!s.len || (s.len > 1 && s.ptr[0] == '0') || !is_digit(s.ptr[0]))
		return false;
	return str_to_u64(s, ret) && *ret <= 9007199254740991ULL;
}

/* Dot-separated identifiers; in a pre-release numbers have no zeros in front. */
static bool identifiers(str s, bool pre)
{
	str one;
	bool more = true;

	while (more) {
		bool number = true;

		more = str_cut(s, '.', &one, &s);
		if (!one.len)
			return false;
		for (size_t i = 0; i < one.len; i++) {
			if (!is_identifier(one.ptr[i]))
				return false;
			number = number && is_digit(one.ptr[i]);
		}
		if (pre && number && one.len > 1 && one.ptr[0] == '0')
			return false;
	}
	return true;
}

static bool semver_text(str s, struct semver *ret)
{
	str core, build = STR_NULL, pre = STR_NULL, part;
	bool has_build, has_pre, more;

	if (s.len > 2 * SEMVER_MAX)
		return false;
	s = str_trim(s);
	if (s.len && (s.ptr[0] | 0x20) == 'v')
		s = str_sub(s, 1, s.len);
	if (s.len > SEMVER_MAX)
		return false;
	*ret = (struct semver){ 0 };
	has_build = str_cut(s, '+', &core, &build);
	has_pre = str_cut(core, '-', &core, &pre);
	more = str_cut(core, '.', &part, &core);
	if (!version_number(part, &ret->major))
		return false;
	if (!more)
		return !has_build && !has_pre;
	more = str_cut(core, '.', &part, &core);
	if (!version_number(part, &ret->minor))
		return false;
	if (!more)
		return !has_build && !has_pre;
	ret->pre = pre;
	return version_number(core, &ret->patch) && (!has_pre || identifiers(pre, true)) && (!has_build || identifiers(build, false));
}

bool logic_semver_parse(struct logic_value v, char text[LOGIC_NUMBER_BYTES], struct semver *ret)
{
	if (v.kind == LOGIC_NUMBER)
		return semver_text(str_n(text, logic_number_text(v.n, text)), ret);
	return v.kind == LOGIC_STRING && semver_text(logic_text(v), ret);
}

static int cmp_u64(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int cmp_identifier(str a, str b)
{
	uint64_t x, y;
	bool a_number = is_digit(a.ptr[0]) && str_to_u64(a, &x), b_number = is_digit(b.ptr[0]) && str_to_u64(b, &y);

	if (a_number && b_number)
		return cmp_u64(x, y);
	return a_number ? -1 : b_number ? 1 : str_cmp(a, b);
}

static int cmp_pre(str a, str b)
{
	str x, y;
	bool more_a = true, more_b = true;
	int r = 0;

	if (!a.len || !b.len)
		return !a.len - !b.len;
	while (!r && more_a && more_b) {
		more_a = str_cut(a, '.', &x, &a);
		more_b = str_cut(b, '.', &y, &b);
		r = cmp_identifier(x, y);
	}
	return r ? r : more_a - more_b;
}

static int cmp_semver(const struct semver *a, const struct semver *b)
{
	int r = cmp_u64(a->major, b->major);

	r = r ? r : cmp_u64(a->minor, b->minor);
	r = r ? r : cmp_u64(a->patch, b->patch);
	return r ? r : cmp_pre(a->pre, b->pre);
}

uint16_t logic_semver_operator(struct logic_value v)
{
	static const char *const names[] = { [SEMVER_EQ] = "=",  [SEMVER_NE] = "!=", [SEMVER_LT] = "<",    [SEMVER_LE] = "<=",
										 [SEMVER_GT] = ">",  [SEMVER_GE] = ">=", [SEMVER_MAJOR] = "^", [SEMVER_MINOR] = "~" };

	for (uint16_t i = 0; i < SEMVER_NONE; i++)
		if (v.kind == LOGIC_STRING && str_eqz(logic_text(v), names[i]))
			return i;
	return SEMVER_NONE;
}

static struct logic_value semver_holds(uint16_t op, const struct semver *a, const struct semver *b)
{
	int r = cmp_semver(a, b);

	switch (op) {
	case SEMVER_EQ:
		return logic_bool(r == 0);
	case SEMVER_NE:
		return logic_bool(r != 0);
	case SEMVER_LT:
		return logic_bool(r < 0);
	case SEMVER_LE:
		return logic_bool(r <= 0);
	case SEMVER_GT:
		return logic_bool(r > 0);
	case SEMVER_GE:
		return logic_bool(r >= 0);
	case SEMVER_MAJOR:
		return logic_bool(a->major == b->major);
	default:
		return logic_bool(a->major == b->major && a->minor == b->minor);
	}
}

/* Three arguments: version, operator, version; a constant version was parsed when the rule was compiled. */
struct logic_value logic_op_sem_ver(struct ev *e, const struct node *n)
{
	const struct node *arg = &e->nodes[n->first];
	const union table *t = n->flags & NODE_PREPARED ? &e->rule->tables[n->aux] : NULL;
	struct semver parsed[2];
	const struct semver *v[2];
	char text[2][LOGIC_NUMBER_BYTES];
	struct logic_value value = arg[1].k;
	uint16_t op = n->small;

	if (op == SEMVER_NONE) {
		value = logic_eval_node(e, &arg[1]);
		if (is_failed(value))
			return value;
		op = logic_semver_operator(value);
	}
	for (int i = 0; i < 2; i++) {
		if (t && arg[2 * i].op == LOGIC_STRING) {
			v[i] = &t->version[i];
			continue;
		}
		value = logic_eval_node(e, &arg[2 * i]);
		if (is_failed(value))
			return value;
		if (!logic_semver_parse(value, text[i], &parsed[i]))
			return logic_null();
		v[i] = &parsed[i];
	}
	return op == SEMVER_NONE ? logic_null() : semver_holds(op, v[0], v[1]);
}
