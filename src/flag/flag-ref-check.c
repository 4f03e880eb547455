/* flag-ref-check.c - the gate's check "flags": what a change does to the places in code that name flags. Warnings, never refusals.
 *
 *   flag-unreferenced  the change takes the last reference to a flag away: the flag can go (default branch only: what others refer to is known there)
 *   flag-unknown       a call that asks for flags names one that no set of the project has; with the nearest key
 *   flag-stale         a reference is added to a flag that is past its day, or used and rolled out
 *   flag-unchecked     (note) it could not be looked: on a machine without the project's sets, or a change of too many files
 * Flags are those of the project's sets; of sets that are kept in the repository, as the change has them. Runs where the gate runs. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/map.h"
#include "flag/flag-report.h"

enum { FILES_MAX = 2000, WARNINGS_MAX = 50, NEAR_KEYS_MAX = 20000, ARENA_MAX = 512 << 20, SCAN_MAX = 32 << 20 };

struct place {
	str      path;
	uint32_t line, col;
};
struct seen { /* one text over all files of the change */
	str          text;
	size_t       before, after;
	bool         getter;
	struct place added, removed; /* path STR_NULL: none */
};
struct look {
	const struct change       *c;
	const struct finding_sink *sink;
	struct flag_room          *room; /* NULL: on a laptop */
	struct arena               arena;
	VEC(struct flag_set *) sets;        /* of the store, with references */
	struct map                 known;   /* key -> id of a set of the repository that has it */
	struct map                 texts;   /* -> struct seen */
	struct map                 changed; /* paths, old and new */
	size_t                     files, told;
	bool                       too_many;
	struct err                *reterr; /* of what the sink says */
	char                       base[GIT_ID_SIZE], commit[GIT_ID_SIZE];
};

static int PRINTF(6, 7) tell(struct look *l, const char *rule, enum severity severity, const struct place *p, str key, const char *fmt, ...)
{
	char           digest[SHA256_HEX], text[LIMIT_PATH_BYTES + LIMIT_FLAG_KEY_BYTES + 64];
	struct finding f = { .check = STR("flags"), .rule = str_z(rule), .severity = severity, .path = p->path, .line = p->line, .col = p->col };
	struct buf CLEANUP_BUF message = BUF_INIT(4096);
	va_list        ap;

	if (l->told++ >= WARNINGS_MAX)
		return 0;
	va_start(ap, fmt);
	buf_addv(&message, fmt, ap);
	va_end(ap);
	f.message = buf_str(&message);
	f.advice = !strcmp(rule, "flag-unreferenced") ? STR("when this is released everywhere, remove the flag: weir flag stale SET KEY")
			   : !strcmp(rule, "flag-unknown")    ? STR("make the flag before the code that asks for it is released, or mend its name")
			   : !strcmp(rule, "flag-stale")      ? STR("see weir flag stale SET KEY; a flag that stays needs another last day")
												  : STR("weir flag list SET shows the flags that there are, weir flag references SET where code names them");
	snprintf(text, sizeof(text), "%s %.*s %.*s", rule, STR_ARG(key), STR_ARG(p->path));
	sha256_hex(str_z(text), digest);
	f.fingerprint = str_z(digest);
	return l->sink->add(l->sink->ctx, &f, l->reterr);
}

/* --- which flags there are --- */

static int know(struct look *l, str key, const char *set, struct err *reterr)
{
	return map_put(&l->known, key, arena_dupz(&l->arena, set), NULL) ? 0 : err_set(reterr, WEIR_ENOMEM, "keys of flags");
}

