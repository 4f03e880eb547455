/* unleash-cache.c - texts that many clients ask for at once, made once: the features of a set at a revision, what leads from one revision to the next.
 *
 * Some texts are kept, the one that was used longest ago goes first; more than LIMIT_UNLEASH_CACHE_BYTES of them are never kept. A text under way is not
 * waited for: two threads may make the same one, and one of them is kept. Any thread; the lock is held for look-ups only. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/unleash-api.h"

enum { PLACES = 32 };

struct kept {
	struct buf text;
	size_t     refs; /* with the lock */
};
struct place {
	char         key[SHA256_HEX];
	struct kept *kept; /* NULL: free */
	uint64_t     used;
};
struct unleash_cache {
	pthread_mutex_t lock;
	struct place    places[PLACES];
	size_t          bytes;
	uint64_t        turn;
};

struct unleash_cache *unleash_cache_new(void)
{
	struct unleash_cache *c = calloc(1, sizeof(*c));

	if (c)
		pthread_mutex_init(&c->lock, NULL);
	return c;
}

/* With the lock, or alone. */
static void drop(struct kept *k)
{
	if (k && --k->refs == 0) {
		buf_fini(&k->text);
		free(k);
	}
}

static void clear(struct unleash_cache *c, struct place *p)
{
	if (!p->kept)
		return;
	c->bytes -= p->kept->text.len;
	drop(p->kept);
	p->kept = NULL;
}

struct unleash_cache *unleash_cache_free(struct unleash_cache *c)
{
	if (!c)
		return NULL;
	for (size_t i = 0; i < PLACES; i++)
		clear(c, &c->places[i]);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

static struct place *find(struct unleash_cache *c, const char *key)
{
	for (size_t i = 0; i < PLACES; i++)
		if (c->places[i].kept && !strcmp(c->places[i].key, key))
			return &c->places[i];
	return NULL;
}

static struct place *free_place(struct unleash_cache *c)
{
	for (size_t i = 0; i < PLACES; i++)
		if (!c->places[i].kept)
			return &c->places[i];
	return NULL;
}

static struct place *longest_unused(struct unleash_cache *c)
{
	struct place *p = NULL;

	for (size_t i = 0; i < PLACES; i++)
		if (c->places[i].kept && (!p || c->places[i].used < p->used))
			p = &c->places[i];
	return p;
}

static struct kept *take(struct unleash_cache *c, const char *key)
{
	struct kept  *k = NULL;
	struct place *p;

	pthread_mutex_lock(&c->lock);
	if ((p = find(c, key))) {
		p->used = ++c->turn;
		k = p->kept;
		k->refs++;
	}
	pthread_mutex_unlock(&c->lock);
	return k;
}

/* Keeps k, of which the caller holds a reference, where it is small enough. */
static void keep(struct unleash_cache *c, const char *key, struct kept *k)
{
	struct place *p;

	if (k->text.len > LIMIT_UNLEASH_CACHE_BYTES / 2)
		return;
	pthread_mutex_lock(&c->lock);
	if (!find(c, key)) {
		while (!(p = free_place(c)) || c->bytes + k->text.len > LIMIT_UNLEASH_CACHE_BYTES)
			clear(c, longest_unused(c));
		snprintf(p->key, sizeof(p->key), "%s", key);
		p->used = ++c->turn;
		p->kept = k;
		k->refs++;
		c->bytes += k->text.len;
	}
	pthread_mutex_unlock(&c->lock);
}

int unleash_cached(struct unleash_cache *c, str key, int (*make)(void *ctx, struct buf *out, struct err *reterr), void (*use)(void *ctx, str text), void *ctx,
				   struct err *reterr)
{
	char         digest[SHA256_HEX];
	struct kept *k;
	int          rc = 0;

	sha256_hex(key, digest);
	if (!(k = take(c, digest))) {
		if (!(k = calloc(1, sizeof(*k))))
			return err_set(reterr, WEIR_ENOMEM, "flags for Unleash's clients");
		k->refs = 1;
		buf_init(&k->text, LIMIT_HTTP_OUT_BYTES);
		rc = make(ctx, &k->text, reterr);
		if (!rc)
			rc = buf_check(&k->text, "the features of a flag set", reterr);
		if (!rc)
			keep(c, digest, k);
	}
	if (!rc)
		use(ctx, buf_str(&k->text));
	pthread_mutex_lock(&c->lock);
	drop(k);
	pthread_mutex_unlock(&c->lock);
	return rc;
}
