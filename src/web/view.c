/* view.c - see view.h. */
#include "base/base.h"
#include "web/view.h"

#include <math.h>

static const struct {
	const char *word, *class;
} state_classes[] = {
	{ "success", "good" },   { "accepted", "good" },  { "active", "good" },    { "pass", "good" },       { "good", "good" },
	{ "healthy", "good" },   { "promoted", "good" },  { "finished", "good" },  { "done", "good" },       { "running-well", "good" },
	{ "failure", "bad" },    { "refused", "bad" },    { "fail", "bad" },       { "worse", "bad" },       { "rolled_back", "bad" },
	{ "rolled-back", "bad" }, { "failed", "bad" },    { "rolling-back", "bad" }, { "error", "bad" },     { "timed_out", "bad" },
	{ "running", "live" },   { "canary", "live" },    { "starting", "live" },  { "baking", "live" },     { "bake", "live" },
	{ "promoting", "live" }, { "queued", "held" },    { "waiting", "held" },   { "held", "held" },       { "paused", "held" },
	{ "cannot-judge", "held" }, { "worse-hold", "held" }, { "pending", "held" }, { "cancelled", "idle" }, { "skipped", "idle" },
	{ "archived", "idle" },  { "superseded", "idle" }, { "undecided", "live" }, { "live", "good" },    { "returning", "bad" },   { "aborted", "bad" },
	{ "empty", "idle" },     { "on", "good" },         { "off", "idle" },       { "missing", "bad" },     { "open", "held" },      { "scheduled", "live" },
	{ "completed", "good" },  { "applied", "good" },   { "rejected", "bad" },   { "withdrawn", "idle" },
};

const char *view_state_class(str state)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_classes); i++)
		if (str_eq_nocase(state, str_z(state_classes[i].word)))
			return state_classes[i].class;
	return "idle";
}

static bool is_hex_id(str s)
{
	if (s.len < 40 || s.len > 64)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("0123456789abcdef", s.ptr[i]))
			return false;
	return true;
}

static void key_with(struct jw *w, str key, const char *tail)
{
	char   name[160];
	size_t n = key.len < 128 ? key.len : 128;

	memcpy(name, key.ptr, n);
	snprintf(name + n, sizeof(name) - n, "%s", tail);
	jw_key(w, name);
}

static void write_percent(struct jw *w, str key, double share)
{
	key_with(w, key, "_percent");
	if (share > 0 && share < 0.001)
		jw_fmt(w, "%.3f%%", share * 100);
	else if (fabs(share * 100 - round(share * 100)) < 1e-9)
		jw_fmt(w, "%.0f%%", share * 100);
	else
		jw_fmt(w, "%.2f%%", share * 100);
}

static void write_ago(struct jw *w, str key, usec_t at, usec_t now)
{
	static const struct {
		int64_t     seconds;
		const char *unit;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "m" }, { 1, "s" } };
	char    when[CLOCK_RFC3339_SIZE];
	int64_t s = (at <= now ? now - at : at - now) / USEC_PER_SEC;
	size_t  u = 0;

	while (u + 1 < ARRAY_SIZE(units) && s < 2 * units[u].seconds)
		u++;
	key_with(w, key, "_ago");
	if (!s)
		jw_strz(w, "now");
	else
		jw_fmt(w, at <= now ? "%lld%s ago" : "in %lld%s", (long long)(s / units[u].seconds), units[u].unit);
	clock_rfc3339(at, when);
	key_with(w, key, "_local");
	jw_fmt(w, "%.10s %.8s UTC", when, when + 11);
	key_with(w, key, "_iso");
	jw_strz(w, when);
}

/* Microseconds of the years 2001 to 2223: no count and no size of weir is so large. */
static bool is_time_number(int64_t v) { return v > 1000000000 * USEC_PER_SEC && v < 8000000000 * USEC_PER_SEC; }

static void write_text_extras(struct jw *w, str key, str s, usec_t now)
{
	usec_t at;

	if (s.len >= 20 && s.len <= 35 && clock_parse_rfc3339(s, &at)) {
		write_ago(w, key, at, now);
	} else if (str_eqz(key, "state") || str_eqz(key, "result") || str_eqz(key, "verdict") || str_eqz(key, "call") || str_eqz(key, "status")) {
		key_with(w, key, "_class");
		jw_strz(w, view_state_class(s));
	} else if (is_hex_id(s)) {
		key_with(w, key, "_short");
		jw_str(w, str_sub(s, 0, 10));
	} else if (str_eqz(key, "ref")) {
		jw_key(w, "ref_short");
		jw_str(w, str_has_prefix(s, STR("refs/heads/")) ? str_sub(s, 11, s.len) : str_has_prefix(s, STR("refs/tags/")) ? str_sub(s, 10, s.len) : s);
	}
}

static void write_bytes(struct jw *w, str key, int64_t n)
{
	key_with(w, key, "_human");
	if (n < 1024)
		jw_fmt(w, "%lld B", (long long)n);
	else if (n < 1 << 20)
		jw_fmt(w, "%.1f KiB", (double)n / 1024);
	else
		jw_fmt(w, "%.1f MiB", (double)n / (1 << 20));
}

static bool is_id(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!memchr("0123456789ABCDEFGHJKMNPQRSTVWXYZ", s.ptr[i], 32))
			return false;
	return true;
}

