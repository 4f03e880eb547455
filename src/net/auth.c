/* auth.c - who sends a request, and whether the route lets them: bearer and basic credentials, cookie sessions, cross-site posts.
 *
 * The question "who is it" goes to http_config.authenticate; here are the rules of HTTP around it. Runs on loop threads, before the body. */
#include "base/base.h"
#include "net/http-internal.h"

static const char *const scope_names[] = { "none", "read", "develop", "release", "admin", "runner", "job", "flags", "edge" };

const char *scope_name(enum http_scope s) { return (unsigned)s < ARRAY_SIZE(scope_names) ? scope_names[s] : "none"; }

enum http_scope scope_find(str name)
{
	for (size_t i = 1; i < ARRAY_SIZE(scope_names); i++)
		if (str_eqz(name, scope_names[i]))
			return (enum http_scope)i;
	return SCOPE_NONE;
}

bool scope_includes(enum http_scope have, enum http_scope need)
{
	switch (need) {
	case SCOPE_NONE: return true;
	case SCOPE_READ: return (have >= SCOPE_READ && have <= SCOPE_ADMIN) || have == SCOPE_JOB;
	case SCOPE_DEVELOP:
	case SCOPE_RELEASE:
	case SCOPE_ADMIN: return have >= need && have <= SCOPE_ADMIN;
	case SCOPE_RUNNER: return have == SCOPE_RUNNER;
	case SCOPE_FLAGS: return have == SCOPE_FLAGS || (have >= SCOPE_READ && have <= SCOPE_ADMIN);
	case SCOPE_EDGE: return have == SCOPE_EDGE || (have >= SCOPE_READ && have <= SCOPE_ADMIN);
	case SCOPE_JOB: return have == SCOPE_JOB || have == SCOPE_RELEASE || have == SCOPE_ADMIN;
	}
	return false;
}

bool http_may(const struct http_req *r, enum http_scope scope)
{
	return !r->s->cfg.authenticate || scope_includes(r->who.scope, scope);
}

/* What the request carries: the scheme in lower case and the rest. False: nothing. */
static bool credentials_of(const struct http_req *r, str *ret_scheme, str *ret_text)
{
	str v = http_header(r, "authorization"), key = http_header(r, "x-api-key"), scheme, text;

	if (v.ptr && str_cut(v, ' ', &scheme, &text)) {
		*ret_text = str_trim(text);
		*ret_scheme = str_eq_nocase(scheme, STR("bearer")) ? STR("bearer")
		              : str_eq_nocase(scheme, STR("basic")) ? STR("basic")
		                                                    : STR_NULL;
		return ret_scheme->ptr != NULL;
	}
	if (v.len || key.len) { /* a token without a scheme, as clients of flags send it */
		*ret_scheme = STR("bearer");
		*ret_text = v.len ? str_trim(v) : str_trim(key);
		return true;
	}
	*ret_scheme = STR("cookie");
	*ret_text = http_cookie(r, "weir_session");
	return ret_text->len > 0;
}

bool http_same_origin(const struct http_req *r)
{
	str origin = http_header(r, "origin"), site = http_header(r, "sec-fetch-site"), left, host;

	if (origin.ptr) {
		size_t at = str_find(origin, ':');

		left = str_sub(origin, 0, at);
		host = str_sub(origin, at + 3, origin.len);
		return (str_eqz(left, "http") || str_eqz(left, "https")) && str_eq(str_sub(origin, at, 3), STR("://")) &&
		       str_eq_nocase(host, r->strict.authority);
	}
	return str_eqz(site, "same-origin");
}

static bool changes_something(const struct http_req *r)
{
	return !str_eqz(r->method, "GET") && !str_eqz(r->method, "HEAD") && !str_eqz(r->method, "OPTIONS");
}

static void ask_for_credentials(struct http_req *r, const struct err *e)
{
	if (answer_is_page(r) && !changes_something(r)) {
		struct buf to CLEANUP_BUF = BUF_INIT(2 * LIMIT_HTTP_TARGET_BYTES * 3);

		buf_addz(&to, "/login?next=");
		buf_add_url(&to, r->target);
		http_redirect(r, 303, buf_z(&to));
		return;
	}
	answer_error(r, 401, e);
}

/* A token that is bound to a project reaches the paths of that project only. */
static bool project_allowed(const struct http_req *r)
{
	for (size_t i = 0; i < r->match.n_params; i++)
		if (str_eqz(r->match.params[i].name, "project"))
			return str_eqz(r->match.params[i].value, r->who.project);
	return true;
}

