/* flag-table.c - the swap of the table of sets (see flag-table.h). flag_read_*: any thread; flag_tables_put: one writer at a time. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/flag-table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* More reading threads at once than slots share the last one behind a lock; a server has some dozens. */
enum { SLOTS = 128, CACHE_LINE = 64 };

struct slot {
	_Alignas(CACHE_LINE) _Atomic(const struct flag_table *) reads;
};
struct shared_entry { /* an entry is shared by the tables that hold it */
	struct flag_entry e;
	size_t            refs; /* of tables; the writer's */
};
struct flag_tables {
	struct slot                         slots[SLOTS];
	_Atomic(const struct flag_table *)  present;
	pthread_mutex_t                     crowd; /* held while the last slot is in use */
};

static atomic_uint         next_slot;
static _Thread_local unsigned own_slot; /* number + 1 */

static unsigned slot_of_thread(void)
{
	if (!own_slot) {
		unsigned n = atomic_fetch_add(&next_slot, 1);

		own_slot = (n < SLOTS - 1 ? n : SLOTS - 1) + 1;
	}
	return own_slot - 1;
}

const struct flag_table *flag_read_begin(struct flag_tables *t)
{
	unsigned                 i = slot_of_thread();
	const struct flag_table *p;

	if (i == SLOTS - 1)
		pthread_mutex_lock(&t->crowd);
	do { /* announced, then still present: the writer cannot have missed it */
		p = atomic_load(&t->present);
		atomic_store(&t->slots[i].reads, p);
	} while (p != atomic_load(&t->present));
	return p;
}

void flag_read_end(struct flag_tables *t)
{
	unsigned i = slot_of_thread();

	atomic_store_explicit(&t->slots[i].reads, NULL, memory_order_release);
	if (i == SLOTS - 1)
		pthread_mutex_unlock(&t->crowd);
}

/* --- entries --- */

static struct flag_entry *entry_free(struct flag_entry *e)
{
	if (!e)
		return NULL;
	flag_set_unref(e->set);
	free(e->id);
	free(e->project);
	free(e->name);
	free(e->environment);
	free((void *)(uintptr_t)e->sorted);
	free(e); /* the first member of its struct shared_entry */
	return NULL;
}

static int by_key(const void *pa, const void *pb)
{
	return str_cmp((*(const struct flag *const *)pa)->key, (*(const struct flag *const *)pb)->key);
}

static bool sort_flags(struct flag_entry *e)
{
	size_t              n = 0;
	const struct flag **v = calloc(flag_set_count(e->set) + 1, sizeof(*v));

	if (!v)
		return false;
	for (const struct flag *f = flag_set_next(e->set, NULL); f; f = flag_set_next(e->set, f))
		if (!f->archived)
			v[n++] = f;
	qsort(v, n, sizeof(*v), by_key);
	e->sorted = v;
	e->n_sorted = n;
	return true;
}

static char *copy(const char *z) { return strdup(z ? z : ""); }

struct flag_entry *flag_entry_new(const struct flag_entry *like, struct flag_set *set)
{
	struct shared_entry *s = calloc(1, sizeof(*s));
	struct flag_entry   *e = s ? &s->e : NULL;

	if (!e) {
		flag_set_unref(set);
		return NULL;
	}
	e->set = set;
	e->id = copy(like->id);
	e->project = copy(like->project);
	e->name = copy(like->name);
	e->environment = copy(like->environment);
	e->source = like->source;
	e->changed_at = like->changed_at;
	if (!e->id || !e->project || !e->name || !e->environment || !sort_flags(e))
		return entry_free(e);
	e->flag_set_id = flag_set_id(set);
	if (!e->flag_set_id.len)
		e->flag_set_id = str_z(e->id);
	return e;
}

/* --- tables --- */

static struct shared_entry *shared(struct flag_entry *e) { return (struct shared_entry *)e; }

static void table_free(struct flag_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (--shared(t->entries[i])->refs == 0)
			entry_free(t->entries[i]);
	free(t->entries);
	free(t->by_set_id);
	free(t->by_name);
	free(t);
}

static struct flag_table *table_new(size_t n)
{
	struct flag_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->entries = calloc(n ? n : 1, sizeof(struct flag_entry *));
	t->by_set_id = calloc(n ? n : 1, sizeof(struct flag_entry *));
	t->by_name = calloc(n ? n : 1, sizeof(struct flag_entry *));
	if (!t->entries || !t->by_set_id || !t->by_name) {
		table_free(t); /* it has no entries yet */
		return NULL;
	}
	return t;
}

