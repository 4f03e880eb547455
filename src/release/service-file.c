/* service-file.c - the strict reader of .weir/service.yaml and the gate's check of it. Pure but for the check's reading of the change.
 * Every key is obeyed or refused with its place and the nearest known key. */
#include "base/base.h"

#include "base/hash.h"
#include "base/limits.h"
#include "release/evidence.h"
#include "release/release.h"
#include "release/service-file.h"

#include <math.h>

static const usec_t sec = USEC_PER_SEC;

/* Names become host names, folder names and s6 names. */
static bool good_name(str s)
{
	if (s.len == 0 || s.len > 40 || s.ptr[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') || s.ptr[i] == '-'))
			return false;
	return true;
}

/* A map whose keys are the user's own. */
static bool is_open_map(struct doc_check *c, const struct doc_node *n, const char *what)
{
	if (n->kind != DOC_MAP)
		doc_error(c, n, "%s must be a map, not a %s", what, doc_kind_name(n->kind));
	return n->kind == DOC_MAP;
}

static void check_name(struct doc_check *c, uint32_t line, uint32_t col, const char *what, str name)
{
	if (!good_name(name))
		doc_error_at(c, line, col, "%s '%.*s' must be 1 to 40 of a-z, 0-9 and '-', not beginning with '-'", what, STR_ARG(str_sub(name, 0, 80)));
}

static const char *const *read_words(struct doc_check *c, const struct doc_node *n, const char *what, size_t min)
{
	const char **v;

	if (!n || !doc_is_seq(c, n, what))
		return NULL;
	if (doc_len(n) < min || doc_len(n) > SERVICE_ARGS_MAX) {
		doc_error(c, n, "%s must have %zu to %d words", what, min, SERVICE_ARGS_MAX);
		return NULL;
	}
	v = ARENA_ARRAY(c->arena, doc_len(n) + 1, const char *);
	for (size_t i = 0; v && i < doc_len(n); i++) {
		str s = doc_want_str(c, doc_at(n, i), what);

		if (memchr(s.ptr ? s.ptr : "", 0, s.len))
			doc_error(c, doc_at(n, i), "%s: a word must not contain a NUL byte", what);
		v[i] = arena_dup(c->arena, s);
	}
	return v;
}

/* --- route --- */

static bool good_host(str h)
{
	if (h.len == 0 || h.len > 253)
		return false;
	for (size_t i = 0; i < h.len; i++) {
		char ch = h.ptr[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.'))
			return false;
	}
	return h.ptr[0] != '.' && h.ptr[0] != '-';
}

static void read_route(struct doc_check *c, const struct doc_node *n, struct traffic_route *ret)
{
	static const char *const known[] = { "host", "port", NULL };
	const struct doc_node   *host = doc_get(n, "host"), *port = doc_get(n, "port");

	if (!doc_is_map(c, n, "route", known))
		return;
	if (!host == !port) {
		doc_error(c, n, "route must have either 'host' or 'port'");
	} else if (host) {
		str h = doc_want_str(c, host, "host");

		if (h.ptr && !good_host(h))
			doc_error(c, host, "host '%.*s' must be a host name in lower case, without port", STR_ARG(str_sub(h, 0, 80)));
		snprintf(ret->host, sizeof(ret->host), "%.*s", STR_ARG(h));
	} else {
		ret->port = (uint16_t)doc_want_int(c, port, "port", 1, 65535);
	}
}

/* --- environments --- */

static const char *const *read_env(struct doc_check *c, const struct doc_node *n)
{
	const char **v;

	if (!is_open_map(c, n, "env") || doc_len(n) > SERVICE_ARGS_MAX)
		return NULL;
	v = ARENA_ARRAY(c->arena, doc_len(n) + 1, const char *);
	for (size_t i = 0; v && i < doc_len(n); i++) {
		const struct doc_pair *p = &n->map.pairs[i];

		if (p->value->kind == DOC_SEQ || p->value->kind == DOC_MAP || p->value->kind == DOC_NULL)
			doc_error(c, p->value, "env '%.*s' must be a text, not a %s", STR_ARG(p->key), doc_kind_name(p->value->kind));
		if (p->key.len == 0 || memchr(p->key.ptr, '=', p->key.len) || str_eqz(p->key, "PORT"))
			doc_error_at(c, p->line, p->col, "env name '%.*s' cannot be set%s", STR_ARG(p->key), str_eqz(p->key, "PORT") ? ": weir chooses the port" : "");
		v[i] = arena_printf(c->arena, "%.*s=%.*s", STR_ARG(p->key), STR_ARG(p->value->text));
	}
	return v;
}

/* weir says where flags are asked for; both would be one too many. */
static void read_flags(struct doc_check *c, const struct doc_node *n, struct service_environment *e)
{
	e->flags = doc_want_str(c, n, "flags");
	check_name(c, n->line, n->col, "flag set", e->flags);
	for (const char *const *v = e->env; v && *v; v++)
		if (str_has_prefix(str_z(*v), STR("OFREP_ENDPOINT=")) || str_has_prefix(str_z(*v), STR("OFREP_HEADERS=")))
			doc_error(c, n, "'flags' sets OFREP_ENDPOINT and OFREP_HEADERS: take them out of env, or leave 'flags' out");
}

static void read_environment(struct doc_check *c, const struct doc_pair *p, const struct doc_node *route, struct service_environment *e)
{
	static const char *const known[] = { "instances", "route", "env", "flags", NULL };
	const struct doc_node   *n = p->value, *own = doc_get(n, "route");

	e->name = arena_str(c->arena, p->key);
	e->line = p->line;
	e->col = p->col;
	e->instances = 1;
	check_name(c, p->line, p->col, "environment", p->key);
	if (n->kind != DOC_NULL && !doc_is_map(c, n, "an environment", known))
		return;
	if (doc_get(n, "instances"))
		e->instances = (unsigned)doc_want_int(c, doc_get(n, "instances"), "instances", 1, SERVICE_INSTANCES_MAX);
	if (doc_get(n, "env"))
		e->env = read_env(c, doc_get(n, "env"));
	if (doc_get(n, "flags"))
		read_flags(c, doc_get(n, "flags"), e);
	if (own)
		read_route(c, own, &e->route);
	else if (route)
		read_route(c, route, &e->route);
	else
		doc_error_at(c, p->line, p->col, "environment '%.*s' has no route: give one here or to the service", STR_ARG(p->key));
}

static bool same_route(const struct traffic_route *a, const struct traffic_route *b)
{
	return (a->port && a->port == b->port) || (a->host[0] && !strcmp(a->host, b->host));
}

static void read_environments(struct doc_check *c, const struct doc_node *body, struct service_def *d)
{
	const struct doc_node *n = doc_need(c, body, "environments");

	if (!n || !is_open_map(c, n, "environments"))
		return;
	if (doc_len(n) == 0 || doc_len(n) > SERVICE_ENVIRONMENTS_MAX) {
		doc_error(c, n, "environments must name 1 to %d", SERVICE_ENVIRONMENTS_MAX);
		return;
	}
	d->envs = ARENA_ARRAY(c->arena, doc_len(n), struct service_environment);
	if (!d->envs)
		return;
	d->n_envs = doc_len(n);
	for (size_t i = 0; i < d->n_envs; i++) {
		read_environment(c, &n->map.pairs[i], doc_get(body, "route"), &d->envs[i]);
		for (size_t k = 0; k < i; k++)
			if (same_route(&d->envs[i].route, &d->envs[k].route))
				doc_error_at(c, d->envs[i].line, d->envs[i].col, "environments '%.*s' and '%.*s' have the same route: give one its own", STR_ARG(d->envs[k].name),
				             STR_ARG(d->envs[i].name));
	}
}

/* --- rollout --- */

static void read_rollout(struct doc_check *c, const struct doc_node *n, struct service_rollout *r)
{
	static const char *const known[] = { ROLLOUT_KEYS, "error-window", NULL };

	*r = (struct service_rollout){ .plan = { .steps = { 0.05, 0.5, 1 }, .n_steps = 3, .bake = 600 * sec, .hold_after = 900 * sec },
		                       .error_window = 10 * sec, .judge = judge_defaults };
	if (!n || !doc_is_map(c, n, "rollout", known))
		return;
	if (doc_get(n, "error-window"))
		r->error_window = doc_want_duration(c, doc_get(n, "error-window"), "error-window", 0, 3600 * sec);
	rollout_read(c, n, EVIDENCE_CLIENTS_MAX, &r->plan, &r->judge); /* more clients are not told apart */
}

/* --- the rest of a service --- */

static void read_health(struct doc_check *c, const struct doc_node *n, struct service_def *d)
{
	static const char *const known[] = { "path", "interval", "timeout", "healthy-after", "start-within", NULL };
	str path;

	snprintf(d->health_path, sizeof(d->health_path), "/");
	d->health_interval = sec;
	d->health_timeout = 2 * sec;
	d->healthy_after = 1;
	d->start_within = 60 * sec;
	if (!n || !doc_is_map(c, n, "health", known))
		return;
	if (doc_get(n, "path")) {
		path = doc_want_str(c, doc_get(n, "path"), "path");
		if (path.ptr && (path.len == 0 || path.len >= sizeof(d->health_path) || path.ptr[0] != '/' || strcspn(path.ptr, " \t\r\n") != path.len))
			doc_error(c, doc_get(n, "path"), "path must begin with '/', without blanks, at most %zu bytes", sizeof(d->health_path) - 1);
		snprintf(d->health_path, sizeof(d->health_path), "%.*s", STR_ARG(path));
	}
	if (doc_get(n, "interval"))
		d->health_interval = doc_want_duration(c, doc_get(n, "interval"), "interval", sec / 10, 60 * sec);
	if (doc_get(n, "timeout"))
		d->health_timeout = doc_want_duration(c, doc_get(n, "timeout"), "timeout", sec / 10, 30 * sec);
	if (doc_get(n, "start-within"))
		d->start_within = doc_want_duration(c, doc_get(n, "start-within"), "start-within", sec, 3600 * sec);
	if (doc_get(n, "healthy-after"))
		d->healthy_after = (unsigned)doc_want_int(c, doc_get(n, "healthy-after"), "healthy-after", 1, 100);
}

static void lower_token(struct doc_check *c, const struct doc_node *at, str name, char out[65])
{
	size_t i;

	for (i = 0; i < name.len && i < 64; i++) {
		char ch = name.ptr[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-'))
			break;
		out[i] = (char)(ch >= 'A' && ch <= 'Z' ? ch + 32 : ch);
	}
	out[i] = 0;
	if (i == 0 || i != name.len)
		doc_error(c, at, "header must be a header's name: 1 to 64 letters, digits and '-'");
}

static void read_client(struct doc_check *c, const struct doc_node *n, struct service_def *d, char header[65])
{
	static const char *const known[] = { "header", NULL }, *const kinds[] = { "address", "connection", NULL };

	if (!n)
		return;
	if (n->kind != DOC_MAP) {
		d->client = doc_want_enum(c, n, "client (or {header: NAME})", kinds) == 1 ? CLIENT_CONNECTION : CLIENT_ADDRESS;
	} else if (doc_is_map(c, n, "client", known) && doc_need(c, n, "header")) {
		d->client = CLIENT_HEADER;
		lower_token(c, doc_get(n, "header"), doc_want_str(c, doc_get(n, "header"), "header"), header);
	}
}

static void read_limits(struct doc_check *c, const struct doc_node *n, struct service_def *d)
{
	static const char *const known[] = { "memory", "processes", NULL };

	d->memory_max = SERVICE_MEMORY_DEFAULT;
	d->processes_max = SERVICE_PROCESSES_DEFAULT;
	if (!n || !doc_is_map(c, n, "limits", known))
		return;
	if (doc_get(n, "memory"))
		d->memory_max = doc_want_size(c, doc_get(n, "memory"), "memory", 16LL << 20, 1LL << 40);
	if (doc_get(n, "processes"))
		d->processes_max = (unsigned)doc_want_int(c, doc_get(n, "processes"), "processes", 8, 100000);
}

static void read_service(struct doc_check *c, const struct doc_node *n, struct service_def *d)
{
	char header[65] = "";

	if (doc_need(c, n, "command"))
		d->argv = read_words(c, doc_get(n, "command"), "command", 1);
	if (d->argv && !d->argv[0][0])
		doc_error(c, doc_get(n, "command"), "command: the first word is the program");
	read_health(c, doc_get(n, "health"), d);
	read_client(c, doc_get(n, "client"), d, header);
	d->stop_grace = 10 * sec;
	if (doc_get(n, "stop-grace"))
		d->stop_grace = doc_want_duration(c, doc_get(n, "stop-grace"), "stop-grace", 0, 600 * sec);
	d->request_timeout = TRAFFIC_TIMEOUT_MS * USEC_PER_MSEC;
	if (doc_get(n, "request-timeout"))
		d->request_timeout = doc_want_duration(c, doc_get(n, "request-timeout"), "request-timeout", sec / 10, 3600 * sec);
	read_limits(c, doc_get(n, "limits"), d);
	read_rollout(c, doc_get(n, "rollout"), &d->rollout);
	read_environments(c, n, d);
	for (size_t i = 0; i < d->n_envs; i++)
		memcpy(d->envs[i].route.client_header, header, sizeof(header));
}

void service_file_read(struct doc_check *c, const struct doc_node *root, struct service_file *ret)
{
	static const char *const known_one[] = { "service", "command", "health", "route", "client", "stop-grace", "request-timeout", "limits", "environments", "rollout",
		                                 "services", NULL };
	static const char *const known_many[] = { "services", NULL };
	static const char *const known_body[] = { "command", "health", "route", "client", "stop-grace", "request-timeout", "limits", "environments", "rollout", NULL };
	const struct doc_node   *many = doc_get(root, "services");

	memset(ret, 0, sizeof(*ret));
	if (!doc_is_map(c, root, "the file", many ? known_many : known_one))
		return;
	ret->n = many ? doc_len(many) : 1;
	if (many && (!is_open_map(c, many, "services") || ret->n == 0 || ret->n > SERVICES_MAX)) {
		doc_error(c, many, "services must be a map of 1 to %d services", SERVICES_MAX);
		ret->n = 0;
		return;
	}
	ret->services = ARENA_ARRAY(c->arena, ret->n, struct service_def);
	for (size_t i = 0; ret->services && i < ret->n; i++) {
		struct service_def *d = &ret->services[i];

		if (many) {
			d->name = arena_str(c->arena, many->map.pairs[i].key);
			check_name(c, many->map.pairs[i].line, many->map.pairs[i].col, "service", d->name);
			if (doc_is_map(c, many->map.pairs[i].value, "a service", known_body))
				read_service(c, many->map.pairs[i].value, d);
		} else {
			const struct doc_node *name = doc_need(c, root, "service");

			if (name) {
				d->name = arena_str(c->arena, doc_want_str(c, name, "service"));
				check_name(c, name->line, name->col, "service", d->name);
			}
			read_service(c, root, d);
		}
	}
}

int service_file_parse(struct arena *a, str text, struct service_file *ret, struct err *reterr)
{
	struct doc_check c;
	struct doc_node *root;
	int              rc = doc_parse_yaml(a, SERVICE_FILE_PATH, text, &root, reterr);

	if (rc)
		return rc;
	doc_check_init(&c, a, SERVICE_FILE_PATH);
	service_file_read(&c, root, ret);
	return (rc = doc_check_result(&c, reterr)) ? rc : arena_check(a, SERVICE_FILE_PATH, reterr);
}

int service_file_find(const struct service_file *f, str service, str environment, const struct service_def **ret_def,
                      const struct service_environment **ret_env, struct err *reterr)
{
	const struct service_def *d = NULL;
	struct buf CLEANUP_BUF names = BUF_INIT(4096);

	if (!service.len && f->n > 1)
		return err_set(reterr, WEIR_EINVAL, "%s describes %zu services: say which one", SERVICE_FILE_PATH, f->n);
	for (size_t i = 0; i < f->n; i++) {
		if (!service.len || str_eq(f->services[i].name, service))
			d = &f->services[i];
		buf_addf(&names, "%s%.*s", i ? ", " : "", STR_ARG(f->services[i].name));
	}
	if (!d)
		return err_set(reterr, WEIR_ENOENT, "%s has no service '%.*s'; it has: %s", SERVICE_FILE_PATH, STR_ARG(service), buf_z(&names));
	buf_clear(&names);
	for (size_t i = 0; i < d->n_envs; i++) {
		if (str_eq(d->envs[i].name, environment)) {
			*ret_def = d;
			*ret_env = &d->envs[i];
			return 0;
		}
		buf_addf(&names, "%s%.*s", i ? ", " : "", STR_ARG(d->envs[i].name));
	}
	return err_set(reterr, WEIR_ENOENT, "%s: service '%.*s' has no environment '%.*s'; it has: %s", SERVICE_FILE_PATH, STR_ARG(d->name),
	               STR_ARG(environment), buf_z(&names));
}

/* --- the gate's check --- */

static int report(const struct finding_sink *sink, uint32_t line, uint32_t col, const char *message, struct err *reterr)
{
	char           digest[SHA256_HEX];
	struct buf CLEANUP_BUF key = BUF_INIT(8192);
	struct finding f = { .check = STR("files"), .rule = STR("service-file"), .severity = SEVERITY_ERROR, .path = STR(SERVICE_FILE_PATH),
		             .line = line, .col = col, .message = str_z(message), .advice = STR("correct the file; `weir check` shows the same on your machine") };

	buf_addf(&key, "service-file\n%s", message);
	sha256_hex(buf_str(&key), digest);
	f.fingerprint = str_z(digest);
	return sink->add(sink->ctx, &f, reterr);
}

/* "file:line:col: what" as the parser says it. */
static int report_parse_error(const struct finding_sink *sink, const struct err *e, struct err *reterr)
{
	str     rest = str_z(e->msg), file, line, col;
	int64_t l = 0, c = 0;

	if (str_cut(rest, ':', &file, &rest) && str_cut(rest, ':', &line, &rest) && str_cut(rest, ':', &col, &rest) && str_to_i64(line, &l)
	    && str_to_i64(col, &c))
		return report(sink, (uint32_t)l, (uint32_t)c, str_trim(rest).ptr, reterr);
	return report(sink, 0, 0, e->msg, reterr);
}

static int check_text(const struct finding_sink *sink, str text, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct err          e = { 0 };
	struct doc_check    c;
	struct doc_node    *root;
	struct service_file f;
	int                 rc = doc_parse_yaml(&a, SERVICE_FILE_PATH, text, &root, &e);

	if (rc == -WEIR_EPARSE || rc == -WEIR_ELIMIT)
		return report_parse_error(sink, &e, reterr);
	if (rc) {
		if (reterr)
			*reterr = e;
		return rc;
	}
	doc_check_init(&c, &a, SERVICE_FILE_PATH);
	service_file_read(&c, root, &f);
	for (size_t i = 0; i < c.n_diags && !rc; i++)
		rc = report(sink, c.diags[i].line, c.diags[i].col, c.diags[i].msg, reterr);
	return rc ? rc : arena_check(&a, SERVICE_FILE_PATH, reterr);
}

static int check_run(void *ctx UNUSED, const struct change *c, const struct finding_sink *sink, struct err *reterr)
{
	struct buf CLEANUP_BUF text = BUF_INIT(LIMIT_DOC_BYTES);
	struct err e = { 0 };
	int        rc;

	if (c->files) {
		for (size_t i = 0; i < c->n_files; i++)
			if (str_eqz(c->files[i].path, SERVICE_FILE_PATH))
				return check_text(sink, c->files[i].content, reterr);
		return 0;
	}
	if (!c->repo || !strcmp(c->new_id, git_zero_id))
		return 0;
	rc = git_read_path(c->repo, c->new_id, SERVICE_FILE_PATH, &text, &e);
	if (rc == -WEIR_ENOENT)
		return 0;
	if (rc == -WEIR_ELIMIT)
		return report(sink, 0, 0, "the file is too large", reterr);
	if (rc) {
		if (reterr)
			*reterr = e;
		return rc;
	}
	return check_text(sink, buf_str(&text), reterr);
}

const struct check_ops release_file_check = { "files", check_run, NULL };
