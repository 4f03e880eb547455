/* cel_descriptors.h - message types for tests: the .proto files of a folder as a pool. */
#ifndef WEIR_TESTS_CEL_DESCRIPTORS_H
#define WEIR_TESTS_CEL_DESCRIPTORS_H

#include "lang/cel/cel-message.h"

/* Reads every .proto file in `dir` and the folders below it into a new pool; google.protobuf's own types are known without files.
 * -WEIR_ENOENT: no such folder. */
MUST_CHECK int cel_descriptors_load(struct arena *a, const char *dir, struct cel_pool **ret, struct err *reterr);
/* The same through protoc, which writes the descriptor set. -WEIR_ENOENT too when protoc or its files (Debian: protobuf-compiler,
 * libprotobuf-dev) are not installed. */
MUST_CHECK int cel_descriptors_protoc(struct arena *a, const char *dir, struct cel_pool **ret, struct err *reterr);

#endif
