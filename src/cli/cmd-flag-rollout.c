/* cmd-flag-rollout.c - `weir flag rollout ...` and `weir flag rollouts`: a flag's change by steps, judged by what its users meet. Through the server's API. */
#include "base/base.h"

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/cmd-flag.h"
#include "cli/commands.h"

/* --- showing --- */

static void print_rollout(struct cli *c, const struct doc_node *r)
{
	bool running = doc_get_bool(r, "running", false);

	cli_printf(c, "%s%.*s%s  %.*s  %.*s", cli_color(c, "bold"), STR_ARG(doc_get_str(r, "id")), cli_color(c, ""), STR_ARG(doc_get_str(r, "flag")),
	           STR_ARG(doc_get_str(r, "state")));
	if (running)
		cli_printf(c, " at %g%%%s%s", doc_get_num(r, "share", 0) * 100, doc_get_bool(r, "paused", false) ? ", paused" : "", doc_get_bool(r, "held", false) ? ", held" : "");
	cli_printf(c, ": %.*s\n  by %.*s since %.*s", STR_ARG(doc_get_str(r, "cause")), STR_ARG(doc_get_str(r, "by")), STR_ARG(doc_get_str(r, "started_at")));
	if (!running)
		cli_printf(c, ", ended %.*s", STR_ARG(doc_get_str(r, "ended_at")));
	cli_printf(c, "\n");
}

static void print_counts(struct cli *c, const struct doc_node *r)
{
	const struct doc_node *n = doc_get(r, "counts"), *v = doc_path(r, "evidence.verdict");

	cli_printf(c, "  %lld users seen to evaluate it; %lld of them counted with the new definition, %lld of these with an error\n", (long long)doc_get_int(n, "users", 0),
	           (long long)doc_get_int(n, "canary_users", 0), (long long)doc_get_int(n, "canary_failed", 0));
	if (doc_get_int(n, "unexposed", 0))
		cli_printf(c, "  %lld outcomes did not count: no evaluation of these users was seen\n", (long long)doc_get_int(n, "unexposed", 0));
	if (v)
		cli_printf(c, "  last verdict on record: %.*s (%.*s); recompute it: weir flag rollout show %.*s --json > FILE, weir judge replay FILE\n",
		           STR_ARG(doc_get_str(v, "call")), STR_ARG(doc_get_str(v, "says")), STR_ARG(doc_get_str(r, "id")));
}

static int run_rollouts(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	char                  *path;
	int                    rc = flag_set_path(c, cli_arg(c, 0), "/rollouts", &path, reterr);

	if (rc || (rc = cli_call(c, "GET", path, STR_NULL, &answer, reterr)))
		return rc;
	all = doc_get(answer, "rollouts");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	if (!doc_len(all))
		cli_notef(c, "no flag of this set was rolled out yet\n");
	for (size_t i = 0; i < doc_len(all); i++)
		print_rollout(c, doc_at(all, i));
	return 0;
}

/* --- orders --- */

static int order(struct cli *c, const char *word, const char *id, struct err *reterr)
{
	struct buf CLEANUP_BUF path = BUF_INIT(1024), body = BUF_INIT(256);
	bool                   show = !strcmp(word, "show");
	struct doc_node       *answer;
	int                    rc;

	buf_addz(&path, "/api/v1/flag-rollouts/");
	buf_add_url(&path, str_z(id));
	if (!show) {
		buf_addz(&path, "/orders");
		buf_addf(&body, "{\"order\":\"%s\"}", word);
	}
	if ((rc = buf_check(&path, "the rollout's id", reterr)) || (rc = cli_call(c, show ? "GET" : "POST", buf_z(&path), show ? STR_NULL : buf_str(&body), &answer, reterr)))
		return rc;
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), answer);
		return 0;
	}
	print_rollout(c, answer);
	if (show)
		print_counts(c, answer);
	return 0;
}

/* --- beginning --- */

