/* flag-draft-store.c - tables of drafts: one row per draft, one per version that it ever had, approvals of versions, and who looked at whom it hits.
 *
 * Nothing that somebody wrote is overwritten: an edit is another version, and approvals name the version that they are for. Any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "base/vec.h"
#include "flag/draft.h"

const char *const draft_states[] = { "open", "scheduled", "applied", "rejected", "withdrawn", "failed", NULL };

static enum draft_state state_of(str name)
{
	for (int i = 0; draft_states[i]; i++)
		if (str_eqz(name, draft_states[i]))
			return (enum draft_state)i;
	return DRAFT_FAILED;
}

/* --- reading --- */

#define DRAFT_COLUMNS                                                                                                                                    \
	"d.id, d.version, d.state, d.author, d.opened_at, d.ended_at, d.ended_by, d.cause, d.revision, d.late_s, v.by_actor, v.at, v.base, v.title, v.comment,"  \
	" v.apply_at, v.body, v.keys FROM flag_draft d JOIN flag_draft_version v ON v.set_id = d.set_id AND v.draft = d.id AND v.version = d.version"

static void read_draft(struct db_rows *rows, struct arena *a, str set, struct draft *ret)
{
	*ret = (struct draft){
		.set = set,
		.id = db_int(rows, 0),
		.version = db_int(rows, 1),
		.state = state_of(db_str(rows, 2)),
		.by = arena_str(a, db_str(rows, 3)),
		.opened_at = db_int(rows, 4),
		.ended_at = db_int(rows, 5),
		.ended_by = arena_str(a, db_str(rows, 6)),
		.cause = arena_str(a, db_str(rows, 7)),
		.revision = db_int(rows, 8),
		.late_s = db_int(rows, 9),
		.changed_by = arena_str(a, db_str(rows, 10)),
		.changed_at = db_int(rows, 11),
		.base = db_int(rows, 12),
		.title = arena_str(a, db_str(rows, 13)),
		.comment = arena_str(a, db_str(rows, 14)),
		.apply_at = db_int(rows, 15),
		.body = arena_str(a, db_str(rows, 16)),
		.keys = arena_str(a, db_str(rows, 17)),
	};
}

static int read_authors(struct db_tx *tx, struct arena *a, struct draft *d, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(str) v = VEC_INIT;
	str *copy;
	int  rc = db_query(tx, reterr, &rows, "SELECT DISTINCT by_actor FROM flag_draft_version WHERE set_id = $1 AND draft = $2", "si", d->set, d->id);

	while (!rc && (rc = db_next(rows, reterr)) > 0)
		rc = VEC_PUSH(&v, arena_str(a, db_str(rows, 0))) ? 0 : err_set(reterr, WEIR_ENOMEM, "authors of a draft");
	copy = ARENA_ARRAY(a, v.n + 1, str);
	if (copy && v.n)
		memcpy(copy, v.v, v.n * sizeof(*copy));
	d->authors = copy;
	d->n_authors = copy ? v.n : 0;
	VEC_FINI(&v);
	return rc;
}

static int read_approvals(struct db_tx *tx, struct arena *a, struct draft *d, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct draft_approval) v = VEC_INIT;
	int rc = db_query(tx, reterr, &rows,
					  "SELECT by_actor, address, at, version, comment FROM flag_draft_approval WHERE set_id = $1 AND draft = $2 ORDER BY at, by_actor", "si", d->set,
					  d->id);

	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct draft_approval one = { .by = arena_str(a, db_str(rows, 0)), .address = arena_str(a, db_str(rows, 1)), .at = db_int(rows, 2),
									  .version = db_int(rows, 3), .comment = arena_str(a, db_str(rows, 4)) };

		rc = VEC_PUSH(&v, one) ? 0 : err_set(reterr, WEIR_ENOMEM, "approvals of a draft");
	}
	d->approvals = ARENA_ARRAY(a, v.n + 1, struct draft_approval);
	d->n_approvals = d->approvals ? v.n : 0;
	if (d->n_approvals)
		memcpy(d->approvals, v.v, v.n * sizeof(*v.v));
	VEC_FINI(&v);
	return rc;
}

int draft_find(struct db_tx *tx, struct arena *a, str set, int64_t id, struct draft *ret, struct err *reterr)
{
	struct db_rows *rows = NULL;
	int             rc = db_query(tx, reterr, &rows, "SELECT " DRAFT_COLUMNS " WHERE d.set_id = $1 AND d.id = $2", "si", set, id);

	if (!rc && (rc = db_next(rows, reterr)) == 0)
		rc = err_set(reterr, WEIR_ENOENT, "flag set '%.*s' has no draft %lld", STR_ARG(str_sub(set, 0, 200)), (long long)id);
	if (rc > 0) {
		read_draft(rows, a, set, ret);
		rc = 0;
	}
	db_rows_close(rows);
	if (!rc)
		rc = read_authors(tx, a, ret, reterr);
	if (!rc)
		rc = read_approvals(tx, a, ret, reterr);
	return rc ? rc : arena_check(a, "draft", reterr);
}

