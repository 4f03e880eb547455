/* repo-store.c - the room's tables: projects, refs as recorded, verdicts that wait for their move, changes for pages.
 *
 * Each change of state is one transaction with its event. Any thread. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/limits.h"

const struct db_migration repo_migrations[] = {
	{ "create the tables of projects and changes",
	  "CREATE TABLE project (name @text@ PRIMARY KEY, state @text@ NOT NULL, template @text@ NOT NULL, default_ref @text@ NOT NULL,"
	  " created @int@ NOT NULL) @strict@;"
	  "CREATE TABLE ref (project @text@ NOT NULL, name @text@ NOT NULL, id @text@ NOT NULL, PRIMARY KEY (project, name)) @strict@;"
	  "CREATE TABLE push_verdict (project @text@ NOT NULL, ref @text@ NOT NULL, new_id @text@ NOT NULL, actor @text@ NOT NULL,"
	  " digest @text@ NOT NULL, findings @int@ NOT NULL, findings_json @text@ NOT NULL, PRIMARY KEY (project, ref, new_id)) @strict@;"
	  "CREATE TABLE change (project @text@ NOT NULL, seq @int@ NOT NULL, state @text@ NOT NULL, ref @text@ NOT NULL, old_id @text@ NOT NULL,"
	  " new_id @text@ NOT NULL, pusher @text@ NOT NULL, author @text@ NOT NULL, subject @text@ NOT NULL, commits @int@ NOT NULL,"
	  " at @int@ NOT NULL, findings_json @text@ NOT NULL, reason @text@ NOT NULL, PRIMARY KEY (project, seq)) @strict@" },
};
const size_t repo_n_migrations = ARRAY_SIZE(repo_migrations);

/* --- projects --- */

struct list_arg {
	struct arena        *a;
	str                  name; /* STR_NULL: all */
	struct repo_project *v;
	size_t               n, cap;
};

static int list_read(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct list_arg           *l = arg;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int                        r;

	l->n = 0;
	r = l->name.ptr ? db_query(tx, reterr, &rows, "SELECT name, state, template, default_ref, created FROM project WHERE name = $1", "s", l->name)
	                : db_query(tx, reterr, &rows, "SELECT name, state, template, default_ref, created FROM project ORDER BY name", "");
	while (!r && (r = db_next(rows, reterr)) == 1) {
		r = 0;
		if (l->n == l->cap) {
			size_t               cap = l->cap ? l->cap * 2 : 16;
			struct repo_project *v = ARENA_ARRAY(l->a, cap, struct repo_project);

			if (!v)
				return arena_check(l->a, "the list of projects", reterr);
			if (l->n)
				memcpy(v, l->v, l->n * sizeof(*v));
			l->v = v;
			l->cap = cap;
		}
		l->v[l->n++] = (struct repo_project){ .name = arena_str(l->a, db_str(rows, 0)),
			                                  .state = arena_str(l->a, db_str(rows, 1)),
			                                  .template_name = arena_str(l->a, db_str(rows, 2)),
			                                  .default_ref = arena_str(l->a, db_str(rows, 3)),
			                                  .created = db_int(rows, 4) };
	}
	return r ? r : arena_check(l->a, "the list of projects", reterr);
}

int repo_project_list(struct repo_store *s, struct arena *a, struct repo_project **ret, size_t *ret_n, struct err *reterr)
{
	struct list_arg l = { .a = a };
	int             r = db_read(s->cfg.db, list_read, &l, reterr);

	*ret = l.v;
	*ret_n = l.n;
	return r;
}

int repo_project_get(struct repo_store *s, str name, struct arena *a, struct repo_project *ret, struct err *reterr)
{
	struct list_arg l = { .a = a, .name = name.ptr ? name : STR("") };
	int             r = db_read_one(s->cfg.db, list_read, &l, reterr);

	if (!r && !l.n)
		return err_set(reterr, WEIR_ENOENT, "there is no project '%.*s'", STR_ARG(str_sub(name, 0, LIMIT_NAME_BYTES)));
	if (!r)
		*ret = l.v[0];
	return r;
}

/* --- verdicts that wait --- */

struct verdict_arg {
	str                        project;
	const struct ref_update   *u;
	const struct push_verdict *v;
	size_t                     n;
};

