/* checkpoint.c - the signing key and the signed statements about all stream heads.
 *
 * A checkpoint's body is canonical JSON {"heads":[{"hash","project","seq"}...],"id","previous","time"}, signed with Ed25519. Its id
 * grows by one and `previous` is the SHA-256 of the body before it, so that none can be taken out of the middle. The newest body is also
 * kept in key_dir/event.checkpoint, outside of the database: a log that was cut together with its checkpoints is
 * found by it. One thread (the keeper) signs every LIMIT_CHECKPOINT_EVENTS events or 60 s; event_checkpoint() runs on any thread. */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "event/log.h"

#include <errno.h>
#include <sys/stat.h>

enum { CHECKPOINT_EVERY_EVENTS = 1000, KEY_HEX = 2 * crypto_sign_SEEDBYTES };
#define CHECKPOINT_EVERY (60 * USEC_PER_SEC)

/* --- keys --- */

static int key_make(const char *path, const char *pub_path, struct err *reterr)
{
	struct event_key k;
	unsigned char    seed[crypto_sign_SEEDBYTES];
	char             text[KEY_HEX + 2];
	int              rc;

	randombytes_buf(seed, sizeof(seed));
	(void)crypto_sign_seed_keypair(k.public, k.secret, seed);
	hex_of(k.public, sizeof(k.public), text);
	text[KEY_HEX] = '\n';
	rc = fs_exists(pub_path) ? 0 : fs_write_atomic(pub_path, str_n(text, KEY_HEX + 1), 0644, reterr);
	hex_of(seed, sizeof(seed), text);
	text[KEY_HEX] = '\n';
	if (!rc)
		rc = fs_write_atomic(path, str_n(text, KEY_HEX + 1), 0600, reterr);
	sodium_memzero(seed, sizeof(seed));
	sodium_memzero(&k, sizeof(k));
	sodium_memzero(text, sizeof(text));
	return rc;
}

int event_key_open(const char *key_dir, struct event_key *ret, struct err *reterr)
{
	struct buf text CLEANUP_BUF = BUF_INIT(1024);
	unsigned char   seed[crypto_sign_SEEDBYTES];
	char            path[4096], pub[4096];
	int             rc = fs_mkdirs(key_dir, 0700, reterr);

	if (!rc)
		rc = fs_join(path, sizeof(path), reterr, key_dir, "event.key");
	if (!rc)
		rc = fs_join(pub, sizeof(pub), reterr, key_dir, "event.pub");
	if (!rc && !fs_exists(path))
		rc = key_make(path, pub, reterr);
	if (!rc)
		rc = fs_read(path, &text, reterr);
	if (!rc && !hex_parse(str_trim(buf_str(&text)), seed, sizeof(seed)))
		rc = err_set(reterr, WEIR_EINVAL, "%s is damaged: it must hold %d hexadecimal digits; bring it back from a backup", path, KEY_HEX);
	if (!rc)
		(void)crypto_sign_seed_keypair(ret->public, ret->secret, seed);
	if (text.ptr)
		sodium_memzero(text.ptr, text.len);
	sodium_memzero(seed, sizeof(seed));
	return rc;
}

int event_keys_trusted(const char *key_dir, event_key_vec *ret, struct err *reterr)
{
	struct buf text CLEANUP_BUF = BUF_INIT(64 << 10);
	char            path[4096];
	str             line, rest;
	int             rc = fs_join(path, sizeof(path), reterr, key_dir, "event.pub");

	if (!rc)
		rc = fs_read(path, &text, reterr);
	if (rc)
		return err_wrap(reterr, "the public keys of the event log");
	for (rest = buf_str(&text); !rc && rest.len;) {
		struct event_key_public k;

		(void)str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		if (!line.len || line.ptr[0] == '#')
			continue;
		if (!hex_parse(line, k.b, sizeof(k.b)))
			rc = err_set(reterr, WEIR_EINVAL, "%s: a line is not a public key of %d hexadecimal digits", path, KEY_HEX);
		else if (!VEC_PUSH(ret, k))
			rc = err_set(reterr, WEIR_ENOMEM, "no memory for public keys");
	}
	return rc;
}

