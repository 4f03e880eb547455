/* replay.c - runs a fuzz target over the files of a folder, as a plain test: replay FOLDER. Fails when there are none. */
#include "base/base.h"
#include "base/err.h"
#include "base/fs.h"

#include <dirent.h>
#include <limits.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	DIR           *dir = argc == 2 ? opendir(argv[1]) : NULL;
	struct dirent *d;
	size_t         n = 0;

	if (!dir) {
		fprintf(stderr, "usage: replay FOLDER\n");
		return 2;
	}
	while ((d = readdir(dir))) {
		struct buf data = BUF_INIT(64 << 20);
		struct err err = { 0 };
		char       path[PATH_MAX];

		if (d->d_name[0] == '.')
			continue;
		if (fs_join(path, sizeof(path), &err, argv[1], d->d_name) || fs_read(path, &data, &err)) {
			fprintf(stderr, "%s\n", err.msg);
			return 2;
		}
		LLVMFuzzerTestOneInput((const uint8_t *)buf_z(&data), data.len);
		buf_fini(&data);
		n++;
	}
	closedir(dir);
	printf("%zu inputs\n", n);
	return n ? 0 : 1;
}
