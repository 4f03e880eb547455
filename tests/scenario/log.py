#!/usr/bin/env python3
"""log.py WEIR: `weir log`, its stream over a restart of the server, `weir log verify` with a backup and with a changed byte, `weir insights`."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

WEIR = os.path.abspath(sys.argv[1])
TOP = tempfile.mkdtemp(prefix="weir-test-log-")
DATA = os.path.join(TOP, "data")
DB = os.path.join(DATA, "weir.db")
ENV = {n: v for n, v in os.environ.items() if not n.startswith("WEIR_")}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


PORT, HTTP = free_port(), free_port()
ENV.update(WEIR_SERVER=f"http://127.0.0.1:{PORT}", WEIR_DATA=DATA, WEIR_TOKEN_FILE=os.path.join(DATA, "keys", "admin-token"), HOME=TOP)


def expect(condition, what):
    if not condition:
        raise SystemExit(f"not so: {what}")


def serve():
    p = subprocess.Popen([WEIR, "serve", "--listen", f"127.0.0.1:{PORT}", "--http", f"127.0.0.1:{HTTP}", "--runner-slots", "0"], env=ENV, cwd=TOP,
                         stdout=subprocess.PIPE, stderr=open(os.path.join(TOP, "serve.log"), "a", encoding="utf-8"), text=True)
    expect("serves" in p.stdout.readline(), "the server comes up: " + open(os.path.join(TOP, "serve.log"), encoding="utf-8").read())
    return p


def weir(*argv, want=0):
    r = subprocess.run([WEIR, *argv], env=ENV, cwd=TOP, capture_output=True, text=True, timeout=120)
    expect(r.returncode == want, f"weir {' '.join(argv)} ends with {want}: {r.returncode}\n{r.stdout}{r.stderr}")
    return r


class Follow:
    def __init__(self, *argv):
        self.lines = []
        self.p = subprocess.Popen([WEIR, "log", "--follow", *argv], env=ENV, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.p.stdout:
            self.lines.append(line)

    def wait(self, part):
        end = time.time() + 60
        while not any(part in line for line in self.lines):
            expect(time.time() < end, f"the stream shows {part!r}: {self.lines}")
            time.sleep(0.02)

    def end(self):
        self.p.send_signal(signal.SIGINT)
        self.p.wait()


def test_log(server):
    weir("project", "create", "shop")
    everything, created = Follow(), Follow("--type", "project.created", "--json")
    weir("project", "create", "ledger")
    everything.wait("ledger 1  project.created")
    created.wait('"project":"ledger"')
    server.kill()
    server.wait()
    server = serve()
    weir("project", "create", "third")
    everything.wait("third 1  project.created")  # the stream came back by itself, behind what it had shown
    created.wait('"project":"third"')
    expect(sum("ledger 1" in line for line in everything.lines) == 1, "nothing is shown twice")
    expect([json.loads(x)["project"] for x in created.lines] == ["shop", "ledger", "third"], created.lines)
    everything.end()
    created.end()
    expect("shop 1  project.created  token:admin" in weir("log").stdout, "the list")
    expect("shop" not in weir("log", "--project", "ledger").stdout, "one project only")
    newest = json.loads(weir("log", "--json", "--limit", "1").stdout)
    expect(len(newest) == 1 and newest[0]["project"] == "third", newest)
    expect("did you mean 'project.created'" in weir("log", "--type", "project.create", want=2).stderr, "the nearest type is told")
    weir("log", "--limit", "0", want=2)
    return server


def test_another_program_reads_the_database():
    """A backup program that opens the database and closes it again must not believe that it was the last one: it would take the log of writes away."""
    for _ in range(3):
        db = sqlite3.connect(DB)
        db.execute("SELECT count(*) FROM event").fetchone()
        db.close()
        expect(os.path.exists(DB + "-wal"), "the server's write-ahead log is still there")
        weir("log")


def test_control_characters():
    """A commit's subject cannot steer the reader's terminal."""
    repo = os.path.join(TOP, "repo")
    token = open(ENV["WEIR_TOKEN_FILE"], encoding="utf-8").read().strip()
    git = {**ENV, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    for argv in (["init", "-q", "-b", "main", repo], ["-C", repo, "-c", "user.name=Dev", "-c", "user.email=dev@example.org", "commit", "-q",
                 "--allow-empty", "-m", "evil \x1b[2J \u009b31m subject"],
                 ["-C", repo, "push", "-q", f"http://git:{token}@127.0.0.1:{PORT}/git/shop.git", "main"]):
        r = subprocess.run(["git", *argv], env=git, capture_output=True, text=True)
        expect(r.returncode == 0, f"git {argv[0]}: {r.stderr}")
    out = weir("log", "--type", "change.accepted").stdout
    expect("subject=evil ?[2J ?31m subject" in out and "\x1b" not in out and "\u009b" not in out, out)


def test_verify():
    expect(json.loads(weir("log", "verify", "--json").stdout)["ok"], "all is well")
    backup = os.path.join(TOP, "backup.db")
    with sqlite3.connect(DB) as db, sqlite3.connect(backup) as to:
        db.backup(to)
    weir("project", "create", "fourth")
    expect("all events of the backup" in weir("log", "verify", "--from-backup", backup).stdout, "the backup is in the log")
    weir("log", "verify", "--from-backup", os.path.join(TOP, "nowhere.db"), want=2)
    db = sqlite3.connect(DB, timeout=30)
    db.execute("UPDATE event SET data = replace(data, 'ledger', 'ledgir') WHERE project = 'ledger' AND seq = 1")
    db.commit()
    r = weir("log", "verify", want=1)
    expect("project ledger, event 1 (project.created)" in r.stderr, r.stderr)
    db.execute("UPDATE event SET data = replace(data, 'ledgir', 'ledger') WHERE project = 'ledger' AND seq = 1")
    db.commit()
    db.close()
    weir("log", "verify")


def test_insights():
    text = weir("insights").stdout.lower()
    for name in ("deployment frequency", "lead time for changes", "change fail rate", "failed deployment recovery time", "deployment rework rate"):
        expect(name in text, name)
    answer = json.loads(weir("insights", "--json", "--rows", "--days", "7").stdout)
    expect(answer["days"] == 7 and len(answer["metrics"]) == 5 and all(m["rows"] == [] and m["value"] is None for m in answer["metrics"]), answer)
    weir("insights", "--days", "0", want=2)


def main():
    server = serve()
    try:
        server = test_log(server)
        test_another_program_reads_the_database()
        test_control_characters()
        test_verify()
        test_insights()
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        subprocess.run([WEIR, "down"], env=ENV, cwd=TOP, capture_output=True, check=False)
        shutil.rmtree(TOP, ignore_errors=True)
    print("5 passed, 0 failed, 0 skipped")


main()
