/* holder.h - who holds a lock file or a port of this machine, as far as /proc tells. Reads only; one thread. */
#ifndef WEIR_SERVER_HOLDER_H
#define WEIR_SERVER_HOLDER_H

#include "base/base.h"

#include <sys/types.h>

/* Process that holds a flock() on the file; 0: nobody, or no such file. */
pid_t holder_of_lock(const char *path);

enum port_state { PORT_FREE, PORT_TAKEN, PORT_REFUSED }; /* REFUSED: no such address here, or a port below 1024 without the right to it */

/* Tries to listen. *ret_pid: who listens there when it is taken, 0 when that cannot be seen (another user's process). */
enum port_state holder_of_port(const char *host, uint16_t port, pid_t *ret_pid);

/* "weir serve", the name of the process's program with its first argument, into out; "" when it is gone. */
void holder_name(pid_t pid, char *out, size_t size);

/* The process names the data folder on its command line: HAProxy, supervisors, runners and instances of the weir there. */
bool holder_works_on(pid_t pid, const char *data);

#endif
