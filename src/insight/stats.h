/* stats.h - the little statistics the metrics need. Pure. Times in seconds. */
#ifndef WEIR_INSIGHT_STATS_H
#define WEIR_INSIGHT_STATS_H

#include "base/base.h"

struct stats_span {
	double seconds;
	bool   ended; /* false: still going on after `seconds` (right-censored) */
};

/* 95 % interval of a share k/n by Wilson's score; always within [0,1]. n > 0. */
void stats_wilson(double k, double n, double *low, double *high);
/* 95 % interval of a Poisson count by Byar's approximation. */
void stats_poisson(double count, double *low, double *high);
/* Sorts v. Quantile q (0..1): the smallest value with at least q of all at or below it. n > 0. */
double stats_quantile(double *v, size_t n, double q);
/* 95 % interval of the median from order statistics (binomial); false below 6 values. v sorted. */
bool stats_median_interval(const double *v, size_t n, double *low, double *high);
double stats_mean(const double *v, size_t n);
/* Kaplan-Meier median and its 95 % interval (Brookmeyer and Crowley 1982, Greenwood's variance). Sorts v. NAN where the curve does not
 * come down far enough. */
void stats_kaplan_meier(struct stats_span *v, size_t n, double *median, double *low, double *high);

#endif
