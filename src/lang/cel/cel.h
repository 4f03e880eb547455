/* cel.h - the Common Expression Language (cel-spec v0.25), pure: no clock, no I/O, no globals.
 *
 * text -> cel_parse -> cel_check (optional, static types) -> cel_compile -> cel_eval, any number of times and threads.
 * Everything made lives in the caller's arena: an environment, tree or program in the one it was made with, a result in the one
 * given to cel_eval (it may also borrow from the program and from the variables). The arena's max is the limit on memory;
 * struct cel_limits has the others.
 * Two kinds of failure: what is wrong with the text is a struct err ("file:line:col: what" with the line and a caret below; the
 * first problem, cel_check keeps the others too); what goes wrong in an evaluation is a value of kind CEL_ERROR, since errors are
 * part of the language (true || 1/0 > 0 is true). cel_eval itself fails only on limits. */
#ifndef WEIR_LANG_CEL_H
#define WEIR_LANG_CEL_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "doc/doc.h"

/* --- types ------------------------------------------------------------------------------------------------------------- */

enum cel_type_kind {
	CEL_T_DYN, CEL_T_NULL, CEL_T_BOOL, CEL_T_INT, CEL_T_UINT, CEL_T_DOUBLE, CEL_T_STRING, CEL_T_BYTES, CEL_T_TIMESTAMP,
	CEL_T_DURATION, CEL_T_LIST, CEL_T_MAP, CEL_T_TYPE, CEL_T_OPTIONAL, CEL_T_MESSAGE, CEL_T_ENUM, CEL_T_WRAPPER,
	CEL_T_ANY,    /* google.protobuf.Any: unpacked when read */
	CEL_T_OPAQUE, /* named types of extensions, net.IP */
	CEL_T_PARAM,  /* A, B: in declarations of functions and while checking */
	CEL_T_ERROR,  /* of an expression that could not be typed; silences what follows from it */
};
struct cel_type {
	enum cel_type_kind            kind;
	str                           name;     /* MESSAGE, ENUM: full name; OPAQUE, PARAM: name; others: as type() prints it */
	const struct cel_type *const *params;   /* LIST 1, MAP 2, TYPE 0..1, OPTIONAL 1, WRAPPER 1, OPAQUE n */
	size_t                        n_params;
};
extern const struct cel_type cel_dyn, cel_null_type, cel_bool, cel_int, cel_uint, cel_double, cel_string, cel_bytes, cel_timestamp,
	cel_duration, cel_type_type, cel_any, cel_list_dyn, cel_map_dyn;
const struct cel_type *cel_list_of(struct arena *a, const struct cel_type *item);
const struct cel_type *cel_map_of(struct arena *a, const struct cel_type *key, const struct cel_type *value);
const struct cel_type *cel_optional_of(struct arena *a, const struct cel_type *t);
/* "map(string, list(int))", "wrapper(int)", "optional_type(string)", "pkg.Message": the notation of declarations, of errors and
 * of checked types. Messages and enums need env (may be NULL: then they are unknown types). */
struct cel_env;
MUST_CHECK int cel_type_parse(struct arena *a, const struct cel_env *env, str text, const struct cel_type **ret, struct err *reterr);
void cel_type_print(const struct cel_type *t, struct buf *out);
bool cel_type_equal(const struct cel_type *a, const struct cel_type *b);

/* --- values ------------------------------------------------------------------------------------------------------------- */

enum cel_kind {
	CEL_NULL, CEL_BOOL, CEL_INT, CEL_UINT, CEL_DOUBLE, CEL_STRING, CEL_BYTES, CEL_TIMESTAMP, CEL_DURATION, CEL_LIST, CEL_MAP,
	CEL_TYPE, CEL_OPTIONAL, CEL_MESSAGE, CEL_OPAQUE,
	CEL_ERROR,   /* the evaluation went wrong */
	CEL_UNKNOWN, /* depends on something that the embedder declared unknown */
};
struct cel_list;
struct cel_map;
struct cel_message;
struct cel_opaque;
struct cel_error;
struct cel_unknown;
struct cel_value { /* 16 bytes, passed by value; what it points to is immutable */
	uint8_t  kind; /* enum cel_kind */
	uint8_t  flags;
	uint16_t spare;
	union {
		uint32_t len;   /* STRING, BYTES: bytes */
		int32_t  nanos; /* TIMESTAMP, DURATION: of the same sign as i or 0 for durations, 0..999999999 for timestamps */
	};
	union {
		bool                      b;
		int64_t                   i; /* INT; TIMESTAMP, DURATION: seconds. Enums are INT */
		uint64_t                  u;
		double                    d;
		const char               *s; /* STRING (UTF-8), BYTES; not NUL-terminated */
		const struct cel_list    *list;
		const struct cel_map     *map;
		const struct cel_type    *type;
		const struct cel_value   *opt; /* OPTIONAL; NULL: none */
		const struct cel_message *msg;
		const struct cel_opaque  *opaque;
		const struct cel_error   *error;
		const struct cel_unknown *unknown;
	};
};
struct cel_list {
	size_t                  n;
	const struct cel_value *items;
};
struct cel_error { /* of the first operation that went wrong */
	str      msg; /* "division by zero" */
	uint32_t line, col;
};
struct cel_unknown {
	const str *attributes; /* "x", "x.y[0]": sorted, each once */
	size_t     n;
};

