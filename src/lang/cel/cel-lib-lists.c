/* cel-lib-lists.c - the lists extension, sets, and the ends of lists: slice, flatten, sort, distinct, range, reverse.
 *
 * Pure. Sorting is stable and bounded by the evaluation's work; comparing every item with every other counts as such. */
#include "base/base.h"
#include "lang/cel/cel-lib.h"

enum { RANGE_MAX = 1000000, FLATTEN_DEPTH_MAX = 100 };

static struct cel_value no_memory(struct cel_call *c)
{
	return cel_error_value(c->arena, "out of memory");
}

FN(slice)
{
	const struct cel_list *l = args[0].list;
	int64_t from = args[1].i, to = args[2].i;

	if (from < 0 || to < 0 || from > to || (uint64_t)to > l->n)
		return cel_error_value(c->arena, "cannot slice(%lld, %lld): the list has %zu items", (long long)from, (long long)to,
							   l->n);
	return cel_list_adopt(c->arena, l->items + from, (size_t)(to - from));
}

/* --- flatten --- */

static size_t count_flat(struct cel_call *c, const struct cel_list *l, int64_t depth)
{
	size_t n = 0;
	struct cel_value over;

	if (!cel_spend(c, l->n / 8 + 1, &over))
		return 0;
	for (size_t i = 0; i < l->n; i++)
		n += l->items[i].kind == CEL_LIST && depth > 0 ? count_flat(c, l->items[i].list, depth - 1) : 1;
	return n;
}

static size_t put_flat(const struct cel_list *l, int64_t depth, struct cel_value *out)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].kind == CEL_LIST && depth > 0)
			n += put_flat(l->items[i].list, depth - 1, out + n);
		else
			out[n++] = l->items[i];
	return n;
}

FN(flatten)
{
	int64_t depth = n > 1 ? args[1].i : 1;
	size_t count;
	struct cel_value *items;

	if (depth < 0)
		return cel_error_value(c->arena, "flatten: the depth must not be negative");
	if (depth > FLATTEN_DEPTH_MAX)
		depth = FLATTEN_DEPTH_MAX;
	count = count_flat(c, args[0].list, depth);
	if (!c->work)
		return cel_error_value(c->arena, "evaluation takes too much work");
	items = count ? ARENA_ARRAY(c->arena, count, struct cel_value) : NULL;
	if (count && !items)
		return no_memory(c);
	return cel_list_adopt(c->arena, items, put_flat(args[0].list, depth, items));
}

/* --- order --- */

struct pair {
	struct cel_value key, item;
};

static void merge(struct pair *v, struct pair *spare, size_t half, size_t n)
{
	size_t i = 0, j = half, k = 0;

	while (i < half && j < n)
		spare[k++] = cel_compare(v[j].key, v[i].key) == -1 ? v[j++] : v[i++];
	while (i < half)
		spare[k++] = v[i++];
	while (j < n)
		spare[k++] = v[j++];
	memcpy(v, spare, n * sizeof(*v));
}

static void merge_sort(struct pair *v, struct pair *spare, size_t n) /* depth: log2 n */
{
	if (n < 2)
		return;
	merge_sort(v, spare, n / 2);
	merge_sort(v + n / 2, spare, n - n / 2);
	merge(v, spare, n / 2, n);
}

static struct cel_value sorted(struct cel_call *c, const struct cel_list *l, const struct cel_list *keys)
{
	size_t n = l->n;
	struct pair *v = ARENA_ARRAY(c->arena, n * 2 + 1, struct pair);
	struct cel_value *items = ARENA_ARRAY(c->arena, n + 1, struct cel_value), over;

	if (!v || !items)
		return no_memory(c);
	if (keys->n != n)
		return cel_error_value(c->arena, "sort: %zu keys for %zu items", keys->n, n);
	if (!cel_spend(c, n * 20, &over))
		return over;
	for (size_t i = 0; i < n; i++) {
		if (cel_compare(keys->items[0], keys->items[i]) == 3)
			return cel_error_value(c->arena, "sort: items of type %s and %s have no order", cel_kind_name(keys->items[0]),
								   cel_kind_name(keys->items[i]));
		v[i] = (struct pair){ keys->items[i], l->items[i] };
	}
	merge_sort(v, v + n, n);
	for (size_t i = 0; i < n; i++)
		items[i] = v[i].item;
	return cel_list_adopt(c->arena, items, n);
}

FN(sort)
{
	return sorted(c, args[0].list, args[0].list);
}
FN(sort_by_keys)
{
	return sorted(c, args[0].list, args[1].list);
}

FN(distinct)
{
	const struct cel_list *l = args[0].list;
	struct cel_value *items = ARENA_ARRAY(c->arena, l->n + 1, struct cel_value);
	size_t count = 0, k;

	if (!items)
		return no_memory(c);
	for (size_t i = 0; i < l->n; i++) {
		for (k = 0; k < count && !cel_equal_work(items[k], l->items[i], &c->work); k++)
			if (!c->work)
				return cel_error_value(c->arena, "evaluation takes too much work");
		if (k == count)
			items[count++] = l->items[i];
	}
	return cel_list_adopt(c->arena, items, count);
}

FN(range)
{
	int64_t count = args[0].i;
	struct cel_value *items;

	if (count > RANGE_MAX)
		return cel_error_value(c->arena, "lists.range: %lld is more than %d", (long long)count, RANGE_MAX);
	if (count <= 0)
		return cel_list_adopt(c->arena, NULL, 0);
	c->cost += (uint64_t)count / 10;
	items = ARENA_ARRAY(c->arena, (size_t)count, struct cel_value);
	if (!items)
		return no_memory(c);
	for (int64_t i = 0; i < count; i++)
		items[i] = cel_of_int(i);
	return cel_list_adopt(c->arena, items, (size_t)count);
}