static int verdict_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct verdict_arg *x = arg;
	int                 r = 0;

	for (size_t i = 0; !r && i < x->n; i++)
		r = db_exec(tx, reterr,
		            "INSERT INTO push_verdict (project, ref, new_id, actor, digest, findings, findings_json) VALUES ($1, $2, $3, $4, $5, $6, $7)"
		            " ON CONFLICT (project, ref, new_id) DO UPDATE SET actor = $4, digest = $5, findings = $6, findings_json = $7",
		            "sszssis", x->project, x->u[i].ref, x->u[i].new_id, x->v[i].actor, x->v[i].digest, x->v[i].findings, x->v[i].findings_json);
	return r;
}

int repo_verdicts_put(struct repo_store *s, str project, const struct ref_update *u, const struct push_verdict *v, size_t n, struct err *reterr)
{
	struct verdict_arg x = { project, u, v, n };

	return db_write(s->cfg.db, verdict_tx, &x, reterr);
}

/* --- moves --- */

struct move_fact { /* one ref that moved, with what its head commit says */
	struct ref_update u;
	str               author, subject;
	usec_t            committed;
	int64_t           commits;
};
struct moves_arg {
	struct repo_store *s;
	str                project;
	struct move_fact  *m;
	size_t             n;
};

static int waiver_events(struct repo_store *s, struct db_tx *tx, str project, const struct push_verdict *v, str ref, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(LIMIT_DOC_BYTES);
	CLEANUP_BUF struct buf     data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct doc_node           *all;
	int                        r = doc_parse_json(&a, "findings", v->findings_json, &all, reterr);

	for (size_t i = 0; !r && i < doc_len(all); i++) {
		const struct doc_node *f = doc_at(all, i);
		struct jw              w;

		if (!doc_get_bool(f, "waived", false))
			continue;
		buf_clear(&data);
		jw_init(&w, &data);
		jw_obj(&w);
		jw_kstr(&w, "fingerprint", doc_get_str(f, "fingerprint"));
		jw_kstr(&w, "rule", doc_get_str(f, "rule"));
		jw_kstr(&w, "waiver", doc_get_str(f, "waiver"));
		jw_kstr(&w, "ref", ref);
		jw_end(&w);
		r = event_append(s->cfg.log, tx, project, EVENT_WAIVER_USED, v->actor, buf_str(&data), NULL, reterr);
	}
	return r;
}

/* The waiting verdict of an update, taken away; an update that git moved without one (by hand, behind weir's back) says so. */
static int verdict_take(struct db_tx *tx, str project, const struct ref_update *u, struct arena *a, struct push_verdict *ret, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int                          r;

	*ret = (struct push_verdict){ STR("unknown"), STR("none"), 0, STR("[]") };
	r = db_query(tx, reterr, &rows,
	             "DELETE FROM push_verdict WHERE project = $1 AND ref = $2 AND new_id = $3 RETURNING actor, digest, findings, findings_json",
	             "ssz", project, u->ref, u->new_id);
	if (!r)
		r = db_next(rows, reterr);
	if (r == 1) {
		*ret = (struct push_verdict){ arena_str(a, db_str(rows, 0)), arena_str(a, db_str(rows, 1)), db_int(rows, 2),
			                          arena_str(a, db_str(rows, 3)) };
		r = db_next(rows, reterr); /* to the end: the statement is done */
	}
	return r < 0 ? r : arena_check(a, "a verdict", reterr);
}

static void accepted_json(struct buf *data, const struct move_fact *m, const struct push_verdict *v)
{
	struct jw w;

	jw_init(&w, data);
	jw_obj(&w);
	jw_kstr(&w, "ref", m->u.ref);
	jw_kstrz(&w, "old", m->u.old_id);
	jw_kstrz(&w, "new", m->u.new_id);
	jw_kstr(&w, "pusher", v->actor);
	jw_kstr(&w, "author", m->author);
	jw_kstr(&w, "subject", m->subject);
	jw_kint(&w, "committed_at", m->committed);
	jw_kint(&w, "commits", m->commits);
	jw_kint(&w, "findings", v->findings);
	jw_kstr(&w, "verdict", v->digest);
	jw_end(&w);
}

static int ref_put(struct db_tx *tx, str project, const struct ref_update *u, struct err *reterr)
{
	if (!strcmp(u->new_id, git_zero_id))
		return db_exec(tx, reterr, "DELETE FROM ref WHERE project = $1 AND name = $2", "ss", project, u->ref);
	return db_exec(tx, reterr,
	               "INSERT INTO ref (project, name, id) VALUES ($1, $2, $3) ON CONFLICT (project, name) DO UPDATE SET id = $3", "ssz",
	               project, u->ref, u->new_id);
}

