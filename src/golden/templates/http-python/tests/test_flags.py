import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import flags

from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider


class FlagsTest(unittest.TestCase):
    def tearDown(self):
        api.clear_providers()

    def test_without_weir_the_default_counts(self):
        flags.start({})
        self.assertFalse(flags.is_on("new-welcome", "u1"))
        self.assertTrue(flags.is_on("new-welcome", "u1", otherwise=True))

    def test_a_flag_that_is_on(self):
        api.set_provider(InMemoryProvider({"new-welcome": InMemoryFlag("on", {"on": True, "off": False})}))
        self.assertTrue(flags.is_on("new-welcome", "u1"))

    def test_an_address_where_nobody_answers(self):
        flags.start({"OFREP_ENDPOINT": "http://127.0.0.1:9", "OFREP_HEADERS": "Authorization=Bearer%20x"})
        self.assertTrue(flags.is_on("new-welcome", "u1", otherwise=True))

    def test_headers(self):
        self.assertEqual(
            flags.headers("Authorization=Bearer%20x,Flagd-Selector=flagSetId%3Dshop%2Fproduction"),
            {"Authorization": "Bearer x", "Flagd-Selector": "flagSetId=shop/production"},
        )


if __name__ == "__main__":
    unittest.main()
