/* hash.c - digests, encodings, identifiers (see hash.h). Thread-safe after base_init(). */
#include "base/base.h"
#include "base/hash.h"
#include "base/clock.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void base_init(void)
{
	struct rlimit no_core = { 0, 0 };

	if (sodium_init() < 0)
		BUG("libsodium cannot start");
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_CORE, &no_core);
}

void sha256(str data, unsigned char out[SHA256_BYTES])
{
	crypto_hash_sha256(out, (const unsigned char *)(data.len ? data.ptr : ""), data.len);
}

char *hex_of(const unsigned char *p, size_t n, char *out) { return sodium_bin2hex(out, 2 * n + 1, p, n); }

char *sha256_hex(str data, char out[SHA256_HEX])
{
	unsigned char d[SHA256_BYTES];

	sha256(data, d);
	return hex_of(d, sizeof(d), out);
}

bool hex_parse(str hex, unsigned char *out, size_t n)
{
	size_t got;

	return hex.len == 2 * n && !sodium_hex2bin(out, n, hex.ptr, hex.len, NULL, &got, NULL) && got == n;
}

void buf_add_base64(struct buf *b, str data)
{
	size_t n = sodium_base64_encoded_len(data.len, sodium_base64_VARIANT_ORIGINAL);
	char  *to = buf_reserve(b, n);

	if (!to)
		return;
	sodium_bin2base64(to, n, (const unsigned char *)(data.len ? data.ptr : ""), data.len, sodium_base64_VARIANT_ORIGINAL);
	b->len += n - 1;
}

bool base64_parse(str b64, struct buf *out)
{
	size_t n;
	char  *to;

	while (b64.len && b64.ptr[b64.len - 1] == '=')
		b64.len--;
	to = buf_reserve(out, b64.len + 4);
	if (!to || sodium_base642bin((unsigned char *)to, b64.len + 3, b64.len ? b64.ptr : "", b64.len, NULL, &n, NULL,
	                             sodium_base64_VARIANT_ORIGINAL_NO_PADDING))
		return false;
	out->len += n;
	out->ptr[out->len] = 0;
	return true;
}

bool mem_equal_const_time(const void *a, const void *b, size_t n) { return !n || !sodium_memcmp(a, b, n); }

char *id_new(char out[ID_SIZE])
{
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint64_t          ms = (uint64_t)(clock_wall_now() / USEC_PER_MSEC);
	unsigned char     rnd[16];

	randombytes_buf(rnd, sizeof(rnd));
	for (int i = 9; i >= 0; i--, ms >>= 5)
		out[i] = alphabet[ms & 31];
	for (int i = 0; i < 16; i++)
		out[10 + i] = alphabet[rnd[i] & 31];
	out[26] = 0;
	return out;
}

char *random_text(char *out, size_t n)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[randombytes_uniform(62)];
	out[n] = 0;
	return out;
}
