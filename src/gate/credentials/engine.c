/* engine.c - the scanner: one vectorscan pass over a text, PCRE2 around each place it names, then the secret is judged.
 *
 * Guarantees: each byte is tried as the begin of a match at most once per rule, so the time is linear in the text; an
 * expression that gives up is an error, never a clean text. A struct cred is immutable after cred_new(); each thread
 * scans with a worker of its own, taken from a pool. The compiled database is kept in a file named by a digest of rules
 * and library version; a file that does not fit is made anew. */
#include "gate/credentials/cred-internal.h"

#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"

#include <stdlib.h>

enum {
	RULES_BYTES_MAX = 16 << 20, /* trees of all rule files */
	DB_BYTES_MAX = 64 << 20,
	WORKERS_KEPT = 16,
	JIT_STACK_MAX = 512 << 10,
	MATCH_LIMIT = 1000000,
	HITS_MAX = 10000, /* of one text: further ones add nothing to "refused" */
	BINARY_LOOK = 8000, /* as git: a NUL among the first bytes */
};
static const unsigned char public_key[32] = "weir credentials fingerprint 1";

/* --- the database --- */
static void digest_of(const struct cred_rules *rs, char hex[SHA256_HEX])
{
	struct buf all = BUF_INIT(RULES_BYTES_MAX);

	buf_addf(&all, "%s\n", hs_version());
	for (size_t i = 0; i < rs->triggers.n; i++)
		buf_addf(&all, "%s\n%u %u\n", rs->triggers.v[i].pattern, rs->triggers.v[i].flags, rs->triggers.v[i].rule);
	sha256_hex(buf_str(&all), hex);
	buf_fini(&all);
}

static hs_database_t *db_load(const char *path)
{
	CLEANUP_BUF struct buf data = BUF_INIT(DB_BYTES_MAX);
	hs_database_t         *db = NULL;

	if (!fs_exists(path) || fs_read(path, &data, NULL) || hs_deserialize_database(data.ptr, data.len, &db))
		return NULL; /* of another processor, or broken: made anew */
	return db;
}

static void db_store(const char *dir, const char *path, const hs_database_t *db)
{
	char  *data;
	size_t n;

	if (hs_serialize_database(db, &data, &n))
		return;
	/* A cache: when it cannot be written the next start compiles again. */
	if (!fs_mkdirs(dir, 0700, NULL))
		if (fs_write_quick(path, str_n(data, n), 0600, NULL))
			(void)0;
	free(data);
}

static int db_compile(const struct cred_rules *rs, hs_database_t **ret, struct err *reterr)
{
	size_t              n = rs->triggers.n;
	const char        **patterns = calloc(n + 1, sizeof *patterns);
	unsigned           *flags = calloc(n + 1, sizeof *flags), *ids = calloc(n + 1, sizeof *ids);
	hs_compile_error_t *ce = NULL;
	int                 rc = patterns && flags && ids ? 0 : err_set(reterr, WEIR_ENOMEM, "no memory to compile rules");

	for (size_t i = 0; !rc && i < n; i++) {
		patterns[i] = rs->triggers.v[i].pattern;
		flags[i] = rs->triggers.v[i].flags;
		ids[i] = rs->triggers.v[i].rule;
	}
	if (!rc && hs_compile_multi(patterns, flags, ids, (unsigned)n, HS_MODE_BLOCK, NULL, ret, &ce)) {
		rc = err_set(reterr, WEIR_EINVAL, "rule '%s': trigger '%s': %s",
		             ce->expression >= 0 ? rs->rules.v[rs->triggers.v[ce->expression].rule].id : "?",
		             ce->expression >= 0 ? patterns[ce->expression] : "?", ce->message);
		hs_free_compile_error(ce);
	}
	free(patterns);
	free(flags);
	free(ids);
	return rc;
}

static int db_open(struct cred *c, const char *cache_dir, struct err *reterr)
{
	char hex[SHA256_HEX], path[4096];
	int  rc;

	if (cache_dir) {
		digest_of(&c->rules, hex);
		if (snprintf(path, sizeof path, "%s/credentials-%.32s.hsdb", cache_dir, hex) >= (int)sizeof path)
			return err_set(reterr, WEIR_ELIMIT, "the path of the cache folder is too long: %s", cache_dir);
		c->db = db_load(path);
		if (c->db)
			return 0;
	}
	rc = db_compile(&c->rules, &c->db, reterr);
	if (!rc && cache_dir)
		db_store(cache_dir, path, c->db);
	return rc;
}

