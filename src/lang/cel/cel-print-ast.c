/* cel-print-ast.c - a tree in cel-go's debug notation, which the public suites use.
 *
 * Checked: "~type^what it refers to" behind each node; else "^#kind#". Recursion is bounded by the tree's height. Any thread. */
#include "base/base.h"
#include "lang/cel/cel-internal.h"
#include "lang/cel/cel-value.h"

struct printer {
	struct buf *out;
	bool checked;
	size_t indent;
};

static void print(struct printer *p, const struct cel_expr *e);

static void line(struct printer *p)
{
	buf_addc(p->out, '\n');
	for (size_t i = 0; i < p->indent; i++)
		buf_addz(p->out, "  ");
}

/* --- what stands behind a node --- */

static void mark(struct printer *p, const struct cel_expr *e, const char *kind)
{
	if (!p->checked) {
		buf_addf(p->out, "^#*expr.%s#", kind);
	} else if (e->type) {
		buf_addc(p->out, '~');
		cel_type_print(e->type, p->out);
	}
}

static int by_id(const void *a, const void *b)
{
	const struct cel_overload *const *x = a, *const *y = b;

	return strcmp((*x)->decl->overload, (*y)->decl->overload);
}

static void overloads(struct printer *p, const struct cel_expr *e)
{
	const struct cel_overload *sorted[64];
	size_t n = e->call.n_overloads < ARRAY_SIZE(sorted) ? e->call.n_overloads : ARRAY_SIZE(sorted);

	if (!p->checked || !n)
		return;
	memcpy(sorted, e->call.overloads, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_id);
	for (size_t i = 0; i < n; i++)
		buf_addf(p->out, "%c%s", i ? '|' : '^', sorted[i]->decl->overload);
}

/* --- constants --- */

/* Characters that Go's strconv.Quote writes as escapes. */
static bool printable(uint32_t c)
{
	static const uint32_t not [][2] = { { 0, 0x1f },        { 0x7f, 0xa0 },       { 0xad, 0xad },       { 0x600, 0x605 },
										{ 0x61c, 0x61c },   { 0x6dd, 0x6dd },     { 0x70f, 0x70f },     { 0x1680, 0x1680 },
										{ 0x180e, 0x180e }, { 0x2000, 0x200f },   { 0x2028, 0x202f },   { 0x205f, 0x206f },
										{ 0x3000, 0x3000 }, { 0xd800, 0xf8ff },   { 0xfeff, 0xfeff },   { 0xfff0, 0xfffb },
										{ 0xfffe, 0xffff }, { 0x1fffe, 0x1ffff }, { 0x32400, 0xe00ff }, { 0xe01f0, 0x10ffff } };

	for (size_t i = 0; i < ARRAY_SIZE(not ); i++)
		if (c >= not [i][0] && c <= not [i][1])
			return false;
	return true;
}

/* Length of the valid UTF-8 character at s[i] and its code, or 0. */
static size_t decode(str s, size_t i, uint32_t *ret)
{
	unsigned char c = (unsigned char)s.ptr[i];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

	if (!str_utf8_valid(str_sub(s, i, n)) || i + n > s.len)
		return 0;
	*ret = n == 1 ? c : c & (0x7fu >> n);
	for (size_t k = 1; k < n; k++)
		*ret = *ret << 6 | ((unsigned char)s.ptr[i + k] & 0x3f);
	return n;
}

