/* proto_source.h - .proto files as a descriptor set, for tests: the suites' message definitions, without protoc.
 *
 * Reads proto2 and proto3: messages, enums, extensions, groups, maps, oneofs, defaults, packed. Options, services and reserved
 * ranges are skipped. Names must be those of the files given or of google.protobuf's well-known types. */
#ifndef WEIR_TESTS_PROTO_SOURCE_H
#define WEIR_TESTS_PROTO_SOURCE_H

#include "base/arena.h"
#include "base/str.h"

struct proto_file {
	str name, text;
};
/* Appends a serialized FileDescriptorSet of all files. Errors: -WEIR_EPARSE "FILE:LINE: what". */
MUST_CHECK int proto_source_compile(struct arena *a, const struct proto_file *files, size_t n, struct buf *out, struct err *reterr);

#endif
