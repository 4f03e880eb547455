#!/usr/bin/env python3
"""unleash.py WEIR [postgresql]: the protocol of Unleash's clients on the wire. Features with their ETags and filters, deltas and streams that go on where they were,
evaluation by the server, what clients report, and errors in Unleash's shape."""
import http.client
import json
import os
import sys
import time

sys.dont_write_bytecode = True
from served import PORT, SERVER, TOKENS, TOP, call, end, expect, token, wait, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
ON_OFF = {"on": True, "off": False}
SPEC = {"Unleash-Client-Spec": "5.2.0"}


def on(default="on", **more):
    return {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": default, **more}


def revision():
    return next(s["revision"] for s in call("GET", "/api/v1/flag-sets")[1]["flag_sets"] if s["id"] == "shop/production")


def change(flags, want=200, **more):
    status, answer, _ = call("POST", SET + "/changes", {"base": revision(), "flags": flags, **more})
    expect(status == want, f"change of {list(flags)}: {status} {answer}, not {want}")
    return answer.get("revision")


def features(query="", who="app", headers=None, want=200):
    status, answer, got = call("GET", "/api/client/features" + query, who=who, headers={**SPEC, **(headers or {})})
    expect(status == want, f"features{query}: {status} {answer}, not {want}")
    return answer, got


def refused(status, name, method, path, said="", **more):
    got, answer, _ = call(method, path, **more)
    shape = isinstance(answer, dict) and set(answer) == {"id", "name", "message", "details"} and answer["details"][0]["message"] == answer["message"]
    expect(got == status and shape and answer["name"] == name and said in answer["message"], f"{method} {path}: {got} {answer}, not {status} {name} '{said}'")


def too_much(path):
    """Refused by its length, before the body is sent."""
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    c.putrequest("POST", path)
    for name, value in (("Authorization", token("app")), ("Content-Type", "application/json"), ("Content-Length", "4000001")):
        c.putheader(name, value)
    c.endheaders()
    r = c.getresponse()
    answer = json.loads(r.read())
    c.close()
    expect(r.status == 413 and answer["name"] == "PayloadTooLargeError" and answer["details"], f"{path}: {r.status} {answer}")


def frontend(query="", context=None, who="app", headers=None, want=200):
    if context is None:
        status, answer, got = call("GET", "/api/frontend" + query, who=who, headers=headers)
    else:
        status, answer, got = call("POST", "/api/frontend", {"context": context}, who, headers)
    expect(status == want, f"frontend {query}{context}: {status} {answer}, not {want}")
    return ({t["name"]: t for t in answer["toggles"]} if want == 200 else answer), got


class Stream:
    def __init__(self, query="", last=None):
        self.c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        self.c.request("GET", "/api/client/streaming" + query, headers={"Authorization": token("app"), **SPEC, **({"Last-Event-ID": str(last)} if last is not None else {})})
        self.r = self.c.getresponse()
        expect(self.r.status == 200 and self.r.getheader("Content-Type") == "text/event-stream", f"the stream opens: {self.r.status}")

    def next(self):
        """(id, event, data) of the next message"""
        seen = {}
        while True:
            line = self.r.readline().decode().rstrip("\n")
            if not line and "event" in seen:
                return int(seen["id"]) if "id" in seen else None, seen["event"], json.loads(seen["data"]) if seen["data"][0] == "{" else seen["data"]
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                seen[name] = value

    def close(self):
        self.c.close()


def kinds(events):
    return [(e["type"], e.get("feature", {}).get("name") or e.get("featureName")) for e in events]


# --- acts ---

def sets_and_tokens():
    weir("project", "create", "shop")
    for name, scope, project in (("app", "flags", "shop"), ("reader", "read", None), ("machine", "runner", None), ("wide", "flags", None), ("elsewhere", "flags", "ledger")):
        status, answer, _ = call("POST", "/api/v1/tokens", {"name": name, "scope": scope, **({"project": project} if project else {})})
        expect(status in (200, 201), f"token {name}: {status} {answer}")
        TOKENS[name] = answer["token"]
    refused(404, "NotFoundError", "GET", "/api/client/features", "no flag set", who="app")
    weir("flag", "create", "shop/production", "--environment", "production")
    answer, _ = features()
    expect(answer["features"] == [] and answer["segments"] == [] and answer["version"] == 2, f"an empty set: {answer}")


def errors():
    refused(401, "AuthenticationRequired", "GET", "/api/client/features", who=None)
    refused(401, "AuthenticationRequired", "GET", "/api/client/features", who=None, headers={"Authorization": "default:development.unleash-insecure-api-token"})
    refused(403, "NoAccessError", "GET", "/api/client/features", "flags", who="machine")
    refused(404, "NotFoundError", "GET", "/api/client/features", who="elsewhere")
    refused(404, "NotFoundError", "GET", "/api/client/nothing", who="app")
    refused(404, "NotFoundError", "GET", "/api/client/features/nothing", who="app")
    refused(400, "BadDataError", "GET", "/api/client/features?nameprefix=x", "namePrefix", who="app")
    refused(400, "BadDataError", "GET", "/api/client/features?tag=simple", "TYPE:VALUE", who="app")
    refused(400, "BadDataError", "GET", "/api/client/features?namePrefix=%ff", "UTF-8", who="app")
    refused(404, "NotFoundError", "GET", "/api/client/features?project=ledger", who="app")
    for path in ("register", "metrics", "metrics/bulk"):
        refused(415, "ContentTypeError", "POST", f"/api/client/{path}", who="app", raw="{}", headers={"Content-Type": "text/plain"})
        refused(400, "BadDataError", "POST", f"/api/client/{path}", who="app", raw="{")
        refused(400, "BadDataError", "POST", f"/api/client/{path}", who="app", raw='{"appName": "\xff"}'.encode("latin-1"))
        refused(413, "PayloadTooLargeError", "POST", f"/api/client/{path}", "nested deeper", who="app", raw="[" * 5000)
        refused(400, "BadDataError", "POST", f"/api/client/{path}", who="app", body=[])
        too_much(f"/api/client/{path}")
    refused(415, "ContentTypeError", "POST", "/api/frontend", who="app", raw="{}", headers={"Content-Type": "text/plain"})
    refused(400, "BadDataError", "POST", "/api/frontend", "context must be a map", who="app", body={"context": 3})
    refused(400, "BadDataError", "POST", "/api/client/metrics", "appName", who="app", body={"bucket": None})
    refused(400, "BadDataError", "POST", "/api/client/metrics", "stop", who="app", body={"appName": "a", "bucket": {"start": "2026-01-01T00:00:00Z", "toggles": {}}})
    refused(400, "BadDataError", "POST", "/api/client/metrics", "yes", who="app",
            body={"appName": "a", "bucket": {"start": "2026-01-01T00:00:00Z", "stop": "2026-01-01T00:00:00Z", "toggles": {"a": {"yes": -1}}}})
    refused(400, "BadDataError", "POST", "/api/client/register", "appName", who="app", body={"appName": "a\nb"})
    refused(405, "InvalidOperationError", "DELETE", "/api/client/features", who="app")


def giving():
    change({"yes": on(), "no": on("off"), "killed": {**on(), "state": "DISABLED"}, "colour": {"state": "ENABLED", "variants": {"red": "#f00", "blue": "#00f"}, "defaultVariant": "red",
                                                                                               "metadata": {"tags": "team:web, simple:a", "description": "the banner"}},
            "limit": {"state": "ENABLED", "variants": {"low": 1.5}, "defaultVariant": "low"}, "layout": {"state": "ENABLED", "variants": {"wide": {"c": [1]}}, "defaultVariant": "wide"},
            "ruled": on("off", targeting={"if": [{"==": [{"var": "plan"}, "gold"]}, "on", None]}), "open": {"state": "ENABLED", "variants": ON_OFF},
            "timed": on(weir={"until": "2100-01-01T00:00:00Z"}), "needing": on(weir={"prerequisites": [{"flag": "yes", "variants": ["on"]}]})})
    answer, got = features()
    by = {f["name"]: f for f in answer["features"]}
    expect(list(by) == ["colour", "killed", "layout", "limit", "no", "yes"], f"what clients evaluate: {list(by)}")
    expect((by["yes"]["enabled"], by["no"]["enabled"], by["killed"]["enabled"]) == (True, False, False), "a boolean flag is on where its value is true")
    expect(by["colour"]["variants"] == [{"name": "red", "weight": 1000, "stickiness": "default", "payload": {"type": "string", "value": "#f00"}}], f"{by['colour']}")
    expect(by["colour"]["description"] == "the banner" and by["colour"]["project"] == "shop" and by["colour"]["strategies"][0]["name"] == "default", f"{by['colour']}")
    expect([by[n]["variants"][0]["payload"] for n in ("limit", "layout")] == [{"type": "number", "value": "1.5"}, {"type": "json", "value": '{"c":[1]}'}], "payloads")
    expect(answer["query"]["environment"] == "production" and answer["meta"]["revisionId"] == revision() and answer["meta"]["etag"] == got["etag"], f"{answer['meta']}")
    left = {f["key"]: f["why"] for f in call("GET", SET + "/unleash", who="reader")[1]["left_out"]}
    expect(list(left) == ["needing", "open", "ruled", "timed"] and "rule of flagd" in left["ruled"] and "default variant" in left["open"], f"what is left out is told: {left}")
    expect(call("GET", "/api/client/features/colour", who="app")[1]["name"] == "colour", "one feature")
    refused(404, "NotFoundError", "GET", "/api/client/features/ruled", "rule of flagd", who="app")


def etags_and_filters():
    _, got = features()
    etag = got["etag"]
    expect(etag.endswith(f':{revision()}:v1"'), f"the ETag names the revision: {etag}")
    features(headers={"If-None-Match": etag}, want=304)
    for query, want in (("?namePrefix=l", ["layout", "limit"]), ("?tag=team:web", ["colour"]), ("?tag=simple:a&tag=x:y", ["colour"]), ("?tag=x:y", []),
                        ("?project=shop&namePrefix=y", ["yes"]), ("?environment=production&namePrefix=n", ["no"])):
        answer, other = features(query, headers={"If-None-Match": etag})
        expect([f["name"] for f in answer["features"]] == want and other["etag"] != etag, f"{query}: {[f['name'] for f in answer['features']]}, {other['etag']}")
    old, other = call("GET", "/api/client/features", who="app")[1:]
    expect("segments" not in old and old["query"]["inlineSegmentConstraints"] and other["etag"] != etag, "clients that know no segments get none")
    change({"yes": on("off")})
    answer, _ = features(headers={"If-None-Match": etag})
    expect(not next(f for f in answer["features"] if f["name"] == "yes")["enabled"], "a change makes another ETag")
    change({"yes": on()})
    status, answer, _ = call("GET", "/api/client/features", who=None, headers={"Authorization": "Bearer " + token("app")})
    expect(status == 200, "Bearer does as well")
    weir("project", "create", "other")
    weir("flag", "create", "other/production")
    refused(400, "BadDataError", "GET", "/api/client/features", "Unleash-Environment", who="wide")
    refused(400, "BadDataError", "GET", "/api/client/features", "Unleash-Environment", who="wide", headers={"Unleash-Environment": "production"})
    for query, headers, want in (("", {"Unleash-Environment": "other/production"}, 0), ("", {"Unleash-Environment": "shop/production"}, 6), ("?project=other", {}, 0)):
        expect(len(features(query, "wide", headers)[0]["features"]) == want, f"which set: {query} {headers}")
    refused(404, "NotFoundError", "GET", "/api/client/features", who="app", headers={"Unleash-Environment": "other/production"})


def deltas():
    status, answer, got = call("GET", "/api/client/delta", who="app", headers=SPEC)
    event = answer["events"][0]
    expect(status == 200 and event["type"] == "hydration" and event["eventId"] == revision() and len(event["features"]) == 6 and event["segments"] == [], f"hydration: {answer}")
    expect(call("GET", "/api/client/delta", who="app", headers={"If-None-Match": got["etag"]})[0] == 304, "nothing new")
    change({"fresh": on()})
    change({"fresh": on("off"), "limit": None})
    change({"layout": on("off", targeting={"if": [True, "on"]})})
    status, answer, new = call("GET", "/api/client/delta", who="app", headers={"If-None-Match": got["etag"]})
    expect(kinds(answer["events"]) == [("feature-updated", "fresh"), ("feature-removed", "layout"), ("feature-removed", "limit")], f"what changed: {answer}")
    expect(all(e["eventId"] == revision() for e in answer["events"]) and new["etag"] != got["etag"] and not answer["events"][0]["feature"]["enabled"], f"{answer}")
    plain = call("GET", "/api/client/delta", who="app", headers={"If-None-Match": f'"{revision() - 1}"'})[1]
    expect(kinds(plain["events"]) == [("feature-removed", "layout")], f"a revision alone: {plain}")
    for strange in ('"999999"', f'"{revision()}:ffffffff"', "x", '"-1"', '""'):
        answer = call("GET", "/api/client/delta", who="app", headers={"If-None-Match": strange})[1]
        expect(answer["events"][0]["type"] == "hydration", f"{strange}: {answer}")
    other = call("GET", "/api/client/delta?namePrefix=f", who="app", headers={"If-None-Match": new["etag"]})[1]
    expect(other["events"][0]["type"] == "hydration" and [f["name"] for f in other["events"][0]["features"]] == ["fresh"], f"another query begins anew: {other}")


def streams():
    s = Stream()
    first = s.next()
    expect(first[:2] == (revision(), "unleash-connected") and first[2]["events"][0]["type"] == "hydration", f"first everything: {first[:2]}")
    filtered = Stream("?namePrefix=no")
    expect([f["name"] for f in filtered.next()[2]["events"][0]["features"]] == ["no"], "a filter holds for streams")
    change({"yes": on("off")})
    seen = s.next()
    expect(seen[:2] == (revision(), "unleash-updated") and kinds(seen[2]["events"]) == [("feature-updated", "yes")], f"then what changes: {seen}")
    expect(kinds(filtered.next()[2]["events"]) == [("feature-removed", "yes")], "what the filter leaves out is not there for the client")
    s.close()
    filtered.close()
    before = revision()
    change({"yes": on()})
    change({"no": on()})
    SERVER.stop()
    SERVER.start()
    s = Stream(last=before)
    seen = s.next()
    expect(seen[:2] == (revision(), "unleash-updated") and kinds(seen[2]["events"]) == [("feature-updated", "no"), ("feature-updated", "yes")], f"goes on after a restart: {seen}")
    change({"no": on("off")})
    expect(s.next()[0] == revision(), "and on")
    s.close()
    s = Stream(last=999999)
    expect(s.next()[1] == "unleash-connected", "an id that never was begins anew")
    s.close()
    refused(400, "BadDataError", "GET", "/api/client/streaming", "Last-Event-ID", who="app", headers={"Last-Event-ID": "x"})
    refused(401, "AuthenticationRequired", "GET", "/api/client/streaming", who=None)


def too_large():
    """A set whose features do not fit into an event is polled: its clients are told so."""
    big = {"state": "ENABLED", "variants": {"v": "x" * 200000}, "defaultVariant": "v"}
    s = Stream()
    s.next()
    change({f"big{i}": big for i in range(6)})
    expect(s.next() == (None, "fetch-mode", "polling"), "back to polling")
    s.close()
    expect(len(features("?namePrefix=big")[0]["features"]) == 6, "and polling has it")
    change({f"big{i}": None for i in range(6)})


def evaluating():
    got, headers = frontend("?userId=7&properties[plan]=gold&properties[other]=")
    expect(set(got) == {"yes", "colour", "ruled", "timed", "needing", "layout"}, f"all kinds of rules: {set(got)}")
    expect(got["ruled"] == {"name": "ruled", "enabled": True, "variant": {"name": "on", "enabled": True, "feature_enabled": True, "featureEnabled": True,
                                                                         "payload": {"type": "string", "value": "true"}}, "impressionData": False}, f"{got['ruled']}")
    expect("ruled" not in frontend("?userId=7&properties[plan]=tin")[0], "only what is on")
    expect("ruled" in frontend("?userId=7&plan=gold")[0], "other names of the query are properties")
    expect("ruled" in frontend(context={"userId": "7", "properties": {"plan": "gold"}})[0] and "ruled" in frontend(context={"plan": "gold"})[0], "by the body")
    frontend("?userId=7&properties[plan]=gold", headers={"If-None-Match": headers["etag"]}, want=304)
    expect("ruled" not in frontend("?userId=7&properties[plan]=tin", headers={"If-None-Match": headers["etag"]})[0], "another context is not told that nothing changed")
    expect(headers["access-control-allow-origin"] == "*" and "ETag" in headers["access-control-expose-headers"], "CORS")
    status, _, got = call("OPTIONS", "/api/frontend", who=None, headers={"Access-Control-Request-Method": "POST", "Origin": "https://a.example"})
    allowed = got["access-control-allow-headers"].lower()
    expect(status == 204 and all(h in allowed for h in ("authorization", "unleash-sdk", "unleash-appname", "unleash-connection-id", "if-none-match")), f"{allowed}")
    change({"address": on("off", targeting={"if": [{"==": [{"var": "remoteAddress"}, "127.0.0.1"]}, "on", None]}),
            "sticky": on("off", targeting={"if": [{"==": [{"var": "targetingKey"}, "s1"]}, "on", None]})})
    expect("address" in frontend()[0], "the caller's address is added")
    expect("sticky" in frontend("?sessionId=s1")[0] and "sticky" not in frontend("?sessionId=s1&userId=u")[0], "targetingKey is userId, else sessionId")
    too_much("/api/frontend")
    refused(401, "AuthenticationRequired", "GET", "/api/frontend", who=None)


def unleash(strategies, state="ENABLED", **more):
    return {"state": state, "weir": {"unleash": {"strategies": strategies, **more}}}


def own_kind():
    """Flags of Unleash's own kind are given as they are; segments beside them, or inside for clients that do not know them."""
    staff = [{"contextName": "userId", "operator": "STR_ENDS_WITH", "values": ["@example.org"]}]
    gold = {"name": "default", "title": "for gold", "constraints": [{"contextName": "plan", "operator": "IN", "values": ["gold"]}]}
    off = {"name": "default", "disabled": True}
    variants = [{"name": "a", "weight": 1000, "payload": {"type": "string", "value": "A"}}]
    _, before = call("GET", "/api/client/delta", who="app", headers=SPEC)[1:]
    change({"beta": unleash([gold, off], variants=variants, impressionData=True, type="experiment"), "asleep": unleash([off]),
            "inner": unleash([{"name": "flexibleRollout", "segments": [7], "parameters": {"rollout": 100, "stickiness": "userId"}}]),
            "child": unleash([{"name": "default"}], dependencies=[{"feature": "beta"}]), "orphan": unleash([{"name": "default"}], dependencies=[{"feature": "ruled"}])},
           segments={"staff": {"id": 7, "constraints": staff}, "nobody": {"id": 8, "constraints": []}})
    answer, _ = features()
    by = {f["name"]: f for f in answer["features"]}
    expect(by["beta"]["strategies"] == [{"name": "default", "parameters": {}, "constraints": gold["constraints"], "variants": []}], f"{by['beta']}")
    expect((by["beta"]["variants"], by["beta"]["impressionData"], by["beta"]["type"], by["beta"]["enabled"]) == (variants, True, "experiment", True), f"{by['beta']}")
    expect(by["asleep"]["enabled"] is False, "a feature whose strategies are all switched off is off, not on for everybody")
    expect(by["inner"]["strategies"][0]["segments"] == [7] and by["inner"]["strategies"][0]["parameters"]["rollout"] == "100", f"{by['inner']}")
    expect(by["child"]["dependencies"] == [{"feature": "beta"}] and "orphan" not in by, f"{by['child']}")
    expect(answer["segments"] == [{"id": 7, "name": "staff", "constraints": staff}, {"id": 8, "name": "nobody", "constraints": []}], f"{answer['segments']}")
    left = {f["key"]: f["why"] for f in call("GET", SET + "/unleash")[1]["left_out"]}
    expect("depends on 'ruled'" in left["orphan"] and "rule of flagd" in left["orphan"], f"a child of what is left out is left out: {left}")
    old = {f["name"]: f for f in call("GET", "/api/client/features", who="app", headers={"Unleash-Client-Spec": "4.1.9"})[1]["features"]}
    expect(old["inner"]["strategies"][0]["constraints"] == staff and "segments" not in old["inner"]["strategies"][0], f"inside: {old['inner']}")
    events = call("GET", "/api/client/delta", who="app", headers={"If-None-Match": before["etag"]})[1]["events"]
    expect([e["segment"]["id"] for e in events if e["type"] == "segment-updated"] == [7, 8] and ("feature-updated", "beta") in kinds(events)
           and ("feature-removed", "orphan") in kinds(events), f"{events}")
    weir("flag", "archive", "shop/production", "asleep")
    expect("asleep" not in {f["name"] for f in features()[0]["features"]} and "asleep" not in {f["key"] for f in call("GET", SET + "/unleash")[1]["left_out"]}, "archived")
    s = Stream()
    s.next()
    change({"ruled": on()}, segments={"staff": {"id": 7, "constraints": []}})
    events = s.next()[2]["events"]
    expect([(e["type"], e.get("segmentId"), e.get("segment", {}).get("constraints")) for e in events[:2]] == [("segment-updated", None, []), ("segment-removed", 8, None)]
           and kinds(events[2:]) == [("feature-updated", "ruled"), ("feature-updated", "orphan")], f"segments and children: {events}")
    s.close()
    got, _ = frontend("?userId=7&properties[plan]=gold")
    expect(got["beta"]["variant"] == {"name": "a", "enabled": True, "feature_enabled": True, "featureEnabled": True, "payload": {"type": "string", "value": "A"}}
           and got["beta"]["impressionData"] and "child" in got, f"by the server: {got['beta']}")
    got, _ = frontend("?userId=7&properties[plan]=tin")
    expect("beta" not in got and "child" not in got and "asleep" not in got and "inner" in got, f"{set(got)}")
    expect(got["inner"]["variant"] == {"name": "disabled", "enabled": False, "feature_enabled": True, "featureEnabled": True}, f"{got['inner']}")


def limits():
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    bucket = {"start": now, "stop": now, "toggles": {f"f{i}": {} for i in range(10001)}}
    refused(400, "BadDataError", "POST", "/api/client/metrics", "at most 10000", who="app", body={"appName": "a", "bucket": bucket})
    refused(400, "BadDataError", "POST", "/api/client/metrics/bulk", "at most 10000", who="app", body={"applications": [{"appName": "a"}] * 10001})
    refused(400, "BadDataError", "POST", "/api/client/metrics/bulk", "at most 10000", who="app", body={"metrics": [{}] * 10001})
    refused(400, "BadDataError", "POST", "/api/client/register", "at most 1000", who="app", body={"appName": "a", "strategies": ["s"] * 1001})
    bucket["toggles"] = {"f": {"variants": {f"v{i}": 1 for i in range(1001)}}}
    refused(400, "BadDataError", "POST", "/api/client/metrics", "at most 1000", who="app", body={"appName": "a", "bucket": bucket})
    refused(413, "PayloadTooLargeError", "GET", "/api/client/features?" + "&".join(["tag=a:b"] * 101), "100 times", who="app")
    refused(413, "PayloadTooLargeError", "GET", "/api/frontend?" + "&".join(["a"] * 201), "200 names", who="app")
    refused(413, "PayloadTooLargeError", "POST", "/api/frontend", "1000 names", who="app", body={"context": {f"a{i}": 1 for i in range(500)} | {"properties": {f"b{i}": 1 for i in range(501)}}})
    weir("flag", "create", "other/crowded")
    crowd = {"Unleash-Environment": "other/crowded"}
    for turn in range(2):
        many = {"applications": [{"appName": "many", "instanceId": f"{turn}-{i}"} for i in range(10000)]}
        expect(call("POST", "/api/client/metrics/bulk", many, "wide", crowd)[0] == 202, "as many instances as may be")
    refused(429, "RateLimitError", "POST", "/api/client/register", "20000 instances", who="wide", headers=crowd, body={"appName": "one more"})
    expect(call("POST", "/api/client/register", {"appName": "many", "instanceId": "1-7"}, "wide", crowd)[0] == 202, "those that are known go on")
    hour = {"metrics": [{"featureName": f"f{i}", "appName": "many", "timestamp": now} for i in range(10000)]}
    for turn in range(10):
        for m in hour["metrics"]:
            m["appName"] = f"app{turn}"
        expect(call("POST", "/api/client/metrics/bulk", hour, "wide", crowd)[0] == 202, "as many counts as may be")
    refused(429, "RateLimitError", "POST", "/api/client/metrics/bulk", "counts of this hour", who="wide", headers=crowd,
            body={"metrics": [{"featureName": "g", "appName": "g", "timestamp": now}]})
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 50 * 3600))
    for turn in range(9):
        past = {"metrics": [{"featureName": f"f{i}", "appName": f"app{turn}", "timestamp": before} for i in range(10000)]}
        expect(call("POST", "/api/client/metrics/bulk", past, "wide", crowd)[0] == 202, "as many counts of an hour that is over")
    variants = [{"featureName": f"f{i}", "appName": "app0", "timestamp": before, "variants": {f"v{j}": 1 for j in range(999)}} for i in range(11)]
    refused(429, "RateLimitError", "POST", "/api/client/metrics/bulk", "counts of this hour", who="wide", headers=crowd, body={"metrics": variants})


