/* cel-lib-network.c - the network extension: net.IP and net.CIDR, as Kubernetes has them.
 *
 * An IPv4 address mapped into IPv6 is refused when it is written with dots (::ffff:1.2.3.4) and is the IPv4 address otherwise;
 * zones (fe80::1%eth0) are refused. Text follows RFC 5952. Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-lib.h"

#include <arpa/inet.h>

struct ip {
	struct cel_opaque head;
	int bits;   /* 32 or 128 */
	int prefix; /* of a CIDR; -1: an address */
	unsigned char bytes[16];
};

static const struct cel_type ip_type = { CEL_T_OPAQUE, { "net.IP", 6 }, NULL, 0 };
static const struct cel_type cidr_type = { CEL_T_OPAQUE, { "net.CIDR", 8 }, NULL, 0 };

static const struct ip *ip_of(struct cel_value v)
{
	return (const struct ip *)v.opaque; /* head comes first */
}

static bool ip_equal(const struct cel_opaque *a, const struct cel_opaque *b)
{
	const struct ip *x = (const struct ip *)a, *y = (const struct ip *)b;

	return x->bits == y->bits && x->prefix == y->prefix && !memcmp(x->bytes, y->bytes, (size_t)x->bits / 8);
}

/* --- text --- */

/* The longest run of two or more zero groups, the first of several. */
static void zero_run(const unsigned g[8], int *ret_at, int *ret_n)
{
	*ret_at = -1;
	*ret_n = 1;
	for (int i = 0, n; i < 8; i += n ? n : 1) {
		for (n = 0; i + n < 8 && !g[i + n]; n++)
			;
		if (n > *ret_n) {
			*ret_at = i;
			*ret_n = n;
		}
	}
}

static void add_address(const struct ip *ip, struct buf *out)
{
	unsigned g[8];
	int at, n;

	if (ip->bits == 32) {
		buf_addf(out, "%u.%u.%u.%u", ip->bytes[0], ip->bytes[1], ip->bytes[2], ip->bytes[3]);
		return;
	}
	for (int i = 0; i < 8; i++)
		g[i] = (unsigned)ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1];
	zero_run(g, &at, &n);
	for (int i = 0; i < 8;) {
		if (i == at) {
			buf_addz(out, "::");
			i += n;
			continue;
		}
		buf_addf(out, i && i != at + n ? ":%x" : "%x", g[i]);
		i++;
	}
}

static void add_text(const struct ip *ip, struct buf *out)
{
	add_address(ip, out);
	if (ip->prefix >= 0)
		buf_addf(out, "/%d", ip->prefix);
}

static void ip_print(const struct cel_opaque *o, struct buf *out)
{
	const struct ip *ip = (const struct ip *)o;

	buf_addz(out, ip->prefix < 0 ? "ip(\"" : "cidr(\"");
	add_text(ip, out);
	buf_addz(out, "\")");
}

/* --- reading --- */

/* NULL: read; else what is wrong. */
static const char *read_address(str s, struct ip *ret)
{
	static const unsigned char mapped[12] = { [10] = 0xFF, [11] = 0xFF };
	char text[INET6_ADDRSTRLEN + 1];

	*ret = (struct ip){ .head = { &ip_type, ip_equal, ip_print }, .prefix = -1 };
	if (s.len >= sizeof(text) || memchr(s.ptr ? s.ptr : "", '\0', s.len))
		return "parse error during conversion from string";
	memcpy(text, s.ptr ? s.ptr : "", s.len);
	text[s.len] = '\0';
	ret->bits = 32;
	if (inet_pton(AF_INET, text, ret->bytes) == 1)
		return NULL;
	ret->bits = 128;
	if (inet_pton(AF_INET6, text, ret->bytes) != 1)
		return "parse error during conversion from string";
	if (memcmp(ret->bytes, mapped, sizeof(mapped)))
		return NULL;
	if (strchr(text, '.'))
		return "IPv4-mapped IPv6 address is not allowed";
	ret->bits = 32;
	memmove(ret->bytes, ret->bytes + 12, 4);
	memset(ret->bytes + 4, 0, 12);
	return NULL;
}

static const char *read_cidr(str s, struct ip *ret)
{
	str address, prefix;
	uint64_t n;
	const char *why;

	if (!str_cut(s, '/', &address, &prefix))
		return "parse error during conversion from string: no '/'";
	why = read_address(address, ret);
	if (why)
		return why;
	if (prefix.len > 3 || (prefix.len > 1 && prefix.ptr[0] == '0') || !str_to_u64(prefix, &n) || n > (uint64_t)ret->bits)
		return "parse error during conversion from string: bad prefix length";
	ret->head.type = &cidr_type;
	ret->prefix = (int)n;
	return NULL;
}

