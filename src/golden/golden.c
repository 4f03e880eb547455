/* golden.c - reads the embedded templates and writes projects from them.
 *
 * All files are rendered in memory first and written to a hidden folder beside the target, which is then renamed without
 * replacing anything: the target appears whole or not at all. Any thread.
 * What a value may hold depends on the file it stands in: code takes words only, text files escape what they are given. */
#include "base/base.h"

#include "golden/golden-internal.h"

#include "base/fs.h"
#include "base/limits.h"
#include "doc/doc.h"
#include "lang/mustache/mustache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct embed_file golden_files[]; /* "http-c/src/main.c" */
extern const size_t golden_files_n;

enum { ARENA_MAX = 64 << 20, FILE_MAX = 4 << 20 };

static const char *const kind_names[] = { "word", "host", "line", "switch", NULL };

/* --- values --- */

static bool is_word(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			  (i && (c == '.' || c == '_' || c == '-'))))
			return false;
	}
	return s.len > 0 && s.len <= LIMIT_NAME_BYTES;
}

static bool is_host(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (i && i + 1 < s.len && (c == '-' || c == '.'))))
			return false;
	}
	return s.len > 0 && s.len <= 253;
}

static bool is_line(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	return s.len <= LIMIT_GOLDEN_LINE_BYTES && str_utf8_valid(s);
}

/* Names become folders, host names, program names and words of several languages. */
static int check_project(str name, struct err *reterr)
{
	bool ok = name.len > 0 && name.len <= 40 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z' && name.ptr[name.len - 1] != '-';

	for (size_t i = 0; ok && i < name.len; i++)
		ok = (name.ptr[i] >= 'a' && name.ptr[i] <= 'z') || (name.ptr[i] >= '0' && name.ptr[i] <= '9') || name.ptr[i] == '-';
	if (!ok)
		return err_set(reterr, WEIR_EINVAL,
					   "project name '%.*s' must be 1 to 40 of a-z, 0-9 and '-', begin with a letter and not end with '-'",
					   STR_ARG(str_sub(name, 0, 80)));
	return 0;
}

static int check_value(const struct golden_param *p, str v, struct err *reterr)
{
	static const char *const rules[] = { "a word: up to 64 letters, digits and . _ -", "a host name in lower case",
										 "one line of text, at most 200 bytes", "yes or no" };
	bool ok = false;

	switch (p->kind) {
	case GOLDEN_WORD: ok = is_word(v); break;
	case GOLDEN_HOST: ok = is_host(v); break;
	case GOLDEN_LINE: ok = is_line(v); break;
	case GOLDEN_SWITCH: ok = str_eqz(v, "yes") || str_eqz(v, "no"); break;
	}
	return ok ? 0 : err_set(reterr, WEIR_EINVAL, "parameter '%.*s' must be %s", STR_ARG(p->name), rules[p->kind]);
}

/* --- reading template.yaml --- */

static void read_files(struct doc_check *c, const struct doc_node *n, struct golden_param *p)
{
	str *files;

	if (n->kind != DOC_SEQ) {
		doc_error(c, n, "files must be a list of names");
		return;
	}
	files = ARENA_ARRAY(c->arena, doc_len(n) + 1, str);
	for (size_t i = 0; files && i < doc_len(n); i++)
		files[i] = doc_want_str(c, n->seq.items[i], "a file of a switch");
	p->files = files;
	p->n_files = files ? doc_len(n) : 0;
}

static void read_param(struct doc_check *c, const struct doc_pair *pair, struct golden_param *p)
{
	static const char *const known[] = { "kind", "default", "summary", "files", NULL };
	const struct doc_node *n = pair->value;

	p->name = pair->key;
	if (!is_word(p->name) || str_eqz(p->name, "name"))
		doc_error_at(c, pair->line, pair->col, "parameter '%.*s' must be a word other than 'name'", STR_ARG(p->name));
	if (!doc_is_map(c, n, "a parameter", known))
		return;
	if (doc_need(c, n, "summary"))
		p->summary = doc_want_str(c, doc_get(n, "summary"), "summary");
	if (doc_need(c, n, "default"))
		p->otherwise = doc_want_str(c, doc_get(n, "default"), "default");
	if (doc_need(c, n, "kind")) {
		int kind = doc_want_enum(c, doc_get(n, "kind"), "kind", kind_names);

		p->kind = kind < 0 ? GOLDEN_WORD : (enum golden_kind)kind;
	}
	if (doc_get(n, "files") && p->kind != GOLDEN_SWITCH)
		doc_error(c, doc_get(n, "files"), "only a switch has files");
	else if (doc_get(n, "files"))
		read_files(c, doc_get(n, "files"), p);
}

