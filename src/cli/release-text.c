/* release-text.c - a release in words. Reads the API's answer only; one thread. */
#include "base/base.h"
#include "base/clock.h"
#include "cli/release-text.h"

#include <math.h>

struct sums {
	int64_t canary, stable, failed_canary, failed_stable;
};

static struct sums sums_of(const struct doc_node *r)
{
	const struct doc_node *segs = doc_get(r, "segments");
	struct sums            s = { 0 };

	for (size_t i = 0; i < doc_len(segs); i++) {
		const struct doc_node *g = doc_at(segs, i);

		s.canary += doc_get_int(g, "requests_canary", 0);
		s.stable += doc_get_int(g, "requests_stable", 0);
		s.failed_canary += doc_get_int(g, "failed_canary", 0);
		s.failed_stable += doc_get_int(g, "failed_stable", 0);
	}
	return s;
}

static const char *state_words(const struct doc_node *r, char out[200])
{
	str    state = doc_get_str(r, "state");
	double share = doc_get_num(r, "share", 0) * 100;
	char   bake[32];

	if (str_eqz(state, "queued"))
		snprintf(out, 200, "waits for the release before it to end");
	else if (str_eqz(state, "starting"))
		snprintf(out, 200, "starting %lld instance(s), waiting for their health check", (long long)doc_get_int(r, "instances", 1));
	else if (str_eqz(state, "canary"))
		snprintf(out, 200, "%g%% of the requests go to the new version", share);
	else if (str_eqz(state, "baking"))
		snprintf(out, 200, "all requests go to the new version; watched for %s", clock_human(doc_get_int(r, "bake_ms", 0) * USEC_PER_MSEC, bake));
	else if (str_eqz(state, "finished"))
		snprintf(out, 200, "done: the new version is live at %.*s", STR_ARG(str_sub(doc_get_str(r, "url"), 0, 150)));
	else if (str_eqz(state, "returning"))
		snprintf(out, 200, "starting the version before it");
	else if (str_eqz(state, "rolled-back"))
		snprintf(out, 200, "ROLLED BACK: users are answered by the version before");
	else if (str_eqz(state, "aborted") && doc_get_str(r, "superseded_by").len)
		snprintf(out, 200, "superseded by a newer release before it was done");
	else if (str_eqz(state, "aborted"))
		snprintf(out, 200, doc_get_str(r, "from").len ? "ENDED before it was done: users are answered by the version before"
		                                              : "ENDED before it was done: there was no version before it");
	else
		snprintf(out, 200, "%.*s", STR_ARG(str_sub(state, 0, 100)));
	return out;
}

void release_text_line(struct cli *c, const struct doc_node *r)
{
	char        words[200];
	str         cause = doc_get_str(r, "cause"), problem = doc_get_str(r, "problem");
	const char *stop = doc_get_bool(r, "paused", false) ? " [paused]" : doc_get_bool(r, "held", false) ? " [held]" : "";

	cli_notef(c, "%s%s%s%.*s%s\n", state_words(r, words), stop, cause.len ? " (" : "", STR_ARG(cause), cause.len ? ")" : "");
	if (problem.len)
		cli_notef(c, "  problem: %.*s\n", STR_ARG(problem));
}

void release_text_evidence(struct cli *c, const struct doc_node *r)
{
	const struct doc_node *v = doc_path(r, "evidence.verdict");
	struct sums            s = sums_of(r);
	int64_t                first = doc_get_int(r, "first_bad_at", 0), last = doc_get_int(r, "last_bad_at", 0);
	char                   span[32];

	if (s.canary + s.stable)
		cli_notef(c, "Evidence: new version %lld requests, %lld failed; old version %lld requests, %lld failed\n", (long long)s.canary, (long long)s.failed_canary,
		          (long long)s.stable, (long long)s.failed_stable);
	if (doc_get(v, "log_e_worse") && doc_get_num(v, "log_e_worse", 0) > 0)
		cli_notef(c, "  the bet that the new version fails more often stands at %.3g to 1 (it takes %.3g to 1 to roll back)\n",
		          exp(fmin(doc_get_num(v, "log_e_worse", 0), 700)), exp(doc_get_num(v, "threshold_worse", 0)));
	if (first)
		cli_notef(c, "  first to last bad answer: %s\n", clock_human(last - first, span));
	if (doc_get_int(r, "missing_records", 0))
		cli_notef(c, "  %lld requests are known from HAProxy's counters only\n", (long long)doc_get_int(r, "missing_records", 0));
}

