/* flag-copy.h - a set of flags as one text that can be kept and served elsewhere, and a room that serves such copies without a database (`weir edge`).
 *
 * The text is lines of JSON: the head, $evaluators, metadata and segments (each may be null), for each flag its key and its definition, and at the end
 * {"sha256": HEX} over all bytes before. The server writes it, the edge keeps its bytes as they came: what was cut short on the way, or has been
 * damaged on the disk since, is told from what is whole by the same line. */
#ifndef WEIR_FLAG_FLAG_COPY_H
#define WEIR_FLAG_FLAG_COPY_H

#include "base/hash.h"
#include "flag/flag-table.h"
#include "flag/flag.h"

struct flag_copy { /* texts belong to who gave them */
	str               id, project, name, environment;
	enum flag_source  source;
	int64_t           revision;
	usec_t            changed_at;
	str               evaluators, metadata, segments; /* JSON maps; empty: none */
	struct flag_text *texts;
	size_t            n;
};

/* Writes the set in pieces; head's texts are not looked at. put: 0, or an error that ends the writing. Pure but for it. */
MUST_CHECK int flag_copy_write(const struct flag_copy *head, const struct flag_set *set, int (*put)(void *ctx, str piece, struct err *reterr), void *ctx,
							   struct err *reterr);
/* Reads a whole text; the result points into it and into a. file: its name for messages. -WEIR_EPARSE when it is damaged or no copy. Pure. */
MUST_CHECK int flag_copy_read(struct arena *a, const char *file, str text, struct flag_copy *ret, struct err *reterr);
/* A project's or set's name as it may stand in file names and paths. Pure. */
bool flag_copy_name_ok(str s);
/* The last line of such texts: appends it, or takes it off. False: it is not there, or says that the text is damaged. Pure. */
void flag_copy_seal(struct buf *text);
bool flag_copy_unseal(str text, str *ret_body);

/* --- the server's side; ctx is the room. Scope edge ---
 *   GET /api/v1/flag-copies                               {flag_sets: [{id, project, name, revision}]}, with an ETag
 *   GET /api/v1/flag-copies/events                        says when that list changed, and once at the beginning
 *   GET /api/v1/projects/:project/flag-sets/:set/copy     the text */
const struct http_route *flag_copy_routes(size_t *ret_n);

/* --- a room of copies: flag_start(), flag_close() and the OFREP routes work as on the server's, no others --- */
MUST_CHECK int flag_open_copies(const struct clock *clock, const unsigned char ticket_key[crypto_auth_hmacsha256_KEYBYTES], struct flag_room **ret,
								struct err *reterr);
/* Swaps the set in; what did not change since the present revision is shared with it. *ret_news false: it is the present one. -WEIR_ECONFLICT: the
 * present one is newer, and stays. Any thread. */
MUST_CHECK int flag_copy_take(struct flag_room *r, const struct flag_copy *c, bool *ret_news, struct err *reterr);
MUST_CHECK int flag_copy_drop(struct flag_room *r, str id, struct err *reterr); /* an absent one is fine */
int64_t flag_copy_revision(struct flag_room *r, str id); /* -1: there is no such set */
/* All sets in order of their ids, in a. */
struct flag_copied {
	str     id;
	int64_t revision;
};
MUST_CHECK int flag_copy_list(struct flag_room *r, struct arena *a, struct flag_copied **ret, size_t *ret_n, struct err *reterr);

#endif
