#!/usr/bin/env python3
"""flags-unleash.py WEIR [postgresql]: flags of Unleash's kind as OpenFeature's clients and people see them. Segments kept with the set and its history, what is
refused and where, answers and their reasons, chance that no ETag hides, the command line, a file of the repository, and all of it after a SIGKILL."""
import json
import os
import signal
import sys

sys.dont_write_bytecode = True
from served import PORT, SERVER, TOKENS, TOP, call, end, expect, git, token, wait, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
STAFF = {"contextName": "plan", "operator": "IN", "values": ["staff"]}
SEGMENTS = {"staff": {"id": 7, "description": "our own", "constraints": [STAFF]}}


def flag(*strategies, state="ENABLED", **more):
    return {"state": state, "weir": {"unleash": {"strategies": list(strategies), **more}}}


def rollout(percent, sticky="userId", **more):
    return {"name": "flexibleRollout", "parameters": {"rollout": str(percent), "stickiness": sticky, "groupId": "g"}, **more}


def variants(*names, **more):
    return [{"name": n, "weight": 100, **more} for n in names]


def change(flags, want=200, **more):
    base = next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")
    status, answer, _ = call("POST", SET + "/changes", {"base": base, "flags": flags, **more})
    expect(status == want, f"change of {list(flags)}: {status} {answer}, not {want}")
    return answer["revision"] if want == 200 else answer["error"]["message"]


def single(key, context, selector="shop/production"):
    return call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": context}, "app", {"Flagd-Selector": f"flagSetId={selector}"})[1]


def bulk(context, **headers):
    return call("POST", "/ofrep/v1/evaluate/flags", {"context": context}, "app", {"Flagd-Selector": "flagSetId=shop/production",
                                                                                  **{k.replace("_", "-"): v for k, v in headers.items()}})


# --- acts ---

def definitions():
    weir("project", "create", "shop")
    weir("flag", "create", "shop/production", "--environment", "production")
    TOKENS["app"] = call("POST", "/api/v1/tokens", {"name": "app", "scope": "flags"})[1]["token"]
    for bad, said in ((flag({"name": "flexibleRolout"}), "did you mean 'flexibleRollout'"),
                      ({**flag(), "variants": {"a": 1}}, "has no 'variants' of its own"),
                      (flag(rollout(50, constrains=[])), "did you mean 'constraints'")):
        msg = change({"bad": bad}, want=400)
        expect(said in msg, f"refused with its place: {msg}")
    for bad, said in ((flag({"name": "default", "segments": [7]}), "there is no segment 7"),
                      (flag({"name": "default", "constraints": [{"contextName": "a", "operator": "REGEX", "value": "("}]}), "regular expression"),
                      (flag(dependencies=[{"feature": "nobody"}]), "its parent 'nobody' is no flag")):
        msg = change({"bad": bad}, want=422)
        expect(said in msg, f"what cannot hold together is refused: {msg}")
    expect("another segment" in change({}, want=400, segments={**SEGMENTS, "b": {"id": 7, "constraints": []}}), "ids of segments are of one each")
    expect(change({"staff": flag({"name": "default", "segments": [7]})}, segments=SEGMENTS) == 1, "a flag and its segment in one change")
    expect(call("GET", SET)[1]["weir"] == {"segments": SEGMENTS}, "the document has the segments")
    expect("there is no segment 7" in change({}, want=422, segments={}), "a segment that is used does not go")
    change({"half": flag(rollout(50)), "all": flag(), "off": flag(state="DISABLED"),
            "colour": flag(rollout(100, variants=variants("red", "blue"))),
            "limit": flag(variants=[{"name": "ten", "weight": 1, "payload": {"type": "number", "value": "10"}}]),
            "child": flag(dependencies=[{"feature": "staff"}])})
    expect(call("GET", SET)[1]["weir"] == {"segments": SEGMENTS}, "which a change of flags leaves as they are")
    change({}, evaluators={}, metadata={"team": "shop"})
    expect(call("GET", SET)[1]["weir"] == {"segments": SEGMENTS}, "and one of metadata, too")


def answers():
    told = single("staff", {"plan": "staff"})
    expect(told == {"key": "staff", "reason": "TARGETING_MATCH", "variant": "on", "value": True, "metadata": {"team": "shop"}}, f"{told}")
    expect(single("staff", {"plan": "free"})["value"] is False, "the segment keeps others out")
    expect(single("half", {"targetingKey": "4"})["reason"] == "SPLIT", "a percentage decided")
    expect(single("off", {})["reason"] == "DISABLED" and "value" not in single("off", {}), "switched off")
    expect(single("limit", {})["value"] == 10, "a payload is the value")
    expect(single("child", {"plan": "staff"})["value"] is True and single("child", {})["reason"] == "DISABLED", "a child needs its parent")
    colours = {u: single("colour", {"targetingKey": str(u)})["value"] for u in range(20)}
    expect(set(colours.values()) == {"red", "blue"} and colours == {u: single("colour", {"targetingKey": str(u)})["value"] for u in range(20)}, "variants stick")
    expect(single("colour", {"country": "no"}) == {"key": "colour", "reason": "DEFAULT", "metadata": {"team": "shop"}}, "a rollout sticks to a field: without it it is off")