/* An event's data as a list of key and text, with links where the value names a thing that has a page. */
static void write_data_list(struct jw *w, const struct doc_node *map)
{
	jw_key(w, "data_list");
	jw_arr(w);
	for (size_t i = 0; i < map->map.n; i++) {
		const struct doc_pair *pair = &map->map.pairs[i];
		str                    s = pair->value->kind == DOC_STR ? pair->value->s : pair->value->text;

		if (pair->value->kind == DOC_MAP || pair->value->kind == DOC_SEQ || !s.len || pair->value->kind == DOC_NULL)
			continue;
		jw_obj(w);
		jw_kstr(w, "key", pair->key);
		if (s.len == 26 && pair->value->kind == DOC_STR && is_id(s))
			jw_fmt((jw_key(w, "value"), w), "…%.*s", 6, s.ptr + 20); /* the random end tells ids apart */
		else
			jw_kstr(w, "value", is_hex_id(s) ? str_sub(s, 0, 10) : str_sub(s, 0, 200));
		if (str_eqz(pair->key, "run") || str_eqz(pair->key, "release")) {
			jw_key(w, "href");
			jw_fmt(w, "/%.*ss/%.*s", STR_ARG(pair->key), STR_ARG(s));
		}
		jw_end(w);
	}
	jw_end(w);
}

static void write_extras(struct jw *w, str key, const struct doc_node *v, usec_t now)
{
	bool is_share = str_eqz(key, "share") || str_has_prefix(key, STR("rate")) || str_has_suffix(key, STR("_share")) || str_has_suffix(key, STR("_rate"));

	switch (v->kind) {
	case DOC_STR: write_text_extras(w, key, v->s, now); break;
	case DOC_INT:
		if (is_time_number(v->i))
			write_ago(w, key, v->i, now);
		else if (str_has_suffix(key, STR("bytes")))
			write_bytes(w, key, v->i);
		else if (is_share)
			write_percent(w, key, (double)v->i);
		break;
	case DOC_REAL:
		if (is_share)
			write_percent(w, key, v->d);
		key_with(w, key, "_round");
		jw_fmt(w, "%.2f", v->d);
		break;
	case DOC_SEQ:
		key_with(w, key, "_n");
		jw_int(w, (int64_t)v->seq.n);
		key_with(w, key, "_any");
		jw_bool(w, v->seq.n > 0);
		break;
	case DOC_NONE:
	case DOC_NULL:
	case DOC_BOOL: break;
	case DOC_MAP:
		if (str_eqz(key, "data"))
			write_data_list(w, v);
		break;
	}
}

static void write_took(struct jw *w, const struct doc_node *map)
{
	usec_t from, to;
	char   text[32];

	if (clock_parse_rfc3339(doc_get_str(map, "started"), &from) && clock_parse_rfc3339(doc_get_str(map, "ended"), &to) && to >= from)
		jw_kstrz(w, "took", clock_human(to - from, text));
}

static void write_rate(struct jw *w, const struct doc_node *map, const char *arm)
{
	char    requests[32], failed[32], rate[32];
	int64_t n, bad;

	snprintf(requests, sizeof(requests), "requests_%s", arm);
	snprintf(failed, sizeof(failed), "failed_%s", arm);
	snprintf(rate, sizeof(rate), "failing_%s", arm);
	n = doc_get_int(map, requests, 0);
	bad = doc_get_int(map, failed, -1);
	if (n <= 0 || bad < 0)
		return;
	jw_knum(w, rate, (double)bad / (double)n);
	write_percent(w, str_z(rate), (double)bad / (double)n);
}

/* A measured figure in its unit, as people say it. */
static void write_figure(struct jw *w, const struct doc_node *map)
{
	const struct doc_node *value = doc_get(map, "value");
	str                    unit = doc_get_str(map, "unit");
	double                 v = doc_get_num(map, "value", 0);
	char                   text[32];

	if (!value || !unit.len)
		return;
	jw_key(w, "text");
	if (value->kind != DOC_REAL && value->kind != DOC_INT)
		jw_strz(w, "nothing to measure yet");
	else if (str_eqz(unit, "seconds"))
		jw_strz(w, clock_human((usec_t)(v * USEC_PER_SEC), text));
	else if (str_eqz(unit, "ratio"))
		jw_fmt(w, "%.0f%%", v * 100);
	else
		jw_fmt(w, "%.3g %.*s", v, STR_ARG(unit));
}

void view_write_pair(struct jw *w, str key, const struct doc_node *n, usec_t now)
{
	jw_key_n(w, key);
	view_write(w, n, now);
	if (n)
		write_extras(w, key, n, now);
}

/* A release that ended because a newer one took its place has not failed, and is not shown as if it had. */
static const struct doc_node superseded = { .kind = DOC_STR, .s = { "superseded", 10 }, .text = { "superseded", 10 } };

static bool is_superseded(const struct doc_node *map)
{
	return doc_get_str(map, "superseded_by").len && str_eqz(doc_get_str(map, "state"), "aborted");
}

void view_write(struct jw *w, const struct doc_node *n, usec_t now)
{
	enum { DEPTH = 32 }; /* no answer of the API is so deep but where it holds somebody's own document */

	if (!n || w->depth >= DEPTH || (n->kind != DOC_MAP && n->kind != DOC_SEQ)) {
		if (n)
			jw_node(w, n);
		else
			jw_null(w);
		return;
	}
	if (n->kind == DOC_SEQ) {
		jw_arr(w);
		for (size_t i = 0; i < n->seq.n; i++)
			view_write(w, n->seq.items[i], now);
		jw_end(w);
		return;
	}
	jw_obj(w);
	for (size_t i = 0; i < n->map.n; i++) {
		bool is_state = str_eqz(n->map.pairs[i].key, "state");

		view_write_pair(w, n->map.pairs[i].key, is_state && is_superseded(n) ? &superseded : n->map.pairs[i].value, now);
	}
	write_took(w, n);
	write_rate(w, n, "canary");
	write_rate(w, n, "stable");
	write_figure(w, n);
	jw_end(w);
}
