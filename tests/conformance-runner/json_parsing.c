/* json_parsing.c - JSONTestSuite, parsing: {name, expect accept|reject|either, bytes_b64}. An accepted text must also
 * survive being written and read again. */
#include "base/base.h"
#include "conformance.h"

static void round_trip(struct conf_case *c, const struct doc_node *first)
{
	struct buf       one = BUF_INIT(64 << 20), two = BUF_INIT(64 << 20);
	struct doc_node *again = NULL;
	struct err       err = { 0 };

	doc_canonical(first, &one);
	if (buf_check(&one, "canonical form", &err) || doc_parse_json(c->arena, "canonical", buf_str(&one), &again, &err)) {
		conf_fail(c, NULL, "the canonical form is JSON", "%s", err.msg);
	} else {
		doc_canonical(again, &two);
		conf_equal(c, NULL, buf_str(&one), buf_str(&two));
	}
	buf_fini(&one);
	buf_fini(&two);
}

static void run(struct conf_case *c)
{
	str              text = conf_base64(c, "bytes_b64"), expect = doc_get_str(c->json, "expect");
	struct doc_node *n = NULL;
	struct err       err = { 0 };
	int              r = doc_parse_json(c->arena, c->name, text, &n, &err);

	if (r && str_eqz(expect, "accept"))
		conf_fail(c, NULL, "accepted", "%s", err.msg);
	else if (!r && str_eqz(expect, "reject"))
		conf_fail(c, NULL, "refused", "accepted");
	else if (r)
		conf_pass(c, NULL);
	else
		round_trip(c, n);
}

static const char *const files[] = { "json/json-parsing.jsonl", NULL };
const struct conf_suite suite_json_parsing = { .name = "json-parsing", .files = files, .run = run };
