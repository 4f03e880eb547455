/* acts-flag.c - the forms of the flags' pages: each becomes one call of the API, and a redirect to the page that shows what it did. Worker threads.
 *
 * What was typed as JSON goes into the call as it was typed, in lines of its own, so that the places in the API's messages are those of the field. */
#include "base/base.h"
#include "base/limits.h"
#include "web/page-flag.h"

#include <ctype.h>
#include <string.h>

/* --- one change --- */

struct act {
	struct page  page; /* only to ask and to make addresses; it is not shown */
	struct buf   body;
	struct jw    w;
	const char  *field; /* what was typed as JSON; NULL: nothing was */
	bool         proposes; /* the change becomes a draft */
	int64_t      draft;    /* which one it became */
};

static void act_fini(struct act *a)
{
	buf_fini(&a->body);
	page_fini(&a->page);
}
#define CLEANUP_ACT CLEANUP(act_fini)

static void act_begin(struct act *a, struct http_req *r, struct web *web)
{
	a->proposes = str_contains(http_path(r), STR("/propose/"));
	a->draft = 0;
	page_init(&a->page, web, r, "Flags", "home");
	buf_init(&a->body, 2 * LIMIT_DOC_BYTES);
	jw_init(&a->w, &a->body);
	a->field = NULL;
	jw_obj(&a->w);
}

static void act_comment(struct act *a)
{
	str comment = str_trim(http_form(a->page.req, "comment"));

	if (comment.len)
		jw_kstr(&a->w, "comment", comment);
}

/* The text of a field, as it was typed, from the begin of a line on. One such field per call. */
static void act_typed(struct act *a, const char *field)
{
	struct buf b CLEANUP_BUF = BUF_INIT(2 * LIMIT_DOC_BYTES);

	a->field = field;
	buf_addc(&b, '\n');
	buf_add_str(&b, http_form(a->page.req, field));
	jw_raw(&a->w, buf_str(&b));
}

void flag_retell(struct err *e, const char *field)
{
	char  text[sizeof(e->msg)];
	char *end;
	long  line;

	if (strncmp(e->msg, "body:", 5) != 0)
		return;
	line = strtol(e->msg + 5, &end, 10);
	if (line < 2 || *end != ':')
		return;
	snprintf(text, sizeof(text), "%s:%ld%s", field, line - 1, end);
	memcpy(e->msg, text, sizeof(text));
}

static int act_send(struct act *a, const char *method, const char *what, struct doc_node **ret, struct err *reterr)
{
	struct http_req *r = a->page.req;
	int              e;

	jw_end(&a->w);
	e = buf_check(&a->body, "the change", reterr);
	if (!e)
		e = page_do(&a->page, method, buf_str(&a->body), ret, reterr, SET_API "%s", SET_ARGS(r), what);
	if (e && a->field)
		flag_retell(reterr, a->field);
	return e;
}

/* What a draft is called until its author gives it another title. */
static void act_title(struct act *a)
{
	enum { TITLE = 100 };
	str key = http_form(a->page.req, "key"), why = str_trim(http_form(a->page.req, "comment"));
	struct buf b CLEANUP_BUF = BUF_INIT(1024);

	buf_add_str(&b, key);
	if (why.len && key.len + why.len < TITLE && !memchr(why.ptr, '\n', why.len))
		buf_addf(&b, ": %.*s", STR_ARG(why));
	jw_kstr(&a->w, "title", buf_str(&b));
}

static int act_change(struct act *a, struct err *reterr)
{
	struct doc_node *answer;
	int              e;

	if (a->proposes)
		act_title(a);
	e = act_send(a, "POST", a->proposes ? "/drafts" : "/changes", &answer, reterr);
	a->draft = e ? 0 : doc_get_int(answer, "id", 0);
	return e;
}

static int go(struct act *a, const char *where, struct err *reterr)
{
	int e = arena_check(a->page.a, "an address", reterr);

	if (!e)
		http_redirect(a->page.req, 303, where);
	return e;
}

static int go_to_draft(struct act *a, struct err *reterr)
{
	return go(a, arena_printf(a->page.a, "/projects/%.*s/flags/%.*s/drafts/%lld", SET_ARGS(a->page.req), (long long)a->draft), reterr);
}

static int go_to_set(struct act *a, struct err *reterr)
{
	if (a->proposes)
		return go_to_draft(a, reterr);
	return go(a, arena_printf(a->page.a, "/projects/%.*s/flags/%.*s", SET_ARGS(a->page.req)), reterr);
}

static int go_to_flag(struct act *a, struct err *reterr)
{
	return a->proposes ? go_to_draft(a, reterr) : go(a, flag_href(&a->page, http_form(a->page.req, "key")), reterr);
}

static int ask_flag(struct act *a, struct doc_node **ret, struct err *reterr)
{
	return page_ask(&a->page, ret, reterr, SET_API "/flag?key=%s", SET_ARGS(a->page.req), page_url(&a->page, http_form(a->page.req, "key")));
}

/* --- sets --- */

