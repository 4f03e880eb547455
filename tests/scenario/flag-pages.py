#!/usr/bin/env python3
"""flag-pages.py WEIR: the pages of feature flags over the real server: what stands on them, forms that are refused and come back with what was typed, fields that
nobody knows, buttons that a person may not press."""
import html
import json
import os
import re
import sys
import urllib.parse

sys.dont_write_bytecode = True
from served import ENV, SERVER, TOKENS, TOP, call, end, expect, git, token, wait, weir  # noqa: E402

API = "/api/v1/projects/shop/flag-sets/production"
PATH = "/projects/shop/flags/production"
ON_OFF = {"on": True, "off": False}
CART = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off",
        "targeting": {"if": [{"ends_with": [{"var": "email"}, "@example.org"]}, "on", {"fractional": [["on", 5], ["off", 95]]}]},
        "weir": {"owner": "team-checkout", "purpose": "release", "expires": "2020-03-31", "prerequisites": [{"flag": "payments", "variants": ["on"]}]}}
ODD = 'a/b "<i>" & ü?#%'


def page(path, who="admin", want=200):
    status, text, _ = call("GET", path, who=who, headers={"Accept": "text/html"})
    expect(status == want, f"GET {path}: {status}, not {want}: {text}")
    for never in ("<script>", " style=", "onclick", "{{", "<i>"):
        expect(never not in text, f"{path} holds {never}")
    return text


def send(path, want=303, who="admin", **fields):
    status, text, headers = call("POST", path, who=who, raw=urllib.parse.urlencode(fields),
                                 headers={"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"})
    expect(status == want, f"POST {path}: {status}, not {want}: {text}")
    return headers["location"] if want == 303 else text


def alert(text):
    found = re.search(r'role="alert">(.*?)</p>', text, re.S)
    return html.unescape(found.group(1)) if found else ""


def base_of(text, action):
    form = text[text.index(f'action="{PATH}/{action}"'):]
    return int(re.search(r'name="base" value="(\d+)"', form).group(1))


def typed(text, field):
    return html.unescape(re.search(rf'<textarea[^>]* name="{field}"[^>]*>\n(.*?)</textarea>', text, re.S).group(1))


def flag_url(key):
    return f"{PATH}/flag?key={urllib.parse.quote(key, safe='')}"


# --- acts ---

def sets():
    weir("project", "create", "shop")
    expect('href="/projects/shop/flags"' in page("/projects/shop"), "the project leads to its flags")
    expect("No flags yet" in page("/projects/shop/flags"), "no sets yet")
    text = send("/projects/shop/flags", 400, name="a b", environment="staging")
    expect(alert(text) and 'value="a b"' in text and 'value="staging"' in text, "a name that cannot be: the form comes back with what was typed")
    expect(send("/projects/shop/flags", name="production", environment="production") == PATH, "a set is made")
    expect("exists already" in alert(send("/projects/shop/flags", 409, name="production")), "a second of the same name")
    text = page("/projects/shop/flags")
    expect(f'href="{PATH}"' in text and "store" in text, "it is on the list")
    page("/projects/shop/flags/none", want=404)
    page("/projects/none/flags", want=404)


