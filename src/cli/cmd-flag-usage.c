/* cmd-flag-usage.c - `weir flag usage|references|stale`: how flags live: how often they are asked for, where code names them, which may go. */
#include "base/base.h"

#include "cli/cli.h"
#include "cli/commands.h"

/* GET of /api/v1/projects/PROJECT/flag-sets/NAME/WHAT with the key (argument 1, when given) and --days. */
static int ask(struct cli *c, const char *what, const char *after, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(8192);
	str                    project, name;
	int64_t                days;
	int                    rc;

	if (!str_cut(str_z(cli_arg(c, 0)), '/', &project, &name) || !project.len || !name.len || str_contains(name, STR("/")))
		return err_set(reterr, WEIR_EINVAL, "'%s' is no flag set: PROJECT/NAME, for example shop/production", cli_arg(c, 0));
	buf_addz(&path, "/api/v1/projects/");
	buf_add_url(&path, project);
	buf_addz(&path, "/flag-sets/");
	buf_add_url(&path, name);
	buf_addf(&path, "/%s?", what);
	if (cli_arg(c, 1)) {
		buf_addz(&path, "key=");
		buf_add_url(&path, str_z(cli_arg(c, 1)));
		buf_addc(&path, '&');
	}
	if (*after) {
		buf_addz(&path, "after=");
		buf_add_url(&path, str_z(after));
		buf_addc(&path, '&');
	}
	if (strcmp(what, "references") && cli_option(c, "days")) {
		if (!str_to_i64(str_z(cli_option(c, "days")), &days))
			return err_set(reterr, WEIR_EINVAL, "--days must be a number, not '%s'", cli_option(c, "days"));
		buf_addf(&path, "days=%lld&", (long long)days);
	}
	path.len -= path.len > 0;
	if ((rc = buf_check(&path, "the name of the set", reterr)))
		return rc;
	path.ptr[path.len] = '\0';
	return cli_call(c, "GET", buf_z(&path), STR_NULL, ret, reterr);
}

/* The key of the last entry, to go on behind it; empty: that was all. */
static const char *next_page(struct cli *c, const struct doc_node *answer)
{
	const struct doc_node *flags = doc_get(answer, "flags");
	const char            *key = doc_get_bool(answer, "more", false) && doc_len(flags) ? arena_dup(cli_arena(c), doc_get_str(doc_at(flags, doc_len(flags) - 1), "key")) : NULL;

	return key ? key : "";
}

static str day(str time) { return time.ptr ? str_sub(time, 0, 10) : STR("never"); }

/* --- usage --- */

static void print_usage(struct cli *c, const struct doc_node *f)
{
	const struct doc_node *v = doc_get(f, "variants");
	int64_t                all = doc_get_int(f, "asked", 0) + doc_get_int(f, "bulk", 0);

	cli_printf(c, "%s%-36.*s%s asked %-9lld (last %.*s)  with all %-9lld (last %.*s)\n", cli_color(c, "bold"), STR_ARG(doc_get_str(f, "key")), cli_color(c, ""),
	           (long long)doc_get_int(f, "asked", 0), STR_ARG(day(doc_get_str(f, "last_asked"))), (long long)doc_get_int(f, "bulk", 0),
	           STR_ARG(day(doc_get_str(f, "last_bulk"))));
	for (size_t i = 0; i < doc_len(v); i++) {
		const struct doc_node *one = doc_at(v, i);
		str                    name = doc_get_str(one, "variant");
		int64_t                n = doc_get_int(one, "asked", 0) + doc_get_int(one, "bulk", 0);

		cli_printf(c, "    %5.1f%%  %.*s\n", all ? 100.0 * (double)n / (double)all : 0.0, STR_ARG(name.len ? name : STR("(the caller's default)")));
	}
}

static int run_usage(struct cli *c, struct err *reterr)
{
	struct doc_node *answer;
	const char      *after = "";
	int              rc;

	if (cli_wants_json(c))
		jw_arr(cli_json(c));
	do {
		if ((rc = ask(c, "usage", after, &answer, reterr)))
			return rc;
		if (!cli_wants_json(c) && !*after)
			cli_printf(c, "uses of the last %lld days; counted since %.*s\n", (long long)doc_get_int(answer, "days", 0), STR_ARG(day(doc_get_str(answer, "counting_since"))));
		for (size_t i = 0; i < doc_len(doc_get(answer, "flags")); i++)
			if (cli_wants_json(c))
				jw_node(cli_json(c), doc_at(doc_get(answer, "flags"), i));
			else
				print_usage(c, doc_at(doc_get(answer, "flags"), i));
		after = next_page(c, answer);
	} while (*after);
	if (cli_wants_json(c))
		jw_end(cli_json(c));
	return 0;
}

/* --- references --- */

