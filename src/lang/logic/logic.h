/* logic.h - JSONLogic: rules compiled once to a compact, immutable form and evaluated by any number of threads at once.
 *
 * Pure: no clock, no I/O, no globals. Evaluation allocates nothing for var, comparisons, logic, arithmetic, in, fractional,
 * sem_ver, starts_with and ends_with; what makes new values (map, filter, merge, cat, substr, missing) takes the caller's
 * scratch arena. Errors name the operator and its line:col in the rule's document and never quote values of the data.
 * Sources of truth: jsonlogic.com, json-logic/compat-tables and flagd's custom operations. README of src/lang says which
 * dialect differs where. */
#ifndef WEIR_LANG_LOGIC_H
#define WEIR_LANG_LOGIC_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

/* --- values --- */

enum logic_kind { LOGIC_NULL, LOGIC_BOOL, LOGIC_NUMBER, LOGIC_STRING, LOGIC_ARRAY, LOGIC_OBJECT };

struct logic_pair;
struct logic_value { /* 16 bytes, passed by value; borrows what it points to */
	uint8_t kind;    /* enum logic_kind */
	bool indexed;    /* OBJECT: made by logic_object() with an index behind its pairs */
	uint32_t len;    /* STRING: bytes of UTF-8; ARRAY: items; OBJECT: pairs */
	union {
		bool b;
		double n; /* integers are exact up to 2^53 */
		const char *s;
		const struct logic_value *items;
		const struct logic_pair *pairs; /* in insertion order */
	};
};
struct logic_pair {
	const char *key;
	uint32_t key_len;
	uint32_t hash; /* of the key; filled by logic_object() */
	struct logic_value value;
};

static inline struct logic_value logic_null(void) { return (struct logic_value){ .kind = LOGIC_NULL }; }
static inline struct logic_value logic_bool(bool b) { return (struct logic_value){ .kind = LOGIC_BOOL, .b = b }; }
static inline struct logic_value logic_number(double n) { return (struct logic_value){ .kind = LOGIC_NUMBER, .n = n }; }
static inline struct logic_value logic_string(str s) /* borrows; at most 4 GiB */
{
	return (struct logic_value){ .kind = LOGIC_STRING, .len = (uint32_t)s.len, .s = s.ptr ? s.ptr : "" };
}
static inline struct logic_value logic_array(const struct logic_value *items, size_t n) /* borrows */
{
	return (struct logic_value){ .kind = LOGIC_ARRAY, .len = (uint32_t)n, .items = items };
}
static inline str logic_text(struct logic_value v) /* of a STRING; STR_NULL for other kinds */
{
	return v.kind == LOGIC_STRING ? str_n(v.s, v.len) : STR_NULL;
}
/* An object of n pairs (key, key_len and value are read). The pairs are copied to `a`, keys and values borrowed. Of equal keys
 * the last value counts. Many keys get an index, which no choice of keys can make slow. -WEIR_ELIMIT: `a` is used up. */
MUST_CHECK int logic_object(struct arena *a, const struct logic_pair *pairs, size_t n, struct logic_value *ret, struct err *reterr);
/* The value of a document; texts are borrowed from the tree. */
MUST_CHECK int logic_from_doc(struct arena *a, const struct doc_node *n, struct logic_value *ret, struct err *reterr);
bool logic_get(struct logic_value object, str key, struct logic_value *ret); /* false: no object, or absent */
static inline bool logic_truthy(struct logic_value v) /* false are: null, false, 0, NaN, "", [] */
{
	if (v.kind == LOGIC_BOOL)
		return v.b;
	if (v.kind == LOGIC_NUMBER)
		return v.n < 0 || v.n > 0;
	return v.kind == LOGIC_OBJECT || (v.kind != LOGIC_NULL && v.len);
}
/* JSON text; NaN and the infinities are null. -WEIR_ELIMIT: deeper than LOGIC_VALUE_DEPTH_MAX, or out's max. */
MUST_CHECK int logic_to_json(struct logic_value v, struct buf *out, struct err *reterr);

/* --- rules --- */

enum logic_dialect {
	LOGIC_FLAGD,   /* flagd: CLASSIC and fractional, sem_ver, starts_with, ends_with, $ref, $flagd.*; mistakes do not compile */
	LOGIC_CLASSIC, /* jsonlogic.com: JavaScript's coercions, nothing fails but an unknown operator (does not compile) */
	LOGIC_COMPAT   /* compat-tables: val, exists, ??, try, throw, preserve; errors (NaN, Invalid Arguments) in place of coercions */
};
enum logic_fractional {
	LOGIC_FRACTIONAL_V2, /* flagd 0.15: the text, (hash * total) >> 32 */
	LOGIC_FRACTIONAL_V3, /* as v2 over the deterministic CBOR of any value but null */
	LOGIC_FRACTIONAL_V1  /* before: |hash| / 2^31 of 100 */
};

