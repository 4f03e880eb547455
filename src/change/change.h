/* change.h - words that all domains share: change, finding, check, verdict. No logic. */
#ifndef WEIR_CHANGE_CHANGE_H
#define WEIR_CHANGE_CHANGE_H

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "base/str.h"
#include "git/git.h"

enum change_trust { TRUST_NONE, TRUST_FORK, TRUST_AGENT, TRUST_DEVELOPER };

/* Commits offered to one ref. All texts are borrowed for the time of the call. */
struct change {
	str               project; /* "shop" */
	str               ref;     /* "refs/heads/main" */
	char              old_id[GIT_ID_SIZE], new_id[GIT_ID_SIZE]; /* zero: the ref is created / deleted */
	str               pusher;  /* actor: "token:laptop" */
	enum change_trust trust;
	struct git_repo  *repo;    /* sees the offered objects (quarantine, working tree's repository) */
	const char       *target;  /* commit policies and waivers are read from: the protected branch before the change; zero: none yet */
	/* `weir check --staged` and --all: files to look at instead of new_id's; NULL for a push. */
	const struct change_file *files;
	size_t            n_files;
	bool              keep_code;  /* a push: findings of a refusal get their lines, since its objects go away */
	bool              whole_tree; /* the files are all there are: a waiver that covers none of their findings is unused */
};
struct change_file {
	str path, content;
};

enum severity { SEVERITY_NONE, SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };

struct finding_code { /* lines as they may be shown and recorded: nothing that may be a secret is in them */
	uint32_t first; /* number of the first one; 0: none are kept */
	str      lines; /* joined by line feeds */
};

struct finding {
	str           check;    /* "credentials", "files" */
	str           rule;     /* "github-token", "workflow-syntax" */
	enum severity severity; /* ERROR refuses the change */
	str           path;
	uint32_t      line, col, end_line, end_col; /* 1-based; 0: unknown. col counts bytes, end exclusive */
	str           message;  /* what is wrong; never the secret itself */
	str           advice;   /* what to do */
	str           commit;   /* that brings it, or empty */
	str           fingerprint; /* stays the same when the file moves: hex */
	bool          waived;
	struct finding_code code;
	str           waiver;   /* "OWNER until 2026-12-31: reason", when waived */
};

struct finding_sink { /* takes copies */
	int (*add)(void *ctx, const struct finding *f, struct err *reterr);
	void *ctx;
};

/* One thing that the gate looks at. */
struct check_ops {
	const char *name;
	/* Reports what it finds to the sink. Non-zero: it could not look (the verdict is then cannot-judge, with the message). */
	int (*run)(void *ctx, const struct change *c, const struct finding_sink *sink, struct err *reterr);
	void *ctx;
};

enum verdict_call { VERDICT_NONE, VERDICT_PASS, VERDICT_FAIL, VERDICT_CANNOT_JUDGE };
struct verdict {
	enum verdict_call call;
	struct finding   *findings; /* waived ones included */
	size_t            n_findings;
	size_t            n_dropped; /* findings past the limit of 1,000 */
	str               cause;     /* for cannot-judge: which check could not look, and why */
	char              digest[65]; /* SHA-256 over findings and call, for events */
};

#endif
