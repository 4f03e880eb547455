/* cmd-flag.c - `weir flag ...`: sets of flags, their definitions, and what a context gets of them and why. All through the server's API. */
#include "base/base.h"

#include "base/fs.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/cmd-flag.h"
#include "cli/commands.h"
#include "flag/unleash-import.h"

#include <limits.h>
#include <unistd.h>

/* --- helpers --- */

int flag_set_path(struct cli *c, const char *id, const char *tail, char **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf path = BUF_INIT(4096);
	str                    project, name;

	if (!str_cut(str_z(id), '/', &project, &name) || !project.len || !name.len || str_contains(name, STR("/")))
		return err_set(reterr, WEIR_EINVAL, "'%s' is no flag set: PROJECT/NAME, for example shop/production", id);
	buf_addz(&path, "/api/v1/projects/");
	buf_add_url(&path, project);
	buf_addz(&path, "/flag-sets/");
	buf_add_url(&path, name);
	buf_addz(&path, tail);
	*ret = arena_dup(cli_arena(c), buf_str(&path));
	return buf_check(&path, "the name of the set", reterr);
}

int flag_call_set(struct cli *c, const char *method, const char *id, const char *tail, str body, struct doc_node **ret, struct err *reterr)
{
	char *path;
	int   rc = flag_set_path(c, id, tail, &path, reterr);

	return rc ? rc : cli_call(c, method, path, body, ret, reterr);
}

/* A JSON file; "-" is standard input. */
int flag_read_json(struct cli *c, const char *file, struct doc_node **ret, struct err *reterr)
{
	struct buf *text = ARENA_NEW(cli_arena(c), struct buf);
	int         rc;

	if (!text)
		return arena_check(cli_arena(c), file, reterr);
	buf_init(text, LIMIT_DOC_BYTES);
	rc = strcmp(file, "-") ? fs_read(file, text, reterr) : fs_read_fd(STDIN_FILENO, "standard input", text, reterr);
	if (!rc)
		rc = doc_parse_json(cli_arena(c), strcmp(file, "-") ? file : "standard input", buf_str(text), ret, reterr);
	buf_fini(text);
	return rc;
}

/* --- sets --- */

static int run_sets(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    rc = cli_call(c, "GET", "/api/v1/flag-sets", STR_NULL, &answer, reterr);

	if (rc)
		return rc;
	all = doc_get(answer, "flag_sets");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	if (!doc_len(all))
		cli_notef(c, "no flag sets; make one with: weir flag create PROJECT/NAME\n");
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *s = doc_at(all, i);

		cli_printf(c, "%s%-32.*s%s %6lld flags  revision %-5lld %s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(s, "id")), cli_color(c, ""),
		           (long long)doc_get_int(s, "flags", 0), (long long)doc_get_int(s, "revision", 0),
		           str_eqz(doc_get_str(s, "source"), "repository") ? "kept in the repository" : "kept in the store");
	}
	return 0;
}

static int run_create(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf body = BUF_INIT(4096);
	struct doc_node       *answer;
	struct jw              w;
	int                    rc;

	jw_init(&w, &body);
	jw_obj(&w);
	if (cli_option(c, "environment"))
		jw_kstrz(&w, "environment", cli_option(c, "environment"));
	jw_end(&w);
	rc = flag_call_set(c, "PUT", cli_arg(c, 0), "", buf_str(&body), &answer, reterr);
	if (rc)
		return rc;
	if (cli_wants_json(c))
		jw_node(cli_json(c), answer);
	else
		cli_printf(c, "made the flag set %s\n", cli_arg(c, 0));
	return 0;
}

/* --- definitions --- */