static int run_references(struct cli *c, struct err *reterr)
{
	const struct doc_node *refs, *code;
	struct doc_node       *answer;
	int                    rc = ask(c, "references", "", &answer, reterr);

	if (rc)
		return rc;
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), answer);
		return 0;
	}
	refs = doc_get(answer, "references");
	code = doc_get(answer, "code");
	for (size_t i = 0; i < doc_len(refs); i++) {
		const struct doc_node *r = doc_at(refs, i);

		cli_printf(c, "%s%-32.*s%s %.*s:%lld%s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(r, "key")), cli_color(c, ""), STR_ARG(doc_get_str(r, "path")),
		           (long long)doc_get_int(r, "line", 0), doc_get_bool(r, "getter", false) ? "" : "  (a text, in no known call)");
	}
	cli_notef(c, "%zu references%s in %lld files of commit %.12s%s\n", doc_len(refs), doc_get_bool(answer, "more", false) ? " and more" : "",
	          (long long)doc_get_int(code, "files", 0), doc_get_str(code, "commit").ptr ? doc_get_str(code, "commit").ptr : "(none)",
	          doc_get_int(code, "skipped", 0) ? "; some files are too large and were not searched whole" : "");
	return 0;
}

/* --- stale --- */

static void print_stale(struct cli *c, const struct doc_node *f)
{
	const struct doc_node *kinds = doc_get(f, "stale"), *refs = doc_get(f, "references");
	int64_t                n = doc_get_int(f, "n_references", 0);

	cli_printf(c, "%s%.*s%s%s%.*s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(f, "key")), cli_color(c, ""), doc_get_str(f, "owner").len ? "  owner " : "",
	           STR_ARG(doc_get_str(f, "owner")));
	for (size_t i = 0; i < doc_len(kinds); i++)
		cli_printf(c, "  %.*s: %.*s\n", STR_ARG(doc_get_str(doc_at(kinds, i), "kind")), STR_ARG(doc_get_str(doc_at(kinds, i), "why")));
	if (!doc_len(kinds))
		cli_printf(c, "  not stale\n");
	if (doc_get_str(f, "cannot_say").len)
		cli_printf(c, "  cannot say %.*s\n", STR_ARG(doc_get_str(f, "cannot_say")));
	if (doc_get_str(f, "todo").len)
		cli_printf(c, "  to do: %.*s\n", STR_ARG(doc_get_str(f, "todo")));
	for (size_t i = 0; i < doc_len(refs); i++)
		cli_printf(c, "    %.*s:%lld\n", STR_ARG(doc_get_str(doc_at(refs, i), "path")), (long long)doc_get_int(doc_at(refs, i), "line", 0));
	if (n > (int64_t)doc_len(refs))
		cli_printf(c, "    and %lld more: weir flag references %s %.*s\n", (long long)n - (int64_t)doc_len(refs), cli_arg(c, 0), STR_ARG(doc_get_str(f, "key")));
}

static int run_stale(struct cli *c, struct err *reterr)
{
	struct doc_node *answer;
	const char      *after = "";
	size_t           stale = 0;
	int64_t          unknown = 0;
	int              rc;

	if (cli_wants_json(c))
		jw_arr(cli_json(c));
	do {
		if ((rc = ask(c, "stale", after, &answer, reterr)))
			return rc;
		for (size_t i = 0; i < doc_len(doc_get(answer, "flags")); i++) {
			const struct doc_node *f = doc_at(doc_get(answer, "flags"), i);

			stale += doc_len(doc_get(f, "stale")) > 0;
			if (cli_wants_json(c))
				jw_node(cli_json(c), f);
			else
				print_stale(c, f);
		}
		unknown += doc_get_int(answer, "cannot_say", 0);
		after = next_page(c, answer);
	} while (*after);
	if (cli_wants_json(c))
		jw_end(cli_json(c));
	if (unknown)
		cli_notef(c, "of %lld flags it cannot be said whether they are asked for; weir flag stale %s KEY says why\n", (long long)unknown, cli_arg(c, 0));
	if (!stale)
		cli_notef(c, "no stale flags\n");
	return stale ? 1 : 0;
}

/* --- commands --- */

static const struct cli_opt days_opts[] = {
	{ "days", "N", "look at the last N days; 30 when not said, at most 90", false },
	{ NULL, NULL, NULL, false },
};

const struct cli_command cmd_flag_usage = { .name = "flag usage", .args = "SET [KEY]", .summary = "Says how often flags are asked for and what they gave", .opts = days_opts,
	.help = "\"asked\" counts single evaluations and what clients report, \"with all\" answers that held the whole set, of which a client may read any flag. A client that is "
	        "told that nothing changed counts nothing.", .args_min = 1, .args_max = 2, .run = run_usage };
const struct cli_command cmd_flag_references = { .name = "flag references", .args = "SET [KEY]", .summary = "Lists where the project's code names its flags",
	.help = "Whole texts in code of the default branch that equal the key of a flag; comments do not count.", .args_min = 1, .args_max = 2, .run = run_references };
const struct cli_command cmd_flag_stale = { .name = "flag stale", .args = "SET [KEY]", .summary = "Lists flags that may go, with the reason and what to do", .opts = days_opts,
	.help = "Never evaluated, rolled out to everybody, or past its last day. Exit code 1 when there is one, for use in pipelines.", .args_min = 1, .args_max = 2, .run = run_stale };
