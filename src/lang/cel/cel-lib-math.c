/* cel-lib-math.c - the math extension: extremes, rounding, signs, bits.
 *
 * math.greatest and math.least are macros over @max and @min, which compare numbers of any kinds. Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-lib.h"

/* --- extremes --- */

static struct cel_value extreme(struct cel_call *c, const struct cel_value *v, size_t n, int sign)
{
	struct cel_value best;

	if (!n)
		return cel_error_value(c->arena, "an empty list has no greatest or least item");
	best = v[0];
	for (size_t i = 0; i < n; i++) {
		if (!cel_is_num(v[i]))
			return cel_no_overload(c->arena, sign > 0 ? STR("math.@max") : STR("math.@min"), &v[i], 1);
		if (cel_num_compare(v[i], best) == sign)
			best = v[i];
	}
	return best;
}

static struct cel_value extreme_of(struct cel_call *c, const struct cel_value *args, size_t n, int sign)
{
	if (n == 1 && args[0].kind == CEL_LIST)
		return extreme(c, args[0].list->items, args[0].list->n, sign);
	return extreme(c, args, n, sign);
}

FN(greatest)
{
	return extreme_of(c, args, n, 1);
}
FN(least)
{
	return extreme_of(c, args, n, -1);
}

/* --- rounding and signs --- */

FN(up)
{
	return cel_of_double(ceil(args[0].d));
}
FN(down)
{
	return cel_of_double(floor(args[0].d));
}
FN(nearest)
{
	return cel_of_double(round(args[0].d));
}
FN(cut)
{
	return cel_of_double(trunc(args[0].d));
}
FN(is_nan)
{
	return cel_of_bool(isnan(args[0].d));
}
FN(is_inf)
{
	return cel_of_bool(isinf(args[0].d));
}
FN(is_finite)
{
	return cel_of_bool(isfinite(args[0].d));
}

FN(square_root)
{
	struct cel_value v = args[0];

	return cel_of_double(sqrt(v.kind == CEL_DOUBLE ? v.d : v.kind == CEL_INT ? (double)v.i : (double)v.u));
}

FN(absolute)
{
	struct cel_value v = args[0];

	if (v.kind == CEL_UINT)
		return v;
	if (v.kind == CEL_DOUBLE)
		return cel_of_double(fabs(v.d));
	return v.i == INT64_MIN ? cel_error_value(c->arena, "integer overflow") : cel_of_int(v.i < 0 ? -v.i : v.i);
}

FN(sign)
{
	struct cel_value v = args[0];

	if (v.kind == CEL_UINT)
		return cel_of_uint(v.u > 0);
	if (v.kind == CEL_INT)
		return cel_of_int(v.i < 0 ? -1 : v.i > 0);
	return cel_of_double(isnan(v.d) ? v.d : v.d < 0 ? -1 : v.d > 0);
}

/* --- bits: int and uint have their bits in one place of the value --- */

static struct cel_value with_bits(struct cel_value like, uint64_t bits)
{
	like.u = bits;
	return like;
}

FN(bits_and)
{
	return with_bits(args[0], args[0].u & args[1].u);
}
FN(bits_or)
{
	return with_bits(args[0], args[0].u | args[1].u);
}
FN(bits_xor)
{
	return with_bits(args[0], args[0].u ^ args[1].u);
}
FN(bits_not)
{
	return with_bits(args[0], ~args[0].u);
}

static struct cel_value shift(struct cel_call *c, const struct cel_value *args, bool left)
{
	if (args[1].i < 0)
		return cel_error_value(c->arena, "negative offset of a shift: %lld", (long long)args[1].i);
	if (args[1].i > 63)
		return with_bits(args[0], 0);
	return with_bits(args[0], left ? args[0].u << args[1].i : args[0].u >> args[1].i);
}

FN(shift_left)
{
	return shift(c, args, true);
}
FN(shift_right)
{
	return shift(c, args, false);
}

