/* cel-env.c - what an expression may refer to: variables, functions, macros, types; and how names resolve in a container.
 *
 * Signatures are read once, when they are added. Filled by one thread, then read by any number; all memory is in the arena it was
 * made with. */
#include "base/base.h"
#include "lang/cel/cel-internal.h"
#include "lang/cel/cel-message.h"

enum { NAME_MAX_BYTES = 1024, PARAMS_MAX = 16 };
/* What an embedder may raise the limits to: passes recurse once per level, ids have 32 bits. */
enum { TEXT_MOST = 64 << 20, DEPTH_MOST = 1000, NODES_MOST = 10000000 };

/* --- names: a hash table in the arena --- */

struct name {
	str key; /* ptr NULL: free */
	void *value;
};
struct names {
	struct name *slots;
	size_t n, n_slots; /* a power of two */
};

static size_t hash_of(str s)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 1099511628211u;
	return (size_t)(h ^ (h >> 32));
}

static struct name *slot_of(const struct names *t, str key)
{
	size_t i = hash_of(key) & (t->n_slots - 1);

	while (t->slots[i].key.ptr && !str_eq(t->slots[i].key, key))
		i = (i + 1) & (t->n_slots - 1);
	return &t->slots[i];
}

static void *names_get(const struct names *t, str key)
{
	return t->n_slots ? slot_of(t, key)->value : NULL;
}

static bool names_grow(struct arena *a, struct names *t)
{
	struct names bigger = { .n = t->n, .n_slots = t->n_slots ? t->n_slots * 2 : 64 };

	bigger.slots = ARENA_ARRAY(a, bigger.n_slots, struct name);
	if (!bigger.slots)
		return false;
	for (size_t i = 0; i < t->n_slots; i++)
		if (t->slots[i].key.ptr)
			*slot_of(&bigger, t->slots[i].key) = t->slots[i];
	*t = bigger;
	return true;
}

/* key must outlive the table. */
static bool names_put(struct arena *a, struct names *t, str key, void *value)
{
	struct name *s;

	if (2 * (t->n + 1) > t->n_slots && !names_grow(a, t))
		return false;
	s = slot_of(t, key);
	t->n += !s->key.ptr;
	*s = (struct name){ key, value };
	return true;
}

/* --- the environment --- */

struct macros { /* of one name */
	const struct cel_macro *macro;
	const struct macros *next;
};
struct cel_env {
	struct arena *arena;
	struct cel_limits limits;
	str container;
	const struct cel_pool *pool;
	unsigned off; /* enum cel_feature */
	struct names vars, functions, macros, types;
};

int cel_env_new(struct arena *a, const struct cel_limits *limits, struct cel_env **ret, struct err *reterr)
{
	struct cel_env *e = ARENA_NEW(a, struct cel_env);
	struct cel_limits l = limits ? *limits : (struct cel_limits){ 0 };

	if (!e)
		return arena_check(a, "an environment", reterr);
	if (l.text_max > TEXT_MOST || l.depth_max > DEPTH_MOST || l.nodes_max > NODES_MOST)
		return err_set(reterr, WEIR_EINVAL, "limits of expressions: text_max is at most %d, depth_max %d, nodes_max %d",
					   TEXT_MOST, DEPTH_MOST, NODES_MOST);
	l.text_max = l.text_max ? l.text_max : CEL_TEXT_MAX;
	l.depth_max = l.depth_max ? l.depth_max : CEL_DEPTH_MAX;
	l.nodes_max = l.nodes_max ? l.nodes_max : CEL_NODES_MAX;
	l.cost_max = l.cost_max ? l.cost_max : CEL_COST_MAX;
	e->arena = a;
	e->limits = l;
	*ret = e;
	return cel_env_add_lib(e, &cel_lib_standard, reterr);
}

static int copy_name(struct cel_env *e, const char *z, const char *what, str *ret, struct err *reterr)
{
	if (!z || !*z)
		return err_set(reterr, WEIR_EINVAL, "a %s needs a name", what);
	if (strlen(z) > NAME_MAX_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "the name of a %s is longer than %d bytes: %.40s...", what, NAME_MAX_BYTES, z);
	*ret = arena_str(e->arena, str_z(z));
	return ret->ptr ? 0 : arena_check(e->arena, "an environment", reterr);
}