/* Sets of the store; those of the repository come from the change itself. */
static int know_store(struct look *l, struct err *reterr)
{
	const struct flag_table *t = flag_read_begin(l->room->tables);
	int                      rc = 0;

	for (size_t i = 0; !rc && i < t->n; i++) {
		const struct flag_entry *e = t->entries[i];

		if (e->source != FLAG_IN_STORE || !str_eqz(l->c->project, e->project))
			continue;
		if (VEC_PUSH(&l->sets, e->set))
			(void)flag_set_ref(e->set);
		else
			rc = err_set(reterr, WEIR_ENOMEM, "keys of flags");
	}
	flag_read_end(l->room->tables);
	return rc;
}

/* The id of a set that has this flag; NULL: none. */
static const char *set_with(const struct look *l, str key)
{
	for (size_t i = 0; i < l->sets.n; i++)
		if (flag_set_find(l->sets.v[i], key))
			return flag_set_head(l->sets.v[i])->id.ptr;
	return map_get(&l->known, key);
}

static size_t count_known(const struct look *l)
{
	size_t n = map_count(&l->known);

	for (size_t i = 0; i < l->sets.n; i++)
		n += flag_set_count(l->sets.v[i]);
	return n;
}

static int know_file(void *ctx, str path, unsigned mode UNUSED, const char *blob, struct err *reterr)
{
	struct look               *l = ctx;
	struct arena CLEANUP_ARENA a = ARENA_INIT(ARENA_MAX);
	struct buf CLEANUP_BUF     text = BUF_INIT(LIMIT_DOC_BYTES);
	const struct doc_node     *flags;
	struct doc_node           *root;
	char                       id[2 * FLAG_ID_SIZE];
	int                        rc = 0;

	if (!str_has_suffix(path, STR(".json")) || git_read_blob(l->c->repo, blob, &text, NULL) || doc_parse_json(&a, "flags", buf_str(&text), &root, NULL))
		return 0; /* the check of flag files says what is wrong */
	snprintf(id, sizeof(id), "%.*s/%.*s", STR_ARG(l->c->project), STR_ARG(str_sub(path, strlen(".weir/flags/"), path.len - strlen(".weir/flags/.json"))));
	flags = doc_get(root, "flags");
	for (size_t i = 0; !rc && i < doc_len(flags); i++)
		rc = know(l, flags->kind == DOC_MAP ? flags->map.pairs[i].key : doc_get_str(doc_at(flags, i), "key"), id, reterr);
	return rc;
}

/* --- what the change does --- */

static struct seen *seen_of(struct look *l, str text)
{
	struct seen *s = map_get(&l->texts, text);

	if (!s && (s = ARENA_NEW(&l->arena, struct seen))) {
		*s = (struct seen){ .text = arena_str(&l->arena, text), .added = { .path = STR_NULL }, .removed = { .path = STR_NULL } };
		if (!map_put(&l->texts, text, s, NULL))
			return NULL;
	}
	return s;
}

/* Literals of one side of one file that matter: keys, and what calls name. others: texts of the other side, whose places are no news. */
static int count_side(struct look *l, str path, const char *blob, bool after, struct map *texts, const struct map *others, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(SCAN_MAX);
	struct buf CLEANUP_BUF     text = BUF_INIT(LIMIT_FLAG_REF_BYTES);
	struct flag_literals       found = { .all = VEC_INIT };
	int                        rc = 0;

	if (!path.len || !strcmp(blob, git_zero_id) || flag_lang_of(path) == LANG_NONE || git_read_blob(l->c->repo, blob, &text, NULL)) /* too large: not searched */
		return 0;
	rc = flag_refs_scan(flag_lang_of(path), buf_str(&text), &a, &found, reterr);
	for (size_t i = 0; !rc && i < found.all.n; i++) {
		const struct flag_literal *lit = &found.all.v[i];
		struct seen               *s;
		struct place              *p;

		if (!lit->getter && !set_with(l, lit->text))
			continue;
		if (!(s = seen_of(l, lit->text)) || !map_put(texts, lit->text, l, NULL)) {
			rc = err_set(reterr, WEIR_ENOMEM, "references of flags");
			break;
		}
		*(after ? &s->after : &s->before) += 1;
		s->getter |= after && lit->getter;
		p = after ? &s->added : &s->removed;
		if (!p->path.ptr && !(others && map_has(others, lit->text)))
			*p = (struct place){ arena_str(&l->arena, path), lit->line, lit->col };
	}
	flag_literals_fini(&found);
	return rc;
}

