/* token.c - access tokens, job identities and page sessions in the database (see token.h).
 *
 * Stored is the BLAKE2b hash of the text under a key that lies outside the database: who reads the tables cannot make or guess a token, and the time of
 * a look-up tells nothing about stored hashes, since the key makes the searched value unknown to who asks. Any thread. */
#include "base/base.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/limits.h"
#include "net/token-cache.h"
#include "net/token-internal.h"

#include <sodium.h>
#include <sys/stat.h>
#include <zlib.h>

enum { HASH_BYTES = TOKEN_HASH_BYTES, KEY_BYTES = 32, TEXT_RANDOM = 40, TEXT_SUM = 6 };
#define CHANNEL    "token_gone"
#define SESSION_US (7 * 24 * 3600 * USEC_PER_SEC)

struct token_store {
	struct db          *db;
	struct event_log   *log;
	const struct clock *clock;
	unsigned char       key[KEY_BYTES];
	struct token_cache *cache;
	struct db_listener *listener;
};

const struct db_migration token_migrations[] = {
	{ "create token tables",
	  "CREATE TABLE token (name @text@ NOT NULL PRIMARY KEY, hash @blob@ NOT NULL UNIQUE, scope @text@ NOT NULL,"
	  " project @text@ NOT NULL, created_at @int@ NOT NULL, created_by @text@ NOT NULL, expires_at @int@ NOT NULL) @strict@;"
	  "CREATE TABLE token_job (hash @blob@ NOT NULL PRIMARY KEY, project @text@ NOT NULL, job @text@ NOT NULL,"
	  " expires_at @int@ NOT NULL) @strict@;"
	  "CREATE INDEX token_job_job ON token_job (job);"
	  "CREATE TABLE token_session (hash @blob@ NOT NULL PRIMARY KEY, token @text@ NOT NULL, expires_at @int@ NOT NULL) @strict@;"
	  "CREATE INDEX token_session_token ON token_session (token)" },
	{ "create token_service", "CREATE TABLE token_service (project @text@ NOT NULL PRIMARY KEY, salt @blob@ NOT NULL) @strict@" },
};
const size_t token_n_migrations = ARRAY_SIZE(token_migrations);

/* --- store --- */

static int key_read(const char *path, struct token_store *s, struct err *reterr)
{
	struct buf b CLEANUP_BUF = BUF_INIT(KEY_BYTES);
	int        r = fs_read(path, &b, reterr);

	if (r)
		return r;
	if (b.len != KEY_BYTES)
		return err_set(reterr, WEIR_EINVAL, "%s is not a key of %d bytes: restore it from a backup (without it every token is void)", path,
		               KEY_BYTES);
	memcpy(s->key, b.ptr, KEY_BYTES);
	explicit_bzero(b.ptr, b.len);
	return 0;
}

static int key_open(const char *key_dir, struct token_store *s, struct err *reterr)
{
	char path[4096];
	int  r = fs_join(path, sizeof(path), reterr, key_dir, "token.key");

	if (r)
		return r;
	if (!fs_exists(path)) {
		randombytes_buf(s->key, sizeof(s->key));
		return fs_write_atomic(path, str_n((char *)s->key, sizeof(s->key)), 0600, reterr);
	}
	return key_read(path, s, reterr);
}

