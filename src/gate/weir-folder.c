/* weir-folder.c - the check of names below .weir/: a file there that nothing reads is a misspelt one. Pure but for reading the change.
 *
 * Each file is read by a room of its own, which judges its content; here only its name counts. */
#include "base/base.h"
#include "base/hash.h"
#include "doc/doc.h"
#include "gate/weir-folder.h"

/* What is read, by name relative to .weir/; a folder ends with '/'. */
static const char *const known[] = { "service.yaml", "waivers.yaml", "template.yaml", "protection.yaml", "workflows/", "flags/", NULL };
static const str         folder = { ".weir/", 6 };

struct looking {
	const struct finding_sink *sink;
};

static bool is_known(str name)
{
	for (size_t i = 0; known[i]; i++) {
		str k = str_z(known[i]);

		if (str_eq(name, k) || (str_has_suffix(k, STR("/")) && str_has_prefix(name, k)))
			return true;
	}
	return str_eqz(name, "README.md"); /* for people */
}

static int look(const struct looking *l, str path, struct err *reterr)
{
	struct finding f = { .check = STR("files"), .rule = STR("weir-folder"), .severity = SEVERITY_ERROR, .path = path, .line = 1, .col = 1,
		                 .advice = STR("rename or remove it: weir reads .weir/service.yaml, .weir/waivers.yaml, .weir/template.yaml, .weir/protection.yaml, .weir/workflows/ and .weir/flags/") };
	str            name = str_sub(path, folder.len, path.len), first;
	char           message[256], digest[SHA256_HEX];
	const char    *near;

	if (!str_has_prefix(path, folder) || is_known(name))
		return 0;
	str_cut(name, '/', &first, NULL);
	near = doc_nearest(first, known);
	snprintf(message, sizeof(message), "nothing reads a file of this name%s%s%s", near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
	sha256_hex(path, digest);
	f.message = str_z(message);
	f.fingerprint = str_z(digest);
	return l->sink->add(l->sink->ctx, &f, reterr);
}

static int on_delta(void *ctx, const struct git_delta *d, struct err *reterr)
{
	return d->status == 'D' ? 0 : look(ctx, d->path, reterr);
}

static int check_run(void *ctx UNUSED, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct looking l = { sink };
	char           old_id[GIT_ID_SIZE], new_id[GIT_ID_SIZE], rev[GIT_ID_SIZE + 16];
	int            r = 0;

	for (size_t i = 0; !r && c->files && i < c->n_files; i++)
		r = look(&l, c->files[i].path, reterr);
	if (r || c->files || !c->repo || !strcmp(c->new_id, git_zero_id))
		return r;
	snprintf(rev, sizeof(rev), "%s^{commit}", c->new_id);
	if (git_resolve(c->repo, rev, new_id, NULL)) /* a tag of something that has no files */
		return 0;
	snprintf(rev, sizeof(rev), "%s^{commit}", c->old_id);
	if (!strcmp(c->old_id, git_zero_id) || git_resolve(c->repo, rev, old_id, NULL))
		snprintf(old_id, sizeof(old_id), "%s", git_zero_id);
	return git_diff_each(c->repo, old_id, new_id, on_delta, &l, reterr);
}

const struct check_ops gate_weir_folder_check = { .name = "files", .run = check_run };
