/* cel-message-internal.h - what the message parts of CEL share: types as the pool holds them, values as they are stored.
 *
 * A message is a sorted array of the fields that are set: its memory follows its content, not its type (a type can have
 * hundreds of fields). What is stored is what CEL sees: 150 for an Int32Value, a map for a Struct, the content of an Any.
 * "Set" is the same as has(): empty lists and maps and zero values of fields without presence are not stored. */
#ifndef WEIR_LANG_CEL_MESSAGE_INTERNAL_H
#define WEIR_LANG_CEL_MESSAGE_INTERNAL_H

#include "base/limits.h"
#include "lang/cel/cel-message.h"

/* --- types --- */

enum cel_field_kind { /* FieldDescriptorProto.Type */
	CEL_FIELD_DOUBLE = 1, CEL_FIELD_FLOAT, CEL_FIELD_INT64, CEL_FIELD_UINT64, CEL_FIELD_INT32, CEL_FIELD_FIXED64, CEL_FIELD_FIXED32, CEL_FIELD_BOOL, CEL_FIELD_STRING,
	CEL_FIELD_GROUP, CEL_FIELD_MESSAGE, CEL_FIELD_BYTES, CEL_FIELD_UINT32, CEL_FIELD_ENUM, CEL_FIELD_SFIXED32, CEL_FIELD_SFIXED64, CEL_FIELD_SINT32, CEL_FIELD_SINT64,
};
enum cel_wkt { /* types that CEL does not see as messages, or that JSON writes in its own way */
	CEL_WKT_NONE, CEL_WKT_BOOL, CEL_WKT_BYTES, CEL_WKT_DOUBLE, CEL_WKT_FLOAT, CEL_WKT_INT32, CEL_WKT_INT64, CEL_WKT_STRING,
	CEL_WKT_UINT32, CEL_WKT_UINT64, CEL_WKT_TIMESTAMP, CEL_WKT_DURATION, CEL_WKT_STRUCT, CEL_WKT_VALUE, CEL_WKT_LIST, CEL_WKT_ANY,
	CEL_WKT_FIELD_MASK, CEL_WKT_EMPTY,
};
static inline bool cel_wkt_is_wrapper(enum cel_wkt w) { return w >= CEL_WKT_BOOL && w <= CEL_WKT_UINT64; }
static inline bool cel_wkt_is_message(enum cel_wkt w) { return w == CEL_WKT_NONE || w >= CEL_WKT_FIELD_MASK; } /* for CEL */

struct cel_enum {
	str name;
	struct cel_enum_value {
		str              name;
		int32_t          number;
		struct cel_value strong; /* when it is */
	} *values;         /* by name */
	size_t  n;
	int32_t first;     /* the value declared first: the default */
	bool    null_only; /* google.protobuf.NullValue */
	bool    strong;
	struct cel_type type; /* when strong */
};
enum cel_shape { CEL_SINGULAR, CEL_REPEATED, CEL_MAPPED };
struct cel_field {
	str                            name;      /* of an extension: its full name */
	str                            json_name; /* of an extension: "[full.name]" */
	str                            type_name; /* MESSAGE, GROUP, ENUM: full name */
	str                            owner_name;
	str                            default_text; /* as the descriptor has it; ptr NULL: none */
	const struct cel_message_type *owner;     /* the type that has it or that it extends */
	const struct cel_message_type *msg;       /* MESSAGE, GROUP; MAPPED: the type of the entries */
	const struct cel_enum         *en;
	const struct cel_type         *type;      /* for the checker */
	struct cel_value               unset;     /* what reading gives while it is not set */
	int32_t                        number, oneof; /* oneof -1: in none */
	enum cel_field_kind            kind;
	enum cel_shape                 shape;
	bool                           packed, presence, extension;
};
struct cel_message { /* embedded in struct cel_any */
	const struct cel_message_type *type;
	const struct cel_slot         *slots; /* by number */
	uint32_t                       n, depth; /* depth 1: no messages in it */
	str                            unknown; /* records of unknown fields by number, those of one number in their order */
};
struct cel_slot {
	const struct cel_field *f;
	struct cel_value        v;
	const struct cel_value *raw; /* Any: the same with struct cel_any messages; strong enums: ints; else NULL */
};
struct cel_any { /* a google.protobuf.Any: never seen by CEL, which gets `content` */
	struct cel_message             msg; /* first: reached by a cast */
	str                            url;
	str                            bytes;   /* ptr NULL: made from a value, packed when it is written */
	const struct cel_message_type *type;    /* of the content; NULL: unknown to the pool */
	struct cel_value               content; /* CEL_ERROR: cannot be unpacked */
	const struct cel_value        *raw;     /* the content when it is an Any itself; else NULL */
};
struct cel_message_type {
	str                            name;
	const struct cel_pool         *pool;
	struct cel_field              *fields;  /* by number */
	const struct cel_field       **by_name, **by_json;
	size_t                         n_fields, n_oneofs;
	enum cel_wkt                   wkt;
	bool                           map_entry;
	struct cel_type                own;     /* {CEL_T_MESSAGE, name} */
	const struct cel_type         *type;    /* what CEL makes of it: &own or another */
	struct cel_message             empty;
};
struct cel_pool {
	struct arena             *arena;
	str                      *files; /* all arrays are sorted by name, extensions by owner and number */
	struct cel_message_type **types;
	struct cel_enum         **enums;
	struct cel_field        **extensions, **extensions_by_name;
	size_t                    n_files, n_types, n_enums, n_extensions;
	struct cel_value          no_any; /* what reading an Any gives that is not set */
};

