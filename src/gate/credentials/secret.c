/* secret.c - judges one candidate: how random it is, whether it is a placeholder or code, whether its own checksum fits;
 * and what may be shown of it. Pure; any thread. */
#include "gate/credentials/cred-internal.h"

#include "base/hash.h"

#include <ctype.h>
#include <math.h>

double cred_entropy(str s)
{
	unsigned count[256] = { 0 };
	double   h = 0;

	for (size_t i = 0; i < s.len; i++)
		count[(unsigned char)s.ptr[i]]++;
	for (size_t i = 0; i < 256; i++)
		if (count[i]) {
			double p = (double)count[i] / (double)s.len;

			h -= p * log2(p);
		}
	return h;
}

/* CRC-32 of ISO 3309, as in zlib, without its table: it runs on 30 bytes. */
uint32_t cred_crc32(str s)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < s.len; i++) {
		crc ^= (unsigned char)s.ptr[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

/* GitHub and npm: the last 6 characters are the CRC-32, in base 62, of what stands between the last '_' and them. */
bool cred_checksum_ok(enum cred_checksum kind, str secret)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t          want = 0;
	size_t            from = secret.len;

	if (kind != CHECKSUM_CRC32_BASE62 || secret.len < 16)
		return false;
	for (size_t i = secret.len - 6; i < secret.len; i++) {
		const char *d = memchr(digits, secret.ptr[i], 62);

		if (!d)
			return false;
		want = want * 62 + (uint64_t)(d - digits);
	}
	while (from > 0 && secret.ptr[from - 1] != '_')
		from--;
	if (from + 6 >= secret.len)
		return false;
	return cred_crc32(str_n(secret.ptr + from, secret.len - 6 - from)) == want;
}

static bool contains_word(str low, const char *const *words)
{
	for (; *words; words++)
		if (str_contains(low, str_z(*words)))
			return true;
	return false;
}

/* Runs such as "aaaaaaaa", "12345678", "abcdefgh": neighbours with the same step. Whether one of them has n characters and all
 * of them together (from 4 on) a third of the text: a token drawn at random may hold one by chance or by its format. */
static bool is_counted(str s, size_t n)
{
	size_t run = 2, longest = 0, covered = 0;

	for (size_t i = 2; i <= s.len; i++) {
		int step = i < s.len ? s.ptr[i] - s.ptr[i - 1] : 2;

		if (step >= -1 && step <= 1 && step == s.ptr[i - 1] - s.ptr[i - 2]) {
			run++;
			continue;
		}
		covered += run >= 4 ? run : 0;
		longest = run > longest ? run : longest;
		run = 2;
	}
	return longest >= n && covered * 3 >= s.len;
}

bool cred_is_placeholder(const struct cred_rule *r, str secret)
{
	static const char *const words[] = { "example", "changeme", "change_me", "change-me", "changeit", "placeholder", "xxxxx", "your_", "your-", "yourtoken",
		                                 "yourpass", "yoursecret", "yourkey", "yourapi", "youraccess", "${", "{{", "}}", "<your", "replace_", "replaceme", "replace-",
		                                 "insert_", "dummy", "redacted", "*****", ".....", "<secret", "<token", "<password", "foobar", "notasecret", "not_a_secret", "%(", "$(", "#{", NULL };
	char low[512];
	size_t n = secret.len < sizeof low ? secret.len : sizeof low;

	for (size_t i = 0; i < n; i++)
		low[i] = (char)tolower((unsigned char)secret.ptr[i]);
	return contains_word(str_n(low, n), words) || contains_word(str_n(low, n), r->stop_words) || (!r->certain && secret.len < 256 && is_counted(secret, r->generic ? 6 : 9));
}

/* A value in an assignment that is an expression or a place, and so no secret by itself. Words and names: strength.c. */
bool cred_looks_like_code(str s)
{
	if (!s.len || memchr("$%<&@/.~", s.ptr[0], 8))
		return true;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i];

		if (ch < 0x21 || ch > 0x7e || strchr("(){}[]<>`", ch))
			return true;
	}
	return s.len > 8 && (str_contains(s, STR("://")) || str_contains(s, STR("::")) || str_contains(s, STR("->")));
}

