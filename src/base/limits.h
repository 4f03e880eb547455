/* limits.h - every size that comes from outside, one line each with its reason. Past a limit the caller gets
 * -WEIR_ELIMIT (or the protocol's own error) with the number in the message. */
#ifndef WEIR_BASE_LIMITS_H
#define WEIR_BASE_LIMITS_H

#define LIMIT_DOC_BYTES          (8 << 20)  /* a YAML or JSON document: the largest lock file seen is under 4 MiB */
#define LIMIT_DOC_DEPTH          100        /* nesting of a document: readers recurse */
#define LIMIT_DOC_NODES          1000000    /* nodes of a document after aliases: an alias bomb ends here */
#define LIMIT_DOC_ALIASES        1000       /* alias uses in one YAML document */
#define LIMIT_NAME_BYTES         64         /* project, service, environment, token names: they become file names */
#define LIMIT_HTTP_HEADER_BYTES  (16 << 10) /* request line and headers together: a credential, cookies and a long target; the usual limit of proxies */
#define LIMIT_HTTP_BODY_BYTES    (1 << 20)  /* body of an API call unless its route says otherwise */
#define LIMIT_EVENT_BYTES        (256 << 10) /* canonical JSON of one event */
#define LIMIT_PUSH_BYTES         (2LL << 30) /* pack of one push: receive.maxInputSize */
#define LIMIT_OBJECT_BYTES       (100 << 20) /* one object in a push: larger files belong into an artifact store */
#define LIMIT_PUSH_REFS          1000        /* refs moved by one push */
#define LIMIT_SCAN_BLOB_BYTES    (16 << 20)  /* larger blobs are not scanned for credentials, and the finding says so */
#define LIMIT_STEP_LOG_BYTES     (64 << 20)  /* log of one step; what comes after is dropped and said so */
#define LIMIT_ARTIFACT_BYTES     (1LL << 30) /* one stored version of a service */
#define LIMIT_MATRIX_JOBS        256         /* jobs that one matrix makes, as GitHub has it */
#define LIMIT_WORKFLOW_JOBS      1000        /* jobs of one run after matrices */
#define LIMIT_WORKFLOW_BYTES     (1 << 20)  /* a workflow file */
#define LIMIT_WORKFLOW_NAME_BYTES 255       /* its name: a column of every page */
#define LIMIT_RUN_NAME_BYTES     500       /* of a run: a commit's subject */
#define LIMIT_WORKFLOW_PAIRS     256        /* entries of an env, with or outputs map */
#define LIMIT_WORKFLOW_INPUTS    25         /* inputs of a dispatch, as GitHub had it */
#define LIMIT_JOB_STEPS          1000       /* steps of one job */
#define LIMIT_JOB_NEEDS          256        /* jobs that one job waits for */
#define LIMIT_JOB_LABELS         32         /* labels of runs-on */
#define LIMIT_JOB_MINUTES        7200       /* timeout-minutes: five days, as GitHub's own runners have it */
#define LIMIT_MATRIX_CELLS       4096       /* combinations before exclude: work of planning */
#define LIMIT_RUNNING_JOBS       10000      /* jobs held by runners at once; one statement per job at start */
#define LIMIT_CAUSE_BYTES        2000       /* why a job or step ended */
#define LIMIT_GLOB_BYTES         1024       /* one filter pattern */
#define LIMIT_GLOB_STEPS         200000     /* work of matching one pattern: '*' may go back */
#define LIMIT_CHANGED_PATHS      10000      /* files of a change that path filters look at; past it they match */
#define LIMIT_PIPELINE_MEM       (64 << 20) /* arena of one planning or scheduling turn */
#define LIMIT_LOG_CHUNK_BYTES    (1 << 20)  /* log bytes in one call of a runner */
#define LIMIT_JOB_OUTPUT_BYTES   (1 << 20)  /* outputs of one job, as GitHub has it */
#define LIMIT_RUN_OUTPUT_BYTES   (8 << 20)  /* outputs of all jobs of a run: the scheduler holds them in memory at once */
#define LIMIT_STEP_SUMMARY_BYTES (128 << 10) /* stored part of GITHUB_STEP_SUMMARY */
#define LIMIT_DB_PARAMS          32          /* parameters of one SQL statement: the widest table has about half as many columns */
#define LIMIT_DB_SQL_BYTES       (64 << 10)  /* one migration's text */
#define LIMIT_DB_GROUP           256         /* functions that one SQLite commit carries: bounds what a failed commit takes back */
#define LIMIT_DB_WAITING         10000       /* functions that wait for the SQLite writer; past it -WEIR_EBUSY */
#define LIMIT_DB_READERS         8           /* read connections of one handle */
#define LIMIT_DB_WRITERS         8           /* write connections of one PostgreSQL handle */
#define LIMIT_DB_CACHED          200         /* prepared statements kept per connection */
#define LIMIT_DB_LIST_ROWS       2000        /* rows of one @rows@: more are hardly faster */
#define LIMIT_DB_LIST_BYTES      (1 << 20)   /* texts of one @rows@ before another statement begins; one row may be larger */
#define LIMIT_JOBQ_ITEM_BYTES    (4 << 20)   /* one job of a queue with its payload */
#define LIMIT_TREE_DEPTH         200         /* folders in folders of a git tree: readers recurse */
#define LIMIT_PATH_BYTES         4096        /* path of a file inside a repository, as PATH_MAX */
#define LIMIT_EVENT_ARENA_BYTES  (64 << 20)  /* tree of one event's data while it is checked */
#define LIMIT_ACTOR_BYTES        128         /* "token:" and a name, with room */
#define LIMIT_EVENT_READ         1000        /* events that one read returns */
#define LIMIT_CHECKPOINT_BYTES   (8 << 20)   /* heads of all projects in one checkpoint */
#define LIMIT_VERSION_BYTES      (4LL << 30) /* a stored version when unpacked: a small archive can hold a huge file */
#define LIMIT_VERSION_FILES      200000      /* files of one version: a large node_modules has about 60,000 */
#define LIMIT_RECORD_BYTES       1024        /* one request record of HAProxy's ring (its maxlen) */
#define LIMIT_ENDED_LOGS_BYTES   (1LL << 30) /* logs of all ended instances together; the oldest go first */
#define LIMIT_RELEASE_POINTS     600         /* points kept for a release's chart; older ones are thinned out */

