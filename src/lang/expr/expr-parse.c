/* expr-parse.c - tokens to a tree, by operator precedence with explicit stacks: the depth of parentheses costs arena
 * memory only, never the C stack, and the depth of the tree is limited while it is built.
 *
 * Pure; any thread. Messages and their order are GitHub's, so that people find them when they search. */
#include "lang/expr/expr-internal.h"

enum frame_kind { FRAME_OP, FRAME_GROUP, FRAME_CALL, FRAME_INDEX };

struct frame { /* something that waits for its right side or its closing bracket */
	struct frame *below;
	enum frame_kind kind;
	enum expr_op op;
	uint32_t col;
	struct expr_node *call;
};
struct operand {
	struct operand *below;
	struct expr_node *node;
};
struct parser {
	struct arena *arena;
	const struct expr_env *env;
	bool check; /* look names up in env while parsing */
	struct expr *e;
	struct expr_lexer lexer;
	struct expr_token t, before; /* the token at hand and the one before it */
	struct frame *frames;
	struct operand *operands;
	struct err *reterr;
};

static const struct function {
	const char *name; /* lower case */
	enum expr_func id;
	unsigned min, max;
} functions[] = {
	{ "case", EXPR_FN_CASE, 3, EXPR_ARGS_MAX },
	{ "contains", EXPR_FN_CONTAINS, 2, 2 },
	{ "endswith", EXPR_FN_ENDS_WITH, 2, 2 },
	{ "format", EXPR_FN_FORMAT, 1, EXPR_ARGS_MAX },
	{ "fromjson", EXPR_FN_FROM_JSON, 1, 1 },
	{ "hashfiles", EXPR_FN_HASH_FILES, 1, EXPR_ARGS_MAX },
	{ "join", EXPR_FN_JOIN, 1, 2 },
	{ "startswith", EXPR_FN_STARTS_WITH, 2, 2 },
	{ "tojson", EXPR_FN_TO_JSON, 1, 1 },
	{ "success", EXPR_FN_SUCCESS, 0, EXPR_ARGS_MAX }, /* names of jobs, where ops has success_of */
	{ "failure", EXPR_FN_FAILURE, 0, EXPR_ARGS_MAX },
	{ "always", EXPR_FN_ALWAYS, 0, 0 },
	{ "cancelled", EXPR_FN_CANCELLED, 0, 0 },
};

static int fail_at(const struct expr *e, struct err *reterr, const char *what, str symbol, uint32_t col)
{
	return err_set(reterr, WEIR_EPARSE, "%s: '%.*s'. Located at position %u within expression: %.*s", what, STR_ARG(symbol), col,
				   STR_ARG(e->text));
}

static int fail(struct parser *p, const char *what, const struct expr_token *t)
{
	return fail_at(p->e, p->reterr, what, t->raw, t->col);
}

static int unexpected(struct parser *p)
{
	if (p->t.kind == EXPR_T_END)
		return fail(p, "Unexpected end of expression", &p->before);
	return fail(p, "Unexpected symbol", &p->t);
}

static bool function_is_there(enum expr_func f, const struct expr_ops *ops)
{
	switch (f) {
	case EXPR_FN_SUCCESS: return ops && ops->success;
	case EXPR_FN_FAILURE: return ops && ops->failure;
	case EXPR_FN_CANCELLED: return ops && ops->cancelled;
	case EXPR_FN_ALWAYS: /* needs no answer, but makes sense only where the others do */
		return ops && (ops->success || ops->failure || ops->cancelled);
	case EXPR_FN_HASH_FILES: return ops && ops->hash_files;
	default: return true;
	}
}

static bool name_is_there(str name, const struct expr_env *env)
{
	if (env->contexts && expr_get(env->contexts, name))
		return true;
	for (const char *const *n = env->names; n && *n; n++)
		if (expr_fold_eq(name, str_z(*n)))
			return true;
	return false;
}

/* success() and failure() take names of jobs only where the embedder can answer for them. */
static bool takes_arguments(const struct expr_node *call, const struct expr_ops *ops)
{
	if (call->func == EXPR_FN_SUCCESS)
		return !call->n || ops->success_of;
	if (call->func == EXPR_FN_FAILURE)
		return !call->n || ops->failure_of;
	return true;
}

int expr_check_ref(const struct expr *e, const struct expr_node *ref, const struct expr_env *env, struct err *reterr)
{
	if (ref->op == EXPR_OP_CALL && !function_is_there(ref->func, env->ops))
		return fail_at(e, reterr, "Unrecognized function", ref->name, ref->col);
	if (ref->op == EXPR_OP_CALL)
		return takes_arguments(ref, env->ops) ? 0 : fail_at(e, reterr, "Too many parameters supplied", ref->name, ref->col);
	return name_is_there(ref->name, env) ? 0 : fail_at(e, reterr, "Unrecognized named-value", ref->name, ref->col);
}

