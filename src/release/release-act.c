/* release-act.c - carries out what rollout_next() decided. The traffic is changed first where users gain by it (rollback), then one transaction stores
 * the new state with its event, then memory follows. When the transaction fails (disk full) memory keeps the old state and the next turn tries
 * again; everything done before it can be repeated. Worker thread; the room's lock is held. */
#include "base/base.h"

#include "base/limits.h"
#include "base/log.h"
#include "release/room.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- shares --- */

/* The release whose state rules the slot's traffic: the active one, or the stable one. */
void act_shares(struct release_room *room, struct service *s)
{
	struct release *r = room_active(room, s), *stable = room_release(room, str_z(s->stable)), *from;
	unsigned        canary = 0;
	uint64_t        tag;
	struct err      e = { 0 };

	if (!r || r->ro.state == ROLLOUT_QUEUED || r->ro.state == ROLLOUT_RETURNING)
		r = stable;
	if (!r)
		return;
	from = r == stable ? NULL : room_release(room, str_z(r->from));
	if (r->reverted && from)
		canary = 0;
	else if (r->ro.state == ROLLOUT_CANARY)
		canary = r->share;
	else if (r->ro.state != ROLLOUT_STARTING)
		canary = TRAFFIC_SHARE_ONE;
	if (!from && r->ro.state != ROLLOUT_STARTING)
		canary = TRAFFIC_SHARE_ONE;
	tag = (uint64_t)r->seq;
	if (room->traffic.set_share(room->traffic.ctx, s->slot, r->arm == ARM_B ? canary : TRAFFIC_SHARE_ONE - canary, tag, &e) && !room->proxy_down)
		log_error("release", "%s: the share cannot be set (tried again): %s", s->id, e.msg);
}

/* All traffic to one arm, now. */
static int all_to(struct release_room *room, const struct service *s, enum traffic_arm arm, uint64_t tag, struct err *reterr)
{
	return room->traffic.set_share(room->traffic.ctx, s->slot, arm == ARM_B ? TRAFFIC_SHARE_ONE : 0, tag, reterr);
}

/* --- instances --- */

static bool port_taken(const struct release_room *room, uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int                fd, rc, on = 1;

	if (port == room->http_port || port == room->evidence_port)
		return true;
	for (size_t i = 0; i < room->instances.n; i++)
		if (room->instances.v[i]->port == port)
			return true;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* connections in TIME_WAIT are no hindrance */
	rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	if (fd >= 0)
		close(fd);
	return rc != 0;
}

/* Makes the instances of a release in memory; they are stored with the transition. */
static int make_instances(struct release_room *room, struct release *r, struct instance **out, size_t *ret_n, struct err *reterr)
{
	unsigned span = room->cfg.port_last - room->cfg.port_first + 1u, at = (unsigned)(r->seq * 7) % span, tries = 0;
	char     id[ID_SIZE], low[ID_SIZE];

	id_new(id);
	for (size_t i = 0; i < sizeof(id); i++)
		low[i] = (char)(id[i] >= 'A' && id[i] <= 'Z' ? id[i] + 32 : id[i]);
	for (*ret_n = 0; *ret_n < r->env->instances; tries++) {
		uint16_t         port = (uint16_t)(room->cfg.port_first + (at + tries) % span);
		struct instance *n;

		if (tries >= span)
			return err_set(reterr, WEIR_EBUSY, "no free port from %u to %u for an instance", room->cfg.port_first, room->cfg.port_last);
		if (port_taken(room, port))
			continue;
		n = calloc(1, sizeof(*n));
		if (!n || !VEC_PUSH(&room->instances, n)) {
			free(n);
			return err_set(reterr, WEIR_ENOMEM, "instances");
		}
		snprintf(n->name, sizeof(n->name), "%.40s.%.40s.%s.%zu", r->service->name, r->service->environment, low, *ret_n);
		snprintf(n->release, sizeof(n->release), "%s", r->id);
		n->port = port;
		n->want = true;
		n->arm = r->arm;
		out[(*ret_n)++] = n;
	}
	return 0;
}

