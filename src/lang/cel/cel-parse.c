/* cel-parse.c - text to tree: precedence, literals, names, calls; macros are expanded as their calls are read.
 *
 * Recursion is counted (limits.depth_max) and chains of operators, selections and indexes are loops, but each adds a level to the
 * tree, which has the same limit. Long chains of && and || become balanced trees. The first problem ends the parse. Any thread.
 */
#include "base/base.h"
#include "lang/cel/cel-parse.h"

enum { NODES_FIRST = 8 };

static struct cel_expr *parse_expr(struct cel_expander *x);

/* --- tokens --- */

static bool step(struct cel_expander *x)
{
	if (x->failed)
		return false;
	if (cel_lex(&x->lexer, &x->token))
		return true;
	if (x->arena->failed)
		return cel_x_no_memory(x);
	cel_x_fail(x, WEIR_EPARSE, x->token.line, x->token.col, "%s", x->lexer.problem);
	return false;
}

static bool at(const struct cel_expander *x, int kind)
{
	return !x->failed && x->token.kind == kind;
}

/* Takes the token if it is of this kind. */
static bool take(struct cel_expander *x, int kind)
{
	return at(x, kind) && step(x);
}

static void *unexpected(struct cel_expander *x, const char *expected)
{
	if (x->token.kind == CEL_TOK_END)
		return cel_x_fail(x, WEIR_EPARSE, x->token.line, x->token.col, "the expression ends where %s is expected", expected);
	return cel_x_fail(x, WEIR_EPARSE, x->token.line, x->token.col, "'%.*s' where %s is expected",
					  STR_ARG(str_sub(x->token.text, 0, 60)), expected);
}

static bool expect(struct cel_expander *x, int kind, const char *expected)
{
	if (at(x, kind))
		return step(x);
	unexpected(x, expected);
	return false;
}

static bool is_reserved(str name)
{
	static const char *const words[] = { "as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
										 "let", "loop",  "package", "namespace", "return", "var", "void",     "while" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eqz(name, words[i]))
			return true;
	return false;
}

static bool allowed(struct cel_expander *x, enum cel_feature f, const struct cel_token *t, const char *what)
{
	if (cel_env_on(x->env, f))
		return true;
	cel_x_fail(x, WEIR_EPARSE, t->line, t->col, "%s is switched off here", what);
	return false;
}

/* --- growing arrays of the arena --- */

struct nodes {
	struct cel_expr **v;
	bool *optional; /* per node; NULL: none is */
	size_t n, cap;
};

static bool grow(struct cel_expander *x, struct nodes *l)
{
	size_t cap = l->cap ? l->cap * 2 : NODES_FIRST;
	struct cel_expr **v = ARENA_ARRAY(x->arena, cap, struct cel_expr *);
	bool *optional = ARENA_ARRAY(x->arena, cap, bool);

	if (!v || !optional)
		return cel_x_no_memory(x);
	if (l->n) {
		memcpy(v, l->v, l->n * sizeof(*v));
		memcpy(optional, l->optional, l->n);
	}
	l->v = v;
	l->optional = optional;
	l->cap = cap;
	return true;
}

static bool push(struct cel_expander *x, struct nodes *l, struct cel_expr *e, bool optional)
{
	if (!e || (l->n == l->cap && !grow(x, l)))
		return false;
	l->optional[l->n] = optional;
	l->v[l->n++] = e;
	return true;
}

/* --- nodes at a token --- */

static struct cel_expr *call(struct cel_expander *x, const char *function, const struct cel_token *t, struct cel_expr *a,
							 struct cel_expr *b, struct cel_expr *c)
{
	struct nodes args = { 0 };

	if (!push(x, &args, a, false) || (b && !push(x, &args, b, false)) || (c && !push(x, &args, c, false)))
		return NULL;
	return cel_x_calln(x, NULL, str_z(function), args.v, args.n, t->line, t->col);
}

static struct cel_expr *constant(struct cel_expander *x, const struct cel_token *t, struct cel_value v)
{
	struct cel_expr *e = cel_x_new(x, CEL_X_CONST, t->line, t->col);

	if (e)
		e->constant = v;
	return e;
}

static struct cel_expr *select_field(struct cel_expander *x, struct cel_expr *operand, str field, bool optional,
									 const struct cel_token *t)
{
	struct cel_expr *e;

	if (optional) {
		e = constant(x, t, cel_of_str(field));
		return e ? call(x, "_?._", t, operand, e, NULL) : NULL;
	}
	e = cel_x_new(x, CEL_X_SELECT, t->line, t->col);
	if (!e)
		return NULL;
	e->select.operand = operand;
	e->select.field = field;
	return cel_x_done(x, e);
}