static void print_about(struct cli *c, const struct doc_node *weir)
{
	static const char *const keys[] = { "owner", "purpose", "expires" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (doc_get_str(weir, keys[i]).len)
			cli_printf(c, "  %s %.*s", keys[i], STR_ARG(doc_get_str(weir, keys[i])));
}

static void print_flag(struct cli *c, str key, const struct doc_node *f)
{
	const struct doc_node *unleash = doc_path(f, "weir.unleash");
	bool                   on = str_eqz(doc_get_str(f, "state"), "ENABLED");
	str                    otherwise = doc_get_str(f, "defaultVariant");

	cli_printf(c, "%s%-36.*s%s %s%-4s%s ", cli_color(c, "bold"), STR_ARG(key), cli_color(c, ""), cli_color(c, on ? "green" : "red"), on ? "on" : "off",
	           cli_color(c, ""));
	if (unleash)
		cli_printf(c, "by Unleash's strategies (%zu)", doc_len(doc_get(unleash, "strategies")));
	else
		cli_printf(c, "%s%.*s", doc_len(doc_get(f, "targeting")) ? "by rule, else " : "", STR_ARG(otherwise.len ? otherwise : STR("the caller's default")));
	print_about(c, doc_get(f, "weir"));
	if (doc_get_bool(doc_get(f, "weir"), "archived", false))
		cli_printf(c, "  archived");
	cli_printf(c, "\n");
}

/* Where Unleash's clients are in use: which flags they do not get, and why. */
static int note_left_out(struct cli *c, const char *only, struct err *reterr)
{
	const struct doc_node *list;
	struct doc_node       *about, *clients;
	int                    rc = flag_call_set(c, "GET", cli_arg(c, 0), "/unleash", STR_NULL, &about, reterr);

	if (!rc)
		rc = flag_call_set(c, "GET", cli_arg(c, 0), "/clients", STR_NULL, &clients, reterr);
	if (rc || (!doc_len(doc_get(clients, "clients")) && !doc_get_int(about, "unleash_flags", 0)))
		return rc;
	list = doc_get(about, "left_out");
	for (size_t i = 0; i < doc_len(list); i++)
		if (!only || str_eqz(doc_get_str(doc_at(list, i), "key"), only))
			cli_notef(c, "left out of what Unleash's clients evaluate themselves: %.*s: %.*s\n", STR_ARG(doc_get_str(doc_at(list, i), "key")),
			          STR_ARG(doc_get_str(doc_at(list, i), "why")));
	return 0;
}

static int run_list(struct cli *c, struct err *reterr)
{
	const struct doc_node *flags;
	struct doc_node       *answer;
	bool                   archived = cli_switch(c, "archived");
	int                    rc = flag_call_set(c, "GET", cli_arg(c, 0), archived ? "?archived=1" : "", STR_NULL, &answer, reterr);

	if (rc)
		return rc;
	flags = doc_get(answer, "flags");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), flags);
		return 0;
	}
	if (!doc_len(flags))
		cli_notef(c, "the set has no flags; put one with: weir flag put %s KEY FILE\n", cli_arg(c, 0));
	for (size_t i = 0; i < doc_len(flags); i++)
		print_flag(c, flags->map.pairs[i].key, flags->map.pairs[i].value);
	return doc_len(flags) ? note_left_out(c, NULL, reterr) : 0;
}

static int run_show(struct cli *c, struct err *reterr)
{
	CLEANUP_BUF struct buf tail = BUF_INIT(256), text = BUF_INIT(4 * LIMIT_DOC_BYTES);
	const struct doc_node *n;
	struct doc_node       *answer;
	struct jw              w;
	int                    rc;

	if (cli_n_args(c) > 1)
		buf_addz(&tail, "?archived=1"); /* who names a flag wants it, wherever it is */
	if (cli_option(c, "revision")) {
		buf_addz(&tail, tail.len ? "&revision=" : "?revision=");
		buf_add_url(&tail, str_z(cli_option(c, "revision")));
	}
	if ((rc = buf_check(&tail, "the revision", reterr)) || (rc = flag_call_set(c, "GET", cli_arg(c, 0), buf_z(&tail), STR_NULL, &answer, reterr)))
		return rc;
	n = cli_n_args(c) > 1 ? doc_get_n(doc_get(answer, "flags"), str_z(cli_arg(c, 1))) : answer;
	if (!n)
		return err_set(reterr, WEIR_ENOENT, "the set %s has no flag '%s'", cli_arg(c, 0), cli_arg(c, 1));
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), n);
		return 0;
	}
	jw_init(&w, &text);
	jw_node(&w, n);
	cli_printf(c, "%s\n", buf_z(&text));
	if ((rc = buf_check(&text, "the definition", reterr)) || cli_n_args(c) < 2 || cli_option(c, "revision"))
		return rc;
	return note_left_out(c, cli_arg(c, 1), reterr);
}

