/* traffic-haproxy.c - HAProxy as the traffic back end: prepared slots, maps for hosts and shares, servers added at run time.
 *
 * HAProxy 2.6 cannot add a backend while it runs, so `slots` pairs of empty backends stand ready; a map leads a host to its slot, another
 * gives the share of arm B, and the draw is made in the frontend (server weights would not be an exact, independent draw).
 * A third has each arm's timeout: old and new version differ in it, and the canary's own must hold while it is tried.
 * What weir sets is kept in memory, sent over the runtime socket, and written to the configuration and map files as well: when HAProxy
 * is killed, its supervisor brings it back with the present servers and shares although weir may be down.
 * Two things need a reload, because 2.6 has them in its configuration only: a further port to listen on, and a further header that tells clients
 * apart. The old worker finishes its requests; counters begin again, which the evidence notices by `boot`.
 * One thread (the room's worker). */
#include "base/base.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/proc.h"
#include "release/haproxy.h"

#include <limits.h>
#include <unistd.h>

/* A file that cannot be written (full disk) must not keep a share from changing: the running HAProxy comes first. */
static void keep(struct traffic_haproxy *t, int rc)
{
	if (rc)
		t->files_stale = true;
}

/* --- ops --- */

static int check_slot(const struct traffic_haproxy *t, unsigned slot, struct err *reterr)
{
	return slot < t->cfg.slots ? 0 : err_set(reterr, WEIR_ELIMIT, "HAProxy is prepared for %u services times environments: raise the setting", t->cfg.slots);
}

/* Is the route nobody else's? */
static int check_route(const struct traffic_haproxy *t, unsigned slot, const struct traffic_route *route, struct err *reterr)
{
	for (unsigned i = 0; i < t->cfg.slots; i++) {
		const struct traffic_route *r = &t->slot[i].route;

		if (i != slot && t->slot[i].used && ((route->host[0] && !strcmp(r->host, route->host)) || (route->port && r->port == route->port)))
			return err_set(reterr, WEIR_ECONFLICT, "route %s%s%.0u is another service's: choose another host or port", route->host,
			               route->port ? "port " : "", route->port);
	}
	if (route->port == t->cfg.http_port)
		return err_set(reterr, WEIR_ECONFLICT, "port %u is the one all host names share: route by host, or choose another port", route->port);
	return 0;
}

/* Tells a running HAProxy the route of a slot that only maps lead to. */
static int send_route(struct traffic_haproxy *t, struct err *reterr)
{
	int rc;

	for (unsigned m = 0; m < MAP_N; m++)
		keep(t, haproxy_write_map(t, (enum map_file)m, NULL));
	keep(t, haproxy_write_config(t, NULL));
	if ((rc = haproxy_sync_map(t, MAP_HOSTS, reterr)) || (rc = haproxy_sync_map(t, MAP_CLIENTS, reterr)))
		return rc;
	return haproxy_sync_map(t, MAP_PORTS, reterr);
}

static int op_set_route(void *ctx, unsigned slot, const struct traffic_route *route, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct slot            *s = &t->slot[slot];
	struct slot             before;
	bool                    needs_reload;
	int                     rc;

	if ((rc = check_slot(t, slot, reterr)) || (rc = check_route(t, slot, route, reterr)))
		return rc;
	if (s->used && !memcmp(&s->route, route, sizeof(*route)))
		return 0;
	needs_reload = (route->port && route->port != s->route.port)
	               || (route->client_header[0] && !haproxy_header_seen(t, t->cfg.slots, route->client_header));
	before = *s;
	s->used = true;
	s->route = *route;
	if (!t->started)
		return 0;
	if (!needs_reload)
		return send_route(t, reterr);
	if ((rc = haproxy_reload(t, reterr))) { /* e.g. the port is in use: as it was */
		s->used = before.used;
		s->route = before.route;
		keep(t, haproxy_write_all(t, NULL));
	}
	return rc;
}

