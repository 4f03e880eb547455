/* flag-store.c - the room's tables: sets, one row per flag and revision, and the list of revisions. A change is one transaction with its event.
 *
 * Nothing is ever overwritten: the text that a flag had at any revision, and so what anybody got at any time, can be read back. The digest of a revision
 * stands in its event: SHA-256 over the head and over each changed flag's key and text, so that the hash chain covers the definitions. Any thread. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/vec.h"
#include "flag/rollout-room.h"

const struct db_migration flag_migrations[] = {
	{ "flag sets",
	  "CREATE TABLE flag_set (id @text@ PRIMARY KEY, project @text@ NOT NULL, name @text@ NOT NULL, environment @text@ NOT NULL, source @text@ NOT NULL,"
	  " revision @int@ NOT NULL, evaluators @text@ NOT NULL, metadata @text@ NOT NULL, changed_at @int@ NOT NULL) @strict@;"
	  "CREATE TABLE flag (set_id @text@ NOT NULL, key @text@ NOT NULL, revision @int@ NOT NULL, replaced @int@ NOT NULL, text @text@ NOT NULL,"
	  " PRIMARY KEY (set_id, key, revision)) @strict@;"
	  "CREATE INDEX flag_changes ON flag (set_id, revision);"
	  "CREATE INDEX flag_ends ON flag (set_id, replaced);"
	  "CREATE TABLE flag_revision (set_id @text@ NOT NULL, revision @int@ NOT NULL, at @int@ NOT NULL, by_actor @text@ NOT NULL, address @text@ NOT NULL,"
	  " comment @text@ NOT NULL, flags @int@ NOT NULL, digest @text@ NOT NULL, PRIMARY KEY (set_id, revision)) @strict@;"
	  "CREATE TABLE flag_head (set_id @text@ NOT NULL, revision @int@ NOT NULL, evaluators @text@ NOT NULL, metadata @text@ NOT NULL,"
	  " PRIMARY KEY (set_id, revision)) @strict@;"
	  "CREATE TABLE flag_ticket_key (one @int@ PRIMARY KEY, key @text@ NOT NULL) @strict@" },
	{ "flag segments",
	  "ALTER TABLE flag_set ADD COLUMN segments @text@ NOT NULL DEFAULT '';"
	  "ALTER TABLE flag_head ADD COLUMN segments @text@ NOT NULL DEFAULT ''" },
	{ "flag drafts",
	  "CREATE TABLE flag_draft (set_id @text@ NOT NULL, id @int@ NOT NULL, version @int@ NOT NULL, state @text@ NOT NULL, author @text@ NOT NULL,"
	  " opened_at @int@ NOT NULL, ended_at @int@ NOT NULL, ended_by @text@ NOT NULL, cause @text@ NOT NULL, revision @int@ NOT NULL, late_s @int@ NOT NULL,"
	  " apply_at @int@ NOT NULL, PRIMARY KEY (set_id, id)) @strict@;"
	  "CREATE INDEX flag_draft_due ON flag_draft (state, apply_at);"
	  "CREATE INDEX flag_draft_revision ON flag_draft (set_id, revision);"
	  "CREATE TABLE flag_draft_version (set_id @text@ NOT NULL, draft @int@ NOT NULL, version @int@ NOT NULL, by_actor @text@ NOT NULL, address @text@ NOT NULL,"
	  " at @int@ NOT NULL, base @int@ NOT NULL, title @text@ NOT NULL, comment @text@ NOT NULL, apply_at @int@ NOT NULL, body @text@ NOT NULL,"
	  " keys @text@ NOT NULL, PRIMARY KEY (set_id, draft, version)) @strict@;"
	  "CREATE TABLE flag_draft_approval (set_id @text@ NOT NULL, draft @int@ NOT NULL, version @int@ NOT NULL, by_actor @text@ NOT NULL, address @text@ NOT NULL,"
	  " at @int@ NOT NULL, comment @text@ NOT NULL, PRIMARY KEY (set_id, draft, version, by_actor)) @strict@;"
	  "CREATE TABLE flag_draft_look (set_id @text@ NOT NULL, draft @int@ NOT NULL, version @int@ NOT NULL, by_actor @text@ NOT NULL, contexts @int@ NOT NULL,"
	  " at @int@ NOT NULL, PRIMARY KEY (set_id, draft, version, by_actor)) @strict@" },
	{ "flag samples",
	  "CREATE TABLE flag_sampling (set_id @text@ PRIMARY KEY, keep @int@ NOT NULL, days @int@ NOT NULL, deny @text@ NOT NULL, changed_at @int@ NOT NULL) @strict@;"
	  "CREATE TABLE flag_sample (set_id @text@ NOT NULL, slot @int@ NOT NULL, at @int@ NOT NULL, context @text@ NOT NULL, PRIMARY KEY (set_id, slot)) @strict@" },
	{ "clients of Unleash's kind",
	  "CREATE TABLE flag_client (set_id @text@ NOT NULL, app @text@ NOT NULL, instance @text@ NOT NULL, kind @text@ NOT NULL, sdk @text@ NOT NULL,"
	  " strategies @text@ NOT NULL, address @text@ NOT NULL, started @int@ NOT NULL, interval_ms @int@ NOT NULL, first_seen @int@ NOT NULL,"
	  " last_seen @int@ NOT NULL, PRIMARY KEY (set_id, app, instance)) @strict@;"
	  "CREATE TABLE flag_client_count (set_id @text@ NOT NULL, key @text@ NOT NULL, app @text@ NOT NULL, hour @int@ NOT NULL, yes @int@ NOT NULL,"
	  " no @int@ NOT NULL, PRIMARY KEY (set_id, key, app, hour)) @strict@;"
	  "CREATE INDEX flag_client_count_hours ON flag_client_count (set_id, hour);"
	  "CREATE TABLE flag_client_variant (set_id @text@ NOT NULL, key @text@ NOT NULL, app @text@ NOT NULL, hour @int@ NOT NULL, variant @text@ NOT NULL,"
	  " n @int@ NOT NULL, PRIMARY KEY (set_id, key, app, hour, variant)) @strict@;"
	  "CREATE INDEX flag_client_variant_hours ON flag_client_variant (set_id, hour)" },
	{ "flag usage",
	  "CREATE TABLE flag_usage (set_id @text@ NOT NULL, flag @text@ NOT NULL, variant @text@ NOT NULL, hour @int@ NOT NULL, asked @int@ NOT NULL,"
	  " bulk @int@ NOT NULL, PRIMARY KEY (set_id, flag, variant, hour)) @strict@;"
	  "CREATE INDEX flag_usage_hours ON flag_usage (hour);"
	  "CREATE TABLE flag_last_use (set_id @text@ NOT NULL, flag @text@ NOT NULL, asked @int@ NOT NULL, bulk @int@ NOT NULL,"
	  " PRIMARY KEY (set_id, flag)) @strict@;"
	  "CREATE TABLE flag_usage_state (set_id @text@ PRIMARY KEY, began_at @int@ NOT NULL, dropped_at @int@ NOT NULL) @strict@" },
	{ "flag references",
	  "CREATE TABLE flag_ref_blob (blob @text@ NOT NULL, lang @text@ NOT NULL, version @int@ NOT NULL, cut @int@ NOT NULL, data @blob@ NOT NULL,"
	  " PRIMARY KEY (blob, lang)) @strict@;"
	  "CREATE TABLE flag_ref_file (project @text@ NOT NULL, path @text@ NOT NULL, blob @text@ NOT NULL, lang @text@ NOT NULL, PRIMARY KEY (project, path)) @strict@;"
	  "CREATE INDEX flag_ref_files ON flag_ref_file (blob, lang);"
	  "CREATE TABLE flag_ref_state (project @text@ PRIMARY KEY, commit_id @text@ NOT NULL, version @int@ NOT NULL, at @int@ NOT NULL, files @int@ NOT NULL,"
	  " beyond @int@ NOT NULL) @strict@" },
	{ "guarded rollouts",
	  "CREATE TABLE flag_rollout (id @text@ PRIMARY KEY, set_id @text@ NOT NULL, key @text@ NOT NULL, running @int@ NOT NULL, state @text@ NOT NULL,"
	  " spec @text@ NOT NULL, previous @text@ NOT NULL, next @text@ NOT NULL, salt @text@ NOT NULL, ro @text@ NOT NULL, counts @text@ NOT NULL,"
	  " evidence @text@ NOT NULL, cause @text@ NOT NULL, by_actor @text@ NOT NULL, started_at @int@ NOT NULL, ended_at @int@ NOT NULL,"
	  " order_word @text@ NOT NULL, order_by @text@ NOT NULL, order_answer @text@ NOT NULL, version @int@ NOT NULL) @strict@;"
	  "CREATE UNIQUE INDEX flag_rollout_one ON flag_rollout (set_id, key) WHERE running = 1;"
	  "CREATE INDEX flag_rollout_sets ON flag_rollout (set_id, id);"
	  "CREATE TABLE flag_rollout_user (rollout @text@ NOT NULL, part @int@ NOT NULL, users @blob@ NOT NULL, PRIMARY KEY (rollout, part)) @strict@;"
	  "CREATE TABLE flag_track (id @text@ PRIMARY KEY, events @blob@ NOT NULL) @strict@" },
};
const size_t flag_n_migrations = ARRAY_SIZE(flag_migrations);

static const char *source_name(enum flag_source s) { return s == FLAG_IN_REPOSITORY ? "repository" : "store"; }

/* --- sets --- */

