#!/usr/bin/env python3
"""The main job of weir, played with real parts: git pushes, HAProxy, load, and weir itself.

story.py up              plays the acts in ./var and leaves weir running (./dev up)
story.py down            stops what `up` started (./dev down)
story.py story [--json] [--act N]   plays them in a temporary folder on free ports; one JSON object per act with --json

Acts are functions act_N(world) that return an Act: what was expected, what was seen, figures, ok. Acts build on each other
(act 2 needs the services of act 1): --act N plays the acts before it silently. Load comes from h2load, ten users at 20 requests/s each."""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WEIR = os.environ.get("WEIR_BIN", os.path.join(ROOT, "build", "src", "cli", "weir"))
USERS, RATE = 10, 20


class Failure(Exception):
    """What a newcomer should read when something does not go as the story says."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_range(n):
    """First of n loopback ports that are free now."""
    for first in range(21000 + os.getpid() % 4000, 60000, n):
        try:
            for port in range(first, first + n):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise Failure("no free range of ports")


class Load:
    """Users of a service: h2load processes, one connection per user, whose logs hold (start in us, status, us) per request."""

    def __init__(self, world, service):
        self.world, self.service, self.procs = world, service, []
        self.folder = tempfile.mkdtemp(prefix="load-", dir=world.tmp)
        for user in range(USERS):
            self.procs.append(subprocess.Popen(
                ["h2load", "--h1", "-c", "1", "--rps", str(RATE), "-D", "3600", f"--log-file={self.folder}/{user}",
                 f"--connect-to=127.0.0.1:{world.http}", f"http://{service}.localhost:{world.http}/"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def stop(self):
        for p in self.procs:
            if p.poll() is None:
                p.send_signal(signal.SIGINT)
        for p in self.procs:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()

    def records(self, since, until=None):
        """[(time in s, status, seconds)] of requests answered since `since`."""
        rows = []
        for user in range(USERS):
            try:
                with open(f"{self.folder}/{user}", encoding="ascii") as f:
                    for line in f:
                        part = line.split()
                        if len(part) == 3 and line.endswith("\n"):
                            start = int(part[0]) / 1e6
                            end = start + int(part[2]) / 1e6
                            if end >= since and (until is None or end <= until):
                                rows.append((end, int(part[1]), int(part[2]) / 1e6))
            except FileNotFoundError:
                pass
        return sorted(rows)

    def window(self, since, until=None):
        rows = self.records(since, until)
        bad = [r for r in rows if not 200 <= r[1] < 400]
        span = (rows[-1][0] - rows[0][0]) if len(rows) > 1 else 0
        dead = sum(1 for p in self.procs if p.poll() is not None)
        return {"requests": len(rows), "failed": len(bad), "per_second": round(len(rows) / span, 1) if span else 0,
                "bad_for_s": round(bad[-1][0] - bad[0][0], 3) if bad else 0.0, "users_gone": dead}


class World:
    """One weir with its folder, ports and projects; on SQLite, or on the PostgreSQL whose address `database` is."""

    def __init__(self, folder, ports, quiet, database=None):
        self.folder, self.quiet = folder, quiet
        self.listen, self.http, self.first = ports
        self.url = f"http://127.0.0.1:{self.listen}"
        self.data = os.path.join(folder, "data")
        self.work = os.path.join(folder, "work")
        self.tmp = os.path.join(folder, "tmp")
        self.config = os.path.join(folder, "weir.yaml")
        self.token_file = os.path.join(self.data, "keys", "admin-token")
        self.server = None
        self.load = None
        for d in (self.work, self.tmp):
            os.makedirs(d, exist_ok=True)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"# written by ./dev; `weir config show` explains each line\ndata: {self.data}\nlisten: 127.0.0.1:{self.listen}\n"
                    f"http: 127.0.0.1:{self.http}\nservice-ports: {self.first}-{self.first + 199}\n"
                    f"server: {self.url}\ntoken-file: {self.token_file}\n" + (f"database: {json.dumps(database)}\n" if database else ""))
        self.env = {**os.environ, "WEIR_CONFIG": self.config, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.path.join(folder, "gitconfig"),
                    "GIT_CONFIG_NOSYSTEM": "1", "PATH": f"{os.path.dirname(WEIR)}:{os.environ['PATH']}"}
        with open(os.path.join(folder, "gitconfig"), "w", encoding="utf-8") as f:
            f.write("[user]\n\tname = Weir Demo\n\temail = demo@weir.invalid\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n")

    # --- processes ---
    def pid_file(self):
        return os.path.join(self.folder, "server.pid")

    def server_pid(self):
        """Process id of the running server, or None."""
        try:
            pid = int(open(self.pid_file(), encoding="ascii").read())
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                return pid if b"serve" in f.read() else None
        except (OSError, ValueError):
            return None

    def start(self):
        if not self.server_pid():
            log = open(os.path.join(self.folder, "weir.log"), "ab")
            p = subprocess.Popen([WEIR, "serve", "--config", self.config], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
            self.server = p
            with open(self.pid_file(), "w", encoding="ascii") as f:
                f.write(str(p.pid))
        self.wait(lambda: self.answers(self.url + "/readyz"), 30, "weir does not get ready; see " + os.path.join(self.folder, "weir.log"))

    def answers(self, url, host=None):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Host": host} if host else {}), timeout=2) as r:
                return r.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def runner_pids(self):
        """Processes `weir runner` of this world."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    argv = f.read().split(b"\0")
                if len(argv) > 2 and argv[0].endswith(b"weir") and argv[1] == b"runner" and self.data.encode() in b" ".join(argv):
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def kill(self):
        """SIGKILL to server and runner, as a power cut of weir alone."""
        pids = [self.server_pid(), *self.runner_pids()]
        for pid in filter(None, pids):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.server:
            self.server.wait()
        self.wait(lambda: not self.server_pid() and not self.runner_pids(), 10, "weir does not die")

    def stop_server(self):
        pid = self.server_pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
            if self.server:
                try:
                    self.server.wait(20)
                except subprocess.TimeoutExpired:
                    self.server.kill()
                    self.server.wait()
            self.wait(lambda: not self.server_pid(), 20, "weir does not stop")

    def down(self):
        if self.load:
            self.load.stop()
            self.load = None
        self.stop_server()
        self.weir("down", check=False)

    # --- talking to weir ---
    def wait(self, fn, seconds, what):
        end = time.time() + seconds
        while True:
            value = fn()
            if value:
                return value
            if time.time() > end:
                raise Failure(what() if callable(what) else what)
            time.sleep(0.05)

    def api(self, path, method="GET", body=None):
        token = open(self.token_file, encoding="ascii").read().strip()
        req = urllib.request.Request(self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None,
                                     headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(req, timeout=30) as r:
                text = r.read()
        except urllib.error.HTTPError as e:
            raise Failure(f"{method} {path}: {e.code} {e.read().decode(errors='replace')[:500]}") from None
        return json.loads(text) if text else None

    def rows(self, path):
        """The list that an API call answers, bare or under one name."""
        value = self.api(path)
        return value if isinstance(value, list) else next(v for v in value.values() if isinstance(v, list))

    def weir(self, *args, check=True, cwd=None):
        p = subprocess.run([WEIR, *args], env=self.env, cwd=cwd or self.work, capture_output=True, text=True, timeout=300)
        if check and p.returncode:
            raise Failure(f"weir {' '.join(args)}: exit {p.returncode}: {p.stderr.strip() or p.stdout.strip()}")
        return p

    def git(self, project, *args, check=True):
        p = subprocess.run(["git", *args], env=self.env, cwd=os.path.join(self.work, project), capture_output=True, text=True, timeout=300)
        if check and p.returncode:
            raise Failure(f"git {' '.join(args)}: exit {p.returncode}: {p.stderr.strip()}")
        return p

    def commit(self, project, message, files):
        """Writes the files ({path: text or function of the old text}), commits all, returns the commit's id."""
        for path, text in files.items():
            full = os.path.join(self.work, project, path)
            if callable(text):
                text = text(open(full, encoding="utf-8").read())
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        self.git(project, "add", "-A")
        self.git(project, "commit", "-q", "-m", message)
        return self.git(project, "rev-parse", "HEAD").stdout.strip()

    def releases(self, project):
        return self.rows(f"/api/v1/projects/{project}/releases")

    def release_of(self, project, commit, seconds=120):
        """The release of that commit, as soon as there is one."""
        def look():
            for r in self.releases(project):
                if r["commit"] == commit:
                    return r
            for run in self.rows(f"/api/v1/projects/{project}/runs"):
                if run["commit"] == commit and run["result"] not in (None, "success"):
                    raise Failure(f"the run of {commit[:8]} ended with {run['result']}: {run['cause']}")
            return None
        return self.wait(look, seconds, lambda: f"no release of {commit[:8]} began within {seconds} s; the run: {self.run_line(project)}")

    def release(self, ident):
        return self.api(f"/api/v1/releases/{ident}")

    def wait_release(self, ident, states, seconds=180):
        def look():
            r = self.release(ident)
            return r if r["state"] in states else None
        return self.wait(look, seconds, lambda: f"release {ident} did not come to {'/'.join(states)}: {json.dumps(self.release(ident))[:600]}")

    def promoted_at(self, project, release):
        """When the new version got all traffic, in seconds since 1970; 0 when it never did."""
        for event in self.rows(f"/api/v1/events?project={project}&type=release.promoted&limit=1000"):
            if event["data"]["release"] == release:
                return event["time"] / 1e6
        return 0

    def run_line(self, project):
        try:
            runs = self.rows(f"/api/v1/projects/{project}/runs")
            return json.dumps(runs[0])[:400] if runs else "none"
        except (Failure, KeyError):
            return "unknown"

    def run_of(self, project, commit, seconds=120, ended=True):
        def look():
            for run in self.rows(f"/api/v1/projects/{project}/runs"):
                if run["commit"] == commit and (not ended or run["state"] not in ("queued", "running")):
                    return run
            return None
        return self.wait(look, seconds, lambda: f"no {'ended ' if ended else ''}run of {commit[:8]} within {seconds} s: {self.run_line(project)}")

    def tell(self, text):
        if not self.quiet:
            print(f"         {text}", flush=True)


class Act:
    def __init__(self, expected, seen, ok, **figures):
        self.expected, self.seen, self.ok, self.figures = expected, seen, bool(ok), figures


# --- the acts -------------------------------------------------------------------------------------------------------

def app_edit(text):
    """A change to the Python service: `text` runs at the beginning of every request to '/'."""
    def edit(old):
        if "def root(request):\n" not in old:
            raise Failure("the golden path http-python has no function root(request) any more")
        return old.replace("def root(request):\n", "def root(request):\n" + "".join(f"    {line}\n" for line in text.splitlines()), 1)
    return edit


def restore_app(world):
    """Brings shop's files back to the commit that is live, so that the next act starts from good code."""
    live = next(s for s in world.rows("/api/v1/services") if s["service"] == "shop")
    world.git("shop", "checkout", "-q", live["commit"], "--", ".")


def judged(world, message, files, end_states, seconds=180):
    """Pushes a change under load and waits for the end of its release."""
    commit = world.commit("shop", message, files)
    pushed = time.time()
    world.git("shop", "push", "-q", "origin", "main")
    world.tell(f"pushed {commit[:8]} in {time.time() - pushed:.2f} s: {message}")
    rel = world.release_of("shop", commit)
    world.tell(f"the pipeline passed after {time.time() - pushed:.1f} s; release {rel['id']} sends 5% of the requests to the new version")
    rel = world.wait_release(rel["id"], end_states, seconds)
    return commit, pushed, rel


def act_1(w):
    """Birth: two services from golden paths, live for users"""
    seconds = {}
    for template, name in (("http-python", "shop"), ("http-c", "ledger")):
        if os.path.exists(os.path.join(w.work, name)) and w.answers(f"http://127.0.0.1:{w.http}/", f"{name}.localhost"):
            w.tell(f"{name} is there already")
            continue
        begun = time.time()
        if not os.path.exists(os.path.join(w.work, name)):
            w.weir("new", template, name, "--param", "client=connection", "--param", "bake=5s")
        w.git(name, "push", "-q", "-u", "origin", "main")
        w.tell(f"weir new {template} {name}; git push: accepted after {time.time() - begun:.2f} s")
        w.wait(lambda n=name: w.answers(f"http://127.0.0.1:{w.http}/", f"{n}.localhost"), 90,
               lambda n=name: f"{n} does not answer users; the run: {w.run_line(n)}")
        seconds[name] = round(time.time() - begun, 2)
        w.tell(f"{name} answers users at http://{name}.localhost:{w.http}/ {seconds[name]} s after `weir new`")
        rel = w.releases(name)[0]
        w.wait_release(rel["id"], ("finished",), 60)
    return Act("both services answer users through HAProxy", "both do", True, seconds_from_new_to_first_answer=seconds)


def act_2(w):
    """A good change: canary, judged against the stable arm, promoted early"""
    since = time.time()
    _, pushed, rel = judged(w, "Greet by name", {"NOTES.md": lambda_or("greeting\n")}, ("finished", "rolled-back", "aborted"))
    seen = w.load.window(since)
    took = round(w.promoted_at("shop", rel["id"]) - pushed, 1)
    ok = rel["state"] == "finished" and seen["failed"] == 0 and seen["users_gone"] == 0 and seen["per_second"] >= 100
    return Act("promoted; no request failed", f"{rel['state']} ({rel.get('cause', '')}); {seen['failed']} of {seen['requests']} requests failed", ok,
               seconds_from_push_to_promotion=took, requests=seen["requests"], failed=seen["failed"], requests_per_second=seen["per_second"])


def lambda_or(text):
    return text + str(time.time_ns()) + "\n"


def bad_change(w, message, edit):
    since = time.time()
    _, _, rel = judged(w, message, {"app.py": app_edit(edit)}, ("rolled-back", "finished", "aborted"))
    time.sleep(1.0)
    seen = w.load.window(since)
    restore_app(w)
    ok = rel["state"] == "rolled-back" and seen["users_gone"] == 0 and seen["failed"] > 0 and w.load.window(time.time() - 0.8)["failed"] == 0
    return Act("rolled back by the judge", f"{rel['state']}: {rel.get('cause', '')}", ok, failed_requests=seen["failed"], requests=seen["requests"],
               seconds_from_first_bad_to_last_bad=seen["bad_for_s"])


def act_3(w):
    """A dead change: its tests pass, but every request on it answers 500"""
    return bad_change(w, "Read prices from the new table", 'if VERSION != "dev":\n    raise RuntimeError("no such table: prices")')


def act_4(w):
    """A sick change: 5% of its requests fail"""
    return bad_change(w, "Cache the prices", 'if VERSION != "dev" and __import__("random").random() < 0.05:\n    raise RuntimeError("cache miss on a closed pool")')


def act_5(w):
    """A failing test: the run is red, nothing is released"""
    before, since = w.releases("shop")[0]["id"], time.time()
    commit = w.commit("shop", "Round prices down", {"tests/test_app.py": lambda old: old.replace("if __name__", "class Rounding(unittest.TestCase):\n"
                      "    def test_price(self):\n        self.assertEqual(round(2.5), 3)\n\n\nif __name__", 1)})
    w.git("shop", "push", "-q", "origin", "main")
    run = w.run_of("shop", commit)
    w.tell(f"run {run['id']}: {run['result']}")
    seen = w.load.window(since)
    after = w.releases("shop")[0]["id"]
    restore_app(w)
    w.commit("shop", "Take the rounding back", {})
    w.git("shop", "push", "-q", "origin", "main")
    return Act("the run fails, nothing is released, users notice nothing", f"run {run['result']}; {'no' if after == before else 'a'} new release; "
               f"{seen['failed']} of {seen['requests']} requests failed", run["result"] == "failure" and after == before and seen["failed"] == 0,
               requests=seen["requests"], failed=seen["failed"])


def act_6(w):
    """A pushed credential: refused in the pusher's terminal"""
    key = "ghp_" + "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghijkmnpqrstuvwxyz"[(i * 37 + 11) % 56] for i in range(30))
    key += github_checksum(key[4:])
    before = w.api("/api/v1/projects/shop/refs")
    commit = w.commit("shop", "Fetch the price list", {"prices.py": f'TOKEN = "{key}"\n'})
    blob = w.git("shop", "rev-parse", "HEAD:prices.py").stdout.strip()
    p = w.git("shop", "push", "origin", "main", check=False)
    text = p.stderr
    for line in [x for x in text.splitlines() if x.startswith("remote:")][:8]:
        w.tell(line)
    bare = os.path.join(w.data, "repos", "shop.git")
    there = subprocess.run(["git", "-C", bare, "cat-file", "-e", blob], capture_output=True, env=w.env).returncode == 0
    moved = w.api("/api/v1/projects/shop/refs") != before
    w.git("shop", "reset", "-q", "--hard", "HEAD~1")
    ok = p.returncode != 0 and not there and not moved and "prices.py:1" in text and key not in text and "github" in text.lower()
    return Act("refused with rule, file:line and what to do; ref unmoved, objects gone",
               f"push {'refused' if p.returncode else 'accepted'}; ref {'moved' if moved else 'unmoved'}; objects {'kept' if there else 'gone'}", ok,
               commit=commit[:8], terminal=[x for x in text.splitlines() if x.startswith("remote:")][:12])


