/* run-store.c - runs, groups, jobs and steps as rows. Each function is one statement or a few inside the caller's transaction; what is read is
 * copied into the turn's arena. A run's plan is not stored: it is made again from the workflow's text and the run's input, which gives the
 * same plan each time. Any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/run-internal.h"

const struct db_migration pipeline_migrations[] = {
	{ "create pipeline tables",
	  "CREATE TABLE pl_run (id @text@ PRIMARY KEY, project @text@ NOT NULL, number @int@ NOT NULL, workflow @text@ NOT NULL,"
	  " file @text@ NOT NULL, workflow_text @text@ NOT NULL, input @text@ NOT NULL, digest @text@ NOT NULL, event @text@ NOT NULL,"
	  " ref @text@ NOT NULL, commit_id @text@ NOT NULL, actor @text@ NOT NULL, subject @text@ NOT NULL, state @int@ NOT NULL,"
	  " result @int@ NOT NULL, cause @text@ NOT NULL, concurrency @text@ NOT NULL, cancel @int@ NOT NULL, cancel_cause @text@ NOT NULL,"
	  " attempt @int@ NOT NULL, created_at @int@ NOT NULL, started_at @int@ NOT NULL, ended_at @int@ NOT NULL, version @int@ NOT NULL,"
	  " UNIQUE (project, number)) @strict@;"
	  "CREATE INDEX pl_run_open ON pl_run (state, project, concurrency);"
	  "CREATE INDEX pl_run_commit ON pl_run (project, commit_id);"
	  "CREATE TABLE pl_change (project @text@ NOT NULL, seq @int@ NOT NULL, PRIMARY KEY (project, seq)) @strict@;"
	  "CREATE TABLE pl_group (run @text@ NOT NULL, idx @int@ NOT NULL, state @int@ NOT NULL, result @int@ NOT NULL,"
	  " cause @text@ NOT NULL, outputs @text@ NOT NULL, PRIMARY KEY (run, idx)) @strict@;"
	  "CREATE TABLE pl_job (id @text@ PRIMARY KEY, run @text@ NOT NULL, grp @int@ NOT NULL, idx @int@ NOT NULL, key @text@ NOT NULL,"
	  " name @text@ NOT NULL, state @int@ NOT NULL, result @int@ NOT NULL, cause @text@ NOT NULL, attempt @int@ NOT NULL,"
	  " retry_cause @text@ NOT NULL, runner @text@ NOT NULL, lease @text@ NOT NULL, labels @text@ NOT NULL, timeout_ms @int@ NOT NULL,"
	  " continue_on_error @int@ NOT NULL, environment @text@ NOT NULL, environment_url @text@ NOT NULL, outputs @text@ NOT NULL,"
	  " cancel @int@ NOT NULL, cancel_cause @text@ NOT NULL, superseded @int@ NOT NULL, queued_at @int@ NOT NULL,"
	  " started_at @int@ NOT NULL, ended_at @int@ NOT NULL, deadline @int@ NOT NULL) @strict@;"
	  "CREATE INDEX pl_job_run ON pl_job (run, grp, idx);"
	  "CREATE INDEX pl_job_state ON pl_job (state, deadline);"
	  "CREATE INDEX pl_job_lease ON pl_job (lease);"
	  "CREATE TABLE pl_step (job @text@ NOT NULL, attempt @int@ NOT NULL, idx @int@ NOT NULL, name @text@ NOT NULL, state @int@ NOT NULL,"
	  " exit_code @int@, started_at @int@ NOT NULL, ended_at @int@ NOT NULL, cause @text@ NOT NULL, summary @text@ NOT NULL,"
	  " continued @int@ NOT NULL, PRIMARY KEY (job, attempt, idx)) @strict@" },
	{ "names of runs, concurrency of jobs, time to cancel",
	  "ALTER TABLE pl_run ADD COLUMN name @text@ NOT NULL DEFAULT '';"
	  "ALTER TABLE pl_run ADD COLUMN concurrency_flags @int@ NOT NULL DEFAULT 0;"
	  "ALTER TABLE pl_run ADD COLUMN wanted_at @int@ NOT NULL DEFAULT 0;"
	  "ALTER TABLE pl_job ADD COLUMN concurrency @text@ NOT NULL DEFAULT '';"
	  "ALTER TABLE pl_job ADD COLUMN concurrency_flags @int@ NOT NULL DEFAULT 0;"
	  "ALTER TABLE pl_job ADD COLUMN wanted_at @int@ NOT NULL DEFAULT 0;"
	  "ALTER TABLE pl_job ADD COLUMN cancel_ms @int@ NOT NULL DEFAULT 300000;"
	  "UPDATE pl_run SET wanted_at = created_at WHERE concurrency <> ''" },
};
const size_t pipeline_n_migrations = ARRAY_SIZE(pipeline_migrations);

static const char *const run_states[] = { "waiting", "queued", "running", "finished" };
static const char *const job_states[] = { "blocked", "queued", "running", "finished" };
static const char *const step_states[] = { "queued", "running", "success", "failure", "skipped", "cancelled" };

const char *run_state_name(enum run_state s)
{
	return run_states[s];
}
const char *run_job_state_name(enum job_state s)
{
	return job_states[s];
}
const char *step_state_name(enum step_state s)
{
	return step_states[s];
}
int step_state_find(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(step_states); i++)
		if (str_eqz(name, step_states[i]))
			return (int)i;
	return -1;
}

str text_clean(struct arena *a, str s, size_t max)
{
	struct buf b = BUF_INIT(max + 8);
	str        out;

	for (size_t i = 0; i < s.len && b.len < max;) {
		unsigned char c = (unsigned char)s.ptr[i];
		size_t        n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

		if (c == 0 || !str_utf8_valid(str_sub(s, i, n))) {
			buf_addz(&b, "?");
			i++;
			continue;
		}
		if (b.len + n > max)
			break;
		buf_add(&b, s.ptr + i, n);
		i += n;
	}
	out = arena_str(a, buf_str(&b));
	buf_fini(&b);
	return out;
}

/* --- turns --- */

