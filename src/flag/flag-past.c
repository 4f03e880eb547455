/* flag-past.c - see flag-past.h. A short list in the order of use. Any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-past.h"

void flag_pasts_init(struct flag_pasts *p)
{
	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
}

void flag_pasts_fini(struct flag_pasts *p)
{
	for (size_t i = 0; i < FLAG_PASTS; i++)
		p->sets[i] = flag_set_unref(p->sets[i]);
	pthread_mutex_destroy(&p->lock);
}

static void to_front(struct flag_pasts *p, size_t i, struct flag_set *s)
{
	memmove(&p->sets[1], &p->sets[0], i * sizeof(p->sets[0]));
	p->sets[0] = s;
}

static size_t place_of(const struct flag_pasts *p, str id, int64_t revision)
{
	size_t i = 0;

	while (i < FLAG_PASTS && !(p->sets[i] && flag_set_head(p->sets[i])->revision == revision && str_eq(flag_set_head(p->sets[i])->id, id)))
		i++;
	return i;
}

struct flag_set *flag_pasts_get(struct flag_pasts *p, str id, int64_t revision)
{
	struct flag_set *s = NULL;
	size_t           i;

	pthread_mutex_lock(&p->lock);
	if ((i = place_of(p, id, revision)) < FLAG_PASTS) {
		s = flag_set_ref(p->sets[i]);
		to_front(p, i, p->sets[i]);
	}
	pthread_mutex_unlock(&p->lock);
	return s;
}

void flag_pasts_put(struct flag_pasts *p, struct flag_set *s)
{
	struct flag_set *gone[FLAG_PASTS] = { NULL };
	size_t           flags = 0;

	if (flag_set_count(s) > LIMIT_FLAG_PAST_FLAGS)
		return;
	pthread_mutex_lock(&p->lock);
	if (place_of(p, flag_set_head(s)->id, flag_set_head(s)->revision) == FLAG_PASTS) {
		gone[0] = p->sets[FLAG_PASTS - 1];
		to_front(p, FLAG_PASTS - 1, flag_set_ref(s));
		for (size_t i = 0; i < FLAG_PASTS && p->sets[i]; i++) {
			flags += flag_set_count(p->sets[i]);
			if (flags > LIMIT_FLAG_PAST_FLAGS) {
				gone[i] = p->sets[i];
				p->sets[i] = NULL;
			}
		}
	}
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < FLAG_PASTS; i++)
		flag_set_unref(gone[i]);
}