/* --- changes --- */

int flag_present_revision(struct cli *c, const char *id, int64_t *ret, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    rc = cli_call(c, "GET", "/api/v1/flag-sets", STR_NULL, &answer, reterr);

	if (rc)
		return rc;
	all = doc_get(answer, "flag_sets");
	for (size_t i = 0; i < doc_len(all); i++)
		if (str_eqz(doc_get_str(doc_at(all, i), "id"), id)) {
			*ret = doc_get_int(doc_at(all, i), "revision", 0);
			return 0;
		}
	return err_set(reterr, WEIR_ENOENT, "there is no flag set '%s'", id);
}

struct change {
	struct jw  w;
	struct buf body;
};

static int change_begin(struct cli *c, struct change *ch, struct err *reterr)
{
	int64_t base;
	int     rc = flag_present_revision(c, cli_arg(c, 0), &base, reterr);

	buf_init(&ch->body, 2 * LIMIT_DOC_BYTES);
	if (rc)
		return rc;
	if (cli_option(c, "base") && (!str_to_i64(str_z(cli_option(c, "base")), &base) || base < 0))
		return err_set(reterr, WEIR_EINVAL, "--base must be a revision, not '%s'", cli_option(c, "base"));
	jw_init(&ch->w, &ch->body);
	jw_obj(&ch->w);
	jw_kint(&ch->w, "base", base);
	if (cli_option(c, "comment"))
		jw_kstrz(&ch->w, "comment", cli_option(c, "comment"));
	return 0;
}

/* With --draft it is proposed, not done. */
static int change_send(struct cli *c, struct change *ch, struct err *reterr)
{
	const char      *title = cli_option(c, "draft");
	struct doc_node *answer;
	int              rc;

	if (title)
		jw_kstrz(&ch->w, "title", title);
	jw_end(&ch->w);
	if ((rc = buf_check(&ch->body, "the change", reterr)) ||
		(rc = flag_call_set(c, "POST", cli_arg(c, 0), title ? "/drafts" : "/changes", buf_str(&ch->body), &answer, reterr)))
		return rc;
	if (cli_wants_json(c))
		jw_node(cli_json(c), answer);
	else if (title)
		cli_printf(c, "draft %lld of %s is %.*s; see it with: weir flag draft show %s %lld\n", (long long)doc_get_int(answer, "id", 0), cli_arg(c, 0),
		           STR_ARG(doc_get_str(answer, "state")), cli_arg(c, 0), (long long)doc_get_int(answer, "id", 0));
	else
		cli_printf(c, "%s is at revision %lld\n", cli_arg(c, 0), (long long)doc_get_int(answer, "revision", 0));
	return 0;
}

/* One flag's new definition; NULL: it is removed. */
static int change_one(struct cli *c, const struct doc_node *n, struct err *reterr)
{
	struct change ch;
	int           rc = change_begin(c, &ch, reterr);

	if (!rc) {
		jw_key(&ch.w, "flags");
		jw_obj(&ch.w);
		jw_key(&ch.w, cli_arg(c, 1));
		if (n)
			jw_node(&ch.w, n);
		else
			jw_null(&ch.w);
		jw_end(&ch.w);
		rc = change_send(c, &ch, reterr);
	}
	buf_fini(&ch.body);
	return rc;
}

static int run_put(struct cli *c, struct err *reterr)
{
	struct doc_node *n;
	int              rc = flag_read_json(c, cli_arg(c, 2), &n, reterr);

	return rc ? rc : change_one(c, n, reterr);
}

static int run_remove(struct cli *c, struct err *reterr) { return change_one(c, NULL, reterr); }

int flag_definition(struct cli *c, const char *id, const char *key, const struct doc_node **ret, struct err *reterr)
{
	struct doc_node *set;
	int              rc = flag_call_set(c, "GET", id, "?archived=1", STR_NULL, &set, reterr);

	*ret = rc ? NULL : doc_get_n(doc_get(set, "flags"), str_z(key));
	return rc;
}