struct turn_call {
	struct pipeline *p;
	str              actor;
	turn_fn          fn;
	void            *arg;
	bool             write;
};

static int turn_run(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct turn_call         *c = arg;
	CLEANUP_ARENA struct arena a = ARENA_INIT(LIMIT_PIPELINE_MEM);
	struct turn               t = { .p = c->p, .tx = tx, .a = &a, .now = clock_wall(c->p->clock), .actor = c->actor };
	int                       rc = c->fn(&t, c->arg, reterr);

	return rc || !c->write ? rc : concurrency_settle(&t, reterr);
}

int turn_write(struct pipeline *p, str actor, turn_fn fn, void *arg, struct err *reterr)
{
	struct turn_call c = { p, actor, fn, arg, true };

	return db_write(p->cfg.db, turn_run, &c, reterr);
}

int turn_write_in_turn(struct pipeline *p, str actor, turn_fn fn, void *arg, struct err *reterr)
{
	struct turn_call c = { p, actor, fn, arg };

	return db_write_in_turn(p->cfg.db, turn_run, &c, reterr);
}

int turn_read(struct pipeline *p, turn_fn fn, void *arg, struct err *reterr)
{
	struct turn_call c = { p, STR("weir"), fn, arg, false };

	return db_read(p->cfg.db, turn_run, &c, reterr);
}

/* --- reading --- */

#define JOB_COLUMNS                                                                                                            \
	"id, run, grp, idx, key, name, state, result, cause, attempt, retry_cause, runner, lease, labels, timeout_ms, continue_on_error," \
	" environment, environment_url, outputs, cancel, cancel_cause, superseded, queued_at, started_at, ended_at, deadline," \
	" concurrency, concurrency_flags, wanted_at, cancel_ms"

static str copy(struct turn *t, struct db_rows *rows, int col)
{
	str s = db_str(rows, col);

	return s.ptr ? arena_str(t->a, s) : STR("");
}

static void job_from_row(struct turn *t, struct db_rows *rows, struct job_row *j)
{
	*j = (struct job_row){
		.id = copy(t, rows, 0), .group = db_int(rows, 2), .index = db_int(rows, 3), .key = copy(t, rows, 4), .name = copy(t, rows, 5),
		.state = (enum job_state)db_int(rows, 6), .result = (enum plan_result)db_int(rows, 7), .cause = copy(t, rows, 8),
		.attempt = db_int(rows, 9), .retry_cause = copy(t, rows, 10), .runner = copy(t, rows, 11), .lease = copy(t, rows, 12),
		.labels = copy(t, rows, 13), .timeout_ms = db_int(rows, 14), .continue_on_error = db_int(rows, 15) != 0,
		.environment = copy(t, rows, 16), .environment_url = copy(t, rows, 17), .outputs = copy(t, rows, 18),
		.cancel = db_int(rows, 19) != 0, .cancel_cause = copy(t, rows, 20), .superseded = db_int(rows, 21) != 0,
		.queued = db_int(rows, 22), .started = db_int(rows, 23), .ended = db_int(rows, 24), .deadline = db_int(rows, 25),
		.concurrency = copy(t, rows, 26), .concurrency_flags = db_int(rows, 27), .wanted = db_int(rows, 28), .cancel_ms = db_int(rows, 29),
	};
}

