/* cgroup.c - memory and process limits of a job or an instance, by whichever cgroups the machine has.
 *
 * v2: a group beside the runner's own, when the memory and pids controllers are handed on to it. v1: a group in each of the two
 * hierarchies. Neither, or no right to write: no limits, and the log's head says so. Groups are made per job, entered by each step, and
 * removed at the job's end; what a crash leaves is taken over by the next use of the name, or swept away by the next runner. Called by the guard. */
#include "base/base.h"
#include "base/fs.h"
#include "confine/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define CG "/sys/fs/cgroup"

static bool put(const char *dir, const char *file, const char *text)
{
	char          path[512];
	CLEANUP_FD int fd = -1;
	ssize_t       n = (ssize_t)strlen(text);

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path))
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, (size_t)n) == n;
}

static bool put_u64(const char *dir, const char *file, uint64_t v)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	return put(dir, file, text);
}

/* Folder of a group of this name: v1 controller, or NULL for v2. False: no such hierarchy. */
static bool group_dir(const char *controller, const char *name, char *out, size_t size)
{
	char base[128];

	if (strchr(name, '/') || name[0] == '.')
		return false;
	if (controller)
		snprintf(base, sizeof(base), CG "/%s", controller);
	else
		snprintf(base, sizeof(base), CG);
	if (!controller && !fs_exists(CG "/cgroup.controllers"))
		return false;
	return fs_is_dir(base) && snprintf(out, size, "%s/weir/%s", base, name) < (int)size;
}

static bool group_make(const char *dir)
{
	char parent[512];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	*slash = 0;
	if (mkdir(parent, 0755) && errno != EEXIST)
		return false;
	return !mkdir(dir, 0755) || errno == EEXIST;
}

static void hand_on_v2(void)
{
	/* only where the root group or a delegated one lets us; failing is an answer too */
	(void)put(CG, "cgroup.subtree_control", "+memory"); /* one by one: where one is missing the other still holds */
	(void)put(CG, "cgroup.subtree_control", "+pids");
	if (mkdir(CG "/weir", 0755) && errno != EEXIST)
		return;
	(void)put(CG "/weir", "cgroup.subtree_control", "+memory");
	(void)put(CG "/weir", "cgroup.subtree_control", "+pids");
}

static bool limit_memory(const char *dir, bool v2, uint64_t bytes)
{
	if (v2) {
		(void)put(dir, "memory.swap.max", "0"); /* absent without swap accounting */
		return put_u64(dir, "memory.max", bytes);
	}
	if (!put_u64(dir, "memory.limit_in_bytes", bytes))
		return false;
	(void)put_u64(dir, "memory.memsw.limit_in_bytes", bytes);
	return true;
}

void confine_cgroup_set(const char *name, uint64_t memory, uint64_t pids, struct confine_held *ret)
{
	char dir[512];

	*ret = (struct confine_held){ .kind = "none" };
	if (name && group_dir(NULL, name, dir, sizeof(dir))) {
		hand_on_v2();
		ret->kind = "v2";
		if (group_make(dir)) {
			ret->memory = memory && limit_memory(dir, true, memory);
			ret->pids = pids && put_u64(dir, "pids.max", pids);
		}
	} else if (name) {
		if (group_dir("memory", name, dir, sizeof(dir)) && group_make(dir))
			ret->memory = memory && limit_memory(dir, false, memory);
		if (group_dir("pids", name, dir, sizeof(dir)) && group_make(dir))
			ret->pids = pids && put_u64(dir, "pids.max", pids);
		if (ret->memory || ret->pids)
			ret->kind = "v1";
	}
}

void confine_cgroup_make(const char *name, uint64_t memory, uint64_t pids, char *limits, size_t size)
{
	struct confine_held held;

	confine_cgroup_set(name, memory, pids, &held);
	int n = held.memory ? snprintf(limits, size, "memory %" PRIu64 " MiB", memory >> 20) : snprintf(limits, size, "memory unlimited");

	if (n < (int)size)
		n += held.pids ? snprintf(limits + n, size - (size_t)n, ", processes %" PRIu64, pids)
		               : snprintf(limits + n, size - (size_t)n, ", processes unlimited");
	if (n < (int)size)
		snprintf(limits + n, size - (size_t)n, " (cgroups: %s)", held.kind);
}

/* The number behind "KEY " at the begin of a line, or of the first line when the key is empty; 0 when there is none. */
static uint64_t counter(const char *dir, const char *file, const char *key)
{
	struct buf CLEANUP_BUF text = BUF_INIT(16 << 10);
	char     path[600];
	uint64_t v = 0;
	str      rest, line, word, number;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (fs_read(path, &text, NULL))
		return 0;
	for (rest = buf_str(&text); rest.len;) {
		str_cut(rest, '\n', &line, &rest);
		if (!*key)
			return str_to_u64(str_trim(line), &v) ? v : 0;
		if (str_cut(line, ' ', &word, &number) && str_eqz(word, key) && str_to_u64(str_trim(number), &v))
			return v;
	}
	return 0;
}

void confine_cgroup_met(const char *name, struct confine_met *ret)
{
	char dir[512];

	*ret = (struct confine_met){ 0 };
	if (group_dir(NULL, name, dir, sizeof(dir))) {
		ret->memory = counter(dir, "memory.events", "oom_kill");
		ret->pids = counter(dir, "pids.events", "max");
		ret->pids_now = counter(dir, "pids.current", "");
		return;
	}
	if (group_dir("memory", name, dir, sizeof(dir)))
		ret->memory = counter(dir, "memory.oom_control", "oom_kill");
	if (group_dir("pids", name, dir, sizeof(dir))) {
		ret->pids = counter(dir, "pids.events", "max");
		ret->pids_now = counter(dir, "pids.current", "");
	}
}

uint64_t confine_default_memory(unsigned jobs)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 4 * 3 / (jobs ? jobs : 1);
}

static const char *const controllers[] = { NULL, "memory", "pids" };

void confine_cgroup_enter(const char *name)
{
	char dir[512];

	for (size_t i = 0; name && i < ARRAY_SIZE(controllers); i++)
		if (group_dir(controllers[i], name, dir, sizeof(dir)))
			(void)put(dir, "cgroup.procs", "0");
}

bool confine_cgroup_remove(const char *name)
{
	char dir[512];
	bool gone = true;

	for (size_t i = 0; name && i < ARRAY_SIZE(controllers); i++)
		if (group_dir(controllers[i], name, dir, sizeof(dir)))
			gone = (!rmdir(dir) || errno == ENOENT) && gone;
	return gone;
}

/* The kernel removes only groups without processes, so a group that is in use stays whatever its age. */
static void sweep(const char *controller, time_t made_before)
{
	char           path[512], dir[512];
	struct dirent *d;
	struct stat    st;
	DIR           *all;

	if (!group_dir(controller, "x", path, sizeof(path)))
		return;
	*strrchr(path, '/') = 0;
	all = opendir(path);
	while (all && (d = readdir(all)))
		if (d->d_type == DT_DIR && d->d_name[0] != '.' && group_dir(controller, d->d_name, dir, sizeof(dir)) && !stat(dir, &st) && st.st_mtime < made_before)
			(void)rmdir(dir);
	if (all)
		closedir(all);
}

void confine_cgroup_sweep(time_t made_before)
{
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		sweep(controllers[i], made_before);
}
