#!/usr/bin/env python3
"""flags-limits.py WEIR [postgresql]: what the room of flags does with too much, too often and malformed, in each protocol's own form of errors."""
import sys

sys.dont_write_bytecode = True
from served import ENV, SERVER, TOKENS, call, end, expect, weir  # noqa: E402

SET = "/api/v1/projects/shop/flag-sets/production"
ON_OFF = {"on": True, "off": False}
BASE = [0]


def change(flags, want=200, **more):
    status, answer, _ = call("POST", SET + "/changes", {"base": BASE[0], "flags": flags, **more})
    expect(status == want, f"{status}, not {want}: {answer}")
    if want == 200:
        BASE[0] = answer["revision"]
    return answer


def single(key, context=None, who="app", **more):
    return call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": context or {}}, who, **more)


def bulk(context=None, who="app", **more):
    return call("POST", "/ofrep/v1/evaluate/flags", {"context": context or {}}, who, **more)


def is_ofrep(got, want, word, code="GENERAL"):
    status, answer, headers = got
    expect(status == want and answer["errorCode"] == code and word in answer["errorDetails"], f"{status} {answer}")
    return headers


def odd_keys():
    """Whatever a key may hold can be asked for; what cannot be a key is refused in the protocol's form."""
    keys = {"a\\b": "a%5Cb", "..": "%2E%2E", "a/b": "a%2Fb", "a b+c": "a%20b+c", "\u00e9\u4e2d": "%C3%A9%E4%B8%AD", "100%": "100%25", "?x#y": "%3Fx%23y", "'\"<": "%27%22%3C"}
    change({k: {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"} for k in keys})
    for key, path in keys.items():
        status, answer, _ = single(path)
        expect(status == 200 and answer["key"] == key and answer["value"] is True, f"{key}: {status} {answer}")
    for bad in ("%zz", "a%ff", "%"):
        is_ofrep(single(bad), 400, "bad escape")
    is_ofrep(single("x%0a"), 404, "no such flag", "FLAG_NOT_FOUND")
    is_ofrep(single("k" * 5000), 404, "no such flag", "FLAG_NOT_FOUND")
    is_ofrep(single("k" * 9000), 414, "longer than")
    change({k: None for k in keys})


def forms():
    change({"new-cart": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}})
    is_ofrep(bulk(who=None), 401, "credentials are needed")
    is_ofrep(single("new-cart", who=None), 401, "credentials are needed")
    TOKENS["nonsense"] = "nonsense"
    is_ofrep(single("new-cart", who="nonsense"), 401, "")
    is_ofrep(call("GET", "/ofrep/v1/evaluate/flags", who="app"), 405, "GET is not possible")
    is_ofrep(call("POST", "/ofrep/v1/nowhere", {}, "app"), 404, "nothing is at")
    is_ofrep(call("POST", "/ofrep/v1/evaluate/flags/new-cart", who="app", raw=b"x" * 1000500), 413, "over this route's limit", "PARSE_ERROR")
    is_ofrep(call("POST", "/ofrep/v1/evaluate/flags?x=1", {"context": {}}, "app"), 400, "unknown query name")


def sets_of_a_project():
    weir("project", "create", "many")
    many = "/api/v1/projects/many/flag-sets/s"
    for i in range(100):
        expect(call("PUT", f"{many}{i}", {})[0] == 201, f"set {i}")
    status, answer, _ = call("PUT", f"{many}100", {})
    expect(status == 413 and "100 flag sets" in answer["error"]["message"], f"one more: {status} {answer}")
    expect(call("PUT", f"{many}7", {})[0] == 409, "one that is there is there")
    weir("project", "create", "few")
    expect(call("PUT", "/api/v1/projects/few/flag-sets/s", {})[0] == 201, "another project's are counted apart")


def too_often():
    """The limit is a token's own; it is told in each protocol's form, with the time to wait."""
    SERVER.stop()
    ENV["WEIR_FLAGS_PER_SECOND"] = "5"
    SERVER.start()
    answers = [single("new-cart") for _ in range(100)]
    over = [a for a in answers if a[0] == 429]
    expect(answers[0][0] == 200 and over, "the first is answered, a hundred at once are not")
    headers = is_ofrep(over[0], 429, "too many requests")
    expect(headers["retry-after"] == "1" and "Retry-After" in headers["access-control-expose-headers"], f"{headers}")
    expect(single("new-cart", who="second")[0] == 200, "another token is not touched")
    expect(all(call("GET", SET)[0] == 200 for _ in range(20)), "nor are other routes")
    over = [a for a in (bulk(who="nonsense") for _ in range(50)) if a[0] == 429]
    expect(over, "guesses are limited by address")
    is_ofrep(over[0], 429, "without a valid token")
    SERVER.stop()
    ENV["WEIR_FLAGS_PER_SECOND"] = "0"
    SERVER.start()
    expect(all(single("new-cart")[0] == 200 for _ in range(100)), "0: no limit")
    del ENV["WEIR_FLAGS_PER_SECOND"]


def main():
    SERVER.start()
    try:
        weir("project", "create", "shop")
        weir("flag", "create", "shop/production")
        for name in ("app", "second"):
            TOKENS[name] = call("POST", "/api/v1/tokens", {"name": name, "scope": "flags", "project": "shop"})[1]["token"]
        odd_keys()
        forms()
        sets_of_a_project()
        too_often()
        print("flags-limits: all as it should be")
    finally:
        end()


main()