int job_load(struct turn *t, str id, struct job_row *ret, str *ret_run, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc = db_query(t->tx, reterr, &rows, "SELECT " JOB_COLUMNS " FROM pl_job WHERE id = $1", "s", id);

	if (rc == 0)
		rc = db_next(rows, reterr);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(reterr, WEIR_ENOENT, "there is no job '%.*s'", STR_ARG(id));
	job_from_row(t, rows, ret);
	*ret_run = copy(t, rows, 1);
	return arena_check(t->a, "job", reterr);
}

static int load_jobs(struct turn *t, struct run *r, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	r->cap_jobs = 2 * LIMIT_WORKFLOW_JOBS; /* planned jobs, and one for each group that does not run */
	r->jobs = ARENA_ARRAY(t->a, r->cap_jobs, struct job_row);
	if (!r->jobs)
		return arena_check(t->a, "jobs", reterr);
	rc = db_query(t->tx, reterr, &rows, "SELECT " JOB_COLUMNS " FROM pl_job WHERE run = $1 AND superseded = 0 ORDER BY grp, idx", "s", r->id);
	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		if (r->n_jobs == r->cap_jobs)
			return err_set(reterr, WEIR_EINTERNAL, "run %.*s has more jobs than were planned", STR_ARG(r->id));
		job_from_row(t, rows, &r->jobs[r->n_jobs++]);
		rc = 0;
	}
	return rc;
}

static int load_groups(struct turn *t, struct run *r, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	int rc;

	r->groups = ARENA_ARRAY(t->a, r->plan->n_groups, struct group_row);
	r->known = ARENA_ARRAY(t->a, r->plan->n_groups, struct plan_state);
	if (!r->groups || !r->known)
		return arena_check(t->a, "jobs", reterr);
	rc = db_query(t->tx, reterr, &rows, "SELECT idx, state, result, cause, outputs FROM pl_group WHERE run = $1", "s", r->id);
	while (rc == 0 && (rc = db_next(rows, reterr)) == 1) {
		size_t           g = (size_t)db_int(rows, 0);
		struct doc_node *outputs = NULL;

		if (g >= r->plan->n_groups)
			return err_set(reterr, WEIR_EINTERNAL, "run %.*s has a group that its workflow has not", STR_ARG(r->id));
		r->groups[g] = (struct group_row){ (enum group_state)db_int(rows, 1), (enum plan_result)db_int(rows, 2), copy(t, rows, 3), NULL };
		rc = doc_parse_json(t->a, "outputs", copy(t, rows, 4), &outputs, reterr);
		if (rc)
			return rc;
		r->groups[g].outputs = expr_from_doc(t->a, outputs);
		r->known[g] = (struct plan_state){ r->groups[g].result, r->groups[g].outputs };
	}
	return rc;
}

/* Makes the plan of a stored run again. */
static int load_plan(struct turn *t, struct run *r, str text, str input, struct err *reterr)
{
	struct plan_input in;
	struct doc_node  *n = NULL;
	struct workflow  *wf = NULL;
	int               rc = doc_parse_json(t->a, "input", input, &n, reterr);

	if (rc == 0)
		rc = plan_input_read(t->a, n, &in, reterr);
	if (rc)
		return rc;
	in.run_attempt = r->attempt;
	in.server_url = str_z(t->p->cfg.server_url);
	rc = workflow_parse(t->a, arena_dup(t->a, r->file), text, &wf, reterr);
	if (rc == 0)
		rc = plan_make(t->a, wf, &in, &r->plan, reterr);
	if (rc && rc != -WEIR_ENOMEM && r->state == RUN_FINISHED)
		return 0; /* an old run whose dialect is not read any more can still be looked at */
	return rc ? err_wrap(reterr, "run %.*s cannot be planned again", STR_ARG(r->id)) : 0;
}