def create():
    text = page(PATH)
    expect("No flags yet" in text and "flagSetId=shop/production" in text and "http://127.0.0.1" in text and "--scope flags --project shop" in text,
           "how an application asks for the set")
    base = base_of(text, "make")
    send(PATH + "/make", key="payments", base=base, definition=json.dumps({"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}), comment="first")
    bad = '{\n  "state": "ENABLED",\n  "variants": {"on": true},\n  "defaultVarient": "on"\n}'
    text = send(PATH + "/make", 400, key="new-cart", base=base, definition=bad, comment="why <not>")
    expect("definition:4:3: unknown key 'defaultVarient' (did you mean 'defaultVariant'?)" in alert(text), f"the place is the field's own: {alert(text)}")
    expect(typed(text, "definition") == bad and 'value="why &lt;not&gt;"' in text and 'value="new-cart"' in text, "what was typed is kept")
    text = send(PATH + "/make", 400, key="new-cart", base=base, definition="{", comment="")
    expect(alert(text).startswith("definition:1:") and typed(text, "definition") == "{", f"no JSON: {alert(text)}")
    text = send(PATH + "/make", 400, key="new-cart", base=base, definition='{}}, "other": {"state":"ENABLED","variants":{}}', comment="")
    expect(alert(text).startswith("definition:"), "no way out of the field into the call")
    expect(send(PATH + "/make", key="new-cart", base=base, definition=json.dumps(CART), comment="SHOP-17") == flag_url("new-cart"), "it is made")
    text = send(PATH + "/make", 409, key="new-cart", base=base, definition=json.dumps(CART), comment="")
    expect("already" in alert(text), "an existing flag is not overwritten by the form of new ones")
    expect(send(PATH + "/make", key=ODD, base=2, definition=json.dumps({**CART, "weir": {}}), comment="").startswith(PATH + "/flag?key=a%2F"), "any key")
    expect(html.escape(ODD) in page(flag_url(ODD)) or html.escape(ODD, quote=False) in page(flag_url(ODD)) or "&lt;i&gt;" in page(flag_url(ODD)), "any key is a page")
    deep = json.loads('{"a":[' * 45 + "1" + "]}" * 45)  # as deep as a document may be
    send(PATH + "/make", key="deep", base=base_of(page(PATH), "make"), definition=json.dumps({"state": "ENABLED", "variants": {"x": deep}}), comment="")
    expect("&quot;a&quot;" in page(flag_url("deep")) and json.loads(typed(page(flag_url("deep")), "definition"))["variants"]["x"] == deep, "a deep definition has a page")
    expect("deep" in page(PATH), "and stands in the list")
    expect("It gets no value" in send(PATH + "/explain", 200, key="deep", context="{}", at=""), "and is explained")
    page(flag_url("never"), want=404)
    page(PATH + "/flag", want=400)


def listed():
    text = page(PATH)
    for want in ("team-checkout", "release", "2020-03-31", "expired", "by rule", "token:"):
        expect(want in text, f"the list says {want}")
    for query, there in (("q=CART", True), ("q=checkout", True), ("q=zzz", False), ("state=off", False), ("state=on&purpose=release", True), ("purpose=experiment", False),
                         ("q=&state=&purpose=", True)):
        expect(("flag?key=new-cart" in page(f"{PATH}?{query}")) == there, f"filter {query}")
    expect("did you mean" in page(f"{PATH}?stat=on", want=400), "a filter that does not exist")
    expect('value="CART"' in page(f"{PATH}?q=CART") and '<option value="off" selected>' in page(f"{PATH}?state=off"), "the filter stays")


def one_flag():
    text = page(flag_url("new-cart"))
    expect('<span class="j-key">&quot;defaultVariant&quot;</span>' in text, "the definition is coloured")
    expect("SHOP-17" in text and "127.0.0.1" in text and "token:" in text, "history says who, from where, why")
    expect(">payments</a>" in text and 'id="h-needed-by"' in page(flag_url("payments")), "both sides of a prerequisite")
    expect(json.loads(typed(text, "definition")) == CART, "the form holds the definition")


def edit():
    text = page(flag_url("new-cart"))
    base, mine = base_of(text, "put"), {**CART, "defaultVariant": "on"}
    theirs = {**CART, "metadata": {"ticket": "SHOP-18"}}
    expect(call("POST", API + "/changes", {"base": base, "flags": {"new-cart": theirs}, "comment": "meanwhile"})[0] == 200, "somebody else is faster")
    text = send(PATH + "/put", 400, key="new-cart", base=base, definition="{", comment="x")
    expect(base_of(text, "put") == base, "a form that came back for another reason still says what its author saw")
    kept = json.dumps(mine, indent=3)
    text = send(PATH + "/put", 409, key="new-cart", base=base, definition=kept, comment="mine")
    expect("was changed by revision" in alert(text) and "Nothing was saved" in alert(text), f"a stale edit is refused: {alert(text)}")
    expect(typed(text, "definition") == kept and 'value="mine"' in text and "SHOP-18" in text, "with both texts")
    expect(call("GET", API)[1]["flags"]["new-cart"] == theirs, "nothing was overwritten")
    expect(base_of(text, "put") == base + 1, "now its author has seen it")
    send(PATH + "/put", key="new-cart", base=base_of(text, "put"), definition=kept, comment="mine")
    expect(call("GET", API)[1]["flags"]["new-cart"] == mine, "and may put it in place")
    revision = call("GET", API + "/revisions")[1]["revisions"][0]
    expect(revision["address"] == "127.0.0.1" and revision["comment"] == "mine", f"the person's own address is recorded: {revision}")


def explain():
    text = send(PATH + "/explain", 200, key="new-cart", context='{"email": "x@example.org"}', at="")
    expect("TARGETING_MATCH" in text and "<code>ends_with</code>" in text and "<code>on</code>" in text, "the answer and its steps")
    expect(typed(text, "context") == '{"email": "x@example.org"}', "the context stays")
    text = send(PATH + "/explain", 400, key="new-cart", context='{"email":\n 1,}', at="")
    expect(alert(text).startswith("context:2") and typed(text, "context") == '{"email":\n 1,}', f"what is wrong with the context: {alert(text)}")
    text = send(PATH + "/explain", 400, key="new-cart", context="[]", at="")
    expect("context" in alert(text), "a context is a map")
    text = send(PATH + "/explain", 400, key="new-cart", context="{}", at="yesterday")
    expect("at must be a time" in alert(text) and 'value="yesterday"' in text, "the time, too")
    expect("no flag" in alert(send(PATH + "/explain", 404, key="new-cart", context="{}", at="2020-01-01T00:00:00Z")), "there was none then")


def switch():
    base = base_of(page(PATH), "make")
    expect(send(PATH + "/switch", key="new-cart", base=base, state="off", back="list", comment="kill it") == PATH, "from the list")
    expect(call("GET", API)[1]["flags"]["new-cart"]["state"] == "DISABLED", "off")
    text = send(PATH + "/switch", 409, key="new-cart", base=base, state="on", back="flag", comment="again")
    expect("was changed" in alert(text) and 'value="again"' in text, "on wants to have seen it")
    expect(send(PATH + "/switch", key="new-cart", base=base + 1, state="on", back="flag", comment="") == flag_url("new-cart"), "from its page")
    send(PATH + "/switch", key="new-cart", base=base, state="off", back="flag", comment="")  # a kill switch does not ask who else was here
    expect("kill it" in page(flag_url("new-cart")), "the reason is in the history")
    text = send(PATH + "/remove", 422, key="payments", base=base + 3, comment="gone")
    expect("payments" in alert(text) and 'value="gone"' in text, f"a flag that another one needs: {alert(text)}")
    expect(send(PATH + "/remove", key="new-cart", base=base + 3, comment="gone") == PATH, "removed")
    mine = json.dumps(CART)
    text = send(PATH + "/put", 409, key="new-cart", base=base + 3, definition=mine, comment="late")
    expect(typed(text, "definition") == mine and 'value="late"' in text, "an edit of what was removed meanwhile: the text is kept")
    text = page(flag_url("new-cart"))
    expect("removed" in text and "gone" in text and "SHOP-17" in text and f"{PATH}/put" not in text, "its history stays")


def imported():
    base = base_of(page(PATH), "import")
    doc = {"$schema": "https://flagd.dev/schema/v0/flags.json", "flags": {"new-cart": CART, "banner": {"state": "DISABLED", "variants": {"a": 1, "b": 2.5}}},
           "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@example.org"]}}}
    text = send(PATH + "/import", 400, base=base, document=json.dumps({**doc, "flag": {}}), comment="all")
    expect("did you mean 'flags'" in alert(text) and json.loads(typed(text, "document"))["flag"] == {} and 'value="all"' in text, f"an unknown key: {alert(text)}")
    text = send(PATH + "/import", 400, base=base, document='{"$evaluators": {}}', comment="")
    expect("flags" in alert(text), "no flags")
    send(PATH + "/import", base=base, document=json.dumps(doc), comment="all")
    got = call("GET", API)[1]
    expect(set(got["flags"]) == {"new-cart", "banner", "payments", "deep", ODD} and "staff" in got["$evaluators"], "what is named came, the others stay")
    expect("all" in page(PATH + "/history") and "what changed" in page(PATH + "/history"), "one revision of the history")


