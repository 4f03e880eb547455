/* release-api.c - the room's routes. Requests read under the lock, add a queued release, or leave an order and wait until the worker obeyed it. Runs on the
 * server's worker threads. A job's token may act for its own project only. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "git/git.h"
#include "release/room.h"

#include <limits.h>
#include <errno.h>

enum { ORDER_WAIT_S = 20 };

/* --- who may --- */

/* The route asked for the scope; a token that is bound to a project is for that one only, also where the path does not name it. */
static int check_project(struct http_req *req, str project, struct err *reterr)
{
	const struct http_identity *who = http_who(req);

	if (who->project[0] && !str_eqz(project, who->project))
		return err_set(reterr, WEIR_EPERM, "this token is bound to project %s", who->project);
	return 0;
}

static void actor_of(struct http_req *req, char out[ACTOR_SIZE])
{
	const struct http_identity *who = http_who(req);

	if (who->scope == SCOPE_JOB)
		snprintf(out, ACTOR_SIZE, "job:%.64s", who->subject);
	else
		snprintf(out, ACTOR_SIZE, "token:%.64s", who->name[0] ? who->name : "anonymous");
}

/* --- artifacts --- */

static int put_artifact(struct http_req *req, void *ctx, struct err *reterr)
{
	struct release_room *room = ctx;
	struct artifact_put *put = NULL;
	char                 piece[1 << 16], digest[ARTIFACT_DIGEST_SIZE];
	struct buf CLEANUP_BUF answer = BUF_INIT(1024);
	int64_t              bytes = 0;
	ssize_t              n = 0;
	int                  rc;

	if ((rc = artifact_put_begin(room->data_dir, &put, reterr)))
		return rc;
	while (!rc && (n = http_read(req, piece, sizeof(piece), reterr)) > 0)
		rc = artifact_put_add(put, str_n(piece, (size_t)n), reterr);
	if (n < 0)
		rc = (int)n;
	if (!rc)
		rc = artifact_put_end(put, digest, &bytes, reterr);
	put = artifact_put_free(put);
	if (rc)
		return rc;
	http_type(req, "application/json");
	buf_addf(&answer, "{\"digest\":\"%s\",\"bytes\":%lld}", digest, (long long)bytes);
	return http_write(req, buf_str(&answer), reterr);
}

/* --- making a release --- */

struct wish {
	str project, service, environment, digest, commit, run;
};

static int read_wish(struct http_req *req, struct wish *w, struct err *reterr)
{
	static const char *const known[] = { "project", "service", "environment", "digest", "commit", "run", NULL };
	struct doc_check         c;
	struct doc_node         *body;
	int                      rc = http_body_json(req, &body, reterr);
	char                     id[GIT_ID_SIZE];

	if (rc)
		return rc;
	doc_check_init(&c, http_arena(req), "body");
	if (doc_is_map(&c, body, "the body", known)) {
		str *const to[] = { &w->project, &w->service, &w->environment, &w->digest, &w->commit, &w->run };

		for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
			const struct doc_node *n = i == 1 || i == 5 ? doc_get(body, known[i]) : doc_need(&c, body, known[i]);

			if (n && n->kind != DOC_NULL)
				*to[i] = doc_want_str(&c, n, known[i]);
			if (to[i]->len > LIMIT_NAME_BYTES && i != 3)
				doc_error(&c, n, "%s must have at most %d bytes", known[i], LIMIT_NAME_BYTES);
		}
	}
	if ((rc = doc_check_result(&c, reterr)))
		return rc;
	if (!artifact_digest_valid(w->digest))
		return err_set(reterr, WEIR_EINVAL, "digest must be 64 hex digits in lower case");
	if (w->commit.len != GIT_ID_SIZE - 1 || !hex_parse(w->commit, (unsigned char *)id, 20))
		return err_set(reterr, WEIR_EINVAL, "commit must be 40 hex digits");
	return 0;
}

