/* cel-lib-strings.c - the strings extension: positions count code points, as cel-go has it.
 *
 * Pure: results are made in the call's arena. */
#include "base/base.h"
#include "lang/cel/cel-format.h"
#include "lang/cel/cel-lib.h"

static struct cel_value out_of_range(struct cel_call *c, int64_t i)
{
	return cel_error_value(c->arena, "index out of range: %lld", (long long)i);
}

/* Byte offset of code point i of s; false: there is no such place (the end is one). */
static bool place(str s, int64_t i, size_t *ret)
{
	*ret = i < 0 ? SIZE_MAX : cel_utf8_at(s, (size_t)i);
	return *ret != SIZE_MAX;
}

FN(char_at)
{
	str s = cel_str(args[0]);
	size_t at, end;

	if (!place(s, args[1].i, &at))
		return out_of_range(c, args[1].i);
	end = at;
	if (at < s.len)
		cel_utf8_next(s, &end);
	return cel_of_str(str_sub(s, at, end - at));
}

FN(index_of)
{
	str s = cel_str(args[0]), sub = cel_str(args[1]);
	int64_t from = n > 2 ? args[2].i : 0;
	size_t at;
	const char *hit;

	if (!place(s, from, &at))
		return out_of_range(c, from);
	if (!sub.len)
		return cel_of_int(from);
	hit = s.len > at ? memmem(s.ptr + at, s.len - at, sub.ptr, sub.len) : NULL;
	return cel_of_int(hit ? (int64_t)cel_utf8_len(str_sub(s, 0, (size_t)(hit - s.ptr))) : -1);
}

FN(last_index_of)
{
	str s = cel_str(args[0]), sub = cel_str(args[1]);
	size_t at = s.len;

	if (n > 2 && !place(s, args[2].i, &at))
		return out_of_range(c, args[2].i);
	if (!sub.len)
		return n > 2 ? args[2] : cel_of_int((int64_t)cel_utf8_len(s));
	if (sub.len > s.len)
		return cel_of_int(-1);
	if (at > s.len - sub.len)
		at = s.len - sub.len;
	for (at++; at--;)
		if (!memcmp(s.ptr + at, sub.ptr, sub.len))
			return cel_of_int((int64_t)cel_utf8_len(str_sub(s, 0, at)));
	return cel_of_int(-1);
}

FN(substring)
{
	str s = cel_str(args[0]);
	size_t from, to = s.len;

	if (!place(s, args[1].i, &from))
		return out_of_range(c, args[1].i);
	if (n > 2 && !place(s, args[2].i, &to))
		return out_of_range(c, args[2].i);
	if (from > to)
		return cel_error_value(c->arena, "invalid substring range: start %lld is behind end %lld", (long long)args[1].i,
							   (long long)args[2].i);
	return cel_of_str(str_sub(s, from, to - from));
}

static struct cel_value change_case(struct cel_call *c, str s, char first, char last)
{
	char *p = arena_dup(c->arena, s);

	if (!p)
		return cel_error_value(c->arena, "out of memory");
	for (size_t i = 0; i < s.len; i++)
		if (p[i] >= first && p[i] <= last)
			p[i] ^= 0x20;
	return cel_of_str(str_n(p, s.len));
}

FN(lower)
{
	return change_case(c, cel_str(args[0]), 'A', 'Z');
}
FN(upper)
{
	return change_case(c, cel_str(args[0]), 'a', 'z');
}

static bool is_space(uint32_t u)
{
	return u == ' ' || (u >= 9 && u <= 13) || u == 0x85 || u == 0xA0 || u == 0x1680 || (u >= 0x2000 && u <= 0x200A) ||
		   u == 0x2028 || u == 0x2029 || u == 0x202F || u == 0x205F || u == 0x3000;
}

