/* view.h - from an API answer to what a template needs. Pure. */
#ifndef WEIR_WEB_VIEW_H
#define WEIR_WEB_VIEW_H

#include "base/clock.h"
#include "doc/doc.h"

/* Writes n with further keys beside those of its maps, so that templates need no logic:
 *   text that is an RFC 3339 time        KEY_ago "3m ago", KEY_local "2026-11-24 12:00:01 UTC"; started and ended in one map: took "12s"
 *   state, result, verdict, status       KEY_class "good" | "bad" | "live" | "held" | "idle"
 *   text of 40 or more hex digits        KEY_short (10 of them)
 *   share, rate_*                        KEY_percent "5%"
 *   ref                                  ref_short without refs/heads/
 *   requests_X with failed_X (X: canary, stable)   failing_X, failing_X_percent
 *   value with unit                      text "12%", "3m 2s"
 *   fractions                            KEY_round "1.25"
 *   bytes                                bytes_human
 *   data (of an event)                   data_list [{key, value, href?}]
 * and every list that is not empty gets KEY_any true, and KEY_n with its length. */
void view_write(struct jw *w, const struct doc_node *n, usec_t now);
/* Writes the pair key: n, and what view_write() puts beside it. */
void view_write_pair(struct jw *w, str key, const struct doc_node *n, usec_t now);
const char *view_state_class(str state);

#endif