static int base_of(struct cli *c, const char *id, int64_t *ret, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    rc;

	if (cli_option(c, "base"))
		return str_to_i64(str_z(cli_option(c, "base")), ret) && *ret >= 0
			       ? 0 : err_set(reterr, WEIR_EINVAL, "--base must be a revision, not '%s'", cli_option(c, "base"));
	if ((rc = cli_call(c, "GET", "/api/v1/flag-sets", STR_NULL, &answer, reterr)))
		return rc;
	all = doc_get(answer, "flag_sets");
	for (size_t i = 0; i < doc_len(all); i++)
		if (str_eqz(doc_get_str(doc_at(all, i), "id"), id)) {
			*ret = doc_get_int(doc_at(all, i), "revision", 0);
			return 0;
		}
	return err_set(reterr, WEIR_ENOENT, "there is no flag set '%s'", id);
}

/* A list with commas as one of texts. */
static void write_list(struct jw *w, const char *key, const char *text)
{
	str  rest = str_z(text), one;
	bool more = true;

	jw_key(w, key);
	jw_arr(w);
	while (more) {
		more = str_cut(rest, ',', &one, &rest);
		jw_str(w, str_trim(one));
	}
	jw_end(w);
}

static bool number_after(str text, const char *sign, str *ret_name, double *ret)
{
	size_t      at;
	char       *end;
	const char *z = strstr(text.ptr, sign);

	if (!z || (at = (size_t)(z - text.ptr)) >= text.len)
		return false;
	*ret_name = str_sub(text, 0, at);
	*ret = strtod(z + strlen(sign), &end);
	return end > z + strlen(sign) && (size_t)(end - text.ptr) == text.len;
}

/* NAME, NAME:failure, NAME<=NUMBER or NAME>=NUMBER */
static void write_outcome(struct cli *c, struct jw *w, str text)
{
	char  *z = arena_dup(cli_arena(c), text);
	str    name = text;
	double bound = 0;

	text = str_z(z ? z : "");
	if (!str_has_suffix(text, STR(":failure")) && !number_after(text, "<=", &name, &bound) && !number_after(text, ">=", &name, &bound)) {
		jw_str(w, text);
		return;
	}
	jw_obj(w);
	if (str_has_suffix(text, STR(":failure"))) {
		jw_kstr(w, "name", str_sub(text, 0, text.len - strlen(":failure")));
		jw_kbool(w, "failure", true);
	} else {
		jw_kstr(w, "name", name);
		jw_knum(w, number_after(text, "<=", &name, &bound) ? "max" : "min", bound);
	}
	jw_end(w);
}

static void write_outcomes(struct cli *c, struct jw *w)
{
	str  rest = str_z(cli_option(c, "outcome")), one;
	bool more = true;

	jw_key(w, "outcomes");
	jw_arr(w);
	while (more) {
		more = str_cut(rest, '\n', &one, &rest);
		if (one.len)
			write_outcome(c, w, one);
	}
	jw_end(w);
}

static bool is_option(struct cli *c, str key)
{
	static const char *const names[] = { "steps", "step-min", "bake", "budget", "tolerance", "salt", "comment", "enough" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_eqz(key, names[i]))
			return cli_option(c, names[i]) != NULL;
	return str_eqz(key, "outcomes") && cli_option(c, "outcome");
}

/* What the options say, over what the file of --plan says. */
static int write_plan(struct cli *c, struct jw *w, struct err *reterr)
{
	static const char *const texts[] = { "step-min", "bake", "budget", "salt", "comment" };
	struct doc_node         *plan = NULL;
	int                      rc = cli_option(c, "plan") ? flag_read_json(c, cli_option(c, "plan"), &plan, reterr) : 0;
	int64_t                  enough;
	double                   tolerance;
	char                    *end;

	if (rc)
		return rc;
	for (size_t i = 0; i < doc_len(plan); i++)
		if (!is_option(c, plan->map.pairs[i].key)) {
			jw_key_n(w, plan->map.pairs[i].key);
			jw_node(w, plan->map.pairs[i].value);
		}
	if (cli_option(c, "steps"))
		write_list(w, "steps", cli_option(c, "steps"));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (cli_option(c, texts[i]))
			jw_kstrz(w, texts[i], cli_option(c, texts[i]));
	if (cli_option(c, "outcome"))
		write_outcomes(c, w);
	if (cli_option(c, "enough")) {
		if (!str_to_i64(str_z(cli_option(c, "enough")), &enough))
			return err_set(reterr, WEIR_EINVAL, "--enough must be a number of users, not '%s'", cli_option(c, "enough"));
		jw_kint(w, "enough", enough);
	}
	if (cli_option(c, "tolerance")) {
		tolerance = strtod(cli_option(c, "tolerance"), &end);
		if (*end || end == cli_option(c, "tolerance"))
			return err_set(reterr, WEIR_EINVAL, "--tolerance must be a number, not '%s'", cli_option(c, "tolerance"));
		jw_knum(w, "tolerance", tolerance);
	}
	return 0;
}

