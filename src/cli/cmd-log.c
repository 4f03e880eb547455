/* cmd-log.c - `weir log`: the events of the server, and `weir log verify`: proof that they are what was written.
 *
 * `log` asks the API (and its stream with --follow). `log verify` opens the database itself: a proof by the server that is under
 * suspicion would be none. */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "event/event.h"

#include <limits.h>

enum { LOG_SHOWN = 30, LOG_VALUE_BYTES = 60, RECONNECT_MS = 1000 };

/* Bytes of a text from outside, harmless on a terminal: control characters become '?'. */
static void add_plain(struct buf *b, str s, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool          c1 = c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0;

		if (max && n >= max && (c & 0xc0) != 0x80) {
			buf_addz(b, "...");
			return;
		}
		i += c1;
		buf_addc(b, c < 0x20 || c == 0x7f || c1 ? '?' : (char)c);
		n++;
	}
}

static void add_value(struct buf *b, const struct doc_node *n)
{
	struct buf text CLEANUP_BUF = BUF_INIT(LIMIT_EVENT_BYTES * 2);

	if (n->kind == DOC_STR) {
		add_plain(b, n->s, LOG_VALUE_BYTES);
		return;
	}
	doc_canonical(n, &text);
	add_plain(b, buf_str(&text), LOG_VALUE_BYTES);
}

/* A line per event; on a terminal its fields go on below where they would not fit. */
static void event_print(struct cli *c, const struct doc_node *ev)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20), fields CLEANUP_BUF = BUF_INIT(1 << 20);
	const struct doc_node   *data = doc_get(ev, "data");
	str                      project = doc_get_str(ev, "project");
	char                     when[CLOCK_RFC3339_SIZE];
	size_t                   escapes = 2 * strlen(cli_color(c, "")) + strlen(cli_color(c, "dim")) + strlen(cli_color(c, "bold"));

	clock_rfc3339(doc_get_int(ev, "time", 0), when);
	buf_addf(&b, "%s%.10s %.8s%s  ", cli_color(c, "dim"), when, when + 11, cli_color(c, ""));
	add_plain(&b, project.len ? project : STR("-"), 0);
	buf_addf(&b, " %lld  %s", (long long)doc_get_int(ev, "seq", 0), cli_color(c, "bold"));
	add_plain(&b, doc_get_str(ev, "type"), 0);
	buf_addf(&b, "%s  ", cli_color(c, ""));
	add_plain(&fields, doc_get_str(ev, "actor"), 0);
	for (size_t i = 0; i < doc_len(data); i++) {
		buf_addz(&fields, "  ");
		add_plain(&fields, data->map.pairs[i].key, 0);
		buf_addc(&fields, '=');
		add_value(&fields, data->map.pairs[i].value);
	}
	cli_printf(c, "%s", buf_z(&b));
	if (cli_is_terminal(c))
		cli_print_text(c, (unsigned)(b.len - escapes), 4, buf_z(&fields));
	else
		cli_printf(c, "%s\n", buf_z(&fields));
}

static void add_filter(struct cli *c, struct buf *path, char sep)
{
	static const char *const names[] = { "project", "type" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = cli_option(c, names[i]);

		if (!v)
			continue;
		buf_addf(path, "%c%s=", sep, names[i]);
		buf_add_url(path, str_z(v));
		sep = '&';
	}
}

