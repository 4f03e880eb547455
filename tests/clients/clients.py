#!/usr/bin/env python3
"""clients.py WEIR CACHE: clients of flags (OpenFeature's and Unleash's) as they are published (npm, PyPI, Go modules; versions pinned) against a real server. A client that cannot be had here is a
skip that says so; when none can be had the whole is one (exit code 77)."""
import os
import shutil
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario"))
sys.dont_write_bytecode = True
from edged import Edge  # noqa: E402
from served import ENV, PORT, SERVER, TOKENS, call, end, expect, wait, weir  # noqa: E402

CACHE = os.path.abspath(sys.argv[2])
URL = f"http://127.0.0.1:{PORT}"
SET = "/api/v1/projects/shop/flag-sets/production"
PYPI = ["openfeature-sdk==0.10.0", "openfeature-provider-ofrep==0.3.0", "UnleashClient==6.9.1"]


def flags():
    on_off = {"on": True, "off": False}
    return {
        "banner": {"state": "ENABLED", "variants": {"red": "#f00", "blue": "#00f"}, "defaultVariant": "red",
                   "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.org"]}, "blue", None]}},
        "new-cart": {"state": "ENABLED", "variants": on_off, "defaultVariant": "off"},
        "killed": {"state": "DISABLED", "variants": on_off, "defaultVariant": "off"},
        "count": {"state": "ENABLED", "variants": {"dozen": 12}, "defaultVariant": "dozen"},
        "limit": {"state": "ENABLED", "variants": {"low": 1, "high": 2.5}, "defaultVariant": "high"},
        "layout": {"state": "ENABLED", "variants": {"wide": {"columns": [1, 2], "dark": True}}, "defaultVariant": "wide"},
        "broken": {"state": "ENABLED", "variants": on_off, "targeting": {"cat": ["o", "dd"]}},
    }


def change(body):
    base = next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")
    status, answer, _ = call("POST", SET + "/changes", {"base": base, **body})
    expect(status == 200, f"{status} {answer}")


def quiet(*argv, cwd=HERE, seconds=170):
    return subprocess.run(argv, cwd=cwd, capture_output=True, timeout=seconds, check=False).returncode == 0


def unleash_flags():
    """Flags of Unleash's own kind, and their segments: for Unleash's SDKs only."""
    plan = {"name": "default", "constraints": [{"contextName": "plan", "operator": "IN", "values": ["gold"]}]}
    return {
        "beta": {"state": "ENABLED", "weir": {"unleash": {"strategies": [plan], "impressionData": True}}},
        "inner": {"state": "ENABLED", "weir": {"unleash": {"strategies": [{"name": "flexibleRollout", "segments": [7], "parameters": {"rollout": "100", "stickiness": "userId", "groupId": "g"}}]}}},
        "child": {"state": "ENABLED", "weir": {"unleash": {"strategies": [{"name": "default"}], "dependencies": [{"feature": "beta"}]}}},
    }


SEGMENTS = {"staff": {"id": 7, "constraints": [{"contextName": "userId", "operator": "STR_ENDS_WITH", "values": ["@example.org"]}]}}


def put_cart(variant):
    change({"flags": {"new-cart": {**flags()["new-cart"], "defaultVariant": variant}}})


