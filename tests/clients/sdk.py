"""sdk.py URL TOKEN: the OpenFeature SDK for Python with its OFREP provider, as published, against a weir that has the flags of clients.py."""
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

url, token = sys.argv[1:]
api.set_provider(OFREPProvider(base_url=url, headers_factory=lambda: {"Authorization": f"Bearer {token}"}))
client = api.get_client()
staff = EvaluationContext("u1", {"email": "a@example.org"})
seen = client.get_string_details("banner", "none", staff)
assert (seen.value, seen.variant, str(seen.reason)) == ("#00f", "blue", "TARGETING_MATCH"), seen
assert client.get_string_value("banner", "none", EvaluationContext("u2")) == "#f00"
assert client.get_boolean_value("new-cart", True) is False
assert client.get_float_value("limit", 0.0) == 2.5
assert client.get_object_value("layout", {}) == {"columns": [1, 2], "dark": True}
# this provider is older than answers without a value (the caller's own default counts): it calls them an error, and gives the default all the same
assert client.get_boolean_value("killed", True) is True
seen = client.get_string_details("nothing", "fallback")
assert seen.value == "fallback" and "FLAG_NOT_FOUND" in str(seen.error_code), seen
seen = client.get_integer_details("banner", 7, staff)
assert seen.value == 7 and "TYPE_MISMATCH" in str(seen.error_code), seen
print("openfeature (python): all as it should be")
