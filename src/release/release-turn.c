/* release-turn.c - one turn of the worker: asks the state machine of each release what to do, brings instances to what is wanted, and once a second
 * compares HAProxy with what was set and the records with its counters. A turn takes milliseconds; it comes at once after a bad record, else four times
 * a second while something is under way. */
#include "base/base.h"

#include "base/log.h"
#include "release/room.h"


enum { STEPS_PER_TURN = 8, POINT_PARTS = 20, POINT_MIN_MS = 200, POINT_MAX_MS = 2000, KEEP_AFTER_END_S = 5, DRAIN_MAX_S = 2, CONNECTED_MIN_S = 3, LOOK_EVERY_S = 2 };

/* --- one release --- */

/* All wanted instances of a release are healthy and known to the proxy, and there are as many as there should be. */
static bool all_ready(struct release_room *room, const struct release *r)
{
	unsigned ready = 0;

	for (size_t i = 0; i < room->instances.n; i++) {
		const struct instance *n = room->instances.v[i];

		if (n->want && !strcmp(n->release, r->id)) {
			if (!n->in_proxy)
				return false;
			ready++;
		}
	}
	return ready >= r->env->instances;
}

/* Why an instance died again and again; NULL when none did. */
static const char *crash_loop(struct release_room *room, const struct release *r, char out[CAUSE_SIZE])
{
	for (size_t i = 0; i < room->instances.n; i++) {
		const struct instance *n = room->instances.v[i];

		if (!n->want || strcmp(n->release, r->id) != 0 || n->starts <= n->starts_before + DIE_MAX)
			continue;
		snprintf(out, CAUSE_SIZE, "crash loop: %s again and again%s", n->met[0] ? n->met : "it dies", n->healthy ? "" : " before it is healthy");
		return out;
	}
	return NULL;
}

static bool blocked(struct release_room *room, const struct release *r)
{
	for (size_t i = 0; i < room->releases.n; i++) {
		const struct release *o = room->releases.v[i];

		if (o->service == r->service && o->seq < r->seq && !rollout_over(o->ro.state))
			return true;
	}
	return false;
}

static void order_done(struct release_room *room, struct release *r, int rc, const char *error)
{
	r->order = ORDER_NONE;
	r->order_result = rc;
	snprintf(r->order_error, sizeof(r->order_error), "%.*s", (int)sizeof(r->order_error) - 1, error ? error : "");
	r->order_count++;
	pthread_cond_broadcast(&room->obeyed);
}

/* --- the chart --- */

/* As often as fits the length of the release so far: one that is over in a second has its course too, one of hours does not fill the table. */
static bool point_due(const struct release *r, usec_t now)
{
	usec_t every = r->point_first ? (now - r->point_first) / POINT_PARTS : 0;

	if (every < POINT_MIN_MS * USEC_PER_MSEC)
		every = POINT_MIN_MS * USEC_PER_MSEC;
	if (every > POINT_MAX_MS * USEC_PER_MSEC)
		every = POINT_MAX_MS * USEC_PER_MSEC;
	return now - r->point_at >= every;
}

static void add_point(struct release_room *room, struct release *r, usec_t now)
{
	struct buf CLEANUP_BUF doc = BUF_INIT(4096);
	struct judge_segment sum = { 0 };
	struct err           e = { 0 };
	struct jw            w;

	if (!r->has_verdict || !point_due(r, now))
		return;
	r->point_at = now;
	if (!r->point_first)
		r->point_first = now;
	for (size_t i = 0; i < r->counts.n_seg; i++) {
		sum.requests_canary += r->counts.seg[i].requests_canary;
		sum.requests_stable += r->counts.seg[i].requests_stable;
		sum.failed_canary += r->counts.seg[i].failed_canary;
		sum.failed_stable += r->counts.seg[i].failed_stable;
	}
	jw_init(&w, &doc);
	jw_obj(&w);
	jw_kint(&w, "at", now);
	jw_kstrz(&w, "state", rollout_state_name(r->ro.state));
	jw_knum(&w, "share", (double)r->share / TRAFFIC_SHARE_ONE);
	jw_kint(&w, "requests_canary", (int64_t)sum.requests_canary);
	jw_kint(&w, "requests_stable", (int64_t)sum.requests_stable);
	jw_kint(&w, "failed_canary", (int64_t)sum.failed_canary);
	jw_kint(&w, "failed_stable", (int64_t)sum.failed_stable);
	jw_knum(&w, "log_e_worse", r->verdict.log_e_worse);
	jw_knum(&w, "threshold_worse", r->verdict.threshold_worse);
	jw_knum(&w, "log_e_good", r->verdict.log_e_relative > r->verdict.log_e_absolute ? r->verdict.log_e_relative : r->verdict.log_e_absolute);
	jw_knum(&w, "threshold_good", r->verdict.threshold_good);
	jw_kstrz(&w, "call", judge_call_name(r->verdict.call));
	jw_end(&w);
	if (store_add_point(room, r->id, now, buf_str(&doc), &e))
		log_error("release", "%s: %s", r->id, e.msg);
}

