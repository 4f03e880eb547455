/* flag-draft.h - changes of a flag set that are proposed first: drafts, their approvals and schedules, what they differ in and whom they hit.
 *
 * Sets of the store only; a set of the repository is changed by a push, and its review is git's (409 says so). SET is
 * /api/v1/projects/:project/flag-sets/:set, CHANGE the body of SET/changes without base: flags? {KEY: definition | null}, evaluators? and metadata?
 * (together), segments?, comment?, and environment? (the set's own, "" takes it away). Reading wants scope read, all else scope release.
 *
 *   GET    SET/drafts?state=STATE&before=ID&limit=N   {drafts: [DRAFT without flags, evaluators, metadata]}, newest first
 *   POST   SET/drafts                         {base, title, apply_at?, CHANGE}                   201, DRAFT
 *   GET    SET/drafts/ID                      DRAFT
 *   PUT    SET/drafts/ID                      {version, base, title, apply_at?, CHANGE}: the whole draft anew; approvals are void; one that failed is
 *                                             open again. version: the one that was edited; 409 when there is a newer one               DRAFT
 *   POST   SET/drafts/ID/approve              {version, comment?}    403: own draft, not a reviewer; 422: the blast radius was not looked at   DRAFT
 *   POST   SET/drafts/ID/reject               {version, reason}      DRAFT
 *   POST   SET/drafts/ID/apply                {version}              403: approvals are missing; 409: conflict                        DRAFT
 *   POST   SET/drafts/ID/withdraw             {reason?}              DRAFT
 *   GET    SET/drafts/ID/diff?against=base|now                       DIFF; base when not said
 *   GET    SET/drafts/ID/blast-radius         BLAST over the set's samples; that the caller looked counts for its approval
 *   POST   SET/drafts/ID/blast-radius         {contexts: [CONTEXT]}  the same with contexts of the caller's own beside the samples
 *   POST   SET/blast-radius                   {CHANGE, contexts?}    BLAST of a change that is no draft (yet)
 *   POST   SET/diff                           {CHANGE}               DIFF of a change against the set as it is
 *   GET    SET/diff?from=A&to=B               DIFF between two revisions; 0 is the empty set, to: the newest when not said
 *   GET    SET/protection                     {environment, protected, rule?: RULE}: what .weir/protection.yaml says of the set's environment
 *   GET    SET/samples                        {keep, days, deny: [NAME], contexts, since: TIME | null}; keep 0: off
 *   PUT    SET/samples                        {keep, days?, deny?}   the same answer; what no longer fits is dropped at once
 *
 * DRAFT: {id, set, state, version, base, title, comment, by, opened_at, changed_by, changed_at, apply_at?, keys: [KEY], flags: {KEY: definition | null},
 *   evaluators?, metadata?, segments?, environment?, conflicts: [{what: KEY | "evaluators, metadata and segments" | "environment", revision}], protected, approvals_needed,
 *   approvals: [{by, address, at, version, comment?, void}], approved, cause?, ended_by?, ended_at?, revision?, late_s?}
 *   state: open; scheduled (approved, and apply_at names when); applied (revision says as which); rejected, withdrawn, failed (cause says why).
 *   conflicts: what changed since base; not empty: it cannot be applied before a PUT with a newer base. approved: nothing is missing.
 *   late_s: a scheduled draft was applied so many seconds after its time (no server ran then).
 * DIFF: {set, from, to, flags: [{key, kind, changes: [LINE]}], evaluators: [LINE], metadata: [LINE], segments: [LINE], environment?: LINE}; kind: added, removed, changed,
 *   archived, unarchived. LINE: {path, kind: added | removed | changed, before?, after?}; path: JSON pointer (RFC 6901) into the flag's definition,
 *   "" is all of it; from, to: revisions, to null: not stored yet.
 * BLAST: {contexts, samples, given, since: TIME | null, flags: [{key, touched, flips, moves: [{from: OUTCOME, to: OUTCOME, contexts}],
 *   examples: [{context, from: OUTCOME, to: OUTCOME}]}], flags_left_out?}; touched: false: it depends on a flag that is. OUTCOME: {variant?, value?,
 *   reason, errorCode?}; without value the caller's own default counts.
 * RULE: {required_approvals, prevent_self_review, reviewers: [NAME] | null, kill_switch: "free" | "protected", require_blast_radius}. */
#ifndef WEIR_FLAG_FLAG_DRAFT_H
#define WEIR_FLAG_FLAG_DRAFT_H

#include "net/http.h"

/* ctx: the struct flag_room */
const struct http_route *flag_draft_routes(size_t *ret_n); /* drafts and protection */
const struct http_route *flag_diff_routes(size_t *ret_n);
const struct http_route *flag_blast_routes(size_t *ret_n); /* and samples */

#endif