def github_checksum(body):
    """Last six characters of a GitHub token: CRC32 of what is before, in base 62."""
    import zlib
    n, out = zlib.crc32(body.encode()), ""
    for _ in range(6):
        out = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[n % 62] + out
        n //= 62
    return out


def act_7(w):
    """A misspelt key in a workflow and in service.yaml: refused with its place and the nearest key"""
    seen, ok = [], True
    for path, edit, want in ((".github/workflows/ci.yml", lambda t: t.replace("    steps:", "    setps:", 1), "steps"),
                             (".weir/service.yaml", lambda t: re.sub(r"(?m)^(\s*)health:", r"\1heath:", t, count=1), "health")):
        w.commit("shop", f"Edit {path}", {path: edit})
        p = w.git("shop", "push", "origin", "main", check=False)
        hit = re.search(re.escape(path) + r":\d+:\d+", p.stderr)
        line = next((x for x in p.stderr.splitlines() if "did you mean" in x), "")
        ok = ok and p.returncode != 0 and hit is not None and f"'{want}'" in line
        seen.append(f"{hit[0] if hit else 'no place'}: {line.replace('remote:', '').strip()}")
        w.tell(seen[-1])
        w.git("shop", "reset", "-q", "--hard", "HEAD~1")
    return Act("both pushes refused at file:line:column with the nearest known key", "; ".join(seen), ok)


