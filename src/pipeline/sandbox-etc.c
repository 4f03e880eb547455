/* sandbox-etc.c - what steps see as /etc: a copy of the parts of the machine's that programs need and that hold no secret.
 *
 * Guarantees: a copy is whole or not there (it is renamed into its place), and never stale: its name is a digest of the state of all that it was made
 * from. Several processes and threads may make one at once. */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/proc.h"
#include "pipeline/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

/* What programs need of the machine's /etc and what holds no secrets, copied: bubblewrap reads the whole mount table for each bind, so
 * that forty of them would cost more than all the rest. Left out on purpose: shadow, ssh, gitconfig, npmrc, pip.conf, environment, sudoers,
 * ssl/private. */
static const char *const etc_copied[] = {
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ssl/openssl.cnf", "/etc/ca-certificates.conf", "/etc/nsswitch.conf",
	"/etc/hosts", "/etc/host.conf", "/etc/hostname", "/etc/resolv.conf", "/etc/localtime", "/etc/timezone", "/etc/services", "/etc/protocols",
	"/etc/networks", "/etc/mime.types", "/etc/magic", "/etc/fonts", "/etc/locale.alias", "/etc/inputrc", "/etc/bash.bashrc", "/etc/profile",
	"/etc/profile.d", "/etc/debian_version", "/etc/os-release", "/etc/lsb-release", "/etc/gai.conf", "/etc/perl", "/etc/maven",
};
static const char *const etc_globs[] = { "/etc/python*", "/etc/java-*-openjdk" };
/* Large folders of links, copied as links: what they point to is in /usr. */
static const char *const etc_linked[] = { "/etc/alternatives", "/etc/ssl/certs" };

static int job_file(const char *job_dir, const char *name, const char *text, struct err *reterr)
{
	char path[1024];
	int  r = fs_join(path, sizeof(path), reterr, job_dir, name);

	return r ? r : fs_write_quick(path, str_z(text), 0644, reterr);
}

static int copy_links(const char *job_dir, struct err *reterr)
{
	const char     *argv[16] = { "cp", "-rP", "--preserve=mode,timestamps,links", "--parents", "-t", job_dir };
	struct proc_run run = { .argv = argv, .timeout_ms = 60000 };
	size_t          n = 6;
	int             status;

	for (size_t i = 0; i < ARRAY_SIZE(etc_linked); i++)
		if (fs_is_dir(etc_linked[i]))
			argv[n++] = etc_linked[i];
	return n == 6 ? 0 : proc_run(&run, &status, reterr);
}

/* With modes, so that what only root may read stays unreadable; what cannot be copied is left out. */
static int copy_etc(const char *job_dir, struct err *reterr)
{
	const char     *argv[128] = { "cp", "-rL", "--preserve=mode,timestamps", "--parents", "-t", job_dir };
	struct proc_run run = { .argv = argv, .timeout_ms = 60000 };
	glob_t          g[ARRAY_SIZE(etc_globs)] = { 0 };
	size_t          n = 6;
	int             status, r;

	for (size_t i = 0; i < ARRAY_SIZE(etc_copied); i++)
		if (!access(etc_copied[i], R_OK))
			argv[n++] = etc_copied[i];
	for (size_t i = 0; i < ARRAY_SIZE(etc_globs); i++)
		if (!glob(etc_globs[i], 0, NULL, &g[i]))
			for (size_t k = 0; k < g[i].gl_pathc && n < ARRAY_SIZE(argv) - 1; k++)
				argv[n++] = g[i].gl_pathv[k];
	r = proc_run(&run, &status, reterr);
	if (!r)
		r = copy_links(job_dir, reterr);
	for (size_t i = 0; i < ARRAY_SIZE(etc_globs); i++)
		globfree(&g[i]);
	return r;
}

int sandbox_etc_make(const char *dir, struct err *reterr)
{
	int r = copy_etc(dir, reterr);

	if (!r)
		r = job_file(dir, "etc/passwd", "root:x:0:0:root:/root:/bin/bash\nrunner:x:1000:1000:runner:" SANDBOX_HOME ":/bin/bash\n"
		                                "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", reterr);
	return r ? r : job_file(dir, "etc/group", "root:x:0:\nrunner:x:1000:\nnogroup:x:65534:\n", reterr);
}

/* --- one copy for all jobs --- */