#define LIMIT_HTTP_TARGET_BYTES  (8 << 10)   /* request target: longer ones are attacks or mistakes */
#define LIMIT_HTTP_HEADERS       200         /* header lines of one request */
#define LIMIT_HTTP_ARENA_BYTES   (128 << 20) /* memory of one request beside its body and answer */
#define LIMIT_HTTP_OUT_BYTES     (64 << 20)  /* answer of FAST and WORKER routes; larger ones are streams */
#define LIMIT_HTTP_DISCARD_BYTES (1 << 20)   /* body that is read and dropped so that the client sees a refusal */
#define LIMIT_HTTP_PAIRS         200         /* pairs of a query that may hold any names */
#define LIMIT_HTTP_QUEUE         256         /* requests that wait for a worker; more are 503 */
#define LIMIT_HTTP_RING_BYTES    (64 << 10)  /* each way of a streamed request */
#define LIMIT_SSE_PULL_BYTES     (1 << 20)   /* messages of one turn of one event stream */
#define LIMIT_WAIVERS            1000        /* entries of .weir/waivers.yaml: each finding is held against each */
#define LIMIT_FINDINGS           1000        /* findings of one verdict; more are counted */
#define LIMIT_CODE_TEXT_BYTES    (1 << 20)   /* file of which lines are kept with a finding: it is scanned once more for each */
#define LIMIT_CODE_FINDINGS      20          /* findings of one refused push that get their lines */
#define LIMIT_INSIGHT_BYTES      (512 << 20) /* texts of all changes and deployments that measurements look at */
#define LIMIT_INSIGHT_FEW        20          /* below so many rows a figure is marked "too few" */
#define LIMIT_INSIGHT_DAYS       3660        /* longest window of measurements: ten years */
#define LIMIT_JOB_MASKS          10000       /* texts that one job masks: each log byte is compared with those that begin alike */
#define LIMIT_STEP_FILE_BYTES    (1 << 20)   /* GITHUB_ENV, GITHUB_OUTPUT, ... and the summary of one step, as GitHub has it */

#define LIMIT_GOLDEN_LINE_BYTES 200 /* a one-line value of a golden path: it stands in headings and comments */

