/* cel_go.c - cases of cel-go's parser, checker and comprehension tests: {suite, expr, ast?, checked_ast?, checked_type?, error?,
 * container?, typeEnv?}.
 *
 * Cases per line, as far as it has them: /parse and /check (is it an error?), /ast and /checked-ast (the debug notation), /type,
 * and /text: the tree written as text parses to the same tree. The environment is one for all: optionals without their syntax, no
 * quoted names, depth 32, as the suite was made with. */
#include "base/base.h"
#include "cel_descriptors.h"
#include "conformance.h"

#include "base/fs.h"
#include "lang/cel/cel-func.h"
#include "lang/cel/cel-message.h"

enum { DEPTH = 32, TEXT_MAX = 1 << 20 };

/* --- message types: those of cel-spec under the names that cel-go has for them --- */

static bool replace_all(struct buf *text, const char *from, const char *to)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	const char *at = buf_z(text), *next;

	for (; (next = strstr(at, from)); at = next + strlen(from)) {
		buf_add(&out, at, (size_t)(next - at));
		buf_addz(&out, to);
	}
	buf_addz(&out, at);
	buf_fini(text);
	*text = out;
	return !out.failed;
}

static int copy_proto(const char *from_dir, const char *to_dir, const char *name, struct err *reterr)
{
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	char from[4096], to[4096], *slash;
	int r = fs_join(from, sizeof(from), reterr, from_dir, name);

	if (!r)
		r = fs_join(to, sizeof(to), reterr, to_dir, name);
	if (!r)
		r = fs_read(from, &text, reterr);
	if (r)
		return r;
	replace_all(&text, "cel.expr.conformance.proto2", "google.expr.proto2.test");
	replace_all(&text, "cel.expr.conformance.proto3", "google.expr.proto3.test");
	slash = strrchr(to, '/');
	*slash = '\0';
	r = fs_mkdirs(to, 0700, reterr);
	*slash = '/';
	return r ? r : fs_write_quick(to, buf_str(&text), 0600, reterr);
}

static int load_pool(struct arena *a, struct cel_pool **ret, struct err *reterr)
{
	static const char *const names[] = { "cel/expr/conformance/proto2/test_all_types.proto",
										 "cel/expr/conformance/proto2/test_all_types_extensions.proto",
										 "cel/expr/conformance/proto3/test_all_types.proto" };
	const char *data = getenv("WEIR_CONFORMANCE");
	char dir[256], from[4096];
	int r = fs_temp_dir("weir-cel-go-", dir, sizeof(dir), reterr);

	if (r)
		return r;
	r = fs_join(from, sizeof(from), reterr, data ? data : "", "cel/proto");
	for (size_t i = 0; !r && i < ARRAY_SIZE(names); i++)
		r = copy_proto(from, dir, names[i], reterr);
	if (!r)
		r = cel_descriptors_load(a, dir, ret, reterr);
	if (fs_remove_tree(dir, NULL) && !r)
		r = err_set(reterr, WEIR_EIO, "cannot remove %s", dir);
	return r;
}

/* Once per program. NULL: no types; cases that need them fail. */
static const struct cel_pool *shared_pool(void)
{
	static struct arena arena = ARENA_INIT(256 << 20); /* as long as the program */
	static struct cel_pool *pool;
	static bool tried;
	struct err err;

	if (!tried) {
		tried = true;
		if (load_pool(&arena, &pool, &err))
			printf("no message types: %s\n", err.msg);
	}
	return pool;
}

/* --- declarations --- */

/* A type of cel-go's JSON as the text of our declarations. */
static void type_text(const struct doc_node *n, struct buf *out)
{
	static const struct {
		const char *name, *type;
	} primitives[] = { { "BOOL", "bool" },     { "INT64", "int" },           { "UINT64", "uint" },
					   { "DOUBLE", "double" }, { "STRING", "string" },       { "BYTES", "bytes" },
					   { "ANY", "any" },       { "TIMESTAMP", "timestamp" }, { "DURATION", "duration" } };
	const struct doc_node *list = doc_get(n, "listType"), *map = doc_get(n, "mapType"), *abstract = doc_get(n, "abstractType");
	const char *wrapper = doc_get(n, "wrapper") ? "wrapper" : NULL;
	str word = doc_get_str(n, wrapper ? wrapper : doc_get(n, "primitive") ? "primitive" : "wellKnown");

	if (list) {
		buf_addz(out, "list(");
		type_text(doc_get(list, "elemType"), out);
		buf_addc(out, ')');
	} else if (map) {
		buf_addz(out, "map(");
		type_text(doc_get(map, "keyType"), out);
		buf_addz(out, ", ");
		type_text(doc_get(map, "valueType"), out);
		buf_addc(out, ')');
	} else if (abstract) {
		buf_add_str(out, doc_get_str(abstract, "name"));
		for (size_t i = 0; i < doc_len(doc_get(abstract, "parameterTypes")); i++) {
			buf_addz(out, i ? ", " : "(");
			type_text(doc_at(doc_get(abstract, "parameterTypes"), i), out);
		}
		buf_addc(out, ')');
	} else if (doc_get(n, "messageType")) {
		buf_add_str(out, doc_get_str(n, "messageType"));
	} else if (doc_get(n, "typeParam")) {
		buf_add_str(out, doc_get_str(n, "typeParam"));
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(primitives); i++)
			if (str_eqz(word, primitives[i].name))
				buf_addf(out, wrapper ? "wrapper(%s)" : "%s", primitives[i].type);
		if (!word.len)
			buf_addz(out, "dyn");
	}
}