def huge_counts():
    weir("flag", "create", "other/huge")
    huge = {"Unleash-Environment": "other/huge"}
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    for app in ("a", "b"):
        one = {"featureName": "f", "appName": app, "timestamp": now, "yes": 10 ** 15, "variants": {"v": 10 ** 15}}
        expect(call("POST", "/api/client/metrics/bulk", {"metrics": [one] * 9000}, "wide", huge)[0] == 202, "counts that nobody has")
    one["appName"] = "a"
    expect(call("POST", "/api/client/metrics/bulk", {"metrics": [one] * 9000}, "wide", huge)[0] == 202, "and once more: sums stay below the end of the column")
    status, answer, _ = call("GET", "/api/v1/projects/other/flag-sets/huge/counts")
    expect(status == 200 and len(answer["counts"]) == 2, f"their sums: {status} {answer}")


def importing():
    """Exports of Unleash by the command line: one change, what is left out is said, and segments are put beside those that are there."""
    path = os.path.join(TOP, "export.json")

    def take(doc, *more, want=0, name="shop/taken"):
        with open(path, "w", encoding="utf-8") as f:
            json.dump(doc, f)
        return weir("flag", "import", name, path, *more, want=want)

    answer, _ = features()
    weir("flag", "create", "shop/taken")
    said = take(answer)
    expect(f"{len(answer['features'])} features and 1 segments" in said, f"a body of the client API: {said}")
    again, _ = features(headers={"Unleash-Environment": "taken"})
    names = {f["name"] for f in answer["features"]}
    expect({f["name"] for f in again["features"]} == names and again["segments"] == answer["segments"], f"it comes out as it went in: {names}")
    own = [f for f in answer["features"] if f["name"] in ("beta", "child", "inner")]
    expect([f for f in again["features"] if f["name"] in ("beta", "child", "inner")] == own and len(own) == 3, f"exactly: {own}")
    export = {"features": [{"name": "x"}, {"name": "y"}], "featureStrategies": [{"featureName": "x", "name": "default", "segments": [9]}, {"featureName": "y", "name": "byMoon"}],
              "featureEnvironments": [{"featureName": n, "environment": e, "enabled": e == "dev"} for n in "xy" for e in ("dev", "prod")], "segments": [{"id": 9, "name": "more"}]}
    expect("dev, prod" in take(export, want=2), "several environments")
    expect("no feature that can be taken over" in take(export, "--environment", "dev", want=2), "nothing to take over")
    segments = os.path.join(TOP, "segments.json")
    with open(segments, "w", encoding="utf-8") as f:
        json.dump({"segments": [{"id": 9, "name": "more", "constraints": []}]}, f)
    said = take(export, "--environment", "dev", "--segments", segments)
    expect("y: left out; its strategy 'byMoon'" in said and "1 features and 1 segments" in said, f"what is left out is said: {said}")
    expect([s["name"] for s in features(headers={"Unleash-Environment": "taken"})[0]["segments"]] == ["staff", "more"], "segments that were there stay")
    with open(segments, "w", encoding="utf-8") as f:
        json.dump({"segments": [{"id": 9, "name": "other", "constraints": []}]}, f)
    expect("the id 9" in take(export, "--environment", "dev", "--segments", segments, want=2), "an id that another segment has")
    expect("neither" in take({"flag": 1}, want=2) and "--from must be" in take(export, "--from", "moon", want=2), "what is no export")
    expect("exports of Unleash" in take({"flags": {}}, "--environment", "dev", want=2), "an environment of a flagd document")
    take({"flags": {"z": on()}})
    weir("flag", "remove", "shop/taken", "z")