static inline struct cel_value cel_of_null(void) { return (struct cel_value){ .kind = CEL_NULL }; }
static inline struct cel_value cel_of_bool(bool b) { return (struct cel_value){ .kind = CEL_BOOL, .b = b }; }
static inline struct cel_value cel_of_int(int64_t i) { return (struct cel_value){ .kind = CEL_INT, .i = i }; }
static inline struct cel_value cel_of_uint(uint64_t u) { return (struct cel_value){ .kind = CEL_UINT, .u = u }; }
static inline struct cel_value cel_of_double(double d) { return (struct cel_value){ .kind = CEL_DOUBLE, .d = d }; }
/* Borrows s, which must be valid UTF-8 of less than 4 GiB. */
static inline struct cel_value cel_of_str(str s) { return (struct cel_value){ .kind = CEL_STRING, .len = (uint32_t)s.len, .s = s.ptr }; }
static inline struct cel_value cel_of_bytes(str s) { return (struct cel_value){ .kind = CEL_BYTES, .len = (uint32_t)s.len, .s = s.ptr }; }
struct cel_value cel_of_list(struct arena *a, const struct cel_value *items, size_t n); /* copies the array, shares the values */
/* Later pairs of an equal key replace earlier ones. Keys: BOOL, INT, UINT, STRING, else a CEL_ERROR value. */
struct cel_value cel_of_map(struct arena *a, const struct cel_value *keys, const struct cel_value *values, size_t n);
/* JSON or YAML: maps with text keys, int or double numbers; borrows the tree's texts. */
struct cel_value cel_of_doc(struct arena *a, const struct doc_node *n);
struct cel_value cel_error_value(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
struct cel_value cel_unknown_value(struct arena *a, str attribute);

size_t cel_map_len(const struct cel_map *m);
void cel_map_at(const struct cel_map *m, size_t i, struct cel_value *ret_key, struct cel_value *ret_value);
const struct cel_value *cel_map_get(const struct cel_map *m, struct cel_value key); /* NULL: absent. 1, 1u and 1.0 are one key */
const struct cel_type *cel_type_of(struct cel_value v); /* as type() has it */
/* CEL's ==: numbers across kinds, lists and maps deeply, NaN unequal; other kinds are never equal, not an error. */
bool cel_equal(struct cel_value a, struct cel_value b);
/* A CEL literal that reads back as the same value: 1u, b"\x00", [1, {"a": true}], timestamp("...") */
void cel_print(struct cel_value v, struct buf *out);
/* The JSON mapping of protobuf (int and uint beyond 2^53 as text, bytes as base64). Errors: -WEIR_EINVAL for what has none. */
MUST_CHECK int cel_to_json(struct cel_value v, struct buf *out, struct err *reterr);

/* --- environment ------------------------------------------------------------------------------------------------------------- */

struct cel_function; /* cel-func.h */
struct cel_pool;     /* cel-message.h: message types by descriptor */

struct cel_lib { /* a set of functions and macros with one name: the standard one is always there */
	const char                *name;      /* "strings" */
	const struct cel_function *functions; /* ends with a NULL signature */
	const struct cel_macro    *macros;    /* ends with a NULL name; may be NULL */
	const char *const         *types;     /* opaque types it adds ("net.IP"), NULL-ended; may be NULL */
};
extern const struct cel_lib cel_lib_standard, cel_lib_strings, cel_lib_math, cel_lib_lists, cel_lib_encoders, cel_lib_sets,
	cel_lib_bindings, cel_lib_optionals, cel_lib_network, cel_lib_block, cel_lib_comprehensions /* two-variable macros */,
	cel_lib_protos /* getExt, hasExt */;

struct cel_limits { /* 0: the default in brackets. Each has a message that names the number */
	size_t   text_max;      /* bytes of text [100,000], at most 64 MiB */
	size_t   depth_max;     /* nesting [250], at most 1,000: passes recurse */
	size_t   nodes_max;     /* tree nodes after macro expansion [100,000], at most 10,000,000 */
	uint64_t cost_max;      /* of one evaluation, in units of cel-go's run-time cost [10,000,000] */
};

/* An environment is filled first, then shared read-only by any number of threads. Names may be qualified ("a.b.c"). */
MUST_CHECK int cel_env_new(struct arena *a, const struct cel_limits *limits, struct cel_env **ret, struct err *reterr);
MUST_CHECK int cel_env_add_lib(struct cel_env *e, const struct cel_lib *lib, struct err *reterr);
MUST_CHECK int cel_env_add_var(struct cel_env *e, const char *name, const struct cel_type *type, struct err *reterr);
/* A declaration without implementation (for checking) or an embedder's own function. */
MUST_CHECK int cel_env_add_function(struct cel_env *e, const struct cel_function *f, struct err *reterr);
void cel_env_set_container(struct cel_env *e, str container); /* names resolve in it first: "a.b" tries a.b.x, a.x, x */
void cel_env_set_pool(struct cel_env *e, const struct cel_pool *pool);
void cel_env_set_macros(struct cel_env *e, bool on); /* off: has(), all() ... are ordinary calls */
enum cel_feature { /* parts of the language that an embedder may switch off; all are on at first */
	CEL_F_MACROS = 1 << 0,
	CEL_F_OPTIONAL_SYNTAX = 1 << 1,   /* a.?b, a[?b], [?a], {?k: v} */
	CEL_F_QUOTED_NAMES = 1 << 2,      /* a.`b-c` */
	CEL_F_MIXED_COMPARISONS = 1 << 3, /* 1 < 2.0 with static types; off: a problem of cel_check */
};
void cel_env_switch(struct cel_env *e, enum cel_feature f, bool on);

/* --- parse, check, compile, evaluate ------------------------------------------------------------------------------------ */

struct cel_ast;
/* file: name for messages. Errors: -WEIR_EPARSE, -WEIR_ELIMIT. */
MUST_CHECK int cel_parse(struct arena *a, const struct cel_env *e, const char *file, str text, struct cel_ast **ret, struct err *reterr);
/* Resolves names and overloads and gives every node its type. Errors: -WEIR_EINVAL with the first problem "(and N more)"; all of
 * them (at most 100) are in cel_ast_problems(). */
MUST_CHECK int cel_check(struct arena *a, const struct cel_env *e, struct cel_ast *ast, struct err *reterr);
struct cel_problem {
	uint32_t    line, col;
	const char *msg;
};
const struct cel_problem *cel_ast_problems(const struct cel_ast *ast, size_t *ret_n);
/* "FILE:LINE:COL: what", the line and a caret below it, as a person wants to read it. */
void cel_problem_print(const struct cel_ast *ast, const struct cel_problem *p, struct buf *out);
const struct cel_type *cel_ast_type(const struct cel_ast *ast); /* of the result; dyn when unchecked */
/* CEL text that parses to the same tree. */
void cel_unparse(const struct cel_ast *ast, struct buf *out);
/* The tree in cel-go's debug notation: with "~type^overload" when `checked`, with "^#kind#" otherwise. */
void cel_ast_print(const struct cel_ast *ast, bool checked, struct buf *out);

/* Static bounds on what cel_eval will cost, from the sizes that `size_of` knows (an attribute such as "findings" or
 * "findings.@items.name": largest number of items or bytes; UINT64_MAX: not known). NULL: nothing is known. Functions are taken by the
 * rule of their table: what an embedder's own adds to cel_call.cost is not in it. */
struct cel_cost {
	uint64_t min, max; /* UINT64_MAX: unbounded */
};
MUST_CHECK int cel_cost_estimate(const struct cel_ast *ast, uint64_t (*size_of)(void *ctx, str attribute), void *ctx, struct cel_cost *ret,
								 struct err *reterr);

struct cel_program;
/* Works on checked and on unchecked trees (the latter resolve at run time). */
MUST_CHECK int cel_compile(struct arena *a, const struct cel_env *e, const struct cel_ast *ast, struct cel_program **ret, struct err *reterr);

/* Named time zones ("Europe/Oslo") for getHours(zone) and its kin: seconds east of UTC at a time. Without it only "UTC" and
 * offsets ("+01:00") are known. base/zone.h reads a system's zone files. *z must outlive the program. */
struct cel_zones {
	bool (*offset)(void *ctx, str name, int64_t utc_seconds, int32_t *ret_offset); /* false: no such zone */
	void *ctx;
};
void cel_program_set_zones(struct cel_program *p, const struct cel_zones *z);

struct cel_vars { /* the variables of one evaluation, by name */
	const str              *names;
	const struct cel_value *values;
	size_t                  n;
	/* asked for names that are not in the list; false: there is no such variable. May be NULL. */
	bool (*find)(void *ctx, str name, struct cel_value *ret);
	void *ctx;
};
/* For programs evaluated often: where the program keeps variable `name` (its index in `slots` below), or -1: not used. */
int cel_program_slot(const struct cel_program *p, str name);
size_t cel_program_slots(const struct cel_program *p);
/* Errors: -WEIR_ELIMIT (cost, memory). Everything else is in the value. ret_cost may be NULL. */
MUST_CHECK int cel_eval(struct arena *a, const struct cel_program *p, const struct cel_vars *vars, struct cel_value *ret, uint64_t *ret_cost,
						struct err *reterr);
/* The same with the variables already at their slots (kind CEL_ERROR for an absent one): nothing is looked up by name. */
MUST_CHECK int cel_eval_slots(struct arena *a, const struct cel_program *p, const struct cel_value *slots, struct cel_value *ret,
							  uint64_t *ret_cost, struct err *reterr);

#endif
