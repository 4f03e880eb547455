/* evidence-json.c - counts as JSON, for the database. Pure; any thread. */
#include "base/base.h"

#include "base/hash.h"
#include "release/evidence.h"

void evidence_write(struct jw *w, const struct evidence_counts *c)
{
	jw_obj(w);
	jw_key(w, "segments");
	jw_arr(w);
	for (size_t i = 0; i < c->n_seg; i++) {
		const struct judge_segment *s = &c->seg[i];
		const uint64_t              n[] = { c->seg_share[i], s->requests_canary, s->requests_stable, s->errors_canary, s->errors_stable, s->failed_canary, s->failed_stable };

		jw_arr(w);
		for (size_t k = 0; k < ARRAY_SIZE(n); k++)
			jw_int(w, (int64_t)n[k]);
		jw_end(w);
	}
	jw_end(w);
	jw_key(w, "clients");
	jw_arr(w);
	for (uint32_t i = 0; i < c->n_clients; i++)
		jw_fmt(w, "%016llx", (unsigned long long)c->clients[i]);
	jw_end(w);
	jw_kint(w, "first_bad", c->first_bad);
	jw_kint(w, "last_bad", c->last_bad);
	jw_kint(w, "first_good", c->first_good);
	jw_kint(w, "missing", (int64_t)c->missing);
	jw_kint(w, "records", (int64_t)c->records);
	jw_key(w, "seen");
	jw_arr(w);
	for (unsigned a = 0; a < 2; a++) {
		jw_int(w, (int64_t)c->seen[a]);
		jw_int(w, (int64_t)c->seen_failed[a]);
		jw_int(w, (int64_t)c->base.done[a]);
		jw_int(w, (int64_t)c->base.failed[a]);
	}
	jw_end(w);
	jw_key(w, "latency");
	jw_arr(w);
	for (unsigned i = 0; i < 2; i++)
		latency_write(w, &c->latency[i]);
	jw_end(w);
	if (c->has_base)
		jw_kstrz(w, "boot", c->base.boot);
	jw_end(w);
}

static uint64_t number_at(const struct doc_node *list, size_t i)
{
	const struct doc_node *n = doc_at(list, i);

	return n && n->kind == DOC_INT && n->i >= 0 ? (uint64_t)n->i : 0;
}

int evidence_read(const struct doc_node *n, struct evidence_counts *ret, struct err *reterr)
{
	const struct doc_node *segs = doc_get(n, "segments"), *clients = doc_get(n, "clients"), *seen = doc_get(n, "seen");

	memset(ret, 0, sizeof(*ret));
	if (doc_len(segs) > JUDGE_SEGMENTS_MAX || doc_len(clients) > EVIDENCE_CLIENTS_MAX)
		return err_set(reterr, WEIR_EINVAL, "stored counts have %zu segments", doc_len(segs));
	for (size_t i = 0; i < doc_len(segs); i++) {
		const struct doc_node *s = doc_at(segs, i);

		ret->seg_share[i] = (unsigned)number_at(s, 0);
		ret->seg[i] = (struct judge_segment){ (double)ret->seg_share[i] / TRAFFIC_SHARE_ONE, number_at(s, 3), number_at(s, 4), number_at(s, 1), number_at(s, 2),
			                              number_at(s, 5), number_at(s, 6) };
	}
	ret->n_seg = doc_len(segs);
	for (size_t i = 0; i < doc_len(clients); i++) {
		unsigned char h[8] = { 0 };

		if (hex_parse(doc_at(clients, i)->text, h, 8))
			for (unsigned k = 0; k < 8; k++)
				ret->clients[i] = ret->clients[i] << 8 | h[k];
	}
	ret->n_clients = (uint32_t)doc_len(clients);
	ret->first_bad = doc_get_int(n, "first_bad", 0);
	ret->last_bad = doc_get_int(n, "last_bad", 0);
	ret->first_good = doc_get_int(n, "first_good", 0);
	ret->missing = (uint64_t)doc_get_int(n, "missing", 0);
	ret->records = (uint64_t)doc_get_int(n, "records", 0);
	for (unsigned a = 0; a < 2; a++) {
		ret->seen[a] = number_at(seen, 4 * a);
		ret->seen_failed[a] = number_at(seen, 4 * a + 1);
		ret->base.done[a] = number_at(seen, 4 * a + 2);
		ret->base.failed[a] = number_at(seen, 4 * a + 3);
	}
	for (unsigned i = 0; i < 2; i++)
		latency_read(doc_at(doc_get(n, "latency"), i), &ret->latency[i]);
	if (doc_get(n, "boot")) {
		ret->has_base = true;
		snprintf(ret->base.boot, sizeof(ret->base.boot), "%.*s", STR_ARG(doc_get_str(n, "boot")));
	}
	return 0;
}
