/* hook-main.c - the hooks as git starts them: hands what git says to the server, prints its answer for the pusher.
 *
 * A program of its own, carried inside weir and written to the data folder at start: every push starts it twice, and it is there in a millisecond
 * where weir with all its libraries takes ten or more. */
#include "base/base.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HOOK_LINES_MAX = 1 << 20, HOOK_ANSWER_MAX = 1 << 20 };

static int hook_ask(const char *which, struct buf *answer, struct err *reterr)
{
	const char            *path = getenv("WEIR_HOOK_SOCKET"), *push = getenv("WEIR_PUSH"), *quarantine = getenv("GIT_QUARANTINE_PATH");
	struct sockaddr_un     addr = { .sun_family = AF_UNIX };
	CLEANUP_BUF struct buf request = BUF_INIT(HOOK_LINES_MAX);
	CLEANUP_FD int         fd = -1;
	char                   folder[PATH_MAX];
	int                    r;

	if (!path || !push || strlen(path) >= sizeof(addr.sun_path))
		return err_set(reterr, WEIR_EREFUSED, "refs of this repository are moved through weir only: push to its address");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (!getcwd(folder, sizeof(folder))) /* git starts hooks in the repository */
		return err_errno(reterr, errno, "cannot find the repository");
	buf_addf(&request, "%s%c%s%c%s%c%s%c", which, 0, push, 0, folder, 0, quarantine ? quarantine : "", 0);
	r = fs_read_fd(STDIN_FILENO, "the list of refs", &request, reterr);
	if (r)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return err_errno(reterr, errno, "weir does not answer");
	r = fs_write_fd(fd, "weir", buf_str(&request), reterr);
	if (r)
		return r;
	shutdown(fd, SHUT_WR);
	return fs_read_fd(fd, "weir", answer, reterr);
}

int main(int argc, char **argv)
{
	const char            *slash = argc ? strrchr(argv[0], '/') : NULL;
	CLEANUP_BUF struct buf answer = BUF_INIT(HOOK_ANSWER_MAX);
	struct err             e = { 0 };
	str                    word, text;

	if (hook_ask(slash ? slash + 1 : "unknown", &answer, &e)) {
		fprintf(stderr, "weir: %s\n", e.msg);
		return 1;
	}
	str_cut(buf_str(&answer), '\n', &word, &text);
	fwrite(text.ptr, 1, text.len, stderr);
	if (!answer.len)
		fprintf(stderr, "weir: the server went away while it looked at this push; push again\n");
	return str_eqz(word, "ok") ? 0 : 1;
}
