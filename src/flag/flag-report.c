/* flag-report.c - see flag-report.h. Worker threads; one read of the database per report. */
#include "base/base.h"

#include "base/log.h"
#include "base/map.h"
#include "flag/flag-report.h"
#include "lang/unleash/unleash.h"

#define USEC_PER_DAY (86400 * USEC_PER_SEC)

/* --- gathering --- */

static int by_age(const void *pa, const void *pb) { return str_cmp(((const struct flag_age *)pa)->key, ((const struct flag_age *)pb)->key); }

static int read_ages(struct db_tx *tx, struct flag_report *p, str id, struct err *reterr)
{
	struct db_rows CLEANUP_ROWS *rows = NULL;
	VEC(struct flag_age) found = VEC_INIT;
#define AGES "SELECT f.key, MIN(r.at), MAX(r.at) FROM flag f JOIN flag_revision r ON r.set_id = f.set_id AND r.revision = f.revision WHERE f.set_id = $1"
	int rc = db_query(tx, reterr, &rows, p->key.ptr ? AGES " AND f.key = $2 GROUP BY f.key" : AGES " GROUP BY f.key", p->key.ptr ? "ss" : "s", id, p->key);

	while (!rc && (rc = db_next(rows, reterr)) > 0) {
		struct flag_age one = { arena_str(p->arena, db_str(rows, 0)), db_int(rows, 1), db_int(rows, 2) };

		rc = VEC_PUSH(&found, one) ? 0 : err_set(reterr, WEIR_ENOMEM, "ages of flags");
	}
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), by_age);
	p->ages = ARENA_ARRAY(p->arena, found.n + 1, struct flag_age);
	p->n_ages = found.n;
	if (p->ages && found.n)
		memcpy(p->ages, found.v, found.n * sizeof(*p->ages));
	VEC_FINI(&found);
	if (!rc) /* what rules share counts as a change of all that use it */
		rc = db_get_int(tx, reterr, &p->head_changed, NULL,
						"SELECT COALESCE(MAX(r.at), 0) FROM flag_head h JOIN flag_revision r ON r.set_id = h.set_id AND r.revision = h.revision WHERE h.set_id = $1", "s", id);
	return rc ? rc : arena_check(p->arena, "ages of flags", reterr);
}

static int read_uses(struct db_tx *tx, struct flag_report *p, str id, struct err *reterr)
{
	int rc = flag_usage_began(tx, &p->began, reterr);

	if (!rc)
		rc = flag_usage_dropped(tx, id, &p->dropped, reterr);
	if (!rc)
		rc = flag_usage_counts(tx, p->arena, id, p->key, p->now - p->days * USEC_PER_DAY, &p->uses, &p->n_uses, reterr);
	return rc ? rc : flag_usage_lasts(tx, p->arena, id, p->key, &p->lasts, &p->n_lasts, reterr);
}

static int gather_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct flag_report *p = arg;
	str                 id = flag_set_head(p->set)->id;
	int                 rc = 0;

	if (p->what & FLAG_REPORT_USES)
		rc = read_uses(tx, p, id, reterr);
	if (!rc && (p->what & FLAG_REPORT_AGES))
		rc = read_ages(tx, p, id, reterr);
	return rc || !p->code_known ? rc : flag_index_read(tx, p->arena, p->project, &p->index, reterr);
}

static int find_set(struct flag_room *r, str id, struct flag_report *p, struct err *reterr)
{
	const struct flag_entry *e = flag_table_find(flag_read_begin(r->tables), id);

	if (e) {
		p->set = flag_set_ref(e->set);
		p->project = arena_str(p->arena, str_z(e->project));
	}
	flag_read_end(r->tables);
	return e ? 0 : err_set(reterr, WEIR_ENOENT, "there is no flag set '%.*s'", STR_ARG(str_sub(id, 0, 200)));
}

