/* fixture-server.c - serves the pages over the fixtures until its standard input ends: what journey.mjs looks at. Prints "PORT TOKEN". */
#include "fixture.h"

#include <unistd.h>

int main(void)
{
	struct web_fixture f;
	char               c;

	base_init();
	fixture_start(&f);
	printf("%u %s\n", http_server_port(f.s), f.admin);
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	fixture_end(&f);
	return 0;
}
