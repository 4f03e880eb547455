/* postgres-conn.c - errors, connections and their pools.
 *
 * A broken connection is never given out again. No error text contains a parameter's value or a password. Any thread. */
#include "base/base.h"
#include "db/postgres.h"

/* --- errors --- */

static int pg_code(const char *state)
{
	static const struct {
		const char *prefix;
		int         code;
	} table[] = {
		{ "23505", WEIR_EEXIST }, { "23", WEIR_ECONFLICT }, { "40", WEIR_EBUSY },  { "53100", WEIR_ENOSPC },
		{ "53200", WEIR_ENOMEM }, { "53", WEIR_EBUSY },     { "57", WEIR_EUNAVAIL }, { "08", WEIR_EUNAVAIL },
		{ "25006", WEIR_EPERM },  { "28", WEIR_EPERM },     { "42501", WEIR_EPERM }, { "22", WEIR_EINVAL },
		{ "54", WEIR_ELIMIT },    { "58", WEIR_EIO },       { "XX001", WEIR_EIO },   { "XX002", WEIR_EIO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (!strncmp(state, table[i].prefix, strlen(table[i].prefix)))
			return table[i].code;
	return WEIR_EINTERNAL;
}

static bool pg_state_again(const char *state) { return !strcmp(state, "40001") || !strcmp(state, "40P01"); }

static str pg_line(const char *msg) /* first line of libpq's text */
{
	return str_trim(str_n(msg, strcspn(msg, "\n")));
}

int pg_fail(struct pg_conn *c, PGresult *res, const char *sql, bool *ret_again, struct err *reterr)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
	const char *msg = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL; /* never the detail: it holds values */
	/* errors of the client library have no state; 57P.. is the server ending the session, 08 a connection error */
	bool        lost = PQstatus(c->h) != CONNECTION_OK || !state || !strncmp(state, "57P", 3) || !strncmp(state, "08", 2);
	int         code = lost ? WEIR_EUNAVAIL : pg_code(state);
	str         line = pg_line(msg ? msg : PQerrorMessage(c->h));

	c->broken = c->broken || lost;
	if (ret_again)
		*ret_again = lost || pg_state_again(state);
	code = err_set(reterr, code, "PostgreSQL: %.*s (%.80s)", STR_ARG(line), sql);
	PQclear(res);
	return code;
}

/* --- connections --- */

struct pg_conn *pg_conn_close(struct pg_conn *c)
{
	if (!c)
		return NULL;
	PQfinish(c->h);
	map_fini(&c->stmts);
	free(c);
	return NULL;
}

int pg_simple(struct pg_conn *c, const char *sql, bool *ret_again, struct err *reterr)
{
	PGresult      *res = PQexec(c->h, sql);
	ExecStatusType st = PQresultStatus(res);

	if (st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK)
		return pg_fail(c, res, sql, ret_again, reterr);
	PQclear(res);
	return 0;
}

static void pg_no_notice(void *ctx UNUSED, const PGresult *res UNUSED) {} /* "table exists, skipping" is not for stderr */

static int pg_conn_check(struct pg_conn *c, struct err *reterr)
{
	const char *enc = PQparameterStatus(c->h, "server_encoding");

	if (!enc || strcmp(enc, "UTF8"))
		return err_set(reterr, WEIR_EINVAL, "the PostgreSQL database has the encoding %s: create it with UTF8", enc ? enc : "unknown");
	/* a commit that was answered must be on disk; stronger settings stay */
	return pg_simple(c, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
	                 NULL, reterr);
}

int pg_conn_open(const char *url, struct pg_conn **ret, struct err *reterr)
{
	/* later ones win: the URL overrides the first group and not the second */
	const char *keys[] = { "connect_timeout", "application_name", "keepalives_idle", "keepalives_interval", "keepalives_count",
		               "dbname", "client_encoding", NULL };
	const char *values[] = { "10", "weir", "30", "10", "3", url, "UTF8", NULL };
	struct pg_conn *c = calloc(1, sizeof(*c));
	int             rc = 0;

	if (!c)
		return err_set(reterr, WEIR_ENOMEM, "no memory for a database connection");
	map_init(&c->stmts);
	c->h = PQconnectdbParams(keys, values, 1);
	if (!c->h)
		rc = err_set(reterr, WEIR_ENOMEM, "no memory for a database connection");
	else if (PQstatus(c->h) != CONNECTION_OK)
		rc = err_set(reterr, WEIR_EUNAVAIL, "cannot reach PostgreSQL: %.*s", STR_ARG(pg_line(PQerrorMessage(c->h))));
	if (!rc) {
		(void)PQsetNoticeReceiver(c->h, pg_no_notice, NULL);
		rc = pg_conn_check(c, reterr);
	}
	if (rc) {
		pg_conn_close(c);
		return rc;
	}
	*ret = c;
	return 0;
}

int pg_take(struct pg *b, struct pg_pool *p, struct pg_conn **ret, struct err *reterr)
{
	int rc;

	pthread_mutex_lock(&b->lock);
	while (!p->idle && p->n >= p->max)
		pthread_cond_wait(&p->free, &b->lock);
	*ret = p->idle;
	if (*ret)
		p->idle = (*ret)->next;
	else
		p->n++;
	pthread_mutex_unlock(&b->lock);
	if (*ret)
		return 0;
	rc = pg_conn_open(b->url, ret, reterr);
	if (rc) {
		pthread_mutex_lock(&b->lock);
		p->n--;
		pthread_cond_signal(&p->free);
		pthread_mutex_unlock(&b->lock);
	}
	return rc;
}

void pg_give(struct pg *b, struct pg_pool *p, struct pg_conn *c)
{
	bool good = !c->broken && PQstatus(c->h) == CONNECTION_OK && PQtransactionStatus(c->h) == PQTRANS_IDLE;

	if (!good)
		c = pg_conn_close(c);
	pthread_mutex_lock(&b->lock);
	if (c) {
		c->next = p->idle;
		p->idle = c;
	} else {
		p->n--;
	}
	pthread_cond_signal(&p->free);
	pthread_mutex_unlock(&b->lock);
}
