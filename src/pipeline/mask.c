/* mask.c - masking of secrets in streams (see mask.h). Pure; any thread, one per struct. */
#include "base/base.h"
#include "base/hash.h"
#include "base/limits.h"
#include "pipeline/mask.h"

void masks_init(struct masks *m) { *m = (struct masks){ VEC_INIT, { false } }; }

void masks_fini(struct masks *m)
{
	for (size_t i = 0; i < m->texts.n; i++) {
		explicit_bzero(m->texts.v[i], strlen(m->texts.v[i]));
		free(m->texts.v[i]);
	}
	VEC_FINI(&m->texts);
}

static int add_text(struct masks *m, str t, struct err *reterr)
{
	char  *copy;
	size_t at = 0;

	if (!str_trim(t).len || memchr(t.ptr, 0, t.len))
		return 0;
	for (size_t i = 0; i < m->texts.n; i++)
		if (str_eqz(t, m->texts.v[i]))
			return 0;
	if (m->texts.n >= LIMIT_JOB_MASKS)
		return err_set(reterr, WEIR_ELIMIT, "more than %d masked texts in one job", LIMIT_JOB_MASKS);
	copy = str_dup(t);
	if (!copy || !VEC_PUSH(&m->texts, copy)) {
		free(copy);
		return err_set(reterr, WEIR_ENOMEM, "out of memory");
	}
	while (at + 1 < m->texts.n && strlen(m->texts.v[at]) >= t.len) /* longest first */
		at++;
	memmove(&m->texts.v[at + 1], &m->texts.v[at], (m->texts.n - 1 - at) * sizeof(char *));
	m->texts.v[at] = copy;
	m->first[(unsigned char)t.ptr[0]] = true;
	return 0;
}

/* Base64 of the value as it appears when `lead` unknown bytes (mod 3) stand before it: only the characters that depend on the value alone. */
static int add_base64(struct masks *m, str value, size_t lead, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(4 << 20);
	size_t                 skip = (3 - lead) % 3;
	str                    inner = str_sub(value, skip, value.len);

	if (inner.len < 6) /* shorter ones would hide harmless text */
		return 0;
	buf_add_base64(&b, lead ? str_sub(inner, 0, inner.len / 3 * 3) : inner);
	while (!lead && b.len && b.ptr[b.len - 1] == '=')
		b.len--;
	/* the last character of an unpadded tail depends on what follows: the padded form is covered by the stable part */
	if (!lead && inner.len % 3)
		b.len -= 1;
	return buf_check(&b, "masked text", reterr) ? -WEIR_ELIMIT : add_text(m, buf_str(&b), reterr);
}

static int add_forms(struct masks *m, str v, struct err *reterr)
{
	CLEANUP_BUF struct buf b = BUF_INIT(4 << 20);
	int                    r = add_text(m, v, reterr);

	for (size_t lead = 0; !r && lead < 3; lead++)
		r = add_base64(m, v, lead, reterr);
	if (r)
		return r;
	buf_add_url(&b, v);
	r = add_text(m, buf_str(&b), reterr);
	buf_clear(&b);
	buf_add_json(&b, v);
	return r ? r : add_text(m, buf_str(&b), reterr);
}

int masks_add(struct masks *m, str value, struct err *reterr)
{
	str rest = value, line;
	int r = 0;

	while (!r && rest.len) {
		str_cut(rest, '\n', &line, &rest);
		line = str_trim(line);
		if (line.len)
			r = add_forms(m, line, reterr);
	}
	/* several lines encoded as one */
	if (!r && str_contains(value, STR("\n")))
		for (size_t lead = 0; !r && lead < 3; lead++)
			r = add_base64(m, value, lead, reterr);
	return r;
}

/* The longest text that stands at p; *ret_open: more bytes could make it a longer one. */
static size_t match(const struct masks *m, const char *p, size_t n, bool *ret_open)
{
	*ret_open = false;
	for (size_t i = 0; i < m->texts.n; i++) {
		const char *t = m->texts.v[i];
		size_t      len = strlen(t);

		if (len <= n) {
			if (!memcmp(t, p, len))
				return len; /* longest first */
		} else if (!memcmp(t, p, n)) {
			*ret_open = true;
			return 0;
		}
	}
	return 0;
}

static size_t mask_run(const struct masks *m, str s, bool end, struct buf *out)
{
	size_t i = 0, from = 0;

	while (i < s.len) {
		bool   open = false;
		size_t n = m->first[(unsigned char)s.ptr[i]] ? match(m, s.ptr + i, s.len - i, &open) : 0;

		if (open && !end)
			break;
		if (open) { /* the end of the stream: shorter texts may still stand here */
			for (size_t k = 0; k < m->texts.n && !n; k++) {
				size_t len = strlen(m->texts.v[k]);

				if (len <= s.len - i && !memcmp(m->texts.v[k], s.ptr + i, len))
					n = len;
			}
		}
		if (!n) {
			i++;
			continue;
		}
		buf_add(out, s.ptr + from, i - from);
		buf_addz(out, "***");
		i += n;
		from = i;
	}
	buf_add(out, s.ptr + from, i - from);
	return i;
}

void masks_apply(const struct masks *m, str text, struct buf *out) { (void)mask_run(m, text, true, out); }

void mask_stream_init(struct mask_stream *s) { buf_init(&s->held, 8 << 20); }
void mask_stream_fini(struct mask_stream *s) { buf_fini(&s->held); }

void mask_stream_feed(struct mask_stream *s, const struct masks *m, str piece, bool end, struct buf *out)
{
	if (!s->held.len) {
		size_t done = mask_run(m, piece, end, out);

		buf_add(&s->held, piece.ptr + done, piece.len - done);
		return;
	}
	buf_add_str(&s->held, piece);
	buf_drop_front(&s->held, mask_run(m, buf_str(&s->held), end, out));
}
