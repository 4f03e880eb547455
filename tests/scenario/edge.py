#!/usr/bin/env python3
"""edge.py WEIR: a real server and a real edge. Either is killed; the edge starts without the server; changes, revoked tokens, damaged files, a server that
was put back to an earlier state, a thousand event streams, and what an edge refuses."""
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
from edged import Edge  # noqa: E402
from served import DATA, ENV, PORT, SERVER, TOKENS, TOP, WEIR, call, end, expect, wait, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
ON_OFF = {"on": True, "off": False}
CART = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off"}
BANNER = {"state": "ENABLED", "variants": {"red": "#f00", "blue": "#00f"}, "defaultVariant": "red",
          "targeting": {"if": [{"$ref": "staff"}, "blue", None]}, "metadata": {"ticket": "SHOP-1", "odd": "a\nb \" \\ \u00fc"}}
HEAD = {"evaluators": {"staff": {"ends_with": [{"var": "email"}, "@example.org"]}}, "metadata": {"flagSetId": "shop-production"}}
STREAMS = 1200


EDGE = Edge("near")


def change(flags, **more):
    base = next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")
    status, answer, _ = call("POST", SET + "/changes", {"base": base, "flags": flags, **more})
    expect(status == 200, f"change of {list(flags)}: {status} {answer}")
    return answer["revision"]


def switch(on):
    return change({"cart": {**CART, "defaultVariant": "on" if on else "off"}})


def cart(port=None, who="app"):
    return call("POST", "/ofrep/v1/evaluate/flags/cart", {"context": {}}, who, port=port or EDGE.port)[1].get("value")


def follows(on, edge=EDGE):
    switch(on)
    wait(lambda: cart(edge.port) == on, f"a change of the server reaches the edge: {edge.said()}", 120)


def token(name, scope, project=None):
    status, answer, _ = call("POST", "/api/v1/tokens", {"name": name, "scope": scope, **({"project": project} if project else {})})
    expect(status == 201, f"token {name}: {status} {answer}")
    TOKENS[name] = answer["token"]