enum {
	LOGIC_DEPTH_MAX = 200,       /* operators within operators, through $ref too: evaluation recurses */
	LOGIC_NODES_MAX = 1 << 20,   /* of one compiled rule */
	LOGIC_VALUE_DEPTH_MAX = 200, /* of a value that is printed, compared or hashed */
	LOGIC_STEPS_DEFAULT = 1000000,
	LOGIC_BYTES_DEFAULT = 1 << 20
};

struct logic_evaluators; /* named rules that $ref takes in; immutable once made */
struct logic_options {
	enum logic_dialect dialect;
	enum logic_fractional fractional;
	const char *file;                          /* for messages: "file:line:col: what"; NULL: "line:col: what" */
	const struct logic_evaluators *evaluators; /* FLAGD; NULL: there are none */
};
/* Compiles flagd's "$evaluators" map (NULL: none); it lives in `a` and needs `map` to live as long. One that cannot be used
 * (unknown operator, unknown name, cycle) fails the rules that refer to it, not the others. -WEIR_ELIMIT: `a` is used up. */
MUST_CHECK int logic_evaluators_compile(struct arena *a, const struct doc_node *map, const struct logic_options *o,
										struct logic_evaluators **ret, struct err *reterr);
/* The i-th evaluator's error, NULL when it has none; *ret_name gets its name (STR_NULL: there is no i-th). */
const char *logic_evaluators_error(const struct logic_evaluators *e, size_t i, str *ret_name);

struct logic_rule; /* in the caller's arena, immutable, borrows nothing of the document */
/* Errors: -WEIR_EPARSE "line:col: what" (FLAGD, CLASSIC: an operator that is not known; FLAGD: a $ref that leads nowhere or round
 * in a circle, two keys where an operator stands), -WEIR_ELIMIT (LOGIC_DEPTH_MAX, LOGIC_NODES_MAX, the arena). A failed
 * compilation leaves what it took in the arena. */
MUST_CHECK int logic_compile(struct arena *a, const struct doc_node *rule, const struct logic_options *o, struct logic_rule **ret,
							 struct err *reterr);
/* The value of a rule that reads no data and cannot fail, folded when it was compiled; false: it must be evaluated. */
bool logic_rule_constant(const struct logic_rule *r, struct logic_value *ret);

/* --- evaluation --- */

struct logic_limits { /* 0: the default */
	uint64_t steps_max; /* nodes evaluated, items and 64-byte pieces of texts looked at */
	size_t bytes_max;   /* taken from the scratch arena */
	unsigned depth_max; /* of the compiled rule */
};
struct logic_step { /* one evaluated node, inner ones before outer ones */
	uint32_t line, col;         /* in the rule's document */
	unsigned depth;             /* of nesting, the rule itself is 0 */
	const char *op;             /* "if", "=="; "" for a constant */
	str evaluator;              /* the $ref'd evaluator whose document line:col means, or STR_NULL */
	bool failed;                /* no value: it threw */
	struct logic_value value;   /* valid during the call */
};
struct logic_thrown { /* why evaluation failed with -WEIR_EREFUSED */
	struct logic_value value;   /* the error, an object with "type" unless the rule threw another; lives as scratch does */
	uint32_t line, col;
	str op;
	str evaluator;
};
struct logic_env {
	struct logic_value data;
	str flag_key;             /* FLAGD: $flagd.flagKey */
	double timestamp;         /* FLAGD: $flagd.timestamp, seconds since 1970 */
	struct arena *scratch;    /* for values that are made; NULL: making one is an error */
	struct logic_limits limits;
	void (*trace)(void *ctx, const struct logic_step *s); /* NULL: none */
	void *trace_ctx;
	struct logic_thrown *thrown; /* NULL: not wanted */
	uint64_t *steps_left; /* in place of limits.steps_max, counted down: several rules share one limit. NULL: none is shared */
};
/* *ret borrows from the rule, the data and the scratch arena. Errors: -WEIR_EREFUSED (COMPAT: the rule threw or an operator could
 * not go on; "op at line:col: type: why"), -WEIR_ELIMIT (a limit), -WEIR_EINVAL (no scratch arena where one is needed). */
MUST_CHECK int logic_eval(const struct logic_rule *r, const struct logic_env *env, struct logic_value *ret, struct err *reterr);

#endif
