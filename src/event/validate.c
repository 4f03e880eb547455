/* validate.c - is `data` what the type's line in types.h says? Pure; any thread. */
#include "base/base.h"
#include "base/limits.h"
#include "event/log.h"

struct field {
	str  name;
	char type;
	bool optional;
};

/* Cuts "name?:t" off the front of *rest. */
static bool field_next(str *rest, struct field *f)
{
	str word, type;

	*rest = str_trim(*rest);
	if (!rest->len)
		return false;
	(void)str_cut(*rest, ' ', &word, rest);
	(void)str_cut(word, ':', &f->name, &type);
	f->optional = str_has_suffix(f->name, STR("?"));
	if (f->optional)
		f->name.len--;
	if (type.len != 1)
		BUG("event type table: '%.*s' has no type", STR_ARG(word));
	f->type = type.ptr[0];
	return true;
}

static const char *field_type_name(char t)
{
	switch (t) {
	case 's': return "text";
	case 'i': return "integer";
	case 'n': return "number";
	case 'b': return "boolean";
	case 'o': return "object";
	case 'a': return "array";
	default: BUG("event type table: unknown field type '%c'", t);
	}
}

static bool field_fits(char t, enum doc_kind k)
{
	switch (t) {
	case 's': return k == DOC_STR;
	case 'i': return k == DOC_INT;
	case 'n': return k == DOC_INT || k == DOC_REAL;
	case 'b': return k == DOC_BOOL;
	case 'o': return k == DOC_MAP;
	case 'a': return k == DOC_SEQ;
	default: BUG("event type table: unknown field type '%c'", t);
	}
}

static int event_fields_check(enum event_type type, const struct doc_node *data, struct err *reterr)
{
	const char  *name = event_type_name(type);
	str          rest = str_z(event_type_fields(type));
	struct field f;
	size_t       known = 0;

	while (field_next(&rest, &f)) {
		const struct doc_node *n = doc_get_n(data, f.name);

		known += n != NULL;
		if (!n && !f.optional)
			return err_set(reterr, WEIR_EINVAL, "event %s: field '%.*s' is missing", name, STR_ARG(f.name));
		if (n && !field_fits(f.type, n->kind))
			return err_set(reterr, WEIR_EINVAL, "event %s: field '%.*s' must be %s, not %s", name, STR_ARG(f.name),
			               field_type_name(f.type), doc_kind_name(n->kind));
	}
	if (known == doc_len(data))
		return 0;
	for (size_t i = 0; i < doc_len(data); i++) {
		bool found = false;

		rest = str_z(event_type_fields(type));
		while (!found && field_next(&rest, &f))
			found = str_eq(f.name, data->map.pairs[i].key);
		if (!found)
			return err_set(reterr, WEIR_EINVAL, "event %s: unknown field '%.*s'", name, STR_ARG(data->map.pairs[i].key));
	}
	return 0;
}

int event_data_check(enum event_type type, str data, struct buf *out, struct err *reterr)
{
	struct arena a CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	struct doc_node            *node;
	int                         rc;

	if (type <= EVENT_NONE || type >= EVENT_TYPE_MAX)
		return err_set(reterr, WEIR_EINVAL, "unknown event type");
	if (data.len > LIMIT_EVENT_BYTES)
		return err_set(reterr, WEIR_ELIMIT, "event %s: %zu bytes of data, at most %d", event_type_name(type), data.len, LIMIT_EVENT_BYTES);
	rc = doc_parse_json(&a, event_type_name(type), data, &node, reterr);
	if (rc)
		return err_wrap(reterr, "event data");
	if (node->kind != DOC_MAP)
		return err_set(reterr, WEIR_EINVAL, "event %s: data must be an object, not %s", event_type_name(type), doc_kind_name(node->kind));
	rc = event_fields_check(type, node, reterr);
	if (!rc) {
		doc_canonical(node, out);
		rc = buf_check(out, "an event's data", reterr);
	}
	return rc;
}
