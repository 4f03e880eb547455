/* page.c - building and rendering one page (see page.h). Worker threads; a page lives in its request. */
#include "base/base.h"
#include "base/map.h"
#include "web/page.h"

#define PAGE_BYTES_MAX (16 << 20) /* data or text of one page */

void page_init(struct page *p, struct web *web, struct http_req *req, const char *title, const char *section)
{
	const struct http_identity *who = http_who(req);

	*p = (struct page){ .web = web, .req = req, .a = http_arena(req), .now = clock_wall_now() };
	buf_init(&p->json, PAGE_BYTES_MAX);
	jw_init(&p->w, &p->json);
	jw_obj(&p->w);
	jw_kstrz(&p->w, "title", title);
	jw_key(&p->w, "section");
	jw_obj(&p->w);
	jw_kbool(&p->w, section, true);
	jw_end(&p->w);
	if (who->scope != SCOPE_NONE) {
		jw_key(&p->w, "who");
		jw_obj(&p->w);
		jw_kstrz(&p->w, "name", who->name);
		jw_kstrz(&p->w, "scope", scope_name(who->scope));
		jw_end(&p->w);
	}
	jw_kbool(&p->w, "may_release", http_may(req, SCOPE_RELEASE));
}

void page_fini(struct page *p) { buf_fini(&p->json); }

static int ask(struct page *p, struct doc_node **ret, struct err *reterr, const char *path)
{
	if (!path)
		return arena_check(p->a, "a path", reterr);
	return p->web->ops.api(p->web->ops.ctx, http_who(p->req), http_remote(p->req), "GET", path, STR_NULL, p->a, ret, reterr);
}

static const char *format(struct arena *a, const char *fmt, va_list ap)
{
	struct buf b CLEANUP_BUF = BUF_INIT(16 << 10);

	buf_addv(&b, fmt, ap);
	return b.failed ? NULL : arena_dup(a, buf_str(&b));
}

int page_ask(struct page *p, struct doc_node **ret, struct err *reterr, const char *path_fmt, ...)
{
	va_list ap;

	va_start(ap, path_fmt);
	const char *path = format(p->a, path_fmt, ap);
	va_end(ap);
	return ask(p, ret, reterr, path);
}

int page_ask_maybe(struct page *p, struct doc_node **ret, struct err *reterr, const char *path_fmt, ...)
{
	va_list ap;
	int     r;

	va_start(ap, path_fmt);
	const char *path = format(p->a, path_fmt, ap);
	va_end(ap);
	r = ask(p, ret, reterr, path);
	if (r != -WEIR_ENOENT && r != -WEIR_EPERM)
		return r;
	*ret = NULL;
	return 0;
}

int page_do(struct page *p, const char *method, str body, struct doc_node **ret, struct err *reterr, const char *path_fmt, ...)
{
	va_list ap;

	va_start(ap, path_fmt);
	const char *path = format(p->a, path_fmt, ap);
	va_end(ap);
	*ret = NULL;
	if (!path)
		return arena_check(p->a, "a path", reterr);
	return p->web->ops.api(p->web->ops.ctx, http_who(p->req), http_remote(p->req), method, path, body, p->a, ret, reterr);
}

/* All names that forms of pages with text have: what is not in a form is not in the answer either. */
static const char *const typed_names[] = { "key", "name", "environment", "definition", "document", "comment", "context", "at", "title", "apply_at", "reason", "contexts", "change", "plan" };

void page_refused(struct page *p, const char *form, const struct err *why)
{
	http_status(p->req, err_http_status(why->code));
	jw_key(&p->w, "failed");
	jw_obj(&p->w);
	jw_kbool(&p->w, form, true);
	jw_kstrz(&p->w, "message", why->msg);
	jw_kbool(&p->w, "conflict", why->code == WEIR_ECONFLICT);
	jw_end(&p->w);
	jw_key(&p->w, "typed");
	jw_obj(&p->w);
	for (size_t i = 0; i < ARRAY_SIZE(typed_names); i++)
		if (http_form(p->req, typed_names[i]).ptr)
			jw_kstr(&p->w, typed_names[i], http_form(p->req, typed_names[i]));
	jw_end(&p->w);
}

void page_add(struct page *p, const char *key, const struct doc_node *n)
{
	view_write_pair(&p->w, str_z(key), n, p->now);
}

const struct doc_node *page_without(struct page *p, const struct doc_node *map, const char *const *keys)
{
	struct doc_node *n = map ? ARENA_NEW(p->a, struct doc_node) : NULL;

	if (!n || map->kind != DOC_MAP)
		return n ? map : NULL;
	*n = *map;
	n->map.n = 0;
	n->map.pairs = ARENA_ARRAY(p->a, map->map.n + 1, struct doc_pair);
	for (size_t i = 0; n->map.pairs && i < map->map.n; i++) {
		bool out = false;

		for (size_t k = 0; keys[k]; k++)
			out |= str_eqz(map->map.pairs[i].key, keys[k]);
		if (!out)
			n->map.pairs[n->map.n++] = map->map.pairs[i];
	}
	return n;
}

const char *page_url(struct page *p, str s)
{
	struct buf b CLEANUP_BUF = BUF_INIT(4096);
	const char *text;

	buf_add_url(&b, s);
	text = arena_dup(p->a, buf_str(&b));
	return text ? text : "";
}

static const struct mustache *partial(void *ctx, str name) { return map_get(ctx, name); }

int page_show(struct page *p, const char *template_name, struct err *reterr)
{
	struct mustache_env    env = { .escape = MUSTACHE_HTML, .partial = partial, .ctx = p->web->templates };
	const struct mustache *t = map_get(p->web->templates, str_z(template_name));
	struct doc_node       *data;
	int                    r;

	jw_end(&p->w);
	if (!t)
		BUG("there is no template '%s'", template_name);
	r = buf_check(&p->json, "the page's data", reterr);
	if (!r)
		r = doc_parse_json(p->a, template_name, buf_str(&p->json), &data, reterr);
	if (r)
		return r;
	http_type(p->req, "text/html; charset=utf-8");
	return mustache_render(t, data, &env, http_out(p->req), reterr);
}