static int need(struct flag_report *p, str key, struct err *reterr)
{
	return map_put(&p->needed, key, p, NULL) ? 0 : err_set(reterr, WEIR_ENOMEM, "prerequisites of flags");
}

/* Prerequisites, and parents as Unleash has them. */
static int list_needed(struct flag_report *p, struct err *reterr)
{
	int rc = 0;

	for (const struct flag *f = flag_set_next(p->set, NULL); f && !rc; f = flag_set_next(p->set, f)) {
		for (size_t i = 0; !rc && i < f->n_prerequisites; i++)
			rc = need(p, f->prerequisites[i].flag, reterr);
		for (size_t i = 0; !rc && f->unleash && i < unleash_n_dependencies(f->unleash); i++)
			rc = need(p, unleash_dependency_at(f->unleash, i)->feature, reterr);
	}
	return rc;
}

int flag_report_begin(struct flag_room *r, str id, str key, int days, int what, struct arena *a, struct flag_report *ret, struct err *reterr)
{
	struct err e = { 0 };
	int        rc;

	*ret = (struct flag_report){ .arena = a, .key = key, .what = what, .days = days, .now = clock_wall(r->cfg.clock) };
	map_init(&ret->needed);
	rc = find_set(r, id, ret, reterr);
	if (!rc && (what & FLAG_REPORT_USES))
		rc = flag_usage_flush(r->usage, reterr);
	if (rc)
		return rc;
	if ((what & FLAG_REPORT_CODE) && !(ret->code_known = !flag_index_refresh(r, ret->project, &e)))
		log_warn("flag", "project %.*s: its code is not searched for flags: %s", STR_ARG(ret->project), e.msg);
	rc = list_needed(ret, reterr);
	return rc ? rc : db_read(r->cfg.db, gather_tx, ret, reterr);
}

void flag_report_end(struct flag_report *p)
{
	p->set = flag_set_unref(p->set);
	map_fini(&p->needed);
}

/* --- asking --- */

const struct flag_use *flag_report_uses(const struct flag_report *p, str key, size_t *ret_n)
{
	size_t low = 0, high = p->n_uses, n = 0;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (str_cmp(p->uses[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < p->n_uses && str_eq(p->uses[low + n].key, key))
		n++;
	*ret_n = n;
	return p->uses + low;
}

static int key_and_last(const void *key, const void *last) { return str_cmp(*(const str *)key, ((const struct flag_last_use *)last)->key); }
static int key_and_age(const void *key, const void *age) { return str_cmp(*(const str *)key, ((const struct flag_age *)age)->key); }

const struct flag_last_use *flag_report_last(const struct flag_report *p, str key)
{
	return p->n_lasts ? bsearch(&key, p->lasts, p->n_lasts, sizeof(*p->lasts), key_and_last) : NULL;
}

bool flag_report_stale(const struct flag_report *p, const struct flag *f, struct flag_stale *ret)
{
	const struct flag_last_use *last = flag_report_last(p, f->key);
	const struct flag_age      *age = p->n_ages ? bsearch(&f->key, p->ages, p->n_ages, sizeof(*p->ages), key_and_age) : NULL;
	struct flag_stale_facts     facts = {
			.flag = f, .created = age ? age->created : p->now, .changed = age ? age->changed : p->now, .began = p->began, .dropped = p->dropped,
			.asked = last ? last->asked : 0, .bulk = last ? last->bulk : 0, .code_known = p->code_known && p->index.commit[0] && !p->index.skipped,
			.needed = map_has(&p->needed, f->key), .now = p->now, .days = p->days };

	if (str_contains(f->text, STR("\"$ref\"")) && p->head_changed > facts.changed)
		facts.changed = p->head_changed;
	facts.uses = flag_report_uses(p, f->key, &facts.n_uses);
	(void)flag_index_find(&p->index, f->hash, &facts.references);
	return flag_stale_judge(&facts, p->arena, ret);
}
