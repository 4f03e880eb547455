/* gate.c - runs the checks of a change and decides (see gate.h).
 *
 * Guarantees: waivers come from the target commit alone; a check that could not look is never taken for a clean one; the
 * same change gives the same verdict and digest, whatever the order in which threads found things.
 * Runs on the caller's thread; a gate is immutable after gate_new(). */
#include "base/base.h"
#include "gate/gate.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/vec.h"
#include "gate/credentials/credentials.h"
#include "gate/waivers.h"
#include "gate/weir-folder.h"

#define ADVICE_WAIVERS "mend " WAIVERS_PATH " (rule, path or fingerprint, owner, reason, expires)"

struct gate {
	const struct clock *clock;
	struct cred        *credentials;
	struct check_ops   *checks; /* own ones first */
	size_t              n_checks;
};

enum { OWN_CHECKS = 3 };

int gate_new(const struct gate_config *cfg, struct gate **ret, struct err *reterr)
{
	struct gate       *g = calloc(1, sizeof *g);
	struct cred_config cc = { .cache_dir = cfg->cache_dir, .threads = cfg->threads, .fingerprint_key = cfg->fingerprint_key };
	int                rc;

	if (!g || !(g->checks = calloc(cfg->n_checks + OWN_CHECKS, sizeof *g->checks))) {
		gate_free(g);
		return err_set(reterr, WEIR_ENOMEM, "no memory for the gate");
	}
	g->clock = cfg->clock ? cfg->clock : &clock_real;
	rc = cred_new(&cc, &g->credentials, reterr);
	if (rc) {
		gate_free(g);
		return err_wrap(reterr, "gate");
	}
	g->checks[0] = (struct check_ops){ .name = "credentials", .run = cred_check, .ctx = g->credentials };
	g->checks[1] = gate_waivers_check;
	g->checks[2] = gate_weir_folder_check;
	if (cfg->n_checks)
		memcpy(g->checks + OWN_CHECKS, cfg->checks, cfg->n_checks * sizeof *g->checks);
	g->n_checks = cfg->n_checks + OWN_CHECKS;
	*ret = g;
	return 0;
}

struct gate *gate_free(struct gate *g)
{
	if (!g)
		return NULL;
	cred_free(g->credentials);
	free(g->checks);
	free(g);
	return NULL;
}

/* --- collecting --- */
struct run {
	struct gate   *g;
	struct arena  *a;
	struct waivers waivers;
	usec_t         now;
	VEC(struct finding) found;
	size_t n_dropped;
	bool   refuses; /* an error that no waiver covers, dropped ones included */
};

static struct finding finding_copy(struct arena *a, const struct finding *f)
{
	struct finding out = *f;

	out.check = arena_str(a, f->check);
	out.rule = arena_str(a, f->rule);
	out.path = arena_str(a, f->path);
	out.message = arena_str(a, f->message);
	out.advice = arena_str(a, f->advice);
	out.commit = arena_str(a, f->commit);
	out.fingerprint = arena_str(a, f->fingerprint);
	out.waiver = arena_str(a, f->waiver);
	return out;
}

/* The place of a finding that gives way to an error when the list is full: what refuses must be shown. NULL: all refuse. */
static struct finding *giving_way(struct run *r)
{
	for (size_t i = r->found.n; i--;)
		if (r->found.v[i].waived || r->found.v[i].severity != SEVERITY_ERROR)
			return &r->found.v[i];
	return NULL;
}

static int collect(void *ctx, const struct finding *f, struct err *reterr)
{
	struct run    *r = ctx;
	struct waiver *w = waiver_of(&r->waivers, f, r->now);
	struct finding copy, *instead = NULL;
	bool           refuses = !w && f->severity == SEVERITY_ERROR;

	if (w)
		w->used = true;
	r->refuses = r->refuses || refuses;
	if (r->found.n == LIMIT_FINDINGS) {
		r->n_dropped++;
		instead = refuses ? giving_way(r) : NULL;
		if (!instead)
			return 0;
	}
	copy = finding_copy(r->a, f);
	copy.waived = w != NULL;
	copy.waiver = STR_NULL;
	if (w)
		copy.waiver = str_z(arena_printf(r->a, "%.*s until %.*s: %.*s", STR_ARG(w->owner), STR_ARG(w->expires), STR_ARG(w->reason)));
	if (instead)
		*instead = copy;
	else if (!VEC_PUSH(&r->found, copy))
		return err_set(reterr, WEIR_ENOMEM, "no memory for findings");
	return arena_check(r->a, "findings", reterr);
}

/* --- waivers of the target --- */
static int waiver_finding(struct run *r, const char *rule, enum severity severity, uint32_t line, uint32_t col, const char *message,
                          struct err *reterr)
{
	struct finding f = { .check = STR("files"), .rule = str_z(rule), .severity = severity, .path = STR(WAIVERS_PATH), .line = line,
		                 .col = col, .message = str_z(message), .advice = STR(ADVICE_WAIVERS) };