/* Calls a macro if it is one, else makes the call. */
static struct cel_expr *call_or_macro(struct cel_expander *x, struct cel_expr *target, str name, struct nodes *args,
									  const struct cel_token *t)
{
	const struct cel_macro *m = cel_env_macro(x->env, name, target != NULL, args->n);
	struct cel_expr *made = NULL, *plain;
	struct macro_call *record;
	int r;

	if (m) {
		x->line = t->line;
		x->col = t->col;
		r = m->expand(x, target, args->v, args->n, &made, x->failed ? NULL : x->reterr);
		if (r && !x->failed)
			x->failed = r;
		if (x->failed)
			return NULL;
	}
	plain = cel_x_calln(x, target, name, args->v, args->n, t->line, t->col);
	if (!made || !plain)
		return plain;
	record = ARENA_NEW(x->arena, struct macro_call);
	if (!record)
		return cel_x_no_memory(x);
	*record = (struct macro_call){ made->id, plain, x->macro_calls };
	x->macro_calls = record;
	return made;
}

/* "a, b)" behind the opening parenthesis. */
static bool parse_args(struct cel_expander *x, struct nodes *args)
{
	if (take(x, ')'))
		return true;
	do {
		if (!push(x, args, parse_expr(x), false))
			return false;
	} while (take(x, ','));
	return expect(x, ')', "',' or ')'");
}

/* --- literals of lists, maps and messages --- */

static bool take_optional(struct cel_expander *x, bool *ret)
{
	*ret = at(x, '?');
	return !*ret || (allowed(x, CEL_F_OPTIONAL_SYNTAX, &x->token, "optional syntax ('?')") && step(x));
}

static struct cel_expr *parse_list(struct cel_expander *x, const struct cel_token *t)
{
	struct nodes items = { 0 };
	struct cel_expr *e;
	bool optional, any = false;

	while (!at(x, ']') && !at(x, ',')) {
		if (!take_optional(x, &optional) || !push(x, &items, parse_expr(x), optional))
			return NULL;
		any |= optional;
		if (!at(x, ',') || !step(x) || at(x, ']'))
			break;
		if (at(x, ','))
			return unexpected(x, "an item");
	}
	if (items.n == 0)
		take(x, ',');
	if (!expect(x, ']', "',' or ']'") || !(e = cel_x_new(x, CEL_X_LIST, t->line, t->col)))
		return NULL;
	e->list.items = items.v;
	e->list.n = items.n;
	e->list.optional = any ? items.optional : NULL;
	return cel_x_done(x, e);
}

struct entries {
	struct cel_entry *v;
	size_t n, cap;
};

static struct cel_entry *push_entry(struct cel_expander *x, struct entries *l)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : NODES_FIRST;
		struct cel_entry *v = ARENA_ARRAY(x->arena, cap, struct cel_entry);

		if (!v)
			return cel_x_no_memory(x);
		if (l->n)
			memcpy(v, l->v, l->n * sizeof(*v));
		l->v = v;
		l->cap = cap;
	}
	return &l->v[l->n++];
}

static bool parse_field_name(struct cel_expander *x, str *ret)
{
	*ret = x->token.text;
	if (at(x, CEL_TOK_QUOTED))
		return allowed(x, CEL_F_QUOTED_NAMES, &x->token, "a name in backquotes") && step(x);
	return expect(x, CEL_TOK_IDENT, "the name of a field");
}

/* One "key: value" of a map, or "field: value" of a message. */
static bool parse_entry(struct cel_expander *x, struct entries *l, bool message)
{
	struct cel_entry *e = push_entry(x, l), made = { 0 };
	size_t i = l->n - 1;

	if (!e || !take_optional(x, &made.optional))
		return false;
	if (message ? !parse_field_name(x, &made.field) : !(made.key = parse_expr(x)))
		return false;
	made.line = x->token.line;
	made.col = x->token.col;
	if (!expect(x, ':', "':'") || !(made.value = parse_expr(x)))
		return false;
	l->v[i] = made;
	return true;
}

/* Behind the opening brace. */
static struct cel_expr *parse_entries(struct cel_expander *x, enum cel_expr_kind kind, str type_name, const struct cel_token *t)
{
	struct entries l = { 0 };
	struct cel_expr *e;