/* The definition with `archived` set or taken away; a map "weir" that is left empty goes. */
static void write_archived(struct jw *w, const struct doc_node *f, bool archived)
{
	const struct doc_node *weir = doc_get(f, "weir");
	size_t                 others = doc_len(weir) - (doc_get(weir, "archived") ? 1 : 0);

	jw_obj(w);
	for (size_t i = 0; i < doc_len(f); i++)
		if (!str_eqz(f->map.pairs[i].key, "weir")) {
			jw_key_n(w, f->map.pairs[i].key);
			jw_node(w, f->map.pairs[i].value);
		}
	if (others || archived) {
		jw_key(w, "weir");
		jw_obj(w);
		for (size_t i = 0; i < doc_len(weir); i++)
			if (!str_eqz(weir->map.pairs[i].key, "archived")) {
				jw_key_n(w, weir->map.pairs[i].key);
				jw_node(w, weir->map.pairs[i].value);
			}
		if (archived)
			jw_kbool(w, "archived", true);
		jw_end(w);
	}
	jw_end(w);
}

static int set_archived(struct cli *c, bool archived, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4 * LIMIT_FLAG_BYTES);
	const struct doc_node *f;
	struct doc_node       *changed;
	struct jw              w;
	int                    rc = flag_definition(c, cli_arg(c, 0), cli_arg(c, 1), &f, reterr);

	if (rc)
		return rc;
	if (!f)
		return err_set(reterr, WEIR_ENOENT, "the set %s has no flag '%s'", cli_arg(c, 0), cli_arg(c, 1));
	if (doc_get_bool(doc_get(f, "weir"), "archived", false) == archived)
		return err_set(reterr, WEIR_ECONFLICT, "flag '%s' is %sarchived", cli_arg(c, 1), archived ? "already " : "not ");
	jw_init(&w, &text);
	write_archived(&w, f, archived);
	if ((rc = buf_check(&text, "the definition", reterr)) || (rc = doc_parse_json(cli_arena(c), "definition", buf_str(&text), &changed, reterr)))
		return rc;
	return change_one(c, changed, reterr);
}

static int run_archive(struct cli *c, struct err *reterr) { return set_archived(c, true, reterr); }
static int run_unarchive(struct cli *c, struct err *reterr) { return set_archived(c, false, reterr); }

/* The definition with another state. */
static int switch_to(struct cli *c, const char *state, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4 * LIMIT_FLAG_BYTES);
	const struct doc_node *f;
	struct doc_node       *set, *changed;
	struct jw              w;
	int                    rc = flag_call_set(c, "GET", cli_arg(c, 0), "", STR_NULL, &set, reterr);

	if (rc)
		return rc;
	if (!(f = doc_get_n(doc_get(set, "flags"), str_z(cli_arg(c, 1)))))
		return err_set(reterr, WEIR_ENOENT, "the set %s has no flag '%s'", cli_arg(c, 0), cli_arg(c, 1));
	jw_init(&w, &text);
	jw_obj(&w);
	for (size_t i = 0; i < doc_len(f); i++) {
		jw_key_n(&w, f->map.pairs[i].key);
		if (str_eqz(f->map.pairs[i].key, "state"))
			jw_strz(&w, state);
		else
			jw_node(&w, f->map.pairs[i].value);
	}
	jw_end(&w);
	if ((rc = buf_check(&text, "the definition", reterr)) || (rc = doc_parse_json(cli_arena(c), "definition", buf_str(&text), &changed, reterr)))
		return rc;
	return change_one(c, changed, reterr);
}

static int run_on(struct cli *c, struct err *reterr) { return switch_to(c, "ENABLED", reterr); }
static int run_off(struct cli *c, struct err *reterr) { return switch_to(c, "DISABLED", reterr); }

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

/* --- taking over --- */

