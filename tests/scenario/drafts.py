#!/usr/bin/env python3
"""drafts.py WEIR [postgresql]: changes of flags that are proposed first. Two people and their approvals by .weir/protection.yaml of the default branch,
stale edits that lose nothing, schedules that outlive a SIGKILL, archived flags, differences, and whom a change hits."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from served import DATA, DATABASE, ENV, PORT, SERVER, TOKENS, TOP, WEIR, Server, call, end, expect, free_port, git, token, wait, weir  # noqa: E402

BASE = "/api/v1/projects/shop/flag-sets/"
SET = BASE + "production"
OPEN = BASE + "free"
ON = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "on"}
OFF = {**ON, "defaultVariant": "off"}
RULES = """environments:
  production:
    required-approvals: 1
    prevent-self-review: true
    reviewers: [anna, bert, carl]
  strict:
    required-approvals: 2
    kill-switch: protected
    require-blast-radius: true
"""
WORK = os.path.join(TOP, "work")


def revision(path=SET):
    return next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if path.endswith("/" + s["name"]))


def change(flags, path=SET, who="admin", want=200, base=None, **more):
    status, answer, _ = call("POST", path + "/changes", {"base": revision(path) if base is None else base, "flags": flags, **more}, who)
    expect(status == want, f"change of {path}: {status} {answer}, not {want}")
    return answer if want == 200 else answer["error"]["message"]


def ask(method, path, body=None, who="anna", want=200, port=PORT):
    status, answer, _ = call(method, path, body, who, port=port)
    expect(status == want, f"{method} {path} by {who}: {status} {answer}, not {want}")
    return answer if status < 400 else answer["error"]["message"]


def draft(flags, path=SET, who="anna", want=201, title="a change", base=None, **more):
    return ask("POST", path + "/drafts", {"base": revision(path) if base is None else base, "title": title, "flags": flags, **more}, who, want)


def act(d, verb, who, want=200, path=SET, version=None, **more):
    body = {**({} if verb == "withdraw" else {"version": version or d["version"]}), **more}
    return ask("POST", f"{path}/drafts/{d['id']}/{verb}", body, who, want)


def look(d, path=SET, who="anna"):
    return ask("GET", f"{path}/drafts/{d['id']}", who=who)


def says(key, path="production"):
    status, answer, _ = call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": {}}, headers={"Flagd-Selector": f"flagSetId=shop/{path}"})
    return answer.get("value", answer.get("errorCode", answer.get("reason")))


def soon(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def push(rules, want=0):
    os.makedirs(os.path.join(WORK, ".weir"), exist_ok=True)
    with open(os.path.join(WORK, ".weir", "protection.yaml"), "w", encoding="utf-8") as f:
        f.write(rules)
    git("add", "-A", cwd=WORK)
    git("commit", "-qm", "rules", cwd=WORK)
    told = git("push", "-q", f"http://weir:{token()}@127.0.0.1:{PORT}/git/shop.git", "main", want=want, cwd=WORK)
    if want:
        git("reset", "-q", "--hard", "HEAD~1", cwd=WORK)
    return told


# --- acts ---

def prepare():
    weir("project", "create", "shop")
    for name, scope in (("anna", "release"), ("bert", "release"), ("carl", "release"), ("dora", "release"), ("reader", "read"), ("app", "flags")):
        status, answer, _ = call("POST", "/api/v1/tokens", {"name": name, "scope": scope})
        expect(status in (200, 201), f"token {name}: {status} {answer}")
        TOKENS[name] = answer["token"]
    weir("flag", "create", "shop/production", "--environment", "production")
    weir("flag", "create", "shop/strict", "--environment", "strict")
    weir("flag", "create", "shop/free")
    change({"cart": ON, "search": ON})
    os.makedirs(WORK)
    git("init", "-qb", "main", cwd=WORK)
    git("commit", "-q", "--allow-empty", "-m", "begin", cwd=WORK)


def rules():
    for text, *said in (("environment: {}\n", "protection.yaml:1:1", "unknown key 'environment' (did you mean 'environments'?)"),
                        ("environments:\n  a:\n    required-aprovals: 1\n", "protection.yaml:3:5", "(did you mean 'required-approvals'?)"),
                        ("environments:\n  a:\n    required-approvals: 0\n", "protection.yaml:3:25", "required-approvals"),
                        ("environments:\n  a:\n    kill-switch: fre\n", "protection.yaml:3:18", "'free'"),
                        ("environments:\n  a:\n    required-approvals: 2\n    reviewers: [x]\n", "protection.yaml:4:16", "1 reviewers cannot give 2 approvals"),
                        ("environments: [\n", "protection.yaml", "did not find expected node")):
        told = push(text, want=1)
        expect(all(x in told for x in said), f"the gate says where and what of {text!r}: {told}")
    change({"cart": OFF})  # no rules yet
    change({"cart": ON})
    push(RULES)
    rule = ask("GET", SET + "/protection")
    expect(rule["protected"] and rule["rule"]["reviewers"] == ["anna", "bert", "carl"] and rule["rule"]["kill_switch"] == "free", f"{rule}")
    expect(ask("GET", OPEN + "/protection") == {"environment": "", "protected": False}, "a set without an environment has no rules")


def direct():
    msg = change({"cart": OFF}, want=403)
    expect("draft" in msg and "production" in msg, f"a direct change is refused and says what to do: {msg}")
    change({"new": ON}, want=403)
    change({"cart": None}, want=403)
    change({"cart": {**OFF, "state": "DISABLED"}}, want=403)
    change({}, want=403, environment="")
    change({"cart": {**ON, "state": "DISABLED"}}, want=403, evaluators={}, metadata={})
    change({"cart": {**ON, "state": "DISABLED"}, "search": OFF}, want=403)
    change({"cart": {**ON, "state": "DISABLED"}})
    expect(says("cart") == "DISABLED", "the kill switch is free")
    change({"cart": ON}, want=403)
    change({"x": ON}, path=OPEN)
    msg = change({}, path=OPEN, want=403, environment="production")
    expect("production" in msg, f"a set does not come into a protected environment as it likes: {msg}")
    msg = change({"a": ON}, path=BASE + "strict", want=403)
    expect("kill switch is protected" in msg, msg)
    expect("draft" in weir("flag", "on", "shop/production", "cart", want=2), "the command says so, too")


def second_set():
    """Clients that name a protected environment mean one set; nobody makes another one that answers to the name beside it."""
    status, answer, _ = call("POST", "/api/v1/tokens", {"name": "unleash", "scope": "flags", "project": "shop"})
    TOKENS["unleash"] = answer["token"]
    names = {"Unleash-Environment": "production"}
    expect(call("GET", "/api/client/features", None, "unleash", names)[0] == 200, "one set is meant")
    ask("PUT", BASE + "beside", {"environment": "production"}, "anna", want=403)
    ask("PUT", SET, {"environment": "production"}, "anna", want=409)
    ask("PUT", BASE + "other", {"environment": "other"}, "anna", want=201)
    d = draft({}, path=BASE + "other", base=0, environment="production")
    expect(d["protected"] and d["approvals_needed"] == 1, f"by a draft it needs an approval: {d}")
    act(d, "withdraw", "anna", path=BASE + "other")
    expect(call("GET", "/api/client/features", None, "unleash", names)[0] == 200, "it still is")


def four_eyes():
    d = draft({"cart": ON, "search": None, "new": OFF})
    expect(d["state"] == "open" and d["approvals_needed"] == 1 and d["protected"] and not d["approved"] and d["keys"] == ["cart", "search", "new"], f"{d}")
    expect("cannot approve" in act(d, "approve", "anna", 403), "who wrote it does not approve it")
    expect("reviewers" in act(d, "approve", "dora", 403), "nor who is no reviewer")
    ask("POST", f"{SET}/drafts/{d['id']}/approve", {"version": 1}, "reader", 403)
    expect("approvals" in act(d, "apply", "anna", 403), "nothing is applied before")
    d = act(d, "approve", "bert", comment="fine")
    expect(d["approved"] and d["approvals"][0]["by"] == "token:bert" and d["approvals"][0]["address"] == "127.0.0.1" and d["approvals"][0]["version"] == 1, f"{d}")
    expect(len(act(d, "approve", "bert")["approvals"]) == 1, "twice is once")
    # an edit makes it void; who edited it is an author, too
    edited = ask("PUT", f"{SET}/drafts/{d['id']}", {"version": 1, "base": revision(), "title": "another", "flags": {"cart": ON}}, "carl")
    expect(edited["version"] == 2 and not edited["approved"] and edited["approvals"][0]["void"] and edited["by"] == "token:anna", f"{edited}")
    act(d, "apply", "anna", 409)
    act(edited, "apply", "anna", 403)
    act(edited, "approve", "carl", 403)
    expect("version 2" in act(d, "approve", "bert", 409), "an approval is of a version")
    msg = ask("PUT", f"{SET}/drafts/{d['id']}", {"version": 1, "base": 0, "title": "lost?", "flags": {"cart": OFF}}, "anna", 409)
    expect("version 2" in msg, f"a stale edit is refused: {msg}")
    act(edited, "approve", "bert")
    done = act(edited, "apply", "dora")
    expect(done["state"] == "applied" and done["revision"] == revision() and done["ended_by"] == "token:dora", f"{done}")
    expect(says("cart") is True, "and it is served")
    for verb in ("approve", "apply", "reject", "withdraw"):
        act(edited, verb, "bert", 409, **({"reason": "x"} if verb in ("reject", "withdraw") else {}))
    newest = ask("GET", SET + "/revisions")["revisions"][0]
    expect(newest["draft"] == d["id"] and [a["by"] for a in newest["approvals"]] == ["token:bert"] and newest["by"] == "token:dora", f"{newest}")
    told = weir("flag", "history", "shop/production")
    expect(f"draft {d['id']}, approved by token:bert from 127.0.0.1" in told, told)
    log = weir("log", "--project", "shop", "--type", "flag.changed", "--json")
    expect('"approvals":[{' in log.replace(" ", "") and '"draft":1' in log.replace(" ", ""), f"the event has them: {log[-600:]}")


def ends():
    d = draft({"cart": OFF})
    act(d, "reject", "dora", 403, reason="no")
    act(d, "reject", "bert", 400, reason=" ")
    d = act(d, "reject", "bert", reason="too early")
    expect(d["state"] == "rejected" and d["cause"] == "too early", f"{d}")
    d = draft({"cart": OFF})
    expect("withdrawn by who wrote it" in act(d, "withdraw", "bert", 403), "others reject")
    expect(act(d, "withdraw", "anna")["state"] == "withdrawn", "its author withdraws it")
    expect(act(draft({"cart": OFF}), "withdraw", "admin")["state"] == "withdrawn", "so does an administrator")
    expect(act(draft({"cart": OFF}, path=OPEN), "apply", "anna", path=OPEN)["state"] == "applied", "where nothing is protected, nobody is asked")
    ask("GET", SET + "/drafts/99", want=404)
    for body, said in (({"title": "x"}, "base"), ({"base": 0}, "title"), ({"base": 0, "title": "x"}, "nothing to change"), ({"base": 99, "title": "x", "flags": {"a": ON}}, "no 99"),
                       ({"base": 0, "title": "x" * 201, "flags": {"a": ON}}, "200 bytes"), ({"base": 0, "title": "x", "flags": {"a": {**ON, "stat": 1}}}, "'state'"),
                       ({"base": 0, "title": "x", "flags": {"a": ON}, "apply_at": "tomorrow"}, "time such as"),
                       ({"base": 0, "title": "x", "flags": {"a": ON}, "apply_at": "2020-01-01T00:00:00Z"}, "past"),
                       ({"base": 0, "title": "x", "flags": {"a": ON}, "aply_at": 1}, "'apply_at'")):
        msg = ask("POST", SET + "/drafts", body, want=400)
        expect(said in msg, f"{body}: {msg}")
    states = [x["state"] for x in ask("GET", SET + "/drafts?limit=3")["drafts"]]
    expect(states == ["withdrawn", "withdrawn", "rejected"], f"newest first: {states}")
    expect([x["state"] for x in ask("GET", SET + "/drafts?state=applied")["drafts"]] == ["applied"], "by state")
    ask("GET", SET + "/drafts?state=open", who="reader")
    expect("x" not in ask("GET", OPEN + "/drafts?state=rejected"), "of its own set only")


def stale():
    d = draft({"cart": OFF})
    act(d, "approve", "bert")
    change({"cart": {**ON, "state": "DISABLED"}})
    seen = look(d)
    expect(seen["conflicts"] == [{"what": "cart", "revision": revision()}], f"a flag that changed meanwhile is shown: {seen}")
    expect(f"revision {revision()}" in act(d, "apply", "anna", 409), "and the draft cannot be applied")
    expect(look(d)["state"] == "open" and look(d)["flags"] == {"cart": OFF}, "nothing is lost")
    rebased = ask("PUT", f"{SET}/drafts/{d['id']}", {"version": 1, "base": revision(), "title": "again", "flags": {"cart": OFF}})
    expect(rebased["conflicts"] == [], "upon a newer base there is no conflict")
    act(rebased, "approve", "carl")
    act(rebased, "apply", "anna")
    expect(says("cart") is False, "it is served")
    # what flags share is looked at as a whole
    a, b = ({"base": revision(OPEN), "title": "x", "evaluators": {n: {"==": [1, 1]}}, "metadata": {}} for n in "ab")
    one, two = (ask("POST", OPEN + "/drafts", x, want=201) for x in (a, b))
    act(one, "apply", "anna", path=OPEN)
    expect("evaluators" in act(two, "apply", "anna", 409, path=OPEN), "of two who change what flags share the second is told")
    expect(look(two, OPEN)["conflicts"][0]["what"] == "evaluators, metadata and segments", "and sees why")
    status, answer, _ = call("POST", OPEN + "/changes", {"base": a["base"], "evaluators": {}, "metadata": {}})
    expect(status == 409, f"a direct change of them, too: {status} {answer}")
    # many at once: one is applied, once
    d = draft({"race": ON}, path=OPEN)
    got = []
    threads = [threading.Thread(target=lambda: got.append(call("POST", f"{OPEN}/drafts/{d['id']}/apply", {"version": 1}, "anna")[0])) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expect(sorted(got) == [200] + [409] * 5, f"applied once: {got}")


def environment():
    """A set's environment changes by a draft that both environments' rules allow."""
    d = draft({}, title="out", environment="")
    act(d, "approve", "dora", 403)
    act(d, "apply", "anna", 403)
    act(d, "approve", "bert")
    change({"cart": {**OFF, "state": "DISABLED"}})
    expect("environment" in act(d, "apply", "anna", 409), "only by who saw all of it")
    d = draft({}, path=OPEN, title="in", environment="strict")
    expect(d["approvals_needed"] == 2, f"{d}")
    act(d, "apply", "anna", 403, path=OPEN)
    d = ask("PUT", f"{OPEN}/drafts/{d['id']}", {"version": 1, "base": revision(OPEN), "title": "in", "environment": "staging"})
    act(d, "apply", "anna", path=OPEN)
    expect(ask("GET", OPEN + "/protection")["environment"] == "staging", "an unprotected one is free to take")


def strict():
    """Two approvals, the kill switch too, and nobody approves what nobody looked at."""
    path = BASE + "strict"
    d = draft({"a": ON}, path=path)
    msg = act(d, "approve", "bert", 422, path=path)
    expect("blast radius" in msg, f"look first: {msg}")
    seen = ask("GET", f"{path}/drafts/{d['id']}/blast-radius", who="bert")
    expect(seen["contexts"] == 0 and seen["since"] is None, f"no contexts: {seen}")
    act(d, "approve", "bert", 422, path=path)
    seen = ask("POST", f"{path}/drafts/{d['id']}/blast-radius", {"contexts": [{"targetingKey": "u"}]}, "bert")
    expect(seen["contexts"] == 1 and seen["flags"][0]["flips"] == 1, f"{seen}")
    act(d, "approve", "bert", path=path)
    expect("blast radius" in act(d, "approve", "carl", 422, path=path), "each looks for himself")
    expect("2 approvals" in act(d, "apply", "anna", 403, path=path), "one is not enough")
    ask("POST", f"{path}/drafts/{d['id']}/blast-radius", {"contexts": [{}]}, "carl")
    act(d, "approve", "carl", path=path)
    act(d, "apply", "anna", path=path)
    change({"a": {**ON, "state": "DISABLED"}}, path=path, want=403)
    # the rules that count are those of the default branch at the moment of applying
    d = draft({"search": OFF})
    act(d, "approve", "bert")
    push(RULES.replace("required-approvals: 1", "required-approvals: 2"))
    expect("2 approvals" in act(d, "apply", "anna", 403), "rules that grew count for what waits")
    push(RULES.replace("bert, ", ""))
    expect("approvals" in act(d, "apply", "anna", 403), "who is no reviewer any more has not approved")
    push(RULES)
    act(d, "apply", "anna")


def archive():
    weir("flag", "put", "shop/free", "old", "-", given=json.dumps({**ON, "weir": {"owner": "team"}}))
    weir("flag", "put", "shop/free", "needs", "-", given=json.dumps({**ON, "weir": {"prerequisites": [{"flag": "old", "variants": ["on"]}]}}))
    told = weir("flag", "archive", "shop/free", "old", want=1)
    expect("needs" in told and "archived" in told, f"refused while another flag needs it: {told}")
    weir("flag", "remove", "shop/free", "needs")
    weir("flag", "archive", "shop/free", "old", "--comment", "done")
    expect(says("old", "free") == "FLAG_NOT_FOUND", "not served")
    bulk = call("POST", "/ofrep/v1/evaluate/flags", {"context": {}}, headers={"Flagd-Selector": "flagSetId=shop/free"})[1]
    expect("old" not in [f["key"] for f in bulk["flags"]], "nor in bulk answers")
    expect("old" not in ask("GET", OPEN)["flags"] and "old" in ask("GET", OPEN + "?archived=1")["flags"], "nor in the document, unless it is asked for")
    expect("old" not in weir("flag", "list", "shop/free") and "archived" in weir("flag", "list", "shop/free", "--archived"), "listed with --archived")
    expect("archived" in weir("flag", "explain", "shop/free", "old", want=2), "explained as such")
    for definition in (OFF, None, {**ON, "weir": {"owner": "team", "archived": True}, "defaultVariant": "off"}):
        msg = change({"old": definition}, path=OPEN, want=422)
        expect("unarchive it first" in msg, f"its key is taken: {msg}")
    weir("flag", "unarchive", "shop/free", "old")
    expect(says("old", "free") is True and ask("GET", OPEN)["flags"]["old"]["weir"] == {"owner": "team"}, "it comes back as it was")
    weir("flag", "unarchive", "shop/free", "old", want=2)
    kinds = [f["kind"] for f in ask("GET", f"{OPEN}/diff?from={revision(OPEN) - 1}")["flags"]]
    expect(kinds == ["unarchived"], f"{kinds}")


def differences():
    weir("flag", "create", "shop/diffed")
    rule = {"if": [{"in": [{"var": "country"}, ["de", "fr"]]}, "on", "off"]}
    change({"a": {**ON, "targeting": rule}, "b": ON, "c": ON}, path=BASE + "diffed")
    change({"a": {**OFF, "targeting": {"if": [{"in": [{"var": "country"}, ["de", "at", "fr"]]}, "on", "off"]}}, "b": None, "d": ON}, path=BASE + "diffed")
    d = ask("GET", BASE + "diffed/diff?from=1&to=2")
    lines = {f["key"]: [(x["kind"], x["path"]) for x in f["changes"]] for f in d["flags"]}
    expect(lines == {"a": [("changed", "/defaultVariant"), ("changed", "/targeting/if/0/in/1/1"), ("added", "/targeting/if/0/in/1/2")], "b": [("removed", "")], "d": [("added", "")]}
           or lines["a"][1:] == [("added", "/targeting/if/0/in/1/1")], f"{lines}")
    told = weir("flag", "diff", "shop/diffed", "--revision", "1..2")
    expect("/defaultVariant" in told and '- "on"' in told and '+ "off"' in told and "b removed" in told, told)
    expect("d added" in weir("flag", "diff", "shop/diffed", "--revision", "1.."), "to now")
    file = os.path.join(TOP, "flags.json")
    with open(file, "w", encoding="utf-8") as f:
        json.dump({"flags": {"c": OFF, "d": ON}}, f)
    told = weir("flag", "diff", "shop/diffed", file)
    expect("c changed" in told and "d " not in told, f"a file against the set: {told}")
    weir("flag", "diff", "shop/diffed", file, "--revision", "1..2", want=2)
    weir("flag", "diff", "shop/diffed", "--revision", "2", want=2)
    d = draft({"c": OFF}, path=BASE + "diffed")
    change({"c": {**ON, "state": "DISABLED"}}, path=BASE + "diffed")
    expect("/state" not in weir("flag", "diff", "shop/diffed", "--draft", str(d["id"])), "a draft against its base")
    expect("/state" in weir("flag", "diff", "shop/diffed", "--draft", str(d["id"]), "--now"), "and against what is there now")


def blast():
    weir("flag", "create", "shop/blast")
    path = BASE + "blast"
    rule = {"if": [{"==": [{"var": "country"}, "de"]}, "on", "off"]}
    change({"base": {**ON, "targeting": rule}, "child": {**ON, "weir": {"prerequisites": [{"flag": "base", "variants": ["on"]}]}}, "other": ON}, path=path)
    contexts = [{"country": "de" if i % 4 == 0 else "fr", "targetingKey": f"u{i}"} for i in range(10000)]
    began = time.monotonic()
    got = ask("POST", path + "/blast-radius", {"flags": {"base": {**ON, "targeting": {"if": [{"==": [{"var": "country"}, "fr"]}, "on", "off"]}}}, "contexts": contexts})
    print(f"blast radius of 10,000 contexts over 2 flags: {time.monotonic() - began:.2f} s with its transfer (sanitized build)")
    flags = {f["key"]: f for f in got["flags"]}
    expect(got["contexts"] == got["given"] == 10000 and set(flags) == {"base", "child"}, f"{got['contexts']} {set(flags)}")
    expect(flags["base"]["flips"] == 10000 and flags["base"]["touched"] and not flags["child"]["touched"] and flags["child"]["flips"] == 10000, "who flips")
    moves = sorted((m["from"].get("variant"), m["to"].get("variant"), m["contexts"]) for m in flags["base"]["moves"])
    expect(moves == [("off", "on", 7500), ("on", "off", 2500)] and len(flags["base"]["examples"]) == 10, f"{moves}")
    ask("POST", path + "/blast-radius", {"flags": {"base": ON}, "contexts": [{}] * 10001}, want=400)
    ask("POST", path + "/blast-radius", {"flags": {"base": ON}, "contexts": [3]}, want=400)
    # samples: off until asked for, bounded, without what is denied
    evaluate = lambda i: call("POST", "/ofrep/v1/evaluate/flags", {"context": {"targetingKey": f"s{i}", "country": "de", "Email": "x@example.org", "deep": [{"token": "t", "a": 1}]}},
                              "app", {"Flagd-Selector": "flagSetId=shop/blast"})
    evaluate(0)
    expect(ask("GET", path + "/samples") == {"keep": 0, "days": 0, "deny": [], "contexts": 0, "since": None}, "nothing is kept by itself")
    ask("PUT", path + "/samples", {"keep": 1001}, want=400)
    ask("PUT", path + "/samples", {"keep": 10}, "reader", 403)
    expect("keep at most" in weir("help", "flag", "samples"), "the command says what it does")
    weir("flag", "samples", "shop/blast", "--limit", "10")
    for i in range(40):
        evaluate(i)
    evaluate(39)
    got = wait(lambda: (lambda s: s if s["contexts"] == 10 else None)(ask("GET", path + "/samples")), "ten are kept of forty")
    expect("email" in got["deny"] and got["since"], f"{got}")
    d = draft({"base": OFF}, path=path)
    got = ask("GET", f"{path}/drafts/{d['id']}/blast-radius")
    expect(got["samples"] == 10 and got["flags"][0]["flips"] == 10, f"{got['samples']}")
    expect(all(set(e["context"]) == {"targetingKey", "country", "deep"} and e["context"]["deep"] == [{"a": 1}] for e in got["flags"][0]["examples"]), f"{got['flags'][0]['examples'][0]}")
    told = weir("flag", "blast", "shop/blast", "--draft", str(d["id"]))
    expect("10 of 10 contexts get something else" in told and "on=true -> off=false" in told and "depends on a changed flag" in told, told)
    SERVER.stop()
    SERVER.start()
    expect(ask("GET", path + "/samples")["contexts"] == 10, "samples outlive a restart")
    ask("PUT", path + "/samples", {"keep": 10, "deny": []})
    expect(ask("GET", path + "/samples")["contexts"] == 0, "kept under other terms: dropped")
    evaluate(1)
    wait(lambda: ask("GET", path + "/samples")["contexts"] == 1, "and begun anew")
    ask("PUT", path + "/samples", {"keep": 0})
    evaluate(2)
    expect(ask("GET", path + "/samples")["contexts"] == 0, "off is off")


def schedules():
    now = draft({"timed": ON}, path=OPEN, apply_at=soon(2))
    expect(now["state"] == "scheduled" and now["apply_at"], f"nobody is asked, so it waits for its time: {now}")
    d = draft({"search": ON}, apply_at=soon(3600))
    expect(d["state"] == "open", "where approvals are missing it is open")
    expect(act(d, "approve", "bert")["state"] == "scheduled", "approved, it waits")
    expect(weir("flag", "schedule", "shop/production").count("\n") == 1, "and is listed")
    d = ask("PUT", f"{SET}/drafts/{d['id']}", {"version": 1, "base": revision(), "title": "sooner", "flags": {"search": ON}, "apply_at": soon(3600)}, "anna")
    expect(d["state"] == "open", "an edit takes it off the schedule")
    act(d, "withdraw", "anna")
    wait(lambda: look(now, OPEN)["state"] == "applied", "it is applied at its time", 60)
    expect(says("timed", "free") is True and ask("GET", OPEN + "/revisions")["revisions"][0]["by"] == "token:anna", "and served")
    # rules and flags that changed meanwhile: it fails, with its cause, and can be edited again
    d = draft({"search": ON}, apply_at=soon(3))
    act(d, "approve", "bert")
    change({"search": {**OFF, "state": "DISABLED"}})
    got = wait(lambda: (lambda x: x if x["state"] == "failed" else None)(look(d)), "a conflict at its time", 60)
    expect("was changed by revision" in got["cause"] and got["flags"] == {"search": ON}, f"{got}")
    got = ask("PUT", f"{SET}/drafts/{d['id']}", {"version": 1, "base": revision(), "title": "again", "flags": {"search": ON}})
    expect(got["state"] == "open" and got["conflicts"] == [] and "cause" not in got, f"an edit opens it again: {got}")
    # missed while the server is down: applied when it is back, once, and says how late
    weir("flag", "schedule", "shop/free", "timed", "off", "--at", soon(2))
    listed = ask("GET", OPEN + "/drafts?state=scheduled")["drafts"]
    expect(len(listed) == 1 and says("timed", "free") is True, "it waits")
    before = revision(OPEN)
    SERVER.stop(signal.SIGKILL)
    time.sleep(4)
    SERVER.start()
    got = wait(lambda: (lambda x: x if x["state"] == "applied" else None)(look(listed[0], OPEN)), "what was missed is applied", 60)
    expect(got["late_s"] >= 1 and revision(OPEN) == before + 1 and says("timed", "free") == "DISABLED", f"late, once: {got}")
    log = weir("log", "--project", "shop", "--type", "flag.changed", "--json").replace(" ", "")
    expect('"late_s":' in log, "the event says so")


def damaged():
    """A project whose rules cannot be read keeps nobody else's drafts from their time."""
    weir("project", "create", "hurt")
    weir("flag", "create", "hurt/production")
    status, d, _ = call("POST", "/api/v1/projects/hurt/flag-sets/production/drafts", {"base": 0, "title": "x", "flags": {"a": ON}, "apply_at": soon(8)})
    expect(status == 201 and d["state"] == "scheduled", f"{status} {d}")
    git("push", "-q", f"http://weir:{token()}@127.0.0.1:{PORT}/git/hurt.git", "main", cwd=WORK)
    repository, = (os.path.join(at, name) for at, names, _ in os.walk(DATA) for name in names if name == "hurt.git")
    head = os.path.join(repository, "refs", "heads", "main")
    good = open(head, encoding="utf-8").read()
    commit = os.path.join(TOP, "commit")
    with open(commit, "w", encoding="utf-8") as f:
        f.write(f"tree {'1' * 40}\nauthor a <a@example.org> 0 +0000\ncommitter a <a@example.org> 0 +0000\n\nits tree is missing\n")
    with open(head, "w", encoding="utf-8") as f:
        f.write(git("hash-object", "-t", "commit", "-w", commit, cwd=repository).strip() + "\n")
    other = draft({"timed": ON}, path=OPEN, apply_at=soon(9))
    wait(lambda: look(other, OPEN)["state"] == "applied", "another project's draft is applied at its time", 30)
    with open(head, "w", encoding="utf-8") as f:
        f.write(good)
    wait(lambda: call("GET", f"/api/v1/projects/hurt/flag-sets/production/drafts/{d['id']}")[1]["state"] == "applied", "it is applied when it can be", 30)


