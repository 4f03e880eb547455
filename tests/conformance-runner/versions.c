/* versions.c - comparisons of versions (osv-scalibr): lines `a < b`, `a = b`, `a > b`; the file's name is the order. Each holds
 * in both directions. */
#include "base/base.h"
#include "conformance.h"

#include "base/fs.h"
#include "lang/version/version.h"

static bool order_of_file(const char *path, enum version_order *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (int o = 0; o < VERSION_ORDERS; o++) {
		*ret = (enum version_order)o;
		if (str_eq(str_n(name, strcspn(name, ".")), str_z(version_order_name(*ret))))
			return true;
	}
	return false;
}

static char sign(int r)
{
	return r < 0 ? '<' : r > 0 ? '>' : '=';
}

/* False when the line is none: blank or a comment. */
static bool read_line(str line, str *a, char *op, str *b)
{
	str rest;

	line = str_trim(line);
	if (!line.len || line.ptr[0] == '#' || !str_cut(line, ' ', a, &rest) || rest.len < 3 || rest.ptr[1] != ' ')
		return false;
	*op = rest.ptr[0];
	*b = str_trim(str_sub(rest, 2, rest.len));
	return *op == '<' || *op == '=' || *op == '>';
}

static void run_line(struct conf_case *c, enum version_order order, str a, char op, str b)
{
	struct version *x, *y;
	struct err err;
	char there, back, back_wanted = op == '<' ? '>' : op == '>' ? '<' : '=';

	if (version_parse(c->arena, order, a, &x, &err) || version_parse(c->arena, order, b, &y, &err)) {
		conf_fail(c, NULL, "two versions", "%s", err.msg);
		return;
	}
	there = sign(version_compare(x, y));
	back = sign(version_compare(y, x));
	if (there == op && back == back_wanted)
		conf_pass(c, NULL);
	else
		conf_fail(c, NULL, c->name, "%.*s %c %.*s, and back %c", STR_ARG(a), there, STR_ARG(b), back);
}

static void run_path(struct conf_run *r, const char *path)
{
	struct buf text CLEANUP_BUF = BUF_INIT(64 << 20);
	struct err err;
	enum version_order order;
	struct arena a CLEANUP_ARENA = ARENA_INIT(1 << 20);
	struct conf_case c = conf_case_at(r, path, path, &a);
	str line, rest;

	if (fs_read(path, &text, &err) || !order_of_file(path, &order)) {
		conf_fail(&c, NULL, "a file that is named after an order", "%s", path);
		return;
	}
	for (rest = buf_str(&text); rest.len; c.line++) {
		struct arena each CLEANUP_ARENA = ARENA_INIT(4 << 20);
		str x, y;
		char op;

		str_cut(rest, '\n', &line, &rest);
		if (!read_line(line, &x, &op, &y))
			continue;
		c.arena = &each;
		c.name = arena_printf(&each, "%s: %.*s", version_order_name(order), STR_ARG(str_trim(line)));
		run_line(&c, order, x, op, y);
	}
}

static const char *const files[] = { "versions/compare/alpine.txt",
									 "versions/compare/cran.txt",
									 "versions/compare/debian.txt",
									 "versions/compare/hackage.txt",
									 "versions/compare/maven.txt",
									 "versions/compare/nuget.txt",
									 "versions/compare/packagist.txt",
									 "versions/compare/pub.txt",
									 "versions/compare/pypi.txt",
									 "versions/compare/redhat.txt",
									 "versions/compare/rubygems.txt",
									 "versions/compare/semver.txt",
									 NULL };
const struct conf_suite suite_versions = { .name = "versions", .files = files, .run_path = run_path };
