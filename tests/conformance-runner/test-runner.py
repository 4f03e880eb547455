#!/usr/bin/env python3
"""test-runner.py RUNNER: the conformance runner counts as it says: failures, known gaps, broken data, compressed data, no data."""
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile

runner = sys.argv[1]
folder = tempfile.mkdtemp(prefix="weir-runner-")


def case(name, expect, text):
    return json.dumps({"name": name, "expect": expect, "bytes_b64": base64.b64encode(text).decode()}) + "\n"


def run(lines, *args, name="cases.jsonl", env=None):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(lines)
    if not args:
        args = ("json-parsing", path)
    p = subprocess.run([runner, *args], capture_output=True, text=True, env={**os.environ, **(env or {})})
    return p.returncode, p.stdout


def expect(what, got, code, last, *parts):
    out = got[1]
    if got[0] != code or not out.endswith(last + "\n") or any(p not in out for p in parts):
        sys.exit(f"{what}: expected exit {code}, {last!r}, {parts}; seen exit {got[0]}:\n{out}")


gap = "y_object_duplicated_key.json"
good, bad = case("a", "accept", b"[1]"), case("b", "accept", b"[1,")
expect("pass", run(good + "\n"), 0, "1 passed, 0 failed, 0 skipped")
expect("fail", run(good + bad), 1, "1 passed, 1 failed, 0 skipped", "FAIL b (", "expected: accepted", "seen:     b:1:4: ")
expect("known gap", run(case(gap, "accept", b'{"a":1,"a":1}')), 0, "0 passed, 0 failed, 1 skipped", f"skip {gap}: known gap: ")
expect("known gap that passes", run(case(gap, "accept", b"{}")), 1, "0 passed, 1 failed, 0 skipped", "remove it from the list of known gaps")
expect("broken line", run("{nonsense\n" + good), 1, "1 passed, 1 failed, 0 skipped", "FAIL cases.jsonl:1 (", "a line of JSON")
expect("absent file", run("", "json-parsing", os.path.join(folder, "none.jsonl")), 1, "0 passed, 1 failed, 0 skipped", "none.jsonl")
expect("broken zstd", run(good, "json-parsing", os.path.join(folder, "x.jsonl.zst"), name="x.jsonl.zst"), 1,
       "0 passed, 1 failed, 0 skipped", "not a whole zstd file")
expect("no data", run("", "json-parsing", env={"WEIR_CONFORMANCE": ""}), 0, "0 passed, 0 failed, 1 skipped", "skipped: ")
os.makedirs(os.path.join(folder, "json"), exist_ok=True)
run(good, name="json/json-parsing.jsonl")
expect("stale gaps", run("", "json-parsing", env={"WEIR_CONFORMANCE": folder}), 1, "1 passed, 3 failed, 0 skipped", "a case of that name")
if shutil.which("zstd"):
    run(good + bad, name="c.jsonl")
    subprocess.run(["zstd", "-q", "-f", os.path.join(folder, "c.jsonl")], check=True)
    expect("zstd", run("", "json-parsing", os.path.join(folder, "c.jsonl.zst")), 1, "1 passed, 1 failed, 0 skipped")
if subprocess.run([runner, "none"], capture_output=True).returncode != 2:
    sys.exit("an unknown suite must be wrong use")
shutil.rmtree(folder)
