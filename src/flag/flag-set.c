/* flag-set.c - compiles flags into shards that revisions share (see flag-set.h). Pure; a set is made for one thread (of a large one
 * the shards by several at once) and read by any.
 *
 * common: what all flags of a set refer to (evaluators, metadata); it lives as long as a shard that was compiled against it. References are counted
 * atomically; what they count never changes. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "flag/flag-set.h"
#include "flag/flag-unleash.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
	SHARD_FLAGS = 64, /* aimed at: one edit compiles so many */
	SHARD_ARENA_MAX = 1 << 30,
	COMMON_ARENA_MAX = 256 << 20,
	PARSE_ARENA_MAX = 64 << 20,
	FILL_THREADS = 4, /* at most, with the caller's */
	FILL_ALONE = 20000, /* flags below which one thread is as fast */
};

struct flag_common {
	atomic_size_t           refs;
	struct arena            arena;
	const struct doc_node  *metadata; /* NULL: none */
	str                     evaluators_text, metadata_text, segments_text, merged;
	struct logic_evaluators *evaluators;
	struct unleash_segments *segments;
	enum logic_fractional    bucketing;
};
struct flag_shard {
	atomic_size_t       refs;
	struct arena        arena;
	struct flag_common *common;
	struct flag        *flags; /* by hash, then key */
	size_t              n;
	bool                timed; /* what one of them says depends on the time */
};
struct flag_set {
	atomic_size_t        refs;
	struct flag_set_head head; /* texts in `common` but the id */
	char                *id;
	struct flag_common  *common;
	struct flag_shard  **shards; /* NULL: an empty one */
	size_t               n_shards; /* a power of two */
	size_t               count;
	bool                 timed;
};

/* --- references --- */

static struct flag_common *common_unref(struct flag_common *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1) {
		arena_fini(&c->arena);
		free(c);
	}
	return NULL;
}

static void shard_unref(struct flag_shard *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	common_unref(s->common);
	arena_fini(&s->arena);
	free(s);
}

struct flag_set *flag_set_ref(struct flag_set *s)
{
	atomic_fetch_add(&s->refs, 1);
	return s;
}

struct flag_set *flag_set_unref(struct flag_set *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return NULL;
	for (size_t i = 0; s->shards && i < s->n_shards; i++)
		shard_unref(s->shards[i]);
	free(s->shards);
	common_unref(s->common);
	free(s->id);
	free(s);
	return NULL;
}

/* --- what all flags share --- */

/* n's members as a JSON object, after those of `first` that n does not have itself; empty when there are none; into a. */
static str merged(struct arena *a, const struct doc_node *first, const struct doc_node *n)
{
	struct buf CLEANUP_BUF out = BUF_INIT(LIMIT_FLAG_HEAD_BYTES + LIMIT_FLAG_BYTES);
	struct jw              w;

	jw_init(&w, &out);
	jw_obj(&w);
	for (size_t i = 0; i < doc_len(first); i++)
		if (!doc_get_n(n, first->map.pairs[i].key)) {
			jw_key_n(&w, first->map.pairs[i].key);
			jw_node(&w, first->map.pairs[i].value);
		}
	for (size_t i = 0; i < doc_len(n); i++) {
		jw_key_n(&w, n->map.pairs[i].key);
		jw_node(&w, n->map.pairs[i].value);
	}
	jw_end(&w);
	return out.len > 2 ? arena_str(a, buf_str(&out)) : (str){ "", 0 };
}

static int parse_part(struct arena *a, const char *what, str text, const struct doc_node **ret, struct err *reterr)
{
	struct doc_node *n = NULL;
	int              rc = 0;

	*ret = NULL;
	if (text.len > LIMIT_FLAG_HEAD_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "%s of a set: at most %d bytes", what, LIMIT_FLAG_HEAD_BYTES);
	if (text.len)
		rc = doc_parse_json(a, what, text, &n, reterr);
	if (!rc && n && n->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "%s of a set must be a map", what);
	*ret = n;
	return rc;
}

