/* metrics.c - the server's own counters and their Prometheus text. Counting is lock-free and happens once per request, when its answer is out. */
#include "base/base.h"
#include "net/http-internal.h"

static const int64_t bucket_us[] = { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000 };
_Static_assert(sizeof(bucket_us) / sizeof(bucket_us[0]) + 1 == HTTP_BUCKETS, "one bucket more than bounds");

void metrics_count(struct http_req *r)
{
	struct http_server *s = r->s;
	int64_t             us = clock_mono(s->cfg.clock) - r->began;
	size_t              b = 0;

	if (r->state != REQ_SENT || r->status < ROUTE_STATUS_MIN || r->status > ROUTE_STATUS_MAX)
		return; /* no answer was made: the client went away */
	atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(r->match.entry ? &r->match.entry->answers[r->status - ROUTE_STATUS_MIN]
	                                         : &s->unrouted[r->status - ROUTE_STATUS_MIN],
	                          1, memory_order_relaxed);
	if (r->is_events || r->stream)
		return; /* their length is the client's choice */
	while (b < ARRAY_SIZE(bucket_us) && us > bucket_us[b])
		b++;
	atomic_fetch_add_explicit(&s->buckets[b], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->seconds_sum_us, (uint64_t)us, memory_order_relaxed);
}

static void metric(struct buf *out, const char *name, const char *kind, const char *help, uint64_t v)
{
	buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, kind, name, (unsigned long long)v);
}

static void one_route(struct buf *out, const char *method, const char *path, const _Atomic uint64_t *answers)
{
	for (int i = 0; i <= ROUTE_STATUS_MAX - ROUTE_STATUS_MIN; i++) {
		uint64_t n = atomic_load_explicit(&answers[i], memory_order_relaxed);

		if (n)
			buf_addf(out, "weir_http_requests_total{method=\"%s\",route=\"%s\",status=\"%d\"} %llu\n", method, path,
			         i + ROUTE_STATUS_MIN, (unsigned long long)n);
	}
}

void http_server_metrics(const struct http_server *s, struct buf *out)
{
	uint64_t sum = 0;

	buf_addz(out, "# HELP weir_http_requests_total Answered requests by route and status.\n# TYPE weir_http_requests_total counter\n");
	for (size_t i = 0; i < router_count(s->router); i++) {
		const struct route_entry *e = router_at(s->router, i);

		one_route(out, e->route->method, e->route->path, e->answers);
	}
	one_route(out, "", "", s->unrouted);
	buf_addz(out, "# HELP weir_http_request_seconds From the request line to the end of the answer; streams are not in it.\n"
	              "# TYPE weir_http_request_seconds histogram\n");
	for (size_t b = 0; b < ARRAY_SIZE(bucket_us); b++) {
		sum += atomic_load(&s->buckets[b]);
		buf_addf(out, "weir_http_request_seconds_bucket{le=\"%g\"} %llu\n", (double)bucket_us[b] / 1e6, (unsigned long long)sum);
	}
	sum += atomic_load(&s->buckets[ARRAY_SIZE(bucket_us)]);
	buf_addf(out, "weir_http_request_seconds_bucket{le=\"+Inf\"} %llu\nweir_http_request_seconds_sum %g\nweir_http_request_seconds_count %llu\n",
	         (unsigned long long)sum, (double)atomic_load(&s->seconds_sum_us) / 1e6, (unsigned long long)sum);
	metric(out, "weir_http_connections", "gauge", "Open connections.", atomic_load(&s->n_conns));
	metric(out, "weir_http_connections_total", "counter", "Connections that were opened.", atomic_load(&s->connections));
	metric(out, "weir_http_refused_malformed_total", "counter", "Requests refused by the strict checks.", atomic_load(&s->refused_strict));
	metric(out, "weir_http_refused_busy_total", "counter", "Requests refused with 503.", atomic_load(&s->refused_busy));
	metric(out, "weir_http_timeouts_total", "counter", "Connections cut because a request came too slowly.", atomic_load(&s->timeouts));
}
