/* repo-hostile.c - what no push may bring, beyond what git's own fsck refuses (names such as .git in every disguise, "..", hostile .gitmodules):
 * symbolic links that lead out of the tree, submodule addresses that reach for local files or programs, objects over the limit.
 *
 * Looks at the new blobs and at what differs between the ref's old and new commit, not at the whole tree. */
#include "base/base.h"
#include "repo/repo-internal.h"
#include "base/limits.h"

enum { MODE_LINK = 0120000, LINK_TARGET_MAX = 4096, GITMODULES_MAX = 1 << 20 };

struct hostile {
	const struct change       *c;
	const struct finding_sink *sink;
	str                        tip; /* the commit that the ref moves to */
};

static int report(struct hostile *h, const char *rule, str path, uint32_t line, str commit, const char *message, const char *advice,
                  struct err *reterr)
{
	struct finding f = { .check = STR("files"), .rule = str_z(rule), .severity = SEVERITY_ERROR, .path = path, .line = line,
		                 .commit = commit, .message = str_z(message), .advice = str_z(advice), .fingerprint = STR("") };

	return h->sink->add(h->sink->ctx, &f, reterr);
}

/* Does a link at `path` with this target stay inside the tree? */
static bool link_inside(str path, str target)
{
	long depth = 0;

	if (!target.len || target.ptr[0] == '/' || memchr(target.ptr, 0, target.len))
		return false;
	for (size_t i = 0; i < path.len; i++)
		depth += path.ptr[i] == '/';
	while (target.len) {
		str part, rest;

		if (!str_cut(target, '/', &part, &rest))
			rest = STR_NULL;
		if (str_eqz(part, ".."))
			depth--;
		else if (part.len && !str_eqz(part, "."))
			depth++;
		if (depth < 0)
			return false;
		target = rest;
	}
	return true;
}

static int check_link(struct hostile *h, str path, const char *blob, str commit, struct err *reterr)
{
	CLEANUP_BUF struct buf target = BUF_INIT(LINK_TARGET_MAX);
	int                    r = git_read_blob(h->c->repo, blob, &target, reterr);

	if (r == -WEIR_ELIMIT)
		return report(h, "hostile-link", path, 0, commit, "the target of this symbolic link is longer than 4096 bytes", "remove the link", reterr);
	if (r || link_inside(path, buf_str(&target)))
		return r;
	return report(h, "hostile-link", path, 0, commit, "this symbolic link leads out of the repository",
	              "use a target inside the repository, relative to the link's folder", reterr);
}

/* Addresses a submodule may have: git and web protocols, or a relative path. */
static bool submodule_url_ok(str url)
{
	static const char *const good[] = { "https://", "http://", "ssh://", "git://", "git+ssh://", "./", "../", NULL };
	size_t                   colon = str_find(url, ':'), slash = str_find(url, '/');

	for (size_t i = 0; good[i]; i++)
		if (str_has_prefix(url, str_z(good[i])))
			return true;
	/* user@host:path, not file paths, not transport::address */
	return url.len && url.ptr[0] != '-' && url.ptr[0] != '/' && colon < url.len && colon < slash && !str_contains(url, STR("::")) &&
	       str_find(str_sub(url, 0, colon), '@') < colon;
}

static int check_submodules(struct hostile *h, str path, const char *blob, str commit, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(GITMODULES_MAX);
	uint32_t               number = 0;
	str                    rest, line;
	int                    r = git_read_blob(h->c->repo, blob, &text, reterr);

	if (r == -WEIR_ELIMIT)
		return report(h, "hostile-submodule", path, 0, commit, "this file is larger than 1 MiB", "make it smaller", reterr);
	for (rest = buf_str(&text); !r && rest.len;) {
		str key, value;

		number++;
		if (!str_cut(rest, '\n', &line, &rest))
			rest = STR_NULL;
		line = str_trim(line);
		if (line.len && line.ptr[0] == '[') /* git takes a key behind the section's bracket too */
			str_cut(line, ']', &key, &line);
		if (!str_cut(line, '=', &key, &value) || !str_eq_nocase(str_trim(key), STR("url")))
			continue;
		value = str_trim(value);
		if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
			value = str_sub(value, 1, value.len - 2);
		if (!submodule_url_ok(value))
			r = report(h, "hostile-submodule", path, number, commit, "the address of this submodule is no https, http, ssh or git address",
			           "use an https:// or ssh:// address, or a relative one beginning with ../", reterr);
	}
	return r;
}

static int on_new_blob(void *ctx, const struct git_new_blob *b, struct err *reterr)
{
	struct hostile *h = ctx;
	char            message[160];

	if (b->size > LIMIT_OBJECT_BYTES) {
		snprintf(message, sizeof(message), "this file has %zu MiB; the limit is %d MiB", b->size >> 20, LIMIT_OBJECT_BYTES >> 20);
		return report(h, "object-size", b->path, 0, str_z(b->commit), message,
		              "keep large files in an artifact store and take the commit that adds it back (git rebase -i)", reterr);
	}
	if (b->mode == MODE_LINK)
		return check_link(h, b->path, b->id, str_z(b->commit), reterr);
	return str_eqz(b->path, ".gitmodules") ? check_submodules(h, b->path, b->id, str_z(b->commit), reterr) : 0;
}

static int on_delta(void *ctx, const struct git_delta *d, struct err *reterr)
{
	struct hostile *h = ctx;

	if (d->status == 'D')
		return 0;
	if (d->mode == MODE_LINK)
		return check_link(h, d->path, d->blob, h->tip, reterr);
	return str_eqz(d->path, ".gitmodules") ? check_submodules(h, d->path, d->blob, h->tip, reterr) : 0;
}

int repo_hostile_check(const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct hostile h = { c, sink, str_z(c->new_id) };
	char           id[GIT_ID_SIZE], old[GIT_ID_SIZE], rev[GIT_ID_SIZE + 16];
	int            r;

	snprintf(rev, sizeof(rev), "%s^{commit}", c->new_id);
	r = git_resolve(c->repo, rev, id, reterr);
	if (r) /* a tag of a tree or blob: nothing that can be checked out */
		return r == -WEIR_ENOENT ? 0 : r;
	snprintf(rev, sizeof(rev), "%s^{commit}", c->old_id);
	if (!strcmp(c->old_id, git_zero_id) || git_resolve(c->repo, rev, old, NULL))
		snprintf(old, sizeof(old), "%s", git_zero_id);
	r = git_new_blobs(c->repo, old, id, on_new_blob, &h, reterr);
	return r ? r : git_diff_each(c->repo, old, id, on_delta, &h, reterr);
}
