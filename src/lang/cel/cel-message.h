/* cel-message.h - structured values whose types the embedder declares by descriptors (protobuf, proto2 and proto3).
 *
 * A pool holds message types, enums and extensions. It always knows google.protobuf's well-known types, which CEL maps to its own:
 * wrappers to null or a scalar, Timestamp, Duration, Struct, Value, ListValue, Any (unpacked when read, packed when assigned).
 * A pool is filled first, then read by any number of threads. */
#ifndef WEIR_LANG_CEL_MESSAGE_H
#define WEIR_LANG_CEL_MESSAGE_H

#include "lang/cel/cel.h"

struct cel_message_type;
struct cel_field;

MUST_CHECK int cel_pool_new(struct arena *a, struct cel_pool **ret, struct err *reterr);
/* A serialized google.protobuf.FileDescriptorSet with its imports in it (protoc --include_imports --descriptor_set_out).
 * A file that is there already (by its name) is skipped. Errors: -WEIR_EPARSE, -WEIR_EINVAL (names the type or file). */
MUST_CHECK int cel_pool_add_descriptors(struct cel_pool *p, str bytes, struct err *reterr);

const struct cel_message_type *cel_pool_message(const struct cel_pool *p, str full_name); /* NULL: none */
bool cel_pool_enum(const struct cel_pool *p, str full_name);
bool cel_pool_enum_value(const struct cel_pool *p, str full_name, int32_t *ret); /* "pkg.Enum.VALUE" */
bool cel_pool_enum_constant(const struct cel_pool *p, str full_name, struct cel_value *ret); /* the same as CEL has it: an int or strong */
/* Makes the pool's enums types of their own at run time: type(x) is pkg.Enum, x == 1 is false, int(x) and pkg.Enum(1) convert.
 * Called once, when the pool is filled. *ret: the conversions, to be added to every environment that uses the pool, after
 * cel_env_set_pool. Without it enums are ints. Static types are int in both cases. */
MUST_CHECK int cel_pool_strong_enums(struct cel_pool *p, const struct cel_lib **ret, struct err *reterr);
/* For variables: an int, or the strong value; an error value when there is no such enum. */
struct cel_value cel_enum_of(struct arena *a, const struct cel_pool *p, str full_name, int32_t number);
const struct cel_field *cel_message_field(const struct cel_message_type *t, str name); /* NULL: none */
/* "pkg.ext" that extends t; NULL: none. Also reached by cel_message_field(t, "pkg.ext"). */
const struct cel_field *cel_pool_extension(const struct cel_pool *p, const struct cel_message_type *t, str full_name);
const struct cel_type *cel_field_type(const struct cel_field *f);          /* as the checker has it: wrapper(int), list(int), dyn for Value */
const struct cel_type *cel_message_type_type(const struct cel_message_type *t); /* timestamp for google.protobuf.Timestamp, and so on */

/* --- values --- */
/* T{field: value, ...}: checks and converts each value to its field's type (enum range, int32 range, wrappers, null for messages, Any).
 * Gives the plain CEL value for well-known types, a CEL_ERROR value when something does not fit. */
struct cel_value cel_message_make(struct arena *a, const struct cel_pool *p, const struct cel_message_type *t, const struct cel_field *const *fields,
								  const struct cel_value *values, size_t n);
struct cel_value cel_message_get(struct arena *a, const struct cel_message *m, const struct cel_field *f); /* the default when it is not set */
bool cel_message_has(const struct cel_message *m, const struct cel_field *f); /* has(): set, by the field's presence rules */
const struct cel_message_type *cel_message_type_of(const struct cel_message *m);
bool cel_message_equal(const struct cel_message *a, const struct cel_message *b);
/* Serialized form, both ways; unknown fields are kept. Errors: -WEIR_EPARSE, -WEIR_ELIMIT (depth 100). */
MUST_CHECK int cel_message_parse(struct arena *a, const struct cel_pool *p, const struct cel_message_type *t, str bytes, struct cel_value *ret,
								 struct err *reterr);
MUST_CHECK int cel_message_serialize(const struct cel_message *m, struct buf *out, struct err *reterr);
/* The JSON mapping of protobuf; n's places in errors. The value borrows n's texts. */
MUST_CHECK int cel_message_from_doc(struct arena *a, const struct cel_pool *p, const struct cel_message_type *t, const struct doc_node *n,
									struct cel_value *ret, struct err *reterr);
MUST_CHECK int cel_message_to_json(const struct cel_message *m, struct buf *out, struct err *reterr);

#endif
