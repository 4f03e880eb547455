/* version.c - parsing, comparing, ecosystems and OSV ranges. Pure; any thread. */
#include "lang/version/version-internal.h"

const char *version_order_name(enum version_order o)
{
	static const char *const names[] = {
#define X(id, name) name,
		VERSION_ORDER_TABLE(X)
#undef X
	};

	return o < VERSION_ORDERS ? names[o] : "unknown";
}

bool version_order_of(str ecosystem, enum version_order *ret)
{
	static const struct {
		const char *name;
		enum version_order order;
	} table[] = {
		{ "npm", VERSION_SEMVER },        { "crates.io", VERSION_SEMVER },
		{ "Go", VERSION_SEMVER },         { "Hex", VERSION_SEMVER },
		{ "SwiftURL", VERSION_SEMVER },   { "GitHub Actions", VERSION_SEMVER },
		{ "Bitnami", VERSION_SEMVER },    { "ConanCenter", VERSION_SEMVER },
		{ "Julia", VERSION_SEMVER },      { "PyPI", VERSION_PYPI },
		{ "Debian", VERSION_DEBIAN },     { "Ubuntu", VERSION_DEBIAN },
		{ "Echo", VERSION_DEBIAN },       { "Red Hat", VERSION_RPM },
		{ "Rocky Linux", VERSION_RPM },   { "AlmaLinux", VERSION_RPM },
		{ "SUSE", VERSION_RPM },          { "openSUSE", VERSION_RPM },
		{ "openEuler", VERSION_RPM },     { "Mageia", VERSION_RPM },
		{ "Photon OS", VERSION_RPM },     { "Maven", VERSION_MAVEN },
		{ "RubyGems", VERSION_RUBYGEMS }, { "Packagist", VERSION_PACKAGIST },
		{ "Alpine", VERSION_ALPINE },     { "Chainguard", VERSION_ALPINE },
		{ "Wolfi", VERSION_ALPINE },      { "MinimOS", VERSION_ALPINE },
		{ "Alpaquita", VERSION_ALPINE },  { "BellSoft Hardened Containers", VERSION_ALPINE },
		{ "NuGet", VERSION_NUGET },       { "Pub", VERSION_PUB },
		{ "CRAN", VERSION_CRAN },         { "Bioconductor", VERSION_CRAN },
		{ "Hackage", VERSION_HACKAGE },   { "GHC", VERSION_HACKAGE },
	};
	str name, release;

	str_cut(ecosystem, ':', &name, &release);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (str_eqz(name, table[i].name)) {
			*ret = table[i].order;
			return true;
		}
	}
	return false;
}

/* --- keys --- */

bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static str take(str *s, bool (*fits)(char c))
{
	size_t n = 0;
	str run;

	while (n < s->len && fits(s->ptr[n]))
		n++;
	run = str_sub(*s, 0, n);
	*s = str_sub(*s, n, s->len);
	return run;
}

str take_digits(str *s)
{
	return take(s, is_digit);
}

str take_letters(str *s)
{
	return take(s, is_letter);
}

str cut_zeros(str digits)
{
	while (digits.len && digits.ptr[0] == '0')
		digits = str_sub(digits, 1, digits.len);
	return digits;
}

void key_number(struct buf *key, str digits)
{
	digits = cut_zeros(digits);
	buf_addc(key, (char)(digits.len >> 8));
	buf_addc(key, (char)digits.len);
	buf_add_str(key, digits);
}

/* Zero bytes (which no sane version has) become 1 1, ones 1 2, so that the 0 at the end stays the smallest. */
static void key_char(struct buf *key, char c)
{
	if (c == 0 || c == 1) {
		buf_addc(key, 1);
		c = (char)(c + 1);
	}
	buf_addc(key, c);
}

void key_text(struct buf *key, str s)
{
	for (size_t i = 0; i < s.len; i++)
		key_char(key, s.ptr[i]);
	buf_addc(key, 0);
}

void key_text_lower(struct buf *key, str s)
{
	for (size_t i = 0; i < s.len; i++)
		key_char(key, s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i]);
	buf_addc(key, 0);
}

