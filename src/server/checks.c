/* checks.c - see checks.h. */
#include "base/base.h"
#include "server/checks.h"
#include "flag/flag-protection.h"
#include "flag/flag.h"
#include "pipeline/pipeline.h"
#include "release/release.h"

const struct check_ops *checks_all(size_t *ret_n)
{
	static struct check_ops all[4];

	all[0] = pipeline_file_check; /* the same bytes whichever thread is first */
	all[1] = release_file_check;
	all[2] = flag_file_check;
	all[3] = flag_protection_check;
	*ret_n = ARRAY_SIZE(all);
	return all;
}