int run_load(struct turn *t, str id, struct run **ret, struct err *reterr)
{
	CLEANUP_ROWS struct db_rows *rows = NULL;
	struct run *r = ARENA_NEW(t->a, struct run);
	str         text, input;
	int         rc;

	*ret = NULL;
	if (!r)
		return arena_check(t->a, "run", reterr);
	rc = db_query(t->tx, reterr, &rows,
	              "SELECT id, project, workflow, file, cause, cancel_cause, ref, commit_id, concurrency, number, attempt, state, result, cancel,"
	              " workflow_text, input, concurrency_flags, wanted_at, name FROM pl_run WHERE id = $1", "s", id);
	if (rc == 0)
		rc = db_next(rows, reterr);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(reterr, WEIR_ENOENT, "there is no run '%.*s'", STR_ARG(id));
	*r = (struct run){
		.id = copy(t, rows, 0), .project = copy(t, rows, 1), .workflow = copy(t, rows, 2), .file = copy(t, rows, 3), .cause = copy(t, rows, 4),
		.cancel_cause = copy(t, rows, 5), .ref = copy(t, rows, 6), .commit = copy(t, rows, 7), .concurrency = copy(t, rows, 8),
		.number = db_int(rows, 9), .attempt = db_int(rows, 10), .state = (enum run_state)db_int(rows, 11),
		.result = (enum plan_result)db_int(rows, 12), .cancel = db_int(rows, 13) != 0, .concurrency_flags = db_int(rows, 16),
		.wanted = db_int(rows, 17), .name = copy(t, rows, 18),
	};
	text = copy(t, rows, 14);
	input = copy(t, rows, 15);
	rows = db_rows_close(rows);
	rc = arena_check(t->a, "run", reterr);
	if (rc == 0)
		rc = load_plan(t, r, text, input, reterr);
	if (rc == 0 && r->plan)
		rc = load_groups(t, r, reterr);
	if (rc == 0)
		rc = load_jobs(t, r, reterr);
	if (rc == 0)
		*ret = r;
	return rc;
}

int run_load_job(struct turn *t, str job, struct run **ret, struct job_row **ret_job, struct err *reterr)
{
	struct job_row row;
	str            run;
	int            rc = job_load(t, job, &row, &run, reterr);

	*ret_job = NULL;
	if (rc == 0)
		rc = run_load(t, run, ret, reterr);
	if (rc)
		return rc;
	for (size_t i = 0; i < (*ret)->n_jobs; i++)
		if (str_eq((*ret)->jobs[i].id, job))
			*ret_job = &(*ret)->jobs[i];
	if (!*ret_job)
		return err_set(reterr, WEIR_EGONE, "job '%.*s' was replaced by a later one", STR_ARG(job));
	return 0;
}

int run_next_number(struct turn *t, str project, int64_t *ret, struct err *reterr)
{
	int rc = db_get_int(t->tx, reterr, ret, NULL, "SELECT coalesce(max(number), 0) + 1 FROM pl_run WHERE project = $1", "s", project);

	return rc;
}

/* --- writing --- */

int run_insert(struct turn *t, const struct run *r, const struct plan_input *in, str text, const char *digest, struct err *reterr)
{
	CLEANUP_BUF struct buf input = BUF_INIT(LIMIT_DOC_BYTES);
	struct jw              w;

	jw_init(&w, &input);
	plan_input_write(in, &w);
	int rc = buf_check(&input, "run input", reterr);
	if (rc == 0)
		rc = db_exec(t->tx, reterr,
		             "INSERT INTO pl_run (id, project, number, workflow, file, workflow_text, input, digest, event, ref, commit_id, actor,"
		             " subject, state, result, cause, concurrency, cancel, cancel_cause, attempt, created_at, started_at, ended_at, version,"
		             " name, concurrency_flags, wanted_at)"
		             " VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,0,'',$18,$19,0,$20,1,$21,$22,$23)",
		             "ssisssszsssssiissiiisii", r->id, r->project, r->number, r->workflow, r->file, text, buf_str(&input), digest,
		             in->event, r->ref, r->commit, in->actor, in->subject.ptr ? in->subject : STR(""), (int64_t)r->state,
		             (int64_t)r->result, r->cause, r->concurrency, r->attempt, t->now, r->state == RUN_FINISHED ? t->now : (int64_t)0,
		             r->name, r->concurrency_flags, r->wanted);
	for (size_t g = 0; rc == 0 && r->plan && g < r->plan->n_groups; g++)
		rc = db_exec(t->tx, reterr, "INSERT INTO pl_group (run, idx, state, result, cause, outputs) VALUES ($1,$2,0,0,'','{}')", "si", r->id,
		             (int64_t)g);
	return rc ? rc : db_notify(t->tx, "pl_runs", reterr);
}

