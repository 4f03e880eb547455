/* fuzz_flag.c - no definition crashes, hangs or is served otherwise than it was read: document -> strict reading -> compiled set -> answers.
 *
 * The input is JSON: {"set": a document in flagd's form, "context": object, "change"?: {KEY: definition or null}}, or such a document alone. Held: what the
 * strict reader takes also compiles; answers are the same twice and name a variant of the flag; a set changed by one revision says what a set built
 * afresh from the same texts says; an explanation gives the same answer as an evaluation and is JSON. */
#include "base/base.h"

#include "base/limits.h"
#include "base/vec.h"
#include "flag/flag-eval.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW ((usec_t)1800000000 * USEC_PER_SEC)

struct input {
	struct arena           a;
	const struct doc_node *set, *change;
	struct logic_value     context;
	struct flag_set_head   head;
	VEC(struct flag_text) texts;
};

static str json_of(struct arena *a, const struct doc_node *n)
{
	struct buf b CLEANUP_BUF = BUF_INIT(1 << 20);
	struct jw  w;

	if (!n)
		return STR("");
	jw_init(&w, &b);
	jw_node(&w, n);
	return arena_str(a, buf_str(&b));
}

static bool strictly_right(struct input *in)
{
	struct doc_check    c;
	struct flag_set_def def;
	struct err          err;

	doc_check_init(&c, &in->a, "f");
	flag_set_def_read(&c, in->set, &def);
	return !doc_check_result(&c, &err);
}

static void add_texts(struct input *in, const struct doc_node *flags, bool removals)
{
	for (size_t i = 0; flags && flags->kind == DOC_MAP && i < doc_len(flags); i++) {
		const struct doc_node *n = flags->map.pairs[i].value;
		struct flag_text       t = { flags->map.pairs[i].key, n->kind == DOC_NULL && removals ? STR("") : json_of(&in->a, n) };

		if (!VEC_PUSH(&in->texts, t))
			BUG("no memory");
	}
}

/* "REASON VARIANT ERROR" of every flag. */
static void answers(const struct flag_set *s, const struct input *in, struct buf *out)
{
	for (const struct flag *f = flag_set_next(s, NULL); f; f = flag_set_next(s, f))
		for (int want = FLAG_ANY; want <= FLAG_INTEGER; want++) {
			struct arena        scratch = ARENA_INIT(4 << 20);
			struct flag_context c = { .data = in->context, .now = NOW, .scratch = &scratch };
			struct flag_answer  a;

			flag_evaluate(s, f->key, (enum flag_type)want, &c, &a);
			if (a.variant && (a.variant < f->variants || a.variant >= f->variants + f->n_variants))
				BUG("a variant of another flag");
			if ((a.error != FLAG_OK) != (a.reason == FLAG_ERROR) || (a.error && (a.variant || (!a.details && !scratch.failed))))
				BUG("an error with a value, or without its reason");
			buf_addf(out, "%s %.*s %s\n", flag_reason_name(a.reason), a.variant ? (int)a.variant->name.len : 0, a.variant ? a.variant->name.ptr : "", flag_error_name(a.error));
			arena_fini(&scratch);
		}
}

static void explain(const struct flag_set *s, const struct input *in)
{
	for (const struct flag *f = flag_set_next(s, NULL); f; f = flag_set_next(s, f)) {
		struct arena        scratch = ARENA_INIT(64 << 20);
		struct flag_context c = { .data = in->context, .now = NOW, .scratch = &scratch };
		struct flag_answer  a;
		struct buf          out = BUF_INIT(16 << 20);
		struct doc_node    *n;
		struct jw           w;
		struct err          err;

		flag_evaluate(s, f->key, FLAG_ANY, &c, &a);
		jw_init(&w, &out);
		if (flag_explain(s, f->key, &c, &w, &err))
			BUG("explained: %s", err.msg);
		if (!out.failed && !doc_parse_json(&scratch, "e", buf_str(&out), &n, &err) && a.details && !strstr(a.details, "steps") &&
		    !str_eqz(doc_get_str(n, "reason"), flag_reason_name(a.reason)))
			BUG("explained another answer: %s", buf_z(&out));
		buf_fini(&out);
		arena_fini(&scratch);
	}
}

static void tell(void *ctx, const struct flag *f UNUSED, const char *what)
{
	if (!*what)
		BUG("a complaint without words");
	++*(size_t *)ctx;
}

static void no_broken_ones(const struct flag_set *s)
{
	for (const struct flag *f = flag_set_next(s, NULL); f; f = flag_set_next(s, f))
		if (f->broken && !strstr(f->broken, "there is no evaluator") /* of another document, says the reader */ && !strstr(f->broken, "memory") && !strstr(f->broken, "limit"))
			BUG("read strictly, yet broken: %s", f->broken);
}

static void run(struct input *in)
{
	struct buf       one = BUF_INIT(8 << 20), two = BUF_INIT(8 << 20);
	struct flag_set *s = NULL, *next = NULL, *fresh = NULL;
	struct err       err;
	size_t           n_told = 0;
	bool             right = strictly_right(in);

	in->head = (struct flag_set_head){ STR("a/b"), 1, json_of(&in->a, doc_get(in->set, "$evaluators")), json_of(&in->a, doc_get(in->set, "metadata")),
										 json_of(&in->a, doc_path(in->set, "weir.segments")) };
	add_texts(in, doc_get(in->set, "flags"), false);
	if (!arena_check(&in->a, "f", &err) && !flag_set_build(NULL, &in->head, in->texts.v, in->texts.n, &s, &err)) {
		flag_set_check(s, tell, &n_told);
		if (right)
			no_broken_ones(s);
		answers(s, in, &one);
		answers(s, in, &two);
		if (!str_eq(buf_str(&one), buf_str(&two)))
			BUG("two answers:\n%s%s", buf_z(&one), buf_z(&two));
		explain(s, in);
	}
	if (s && in->change) {
		size_t had = in->texts.n;

		add_texts(in, in->change, true);
		if (!flag_set_build(s, &in->head, in->texts.v + had, in->texts.n - had, &next, &err) &&
		    !flag_set_build(NULL, &in->head, in->texts.v, in->texts.n, &fresh, &err)) {
			one.len = two.len = 0;
			if (flag_set_count(next) != flag_set_count(fresh))
				BUG("%zu flags, not %zu", flag_set_count(next), flag_set_count(fresh));
			for (const struct flag *f = flag_set_next(next, NULL); f; f = flag_set_next(next, f))
				if (!flag_set_find(fresh, f->key) || !str_eq(flag_set_find(fresh, f->key)->text, f->text))
					BUG("another text of %.*s", STR_ARG(f->key));
		}
	}
	flag_set_unref(s);
	flag_set_unref(next);
	flag_set_unref(fresh);
	buf_fini(&one);
	buf_fini(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input     in = { .a = ARENA_INIT(32 << 20), .context = logic_null() };
	struct doc_node *doc;

	if (!doc_parse_json(&in.a, "f", str_n((const char *)data, size), &doc, NULL)) {
		const struct doc_node *context = doc_get(doc, "context");

		in.set = doc_get(doc, "set") ? doc_get(doc, "set") : doc;
		in.change = doc_get(doc, "change");
		if (!context || !logic_from_doc(&in.a, context, &in.context, NULL))
			run(&in);
	}
	VEC_FINI(&in.texts);
	arena_fini(&in.a);
	return 0;
}
