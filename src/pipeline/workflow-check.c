/* workflow-check.c - the gate's check of workflow files: what the reader would refuse is a finding with its place.
 *
 * For a push it looks at the workflow files that differ between the old and the new commit (all of them for a new ref): files that were bad
 * before are not the pusher's problem. Reads only; any thread. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "pipeline/pipeline.h"
#include "pipeline/plan.h"

struct file_check {
	const struct change       *c;
	const struct finding_sink *sink;
};

static int add_finding(const struct file_check *x, str path, const struct doc_diag *d, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(LIMIT_DOC_BYTES);
	char                   print[SHA256_HEX];

	buf_addf(&b, "workflow-syntax%c%.*s%c%s", 0, STR_ARG(path), 0, d->msg);
	struct finding f = { .check = STR("files"), .rule = STR("workflow-syntax"), .severity = SEVERITY_ERROR, .path = path, .line = d->line,
		                 .col = d->col, .end_line = d->line, .end_col = d->col, .message = str_z(d->msg),
		                 .advice = STR("Correct the workflow file; docs/reference/workflows.md lists what is obeyed."),
		                 .commit = STR(""), .fingerprint = str_z(sha256_hex(buf_str(&b), print)) };
	return x->sink->add(x->sink->ctx, &f, reterr);
}

static int check_text(const struct file_check *x, str path, str text, struct err *reterr)
{
	CLEANUP_ARENA struct arena a = ARENA_INIT(LIMIT_PIPELINE_MEM);
	struct workflow           *wf = NULL;
	struct doc_check           c;
	const char                *file = arena_dup(&a, path);
	int                        rc;

	if (!file)
		return arena_check(&a, "workflow", reterr);
	doc_check_init(&c, &a, file);
	rc = workflow_read(&a, text, &c, &wf, reterr);
	for (size_t i = 0; rc == 0 && i < c.n_diags; i++)
		rc = add_finding(x, path, &c.diags[i], reterr);
	return rc;
}

static int check_delta(void *ctx, const struct git_delta *d, struct err *reterr)
{
	struct file_check *x = ctx;
	struct buf         b = BUF_INIT(LIMIT_WORKFLOW_BYTES + 1);
	int                rc;

	if (d->status == 'D' || !workflow_is_path(d->path))
		return 0;
	if ((d->mode & 0170000) != 0100000) /* it would never run, and nobody would be told */
		return add_finding(x, d->path, &(struct doc_diag){ 1, 1, (char[]){ "a workflow must be a regular file, not a link" } }, reterr);
	rc = git_read_blob(x->c->repo, d->blob, &b, reterr);
	if (rc == -WEIR_ELIMIT) {
		struct doc_diag big = { 1, 1, NULL };
		char            msg[80];

		(void)snprintf(msg, sizeof(msg), "the workflow is larger than %d bytes", LIMIT_WORKFLOW_BYTES);
		big.msg = msg;
		rc = add_finding(x, d->path, &big, reterr);
	} else if (rc == 0) {
		rc = check_text(x, d->path, buf_str(&b), reterr);
	}
	buf_fini(&b);
	return rc;
}

static int run_check(void *ctx, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct file_check x = { c, sink };
	int               rc = 0;

	(void)ctx;
	if (c->files) {
		for (size_t i = 0; rc == 0 && i < c->n_files; i++)
			if (workflow_is_path(c->files[i].path))
				rc = check_text(&x, c->files[i].path, c->files[i].content, reterr);
		return rc;
	}
	if (strcmp(c->new_id, git_zero_id) == 0)
		return 0;
	return git_diff_each(c->repo, c->old_id, c->new_id, check_delta, &x, reterr);
}

const struct check_ops pipeline_file_check = { "files", run_check, NULL };
