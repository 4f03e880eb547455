/* unleash-frontend.c - /api/frontend: the server evaluates, for browsers and phones that must not see how flags are decided. All kinds of flags.
 *
 * Loop threads; no database. The context comes by the query (GET) or the body (POST), in Unleash's fields; it is one object for flags of both kinds: the
 * fields and properties by their names, and targetingKey, which is userId, else sessionId. What is missing and Unleash's server adds is added: the address
 * of the caller, and a session of its own. The ETag is a digest of the answer, since chance and time may decide. */
#include "base/base.h"

#include "flag/unleash-api.h"

#define PROPERTIES "properties"

static bool is_field(str name)
{
	static const char *const fields[] = { "appName", "environment", "userId", "sessionId", "remoteAddress", "currentTime" };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (str_eqz(name, fields[i]))
			return true;
	return false;
}

struct context { /* pairs by name; the first of a name counts */
	struct http_pair *pairs;
	size_t            n, cap;
};

static const str *context_get(const struct context *c, str name)
{
	for (size_t i = 0; i < c->n; i++)
		if (str_eq(c->pairs[i].name, name))
			return &c->pairs[i].value;
	return NULL;
}

static void context_add(struct context *c, str name, str value)
{
	if (c->n < c->cap && value.len && !context_get(c, name))
		c->pairs[c->n++] = (struct http_pair){ name, value };
}

/* --- reading --- */

/* "x" of "properties[x]"; STR_NULL: another name. */
static str property_name(str name)
{
	if (!str_has_prefix(name, STR(PROPERTIES "[")) || !str_has_suffix(name, STR("]")))
		return STR_NULL;
	return str_sub(name, strlen(PROPERTIES "["), name.len - strlen(PROPERTIES "[]"));
}

static int context_of_query(struct http_req *req, struct context *c, struct err *reterr)
{
	struct http_pair *v;
	size_t            n;
	int               rc = http_query_pairs(req, &v, &n, reterr);

	if (rc)
		return rc;
	c->cap = n + 3;
	c->pairs = ARENA_ARRAY(http_arena(req), c->cap, struct http_pair);
	for (size_t i = 0; c->pairs && i < n; i++)
		if (is_field(v[i].name))
			context_add(c, v[i].name, v[i].value);
	for (size_t i = 0; c->pairs && i < n; i++) {
		str name = property_name(v[i].name);

		if (!is_field(v[i].name))
			context_add(c, name.ptr ? name : v[i].name, v[i].value);
	}
	return arena_check(http_arena(req), "the context", reterr);
}

static void add_node(struct context *c, str name, const struct doc_node *n)
{
	if (n->kind == DOC_STR)
		context_add(c, name, n->s);
	else if (n->kind == DOC_BOOL || n->kind == DOC_INT || n->kind == DOC_REAL)
		context_add(c, name, n->text);
}

/* Scalars, other than null, of a map. only_fields: Unleash's own; else all others. */
static void add_map(struct context *c, const struct doc_node *map, bool only_fields, bool all)
{
	for (size_t i = 0; i < doc_len(map); i++)
		if (all || is_field(map->map.pairs[i].key) == only_fields)
			add_node(c, map->map.pairs[i].key, map->map.pairs[i].value);
}

static int context_of_body(struct http_req *req, struct context *c, struct err *reterr)
{
	struct arena          *a = http_arena(req);
	const struct doc_node *n, *properties;
	struct doc_node       *body;
	struct doc_check       k;
	int                    rc = http_body_json(req, &body, reterr);

	if (rc)
		return rc;
	doc_check_init(&k, a, "body");
	if (!doc_is_map(&k, body, "the body", NULL))
		return doc_check_result(&k, reterr);
	n = doc_get(body, "context");
	properties = doc_get(n, PROPERTIES);
	if (n)
		(void)doc_is_map(&k, n, "context", NULL);
	if (properties && properties->kind != DOC_NULL)
		(void)doc_is_map(&k, properties, "properties", NULL);
	if ((rc = doc_check_result(&k, reterr)))
		return rc;
	if (doc_len(n) + doc_len(properties) > LIMIT_UNLEASH_CONTEXT)
		return err_set(reterr, WEIR_ELIMIT, "the context has more than %d names", LIMIT_UNLEASH_CONTEXT);
	c->cap = doc_len(n) + doc_len(properties) + 3;
	c->pairs = ARENA_ARRAY(a, c->cap, struct http_pair);
	if (c->pairs) {
		add_map(c, n, true, false);
		add_map(c, properties, false, true);
		add_map(c, n, false, false);
	}
	return arena_check(a, "the context", reterr);
}

