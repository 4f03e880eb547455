/* test_sandbox.c - what a step must not be able to do, tried from inside; and the limits. */
#include "tests/unit/pipeline/step-help.h"

#include "base/proc.h"
#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* --- inside: "probe NAME [ARG]" prints "errno N" or "done" --- */

static int probe_says(long r)
{
	if (r < 0)
		printf("errno %d\n", errno);
	else
		printf("done\n");
	fflush(stdout);
	return 0;
}

static int probe(const char *name, const char *argument)
{
	pid_t pid = argument ? (pid_t)strtol(argument, NULL, 10) : 0;

	if (!strcmp(name, "mount"))
		return probe_says(mount("none", "/tmp", "tmpfs", 0, NULL));
	if (!strcmp(name, "umount"))
		return probe_says(umount2("/home/runner", MNT_DETACH));
	if (!strcmp(name, "unshare"))
		return probe_says(unshare(CLONE_NEWUSER));
	if (!strcmp(name, "clone"))
		return probe_says(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
	if (!strcmp(name, "clone3")) {
		errno = 0;
		return probe_says(syscall(SYS_clone3, NULL, 0));
	}
	if (!strcmp(name, "ptrace"))
		return probe_says(ptrace(PTRACE_ATTACH, pid, 0, 0));
	if (!strcmp(name, "kill"))
		return probe_says(kill(pid, SIGKILL));
	if (!strcmp(name, "keyctl"))
		return probe_says(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0));
	if (!strcmp(name, "bpf"))
		return probe_says(syscall(SYS_bpf, 0, NULL, 0));
	if (!strcmp(name, "perf"))
		return probe_says(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	if (!strcmp(name, "userfaultfd"))
		return probe_says(syscall(SYS_userfaultfd, 0));
	if (!strcmp(name, "io_uring"))
		return probe_says(syscall(SYS_io_uring_setup, 1, NULL));
	if (!strcmp(name, "tiocsti"))
		return probe_says(ioctl(0, 0x5412, "x"));
	return 3;
}

static void probe_is(struct steps *s, const char *name, const char *argument, int want)
{
	const char *const argv[] = { SANDBOX_WEIR, "probe", name, argument, NULL };
	char              text[32];

	steps_start(s, argv);
	assert_int_equal(steps_end(s), 0);
	snprintf(text, sizeof(text), "errno %d\n", want);
	if (!str_contains(buf_str(&s->out), str_z(text)))
		fail_msg("probe %s: expected %s, seen %s", name, text, buf_z(&s->out));
}

static void test_calls(void **state)
{
	static const struct {
		const char *name;
		int         want;
	} calls[] = { { "mount", EPERM }, { "umount", EPERM }, { "unshare", EPERM }, { "clone", EPERM }, { "clone3", ENOSYS }, { "keyctl", EPERM },
		          { "bpf", EPERM }, { "perf", EPERM }, { "userfaultfd", EPERM }, { "io_uring", ENOSYS }, { "tiocsti", EPERM } };
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		probe_is(&s, calls[i].name, NULL, calls[i].want);
	steps_close(&s);
}

/* A process outside, of the very user the step runs as: pid namespaces must keep it out of reach all the same. */
static void test_outside_processes(void **state)
{
	struct steps s;
	char         pid_text[16], script[64];
	int          status;
	pid_t        pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	pid = fork();
	if (!pid) {
		if (!geteuid() && setresuid(SANDBOX_UID_BASE, SANDBOX_UID_BASE, SANDBOX_UID_BASE))
			_exit(1);
		pause();
		_exit(0);
	}
	steps_open(&s);
	snprintf(pid_text, sizeof(pid_text), "%d", (int)pid);
	probe_is(&s, "ptrace", pid_text, ESRCH);
	probe_is(&s, "kill", pid_text, ESRCH);
	snprintf(script, sizeof(script), "ls -d /proc/%d; ls -d /proc/[0-9]* | wc -l", (int)pid);
	steps_sh(&s, script);
	assert_true(str_contains(buf_str(&s.out), STR("No such file")));
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it lives */
	steps_close(&s);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

static void test_files(void **state)
{
	static const char *const refused[] = {
		"test -n \"$(ls -A /root)\"", "ls /home/runner/../../root/.bashrc", "touch /usr/x", "touch /bin/x", "touch /etc/x", "cat /etc/shadow",
		"ls /var/lib", "ls /sys/kernel", "touch /x", "echo x > /etc/passwd", "ls /boot", "ls /mnt/job", "dd if=/dev/vda count=1",
		"test -e /run/weir/secret", "echo 1 > /proc/sys/kernel/panic", "mknod /tmp/d b 8 0", "su -c true",
	};
	struct steps s;
	char         marker[300], script[400];

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (!steps_sh(&s, refused[i]))
			fail_msg("it could: %s: %s", refused[i], buf_z(&s.out));
	/* the temporary folder of the machine, where this test's own files are */
	snprintf(marker, sizeof(marker), "%s/marker", s.dir);
	struct err err;
	assert_ok(fs_write_quick(marker, STR("secret"), 0644, &err), &err);
	snprintf(script, sizeof(script), "cat %s", marker);
	assert_int_not_equal(steps_sh(&s, script), 0);
	steps_close(&s);
}

/* One copy for all jobs for which /etc is the same; a step sees it read-only. */
/* Another state of the machine's /etc is another copy; seen in a mount namespace of its own. 77: not possible here. */
static int etc_changes(const char *base, const char *first)
{
	static const char *const changed[] = { "/etc/hosts", "/etc/alternatives" };
	char                     again[400], other[300];
	struct err               err;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return 77;
	snprintf(other, sizeof(other), "%s/other", base);
	for (size_t i = 0; i < ARRAY_SIZE(changed); i++) {
		bool is_dir = fs_is_dir(changed[i]);

		if (is_dir ? fs_mkdirs(other, 0755, &err) : fs_write_quick(other, STR("127.0.0.1 here\n"), 0644, &err))
			return 1;
		if (!fs_exists(changed[i]) || mount(other, changed[i], NULL, MS_BIND, NULL))
			return 77;
		if (sandbox_etc(base, again, sizeof(again), &err) || strcmp(again, first) == 0)
			return 2;
		if (umount(changed[i]) || (is_dir ? rmdir(other) : unlink(other)))
			return 3;
		if (sandbox_etc(base, again, sizeof(again), &err) || strcmp(again, first) != 0)
			return 4;
	}
	return 0;
}

static void test_shared_etc(void **state)
{
	struct steps s;
	struct err   err;
	char         base[300], first[400], again[400];
	int          status;
	pid_t        pid;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	snprintf(base, sizeof(base), "%s/etc", s.dir);
	assert_ok(sandbox_etc(base, first, sizeof(first), &err), &err);
	assert_ok(sandbox_etc(base, again, sizeof(again), &err), &err);
	assert_string_equal(first, again);
	assert_err(sandbox_etc(base, again, 10, &err), WEIR_ELIMIT);
	pid = fork();
	if (!pid)
		_exit(etc_changes(base, first));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 77)
		assert_int_equal(status, 0);
	s.etc = first;
	assert_int_equal(steps_sh(&s, "grep -q ^runner: /etc/passwd && ! echo x > /etc/passwd && ! touch /etc/x && test ! -e /etc/shadow && id -un"), 0);
	assert_true(str_has_suffix(buf_str(&s.out), STR("runner\n")));
	steps_close(&s);
}

static void test_who_and_where(void **state)
{
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	assert_int_equal(steps_sh(&s, "id -u; id -un; echo $HOME; pwd; touch /tmp/a ~/b ./c && grep -E 'CapEff|NoNewPrivs' /proc/self/status"), 0);
	assert_str(buf_str(&s.out), "1000\nrunner\n/home/runner\n/home/runner/work\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
	assert_int_equal(steps_sh(&s, "test -e /tmp/a && test -e ~/b"), 0); /* the job's folders stay from step to step */
	if (!geteuid()) {
		struct stat st;
		char        path[400];

		snprintf(path, sizeof(path), "%s/home/b", s.job);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, SANDBOX_UID_BASE); /* never root's */
	}
	/* two commands that background themselves end with their step */
	assert_int_equal(steps_sh(&s, "setsid sleep 1000 & sleep 0.1; ps -e -o pid= | wc -l"), 0);
	steps_close(&s);
}

/* LD_PRELOAD of a step must not reach bubblewrap; nothing of the environment may be seen in the machine's process list. */
static void test_environment(void **state)
{
	static const char *const env[] = { "PATH=" SANDBOX_PATH, "LD_PRELOAD=/home/runner/evil.so", "SECRET=s3cr3t-in-env", "EMPTY=", NULL };
	struct steps             s;
	CLEANUP_BUF struct buf   out = BUF_INIT(1 << 20);
	struct err               err;
	const char *const        ps[] = { "bash", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '", NULL };
	struct proc_run          run = { .argv = ps, .out = &out };
	int                      status;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	setenv("WEIR_OUTSIDE", "1", 1);
	s.env = env;
	steps_start(&s, (const char *const[]){ "bash", "-c", "echo up; env; sleep 1000", NULL });
	steps_await(&s, "SECRET=");
	assert_ok(proc_run(&run, &status, &err), &err);
	assert_false(str_contains(buf_str(&out), STR("s3cr3t-in-env")));
	guard_stop(s.guard, false);
	steps_end(&s);
	assert_true(str_contains(buf_str(&s.out), STR("EMPTY=\n")));
	assert_false(str_contains(buf_str(&s.out), STR("WEIR_OUTSIDE")));
	/* "cannot be preloaded" is said by the programs inside only: bash, env, sleep; bubblewrap's own start is before "up" */
	assert_false(str_contains(buf_str(&s.out), STR("bwrap")));
	steps_close(&s);
}

static void test_limits(void **state)
{
	struct steps           s;
	CLEANUP_BUF struct buf head = BUF_INIT(1000);
	char                   cgroup[64];

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	snprintf(cgroup, sizeof(cgroup), "test-limits-%d", (int)getpid()); /* groups are the machine's: another run of this test has its own */
	s.cgroup = cgroup;
	s.memory = 64 << 20;
	s.pids = 40;
	assert_int_equal(steps_sh(&s, "true"), 0);
	guard_head(s.guard, &head);
	if (!str_contains(buf_str(&head), STR("memory 64 MiB, processes 40"))) {
		print_message("skipped: %s\n", buf_z(&head));
		steps_close(&s);
		buf_fini(&head); /* skip() jumps */
		skip();
	}
	assert_int_not_equal(steps_sh(&s, "python3 -c 'x = bytearray(200 << 20); print(len(x))'"), 0);
	assert_int_equal(steps_sh(&s, "python3 -c 'x = bytearray(5 << 20); print(len(x))'"), 0);
	assert_int_not_equal(steps_sh(&s, "set -e; for i in $(seq 100); do sleep 100 & done; echo all"), 0);
	assert_false(str_contains(buf_str(&s.out), STR("all")));
	steps_close(&s);
}

/* In a process and mount namespace of its own, with the one hierarchy of cgroups v2 where programs look for it. 0: as it should be, 77: not possible
 * here, else the number of what was wrong. */
static int with_cgroup2(void)
{
	char        name[64], dir[160], limits[160], text[4096] = "";
	const char *has_memory;
	struct buf  controllers = BUF_INIT(4096), mine = BUF_INIT(4096);
	pid_t       pid;
	int         status;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL))
		return 77;
	snprintf(name, sizeof(name), "test-v2-%d", (int)getpid());
	snprintf(dir, sizeof(dir), "/sys/fs/cgroup/weir/%s", name);
	if (fs_read("/sys/fs/cgroup/cgroup.controllers", &controllers, NULL))
		return 1;
	has_memory = strstr(buf_z(&controllers), "memory");
	confine_cgroup_make(name, 64 << 20, 40, limits, sizeof(limits));
	if (!strstr(limits, "(cgroups: v2)") || !fs_is_dir(dir))
		return 2;
	/* a limit is said when it holds, and not when this machine has the controller in another hierarchy */
	if ((strstr(limits, "memory 64 MiB") != NULL) != (has_memory != NULL))
		return 3;
	pid = fork();
	if (!pid) {
		confine_cgroup_enter(name);
		snprintf(text, sizeof(text), "/weir/%s\n", name);
		_exit(fs_read("/proc/self/cgroup", &mine, NULL) || !strstr(buf_z(&mine), text));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		return 4;
	confine_cgroup_make(name, 64 << 20, 40, limits, sizeof(limits)); /* left by a crash: taken over */
	return !confine_cgroup_remove(name) || fs_exists(dir) ? 5 : 0;
}

static void test_cgroup2(void **state)
{
	pid_t pid;
	int   status;

	(void)state;
	pid = fork();
	if (!pid)
		_exit(with_cgroup2());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: no cgroup2 can be mounted here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

/* A group of an hour ago that nobody is in goes; one with a process, and a young one, stay. */
static void test_sweep(void **state)
{
	static const char    base[] = "/sys/fs/cgroup/pids/weir";
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	char                 names[3][64], path[3][160], limits[160];
	pid_t                pid;

	(void)state;
	for (int i = 0; i < 3; i++) {
		snprintf(names[i], sizeof(names[i]), "weir-test-sweep-%d-%d", (int)getpid(), i);
		snprintf(path[i], sizeof(path[i]), "%s/%s", base, names[i]);
		confine_cgroup_make(names[i], 64 << 20, 40, limits, sizeof(limits));
	}
	if (!fs_is_dir(path[0])) {
		print_message("skipped: no pids hierarchy of cgroups v1 can be written here\n");
		skip();
	}
	pid = fork();
	if (!pid) {
		confine_cgroup_enter(names[1]);
		pause();
		_exit(0);
	}
	for (struct buf procs = BUF_INIT(4096); !procs.len; usleep(1000)) { /* until it is in */
		char file[200];

		snprintf(file, sizeof(file), "%s/cgroup.procs", path[1]);
		assert_int_equal(fs_read(file, &procs, NULL), 0);
		if (procs.len) {
			buf_fini(&procs);
			break;
		}
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(utimensat(AT_FDCWD, path[i], old, 0), 0);
	confine_cgroup_sweep(2000);
	assert_false(fs_exists(path[0]));
	assert_true(fs_exists(path[1]));
	assert_true(fs_exists(path[2]));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (int i = 0; i < 3; i++)
		for (int tries = 0; !confine_cgroup_remove(names[i]) && tries < 200; tries++)
			usleep(10000);
}

static void test_no_limits_are_said(void **state)
{
	char limits[160];

	(void)state;
	confine_cgroup_make(NULL, 1 << 30, 10, limits, sizeof(limits));
	assert_string_equal(limits, "memory unlimited, processes unlimited (cgroups: none)");
	confine_cgroup_make("../../escape", 1 << 30, 10, limits, sizeof(limits));
	assert_true(str_has_prefix(str_z(limits), STR("memory unlimited, processes unlimited")));
}

static void test_secret_dir(void **state)
{
	struct steps s;
	struct err   err;
	char         dir[300], file[320];

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	snprintf(dir, sizeof(dir), "%s/secret", s.dir);
	snprintf(file, sizeof(file), "%s/token", dir);
	assert_ok(fs_mkdirs(dir, 0700, &err), &err);
	assert_ok(fs_write_quick(file, STR("tok"), 0400, &err), &err);
	assert_ok(sandbox_give(dir, 0, &err), &err);
	assert_ok(sandbox_give(file, 0, &err), &err);
	s.secret = dir;
	assert_int_equal(steps_sh(&s, "cat /run/weir/secret/token; ! touch /run/weir/secret/x"), 0);
	assert_true(str_has_prefix(buf_str(&s.out), STR("tok")));
	s.secret = NULL;
	assert_int_not_equal(steps_sh(&s, "cat /run/weir/secret/token"), 0);
	steps_close(&s);
}

static void test_refused(void **state)
{
	struct steps s;

	(void)state;
	SKIP_WITHOUT_SANDBOX();
	steps_open(&s);
	s.cwd = "/nowhere";
	steps_sh(&s, "true");
	assert_int_equal(s.st.end, GUARD_SANDBOX);
	assert_true(str_contains(buf_str(&s.out), STR("/nowhere")));
	s.cwd = "/tmp";
	steps_start(&s, (const char *const[]){ "no-such-program", NULL });
	assert_int_not_equal(steps_end(&s), 0);
	assert_true(str_contains(buf_str(&s.out), STR("no-such-program")));
	steps_close(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls),      cmocka_unit_test(test_outside_processes),
		cmocka_unit_test(test_files),      cmocka_unit_test(test_shared_etc), cmocka_unit_test(test_who_and_where),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_cgroup2), cmocka_unit_test(test_sweep), cmocka_unit_test(test_no_limits_are_said), cmocka_unit_test(test_secret_dir),
		cmocka_unit_test(test_refused),
	};

	base_init();
	if (argc > 1 && !strcmp(argv[1], "guard"))
		return step_help_guard(argc, argv);
	if (argc > 2 && !strcmp(argv[1], "probe"))
		return probe(argv[2], argv[3]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
