"""Feature flags, asked for through OpenFeature.

weir tells each instance where: OFREP_ENDPOINT and OFREP_HEADERS (service.yaml, `flags`). Without them, on a laptop for example, every flag
gives the default of its caller; so it does when weir cannot be reached.
"""

import os
import pathlib
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "vendor"))  # where the workflow put requirements.txt

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext

TIMEOUT_SECONDS = 0.5


def headers(text):
    """OFREP_HEADERS: percent-encoded, "Name=value,Name=value"."""
    pairs = (part.partition("=") for part in urllib.parse.unquote(text).split(",") if part)
    return {name.strip(): value.strip() for name, _, value in pairs}


def start(environment=os.environ):
    endpoint = environment.get("OFREP_ENDPOINT")
    if endpoint:
        sent = headers(environment.get("OFREP_HEADERS", ""))
        api.set_provider(OFREPProvider(endpoint, headers_factory=lambda: sent, timeout=TIMEOUT_SECONDS))


def is_on(key, user, otherwise=False):
    """Is the flag on for this user? `user` is what a percentage is counted by."""
    return api.get_client().get_boolean_value(key, otherwise, EvaluationContext(targeting_key=user))
