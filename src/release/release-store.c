/* release-store.c - the room's tables. A release is one row with a JSON document; each transition writes it, its counts, its instances and its events in
 * one transaction (store_write), which may be repeated. Any thread; the caller holds the room's lock where it hands in structures of the room. */
#include "base/base.h"

#include "base/limits.h"
#include "release/room.h"

const struct db_migration release_migrations[] = {
	{ "releases",
	  "CREATE TABLE release_service (id @text@ PRIMARY KEY, project @text@ NOT NULL, name @text@ NOT NULL, environment @text@ NOT NULL,"
	  " slot @int@ NOT NULL UNIQUE, stable @text@ NOT NULL, born @int@ NOT NULL, host @text@ NOT NULL, port @int@ NOT NULL,"
	  " client_header @text@ NOT NULL) @strict@;"
	  "CREATE TABLE release (id @text@ PRIMARY KEY, seq @int@ NOT NULL UNIQUE, service @text@ NOT NULL, project @text@ NOT NULL, state @text@ NOT NULL,"
	  " over @int@ NOT NULL, doc @text@ NOT NULL) @strict@;"
	  "CREATE INDEX release_by_project ON release (project, seq);"
	  "CREATE TABLE release_counts (release @text@ PRIMARY KEY, records @int@ NOT NULL, doc @text@ NOT NULL) @strict@;"
	  "CREATE TABLE release_instance (name @text@ PRIMARY KEY, release @text@ NOT NULL, port @int@ NOT NULL, arm @int@ NOT NULL, wanted @int@ NOT NULL) @strict@;"
	  "CREATE TABLE release_version (digest @text@ NOT NULL, project @text@ NOT NULL, service @text@ NOT NULL, commit_id @text@ NOT NULL,"
	  " bytes @int@ NOT NULL, PRIMARY KEY (digest, project, service)) @strict@;"
	  "CREATE TABLE release_point (release @text@ NOT NULL, at @int@ NOT NULL, doc @text@ NOT NULL, PRIMARY KEY (release, at)) @strict@" },
};
const size_t release_n_migrations = ARRAY_SIZE(release_migrations);

/* --- a release as JSON --- */

void release_write(struct jw *w, const struct release *r, bool with_file)
{
	jw_kstrz(w, "id", r->id);
	jw_kint(w, "seq", r->seq);
	jw_kstrz(w, "project", r->service->project);
	jw_kstrz(w, "service", r->service->name);
	jw_kstrz(w, "environment", r->service->environment);
	jw_kstrz(w, "digest", r->digest);
	jw_kstrz(w, "commit", r->commit);
	jw_kstrz(w, "run", r->run);
	jw_kstrz(w, "by", r->by);
	jw_kstrz(w, "ended_by", r->ended_by);
	jw_kstrz(w, "state", rollout_state_name(r->ro.state));
	jw_kint(w, "step", (int64_t)r->ro.step);
	jw_kbool(w, "first", r->ro.first);
	jw_kbool(w, "paused", r->ro.paused);
	jw_kbool(w, "held", r->ro.held);
	jw_kbool(w, "asked", r->ro.asked);
	jw_kint(w, "entered", r->ro.entered);
	jw_kint(w, "held_since", r->ro.held_since);
	jw_kint(w, "cannot_since", r->ro.cannot_since);
	jw_kstrz(w, "arm", r->arm == ARM_A ? "a" : "b");
	jw_knum(w, "share", (double)r->share / TRAFFIC_SHARE_ONE);
	jw_kstrz(w, "from", r->from);
	jw_kstrz(w, "superseded_by", r->superseded_by);
	jw_kstrz(w, "cause", r->cause);
	jw_kint(w, "created_at", r->created_at);
	jw_kint(w, "ended_at", r->ended_at);
	if (r->has_verdict) {
		jw_key(w, "evidence");
		judge_write_evidence(w, &r->params, &r->input, &r->verdict);
	}
	if (with_file)
		jw_kstr(w, "file", r->file);
}