static int on_delta(void *ctx, const struct git_delta *d, struct err *reterr)
{
	struct look *l = ctx;
	str          old_path = d->old_path.len ? d->old_path : d->path;
	struct map   old_texts, new_texts;
	int          rc = 0;

	if (++l->files > FILES_MAX) {
		l->too_many = true;
		return 0;
	}
	if (!map_put(&l->changed, d->path, l, NULL) || !map_put(&l->changed, old_path, l, NULL))
		return err_set(reterr, WEIR_ENOMEM, "references of flags");
	map_init(&old_texts);
	map_init(&new_texts);
	rc = count_side(l, old_path, d->old_blob, false, &old_texts, NULL, reterr);
	if (!rc)
		rc = count_side(l, d->path, d->blob, true, &new_texts, &old_texts, reterr);
	map_fini(&old_texts);
	map_fini(&new_texts);
	return rc;
}

/* --- warnings --- */

struct near {
	str    text, best;
	size_t max;
};

static void come_near(struct near *n, str key)
{
	size_t longer = key.len > n->text.len ? key.len - n->text.len : n->text.len - key.len, distance;

	if (longer > n->max || (distance = str_distance(n->text, key, n->max)) > n->max)
		return;
	n->best = key;
	n->max = distance - 1; /* at least 1: an equal one is known */
}

/* The nearest key; STR_NULL: none is near. */
static str nearest(const struct look *l, str text)
{
	struct near n = { .text = text, .best = STR_NULL, .max = text.len > 8 ? 3 : text.len / 3 + 1 };

	if (count_known(l) > NEAR_KEYS_MAX)
		return STR_NULL;
	for (struct map_entry *e = map_next(&l->known, NULL); e; e = map_next(&l->known, e))
		come_near(&n, str_n(e->key, e->key_len));
	for (size_t i = 0; i < l->sets.n; i++)
		for (const struct flag *f = flag_set_next(l->sets.v[i], NULL); f; f = flag_set_next(l->sets.v[i], f))
			come_near(&n, f->key);
	return n.best;
}

static int tell_unknown(struct look *l, const struct seen *s)
{
	str near = nearest(l, s->text);

	return tell(l, "flag-unknown", SEVERITY_WARNING, &s->added, s->text, "no flag set of the project has a flag '%.*s'%s%.*s%s", STR_ARG(str_sub(s->text, 0, 100)),
				near.ptr ? " (did you mean '" : "", (int)near.len, near.ptr ? near.ptr : "", near.ptr ? "'?)" : "");
}

struct index_read {
	struct look      *l;
	struct flag_index index;
};

static int index_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct index_read *i = arg;

	return flag_index_read(tx, &i->l->arena, i->l->c->project, &i->index, reterr);
}

static bool elsewhere(const struct look *l, const struct flag_index *ix, str text)
{
	size_t                 n;
	const struct flag_ref *v = flag_index_find(ix, flag_index_hash(text), &n);

	for (size_t i = 0; i < n; i++)
		if (!map_has(&l->changed, v[i].path))
			return true;
	return false;
}

static bool is_gone(const struct look *l, const struct seen *s) { return s->before && !s->after && set_with(l, s->text); }

