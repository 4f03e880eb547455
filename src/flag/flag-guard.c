/* flag-guard.c - what a change of a set in the store is kept from: taking the key of an archived flag, and passing by the rules of an environment.
 *
 * Every way in ends here (flag_apply()), so that no route, import or rollout can forget it. Any thread; the caller holds the room's `writer`. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-diff.h"
#include "flag/flag-protection.h"
#include "flag/room.h"

enum { DIFF_ARENA_MAX = 256 << 20 };

/* --- archived flags --- */

/* Does it take the mark away, and nothing else? */
static bool is_unarchive(const struct flag_diff *d)
{
	if (d->n != 1)
		return d->n == 0;
	return str_eqz(d->lines[0].path, "/weir/archived") ||
		   (str_eqz(d->lines[0].path, "/weir") && d->lines[0].kind == FLAG_DIFF_REMOVED && str_eqz(d->lines[0].before, "{\"archived\":true}"));
}

int flag_guard_archived(const struct flag_set *before, const struct flag_change *c, struct err *reterr)
{
	for (size_t i = 0; i < c->n; i++) {
		struct arena CLEANUP_ARENA a = ARENA_INIT(DIFF_ARENA_MAX);
		const struct flag         *f = flag_set_find(before, c->texts[i].key);
		struct flag_diff           d;
		int                        rc;

		if (!f || !f->archived)
			continue;
		if (c->texts[i].json.len) {
			if ((rc = flag_diff_texts(&a, f->text, c->texts[i].json, &d, reterr)))
				return rc;
			if (is_unarchive(&d))
				continue;
		}
		return err_set(reterr, WEIR_EREFUSED, "flag '%.*s' is archived, its key is taken: unarchive it first, then change or remove it",
					   STR_ARG(str_sub(f->key, 0, 100)));
	}
	return 0;
}

/* --- protected environments --- */

/* Flags switched off and nothing else: what anybody must be able to do in the middle of an incident. */
static int is_kill_switch(const struct flag_set *before, const struct flag_change *c, bool *ret, struct err *reterr)
{
	*ret = c->n > 0 && !c->with_head && !c->with_segments && !c->with_environment;
	for (size_t i = 0; *ret && i < c->n; i++) {
		struct arena CLEANUP_ARENA a = ARENA_INIT(DIFF_ARENA_MAX);
		const struct flag         *f = flag_set_find(before, c->texts[i].key);
		struct flag_diff           d;
		int                        rc;

		*ret = f && c->texts[i].json.len;
		if (!*ret)
			return 0;
		if ((rc = flag_diff_texts(&a, f->text, c->texts[i].json, &d, reterr)))
			return rc;
		*ret = flag_diff_is_switch_off(&d);
	}
	return 0;
}

/* Both the environment that the set leaves and the one it comes to have a say: else a change of it would be a way around. */
int flag_guard_protected(struct flag_room *r, const struct flag_set *before, str environment, const struct flag_change *c, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(16 << 20);
	struct flag_protection     p;
	const struct flag_rule    *rule, *next;
	str                        project;
	bool                       kill = false;
	int                        rc;

	if (!environment.len && !(c->with_environment && c->environment.len))
		return 0;
	str_cut(c->id, '/', &project, NULL);
	if ((rc = flag_protection_load(&r->cfg.source, &a, project, &p, reterr)))
		return rc;
	rule = flag_protection_of(&p, environment);
	next = c->with_environment ? flag_protection_of(&p, c->environment) : NULL;
	if (!rule && !next)
		return 0;
	if (rule && rule->kill_switch_free && (rc = is_kill_switch(before, c, &kill, reterr)))
		return rc;
	if (kill)
		return 0;
	return err_set(reterr, WEIR_EPERM, "the environment '%.*s' is protected by " PROTECTION_PATH ": make a draft (weir flag draft open, POST .../drafts) and have it approved%s",
				   STR_ARG(rule ? environment : c->environment), rule && !rule->kill_switch_free ? "; its kill switch is protected, too" : "; only switching flags off is free");
}
