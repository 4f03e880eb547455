/* stepfile.h - what a step says back: the files GITHUB_ENV, GITHUB_OUTPUT, GITHUB_STATE, GITHUB_PATH, and workflow commands in its output.
 * Formats as GitHub documents them (2026-08). Pure; any thread. */
#ifndef WEIR_PIPELINE_STEPFILE_H
#define WEIR_PIPELINE_STEPFILE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

struct kv {
	str key, value;
};
struct kvs {
	struct kv *v;
	size_t     n, cap;
};
void kvs_fini(struct kvs *k);
/* Replaces or adds; the texts must live as long as k. */
MUST_CHECK int kvs_set(struct kvs *k, str key, str value, struct err *reterr);
const struct kv *kvs_get(const struct kvs *k, str key);

/* "NAME=value" lines and "NAME<<DELIMITER" blocks. Errors name the line. Texts live in a. */
MUST_CHECK int stepfile_parse(struct arena *a, const char *what, str text, struct kvs *ret, struct err *reterr);
/* May GITHUB_ENV (or set-env) set this name? Refused: GITHUB_*, RUNNER_*, NODE_OPTIONS, WEIR_*, CI, and names with '=' or NUL. */
MUST_CHECK int stepfile_env_allowed(str name, struct err *reterr);

/* "::name key=value,key=value::message" */
struct stepcmd {
	str        name;
	struct kv  props[16];
	size_t     n_props;
	str        message; /* unescaped */
};
/* False: the line is no command. Texts live in a. */
bool stepcmd_parse(struct arena *a, str line, struct stepcmd *ret);
str  stepcmd_prop(const struct stepcmd *c, const char *key); /* STR_NULL when absent */

#endif
