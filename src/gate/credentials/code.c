/* code.c - the lines of a text that may be kept with a finding, without anything in them that may be a secret (see credentials.h).
 *
 * The lines go into an event, which nothing takes back: when in doubt less is kept. The whole text is scanned, by all rules whatever its
 * path; a line that a credential touches is not kept; of a credential's own line only what stands before it is; long runs that look drawn at
 * random are masked though no rule knows them; and what is left is scanned once more. Pure but for the scanner; any thread. */
#include "base/base.h"
#include "base/limits.h"
#include "gate/credentials/cred-internal.h"

enum { CODE_LINE_BYTES = 200, CODE_RUN_MIN = 24 };

#define MASK "****"

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80 || (c && strchr("+/=_-.~%", c));
}

/* How long a run of token characters from s.ptr on is, and whether it looks drawn at random: both letters and digits, and no short word. */
static size_t run_of(str s, bool *ret_random)
{
	bool   digit = false, letter = false;
	size_t n = 0;

	for (; n < s.len && is_token_char((unsigned char)s.ptr[n]) && s.ptr[n] != '.'; n++) {
		digit |= s.ptr[n] >= '0' && s.ptr[n] <= '9';
		letter |= (s.ptr[n] | 32) >= 'a' && (s.ptr[n] | 32) <= 'z';
	}
	*ret_random = n >= CODE_RUN_MIN && digit && letter;
	return n;
}

/* Appends s for one line of a page: no control bytes, no random runs, cut between characters. */
static void add_text(struct buf *out, str s, size_t max)
{
	size_t begin = out->len;

	for (size_t i = 0; i < s.len && out->len - begin < max;) {
		bool   random;
		size_t n = run_of(str_sub(s, i, s.len), &random);

		if (random) {
			buf_addz(out, MASK);
		} else if (n) {
			size_t cut = n < max - (out->len - begin) ? n : max - (out->len - begin);

			while (cut < n && cut && ((unsigned char)s.ptr[i + cut] & 0xc0) == 0x80)
				cut--;
			buf_add(out, s.ptr + i, cut);
			if (cut < n)
				break;
		} else {
			n = 1;
			buf_addc(out, (unsigned char)s.ptr[i] < 0x20 && s.ptr[i] != '\t' ? ' ' : s.ptr[i] == 0x7f ? ' ' : s.ptr[i]);
		}
		i += n;
	}
}

/* The first hit that touches [begin, end), by where it begins. NULL: none. */
static const struct cred_hit *hit_in(const struct cred_worker *w, size_t begin, size_t end)
{
	const struct cred_hit *found = NULL;

	for (size_t i = 0; i < w->hits.n; i++) {
		const struct cred_hit *h = &w->hits.v[i];

		if (h->start < end && h->end > begin && (!found || h->start < found->start))
			found = h;
	}
	return found;
}

/* A credential's own line: what stands before the first of those on it, without the begin of a word that the rule may have cut. */
static bool add_masked(const struct cred_worker *w, size_t begin, size_t end, struct buf *out)
{
	const struct cred_hit *h = hit_in(w, begin, end);
	size_t                 stop;

	if (!h)
		return false;
	stop = h->start > begin ? h->start : begin;
	while (stop > begin && is_token_char((unsigned char)w->text.ptr[stop - 1]) && w->text.ptr[stop - 1] != '=')
		stop--;
	add_text(out, str_sub(w->text, begin, stop - begin), CODE_LINE_BYTES);
	buf_addz(out, MASK);
	return true;
}

static void add_line(const struct cred_worker *w, size_t begin, size_t end, struct buf *out)
{
	if (hit_in(w, begin, end))
		buf_addz(out, CODE_HIDDEN);
	else
		add_text(out, str_sub(w->text, begin, end - begin), CODE_LINE_BYTES);
}

static bool lines_of(const struct cred_worker *w, bool credential, uint32_t line, uint32_t *ret_first, struct buf *out)
{
	uint32_t around = credential ? 0 : CODE_AROUND, first = line > around ? line - around : 1, no = 1;
	bool     any = false;
	size_t   at = 0;

	*ret_first = first;
	while (at < w->text.len && no <= line + around) {
		const char *nl = memchr(w->text.ptr + at, '\n', w->text.len - at);
		size_t      end = nl ? (size_t)(nl - w->text.ptr) : w->text.len;

		if (no >= first) {
			if (any)
				buf_addc(out, '\n');
			if (credential && !add_masked(w, at, end, out))
				return false;
			if (!credential)
				add_line(w, at, end, out);
			any |= no == line || no < line;
		}
		at = end + 1;
		no++;
	}
	return no > line; /* else there is no such line */
}

static bool is_code(str text)
{
	return text.len <= LIMIT_CODE_TEXT_BYTES && !memchr(text.len ? text.ptr : "", 0, text.len) && str_utf8_valid(text);
}

int cred_code(struct cred *c, str text, bool credential, uint32_t line, struct arena *a, struct finding_code *ret, struct err *reterr)
{
	CLEANUP_BUF struct buf out = BUF_INIT((2 * CODE_AROUND + 1) * (CODE_LINE_BYTES + 100));
	struct cred_worker    *w;
	uint32_t               first;
	bool                   keep;
	int                    rc;

	*ret = (struct finding_code){ 0 };
	if (!line || !is_code(text))
		return 0;
	rc = cred_worker_get(c, &w, reterr);
	if (rc)
		return rc;
	rc = cred_worker_scan(w, STR(""), text, reterr);
	keep = !rc && w->text.ptr == text.ptr && lines_of(w, credential, line, &first, &out);
	if (keep) /* what is left must hold nothing by itself either */
		rc = cred_worker_scan(w, STR(""), buf_str(&out), reterr);
	if (keep && !rc && !w->hits.n)
		*ret = (struct finding_code){ first, arena_str(a, buf_str(&out)) };
	cred_worker_put(c, w);
	return rc ? rc : arena_check(a, "the lines of a finding", reterr);
}
