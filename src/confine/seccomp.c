/* seccomp.c - the system calls that a step of a job, or a service, does not get.
 *
 * A list of what is refused, not of what is allowed: builds run any program there is, and the namespaces are the wall. The filter takes
 * away what makes walls thin: new namespaces, mounts, kernel keys, bpf, perf, userfaultfd, io_uring, modules, clocks, other ABIs.
 * ptrace stays: a step sees its own processes only (pid namespace), and sanitizers and debuggers need it.
 * Pure but for the memory file; any thread. */
#include "base/base.h"
#include "base/fs.h"
#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const denied[] = {
	"mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick",
	"mount_setattr", "setns", "unshare", "open_by_handle_at", "keyctl", "add_key", "request_key", "bpf", "perf_event_open",
	"userfaultfd", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "swapon", "swapoff",
	"reboot", "acct", "quotactl", "quotactl_fd", "iopl", "ioperm", "syslog", "lookup_dcookie", "vhangup", "settimeofday",
	"clock_settime", "clock_adjtime", "sethostname", "setdomainname", "nfsservctl", "uselib", "ustat", "sysfs", "_sysctl",
	"vm86", "vm86old", "modify_ldt", "fanotify_init", "kcmp", "process_madvise", "set_mempolicy_home_node",
};
/* Programs fall back to older calls when these are missing. */
static const char *const absent[] = { "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3" };

static const unsigned long namespaces[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET,
	                                        CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP };

static int deny_list(scmp_filter_ctx f, const char *const *names, size_t n, uint32_t action)
{
	for (size_t i = 0; i < n; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		int r;

		if (nr == __NR_SCMP_ERROR || nr < 0) /* not on this architecture */
			continue;
		r = seccomp_rule_add(f, action, nr, 0);
		if (r)
			return r;
	}
	return 0;
}

static int rules(scmp_filter_ctx f)
{
	int r = deny_list(f, denied, ARRAY_SIZE(denied), SCMP_ACT_ERRNO(EPERM));

	if (!r)
		r = deny_list(f, absent, ARRAY_SIZE(absent), SCMP_ACT_ERRNO(ENOSYS));
	for (size_t i = 0; !r && i < ARRAY_SIZE(namespaces); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
		                     SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i]));
	/* typing into a terminal that belongs to somebody else, and sockets to a hypervisor */
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCSTI));
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
		                     SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffu, TIOCLINUX));
	if (!r)
		r = seccomp_rule_add(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_VSOCK));
	return r;
}

static int export(int fd, struct err *reterr)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int             r;

	if (!f)
		return err_set(reterr, WEIR_ENOMEM, "cannot make the seccomp filter: out of memory");
	r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (!r)
		r = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: every call of a build passes here */
	if (!r)
		r = rules(f);
	if (!r)
		r = seccomp_export_bpf(f, fd);
	seccomp_release(f);
	return r ? err_errno(reterr, -r, "cannot make the seccomp filter") : 0;
}

/* The filter is the same for all steps: made once, by the starter of guards before it forks them. */
static char    kept[64 << 10];
static ssize_t kept_n;

int confine_seccomp(int *ret_fd, struct err *reterr)
{
	CLEANUP_FD int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int            r = 0;

	if (fd < 0)
		return err_errno(reterr, errno, "cannot make the seccomp filter");
	if (kept_n > 0)
		r = fs_write_fd(fd, "seccomp filter", str_n(kept, (size_t)kept_n), reterr);
	else
		r = export(fd, reterr);
	if (!r && lseek(fd, 0, SEEK_SET))
		r = err_errno(reterr, errno, "cannot make the seccomp filter");
	if (!r)
		*ret_fd = TAKE_FD(fd);
	return r;
}

void confine_seccomp_warm(void)
{
	CLEANUP_FD int fd = -1;
	struct stat    st;

	if (confine_seccomp(&fd, NULL) || fstat(fd, &st) || st.st_size > (off_t)sizeof(kept))
		return; /* each step makes its own, and says why it cannot */
	if (read(fd, kept, sizeof(kept)) == st.st_size)
		kept_n = st.st_size;
}
