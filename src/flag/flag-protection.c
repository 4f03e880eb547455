/* flag-protection.c - reading .weir/protection.yaml, of the default branch and of offered changes (see flag-protection.h).
 *
 * Guarantees: every key is obeyed or refused with its place; a file with a problem protects by refusing, never by letting through. Any thread. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "flag/flag-protection.h"

enum { FILE_MAX = 256 << 10, FILE_ARENA_MAX = 16 << 20 };

/* --- reading --- */

static bool is_token_name(str s) { return s.len > 0 && s.len <= LIMIT_NAME_BYTES; }

static void read_reviewers(struct doc_check *c, const struct doc_node *n, struct flag_rule *r)
{
	str *v;

	if (!n || !doc_is_seq(c, n, "reviewers"))
		return;
	if (!doc_len(n) || doc_len(n) > LIMIT_FLAG_REVIEWERS)
		doc_error(c, n, "reviewers names 1 to %d tokens; without it anybody who may change flags may approve", LIMIT_FLAG_REVIEWERS);
	v = ARENA_ARRAY(c->arena, doc_len(n) + 1, str);
	for (size_t i = 0; v && i < doc_len(n); i++) {
		v[i] = doc_want_str(c, doc_at(n, i), "a reviewer");
		if (v[i].ptr && !is_token_name(v[i]))
			doc_error(c, doc_at(n, i), "a reviewer is the name of a token, 1 to %d bytes", LIMIT_NAME_BYTES);
		for (size_t j = 0; j < i; j++)
			if (v[i].len && str_eq(v[i], v[j]))
				doc_error(c, doc_at(n, i), "reviewer '%.*s' is there twice", STR_ARG(v[i]));
	}
	r->reviewers = v;
	r->n_reviewers = v ? doc_len(n) : 0;
}

static bool bool_of(struct doc_check *c, const struct doc_node *map, const char *key, bool otherwise)
{
	const struct doc_node *n = doc_get(map, key);

	return n ? doc_want_bool(c, n, key) : otherwise;
}

static void read_rule(struct doc_check *c, const struct doc_pair *p, struct flag_rule *r)
{
	static const char *const known[] = { "required-approvals", "prevent-self-review", "reviewers", "kill-switch", "require-blast-radius", NULL };
	static const char *const switches[] = { "free", "protected", NULL };
	const struct doc_node   *n = p->value;

	*r = (struct flag_rule){ .environment = p->key, .required_approvals = 1, .prevent_self_review = true, .kill_switch_free = true };
	if (!p->key.len || p->key.len > LIMIT_NAME_BYTES)
		doc_error_at(c, p->line, p->col, "the name of an environment has 1 to %d bytes", LIMIT_NAME_BYTES);
	if (!doc_is_map(c, n, "an environment", known))
		return;
	if (doc_get(n, "required-approvals"))
		r->required_approvals = doc_want_int(c, doc_get(n, "required-approvals"), "required-approvals", 1, LIMIT_FLAG_APPROVALS);
	r->prevent_self_review = bool_of(c, n, "prevent-self-review", true);
	read_reviewers(c, doc_get(n, "reviewers"), r);
	if (r->reviewers && r->required_approvals > (int64_t)r->n_reviewers)
		doc_error(c, doc_get(n, "reviewers"), "%zu reviewers cannot give %lld approvals", r->n_reviewers, (long long)r->required_approvals);
	if (doc_get(n, "kill-switch"))
		r->kill_switch_free = doc_want_enum(c, doc_get(n, "kill-switch"), "kill-switch", switches) != 1;
	r->require_blast_radius = bool_of(c, n, "require-blast-radius", false);
}

int flag_protection_read(struct doc_check *c, str text, struct flag_protection *ret, struct err *reterr)
{
	static const char *const known[] = { "environments", NULL };
	struct doc_node         *root;
	const struct doc_node   *list;
	int                      rc = doc_parse_yaml(c->arena, c->file, text, &root, reterr);

	*ret = (struct flag_protection){ 0 };
	if (rc)
		return rc;
	if (!doc_is_map(c, root, "the file", known))
		return 0;
	list = doc_need(c, root, "environments");
	if (!list || !doc_is_map(c, list, "environments", NULL))
		return 0;
	if (doc_len(list) > LIMIT_FLAG_ENVIRONMENTS) {
		doc_error(c, list, "at most %d environments", LIMIT_FLAG_ENVIRONMENTS);
		return 0;
	}
	ret->rules = ARENA_ARRAY(c->arena, doc_len(list) + 1, struct flag_rule);
	for (size_t i = 0; ret->rules && i < doc_len(list); i++)
		read_rule(c, &list->map.pairs[i], &ret->rules[ret->n++]);
	return arena_check(c->arena, PROTECTION_PATH, reterr);
}

const struct flag_rule *flag_protection_of(const struct flag_protection *p, str environment)
{
	for (size_t i = 0; environment.len && i < p->n; i++)
		if (str_eq(p->rules[i].environment, environment))
			return &p->rules[i];
	return NULL;
}

