/* edge-token.c - what an edge knows about the tokens of its clients: it asks the server once, and again when the answer is a minute old.
 *
 * Kept, in memory and in the file "tokens", are digests of the texts under a key that comes from the edge's own token, which lies in neither place: who
 * has the folder can neither use a token nor try guesses. A token that the server refused is refused; while the server cannot be asked, what it said last
 * counts for LIMIT_EDGE_TOKEN_DAYS, and a token that nobody knows is answered 503, not 401: its client shall come again.
 * edge_tokens_know() runs on loop threads and waits for nobody; edge_tokens_ask() on workers. One lock, never held while something is asked or written. */
#include "base/base.h"

#include "edge/edge-internal.h"
#include "base/hash.h"
#include "base/log.h"

enum { WAYS = 8, BUCKETS = LIMIT_EDGE_TOKENS / WAYS, DIGEST_BYTES = 32, TEXT_MAX = 128, IDLE_MAX = 8, ASK_TIMEOUT_MS = 5000 };
#define FILE_NAME  "tokens"
#define FRESH_US   (LIMIT_EDGE_TOKEN_FRESH_S * USEC_PER_SEC)
#define KEEP_US    (LIMIT_EDGE_TOKEN_DAYS * 24 * 3600 * USEC_PER_SEC)
#define ASKING_US  (2 * ASK_TIMEOUT_MS * USEC_PER_MSEC) /* whoever asks has an answer by then, or never began */
#define AWAY_US    (5 * USEC_PER_SEC)                   /* between questions to a server that did not answer */
#define REWRITE_US (3600 * USEC_PER_SEC)                /* so much older than in memory an answer's time on disk may be */

enum state { EMPTY, GOOD, REFUSED };
struct known {
	unsigned char        digest[DIGEST_BYTES];
	enum state           state;
	struct http_identity who;
	usec_t               said_at;    /* wall: when the server said so */
	usec_t               saved_at;   /* said_at of what the file has */
	usec_t               fresh_until, asked_until; /* monotonic */
};
struct edge_tokens {
	struct edge_disk   *disk;
	const struct clock *clock;
	char               *server;
	unsigned char       key[32];
	pthread_mutex_t     lock;
	struct known        all[BUCKETS][WAYS];
	bool                changed;
	usec_t              away_until; /* monotonic */
	double              asks;       /* what may be asked about unknown tokens now */
	usec_t              asks_at;
	struct http_client *idle[IDLE_MAX];
	unsigned            n_idle;
	struct edge_token_counts counts;
};

/* --- the table; under the lock --- */

static struct known *find(struct edge_tokens *t, const unsigned char digest[DIGEST_BYTES])
{
	struct known *b = t->all[(digest[0] | digest[1] << 8) % BUCKETS]; /* a keyed digest: nobody chooses its bucket */

	for (size_t i = 0; i < WAYS; i++)
		if (b[i].state != EMPTY && !memcmp(b[i].digest, digest, DIGEST_BYTES))
			return &b[i];
	return NULL;
}

/* Where a new one goes. Refusals, which anybody can cause, take the place of refusals only; NULL: nowhere. */
static struct known *place_for(struct edge_tokens *t, const unsigned char digest[DIGEST_BYTES], enum state state)
{
	struct known *b = t->all[(digest[0] | digest[1] << 8) % BUCKETS], *ret = NULL;

	for (size_t i = 0; i < WAYS; i++) {
		struct known *k = &b[i];

		if (k->state == EMPTY)
			return k;
		if (k->state == GOOD && state == REFUSED)
			continue;
		if (!ret || (ret->state == GOOD && k->state == REFUSED) || (ret->state == k->state && k->said_at < ret->said_at))
			ret = k;
	}
	return ret;
}

static void put(struct edge_tokens *t, const unsigned char digest[DIGEST_BYTES], enum state state, const struct http_identity *who, usec_t said_at,
				usec_t fresh_until)
{
	struct known *k = find(t, digest);

	if (!k && !(k = place_for(t, digest, state)))
		return;
	if (k->state == GOOD || state == GOOD)
		t->changed = t->changed || k->state != state || memcmp(k->digest, digest, DIGEST_BYTES) || said_at - k->saved_at > REWRITE_US;
	if (memcmp(k->digest, digest, DIGEST_BYTES))
		k->saved_at = 0;
	memcpy(k->digest, digest, DIGEST_BYTES);
	k->state = state;
	k->who = who ? *who : (struct http_identity){ .scope = SCOPE_NONE };
	k->said_at = said_at;
	k->fresh_until = fresh_until;
	k->asked_until = 0;
}

