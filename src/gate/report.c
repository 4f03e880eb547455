/* report.c - a verdict as text, JSON and SARIF 2.1.0 (see gate.h).
 *
 * Guarantees: nothing from the change reaches a terminal with its control characters; the three forms say the same.
 * Pure; any thread. Output goes to the caller's buf, whose maximum is the limit. */
#include "base/base.h"
#include "gate/gate.h"
#include "base/map.h"
#include "doc/doc.h"

struct counts {
	size_t errors, warnings, notes, waived;
};

static struct counts count(const struct verdict *v)
{
	struct counts c = { 0 };

	for (size_t i = 0; i < v->n_findings; i++) {
		const struct finding *f = &v->findings[i];

		c.waived += f->waived;
		c.errors += !f->waived && f->severity == SEVERITY_ERROR;
		c.warnings += !f->waived && f->severity == SEVERITY_WARNING;
		c.notes += !f->waived && f->severity == SEVERITY_NOTE;
	}
	return c;
}

/* --- text --- */
static void add_plain(struct buf *out, str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		buf_addc(out, c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
}

static void paint(struct buf *out, bool colour, const char *code)
{
	if (colour)
		buf_addf(out, "\033[%sm", code);
}

static void text_finding(const struct finding *f, struct buf *out, bool colour)
{
	const char *word = f->waived ? "waived" : gate_severity_name(f->severity);

	paint(out, colour, f->waived ? "2" : f->severity == SEVERITY_ERROR ? "1;31" : f->severity == SEVERITY_WARNING ? "33" : "36");
	buf_addf(out, "%-8s", word);
	paint(out, colour, "0");
	paint(out, colour, "1");
	add_plain(out, f->path);
	if (f->line)
		buf_addf(out, ":%u", f->line);
	if (f->line && f->col)
		buf_addf(out, ":%u", f->col);
	paint(out, colour, "0");
	buf_addz(out, "  ");
	add_plain(out, f->rule);
	buf_addz(out, "\n        ");
	add_plain(out, f->message);
	if (f->commit.len)
		buf_addf(out, " (commit %.*s)", (int)(f->commit.len < 12 ? f->commit.len : 12), f->commit.ptr);
	buf_addc(out, '\n');
	if (f->waived) {
		buf_addz(out, "        accepted by ");
		add_plain(out, f->waiver);
		buf_addc(out, '\n');
	} else if (f->advice.len) {
		buf_addz(out, "        -> ");
		add_plain(out, f->advice);
		buf_addc(out, '\n');
	}
	if (!f->waived && f->fingerprint.len) {
		buf_addz(out, "        fingerprint ");
		add_plain(out, f->fingerprint);
		buf_addc(out, '\n');
	}
}

void gate_report_text(const struct verdict *v, struct buf *out, bool colour)
{
	struct counts c = count(v);

	for (size_t i = 0; i < v->n_findings; i++)
		text_finding(&v->findings[i], out, colour);
	if (v->n_dropped)
		buf_addf(out, "... and %zu more findings that are not shown\n", v->n_dropped);
	if (v->cause.len) {
		buf_addz(out, "not judged: ");
		add_plain(out, v->cause);
		buf_addc(out, '\n');
	}
	buf_addz(out, v->call == VERDICT_PASS ? "pass" : v->call == VERDICT_FAIL ? "fail" : "cannot judge");
	buf_addf(out, ": %zu error%s, %zu warning%s, %zu note%s, %zu waived\n", c.errors, c.errors == 1 ? "" : "s", c.warnings,
	         c.warnings == 1 ? "" : "s", c.notes, c.notes == 1 ? "" : "s", c.waived);
}

/* --- JSON --- */
static void json_finding(struct jw *w, const struct finding *f)
{
	jw_obj(w);
	jw_kstr(w, "check", f->check);
	jw_kstr(w, "rule", f->rule);
	jw_kstrz(w, "severity", gate_severity_name(f->severity));
	jw_kstr(w, "path", f->path);
	jw_kint(w, "line", f->line);
	jw_kint(w, "column", f->col);
	jw_kint(w, "end_line", f->end_line);
	jw_kint(w, "end_column", f->end_col);
	jw_kstr(w, "message", f->message);
	jw_kstr(w, "advice", f->advice);
	if (f->commit.len)
		jw_kstr(w, "commit", f->commit);
	if (f->fingerprint.len)
		jw_kstr(w, "fingerprint", f->fingerprint);
	jw_kbool(w, "waived", f->waived);
	if (f->waived)
		jw_kstr(w, "waiver", f->waiver);
	jw_end(w);
}

void gate_report_json(const struct verdict *v, struct buf *out)
{
	struct counts c = count(v);
	struct jw     w;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kstrz(&w, "verdict", gate_call_name(v->call));
	jw_kstrz(&w, "digest", v->digest);
	if (v->cause.len)
		jw_kstr(&w, "cause", v->cause);
	jw_kint(&w, "errors", (int64_t)c.errors);
	jw_kint(&w, "warnings", (int64_t)c.warnings);
	jw_kint(&w, "notes", (int64_t)c.notes);
	jw_kint(&w, "waived", (int64_t)c.waived);
	jw_kint(&w, "dropped", (int64_t)v->n_dropped);
	jw_key(&w, "findings");
	jw_arr(&w);
	for (size_t i = 0; i < v->n_findings; i++)
		json_finding(&w, &v->findings[i]);
	jw_end(&w);
	jw_end(&w);
}

/* --- SARIF 2.1.0 --- */
static void text_object(struct jw *w, const char *key, str text)
{
	jw_key(w, key);
	jw_obj(w);
	jw_kstr(w, "text", text);
	jw_end(w);
}

/* The distinct rules, in the order of their first finding: value is index + 1. */
static void sarif_rules(struct jw *w, const struct verdict *v, struct map *rules)
{
	jw_key(w, "rules");
	jw_arr(w);
	for (size_t i = 0; i < v->n_findings; i++) {
		const struct finding *f = &v->findings[i];

		if (map_has(rules, f->rule))
			continue;
		if (!map_put(rules, f->rule, (void *)(uintptr_t)(map_count(rules) + 1), NULL)) {
			w->out->failed = true; /* buf_check() then says that there was no memory */
			return;
		}
		jw_obj(w);
		jw_kstr(w, "id", f->rule);
		if (f->advice.len)
			text_object(w, "help", f->advice);
		jw_key(w, "properties");
		jw_obj(w);
		jw_kstr(w, "check", f->check);
		jw_end(w);
		jw_end(w);
	}
	jw_end(w);
}

static void sarif_region(struct jw *w, const struct finding *f)
{
	if (!f->line)
		return;
	jw_key(w, "region");
	jw_obj(w);
	jw_kint(w, "startLine", f->line);
	if (f->col)
		jw_kint(w, "startColumn", f->col);
	if (f->end_line >= f->line)
		jw_kint(w, "endLine", f->end_line);
	if (f->end_line && f->end_col)
		jw_kint(w, "endColumn", f->end_col);
	jw_end(w);
}

static void sarif_location(struct jw *w, const struct finding *f)
{
	CLEANUP_BUF struct buf uri = BUF_INIT(4 * 4096 + 16);
	str                    rest = f->path, part;

	for (bool more = rest.len > 0; more;) {
		more = str_cut(rest, '/', &part, &rest);
		buf_add_url(&uri, part);
		if (more)
			buf_addc(&uri, '/');
	}
	jw_key(w, "locations");
	jw_arr(w);
	jw_obj(w);
	jw_key(w, "physicalLocation");
	jw_obj(w);
	jw_key(w, "artifactLocation");
	jw_obj(w);
	jw_kstr(w, "uri", buf_str(&uri));
	jw_kstrz(w, "uriBaseId", "SRCROOT");
	jw_end(w);
	sarif_region(w, f);
	jw_end(w);
	jw_end(w);
	jw_end(w);
}

static void sarif_result(struct jw *w, const struct finding *f, const struct map *rules)
{
	jw_obj(w);
	jw_kstr(w, "ruleId", f->rule);
	jw_kint(w, "ruleIndex", (int64_t)(uintptr_t)map_get(rules, f->rule) - 1);
	jw_kstrz(w, "level", gate_severity_name(f->severity));
	text_object(w, "message", f->message);
	sarif_location(w, f);
	if (f->fingerprint.len) {
		jw_key(w, "partialFingerprints");
		jw_obj(w);
		jw_kstr(w, "weirFinding/v1", f->fingerprint);
		jw_end(w);
	}
	jw_key(w, "suppressions"); /* an empty list says: looked, and there is none */
	jw_arr(w);
	if (f->waived) {
		jw_obj(w);
		jw_kstrz(w, "kind", "external");
		jw_kstrz(w, "status", "accepted");
		jw_kstr(w, "justification", f->waiver);
		jw_end(w);
	}
	jw_end(w);
	if (f->commit.len) {
		jw_key(w, "properties");
		jw_obj(w);
		jw_kstr(w, "commit", f->commit);
		jw_end(w);
	}
	jw_end(w);
}

static void sarif_invocation(struct jw *w, const struct verdict *v)
{
	jw_key(w, "invocations");
	jw_arr(w);
	jw_obj(w);
	jw_kbool(w, "executionSuccessful", v->call != VERDICT_CANNOT_JUDGE && !v->cause.len);
	if (v->cause.len || v->n_dropped) {
		jw_key(w, "toolExecutionNotifications");
		jw_arr(w);
		if (v->cause.len) {
			jw_obj(w);
			jw_kstrz(w, "level", "error");
			text_object(w, "message", v->cause);
			jw_end(w);
		}
		if (v->n_dropped) {
			char text[80];

			snprintf(text, sizeof text, "%zu more findings are not shown", v->n_dropped);
			jw_obj(w);
			jw_kstrz(w, "level", "warning");
			text_object(w, "message", str_z(text));
			jw_end(w);
		}
		jw_end(w);
	}
	jw_end(w);
	jw_end(w);
}

void gate_report_sarif(const struct verdict *v, struct buf *out)
{
	struct map rules = MAP_INIT;
	struct jw  w;

	jw_init(&w, out);
	jw_obj(&w);
	jw_kstrz(&w, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
	jw_kstrz(&w, "version", "2.1.0");
	jw_key(&w, "runs");
	jw_arr(&w);
	jw_obj(&w);
	jw_key(&w, "tool");
	jw_obj(&w);
	jw_key(&w, "driver");
	jw_obj(&w);
	jw_kstrz(&w, "name", "weir");
	jw_kstrz(&w, "version", WEIR_VERSION);
	sarif_rules(&w, v, &rules);
	jw_end(&w);
	jw_end(&w);
	sarif_invocation(&w, v);
	jw_kstrz(&w, "columnKind", "utf16CodeUnits");
	jw_key(&w, "results");
	jw_arr(&w);
	for (size_t i = 0; !out->failed && i < v->n_findings; i++)
		sarif_result(&w, &v->findings[i], &rules);
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	map_fini(&rules);
}