SLOW_JOB = """
  count:
    runs-on: linux
    steps:
      - name: begin
        run: echo "begins here"
      - name: count
        run: for i in $(seq 1 150); do echo "line $i of 150"; sleep 0.2; done
"""


def act_8(w):
    """weir is killed (SIGKILL, server and runner) during a canary and a running job"""
    since = time.time()
    commit = w.commit("shop", "Count slowly", {".github/workflows/ci.yml": lambda t: t.rstrip("\n") + "\n" + SLOW_JOB.lstrip("\n"),
                                               "NOTES.md": lambda_or("counted\n")})
    w.git("shop", "push", "-q", "origin", "main")
    rel = w.release_of("shop", commit)
    w.wait(lambda: canary_requests(w.release(rel["id"])) >= 60, 120, "the canary gets no requests")
    before = canary_requests(w.release(rel["id"]))
    job = next(j for j in w.api(f"/api/v1/runs/{w.run_of('shop', commit, ended=False)['id']}")["jobs"] if j["name"] == "count")
    run_id = w.run_of("shop", commit, ended=False)["id"]
    w.kill()
    killed = time.time()
    w.tell(f"killed server and runner; the canary had {before} requests judged")
    time.sleep(4)
    during = w.load.window(killed)
    w.start()
    w.tell(f"started again after {time.time() - killed:.1f} s; {during['requests']} requests were answered meanwhile, {during['failed']} failed")
    w.wait(lambda: canary_requests(w.release(rel["id"])) >= before, 15, "the evidence of before the kill is not there again")
    after = canary_requests(w.release(rel["id"]))
    rel = w.wait_release(rel["id"], ("finished", "rolled-back", "aborted"), 240)
    run = w.run_of("shop", commit, 240)
    log = ""
    for step in range(len(w.api(f"/api/v1/runs/{run_id}")["jobs"][0]["steps"]) + 3):
        log += raw(w, f"/api/v1/runs/{run_id}/jobs/{job['id']}/log?step={step}")
    lines = [int(n) for n in re.findall(r"^line (\d+) of 150", log, re.M)]
    begins = len(re.findall(r"^begins here", log, re.M))
    seen = w.load.window(since)
    w.commit("shop", "Count no more", {".github/workflows/ci.yml": lambda t: t.replace(SLOW_JOB.lstrip("\n"), "").rstrip("\n") + "\n"})
    ok = (rel["state"] == "finished" and run["result"] == "success" and lines == list(range(1, 151)) and begins == 1 and seen["failed"] == 0
          and seen["users_gone"] == 0 and after >= before and during["requests"] > 200)
    return Act("no user notices; the release and the job go on where they were",
               f"release {rel['state']}, run {run['result']}, log {len(lines)} lines{'' if lines == list(range(1, 151)) else ' WITH GAPS OR DUPLICATES'}, "
               f"first step ran {begins} time(s), {seen['failed']} of {seen['requests']} requests failed", ok,
               canary_requests_before_kill=before, canary_requests_after_restart=after, requests_while_dead=during["requests"], failed=seen["failed"])