static int read_file(struct release_room *room, const struct wish *w, struct buf *out, struct err *reterr)
{
	struct git_repo *repo = NULL;
	char             commit[GIT_ID_SIZE], id[GIT_ID_SIZE];
	int              rc = room->cfg.source.open(room->cfg.source.ctx, w->project, &repo, reterr);

	if (rc)
		return rc;
	snprintf(commit, sizeof(commit), "%.*s", STR_ARG(w->commit));
	if (git_resolve(repo, commit, id, NULL)) {
		git_repo_close(repo);
		return err_set(reterr, WEIR_ENOENT, "project %.*s has no commit %s", STR_ARG(w->project), commit);
	}
	rc = git_read_path(repo, commit, SERVICE_FILE_PATH, out, reterr);
	git_repo_close(repo);
	return rc == -WEIR_ENOENT ? err_set(reterr, WEIR_EREFUSED, "commit %.12s has no %s", commit, SERVICE_FILE_PATH) : rc;
}

/* The lowest slot that no service has. */
static int new_service(struct release_room *room, const struct release *r, const struct wish *w, struct service **ret, struct err *reterr)
{
	struct service *s = calloc(1, sizeof(*s));
	bool            again = true;

	if (!s)
		return err_set(reterr, WEIR_ENOMEM, "service");
	snprintf(s->project, sizeof(s->project), "%.*s", STR_ARG(w->project));
	snprintf(s->name, sizeof(s->name), "%.*s", STR_ARG(r->def->name));
	snprintf(s->environment, sizeof(s->environment), "%.*s", STR_ARG(w->environment));
	snprintf(s->id, sizeof(s->id), "%s/%s/%s", s->project, s->name, s->environment);
	while (again) {
		again = false;
		for (size_t i = 0; i < room->services.n; i++)
			if (room->services.v[i]->slot == s->slot) {
				s->slot++;
				again = true;
			}
	}
	if (s->slot >= room->cfg.slots) {
		free(s);
		return err_set(reterr, WEIR_ELIMIT, "all %u slots for services are in use", room->cfg.slots);
	}
	*ret = s;
	return 0;
}

/* A newer release takes the place of those under way. */
static void supersede(struct release_room *room, const struct release *r)
{
	for (size_t i = 0; i < room->releases.n; i++) {
		struct release *o = room->releases.v[i];

		if (o == r || o->service != r->service || rollout_over(o->ro.state))
			continue;
		o->order = ORDER_SUPERSEDE;
		snprintf(o->superseded_by, sizeof(o->superseded_by), "%s", r->id);
		snprintf(o->order_by, sizeof(o->order_by), "%s", r->by);
	}
}

/* Stores and queues r under the lock; r is the room's afterwards (or freed). */
static int add_release(struct release_room *room, struct release *r, const struct wish *w, int64_t bytes, struct err *reterr)
{
	char                id[SERVICE_ID_SIZE], service[65];
	struct artifact_row version = { r->digest, service, r->commit, r->run, bytes };
	struct store_change change = { .room = room, .release = r, .version = &version, .actor = r->by };
	struct service     *fresh = NULL;
	int                 rc = 0;

	snprintf(service, sizeof(service), "%.*s", STR_ARG(r->def->name));
	snprintf(id, sizeof(id), "%.*s/%s/%.*s", STR_ARG(w->project), service, STR_ARG(w->environment));
	pthread_mutex_lock(&room->lock);
	r->service = room_service(room, str_z(id));
	if (!r->service && !(rc = new_service(room, r, w, &fresh, reterr)))
		change.service = r->service = fresh;
	r->seq = room->next_seq;
	if (!rc && !artifact_bytes(room->data_dir, r->digest)) /* the housekeeping removed it in this moment */
		rc = err_set(reterr, WEIR_ENOENT, "no version %s is stored any more: upload it again", r->digest);
	if (!rc)
		rc = store_write(&change, reterr);
	if (!rc && ((fresh && !VEC_PUSH(&room->services, fresh)) || !VEC_PUSH(&room->releases, r)))
		rc = err_set(reterr, WEIR_ENOMEM, "release");
	if (!rc) {
		room->next_seq++;
		supersede(room, r);
	} else {
		free(fresh);
		release_free(r);
	}
	pthread_mutex_unlock(&room->lock);
	if (!rc)
		room_kick(room);
	return rc;
}

