/* flagd_schemas.c - open-feature/flagd-schemas: documents that its schemas accept (positive/) or refuse (negative/), below flags/, flagd/ and targeting/.
 *
 * A path is a document, or a folder of such. The strict reader of definitions must agree with the schema; keys that a schema lets pass unnamed are
 * refused by weir all the same, which no document of the suite has. */
#include "base/base.h"
#include "conformance.h"

#include "base/fs.h"
#include "flag/flag-def.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

static void run_document(struct conf_run *r, const char *path)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(256 << 20);
	struct buf CLEANUP_BUF text = BUF_INIT(8 << 20);
	struct conf_case c = conf_case_at(r, path, strrchr(path, '/') ? strrchr(path, '/') + 1 : path, &a);
	bool good = strstr(path, "/positive/") != NULL, refused;
	struct doc_node *n;
	struct doc_check k;
	struct flag_set_def set;
	struct err e = { 0 };

	doc_check_init(&k, &a, path);
	refused = fs_read(path, &text, &e) || doc_parse_json(&a, path, buf_str(&text), &n, &e);
	if (!refused) {
		if (strstr(path, "/targeting/"))
			flag_rule_check(&k, n, NULL);
		else
			flag_set_def_read(&k, n, &set);
		refused = doc_check_result(&k, &e);
	}
	if (refused == good)
		conf_fail(&c, NULL, good ? "accepted" : "refused", "%s", refused ? e.msg : "accepted");
	else
		conf_pass(&c, NULL);
}

static void run_path(struct conf_run *r, const char *path)
{
	struct dirent *d;
	char below[PATH_MAX];
	struct stat st;
	DIR *dir;

	if (stat(path, &st) || !S_ISDIR(st.st_mode)) {
		run_document(r, path);
		return;
	}
	dir = opendir(path);
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.' && snprintf(below, sizeof(below), "%s/%s", path, d->d_name) < (int)sizeof(below))
			run_path(r, below);
	if (dir)
		closedir(dir);
}

static const char *const files[] = { "flags/flagd-schemas/test", NULL };
const struct conf_suite suite_flagd_schemas = { .name = "flagd-schemas", .files = files, .run_path = run_path };