/* The newest events, oldest first. *ret_pos: position of the newest one, 0 when there is none. */
static int log_newest(struct cli *c, bool print, int64_t *ret_pos, struct err *reterr)
{
	struct buf path CLEANUP_BUF = BUF_INIT(4096);
	struct doc_node            *answer;
	const struct doc_node      *list;
	const char                 *limit = cli_option(c, "limit");
	uint64_t                    n = LOG_SHOWN;
	int                         rc;

	if (limit && (!str_to_u64(str_z(limit), &n) || !n || n > LIMIT_EVENT_READ))
		return err_set(reterr, WEIR_EINVAL, "--limit: a number from 1 to %d", LIMIT_EVENT_READ);
	buf_addf(&path, "/api/v1/events/newest?limit=%llu", (unsigned long long)n);
	add_filter(c, &path, '&');
	rc = buf_check(&path, "the filter", reterr);
	if (!rc)
		rc = cli_call(c, "GET", buf_z(&path), STR_NULL, &answer, reterr);
	if (rc)
		return rc;
	list = doc_get(answer, "events");
	*ret_pos = doc_get_int(doc_at(list, 0), "pos", 0);
	if (!print)
		return 0;
	if (cli_wants_json(c) && !cli_switch(c, "follow"))
		jw_arr(cli_json(c));
	for (size_t i = doc_len(list); i-- > 0;) {
		struct buf line CLEANUP_BUF = BUF_INIT(LIMIT_EVENT_BYTES * 2);

		if (!cli_wants_json(c)) {
			event_print(c, doc_at(list, i));
		} else if (!cli_switch(c, "follow")) {
			jw_node(cli_json(c), doc_at(list, i));
		} else {
			doc_canonical(doc_at(list, i), &line);
			cli_printf(c, "%s\n", buf_z(&line));
		}
	}
	if (cli_wants_json(c) && !cli_switch(c, "follow"))
		jw_end(cli_json(c));
	else if (!cli_wants_json(c) && !doc_len(list) && !cli_switch(c, "follow"))
		cli_notef(c, "no events\n");
	return 0;
}

/* --- the stream --- */

struct follow {
	struct cli *cli;
	struct buf  line, data;
	int64_t     id; /* of the message that is being read; position of the last whole one after it */
	int64_t     position;
};

static void follow_message(struct follow *f)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(64 << 20);
	struct doc_node            *ev;

	if (f->data.len && cli_wants_json(f->cli))
		cli_printf(f->cli, "%s\n", buf_z(&f->data));
	else if (f->data.len && !doc_parse_json(&a, "event", buf_str(&f->data), &ev, NULL))
		event_print(f->cli, ev);
	if (f->data.len)
		f->position = f->id;
	buf_clear(&f->data);
}

static void follow_line(struct follow *f, str line)
{
	if (!line.len)
		follow_message(f);
	else if (str_has_prefix(line, STR("data: ")))
		buf_add_str(&f->data, str_sub(line, 6, line.len));
	else if (str_has_prefix(line, STR("id: ")))
		(void)str_to_i64(str_sub(line, 4, line.len), &f->id);
}

static int follow_sink(void *ctx, str piece)
{
	struct follow *f = ctx;

	while (piece.len) {
		str  part, rest;
		bool whole = str_cut(piece, '\n', &part, &rest);

		buf_add_str(&f->line, part);
		if (f->line.failed || f->data.failed)
			return -1;
		if (!whole)
			break;
		follow_line(f, buf_str(&f->line));
		buf_clear(&f->line);
		piece = rest;
	}
	return 0;
}

static int follow_once(struct follow *f, struct http_client *client, struct err *reterr)
{
	struct buf path CLEANUP_BUF = BUF_INIT(4096);
	struct http_call            call = HTTP_CALL_INIT;
	char                        last[64];

	(void)snprintf(last, sizeof(last), "Last-Event-ID: %lld", (long long)f->position);
	buf_addz(&path, "/events");
	add_filter(f->cli, &path, '?');
	call.path = buf_z(&path);
	call.headers = (const char *const[]){ last, "Accept: text/event-stream", NULL };
	call.timeout_ms = -1;
	call.sink = follow_sink;
	call.sink_ctx = f;
	buf_clear(&f->line);
	buf_clear(&f->data);
	return http_call_ok(client, &call, reterr);
}