static int post_release(struct http_req *req, void *ctx, struct err *reterr)
{
	struct release_room   *room = ctx;
	struct buf CLEANUP_BUF file = BUF_INIT(LIMIT_DOC_BYTES);
	struct wish            w = { 0 };
	struct service_file    f;
	struct release        *r;
	struct jw              out;
	char                   dir[512], id[ID_SIZE];
	int                    rc;

	if ((rc = read_wish(req, &w, reterr)) || (rc = check_project(req, w.project, reterr)) || (rc = read_file(room, &w, &file, reterr)))
		return rc;
	r = calloc(1, sizeof(*r));
	if (!r)
		return err_set(reterr, WEIR_ENOMEM, "release");
	arena_init(&r->arena, 64 << 20);
	id_new(r->id);
	memcpy(id, r->id, sizeof(id));
	snprintf(r->digest, sizeof(r->digest), "%.*s", STR_ARG(w.digest));
	snprintf(r->commit, sizeof(r->commit), "%.*s", STR_ARG(w.commit));
	snprintf(r->run, sizeof(r->run), "%.*s", STR_ARG(w.run));
	actor_of(req, r->by);
	r->file = arena_str(&r->arena, buf_str(&file));
	r->created_at = clock_wall(room->cfg.clock);
	r->ro = (struct rollout){ .state = ROLLOUT_QUEUED, .entered = r->created_at };
	if ((rc = service_file_parse(&r->arena, r->file, &f, reterr)) || (rc = service_file_find(&f, w.service, w.environment, &r->def, &r->env, reterr))
	    || (rc = artifact_unpack(room->data_dir, r->digest, dir, sizeof(dir), reterr))) {
		release_free(r);
		return rc == -WEIR_EPARSE || rc == -WEIR_EINVAL ? (reterr->code = WEIR_EREFUSED, -WEIR_EREFUSED) : rc;
	}
	if ((rc = add_release(room, r, &w, artifact_bytes(room->data_dir, r->digest), reterr)))
		return rc;
	http_status(req, 201);
	http_json(req, &out);
	jw_obj(&out);
	jw_kstrz(&out, "id", id);
	jw_end(&out);
	return 0;
}

/* --- looking --- */

static void write_counts(struct jw *w, const struct release *r)
{
	jw_key(w, "segments");
	jw_arr(w);
	for (size_t i = 0; i < r->counts.n_seg; i++) {
		const struct judge_segment *s = &r->counts.seg[i];

		jw_obj(w);
		jw_knum(w, "share", s->canary_share);
		jw_kint(w, "requests_canary", (int64_t)s->requests_canary);
		jw_kint(w, "requests_stable", (int64_t)s->requests_stable);
		jw_kint(w, "errors_canary", (int64_t)s->errors_canary);
		jw_kint(w, "errors_stable", (int64_t)s->errors_stable);
		jw_kint(w, "failed_canary", (int64_t)s->failed_canary);
		jw_kint(w, "failed_stable", (int64_t)s->failed_stable);
		jw_end(w);
	}
	jw_end(w);
	jw_key(w, "latency");
	jw_obj(w);
	jw_key(w, "canary");
	latency_write_summary(w, &r->counts.latency[0]);
	jw_key(w, "stable");
	latency_write_summary(w, &r->counts.latency[1]);
	jw_end(w);
	jw_kint(w, "clients_with_errors", r->counts.n_clients);
	jw_kint(w, "missing_records", (int64_t)r->counts.missing);
	jw_kint(w, "first_bad_at", r->counts.first_bad);
	jw_kint(w, "last_bad_at", r->counts.last_bad);
}