#define SET_COLUMNS "id, project, name, environment, source, revision, evaluators, metadata, changed_at, segments"

static void read_set(struct db_rows *rows, struct arena *a, struct stored_set *ret)
{
	*ret = (struct stored_set){
		.id = arena_str(a, db_str(rows, 0)),
		.project = arena_str(a, db_str(rows, 1)),
		.name = arena_str(a, db_str(rows, 2)),
		.environment = arena_str(a, db_str(rows, 3)),
		.source = str_eqz(db_str(rows, 4), "repository") ? FLAG_IN_REPOSITORY : FLAG_IN_STORE,
		.revision = db_int(rows, 5),
		.evaluators = arena_str(a, db_str(rows, 6)),
		.metadata = arena_str(a, db_str(rows, 7)),
		.changed_at = db_int(rows, 8),
		.segments = arena_str(a, db_str(rows, 9)),
	};
}

int flag_store_create(struct db_tx *tx, const struct stored_set *s, struct err *reterr)
{
	int64_t n;
	int     rc = db_exec(tx, reterr, "INSERT INTO flag_set (" SET_COLUMNS ") VALUES ($1, $2, $3, $4, $5, 0, '', '', $6, '')", "sssszi", s->id, s->project, s->name,
						 s->environment, source_name(s->source), s->changed_at);

	if (!rc)
		rc = db_get_int(tx, reterr, &n, NULL, "SELECT COUNT(*) FROM flag_set WHERE project = $1", "s", s->project);
	if (!rc && n > LIMIT_FLAG_SETS)
		return err_set(reterr, WEIR_ELIMIT, "project '%.*s' has %d flag sets, which is the limit", STR_ARG(str_sub(s->project, 0, LIMIT_NAME_BYTES)), LIMIT_FLAG_SETS);
	return rc;
}