static void make_key(struct buf *key, str s, struct version *v)
{
	switch (v->order) {
	case VERSION_PYPI: key_pypi(key, s, v); return;
	case VERSION_DEBIAN: key_debian(key, s); return;
	case VERSION_RPM: key_rpm(key, s, v); return;
	case VERSION_ALPINE: key_alpine(key, s); return;
	case VERSION_RUBYGEMS: key_rubygems(key, s, v); return;
	case VERSION_PACKAGIST: v->any = key_packagist(key, s); return;
	case VERSION_CRAN: key_dotted(key, s, ".-"); return;
	case VERSION_HACKAGE: key_dotted(key, s, "."); return;
	default: key_semver(key, s, v);
	}
}

int version_parse(struct arena *a, enum version_order order, str text, struct version **ret, struct err *reterr)
{
	struct buf key CLEANUP_BUF = BUF_INIT(16 * LIMIT_VERSION_BYTES);
	struct version *v = ARENA_NEW(a, struct version);
	int r = 0;

	text = str_trim(text);
	if (!text.len)
		return err_set(reterr, WEIR_EINVAL, "a version must not be empty");
	if (text.len > LIMIT_VERSION_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "a version of %zu bytes is longer than %d", text.len, LIMIT_VERSION_BYTES);
	if (!v)
		return arena_check(a, "version", reterr);
	v->order = order;
	v->text = arena_str(a, text);
	if (order == VERSION_MAVEN) {
		r = maven_parse(a, text, v, reterr);
	} else {
		make_key(&key, text, v);
		r = buf_check(&key, "version", reterr);
		v->key = arena_str(a, buf_str(&key));
	}
	if (!r && order == VERSION_PACKAGIST)
		r = packagist_pad(a, v, reterr);
	if (!r)
		r = arena_check(a, "version", reterr);
	if (!r)
		*ret = v;
	return r;
}

int version_compare(const struct version *a, const struct version *b)
{
	size_t n = a->key.len < b->key.len ? a->key.len : b->key.len;
	int r;

	if (a->order != b->order)
		BUG("versions of two orders compared");
	if (a->order == VERSION_MAVEN)
		return maven_compare(a, b);
	if (a->any || b->any)
		return packagist_compare_any(a->key, b->key);
	r = memcmp(a->key.ptr, b->key.ptr, n);
	return r ? r : a->key.len < b->key.len ? -1 : a->key.len > b->key.len;
}

/* --- OSV --- */

/* "0" is before everything; at one version: what fixes, what introduces, what was affected last. */
static int compare_events(const void *l, const void *r)
{
	static const int ranks[] = {
		[VERSION_FIXED] = 0, [VERSION_INTRODUCED] = 1, [VERSION_LAST_AFFECTED] = 2, [VERSION_LIMIT] = 3
	};
	const struct version_event *a = l, *b = r;
	int c = 0;

	if (a->at && b->at)
		c = version_compare(a->at, b->at);
	else if (a->at || b->at)
		c = a->at ? 1 : -1;
	return c ? c : ranks[a->kind] - ranks[b->kind];
}

bool version_affected(const struct version *v, struct version_event *events, size_t n)
{
	bool affected = false, limited = false, within = false;

	for (size_t i = 0; i < n; i++) {
		if (events[i].kind != VERSION_LIMIT)
			continue;
		limited = true;
		within = within || !events[i].at || version_compare(v, events[i].at) < 0;
	}
	if (limited && !within)
		return false;
	qsort(events, n, sizeof(*events), compare_events);
	for (size_t i = 0; i < n; i++) {
		int c = events[i].at ? version_compare(v, events[i].at) : 1;

		if (events[i].kind == VERSION_INTRODUCED && c >= 0)
			affected = true;
		else if (events[i].kind == VERSION_FIXED && c >= 0)
			affected = false;
		else if (events[i].kind == VERSION_LAST_AFFECTED && c > 0)
			affected = false;
	}
	return affected;
}