static void copy_to(char *out, size_t size, const struct doc_node *n, const char *key)
{
	snprintf(out, size, "%.*s", STR_ARG(doc_get_str(n, key)));
}

static void release_read(const struct doc_node *n, struct release *r)
{
	copy_to(r->id, sizeof(r->id), n, "id");
	r->seq = doc_get_int(n, "seq", 0);
	copy_to(r->digest, sizeof(r->digest), n, "digest");
	copy_to(r->commit, sizeof(r->commit), n, "commit");
	copy_to(r->run, sizeof(r->run), n, "run");
	copy_to(r->by, sizeof(r->by), n, "by");
	copy_to(r->ended_by, sizeof(r->ended_by), n, "ended_by");
	r->ro.state = rollout_state_find(doc_get_str(n, "state"));
	r->ro.step = (size_t)doc_get_int(n, "step", 0);
	r->ro.first = doc_get_bool(n, "first", false);
	r->ro.paused = doc_get_bool(n, "paused", false);
	r->ro.held = doc_get_bool(n, "held", false);
	r->ro.asked = doc_get_bool(n, "asked", false);
	r->ro.entered = doc_get_int(n, "entered", 0);
	r->ro.held_since = doc_get_int(n, "held_since", 0);
	r->ro.cannot_since = doc_get_int(n, "cannot_since", 0);
	r->arm = str_eqz(doc_get_str(n, "arm"), "b") ? ARM_B : ARM_A;
	r->share = (unsigned)(doc_get_num(n, "share", 0) * TRAFFIC_SHARE_ONE + 0.5);
	copy_to(r->from, sizeof(r->from), n, "from");
	copy_to(r->superseded_by, sizeof(r->superseded_by), n, "superseded_by");
	copy_to(r->cause, sizeof(r->cause), n, "cause");
	r->created_at = doc_get_int(n, "created_at", 0);
	r->ended_at = doc_get_int(n, "ended_at", 0);
	r->file = arena_str(&r->arena, doc_get_str(n, "file"));
	r->has_verdict = doc_get(n, "evidence") && judge_read_evidence(doc_get(n, "evidence"), &r->params, r->segs, &r->input, &r->verdict, NULL) == 0;
}

struct release *release_free(struct release *r)
{
	if (r)
		arena_fini(&r->arena);
	free(r);
	return NULL;
}

int release_bind(struct release *r, struct err *reterr)
{
	struct service_file f;
	int                 rc = service_file_parse(&r->arena, r->file, &f, reterr);

	return rc ? rc : service_file_find(&f, str_z(r->service->name), str_z(r->service->environment), &r->def, &r->env, reterr);
}

/* --- writing --- */

static int write_service(struct db_tx *tx, const struct service *s, struct err *reterr)
{
	int rc = db_exec(tx, reterr,
	                 "INSERT INTO release_service (id, project, name, environment, slot, stable, born, host, port, client_header)"
	                 " VALUES ($1, $2, $3, $4, $5, '', 0, '', 0, '') ON CONFLICT (id) DO NOTHING",
	                 "zzzzi", s->id, s->project, s->name, s->environment, (int64_t)s->slot);

	return rc ? rc : db_exec(tx, reterr, "UPDATE release_service SET stable = $2, born = $3, host = $4, port = $5, client_header = $6 WHERE id = $1", "zzizi" "z",
	                         s->id, s->stable, (int64_t)s->born, s->route.host, (int64_t)s->route.port, s->route.client_header);
}