def canary_requests(rel):
    return sum(s["requests_canary"] for s in rel.get("segments", []))


def raw(w, path):
    token = open(w.token_file, encoding="ascii").read().strip()
    try:
        with urllib.request.urlopen(urllib.request.Request(w.url + path, headers={"Authorization": f"Bearer {token}"}), timeout=30) as r:
            return r.read().decode(errors="replace")
    except urllib.error.HTTPError:
        return ""


def live_version(w):
    return next(s for s in w.rows("/api/v1/services") if s["service"] == "shop")["version"]


def stays(w, ident):
    """A paused release keeps its share although requests go on."""
    before = w.release(ident)
    time.sleep(2)
    after = w.release(ident)
    return after["state"] == "canary" and after["share"] == before["share"] and canary_requests(after) > canary_requests(before)


def act_9(w):
    """By hand: roll back while all is well; pause, promote and abort a canary"""
    since, seen, ok = time.time(), [], True
    before = live_version(w)
    t = time.time()
    w.weir("rollback", "shop", "--env", "production")
    w.wait(lambda: live_version(w) != before, 20, "rollback does not change the version")
    seen.append(f"rollback took {time.time() - t:.2f} s")
    w.tell(seen[-1])
    for action in ("pause", "abort", "promote"):
        commit = w.commit("shop", f"Try {action}", {"NOTES.md": lambda_or(f"{action}\n")})
        w.git("shop", "push", "-q", "origin", "main")
        ident = w.release_of("shop", commit)["id"]
        w.wait(lambda i=ident: canary_requests(w.release(i)) > 0, 60, "the canary gets no requests")
        t = time.time()
        w.weir(action, ident)
        if action == "pause":
            ok = ok and w.release(ident)["paused"]
        else:
            w.wait_release(ident, ("aborted",) if action == "abort" else ("baking", "finished"), 20)
        took = time.time() - t
        ok = ok and took < 5
        if action == "pause":
            ok = ok and stays(w, ident)
            w.weir("resume", ident)
            ok = ok and not w.release(ident)["paused"]
            w.weir("abort", ident)
        end = w.wait_release(ident, ("aborted", "finished"), 60)
        seen.append(f"{action} took {took:.2f} s, then {end['state']}")
        w.tell(seen[-1])
    load = w.load.window(since)
    return Act("each does what it says at once; no request fails", "; ".join(seen) + f"; {load['failed']} of {load['requests']} requests failed",
               ok and load["failed"] == 0 and load["users_gone"] == 0, requests=load["requests"], failed=load["failed"])


