/* cmd-flag-draft.c - `weir flag draft|schedule|diff|blast|samples`: changes of flags that are proposed first, what they differ in and whom they hit.
 * All through the server's API (flag-draft.h). */
#include "base/base.h"

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/cmd-flag.h"
#include "cli/commands.h"

/* --- requests --- */

struct body {
	struct jw  w;
	struct buf text;
};

static void body_begin(struct body *b)
{
	buf_init(&b->text, 4 * LIMIT_DOC_BYTES);
	jw_init(&b->w, &b->text);
	jw_obj(&b->w);
}

static int body_send(struct cli *c, struct body *b, const char *method, const char *set, const char *tail, struct doc_node **ret, struct err *reterr)
{
	int rc;

	jw_end(&b->w);
	rc = buf_check(&b->text, "the request", reterr);
	if (!rc)
		rc = flag_call_set(c, method, set, tail, buf_str(&b->text), ret, reterr);
	buf_fini(&b->text);
	return rc;
}

static void write_or_empty(struct jw *w, const char *key, const struct doc_node *n)
{
	jw_key(w, key);
	if (n) {
		jw_node(w, n);
	} else {
		jw_obj(w);
		jw_end(w);
	}
}

/* A flagd document as a change: its flags, and what they share when it says so. A flag that is null is removed. */
static int write_document(struct jw *w, const struct doc_node *doc, const char *file, struct err *reterr)
{
	const struct doc_node *flags = doc_get(doc, "flags"), *evaluators = doc_get(doc, "$evaluators"), *metadata = doc_get(doc, "metadata"),
						  *segments = doc_path(doc, "weir.segments");

	if (flags && flags->kind != DOC_MAP)
		flags = NULL;
	if (!flags && !evaluators && !metadata && !segments && !doc_get(doc, "environment"))
		return err_set(reterr, WEIR_EINVAL, "%s: no map \"flags\": a flagd document is expected", file);
	if (flags) {
		jw_key(w, "flags");
		jw_node(w, flags);
	}
	if (evaluators || metadata) {
		write_or_empty(w, "evaluators", evaluators);
		write_or_empty(w, "metadata", metadata);
	}
	if (segments)
		write_or_empty(w, "segments", segments);
	if (doc_get(doc, "environment")) {
		jw_key(w, "environment");
		jw_node(w, doc_get(doc, "environment"));
	}
	return 0;
}

static int number_of(const char *text, const char *what, int64_t *ret, struct err *reterr)
{
	if (!str_to_i64(str_z(text), ret) || *ret < 0)
		return err_set(reterr, WEIR_EINVAL, "%s must be a number, not '%s'", what, text);
	return 0;
}

/* "/drafts/N" + tail. */
static int draft_tail(struct cli *c, const char *id, const char *tail, const char **ret, struct err *reterr)
{
	int64_t n;
	int     rc = number_of(id, "the id of a draft", &n, reterr);

	if (rc)
		return rc;
	*ret = arena_printf(cli_arena(c), "/drafts/%lld%s", (long long)n, tail);
	return arena_check(cli_arena(c), "the path", reterr);
}

static int get_draft(struct cli *c, const char *set, const char *id, struct doc_node **ret, struct err *reterr)
{
	const char *tail;
	int         rc = draft_tail(c, id, "", &tail, reterr);

	return rc ? rc : flag_call_set(c, "GET", set, tail, STR_NULL, ret, reterr);
}

/* --- printing --- */

static const char *color_of(str state)
{
	if (str_eqz(state, "applied"))
		return "green";
	return str_eqz(state, "open") || str_eqz(state, "scheduled") ? "yellow" : "red";
}

static void print_line(struct cli *c, const struct doc_node *d)
{
	str state = doc_get_str(d, "state"), at = doc_get_str(d, "apply_at");

	cli_printf(c, "%s%-5lld%s %s%-9.*s%s %.*s  by %.*s", cli_color(c, "bold"), (long long)doc_get_int(d, "id", 0), cli_color(c, ""), cli_color(c, color_of(state)),
	           STR_ARG(state), cli_color(c, ""), STR_ARG(doc_get_str(d, "title")), STR_ARG(doc_get_str(d, "by")));
	if (at.len)
		cli_printf(c, "  at %.*s", STR_ARG(at));
	if (doc_len(doc_get(d, "conflicts")))
		cli_printf(c, "  %sin conflict%s", cli_color(c, "red"), cli_color(c, ""));
	cli_printf(c, "\n");
}

