/* cmd-doctor.c - `weir doctor`: what is missing on this machine, and how to mend it. Looks only; changes nothing.
 *
 * One row per thing looked at. One thread. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "base/fs.h"
#include "base/proc.h"
#include "server/holder.h"
#include "cli/settings.h"
#include "db/db.h"

#include <limits.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct doctor_row {
	const char *what;
	bool        ok, must; /* must: weir cannot do its main job without it */
	const char *state;    /* when not ok: "missing" (NULL), "old", "taken", ... */
	char        seen[512];
	const char *mend;
};

/* First line that the program prints, or false when it cannot be run. */
static bool program_line(const char *const *argv, char *out, size_t size)
{
	CLEANUP_BUF struct buf text = BUF_INIT(64 << 10);
	struct proc_run        run = { .argv = argv, .out = &text, .err = &text, .timeout_ms = 5000 };
	int                    status;
	str                    line;

	if (proc_run(&run, &status, NULL) || status == 127)
		return false;
	str_cut(str_trim(buf_str(&text)), '\n', &line, NULL);
	snprintf(out, size, "%.*s", (int)(line.len < size ? line.len : size - 1), line.ptr);
	return status == 0;
}

static void row_program(struct doctor_row *row, const char *what, const char *const *argv, const char *mend)
{
	row->what = what;
	row->must = true;
	row->mend = mend;
	row->ok = program_line(argv, row->seen, sizeof(row->seen));
	if (!row->ok && !row->seen[0])
		snprintf(row->seen, sizeof(row->seen), "not found");
}

/* The first "N.M" of a text; 0.0 when there is none. */
static void version_read(const char *text, unsigned *ret_major, unsigned *ret_minor)
{
	*ret_major = *ret_minor = 0;
	for (; *text; text++)
		if (*text >= '0' && *text <= '9' && sscanf(text, "%u.%u", ret_major, ret_minor) == 2)
			return;
}

static void row_version(struct doctor_row *row, unsigned major_min, unsigned minor_min)
{
	unsigned major, minor;
	size_t   len = strlen(row->seen);

	if (!row->ok)
		return;
	version_read(row->seen, &major, &minor);
	row->ok = major > major_min || (major == major_min && minor >= minor_min);
	row->state = "old";
	if (!row->ok)
		snprintf(row->seen + len, sizeof(row->seen) - len, "; needed is %u.%u or newer", major_min, minor_min);
}

/* Free, or held by the weir of this data folder: its server, or a process that names the folder. */
static void row_port(struct doctor_row *row, const char *what, const char *setting, const char *address, const char *data)
{
	char            host[256], name[128], lock[PATH_MAX];
	uint16_t        port;
	pid_t           pid;
	enum port_state state;

	row->what = what;
	row->must = true;
	row->mend = setting;
	row->state = "taken";
	if (settings_address(what, address, host, sizeof(host), &port, NULL) || !port) {
		row->ok = !port;
		snprintf(row->seen, sizeof(row->seen), "any free port");
		return;
	}
	state = holder_of_port(host, port, &pid);
	row->ok = state == PORT_FREE;
	if (state == PORT_REFUSED)
		row->state = "refused";
	if (state != PORT_TAKEN || !pid) {
		snprintf(row->seen, sizeof(row->seen), "%s %s", address, state == PORT_FREE ? "is free" : state == PORT_TAKEN ? "is taken, it cannot be seen by whom"
		                                                                                                       : "cannot be listened on");
		return;
	}
	holder_name(pid, name, sizeof(name));
	snprintf(lock, sizeof(lock), "%s/server.lock", data);
	row->ok = holder_of_lock(lock) == pid || holder_works_on(pid, data);
	snprintf(row->seen, sizeof(row->seen), "%s is held by %s%s (process %d)", address, row->ok ? "this weir: " : "", name, (int)pid);
}

static void row_service_ports(struct doctor_row *row, const char *range)
{
	unsigned first = 0, last = 0, n_free = 0;
	pid_t    pid;

	row->what = "ports of instances";
	row->must = true;
	row->state = "taken";
	row->mend = "set `service-ports` to another range of loopback ports, FIRST-LAST within 1024-65535";
	if (sscanf(range, "%u-%u", &first, &last) != 2 || first < 1024 || last > 65535 || first >= last) {
		row->state = "wrong";
		snprintf(row->seen, sizeof(row->seen), "'%.100s' is no range of ports", range);
		return;
	}
	for (unsigned port = first; port <= last; port++) {
		/* many are looked at: who holds one is of no interest here */
		enum { ENOUGH = 64 };
		n_free += holder_of_port("127.0.0.1", (uint16_t)port, &pid) == PORT_FREE;
		if (n_free == ENOUGH)
			break;
	}
	row->ok = n_free > 1;
	snprintf(row->seen, sizeof(row->seen), "%u-%u, %s%u free", first, last, n_free == 64 ? "at least " : "", n_free);
}

static void row_database(struct doctor_row *row, const char *url)
{
	struct err e = { 0 };
	struct db *db = NULL;

	row->what = "database";
	row->must = true;
	row->state = "away";
	row->mend = "start PostgreSQL, or correct the setting `database`: postgresql://USER@HOST/NAME?...";
	row->ok = true;
	if (str_has_prefix(str_z(url), STR("sqlite:")) || !*url) {
		snprintf(row->seen, sizeof(row->seen), "SQLite, in the data folder unless the setting `database` says otherwise");
		return;
	}
	row->ok = !db_open(url, &db, &e);
	snprintf(row->seen, sizeof(row->seen), "%.500s", row->ok ? "PostgreSQL answers" : e.msg);
	for (char *c = row->seen; *c; c++) /* one row, one line */
		*c = *c == '\n' || *c == '\t' ? ' ' : *c;
	db_close(db);
}