def act_10(w):
    """Measured and provable: the five DORA metrics, the verified log, and a changed byte that is found"""
    text = w.weir("insights").stdout
    for line in text.splitlines():
        w.tell(line)
    metrics = json.loads(w.weir("insights", "--json").stdout)
    names = ("deployment frequency", "lead time for changes", "change fail rate", "failed deployment recovery time", "deployment rework rate")
    missing = [n for n in names if n not in text.lower()]
    verify = w.weir("log", "verify", check=False)
    w.tell(f"weir log verify: {verify.stdout.strip() or verify.stderr.strip()}")
    named, db = None, sqlite3.connect(os.path.join(w.data, "weir.db"), timeout=30)
    seq, column, old = tamper(db)
    try:
        broken = w.weir("log", "verify", check=False)
        text = broken.stdout + broken.stderr
        named = broken.returncode != 0 and "shop" in text and re.search(rf"\b{seq}\b", text)
        w.tell(f"one byte of event {seq} of shop changed behind its back: {text.strip().splitlines()[-1] if text.strip() else 'nothing said'}")
    finally:
        db.execute(f"UPDATE event SET {column} = ? WHERE project = 'shop' AND seq = ?", (old, seq))
        db.commit()
        db.close()
    healed = w.weir("log", "verify", check=False).returncode == 0
    return Act("five metrics with definitions; the log verifies; a changed byte is found and named",
               f"{5 - len(missing)} of 5 metrics; verify {'passes' if verify.returncode == 0 else 'fails'}; the change is {'named' if named else 'NOT named'}",
               not missing and verify.returncode == 0 and bool(named) and healed, metrics=metrics)


