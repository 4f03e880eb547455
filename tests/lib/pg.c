/* pg.c - starts and stops a PostgreSQL for tests (see pg.h). Call from the main thread: the server dies with the thread that
 * started it. */
#include "base/base.h"
#include "lib/pg.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"

#include <errno.h>
#include <glob.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PG_TEST_START_MS = 60000, PG_TEST_ARGS = 32 };

static bool pg_test_find(char *bin, size_t size)
{
	glob_t g;
	bool   found = false;

	if (!glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g) && g.gl_pathc) {
		const char *p = g.gl_pathv[g.gl_pathc - 1]; /* sorted: the newest */

		(void)snprintf(bin, size, "%.*s", (int)(strrchr(p, '/') - p), p);
		found = true;
	}
	globfree(&g);
	return found;
}

/* Puts the way to become the unprivileged user (root only) and to die with the parent in front of argv. */
static void pg_test_argv(const char **out, const char *const *argv)
{
	size_t n = 0;

	out[n++] = "setpriv";
	if (getuid() == 0) {
		out[n++] = "--reuid=postgres";
		out[n++] = "--regid=postgres";
		out[n++] = "--clear-groups";
	}
	out[n++] = "--pdeathsig=QUIT";
	for (size_t i = 0; argv[i]; i++) {
		if (n == PG_TEST_ARGS - 1)
			BUG("too many arguments");
		out[n++] = argv[i];
	}
	out[n] = NULL;
}

static int pg_test_serve(struct pg_test *pg, struct err *reterr)
{
	char             prog[160], data[160], sock[160], log[160];
	const char      *argv[PG_TEST_ARGS];
	struct proc_spec spec = PROC_SPEC_INIT;
	usec_t           until = clock_mono_now() + PG_TEST_START_MS * USEC_PER_MSEC;
	FILE            *f;
	int              rc, status;

	(void)snprintf(prog, sizeof(prog), "%s/postgres", pg->bin);
	(void)snprintf(data, sizeof(data), "%s/data", pg->dir);
	(void)snprintf(sock, sizeof(sock), "unix_socket_directories=%s", pg->dir);
	(void)snprintf(log, sizeof(log), "%s/log", pg->dir);
	pg_test_argv(argv, (const char *const[]){ prog, "-D", data, "-c", "listen_addresses=", "-c", sock, "-c", "fsync=off", "-c",
	                                          "max_connections=60", "-c", "shared_buffers=16MB", NULL });
	f = fopen(log, "ae");
	if (!f)
		return err_errno(reterr, errno, "cannot open %s", log);
	spec.argv = argv;
	spec.cwd = pg->dir;
	spec.fd_out = spec.fd_err = fileno(f);
	rc = proc_spawn(&spec, &pg->pid, reterr);
	(void)fclose(f);
	while (!rc && PQping(pg->url) != PQPING_OK) {
		if (!proc_wait_timeout(pg->pid, 50, &status, NULL)) {
			pg->pid = 0;
			rc = err_set(reterr, WEIR_EUNAVAIL, "PostgreSQL ended with status %d, see %s", status, log);
		} else if (clock_mono_now() > until) {
			rc = err_set(reterr, WEIR_ETIMEOUT, "PostgreSQL does not answer, see %s", log);
		}
	}
	return rc;
}

int pg_test_start(struct pg_test *pg, struct err *reterr)
{
	struct passwd *pw = NULL;
	char           prog[160], data[160];
	const char    *argv[PG_TEST_ARGS];
	struct proc_run run = { .timeout_ms = PG_TEST_START_MS };
	int            rc;

	*pg = (struct pg_test){ 0 };
	if (!pg_test_find(pg->bin, sizeof(pg->bin))) {
		(void)err_set(reterr, WEIR_ENOENT, "PostgreSQL is not installed (/usr/lib/postgresql/*/bin)");
		return 1;
	}
	if (getuid() == 0 && !(pw = getpwnam("postgres"))) {
		(void)err_set(reterr, WEIR_ENOENT, "there is no user 'postgres' to run PostgreSQL as");
		return 1;
	}
	rc = fs_temp_dir("weir-pg-", pg->dir, sizeof(pg->dir), reterr);
	if (rc)
		return rc;
	(void)snprintf(pg->url, sizeof(pg->url), "postgresql:///postgres?host=%s&user=weir", pg->dir);
	if (pw && chown(pg->dir, pw->pw_uid, pw->pw_gid))
		return err_errno(reterr, errno, "cannot give %s away", pg->dir);
	(void)snprintf(prog, sizeof(prog), "%s/initdb", pg->bin);
	(void)snprintf(data, sizeof(data), "%s/data", pg->dir);
	/* a locale with an order of its own: what relies on the order of bytes must say so */
	pg_test_argv(argv, (const char *const[]){ prog, "-D", data, "-A", "trust", "-U", "weir", "-E", "UTF8", "--locale=C.UTF-8",
	                                          "--locale-provider=icu", "--icu-locale=en", "--no-sync", NULL });
	run.argv = argv;
	run.cwd = "/";
	rc = proc_run(&run, NULL, reterr);
	if (!rc)
		rc = pg_test_serve(pg, reterr);
	if (rc)
		pg_test_stop(pg);
	return rc;
}

static void pg_test_end(struct pg_test *pg, int sig)
{
	int status;

	if (pg->pid > 0 && !kill(pg->pid, sig))
		(void)!proc_wait(pg->pid, &status, NULL);
	pg->pid = 0;
}

int pg_test_restart(struct pg_test *pg, struct err *reterr)
{
	pg_test_end(pg, SIGQUIT);
	return pg_test_serve(pg, reterr);
}

void pg_test_stop(struct pg_test *pg)
{
	pg_test_end(pg, SIGQUIT);
	if (pg->dir[0])
		(void)!fs_remove_tree(pg->dir, NULL);
	pg->dir[0] = 0;
}

int pg_test_wipe(struct pg_test *pg, struct err *reterr)
{
	PGconn   *c = PQconnectdb(pg->url);
	PGresult *r = PQexec(c, "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	int       rc = 0;

	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		rc = err_set(reterr, WEIR_EIO, "cannot empty the test database: %s", PQerrorMessage(c));
	PQclear(r);
	PQfinish(c);
	return rc;
}
