/* holder.c - see holder.h. A lock's holder stands in /proc/locks by device and inode; a port's listener is found by the inode of its
 * socket, in /proc/net/tcp and then among the descriptors of all processes that this user may look at. */
#include "base/base.h"
#include "server/holder.h"
#include "base/fs.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

pid_t holder_of_lock(const char *path)
{
	struct stat st;
	FILE       *f = stat(path, &st) ? NULL : fopen("/proc/locks", "re");
	char        line[256];
	pid_t       found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned      major, minor;
		unsigned long inode;
		int           pid;

		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &major, &minor, &inode) == 4 && inode == st.st_ino
		    && major == major(st.st_dev) && minor == minor(st.st_dev))
			found = pid;
	}
	if (f)
		fclose(f);
	return found;
}

/* Inode of the IPv4 or IPv6 socket that listens on the port; 0: none. */
static unsigned long listener_inode(const char *table, uint16_t port)
{
	FILE         *f = fopen(table, "re");
	char          line[512];
	unsigned long found = 0;

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned      at, state;
		unsigned long inode;

		if (sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %lu", &at, &state, &inode) == 3 && at == port && state == 10)
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

static bool has_socket(const char *pid, const char *socket_name)
{
	char           dir[64], link[400], to[64];
	DIR           *d;
	struct dirent *e;
	bool           found = false;

	snprintf(dir, sizeof(dir), "/proc/%.20s/fd", pid);
	d = opendir(dir);
	while (d && !found && (e = readdir(d))) {
		ssize_t n;

		snprintf(link, sizeof(link), "%s/%s", dir, e->d_name);
		n = readlink(link, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		found = !strcmp(to, socket_name);
	}
	if (d)
		closedir(d);
	return found;
}

static pid_t listener_pid(uint16_t port)
{
	unsigned long  inode = listener_inode("/proc/net/tcp", port);
	char           name[64];
	DIR           *d;
	struct dirent *e;
	pid_t          found = 0;

	if (!inode)
		inode = listener_inode("/proc/net/tcp6", port);
	if (!inode)
		return 0;
	snprintf(name, sizeof(name), "socket:[%lu]", inode);
	d = opendir("/proc");
	while (d && !found && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && has_socket(e->d_name, name))
			found = (pid_t)strtol(e->d_name, NULL, 10);
	if (d)
		closedir(d);
	return found;
}

enum port_state holder_of_port(const char *host, uint16_t port, pid_t *ret_pid)
{
	struct addrinfo  hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *to = NULL;
	char             service[8];
	enum port_state  state = PORT_REFUSED;
	int CLEANUP_FD   fd = -1;
	int              on = 1;

	*ret_pid = 0;
	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(host, service, &hints, &to))
		return PORT_REFUSED;
	fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (!bind(fd, to->ai_addr, to->ai_addrlen) && !listen(fd, 1))
			state = PORT_FREE;
		else if (errno == EADDRINUSE)
			state = PORT_TAKEN;
	}
	freeaddrinfo(to);
	if (state == PORT_TAKEN)
		*ret_pid = listener_pid(port);
	return state;
}

void holder_name(pid_t pid, char *out, size_t size)
{
	CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
	char                   path[64];
	const char            *base, *arg;

	*out = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if (fs_read(path, &text, NULL) || !text.len)
		return;
	base = strrchr(buf_z(&text), '/');
	base = base ? base + 1 : buf_z(&text);
	arg = buf_z(&text) + strlen(buf_z(&text)) + 1;
	if (arg < text.ptr + text.len && *arg != '-')
		snprintf(out, size, "%.60s %.60s", base, arg);
	else
		snprintf(out, size, "%.60s", base);
}

bool holder_works_on(pid_t pid, const char *data)
{
	CLEANUP_BUF struct buf text = BUF_INIT(1 << 20);
	char                   path[64], real[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	if (fs_read(path, &text, NULL))
		return false;
	return (*data == '/' && str_contains(buf_str(&text), str_z(data)))
	       || (realpath(data, real) && str_contains(buf_str(&text), str_z(real)));
}
