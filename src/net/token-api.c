/* token-api.c - routes of tokens and of the page login. Worker threads. */
#include "base/base.h"
#include "base/limits.h"
#include "net/token-internal.h"

static const char scope_schema[] =
    "{\"type\":\"object\",\"required\":[\"name\",\"scope\"],\"additionalProperties\":false,\"properties\":{\"name\":{\"type\":\"string\"},"
    "\"scope\":{\"enum\":[\"read\",\"develop\",\"release\",\"admin\",\"runner\",\"flags\",\"edge\"]},\"project\":{\"type\":\"string\"},"
    "\"expires_in\":{\"type\":\"string\",\"description\":\"for example 90d\"}}}";
static const char list_schema[] = "{\"type\":\"object\",\"properties\":{\"tokens\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char own_schema[] =
    "{\"type\":\"object\",\"required\":[\"name\",\"scope\"],\"properties\":{\"name\":{\"type\":\"string\"},\"scope\":{\"type\":\"string\"},"
    "\"project\":{\"type\":\"string\"},\"expires_at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}}}";
static const char made_schema[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"scope\":{\"type\":\"string\"},\"token\":{\"type\":\"string\"}}}";

/* A token that is bound to one project rules over no other tokens. */
static int whole_server(const struct http_req *r, struct err *reterr)
{
	if (http_who(r)->project[0])
		return err_set(reterr, WEIR_EPERM, "tokens are made by a token that is bound to no project");
	return 0;
}

static int tokens_get(struct http_req *r, void *store, struct err *reterr)
{
	struct jw w;
	int       e = whole_server(r, reterr);

	if (e)
		return e;
	http_json(r, &w);
	jw_obj(&w);
	jw_key(&w, "tokens");
	jw_arr(&w);
	e = token_list(store, &w, reterr);
	if (e)
		return e;
	jw_end(&w);
	jw_end(&w);
	return 0;
}

struct wish {
	str             name, project;
	enum http_scope scope;
	usec_t          expires_at;
};

static int wish_read(struct http_req *r, struct token_store *s, struct wish *ret, struct err *reterr)
{
	static const char *const keys[] = { "name", "scope", "project", "expires_in", NULL };
	static const char *const scopes[] = { "read", "develop", "release", "admin", "runner", "flags", "edge", NULL };
	struct doc_node         *n;
	const struct doc_node   *life;
	struct doc_check         c;
	int                      e = http_body_json(r, &n, reterr);

	if (e)
		return e;
	doc_check_init(&c, http_arena(r), "body");
	if (doc_is_map(&c, n, "the body", keys)) {
		const struct doc_node *name = doc_need(&c, n, "name"), *scope = doc_need(&c, n, "scope");
		int                    i = scope ? doc_want_enum(&c, scope, "scope", scopes) : -1;

		ret->name = name ? doc_want_str(&c, name, "name") : STR_NULL;
		ret->scope = i >= 0 ? scope_find(str_z(scopes[i])) : SCOPE_NONE;
		ret->project = doc_get(n, "project") ? doc_want_str(&c, doc_get(n, "project"), "project") : STR_NULL;
		life = doc_get(n, "expires_in");
		ret->expires_at = life ? clock_wall(token_clock(s)) +
		                             doc_want_duration(&c, life, "expires_in", USEC_PER_SEC, 3650 * 24 * 3600 * USEC_PER_SEC)
		                       : 0;
	}
	return doc_check_result(&c, reterr);
}

static int tokens_post(struct http_req *r, void *store, struct err *reterr)
{
	struct wish wish = { 0 };
	char        text[TOKEN_TEXT_SIZE];
	struct jw   w;
	int         e = whole_server(r, reterr);
	str         by = str_z(arena_printf(http_arena(r), "token:%s", http_who(r)->name));

	if (!e)
		e = wish_read(r, store, &wish, reterr);
	if (!e)
		e = token_create(store, wish.name, wish.scope, wish.project, wish.expires_at, by, text, reterr);
	if (e)
		return e;
	http_status(r, 201);
	http_json(r, &w);
	jw_obj(&w);
	jw_kstr(&w, "name", wish.name);
	jw_kstrz(&w, "scope", scope_name(wish.scope));
	jw_kstr(&w, "project", wish.project);
	jw_ktime(&w, "expires_at", wish.expires_at);
	jw_kstrz(&w, "token", text);
	jw_end(&w);
	explicit_bzero(text, sizeof(text));
	return 0;
}

static int token_delete(struct http_req *r, void *store, struct err *reterr)
{
	int e = whole_server(r, reterr);
	str by = str_z(arena_printf(http_arena(r), "token:%s", http_who(r)->name));

	if (e || (e = token_revoke(store, http_param(r, "name"), by, reterr)))
		return e;
	http_status(r, 204);
	return 0;
}

/* Who presents this token: for edges, which must know what a client may ask while the server is away. */
static int own_token_get(struct http_req *r, void *store UNUSED, struct err *reterr)
{
	const struct http_identity *who = http_who(r);
	struct jw                   w;

	if (who->scope == SCOPE_NONE)
		return err_set(reterr, WEIR_EAUTH, "the credentials are unknown, expired or revoked");
	http_json(r, &w);
	jw_obj(&w);
	jw_kstrz(&w, "name", who->name);
	jw_kstrz(&w, "scope", scope_name(who->scope));
	if (who->project[0])
		jw_kstrz(&w, "project", who->project);
	jw_ktime(&w, "expires_at", who->expires_at);
	jw_end(&w);
	return 0;
}

/* --- pages --- */

/* Only a path of this server: "/x", never "//host" or "/\host". */
static str next_or_root(str next)
{
	bool ok = next.len && next.ptr[0] == '/' && !(next.len > 1 && (next.ptr[1] == '/' || next.ptr[1] == '\\'));

	for (size_t i = 0; ok && i < next.len; i++)
		ok = (unsigned char)next.ptr[i] > 0x20 && (unsigned char)next.ptr[i] < 0x7f;
	return ok ? next : STR("/");
}

static int login_get(struct http_req *r, void *store UNUSED, struct err *reterr UNUSED)
{
	http_login_page(r, STR(""), next_or_root(http_query(r, "next")));
	return 0;
}

static void set_cookie(struct http_req *r, const char *text, long age_s)
{
	/* Behind a proxy with TLS the page's own origin says so; on plain HTTP a Secure cookie would be dropped. */
	bool secure = str_has_prefix(http_header(r, "origin"), STR("https://"));

	http_set_headerf(r, "Set-Cookie", "weir_session=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%ld%s", text, age_s,
	                 secure ? "; Secure" : "");
}

static int login_post(struct http_req *r, void *store, struct err *reterr)
{
	struct http_identity who;
	char                 text[TOKEN_TEXT_SIZE];
	str                  next = next_or_root(http_form(r, "next"));
	int                  e;

	if (!http_same_origin(r))
		return err_set(reterr, WEIR_EPERM, "the form must come from weir's own page");
	e = token_authenticate(store, STR("bearer"), str_trim(http_form(r, "token")), &who, reterr);
	if (e == -WEIR_EAUTH || (!e && (who.scope == SCOPE_JOB || who.scope == SCOPE_RUNNER))) {
		http_status(r, 401);
		http_login_page(r, STR("This token is unknown, expired, revoked or not for people."), next);
		return 0;
	}
	if (e || (e = token_session_begin(store, str_z(who.name), text, reterr)))
		return e;
	set_cookie(r, text, 7 * 24 * 3600);
	explicit_bzero(text, sizeof(text));
	http_redirect(r, 303, arena_dup(http_arena(r), next));
	return 0;
}

static int logout_post(struct http_req *r, void *store, struct err *reterr)
{
	str text = http_cookie(r, "weir_session");
	int e;

	if (!http_same_origin(r))
		return err_set(reterr, WEIR_EPERM, "the form must come from weir's own page");
	if (text.len && (e = token_session_end(store, text, reterr)))
		return e;
	set_cookie(r, "", 0);
	http_redirect(r, 303, "/login");
	return 0;
}

static const struct http_query_param login_query[] = { { .name = "next", .doc = "path to go to afterwards" }, { 0 } };
static const struct http_route routes[] = {
	{ "GET", "/api/v1/tokens", HTTP_WORKER, SCOPE_ADMIN, 0, tokens_get, "Lists the access tokens, without their texts.", NULL, list_schema },
	{ "POST", "/api/v1/tokens", HTTP_WORKER, SCOPE_ADMIN, 4096, tokens_post, "Makes an access token; its text is in this answer only.", scope_schema, made_schema },
	{ "DELETE", "/api/v1/tokens/:name", HTTP_WORKER, SCOPE_ADMIN, 0, token_delete, "Revokes an access token and the sessions begun with it.", NULL, NULL },
	{ "GET", "/api/v1/token", HTTP_FAST, SCOPE_NONE, 0, own_token_get, "Name, scope, project and end of the token that the request carries.", NULL, own_schema },
	{ "GET", "/login", HTTP_FAST, SCOPE_NONE, 0, login_get, "The form that begins a session.", NULL, NULL, login_query },
	{ "POST", "/login", HTTP_WORKER, SCOPE_NONE, 16 << 10, login_post, "Begins a session with a token.", NULL, NULL },
	{ "POST", "/logout", HTTP_WORKER, SCOPE_NONE, 4096, logout_post, "Ends the session.", NULL, NULL },
};

const struct http_route *token_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
