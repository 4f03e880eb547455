#!/usr/bin/env python3
"""test_commands.py WEIR: every command of the real table: help, completion in a real bash, man page, --json, colours, and what is said when
there is no server."""
import fcntl
import json
import os
import pty
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios

WEIR = os.path.abspath(sys.argv[1])
TOP = tempfile.mkdtemp(prefix="weir-test-commands-")
ENV = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_") and k != "NO_COLOR"}
ENV.update(HOME=TOP, TERM="xterm", GIT_CONFIG_GLOBAL="/dev/null", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="Dev", GIT_AUTHOR_EMAIL="dev@example.org",
           GIT_COMMITTER_NAME="Dev", GIT_COMMITTER_EMAIL="dev@example.org", XDG_CACHE_HOME=os.path.join(TOP, "cache"))
SKIPPED = []


def expect(condition, what):
    if not condition:
        raise SystemExit(f"not so: {what}")


def run(*argv, cwd=TOP, env=None, text_in=None):
    return subprocess.run(argv, cwd=cwd, env={**ENV, **(env or {})}, capture_output=True, text=True, input=text_in, timeout=120)


def weir(*argv, want=0, cwd=TOP, env=None):
    r = run(WEIR, *argv, cwd=cwd, env=env)
    expect(r.returncode == want, f"weir {' '.join(argv)}: status {r.returncode} instead of {want}\n{r.stdout}\n{r.stderr}")
    return r


def closed_server():
    """An address where nobody answers."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{s.getsockname()[1]}"


TABLE = json.loads(weir("help", "--json").stdout)
SETTINGS = json.loads(weir("config", "show", "--json").stdout)
NO_SERVER = closed_server()


def test_every_command_is_told_everywhere():
    overview, manual, script = weir("help").stdout, weir("manual").stdout.replace("\\-", "-"), weir("completion", "bash").stdout
    expect(len({c["name"] for c in TABLE}) == len(TABLE) > 30, "names are unique")
    for c in TABLE:
        name = c["name"]
        expect(c["summary"] and c["args"] is not None and not c["summary"].endswith("."), f"{name}: args and summary")
        expect(f"\n  {name} " in overview, f"{name} is in the overview")
        expect(f"\\fBweir {name}\\fP" in manual, f"{name} is in the manual")
        text = weir("help", *name.split()).stdout
        expect(text == weir(*name.split(), "--help").stdout == weir(*name.split(), "-h").stdout, f"{name}: the same help in three ways")
        expect(text.startswith(f"weir {name}") and c["summary"] in " ".join(text.split()), f"{name}: help")
        for o in c["options"]:
            flag = f"--{o['name']}"
            expect(o["help"] and flag + (f" {o['value']}" if o["value"] else "") in text, f"{name} {flag} is in its help")
            expect(flag in manual and flag in script, f"{name} {flag} is in manual and completion")
            expect(o["name"] not in SETTINGS and o["name"] not in ("json", "help", "config", "version"), f"{name} {flag} does not hide a common option")
    for s in SETTINGS:
        expect(f"--{s}," in manual and f"--{s}" in script, f"setting {s} is in manual and completion")
    for hidden in ("guard", "credential", "guard-service", "action-release"):
        expect(f"\n  {hidden} " not in overview and f"weir {hidden}\\fP" not in manual, f"{hidden} is hidden")


def test_an_option_takes_a_value_everywhere_or_nowhere():
    """The completion knows by an option's name whether a value follows."""
    valued = {}
    for c in TABLE:
        for o in c["options"]:
            expect(valued.setdefault(o["name"], bool(o["value"])) == bool(o["value"]), f"--{o['name']} in `weir {c['name']}`")


def test_lines_fit():
    texts = [weir("help").stdout] + [weir("help", *c["name"].split()).stdout for c in TABLE]
    texts += [run(WEIR, "doctor").stdout, weir("config", "show").stdout, weir("new", "--list").stdout]
    for text in texts:
        for line in text.splitlines():
            expect(len(line) <= 80, f"{len(line)} columns: {line}")


