/* haproxy-sync.c - what HAProxy is told over its runtime socket: single commands, and bringing all of it to what is set after it was restarted.
 *
 * Every command can be repeated: what is there already is fine. One thread (the room's worker). */
#include "base/base.h"

#include "base/clock.h"
#include "release/haproxy.h"

int haproxy_tell(struct traffic_haproxy *t, struct buf *answer, struct err *reterr, const char *fmt, ...)
{
	struct buf CLEANUP_BUF cmd = BUF_INIT(4096);
	va_list ap;
	int     rc;

	va_start(ap, fmt);
	buf_addv(&cmd, fmt, ap);
	va_end(ap);
	return (rc = buf_check(&cmd, "HAProxy command", reterr)) ? rc : haproxy_command(t->socket, buf_str(&cmd), answer, reterr);
}

int haproxy_tell_quiet(const struct buf *answer, const char *what, struct err *reterr)
{
	str a = str_trim(buf_str(answer));

	return a.len == 0 ? 0 : err_set(reterr, WEIR_EIO, "HAProxy: %s: %.*s", what, STR_ARG(a));
}

int haproxy_worker(struct traffic_haproxy *t, char out[32], struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	int rc = haproxy_tell(t, &answer, reterr, "show info");

	if (!rc)
		snprintf(out, 32, "%.*s", STR_ARG(str_sub(haproxy_info(buf_str(&answer), "Pid"), 0, 31)));
	return rc;
}

/* Asks the master for new workers from the present files and waits until the new one answers. */
int haproxy_reload(struct traffic_haproxy *t, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	char before[32] = "", now[32] = "";
	int  rc;

	if ((rc = haproxy_write_all(t, reterr)) || (rc = haproxy_worker(t, before, reterr)))
		return rc;
	for (unsigned i = 0; i < 200 && (rc = haproxy_command(t->master, STR("reload"), &answer, NULL)) == -WEIR_EUNAVAIL; i++)
		clock_sleep_ms(10); /* one that was just started answers a little after its workers do */
	if (rc && rc != -WEIR_EIO) /* the master may close while it re-executes */
		return err_set(reterr, WEIR_EUNAVAIL, "HAProxy's master does not answer at %s", t->master);
	for (unsigned i = 0; i < 500; i++) {
		if (haproxy_worker(t, now, NULL) == 0 && strcmp(now, before) != 0)
			return 0;
		clock_sleep_ms(10);
	}
	return err_set(reterr, WEIR_ETIMEOUT, "HAProxy did not take its new configuration: see its log (port in use?)");
}

size_t haproxy_find_server(const struct server *v, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(v[i].name, name) != 0)
		i++;
	return i;
}

int haproxy_add(struct traffic_haproxy *t, unsigned slot, unsigned arm, const struct server *s, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	int rc = haproxy_tell(t, &answer, reterr, "add server s%u_%c/%s 127.0.0.1:%u pool-max-conn 100 pool-purge-delay 5s", slot, "ab"[arm], s->name, s->port);

	if (rc)
		return rc;
	if (!str_contains(buf_str(&answer), STR("New server registered")) && !str_contains(buf_str(&answer), STR("Already exists")))
		return err_set(reterr, WEIR_EIO, "HAProxy: add server: %.*s", STR_ARG(str_trim(buf_str(&answer))));
	if ((rc = haproxy_tell(t, &answer, reterr, "enable server s%u_%c/%s", slot, "ab"[arm], s->name)))
		return rc;
	return haproxy_tell_quiet(&answer, "enable server", reterr);
}

/* 0 when HAProxy has forgotten the server, -WEIR_EBUSY while it has connections. */
int haproxy_delete(struct traffic_haproxy *t, unsigned slot, unsigned arm, const char *name, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX);
	int rc = haproxy_tell(t, &answer, reterr, "disable server s%u_%c/%s", slot, "ab"[arm], name);

	if (rc)
		return rc;
	if (str_contains(buf_str(&answer), STR("No such")))
		return 0;
	if ((rc = haproxy_tell(t, &answer, reterr, "del server s%u_%c/%s", slot, "ab"[arm], name)))
		return rc;
	if (str_contains(buf_str(&answer), STR("Server deleted")) || str_contains(buf_str(&answer), STR("No such")))
		return 0;
	return err_set(reterr, WEIR_EBUSY, "HAProxy: %.*s", STR_ARG(str_trim(buf_str(&answer))));
}