static int write_release(struct db_tx *tx, const struct release *r, struct err *reterr)
{
	struct buf CLEANUP_BUF doc = BUF_INIT(LIMIT_DOC_BYTES);
	struct jw w;
	int       rc;

	jw_init(&w, &doc);
	jw_obj(&w);
	release_write(&w, r, true);
	jw_end(&w);
	if ((rc = buf_check(&doc, "release", reterr)))
		return rc;
	return db_exec(tx, reterr,
	               "INSERT INTO release (id, seq, service, project, state, over, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)"
	               " ON CONFLICT (id) DO UPDATE SET state = excluded.state, over = excluded.over, doc = excluded.doc",
	               "zizzzis", r->id, r->seq, r->service->id, r->service->project, rollout_state_name(r->ro.state), (int64_t)rollout_over(r->ro.state),
	               buf_str(&doc));
}

static int write_counts(struct db_tx *tx, int64_t seq, const struct evidence_counts *c, struct err *reterr)
{
	struct buf CLEANUP_BUF doc = BUF_INIT(1 << 20);
	struct jw w;
	int       rc;

	jw_init(&w, &doc);
	evidence_write(&w, c);
	if ((rc = buf_check(&doc, "counts", reterr)))
		return rc;
	/* Never back: the evidence thread and a transition may write in either order. */
	return db_exec(tx, reterr,
	               "INSERT INTO release_counts (release, records, doc) SELECT id, $2, $3 FROM release WHERE seq = $1 ON CONFLICT (release) DO UPDATE"
	               " SET records = excluded.records, doc = excluded.doc WHERE release_counts.records <= excluded.records",
	               "iis", seq, (int64_t)c->records, buf_str(&doc));
}

static int write_version(struct db_tx *tx, const struct store_change *c, struct err *reterr)
{
	struct buf CLEANUP_BUF data = BUF_INIT(4096);
	struct jw w;
	int64_t   n = 0;
	int       rc = db_exec_n(tx, reterr, &n,
	                         "INSERT INTO release_version (digest, project, service, commit_id, bytes) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING", "zzzzi",
	                         c->version->digest, c->release->service->project, c->version->service, c->version->commit, c->version->bytes);

	if (rc || n == 0)
		return rc;
	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstrz(&w, "service", c->version->service);
	jw_kstrz(&w, "digest", c->version->digest);
	jw_kstrz(&w, "commit", c->version->commit);
	jw_kint(&w, "bytes", c->version->bytes);
	if (c->version->run[0])
		jw_kstrz(&w, "run", c->version->run);
	jw_end(&w);
	return event_append(c->room->cfg.log, tx, str_z(c->release->service->project), EVENT_VERSION_STORED, str_z(c->actor), buf_str(&data), NULL, reterr);
}

static int write_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	const struct store_change *c = arg;
	const char                *project = c->release ? c->release->service->project : c->service ? c->service->project : "";
	int                        rc = 0;

	if (c->service)
		rc = write_service(tx, c->service, reterr);
	if (!rc && c->version)
		rc = write_version(tx, c, reterr);
	if (!rc && c->release)
		rc = write_release(tx, c->release, reterr);
	if (!rc && c->counts)
		rc = write_counts(tx, c->release->seq, c->counts, reterr);
	for (size_t i = 0; i < c->n_add && !rc; i++)
		rc = db_exec(tx, reterr,
		             "INSERT INTO release_instance (name, release, port, arm, wanted) VALUES ($1, $2, $3, $4, $5)"
		             " ON CONFLICT (name) DO UPDATE SET wanted = excluded.wanted",
		             "zziii", c->add[i]->name, c->add[i]->release, (int64_t)c->add[i]->port, (int64_t)c->add[i]->arm, (int64_t)c->add[i]->want);
	if (!rc && c->del_instance)
		rc = db_exec(tx, reterr, "DELETE FROM release_instance WHERE name = $1", "z", c->del_instance);
	for (size_t i = 0; i < c->n_events && !rc; i++)
		rc = event_append(c->room->cfg.log, tx, str_z(project), c->events[i].type, str_z(c->actor), c->events[i].data, NULL, reterr);
	return rc;
}

