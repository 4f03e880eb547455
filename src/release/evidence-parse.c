/* evidence-parse.c - one line of HAProxy's log as a record:
 *
 *   weir2 BOOT NUMBER BACKEND TAG SHARE STATUS TS START_MS TOTAL_MS ACTIVE_MS ADDRESS PORT KEY
 *
 * TOTAL_MS may begin with the idle time of a kept connection, ACTIVE_MS begins with the request. weir1 is without it: a HAProxy that an earlier weir
 * configured goes on writing it until it is reloaded.
 *
 * Pure; any thread. Fuzzed (tests/fuzz/fuzz_record). */
#include "base/base.h"

#include "release/evidence.h"

static const uint64_t TIME_MS_MAX = 100000000000000; /* year 5138: beyond it a record is junk */

static uint64_t hash_text(str s, uint64_t seed)
{
	uint64_t h = 14695981039346656037ULL ^ seed;

	for (size_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.ptr[i]) * 1099511628211ULL;
	return h ? h : 1;
}

struct fields { /* of a line, from left to right; `bad` once one did not fit */
	str  rest;
	bool bad;
};

/* A field that another one follows. */
static str next_word(struct fields *f)
{
	str word;

	f->bad = !str_cut(f->rest, ' ', &word, &f->rest) || f->bad;
	return word;
}

static uint64_t next_number(struct fields *f, uint64_t max)
{
	uint64_t n = 0;

	f->bad = !str_to_u64(next_word(f), &n) || n > max || f->bad;
	return n;
}

/* -1: there was none. */
static int64_t next_signed(struct fields *f, int64_t max)
{
	int64_t n = 0;

	f->bad = !str_to_i64(next_word(f), &n) || n > max || f->bad;
	return n < 0 ? -1 : n;
}

static bool has_failed(int64_t status, str ts)
{
	if (status >= 500)
		return true;
	/* First letter of HAProxy's termination state: S, s the server; P, R, I, D, L the proxy itself; C, c the client, which is no failure of ours. */
	return (status <= 0 && !(ts.ptr[0] == 'C' || ts.ptr[0] == 'c' || ts.ptr[0] == '-')) || ts.ptr[0] == 'S' || ts.ptr[0] == 's';
}

/* Who asked: the last three fields; the very last one may be empty. */
static void read_client(struct fields *f, struct evidence_record *r)
{
	str address = next_word(f), port = next_word(f);

	r->address = hash_text(address, 0);
	r->connection = hash_text(port, r->address);
	r->header = str_eqz(f->rest, "-") || f->rest.len == 0 ? 0 : hash_text(f->rest, 1);
}

bool evidence_parse(str line, struct evidence_record *ret)
{
	struct evidence_record r = { 0 };
	struct fields          f = { line, false };
	str                    version, boot, ts;
	int64_t                status;
	uint64_t               began_ms, total_ms;

	version = next_word(&f);
	if (!str_eqz(version, "weir1") && !str_eqz(version, "weir2"))
		return false;
	boot = next_word(&f);
	if (boot.len == 0 || boot.len >= sizeof(r.boot))
		return false;
	memcpy(r.boot, boot.ptr, boot.len);
	r.number = next_number(&f, UINT64_MAX);
	if (!traffic_haproxy_arm(next_word(&f), &r.slot, &r.arm))
		return false;
	r.tag = next_number(&f, UINT64_MAX);
	r.share_b = (unsigned)next_number(&f, TRAFFIC_SHARE_ONE);
	status = next_signed(&f, 999);
	ts = next_word(&f);
	began_ms = next_number(&f, TIME_MS_MAX);
	total_ms = next_number(&f, TIME_MS_MAX);
	r.took_ms = str_eqz(version, "weir2") ? next_signed(&f, (int64_t)TIME_MS_MAX) : -1;
	if (f.bad || ts.len == 0)
		return false;
	read_client(&f, &r);
	r.status = status > 0 ? (int)status : 0;
	r.failed = has_failed(status, ts);
	r.ended = (usec_t)(began_ms + total_ms) * USEC_PER_MSEC;
	if (f.bad)
		return false;
	*ret = r;
	return true;
}
