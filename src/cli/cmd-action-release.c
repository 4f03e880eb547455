/* cmd-action-release.c - `weir action-release` (hidden): the program of the step `uses: weir/release@v1`. Runs inside the job's sandbox: packs the named
 * files, stores them, asks for a release and tells its course until it is over. Fails with the release; when a newer one took its place it ends with
 * RELEASE_SUPERSEDED_STATUS. Its outputs: release, state, cause.
 *
 * Everything comes from the environment: INPUT_SERVICE, INPUT_ENVIRONMENT, INPUT_FILES, GITHUB_WORKSPACE, GITHUB_REPOSITORY, GITHUB_SHA, GITHUB_RUN_ID,
 * WEIR_SERVER_URL and WEIR_TOKEN_FILE (the job's own token; never in an argument). One thread. A server that is away for a while (it is being restarted)
 * is waited for: the release goes on without this step. */
#include "base/base.h"
#include "base/clock.h"
#include "base/fs.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/release-text.h"
#include "pipeline/steps.h"
#include "release/artifact.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { POLL_MS = 500, SERVER_AWAY_MAX_S = 600, ANSWER_BYTES_MAX = 16 << 20 };

struct action {
	struct cli         *c;
	struct http_client *client;
	const char         *service, *environment, *files, *workspace, *project, *commit, *run;
	char                digest[ARTIFACT_DIGEST_SIZE], id[32];
};

static const char *env_of(const char *name)
{
	const char *v = getenv(name);

	return v ? v : "";
}