static int add_overload(struct conf_case *c, struct cel_env *env, str name, const struct doc_node *o, struct err *reterr)
{
	struct buf sig CLEANUP_BUF = BUF_INIT(4096);
	struct cel_function *f = ARENA_NEW(c->arena, struct cel_function);
	const struct doc_node *params = doc_get(o, "params");
	bool member = doc_get_bool(o, "isInstanceFunction", false);
	size_t first = member;

	if (member) {
		type_text(doc_at(params, 0), &sig);
		buf_addc(&sig, '.');
	}
	buf_addf(&sig, "%.*s(", STR_ARG(name));
	for (size_t i = first; i < doc_len(params); i++) {
		buf_addz(&sig, i > first ? ", " : "");
		type_text(doc_at(params, i), &sig);
	}
	buf_addz(&sig, ") -> ");
	type_text(doc_get(o, "resultType"), &sig);
	f->signature = arena_dup(c->arena, buf_str(&sig));
	f->overload = arena_dup(c->arena, doc_get_str(o, "overloadId"));
	return cel_env_add_function(env, f, reterr);
}

static int add_var(struct conf_case *c, struct cel_env *env, const char *name, str type, struct err *reterr)
{
	const struct cel_type *t;
	int r = cel_type_parse(c->arena, env, type, &t, reterr);

	return r ? r : cel_env_add_var(env, name, t, reterr);
}

static int declare(struct conf_case *c, struct cel_env *env, const struct doc_node *d, struct err *reterr)
{
	struct buf type CLEANUP_BUF = BUF_INIT(4096);
	const struct doc_node *overloads = doc_path(d, "function.overloads");
	int r = 0;

	for (size_t i = 0; !r && i < doc_len(overloads); i++)
		r = add_overload(c, env, doc_get_str(d, "name"), doc_at(overloads, i), reterr);
	if (r || !doc_get(d, "ident"))
		return r;
	type_text(doc_path(d, "ident.type"), &type);
	return add_var(c, env, arena_dup(c->arena, doc_get_str(d, "name")), buf_str(&type), reterr);
}

/* What the checker tests have when they name nothing else. */
static int declare_default(struct conf_case *c, struct cel_env *env, struct err *reterr)
{
	static const char *const vars[][2] = { { "is", "string" }, { "ii", "int" },    { "iu", "uint" }, { "iz", "bool" },
										   { "ib", "bytes" },  { "id", "double" }, { "ix", "null" } };
	static const struct cel_function functions[] = { { "fg_s() -> string", "fg_s_0", NULL, CEL_COST_1, NULL },
													 { "string.fi_s_s() -> string", "fi_s_s_0", NULL, CEL_COST_1, NULL } };
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(vars); i++)
		r = add_var(c, env, vars[i][0], str_z(vars[i][1]), reterr);
	for (size_t i = 0; !r && i < ARRAY_SIZE(functions); i++)
		r = cel_env_add_function(env, &functions[i], reterr);
	return r;
}

static int make_env(struct conf_case *c, struct cel_env **ret, struct err *reterr)
{
	struct cel_limits limits = { .depth_max = DEPTH };
	const struct doc_node *decls = doc_get(c->json, "typeEnv");
	struct cel_env *env;
	int r = cel_env_new(c->arena, &limits, &env, reterr);

	if (r)
		return r;
	cel_env_set_pool(env, shared_pool());
	cel_env_set_container(env, doc_get_str(c->json, "container"));
	r = cel_env_add_lib(env, &cel_lib_optionals, reterr);
	cel_env_switch(env, CEL_F_OPTIONAL_SYNTAX, false);
	cel_env_switch(env, CEL_F_QUOTED_NAMES, false);
	cel_env_switch(env, CEL_F_MIXED_COMPARISONS, false);
	for (size_t i = 0; !r && i < doc_len(decls); i++)
		r = declare(c, env, doc_at(decls, i), reterr);
	if (!r && !decls && str_eqz(doc_get_str(c->json, "suite"), "checking"))
		r = declare_default(c, env, reterr);
	*ret = env;
	return r;
}