static enum logic_fractional bucketing_of(const struct doc_node *metadata)
{
	str s = doc_get_str(metadata, "bucketing");

	return str_eqz(s, "v1") ? LOGIC_FRACTIONAL_V1 : str_eqz(s, "v3") ? LOGIC_FRACTIONAL_V3 : LOGIC_FRACTIONAL_V2;
}

static int common_new(const struct flag_set_head *head, struct flag_common **ret, struct err *reterr)
{
	struct flag_common    *c = calloc(1, sizeof(*c));
	const struct doc_node *evaluators, *segments = NULL;
	struct logic_options   o = { .dialect = LOGIC_FLAGD, .file = NULL };
	int                    rc;

	if (!c)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a set of flags");
	atomic_init(&c->refs, 1);
	arena_init(&c->arena, COMMON_ARENA_MAX);
	c->evaluators_text = arena_str(&c->arena, head->evaluators);
	c->metadata_text = arena_str(&c->arena, head->metadata);
	c->segments_text = arena_str(&c->arena, head->segments);
	rc = parse_part(&c->arena, "$evaluators", c->evaluators_text, &evaluators, reterr);
	if (!rc)
		rc = parse_part(&c->arena, "metadata", c->metadata_text, &c->metadata, reterr);
	if (!rc)
		rc = parse_part(&c->arena, "segments", c->segments_text, &segments, reterr);
	if (!rc)
		rc = unleash_segments_compile(&c->arena, segments, &c->segments, reterr);
	c->bucketing = bucketing_of(c->metadata);
	o.fractional = c->bucketing;
	if (!rc)
		rc = logic_evaluators_compile(&c->arena, evaluators, &o, &c->evaluators, reterr);
	if (!rc) {
		c->merged = merged(&c->arena, NULL, c->metadata);
		rc = arena_check(&c->arena, "evaluators and metadata of a set of flags", reterr);
	}
	if (rc)
		c = common_unref(c);
	*ret = c;
	return rc;
}

/* --- one flag --- */

static void copy_prerequisites(struct arena *a, const struct flag_def *d, struct flag *f)
{
	struct flag_prerequisite *v;

	if (!d->n_prerequisites || !(v = ARENA_ARRAY(a, d->n_prerequisites, struct flag_prerequisite)))
		return;
	for (size_t i = 0; i < d->n_prerequisites; i++) {
		const struct flag_prerequisite_def *p = &d->prerequisites[i];
		str                                *names = ARENA_ARRAY(a, p->n_variants + 1, str);

		for (size_t j = 0; names && j < p->n_variants; j++)
			names[j] = arena_str(a, p->variants[j]);
		v[i] = (struct flag_prerequisite){ arena_str(a, p->flag), names, names ? p->n_variants : 0 };
	}
	f->prerequisites = v;
	f->n_prerequisites = d->n_prerequisites;
}

static bool is_whole(const struct doc_node *n) { return n->kind == DOC_INT || (n->kind == DOC_REAL && n->d == trunc(n->d)); }

static void copy_variants(struct arena *a, const struct flag_def *d, struct flag *f)
{
	struct buf CLEANUP_BUF json = BUF_INIT(LIMIT_FLAG_BYTES * 2);
	struct flag_variant   *v = ARENA_ARRAY(a, d->n_variants + 1, struct flag_variant);
	struct jw              w;

	for (size_t i = 0; v && i < d->n_variants; i++) {
		str    name = d->variants[i].name, text;
		size_t name_at, name_len, value_at;

		json.len = 0;
		buf_addz(&json, "\"variant\":\"");
		name_at = json.len;
		buf_add_json(&json, name);
		name_len = json.len - name_at;
		buf_addz(&json, "\",\"value\":");
		value_at = json.len;
		jw_init(&w, &json);
		jw_node(&w, d->variants[i].value);
		text = arena_str(a, buf_str(&json));
		v[i] = (struct flag_variant){
			.name = name_len == name.len ? str_sub(text, name_at, name_len) : arena_str(a, name), /* a part of the text where nothing had to be escaped */
			.json = str_sub(text, value_at, text.len),
			.answer = text,
			.whole = is_whole(d->variants[i].value),
			.type = d->type,
		};
	}
	f->variants = v;
	f->n_variants = v ? d->n_variants : 0;
}