/* A whole flagd document: all its flags in one change. Flags that are there and not in the file stay. */
static int import_flagd(struct cli *c, const struct doc_node *doc, struct err *reterr)
{
	const struct doc_node *flags = doc_get(doc, "flags");
	struct change          ch;
	int                    rc;

	if (!flags || flags->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "%s: neither a map \"flags\" (a flagd document) nor a list \"features\" (an export of Unleash)", cli_arg(c, 1));
	if (cli_option(c, "environment") || cli_option(c, "segments"))
		return err_set(reterr, WEIR_EINVAL, "--environment and --segments are for exports of Unleash; %s is a flagd document", cli_arg(c, 1));
	rc = change_begin(c, &ch, reterr);
	if (!rc) {
		jw_key(&ch.w, "flags");
		jw_node(&ch.w, flags);
		if (doc_get(doc, "$evaluators") || doc_get(doc, "metadata")) {
			write_or_empty(&ch.w, "evaluators", doc_get(doc, "$evaluators"));
			write_or_empty(&ch.w, "metadata", doc_get(doc, "metadata"));
		}
		if (doc_path(doc, "weir.segments"))
			write_or_empty(&ch.w, "segments", doc_path(doc, "weir.segments"));
		rc = change_send(c, &ch, reterr);
	}
	buf_fini(&ch.body);
	return rc;
}

static int same_id(const struct doc_node *segments, str name, int64_t id, struct err *reterr)
{
	for (size_t i = 0; i < doc_len(segments); i++)
		if (doc_get_int(segments->map.pairs[i].value, "id", -1) == id && !str_eq(segments->map.pairs[i].key, name))
			return err_set(reterr, WEIR_ECONFLICT, "the set has a segment '%.*s' with the id %lld, which the export's segment '%.*s' has, too: import into a set of its own",
			               STR_ARG(str_sub(segments->map.pairs[i].key, 0, 100)), (long long)id, STR_ARG(str_sub(name, 0, 100)));
	return 0;
}

/* The set's segments with those of the export put in: a change names all of them. */
static int write_segments(struct cli *c, struct jw *w, str text, struct err *reterr)
{
	const struct doc_node *present;
	struct doc_node       *set, *fresh;
	int                    rc = doc_parse_json(cli_arena(c), "segments", text, &fresh, reterr);

	if (!rc)
		rc = flag_call_set(c, "GET", cli_arg(c, 0), "", STR_NULL, &set, reterr);
	if (rc)
		return rc;
	present = doc_path(set, "weir.segments");
	jw_key(w, "segments");
	jw_obj(w);
	for (size_t i = 0; i < doc_len(present); i++)
		if (!doc_get_n(fresh, present->map.pairs[i].key)) {
			jw_key_n(w, present->map.pairs[i].key);
			jw_node(w, present->map.pairs[i].value);
		}
	for (size_t i = 0; !rc && i < doc_len(fresh); i++) {
		rc = same_id(present, fresh->map.pairs[i].key, doc_get_int(fresh->map.pairs[i].value, "id", -1), reterr);
		jw_key_n(w, fresh->map.pairs[i].key);
		jw_node(w, fresh->map.pairs[i].value);
	}
	jw_end(w);
	return rc;
}

static int import_unleash(struct cli *c, const struct doc_node *doc, struct err *reterr)
{
	struct unleash_import taken;
	struct doc_node      *segments = NULL;
	struct change         ch;
	int                   rc = cli_option(c, "segments") ? flag_read_json(c, cli_option(c, "segments"), &segments, reterr) : 0;

	if (!rc)
		rc = unleash_import(cli_arena(c), doc, cli_option(c, "environment"), segments, &taken, reterr);
	if (rc)
		return rc;
	for (size_t i = 0; i < taken.n_notes; i++)
		cli_notef(c, "%s\n", taken.notes[i]);
	if (!taken.n_flags)
		return err_set(reterr, WEIR_EINVAL, "%s has no feature that can be taken over", cli_arg(c, 1));
	rc = change_begin(c, &ch, reterr);
	if (!rc) {
		jw_key(&ch.w, "flags");
		jw_raw(&ch.w, taken.flags);
		rc = taken.segments.len ? write_segments(c, &ch.w, taken.segments, reterr) : 0;
	}
	if (!rc)
		rc = change_send(c, &ch, reterr);
	if (!rc)
		cli_notef(c, "%zu features and %zu segments are taken over\n", taken.n_flags, taken.n_segments);
	buf_fini(&ch.body);
	return rc;
}