def tamper(db):
    """Changes one byte in the middle of one stored event of shop; returns (seq, column, old value)."""
    column = "bytes" if "bytes" in [r[1] for r in db.execute("PRAGMA table_info(event)")] else "data"
    seq, old = db.execute(f"SELECT seq, {column} FROM event WHERE project = 'shop' ORDER BY seq LIMIT 1 OFFSET 5").fetchone()
    raw_old = old.encode() if isinstance(old, str) else bytes(old)
    at = len(raw_old) // 2
    new = raw_old[:at] + bytes([raw_old[at] ^ 1]) + raw_old[at + 1:]
    db.execute(f"UPDATE event SET {column} = ? WHERE project = 'shop' AND seq = ?", (new.decode(errors="replace") if isinstance(old, str) else new, seq))
    db.commit()
    return seq, column, old


ACTS = {n: globals()[f"act_{n}"] for n in range(1, 11)}


# --- commands -------------------------------------------------------------------------------------------------------

def play(w, wanted, as_json, skip=()):
    """Plays acts 1 to max(wanted); prints those wanted. Returns True when all of them were ok."""
    good = True
    for n in range(1, max(wanted) + 1):
        if n in skip:
            continue
        show = n in wanted
        w.quiet = as_json or not show
        if show and not as_json:
            print(f"\nAct {n:2}   {ACTS[n].__doc__}", flush=True)
        if n >= 2 and not w.load:
            w.load = Load(w, "shop")
            w.wait(lambda: w.load.window(time.time() - 2)["requests"] > USERS * RATE, 15, "the load does not start")
            if w.load.window(0)["failed"]:
                raise Failure("the service fails before the first change")
        begun = time.time()
        try:
            act = ACTS[n](w)
        except Failure as e:
            act = Act("the act runs to its end", str(e), False)
        act.figures["act_seconds"] = round(time.time() - begun, 1)
        good = good and act.ok
        if show and as_json:
            print(json.dumps({"act": n, "expected": act.expected, "seen": act.seen, "figures": act.figures, "ok": act.ok}), flush=True)
        elif show:
            print(f"    {'ok' if act.ok else 'NOT OK':6} {act.seen}", flush=True)
            for key, value in act.figures.items():
                if key not in ("act_seconds", "metrics", "terminal", "commit"):
                    print(f"           {key.replace('_', ' ')}: {value}", flush=True)
        if not act.ok and n == 1:
            return False
    return good


