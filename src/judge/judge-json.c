/* judge-json.c - evidence as JSON: segments, parameters and verdict, complete enough that anyone can recompute the verdict
 * (`weir judge replay`). Written into events, read back from them. Pure; any thread. */
#include "base/base.h"

#include "judge/judge.h"

#include <math.h>

static const struct {
	const char *key;
	size_t      at;
} param_fields[] = {
	{ "worse_alpha", offsetof(struct judge_params, worse_alpha) },   { "good_alpha", offsetof(struct judge_params, good_alpha) },
	{ "tolerance", offsetof(struct judge_params, tolerance) },       { "budget", offsetof(struct judge_params, budget) },
	{ "ignore_below", offsetof(struct judge_params, ignore_below) }, { "srm_alpha", offsetof(struct judge_params, srm_alpha) },
	{ "missing_max", offsetof(struct judge_params, missing_max) },   { "stable_sick", offsetof(struct judge_params, stable_sick) },
};
static const struct {
	const char *key;
	size_t      at;
} count_fields[] = {
	{ "requests_canary", offsetof(struct judge_segment, requests_canary) },
	{ "requests_stable", offsetof(struct judge_segment, requests_stable) },
	{ "errors_canary", offsetof(struct judge_segment, errors_canary) },
	{ "errors_stable", offsetof(struct judge_segment, errors_stable) },
	{ "failed_canary", offsetof(struct judge_segment, failed_canary) },
	{ "failed_stable", offsetof(struct judge_segment, failed_stable) },
};
static const struct {
	const char *key;
	size_t      at;
} verdict_fields[] = {
	{ "log_e_worse", offsetof(struct judge_verdict, log_e_worse) },
	{ "threshold_worse", offsetof(struct judge_verdict, threshold_worse) },
	{ "log_e_relative", offsetof(struct judge_verdict, log_e_relative) },
	{ "log_e_absolute", offsetof(struct judge_verdict, log_e_absolute) },
	{ "threshold_good", offsetof(struct judge_verdict, threshold_good) },
	{ "log_e_srm", offsetof(struct judge_verdict, log_e_srm) },
	{ "threshold_srm", offsetof(struct judge_verdict, threshold_srm) },
	{ "rate_canary", offsetof(struct judge_verdict, rate_canary) },
	{ "rate_stable", offsetof(struct judge_verdict, rate_stable) },
	{ "ratio_low", offsetof(struct judge_verdict, ratio_low) },
	{ "ratio_high", offsetof(struct judge_verdict, ratio_high) },
	{ "missing_share", offsetof(struct judge_verdict, missing_share) },
};

static double get_double(const void *base, size_t at)
{
	double d;

	memcpy(&d, (const char *)base + at, sizeof(d));
	return d;
}

static uint64_t get_count(const void *base, size_t at)
{
	uint64_t u;

	memcpy(&u, (const char *)base + at, sizeof(u));
	return u;
}

static void write_segment(struct jw *w, const struct judge_segment *s)
{
	jw_obj(w);
	jw_knum(w, "share", s->canary_share);
	for (size_t i = 0; i < ARRAY_SIZE(count_fields); i++)
		jw_kint(w, count_fields[i].key, (int64_t)get_count(s, count_fields[i].at));
	jw_end(w);
}

void judge_write_evidence(struct jw *w, const struct judge_params *p, const struct judge_input *in, const struct judge_verdict *v)
{
	jw_obj(w);
	jw_kstrz(w, "method", "label-test-1");
	jw_key(w, "params");
	jw_obj(w);
	for (size_t i = 0; i < ARRAY_SIZE(param_fields); i++)
		jw_knum(w, param_fields[i].key, get_double(p, param_fields[i].at));
	jw_kint(w, "clients_min", p->clients_min);
	jw_end(w);
	jw_kint(w, "clients_canary", in->clients_canary);
	jw_kint(w, "missing_records", (int64_t)in->missing_records);
	jw_kint(w, "good_from", (int64_t)in->good_from);
	jw_key(w, "segments");
	jw_arr(w);
	for (size_t i = 0; i < in->n_seg; i++)
		write_segment(w, &in->seg[i]);
	jw_end(w);
	jw_key(w, "verdict");
	jw_obj(w);
	jw_kstrz(w, "call", judge_call_name(v->call));
	jw_kint(w, "why", v->why);
	jw_kstrz(w, "says", judge_why_text(v->why));
	for (size_t i = 0; i < ARRAY_SIZE(verdict_fields); i++)
		jw_knum(w, verdict_fields[i].key, get_double(v, verdict_fields[i].at)); /* infinite: null */
	jw_end(w);
	jw_end(w);
}

static int read_number(const struct doc_node *map, const char *key, double *ret, struct err *reterr)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n)
		return err_set(reterr, WEIR_EINVAL, "evidence: '%s' is missing", key);
	if (n->kind == DOC_INT)
		*ret = (double)n->i;
	else if (n->kind == DOC_REAL)
		*ret = n->d;
	else
		return err_set(reterr, WEIR_EINVAL, "evidence:%u:%u: '%s' must be a number, not a %s", n->line, n->col, key, doc_kind_name(n->kind));
	return 0;
}