static void print_approvals(struct cli *c, const struct doc_node *d)
{
	const struct doc_node *all = doc_get(d, "approvals");

	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *a = doc_at(all, i);
		str                    comment = doc_get_str(a, "comment");

		cli_printf(c, "  approved  version %lld by %.*s from %.*s at %.*s%s%s%.*s\n", (long long)doc_get_int(a, "version", 0), STR_ARG(doc_get_str(a, "by")),
		           STR_ARG(doc_get_str(a, "address")), STR_ARG(doc_get_str(a, "at")), doc_get_bool(a, "void", false) ? " (void: the draft was edited)" : "",
		           comment.len ? ": " : "", STR_ARG(comment));
	}
}

static void print_text(struct cli *c, const char *label, str text)
{
	if (text.len)
		cli_printf(c, "  %-9s %.*s\n", label, STR_ARG(text));
}

static void print_draft(struct cli *c, const struct doc_node *d)
{
	const struct doc_node *conflicts = doc_get(d, "conflicts");
	int64_t                needed = doc_get_int(d, "approvals_needed", 0);

	print_line(c, d);
	cli_printf(c, "  version   %lld, upon revision %lld\n", (long long)doc_get_int(d, "version", 0), (long long)doc_get_int(d, "base", 0));
	print_text(c, "comment", doc_get_str(d, "comment"));
	print_text(c, "at", doc_get_str(d, "apply_at"));
	for (size_t i = 0; i < doc_len(conflicts); i++)
		cli_printf(c, "  %sconflict%s  %.*s was changed by revision %lld: edit the draft upon a newer base\n", cli_color(c, "red"), cli_color(c, ""),
		           STR_ARG(doc_get_str(doc_at(conflicts, i), "what")), (long long)doc_get_int(doc_at(conflicts, i), "revision", 0));
	print_approvals(c, d);
	if (needed && !doc_get_bool(d, "approved", false))
		cli_printf(c, "  needs     %lld approval%s of this version\n", (long long)needed, needed == 1 ? "" : "s");
	print_text(c, "cause", doc_get_str(d, "cause"));
	print_text(c, "ended by", doc_get_str(d, "ended_by"));
	if (doc_get(d, "revision"))
		cli_printf(c, "  applied   as revision %lld\n", (long long)doc_get_int(d, "revision", 0));
	if (doc_get(d, "late_s"))
		cli_printf(c, "  late      by %lld s\n", (long long)doc_get_int(d, "late_s", 0));
}

static int show_draft(struct cli *c, const struct doc_node *d)
{
	if (cli_wants_json(c))
		jw_node(cli_json(c), d);
	else
		print_draft(c, d);
	return 0;
}

/* A value as people see it, cut where it is long. */
static void print_json(struct cli *c, const struct doc_node *n)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4 * LIMIT_DOC_BYTES);
	struct jw              w;
	enum { SHOWN = 300 };

	jw_init(&w, &text);
	jw_node(&w, n);
	cli_printf(c, "%.*s%s", STR_ARG(str_sub(buf_str(&text), 0, SHOWN)), text.len > SHOWN ? "..." : "");
}

static void print_sign(struct cli *c, const char *sign, const char *color, const struct doc_node *value)
{
	if (!value)
		return;
	cli_printf(c, "    %s%s ", cli_color(c, color), sign);
	print_json(c, value);
	cli_printf(c, "%s\n", cli_color(c, ""));
}

static void print_lines(struct cli *c, const struct doc_node *lines)
{
	for (size_t i = 0; i < doc_len(lines); i++) {
		const struct doc_node *l = doc_at(lines, i);

		cli_printf(c, "  %.*s\n", STR_ARG(doc_get_str(l, "path").len ? doc_get_str(l, "path") : STR("(all of it)")));
		print_sign(c, "-", "red", doc_get(l, "before"));
		print_sign(c, "+", "green", doc_get(l, "after"));
	}
}

