/* page.h - inside src/web: one page under construction. */
#ifndef WEIR_WEB_PAGE_H
#define WEIR_WEB_PAGE_H

#include "lang/mustache/mustache.h"
#include "web/view.h"
#include "web/web.h"

struct web {
	struct web_ops ops;
	struct arena   arena; /* templates */
	struct map    *templates; /* name without ".mustache" -> struct mustache */
};

struct page { /* the template's data, written as JSON and read back as a tree */
	struct web      *web;
	struct http_req *req;
	struct arena    *a;
	struct buf       json;
	struct jw        w;
	usec_t           now;
	bool             may_change; /* flags of the set, at once or by a draft; of flag_page_set() */
};
void page_init(struct page *p, struct web *web, struct http_req *req, const char *title, const char *section);
void page_fini(struct page *p);
#define CLEANUP_PAGE CLEANUP(page_fini)

/* Asks the API as the person who looks. */
MUST_CHECK int page_ask(struct page *p, struct doc_node **ret, struct err *reterr, const char *path_fmt, ...) PRINTF(4, 5);
/* As page_ask; *ret NULL when this server or person does not have it (not found, not allowed). */
MUST_CHECK int page_ask_maybe(struct page *p, struct doc_node **ret, struct err *reterr, const char *path_fmt, ...) PRINTF(4, 5);
/* Changes something over the API as the person who looks. body: JSON. *ret: the answer, NULL when it had none. */
MUST_CHECK int page_do(struct page *p, const char *method, str body, struct doc_node **ret, struct err *reterr, const char *path_fmt, ...) PRINTF(6, 7);
/* A form that was refused comes back with its page: failed: {FORM: true, message, conflict}, typed: what its fields held; the status is the error's. */
void page_refused(struct page *p, const char *form, const struct err *why);
/* Adds key: enriched node. */
void page_add(struct page *p, const char *key, const struct doc_node *n);
/* The map without these keys (NULL-ended): documents of people, which are shown as text, and may be nested deeper than a page's data. */
const struct doc_node *page_without(struct page *p, const struct doc_node *map, const char *const *keys);
/* A path component, encoded, in the page's arena. */
const char *page_url(struct page *p, str s);
/* Renders the template over everything that was added; the answer is complete then. */
MUST_CHECK int page_show(struct page *p, const char *template_name, struct err *reterr);

/* pages.c: handlers */
int page_home(struct http_req *r, void *web, struct err *reterr);
int page_project(struct http_req *r, void *web, struct err *reterr);
int page_change(struct http_req *r, void *web, struct err *reterr);
int page_run(struct http_req *r, void *web, struct err *reterr);
int page_release(struct http_req *r, void *web, struct err *reterr);
int page_events(struct http_req *r, void *web, struct err *reterr);
int page_insights(struct http_req *r, void *web, struct err *reterr);
int page_release_act(struct http_req *r, void *web, struct err *reterr);
int page_rollback(struct http_req *r, void *web, struct err *reterr);
/* pages-flag.c, acts-flag.c, pages-draft.c, pages-life.c */
int page_flag_sets(struct http_req *r, void *web, struct err *reterr);
int page_flag_set(struct http_req *r, void *web, struct err *reterr);
int page_flag(struct http_req *r, void *web, struct err *reterr);
int page_flag_history(struct http_req *r, void *web, struct err *reterr);
int page_flag_set_make(struct http_req *r, void *web, struct err *reterr);
int page_flag_make(struct http_req *r, void *web, struct err *reterr);
int page_flag_put(struct http_req *r, void *web, struct err *reterr);
int page_flag_switch(struct http_req *r, void *web, struct err *reterr);
int page_flag_remove(struct http_req *r, void *web, struct err *reterr);
int page_flag_import(struct http_req *r, void *web, struct err *reterr);
int page_flag_roll(struct http_req *r, void *web, struct err *reterr);
int page_flag_stale(struct http_req *r, void *web, struct err *reterr);
int page_rollouts(struct http_req *r, void *web, struct err *reterr);
int page_rollout(struct http_req *r, void *web, struct err *reterr);
int page_rollout_order(struct http_req *r, void *web, struct err *reterr);
int page_drafts(struct http_req *r, void *web, struct err *reterr);
int page_draft(struct http_req *r, void *web, struct err *reterr);
int page_draft_approve(struct http_req *r, void *web, struct err *reterr);
int page_draft_reject(struct http_req *r, void *web, struct err *reterr);
int page_draft_apply(struct http_req *r, void *web, struct err *reterr);
int page_draft_withdraw(struct http_req *r, void *web, struct err *reterr);
int page_draft_edit(struct http_req *r, void *web, struct err *reterr);
int page_draft_blast(struct http_req *r, void *web, struct err *reterr);
int page_flag_explain(struct http_req *r, void *web, struct err *reterr);
int page_asset(struct http_req *r, void *web, struct err *reterr);

#endif
