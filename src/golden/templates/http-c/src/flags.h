/* flags.h - feature flags, asked for by OpenFeature's remote evaluation protocol (OFREP).
 *
 * weir tells each instance where: OFREP_ENDPOINT and OFREP_HEADERS (service.yaml, `flags`). Without them, on a laptop for example, every flag gives
 * the default of its caller; so it does when weir cannot be reached. One thread. */
#ifndef FLAGS_H
#define FLAGS_H

#include <stdbool.h>

enum {
	FLAGS_TIMEOUT_MS = 200, /* an answer that takes longer is not waited for */
	FLAGS_PAUSE_MS = 1000,  /* after a failure nothing is asked for this long */
	FLAGS_USER_MAX = 256    /* bytes of a user's name; longer ones get the default */
};

/* Reads the environment; false: OFREP_ENDPOINT is there but is not http://IPv4:PORT. */
bool flags_init(void);
/* Is the flag on for this user? `user` is what a percentage is counted by. */
bool flags_bool(const char *key, const char *user, bool otherwise);

#endif