/* --- building the tree --- */

static int no_memory(struct parser *p)
{
	int r = arena_check(p->arena, "expression", p->reterr);

	return r ? r : err_set(p->reterr, WEIR_ENOMEM, "expression: out of memory");
}

static struct expr_node *node_new(struct parser *p, enum expr_op op, uint32_t col)
{
	struct expr_node *n = ARENA_NEW(p->arena, struct expr_node);

	if (n) {
		n->op = op;
		n->col = col;
		n->depth = 1;
	}
	return n;
}

static MUST_CHECK int node_add(struct parser *p, struct expr_node *parent, struct expr_node *child)
{
	if (child->depth + 1 > parent->depth)
		parent->depth = child->depth + 1;
	if (parent->depth > EXPR_DEPTH_MAX)
		return err_set(p->reterr, WEIR_EPARSE, "Exceeded max expression depth %d", EXPR_DEPTH_MAX);
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
	return 0;
}

static MUST_CHECK int push(struct parser *p, struct expr_node *node)
{
	struct operand *o = node ? ARENA_NEW(p->arena, struct operand) : NULL;

	if (!o)
		return no_memory(p);
	o->node = node;
	o->below = p->operands;
	p->operands = o;
	return 0;
}

static struct expr_node *pop(struct parser *p)
{
	struct operand *o = p->operands;

	if (!o)
		BUG("expression: no operand");
	p->operands = o->below;
	return o->node;
}

static MUST_CHECK int push_frame(struct parser *p, enum frame_kind kind, struct expr_node *call)
{
	struct frame *f = ARENA_NEW(p->arena, struct frame);

	if (!f)
		return no_memory(p);
	*f = (struct frame){ .below = p->frames, .kind = kind, .op = p->t.op, .col = p->t.col, .call = call };
	p->frames = f;
	return 0;
}

static int precedence(enum expr_op op)
{
	switch (op) {
	case EXPR_OP_OR: return 1;
	case EXPR_OP_AND: return 2;
	case EXPR_OP_EQ:
	case EXPR_OP_NE: return 3;
	case EXPR_OP_NOT: return 5;
	default: return 4;
	}
}

/* Applies the operator on top to its operands. `a && b && c` becomes one node with three children. */
static MUST_CHECK int reduce(struct parser *p)
{
	enum expr_op op = p->frames->op;
	uint32_t col = p->frames->col;
	struct expr_node *right = pop(p), *left = op == EXPR_OP_NOT ? NULL : pop(p), *n;
	int r = 0;

	p->frames = p->frames->below;
	if (left && left->op == op && !left->grouped && (op == EXPR_OP_AND || op == EXPR_OP_OR)) {
		n = left;
	} else {
		n = node_new(p, op, left ? left->col : col);
		if (!n)
			return no_memory(p);
		if (left)
			r = node_add(p, n, left);
	}
	if (!r)
		r = node_add(p, n, right);
	return r ? r : push(p, n);
}

/* Applies what binds at least as tightly as `level`, down to the innermost open bracket. */
static MUST_CHECK int reduce_to(struct parser *p, int level)
{
	int r = 0;

	while (!r && p->frames && p->frames->kind == FRAME_OP && precedence(p->frames->op) >= level)
		r = reduce(p);
	return r;
}

/* The operand on top becomes operand[index] (or operand.* when index is NULL). */
static MUST_CHECK int apply_index(struct parser *p, struct expr_node *index)
{
	struct expr_node *of = pop(p), *n = node_new(p, index ? EXPR_OP_INDEX : EXPR_OP_STAR, of->col);
	int r;

	if (!n)
		return no_memory(p);
	r = node_add(p, n, of);
	if (!r && index)
		r = node_add(p, n, index);
	return r ? r : push(p, n);
}

/* --- one token after the other --- */

static MUST_CHECK int add_ref(struct parser *p, struct expr_node *n)
{
	if (p->e->last_ref)
		p->e->last_ref->next_ref = n;
	else
		p->e->refs = n;
	p->e->last_ref = n;
	return p->check ? expr_check_ref(p->e, n, p->env, p->reterr) : 0;
}

