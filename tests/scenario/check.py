#!/usr/bin/env python3
"""check.py WEIR: `weir check` and `weir hook` in real repositories: what is looked at, exit codes, outputs, hooks that chain.

Secrets are put together at run time, so that no scanner stumbles over this file."""
import json
import os
import random
import shutil
import string
import subprocess
import sys
import tempfile
import time

WEIR = os.path.abspath(sys.argv[1])
TOP = tempfile.mkdtemp(prefix="weir-test-check-")
ENV = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "Dev", "GIT_AUTHOR_EMAIL": "dev@example.org",
       "GIT_COMMITTER_NAME": "Dev", "GIT_COMMITTER_EMAIL": "dev@example.org", "HOME": TOP, "XDG_CACHE_HOME": os.path.join(TOP, "cache")}
for name in [n for n in ENV if n.startswith("WEIR_") and n != "WEIR_CONFORMANCE"]:
    del ENV[name]
ENV["LSAN_OPTIONS"] = "print_suppressions=0:suppressions=" + os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "lsan-libgit2.supp")
RANDOM = random.Random(7)
DONE = []


def secret():
    return "AK" + "IA" + "".join(RANDOM.choice(string.ascii_uppercase + "234567") for _ in range(16))


def run(*argv, cwd, want=None, env=ENV, text_in=None):
    r = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, input=text_in)
    if want is not None and r.returncode != want:
        raise SystemExit(f"{' '.join(argv)}: status {r.returncode}, expected {want}\n{r.stdout}\n{r.stderr}")
    return r


def git(repo, *argv, want=0):
    return run("git", *argv, cwd=repo, want=want).stdout.strip()


def check(repo, *argv, want):
    return run(WEIR, "check", *argv, cwd=repo, want=want)