/* What the state machine is asked with. `crash` holds the text that in.crash_loop may point to. */
static struct rollout_inputs inputs_of(struct release_room *room, struct release *r, char crash[CAUSE_SIZE])
{
	struct release       *target = r->ro.state == ROLLOUT_RETURNING ? room_release(room, str_z(r->from)) : NULL;
	struct rollout_inputs in = { .now = clock_wall(room->cfg.clock), .plan = &r->def->rollout.plan, .start_within = r->def->start_within, .order = r->order };

	in.blocked = r->ro.state == ROLLOUT_QUEUED && blocked(room, r);
	in.healthy = r->ro.state == ROLLOUT_STARTING && all_ready(room, r);
	in.crash_loop = crash_loop(room, r, crash);
	in.target_healthy = target && all_ready(room, target);
	if (r->has_verdict && (r->ro.state == ROLLOUT_CANARY || r->ro.state == ROLLOUT_BAKING)) {
		in.call = r->verdict.call;
		in.why = r->verdict.why;
	}
	return in;
}

static void step_failed(struct release_room *room, struct release *r, const struct rollout_step *s, int rc, const struct err *e)
{
	if (rc != r->failing)
		log_error("release", "%s %s: %s: %s (tried again until it succeeds)", r->service->id, r->id, s->cause ? s->cause : "", e->msg);
	r->failing = rc;
	if (s->order_done && !err_retryable(rc))
		order_done(room, r, rc, e->msg);
}

void turn_release(struct release_room *room, struct release *r)
{
	for (unsigned i = 0; i < STEPS_PER_TURN; i++) {
		struct rollout_inputs in;
		struct rollout_step   s;
		struct err            e = { 0 };
		char                  crash[CAUSE_SIZE];
		int                   rc;

		act_judge(room, r);
		in = inputs_of(room, r, crash);
		s = rollout_next(&r->ro, &in);
		if (s.act == ACT_NONE && !s.order_done)
			return;
		rc = s.act == ACT_REFUSE_ORDER || s.act == ACT_NONE ? 0 : act_do(room, r, &s, &e);
		if (rc) {
			step_failed(room, r, &s, rc, &e);
			return; /* the next turn tries again */
		}
		r->failing = 0;
		if (s.act == ACT_SHARE || s.act == ACT_PROMOTE) { /* each step begins with a point, also one that the next look ends */
			act_judge(room, r);
			r->point_at = 0;
			add_point(room, r, clock_wall(room->cfg.clock));
		}
		if (s.order_done)
			order_done(room, r, s.act == ACT_REFUSE_ORDER ? -WEIR_ECONFLICT : 0, s.act == ACT_REFUSE_ORDER ? s.cause : NULL);
	}
}

/* --- instances --- */

enum { FLAGS_ENV_MAX = SERVICE_ARGS_MAX + 3 };
/* The instance's environment, with what its OpenFeature provider reads when it has a flag set. Texts live in `a`. */
static int instance_env(struct release_room *room, const struct release *r, struct arena *a, const char *const **ret, struct err *reterr)
{
	const struct release_flags_ops *ops = &room->cfg.flags;
	char                            endpoint[300], token[100];
	const char                    **env;
	size_t                          n = 0;
	int                             rc;

	*ret = r->env->env;
	if (!r->env->flags.len)
		return 0;
	if (!ops->access)
		return err_set(reterr, WEIR_EREFUSED, "this server gives services no flags: take 'flags' out of service.yaml");
	env = ARENA_ARRAY(a, FLAGS_ENV_MAX, const char *);
	rc = env ? ops->access(ops->ctx, str_z(r->service->project), endpoint, sizeof(endpoint), token, sizeof(token), reterr) : 0;
	if (rc)
		return rc;
	for (; env && r->env->env && r->env->env[n]; n++)
		env[n] = r->env->env[n];
	if (env) {
		env[n] = arena_printf(a, "OFREP_ENDPOINT=%s", endpoint);
		env[n + 1] = arena_printf(a, "OFREP_HEADERS=Authorization=Bearer%%20%s,Flagd-Selector=flagSetId%%3D%s%%2F%.*s", token, r->service->project,
		                          STR_ARG(r->env->flags));
		env[n + 2] = NULL;
	}
	explicit_bzero(token, sizeof(token));
	*ret = env;
	return arena_check(a, "environment of an instance", reterr);
}

