/* cel_descriptors.c - the .proto files of a folder as a pool (see cel_descriptors.h): by the reader of proto_source.c, so that
 * the suites need no protoc; or by protoc, which the reader is held against.
 *
 * protoc writes its set to a file of an own temporary folder, which is removed again. Main thread of a test program. */
#include "base/base.h"
#include "cel_descriptors.h"

#include "base/fs.h"
#include "base/limits.h"
#include "base/proc.h"
#include "base/vec.h"
#include "proto_source.h"

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
		r = err_set(reterr, strstr(buf_z(&problems), "google/protobuf/") ? WEIR_ENOENT : WEIR_EINVAL, "protoc: %.900s",
					buf_z(&problems));
	VEC_FINI(&argv);
	return r;
}

static int read_files(struct names *n, const char *dir, struct buf *out, struct err *reterr)
{
	struct proto_file *files = ARENA_ARRAY(n->arena, n->paths.n + 1, struct proto_file);
	int r = files ? 0 : err_set(reterr, WEIR_ENOMEM, "out of memory");

	for (size_t i = 0; !r && i < n->paths.n; i++) {
		struct buf text CLEANUP_BUF = BUF_INIT(1 << 20);
		char path[4096];

		r = fs_join(path, sizeof(path), reterr, dir, n->paths.v[i]);
		if (!r)
			r = fs_read(path, &text, reterr);
		files[i] = (struct proto_file){ str_z(n->paths.v[i]), arena_str(n->arena, buf_str(&text)) };
	}
	return r ? r : proto_source_compile(n->arena, files, n->paths.n, out, reterr);
}

static int by_protoc(struct names *n, const char *dir, struct buf *out, struct err *reterr)
{
	char temp[256], file[300];
	int r = fs_temp_dir("weir-cel-", temp, sizeof(temp), reterr);

	if (r)
		return r;
	r = fs_join(file, sizeof(file), reterr, temp, "set.bin");
	if (!r)
		r = run_protoc(n, dir, file, reterr);
	if (!r)
		r = fs_read(file, out, reterr);
	if (fs_remove_tree(temp, NULL) && !r)
		r = err_set(reterr, WEIR_EIO, "cannot remove %s", temp);
	return r;
}

static int load(struct arena *a, const char *dir, int (*compile)(struct names *, const char *, struct buf *, struct err *),
				struct cel_pool **ret, struct err *reterr)
{
	struct arena own CLEANUP_ARENA = ARENA_INIT(16 << 20);
	struct buf set CLEANUP_BUF = BUF_INIT(LIMIT_CEL_DESCRIPTORS_BYTES);
	struct names n = { .arena = &own };
	int r = collect(&n, dir, "", 0, reterr);

	if (!r)
		r = compile(&n, dir, &set, reterr);
	if (!r)
		r = cel_pool_new(a, ret, reterr);
	if (!r)
		r = cel_pool_add_descriptors(*ret, buf_str(&set), reterr);
	VEC_FINI(&n.paths);
	return r;
}

int cel_descriptors_load(struct arena *a, const char *dir, struct cel_pool **ret, struct err *reterr)
{
	return load(a, dir, read_files, ret, reterr);
}

int cel_descriptors_protoc(struct arena *a, const char *dir, struct cel_pool **ret, struct err *reterr)
{
	return load(a, dir, by_protoc, ret, reterr);
}
