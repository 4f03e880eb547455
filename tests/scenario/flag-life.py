#!/usr/bin/env python3
"""flag-life.py WEIR [postgresql]: how flags live: uses are counted through OFREP and over restarts, code that names them is found after a push, a push is warned
of what it does to them, and those that may go are listed with the reason."""
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from served import DATA, DATABASE, ENV, PORT, SERVER, TOKENS, TOP, WEIR, Server, call, end, expect, free_port, git, token, wait, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
ON_OFF = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
RULED = {**ON_OFF, "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.org"]}, "on", None]}}
DAY = 86400 * 1000000
WORK = os.path.join(TOP, "work")


def single(key, context=None, port=PORT):
    return call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": context or {}}, "app", {"Flagd-Selector": "flagSetId=shop/production"}, port=port)[0]


def bulk(etag=None):
    return call("POST", "/ofrep/v1/evaluate/flags", {"context": {}}, "app", {"If-None-Match": etag} if etag else {})


def usage(key, query=""):
    status, answer, _ = call("GET", f"{SET}/usage?key={key}{query}")
    expect(status == 200, f"usage of {key}: {status} {answer}")
    return answer["flags"][0]


def counts(key):
    u = usage(key)
    return u["asked"], u["bulk"]


def stale(key):
    status, answer, _ = call("GET", f"{SET}/stale?key={key}")
    expect(status == 200, f"stale {key}: {status} {answer}")
    one = answer["flags"][0]
    return {s["kind"]: s["why"] for s in one["stale"]}, one


def sql(text):
    """A change behind the server's back, which is stopped: days go by."""
    if DATABASE:
        DATABASE.ask(text)
        return
    with sqlite3.connect(os.path.join(DATA, "weir.db")) as db:
        db.execute(text)


# --- acts ---

def prepare():
    weir("project", "create", "shop")
    weir("flag", "create", "shop/production")
    flags = {"used": RULED, "unused": RULED, "everybody": ON_OFF, "expired": {**RULED, "weir": {"expires": "2020-01-31", "owner": "team-a"}},
             "kill-switch": {**ON_OFF, "weir": {"purpose": "operational"}}}
    status, answer, _ = call("POST", SET + "/changes", {"base": 0, "flags": flags})
    expect(status == 200, f"flags: {answer}")
    TOKENS["app"] = call("POST", "/api/v1/tokens", {"name": "app", "scope": "flags"})[1]["token"]


def counting():
    expect(counts("used") == (0, 0) and "last_asked" not in usage("used"), "nothing was used yet")
    for i in range(3):
        expect(single("used", {"email": "a@example.org"} if i else {}) == 200, "a single evaluation")
    _, _, headers = bulk()
    expect(bulk(headers["etag"])[0] == 304, "unchanged")
    expect(single("nothing") == 404, "no such flag")
    expect(counts("used") == (3, 1), f"asked three times, once with all; a 304 counts nothing: {usage('used')}")
    expect(counts("unused") == (0, 1), "handed out with all is not asked for")
    u = usage("used")
    expect({v["variant"]: v["asked"] for v in u["variants"]} == {"on": 2, "off": 1} and u["last_asked"].startswith("20"), f"variants and the last use: {u}")
    text = call("GET", "/metrics")[1]
    for line in ('weir_flag_evaluations_total{set="shop/production",reason="TARGETING_MATCH"} 2', 'weir_flag_evaluations_total{set="shop/production",reason="ERROR"} 1'):
        expect(line in text, f"{line} in the metrics")
    expect('flag="' not in text, "no flag is a label")
    told = weir("flag", "usage", "shop/production", "used")
    expect("asked 3" in told and "66.7%" in told or "75.0%" in told or "50.0%" in told, f"weir flag usage: {told}")
    expect(call("GET", f"{SET}/usage?key=nothing")[0] == 404 and call("GET", f"{SET}/usage?days=91")[0] == 400, "errors are errors")
    expect(call("GET", f"{SET}/usage", who="app")[0] == 403, "a token of scope flags reads no usage")
    pages, after = [], ""
    while True:
        answer = call("GET", f"{SET}/usage?limit=2{after}")[1]
        pages.append([f["key"] for f in answer["flags"]])
        if not answer["more"]:
            break
        after = "&after=" + pages[-1][-1]
    expect(pages == [["everybody", "expired"], ["kill-switch", "unused"], ["used"]], f"pages: {pages}")


