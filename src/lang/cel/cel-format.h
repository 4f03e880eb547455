/* cel-format.h - string.format() (cel-format.c). */
#ifndef WEIR_LANG_CEL_FORMAT_H
#define WEIR_LANG_CEL_FORMAT_H

#include "lang/cel/cel-lib.h"

enum { CEL_PRECISION_MAX = 1000 };
/* Appends the text; false: *ret_error says what is wrong with the format or an argument. */
bool cel_format(struct cel_call *c, str format, const struct cel_list *args, struct buf *out, struct cel_value *ret_error);

#endif