/* What addresses can name (http.h); the API would only say that nothing is there. */
static bool is_name(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.ptr[i]) && !strchr("._-", s.ptr[i]))
			return false;
	return s.len > 0 && s.len <= LIMIT_NAME_BYTES && s.ptr[0] != '.' && s.ptr[0] != '-';
}

int page_flag_set_make(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct doc_node *answer;
	struct err       why = { 0 };
	str              name = str_trim(http_form(r, "name")), environment = str_trim(http_form(r, "environment"));
	int              e;

	act_begin(&a, r, web);
	if (environment.len)
		jw_kstr(&a.w, "environment", environment);
	jw_end(&a.w);
	e = !is_name(name) ? err_set(&why, WEIR_EINVAL, "name has at most %d letters, digits, '.', '_' and '-', and begins with a letter, digit or '_'", LIMIT_NAME_BYTES)
	                   : page_do(&a.page, "PUT", buf_str(&a.body), &answer, &why, "/api/v1/projects/%.*s/flag-sets/%.*s", STR_ARG(http_param(r, "project")),
	                             STR_ARG(name));
	if (e)
		return flag_sets_show(r, web, &(struct refusal){ "make", &why }, reterr);
	return go(&a, arena_printf(a.page.a, "/projects/%.*s/flags/%.*s", STR_ARG(http_param(r, "project")), STR_ARG(name)), reterr);
}

static const char *const document_keys[] = { "$schema", "flags", "$evaluators", "metadata", NULL };

static void write_map(struct jw *w, const char *key, const struct doc_node *n)
{
	jw_key(w, key);
	if (n) {
		jw_node(w, n);
	} else {
		jw_obj(w);
		jw_end(w);
	}
}

static int read_document(struct http_req *r, struct doc_node **ret, struct err *reterr)
{
	struct doc_check k;
	int              e = flag_typed(r, "document", ret, reterr);

	if (e)
		return e;
	doc_check_init(&k, http_arena(r), "document");
	if (doc_is_map(&k, *ret, "the document", document_keys))
		(void)doc_is_map(&k, doc_need(&k, *ret, "flags"), "flags", NULL);
	return doc_check_result(&k, reterr);
}

static int import(struct act *a, struct err *reterr)
{
	struct doc_node *doc;
	int              e = read_document(a->page.req, &doc, reterr);

	if (e)
		return e;
	jw_kint(&a->w, "base", http_form_int(a->page.req, "base", 0));
	act_comment(a);
	write_map(&a->w, "flags", doc_get(doc, "flags"));
	if (doc_get(doc, "$evaluators") || doc_get(doc, "metadata")) {
		write_map(&a->w, "evaluators", doc_get(doc, "$evaluators"));
		write_map(&a->w, "metadata", doc_get(doc, "metadata"));
	}
	return act_change(a, reterr);
}

int page_flag_import(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct err why = { 0 };

	act_begin(&a, r, web);
	if (import(&a, &why))
		return flag_set_show(r, web, &(struct refusal){ "import", &why }, reterr);
	return go_to_set(&a, reterr);
}

/* --- a flag --- */

/* {KEY: what was typed} */
static int put(struct act *a, struct err *reterr)
{
	struct http_req *r = a->page.req;
	struct doc_node *typed;
	int              e = flag_typed(r, "definition", &typed, reterr);

	if (e)
		return e;
	jw_kint(&a->w, "base", http_form_int(r, "base", 0));
	act_comment(a);
	jw_key(&a->w, "flags");
	jw_obj(&a->w);
	jw_key_n(&a->w, http_form(r, "key"));
	act_typed(a, "definition");
	jw_end(&a->w);
	return act_change(a, reterr);
}

static int make(struct act *a, struct err *reterr)
{
	struct doc_node *have;
	struct err       none = { 0 };

	if (!ask_flag(a, &have, &none) && !doc_get_bool(have, "removed", false))
		return err_set(reterr, WEIR_EEXIST, "there is a flag '%.*s' already: edit it on its page", STR_ARG(str_sub(http_form(a->page.req, "key"), 0, 100)));
	return put(a, reterr);
}

int page_flag_make(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct err why = { 0 };

	act_begin(&a, r, web);
	if (make(&a, &why))
		return flag_set_show(r, web, &(struct refusal){ "make", &why }, reterr);
	return go_to_flag(&a, reterr);
}

int page_flag_put(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct err why = { 0 };

	act_begin(&a, r, web);
	if (put(&a, &why))
		return flag_show(r, web, http_form(r, "key"), &(struct refusal){ "edit", &why }, NULL, reterr);
	return go_to_flag(&a, reterr);
}