static int begin(struct cli *c, struct err *reterr)
{
	struct buf CLEANUP_BUF body = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct doc_node       *definition, *answer;
	struct jw              w;
	int64_t                base = 0;
	char                  *path;
	int                    rc;

	if (!cli_option(c, "definition"))
		return err_set(reterr, WEIR_EINVAL, "--definition FILE is missing: what the flag shall become");
	if ((rc = flag_set_path(c, cli_arg(c, 0), "/rollouts", &path, reterr)) || (rc = flag_read_json(c, cli_option(c, "definition"), &definition, reterr))
	    || (rc = base_of(c, cli_arg(c, 0), &base, reterr)))
		return rc;
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "flag", cli_arg(c, 1));
	jw_kint(&w, "base", base);
	jw_key(&w, "definition");
	jw_node(&w, definition);
	if ((rc = write_plan(c, &w, reterr)))
		return rc;
	jw_end(&w);
	if ((rc = buf_check(&body, "the rollout", reterr)) || (rc = cli_call(c, "POST", path, buf_str(&body), &answer, reterr)))
		return rc;
	if (cli_wants_json(c))
		jw_node(cli_json(c), answer);
	else
		cli_printf(c, "%.*s goes to %g%% of its users; follow it with: weir flag rollout show %.*s\n", STR_ARG(str_z(cli_arg(c, 1))),
		           doc_get_num(answer, "share", 0) * 100, STR_ARG(doc_get_str(answer, "id")));
	return 0;
}

static int run_rollout(struct cli *c, struct err *reterr)
{
	static const char *const words[] = { "show", "promote", "pause", "resume", "abort" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcmp(cli_arg(c, 0), words[i]))
			return order(c, words[i], cli_arg(c, 1), reterr);
	return begin(c, reterr);
}

static const struct cli_opt rollout_opts[] = {
	{ "definition", "FILE", "what the flag shall become, as JSON; - is standard input", false },
	{ "steps", "LIST", "shares of the users, the last one 100%: 1%,10%,50%,100%", false },
	{ "outcome", "NAME", "an event that says how it went: NAME, NAME:failure, NAME<=NUMBER or NAME>=NUMBER", true },
	{ "step-min", "TIME", "no step is shorter", false },
	{ "bake", "TIME", "how long all users have it before it is final; 10m when not said", false },
	{ "enough", "USERS", "go on after so many users with it without a sign of harm; without this, when harm is excluded", false },
	{ "budget", "SHARE", "users with an error beyond which it is taken back; 1% when not said", false },
	{ "tolerance", "RATIO", "how much more errors count as harm; 1 (twice as many) when not said", false },
	{ "salt", "TEXT", "draws the users; the same one brings the same users again", false },
	{ "plan", "FILE", "all of this and every other parameter of the judge as JSON, as in service.yaml's rollout", false },
	{ "comment", "TEXT", "why; it stands in the history", false },
	{ "base", "REVISION", "the revision you saw. Without it: the newest", false },
	{ NULL, NULL, NULL, false },
};
const struct cli_command cmd_flag_rollout = { .name = "flag rollout", .args = "SET KEY --definition FILE --outcome NAME | VERB ID",
	.summary = "Changes a flag by steps, judged by what its users meet", .opts = rollout_opts,
	.help = "The change goes to a share of the users first. What they meet comes from the application (POST /api/v1/flags/track). Worse than before: it is taken "
	        "back at once, the definition is exactly the former one again. Good: the next step.\n\n"
	        "With a rollout's ID: show says how it goes, promote gives it to all now, pause holds it, resume goes on, abort takes it back.",
	.args_min = 2, .args_max = 2, .run = run_rollout };
const struct cli_command cmd_flag_rollouts = { .name = "flag rollouts", .args = "SET", .summary = "Lists the rollouts of a set's flags", .args_min = 1, .args_max = 1, .run = run_rollouts };