int token_store_open(struct db *db, struct event_log *log, const char *key_dir, const struct clock *clock, struct token_store **ret,
                     struct err *reterr)
{
	struct token_store *s = calloc(1, sizeof(*s));
	int                 r;

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "no memory for the token store");
	*s = (struct token_store){ .db = db, .log = log, .clock = clock };
	s->cache = token_cache_new();
	r = s->cache ? 0 : err_set(reterr, WEIR_ENOMEM, "no memory for the token store");
	if (!r)
		r = db_migrate(db, "token", token_migrations, token_n_migrations, reterr);
	if (!r)
		r = key_open(key_dir, s, reterr);
	if (!r)
		r = db_listen(db, CHANNEL, token_cache_flush, s->cache, &s->listener, reterr);
	if (r) {
		token_store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct token_store *token_store_close(struct token_store *s)
{
	if (!s)
		return NULL;
	db_unlisten(s->listener);
	token_cache_free(s->cache);
	explicit_bzero(s, sizeof(*s));
	free(s);
	return NULL;
}

/* --- texts --- */

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void text_of(char kind, char body[TEXT_RANDOM + 1], char out[TOKEN_TEXT_SIZE])
{
	char          sum[TEXT_SUM + 1];
	unsigned long crc = crc32(0, (const Bytef *)body, TEXT_RANDOM);

	for (int i = TEXT_SUM; i-- > 0; crc /= 62)
		sum[i] = digits[crc % 62];
	sum[TEXT_SUM] = 0;
	snprintf(out, TOKEN_TEXT_SIZE, "weir_%c_%s%s", kind, body, sum);
	explicit_bzero(body, TEXT_RANDOM);
}

static void text_make(char kind, char out[TOKEN_TEXT_SIZE])
{
	char body[TEXT_RANDOM + 1];

	text_of(kind, random_text(body, TEXT_RANDOM), out);
}

static void text_hash(const struct token_store *s, str text, unsigned char out[HASH_BYTES])
{
	crypto_generichash(out, HASH_BYTES, (const unsigned char *)text.ptr, text.len, s->key, sizeof(s->key));
}

static str hash_str(const unsigned char hash[HASH_BYTES]) { return str_n((const char *)hash, HASH_BYTES); }

/* --- making and revoking --- */

struct create {
	struct token_store *s;
	str                 name, project, by;
	enum http_scope     scope;
	usec_t              expires_at;
	unsigned char       hash[HASH_BYTES];
};

static int create_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct create *c = arg;
	struct buf b   CLEANUP_BUF = BUF_INIT(4096);
	struct jw      w;
	int64_t        have;
	int            r;

	r = db_get_int(tx, reterr, &have, NULL, "SELECT count(*) FROM token WHERE name = $1", "s", c->name);
	if (!r && have)
		r = err_set(reterr, WEIR_EEXIST, "a token with the name '%.*s' exists; revoke it first", STR_ARG(c->name));
	if (!r)
		r = db_exec(tx, reterr,
		            "INSERT INTO token (name, hash, scope, project, created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		            "sbzsisi", c->name, hash_str(c->hash), scope_name(c->scope), c->project, clock_wall(c->s->clock), c->by, c->expires_at);
	if (r)
		return r;
	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "name", c->name);
	jw_kstrz(&w, "scopes", scope_name(c->scope));
	if (c->expires_at)
		jw_kint(&w, "expires_at", c->expires_at);
	jw_kstr(&w, "by", c->by);
	jw_end(&w);
	return event_append(c->s->log, tx, STR(""), EVENT_TOKEN_CREATED, c->by, buf_str(&b), NULL, reterr);
}

static int name_check(str name, struct err *reterr)
{
	bool ok = name.len && name.len <= LIMIT_NAME_BYTES && name.ptr[0] != '-' && name.ptr[0] != '.';

	for (size_t i = 0; ok && i < name.len; i++)
		ok = (name.ptr[i] | 32) >= 'a' ? (name.ptr[i] | 32) <= 'z' && name.ptr[i] != '`' : strchr("0123456789._-", name.ptr[i]) != NULL;
	return ok ? 0 : err_set(reterr, WEIR_EINVAL, "a token's name has 1 to %d of the characters A-Z a-z 0-9 . _ -, and begins with neither '-' nor '.'",
	                        LIMIT_NAME_BYTES);
}

int token_create(struct token_store *s, str name, enum http_scope scope, str project, usec_t expires_at, str by,
                 char ret_text[TOKEN_TEXT_SIZE], struct err *reterr)
{
	struct create c = { .s = s, .name = name, .project = project.len ? project : STR(""), .by = by, .scope = scope, .expires_at = expires_at };
	int           r = name_check(name, reterr);

	if (r)
		return r;
	if (scope == SCOPE_NONE || scope == SCOPE_JOB)
		return err_set(reterr, WEIR_EINVAL, "a token needs one of the scopes read, develop, release, admin, runner, flags, edge");
	text_make(scope == SCOPE_RUNNER ? 'r' : 'a', ret_text);
	text_hash(s, str_z(ret_text), c.hash);
	r = db_write(s->db, create_tx, &c, reterr);
	if (r)
		explicit_bzero(ret_text, TOKEN_TEXT_SIZE);
	return r;
}

