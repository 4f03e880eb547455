#include "lib/test.h"

#include "base/hash.h"
#include "release/release.h"
#include "release/service-file.h"

#define WHOLE                                                                                                     \
	"service: shop\n"                                                                                         \
	"command: [python3, app.py]\n"                                                                            \
	"health: {path: /healthz, interval: 500ms, timeout: 3s, healthy-after: 2, start-within: 90s}\n"          \
	"route: {host: shop.localhost}\n"                                                                         \
	"client: {header: X-User}\n"                                                                              \
	"stop-grace: 20s\n"                                                                                       \
	"request-timeout: 1500ms\n"                                                                               \
	"limits: {memory: 512MiB, processes: 64}\n"                                                               \
	"environments:\n"                                                                                         \
	"  production: {instances: 2, env: {LOG: info, N: 3}, flags: live}\n"                                                  \
	"  staging: {route: {port: 9000}}\n"                                                                      \
	"rollout:\n"                                                                                              \
	"  steps: [1%, 0.25, 100%]\n"                                                                             \
	"  bake: 1h\n"                                                                                            \
	"  budget: 2%\n"                                                                                          \
	"  hold: {after: 5m, then: roll-back}\n"                                                                  \
	"  error-window: 30s\n"                                                                                   \
	"  worse-alpha: 0.001\n"                                                                                  \
	"  good-alpha: 0.1\n"                                                                                     \
	"  tolerance: 0.5\n"                                                                                      \
	"  ignore-below: 0.2%\n"                                                                                  \
	"  clients-min: 3\n"                                                                                      \
	"  sample-ratio-alpha: 0.001\n"                                                                           \
	"  missing-max: 5%\n"                                                                                     \
	"  stable-sick: 30%\n"

static void test_every_key_is_obeyed(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct err                 e = { 0 };
	struct service_file        f;
	const struct service_def  *d;
	const struct service_environment *env;
	const struct judge_params *j;

	assert_ok(service_file_parse(&a, STR(WHOLE), &f, &e), &e);
	assert_ok(service_file_find(&f, STR_NULL, STR("production"), &d, &env, &e), &e);
	assert_str(d->name, "shop");
	assert_string_equal(d->argv[1], "app.py");
	assert_null(d->argv[2]);
	assert_string_equal(d->health_path, "/healthz");
	assert_true(d->health_interval == USEC_PER_SEC / 2 && d->health_timeout == 3 * USEC_PER_SEC && d->start_within == 90 * USEC_PER_SEC);
	assert_int_equal(d->healthy_after, 2);
	assert_int_equal(d->client, CLIENT_HEADER);
	assert_true(d->stop_grace == 20 * USEC_PER_SEC);
	assert_true(d->request_timeout == 1500 * USEC_PER_MSEC);
	assert_true(d->memory_max == 512LL << 20 && d->processes_max == 64);
	assert_int_equal(env->instances, 2);
	assert_string_equal(env->env[0], "LOG=info");
	assert_string_equal(env->env[1], "N=3");
	assert_str(env->flags, "live");
	assert_string_equal(env->route.host, "shop.localhost");
	assert_string_equal(env->route.client_header, "x-user");
	assert_int_equal(d->rollout.plan.n_steps, 3);
	assert_true(d->rollout.plan.steps[1] == 0.25 && d->rollout.plan.bake == 3600 * USEC_PER_SEC && d->rollout.error_window == 30 * USEC_PER_SEC);
	assert_true(d->rollout.plan.hold_after == 300 * USEC_PER_SEC && d->rollout.plan.hold_rolls_back);
	j = &d->rollout.judge;
	assert_true(j->budget == 0.02 && j->worse_alpha == 0.001 && j->good_alpha == 0.1 && j->tolerance == 0.5 && j->ignore_below == 0.002);
	assert_true(j->clients_min == 3 && j->srm_alpha == 0.001 && j->missing_max == 0.05 && j->stable_sick == 0.3);
	assert_ok(service_file_find(&f, STR("shop"), STR("staging"), &d, &env, &e), &e);
	assert_int_equal(env->route.port, 9000);
	assert_int_equal(env->instances, 1);
	assert_err(service_file_find(&f, STR("shop"), STR("prod"), &d, &env, &e), WEIR_ENOENT);
	assert_non_null(strstr(e.msg, "it has: production, staging"));
	assert_err(service_file_find(&f, STR("shoop"), STR("staging"), &d, &env, &e), WEIR_ENOENT);
}