static void row_sandbox(struct doctor_row *row)
{
	const char *const argv[] = { "bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true", NULL };

	row->what = "sandbox";
	row->must = true;
	row->mend = "allow user namespaces: sysctl -w user.max_user_namespaces=10000 (and kernel.unprivileged_userns_clone=1)";
	row->ok = program_line(argv, row->seen, sizeof(row->seen));
	if (row->ok)
		snprintf(row->seen, sizeof(row->seen), "a process can be started in its own namespaces");
}

static void row_cgroups(struct doctor_row *row)
{
	bool v2 = fs_exists("/sys/fs/cgroup/cgroup.controllers"), v1 = fs_is_dir("/sys/fs/cgroup/memory");

	row->what = "memory and process limits";
	row->ok = (v2 || v1) && !access(v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory", W_OK);
	row->mend = "run as root or in a delegated cgroup; without it steps have no limit of memory and processes, services only rlimits";
	snprintf(row->seen, sizeof(row->seen), "%s%s", v2 ? "cgroup v2" : v1 ? "cgroup v1" : "no cgroups", row->ok ? "" : ", not writable");
}

static void row_disk(struct doctor_row *row, const char *data)
{
	struct statvfs st;
	const char    *at = fs_exists(data) ? data : ".";

	row->what = "disk";
	row->must = true;
	row->mend = "free at least 1 GiB where the data folder is (setting `data`)";
	if (statvfs(at, &st)) {
		snprintf(row->seen, sizeof(row->seen), "%s cannot be looked at", at);
		return;
	}
	double gib = (double)st.f_bavail * (double)st.f_frsize / (1 << 30);

	row->ok = gib >= 1;
	snprintf(row->seen, sizeof(row->seen), "%.1f GiB free at %s", gib, at);
}

enum { ROWS = 11 };

static void look(struct cli *c, struct doctor_row rows[ROWS])
{
	static const char *const git[] = { "git", "--version", NULL }, *const haproxy[] = { "haproxy", "-v", NULL },
	                         *const bwrap[] = { "bwrap", "--version", NULL }, *const s6[] = { "s6-svscan", "-X", NULL };

	row_program(&rows[0], "git", git, "apt-get install git");
	row_version(&rows[0], 2, 35);
	row_program(&rows[1], "HAProxy", haproxy, "apt-get install haproxy");
	row_version(&rows[1], 2, 6);
	row_program(&rows[2], "bubblewrap", bwrap, "apt-get install bubblewrap");
	row_program(&rows[3], "s6", s6, "apt-get install s6");
	if (strstr(rows[3].seen, "usage") || strstr(rows[3].seen, "s6-svscan")) { /* it has no option that only prints */
		rows[3].ok = true;
		snprintf(rows[3].seen, sizeof(rows[3].seen), "s6-svscan is there");
	}
	row_sandbox(&rows[4]);
	row_cgroups(&rows[5]);
	row_disk(&rows[6], cli_setting(c, "data"));
	row_database(&rows[7], cli_setting(c, "database"));
	row_port(&rows[8], "port of API and pages", "set `listen` to a free HOST:PORT, or end that process", cli_setting(c, "listen"),
	         cli_setting(c, "data"));
	row_port(&rows[9], "port of services", "set `http` to a free HOST:PORT, or end that process", cli_setting(c, "http"),
	         cli_setting(c, "data"));
	row_service_ports(&rows[10], cli_setting(c, "service-ports"));
}

static void print_json(struct jw *w, const struct doctor_row *rows)
{
	jw_arr(w);
	for (size_t i = 0; i < ROWS; i++) {
		jw_obj(w);
		jw_kstrz(w, "what", rows[i].what);
		jw_kbool(w, "ok", rows[i].ok);
		jw_kbool(w, "must", rows[i].must);
		jw_kstrz(w, "seen", rows[i].seen);
		jw_kstrz(w, "mend", rows[i].ok ? NULL : rows[i].mend);
		jw_end(w);
	}
	jw_end(w);
}

static void print_rows(struct cli *c, const struct doctor_row *rows)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *state = rows[i].ok ? "ok" : !rows[i].must ? "without" : rows[i].state ? rows[i].state : "missing";

		cli_printf(c, "%s%-7s%s %-25s ", cli_color(c, rows[i].ok ? "green" : rows[i].must ? "red" : "yellow"), state, cli_color(c, ""),
		           rows[i].what);
		cli_print_text(c, 34, 34, rows[i].seen);
		if (!rows[i].ok) {
			cli_printf(c, "        ");
			cli_print_text(c, 8, 8, rows[i].mend);
		}
	}
}

static int run_doctor(struct cli *c, struct err *reterr UNUSED)
{
	struct doctor_row rows[ROWS] = { 0 };
	size_t            bad = 0;

	look(c, rows);
	for (size_t i = 0; i < ROWS; i++)
		bad += !rows[i].ok && rows[i].must;
	if (cli_wants_json(c))
		print_json(cli_json(c), rows);
	else
		print_rows(c, rows);
	return bad ? 1 : 0;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "Says what is missing on this machine and how to mend it",
	.help = "Looks for the programs weir needs and their versions, tries the sandbox, and looks whether disk, database and the ports of the settings "
	        "are there for it. Exit code 1 when something that weir needs is missing.",
	.run = run_doctor,
};
