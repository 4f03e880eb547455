/* engines.h - runs a group of tests on SQLite in a temporary folder, then on a PostgreSQL of its own (skipped when it is not installed). */
#ifndef WEIR_TESTS_DB_ENGINES_H
#define WEIR_TESTS_DB_ENGINES_H

#include "lib/test.h"
#include "base/fs.h"
#include "lib/pg.h"

static char           dir[256]; /* temporary */
static char           url[512]; /* of the present engine's database */
static struct pg_test pg;

#define run_on_both_engines(tests)                                                         \
	do {                                                                                   \
		struct err e_ = { 0 };                                                             \
		int        rc_, pg_rc_;                                                            \
                                                                                           \
		if (fs_temp_dir("weir-test-db", dir, sizeof(dir), &e_))                            \
			return 1;                                                                      \
		(void)snprintf(url, sizeof(url), "sqlite:%s/weir.db", dir);                        \
		rc_ = cmocka_run_group_tests_name("SQLite", tests, NULL, NULL);                    \
		pg_rc_ = pg_test_start(&pg, &e_);                                                  \
		if (pg_rc_ == 0) {                                                                 \
			(void)snprintf(url, sizeof(url), "%s", pg.url);                                \
			rc_ += cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);           \
			pg_test_stop(&pg);                                                             \
		} else {                                                                           \
			printf("skipped: %s\n", e_.msg);                                               \
			rc_ += pg_rc_ < 0;                                                             \
		}                                                                                  \
		(void)!fs_remove_tree(dir, &e_);                                                   \
		return rc_;                                                                        \
	} while (0)

#endif