struct revoke {
	struct token_store *s;
	str                 name, by;
};

static int revoke_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct revoke *v = arg;
	struct buf b   CLEANUP_BUF = BUF_INIT(4096);
	struct jw      w;
	int64_t        n;
	int            r = db_exec_n(tx, reterr, &n, "DELETE FROM token WHERE name = $1", "s", v->name);

	if (!r && !n)
		r = err_set(reterr, WEIR_ENOENT, "there is no token '%.*s'", STR_ARG(v->name));
	if (!r)
		r = db_exec(tx, reterr, "DELETE FROM token_session WHERE token = $1", "s", v->name);
	if (!r)
		r = db_notify(tx, CHANNEL, reterr);
	if (r)
		return r;
	jw_init(&w, &b);
	jw_obj(&w);
	jw_kstr(&w, "name", v->name);
	jw_kstr(&w, "by", v->by);
	jw_end(&w);
	return event_append(v->s->log, tx, STR(""), EVENT_TOKEN_REVOKED, v->by, buf_str(&b), NULL, reterr);
}

int token_revoke(struct token_store *s, str name, str by, struct err *reterr)
{
	struct revoke v = { s, name, by };
	int           r = db_write(s->db, revoke_tx, &v, reterr);

	token_cache_flush(s->cache); /* now, not when the notification comes */
	return r;
}

/* --- the token of a project's services --- */

enum { SALT_BYTES = 16 };
struct service_token {
	struct create create;
	char         *text;
};

/* 40 characters out of 64 bytes: a bias of 8 in 256 for each, which leaves more than 230 bits. */
static void service_text(const struct token_store *s, str project, const unsigned char salt[SALT_BYTES], char out[TOKEN_TEXT_SIZE])
{
	static const char        what[] = "token of services";
	crypto_generichash_state h;
	unsigned char            raw[64];
	char                     body[TEXT_RANDOM + 1] = "";

	crypto_generichash_init(&h, s->key, sizeof(s->key), sizeof(raw));
	crypto_generichash_update(&h, (const unsigned char *)what, sizeof(what));
	crypto_generichash_update(&h, salt, SALT_BYTES);
	crypto_generichash_update(&h, (const unsigned char *)project.ptr, project.len);
	crypto_generichash_final(&h, raw, sizeof(raw));
	for (int i = 0; i < TEXT_RANDOM; i++)
		body[i] = digits[raw[i] % 62];
	text_of('a', body, out);
	explicit_bzero(raw, sizeof(raw));
	explicit_bzero(&h, sizeof(h));
}

/* What the salt at hand gives; *ret_valid: a token of this text is in the store. */
static int service_known(struct db_tx *tx, struct service_token *v, bool *ret_valid, struct err *reterr)
{
	struct create      *c = &v->create;
	struct arena CLEANUP_ARENA a = ARENA_INIT(4096);
	str                 salt;
	int64_t             n = 0;
	bool                found = false;
	int                 r = db_get_str(tx, reterr, &a, &salt, &found, "SELECT salt FROM token_service WHERE project = $1", "s", c->project);

	*ret_valid = false;
	if (r || !found || salt.len != SALT_BYTES)
		return r;
	service_text(c->s, c->project, (const unsigned char *)salt.ptr, v->text);
	text_hash(c->s, str_z(v->text), c->hash);
	r = db_get_int(tx, reterr, &n, NULL, "SELECT count(*) FROM token WHERE name = $1 AND hash = $2", "sb", c->name, hash_str(c->hash));
	*ret_valid = n == 1;
	return r;
}

static int service_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct service_token *v = arg;
	struct create        *c = &v->create;
	unsigned char         salt[SALT_BYTES];
	bool                  valid;
	int                   r = service_known(tx, v, &valid, reterr);

	if (r || valid)
		return r;
	randombytes_buf(salt, sizeof(salt));
	service_text(c->s, c->project, salt, v->text);
	text_hash(c->s, str_z(v->text), c->hash);
	r = db_exec(tx, reterr, "INSERT INTO token_service (project, salt) VALUES ($1, $2) ON CONFLICT (project) DO UPDATE SET salt = excluded.salt", "sb",
	            c->project, str_n((const char *)salt, sizeof(salt)));
	return r ? r : create_tx(tx, c, reterr);
}

