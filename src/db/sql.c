/* sql.c - pure text work for both engines: shared SQL into a dialect, variadic parameters into checked values.
 * Any thread. */
#include "base/base.h"
#include "db/backend.h"

#include <stdarg.h>

/* Length of a quoted text or comment at p (0: none starts here): nothing inside is translated. */
static size_t sql_opaque_len(const char *p)
{
	const char *e;

	if (*p == '\'' || *p == '"') {
		e = strchr(p + 1, *p);
		return e ? (size_t)(e - p) + 1 : strlen(p);
	}
	if (p[0] == '-' && p[1] == '-')
		return strcspn(p, "\n");
	if (p[0] == '/' && p[1] == '*') {
		e = strstr(p + 2, "*/");
		return e ? (size_t)(e - p) + 2 : strlen(p);
	}
	return 0;
}

static const char *sql_token(const struct db_dialect *d, str name)
{
	const struct {
		const char *name, *text;
	} tokens[] = {
		{ "int", d->int_type }, { "text", d->text_type }, { "blob", d->blob_type },
		{ "real", d->real_type }, { "strict", d->strict },
	};

	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++)
		if (str_eqz(name, tokens[i].name))
			return tokens[i].text;
	return NULL;
}

/* "rows:1:key,text": the lists in the JSON list of parameter $1 as rows of texts. False: it is not written so. */
static bool sql_add_rows(const struct db_dialect *d, str token, struct buf *out)
{
	str     kind, param, columns, column;
	int64_t n, i = 0;

	if (!str_cut(token, ':', &kind, &columns) || !str_eqz(kind, "rows") || !str_cut(columns, ':', &param, &columns) || !str_to_i64(param, &n) || n < 1 ||
	    n > LIMIT_DB_PARAMS)
		return false;
	buf_addz(out, "(SELECT ");
	for (bool more = true; more; i++) {
		more = str_cut(columns, ',', &column, &columns);
		buf_addf(out, "%s%s%lld%s AS \"%.*s\"", i ? ", " : "", d->list_column[0], (long long)i, d->list_column[1], STR_ARG(column));
	}
	buf_addf(out, " FROM %s%c%lld%s)", d->list_from[0], d->param, (long long)n, d->list_from[1]);
	return true;
}

/* Translates the @token@ at p; returns its length, 0 on error. */
static size_t sql_add_token(const struct db_dialect *d, const char *p, struct buf *out, struct err *reterr)
{
	const char *end = strchr(p + 1, '@');
	str         name = end ? str_n(p + 1, (size_t)(end - p) - 1) : str_z(p + 1);
	const char *text = end ? sql_token(d, name) : NULL;

	if (!text && end && sql_add_rows(d, name, out))
		return name.len + 2;
	if (!text) {
		(void)err_set(reterr, WEIR_EINVAL, "unknown token '@%.*s@' in SQL (known: @int@ @text@ @blob@ @real@ @strict@ @rows:N:COLUMN,...@)",
		              (int)(name.len < 20 ? name.len : 20), name.ptr);
		return 0;
	}
	buf_addz(out, text);
	return name.len + 2;
}

int db_translate(const struct db_dialect *d, const char *sql, struct buf *out, struct err *reterr)
{
	const char *p = sql;

	while (*p) {
		size_t n = sql_opaque_len(p);

		if (n) {
			buf_add(out, p, n);
		} else if (*p == '$' && p[1] >= '1' && p[1] <= '9') {
			buf_addc(out, d->param);
			n = 1;
		} else if (*p == '@') {
			n = sql_add_token(d, p, out, reterr);
			if (!n)
				return -WEIR_EINVAL;
		} else {
			buf_addc(out, *p);
			n = 1;
		}
		p += n;
	}
	return buf_check(out, "SQL", reterr);
}

static int sql_check_text(const struct db_stmt *s, size_t i, struct err *reterr)
{
	str v = s->v[i].s;

	if (v.len && memchr(v.ptr, 0, v.len))
		return err_set(reterr, WEIR_EINVAL, "parameter $%zu: a text with a NUL byte cannot be stored (SQL: %.80s)", i + 1, s->sql);
	if (!str_utf8_valid(v))
		return err_set(reterr, WEIR_EINVAL, "parameter $%zu: the text is not UTF-8 (SQL: %.80s)", i + 1, s->sql);
	return 0;
}

static void sql_take(struct db_value *v, char type, va_list *ap)
{
	*v = (struct db_value){ .kind = DB_NULL };
	switch (type) {
	case 'i': v->kind = DB_INT, v->i = va_arg(*ap, int64_t); return;
	case 'd': v->kind = DB_REAL, v->d = va_arg(*ap, double); return;
	case 's': v->kind = DB_TEXT, v->s = va_arg(*ap, str); break;
	case 'z': v->kind = DB_TEXT, v->s = str_z(va_arg(*ap, const char *)); break;
	case 'b': v->kind = DB_BLOB, v->s = va_arg(*ap, str); break;
	case 'n': return;
	default: BUG("unknown parameter type '%c'", type);
	}
	if (!v->s.ptr)
		v->kind = DB_NULL;
}

int db_stmt_init(struct db_stmt *s, const char *sql, const char *types, va_list ap, struct err *reterr)
{
	va_list copy;
	int     rc = 0;

	s->sql = sql;
	s->types = types ? types : "";
	s->n = strlen(s->types);
	if (s->n > LIMIT_DB_PARAMS)
		BUG("%zu parameters, at most %d: %.80s", s->n, LIMIT_DB_PARAMS, sql);
	va_copy(copy, ap);
	for (size_t i = 0; i < s->n; i++)
		sql_take(&s->v[i], s->types[i], &copy);
	va_end(copy);
	for (size_t i = 0; i < s->n && !rc; i++)
		if (s->v[i].kind == DB_TEXT)
			rc = sql_check_text(s, i, reterr);
	return rc;
}
