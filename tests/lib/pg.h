/* pg.h - a real PostgreSQL for one test program: own folder, own unix socket, no TCP, an unprivileged user.
 *
 *     struct pg_test pg;
 *     if (pg_test_start(&pg, &e) == 1) -> not installed: print "skipped: ..." and go on without
 *     db_open(pg.url, ...); ...
 *     pg_test_stop(&pg);
 *
 * The server ends with the test program, also when that crashes. */
#ifndef WEIR_TESTS_PG_H
#define WEIR_TESTS_PG_H

#include "base/base.h"
#include "base/err.h"

#include <sys/types.h>

struct pg_test {
	char  dir[128]; /* data and socket */
	char  url[256]; /* postgresql:///postgres?host=... */
	pid_t pid;
	char  bin[128];
};

/* 0: runs; 1: PostgreSQL (or its user) is not installed, *reterr says what is missing; negative: it should run and does not. */
MUST_CHECK int pg_test_start(struct pg_test *pg, struct err *reterr);
/* Stops the server at once, as a crash would (SIGQUIT), and starts it again on the same data. */
MUST_CHECK int pg_test_restart(struct pg_test *pg, struct err *reterr);
void pg_test_stop(struct pg_test *pg); /* stops and removes the folder */
/* Empties the database, for the next test. */
MUST_CHECK int pg_test_wipe(struct pg_test *pg, struct err *reterr);

#endif
