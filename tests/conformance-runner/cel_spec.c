/* cel_spec.c - the simple tests of cel-spec: {expr, container?, type_env?, bindings?, disable_macros?, disable_check?, check_only?, and
 * value | eval_error | any_eval_errors | unknown | any_unknowns, deduced_type?, checked_type?}. Each case is parsed, checked
 * (unless it says not to), compiled and evaluated; values must have the same type, static types must be the same when the case
 * has them. Messages come from the .proto files beside the data. */
#include "base/base.h"
#include "conformance.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/zone.h"
#include "cel_descriptors.h"
#include "lang/cel/cel-func.h"
#include "lang/cel/cel-message.h"
#include "lang/cel/cel.h"

#include <limits.h>
#include <math.h>

static struct arena     pool_arena = ARENA_INIT(256 << 20); /* of the process: what follows is made once */
static struct cel_pool *int_pool, *strong_pool; /* enums are ints; or have types of their own */
static const struct cel_lib *strong_enums;    /* of strong_pool */
static char             pool_missing[512];
static struct cel_zones zones;

static bool no_pool(struct conf_case *c, const char *why)
{
	snprintf(pool_missing, sizeof(pool_missing), "%s", why);
	(void)c;
	return false;
}

/* The folder "proto" beside the data, or that of the suite. */
static bool proto_dir(struct conf_case *c, char *path, size_t size)
{
	const char *slash = strrchr(c->file, '/'), *dir = getenv("WEIR_CONFORMANCE");
	int         n = snprintf(path, size, "%.*s/proto", slash ? (int)(slash - c->file) : 1, slash ? c->file : ".");

	if (n > 0 && (size_t)n < size && fs_is_dir(path))
		return true;
	return dir && !fs_join(path, size, NULL, dir, "cel/proto") && fs_is_dir(path);
}

static bool need_pool(struct conf_case *c)
{
	char       path[PATH_MAX];
	struct err err = { 0 };

	if (strong_enums || pool_missing[0])
		return strong_enums;
	if (!proto_dir(c, path, sizeof(path)))
		return no_pool(c, "no message definitions: neither a folder proto beside the data nor $WEIR_CONFORMANCE/cel/proto");
	if (cel_descriptors_load(&pool_arena, path, &int_pool, &err) || cel_descriptors_load(&pool_arena, path, &strong_pool, &err) ||
		cel_pool_strong_enums(strong_pool, &strong_enums, &err))
		return no_pool(c, err.msg);
	return true;
}

/* The sections strong_* are for languages where enums are types, the others for those where they are ints: a switch of ours. */
static bool is_strong(struct conf_case *c)
{
	return str_has_prefix(doc_get_str(c->json, "section"), STR("strong_"));
}

static struct cel_pool *pool_of(struct conf_case *c)
{
	return is_strong(c) ? strong_pool : int_pool;
}

static const struct cel_zones *need_zones(void)
{
	struct zones *z;

	if (!zones.ctx && !zones_open("/usr/share/zoneinfo", &z, NULL))
		zones = (struct cel_zones){ zones_offset, z };
	return zones.ctx ? &zones : NULL;
}

/* --- values --- */

static struct cel_value value_of(struct conf_case *c, const struct doc_node *n);

static struct cel_value double_of(const struct doc_node *n)
{
	if (n->kind != DOC_STR)
		return cel_of_double(n->kind == DOC_INT ? (double)n->i : n->d);
	if (str_eqz(n->s, "NaN"))
		return cel_of_double(NAN);
	if (str_eqz(n->s, "-0.0"))
		return cel_of_double(-0.0);
	return cel_of_double(n->s.ptr[0] == '-' ? -INFINITY : INFINITY);
}

static struct cel_value list_of(struct conf_case *c, const struct doc_node *n)
{
	size_t            count = doc_len(n);
	struct cel_value *items = ARENA_ARRAY(c->arena, count + 1, struct cel_value);

	for (size_t i = 0; i < count; i++)
		items[i] = value_of(c, n->seq.items[i]);
	return cel_of_list(c->arena, items, count);
}

static struct cel_value map_of(struct conf_case *c, const struct doc_node *n)
{
	size_t            count = doc_len(n);
	struct cel_value *keys = ARENA_ARRAY(c->arena, count + 1, struct cel_value);
	struct cel_value *values = ARENA_ARRAY(c->arena, count + 1, struct cel_value);

	for (size_t i = 0; i < count; i++) {
		keys[i] = value_of(c, doc_at(n->seq.items[i], 0));
		values[i] = value_of(c, doc_at(n->seq.items[i], 1));
	}
	return cel_of_map(c->arena, keys, values, count);
}