	if (!message)
		return arena_check(r->a, "findings", reterr);
	return collect(r, &f, reterr);
}

static int report_expired(struct run *r, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->waivers.n; i++) {
		const struct waiver *w = &r->waivers.v[i];

		if (w->complete && r->now >= w->until)
			rc = waiver_finding(r, "waiver-expired", SEVERITY_WARNING, w->line, w->col,
			                    arena_printf(r->a, "the waiver for %.*s by %.*s expired on %.*s and counts no more", STR_ARG(w->rule),
			                                 STR_ARG(w->owner), STR_ARG(w->expires)),
			                    reterr);
	}
	return rc;
}

/* Reads the target's waivers. What is wrong with them is a warning: the change at hand did not bring it, and one that mends it must get in. */
static int load_waivers(struct run *r, const struct change *c, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_DOC_BYTES);
	struct doc_check       check;
	struct err             e = { 0 };
	int                    rc;

	if (!c->repo || !c->target || !strcmp(c->target, git_zero_id))
		return 0;
	rc = git_read_path(c->repo, c->target, WAIVERS_PATH, &text, &e);
	if (rc == -WEIR_ENOENT)
		return 0;
	doc_check_init(&check, r->a, WAIVERS_PATH);
	if (!rc)
		rc = waivers_read(r->a, buf_str(&text), &r->waivers, &check, &e);
	if (rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT)
		return waiver_finding(r, "waiver-invalid", SEVERITY_WARNING, 0, 0, arena_printf(r->a, "no waiver counts: %s", e.msg), reterr);
	if (rc) {
		*(reterr ? reterr : &(struct err){ 0 }) = e;
		return err_wrap(reterr, "waivers of the target");
	}
	for (size_t i = 0; !rc && i < check.n_diags; i++)
		rc = waiver_finding(r, "waiver-invalid", SEVERITY_WARNING, check.diags[i].line, check.diags[i].col,
		                    arena_printf(r->a, "this waiver does not count: %s", check.diags[i].msg), reterr);
	return rc ? rc : report_expired(r, reterr);
}

static int report_unused(struct run *r, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < r->waivers.n; i++) {
		const struct waiver *w = &r->waivers.v[i];

		if (w->complete && !w->used && r->now < w->until)
			rc = waiver_finding(r, "waiver-unused", SEVERITY_NOTE, w->line, w->col,
			                    arena_printf(r->a, "the waiver for %.*s by %.*s covers nothing any more: remove it", STR_ARG(w->rule),
			                                 STR_ARG(w->owner)),
			                    reterr);
	}
	return rc;
}

/* --- deciding --- */
static int finding_order(const void *pa, const void *pb)
{
	const struct finding *a = pa, *b = pb;
	int                   c = (int)b->severity - (int)a->severity;

	if (!c && a->waived != b->waived)
		c = a->waived ? 1 : -1;
	if (!c)
		c = str_cmp(a->path, b->path);
	if (!c)
		c = (a->line > b->line) - (a->line < b->line);
	if (!c)
		c = (a->col > b->col) - (a->col < b->col);
	if (!c)
		c = str_cmp(a->rule, b->rule);
	if (!c)
		c = str_cmp(a->commit, b->commit);
	return c ? c : str_cmp(a->message, b->message);
}

/* Each text with its length in front, so that no two lists of findings hash alike. */
static void hash_str(sha256_state *h, str s)
{
	uint64_t len = s.len;

	crypto_hash_sha256_update(h, (const unsigned char *)&len, sizeof len);
	crypto_hash_sha256_update(h, (const unsigned char *)(s.len ? s.ptr : ""), s.len);
}

static void digest_of(struct verdict *v)
{
	sha256_state  h;
	unsigned char out[SHA256_BYTES];

	crypto_hash_sha256_init(&h);
	hash_str(&h, str_z(gate_call_name(v->call)));
	hash_str(&h, v->cause);
	for (size_t i = 0; i < v->n_findings; i++) {
		const struct finding *f = &v->findings[i];
		char                  place[160];

		snprintf(place, sizeof place, "%s %u:%u %d %zu", gate_severity_name(f->severity), f->line, f->col, f->waived, v->n_dropped);
		for (const str *s = (const str[]){ f->check, f->rule, f->path, f->message, f->commit, f->fingerprint, f->waiver, str_z(place) },
			           *end = s + 8;
		     s < end; s++)
			hash_str(&h, *s);
	}
	crypto_hash_sha256_final(&h, out);
	hex_of(out, sizeof out, v->digest);
}