int token_of_services(struct token_store *s, str project, char ret_text[TOKEN_TEXT_SIZE], struct err *reterr)
{
	char                 name[LIMIT_NAME_BYTES + 8];
	int                  n = snprintf(name, sizeof(name), "flags.%.*s", STR_ARG(project)), r;
	struct service_token v = { .create = { .s = s, .name = str_z(name), .project = project, .by = STR("weir"), .scope = SCOPE_FLAGS }, .text = ret_text };

	if (n < 0 || (size_t)n > LIMIT_NAME_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "the name flags.%.*s is longer than the %d bytes of a token's name: give the service a token by its env",
		               STR_ARG(str_sub(project, 0, LIMIT_NAME_BYTES)), LIMIT_NAME_BYTES);
	r = db_write(s->db, service_tx, &v, reterr);
	if (r)
		explicit_bzero(ret_text, TOKEN_TEXT_SIZE);
	return r;
}

/* --- jobs --- */

int token_create_job(struct token_store *s, struct db_tx *tx, str project, str job, usec_t expires_at, char ret_text[TOKEN_TEXT_SIZE],
                     struct err *reterr)
{
	unsigned char hash[HASH_BYTES];
	int           r;

	text_make('j', ret_text);
	text_hash(s, str_z(ret_text), hash);
	/* Those of jobs whose end was never told go with the first new one after their time. */
	r = db_exec(tx, reterr, "DELETE FROM token_job WHERE expires_at < $1", "i", clock_wall(s->clock));
	if (!r)
		r = db_exec(tx, reterr, "INSERT INTO token_job (hash, project, job, expires_at) VALUES ($1, $2, $3, $4)", "bssi", hash_str(hash),
		            project, job, expires_at);
	return r;
}

int token_end_job(struct token_store *s UNUSED, struct db_tx *tx, str job, struct err *reterr)
{
	int r = db_exec(tx, reterr, "DELETE FROM token_job WHERE job = $1", "s", job);

	/* The caller's transaction is not over yet: the flush comes with its commit. */
	return r ? r : db_notify(tx, CHANNEL, reterr);
}

/* --- sessions --- */

struct session {
	struct token_store *s;
	str                 token;
	unsigned char       hash[HASH_BYTES];
};

static int session_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct session *v = arg;
	usec_t          now = clock_wall(v->s->clock);
	int             r = db_exec(tx, reterr, "DELETE FROM token_session WHERE expires_at < $1", "i", now);

	return r ? r
	         : db_exec(tx, reterr, "INSERT INTO token_session (hash, token, expires_at) VALUES ($1, $2, $3)", "bsi", hash_str(v->hash),
	                   v->token, now + SESSION_US);
}

int token_session_begin(struct token_store *s, str token_name, char ret_text[TOKEN_TEXT_SIZE], struct err *reterr)
{
	struct session v = { .s = s, .token = token_name };

	text_make('s', ret_text);
	text_hash(s, str_z(ret_text), v.hash);
	return db_write(s->db, session_tx, &v, reterr);
}

static int session_end_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct session *v = arg;

	int             r = db_exec(tx, reterr, "DELETE FROM token_session WHERE hash = $1", "b", hash_str(v->hash));

	return r ? r : db_notify(tx, CHANNEL, reterr);
}

int token_session_end(struct token_store *s, str text, struct err *reterr)
{
	struct session v = { .s = s };

	int            r;

	text_hash(s, text, v.hash);
	r = db_write(s->db, session_end_tx, &v, reterr);
	token_cache_flush(s->cache);
	return r;
}

/* --- who is it --- */

struct look {
	struct token_store   *s;
	bool                  cookie;
	unsigned char         hash[HASH_BYTES];
	struct http_identity *who;
	usec_t                expires_at;
	bool                  found;
};

static void copy_text(char *to, size_t size, str s)
{
	size_t n = s.len < size ? s.len : size - 1;

	memcpy(to, s.len ? s.ptr : "", n);
	to[n] = 0;
}

