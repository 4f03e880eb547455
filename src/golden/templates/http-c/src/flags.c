/* flags.c - see flags.h. One connection is kept; a request and its answer take a fraction of a millisecond on one machine. */
#include "flags.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADERS_MAX = 1024, ANSWER_MAX = 16384 };

static struct sockaddr_in address; /* port 0: nothing is asked */
static char               headers[HEADERS_MAX];
static int                connection = -1;
static long               ask_again_at; /* in milliseconds */

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- the environment --- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* OFREP_HEADERS is percent-encoded "Name=value,Name=value". What cannot stand in a header is left out. */
static void read_headers(const char *text)
{
	size_t n = 0;
	bool   in_name = true;

	while (*text && n + 4 < HEADERS_MAX) {
		char c = *text++;

		if (c == '%' && hex(text[0]) >= 0 && hex(text[1]) >= 0) {
			c = (char)(hex(text[0]) * 16 + hex(text[1]));
			text += 2;
		}
		if (c == '=' && in_name) {
			in_name = false;
			headers[n++] = ':';
		} else if (c == ',') {
			in_name = true;
			headers[n++] = '\r';
			headers[n++] = '\n';
		} else if ((unsigned char)c >= 0x20) {
			headers[n++] = c;
		}
	}
	if (n) {
		headers[n++] = '\r';
		headers[n++] = '\n';
	}
	headers[n] = 0;
}

bool flags_init(void)
{
	const char *endpoint = getenv("OFREP_ENDPOINT"), *sent = getenv("OFREP_HEADERS");
	char        host[64];
	unsigned    port;
	int         n = 0;

	if (connection >= 0)
		close(connection);
	connection = -1;
	ask_again_at = 0;
	memset(&address, 0, sizeof(address));
	if (!endpoint)
		return true;
	read_headers(sent ? sent : "");
	if (sscanf(endpoint, "http://%63[0-9.]:%u%n", host, &port, &n) != 2 || (endpoint[n] && strcmp(endpoint + n, "/")) || port < 1 || port > 65535 ||
	    inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		fprintf(stderr, "OFREP_ENDPOINT must be http://IPv4:PORT, not '%s': all flags give their defaults\n", endpoint);
		return false;
	}
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)port);
	return true;
}

/* --- asking --- */

static bool connect_again(void)
{
	struct timeval limit = { .tv_usec = FLAGS_TIMEOUT_MS * 1000L };

	connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connection < 0)
		return false;
	setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return connect(connection, (struct sockaddr *)&address, sizeof(address)) == 0;
}

/* Writes the user as a JSON text; false when it is too long. */
static bool add_json(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (n + 7 > size)
			return false;
		n += (size_t)snprintf(out + n, size - n, c == '"' || c == '\\' ? "\\%c" : c < 0x20 ? "\\u%04x" : "%c", c);
	}
	out[n] = 0;
	return true;
}

/* Where the body begins once all of it is there; NULL: not yet. *ret_bad: it is no answer that can be read. */
static char *whole_body(char *answer, size_t len, bool *ret_bad)
{
	char *body = strstr(answer, "\r\n\r\n"), *length;

	if (!body)
		return NULL;
	body += 4;
	length = strcasestr(answer, "\r\nContent-Length:");
	*ret_bad = !length || length > body;
	return *ret_bad || len - (size_t)(body - answer) < strtoul(length + 17, NULL, 10) ? NULL : body;
}

/* Sends and reads one answer into `answer`; its body, or NULL. A kept connection that the server closed meanwhile is made anew once. */
static char *exchange(const char *request, size_t n, char answer[ANSWER_MAX])
{
	for (int kept = connection >= 0; kept >= 0; kept--) {
		size_t  len = 0;
		ssize_t got = 0;
		bool    bad = false;
		char   *body = NULL;

		if ((connection >= 0 || connect_again()) && send(connection, request, n, MSG_NOSIGNAL) == (ssize_t)n) {
			while (!body && !bad && len < ANSWER_MAX - 1 && (got = recv(connection, answer + len, ANSWER_MAX - 1 - len, 0)) > 0) {
				len += (size_t)got;
				answer[len] = 0;
				body = whole_body(answer, len, &bad);
			}
		}
		if (body)
			return body;
		close(connection);
		connection = -1;
		if (len || got < 0)
			break; /* half an answer, or none in time: no second try */
	}
	return NULL;
}

/* The flag's value in the answer's object: its own key "value", not one in an object within. */
static bool value_of(const char *json, bool otherwise)
{
	int depth = 0;

	for (const char *c = json; *c; c++) {
		if (*c == '{' || *c == '[') {
			depth++;
		} else if (*c == '}' || *c == ']') {
			depth--;
		} else if (*c == '"') {
			const char *text = c + 1, *end = text;

			while (*end && *end != '"')
				end += end[0] == '\\' && end[1] ? 2 : 1;
			if (!*end)
				return otherwise;
			c = end;
			end += 1 + strspn(end + 1, " \t\r\n");
			if (depth == 1 && *end == ':' && !strncmp(text, "value\"", 6)) {
				end += 1 + strspn(end + 1, " \t\r\n");
				return !strncmp(end, "true", 4) ? true : !strncmp(end, "false", 5) ? false : otherwise;
			}
		}
	}
	return otherwise;
}

bool flags_bool(const char *key, const char *user, bool otherwise)
{
	static char answer[ANSWER_MAX];
	char        request[HEADERS_MAX + 6 * FLAGS_USER_MAX + 1024], body[6 * FLAGS_USER_MAX + 64], name[6 * FLAGS_USER_MAX + 8];
	const char *text;
	int         n;

	if (!address.sin_port || now_ms() < ask_again_at || strlen(user) > FLAGS_USER_MAX || !add_json(name, sizeof(name), user))
		return otherwise;
	n = snprintf(body, sizeof(body), "{\"context\":{\"targetingKey\":\"%s\"}}", name);
	n = snprintf(request, sizeof(request), "POST /ofrep/v1/evaluate/flags/%s HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		     key, n, headers, body);
	if (n < 0 || (size_t)n >= sizeof(request))
		return otherwise;
	text = exchange(request, (size_t)n, answer);
	if (!text)
		ask_again_at = now_ms() + FLAGS_PAUSE_MS;
	return text && !strncmp(answer, "HTTP/1.1 200 ", 13) ? value_of(text, otherwise) : otherwise;
}
