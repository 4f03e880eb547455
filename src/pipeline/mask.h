/* mask.h - replaces secrets by *** in a stream of bytes, whatever the pieces the stream comes in.
 *
 * The result depends on the whole stream only: a suffix that may be the beginning of a secret is held back until it is decided, so that
 * reading a log again from its start gives the same bytes. Besides the value itself, its base64 form (at each of the three alignments, so
 * that it is found inside a longer encoded text), its URL-encoded and its JSON-escaped form are replaced. A value of several
 * lines is masked line by line. No line break is ever part of a secret. Not thread-safe. */
#ifndef WEIR_PIPELINE_MASK_H
#define WEIR_PIPELINE_MASK_H

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

struct masks {
	VEC(char *) texts; /* NUL-terminated, longest first; zeroed when freed */
	bool first[256];   /* some text begins with this byte */
};
struct mask_stream {
	struct buf held; /* undecided suffix */
};

void masks_init(struct masks *m);
void masks_fini(struct masks *m);
/* Adds a secret with its forms. Empty and blank values are ignored. -WEIR_ELIMIT past LIMIT_JOB_MASKS. */
MUST_CHECK int masks_add(struct masks *m, str value, struct err *reterr);
/* Text at once. */
void masks_apply(const struct masks *m, str text, struct buf *out);

void mask_stream_init(struct mask_stream *s);
void mask_stream_fini(struct mask_stream *s);
/* Appends what is decided of the stream so far to out; at `end` everything. */
void mask_stream_feed(struct mask_stream *s, const struct masks *m, str piece, bool end, struct buf *out);

#endif
