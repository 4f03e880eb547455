/* unleash-routes.c - the table of Unleash's routes, and weir's own about them. */
#include "base/base.h"

#include "flag/unleash-api.h"

enum { BODY_MAX = 1000000, BULK_MAX = 4000000 };

static const char *error_name(int status)
{
	switch (status) {
	case 401: return "AuthenticationRequired";
	case 403: return "NoAccessError";
	case 404: return "NotFoundError";
	case 405: return "InvalidOperationError";
	case 409: return "ConflictError";
	case 413: return "PayloadTooLargeError";
	case 415: return "ContentTypeError";
	case 429: return "RateLimitError";
	default: return status < 500 ? "BadDataError" : "InternalError";
	}
}

void unleash_error(struct http_req *req, int status, const char *code UNUSED, str message)
{
	char      id[ID_SIZE];
	struct jw w;

	http_json(req, &w);
	jw_obj(&w);
	jw_kstrz(&w, "id", id_new(id));
	jw_kstrz(&w, "name", error_name(status));
	jw_kstr(&w, "message", message);
	jw_key(&w, "details");
	jw_arr(&w);
	jw_obj(&w);
	jw_kstr(&w, "message", message);
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
}

bool unleash_is_json(const struct http_req *req)
{
	str v = http_header(req, "content-type"), left, right;

	(void)str_cut(v, ';', &left, &right);
	return str_eq_nocase(str_trim(left), STR("application/json"));
}

static const struct http_query_param counts_query[] = {
	{ .name = "flag", .kind = QUERY_TEXT, .doc = "only this flag's" },
	{ .name = "hours", .kind = QUERY_INT, .min = 1, .max = 24 * LIMIT_UNLEASH_DAYS, .doc = "of the last so many hours; 24 when not said" },
	{ .name = NULL },
};
static const char features_schema[] =
	"{\"type\":\"object\",\"required\":[\"version\",\"features\"],\"properties\":{\"version\":{\"type\":\"integer\"},\"features\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
	"\"segments\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"query\":{\"type\":\"object\"},\"meta\":{\"type\":\"object\"}}}";
static const char feature_schema[] =
	"{\"type\":\"object\",\"required\":[\"name\",\"enabled\"],\"properties\":{\"name\":{\"type\":\"string\"},\"enabled\":{\"type\":\"boolean\"},\"strategies\":{\"type\":\"array\",\"items\":{}}}}";
