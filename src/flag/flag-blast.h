/* flag-blast.h - whom a change hits: contexts evaluated by two compiled sets, before and after. Pure. */
#ifndef WEIR_FLAG_FLAG_BLAST_H
#define WEIR_FLAG_FLAG_BLAST_H

#include "flag/flag-eval.h"

enum { FLAG_BLAST_EXAMPLES = 10, FLAG_BLAST_MOVES = 50 };

struct flag_blast_move {
	struct flag_answer from, to; /* without details; texts belong to the sets */
	size_t             contexts;
};
struct flag_blast_flag {
	str    key;
	bool   touched; /* false: it depends on one that is */
	size_t flips;   /* contexts that get something else */
	struct flag_blast_move *moves; /* the first FLAG_BLAST_MOVES kinds, in the order they were met */
	size_t n_moves;
	struct {
		size_t             context; /* index */
		struct flag_answer from, to;
	} examples[FLAG_BLAST_EXAMPLES];
	size_t n_examples;
};
struct flag_blast {
	struct flag_blast_flag *flags; /* touched ones first, then those that depend on them */
	size_t                  n_flags;
	size_t                  left_out; /* flags over LIMIT_FLAG_BLAST_FLAGS */
	size_t                  contexts; /* looked at: all, or as many as LIMIT_FLAG_BLAST_STEPS and _NODES allow */
};

struct flag_blast_question {
	const struct flag_set    *before, *after;
	const str                *touched; /* keys that the change brings; NULL: all flags (what they share changed) */
	size_t                    n_touched;
	const struct logic_value *contexts; /* objects */
	size_t                    n_contexts;
	usec_t                    now;
};

/* What a context gets has changed when variant, value or error differ; a flag that is not there says FLAG_NOT_FOUND. The sets must outlive *ret, which
 * lives in a. Errors: -WEIR_ENOMEM, -WEIR_ELIMIT (the arena). */
MUST_CHECK int flag_blast(struct arena *a, const struct flag_blast_question *q, struct flag_blast *ret, struct err *reterr);

#endif
