/* golden.h - golden paths: the templates that projects begin from, embedded in the program.
 *
 * A template is a folder of src/golden/templates: template.yaml (name, summary, version, parameters) and files, which are
 * mustache templates, names included ("dot-" at the beginning of a name stands for "."). Any thread; no state. */
#ifndef WEIR_GOLDEN_GOLDEN_H
#define WEIR_GOLDEN_GOLDEN_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

enum golden_kind {
	GOLDEN_WORD, /* letters, digits and . _ -, at most LIMIT_NAME_BYTES: stands in code and file names as it is */
	GOLDEN_HOST, /* a host name in lower case */
	GOLDEN_LINE, /* one line of any text, at most LIMIT_GOLDEN_LINE_BYTES: only files whose kind has an escape may use it */
	GOLDEN_SWITCH /* yes or no: in files a section {{#name}}...{{/name}}; the files it names exist only with yes */
};
struct golden_param {
	str name, summary;
	str otherwise; /* default, a mustache text in which {{name}} is the project's */
	enum golden_kind kind;
	const str *files; /* of a switch: names below the template's folder */
	size_t n_files;
};
struct golden_template {
	str name, summary;
	int64_t version;
	struct golden_param *params;
	size_t n_params;
};
struct golden_value {
	str name, value;
};

/* All templates, sorted by name. */
MUST_CHECK int golden_list(struct arena *a, struct golden_template **ret, size_t *ret_n, struct err *reterr);
/* Writes the template's files for a project of this name into the folder `target`, which must not exist yet (-WEIR_EEXIST): it
 * appears whole or not at all. Values not given get their defaults. -WEIR_ENOENT: no such template (names the nearest);
 * -WEIR_EINVAL: unknown parameter, or a name or value that its kind does not allow. ret_version may be NULL. */
MUST_CHECK int golden_render(str template_name, str project, const struct golden_value *values, size_t n_values,
							 const char *target, int64_t *ret_version, struct err *reterr);

#endif