/* Until the user ends it. A server that goes away is waited for; nothing is lost, the position is kept. */
static int log_follow(struct cli *c, int64_t position, struct err *reterr)
{
	struct follow       f = { .cli = c, .line = BUF_INIT(4 * LIMIT_EVENT_BYTES), .data = BUF_INIT(4 * LIMIT_EVENT_BYTES), .position = position };
	struct http_client *client;
	bool                told = false;
	int                 rc = cli_client(c, &client, reterr);

	while (!rc) {
		int64_t before = f.position;

		rc = follow_once(&f, client, reterr);
		if (rc && rc != -WEIR_EUNAVAIL && rc != -WEIR_EIO && rc != -WEIR_ETIMEOUT)
			break;
		if (f.position != before)
			told = false;
		if (!told)
			cli_notef(c, "the stream ended; waiting for the server\n");
		told = true;
		clock_sleep_ms(RECONNECT_MS);
		rc = 0;
	}
	buf_fini(&f.line);
	buf_fini(&f.data);
	return rc;
}

static int run_log(struct cli *c, struct err *reterr)
{
	int64_t position = 0, newest = 0;
	int     rc = log_newest(c, true, &newest, reterr);

	if (rc || !cli_switch(c, "follow"))
		return rc;
	position = newest; /* the stream goes on behind what was shown */
	return log_follow(c, position, reterr);
}

/* --- verify --- */

static int verify_open(struct cli *c, struct db **ret, char *keys, size_t size, struct err *reterr)
{
	char path[PATH_MAX], url[PATH_MAX + 16];
	int  rc = fs_join(keys, size, reterr, cli_setting(c, "data"), "keys");

	if (!rc && *cli_setting(c, "database"))
		return db_open(cli_setting(c, "database"), ret, reterr);
	if (!rc)
		rc = fs_join(path, sizeof(path), reterr, cli_setting(c, "data"), "weir.db");
	if (!rc && !fs_exists(path))
		rc = err_set(reterr, WEIR_ENOENT, "there is no database %s: say where with --data or --database", path);
	if (rc)
		return rc;
	(void)snprintf(url, sizeof(url), "sqlite:%s", path);
	return db_open(url, ret, reterr);
}

static int run_verify(struct cli *c, struct err *reterr)
{
	const char         *backup = cli_option(c, "from-backup");
	char                keys[PATH_MAX];
	struct event_verify v = { 0 };
	struct db          *db;
	int                 rc = verify_open(c, &db, keys, sizeof(keys), reterr);

	if (rc)
		return rc;
	rc = backup ? event_verify_against(db, keys, backup, &v, reterr) : event_verify(db, keys, &v, reterr);
	db_close(db);
	if (rc)
		return rc;
	if (cli_wants_json(c)) {
		struct jw *w = cli_json(c);

		jw_obj(w);
		jw_kbool(w, "ok", true);
		jw_kint(w, "events", v.events);
		jw_kint(w, "projects", v.projects);
		jw_kint(w, "checkpoints", v.checkpoints);
		jw_end(w);
	} else {
		cli_printf(c, "%sok%s: %lld events of %lld streams are what was written; %lld signed checkpoints fit them%s\n",
		           cli_color(c, "green"), cli_color(c, ""), (long long)v.events, (long long)v.projects, (long long)v.checkpoints,
		           backup ? "; all events of the backup are in the log" : "");
	}
	return 0;
}

const struct cli_command cmd_log = {
	.name = "log", .args = "", .summary = "Shows the newest events, and with --follow those to come",
	.help = "Each line: time, project and number, type, who, fields. --json prints one list, with --follow one event a line.",
	.opts = (const struct cli_opt[]){ { "follow", NULL, "go on with new events until interrupted" },
	                                  { "project", "NAME", "only this project ('-': what belongs to none)" },
	                                  { "type", "TYPES", "only these types, comma-separated: release.started,release.promoted" },
	                                  { "limit", "N", "how many to show first (30)" },
	                                  { NULL, NULL, NULL } },
	.run = run_log,
};
const struct cli_command cmd_log_verify = {
	.name = "log verify", .args = "", .summary = "Proves that no event was changed, removed or reordered",
	.help = "Opens the database itself (settings data and database), recomputes every hash, and checks every signed checkpoint with the keys "
	        "in DATA/keys. Exit code 1 and the name of the first bad event when something is wrong.",
	.opts = (const struct cli_opt[]){ { "from-backup", "FILE", "every event of this SQLite backup must also be in the log, unchanged" },
	                                  { NULL, NULL, NULL } },
	.run = run_verify,
};
