/* plan-matrix.c - a matrix becomes its combinations, as GitHub makes them.
 *
 * All vectors are crossed (the first one changes slowest); exclude takes away each combination in which all its values are equal (with the ==
 * of expressions; nested maps by their leaves); include then adds its keys to each combination whose own values it does not change, or becomes
 * a combination of its own. Pure, any thread. */
#include "base/base.h"

#include "base/limits.h"
#include "pipeline/plan-eval.h"

struct combo {
	struct expr_pair *pairs;
	size_t            n, n_original; /* the first n_original come from vectors and may not be changed */
	bool              gone, own;     /* own: made by an include */
};
struct matrix {
	const struct plan_eval *x;
	const struct doc_node  *at;
	const struct expr_value *value; /* evaluated */
	struct expr            *equal;  /* a.v == b.v */
	struct combo           *combos;
	size_t                  n, cap;
};

static bool is_vector(str key)
{
	return !str_eqz(key, "include") && !str_eqz(key, "exclude");
}

static int leaf_equal(struct matrix *m, const struct expr_value *a, const struct expr_value *b, bool *ret, struct err *reterr)
{
	struct arena            *ar = m->x->a;
	struct expr_pair         pa = { STR("v"), a }, pb = { STR("v"), b };
	struct expr_pair         both[] = { { STR("github"), expr_object(ar, &pa, 1) }, { STR("env"), expr_object(ar, &pb, 1) } };
	struct expr_env          env = { expr_object(ar, both, 2), NULL, NULL };
	const struct expr_value *v = NULL;
	int                      rc = expr_eval(ar, m->equal, &env, &v, reterr);

	*ret = !rc && expr_truthy(v);
	return rc;
}

/* Is every leaf of `filter` equal to what stands at its place in `v`? */
static int matches(struct matrix *m, const struct expr_value *filter, const struct expr_value *v, bool *ret, struct err *reterr)
{
	int rc = 0;

	*ret = true;
	if (filter->kind == EXPR_OBJECT || filter->kind == EXPR_ARRAY) {
		if (v->kind != filter->kind || (v->kind == EXPR_ARRAY && v->len != filter->len)) {
			*ret = false;
			return 0;
		}
		for (size_t i = 0; i < filter->len && *ret && !rc; i++) {
			bool                     obj = filter->kind == EXPR_OBJECT;
			const struct expr_value *inner = obj ? expr_get(v, filter->pairs[i].key) : v->items[i];

			if (!inner)
				*ret = false;
			else
				rc = matches(m, obj ? filter->pairs[i].value : filter->items[i], inner, ret, reterr);
		}
		return rc;
	}
	if (v->kind == EXPR_OBJECT || v->kind == EXPR_ARRAY) {
		*ret = false;
		return 0;
	}
	return leaf_equal(m, filter, v, ret, reterr);
}

static struct expr_pair *combo_get(const struct combo *c, size_t n, str key)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(c->pairs[i].key, key))
			return &c->pairs[i];
	return NULL;
}

static int too_many(struct matrix *m, struct err *reterr)
{
	return plan_error_at(m->x->wf, m->at, reterr, "the matrix makes more than %d jobs", LIMIT_MATRIX_JOBS);
}

static int check_shape(struct matrix *m, size_t *ret_vectors, size_t *ret_combos, struct err *reterr)
{
	*ret_vectors = 0;
	*ret_combos = 1;
	if (m->value->kind != EXPR_OBJECT)
		return plan_error_at(m->x->wf, m->at, reterr, "the matrix must be an object");
	for (size_t i = 0; i < m->value->len; i++) {
		const struct expr_pair *p = &m->value->pairs[i];

		if (p->value->kind != EXPR_ARRAY)
			return plan_error_at(m->x->wf, m->at, reterr, "'%.*s' of the matrix must be a list", STR_ARG(p->key));
		if (is_vector(p->key)) {
			if (p->value->len == 0)
				return plan_error_at(m->x->wf, m->at, reterr, "matrix vector '%.*s' has no values", STR_ARG(p->key));
			(*ret_vectors)++;
			if (*ret_combos > LIMIT_MATRIX_CELLS / p->value->len)
				return too_many(m, reterr);
			*ret_combos *= p->value->len;
			continue;
		}
		for (size_t k = 0; k < p->value->len; k++)
			if (p->value->items[k]->kind != EXPR_OBJECT)
				return plan_error_at(m->x->wf, m->at, reterr, "an entry of '%.*s' of the matrix must be a map", STR_ARG(p->key));
	}
	return 0;
}

/* Room for own keys and for what includes add. */
static size_t pairs_max(const struct matrix *m)
{
	const struct expr_value *inc = expr_get(m->value, STR("include"));
	size_t                   n = m->value->len;

	for (size_t i = 0; inc && i < inc->len; i++)
		n += inc->items[i]->len;
	return n + 1;
}

