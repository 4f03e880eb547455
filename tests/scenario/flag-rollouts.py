#!/usr/bin/env python3
"""flag-rollouts.py WEIR [postgresql]: a flag's change by steps, with users who evaluate over OFREP and an application that says how it went. A good one is
promoted, a sick one is taken back with its former text byte for byte, orders, the kill switch, and a SIGKILL in the middle, after which it goes on."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from served import DATA, DATABASE, ENV, PORT, SERVER, TOKENS, TOP, WEIR, Server, call, end, expect, free_port, git, token, wait, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
OLD = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off", "metadata": {"ticket": "SHOP-1", "weight": 1.50}}
NEW = {**OLD, "defaultVariant": "on"}
PLAN = {"steps": ["10%", "50%", "100%"], "bake": "1s", "budget": "20%", "outcomes": ["checkout"], "hold": {"after": "120s"}}
USERS = [f"user-{i}" for i in range(400)]


def document():
    """The set as it is, every byte of it."""
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    c.request("GET", SET, headers={"Authorization": f"Bearer {open(ENV['WEIR_TOKEN_FILE'], encoding='utf-8').read().strip()}"})
    text = c.getresponse().read()
    c.close()
    return text


def revision():
    return next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")


def begin(want=201, definition=None, **more):
    status, answer, _ = call("POST", SET + "/rollouts", {"flag": "cart", "definition": definition or NEW, "base": revision(), **PLAN, **more})
    expect(status == want, f"a rollout begins: {status} {answer}")
    return answer["id"] if want == 201 else answer["error"]["message"]


def show(id):
    status, answer, _ = call("GET", f"/api/v1/flag-rollouts/{id}")
    expect(status == 200, f"rollout {id}: {status} {answer}")
    return answer


def evaluate(user, port=PORT):
    status, answer, _ = call("POST", "/ofrep/v1/evaluate/flags/cart", {"context": {"targetingKey": user}}, "app", port=port)
    expect(status == 200, f"evaluation for {user}: {status} {answer}")
    return answer


def track(events, want=202, port=PORT, who="app"):
    status, answer, _ = call("POST", "/api/v1/flags/track", {"events": events}, who, port=port)
    expect(status == want, f"track: {status} {answer}")
    return answer


def traffic(ok, users=USERS, port=PORT, track_port=None):
    """Every user evaluates, then says how it went. Returns who got the new one."""
    events, new = [], set()
    for u in users:
        variant = evaluate(u, port)["variant"]
        if variant == "on":
            new.add(u)
        events.append({"targetingKey": u, "name": "checkout", "ok": ok(u, variant)})
    track(events, port=track_port or port)
    return new


def until_over(id, ok, seconds=120, **more):
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        traffic(ok, **more)
        r = show(id)
        if not r["running"]:
            return r
    raise SystemExit(f"not so within {seconds} s: rollout {id} is over: {show(id)}")


def fine(_user, _variant):
    return True


# --- acts ---

def a_good_one():
    id = begin(comment="SHOP-2")
    first = traffic(fine)
    expect(0 < len(first) < len(USERS) / 2, f"a share of the users has it: {len(first)}")
    answer = evaluate(sorted(first)[0])
    expect(answer["metadata"]["weir.arm"] in ("canary", "stable") and answer["metadata"]["ticket"] == "SHOP-1", f"the answer says its arm: {answer}")
    anonymous = call("POST", "/ofrep/v1/evaluate/flags/cart", {"context": {}}, "app")[1]
    expect(anonymous["metadata"]["weir.arm"] == "stable" or show(id)["state"] != "canary", f"who has no key gets the former one: {anonymous}")
    r = until_over(id, fine)
    expect(r["state"] == "finished" and r["evidence"]["verdict"]["call"] in ("good", "undecided", "cannot-judge"), f"it is promoted: {r}")
    expect(json.loads(document())["flags"]["cart"] == NEW, "the definition is the new one, without a trace of the rollout")
    expect("weir.arm" not in evaluate("user-1")["metadata"], "nor in answers")
    log = weir("log", "--project", "shop", "--json")
    for event in ("flag.rollout_started", "flag.rollout_stepped", "flag.rollout_finished"):
        expect(event in log, f"{event} is in the log")
    evidence = os.path.join(TOP, "evidence.json")
    with open(evidence, "w", encoding="utf-8") as f:
        f.write(weir("flag", "rollout", "show", id, "--json"))
    expect("the same as was recorded" in weir("judge", "replay", evidence), "its verdict can be recomputed")


def a_sick_one():
    call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": OLD}})
    before = document()
    id = begin()
    expect("being rolled out" in begin(want=409), "one at a time")
    status, answer, _ = call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": {**OLD, "defaultVariant": "on"}}})
    expect(status == 409 and id in answer["error"]["message"], f"another change meanwhile is refused and names the rollout: {status} {answer}")
    status, answer, _ = call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": None}})
    expect(status == 409 and id in answer["error"]["message"], f"so is its removal: {status} {answer}")
    r = until_over(id, lambda u, variant: variant != "on")
    expect(r["state"] == "rolled-back" and r["evidence"]["verdict"]["call"] == "worse", f"it is taken back: {r}")
    expect(document() == before, "and the set is what it was, byte for byte")
    expect("more errors" in weir("flag", "rollouts", "shop/production"), "the list says why")


def the_same_users():
    """Tried again with the same salt the same users get it first; more of them keep those who had it."""
    seen = []
    for _ in range(2):
        id = begin(salt="fixed", steps=["20%", "100%"])
        seen.append({u for u in USERS[:200] if evaluate(u)["variant"] == "on"})
        weir("flag", "rollout", "abort", id)
    expect(seen[0] == seen[1] and seen[0], "the same users come back")
    id = begin(salt="fixed", steps=["40%", "100%"])
    more = {u for u in USERS[:200] if evaluate(u)["variant"] == "on"}
    expect(seen[0] < more, "growing keeps them")
    weir("flag", "rollout", "abort", id)


def orders():
    before = document()
    definition = os.path.join(TOP, "cart.json")
    with open(definition, "w", encoding="utf-8") as f:
        json.dump(NEW, f)
    told = weir("flag", "rollout", "shop/production", "cart", "--definition", definition, "--steps", "10%,50%,100%", "--outcome", "checkout", "--outcome", "took<=500",
                "--bake", "1s", "--budget", "20%")
    expect("goes to 10%" in told, told)
    id = call("GET", SET + "/rollouts")[1]["rollouts"][0]["id"]
    expect(show(id)["plan"]["outcomes"] == ["checkout", {"name": "took", "max": 500}], f"{show(id)['plan']}")
    expect("paused" in weir("flag", "rollout", "pause", id), "it is paused")
    expect("aborted" in weir("flag", "rollout", "abort", id) and document() == before, "abort takes it back")
    expect("is over" in weir("flag", "rollout", "promote", id, want=2), "no order afterwards")
    id = begin()
    weir("flag", "rollout", "promote", id)
    wait(lambda: not show(id)["running"], "a promoted one bakes and is done", 60)
    expect(show(id)["state"] == "finished" and json.loads(document())["flags"]["cart"] == NEW, "the new definition stands")
    call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": OLD}})
    id = begin()
    weir("flag", "off", "shop/production", "cart", "--comment", "fire")
    expect(json.loads(document())["flags"]["cart"] == {**OLD, "state": "DISABLED"}, "the kill switch: the former definition, switched off")
    expect(show(id)["state"] == "aborted" and show(id)["cause"] == "the flag was switched off", f"{show(id)}")
    call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": OLD}})


def refusals():
    expect("did you mean 'outcomes'" in begin(want=400, outcome=["x"]), "an unknown key")
    expect("100%" in begin(want=400, steps=["10%"]), "the last step")
    expect("has this definition already" in begin(want=400, definition=OLD), "nothing to change")
    expect("defaultVariant" in begin(want=400, definition={**NEW, "defaultVarient": "x"}), "a misspelt definition")
    expect("no users" in begin(want=400, definition={**NEW, "weir": {"archived": True}}), "an archived one")
    for bad, said in (({"name": "x"}, "targetingKey"), ({"targetingKey": "u"}, "name"), ({"targetingKey": "u", "name": "x", "okay": True}, "okay"),
                      ({"targetingKey": "u", "name": "x", "ok": 1}, "ok"), ({"targetingKey": "u", "flag": "cart", "ok": True}, "outcomes"), ({"targetingKey": "u", "name": "x", "at": "now"}, "at")):
        status, answer, _ = call("POST", "/api/v1/flags/track", {"events": [bad]}, "app")
        expect(status == 400 and said in answer["error"]["message"], f"{bad}: {status} {answer}")
    expect(call("POST", "/api/v1/flags/track", {"events": [{"targetingKey": "u", "name": "x"}] * 1001}, "app")[0] == 413, "too many at once")
    expect(call("POST", "/api/v1/flags/track", {"events": []}, None)[0] == 401, "without a token")
    expect(call("POST", SET + "/rollouts", {}, "app")[0] == 403, "an application's token begins nothing")
    expect(track([{"targetingKey": "u", "name": "nothing"}]) == {"taken": 0, "passed_over": 1}, "what concerns no rollout is passed over")
    wrong = {**OLD, "weir": {"rollout": {"id": "X", "previous": OLD, "share": 0.5, "salt": "s"}}}
    status, answer, _ = call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": wrong}})
    expect(status == 400 and "by hand" in answer["error"]["message"], f"nobody writes it by hand: {status} {answer}")
    status, _, headers = call("OPTIONS", "/api/v1/flags/track", who=None, headers={"Origin": "https://app.example", "Access-Control-Request-Method": "POST"})
    expect(status == 204 and "Authorization" in headers["access-control-allow-headers"], "browsers may send events")


def exposures_by_the_client():
    """An SDK that evaluates elsewhere says itself that it did; outcomes of others do not count."""
    id = begin(steps=["50%", "100%"])
    track([{"targetingKey": f"ghost-{i}", "name": "checkout", "ok": False} for i in range(50)])
    known = [u for u in USERS[:50]]
    track([{"targetingKey": u, "flag": "cart"} for u in known] + [{"targetingKey": u, "name": "checkout", "ok": True} for u in known])
    stale = track([{"targetingKey": "user-1", "flag": "cart", "variant": "purple"}])
    expect(stale["taken"] == 0, f"a variant that nobody can have is an older copy: {stale}")
    said = {"targetingKey": "user-1", "flag": "cart", "variant": evaluate("user-1")["variant"], "context": {"country": "NZ"}}
    expect(track([said])["taken"] == 1 and track([{**said, "flag": "other"}])["taken"] == 0, "its own one counts")
    for at in ("2020-01-01T00:00:00Z", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600))):
        expect(track([{"targetingKey": "user-1", "name": "checkout", "ok": False, "at": at}])["taken"] == 0, f"what was before the rollout began: {at}")
    bound = call("POST", "/api/v1/tokens", {"name": "elsewhere", "scope": "read", "project": "ledger"})[1]["token"]
    expect(call("GET", f"/api/v1/flag-rollouts/{id}", who=None, headers={"Authorization": f"Bearer {bound}"})[0] == 404, "a token of another project does not see it")
    expect(call("POST", f"/api/v1/flag-rollouts/{id}/orders", {"order": "abort"}, "app")[0] == 403, "an application orders nothing")
    wait(lambda: show(id)["counts"].get("unexposed", 0) >= 50, "outcomes of users who did not evaluate it do not count", 60)
    c = show(id)["counts"]
    expect(sum(s[1] + s[2] for s in c["segments"]) == 50 and sum(s[3] + s[4] for s in c["segments"]) == 0, f"only the known users count: {c}")
    weir("flag", "rollout", "abort", id)


def a_kill():
    id = begin()
    traffic(fine, USERS[:60])
    had = wait(lambda: show(id)["counts"].get("exposures", 0) >= 60 and show(id), "counts are stored", 60)
    SERVER.stop(signal.SIGKILL)
    SERVER.start()
    now = show(id)
    expect(now["running"] and now["counts"]["users"] >= had["counts"]["users"], f"what it had is there: {had} {now}")
    r = until_over(id, fine)
    expect(r["state"] == "finished", f"and it goes on to its end: {r}")
    expect("ok:" in weir("log", "verify"), "the log is whole")
    call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": OLD}})


def protection():
    """Rules that come while it runs do not keep it from its steps and its way back; none begins under them. The kill switch stays free."""
    work, before = os.path.join(TOP, "work"), document()
    id, killed = begin(), None
    git("init", "-q", "-b", "main", work)
    os.makedirs(os.path.join(work, ".weir"))
    with open(os.path.join(work, ".weir", "protection.yaml"), "w", encoding="utf-8") as f:
        f.write("environments:\n  production:\n    required-approvals: 1\n")
    git("add", "-A", cwd=work)
    git("commit", "-qm", "rules", cwd=work)
    git("push", "-q", f"http://weir:{token()}@127.0.0.1:{PORT}/git/shop.git", "main", cwd=work)
    wait(lambda: call("POST", SET + "/changes", {"base": revision(), "flags": {"other": OLD}})[0] == 403, "the environment is protected", 60)
    traffic(fine)
    wait(lambda: show(id)["share"] > 0.1, "its next step", 60)
    weir("flag", "rollout", "abort", id)
    expect(document() == before, "and its way back")
    expect("protected" in begin(want=403), "none begins without a draft")
    with open(os.path.join(work, ".weir", "protection.yaml"), "w", encoding="utf-8") as f:
        f.write("environments:\n  elsewhere:\n    required-approvals: 1\n")
    git("commit", "-qam", "rules", cwd=work)
    git("push", "-q", f"http://weir:{token()}@127.0.0.1:{PORT}/git/shop.git", "main", cwd=work)
    killed = begin()
    git("revert", "--no-edit", "HEAD", cwd=work)
    git("push", "-q", f"http://weir:{token()}@127.0.0.1:{PORT}/git/shop.git", "main", cwd=work)
    wait(lambda: call("POST", SET + "/changes", {"base": revision(), "flags": {"other": OLD}})[0] == 403, "it is protected again", 60)
    weir("flag", "off", "shop/production", "cart")
    expect(show(killed)["state"] == "aborted" and json.loads(document())["flags"]["cart"] == {**OLD, "state": "DISABLED"}, "the kill switch is free")


def two_servers():
    other, port = Server(), free_port()
    for part in ("keys", "repos"):
        shutil.copytree(os.path.join(DATA, part), os.path.join(f"{DATA}-{port}", part))
    other.start(listen=port)
    try:
        before = document()
        id = begin()
        wait(lambda: "weir.arm" in evaluate("user-1", port)["metadata"], "the other server serves the step", 60)
        r = until_over(id, lambda u, variant: variant != "on", port=port, track_port=PORT)
        expect(r["state"] == "rolled-back" and document() == before, f"what the other server saw counts: {r}")
        id = begin()
        wait(lambda: "weir.arm" in evaluate("user-1", port)["metadata"], "the other server serves the step", 60)
        r = until_over(id, fine, port=PORT, track_port=port)
        expect(r["state"] == "finished", f"and what it was told: {r}")
        call("POST", SET + "/changes", {"base": revision(), "flags": {"cart": OLD}})
    finally:
        other.stop()
        subprocess.run([WEIR, "down"], env={**ENV, "WEIR_DATA": f"{DATA}-{port}"}, cwd=TOP, capture_output=True, timeout=60, check=False)


def main():
    SERVER.start()
    try:
        weir("project", "create", "shop")
        weir("flag", "create", "shop/production", "--environment", "production")
        status, answer, _ = call("POST", "/api/v1/tokens", {"name": "app", "scope": "flags"})
        TOKENS["app"] = answer["token"]
        call("POST", SET + "/changes", {"base": 0, "flags": {"cart": OLD}})
        refusals()
        a_good_one()
        a_sick_one()
        the_same_users()
        orders()
        exposures_by_the_client()
        a_kill()
        if DATABASE:
            two_servers()
        protection()
        print("flag rollouts: all as it should be")
    finally:
        end()


main()
