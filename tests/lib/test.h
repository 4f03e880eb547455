/* test.h - what every unit test includes: cmocka in its demanded order, and checks that print the message of a struct err. */
#ifndef WEIR_TESTS_TEST_H
#define WEIR_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

#define assert_ok(call, err)                                                  \
	do {                                                                      \
		int assert_ok_ = (call);                                              \
		if (assert_ok_)                                                       \
			fail_msg("%s: %s: %s", #call, err_name(assert_ok_), (err)->msg);  \
	} while (0)
#define assert_err(call, want)                                                                        \
	do {                                                                                              \
		int assert_err_ = (call);                                                                     \
		if (assert_err_ != -(want))                                                                   \
			fail_msg("%s: expected %s, seen %s", #call, err_name(want), assert_err_ ? err_name(assert_err_) : "0"); \
	} while (0)
#define assert_str(s, z)                                                                   \
	do {                                                                                   \
		str assert_str_ = (s);                                                             \
		if (!str_eqz(assert_str_, (z)))                                                    \
			fail_msg("%s: expected \"%s\", seen \"%.*s\"", #s, (z), STR_ARG(assert_str_)); \
	} while (0)
/* The folder of public suites' data ($WEIR_CONFORMANCE, or ../shared/conformance seen from the source tree), or NULL. */
static inline const char *test_conformance_dir(void)
{
	const char *env = getenv("WEIR_CONFORMANCE");

	return env && *env ? env : NULL;
}

#endif