static int move_tx(struct moves_arg *x, struct db_tx *tx, struct move_fact *m, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(LIMIT_DOC_BYTES);
	CLEANUP_BUF struct buf     data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct push_verdict        v;
	str                        known;
	bool                       found;
	int64_t                    seq = 0;
	int r = db_get_str(tx, reterr, &a, &known, &found, "SELECT id FROM ref WHERE project = $1 AND name = $2", "ss", x->project, m->u.ref);

	if (r)
		return r;
	if (str_eqz(found ? known : str_z(git_zero_id), m->u.new_id)) /* recorded already: the hook came twice, or the mending was first */
		return 0;
	if (found) /* what the log says last, not what the hook saw: the chain of changes has no hole */
		snprintf(m->u.old_id, sizeof(m->u.old_id), "%.*s", STR_ARG(known));
	r = verdict_take(tx, x->project, &m->u, &a, &v, reterr);
	if (r)
		return r;
	accepted_json(&data, m, &v);
	r = event_append(x->s->cfg.log, tx, x->project, EVENT_CHANGE_ACCEPTED, v.actor, buf_str(&data), &seq, reterr);
	if (!r)
		r = db_exec(tx, reterr,
		            "INSERT INTO change (project, seq, state, ref, old_id, new_id, pusher, author, subject, commits, at, findings_json, reason)"
		            " VALUES ($1, $2, 'accepted', $3, $4, $5, $6, $7, $8, $9, $10, $11, '')",
		            "sisz" "zsssiis", x->project, seq, m->u.ref, m->u.old_id, m->u.new_id, v.actor, m->author, m->subject, m->commits,
		            clock_wall(x->s->cfg.clock), v.findings_json);
	if (!r)
		r = ref_put(tx, x->project, &m->u, reterr);
	return r ? r : waiver_events(x->s, tx, x->project, &v, m->u.ref, reterr);
}

static int moves_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct moves_arg *x = arg;

	for (size_t i = 0; i < x->n; i++) {
		int r = move_tx(x, tx, &x->m[i], reterr);

		if (r)
			return r;
	}
	return 0;
}

enum { TEXT_SHOWN_MAX = 500 };

/* At most TEXT_SHOWN_MAX bytes of a text from a commit, as UTF-8: people write commits in any encoding, and databases take only this one. */
static str text_clean(struct arena *a, str text)
{
	struct buf out = BUF_INIT(4 * TEXT_SHOWN_MAX);
	size_t     n = text.len < TEXT_SHOWN_MAX ? text.len : TEXT_SHOWN_MAX;
	str        copy;

	while (n && n < text.len && ((unsigned char)text.ptr[n] & 0xc0) == 0x80) /* not in the middle of a character */
		n--;
	for (size_t i = 0, len; i < n; i += len) {
		for (len = 1; len < 4 && i + len < n && ((unsigned char)text.ptr[i + len] & 0xc0) == 0x80; len++)
			;
		if (text.ptr[i] && str_utf8_valid(str_sub(text, i, len)))
			buf_add(&out, text.ptr + i, len);
		else
			buf_addz(&out, "\xef\xbf\xbd");
	}
	copy = arena_str(a, buf_str(&out));
	buf_fini(&out);
	return copy.ptr ? copy : STR("");
}

enum { COMMITS_COUNTED_MAX = 1000 }; /* past it an event says 1000 */

/* The commit that an object id leads to (tags are followed); false: none, or its object is gone. */
static bool commit_of(struct git_repo *git, const char *object, char ret[GIT_ID_SIZE])
{
	char rev[GIT_ID_SIZE + 16];

	snprintf(rev, sizeof(rev), "%s^{commit}", object);
	return strcmp(object, git_zero_id) && !git_resolve(git, rev, ret, NULL);
}

/* How many commits the move brings; a new ref counts its whole history. 0: cannot be told. */
static int64_t commits_count(struct git_repo *git, const char *old_object, const char *new_id)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 20);
	char                       old_id[GIT_ID_SIZE];
	struct git_commit         *all;
	size_t                     n = 0;
	bool                       more;
	int                        r = 0;

	if (!commit_of(git, old_object, old_id)) {
		memcpy(old_id, git_zero_id, GIT_ID_SIZE);
		r = git_repo_set_known_refs(git, NULL, NULL); /* its refs know the commits by now */
	}
	if (!r)
		r = git_log_range(git, old_id, new_id, COMMITS_COUNTED_MAX, &a, &all, &n, &more, NULL);
	return r == -WEIR_ELIMIT ? COMMITS_COUNTED_MAX : r ? 0 : (int64_t)n;
}