/* Keys that the changed files named before and do not any more, and no other file names. */
static int tell_removed(struct look *l, struct err *reterr)
{
	struct index_read   i = { .l = l };
	const struct source_ops *source = &l->room->cfg.source;
	char                ref[256];
	bool                any = false;
	int                 rc = 0;

	for (struct map_entry *e = map_next(&l->texts, NULL); e; e = map_next(&l->texts, e))
		any |= is_gone(l, e->value);
	if (!any || source->default_ref(source->ctx, l->c->project, ref, sizeof(ref), NULL) || !str_eqz(l->c->ref, ref))
		return 0;
	if ((rc = flag_index_refresh(l->room, l->c->project, reterr)) || (rc = db_read(l->room->cfg.db, index_tx, &i, reterr)))
		return rc;
	if (strcmp(i.index.commit, l->base)) /* somebody else was faster; git will refuse this push */
		return 0;
	for (struct map_entry *e = map_next(&l->texts, NULL); !rc && e; e = map_next(&l->texts, e)) {
		const struct seen *s = e->value;

		if (is_gone(l, s) && !elsewhere(l, &i.index, s->text))
			rc = tell(l, "flag-unreferenced", SEVERITY_WARNING, &s->removed, s->text, "this takes the last reference to the flag '%.*s' of %s away%s", STR_ARG(str_sub(s->text, 0, 100)),
					  set_with(l, s->text), i.index.skipped ? " (some large files were not searched)" : "");
	}
	return rc;
}

static bool is_added(const struct look *l, const struct seen *s) { return s->after > s->before && s->added.path.ptr && set_with(l, s->text); }

/* Stale for somebody who writes new code for it: past its day, or used already and the same for everybody. */
static int tell_stale_of(struct look *l, const char *id, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(ARENA_MAX);
	struct flag_report         p;
	int                        rc = flag_report_begin(l->room, str_z(id), STR_NULL, FLAG_STALE_DAYS, FLAG_REPORT_ALL, &a, &p, reterr);

	for (struct map_entry *e = rc ? NULL : map_next(&l->texts, NULL); !rc && e; e = map_next(&l->texts, e)) {
		const struct seen *s = e->value;
		const struct flag *f = is_added(l, s) ? flag_set_find(p.set, s->text) : NULL;
		struct flag_stale  stale;

		if (f && f->archived)
			rc = tell(l, "flag-stale", SEVERITY_WARNING, &s->added, s->text, "the flag '%.*s' of %s is archived: it is not served", STR_ARG(str_sub(s->text, 0, 100)), id);
		if (!f || f->archived || !flag_report_stale(&p, f, &stale))
			continue;
		if (stale.is[FLAG_STALE_EXPIRED] || (stale.is[FLAG_STALE_ROLLED_OUT] && flag_report_last(&p, f->key)))
			rc = tell(l, "flag-stale", SEVERITY_WARNING, &s->added, s->text, "the flag '%.*s' of %s is stale: %s", STR_ARG(str_sub(s->text, 0, 100)), id,
					  stale.why[stale.is[FLAG_STALE_EXPIRED] ? FLAG_STALE_EXPIRED : FLAG_STALE_ROLLED_OUT]);
	}
	flag_report_end(&p);
	return rc == -WEIR_ENOENT ? 0 : rc; /* a set that comes with this change */
}

static int tell_stale(struct look *l, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(ARENA_MAX);
	const struct flag_table   *t;
	const char               **ids;
	size_t                     n = 0;
	bool                       any = false;
	int                        rc = 0;

	for (struct map_entry *e = map_next(&l->texts, NULL); e; e = map_next(&l->texts, e))
		any |= is_added(l, e->value);
	if (!any)
		return 0;
	t = flag_read_begin(l->room->tables);
	ids = ARENA_ARRAY(&a, t->n + 1, const char *);
	for (size_t i = 0; ids && i < t->n; i++)
		if (str_eqz(l->c->project, t->entries[i]->project))
			ids[n++] = arena_dupz(&a, t->entries[i]->id);
	flag_read_end(l->room->tables);
	for (size_t i = 0; !rc && i < n; i++)
		rc = tell_stale_of(l, ids[i], reterr);
	return rc;
}

/* --- the check --- */