def run_sdk(argv, cwd, at):
    """Runs one SDK's test and switches new-cart on when it writes the line `at`, and off again when it is done."""
    with subprocess.Popen(argv, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as p:
        watch = threading.Timer(240, p.kill)
        watch.start()
        seen = ""
        for line in p.stdout:
            seen += line
            if line == at + "\n":
                put_cart("on")
        watch.cancel()
        expect(p.wait() == 0, f"{argv[1]}: {seen}")
    put_cart("off")
    print(seen.splitlines()[-1])


def javascript(token, url=URL):
    folder = os.path.join(CACHE, "npm")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json", "sdk.mjs", "unleash.mjs", "backoff.mjs", "track.mjs"):
        with open(os.path.join(HERE, name), "rb") as f, open(os.path.join(folder, name), "wb") as out:
            out.write(f.read())
    there = all(os.path.exists(os.path.join(folder, "node_modules", *p.split("/"))) for p in ("eventsource", "unleash-client", "unleash-proxy-client"))
    if not there and not quiet("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder):
        return "npm cannot fetch the packages of OpenFeature and Unleash"
    run_sdk(["node", "sdk.mjs", url, token], folder, "ready")
    run_sdk(["node", "unleash.mjs", url, token], folder, "change")
    return None


def backoff(token):
    """The provider is refused by 429 and waits as long as it is told to."""
    SERVER.stop()
    ENV["WEIR_FLAGS_PER_SECOND"] = "1"
    SERVER.start()
    r = subprocess.run(["node", "backoff.mjs", URL, token], cwd=os.path.join(CACHE, "npm"), capture_output=True, text=True, timeout=150, check=False)
    expect(r.returncode == 0, f"the JavaScript SDK and 429: {r.stdout}{r.stderr}")
    print(r.stdout.strip())
    SERVER.stop()
    del ENV["WEIR_FLAGS_PER_SECOND"]
    SERVER.start()


def python(token, url=URL):
    folder = os.path.join(CACHE, "venv")
    interpreter = os.path.join(folder, "bin", "python")
    if not os.path.exists(interpreter) or not quiet(interpreter, "-c", "import openfeature.contrib.provider.ofrep, UnleashClient"):
        if not quiet("python3", "-m", "venv", folder) or not quiet(interpreter, "-m", "pip", "install", "-q", *PYPI):
            return "pip cannot fetch the packages of OpenFeature and Unleash"
    run_sdk([interpreter, os.path.join(HERE, "sdk.py"), url, token], HERE, "change")
    run_sdk([interpreter, os.path.join(HERE, "unleash.py"), url, token], HERE, "change")
    return None


def reported(names):
    """What the SDKs counted has arrived, under their own names."""
    clients = {c["app"] for c in call("GET", SET + "/clients")[1]["clients"]}
    counts = {(c["app"], c["key"]) for c in call("GET", SET + "/counts")[1]["counts"]}
    expect(set(names) <= clients and all((n, "new-cart") in counts for n in names), f"registered: {clients}; counted: {counts}")


def go(token, url=URL):
    """Built from the module cache or the proxy, exactly the versions of go.sum."""
    folder, source = os.path.join(CACHE, "go"), os.path.join(HERE, "go")
    program = os.path.join(folder, "sdk")
    os.makedirs(folder, exist_ok=True)
    if not shutil.which("go") or not quiet("go", "build", "-mod=readonly", "-o", program, ".", cwd=source, seconds=300):
        return "go cannot fetch or build the OpenFeature modules"
    r = subprocess.run([program, url, token], capture_output=True, text=True, timeout=60, check=False)
    expect(r.returncode == 0, f"the Go SDK: {r.stdout}{r.stderr}")
    print(r.stdout.strip())
    return None


def tracking(token, which):
    """OpenFeature's tracking API while a flag is rolled out: what the application says counts for its users."""
    base = next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")
    status, answer, _ = call("POST", SET + "/rollouts", {"flag": "new-cart", "definition": {**flags()["new-cart"], "defaultVariant": "on"}, "base": base,
                                                         "steps": ["50%", "100%"], "outcomes": [{"name": "checkout", "max": 100}]})
    expect(status == 201, f"{status} {answer}")
    argv, folder = (["node", "track.mjs"], os.path.join(CACHE, "npm")) if which == "js" else (
        [os.path.join(CACHE, "venv", "bin", "python"), os.path.join(HERE, "track.py")], HERE)
    r = subprocess.run([*argv, URL, token], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    expect(r.returncode == 0, f"tracking: {r.stdout}{r.stderr}")
    path = f"/api/v1/flag-rollouts/{answer['id']}"
    c = wait(lambda: (lambda c: c.get("outcomes", 0) >= 4 and c)(call("GET", path)[1]["counts"]), "the outcomes are counted", 60)
    expect(sum(s[1] + s[2] for s in c["segments"]) == 4 and sum(s[3] + s[4] for s in c["segments"]) == 2, f"four users, two of them with an error: {c}")
    expect(call("POST", path + "/orders", {"order": "abort"})[0] == 200, "aborted")
    print(r.stdout.strip())


def main():
    edge = Edge("near")
    SERVER.start()
    try:
        weir("project", "create", "shop")
        weir("flag", "create", "shop/production")
        change({"flags": {**flags(), **unleash_flags()}, "evaluators": {}, "metadata": {}, "segments": SEGMENTS})
        token = weir("token", "create", "app", "--scope", "flags", "--project", "shop").split()[0]
        no_javascript, no_python = javascript(token), python(token)
        if not no_javascript:
            tracking(token, "js")
        if not no_python:
            tracking(token, "py")
        skipped = [why for why in (no_javascript, no_python, go(token)) if why]
        if not no_javascript:
            reported(("node-polling-full", "node-polling-delta", "node-streaming-", "page"))
            backoff(token)
        if not no_python:
            reported(("python-polling", "python-streaming"))
        TOKENS["edge"] = weir("token", "create", "edge", "--scope", "edge").split()[0]
        edge.start()
        wait(lambda: edge.call("GET", "/readyz", who=None)[0] == 200, "the edge has its copy", 60)
        for client in (javascript, python, go):
            if not client(token, f"http://127.0.0.1:{edge.port}"):
                print("the same at an edge")
        for why in skipped:
            print("skipped:", why)
        sys.exit(77 if len(skipped) == 3 else 0)
    finally:
        if edge.p:
            edge.stop()
        end()


main()