static bool good_now(const struct edge_tokens *t, const struct known *k)
{
	usec_t now = clock_wall(t->clock);

	return k && k->state == GOOD && (!k->who.expires_at || now < k->who.expires_at) && now - k->said_at < KEEP_US;
}

/* --- answers --- */

static int refuse(struct http_identity *ret, struct err *reterr)
{
	memset(ret, 0, sizeof(*ret));
	return err_set(reterr, WEIR_EAUTH, "the credentials are unknown, expired or revoked");
}

static int cannot_tell(struct http_identity *ret, struct err *reterr)
{
	memset(ret, 0, sizeof(*ret));
	return err_set(reterr, WEIR_EUNAVAIL, "the server cannot be asked about this token now; try again");
}

static bool looks_like_one(str scheme, str text)
{
	if (!str_eqz(scheme, "bearer") || !text.len || text.len > TEXT_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') || (text.ptr[i] >= 'a' && text.ptr[i] <= 'z') || (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z') ||
			  text.ptr[i] == '_'))
			return false;
	return str_has_prefix(text, STR("weir_"));
}

static void digest_of(const struct edge_tokens *t, str text, unsigned char out[DIGEST_BYTES])
{
	crypto_generichash(out, DIGEST_BYTES, (const unsigned char *)text.ptr, text.len, t->key, sizeof(t->key));
}

/* What is known without asking; HTTP_AUTH_ASK: it is time to ask. One request asks about a token that was good, others go on with what is known. */
static int know_locked(struct edge_tokens *t, struct known *k, struct http_identity *ret, struct err *reterr)
{
	usec_t now = clock_mono(t->clock);
	bool   good = good_now(t, k), fresh = k && now < k->fresh_until, can_ask = now >= t->away_until;

	if (good && (fresh || !can_ask || now < k->asked_until)) {
		*ret = k->who;
		return 0;
	}
	if (k && k->state == REFUSED && (fresh || !can_ask))
		return refuse(ret, reterr);
	if (k && k->state == GOOD && k->who.expires_at && clock_wall(t->clock) >= k->who.expires_at)
		return refuse(ret, reterr);
	if (!can_ask)
		return cannot_tell(ret, reterr);
	if (good)
		k->asked_until = now + ASKING_US;
	return HTTP_AUTH_ASK;
}

int edge_tokens_know(void *tokens, str scheme, str credentials, struct http_identity *ret, struct err *reterr)
{
	struct edge_tokens *t = tokens;
	unsigned char       digest[DIGEST_BYTES];
	int                 rc;

	memset(ret, 0, sizeof(*ret));
	if (!looks_like_one(scheme, credentials))
		return refuse(ret, reterr);
	digest_of(t, credentials, digest);
	pthread_mutex_lock(&t->lock);
	rc = know_locked(t, find(t, digest), ret, reterr);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

/* --- asking --- */

/* Under the lock. */
static bool may_ask(struct edge_tokens *t)
{
	usec_t now = clock_mono(t->clock);

	t->asks += (double)(now - t->asks_at) / USEC_PER_SEC * LIMIT_EDGE_ASKS;
	if (t->asks > LIMIT_EDGE_ASKS)
		t->asks = LIMIT_EDGE_ASKS;
	t->asks_at = now;
	if (t->asks < 1)
		return false;
	t->asks -= 1;
	return true;
}

static int client_take(struct edge_tokens *t, struct http_client **ret, struct err *reterr)
{
	*ret = NULL;
	pthread_mutex_lock(&t->lock);
	if (t->n_idle)
		*ret = t->idle[--t->n_idle];
	pthread_mutex_unlock(&t->lock);
	return *ret ? 0 : http_client_new(t->server, NULL, ret, reterr);
}

static void client_give(struct edge_tokens *t, struct http_client *c)
{
	pthread_mutex_lock(&t->lock);
	if (t->n_idle < IDLE_MAX) {
		t->idle[t->n_idle++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&t->lock);
	http_client_free(c);
}

static bool copy_text(char *to, size_t size, str s)
{
	if (s.len >= size)
		return false;
	memcpy(to, s.len ? s.ptr : "", s.len);
	to[s.len] = 0;
	return true;
}

static bool read_identity(str json, struct http_identity *ret)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 10);
	struct doc_node           *n;
	str                        expires;

	memset(ret, 0, sizeof(*ret));
	if (doc_parse_json(&a, "answer", json, &n, NULL))
		return false;
	expires = doc_get_str(n, "expires_at");
	ret->scope = scope_find(doc_get_str(n, "scope"));
	return ret->scope != SCOPE_NONE && copy_text(ret->name, sizeof(ret->name), doc_get_str(n, "name")) &&
	       copy_text(ret->project, sizeof(ret->project), doc_get_str(n, "project")) && (!expires.len || clock_parse_rfc3339(expires, &ret->expires_at));
}