static int last_key(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	struct event_key_public *k = arg;
	int                      rc = db_query(tx, reterr, &rows, "SELECT public_key FROM event_checkpoint ORDER BY id DESC LIMIT 1", "");

	if (!rc && (rc = db_next(rows, reterr)) == 1) {
		rc = 0;
		if (db_str(rows, 0).len == sizeof(k->b))
			memcpy(k->b, db_str(rows, 0).ptr, sizeof(k->b));
	}
	return rc;
}

/* A server with another key than the one before it would make a log that nobody can verify as a whole. */
int event_checkpoint_check_key(struct event_log *log, struct err *reterr)
{
	static const struct event_key_public none;
	struct event_key_public              k = none;
	event_key_vec                        trusted = VEC_INIT;
	bool                                 known = false;
	int                                  rc = event_keys_trusted(log->key_dir, &trusted, reterr);

	if (!rc)
		rc = db_read(log->db, last_key, &k, reterr);
	for (size_t i = 0; i < trusted.n && !known; i++)
		known = !memcmp(trusted.v[i].b, k.b, sizeof(k.b));
	VEC_FINI(&trusted);
	if (rc || known || !memcmp(&k, &none, sizeof(k)))
		return rc;
	return err_set(reterr, WEIR_ECONFLICT,
	               "the event log was signed with another key than %s/event.key: bring that file and event.pub back (several servers share"
	               " them), or add the old public key as a line to event.pub", log->key_dir);
}

/* --- making one --- */

struct checkpoint_arg {
	struct event_log *log;
	struct buf        body;
	bool              made;
};

/* id, digest of the body and number of events of the newest checkpoint. */
static int checkpoint_last(struct db_tx *tx, int64_t *ret_id, char ret_previous[SHA256_HEX], int64_t *ret_events, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	int             rc = db_query(tx, reterr, &rows, "SELECT id, body, events FROM event_checkpoint ORDER BY id DESC LIMIT 1", "");

	*ret_id = *ret_events = 0;
	ret_previous[0] = 0;
	if (!rc && (rc = db_next(rows, reterr)) == 1) {
		*ret_id = db_int(rows, 0);
		sha256_hex(db_str(rows, 1), ret_previous);
		*ret_events = db_int(rows, 2);
		rc = 0;
	}
	return rc;
}

static int checkpoint_heads(struct db_tx *tx, struct jw *w, struct err *reterr)
{
	struct db_rows *rows CLEANUP_ROWS = NULL;
	char                 hex[SHA256_HEX];
	int                  rc = db_query(tx, reterr, &rows,
	                                   "SELECT h.project, h.seq, e.hash FROM event_head h JOIN event e ON e.project = h.project AND e.seq = h.seq"
	                                   " ORDER BY h.project", "");

	jw_arr(w);
	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		str hash = db_str(rows, 2);

		rc = 0;
		jw_obj(w); /* keys in canonical order */
		jw_kstrz(w, "hash", hash.len == 32 ? hex_of((const unsigned char *)hash.ptr, 32, hex) : "");
		jw_kstr(w, "project", db_str(rows, 0));
		jw_kint(w, "seq", db_int(rows, 1));
		jw_end(w);
	}
	jw_end(w);
	return rc;
}

static int checkpoint_store(struct db_tx *tx, const struct event_key *key, int64_t id, str body, int64_t events, struct err *reterr)
{
	unsigned char sig[crypto_sign_BYTES];

	(void)crypto_sign_detached(sig, NULL, (const unsigned char *)body.ptr, body.len, key->secret);
	return db_exec(tx, reterr, "INSERT INTO event_checkpoint (id, body, signature, public_key, events) VALUES ($1, $2, $3, $4, $5)",
	               "isbbi", id, body, str_n((const char *)sig, sizeof(sig)), str_n((const char *)key->public, sizeof(key->public)),
	               events);
}

