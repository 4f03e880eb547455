/* guard-main.c - the guard as a program of its own, for tests that have no weir binary: guard-main SERVICE_DIR. */
#include "base/base.h"

#include "base/hash.h"
#include "release/release.h"

#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	base_init();
	_exit(release_guard_main(argv[1])); /* as `weir guard-service` does */
}
