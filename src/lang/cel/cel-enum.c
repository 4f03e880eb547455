/* cel-enum.c - enums as values: plain ints, or "strong", with a type of their own (language definition, "Enumerations").
 *
 * The pool decides, for all who use it. A strong value of a declared number is made once with the pool, others in the caller's
 * arena. The type checker sees ints in both cases, as cel-go's does: what a strong enum is, type() and == say at run time. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

#include "lang/cel/cel-func.h"
#include "lang/cel/cel-value.h"

#include <inttypes.h>

struct cel_enum_constant {
	struct cel_opaque head; /* first: reached by a cast */
	const struct cel_enum *en;
	int32_t number;
};

static const struct cel_enum_constant *constant(const struct cel_opaque *o)
{
	return (const struct cel_enum_constant *)o;
}

static bool equal(const struct cel_opaque *a, const struct cel_opaque *b)
{
	return constant(a)->number == constant(b)->number;
}

static void print(const struct cel_opaque *o, struct buf *out)
{
	const struct cel_enum_constant *c = constant(o);
	str name = cel_enum_name(c->en, c->number);

	if (name.ptr)
		buf_addf(out, "%.*s.%.*s", STR_ARG(c->en->name), STR_ARG(name));
	else
		buf_addf(out, "%.*s(%" PRId32 ")", STR_ARG(c->en->name), c->number);
}

static struct cel_value strong(struct arena *a, const struct cel_enum *e, int32_t number)
{
	struct cel_enum_constant *c = ARENA_NEW(a, struct cel_enum_constant);

	if (!c)
		return cel_error_value(a, "out of memory");
	*c = (struct cel_enum_constant){ { &e->type, equal, print }, e, number };
	return (struct cel_value){ .kind = CEL_OPAQUE, .opaque = &c->head };
}

struct cel_value cel_enum_value_of(struct arena *a, const struct cel_enum *e, int32_t number)
{
	if (!e->strong)
		return cel_of_int(number);
	for (size_t i = 0; i < e->n; i++)
		if (e->values[i].number == number)
			return e->values[i].strong;
	return strong(a, e, number);
}

bool cel_enum_number(struct cel_value v, const struct cel_enum *e, int64_t *ret)
{
	if (v.kind == CEL_OPAQUE && v.opaque->equal == equal && (!e || constant(v.opaque)->en == e)) {
		*ret = constant(v.opaque)->number;
		return true;
	}
	*ret = v.i;
	return e && v.kind == CEL_INT;
}

struct cel_value cel_enum_of(struct arena *a, const struct cel_pool *p, str full_name, int32_t number)
{
	const struct cel_enum *e = cel_pool_enum_type(p, full_name);

	return e ? cel_enum_value_of(a, e, number) : cel_error_value(a, "no enum '%.*s'", STR_ARG(full_name));
}

bool cel_pool_enum_constant(const struct cel_pool *p, str full_name, struct cel_value *ret)
{
	size_t dot = full_name.len;
	const struct cel_enum_value *v;
	const struct cel_enum *e;

	while (dot && full_name.ptr[dot - 1] != '.')
		dot--;
	e = dot ? cel_pool_enum_type(p, str_n(full_name.ptr, dot - 1)) : NULL;
	v = e ? cel_enum_by_name(e, str_sub(full_name, dot, full_name.len)) : NULL;
	if (v)
		*ret = e->strong ? v->strong : cel_of_int(v->number);
	return v != NULL;
}

/* --- conversions --- */

static struct cel_value of_int(struct cel_call *c, const struct cel_value *args, size_t n)
{
	const struct cel_enum *e = c->ctx;

	(void)n;
	if (args[0].i < INT32_MIN || args[0].i > INT32_MAX)
		return cel_error_value(c->arena, "range error: an enum has 32 bits");
	return cel_enum_value_of(c->arena, e, (int32_t)args[0].i);
}

static struct cel_value of_string(struct cel_call *c, const struct cel_value *args, size_t n)
{
	const struct cel_enum *e = c->ctx;
	const struct cel_enum_value *v = cel_enum_by_name(e, str_n(args[0].s, args[0].len));

	(void)n;
	return v ? v->strong : cel_error_value(c->arena, "invalid value: no such name in enum %.*s", STR_ARG(e->name));
}

static struct cel_value to_int(struct cel_call *c, const struct cel_value *args, size_t n)
{
	int64_t number;

	(void)n;
	if (!cel_enum_number(args[0], NULL, &number))
		return cel_error_value(c->arena, "no such overload: int(%.*s)", STR_ARG(cel_type_of(args[0])->name));
	return cel_of_int(number);
}

/* --- the switch --- */

static bool make_strong(struct cel_pool *p, struct cel_enum *e)
{
	e->type = (struct cel_type){ .kind = CEL_T_ENUM, .name = e->name };
	for (size_t i = 0; i < e->n; i++)
		e->values[i].strong = strong(p->arena, e, e->values[i].number);
	e->strong = !e->null_only;
	return !p->arena->failed;
}

static void strong_default(struct cel_pool *p, struct cel_field *f)
{
	if (f->en && f->shape == CEL_SINGULAR && f->unset.kind == CEL_INT)
		f->unset = cel_enum_value_of(p->arena, f->en, (int32_t)f->unset.i);
}

static bool conversions(struct cel_pool *p, const struct cel_enum *e, struct cel_function *f)
{
	static const char *const from[] = { "int", "string" };

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		f[i].signature = arena_printf(p->arena, "%.*s(%s) -> int", STR_ARG(e->name), from[i]);
		f[i].overload = arena_printf(p->arena, "%s_to_%.*s", from[i], STR_ARG(e->name));
		f[i].fn = i ? of_string : of_int;
		f[i].ctx = (void *)(uintptr_t)e;
	}
	return !p->arena->failed;
}

int cel_pool_strong_enums(struct cel_pool *p, const struct cel_lib **ret, struct err *reterr)
{
	struct cel_lib *lib = ARENA_NEW(p->arena, struct cel_lib);
	struct cel_function *f = ARENA_ARRAY(p->arena, p->n_enums * 2 + 2, struct cel_function);
	size_t n = 0;

	for (size_t i = 0; f && i < p->n_enums; i++) {
		if (!make_strong(p, p->enums[i]))
			break;
		if (p->enums[i]->strong && !conversions(p, p->enums[i], &f[n]))
			break;
		n += p->enums[i]->strong ? 2 : 0;
	}
	for (size_t i = 0; i < p->n_types; i++)
		for (size_t j = 0; j < p->types[i]->n_fields; j++)
			strong_default(p, &p->types[i]->fields[j]);
	for (size_t i = 0; i < p->n_extensions; i++)
		strong_default(p, p->extensions[i]);
	if (p->arena->failed)
		return arena_check(p->arena, "enums", reterr);
	f[n] = (struct cel_function){ .signature = "int(enum) -> int", .overload = "enum_to_int64", .fn = to_int };
	*lib = (struct cel_lib){ .name = "enums", .functions = f };
	*ret = lib;
	return 0;
}
