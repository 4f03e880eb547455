/* cmd-insights.c - `weir insights`: the five DORA metrics as the server measured them, with what they mean. */
#include "base/base.h"
#include "cli/cli.h"
#include "cli/commands.h"

static void add_seconds(struct buf *b, const struct doc_node *n)
{
	char text[32];

	if (!n || (n->kind != DOC_INT && n->kind != DOC_REAL))
		buf_addz(b, "-");
	else
		buf_addz(b, clock_human((usec_t)((n->kind == DOC_INT ? (double)n->i : n->d) * 1e6), text));
}

/* "33.3 % (1 of 3)", "1m 12s (median of 4)", "2.00 per service-day (2 in 1)" */
static void add_value(struct buf *b, const struct doc_node *m)
{
	str    unit = doc_get_str(m, "unit");
	bool   none = doc_get(m, "value") == NULL || doc_get(m, "value")->kind == DOC_NULL;
	double value = doc_get_num(m, "value", 0);

	if (str_eqz(unit, "seconds")) {
		add_seconds(b, doc_get(m, "value"));
		buf_addf(b, " (median of %lld", (long long)doc_get_int(m, "n", 0));
		if (doc_get_int(m, "n", 0)) {
			buf_addz(b, "; mean ");
			add_seconds(b, doc_get(m, "mean"));
		}
		if (doc_get_int(m, "not_over", 0))
			buf_addf(b, "; %lld not over", (long long)doc_get_int(m, "not_over", 0));
		buf_addc(b, ')');
		return;
	}
	if (none)
		buf_addc(b, '-');
	else if (str_eqz(unit, "ratio"))
		buf_addf(b, "%.1f %%", 100 * value);
	else
		buf_addf(b, "%.2f %.*s", value, STR_ARG(unit));
	buf_addf(b, " (%.0f %.*s / %.0f %.*s)", doc_get_num(m, "numerator", 0), STR_ARG(doc_get_str(m, "numerator_is")),
	         doc_get_num(m, "denominator", 0), STR_ARG(doc_get_str(m, "denominator_is")));
}

static void add_bound(struct buf *b, const struct doc_node *m, const char *which)
{
	const struct doc_node *interval = doc_get(m, "interval"), *n = doc_get(interval, which);
	str                    unit = doc_get_str(m, "unit");

	if (!n || n->kind == DOC_NULL)
		buf_addz(b, "?");
	else if (str_eqz(unit, "seconds"))
		add_seconds(b, n);
	else if (str_eqz(unit, "ratio"))
		buf_addf(b, "%.1f %%", 100 * doc_get_num(interval, which, 0));
	else
		buf_addf(b, "%.2f", doc_get_num(interval, which, 0));
}

static void print_definition(struct cli *c, str text)
{
	cli_printf(c, "    %s", cli_color(c, "dim"));
	cli_print_text(c, 4, 4, arena_printf(cli_arena(c), "%.*s%s", STR_ARG(text), cli_color(c, "")));
}

static void metric_print(struct cli *c, const struct doc_node *m)
{
	struct buf b CLEANUP_BUF = BUF_INIT(4096);

	add_value(&b, m);
	cli_printf(c, "%s%.*s%s: ", cli_color(c, "bold"), STR_ARG(doc_get_str(m, "title")), cli_color(c, ""));
	cli_print_text(c, (unsigned)doc_get_str(m, "title").len + 2, 4, buf_z(&b));
	buf_clear(&b);
	if (doc_get(m, "interval") && doc_get(m, "interval")->kind == DOC_MAP) {
		buf_addz(&b, "95 % interval ");
		add_bound(&b, m, "low");
		buf_addz(&b, " to ");
		add_bound(&b, m, "high");
	}
	if (doc_get_bool(m, "too_few", false))
		buf_addf(&b, "%stoo few to say much (n = %lld)", b.len ? "; " : "", (long long)doc_get_int(m, "n", 0));
	if (doc_get_int(m, "excluded", 0))
		buf_addf(&b, "%s%lld excluded", b.len ? "; " : "", (long long)doc_get_int(m, "excluded", 0));
	if (b.len)
		cli_printf(c, "    %s%s%s\n", doc_get_bool(m, "too_few", false) ? cli_color(c, "yellow") : "", buf_z(&b), cli_color(c, ""));
	print_definition(c, doc_get_str(m, "definition"));
}