static void write_plan(struct jw *w, const struct release *r)
{
	jw_key(w, "steps");
	jw_arr(w);
	for (size_t i = 0; i < r->def->rollout.plan.n_steps; i++)
		jw_num(w, r->def->rollout.plan.steps[i]);
	jw_end(w);
	jw_kint(w, "bake_ms", r->def->rollout.plan.bake / USEC_PER_MSEC);
	jw_kint(w, "instances", r->env->instances);
}

/* Members of an open object. */
static int write_release(struct release_room *room, struct jw *w, struct release *r, struct err *reterr)
{
	char url[400];
	int  rc;

	if (r->watching)
		evidence_get(room->evidence, (uint64_t)r->seq, &r->counts);
	release_write(w, r, false);
	room_url(room, &r->env->route, url, sizeof(url));
	jw_kstrz(w, "url", url);
	jw_kbool(w, "over", rollout_over(r->ro.state));
	jw_kbool(w, "live", !strcmp(r->service->stable, r->id));
	jw_kstrz(w, "problem", r->service->route_error);
	write_plan(w, r);
	write_counts(w, r);
	jw_key(w, "points");
	jw_arr(w);
	rc = store_points(room, r->id, w, reterr);
	jw_end(w);
	return rc;
}

static int get_release(struct http_req *req, void *ctx, struct err *reterr)
{
	struct release_room *room = ctx;
	struct release      *r;
	struct jw            w;
	char                 id[ID_SIZE];
	int                  rc;

	snprintf(id, sizeof(id), "%.*s", STR_ARG(http_param(req, "release")));
	pthread_mutex_lock(&room->lock);
	if (!(rc = store_load_release(room, id, &r, reterr)) && !(rc = check_project(req, str_z(r->service->project), reterr))) {
		http_json(req, &w);
		jw_obj(&w);
		rc = write_release(room, &w, r, reterr);
		jw_end(&w);
	}
	pthread_mutex_unlock(&room->lock);
	return rc;
}

static int get_releases(struct http_req *req, void *ctx, struct err *reterr)
{
	struct release_room *room = ctx;
	struct jw            w;
	char                 project[LIMIT_NAME_BYTES + 1];
	int                  rc;

	snprintf(project, sizeof(project), "%.*s", STR_ARG(http_param(req, "project")));
	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "releases");
	jw_arr(&w);
	rc = store_list(room, project, &w, reterr);
	jw_end(&w);
	jw_end(&w);
	return rc;
}

static void write_service(struct release_room *room, struct jw *w, const struct service *s)
{
	struct release *stable = room_release(room, str_z(s->stable)), *active = room_active(room, s);
	struct release *shown = active && active->ro.state == ROLLOUT_BAKING ? active : stable;
	char            url[400] = "", version[16] = "";

	if (s->has_route)
		room_url(room, &s->route, url, sizeof(url));
	if (shown)
		room_version(shown, version);
	jw_obj(w);
	jw_kstrz(w, "project", s->project);
	jw_kstrz(w, "service", s->name);
	jw_kstrz(w, "environment", s->environment);
	jw_kstrz(w, "url", url);
	jw_kstrz(w, "problem", s->route_error);
	jw_kstrz(w, "version", version);
	jw_kstrz(w, "digest", shown ? shown->digest : "");
	jw_kstrz(w, "commit", shown ? shown->commit : "");
	jw_kstrz(w, "release", shown ? shown->id : "");
	jw_kstrz(w, "active", active ? active->id : "");
	jw_kstrz(w, "state", active ? rollout_state_name(active->ro.state) : shown ? "live" : "empty");
	jw_kbool(w, "held", active && (active->ro.held || active->ro.paused));
	jw_knum(w, "share", active ? (double)active->share / TRAFFIC_SHARE_ONE : shown ? 1 : 0);
	jw_end(w);
}