int flag_store_find(struct db_tx *tx, struct arena *a, str id, struct stored_set *ret, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int                          rc = db_query(tx, reterr, &rows, "SELECT " SET_COLUMNS " FROM flag_set WHERE id = $1", "s", id);

	if (rc || (rc = db_next(rows, reterr)) < 0)
		return rc;
	if (!rc)
		return err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(id, 0, 200)));
	read_set(rows, a, ret);
	return arena_check(a, "flag set", reterr);
}

int flag_store_list(struct db_tx *tx, struct arena *a, struct stored_set **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct stored_set) found = VEC_INIT;
	int rc = db_query(tx, reterr, &rows, "SELECT " SET_COLUMNS " FROM flag_set ORDER BY id", "");

	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct stored_set s;

		read_set(rows, a, &s);
		rc = VEC_PUSH(&found, s) ? 0 : err_set(reterr, WEIR_ENOMEM, "list of flag sets");
	}
	*ret = ARENA_ARRAY(a, found.n + 1, struct stored_set);
	*ret_n = found.n;
	if (*ret && found.n)
		memcpy(*ret, found.v, found.n * sizeof(**ret));
	VEC_FINI(&found);
	return rc ? rc : arena_check(a, "list of flag sets", reterr);
}

/* --- texts --- */