static void row_print(struct cli *c, const struct doc_node *r)
{
	struct buf b CLEANUP_BUF = BUF_INIT(4096);

	buf_addf(&b, "      %s %.*s/%.*s %.*s", doc_get_bool(r, "counts", false) ? "+" : " ", STR_ARG(doc_get_str(r, "project")),
	         STR_ARG(doc_get_str(r, "service")), STR_ARG(doc_get_str(r, "release")));
	if (doc_get_str(r, "change").len)
		buf_addf(&b, " change %.12s", doc_get_str(r, "change").ptr);
	if (doc_get(r, "seconds")) {
		buf_addc(&b, ' ');
		add_seconds(&b, doc_get(r, "seconds"));
	}
	if (doc_get_str(r, "note").len)
		buf_addf(&b, " (%.*s)", STR_ARG(doc_get_str(r, "note")));
	cli_printf(c, "%s\n", buf_z(&b));
}

static int run_insights(struct cli *c, struct err *reterr)
{
	struct buf path CLEANUP_BUF = BUF_INIT(4096);
	const char             *project = cli_option(c, "project"), *days = cli_option(c, "days");
	struct doc_node        *answer;
	const struct doc_node  *metrics;
	int                     rc;

	buf_addf(&path, "/api/v1/insights?rows=%s&days=", cli_switch(c, "rows") ? "true" : "false");
	buf_add_url(&path, str_z(days ? days : "30"));
	if (project) {
		buf_addz(&path, "&project=");
		buf_add_url(&path, str_z(project));
	}
	rc = buf_check(&path, "the filter", reterr);
	if (!rc)
		rc = cli_call(c, "GET", buf_z(&path), STR_NULL, &answer, reterr);
	if (rc)
		return rc;
	if (cli_wants_json(c)) {
		jw_node(cli_json(c), answer);
		return 0;
	}
	cli_print_text(c, 0, 0, arena_printf(cli_arena(c), "%s, production, %.10s to %.10s (%lld days), measured from events, definitions %.*s",
	                                     project ? project : "all projects", doc_get_str(answer, "from").ptr, doc_get_str(answer, "to").ptr,
	                                     (long long)doc_get_int(answer, "days", 0), STR_ARG(doc_get_str(answer, "definition_version"))));
	cli_printf(c, "\n");
	metrics = doc_get(answer, "metrics");
	for (size_t i = 0; i < doc_len(metrics); i++) {
		const struct doc_node *rows = doc_get(doc_at(metrics, i), "rows");

		metric_print(c, doc_at(metrics, i));
		for (size_t k = 0; k < doc_len(rows); k++)
			row_print(c, doc_at(rows, k));
		cli_printf(c, "\n");
	}
	cli_printf(c, "%lld deployments under way, %lld superseded\n", (long long)doc_get_int(answer, "under_way", 0),
	           (long long)doc_get_int(answer, "superseded", 0));
	return 0;
}

const struct cli_command cmd_insights = {
	.name = "insights", .args = "", .summary = "Shows the five DORA metrics, with their definitions",
	.help = "Deployment frequency, lead time for changes, change fail rate, failed deployment recovery time and deployment rework rate of the"
	        " environment production, measured from the server's events. --rows lists what each figure was made of ('+': it counts).",
	.opts = (const struct cli_opt[]){ { "project", "NAME", "only this project" },
	                                  { "days", "N", "the last N UTC days (30)" },
	                                  { "rows", NULL, "also the rows behind each figure" },
	                                  { NULL, NULL, NULL } },
	.run = run_insights,
};
