/* deliver.c - the runner's calls about one job (see deliver.h, protocol.md). Runs on the slot's thread. */
#include "base/base.h"
#include "base/limits.h"
#include "doc/doc.h"
#include "pipeline/deliver.h"

#include <inttypes.h>

enum { LOG_PIECE = 512 << 10, CALL_MS = 20000 };

int deliver_init(struct deliver *d, struct http_client *client, struct job *job, bool fresh, struct err *reterr)
{
	*d = (struct deliver){ .client = client, .job = job, .known = fresh };
	d->steps = calloc(job_n_steps(job) + 1, sizeof(*d->steps));
	d->renew_at = clock_mono_now() + (fresh ? job_lease_ms(job) * USEC_PER_MSEC / 3 : 0);
	return d->steps ? 0 : err_set(reterr, WEIR_ENOMEM, "out of memory");
}

void deliver_fini(struct deliver *d)
{
	free(d->steps);
	d->steps = NULL;
}

/* One call; out is the answer's body whatever the status. Statuses that mean "later" come back as retryable errors. */
static int call(struct deliver *d, const char *method, const char *what, const char *query, const char *type, str body, struct buf *out, int *status,
                struct err *reterr)
{
	char             path[400];
	struct http_call c = HTTP_CALL_INIT;
	int              r;

	snprintf(path, sizeof(path), "/api/v1/runner/jobs/%s/%s%s", job_id(d->job), what, query);
	c.method = method;
	c.path = path;
	c.content_type = type;
	c.body = body;
	c.out = out;
	c.timeout_ms = CALL_MS;
	r = http_call(d->client, &c, reterr);
	*status = c.status;
	if (r)
		return r;
	if (c.status == 410 || c.status == 404)
		return err_set(reterr, WEIR_EGONE, "the server says that job %s is no longer ours", job_id(d->job));
	if (c.status == 429 || c.status >= 500)
		return err_set(reterr, WEIR_EUNAVAIL, "the server answers %d", c.status);
	if (c.status == 401 || c.status == 403)
		return err_set(reterr, WEIR_EAUTH, "the server does not accept the runner's token (%d)", c.status);
	return 0;
}

static int answer(struct arena *a, const struct buf *out, struct doc_node **ret, struct err *reterr)
{
	return doc_parse_json(a, "answer", out->len ? buf_str(out) : STR("{}"), ret, reterr);
}

static int post(struct deliver *d, const char *what, const struct buf *body, struct arena *a, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(1 << 20);
	int                    status, r = call(d, "POST", what, "", NULL, buf_str(body), &out, &status, reterr);

	if (r)
		return r;
	if (status == 409) /* the server has another end state: the first one counts */
		return answer(a, &out, ret, reterr);
	if (status >= 400)
		return err_set(reterr, WEIR_EREFUSED, "the server refuses '%s' of job %s: %.200s", what, job_id(d->job), buf_z(&out));
	return answer(a, &out, ret, reterr);
}

/* --- what the server has, after a restart --- */

static int ask_state(struct deliver *d, struct err *reterr)
{
	struct arena           a = ARENA_INIT(16 << 20);
	CLEANUP_BUF struct buf out = BUF_INIT(4 << 20);
	char                   query[160];
	struct doc_node       *n;
	int                    status, r;

	snprintf(query, sizeof(query), "?lease=%s", job_lease(d->job));
	r = call(d, "GET", "state", query, NULL, STR_NULL, &out, &status, reterr);
	if (!r && status >= 400)
		r = err_set(reterr, WEIR_EGONE, "the server does not know job %s any more (%d)", job_id(d->job), status);
	if (!r)
		r = answer(&a, &out, &n, reterr);
	if (!r) {
		const struct doc_node *steps = doc_get(n, "steps");

		for (size_t i = 0; i < doc_len(steps); i++) {
			int64_t at = doc_get_int(doc_at(steps, i), "step", -1);
			str     state = doc_get_str(doc_at(steps, i), "state");

			if (at < 0 || at >= (int64_t)job_n_steps(d->job))
				continue;
			d->steps[at].offset = doc_get_int(doc_at(steps, i), "log_next", 0);
			for (int s = JOB_QUEUED; s <= JOB_CANCELLED; s++)
				if (str_eqz(state, job_state_name((enum job_state)s)))
					d->steps[at].sent = (enum job_state)s;
		}
		if (doc_get_bool(n, "cancel", false))
			job_cancel(d->job, "cancelled");
		d->known = true;
	}
	arena_fini(&a);
	return r;
}

/* --- renewing --- */

static int renew(struct deliver *d, struct err *reterr)
{
	struct arena           a = ARENA_INIT(1 << 20);
	CLEANUP_BUF struct buf body = BUF_INIT(1000);
	struct doc_node       *n;
	struct jw              w;
	int                    r;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "lease", job_lease(d->job));
	jw_end(&w);
	r = post(d, "renew", &body, &a, &n, reterr);
	if (!r) {
		int64_t ms = doc_get_int(n, "lease_ms", job_lease_ms(d->job));
		char    cause[512];
		str     text = doc_get_str(n, "cause");

		snprintf(cause, sizeof(cause), "%.*s", STR_ARG(str_sub(text, 0, 500)));
		if (doc_get_bool(n, "cancel", false))
			job_cancel(d->job, cause);
		d->renew_at = clock_mono_now() + ms * USEC_PER_MSEC / 3;
	}
	arena_fini(&a);
	return r;
}

