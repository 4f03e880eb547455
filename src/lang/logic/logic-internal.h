/* logic-internal.h - what the files of src/lang/logic share: operators, compiled nodes, the state of one evaluation. */
#ifndef WEIR_LANG_LOGIC_INTERNAL_H
#define WEIR_LANG_LOGIC_INTERNAL_H

#include "lang/logic/logic.h"

/* --- operators: C id, name, dialects, how its arguments are read ---
 * EAGER: all are values; under COMPAT one expression that gives an array stands for the arguments. LAZY: the operator evaluates
 * them itself; under COMPAT they must be a list. OWN: compiled by a function of its own. */
enum { D_FLAGD = 1 << LOGIC_FLAGD, D_CLASSIC = 1 << LOGIC_CLASSIC, D_COMPAT = 1 << LOGIC_COMPAT, D_ALL = 7 };
enum shape { EAGER, LAZY, OWN };
#define LOGIC_OP_TABLE(X)                                                                                                        \
	X(VAR, "var", D_ALL, OWN)                                                                                                    \
	X(VAL, "val", D_COMPAT, OWN)                                                                                                 \
	X(EXISTS, "exists", D_COMPAT, OWN)                                                                                           \
	X(MISSING, "missing", D_ALL, EAGER)                                                                                          \
	X(MISSING_SOME, "missing_some", D_ALL, EAGER)                                                                                \
	X(IF, "if", D_ALL, LAZY)                                                                                                     \
	X(TERNARY, "?:", D_ALL, LAZY)                                                                                                \
	X(AND, "and", D_ALL, LAZY)                                                                                                   \
	X(OR, "or", D_ALL, LAZY)                                                                                                     \
	X(COALESCE, "??", D_COMPAT, LAZY)                                                                                            \
	X(NOT, "!", D_ALL, EAGER)                                                                                                    \
	X(TRUTH, "!!", D_ALL, EAGER)                                                                                                 \
	X(EQ, "==", D_ALL, LAZY)                                                                                                     \
	X(NE, "!=", D_ALL, LAZY)                                                                                                     \
	X(SEQ, "===", D_ALL, LAZY)                                                                                                   \
	X(SNE, "!==", D_ALL, LAZY)                                                                                                   \
	X(LT, "<", D_ALL, LAZY)                                                                                                      \
	X(LE, "<=", D_ALL, LAZY)                                                                                                     \
	X(GT, ">", D_ALL, LAZY)                                                                                                      \
	X(GE, ">=", D_ALL, LAZY)                                                                                                     \
	X(ADD, "+", D_ALL, EAGER)                                                                                                    \
	X(SUB, "-", D_ALL, EAGER)                                                                                                    \
	X(MUL, "*", D_ALL, EAGER)                                                                                                    \
	X(DIV, "/", D_ALL, EAGER)                                                                                                    \
	X(MOD, "%", D_ALL, EAGER)                                                                                                    \
	X(MAX, "max", D_ALL, EAGER)                                                                                                  \
	X(MIN, "min", D_ALL, EAGER)                                                                                                  \
	X(MAP, "map", D_ALL, LAZY)                                                                                                   \
	X(FILTER, "filter", D_ALL, LAZY)                                                                                             \
	X(REDUCE, "reduce", D_ALL, LAZY)                                                                                             \
	X(ALL, "all", D_ALL, LAZY)                                                                                                   \
	X(SOME, "some", D_ALL, LAZY)                                                                                                 \
	X(NONE, "none", D_ALL, LAZY)                                                                                                 \
	X(MERGE, "merge", D_ALL, EAGER)                                                                                              \
	X(IN, "in", D_ALL, EAGER)                                                                                                    \
	X(CAT, "cat", D_ALL, EAGER)                                                                                                  \
	X(SUBSTR, "substr", D_ALL, EAGER)                                                                                            \
	X(LOG, "log", D_CLASSIC, EAGER)                                                                                              \
	X(TRY, "try", D_COMPAT, OWN)                                                                                                 \
	X(THROW, "throw", D_COMPAT, EAGER)                                                                                           \
	X(PRESERVE, "preserve", D_COMPAT, OWN)                                                                                       \
	X(FRACTIONAL, "fractional", D_FLAGD, OWN)                                                                                    \
	X(SEM_VER, "sem_ver", D_FLAGD, OWN)                                                                                          \
	X(STARTS_WITH, "starts_with", D_FLAGD, EAGER)                                                                                \
	X(ENDS_WITH, "ends_with", D_FLAGD, EAGER)                                                                                    \
	X(REF, "$ref", D_FLAGD, OWN)

