/* log.h - one line per fact on stderr: time, level, room, message. Called at boundaries only (request, command,
 * worker turn); library code returns errors instead. Thread-safe: a line is one write(2). Never log a secret. */
#ifndef WEIR_BASE_LOG_H
#define WEIR_BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level min); /* process-wide; default LOG_INFO */
void log_line(enum log_level level, const char *room, const char *fmt, ...) PRINTF(3, 4);
#define log_debug(room, ...) log_line(LOG_DEBUG, (room), __VA_ARGS__)
#define log_info(room, ...)  log_line(LOG_INFO, (room), __VA_ARGS__)
#define log_warn(room, ...)  log_line(LOG_WARN, (room), __VA_ARGS__)
#define log_error(room, ...) log_line(LOG_ERROR, (room), __VA_ARGS__)

#endif
