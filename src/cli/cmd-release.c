/* cmd-release.c - `weir releases`, `release show`, `services`, `rollback`, `abort|pause|resume|promote`, `judge replay` and the hidden `guard-service`.
 * All but the last two only call the API. One thread. */
#include "base/base.h"
#include "base/fs.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/release-text.h"
#include "judge/judge.h"
#include "release/release.h"

#include <math.h>
#include <unistd.h>

static const struct cli_opt env_opt[] = { { "env", "ENVIRONMENT", "environment of the service (default: the only one it is in)" }, { NULL, NULL, NULL } };
static const struct cli_opt project_opt[] = { { "project", "PROJECT", "only this project" }, { NULL, NULL, NULL } };

/* --- lists --- */

/* Width of a column: of its longest text in the list. */
static int width_of(const struct doc_node *all, const char *key)
{
	size_t width = 1;

	for (size_t i = 0; i < doc_len(all); i++)
		if (doc_get_str(doc_at(all, i), key).len > width)
			width = doc_get_str(doc_at(all, i), key).len;
	return (int)width;
}

/* "name  " with spaces up to the width. */
static void print_cell(struct cli *c, const struct doc_node *n, const char *key, int width)
{
	cli_printf(c, "%-*.*s  ", width, STR_ARG(doc_get_str(n, key)));
}

static int run_services(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    r = cli_call(c, "GET", "/api/v1/services", STR_NULL, &answer, reterr);

	if (r)
		return r;
	all = doc_get(answer, "services");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *s = doc_at(all, i);

		cli_printf(c, "%s%-*.*s%s  ", cli_color(c, "bold"), width_of(all, "service"), STR_ARG(doc_get_str(s, "service")), cli_color(c, ""));
		print_cell(c, s, "environment", width_of(all, "environment"));
		print_cell(c, s, "version", 12);
		print_cell(c, s, "state", width_of(all, "state"));
		cli_printf(c, "%3.0f%%  %.*s\n", doc_get_num(s, "share", 0) * 100, STR_ARG(doc_get_str(s, "url")));
		if (doc_get_str(s, "problem").len)
			cli_printf(c, "  %sproblem:%s %.*s\n", cli_color(c, "red"), cli_color(c, ""), STR_ARG(doc_get_str(s, "problem")));
	}
	if (!doc_len(all))
		cli_notef(c, "no service yet: the first release makes one\n");
	return 0;
}

static int releases_of(struct cli *c, str project, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    r;

	buf_addz(&path, "/api/v1/projects/");
	buf_add_url(&path, project);
	buf_addz(&path, "/releases");
	if ((r = buf_check(&path, "the project's name", reterr)) || (r = cli_call(c, "GET", buf_z(&path), STR_NULL, &answer, reterr)))
		return r;
	all = doc_get(answer, "releases");
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *n = doc_at(all, i);

		if (cli_wants_json(c)) {
			jw_node(cli_json(c), n);
			continue;
		}
		print_cell(c, n, "id", 26);
		print_cell(c, n, "service", width_of(all, "service"));
		print_cell(c, n, "environment", width_of(all, "environment"));
		cli_printf(c, "%.12s  %.*s\n", doc_get_str(n, "digest").ptr ? doc_get_str(n, "digest").ptr : "", STR_ARG(doc_get_str(n, "state")));
		if (doc_get_str(n, "cause").len) {
			cli_printf(c, "    %s", cli_color(c, "dim"));
			cli_print_text(c, 4, 4, arena_printf(cli_arena(c), "%.*s%s", STR_ARG(doc_get_str(n, "cause")), cli_color(c, "")));
		}
	}
	return 0;
}

static int run_releases(struct cli *c, struct err *reterr)
{
	const char            *only = cli_option(c, "project");
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    r = 0;

	if (cli_wants_json(c))
		jw_arr(cli_json(c));
	if (only) {
		r = releases_of(c, str_z(only), reterr);
	} else if (!(r = cli_call(c, "GET", "/api/v1/projects", STR_NULL, &answer, reterr))) {
		all = doc_get(answer, "projects");
		for (size_t i = 0; i < doc_len(all) && !r; i++)
			r = releases_of(c, doc_get_str(doc_at(all, i), "name"), reterr);
	}
	if (cli_wants_json(c))
		jw_end(cli_json(c));
	return r;
}

static int get_release(struct cli *c, const char *id, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	int                    r;

	buf_addz(&path, "/api/v1/releases/");
	buf_add_url(&path, str_z(id));
	return (r = buf_check(&path, "the release", reterr)) ? r : cli_call(c, "GET", buf_z(&path), STR_NULL, ret, reterr);
}