def write(repo, name, text):
    path = os.path.join(repo, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def repository(name):
    repo = os.path.join(TOP, name)
    git(TOP, "init", "-q", "-b", "main", repo)
    return repo


def expect(condition, what):
    if not condition:
        raise SystemExit(f"not so: {what}")


def test_empty_and_outside():
    repo = repository("empty")
    check(repo, want=0)
    write(repo, "f", f"k {secret()}\n")
    check(repo, want=1)  # untracked, and there is no commit yet
    git(repo, "add", "f")
    expect("f:1:3" in check(repo, "--staged", want=1).stdout, "the place is told")
    r = check(TOP, want=2)
    expect("not inside a git repository" in r.stderr, r.stderr)
    check(repo, "main..HEAD", want=2)
    check(repo, "nonsense", want=2)
    check(repo, "--staged", "--all", want=2)


def test_what_is_looked_at():
    repo = repository("looked")
    write(repo, "clean", "x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "one")
    check(repo, want=0)
    # staged is what the index has, not the disk
    write(repo, "clean", f"{secret()}\n")
    check(repo, "--staged", want=0)
    check(repo, want=1)
    git(repo, "add", "clean")
    write(repo, "clean", "y\n")
    check(repo, "--staged", want=1)
    check(repo, want=1)
    check(repo, "--all", want=0)
    git(repo, "commit", "-q", "-m", "leak")
    git(repo, "commit", "-q", "-a", "-m", "gone again")
    check(repo, "--all", want=0)
    check(repo, "HEAD~2..HEAD", want=1)
    check(repo, "HEAD~1..", want=0)
    check(repo, "--history", want=1)
    # from a folder below; ignored files and links are not followed
    os.makedirs(os.path.join(repo, "sub"))
    write(repo, ".gitignore", "ignored\n")
    write(repo, "ignored", f"{secret()}\n")
    write(TOP, "outside", f"{secret()}\n")
    os.symlink(os.path.join(TOP, "outside"), os.path.join(repo, "link"))
    check(os.path.join(repo, "sub"), "--all", want=0)
    write(repo, "sub/here", f"{secret()}\n")
    expect("sub/here:1:1" in check(os.path.join(repo, "sub"), "--all", want=1).stdout, "the path is seen from the top")


def test_upstream():
    origin = os.path.join(TOP, "origin.git")
    git(TOP, "init", "-q", "-b", "main", "--bare", origin)
    repo = repository("clone")
    git(repo, "remote", "add", "origin", origin)
    write(repo, "old", f"{secret()}\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "old")
    git(repo, "push", "-q", "-u", "origin", "main")
    check(repo, want=0)  # it is out already
    write(repo, "new", f"{secret()}\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "new")
    r = check(repo, want=1)
    expect("new:1:1" in r.stdout and "old:1:1" not in r.stdout, r.stdout)


def test_waivers():
    repo = repository("waivers")
    write(repo, "a", "x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "one")
    text = f"k {secret()}\n"
    write(repo, "data/leak", text)
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400 * 30))
    write(repo, ".weir/waivers.yaml", f"waivers:\n  - rule: aws-access-key-id\n    path: data/**\n    owner: dev\n    reason: recorded\n    expires: {day}\n")
    git(repo, "add", "data")
    git(repo, "add", ".weir")
    check(repo, "--staged", want=1)  # a waiver of the change itself does not count
    git(repo, "commit", "-q", "-m", "waiver", "--", ".weir")
    r = check(repo, "--staged", "--json", want=0)
    report = json.loads(r.stdout)
    expect(report["waived"] == 1 and report["verdict"] == "pass", r.stdout)
    sarif = json.loads(check(repo, "--staged", "--sarif", want=0).stdout)
    expect(sarif["version"] == "2.1.0" and sarif["runs"][0]["results"][0]["suppressions"][0]["kind"] == "external", sarif)
    expect(text[6:] not in r.stdout, "no secret in a report")
    write(repo, ".weir/waivers.yaml", "waivers:\n  - rule: x\n")
    expect("owner" in check(repo, want=1).stdout, "a broken waivers file is a finding")


def test_other_files():
    repo = repository("files")
    write(repo, ".github/workflows/ci.yml", "on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n")
    git(repo, "add", ".")
    out = check(repo, "--staged", want=1).stdout
    expect(".github/workflows/ci.yml:5" in out and "steps" in out, out)
    git(repo, "commit", "-q", "-m", "one")
    expect(".github/workflows/ci.yml:5" in check(repo, "..HEAD", want=1).stdout, "the same in a commit")


def test_incomplete():
    repo = repository("incomplete")
    git(repo, "commit", "-q", "--allow-empty", "-m", "zero")
    write(repo, "f", "x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "one")
    blob = git(repo, "rev-parse", "HEAD:f")
    os.unlink(os.path.join(repo, ".git", "objects", blob[:2], blob[2:]))
    expect("incomplete" in check(repo, "HEAD~1..", want=2).stdout, "a missing object is told")


def test_hooks():
    origin = os.path.join(TOP, "hooked.git")
    git(TOP, "init", "-q", "-b", "main", "--bare", origin)
    repo = repository("hooks it's")
    git(repo, "remote", "add", "origin", origin)
    hooks = os.path.join(repo, ".git", "hooks")
    os.makedirs(hooks, exist_ok=True)
    for name in ("pre-commit", "pre-push"):
        write(hooks, name, f"#!/bin/sh\n{'cat >>../pushed' if name == 'pre-push' else 'echo ran >>../ran'}\n[ ! -e ../refuse ]\n")
        os.chmod(os.path.join(hooks, name), 0o755)
    r = run(WEIR, "hook", "install", cwd=repo, want=0)
    expect("runs first" in r.stderr, r.stderr)
    run(WEIR, "hook", "install", cwd=repo, want=0)  # again
    write(repo, "f", "x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "one")
    expect(os.path.exists(os.path.join(TOP, "ran")), "the former pre-commit ran")
    git(repo, "push", "-q", "origin", "main")
    with open(os.path.join(TOP, "pushed"), encoding="utf-8") as f:
        expect("refs/heads/main" in f.read(), "the former pre-push got its input")
    write(repo, "leak", f"{secret()}\n")
    git(repo, "add", ".")
    r = run("git", "commit", "-q", "-m", "leak", cwd=repo, want=1)
    expect("leak:1:1" in r.stdout + r.stderr, r.stdout + r.stderr)
    git(repo, "commit", "-q", "--no-verify", "-m", "leak")
    r = run("git", "push", "-q", "origin", "main", cwd=repo, want=1)
    expect("leak:1:1" in r.stdout + r.stderr, r.stdout + r.stderr)
    run("git", "push", "-q", "origin", "main:new-branch", cwd=repo, want=1)  # also where the ref is not there yet
    git(repo, "reset", "-q", "--hard", "HEAD~1")
    git(repo, "push", "-q", "origin", "main:other")
    git(repo, "push", "-q", "origin", ":other")  # deletions pass
    write(TOP, "refuse", "")
    run("git", "commit", "-q", "--allow-empty", "-m", "refused", cwd=repo, want=1)  # the former hook still decides
    os.unlink(os.path.join(TOP, "refuse"))
    run(WEIR, "hook", "uninstall", cwd=repo, want=0)
    run(WEIR, "hook", "uninstall", cwd=repo, want=0)
    expect(sorted(n for n in os.listdir(hooks) if not n.endswith(".sample")) == ["pre-commit", "pre-push"] and "weir" not in open(os.path.join(hooks, "pre-commit"), encoding="utf-8").read(),
           "the former hooks are back")
    run(WEIR, "hook", "install", cwd=TOP, want=2)


def test_hooks_path():
    for number, value in enumerate((".githooks", os.path.join(TOP, "shared-hooks"))):
        repo = repository(f"hooks-path-{number}")
        git(repo, "config", "core.hooksPath", value)
        os.makedirs(os.path.join(repo, "sub"))
        r = run(WEIR, "hook", "install", cwd=os.path.join(repo, "sub"), want=0)
        expect(os.path.exists(os.path.join(repo, value, "pre-commit")), f"the hook is where git looks for it: {r.stdout}")
        expect(not os.path.exists(os.path.join(repo, "sub", value)) or os.path.isabs(value), "and nowhere else")
        expect(("other repositories" in r.stderr) == os.path.isabs(value), f"a folder outside is told: {r.stderr}")
        write(repo, "sub/leak", f"{secret()}\n")
        git(repo, "add", "sub")
        r = run("git", "commit", "-q", "-m", "leak", cwd=os.path.join(repo, "sub"), want=1)
        expect("sub/leak:1:1" in r.stdout + r.stderr, r.stdout + r.stderr)
        run(WEIR, "hook", "uninstall", cwd=repo, want=0)
        expect(not os.path.exists(os.path.join(repo, value, "pre-commit")), "taken away again")
        git(repo, "commit", "-q", "-m", "leak")


def test_hooks_in_a_worktree():
    repo = repository("main-tree")
    write(repo, "f", "x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "one")
    tree = os.path.join(TOP, "second-tree")
    git(repo, "worktree", "add", "-q", "-b", "second", tree)
    run(WEIR, "hook", "install", cwd=tree, want=0)
    expect(os.path.exists(os.path.join(repo, ".git", "hooks", "pre-commit")), "one hook for all trees of the repository")
    write(tree, "leak", f"{secret()}\n")
    git(tree, "add", ".")
    for where in (tree, repo):
        if where == repo:
            write(repo, "leak", f"{secret()}\n")
            git(repo, "add", ".")
        r = run("git", "commit", "-q", "-m", "leak", cwd=where, want=1)
        expect("leak:1:1" in r.stdout + r.stderr, r.stdout + r.stderr)
    git(tree, "reset", "-q", "--hard")
    git(tree, "commit", "-q", "--allow-empty", "-m", "fine")


def test_the_hook_sees_what_is_committed():
    repo = repository("index")
    write(repo, "f", "x\n")
    write(repo, "g", "x\n")
    git(repo, "add", ".")
    git(repo, "commit", "-q", "-m", "one")
    run(WEIR, "hook", "install", cwd=repo, want=0)
    write(repo, "f", f"{secret()}\n")
    write(repo, "g", "y\n")
    git(repo, "commit", "-q", "-m", "the other file alone", "--", "g")  # through an index of its own, without f
    run("git", "commit", "-q", "-m", "f", "--", "f", cwd=repo, want=1)
    run("git", "commit", "-q", "-a", "-m", "all", cwd=repo, want=1)
    # a hook that could not check refuses, too
    blob = git(repo, "rev-parse", "HEAD:g")
    git(repo, "checkout", "-q", "f")
    write(repo, "f", "z\n")
    git(repo, "add", "f")
    staged = git(repo, "rev-parse", ":f")
    os.unlink(os.path.join(repo, ".git", "objects", staged[:2], staged[2:]))
    check(repo, "--staged", want=2)
    expect(run("git", "commit", "-q", "-m", "missing", cwd=repo).returncode != 0, f"refused while {staged} is missing (others stay: {blob})")
    write(repo, "f", "warned password = '4ian" + "1234'\n")
    git(repo, "add", "f")
    r = check(repo, "--staged", want=0)
    expect("warning" in r.stdout and "f:1:" in r.stdout, r.stdout)
    git(repo, "commit", "-q", "-m", "a warning refuses nothing")


def main():
    try:
        for name, test in sorted(globals().items()):
            if name.startswith("test_"):
                test()
                DONE.append(name)
                print(f"ok {name}")
    finally:
        shutil.rmtree(TOP, ignore_errors=True)
    print(f"{len(DONE)} passed, 0 failed, 0 skipped")


main()
