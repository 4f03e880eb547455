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
#include "base/vec.h"
#include "release/haproxy-socket.h"
#include "release/traffic.h"
#include "release/workload.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 4 << 20, CONFIG_BYTES_MAX = 8 << 20, RING_BYTES = 32 << 20, SERVER_NAME_SIZE = WORKLOAD_NAME_SIZE };

struct server {
	char     name[SERVER_NAME_SIZE];
	uint16_t port;
};
struct slot {
	bool                 used;
	struct traffic_route route;
	unsigned             share_b;
	uint64_t             tag;
	unsigned             timeout_ms[2]; /* by arm; 0: the default */
	VEC(struct server) arm[2];
};
struct traffic_haproxy {
	struct traffic_haproxy_config cfg;
	char         dir[80], socket[96], master[96];
	char         haproxy[64];
	bool         started;
	bool         files_stale; /* a file could not be written: again at restore */
	struct slot *slot;
	char         pid[32]; /* of the worker that the last restore saw */
};

/* --- the runtime socket --- */

static int command(struct traffic_haproxy *t, struct buf *answer, struct err *reterr, const char *fmt, ...) PRINTF(4, 5);
static int command(struct traffic_haproxy *t, struct buf *answer, struct err *reterr, const char *fmt, ...)
{
	struct buf CLEANUP_BUF cmd = BUF_INIT(4096);
	va_list ap;
	int     rc;

	va_start(ap, fmt);
	buf_addv(&cmd, fmt, ap);
	va_end(ap);
	return (rc = buf_check(&cmd, "HAProxy command", reterr)) ? rc : haproxy_command(t->socket, buf_str(&cmd), answer, reterr);
}

/* A command whose answer is empty when it worked. */
static int command_quiet(struct traffic_haproxy *t, struct err *reterr, const char *what, struct buf *answer)
{
	str a = str_trim(buf_str(answer));

	(void)t;
	return a.len == 0 ? 0 : err_set(reterr, WEIR_EIO, "HAProxy: %s: %.*s", what, STR_ARG(a));
}

static int worker_pid(struct traffic_haproxy *t, char out[32], struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	int rc = command(t, &answer, reterr, "show info");

	if (!rc)
		snprintf(out, 32, "%.*s", STR_ARG(str_sub(haproxy_info(buf_str(&answer), "Pid"), 0, 31)));
	return rc;
}

/* --- files --- */

static bool header_seen(const struct traffic_haproxy *t, unsigned before, const char *header)
{
	for (unsigned i = 0; i < before; i++)
		if (t->slot[i].used && !strcmp(t->slot[i].route.client_header, header))
			return true;
	return false;
}

static void add_globals(const struct traffic_haproxy *t, struct buf *b)
{
	buf_addf(b,
	         "# Written by weir; changes are overwritten.\n"
	         "global\n"
	         "  stats socket %s mode 600 level admin\n"
	         "  hard-stop-after 60s\n",
	         t->socket);
	if (geteuid() == 0 && getpwnam("haproxy"))
		buf_addz(b, "  user haproxy\n  group haproxy\n");
	/* Connecting again is safe (nothing was sent yet) and hides the death of one instance of several. */
	buf_addz(b, "defaults\n"
	            "  mode http\n"
	            "  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  timeout http-request 15s\n"
	            "  timeout http-keep-alive 60s\n  timeout queue 5s\n"
	            "  retries 2\n  option redispatch 1\n  http-reuse safe\n"
	            "  default-server pool-max-conn 100 pool-purge-delay 5s\n");
	buf_addf(b,
	         "ring evidence\n"
	         "  format raw\n  maxlen 1024\n  size %d\n  timeout connect 2s\n  timeout server 1d\n"
	         "  server weir 127.0.0.1:%u\n",
	         RING_BYTES, t->cfg.evidence_port);
}