enum op {
	/* 0 to LOGIC_OBJECT: a constant, the node is its value */
	OP_ARRAY = LOGIC_OBJECT + 1, /* a list with expressions in it */
	OP_PATH_DYNAMIC,             /* var whose path is an expression */
	OP_INJECTED,                 /* $flagd and what is below it */
	OP_RAISE,                    /* fails when evaluated: small is an enum raise */
#define X(id, name, dialects, shape) OP_##id,
	LOGIC_OP_TABLE(X)
#undef X
		OPS
};
enum raise { RAISE_ARGUMENTS, RAISE_OPERATOR };
enum injected { INJECTED_OBJECT, INJECTED_KEY, INJECTED_TIME, INJECTED_NONE };
enum { LOGIC_FAILED = 0xff }; /* kind of what eval() returns when the evaluation's state holds an error */

enum {
	NODE_SPREAD = 1 << 0,    /* COMPAT: the one argument is an expression; an array it gives stands for the arguments */
	NODE_PREPARED = 1 << 1,  /* the table `aux` holds what was prepared (see each operator) */
	NODE_KEYED = 1 << 2,     /* fractional: the first argument is the bucketing value */
	NODE_NULL_LIST = 1 << 3, /* map and the like: the list is a literal null */
	NODE_VALUES = 1 << 4     /* fractional: entries are expressions */
};

struct node {
	union {
		struct logic_value k; /* constants */
		struct {
			uint8_t op;
			uint8_t flags;
			uint16_t small; /* val: levels to climb; injected, raise: which; sem_ver: operator */
			uint32_t n;     /* arguments, which lie side by side; paths: segments */
			uint32_t first; /* of the arguments in nodes[]; paths: in segs[] */
			uint32_t aux;   /* paths: node of the default (0: none); else an index into tables[] */
		};
	};
};
_Static_assert(sizeof(struct node) == 16, "a node is as small as a value, whose kind is its op");

struct seg { /* one step of a path */
	const char *key;
	uint32_t len, hash;
	int64_t index; /* the key as an index of an array, -1 when it is none */
};
struct place {
	uint32_t line, col;
};
struct semver {
	uint64_t major, minor, patch;
	str pre; /* empty: a release */
};
struct bucket {
	uint32_t until; /* running sum of the weights */
	uint32_t variant; /* node */
};
struct member {
	uint32_t hash, item;
};
union table { /* prepared by the compiler */
	struct semver *version; /* sem_ver: [0] of argument 0, [1] of argument 2, where these are constants */
	struct { /* fractional with constant weights */
		struct bucket *buckets;
		uint32_t n;
		uint32_t total;
	} share;
	struct { /* in: hashes of a long constant list's texts, sorted */
		struct member *members;
		uint32_t n;
	} set;
	const struct logic_rule *rule; /* $ref */
};

struct logic_rule {
	const struct node *nodes; /* [0] is the whole rule */
	const struct place *places;
	const struct seg *segs;
	const union table *tables;
	str evaluator; /* name, when it is one */
	uint32_t n_nodes;
	uint16_t depth;
	uint8_t dialect, fractional;
};

const char *logic_op_name(uint8_t op); /* "" for constants and lists */