static int look_at_change(struct look *l, struct err *reterr)
{
	int rc = l->room ? know_store(l, reterr) : 0;

	if (!rc)
		rc = git_tree_each(l->c->repo, l->commit, ".weir/flags", know_file, l, reterr);
	if (rc == -WEIR_ENOENT)
		rc = 0;
	if (rc || (l->room && !count_known(l))) /* a project without flags */
		return rc;
	return git_diff_each(l->c->repo, l->base, l->commit, on_delta, l, reterr);
}

static int report(struct look *l, struct err *reterr)
{
	struct place nowhere = { .path = STR_NULL };
	size_t       calls = 0;
	int          rc = 0;

	for (struct map_entry *e = map_next(&l->texts, NULL); !rc && e; e = map_next(&l->texts, e)) {
		const struct seen *s = e->value;

		if (!s->getter || !s->added.path.ptr || s->after <= s->before)
			continue;
		calls++;
		if (!nowhere.path.ptr)
			nowhere = s->added;
		if (l->room && !set_with(l, s->text))
			rc = tell_unknown(l, s);
	}
	if (!rc && !l->room && calls)
		rc = tell(l, "flag-unchecked", SEVERITY_NOTE, &nowhere, STR(""), "%zu call%s for flags added: whether the project has these flags is looked at when it is pushed (its sets are not known here)",
				  calls, calls == 1 ? "" : "s");
	if (!rc && l->room && l->too_many)
		rc = tell(l, "flag-unchecked", SEVERITY_NOTE, &nowhere, STR(""), "more than %d files change: references to flags were looked at in these only", FILES_MAX);
	if (!rc && l->room && !l->too_many)
		rc = tell_removed(l, reterr);
	return rc || !l->room ? rc : tell_stale(l, reterr);
}

/* What the change is held against: what was on its ref; for a new branch the protected one. */
static void choose_base(struct look *l)
{
	const struct change *c = l->c;

	snprintf(l->base, sizeof(l->base), "%s", strcmp(c->old_id, git_zero_id) || !c->target ? c->old_id : c->target);
	if (!l->base[0])
		snprintf(l->base, sizeof(l->base), "%s", git_zero_id);
}

static int check_run(void *ctx, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct flag_room **room = ctx;
	struct look        l = { .c = c, .sink = sink, .room = room ? *room : NULL, .arena = ARENA_INIT(ARENA_MAX), .reterr = reterr };
	struct err         e = { 0 };
	char               rev[GIT_ID_SIZE + 16];
	int                rc;

	if (c->files || !c->repo || !strcmp(c->new_id, git_zero_id) || (c->ref.len && !str_has_prefix(c->ref, STR("refs/heads/"))))
		return 0;
	snprintf(rev, sizeof(rev), "%s^{commit}", c->new_id);
	if (git_resolve(c->repo, rev, l.commit, NULL))
		return 0;
	choose_base(&l);
	map_init(&l.known);
	map_init(&l.texts);
	map_init(&l.changed);
	rc = look_at_change(&l, &e);
	if (!rc)
		rc = report(&l, &e);
	if (rc) { /* warnings are no reason to refuse what cannot be looked at */
		struct place nowhere = { .path = STR_NULL };

		log_warn("flag", "project %.*s: references to flags of a push are not checked: %s", STR_ARG(c->project), e.msg);
		rc = tell(&l, "flag-unchecked", SEVERITY_NOTE, &nowhere, STR("failed"), "references to flags could not be checked: %s", e.msg);
	}
	for (size_t i = 0; i < l.sets.n; i++)
		flag_set_unref(l.sets.v[i]);
	VEC_FINI(&l.sets);
	map_fini(&l.known);
	map_fini(&l.texts);
	map_fini(&l.changed);
	arena_fini(&l.arena);
	return rc;
}

const struct check_ops flag_ref_check = { "flags", check_run, NULL };