/* --- steps --- */

static int send_state(struct deliver *d, size_t i, const struct job_view *v, enum job_state state, struct err *reterr)
{
	struct arena           a = ARENA_INIT(4 << 20);
	CLEANUP_BUF struct buf body = BUF_INIT(4 << 20), summary = BUF_INIT(2 * LIMIT_STEP_FILE_BYTES);
	struct doc_node       *n;
	struct jw              w;
	int                    r;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "lease", job_lease(d->job));
	jw_kint(&w, "step", (int64_t)i);
	jw_kstrz(&w, "state", job_state_name(state));
	jw_kstrz(&w, "name", v->name);
	if (v->started)
		jw_kint(&w, "started", v->started);
	if (state != JOB_RUNNING) {
		if (v->exit_status >= 0)
			jw_kint(&w, "exit", v->exit_status);
		jw_kint(&w, "ended", v->ended);
		jw_kstrz(&w, "cause", v->cause);
		if (v->continued)
			jw_kbool(&w, "continued", true);
		job_get_summary(d->job, i, &summary);
		if (summary.len)
			jw_kstr(&w, "summary", str_sub(buf_str(&summary), 0, LIMIT_STEP_SUMMARY_BYTES)); /* the server keeps no more */
	}
	jw_end(&w);
	r = buf_check(&body, "state of a step", reterr);
	if (!r)
		r = post(d, "steps", &body, &a, &n, reterr);
	arena_fini(&a);
	if (!r)
		d->steps[i].sent = state;
	return r;
}

static int send_log(struct deliver *d, size_t i, struct err *reterr)
{
	struct deliver_step   *s = &d->steps[i];
	CLEANUP_BUF struct buf piece = BUF_INIT(LOG_PIECE), out = BUF_INIT(1 << 16);

	while (!s->log_full) {
		struct arena     a = ARENA_INIT(1 << 20);
		char             query[200];
		struct doc_node *n;
		char            *to;
		ssize_t          got;
		int              status, r;

		buf_clear(&piece);
		buf_clear(&out);
		to = buf_reserve(&piece, LOG_PIECE - 1);
		if (!to)
			return buf_check(&piece, "log", reterr);
		got = job_read_log(d->job, i, s->offset, to, LOG_PIECE - 1, reterr);
		if (got <= 0)
			return (int)got;
		snprintf(query, sizeof(query), "?lease=%s&step=%zu&offset=%" PRId64, job_lease(d->job), i, s->offset);
		r = call(d, "POST", "log", query, "application/octet-stream", str_n(to, (size_t)got), &out, &status, reterr);
		if (!r)
			r = answer(&a, &out, &n, reterr);
		if (!r && status == 413)
			s->log_full = true;
		else if (!r && status >= 400 && status != 409)
			r = err_set(reterr, WEIR_EREFUSED, "the server refuses log bytes of job %s: %.200s", job_id(d->job), buf_z(&out));
		if (!r)
			s->offset = doc_get_int(n, "next", s->offset + got);
		arena_fini(&a);
		if (r)
			return r;
	}
	return 0;
}

static int send_step(struct deliver *d, size_t i, struct err *reterr)
{
	struct job_view v;
	int             r = 0;

	job_get_view(d->job, i, &v);
	if (v.state == JOB_QUEUED || d->steps[i].sent >= JOB_SUCCESS)
		return 0;
	if (d->steps[i].sent == JOB_QUEUED && v.state != JOB_SKIPPED)
		r = send_state(d, i, &v, JOB_RUNNING, reterr);
	if (!r)
		r = send_log(d, i, reterr);
	if (!r && v.ended)
		r = send_state(d, i, &v, v.state, reterr);
	return r;
}

static int send_finish(struct deliver *d, const struct job_result *res, struct err *reterr)
{
	struct arena           a = ARENA_INIT(4 << 20);
	CLEANUP_BUF struct buf body = BUF_INIT(4 << 20), outputs = BUF_INIT(4 << 20), url = BUF_INIT(8192);
	struct doc_node       *n;
	struct jw              w;
	int                    r;

	job_get_outputs(d->job, &outputs);
	job_get_environment_url(d->job, &url);
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "lease", job_lease(d->job));
	jw_kstrz(&w, "result", job_state_name(res->state));
	jw_key(&w, "outputs");
	jw_raw(&w, buf_str(&outputs));
	jw_kstrz(&w, "cause", res->cause);
	jw_kint(&w, "ended", res->ended);
	jw_kstr(&w, "environment_url", buf_str(&url));
	if (res->retry)
		jw_kbool(&w, "retry", true);
	jw_end(&w);
	r = buf_check(&body, "end of a job", reterr);
	if (!r)
		r = post(d, "finish", &body, &a, &n, reterr);
	arena_fini(&a);
	d->finished = !r;
	return r;
}

int deliver_turn(struct deliver *d, struct err *reterr)
{
	struct job_result res;
	int               r = d->known ? 0 : ask_state(d, reterr);

	/* the end is read first: all steps' ends are then there to be sent before it */
	job_get_result(d->job, &res);
	if (!r && clock_mono_now() >= d->renew_at)
		r = renew(d, reterr);
	for (size_t i = 0; !r && i < job_n_steps(d->job); i++)
		r = send_step(d, i, reterr);
	if (!r && res.state != JOB_RUNNING)
		r = send_finish(d, &res, reterr);
	return r;
}
