/* cel_descriptors.h - message types for tests: .proto files compiled by protoc at run time into a pool. */
#ifndef WEIR_TESTS_CEL_DESCRIPTORS_H
#define WEIR_TESTS_CEL_DESCRIPTORS_H

#include "lang/cel/cel-message.h"

/* Compiles every .proto file in `dir` and the folders below it (names in imports are relative to dir; google/protobuf is protoc's
 * own) and reads the result into a new pool. -WEIR_ENOENT: protoc or its files (Debian: protobuf-compiler, libprotobuf-dev) are
 * not installed, or there is no such folder; the message says which. */
MUST_CHECK int cel_descriptors_load(struct arena *a, const char *dir, struct cel_pool **ret, struct err *reterr);
/* The descriptor set itself, for tests that want its bytes. */
MUST_CHECK int cel_descriptors_compile(const char *dir, struct buf *out, struct err *reterr);

#endif