/* 0: *ret says who it is; -WEIR_EAUTH: the server refuses it; another error: it did not say. */
static int question(struct edge_tokens *t, str text, struct http_identity *ret, int64_t *ret_wait_s, struct err *reterr)
{
	struct buf CLEANUP_BUF out = BUF_INIT(16 << 10);
	struct http_client    *c;
	char                   header[TEXT_MAX + 32];
	const char *const      headers[] = { header, NULL };
	struct http_call       call = HTTP_CALL_INIT;
	int                    rc = client_take(t, &c, reterr);

	if (rc)
		return rc;
	snprintf(header, sizeof(header), "Authorization: Bearer %.*s", STR_ARG(text));
	call.path = "/api/v1/token";
	call.headers = headers;
	call.timeout_ms = ASK_TIMEOUT_MS;
	call.out = &out;
	rc = http_call_ok(c, &call, reterr);
	explicit_bzero(header, sizeof(header));
	client_give(t, c);
	*ret_wait_s = call.retry_after_s;
	if (!rc && !read_identity(buf_str(&out), ret))
		rc = err_set(reterr, WEIR_EUNAVAIL, "the server's answer about a token cannot be read");
	return !rc ? 0 : call.status == 401 ? -WEIR_EAUTH : -WEIR_EUNAVAIL;
}

/* Under the lock: what comes of the answer. */
static int learn(struct edge_tokens *t, const unsigned char digest[DIGEST_BYTES], int rc, int64_t wait_s, struct http_identity *ret, struct err *reterr)
{
	usec_t        now = clock_mono(t->clock);
	struct known *k;

	if (!rc || rc == -WEIR_EAUTH) {
		t->away_until = 0;
		t->counts.refused += rc != 0;
		put(t, digest, rc ? REFUSED : GOOD, rc ? NULL : ret, clock_wall(t->clock), now + FRESH_US);
		k = find(t, digest);
		return rc || (k && !good_now(t, k)) ? refuse(ret, reterr) : 0;
	}
	t->counts.unanswered++;
	t->away_until = now + (wait_s > AWAY_US / USEC_PER_SEC && wait_s <= LIMIT_EDGE_RETRY_AFTER_S ? wait_s * USEC_PER_SEC : AWAY_US);
	k = find(t, digest);
	rc = know_locked(t, k, ret, reterr);
	return rc == HTTP_AUTH_ASK ? cannot_tell(ret, reterr) : rc;
}

