/* cdevents.c - an event in the form of CDEvents 0.5 (event versions 0.3.0), for tools that read that. Pure; any thread.
 *
 * One function per shape of subject. What CDEvents has no place for is in customData: the event's own data. */
#include "base/base.h"
#include "base/limits.h"
#include "event/log.h"

#define CDEVENTS_SPEC    "0.5.0"
#define CDEVENTS_VERSION ".0.3.0"

struct cd { /* what a shape writes from */
	const struct event    *ev;
	const struct doc_node *data;
	str                    source; /* URL of the server, without a slash at the end */
	struct jw             *w;
};

static str cd_field(const struct cd *c, const char *name) { return doc_get_str(c->data, name); }

/* "key": {"id": ..., "source": ...} */
static void cd_reference(const struct cd *c, const char *key, str id)
{
	jw_key(c->w, key);
	jw_obj(c->w);
	jw_kstr(c->w, "id", id);
	jw_kstr(c->w, "source", c->source);
	jw_end(c->w);
}

static void cd_url(const struct cd *c, const char *key, const char *path, str name, const char *tail)
{
	struct buf url CLEANUP_BUF = BUF_INIT(8192);

	buf_add_str(&url, c->source);
	buf_addz(&url, path);
	buf_add_url(&url, name);
	buf_addz(&url, tail);
	jw_kstr(c->w, key, buf_str(&url));
}

/* Package URL of a stored version; CDEvents names artifacts so. */
static void cd_purl(str service, str version, struct buf *out)
{
	buf_addz(out, "pkg:generic/");
	buf_add_url(out, service);
	if (version.len) {
		buf_addc(out, '@');
		buf_add_url(out, version);
	}
}

static void cd_outcome(const struct cd *c)
{
	str result = cd_field(c, "result"), cause = cd_field(c, "cause");

	if (!result.ptr)
		return;
	jw_kstrz(c->w, "outcome", str_eqz(result, "success") ? "success" : str_eqz(result, "failure") ? "failure"
	                          : str_has_prefix(result, STR("cancel"))                            ? "cancel"
	                                                                                             : "error");
	if (cause.len)
		jw_kstr(c->w, "errors", cause);
}

static void cd_repository(const struct cd *c)
{
	jw_kstr(c->w, "name", cd_field(c, "name"));
	cd_url(c, "uri", "/git/", cd_field(c, "name"), ".git");
}

static void cd_change(const struct cd *c) { cd_reference(c, "repository", c->ev->project); }

static void cd_run(const struct cd *c)
{
	jw_kstr(c->w, "pipelineName", cd_field(c, "workflow"));
	cd_url(c, "uri", "/api/v1/runs/", cd_field(c, "run"), "");
	cd_outcome(c);
}

static void cd_job(const struct cd *c)
{
	jw_kstr(c->w, "taskName", cd_field(c, "name"));
	cd_url(c, "uri", "/api/v1/runs/", cd_field(c, "run"), "");
	cd_reference(c, "pipelineRun", cd_field(c, "run"));
	cd_outcome(c);
}

static void cd_nothing(const struct cd *c UNUSED) {}

static void cd_service(const struct cd *c)
{
	struct buf purl CLEANUP_BUF = BUF_INIT(1024);
	str             version = cd_field(c, "digest");

	if (!version.ptr)
		version = cd_field(c, "back_to");
	if (!version.ptr)
		version = cd_field(c, "version");
	cd_purl(cd_field(c, "service"), version, &purl);
	cd_reference(c, "environment", cd_field(c, "environment"));
	jw_kstr(c->w, "artifactId", buf_str(&purl));
}

static const struct cd_shape {
	enum event_type type;
	const char     *id; /* field that is the subject's id */
	void (*content)(const struct cd *c);
} cd_shapes[] = {
	{ EVENT_PROJECT_CREATED, "name", cd_repository },     { EVENT_PROJECT_ARCHIVED, "name", cd_repository },
	{ EVENT_CHANGE_ACCEPTED, "new", cd_change },          { EVENT_RUN_QUEUED, "run", cd_run },
	{ EVENT_RUN_STARTED, "run", cd_run },                 { EVENT_RUN_FINISHED, "run", cd_run },
	{ EVENT_JOB_STARTED, "job", cd_job },                 { EVENT_JOB_FINISHED, "job", cd_job },
	{ EVENT_VERSION_STORED, NULL, cd_nothing },           { EVENT_RELEASE_PROMOTED, "service", cd_service },
	{ EVENT_RELEASE_ROLLED_BACK, "service", cd_service }, { EVENT_SERVICE_BORN, "service", cd_service },
};

static const struct cd_shape *cd_shape_find(enum event_type t)
{
	for (size_t i = 0; i < ARRAY_SIZE(cd_shapes); i++)
		if (cd_shapes[i].type == t)
			return &cd_shapes[i];
	return NULL;
}

static void cd_context(const struct cd *c, enum event_type type)
{
	char when[CLOCK_RFC3339_SIZE];

	jw_key(c->w, "context");
	jw_obj(c->w);
	jw_kstrz(c->w, "specversion", CDEVENTS_SPEC);
	jw_key(c->w, "id");
	jw_fmt(c->w, "%.*s/%lld", STR_ARG(c->ev->project.len ? c->ev->project : STR("-")), (long long)c->ev->seq);
	jw_kstr(c->w, "source", c->source);
	jw_key(c->w, "type");
	jw_fmt(c->w, "%s" CDEVENTS_VERSION, event_type_cdevent(type));
	jw_kstrz(c->w, "timestamp", clock_rfc3339(c->ev->time, when));
	jw_end(c->w);
}

static void cd_subject(const struct cd *c, const struct cd_shape *shape)
{
	struct buf purl CLEANUP_BUF = BUF_INIT(1024);

	jw_key(c->w, "subject");
	jw_obj(c->w);
	if (!shape->id)
		cd_purl(cd_field(c, "service"), cd_field(c, "digest"), &purl);
	jw_kstr(c->w, "id", shape->id ? cd_field(c, shape->id) : buf_str(&purl));
	jw_kstr(c->w, "source", c->source);
	jw_key(c->w, "content");
	jw_obj(c->w);
	shape->content(c);
	jw_end(c->w);
	jw_end(c->w);
}

bool event_write_cdevent(const struct event *ev, str source, struct jw *w)
{
	struct arena a        CLEANUP_ARENA = ARENA_INIT(LIMIT_EVENT_ARENA_BYTES);
	enum event_type        type = event_type_find(ev->type);
	const struct cd_shape *shape = *event_type_cdevent(type) ? cd_shape_find(type) : NULL;
	struct cd              c = { .ev = ev, .source = source, .w = w };
	struct doc_node       *data;

	if (!shape || doc_parse_json(&a, "event", ev->data, &data, NULL))
		return false;
	c.data = data;
	while (str_has_suffix(c.source, STR("/")))
		c.source.len--;
	jw_obj(w);
	cd_context(&c, type);
	cd_subject(&c, shape);
	jw_key(w, "customData");
	jw_raw(w, ev->data);
	jw_kstrz(w, "customDataContentType", "application/json");
	jw_end(w);
	return true;
}
