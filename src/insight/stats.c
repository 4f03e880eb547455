/* stats.c - intervals and medians (see stats.h). Pure; any thread. */
#include "base/base.h"
#include "insight/stats.h"

#include <math.h>

#define Z95 1.959963984540054

void stats_wilson(double k, double n, double *low, double *high)
{
	double p = k / n, z2 = Z95 * Z95;
	double mid = (p + z2 / (2 * n)) / (1 + z2 / n);
	double half = Z95 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);

	*low = k <= 0 ? 0 : fmax(0, mid - half);
	*high = k >= n ? 1 : fmin(1, mid + half);
}

void stats_poisson(double count, double *low, double *high)
{
	double up = count + 1;

	*low = count <= 0 ? 0 : count * pow(1 - 1 / (9 * count) - Z95 / (3 * sqrt(count)), 3);
	*high = up * pow(1 - 1 / (9 * up) + Z95 / (3 * sqrt(up)), 3);
}

static int double_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double stats_quantile(double *v, size_t n, double q)
{
	size_t i;

	qsort(v, n, sizeof(*v), double_cmp);
	i = (size_t)ceil(q * (double)n);
	return v[i > 0 ? i - 1 : 0];
}

bool stats_median_interval(const double *v, size_t n, double *low, double *high)
{
	double term, below = 0;
	size_t j = 0; /* v[j] and v[n-1-j] hold the interval when P(Binomial(n, 1/2) <= j) stays within 2.5 % */

	if (n < 6)
		return false;
	term = exp2(-(double)n);
	if (term == 0) { /* more than 1,000 values: the normal approximation is exact enough */
		double rank = (double)n / 2 - Z95 * sqrt((double)n) / 2;

		j = (size_t)floor(rank) - 1;
	} else {
		for (size_t k = 0; k < n / 2; k++) {
			below += term;
			if (below > 0.025)
				break;
			j = k;
			term *= (double)(n - k) / (double)(k + 1);
		}
	}
	*low = v[j];
	*high = v[n - 1 - j];
	return true;
}

double stats_mean(const double *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += v[i];
	return n ? sum / (double)n : NAN;
}

/* At equal times the ended ones come first: they were at risk together. */
static int span_cmp(const void *a, const void *b)
{
	const struct stats_span *x = a, *y = b;

	if (x->seconds != y->seconds)
		return x->seconds > y->seconds ? 1 : -1;
	return (int)y->ended - (int)x->ended;
}

void stats_kaplan_meier(struct stats_span *v, size_t n, double *median, double *low, double *high)
{
	double survival = 1, greenwood = 0;

	*median = *low = *high = NAN;
	qsort(v, n, sizeof(*v), span_cmp);
	for (size_t i = 0; i < n;) {
		double at_risk = (double)(n - i), ends = 0, t = v[i].seconds, half;

		for (; i < n && v[i].seconds == t; i++)
			ends += v[i].ended;
		if (ends <= 0)
			continue;
		survival *= 1 - ends / at_risk;
		greenwood += at_risk > ends ? ends / (at_risk * (at_risk - ends)) : 0;
		half = Z95 * survival * sqrt(greenwood);
		if (isnan(*median) && survival <= 0.5)
			*median = t;
		if (isnan(*low) && survival - half <= 0.5) /* the first time at which 1/2 is within the band of the curve */
			*low = t;
		if (isnan(*high) && survival + half < 0.5)
			*high = t;
		if (isnan(*high) && survival <= 0)
			*high = t;
	}
	if (n < 6)
		*low = *high = NAN;
}