def commands():
    file = os.path.join(TOP, "draft.json")
    with open(file, "w", encoding="utf-8") as f:
        json.dump({"flags": {"cart": ON}}, f)
    told = weir("flag", "draft", "open", "shop/production", file, "--title", "by hand", "--comment", "why")
    n = told.split()[0]
    expect("needs     1 approval of this version" in told, told)
    weir("flag", "draft", "open", "shop/production", file, want=2)
    expect("did you mean 'approve'" in weir("flag", "draft", "aprove", "shop/production", n, want=2), "a misspelt verb")
    told = weir("flag", "draft", "show", "shop/production", n)
    expect("comment   why" in told and "/defaultVariant" in told, told)
    expect("--seen" in weir("flag", "draft", "approve", "shop/production", n, want=2), "an approval names its version")
    act({"id": n}, "approve", "bert", version=1)
    expect("approved  version 1 by token:bert" in weir("flag", "draft", "show", "shop/production", n), "who approved")
    told = weir("flag", "draft", "edit", "shop/production", n, "--title", "by hand again")
    expect("version   2" in told and "void" in told, told)
    act({"id": n}, "approve", "bert", version=2)
    expect("applied" in weir("flag", "draft", "apply", "shop/production", n), "applied")
    told = weir("flag", "off", "shop/production", "cart", "--draft", "switch it off")
    n = told.split()[1]
    expect("switch it off" in weir("flag", "draft", "list", "shop/production", "--state", "open"), "a draft instead of a change")
    expect("reviewers" in weir("flag", "draft", "reject", "shop/production", n, "--reason", "no", want=2), "who is no reviewer does not reject")
    weir("flag", "draft", "withdraw", "shop/production", n)
    expect("flag.draft_ended" in weir("log", "--project", "shop", "--type", "flag.draft_ended"), "ends are in the log")
    expect("ok:" in weir("log", "verify"), "the log is whole")