/* Rows (key, text) of an open query. */
static int read_texts(struct db_rows *rows, struct arena *a, struct flag_text **ret, size_t *ret_n, struct err *reterr)
{
	VEC(struct flag_text) found = VEC_INIT;
	int rc;

	while ((rc = db_next(rows, reterr)) > 0) {
		struct flag_text t = { arena_str(a, db_str(rows, 0)), arena_str(a, db_str(rows, 1)) };

		if (!VEC_PUSH(&found, t)) {
			rc = err_set(reterr, WEIR_ENOMEM, "texts of flags");
			break;
		}
	}
	*ret = ARENA_ARRAY(a, found.n + 1, struct flag_text);
	*ret_n = found.n;
	if (*ret && found.n)
		memcpy(*ret, found.v, found.n * sizeof(**ret));
	VEC_FINI(&found);
	return rc ? rc : arena_check(a, "texts of flags", reterr);
}

int flag_store_texts_after(struct db_tx *tx, struct arena *a, str id, int64_t after, struct flag_text **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	/* first what went away, then what came: a flag that was replaced is in both, and the later text counts */
	int rc = db_query(tx, reterr, &rows,
					  after ? "SELECT key, text FROM (SELECT key, '' AS text, 0 AS part FROM flag WHERE set_id = $1 AND replaced > $2 AND revision <= $2"
							  " UNION ALL SELECT key, text, 1 AS part FROM flag WHERE set_id = $1 AND revision > $2 AND replaced = 0) AS changed ORDER BY part"
							: "SELECT key, text FROM flag WHERE set_id = $1 AND revision > $2 AND replaced = 0",
					  "si", id, after);

	return rc ? rc : read_texts(rows, a, ret, ret_n, reterr);
}

int flag_store_head_at(struct db_tx *tx, struct arena *a, str id, int64_t at, struct flag_set_head *ret, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT evaluators, metadata, segments FROM flag_head WHERE set_id = $1 AND revision <= $2 ORDER BY revision DESC LIMIT 1", "si",
					  id, at);

	*ret = (struct flag_set_head){ .id = id, .revision = at };
	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	ret->evaluators = arena_str(a, db_str(rows, 0));
	ret->metadata = arena_str(a, db_str(rows, 1));
	ret->segments = arena_str(a, db_str(rows, 2));
	return 0;
}

int flag_store_at(struct db_tx *tx, struct arena *a, str id, int64_t at, struct flag_set_head *ret_head, struct flag_text **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int64_t                      one;
	bool                         there = at == 0;
	int                          rc = at ? db_get_int(tx, reterr, &one, &there, "SELECT revision FROM flag_revision WHERE set_id = $1 AND revision = $2", "si", id, at) : 0;

	if (!rc && !there)
		rc = err_set(reterr, WEIR_ENOENT, "flag set '%.*s' has no revision %lld", STR_ARG(str_sub(id, 0, 200)), (long long)at);
	if (!rc)
		rc = flag_store_head_at(tx, a, id, at, ret_head, reterr);
	if (!rc)
		rc = db_query(tx, reterr, &rows, "SELECT key, text FROM flag WHERE set_id = $1 AND revision <= $2 AND (replaced = 0 OR replaced > $2)", "si", id, at);
	return rc ? rc : read_texts(rows, a, ret, ret_n, reterr);
}