static void add_frontend(const struct traffic_haproxy *t, struct buf *b)
{
	buf_addf(b, "frontend weir\n  bind %s:%u\n", t->cfg.bind, t->cfg.http_port);
	for (unsigned i = 0; i < t->cfg.slots; i++)
		if (t->slot[i].used && t->slot[i].route.port)
			buf_addf(b, "  bind %s:%u\n", t->cfg.bind, t->slot[i].route.port);
	buf_addf(b,
	         "  option forwardfor\n"
	         "  log ring@evidence format raw local0\n"
	         "  log-format \"weir1 ${WEIR_BOOT}.%%pid %%rt %%b %%[var(txn.rel)] %%[var(txn.w)] %%ST %%ts %%Ts%%ms %%Tt %%ci %%cp %%[var(txn.key)]\"\n"
	         "  http-request set-var(txn.slot) dst_port,map_str(%s/ports.map)\n"
	         "  http-request set-var(txn.slot) req.hdr(host),field(1,:),lower,map_str(%s/hosts.map) if !{ var(txn.slot) -m found }\n"
	         "  http-request return status 404 content-type text/plain string \"no service here\\n\" if !{ var(txn.slot) -m found }\n"
	         "  http-request set-var(txn.w) var(txn.slot),map_str_int(%s/shares.map,0)\n"
	         "  http-request set-var(txn.rel) var(txn.slot),map_str(%s/tags.map,0)\n"
	         "  http-request set-var(txn.d) rand(%d),sub(txn.w)\n"
	         "  http-request set-var(txn.hk) var(txn.slot),map_str(%s/clients.map)\n",
	         t->dir, t->dir, t->dir, t->dir, TRAFFIC_SHARE_ONE, t->dir);
	for (unsigned i = 0; i < t->cfg.slots; i++) {
		const char *h = t->slot[i].route.client_header;

		if (t->slot[i].used && *h && !header_seen(t, i, h))
			buf_addf(b, "  http-request set-var(txn.key) req.fhdr(%s),xxh64 if { var(txn.hk) -m str %s }\n", h, h);
	}
	buf_addz(b, "  use_backend %[var(txn.slot)]_b if { var(txn.d) -m int lt 0 }\n"
	            "  use_backend %[var(txn.slot)]_a\n");
}

static int write_config(struct traffic_haproxy *t, struct err *reterr)
{
	struct buf CLEANUP_BUF b = BUF_INIT(CONFIG_BYTES_MAX);
	char path[PATH_MAX];
	int  rc;

	add_globals(t, &b);
	add_frontend(t, &b);
	for (unsigned i = 0; i < t->cfg.slots; i++)
		for (unsigned arm = 0; arm < 2; arm++) {
			buf_addf(&b, "backend s%u_%c\n  balance roundrobin\n  http-request set-timeout server be_name,map_str_int(%s/timeouts.map,%d)\n", i, "ab"[arm],
			         t->dir, TRAFFIC_TIMEOUT_MS);
			for (size_t k = 0; k < t->slot[i].arm[arm].n; k++)
				buf_addf(&b, "  server %s 127.0.0.1:%u\n", t->slot[i].arm[arm].v[k].name, t->slot[i].arm[arm].v[k].port);
		}
	if ((rc = buf_check(&b, "HAProxy's configuration", reterr)) || (rc = fs_join(path, sizeof(path), reterr, t->dir, "haproxy.cfg")))
		return rc;
	return fs_write_quick(path, buf_str(&b), 0600, reterr);
}

enum map_file { MAP_HOSTS, MAP_PORTS, MAP_SHARES, MAP_TAGS, MAP_CLIENTS, MAP_TIMEOUTS, MAP_N };
static const char *const map_names[MAP_N] = { "hosts.map", "ports.map", "shares.map", "tags.map", "clients.map", "timeouts.map" };

static unsigned timeout_of(const struct slot *s, unsigned arm)
{
	return s->timeout_ms[arm] ? s->timeout_ms[arm] : TRAFFIC_TIMEOUT_MS;
}

static void add_map_line(const struct traffic_haproxy *t, unsigned i, enum map_file which, struct buf *b)
{
	const struct slot *s = &t->slot[i];

	switch (which) {
	case MAP_HOSTS:
		if (s->used && s->route.host[0])
			buf_addf(b, "%s s%u\n", s->route.host, i);
		break;
	case MAP_PORTS:
		if (s->used && s->route.port)
			buf_addf(b, "%u s%u\n", s->route.port, i);
		break;
	case MAP_SHARES: buf_addf(b, "s%u %u\n", i, s->share_b); break; /* every slot has a line, so that `set map` suffices */
	case MAP_TAGS: buf_addf(b, "s%u %llu\n", i, (unsigned long long)s->tag); break;
	case MAP_CLIENTS: buf_addf(b, "s%u %s\n", i, s->used && s->route.client_header[0] ? s->route.client_header : "-"); break;
	case MAP_TIMEOUTS:
		for (unsigned arm = 0; arm < 2; arm++)
			buf_addf(b, "s%u_%c %u\n", i, "ab"[arm], timeout_of(s, arm));
		break;
	case MAP_N: break;
	}
}

