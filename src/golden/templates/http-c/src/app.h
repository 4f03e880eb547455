/* app.h - what this service answers. */
#ifndef APP_H
#define APP_H

#include "http.h"

#define APP_NAME "{{name}}"

/* Reads the version that the workflow wrote next to the program; "dev" when there is none. */
void app_init(void);
const char *app_version(void);
/* Answers one request. */
void app_handle(const struct http_request *request, struct http_response *response);

#endif