int flag_store_head_revision(struct db_tx *tx, str id, int64_t *ret, struct err *reterr)
{
	return db_get_int(tx, reterr, ret, NULL, "SELECT COALESCE(MAX(revision), 0) FROM flag_head WHERE set_id = $1", "s", id);
}

int flag_store_revision_at(struct db_tx *tx, str id, usec_t when, int64_t *ret, struct err *reterr)
{
	bool found;

	return db_get_int(tx, reterr, ret, &found, "SELECT COALESCE(MAX(revision), 0) FROM flag_revision WHERE set_id = $1 AND at <= $2", "si", id, when);
}

/* --- changes --- */

static void digest_part(sha256_state *s, str part)
{
	unsigned char n[8];

	for (int i = 0; i < 8; i++)
		n[i] = (unsigned char)((uint64_t)part.len >> (8 * i));
	crypto_hash_sha256_update(s, n, sizeof(n));
	crypto_hash_sha256_update(s, (const unsigned char *)part.ptr, part.len);
}

static void digest_of(const struct flag_change *c, const struct stored_set *head, char out[SHA256_HEX])
{
	sha256_state  s;
	unsigned char raw[SHA256_BYTES];

	crypto_hash_sha256_init(&s);
	digest_part(&s, head->evaluators);
	digest_part(&s, head->metadata);
	if (head->segments.len)
		digest_part(&s, head->segments);
	for (size_t i = 0; i < c->n; i++) {
		digest_part(&s, c->texts[i].key);
		digest_part(&s, c->texts[i].json);
	}
	crypto_hash_sha256_final(&s, raw);
	hex_of(raw, sizeof(raw), out);
}

/* Somebody else's change of one of these flags, after the author looked: a text that came, or one that went. */
static int find_clash(struct db_tx *tx, const struct flag_change *c, str keys, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int                          rc = db_query(tx, reterr, &rows,
											   "SELECT f.key, MAX(CASE WHEN f.replaced > f.revision THEN f.replaced ELSE f.revision END) FROM @rows:1:key,text@ AS r"
											   " JOIN flag f ON f.set_id = $2 AND f.key = r.key WHERE f.revision > $3 OR f.replaced > $3 GROUP BY f.key ORDER BY f.key LIMIT 1",
											   "ssi", keys, c->id, c->base);

	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	return err_set(reterr, WEIR_ECONFLICT, "flag '%.*s' was changed by revision %lld; you saw revision %lld: look at it again", STR_ARG(str_sub(db_str(rows, 0), 0, 100)),
				   (long long)db_int(rows, 1), (long long)c->base);
}

/* A list of keys and texts, in three statements however many they are. */
static int put_list(struct db_tx *tx, const struct flag_change *c, struct db_list *l, int64_t revision, struct err *reterr)
{
	str list;
	int rc = db_list_end(l, &list, reterr);

	if (!rc && c->base >= 0 && c->base < revision - 1)
		rc = find_clash(tx, c, list, reterr);
	if (!rc)
		rc = db_exec(tx, reterr, "UPDATE flag SET replaced = $3 WHERE set_id = $2 AND replaced = 0 AND key IN (SELECT r.key FROM @rows:1:key,text@ AS r)", "ssi", list,
					 c->id, revision);
	if (!rc)
		rc = db_exec(tx, reterr, "INSERT INTO flag (set_id, key, revision, replaced, text) SELECT $2, r.key, $3, 0, r.text FROM @rows:1:key,text@ AS r WHERE r.text <> ''",
					 "ssi", list, c->id, revision);
	db_list_clear(l);
	return rc;
}