static int op_clear_route(void *ctx, unsigned slot, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	int                     rc = check_slot(t, slot, reterr);

	if (rc)
		return rc;
	memset(&t->slot[slot].route, 0, sizeof(t->slot[slot].route));
	t->slot[slot].used = false;
	if (!t->started)
		return 0;
	keep(t, haproxy_write_all(t, NULL));
	return (rc = haproxy_sync_map(t, MAP_HOSTS, reterr)) ? rc : haproxy_sync_map(t, MAP_PORTS, reterr);
}

static int send_share(struct traffic_haproxy *t, unsigned slot, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	const struct slot *s = &t->slot[slot];
	int rc = haproxy_tell(t, &answer, reterr, "set map %s/tags.map s%u %llu;set map %s/shares.map s%u %u", t->dir, slot, (unsigned long long)s->tag, t->dir,
	                 slot, s->share_b);

	return rc ? rc : haproxy_tell_quiet(&answer, "set map", reterr);
}

static int op_set_share(void *ctx, unsigned slot, unsigned share_b, uint64_t tag, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	int                     rc = check_slot(t, slot, reterr);

	if (rc)
		return rc;
	if (share_b > TRAFFIC_SHARE_ONE)
		return err_set(reterr, WEIR_EINVAL, "share %u is over %d", share_b, TRAFFIC_SHARE_ONE);
	t->slot[slot].share_b = share_b;
	t->slot[slot].tag = tag;
	if (!t->started)
		return 0;
	rc = send_share(t, slot, reterr); /* first: this is what users feel */
	keep(t, haproxy_write_map(t, MAP_SHARES, NULL));
	keep(t, haproxy_write_map(t, MAP_TAGS, NULL));
	return rc;
}

static int op_set_timeout(void *ctx, unsigned slot, enum traffic_arm arm, unsigned timeout_ms, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct buf CLEANUP_BUF  answer = BUF_INIT(ANSWER_BYTES_MAX);
	int                     rc = check_slot(t, slot, reterr);

	if (rc)
		return rc;
	t->slot[slot].timeout_ms[arm] = timeout_ms;
	if (!t->started)
		return 0;
	rc = haproxy_tell(t, &answer, reterr, "set map %s/timeouts.map s%u_%c %u", t->dir, slot, "ab"[arm], haproxy_timeout(&t->slot[slot], arm));
	if (!rc)
		rc = haproxy_tell_quiet(&answer, "set map", reterr);
	keep(t, haproxy_write_map(t, MAP_TIMEOUTS, NULL));
	return rc;
}

static int op_add_server(void *ctx, unsigned slot, enum traffic_arm arm, const char *name, uint16_t port, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct server           s = { .port = port };
	struct slot            *sl;
	int                     rc = check_slot(t, slot, reterr);

	if (rc)
		return rc;
	sl = &t->slot[slot];
	if (haproxy_find_server(sl->arm[arm].v, sl->arm[arm].n, name) < sl->arm[arm].n)
		return 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	if (t->started && (rc = haproxy_add(t, slot, arm, &s, reterr)))
		return rc;
	if (!VEC_PUSH(&sl->arm[arm], s))
		return err_set(reterr, WEIR_ENOMEM, "servers");
	if (t->started)
		keep(t, haproxy_write_config(t, NULL));
	return 0;
}

static int op_remove_server(void *ctx, unsigned slot, enum traffic_arm arm, const char *name, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct slot            *sl;
	size_t                  at;
	int                     rc = check_slot(t, slot, reterr);

	if (rc)
		return rc;
	sl = &t->slot[slot];
	at = haproxy_find_server(sl->arm[arm].v, sl->arm[arm].n, name);
	if (at < sl->arm[arm].n) {
		memmove(&sl->arm[arm].v[at], &sl->arm[arm].v[at + 1], (sl->arm[arm].n - at - 1) * sizeof(struct server));
		sl->arm[arm].n--;
		if (t->started)
			keep(t, haproxy_write_config(t, NULL));
	}
	return t->started ? haproxy_delete(t, slot, arm, name, reterr) : 0;
}