def rights():
    TOKENS["reader"] = call("POST", "/api/v1/tokens", {"name": "reader", "scope": "read"})[1]["token"]
    before = call("GET", API)[1]
    for path in ("/projects/shop/flags", PATH, flag_url("banner"), PATH + "/history"):
        text = page(path, who="reader")
        for act in ("make", "put", "switch", "remove", "import"):
            expect(f"{PATH}/{act}" not in text and 'action="/projects/shop/flags"' not in text, f"{path}: no button that would not work: {act}")
    expect("DISABLED" in send(PATH + "/explain", 200, who="reader", key="banner", context="{}", at=""), "a reader may ask")
    fields = {"key": "banner", "base": 9, "comment": ""}
    send(PATH + "/switch", 403, who="reader", state="on", back="flag", **fields)
    send(PATH + "/remove", 403, who="reader", **fields)
    send(PATH + "/put", 403, who="reader", definition="{}", **fields)
    send("/projects/shop/flags", 403, who="reader", name="x")
    expect(call("GET", API)[1] == before, "nothing was changed")
    # what the form does not have, it does not take
    text = send(PATH + "/switch", 400, state="on", back="flag", force="yes", **fields)
    expect("unknown field" in alert(text), f"an unknown field: {alert(text)}")
    expect("must be one of" in alert(send(PATH + "/switch", 400, state="maybe", back="flag", **fields)), "a state that does not exist")
    expect("whole number" in alert(send(PATH + "/remove", 400, key="banner", base="nine", comment="")), "a base that is none")
    expect("missing" in alert(send(PATH + "/remove", 400, key="banner", comment="")), "no base")
    expect(call("GET", API)[1] == before, "nothing was changed")