/* Adds what tells one state of a file or folder from another, and all below it; links are followed, as the copy does. */
static void stamp_tree(struct buf *b, const char *path, int depth)
{
	struct stat    st;
	struct dirent *e;
	char           sub[1024];
	int64_t        v[5];
	DIR           *d;

	if (stat(path, &st))
		return;
	v[0] = (int64_t)st.st_ino;
	v[1] = st.st_size;
	v[2] = st.st_ctim.tv_sec;
	v[3] = st.st_ctim.tv_nsec;
	v[4] = st.st_mode;
	buf_add(b, path, strlen(path) + 1);
	buf_add(b, (const char *)v, sizeof(v));
	d = S_ISDIR(st.st_mode) && depth < 8 ? opendir(path) : NULL;
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) < (int)sizeof(sub))
			stamp_tree(b, sub, depth + 1);
	if (d)
		closedir(d);
}

/* A folder of links and of few files: a link that is replaced changes its folder's times, so that only the others are looked at one by one. */
static void stamp_links(struct buf *b, const char *path, int depth)
{
	DIR           *d = opendir(path);
	struct stat    st;
	struct dirent *e;
	char           sub[1024];

	if (d && !fstat(dirfd(d), &st))
		buf_addf(b, "links %s %lld %lld.%09ld", path, (long long)st.st_ino, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	while (d && (e = readdir(d))) {
		if (e->d_type == DT_LNK || !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name) >= (int)sizeof(sub))
			continue;
		if (e->d_type == DT_DIR && depth < 8)
			stamp_links(b, sub, depth + 1);
		else
			stamp_tree(b, sub, 8);
	}
	if (d)
		closedir(d);
}

/* The boot is part of it: the copy is not fsync'd, so after a fall of the machine it may be incomplete. */
static void stamp_etc(char out[SHA256_HEX])
{
	CLEANUP_BUF struct buf b = BUF_INIT(16 << 20);

	if (fs_read("/proc/sys/kernel/random/boot_id", &b, NULL))
		buf_clear(&b);
	for (size_t i = 0; i < ARRAY_SIZE(etc_copied); i++)
		stamp_tree(&b, etc_copied[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(etc_linked); i++)
		stamp_links(&b, etc_linked[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(etc_globs); i++) {
		glob_t g = { 0 };

		if (!glob(etc_globs[i], 0, NULL, &g))
			for (size_t k = 0; k < g.gl_pathc; k++)
				stamp_tree(&b, g.gl_pathv[k], 0);
		globfree(&g);
	}
	sha256_hex(buf_str(&b), out);
}

/* Copies that no job began with for a week. Best effort: what stays goes the next time. */
static void prune_etc(const char *base)
{
	DIR           *d = opendir(base);
	struct dirent *e;
	struct stat    st;
	char           path[1400];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%.1100s/%.255s", base, e->d_name);
		if (e->d_name[0] == '.' || lstat(path, &st) || st.st_ctim.tv_sec > clock_wall_now() / USEC_PER_SEC - 7 * 86400)
			continue;
		if (fs_remove_tree(path, NULL))
			break;
	}
	if (d)
		closedir(d);
}

int sandbox_etc(const char *base, char *ret, size_t size, struct err *reterr)
{
	char stamp[SHA256_HEX], made[1100], tmp[1100];
	int  r = fs_mkdirs(base, 0700, reterr);

	stamp_etc(stamp);
	if (!r && snprintf(ret, size, "%s/%.32s", base, stamp) >= (int)size)
		return err_set(reterr, WEIR_ELIMIT, "path too long: %s", base);
	if (r || !utimensat(AT_FDCWD, ret, NULL, 0)) /* it is there, and was used now */
		return r;
	prune_etc(base);
	if (snprintf(tmp, sizeof(tmp), "%s/new-XXXXXX", base) >= (int)sizeof(tmp) - 8)
		return err_set(reterr, WEIR_ELIMIT, "path too long: %s", base);
	if (!mkdtemp(tmp))
		return err_errno(reterr, errno, "%s", tmp);
	r = sandbox_etc_make(tmp, reterr);
	snprintf(made, sizeof(made), "%.1090s/etc", tmp);
	if (!r && chmod(made, 0755))
		r = err_errno(reterr, errno, "%s", made);
	if (!r && rename(made, ret) && !fs_is_dir(ret)) /* somebody else may have been faster */
		r = err_errno(reterr, errno, "cannot make %s", ret);
	return r ? r : fs_remove_tree(tmp, reterr);
}