/* --- cases --- */

static void same_tree(struct conf_case *c, const char *sub, const char *key, const struct cel_ast *ast)
{
	struct buf out CLEANUP_BUF = BUF_INIT(TEXT_MAX);

	cel_ast_print(ast, !strcmp(sub, "checked-ast"), &out);
	conf_equal(c, sub, doc_get_str(c->json, key), buf_str(&out));
}

/* A tree as text must parse to the same tree. */
static void round_trip(struct conf_case *c, const struct cel_env *env, const struct cel_ast *ast)
{
	struct buf text CLEANUP_BUF = BUF_INIT(TEXT_MAX), one CLEANUP_BUF = BUF_INIT(TEXT_MAX), two CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct cel_ast *again;
	struct err err = { 0 };

	cel_unparse(ast, &text);
	if (cel_parse(c->arena, env, "text", buf_str(&text), &again, &err)) {
		conf_fail(c, "text", "a text that parses", "%s", err.msg);
		return;
	}
	cel_ast_print(ast, false, &one);
	cel_ast_print(again, false, &two);
	conf_equal(c, "text", buf_str(&one), buf_str(&two));
}

static void check(struct conf_case *c, const struct cel_env *env, struct cel_ast *ast, bool want_error)
{
	struct buf type CLEANUP_BUF = BUF_INIT(TEXT_MAX);
	struct err err = { 0 };
	int r = cel_check(c->arena, env, ast, &err);

	if (!r == !want_error)
		conf_pass(c, "check");
	else
		conf_fail(c, "check", want_error ? arena_dup(c->arena, doc_get_str(c->json, "error")) : "no problem", "%s",
				  r ? err.msg : "no problem");
	if (r)
		return;
	if (doc_get(c->json, "checked_type")) {
		cel_type_print(cel_ast_type(ast), &type);
		conf_equal(c, "type", doc_get_str(c->json, "checked_type"), buf_str(&type));
	}
	if (doc_get(c->json, "checked_ast"))
		same_tree(c, "checked-ast", "checked_ast", ast);
}

static void run(struct conf_case *c)
{
	bool want_tree = doc_get(c->json, "ast") != NULL, want_error = doc_get(c->json, "error") != NULL;
	struct cel_env *env;
	struct cel_ast *ast;
	struct err err = { 0 };
	int r = make_env(c, &env, &err);

	c->name = arena_printf(c->arena, "%.*s:%zu %.*s", STR_ARG(doc_get_str(c->json, "suite")), c->line,
						   STR_ARG(str_sub(doc_get_str(c->json, "expr"), 0, 60)));
	if (r) {
		conf_fail(c, "declarations", "an environment", "%s", err.msg);
		return;
	}
	r = cel_parse(c->arena, env, "expr", doc_get_str(c->json, "expr"), &ast, &err);
	if (!r == want_tree)
		conf_pass(c, "parse");
	else
		conf_fail(c, "parse", want_tree ? "a tree" : arena_dup(c->arena, doc_get_str(c->json, "error")), "%s",
				  r ? err.msg : "a tree");
	if (r || !want_tree)
		return;
	same_tree(c, "ast", "ast", ast);
	round_trip(c, env, ast);
	check(c, env, ast, want_error);
}

/* --- cel-spec: the trees of all its expressions --- */

/* Written without libraries' macros, as the suite's trees are; without those of the standard where the case says so. */
static void run_tree(struct conf_case *c)
{
	struct cel_env *env;
	struct cel_ast *ast;
	struct err err = { 0 };

	c->name = arena_printf(c->arena, "%.*s/%.*s/%s", STR_ARG(doc_get_str(c->json, "file")),
						   STR_ARG(doc_get_str(c->json, "section")), c->name);
	if (!doc_get(c->json, "ast")) {
		conf_skip(c, NULL, "the data has no tree");
		return;
	}
	if (cel_env_new(c->arena, NULL, &env, &err)) {
		conf_fail(c, NULL, "an environment", "%s", err.msg);
		return;
	}
	cel_env_set_macros(env, !doc_get_bool(c->json, "disable_macros", false));
	if (cel_parse(c->arena, env, "expr", doc_get_str(c->json, "expr"), &ast, &err)) {
		conf_fail(c, NULL, "a tree", "%s", err.msg);
		return;
	}
	same_tree(c, "ast", "ast", ast);
	round_trip(c, env, ast);
}

static const char *const files[] = { "cel/cel-go-incremental.jsonl", NULL };
static const char *const spec_files[] = { "cel/cel-spec.jsonl", NULL };
const struct conf_suite suite_cel_tree = { .name = "cel-tree", .files = spec_files, .run = run_tree };
const struct conf_suite suite_cel_go = { .name = "cel-go", .files = files, .name_key = "expr", .run = run };
