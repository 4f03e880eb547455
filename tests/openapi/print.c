/* print.c - the OpenAPI document of all rooms' routes on standard output; also proves that no two of them can match one request. */
#include "base/base.h"
#include "base/hash.h"
#include "event/event-api.h"
#include "flag/flag-copy.h"
#include "flag/flag.h"
#include "insight/insight.h"
#include "net/standard.h"
#include "net/token.h"
#include "pipeline/pipeline.h"
#include "release/release.h"
#include "repo/repo.h"
#include "web/web.h"

int main(void)
{
	const struct http_route *(*const rooms[])(size_t *) = { standard_routes, token_routes,   event_routes,   repo_routes,
		                                                    pipeline_routes, release_routes, insight_routes, web_routes,
		                                                    flag_routes,     flag_ofrep_routes, flag_copy_routes, flag_unleash_routes };
	struct http_config  cfg = { .port = 0 };
	struct http_server *s = NULL;
	struct buf          out = BUF_INIT(8 << 20);
	struct err          e = { 0 };
	int                 r;

	base_init();
	r = http_server_new(&cfg, &s, &e);
	for (size_t i = 0; !r && i < ARRAY_SIZE(rooms); i++) {
		size_t                   n;
		const struct http_route *list = rooms[i](&n);

		r = http_server_routes(s, list, n, NULL, &e);
	}
	if (!r)
		r = http_server_openapi(s, &out, &e);
	if (r)
		fprintf(stderr, "%s\n", e.msg);
	else
		fwrite(out.ptr, 1, out.len, stdout);
	http_server_stop(s, 0);
	buf_fini(&out);
	return r ? 1 : 0;
}
