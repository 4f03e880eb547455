#!/usr/bin/env python3
"""flags.py WEIR [postgresql]: flags as their clients see them. Sets of the store and of the repository, changes that are refused and conflicts that lose nothing,
OFREP with its ETags, errors, CORS and event streams, answers about the past, and a SIGKILL after which all of it is still there."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from served import DATA, DATABASE, ENV, PORT, SERVER, TOKENS, TOP, WEIR, Server, call, end, expect, free_port, git, token, wait, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
ON_OFF = {"on": True, "off": False}
BANNER = {"state": "ENABLED", "variants": {"red": "#f00", "blue": "#00f"}, "defaultVariant": "red",
          "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.org"]}, "blue", None]}, "metadata": {"ticket": "SHOP-1"}}


def change(flags, base=None, want=200, **more):
    if base is None:
        base = next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")
    status, answer, _ = call("POST", SET + "/changes", {"base": base, "flags": flags, **more})
    expect(status == want, f"change of {list(flags)}: {status} {answer}, not {want}")
    return answer["revision"] if want == 200 else answer["error"]["message"]


def bulk(context, who="app", path="/ofrep/v1/evaluate/flags", **headers):
    return call("POST", path, {"context": context}, who, {k.replace("_", "-"): v for k, v in headers.items()})


def single(key, context, who="app", **more):
    return call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": context}, who, more.get("headers"))


# --- acts ---

def sets_and_changes():
    weir("project", "create", "shop")
    expect("made" in weir("flag", "create", "shop/production", "--environment", "production"), "a set is made")
    weir("flag", "create", "shop/production", want=2)
    expect(call("PUT", "/api/v1/projects/nobody/flag-sets/x", {})[0] == 404, "a set of a project that is not there")
    expect(call("PUT", SET.replace("production", "other"), {"enviroment": "x"})[1]["error"]["message"].count("environment") == 1, "a misspelt key is named")
    expect(change({"banner": BANNER, "new-cart": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off"}}, comment="first flags") == 1, "revision 1")
    msg = change({"bad": {"state": "ENABLED", "variants": {"a": 1, "b": "x"}, "defaultVarient": "a"}}, want=400)
    expect("defaultVariant" in msg and "variant 'b' is a string" in msg or "and 1 more" in msg, f"what is wrong is said: {msg}")
    msg = change({"a": {"state": "ENABLED", "variants": ON_OFF, "targeting": {"iff": [True, "on"]}}}, want=400)
    expect("iff" in msg and "'if'" in msg, f"a misspelt operator is named: {msg}")
    need = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}
    msg = change({"p": {**need, "weir": {"prerequisites": [{"flag": "q", "variants": ["on"]}]}},
                  "q": {**need, "weir": {"prerequisites": [{"flag": "p", "variants": ["on"]}]}}}, want=422)
    expect("cycle" in msg and "p -> q -> p" in msg, f"a cycle is shown: {msg}")
    expect("NUL" in change({"a": BANNER}, want=400, comment="a\0b"), "a NUL in a comment")
    expect("control" in call("PUT", SET.replace("production", "other"), {"environment": "a\nb"})[1]["error"]["message"], "a line end in an environment")
    # two authors: of one flag the second is refused, of two flags both go in
    expect(change({"new-cart": {"state": "DISABLED", "variants": ON_OFF, "defaultVariant": "off"}}, base=1) == 2, "the first author")
    msg = change({"new-cart": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}}, base=1, want=409)
    expect("revision 2" in msg, f"the second author of one flag is refused: {msg}")
    expect(change({"other": need}, base=1) == 3, "the author of another flag is not")
    expect(call("GET", SET)[1]["flags"]["new-cart"]["state"] == "DISABLED", "nothing was lost")
    for head, said in ((("x", {}), "$evaluators must be a map"), (({}, 3), "metadata must be a map"), (({}, {"bucketing": "v9"}), "bucketing"),
                       (({}, {"flagSetId": 3}), "flagSetId"), (({}, {"a": {"b": 1}}), "'a' must be"), (({"e": {"iff": [True]}}, {}), "'if'")):
        status, answer, _ = call("POST", SET + "/changes", {"base": 3, "evaluators": head[0], "metadata": head[1]})
        expect(status == 400 and said in answer["error"]["message"], f"evaluators and metadata {head}: {status} {answer}")
    expect(change({"other": None}) == 4 and "other" not in call("GET", SET)[1]["flags"], "a flag is removed")
    expect("other" in call("GET", SET + "?revision=3")[1]["flags"], "and its past is there")
    keys = [r["keys"] for r in call("GET", SET + "/revisions")[1]["revisions"]]
    expect(keys == [["other"], ["other"], ["new-cart"], ["banner", "new-cart"]], f"the history names what changed: {keys}")


def tokens():
    for name, scope, project in (("app", "flags", None), ("bound", "flags", "shop"), ("reader", "read", None), ("elsewhere", "flags", "ledger")):
        status, answer, _ = call("POST", "/api/v1/tokens", {"name": name, "scope": scope, **({"project": project} if project else {})})
        expect(status == 200 or status == 201, f"token {name}: {status} {answer}")
        TOKENS[name] = answer["token"]
    expect(call("GET", SET, who="app")[0] == 403, "a token of scope flags reads no definitions")
    expect(call("POST", SET + "/changes", {"base": 0, "flags": {}}, who="reader")[0] == 403, "a reader changes nothing")
    expect(single("banner", {}, who=None)[0] == 401, "no token, no answer")
    expect(single("banner", {}, who=None, headers={"Authorization": "Bearer nonsense"})[0] == 401, "nor by a wrong one")
    expect(single("banner", {}, who=None, headers={"X-API-Key": TOKENS["app"]})[0] == 200, "X-API-Key carries a token, too")
    expect(single("banner", {}, who="elsewhere")[0] == 404, "a token of another project does not see the set")
    expect(single("banner", {}, who="bound")[0] == 200, "one of the project does")


def ofrep():
    status, answer, _ = single("banner", {"targetingKey": "u1", "email": "x@example.org"})
    expect((status, answer) == (200, {"key": "banner", "reason": "TARGETING_MATCH", "variant": "blue", "value": "#00f", "metadata": {"ticket": "SHOP-1"}}), f"{answer}")
    expect(single("banner", {"email": "x@example.com"})[1]["reason"] == "DEFAULT", "no match: the default")
    expect(single("new-cart", {})[1] == {"key": "new-cart", "reason": "DISABLED"}, "switched off: the caller's default")
    key, odd = 'say "hi"', 'say "hi"\\n'
    change({key: {"state": "ENABLED", "variants": {odd: odd}, "defaultVariant": odd}})
    told = {"key": key, "reason": "STATIC", "variant": odd, "value": odd}
    alone, together = single("say%20%22hi%22", {})[1], bulk({})[1]
    expect(alone == told and told in together["flags"], f"texts that JSON must escape: {alone} {together}")
    change({key: None})
    status, answer, _ = single("nothing", {})
    expect(status == 404 and answer["errorCode"] == "FLAG_NOT_FOUND" and answer["key"] == "nothing", f"{status} {answer}")
    for raw, code in ((b"{", "PARSE_ERROR"), (b"[]", "INVALID_CONTEXT"), (b'{"context":3}', "INVALID_CONTEXT"), (b'{"context":{"a":"\xff"}}', "PARSE_ERROR"),
                      (b'{"contexts":{}}', "INVALID_CONTEXT"), (b'{"context":' + b'{"a":' * 500 + b"1" + b"}" * 501, "PARSE_ERROR")):
        status, answer, _ = call("POST", "/ofrep/v1/evaluate/flags", who="app", raw=raw)
        expect(status in (400, 413) and answer["errorCode"] == code, f"{raw[:40]}: {status} {answer}")
    expect(call("POST", "/ofrep/v1/evaluate/flags", who="app", raw=b"x" * 1000500)[0] == 413, "a body over the limit")
    status, answer, headers = bulk({"targetingKey": "u1", "email": "x@example.org"})
    expect(status == 200 and [f["key"] for f in answer["flags"]] == ["banner", "new-cart"], f"bulk: {answer}")
    etag = headers["etag"]
    expect(headers.get("access-control-allow-origin") == "*" and "ETag" in headers["access-control-expose-headers"], f"CORS: {headers}")
    expect(bulk({"email": "x@example.org", "targetingKey": "u1"}, If_None_Match=etag)[0] == 304, "the same context, however it is written, is unchanged")
    expect(bulk({"targetingKey": "u2", "email": "x@example.org"}, If_None_Match=etag)[0] == 200, "another context is not")
    expect(bulk({"email": "x@example.org", "targetingKey": "u1"}, If_None_Match=etag, path="/ofrep/v1/evaluate/flags?flagConfigEtag=shop%2Fproduction%3A99")[0] == 200,
           "who heard of another configuration gets an answer")
    expect(bulk({"email": "x@example.org", "targetingKey": "u1"}, If_None_Match=etag, path="/ofrep/v1/evaluate/flags?flagConfigEtag=shop%2Fproduction%3A6")[0] == 304,
           "who heard of the present one may be told that nothing changed")
    change({"new-cart": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}})
    expect(bulk({"targetingKey": "u1", "email": "x@example.org"}, If_None_Match=etag)[0] == 200, "nor is another revision")
    change({"timed": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on", "weir": {"from": "2020-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}}})
    _, _, headers = bulk({})
    expect(bulk({}, If_None_Match=headers["etag"])[0] == 304, "a set that depends on the time is compared by its answer")
    status, _, headers = call("OPTIONS", "/ofrep/v1/evaluate/flags", who=None, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
    expect(status == 204 and "Authorization" in headers["access-control-allow-headers"], f"preflight: {status} {headers}")
    expect(call("OPTIONS", SET, who=None, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"})[0] != 204, "the API itself has no CORS")


def several_sets():
    weir("flag", "create", "shop/staging")
    status, answer, _ = single("banner", {})
    expect(status == 400 and "Flagd-Selector" in answer["errorDetails"], f"two sets can be meant: {status} {answer}")
    for selector in ("flagSetId=shop/production", "source=production", "production"):
        expect(single("banner", {}, headers={"Flagd-Selector": selector})[0] == 200, selector)
    expect(single("banner", {}, headers={"Flagd-Selector": "flagSetId=shop/staging"})[0] == 404, "the other one is empty")
    weir("project", "create", "ledger")
    weir("flag", "create", "ledger/evil")
    claim = {"base": 0, "evaluators": {}, "metadata": {"flagSetId": "shop/production"}}
    expect(call("POST", "/api/v1/projects/ledger/flag-sets/evil/changes", claim)[0] == 200, "another project's set claims this one's id")
    for selector in ("flagSetId=shop/production", "shop/production"):
        expect(single("banner", {}, headers={"Flagd-Selector": selector})[1].get("variant") == "red", f"and does not stand in its way: {selector}")
    expect(single("banner", {}, who="elsewhere", headers={"Flagd-Selector": "flagSetId=shop/production"})[0] == 404, "nor shows it to its project")
    expect(single("banner", {}, headers={"Flagd-Selector": "colour=red"})[1]["errorCode"] == "GENERAL", "a selector that is none")


class Stream:
    """An event stream over a plain socket."""

    def __init__(self, path, last=None, auth=None):
        self.s = socket.create_connection(("127.0.0.1", PORT), 30)
        extra = (f"Last-Event-ID: {last}\r\n" if last is not None else "") + (f"Authorization: Bearer {auth}\r\n" if auth else "")
        self.s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nAccept: text/event-stream\r\n{extra}\r\n".encode())
        self.seen = b""

    def until(self, what, seconds=15):
        self.s.settimeout(seconds)
        while what not in self.seen:
            try:
                piece = self.s.recv(65536)
            except socket.timeout:
                piece = b""
            expect(piece, f"{what} in the stream; seen: {self.seen[-400:]}")
            self.seen += piece
        return self.seen

    def close(self):
        self.s.close()


PRODUCTION = {"Flagd_Selector": "flagSetId=shop/production"}


def streams():
    _, answer, _ = bulk({}, **PRODUCTION)
    uri = answer["eventStreams"][0]["endpoint"]["requestUri"]
    expect(Stream(uri.split("?")[0]).until(b"\r\n\r\n").startswith(b"HTTP/1.1 401"), "a stream without a ticket or token")
    expect(Stream(uri[:-1] + ("0" if uri[-1] != "0" else "1")).until(b"\r\n\r\n").startswith(b"HTTP/1.1 401"), "nor with a wrong one")
    s = Stream(uri)
    s.until(b"\r\n\r\n")
    time.sleep(0.3)
    revision = change({"streamed": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}})
    seen = s.until(b"refetchEvaluation")
    expect(f"id: {revision}".encode() in seen and f'shop/production:{revision}'.encode() in seen, f"the event names the revision: {seen[-300:]}")
    s.close()
    s = Stream(uri)
    expect(f"id: {revision}".encode() in s.until(b"refetchEvaluation"), "what changed between the answer and the stream comes at once")
    s.close()
    change({"streamed": None})
    s = Stream(uri, last=revision)
    expect(f"id: {revision + 1}".encode() in s.until(b"refetchEvaluation"), "what was missed comes with Last-Event-ID")
    s.close()
    return uri


def past():
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    time.sleep(1.1)
    change({"banner": {**BANNER, "targeting": {"if": [True, "blue", None]}}})
    ctx = os.path.join(TOP, "ctx.json")
    with open(ctx, "w", encoding="utf-8") as f:
        json.dump({"email": "x@example.com"}, f)
    expect('"#00f"' in weir("flag", "eval", "shop/production", "banner", "--context", ctx), "now it is blue")
    expect('"#f00"' in weir("flag", "eval", "shop/production", "banner", "--context", ctx, "--at", moment), "then it was red")
    expect('"#f00"' in weir("flag", "eval", "shop/production", "banner", "--context", ctx, "--revision", "1"), "by revision, too")
    told = weir("flag", "explain", "shop/production", "banner", "--context", ctx, "--revision", "1")
    expect("ends_with gives false" in told and "revision 1" in told, f"the rule's steps: {told}")
    weir("flag", "eval", "shop/production", "nothing", want=2)
    expect("banner" in weir("flag", "list", "shop/production") and "token:" in weir("flag", "history", "shop/production"), "lists")
    weir("flag", "put", "shop/production", "owned", "-", given='{"state":"ENABLED","variants":{"a":1},"weir":{"owner":"team-a","purpose":"release","expires":"2027-03-31"}}')
    expect("owner team-a  purpose release  expires 2027-03-31" in weir("flag", "list", "shop/production"), "whose flag it is, what for, until when")
    weir("flag", "remove", "shop/production", "owned")
    weir("flag", "off", "shop/production", "banner", "--comment", "kill it")
    expect(single("banner", {}, headers={"Flagd-Selector": "production"})[1]["reason"] == "DISABLED", "off")
    weir("flag", "on", "shop/production", "banner")
    weir("flag", "put", "shop/production", "limit", "-", given='{"state":"ENABLED","variants":{"low":1,"high":2.5},"defaultVariant":"low"}')
    expect(single("limit", {}, headers={"Flagd-Selector": "production"})[1]["value"] == 1, "put from standard input")
    weir("flag", "remove", "shop/production", "limit")


def repository():
    work = os.path.join(TOP, "work")
    remote = f"http://x:{token()}@127.0.0.1:{PORT}/git/shop.git"
    git("init", "-q", "-b", "main", work)
    os.makedirs(os.path.join(work, ".weir", "flags"))

    def push(flags, want=0, name="beta", **more):
        with open(os.path.join(work, ".weir", "flags", name + ".json"), "w", encoding="utf-8") as f:
            json.dump({"flags": flags, **more}, f, indent=1)
        git("add", "-A", cwd=work)
        git("commit", "-qm", "flags", cwd=work)
        return git("push", "-q", remote, "main", want=want, cwd=work)

    def seen(key):
        return single(key, {}, headers={"Flagd-Selector": "flagSetId=shop/beta"})

    push({"one": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}, "two": {"state": "ENABLED", "variants": {"a": {"x": [1]}}, "defaultVariant": "a"}})
    wait(lambda: seen("one")[0] == 200, "the pushed set is served")
    expect(seen("two")[1]["value"] == {"x": [1]}, "with its values")
    expect(call("POST", SET.replace("production", "beta") + "/changes", {"base": 1, "flags": {"one": None}})[0] == 409, "a set of the repository is not changed by the API")
    told = push({"one": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "onn"}}, want=1)
    expect(".weir/flags/beta.json:9:" in told and "did you mean 'on'" in told, f"a bad file is refused with its place: {told}")
    git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    told = push({"one": {"state": "ENABLED", "variants": ON_OFF, "weir": {"prerequisites": [{"flag": "zero", "variants": ["on"]}]}}}, want=1)
    expect("zero" in told and "beta.json:3:" in told, f"so is one whose flags do not fit together: {told}")
    git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    told = push({}, want=1, name="production")
    expect("kept in the store" in told, f"a set is in one place only: {told}")
    git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    for name in ("a b", ".hidden", "-x", "x" * 65, 'q"?', "\udcff"):
        told = push({}, want=1, name=name)
        expect("NAME has at most 64 letters" in told, f"a set that no address could name is refused: {name!r}: {told}")
        git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    expect(call("PUT", SET.replace("production", "beta"), {})[0] == 409, "nor is it made a second time in the store")
    push({"one": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off"}})
    wait(lambda: seen("two")[0] == 404 and seen("one")[1]["value"] is False, "a push changes and removes flags")
    revisions = call("GET", SET.replace("production", "beta") + "/revisions")[1]["revisions"]
    expect([r["flags"] for r in revisions] == [2, 2] and revisions[0]["address"] == "git push", f"one revision per push: {revisions}")
    git("rm", "-q", ".weir/flags/beta.json", cwd=work)
    git("commit", "-qm", "no flags", cwd=work)
    git("push", "-q", remote, "main", cwd=work)
    wait(lambda: seen("one")[0] == 404, "a file that is gone takes its flags along")


def after_death(uri):
    before = call("GET", SET)[1]
    revision = change({"last": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}})
    SERVER.stop(signal.SIGKILL)
    SERVER.start()
    after = call("GET", SET)[1]
    expect(after["flags"].pop("last")["defaultVariant"] == "on" and after == before, "what was acknowledged is there after a SIGKILL")
    s = Stream(uri, last=revision - 1)
    expect(f"id: {revision}".encode() in s.until(b"refetchEvaluation"), "a stream's address and position outlive the server")
    s.close()
    expect("ok:" in weir("log", "verify"), "the log is whole")
    log = weir("log", "--project", "shop", "--type", "flag.changed")
    expect("flag.changed" in log and "127.0.0.1" in log, "changes are in the log with their address")


def two_servers():
    """Two servers on one PostgreSQL: what one changes the other serves, also beside a set that it cannot take over, and that one as soon as it can."""
    other, port = Server(), free_port()
    for part in ("keys", "repos"):
        shutil.copytree(os.path.join(DATA, part), os.path.join(f"{DATA}-{port}", part))
    other.start(listen=port)

    def says(key, at, name="production"):
        return call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": {}}, headers={"Flagd-Selector": f"flagSetId=shop/{name}"}, port=at)[0] == 200

    flag = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}
    try:
        change({"first": flag})
        wait(lambda: says("first", port), "the other server serves a change")
        expect(call("POST", SET + "/changes", {"base": 99999, "flags": {"second": flag}}, port=port)[0] == 400, "both know of one history")
        base = call("GET", SET + "/revisions", port=port)[1]["revisions"][0]["revision"]
        expect(call("POST", SET + "/changes", {"base": base, "flags": {"second": flag}}, port=port)[0] == 200, "the other one changes")
        wait(lambda: says("second", PORT), "and this one serves it")
        expect(call("PUT", SET.replace("production", "a-first"), {})[0] == 201, "a set is made")
        wait(lambda: any(s["id"] == "shop/a-first" for s in call("GET", "/api/v1/flag-sets", port=port)[1]["flag_sets"]), "a set of the other server")
        DATABASE.ask("UPDATE flag_set SET evaluators = '{', revision = 1 WHERE id = 'shop/a-first'")
        change({"third": flag})
        wait(lambda: says("third", port), "a set that cannot be loaded does not keep the others from being taken over")
        DATABASE.ask("UPDATE flag_set SET evaluators = '', environment = 'mended' WHERE id = 'shop/a-first'")
        wait(lambda: any(s.get("environment") == "mended" for s in call("GET", "/api/v1/flag-sets", port=port)[1]["flag_sets"]), "it is tried again")
    finally:
        other.stop()
        subprocess.run([WEIR, "down"], env={**ENV, "WEIR_DATA": f"{DATA}-{port}"}, cwd=TOP, capture_output=True, timeout=60, check=False)


def main():
    SERVER.start()
    try:
        sets_and_changes()
        tokens()
        ofrep()
        several_sets()
        uri = streams()
        past()
        repository()
        after_death(uri)
        if DATABASE:
            two_servers()
        print("flags: all as it should be")
    finally:
        end()


main()