static void drop_instances(struct release_room *room, struct instance **v, size_t n)
{
	for (size_t k = 0; k < n; k++)
		for (size_t i = 0; i < room->instances.n; i++)
			if (room->instances.v[i] == v[k]) {
				free(v[k]);
				memmove(&room->instances.v[i], &room->instances.v[i + 1], (room->instances.n - i - 1) * sizeof(struct instance *));
				room->instances.n--;
				break;
			}
}

/* Collects the wanted instances of a release. */
static size_t instances_of(struct release_room *room, const char *id, struct instance **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < room->instances.n && n < max; i++)
		if (room->instances.v[i]->want && !strcmp(room->instances.v[i]->release, id))
			out[n++] = room->instances.v[i];
	return n;
}

/* --- event data --- */

static void begin_data(struct jw *w, struct buf *b, const struct release *r)
{
	jw_init(w, b);
	jw_obj(w);
	jw_kstrz(w, "release", r->id);
	jw_kstrz(w, "service", r->service->name);
	jw_kstrz(w, "environment", r->service->environment);
}

static void add_version(struct jw *w, const struct release *r, bool digest_too)
{
	char version[16];

	room_version(r, version);
	jw_kstrz(w, "version", version);
	if (digest_too) {
		jw_kstrz(w, "digest", r->digest);
		jw_kstrz(w, "commit", r->commit);
	}
}

static void add_evidence(struct jw *w, const struct release *r)
{
	if (!r->has_verdict)
		return;
	jw_key(w, "evidence");
	judge_write_evidence(w, &r->params, &r->input, &r->verdict);
}

static uint64_t failed_canary(const struct release *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->counts.n_seg; i++)
		n += r->counts.seg[i].failed_canary;
	return n;
}

/* --- acts --- */

struct act { /* one transition on its way into the store */
	struct release_room *room;
	struct release      *r;
	const struct rollout_step *step;
	struct release       next;  /* r as it will be */
	struct service       svc;   /* its service as it will be */
	struct store_change  change;
	struct buf           data;
	struct jw            w;
	struct instance     *inst[2 * SERVICE_INSTANCES_MAX];
};

static void set_event(struct act *a, enum event_type type)
{
	jw_end(&a->w);
	a->change.events[a->change.n_events++] = (struct store_event){ type, buf_str(&a->data) };
}

static void unwant(struct act *a, const char *id)
{
	size_t n = instances_of(a->room, id, a->inst + a->change.n_add, ARRAY_SIZE(a->inst) - a->change.n_add);

	for (size_t i = 0; i < n; i++)
		a->inst[a->change.n_add + i]->want = false; /* taken back when the transaction fails */
	a->change.n_add += n;
}

static int do_start(struct act *a, struct err *reterr)
{
	const struct release *stable = room_release(a->room, str_z(a->svc.stable));
	char                  version[16];
	int                   rc;

	a->next.ro.first = stable == NULL;
	a->next.arm = stable && stable->arm == ARM_A ? ARM_B : ARM_A;
	snprintf(a->next.from, sizeof(a->next.from), "%s", stable ? stable->id : "");
	a->r->arm = a->next.arm;
	if (!stable) { /* nobody is served yet, so the route can be tried now */
		if ((rc = a->room->traffic.set_route(a->room->traffic.ctx, a->svc.slot, &a->r->env->route, reterr)))
			return rc;
		a->svc.route = a->r->env->route;
		a->svc.has_route = true;
	}
	if ((rc = make_instances(a->room, a->r, a->inst, &a->change.n_add, reterr)))
		return rc;
	begin_data(&a->w, &a->data, a->r);
	add_version(&a->w, a->r, true);
	if (stable) {
		room_version(stable, version);
		jw_kstrz(&a->w, "from", version);
	}
	jw_kbool(&a->w, "first", a->next.ro.first);
	jw_kstrz(&a->w, "by", a->r->by);
	if (a->r->run[0])
		jw_kstrz(&a->w, "run", a->r->run);
	set_event(a, EVENT_RELEASE_STARTED);
	return 0;
}

