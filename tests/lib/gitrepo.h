/* gitrepo.h - repositories for tests, made by the real git program in a temporary folder with fixed names and times. */
#ifndef WEIR_TESTS_GITREPO_H
#define WEIR_TESTS_GITREPO_H

#include "lib/test.h"

#include "base/fs.h"
#include "base/proc.h"

/* Runs a shell script in `dir`; its standard output (without the last newline) goes to out (NULL: dropped). Fails the test on a status other than 0. */
static inline void test_sh_out(const char *dir, const char *script, struct buf *out)
{
	static const char prelude[] =
		"set -e; export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Dev GIT_AUTHOR_EMAIL=dev@example.org "
		"GIT_COMMITTER_NAME=Committer GIT_COMMITTER_EMAIL=committer@example.org GIT_TERMINAL_PROMPT=0\n"
		": ${T:=1700000000}\n"
		"ci() { T=$((T + 60)); GIT_AUTHOR_DATE=\"$T +0200\" GIT_COMMITTER_DATE=\"$T +0000\" git commit -q --allow-empty -m \"$@\"; }\n";
	struct buf      text = BUF_INIT(1 << 20), err = BUF_INIT(1 << 16);
	const char     *argv[] = { "bash", "-c", NULL, NULL };
	struct proc_run run = { .argv = argv, .cwd = dir, .out = out, .err = &err, .timeout_ms = 120000 };
	struct err      e = { 0 };
	int             status;

	buf_addf(&text, "%s%s", prelude, script);
	argv[2] = buf_z(&text);
	assert_ok(proc_run(&run, &status, &e), &e);
	if (status)
		fail_msg("script ended with %d: %s\n%s", status, buf_z(&err), script);
	if (out && out->len && out->ptr[out->len - 1] == '\n')
		out->ptr[--out->len] = '\0';
	buf_fini(&text);
	buf_fini(&err);
}

static inline void test_sh(const char *dir, const char *script) { test_sh_out(dir, script, NULL); }

/* `git rev-parse REV` into id[41]. */
static inline char *test_rev(const char *dir, const char *rev, char *id)
{
	struct buf out = BUF_INIT(256);
	char       script[256];

	snprintf(script, sizeof script, "git rev-parse --verify '%s'", rev);
	test_sh_out(dir, script, &out);
	snprintf(id, 41, "%s", buf_z(&out));
	buf_fini(&out);
	return id;
}

#endif
