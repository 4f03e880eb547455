/* step-helper.c - stands for the program `weir` in tests of jobs: `step-helper guard DIR`. Started much faster than all of weir with sanitizers. */
#include "base/base.h"
#include "base/hash.h"
#include "pipeline/guard.h"

#include <unistd.h>

int main(int argc, char **argv)
{
	struct err err = { 0 };

	base_init();
	if (argc != 3 || strcmp(argv[1], "guard"))
		return 2;
	if (guard_main(argv[2], STDIN_FILENO, &err)) {
		fprintf(stderr, "%s\n", err.msg);
		return err_exit_code(err.code);
	}
	return 0;
}