static int write_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr)
{
	struct buf CLEANUP_BUF b = BUF_INIT(CONFIG_BYTES_MAX);
	char path[PATH_MAX];
	int  rc;

	for (unsigned i = 0; i < t->cfg.slots; i++)
		add_map_line(t, i, which, &b);
	if ((rc = buf_check(&b, map_names[which], reterr)) || (rc = fs_join(path, sizeof(path), reterr, t->dir, map_names[which])))
		return rc;
	return fs_write_quick(path, buf_str(&b), 0600, reterr);
}

static int write_all(struct traffic_haproxy *t, struct err *reterr)
{
	int rc = write_config(t, reterr);

	for (unsigned m = 0; m < MAP_N && !rc; m++)
		rc = write_map(t, (enum map_file)m, reterr);
	return rc;
}

/* A file that cannot be written (full disk) must not keep a share from changing: the running HAProxy comes first. */
static void keep(struct traffic_haproxy *t, int rc)
{
	if (rc)
		t->files_stale = true;
}

/* --- reload --- */

/* Asks the master for new workers from the present files and waits until the new one answers. */
static int reload(struct traffic_haproxy *t, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	char before[32] = "", now[32] = "";
	int  rc;

	if ((rc = write_all(t, reterr)) || (rc = worker_pid(t, before, reterr)))
		return rc;
	for (unsigned i = 0; i < 200 && (rc = haproxy_command(t->master, STR("reload"), &answer, NULL)) == -WEIR_EUNAVAIL; i++)
		clock_sleep_ms(10); /* one that was just started answers a little after its workers do */
	if (rc && rc != -WEIR_EIO) /* the master may close while it re-executes */
		return err_set(reterr, WEIR_EUNAVAIL, "HAProxy's master does not answer at %s", t->master);
	for (unsigned i = 0; i < 500; i++) {
		if (worker_pid(t, now, NULL) == 0 && strcmp(now, before) != 0)
			return 0;
		clock_sleep_ms(10);
	}
	return err_set(reterr, WEIR_ETIMEOUT, "HAProxy did not take its new configuration: see its log (port in use?)");
}

/* --- ops --- */

static int check_slot(const struct traffic_haproxy *t, unsigned slot, struct err *reterr)
{
	return slot < t->cfg.slots ? 0 : err_set(reterr, WEIR_ELIMIT, "HAProxy is prepared for %u services times environments: raise the setting", t->cfg.slots);
}

static int sync_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr);

static int op_set_route(void *ctx, unsigned slot, const struct traffic_route *route, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct slot            *s = &t->slot[slot];
	struct slot             before;
	bool                    again;
	int                     rc = check_slot(t, slot, reterr);

	if (rc)
		return rc;
	for (unsigned i = 0; i < t->cfg.slots; i++) {
		const struct traffic_route *r = &t->slot[i].route;

		if (i != slot && t->slot[i].used && ((route->host[0] && !strcmp(r->host, route->host)) || (route->port && r->port == route->port)))
			return err_set(reterr, WEIR_ECONFLICT, "route %s%s%.0u is another service's: choose another host or port", route->host,
			               route->port ? "port " : "", route->port);
	}
	if (route->port == t->cfg.http_port)
		return err_set(reterr, WEIR_ECONFLICT, "port %u is the one all host names share: route by host, or choose another port", route->port);
	if (s->used && !memcmp(&s->route, route, sizeof(*route)))
		return 0;
	again = (route->port && route->port != s->route.port) || (route->client_header[0] && !header_seen(t, t->cfg.slots, route->client_header));
	before = *s;
	s->used = true;
	s->route = *route;
	if (!t->started)
		return 0;
	if (again) {
		if ((rc = reload(t, reterr))) { /* e.g. the port is in use: as it was */
			s->used = before.used;
			s->route = before.route;
			keep(t, write_all(t, NULL));
		}
		return rc;
	}
	for (unsigned m = 0; m < MAP_N; m++)
		keep(t, write_map(t, (enum map_file)m, NULL));
	keep(t, write_config(t, NULL));
	if ((rc = sync_map(t, MAP_HOSTS, reterr)) || (rc = sync_map(t, MAP_CLIENTS, reterr)))
		return rc;
	return sync_map(t, MAP_PORTS, reterr);
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
	keep(t, write_all(t, NULL));
	return (rc = sync_map(t, MAP_HOSTS, reterr)) ? rc : sync_map(t, MAP_PORTS, reterr);
}