static void decide(struct verdict *v, bool refuses)
{
	v->call = refuses ? VERDICT_FAIL : v->cause.len ? VERDICT_CANNOT_JUDGE : VERDICT_PASS;
	if (v->n_findings)
		qsort(v->findings, v->n_findings, sizeof *v->findings, finding_order);
	digest_of(v);
}

static int finish(struct run *r, str cause, struct verdict *ret, struct err *reterr)
{
	struct verdict v = { .n_findings = r->found.n, .n_dropped = r->n_dropped, .cause = cause };
	int            rc;

	v.findings = ARENA_ARRAY(r->a, r->found.n + 1, struct finding);
	rc = arena_check(r->a, "findings", reterr);
	if (rc)
		return rc;
	if (r->found.n)
		memcpy(v.findings, r->found.v, r->found.n * sizeof *v.findings);
	decide(&v, r->refuses);
	*ret = v;
	return 0;
}

/* --- the lines of a refused push --- */

/* A finding without lines is one all the same: what cannot be read or looked at is left out. Only memory is an error. */
static int code_of(struct run *r, const struct change *c, struct finding *f, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_CODE_TEXT_BYTES);
	char                   commit[GIT_ID_SIZE];
	const char            *path = arena_dup(r->a, f->path);
	struct err             e = { 0 };

	if (!path || !f->line || !f->path.len || strlen(path) != f->path.len)
		return arena_check(r->a, "the lines of a finding", reterr);
	snprintf(commit, sizeof commit, "%.*s", STR_ARG(f->commit.len ? f->commit : str_z(c->new_id)));
	if (git_read_path(c->repo, commit, path, &text, &e) ||
	    cred_code(r->g->credentials, buf_str(&text), str_eqz(f->check, "credentials"), f->line, r->a, &f->code, &e))
		f->code = (struct finding_code){ 0 };
	return arena_check(r->a, "the lines of a finding", reterr);
}

static int keep_code(struct run *r, const struct change *c, struct verdict *v, struct err *reterr)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < v->n_findings && i < LIMIT_CODE_FINDINGS; i++)
		rc = code_of(r, c, &v->findings[i], reterr);
	return rc;
}

/* A check that failed for want of memory fails the call; anything else is evidence that is missing. */
static int could_not_look(struct run *r, const char *check, const struct err *e, str *cause, struct err *reterr)
{
	if (e->code == WEIR_ENOMEM)
		return err_set(reterr, WEIR_ENOMEM, "%s: %s", check, e->msg);
	*cause = str_z(arena_printf(r->a, "%.*s%sthe check '%s' could not look: %s", (int)cause->len, cause->len ? cause->ptr : "", cause->len ? "; " : "", check, e->msg));
	return arena_check(r->a, "cause", reterr);
}

static int run_checks(struct run *r, const struct change *c, str *cause, struct err *reterr)
{
	const struct finding_sink sink = { .add = collect, .ctx = r };
	int                       rc = 0;

	for (size_t i = 0; !rc && i < r->g->n_checks; i++) {
		const struct check_ops *k = &r->g->checks[i];
		struct err              e = { 0 };

		if (k->run(k->ctx, c, &sink, &e))
			rc = could_not_look(r, k->name, &e, cause, reterr);
	}
	return rc;
}

int gate_check_change(struct gate *g, const struct change *c, struct arena *a, struct verdict *ret, struct err *reterr)
{
	struct run r = { .g = g, .a = a, .now = clock_wall(g->clock) };
	struct err e = { 0 };
	str        cause = STR_NULL;
	int        rc;

	/* A ref that goes away brings nothing to look at. */
	if (!c->files && !strcmp(c->new_id, git_zero_id))
		return finish(&r, cause, ret, reterr);
	rc = load_waivers(&r, c, &e);
	if (rc)
		rc = could_not_look(&r, "waivers", &e, &cause, reterr);
	if (!rc)
		rc = run_checks(&r, c, &cause, reterr);
	if (!rc && c->whole_tree)
		rc = report_unused(&r, reterr);
	if (!rc)
		rc = finish(&r, cause, ret, reterr);
	if (!rc && c->keep_code && ret->call != VERDICT_PASS)
		rc = keep_code(&r, c, ret, reterr);
	VEC_FINI(&r.found);
	return rc;
}

int gate_check_history(struct gate *g, struct git_repo *repo, const char *target, struct arena *a, struct verdict *ret,
                       struct gate_stats *ret_stats, struct err *reterr)
{
	struct run                r = { .g = g, .a = a, .now = clock_wall(g->clock) };
	const struct finding_sink sink = { .add = collect, .ctx = &r };
	const struct change       c = { .repo = repo, .target = target };
	struct gate_stats         stats = { 0 };
	struct err                e = { 0 };
	str                       cause = STR_NULL;
	int                       rc = load_waivers(&r, &c, &e);

