/* exchange.h - libmicrohttpd's callbacks for one request (exchange.c); used by server.c only. */
#ifndef WEIR_NET_EXCHANGE_H
#define WEIR_NET_EXCHANGE_H

#include <microhttpd.h>

void *exchange_target(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result exchange_request(void *cls, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                 const char *upload, size_t *n, void **ctx);
void exchange_completed(void *cls, struct MHD_Connection *c, void **ctx, enum MHD_RequestTerminationCode code);

#endif
