#!/usr/bin/env python3
"""pipeline.py WEIR: real pushes to a running weir; each key of a workflow that the pipeline accepts is seen to be obeyed by the server's own runner.

One repository, one workflow file per subject, each started by a push to the branch of its own name."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

os.environ["WEIR_BIN"] = os.path.abspath(sys.argv[1])
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import story  # noqa: E402  (needs WEIR_BIN)

MARK = f"4{os.getpid():07d}"  # seconds that a sleep of this test is given: its processes are told by them
FAILED = []

FILES = {
    "sub/README": "the folder of defaults.run\n",
    "env": """
name: env
on: {push: {branches: [env]}}
env: {A: top, B: top, C: top}
defaults: {run: {working-directory: sub}}
jobs:
  one:
    runs-on: linux
    env: {B: job, C: job}
    outputs:
      word: ${{ steps.s.outputs.word }}
    steps:
      - uses: actions/checkout@v4
      - run: echo "levels=$A/$B/$C in $(basename "$PWD")"
        env: {C: step}
      - id: s
        run: |
          echo word=hello >> "$GITHUB_OUTPUT"
          echo D=from-a-file >> "$GITHUB_ENV"
          printf 'E<<END\\nfirst\\nsecond\\nEND\\n' >> "$GITHUB_ENV"
          mkdir "$HOME/extra"
          printf '#!/bin/sh\\necho tool-ran\\n' > "$HOME/extra/mytool"
          chmod +x "$HOME/extra/mytool"
          echo "$HOME/extra" >> "$GITHUB_PATH"
          echo "### told" >> "$GITHUB_STEP_SUMMARY"
      - run: echo "d=$D e=$(echo "$E" | tr '\\n' ,)"; mytool
      - run: echo "in $(basename "$(pwd -P)")"
        shell: sh
        working-directory: .
      - run: |
          echo "::add-mask::hunter-two-secret"
          echo "shown hunter-two-secret"
      - run: echo "later hunter-two-secret"
      - shell: python
        run: print("snake", 6 * 7)
  two:
    needs: one
    runs-on: linux
    defaults: {run: {working-directory: /tmp, shell: sh}}
    steps:
      - run: echo "got ${{ needs.one.outputs.word }} ${{ needs.one.result }} in $(pwd)"
""",
    "conditions": """
name: conditions
on: {push: {branches: [conditions]}}
jobs:
  first:
    runs-on: linux
    steps:
      - id: soft
        run: exit 3
        continue-on-error: true
      - run: echo "outcome ${{ steps.soft.outcome }} conclusion ${{ steps.soft.conclusion }}"
      - run: exit 1
      - run: echo never-here
      - if: success()
        run: echo never-here-either
      - if: failure()
        run: echo after-failure
      - if: always()
        run: echo always-here
      - if: cancelled()
        run: echo never-cancelled
  after:
    needs: first
    runs-on: linux
    steps: [{run: echo never}]
  rescue:
    needs: first
    if: failure()
    runs-on: linux
    steps: [{run: "echo rescued ${{ needs.first.result }}"}]
  tail:
    needs: [after, rescue]
    if: always()
    runs-on: linux
    steps: [{run: "echo tail ${{ needs.after.result }} ${{ needs.rescue.result }}"}]
  off:
    if: github.ref == 'refs/heads/other'
    runs-on: linux
    steps: [{run: echo never}]
""",
    "soft": """
name: soft
on: {push: {branches: [soft]}}
jobs:
  fails:
    runs-on: linux
    continue-on-error: true
    steps: [{run: exit 1}]
  next:
    needs: fails
    runs-on: linux
    steps: [{run: "echo next ${{ needs.fails.result }}"}]
""",
    "timeout": """
name: timeout
on: {push: {branches: [timeout]}}
jobs:
  step:
    runs-on: linux
    steps:
      - timeout-minutes: 0.03
        run: setsid sleep MARK & sleep MARK
      - run: echo never
      - if: failure()
        run: echo timed-out
  job:
    runs-on: linux
    timeout-minutes: 0.03
    steps:
      - run: setsid sleep MARK & sleep MARK
""".replace("MARK", MARK),
    "matrix": """
name: matrix
on: {push: {branches: [matrix]}}
jobs:
  all:
    runs-on: linux
    strategy:
      fail-fast: false
      max-parallel: 1
      matrix:
        os: [a, b]
        n: [1, 2]
        exclude: [{os: a, n: 2}]
        include:
          - {os: a, extra: more}
          - {os: c, n: 9}
    steps:
      - run: echo "combination=${{ matrix.os }}/${{ matrix.n }}/${{ matrix.extra }}/${{ strategy.job-total }}"
      - run: test "${{ matrix.os }}" != b
  fast:
    runs-on: linux
    strategy:
      max-parallel: 1
      matrix: {n: [1, 2, 3]}
    steps:
      - run: test ${{ matrix.n }} != 1
