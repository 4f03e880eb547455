/* flag-check.c - what is wrong between the flags of a compiled set (flag_set_check). Pure.
 *
 * Chains of prerequisites are followed depth first with a limit on depth and steps, which ends every cycle. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-set.h"

#include <stdarg.h>

struct check {
	const struct flag_set *set;
	void (*tell)(void *ctx, const struct flag *f, const char *what);
	void *ctx;
	size_t steps;
};

static void PRINTF(3, 4) say(struct check *k, const struct flag *f, const char *fmt, ...)
{
	char    text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->tell(k->ctx, f, text);
}

static bool has_variant(const struct flag *f, str name)
{
	for (size_t i = 0; i < f->n_variants; i++)
		if (str_eq(f->variants[i].name, name))
			return true;
	return false;
}

static void check_prerequisite(struct check *k, const struct flag *f, const struct flag_prerequisite *p)
{
	const struct flag *needed = flag_set_find(k->set, p->flag);

	if (!needed)
		say(k, f, "its prerequisite '%.*s' is no flag of this set", STR_ARG(str_sub(p->flag, 0, 80)));
	else if (needed->archived)
		say(k, f, "its prerequisite '%.*s' is archived", STR_ARG(str_sub(p->flag, 0, 80)));
	for (size_t i = 0; needed && i < p->n_variants; i++)
		if (!has_variant(needed, p->variants[i]) || (needed->arms && !has_variant(needed->arms->stable, p->variants[i])))
			say(k, f, "its prerequisite '%.*s' has no variant '%.*s'", STR_ARG(str_sub(p->flag, 0, 80)), STR_ARG(str_sub(p->variants[i], 0, 80)));
}

/* The i-th flag that f needs: its prerequisites, then its parents as Unleash has them; STR_NULL: there is no i-th. */
static str needed_at(const struct flag *f, size_t i)
{
	if (i < f->n_prerequisites)
		return f->prerequisites[i].flag;
	i -= f->n_prerequisites;
	return f->unleash && i < unleash_n_dependencies(f->unleash) ? unleash_dependency_at(f->unleash, i)->feature : STR_NULL;
}

static void check_parent(struct check *k, const struct flag *f, const struct unleash_dependency *d)
{
	const struct flag *parent = flag_set_find(k->set, d->feature);
	str                name = str_sub(d->feature, 0, 80);

	if (!parent)
		say(k, f, "its parent '%.*s' is no flag of this set", STR_ARG(name));
	else if (parent->unleash && unleash_n_dependencies(parent->unleash))
		say(k, f, "its parent '%.*s' depends on others itself: Unleash follows no chains, so it can never be satisfied", STR_ARG(name));
	for (size_t i = 0; parent && i < d->n_variants; i++)
		if (!has_variant(parent, d->variants[i]) && !str_eqz(d->variants[i], "disabled"))
			say(k, f, "its parent '%.*s' has no variant '%.*s'", STR_ARG(name), STR_ARG(str_sub(d->variants[i], 0, 80)));
}

static void check_unleash(struct check *k, const struct flag *f)
{
	const char *what;

	for (size_t i = 0; (what = unleash_problem(f->unleash, i)); i++)
		say(k, f, "unleash: %s", what);
	for (size_t i = 0; i < unleash_n_dependencies(f->unleash); i++)
		check_parent(k, f, unleash_dependency_at(f->unleash, i));
}

/* Flags in the longest chain from f on; more than the limit for every cycle, and for what takes too long to find out. */
static unsigned chain(struct check *k, const struct flag *f, unsigned depth)
{
	unsigned longest = depth;

	if (depth > LIMIT_FLAG_CHAIN || ++k->steps > LIMIT_FLAG_CHAIN_STEPS)
		return LIMIT_FLAG_CHAIN + 1;
	for (size_t i = 0; f && needed_at(f, i).ptr && longest <= LIMIT_FLAG_CHAIN; i++) {
		unsigned n = chain(k, flag_set_find(k->set, needed_at(f, i)), depth + 1);

		longest = n > longest ? n : longest;
	}
	if (f && f->arms && f == f->arms->canary && longest <= LIMIT_FLAG_CHAIN) { /* a rollback must find a good set, too */
		unsigned n = chain(k, f->arms->stable, depth);

		longest = n > longest ? n : longest;
	}
	return longest;
}

/* The first prerequisite of f from which the chain is too long; NULL: none. */
static const struct flag *too_long_after(struct check *k, const struct flag *f, unsigned depth)
{
	for (size_t i = 0; needed_at(f, i).ptr; i++) {
		const struct flag *next = flag_set_find(k->set, needed_at(f, i));

		k->steps = 0;
		if (next && chain(k, next, depth + 1) > LIMIT_FLAG_CHAIN)
			return next;
	}
	return NULL;
}

static void check_chain(struct check *k, const struct flag *f)
{
	struct buf CLEANUP_BUF way = BUF_INIT(4096);
	const struct flag     *at = f;

	k->steps = 0;
	if (!needed_at(f, 0).ptr || chain(k, f, 1) <= LIMIT_FLAG_CHAIN)
		return;
	buf_addf(&way, "%.*s", STR_ARG(str_sub(f->key, 0, 40)));
	for (unsigned i = 1; i <= LIMIT_FLAG_CHAIN && (at = too_long_after(k, at, i)); i++) {
		buf_addf(&way, " -> %.*s", STR_ARG(str_sub(at->key, 0, 40)));
		if (at == f)
			break;
	}
	if (at == f)
		say(k, f, "its prerequisites form a cycle: %.*s", STR_ARG(str_sub(buf_str(&way), 0, 400)));
	else
		say(k, f, "its prerequisites lead through more than %d flags: %.*s ...", LIMIT_FLAG_CHAIN, STR_ARG(str_sub(buf_str(&way), 0, 400)));
}

static void check_one(struct check *k, const struct flag *f)
{
	if (f->broken)
		say(k, f, "%s", f->broken);
	for (size_t i = 0; i < f->n_prerequisites && !f->archived; i++) /* an archived one needs nothing before it comes back */
		check_prerequisite(k, f, &f->prerequisites[i]);
	if (f->unleash)
		check_unleash(k, f);
	check_chain(k, f);
}

void flag_set_check(const struct flag_set *s, void (*tell)(void *ctx, const struct flag *f, const char *what), void *ctx)
{
	struct check k = { .set = s, .tell = tell, .ctx = ctx };

	for (const struct flag *f = flag_set_next(s, NULL); f; f = flag_set_next(s, f)) {
		check_one(&k, f);
		if (f->arms)
			check_one(&k, f->arms->stable);
	}
}
