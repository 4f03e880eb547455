/* steps-hash.c - hashFiles(): SHA-256 over the SHA-256 of each matching file, in the order of their paths.
 *
 * The tree was written by steps and may hold anything: folders and files are opened one component at a time without following links, and
 * only plain files count. Runs on the job's thread, between steps. */
#include "base/base.h"
#include "base/hash.h"
#include "pipeline/plan.h"
#include "pipeline/steps-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, FILES_MAX = 200000 };

struct walk {
	const str *patterns;
	size_t     n_patterns;
	VEC(char *) files; /* paths in the workspace */
	size_t     seen;
	char       path[4096];
};

static bool wanted(const struct walk *w, str path)
{
	bool hit = false;

	for (size_t i = 0; i < w->n_patterns; i++) {
		str  rest = w->patterns[i], p;

		while (rest.len) { /* several patterns in one argument, a line each */
			str_cut(rest, '\n', &p, &rest);
			p = str_trim(p);
			bool no = str_has_prefix(p, STR("!"));

			p = no ? str_sub(p, 1, p.len) : p;
			if (str_has_prefix(p, STR("./")))
				p = str_sub(p, 2, p.len);
			if (p.len && workflow_glob(p, path))
				hit = !no;
		}
	}
	return hit;
}

static int visit(struct walk *w, int dir, size_t len, unsigned depth, struct err *reterr);

static int visit_entry(struct walk *w, int dir, size_t len, const char *name, unsigned depth, struct err *reterr)
{
	struct stat st;
	int         n = snprintf(w->path + len, sizeof(w->path) - len, "%s%s", len ? "/" : "", name);
	char       *copy;

	if (n < 0 || len + (size_t)n >= sizeof(w->path) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (++w->seen > FILES_MAX)
		return err_set(reterr, WEIR_ELIMIT, "hashFiles: more than %d files in the workspace", FILES_MAX);
	if (S_ISDIR(st.st_mode)) {
		CLEANUP_FD int sub = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		return sub < 0 || depth >= DEPTH_MAX ? 0 : visit(w, sub, len + (size_t)n, depth + 1, reterr);
	}
	if (!S_ISREG(st.st_mode) || !wanted(w, str_z(w->path)))
		return 0;
	copy = str_dup(str_z(w->path));
	if (!copy || !VEC_PUSH(&w->files, copy)) {
		free(copy);
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	}
	return 0;
}

static int visit(struct walk *w, int dir, size_t len, unsigned depth, struct err *reterr)
{
	int            copy = fcntl(dir, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR           *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;

	if (!d)
		return err_errno(reterr, errno, "hashFiles");
	while (!r && (e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = visit_entry(w, dir, len, e->d_name, depth, reterr);
	w->path[len] = 0;
	closedir(d);
	return r;
}

/* Opens a path below dir, no component of which may be a link. */
static int open_below(int dir, const char *path)
{
	CLEANUP_FD int at = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	str            rest = str_z(path), part;
	char           name[300];

	while (at >= 0 && rest.len) {
		bool last = !str_cut(rest, '/', &part, &rest);
		int  next;

		if (part.len >= sizeof(name))
			return -1;
		snprintf(name, sizeof(name), "%.*s", STR_ARG(part));
		next = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (last ? 0 : O_DIRECTORY));
		close(at);
		at = next;
	}
	return TAKE_FD(at);
}

static int hash_one(int dir, const char *path, sha256_state *all, struct err *reterr)
{
	CLEANUP_FD int fd = open_below(dir, path);
	struct stat    st;
	sha256_state   one;
	unsigned char  digest[SHA256_BYTES];
	char           tmp[32768];
	ssize_t        n;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return err_set(reterr, WEIR_EIO, "hashFiles: cannot read %s", path);
	crypto_hash_sha256_init(&one);
	while ((n = read(fd, tmp, sizeof(tmp))) > 0)
		crypto_hash_sha256_update(&one, (unsigned char *)tmp, (unsigned long long)n);
	if (n < 0)
		return err_errno(reterr, errno, "hashFiles: cannot read %s", path);
	crypto_hash_sha256_final(&one, digest);
	crypto_hash_sha256_update(all, digest, sizeof(digest));
	return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int hash_files(struct job *j, const str *patterns, size_t n, struct buf *out, struct err *reterr)
{
	struct walk    w = { .patterns = patterns, .n_patterns = n };
	char           home[1100], below[400], hex[SHA256_HEX];
	unsigned char  digest[SHA256_BYTES];
	CLEANUP_FD int box = -1, dir = -1;
	sha256_state   all;
	int            r;

	snprintf(home, sizeof(home), "%s/box/home", j->dir);
	snprintf(below, sizeof(below), "work/%s/%s", j->project, j->project);
	box = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = box >= 0 ? open_below(box, below) : -1;
	if (dir < 0)
		return 0; /* no workspace: nothing matches */
	r = visit(&w, dir, 0, 0, reterr);
	if (!r && w.files.n) {
		qsort(w.files.v, w.files.n, sizeof(char *), by_name);
		crypto_hash_sha256_init(&all);
		for (size_t i = 0; !r && i < w.files.n; i++)
			r = hash_one(dir, w.files.v[i], &all, reterr);
		crypto_hash_sha256_final(&all, digest);
		if (!r)
			buf_addz(out, hex_of(digest, sizeof(digest), hex));
	}
	for (size_t i = 0; i < w.files.n; i++)
		free(w.files.v[i]);
	VEC_FINI(&w.files);
	return r;
}
