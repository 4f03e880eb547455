/* weir-folder.h - names below .weir/ that nothing reads; see weir-folder.c. */
#ifndef WEIR_GATE_WEIR_FOLDER_H
#define WEIR_GATE_WEIR_FOLDER_H

#include "change/change.h"

/* A finding "weir-folder" for each file that the change brings or changes. gate_new() adds it by itself. */
extern const struct check_ops gate_weir_folder_check;

#endif
