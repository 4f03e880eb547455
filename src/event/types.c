/* types.c - look-ups in the one table of event types (see types.h). Pure; any thread. */
#include "base/base.h"
#include "event/types.h"

static const struct event_type_info {
	const char *name, *cdevent, *fields, *text;
} event_types[EVENT_TYPE_MAX] = {
	[EVENT_NONE] = { "", "", "", "" },
#define X(id, name_, cdevent_, fields_, text_) [EVENT_##id] = { name_, cdevent_, fields_, text_ },
	EVENT_TYPE_TABLE(X)
#undef X
};

static const struct event_type_info *event_type_info(enum event_type t)
{
	return (unsigned)t < EVENT_TYPE_MAX ? &event_types[t] : &event_types[EVENT_NONE];
}

const char *event_type_name(enum event_type t) { return event_type_info(t)->name; }
const char *event_type_fields(enum event_type t) { return event_type_info(t)->fields; }
const char *event_type_text(enum event_type t) { return event_type_info(t)->text; }
const char *event_type_cdevent(enum event_type t) { return event_type_info(t)->cdevent; }

enum event_type event_type_find(str name)
{
	for (int t = EVENT_NONE + 1; t < EVENT_TYPE_MAX; t++)
		if (str_eqz(name, event_types[t].name))
			return (enum event_type)t;
	return EVENT_NONE;
}
