#!/usr/bin/env python3
"""The life of `weir serve` and `weir down` with the real server: starts that must be refused, deaths, restarts, what is left behind, and where the
texts of tokens must not be. WEIR_BIN names the program."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
sys.dont_write_bytecode = True
import story  # noqa: E402

SKIPPED = []
MARK = f"3{os.getpid():07d}"  # seconds that only this test's job sleeps: finds its process, which names no folder
WORKFLOW = f"""on: push
jobs:
  long:
    runs-on: linux
    steps:
      - uses: actions/checkout@v4
      - name: long
        run: |
          echo "it begins"
          [ -e end ] || exec sleep {MARK}
"""


def expect(condition, what):
    if not condition:
        raise story.Failure(f"not so: {what}")


def refused(w, *args, status, says, env=None):
    """A `weir serve` that must end by itself, with that exit code and a message of one line that says it."""
    r = subprocess.run([story.WEIR, "serve", "--config", w.config, *args], env={**w.env, **(env or {})}, cwd=w.work, capture_output=True, text=True,
                       timeout=60)
    told = [x for x in r.stderr.splitlines() if x.startswith("weir: ")]
    expect(r.returncode == status and len(told) == 1 and says in told[0], f"serve {' '.join(args)}: {r.returncode}\n{r.stdout}{r.stderr}\ninstead of: {says}")
    return r


def processes(*marks):
    """{pid: command line} of all processes whose command line, working folder or program names one of the marks."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                text = f.read().replace(b"\0", b" ").decode(errors="replace")
            cwd = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if int(pid) != os.getpid() and text and any(m in text or m in cwd for m in marks):
            found[int(pid)] = text
    return found


def token(w, name):
    with open(os.path.join(w.data, "keys", f"{name}-token"), encoding="ascii") as f:
        return f.read().strip()


def status_with(w, text, path="/api/v1/tokens"):
    try:
        with urllib.request.urlopen(urllib.request.Request(w.url + path, headers={"Authorization": f"Bearer {text}"}), timeout=20) as r:
            return r.status
    except urllib.error.HTTPError as e:
        return e.code


def lock_holder(w):
    """The process id of the runner that works in the data folder: who holds its lock."""
    try:
        st = os.stat(os.path.join(w.data, "runner", "lock"))
    except FileNotFoundError:
        return None
    place = f"{os.major(st.st_dev):02x}:{os.minor(st.st_dev):02x}:{st.st_ino}"
    with open("/proc/locks", encoding="ascii") as f:
        return next((int(x.split()[4]) for x in f if "FLOCK" in x and place in x.split()), None)


# --- starts that must not succeed ---

def test_a_wrong_start_is_told(w):
    other = os.path.join(w.folder, "other")
    with open(os.path.join(w.folder, "a-file"), "w", encoding="ascii"):
        pass
    refused(w, "--data", os.path.join(w.folder, "a-file"), status=2, says="a-file")
    refused(w, "--data", os.path.join(w.folder, "a-file", "below"), status=2, says="a-file")
    refused(w, "--data", other, "--listen", "nonsense", status=2, says="--listen: 'nonsense' is not HOST:PORT")
    refused(w, "--data", other, "--listen", "192.0.2.1:8420", status=2, says="setting listen: this machine cannot listen on 192.0.2.1:8420")
    refused(w, "--data", other, "--service-ports", "5-1", status=2, says="service-ports: '5-1' is not a range")
    for name in ("keep-versions", "keep-logs-days"):
        refused(w, "--data", other, f"--{name}", "0", status=2, says="keep-versions and keep-logs-days must be 1 or more")
    refused(w, "--data", other, "--log-level", "loud", status=2, says="log-level: 'loud' is not one of debug, info, warn, error")
    refused(w, "--data", other, "--database", "mysql://x", status=2, says="must begin with sqlite: or postgresql:")
    expect(not processes(other), "nothing of it is left")
    for setting, port in (("listen", w.listen), ("http", w.http)):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            s.listen(1)
            r = refused(w, status=2, says=str(port))
            expect("in use" in r.stderr and setting in r.stderr, r.stderr)
        w.weir("down")
        expect(not processes(w.data), f"nothing is left: {processes(w.data)}")