static struct cel_value message_of(struct conf_case *c, const struct doc_node *n)
{
	const struct cel_message_type *t = need_pool(c) ? cel_pool_message(pool_of(c), doc_get_str(n, "type")) : NULL;
	struct cel_value               v;
	struct err                     err = { 0 };

	if (!t)
		return cel_error_value(c->arena, "no message type %.*s", STR_ARG(doc_get_str(n, "type")));
	if (cel_message_from_doc(c->arena, pool_of(c), t, doc_get(n, "json"), &v, &err))
		return cel_error_value(c->arena, "%s", err.msg);
	return v;
}

static struct cel_value time_of(const struct doc_node *n, enum cel_kind kind)
{
	return (struct cel_value){ .kind = (uint8_t)kind, .i = doc_get_int(n, "seconds", 0), .nanos = (int32_t)doc_get_int(n, "nanos", 0) };
}

static struct cel_value bytes_of(struct conf_case *c, const struct doc_node *n)
{
	struct buf b = BUF_INIT(1 << 20);
	str        s = base64_parse(doc_get_str(n, "b64"), &b) ? arena_str(c->arena, buf_str(&b)) : STR_NULL;

	buf_fini(&b);
	return cel_of_bytes(s);
}

static struct cel_value type_of(struct conf_case *c, str name)
{
	struct cel_type *t = ARENA_NEW(c->arena, struct cel_type);

	t->name = name;
	return (struct cel_value){ .kind = CEL_TYPE, .type = t };
}

static struct cel_value value_of(struct conf_case *c, const struct doc_node *n)
{
	const struct doc_node *v = doc_get(n, "v");
	const char            *t = arena_dup(c->arena, doc_get_str(n, "t"));
	int64_t                i = 0;
	uint64_t               u = 0;

	if (!strcmp(t, "null"))
		return cel_of_null();
	if (!strcmp(t, "bool"))
		return cel_of_bool(v->b);
	if (!strcmp(t, "int"))
		return str_to_i64(v->s, &i) ? cel_of_int(i) : cel_of_null();
	if (!strcmp(t, "enum") && need_pool(c))
		return cel_enum_of(c->arena, pool_of(c), doc_get_str(n, "type"), (int32_t)doc_get_int(n, "v", 0));
	if (!strcmp(t, "uint"))
		return str_to_u64(v->s, &u) ? cel_of_uint(u) : cel_of_null();
	if (!strcmp(t, "double"))
		return double_of(v);
	if (!strcmp(t, "string"))
		return cel_of_str(v->s);
	if (!strcmp(t, "bytes"))
		return bytes_of(c, n);
	if (!strcmp(t, "list"))
		return list_of(c, v);
	if (!strcmp(t, "map"))
		return map_of(c, doc_get(n, "entries"));
	if (!strcmp(t, "type"))
		return type_of(c, v->s);
	if (!strcmp(t, "timestamp") || !strcmp(t, "duration"))
		return time_of(n, t[0] == 't' ? CEL_TIMESTAMP : CEL_DURATION);
	return message_of(c, n);
}

static bool same(struct cel_value a, struct cel_value b);

static bool same_maps(const struct cel_map *a, const struct cel_map *b)
{
	struct cel_value k, v;
	bool             found;

	if (cel_map_len(a) != cel_map_len(b))
		return false;
	for (size_t i = 0; i < cel_map_len(a); i++) {
		struct cel_value k2, v2;

		cel_map_at(a, i, &k, &v);
		found = false;
		for (size_t j = 0; j < cel_map_len(b) && !found; j++) {
			cel_map_at(b, j, &k2, &v2);
			found = same(k, k2) && same(v, v2);
		}
		if (!found)
			return false;
	}
	return true;
}

/* Equal and of the same kinds all through; NaN is NaN, -0.0 is not 0.0. */
static bool same(struct cel_value a, struct cel_value b)
{
	if (a.kind != b.kind)
		return false;
	if (a.kind == CEL_DOUBLE)
		return isnan(a.d) ? isnan(b.d) : a.d == b.d && signbit(a.d) == signbit(b.d);
	if (a.kind == CEL_TYPE)
		return str_eq(a.type->name, b.type->name);
	if (a.kind == CEL_MAP)
		return same_maps(a.map, b.map);
	if (a.kind == CEL_LIST) {
		for (size_t i = 0; a.list->n == b.list->n && i < a.list->n; i++)
			if (!same(a.list->items[i], b.list->items[i]))
				return false;
		return a.list->n == b.list->n;
	}
	return cel_equal(a, b);
}