def complete(*words):
    """What bash offers for the last of the words, with the words as readline splits them."""
    split = [part for w in words for part in (w.replace("=", "\0=\0").split("\0") if "=" in w else [w]) if part or part == w]
    script = 'source <("$0" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf "%s\\n" "${COMPREPLY[@]}"'
    r = run("bash", "-u", "-c", script, WEIR, *split)
    expect(r.returncode == 0 and not r.stderr, f"completion of {words}: {r.stderr}")
    return [x for x in r.stdout.splitlines() if x]


def test_completion():
    if not shutil.which("bash"):
        SKIPPED.append("completion: no bash")
        return
    firsts = {c["name"].split()[0] for c in TABLE}
    expect(set(complete("weir", "")) == firsts | {"--version"}, "all first words, each once")
    expect(len(complete("weir", "")) == len(firsts) + 1, "each once")
    expect(set(complete("weir", "ru")) == {"run", "runs", "runner"}, complete("weir", "ru"))
    expect(complete("weir", "--json", "do") == ["doctor", "down"], "behind an option")
    expect(set(complete("weir", "--config", "x", "do")) == {"doctor", "down"}, "behind an option with its value")
    for group in sorted({c["name"].split()[0] for c in TABLE if " " in c["name"]}):
        expect(set(complete("weir", group, "")) == {c["name"].split()[1] for c in TABLE if c["name"].startswith(group + " ")}, f"second words of {group}")
    common = {"--json", "--help", "--config"} | {f"--{s}" for s in SETTINGS}
    for c in TABLE:
        own = {f"--{o['name']}" for o in c["options"]}
        expect(set(complete("weir", *c["name"].split(), "--")) == own | common, f"options of {c['name']}: {complete('weir', *c['name'].split(), '--')}")
    expect("--step" in complete("weir", "runs", "log", "abc", "--"), "options behind an argument")
    expect(complete("weir", "runs", "--project", "") == [], "a value is not guessed")
    expect(complete("weir", "runs", "--project=") == [], "nor behind '='")
    expect(complete("weir", "runs", "--project=x", "log") == ["log"], "a value behind '='")
    expect(complete("weir", "completion", "") == ["bash"], "completion")
    expect("rollback" in complete("weir", "help", "ro"), "help completes commands")


def test_manual():
    manual = weir("manual").stdout
    if shutil.which("groff"):
        r = run("groff", "-man", "-Tutf8", "-ww", "-z", text_in=manual)
        expect(r.returncode == 0 and not r.stderr, f"groff: {r.stderr}")
        text = run("groff", "-man", "-Tascii", "-P-cbou", text_in=manual).stdout
        for want in ("EXIT STATUS", "--from-backup FILE", "Stops everything that works on the data folder."):
            expect(want in " ".join(text.split()), f"{want} is readable in the manual")
    else:
        SKIPPED.append("manual: no groff")


def git(*argv, cwd):
    r = run("git", *argv, cwd=cwd)
    expect(r.returncode == 0, f"git {argv}: {r.stderr}")


def repository():
    repo = os.path.join(TOP, "repo")
    if not os.path.exists(repo):
        os.makedirs(os.path.join(repo, ".github/workflows"))
        git("init", "-q", "-b", "main", ".", cwd=repo)
        with open(os.path.join(repo, ".github/workflows/ci.yml"), "w", encoding="utf-8") as f:
            f.write("on: push\njobs:\n  a:\n    runs-on: linux\n    steps:\n      - run: 'true'\n")
        git("add", ".", cwd=repo)
        git("commit", "-q", "-m", "one", cwd=repo)
    return repo


# commands that need no server: arguments (in a repository), exit codes that are fine
ALONE = {
    "help": ([], (0,)), "completion": (["bash"], (0,)), "manual": ([], (0,)), "config show": ([], (0,)), "config check": ([], (0,)),
    "doctor": ([], (0, 1)), "down": (["--data", os.path.join(TOP, "none")], (0,)), "new": (["--list"], (0,)), "plan": ([], (0,)), "run": ([], (0, 1)),
    "check": ([], (0,)), "hook install": ([], (0,)), "hook uninstall": ([], (0,)),
}
# those that read what only a server makes: their error, not their JSON, is looked at here
LOCAL_ERRORS = {"log verify": ([], "there is no database"), "judge replay": (["nowhere.json"], "nowhere.json"),
                "edge": (["--data", os.path.join(TOP, "e"), "--port", "x"], "--port: 'x' is no port"),
                "runner": (["--data", os.path.join(TOP, "r")], "a runner needs a token"),
                "serve": (["--listen", "nonsense"], "--listen: 'nonsense' is not HOST:PORT")}


