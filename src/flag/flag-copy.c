/* flag-copy.c - the text of a copied set (pure), and the room that serves copies: see flag-copy.h.
 *
 * A text that is not whole, or whose names could lead out of a folder, is refused as a whole; a set never goes back to an older revision. Reading
 * and taking run on the thread of who fetched the text, under the room's `writer`. */
#include "base/base.h"

#include "flag/flag-copy.h"
#include "base/map.h"
#include "flag/room.h"

enum { PIECE_BYTES = 64 << 10 };

/* --- the seal --- */

#define SEAL_BEGIN "{\"sha256\":\""
#define SEAL_END   "\"}\n"
enum { SEAL_BYTES = sizeof(SEAL_BEGIN) - 1 + SHA256_HEX - 1 + sizeof(SEAL_END) - 1 };

static void seal_text(const unsigned char digest[SHA256_BYTES], char out[SEAL_BYTES + 1])
{
	char hex[SHA256_HEX];

	snprintf(out, SEAL_BYTES + 1, SEAL_BEGIN "%s" SEAL_END, hex_of(digest, SHA256_BYTES, hex));
}

void flag_copy_seal(struct buf *text)
{
	unsigned char digest[SHA256_BYTES];
	char          line[SEAL_BYTES + 1];

	sha256(buf_str(text), digest);
	seal_text(digest, line);
	buf_addz(text, line);
}

bool flag_copy_unseal(str text, str *ret_body)
{
	unsigned char digest[SHA256_BYTES];
	char          line[SEAL_BYTES + 1];

	if (text.len < SEAL_BYTES)
		return false;
	*ret_body = str_sub(text, 0, text.len - SEAL_BYTES);
	sha256(*ret_body, digest);
	seal_text(digest, line);
	return !memcmp(text.ptr + ret_body->len, line, SEAL_BYTES);
}

/* --- writing --- */

struct writer {
	int (*put)(void *ctx, str piece, struct err *reterr);
	void        *ctx;
	struct buf   piece;
	sha256_state state;
};

static int writer_flush(struct writer *w, struct err *reterr)
{
	int rc = buf_check(&w->piece, "copy of a flag set", reterr);

	if (rc)
		return rc;
	crypto_hash_sha256_update(&w->state, (const unsigned char *)w->piece.ptr, w->piece.len);
	rc = w->put(w->ctx, buf_str(&w->piece), reterr);
	buf_clear(&w->piece);
	return rc;
}

/* A line end inside of JSON is white space between its parts. */
static void add_line(struct buf *out, str json)
{
	size_t at = out->len;

	buf_add_str(out, json.len ? json : STR("null"));
	for (size_t i = at; i < out->len; i++)
		if (out->ptr[i] == '\n')
			out->ptr[i] = ' ';
	buf_addc(out, '\n');
}

static void add_head(struct buf *out, const struct flag_copy *h, size_t n)
{
	struct jw w;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kint(&w, "format", 1);
	jw_kstr(&w, "id", h->id);
	jw_kstr(&w, "project", h->project);
	jw_kstr(&w, "name", h->name);
	jw_kstr(&w, "environment", h->environment);
	jw_kstrz(&w, "source", h->source == FLAG_IN_REPOSITORY ? "repository" : "store");
	jw_kint(&w, "revision", h->revision);
	jw_kint(&w, "changed_at", h->changed_at);
	jw_kint(&w, "flags", (int64_t)n);
	jw_end(&w);
	buf_addc(out, '\n');
	add_line(out, h->evaluators);
	add_line(out, h->metadata);
	add_line(out, h->segments);
}

int flag_copy_write(const struct flag_copy *head, const struct flag_set *set, int (*put)(void *ctx, str piece, struct err *reterr), void *ctx,
					struct err *reterr)
{
	struct writer w = { .put = put, .ctx = ctx, .piece = BUF_INIT(2 * LIMIT_FLAG_HEAD_BYTES + 4 * LIMIT_FLAG_BYTES) };
	unsigned char digest[SHA256_BYTES];
	char          line[SEAL_BYTES + 1];
	int           rc = 0;

	crypto_hash_sha256_init(&w.state);
	add_head(&w.piece, head, flag_set_count(set));
	for (const struct flag *f = flag_set_next(set, NULL); !rc && f; f = flag_set_next(set, f)) {
		add_line(&w.piece, f->key_json);
		add_line(&w.piece, f->text);
		if (w.piece.len >= PIECE_BYTES)
			rc = writer_flush(&w, reterr);
	}
	if (!rc)
		rc = writer_flush(&w, reterr);
	buf_fini(&w.piece);
	if (rc)
		return rc;
	crypto_hash_sha256_final(&w.state, digest);
	seal_text(digest, line);
	return put(ctx, str_z(line), reterr);
}