bool flag_rule_reviews(const struct flag_rule *r, str name)
{
	for (size_t i = 0; i < r->n_reviewers; i++)
		if (str_eq(r->reviewers[i], name))
			return true;
	return !r->reviewers;
}

/* --- the default branch --- */

/* The file's text; absent: *ret_there false. */
static int read_default(const struct source_ops *source, str project, struct buf *out, bool *ret_there, struct err *reterr)
{
	struct git_repo *repo = NULL;
	char             ref[256], commit[GIT_ID_SIZE];
	int              rc = source->default_ref(source->ctx, project, ref, sizeof(ref), reterr);

	*ret_there = false;
	if (!rc)
		rc = source->open(source->ctx, project, &repo, reterr);
	if (!rc)
		rc = git_resolve(repo, ref, commit, reterr);
	if (!rc)
		rc = git_read_path(repo, commit, PROTECTION_PATH, out, reterr);
	git_repo_close(repo);
	*ret_there = !rc;
	return rc == -WEIR_ENOENT ? 0 : rc;
}

int flag_protection_load(const struct source_ops *source, struct arena *a, str project, struct flag_protection *ret, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(FILE_MAX);
	struct doc_check       c;
	bool                   there;
	int                    rc = read_default(source, project, &text, &there, reterr);

	*ret = (struct flag_protection){ 0 };
	if (rc || !there)
		return rc == -WEIR_ELIMIT ? err_set(reterr, WEIR_EREFUSED, PROTECTION_PATH " of the default branch has more than %d bytes", FILE_MAX) : rc;
	doc_check_init(&c, a, PROTECTION_PATH);
	rc = flag_protection_read(&c, buf_str(&text), ret, reterr);
	if (!rc)
		rc = doc_check_result(&c, reterr);
	if (rc == -WEIR_EPARSE || rc == -WEIR_EINVAL || rc == -WEIR_ELIMIT) {
		reterr->code = WEIR_EREFUSED;
		return err_wrap(reterr, "the rules of the default branch cannot be read, so nothing is let through; mend them by a push");
	}
	return rc;
}

/* --- the gate --- */

struct looking {
	const struct change       *c;
	const struct finding_sink *sink;
};

static int report(const struct looking *l, uint32_t line, uint32_t col, const char *message, struct err *reterr)
{
	char           digest[SHA256_HEX], text[1200];
	struct finding f = { .check = STR("files"), .rule = STR("protection"), .severity = SEVERITY_ERROR, .path = STR(PROTECTION_PATH), .line = line, .col = col,
						 .message = str_z(message), .advice = STR("mend the rules; what they may say stands in docs/reference/protection.md") };

	snprintf(text, sizeof(text), "%s %s", PROTECTION_PATH, message);
	sha256_hex(str_z(text), digest);
	f.fingerprint = str_z(digest);
	return l->sink->add(l->sink->ctx, &f, reterr);
}

static int look_at(const struct looking *l, str text, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(FILE_ARENA_MAX);
	struct doc_check           c;
	struct flag_protection     p;
	struct err                 e = { 0 };
	int                        rc = 0;

	if (text.len > FILE_MAX)
		return report(l, 1, 1, "the file has at most 256 KiB", reterr);
	doc_check_init(&c, &a, PROTECTION_PATH);
	if (flag_protection_read(&c, text, &p, &e))
		return report(l, 1, 1, e.msg, reterr);
	for (size_t i = 0; !rc && i < c.n_diags; i++)
		rc = report(l, c.diags[i].line, c.diags[i].col, c.diags[i].msg, reterr);
	return rc;
}

static int check_run(void *ctx UNUSED, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct looking         l = { c, sink };
	struct buf CLEANUP_BUF text = BUF_INIT(FILE_MAX + 1);
	char                   id[GIT_ID_SIZE], rev[GIT_ID_SIZE + 16];
	int                    rc = 0;

	for (size_t i = 0; !rc && c->files && i < c->n_files; i++)
		if (str_eqz(c->files[i].path, PROTECTION_PATH))
			rc = look_at(&l, c->files[i].content, reterr);
	if (c->files || !c->repo || !strcmp(c->new_id, git_zero_id))
		return rc;
	snprintf(rev, sizeof(rev), "%s^{commit}", c->new_id);
	if (git_resolve(c->repo, rev, id, NULL)) /* a tag of something that has no files */
		return 0;
	rc = git_read_path(c->repo, id, PROTECTION_PATH, &text, reterr);
	if (rc == -WEIR_ELIMIT)
		return report(&l, 1, 1, "the file has at most 256 KiB", reterr);
	return rc == -WEIR_ENOENT ? 0 : rc ? rc : look_at(&l, buf_str(&text), reterr);
}

const struct check_ops flag_protection_check = { "files", check_run, NULL };