static int checkpoint_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct checkpoint_arg *c = arg;
	struct jw              w;
	char                   previous[SHA256_HEX];
	int64_t                id, had, events = 0;
	int                    rc = checkpoint_last(tx, &id, previous, &had, reterr);

	c->made = false;
	buf_clear(&c->body);
	if (!rc)
		rc = db_get_int(tx, reterr, &events, NULL, "SELECT COALESCE(SUM(seq), 0) FROM event_head", "");
	if (rc || events == had)
		return rc;
	jw_init(&w, &c->body);
	jw_obj(&w);
	jw_key(&w, "heads");
	rc = checkpoint_heads(tx, &w, reterr);
	jw_kint(&w, "id", id + 1);
	jw_kstrz(&w, "previous", previous);
	jw_kint(&w, "time", clock_wall(c->log->clock));
	jw_end(&w);
	if (!rc)
		rc = buf_check(&c->body, "a checkpoint", reterr);
	if (!rc)
		rc = checkpoint_store(tx, &c->log->key, id + 1, buf_str(&c->body), events, reterr);
	c->made = !rc;
	return rc;
}

int event_checkpoint(struct event_log *log, struct err *reterr)
{
	struct checkpoint_arg c = { .log = log, .body = BUF_INIT(LIMIT_CHECKPOINT_BYTES) };
	char                  path[4096];
	int                   rc = db_write(log->db, checkpoint_fn, &c, reterr);

	if (!rc && c.made)
		rc = fs_join(path, sizeof(path), reterr, log->key_dir, "event.checkpoint");
	if (!rc && c.made)
		rc = fs_write_atomic(path, buf_str(&c.body), 0600, reterr);
	buf_fini(&c.body);
	return rc;
}

int event_checkpoint_kept(const char *key_dir, struct buf *out, bool *ret_found, struct err *reterr)
{
	char path[4096];
	int  rc = fs_join(path, sizeof(path), reterr, key_dir, "event.checkpoint");

	if (rc)
		return rc;
	*ret_found = fs_exists(path);
	return *ret_found ? fs_read(path, out, reterr) : 0;
}

/* --- the keeper --- */

static int keeper_count(struct db_tx *tx, void *arg, struct err *reterr)
{
	return db_get_int(tx, reterr, arg, NULL,
	                  "SELECT COALESCE(SUM(seq), 0) - COALESCE((SELECT events FROM event_checkpoint ORDER BY id DESC LIMIT 1), 0)"
	                  " FROM event_head", "");
}

/* Signs when enough waits. Returns when to look again without news (monotonic; 0: never). */
static usec_t keeper_turn(struct event_log *log, usec_t due, bool *failed)
{
	struct err e = { 0 };
	int64_t    n = 0;
	usec_t     now = clock_mono_now();
	int        rc;

	if (*failed && now < due)
		return due; /* what failed is tried again when it is due, not at each event */
	rc = db_read(log->db, keeper_count, &n, &e);
	if (!rc && n > 0 && (n >= CHECKPOINT_EVERY_EVENTS || (due && now >= due))) {
		rc = event_checkpoint(log, &e);
		n = 0;
	}
	if (rc)
		log_warn("event", "no checkpoint, again in %lld s: %s", (long long)(CHECKPOINT_EVERY / USEC_PER_SEC), e.msg);
	*failed = rc != 0;
	if (!rc && n <= 0)
		return 0;
	return due && now < due ? due : now + CHECKPOINT_EVERY;
}

static void *keeper_main(void *arg)
{
	struct event_log *log = arg;
	uint64_t          generation;
	usec_t            due = 0; /* of the events that wait */
	bool              failed = false;

	do {
		pthread_mutex_lock(&log->lock);
		generation = log->generation;
		pthread_mutex_unlock(&log->lock);
		due = keeper_turn(log, due, &failed);
	} while (event_wait(log, &generation, due));
	return NULL;
}

int event_keeper_start(struct event_log *log, struct err *reterr)
{
	int rc = pthread_create(&log->keeper, NULL, keeper_main, log);

	if (rc)
		return err_errno(reterr, rc, "cannot start the event log's keeper");
	log->keeper_started = true;
	return 0;
}

void event_keeper_stop(struct event_log *log)
{
	if (log->keeper_started)
		pthread_join(log->keeper, NULL);
	log->keeper_started = false;
}
