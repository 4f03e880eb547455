#!/usr/bin/env python3
"""clients.py WEIR CACHE: clients of flags as they are published (npm, PyPI, Go modules; versions pinned) against a real server. A client that cannot be had here is a
skip that says so; when none can be had the whole is one (exit code 77)."""
import os
import shutil
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario"))
sys.dont_write_bytecode = True
from served import ENV, PORT, SERVER, call, end, expect, wait, weir  # noqa: E402

CACHE = os.path.abspath(sys.argv[2])
URL = f"http://127.0.0.1:{PORT}"
SET = "/api/v1/projects/shop/flag-sets/production"
PYPI = ["openfeature-sdk==0.10.0", "openfeature-provider-ofrep==0.3.0"]


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


def change(base, body):
    status, answer, _ = call("POST", SET + "/changes", {"base": base, **body})
    expect(status == 200, f"{status} {answer}")


def quiet(*argv, cwd=HERE, seconds=170):
    return subprocess.run(argv, cwd=cwd, capture_output=True, timeout=seconds, check=False).returncode == 0


def javascript(token):
    folder = os.path.join(CACHE, "npm")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json", "sdk.mjs", "backoff.mjs", "track.mjs"):
        with open(os.path.join(HERE, name), "rb") as f, open(os.path.join(folder, name), "wb") as out:
            out.write(f.read())
    if not os.path.exists(os.path.join(folder, "node_modules", "eventsource")) and not quiet("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder):
        return "npm cannot fetch the OpenFeature packages"
    with subprocess.Popen(["node", "sdk.mjs", URL, token], cwd=folder, stdout=subprocess.PIPE, text=True) as p:
        watch = threading.Timer(90, p.kill)
        watch.start()
        first = p.stdout.readline()
        if first == "ready\n":
            cart = flags()["new-cart"]
            change(1, {"flags": {"new-cart": {**cart, "defaultVariant": "on"}}})
        rest = first + p.stdout.read()
        watch.cancel()
        expect(p.wait() == 0, f"the JavaScript SDKs: {rest}")
    change(2, {"flags": {"new-cart": flags()["new-cart"]}})
    print(rest.splitlines()[-1])
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


def python(token):
    folder = os.path.join(CACHE, "venv")
    interpreter = os.path.join(folder, "bin", "python")
    if not os.path.exists(interpreter) or not quiet(interpreter, "-c", "import openfeature.contrib.provider.ofrep"):
        if not quiet("python3", "-m", "venv", folder) or not quiet(interpreter, "-m", "pip", "install", "-q", *PYPI):
            return "pip cannot fetch the OpenFeature packages"
    r = subprocess.run([interpreter, os.path.join(HERE, "sdk.py"), URL, token], capture_output=True, text=True, timeout=60, check=False)
    expect(r.returncode == 0, f"the Python SDK: {r.stdout}{r.stderr}")
    print(r.stdout.strip())
    return None


def go(token):
    """Built from the module cache or the proxy, exactly the versions of go.sum."""
    folder, source = os.path.join(CACHE, "go"), os.path.join(HERE, "go")
    program = os.path.join(folder, "sdk")
    os.makedirs(folder, exist_ok=True)
    if not shutil.which("go") or not quiet("go", "build", "-mod=readonly", "-o", program, ".", cwd=source, seconds=300):
        return "go cannot fetch or build the OpenFeature modules"
    r = subprocess.run([program, URL, token], capture_output=True, text=True, timeout=60, check=False)
    expect(r.returncode == 0, f"the Go SDK: {r.stdout}{r.stderr}")
    print(r.stdout.strip())
    return None


def tracking(token, which):
    """OpenFeature's tracking API while a flag is rolled out: what the application says counts for its users."""
    base = next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"])
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
    SERVER.start()
    try:
        weir("project", "create", "shop")
        weir("flag", "create", "shop/production")
        change(0, {"flags": flags()})
        token = weir("token", "create", "app", "--scope", "flags", "--project", "shop").split()[0]
        no_javascript = javascript(token)
        no_python = python(token)
        if not no_javascript:
            tracking(token, "js")
        if not no_python:
            tracking(token, "py")
        skipped = [why for why in (no_javascript, no_python, go(token)) if why]
        if not no_javascript:
            backoff(token)
        for why in skipped:
            print("skipped:", why)
        sys.exit(77 if len(skipped) == 3 else 0)
    finally:
        end()


main()