static void compile_rule(struct flag_shard *s, const struct doc_node *rule, struct flag *f)
{
	struct logic_options o = { .dialect = LOGIC_FLAGD, .evaluators = s->common->evaluators, .fractional = s->common->bucketing };
	struct logic_rule   *r = NULL;
	struct err           err = { 0 };

	if (rule && logic_compile(&s->arena, rule, &o, &r, &err))
		f->broken = arena_printf(&s->arena, "targeting: %s", err.msg);
	f->rule = r;
}

/* --- Unleash's kind --- */

/* The variants of a feature that has some as flagd's would stand in a definition; one without is on or off. */
static void unleash_variants(struct flag_shard *s, struct flag *f)
{
	struct arena CLEANUP_ARENA scratch = ARENA_INIT(PARSE_ARENA_MAX);
	struct flag_def            d = { .type = FLAG_ANY };

	if (!flag_unleash_variants(f->unleash, &scratch, &d.variants, &d.n_variants)) {
		f->broken = "its variants take too much memory";
		return;
	}
	copy_variants(&s->arena, &d, f);
	for (size_t i = 0; i < f->n_variants; i++) {
		struct flag_variant *one = (struct flag_variant *)(uintptr_t)&f->variants[i];

		one->type = flag_type_of(d.variants[i].value);
		f->type = i && f->type != one->type ? FLAG_ANY : one->type;
	}
}

static void compile_unleash(struct flag_shard *s, const struct doc_node *n, struct flag *f)
{
	struct buf CLEANUP_BUF  json = BUF_INIT(LIMIT_FLAG_BYTES * 2);
	struct unleash_feature *u = NULL;
	struct err              err = { 0 };
	struct jw               w;

	jw_init(&w, &json);
	jw_node(&w, n);
	f->unleash_text = arena_str(&s->arena, buf_str(&json));
	if (unleash_compile(&s->arena, f->key, n, s->common->segments, &u, &err)) {
		f->broken = arena_printf(&s->arena, "unleash: %s", err.msg);
		return;
	}
	f->unleash = u;
	unleash_variants(s, f);
}

static void compile_def(struct flag_shard *s, const struct flag_def *d, struct flag *f)
{
	f->enabled = d->enabled;
	f->type = d->type;
	f->default_variant = d->default_variant;
	f->purpose = d->purpose;
	f->archived = d->archived;
	f->expires = d->expires;
	f->from = d->from;
	f->until = d->until;
	f->owner = arena_str(&s->arena, d->owner);
	copy_prerequisites(&s->arena, d, f);
	f->metadata = d->metadata ? merged(&s->arena, s->common->metadata, d->metadata) : s->common->merged;
	if (d->unleash) {
		compile_unleash(s, d->unleash, f);
		return;
	}
	copy_variants(&s->arena, d, f);
	compile_rule(s, d->targeting, f);
}

/* While it is rolled out, answers say which arm they are of. A word of the user's own of that name stands. */
static void add_arm(struct flag_shard *s, const struct flag_def *d, const char *arm, struct flag *f)
{
	if (!doc_get(d->metadata, "weir.arm") && !doc_get(s->common->metadata, "weir.arm")) {
		const char *text = arena_printf(&s->arena, "{\"weir.arm\":\"%s\"%s%.*s", arm, f->metadata.len ? "," : "}",
										STR_ARG(str_sub(f->metadata, 1, f->metadata.len)));

		f->metadata = text ? str_z(text) : STR("");
	}
}