static int send_share(struct traffic_haproxy *t, unsigned slot, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	const struct slot *s = &t->slot[slot];
	int rc = command(t, &answer, reterr, "set map %s/tags.map s%u %llu;set map %s/shares.map s%u %u", t->dir, slot, (unsigned long long)s->tag, t->dir,
	                 slot, s->share_b);

	return rc ? rc : command_quiet(t, reterr, "set map", &answer);
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
	keep(t, write_map(t, MAP_SHARES, NULL));
	keep(t, write_map(t, MAP_TAGS, NULL));
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
	rc = command(t, &answer, reterr, "set map %s/timeouts.map s%u_%c %u", t->dir, slot, "ab"[arm], timeout_of(&t->slot[slot], arm));
	if (!rc)
		rc = command_quiet(t, reterr, "set map", &answer);
	keep(t, write_map(t, MAP_TIMEOUTS, NULL));
	return rc;
}

static size_t find_server(const struct server *v, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(v[i].name, name) != 0)
		i++;
	return i;
}

static int send_add(struct traffic_haproxy *t, unsigned slot, unsigned arm, const struct server *s, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	int rc = command(t, &answer, reterr, "add server s%u_%c/%s 127.0.0.1:%u pool-max-conn 100 pool-purge-delay 5s", slot, "ab"[arm], s->name, s->port);

	if (rc)
		return rc;
	if (!str_contains(buf_str(&answer), STR("New server registered")) && !str_contains(buf_str(&answer), STR("Already exists")))
		return err_set(reterr, WEIR_EIO, "HAProxy: add server: %.*s", STR_ARG(str_trim(buf_str(&answer))));
	if ((rc = command(t, &answer, reterr, "enable server s%u_%c/%s", slot, "ab"[arm], s->name)))
		return rc;
	return command_quiet(t, reterr, "enable server", &answer);
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
	if (find_server(sl->arm[arm].v, sl->arm[arm].n, name) < sl->arm[arm].n)
		return 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	if (t->started && (rc = send_add(t, slot, arm, &s, reterr)))
		return rc;
	if (!VEC_PUSH(&sl->arm[arm], s))
		return err_set(reterr, WEIR_ENOMEM, "servers");
	if (t->started)
		keep(t, write_config(t, NULL));
	return 0;
}

/* 0 when HAProxy has forgotten the server, -WEIR_EBUSY while it has connections. */
static int send_delete(struct traffic_haproxy *t, unsigned slot, unsigned arm, const char *name, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	int rc = command(t, &answer, reterr, "disable server s%u_%c/%s", slot, "ab"[arm], name);

	if (rc)
		return rc;
	if (str_contains(buf_str(&answer), STR("No such")))
		return 0;
	if ((rc = command(t, &answer, reterr, "del server s%u_%c/%s", slot, "ab"[arm], name)))
		return rc;
	if (str_contains(buf_str(&answer), STR("Server deleted")) || str_contains(buf_str(&answer), STR("No such")))
		return 0;
	return err_set(reterr, WEIR_EBUSY, "HAProxy: %.*s", STR_ARG(str_trim(buf_str(&answer))));
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
	at = find_server(sl->arm[arm].v, sl->arm[arm].n, name);
	if (at < sl->arm[arm].n) {
		memmove(&sl->arm[arm].v[at], &sl->arm[arm].v[at + 1], (sl->arm[arm].n - at - 1) * sizeof(struct server));
		sl->arm[arm].n--;
		if (t->started)
			keep(t, write_config(t, NULL));
	}
	return t->started ? send_delete(t, slot, arm, name, reterr) : 0;
}

/* --- counters: one backend line per arm --- */