/* Folders and files of tests and examples, where made-up passwords are the rule. */
bool cred_path_is_test(str path)
{
	static const char *const parts[] = { "/test", "/spec/", "/specs/", "/fixture", "/__tests__/", "/__mocks__/", "/mock", "/example", "/sample", "/testdata/",
		                                 "_test.", ".test.", ".spec.", "_spec.", "-test.", "test_", "/node_modules/", "/site-packages/", "/vendor/", "/third_party/", NULL };
	char low[512] = "/";
	size_t n = path.len < sizeof low - 1 ? path.len : sizeof low - 1;

	for (size_t i = 0; i < n; i++)
		low[i + 1] = (char)tolower((unsigned char)path.ptr[i]);
	return contains_word(str_n(low, n + 1), parts);
}

bool cred_path_is_lock(str path)
{
	static const char *const ends[] = { ".lock", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "go.sum", ".secrets.baseline", ".min.js", ".js.map", ".css.map", NULL };

	for (const char *const *p = ends; *p; p++)
		if (str_has_suffix(path, str_z(*p)))
			return true;
	return false;
}

bool cred_named_otherwise(str text, size_t start)
{
	static const char *const ends[] = { "_id", "-id", "name", "url", "uri", "arn", "hash", "digest", "checksum", "version", "region", "path", "fingerprint", "public_key", "publickey", NULL };
	static const char *const still[] = { "secret_id", "key_id", "access_id", "reporter_id", NULL };
	char   low[48];
	size_t n = 0, end = start;

	while (end > 0 && strchr(" \t\"'`:=,(>\\", text.ptr[end - 1]))
		end--;
	while (n < sizeof low - 1 && n < end && (isalnum((unsigned char)text.ptr[end - 1 - n]) || strchr("_-.", text.ptr[end - 1 - n])))
		n++;
	if (end >= 2 && !memcmp(text.ptr + end - 2, "Id", 2))
		return n > 2; /* instanceId */
	for (size_t i = 0; i < n; i++)
		low[i] = (char)tolower((unsigned char)text.ptr[end - n + i]);
	for (const char *const *p = still; *p; p++)
		if (str_has_suffix(str_n(low, n), str_z(*p)))
			return false;
	for (const char *const *p = ends; *p; p++)
		if (str_has_suffix(str_n(low, n), str_z(*p)))
			return true;
	return false;
}

void cred_fingerprint(const unsigned char key[32], const char *rule, str secret, char out[33])
{
	crypto_generichash_state h;
	unsigned char            digest[16];

	crypto_generichash_init(&h, key, 32, sizeof digest);
	crypto_generichash_update(&h, (const unsigned char *)rule, strlen(rule) + 1);
	/* normalised: white space and the escapes of line ends are formatting (a PEM key in JSON is the same key) */
	for (size_t i = 0; i < secret.len; i++) {
		unsigned char ch = (unsigned char)secret.ptr[i];

		if (ch == '\\' && i + 1 < secret.len && strchr("nrt", secret.ptr[i + 1]) && secret.ptr[i + 1])
			i++;
		else if (!isspace(ch))
			crypto_generichash_update(&h, &ch, 1);
	}
	crypto_generichash_final(&h, digest, sizeof digest);
	hex_of(digest, sizeof digest, out);
}

/* At most 4 characters, and never a fifth of what is to be kept secret: a short password shows nothing. */
void cred_excerpt(str secret, bool certain, struct buf *out)
{
	str    shown = str_trim(secret);
	size_t n = certain ? 4 : secret.len / 6;

	n = n > 4 ? 4 : n;
	if (secret.len < 12)
		n = 0;
	buf_addc(out, '"');
	for (size_t i = 0; i < n; i++)
		buf_addc(out, i < shown.len && isprint((unsigned char)shown.ptr[i]) ? shown.ptr[i] : '?');
	buf_addf(out, "...\" (%zu characters)", secret.len);
}