/* --- reading --- */

bool flag_copy_name_ok(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
			  s.ptr[i] == '.' || s.ptr[i] == '_' || s.ptr[i] == '-'))
			return false;
	return s.len && s.len <= LIMIT_NAME_BYTES && s.ptr[0] != '.' && s.ptr[0] != '-';
}

static int read_head(struct arena *a, const char *file, str line, struct flag_copy *ret, int64_t *ret_n, struct err *reterr)
{
	static const char *const known[] = { "format", "id", "project", "name", "environment", "source", "revision", "changed_at", "flags", NULL };
	static const char *const sources[] = { "store", "repository", NULL };
	struct doc_node         *n;
	struct doc_check         c;
	char                    *id;
	int                      rc = doc_parse_json(a, file, line, &n, reterr);

	if (rc)
		return rc;
	doc_check_init(&c, a, file);
	if (doc_is_map(&c, n, "the head", known)) {
		(void)doc_want_int(&c, doc_need(&c, n, "format"), "format", 1, 1);
		ret->id = doc_want_str(&c, doc_need(&c, n, "id"), "id");
		ret->project = doc_want_str(&c, doc_need(&c, n, "project"), "project");
		ret->name = doc_want_str(&c, doc_need(&c, n, "name"), "name");
		ret->environment = doc_want_str(&c, doc_need(&c, n, "environment"), "environment");
		ret->source = doc_want_enum(&c, doc_need(&c, n, "source"), "source", sources) == 1 ? FLAG_IN_REPOSITORY : FLAG_IN_STORE;
		ret->revision = doc_want_int(&c, doc_need(&c, n, "revision"), "revision", 0, INT64_MAX);
		ret->changed_at = doc_want_int(&c, doc_need(&c, n, "changed_at"), "changed_at", 0, INT64_MAX);
		*ret_n = doc_want_int(&c, doc_need(&c, n, "flags"), "flags", 0, LIMIT_FLAGS);
		id = arena_printf(a, "%.*s/%.*s", STR_ARG(ret->project), STR_ARG(ret->name));
		if (id && (!flag_copy_name_ok(ret->project) || !flag_copy_name_ok(ret->name) || !str_eqz(ret->id, id) || ret->environment.len > LIMIT_NAME_BYTES))
			doc_error(&c, n, "the names of the set are none, or do not fit its id");
	}
	rc = doc_check_result(&c, reterr);
	return rc ? rc : arena_check(a, file, reterr);
}

static bool next_line(str *rest, str *ret)
{
	return rest->len && str_cut(*rest, '\n', ret, rest);
}

static bool read_key(struct arena *a, str line, str *ret)
{
	struct doc_node *n;

	if (line.len >= 2 && line.ptr[0] == '"' && line.ptr[line.len - 1] == '"' && !memchr(line.ptr, '\\', line.len))
		*ret = str_sub(line, 1, line.len - 2);
	else if (doc_parse_json(a, "key", line, &n, NULL) || n->kind != DOC_STR)
		return false;
	else
		*ret = n->s;
	return flag_key_ok(*ret);
}

static str or_none(str json) { return str_eqz(json, "null") ? STR("") : json; }

int flag_copy_read(struct arena *a, const char *file, str text, struct flag_copy *ret, struct err *reterr)
{
	str     rest, line;
	int64_t n = 0;
	int     rc;

	memset(ret, 0, sizeof(*ret));
	if (!flag_copy_unseal(text, &rest))
		return err_set(reterr, WEIR_EPARSE, "%s is damaged or cut short: its digest does not fit", file);
	if (!next_line(&rest, &line))
		return err_set(reterr, WEIR_EPARSE, "%s is no copy of a flag set", file);
	if ((rc = read_head(a, file, line, ret, &n, reterr)))
		return rc;
	ret->texts = ARENA_ARRAY(a, (size_t)n + 1, struct flag_text);
	if ((rc = arena_check(a, file, reterr)))
		return rc;
	if (!next_line(&rest, &ret->evaluators) || !next_line(&rest, &ret->metadata) || !next_line(&rest, &ret->segments))
		return err_set(reterr, WEIR_EPARSE, "%s is no copy of a flag set", file);
	ret->evaluators = or_none(ret->evaluators);
	ret->metadata = or_none(ret->metadata);
	ret->segments = or_none(ret->segments);
	for (; ret->n < (size_t)n; ret->n++) {
		struct flag_text *t = &ret->texts[ret->n];

		if (!next_line(&rest, &line) || !read_key(a, line, &t->key) || !next_line(&rest, &t->json) || !t->json.len)
			return err_set(reterr, WEIR_EPARSE, "%s: flag %zu of %lld is no flag", file, ret->n + 1, (long long)n);
	}
	return rest.len ? err_set(reterr, WEIR_EPARSE, "%s: more than the %lld flags of its head", file, (long long)n) : 0;
}