int cel_env_add_var(struct cel_env *e, const char *name, const struct cel_type *type, struct err *reterr)
{
	struct cel_var *v = ARENA_NEW(e->arena, struct cel_var);
	str key;
	int r = copy_name(e, name, "variable", &key, reterr);

	if (r)
		return r;
	if (names_get(&e->vars, key))
		return err_set(reterr, WEIR_EEXIST, "variable '%s' is declared twice", name);
	if (!v || !names_put(e->arena, &e->vars, key, v))
		return arena_check(e->arena, "an environment", reterr);
	*v = (struct cel_var){ key, type };
	return 0;
}

/* --- signatures --- */

struct signature { /* "receiver.name(params) -> result" in parts */
	str receiver, name, params, result;
};

/* Index of the '(' that the ')' at `close` belongs to, or text.len. */
static size_t opening(str text, size_t close)
{
	size_t depth = 0;

	for (size_t i = close + 1; i-- > 0;) {
		depth += text.ptr[i] == ')';
		if (text.ptr[i] == '(' && --depth == 0)
			return i;
	}
	return text.len;
}

static size_t last_dot(str s)
{
	for (size_t i = s.len; i-- > 0;)
		if (s.ptr[i] == '.')
			return i;
	return s.len;
}

/* Index behind the last "->", or 0. */
static size_t behind_arrow(str text)
{
	for (size_t i = text.len; i >= 2; i--)
		if (text.ptr[i - 2] == '-' && text.ptr[i - 1] == '>')
			return i;
	return 0;
}

/* "math.greatest" is a name, "string.size" a method, pkg.Message.Enum a conversion: what stands before the dot is a type or not.
 */
static bool is_method(const struct cel_env *e, str head, str before)
{
	bool param = before.len == 1 && before.ptr[0] >= 'A' && before.ptr[0] <= 'Z';

	if (e->pool && cel_pool_enum(e->pool, head))
		return false;
	return before.ptr[before.len - 1] == ')' || param || cel_env_type(e, before);
}

static bool split(const struct cel_env *e, str text, struct signature *ret)
{
	size_t arrow = behind_arrow(text), open, dot;
	str head;

	if (!arrow)
		return false;
	ret->result = str_trim(str_sub(text, arrow, text.len));
	text = str_trim(str_sub(text, 0, arrow - 2));
	if (!text.len || text.ptr[text.len - 1] != ')')
		return false;
	open = opening(text, text.len - 1);
	if (open == text.len)
		return false;
	ret->params = str_trim(str_sub(text, open + 1, text.len - open - 2));
	head = str_sub(text, 0, open);
	dot = last_dot(head);
	ret->receiver = STR_NULL;
	ret->name = head;
	if (dot > 0 && dot < head.len && is_method(e, head, str_sub(head, 0, dot))) {
		ret->receiver = str_sub(head, 0, dot);
		ret->name = str_sub(head, dot + 1, head.len);
	}
	return ret->name.len > 0;
}

/* Cuts the first of "a, map(b, c), d". */
static str next_param(str *rest)
{
	size_t depth = 0, i = 0;
	str one;

	for (; i < rest->len && (rest->ptr[i] != ',' || depth); i++)
		depth += (size_t)(rest->ptr[i] == '(') - (size_t)(rest->ptr[i] == ')');
	one = str_trim(str_sub(*rest, 0, i));
	*rest = str_sub(*rest, i + 1, rest->len);
	return one;
}

static int read_params(struct cel_env *e, const struct signature *s, struct cel_overload *o, struct err *reterr)
{
	const struct cel_type *params[PARAMS_MAX];
	const struct cel_type **copy;
	str rest = s->params;
	size_t n = 0;
	int r = 0;

	if (s->receiver.len) {
		o->member = true;
		r = cel_type_parse(e->arena, e, s->receiver, &params[n++], reterr);
	}
	while (!r && rest.len) {
		if (n == PARAMS_MAX)
			return err_set(reterr, WEIR_ELIMIT, "more than %d parameters", PARAMS_MAX);
		r = cel_type_parse(e->arena, e, next_param(&rest), &params[n++], reterr);
	}
	if (r)
		return r;
	copy = ARENA_ARRAY(e->arena, n, const struct cel_type *);
	if (!copy)
		return arena_check(e->arena, "an environment", reterr);
	for (size_t i = 0; i < n; i++)
		copy[i] = params[i];
	o->params = copy;
	o->n_params = n;
	return cel_type_parse(e->arena, e, s->result, &o->result, reterr);
}