/* The pack goes into an unnamed file of the sandbox's private /tmp. */
static int pack_and_store(struct action *a, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(ANSWER_BYTES_MAX);
	struct http_call       call = HTTP_CALL_INIT;
	struct doc_node       *answer;
	const char            *tmp = *env_of("TMPDIR") ? env_of("TMPDIR") : "/tmp";
	int CLEANUP_FD         fd = open(tmp, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	size_t                 files = 0;
	int                    r;

	if (fd < 0)
		return err_errno(reterr, errno, "a temporary file in %s", tmp);
	r = artifact_pack(a->workspace, str_z(a->files), fd, &files, reterr);
	if (r)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(reterr, errno, "the packed files");
	call.method = "PUT";
	call.path = "/api/v1/artifacts";
	call.content_type = "application/zstd";
	call.body_fd = fd;
	call.timeout_ms = 600000;
	call.out = &out;
	r = http_call_ok(a->client, &call, reterr);
	if (!r)
		r = doc_parse_json(cli_arena(a->c), "answer", buf_str(&out), &answer, reterr);
	if (r)
		return r;
	snprintf(a->digest, sizeof(a->digest), "%.*s", STR_ARG(doc_get_str(answer, "digest")));
	cli_notef(a->c, "Stored %zu files as version %.12s (%lld bytes)\n", files, a->digest, (long long)doc_get_int(answer, "bytes", 0));
	return 0;
}

static int begin(struct action *a, struct err *reterr)
{
	CLEANUP_BUF struct buf body = BUF_INIT(8192), out = BUF_INIT(ANSWER_BYTES_MAX);
	struct http_call       call = HTTP_CALL_INIT;
	struct doc_node       *answer;
	struct jw              w;
	int                    r;

	jw_init(&w, &body);
	jw_obj(&w);
	jw_kstrz(&w, "project", a->project);
	if (*a->service)
		jw_kstrz(&w, "service", a->service);
	jw_kstrz(&w, "environment", a->environment);
	jw_kstrz(&w, "digest", a->digest);
	jw_kstrz(&w, "commit", a->commit);
	if (*a->run)
		jw_kstrz(&w, "run", a->run);
	jw_end(&w);
	call.method = "POST";
	call.path = "/api/v1/releases";
	call.body = buf_str(&body);
	call.timeout_ms = 120000;
	call.out = &out;
	r = http_call_ok(a->client, &call, reterr);
	if (!r)
		r = doc_parse_json(cli_arena(a->c), "answer", buf_str(&out), &answer, reterr);
	if (!r)
		snprintf(a->id, sizeof(a->id), "%.*s", STR_ARG(doc_get_str(answer, "id")));
	return r;
}

/* One look; *ret in the arena. Retryable errors: the server is away. */
static int look(struct action *a, struct arena *mem, struct doc_node **ret, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(ANSWER_BYTES_MAX);
	struct http_call       call = HTTP_CALL_INIT;
	char                   path[80];
	int                    r;

	snprintf(path, sizeof(path), "/api/v1/releases/%s", a->id);
	call.path = path;
	call.out = &out;
	r = http_call_ok(a->client, &call, reterr);
	return r ? r : doc_parse_json(mem, "answer", buf_str(&out), ret, reterr);
}

/* Prints what changed since the last look. */
static void tell(struct action *a, const struct doc_node *r, char last[300])
{
	char now[300];

	snprintf(now, sizeof(now), "%.*s %.3f %d %d %.*s", STR_ARG(doc_get_str(r, "state")), doc_get_num(r, "share", 0), doc_get_bool(r, "held", false),
	         doc_get_bool(r, "paused", false), STR_ARG(str_sub(doc_get_str(r, "cause"), 0, 100)));
	if (!strcmp(now, last))
		return;
	snprintf(last, 300, "%s", now);
	release_text_line(a->c, r);
}

/* One line of $GITHUB_OUTPUT; values have no line ends of their own. */
static void put_output(struct buf *b, const char *name, str value)
{
	buf_addf(b, "%s=", name);
	for (size_t i = 0; i < value.len; i++)
		buf_addc(b, value.ptr[i] == '\n' || value.ptr[i] == '\r' ? ' ' : value.ptr[i]);
	buf_addc(b, '\n');
}

/* "superseded by release #12": the number is what people see on the pages. */
static const char *superseded_cause(struct action *a, struct arena *mem, str by)
{
	struct action    other = *a;
	struct doc_node *n;

	snprintf(other.id, sizeof(other.id), "%.*s", STR_ARG(by));
	if (look(&other, mem, &n, NULL)) /* it may be unreachable just now; its id says it, too */
		return arena_printf(mem, "superseded by release %.*s", STR_ARG(by));
	return arena_printf(mem, "superseded by release #%lld", (long long)doc_get_int(n, "seq", 0));
}

/* Writes the outputs. Returns the exit status, or an error. */
static int over(struct action *a, struct arena *mem, const struct doc_node *r, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT(8192);
	str                    state = doc_get_str(r, "state"), cause = doc_get_str(r, "cause"), by = doc_get_str(r, "superseded_by");
	bool                   superseded = str_eqz(state, "aborted") && by.len;
	CLEANUP_FD int         fd = *env_of("GITHUB_OUTPUT") ? open(env_of("GITHUB_OUTPUT"), O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	int                    e;

	if (superseded)
		cause = str_z(superseded_cause(a, mem, by));
	put_output(&out, "release", str_z(a->id));
	put_output(&out, "state", superseded ? STR("superseded") : state);
	put_output(&out, "cause", cause);
	e = buf_check(&out, "outputs", reterr);
	if (!e && fd >= 0)
		e = fs_write_fd(fd, "outputs", buf_str(&out), reterr);
	if (superseded)
		cli_notef(a->c, "%.*s\n", STR_ARG(cause));
	return e ? e : superseded ? RELEASE_SUPERSEDED_STATUS : str_eqz(state, "finished") ? 0 : 1;
}

static int wait_for_end(struct action *a, struct err *reterr)
{
	char   last[300] = "";
	usec_t away_since = 0;

	for (;;) {
		struct arena CLEANUP_ARENA mem = ARENA_INIT(64 << 20);
		struct doc_node *n;
		int              r = look(a, &mem, &n, reterr);

		if (!r) {
			if (away_since)
				cli_notef(a->c, "the server is back\n");
			away_since = 0;
			tell(a, n, last);
			if (doc_get_bool(n, "over", false)) {
				release_text_evidence(a->c, n);
				return over(a, &mem, n, reterr);
			}
		} else if (!err_retryable(r)) {
			return r;
		} else if (!away_since) {
			away_since = clock_mono_now();
			cli_notef(a->c, "the server does not answer; the release goes on, and so does this step when it is back\n");
		} else if (clock_mono_now() - away_since > SERVER_AWAY_MAX_S * USEC_PER_SEC) {
			return err_wrap(reterr, "the server was away for %d s", SERVER_AWAY_MAX_S);
		}
		clock_sleep_ms(POLL_MS);
	}
}

static int read_inputs(struct action *a, struct err *reterr)
{
	const struct {
		const char **to, *name, *what;
	} needed[] = {
		{ &a->environment, "INPUT_ENVIRONMENT", "with.environment" }, { &a->files, "INPUT_FILES", "with.files" },
		{ &a->project, "GITHUB_REPOSITORY", "GITHUB_REPOSITORY" },    { &a->commit, "GITHUB_SHA", "GITHUB_SHA" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		*needed[i].to = env_of(needed[i].name);
		if (!**needed[i].to)
			return err_set(reterr, WEIR_EINVAL, "weir/release@v1: %s is missing", needed[i].what);
	}
	a->service = env_of("INPUT_SERVICE");
	a->run = env_of("GITHUB_RUN_ID");
	a->workspace = *env_of("GITHUB_WORKSPACE") ? env_of("GITHUB_WORKSPACE") : ".";
	return 0;
}

static int connect_to_server(struct action *a, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(4096);
	char                  *token;
	int                    r;

	if (!*env_of("WEIR_SERVER_URL"))
		return err_set(reterr, WEIR_EINVAL, "weir/release@v1: WEIR_SERVER_URL is missing");
	if (!*env_of("WEIR_TOKEN_FILE"))
		return http_client_new(env_of("WEIR_SERVER_URL"), NULL, &a->client, reterr);
	r = fs_read(env_of("WEIR_TOKEN_FILE"), &text, reterr);
	if (r)
		return err_wrap(reterr, "the job's token");
	token = arena_dup(cli_arena(a->c), str_trim(buf_str(&text)));
	explicit_bzero(text.ptr, text.len);
	return http_client_new(env_of("WEIR_SERVER_URL"), token, &a->client, reterr);
}

static int run_action(struct cli *c, struct err *reterr)
{
	struct action a = { .c = c };
	int           r = read_inputs(&a, reterr);

	if (!r)
		r = connect_to_server(&a, reterr);
	if (!r)
		r = pack_and_store(&a, reterr);
	if (!r)
		r = begin(&a, reterr);
	if (!r)
		r = wait_for_end(&a, reterr);
	http_client_free(a.client);
	return r;
}

const struct cli_command cmd_action_release = {
	.name = "action-release", .args = "", .summary = "Program of the step weir/release@v1", .hidden = true, .run = run_action
};