static const char delta_schema[] = "{\"type\":\"object\",\"required\":[\"events\"],\"properties\":{\"events\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char toggles_schema[] = "{\"type\":\"object\",\"required\":[\"toggles\"],\"properties\":{\"toggles\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char context_schema[] = "{\"type\":\"object\",\"properties\":{\"context\":{\"type\":\"object\"}}}";
static const char register_schema[] =
	"{\"type\":\"object\",\"required\":[\"appName\"],\"properties\":{\"appName\":{\"type\":\"string\"},\"instanceId\":{\"type\":\"string\"},\"sdkVersion\":{\"type\":\"string\"},"
	"\"strategies\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"started\":{\"type\":\"string\"},\"interval\":{\"type\":\"number\"}}}";
static const char metrics_schema[] =
	"{\"type\":\"object\",\"required\":[\"appName\"],\"properties\":{\"appName\":{\"type\":\"string\"},\"instanceId\":{\"type\":\"string\"},\"bucket\":{\"type\":\"object\"}}}";
static const char bulk_schema[] =
	"{\"type\":\"object\",\"properties\":{\"applications\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},\"metrics\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char clients_schema[] = "{\"type\":\"object\",\"properties\":{\"clients\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char counts_schema[] = "{\"type\":\"object\",\"properties\":{\"counts\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";
static const char about_schema[] =
	"{\"type\":\"object\",\"properties\":{\"revision\":{\"type\":\"integer\"},\"given\":{\"type\":\"integer\"},\"left_out\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}}}";

#define SET_PATH "/api/v1/projects/:project/flag-sets/:set"
static const struct http_route routes[] = {
	{ .method = "GET", .path = "/api/client/features", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .fn = unleash_get_features,
	  .doc = "All flags of a set that Unleash's clients evaluate themselves (Unleash client API).", .answer_doc = features_schema, .query = http_any_query },
	{ .method = "GET", .path = "/api/client/features/*name", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .fn = unleash_get_feature,
	  .doc = "One of them (Unleash client API).", .answer_doc = feature_schema, .query = http_any_query },
	{ .method = "GET", .path = "/api/client/delta", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .fn = unleash_get_delta,
	  .doc = "What changed since the revision that If-None-Match names (Unleash client API).", .answer_doc = delta_schema, .query = http_any_query },
	{ .method = "GET", .path = "/api/client/streaming", .kind = HTTP_SSE, .scope = SCOPE_FLAGS, .fn = unleash_get_stream,
	  .doc = "Event stream of a set: everything first, then what changes; goes on by Last-Event-ID (Unleash client API).", .query = http_any_query },
	{ .method = "POST", .path = "/api/client/register", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .body_max = BODY_MAX, .fn = unleash_post_register,
	  .doc = "An application says that it is there (Unleash client API).", .body_doc = register_schema },
	{ .method = "POST", .path = "/api/client/metrics", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .body_max = BODY_MAX, .fn = unleash_post_metrics,
	  .doc = "An application says how often which flag was on and off (Unleash client API).", .body_doc = metrics_schema },
	{ .method = "POST", .path = "/api/client/metrics/bulk", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .body_max = BULK_MAX, .fn = unleash_post_bulk,
	  .doc = "The same for many applications at once, as relays send it (Unleash client API).", .body_doc = bulk_schema },
	{ .method = "GET", .path = "/api/frontend", .kind = HTTP_FAST, .scope = SCOPE_FLAGS, .fn = unleash_get_frontend,
	  .doc = "Flags that are on for the context of the query (Unleash frontend API).", .answer_doc = toggles_schema, .query = http_any_query, .cors = true },
	{ .method = "POST", .path = "/api/frontend", .kind = HTTP_FAST, .scope = SCOPE_FLAGS, .body_max = BODY_MAX, .fn = unleash_post_frontend,
	  .doc = "Flags that are on for the context of the body (Unleash frontend API).", .body_doc = context_schema, .answer_doc = toggles_schema, .cors = true },
	{ .method = "POST", .path = "/api/frontend/client/register", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .body_max = BODY_MAX,
	  .fn = unleash_post_frontend_register, .doc = "A page or app says that it is there (Unleash frontend API).", .body_doc = register_schema, .cors = true },
	{ .method = "POST", .path = "/api/frontend/client/metrics", .kind = HTTP_WORKER, .scope = SCOPE_FLAGS, .body_max = BODY_MAX,
	  .fn = unleash_post_frontend_metrics, .doc = "A page or app says how often which flag was on and off (Unleash frontend API).", .body_doc = metrics_schema,
	  .cors = true },
	{ .method = "GET", .path = SET_PATH "/unleash", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = unleash_get_about,
	  .doc = "Which flags are left out of what Unleash's clients evaluate themselves, and why.", .answer_doc = about_schema },
	{ .method = "GET", .path = SET_PATH "/clients", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = unleash_get_clients,
	  .doc = "Applications that registered for a set by Unleash's protocol, and their instances.", .answer_doc = clients_schema },
	{ .method = "GET", .path = SET_PATH "/counts", .kind = HTTP_WORKER, .scope = SCOPE_READ, .fn = unleash_get_counts,
	  .doc = "How often which flag was on and off, as applications counted it.", .answer_doc = counts_schema, .query = counts_query },
};

const struct http_route *flag_unleash_routes(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(routes);
	return routes;
}