static int append_overload(struct cel_env *e, str name, struct cel_overload *o, struct err *reterr)
{
	struct cel_overload *last = names_get(&e->functions, name);

	if (!last) {
		str key = arena_str(e->arena, name);

		if (!key.ptr || !names_put(e->arena, &e->functions, key, o))
			return arena_check(e->arena, "an environment", reterr);
		return 0;
	}
	for (;; last = (struct cel_overload *)(uintptr_t)last->next) {
		if (!strcmp(last->decl->overload, o->decl->overload))
			return err_set(reterr, WEIR_EEXIST, "overload '%s' is declared twice", o->decl->overload);
		if (!last->next)
			break;
	}
	last->next = o;
	return 0;
}

int cel_env_add_function(struct cel_env *e, const struct cel_function *f, struct err *reterr)
{
	struct cel_overload *o = ARENA_NEW(e->arena, struct cel_overload);
	struct signature s;
	int r;

	if (!o)
		return arena_check(e->arena, "an environment", reterr);
	if (!f->signature || !f->overload || strlen(f->signature) > 4 * NAME_MAX_BYTES)
		return err_set(reterr, WEIR_EINVAL, "a function needs a signature and the id of its overload");
	if (!split(e, str_z(f->signature), &s))
		return err_set(reterr, WEIR_EINVAL, "signature '%s': expected 'name(types) -> type' or 'type.name(types) -> type'",
					   f->signature);
	o->decl = f;
	r = read_params(e, &s, o, reterr);
	if (r)
		return err_wrap(reterr, "signature '%s'", f->signature);
	return append_overload(e, s.name, o, reterr);
}

/* --- libraries --- */

static int add_macro(struct cel_env *e, const struct cel_macro *m, struct err *reterr)
{
	struct macros *link = ARENA_NEW(e->arena, struct macros);
	str key = str_z(m->name);

	if (!link)
		return arena_check(e->arena, "an environment", reterr);
	*link = (struct macros){ m, names_get(&e->macros, key) };
	return names_put(e->arena, &e->macros, key, link) ? 0 : arena_check(e->arena, "an environment", reterr);
}

static int add_type(struct cel_env *e, const char *name, struct err *reterr)
{
	const struct cel_type *t = cel_type_make(e->arena, CEL_T_OPAQUE, str_z(name), NULL, 0);

	if (!t || !names_put(e->arena, &e->types, t->name, (void *)(uintptr_t)t))
		return arena_check(e->arena, "an environment", reterr);
	return 0;
}

int cel_env_add_lib(struct cel_env *e, const struct cel_lib *lib, struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; !r && lib->types && lib->types[i]; i++)
		r = add_type(e, lib->types[i], reterr);
	for (size_t i = 0; !r && lib->macros && lib->macros[i].name; i++)
		r = add_macro(e, &lib->macros[i], reterr);
	for (size_t i = 0; !r && lib->functions && lib->functions[i].signature; i++)
		r = cel_env_add_function(e, &lib->functions[i], reterr);
	return r ? err_wrap(reterr, "library %s", lib->name) : 0;
}

void cel_env_set_container(struct cel_env *e, str container)
{
	e->container = arena_str(e->arena, container);
}

void cel_env_set_pool(struct cel_env *e, const struct cel_pool *pool)
{
	e->pool = pool;
}

void cel_env_switch(struct cel_env *e, enum cel_feature f, bool on)
{
	e->off = on ? e->off & ~(unsigned)f : e->off | (unsigned)f;
}

void cel_env_set_macros(struct cel_env *e, bool on)
{
	cel_env_switch(e, CEL_F_MACROS, on);
}

/* --- reading --- */

bool cel_env_on(const struct cel_env *e, enum cel_feature f)
{
	return !(e->off & (unsigned)f);
}

const struct cel_limits *cel_env_limits(const struct cel_env *e)
{
	return &e->limits;
}

