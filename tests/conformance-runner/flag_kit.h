/* flag_kit.h - what the suites about flags share: a scenario {background, steps[{text, table?}]} run against the flag room's compiled sets. */
#ifndef WEIR_CONFORMANCE_FLAG_KIT_H
#define WEIR_CONFORMANCE_FLAG_KIT_H

#include "conformance.h"

#include "flag/flag-eval.h"

enum { CONTEXT_MAX = 16, FLAG_FILES_MAX = 32 };

struct scenario {
	struct conf_case *c;
	const struct doc_node *files[FLAG_FILES_MAX]; /* flag definitions */
	str names[FLAG_FILES_MAX];                    /* of the files, without folders */
	str selector;                                 /* name of the one source that is asked; STR_NULL: all */
	size_t n_files;
	struct logic_pair context[CONTEXT_MAX];
	uint32_t n_context;
	str type, key;               /* of the flag that is asked for */
	struct logic_value fallback;
	const char *bucketing; /* NULL: the default */
	const char *skip; /* why the scenario is none of evaluation */
	bool passed;
	/* what the evaluation gave */
	struct logic_value value;
	const char *reason, *error;
	str variant, answered; /* answered: the key of the flag */
	const struct doc_node *metadata; /* of the answer */
};

/* All steps until one is skipped or fails, then the outcome. `own`: tried first for each step; false: not one of its. May be NULL. */
void kit_run(struct scenario *s, bool (*own)(struct scenario *s, const struct doc_node *step, str text));
void kit_evaluate(struct scenario *s);
/* A value of "Boolean", "String", "Integer", "Float" or "Object" as steps write it. */
struct logic_value kit_value(struct scenario *s, str type, str text);
void kit_expect_value(struct scenario *s, struct logic_value want);
void kit_expect(struct scenario *s, const char *what, str want, str seen);
void kit_context(struct scenario *s, str key, struct logic_value v);
/* Takes `"..."` behind `what` in *text; with `last` up to the last quote of the step. */
bool kit_quoted(str *text, const char *what, bool last, str *ret);

#endif