def clients_report():
    hour = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime())
    report = {"appName": "shop", "instanceId": "1", "bucket": {"start": hour, "stop": hour, "toggles": {
        "used": {"yes": 7, "no": 2, "variants": {}}, "everybody": {"yes": 5, "no": 0, "variants": {"on": 4, "disabled": 1}}, "nothing": {"yes": 3, "no": 0, "variants": {}}}}}
    status, answer, _ = call("POST", "/api/client/metrics", report, "app")
    expect(status == 202, f"a client's own counts: {status} {answer}")
    seen = {v.get("variant", ""): v["asked"] for v in usage("everybody")["variants"]}
    expect(counts("used") == (12, 1) and seen == {"on": 4, "": 1, "off": 0}, f"Unleash's clients count as asked: {usage('used')} {seen}")


def restarts():
    expect(single("used") == 200, "once more")
    SERVER.stop()
    SERVER.start()
    expect(counts("used") == (13, 1), "what was counted is written at close")
    expect(single("used") == 200, "and more")
    expect(counts("used") == (14, 1), "reading writes what was counted")
    SERVER.stop(signal.SIGKILL)
    SERVER.start()
    expect(counts("used") == (14, 1), "and nothing is counted twice after a SIGKILL")


def write(path, text):
    os.makedirs(os.path.dirname(os.path.join(WORK, path)), exist_ok=True)
    with open(os.path.join(WORK, path), "w", encoding="utf-8") as f:
        f.write(text)


def push(what, ref="main"):
    git("add", "-A", cwd=WORK)
    git("commit", "-qm", what, cwd=WORK)
    return git("push", f"http://x:{token()}@127.0.0.1:{PORT}/git/shop.git", f"HEAD:refs/heads/{ref}", cwd=WORK)


def places(key):
    status, answer, _ = call("GET", f"{SET}/references?key={key}")
    expect(status == 200, f"references: {status} {answer}")
    return [f"{r['path']}:{r['line']}{'!' if r['getter'] else ''}" for r in answer["references"]]


