/* steps-state.c - state.json: what a killed runner must know to go on (see steps.h). Written atomically after each
 * transition, fsync'd at the end of each step, by the job's thread; private to one version of weir. It holds masked texts, so it is 0600. */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "pipeline/steps-internal.h"

#define STATE_MAX LIMIT_DOC_BYTES /* what can be read back */

static void write_kvs(struct jw *w, const char *key, const struct kvs *k)
{
	jw_key(w, key);
	jw_arr(w);
	for (size_t i = 0; i < k->n; i++) {
		jw_arr(w);
		jw_str(w, k->v[i].key);
		jw_str(w, k->v[i].value);
		jw_end(w);
	}
	jw_end(w);
}

static void write_step(struct jw *w, const struct step *s)
{
	jw_obj(w);
	jw_kint(w, "state", s->view.state);
	jw_kint(w, "conclusion", s->conclusion);
	jw_kstrz(w, "name", s->view.name);
	jw_kint(w, "exit", s->view.exit_status);
	jw_kint(w, "started", s->view.started);
	jw_kint(w, "ended", s->view.ended);
	jw_kstrz(w, "cause", s->view.cause);
	jw_kbool(w, "continued", s->view.continued);
	jw_kint(w, "log", s->view.log_bytes);
	jw_kstrz(w, "summary", s->summary ? s->summary : "");
	write_kvs(w, "outputs", &s->outputs);
	write_kvs(w, "states", &s->states);
	jw_end(w);
}

static void write_texts(struct jw *w, const char *key, const str *v, size_t n)
{
	jw_key(w, key);
	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		jw_str(w, v[i]);
	jw_end(w);
}

int job_state_write(struct job *j, bool durable, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(STATE_MAX);
	struct jw              w;
	char                   path[1100];
	int                    r = fs_join(path, sizeof(path), reterr, j->dir, "state.json");

	if (r || j->local)
		return r;
	jw_init(&w, &b);
	jw_obj(&w);
	jw_kint(&w, "slot", j->slot);
	jw_kint(&w, "started", j->started);
	jw_kbool(&w, "failed", j->failed);
	jw_kbool(&w, "timed_out", j->timed_out);
	jw_kint(&w, "stopped", j->stopped);
	jw_kbool(&w, "cancel", j->cancel);
	jw_kstrz(&w, "cancel_cause", j->cancel_cause);
	jw_kint(&w, "result", j->result.state);
	jw_kstrz(&w, "cause", j->result.cause);
	jw_kint(&w, "ended", j->result.ended);
	jw_kbool(&w, "retry", j->result.retry);
	jw_kstr(&w, "outputs", buf_str(&j->outputs));
	jw_kstr(&w, "environment_url", buf_str(&j->environment_url));
	write_kvs(&w, "env", &j->env);
	write_texts(&w, "paths", j->paths.v, j->paths.n);
	write_texts(&w, "masks", j->added_masks.v, j->added_masks.n);
	jw_key(&w, "steps");
	jw_arr(&w);
	for (size_t i = 0; i < j->n_steps; i++)
		write_step(&w, &j->steps[i]);
	jw_end(&w);
	jw_end(&w);
	r = buf_check(&b, "state of a job", reterr);
	if (r)
		return r;
	return durable ? fs_write_atomic(path, buf_str(&b), 0600, reterr) : fs_write_quick(path, buf_str(&b), 0600, reterr);
}

static int read_kvs(struct job *j, const struct doc_node *n, struct kvs *to, struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; !r && i < doc_len(n); i++) {
		const struct doc_node *pair = doc_at(n, i), *k = doc_at(pair, 0), *v = doc_at(pair, 1);

		if (k && v)
			r = job_keep(j, to, &(struct kv){ k->text, v->text }, reterr);
	}
	return r;
}