static int read_template(struct arena *a, const struct embed_file *f, struct golden_template *t, struct err *reterr)
{
	static const char *const known[] = { "name", "summary", "version", "parameters", NULL };
	const struct doc_node *params;
	struct doc_node *root;
	struct doc_check c;
	int r = doc_parse_yaml(a, f->name, f->data, &root, reterr);

	if (r)
		return r;
	doc_check_init(&c, a, f->name);
	if (doc_is_map(&c, root, "a template", known)) {
		t->name = doc_want_str(&c, doc_need(&c, root, "name"), "name");
		t->summary = doc_want_str(&c, doc_need(&c, root, "summary"), "summary");
		t->version = doc_want_int(&c, doc_need(&c, root, "version"), "version", 1, INT32_MAX);
		params = doc_need(&c, root, "parameters");
		t->n_params = doc_len(params);
		t->params = ARENA_ARRAY(a, t->n_params ? t->n_params : 1, struct golden_param);
		for (size_t i = 0; t->params && i < t->n_params; i++)
			read_param(&c, &params->map.pairs[i], &t->params[i]);
	}
	r = doc_check_result(&c, reterr);
	return r ? r : arena_check(a, "template", reterr);
}

static bool is_description(const struct embed_file *f)
{
	const char *slash = strchr(f->name, '/');

	return slash && !strcmp(slash, "/template.yaml");
}

int golden_list_from(const struct golden_source *src, struct arena *a, struct golden_template **ret, size_t *ret_n,
					 struct err *reterr)
{
	struct golden_template *all;
	size_t n = 0, at = 0;
	int r = 0;

	for (size_t i = 0; i < src->n; i++)
		n += is_description(&src->files[i]);
	all = ARENA_ARRAY(a, n, struct golden_template);
	if (!all)
		return arena_check(a, "templates", reterr);
	for (size_t i = 0; i < src->n && !r; i++)
		if (is_description(&src->files[i]))
			r = read_template(a, &src->files[i], &all[at++], reterr);
	if (r)
		return r;
	*ret = all;
	*ret_n = n;
	return 0;
}

static int find_template(const struct golden_source *src, struct arena *a, str name, struct golden_template **ret,
						 struct err *reterr)
{
	struct golden_template *all = NULL;
	const char *names[64] = { NULL }, *near;
	struct buf list CLEANUP_BUF = BUF_INIT(4096);
	size_t n = 0;
	int r = golden_list_from(src, a, &all, &n, reterr);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (str_eq(all[i].name, name)) {
			*ret = &all[i];
			return 0;
		}
		if (i + 1 < ARRAY_SIZE(names))
			names[i] = arena_dup(a, all[i].name);
		buf_addf(&list, "%s%.*s", i ? ", " : "", STR_ARG(all[i].name));
	}
	near = doc_nearest(name, names);
	return err_set(reterr, WEIR_ENOENT, "there is no template '%.*s'%s%s%s; there are: %s", STR_ARG(str_sub(name, 0, 80)),
				   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "", buf_z(&list));
}

/* --- rendering --- */

struct out_file {
	char *path; /* relative to the target */
	struct buf text;
	bool executable;
};
struct work {
	struct arena arena;
	const struct golden_source *src;
	const struct golden_template *t;
	str project;
	const struct doc_node *words, *all; /* data without and with values of kind LINE */
	struct out_file *files;
	size_t n_files;
	struct err *reterr;
};

/* How values stand in a file of this name; false: as they are, so that only words may. */
static bool escape_of(str path, enum mustache_escape *ret)
{
	static const struct {
		const char *suffix;
		enum mustache_escape escape;
	} table[] = { { ".yaml", MUSTACHE_YAML },
				  { ".yml", MUSTACHE_YAML },
				  { ".md", MUSTACHE_HTML },
				  { ".html", MUSTACHE_HTML },
				  { ".sh", MUSTACHE_SHELL } };

	*ret = MUSTACHE_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (str_has_suffix(path, str_z(table[i].suffix))) {
			*ret = table[i].escape;
			return true;
		}
	}
	return false;
}

static int render_text(struct work *w, const char *name, str text, const struct doc_node *data, enum mustache_escape escape,
					   struct buf *out)
{
	struct mustache_env env = { .escape = escape, .strict = true };
	struct mustache *t = NULL;
	int r = mustache_parse(&w->arena, name, text, &t, w->reterr);

	return r ? r : mustache_render(t, data, &env, out, w->reterr);
}