def test_json_without_a_server():
    repo = repository()
    for name, (args, codes) in ALONE.items():
        r = run(WEIR, *name.split(), *args, "--json", cwd=repo)
        if name == "run" and r.returncode == 3:
            SKIPPED.append("run --json: no sandbox here")
            continue
        expect(r.returncode in codes, f"{name}: {r.returncode} {r.stderr}")
        json.loads(r.stdout)  # one value, nothing around it
        expect(r.stdout.endswith("\n") and "\033" not in r.stdout, f"{name}: one line end, no escape code")
    made = json.loads(weir("new", "http-c", "thing", "--no-project", "--json").stdout)
    expect(made["project"] is False and os.path.isdir(os.path.join(TOP, "thing")), made)
    sarif = json.loads(weir("check", "--sarif", "--json", cwd=repo).stdout)
    expect(sarif["version"] == "2.1.0", "sarif with --json is SARIF")
    with open(os.path.join(TOP, "typo.yaml"), "w", encoding="utf-8") as f:
        f.write("listne: 1\n")
    r = weir("config", "check", "--config", "typo.yaml", "--json", want=2)
    expect(not r.stdout and "typo.yaml:1:1: unknown key 'listne' (did you mean 'listen'?)" in r.stderr, r)


def test_passwords_are_not_shown():
    for url in ("postgresql://dev:s3cret@db/weir", "postgresql://dev:s3cr:et@db/weir", "postgresql:///weir?user=dev&password=s3cret&host=db",
                "postgresql:///weir?host=db&password=s3cret"):
        for extra in ([], ["--json"]):
            out = weir("config", "show", "--database", url, *extra).stdout
            expect("s3cr" not in out and ":***@db/weir" in out or "password=***" in out and "host=db" in out, out)
    expect("postgresql:///weir?host=/run" in weir("config", "show", "--database", "postgresql:///weir?host=/run").stdout, "shown as it is")
    r = run(WEIR, "doctor", "--database", f"postgresql://dev:s3cret@{NO_SERVER.removeprefix('http://')}/weir")
    expect(r.returncode == 1 and "away    database" in r.stdout and "s3cret" not in r.stdout + r.stderr, r.stdout)


def test_doctor():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        address = f"127.0.0.1:{s.getsockname()[1]}"
        r = weir("doctor", "--listen", address, "--http", NO_SERVER.removeprefix("http://"), want=1)
        text = " ".join(r.stdout.split())
        expect(f"taken port of API and pages {address} is held by" in text and f"(process {os.getpid()})" in text, r.stdout)
        expect("ok port of services" in text, r.stdout)
    tools = os.path.join(TOP, "old-tools")
    os.makedirs(tools)
    for name, line in (("git", "git version 2.34.9"), ("haproxy", "HAProxy version 2.4.22-1 2023/01/01")):
        with open(os.path.join(tools, name), "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\necho '{line}'\n")
        os.chmod(f.name, 0o755)
    rows = {x["what"]: x for x in json.loads(weir("doctor", "--json", want=1, env={"PATH": f"{tools}:{ENV['PATH']}"}).stdout)}
    expect(not rows["git"]["ok"] and "2.35 or newer" in rows["git"]["seen"], rows["git"])
    expect(not rows["HAProxy"]["ok"] and "2.6 or newer" in rows["HAProxy"]["seen"] and rows["HAProxy"]["mend"], rows["HAProxy"])
    rows = {x["what"]: x for x in json.loads(weir("doctor", "--json", want=1, env={"PATH": "/nonexistent"}).stdout)}
    expect(not rows["git"]["ok"] and rows["git"]["seen"] == "not found", rows["git"])
    r = weir("doctor", "--service-ports", "9-1", want=1)
    expect("wrong   ports of instances" in r.stdout, r.stdout)
    r = weir("doctor", "--listen", "192.0.2.1:80", want=1)  # an address that no machine here has
    expect("refused port of API" in r.stdout, r.stdout)


