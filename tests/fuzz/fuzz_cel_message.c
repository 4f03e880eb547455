/* fuzz_cel_message.c - no descriptor set and no message bytes crash the readers, and what was read survives: written and read
 * again it is equal (but for NaN and for what Any cannot unpack), and its JSON is the same.
 * Input: a line with the length of the descriptor set, the set, then the bytes or the JSON ("{...") of a message of its first
 * type by name. */
#include "base/base.h"
#include "lang/cel/cel-message-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cel_message_type *first_type(const struct cel_pool *p)
{
	for (size_t i = 0; i < p->n_types; i++)
		if (!str_has_prefix(p->types[i]->name, STR("google.protobuf.")) && !p->types[i]->map_entry)
			return p->types[i];
	return cel_pool_message(p, STR("google.protobuf.Any"));
}

static bool has_nan(str json)
{
	return memmem(json.ptr, json.len, "\"NaN\"", 5) != NULL;
}

static void check(struct arena *a, const struct cel_pool *p, struct cel_value v)
{
	struct buf bytes CLEANUP_BUF = BUF_INIT(1 << 20), json CLEANUP_BUF = BUF_INIT(4 << 20), json2 CLEANUP_BUF = BUF_INIT(4 << 20);
	const struct cel_message_type *t = cel_message_type_of(v.msg);
	struct cel_value again;
	struct doc_node *n;

	for (size_t i = 0; i < t->n_fields; i++)
		(void)(cel_message_has(v.msg, &t->fields[i]) && cel_message_get(a, v.msg, &t->fields[i]).kind == CEL_NULL);
	if (cel_message_serialize(v.msg, &bytes, NULL))
		return;
	if (cel_message_parse(a, p, t, buf_str(&bytes), &again, NULL)) {
		if (a->failed)
			return;
		BUG("what was written cannot be read");
	}
	if (cel_message_to_json(v.msg, &json, NULL) || cel_message_to_json(again.msg, &json2, NULL))
		return;
	if (!str_eq(buf_str(&json), buf_str(&json2)))
		BUG("another message when read again: %s and %s", buf_z(&json), buf_z(&json2));
	if (!has_nan(buf_str(&json)) && !cel_message_equal(v.msg, again.msg))
		BUG("not equal when read again: %s", buf_z(&json));
	if (doc_parse_json(a, "fuzz", buf_str(&json), &n, NULL))
		return; /* deeper than documents may be, twice the same key of a map (-0 and 0) */
	if (!cel_message_from_doc(a, p, t, n, &again, NULL))
		buf_clear(&json2);
}

static bool read_message(struct arena *a, const struct cel_pool *p, str in, struct cel_value *ret)
{
	struct doc_node *n;

	if (!str_has_prefix(in, STR("{")))
		return !cel_message_parse(a, p, first_type(p), in, ret, NULL);
	return !doc_parse_json(a, "fuzz", in, &n, NULL) && !cel_message_from_doc(a, p, first_type(p), n, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(16 << 20);
	struct cel_pool *p;
	str rest = str_n((const char *)data, size), line, set;
	uint64_t len = 0;
	struct cel_value v;

	str_cut(rest, '\n', &line, &rest);
	if (!str_to_u64(line, &len) || len > rest.len || cel_pool_new(&a, &p, NULL))
		return 0;
	set = str_n(rest.ptr, len);
	rest = str_sub(rest, len, rest.len);
	if (cel_pool_add_descriptors(p, set, NULL) && cel_pool_message(p, STR("google.protobuf.Any")) == NULL)
		BUG("a set that fails has changed the pool");
	if (read_message(&a, p, rest, &v) && v.kind == CEL_MESSAGE && !a.failed)
		check(&a, p, v);
	return 0;
}
