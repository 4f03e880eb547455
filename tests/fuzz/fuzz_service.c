/* fuzz_service.c - no text crashes the reader of .weir/service.yaml; what it accepts has steps that end with 100%, sound judge parameters, a command and
 * a route for every environment. */
#include "base/base.h"

#include "base/hash.h"
#include "release/service-file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena        a = ARENA_INIT(64 << 20);
	struct service_file f;

	if (service_file_parse(&a, str_n((const char *)data, size), &f, NULL) == 0)
		for (size_t i = 0; i < f.n; i++) {
			const struct service_def *d = &f.services[i];

			if (!d->argv || !d->argv[0] || !d->name.len || !d->n_envs)
				BUG("an accepted service lacks a part");
			if (d->rollout.plan.n_steps == 0 || d->rollout.plan.steps[d->rollout.plan.n_steps - 1] < 1 || judge_params_check(&d->rollout.judge, NULL))
				BUG("an accepted rollout cannot be followed");
			for (size_t k = 0; k < d->n_envs; k++)
				if (!d->envs[k].route.host[0] == !d->envs[k].route.port || d->envs[k].instances < 1)
					BUG("an accepted environment has no route or no instance");
		}
	arena_fini(&a);
	return 0;
}