int cred_new(const struct cred_config *cfg, struct cred **ret, struct err *reterr)
{
	struct cred *c = calloc(1, sizeof *c);
	int          rc = 0;

	if (!c)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the credentials check");
	arena_init(&c->rules.arena, RULES_BYTES_MAX);
	c->threads = cfg->threads ? (cfg->threads < 16 ? cfg->threads : 16) : 2;
	memcpy(c->key, cfg->fingerprint_key ? cfg->fingerprint_key : public_key, sizeof c->key);
	for (size_t i = 0; !rc && i < cred_rule_files_n; i++)
		rc = cred_rules_read(&c->rules, cred_rule_files[i].name, cred_rule_files[i].data, reterr);
	if (!rc)
		rc = db_open(c, cfg->cache_dir, reterr);
	if (!rc)
		rc = bqueue_new(WORKERS_KEPT, &c->workers, reterr);
	if (rc) {
		cred_free(c);
		return rc;
	}
	*ret = c;
	return 0;
}

static void worker_free(struct cred_worker *w)
{
	if (!w)
		return;
	hs_free_scratch(w->scratch);
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->context);
	pcre2_jit_stack_free(w->stack);
	free(w->next);
	VEC_FINI(&w->hits);
	buf_fini(&w->decoded);
	buf_fini(&w->inner);
	free(w);
}

struct cred *cred_free(struct cred *c)
{
	struct cred_worker *w;

	if (!c)
		return NULL;
	while (c->workers && (w = bqueue_pop(c->workers, 0)))
		worker_free(w);
	bqueue_free(c->workers);
	hs_free_database(c->db);
	cred_rules_fini(&c->rules);
	free(c);
	return NULL;
}

size_t cred_n_rules(const struct cred *c) { return c->rules.rules.n; }

struct cred_rule_info cred_rule_at(const struct cred *c, size_t i)
{
	const struct cred_rule *r = &c->rules.rules.v[i];

	return (struct cred_rule_info){ .id = r->id, .title = r->title, .provider = r->provider, .generic = r->generic };
}

/* --- workers --- */
int cred_worker_get(struct cred *c, struct cred_worker **ret, struct err *reterr)
{
	struct cred_worker *w = bqueue_pop(c->workers, 0);

	if (w) {
		*ret = w;
		return 0;
	}
	w = calloc(1, sizeof *w);
	if (!w)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a scanner");
	w->c = c;
	buf_init(&w->inner, LIMIT_SCAN_BLOB_BYTES);
	buf_init(&w->decoded, LIMIT_SCAN_BLOB_BYTES * 3 / 2 + 16); /* 2 bytes of UTF-16 are at most 3 of UTF-8 */
	w->match = pcre2_match_data_create(16, NULL);
	w->context = pcre2_match_context_create(NULL);
	w->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_MAX, NULL);
	w->next = calloc(c->rules.rules.n + 1, sizeof *w->next);
	if (!w->match || !w->context || !w->stack || !w->next || hs_alloc_scratch(c->db, &w->scratch)) {
		worker_free(w);
		return err_set(reterr, WEIR_ENOMEM, "no memory for a scanner");
	}
	pcre2_jit_stack_assign(w->context, NULL, w->stack);
	pcre2_set_match_limit(w->context, MATCH_LIMIT);
	*ret = w;
	return 0;
}

void cred_worker_put(struct cred *c, struct cred_worker *w)
{
	if (w->decoded.cap > 1 << 20)
		buf_fini(&w->decoded);
	if (bqueue_push(c->workers, w, NULL))
		worker_free(w);
}

/* --- one text --- */
static bool path_excluded(const struct cred_rule *r, str path)
{
	for (const char *const *p = r->not_paths; *p; p++)
		if (str_has_suffix(path, str_z(*p)))
			return true;
	return (r->generic || r->any_case) && cred_path_is_lock(path);
}

/* What of the value is judged: itself, or what it encodes where that is text. Null when it is not what the rule looks for. */
static str judged_part(struct cred_worker *w, const struct cred_rule *r, str secret)
{
	str text, name, password;

	if (!r->base64)
		return secret;
	buf_clear(&w->inner);
	if (!base64_parse(str_trim(secret), &w->inner) || !w->inner.len)
		return r->basic ? STR_NULL : secret;
	text = str_trim(buf_str(&w->inner));
	if (r->basic)
		return str_cut(text, ':', &name, &password) ? password : STR_NULL;
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] > 0x7e)
			return secret; /* no text: the bytes of a key */
	return text;
}

