/* strength.c - tells values that were drawn at random, or chosen by a person as a password, from words, names and code.
 *
 * Two measures: how unlikely the letters follow each other in words (a table of pairs), and how often the class of
 * characters changes (letters, capitals, digits), which names in programs do seldom. Pure; any thread. */
#include "gate/credentials/cred-internal.h"

#include <ctype.h>

/* Bits it takes to say the second letter after the first (row), rounded, at most 9: counted over 18,000 distinct words of C headers,
 * Python's library and licence texts. Words cost 3 to 4.5 a pair, letters drawn at random about 6. */
static const char pair_bits[26][27] = {
	"85448759597343959343667769", "36563679358367469446479958", "37563783594467269453579979", "46652678288567469546578879", "47436568798453757334867579",
	"46554379299466369445498969", "47672754499554469346579987", "28762789398666379454597969", "55445559998452359543959796", "37652579476758359747375989",
	"46652658379575558635675979", "38652779297377369755579949", "25662789397657439746569989", "48433538496686479833669989", "65447669686442549344455799",
	"38663675497467349354588959", "76866678698466779546169999", "37552769396656369544678959", "58473774396566447742477969", "38562684399567469345587859",
	"54564569499443649333999899", "36571678399656569666896989", "37553764397564379346887799", "56453576399556537652778559", "56564668499444529634766777",
	"38661688399758469656899977",
};
enum { ODD_TENTHS = 50, ODD_SHORT_TENTHS = 65 }; /* from here on letters are no words; below 6 letters chance is wider */

struct shape {
	size_t letters, digits, others, upper, lower;
	size_t marks;       /* of the others: those that stand in no name or address */
	size_t pairs, bits; /* of neighbouring letters */
	size_t neighbours;  /* pairs of letters or digits */
	size_t changes;     /* of class between them; a capital at the begin of a word is none */
	size_t distinct;
	size_t longest;     /* word-like run of letters */
	bool   hex;         /* of the letters none is past f: such runs say nothing about words */
};

enum { OTHER, DIGIT, LOWER, UPPER };

/* ASCII alone: the table has 26 letters, whatever the locale says. */
static int class_of(unsigned char ch)
{
	return ch >= '0' && ch <= '9' ? DIGIT : ch >= 'a' && ch <= 'z' ? LOWER : ch >= 'A' && ch <= 'Z' ? UPPER : OTHER;
}

static size_t pair_cost(unsigned char a, unsigned char b) { return (size_t)(pair_bits[(a | 0x20) - 'a'][(b | 0x20) - 'a'] - '0'); }

static bool odd(size_t pairs, size_t bits) { return pairs && bits * 10 >= pairs * (pairs < 5 ? ODD_SHORT_TENTHS : ODD_TENTHS); }

static void end_run(struct shape *s, size_t pairs, size_t bits)
{
	if (pairs >= 3 && !odd(pairs, bits) && pairs + 1 > s->longest)
		s->longest = pairs + 1;
}

static void count_class(struct shape *o, unsigned char ch, int c)
{
	o->digits += c == DIGIT;
	o->lower += c == LOWER;
	o->upper += c == UPPER;
	o->letters += c >= LOWER;
	o->others += c == OTHER;
	o->marks += c == OTHER && memchr("!#$%^*+=?@~,;", ch, 13) != NULL;
	o->hex = o->hex && (c < LOWER || isxdigit(ch));
}

static struct shape shape_of(str s)
{
	struct shape o = { .hex = true };
	bool         seen[256] = { 0 };
	size_t       run = 0, bits = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char ch = (unsigned char)s.ptr[i], before = i ? (unsigned char)s.ptr[i - 1] : 0;
		int           c = class_of(ch), b = i ? class_of(before) : OTHER;

		count_class(&o, ch, c);
		o.distinct += !seen[ch];
		seen[ch] = true;
		o.neighbours += c && b;
		o.changes += c && b && c != b && !(b == UPPER && c == LOWER);
		if (c < LOWER || b < LOWER || (b == LOWER && c == UPPER)) { /* a word ends */
			end_run(&o, run, bits);
			run = bits = 0;
			continue;
		}
		run++;
		bits += pair_cost(before, ch);
		o.pairs++;
		o.bits += pair_cost(before, ch);
	}
	end_run(&o, run, bits);
	return o;
}

/* Drawn by a machine: many changes of class as in base 62 or hex, or a long run of letters that make no word. */
static bool drawn(const struct shape *o, str s)
{
	if (o->digits + o->letters < 10 || o->distinct < 6 || !o->letters)
		return false;
	if (o->changes * 4 >= o->neighbours)
		return o->hex || o->longest * 2 < s.len;
	if (!o->hex && o->longest >= 6 && o->longest * 4 >= s.len)
		return false;
	return o->pairs >= 9 && odd(o->pairs, o->bits);
}

/* Of keys and tokens: letters and digits, and no word that makes up more than a third. */
static bool weak_key(const struct shape *o, str s)
{
	return o->digits >= 3 && o->letters >= 4 && !o->others && s.len >= 10 && o->longest * 3 <= s.len;
}

/* What a person may have chosen: letters that are no word, a word and a number, a word with a mark that names have not. */
static bool weak_password(const struct shape *o)
{
	if (o->letters >= 2 && o->digits >= 2 && o->letters + o->digits >= 6)
		return true;
	return o->letters >= 4 && ((o->marks && o->longest < 6) || (o->distinct >= 4 && odd(o->pairs, o->bits)));
}

static bool three_classes(const struct shape *o, str s)
{
	return s.len >= 8 && o->distinct >= 7 && (o->upper > 0) + (o->lower > 0) + (o->digits > 0) + (o->others > 0) >= 3;
}

enum cred_strength cred_strength(str s, bool password)
{
	struct shape o = shape_of(s);
	bool         random = drawn(&o, s);

	if (random && s.len >= 16 && o.distinct >= 8)
		return STRENGTH_STRONG;
	if (password && three_classes(&o, s))
		return o.longest * 2 >= s.len ? STRENGTH_WEAK : STRENGTH_STRONG;
	return random || (password ? weak_password(&o) : weak_key(&o, s)) ? STRENGTH_WEAK : STRENGTH_NONE;
}