def command_story(args):
    folder = tempfile.mkdtemp(prefix="weir-story-")
    ports = (free_port(), free_port(), free_range(200))
    w = World(folder, ports, True)
    good = False
    try:
        w.start()
        wanted = [args.act] if args.act else list(ACTS)
        good = play(w, wanted, args.json)
    finally:
        try:
            w.down()
        except Failure as e:
            print(f"story: {e}", file=sys.stderr)
            good = False
        if good and not os.environ.get("WEIR_STORY_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"story: kept {folder}", file=sys.stderr)
            if not good:
                tail = open(os.path.join(folder, "weir.log"), encoding="utf-8", errors="replace").read()[-6000:]
                print(tail, file=sys.stderr)
    return 0 if good else 1


def var_world(quiet=False):
    folder = os.path.join(ROOT, "var")
    os.makedirs(folder, exist_ok=True)
    ports_file = os.path.join(folder, "ports.json")
    if os.path.exists(ports_file):
        ports = json.load(open(ports_file, encoding="ascii"))
    else:
        ports = [8420 if port_free(8420) else free_port(), 8480 if port_free(8480) else free_port(), free_range(200)]
        json.dump(ports, open(ports_file, "w", encoding="ascii"))
    return World(folder, ports, quiet)


def port_free(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def command_up(args):
    w = var_world()
    print("weir comes up in ./var with SQLite, its own runner, HAProxy and s6.", flush=True)
    w.start()
    done_file = os.path.join(w.folder, "acts-done")
    again = os.path.exists(done_file)
    good = True
    if again and not args.again:
        print("The acts were played before (./dev up --again plays acts 2 to 10 once more).")
        good = play(w, [1], False)
    else:
        good = play(w, list(ACTS), False)
        if good:
            open(done_file, "w", encoding="ascii").close()
    if w.load:
        w.load.stop()
        w.load = None
    print(f"""
weir is running{'' if good else ', but not every act went as it should (see above and var/weir.log)'}.

  page        {w.url}/
  log in      with the token in {os.path.relpath(w.token_file, os.getcwd())}
  services    http://shop.localhost:{w.http}/   http://ledger.localhost:{w.http}/
  try next    export WEIR_CONFIG=$PWD/{os.path.relpath(w.config, os.getcwd())} PATH="$PWD/build/src/cli:$PATH"
              cd var/work/shop; edit app.py; git commit -am 'Say hello'; git push
              weir services; weir releases --project shop; weir log --follow; weir help
  stop        ./dev down
""", flush=True)
    return 0 if good else 1


def command_down(_args):
    w = var_world(True)
    w.down()
    print("weir, HAProxy and the services are stopped; the data stays in var/ (remove the folder to begin anew).")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sub = parser.add_subparsers(dest="command", required=True)
    up = sub.add_parser("up")
    up.add_argument("--again", action="store_true", help="play acts 2 to 10 although they were played before")
    sub.add_parser("down")
    story = sub.add_parser("story")
    story.add_argument("--json", action="store_true")
    story.add_argument("--act", type=int, choices=list(ACTS))
    args = parser.parse_args()
    try:
        return {"up": command_up, "down": command_down, "story": command_story}[args.command](args)
    except Failure as e:
        print(f"story: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