static int start_instance(struct release_room *room, struct instance *n, struct release *r, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	char                 dir[512];
	struct workload_spec spec = { .name = n->name, .dir = dir, .argv = r->def->argv, .port = n->port, .grace = r->def->stop_grace,
		                      .memory_max = r->def->memory_max, .processes_max = r->def->processes_max, .user = r->service->slot };
	int                  rc = artifact_unpack(room->data_dir, r->digest, dir, sizeof(dir), reterr);

	if (!rc)
		rc = instance_env(room, r, &a, &spec.env, reterr);
	return rc ? rc : room->work.start(room->work.ctx, &spec, reterr);
}

static void run_instance(struct release_room *room, struct instance *n, struct release *r)
{
	usec_t                 now = clock_mono(room->cfg.clock);
	struct workload_status st;
	struct err             e = { 0 };

	if (!n->started) {
		if (start_instance(room, n, r, &e)) {
			log_error("release", "%s cannot be started: %s", n->name, e.msg);
			return;
		}
		n->started = true;
	}
	if (n->healthy && !n->in_proxy) {
		/* The arm is the release's own, so the timeout of its version holds from its first request on. */
		if (room->traffic.set_timeout(room->traffic.ctx, r->service->slot, n->arm, (unsigned)(r->def->request_timeout / USEC_PER_MSEC), &e)
		    || room->traffic.add_server(room->traffic.ctx, r->service->slot, n->arm, n->name, n->port, &e))
			log_error("release", "%s cannot be given traffic: %s", n->name, e.msg);
		else
			n->in_proxy = true;
	}
	if (rollout_over(r->ro.state) && now < n->look_at)
		return;
	n->look_at = now + LOOK_EVERY_S * USEC_PER_SEC;
	if (room->work.status(room->work.ctx, n->name, &st, NULL))
		return;
	if (n->starts && st.starts > n->starts)
		log_error("release", "%s of %s died and was started again (start %u)%s%s", n->name, r->id, st.starts, st.met[0] ? ": " : "", st.met);
	n->starts = st.starts;
	memcpy(n->met, st.met, sizeof(n->met));
}

/* Traffic away, SIGTERM, and once it is gone its folder and row. True when the instance was freed. */
static bool end_instance(struct release_room *room, size_t at)
{
	struct instance       *n = room->instances.v[at];
	struct release        *r = room_release(room, str_z(n->release));
	usec_t                 now = clock_mono(room->cfg.clock);
	struct store_change    change = { .room = room, .del_instance = n->name, .actor = "weir" };
	struct workload_status st;
	struct err             e = { 0 };
	bool                   out = true;

	if (!n->leaving_since)
		n->leaving_since = now;
	if (r && room->traffic.remove_server(room->traffic.ctx, r->service->slot, n->arm, n->name, &e))
		out = false; /* requests are under way, or HAProxy is not there */
	if (!n->stopping && (out || now - n->leaving_since > DRAIN_MAX_S * USEC_PER_SEC)) {
		if (room->work.stop(room->work.ctx, n->name, &e))
			log_error("release", "%s cannot be stopped: %s", n->name, e.msg);
		else
			n->stopping = true;
	}
	if (!n->stopping || !out || room->work.status(room->work.ctx, n->name, &st, NULL) || !st.gone || room->work.remove(room->work.ctx, n->name, NULL)
	    || store_write(&change, &e))
		return false;
	free(n);
	memmove(&room->instances.v[at], &room->instances.v[at + 1], (room->instances.n - at - 1) * sizeof(n));
	room->instances.n--;
	return true;
}

static void turn_instances(struct release_room *room)
{
	for (size_t i = 0; i < room->instances.n;) {
		struct instance *n = room->instances.v[i];
		struct release  *r = room_release(room, str_z(n->release));

		if (n->want && r)
			run_instance(room, n, r);
		else if (end_instance(room, i))
			continue;
		i++;
	}
}