/* --- environment --- */

static int declare_function(struct conf_case *c, struct cel_env *e, const char *name, const struct doc_node *o, struct err *reterr)
{
	const struct doc_node *params = doc_get(o, "params");
	struct cel_function   *f = ARENA_NEW(c->arena, struct cel_function);
	struct buf             b CLEANUP_BUF = BUF_INIT(4096);
	size_t                 from = doc_get_bool(o, "instance", false);

	if (from)
		buf_addf(&b, "%.*s.", STR_ARG(doc_at(params, 0)->s));
	buf_addf(&b, "%s(", name);
	for (size_t i = from; i < doc_len(params); i++)
		buf_addf(&b, "%s%.*s", i > from ? ", " : "", STR_ARG(doc_at(params, i)->s));
	buf_addf(&b, ") -> %.*s", STR_ARG(doc_get_str(o, "result")));
	f->signature = arena_dup(c->arena, buf_str(&b));
	f->overload = arena_dup(c->arena, doc_get_str(o, "id"));
	return cel_env_add_function(e, f, reterr);
}

static int declare(struct conf_case *c, struct cel_env *e, const struct doc_node *d, struct err *reterr)
{
	const char            *name = arena_dup(c->arena, doc_get_str(d, "name"));
	const struct doc_node *overloads = doc_get(d, "overloads");
	const struct cel_type *t;
	int                    r = 0;

	for (size_t i = 0; i < doc_len(overloads) && !r; i++)
		r = declare_function(c, e, name, doc_at(overloads, i), reterr);
	if (overloads || r)
		return r;
	r = cel_type_parse(c->arena, e, doc_get_str(d, "type"), &t, reterr);
	return r ? r : cel_env_add_var(e, name, t, reterr);
}

static int make_env(struct conf_case *c, struct cel_env **ret, struct err *reterr)
{
	static const struct cel_lib *const libs[] = { &cel_lib_strings, &cel_lib_math, &cel_lib_lists, &cel_lib_encoders, &cel_lib_sets,
												  &cel_lib_bindings, &cel_lib_optionals, &cel_lib_network, &cel_lib_block,
												  &cel_lib_comprehensions, &cel_lib_protos };
	const struct doc_node *env = doc_get(c->json, "type_env");
	int                    r = cel_env_new(c->arena, NULL, ret, reterr);

	for (size_t i = 0; i < ARRAY_SIZE(libs) && !r; i++)
		r = cel_env_add_lib(*ret, libs[i], reterr);
	if (r)
		return r;
	cel_env_set_container(*ret, doc_get_str(c->json, "container"));
	cel_env_set_macros(*ret, !doc_get_bool(c->json, "disable_macros", false));
	if (strong_enums) {
		cel_env_set_pool(*ret, pool_of(c));
		if (is_strong(c))
			r = cel_env_add_lib(*ret, strong_enums, reterr);
	}
	for (size_t i = 0; i < doc_len(env) && !r; i++)
		r = declare(c, *ret, doc_at(env, i), reterr);
	return r;
}

static void bind(struct conf_case *c, struct cel_vars *vars)
{
	const struct doc_node *b = doc_get(c->json, "bindings");
	str                   *names = ARENA_ARRAY(c->arena, doc_len(b) + 1, str);
	struct cel_value      *values = ARENA_ARRAY(c->arena, doc_len(b) + 1, struct cel_value);

	for (size_t i = 0; i < doc_len(b); i++) {
		const struct doc_node *v = b->map.pairs[i].value;

		names[i] = b->map.pairs[i].key;
		values[i] = doc_get(v, "value")	 ? value_of(c, doc_get(v, "value"))
					: doc_get(v, "error") ? cel_error_value(c->arena, "bound to an error")
										  : cel_unknown_value(c->arena, names[i]);
	}
	*vars = (struct cel_vars){ names, values, doc_len(b), NULL, NULL };
}

/* --- outcome --- */

static const char *shown(struct conf_case *c, struct cel_value v)
{
	struct buf  b CLEANUP_BUF = BUF_INIT(1 << 20);
	const char *text;

	buf_addf(&b, "%.*s ", STR_ARG(cel_type_of(v)->name));
	cel_print(v, &b);
	if (v.kind == CEL_ERROR)
		buf_addf(&b, " at %u:%u", v.error->line, v.error->col);
	text = arena_dup(c->arena, buf_str(&b));
	return text ? text : "(too long to show)";
}