static int run_import(struct cli *c, struct err *reterr)
{
	const char      *from = cli_option(c, "from");
	struct doc_node *doc;
	int              rc;

	if (from && strcmp(from, "flagd") && strcmp(from, "unleash"))
		return err_set(reterr, WEIR_EINVAL, "--from must be flagd or unleash, not '%s'", from);
	rc = flag_read_json(c, cli_arg(c, 1), &doc, reterr);
	if (rc)
		return rc;
	return (from ? !strcmp(from, "unleash") : unleash_is_export(doc)) ? import_unleash(c, doc, reterr) : import_flagd(c, doc, reterr);
}

/* --- evaluation --- */

static int ask(struct cli *c, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf body = BUF_INIT(2 * LIMIT_DOC_BYTES);
	struct doc_node       *context = NULL;
	struct jw              w;
	int64_t                revision;
	int                    rc = cli_option(c, "context") ? flag_read_json(c, cli_option(c, "context"), &context, reterr) : 0;

	if (rc)
		return rc;
	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "key", cli_arg(c, 1));
	if (context) {
		jw_key(&w, "context");
		jw_node(&w, context);
	}
	if (cli_option(c, "at"))
		jw_kstrz(&w, "at", cli_option(c, "at"));
	if (cli_option(c, "revision")) {
		if (!str_to_i64(str_z(cli_option(c, "revision")), &revision))
			return err_set(reterr, WEIR_EINVAL, "--revision must be a number, not '%s'", cli_option(c, "revision"));
		jw_kint(&w, "revision", revision);
	}
	jw_end(&w);
	rc = buf_check(&body, "the question", reterr);
	return rc ? rc : flag_call_set(c, "POST", cli_arg(c, 0), "/evaluate", buf_str(&body), ret, reterr);
}

static void print_value(struct cli *c, const struct doc_node *n)
{
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_DOC_BYTES);
	struct jw              w;

	jw_init(&w, &text);
	if (n)
		jw_node(&w, n);
	cli_printf(c, "%s", n ? buf_z(&text) : "(none: the caller's own default)");
}

static void print_answer(struct cli *c, const struct doc_node *a)
{
	str error = doc_get_str(a, "errorCode"), variant = doc_get_str(a, "variant"), details = doc_get_str(a, "details");

	cli_printf(c, "%s%s%s = ", cli_color(c, "bold"), cli_arg(c, 1), cli_color(c, ""));
	print_value(c, doc_get(a, "value"));
	cli_printf(c, "  %.*s%s%.*s%s%.*s\n", STR_ARG(doc_get_str(a, "reason")), variant.len ? ", variant " : "", STR_ARG(variant), error.len ? ", " : "", STR_ARG(error));
	if (details.len)
		cli_printf(c, "  %.*s\n", STR_ARG(details));
}

static int run_eval(struct cli *c, struct err *reterr)
{
	struct doc_node *a;
	int              rc = ask(c, &a, reterr);

	if (rc)
		return rc;
	if (cli_wants_json(c))
		jw_node(cli_json(c), a);
	else
		print_answer(c, a);
	return doc_get(a, "errorCode") ? 1 : 0;
}

/* A step of an Unleash flag: "constraint 0: plan IN holds not, of segment 5". */
static void print_unleash_step(struct cli *c, const struct doc_node *s)
{
	str name = doc_get_str(s, "name");

	cli_printf(c, "  %.*s %lld: %.*s", STR_ARG(doc_get_str(s, "step")), (long long)doc_get_int(s, "index", 0),
	           STR_ARG(name.ptr ? name : doc_get_str(s, "contextName")));
	if (doc_get(s, "operator"))
		cli_printf(c, " %.*s", STR_ARG(doc_get_str(s, "operator")));
	if (doc_get(s, "segment"))
		cli_printf(c, ", of segment %lld,", (long long)doc_get_int(s, "segment", 0));
	cli_printf(c, " %s", doc_get_bool(s, "holds", false) ? "holds" : "does not hold");
	if (doc_get_int(s, "bucket", 0))
		cli_printf(c, ": bucket %lld, up to %lld", (long long)doc_get_int(s, "bucket", 0), (long long)doc_get_int(s, "until", 0));
	if (doc_get(s, "why"))
		cli_printf(c, ": %.*s", STR_ARG(doc_get_str(s, "why")));
	cli_printf(c, "\n");
}

