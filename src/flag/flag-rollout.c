/* flag-rollout.c - who gets a flag's change, and the counts of what happened to them (see flag-rollout.h). Pure; one thread per track. */
#include "base/base.h"

#include "base/hash.h"
#include "flag/flag-rollout.h"

#include <math.h>

enum { SLOTS = 1 << 18, IS_CANARY = 1, HAS_FAILED = 2 };
_Static_assert(SLOTS > 2 * LIMIT_FLAG_USERS, "the table stays half empty");

/* --- who --- */

uint64_t flag_bucket(str salt, str targeting_key)
{
	sha256_state  s;
	unsigned char raw[SHA256_BYTES];
	uint64_t      h = 0;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, (const unsigned char *)salt.ptr, salt.len);
	crypto_hash_sha256_update(&s, (const unsigned char *)"", 1);
	crypto_hash_sha256_update(&s, (const unsigned char *)targeting_key.ptr, targeting_key.len);
	crypto_hash_sha256_final(&s, raw);
	for (size_t i = 0; i < 8; i++)
		h = h << 8 | raw[i];
	return h ? h : 1; /* 0 marks a free slot */
}

bool flag_in_canary(uint64_t bucket, double share)
{
	return (double)(bucket >> 11) * 0x1p-53 < share; /* 53 bits: exact */
}

/* --- what an event means --- */

bool flag_outcome_failed(const struct flag_outcome *o, enum flag_ok ok, double value)
{
	if (ok != FLAG_OK_UNSAID)
		return ok == FLAG_OK_FALSE;
	if (!isnan(value) && (value < o->min || value > o->max))
		return true;
	return o->failure;
}

/* --- users --- */

int flag_track_init(struct flag_track *t, const double *steps, size_t n_steps, struct err *reterr)
{
	*t = (struct flag_track){ .n_steps = n_steps };
	if (n_steps < 1 || n_steps > FLAG_STEPS_MAX)
		return err_set(reterr, WEIR_EINVAL, "a flag's rollout has 1 to %d steps", FLAG_STEPS_MAX);
	memcpy(t->steps, steps, n_steps * sizeof(*steps));
	t->users = calloc(SLOTS, sizeof(*t->users));
	return t->users ? 0 : err_set(reterr, WEIR_ENOMEM, "users of a rollout");
}

void flag_track_fini(struct flag_track *t)
{
	free(t->users);
	t->users = NULL;
}

/* The slot of a user; a free one when it is new. The bucket is a hash already. */
static struct flag_user *slot_of(const struct flag_track *t, uint64_t bucket)
{
	size_t i = bucket & (SLOTS - 1);

	while (t->users[i].bucket && t->users[i].bucket != bucket)
		i = (i + 1) & (SLOTS - 1);
	return &t->users[i];
}

static void touch(struct flag_track *t, uint64_t bucket) { t->dirty |= 1ULL << (bucket >> 58); }

void flag_track_exposed(struct flag_track *t, uint64_t bucket, size_t step)
{
	struct flag_user *u = slot_of(t, bucket);

	t->exposures++;
	t->changed = true;
	if (step >= t->n_steps)
		return;
	if (!u->bucket && t->n >= LIMIT_FLAG_USERS) {
		t->crowded++;
		return;
	}
	if (!u->bucket) {
		u->bucket = bucket;
		t->n++;
	}
	if (u->exposed < step + 1) {
		u->exposed = (uint8_t)(step + 1);
		touch(t, bucket);
	}
}

/* --- counts --- */

size_t flag_track_segment(size_t j, size_t k) { return k * (k + 1) / 2 + j; }

static bool is_last(const struct flag_track *t, size_t step) { return step + 1 == t->n_steps; }

/* Where what happens to u at its present step counts; all of the last step stand together. */
static struct judge_segment *segment_of(struct flag_track *t, const struct flag_user *u)
{
	size_t k = u->counted - 1U;

	return &t->seg[flag_track_segment(is_last(t, k) ? 0 : u->before, k)];
}