/* Archiving says so below "weir"; the rest of what weir adds stays. */
static void write_archived(struct jw *w, const struct doc_node *weir, bool archived)
{
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

/* state: on, off, archived, or kept: archived no more. */
static void write_switched(struct jw *w, const struct doc_node *definition, str state)
{
	bool        archives = str_eqz(state, "archived") || str_eqz(state, "kept");
	const char *replaced = archives ? "weir" : "state";

	jw_obj(w);
	if (!archives)
		jw_kstrz(w, "state", str_eqz(state, "on") ? "ENABLED" : "DISABLED");
	for (size_t i = 0; i < doc_len(definition); i++)
		if (!str_eqz(definition->map.pairs[i].key, replaced)) {
			jw_key_n(w, definition->map.pairs[i].key);
			jw_node(w, definition->map.pairs[i].value);
		}
	if (archives)
		write_archived(w, doc_get(definition, "weir"), str_eqz(state, "archived"));
	jw_end(w);
}

/* The present definition with another state. Off acts on whatever is there, as a kill switch must; all else wants that nobody changed the flag since. */
static int switch_flag(struct act *a, struct err *reterr)
{
	struct http_req       *r = a->page.req;
	bool                   off = str_eqz(http_form(r, "state"), "off");
	struct doc_node       *flag;
	const struct doc_node *definition;
	int                    e = ask_flag(a, &flag, reterr);

	if (e)
		return e;
	if (!(definition = doc_get(flag, "definition")))
		return err_set(reterr, WEIR_ENOENT, "the flag was removed meanwhile");
	jw_kint(&a->w, "base", off ? doc_get_int(flag, "revision", 0) : http_form_int(r, "base", 0));
	act_comment(a);
	jw_key(&a->w, "flags");
	jw_obj(&a->w);
	jw_key_n(&a->w, http_form(r, "key"));
	write_switched(&a->w, definition, http_form(r, "state"));
	jw_end(&a->w);
	return act_change(a, reterr);
}

int page_flag_switch(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct err why = { 0 };
	bool       from_list = str_eqz(http_form(r, "back"), "list");

	act_begin(&a, r, web);
	if (!switch_flag(&a, &why))
		return from_list ? go_to_set(&a, reterr) : go_to_flag(&a, reterr);
	return from_list ? flag_set_show(r, web, &(struct refusal){ "switch", &why }, reterr)
	                 : flag_show(r, web, http_form(r, "key"), &(struct refusal){ "switch", &why }, NULL, reterr);
}

int page_flag_remove(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct err why = { 0 };

	act_begin(&a, r, web);
	jw_kint(&a.w, "base", http_form_int(r, "base", 0));
	act_comment(&a);
	jw_key(&a.w, "flags");
	jw_obj(&a.w);
	jw_key_n(&a.w, http_form(r, "key"));
	jw_null(&a.w);
	jw_end(&a.w);
	if (act_change(&a, &why))
		return flag_show(r, web, http_form(r, "key"), &(struct refusal){ "remove", &why }, NULL, reterr);
	return go_to_set(&a, reterr);
}

/* The typed definition by steps, as the typed plan says. */
static int roll(struct act *a, struct doc_node **ret, struct err *reterr)
{
	struct http_req *r = a->page.req;
	struct doc_node *typed, *plan;
	struct doc_check k;
	int              e;

	if ((e = flag_typed(r, "definition", &typed, reterr)) || (e = flag_typed(r, "plan", &plan, reterr)))
		return e;
	doc_check_init(&k, http_arena(r), "plan");
	(void)doc_is_map(&k, plan, "the plan", NULL);
	if ((e = doc_check_result(&k, reterr)))
		return e;
	jw_kstr(&a->w, "flag", http_form(r, "key"));
	jw_kint(&a->w, "base", http_form_int(r, "base", 0));
	act_comment(a);
	for (size_t i = 0; i < doc_len(plan); i++) {
		jw_key_n(&a->w, plan->map.pairs[i].key);
		jw_node(&a->w, plan->map.pairs[i].value);
	}
	jw_key(&a->w, "definition");
	act_typed(a, "definition");
	return act_send(a, "POST", "/rollouts", ret, reterr);
}

int page_flag_roll(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct doc_node *answer;
	struct err       why = { 0 };

	act_begin(&a, r, web);
	if (roll(&a, &answer, &why))
		return flag_show(r, web, http_form(r, "key"), &(struct refusal){ "roll", &why }, NULL, reterr);
	return go(&a, arena_printf(a.page.a, "/flag-rollouts/%s", page_url(&a.page, doc_get_str(answer, "id"))), reterr);
}

/* --- what somebody gets, and why --- */

static int explain(struct act *a, struct doc_node **ret, struct err *reterr)
{
	struct http_req *r = a->page.req;
	struct doc_node *context;
	str              at = str_trim(http_form(r, "at"));
	int              e = flag_typed(r, "context", &context, reterr);

	if (e)
		return e;
	jw_kstr(&a->w, "key", http_form(r, "key"));
	if (at.len)
		jw_kstr(&a->w, "at", at);
	jw_key(&a->w, "context");
	act_typed(a, "context");
	return act_send(a, "POST", "/evaluate", ret, reterr);
}

int page_flag_explain(struct http_req *r, void *web, struct err *reterr)
{
	struct act a CLEANUP_ACT;
	struct doc_node *answer = NULL;
	struct err       why = { 0 };

	act_begin(&a, r, web);
	if (explain(&a, &answer, &why))
		return flag_show(r, web, http_form(r, "key"), &(struct refusal){ "explain", &why }, NULL, reterr);
	return flag_show(r, web, http_form(r, "key"), NULL, answer, reterr);
}
