/* haproxy-files.c - HAProxy's configuration and map files as texts of what is set: what it comes back from when its supervisor starts it again.
 *
 * One frontend for all services: a map leads host or port to a slot, others give the share of arm B, the tag for the records, the client header and each
 * arm's timeout. Written, not synced: a lost file is written again by the next restore. One thread (the room's worker). */
#include "base/base.h"

#include "base/fs.h"
#include "release/haproxy.h"

#include <limits.h>
#include <pwd.h>
#include <unistd.h>

bool haproxy_header_seen(const struct traffic_haproxy *t, unsigned before, const char *header)
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
	         "  log-format \"weir2 ${WEIR_BOOT}.%%pid %%rt %%b %%[var(txn.rel)] %%[var(txn.w)] %%ST %%ts %%Ts%%ms %%Tt %%Ta %%ci %%cp %%[var(txn.key)]\"\n"
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

		if (t->slot[i].used && *h && !haproxy_header_seen(t, i, h))
			buf_addf(b, "  http-request set-var(txn.key) req.fhdr(%s),xxh64 if { var(txn.hk) -m str %s }\n", h, h);
	}
	buf_addz(b, "  use_backend %[var(txn.slot)]_b if { var(txn.d) -m int lt 0 }\n"
	            "  use_backend %[var(txn.slot)]_a\n");
}

int haproxy_write_config(struct traffic_haproxy *t, struct err *reterr)
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

const char *const haproxy_map_names[MAP_N] = { "hosts.map", "ports.map", "shares.map", "tags.map", "clients.map", "timeouts.map" };

unsigned haproxy_timeout(const struct slot *s, unsigned arm)
{
	return s->timeout_ms[arm] ? s->timeout_ms[arm] : TRAFFIC_TIMEOUT_MS;
}

void haproxy_map_line(const struct traffic_haproxy *t, unsigned i, enum map_file which, struct buf *b)
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
			buf_addf(b, "s%u_%c %u\n", i, "ab"[arm], haproxy_timeout(s, arm));
		break;
	case MAP_N: break;
	}
}

int haproxy_write_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr)
{
	struct buf CLEANUP_BUF b = BUF_INIT(CONFIG_BYTES_MAX);
	char path[PATH_MAX];
	int  rc;

	for (unsigned i = 0; i < t->cfg.slots; i++)
		haproxy_map_line(t, i, which, &b);
	if ((rc = buf_check(&b, haproxy_map_names[which], reterr)) || (rc = fs_join(path, sizeof(path), reterr, t->dir, haproxy_map_names[which])))
		return rc;
	return fs_write_quick(path, buf_str(&b), 0600, reterr);
}

int haproxy_write_all(struct traffic_haproxy *t, struct err *reterr)
{
	int rc = haproxy_write_config(t, reterr);

	for (unsigned m = 0; m < MAP_N && !rc; m++)
		rc = haproxy_write_map(t, (enum map_file)m, reterr);
	return rc;
}
