#!/usr/bin/env python3
"""golden-flags.py WEIR TEMPLATE CACHE: a project of the golden path with flags=yes, from birth to a flag that a push turns on for its users, with the
real server, runner, HAProxy and, for Python, the real SDK of PyPI (exit code 77: it cannot be fetched)."""
import http.client
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
TEMPLATE, CACHE = sys.argv[2], os.path.abspath(sys.argv[3])
del sys.argv[2:]
from served import WEIR, ENV, HTTP, SERVER, TOP, call, end, expect, git, wait, weir  # noqa: E402

REPO = os.path.join(TOP, "hello")
FLAGS = os.path.join(REPO, ".weir", "flags", "production.json")


def fetched():
    """True when pip can have what the project will ask for."""
    folder = os.path.join(CACHE, "golden-pip")
    argv = ["python3", "-m", "venv", folder], [os.path.join(folder, "bin", "pip"), "download", "-q", "-d", os.path.join(folder, "got"), "openfeature-sdk==0.10.0"]
    return all(subprocess.run(a, capture_output=True, timeout=120, check=False).returncode == 0 for a in argv)


def ask():
    c = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=10)
    try:
        c.request("GET", "/welcome?u1", headers={"Host": "hello.localhost", "X-User": "u1"})
        r = c.getresponse()
        return json.loads(r.read())["welcome"] if r.status == 200 else None
    except (OSError, ValueError, KeyError):
        return None
    finally:
        c.close()


def over():
    runs = call("GET", "/api/v1/projects/hello/runs")[1]
    expect(all(r.get("conclusion") in (None, "success") for r in runs.get("runs", [])), f"the run succeeds: {runs}\n{log_of(runs)}")
    return ask()


def log_of(runs):
    logs = ([WEIR, "runs", "log", r["id"], job] for r in runs.get("runs", [])[:1] for job in ("test", "release"))
    return "".join(subprocess.run(a, env=ENV, capture_output=True, text=True, check=False).stdout for a in logs)[-3000:]


def main():
    if TEMPLATE == "http-python" and not fetched():
        print("skipped: pip cannot fetch the OpenFeature packages")
        sys.exit(77)
    SERVER.start(slots=2)
    try:
        weir("new", TEMPLATE, "hello", "--param", "flags=yes", "--param", "bake=2s")
        git("push", "-q", "origin", "main", cwd=REPO)
        expect(wait(over, "the first version answers", 240) == "old", "the flag is off at first")
        told = weir("flag", "eval", "hello/production", "new-welcome")
        expect("off" in told, told)
        with open(FLAGS, encoding="utf-8") as f:
            text = f.read()
        with open(FLAGS, "w", encoding="utf-8") as f:
            f.write(text.replace('"defaultVariant": "off"', '"defaultVariant": "on"'))
        git("commit", "-qam", "Show the new welcome", cwd=REPO)
        git("push", "-q", "origin", "main", cwd=REPO)
        wait(lambda: ask() == "new", "the push turns the flag on for users", 60)
        for folder, _, names in os.walk(os.path.join(TOP, "data", "logs")):
            for name in names:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                    expect("weir_a_" not in f.read(), f"no token in {name}")
        for folder, _, names in os.walk(os.path.join(TOP, "data", "services")):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and "weir_a_" in open(path, encoding="utf-8", errors="replace").read():
                    expect(os.stat(path).st_mode & 0o77 == 0, f"{path} is for its owner only")
        expect("flags.hello" in weir("token", "list"), "the services' token is listed")
    finally:
        end()
    print(f"{TEMPLATE}: flags by push")


main()