#define LIMIT_CEL_MESSAGE_DEPTH     100        /* messages in messages, as protobuf's own readers have it: ours recurse */
#define LIMIT_CEL_MESSAGE_BYTES     (64 << 20) /* one serialized message */
#define LIMIT_CEL_DESCRIPTORS_BYTES (32 << 20) /* one descriptor set: all of googleapis is under 20 MiB */
#define LIMIT_FLAG_KEY_BYTES     200         /* key of a flag, name of a variant or evaluator: they stand in URLs, tables and messages */
#define LIMIT_FLAG_VARIANTS      1000        /* variants of one flag */
#define LIMIT_FLAG_BYTES         (256 << 10) /* one flag's definition: segments with some 10,000 ids fit in */
#define LIMIT_FLAG_HEAD_BYTES    (4 << 20)   /* evaluators and metadata of one set */
#define LIMIT_FLAGS              2000000     /* flags of one set */
#define LIMIT_FLAG_SETS          100         /* of one project: some for each environment; each is in memory, and clients are shown into one of them */
#define LIMIT_FLAG_PREREQUISITES 20          /* direct ones of one flag */
#define LIMIT_FLAG_CHAIN         16          /* flags in a row that need each other: evaluation recurses */
#define LIMIT_FLAG_CHAIN_STEPS   10000       /* looked at to find the longest such row: many flags that share theirs */
#define LIMIT_FLAG_UNLEASH_LIST  1000        /* strategies, constraints or segments in one list: each evaluation looks at all */
#define LIMIT_FLAG_UNLEASH_VALUES 50000      /* values of one constraint; the flag's own size ends them before */
#define LIMIT_FLAG_COMMENT_BYTES 1000        /* why flags were changed */
#define LIMIT_FLAG_STREAMS       20000       /* clients that wait for news of flags */
#define LIMIT_FLAG_PAST_FLAGS    50000       /* flags of all past revisions together that stay compiled: about 50 MB */
#define LIMIT_FLAG_USERS         100000      /* told apart in one rollout: 4 MB */
#define LIMIT_FLAG_ROLLOUTS      64          /* under way at once on a server */
#define LIMIT_FLAG_TRACK_EVENTS  1000        /* of one request */
#define LIMIT_FLAG_TRACK_QUEUE   100000      /* events that wait to be counted */
#define LIMIT_FLAG_TRACK_AGE_S   3600        /* how late an event may come */
#define LIMIT_FLAG_TICKET_DAYS   7           /* how long the address of an event stream lets its holder in */
#define LIMIT_FLAG_SCRATCH_BYTES (1 << 20)   /* values that one evaluation makes */
#define LIMIT_FLAG_STEPS         100000      /* nodes of a rule that one evaluation looks at: some milliseconds */
#define LIMIT_FLAG_USAGE_CELLS   100000      /* flags, variants and hours counted between two writes; more are dropped and said so: some 10 MB */
#define LIMIT_FLAG_USAGE_DAYS    90          /* how long counts of flags are kept */
#define LIMIT_FLAG_REF_BYTES     (1 << 20)   /* a file that is searched for flag keys: larger ones are made by programs */
#define LIMIT_FLAG_REF_FILES     200000      /* files of a commit that are searched */
#define LIMIT_FLAG_REF_LITERALS  20000       /* texts of one file that are kept for the search */
#define LIMIT_FLAG_REFS_SHOWN    1000        /* references that one answer lists */
#define LIMIT_FLAG_ENVIRONMENTS  100         /* protected ones of a project */
#define LIMIT_FLAG_REVIEWERS     200         /* of one environment */
#define LIMIT_FLAG_APPROVALS     10          /* that a draft can need */
#define LIMIT_FLAG_TITLE_BYTES   200         /* of a draft */
#define LIMIT_FLAG_DRAFTS        1000        /* open or scheduled ones of one set */
#define LIMIT_FLAG_SAMPLES       1000        /* contexts kept of one set: enough to see a share of a percent */
#define LIMIT_FLAG_SAMPLE_BYTES  4096        /* a context that is kept; larger ones are not */
#define LIMIT_FLAG_SAMPLE_DAYS   30          /* how long */
#define LIMIT_FLAG_CONTEXTS      10000       /* contexts that one request brings to be looked at */
#define LIMIT_FLAG_BLAST_FLAGS   1000        /* flags that one look at a blast radius evaluates */
#define LIMIT_FLAG_BLAST_STEPS   4000000     /* evaluations of one look: some seconds */
#define LIMIT_FLAG_BLAST_NODES   100000000   /* nodes of rules that one look may cost: some seconds, however large the rules are */
#define LIMIT_FLAG_STEPS         100000      /* nodes of rules that one evaluation looks at, those of the flags that it needs counted in: some milliseconds */
#define LIMIT_FLAG_LOOK_STEPS    20          /* what a look at a prerequisite counts */

#define LIMIT_FLAG_EDGES         1000        /* edges that follow one server: each has a stream of its own */
#define LIMIT_FLAG_COPY_BYTES    (512 << 20) /* text of one copied set: a million flags are about 200 MiB */
#define LIMIT_EDGE_TOKENS        4096        /* clients' tokens that an edge knows */
#define LIMIT_EDGE_ASKS          50          /* questions about unknown tokens per second: guesses at an edge do not become load of the server */
#define LIMIT_EDGE_TOKEN_FRESH_S 60          /* so old what the server said about a token may be while it can be asked */
#define LIMIT_EDGE_TOKEN_DAYS    30          /* so old it may be while it cannot */
#define LIMIT_EDGE_WAIT_S        60          /* longest wait before the server is tried again */
#define LIMIT_EDGE_RETRY_AFTER_S 3600        /* longest that its Retry-After is obeyed */
#define LIMIT_UNLEASH_CACHE_BYTES (64 << 20) /* answers to Unleash's clients that are kept */
#define LIMIT_UNLEASH_REPORT      10000      /* features, or applications, of one report */
#define LIMIT_UNLEASH_STRATEGIES  1000       /* that one application says it knows */
#define LIMIT_UNLEASH_INSTANCES   20000      /* of all applications of one set, seen in a week */
#define LIMIT_UNLEASH_COUNTS      100000     /* rows of one set of one hour: features, and variants, times applications */
#define LIMIT_UNLEASH_CONTEXT     1000       /* names of one context of /api/frontend: each is looked for among the others, on a loop thread */
#define LIMIT_UNLEASH_DAYS        30         /* that counts are kept */
#define LIMIT_UNLEASH_LISTED      20000      /* counts in one answer */

#endif
