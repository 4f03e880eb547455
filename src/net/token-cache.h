/* token-cache.h - who was seen lately, so that not every request asks the database. Any thread. */
#ifndef WEIR_NET_TOKEN_CACHE_H
#define WEIR_NET_TOKEN_CACHE_H

#include "base/clock.h"
#include "net/http.h"

enum { TOKEN_HASH_BYTES = 32, TOKEN_CACHE_ENTRIES = 256 };

struct token_cache;

struct token_cache *token_cache_new(void); /* NULL: out of memory */
struct token_cache *token_cache_free(struct token_cache *c);
/* The generation to give to token_cache_put(): taken before the database is asked, so that an answer that a revocation overtook is not kept. */
uint64_t token_cache_generation(struct token_cache *c);
bool token_cache_get(struct token_cache *c, const unsigned char hash[TOKEN_HASH_BYTES], usec_t now_mono, struct http_identity *ret,
                     usec_t *ret_expires_at);
void token_cache_put(struct token_cache *c, uint64_t generation, const unsigned char hash[TOKEN_HASH_BYTES], usec_t now_mono,
                     const struct http_identity *who, usec_t expires_at);
void token_cache_flush(void *cache); /* something was revoked or ended */

#endif