bool auth_may(struct http_req *r)
{
	enum http_scope need = r->match.entry->route->scope;

	if (!scope_includes(r->who.scope, need)) {
		answer_errorf(r, 403, WEIR_EPERM, "this needs the scope '%s'; the token '%s' has '%s'",
		              need == SCOPE_JOB ? "release' or a running job's own token, 'job" : scope_name(need), r->who.name, scope_name(r->who.scope));
		return false;
	}
	if (need != SCOPE_NONE && r->who.project[0] && !project_allowed(r)) {
		answer_errorf(r, 403, WEIR_EPERM, "the token '%s' is bound to the project '%s'", r->who.name, r->who.project);
		return false;
	}
	return true;
}

/* What comes of the answer to "who is it"; false: the refusing answer is made. */
static bool take_identity(struct http_req *r, int rc, const struct err *e)
{
	bool open = r->match.entry->route->scope == SCOPE_NONE;

	if (!rc)
		return true;
	r->who = (struct http_identity){ .scope = SCOPE_NONE };
	if (open && e->code == WEIR_EAUTH)
		return true;
	if (e->code == WEIR_EAUTH)
		ask_for_credentials(r, e);
	else
		answer_error(r, 0, e);
	return false;
}

/* --- how often --- */

static bool rate_ok(struct http_req *r, struct rate *rate, str key)
{
	usec_t wait = 0;

	if (!rate || r->match.entry->route->scope != SCOPE_FLAGS || rate_take(rate, key, clock_mono(r->s->cfg.clock), &wait))
		return true;
	/* whole seconds, rounded up: no client may be told to come too early */
	http_set_headerf(r, "Retry-After", "%lld", (long long)((wait + USEC_PER_SEC - 1) / USEC_PER_SEC));
	answer_errorf(r, 429, WEIR_EBUSY, "too many requests: at most %u per second %s; see Retry-After",
	              rate == r->s->by_token ? r->s->cfg.flags_per_second : (r->s->cfg.flags_per_second + 99) / 100,
	              rate == r->s->by_token ? "and token" : "and address without a valid token");
	return false;
}

/* A token is known by its name and what it is bound to. */
static bool token_rate_ok(struct http_req *r)
{
	char key[sizeof(r->who.name) + sizeof(r->who.project) + 1];
	int  n = snprintf(key, sizeof(key), "%s/%s", r->who.project, r->who.name);

	return rate_ok(r, r->s->by_token, str_n(key, (size_t)n));
}

/* The rules of HTTP around credentials; false: the refusing answer is made. */
static bool who_is_it(struct http_req *r)
{
	const struct http_config *cfg = &r->s->cfg;
	str                       scheme, text;
	struct err                e = { 0 };
	int                       rc;

	if (!cfg->authenticate) {
		r->who = (struct http_identity){ .name = "anyone", .scope = SCOPE_ADMIN };
		return true;
	}
	if (!credentials_of(r, &scheme, &text)) {
		if (r->match.entry->route->scope == SCOPE_NONE)
			return true;
		err_set(&e, WEIR_EAUTH, "credentials are needed: 'Authorization: Bearer TOKEN' (git: any user, the token as password)");
		ask_for_credentials(r, &e);
		return false;
	}
	rc = cfg->authenticate(cfg->auth_ctx, scheme, text, &r->who, &e);
	if (rc == HTTP_AUTH_ASK && cfg->authenticate_slow) {
		r->must_ask = true;
		return true;
	}
	if (!take_identity(r, rc, &e))
		return false;
	if (rc)
		return true; /* a public route, and nobody known */
	r->by_cookie = str_eqz(scheme, "cookie");
	if (r->by_cookie && changes_something(r) && !http_same_origin(r)) {
		answer_errorf(r, 403, WEIR_EPERM, "a change by cookie must come from weir's own pages (Origin or Sec-Fetch-Site)");
		return false;
	}
	return auth_may(r);
}

/* `ok`: the request was admitted. Guesses of credentials are slowed down; the answer that was made is replaced. */
static bool rated(struct http_req *r, bool ok)
{
	if (ok)
		return token_rate_ok(r);
	if (r->status == 401)
		(void)rate_ok(r, r->s->by_address, str_z(r->remote));
	return false;
}

bool auth_check(struct http_req *r)
{
	bool ok = who_is_it(r);

	return r->must_ask ? ok : rated(r, ok);
}

bool auth_ask(struct http_req *r)
{
	str        scheme, text;
	struct err e = { 0 };
	int        rc;

	r->must_ask = false;
	if (!credentials_of(r, &scheme, &text))
		BUG("a request whose credentials are asked about has none");
	rc = r->s->cfg.authenticate_slow(r->s->cfg.auth_ctx, scheme, text, &r->who, &e);
	return rated(r, take_identity(r, rc, &e) && (r->who.scope == SCOPE_NONE || auth_may(r)));
}