def reports():
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    body = {"appName": "cart", "instanceId": "i1", "sdkVersion": "unleash-node-sdk:6.12.1", "strategies": ["default", "own"], "started": now, "interval": 10000}
    expect(call("POST", "/api/client/register", body, "app")[0] == 202, "register")
    bucket = {"start": now, "stop": now, "toggles": {"yes": {"yes": 3, "no": 1, "variants": {"on": 3}}, "ghost": {"yes": 0, "no": 2}}}
    for _ in range(2):
        expect(call("POST", "/api/client/metrics", {"appName": "cart", "instanceId": "i1", "bucket": bucket}, "app")[0] == 202, "metrics")
    expect(call("POST", "/api/client/metrics", {"appName": "cart", "instanceId": None, "bucket": None, "impactMetrics": []}, "app")[0] == 202, "without counts")
    page = {"appName": "page", "instanceId": "browser", "bucket": {**bucket, "toggles": {"yes": {"yes": 5, "no": 0, "variants": {}}}}}
    expect(call("POST", "/api/frontend/client/metrics", page, "app", {"unleash-sdk": "unleash-js:3.8.2"})[0] == 200, "metrics of a page")
    expect(call("POST", "/api/frontend/client/register", {"appName": "page", "instanceId": "b2"}, "app")[0] == 200, "registration of a page")
    relayed = {"applications": [{"appName": "relayed", "instanceId": "e1"}], "metrics": [{"featureName": "yes", "appName": "relayed", "environment": "production", "timestamp": now,
                                                                                         "yes": 7, "no": 0, "variants": {"on": 7}}]}
    expect(call("POST", "/api/client/metrics/bulk", relayed, "app")[0] == 202, "in bulk")
    clients = {(c["app"], c["instance"]): c for c in call("GET", SET + "/clients", who="reader")[1]["clients"]}
    expect(set(clients) == {("cart", "i1"), ("cart", "default"), ("page", "browser"), ("page", "b2"), ("relayed", "e1")}, f"{set(clients)}")
    cart = clients["cart", "i1"]
    expect(cart["strategies"] == ["default", "own"] and cart["sdk"] == "unleash-node-sdk:6.12.1" and cart["interval_ms"] == 10000 and cart["kind"] == "backend", f"{cart}")
    expect(clients["page", "browser"]["sdk"] == "unleash-js:3.8.2" and clients["page", "browser"]["kind"] == "frontend", f"{clients}")
    counts = {(c["key"], c["app"]): c for c in call("GET", SET + "/counts", who="reader")[1]["counts"]}
    expect({k: (c["yes"], c["no"], c["variants"]) for k, c in counts.items()} == {("yes", "cart"): (6, 2, {"on": 6}), ("ghost", "cart"): (0, 4, {}), ("yes", "page"): (5, 0, {}),
                                                                                 ("yes", "relayed"): (7, 0, {"on": 7})}, f"{counts}")
    expect([c["key"] for c in call("GET", SET + "/counts?flag=ghost&hours=48", who="reader")[1]["counts"]] == ["ghost"], "of one flag")
    expect("left out of what Unleash's clients evaluate themselves: open: it has no default variant" in weir("flag", "list", "shop/production"), "the list tells what is left out")
    expect("left out" in weir("flag", "show", "shop/production", "open") and "left out" not in weir("flag", "show", "shop/production", "yes"), "and so does a flag")
    expect(call("GET", SET + "/clients", who="app")[0] == 403 and call("GET", SET.replace("production", "x") + "/counts")[0] == 404, "who may read, and what is not there")
    old = {**bucket, "start": "2020-01-01T00:00:00Z", "stop": "2020-01-01T00:00:00Z", "toggles": {"old": {"yes": 1, "no": 0}}}
    expect(call("POST", "/api/client/metrics", {"appName": "cart", "bucket": old}, "app")[0] == 202, "counts of long ago are taken")
    expect(not call("GET", SET + "/counts?flag=old&hours=720", who="reader")[1]["counts"], "and not kept")


def main():
    SERVER.start()
    try:
        for act in (sets_and_tokens, errors, giving, etags_and_filters, deltas, streams, too_large, evaluating, own_kind, reports, limits, huge_counts, importing):
            act()
            print("ok", act.__name__)
    finally:
        end()


main()
