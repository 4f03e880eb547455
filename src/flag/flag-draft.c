/* flag-draft.c - what may be done with a draft: opened, edited, approved, rejected, withdrawn, applied (see flag-draft.h, flag-protection.h).
 *
 * Each act is one transaction that looks at the state and the version first, so that of two who act at once the second is told. The rules are read from
 * git before it, and the environment that they are for is looked at again where a change is stored. Worker threads, and the thread of schedules. */
#include "base/base.h"

#include "base/limits.h"
#include "flag/draft.h"

enum { BODY_ARENA_MAX = 512 << 20 };

/* --- bodies and rules --- */

int draft_change(struct arena *a, const struct draft *d, struct flag_change *c, struct err *reterr)
{
	struct doc_node *body;
	struct doc_check k;
	int              rc = doc_parse_json(a, "draft", d->body, &body, reterr);

	*c = (struct flag_change){ .id = d->set, .source = FLAG_IN_STORE, .base = d->base };
	if (rc)
		return rc;
	doc_check_init(&k, a, "draft");
	flag_change_read(&k, body, c);
	c->comment = d->comment.len ? d->comment : d->title;
	return doc_check_result(&k, reterr);
}

int draft_rules_load(struct flag_room *r, struct arena *a, const struct flag_change *c, struct draft_rules *ret, struct err *reterr)
{
	struct flag_protection p;
	struct flag_set       *s;
	enum flag_source       source;
	str                    project;
	int                    rc = flag_present(r, c->id, a, &s, &ret->environment, &source, reterr);

	if (rc)
		return rc;
	flag_set_unref(s);
	if (source != FLAG_IN_STORE)
		return err_set(reterr, WEIR_ECONFLICT, "flag set '%.*s' is kept in the repository: change it by a push of its file in .weir/flags; its review is git's",
					   STR_ARG(c->id));
	str_cut(c->id, '/', &project, NULL);
	if ((rc = flag_protection_load(&r->cfg.source, a, project, &p, reterr)))
		return rc;
	ret->rule[0] = flag_protection_of(&p, ret->environment);
	ret->rule[1] = c->with_environment ? flag_protection_of(&p, c->environment) : NULL;
	return 0;
}

int64_t draft_needed(const struct draft_rules *rules)
{
	int64_t needed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rules->rule); i++)
		if (rules->rule[i] && rules->rule[i]->required_approvals > needed)
			needed = rules->rule[i]->required_approvals;
	return needed;
}

static str token_of(str by) { return str_has_prefix(by, STR("token:")) ? str_sub(by, strlen("token:"), by.len) : by; }

static bool is_author(const struct draft *d, str by)
{
	for (size_t i = 0; i < d->n_authors; i++)
		if (str_eq(d->authors[i], by))
			return true;
	return false;
}

/* Why an approval by this actor does not count; NULL: it does. */
static const char *why_not(const struct draft *d, const struct flag_rule *rule, str by)
{
	if (rule && rule->prevent_self_review && is_author(d, by))
		return "who wrote a draft, or a version of it, cannot approve it";
	if (rule && !flag_rule_reviews(rule, token_of(by)))
		return "only the reviewers named in " PROTECTION_PATH " approve changes of this environment";
	return NULL;
}

static bool satisfies(const struct draft *d, const struct flag_rule *rule)
{
	int64_t n = 0;

	for (size_t i = 0; rule && i < d->n_approvals; i++)
		n += d->approvals[i].version == d->version && !why_not(d, rule, d->approvals[i].by);
	return !rule || n >= rule->required_approvals;
}

bool draft_is_approved(const struct draft *d, const struct draft_rules *rules)
{
	return satisfies(d, rules->rule[0]) && satisfies(d, rules->rule[1]);
}

/* --- acts --- */