void release_text_show(struct cli *c, const struct doc_node *r)
{
	char   words[200], at[CLOCK_RFC3339_SIZE];
	str    cause = doc_get_str(r, "cause");
	bool   over = doc_get_bool(r, "over", false);
	const struct doc_node *segs = doc_get(r, "segments"), *v = doc_path(r, "evidence.verdict");

	cli_printf(c, "%srelease %.*s%s  %.*s/%.*s in %.*s\n", cli_color(c, "bold"), STR_ARG(doc_get_str(r, "id")), cli_color(c, ""), STR_ARG(doc_get_str(r, "project")),
	           STR_ARG(doc_get_str(r, "service")), STR_ARG(doc_get_str(r, "environment")));
	cli_printf(c, "  version   %.12s of commit %.12s\n  begun     %s by %.*s\n", doc_get_str(r, "digest").ptr ? doc_get_str(r, "digest").ptr : "",
	           doc_get_str(r, "commit").ptr ? doc_get_str(r, "commit").ptr : "", clock_rfc3339(doc_get_int(r, "created_at", 0), at),
	           STR_ARG(doc_get_str(r, "by")));
	cli_printf(c, "  state     %.*s%s%s: %s\n", STR_ARG(doc_get_str(r, "state")), !over && doc_get_bool(r, "held", false) ? ", held" : "",
	           !over && doc_get_bool(r, "paused", false) ? ", paused" : "", state_words(r, words));
	if (cause.len)
		cli_printf(c, "  cause     %.*s\n", STR_ARG(cause));
	if (doc_get_str(r, "url").len)
		cli_printf(c, "  address   %.*s\n", STR_ARG(doc_get_str(r, "url")));
	for (size_t i = 0; i < doc_len(segs); i++) {
		const struct doc_node *g = doc_at(segs, i);

		cli_printf(c, "  at %5.4g%%  new: %lld requests, %lld failed, %lld errors counted; old: %lld, %lld, %lld\n", doc_get_num(g, "share", 0) * 100,
		           (long long)doc_get_int(g, "requests_canary", 0), (long long)doc_get_int(g, "failed_canary", 0), (long long)doc_get_int(g, "errors_canary", 0),
		           (long long)doc_get_int(g, "requests_stable", 0), (long long)doc_get_int(g, "failed_stable", 0), (long long)doc_get_int(g, "errors_stable", 0));
	}
	for (size_t i = 0; i < 2; i++) {
		const struct doc_node *l = doc_path(r, i ? "latency.stable" : "latency.canary");

		if (doc_get_int(l, "answers", 0))
			cli_printf(c, "  %s  %lld answers, half within %lld ms, 95%% within %lld ms\n", i ? "old took" : "new took", (long long)doc_get_int(l, "answers", 0),
			           (long long)doc_get_int(l, "p50_ms", 0), (long long)doc_get_int(l, "p95_ms", 0));
	}
	if (v)
		cli_printf(c, "  judge     %.*s: %.*s\n            worse %.2f of %.2f, good %.2f of %.2f (natural logs)\n", STR_ARG(doc_get_str(v, "call")),
		           STR_ARG(doc_get_str(v, "says")), doc_get_num(v, "log_e_worse", 0), doc_get_num(v, "threshold_worse", 0),
		           fmax(doc_get_num(v, "log_e_relative", -99), doc_get_num(v, "log_e_absolute", -99)), doc_get_num(v, "threshold_good", 0));
}