static struct cel_value keep(struct cel_call *c, const struct ip *ip)
{
	struct ip *copy = ARENA_NEW(c->arena, struct ip);

	if (!copy)
		return cel_error_value(c->arena, "out of memory");
	*copy = *ip;
	return (struct cel_value){ .kind = CEL_OPAQUE, .opaque = &copy->head };
}

static struct cel_value failure(struct cel_call *c, const char *what, struct cel_value v, const char *why)
{
	return cel_error_value(c->arena, "%s '%.*s': %s", what, v.len > 100 ? 100 : (int)v.len, v.s, why);
}

FN(make_ip)
{
	struct ip ip;
	const char *why = read_address(cel_str(args[0]), &ip);

	return why ? failure(c, "IP address", args[0], why) : keep(c, &ip);
}

FN(make_cidr)
{
	struct ip ip;
	const char *why = read_cidr(cel_str(args[0]), &ip);

	return why ? failure(c, "network address", args[0], why) : keep(c, &ip);
}

FN(is_ip)
{
	struct ip ip;

	return cel_of_bool(!read_address(cel_str(args[0]), &ip));
}

FN(is_cidr)
{
	struct ip ip;

	return cel_of_bool(!read_cidr(cel_str(args[0]), &ip));
}

FN(is_canonical)
{
	struct ip ip;
	const char *why = read_address(cel_str(args[0]), &ip);
	struct buf b = BUF_INIT(100);
	struct cel_value v;

	if (why)
		return failure(c, "IP address", args[0], why);
	add_text(&ip, &b);
	v = cel_of_bool(str_eq(buf_str(&b), cel_str(args[0])));
	buf_fini(&b);
	return v;
}

FN(to_string)
{
	struct buf b = BUF_INIT(100);

	add_text(ip_of(args[0]), &b);
	return cel_take_text(c->arena, &b, CEL_STRING);
}

/* --- what an address is --- */

static bool all_zero(const struct ip *ip, int n)
{
	for (int i = 0; i < n; i++)
		if (ip->bytes[i])
			return false;
	return true;
}

static bool unspecified(const struct ip *ip)
{
	return all_zero(ip, ip->bits / 8);
}
static bool loopback(const struct ip *ip)
{
	return ip->bits == 32 ? ip->bytes[0] == 127 : all_zero(ip, 15) && ip->bytes[15] == 1;
}
static bool multicast(const struct ip *ip)
{
	return ip->bits == 32 ? (ip->bytes[0] & 0xF0) == 0xE0 : ip->bytes[0] == 0xFF;
}

static bool link_local_multicast(const struct ip *ip)
{
	const unsigned char *b = ip->bytes;

	return ip->bits == 32 ? b[0] == 224 && !b[1] && !b[2] : b[0] == 0xFF && (b[1] & 0x0F) == 2;
}

static bool link_local_unicast(const struct ip *ip)
{
	const unsigned char *b = ip->bytes;

	return ip->bits == 32 ? b[0] == 169 && b[1] == 254 : b[0] == 0xFE && (b[1] & 0xC0) == 0x80;
}

static bool global_unicast(const struct ip *ip)
{
	static const unsigned char broadcast[4] = { 255, 255, 255, 255 };

	return !unspecified(ip) && !loopback(ip) && !multicast(ip) && !link_local_unicast(ip) &&
		   !(ip->bits == 32 && !memcmp(ip->bytes, broadcast, 4));
}

FN(family)
{
	return cel_of_int(ip_of(args[0])->bits == 32 ? 4 : 6);
}
FN(is_unspecified)
{
	return cel_of_bool(unspecified(ip_of(args[0])));
}
FN(is_loopback)
{
	return cel_of_bool(loopback(ip_of(args[0])));
}
FN(is_global)
{
	return cel_of_bool(global_unicast(ip_of(args[0])));
}
FN(is_link_multicast)
{
	return cel_of_bool(link_local_multicast(ip_of(args[0])));
}
FN(is_link_unicast)
{
	return cel_of_bool(link_local_unicast(ip_of(args[0])));
}

/* --- networks --- */

static void mask(struct ip *ip, int prefix)
{
	for (int i = 0; i < ip->bits / 8; i++) {
		int keep_bits = prefix - 8 * i;

		if (keep_bits < 8)
			ip->bytes[i] &= keep_bits <= 0 ? 0 : (unsigned char)(0xFF << (8 - keep_bits));
	}
}