static int do_share(struct act *a, struct err *reterr UNUSED)
{
	a->next.share = (unsigned)(a->r->def->rollout.plan.steps[a->next.ro.step] * TRAFFIC_SHARE_ONE + 0.5);
	begin_data(&a->w, &a->data, a->r);
	jw_knum(&a->w, "share", (double)a->next.share / TRAFFIC_SHARE_ONE);
	jw_kstrz(&a->w, "cause", a->next.cause);
	set_event(a, EVENT_RELEASE_STEP);
	return 0;
}

static int do_promote(struct act *a, struct err *reterr UNUSED)
{
	a->next.share = TRAFFIC_SHARE_ONE;
	a->svc.route = a->r->env->route; /* from now on the new version's route holds */
	a->svc.has_route = true;
	begin_data(&a->w, &a->data, a->r);
	add_version(&a->w, a->r, true);
	jw_kstrz(&a->w, "cause", a->next.cause);
	add_evidence(&a->w, a->r);
	set_event(a, EVENT_RELEASE_PROMOTED);
	return 0;
}

static int do_finish(struct act *a, struct err *reterr UNUSED)
{
	snprintf(a->svc.stable, sizeof(a->svc.stable), "%s", a->r->id);
	a->next.ended_at = clock_wall(a->room->cfg.clock);
	if (a->r->from[0])
		unwant(a, a->r->from);
	begin_data(&a->w, &a->data, a->r);
	add_version(&a->w, a->r, false);
	jw_kstrz(&a->w, "cause", a->next.cause);
	set_event(a, EVENT_RELEASE_FINISHED);
	return 0;
}

static int do_hold(struct act *a, struct err *reterr UNUSED)
{
	begin_data(&a->w, &a->data, a->r);
	if (a->step->act == ACT_HOLD)
		jw_kstrz(&a->w, "verdict", judge_call_name(a->r->verdict.call));
	jw_kstrz(&a->w, "cause", a->next.cause);
	add_evidence(&a->w, a->r);
	set_event(a, a->step->act == ACT_HOLD ? EVENT_RELEASE_HELD : EVENT_RELEASE_RESUMED);
	return 0;
}

/* The event of a rollback; target: the release that serves now, NULL when none does. */
static void add_rolled_back(struct act *a, const struct release *target)
{
	char version[16];

	begin_data(&a->w, &a->data, a->r);
	add_version(&a->w, a->r, false);
	if (target) {
		room_version(target, version);
		jw_kstrz(&a->w, "back_to", version);
	}
	jw_kstrz(&a->w, "cause", a->next.cause);
	jw_kstrz(&a->w, "by", a->change.actor);
	if (a->r->counts.first_bad) {
		jw_kint(&a->w, "first_bad_at", a->r->counts.first_bad);
		jw_kint(&a->w, "last_bad_at", a->r->counts.last_bad);
	}
	jw_kint(&a->w, "failed_requests", (int64_t)failed_canary(a->r));
	add_evidence(&a->w, a->r);
	set_event(a, EVENT_RELEASE_ROLLED_BACK);
}

static int do_roll_back(struct act *a, struct err *reterr)
{
	struct release *target = room_release(a->room, str_z(a->r->from));
	bool            begun = a->r->ro.state != ROLLOUT_QUEUED;
	int             rc;

	/* What users feel comes first. STARTING has no traffic yet, so its share need not change. */
	if (target && begun && a->r->ro.state != ROLLOUT_STARTING
	    && (rc = all_to(a->room, &a->svc, target->arm, (uint64_t)a->r->seq, reterr)))
		return rc;
	a->r->reverted = a->r->ro.state != ROLLOUT_RETURNING;
	a->next.share = 0;
	a->next.ended_at = clock_wall(a->room->cfg.clock);
	if (a->r->ro.state == ROLLOUT_RETURNING && target)
		snprintf(a->svc.stable, sizeof(a->svc.stable), "%s", target->id);
	if (target && begun) {
		a->svc.route = target->env->route;
		a->svc.has_route = true;
	}
	unwant(a, a->r->id);
	if (begun) {
		if (evidence_get(a->room->evidence, (uint64_t)a->r->seq, &a->r->counts))
			a->next.counts = a->r->counts;
		add_rolled_back(a, target);
		return 0;
	}
	jw_init(&a->w, &a->data);
	jw_obj(&a->w);
	jw_kstrz(&a->w, "service", a->r->service->name);
	jw_kstrz(&a->w, "environment", a->r->service->environment);
	jw_kstrz(&a->w, "digest", a->r->digest);
	jw_kstrz(&a->w, "cause", a->next.cause);
	jw_kstrz(&a->w, "by", a->change.actor);
	set_event(a, EVENT_RELEASE_REFUSED);
	return 0;
}

