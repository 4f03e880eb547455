/* git-oidmap.c - open-addressing hash map from object ids to small numbers.
 *
 * Ids are digests, so their own bytes are the hash. Whoever grinds ids until they collide in a table pays more for it
 * than the table does: each probe step costs them 2^bits hashes. Used by one thread at a time. */
#include "git/git-internal.h" /* first: git2.h uses names that base.h forbids */

void oidmap_fini(struct oidmap *m)
{
	free(m->slots);
	*m = (struct oidmap){ 0 };
}

static size_t slot_of(const struct oidmap_slot *slots, size_t n_slots, const git_oid *id)
{
	uint64_t h;
	size_t   i;

	memcpy(&h, id->id + 8, sizeof h);
	for (i = h & (n_slots - 1); slots[i].value; i = (i + 1) & (n_slots - 1))
		if (!memcmp(slots[i].id.id, id->id, GIT_OID_RAWSZ))
			break;
	return i;
}

uint32_t oidmap_get(const struct oidmap *m, const git_oid *id)
{
	return m->n_slots ? m->slots[slot_of(m->slots, m->n_slots, id)].value : 0;
}

static bool grow(struct oidmap *m)
{
	size_t              n = m->n_slots ? m->n_slots * 2 : 256;
	struct oidmap_slot *slots = calloc(n, sizeof *slots);

	if (!slots)
		return false;
	for (size_t i = 0; i < m->n_slots; i++)
		if (m->slots[i].value)
			slots[slot_of(slots, n, &m->slots[i].id)] = m->slots[i];
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return true;
}

uint32_t *oidmap_at(struct oidmap *m, const git_oid *id)
{
	size_t i;

	if (m->n + 1 > m->n_slots - m->n_slots / 4 && !grow(m))
		return NULL;
	i = slot_of(m->slots, m->n_slots, id);
	if (!m->slots[i].value) {
		m->slots[i].id = *id;
		m->n++; /* the caller gives it a value other than 0 at once */
	}
	return &m->slots[i].value;
}