/* --- counters: one backend line per arm --- */

static int op_counts(void *ctx, unsigned slot, struct traffic_counts *ret, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct buf CLEANUP_BUF  answer = BUF_INIT(ANSWER_BYTES_MAX);
	struct traffic_counts   c = { 0 };
	int                     rc = check_slot(t, slot, reterr);

	if (rc || (rc = haproxy_tell(t, &answer, reterr, "show info;show stat s%u_a 2 -1;show stat s%u_b 2 -1", slot, slot)))
		return rc;
	snprintf(c.boot, sizeof(c.boot), "%.*s.%.*s", STR_ARG(str_sub(haproxy_info(buf_str(&answer), "Pid"), 0, 20)),
	         STR_ARG(str_sub(haproxy_info(buf_str(&answer), "Start_time_sec"), 0, 20)));
	for (unsigned arm = 0, at = 0; arm < 2; arm++) {
		const char *p = strstr(buf_z(&answer) + at, "# pxname");

		if (!p)
			return err_set(reterr, WEIR_EIO, "HAProxy: show stat gave no table for slot %u", slot);
		if ((rc = haproxy_backend_line(str_z(p + 2), &c.done[arm], &c.failed[arm], reterr)))
			return rc;
		at = (unsigned)(p - buf_z(&answer)) + 1;
	}
	*ret = c;
	return 0;
}

/* --- restore --- */

static int op_restore(void *ctx, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	char                    pid[32] = "";
	int                     rc;

	if (t->files_stale && (rc = haproxy_write_all(t, reterr)))
		return rc;
	t->files_stale = false;
	if ((rc = haproxy_worker(t, pid, reterr)))
		return rc;
	if (!strcmp(pid, t->pid))
		return 0;
	if ((rc = haproxy_sync_all(t, reterr)))
		return rc;
	memcpy(t->pid, pid, sizeof(pid));
	return 0;
}

struct traffic_ops traffic_haproxy_ops(struct traffic_haproxy *t)
{
	return (struct traffic_ops){ op_set_route, op_clear_route, op_set_share, op_set_timeout, op_add_server, op_remove_server, op_counts, op_restore, t };
}

/* --- life cycle --- */

int traffic_haproxy_new(const struct traffic_haproxy_config *cfg, struct traffic_haproxy **ret, struct err *reterr)
{
	static const char *const paths[] = { "/usr/sbin/haproxy", "/usr/bin/haproxy", "/usr/local/sbin/haproxy" };
	struct traffic_haproxy  *t;
	char                     dir[sizeof(t->dir)];
	int                      rc;

	if (snprintf(dir, sizeof(dir), "%s/haproxy", cfg->data_dir) >= (int)sizeof(dir))
		return err_set(reterr, WEIR_ELIMIT, "data folder '%s': its path must be at most %zu bytes long, because HAProxy's sockets are in it",
		               cfg->data_dir, sizeof(dir) - sizeof("/haproxy"));
	if ((rc = fs_mkdirs(dir, 0700, reterr)))
		return rc;
	t = calloc(1, sizeof(*t));
	if (t)
		t->slot = calloc(cfg->slots, sizeof(*t->slot));
	if (!t || !t->slot) {
		free(t);
		return err_set(reterr, WEIR_ENOMEM, "%u slots", cfg->slots);
	}
	t->cfg = *cfg;
	memcpy(t->dir, dir, sizeof(dir));
	snprintf(t->socket, sizeof(t->socket), "%s/run.sock", dir);
	snprintf(t->master, sizeof(t->master), "%s/master.sock", dir);
	for (size_t i = 0; i < ARRAY_SIZE(paths) && !t->haproxy[0]; i++)
		if (access(paths[i], X_OK) == 0)
			snprintf(t->haproxy, sizeof(t->haproxy), "%s", paths[i]);
	*ret = t;
	return 0;
}

