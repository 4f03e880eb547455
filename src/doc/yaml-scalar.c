/* yaml-scalar.c - what a plain or tagged scalar is: the core schema of YAML 1.2.2, 10.3.2. Pure: any thread. */
#include "base/base.h"
#include "doc/build.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

static bool one_of(str s, const char *const *words)
{
	for (; *words; words++)
		if (str_eqz(s, *words))
			return true;
	return false;
}

static size_t count_digits(str s, size_t from)
{
	size_t n = 0;

	while (from + n < s.len && s.ptr[from + n] >= '0' && s.ptr[from + n] <= '9')
		n++;
	return n;
}

static double based_real(str digits, int base)
{
	double d = 0;

	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];

		d = d * base + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return d;
}

/* 0o17 and 0x1f; false when it is none of them. Past 64 bits the value is a DOC_REAL. */
static bool resolve_based_int(str s, struct doc_node *n)
{
	int                base = str_has_prefix(s, STR("0o")) ? 8 : str_has_prefix(s, STR("0x")) ? 16 : 0;
	char              *end;
	unsigned long long v;

	if (!base || s.len < 3 || !isxdigit((unsigned char)s.ptr[2])) /* strtoull would take a sign or blanks */
		return false;
	errno = 0;
	v = strtoull(s.ptr + 2, &end, base);
	if (end != s.ptr + s.len || (base == 16 && (s.ptr[3] | 0x20) == 'x'))
		return false;
	if (!errno && v <= INT64_MAX) {
		n->kind = DOC_INT;
		n->i = (int64_t)v;
	} else {
		n->kind = DOC_REAL;
		n->d = based_real(str_sub(s, 2, s.len), base);
	}
	return true;
}

static bool resolve_special_real(str s, struct doc_node *n)
{
	static const char *const inf[] = { ".inf", ".Inf", ".INF", NULL }, *const nan_words[] = { ".nan", ".NaN", ".NAN", NULL };
	bool                     sign = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+');

	if (one_of(s, nan_words))
		n->d = NAN;
	else if (one_of(sign ? str_sub(s, 1, s.len) : s, inf))
		n->d = s.ptr[0] == '-' ? -INFINITY : INFINITY;
	else
		return false;
	n->kind = DOC_REAL;
	return true;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, without "." and "e" an integer. */
static bool resolve_decimal(str s, struct doc_node *n)
{
	size_t i = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'), whole = count_digits(s, i), part = 0, exponent;
	bool   real = false;

	i += whole;
	if (i < s.len && s.ptr[i] == '.') {
		real = true;
		part = count_digits(s, i + 1);
		i += 1 + part;
	}
	if (!whole && !part)
		return false;
	if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
		real = true;
		i++;
		i += i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+');
		exponent = count_digits(s, i);
		if (!exponent)
			return false;
		i += exponent;
	}
	if (i != s.len)
		return false;
	n->kind = DOC_INT;
	if (!real && str_to_i64(s.ptr[0] == '+' ? str_sub(s, 1, s.len) : s, &n->i))
		return true;
	n->kind = DOC_REAL;
	n->d = strtod(s.ptr, NULL); /* NUL-terminated; past the range: infinity, which the caller refuses */
	return true;
}

static bool resolve_null(str s, struct doc_node *n)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL", NULL };

	n->kind = DOC_NULL;
	return one_of(s, words);
}

static bool resolve_bool(str s, struct doc_node *n)
{
	static const char *const yes[] = { "true", "True", "TRUE", NULL }, *const no[] = { "false", "False", "FALSE", NULL };

	n->kind = DOC_BOOL;
	n->b = one_of(s, yes);
	return n->b || one_of(s, no);
}

static bool resolve_int(str s, struct doc_node *n)
{
	return resolve_based_int(s, n) || (resolve_decimal(s, n) && !memchr(s.ptr, '.', s.len) && !memchr(s.ptr, 'e', s.len) &&
	                                   !memchr(s.ptr, 'E', s.len));
}

static bool resolve_real(str s, struct doc_node *n)
{
	if (!resolve_special_real(s, n) && !resolve_decimal(s, n))
		return false;
	if (n->kind == DOC_INT) { /* "!!float 1" */
		n->kind = DOC_REAL;
		n->d = (double)n->i;
	}
	return true;
}

static bool resolve_str(str s, struct doc_node *n)
{
	n->kind = DOC_STR;
	n->s = s;
	return true;
}

void yaml_resolve_plain(struct doc_node *n)
{
	str s = n->text;

	if (!resolve_null(s, n) && !resolve_bool(s, n) && !resolve_based_int(s, n) && !resolve_special_real(s, n) &&
	    !resolve_decimal(s, n))
		resolve_str(s, n);
}

void yaml_resolve_str(struct doc_node *n) { resolve_str(n->text, n); }

int yaml_unknown_tag(struct doc_build *b, const struct doc_node *n, const char *tag)
{
	return doc_build_error(b, WEIR_EPARSE, n->line, n->col, "tag '%.64s' has no meaning here; remove it", tag);
}

int yaml_resolve_tagged(struct doc_build *b, const char *tag, struct doc_node *n)
{
	static const struct {
		const char *tag;
		bool (*resolve)(str s, struct doc_node *n);
	} tags[] = {
		{ "!", resolve_str },
		{ YAML_TAG_PREFIX "str", resolve_str },
		{ YAML_TAG_PREFIX "int", resolve_int },
		{ YAML_TAG_PREFIX "float", resolve_real },
		{ YAML_TAG_PREFIX "bool", resolve_bool },
		{ YAML_TAG_PREFIX "null", resolve_null },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
		if (!strcmp(tags[i].tag, tag))
			return tags[i].resolve(n->text, n)
			           ? 0
			           : doc_build_error(b, WEIR_EPARSE, n->line, n->col, "the value does not fit its tag '%s'", tag);
	return yaml_unknown_tag(b, n, tag);
}