FN(reverse)
{
	const struct cel_list *l = args[0].list;
	struct cel_value *items = ARENA_ARRAY(c->arena, l->n + 1, struct cel_value);

	if (!items)
		return no_memory(c);
	for (size_t i = 0; i < l->n; i++)
		items[i] = l->items[l->n - 1 - i];
	return cel_list_adopt(c->arena, items, l->n);
}

/* --- sets: lists without order and repetition --- */

static bool has(struct cel_call *c, const struct cel_list *l, struct cel_value x)
{
	for (size_t i = 0; i < l->n && c->work; i++)
		if (cel_equal_work(l->items[i], x, &c->work))
			return true;
	return false;
}

static bool has_all(struct cel_call *c, const struct cel_list *l, const struct cel_list *xs)
{
	for (size_t i = 0; i < xs->n; i++)
		if (!has(c, l, xs->items[i]))
			return false;
	return true;
}

static bool has_any(struct cel_call *c, const struct cel_list *l, const struct cel_list *xs)
{
	for (size_t i = 0; i < xs->n; i++)
		if (has(c, l, xs->items[i]))
			return true;
	return false;
}

FN(sets_contains)
{
	return cel_of_bool(has_all(c, args[0].list, args[1].list));
}
FN(sets_equivalent)
{
	return cel_of_bool(has_all(c, args[0].list, args[1].list) && has_all(c, args[1].list, args[0].list));
}
FN(sets_intersects)
{
	return cel_of_bool(has_any(c, args[0].list, args[1].list));
}

/* --- sortBy(v, key): the items, ordered by what `key` is for each --- */

static int expand_sort_by(struct cel_expander *x, struct cel_expr *target, struct cel_expr **args, size_t n,
						  struct cel_expr **ret, struct err *reterr)
{
	static const char input[] = "@__sortBy_input__";
	struct cel_fold f = { .kind = CEL_FOLD_MAP, .accu = STR(CEL_ACCU) }, bind = { .kind = CEL_FOLD_BIND, .var = STR("#unused") };

	(void)n;
	if (args[0]->kind != CEL_X_IDENT || args[0]->ident.name.ptr[0] == '.')
		return cel_x_error(x, args[0], reterr, "a simple name is expected here: the variable that the macro declares");
	f.var = args[0]->ident.name;
	f.range = cel_x_ident(x, STR("@__sortBy_input__"));
	f.init = cel_x_list(x, 0);
	f.condition = cel_x_const(x, cel_of_bool(true));
	f.step = cel_x_call(x, "_+_", 2, cel_x_ident(x, STR(CEL_ACCU)), cel_x_list(x, 1, args[1]));
	f.result = cel_x_ident(x, STR(CEL_ACCU));
	bind.accu = str_z(input);
	bind.range = cel_x_list(x, 0);
	bind.init = target;
	bind.condition = cel_x_const(x, cel_of_bool(false));
	bind.step = cel_x_ident(x, str_z(input));
	bind.result = cel_x_member(x, cel_x_ident(x, str_z(input)), "@sortByAssociatedKeys", 1, cel_x_fold(x, &f));
	*ret = cel_x_fold(x, &bind);
	return 0;
}

/* clang-format off */
#define SORT(type, id)                                                                                                         \
	FUNCTION("list(" type ").sort() -> list(" type ")", "list_" id "_sort", sort, CEL_COST_ITEMS),                             \
	FUNCTION("list(A).@sortByAssociatedKeys(list(" type ")) -> list(A)", "list_" id "_sortByAssociatedKeys", sort_by_keys, CEL_COST_ITEMS)

static const struct cel_function functions[] = {
	FUNCTION("list(A).slice(int, int) -> list(A)", "list_slice", slice, CEL_COST_SCAN),
	FUNCTION("list(list(A)).flatten() -> list(A)", "list_flatten", flatten, CEL_COST_ITEMS),
	FUNCTION("list(dyn).flatten(int) -> list(dyn)", "list_flatten_int", flatten, CEL_COST_ITEMS),
	SORT("int", "int"),
	SORT("uint", "uint"),
	SORT("double", "double"),
	SORT("bool", "bool"),
	SORT("duration", "duration"),
	SORT("timestamp", "timestamp"),
	SORT("string", "string"),
	SORT("bytes", "bytes"),
	FUNCTION("list(A).distinct() -> list(A)", "list_distinct", distinct, CEL_COST_ITEMS),
	FUNCTION("lists.range(int) -> list(int)", "lists_range", range, CEL_COST_1),
	FUNCTION("list(A).reverse() -> list(A)", "list_reverse", reverse, CEL_COST_ITEMS),
	FUNCTION_END,
};
static const struct cel_macro macros[] = { { "sortBy", true, 2, expand_sort_by }, { NULL, false, 0, NULL } };

static const struct cel_function set_functions[] = {
	FUNCTION("sets.contains(list(A), list(A)) -> bool", "list_sets_contains_list", sets_contains, CEL_COST_PRODUCT),
	FUNCTION("sets.equivalent(list(A), list(A)) -> bool", "list_sets_equivalent_list", sets_equivalent, CEL_COST_PRODUCT),
	FUNCTION("sets.intersects(list(A), list(A)) -> bool", "list_sets_intersects_list", sets_intersects, CEL_COST_PRODUCT),
	FUNCTION_END,
};
/* clang-format on */

const struct cel_lib cel_lib_lists = { "lists", functions, macros, NULL };
const struct cel_lib cel_lib_sets = { "sets", set_functions, NULL, NULL };