static void copy_text(char *to, size_t size, const struct doc_node *n, const char *key)
{
	str s = doc_get_str(n, key);

	snprintf(to, size, "%.*s", STR_ARG(s));
}

static int read_step(struct job *j, struct step *s, const struct doc_node *n, struct err *reterr)
{
	str summary = doc_get_str(n, "summary");
	int r;

	s->view.state = (enum job_state)doc_get_int(n, "state", JOB_QUEUED);
	s->conclusion = (enum job_state)doc_get_int(n, "conclusion", JOB_QUEUED);
	copy_text(s->view.name, sizeof(s->view.name), n, "name");
	copy_text(s->view.cause, sizeof(s->view.cause), n, "cause");
	s->view.exit_status = (int)doc_get_int(n, "exit", -1);
	s->view.started = doc_get_int(n, "started", 0);
	s->view.ended = doc_get_int(n, "ended", 0);
	s->view.continued = doc_get_bool(n, "continued", false);
	s->view.log_bytes = s->view.ended ? doc_get_int(n, "log", 0) : 0;
	s->summary = summary.len ? str_dup(summary) : NULL;
	r = read_kvs(j, doc_get(n, "outputs"), &s->outputs, reterr);
	return r ? r : read_kvs(j, doc_get(n, "states"), &s->states, reterr);
}

static int read_job(struct job *j, const struct doc_node *n, struct err *reterr)
{
	const struct doc_node *paths = doc_get(n, "paths"), *masks = doc_get(n, "masks"), *steps = doc_get(n, "steps");
	int                    r = read_kvs(j, doc_get(n, "env"), &j->env, reterr);

	j->slot = (unsigned)doc_get_int(n, "slot", 0);
	j->started = doc_get_int(n, "started", 0);
	j->failed = doc_get_bool(n, "failed", false);
	j->timed_out = doc_get_bool(n, "timed_out", false);
	j->stopped = doc_get_int(n, "stopped", 0);
	j->cancel = doc_get_bool(n, "cancel", false);
	copy_text(j->cancel_cause, sizeof(j->cancel_cause), n, "cancel_cause");
	j->result.state = (enum job_state)doc_get_int(n, "result", JOB_RUNNING);
	copy_text(j->result.cause, sizeof(j->result.cause), n, "cause");
	j->result.ended = doc_get_int(n, "ended", 0);
	j->result.retry = doc_get_bool(n, "retry", false);
	buf_add_str(&j->outputs, doc_get_str(n, "outputs"));
	buf_add_str(&j->environment_url, doc_get_str(n, "environment_url"));
	for (size_t i = 0; !r && i < doc_len(paths); i++)
		if (!VEC_PUSH(&j->paths, doc_at(paths, i)->text))
			r = err_set(reterr, WEIR_ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < doc_len(masks); i++) {
		r = VEC_PUSH(&j->added_masks, doc_at(masks, i)->text) ? 0 : err_set(reterr, WEIR_ENOMEM, "out of memory");
		if (!r)
			r = masks_add(&j->masks, doc_at(masks, i)->text, reterr);
	}
	if (!r && doc_len(steps) != j->n_steps)
		r = err_set(reterr, WEIR_EPARSE, "%s/state.json: not the state of this job", j->dir);
	for (size_t i = 0; !r && i < j->n_steps; i++)
		r = read_step(j, &j->steps[i], doc_at(steps, i), reterr);
	return r;
}

int job_state_read(struct job *j, bool *ret_found, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(STATE_MAX);
	struct doc_node       *n;
	char                   path[1100];
	int                    r = fs_join(path, sizeof(path), reterr, j->dir, "state.json");

	*ret_found = false;
	if (r)
		return r;
	if (!fs_exists(path))
		return 0;
	r = fs_read(path, &b, reterr);
	if (!r)
		r = doc_parse_json(&j->arena, path, buf_str(&b), &n, reterr);
	*ret_found = !r;
	return r ? r : read_job(j, n, reterr);
}