def push(why, files):
    work = os.path.join(TOP, "work")
    if not os.path.exists(work):
        git("init", "-q", "-b", "main", work)
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(work, name)), exist_ok=True)
        with open(os.path.join(work, name), "w", encoding="utf-8") as f:
            f.write(text)
    git("add", "-A", cwd=work)
    git("commit", "-qm", why, cwd=work)
    git("push", "-q", f"{ENV['WEIR_SERVER'].replace('://', '://x:' + token() + '@')}/git/shop.git", "main", cwd=work)


def archive():
    base = base_of(page(PATH), "make")
    send(PATH + "/make", key="old", base=base, definition=json.dumps({"state": "ENABLED", "variants": ON_OFF, "weir": {"owner": "team-a"}}), comment="")
    send(PATH + "/switch", key="old", base=base + 1, state="archived", back="flag", comment="done with")
    expect("flag?key=old" not in page(PATH) and "flag?key=old" in page(PATH + "?state=archived"), "an archived flag has a list of its own")
    text = page(flag_url("old"))
    expect("Unarchive" in text and f'action="{PATH}/put"' not in text and "done with" in text, "it can only be taken out")
    told = alert(send(PATH + "/put", 422, key="old", base=base + 2, definition=json.dumps({"state": "ENABLED", "variants": ON_OFF}), comment=""))
    expect("archived" in told, f"it is not edited: {told}")
    send(PATH + "/switch", key="old", base=base + 2, state="kept", back="flag", comment="")
    expect(call("GET", API)[1]["flags"]["old"]["weir"] == {"owner": "team-a"}, "and is as it was")


