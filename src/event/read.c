/* read.c - reading events, by project or over all, into the caller's arena. Any thread. */
#include "base/base.h"
#include "base/limits.h"
#include "event/log.h"

struct select_arg {
	const struct event_filter *f;
	struct arena              *a;
	struct event              *out;
	size_t                     n;
};

int event_of_row(struct db_rows *rows, struct arena *a, struct event *ret, struct err *reterr)
{
	str hash = db_str(rows, 6);

	*ret = (struct event){
		.project = arena_str(a, db_str(rows, 0)),
		.seq = db_int(rows, 1),
		.time = db_int(rows, 2),
		.type = arena_str(a, db_str(rows, 3)),
		.actor = arena_str(a, db_str(rows, 4)),
		.data = arena_str(a, db_str(rows, 5)),
	};
	if (hash.len == 32) /* another length can only come from tampering: zero then, `weir log verify` names it */
		memcpy(ret->hash, hash.ptr, 32);
	return arena_check(a, "events", reterr);
}

/* Type names come from the table, so that they can stand in the text: few distinct statements, all prepared once. */
static void select_sql(const struct event_filter *f, struct buf *sql)
{
	static const char *const order[] = {
		[EVENT_BY_SEQ] = " AND e.seq > $2 ORDER BY e.seq LIMIT $3",
		[EVENT_BY_POS] = " AND p.pos > $2 ORDER BY p.pos LIMIT $3",
		[EVENT_NEWEST] = " AND p.pos < $2 ORDER BY p.pos DESC LIMIT $3",
	};
	const char *join = f->order == EVENT_BY_SEQ ? "LEFT JOIN" : "JOIN";

	buf_addf(sql, "SELECT " EVENT_COLUMNS ", p.pos FROM event e %s event_pos p ON p.project = e.project AND p.seq = e.seq WHERE", join);
	buf_addz(sql, f->project.ptr ? " e.project = $1" : " $1 = ''");
	for (size_t i = 0; i < f->n_types; i++)
		buf_addf(sql, "%s'%s'", i ? ", " : " AND e.type IN (", event_type_name(f->types[i]));
	if (f->n_types)
		buf_addc(sql, ')');
	buf_addz(sql, order[f->order]);
}

static int select_fn(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct select_arg          *s = arg;
	const struct event_filter  *f = s->f;
	struct buf sql             CLEANUP_BUF = BUF_INIT(8192);
	struct db_rows *rows       CLEANUP_ROWS = NULL;
	int64_t                     after = f->order == EVENT_NEWEST && !f->after ? INT64_MAX : f->after;
	int                         rc;

	select_sql(f, &sql);
	rc = buf_check(&sql, "SQL", reterr);
	if (!rc)
		rc = db_query(tx, reterr, &rows, buf_z(&sql), "sii", f->project.ptr ? f->project : STR(""), after, (int64_t)f->max);
	while (!rc && s->n < f->max && (rc = db_next(rows, reterr)) == 1) {
		rc = event_of_row(rows, s->a, &s->out[s->n], reterr);
		s->out[s->n++].pos = db_int(rows, 7);
	}
	return rc;
}

int event_select(struct event_log *log, const struct event_filter *f, struct arena *a, struct event **ret, size_t *ret_n,
                 struct err *reterr)
{
	struct event_filter lim = *f;
	struct select_arg   arg = { .f = &lim, .a = a };
	int                 rc = 0;

	if (lim.max > LIMIT_EVENT_READ)
		lim.max = LIMIT_EVENT_READ;
	*ret_n = 0;
	arg.out = ARENA_ARRAY(a, lim.max, struct event);
	if (!arg.out)
		return arena_check(a, "events", reterr);
	if (lim.order != EVENT_BY_SEQ) /* one project's order needs no positions: subscribers do not queue for them */
		rc = event_sequence(log, reterr);
	if (!rc && lim.max)
		rc = db_read(log->db, select_fn, &arg, reterr);
	if (rc)
		return rc;
	*ret = arg.out;
	*ret_n = arg.n;
	return 0;
}

int event_read(struct event_log *log, str project, int64_t after_seq, const enum event_type *types, size_t n_types, size_t max,
               struct arena *a, struct event **ret, size_t *ret_n, struct err *reterr)
{
	struct event_filter f = { project.ptr ? project : STR(""), types, types ? n_types : 0, EVENT_BY_SEQ, after_seq, max };

	return event_select(log, &f, a, ret, ret_n, reterr);
}

int event_read_all(struct event_log *log, int64_t after_pos, size_t max, struct arena *a, struct event **ret,
                   int64_t *ret_last_pos, size_t *ret_n, struct err *reterr)
{
	struct event_filter f = { STR_NULL, NULL, 0, EVENT_BY_POS, after_pos, max };
	int                 rc = event_select(log, &f, a, ret, ret_n, reterr);

	if (!rc)
		*ret_last_pos = *ret_n ? (*ret)[*ret_n - 1].pos : after_pos;
	return rc;
}

int event_read_newest(struct event_log *log, str project, int64_t before_pos, size_t max, struct arena *a, struct event **ret,
                      int64_t *ret_next_pos, size_t *ret_n, struct err *reterr)
{
	struct event_filter f = { project, NULL, 0, EVENT_NEWEST, before_pos, max };
	int                 rc = event_select(log, &f, a, ret, ret_n, reterr);

	if (!rc)
		*ret_next_pos = *ret_n ? (*ret)[*ret_n - 1].pos : 0;
	return rc;
}

void event_write_json(const struct event *ev, struct jw *w)
{
	char hex[SHA256_HEX];

	jw_obj(w);
	jw_kstr(w, "actor", ev->actor);
	jw_key(w, "data");
	jw_raw(w, ev->data);
	jw_kstr(w, "project", ev->project);
	jw_kint(w, "seq", ev->seq);
	jw_kint(w, "time", ev->time);
	jw_kstr(w, "type", ev->type);
	jw_kstrz(w, "hash", hex_of(ev->hash, 32, hex));
	jw_kint(w, "pos", ev->pos);
	jw_end(w);
}
