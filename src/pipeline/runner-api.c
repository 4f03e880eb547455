/* runner-api.c - the server's end of the runner protocol (protocol.md has the exact JSON).
 *
 * Every call can be repeated. The lease of a job is the id of the claim that got it: whoever names another one gets 410 and must let go.
 * Handlers run on worker threads; a claim that waits holds one, at most cfg.claims_max of them. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/runner-work.h"

#include <errno.h>

enum { WAIT_MS_MAX = 25000, CLAIM_MIN = 16, CLAIM_MAX = 64, LABELS_MAX = 64 };

/* --- bodies --- */

static int body_map(struct http_req *req, struct doc_check *c, const char *const *keys, struct doc_node **ret, struct err *reterr)
{
	int rc = http_body_json(req, ret, reterr);

	if (rc)
		return rc;
	doc_check_init(c, http_arena(req), "body");
	(void)doc_is_map(c, *ret, "the body", keys);
	return doc_check_result(c, reterr);
}

static bool name_chars(str s, size_t min, size_t max)
{
	if (s.len < min || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '.'))
			return false;
	}
	return true;
}

/* --- claim --- */

/* Waits until jobs may be there. False when the time is over, the client is gone or the server stops. */
static bool wait_for_jobs(struct pipeline *p, struct http_req *req, uint64_t *seen, usec_t until)
{
	bool more;

	pthread_mutex_lock(&p->lock);
	while (p->jobs_seq == *seen && !p->stop && clock_mono_now() < until && !http_gone(req)) {
		struct timespec ts;
		usec_t          now = clock_mono_now(), next = now + 250 * USEC_PER_MSEC;

		next = next < until ? next : until;
		ts.tv_sec = next / USEC_PER_SEC;
		ts.tv_nsec = (next % USEC_PER_SEC) * 1000;
		(void)pthread_cond_timedwait(&p->wake, &p->lock, &ts);
	}
	more = p->jobs_seq != *seen && !p->stop && clock_mono_now() < until;
	*seen = p->jobs_seq;
	pthread_mutex_unlock(&p->lock);
	return more;
}

