/* Tickets of event streams: good for some days, also after a restart; not for another set, another key, or for ever. */
#include "lib/test.h"

#include "flag/room.h"

static usec_t now;
static usec_t held(void *ctx UNUSED) { return now; }

static void test_ticket(void **s UNUSED)
{
	static const struct clock clock = { held, held, NULL };
	struct flag_room          r = { .cfg = { .clock = &clock }, .ticket_key = { 1, 2, 3 } }, restarted = r, other = r;
	char                      ticket[FLAG_TICKET_SIZE], later[FLAG_TICKET_SIZE];
	const usec_t              day = 86400 * USEC_PER_SEC;

	now = 20000 * day + 5 * USEC_PER_SEC;
	flag_ticket(&r, STR("shop/production"), ticket);
	assert_int_equal(strlen(ticket), FLAG_TICKET_SIZE - 1);
	assert_true(flag_ticket_ok(&r, STR("shop/production"), str_z(ticket)));
	assert_true(flag_ticket_ok(&restarted, STR("shop/production"), str_z(ticket)));
	assert_false(flag_ticket_ok(&r, STR("shop/staging"), str_z(ticket)));
	other.ticket_key[0] = 9;
	assert_false(flag_ticket_ok(&other, STR("shop/production"), str_z(ticket)));
	now += 23 * 3600 * USEC_PER_SEC;
	flag_ticket(&r, STR("shop/production"), later);
	assert_string_equal(later, ticket); /* the same all day: ETags and addresses do not change without need */
	now += day;
	flag_ticket(&r, STR("shop/production"), later);
	assert_string_not_equal(later, ticket);
	now += (LIMIT_FLAG_TICKET_DAYS - 2) * day;
	assert_true(flag_ticket_ok(&r, STR("shop/production"), str_z(ticket))); /* with overlap */
	now += day;
	assert_false(flag_ticket_ok(&r, STR("shop/production"), str_z(ticket)));
	now -= (LIMIT_FLAG_TICKET_DAYS + 1) * day;
	assert_true(flag_ticket_ok(&r, STR("shop/production"), str_z(ticket))); /* a clock that is a day behind */
	now -= 2 * day;
	assert_false(flag_ticket_ok(&r, STR("shop/production"), str_z(ticket)));
	/* another day on the same digest */
	memcpy(ticket, later, 5);
	now = 20001 * day;
	assert_false(flag_ticket_ok(&r, STR("shop/production"), str_z(ticket)));
	assert_false(flag_ticket_ok(&r, STR("shop/production"), STR("")));
	assert_false(flag_ticket_ok(&r, STR("shop/production"), str_sub(str_z(later), 0, 20)));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ticket) };

	base_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