def etags():
    change({"dice": flag({"name": "gradualRolloutRandom", "parameters": {"percentage": "50"}})})
    told = {}
    for _ in range(200):
        status, answer, headers = bulk({"targetingKey": "4"}, **({"If_None_Match": told["etag"]} if told else {}))
        value = next(f for f in answer["flags"] if f["key"] == "dice")["value"] if status == 200 else told["value"]
        expect(status in (200, 304), f"bulk: {status}")
        if told and value != told["value"]:
            break
        told = {"etag": headers["etag"], "value": value}
    else:
        expect(False, "chance never changes the answer, or an ETag hides it")
    change({"dice": None, "colour": None})
    _, _, headers = bulk({"targetingKey": "4"})
    expect(bulk({"targetingKey": "4"}, If_None_Match=headers["etag"])[0] == 304, "without chance the same context is unchanged")


def people():
    ctx = os.path.join(TOP, "ctx.json")
    with open(ctx, "w", encoding="utf-8") as f:
        json.dump({"plan": "free", "targetingKey": "4"}, f)
    told = weir("flag", "explain", "shop/production", "staff", "--context", ctx)
    expect("constraint 0: plan IN, of segment 7, does not hold" in told and "strategy 0: default does not hold" in told, f"which constraint decided: {told}")
    told = weir("flag", "explain", "shop/production", "half", "--context", ctx)
    expect("strategy 0: flexibleRollout holds: bucket 8, up to 50" in told, f"and which bucket: {told}")
    told = weir("flag", "explain", "shop/production", "child", "--context", ctx)
    expect("parent 0: staff does not hold: it is off" in told, f"and which parent: {told}")
    expect("by Unleash's strategies (1)" in weir("flag", "list", "shop/production"), "listed as what they are")
    weir("flag", "off", "shop/production", "all")
    expect(single("all", {})["reason"] == "DISABLED", "the kill switch")
    weir("flag", "on", "shop/production", "all")
    change({}, segments={"staff": {"id": 7, "constraints": []}})
    expect(single("staff", {})["value"] is True, "another segment, another answer")
    expect(call("GET", SET + "?revision=1")[1]["weir"] == {"segments": SEGMENTS}, "the past has its own segments")
    answer = call("POST", SET + "/evaluate", {"key": "staff", "context": {}, "revision": 1})[1]
    expect(answer["value"] is False, f"and is evaluated with them: {answer}")
    weir("flag", "create", "shop/copy")
    doc = os.path.join(TOP, "set.json")
    with open(doc, "w", encoding="utf-8") as f:
        json.dump(call("GET", SET + "?revision=1")[1], f)
    weir("flag", "import", "shop/copy", doc)
    expect(call("GET", SET.replace("production", "copy"))[1] == call("GET", SET + "?revision=1")[1], "a document is taken over with its segments")


def repository():
    work = os.path.join(TOP, "work")
    remote = f"http://x:{token()}@127.0.0.1:{PORT}/git/shop.git"
    git("init", "-q", "-b", "main", work)
    os.makedirs(os.path.join(work, ".weir", "flags"))

    def push(flags, want=0, **more):
        with open(os.path.join(work, ".weir", "flags", "beta.json"), "w", encoding="utf-8") as f:
            json.dump({"flags": flags, **more}, f, indent=1)
        git("add", "-A", cwd=work)
        git("commit", "-qm", "flags", cwd=work)
        return git("push", "-q", remote, "main", want=want, cwd=work)

    staff = flag({"name": "default", "segments": [7]})
    push({"staff": staff}, weir={"segments": SEGMENTS})
    wait(lambda: single("staff", {"plan": "staff"}, "shop/beta").get("value") is True, "a pushed file is served with its segments")
    told = push({"staff": staff}, want=1)
    expect("beta.json:3:" in told and "there is no segment 7" in told, f"one without the segment is refused with its place: {told}")
    git("reset", "-q", "--hard", "HEAD~1", cwd=work)
    push({"staff": staff}, weir={"segments": {"staff": {"id": 7, "constraints": []}}})
    wait(lambda: single("staff", {}, "shop/beta").get("value") is True, "a push that changes a segment alone is taken over")


def after_death():
    before = call("GET", SET)[1]
    SERVER.stop(signal.SIGKILL)
    SERVER.start()
    expect(call("GET", SET)[1] == before and single("child", {})["value"] is True, "all of it is there after a SIGKILL")
    expect("ok:" in weir("log", "verify"), "the log is whole")


def main():
    SERVER.start()
    try:
        definitions()
        answers()
        etags()
        people()
        repository()
        after_death()
        print("flags of Unleash's kind: all as it should be")
    finally:
        end()


main()