static int put_texts(struct db_tx *tx, const struct flag_change *c, int64_t revision, struct err *reterr)
{
	struct db_list l;
	int            rc = 0;

	db_list_init(&l);
	for (size_t i = 0; !rc && i < c->n; i++) {
		if (!db_list_fits(&l, c->texts[i].key.len + c->texts[i].json.len))
			rc = put_list(tx, c, &l, revision, reterr);
		db_list_add(&l, (str[]){ c->texts[i].key, c->texts[i].json.len ? c->texts[i].json : STR("") }, 2);
	}
	if (!rc && l.n)
		rc = put_list(tx, c, &l, revision, reterr);
	db_list_fini(&l);
	return rc;
}

static int append_event(struct flag_room *r, struct db_tx *tx, const struct flag_change *c, const struct stored_set *s, int64_t revision, const char *digest,
						struct err *reterr)
{
	enum { NAMED = 100 }; /* keys in the event; all of them are in the rows */
	struct buf CLEANUP_BUF data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "set", s->id);
	jw_kstr(&w, "environment", s->environment);
	jw_kint(&w, "revision", revision);
	jw_kint(&w, "flags", (int64_t)c->n);
	jw_key(&w, "keys");
	jw_arr(&w);
	for (size_t i = 0; i < c->n && i < NAMED; i++)
		jw_str(&w, c->texts[i].key);
	jw_end(&w);
	jw_kstrz(&w, "digest", digest);
	jw_kstr(&w, "address", c->address);
	if (c->pass) {
		jw_kint(&w, "draft", c->pass->draft);
		jw_key(&w, "approvals");
		jw_raw(&w, c->pass->approvals.len ? c->pass->approvals : STR("[]"));
	}
	if (c->pass && c->pass->late_s)
		jw_kint(&w, "late_s", c->pass->late_s);
	if (c->comment.len)
		jw_kstr(&w, "comment", c->comment);
	jw_end(&w);
	return event_append(r->cfg.log, tx, s->project, EVENT_FLAG_CHANGED, c->by, buf_str(&data), NULL, reterr);
}

/* What flags share, and where the set belongs, was changed after the author looked? */
static int check_head(struct db_tx *tx, const struct flag_change *c, const struct stored_set *s, struct err *reterr)
{
	int64_t head = 0;
	int     rc = c->with_head || c->with_segments ? flag_store_head_revision(tx, c->id, &head, reterr) : 0;

	if (!rc && c->base >= 0 && head > c->base)
		return err_set(reterr, WEIR_ECONFLICT, "evaluators, metadata or segments were changed by revision %lld; you saw revision %lld: look at them again", (long long)head,
					   (long long)c->base);
	if (!rc && c->with_environment && s->revision > c->base)
		return err_set(reterr, WEIR_ECONFLICT, "the set is at revision %lld, you saw %lld: its environment is changed by who saw all of it", (long long)s->revision,
					   (long long)c->base);
	return rc;
}