/* Is the match a secret, and is it a weak one? */
static bool is_secret(struct cred_worker *w, const struct cred_rule *r, str secret, bool password, bool *ret_weak)
{
	enum cred_strength strength;
	str                part;

	*ret_weak = false;
	if (r->checksum != CHECKSUM_NONE && cred_checksum_ok(r->checksum, secret))
		return true; /* nobody writes a placeholder whose checksum fits */
	if (r->entropy_min > 0 && cred_entropy(secret) < r->entropy_min)
		return false;
	if (cred_is_placeholder(r, secret))
		return false;
	if (r->generic && cred_looks_like_code(secret))
		return false;
	if (r->any_case && cred_named_otherwise(w->text, (size_t)(secret.ptr - w->text.ptr)))
		return false;
	part = judged_part(w, r, secret);
	if (!part.ptr)
		return false;
	if (r->judge == JUDGE_NONE)
		return true;
	strength = cred_strength(part, password || r->judge == JUDGE_PASSWORD);
	if (part.ptr != secret.ptr && cred_is_placeholder(r, part))
		strength = STRENGTH_NONE;
	*ret_weak = strength != STRENGTH_STRONG;
	/* a header is a header whatever the password; encoded text with a structure may hold one somewhere */
	return strength != STRENGTH_NONE || r->basic || (part.ptr != secret.ptr && memchr(part.ptr, '{', part.len));
}

/* Tries rule r with matches that begin in [from, to]. */
static int confirm(struct cred_worker *w, unsigned rule, size_t from, size_t to)
{
	const struct cred_rule *r = &w->c->rules.rules.v[rule];
	size_t                  end = w->text.len - to > r->reach ? to + r->reach : w->text.len;
	PCRE2_SIZE             *ov = pcre2_get_ovector_pointer(w->match);

	w->tried += to - from + 1;
	pcre2_set_offset_limit(w->context, to);
	while (from <= to) {
		int rc = pcre2_match(r->code, (PCRE2_SPTR)w->text.ptr, end, from, 0, w->match, w->context);
		str  secret;
		bool weak;

		if (rc == PCRE2_ERROR_NOMATCH)
			break;
		if (rc < 0)
			return err_set(&w->err, WEIR_ELIMIT, "rule '%s' gave up near byte %zu of %.*s (PCRE2 error %d)", r->id, to, STR_ARG(w->path), rc);
		if (ov[2 * r->group] == PCRE2_UNSET || w->hits.n >= HITS_MAX)
			break;
		secret = str_n(w->text.ptr + ov[2 * r->group], ov[2 * r->group + 1] - ov[2 * r->group]);
		if (is_secret(w, r, secret, r->password && ov[2 * r->password] != PCRE2_UNSET, &weak)) {
			struct cred_hit h = { .rule = rule, .weak = weak, .start = ov[2 * r->group], .end = ov[2 * r->group + 1] };

			if (!VEC_PUSH(&w->hits, h))
				return err_set(&w->err, WEIR_ENOMEM, "no memory for hits");
		}
		from = ov[1] > from ? ov[1] : from + 1;
	}
	w->next[rule] = from > to ? from : to + 1;
	return 0;
}

static int on_trigger(unsigned rule, unsigned long long from UNUSED, unsigned long long to, unsigned flags UNUSED, void *ctx)
{
	struct cred_worker     *w = ctx;
	const struct cred_rule *r = &w->c->rules.rules.v[rule];
	size_t                  first = to > r->before ? (size_t)to - r->before : 0;

	if (w->binary && !r->certain)
		return 0;
	if (first < w->next[rule])
		first = w->next[rule];
	return first > to ? 0 : confirm(w, rule, first, (size_t)to);
}

/* A rule of a certain format goes before one that needs its surroundings, and that before a generic one, one of which that only warns comes last. */
static int rank(const struct cred_worker *w, const struct cred_hit *h)
{
	const struct cred_rule *r = &w->c->rules.rules.v[h->rule];

	return r->generic ? 2 + (r->severity != SEVERITY_ERROR) : r->certain ? 0 : 1;
}