/* Off the usual path: kept out of the callers, whose frames stay small. */
#define OUT_OF_LINE __attribute__((noinline, cold))

/* --- values (logic-value.c) --- */
static inline uint32_t logic_hash(const char *p, size_t n)
{
	uint64_t h = 0x9e3779b97f4a7c15ULL ^ n, w;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdULL;
		h ^= h >> 32;
	}
	w = 0;
	if (n >= 4) {
		uint32_t low, high;

		memcpy(&low, p, 4);
		memcpy(&high, p + n - 4, 4);
		w = (uint64_t)high << 32 | low;
	} else if (n) {
		w = (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 | (uint64_t)(unsigned char)p[n - 1] << 16;
	}
	h = (h ^ w) * 0xc4ceb9fe1a85ec53ULL;
	return (uint32_t)(h >> 32) ^ (uint32_t)h;
}
/* memcmp() == 0 for the short texts that keys and variants are. */
static inline bool logic_bytes_equal(const char *a, const char *b, size_t n)
{
	uint64_t x, y, z, w;
	uint32_t s, t, u, v;

	if (n > 16)
		return !memcmp(a, b, n);
	if (n >= 8) { /* the first and the last eight, which may overlap */
		memcpy(&x, a, 8);
		memcpy(&y, b, 8);
		memcpy(&z, a + n - 8, 8);
		memcpy(&w, b + n - 8, 8);
		return !((x ^ y) | (z ^ w));
	}
	if (n >= 4) {
		memcpy(&s, a, 4);
		memcpy(&t, b, 4);
		memcpy(&u, a + n - 4, 4);
		memcpy(&v, b + n - 4, 4);
		return !((s ^ t) | (u ^ v));
	}
	return !n || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}
const struct logic_value *logic_find_indexed(const struct logic_value *object, const char *key, uint32_t len, uint32_t hash);
static inline const struct logic_value *logic_find(const struct logic_value *object, const char *key, uint32_t len, uint32_t hash)
{
	const struct logic_pair *p = object->pairs, *end = p + object->len;

	if (object->indexed)
		return logic_find_indexed(object, key, len, hash);
	for (; p < end; p++)
		if (p->hash == hash && p->key_len == len && logic_bytes_equal(p->key, key, len))
			return &p->value;
	return NULL;
}
struct seg logic_seg(str key);
bool logic_parse_number(str s, bool prefix, double *ret); /* as JavaScript's Number(), or as parseFloat() */
double logic_js_number(struct logic_value v);             /* NaN when it is none */
enum { LOGIC_NUMBER_BYTES = 40 };
size_t logic_number_text(double n, char out[LOGIC_NUMBER_BYTES]); /* as JavaScript writes it */
/* Text pieces on their way to a counter, memory or a hash. */
struct sink {
	void (*add)(struct sink *s, const char *p, size_t n);
};
/* Text of a value as JavaScript's String(), null being empty; false: too deep. */
bool logic_put_text(struct sink *s, struct logic_value v, unsigned depth);

