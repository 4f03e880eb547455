/* list.c - lists of rows as one parameter (see db.h, @rows@). Any thread; a list is one thread's. */
#include "base/base.h"
#include "base/limits.h"
#include "db/db.h"

enum { LIST_MAX = 1 << 28 /* one row may hold the largest text that is stored, and each of its bytes may have to be escaped */ };

void db_list_init(struct db_list *l)
{
	buf_init(&l->json, LIST_MAX);
	l->n = 0;
}

bool db_list_fits(const struct db_list *l, size_t bytes)
{
	return !l->n || (l->n < LIMIT_DB_LIST_ROWS && l->json.len + bytes <= LIMIT_DB_LIST_BYTES);
}

void db_list_add(struct db_list *l, const str *columns, size_t n_columns)
{
	buf_addz(&l->json, l->n++ ? ",[" : "[[");
	for (size_t i = 0; i < n_columns; i++) {
		if (i)
			buf_addc(&l->json, ',');
		if (!columns[i].ptr) {
			buf_addz(&l->json, "null");
			continue;
		}
		buf_addc(&l->json, '"');
		buf_add_json(&l->json, columns[i]);
		buf_addc(&l->json, '"');
	}
	buf_addc(&l->json, ']');
}

int db_list_end(struct db_list *l, str *ret, struct err *reterr)
{
	buf_addz(&l->json, l->n ? "]" : "[]");
	*ret = buf_str(&l->json);
	return buf_check(&l->json, "a list of rows", reterr);
}

void db_list_clear(struct db_list *l)
{
	l->json.len = 0;
	l->n = 0;
}

void db_list_fini(struct db_list *l) { buf_fini(&l->json); }
