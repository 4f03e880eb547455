/* flag-copy-api.c - the routes that edges copy sets from: the list of revisions, a stream that says when it changed, and the texts.
 *
 * Nothing here touches the database: what is copied is what is served. List and stream run on loop threads, texts on workers, since they may be
 * large and the other end slow. */
#include "base/base.h"

#include "flag/flag-copy.h"
#include "flag/room.h"

static bool may_copy(const struct http_identity *who, const struct flag_entry *e) { return !who->project[0] || !strcmp(who->project, e->project); }

static void write_list(struct http_req *req, const struct flag_table *t)
{
	struct jw w;

	http_json(req, &w);
	jw_obj(&w);
	jw_key(&w, "flag_sets");
	jw_arr(&w);
	for (size_t i = 0; i < t->n; i++) {
		if (!may_copy(http_who(req), t->entries[i]))
			continue;
		jw_obj(&w);
		jw_kstrz(&w, "id", t->entries[i]->id);
		jw_kstrz(&w, "project", t->entries[i]->project);
		jw_kstrz(&w, "name", t->entries[i]->name);
		jw_kint(&w, "revision", flag_set_head(t->entries[i]->set)->revision);
		jw_end(&w);
	}
	jw_end(&w);
	jw_end(&w);
}

static bool seen_already(struct http_req *req, const char *etag)
{
	str seen = http_header(req, "if-none-match");

	http_set_header(req, "ETag", str_z(etag));
	if (!seen.len || !(str_eqz(seen, "*") || str_contains(seen, str_z(etag))))
		return false;
	http_status(req, 304);
	return true;
}

static int get_copies(struct http_req *req, void *ctx, struct err *reterr UNUSED)
{
	struct flag_room *r = ctx;
	char              hex[SHA256_HEX], etag[40];

	write_list(req, flag_read_begin(r->tables));
	flag_read_end(r->tables);
	sha256_hex(buf_str(http_out(req)), hex);
	snprintf(etag, sizeof(etag), "\"%.32s\"", hex);
	if (seen_already(req, etag))
		buf_clear(http_out(req));
	return 0;
}

static int get_copy_events(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room *r = ctx;

	return sse_attach(req, r->copy_hub, NULL, 0, reterr);
}

/* The position is the table's generation, which a restart begins anew: who comes is told once, and looks. */
int flag_copy_pull(struct sse_client *c, struct buf *out, bool *ret_end UNUSED, void *room, struct err *reterr UNUSED)
{
	struct flag_room *r = room;
	int64_t           generation = flag_read_begin(r->tables)->generation;

	flag_read_end(r->tables);
	if (c->position != generation)
		sse_message(out, -1, "message", STR("{\"type\":\"changed\"}"));
	c->position = generation;
	return 0;
}

static int put_piece(void *req, str piece, struct err *reterr) { return http_write(req, piece, reterr); }

static int get_copy(struct http_req *req, void *ctx, struct err *reterr)
{
	struct flag_room        *r = ctx;
	struct arena            *a = http_arena(req);
	char                    *id = arena_printf(a, "%.*s/%.*s", STR_ARG(http_param(req, "project")), STR_ARG(http_param(req, "set"))), etag[32];
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), str_z(id));
	struct flag_set         *set = e ? flag_set_ref(e->set) : NULL;
	struct flag_copy         c = { .id = str_z(id), .project = http_param(req, "project"), .name = http_param(req, "set") };
	int                      rc = 0;

	if (e) {
		c.environment = arena_str(a, str_z(e->environment));
		c.source = e->source;
		c.changed_at = e->changed_at;
	}
	flag_read_end(r->tables);
	if (!set)
		return err_set(reterr, WEIR_ENOENT, "there is no flag set '%s'", id ? id : "");
	c.revision = flag_set_head(set)->revision;
	c.evaluators = flag_set_head(set)->evaluators;
	c.metadata = flag_set_head(set)->metadata;
	c.segments = flag_set_head(set)->segments;
	snprintf(etag, sizeof(etag), "\"%lld\"", (long long)c.revision);
	if (!seen_already(req, etag)) {
		http_type(req, "text/plain; charset=utf-8");
		rc = flag_copy_write(&c, set, put_piece, req, reterr);
	}
	flag_set_unref(set);
	return rc;
}

static const struct http_query_param events_query[] = { SSE_QUERY, { .name = NULL } };
static const char list_schema[] = "{\"type\":\"object\",\"properties\":{\"flag_sets\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const struct http_route routes[] = {
	{ .method = "GET", .path = "/api/v1/flag-copies", .kind = HTTP_FAST, .scope = SCOPE_EDGE, .fn = get_copies,
	  .doc = "Flag sets that the token may copy, with their revisions; for edges.", .answer_doc = list_schema },
	{ .method = "GET", .path = "/api/v1/flag-copies/events", .kind = HTTP_SSE, .scope = SCOPE_EDGE, .fn = get_copy_events,
	  .doc = "Event stream that says when the list of flag-copies changed, and once at the beginning.", .query = events_query },
	{ .method = "GET", .path = "/api/v1/projects/:project/flag-sets/:set/copy", .kind = HTTP_STREAM, .scope = SCOPE_EDGE, .fn = get_copy,
	  .doc = "The set as a text that an edge keeps: lines of JSON, the last one a digest of the others." },
};

const struct http_route *flag_copy_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
