/* flagd_evaluator.c - open-feature/flagd-testbed: scenarios {background, steps[{text, table?}], tags} over flag definitions.
 *
 * Suite flagd-evaluator: the evaluator kit (definitions in testkit-flags.json beside its cases). Suite flagd-provider: the provider kit (definitions in
 * ../flags); what is about a provider's connections, configuration, caches and events is skipped, since a server has none of these. Tags
 * @fractional-v1 and -v3 choose the generation of bucketing, v2 is the default. The answers are those of the flag room's compiled sets. */
#include "base/base.h"
#include "flag_kit.h"

#include "base/fs.h"

#include <dirent.h>

/* --- definitions --- */

static bool read_flags(struct scenario *s, const char *path)
{
	struct buf *data = ARENA_NEW(s->c->arena, struct buf);
	struct doc_node *n = NULL;
	bool ok;

	buf_init(data, 8 << 20);
	ok = s->n_files < FLAG_FILES_MAX && !fs_read(path, data, NULL) && !doc_parse_json(s->c->arena, path, buf_str(data), &n, NULL);
	buf_fini(data);
	if (ok) {
		s->names[s->n_files] = str_z(strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
		s->files[s->n_files++] = n;
	}
	return ok;
}

static bool read_folder(struct scenario *s, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	bool ok = dir;

	while (ok && (d = readdir(dir)))
		if (str_has_suffix(str_z(d->d_name), STR(".json")))
			ok = read_flags(s, arena_printf(s->c->arena, "%s/%s", folder, d->d_name));
	if (dir)
		closedir(dir);
	return ok;
}

/* Beside the cases, or in the shown data when the cases come from elsewhere. */
static bool read_definitions(struct scenario *s, bool provider)
{
	const char *slash = strrchr(s->c->file, '/'), *shown = getenv("WEIR_CONFORMANCE");
	char *beside = arena_printf(s->c->arena, "%.*s", slash ? (int)(slash - s->c->file) : 1, slash ? s->c->file : ".");
	char *of_shown = arena_printf(s->c->arena, "%s/flags/flagd-testbed/%s", shown ? shown : ".", provider ? "provider" : "evaluator");

	for (int i = 0; i < 2; i++, beside = of_shown) {
		char *path = arena_printf(s->c->arena, "%s/%s", beside, provider ? "../flags" : "testkit-flags.json");

		if (fs_exists(path))
			return provider ? read_folder(s, path) : read_flags(s, path);
	}
	return false;
}

static bool tagged(const struct doc_node *tags, const char *tag)
{
	for (size_t i = 0; i < doc_len(tags); i++)
		if (str_eqz(doc_at(tags, i)->s, tag))
			return true;
	return false;
}

static void run_kit(struct conf_case *c, bool provider)
{
	const struct doc_node *tags = doc_get(c->json, "tags");
	struct scenario s = { .c = c };

	s.bucketing = tagged(tags, "@fractional-v1") ? "v1" : tagged(tags, "@fractional-v3") ? "v3" : NULL;
	if (str_eqz(doc_get_str(c->json, "file"), "contextEnrichment.feature")) {
		conf_skip(c, NULL, "about properties that the operator of a flagd adds to every context");
		return;
	}
	if (tagged(tags, "@deprecated")) {
		conf_skip(c, NULL, "deprecated: the kit expects the opposite from newer providers");
		return;
	}
	if (!read_definitions(&s, provider)) {
		conf_fail(c, NULL, "flag definitions", "none can be read beside %s", c->file);
		return;
	}
	kit_run(&s, NULL);
}

static void run_evaluator(struct conf_case *c) { run_kit(c, false); }
static void run_provider(struct conf_case *c) { run_kit(c, true); }

static const char *const evaluator_files[] = { "flags/flagd-testbed/evaluator/cases.jsonl", NULL };
const struct conf_suite suite_flagd_evaluator = { .name = "flagd-evaluator", .files = evaluator_files, .name_key = "id",
												  .run = run_evaluator };
static const char *const provider_files[] = { "flags/flagd-testbed/provider/cases.jsonl", NULL };
const struct conf_suite suite_flagd_provider = { .name = "flagd-provider", .files = provider_files, .name_key = "id",
												  .run = run_provider };
