/* source.h - where a project's repository is, for domains that read it (wiring fills this with repo's functions). */
#ifndef WEIR_CHANGE_SOURCE_H
#define WEIR_CHANGE_SOURCE_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "git/git.h"

struct source_ops {
	/* Opens the project's bare repository for reading; the caller closes it. -WEIR_ENOENT for an unknown project. */
	int (*open)(void *ctx, str project, struct git_repo **ret, struct err *reterr);
	/* Its path on this machine. */
	int (*path)(void *ctx, str project, char *out, size_t size, struct err *reterr);
	/* The protected default branch ("refs/heads/main") into out. */
	int (*default_ref)(void *ctx, str project, char *out, size_t size, struct err *reterr);
	void *ctx;
};

#endif