def code():
    expect(call("GET", f"{SET}/references")[1]["references"] == [], "no commit, no references")
    git("init", "-q", "-b", "main", WORK)
    write("app.py", "# \"unused\" in a comment\n\nif client.get_boolean_value(\"used\", False):\n    print('used, maybe')\n")
    write("web/main.ts", "const KEY = 'used'\nconst t = `expired`\n")
    write("notes.md", "\"unused\"\n")
    told = push("code")
    expect("flag" in told and "the flag 'expired' of shop/production is stale: its last day was 2020-01-31" in told and "web/main.ts:2" in told, f"a reference to an expired flag: {told}")
    expect(places("used") == ["app.py:3!", "web/main.ts:1"] and places("unused") == [], f"{places('used')} {places('unused')}")
    commit = git("rev-parse", "HEAD", cwd=WORK).strip()
    expect(call("GET", f"{SET}/references")[1]["code"]["commit"] == commit, "of this commit")
    told = weir("flag", "references", "shop/production", "used")
    expect("app.py:3" in told and "web/main.ts:1" in told and commit[:12] in told, f"weir flag references: {told}")
    write("app.py", "client.get_boolean_value('useed', False)\nclient.get_boolean_value('used', False)\nlog.warn('useed too')\nother('nosuch')\n")
    told = push("misspelt")
    expect("no flag set of the project has a flag 'useed' (did you mean 'used'?)" in told and "app.py:1" in told and "nosuch" not in told, f"a flag that is not there: {told}")
    with open(os.path.join(WORK, "app.py"), "a", encoding="utf-8") as f:
        f.write("x = 1\n")
    told = push("touched")
    expect("useed" not in told, f"what was there before is no news: {told}")
    with open(os.path.join(WORK, "app.py"), "a", encoding="utf-8") as f:
        f.write("y = 1\n")
    write("zeta.py", "client.get_boolean_value('useed', False)\n")
    told = push("once more")
    expect("zeta.py:1" in told and "app.py" not in told, f"the place is the one that was added: {told}")
    write("web/main.ts", "const t = 1\n")
    told = push("fewer")
    expect("last reference to the flag 'expired'" in told and "'used'" not in told, f"the last reference goes: {told}")
    expect(places("expired") == [] and places("used") == ["app.py:2!"], "and the index follows")
    git("mv", "app.py", "moved.py", cwd=WORK)
    told = push("moved")
    expect("flag 'used'" not in told and places("used") == ["moved.py:2!"], f"a file that moves is no news: {told}")
    told = push_new_flag()
    expect("flag 'fresh'" not in told, f"a flag that comes with its code is known: {told}")
    write("lib/late.go", "package lib\n\nfunc f() { on(\"later\") }\n")
    push("before its flag")
    call("POST", SET + "/changes", {"base": 1, "flags": {"later": RULED}})
    expect(places("later") == ["lib/late.go:3"], "a flag that is made later is found in code that was there")
    write("side.py", "is_enabled('side-flag')\n")
    told = push("another branch", "side")
    expect("'side-flag'" in told and places("used") == ["moved.py:2!"], "other branches are warned, too, and are not in the index")
    git("reset", "-q", "--hard", "HEAD~1", cwd=WORK)
    base = call("GET", SET + "/revisions")[1]["revisions"][0]["revision"]
    status, answer, _ = call("POST", SET + "/changes", {"base": base, "flags": {"old": {**RULED, "weir": {"archived": True}}}})
    expect(status == 200, f"an archived flag: {answer}")
    write("old.rb", "on(:old)\n")
    told = push("for an archived flag")
    expect("'old' of shop/production is archived" in told and "old.rb:1" in told, f"an archived flag is not served: {told}")
    latin = os.path.join(os.fsencode(WORK), b"caf\xe9.py")
    with open(latin, "w", encoding="utf-8") as f:
        f.write("client.get_boolean_value('used', False)\n")
    push("a name that is not UTF-8")
    got = call("GET", f"{SET}/references?key=used")[1]
    expect([r["path"] for r in got["references"]] == ["moved.py"] and got["code"]["skipped"] == 1, f"a file whose name no answer can hold is passed over: {got}")
    os.remove(latin)
    push("without it")
    expect(call("GET", f"{SET}/references?key=used")[1]["code"]["skipped"] == 0, "and nothing is missing any more")


def push_new_flag():
    write(".weir/flags/beta.json", '{"flags": {"fresh": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on"}}}\n')
    write("fresh.py", "client.get_boolean_value('fresh', False)\n")
    return push("a flag and its code")


def laptop():
    git("remote", "add", "weir", f"http://x:{token()}@127.0.0.1:{PORT}/git/shop.git", cwd=WORK)
    git("fetch", "-q", "weir", cwd=WORK)
    git("branch", "-q", "--set-upstream-to=weir/main", cwd=WORK)
    write("more.py", "client.get_boolean_value('whatever', False)\n")
    git("add", "-A", cwd=WORK)
    git("commit", "-qm", "more", cwd=WORK)
    lib = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "lsan-libgit2.supp")
    r = subprocess.run([WEIR, "check"], env={**ENV, "LSAN_OPTIONS": "print_suppressions=0:suppressions=" + lib}, cwd=WORK, capture_output=True, text=True, timeout=60, check=False)
    told = r.stdout + r.stderr
    expect(r.returncode == 0 and "1 call for flags added" in told and "when it is pushed" in told, f"weir check says what it cannot know: {r.returncode} {told}")