static int read_count(const struct doc_node *map, const char *key, uint64_t max, uint64_t *ret, struct err *reterr)
{
	const struct doc_node *n = doc_get(map, key);

	if (!n || n->kind != DOC_INT || n->i < 0 || (uint64_t)n->i > max)
		return err_set(reterr, WEIR_EINVAL, "evidence: '%s' must be a whole number from 0 to %llu", key, (unsigned long long)max);
	*ret = (uint64_t)n->i;
	return 0;
}

static int read_params(const struct doc_node *n, struct judge_params *ret, struct err *reterr)
{
	const struct doc_node *map = doc_get(n, "params");
	uint64_t               clients = 0;
	int                    rc = read_count(map, "clients_min", UINT32_MAX, &clients, reterr);

	for (size_t i = 0; i < ARRAY_SIZE(param_fields) && !rc; i++) {
		double d = 0;

		rc = read_number(map, param_fields[i].key, &d, reterr);
		memcpy((char *)ret + param_fields[i].at, &d, sizeof(d));
	}
	ret->clients_min = (uint32_t)clients;
	return rc ? rc : judge_params_check(ret, reterr);
}

static int read_segment(const struct doc_node *map, struct judge_segment *ret, struct err *reterr)
{
	int rc = read_number(map, "share", &ret->canary_share, reterr);

	for (size_t i = 0; i < ARRAY_SIZE(count_fields) && !rc; i++) {
		uint64_t u = 0;

		rc = read_count(map, count_fields[i].key, INT64_MAX, &u, reterr);
		memcpy((char *)ret + count_fields[i].at, &u, sizeof(u));
	}
	return rc;
}

static int read_verdict(const struct doc_node *map, struct judge_verdict *ret, struct err *reterr)
{
	str      call = doc_get_str(map, "call");
	uint64_t why = 0;
	int      c, rc = read_count(map, "why", JUDGE_WHY_FEW_STABLE, &why, reterr);

	for (c = JUDGE_UNDECIDED; c <= JUDGE_CANNOT && !str_eqz(call, judge_call_name((enum judge_call)c)); c++)
		;
	if (!rc && c > JUDGE_CANNOT)
		return err_set(reterr, WEIR_EINVAL, "evidence: unknown call '%.*s'", STR_ARG(call));
	for (size_t i = 0; i < ARRAY_SIZE(verdict_fields) && !rc; i++) {
		const struct doc_node *n = doc_get(map, verdict_fields[i].key);
		double                 d = INFINITY;

		if (n && n->kind == DOC_NULL) /* what JSON cannot say: an open border, or an e-value of nothing */
			d = str_has_prefix(str_z(verdict_fields[i].key), STR("log_")) ? -INFINITY : INFINITY;
		else
			rc = read_number(map, verdict_fields[i].key, &d, reterr);
		memcpy((char *)ret + verdict_fields[i].at, &d, sizeof(d));
	}
	ret->call = (enum judge_call)c;
	ret->why = (enum judge_why)why;
	return rc;
}

int judge_read_evidence(const struct doc_node *n, struct judge_params *ret_p, struct judge_segment ret_seg[JUDGE_SEGMENTS_MAX],
                        struct judge_input *ret_in, struct judge_verdict *ret_v, struct err *reterr)
{
	const struct doc_node *segs = doc_get(n, "segments");
	uint64_t               clients = 0, good_from = 0;
	int                    rc;

	memset(ret_in, 0, sizeof(*ret_in));
	memset(ret_v, 0, sizeof(*ret_v));
	if (!str_eqz(doc_get_str(n, "method"), "label-test-1"))
		return err_set(reterr, WEIR_EINVAL, "evidence: method must be 'label-test-1'");
	if (!segs || segs->kind != DOC_SEQ || doc_len(segs) > JUDGE_SEGMENTS_MAX)
		return err_set(reterr, WEIR_EINVAL, "evidence: 'segments' must be a list of at most %d", JUDGE_SEGMENTS_MAX);
	rc = read_params(n, ret_p, reterr);
	for (size_t i = 0; i < doc_len(segs) && !rc; i++)
		rc = read_segment(doc_at(segs, i), &ret_seg[i], reterr);
	if (!rc)
		rc = read_count(n, "clients_canary", UINT32_MAX, &clients, reterr);
	if (!rc)
		rc = read_count(n, "missing_records", INT64_MAX, &ret_in->missing_records, reterr);
	if (!rc)
		rc = read_count(n, "good_from", JUDGE_SEGMENTS_MAX, &good_from, reterr);
	if (!rc)
		rc = read_verdict(doc_get(n, "verdict"), ret_v, reterr);
	ret_in->seg = ret_seg;
	ret_in->n_seg = doc_len(segs);
	ret_in->clients_canary = (uint32_t)clients;
	ret_in->good_from = good_from;
	return rc;
}
