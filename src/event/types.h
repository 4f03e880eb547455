/* types.h - the one table of all event types: what can be a fact, with its fields, so that readers need no domain.
 *
 * X(enum name, "name", "CDEvents type or empty", "fields", "what it says")
 * fields: space-separated name:type, '?' behind the name when it may be absent;
 * types: s text, i integer, n number, b boolean, o object, a array. */
#ifndef WEIR_EVENT_TYPES_H
#define WEIR_EVENT_TYPES_H

#include "base/base.h"
#include "base/str.h"

#define EVENT_TYPE_TABLE(X)                                                                                            \
	X(PROJECT_CREATED, "project.created", "dev.cdevents.repository.created", "name:s template?:s default_branch:s began_at?:i", \
	  "a project was created; began_at: when `weir new` started, in microseconds")                                     \
	X(PROJECT_ARCHIVED, "project.archived", "dev.cdevents.repository.deleted", "name:s", "a project was archived: read-only from now on") \
	X(CHANGE_ACCEPTED, "change.accepted", "dev.cdevents.change.merged",                                                  \
	  "ref:s old:s new:s pusher:s author:s subject:s committed_at:i commits:i findings:i verdict:s", "a push passed the gate and moved a ref") \
	X(CHANGE_REFUSED, "change.refused", "", "ref:s old:s new:s pusher:s findings:a verdict:s reason:s", "a push was refused; the ref did not move") \
	X(RUN_QUEUED, "run.queued", "dev.cdevents.pipelinerun.queued", "run:s workflow:s commit:s ref:s event:s jobs:i", "a workflow run was planned and its jobs queued") \
	X(RUN_SKIPPED, "run.skipped", "", "workflow:s commit:s ref:s cause:s", "a workflow does not run for this change, and why") \
	X(RUN_STARTED, "run.started", "dev.cdevents.pipelinerun.started", "run:s workflow:s", "the first job of a run started") \
	X(RUN_FINISHED, "run.finished", "dev.cdevents.pipelinerun.finished", "run:s workflow:s result:s cause?:s", "all jobs of a run ended") \
	X(JOB_STARTED, "job.started", "dev.cdevents.taskrun.started", "run:s job:s name:s runner:s attempt:i cause?:s", "a runner began a job; cause: why it is tried again") \
	X(STEP_FINISHED, "step.finished", "", "run:s job:s step:i name:s result:s exit?:i ms:i cause?:s", "a step ended")     \
	X(JOB_FINISHED, "job.finished", "dev.cdevents.taskrun.finished", "run:s job:s name:s result:s cause?:s ms:i", "a job ended") \
	X(VERSION_STORED, "version.stored", "dev.cdevents.artifact.published", "service:s digest:s commit:s bytes:i run?:s", "a version's files were stored") \
	X(RELEASE_STARTED, "release.started", "", "release:s service:s environment:s version:s digest:s commit:s from?:s first:b by:s run?:s", "a release began") \
	X(RELEASE_STEP, "release.step", "", "release:s service:s environment:s share:n cause:s", "a share of the traffic goes to the canary from now on") \
	X(RELEASE_HELD, "release.held", "", "release:s service:s environment:s verdict:s cause:s evidence?:o", "the release waits, and why") \
	X(RELEASE_RESUMED, "release.resumed", "", "release:s service:s environment:s cause:s evidence?:o", "the release goes on")  \
	X(RELEASE_EVIDENCE_GAP, "release.evidence_gap", "", "release:s service:s environment:s arm:s missing:i source:s", "records were missing; the counts were taken from the source named") \
	X(RELEASE_PROMOTED, "release.promoted", "dev.cdevents.service.upgraded", "release:s service:s environment:s version:s digest:s commit:s cause:s evidence?:o", "the new version takes all traffic") \
	X(RELEASE_FINISHED, "release.finished", "", "release:s service:s environment:s version:s cause:s", "the bake ended well; the old version was stopped") \
	X(RELEASE_ROLLED_BACK, "release.rolled_back", "dev.cdevents.service.rolledback",                                     \
	  "release:s service:s environment:s version:s back_to?:s cause:s by:s first_bad_at?:i last_bad_at?:i failed_requests?:i evidence?:o", "the release was taken back, and why") \
	X(RELEASE_REFUSED, "release.refused", "", "service:s environment:s digest:s cause:s by:s", "a release was not begun, and why") \
	X(SERVICE_BORN, "service.born", "dev.cdevents.service.deployed", "service:s environment:s url:s first_answer_ms?:i", "a service answered users for the first time") \
	X(TOKEN_CREATED, "token.created", "", "name:s scopes:s expires_at?:i by:s", "an access token was created")             \
	X(TOKEN_REVOKED, "token.revoked", "", "name:s by:s", "an access token was revoked")                                  \
	X(WAIVER_USED, "waiver.used", "", "fingerprint:s rule:s waiver:s ref:s", "an accepted finding passed the gate by a waiver") \
	X(FLAG_SET_CREATED, "flag.set_created", "", "set:s environment:s source:s", "a set of flags was made")               \
	X(FLAG_CHANGED, "flag.changed", "",                                                                                  \
	  "set:s environment:s revision:i flags:i keys:a digest:s address:s comment?:s draft?:i approvals?:a late_s?:i", "flags were changed: a new revision; digest covers their definitions") \
	X(FLAG_DRAFT_OPENED, "flag.draft_opened", "", "set:s draft:i version:i title:s keys:a apply_at?:s address:s", "a change of flags was proposed, or a proposal edited: its approvals are void") \
	X(FLAG_DRAFT_APPROVED, "flag.draft_approved", "", "set:s draft:i version:i address:s comment?:s", "somebody approved a version of a proposed change") \
	X(FLAG_DRAFT_ENDED, "flag.draft_ended", "", "set:s draft:i version:i state:s cause?:s address:s", "a proposed change was rejected, withdrawn, or failed at its time; applied ones are flag.changed") \
	X(FLAG_SAMPLING_CHANGED, "flag.sampling_changed", "", "set:s keep:i days:i", "how many contexts of real evaluations are kept, and how long") \
	X(FLAG_ROLLOUT_STARTED, "flag.rollout_started", "", "rollout:s set:s environment:s flag:s share:n revision:i cause:s", "a flag's change goes to a share of its users") \
	X(FLAG_ROLLOUT_STEPPED, "flag.rollout_stepped", "", "rollout:s set:s environment:s flag:s share:n revision:i cause:s evidence?:o", "a flag's change goes to more of its users, and why") \
	X(FLAG_ROLLOUT_HELD, "flag.rollout_held", "", "rollout:s set:s environment:s flag:s verdict:s cause:s evidence?:o", "a flag's rollout waits, and why") \
	X(FLAG_ROLLOUT_RESUMED, "flag.rollout_resumed", "", "rollout:s set:s environment:s flag:s cause:s evidence?:o", "a flag's rollout goes on") \
	X(FLAG_ROLLOUT_FINISHED, "flag.rollout_finished", "", "rollout:s set:s environment:s flag:s result:s revision:i cause:s evidence?:o", \
	  "a flag's rollout is over: promoted, rolled-back or aborted, and why") \
	X(SERVER_STARTED, "server.started", "", "version:s", "weir serve came up")

enum event_type {
	EVENT_NONE,
#define X(id, name, cd, fields, text) EVENT_##id,
	EVENT_TYPE_TABLE(X)
#undef X
	EVENT_TYPE_MAX
};

const char *event_type_name(enum event_type t); /* "release.started" */
enum event_type event_type_find(str name);      /* EVENT_NONE when unknown */
const char *event_type_fields(enum event_type t);
const char *event_type_text(enum event_type t);
const char *event_type_cdevent(enum event_type t); /* "" when none */

#endif
