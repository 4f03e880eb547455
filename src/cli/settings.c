/* settings.c - reads the settings of settings.h from flags, environment, weir.yaml and defaults. Pure but for the reads. */
#include "base/base.h"
#include "cli/settings.h"
#include "base/fs.h"
#include "base/limits.h"
#include "doc/doc.h"

#include <limits.h>

const struct setting settings_table[] = {
#define X(n, e, k, d, t) { n, e, d, t, k },
	SETTING_TABLE(X)
#undef X
};
const size_t settings_n = ARRAY_SIZE(settings_table);
_Static_assert(ARRAY_SIZE(settings_table) <= 32, "struct settings holds 32 values");

const struct environment_name environment_table[] = {
#define X(n, d) { n, d },
	ENVIRONMENT_TABLE(X)
#undef X
};
const size_t environment_n = ARRAY_SIZE(environment_table);

extern char **environ;

int settings_find(str name)
{
	for (size_t i = 0; i < settings_n; i++)
		if (str_eqz(name, settings_table[i].name))
			return (int)i;
	return -1;
}

const char *settings_get(const struct settings *s, const char *name)
{
	int i = settings_find(str_z(name));

	if (i < 0)
		BUG("no setting '%s'", name);
	return s->value[i];
}

int settings_address(const char *what, const char *text, char *host, size_t host_size, uint16_t *ret_port, struct err *reterr)
{
	const char *colon = strrchr(text, ':');
	uint64_t    port;

	if (!colon || colon == text || (size_t)(colon - text) >= host_size || !str_to_u64(str_z(colon + 1), &port) || port > 65535)
		return err_set(reterr, WEIR_EINVAL, "%s: '%s' is not HOST:PORT (for example 127.0.0.1:8420)", what, text);
	snprintf(host, host_size, "%.*s", (int)(colon - text), text);
	*ret_port = (uint16_t)port;
	return 0;
}

static int setting_check(const struct setting *s, const char *v, const char *where, struct err *reterr)
{
	char     host[256];
	uint16_t port;
	uint64_t n;

	switch (s->kind) {
	case SETTING_INT:
		if (!str_to_u64(str_z(v), &n) || n > 1024)
			return err_set(reterr, WEIR_EINVAL, "%s: '%s' is not a number from 0 to 1024", where, v);
		return 0;
	case SETTING_COUNT:
		if (!str_to_u64(str_z(v), &n) || n > 1000000)
			return err_set(reterr, WEIR_EINVAL, "%s: '%s' is not a number from 0 to 1000000", where, v);
		return 0;
	case SETTING_ADDRESS: return settings_address(where, v, host, sizeof(host), &port, reterr);
	case SETTING_URL:
		if (*v && !str_has_prefix(str_z(v), STR("http://")) && !str_has_prefix(str_z(v), STR("https://")))
			return err_set(reterr, WEIR_EINVAL, "%s: '%s' is not an http:// or https:// address", where, v);
		return 0;
	case SETTING_TEXT:
	case SETTING_PATH: return 0;
	}
	return 0;
}

static const char *config_find(struct arena *a, const char *config)
{
	const char *env = getenv("WEIR_CONFIG"), *home = getenv("HOME");
	char       *mine;

	if (config)
		return config;
	if (env && *env)
		return env;
	if (fs_exists("weir.yaml"))
		return "weir.yaml";
	mine = home ? arena_printf(a, "%s/.config/weir/weir.yaml", home) : NULL;
	if (mine && fs_exists(mine))
		return mine;
	return fs_exists("/etc/weir/weir.yaml") ? "/etc/weir/weir.yaml" : NULL;
}

/* A relative path of weir.yaml counts from that file's folder. */
static char *path_from(struct arena *a, const char *file, str value)
{
	const char *slash = strrchr(file, '/');

	if (!value.len || value.ptr[0] == '/' || !slash)
		return arena_dup(a, value);
	return arena_printf(a, "%.*s/%.*s", (int)(slash - file), file, STR_ARG(value));
}