static void compile_arms(struct flag_shard *s, const struct flag_rollout_def *d, const struct flag_def *canary, struct flag *f)
{
	struct flag_arms *arms = ARENA_NEW(&s->arena, struct flag_arms);
	struct flag      *stable = ARENA_NEW(&s->arena, struct flag);

	if (!arms || !stable)
		return;
	*stable = (struct flag){ .key = f->key, .key_json = f->key_json, .hash = f->hash, .text = f->text };
	compile_def(s, d->previous, stable);
	add_arm(s, d->previous, "stable", stable);
	add_arm(s, canary, "canary", f);
	*arms = (struct flag_arms){ f, stable, d->share, arena_str(&s->arena, d->id), arena_str(&s->arena, d->salt) };
	f->arms = stable->arms = arms;
}

/* f's key as a JSON text; the key itself is a part of it where nothing had to be escaped. */
static void set_key(struct arena *a, str key, struct flag *f)
{
	struct buf CLEANUP_BUF json = BUF_INIT(6 * LIMIT_FLAG_KEY_BYTES + 2);

	buf_addc(&json, '"');
	buf_add_json(&json, key);
	buf_addc(&json, '"');
	f->key_json = arena_str(a, buf_str(&json));
	f->key = f->key_json.len == key.len + 2 ? str_sub(f->key_json, 1, key.len) : arena_str(a, key);
}

/* A definition that is none makes a broken flag, not a failure: it was checked when it was written, and others must go on. */
static void compile_flag(struct flag_shard *s, str key, uint64_t hash, str text, struct arena *scratch, struct flag *f)
{
	struct doc_node *n = NULL;
	struct doc_check c;
	struct flag_def  d;
	struct err       err = { 0 };

	*f = (struct flag){ .hash = hash, .text = arena_str(&s->arena, text), .default_variant = -1 };
	set_key(&s->arena, key, f);
	if (doc_parse_json(scratch, "flag", f->text, &n, &err)) {
		f->broken = arena_dupz(&s->arena, err.msg);
		return;
	}
	doc_check_init(&c, scratch, "flag");
	flag_def_read(&c, f->key, 1, 1, n, &d);
	compile_def(s, &d, f);
	if (d.rollout)
		compile_arms(s, d.rollout, &d, f);
	if (doc_check_result(&c, &err))
		f->broken = arena_dupz(&s->arena, err.msg);
}

/* Does what a rule says depend on the time? It reads $flagd.timestamp, or $flagd as a whole; only $flagd.flagKey is the same at all times. */
static bool reads_time(str text)
{
	const char *at;

	while (text.len && (at = memmem(text.ptr, text.len, "$flagd", 6))) {
		text = str_sub(text, (size_t)(at - text.ptr) + 6, text.len);
		if (!str_has_prefix(text, STR(".flagKey")))
			return true;
	}
	return false;
}

/* --- a shard --- */

struct item {
	str      key, text; /* text empty: removed */
	uint64_t hash;
	size_t   order; /* the later one of a key counts */
};

static uint64_t hash_of(str key)
{
	static const unsigned char seed[crypto_shorthash_KEYBYTES] = { 0 }; /* keys are written by people whom the set trusts */
	uint64_t                   h;

	crypto_shorthash((unsigned char *)&h, (const unsigned char *)key.ptr, key.len, seed);
	return h;
}

static int item_cmp(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	int                c;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if ((c = str_cmp(a->key, b->key)))
		return c;
	return a->order < b->order ? -1 : 1;
}

/* Leaves the last of each key that is not removed; n items sorted. */
static size_t settle(struct item *v, size_t n)
{
	size_t kept = 0;

	qsort(v, n, sizeof(*v), item_cmp);
	for (size_t i = 0; i < n; i++)
		if ((i + 1 == n || v[i].hash != v[i + 1].hash || !str_eq(v[i].key, v[i + 1].key)) && v[i].text.len)
			v[kept++] = v[i];
	return kept;
}