int store_write(const struct store_change *c, struct err *reterr)
{
	struct store_change copy = *c;

	return db_write(c->room->db, write_tx, &copy, reterr);
}

struct counts_arg {
	int64_t seq;
	const struct evidence_counts *c;
};

static int save_counts_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct counts_arg *a = arg;

	return write_counts(tx, a->seq, a->c, reterr);
}

int store_save_counts(struct release_room *room, int64_t seq, const struct evidence_counts *c, struct err *reterr)
{
	struct counts_arg a = { seq, c };

	return db_write(room->db, save_counts_tx, &a, reterr);
}

struct point_arg {
	const char *id;
	usec_t      at;
	str         doc;
};

static int add_point_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct point_arg *p = arg;
	int64_t           n = 0, oldest = 0;
	int               rc = db_exec(tx, reterr, "INSERT INTO release_point (release, at, doc) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", "zis", p->id, p->at, p->doc);

	if (rc || (rc = db_get_int(tx, reterr, &n, NULL, "SELECT count(*) FROM release_point WHERE release = $1", "z", p->id)) || n <= LIMIT_RELEASE_POINTS)
		return rc;
	/* Thin out: of the two oldest pairs that are closest the later goes; simply the second oldest. */
	if ((rc = db_get_int(tx, reterr, &oldest, NULL, "SELECT at FROM release_point WHERE release = $1 ORDER BY at LIMIT 1 OFFSET 1", "z", p->id)))
		return rc;
	return db_exec(tx, reterr, "DELETE FROM release_point WHERE release = $1 AND at = $2", "zi", p->id, oldest);
}

int store_add_point(struct release_room *room, const char *id, usec_t at, str doc, struct err *reterr)
{
	struct point_arg p = { id, at, doc };

	return db_write(room->db, add_point_tx, &p, reterr);
}

/* --- loading --- */

static int load_services(struct db_tx *tx, struct release_room *room, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT id, project, name, environment, slot, stable, born, host, port, client_header FROM release_service ORDER BY slot", "");

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct service *s = calloc(1, sizeof(*s));

		if (!s || !VEC_PUSH(&room->services, s))
			return err_set(reterr, WEIR_ENOMEM, "services");
		snprintf(s->id, sizeof(s->id), "%.*s", STR_ARG(db_str(rows, 0)));
		snprintf(s->project, sizeof(s->project), "%.*s", STR_ARG(db_str(rows, 1)));
		snprintf(s->name, sizeof(s->name), "%.*s", STR_ARG(db_str(rows, 2)));
		snprintf(s->environment, sizeof(s->environment), "%.*s", STR_ARG(db_str(rows, 3)));
		s->slot = (unsigned)db_int(rows, 4);
		snprintf(s->stable, sizeof(s->stable), "%.*s", STR_ARG(db_str(rows, 5)));
		s->born = db_int(rows, 6) != 0;
		snprintf(s->route.host, sizeof(s->route.host), "%.*s", STR_ARG(db_str(rows, 7)));
		s->route.port = (uint16_t)db_int(rows, 8);
		snprintf(s->route.client_header, sizeof(s->route.client_header), "%.*s", STR_ARG(db_str(rows, 9)));
		s->has_route = s->route.host[0] || s->route.port;
		rc = 0;
	}
	return rc;
}

/* A row of (service, doc, counts doc) as a release of the room. */
static int take_release(struct release_room *room, struct db_rows *rows, struct release **ret, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct release  *r = calloc(1, sizeof(*r));
	struct doc_node *n;
	str              counts = db_str(rows, 2);
	int              rc;

	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "release");
	arena_init(&r->arena, 64 << 20);
	r->service = room_service(room, db_str(rows, 0));
	if (!(rc = doc_parse_json(&a, "stored release", db_str(rows, 1), &n, reterr)))
		release_read(n, r);
	if (!rc && counts.ptr && !(rc = doc_parse_json(&a, "stored counts", counts, &n, reterr)))
		rc = evidence_read(n, &r->counts, reterr);
	if (!rc && !r->service)
		rc = err_set(reterr, WEIR_EINTERNAL, "release %s has no service", r->id);
	if (!rc)
		rc = release_bind(r, reterr);
	if (!rc && !VEC_PUSH(&room->releases, r))
		rc = err_set(reterr, WEIR_ENOMEM, "releases");
	if (rc) {
		release_free(r);
		return rc;
	}
	if (ret)
		*ret = r;
	return 0;
}