def which_may_go():
    kinds, one = stale("unused")
    expect(kinds == {} and "cannot_say" not in one, "a young flag is not stale")
    expect(list(stale("expired")[0]) == ["expired"], "past its day")
    SERVER.stop()
    sql(f"UPDATE flag_revision SET at = at - {40 * DAY}")
    SERVER.start()
    kinds, one = stale("kill-switch")
    expect(kinds == {} and "cannot_say" not in one, f"handed out with all, and no code names it, but it was not counted for long enough: {one}")
    SERVER.stop()
    sql(f"UPDATE flag_last_use SET bulk = bulk - {35 * DAY} WHERE flag <> 'used'")
    sql(f"UPDATE flag_usage SET hour = hour - {35 * 24} WHERE flag <> 'used'")
    SERVER.start()
    kinds, one = stale("unused")
    expect(kinds == {} and "counted since" in one["cannot_say"], f"before counting began nobody can say: {one}")
    expect("cannot be said" in weir("flag", "stale", "shop/production", want=1), "the command says so")
    SERVER.stop()
    sql(f"UPDATE flag_usage_state SET began_at = began_at - {40 * DAY}")
    SERVER.start()
    kinds, one = stale("unused")
    expect(list(kinds) == ["never-evaluated"] and "no code" in one["todo"], f"never evaluated: {one}")
    expect(stale("used")[0] == {}, f"a used flag with a rule stays: {stale('used')}")
    kinds, one = stale("everybody")
    expect("rolled-out" in kinds and "everybody gets 'off'" in kinds["rolled-out"], f"rolled out: {one}")
    expect(list(stale("kill-switch")[0]) == ["never-evaluated"], "an operational flag is not stale for being the same for everybody")
    told = weir("flag", "stale", "shop/production", want=1)
    expect("everybody" in told and "to do: " in told and "\nused" not in told, f"weir flag stale: {told}")
    expect("not stale" in weir("flag", "stale", "shop/production", "used"), "exit code 0 when it is not")
    expect(single("unused") == 200, "it is used")
    expect(stale("unused")[0] == {}, f"one use, and it is not: {stale('unused')}")
    base = call("GET", SET + "/revisions")[1]["revisions"][0]["revision"]
    call("POST", SET + "/changes", {"base": base, "flags": {"parent": RULED, "child": {"state": "ENABLED", "weir": {"unleash": {
        "strategies": [{"name": "default"}], "dependencies": [{"feature": "parent"}]}}}}})
    SERVER.stop()
    sql(f"UPDATE flag_revision SET at = at - {40 * DAY}")
    SERVER.start()
    expect(list(stale("child")[0]) == ["never-evaluated"] and stale("parent")[0] == {}, f"what another flag needs is looked at with it: {stale('parent')}")
    expect(call("GET", f"{SET}/stale?days=0")[0] == 400 and call("GET", f"{SET}/stale?key=nothing")[0] == 404, "errors are errors")


def two_servers():
    other, port = Server(), free_port()
    for part in ("keys", "repos"):
        shutil.copytree(os.path.join(DATA, part), os.path.join(f"{DATA}-{port}", part))
    before = counts("used")[0]
    other.start(listen=port)
    try:
        wait(lambda: single("used", port=port) == 200, "the other server serves", 60)
        expect(single("used") == 200, "this one, too")
        call("GET", f"{SET}/usage?key=used", port=port)
        expect(counts("used")[0] == before + 2, "the counts of two servers add up")
    finally:
        other.stop()


def main():
    SERVER.start()
    try:
        prepare()
        counting()
        clients_report()
        restarts()
        code()
        laptop()
        which_may_go()
        if DATABASE:
            two_servers()
        print("flag-life: all as it should be")
    finally:
        end()


main()