static void test_defaults_and_several_services(void **s UNUSED)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
	struct err                 e = { 0 };
	struct service_file        f;
	const struct service_def  *d;
	const struct service_environment *env;

	assert_ok(service_file_parse(&a,
	                             STR("services:\n  one: {command: [a], route: {host: one.x}, environments: {production: {}}, request-timeout: 1h}\n"
	                                 "  two: {command: [b], route: {port: 9001}, environments: {production: }}\n"),
	                             &f, &e),
	          &e);
	assert_err(service_file_find(&f, STR_NULL, STR("production"), &d, &env, &e), WEIR_EINVAL);
	assert_ok(service_file_find(&f, STR("two"), STR("production"), &d, &env, &e), &e);
	assert_string_equal(d->argv[0], "b");
	assert_true(d->rollout.plan.n_steps == 3 && d->rollout.plan.steps[0] == 0.05 && d->rollout.plan.steps[1] == 0.5 && d->rollout.plan.steps[2] == 1);
	assert_true(d->rollout.plan.bake == 600 * USEC_PER_SEC && !d->rollout.plan.hold_rolls_back && d->rollout.error_window == 10 * USEC_PER_SEC);
	assert_memory_equal(&d->rollout.judge, &judge_defaults, sizeof(judge_defaults));
	assert_int_equal(d->client, CLIENT_ADDRESS);
	assert_string_equal(d->health_path, "/");
	assert_true(d->request_timeout == 60 * USEC_PER_SEC);
	assert_true(d->memory_max == 1LL << 30 && d->processes_max == 4096);
	assert_ok(service_file_find(&f, STR("one"), STR("production"), &d, &env, &e), &e);
	assert_true(d->request_timeout == 3600 * USEC_PER_SEC);
}

#define HEAD "service: s\ncommand: [x]\nroute: {host: s.x}\nenvironments: {production: {}}\n"

