#!/usr/bin/env python3
"""supersede.py WEIR: a push while the release of the one before is a canary. The older release is superseded: its step, job and run end as cancelled with the
newer release's number, the page calls it superseded, and the metrics count no failed change."""
import json
import os
import shutil
import sys
import tempfile
import urllib.request

os.environ["WEIR_BIN"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import story  # noqa: E402  (needs WEIR_BIN)

FAILED = []


def expect(condition, what, seen=""):
    if not condition:
        FAILED.append(what)
        print(f"NOT SO: {what}{': ' if seen else ''}{seen}", flush=True)


def push(w, message):
    commit = w.commit("shop", message, {"NOTES.md": f"{message}\n"})
    w.git("shop", "push", "-q", "origin", "main")
    return commit


def page(w, path):
    with open(w.token_file, encoding="ascii") as f:
        req = urllib.request.Request(w.url + path, headers={"Authorization": "Bearer " + f.read().strip()})
    with urllib.request.urlopen(req, timeout=30) as r:
        return r.read().decode()


def play(w):
    w.weir("new", "http-python", "shop")
    w.git("shop", "push", "-q", "-u", "origin", "main")
    first = w.release_of("shop", w.git("shop", "rev-parse", "HEAD").stdout.strip())
    w.wait_release(first["id"], ("baking", "finished"))
    w.weir("promote", first["id"], check=False)
    w.wait_release(first["id"], ("finished",))
    older = push(w, "Begin notes")
    old = w.release_of("shop", older)
    w.wait_release(old["id"], ("canary",))
    newer = push(w, "More notes")
    new = w.release_of("shop", newer)
    run = w.run_of("shop", older)
    run = w.api(f"/api/v1/runs/{run['id']}")
    want = f"superseded by release #{new['seq']}"
    jobs = [j for j in run["jobs"] if j["result"] == "cancelled"]
    expect(run["result"] == "cancelled" and want in (run["cause"] or ""), "the older run is cancelled and says by what", json.dumps(run)[:600])
    expect(len(jobs) == 1 and jobs[0]["cause"] == want, "so does its job", json.dumps(jobs)[:600])
    expect(jobs and any(s["state"] == "cancelled" and s["cause"] == want for s in jobs[0]["steps"]), "so does its step", json.dumps(jobs)[:900])
    html = page(w, f"/releases/{old['id']}")
    expect('<span class="state idle">superseded</span>' in html, "the page calls the release superseded", html[:1500])
    w.wait_release(new["id"], ("canary",))
    w.weir("promote", new["id"])
    w.wait_release(new["id"], ("baking", "finished"))
    w.weir("promote", new["id"], check=False)
    w.wait_release(new["id"], ("finished",))
    expect(w.run_of("shop", newer)["result"] == "success", "the newer run succeeds")
    figures = json.loads(w.weir("insights", "--json").stdout)
    expect(figures["superseded"] == 1, "the metrics know it as superseded", json.dumps(figures)[:600])
    fails = next(m for m in figures["metrics"] if m["name"] == "change_fail_rate")
    expect(fails["numerator"] == 0 and fails["denominator"] == 2, "and neither as a failed nor as a good change", json.dumps(fails)[:600])


def main():
    folder = tempfile.mkdtemp(prefix="weir-test-supersede-")
    w = story.World(folder, (story.free_port(), story.free_port(), story.free_range(200)), True)
    try:
        w.start()
        try:
            play(w)
        except story.Failure as e:
            expect(False, "the scenario runs to its end", str(e))
    finally:
        w.down()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