def history():
    text = page(PATH + "/history?from=1&to=2")
    expect("From revision 1 to 2" in text and "new-cart" in text and "<ins>" in text, f"what revision 2 changed: {text}")
    expect('max="' in text and 'value="1"' in text and "what changed" in text, "the form stays")
    text = page(PATH + "/history?from=2&to=2")
    expect("No difference" in text, "nothing")
    page(PATH + "/history?from=2&to=999999", want=404)


def drafts():
    """A protected environment: a change is proposed, its author may not approve it, another one does."""
    for name in ("anna", "bert"):
        TOKENS[name] = call("POST", "/api/v1/tokens", {"name": name, "scope": "release"})[1]["token"]
    push("protect", {".weir/protection.yaml": "environments:\n  production:\n    required-approvals: 1\n    kill-switch: free\n"})
    wait(lambda: call("GET", API + "/protection")[1]["protected"], "the rules of the default branch hold", 60)
    text = page(flag_url("banner"), who="anna")
    expect(f'formaction="{PATH}/propose/put"' in text and ">Save<" not in text, "who cannot save may propose")
    expect("draft" in alert(send(PATH + "/put", 403, who="anna", key="banner", base=base_of(text, "put"), definition=typed(text, "definition"), comment="")), "the API decides")
    definition = {**json.loads(typed(text, "definition")), "state": "ENABLED", "defaultVariant": "a"}
    bad = send(PATH + "/propose/put", 400, who="anna", key="banner", base=base_of(text, "put"), definition='{"state": "ENABLED", "variants": {"a": 1},\n"defaultVariant": "b"}', comment="")
    expect(alert(bad).startswith("definition:2:"), f"a wrong proposal is refused at the form: {alert(bad)}")
    at = send(PATH + "/propose/put", who="anna", key="banner", base=base_of(text, "put"), definition=json.dumps(definition), comment="banner for all")
    expect(re.fullmatch(PATH + r"/drafts/\d+", at), f"a draft: {at}")
    expect("banner: banner for all" in page(PATH + "/drafts") and at in page(PATH + "/drafts?state=open") and at not in page(PATH + "/drafts?state=applied"), "on the list")
    text = page(at, who="anna")
    expect("<ins>" in text and "/defaultVariant" in text and f"{at}/withdraw" in text, "what it changes")
    expect(f'action="{at}/approve"' not in text and f'action="{at}/apply"' not in text, "no button that would not work for its author")
    expect(f'action="{at}/approve"' in page(at, who="bert"), "another one may")
    expect(f'action="{at}/reject"' not in page(at, who="reader"), "a reader looks")
    told = alert(send(at + "/approve", 403, who="anna", version=1, comment="me"))
    expect("approve" in told, f"four eyes: {told}")
    text = send(at + "/blast", 200, who="bert", contexts='[{"targetingKey": "u1"}, {"targetingKey": "u2"}]')
    expect("2 get something else (100%)" in text and "2 given here" in text and "own default (DISABLED)" in text and "a = 1" in text, f"whom it hits: {text}")
    text = send(at + "/blast", 400, who="bert", contexts="[\n1]")
    expect(alert(text).startswith("contexts:2:") and typed(text, "contexts") == "[\n1]", f"wrong contexts: {alert(text)}")
    text = page(at, who="anna")
    change = json.loads(typed(text, "change"))
    expect(change == {"flags": {"banner": definition}}, f"the form holds the change: {change}")
    broken = json.dumps(change, indent=1).replace("defaultVariant", "defaultVarient")
    fields = {"version": 1, "base": re.search(r'name="base"[^>]* value="(\d+)"', text[text.index('id="title"'):]).group(1), "title": "Banner", "apply_at": "", "comment": "kept"}
    text = send(at + "/edit", 400, who="anna", change=broken, **fields)
    expect("defaultVariant" in alert(text) and alert(text).startswith("change:") and typed(text, "change") == broken and 'value="kept"' in text, f"a wrong edit: {alert(text)}")
    line = broken[:broken.index("defaultVarient")].count("\n") + 1
    expect(alert(text).startswith(f"change:{line}:"), f"at its line {line}: {alert(text)}")
    expect("unknown key 'version'" in alert(send(at + "/edit", 400, who="anna", change='{"version": 9}', **fields)), "the change says no version")
    expect("changes nothing" in alert(send(at + "/edit", 400, who="anna", change=" {}", **fields)), "an empty change")
    send(at + "/approve", who="bert", version=1, comment="fine")
    expect("fine" in page(at) and f'action="{at}/apply"' in page(at, who="anna"), "approved")
    send(at + "/edit", who="anna", change="\n" + json.dumps(change, indent=1), **fields)
    expect("void" in page(at) and f'action="{at}/apply"' not in page(at, who="anna"), "an edit makes approvals void")
    text = send(at + "/edit", 409, who="bert", change=json.dumps(change), **fields)
    expect("Nothing was saved" in alert(text) and 'name="version" value="2"' in text and 'value="Banner"' in text, f"a stale edit of a draft: {alert(text)}")
    text = send(at + "/approve", 409, who="bert", version=1, comment="old one")
    expect(alert(text) and 'value="old one"' in text, "an approval of what is no longer there")
    send(at + "/approve", who="bert", version=2, comment="still fine")
    send(at + "/apply", who="anna", version=2)
    expect("applied" in page(at) and call("GET", API)[1]["flags"]["banner"] == definition, "applied")
    # the kill switch stays free; on again is a draft
    send(PATH + "/switch", who="anna", key="banner", base=0, state="off", back="list", comment="")
    base = base_of(page(flag_url("banner"), who="anna"), "switch")
    again = send(PATH + "/propose/switch", who="anna", key="banner", base=base, state="on", back="list", comment="on again")
    expect(f'formaction="{PATH}/propose/switch"' in page(PATH), "the list proposes as well")
    send(again + "/reject", 400, who="bert", version=1)
    send(again + "/reject", who="bert", version=1, reason="not yet")
    expect("rejected" in page(again) and "not yet" in page(again) and f'action="{again}/' not in page(again), "rejected with a reason")
    gone = send(PATH + "/propose/remove", who="anna", key="banner", base=base, comment="")
    send(gone + "/withdraw", who="anna", reason="")
    expect("withdrawn" in page(gone), "withdrawn")
    new = send(PATH + "/propose/make", who="anna", key="by-draft", base=base, definition=json.dumps({"state": "ENABLED", "variants": ON_OFF}), comment="")
    expect("by-draft" in page(new), "a new flag is proposed, too")
    page(PATH + "/drafts/999", want=404)
    page(PATH + "/drafts?state=opn", want=400)