static void quote_char(struct buf *out, uint32_t c, str as_written)
{
	static const char from[] = "\a\b\f\n\r\t\v\\\"", to[] = "abfnrtv\\\"";
	const char *at = c && c < 0x80 ? strchr(from, (int)c) : NULL;

	if (at)
		buf_addf(out, "\\%c", to[at - from]);
	else if (printable(c))
		buf_add_str(out, as_written);
	else if (c < 0x20 || c == 0x7f)
		buf_addf(out, "\\x%02x", c);
	else
		buf_addf(out, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
}

static void quote(struct buf *out, str s)
{
	uint32_t c;

	buf_addc(out, '"');
	for (size_t i = 0; i < s.len;) {
		size_t n = decode(s, i, &c);

		if (n)
			quote_char(out, c, str_sub(s, i, n));
		else
			buf_addf(out, "\\x%02x", (unsigned char)s.ptr[i]);
		i += n ? n : 1;
	}
	buf_addc(out, '"');
}

static const char *constant_kind(const struct cel_value *v)
{
	switch (v->kind) {
	case CEL_NULL: return "Constant_NullValue";
	case CEL_BOOL: return "Constant_BoolValue";
	case CEL_INT: return "Constant_Int64Value";
	case CEL_UINT: return "Constant_Uint64Value";
	case CEL_DOUBLE: return "Constant_DoubleValue";
	case CEL_STRING: return "Constant_StringValue";
	default: return "Constant_BytesValue";
	}
}

static void constant(struct printer *p, const struct cel_expr *e)
{
	const struct cel_value *v = &e->constant;

	switch (v->kind) {
	case CEL_BOOL: buf_addz(p->out, v->b ? "true" : "false"); break;
	case CEL_INT: buf_addf(p->out, "%lld", (long long)v->i); break;
	case CEL_UINT: buf_addf(p->out, "%lluu", (unsigned long long)v->u); break;
	case CEL_DOUBLE: cel_add_double(p->out, v->d, 'g'); break;
	case CEL_STRING: quote(p->out, str_n(v->s, v->len)); break;
	case CEL_BYTES:
		buf_addc(p->out, 'b');
		quote(p->out, str_n(v->s, v->len));
		break;
	default: buf_addz(p->out, "null"); break;
	}
	mark(p, e, constant_kind(v));
}

/* --- nodes --- */

static void ident(struct printer *p, const struct cel_expr *e)
{
	buf_add_str(p->out, e->ident.name);
	mark(p, e, "Expr_IdentExpr");
	if (p->checked) {
		buf_addc(p->out, '^');
		buf_add_str(p->out, e->ident.name);
	}
}

static void select_field(struct printer *p, const struct cel_expr *e)
{
	print(p, e->select.operand);
	buf_addc(p->out, '.');
	buf_add_str(p->out, e->select.field);
	if (e->select.test_only)
		buf_addz(p->out, "~test-only~");
	mark(p, e, "Expr_SelectExpr");
}

static void call(struct printer *p, const struct cel_expr *e)
{
	if (e->call.target) {
		print(p, e->call.target);
		buf_addc(p->out, '.');
	}
	buf_add_str(p->out, e->call.function);
	buf_addc(p->out, '(');
	if (e->call.n) {
		p->indent++;
		for (size_t i = 0; i < e->call.n; i++) {
			if (i)
				buf_addc(p->out, ',');
			line(p);
			print(p, e->call.args[i]);
		}
		p->indent--;
		line(p);
	}
	buf_addc(p->out, ')');
	mark(p, e, "Expr_CallExpr");
	overloads(p, e);
}

static void list(struct printer *p, const struct cel_expr *e)
{
	buf_addc(p->out, '[');
	if (e->list.n) {
		p->indent++;
		for (size_t i = 0; i < e->list.n; i++) {
			if (i)
				buf_addc(p->out, ',');
			line(p);
			if (e->list.optional && e->list.optional[i])
				buf_addc(p->out, '?');
			print(p, e->list.items[i]);
		}
		p->indent--;
		line(p);
	}
	buf_addc(p->out, ']');
	mark(p, e, "Expr_ListExpr");
}

static void entries(struct printer *p, const struct cel_expr *e)
{
	buf_addc(p->out, '{');
	p->indent++;
	for (size_t i = 0; i < e->map.n; i++) {
		const struct cel_entry *f = &e->map.entries[i];

		if (i)
			buf_addc(p->out, ',');
		line(p);
		if (f->optional)
			buf_addc(p->out, '?');
		if (f->key)
			print(p, f->key);
		else
			buf_add_str(p->out, f->field);
		buf_addc(p->out, ':');
		print(p, f->value);
		if (!p->checked)
			buf_addz(p->out, "^#*expr.Expr_CreateStruct_Entry#");
	}
	p->indent--;
	if (e->map.n)
		line(p);
	buf_addc(p->out, '}');
}

static void structure(struct printer *p, const struct cel_expr *e)
{
	if (e->kind == CEL_X_STRUCT)
		buf_add_str(p->out, e->map.type_name);
	entries(p, e);
	mark(p, e, "Expr_StructExpr");
	if (p->checked && e->kind == CEL_X_STRUCT) {
		buf_addc(p->out, '^');
		buf_add_str(p->out, e->map.type_name);
	}
}

static void fold_part(struct printer *p, const char *title, const struct cel_expr *e)
{
	line(p);
	buf_addf(p->out, "// %s", title);
	line(p);
	print(p, e);
}

static void fold_name(struct printer *p, const char *title, str name)
{
	line(p);
	buf_addf(p->out, "// %s", title);
	line(p);
	buf_addf(p->out, "%.*s,", STR_ARG(name));
}

static void fold(struct printer *p, const struct cel_expr *e)
{
	const struct cel_fold *f = e->fold;

	buf_addz(p->out, "__comprehension__(");
	p->indent++;
	fold_name(p, "Variable", f->var);
	if (f->var2.len)
		fold_name(p, "Variable2", f->var2);
	fold_part(p, "Target", f->range);
	buf_addc(p->out, ',');
	fold_name(p, "Accumulator", f->accu);
	fold_part(p, "Init", f->init);
	buf_addc(p->out, ',');
	fold_part(p, "LoopCondition", f->condition);
	buf_addc(p->out, ',');
	fold_part(p, "LoopStep", f->step);
	buf_addc(p->out, ',');
	fold_part(p, "Result", f->result);
	buf_addc(p->out, ')');
	p->indent--;
	mark(p, e, "Expr_ComprehensionExpr");
}

static void print(struct printer *p, const struct cel_expr *e)
{
	switch (e->kind) {
	case CEL_X_CONST: constant(p, e); break;
	case CEL_X_IDENT: ident(p, e); break;
	case CEL_X_SELECT: select_field(p, e); break;
	case CEL_X_CALL: call(p, e); break;
	case CEL_X_LIST: list(p, e); break;
	case CEL_X_MAP:
	case CEL_X_STRUCT: structure(p, e); break;
	case CEL_X_FOLD: fold(p, e); break;
	}
}

void cel_ast_print(const struct cel_ast *ast, bool checked, struct buf *out)
{
	struct printer p = { out, checked, 0 };

	print(&p, ast->root);
}
