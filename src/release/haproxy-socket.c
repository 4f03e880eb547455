/* haproxy-socket.c - talking to a running HAProxy: one command, one answer, and the few of its formats that are read. No state; any thread. */
#include "base/base.h"

#include "base/fs.h"
#include "release/haproxy-socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SOCKET_TIMEOUT_S = 2 };

static int socket_open(const char *path, struct err *reterr)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval     tv = { SOCKET_TIMEOUT_S, 0 };
	int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(reterr, errno, "socket");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return err_set(reterr, WEIR_EUNAVAIL, "HAProxy does not answer at %s: %s", path, strerror(errno));
}

int haproxy_command(const char *path, str cmd, struct buf *answer, struct err *reterr)
{
	int CLEANUP_FD fd = socket_open(path, reterr);
	int rc;

	if (fd < 0)
		return fd;
	buf_clear(answer);
	if ((rc = fs_write_fd(fd, path, cmd, reterr)) || (rc = fs_write_fd(fd, path, STR("\n"), reterr))
	    || (rc = fs_read_fd(fd, path, answer, reterr)))
		return rc;
	return 0;
}

str haproxy_info(str text, const char *name)
{
	str line;

	while (text.len) {
		str key, value;

		str_cut(text, '\n', &line, &text);
		if (str_cut(line, ':', &key, &value) && str_eqz(key, name))
			return str_trim(value);
	}
	return STR_NULL;
}

str haproxy_csv(str line, size_t index)
{
	str field = STR_NULL;

	for (size_t i = 0; i <= index; i++)
		if (!str_cut(line, ',', &field, &line) && i < index)
			return STR_NULL;
	return field;
}

static size_t csv_column(str header, const char *name)
{
	str    field;
	size_t i = 0;

	while (header.len) {
		str_cut(header, ',', &field, &header);
		if (str_eqz(field, name))
			return i;
		i++;
	}
	return SIZE_MAX;
}

int haproxy_backend_line(str text, uint64_t *ret_done, uint64_t *ret_failed, struct err *reterr)
{
	static const char *const columns[] = { "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other" };
	str header, line;

	str_cut(text, '\n', &header, &text);
	str_cut(text, '\n', &line, &text);
	*ret_done = *ret_failed = 0;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		size_t   c = csv_column(header, columns[i]);
		uint64_t n;

		if (c == SIZE_MAX || !str_to_u64(haproxy_csv(line, c), &n))
			return err_set(reterr, WEIR_EIO, "HAProxy: show stat has no %s in '%.*s'", columns[i], STR_ARG(str_sub(line, 0, 200)));
		*ret_done += n;
		if (i == 4)
			*ret_failed = n;
	}
	return 0;
}