def in_tmpfs(w, options, script):
    """A shell in its own mounts with a small file system at FOLDER/small; None where this is not allowed."""
    small = os.path.join(w.folder, "small")
    os.makedirs(small, exist_ok=True)
    way = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    if subprocess.run([*way, "mount", "-t", "tmpfs", "none", small], capture_output=True).returncode:
        SKIPPED.append("full and read-only folders: no mounts here")
        return None
    return subprocess.run([*way, "sh", "-c", f'mount -t tmpfs -o "{options}" none "$1" && {script}', "sh", small, story.WEIR, w.config], env=w.env,
                          cwd=w.work, capture_output=True, text=True, timeout=60)


def test_a_folder_that_cannot_be_written(w):
    serve = 'timeout 30 "$2" serve --config "$3" --data "$1/data" --runner-slots 0'
    for options, script, says in (("size=1m", 'dd if=/dev/zero of="$1/fill" bs=1k 2>/dev/null; ' + serve, "small"),
                                  ("size=1m", 'mount -o remount,ro "$1"; ' + serve, "Read-only file system")):
        r = in_tmpfs(w, options, script)
        if r is None:
            return
        told = [x for x in r.stderr.splitlines() if x.startswith("weir: ")]
        expect(r.returncode in (2, 3) and len(told) == 1 and says in told[0], f"{options}: {r.returncode} {r.stdout}{r.stderr}")
        if "dd" in script:
            expect("space" in told[0].lower() or "full" in told[0].lower(), told[0])


# --- one server ---

def test_start(w):
    w.start()
    w.wait(lambda: lock_holder(w), 20, "the own runner does not come up")
    made = w.weir("token", "create", "dev", "--scope", "read").stdout.strip()
    w.weir("project", "create", "tool")
    os.makedirs(os.path.join(w.work, "tool"))
    w.git("tool", "init", "-q", "-b", "main")
    w.git("tool", "remote", "add", "origin", f"{w.url}/git/tool.git")
    w.git("tool", "config", "credential.helper", f"!'{story.WEIR}' credential --config '{w.config}'")
    w.dev = made
    expect(status_with(w, made, "/api/v1/projects") == 200 and status_with(w, made) == 403, "a token reads and no more")


def test_others_cannot_read(w):
    for name in os.listdir(w.data):
        if name.startswith("weir.db") or name in ("keys", "repos", "runner", "run"):
            mode = os.stat(os.path.join(w.data, name)).st_mode & 0o077
            expect(mode == 0, f"{name} may be read by others: {mode:o}")


def test_a_second_server_is_refused(w):
    refused(w, status=3, says=f"another weir server works on {w.data}")
    refused(w, "--listen", f"127.0.0.1:{story.free_port()}", status=3, says=f"another weir server works on {w.data}")
    expect(w.answers(w.url + "/readyz"), "the first one is well")
    rows = {x["what"]: x for x in json.loads(w.weir("doctor", "--json", check=False).stdout)}
    for what in ("port of API and pages", "port of services"):
        expect(rows[what]["ok"] and "this weir" in rows[what]["seen"], rows[what])


def test_no_core_files(w):
    for pid in [w.server_pid(), *w.runner_pids()]:
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            line = next(x for x in f if x.startswith("Max core file size"))
        expect(line.split()[4:6] == ["0", "0"], f"{pid}: {line}")


def test_after_sigkill_all_is_as_before(w):
    admin, runner = token(w, "admin"), token(w, "runner")
    w.kill()
    w.start()
    expect((token(w, "admin"), token(w, "runner")) == (admin, runner), "the files are the same")
    expect(status_with(w, admin) == 200 and status_with(w, w.dev, "/api/v1/projects") == 200, "the tokens still work")
    expect([p["name"] for p in w.rows("/api/v1/projects")] == ["tool"], "the projects are the same")


def test_a_lost_admin_token_is_made_anew(w):
    old = token(w, "admin")
    w.stop_server()
    os.unlink(w.token_file)
    w.start()
    expect(token(w, "admin") != old and os.stat(w.token_file).st_mode & 0o777 == 0o600, "a new one, for its owner only")
    expect(status_with(w, token(w, "admin")) == 200, "the new one works")
    expect(status_with(w, old) == 401, "the old one does not")
    expect(status_with(w, w.dev, "/api/v1/projects") == 200, "others are not touched")


def test_a_killed_runner_comes_back(w):
    first = w.wait(lambda: lock_holder(w), 20, "no own runner")
    os.kill(first, signal.SIGKILL)
    w.wait(lambda: lock_holder(w) not in (None, first), 30, "the own runner is not started again")


def test_the_runner_of_a_killed_server_is_replaced(w):
    first = w.wait(lambda: lock_holder(w), 20, "no own runner")
    os.kill(w.server_pid(), signal.SIGKILL)
    w.server.wait()
    expect(lock_holder(w) == first, "the runner outlives the server")
    w.start()
    w.wait(lambda: lock_holder(w) not in (None, first), 40, f"the runner {first} of the killed server is not replaced: {w.runner_pids()}")