static int config_read(struct arena *a, const char *file, struct settings *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf text = BUF_INIT(LIMIT_DOC_BYTES);
	const char            *known[ARRAY_SIZE(settings_table) + 1] = { NULL };
	struct doc_check       check;
	struct doc_node       *root;
	int                    r;

	for (size_t i = 0; i < settings_n; i++)
		known[i] = settings_table[i].name;
	r = fs_read(file, &text, reterr);
	if (!r)
		r = doc_parse_yaml(a, file, buf_str(&text), &root, reterr);
	if (r)
		return r;
	doc_check_init(&check, a, file);
	if (root->kind == DOC_NULL || !doc_is_map(&check, root, "the settings", known))
		return root->kind == DOC_NULL ? 0 : doc_check_result(&check, reterr);
	for (size_t i = 0; i < settings_n; i++) {
		const struct doc_node *n = doc_get(root, settings_table[i].name);
		struct err             bad = { 0 };

		if (!n)
			continue;
		if (n->kind != DOC_INT && n->kind != DOC_STR) {
			doc_error(&check, n, "'%s' must be a text or a number", settings_table[i].name);
			continue;
		}
		ret->value[i] = settings_table[i].kind == SETTING_PATH ? path_from(a, file, n->text) : arena_dup(a, n->text);
		ret->source[i] = "weir.yaml";
		if (ret->value[i] && setting_check(&settings_table[i], ret->value[i], settings_table[i].name, &bad))
			doc_error(&check, n, "%s", bad.msg);
	}
	return doc_check_result(&check, reterr);
}

static bool environment_takes(const struct environment_name *e, str name)
{
	size_t len = strlen(e->name);

	return e->name[len - 1] == '*' ? str_has_prefix(name, str_n(e->name, len - 1)) : str_eqz(name, e->name);
}

static int environment_check_name(str name, struct err *reterr)
{
	const char *known[ARRAY_SIZE(settings_table) + ARRAY_SIZE(environment_table) + 1] = { NULL }, *near;
	size_t      n = 0;

	for (size_t i = 0; i < environment_n; i++) {
		if (environment_takes(&environment_table[i], name))
			return 0;
		known[n++] = environment_table[i].name;
	}
	for (size_t i = 0; i < settings_n; i++) {
		if (str_eqz(name, settings_table[i].env))
			return 0;
		known[n++] = settings_table[i].env;
	}
	near = doc_nearest(name, known);
	return near ? err_set(reterr, WEIR_EINVAL, "the environment holds %.*s, which weir does not know (did you mean %s?)",
	                      STR_ARG(str_sub(name, 0, 64)), near)
	            : err_set(reterr, WEIR_EINVAL, "the environment holds %.*s, which weir does not know; `weir manual` lists what it obeys",
	                      STR_ARG(str_sub(name, 0, 64)));
}

/* A misspelt name would be a setting that is silently not in force. */
static int environment_check(struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; !r && environ[i]; i++) {
		str name;

		(void)str_cut(str_z(environ[i]), '=', &name, NULL);
		if (str_has_prefix(name, STR("WEIR_")))
			r = environment_check_name(name, reterr);
	}
	return r;
}

int settings_load(struct arena *a, const char *config, const char *const *flags, struct settings *ret, struct err *reterr)
{
	const char *file = config_find(a, config);
	int         r;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < settings_n; i++) {
		ret->value[i] = arena_dupz(a, settings_table[i].otherwise);
		ret->source[i] = "default";
	}
	if (file) {
		ret->file = arena_dupz(a, file);
		r = config_read(a, file, ret, reterr);
		if (r)
			return r;
	}
	for (size_t i = 0; i < settings_n; i++) {
		const char *env = getenv(settings_table[i].env);
		const char *from = flags && flags[i] ? flags[i] : env;

		if (!from)
			continue;
		r = setting_check(&settings_table[i], from,
		                  flags && flags[i] ? arena_printf(a, "--%s", settings_table[i].name) : settings_table[i].env, reterr);
		if (r)
			return r;
		ret->value[i] = arena_dupz(a, from);
		ret->source[i] = flags && flags[i] ? "flag" : "environment";
	}
	r = arena_check(a, "the settings", reterr);
	return r ? r : environment_check(reterr);
}