/* --- bringing HAProxy to what is set --- */

static bool wanted_line(const struct traffic_haproxy *t, enum map_file which, str key, str value)
{
	struct buf CLEANUP_BUF b = BUF_INIT(CONFIG_BYTES_MAX);
	char line[400];
	int  n = snprintf(line, sizeof(line), "%.*s %.*s\n", STR_ARG(key), STR_ARG(value));

	for (unsigned i = 0; i < t->cfg.slots; i++)
		haproxy_map_line(t, i, which, &b);
	for (const char *p = buf_z(&b); (p = strstr(p, line)); p++)
		if (p == b.ptr || p[-1] == '\n')
			return true;
	return n >= (int)sizeof(line); /* not one of ours */
}

/* Deletes what should not be there, then adds or sets each line that should. */
int haproxy_sync_map(struct traffic_haproxy *t, enum map_file which, struct err *reterr)
{
	struct buf CLEANUP_BUF answer = BUF_INIT(ANSWER_BYTES_MAX), reply = BUF_INIT(ANSWER_BYTES_MAX), want = BUF_INIT(CONFIG_BYTES_MAX);
	str text, line, id, key, value;
	int rc = haproxy_tell(t, &answer, reterr, "show map %s/%s", t->dir, haproxy_map_names[which]);

	if (rc)
		return rc;
	for (text = buf_str(&answer); text.len;) {
		str_cut(text, '\n', &line, &text);
		if (!str_cut(line, ' ', &id, &line) || !str_cut(line, ' ', &key, &value))
			continue;
		if (!wanted_line(t, which, key, value)
		    && (rc = haproxy_tell(t, &reply, reterr, "del map %s/%s #%.*s", t->dir, haproxy_map_names[which], STR_ARG(id))))
			return rc;
	}
	for (unsigned i = 0; i < t->cfg.slots; i++)
		haproxy_map_line(t, i, which, &want);
	for (text = buf_str(&want); text.len;) {
		struct buf CLEANUP_BUF have = BUF_INIT(600);

		str_cut(text, '\n', &line, &text);
		buf_addf(&have, " %.*s\n", STR_ARG(line));
		if (!str_contains(buf_str(&answer), buf_str(&have))
		    && (rc = haproxy_tell(t, &reply, reterr, "add map %s/%s %.*s", t->dir, haproxy_map_names[which], STR_ARG(line))))
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
	int                  rc = haproxy_tell(t, &answer, reterr, "show stat s%u_%c 4 -1", slot, "ab"[arm]);

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
		if (haproxy_find_server(want, n, z) == n && (rc = haproxy_delete(t, slot, arm, z, reterr)) && rc != -WEIR_EBUSY)
			return rc;
	}
	for (size_t i = 0; i < n; i++) {
		char have[SERVER_NAME_SIZE + 2];

		snprintf(have, sizeof(have), ",%s,", want[i].name);
		if (!str_contains(buf_str(&answer), str_z(have)) && (rc = haproxy_add(t, slot, arm, &want[i], reterr)))
			return rc;
	}
	return 0;
}

int haproxy_sync_all(struct traffic_haproxy *t, struct err *reterr)
{
	int rc = 0;

	for (unsigned i = 0; i < t->cfg.slots && !rc; i++)
		for (unsigned arm = 0; arm < 2 && !rc; arm++)
			if (t->slot[i].used)
				rc = sync_arm(t, i, arm, reterr);
	for (unsigned m = 0; m < MAP_N && !rc; m++)
		rc = haproxy_sync_map(t, (enum map_file)m, reterr);
	return rc;
}
