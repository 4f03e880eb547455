/* token-cache.c - see token-cache.h. One slot per hash value, under one lock; a slot is good for 5 seconds.
 *
 * Revoking flushes: on this server before token_revoke() returns, on others when the database's notification arrives; the 5 seconds are for a
 * notification that is lost with its connection. Only valid credentials are kept: wrong ones always go the long way. */
#include "base/base.h"
#include "net/token-cache.h"

#include <pthread.h>

#define KEPT_US (5 * USEC_PER_SEC)

struct slot {
	unsigned char        hash[TOKEN_HASH_BYTES];
	struct http_identity who;
	usec_t               expires_at, until; /* until 0: empty */
};
struct token_cache {
	pthread_mutex_t lock;
	uint64_t        generation;
	struct slot     slots[TOKEN_CACHE_ENTRIES];
};

struct token_cache *token_cache_new(void)
{
	struct token_cache *c = calloc(1, sizeof(*c));

	if (c)
		pthread_mutex_init(&c->lock, NULL);
	return c;
}

struct token_cache *token_cache_free(struct token_cache *c)
{
	if (!c)
		return NULL;
	pthread_mutex_destroy(&c->lock);
	explicit_bzero(c, sizeof(*c));
	free(c);
	return NULL;
}

static struct slot *slot_of(struct token_cache *c, const unsigned char *hash)
{
	return &c->slots[(hash[0] | hash[1] << 8) % TOKEN_CACHE_ENTRIES]; /* a keyed hash: nobody chooses its slot */
}

uint64_t token_cache_generation(struct token_cache *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t g = c->generation;
	pthread_mutex_unlock(&c->lock);
	return g;
}

bool token_cache_get(struct token_cache *c, const unsigned char hash[TOKEN_HASH_BYTES], usec_t now_mono, struct http_identity *ret,
                     usec_t *ret_expires_at)
{
	struct slot *s = slot_of(c, hash);
	bool         hit;

	pthread_mutex_lock(&c->lock);
	hit = now_mono < s->until && !memcmp(s->hash, hash, TOKEN_HASH_BYTES);
	if (hit) {
		*ret = s->who;
		*ret_expires_at = s->expires_at;
	}
	pthread_mutex_unlock(&c->lock);
	return hit;
}

void token_cache_put(struct token_cache *c, uint64_t generation, const unsigned char hash[TOKEN_HASH_BYTES], usec_t now_mono,
                     const struct http_identity *who, usec_t expires_at)
{
	struct slot *s = slot_of(c, hash);

	pthread_mutex_lock(&c->lock);
	if (c->generation == generation) {
		memcpy(s->hash, hash, TOKEN_HASH_BYTES);
		s->who = *who;
		s->expires_at = expires_at;
		s->until = now_mono + KEPT_US;
	}
	pthread_mutex_unlock(&c->lock);
}

void token_cache_flush(void *cache)
{
	struct token_cache *c = cache;

	pthread_mutex_lock(&c->lock);
	c->generation++;
	for (size_t i = 0; i < TOKEN_CACHE_ENTRIES; i++)
		c->slots[i].until = 0;
	pthread_mutex_unlock(&c->lock);
}
