/* repo-internal.h - what the files of this room share. */
#ifndef WEIR_REPO_REPO_INTERNAL_H
#define WEIR_REPO_REPO_INTERNAL_H

#include "base/base.h"
#include "base/limits.h"
#include "base/map.h"
#include "doc/doc.h"
#include "repo/repo.h"

#include <limits.h>
#include <pthread.h>

enum { REPO_PUSH_ID_SIZE = 33 };

struct repo_push { /* a git process under way that may move refs; hooks take a copy, for a push may end before its hook does */
	char id[REPO_PUSH_ID_SIZE]; /* random: what the hook must show */
	char project[LIMIT_NAME_BYTES + 1];
	char actor[80]; /* "token:laptop" */
	bool is_admin;
	/* under the store's lock: */
	bool allowed, recorded; /* what its hooks did */
	int  hook_fd;           /* connection of its pre-receive hook while the gate looks, else -1 */
};

struct repo_hooks; /* listener, hook-server.c */

struct repo_store {
	struct repo_config cfg;
	char               repos[PATH_MAX], hooks[PATH_MAX], home[PATH_MAX], socket[PATH_MAX];
	pthread_mutex_t    lock;
	struct map         pushes; /* id -> struct repo_push */
	pthread_mutex_t    making; /* one project is made at a time */
	struct repo_hooks *listener;
};

struct repo_project {
	str    name, state, template_name, default_ref;
	usec_t created;
};

struct ref_update {
	str  ref;
	char old_id[GIT_ID_SIZE], new_id[GIT_ID_SIZE];
};

/* repo.c */
bool repo_name_ok(str name);
MUST_CHECK int repo_path_of(struct repo_store *s, str project, char *out, size_t size, struct err *reterr);

/* Removes the quarantine folders that killed pushes left, unless a push of the project is under way. Call with the store's lock held. */
void repo_quarantines_clear(struct repo_store *s, str project);

/* repo-store.c: SQL of the room */
extern const struct db_migration repo_migrations[];
extern const size_t              repo_n_migrations;
MUST_CHECK int repo_project_get(struct repo_store *s, str name, struct arena *a, struct repo_project *ret, struct err *reterr);
MUST_CHECK int repo_project_list(struct repo_store *s, struct arena *a, struct repo_project **ret, size_t *ret_n, struct err *reterr);
/* What the gate said of an update that git may move now: kept until the move is recorded. */
struct push_verdict {
	str     actor, digest;
	int64_t findings;
	str     findings_json; /* array, for pages and waiver events */
};
/* All verdicts of one push in one transaction: v[i] is about u[i]. */
MUST_CHECK int repo_verdicts_put(struct repo_store *s, str project, const struct ref_update *u, const struct push_verdict *v, size_t n,
                                 struct err *reterr);
/* Records that refs moved: events, table of refs, list of changes; what is recorded already is left alone. */
MUST_CHECK int repo_moves_record(struct repo_store *s, str project, const struct ref_update *u, size_t n, struct err *reterr);
MUST_CHECK int repo_refusal_record(struct repo_store *s, str project, const struct ref_update *u, str actor, str digest, str findings_json,
                                   str reason, struct err *reterr);
/* Compares the table of refs with git's and records what moved without its event. */
MUST_CHECK int repo_reconcile(struct repo_store *s, str project, struct err *reterr);

struct repo_change { /* a row of the list of changes */
	int64_t seq, commits;
	str     state, ref, old_id, new_id, pusher, author, subject, findings_json, reason;
	usec_t  at;
};
/* Newest first: those with a seq below `before` (0: all), at most max. seq > 0: only that one. */
MUST_CHECK int repo_changes_read(struct repo_store *s, str project, int64_t seq, int64_t before, size_t max, struct arena *a,
                                 struct repo_change **ret, size_t *ret_n, struct err *reterr);

/* repo-hostile.c: names, links and sizes that no tree may bring. Appends findings of check "files" to the sink. */
MUST_CHECK int repo_hostile_check(const struct change *c, const struct finding_sink *sink, struct err *reterr);

/* repo-receive.c: the whole decision about a push. *ret_ok false: refused; `text` is for the pusher. */
MUST_CHECK int repo_receive(struct repo_store *s, const struct repo_push *push, const char *quarantine, const struct ref_update *u, size_t n,
                            struct buf *text, bool *ret_ok, struct err *reterr);
/* At most what an event holds beside its other fields; the terminal has them all. */
void repo_findings_json(const struct verdict *v, struct jw *w);

/* hook-server.c */
MUST_CHECK int repo_hooks_start(struct repo_store *s, struct repo_hooks **ret, struct err *reterr);
struct repo_hooks *repo_hooks_stop(struct repo_hooks *h);
/* Cuts the connection of the push's hook, if it has one: the hook says no to git. */
void repo_hook_cut(struct repo_store *s, const char *push_id);

/* repo-http.c */
int repo_http_serve(struct http_req *req, void *store, struct err *reterr);

#endif
