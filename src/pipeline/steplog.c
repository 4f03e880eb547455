/* steplog.c - line by line through a step's output (see steplog.h). Runs on the job's thread. */
#include "base/base.h"
#include "base/limits.h"
#include "pipeline/steplog.h"

#define LINE_HELD_MAX (1 << 20) /* a longer line is no command */

void steplog_init(struct steplog *l, struct masks *masks, bool unsecure)
{
	*l = (struct steplog){ .masks = masks, .unsecure = unsecure, .line = BUF_INIT(LINE_HELD_MAX + 1),
		                   .arena = ARENA_INIT(4 * LIMIT_STEP_FILE_BYTES) };
	mask_stream_init(&l->stream);
}

void steplog_fini(struct steplog *l)
{
	mask_stream_fini(&l->stream);
	buf_fini(&l->line);
	kvs_fini(&l->outputs);
	kvs_fini(&l->env);
	kvs_fini(&l->states);
	VEC_FINI(&l->paths);
	VEC_FINI(&l->new_masks);
	arena_fini(&l->arena);
}

static void pass(struct steplog *l, str s, struct buf *out) { mask_stream_feed(&l->stream, l->masks, s, false, out); }

static void say_v(struct steplog *l, struct buf *out, const char *fmt, va_list ap)
{
	CLEANUP_BUF struct buf b = BUF_INIT(8192);

	buf_addv(&b, fmt, ap);
	buf_addc(&b, '\n');
	mask_stream_feed(&l->stream, l->masks, buf_str(&b), true, out);
}

void steplog_say(struct steplog *l, struct buf *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(l, out, fmt, ap);
	va_end(ap);
}

static void fail(struct steplog *l, struct buf *out, const char *msg)
{
	if (!l->failed.code)
		(void)err_set(&l->failed, WEIR_EREFUSED, "%s", msg);
	steplog_say(l, out, "::error::%s", msg);
}

static void keep(struct steplog *l, struct kvs *to, str key, str value, struct buf *out)
{
	struct err e = { 0 };

	if (kvs_set(to, arena_str(&l->arena, key), arena_str(&l->arena, value), &e) || arena_check(&l->arena, "workflow commands", &e))
		fail(l, out, e.msg);
}

static void on_mask(struct steplog *l, const struct stepcmd *c, struct buf *out)
{
	struct err e = { 0 };
	str        copy = arena_str(&l->arena, c->message);

	if (arena_check(&l->arena, "masked texts", &e) || masks_add(l->masks, copy, &e) || !VEC_PUSH(&l->new_masks, copy))
		fail(l, out, e.code ? e.msg : "out of memory");
	buf_addz(out, "::add-mask::***\n"); /* nothing is held at the beginning of a line */
}

static void on_env(struct steplog *l, const struct stepcmd *c, struct buf *out)
{
	str        name = stepcmd_prop(c, "name");
	struct err e = { 0 };

	if (!l->unsecure) {
		fail(l, out, "::set-env:: and ::add-path:: are switched off: any text a program prints could use them. Write to $GITHUB_ENV or $GITHUB_PATH "
		             "(or set ACTIONS_ALLOW_UNSECURE_COMMANDS to true)");
		return;
	}
	if (str_eqz(c->name, "add-path")) {
		str copy = arena_str(&l->arena, c->message);

		if (!VEC_PUSH(&l->paths, copy))
			fail(l, out, "out of memory");
	} else if (stepfile_env_allowed(name, &e)) {
		fail(l, out, e.msg);
	} else {
		keep(l, &l->env, name, c->message, out);
	}
}

static void on_stop(struct steplog *l, const struct stepcmd *c, struct buf *out)
{
	static const char *const names[] = { "add-mask", "set-env", "add-path", "set-output", "save-state", "debug", "notice", "warning", "error",
		                                 "group", "endgroup", "echo", "stop-commands" };
	bool bad = !c->message.len || c->message.len >= sizeof(l->stop) || str_contains(c->message, STR("\n"));

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		bad |= str_eq_nocase(c->message, str_z(names[i]));
	if (bad)
		fail(l, out, "::stop-commands:: needs a token of its own (1 to 127 characters, no command's name)");
	else
		snprintf(l->stop, sizeof(l->stop), "%.*s", STR_ARG(c->message));
}

/* A complete line (with its end). */
static void on_line(struct steplog *l, str line, struct buf *out)
{
	struct stepcmd c;

	if (!stepcmd_parse(&l->arena, line, &c)) {
		pass(l, line, out);
		return;
	}
	if (l->stop[0]) {
		if (str_eqz(c.name, l->stop))
			l->stop[0] = 0;
		pass(l, line, out);
		return;
	}
	if (str_eqz(c.name, "add-mask")) {
		on_mask(l, &c, out);
		return;
	}
	pass(l, line, out);
	if (str_eqz(c.name, "set-env") || str_eqz(c.name, "add-path")) {
		on_env(l, &c, out);
	} else if (str_eqz(c.name, "set-output") || str_eqz(c.name, "save-state")) {
		keep(l, str_eqz(c.name, "set-output") ? &l->outputs : &l->states, stepcmd_prop(&c, "name"), c.message, out);
		steplog_say(l, out, "::warning::::%.*s:: is deprecated: any text a program prints could use it. Write to $%s", STR_ARG(c.name),
		            str_eqz(c.name, "set-output") ? "GITHUB_OUTPUT" : "GITHUB_STATE");
	} else if (str_eqz(c.name, "stop-commands")) {
		on_stop(l, &c, out);
	}
}

/* May this beginning of a line become a command? Blanks, then "::". */
static bool may_be_command(str s)
{
	s = str_trim(s); /* the same blanks as stepcmd_parse() */
	return str_has_prefix(s, STR("::")) || s.len == 0 || str_eq(s, STR(":"));
}

void steplog_feed(struct steplog *l, str piece, bool end, struct buf *out)
{
	while (piece.len) {
		size_t nl = str_find(piece, '\n');
		str    part = str_sub(piece, 0, nl < piece.len ? nl + 1 : nl);
		bool   complete = nl < piece.len;

		piece = str_sub(piece, part.len, piece.len);
		if (!l->plain && l->line.len + part.len <= LINE_HELD_MAX) {
			buf_add_str(&l->line, part);
			if (complete)
				on_line(l, buf_str(&l->line), out);
			else if (may_be_command(buf_str(&l->line)))
				continue;
			else
				pass(l, buf_str(&l->line), out);
			l->plain = !complete;
			buf_clear(&l->line);
			continue;
		}
		pass(l, buf_str(&l->line), out);
		buf_clear(&l->line);
		pass(l, part, out);
		l->plain = !complete;
	}
	if (!end)
		return;
	if (l->line.len)
		on_line(l, buf_str(&l->line), out);
	buf_clear(&l->line);
	mask_stream_feed(&l->stream, l->masks, STR_NULL, true, out);
}