static int show_diff(struct cli *c, const struct doc_node *d)
{
	static const char *const parts[] = { "evaluators", "metadata", "segments" };
	const struct doc_node   *flags = doc_get(d, "flags"), *environment = doc_get(d, "environment");
	bool                     any = doc_len(flags) || environment;

	if (cli_wants_json(c)) {
		jw_node(cli_json(c), d);
		return 0;
	}
	for (size_t i = 0; i < doc_len(flags); i++) {
		cli_printf(c, "%s%.*s%s %.*s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(doc_at(flags, i), "key")), cli_color(c, ""),
		           STR_ARG(doc_get_str(doc_at(flags, i), "kind")));
		print_lines(c, doc_get(doc_at(flags, i), "changes"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (doc_len(doc_get(d, parts[i]))) {
			any = true;
			cli_printf(c, "%s%s%s of the set\n", cli_color(c, "bold"), parts[i], cli_color(c, ""));
			print_lines(c, doc_get(d, parts[i]));
		}
	if (environment)
		cli_printf(c, "%senvironment%s of the set: '%.*s' becomes '%.*s'\n", cli_color(c, "bold"), cli_color(c, ""), STR_ARG(doc_get_str(environment, "before")),
		           STR_ARG(doc_get_str(environment, "after")));
	if (!any)
		cli_notef(c, "no difference\n");
	return 0;
}

static void print_outcome(struct cli *c, const struct doc_node *o)
{
	str variant = doc_get_str(o, "variant"), error = doc_get_str(o, "errorCode");

	if (variant.len) {
		cli_printf(c, "%.*s=", STR_ARG(variant));
		print_json(c, doc_get(o, "value"));
	} else {
		cli_printf(c, "%.*s", STR_ARG(error.len ? error : STR("(the caller's default)")));
	}
}

static void print_blast_flag(struct cli *c, const struct doc_node *f, int64_t contexts)
{
	const struct doc_node *moves = doc_get(f, "moves"), *examples = doc_get(f, "examples");
	int64_t                flips = doc_get_int(f, "flips", 0);

	cli_printf(c, "%s%.*s%s%s: %lld of %lld contexts get something else\n", cli_color(c, "bold"), STR_ARG(doc_get_str(f, "key")), cli_color(c, ""),
	           doc_get_bool(f, "touched", true) ? "" : " (depends on a changed flag)", (long long)flips, (long long)contexts);
	for (size_t i = 0; i < doc_len(moves); i++) {
		cli_printf(c, "  %6lld  ", (long long)doc_get_int(doc_at(moves, i), "contexts", 0));
		print_outcome(c, doc_get(doc_at(moves, i), "from"));
		cli_printf(c, " -> ");
		print_outcome(c, doc_get(doc_at(moves, i), "to"));
		cli_printf(c, "\n");
	}
	for (size_t i = 0; i < doc_len(examples); i++) {
		cli_printf(c, "  %sfor example%s ", cli_color(c, "dim"), cli_color(c, ""));
		print_json(c, doc_get(doc_at(examples, i), "context"));
		cli_printf(c, "\n");
	}
}

static int show_blast(struct cli *c, const struct doc_node *b)
{
	const struct doc_node *flags = doc_get(b, "flags");
	int64_t                contexts = doc_get_int(b, "contexts", 0);
	str                    since = doc_get_str(b, "since");

	if (cli_wants_json(c)) {
		jw_node(cli_json(c), b);
		return 0;
	}
	cli_printf(c, "%lld contexts: %lld sampled%s%.*s, %lld given\n", (long long)contexts, (long long)doc_get_int(b, "samples", 0), since.len ? " since " : "",
	           STR_ARG(since), (long long)doc_get_int(b, "given", 0));
	for (size_t i = 0; i < doc_len(flags); i++)
		print_blast_flag(c, doc_at(flags, i), contexts);
	if (doc_get(b, "flags_left_out"))
		cli_printf(c, "%lld more flags were not looked at\n", (long long)doc_get_int(b, "flags_left_out", 0));
	if (!contexts)
		cli_notef(c, "no contexts: give some with --contexts FILE, or keep samples with: weir flag samples SET --limit 1000\n");
	return 0;
}

/* --- drafts --- */

static int write_base(struct cli *c, struct body *b, const char *set, struct err *reterr)
{
	int64_t base = 0;
	int     rc = cli_option(c, "base") ? number_of(cli_option(c, "base"), "--base", &base, reterr) : flag_present_revision(c, set, &base, reterr);

	jw_kint(&b->w, "base", base);
	return rc;
}

static void write_option(struct cli *c, struct body *b, const char *option, const char *key)
{
	if (cli_option(c, option))
		jw_kstrz(&b->w, key, cli_option(c, option));
}

static int draft_open(struct cli *c, const char *set, struct err *reterr)
{
	struct doc_node *doc, *answer;
	struct body      b;
	int              rc;

	if (cli_n_args(c) != 3)
		return err_set(reterr, WEIR_EINVAL, "weir flag draft open SET FILE --title TITLE");
	if (!cli_option(c, "title"))
		return err_set(reterr, WEIR_EINVAL, "--title says what the draft is for");
	if ((rc = flag_read_json(c, cli_arg(c, 2), &doc, reterr)))
		return rc;
	body_begin(&b);
	rc = write_base(c, &b, set, reterr);
	write_option(c, &b, "title", "title");
	write_option(c, &b, "comment", "comment");
	write_option(c, &b, "at", "apply_at");
	if (!rc)
		rc = write_document(&b.w, doc, cli_arg(c, 2), reterr);
	if (rc) {
		buf_fini(&b.text);
		return rc;
	}
	rc = body_send(c, &b, "POST", set, "/drafts", &answer, reterr);
	return rc ? rc : show_draft(c, answer);
}

/* What is not given stays as it was; without FILE the same change upon the newest (or given) base. */
static int draft_edit(struct cli *c, const char *set, struct err *reterr)
{
	static const char *const kept[] = { "flags", "evaluators", "metadata", "segments", "environment" };
	const char              *tail;
	struct doc_node         *was, *doc = NULL, *answer;
	struct body              b;
	int64_t                  version;
	int                      rc = draft_tail(c, cli_arg(c, 2), "", &tail, reterr);

	if (!rc)
		rc = get_draft(c, set, cli_arg(c, 2), &was, reterr);
	if (!rc && cli_n_args(c) > 3)
		rc = flag_read_json(c, cli_arg(c, 3), &doc, reterr);
	if (rc)
		return rc;
	version = doc_get_int(was, "version", 0);
	if (cli_option(c, "version") && (rc = number_of(cli_option(c, "version"), "--version", &version, reterr)))
		return rc;
	body_begin(&b);
	jw_kint(&b.w, "version", version);
	rc = write_base(c, &b, set, reterr);
	jw_kstr(&b.w, "title", cli_option(c, "title") ? str_z(cli_option(c, "title")) : doc_get_str(was, "title"));
	jw_kstr(&b.w, "comment", cli_option(c, "comment") ? str_z(cli_option(c, "comment")) : doc_get_str(was, "comment"));
	if (cli_option(c, "at") || doc_get_str(was, "apply_at").len)
		jw_kstr(&b.w, "apply_at", cli_option(c, "at") ? str_z(cli_option(c, "at")) : doc_get_str(was, "apply_at"));
	for (size_t i = 0; !doc && i < ARRAY_SIZE(kept); i++)
		if (doc_get(was, kept[i])) {
			jw_key(&b.w, kept[i]);
			jw_node(&b.w, doc_get(was, kept[i]));
		}
	if (!rc && doc)
		rc = write_document(&b.w, doc, cli_arg(c, 3), reterr);
	if (rc) {
		buf_fini(&b.text);
		return rc;
	}
	rc = body_send(c, &b, "PUT", set, tail, &answer, reterr);
	return rc ? rc : show_draft(c, answer);
}

static int draft_list(struct cli *c, const char *set, struct err *reterr)
{
	CLEANUP_BUF struct buf tail = BUF_INIT(256);
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    rc;

	buf_addz(&tail, "/drafts?limit=100");
	if (cli_option(c, "state")) {
		buf_addz(&tail, "&state=");
		buf_add_url(&tail, str_z(cli_option(c, "state")));
	}
	if ((rc = buf_check(&tail, "the state", reterr)) || (rc = flag_call_set(c, "GET", set, buf_z(&tail), STR_NULL, &answer, reterr)))
		return rc;
	all = doc_get(answer, "drafts");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	if (!doc_len(all))
		cli_notef(c, "no drafts; open one with: weir flag draft open %s FILE --title TITLE\n", set);
	for (size_t i = 0; i < doc_len(all); i++)
		print_line(c, doc_at(all, i));
	return 0;
}

static int draft_show(struct cli *c, const char *set, struct err *reterr)
{
	const char      *tail;
	struct doc_node *d, *diff;
	int              rc = get_draft(c, set, cli_arg(c, 2), &d, reterr);

	if (!rc)
		rc = draft_tail(c, cli_arg(c, 2), "/diff", &tail, reterr);
	if (rc || cli_wants_json(c))
		return rc ? rc : show_draft(c, d);
	if ((rc = flag_call_set(c, "GET", set, tail, STR_NULL, &diff, reterr)))
		return rc;
	print_draft(c, d);
	cli_printf(c, "\n");
	return show_diff(c, diff);
}

/* The version that the caller saw: --version; else the present one, which an approval must not guess. */
static int draft_act(struct cli *c, const char *set, const char *verb, struct err *reterr)
{
	bool             approve = !strcmp(verb, "approve"), withdraw = !strcmp(verb, "withdraw");
	const char      *tail;
	struct doc_node *d, *answer;
	struct body      b;
	int64_t          version = 0;
	int              rc = draft_tail(c, cli_arg(c, 2), arena_printf(cli_arena(c), "/%s", verb), &tail, reterr);

	if (!rc && cli_option(c, "version"))
		rc = number_of(cli_option(c, "version"), "--version", &version, reterr);
	else if (!rc && approve)
		rc = err_set(reterr, WEIR_EINVAL, "--version says which version you looked at; see it with: weir flag draft show %s %s", set, cli_arg(c, 2));
	else if (!rc && !withdraw && !(rc = get_draft(c, set, cli_arg(c, 2), &d, reterr)))
		version = doc_get_int(d, "version", 0);
	if (rc)
		return rc;
	body_begin(&b);
	if (!withdraw)
		jw_kint(&b.w, "version", version);
	if (approve)
		write_option(c, &b, "comment", "comment");
	else if (strcmp(verb, "apply"))
		write_option(c, &b, "reason", "reason");
	rc = body_send(c, &b, "POST", set, tail, &answer, reterr);
	return rc ? rc : show_draft(c, answer);
}

static int run_draft(struct cli *c, struct err *reterr)
{
	static const char *const verbs[] = { "open", "list", "show", "edit", "approve", "reject", "withdraw", "apply", NULL };
	const char              *verb = cli_arg(c, 0), *set = cli_arg(c, 1), *near = doc_nearest(str_z(verb), verbs);
	bool                     known = false;

	for (size_t i = 0; verbs[i]; i++)
		known = known || !strcmp(verb, verbs[i]);
	if (!known)
		return err_set(reterr, WEIR_EINVAL, "a draft is open, list, show, edit, approve, reject, withdraw or apply, not '%s'%s%s%s", verb, near ? " (did you mean '" : "",
		               near ? near : "", near ? "'?)" : "");
	if (!strcmp(verb, "open"))
		return draft_open(c, set, reterr);
	if (!strcmp(verb, "list"))
		return draft_list(c, set, reterr);
	if (cli_n_args(c) < 3)
		return err_set(reterr, WEIR_EINVAL, "weir flag draft %s SET ID", verb);
	if (!strcmp(verb, "show"))
		return draft_show(c, set, reterr);
	return strcmp(verb, "edit") ? draft_act(c, set, verb, reterr) : draft_edit(c, set, reterr);
}

/* --- schedules --- */

/* The definition that `flag on` or `flag off` would make, or that of a file. */
static int write_wanted(struct cli *c, struct jw *w, const struct doc_node *f, const char *state, struct err *reterr)
{
	struct doc_node *n;
	int              rc;

	if (!state) {
		rc = flag_read_json(c, cli_arg(c, 2), &n, reterr);
		if (!rc)
			jw_node(w, n);
		return rc;
	}
	if (!f)
		return err_set(reterr, WEIR_ENOENT, "the set %s has no flag '%s'", cli_arg(c, 0), cli_arg(c, 1));
	jw_obj(w);
	for (size_t i = 0; i < doc_len(f); i++) {
		jw_key_n(w, f->map.pairs[i].key);
		if (str_eqz(f->map.pairs[i].key, "state"))
			jw_strz(w, state);
		else
			jw_node(w, f->map.pairs[i].value);
	}
	jw_end(w);
	return 0;
}

static int list_scheduled(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    rc = flag_call_set(c, "GET", cli_arg(c, 0), "/drafts?limit=100&state=scheduled", STR_NULL, &answer, reterr);

	if (rc)
		return rc;
	all = doc_get(answer, "drafts");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	if (!doc_len(all))
		cli_notef(c, "nothing is scheduled\n");
	for (size_t i = 0; i < doc_len(all); i++)
		print_line(c, doc_at(all, i));
	return 0;
}

static int run_schedule(struct cli *c, struct err *reterr)
{
	const char            *what = cli_arg(c, 2), *state;
	const struct doc_node *f = NULL;
	struct doc_node       *answer;
	struct body            b;
	int                    rc;

	if (cli_n_args(c) == 1)
		return list_scheduled(c, reterr);
	if (cli_n_args(c) != 3 || !cli_option(c, "at"))
		return err_set(reterr, WEIR_EINVAL, "weir flag schedule SET KEY on|off|FILE --at TIME");
	state = !strcmp(what, "on") ? "ENABLED" : !strcmp(what, "off") ? "DISABLED" : NULL;
	if (state && (rc = flag_definition(c, cli_arg(c, 0), cli_arg(c, 1), &f, reterr)))
		return rc;
	body_begin(&b);
	rc = write_base(c, &b, cli_arg(c, 0), reterr);
	if (cli_option(c, "title"))
		write_option(c, &b, "title", "title");
	else
		jw_kstrz(&b.w, "title", arena_printf(cli_arena(c), "%.150s %s", cli_arg(c, 1), state ? what : "changes"));
	write_option(c, &b, "comment", "comment");
	write_option(c, &b, "at", "apply_at");
	jw_key(&b.w, "flags");
	jw_obj(&b.w);
	jw_key(&b.w, cli_arg(c, 1));
	if (!rc)
		rc = write_wanted(c, &b.w, f, state, reterr);
	if (rc) {
		buf_fini(&b.text);
		return rc;
	}
	jw_end(&b.w);
	rc = body_send(c, &b, "POST", cli_arg(c, 0), "/drafts", &answer, reterr);
	return rc ? rc : show_draft(c, answer);
}

/* --- differences and blast radius --- */

static int diff_of_revisions(struct cli *c, const char *range, struct doc_node **ret, struct err *reterr)
{
	const char *dots = strstr(range, "..");
	char       *tail;
	int64_t     from, to = -1;
	int         rc = 0;

	if (!dots)
		return err_set(reterr, WEIR_EINVAL, "--revision must be A..B or A.., not '%s'", range);
	rc = number_of(arena_printf(cli_arena(c), "%.*s", (int)(dots - range), range), "the first revision", &from, reterr);
	if (!rc && dots[2])
		rc = number_of(dots + 2, "the second revision", &to, reterr);
	if (rc)
		return rc;
	tail = to < 0 ? arena_printf(cli_arena(c), "/diff?from=%lld", (long long)from)
	              : arena_printf(cli_arena(c), "/diff?from=%lld&to=%lld", (long long)from, (long long)to);
	return flag_call_set(c, "GET", cli_arg(c, 0), tail, STR_NULL, ret, reterr);
}

static int run_diff(struct cli *c, struct err *reterr)
{
	const char      *draft = cli_option(c, "draft"), *range = cli_option(c, "revision"), *tail;
	struct doc_node *doc, *answer;
	struct body      b;
	int              rc;

	if ((draft != NULL) + (range != NULL) + (cli_n_args(c) > 1) != 1)
		return err_set(reterr, WEIR_EINVAL, "name one thing to compare: FILE, --draft ID or --revision A..B");
	if (range) {
		rc = diff_of_revisions(c, range, &answer, reterr);
	} else if (draft) {
		rc = draft_tail(c, draft, cli_switch(c, "now") ? "/diff?against=now" : "/diff", &tail, reterr);
		if (!rc)
			rc = flag_call_set(c, "GET", cli_arg(c, 0), tail, STR_NULL, &answer, reterr);
	} else {
		if ((rc = flag_read_json(c, cli_arg(c, 1), &doc, reterr)))
			return rc;
		body_begin(&b);
		if ((rc = write_document(&b.w, doc, cli_arg(c, 1), reterr)))
			buf_fini(&b.text);
		else
			rc = body_send(c, &b, "POST", cli_arg(c, 0), "/diff", &answer, reterr);
	}
	return rc ? rc : show_diff(c, answer);
}

static int run_blast(struct cli *c, struct err *reterr)
{
	const char      *draft = cli_option(c, "draft"), *tail;
	struct doc_node *doc = NULL, *contexts = NULL, *answer;
	struct body      b;
	int              rc = 0;

	if ((draft != NULL) + (cli_n_args(c) > 1) != 1)
		return err_set(reterr, WEIR_EINVAL, "name one change to look at: FILE or --draft ID");
	if (cli_option(c, "contexts"))
		rc = flag_read_json(c, cli_option(c, "contexts"), &contexts, reterr);
	if (!rc && !draft)
		rc = flag_read_json(c, cli_arg(c, 1), &doc, reterr);
	if (!rc && draft)
		rc = draft_tail(c, draft, "/blast-radius", &tail, reterr);
	if (rc)
		return rc;
	if (draft && !contexts) {
		rc = flag_call_set(c, "GET", cli_arg(c, 0), tail, STR_NULL, &answer, reterr);
		return rc ? rc : show_blast(c, answer);
	}
	body_begin(&b);
	if (doc && (rc = write_document(&b.w, doc, cli_arg(c, 1), reterr))) {
		buf_fini(&b.text);
		return rc;
	}
	if (contexts) {
		jw_key(&b.w, "contexts");
		jw_node(&b.w, contexts);
	}
	rc = body_send(c, &b, "POST", cli_arg(c, 0), draft ? tail : "/blast-radius", &answer, reterr);
	return rc ? rc : show_blast(c, answer);
}

/* --- samples --- */

static int change_samples(struct cli *c, struct doc_node **ret, struct err *reterr)
{
	const char *deny = cli_option(c, "deny");
	int64_t     keep, days = 0;
	struct body b;
	str         name, rest = str_z(deny);
	int         rc = number_of(cli_option(c, "limit"), "--limit", &keep, reterr);

	if (!rc && cli_option(c, "days"))
		rc = number_of(cli_option(c, "days"), "--days", &days, reterr);
	if (rc)
		return rc;
	body_begin(&b);
	jw_kint(&b.w, "keep", keep);
	if (cli_option(c, "days"))
		jw_kint(&b.w, "days", days);
	if (deny) {
		jw_key(&b.w, "deny");
		jw_arr(&b.w);
		for (bool more = true; more;) {
			more = str_cut(rest, '\n', &name, &rest);
			if (name.len)
				jw_str(&b.w, name);
		}
		jw_end(&b.w);
	}
	return body_send(c, &b, "PUT", cli_arg(c, 0), "/samples", ret, reterr);
}

static int run_samples(struct cli *c, struct err *reterr)
{
	const struct doc_node *deny;
	struct doc_node       *answer;
	int                    rc;

	if (!cli_option(c, "limit") && (cli_option(c, "days") || cli_option(c, "deny")))
		return err_set(reterr, WEIR_EINVAL, "--limit says how many contexts to keep; 0 keeps none");
	rc = cli_option(c, "limit") ? change_samples(c, &answer, reterr) : flag_call_set(c, "GET", cli_arg(c, 0), "/samples", STR_NULL, &answer, reterr);
	if (rc)
		return rc;
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), answer);
		return 0;
	}
	if (!doc_get_int(answer, "keep", 0)) {
		cli_printf(c, "no contexts are kept of %s\n", cli_arg(c, 0));
		return 0;
	}
	deny = doc_get(answer, "deny");
	cli_printf(c, "%lld of at most %lld contexts are kept of %s, for %lld days; never", (long long)doc_get_int(answer, "contexts", 0),
	           (long long)doc_get_int(answer, "keep", 0), cli_arg(c, 0), (long long)doc_get_int(answer, "days", 0));
	for (size_t i = 0; i < doc_len(deny); i++)
		cli_printf(c, "%s %.*s", i ? "," : "", STR_ARG(doc_at(deny, i)->s));
	cli_printf(c, "%s\n", doc_len(deny) ? "" : " leaving out any attribute");
	return 0;
}