/* What cannot be read stays empty: a move must be recorded whatever its commit says. */
static int fact_fill(struct git_repo *git, struct arena *a, struct move_fact *m, struct err *reterr)
{
	CLEANUP_ARENA struct arena scratch = ARENA_INIT(2 * (size_t)LIMIT_OBJECT_BYTES);
	char                       id[GIT_ID_SIZE];
	struct git_commit          c;
	const char                *author;

	m->author = m->subject = STR("");
	if (!commit_of(git, m->u.new_id, id) || git_commit_read(git, id, &scratch, &c, NULL))
		return 0;
	author = arena_printf(&scratch, "%.*s <%.*s>", STR_ARG(c.author_name), STR_ARG(c.author_email));
	m->author = text_clean(a, str_z(author ? author : ""));
	m->subject = text_clean(a, c.subject);
	m->committed = c.committed;
	m->commits = commits_count(git, m->u.old_id, id);
	return arena_check(a, "a push", reterr);
}

int repo_moves_record(struct repo_store *s, str project, const struct ref_update *u, size_t n, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 20);
	struct moves_arg           x = { s, project, ARENA_ARRAY(&a, n ? n : 1, struct move_fact), n };
	struct git_repo           *git = NULL;
	char                       path[PATH_MAX];
	int                        r;

	if (!x.m)
		return arena_check(&a, "a push", reterr);
	r = repo_path_of(s, project, path, sizeof(path), reterr);
	if (!r)
		r = git_repo_open(path, NULL, &git, reterr);
	for (size_t i = 0; !r && i < n; i++) {
		x.m[i].u = u[i];
		r = fact_fill(git, &a, &x.m[i], reterr);
	}
	if (!r)
		r = db_write(s->cfg.db, moves_tx, &x, reterr);
	git_repo_close(git);
	return r;
}

/* --- refusals --- */

struct refusal_arg {
	struct repo_store       *s;
	const struct ref_update *u;
	str                      project, actor, digest, findings_json, reason;
};

static int refusal_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct refusal_arg    *x = arg;
	CLEANUP_BUF struct buf data = BUF_INIT(2 * LIMIT_EVENT_BYTES);
	struct jw              w;
	int64_t                seq = 0;
	int                    r;

	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstr(&w, "ref", x->u->ref);
	jw_kstrz(&w, "old", x->u->old_id);
	jw_kstrz(&w, "new", x->u->new_id);
	jw_kstr(&w, "pusher", x->actor);
	jw_key(&w, "findings");
	jw_raw(&w, x->findings_json);
	jw_kstr(&w, "verdict", x->digest);
	jw_kstr(&w, "reason", x->reason);
	jw_end(&w);
	r = event_append(x->s->cfg.log, tx, x->project, EVENT_CHANGE_REFUSED, x->actor, buf_str(&data), &seq, reterr);
	return r ? r
	         : db_exec(tx, reterr,
	                   "INSERT INTO change (project, seq, state, ref, old_id, new_id, pusher, author, subject, commits, at, findings_json, reason)"
	                   " VALUES ($1, $2, 'refused', $3, $4, $5, $6, '', '', 0, $7, $8, $9)",
	                   "siszzsiss", x->project, seq, x->u->ref, x->u->old_id, x->u->new_id, x->actor, clock_wall(x->s->cfg.clock),
	                   x->findings_json, x->reason);
}

int repo_refusal_record(struct repo_store *s, str project, const struct ref_update *u, str actor, str digest, str findings_json, str reason,
                        struct err *reterr)
{
	struct refusal_arg x = { s, u, project, actor, digest, findings_json, reason };

	return db_write(s->cfg.db, refusal_tx, &x, reterr);
}

/* --- the list of changes --- */

struct changes_arg {
	str                 project;
	int64_t             seq, before;
	size_t              max, n;
	struct arena       *a;
	struct repo_change *v;
};

static struct repo_change change_row(struct db_rows *rows, struct arena *a)
{
	return (struct repo_change){ .seq = db_int(rows, 0),
		                         .state = arena_str(a, db_str(rows, 1)),
		                         .ref = arena_str(a, db_str(rows, 2)),
		                         .old_id = arena_str(a, db_str(rows, 3)),
		                         .new_id = arena_str(a, db_str(rows, 4)),
		                         .pusher = arena_str(a, db_str(rows, 5)),
		                         .author = arena_str(a, db_str(rows, 6)),
		                         .subject = arena_str(a, db_str(rows, 7)),
		                         .commits = db_int(rows, 8),
		                         .at = db_int(rows, 9),
		                         .findings_json = arena_str(a, db_str(rows, 10)),
		                         .reason = arena_str(a, db_str(rows, 11)) };
}