/* The path of a file in the project: rendered, and "dot-" at the beginning of a part made ".". */
static int render_path(struct work *w, str name, char **ret)
{
	struct buf path CLEANUP_BUF = BUF_INIT(PATH_MAX), out CLEANUP_BUF = BUF_INIT(PATH_MAX);
	str part, rest;
	int r = render_text(w, "file name", name, w->words, MUSTACHE_NONE, &path);

	if (r)
		return r;
	for (rest = buf_str(&path); rest.len;) {
		str_cut(rest, '/', &part, &rest);
		if (str_has_prefix(part, STR("dot-"))) {
			buf_addc(&out, '.');
			part = str_sub(part, 4, part.len);
		}
		buf_add_str(&out, part);
		if (rest.len)
			buf_addc(&out, '/');
	}
	*ret = arena_dup(&w->arena, buf_str(&out));
	return *ret ? 0 : arena_check(&w->arena, "template", w->reterr);
}

static int render_file(struct work *w, const struct embed_file *f, str name)
{
	struct out_file *o = &w->files[w->n_files++];
	enum mustache_escape escape;
	bool escaped = escape_of(name, &escape);
	int r;

	buf_init(&o->text, FILE_MAX);
	o->executable = f->executable;
	r = render_path(w, name, &o->path);
	return r ? r : render_text(w, f->name, f->data, escaped ? w->all : w->words, escape, &o->text);
}

/* False for a file of a switch that is off. */
static bool is_wanted(const struct work *w, str name)
{
	for (size_t i = 0; i < w->t->n_params; i++)
		for (size_t k = 0; k < w->t->params[i].n_files; k++)
			if (str_eq(w->t->params[i].files[k], name) && !doc_get_n(w->words, w->t->params[i].name)->b)
				return false;
	return true;
}

static int render_all(struct work *w)
{
	int r = 0;

	w->files = ARENA_ARRAY(&w->arena, w->src->n, struct out_file);
	if (!w->files)
		return arena_check(&w->arena, "template", w->reterr);
	for (size_t i = 0; i < w->src->n && !r; i++) {
		str folder, name;

		str_cut(str_z(w->src->files[i].name), '/', &folder, &name);
		if (str_eq(folder, w->t->name) && !is_description(&w->src->files[i]) && is_wanted(w, name))
			r = render_file(w, &w->src->files[i], name);
	}
	return r;
}

/* --- data --- */

static const struct golden_value *find_value(const struct golden_value *values, size_t n, str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(values[i].name, name))
			return &values[i];
	return NULL;
}

static int check_names(struct work *w, const struct golden_value *values, size_t n)
{
	const char **known = ARENA_ARRAY(&w->arena, w->t->n_params + 1, const char *), *near;

	if (!known)
		return arena_check(&w->arena, "template", w->reterr);
	for (size_t i = 0; i < w->t->n_params; i++)
		known[i] = arena_dup(&w->arena, w->t->params[i].name);
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		for (size_t k = 0; k < w->t->n_params; k++)
			found = found || str_eq(w->t->params[k].name, values[i].name);
		near = found ? NULL : doc_nearest(values[i].name, known);
		if (!found)
			return err_set(w->reterr, WEIR_EINVAL, "template '%.*s' has no parameter '%.*s'%s%s%s", STR_ARG(w->t->name),
						   STR_ARG(str_sub(values[i].name, 0, 80)), near ? " (did you mean '" : "", near ? near : "",
						   near ? "'?)" : "");
		if (find_value(values, i, values[i].name))
			return err_set(w->reterr, WEIR_EINVAL, "parameter '%.*s' is given twice", STR_ARG(values[i].name));
	}
	return 0;
}

static void add_pair(struct jw *j, str name, str value)
{
	jw_obj(j);
	jw_kstr(j, "key", name);
	jw_kstr(j, "value", value);
	jw_end(j);
}

/* The data as JSON: name, template, each parameter (LINEs only when `lines`), and the list `parameters`. */
static int make_data(struct work *w, const str *values, bool lines, const struct doc_node **ret)
{
	struct buf json CLEANUP_BUF = BUF_INIT(FILE_MAX);
	struct doc_node *n;
	struct jw j;
	int r;

	jw_init(&j, &json);
	jw_obj(&j);
	jw_kstr(&j, "name", w->project);
	jw_key(&j, "template");
	jw_obj(&j);
	jw_kstr(&j, "name", w->t->name);
	jw_kint(&j, "version", w->t->version);
	jw_end(&j);
	for (size_t i = 0; i < w->t->n_params; i++) {
		if (!lines && w->t->params[i].kind == GOLDEN_LINE)
			continue;
		jw_key_n(&j, w->t->params[i].name);
		if (w->t->params[i].kind == GOLDEN_SWITCH)
			jw_bool(&j, str_eqz(values[i], "yes"));
		else
			jw_str(&j, values[i]);
	}
	jw_key(&j, "parameters");
	jw_arr(&j);
	add_pair(&j, STR("name"), w->project);
	for (size_t i = 0; lines && i < w->t->n_params; i++)
		add_pair(&j, w->t->params[i].name, values[i]);
	jw_end(&j);
	jw_end(&j);
	r = buf_check(&json, "template data", w->reterr);
	if (!r)
		r = doc_parse_json(&w->arena, "template data", buf_str(&json), &n, w->reterr);
	if (!r)
		*ret = n;
	return r;
}