/* --- commands --- */

static const struct cli_opt draft_opts[] = {
	{ "title", "TITLE", "what the draft is for", false },
	{ "comment", "TEXT", "why; it stands in the history and in the event", false },
	{ "at", "TIME", "apply it at this time, once it is approved, for example 2027-01-31T09:00:00Z", false },
	{ "base", "REVISION", "the revision you saw. Without it: the newest", false },
	{ "version", "N", "the version of the draft that you saw; an approval must name it", false },
	{ "reason", "TEXT", "why a draft is rejected or withdrawn", false },
	{ "state", "STATE", "list only drafts that are open, scheduled, applied, rejected, withdrawn or failed", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt schedule_opts[] = {
	{ "at", "TIME", "when, for example 2027-01-31T09:00:00Z", false },
	{ "title", "TITLE", "what the draft is for", false },
	{ "comment", "TEXT", "why; it stands in the history and in the event", false },
	{ "base", "REVISION", "the revision you saw. Without it: the newest", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt diff_opts[] = {
	{ "draft", "ID", "what this draft changes", false },
	{ "now", NULL, "compare the draft with the set as it is now instead of with its base", false },
	{ "revision", "A..B", "what changed from revision A to B; A.. is up to now, 0 is the empty set", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt blast_opts[] = {
	{ "draft", "ID", "of this draft; that you looked counts for your approval", false },
	{ "contexts", "FILE", "a JSON list of contexts to look at beside the samples; - is standard input", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt samples_opts[] = {
	{ "limit", "N", "keep at most N contexts; 0 keeps none and drops what is there", false },
	{ "days", "N", "drop them after so many days", false },
	{ "deny", "NAME", "never keep this attribute, at any depth", true },
	{ NULL, NULL, NULL, false },
};

const struct cli_command cmd_flag_draft = { .name = "flag draft", .args = "VERB SET [ID] [FILE]", .summary = "Proposes changes of flags, approves and applies them",
	.opts = draft_opts, .args_min = 2, .args_max = 4, .run = run_draft,
	.help = "open SET FILE --title TITLE: proposes what a flagd document has (a flag that is null is removed). list SET; show SET ID, with what it changes; edit SET ID [FILE]: "
	        "another version, upon the newest base, which makes approvals void; approve SET ID --version N; reject SET ID --reason TEXT; withdraw SET ID; apply SET ID.\n\n"
	        "Which environments want approvals, and whose, stands in .weir/protection.yaml of the default branch. A draft in conflict (a flag in it was changed "
	        "meanwhile) cannot be applied before it is edited upon a newer base." };
const struct cli_command cmd_flag_schedule = { .name = "flag schedule", .args = "SET [KEY on|off|FILE]", .summary = "Changes a flag at a time, or lists what is scheduled",
	.opts = schedule_opts, .args_min = 1, .args_max = 3, .run = run_schedule,
	.help = "Opens a draft with a time. In a protected environment it must be approved before. It is looked at again at its time: when the flag was changed meanwhile, the "
	        "draft fails with its cause and nothing is lost. What was due while no server ran is applied when one comes up." };
const struct cli_command cmd_flag_diff = { .name = "flag diff", .args = "SET [FILE]", .summary = "Shows what a file, a draft or later revisions change, path by path",
	.opts = diff_opts, .args_min = 1, .args_max = 2, .run = run_diff, .help = "FILE is a flagd document; flags that are not in it stay as they are. Paths are JSON pointers." };
const struct cli_command cmd_flag_blast = { .name = "flag blast", .args = "SET [FILE]", .summary = "Shows who would get something else by a change", .opts = blast_opts,
	.args_min = 1, .args_max = 2, .run = run_blast,
	.help = "Contexts sampled of real evaluations (weir flag samples), and those of --contexts, are evaluated as the set is and as it would be: how many get something "
	        "else, from what to what, with examples; also of flags that depend on a changed one." };
const struct cli_command cmd_flag_samples = { .name = "flag samples", .args = "SET", .summary = "Says how many contexts of a set are kept, or changes that", .opts = samples_opts,
	.args_min = 1, .args_max = 1, .run = run_samples,
	.help = "Off until it is turned on: contexts are personal data. A change drops what was kept. Without --deny the attributes email, ip, name, password, phone and token are "
	        "never kept." };