static int get_services(struct http_req *req, void *ctx, struct err *reterr UNUSED)
{
	struct release_room *room = ctx;
	struct jw            w;

	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "services");
	jw_arr(&w);
	pthread_mutex_lock(&room->lock);
	for (size_t i = 0; i < room->services.n; i++)
		write_service(room, &w, room->services.v[i]);
	pthread_mutex_unlock(&room->lock);
	jw_end(&w);
	jw_end(&w);
	return 0;
}

/* --- orders --- */

/* Leaves the order and waits for the worker; the lock is held, and given up while it waits. */
static int give_order(struct release_room *room, const char *id, enum rollout_order order, const char *by, struct err *reterr)
{
	struct release *r = room_release(room, str_z(id));
	struct timespec until;
	uint64_t        before;

	if (!r || r->order != ORDER_NONE)
		return r ? err_set(reterr, WEIR_EBUSY, "another order for release %s is being obeyed", id) : err_set(reterr, WEIR_ENOENT, "no release '%s' is under way", id);
	before = r->order_count;
	r->order = order;
	snprintf(r->order_by, sizeof(r->order_by), "%s", by);
	room_kick(room);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ORDER_WAIT_S;
	while ((r = room_release(room, str_z(id))) && r->order_count == before)
		if (pthread_cond_timedwait(&room->obeyed, &room->lock, &until) == ETIMEDOUT)
			return err_set(reterr, WEIR_ETIMEOUT, "the order was not obeyed yet; it stays given");
	if (!r)
		return err_set(reterr, WEIR_EGONE, "release %s is over", id);
	return r->order_result ? err_set(reterr, -r->order_result, "release %s: %s", id, r->order_error) : 0;
}

static int answer_order(struct release_room *room, struct http_req *req, const char *id, enum rollout_order order, struct err *reterr)
{
	char            by[ACTOR_SIZE];
	struct release *r;
	struct jw       w;
	int             rc;

	actor_of(req, by);
	rc = give_order(room, id, order, by, reterr);
	if (rc || !(r = room_release(room, str_z(id))))
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	release_write(&w, r, false);
	jw_end(&w);
	return 0;
}

static int post_action(struct http_req *req, void *ctx, struct err *reterr)
{
	static const struct {
		const char        *name;
		enum rollout_order order;
	} actions[] = { { "abort", ORDER_ABORT }, { "pause", ORDER_PAUSE }, { "resume", ORDER_RESUME }, { "promote", ORDER_PROMOTE } };
	struct release_room *room = ctx;
	struct release      *r;
	str                  action = http_param(req, "action");
	char                 id[ID_SIZE];
	size_t               i = 0;
	int                  rc;

	while (i < ARRAY_SIZE(actions) && !str_eqz(action, actions[i].name))
		i++;
	if (i == ARRAY_SIZE(actions))
		return err_set(reterr, WEIR_ENOENT, "no action '%.*s': abort, pause, resume or promote", STR_ARG(action));
	snprintf(id, sizeof(id), "%.*s", STR_ARG(http_param(req, "release")));
	pthread_mutex_lock(&room->lock);
	if (!(rc = store_load_release(room, id, &r, reterr)) && !(rc = check_project(req, str_z(r->service->project), reterr)))
		rc = answer_order(room, req, id, actions[i].order, reterr);
	pthread_mutex_unlock(&room->lock);
	return rc;
}

/* The service of a project in an environment; its name may be left out when there is one. */
static struct service *find_service(struct release_room *room, str project, str name, str environment, struct err *reterr)
{
	struct service *found = NULL;