static int run_explain(struct cli *c, struct err *reterr)
{
	const struct doc_node *steps;
	struct doc_node       *a;
	int                    rc = ask(c, &a, reterr);

	if (rc)
		return rc;
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), a);
		return doc_get(a, "errorCode") ? 1 : 0;
	}
	print_answer(c, a);
	cli_printf(c, "  by revision %lld of %s\n", (long long)doc_get_int(a, "revision", 0), cli_arg(c, 0));
	steps = doc_get(a, "steps");
	for (size_t i = 0; i < doc_len(steps); i++) {
		const struct doc_node *s = doc_at(steps, i);

		if (doc_get(s, "step")) {
			print_unleash_step(c, s);
			continue;
		}
		cli_printf(c, "  %4lld:%-4lld %*s%.*s gives ", (long long)doc_get_int(s, "line", 0), (long long)doc_get_int(s, "col", 0), (int)(2 * doc_get_int(s, "depth", 0)), "",
		           STR_ARG(doc_get_str(s, "operator").len ? doc_get_str(s, "operator") : STR("constant")));
		if (doc_get_bool(s, "failed", false))
			cli_printf(c, "nothing, it failed");
		else
			print_value(c, doc_get(s, "value"));
		cli_printf(c, "\n");
	}
	return doc_get(a, "errorCode") ? 1 : 0;
}

/* --- history --- */

static void print_approvals(struct cli *c, const struct doc_node *r)
{
	const struct doc_node *all = doc_get(r, "approvals");

	cli_printf(c, "       draft %lld", (long long)doc_get_int(r, "draft", 0));
	for (size_t i = 0; i < doc_len(all); i++)
		cli_printf(c, "%s%.*s from %.*s at %.*s", i ? ", " : ", approved by ", STR_ARG(doc_get_str(doc_at(all, i), "by")),
		           STR_ARG(doc_get_str(doc_at(all, i), "address")), STR_ARG(doc_get_str(doc_at(all, i), "at")));
	cli_printf(c, "\n");
}

static int run_history(struct cli *c, struct err *reterr)
{
	const struct doc_node *all;
	struct doc_node       *answer;
	int                    rc = flag_call_set(c, "GET", cli_arg(c, 0), "/revisions?limit=50", STR_NULL, &answer, reterr);

	if (rc)
		return rc;
	all = doc_get(answer, "revisions");
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), all);
		return 0;
	}
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *r = doc_at(all, i), *keys = doc_get(r, "keys");
		str                    comment = doc_get_str(r, "comment");

		cli_printf(c, "%s%-6lld%s %.*s  %.*s from %.*s%s%.*s\n       ", cli_color(c, "bold"), (long long)doc_get_int(r, "revision", 0), cli_color(c, ""),
		           STR_ARG(doc_get_str(r, "at")), STR_ARG(doc_get_str(r, "by")), STR_ARG(doc_get_str(r, "address")), comment.len ? ": " : "", STR_ARG(comment));
		for (size_t j = 0; j < doc_len(keys) && j < 8; j++)
			cli_printf(c, "%s%.*s", j ? ", " : "", STR_ARG(doc_at(keys, j)->s));
		cli_printf(c, "%s\n", doc_len(keys) > 8 ? ", ..." : "");
		if (doc_get(r, "draft"))
			print_approvals(c, r);
	}
	return 0;
}

/* --- commands --- */

