/* yaml.c - yaml-test-suite: {id, name, yaml_b64, fail, json?}. `json` holds one or more documents one after the other;
 * trees are compared by their canonical JSON. Cases without `json` (no JSON form) must be accepted. */
#include "base/base.h"
#include "conformance.h"

#include <jansson.h>

/* Canonical forms of all documents in `text`, a line each. */
static bool canonical_json(struct conf_case *c, str text, struct buf *out)
{
	while (str_trim(text).len) {
		json_error_t     je;
		json_t          *json = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, &je);
		struct doc_node *n = NULL;

		if (!json)
			return false;
		json_decref(json);
		if (doc_parse_json(c->arena, c->name, str_trim(str_sub(text, 0, (size_t)je.position)), &n, NULL))
			return false;
		doc_canonical(n, out);
		buf_addc(out, '\n');
		text = str_sub(text, (size_t)je.position, text.len);
	}
	return true;
}

static void compare(struct conf_case *c, struct doc_node **docs, size_t n)
{
	struct buf want = BUF_INIT(1 << 20), seen = BUF_INIT(1 << 20);

	for (size_t i = 0; i < n; i++) {
		doc_canonical(docs[i], &seen);
		buf_addc(&seen, '\n');
	}
	if (canonical_json(c, doc_get_str(c->json, "json"), &want))
		conf_equal(c, NULL, buf_str(&want), buf_str(&seen));
	else
		conf_fail(c, NULL, "JSON in the case", "it cannot be read");
	buf_fini(&want);
	buf_fini(&seen);
}

static void run(struct conf_case *c)
{
	bool              must_fail = doc_get_bool(c->json, "fail", false);
	struct doc_node **docs = NULL;
	size_t            n = 0;
	struct err        err = { 0 };
	int               r = doc_parse_yaml_all(c->arena, c->name, conf_base64(c, "yaml_b64"), &docs, &n, &err);

	if (must_fail && r)
		conf_pass(c, NULL);
	else if (must_fail)
		conf_fail(c, NULL, "refused", "accepted");
	else if (r)
		conf_fail(c, NULL, "accepted", "%s", err.msg);
	else if (doc_get(c->json, "json"))
		compare(c, docs, n);
	else
		conf_pass(c, NULL);
}

static const char *const files[] = { "json/yaml-test-suite.jsonl", NULL };
const struct conf_suite suite_yaml = { .name = "yaml", .files = files, .name_key = "id", .run = run };
