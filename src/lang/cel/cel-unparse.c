/* cel-unparse.c - a tree as CEL text that parses to the same tree.
 *
 * Macros are written as they were called. Parentheses stand only where precedence needs them, or where a chain of && or || has
 * not the balanced shape that the parser gives it. Recursion is bounded by the tree's height. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-internal.h"

/* How tightly a node binds: a child of a lower level needs parentheses. */
enum level { LEVEL_TERNARY = 1, LEVEL_OR, LEVEL_AND, LEVEL_RELATION, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_UNARY, LEVEL_POSTFIX };

struct writer {
	const struct cel_ast *ast;
	struct buf *out;
};

static void write_at(struct writer *w, const struct cel_expr *e, enum level lowest);

static const struct {
	const char *function, *text;
	enum level level;
} operators[] = {
	{ "_||_", " || ", LEVEL_OR },       { "_&&_", " && ", LEVEL_AND },      { "_<_", " < ", LEVEL_RELATION },
	{ "_<=_", " <= ", LEVEL_RELATION }, { "_>_", " > ", LEVEL_RELATION },   { "_>=_", " >= ", LEVEL_RELATION },
	{ "_==_", " == ", LEVEL_RELATION }, { "_!=_", " != ", LEVEL_RELATION }, { "@in", " in ", LEVEL_RELATION },
	{ "_+_", " + ", LEVEL_SUM },        { "_-_", " - ", LEVEL_SUM },        { "_*_", " * ", LEVEL_PRODUCT },
	{ "_/_", " / ", LEVEL_PRODUCT },    { "_%_", " % ", LEVEL_PRODUCT },
};

/* Index of the binary operator that e is a call of, or ARRAY_SIZE(operators). */
static size_t binary(const struct cel_expr *e)
{
	size_t i = ARRAY_SIZE(operators);

	if (e->kind == CEL_X_CALL && !e->call.target && e->call.n == 2)
		for (i = 0; i < ARRAY_SIZE(operators) && !str_eqz(e->call.function, operators[i].function); i++)
			;
	return i;
}

static bool is_call(const struct cel_expr *e, const char *function, size_t n)
{
	return e->kind == CEL_X_CALL && !e->call.target && e->call.n == n && str_eqz(e->call.function, function);
}

static const struct cel_expr *as_written(const struct writer *w, const struct cel_expr *e)
{
	return w->ast->macro_calls[e->id] ? w->ast->macro_calls[e->id] : e;
}

static enum level level_of(const struct cel_expr *e)
{
	size_t op = binary(e);

	if (op < ARRAY_SIZE(operators))
		return operators[op].level;
	if (is_call(e, "_?_:_", 3))
		return LEVEL_TERNARY;
	return is_call(e, "!_", 1) || is_call(e, "-_", 1) ? LEVEL_UNARY : LEVEL_POSTFIX;
}

/* --- names --- */

static bool is_plain_name(str s)
{
	static const char *const keywords[] = { "true", "false", "null", "in" };

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (i && c >= '0' && c <= '9')))
			return false;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		if (str_eqz(s, keywords[i]))
			return false;
	return s.len > 0;
}

static void write_field(struct writer *w, str name)
{
	bool plain = is_plain_name(name);

	if (!plain)
		buf_addc(w->out, '`');
	buf_add_str(w->out, name);
	if (!plain)
		buf_addc(w->out, '`');
}

/* --- chains of && and || --- */

static bool same_operator(const struct writer *w, const struct cel_expr *e, size_t op)
{
	return !w->ast->macro_calls[e->id] && binary(e) == op;
}

/* Operators of one kind that hang together at e. */
static size_t count_operators(const struct writer *w, const struct cel_expr *e, size_t op)
{
	if (!same_operator(w, e, op))
		return 0;
	return 1 + count_operators(w, e->call.args[0], op) + count_operators(w, e->call.args[1], op);
}

/* Is this the shape that the parser gives a chain of n operators? */
static bool balanced(const struct writer *w, const struct cel_expr *e, size_t op, size_t n)
{
	size_t left = n / 2;

	if (n == 0)
		return true;
	return count_operators(w, e->call.args[0], op) == left && balanced(w, e->call.args[0], op, left) &&
		   balanced(w, e->call.args[1], op, n - 1 - left);
}

static void write_chain(struct writer *w, const struct cel_expr *e, size_t op)
{
	if (!same_operator(w, e, op)) {
		write_at(w, e, operators[op].level + 1);
		return;
	}
	write_chain(w, e->call.args[0], op);
	buf_addz(w->out, operators[op].text);
	write_chain(w, e->call.args[1], op);
}

static void write_logic(struct writer *w, const struct cel_expr *e, size_t op)
{
	if (balanced(w, e, op, count_operators(w, e, op))) {
		write_chain(w, e, op);
		return;
	}
	write_at(w, e->call.args[0], operators[op].level + 1);
	buf_addz(w->out, operators[op].text);
	write_at(w, e->call.args[1], operators[op].level + 1);
}

/* --- calls --- */

static void write_operator(struct writer *w, const struct cel_expr *e, size_t op)
{
	if (operators[op].level <= LEVEL_AND) {
		write_logic(w, e, op);
		return;
	}
	write_at(w, e->call.args[0], operators[op].level);
	buf_addz(w->out, operators[op].text);
	write_at(w, e->call.args[1], operators[op].level + 1);
}

static bool is_number(const struct cel_expr *e)
{
	return e->kind == CEL_X_CONST && (e->constant.kind == CEL_INT || e->constant.kind == CEL_DOUBLE);
}