	while (!at(x, '}') && !at(x, ',')) {
		if (!parse_entry(x, &l, kind == CEL_X_STRUCT))
			return NULL;
		if (!at(x, ',') || !step(x) || at(x, '}'))
			break;
		if (at(x, ','))
			return unexpected(x, "an entry");
	}
	if (l.n == 0)
		take(x, ',');
	if (!expect(x, '}', "',' or '}'") || !(e = cel_x_new(x, kind, t->line, t->col)))
		return NULL;
	e->map.type_name = type_name;
	e->map.entries = l.v;
	e->map.n = l.n;
	return cel_x_done(x, e);
}

/* --- primaries --- */

static struct cel_expr *parse_name(struct cel_expander *x, bool dot, const struct cel_token *t)
{
	struct nodes args = { 0 };
	struct cel_expr *e;
	str name = x->token.text;

	if (!at(x, CEL_TOK_IDENT))
		return unexpected(x, "a name");
	if (is_reserved(name))
		return cel_x_fail(x, WEIR_EPARSE, x->token.line, x->token.col, "'%.*s' is a reserved word, not a name", STR_ARG(name));
	if (!step(x))
		return NULL;
	if (dot) {
		name.ptr = arena_printf(x->arena, ".%.*s", STR_ARG(name));
		name.len++;
		if (!name.ptr)
			return cel_x_no_memory(x);
	}
	if (take(x, '('))
		return parse_args(x, &args) ? call_or_macro(x, NULL, name, &args, t) : NULL;
	e = cel_x_new(x, CEL_X_IDENT, t->line, t->col);
	if (e)
		e->ident.name = name;
	return e;
}

static struct cel_expr *parse_integer(struct cel_expander *x, bool negative, const struct cel_token *t)
{
	uint64_t magnitude = x->token.value.u;

	if (magnitude > (uint64_t)INT64_MAX + negative)
		return cel_x_fail(x, WEIR_EPARSE, t->line, t->col, "an int literal out of range");
	if (!step(x))
		return NULL;
	return constant(x, t, cel_of_int(negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude));
}

static struct cel_expr *parse_literal(struct cel_expander *x, const struct cel_token *t)
{
	struct cel_value v = x->token.value;

	switch (x->token.kind) {
	case CEL_TOK_TRUE:
	case CEL_TOK_FALSE: v = cel_of_bool(x->token.kind == CEL_TOK_TRUE); break;
	case CEL_TOK_NULL: v = cel_of_null(); break;
	case CEL_TOK_UINT:
	case CEL_TOK_DOUBLE:
	case CEL_TOK_STRING:
	case CEL_TOK_BYTES: break;
	default: return unexpected(x, "an expression");
	}
	return step(x) ? constant(x, t, v) : NULL;
}

/* Behind the minus of "-1", which is a literal. */
static struct cel_expr *parse_negative(struct cel_expander *x, const struct cel_token *minus)
{
	double d = -x->token.value.d;

	if (at(x, CEL_TOK_INT))
		return parse_integer(x, true, minus);
	if (!at(x, CEL_TOK_DOUBLE))
		return unexpected(x, "a number");
	return step(x) ? constant(x, minus, cel_of_double(d)) : NULL;
}

/* ret_chain: a name that a message literal or further names may follow. */
static struct cel_expr *parse_primary(struct cel_expander *x, bool *ret_chain)
{
	struct cel_token t = x->token;
	struct cel_expr *e;

	*ret_chain = false;
	switch (x->failed ? -1 : t.kind) {
	case -1: return NULL;
	case CEL_TOK_INT: return parse_integer(x, false, &t);
	case '-': return step(x) ? parse_negative(x, &t) : NULL;
	case '(': e = step(x) ? parse_expr(x) : NULL; return e && expect(x, ')', "')'") ? e : NULL;
	case '[': return step(x) ? parse_list(x, &t) : NULL;
	case '{': return step(x) ? parse_entries(x, CEL_X_MAP, STR_NULL, &t) : NULL;
	case '.':
		if (!step(x))
			return NULL;
		/* fall through */
	case CEL_TOK_IDENT:
		e = parse_name(x, t.kind == '.', &t);
		*ret_chain = e && e->kind == CEL_X_IDENT;
		return e;
	default: return parse_literal(x, &t);
	}
}

/* --- selections, calls of methods, indexes --- */

static struct cel_expr *parse_message(struct cel_expander *x, const struct cel_expr *type_name, const struct cel_token *t)
{
	struct buf name CLEANUP_BUF = BUF_INIT(1 << 20);
	str copy;

	if (!cel_qualified_name(type_name, &name) || !(copy = arena_str(x->arena, buf_str(&name))).ptr)
		return cel_x_no_memory(x);
	return step(x) ? parse_entries(x, CEL_X_STRUCT, copy, t) : NULL;
}