""",
    "inputs": """
name: inputs
on:
  workflow_dispatch:
    inputs:
      who: {required: true, type: string}
      loud: {type: boolean, default: false}
      level: {type: choice, options: [low, high], default: low}
jobs:
  say:
    runs-on: linux
    steps:
      - run: echo "who=${{ inputs.who }} loud=${{ inputs.loud }} level=${{ github.event.inputs.level }}"
      - if: inputs.loud
        run: echo LOUD
""",
    "newest": """
name: newest
on: {push: {branches: [newest]}}
concurrency: {group: "g-${{ github.ref }}", cancel-in-progress: true}
jobs:
  slow:
    runs-on: linux
    steps:
      - run: setsid sleep MARK & sleep MARK
      - if: cancelled()
        run: echo cleaned-up
""".replace("MARK", MARK),
    "inline": """
name: inline
on: {push: {branches: [inline]}}
concurrency: one-at-a-time
jobs:
  slow:
    runs-on: linux
    steps:
      - run: sleep 3
""",
    "cancel": """
name: cancel
on: {push: {branches: [cancel]}}
jobs:
  slow:
    runs-on: linux
    steps:
      - run: |
          trap '' TERM INT
          echo begun
          setsid sh -c "trap '' TERM INT; sleep MARK; sleep MARK" &
          sleep MARK; sleep MARK
      - if: always()
        run: echo last-words
  waiting:
    needs: slow
    runs-on: linux
    steps: [{run: echo never}]
""".replace("MARK", MARK),
    "again": """
name: again
run-name: "Again on ${{ github.ref_name }} by ${{ github.actor }}"
on: {push: {branches: [again]}}
jobs:
  first:
    runs-on: linux
    outputs: {vars: "${{ steps.s.outputs.vars }}", plan: "${{ steps.s.outputs.plan }}"}
    steps:
      - id: s
        run: |
          echo 'vars={"GREETING":"hello there"}' >> "$GITHUB_OUTPUT"
          echo 'plan={"fail-fast":false,"matrix":{"n":[1,2,3]}}' >> "$GITHUB_OUTPUT"
  cells:
    needs: first
    runs-on: linux
    concurrency: {group: again-cells, queue: max}
    strategy: ${{ fromJSON(needs.first.outputs.plan) }}
    env: ${{ fromJSON(needs.first.outputs.vars) }}
    steps:
      - run: echo "$GREETING from ${{ matrix.n }} in attempt ${{ github.run_attempt }}"
      - run: test ${{ matrix.n }} != 2 || test ${{ github.run_attempt }} = 2
  last:
    needs: cells
    runs-on: linux
    steps: [{run: "echo last"}]
""",
    "paths": """
name: paths
on: {push: {branches: ['pa*', '!path-not'], paths: ['src/**', '!src/doc/**'], tags: ['v*']}}
jobs:
  one:
    runs-on: linux
    steps: [{run: "echo ${{ github.ref_type }} ${{ github.ref_name }}"}]