int edge_tokens_ask(void *tokens, str scheme UNUSED, str credentials, struct http_identity *ret, struct err *reterr)
{
	struct edge_tokens *t = tokens;
	unsigned char       digest[DIGEST_BYTES];
	struct err          e = { 0 };
	int64_t             wait_s = 0;
	int                 rc;

	memset(ret, 0, sizeof(*ret));
	digest_of(t, credentials, digest);
	pthread_mutex_lock(&t->lock);
	rc = find(t, digest) || may_ask(t) ? 0 : err_set(reterr, WEIR_EBUSY, "too many unknown tokens; try again");
	t->counts.asked += !rc;
	t->counts.limited += rc != 0;
	pthread_mutex_unlock(&t->lock);
	if (rc)
		return rc;
	rc = question(t, credentials, ret, &wait_s, &e);
	pthread_mutex_lock(&t->lock);
	rc = learn(t, digest, rc, wait_s, ret, reterr);
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void edge_tokens_counts(struct edge_tokens *t, struct edge_token_counts *ret)
{
	pthread_mutex_lock(&t->lock);
	*ret = t->counts;
	ret->known = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		for (size_t j = 0; j < WAYS; j++)
			ret->known += t->all[i][j].state == GOOD;
	pthread_mutex_unlock(&t->lock);
}

/* --- disk --- */

static void write_known(struct jw *w, struct known *k)
{
	char hex[2 * DIGEST_BYTES + 1];

	jw_obj(w);
	jw_kstrz(w, "digest", hex_of(k->digest, DIGEST_BYTES, hex));
	jw_kstrz(w, "name", k->who.name);
	jw_kstrz(w, "scope", scope_name(k->who.scope));
	jw_kstrz(w, "project", k->who.project);
	jw_kint(w, "expires_at", k->who.expires_at);
	jw_kint(w, "said_at", k->said_at);
	jw_end(w);
	k->saved_at = k->said_at;
}

int edge_tokens_save(struct edge_tokens *t, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_EDGE_TOKENS * 512 + 4096);
	struct jw              w;
	bool                   changed;
	int                    rc;

	jw_init(&w, &text);
	jw_obj(&w);
	jw_key(&w, "tokens");
	jw_arr(&w);
	pthread_mutex_lock(&t->lock);
	changed = t->changed;
	t->changed = false;
	for (size_t i = 0; changed && i < BUCKETS; i++)
		for (size_t j = 0; j < WAYS; j++)
			if (good_now(t, &t->all[i][j]))
				write_known(&w, &t->all[i][j]);
	pthread_mutex_unlock(&t->lock);
	jw_end(&w);
	jw_end(&w);
	buf_addc(&text, '\n');
	if (!changed || !(rc = edge_disk_write(t->disk, FILE_NAME, &text, reterr)))
		return 0;
	pthread_mutex_lock(&t->lock);
	t->changed = true;
	pthread_mutex_unlock(&t->lock);
	return rc;
}

static void read_known(struct edge_tokens *t, const struct doc_node *n)
{
	struct http_identity who = { .scope = scope_find(doc_get_str(n, "scope")), .expires_at = doc_get_int(n, "expires_at", 0) };
	unsigned char        digest[DIGEST_BYTES];
	usec_t               said_at = doc_get_int(n, "said_at", 0);
	struct known        *k;

	if (who.scope == SCOPE_NONE || !hex_parse(doc_get_str(n, "digest"), digest, DIGEST_BYTES) ||
	    !copy_text(who.name, sizeof(who.name), doc_get_str(n, "name")) || !copy_text(who.project, sizeof(who.project), doc_get_str(n, "project")))
		return;
	put(t, digest, GOOD, &who, said_at, 0);
	if ((k = find(t, digest)))
		k->saved_at = said_at;
}

/* What cannot be read is not known, and asked about again. */
static void load(struct edge_tokens *t)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct buf CLEANUP_BUF     text = BUF_INIT(LIMIT_DOC_BYTES);
	const struct doc_node     *list;
	struct doc_node           *n = NULL;
	struct err                 e = { 0 };
	int                        rc = edge_disk_read(t->disk, FILE_NAME, &text, &e);

	if (!rc)
		rc = doc_parse_json(&a, FILE_NAME, buf_str(&text), &n, &e);
	if (rc && rc != -WEIR_ENOENT)
		log_error("edge", "%s; it is ignored, the server is asked about every token again", e.msg);
	list = rc ? NULL : doc_get(n, "tokens");
	for (size_t i = 0; i < doc_len(list); i++)
		read_known(t, doc_at(list, i));
	t->changed = false;
}

int edge_tokens_open(struct edge_disk *d, const char *server, const unsigned char key[32], const struct clock *clock, struct edge_tokens **ret,
					 struct err *reterr)
{
	struct edge_tokens *t = calloc(1, sizeof(*t));

	if (!t || !(t->server = strdup(server))) {
		free(t);
		return err_set(reterr, WEIR_ENOMEM, "no memory for the edge's tokens");
	}
	t->disk = d;
	t->clock = clock;
	t->asks_at = clock_mono(clock) - USEC_PER_SEC;
	memcpy(t->key, key, sizeof(t->key));
	pthread_mutex_init(&t->lock, NULL);
	load(t);
	*ret = t;
	return 0;
}

struct edge_tokens *edge_tokens_close(struct edge_tokens *t)
{
	struct err e = { 0 };

	if (!t)
		return NULL;
	if (edge_tokens_save(t, &e))
		log_error("edge", "what is known about tokens is not kept: %s", e.msg);
	while (t->n_idle)
		http_client_free(t->idle[--t->n_idle]);
	pthread_mutex_destroy(&t->lock);
	free(t->server);
	explicit_bzero(t, sizeof(*t));
	free(t);
	return NULL;
}
