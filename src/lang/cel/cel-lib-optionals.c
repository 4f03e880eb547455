/* cel-lib-optionals.c - optional values, and the small libraries that are mostly macros: bindings, block, two-variable
 * comprehensions, protos, encoders.
 *
 * or, orValue, indexes and selections of optionals are the machine's own (cel-vm-access.c). Pure: any thread. */
#include "base/base.h"
#include "base/hash.h"
#include "lang/cel/cel-lib.h"

#include "lang/cel/cel-message.h"

/* --- optionals --- */

FN(none)
{
	return (struct cel_value){ .kind = CEL_OPTIONAL };
}

FN(some)
{
	struct cel_value *box = ARENA_NEW(c->arena, struct cel_value);

	if (!box)
		return cel_error_value(c->arena, "out of memory");
	*box = args[0];
	return (struct cel_value){ .kind = CEL_OPTIONAL, .opt = box };
}

static bool message_is_zero(const struct cel_message *m)
{
	struct buf b = BUF_INIT(64);
	bool zero = !cel_message_serialize(m, &b, NULL) && !b.len && !b.failed;

	buf_fini(&b);
	return zero;
}

static bool is_zero(struct cel_value v)
{
	switch (v.kind) {
	case CEL_NULL: return true;
	case CEL_BOOL: return !v.b;
	case CEL_INT:
	case CEL_UINT: return !v.u;
	case CEL_DOUBLE: return v.d == 0;
	case CEL_STRING:
	case CEL_BYTES: return !v.len;
	case CEL_TIMESTAMP:
	case CEL_DURATION: return !v.i && !v.nanos;
	case CEL_LIST: return !v.list->n;
	case CEL_MAP: return !v.map->n;
	case CEL_OPTIONAL: return !v.opt;
	case CEL_MESSAGE: return message_is_zero(v.msg);
	default: return false;
	}
}

FN(of_non_zero)
{
	return is_zero(args[0]) ? none(c, NULL, 0) : some(c, args, 1);
}
FN(has_value)
{
	return cel_of_bool(args[0].opt);
}
FN(value)
{
	return args[0].opt ? *args[0].opt : cel_error_value(c->arena, "optional.none() has no value");
}

FN(unwrap)
{
	const struct cel_list *l = args[0].list;
	struct cel_value *items = ARENA_ARRAY(c->arena, l->n + 1, struct cel_value);
	size_t count = 0;

	if (!items)
		return cel_error_value(c->arena, "out of memory");
	for (size_t i = 0; i < l->n; i++) {
		if (l->items[i].kind != CEL_OPTIONAL)
			return cel_error_value(c->arena, "unwrap: item %zu is no optional but %s", i, cel_kind_name(l->items[i]));
		if (l->items[i].opt)
			items[count++] = *l->items[i].opt;
	}
	return cel_list_adopt(c->arena, items, count);
}

FN(first)
{
	return args[0].list->n ? some(c, args[0].list->items, 1) : none(c, NULL, 0);
}
FN(last)
{
	return args[0].list->n ? some(c, args[0].list->items + args[0].list->n - 1, 1) : none(c, NULL, 0);
}

/* --- maps of two-variable comprehensions, where no loop of the machine makes them directly --- */

FN(insert)
{
	const struct cel_map *m = args[0].map, *more = n == 2 ? args[1].map : NULL;
	size_t count = m->n + (more ? more->n : 1);
	struct cel_value *keys = ARENA_ARRAY(c->arena, count, struct cel_value);
	struct cel_value *values = ARENA_ARRAY(c->arena, count, struct cel_value), over;

	if (!cel_spend(c, count, &over))
		return over;
	if (count && (!keys || !values))
		return cel_error_value(c->arena, "out of memory");
	for (size_t i = 0; i < m->n; i++)
		cel_map_at(m, i, &keys[i], &values[i]);
	for (size_t i = 0; more && i < more->n; i++)
		cel_map_at(more, i, &keys[m->n + i], &values[m->n + i]);
	if (!more) {
		keys[m->n] = args[1];
		values[m->n] = args[2];
	}
	return cel_map_adopt(c->arena, keys, values, count, true);
}

/* --- base64 --- */

FN(encode)
{
	struct buf b = BUF_INIT(CEL_TEXT_OUT_MAX);

	buf_add_base64(&b, cel_str(args[0]));
	return cel_take_text(c->arena, &b, CEL_STRING);
}