# --- secrets ---

def begin_long_job(w):
    w.commit("tool", "Run long", {".github/workflows/long.yml": WORKFLOW})
    w.git("tool", "push", "-q", "-u", "origin", "main")
    w.wait(lambda: processes(f"sleep {MARK}"), 60, f"the job does not run: {w.run_line('tool')}")


def secret_files(w):
    """{text: the files of the data folder that hold it} of everything that looks like a token."""
    found = {}
    for folder, _, names in os.walk(w.data):
        for name in names:
            path = os.path.join(folder, name)
            try:
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as f:
                        for text in re.findall(rb"weir_[a-z]_[A-Za-z0-9_-]{16,}", f.read()):
                            found.setdefault(text.decode(), set()).add(path)
            except FileNotFoundError:
                continue
    return found


def api_answers(w):
    """Every GET of the API that has no parameter in its path, and those of this project and its run."""
    run = w.rows("/api/v1/projects/tool/runs")[0]
    with urllib.request.urlopen(w.url + "/api/v1/openapi.json", timeout=20) as r:
        paths = json.loads(r.read())["paths"]
    for path, ops in paths.items():
        path = path.replace("{project}", "tool").replace("{name}", "tool")
        endless = "stream" in path or (path.endswith("/events") and path != "/api/v1/events")
        if "get" not in ops or "{" in path or endless:
            continue
        yield path
    yield f"/api/v1/runs/{run['id']}"
    yield f"/api/v1/runs/{run['id']}/jobs/{w.api('/api/v1/runs/' + run['id'])['jobs'][0]['id']}/log"
    yield "/api/v1/events?limit=1000"


def get(w, path):
    req = urllib.request.Request(w.url + path, headers={"Authorization": f"Bearer {token(w, 'admin')}"})
    try:
        with urllib.request.urlopen(req, timeout=20) as r:
            return r.read().decode(errors="replace")
    except urllib.error.HTTPError as e:
        return e.read().decode(errors="replace")


def test_tokens_are_where_they_belong_only(w):
    begin_long_job(w)
    own = {token(w, "admin"), token(w, "runner")}
    w.wait(lambda: set(secret_files(w)) - own, 60, "the running job has no token of its own")
    files = secret_files(w)
    expect(own <= set(files), "the search finds tokens")
    jobs = set(files) - own
    expect(jobs, "the running job has a token of its own")
    for name in ("admin", "runner"):
        expect(files[token(w, name)] == {os.path.join(w.data, "keys", f"{name}-token")}, f"{name}: {files[token(w, name)]}")
    for text in jobs:
        for path in files[text]:
            expect("/runner/jobs/" in path and os.stat(path).st_mode & 0o077 == 0, f"the job's token is in {path}, mode {os.stat(path).st_mode:o}")
    secrets = own | jobs | {w.dev}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as f:
                    text = f.read().decode(errors="replace")
            except OSError:
                continue
            expect(int(pid) == os.getpid() or not any(s in text for s in secrets), f"a token is in /proc/{pid}/{what}: {text.split(chr(0))[0]}")
    with open(os.path.join(w.folder, "weir.log"), encoding="utf-8", errors="replace") as f:
        log = f.read()
    expect(not any(s in log for s in secrets), "a token is in the server's log")
    n = 0
    for path in api_answers(w):
        text = get(w, path)
        n += 1
        expect(not any(s in text for s in secrets), f"a token is in the answer to {path}")
    expect(n > 12, f"{n} answers were looked at")
    with open(os.path.join(w.folder, "gitconfig"), encoding="utf-8") as f:
        expect(not any(s in f.read() for s in secrets), "a token is in git's settings")
    r = subprocess.run(["grep", "-rlF", token(w, "admin"), w.work], capture_output=True, text=True)
    expect(r.returncode == 1, f"the token is in {r.stdout}")


def test_no_core_files_of_steps(w):
    for pid in processes(f"sleep {MARK}"):
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            expect(next(x for x in f if x.startswith("Max core file size")).split()[4:6] == ["0", "0"], f"{pid} may write a core file")


# --- ends ---

def slow_request(w, path, begun, ended):
    try:
        req = urllib.request.Request(w.url + path, headers={"Authorization": f"Bearer {token(w, 'admin')}"})
        with urllib.request.urlopen(req, timeout=60) as r:
            begun.set()
            while r.read(1):
                pass
    except OSError:
        pass
    begun.set()
    ended.set()