/* Behind a '.'. */
static struct cel_expr *parse_member(struct cel_expander *x, struct cel_expr *operand, const struct cel_token *dot, bool *chain)
{
	struct nodes args = { 0 };
	struct cel_token name = { 0 };
	bool optional = false, quoted;

	if (at(x, '?')) {
		if (!allowed(x, CEL_F_OPTIONAL_SYNTAX, dot, "optional syntax ('.?')") || !step(x))
			return NULL;
		optional = true;
	}
	name = x->token;
	quoted = at(x, CEL_TOK_QUOTED);
	if (!parse_field_name(x, &name.text))
		return NULL;
	if (!optional && !quoted && take(x, '(')) {
		*chain = false;
		return parse_args(x, &args) ? call_or_macro(x, operand, name.text, &args, &name) : NULL;
	}
	*chain = *chain && !optional && !quoted;
	return select_field(x, operand, name.text, optional, dot);
}

static struct cel_expr *parse_index(struct cel_expander *x, struct cel_expr *operand, const struct cel_token *t)
{
	struct cel_expr *index;
	bool optional = at(x, '?');

	if (optional && (!allowed(x, CEL_F_OPTIONAL_SYNTAX, t, "optional syntax ('[?')") || !step(x)))
		return NULL;
	index = parse_expr(x);
	if (!index || !expect(x, ']', "']'"))
		return NULL;
	return call(x, optional ? "_[?_]" : "_[_]", t, operand, index, NULL);
}

static struct cel_expr *parse_postfix(struct cel_expander *x, struct cel_expr *e, bool chain)
{
	while (e && !x->failed) {
		struct cel_token t = x->token;

		if (t.kind == '.') {
			e = step(x) ? parse_member(x, e, &t, &chain) : NULL;
		} else if (t.kind == '[') {
			chain = false;
			e = step(x) ? parse_index(x, e, &t) : NULL;
		} else if (t.kind == '{' && chain) {
			chain = false;
			e = parse_message(x, e, &t);
		} else {
			break;
		}
	}
	return x->failed ? NULL : e;
}

/* --- operators --- */

static struct cel_expr *parse_unary(struct cel_expander *x)
{
	struct cel_token t = x->token;
	struct cel_expr *e;
	size_t n = 0;
	bool chain;

	if (t.kind != '-' && t.kind != '!') {
		e = parse_primary(x, &chain);
		return parse_postfix(x, e, chain);
	}
	for (; at(x, t.kind); n++)
		if (!step(x))
			return NULL;
	if (t.kind == '-' && n == 1 && (at(x, CEL_TOK_INT) || at(x, CEL_TOK_DOUBLE))) /* -1.foo() is (-1).foo() */
		return parse_postfix(x, parse_negative(x, &t), false);
	e = parse_primary(x, &chain);
	e = parse_postfix(x, e, chain);
	/* As cel-go has it, two of them are none. */
	return e && n % 2 ? call(x, t.kind == '-' ? "-_" : "!_", &t, e, NULL, NULL) : e;
}

static const char *binary_operator(int token, int *ret_level)
{
	static const struct {
		int token, level;
		const char *function;
	} ops[] = { { '<', 1, "_<_" },         { CEL_TOK_LE, 1, "_<=_" }, { '>', 1, "_>_" },        { CEL_TOK_GE, 1, "_>=_" },
				{ CEL_TOK_EQ, 1, "_==_" }, { CEL_TOK_NE, 1, "_!=_" }, { CEL_TOK_IN, 1, "@in" }, { '+', 2, "_+_" },
				{ '-', 2, "_-_" },         { '*', 3, "_*_" },         { '/', 3, "_/_" },        { '%', 3, "_%_" } };

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (ops[i].token == token) {
			*ret_level = ops[i].level;
			return ops[i].function;
		}
	return NULL;
}

/* Comparisons (level 1), sums (2), products (3): all of them associate to the left. */
static struct cel_expr *parse_binary(struct cel_expander *x, int lowest)
{
	struct cel_expr *left = parse_unary(x), *right;

	while (left && !x->failed) {
		struct cel_token t = x->token;
		int level;
		const char *function = binary_operator(t.kind, &level);

		if (!function || level < lowest)
			break;
		right = step(x) ? parse_binary(x, level + 1) : NULL;
		left = right ? call(x, function, &t, left, right, NULL) : NULL;
	}
	return x->failed ? NULL : left;
}

struct chain { /* a && b && c */
	struct nodes terms;
	struct cel_token *ops;
	const char *function;
};