static int changes_read(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct changes_arg          *x = arg;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int                          r;

	x->n = 0;
	r = db_query(tx, reterr, &rows,
	             "SELECT seq, state, ref, old_id, new_id, pusher, author, subject, commits, at, findings_json, reason FROM change"
	             " WHERE project = $1 AND ($2 = 0 OR seq = $2) AND ($3 = 0 OR seq < $3) ORDER BY seq DESC LIMIT $4",
	             "siii", x->project, x->seq, x->before, (int64_t)x->max);
	while (!r && (r = db_next(rows, reterr)) == 1) {
		r = 0;
		if (x->n < x->max)
			x->v[x->n++] = change_row(rows, x->a);
	}
	return r ? r : arena_check(x->a, "the list of changes", reterr);
}

int repo_changes_read(struct repo_store *s, str project, int64_t seq, int64_t before, size_t max, struct arena *a,
                      struct repo_change **ret, size_t *ret_n, struct err *reterr)
{
	struct changes_arg x = { project, seq, before, max, 0, a, ARENA_ARRAY(a, max, struct repo_change) };
	int                r = x.v ? db_read(s->cfg.db, changes_read, &x, reterr) : arena_check(a, "the list of changes", reterr);

	*ret = x.v;
	*ret_n = x.n;
	return r;
}

/* --- mending --- */

struct recorded {
	struct arena *a;
	struct map    refs; /* name -> id (in the arena) */
	str           project;
};

static int recorded_read(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct recorded             *x = arg;
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int r = db_query(tx, reterr, &rows, "SELECT name, id FROM ref WHERE project = $1", "s", x->project);

	while (!r && (r = db_next(rows, reterr)) == 1) {
		r = 0;
		if (!map_put(&x->refs, db_str(rows, 0), arena_dup(x->a, db_str(rows, 1)), NULL))
			return err_set(reterr, WEIR_ENOMEM, "no memory for the refs");
	}
	return r;
}

struct mend {
	struct recorded  *known;
	struct arena     *a;
	struct ref_update *u;
	size_t            n, cap;
};

static int mend_add(struct mend *m, str ref, const char *old_id, const char *new_id, struct err *reterr)
{
	if (m->n == m->cap) {
		size_t             cap = m->cap ? m->cap * 2 : 16;
		struct ref_update *u = ARENA_ARRAY(m->a, cap, struct ref_update);

		if (!u)
			return arena_check(m->a, "the refs", reterr);
		if (m->n)
			memcpy(u, m->u, m->n * sizeof(*u));
		m->u = u;
		m->cap = cap;
	}
	m->u[m->n].ref = arena_str(m->a, ref);
	snprintf(m->u[m->n].old_id, GIT_ID_SIZE, "%s", old_id);
	snprintf(m->u[m->n++].new_id, GIT_ID_SIZE, "%s", new_id);
	return 0;
}

static int mend_ref(void *ctx, str name, const char *id, struct err *reterr)
{
	struct mend *m = ctx;
	const char  *known = map_del(&m->known->refs, name);

	return known && !strcmp(known, id) ? 0 : mend_add(m, name, known ? known : git_zero_id, id, reterr);
}

int repo_reconcile(struct repo_store *s, str project, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(256 << 20);
	struct recorded            known = { &a, MAP_INIT, project };
	struct mend                m = { .known = &known, .a = &a };
	struct git_repo           *git = NULL;
	char                       path[PATH_MAX];
	int                        r = repo_path_of(s, project, path, sizeof(path), reterr);

	if (!r)
		r = db_read(s->cfg.db, recorded_read, &known, reterr);
	if (!r)
		r = git_repo_open(path, NULL, &git, reterr);
	if (!r)
		r = git_refs_each(git, mend_ref, &m, reterr);
	for (struct map_entry *e = map_next(&known.refs, NULL); !r && e; e = map_next(&known.refs, e)) /* what is left is gone in git */
		r = mend_add(&m, str_n(e->key, e->key_len), e->value, git_zero_id, reterr);
	git_repo_close(git);
	map_fini(&known.refs);
	if (!r && m.n)
		r = repo_moves_record(s, project, m.u, m.n, reterr);
	return r;
}