struct act { /* of one transaction */
	struct flag_room         *r;
	struct arena              arena;
	struct draft             *given; /* open, edit */
	const struct draft_rules *rules;
	const struct draft_actor *who;
	usec_t                    now;
	str                       set;
	int64_t                   id, version;
	enum draft_verb           verb;
	str                       text;
	struct draft              d; /* as it is stored */
};

static void begin_data(struct jw *w, struct buf *data, const struct draft *d)
{
	jw_init(w, data);
	jw_obj(w);
	jw_kstr(w, "set", d->set);
	jw_kint(w, "draft", d->id);
	jw_kint(w, "version", d->version);
}

static int append(struct flag_room *r, struct db_tx *tx, enum event_type type, const struct draft *d, str by, struct jw *w, struct buf *data, struct err *reterr)
{
	str project;
	int rc;

	jw_end(w);
	str_cut(d->set, '/', &project, NULL);
	rc = event_append(r->cfg.log, tx, project, type, by, buf_str(data), NULL, reterr);
	return rc ? rc : db_notify(tx, FLAG_CHANNEL, reterr);
}

/* The keys as they stand in the event; all of them are in the table. */
static void write_keys(struct jw *w, str keys)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(64 << 20);
	struct doc_node           *n = NULL;
	enum { NAMED = 100 };

	jw_key(w, "keys");
	jw_arr(w);
	if (!doc_parse_json(&a, "keys", keys, &n, NULL))
		for (size_t i = 0; i < doc_len(n) && i < NAMED; i++)
			jw_str(w, doc_at(n, i)->s);
	jw_end(w);
}

static int append_opened(struct act *t, struct db_tx *tx, const struct draft *d, struct err *reterr)
{
	struct buf CLEANUP_BUF data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	begin_data(&w, &data, d);
	jw_kstr(&w, "title", d->title);
	write_keys(&w, d->keys);
	if (d->apply_at)
		jw_ktime(&w, "apply_at", d->apply_at);
	jw_kstr(&w, "address", t->who->address);
	return append(t->r, tx, EVENT_FLAG_DRAFT_OPENED, d, t->who->by, &w, &data, reterr);
}

static int append_ended(struct flag_room *r, struct db_tx *tx, const struct draft *d, str by, str address, struct err *reterr)
{
	struct buf CLEANUP_BUF data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct jw              w;

	begin_data(&w, &data, d);
	jw_kstrz(&w, "state", draft_states[d->state]);
	if (d->cause.len)
		jw_kstr(&w, "cause", d->cause);
	jw_kstr(&w, "address", address);
	return append(r, tx, EVENT_FLAG_DRAFT_ENDED, d, by, &w, &data, reterr);
}

static int check_base(struct db_tx *tx, struct arena *a, const struct draft *d, struct err *reterr)
{
	struct stored_set s;
	int               rc = flag_store_find(tx, a, d->set, &s, reterr);

	if (!rc && d->base > s.revision)
		return err_set(reterr, WEIR_EINVAL, "base: the set is at revision %lld, there is no %lld", (long long)s.revision, (long long)d->base);
	return rc;
}

/* Nobody's approval is missing and a time is named: it waits for that. */
static enum draft_state waiting_state(const struct draft *d, bool approved) { return approved && d->apply_at ? DRAFT_SCHEDULED : DRAFT_OPEN; }

static int open_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct act   *t = arg;
	struct draft *d = t->given;
	int           rc;

	arena_fini(&t->arena);
	d->by = d->changed_by = t->who->by;
	d->opened_at = d->changed_at = t->now;
	d->state = waiting_state(d, !draft_needed(t->rules));
	rc = check_base(tx, &t->arena, d, reterr);
	if (!rc)
		rc = draft_insert(tx, d, t->who->address, reterr);
	return rc ? rc : append_opened(t, tx, d, reterr);
}

