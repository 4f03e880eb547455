"""served.py: one `weir serve` of the program in argv[1], without runners, on free ports and in a temporary folder, and the ways to talk to it.
With "postgresql" as argv[2] its database is a private PostgreSQL; exit code 77: that is not installed."""
import glob
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

WEIR = os.path.abspath(sys.argv[1])
TOP = tempfile.mkdtemp(prefix="weir-test-served-")
DATA = os.path.join(TOP, "data")
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_AUTHOR_NAME": "Dev",
       "GIT_AUTHOR_EMAIL": "dev@example.org", "GIT_COMMITTER_NAME": "Dev", "GIT_COMMITTER_EMAIL": "dev@example.org"}
ENV = {**{n: v for n, v in os.environ.items() if not n.startswith("WEIR_")}, **GIT, "HOME": TOP}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORT, HTTP = free_port(), free_port()
DATABASE = None
if sys.argv[2:] == ["postgresql"]:
    import postgres
    try:
        DATABASE = postgres.Postgres()
    except postgres.Missing as e:
        print(f"skipped: {e}")
        sys.exit(77)
    ENV["WEIR_DATABASE"] = DATABASE.url
ENV.update(WEIR_SERVER=f"http://127.0.0.1:{PORT}", WEIR_DATA=DATA, WEIR_TOKEN_FILE=os.path.join(DATA, "keys", "admin-token"))


def expect(condition, what):
    if not condition:
        raise SystemExit(f"not so: {what}")


class Server:
    def __init__(self):
        self.p = None

    def start(self, listen=None, slots=0):
        """listen: the port of a second server on the same database, with a folder of its own."""
        env, ports = (ENV, (PORT, HTTP)) if listen is None else ({**ENV, "WEIR_DATA": f"{DATA}-{listen}"}, (listen, free_port()))
        log = open(os.path.join(TOP, "serve.log"), "a", encoding="utf-8")
        self.p = subprocess.Popen([WEIR, "serve", "--listen", f"127.0.0.1:{ports[0]}", "--http", f"127.0.0.1:{ports[1]}", "--runner-slots", str(slots)], env=env,
                                  cwd=TOP, stdout=subprocess.PIPE, stderr=log, text=True)
        expect("serves" in self.p.stdout.readline(), "the server comes up: " + open(os.path.join(TOP, "serve.log"), encoding="utf-8").read())

    def stop(self, how=signal.SIGTERM):
        self.p.send_signal(how)
        self.p.wait(60)


SERVER = Server()
TOKENS = {}


def token(name="admin"):
    return TOKENS.get(name) or open(ENV["WEIR_TOKEN_FILE"], encoding="utf-8").read().strip()


def call(method, path, body=None, who="admin", headers=None, raw=None, port=PORT, seconds=30):
    """(status, parsed JSON or text, headers)"""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    h = {"Content-Type": "application/json"} if body is not None or raw is not None else {}
    if who:
        h["Authorization"] = f"Bearer {token(who)}"
    h.update(headers or {})
    c.request(method, path, raw if raw is not None else json.dumps(body) if body is not None else None, h)
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    got = dict((k.lower(), v) for k, v in r.getheaders())
    return r.status, json.loads(text) if text and "json" in got.get("content-type", "") else text, got


def weir(*argv, want=0, given=None):
    r = subprocess.run([WEIR, *argv], env=ENV, cwd=TOP, capture_output=True, text=True, timeout=60, input=given)
    expect(r.returncode == want, f"weir {' '.join(argv)}: exit code {r.returncode}, not {want}\n{r.stdout}{r.stderr}")
    return r.stdout + r.stderr


def git(*argv, want=0, cwd=TOP):
    r = subprocess.run(["git", *argv], env=ENV, cwd=cwd, capture_output=True, text=True, errors="replace", timeout=120)
    expect((r.returncode == 0) == (want == 0), f"git {' '.join(argv)}: {r.stdout}{r.stderr}")
    return r.stdout + r.stderr


def wait(fn, what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = fn()
        if got:
            return got
        time.sleep(0.05)
    raise SystemExit(f"not so within {seconds} s: {what}")


def end():
    """Ends the server and what it started, and removes the folder."""
    SERVER.stop()
    for folder in [DATA] + glob.glob(DATA + "-*"):  # of second servers, too
        subprocess.run([WEIR, "down"], env={**ENV, "WEIR_DATA": folder}, cwd=TOP, capture_output=True, timeout=60, check=False)
    if DATABASE:
        DATABASE.stop()
    if not os.environ.get("WEIR_STORY_KEEP"):
        shutil.rmtree(TOP, ignore_errors=True)
