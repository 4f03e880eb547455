/* cel_descriptors.c - runs protoc on a folder of .proto files (see cel_descriptors.h).
 *
 * protoc writes its set to a file of an own temporary folder, which is removed again. Main thread of a test program. */
#include "base/base.h"
#include "cel_descriptors.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/proc.h"
#include "base/vec.h"

#include <dirent.h>

enum { DEPTH_MAX = 16 };

struct names {
	struct arena *arena;
	VEC(const char *) paths; /* relative to the first folder */
};

static int collect(struct names *n, const char *dir, const char *below, int depth, struct err *reterr)
{
	const char *path = *below ? arena_printf(n->arena, "%s/%s", dir, below) : dir;
	DIR *d = path && depth < DEPTH_MAX ? opendir(path) : NULL;
	struct dirent *e;
	int r = 0;

	if (!d)
		return err_set(reterr, WEIR_ENOENT, "no folder %s", path ? path : dir);
	while (!r && (e = readdir(d))) {
		const char *name = *below ? arena_printf(n->arena, "%s/%s", below, e->d_name) : arena_dupz(n->arena, e->d_name);
		bool proto = str_has_suffix(str_z(e->d_name), STR(".proto"));

		if (e->d_name[0] == '.')
			continue;
		if (!name || (proto && !VEC_PUSH(&n->paths, name)))
			r = err_set(reterr, WEIR_ENOMEM, "out of memory");
		else if (!proto && fs_is_dir(arena_printf(n->arena, "%s/%s", dir, name)))
			r = collect(n, dir, name, depth + 1, reterr);
	}
	closedir(d);
	return r;
}

static int run_protoc(struct names *n, const char *dir, const char *out_file, struct err *reterr)
{
	VEC(const char *) argv = VEC_INIT;
	struct buf problems CLEANUP_BUF = BUF_INIT(64 << 10);
	const char *const first[] = { "protoc", arena_printf(n->arena, "--proto_path=%s", dir), "--proto_path=/usr/include",
								  "--include_imports", arena_printf(n->arena, "--descriptor_set_out=%s", out_file) };
	bool ok = true;
	int status = 0, r;

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		ok = ok && VEC_PUSH(&argv, first[i]);
	for (size_t i = 0; i < n->paths.n; i++)
		ok = ok && VEC_PUSH(&argv, n->paths.v[i]);
	ok = ok && VEC_PUSH(&argv, NULL);
	struct proc_run run = { .argv = argv.v, .timeout_ms = 60000, .err = &problems };

	r = ok ? proc_run(&run, &status, reterr) : err_set(reterr, WEIR_ENOMEM, "out of memory");
	if (r == -WEIR_ENOENT)
		r = err_set(reterr, WEIR_ENOENT, "protoc is not installed (Debian: protobuf-compiler, libprotobuf-dev)");
	else if (!r && status)
		r = err_set(reterr, strstr(buf_z(&problems), "google/protobuf/") ? WEIR_ENOENT : WEIR_EINVAL, "protoc: %.900s", buf_z(&problems));
	VEC_FINI(&argv);
	return r;
}

int cel_descriptors_compile(const char *dir, struct buf *out, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(4 << 20);
	struct names n = { .arena = &a };
	char temp[256], file[300];
	int r = fs_temp_dir("weir-cel-", temp, sizeof(temp), reterr);

	if (r)
		return r;
	r = fs_join(file, sizeof(file), reterr, temp, "set.bin");
	if (!r)
		r = collect(&n, dir, "", 0, reterr);
	if (!r)
		r = run_protoc(&n, dir, file, reterr);
	if (!r)
		r = fs_read(file, out, reterr);
	VEC_FINI(&n.paths);
	if (fs_remove_tree(temp, NULL) && !r)
		r = err_set(reterr, WEIR_EIO, "cannot remove %s", temp);
	return r;
}

int cel_descriptors_load(struct arena *a, const char *dir, struct cel_pool **ret, struct err *reterr)
{
	struct buf set CLEANUP_BUF = BUF_INIT(LIMIT_CEL_DESCRIPTORS_BYTES);
	int r = cel_descriptors_compile(dir, &set, reterr);

	if (!r)
		r = cel_pool_new(a, ret, reterr);
	if (!r)
		r = cel_pool_add_descriptors(*ret, buf_str(&set), reterr);
	return r;
}