/* --- once a second --- */

static void gap_event(struct release_room *room, struct release *r, const char *arm, uint64_t missing, const char *source)
{
	struct buf CLEANUP_BUF data = BUF_INIT(4096);
	struct store_change change = { .room = room, .service = NULL, .release = r, .actor = "weir" };
	struct err          e = { 0 };
	struct jw           w;

	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstrz(&w, "release", r->id);
	jw_kstrz(&w, "service", r->service->name);
	jw_kstrz(&w, "environment", r->service->environment);
	jw_kstrz(&w, "arm", arm);
	jw_kint(&w, "missing", (int64_t)missing);
	jw_kstrz(&w, "source", source);
	jw_end(&w);
	change.events[change.n_events++] = (struct store_event){ EVENT_RELEASE_EVIDENCE_GAP, buf_str(&data) };
	if (store_write(&change, &e))
		log_error("release", "%s: %s", r->id, e.msg);
}

static uint64_t over(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void take_missing(struct release_room *room, struct release *r, unsigned arm, uint64_t requests, uint64_t failed, const char *source)
{
	if (!requests)
		return;
	evidence_add_missing(room->evidence, (uint64_t)r->seq, (enum traffic_arm)arm, r->share, requests, failed < requests ? failed : requests);
	gap_event(room, r, arm == r->arm ? "canary" : "stable", requests, source);
}

/* The counters began again: what HAProxy had counted until the last look and never handed over is missing; the comparison begins anew. */
static void counters_began_again(struct release_room *room, struct release *r, const struct traffic_counts *now, const struct evidence_counts *c)
{
	struct evidence_counts after = *c;

	for (unsigned a = 0; a < 2; a++) {
		uint64_t n = r->last_counters.boot[0] ? over(over(r->last_counters.done[a], c->base.done[a]), c->seen[a]) : 0;
		uint64_t f = r->last_counters.boot[0] ? over(over(r->last_counters.failed[a], c->base.failed[a]), c->seen_failed[a]) : 0;

		take_missing(room, r, a, n, f, "HAProxy's counters before it was restarted");
	}
	gap_event(room, r, "both", 0, "HAProxy was restarted: requests under way at that moment are unknown");
	evidence_get(room->evidence, (uint64_t)r->seq, &after); /* with what was just added */
	evidence_set_base(room->evidence, (uint64_t)r->seq, now, &after);
	r->n_gap = 0;
}

/* Records take a moment, so the counters are ahead by those under way; what stays ahead over several checks is missing. */
static void check_records(struct release_room *room, struct release *r)
{
	usec_t                 since = evidence_connected_since(room->evidence);
	struct traffic_counts  now;
	struct evidence_counts c;
	unsigned               k = r->n_gap % GAP_CHECKS;

	if (!r->watching || !evidence_get(room->evidence, (uint64_t)r->seq, &c) || room->traffic.counts(room->traffic.ctx, r->service->slot, &now, NULL))
		return;
	if (!c.has_base) {
		evidence_set_base(room->evidence, (uint64_t)r->seq, &now, &c);
	} else if (strcmp(now.boot, c.base.boot) != 0) {
		counters_began_again(room, r, &now, &c);
	} else if (!since || clock_mono_now() - since < CONNECTED_MIN_S * USEC_PER_SEC) {
		r->n_gap = 0; /* the ring is still handing over */
	} else {
		for (unsigned a = 0; a < 2; a++) {
			r->gap[a][k].requests = over(now.done[a] - c.base.done[a], c.seen[a]);
			r->gap[a][k].failed = over(now.failed[a] - c.base.failed[a], c.seen_failed[a]);
		}
		r->n_gap++;
	}
	r->last_counters = now;
	for (unsigned a = 0; a < 2 && r->n_gap >= GAP_CHECKS; a++) {
		uint64_t n = UINT64_MAX, f = UINT64_MAX;

		for (unsigned i = 0; i < GAP_CHECKS; i++) {
			n = r->gap[a][i].requests < n ? r->gap[a][i].requests : n;
			f = r->gap[a][i].failed < f ? r->gap[a][i].failed : f;
		}
		if (n > 0) {
			take_missing(room, r, a, n, f, "HAProxy's counters");
			r->n_gap = 0;
		}
	}
}

/* The first user of a service was answered. */
static void note_birth(struct release_room *room, struct release *r)
{
	struct buf CLEANUP_BUF data = BUF_INIT(4096);
	struct service      svc = *r->service;
	struct store_change change = { .room = room, .service = &svc, .actor = "weir" };
	struct err          e = { 0 };
	struct jw           w;
	char                url[400];

	if (svc.born || !r->counts.first_good)
		return;
	svc.born = true;
	room_url(room, &svc.route, url, sizeof(url));
	jw_init(&w, &data);
	jw_obj(&w);
	jw_kstrz(&w, "service", svc.name);
	jw_kstrz(&w, "environment", svc.environment);
	jw_kstrz(&w, "url", url);
	jw_kint(&w, "first_answer_ms", (r->counts.first_good - r->created_at) / USEC_PER_MSEC);
	jw_end(&w);
	change.events[change.n_events++] = (struct store_event){ EVENT_SERVICE_BORN, buf_str(&data) };
	if (store_write(&change, &e))
		log_error("release", "%s: %s", svc.id, e.msg);
	else
		r->service->born = true;
}

static void set_routes(struct release_room *room)
{
	for (size_t i = 0; i < room->services.n; i++) {
		struct service *s = room->services.v[i];
		struct err      e = { 0 };

		if (!s->has_route)
			continue;
		if (room->traffic.set_route(room->traffic.ctx, s->slot, &s->route, &e)) {
			if (strcmp(s->route_error, e.msg) != 0)
				log_error("release", "%s: %s", s->id, e.msg);
			snprintf(s->route_error, sizeof(s->route_error), "%.255s", e.msg);
		} else {
			s->route_error[0] = 0;
		}
	}
}

static bool has_instances(const struct release_room *room, const struct release *r)
{
	for (size_t i = 0; i < room->instances.n; i++)
		if (!strcmp(room->instances.v[i]->release, r->id))
			return true;
	return false;
}

/* A release that is over is watched for a few seconds more (its last answers), then its final counts are stored; memory keeps it while it serves. */
static void turn_over(struct release_room *room, usec_t now)
{
	for (size_t i = 0; i < room->releases.n;) {
		struct release *r = room->releases.v[i];
		struct err      e = { 0 };

		i++;
		if (!rollout_over(r->ro.state) || r->order != ORDER_NONE)
			continue;
		if (!r->drained_at) {
			r->drained_at = now;
			r->point_at = 0; /* the chart ends with what decided */
			if (r->watching)
				add_point(room, r, now);
		}
		if (now - r->drained_at < KEEP_AFTER_END_S * USEC_PER_SEC)
			continue;
		if (r->watching) {
			if (evidence_get(room->evidence, (uint64_t)r->seq, &r->counts) && store_save_counts(room, r->seq, &r->counts, &e)) {
				log_error("release", "%s: %s", r->id, e.msg);
				continue;
			}
			evidence_unwatch(room->evidence, (uint64_t)r->seq);
			r->watching = false;
		}
		if (!has_instances(room, r) && strcmp(r->service->stable, r->id) != 0) {
			i--;
			memmove(&room->releases.v[i], &room->releases.v[i + 1], (room->releases.n - i - 1) * sizeof(r));
			room->releases.n--;
			release_free(r);
		}
	}
}

static void turn_second(struct release_room *room)
{
	struct err e = { 0 };
	usec_t     now = clock_wall(room->cfg.clock);

	if (room->traffic.restore(room->traffic.ctx, &e)) {
		if (!room->proxy_down)
			log_error("release", "%s", e.msg);
		room->proxy_down = true;
	} else {
		if (room->proxy_down)
			log_info("release", "HAProxy is back; routes, servers and shares are as they were");
		room->proxy_down = false;
	}
	set_routes(room);
	for (size_t i = 0; i < room->services.n; i++)
		act_shares(room, room->services.v[i]);
	for (size_t i = 0; i < room->releases.n; i++) {
		struct release *r = room->releases.v[i];

		check_records(room, r);
		note_birth(room, r);
	}
	turn_over(room, now);
}

void turn_once(struct release_room *room)
{
	usec_t now = clock_mono(room->cfg.clock);

	for (size_t i = 0; i < room->releases.n; i++) {
		struct release *r = room->releases.v[i];

		if (!rollout_over(r->ro.state) || r->order != ORDER_NONE)
			turn_release(room, r);
		if (!rollout_over(r->ro.state))
			add_point(room, r, clock_wall(room->cfg.clock));
	}
	turn_instances(room);
	if (now >= room->second_at) {
		room->second_at = now + USEC_PER_SEC;
		turn_second(room);
	}
}
