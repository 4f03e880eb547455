/* hash.h - digests and text encodings of bytes, over libsodium. Call base_init() once in main(). */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include "base/base.h"
#include "base/str.h"

#include <sodium.h>

void base_init(void); /* starts libsodium, ignores SIGPIPE, switches core files off; aborts when that fails */

enum { SHA256_BYTES = 32, SHA256_HEX = 65 };
typedef crypto_hash_sha256_state sha256_state;
void  sha256(str data, unsigned char out[SHA256_BYTES]);
char *sha256_hex(str data, char out[SHA256_HEX]);
char *hex_of(const unsigned char *p, size_t n, char *out); /* out: 2n+1 */
bool  hex_parse(str hex, unsigned char *out, size_t n);    /* exactly n bytes, either case */
void  buf_add_base64(struct buf *b, str data);             /* RFC 4648 with padding */
MUST_CHECK bool base64_parse(str b64, struct buf *out);    /* standard alphabet, with or without padding */
bool  mem_equal_const_time(const void *a, const void *b, size_t n);

/* Random, sortable by time of making: 26 characters of Crockford base 32, 48 bits of milliseconds and 80 random bits. */
enum { ID_SIZE = 27 };
char *id_new(char out[ID_SIZE]);
/* n random characters of [A-Za-z0-9], for tokens; out: n+1. */
char *random_text(char *out, size_t n);

#endif