const struct cel_field *cel_message_field_number(const struct cel_pool *p, const struct cel_message_type *t, uint32_t number);
const struct cel_field *cel_message_field_json(const struct cel_message_type *t, str name); /* its own name or that of JSON */
const struct cel_enum *cel_pool_enum_type(const struct cel_pool *p, str full_name);
const struct cel_enum_value *cel_enum_by_name(const struct cel_enum *e, str name);
str cel_enum_name(const struct cel_enum *e, int32_t number); /* STR_NULL: none */

struct cel_message_type *cel_pool_any_message(const struct cel_pool *p, str full_name); /* map entries too */
bool cel_pool_has_file(const struct cel_pool *p, str name);

/* Orders of the pool's arrays, for qsort and bsearch: pointers to pointers, but for by_number (fields) and by_str. */
int cel_by_type_name(const void *a, const void *b);
int cel_by_enum_name(const void *a, const void *b);
int cel_by_field_name(const void *a, const void *b);
int cel_by_json_name(const void *a, const void *b);
int cel_by_owner(const void *a, const void *b); /* then by number */
int cel_by_number(const void *a, const void *b);
int cel_by_str(const void *a, const void *b);
void cel_sort(void *base, size_t n, size_t size, int (*cmp)(const void *, const void *));

struct cel_value cel_enum_value_of(struct arena *a, const struct cel_enum *e, int32_t number);
/* The number of an int or of a strong value of e; e NULL: of a strong value of any enum. False: neither. */
bool cel_enum_number(struct cel_value v, const struct cel_enum *e, int64_t *ret);

/* --- filling a pool (cel-pool.c): declare everything, then link; a failure leaves the pool as it was --- */

struct cel_fill {
	struct arena             *arena;
	struct cel_pool          *pool;
	struct cel_message_type **types;
	struct cel_enum         **enums;
	struct cel_field        **extensions;
	str                      *files;
	size_t                    n_types, n_enums, n_extensions, n_files, cap_types, cap_enums, cap_extensions, cap_files;
};
void cel_fill_init(struct cel_fill *f, struct cel_pool *p);
MUST_CHECK int cel_fill_type(struct cel_fill *f, struct cel_message_type *t, struct err *reterr);
MUST_CHECK int cel_fill_enum(struct cel_fill *f, struct cel_enum *e, struct err *reterr);
MUST_CHECK int cel_fill_extension(struct cel_fill *f, struct cel_field *x, struct err *reterr);
MUST_CHECK int cel_fill_file(struct cel_fill *f, str name, struct err *reterr);
/* Resolves every name and puts all into the pool (cel-link.c). Errors: -WEIR_EINVAL (names the type), -WEIR_ELIMIT. */
MUST_CHECK int cel_fill_link(struct cel_fill *f, struct err *reterr);
/* Makes room for one more item of `size` bytes in an array of the arena: doubles it. */
MUST_CHECK bool cel_grow(struct arena *a, void **items, size_t *cap, size_t n, size_t size);

/* --- well-known types (cel-wkt-table.c, cel-wkt.c) --- */

MUST_CHECK int cel_wkt_declare(struct cel_fill *f, struct err *reterr);
enum cel_wkt cel_wkt_of(str full_name);
const struct cel_type *cel_wkt_type(enum cel_wkt w); /* NULL: a message for CEL */
struct cel_value cel_wkt_unset(enum cel_wkt w);      /* what reading a field gives while it is not set; not for ANY */

/* --- values --- */