static int op_counts(void *ctx, unsigned slot, struct traffic_counts *ret, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	struct buf CLEANUP_BUF  answer = BUF_INIT(ANSWER_BYTES_MAX);
	struct traffic_counts   c = { 0 };
	int                     rc = check_slot(t, slot, reterr);

	if (rc || (rc = command(t, &answer, reterr, "show info;show stat s%u_a 2 -1;show stat s%u_b 2 -1", slot, slot)))
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

static bool wanted_line(const struct traffic_haproxy *t, enum map_file which, str key, str value)
{
	struct buf CLEANUP_BUF b = BUF_INIT(CONFIG_BYTES_MAX);
	char line[400];
	int  n = snprintf(line, sizeof(line), "%.*s %.*s\n", STR_ARG(key), STR_ARG(value));

	for (unsigned i = 0; i < t->cfg.slots; i++)
		add_map_line(t, i, which, &b);
	for (const char *p = buf_z(&b); (p = strstr(p, line)); p++)
		if (p == b.ptr || p[-1] == '\n')
			return true;
	return n >= (int)sizeof(line); /* not one of ours */
}

/* Deletes what should not be there, then adds or sets each line that should. */
static int sync_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX), reply = BUF_INIT(ANSWER_BYTES_MAX), want = BUF_INIT(CONFIG_BYTES_MAX);
	str text, line, id, key, value;
	int rc = command(t, &answer, reterr, "show map %s/%s", t->dir, map_names[which]);

	if (rc)
		return rc;
	for (text = buf_str(&answer); text.len;) {
		str_cut(text, '\n', &line, &text);
		if (!str_cut(line, ' ', &id, &line) || !str_cut(line, ' ', &key, &value))
			continue;
		if (!wanted_line(t, which, key, value)
		    && (rc = command(t, &reply, reterr, "del map %s/%s #%.*s", t->dir, map_names[which], STR_ARG(id))))
			return rc;
	}
	for (unsigned i = 0; i < t->cfg.slots; i++)
		add_map_line(t, i, which, &want);
	for (text = buf_str(&want); text.len;) {
		struct buf CLEANUP_BUF have = BUF_INIT(600);

		str_cut(text, '\n', &line, &text);
		buf_addf(&have, " %.*s\n", STR_ARG(line));
		if (!str_contains(buf_str(&answer), buf_str(&have))
		    && (rc = command(t, &reply, reterr, "add map %s/%s %.*s", t->dir, map_names[which], STR_ARG(line))))
			return rc;
	}
	return 0;
}

static int sync_arm(struct traffic_haproxy *t, unsigned slot, unsigned arm, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	const struct server *want = t->slot[slot].arm[arm].v;
	size_t               n = t->slot[slot].arm[arm].n;
	str                  text, line;
	int                  rc = command(t, &answer, reterr, "show stat s%u_%c 4 -1", slot, "ab"[arm]);

	if (rc)
		return rc;
	for (text = buf_str(&answer); text.len;) {
		str  name;
		char z[SERVER_NAME_SIZE];

		str_cut(text, '\n', &line, &text);
		name = haproxy_csv(line, 1);
		if (line.len == 0 || line.ptr[0] == '#' || name.len == 0 || name.len >= sizeof(z))
			continue;
		snprintf(z, sizeof(z), "%.*s", STR_ARG(name));
		if (find_server(want, n, z) == n && (rc = send_delete(t, slot, arm, z, reterr)) && rc != -WEIR_EBUSY)
			return rc;
	}
	for (size_t i = 0; i < n; i++) {
		char have[SERVER_NAME_SIZE + 2];

		snprintf(have, sizeof(have), ",%s,", want[i].name);
		if (!str_contains(buf_str(&answer), str_z(have)) && (rc = send_add(t, slot, arm, &want[i], reterr)))
			return rc;
	}
	return 0;
}

static int sync_all(struct traffic_haproxy *t, struct err *reterr)
{
	int rc = 0;

	for (unsigned i = 0; i < t->cfg.slots && !rc; i++)
		for (unsigned arm = 0; arm < 2 && !rc; arm++)
			if (t->slot[i].used)
				rc = sync_arm(t, i, arm, reterr);
	for (unsigned m = 0; m < MAP_N && !rc; m++)
		rc = sync_map(t, (enum map_file)m, reterr);
	return rc;
}

static int op_restore(void *ctx, struct err *reterr)
{
	struct traffic_haproxy *t = ctx;
	char                    pid[32] = "";
	int                     rc;

	if (t->files_stale && (rc = write_all(t, reterr)))
		return rc;
	t->files_stale = false;
	if ((rc = worker_pid(t, pid, reterr)))
		return rc;
	if (!strcmp(pid, t->pid))
		return 0;
	if ((rc = sync_all(t, reterr)))
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
		int rc = command(t, &answer, reterr, "show map %s/%s", t->dir, map_names[m]);

		if (rc)
			return rc;
		if (str_contains(buf_str(&answer), STR("Unknown map")))
			return reload(t, reterr);
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
	if ((rc = write_all(t, reterr)))
		return rc;
	t->started = true;
	if (worker_pid(t, pid, NULL) == 0)
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