int draft_list(struct db_tx *tx, struct arena *a, str set, int state, int64_t before, size_t max, struct draft **ret, size_t *ret_n, struct err *reterr)
{
	struct db_rows *rows = NULL;
	int             rc = db_query(tx, reterr, &rows,
								  "SELECT " DRAFT_COLUMNS " WHERE d.set_id = $1 AND ($2 = '' OR d.state = $2) AND ($3 = 0 OR d.id < $3) ORDER BY d.id DESC LIMIT $4", "szii",
								  set, state < 0 ? "" : draft_states[state], before, (int64_t)max);

	*ret = ARENA_ARRAY(a, max + 1, struct draft);
	*ret_n = 0;
	while (!rc && *ret && *ret_n < max && (rc = db_next(rows, reterr)) > 0) {
		read_draft(rows, a, set, &(*ret)[(*ret_n)++]);
		rc = 0;
	}
	db_rows_close(rows);
	for (size_t i = 0; !rc && i < *ret_n; i++)
		if (!(rc = read_authors(tx, a, &(*ret)[i], reterr)))
			rc = read_approvals(tx, a, &(*ret)[i], reterr);
	return rc ? rc : arena_check(a, "drafts", reterr);
}

/* --- writing --- */

static int insert_version(struct db_tx *tx, const struct draft *d, str address, struct err *reterr)
{
	return db_exec(tx, reterr,
				   "INSERT INTO flag_draft_version (set_id, draft, version, by_actor, address, at, base, title, comment, apply_at, body, keys)"
				   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
				   "siissiississ", d->set, d->id, d->version, d->changed_by, address, d->changed_at, d->base, d->title, d->comment, d->apply_at, d->body, d->keys);
}

int draft_insert(struct db_tx *tx, struct draft *d, str address, struct err *reterr)
{
	int64_t waiting, last;
	int     rc = db_get_int(tx, reterr, &waiting, NULL, "SELECT COUNT(*) FROM flag_draft WHERE set_id = $1 AND state IN ('open', 'scheduled')", "s", d->set);

	if (!rc && waiting >= LIMIT_FLAG_DRAFTS)
		return err_set(reterr, WEIR_ELIMIT, "flag set '%.*s' has %d drafts that wait: apply, reject or withdraw some", STR_ARG(d->set), LIMIT_FLAG_DRAFTS);
	if (!rc)
		rc = db_get_int(tx, reterr, &last, NULL, "SELECT COALESCE(MAX(id), 0) FROM flag_draft WHERE set_id = $1", "s", d->set);
	if (rc)
		return rc;
	d->id = last + 1;
	d->version = 1;
	rc = db_exec(tx, reterr,
				 "INSERT INTO flag_draft (set_id, id, version, state, author, opened_at, ended_at, ended_by, cause, revision, late_s, apply_at)"
				 " VALUES ($1, $2, 1, $3, $4, $5, 0, '', '', 0, 0, $6)",
				 "sizsii", d->set, d->id, draft_states[d->state], d->by, d->opened_at, d->apply_at);
	return rc ? rc : insert_version(tx, d, address, reterr);
}

int draft_insert_version(struct db_tx *tx, struct draft *d, str address, struct err *reterr)
{
	int rc;

	d->version++;
	rc = db_exec(tx, reterr,
				 "UPDATE flag_draft SET version = $3, state = $4, apply_at = $5, ended_at = 0, ended_by = '', cause = '' WHERE set_id = $1 AND id = $2", "siizi", d->set,
				 d->id, d->version, draft_states[d->state], d->apply_at);
	return rc ? rc : insert_version(tx, d, address, reterr);
}

int draft_set_state(struct db_tx *tx, const struct draft *d, struct err *reterr)
{
	return db_exec(tx, reterr,
				   "UPDATE flag_draft SET state = $3, ended_at = $4, ended_by = $5, cause = $6, revision = $7, late_s = $8 WHERE set_id = $1 AND id = $2", "sizissii",
				   d->set, d->id, draft_states[d->state], d->ended_at, d->ended_by.ptr ? d->ended_by : STR(""), d->cause.ptr ? d->cause : STR(""), d->revision,
				   d->late_s);
}

int draft_insert_approval(struct db_tx *tx, const struct draft *d, const struct draft_approval *v, struct err *reterr)
{
	return db_exec(tx, reterr,
				   "INSERT INTO flag_draft_approval (set_id, draft, version, by_actor, address, at, comment) VALUES ($1, $2, $3, $4, $5, $6, $7)"
				   " ON CONFLICT (set_id, draft, version, by_actor) DO NOTHING",
				   "siissis", d->set, d->id, v->version, v->by, v->address, v->at, v->comment.ptr ? v->comment : STR(""));
}

/* --- conflicts --- */

