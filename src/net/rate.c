/* rate.c - see rate.h. Rows of a few buckets, chosen by a keyed hash, so that nobody can aim at the row of somebody else; a lock for each group of rows.
 *
 * A bucket is one time: the moment at which it will be full again. Taking a request moves it one interval on; it may be one second ahead at most. Keys are
 * kept as 64 bits of the keyed hash: two callers share a bucket by chance once in 2^64. Any thread. */
#include "base/base.h"
#include "net/rate.h"

#include <pthread.h>
#include <sodium.h>

enum { ROWS = 4096, WAYS = 4, LOCKS = 64 };

struct bucket {
	uint64_t key;
	usec_t   full_at;
};
struct rate {
	usec_t          interval; /* nanoseconds between two requests */
	unsigned char   hash_key[crypto_shorthash_KEYBYTES];
	pthread_mutex_t locks[LOCKS];
	struct bucket   rows[ROWS][WAYS];
};

struct rate *rate_new(unsigned per_second)
{
	struct rate *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->interval = 1000 * USEC_PER_SEC / (per_second ? per_second : 1);
	crypto_shorthash_keygen(r->hash_key);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&r->locks[i], NULL);
	return r;
}

struct rate *rate_free(struct rate *r)
{
	if (!r)
		return NULL;
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&r->locks[i]);
	free(r);
	return NULL;
}

/* The key's own bucket, or the fullest one of the row, emptied of its past. */
static struct bucket *bucket_of(struct bucket row[WAYS], uint64_t key)
{
	struct bucket *fullest = &row[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (row[i].key == key)
			return &row[i];
		if (row[i].full_at < fullest->full_at)
			fullest = &row[i];
	}
	*fullest = (struct bucket){ .key = key };
	return fullest;
}

bool rate_take(struct rate *r, str key, usec_t now, usec_t *ret_wait)
{
	const usec_t     second = 1000 * USEC_PER_SEC; /* in nanoseconds, as all times here */
	unsigned char    raw[crypto_shorthash_BYTES];
	uint64_t         hash;
	struct bucket   *b;
	pthread_mutex_t *lock;
	bool             ok;

	crypto_shorthash(raw, (const unsigned char *)key.ptr, key.len, r->hash_key);
	memcpy(&hash, raw, sizeof(hash));
	lock = &r->locks[hash % ROWS % LOCKS];
	now *= 1000;
	pthread_mutex_lock(lock);
	b = bucket_of(r->rows[hash % ROWS], hash);
	if (b->full_at < now)
		b->full_at = now;
	ok = b->full_at + r->interval <= now + second;
	if (ok)
		b->full_at += r->interval;
	else
		*ret_wait = (b->full_at + r->interval - now - second + 999) / 1000;
	pthread_mutex_unlock(lock);
	return ok;
}