int run_save(struct turn *t, const struct run *r, struct err *reterr)
{
	int rc = db_exec(t->tx, reterr,
	                 "UPDATE pl_run SET state = $2, result = $3, cause = $4, cancel = $5, cancel_cause = $6, attempt = $7,"
	                 " started_at = CASE WHEN $2 >= 2 AND started_at = 0 THEN $8 ELSE started_at END,"
	                 " ended_at = CASE WHEN $2 = 3 THEN $8 ELSE 0 END, wanted_at = $9, version = version + 1 WHERE id = $1",
	                 "siisisiii", r->id, (int64_t)r->state, (int64_t)r->result, r->cause, (int64_t)r->cancel, r->cancel_cause, r->attempt, t->now,
	                 r->wanted);

	return rc ? rc : db_notify(t->tx, "pl_runs", reterr);
}

int run_touch(struct turn *t, str run, struct err *reterr)
{
	int rc = db_exec(t->tx, reterr, "UPDATE pl_run SET version = version + 1 WHERE id = $1", "s", run);

	return rc ? rc : db_notify(t->tx, "pl_runs", reterr);
}

int group_save(struct turn *t, const struct run *r, size_t g, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(LIMIT_DOC_BYTES);
	const struct group_row *row = &r->groups[g];

	if (row->outputs && row->outputs->kind == EXPR_OBJECT) {
		int rc = expr_to_json(row->outputs, &out, reterr);
		if (rc)
			return rc;
	} else {
		buf_addz(&out, "{}");
	}
	r->known[g] = (struct plan_state){ row->result, row->outputs };
	return db_exec(t->tx, reterr, "UPDATE pl_group SET state = $3, result = $4, cause = $5, outputs = $6 WHERE run = $1 AND idx = $2",
	               "siiiss", r->id, (int64_t)g, (int64_t)row->state, (int64_t)row->result, row->cause.ptr ? row->cause : STR(""),
	               buf_str(&out));
}

int job_insert(struct turn *t, struct run *r, const struct job_row *j, struct err *reterr)
{
	if (r->n_jobs == r->cap_jobs)
		return err_set(reterr, WEIR_ELIMIT, "run %.*s has more than %d jobs", STR_ARG(r->id), LIMIT_WORKFLOW_JOBS);
	r->jobs[r->n_jobs++] = *j;
	return db_exec(t->tx, reterr,
	               "INSERT INTO pl_job (" JOB_COLUMNS ") VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,0,'','','',$10,$11,$12,$13,'','{}',0,'',0,$14,0,$15,0,"
	               "$16,$17,$18,$19)",
	               "ssiissiissiisiisiii", j->id, r->id, j->group, j->index, j->key, j->name, (int64_t)j->state, (int64_t)j->result, j->cause,
	               j->labels, j->timeout_ms, (int64_t)j->continue_on_error, j->environment, j->queued, j->ended, j->concurrency,
	               j->concurrency_flags, j->wanted, j->cancel_ms);
}

int job_save(struct turn *t, const struct run *r, const struct job_row *j, struct err *reterr)
{
	int rc = db_exec(t->tx, reterr,
	                 "UPDATE pl_job SET state = $2, result = $3, cause = $4, attempt = $5, retry_cause = $6, runner = $7, lease = $8,"
	                 " environment_url = $9, outputs = $10, cancel = $11, cancel_cause = $12, superseded = $13, queued_at = $14,"
	                 " started_at = $15, ended_at = $16, deadline = $17, wanted_at = $18 WHERE id = $1",
	                 "siisisssssisiiiiii", j->id, (int64_t)j->state, (int64_t)j->result, j->cause, j->attempt, j->retry_cause, j->runner, j->lease,
	                 j->environment_url, j->outputs, (int64_t)j->cancel, j->cancel_cause, (int64_t)j->superseded, j->queued, j->started, j->ended,
	                 j->deadline, j->wanted);

	return rc ? rc : run_touch(t, r->id, reterr);
}

int steps_insert(struct turn *t, const struct job_row *j, size_t n, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = db_exec(t->tx, reterr,
		             "INSERT INTO pl_step (job, attempt, idx, name, state, started_at, ended_at, cause, summary, continued)"
		             " VALUES ($1,$2,$3,'',0,0,0,'','',0) ON CONFLICT (job, attempt, idx) DO NOTHING",
		             "sii", j->id, j->attempt, (int64_t)i);
	return rc;
}

int run_event(struct turn *t, str project, enum event_type type, struct buf *data, struct err *reterr)
{
	int rc = buf_check(data, "event", reterr);

	return rc ? rc : event_append(t->p->cfg.log, t->tx, project, type, t->actor, buf_str(data), NULL, reterr);
}