/* u's first outcome at its step: false when it draws no arm there any more. */
static bool count_request(struct flag_track *t, struct flag_user *u)
{
	size_t k = u->exposed - 1U;
	bool   canary = flag_in_canary(u->bucket, t->steps[k]), new_canary = canary && !(u->flags & IS_CANARY);

	if ((u->flags & IS_CANARY) && !is_last(t, k))
		return false;
	u->before = u->counted;
	u->counted = (uint8_t)(k + 1);
	u->flags = canary ? IS_CANARY : 0;
	if (canary)
		segment_of(t, u)->requests_canary++;
	else
		segment_of(t, u)->requests_stable++;
	t->canary_users += new_canary;
	return true;
}

static bool count_error(struct flag_track *t, struct flag_user *u)
{
	struct judge_segment *s = segment_of(t, u);

	if (u->flags & HAS_FAILED)
		return false;
	u->flags |= HAS_FAILED;
	if (u->flags & IS_CANARY) {
		s->errors_canary++;
		s->failed_canary++;
		t->canary_failed++;
	} else {
		s->errors_stable++;
		s->failed_stable++;
	}
	return true;
}

bool flag_track_outcome(struct flag_track *t, uint64_t bucket, bool failed)
{
	struct flag_user *u = slot_of(t, bucket);
	bool              ret = false;

	t->outcomes++;
	t->changed = true;
	if (!u->bucket || !u->exposed) {
		t->unexposed++;
		return false;
	}
	if (u->counted < u->exposed && !count_request(t, u))
		return false;
	if (failed)
		ret = count_error(t, u);
	touch(t, bucket);
	return ret;
}

bool flag_track_knows(const struct flag_track *t, uint64_t bucket)
{
	return slot_of(t, bucket)->exposed != 0;
}

uint64_t flag_track_canary_at(const struct flag_track *t, size_t step)
{
	uint64_t sum = 0;

	for (size_t j = 0; j <= step; j++)
		sum += t->seg[flag_track_segment(j, step)].requests_canary;
	return sum;
}

static double share_of(const struct flag_track *t, size_t j, size_t k)
{
	double before = j ? t->steps[j - 1] : 0;

	return (t->steps[k] - before) / (1 - before);
}

void flag_track_input(const struct flag_track *t, size_t step, struct judge_segment seg[JUDGE_SEGMENTS_MAX], struct judge_input *ret)
{
	*ret = (struct judge_input){ .seg = seg, .clients_canary = (uint32_t)t->canary_failed };
	if (is_last(t, step)) {
		seg[ret->n_seg] = t->seg[flag_track_segment(0, step)];
		ret->clients_canary = (uint32_t)seg[0].errors_canary;
		seg[ret->n_seg++].canary_share = 1;
		return;
	}
	for (size_t k = 0; k <= step; k++) {
		if (k == step)
			ret->good_from = ret->n_seg;
		for (size_t j = 0; j <= k; j++) {
			const struct judge_segment *s = &t->seg[flag_track_segment(j, k)];

			if (!s->requests_canary && !s->requests_stable)
				continue;
			seg[ret->n_seg] = *s;
			seg[ret->n_seg++].canary_share = share_of(t, j, k);
		}
	}
}

/* --- storing --- */

static const struct {
	const char *name;
	size_t      at;
} totals[] = {
	{ "exposures", offsetof(struct flag_track, exposures) },         { "outcomes", offsetof(struct flag_track, outcomes) },
	{ "unexposed", offsetof(struct flag_track, unexposed) },         { "crowded", offsetof(struct flag_track, crowded) },
	{ "canary_users", offsetof(struct flag_track, canary_users) },   { "canary_failed", offsetof(struct flag_track, canary_failed) },
};

static uint64_t *total(struct flag_track *t, size_t i) { return (uint64_t *)(void *)((char *)t + totals[i].at); }

