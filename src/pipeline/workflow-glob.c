/* workflow-glob.c - filter patterns of on.push, as GitHub documents them.
 *
 * '*' any characters but '/', '**' any characters, '?' zero or one of what is before, '+' one or more of what is before,
 * '[...]' one of the characters or ranges, '\' takes the next character as it is; '!' at the start is the caller's.
 * A pattern that starts with "**" and a slash also matches without any folder. Pure; bounded by LIMIT_GLOB_STEPS, past which nothing matches. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/workflow-read.h"

struct glob {
	str      p, t;
	unsigned steps;
};

/* Length of the one-character element at p[i] (a letter, "\x" or "[...]"). */
static size_t element_len(str p, size_t i)
{
	if (p.ptr[i] == '\\' && i + 1 < p.len)
		return 2;
	if (p.ptr[i] != '[')
		return 1;
	for (size_t j = i + 2; j < p.len; j++)
		if (p.ptr[j] == ']')
			return j - i + 1;
	return 1; /* an unclosed bracket is a plain character */
}

static bool element_matches(str p, size_t i, size_t len, char c)
{
	if (p.ptr[i] == '\\' && len == 2)
		return c == p.ptr[i + 1];
	if (p.ptr[i] != '[' || len == 1)
		return c == p.ptr[i];
	for (size_t j = i + 1; j + 1 < i + len; j++) {
		if (j + 2 < i + len - 1 && p.ptr[j + 1] == '-') {
			if ((unsigned char)c >= (unsigned char)p.ptr[j] && (unsigned char)c <= (unsigned char)p.ptr[j + 2])
				return true;
			j += 2;
		} else if (c == p.ptr[j]) {
			return true;
		}
	}
	return false;
}

static bool match(struct glob *g, size_t i, size_t k);

static bool match_star(struct glob *g, size_t i, size_t k)
{
	bool   deep = i + 1 < g->p.len && g->p.ptr[i + 1] == '*';
	size_t next = i + 1 + deep;

	/* "**" with a slash behind it: also no folder at all */
	if (deep && next < g->p.len && g->p.ptr[next] == '/' && (i == 0 || g->p.ptr[i - 1] == '/') && match(g, next + 1, k))
		return true;
	for (;; k++) {
		if (match(g, next, k))
			return true;
		if (k >= g->t.len || (!deep && g->t.ptr[k] == '/'))
			return false;
	}
}

static bool match(struct glob *g, size_t i, size_t k)
{
	while (i < g->p.len) {
		if (++g->steps > LIMIT_GLOB_STEPS)
			return false;
		if (g->p.ptr[i] == '*')
			return match_star(g, i, k);

		size_t len = element_len(g->p, i);
		char   repeat = i + len < g->p.len ? g->p.ptr[i + len] : 0;
		bool   here = k < g->t.len && element_matches(g->p, i, len, g->t.ptr[k]);

		if (repeat == '?') {
			if (here && match(g, i + len + 1, k + 1))
				return true;
			i += len + 1;
			continue;
		}
		if (repeat == '+') {
			for (; k < g->t.len && element_matches(g->p, i, len, g->t.ptr[k]); k++)
				if (match(g, i + len + 1, k + 1))
					return true;
			return false;
		}
		if (!here)
			return false;
		i += len;
		k++;
	}
	return k == g->t.len;
}

bool workflow_glob(str pattern, str text)
{
	struct glob g = { pattern, text, 0 };

	return match(&g, 0, 0);
}