static bool is_timed(const struct flag *f) { return f->from || f->until || (f->unleash && unleash_varies(f->unleash)); }

/* Sorts v. *ret NULL when nothing is left. */
static int shard_new(struct flag_common *common, struct item *v, size_t n, struct flag_shard **ret, struct err *reterr)
{
	struct flag_shard *s;
	int                rc;

	*ret = NULL;
	if (!(n = settle(v, n)))
		return 0;
	if (!(s = calloc(1, sizeof(*s))))
		return err_set(reterr, WEIR_ENOMEM, "no memory for flags");
	atomic_init(&s->refs, 1);
	arena_init(&s->arena, SHARD_ARENA_MAX);
	atomic_fetch_add(&common->refs, 1);
	s->common = common;
	s->flags = ARENA_ARRAY(&s->arena, n, struct flag);
	s->n = s->flags ? n : 0;
	for (size_t i = 0; i < s->n; i++) {
		struct arena CLEANUP_ARENA scratch = ARENA_INIT(PARSE_ARENA_MAX);

		compile_flag(s, v[i].key, v[i].hash, v[i].text, &scratch, &s->flags[i]);
		s->timed = s->timed || is_timed(&s->flags[i]) || (s->flags[i].arms && is_timed(s->flags[i].arms->stable)) || reads_time(v[i].text);
	}
	if ((rc = arena_check(&s->arena, "flags", reterr))) {
		shard_unref(s);
		return rc;
	}
	*ret = s;
	return 0;
}

/* --- a set --- */

static size_t shards_for(size_t flags)
{
	size_t n = 1;

	while (n * SHARD_FLAGS < flags)
		n *= 2;
	return n;
}

/* Items in the order of their shards; begin[i]..begin[i + 1] are those of shard i. */
struct bins {
	struct item *items;
	size_t      *begin;
};

static int sort_into_bins(const struct item *v, size_t n, size_t n_shards, struct bins *ret, struct err *reterr)
{
	size_t *at = calloc(n_shards + 1, sizeof(*at));

	ret->items = calloc(n ? n : 1, sizeof(*ret->items));
	ret->begin = calloc(n_shards + 1, sizeof(*ret->begin));
	if (!at || !ret->items || !ret->begin) {
		free(at);
		return err_set(reterr, WEIR_ENOMEM, "no memory for %zu flags", n);
	}
	for (size_t i = 0; i < n; i++)
		ret->begin[(v[i].hash & (n_shards - 1)) + 1]++;
	for (size_t i = 0; i < n_shards; i++)
		ret->begin[i + 1] += ret->begin[i];
	memcpy(at, ret->begin, (n_shards + 1) * sizeof(*at));
	for (size_t i = 0; i < n; i++)
		ret->items[at[v[i].hash & (n_shards - 1)]++] = v[i];
	free(at);
	return 0;
}

/* One shard of a set that shares with the one before: what it had and what changes. */
static int shard_change(struct flag_set *s, size_t i, const struct flag_shard *old, const struct item *v, size_t n, struct err *reterr)
{
	size_t       had = old ? old->n : 0;
	struct item *all = calloc(had + n, sizeof(*all));
	int          rc;

	if (!all)
		return err_set(reterr, WEIR_ENOMEM, "no memory for flags");
	for (size_t j = 0; j < had; j++)
		all[j] = (struct item){ old->flags[j].key, old->flags[j].text, old->flags[j].hash, 0 };
	for (size_t j = 0; j < n; j++) {
		all[had + j] = v[j];
		all[had + j].order++; /* after what was there */
	}
	rc = shard_new(s->common, all, had + n, &s->shards[i], reterr);
	free(all);
	return rc;
}