struct conflicts {
	struct arena          *arena;
	struct draft_conflict *v;
	size_t                 n;
	int64_t                base;
};

static void note(struct conflicts *k, str what, int64_t revision)
{
	if (revision > k->base)
		k->v[k->n++] = (struct draft_conflict){ what, revision };
}

int draft_conflicts(struct db_tx *tx, struct arena *a, const struct draft *d, const struct flag_change *c, struct draft_conflict **ret, size_t *ret_n, struct err *reterr)
{
	struct conflicts k = { .arena = a, .v = ARENA_ARRAY(a, c->n + 3, struct draft_conflict), .base = d->base };
	int64_t          revision;
	int              rc = 0;

	for (size_t i = 0; !rc && k.v && i < c->n; i++) {
		rc = db_get_int(tx, reterr, &revision, NULL,
						"SELECT COALESCE(MAX(CASE WHEN replaced > revision THEN replaced ELSE revision END), 0) FROM flag WHERE set_id = $1 AND key = $2", "ss", d->set,
						c->texts[i].key);
		if (!rc)
			note(&k, c->texts[i].key, revision);
	}
	if (!rc && k.v && (c->with_head || c->with_segments) && !(rc = flag_store_head_revision(tx, d->set, &revision, reterr)))
		note(&k, STR("evaluators, metadata and segments"), revision);
	if (!rc && k.v && c->with_environment && !(rc = db_get_int(tx, reterr, &revision, NULL, "SELECT revision FROM flag_set WHERE id = $1", "s", d->set)))
		note(&k, STR("environment"), revision);
	*ret = k.v;
	*ret_n = k.n;
	return rc ? rc : arena_check(a, "conflicts of a draft", reterr);
}

/* --- looks --- */

int draft_note_look(struct db_tx *tx, const struct draft *d, str by, int64_t contexts, usec_t now, struct err *reterr)
{
	return db_exec(tx, reterr,
				   "INSERT INTO flag_draft_look (set_id, draft, version, by_actor, contexts, at) VALUES ($1, $2, $3, $4, $5, $6)"
				   " ON CONFLICT (set_id, draft, version, by_actor) DO UPDATE SET contexts = EXCLUDED.contexts, at = EXCLUDED.at",
				   "siisii", d->set, d->id, d->version, by, contexts, now);
}

int draft_looked(struct db_tx *tx, const struct draft *d, str by, int64_t *ret_contexts, struct err *reterr)
{
	return db_get_int(tx, reterr, ret_contexts, NULL,
					  "SELECT COALESCE(MAX(contexts), 0) FROM flag_draft_look WHERE set_id = $1 AND draft = $2 AND version = $3 AND by_actor = $4", "siis", d->set, d->id,
					  d->version, by);
}

/* --- schedule --- */

int draft_next_due(struct db_tx *tx, struct arena *a, const struct draft_due *after, struct draft_due *ret, bool *ret_found, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows,
					  "SELECT set_id, id, apply_at FROM flag_draft WHERE state = 'scheduled' AND (apply_at > $1 OR (apply_at = $1 AND (set_id > $2 OR (set_id = $2 AND id > $3))))"
					  " ORDER BY apply_at, set_id, id LIMIT 1", "isi", after->at, after->set.ptr ? after->set : STR(""), after->id);

	*ret_found = false;
	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	*ret_found = true;
	*ret = (struct draft_due){ .at = db_int(rows, 2), .set = arena_str(a, db_str(rows, 0)), .id = db_int(rows, 1) };
	return arena_check(a, "scheduled draft", reterr);
}

/* --- where a revision comes from --- */

void draft_write_approval(struct jw *w, const struct draft_approval *v)
{
	jw_kstr(w, "by", v->by);
	jw_kstr(w, "address", v->address);
	jw_ktime(w, "at", v->at);
	jw_kint(w, "version", v->version);
	if (v->comment.len)
		jw_kstr(w, "comment", v->comment);
}

int flag_provenance_of(struct db_tx *tx, struct arena *a, str set, int64_t revision, struct flag_provenance *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF out = BUF_INIT(256 << 10);
	struct draft           d;
	struct jw              w;
	int rc = db_get_int(tx, reterr, &ret->draft, &(bool){ false }, "SELECT id FROM flag_draft WHERE set_id = $1 AND revision = $2", "si", set, revision);

	if (rc || !ret->draft)
		return rc;
	if ((rc = draft_find(tx, a, set, ret->draft, &d, reterr)))
		return rc;
	jw_init(&w, &out);
	jw_arr(&w);
	for (size_t i = 0; i < d.n_approvals; i++)
		if (d.approvals[i].version == d.version) {
			jw_obj(&w);
			draft_write_approval(&w, &d.approvals[i]);
			jw_end(&w);
		}
	jw_end(&w);
	ret->approvals = arena_str(a, buf_str(&out));
	return arena_check(a, "approvals", reterr);
}
