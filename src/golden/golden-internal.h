/* golden-internal.h - the same functions over any table of files: tests give their own templates. */
#ifndef WEIR_GOLDEN_INTERNAL_H
#define WEIR_GOLDEN_INTERNAL_H

#include "base/embed.h"
#include "golden/golden.h"

struct golden_source {
	const struct embed_file *files;
	size_t n;
};
MUST_CHECK int golden_list_from(const struct golden_source *src, struct arena *a, struct golden_template **ret, size_t *ret_n,
								struct err *reterr);
MUST_CHECK int golden_render_from(const struct golden_source *src, str template_name, str project,
								  const struct golden_value *values, size_t n_values, const char *target, int64_t *ret_version,
								  struct err *reterr);

#endif