/* --- one evaluation (logic-eval.c) --- */
struct scope {
	struct logic_value data;
	const struct scope *up; /* NULL: the whole data */
	struct logic_value list; /* what is iterated */
	double index;
	bool in_try;   /* data is an error */
	bool borrowed; /* data's pairs live on the stack: to be copied before they leave */
};
struct ev {
	const struct logic_rule *rule; /* the rule or evaluator whose nodes are running */
	const struct node *nodes;
	const struct logic_env *env;
	const struct scope *scope;
	uint64_t steps;
	size_t bytes;
	int constants;      /* the last op that is a constant: LOGIC_OBJECT, or -1 when constants are traced too */
	unsigned depth;     /* kept only while tracing */
	bool tracing;
	int fatal;          /* a limit was met: try does not catch it */
	const char *why;    /* static text */
	const char *type;   /* of an operator's error, or NULL: `thrown` is the value */
	struct logic_value thrown;
	const struct node *at; /* where it happened */
	const struct logic_rule *at_rule;
};
static inline struct logic_value failed(void) { return (struct logic_value){ .kind = LOGIC_FAILED }; }
static inline bool is_failed(struct logic_value v) { return v.kind == LOGIC_FAILED; }
struct logic_value logic_eval_op(struct ev *e, const struct node *n);
static inline struct logic_value logic_eval_node(struct ev *e, const struct node *n)
{
	return n->op <= e->constants ? n->k : logic_eval_op(e, n);
}
static inline const struct logic_value *logic_path_step(const struct logic_value *from, const struct seg *s)
{
	if (from->kind == LOGIC_OBJECT)
		return logic_find(from, s->key, s->len, s->hash);
	return from->kind == LOGIC_ARRAY && s->index >= 0 && s->index < from->len ? &from->items[s->index] : NULL;
}
/* Where the value of a constant or of a variable of one step lies: most operands, read without a call. NULL: evaluate it. */
static inline const struct logic_value *logic_peek(const struct ev *e, const struct node *n)
{
	if (n->op <= e->constants)
		return &n->k;
	if (n->op != OP_VAR || n->n != 1 || e->tracing)
		return NULL;
	return logic_path_step(&e->scope->data, &e->rule->segs[n->first]);
}
struct logic_value logic_throw_type(struct ev *e, const struct node *n, const char *type, const char *why);
struct logic_value logic_fatal(struct ev *e, const struct node *n, int code, const char *why);
void *logic_take(struct ev *e, const struct node *n, size_t bytes); /* from the scratch arena; NULL: fatal */
static inline bool logic_charge(struct ev *e, uint64_t steps)
{
	if (e->steps < steps)
		return false;
	e->steps -= steps;
	return true;
}
struct logic_value logic_no_steps(struct ev *e, const struct node *n);

/* Arguments of an eager operator: nodes to evaluate, or values that a spread expression gave. */
struct args {
	const struct node *nodes;
	const struct logic_value *values;
	uint32_t n;
	struct logic_value one;
};
bool logic_args(struct ev *e, const struct node *n, struct args *ret);
static inline struct logic_value logic_arg(struct ev *e, const struct args *a, uint32_t i)
{
	return a->values ? a->values[i] : logic_eval_node(e, &a->nodes[i]);
}
struct logic_value logic_small_object(struct ev *e, const struct node *n, const char *const *keys, const struct logic_value *values,
									  uint32_t count);
struct logic_value logic_lookup_text(struct ev *e, const struct node *n, struct logic_value path, bool *ret_found);
bool logic_same(struct ev *e, struct logic_value a, struct logic_value b, unsigned depth); /* ===; may leave e->fatal */
struct logic_value logic_text_of(struct ev *e, const struct node *n, struct logic_value v); /* a STRING */

