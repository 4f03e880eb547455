#!/usr/bin/env python3
"""api.py WEIR: the API as its clients see it. What a refused push leaves behind (lines of code, never a secret); the stream of events over
restarts and a SIGKILL, without a gap or a duplicate; a stop under load, in which every request that was under way is answered."""
import http.client
import json
import os
import random
import signal
import socket
import string
import sys
import threading
import time

sys.dont_write_bytecode = True
from served import DATA, PORT, SERVER, TOP, end, expect, git, token  # noqa: E402


def connect(timeout=30):
    return http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)


def ask(method, path, body=None, accept="application/json"):
    c = connect()
    c.request(method, path, json.dumps(body) if body is not None else None,
              {"Authorization": f"Bearer {token()}", "Accept": accept, **({"Content-Type": "application/json"} if body is not None else {})})
    r = c.getresponse()
    text = r.read().decode()
    c.close()
    return r.status, text


def rows(path):
    status, text = ask("GET", path)
    expect(status == 200, f"GET {path}: {status} {text}")
    return json.loads(text)


# --- what a refused push leaves ---

def files_with(text):
    """Files below the data folder that hold these bytes."""
    found = []
    for folder, _, names in os.walk(DATA):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and text.encode() in open(path, "rb").read():
                found.append(os.path.relpath(path, DATA))
    return found


def test_refused_push_keeps_its_lines():
    expect(ask("POST", "/api/v1/projects", {"name": "shop"})[0] == 201, "a project")
    secrets = ["AKIA" + "".join(random.choices(string.ascii_uppercase + "234567", k=16)) for _ in range(3)]
    workflow = f"name: ci\non: push\n# key {secrets[1]}\njobs:\n  t:\n    runs_on: any\n    steps: []  # <b>\n"
    os.makedirs(os.path.join(TOP, "w", ".github", "workflows"))
    for name, text in (("conf.py", f"one = 1\nkey = '{secrets[0]}'  # {secrets[2]}\nthree = 3\n"), (".github/workflows/ci.yml", workflow)):
        with open(os.path.join(TOP, "w", name), "w", encoding="utf-8") as f:
            f.write(text)
    git("init", "-q", "-b", "main", "w")
    git("-C", "w", "add", ".")
    git("-C", "w", "commit", "-q", "-m", "one")
    said = git("-C", "w", "push", "-q", f"http://git:{token()}@127.0.0.1:{PORT}/git/shop.git", "main", want=1)
    expect("conf.py:2" in said and "runs_on" in said, said)
    change = rows("/api/v1/projects/shop/changes")["changes"][0]
    expect(change["state"] == "refused", change)
    code = {(f["path"], f["check"]): f.get("code") for f in change["findings"]}
    expect(code[("conf.py", "credentials")] == {"first": 2, "lines": ["key = '****"]}, code)
    files = code[(".github/workflows/ci.yml", "files")]
    expect(files and any("runs_on: any" in line for line in files["lines"]), code)
    expect(change["findings"] == rows("/api/v1/events/newest?project=shop&limit=1")["events"][0]["data"]["findings"], "the event has the same")
    page = ask("GET", f"/projects/shop/changes/{change['seq']}", accept="text/html")[1]
    expect("key = &#x27;****" in page or "key = &#39;****" in page, "the page shows the masked line")
    expect("runs_on: any" in page and "&lt;b&gt;" in page and "# <b>" not in page, "the page shows the wrong line, escaped")
    for secret in secrets:
        for part in (secret, secret[4:14], secret[-10:]):
            expect(part not in page and part not in json.dumps(change), "no secret is on the page")
            expect(not files_with(part), f"no secret stays in {files_with(part)}")


# --- the stream of events ---

class Follower(threading.Thread):
    """A client of /events that comes back where it was, as browsers do, until it is told to stop."""

    def __init__(self, query=""):
        super().__init__(daemon=True)
        self.path, self.last, self.ids, self.clean_ends, self.cuts, self.over = "/events" + query, "0", [], 0, 0, False
        self.start()

    def run(self):
        while not self.over:
            try:
                self.follow()
            except (OSError, http.client.HTTPException):
                self.cuts += 1
                time.sleep(0.05)

    def follow(self):
        c = connect(60)
        c.request("GET", self.path, headers={"Authorization": f"Bearer {token()}", "Last-Event-ID": self.last})
        r = c.getresponse()
        if r.status != 200:
            raise OSError(r.status)
        told, at = False, None
        while True:
            line = r.readline().decode()
            if not line:
                break
            told = told or line.startswith("retry: ")
            if line.startswith("id: "):
                at = line[4:].strip()
            if line == "\n" and at:  # a message counts when it is complete, and so does its id
                self.ids.append(int(at))
                self.last, at = at, None
        expect(told, "a stream says when to come back")
        self.clean_ends += 1