static int do_return(struct act *a, struct err *reterr)
{
	struct release *target = NULL;
	char            dir[512];
	int             rc;

	if (!a->r->from[0])
		return err_set(reterr, WEIR_ECONFLICT, "there is no version before this one");
	if ((rc = store_load_release(a->room, a->r->from, &target, reterr))
	    || (rc = artifact_unpack(a->room->data_dir, target->digest, dir, sizeof(dir), reterr)))
		return rc;
	target->arm = a->r->arm == ARM_A ? ARM_B : ARM_A;
	return make_instances(a->room, target, a->inst, &a->change.n_add, reterr);
}

static int do_stay(struct act *a, struct err *reterr UNUSED)
{
	unwant(a, a->r->from);
	jw_init(&a->w, &a->data);
	jw_obj(&a->w);
	jw_kstrz(&a->w, "service", a->r->service->name);
	jw_kstrz(&a->w, "environment", a->r->service->environment);
	jw_kstrz(&a->w, "digest", a->r->digest);
	jw_key(&a->w, "cause");
	jw_fmt(&a->w, "not rolled back: %s", a->step->cause);
	jw_kstrz(&a->w, "by", a->change.actor);
	set_event(a, EVENT_RELEASE_REFUSED);
	return 0;
}

static int prepare(struct act *a, struct err *reterr)
{
	switch (a->step->act) {
	case ACT_START: return do_start(a, reterr);
	case ACT_SHARE: return do_share(a, reterr);
	case ACT_PROMOTE: return do_promote(a, reterr);
	case ACT_FINISH: return do_finish(a, reterr);
	case ACT_HOLD:
	case ACT_RESUME: return do_hold(a, reterr);
	case ACT_ROLL_BACK: return do_roll_back(a, reterr);
	case ACT_RETURN: return do_return(a, reterr);
	case ACT_STAY: return do_stay(a, reterr);
	case ACT_NONE:
	case ACT_REMEMBER:
	case ACT_REFUSE_ORDER: break;
	}
	return 0;
}

/* A canary that cannot even be begun (route taken, no port) must end with its cause rather than be tried for ever. */
static int refuse_start(struct release_room *room, struct release *r, const struct err *why, struct err *reterr)
{
	struct rollout_step s = { .act = ACT_ROLL_BACK, .next = r->ro, .cause = why->msg };

	s.next.state = ROLLOUT_ABORTED;
	s.next.entered = clock_wall(room->cfg.clock);
	return act_do(room, r, &s, reterr);
}

static void watch(struct release_room *room, struct release *r)
{
	struct evidence_watch w = { .tag = (uint64_t)r->seq, .slot = r->service->slot, .canary = r->arm, .client = r->def->client,
		                    .error_window = r->def->rollout.error_window, .counts = r->counts };
	struct err            e = { 0 };

	if (evidence_watch(room->evidence, &w, &e))
		log_error("release", "%s: %s", r->id, e.msg);
	r->watching = true;
}

/* The transition as it will be stored, without its event. */
static void begin_act(struct act *a)
{
	const struct release *r = a->r;
	bool                  superseded = a->step->order_done && r->order == ORDER_SUPERSEDE;

	a->next = *r;
	a->next.ro = a->step->next;
	a->svc = *r->service;
	snprintf(a->next.cause, sizeof(a->next.cause), "%s%s%s", a->step->cause, superseded ? ": " : "", superseded ? r->superseded_by : "");
	a->change = (struct store_change){ .room = a->room, .release = &a->next, .add = a->inst,
		                           .actor = a->step->order_done && r->order_by[0] ? r->order_by : "weir" };
	if (a->step->act == ACT_ROLL_BACK)
		snprintf(a->next.ended_by, sizeof(a->next.ended_by), "%s", a->change.actor);
}

