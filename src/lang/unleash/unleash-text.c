/* unleash-text.c - the small words of Unleash's rules: lists in texts, addresses and networks, dates, semantic versions, the hash of buckets. Pure. */
#include "base/base.h"
#include "unleash-internal.h"

#include <arpa/inet.h>
#include <ctype.h>

/* --- lists --- */

int texts_cmp(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

bool texts_have(const struct texts *t, str s) { return t->n && bsearch(&s, t->v, t->n, sizeof(*t->v), texts_cmp); }

str text_lower(struct arena *a, str s)
{
	char *p = arena_dup(a, s);

	for (size_t i = 0; p && i < s.len; i++)
		p[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i]);
	return p ? str_n(p, s.len) : STR_NULL;
}

int texts_split(struct arena *a, str list, bool lower, struct texts *ret, struct err *reterr)
{
	size_t most = 1, n = 0;
	str   *v;

	for (size_t i = 0; i < list.len; i++)
		most += list.ptr[i] == ',';
	if (most > UNLEASH_VALUES_MAX)
		return err_set(reterr, WEIR_ELIMIT, "a list of %zu values; at most %d", most, UNLEASH_VALUES_MAX);
	v = ARENA_ARRAY(a, most, str);
	for (str rest = list, part; v && rest.len;) {
		(void)str_cut(rest, ',', &part, &rest);
		part = str_trim(part);
		if (part.len)
			v[n++] = lower ? text_lower(a, part) : arena_str(a, part);
	}
	if (n)
		qsort(v, n, sizeof(*v), texts_cmp);
	*ret = (struct texts){ v, n };
	return arena_check(a, "a feature", reterr);
}

/* --- addresses --- */

static bool address_parse(str s, unsigned char out[16], bool *ret_v4)
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	char                       text[INET6_ADDRSTRLEN + 1];

	if (!s.len || s.len >= sizeof(text) || memchr(s.ptr, 0, s.len))
		return false;
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	*ret_v4 = !memchr(text, ':', s.len);
	if (!*ret_v4)
		return inet_pton(AF_INET6, text, out) == 1;
	memcpy(out, mapped, sizeof(mapped));
	return inet_pton(AF_INET, text, out + sizeof(mapped)) == 1;
}

bool network_parse(str s, struct network *ret)
{
	str      address, prefix;
	bool     with_prefix = str_cut(str_trim(s), '/', &address, &prefix), v4;
	uint64_t bits = 0;

	if (!address_parse(address, ret->bytes, &v4))
		return false;
	if (with_prefix && (!prefix.len || prefix.len > 3 || !isdigit((unsigned char)prefix.ptr[0]) || !str_to_u64(prefix, &bits) || bits > (v4 ? 32 : 128)))
		return false;
	ret->bits = with_prefix ? (unsigned)bits + (v4 ? 96 : 0) : 128;
	return true;
}

bool network_has(const struct network *n, const struct network *address)
{
	unsigned whole = n->bits / 8, rest = n->bits % 8;

	if (memcmp(n->bytes, address->bytes, whole))
		return false;
	return !rest || !((n->bytes[whole] ^ address->bytes[whole]) >> (8 - rest));
}

/* --- times --- */

bool date_parse(str s, usec_t *ret)
{
	char text[32];

	s = str_trim(s);
	if (s.len != 10)
		return clock_parse_rfc3339(s, ret);
	snprintf(text, sizeof(text), "%.*sT00:00:00Z", STR_ARG(s));
	return clock_parse_rfc3339(str_z(text), ret);
}

/* --- versions --- */

str semver_core(str s) { return str_sub(s, 0, str_find(s, '+')); }

static bool is_number(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.ptr[i]))
			return false;
	return s.len && (s.len == 1 || s.ptr[0] != '0');
}

/* Parts between dots; numbers: a part of digits has no leading zero. */
static bool are_identifiers(str s, bool numbers)
{
	bool more = true;

	while (more) {
		str  part;
		bool digits = true;

		more = str_cut(s, '.', &part, &s);
		for (size_t i = 0; i < part.len; i++) {
			if (!isalnum((unsigned char)part.ptr[i]) && part.ptr[i] != '-')
				return false;
			digits = digits && isdigit((unsigned char)part.ptr[i]);
		}
		if (!part.len || (numbers && digits && !is_number(part)))
			return false;
	}
	return true;
}

bool semver_ok(str s)
{
	str core, build, pre, major, minor, patch;

	if (s.len > LIMIT_VERSION_BYTES)
		return false;
	if (str_cut(s, '+', &core, &build) && !are_identifiers(build, false))
		return false;
	if (str_cut(core, '-', &core, &pre) && !are_identifiers(pre, true))
		return false;
	return str_cut(core, '.', &major, &minor) && str_cut(minor, '.', &minor, &patch) && is_number(major) && is_number(minor) && is_number(patch);
}

/* --- MurmurHash3 x86_32 --- */

struct murmur {
	uint32_t hash, block, total;
};

static uint32_t rotl(uint32_t x, int r) { return x << r | x >> (32 - r); }
static uint32_t scramble(uint32_t k) { return rotl(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

static void murmur_add(struct murmur *m, str s)
{
	for (size_t i = 0; i < s.len; i++) {
		m->block |= (uint32_t)(unsigned char)s.ptr[i] << 8 * (m->total % 4);
		if (++m->total % 4)
			continue;
		m->hash = rotl(m->hash ^ scramble(m->block), 13) * 5 + 0xe6546b64u;
		m->block = 0;
	}
}

uint32_t unleash_murmur(uint32_t seed, str a, str b)
{
	struct murmur m = { .hash = seed };
	uint32_t      h;

	murmur_add(&m, a);
	murmur_add(&m, STR(":"));
	murmur_add(&m, b);
	h = m.hash ^ (m.total % 4 ? scramble(m.block) : 0) ^ m.total;
	h = (h ^ h >> 16) * 0x85ebca6bu;
	h = (h ^ h >> 13) * 0xc2b2ae35u;
	return h ^ h >> 16;
}
