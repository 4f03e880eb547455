/* cmd-doctor.c - `weir doctor`: what is missing on this machine, and how to mend it. Looks only; changes nothing. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "base/fs.h"
#include "base/proc.h"

#include <sys/statvfs.h>
#include <unistd.h>

struct doctor_row {
	const char *what;
	bool        ok, must; /* must: weir cannot do its main job without it */
	char        seen[160];
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
	row->mend = "run as root or in a delegated cgroup; without it steps are limited by ulimit only";
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

static int run_doctor(struct cli *c, struct err *reterr)
{
	static const char *const git[] = { "git", "--version", NULL }, *const haproxy[] = { "haproxy", "-v", NULL },
	                         *const bwrap[] = { "bwrap", "--version", NULL }, *const s6[] = { "s6-svscan", "-X", NULL };
	struct doctor_row rows[7] = { 0 };
	size_t            bad = 0;

	row_program(&rows[0], "git", git, "apt-get install git");
	row_program(&rows[1], "HAProxy", haproxy, "apt-get install haproxy");
	row_program(&rows[2], "bubblewrap", bwrap, "apt-get install bubblewrap");
	row_program(&rows[3], "s6", s6, "apt-get install s6");
	if (strstr(rows[3].seen, "usage") || strstr(rows[3].seen, "s6-svscan")) { /* it has no option that only prints */
		rows[3].ok = true;
		snprintf(rows[3].seen, sizeof(rows[3].seen), "s6-svscan is there");
	}
	row_sandbox(&rows[4]);
	row_cgroups(&rows[5]);
	row_disk(&rows[6], cli_setting(c, "data"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		bad += !rows[i].ok && rows[i].must;
	if (cli_wants_json(c)) {
		struct jw *w = cli_json(c);

		jw_arr(w);
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			jw_obj(w);
			jw_kstrz(w, "what", rows[i].what);
			jw_kbool(w, "ok", rows[i].ok);
			jw_kbool(w, "must", rows[i].must);
			jw_kstrz(w, "seen", rows[i].seen);
			jw_kstrz(w, "mend", rows[i].ok ? NULL : rows[i].mend);
			jw_end(w);
		}
		jw_end(w);
		return bad ? 1 : 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cli_printf(c, "%s%-7s%s %-26s %s\n", cli_color(c, rows[i].ok ? "green" : rows[i].must ? "red" : "yellow"),
		           rows[i].ok ? "ok" : rows[i].must ? "missing" : "without", cli_color(c, ""), rows[i].what, rows[i].seen);
		if (!rows[i].ok)
			cli_printf(c, "        %s\n", rows[i].mend);
	}
	(void)reterr;
	return bad ? 1 : 0;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "Says what is missing on this machine and how to mend it",
	.run = run_doctor,
};
