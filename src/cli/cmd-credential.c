/* cmd-credential.c - `weir credential get|store|erase`: git asks it for the server's user name and password.
 *
 * It answers for weir's own server only, so that a token never goes elsewhere, and keeps nothing: the token stays where the
 * settings say. Git's own protocol: lines key=value on standard input and output. */
#include "base/base.h"
#include "cli/cli.h"
#include "base/fs.h"
#include "cli/commands.h"

#include <unistd.h>

static str value_of(str text, str key)
{
	str line, name, value;

	while (text.len) {
		str_cut(text, '\n', &line, &text);
		if (str_cut(line, '=', &name, &value) && str_eq(name, key))
			return value;
	}
	return STR("");
}

/* "http://127.0.0.1:8420/" is protocol=http and host=127.0.0.1:8420. */
static bool is_server(str question, const char *server)
{
	str url = str_z(server), protocol = value_of(question, STR("protocol")), host = value_of(question, STR("host")), authority,
		rest;

	if (!protocol.len || !host.len || !str_has_prefix(url, protocol) ||
		!str_has_prefix(str_sub(url, protocol.len, url.len), STR("://")))
		return false;
	str_cut(str_sub(url, protocol.len + 3, url.len), '/', &authority, &rest);
	return str_eq_nocase(authority, host);
}

static int run_credential(struct cli *c, struct err *reterr)
{
	struct buf question CLEANUP_BUF = BUF_INIT(64 << 10);
	char *token;
	int r;

	if (strcmp(cli_arg(c, 0), "get"))
		return 0; /* store and erase: there is nothing to keep; later actions too, as git demands */
	r = fs_read_fd(STDIN_FILENO, "standard input", &question, reterr);
	if (r || !is_server(buf_str(&question), cli_setting(c, "server")))
		return r;
	r = cli_token(c, &token, reterr);
	if (!r && token)
		cli_printf(c, "username=weir\npassword=%s\n", token);
	return r;
}

const struct cli_command cmd_credential = { .name = "credential",
											.args = "get|store|erase",
											.summary = "Answers git's question for the server's password",
											.args_min = 1,
											.args_max = 1,
											.hidden = true,
											.run = run_credential };