int flag_store_change(struct flag_room *r, struct db_tx *tx, const struct flag_change *c, int64_t *ret_revision, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(LIMIT_FLAG_HEAD_BYTES * 4);
	struct stored_set          s;
	char                       digest[SHA256_HEX];
	int64_t                    revision;
	int                        rc = flag_store_find(tx, &a, c->id, &s, reterr);

	if (rc)
		return rc;
	if (c->source != s.source)
		return err_set(reterr, WEIR_ECONFLICT, "flag set '%.*s' is kept in %s", STR_ARG(c->id),
					   s.source == FLAG_IN_STORE ? "the store" : "the repository: change it by a push of its file in .weir/flags");
	if (c->base > s.revision)
		return err_set(reterr, WEIR_EINVAL, "base: the set is at revision %lld, there is no %lld", (long long)s.revision, (long long)c->base);
	if (c->seen_environment.ptr && !str_eq(c->seen_environment, s.environment))
		return err_set(reterr, WEIR_ECONFLICT, "the environment of flag set '%.*s' was changed meanwhile: try again", STR_ARG(c->id));
	if ((rc = check_head(tx, c, &s, reterr)))
		return rc;
	if (c->with_head) {
		s.evaluators = c->evaluators;
		s.metadata = c->metadata;
	}
	if (c->with_segments)
		s.segments = c->segments;
	if (c->with_environment)
		s.environment = c->environment;
	revision = s.revision + 1;
	digest_of(c, &s, digest);
	rc = rollout_store_guard(r, tx, c, &s, revision, reterr);
	if (!rc)
		rc = put_texts(tx, c, revision, reterr);
	if (!rc)
		rc = db_exec(tx, reterr,
					 "UPDATE flag_set SET revision = $2, evaluators = $3, metadata = $4, changed_at = $5, segments = $6, environment = $7 WHERE id = $1", "sississ",
					 s.id, revision, s.evaluators, s.metadata, c->now, s.segments, s.environment);
	if (!rc && (c->with_head || c->with_segments))
		rc = db_exec(tx, reterr, "INSERT INTO flag_head (set_id, revision, evaluators, metadata, segments) VALUES ($1, $2, $3, $4, $5)", "sisss", s.id, revision,
					 s.evaluators, s.metadata, s.segments);
	if (!rc)
		rc = db_exec(tx, reterr,
					 "INSERT INTO flag_revision (set_id, revision, at, by_actor, address, comment, flags, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
					 "siisssiz", s.id, revision, c->now, c->by, c->address, c->comment, (int64_t)c->n, digest);
	if (!rc)
		rc = append_event(r, tx, c, &s, revision, digest, reterr);
	if (!rc && c->also)
		rc = c->also(tx, c->also_arg, revision, reterr);
	if (!rc)
		rc = db_notify(tx, FLAG_CHANNEL, reterr);
	*ret_revision = revision;
	return rc;
}

/* --- history --- */

int flag_store_revisions(struct db_tx *tx, struct arena *a, str id, int64_t before, size_t max, struct stored_revision **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows,
					  "SELECT revision, at, flags, by_actor, address, comment, digest FROM flag_revision"
					  " WHERE set_id = $1 AND ($2 = 0 OR revision < $2) ORDER BY revision DESC LIMIT $3",
					  "sii", id, before, (int64_t)max);

	*ret = ARENA_ARRAY(a, max + 1, struct stored_revision);
	*ret_n = 0;
	while (!rc && *ret && *ret_n < max && (rc = db_next(rows, reterr)) > 0) {
		(*ret)[(*ret_n)++] = (struct stored_revision){
			.revision = db_int(rows, 0),
			.at = db_int(rows, 1),
			.flags = db_int(rows, 2),
			.by = arena_str(a, db_str(rows, 3)),
			.address = arena_str(a, db_str(rows, 4)),
			.comment = arena_str(a, db_str(rows, 5)),
			.digest = arena_str(a, db_str(rows, 6)),
		};
		rc = 0;
	}
	return rc ? rc : arena_check(a, "revisions of a flag set", reterr);
}

int flag_store_revision_keys(struct db_tx *tx, struct arena *a, str id, int64_t revision, str **ret, size_t *ret_n, struct err *reterr)
{
	enum { SHOWN = 1000 };
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows,
					  "SELECT key FROM flag WHERE set_id = $1 AND (revision = $2 OR replaced = $2) GROUP BY key ORDER BY key LIMIT $3", "sii", id, revision,
					  (int64_t)SHOWN);

	*ret = ARENA_ARRAY(a, SHOWN, str);
	*ret_n = 0;
	while (!rc && *ret && *ret_n < SHOWN && (rc = db_next(rows, reterr)) > 0) {
		(*ret)[(*ret_n)++] = arena_str(a, db_str(rows, 0));
		rc = 0;
	}
	return rc ? rc : arena_check(a, "keys of a revision", reterr);
}