int draft_open(struct flag_room *r, struct draft *d, const struct draft_rules *rules, const struct draft_actor *who, struct err *reterr)
{
	struct act t = { .r = r, .arena = ARENA_INIT(BODY_ARENA_MAX), .given = d, .rules = rules, .who = who, .now = clock_wall(r->cfg.clock) };
	int        rc = db_write(r->cfg.db, open_tx, &t, reterr);

	arena_fini(&t.arena);
	if (!rc)
		flag_drafts_kick(r);
	return rc;
}

static int check_version(const struct draft *d, int64_t seen, struct err *reterr)
{
	if (seen && seen != d->version)
		return err_set(reterr, WEIR_ECONFLICT, "draft %lld was edited: it is at version %lld, you saw version %lld: look at it again", (long long)d->id,
					   (long long)d->version, (long long)seen);
	return 0;
}

/* The draft as it is stored, if it still waits and is at the version that the actor saw (0: any). */
static int find_waiting(struct db_tx *tx, struct act *t, bool or_failed, struct err *reterr)
{
	int rc;

	arena_fini(&t->arena);
	if ((rc = draft_find(tx, &t->arena, t->set, t->id, &t->d, reterr)))
		return rc;
	if (t->d.state != DRAFT_OPEN && t->d.state != DRAFT_SCHEDULED && !(or_failed && t->d.state == DRAFT_FAILED))
		return err_set(reterr, WEIR_ECONFLICT, "draft %lld is %s already", (long long)t->id, draft_states[t->d.state]);
	return check_version(&t->d, t->version, reterr);
}

static int edit_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct act   *t = arg;
	struct draft *d = t->given;
	int           rc = find_waiting(tx, t, true, reterr);

	if (!rc)
		rc = check_base(tx, &t->arena, d, reterr);
	if (rc)
		return rc;
	d->version = t->d.version;
	d->changed_by = t->who->by;
	d->changed_at = t->now;
	d->state = waiting_state(d, !draft_needed(t->rules));
	rc = draft_insert_version(tx, d, t->who->address, reterr);
	return rc ? rc : append_opened(t, tx, d, reterr);
}

int draft_edit(struct flag_room *r, struct draft *d, const struct draft_rules *rules, const struct draft_actor *who, struct err *reterr)
{
	struct act t = { .r = r, .arena = ARENA_INIT(BODY_ARENA_MAX), .given = d, .rules = rules, .who = who, .now = clock_wall(r->cfg.clock), .set = d->set,
					 .id = d->id, .version = d->version };
	int        rc = db_write(r->cfg.db, edit_tx, &t, reterr);

	arena_fini(&t.arena);
	if (!rc)
		flag_drafts_kick(r);
	return rc;
}

/* --- approving and ending --- */

static int may_approve(struct db_tx *tx, const struct act *t, struct err *reterr)
{
	bool needs_look = false;

	for (size_t i = 0; i < ARRAY_SIZE(t->rules->rule); i++) {
		const char *no = why_not(&t->d, t->rules->rule[i], t->who->by);

		if (no)
			return err_set(reterr, WEIR_EPERM, "draft %lld: %s", (long long)t->id, no);
		needs_look = needs_look || (t->rules->rule[i] && t->rules->rule[i]->require_blast_radius);
	}
	if (needs_look) {
		int64_t contexts = 0;
		int     rc = draft_looked(tx, &t->d, t->who->by, &contexts, reterr);

		if (rc)
			return rc;
		if (!contexts)
			return err_set(reterr, WEIR_EREFUSED,
						   "draft %lld: look at the blast radius of version %lld over at least one context before you approve it (weir flag blast SET --draft %lld)",
						   (long long)t->id, (long long)t->d.version, (long long)t->id);
	}
	return 0;
}