static bool within(const struct ip *net, const struct ip *x)
{
	struct ip a = *net, b = *x;

	mask(&a, net->prefix);
	mask(&b, net->prefix);
	return a.bits == b.bits && !memcmp(a.bytes, b.bytes, (size_t)a.bits / 8) && (x->prefix < 0 || x->prefix >= net->prefix);
}

FN(contains_ip)
{
	struct ip ip;
	const char *why = NULL;

	if (args[1].kind == CEL_OPAQUE)
		ip = *ip_of(args[1]);
	else
		why = read_address(cel_str(args[1]), &ip);
	return why ? failure(c, "IP address", args[1], why) : cel_of_bool(within(ip_of(args[0]), &ip));
}

FN(contains_cidr)
{
	struct ip ip;
	const char *why = NULL;

	if (args[1].kind == CEL_OPAQUE)
		ip = *ip_of(args[1]);
	else
		why = read_cidr(cel_str(args[1]), &ip);
	return why ? failure(c, "network address", args[1], why) : cel_of_bool(within(ip_of(args[0]), &ip));
}

FN(address_of)
{
	struct ip ip = *ip_of(args[0]);

	ip.prefix = -1;
	ip.head.type = &ip_type;
	return keep(c, &ip);
}

FN(masked)
{
	struct ip ip = *ip_of(args[0]);

	mask(&ip, ip.prefix);
	return keep(c, &ip);
}

FN(prefix_length)
{
	return cel_of_int(ip_of(args[0])->prefix);
}

/* clang-format off */
static const struct cel_function functions[] = {
	FUNCTION("ip(string) -> net.IP", "string_to_ip", make_ip, CEL_COST_SCAN),
	FUNCTION("isIP(string) -> bool", "is_ip", is_ip, CEL_COST_SCAN),
	FUNCTION("ip.isCanonical(string) -> bool", "ip_is_canonical", is_canonical, CEL_COST_SCAN),
	FUNCTION("net.IP.family() -> int", "ip_family", family, CEL_COST_1),
	FUNCTION("net.IP.isUnspecified() -> bool", "ip_is_unspecified", is_unspecified, CEL_COST_1),
	FUNCTION("net.IP.isLoopback() -> bool", "ip_is_loopback", is_loopback, CEL_COST_1),
	FUNCTION("net.IP.isGlobalUnicast() -> bool", "ip_is_global_unicast", is_global, CEL_COST_1),
	FUNCTION("net.IP.isLinkLocalMulticast() -> bool", "ip_is_link_local_multicast", is_link_multicast, CEL_COST_1),
	FUNCTION("net.IP.isLinkLocalUnicast() -> bool", "ip_is_link_local_unicast", is_link_unicast, CEL_COST_1),
	FUNCTION("string(net.IP) -> string", "ip_to_string", to_string, CEL_COST_1),
	FUNCTION("cidr(string) -> net.CIDR", "string_to_cidr", make_cidr, CEL_COST_SCAN),
	FUNCTION("isCIDR(string) -> bool", "is_cidr", is_cidr, CEL_COST_SCAN),
	FUNCTION("net.CIDR.containsIP(net.IP) -> bool", "cidr_contains_ip_ip", contains_ip, CEL_COST_1),
	FUNCTION("net.CIDR.containsIP(string) -> bool", "cidr_contains_ip_string", contains_ip, CEL_COST_1),
	FUNCTION("net.CIDR.containsCIDR(net.CIDR) -> bool", "cidr_contains_cidr_cidr", contains_cidr, CEL_COST_1),
	FUNCTION("net.CIDR.containsCIDR(string) -> bool", "cidr_contains_cidr_string", contains_cidr, CEL_COST_1),
	FUNCTION("net.CIDR.ip() -> net.IP", "cidr_ip", address_of, CEL_COST_1),
	FUNCTION("net.CIDR.masked() -> net.CIDR", "cidr_masked", masked, CEL_COST_1),
	FUNCTION("net.CIDR.prefixLength() -> int", "cidr_prefix_length", prefix_length, CEL_COST_1),
	FUNCTION("string(net.CIDR) -> string", "cidr_to_string", to_string, CEL_COST_1),
	FUNCTION_END,
};
/* clang-format on */
static const char *const types[] = { "net.IP", "net.CIDR", NULL };

const struct cel_lib cel_lib_network = { "network", functions, NULL, types };
