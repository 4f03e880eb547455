/* app.c - the routes. A route fills a response; what it does not set is 200, application/json, empty. */
#include "app.h"
{{#flags}}
#include "flags.h"
{{/flags}}

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static char version[128] = "dev";

void app_init(void)
{
	FILE  *file = fopen("VERSION", "r");
	size_t n;

{{#flags}}
	flags_init();
{{/flags}}
	if (!file)
		return;
	n = fread(version, 1, sizeof(version) - 1, file);
	fclose(file);
	version[n] = 0;
	for (char *c = version; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr(".-_+", *c))
			*c = 0;
}

const char *app_version(void)
{
	return version;
}

static void root(const struct http_request *request, struct http_response *response)
{
	(void)request;
	http_printf(response, "{\"name\": \"%s\", \"version\": \"%s\"}\n", APP_NAME, version);
}

static void healthz(const struct http_request *request, struct http_response *response)
{
	(void)request;
	http_printf(response, "{\"status\": \"ok\"}\n");
}

{{#flags}}
/* A new thing that a flag lets onto some users. Here a user is who the query names: /welcome?u1 */
static void welcome(const struct http_request *request, struct http_response *response)
{
	http_printf(response, "{\"welcome\": \"%s\"}\n", flags_bool("new-welcome", request->query, false) ? "new" : "old");
}

{{/flags}}
static const struct {
	const char *path;
	void (*handle)(const struct http_request *request, struct http_response *response);
} routes[] = {
	{ "/", root },
	{ "/healthz", healthz },
{{#flags}}
	{ "/welcome", welcome },
{{/flags}}
};

void app_handle(const struct http_request *request, struct http_response *response)
{
	if (strcmp(request->method, "GET") && strcmp(request->method, "HEAD")) {
		response->status = 405;
		http_printf(response, "{\"error\": \"method not allowed\"}\n");
		return;
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!strcmp(request->path, routes[i].path)) {
			routes[i].handle(request, response);
			return;
		}
	}
	response->status = 404;
	http_printf(response, "{\"error\": \"not found\"}\n");
}