static int approve(struct db_tx *tx, struct act *t, struct err *reterr)
{
	struct buf CLEANUP_BUF data = BUF_INIT(LIMIT_EVENT_BYTES);
	struct draft_approval  v = { .by = t->who->by, .address = t->who->address, .comment = t->text, .at = t->now, .version = t->d.version };
	struct jw              w;
	int                    rc = may_approve(tx, t, reterr);

	for (size_t i = 0; !rc && i < t->d.n_approvals; i++)
		if (t->d.approvals[i].version == t->d.version && str_eq(t->d.approvals[i].by, v.by))
			return 0; /* twice is once */
	if (!rc)
		rc = draft_insert_approval(tx, &t->d, &v, reterr);
	begin_data(&w, &data, &t->d);
	jw_kstr(&w, "address", v.address);
	if (v.comment.len)
		jw_kstr(&w, "comment", v.comment);
	if (!rc)
		rc = append(t->r, tx, EVENT_FLAG_DRAFT_APPROVED, &t->d, v.by, &w, &data, reterr);
	if (!rc)
		rc = draft_find(tx, &t->arena, t->set, t->id, &t->d, reterr);
	if (rc)
		return rc;
	t->d.state = waiting_state(&t->d, draft_is_approved(&t->d, t->rules));
	return draft_set_state(tx, &t->d, reterr);
}

static int may_end(const struct act *t, struct err *reterr)
{
	if (t->verb == DRAFT_WITHDRAW)
		return t->who->admin || is_author(&t->d, t->who->by)
				   ? 0
				   : err_set(reterr, WEIR_EPERM, "draft %lld is withdrawn by who wrote it, or by an administrator; others reject it", (long long)t->id);
	for (size_t i = 0; i < ARRAY_SIZE(t->rules->rule); i++)
		if (t->rules->rule[i] && !flag_rule_reviews(t->rules->rule[i], t->who->name))
			return err_set(reterr, WEIR_EPERM, "draft %lld: only the reviewers named in " PROTECTION_PATH " reject it", (long long)t->id);
	return 0;
}

static int act_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct act *t = arg;
	int         rc = find_waiting(tx, t, t->verb != DRAFT_APPROVE, reterr);

	if (rc)
		return rc;
	if (t->verb == DRAFT_APPROVE)
		return approve(tx, t, reterr);
	if ((rc = may_end(t, reterr)))
		return rc;
	t->d.state = t->verb == DRAFT_REJECT ? DRAFT_REJECTED : DRAFT_WITHDRAWN;
	t->d.ended_by = t->who->by;
	t->d.ended_at = t->now;
	t->d.cause = t->text;
	rc = draft_set_state(tx, &t->d, reterr);
	return rc ? rc : append_ended(t->r, tx, &t->d, t->who->by, t->who->address, reterr);
}

struct find {
	struct arena *arena;
	str           set;
	int64_t       id;
	struct draft  d;
};

static int find_tx(struct db_tx *tx, void *arg, struct err *reterr)
{
	struct find *f = arg;

	return draft_find(tx, f->arena, f->set, f->id, &f->d, reterr);
}

/* The draft, its change and the rules that it is under now. */
static int look_up(struct flag_room *r, struct arena *a, str set, int64_t id, struct draft *ret_d, struct flag_change *ret_c, struct draft_rules *ret_rules,
				   struct err *reterr)
{
	struct find f = { .arena = a, .set = set, .id = id };
	int         rc = db_read(r->cfg.db, find_tx, &f, reterr);

	*ret_d = f.d;
	if (!rc)
		rc = draft_change(a, ret_d, ret_c, reterr);
	return rc ? rc : draft_rules_load(r, a, ret_c, ret_rules, reterr);
}

int draft_act(struct flag_room *r, str set, int64_t id, int64_t version, enum draft_verb verb, str text, const struct draft_actor *who, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(BODY_ARENA_MAX);
	struct draft               d;
	struct flag_change         c;
	struct draft_rules         rules;
	struct act t = { .r = r, .arena = ARENA_INIT(BODY_ARENA_MAX), .rules = &rules, .who = who, .now = clock_wall(r->cfg.clock), .set = set, .id = id,
					 .version = version, .verb = verb, .text = text };
	int        rc = look_up(r, &a, set, id, &d, &c, &rules, reterr);

	if (!rc)
		rc = check_version(&d, version, reterr); /* the rules were read for what this version does */
	if (!rc)
		rc = db_write(r->cfg.db, act_tx, &t, reterr);
	arena_fini(&t.arena);
	if (!rc)
		flag_drafts_kick(r);
	return rc;
}

