/* flag-table.h - the table of all sets that readers see, and how it is swapped without a lock in their way.
 *
 * A reader announces the table that it reads in a slot of its thread (a hazard pointer); the writer swaps the table and frees the old one when no slot
 * names it any more. Readers never wait; the writer waits for requests that began before the swap, which are short. */
#ifndef WEIR_FLAG_FLAG_TABLE_H
#define WEIR_FLAG_FLAG_TABLE_H

#include "flag/flag-set.h"

enum flag_source { FLAG_IN_STORE, FLAG_IN_REPOSITORY };
struct flag_entry { /* a set with what is known about it beside its flags */
	struct flag_set *set; /* the entry's own reference */
	char            *id, *project, *name, *environment; /* "shop/production", "shop", "production", "production" or "" */
	str              flag_set_id; /* metadata.flagSetId, else the id: what selectors name; belongs to `set` or `id` */
	enum flag_source source;
	usec_t           changed_at;
	size_t           n_sorted;
	const struct flag *const *sorted; /* by key, for bulk answers: without the archived ones; belongs to the entry */
};
struct flag_table {
	struct flag_entry **entries; /* by id */
	struct flag_entry **by_set_id, **by_name; /* the same, in the order of flag_set_id and of name */
	size_t              n;
	int64_t             generation; /* grows with each swap, for this process only */
};

struct flag_tables;

struct flag_tables *flag_tables_new(void); /* with an empty table; NULL: out of memory */
struct flag_tables *flag_tables_free(struct flag_tables *t);
/* The present table, valid until flag_read_end() in the same thread. Not nested. */
const struct flag_table *flag_read_begin(struct flag_tables *t);
void flag_read_end(struct flag_tables *t);

struct flag_entry *flag_entry_new(const struct flag_entry *like, struct flag_set *set); /* copies texts, takes over the reference; NULL: no memory */
/* Puts e in place of the entry of the same id, or removes `id` when e is NULL. Takes e over. One writer at a time (the caller's lock). */
MUST_CHECK int flag_tables_put(struct flag_tables *t, const char *id, struct flag_entry *e, struct err *reterr);
const struct flag_entry *flag_table_find(const struct flag_table *t, str id);
/* The entries of a project, by name; those whose flag_set_id or name is the text. *ret_n: how many. */
struct flag_entry *const *flag_table_of_project(const struct flag_table *t, const char *project, size_t *ret_n);
struct flag_entry *const *flag_table_of_set_id(const struct flag_table *t, str flag_set_id, size_t *ret_n);
struct flag_entry *const *flag_table_of_name(const struct flag_table *t, str name, size_t *ret_n);

#endif