def test_sigterm_with_requests_under_way(w):
    begun, ended = threading.Event(), threading.Event()
    threading.Thread(target=slow_request, args=(w, "/events", begun, ended), daemon=True).start()
    half = socket.create_connection(("127.0.0.1", w.listen))  # a request that never becomes whole
    half.sendall(b"POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    idle = socket.create_connection(("127.0.0.1", w.listen))
    expect(begun.wait(20), "the stream begins")
    os.kill(w.server_pid(), signal.SIGTERM)
    try:
        status = w.server.wait(25)  # 10 s for requests, then the runner's end; the machine may be slow
    except subprocess.TimeoutExpired:
        raise story.Failure("the server does not end after SIGTERM") from None
    expect(status == 0, f"exit code {status}")
    expect(ended.wait(20), "the stream ended with it")
    half.close()
    idle.close()
    expect(lock_holder(w) is None, "the own runner ended with it")
    expect(processes(f"sleep {MARK}"), "the running step goes on")
    w.start()
    w.wait(lambda: lock_holder(w), 20, "no own runner")
    run = w.rows("/api/v1/projects/tool/runs")[0]
    expect(run["state"] == "running", f"the run goes on: {run['state']}")


def test_down_leaves_nothing(w):
    w.stop_server()
    expect(processes(f"sleep {MARK}"), "the step outlives the server")
    w.weir("down")
    left = processes(w.folder, MARK)
    expect(not left, f"left behind: {left}")
    r = json.loads(w.weir("down", "--json").stdout)  # again, with nothing there
    expect(r == {"server_ended": False, "runner_ended": False}, r)
    w.weir("down", "--data", os.path.join(w.folder, "never"))
    expect(not os.path.exists(os.path.join(w.folder, "never")), "down makes nothing")


def test_down_after_sigkill_of_the_server_alone(w):
    w.start()
    w.wait(lambda: lock_holder(w), 20, "no own runner")
    os.kill(w.server_pid(), signal.SIGKILL)
    w.server.wait()
    expect(w.runner_pids(), "the runner is left")
    expect(json.loads(w.weir("down", "--json").stdout)["runner_ended"], "down ends it")
    expect(not processes(w.folder), f"left behind: {processes(w.folder)}")


def test_down_ends_a_running_server(w):
    w.start()
    expect(json.loads(w.weir("down", "--json").stdout)["server_ended"], "down ends the server first")
    expect(w.server.wait(20) == 0, "as SIGTERM does")
    expect(not processes(w.folder), f"left behind: {processes(w.folder)}")


def test_services_come_back_after_down(w):
    w.start()
    w.weir("new", "http-python", "shop", "--param", "client=connection", "--param", "bake=1s")
    w.git("shop", "push", "-q", "-u", "origin", "main")
    host = "shop.localhost"
    w.wait(lambda: w.answers(f"http://127.0.0.1:{w.http}/", host), 120, f"shop does not answer: {w.run_line('shop')}")
    w.wait_release(w.releases("shop")[0]["id"], ("finished",), 60)
    w.stop_server()
    expect(w.answers(f"http://127.0.0.1:{w.http}/", host), "the service outlives the server")
    w.weir("down")
    expect(not processes(w.folder), f"left behind: {processes(w.folder)}")
    expect(not w.answers(f"http://127.0.0.1:{w.http}/", host), "down ends the service")
    w.start()
    w.wait(lambda: w.answers(f"http://127.0.0.1:{w.http}/", host), 60, "the service does not come back")
    service = next(s for s in w.rows("/api/v1/services") if s["service"] == "shop")
    expect(not service.get("problem"), service)


def main():
    only = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="weir-server-")
    w = story.World(folder, (story.free_port(), story.free_port(), story.free_range(200)), True)
    count, good = 0, False
    begun = time.time()
    try:
        for name, test in list(globals().items()):
            if name.startswith("test_") and (not only or name in only):
                test(w)
                count += 1
                print(f"ok {name}", flush=True)
        good = True
    except (story.Failure, subprocess.TimeoutExpired) as e:
        print(f"FAILED {name}: {e}", flush=True)
    finally:
        w.down()
        if good and not os.environ.get("WEIR_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept {folder}", file=sys.stderr)
    for what in SKIPPED:
        print(f"skipped: {what}")
    print(f"{count} passed, {0 if good else 1} failed, {len(SKIPPED)} skipped in {time.time() - begun:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
