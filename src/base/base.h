/* base.h - first include of every .c file: feature macros, attributes, cleanup helpers and
 * the functions that this tree does not use (each with what to use in its place).
 *
 * No domain word lives in src/base; it includes nothing of weir but itself. */
#ifndef WEIR_BASE_BASE_H
#define WEIR_BASE_BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define MUST_CHECK    __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define NORETURN      __attribute__((noreturn))
#define UNUSED        __attribute__((unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* CLEANUP(f) runs f(&variable) when the variable leaves its scope. */
#define CLEANUP(f) __attribute__((cleanup(f)))

static inline void base_cleanup_free(void *p)
{
	free(*(void **)p);
}
#define CLEANUP_FREE CLEANUP(base_cleanup_free)

void base_cleanup_fd(int *fd); /* closes *fd when it is >= 0 */
#define CLEANUP_FD CLEANUP(base_cleanup_fd)

/* Moves a pointer out of a CLEANUP variable: returns it and leaves NULL behind. */
#define TAKE_PTR(p)                     \
	({                                  \
		__typeof__(p) take_ptr_ = (p);  \
		(p) = NULL;                     \
		take_ptr_;                      \
	})
#define TAKE_FD(fd)              \
	({                           \
		int take_fd_ = (fd);     \
		(fd) = -1;               \
		take_fd_;                \
	})

/* BUG(...) prints where an invariant broke and aborts; never for input. Kept in release builds. */
NORETURN void base_bug(const char *file, int line, const char *fmt, ...) PRINTF(3, 4);
#define BUG(...) base_bug(__FILE__, __LINE__, __VA_ARGS__)

/* Functions that have no bound, keep hidden state or run a shell. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#pragma GCC poison strcpy strcat sprintf vsprintf gets strtok strncpy strncat asctime ctime gmtime localtime
#pragma GCC poison popen tmpnam mktemp atoi atol atof

#endif