/* Both queries run whatever the first one finds. */
static int look_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	static const char by_token[] = "SELECT name, scope, project, '', expires_at FROM token WHERE hash = $1"
	                               " UNION ALL SELECT 'job', 'job', project, job, expires_at FROM token_job WHERE hash = $1";
	static const char by_session[] = "SELECT t.name, t.scope, t.project, '', CASE WHEN t.expires_at > 0 AND t.expires_at < s.expires_at"
	                                 " THEN t.expires_at ELSE s.expires_at END FROM token_session s JOIN token t ON t.name = s.token"
	                                 " WHERE s.hash = $1";
	struct look *l = arg;
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int          r = db_query(tx, reterr, &rows, l->cookie ? by_session : by_token, "b", hash_str(l->hash));

	l->found = false;
	while (!r && (r = db_next(rows, reterr)) == 1) {
		copy_text(l->who->name, sizeof(l->who->name), db_str(rows, 0));
		l->who->scope = scope_find(db_str(rows, 1));
		copy_text(l->who->project, sizeof(l->who->project), db_str(rows, 2));
		copy_text(l->who->subject, sizeof(l->who->subject), db_str(rows, 3));
		l->expires_at = db_int(rows, 4);
		l->found = true;
		r = 0;
	}
	return r;
}

static int look_cached(struct token_store *s, struct look *l, struct err *reterr)
{
	usec_t        now = clock_mono(s->clock);
	uint64_t      generation = token_cache_generation(s->cache);
	unsigned char key[HASH_BYTES];
	int           r;

	memcpy(key, l->hash, sizeof(key));
	key[HASH_BYTES - 1] ^= l->cookie; /* a session's text is no bearer token, nor the other way round */
	l->found = token_cache_get(s->cache, key, now, l->who, &l->expires_at);
	if (l->found)
		return 0;
	r = db_read(s->db, look_tx, l, reterr);
	if (!r && l->found)
		token_cache_put(s->cache, generation, key, now, l->who, l->expires_at);
	return r;
}

/* The password of base64("user:password"); false when it is none. */
static bool basic_password(str b64, struct buf *tmp, str *ret)
{
	str user;

	return base64_parse(b64, tmp) && str_cut(buf_str(tmp), ':', &user, ret);
}

int token_authenticate(void *store, str scheme, str credentials, struct http_identity *ret, struct err *reterr)
{
	struct token_store *s = store;
	struct look         l = { .s = s, .cookie = str_eqz(scheme, "cookie"), .who = ret };
	struct buf tmp      CLEANUP_BUF = BUF_INIT(1024);
	int                 r;

	memset(ret, 0, sizeof(*ret));
	if (str_eqz(scheme, "basic") && !basic_password(credentials, &tmp, &credentials))
		credentials = STR("");
	text_hash(s, str_sub(credentials, 0, 2 * TOKEN_TEXT_SIZE), l.hash);
	if (tmp.ptr)
		explicit_bzero(tmp.ptr, tmp.len);
	r = look_cached(s, &l, reterr);
	if (r)
		return r;
	ret->expires_at = l.expires_at;
	if (l.found && ret->scope != SCOPE_NONE && (!l.expires_at || clock_wall(s->clock) < l.expires_at))
		return 0;
	memset(ret, 0, sizeof(*ret));
	return err_set(reterr, WEIR_EAUTH, "the credentials are unknown, expired or revoked");
}

/* --- listing, for the API --- */

static int list_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct jw           *w = arg;
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int                  r = db_query(tx, reterr, &rows, "SELECT name, scope, project, created_at, created_by, expires_at FROM token ORDER BY name", "");

	while (!r && (r = db_next(rows, reterr)) == 1) {
		jw_obj(w);
		jw_kstr(w, "name", db_str(rows, 0));
		jw_kstr(w, "scope", db_str(rows, 1));
		jw_kstr(w, "project", db_str(rows, 2).len ? db_str(rows, 2) : STR_NULL);
		jw_ktime(w, "created_at", db_int(rows, 3));
		jw_kstr(w, "created_by", db_str(rows, 4));
		jw_ktime(w, "expires_at", db_int(rows, 5));
		jw_end(w);
		r = 0;
	}
	return r;
}

int token_list(struct token_store *s, struct jw *w, struct err *reterr) { return db_read(s->db, list_tx, w, reterr); }
const struct clock *token_clock(const struct token_store *s) { return s->clock; }
