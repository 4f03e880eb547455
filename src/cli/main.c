/* main.c - the program: the command line, or one of git's hooks when it is started under that name. */
#include "base/base.h"
#include "cli/cli.h"
#include "repo/repo.h"

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash ? slash + 1 : argc > 0 ? argv[0] : "weir";

	if (!strcmp(name, "pre-receive") || !strcmp(name, "post-receive"))
		return repo_hook_main(name);
	return cli_main(argc, argv);
}