struct traffic_haproxy *traffic_haproxy_free(struct traffic_haproxy *t)
{
	for (unsigned i = 0; t && i < t->cfg.slots; i++)
		for (unsigned arm = 0; arm < 2; arm++)
			VEC_FINI(&t->slot[i].arm[arm]);
	if (t)
		free(t->slot);
	free(t);
	return NULL;
}

static int check_config(struct traffic_haproxy *t, struct err *reterr)
{
	struct buf CLEANUP_BUF out = BUF_INIT(16 << 10);
	char            path[PATH_MAX];
	const char     *argv[] = { t->haproxy, "-c", "-q", "-f", path, NULL };
	struct proc_run run = { .argv = argv, .timeout_ms = 20000, .err = &out };
	int             status, rc;

	if ((rc = fs_join(path, sizeof(path), reterr, t->dir, "haproxy.cfg")) || (rc = proc_run(&run, &status, reterr)))
		return rc;
	return status == 0 ? 0 : err_set(reterr, WEIR_EUNAVAIL, "HAProxy refuses its configuration: %.*s", STR_ARG(str_trim(buf_str(&out))));
}

/* A HAProxy that an earlier weir started may have a configuration without one of the maps: it takes the present files. */
static int bring_up_to_date(struct traffic_haproxy *t, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);

	for (unsigned m = 0; m < MAP_N; m++) {
		int rc = haproxy_tell(t, &answer, reterr, "show map %s/%s", t->dir, haproxy_map_names[m]);

		if (rc)
			return rc;
		if (str_contains(buf_str(&answer), STR("Unknown map")))
			return haproxy_reload(t, reterr);
	}
	return 0;
}

int traffic_haproxy_start(struct traffic_haproxy *t, struct err *reterr)
{
	struct buf CLEANUP_BUF run = BUF_INIT(4096);
	char pid[32];
	int  rc;

	if (!t->haproxy[0])
		return err_set(reterr, WEIR_EUNAVAIL, "HAProxy is not installed: install the package haproxy");
	if ((rc = haproxy_write_all(t, reterr)))
		return rc;
	t->started = true;
	if (haproxy_worker(t, pid, NULL) == 0)
		return (rc = bring_up_to_date(t, reterr)) ? rc : op_restore(t, reterr);
	if ((rc = check_config(t, reterr)))
		return rc;
	buf_addf(&run, "#!/bin/sh\nexec 2>&1\nWEIR_BOOT=$(date +%%s%%N)\nexport WEIR_BOOT\nexec %s -W -S '%s,mode,600' -f '%s/haproxy.cfg'\n", t->haproxy,
	         t->master, t->dir);
	if ((rc = workload_process_raw(t->cfg.procs, "haproxy", buf_str(&run), reterr)))
		return rc;
	for (unsigned i = 0; i < 1000; i++) {
		if (op_restore(t, NULL) == 0)
			return 0;
		clock_sleep_ms(10);
	}
	return err_set(reterr, WEIR_ETIMEOUT, "HAProxy did not come up: see %s/logs/haproxy/current", t->cfg.data_dir);
}

bool traffic_haproxy_arm(str backend, unsigned *ret_slot, enum traffic_arm *ret_arm)
{
	str      num, arm;
	uint64_t n;

	if (backend.len < 4 || backend.ptr[0] != 's' || !str_cut(str_sub(backend, 1, backend.len), '_', &num, &arm) || !str_to_u64(num, &n) || n > UINT_MAX
	    || arm.len != 1 || (arm.ptr[0] != 'a' && arm.ptr[0] != 'b'))
		return false;
	*ret_slot = (unsigned)n;
	*ret_arm = arm.ptr[0] == 'a' ? ARM_A : ARM_B;
	return true;
}