void flag_track_write(const struct flag_track *t, struct jw *w)
{
	struct flag_track copy = *t;

	jw_obj(w);
	jw_kint(w, "users", (int64_t)t->n);
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		jw_kint(w, totals[i].name, (int64_t)*total(&copy, i));
	jw_key(w, "segments"); /* [index, requests of the canary and stable, errors of the canary and stable] */
	jw_arr(w);
	for (size_t i = 0; i < JUDGE_SEGMENTS_MAX; i++) {
		const struct judge_segment *s = &t->seg[i];

		if (!s->requests_canary && !s->requests_stable)
			continue;
		jw_arr(w);
		jw_int(w, (int64_t)i);
		jw_int(w, (int64_t)s->requests_canary);
		jw_int(w, (int64_t)s->requests_stable);
		jw_int(w, (int64_t)s->errors_canary);
		jw_int(w, (int64_t)s->errors_stable);
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

static uint64_t number_at(const struct doc_node *list, size_t i)
{
	const struct doc_node *n = doc_at(list, i);

	return n && n->kind == DOC_INT && n->i >= 0 ? (uint64_t)n->i : 0;
}

int flag_track_read(struct flag_track *t, const struct doc_node *n, struct err *reterr)
{
	const struct doc_node *all = doc_get(n, "segments");

	for (size_t i = 0; i < ARRAY_SIZE(totals); i++)
		*total(t, i) = (uint64_t)doc_get_int(n, totals[i].name, 0);
	for (size_t i = 0; i < doc_len(all); i++) {
		const struct doc_node *one = doc_at(all, i);
		uint64_t               at = number_at(one, 0);

		if (at >= JUDGE_SEGMENTS_MAX)
			return err_set(reterr, WEIR_EINTERNAL, "the counts of a flag's rollout are damaged");
		t->seg[at] = (struct judge_segment){
			.requests_canary = number_at(one, 1), .requests_stable = number_at(one, 2), .errors_canary = number_at(one, 3), .errors_stable = number_at(one, 4),
			.failed_canary = number_at(one, 3), .failed_stable = number_at(one, 4),
		};
	}
	return 0;
}

enum { STORED = 12 }; /* bytes of a user: bucket, exposed, counted, before, flags */

int flag_track_parts(const struct flag_track *t, uint64_t which, struct buf out[FLAG_PARTS], struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; i < SLOTS; i++) {
		const struct flag_user *u = &t->users[i];
		char                    b[STORED];

		if (!u->bucket || !(which >> (u->bucket >> 58) & 1))
			continue;
		for (size_t k = 0; k < 8; k++)
			b[k] = (char)(u->bucket >> (8 * k));
		b[8] = (char)u->exposed;
		b[9] = (char)u->counted;
		b[10] = (char)u->before;
		b[11] = (char)u->flags;
		buf_add(&out[u->bucket >> 58], b, STORED);
	}
	for (unsigned i = 0; !rc && i < FLAG_PARTS; i++)
		rc = buf_check(&out[i], "users of a flag's rollout", reterr);
	return rc;
}

int flag_track_part_read(struct flag_track *t, str bytes, struct err *reterr)
{
	if (bytes.len % STORED)
		return err_set(reterr, WEIR_EINTERNAL, "the users of a flag's rollout are damaged");
	for (size_t at = 0; at < bytes.len && t->n < LIMIT_FLAG_USERS; at += STORED) {
		const unsigned char *b = (const unsigned char *)bytes.ptr + at;
		struct flag_user     u = { .exposed = b[8], .counted = b[9], .before = b[10], .flags = b[11] };

		for (size_t k = 0; k < 8; k++)
			u.bucket |= (uint64_t)b[k] << (8 * k);
		if (!u.bucket || u.exposed > t->n_steps || u.counted > u.exposed || u.before > u.counted)
			return err_set(reterr, WEIR_EINTERNAL, "the users of a flag's rollout are damaged");
		t->n += !slot_of(t, u.bucket)->bucket;
		*slot_of(t, u.bucket) = u;
	}
	return 0;
}
