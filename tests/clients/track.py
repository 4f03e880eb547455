"""track.py URL TOKEN: OpenFeature's tracking API as evidence for a guarded rollout: the OFREP provider with a track() of its own, as docs/reference/flags.md has it."""
import sys

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

url, token = sys.argv[1:]


class WeirProvider(OFREPProvider):
    def track(self, tracking_event_name, evaluation_context=None, tracking_event_details=None):
        event = {"targetingKey": evaluation_context.targeting_key, "name": tracking_event_name}
        if tracking_event_details:
            if tracking_event_details.value is not None:
                event["value"] = tracking_event_details.value
            event.update({k: v for k, v in tracking_event_details.attributes.items() if k == "ok"})
        self.answer = self.session.post(f"{url}/api/v1/flags/track", json={"events": [event]}, headers=self.headers_factory(), timeout=self.timeout)


provider = WeirProvider(base_url=url, headers_factory=lambda: {"Authorization": f"Bearer {token}"})
api.set_provider(provider)
client = api.get_client()
for i, details in enumerate((TrackingEventDetails(attributes={"ok": True}), TrackingEventDetails(attributes={"ok": False}), TrackingEventDetails(value=120), None)):
    user = EvaluationContext(f"py-{i}")
    client.get_boolean_value("new-cart", False, user)
    client.track("checkout", user, details)
    assert (provider.answer.status_code, provider.answer.json()) == (202, {"taken": 1, "passed_over": 0}), provider.answer.text
print("tracking (python): all as it should be")
