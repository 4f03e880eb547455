"""unleash.py URL TOKEN: Unleash's SDK for Python, as published, against a weir that has the flags of clients.py; by polling and by streaming. The parent switches `new-cart`
on when it reads "change"."""
import json
import sys
import threading
import time

from UnleashClient import UnleashClient
from UnleashClient.events import UnleashEventType

url, token = sys.argv[1:]


def wait(fn, what):
    until = time.monotonic() + 60
    while not fn():
        assert time.monotonic() < until, f"not so within 60 s: {what}"
        time.sleep(0.05)


def make(mode):
    ready = threading.Event()
    client = UnleashClient(url=f"{url}/api", app_name=f"python-{mode}", custom_headers={"Authorization": token}, refresh_interval=1, metrics_interval=1,
                           experimental_mode={"type": mode}, event_callback=lambda e: ready.set() if e.event_type == UnleashEventType.READY else None)
    client.initialize_client()
    assert ready.wait(60), f"{mode}: not ready within 60 s"
    return client


clients = [make("polling"), make("streaming")]
for c in clients:
    assert c.is_enabled("new-cart") is False
    assert c.is_enabled("killed", fallback_function=lambda n, ctx: True) is False
    assert c.is_enabled("nothing", fallback_function=lambda n, ctx: True) is True
    assert c.get_variant("limit")["payload"] == {"type": "number", "value": "2.5"}, c.get_variant("limit")
    assert json.loads(c.get_variant("layout")["payload"]["value"]) == {"columns": [1, 2], "dark": True}
    assert c.is_enabled("beta", {"userId": "7", "plan": "gold"}) is True
    assert c.is_enabled("beta", {"userId": "7", "plan": "tin"}) is False
    assert c.is_enabled("inner", {"userId": "x@example.org"}) is True
    assert c.is_enabled("inner", {"userId": "x@example.com"}) is False
    assert c.is_enabled("child", {"userId": "7", "plan": "gold"}) is True
    assert c.is_enabled("child", {"userId": "7"}) is False
print("change", flush=True)
for c in clients:
    wait(lambda c=c: c.is_enabled("new-cart"), "a changed flag")
for c in clients:
    c.destroy()
print("unleash (python): all as it should be")
