/* dedup.c - a small open-addressing table from client to the end of its stretch; see dedup.h. Expired entries are reused in place. */
#include "base/base.h"

#include "judge/dedup.h"

void judge_dedup_init(struct judge_dedup *d)
{
	memset(d, 0, sizeof(*d));
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

bool judge_dedup_count(struct judge_dedup *d, uint64_t client, usec_t now, usec_t window)
{
	uint64_t at = mix(client);
	size_t   reuse = SIZE_MAX;

	if (client == 0)
		client = 1;
	for (unsigned i = 0; i < JUDGE_DEDUP_PROBES; i++) {
		size_t s = (at + i) % JUDGE_DEDUP_SLOTS;

		if (d->slot[s].client == client) {
			if (now < d->slot[s].until)
				return false;
			d->slot[s].until = now + window;
			return true;
		}
		if (reuse == SIZE_MAX && (d->slot[s].client == 0 || d->slot[s].until <= now))
			reuse = s;
		if (d->slot[s].client == 0)
			break;
	}
	if (reuse == SIZE_MAX) {
		d->crowded++;
		return false;
	}
	d->slot[reuse].client = client;
	d->slot[reuse].until = now + window;
	return true;
}