def life():
    """Use, places in the code, and what may go."""
    if call("GET", API + "/stale")[0] == 404:
        print("flag pages: this server counts no uses: not looked at")
        return
    push("code", {"src/shop.py": 'client.get_boolean_value("payments", False)\n'})
    call("POST", "/ofrep/v1/evaluate/flags/payments", {"context": {}}, headers={"Flagd-Selector": "flagSetId=shop/production"})
    wait(lambda: "src/shop.py:1" in page(flag_url("payments")), "a flag's page says where the code names it", 60)
    wait(lambda: "Asked for 1 times" in page(flag_url("payments")), "and how often it was asked for", 60)
    expect("nowhere" in page(flag_url("banner")), "another one is named nowhere")
    text = page(PATH + "/stale")
    expect("new-cart" in text and ">expired<" in text, f"the expired flag is on the list of what may go: {text}")
    expect("No flag is stale" in page(PATH + "/stale?after=zzz"), "the next page")


def rollout():
    """A change by steps is begun on the flag's page and steered on its own."""
    if call("GET", API + "/rollouts")[0] == 404:
        print("flag pages: this server has no rollouts of flags: not looked at")
        return
    send("/projects/shop/flags", name="rolled", environment="")
    at = PATH.replace("production", "rolled")
    url = at + "/flag?key=cart"
    old = {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "off"}
    send(at + "/make", key="cart", base=0, definition=json.dumps(old), comment="")
    expect(f'action="{at}/roll"' in page(url) and f'action="{at}/roll"' not in page(url, who="reader"), "the form")
    new, plan = json.dumps({**old, "defaultVariant": "on"}), '{"steps": ["50%", "100%"], "outcomes": ["checkout"]}'
    text = send(at + "/roll", 400, key="cart", base=1, definition=new.replace("variants", "variantz"), plan=plan, comment="why")
    expect(alert(text).startswith("definition:1:") and typed(text, "plan") == plan and 'value="why"' in text, f"a wrong definition: {alert(text)}")
    text = send(at + "/roll", 400, key="cart", base=1, definition=new, plan='{"outcomes": ["checkout"], "stepz": []}', comment="")
    expect("steps" in alert(text) and typed(text, "plan") == '{"outcomes": ["checkout"], "stepz": []}', f"a wrong plan: {alert(text)}")
    expect(alert(send(at + "/roll", 400, key="cart", base=1, definition=new, plan='[]', comment="")).startswith("plan:"), "a plan that is none")
    where = send(at + "/roll", key="cart", base=1, definition=new, plan=plan, comment="by steps")
    expect(re.fullmatch("/flag-rollouts/[0-9A-Z]{26}", where), f"it has a page: {where}")
    text = page(where)
    expect("Rollout of cart" in text and "50%" in text and f'action="{where}/order"' in text, "with its share")
    expect(f'action="{where}/order"' not in page(where, who="reader"), "a reader has no buttons")
    expect(where in page(at) and where in page(at + "/rollouts"), "the set leads to it")
    send(where + "/order", 403, who="reader", order="abort")
    send(where + "/order", 400, order="explode")
    send(where + "/order", order="abort")
    wait(lambda: f'action="{where}/order"' not in page(where), "aborted", 60)
    expect(call("GET", API.replace("production", "rolled"))[1]["flags"]["cart"] == old, "and everybody is back")
    expect(alert(send(where + "/order", 409, order="pause")), "an order to what is over is refused at the form")
    page("/flag-rollouts/01M86V5RC3V9R0Q4Y1ZBXD7K3A", want=404)


def repository():
    push("flags", {".weir/flags/beta.json": json.dumps({"flags": {"one": {"state": "ENABLED", "variants": ON_OFF, "defaultVariant": "on"}}})})
    path = "/projects/shop/flags/beta"
    wait(lambda: call("GET", path + "/flag?key=one", headers={"Accept": "text/html"})[0] == 200, "the pushed set has pages", 60)
    for at in (path, path + "/flag?key=one"):
        text = page(at)
        for act in ("make", "put", "switch", "remove", "import"):
            expect(f'action="{path}/{act}"' not in text, f"{at} offers no change: {act}")
    expect(".weir/flags/beta.json" in page(path), "it says how it is changed")
    text = send(path + "/switch", 409, key="one", base=1, state="off", back="flag", comment="")
    expect("repository" in alert(text), "the API decides")


def main():
    SERVER.start()
    try:
        for act in (sets, create, listed, one_flag, edit, explain, switch, imported, rights, archive, history, drafts, life, rollout, repository):
            act()
        print("flag pages: all as it should be")
    finally:
        end()


main()
