/* postgres-lock.c - locks by name (see db.h): an advisory lock that lives as long as the connection that took it.
 *
 * Each lock has a connection of its own, so that it ends with this server: at once when the process dies, within some 25 s when its machine
 * does (the database then asks after the connection). A connection that broke took the lock with it; the next hold tries again. */
#include "base/base.h"
#include "base/hash.h"
#include "db/postgres.h"

struct pg_lock {
	struct pg      *b;
	struct pg_conn *c; /* NULL: to be opened */
	char            take[96];
	bool            held;
};

int pg_lock_new(void *bp, const char *name, void **ret_lock, struct err *reterr)
{
	struct pg_lock *l = calloc(1, sizeof(*l));
	unsigned char   digest[32];

	if (!l)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a lock");
	l->b = bp;
	sha256(str_z(name), digest); /* beside the fixed ones of postgres.c, which have another first number */
	(void)snprintf(l->take, sizeof(l->take), "SELECT pg_try_advisory_lock(1466264947, %d)",
	               (int)((unsigned)digest[0] << 24 | (unsigned)digest[1] << 16 | (unsigned)digest[2] << 8 | digest[3]));
	*ret_lock = l;
	return 0;
}

void pg_lock_free(void *lock)
{
	struct pg_lock *l = lock;

	pg_conn_close(l->c);
	free(l);
}

static int lock_connect(struct pg_lock *l, struct err *reterr)
{
	int rc = pg_conn_open(l->b->url, &l->c, reterr);

	/* How soon the database misses us; without meaning, and without error, on a local socket. */
	if (!rc)
		rc = pg_simple(l->c, "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3", NULL, reterr);
	if (rc)
		l->c = pg_conn_close(l->c);
	return rc;
}

static int lock_take(struct pg_lock *l, struct err *reterr)
{
	PGresult *res = PQexec(l->c->h, l->take);

	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		return pg_fail(l->c, res, "pg_try_advisory_lock", NULL, reterr);
	l->held = PQgetvalue(res, 0, 0)[0] == 't';
	PQclear(res);
	return 0;
}

int pg_lock_hold(void *lock, bool *ret_held, bool *ret_anew, struct err *reterr)
{
	struct pg_lock *l = lock;
	int             rc = 0;

	*ret_held = *ret_anew = false;
	if (l->held && !pg_simple(l->c, "SELECT 1", NULL, NULL)) {
		*ret_held = true;
		return 0;
	}
	if (l->held)
		l->c = pg_conn_close(l->c);
	l->held = false;
	if (!l->c)
		rc = lock_connect(l, reterr);
	if (!rc)
		rc = lock_take(l, reterr);
	if (rc)
		l->c = pg_conn_close(l->c);
	*ret_held = *ret_anew = l->held;
	return rc;
}
