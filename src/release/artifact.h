/* artifact.h - versions: tar.zst files by the SHA-256 of their bytes, and their unpacked, read-only folders.
 *
 * Storing and unpacking are atomic: a crash leaves nothing, or all. Any thread. */
#ifndef WEIR_RELEASE_ARTIFACT_H
#define WEIR_RELEASE_ARTIFACT_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

enum { ARTIFACT_DIGEST_SIZE = 65 }; /* hex and NUL */

struct artifact_put;

/* Removes what a crash left behind, makes the folders. */
MUST_CHECK int artifact_open(const char *data_dir, struct err *reterr);
MUST_CHECK int artifact_put_begin(const char *data_dir, struct artifact_put **ret, struct err *reterr);
MUST_CHECK int artifact_put_add(struct artifact_put *p, str piece, struct err *reterr); /* -WEIR_ELIMIT past LIMIT_ARTIFACT_BYTES */
/* Stores it; the same bytes again are fine. */
MUST_CHECK int artifact_put_end(struct artifact_put *p, char ret_digest[ARTIFACT_DIGEST_SIZE], int64_t *ret_bytes, struct err *reterr);
struct artifact_put *artifact_put_free(struct artifact_put *p); /* also after end; returns NULL */

int64_t artifact_bytes(const char *data_dir, const char *digest); /* size as stored; 0: not stored */
bool artifact_digest_valid(str digest); /* 64 lower-case hex digits */
/* Unpacks a stored version unless it is there; *ret_dir (size bytes) is its folder. Refuses (-WEIR_EREFUSED, naming the entry) absolute names, "..",
 * links that leave the folder, devices, more than LIMIT_VERSION_FILES or _BYTES. -WEIR_ENOENT when it was never stored. */
MUST_CHECK int artifact_unpack(const char *data_dir, const char *digest, char *ret_dir, size_t size, struct err *reterr);

/* Packs files below root into fd as tar.zst: sorted, no times, no owners, so that equal files give equal bytes. `patterns`: one per line; a path (a folder means
 * all below it), a glob, or "." for everything but .git. A pattern that matches nothing is -WEIR_ENOENT. */
MUST_CHECK int artifact_pack(const char *root, str patterns, int fd, size_t *ret_files, struct err *reterr);

#endif