static void complete(struct http_req *req, struct context *c)
{
	struct arena *a = http_arena(req);
	const str    *key;
	char          session[41];

	context_add(c, STR("remoteAddress"), http_remote(req));
	key = context_get(c, STR("userId"));
	key = key ? key : context_get(c, STR("sessionId"));
	if (key)
		context_add(c, STR("targetingKey"), *key);
	if (!context_get(c, STR("sessionId")))
		context_add(c, STR("sessionId"), arena_str(a, str_z(random_text(session, sizeof(session) - 1))));
}

static int to_logic(struct http_req *req, const struct context *c, struct logic_value *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(8 * 1000000);
	struct doc_node       *n;
	struct jw              w;
	int                    rc;

	jw_init(&w, &text);
	jw_obj(&w);
	for (size_t i = 0; i < c->n; i++) {
		jw_key_n(&w, c->pairs[i].name);
		jw_str(&w, c->pairs[i].value);
	}
	jw_end(&w);
	rc = buf_check(&text, "the context", reterr);
	if (!rc)
		rc = doc_parse_json(http_arena(req), "context", buf_str(&text), &n, reterr);
	return rc ? rc : logic_from_doc(http_arena(req), n, ret, reterr);
}

/* --- answering --- */

static void write_toggle(struct jw *w, const struct flag_unleash_answer *a)
{
	jw_obj(w);
	jw_kstr(w, "name", a->flag->key);
	jw_kbool(w, "enabled", true);
	jw_key(w, "variant");
	jw_obj(w);
	jw_kstr(w, "name", a->variant);
	jw_kbool(w, "enabled", a->has_variant);
	jw_kbool(w, "feature_enabled", true);
	jw_kbool(w, "featureEnabled", true);
	if (a->payload_type.ptr) {
		jw_key(w, "payload");
		jw_obj(w);
		jw_kstr(w, "type", a->payload_type);
		jw_kstr(w, "value", a->payload_value);
		jw_end(w);
	}
	jw_end(w);
	jw_kbool(w, "impressionData", a->impression_data);
	jw_end(w);
}

static void write_toggles(struct jw *w, struct flag_room *r, const struct flag_entry *e, struct flag_context *c)
{
	jw_obj(w);
	jw_key(w, "toggles");
	jw_arr(w);
	for (size_t i = 0; i < e->n_sorted; i++) {
		struct flag_unleash_answer answer;

		c->random = flag_chance(r);
		flag_evaluate_unleash(e->set, e->sorted[i], c, &answer);
		if (answer.enabled)
			write_toggle(w, &answer);
	}
	jw_end(w);
	jw_end(w);
}

static int answer(struct http_req *req, struct flag_room *r, struct context *c, struct err *reterr)
{
	struct flag_context      context = { .now = clock_wall(r->cfg.clock), .scratch = http_arena(req) };
	const struct flag_entry *e;
	struct unleash_set       set;
	char                     hex[SHA256_HEX];
	struct jw                w;
	str                      seen = http_header(req, "if-none-match");
	int                      rc;

	complete(req, c);
	if ((rc = to_logic(req, c, &context.data, reterr)) || !unleash_choose(r, req, NULL, 0, STR(""), &set))
		return rc;
	http_json(req, &w);
	e = flag_table_find(flag_read_begin(r->tables), set.id);
	if (e)
		write_toggles(&w, r, e, &context);
	flag_read_end(r->tables);
	flag_set_unref(set.set);
	if (!e)
		return err_set(reterr, WEIR_ENOENT, "the flag set is gone");
	sha256_hex(buf_str(http_out(req)), hex);
	hex[32] = '\0';
	http_set_header(req, "Cache-Control", STR("no-cache"));
	http_set_headerf(req, "ETag", "\"%s\"", hex);
	if (seen.len && (str_eqz(seen, "*") || str_contains(seen, str_z(hex)))) {
		http_out(req)->len = 0;
		http_status(req, 304);
	}
	return 0;
}

int unleash_get_frontend(struct http_req *req, void *room, struct err *reterr)
{
	struct context c = { 0 };
	int            rc = context_of_query(req, &c, reterr);

	return rc ? rc : answer(req, room, &c, reterr);
}

int unleash_post_frontend(struct http_req *req, void *room, struct err *reterr)
{
	struct context c = { 0 };
	int            rc;

	if (!unleash_is_json(req))
		return http_refuse(req, 415, "the body must be JSON: Content-Type: application/json");
	rc = context_of_body(req, &c, reterr);
	return rc ? rc : answer(req, room, &c, reterr);
}