static int hit_order(const void *pa, const void *pb, void *ctx)
{
	const struct cred_hit *a = pa, *b = pb;
	int                    c = rank(ctx, a) - rank(ctx, b);

	if (!c && a->end - a->start != b->end - b->start)
		c = a->end - a->start > b->end - b->start ? -1 : 1;
	if (!c)
		c = (a->start > b->start) - (a->start < b->start);
	return c ? c : (a->rule > b->rule) - (a->rule < b->rule);
}

static int place_order(const void *pa, const void *pb)
{
	const struct cred_hit *a = pa, *b = pb;

	return (a->start > b->start) - (a->start < b->start);
}

/* Of hits that overlap only the best stays. Kept ones are few; a text with very many is cut to the first HITS_COMPARED. */
static void choose(struct cred_worker *w)
{
	size_t kept = 0;

	if (w->hits.n < 2)
		return;
	qsort_r(w->hits.v, w->hits.n, sizeof *w->hits.v, hit_order, w);
	for (size_t i = 0; i < w->hits.n; i++) {
		struct cred_hit h = w->hits.v[i];
		bool            overlaps = false;

		for (size_t k = 0; k < kept && !overlaps; k++)
			overlaps = h.start < w->hits.v[k].end && w->hits.v[k].start < h.end;
		if (!overlaps)
			w->hits.v[kept++] = h;
	}
	w->hits.n = kept;
	qsort(w->hits.v, w->hits.n, sizeof *w->hits.v, place_order);
}

static void add_utf8(struct buf *out, uint32_t cp)
{
	char b[4];
	int  n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	if (n == 1)
		b[0] = (char)cp;
	else
		for (int i = n - 1; i >= 0; i--, cp >>= 6)
			b[i] = (char)(i ? 0x80 | (cp & 0x3f) : (0xf00 >> n & 0xff) | cp);
	buf_add(out, b, (size_t)n);
}

static void decode_utf16(struct buf *out, str text, bool big)
{
	const unsigned char *p = (const unsigned char *)text.ptr;

	buf_clear(out);
	for (size_t i = 2; i + 1 < text.len; i += 2) {
		uint32_t u = big ? (uint32_t)p[i] << 8 | p[i + 1] : (uint32_t)p[i + 1] << 8 | p[i];

		if (u >= 0xd800 && u < 0xdc00 && i + 3 < text.len) {
			uint32_t lo = big ? (uint32_t)p[i + 2] << 8 | p[i + 3] : (uint32_t)p[i + 3] << 8 | p[i + 2];

			if (lo >= 0xdc00 && lo < 0xe000) {
				u = 0x10000 + ((u - 0xd800) << 10) + (lo - 0xdc00);
				i += 2;
			}
		}
		add_utf8(out, u >= 0xd800 && u < 0xe000 ? 0xfffd : u);
	}
}

int cred_worker_scan(struct cred_worker *w, str path, str text, struct err *reterr)
{
	hs_error_t rc;

	w->hits.n = 0;
	w->tried = 0;
	w->err = (struct err){ 0 };
	w->path = path;
	w->text = text;
	if (text.len >= 2 && (!memcmp(text.ptr, "\xff\xfe", 2) || !memcmp(text.ptr, "\xfe\xff", 2))) {
		decode_utf16(&w->decoded, text, text.ptr[0] == '\xfe');
		if (buf_check(&w->decoded, "decoded text", reterr))
			return reterr ? -reterr->code : -WEIR_ELIMIT;
		w->text = buf_str(&w->decoded);
	}
	if (!w->text.len)
		return 0;
	w->binary = memchr(w->text.ptr, 0, w->text.len < BINARY_LOOK ? w->text.len : BINARY_LOOK) != NULL;
	memset(w->next, 0, w->c->rules.rules.n * sizeof *w->next);
	rc = hs_scan(w->c->db, w->text.ptr, (unsigned)w->text.len, 0, w->scratch, on_trigger, w);
	if (rc == HS_SCAN_TERMINATED)
		return err_set(reterr, w->err.code, "%s", w->err.msg);
	if (rc != HS_SUCCESS)
		return err_set(reterr, WEIR_EINTERNAL, "vectorscan failed with %d on %.*s", rc, STR_ARG(path));
	choose(w);
	for (size_t i = 0; i < w->hits.n;) /* paths a rule does not look at: asked only when something was found */
		if (path_excluded(&w->c->rules.rules.v[w->hits.v[i].rule], path)) {
			w->hits.n--;
			memmove(&w->hits.v[i], &w->hits.v[i + 1], (w->hits.n - i) * sizeof *w->hits.v);
		} else {
			i++;
		}
	return 0;
}