class Writer(threading.Thread):
    """Makes projects until it is told to stop; remembers those that were answered."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self.name_, self.made, self.over = name, [], False
        self.start()

    def run(self):
        for i in range(100000):
            if self.over:
                return
            try:
                if ask("POST", "/api/v1/projects", {"name": f"{self.name_}-{i}"})[0] == 201:
                    self.made.append(f"{self.name_}-{i}")
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)


def all_events(query=""):
    found, after = [], 0
    while after is not None:
        page = rows(f"/api/v1/events?limit=100&after={after}{query}")
        found += page["events"]
        after = page["next"]
    return found


def test_stream_over_restarts():
    followers = [Follower(), Follower(), Follower("?type=project.created")]
    writers = [Writer("one"), Writer("two")]
    for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
        have = len(followers[0].ids)
        end = time.time() + 60
        while len(followers[0].ids) < have + 20 and time.time() < end:
            time.sleep(0.02)
        expect(len(followers[0].ids) >= have + 20, "events come")
        SERVER.stop(how)
        SERVER.start()
    time.sleep(0.5)
    for w in writers:
        w.over = True
        w.join()
    want, made = [e["pos"] for e in all_events()], [e["pos"] for e in all_events("&type=project.created")]
    end = time.time() + 60
    while time.time() < end and any(not f.ids or f.ids[-1] < made[-1] for f in followers):
        time.sleep(0.05)
    for f, ids in zip(followers, (want, want, made)):
        f.over = True
        expect(len(set(f.ids)) == len(f.ids), "no event comes twice")
        expect([i for i in f.ids if i <= made[-1]] == [i for i in ids if i <= made[-1]], "no event is left out, and all are in their order")
        expect(f.clean_ends >= 2 and f.cuts >= 1, f"streams end cleanly at a stop and are cut by a kill: {f.clean_ends}, {f.cuts}")
    names = {p["name"] for p in rows("/api/v1/projects")["projects"]}
    for w in writers:
        expect(w.made and not set(w.made) - names, "what was answered before a stop or a kill is there")


# --- a stop under load ---

class Client(threading.Thread):
    """Requests one after the other over one connection, until the server says that it closes it."""

    def __init__(self, kind):
        super().__init__(daemon=True)
        self.kind, self.answered, self.made, self.lost, self.sent_at = kind, 0, [], None, 0
        self.start()

    def one(self, c, i):
        name = f"load-{self.kind}-{id(self)}-{i}"
        method, path, body = ("POST", "/api/v1/projects", json.dumps({"name": name})) if self.kind == "write" else ("GET", "/api/v1/projects", None)
        self.sent_at = time.monotonic()
        c.request(method, path, body, {"Authorization": f"Bearer {token()}", **({"Content-Type": "application/json"} if body else {})})
        r = c.getresponse()
        r.read()
        if r.status == 201:
            self.made.append(name)
        self.answered += 1
        return r.status in (200, 201) and not r.will_close

    def run(self):
        c = connect()
        try:
            for i in range(100000):
                if not self.one(c, i):
                    return
        except (OSError, http.client.HTTPException) as e:
            self.lost = e


def test_stop_under_load():
    clients = [Client(kind) for kind in ("read", "read", "read", "write", "write", "write")]
    while any(c.answered < 5 for c in clients):
        time.sleep(0.01)
    slow = socket.create_connection(("127.0.0.1", PORT))  # half of its body is there when the stop comes
    body = b'{"name":"slow-one"}'
    slow.sendall(b"POST /api/v1/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + token().encode() +
                 b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body[:7])
    stream = Follower()
    while not stream.ids:
        time.sleep(0.01)
    stream.over = True
    time.sleep(0.2)
    stop_at = time.monotonic()
    SERVER.p.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    try:  # nobody new gets in, while the slow one keeps the server there
        c = connect(5)
        c.request("GET", "/healthz")
        expect(c.getresponse().status == 503, "a new request is not served any more")
    except (ConnectionError, http.client.HTTPException):
        pass
    expect(SERVER.p.poll() is None, "the server waits for the request that is under way")
    slow.sendall(body[7:])
    answer = b""
    slow.settimeout(30)
    while piece := slow.recv(65536):
        answer += piece
    expect(answer.startswith(b"HTTP/1.1 201"), f"the slow request was answered: {answer[:200]}")
    expect(SERVER.p.wait(60) == 0, "the server ends with 0")
    for c in clients:
        c.join(30)
        expect(not c.is_alive(), "no client hangs")
        expect(not c.lost or c.sent_at > stop_at, f"a request that was sent before the stop was not answered: {c.kind}, {c.lost!r}")
    stream.join(30)
    expect(stream.clean_ends == 1, "the stream of events ended cleanly")
    SERVER.start()
    names = {p["name"] for p in rows("/api/v1/projects")["projects"]}
    expect("slow-one" in names, "the slow request did what it said")
    expect(not {n for c in clients for n in c.made} - names, "everything that was answered is there")


def main():
    count = 0
    SERVER.start()
    try:
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test()
                count += 1
                print(f"ok {name}")
    finally:
        end()
    print(f"{count} passed, 0 failed, 0 skipped")


main()
