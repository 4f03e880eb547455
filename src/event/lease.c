/* lease.c - of several servers on one database, one delivers to subscribers at a time: the one that holds the lock "event delivery".
 *
 * It is asked for before each batch, so that a server that lost it (its connection to the database broke) delivers at most what it had in
 * hand; the next holder goes on at the stored cursors. A server that does not hold it asks once a second. Any thread. */
#include "base/base.h"
#include "base/log.h"
#include "event/log.h"

/* With the lock. */
static void lease_ask(struct event_log *log)
{
	struct err e = { 0 };
	bool       anew = false;
	int        rc = 0;

	log->lease_held = false;
	if (!log->lease)
		rc = db_lock_new(log->db, "event delivery", &log->lease, &e);
	if (!rc)
		rc = db_lock_hold(log->lease, &log->lease_held, &anew, &e);
	if (rc && !log->lease_told)
		log_warn("event", "cannot find out whether to deliver events, again in 1 s: %s", e.msg);
	log->lease_told = rc != 0;
	if (anew)
		log->lease_epoch++;
	if (!log->lease_held)
		log->lease_try_at = clock_mono_now() + USEC_PER_SEC;
}

bool event_lease(struct event_log *log, uint64_t *ret_epoch)
{
	bool held;

	pthread_mutex_lock(&log->lease_lock);
	if (log->lease_held || clock_mono_now() >= log->lease_try_at)
		lease_ask(log);
	held = log->lease_held;
	*ret_epoch = log->lease_epoch;
	pthread_mutex_unlock(&log->lease_lock);
	return held;
}

void event_lease_end(struct event_log *log) { log->lease = db_lock_free(log->lease); }
