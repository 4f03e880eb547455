/* token.h - access tokens: made once, shown once, stored as a keyed hash, with scope and expiry.
 *
 * Text: "weir_" + kind letter + "_" + 40 random characters (+ 6 characters of CRC32, base 62, so that scanners can tell real ones). A look-up
 * takes the same time for unknown, expired and revoked ones. Also "basic": git sends the token as password, any user name. */
#ifndef WEIR_NET_TOKEN_H
#define WEIR_NET_TOKEN_H

#include "base/clock.h"
#include "db/db.h"
#include "event/event.h"
#include "net/http.h"

extern const struct db_migration token_migrations[];
extern const size_t              token_n_migrations;

struct token_store;

/* key_dir holds token.key (made at first, 0600), the key of the stored hashes. */
MUST_CHECK int token_store_open(struct db *db, struct event_log *log, const char *key_dir, const struct clock *clock,
                                struct token_store **ret, struct err *reterr);
struct token_store *token_store_close(struct token_store *s);

enum { TOKEN_TEXT_SIZE = 64 };
/* expires_at 0: never. project: bound to one project, or STR_NULL. Appends token.created. -WEIR_EEXIST for a name that is in use. */
MUST_CHECK int token_create(struct token_store *s, str name, enum http_scope scope, str project, usec_t expires_at, str by,
                            char ret_text[TOKEN_TEXT_SIZE], struct err *reterr);
MUST_CHECK int token_revoke(struct token_store *s, str name, str by, struct err *reterr);
/* A job's own identity: short-lived, bound to (project, job id); nothing is appended to the log. Made in the caller's transaction. */
MUST_CHECK int token_create_job(struct token_store *s, struct db_tx *tx, str project, str job, usec_t expires_at,
                                char ret_text[TOKEN_TEXT_SIZE], struct err *reterr);
MUST_CHECK int token_end_job(struct token_store *s, struct db_tx *tx, str job, struct err *reterr);
/* The token with which a project's own services ask for flags: scope flags, bound to the project, never expires, named "flags.PROJECT". Made at the
 * first call; the same text afterwards, derived from the store's key, so that nothing has to keep it. Once revoked, the next call makes a new one.
 * -WEIR_EEXIST when somebody made a token of that name by hand, -WEIR_ELIMIT when the name would be too long. */
MUST_CHECK int token_of_services(struct token_store *s, str project, char ret_text[TOKEN_TEXT_SIZE], struct err *reterr);
/* http_config.authenticate: schemes "bearer", "basic" (credentials still base64) and "cookie" (session of /login). */
int token_authenticate(void *store, str scheme, str credentials, struct http_identity *ret, struct err *reterr);
/* Routes: GET /api/v1/token, GET/POST /api/v1/tokens, DELETE /api/v1/tokens/:name, GET/POST /login, POST /logout (the token's text becomes a cookie session). ctx: the store. */
const struct http_route *token_routes(size_t *ret_n);

#endif