#define RELEASE_COLUMNS "r.service, r.doc, c.doc FROM release r LEFT JOIN release_counts c ON c.release = r.id "

static int load_releases(struct db_tx *tx, struct release_room *room, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows,
	                  "SELECT " RELEASE_COLUMNS "WHERE r.over = 0 OR r.id IN (SELECT stable FROM release_service)"
	                  " OR r.id IN (SELECT release FROM release_instance) ORDER BY r.seq",
	                  "");

	while (!rc && (rc = db_next(rows, reterr)) == 1)
		if ((rc = take_release(room, rows, NULL, reterr)))
			return rc;
	return rc;
}

static int load_instances(struct db_tx *tx, struct release_room *room, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT name, release, port, arm, wanted FROM release_instance ORDER BY name", "");

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct instance *i = calloc(1, sizeof(*i));

		if (!i || !VEC_PUSH(&room->instances, i))
			return err_set(reterr, WEIR_ENOMEM, "instances");
		snprintf(i->name, sizeof(i->name), "%.*s", STR_ARG(db_str(rows, 0)));
		snprintf(i->release, sizeof(i->release), "%.*s", STR_ARG(db_str(rows, 1)));
		i->port = (uint16_t)db_int(rows, 2);
		i->arm = db_int(rows, 3) ? ARM_B : ARM_A;
		i->want = db_int(rows, 4) != 0;
		if (i->want && room_release(room, str_z(i->release)))
			room_release(room, str_z(i->release))->arm = i->arm; /* a rollback by hand may have given it the other arm */
		rc = 0;
	}
	return rc;
}

static int load_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct release_room *room = arg;
	int                  rc;

	if ((rc = load_services(tx, room, reterr)) || (rc = load_releases(tx, room, reterr)) || (rc = load_instances(tx, room, reterr)))
		return rc;
	return db_get_int(tx, reterr, &room->next_seq, NULL, "SELECT coalesce(max(seq), 0) + 1 FROM release", "");
}

int store_load(struct release_room *room, struct err *reterr)
{
	return db_read(room->db, load_tx, room, reterr);
}

struct load_arg {
	struct release_room *room;
	const char          *id;
	struct release      *r;
};

static int load_one_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct load_arg *a = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT " RELEASE_COLUMNS "WHERE r.id = $1", "z", a->id);

	if (rc || (rc = db_next(rows, reterr)) < 0)
		return rc;
	return rc == 0 ? err_set(reterr, WEIR_ENOENT, "no release '%s'", a->id) : take_release(a->room, rows, &a->r, reterr);
}

int store_load_release(struct release_room *room, const char *id, struct release **ret, struct err *reterr)
{
	struct load_arg a = { room, id, room_release(room, str_z(id)) };
	int             rc = a.r ? 0 : db_read(room->db, load_one_tx, &a, reterr);

	*ret = a.r;
	return rc;
}

/* --- for the housekeeping --- */

struct kept_arg {
	struct release_room *room;
	unsigned             newest;
	int (*fn)(void *arg, str digest, struct err *reterr);
	void                *arg;
};