/* What the text of a postfix expression begins with; NULL: e itself. */
static const struct cel_expr *first_operand(const struct cel_expr *e)
{
	if (e->kind == CEL_X_SELECT)
		return e->select.test_only ? NULL : e->select.operand;
	if (e->kind != CEL_X_CALL || level_of(e) < LEVEL_POSTFIX)
		return NULL;
	if (e->call.target)
		return e->call.target;
	return is_call(e, "_[_]", 2) || is_call(e, "_[?_]", 2) || is_call(e, "_?._", 2) ? e->call.args[0] : NULL;
}

/* "-1" would be a literal, and so would be the beginning of "-1.x()": what begins with a number needs parentheses. */
static void write_unary(struct writer *w, const struct cel_expr *e)
{
	const struct cel_expr *first = as_written(w, e->call.args[0]), *next;

	while ((next = first_operand(first)))
		first = as_written(w, next);
	buf_addc(w->out, e->call.function.ptr[0]);
	write_at(w, e->call.args[0], e->call.function.ptr[0] == '-' && is_number(first) ? LEVEL_POSTFIX + 1 : LEVEL_POSTFIX);
}

static void write_args(struct writer *w, const struct cel_expr *e)
{
	buf_addc(w->out, '(');
	for (size_t i = 0; i < e->call.n; i++) {
		if (i)
			buf_addz(w->out, ", ");
		write_at(w, e->call.args[i], LEVEL_TERNARY);
	}
	buf_addc(w->out, ')');
}

static void write_index(struct writer *w, const struct cel_expr *e, const char *open)
{
	write_at(w, e->call.args[0], LEVEL_POSTFIX);
	buf_addz(w->out, open);
	write_at(w, e->call.args[1], LEVEL_TERNARY);
	buf_addc(w->out, ']');
}

static void write_call(struct writer *w, const struct cel_expr *e)
{
	size_t op = binary(e);

	if (op < ARRAY_SIZE(operators)) {
		write_operator(w, e, op);
	} else if (is_call(e, "_?_:_", 3)) {
		write_at(w, e->call.args[0], LEVEL_OR);
		buf_addz(w->out, " ? ");
		write_at(w, e->call.args[1], LEVEL_OR);
		buf_addz(w->out, " : ");
		write_at(w, e->call.args[2], LEVEL_TERNARY);
	} else if (level_of(e) == LEVEL_UNARY) {
		write_unary(w, e);
	} else if (is_call(e, "_[_]", 2) || is_call(e, "_[?_]", 2)) {
		write_index(w, e, e->call.function.ptr[2] == '?' ? "[?" : "[");
	} else if (is_call(e, "_?._", 2) && e->call.args[1]->kind == CEL_X_CONST) {
		write_at(w, e->call.args[0], LEVEL_POSTFIX);
		buf_addz(w->out, ".?");
		write_field(w, str_n(e->call.args[1]->constant.s, e->call.args[1]->constant.len));
	} else {
		if (e->call.target) {
			write_at(w, e->call.target, LEVEL_POSTFIX);
			buf_addc(w->out, '.');
		}
		buf_add_str(w->out, e->call.function);
		write_args(w, e);
	}
}

/* --- the other nodes --- */

static void write_list(struct writer *w, const struct cel_expr *e)
{
	buf_addc(w->out, '[');
	for (size_t i = 0; i < e->list.n; i++) {
		if (i)
			buf_addz(w->out, ", ");
		if (e->list.optional && e->list.optional[i])
			buf_addc(w->out, '?');
		write_at(w, e->list.items[i], LEVEL_TERNARY);
	}
	buf_addc(w->out, ']');
}

static void write_entries(struct writer *w, const struct cel_expr *e)
{
	if (e->kind == CEL_X_STRUCT)
		buf_add_str(w->out, e->map.type_name);
	buf_addc(w->out, '{');
	for (size_t i = 0; i < e->map.n; i++) {
		const struct cel_entry *f = &e->map.entries[i];

		if (i)
			buf_addz(w->out, ", ");
		if (f->optional)
			buf_addc(w->out, '?');
		if (f->key)
			write_at(w, f->key, LEVEL_TERNARY);
		else
			write_field(w, f->field);
		buf_addz(w->out, ": ");
		write_at(w, f->value, LEVEL_TERNARY);
	}
	buf_addc(w->out, '}');
}

static void write_select(struct writer *w, const struct cel_expr *e)
{
	if (e->select.test_only)
		buf_addz(w->out, "has(");
	write_at(w, e->select.operand, LEVEL_POSTFIX);
	buf_addc(w->out, '.');
	write_field(w, e->select.field);
	if (e->select.test_only)
		buf_addc(w->out, ')');
}

static void write_node(struct writer *w, const struct cel_expr *e)
{
	switch (e->kind) {
	case CEL_X_CONST: cel_print(e->constant, w->out); break;
	case CEL_X_IDENT: buf_add_str(w->out, e->ident.name); break;
	case CEL_X_SELECT: write_select(w, e); break;
	case CEL_X_CALL: write_call(w, e); break;
	case CEL_X_LIST: write_list(w, e); break;
	case CEL_X_MAP:
	case CEL_X_STRUCT: write_entries(w, e); break;
	case CEL_X_FOLD: BUG("a fold that no macro made"); /* each has its call in ast->macro_calls */
	}
}

static void write_at(struct writer *w, const struct cel_expr *e, enum level lowest)
{
	bool parentheses;

	e = as_written(w, e);
	parentheses = level_of(e) < lowest;
	if (parentheses)
		buf_addc(w->out, '(');
	write_node(w, e);
	if (parentheses)
		buf_addc(w->out, ')');
}

void cel_unparse(const struct cel_ast *ast, struct buf *out)
{
	struct writer w = { ast, out };

	write_at(&w, ast->root, LEVEL_TERNARY);
}
