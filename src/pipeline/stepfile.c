/* stepfile.c - command files and workflow commands (see stepfile.h). Input comes from the step: nothing in it is trusted. */
#include "base/base.h"
#include "pipeline/stepfile.h"

void kvs_fini(struct kvs *k) { VEC_FINI(k); }

const struct kv *kvs_get(const struct kvs *k, str key)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->v[i].key, key))
			return &k->v[i];
	return NULL;
}

int kvs_set(struct kvs *k, str key, str value, struct err *reterr)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(k->v[i].key, key)) {
			k->v[i].value = value;
			return 0;
		}
	return VEC_PUSH(k, ((struct kv){ key, value })) ? 0 : err_set(reterr, WEIR_ENOMEM, "out of memory");
}

/* Next line without its end (\n or \r\n). False at the end of the text. */
static bool next_line(str *rest, str *line)
{
	if (!rest->len)
		return false;
	str_cut(*rest, '\n', line, rest);
	if (line->len && line->ptr[line->len - 1] == '\r')
		line->len--;
	return true;
}

static size_t find_heredoc(str line)
{
	for (size_t i = 0; i + 1 < line.len; i++)
		if (line.ptr[i] == '<' && line.ptr[i + 1] == '<')
			return i;
	return line.len;
}

static int heredoc(struct arena *a, const char *what, str delimiter, str *rest, size_t *n, str *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf value = BUF_INIT(SIZE_MAX / 2);
	size_t                 first = *n;
	bool                   any = false;
	str                    line;

	if (!delimiter.len)
		return err_set(reterr, WEIR_EPARSE, "%s:%zu: the delimiter behind '<<' is missing", what, *n);
	while (next_line(rest, &line)) {
		++*n;
		if (str_eq(line, delimiter)) {
			*ret = arena_str(a, buf_str(&value));
			return buf_check(&value, what, reterr);
		}
		if (any)
			buf_addc(&value, '\n');
		buf_add_str(&value, line);
		any = true;
	}
	return err_set(reterr, WEIR_EPARSE, "%s:%zu: the line '%.*s' that ends the value never comes", what, first, STR_ARG(str_sub(delimiter, 0, 60)));
}

int stepfile_parse(struct arena *a, const char *what, str text, struct kvs *ret, struct err *reterr)
{
	size_t n = 0;
	str    line, rest = text;
	int    r = 0;

	if (!str_utf8_valid(text) || (text.len && memchr(text.ptr, 0, text.len)))
		return err_set(reterr, WEIR_EPARSE, "%s: not UTF-8 text", what);
	while (!r && next_line(&rest, &line)) {
		size_t eq = str_find(line, '='), doc = find_heredoc(line);
		str    key, value;

		n++;
		if (!line.len)
			continue;
		if (eq == line.len && doc == line.len)
			return err_set(reterr, WEIR_EPARSE, "%s:%zu: neither NAME=value nor NAME<<DELIMITER: '%.*s'", what, n,
			               STR_ARG(str_sub(line, 0, 60)));
		key = str_sub(line, 0, eq < doc ? eq : doc);
		if (!key.len)
			return err_set(reterr, WEIR_EPARSE, "%s:%zu: the name is empty", what, n);
		if (eq < doc)
			value = arena_str(a, str_sub(line, eq + 1, line.len));
		else
			r = heredoc(a, what, str_sub(line, doc + 2, line.len), &rest, &n, &value, reterr);
		if (!r)
			r = kvs_set(ret, arena_str(a, key), value, reterr);
	}
	return r ? r : arena_check(a, what, reterr);
}

int stepfile_env_allowed(str name, struct err *reterr)
{
	static const char *const prefixes[] = { "GITHUB_", "RUNNER_", "WEIR_" };
	static const char *const names[] = { "NODE_OPTIONS", "CI" };
	bool                     bad = !name.len || memchr(name.ptr, 0, name.len) || memchr(name.ptr, '=', name.len);

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		bad |= str_eq_nocase(str_sub(name, 0, strlen(prefixes[i])), str_z(prefixes[i]));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		bad |= str_eq_nocase(name, str_z(names[i]));
	return bad ? err_set(reterr, WEIR_EREFUSED, "a step may not set the environment variable '%.*s' for later steps",
	                     STR_ARG(str_sub(name, 0, 80)))
	           : 0;
}

static str unescape(struct arena *a, str s, bool prop)
{
	static const struct {
		const char *code;
		char        c;
		bool        prop_only;
	} codes[] = { { "%25", '%', false }, { "%0D", '\r', false }, { "%0A", '\n', false }, { "%3A", ':', true }, { "%2C", ',', true } };
	char  *out = arena_alloc(a, s.len + 1);
	size_t n = 0;

	if (!out)
		return STR_NULL;
	for (size_t i = 0; i < s.len;) {
		bool hit = false;

		for (size_t k = 0; s.ptr[i] == '%' && k < ARRAY_SIZE(codes) && !hit; k++)
			if ((prop || !codes[k].prop_only) && str_eq_nocase(str_sub(s, i, 3), str_z(codes[k].code))) {
				out[n++] = codes[k].c;
				i += 3;
				hit = true;
			}
		if (!hit)
			out[n++] = s.ptr[i++];
	}
	return str_n(out, n);
}

static size_t find_colons(str s)
{
	for (size_t i = 0; i + 1 < s.len; i++)
		if (s.ptr[i] == ':' && s.ptr[i + 1] == ':')
			return i;
	return s.len;
}

bool stepcmd_parse(struct arena *a, str line, struct stepcmd *ret)
{
	str    t = str_trim(line), head, props, one;
	size_t end;

	*ret = (struct stepcmd){ 0 };
	if (!str_has_prefix(t, STR("::")))
		return false;
	t = str_sub(t, 2, t.len);
	end = find_colons(t);
	if (end == t.len)
		return false;
	head = str_sub(t, 0, end);
	ret->message = unescape(a, str_sub(t, end + 2, t.len), false);
	str_cut(head, ' ', &ret->name, &props);
	ret->name = str_trim(ret->name);
	props = str_trim(props);
	while (props.len && ret->n_props < ARRAY_SIZE(ret->props)) {
		str key, value;

		str_cut(props, ',', &one, &props);
		if (str_cut(one, '=', &key, &value) && str_trim(key).len)
			ret->props[ret->n_props++] = (struct kv){ str_trim(key), unescape(a, value, true) };
	}
	return ret->name.len > 0;
}

str stepcmd_prop(const struct stepcmd *c, const char *key)
{
	for (size_t i = 0; i < c->n_props; i++)
		if (str_eq_nocase(c->props[i].key, str_z(key)))
			return c->props[i].value;
	return STR_NULL;
}