FN(trim)
{
	str s = cel_str(args[0]);
	size_t from = 0, to = s.len, at;

	for (at = 0; at < s.len && is_space(cel_utf8_next(s, &at)); from = at)
		;
	while (to > from) {
		for (at = to - 1; at > from && ((unsigned char)s.ptr[at] & 0xC0) == 0x80; at--)
			;
		size_t end = at;

		if (!is_space(cel_utf8_next(s, &end)))
			break;
		to = at;
	}
	return cel_of_str(str_sub(s, from, to - from));
}

FN(replace)
{
	str s = cel_str(args[0]), old = cel_str(args[1]), new = cel_str(args[2]);
	int64_t left = n > 3 ? args[3].i : -1;
	size_t at = 0;
	struct buf b = BUF_INIT(CEL_TEXT_OUT_MAX);

	if (!old.len && left) { /* before each code point and at the end */
		buf_add_str(&b, new);
		left--;
	}
	while (at < s.len && left) {
		size_t end = at;

		if (!old.len) {
			cel_utf8_next(s, &end);
			buf_add(&b, s.ptr + at, end - at);
			buf_add_str(&b, new);
		} else {
			const char *hit = memmem(s.ptr + at, s.len - at, old.ptr, old.len);

			if (!hit)
				break;
			buf_add(&b, s.ptr + at, (size_t)(hit - s.ptr) - at);
			buf_add_str(&b, new);
			end = (size_t)(hit - s.ptr) + old.len;
		}
		at = end;
		left--;
	}
	buf_add_str(&b, str_sub(s, at, s.len));
	return cel_take_text(c->arena, &b, CEL_STRING);
}

/* The next piece of *s, which is what remains. */
static str next_piece(str *s, str sep)
{
	str piece = *s;
	size_t end = 0;

	if (!sep.len) {
		cel_utf8_next(*s, &end);
		piece = str_sub(*s, 0, end);
	} else {
		const char *hit = s->len ? memmem(s->ptr, s->len, sep.ptr, sep.len) : NULL;

		end = hit ? (size_t)(hit - s->ptr) : s->len;
		piece = str_sub(*s, 0, end);
		end += hit ? sep.len : 1; /* past the end: none is left */
	}
	*s = end > s->len ? STR_NULL : str_n(s->ptr + end, s->len - end);
	return piece;
}

static size_t count_pieces(str s, str sep)
{
	size_t n = 0;

	if (!sep.len)
		return cel_utf8_len(s);
	for (n = 1; s.len; n++) {
		const char *hit = memmem(s.ptr, s.len, sep.ptr, sep.len);

		if (!hit)
			break;
		s = str_n(hit + sep.len, s.len - (size_t)(hit - s.ptr) - sep.len);
	}
	return n;
}

FN(split)
{
	str s = cel_str(args[0]), sep = cel_str(args[1]);
	int64_t limit = n > 2 ? args[2].i : -1;
	size_t count = count_pieces(s, sep), i;
	struct cel_value *items, none_left;

	if (limit >= 0 && (uint64_t)limit < count)
		count = (size_t)limit;
	if (!cel_spend(c, count, &none_left))
		return none_left;
	items = ARENA_ARRAY(c->arena, count + 1, struct cel_value);
	if (!items)
		return cel_error_value(c->arena, "out of memory");
	for (i = 0; i + 1 < count; i++)
		items[i] = cel_of_str(next_piece(&s, sep));
	if (count)
		items[i] = cel_of_str(s.ptr ? s : STR(""));
	return cel_list_adopt(c->arena, items, count);
}

FN(join)
{
	const struct cel_list *l = args[0].list;
	struct buf b = BUF_INIT(CEL_TEXT_OUT_MAX);

	for (size_t i = 0; i < l->n && !b.failed; i++) {
		if (l->items[i].kind != CEL_STRING) {
			buf_fini(&b);
			return cel_error_value(c->arena, "join: item %zu is no string but %s", i, cel_kind_name(l->items[i]));
		}
		if (i && n > 1)
			buf_add_str(&b, cel_str(args[1]));
		buf_add_str(&b, cel_str(l->items[i]));
	}
	return cel_take_text(c->arena, &b, CEL_STRING);
}