class Stream:
    def __init__(self, port, uri, last=None, who=None):
        self.s, self.got = socket.create_connection(("127.0.0.1", port), timeout=90), b""
        more = (f"Last-Event-ID: {last}\r\n" if last is not None else "") + (f"Authorization: Bearer {TOKENS[who]}\r\n" if who else "")
        self.s.sendall(f"GET {uri} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())

    def until(self, what):
        while what.encode() not in self.got:
            piece = self.s.recv(65536)
            expect(piece, f"the stream says {what} before it ends: {self.got}")
            self.got += piece
        return self.got

    def close(self):
        self.s.close()


# --- acts ---

def world():
    weir("project", "create", "shop")
    weir("project", "create", "ledger")
    weir("flag", "create", "shop/production", "--environment", "production")
    weir("flag", "create", "ledger/production")
    change({"banner": BANNER, "cart": CART, 'say "hi"': CART}, **HEAD)
    for name, scope, project in (("edge", "edge", None), ("shop-edge", "edge", "shop"), ("app", "flags", "shop"), ("reader", "read", None),
                                 ("elsewhere", "flags", "ledger"), ("leaver", "flags", "shop"), ("late", "flags", "shop")):
        token(name, scope, project)


def own_token():
    status, answer, _ = call("GET", "/api/v1/token", who="app")
    expect((status, answer) == (200, {"name": "app", "scope": "flags", "project": "shop", "expires_at": None}), f"what a token says of itself: {status} {answer}")
    expect(call("GET", "/api/v1/token", who=None)[0] == 401 and call("GET", "/api/v1/token", who=None, headers={"Authorization": "Bearer x"})[0] == 401, "no token")
    for path in ("/api/v1/flag-copies", SET + "/copy", "/api/v1/flag-copies/events"):
        expect(call("GET", path, who="app")[0] == 403, f"a token of scope flags copies nothing: {path}")
    expect(call("GET", SET.replace("shop", "ledger") + "/copy", who="shop-edge")[0] == 403, "an edge of one project copies nothing of another")
    status, answer, headers = call("GET", "/api/v1/flag-copies", who="shop-edge")
    expect([s["id"] for s in answer["flag_sets"]] == ["shop/production"], f"nor hears of it: {answer}")
    expect(call("GET", "/api/v1/flag-copies", who="shop-edge", headers={"If-None-Match": headers["etag"]})[0] == 304, "304 for what is known")
    expect(call("GET", SET, who="edge")[0] == 403 and call("POST", "/ofrep/v1/evaluate/flags", {}, "edge")[0] == 403, "scope edge is for copying alone")
    status, text, headers = call("GET", SET + "/copy", who="edge")
    expect(status == 200 and headers["etag"] == '"1"' and call("GET", SET + "/copy", who="edge", headers={"If-None-Match": '"1"'})[0] == 304, "a copy and its ETag")
    expect(call("GET", SET + "x/copy", who="edge")[0] == 404, "no such set")


def same_answers():
    EDGE.start()
    wait(lambda: EDGE.call("GET", "/readyz")[0] == 200, f"the edge has a copy: {EDGE.said()}", 60)
    for method, path, body, who in (("POST", "/ofrep/v1/evaluate/flags/banner", {"context": {"email": "x@example.org"}}, "app"),
                                    ("POST", "/ofrep/v1/evaluate/flags/banner", {"context": {"email": "x@example.com"}}, "app"),
                                    ("POST", "/ofrep/v1/evaluate/flags/say%20%22hi%22", {"context": {}}, "app"),
                                    ("POST", "/ofrep/v1/evaluate/flags/nothing", {"context": {}}, "app"),
                                    ("POST", "/ofrep/v1/evaluate/flags/banner", {"context": {}}, "elsewhere"),
                                    ("POST", "/ofrep/v1/evaluate/flags/banner", {"context": {}}, "edge"),
                                    ("POST", "/ofrep/v1/evaluate/flags/banner", {"context": {}}, None),
                                    ("POST", "/ofrep/v1/evaluate/flags", {"context": 3}, "app"),
                                    ("GET", "/ofrep/v1/evaluate/flags", None, "app")):
        here, there = call(method, path, body, who), EDGE.call(method, path, body, who)
        expect(here[:2] == there[:2], f"{path} {body} {who}: server {here[:2]}, edge {there[:2]}")
    for bad in ("nonsense", "weir_a_" + "x" * 46, "weir_a_" + "x" * 46):
        here, there = (call("POST", "/ofrep/v1/evaluate/flags", {"context": {}}, None, {"Authorization": f"Bearer {bad}"}, port=p) for p in (PORT, EDGE.port))
        expect(here[:2] == there[:2] and there[0] == 401, f"a wrong token: {here} {there}")
    _, here, _ = call("POST", "/ofrep/v1/evaluate/flags", {"context": {"a": 1}}, "app")
    _, there, h2 = EDGE.call("POST", "/ofrep/v1/evaluate/flags", {"context": {"a": 1}})
    expect(here["flags"] == there["flags"] and len(there["flags"]) == 3, "bulk")
    expect(EDGE.call("POST", "/ofrep/v1/evaluate/flags", {"context": {"a": 1}}, headers={"If-None-Match": h2["etag"]})[0] == 304, "with its ETag")
    expect(h2.get("access-control-allow-origin") == "*", "CORS")
    expect(there["metadata"] == HEAD["metadata"], "the set's metadata")
    status, text, _ = EDGE.call("GET", "/readyz", who=None)
    expect(status == 200 and "server: connected" in text and "age: " in text and "flag sets: 2" in text, f"the state: {text}")
    expect(EDGE.metric("connected") == 1 and EDGE.metric("age_seconds") < 60 and EDGE.revision() == 1, "the metrics")
    expect(EDGE.call("GET", "/metrics", who=None)[0] == 401 and EDGE.call("GET", "/metrics", who="app")[0] == 403, "metrics are for readers")


def read_only():
    for method, path in (("POST", SET + "/changes"), ("PUT", SET), ("DELETE", "/api/v1/tokens/app"), ("PATCH", "/api/v1/anything")):
        status, answer, headers = EDGE.call(method, path, {}, "admin")
        expect(status == 405 and f"send changes to http://127.0.0.1:{PORT}" in answer["error"]["message"] and "allow" in headers, f"{method} {path}: {status} {answer}")
    for path in (SET, SET + "/copy", "/api/v1/flag-copies", "/api/v1/tokens", "/"):
        expect(EDGE.call("GET", path, who="admin")[0] == 404, f"an edge has no {path}")


def refused_starts():
    argv = [WEIR, "edge", "--data", os.path.join(TOP, "x")]
    bare = {k: v for k, v in ENV.items() if k != "WEIR_TOKEN_FILE"}
    for args, env, code, said in (([WEIR, "edge", "--data", EDGE.data, "--port", "0"], {**bare, "WEIR_TOKEN": TOKENS["edge"]}, 3, "another edge works in"),
                                  (argv, bare, 2, "scope edge"),
                                  ([*argv, "--prot", "1"], bare, 2, "prot"),
                                  ([*argv, "--port", "65536"], {**bare, "WEIR_TOKEN": "x"}, 2, "65536"),
                                  ([*argv, "--server", "http://u:p@127.0.0.1"], {**bare, "WEIR_TOKEN": "x"}, 2, "credentials")):
        r = subprocess.run(args, env=env, cwd=TOP, capture_output=True, text=True, timeout=60, check=False)
        expect(r.returncode == code and said in r.stderr, f"{args}: {r.returncode} {r.stderr}")
    expect("WEIR_TOKEN" in weir("help", "edge"), "the help names where the token comes from")


def streams():
    uri = EDGE.call("POST", "/ofrep/v1/evaluate/flags", {"context": {}})[1]["eventStreams"][0]["endpoint"]["requestUri"]
    expect(EDGE.call("GET", uri.split("?")[0], who=None)[0] == 401, "a stream needs its ticket")
    s, by_token = Stream(EDGE.port, uri), Stream(EDGE.port, uri.split("?")[0], who="app")
    s.until("retry:"), by_token.until("retry:")
    seen = switch(True)
    expect(b"refetchEvaluation" in s.until(f"id: {seen}\n") and by_token.until(f"id: {seen}\n"), "the edge's own streams tell of the server's change")
    expect(cart() is True, "and the value is there by then")
    s.close(), by_token.close()
    here = Stream(PORT, uri.split("?")[0], last=seen - 1, who="app")
    here.until(f"id: {seen}\n")
    here.close()
    s = Stream(EDGE.port, uri, last=seen - 1)  # what a client heard of the server counts at the edge
    s.until(f"id: {seen}\n")
    s.close()


def server_dies():
    expect(EDGE.single("cart", who="leaver")[0] == 200, "a token is learned")
    wait(lambda: '"leaver"' in EDGE.kept("tokens"), "tokens reach the disk", 60)
    SERVER.stop(signal.SIGKILL)
    wait(lambda: "server: away" in EDGE.call("GET", "/readyz")[1], "the edge sees it", 90)
    expect(cart() is True and EDGE.metric("connected") == 0, "and goes on")
    status, answer, headers = EDGE.single("cart", who="late")
    expect(status == 503 and headers.get("retry-after"), f"a token that nobody knows can wait: {status} {answer}")
    EDGE.stop(signal.SIGKILL)
    EDGE.start()
    expect(cart() is True and EDGE.single("cart", who="leaver")[0] == 200, "an edge that was killed starts without its server, and knows its clients")
    status, text, _ = EDGE.call("GET", "/readyz")
    expect(status == 200 and "server: away" in text and EDGE.metric("age_seconds") > 0, f"and how old its copy is: {text}")
    held = "".join(open(os.path.join(d, f), encoding="utf-8").read() for d, _, files in os.walk(EDGE.dir) for f in files)
    expect(all(t not in held and t not in EDGE.said() for t in TOKENS.values()), "no token lies in its folder or log")
    fresh = Edge("fresh")
    fresh.start()
    status, answer, _ = fresh.call("GET", "/readyz", who=None)
    expect(status == 503 and "no copy yet" in str(answer), f"an edge without a copy is not ready: {status} {answer}")
    SERVER.start()
    wait(lambda: fresh.call("GET", "/readyz", who=None)[0] == 200, "until the server comes", 120)
    expect(cart(fresh.port) is True, "and it serves")
    fresh.stop()
    follows(False)
    wait(lambda: EDGE.single("cart", who="late")[0] == 200, "the token that could wait", 60)


def revoked():
    wait(lambda: EDGE.single("cart", who="leaver")[0] == 200, "a token is good", 60)
    weir("token", "revoke", "leaver")
    wait(lambda: EDGE.single("cart", who="leaver")[0] == 401, "a revoked token is refused", 150)
    expect(cart() is False, "others are not")
    EDGE.stop()
    SERVER.stop()
    EDGE.start()
    expect(EDGE.single("cart", who="leaver")[0] in (401, 503) and cart() is False, "nor is it good again without the server")
    SERVER.start()


def damaged():
    switch(True)
    newest = switch(False)
    wait(lambda: EDGE.revision() == newest, "both are there", 120)
    EDGE.stop()
    SERVER.stop()
    with open(EDGE.file(), "r+b") as f:
        f.seek(400)
        byte = f.read(1)
        f.seek(400)
        f.write(bytes([byte[0] ^ 1]))
    with open(os.path.join(EDGE.dir, "confirmed"), "w", encoding="utf-8") as f:
        f.write("12")
    EDGE.start()
    expect(f"{EDGE.file()} is damaged" in EDGE.said() and "confirmed is damaged" in EDGE.said(), f"damaged files are named: {EDGE.said()}")
    expect(EDGE.call("POST", "/ofrep/v1/evaluate/flags/cart", {"context": {}})[0] == 200, "the one before is served")
    EDGE.stop()
    with open(EDGE.file(".before"), "r+b") as f:
        f.truncate(100)
    os.unlink(EDGE.file())
    EDGE.start()
    expect(EDGE.single("cart")[0] == 404, "nothing is left of this set, and the edge lives")
    SERVER.start()
    wait(lambda: EDGE.single("cart")[0] == 200, "the server gives it again", 120)
    EDGE.stop()
    with open(os.path.join(EDGE.dir, "tokens"), "w", encoding="utf-8") as f:
        f.write("{")
    EDGE.start()
    expect("tokens is damaged" in EDGE.said() and cart() is False, "tokens that were damaged are asked about again")


def never_older():
    SERVER.stop()
    files = [os.path.join(DATA, f) for f in os.listdir(DATA) if f.startswith("weir.db")]
    for f in files:
        shutil.copy2(f, os.path.join(TOP, os.path.basename(f)))
    SERVER.start()
    follows(True)
    newest = EDGE.revision()
    SERVER.stop()
    for f in [os.path.join(DATA, f) for f in os.listdir(DATA) if f.startswith("weir.db")]:
        os.unlink(f)
    for f in files:
        shutil.copy2(os.path.join(TOP, os.path.basename(f)), f)
    SERVER.start()
    wait(lambda: EDGE.metric("older_refused_total") >= 1, "a server that was put back to an earlier state is not followed", 120)
    expect(EDGE.revision() == newest and cart() is True and "is older than" in EDGE.said(), "the newer revision stays")
    switch(False), switch(True)
    follows(False)


def project_edge():
    """What a token may not see is not copied; what goes away at the server goes here."""
    shop = Edge("shop", "shop-edge")
    shop.start()
    wait(lambda: shop.call("GET", "/readyz", who=None)[0] == 200, "it has its copy", 60)
    expect(os.listdir(os.path.join(shop.dir, "sets")) == ["shop~production.copy"], f"of its project alone: {os.listdir(os.path.join(shop.dir, 'sets'))}")
    weir("token", "revoke", "shop-edge")
    shop.stop()
    shop.start()
    wait(lambda: "unknown, expired or revoked" in shop.said(), "an edge whose token ended says so", 60)
    expect(shop.single("cart")[0] == 200, "and serves what it has")
    shop.stop()


def many():
    """Each with a connection of its own; all hear of one change."""
    uri = EDGE.call("POST", "/ofrep/v1/evaluate/flags", {"context": {}})[1]["eventStreams"][0]["endpoint"]["requestUri"]
    all_of_them = [Stream(EDGE.port, uri) for _ in range(STREAMS)]
    for s in all_of_them:
        s.until("retry:")
    told = switch(True)
    for s in all_of_them:
        s.until(f"id: {told}\n")
    rss = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{EDGE.p.pid}/status", encoding="utf-8").read()).group(1))
    print(f"{STREAMS} event streams heard of one change; the edge holds {rss // 1024} MiB")
    for s in all_of_them:
        s.close()


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY and hard < 16384 else 16384, hard))
    SERVER.start()
    try:
        for act in (world, own_token, same_answers, read_only, refused_starts, streams, server_dies, revoked, damaged, never_older, project_edge, many):
            print(act.__name__, flush=True)
            act()
        EDGE.stop()
        expect("Sanitizer" not in EDGE.said(), EDGE.said())
    finally:
        if EDGE.p and EDGE.p.poll() is None:
            EDGE.p.kill()
        end()


main()
