#!/usr/bin/env python3
"""flags.py WEIR: a server with a project, for flags.mjs to walk through its pages of flags. Screenshots go to $WEIR_SHOTS."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "scenario"))
sys.dont_write_bytecode = True
from served import ENV, PORT, SERVER, TOP, call, end, git, token, weir  # noqa: E402


def main():
    SERVER.start()
    try:
        weir("project", "create", "shop")
        work = os.path.join(TOP, "work")  # an environment where changes of flags are approved by others
        git("init", "-q", "-b", "main", work)
        os.makedirs(os.path.join(work, ".weir"))
        with open(os.path.join(work, ".weir", "protection.yaml"), "w", encoding="utf-8") as f:
            f.write("environments:\n  guarded:\n    required-approvals: 1\n")
        git("add", "-A", cwd=work)
        git("commit", "-qm", "protect", cwd=work)
        git("push", "-q", f"http://x:{token()}@127.0.0.1:{PORT}/git/shop.git", "main", cwd=work)
        other = call("POST", "/api/v1/tokens", {"name": "colleague", "scope": "release"})[1]["token"]
        walk = ["node", os.path.join(HERE, "flags.mjs"), ENV["WEIR_SERVER"], token(), other]
        return subprocess.run(walk + [s for s in [os.environ.get("WEIR_SHOTS")] if s], cwd=HERE, check=False).returncode
    finally:
        end()


sys.exit(main())