FN(reverse)
{
	str s = cel_str(args[0]);
	char *p = arena_dup(c->arena, s);

	if (!p)
		return cel_error_value(c->arena, "out of memory");
	for (size_t at = 0, end = 0; at < s.len; at = end) {
		cel_utf8_next(s, &end);
		memcpy(p + s.len - end, s.ptr + at, end - at);
	}
	return cel_of_str(str_n(p, s.len));
}

FN(quote)
{
	static const char special[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
	str s = cel_str(args[0]);
	struct buf b = BUF_INIT(CEL_TEXT_OUT_MAX);

	buf_addc(&b, '"');
	for (size_t i = 0; i < s.len; i++) {
		const char *at = s.ptr[i] ? strchr(special, s.ptr[i]) : NULL;

		if (at)
			buf_addc(&b, '\\');
		buf_addc(&b, at ? letters[at - special] : s.ptr[i]);
	}
	buf_addc(&b, '"');
	return cel_take_text(c->arena, &b, CEL_STRING);
}

FN(format)
{
	struct buf b = BUF_INIT(CEL_TEXT_OUT_MAX);
	struct cel_value error;

	if (!cel_format(c, cel_str(args[0]), args[1].list, &b, &error)) {
		buf_fini(&b);
		return error;
	}
	if (!str_utf8_valid(buf_str(&b))) {
		buf_fini(&b);
		return cel_error_value(c->arena, "format: bytes that are no UTF-8");
	}
	return cel_take_text(c->arena, &b, CEL_STRING);
}

/* clang-format off */
static const struct cel_function functions[] = {
	FUNCTION("string.charAt(int) -> string", "string_char_at_int", char_at, CEL_COST_SCAN),
	FUNCTION("string.format(list(dyn)) -> string", "string_format", format, CEL_COST_SCAN_ALL),
	FUNCTION("string.indexOf(string) -> int", "string_index_of_string", index_of, CEL_COST_PRODUCT),
	FUNCTION("string.indexOf(string, int) -> int", "string_index_of_string_int", index_of, CEL_COST_PRODUCT),
	FUNCTION("list(string).join() -> string", "list_join", join, CEL_COST_SCAN),
	FUNCTION("list(string).join(string) -> string", "list_join_string", join, CEL_COST_SCAN),
	FUNCTION("string.lastIndexOf(string) -> int", "string_last_index_of_string", last_index_of, CEL_COST_PRODUCT),
	FUNCTION("string.lastIndexOf(string, int) -> int", "string_last_index_of_string_int", last_index_of, CEL_COST_PRODUCT),
	FUNCTION("string.lowerAscii() -> string", "string_lower_ascii", lower, CEL_COST_SCAN),
	FUNCTION("strings.quote(string) -> string", "strings_quote", quote, CEL_COST_SCAN),
	FUNCTION("string.replace(string, string) -> string", "string_replace_string_string", replace, CEL_COST_SCAN),
	FUNCTION("string.replace(string, string, int) -> string", "string_replace_string_string_int", replace, CEL_COST_SCAN),
	FUNCTION("string.reverse() -> string", "string_reverse", reverse, CEL_COST_SCAN),
	FUNCTION("string.split(string) -> list(string)", "string_split_string", split, CEL_COST_SCAN),
	FUNCTION("string.split(string, int) -> list(string)", "string_split_string_int", split, CEL_COST_SCAN),
	FUNCTION("string.substring(int) -> string", "string_substring_int", substring, CEL_COST_SCAN),
	FUNCTION("string.substring(int, int) -> string", "string_substring_int_int", substring, CEL_COST_SCAN),
	FUNCTION("string.trim() -> string", "string_trim", trim, CEL_COST_SCAN),
	FUNCTION("string.upperAscii() -> string", "string_upper_ascii", upper, CEL_COST_SCAN),
	FUNCTION_END,
};
/* clang-format on */

const struct cel_lib cel_lib_strings = { "strings", functions, NULL, NULL };