/* --- applying --- */

struct application {
	struct act               act;
	struct flag_pass         pass;
	struct buf               approvals;
	usec_t                   due;
};

static int apply_check(struct db_tx *tx, void *ctx, struct err *reterr)
{
	struct application *p = ctx;
	struct draft       *d = &p->act.d;
	struct jw           w;
	int                 rc = find_waiting(tx, &p->act, false, reterr);

	if (rc)
		return rc;
	if (p->due && (d->state != DRAFT_SCHEDULED || d->apply_at > p->act.now))
		return err_set(reterr, WEIR_ECONFLICT, "draft %lld does not wait for this time any more", (long long)d->id);
	if (!draft_is_approved(d, p->act.rules))
		return err_set(reterr, WEIR_EPERM, "draft %lld needs %lld approvals of version %lld by who may give them (environment '%.*s', " PROTECTION_PATH ")",
					   (long long)d->id, (long long)draft_needed(p->act.rules), (long long)d->version, STR_ARG(p->act.rules->environment));
	buf_clear(&p->approvals);
	jw_init(&w, &p->approvals);
	jw_arr(&w);
	for (size_t i = 0; i < d->n_approvals; i++)
		if (d->approvals[i].version == d->version) {
			jw_obj(&w);
			draft_write_approval(&w, &d->approvals[i]);
			jw_end(&w);
		}
	jw_end(&w);
	p->pass.draft = d->id;
	p->pass.approvals = buf_str(&p->approvals);
	p->pass.late_s = p->due ? (p->act.now - p->due) / USEC_PER_SEC : 0;
	return buf_check(&p->approvals, "approvals", reterr);
}

static int apply_done(struct db_tx *tx, void *ctx, int64_t revision, struct err *reterr)
{
	struct application *p = ctx;
	struct draft       *d = &p->act.d;

	d->state = DRAFT_APPLIED;
	d->revision = revision;
	d->ended_by = p->act.who->by;
	d->ended_at = p->act.now;
	d->cause = STR("");
	d->late_s = p->pass.late_s;
	return draft_set_state(tx, d, reterr);
}

int draft_apply(struct flag_room *r, str set, int64_t id, int64_t version, const struct draft_actor *who, usec_t due, struct err *reterr)
{
	struct arena CLEANUP_ARENA a = ARENA_INIT(BODY_ARENA_MAX);
	struct draft               d;
	struct flag_change         c;
	struct draft_rules         rules;
	struct application         p = { .act = { .r = r, .arena = ARENA_INIT(BODY_ARENA_MAX), .rules = &rules, .who = who, .now = clock_wall(r->cfg.clock), .set = set,
											  .id = id },
									 .approvals = BUF_INIT(LIMIT_EVENT_BYTES / 2), .due = due };
	int64_t                    revision;
	int                        rc = look_up(r, &a, set, id, &d, &c, &rules, reterr);

	p.act.version = version ? version : d.version; /* what was read is what is applied */
	if (!rc)
		rc = check_version(&d, version, reterr);
	if (!rc) {
		p.pass = (struct flag_pass){ .check = apply_check, .done = apply_done, .ctx = &p };
		c.pass = &p.pass;
		c.seen_environment = rules.environment;
		c.by = due ? d.changed_by : who->by; /* a schedule does what its author wrote */
		c.address = who->address;
		c.now = p.act.now;
		rc = flag_apply(r, &c, &revision, reterr);
	}
	buf_fini(&p.approvals);
	arena_fini(&p.act.arena);
	return rc;
}