static int compare_labels(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static int read_claim(struct http_req *req, struct runner_claim *c, int64_t *ret_wait_ms, struct err *reterr)
{
	static const char *const keys[] = { "runner", "labels", "wait_ms", "claim", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	const struct doc_node   *labels;
	str                      list[LABELS_MAX];
	size_t                   n = 0;
	struct buf               b = BUF_INIT(8192);
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	c->runner = doc_get_str(body, "runner");
	c->lease = doc_get_str(body, "claim");
	*ret_wait_ms = doc_get_int(body, "wait_ms", 0);
	labels = doc_get(body, "labels");
	if (!name_chars(c->runner, 1, LIMIT_NAME_BYTES))
		return err_set(reterr, WEIR_EINVAL, "'runner' must be 1 to %d characters [A-Za-z0-9._-]", LIMIT_NAME_BYTES);
	if (!name_chars(c->lease, CLAIM_MIN, CLAIM_MAX))
		return err_set(reterr, WEIR_EINVAL, "'claim' must be %d to %d characters [A-Za-z0-9._-]", CLAIM_MIN, CLAIM_MAX);
	if (*ret_wait_ms < 0 || *ret_wait_ms > WAIT_MS_MAX)
		return err_set(reterr, WEIR_EINVAL, "'wait_ms' must be 0 to %d", WAIT_MS_MAX);
	if (!labels || labels->kind != DOC_SEQ || labels->seq.n > LABELS_MAX)
		return err_set(reterr, WEIR_EINVAL, "'labels' must be a list of at most %d texts", LABELS_MAX);
	for (size_t i = 0; i < labels->seq.n; i++) {
		const struct doc_node *l = labels->seq.items[i];

		if (l->kind != DOC_STR || l->s.len == 0 || l->s.len > LIMIT_NAME_BYTES || memchr(l->s.ptr, ',', l->s.len))
			return err_set(reterr, WEIR_EINVAL, "a label must be a text of 1 to %d bytes without a comma", LIMIT_NAME_BYTES);
		list[n++] = l->s;
	}
	qsort(list, n, sizeof(*list), compare_labels);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "%s%.*s", i ? "," : "", STR_ARG(list[i]));
	c->offers = arena_str(http_arena(req), buf_str(&b));
	buf_fini(&b);
	return 0;
}

static bool may_wait(struct pipeline *p, int change)
{
	bool ok = true;

	pthread_mutex_lock(&p->lock);
	if (change > 0)
		ok = p->waiting < p->cfg.claims_max;
	if (ok)
		p->waiting = (unsigned)((int)p->waiting + change);
	pthread_mutex_unlock(&p->lock);
	return ok;
}

int runner_api_claim(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline       *p = ctx;
	CLEANUP_BUF struct buf spec = BUF_INIT(LIMIT_DOC_BYTES);
	struct runner_claim           c = { .spec = &spec };
	int64_t                wait_ms = 0;
	int                    rc = read_claim(req, &c, &wait_ms, reterr);

	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	uint64_t seen = p->jobs_seq; /* before looking: what comes meanwhile is not missed */
	pthread_mutex_unlock(&p->lock);
	usec_t until = clock_mono_now() + wait_ms * USEC_PER_MSEC;
	str    actor = str_z(arena_printf(http_arena(req), "runner:%.*s", STR_ARG(c.runner)));
	rc = turn_write_in_turn(p, actor, runner_claim_turn, &c, reterr);
	if (rc == 0 && !c.found && wait_ms > 0 && may_wait(p, 1)) {
		while (rc == 0 && !c.found && wait_for_jobs(p, req, &seen, until))
			rc = turn_write_in_turn(p, actor, runner_claim_turn, &c, reterr);
		(void)may_wait(p, -1);
	}
	if (rc)
		return rc;
	if (!c.found) {
		http_status(req, 204);
		return 0;
	}
	http_type(req, "application/json");
	buf_add_str(http_out(req), buf_str(&spec));
	return 0;
}

/* --- log --- */

int runner_api_log(struct http_req *req, void *ctx, struct err *reterr)
{
	struct pipeline  *p = ctx;
	struct runner_log l = { .job = http_param(req, "job"), .lease = http_query(req, "lease"), .keep = http_arena(req) };
	int64_t           step = http_query_int(req, "step", 0), offset = http_query_int(req, "offset", 0), next = 0;
	struct err        e = { 0 };
	struct jw         w;

	int rc = turn_read(p, runner_find_log, &l, reterr);
	if (rc)
		return rc;
	if (step >= l.steps)
		return err_set(reterr, WEIR_EINVAL, "the job has %lld steps", (long long)l.steps);
	rc = job_log_append(p, l.run, l.job, l.row.attempt, step, offset, http_body(req), &next, &e);
	if (rc && rc != -WEIR_ECONFLICT && rc != -WEIR_ELIMIT) {
		if (reterr)
			*reterr = e;
		return rc;
	}
	if (p->log_hub)
		sse_kick(p->log_hub);
	http_json(req, &w);
	jw_obj(&w);
	if (rc) {
		http_status(req, err_http_status(rc));
		jw_key(&w, "error");
		jw_obj(&w);
		jw_kstrz(&w, "code", err_name(rc));
		jw_kstrz(&w, "message", e.msg);
		jw_end(&w);
	}
	jw_kint(&w, "next", next);
	jw_end(&w);
	return 0;
}

/* --- steps --- */

static str text_of(struct http_req *req, const struct doc_node *body, const char *key, size_t max)
{
	return text_clean(http_arena(req), doc_get_str(body, key), max);
}

int runner_api_steps(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "lease", "step", "state", "name", "exit", "started", "ended", "cause", "summary", "continued", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	const struct doc_node   *exit_node;
	struct jw                w;
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	struct runner_step s = { .job = http_param(req, "job"), .lease = doc_get_str(body, "lease"), .step = doc_get_int(body, "step", -1),
		                     .name = text_of(req, body, "name", LIMIT_WORKFLOW_NAME_BYTES), .cause = text_of(req, body, "cause", LIMIT_CAUSE_BYTES),
		                     .summary = text_of(req, body, "summary", LIMIT_STEP_SUMMARY_BYTES), .started = doc_get_int(body, "started", 0),
		                     .ended = doc_get_int(body, "ended", 0), .continued = doc_get_bool(body, "continued", false) };
	int state = step_state_find(doc_get_str(body, "state"));
	if (state < 0)
		return err_set(reterr, WEIR_EINVAL, "'state' must be queued, running, success, failure, skipped or cancelled");
	s.state = (enum step_state)state;
	exit_node = doc_get(body, "exit");
	s.has_exit = exit_node && exit_node->kind == DOC_INT;
	s.exit = s.has_exit ? exit_node->i : 0;
	rc = turn_write(ctx, STR("weir"), runner_step_turn, &s, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_end(&w);
	return 0;
}

/* --- renew, state --- */

int runner_api_renew(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "lease", NULL };
	struct pipeline         *p = ctx;
	struct doc_check         check;
	struct doc_node         *body;
	struct jw                w;
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	struct runner_renewal x = { .job = http_param(req, "job"), .lease = doc_get_str(body, "lease"), .keep = http_arena(req) };
	rc = turn_write(p, STR("weir"), runner_renew_turn, &x, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_kbool(&w, "cancel", x.cancel);
	jw_kstr(&w, "cause", x.cause);
	jw_kint(&w, "lease_ms", p->lease / USEC_PER_MSEC);
	jw_end(&w);
	return 0;
}

int runner_api_state(struct http_req *req, void *ctx, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(LIMIT_DOC_BYTES);
	struct runner_state     q = { { .job = http_param(req, "job"), .lease = http_query(req, "lease") }, &out };
	int                    rc = turn_write(ctx, STR("weir"), runner_state_turn, &q, reterr);

	if (rc)
		return rc;
	http_type(req, "application/json");
	buf_add_str(http_out(req), buf_str(&out));
	return 0;
}

/* --- finish --- */

static int read_outputs(struct http_req *req, const struct doc_node *body, str *ret, struct err *reterr)
{
	const struct doc_node *n = doc_get(body, "outputs");
	struct buf             b = BUF_INIT(LIMIT_JOB_OUTPUT_BYTES);
	struct jw              w;

	*ret = STR("{}");
	if (!n || n->kind == DOC_NULL)
		return 0;
	if (n->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "'outputs' must be an object of texts");
	for (size_t i = 0; i < n->map.n; i++)
		if (n->map.pairs[i].value->kind != DOC_STR)
			return err_set(reterr, WEIR_EINVAL, "output '%.*s' must be a text", STR_ARG(n->map.pairs[i].key));
	jw_init(&w, &b);
	jw_node(&w, n);
	int rc = buf_check(&b, "outputs of a job", reterr);
	if (rc == 0)
		*ret = arena_str(http_arena(req), buf_str(&b));
	buf_fini(&b);
	return rc;
}

int runner_api_finish(struct http_req *req, void *ctx, struct err *reterr)
{
	static const char *const keys[] = { "lease", "result", "outputs", "cause", "ended", "environment_url", "retry", NULL };
	struct doc_check         check;
	struct doc_node         *body;
	struct jw                w;
	int                      rc = body_map(req, &check, keys, &body, reterr);

	if (rc)
		return rc;
	struct runner_finish f = { .job = http_param(req, "job"), .lease = doc_get_str(body, "lease"), .cause = text_of(req, body, "cause", LIMIT_CAUSE_BYTES),
		                .environment_url = text_of(req, body, "environment_url", LIMIT_CAUSE_BYTES), .retry = doc_get_bool(body, "retry", false),
		                .result = plan_result_find(doc_get_str(body, "result")) };
	if (f.result == RESULT_NONE || f.result == RESULT_SKIPPED)
		return err_set(reterr, WEIR_EINVAL, "'result' must be success, failure or cancelled");
	rc = read_outputs(req, body, &f.outputs, reterr);
	if (rc == 0)
		rc = turn_write(ctx, STR("weir"), runner_finish_turn, &f, reterr);
	if (rc)
		return rc;
	http_json(req, &w);
	jw_obj(&w);
	jw_end(&w);
	return 0;
}