/* The first problem, with its place. */
static void test_everything_else_is_refused_at_its_place(void **s UNUSED)
{
	static const struct {
		const char *text, *want;
	} table[] = {
		{ HEAD "heath: {}\n", ".weir/service.yaml:5:1: unknown key 'heath' (did you mean 'health'?)" },
		{ HEAD "rollout:\n  steps: [5%, 50%]\n", ":6:15: the last step must be 100%" },
		{ HEAD "rollout:\n  steps: [50%, 5%, 100%]\n", ":6:16: steps must rise" },
		{ HEAD "rollout:\n  stebs: [5%]\n", ":6:3: unknown key 'stebs' (did you mean 'steps'?)" },
		{ HEAD "rollout: {budget: 60%}\n", ":5:19: budget must be from" },
		{ HEAD "rollout: {worse-alpha: 2}\n", ":5:24: " },
		{ HEAD "rollout: {hold: {then: pray}}\n", ":5:24: " },
		{ HEAD "rollout: {clients-min: 17}\n", ":5:24: clients-min" },
		{ HEAD "client: ip\n", ":5:9: " },
		{ HEAD "client: {header: 'X User'}\n", ":5:18: header must be" },
		{ HEAD "health: {path: healthz}\n", ":5:16: path must begin with '/'" },
		{ HEAD "stop-grace: 10\n", ":5:13: " },
		{ HEAD "request-timeout: 99ms\n", ":5:18: request-timeout must be" },
		{ HEAD "request-timeout: 3601s\n", ":5:18: request-timeout must be" },
		{ HEAD "request-timeout: 5\n", ":5:18: request-timeout must be a duration" },
		{ HEAD "limits: {memory: 15MiB}\n", ":5:18: memory must be from 16MiB to 1TiB" },
		{ HEAD "limits: {memory: 2048}\n", ":5:18: memory must be a size such as 64KiB, 512MiB or 2GiB" },
		{ HEAD "limits: {memory: 512MB}\n", ":5:18: memory must be a size" },
		{ HEAD "limits: {processes: 7}\n", ":5:21: processes must be from 8 to 100000" },
		{ HEAD "limits: {memroy: 1GiB}\n", ":5:10: unknown key 'memroy' (did you mean 'memory'?)" },
		{ HEAD "limits: 1GiB\n", ":5:9: limits must be a map" },
		{ HEAD "request-timeuot: 5s\n", ":5:1: unknown key 'request-timeuot' (did you mean 'request-timeout'?)" },
		{ "services: {a: {command: [x], route: {host: a.x}, environments: {p: {}}, request-timout: 5s}}\n",
		  ":1:73: unknown key 'request-timout' (did you mean 'request-timeout'?)" },
		{ "service: Shop\ncommand: [x]\nroute: {host: s.x}\nenvironments: {production: {}}\n", ":1:10: service 'Shop' must be" },
		{ "service: s\ncommand: x y\nroute: {host: s.x}\nenvironments: {production: {}}\n", ":2:10: " },
		{ "service: s\ncommand: []\nroute: {host: s.x}\nenvironments: {production: {}}\n", ":2:10: command must have" },
		{ "service: s\nroute: {host: s.x}\nenvironments: {production: {}}\n", "command" },
		{ "service: s\ncommand: [x]\nroute: {host: s.x}\n", "environments" },
		{ "service: s\ncommand: [x]\nenvironments: {production: {}}\n", ":3:16: environment 'production' has no route" },
		{ "service: s\ncommand: [x]\nroute: {host: S.x}\nenvironments: {production: {}}\n", ":3:15: host 'S.x' must be a host name" },
		{ "service: s\ncommand: [x]\nroute: {host: s.x, port: 1}\nenvironments: {production: {}}\n", ":3:8: route must have either" },
		{ "service: s\ncommand: [x]\nroute: {port: 70000}\nenvironments: {production: {}}\n", ":3:15: " },
		{ "service: s\ncommand: [x]\nroute: {host: s.x}\nenvironments: {a: {}, b: {}}\n", ":4:23: environments 'a' and 'b' have the same route" },
		{ "service: s\ncommand: [x]\nroute: {host: s.x}\nenvironments: {a: {env: {PORT: 1}}}\n", ":4:26: env name 'PORT' cannot be set" },
		{ "service: s\ncommand: [x]\nroute: {host: s.x}\nenvironments: {a: {flags: 'A/b'}}\n", ":4:27: flag set" },
		{ "service: s\ncommand: [x]\nroute: {host: s.x}\nenvironments: {a: {env: {OFREP_ENDPOINT: x}, flags: p}}\n", "take them out of env" },
		{ "service: s\ncommand: [x]\nroute: {host: s.x}\nenvironments: {a: {instances: 0}}\n", ":4:31: " },
		{ "services: {}\n", ":1:11: services must be a map of" },
		{ "services: {a: {command: [x], route: {host: a.x}, environments: {p: {}}}}\nservice: b\n", ":2:1: unknown key 'service'" },
		{ "- 1\n", ":1:1: " },
		{ "a: [\n", ".weir/service.yaml:" },
		{ "", ".weir/service.yaml:" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		struct arena CLEANUP_ARENA a = ARENA_INIT(1 << 20);
		struct err          e = { 0 };
		struct service_file f;

		if (!service_file_parse(&a, str_z(table[i].text), &f, &e) || !strstr(e.msg, table[i].want))
			fail_msg("%s\nexpected \"%s\", seen \"%s\"", table[i].text, table[i].want, e.msg);
	}
}

static unsigned   n_found;
static struct {
	uint32_t line, col;
	char     message[200], fingerprint[100];
} found[10];

static int add_finding(void *ctx UNUSED, const struct finding *f, struct err *reterr UNUSED)
{
	assert_str(f->check, "files");
	assert_int_equal(f->severity, SEVERITY_ERROR);
	assert_str(f->path, SERVICE_FILE_PATH);
	found[n_found].line = f->line;
	found[n_found].col = f->col;
	snprintf(found[n_found].message, 200, "%.*s", STR_ARG(f->message));
	snprintf(found[n_found++].fingerprint, 100, "%.*s", STR_ARG(f->fingerprint));
	return 0;
}

static void check(const char *text)
{
	const struct change_file  file = { STR(".weir/service.yaml"), str_z(text) };
	const struct change       c = { .files = &file, .n_files = 1 };
	const struct finding_sink sink = { add_finding, NULL };
	struct err                e = { 0 };

	n_found = 0;
	assert_ok(release_file_check.run(release_file_check.ctx, &c, &sink, &e), &e);
}

static void test_the_gate_gets_every_problem_with_its_place(void **s UNUSED)
{
	char first[100];

	check(WHOLE);
	assert_int_equal(n_found, 0);
	check(HEAD "heath: {}\nrollout: {bakes: 1s}\n");
	assert_int_equal(n_found, 2);
	assert_true(found[0].line == 5 && found[0].col == 1);
	assert_non_null(strstr(found[0].message, "did you mean 'health'?"));
	assert_true(found[1].line == 6 && found[1].col == 11);
	snprintf(first, sizeof(first), "%s", found[0].fingerprint);
	check("\n\n" HEAD "heath: {}\n"); /* moved: the same finding */
	assert_string_equal(first, found[0].fingerprint);
	check("service: [\n");
	assert_int_equal(n_found, 1);
	assert_true(found[0].line >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_obeyed),
		cmocka_unit_test(test_defaults_and_several_services),
		cmocka_unit_test(test_everything_else_is_refused_at_its_place),
		cmocka_unit_test(test_the_gate_gets_every_problem_with_its_place),
	};

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