/* --- operators (logic-data.c, -compare.c, -math.c, -list.c, -text.c, -flagd.c, -semver.c) --- */
struct logic_value logic_op_var(struct ev *e, const struct node *n);
struct logic_value logic_op_val(struct ev *e, const struct node *n); /* and exists */
struct logic_value logic_op_injected(struct ev *e, const struct node *n);
struct logic_value logic_op_path_dynamic(struct ev *e, const struct node *n);
struct logic_value logic_op_compare(struct ev *e, const struct node *n);
struct logic_value logic_op_math(struct ev *e, const struct node *n);
struct logic_value logic_op_each(struct ev *e, const struct node *n); /* map, filter, all, some, none */
struct logic_value logic_op_reduce(struct ev *e, const struct node *n);
struct logic_value logic_op_merge(struct ev *e, const struct node *n);
struct logic_value logic_op_in(struct ev *e, const struct node *n);
struct logic_value logic_op_missing(struct ev *e, const struct node *n);
struct logic_value logic_op_missing_some(struct ev *e, const struct node *n);
struct logic_value logic_op_cat(struct ev *e, const struct node *n);
struct logic_value logic_op_substr(struct ev *e, const struct node *n);
struct logic_value logic_op_affix(struct ev *e, const struct node *n);
struct logic_value logic_op_fractional(struct ev *e, const struct node *n);
struct logic_value logic_op_sem_ver(struct ev *e, const struct node *n);
bool logic_semver_parse(struct logic_value v, char text[LOGIC_NUMBER_BYTES], struct semver *ret);
enum { SEMVER_EQ, SEMVER_NE, SEMVER_LT, SEMVER_LE, SEMVER_GT, SEMVER_GE, SEMVER_MAJOR, SEMVER_MINOR, SEMVER_NONE };
uint16_t logic_semver_operator(struct logic_value v);
bool logic_weight(struct logic_value v, double *ret); /* a whole number, negative ones as 0; false: none */
enum { LOGIC_WEIGHT_MAX = 2147483647 };


/* --- compiling (logic-compile.c, logic-path.c, logic-ref.c) --- */
struct evaluator {
	str name;
	const struct doc_node *doc;
	const struct logic_rule *rule; /* NULL: it cannot be used */
	const char *error;             /* why */
	const struct evaluator *cause; /* the one whose fault it is, when that is another */
	uint32_t *refs;                /* evaluators that it names */
	size_t n_refs, next_ref;
	uint8_t state;
};
const struct evaluator *logic_evaluator(const struct logic_evaluators *set, str name); /* NULL: no such */
str logic_ref_name(const struct doc_node *n); /* of {"$ref": "name"}; STR_NULL: it is no such thing */
MUST_CHECK int logic_compile_named(struct arena *a, const struct doc_node *rule, const struct logic_options *o, str evaluator,
								   struct logic_rule **ret, struct err *reterr);

struct comp { /* one compilation; the vectors are copied to the arena at its end */
	struct arena *a;
	const struct logic_options *o;
	struct node *nodes;
	struct place *places; /* as many as nodes */
	struct seg *segs;
	union table *tables;
	uint32_t n_nodes, cap_nodes, n_segs, cap_segs, n_tables, cap_tables;
	unsigned depth, deepest;
	struct err *err;
};
MUST_CHECK int logic_comp_error(struct comp *c, const struct doc_node *at, int code, const char *fmt, ...) PRINTF(4, 5);
MUST_CHECK int logic_comp_reserve(struct comp *c, const struct doc_node *at, uint32_t n, uint32_t *ret_first);
MUST_CHECK int logic_comp_node(struct comp *c, uint32_t slot, const struct doc_node *n);
MUST_CHECK int logic_comp_seg(struct comp *c, str key);
MUST_CHECK int logic_comp_table(struct comp *c, union table t, uint32_t *ret);
MUST_CHECK int logic_comp_children(struct comp *c, uint32_t slot, struct doc_node *const *items, size_t n);
MUST_CHECK int logic_comp_constant(struct comp *c, uint32_t slot, const struct doc_node *n); /* data, no rule */
void logic_comp_set(struct comp *c, uint32_t slot, struct logic_value v);
bool logic_comp_is_constant(const struct comp *c, uint32_t slot);
MUST_CHECK int logic_comp_var(struct comp *c, uint32_t slot, const struct doc_node *arg);
MUST_CHECK int logic_comp_val(struct comp *c, uint32_t slot, const struct doc_node *arg);
MUST_CHECK int logic_comp_fractional(struct comp *c, uint32_t slot, const struct doc_node *arg);
MUST_CHECK int logic_comp_sem_ver(struct comp *c, uint32_t slot, const struct doc_node *arg);
const struct doc_node *logic_comp_list(const struct comp *c, const struct doc_node *n); /* the list that a $ref stands for, or n */

#endif