static int store_act(struct act *a, struct err *reterr)
{
	int rc = buf_check(&a->data, "event", reterr);

	a->change.service = memcmp(&a->svc, a->r->service, sizeof(a->svc)) ? &a->svc : NULL;
	if (a->step->act == ACT_ROLL_BACK || a->step->act == ACT_PROMOTE)
		a->change.counts = a->r->watching ? &a->r->counts : NULL;
	return rc ? rc : store_write(&a->change, reterr);
}

/* It was not stored: instances as they were; the next turn tries again. */
static void undo_act(struct act *a)
{
	if (a->step->act == ACT_START || a->step->act == ACT_RETURN)
		drop_instances(a->room, a->inst, a->change.n_add);
	else
		for (size_t i = 0; i < a->change.n_add; i++)
			a->inst[i]->want = true;
}

int act_do(struct release_room *room, struct release *r, const struct rollout_step *s, struct err *reterr)
{
	struct act a = { .room = room, .r = r, .step = s, .data = BUF_INIT(LIMIT_EVENT_BYTES) };
	int        rc;

	if (s->act == ACT_REMEMBER) { /* patience is measured in memory: after a restart it begins anew */
		r->ro = s->next;
		return 0;
	}
	begin_act(&a);
	rc = prepare(&a, reterr);
	if (rc && s->act == ACT_START && !err_retryable(rc)) {
		struct err why = reterr ? *reterr : (struct err){ 0 };

		undo_act(&a);
		buf_fini(&a.data);
		return refuse_start(room, r, &why, reterr);
	}
	if (!rc)
		rc = store_act(&a, reterr);
	buf_fini(&a.data);
	if (rc) {
		undo_act(&a);
		return rc;
	}
	a.next.order = r->order;
	memcpy(r->service, &a.svc, sizeof(a.svc));
	*r = a.next;
	log_info("release", "%s %s: %s (%s)", r->service->id, r->id, rollout_state_name(r->ro.state), r->cause);
	if (s->act == ACT_START)
		watch(room, r);
	act_shares(room, r->service);
	return 0;
}

/* --- judging --- */

static size_t segment_at(const struct evidence_counts *c, unsigned share)
{
	size_t i = 0;

	while (i < c->n_seg && c->seg_share[i] != share)
		i++;
	return i;
}

/* After 100% there is nothing to compare with: the budget alone counts, but never less than what the old version itself failed. */
static void widen_budget(struct release *r)
{
	uint64_t n = 0, failed = 0;
	double   base;

	for (size_t i = 0; i < r->counts.n_seg; i++) {
		n += r->counts.seg[i].requests_stable;
		failed += r->counts.seg[i].failed_stable;
	}
	base = n ? (double)failed / (double)n * (1 + r->params.tolerance) : 0;
	if (base > r->params.budget)
		r->params.budget = base < 0.5 ? base : 0.5;
}

void act_judge(struct release_room *room, struct release *r)
{
	struct err e = { 0 };

	if (!r->watching || !evidence_get(room->evidence, (uint64_t)r->seq, &r->counts))
		return;
	r->params = r->def->rollout.judge;
	if (r->ro.state != ROLLOUT_BAKING && r->ro.state != ROLLOUT_CANARY)
		return;
	memcpy(r->segs, r->counts.seg, sizeof(r->segs));
	r->input = (struct judge_input){ r->segs, r->counts.n_seg, r->counts.n_clients, r->counts.missing, segment_at(&r->counts, r->share) };
	if (r->ro.state == ROLLOUT_BAKING) {
		widen_budget(r);
		if (r->input.good_from == r->input.n_seg && r->input.n_seg < JUDGE_SEGMENTS_MAX) /* no request yet: the segment says that it is alone */
			r->segs[r->input.n_seg++] = (struct judge_segment){ .canary_share = 1 };
	}
	if (judge_step(&r->params, &r->input, &r->verdict, &e))
		log_error("release", "%s cannot be judged: %s", r->id, e.msg);
	r->has_verdict = true;
}