def repository():
    os.makedirs(os.path.join(WORK, ".weir", "flags"), exist_ok=True)
    with open(os.path.join(WORK, ".weir", "flags", "production2.json"), "w", encoding="utf-8") as f:
        json.dump({"flags": {"r": ON, "gone": {**ON, "weir": {"archived": True}}}}, f)
    push(RULES + "\n")
    path = BASE + "production2"
    wait(lambda: call("GET", path)[0] == 200 and ask("GET", path)["flags"], "a set of the repository")
    msg = draft({"r": OFF}, path=path, want=409, base=1)
    expect("push" in msg and "git's" in msg, f"its review is git's: {msg}")
    expect(says("gone", "production2") == "FLAG_NOT_FOUND", "an archived flag of a file is not served")


def two_servers():
    """Two servers on one PostgreSQL and one schedule: each draft is applied once."""
    other, port = Server(), free_port()
    for part in ("keys", "repos"):
        shutil.copytree(os.path.join(DATA, part), os.path.join(f"{DATA}-{port}", part))
    other.start(listen=port)
    try:
        before = revision(OPEN)
        drafts = [draft({f"both{i}": ON}, path=OPEN, apply_at=soon(3)) for i in range(5)]
        wait(lambda: all(look(d, OPEN)["state"] == "applied" for d in drafts), "all are applied", 60)
        expect(revision(OPEN) == before + 5, f"each once: {revision(OPEN)} after {before}")
        ask("PUT", OPEN + "/samples", {"keep": 5}, port=port)
        call("POST", "/ofrep/v1/evaluate/flags", {"context": {"a": 1}}, "app", {"Flagd-Selector": "flagSetId=shop/free"}, port=port)
        wait(lambda: ask("GET", OPEN + "/samples", port=port)["contexts"] == 1, "what the other server samples", 60)
        expect(ask("GET", OPEN + "/samples")["contexts"] == 1, "this one reads, too")
    finally:
        other.stop()
        subprocess.run([WEIR, "down"], env={**ENV, "WEIR_DATA": f"{DATA}-{port}"}, cwd=TOP, capture_output=True, timeout=60, check=False)


def main():
    SERVER.start()
    try:
        for part in (prepare, rules, direct, second_set, four_eyes, ends, stale, environment, strict, archive, differences, blast, schedules, damaged, commands, repository):
            part()
        if DATABASE:
            two_servers()
        print("drafts: all as it should be")
    finally:
        end()


main()