/* The version of a stored release, and where it would go back to (empty: nowhere). */
static int kept_one(struct kept_arg *a, str doc, char ret_from[ID_SIZE], struct err *reterr)
{
	struct arena CLEANUP_ARENA mem = ARENA_INIT(64 << 20);
	struct doc_node *n;
	int              rc = doc_parse_json(&mem, "stored release", doc, &n, reterr);

	if (rc)
		return rc;
	snprintf(ret_from, ID_SIZE, "%.*s", STR_ARG(doc_get_str(n, "from")));
	return a->fn(a->arg, doc_get_str(n, "digest"), reterr);
}

static int kept_from(struct db_tx *tx, struct kept_arg *a, const char *id, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	char further[ID_SIZE];
	int  rc = db_query(tx, reterr, &rows, "SELECT doc FROM release WHERE id = $1", "z", id);

	if (rc || (rc = db_next(rows, reterr)) <= 0)
		return rc;
	return kept_one(a, db_str(rows, 0), further, reterr);
}

struct from_id {
	char id[ID_SIZE];
};

static int kept_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct kept_arg *a = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct from_id) from = VEC_INIT;
	int rc = db_query(tx, reterr, &rows,
	                  "SELECT doc, CASE WHEN over = 0 OR id IN (SELECT stable FROM release_service) THEN 1 ELSE 0 END FROM"
	                  " (SELECT id, over, doc, row_number() OVER (PARTITION BY service ORDER BY seq DESC) AS place FROM release) AS r"
	                  " WHERE place <= $1 OR over = 0 OR id IN (SELECT stable FROM release_service) OR id IN (SELECT release FROM release_instance)",
	                  "i", (int64_t)a->newest);

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct from_id f;

		rc = kept_one(a, db_str(rows, 0), f.id, reterr);
		if (!rc && db_int(rows, 1) && f.id[0] && !VEC_PUSH(&from, f)) /* a rollback of it goes there */
			rc = err_set(reterr, WEIR_ENOMEM, "housekeeping");
	}
	for (size_t i = 0; i < from.n && !rc; i++)
		rc = kept_from(tx, a, from.v[i].id, reterr);
	VEC_FINI(&from);
	return rc;
}

int store_kept(struct release_room *room, unsigned newest, int (*fn)(void *arg, str digest, struct err *reterr), void *arg, struct err *reterr)
{
	struct kept_arg a = { room, newest, fn, arg };

	return db_read(room->db, kept_tx, &a, reterr);
}

/* --- for pages --- */

struct list_arg {
	struct jw  *w;
	const char *project;
};

static int list_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct list_arg *a = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT doc FROM release WHERE project = $1 ORDER BY seq DESC LIMIT 100", "z", a->project);

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		struct arena CLEANUP_ARENA mem = ARENA_INIT(64 << 20);
		struct doc_node *n;

		if ((rc = doc_parse_json(&mem, "stored release", db_str(rows, 0), &n, reterr)))
			return rc;
		jw_obj(a->w);
		for (size_t i = 0; i < doc_len(n); i++)
			if (!str_eqz(n->map.pairs[i].key, "file") && !str_eqz(n->map.pairs[i].key, "evidence")) {
				jw_key_n(a->w, n->map.pairs[i].key);
				jw_node(a->w, n->map.pairs[i].value);
			}
		jw_end(a->w);
	}
	return rc;
}

int store_list(struct release_room *room, const char *project, struct jw *w, struct err *reterr)
{
	struct list_arg a = { w, project };

	return db_read(room->db, list_tx, &a, reterr);
}

static int points_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct list_arg *a = arg;
	struct db_rows CLEANUP_ROWS *rows = NULL;
	int rc = db_query(tx, reterr, &rows, "SELECT doc FROM release_point WHERE release = $1 ORDER BY at", "z", a->project);

	while (!rc && (rc = db_next(rows, reterr)) == 1) {
		jw_raw(a->w, db_str(rows, 0));
		rc = 0;
	}
	return rc;
}

int store_points(struct release_room *room, const char *release, struct jw *w, struct err *reterr)
{
	struct list_arg a = { w, release };

	return db_read(room->db, points_tx, &a, reterr);
}