/* --- a room of copies --- */

/* What differs from the present set: changed and new flags, and removed ones with an empty text. */
static int differences(struct arena *a, const struct flag_set *before, const struct flag_copy *c, struct flag_text **ret, size_t *ret_n, struct err *reterr)
{
	struct map keys = MAP_INIT;
	size_t     kept = 0, n = 0, max = c->n + (before ? flag_set_count(before) : 0) + 1;
	bool       ok = true;

	*ret = ARENA_ARRAY(a, max, struct flag_text);
	for (size_t i = 0; *ret && i < c->n; i++) {
		const struct flag *f = before ? flag_set_find(before, c->texts[i].key) : NULL;

		kept += f != NULL;
		if (!f || !str_eq(f->text, c->texts[i].json))
			(*ret)[n++] = c->texts[i];
	}
	if (*ret && before && kept < flag_set_count(before)) {
		for (size_t i = 0; ok && i < c->n; i++)
			ok = map_put(&keys, c->texts[i].key, &keys, NULL);
		for (const struct flag *f = flag_set_next(before, NULL); ok && f; f = flag_set_next(before, f))
			if (!map_has(&keys, f->key))
				(*ret)[n++] = (struct flag_text){ f->key, STR("") };
		map_fini(&keys);
	}
	*ret_n = n;
	return ok ? arena_check(a, "changes of a flag set", reterr) : err_set(reterr, WEIR_ENOMEM, "no memory for flag set %.*s", STR_ARG(c->id));
}

static int take_locked(struct flag_room *r, const struct flag_copy *c, bool *ret_news, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 30);
	struct flag_set           *before = flag_present_set(r, c->id), *set = NULL;
	struct flag_set_head       head = { c->id, c->revision, c->evaluators, c->metadata, c->segments };
	struct stored_set          like = { .id = c->id, .project = c->project, .name = c->name, .environment = c->environment, .source = c->source,
										.revision = c->revision, .changed_at = c->changed_at };
	int64_t                    present = before ? flag_set_head(before)->revision : -1;
	struct flag_text          *texts;
	size_t                     n;
	int                        rc = 0;

	*ret_news = present < c->revision;
	if (present > c->revision)
		rc = err_set(reterr, WEIR_ECONFLICT, "flag set %.*s: revision %lld is older than %lld, which is served", STR_ARG(c->id), (long long)c->revision,
					 (long long)present);
	if (!rc && *ret_news && !(rc = differences(&a, before, c, &texts, &n, reterr)) && !(rc = flag_set_build(before, &head, texts, n, &set, reterr)))
		rc = flag_swap_in(r, &like, set, reterr);
	flag_set_unref(before);
	return rc;
}

int flag_copy_take(struct flag_room *r, const struct flag_copy *c, bool *ret_news, struct err *reterr)
{
	int rc;

	pthread_mutex_lock(&r->writer);
	rc = take_locked(r, c, ret_news, reterr);
	pthread_mutex_unlock(&r->writer);
	if (!rc && *ret_news)
		flag_kick(r);
	return rc;
}

int flag_copy_drop(struct flag_room *r, str id, struct err *reterr)
{
	char z[FLAG_ID_SIZE];
	int  rc = 0;

	snprintf(z, sizeof(z), "%.*s", STR_ARG(id));
	pthread_mutex_lock(&r->writer);
	if (flag_copy_revision(r, id) >= 0)
		rc = flag_tables_put(r->tables, z, NULL, reterr);
	pthread_mutex_unlock(&r->writer);
	flag_kick(r);
	return rc;
}

int64_t flag_copy_revision(struct flag_room *r, str id)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), id);
	int64_t                  ret = e ? flag_set_head(e->set)->revision : -1;

	flag_read_end(r->tables);
	return ret;
}

int flag_copy_list(struct flag_room *r, struct arena *a, struct flag_copied **ret, size_t *ret_n, struct err *reterr)
{
	const struct flag_table *t = flag_read_begin(r->tables);

	*ret = ARENA_ARRAY(a, t->n + 1, struct flag_copied);
	*ret_n = *ret ? t->n : 0;
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] = (struct flag_copied){ arena_str(a, str_z(t->entries[i]->id)), flag_set_head(t->entries[i]->set)->revision };
	flag_read_end(r->tables);
	return arena_check(a, "list of flag sets", reterr);
}