struct cel_work { /* one call into the message parts */
	struct arena          *arena;
	const struct cel_pool *pool;
	struct err            *err;
};
struct cel_items { /* what a list or map is made from */
	struct cel_value *keys, *values, *raws; /* keys: maps; raws: as in a slot */
	size_t            n, cap, cap_keys, cap_raws;
};
struct cel_part { /* a field while its message is built */
	const struct cel_field *f;
	struct cel_value        v;
	const struct cel_value *raw;
	struct cel_items        items;  /* REPEATED, MAPPED */
	str                    *chunks; /* serialized pieces of a singular message: they are one when put together */
	size_t                  n_chunks, cap_chunks;
};
struct cel_build {
	struct cel_work              *w;
	const struct cel_message_type *type;
	struct cel_part              *parts; /* by number */
	size_t                        n, cap;
	struct cel_record            *unknown;
	size_t                        n_unknown, cap_unknown;
	uint32_t                      depth; /* of this message in what is built from outside: the first is 1 */
	struct cel_part               few[4]; /* parts at first: most messages are small, and many may be */
};
void cel_build_init(struct cel_build *b, struct cel_work *w, const struct cel_message_type *t, uint32_t depth);
MUST_CHECK int cel_build_part(struct cel_build *b, const struct cel_field *f, struct cel_part **ret); /* found or made; ends others of its oneof */
void cel_build_drop(struct cel_build *b, const struct cel_field *f);
MUST_CHECK int cel_items_add(struct cel_work *w, struct cel_items *items, const struct cel_value *key, struct cel_value v,
							 const struct cel_value *raw);
/* The value of what was built: a message, or what CEL sees of a well-known type. *ret_raw: NULL, or the Any itself. */
MUST_CHECK int cel_build_finish(struct cel_build *b, struct cel_value *ret, const struct cel_value **ret_raw);
int cel_work_nomem(struct cel_work *w);

/* One value for a field (or for an item of it), converted by CEL's rules of assignment. *ret_unset: null, which clears it. */
MUST_CHECK int cel_assign(struct cel_work *w, const struct cel_field *f, struct cel_value in, struct cel_value *ret,
						  const struct cel_value **ret_raw, bool *ret_unset);
/* A value as google.protobuf.Value holds it: null, bool, double, string, list, map with text keys. */
MUST_CHECK int cel_json_value(struct cel_work *w, struct cel_value in, unsigned depth, struct cel_value *ret);
MUST_CHECK int cel_json_value_of_doc(struct cel_work *w, const struct doc_node *n, struct cel_value *ret);
MUST_CHECK int cel_any_of_value(struct cel_work *w, struct cel_value in, struct cel_value *ret, const struct cel_value **ret_raw);
/* From type URL and bytes: unpacks. A content that cannot be read makes no error here, but an error value. */
MUST_CHECK int cel_any_of_bytes(struct cel_work *w, str url, str bytes, uint32_t depth, struct cel_value *ret,
								const struct cel_value **ret_raw);
MUST_CHECK int cel_any_of_content(struct cel_work *w, const struct cel_message_type *t, str url, struct cel_value content,
								  const struct cel_value *content_raw, struct cel_value *ret, const struct cel_value **ret_raw);
/* What CEL sees of a well-known type whose fields were built. */
MUST_CHECK int cel_wkt_finish(struct cel_build *b, struct cel_value *ret, const struct cel_value **ret_raw);
bool cel_is_zero(struct cel_value v);             /* the default of its kind, for fields without presence */
uint32_t cel_value_depth(struct cel_value v); /* messages, lists and maps in each other; 0 for scalars */

MUST_CHECK int cel_parse_bytes(struct cel_work *w, const struct cel_message_type *t, str bytes, uint32_t depth, struct cel_value *ret,
							   const struct cel_value **ret_raw);
/* The serialized form of a value of type t as CEL sees it (of an Any: its raw value). */
void cel_write_value(const struct cel_message_type *t, struct cel_value v, struct buf *out);
static inline const struct cel_any *cel_any_of(struct cel_value raw) { return (const struct cel_any *)raw.msg; }

/* --- time in JSON (cel-message-time.c): RFC 3339 and "1.5s" --- */

void cel_time_print_json(struct cel_value t, struct buf *out);
bool cel_duration_parse_json(str s, struct cel_value *ret);
void cel_duration_print_json(struct cel_value d, struct buf *out);
bool cel_time_in_range(int64_t seconds, int32_t nanos);
bool cel_duration_in_range(int64_t seconds, int32_t nanos);

#endif