struct flag_tables *flag_tables_new(void)
{
	struct flag_tables *t = aligned_alloc(CACHE_LINE, sizeof(*t));
	struct flag_table  *empty = table_new(0);

	if (!t || !empty) {
		free(t);
		if (empty)
			table_free(empty);
		return NULL;
	}
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->crowd, NULL);
	atomic_init(&t->present, empty);
	return t;
}

struct flag_tables *flag_tables_free(struct flag_tables *t)
{
	if (t) {
		table_free((struct flag_table *)(uintptr_t)atomic_load(&t->present));
		pthread_mutex_destroy(&t->crowd);
		free(t);
	}
	return NULL;
}

/* Returns when no reader can see `old` any more: those that announced it end soon, later ones see the new table. */
static void wait_for_readers(struct flag_tables *t, const struct flag_table *old)
{
	const struct timespec pause = { 0, 50000 };

	for (size_t i = 0; i < SLOTS; i++)
		while (atomic_load(&t->slots[i].reads) == old)
			nanosleep(&pause, NULL);
}

static size_t place(const struct flag_table *t, str id, bool *ret_there)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (str_cmp(str_z(t->entries[mid]->id), id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_there = low < t->n && str_eqz(id, t->entries[low]->id);
	return low;
}

const struct flag_entry *flag_table_find(const struct flag_table *t, str id)
{
	bool   there;
	size_t i = place(t, id, &there);

	return there ? t->entries[i] : NULL;
}

/* --- by other names --- */

static str set_id_of(const struct flag_entry *e) { return e->flag_set_id; }
static str name_of(const struct flag_entry *e) { return str_z(e->name); }

static int by_set_id(const void *pa, const void *pb)
{
	return str_cmp(set_id_of(*(struct flag_entry *const *)pa), set_id_of(*(struct flag_entry *const *)pb));
}

static int by_name(const void *pa, const void *pb)
{
	return str_cmp(name_of(*(struct flag_entry *const *)pa), name_of(*(struct flag_entry *const *)pb));
}

static void index_entries(struct flag_table *t)
{
	memcpy(t->by_set_id, t->entries, t->n * sizeof(struct flag_entry *));
	memcpy(t->by_name, t->entries, t->n * sizeof(struct flag_entry *));
	qsort(t->by_set_id, t->n, sizeof(struct flag_entry *), by_set_id);
	qsort(t->by_name, t->n, sizeof(struct flag_entry *), by_name);
}

static struct flag_entry *const *equal(struct flag_entry *const *v, size_t n, str (*of)(const struct flag_entry *e), str text, size_t *ret_n)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (str_cmp(of(v[mid]), text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (*ret_n = 0; low + *ret_n < n && str_eq(of(v[low + *ret_n]), text);)
		++*ret_n;
	return v + low;
}

struct flag_entry *const *flag_table_of_set_id(const struct flag_table *t, str flag_set_id, size_t *ret_n)
{
	return equal(t->by_set_id, t->n, set_id_of, flag_set_id, ret_n);
}

struct flag_entry *const *flag_table_of_name(const struct flag_table *t, str name, size_t *ret_n)
{
	return equal(t->by_name, t->n, name_of, name, ret_n);
}

struct flag_entry *const *flag_table_of_project(const struct flag_table *t, const char *project, size_t *ret_n)
{
	char   begin[LIMIT_NAME_BYTES + 2];
	bool   there;
	size_t low;

	snprintf(begin, sizeof(begin), "%s/", project);
	low = place(t, str_z(begin), &there);
	for (*ret_n = 0; low + *ret_n < t->n && !strcmp(t->entries[low + *ret_n]->project, project);)
		++*ret_n;
	return t->entries + low;
}

int flag_tables_put(struct flag_tables *t, const char *id, struct flag_entry *e, struct err *reterr)
{
	const struct flag_table *old = atomic_load(&t->present);
	struct flag_table       *next = table_new(old->n + 1);
	bool                     there;
	size_t                   at = place(old, str_z(id), &there);

	if (!next) {
		entry_free(e);
		return err_set(reterr, WEIR_ENOMEM, "no memory for the table of flag sets");
	}
	for (size_t i = 0; i < at; i++)
		next->entries[next->n++] = old->entries[i];
	if (e)
		next->entries[next->n++] = e;
	for (size_t i = at + there; i < old->n; i++)
		next->entries[next->n++] = old->entries[i];
	for (size_t i = 0; i < next->n; i++)
		shared(next->entries[i])->refs++;
	index_entries(next);
	next->generation = old->generation + 1;
	atomic_store(&t->present, next);
	wait_for_readers(t, old);
	table_free((struct flag_table *)(uintptr_t)old);
	return 0;
}