	if (rc)
		rc = could_not_look(&r, "waivers", &e, &cause, reterr);
	if (!rc && cred_history(g->credentials, repo, &sink, &stats.blobs, &stats.bytes, &stats.skipped, &e))
		rc = could_not_look(&r, "credentials", &e, &cause, reterr);
	if (!rc)
		rc = finish(&r, cause, ret, reterr);
	VEC_FINI(&r.found);
	if (!rc && ret_stats)
		*ret_stats = stats;
	return rc;
}

/* What makes two findings of two looks the same one. */
static void merge_key(const struct finding *f, struct buf *out)
{
	buf_clear(out);
	buf_addf(out, "%.*s\n%.*s\n%.*s\n%u:%u\n%.*s", STR_ARG(f->check), STR_ARG(f->rule), STR_ARG(f->path), f->line, f->col,
	         STR_ARG(f->fingerprint.len ? f->fingerprint : f->message));
}

int gate_merge(const struct verdict *x, const struct verdict *y, struct arena *a, struct verdict *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf key = BUF_INIT(64 << 10);
	struct verdict         v = { .n_dropped = x->n_dropped + y->n_dropped };
	struct map             seen = MAP_INIT;
	int                    rc;

	v.findings = ARENA_ARRAY(a, x->n_findings + y->n_findings + 1, struct finding);
	v.cause = x->cause.len && y->cause.len && !str_eq(x->cause, y->cause)
		          ? str_z(arena_printf(a, "%.*s; %.*s", STR_ARG(x->cause), STR_ARG(y->cause)))
		          : (x->cause.len ? x->cause : y->cause);
	rc = arena_check(a, "findings", reterr);
	for (const struct verdict *const *from = (const struct verdict *const[]){ x, y, NULL }; !rc && *from; from++)
		for (size_t i = 0; !rc && i < (*from)->n_findings; i++) {
			merge_key(&(*from)->findings[i], &key);
			if (map_has(&seen, buf_str(&key)))
				continue;
			if (!map_put(&seen, buf_str(&key), v.findings, NULL))
				rc = err_set(reterr, WEIR_ENOMEM, "no memory to join findings");
			v.findings[v.n_findings++] = (*from)->findings[i];
		}
	map_fini(&seen);
	if (rc)
		return rc;
	decide(&v, x->call == VERDICT_FAIL || y->call == VERDICT_FAIL);
	*ret = v;
	return 0;
}

const char *gate_call_name(enum verdict_call call)
{
	static const char *const names[] = { "none", "pass", "fail", "cannot-judge" };

	return names[call];
}

const char *gate_severity_name(enum severity s)
{
	static const char *const names[] = { "none", "note", "warning", "error" };

	return names[s];
}

/* --- the check of .weir/waivers.yaml as the change offers it --- */
static int offered_waivers(const struct change *c, struct buf *out, bool *ret_there, struct err *reterr)
{
	int rc;

	*ret_there = false;
	if (!c->files) {
		rc = git_read_path(c->repo, c->new_id, WAIVERS_PATH, out, reterr);
		*ret_there = rc == 0;
		return rc == -WEIR_ENOENT ? 0 : rc;
	}
	for (size_t i = 0; i < c->n_files; i++)
		if (str_eq(c->files[i].path, STR(WAIVERS_PATH))) {
			*ret_there = true;
			buf_add_str(out, c->files[i].content);
		}
	return buf_check(out, WAIVERS_PATH, reterr);
}

static int waivers_check(void *ctx UNUSED, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	CLEANUP_BUF struct buf     text = BUF_INIT(LIMIT_DOC_BYTES);
	CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 20);
	struct finding             f = { .check = STR("files"), .rule = STR("waivers-syntax"), .severity = SEVERITY_ERROR,
		                             .path = STR(WAIVERS_PATH), .advice = STR(ADVICE_WAIVERS) };
	struct doc_check           check;
	struct waivers             w;
	struct err                 e = { 0 };
	bool                       there;
	int                        rc = offered_waivers(c, &text, &there, reterr);

	if (rc || !there)
		return rc;
	doc_check_init(&check, &a, WAIVERS_PATH);
	rc = waivers_read(&a, buf_str(&text), &w, &check, &e);
	if (rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT) {
		f.message = str_z(e.msg);
		return sink->add(sink->ctx, &f, reterr);
	}
	if (rc)
		return err_set(reterr, e.code, "%s", e.msg);
	for (size_t i = 0; !rc && i < check.n_diags; i++) {
		f.line = check.diags[i].line;
		f.col = check.diags[i].col;
		f.message = str_z(check.diags[i].msg);
		rc = sink->add(sink->ctx, &f, reterr);
	}
	return rc;
}

const struct check_ops gate_waivers_check = { .name = "waivers", .run = waivers_check };
