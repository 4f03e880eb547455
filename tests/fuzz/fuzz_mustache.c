/* fuzz_mustache.c - no template crashes, hangs or overruns, and one rendered twice gives the same bytes; every partial, parent and lambda is the
 * template itself. */
#include "base/base.h"
#include "lang/mustache/mustache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct context {
	struct mustache *self;
	str text;
};

static const struct mustache *partial(void *ctx, str name)
{
	return name.len % 2 ? ((struct context *)ctx)->self : NULL;
}

static int lambda(void *ctx, const struct doc_node *v, str raw, struct buf *out, bool *ret_is_lambda, struct err *reterr)
{
	(void)reterr;
	*ret_is_lambda = v->kind == DOC_STR && str_eqz(v->s, "fn");
	if (*ret_is_lambda && out)
		buf_add_str(out, raw.len ? raw : ((struct context *)ctx)->text);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char json[] = "{\"a\":[1,{\"b\":\"<\"},[]],\"b\":{\"a\":\"x\",\"c\":false},\"c\":\"fn\",\"d\":\"odd\"}";
	struct arena a = ARENA_INIT(8 << 20);
	struct buf out = BUF_INIT(1 << 16), again = BUF_INIT(1 << 16);
	struct context c = { .text = str_n((const char *)data, size) };
	struct mustache_env env = { .escape = size % 4, .partial = partial, .lambda = lambda, .ctx = &c, .steps_max = 2000 };
	struct doc_node *doc;

	if (doc_parse_json(&a, "data", str_z(json), &doc, NULL))
		BUG("data cannot be read");
	if (!mustache_parse(&a, "f", c.text, &c.self, NULL)) {
		int first = mustache_render(c.self, doc, &env, &out, NULL), second = mustache_render(c.self, doc, &env, &again, NULL);

		if (first != second || (!first && !str_eq(buf_str(&out), buf_str(&again))))
			BUG("rendered twice, it differs");
	}
	buf_fini(&again);
	buf_fini(&out);
	arena_fini(&a);
	return 0;
}