static MUST_CHECK int take_value(struct parser *p)
{
	struct expr_node *n = node_new(p, p->t.kind == EXPR_T_NAMED ? EXPR_OP_NAMED : EXPR_OP_LITERAL, p->t.col);
	int r = 0;

	if (!n || (p->t.kind == EXPR_T_VALUE && !p->t.value))
		return no_memory(p);
	n->value = p->t.value;
	n->name = p->t.raw;
	if (p->t.kind == EXPR_T_NAMED)
		r = add_ref(p, n);
	return r ? r : push(p, n);
}

static const struct function *function_of(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (str_eq_nocase(name, str_z(functions[i].name)))
			return &functions[i];
	return NULL;
}

static MUST_CHECK int take_function(struct parser *p)
{
	const struct function *f = function_of(p->t.raw);
	struct expr_node *n;
	int r;

	if (!f)
		return fail(p, "Unrecognized function", &p->t);
	n = node_new(p, EXPR_OP_CALL, p->t.col);
	if (!n)
		return no_memory(p);
	n->func = f->id;
	n->name = p->t.raw;
	r = add_ref(p, n);
	if (r)
		return r;
	p->before = p->t;
	p->t = expr_lex(&p->lexer); /* the '(' that made it a function */
	return push_frame(p, FRAME_CALL, n);
}

static MUST_CHECK int end_call(struct parser *p, struct expr_node *call)
{
	const struct function *f = function_of(call->name);

	if (call->n < f->min)
		return fail_at(p->e, p->reterr, "Too few parameters supplied", call->name, call->col);
	if (f->id == EXPR_FN_CASE && call->n % 2 == 0)
		return fail_at(p->e, p->reterr, "Even number of parameters supplied, requires an odd number of parameters", call->name,
					   call->col);
	return push(p, call);
}

/* The argument that ended goes to its call. */
static MUST_CHECK int end_argument(struct parser *p)
{
	struct expr_node *call = p->frames->call;

	if (call->n >= function_of(call->name)->max)
		return fail_at(p->e, p->reterr, "Too many parameters supplied", call->name, call->col);
	return node_add(p, call, pop(p));
}

/* ')' behind an operand, or right behind the '(' of a call (`empty`). */
static MUST_CHECK int take_close(struct parser *p, bool empty)
{
	struct frame *f;
	int r = empty ? 0 : reduce_to(p, 0);

	if (r)
		return r;
	f = p->frames;
	if (!f || (f->kind != FRAME_CALL && (empty || f->kind != FRAME_GROUP)))
		return unexpected(p);
	if (f->kind == FRAME_CALL && !empty)
		r = end_argument(p);
	p->frames = f->below;
	if (r)
		return r;
	if (f->kind == FRAME_CALL)
		return end_call(p, f->call);
	p->operands->node->grouped = true;
	return 0;
}

static MUST_CHECK int take_comma(struct parser *p)
{
	int r = reduce_to(p, 0);

	if (r)
		return r;
	if (!p->frames || p->frames->kind != FRAME_CALL)
		return unexpected(p);
	return end_argument(p);
}

static MUST_CHECK int take_close_index(struct parser *p)
{
	int r = reduce_to(p, 0);

	if (r)
		return r;
	if (!p->frames || p->frames->kind != FRAME_INDEX)
		return unexpected(p);
	p->frames = p->frames->below;
	return apply_index(p, pop(p));
}

/* Behind '.': a property or a star. */
static MUST_CHECK int take_member(struct parser *p)
{
	struct expr_node *n;

	p->before = p->t;
	p->t = expr_lex(&p->lexer);
	if (p->t.kind == EXPR_T_STAR)
		return apply_index(p, NULL);
	if (p->t.kind != EXPR_T_PROPERTY)
		return unexpected(p);
	n = node_new(p, EXPR_OP_LITERAL, p->t.col);
	if (n)
		n->value = expr_string(p->arena, p->t.raw);
	if (!n || !n->value)
		return no_memory(p);
	return apply_index(p, n);
}

/* Where an operand must come. *ret_operand: one came, so an operator is next. */
static MUST_CHECK int take_operand(struct parser *p, bool *ret_operand)
{
	*ret_operand = false;
	switch (p->t.kind) {
	case EXPR_T_VALUE:
	case EXPR_T_NAMED: *ret_operand = true; return take_value(p);
	case EXPR_T_FUNCTION: return take_function(p);
	case EXPR_T_OPEN: return push_frame(p, FRAME_GROUP, NULL);
	case EXPR_T_CLOSE:
		if (p->before.kind != EXPR_T_OPEN || !p->frames || p->frames->kind != FRAME_CALL)
			return unexpected(p);
		*ret_operand = true;
		return take_close(p, true);
	case EXPR_T_OP: return p->t.op == EXPR_OP_NOT ? push_frame(p, FRAME_OP, NULL) : unexpected(p);
	case EXPR_T_STAR: /* [*] */
		if (p->before.kind != EXPR_T_OPEN_INDEX)
			return unexpected(p);
		p->frames = p->frames->below;
		p->before = p->t;
		p->t = expr_lex(&p->lexer);
		if (p->t.kind != EXPR_T_CLOSE_INDEX)
			return unexpected(p);
		*ret_operand = true;
		return apply_index(p, NULL);
	default: return unexpected(p);
	}
}