FN(decode)
{
	struct buf b = BUF_INIT(CEL_TEXT_OUT_MAX);

	if (!base64_parse(cel_str(args[0]), &b)) {
		buf_fini(&b);
		return cel_error_value(c->arena, "base64.decode: not base64 (RFC 4648)");
	}
	return cel_take_text(c->arena, &b, CEL_BYTES);
}

/* clang-format off */
static const struct cel_function optional_functions[] = {
	FUNCTION("optional.of(A) -> optional_type(A)", "optional_of", some, CEL_COST_1),
	FUNCTION("optional.ofNonZeroValue(A) -> optional_type(A)", "optional_ofNonZeroValue", of_non_zero, CEL_COST_1),
	FUNCTION("optional.none() -> optional_type(A)", "optional_none", none, CEL_COST_1),
	FUNCTION("optional_type(A).value() -> A", "optional_value", value, CEL_COST_1),
	FUNCTION("optional_type(A).hasValue() -> bool", "optional_hasValue", has_value, CEL_COST_1),
	FUNCTION("optional_type(A).or(optional_type(A)) -> optional_type(A)", "optional_or_optional", NULL, CEL_COST_1),
	FUNCTION("optional_type(A).orValue(A) -> A", "optional_orValue_value", NULL, CEL_COST_1),
	FUNCTION("_?._(dyn, string) -> optional_type(A)", "select_optional_field", NULL, CEL_COST_1),
	FUNCTION("_[?_](list(A), int) -> optional_type(A)", "list_optindex_optional_int", NULL, CEL_COST_1),
	FUNCTION("_[?_](optional_type(list(A)), int) -> optional_type(A)", "optional_list_optindex_optional_int", NULL, CEL_COST_1),
	FUNCTION("_[?_](map(A, B), A) -> optional_type(B)", "map_optindex_optional_value", NULL, CEL_COST_1),
	FUNCTION("_[?_](optional_type(map(A, B)), A) -> optional_type(B)", "optional_map_optindex_optional_value", NULL, CEL_COST_1),
	FUNCTION("_[_](optional_type(list(A)), int) -> optional_type(A)", "optional_list_index_int", NULL, CEL_COST_1),
	FUNCTION("_[_](optional_type(map(A, B)), A) -> optional_type(B)", "optional_map_index_value", NULL, CEL_COST_1),
	FUNCTION("optional.unwrap(list(optional_type(A))) -> list(A)", "optional_unwrap", unwrap, CEL_COST_ITEMS),
	FUNCTION("list(optional_type(A)).unwrapOpt() -> list(A)", "optional_unwrapOpt", unwrap, CEL_COST_ITEMS),
	FUNCTION("list(A).first() -> optional_type(A)", "list_first", first, CEL_COST_1),
	FUNCTION("list(A).last() -> optional_type(A)", "list_last", last, CEL_COST_1),
	FUNCTION_END,
};
static const struct cel_function block_functions[] = {
	FUNCTION("cel.@block(list(dyn), A) -> A", "cel_block_list", NULL, CEL_COST_1),
	FUNCTION_END,
};
static const struct cel_function comprehension_functions[] = {
	FUNCTION("cel.@mapInsert(map(A, B), A, B) -> map(A, B)", "@mapInsert_map_key_value", insert, CEL_COST_1),
	FUNCTION("cel.@mapInsert(map(A, B), map(A, B)) -> map(A, B)", "@mapInsert_map_map", insert, CEL_COST_1),
	FUNCTION_END,
};
static const struct cel_function encoder_functions[] = {
	FUNCTION("base64.decode(string) -> bytes", "base64_decode_string", decode, CEL_COST_SCAN),
	FUNCTION("base64.encode(bytes) -> string", "base64_encode_bytes", encode, CEL_COST_SCAN),
	FUNCTION_END,
};
static const struct cel_function no_functions[] = { FUNCTION_END };
/* clang-format on */

const struct cel_lib cel_lib_optionals = { "optionals", optional_functions, cel_macros_optionals, NULL };
const struct cel_lib cel_lib_block = { "block", block_functions, cel_macros_block, NULL };
const struct cel_lib cel_lib_comprehensions = { "comprehensions", comprehension_functions, cel_macros_comprehensions, NULL };
const struct cel_lib cel_lib_encoders = { "encoders", encoder_functions, NULL, NULL };
const struct cel_lib cel_lib_bindings = { "bindings", no_functions, cel_macros_bindings, NULL };
const struct cel_lib cel_lib_protos = { "protos", no_functions, cel_macros_protos, NULL };