static bool wants_error(const struct doc_node *n)
{
	return doc_get(n, "eval_error") || doc_get(n, "any_eval_errors");
}

static const char *wanted(struct conf_case *c, struct cel_value *ret)
{
	const struct doc_node *v = doc_get(c->json, "value");

	*ret = v ? value_of(c, v) : cel_of_bool(true);
	if (wants_error(c->json))
		return "an error";
	if (doc_get(c->json, "unknown") || doc_get(c->json, "any_unknowns"))
		return "an unknown";
	return shown(c, *ret);
}

static void judge(struct conf_case *c, struct cel_value seen)
{
	struct cel_value want;
	const char      *text = wanted(c, &want);
	bool             ok = !strcmp(text, "an error")	   ? seen.kind == CEL_ERROR && seen.error->line
						  : !strcmp(text, "an unknown") ? seen.kind == CEL_UNKNOWN
														: same(want, seen);

	if (ok)
		conf_pass(c, NULL);
	else
		conf_fail(c, NULL, text, "%s", shown(c, seen));
}

/* The static type against the two texts that a case may have. */
static bool type_is(struct conf_case *c, const struct cel_env *e, const struct cel_ast *ast, const char *key)
{
	struct buf             seen CLEANUP_BUF = BUF_INIT(4096);
	str                    want = doc_get_str(c->json, key);
	const struct cel_type *t = NULL;

	if (!want.ptr)
		return true;
	cel_type_print(cel_ast_type(ast), &seen);
	if (str_eq(want, buf_str(&seen)) || (!cel_type_parse(c->arena, e, want, &t, NULL) && cel_type_equal(t, cel_ast_type(ast))))
		return true;
	conf_fail(c, NULL, arena_dup(c->arena, want), "%s: type %s", key, buf_z(&seen));
	return false;
}

static void evaluate(struct conf_case *c, const struct cel_env *e, const struct cel_ast *ast)
{
	struct cel_program *p;
	struct cel_vars     vars;
	struct cel_value    v;
	struct cel_cost     bounds = { 0, UINT64_MAX };
	struct err          err = { 0 };
	uint64_t            cost = 0;

	bind(c, &vars);
	if (cel_compile(c->arena, e, ast, &p, &err)) {
		conf_fail(c, NULL, "a program", "%s", err.msg);
		return;
	}
	cel_program_set_zones(p, need_zones());
	if (cel_eval(c->arena, p, &vars, &v, &cost, &err))
		conf_fail(c, NULL, "an evaluation", "%s", err.msg);
	else if (!doc_get_bool(c->json, "disable_check", false) && !cel_cost_estimate(ast, NULL, NULL, &bounds, NULL) &&
			 (cost > bounds.max || cost < bounds.min))
		conf_fail(c, NULL, "a cost within the estimate", "%llu, estimated %llu to %llu", (unsigned long long)cost, (unsigned long long)bounds.min,
				  (unsigned long long)bounds.max);
	else
		judge(c, v);
}

static void run(struct conf_case *c)
{
	bool            check = !doc_get_bool(c->json, "disable_check", false);
	struct cel_env *e;
	struct cel_ast *ast;
	struct err      err = { 0 };
	int             r;

	c->name = arena_printf(c->arena, "%.*s/%.*s/%.*s", STR_ARG(doc_get_str(c->json, "file")), STR_ARG(doc_get_str(c->json, "section")),
						   STR_ARG(doc_get_str(c->json, "name")));
	if (doc_get_bool(c->json, "needs_proto", false) && !need_pool(c)) {
		conf_skip(c, NULL, "%s", pool_missing);
		return;
	}
	r = make_env(c, &e, &err);
	if (!r)
		r = cel_parse(c->arena, e, "expr", doc_get_str(c->json, "expr"), &ast, &err);
	if (!r && check)
		r = cel_check(c->arena, e, ast, &err);
	if (r) {
		if (wants_error(c->json))
			conf_pass(c, NULL);
		else
			conf_fail(c, NULL, "an accepted expression", "%.*s: %s", STR_ARG(doc_get_str(c->json, "expr")), err.msg);
	} else if (!check || (type_is(c, e, ast, "checked_type") && type_is(c, e, ast, "deduced_type"))) {
		if (doc_get_bool(c->json, "check_only", false))
			conf_pass(c, NULL);
		else
			evaluate(c, e, ast);
	}
}

static const char *const files[] = { "cel/cel-spec.jsonl", NULL };
const struct conf_suite suite_cel_spec = { .name = "cel-spec", .files = files, .run = run };