static int run_show(struct cli *c, struct err *reterr)
{
	struct doc_node *n;
	int              r = get_release(c, cli_arg(c, 0), &n, reterr);

	if (r)
		return r;
	if (cli_wants_json(c))
		jw_node(cli_json(c), n);
	else
		release_text_show(c, n);
	return 0;
}

/* --- steering --- */

/* The service that is meant: its node of /services. */
static int find_service(struct cli *c, const char *name, const char *env, const struct doc_node **ret, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    r = cli_call(c, "GET", "/api/v1/services", STR_NULL, &answer, reterr);

	if (r)
		return r;
	all = doc_get(answer, "services");
	*ret = NULL;
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *s = doc_at(all, i);

		if (!str_eqz(doc_get_str(s, "service"), name) || (env && !str_eqz(doc_get_str(s, "environment"), env)))
			continue;
		if (*ret)
			return err_set(reterr, WEIR_EINVAL, "'%s' is in several environments or projects: say --env, or the release's id", name);
		*ret = s;
	}
	return *ret ? 0 : err_set(reterr, WEIR_ENOENT, "no service '%s'%s%s (`weir services` lists them)", name, env ? " in " : "", env ? env : "");
}

/* The release after it was steered, as `release show` tells it: the answer to an action holds only its state. */
static int tell_release(struct cli *c, const struct doc_node *answer, struct err *reterr)
{
	char             id[64];
	struct doc_node *n;
	int              r;

	snprintf(id, sizeof(id), "%.*s", STR_ARG(str_sub(doc_get_str(answer, "id"), 0, 40)));
	r = get_release(c, id, &n, reterr);
	if (r)
		return r;
	if (cli_wants_json(c))
		jw_node(cli_json(c), n);
	else
		release_text_show(c, n);
	return 0;
}

static int run_rollback(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024), body = BUF_INIT(1024);
	const struct doc_node *s;
	struct doc_node       *answer;
	struct jw              w;
	int                    r = find_service(c, cli_arg(c, 0), cli_option(c, "env"), &s, reterr);

	if (r)
		return r;
	buf_addz(&path, "/api/v1/projects/");
	buf_add_url(&path, doc_get_str(s, "project"));
	buf_addz(&path, "/rollback");
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstr(&w, "environment", doc_get_str(s, "environment"));
	jw_kstr(&w, "service", doc_get_str(s, "service"));
	jw_end(&w);
	if ((r = buf_check(&path, "the project's name", reterr)))
		return r;
	r = cli_call(c, "POST", buf_z(&path), buf_str(&body), &answer, reterr);
	return r ? r : tell_release(c, answer, reterr);
}