static void cross(struct matrix *m, size_t vectors, size_t combos)
{
	struct arena *a = m->x->a;

	for (size_t c = 0; vectors && c < combos && !a->failed; c++) {
		struct combo *to = &m->combos[m->n++];
		size_t        block = combos, rest = c;

		to->pairs = ARENA_ARRAY(a, pairs_max(m), struct expr_pair);
		for (size_t i = 0; to->pairs && i < m->value->len; i++) {
			const struct expr_pair *p = &m->value->pairs[i];

			if (!is_vector(p->key))
				continue;
			block /= p->value->len;
			to->pairs[to->n++] = (struct expr_pair){ p->key, p->value->items[rest / block] };
			rest %= block;
		}
		to->n_original = to->n;
	}
}

static int exclude(struct matrix *m, struct err *reterr)
{
	const struct expr_value *list = expr_get(m->value, STR("exclude"));
	int                      rc = 0;

	for (size_t e = 0; list && e < list->len; e++) {
		const struct expr_value *filter = list->items[e];

		for (size_t c = 0; c < m->n && !rc; c++) {
			bool all = filter->len > 0;

			for (size_t i = 0; i < filter->len && all && !rc; i++) {
				struct expr_pair *have = combo_get(&m->combos[c], m->combos[c].n, filter->pairs[i].key);

				if (!have)
					return plan_error_at(m->x->wf, m->at, reterr, "'exclude' names '%.*s', which is no vector of the matrix",
					                     STR_ARG(filter->pairs[i].key));
				rc = matches(m, filter->pairs[i].value, have->value, &all, reterr);
			}
			m->combos[c].gone = m->combos[c].gone || (all && !rc);
		}
	}
	return rc;
}

/* Would the include change an original value of the combination? */
static int fits(struct matrix *m, const struct combo *c, const struct expr_value *inc, bool *ret, struct err *reterr)
{
	int rc = 0;

	*ret = !c->gone && !c->own;
	for (size_t i = 0; i < inc->len && *ret && !rc; i++) {
		struct expr_pair *have = combo_get(c, c->n_original, inc->pairs[i].key);

		if (have)
			rc = matches(m, inc->pairs[i].value, have->value, ret, reterr);
	}
	return rc;
}

static void add_pairs(struct combo *c, const struct expr_value *inc)
{
	for (size_t i = 0; i < inc->len; i++) {
		struct expr_pair *have = combo_get(c, c->n, inc->pairs[i].key);

		if (!have)
			c->pairs[c->n++] = inc->pairs[i];
		else if (have >= c->pairs + c->n_original)
			have->value = inc->pairs[i].value;
	}
}

static int include(struct matrix *m, struct err *reterr)
{
	const struct expr_value *list = expr_get(m->value, STR("include"));

	for (size_t e = 0; list && e < list->len; e++) {
		bool any = false;

		for (size_t c = 0; c < m->n; c++) {
			bool ok;
			int  rc = fits(m, &m->combos[c], list->items[e], &ok, reterr);

			if (rc)
				return rc;
			if (ok)
				add_pairs(&m->combos[c], list->items[e]);
			any = any || ok;
		}
		if (any)
			continue;
		struct combo *own = &m->combos[m->n++];
		own->pairs = ARENA_ARRAY(m->x->a, pairs_max(m), struct expr_pair);
		own->own = true;
		if (own->pairs)
			add_pairs(own, list->items[e]);
	}
	return 0;
}

static int finish(struct matrix *m, const struct expr_value ***ret, size_t *ret_n, struct err *reterr)
{
	*ret = ARENA_ARRAY(m->x->a, m->n + 1, const struct expr_value *);
	*ret_n = 0;
	for (size_t c = 0; *ret && c < m->n; c++)
		if (!m->combos[c].gone)
			(*ret)[(*ret_n)++] = expr_object(m->x->a, m->combos[c].pairs, m->combos[c].n);
	if (*ret_n > LIMIT_MATRIX_JOBS)
		return too_many(m, reterr);
	if (*ret && *ret_n == 0)
		return plan_error_at(m->x->wf, m->at, reterr, "the matrix makes no job: everything is excluded");
	return arena_check(m->x->a, "matrix", reterr);
}

int plan_matrix(const struct plan_eval *x, const struct doc_node *at, const struct expr_value *matrix, const struct expr_value ***ret,
                size_t *ret_n, struct err *reterr)
{
	struct matrix m = { .x = x, .at = at, .value = matrix };
	size_t        vectors, combos;
	int           rc = expr_parse(x->a, STR("github.v == env.v"), &m.equal, reterr);

	if (rc == 0)
		rc = check_shape(&m, &vectors, &combos, reterr);
	if (rc)
		return rc;
	const struct expr_value *inc = expr_get(m.value, STR("include"));
	m.cap = (vectors ? combos : 0) + (inc ? inc->len : 0) + 1;
	m.combos = ARENA_ARRAY(x->a, m.cap, struct combo);
	if (!m.combos)
		return arena_check(x->a, "matrix", reterr);
	cross(&m, vectors, combos);
	rc = arena_check(x->a, "matrix", reterr);
	if (rc == 0)
		rc = exclude(&m, reterr);
	if (rc == 0)
		rc = include(&m, reterr);
	return rc ? rc : finish(&m, ret, ret_n, reterr);
}
