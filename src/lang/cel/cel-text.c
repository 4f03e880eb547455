/* cel-text.c - shows a problem as a person wants to read it: place, what, the line and a caret below.
 *
 * Long lines are shown in part, around the place. Pure: any thread. */
#include "base/base.h"
#include "lang/cel/cel-internal.h"

enum { SHOWN_BEFORE = 100, SHOWN_AFTER = 60 }; /* characters of the line around the place */

static str line_of(str text, uint32_t line)
{
	str rest = text, one = text;

	while (line-- > 0)
		str_cut(rest, '\n', &one, &rest);
	return one;
}

static size_t char_bytes(str s, size_t at)
{
	size_t n = 1;

	while (at + n < s.len && ((unsigned char)s.ptr[at + n] & 0xc0) == 0x80)
		n++;
	return n;
}

void cel_caret(struct buf *out, const char *file, str text, uint32_t line, uint32_t col, const char *what)
{
	str l = line_of(text, line);
	uint32_t first = col > SHOWN_BEFORE ? col - SHOWN_BEFORE : 1, at_col = 1;
	size_t i = 0;

	buf_addf(out, "%s:%u:%u: %s\n | %s", file, line, col, what, first > 1 ? "..." : "");
	for (; i < l.len && at_col < col + SHOWN_AFTER; at_col++) {
		size_t n = char_bytes(l, i);

		if (at_col >= first) {
			if ((unsigned char)l.ptr[i] < ' ')
				buf_addc(out, ' ');
			else
				buf_add(out, l.ptr + i, n);
		}
		i += n;
	}
	buf_addf(out, "%s\n | %s", i < l.len ? "..." : "", first > 1 ? "..." : "");
	for (uint32_t c = first; c < col; c++)
		buf_addc(out, '.');
	buf_addc(out, '^');
}

void cel_problem_print(const struct cel_ast *ast, const struct cel_problem *p, struct buf *out)
{
	cel_caret(out, ast->file, ast->text, p->line, p->col, p->msg);
}

const struct cel_problem *cel_ast_problems(const struct cel_ast *ast, size_t *ret_n)
{
	*ret_n = ast->n_problems;
	return ast->problems;
}