A_FILE = os.path.join(TOP, "flags.json")


def arguments(command):
    """As many as the command needs at least: the words of its synopsis that stand outside of brackets and are no options' values."""
    words = command["args"].split()
    if command["name"] in ("flag diff", "flag blast"):  # a file or a draft: one of them, whichever
        words = ["SET", "FILE"]
    if command["name"] == "flag rollout":  # the shorter of its two forms
        return ["show", "ABCDEFGH"]
    return ["list" if w == "VERB" else "shop/beta" if w in ("SET", "PROJECT/NAME") else A_FILE if w == "FILE" else "ABCDEFGH" for i, w in enumerate(words) if w[0] not in "[-" and (i == 0 or words[i - 1].lstrip("[")[0:1] != "-")]


def test_errors_without_a_server():
    with open(A_FILE, "w", encoding="utf-8") as f:
        f.write('{"flags": {}}')
    for c in TABLE:
        name = c["name"]
        if name in ALONE and name != "new":
            continue
        if name in LOCAL_ERRORS:
            args, message = LOCAL_ERRORS[name]
            for extra in ([], ["--json"]):
                r = weir(*name.split(), *args, *extra, want=2)
                expect(message in r.stderr and not r.stdout, f"{name}: {r.stderr}")
            continue
        args = ["http-c", "shop"] if name == "new" else arguments(c)
        for extra in ([], ["--json"]):
            r = weir(*name.split(), *args, *extra, "--server", NO_SERVER, want=3)
            expect(f"no weir server at {NO_SERVER} (start one with `weir serve`, or set `server`)" in r.stderr, f"{name}: {r.stderr}")
            expect(not r.stdout, f"{name}: {r.stdout}")
            expect(r.stderr.startswith("weir: ") and len(r.stderr.splitlines()) == 1, f"{name}: one line: {r.stderr}")
        expect(not os.path.exists(os.path.join(TOP, "shop")), "nothing is left of a project that could not be made")


def in_terminal(*argv, env=None, columns=80):
    """What a program writes on a terminal of that width."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(TOP)
        os.execve(argv[0], list(argv), {**ENV, **(env or {})})
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    out = b""
    while select.select([fd], [], [], 30)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(fd)
    os.waitpid(pid, 0)
    return out.decode()


def test_unknown_environment():
    r = weir("config", "check", env={"WEIR_LISEN": "127.0.0.1:1"}, want=2)
    expect("WEIR_LISEN, which weir does not know (did you mean WEIR_LISTEN?)" in r.stderr and not r.stdout, r.stderr)
    weir("serve", env={"WEIR_DAT": TOP}, want=2)
    weir("help", env={"WEIR_LISEN": "x"})
    weir("config", "check", env={"WEIR_TEST_LISEN": "x", "WEIR_CONFORMANCE": "x"})
    r = weir("action-release", env={"WEIR_LISEN": "x"}, want=2)  # a step's own variables are the workflow's business
    expect("WEIR_LISEN" not in r.stderr, r.stderr)


def test_colours():
    for argv in (("help",), ("doctor",), ("config", "show"), ("new", "--list")):
        expect("\033[" in in_terminal(WEIR, *argv), f"{argv}: colours on a terminal")
        expect("\033" not in in_terminal(WEIR, *argv, env={"NO_COLOR": "1"}), f"{argv}: none with NO_COLOR")
        expect("\033[" in in_terminal(WEIR, *argv, env={"NO_COLOR": ""}), f"{argv}: an empty NO_COLOR says nothing")
        expect("\033" not in in_terminal(WEIR, *argv, env={"TERM": "dumb"}), f"{argv}: none on a dumb terminal")
        expect("\033" not in run(WEIR, *argv).stdout, f"{argv}: none into a pipe")
        expect("\033" not in in_terminal(WEIR, *argv, "--json"), f"{argv}: none in JSON")


def main():
    try:
        count = 0
        for name, test in sorted(globals().items()):
            if name.startswith("test_"):
                test()
                count += 1
                print(f"ok {name}")
    finally:
        shutil.rmtree(TOP, ignore_errors=True)
    for what in SKIPPED:
        print(f"skipped: {what}")
    print(f"{count} passed, 0 failed, {len(SKIPPED)} skipped")


main()
