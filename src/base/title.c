/* title.c - the command line lies in memory the kernel shows: argv's texts, one behind the other (see title.h). */
#include "base/base.h"
#include "base/title.h"

#include <stdarg.h>
#include <sys/prctl.h>

static char  *title_begin;
static size_t title_size;

/* glibc hands main()'s arguments to constructors, too. */
__attribute__((constructor)) static void title_find(int argc, char **argv)
{
	if (argc < 1 || !argv || !argv[0])
		return;
	title_begin = argv[0];
	for (int i = 0; i < argc && argv[i] == title_begin + title_size; i++)
		title_size += strlen(argv[i]) + 1;
}

void base_set_title(const char *fmt, ...)
{
	char    text[256];
	va_list ap;
	int     n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0 || !title_size)
		return;
	if ((size_t)n >= sizeof(text))
		n = (int)sizeof(text) - 1;
	memset(title_begin, 0, title_size);
	memcpy(title_begin, text, (size_t)n < title_size ? (size_t)n : title_size - 1);
	prctl(PR_SET_NAME, text); /* the first 15 characters */
}