static int collect_values(struct work *w, const struct golden_value *given, size_t n)
{
	str *values = ARENA_ARRAY(&w->arena, w->t->n_params + 1, str);
	const struct doc_node *only_name = NULL;
	int r = check_names(w, given, n);

	if (!r && !values)
		return arena_check(&w->arena, "template", w->reterr);
	if (!r) {
		struct golden_template none = { .name = w->t->name, .version = w->t->version };
		const struct golden_template *t = w->t;

		w->t = &none;
		r = make_data(w, NULL, false, &only_name);
		w->t = t;
	}
	for (size_t i = 0; i < w->t->n_params && !r; i++) {
		const struct golden_param *p = &w->t->params[i];
		const struct golden_value *v = find_value(given, n, p->name);
		struct buf text CLEANUP_BUF = BUF_INIT(4096);

		if (!v)
			r = render_text(w, "default", p->otherwise, only_name, MUSTACHE_NONE, &text);
		values[i] = v ? v->value : arena_str(&w->arena, buf_str(&text));
		if (!r)
			r = check_value(p, values[i], w->reterr);
	}
	if (!r)
		r = make_data(w, values, false, &w->words);
	return r ? r : make_data(w, values, true, &w->all);
}

/* --- writing --- */

static int write_file(struct work *w, const char *folder, const struct out_file *f)
{
	char path[PATH_MAX], *slash;
	int r = fs_join(path, sizeof(path), w->reterr, folder, f->path);

	if (r)
		return r;
	slash = strrchr(path, '/');
	*slash = 0;
	r = fs_mkdirs(path, 0777, w->reterr);
	*slash = '/';
	return r ? r : fs_write_quick(path, buf_str(&f->text), f->executable ? 0777 : 0666, w->reterr);
}

static int write_all(struct work *w, const char *target)
{
	char temp[PATH_MAX];
	int r = 0, n = snprintf(temp, sizeof(temp), "%s.weir-XXXXXX", target);

	if (n < 0 || (size_t)n >= sizeof(temp))
		return err_set(w->reterr, WEIR_ELIMIT, "path of the target is too long");
	if (!mkdtemp(temp))
		return err_errno(w->reterr, errno, "cannot make a folder beside %s", target);
	for (size_t i = 0; i < w->n_files && !r; i++)
		r = write_file(w, temp, &w->files[i]);
	if (!r && chmod(temp, 0755))
		r = err_errno(w->reterr, errno, "%s", temp);
	if (!r && renameat2(AT_FDCWD, temp, AT_FDCWD, target, RENAME_NOREPLACE))
		r = errno == EEXIST ? err_set(w->reterr, WEIR_EEXIST, "%s is there already: nothing was written", target)
							: err_errno(w->reterr, errno, "cannot make %s", target);
	if (r && fs_remove_tree(temp, NULL))
		err_wrap(w->reterr, "%s could not be removed", temp);
	return r;
}

int golden_render_from(const struct golden_source *src, str template_name, str project, const struct golden_value *values,
					   size_t n_values, const char *target, int64_t *ret_version, struct err *reterr)
{
	struct work w = { .arena = ARENA_INIT(ARENA_MAX), .src = src, .project = project, .reterr = reterr };
	struct golden_template *t = NULL;
	int r = check_project(project, reterr);

	if (!r && fs_exists(target))
		r = err_set(reterr, WEIR_EEXIST, "%s is there already: nothing was written", target);
	if (!r)
		r = find_template(src, &w.arena, template_name, &t, reterr);
	if (!r) {
		w.t = t;
		r = collect_values(&w, values, n_values);
	}
	if (!r)
		r = render_all(&w);
	if (!r)
		r = write_all(&w, target);
	if (!r && ret_version)
		*ret_version = w.t->version;
	for (size_t i = 0; i < w.n_files; i++)
		buf_fini(&w.files[i].text);
	arena_fini(&w.arena);
	return r;
}

/* --- the embedded ones --- */

int golden_list(struct arena *a, struct golden_template **ret, size_t *ret_n, struct err *reterr)
{
	const struct golden_source src = { golden_files, golden_files_n };

	return golden_list_from(&src, a, ret, ret_n, reterr);
}

int golden_render(str template_name, str project, const struct golden_value *values, size_t n_values, const char *target,
				  int64_t *ret_version, struct err *reterr)
{
	const struct golden_source src = { golden_files, golden_files_n };

	return golden_render_from(&src, template_name, project, values, n_values, target, ret_version, reterr);
}