static const struct cli_opt create_opts[] = {
	{ "environment", "NAME", "the environment that the set is for", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt change_opts[] = {
	{ "comment", "TEXT", "why; it stands in the history and in the event", false },
	{ "base", "REVISION", "the revision you saw; a flag that changed since is refused. Without it: the newest", false },
	{ "draft", "TITLE", "propose it as a draft with this title instead of doing it", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt list_opts[] = {
	{ "archived", NULL, "with the archived flags, which are not served", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt import_opts[] = {
	{ "from", "KIND", "flagd or unleash; without it the file's shape says it", false },
	{ "environment", "NAME", "the environment of an Unleash export that is taken over", false },
	{ "segments", "FILE", "what /api/admin/segments of Unleash answers: exports have the names of segments only", false },
	{ "comment", "TEXT", "why; it stands in the history and in the event", false },
	{ "base", "REVISION", "the revision you saw; a flag that changed since is refused. Without it: the newest", false },
	{ "draft", "TITLE", "propose it as a draft with this title instead of doing it", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt show_opts[] = {
	{ "revision", "N", "as this revision left it", false },
	{ NULL, NULL, NULL, false },
};
static const struct cli_opt eval_opts[] = {
	{ "context", "FILE", "the context as JSON; - is standard input", false },
	{ "revision", "N", "by this revision", false },
	{ "at", "TIME", "as it was at this time, for example 2026-11-24T10:00:00Z", false },
	{ NULL, NULL, NULL, false },
};

const struct cli_command cmd_flag_sets = { .name = "flag sets", .args = "", .summary = "Lists the flag sets", .run = run_sets };
const struct cli_command cmd_flag_create = { .name = "flag create", .args = "PROJECT/NAME", .summary = "Makes an empty flag set in the store", .opts = create_opts,
	.args_min = 1, .args_max = 1, .run = run_create };
const struct cli_command cmd_flag_list = { .name = "flag list", .args = "SET", .summary = "Lists the flags of a set", .opts = list_opts, .args_min = 1, .args_max = 1, .run = run_list };
const struct cli_command cmd_flag_show = { .name = "flag show", .args = "SET [KEY]", .summary = "Prints a flag or a whole set in flagd's format", .opts = show_opts,
	.args_min = 1, .args_max = 2, .run = run_show };
const struct cli_command cmd_flag_put = { .name = "flag put", .args = "SET KEY FILE", .summary = "Makes or changes a flag from its definition in a file", .opts = change_opts,
	.help = "FILE is the JSON of one flag as flagd has it: state, variants, defaultVariant, targeting, metadata; - is standard input.", .args_min = 3, .args_max = 3, .run = run_put };
const struct cli_command cmd_flag_on = { .name = "flag on", .args = "SET KEY", .summary = "Switches a flag on", .opts = change_opts, .args_min = 2, .args_max = 2, .run = run_on };
const struct cli_command cmd_flag_off = { .name = "flag off", .args = "SET KEY", .summary = "Switches a flag off: callers get their own default", .opts = change_opts,
	.args_min = 2, .args_max = 2, .run = run_off };
const struct cli_command cmd_flag_remove = { .name = "flag remove", .args = "SET KEY", .summary = "Removes a flag; its history stays", .opts = change_opts, .args_min = 2,
	.args_max = 2, .run = run_remove };
const struct cli_command cmd_flag_archive = { .name = "flag archive", .args = "SET KEY", .summary = "Archives a flag: kept with its history, and not served", .opts = change_opts,
	.help = "Clients are told that there is no such flag. Its key cannot be taken by another definition before it is unarchived. Refused while another flag needs it.",
	.args_min = 2, .args_max = 2, .run = run_archive };
const struct cli_command cmd_flag_unarchive = { .name = "flag unarchive", .args = "SET KEY", .summary = "Brings an archived flag back as it was", .opts = change_opts,
	.args_min = 2, .args_max = 2, .run = run_unarchive };
const struct cli_command cmd_flag_import = { .name = "flag import", .args = "SET FILE", .summary = "Takes over all flags of a flagd document or an Unleash export in one change",
	.opts = import_opts, .help = "Flags of the set that the file does not have stay. What cannot be taken over of an Unleash export is said, with the reason, on standard error.",
	.args_min = 2, .args_max = 2, .run = run_import };
const struct cli_command cmd_flag_eval = { .name = "flag eval", .args = "SET KEY [--context FILE]", .summary = "Says what a context gets of a flag", .opts = eval_opts,
	.help = "Exit code 1 when the evaluation fails (no such flag, a rule that names no variant).", .args_min = 2, .args_max = 2, .run = run_eval };
const struct cli_command cmd_flag_explain = { .name = "flag explain", .args = "SET KEY [--context FILE]", .summary = "Says what a context gets of a flag and which rule decided",
	.opts = eval_opts, .help = "Each line is one step of the rule with its place in the definition, inner ones first.", .args_min = 2, .args_max = 2, .run = run_explain };
const struct cli_command cmd_flag_history = { .name = "flag history", .args = "SET", .summary = "Lists who changed which flags when, and from where", .args_min = 1, .args_max = 1,
	.run = run_history };
