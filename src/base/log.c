/* log.c - see log.h. Control bytes of a message are shown as '?', so that a line stays one line. */
#include "base/base.h"
#include "base/log.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic int log_min = LOG_INFO;

void log_set_level(enum log_level min) { log_min = (int)min; }

void log_line(enum log_level level, const char *room, const char *fmt, ...)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	char                     line[2048], when[CLOCK_RFC3339_SIZE];
	va_list                  ap;
	int                      n, m;

	if ((int)level < log_min)
		return;
	n = snprintf(line, sizeof(line), "%s %-5s %s: ", clock_rfc3339(clock_wall_now(), when), names[level], room);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n += m < 0 ? 0 : m;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (int i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}