/* The terms around operators lo..hi as a tree of the least height. */
static struct cel_expr *balance(struct cel_expander *x, const struct chain *c, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo + 1) / 2;
	struct cel_expr *left = mid == lo ? c->terms.v[mid] : balance(x, c, lo, mid - 1);
	struct cel_expr *right = mid == hi ? c->terms.v[mid + 1] : balance(x, c, mid + 1, hi);

	return left && right ? call(x, c->function, &c->ops[mid], left, right, NULL) : NULL;
}

static struct cel_expr *parse_chain(struct cel_expander *x, int op, const char *function,
									struct cel_expr *(*term)(struct cel_expander *))
{
	struct chain c = { .function = function };
	size_t n_ops = 0, cap = 0;
	struct cel_expr *first = term(x);

	if (!first || !at(x, op))
		return first;
	if (!push(x, &c.terms, first, false))
		return NULL;
	while (at(x, op)) {
		if (n_ops == cap) {
			struct cel_token *ops = ARENA_ARRAY(x->arena, cap ? cap * 2 : NODES_FIRST, struct cel_token);

			if (!ops)
				return cel_x_no_memory(x);
			if (n_ops)
				memcpy(ops, c.ops, n_ops * sizeof(*ops));
			c.ops = ops;
			cap = cap ? cap * 2 : NODES_FIRST;
		}
		c.ops[n_ops++] = x->token;
		if (!step(x) || !push(x, &c.terms, term(x), false))
			return NULL;
	}
	return x->failed ? NULL : balance(x, &c, 0, n_ops - 1);
}

static struct cel_expr *parse_relation(struct cel_expander *x)
{
	return parse_binary(x, 1);
}

static struct cel_expr *parse_and(struct cel_expander *x)
{
	return parse_chain(x, CEL_TOK_AND, "_&&_", parse_relation);
}

static struct cel_expr *parse_conditional(struct cel_expander *x)
{
	struct cel_expr *e = parse_chain(x, CEL_TOK_OR, "_||_", parse_and), *yes, *no;
	struct cel_token t = x->token;

	if (!e || !take(x, '?'))
		return x->failed ? NULL : e;
	yes = parse_chain(x, CEL_TOK_OR, "_||_", parse_and);
	if (!yes || !expect(x, ':', "':'"))
		return NULL;
	no = parse_expr(x);
	return no ? call(x, "_?_:_", &t, e, yes, no) : NULL;
}

static struct cel_expr *parse_expr(struct cel_expander *x)
{
	size_t max = cel_env_limits(x->env)->depth_max;
	struct cel_expr *e;

	if (++x->depth > max)
		return cel_x_fail(x, WEIR_ELIMIT, x->token.line, x->token.col, "the expression is nested deeper than %zu levels", max);
	e = parse_conditional(x);
	x->depth--;
	return e;
}

/* --- all of it --- */

static int finish(struct cel_expander *x, struct cel_expr *root, struct cel_ast **ret, struct err *reterr)
{
	struct cel_ast *ast = ARENA_NEW(x->arena, struct cel_ast);
	struct cel_expr **calls = ARENA_ARRAY(x->arena, x->n_ids, struct cel_expr *);

	if (!ast || !calls)
		return arena_check(x->arena, "the expression", reterr);
	for (const struct macro_call *m = x->macro_calls; m; m = m->next)
		calls[m->id] = m->call;
	*ast = (struct cel_ast){ .file = x->file, .text = x->text, .root = root, .n_ids = x->n_ids, .macro_calls = calls };
	*ret = ast;
	return 0;
}

int cel_parse(struct arena *a, const struct cel_env *e, const char *file, str text, struct cel_ast **ret, struct err *reterr)
{
	struct cel_expander x = { .arena = a, .env = e, .n_ids = 1, .reterr = reterr };
	struct cel_expr *root;
	size_t max = cel_env_limits(e)->text_max;

	if (text.len > max)
		return err_set(reterr, WEIR_ELIMIT, "%s: the expression has more than %zu bytes", file, max);
	if (!str_utf8_valid(text))
		return err_set(reterr, WEIR_EPARSE, "%s: the expression is not valid UTF-8", file);
	x.file = arena_dupz(a, file);
	x.text = arena_str(a, text);
	if (!x.file || !x.text.ptr)
		return arena_check(a, "the expression", reterr);
	x.lexer = (struct cel_lexer){ .arena = a, .text = x.text, .line = 1, .col = 1 };
	root = step(&x) ? parse_expr(&x) : NULL;
	if (root && !at(&x, CEL_TOK_END))
		unexpected(&x, "the end of the expression");
	if (x.failed)
		return x.failed;
	return finish(&x, root, ret, reterr);
}