/* An id has 26 characters in capitals and digits; everything else is a service's name. */
static bool looks_like_id(const char *s)
{
	return strlen(s) == 26 && strspn(s, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == 26;
}

static int steer(struct cli *c, const char *action, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(1024);
	const struct doc_node *s;
	struct doc_node       *answer;
	str                    id = str_z(cli_arg(c, 0));
	int                    r;

	if (!looks_like_id(cli_arg(c, 0))) {
		if ((r = find_service(c, cli_arg(c, 0), cli_option(c, "env"), &s, reterr)))
			return r;
		id = doc_get_str(s, "active");
		if (!id.len)
			return err_set(reterr, WEIR_ECONFLICT, "no release of %s is under way", cli_arg(c, 0));
	}
	buf_addz(&path, "/api/v1/releases/");
	buf_add_url(&path, id);
	buf_addf(&path, "/%s", action);
	if ((r = buf_check(&path, "the release", reterr)))
		return r;
	r = cli_call(c, "POST", buf_z(&path), STR("{}"), &answer, reterr);
	return r ? r : tell_release(c, answer, reterr);
}

static int run_abort(struct cli *c, struct err *reterr) { return steer(c, "abort", reterr); }
static int run_pause(struct cli *c, struct err *reterr) { return steer(c, "pause", reterr); }
static int run_resume(struct cli *c, struct err *reterr) { return steer(c, "resume", reterr); }
static int run_promote(struct cli *c, struct err *reterr) { return steer(c, "promote", reterr); }

/* --- judge replay --- */

/* The evidence inside whatever was given: evidence itself, an event, a release. */
static const struct doc_node *evidence_in(const struct doc_node *n)
{
	static const char *const places[] = { "evidence", "data.evidence" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (doc_path(n, places[i]))
			return doc_path(n, places[i]);
	return n;
}

static int read_source(struct cli *c, const char *source, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_DOC_BYTES);
	int                    r;

	if (looks_like_id(source) && !fs_exists(source))
		return get_release(c, source, ret, reterr);
	r = fs_read(source, &text, reterr);
	return r ? r : doc_parse_json(cli_arena(c), source, buf_str(&text), ret, reterr);
}

static bool same(double a, double b)
{
	return a == b || fabs(a - b) <= 1e-9 * fmax(1, fabs(a));
}

static int run_replay(struct cli *c, struct err *reterr)
{
	struct judge_segment seg[JUDGE_SEGMENTS_MAX];
	struct judge_params  p;
	struct judge_input   in;
	struct judge_verdict said, now;
	struct doc_node     *n;
	bool                 equal;
	int                  r = read_source(c, cli_arg(c, 0), &n, reterr);

	if (r || (r = judge_read_evidence(evidence_in(n), &p, seg, &in, &said, reterr)) || (r = judge_step(&p, &in, &now, reterr)))
		return r;
	equal = said.call == now.call && same(said.log_e_worse, now.log_e_worse) && same(said.log_e_absolute, now.log_e_absolute);
	if (cli_wants_json(c)) {
		judge_write_evidence(cli_json(c), &p, &in, &now);
		return equal ? 0 : 1;
	}
	cli_printf(c, "recomputed: %s - %s\n", judge_call_name(now.call), judge_why_text(now.why));
	cli_printf(c, "  worse: ln E = %.4f, fires at %.4f\n  good:  relative %.4f, absolute %.4f, promotes at %.4f\n", now.log_e_worse, now.threshold_worse,
	           now.log_e_relative, now.log_e_absolute, now.threshold_good);
	cli_printf(c, equal ? "the same as was recorded\n" : "NOT what was recorded: %s\n", judge_call_name(said.call));
	return equal ? 0 : 1;
}

static int run_guard(struct cli *c, struct err *reterr UNUSED)
{
	_exit(release_guard_main(cli_arg(c, 0))); /* at once: nothing of this process is worth tidying, and its supervisor waits */
}

const struct cli_command cmd_services = { .name = "services", .args = "", .summary = "Lists services with environment, version, share and address", .run = run_services };
const struct cli_command cmd_releases = { .name = "releases", .args = "[--project PROJECT]", .summary = "Lists releases, newest first", .opts = project_opt, .run = run_releases };
const struct cli_command cmd_release_show = {
	.name = "release show", .args = "RELEASE", .summary = "Tells one release with its evidence", .args_min = 1, .args_max = 1, .run = run_show
};
const struct cli_command cmd_rollback = {
	.name = "rollback", .args = "SERVICE [--env ENVIRONMENT]", .summary = "Goes back to the version before",
	.help = "Ends a canary or a bake at once. When nothing is under way, the version before is started, and gets the traffic as soon as it is healthy.",
	.opts = env_opt, .args_min = 1, .args_max = 1, .run = run_rollback
};
const struct cli_command cmd_abort = {
	.name = "abort", .args = "RELEASE|SERVICE [--env ENVIRONMENT]", .summary = "Ends a release that is under way; the version before stays", .opts = env_opt,
	.args_min = 1, .args_max = 1, .run = run_abort
};
const struct cli_command cmd_pause = {
	.name = "pause", .args = "RELEASE|SERVICE [--env ENVIRONMENT]", .summary = "Keeps a release at its share; harm still rolls it back", .opts = env_opt,
	.args_min = 1, .args_max = 1, .run = run_pause
};
const struct cli_command cmd_resume = {
	.name = "resume", .args = "RELEASE|SERVICE [--env ENVIRONMENT]", .summary = "Lets a paused or held release go on", .opts = env_opt,
	.args_min = 1, .args_max = 1, .run = run_resume
};
const struct cli_command cmd_promote = {
	.name = "promote", .args = "RELEASE|SERVICE [--env ENVIRONMENT]", .summary = "Gives the new version all traffic now", .opts = env_opt,
	.args_min = 1, .args_max = 1, .run = run_promote
};
const struct cli_command cmd_judge_replay = {
	.name = "judge replay", .args = "FILE|RELEASE", .summary = "Recomputes a verdict from its evidence",
	.help = "FILE holds evidence, an event with evidence, or a release as JSON. Exit code 0 when the recorded verdict comes out again, 1 when not.",
	.args_min = 1, .args_max = 1, .run = run_replay
};
const struct cli_command cmd_guard_service = {
	.name = "guard-service", .args = "SERVICE_DIR", .summary = "Runs one instance in its sandbox", .args_min = 1, .args_max = 1, .hidden = true, .run = run_guard
};