/* clang-format off */
#define EXTREME(function, fn)                                                                                        \
	FUNCTION("math." function "(double) -> double", "math_" function "_double", fn, CEL_COST_1),                     \
	FUNCTION("math." function "(int) -> int", "math_" function "_int", fn, CEL_COST_1),                              \
	FUNCTION("math." function "(uint) -> uint", "math_" function "_uint", fn, CEL_COST_1),                           \
	FUNCTION("math." function "(double, double) -> double", "math_" function "_double_double", fn, CEL_COST_1),      \
	FUNCTION("math." function "(int, int) -> int", "math_" function "_int_int", fn, CEL_COST_1),                     \
	FUNCTION("math." function "(uint, uint) -> uint", "math_" function "_uint_uint", fn, CEL_COST_1),                \
	FUNCTION("math." function "(int, uint) -> dyn", "math_" function "_int_uint", fn, CEL_COST_1),                   \
	FUNCTION("math." function "(int, double) -> dyn", "math_" function "_int_double", fn, CEL_COST_1),               \
	FUNCTION("math." function "(double, int) -> dyn", "math_" function "_double_int", fn, CEL_COST_1),               \
	FUNCTION("math." function "(double, uint) -> dyn", "math_" function "_double_uint", fn, CEL_COST_1),             \
	FUNCTION("math." function "(uint, int) -> dyn", "math_" function "_uint_int", fn, CEL_COST_1),                   \
	FUNCTION("math." function "(uint, double) -> dyn", "math_" function "_uint_double", fn, CEL_COST_1),             \
	FUNCTION("math." function "(list(double)) -> double", "math_" function "_list_double", fn, CEL_COST_ITEMS),      \
	FUNCTION("math." function "(list(int)) -> int", "math_" function "_list_int", fn, CEL_COST_ITEMS),               \
	FUNCTION("math." function "(list(uint)) -> uint", "math_" function "_list_uint", fn, CEL_COST_ITEMS)
#define OF_DOUBLE(function, to, fn) FUNCTION("math." function "(double) -> " to, "math_" function "_double", fn, CEL_COST_1)
#define OF_INTS(function, fn)                                                                                        \
	FUNCTION("math." function "(int, int) -> int", "math_" function "_int_int", fn, CEL_COST_1),                     \
	FUNCTION("math." function "(uint, uint) -> uint", "math_" function "_uint_uint", fn, CEL_COST_1)
#define SHIFT(function, fn)                                                                                          \
	FUNCTION("math." function "(int, int) -> int", "math_" function "_int_int", fn, CEL_COST_1),                     \
	FUNCTION("math." function "(uint, int) -> uint", "math_" function "_uint_int", fn, CEL_COST_1)
#define SAME(function, fn)                                                                                           \
	OF_DOUBLE(function, "double", fn),                                                                               \
	FUNCTION("math." function "(int) -> int", "math_" function "_int", fn, CEL_COST_1),                              \
	FUNCTION("math." function "(uint) -> uint", "math_" function "_uint", fn, CEL_COST_1)

static const struct cel_function functions[] = {
	EXTREME("@max", greatest),
	EXTREME("@min", least),
	OF_DOUBLE("ceil", "double", up),
	OF_DOUBLE("floor", "double", down),
	OF_DOUBLE("round", "double", nearest),
	OF_DOUBLE("trunc", "double", cut),
	OF_DOUBLE("isNaN", "bool", is_nan),
	OF_DOUBLE("isInf", "bool", is_inf),
	OF_DOUBLE("isFinite", "bool", is_finite),
	SAME("abs", absolute),
	SAME("sign", sign),
	OF_DOUBLE("sqrt", "double", square_root),
	FUNCTION("math.sqrt(int) -> double", "math_sqrt_int", square_root, CEL_COST_1),
	FUNCTION("math.sqrt(uint) -> double", "math_sqrt_uint", square_root, CEL_COST_1),
	OF_INTS("bitAnd", bits_and),
	OF_INTS("bitOr", bits_or),
	OF_INTS("bitXor", bits_xor),
	FUNCTION("math.bitNot(int) -> int", "math_bitNot_int_int", bits_not, CEL_COST_1),
	FUNCTION("math.bitNot(uint) -> uint", "math_bitNot_uint_uint", bits_not, CEL_COST_1),
	SHIFT("bitShiftLeft", shift_left),
	SHIFT("bitShiftRight", shift_right),
	FUNCTION_END,
};
/* clang-format on */

const struct cel_lib cel_lib_math = { "math", functions, cel_macros_math, NULL };