/* Behind an operand. *ret_operand: the token ended an operand again. */
static MUST_CHECK int take_operator(struct parser *p, bool *ret_operand)
{
	int r;

	*ret_operand = true;
	switch (p->t.kind) {
	case EXPR_T_DOT: return take_member(p);
	case EXPR_T_CLOSE: return take_close(p, false);
	case EXPR_T_CLOSE_INDEX: return take_close_index(p);
	case EXPR_T_OPEN_INDEX: *ret_operand = false; return push_frame(p, FRAME_INDEX, NULL);
	case EXPR_T_COMMA: *ret_operand = false; return take_comma(p);
	case EXPR_T_OP:
		*ret_operand = false;
		if (p->t.op == EXPR_OP_NOT)
			return unexpected(p);
		r = reduce_to(p, precedence(p->t.op));
		return r ? r : push_frame(p, FRAME_OP, NULL);
	default: return unexpected(p);
	}
}

static MUST_CHECK int parse_all(struct parser *p)
{
	bool operand = false;
	int r = 0;

	for (;;) {
		p->before = p->t;
		p->t = expr_lex(&p->lexer);
		if (p->t.kind == EXPR_T_END)
			break;
		r = operand ? take_operator(p, &operand) : take_operand(p, &operand);
		if (r)
			return r;
	}
	if (p->before.kind == EXPR_T_END)
		return 0; /* nothing but white space: null */
	if (operand)
		r = reduce_to(p, 0);
	if (r)
		return r;
	if (!operand || p->frames)
		return unexpected(p);
	p->e->root = pop(p);
	return 0;
}

static MUST_CHECK int parse(struct arena *a, str text, const struct expr_env *env, bool check, struct expr **ret,
							struct err *reterr)
{
	struct parser p = { .arena = a, .env = env, .check = check, .reterr = reterr };
	int r;

	if (expr_utf16_len(text) > EXPR_TEXT_MAX)
		return err_set(reterr, WEIR_EPARSE, "Exceeded max expression length %d", EXPR_TEXT_MAX);
	p.e = ARENA_NEW(a, struct expr);
	if (p.e)
		p.e->text = arena_str(a, text);
	if (!p.e || !p.e->text.ptr)
		return no_memory(&p);
	p.lexer = (struct expr_lexer){ .arena = a, .text = p.e->text, .col = 1 };
	r = parse_all(&p);
	if (!r && check)
		r = expr_check(p.e, env, reterr); /* again, now that the number of arguments is known */
	if (r)
		return r;
	*ret = p.e;
	return 0;
}

int expr_parse(struct arena *a, str text, struct expr **ret, struct err *reterr)
{
	return parse(a, text, NULL, false, ret, reterr);
}

int expr_check(const struct expr *e, const struct expr_env *env, struct err *reterr)
{
	int r = 0;

	for (const struct expr_node *n = e->refs; n && !r; n = n->next_ref)
		r = expr_check_ref(e, n, env, reterr);
	return r;
}

int expr_parse_for(struct arena *a, str text, const struct expr_env *env, struct expr **ret, struct err *reterr)
{
	return parse(a, text, env, true, ret, reterr);
}

bool expr_uses_status(const struct expr *e)
{
	for (const struct expr_node *n = e->refs; n; n = n->next_ref)
		if (n->op == EXPR_OP_CALL && n->func >= EXPR_FN_SUCCESS)
			return true;
	return false;
}

void expr_each_context(const struct expr *e, void (*fn)(void *ctx, str name, uint32_t col), void *ctx)
{
	char lower[256];

	for (const struct expr_node *n = e->refs; n; n = n->next_ref) {
		size_t len = n->name.len < sizeof(lower) ? n->name.len : sizeof(lower);

		if (n->op != EXPR_OP_NAMED)
			continue;
		for (size_t i = 0; i < len; i++)
			lower[i] = n->name.ptr[i] >= 'A' && n->name.ptr[i] <= 'Z' ? (char)(n->name.ptr[i] + 32) : n->name.ptr[i];
		fn(ctx, str_n(lower, len), n->col);
	}
}