""",
}


def expect(condition, what, seen=""):
    if not condition:
        FAILED.append(what)
        print(f"NOT SO: {what}{': ' if seen else ''}{seen}", flush=True)


def sleepers():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().split(b"\0")[:2] == [b"sleep", MARK.encode()]:
                    found.append(int(pid))
        except OSError:
            continue
    return found


class Pipe:
    def __init__(self, world):
        self.w = world
        world.api("/api/v1/projects", "POST", {"name": "pipe"})
        self.dir = os.path.join(world.work, "pipe")
        os.makedirs(self.dir)
        self.git("init", "-q", "-b", "main")
        with open(world.token_file, encoding="ascii") as f:
            token = f.read().strip()
        with open(os.path.join(world.folder, "credentials"), "w", encoding="ascii") as f:
            f.write(f"http://weir:{token}@127.0.0.1:{world.listen}\n")
        self.git("config", "credential.helper", f"store --file {world.folder}/credentials")
        self.git("remote", "add", "origin", f"{world.url}/git/pipe.git")
        for name, text in FILES.items():
            path = name if "/" in name else f".github/workflows/{name}.yml"
            self.write(path, text.lstrip("\n"))
        self.commit("Begin")
        self.git("push", "-q", "origin", "main")

    def git(self, *args):
        return self.w.git("pipe", *args).stdout.strip()

    def write(self, path, text):
        full = os.path.join(self.dir, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, branch):
        """Pushes a new commit to that branch; returns the commit."""
        commit = self.commit(f"For {branch}")
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        return commit

    def runs(self, commit):
        return [r for r in self.w.rows("/api/v1/projects/pipe/runs?limit=100") if r["commit"] == commit]

    def run(self, commit, ended=True, seconds=90):
        """The one run of a commit, with its jobs."""
        def look():
            for r in self.runs(commit):
                if not ended or r["state"] == "finished":
                    return r
            return None
        found = self.w.wait(look, seconds, lambda: f"no {'ended ' if ended else ''}run of {commit[:8]}: {json.dumps(self.runs(commit))[:800]}")
        return self.w.api(f"/api/v1/runs/{found['id']}")

    def wait_running(self, commit):
        def look():
            run = self.run(commit, ended=False)
            return run if any(s["state"] == "running" for j in run["jobs"] for s in j["steps"]) else None
        return self.w.wait(look, 60, f"the run of {commit[:8]} does not begin")

    def log(self, run, job):
        return story.raw(self.w, f"/api/v1/runs/{run['id']}/jobs/{job['id']}/log")


def job(run, name):
    return next(j for j in run["jobs"] if j["name"] == name)


def test_env(p):
    run = p.run(p.push("env"))
    log, two = p.log(run, job(run, "one")), p.log(run, job(run, "two"))
    expect(run["result"] == "success", "the run of env succeeds", json.dumps(run)[:1500] + log)
    expect("levels=top/job/step in sub" in log, "env of workflow, job and step, defaults.run.working-directory", log)
    expect("d=from-a-file e=first,second," in log, "GITHUB_ENV, also with many lines", log)
    expect("tool-ran" in log, "GITHUB_PATH", log)
    expect("in pipe" in log, "working-directory of the step over defaults.run", log)
    expect("hunter-two-secret" not in log and "shown ***" in log and "later ***" in log, "::add-mask:: in this step and later ones", log)
    expect("snake 42" in log, "shell: python", log)
    expect("got hello success in /tmp" in two, "outputs through needs; defaults.run of a job", two)


def test_conditions(p):
    run = p.run(p.push("conditions"))
    log = p.log(run, job(run, "first"))
    results = {j["name"]: j["result"] for j in run["jobs"]}
    expect(run["result"] == "failure", "the run of conditions fails", run["result"])
    expect("outcome failure conclusion success" in log, "continue-on-error of a step", log)
    expect("never" not in log, "no step behind a failed one without a status function, none with success() or cancelled()", log)
    expect("after-failure" in log and "always-here" in log, "failure() and always() of steps", log)
    expect(results == {"first": "failure", "after": "skipped", "rescue": "success", "tail": "success", "off": "skipped"}, "if of jobs", str(results))
    expect("rescued failure" in p.log(run, job(run, "rescue")) and "tail skipped success" in p.log(run, job(run, "tail")), "needs.*.result")


def test_soft(p):
    run = p.run(p.push("soft"))
    expect(run["result"] == "success", "a failed job with continue-on-error leaves the run green", json.dumps(run)[:800])
    expect(job(run, "next")["result"] == "success", "what needs it goes on", job(run, "next")["result"])


def test_timeout(p):
    run = p.run(p.push("timeout"))
    step, whole = job(run, "step"), job(run, "job")
    expect(run["result"] == "failure" and step["result"] == "failure" and whole["result"] in ("failure", "cancelled"), "timeout-minutes end what is late",
           json.dumps(run)[:1500])
    expect("timed-out" in p.log(run, step), "what follows a late step sees failure()", p.log(run, step))
    expect("timeout" in json.dumps(step) and "timeout" in (whole["cause"] or ""), "the cause of a time-out is told", json.dumps(run["jobs"]))
    expect(not sleepers(), "nothing of a late step or job is left running", str(sleepers()))


def test_matrix(p):
    run = p.run(p.push("matrix"), seconds=150)
    every = [j for j in run["jobs"] if j["job"] == "all"]
    seen = sorted(line.split("=")[1] for j in every for line in p.log(run, j).splitlines() if line.startswith("combination="))
    expect(seen == ["a/1/more/4", "b/1//4", "b/2//4", "c/9//4"], "include, exclude, strategy.job-total", str(seen))
    expect([j["result"] for j in every].count("failure") == 2 and [j["result"] for j in every].count("success") == 2, "fail-fast: false", str(every)[:600])
    spans = sorted((j["started"], j["ended"]) for j in every)
    expect(all(spans[i][1] <= spans[i + 1][0] for i in range(len(spans) - 1)), "max-parallel: 1", str(spans))
    fast = sorted(j["result"] for j in run["jobs"] if j["job"] == "fast")
    expect(fast == ["cancelled", "cancelled", "failure"], "fail-fast by default", str(fast))


def dispatch(p, inputs, want):
    try:
        run = p.w.api("/api/v1/projects/pipe/dispatch", "POST", {"workflow": "inputs", "ref": "main", "inputs": inputs})
    except story.Failure as e:
        expect(want is None, f"dispatch with {inputs} is taken", str(e))
        return str(e)
    expect(want is not None, f"dispatch with {inputs} is refused")
    run = p.w.wait(lambda: (lambda r: r if r["state"] == "finished" else None)(p.w.api(f"/api/v1/runs/{run['id']}")), 60, "the dispatched run does not end")
    log = p.log(run, run["jobs"][0])
    expect(want is None or want in log, f"dispatch with {inputs} says {want}", log)
    return log


def test_inputs(p):
    expect("LOUD" not in dispatch(p, {"who": "dev"}, "who=dev loud=false level=low"), "a boolean input that is false is false in if")
    expect("LOUD" in dispatch(p, {"who": "reader", "loud": True, "level": "high"}, "who=reader loud=true level=high"), "a boolean input that is true is true in if")
    expect("who" in dispatch(p, {}, None), "a missing required input is named")
    expect("level" in dispatch(p, {"who": "x", "level": "middle"}, None), "an option that is not one is refused")
    expect("whom" in dispatch(p, {"who": "x", "whom": "y"}, None), "an unknown input is refused")


def test_concurrency(p):
    first = p.push("newest")
    p.wait_running(first)
    p.write(".github/workflows/newest.yml", FILES["newest"].lstrip("\n").replace(f"setsid sleep {MARK} & sleep {MARK}", "echo quick"))
    second = p.push("newest")
    one, two = p.run(first), p.run(second)
    expect(one["result"] == "cancelled" and "concurrency" in (one["cause"] or ""), "cancel-in-progress cancels the run before, and says so", json.dumps(one)[:600])
    expect(two["result"] == "success", "the newer run goes on", json.dumps(two)[:600])
    expect("cleaned-up" in p.log(one, one["jobs"][0]), "cancelled() steps of the cancelled run", p.log(one, one["jobs"][0]))
    expect(not sleepers(), "nothing of a cancelled step is left running", str(sleepers()))


def test_concurrency_waits(p):
    commits = [p.push("inline") for _ in range(3)]
    runs = [p.run(c) for c in commits]
    expect([r["result"] for r in runs] == ["success", "cancelled", "success"], "one runs, the newest waits, the one between is cancelled",
           str([(r["result"], r["cause"]) for r in runs]))
    a, c = runs[0]["jobs"][0], runs[2]["jobs"][0]
    expect(a["ended"] <= c["started"], "the one that waits begins after the other's end", f"{a['ended']} {c['started']}")


def test_again(p):
    commit = p.push("again")
    run = p.run(commit)
    expect(run["name"].startswith("Again on again by "), "run-name is evaluated", run["name"])
    cells = [j for j in run["jobs"] if j["job"] == "cells"]
    expect([j["result"] for j in cells] == ["success", "failure", "success"], "the matrix of a whole strategy", json.dumps(cells)[:600])
    expect("hello there from 1 in attempt 1" in p.log(run, cells[0]), "env from one expression", p.log(run, cells[0]))
    spans = sorted((j["started"], j["ended"]) for j in cells)
    expect(all(a[1] <= b[0] for a, b in zip(spans, spans[1:])), "jobs of one concurrency group run one after the other", str(spans))
    expect(job(run, "last")["result"] == "skipped", "what needs a failed cell is skipped")
    kept = {j["id"] for j in run["jobs"] if j["result"] == "success"}
    p.w.api(f"/api/v1/runs/{run['id']}/retry", "POST", {})
    run = p.w.wait(lambda: (lambda r: r if r["state"] == "finished" else None)(p.w.api(f"/api/v1/runs/{run['id']}")), 60, "the retried run does not end")
    expect(run["result"] == "success" and run["attempt"] == 2, "the retried run succeeds", json.dumps(run)[:1200])
    expect(kept <= {j["id"] for j in run["jobs"]}, "jobs that succeeded are not run again")
    again = [j for j in run["jobs"] if j["id"] not in kept]
    expect(sorted(j["key"] for j in again) == ["cells.2", "last"], "only the failed cell and what needs it run again", str([j["key"] for j in again]))
    cell = [j for j in again if j["key"] == "cells.2"][0]
    expect("hello there from 2 in attempt 2" in p.log(run, cell), "a retried job gets the outputs of those that were kept", p.log(run, cell))


def test_cancel(p):
    commit = p.push("cancel")
    run = p.wait_running(commit)
    p.w.wait(lambda: "begun" in p.log(run, job(run, "slow")) and len(sleepers()) >= 2, 20, "the step's processes do not begin")
    p.w.api(f"/api/v1/runs/{run['id']}/cancel", "POST", {})
    run = p.run(commit)
    slow = job(run, "slow")
    expect(run["result"] == "cancelled" and slow["result"] == "cancelled" and job(run, "waiting")["result"] in ("cancelled", "skipped"), "a cancelled run ends",
           json.dumps(run)[:1200])
    expect("last-words" in p.log(run, slow), "always() runs in a cancelled job", p.log(run, slow))
    expect(not sleepers(), "cancel ends the whole tree, also what ignores SIGTERM or has a session of its own", str(sleepers()))


def test_paths(p):
    def count(commit, want):
        """Runs of the workflow paths for a commit: waited for as long as the pipeline has not decided on the push."""
        p.w.wait(lambda: any(e["data"].get("commit") == commit and e["data"].get("workflow") == "paths" for kind in ("run.queued", "run.skipped")
                             for e in p.w.rows(f"/api/v1/events?project=pipe&type={kind}&limit=1000")), 30, f"the pipeline has not looked at {commit[:8]}")
        seen = len([r for r in p.runs(commit) if r["workflow"] == "paths"])
        expect(seen == want, f"{want} runs of paths for {p.git('log', '-1', '--format=%s', commit)}", str(seen))

    p.write("src/a", "1")
    count(p.push("path-one"), 1)  # a new branch has no files to compare with
    p.write("docs/a", "1")
    count(p.push("path-one"), 0)
    p.write("src/doc/a", "1")
    count(p.push("path-one"), 0)
    p.write("src/b", "1")
    count(p.push("path-one"), 1)
    p.write("src/c", "1")
    count(p.push("path-not"), 0)
    commit = p.commit("Tagged")
    p.git("tag", "v1")
    p.git("push", "-q", "origin", "v1")
    run = p.run(commit)
    expect("tag v1" in p.log(run, run["jobs"][0]), "on.push.tags", p.log(run, run["jobs"][0]))


def test_refused(p):
    for key, text in (("description", "description: x\n"), ("container", "container"), ("schedule", "schedule")):
        body = FILES["soft"].lstrip("\n")
        if key == "description":
            body = text + body
        elif key == "container":
            body = body.replace("    continue-on-error: true\n", "    container: debian\n")
        else:
            body = body.replace("on: {push: {branches: [soft]}}", "on: {schedule: [{cron: '0 0 * * *'}]}")
        p.write(".github/workflows/refused.yml", body)
        p.commit(f"With {key}")
        r = p.w.git("pipe", "push", "origin", "HEAD:refs/heads/refused", check=False)
        expect(r.returncode != 0 and key in r.stderr and ".github/workflows/refused.yml:" in r.stderr, f"{key} is refused by name with its place", r.stderr)
        p.git("reset", "-q", "--hard", "HEAD~1")


def test_refused_link(p):
    os.symlink("env.yml", os.path.join(p.dir, ".github/workflows/link.yml"))
    p.commit("With a link")
    r = p.w.git("pipe", "push", "origin", "HEAD:refs/heads/link", check=False)
    expect(r.returncode != 0 and "link.yml" in r.stderr and "regular file" in r.stderr, "a workflow that is a link is refused", r.stderr)
    p.git("reset", "-q", "--hard", "HEAD~1")


def main():
    folder = tempfile.mkdtemp(prefix="weir-test-pipeline-")
    w = story.World(folder, (story.free_port(), story.free_port(), story.free_range(200)), True)
    wanted = sys.argv[2:]
    try:
        w.start()
        p = Pipe(w)
        for name, fn in list(globals().items()):
            if name.startswith("test_") and (not wanted or name[5:] in wanted):
                begun = time.time()
                try:
                    fn(p)
                except story.Failure as e:
                    expect(False, f"{name} runs to its end", str(e))
                print(f"{name}: {time.time() - begun:.1f} s", flush=True)
    finally:
        w.down()
        if FAILED:
            with open(os.path.join(folder, "weir.log"), encoding="utf-8", errors="replace") as f:
                print(f.read()[-4000:])
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