/* Shards are made by several threads when there are many flags: they share nothing but `common`, which is read only and counts with atomics. */
struct filling {
	struct flag_set       *s;
	const struct flag_set *before;
	const struct bins     *b;
	atomic_size_t          next; /* shard */
	atomic_int             rc;   /* the first error ends all */
	pthread_mutex_t        lock; /* of err */
	struct err             err;
};

static int fill_shard(struct filling *f, size_t i, struct err *reterr)
{
	struct flag_shard *old = f->before ? f->before->shards[i] : NULL;
	size_t             n = f->b->begin[i + 1] - f->b->begin[i];

	if (n)
		return shard_change(f->s, i, old, f->b->items + f->b->begin[i], n, reterr);
	if (old) {
		atomic_fetch_add(&old->refs, 1);
		f->s->shards[i] = old;
	}
	return 0;
}

static void *fill_shards(void *arg)
{
	struct filling *f = arg;

	for (size_t i; (i = atomic_fetch_add(&f->next, 1)) < f->s->n_shards && !atomic_load(&f->rc);) {
		struct err err = { 0 };
		int        rc = fill_shard(f, i, &err);

		if (!rc)
			continue;
		pthread_mutex_lock(&f->lock);
		if (!atomic_load(&f->rc)) {
			f->err = err;
			atomic_store(&f->rc, rc);
		}
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static int fill(struct flag_set *s, const struct flag_set *before, const struct bins *b, struct err *reterr)
{
	struct filling f = { .s = s, .before = before, .b = b, .lock = PTHREAD_MUTEX_INITIALIZER };
	pthread_t      helpers[FILL_THREADS - 1];
	long           cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t         n = 0;

	/* One that cannot be started is not missed: the caller's thread does what is left. */
	while (b->begin[s->n_shards] >= FILL_ALONE && n < ARRAY_SIZE(helpers) && (long)n + 1 < cpus && !pthread_create(&helpers[n], NULL, fill_shards, &f))
		n++;
	fill_shards(&f);
	while (n)
		pthread_join(helpers[--n], NULL);
	pthread_mutex_destroy(&f.lock);
	for (size_t i = 0; i < s->n_shards; i++) {
		s->count += s->shards[i] ? s->shards[i]->n : 0;
		s->timed = s->timed || (s->shards[i] && s->shards[i]->timed);
	}
	if (f.rc)
		*reterr = f.err;
	return f.rc;
}

/* All flags of `before` and the new texts as items: for a set that cannot share. */
static size_t gather(const struct flag_set *before, const struct flag_text *texts, size_t n, struct item *v)
{
	size_t k = 0;

	for (const struct flag *f = before ? flag_set_next(before, NULL) : NULL; f; f = flag_set_next(before, f))
		v[k++] = (struct item){ f->key, f->text, f->hash, 0 };
	for (size_t i = 0; i < n; i++)
		v[k++] = (struct item){ texts[i].key, texts[i].json, hash_of(texts[i].key), i + 1 };
	return k;
}

static int set_new(const struct flag_set *before, const struct flag_set_head *head, bool same, struct flag_set **ret, struct err *reterr)
{
	struct flag_set *s = calloc(1, sizeof(*s));
	int              rc = 0;

	*ret = s;
	if (!s || !(s->id = strndup(head->id.ptr, head->id.len)))
		return err_set(reterr, WEIR_ENOMEM, "no memory for a set of flags");
	atomic_init(&s->refs, 1);
	if (same) {
		s->common = before->common;
		atomic_fetch_add(&s->common->refs, 1);
	} else {
		rc = common_new(head, &s->common, reterr);
	}
	if (!rc)
		s->head = (struct flag_set_head){ str_z(s->id), head->revision, s->common->evaluators_text, s->common->metadata_text, s->common->segments_text };
	if (!rc)
		s->timed = reads_time(s->common->evaluators_text);
	return rc;
}

static int check_texts(const struct flag_text *texts, size_t n, struct err *reterr)
{
	for (size_t i = 0; i < n; i++) {
		if (!flag_key_ok(texts[i].key))
			return err_set(reterr, WEIR_EINVAL, "the key of a flag must be 1 to %d bytes of UTF-8 without control characters", LIMIT_FLAG_KEY_BYTES);
		if (texts[i].json.len > LIMIT_FLAG_BYTES)
			return err_set(reterr, WEIR_ELIMIT, "flag '%.*s': %zu bytes; a definition has at most %d", STR_ARG(str_sub(texts[i].key, 0, 80)),
						   texts[i].json.len, LIMIT_FLAG_BYTES);
	}
	return 0;
}

int flag_set_build(const struct flag_set *before, const struct flag_set_head *head, const struct flag_text *texts, size_t n, struct flag_set **ret,
				   struct err *reterr)
{
	bool             same = before && str_eq(before->head.evaluators, head->evaluators) && str_eq(before->head.metadata, head->metadata) &&
	                        str_eq(before->head.segments, head->segments);
	size_t           most = (before ? before->count : 0) + n, k;
	bool             share = same && most <= before->n_shards * SHARD_FLAGS * 4;
	struct flag_set *s = NULL;
	struct item     *v = NULL;
	struct bins      b = { NULL, NULL };
	int              rc = check_texts(texts, n, reterr);

	*ret = NULL;
	if (!rc)
		rc = set_new(before, head, same, &s, reterr);
	if (!rc) {
		s->n_shards = share ? before->n_shards : shards_for(most);
		s->shards = calloc(s->n_shards, sizeof(*s->shards));
		v = calloc(most ? most : 1, sizeof(*v));
		if (!s->shards || !v)
			rc = err_set(reterr, WEIR_ENOMEM, "no memory for %zu flags", most);
	}
	if (!rc) {
		k = gather(share ? NULL : before, texts, n, v);
		rc = sort_into_bins(v, k, s->n_shards, &b, reterr);
		free(v); /* at once: of a million flags these are 48 MB */
		v = NULL;
	}
	if (!rc)
		rc = fill(s, share ? before : NULL, &b, reterr);
	if (!rc && s->count > LIMIT_FLAGS)
		rc = err_set(reterr, WEIR_ELIMIT, "set %.*s: %zu flags; a set has at most %d", STR_ARG(head->id), s->count, LIMIT_FLAGS);
	free(v);
	free(b.items);
	free(b.begin);
	if (rc)
		s = flag_set_unref(s);
	*ret = s;
	return rc;
}

/* --- reading --- */

const struct flag_set_head *flag_set_head(const struct flag_set *s) { return &s->head; }
str flag_set_metadata(const struct flag_set *s) { return s->common->merged; }
str flag_set_id(const struct flag_set *s) { return doc_get_str(s->common->metadata, "flagSetId"); }
bool flag_set_timed(const struct flag_set *s) { return s->timed; }
size_t flag_set_count(const struct flag_set *s) { return s->count; }

const struct flag *flag_set_find(const struct flag_set *s, str key)
{
	uint64_t                 h = hash_of(key);
	const struct flag_shard *shard = s->shards[h & (s->n_shards - 1)];
	size_t                   low = 0, high = shard ? shard->n : 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (shard->flags[mid].hash < h)
			low = mid + 1;
		else
			high = mid;
	}
	for (; shard && low < shard->n && shard->flags[low].hash == h; low++)
		if (str_eq(shard->flags[low].key, key))
			return &shard->flags[low];
	return NULL;
}

const struct flag *flag_set_next(const struct flag_set *s, const struct flag *f)
{
	size_t i = 0;

	if (f) {
		const struct flag_shard *shard = s->shards[i = f->hash & (s->n_shards - 1)];

		if (f + 1 < shard->flags + shard->n)
			return f + 1;
		i++;
	}
	for (; i < s->n_shards; i++)
		if (s->shards[i])
			return s->shards[i]->flags;
	return NULL;
}
