/* suites.h - the table of conformance suites: one line adds one. C name (suite_NAME in a file of its own), name on the command line. */
#ifndef WEIR_CONFORMANCE_SUITES_H
#define WEIR_CONFORMANCE_SUITES_H

#define CONF_SUITES(X)                \
	X(act_run_only, "act-run-only")   \
	X(cel_go, "cel-go")               \
	X(cel_spec, "cel-spec")           \
	X(cel_tree, "cel-tree")           \
	X(expressions, "expressions")     \
	X(fake_leaks, "fake-leaks")       \
	X(flagd_evaluator, "flagd-evaluator") \
	X(flagd_provider, "flagd-provider") \
	X(flagd_schemas, "flagd-schemas") \
	X(http_strictness, "http-strictness") \
	X(json_parsing, "json-parsing")   \
	X(jsonlogic, "jsonlogic")         \
	X(mustache, "mustache")           \
	X(openfeature, "openfeature")     \
	X(act_workflows, "act-workflows") \
	X(schemastore_workflow, "schemastore-workflow") \
	X(secret_rules, "secret-rules")   \
	X(starter_workflows, "starter-workflows") \
	X(unleash, "unleash")             \
	X(workflow_reader, "workflow-reader") \
	X(versions, "versions")           \
	X(yaml, "yaml")

#endif