	for (size_t i = 0; i < room->services.n; i++) {
		struct service *s = room->services.v[i];

		if (!str_eqz(project, s->project) || !str_eqz(environment, s->environment) || (name.len && !str_eqz(name, s->name)))
			continue;
		if (found) {
			err_set(reterr, WEIR_EINVAL, "project %.*s has several services in %.*s: say which one", STR_ARG(project), STR_ARG(environment));
			return NULL;
		}
		found = s;
	}
	if (!found)
		err_set(reterr, WEIR_ENOENT, "project %.*s has no service%s%.*s in environment '%.*s'", STR_ARG(project), name.len ? " " : "", STR_ARG(name), STR_ARG(environment));
	return found;
}

static int post_rollback(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const known[] = { "environment", "service", NULL };
	struct release_room     *room = ctx;
	struct doc_check         c;
	struct doc_node         *body;
	struct service          *s;
	struct release          *r;
	int                      rc = http_body_json(req, &body, reterr);

	if (rc || (rc = check_project(req, http_param(req, "project"), reterr)))
		return rc;
	doc_check_init(&c, http_arena(req), "body");
	if (doc_is_map(&c, body, "the body", known))
		doc_need(&c, body, "environment");
	if ((rc = doc_check_result(&c, reterr)))
		return rc;
	pthread_mutex_lock(&room->lock);
	s = find_service(room, http_param(req, "project"), doc_get_str(body, "service"), doc_get_str(body, "environment"), reterr);
	r = s ? room_active(room, s) : NULL;
	if (s && (!r || r->ro.state == ROLLOUT_QUEUED))
		r = room_release(room, str_z(s->stable));
	if (!s)
		rc = -WEIR_ENOENT;
	else if (!r)
		rc = err_set(reterr, WEIR_ECONFLICT, "%s has no version yet", s->id);
	else
		rc = answer_order(room, req, r->id, ORDER_ROLL_BACK, reterr);
	pthread_mutex_unlock(&room->lock);
	return rc;
}

static const struct http_route routes[] = {
	{ "PUT", "/api/v1/artifacts", HTTP_STREAM, SCOPE_JOB, LIMIT_ARTIFACT_BYTES, put_artifact, "Stores a version's files (tar.zst)", NULL, NULL },
	{ "POST", "/api/v1/releases", HTTP_WORKER, SCOPE_JOB, LIMIT_HTTP_BODY_BYTES, post_release,
	  "Releases a stored version to an environment; a newer release supersedes the one under way",
	  "{\"type\":\"object\",\"required\":[\"project\",\"environment\",\"digest\",\"commit\"],\"properties\":{\"project\":{\"type\":\"string\"},\"service\":{\"type\":\"string\"},"
	  "\"environment\":{\"type\":\"string\"},\"digest\":{\"type\":\"string\"},\"commit\":{\"type\":\"string\"},\"run\":{\"type\":\"string\"}}}",
	  NULL },
	{ "GET", "/api/v1/releases/:release", HTTP_WORKER, SCOPE_READ, 0, get_release, "A release with its counts, the judge's evidence and the points of its chart", NULL, NULL },
	{ "POST", "/api/v1/releases/:release/:action", HTTP_WORKER, SCOPE_RELEASE, LIMIT_HTTP_BODY_BYTES, post_action, "Steers a release: abort, pause, resume, promote", NULL, NULL },
	{ "GET", "/api/v1/projects/:project/releases", HTTP_WORKER, SCOPE_READ, 0, get_releases, "A project's releases, newest first", NULL, NULL },
	{ "POST", "/api/v1/projects/:project/rollback", HTTP_WORKER, SCOPE_RELEASE, LIMIT_HTTP_BODY_BYTES, post_rollback,
	  "Goes back to the version before: ends a canary, or starts the previous version and moves the traffic when it is healthy",
	  "{\"type\":\"object\",\"required\":[\"environment\"],\"properties\":{\"environment\":{\"type\":\"string\"},\"service\":{\"type\":\"string\"}}}", NULL },
	{ "GET", "/api/v1/services", HTTP_WORKER, SCOPE_READ, 0, get_services, "Each service in each environment, with version, address, share and state", NULL, NULL },
};

const struct http_route *release_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