const struct cel_pool *cel_env_pool(const struct cel_env *e)
{
	return e->pool;
}

str cel_env_container(const struct cel_env *e)
{
	return e->container;
}

const struct cel_overload *cel_env_overloads(const struct cel_env *e, str name)
{
	return names_get(&e->functions, name);
}

const struct cel_var *cel_env_var(const struct cel_env *e, str name)
{
	return names_get(&e->vars, name);
}

const struct cel_macro *cel_env_macro(const struct cel_env *e, str name, bool member, size_t n_args)
{
	if (!cel_env_on(e, CEL_F_MACROS))
		return NULL;
	for (const struct macros *m = names_get(&e->macros, name); m; m = m->next)
		if (m->macro->member == member && (m->macro->n_args < 0 || (size_t)m->macro->n_args == n_args))
			return m->macro;
	return NULL;
}

bool cel_env_candidate(struct arena *a, const struct cel_env *e, str name, size_t i, str *ret)
{
	str c = e->container;
	size_t cut = c.len;

	if (name.len && name.ptr[0] == '.') {
		*ret = str_sub(name, 1, name.len);
		return i == 0;
	}
	while (c.len && i > 0) { /* drops the last part of the container i times */
		cut = last_dot(c);
		c = str_sub(c, 0, cut < c.len ? cut : 0);
		i--;
	}
	if (i > 0)
		return false;
	if (!c.len) {
		*ret = name;
		return true;
	}
	ret->ptr = arena_printf(a, "%.*s.%.*s", STR_ARG(c), STR_ARG(name));
	ret->len = c.len + 1 + name.len;
	return ret->ptr != NULL;
}

const struct cel_type *cel_env_type(const struct cel_env *e, str name)
{
	const struct cel_type *t = cel_type_named(name);
	const struct cel_message_type *m;

	if (!t)
		t = names_get(&e->types, name);
	if (t || !e->pool)
		return t;
	m = cel_pool_message(e->pool, name);
	if (m)
		return cel_message_type_type(m);
	return cel_pool_enum(e->pool, name) ? &cel_int : NULL;
}

/* Names of types as declarations and errors have them that are no names in expressions. */
static bool notation_only(str name)
{
	static const char *const words[] = { "dyn", "null", "any", "timestamp", "duration", "enum" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (str_eqz(name, words[i]))
			return true;
	return false;
}

bool cel_env_constant(struct arena *a, const struct cel_env *e, str name, struct cel_value *ret, const struct cel_type **ret_type)
{
	const struct cel_type *t = notation_only(name) || (e->pool && cel_pool_enum(e->pool, name)) ? NULL : cel_env_type(e, name);
	const struct cel_type *dyn = &cel_dyn;

	if (str_eqz(name, "optional_type"))
		t = cel_type_make(a, CEL_T_OPTIONAL, STR("optional_type"), &dyn, 1);
	if (t) {
		*ret = (struct cel_value){ .kind = CEL_TYPE, .type = t };
		*ret_type = cel_type_of_type(a, t);
		return *ret_type != NULL;
	}
	if (!e->pool || !cel_pool_enum_constant(e->pool, name, ret))
		return false;
	*ret_type = &cel_int;
	return true;
}

/* --- what was meant --- */

static void nearest_in(const struct names *t, str name, size_t *best, str *ret)
{
	for (size_t i = 0; i < t->n_slots; i++) {
		size_t d;

		/* "_+_" and "@in" are no names that a person writes. */
		if (!t->slots[i].key.ptr || strchr("_@!-", t->slots[i].key.ptr[0]))
			continue;
		d = str_distance(t->slots[i].key, name, *best);
		if (d < *best || (d == *best && ret->ptr && str_cmp(t->slots[i].key, *ret) < 0)) {
			*best = d;
			*ret = t->slots[i].key;
		}
	}
}

str cel_env_nearest(const struct cel_env *e, str name, bool function)
{
	size_t best = 1 + (name.len > 8 ? 3 : (name.len + 1) / 3);
	str found = STR_NULL;

	if (name.len && name.len <= 64) {
		nearest_in(function ? &e->functions : &e->vars, name, &best, &found);
		if (function)
			nearest_in(&e->macros, name, &best, &found);
	}
	return found;
}
