/* Answers that are kept: made once per key, never more bytes than the limit, several threads at once. */
#include "lib/test.h"

#include "base/limits.h"
#include "flag/unleash-api.h"

static atomic_int made;

struct call {
	size_t bytes;
	char   letter;
	bool   fails, good;
};

static int make(void *ctx, struct buf *out, struct err *reterr)
{
	struct call *c = ctx;

	atomic_fetch_add(&made, 1);
	for (size_t i = 0; i < c->bytes; i += 1000) {
		char chunk[1000];

		memset(chunk, c->letter, sizeof(chunk));
		buf_add(out, chunk, sizeof(chunk));
	}
	return c->fails ? err_set(reterr, WEIR_EIO, "as the test wants it") : 0;
}

static void use(void *ctx, str text)
{
	struct call *c = ctx;

	c->good = text.len == c->bytes && (!text.len || (text.ptr[0] == c->letter && text.ptr[text.len - 1] == c->letter));
}

static int ask(struct unleash_cache *c, const char *key, struct call *call)
{
	struct err e = { 0 };

	call->good = false;
	return unleash_cached(c, str_z(key), make, use, call, &e);
}

static void test_kept(void **state UNUSED)
{
	struct unleash_cache *c = unleash_cache_new();
	struct call           a = { .bytes = 5000, .letter = 'a' }, b = { .bytes = 1000, .letter = 'b' }, bad = { .bytes = 1000, .fails = true };
	char                  key[16];

	atomic_store(&made, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask(c, "a", &a), 0);
		assert_true(a.good);
	}
	assert_int_equal(atomic_load(&made), 1);
	assert_int_equal(ask(c, "bad", &bad), -WEIR_EIO);
	assert_false(bad.good);
	assert_int_equal(ask(c, "bad", &bad), -WEIR_EIO); /* what failed is not kept */
	assert_int_equal(atomic_load(&made), 3);
	for (int i = 0; i < 100; i++) { /* more than there are places: the oldest goes, the used one stays */
		snprintf(key, sizeof(key), "b%d", i);
		assert_int_equal(ask(c, key, &b), 0);
		assert_true(b.good);
		assert_int_equal(ask(c, "a", &a), 0);
		assert_true(a.good);
	}
	assert_int_equal(atomic_load(&made), 103);
	assert_int_equal(ask(c, "b0", &b), 0);
	assert_int_equal(atomic_load(&made), 104);
	unleash_cache_free(c);
}

static void test_bytes(void **state UNUSED)
{
	struct unleash_cache *c = unleash_cache_new();
	struct call           big = { .bytes = LIMIT_UNLEASH_CACHE_BYTES / 5 / 1000 * 1000, .letter = 'x' }, huge = { .bytes = 40000000, .letter = 'y' };
	char                  key[16];

	atomic_store(&made, 0);
	for (int turn = 0; turn < 2; turn++)
		for (int i = 0; i < 8; i++) { /* five have room: each turn makes all of them again */
			snprintf(key, sizeof(key), "k%d", i);
			assert_int_equal(ask(c, key, &big), 0);
			assert_true(big.good);
		}
	assert_int_equal(atomic_load(&made), 16);
	assert_int_equal(ask(c, "k7", &big), 0);
	assert_int_equal(atomic_load(&made), 16);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ask(c, "huge", &huge), 0);
		assert_true(huge.good);
	}
	assert_int_equal(atomic_load(&made), 18); /* more than half of the room is not kept */
	unleash_cache_free(c);
}

struct thread {
	struct unleash_cache *c;
	bool                  wrong;
};

static void *asks(void *arg)
{
	struct thread *t = arg;

	for (int i = 0; i < 2000; i++) {
		struct call call = { .bytes = 1000 * (1 + (size_t)(i % 50)), .letter = (char)('A' + i % 50) };
		char        key[16];

		snprintf(key, sizeof(key), "%d", i % 50);
		t->wrong = t->wrong || ask(t->c, key, &call) || !call.good;
	}
	return NULL;
}

static void test_threads(void **state UNUSED)
{
	struct thread t[4];
	pthread_t     id[4];

	t[0].c = unleash_cache_new();
	for (int i = 0; i < 4; i++) {
		t[i] = (struct thread){ .c = t[0].c };
		assert_int_equal(pthread_create(&id[i], NULL, asks, &t[i]), 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(id[i], NULL);
		assert_false(t[i].wrong);
	}
	unleash_cache_free(t[0].c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kept), cmocka_unit_test(test_bytes), cmocka_unit_test(test_threads) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
