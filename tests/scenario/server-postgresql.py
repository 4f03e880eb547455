#!/usr/bin/env python3
"""The whole server on PostgreSQL: acts 1 to 3 of the story, tokens and projects over a restart, a database that goes away and comes back,
and the proof of the log. WEIR_BIN names the program."""
import json
import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[0:0] = [HERE, os.path.join(HERE, "..", "..", "tools")]
sys.dont_write_bytecode = True
import postgres  # noqa: E402
import story  # noqa: E402


def expect(condition, what):
    if not condition:
        raise story.Failure(f"not so: {what}")


def verify(w):
    r = json.loads(w.weir("log", "verify", "--json").stdout)
    expect(r["ok"] and r["events"] > 20, r)
    return r["checkpoints"]


def play(w, pg):
    w.start()
    expect(story.play(w, [1, 2, 3], True), "acts 1 to 3")
    w.load.stop()
    w.load = None
    w.wait(lambda: verify(w) > 0, 120, "no signed checkpoint")
    print("ok acts 1 to 3 on PostgreSQL")

    services, tokens = w.rows("/api/v1/services"), w.rows("/api/v1/tokens")
    w.kill()
    w.start()
    expect([(s["service"], s["version"]) for s in w.rows("/api/v1/services")] == [(s["service"], s["version"]) for s in services], "the same services")
    expect({t["name"] for t in w.rows("/api/v1/tokens")} == {t["name"] for t in tokens}, "the same tokens")
    expect(not os.path.exists(os.path.join(w.data, "weir.db")), "no SQLite file beside PostgreSQL")
    print("ok the same after a kill")

    pg.kill()
    r = w.weir("project", "list", check=False)
    expect(r.returncode != 0 and "weir: " in r.stderr, f"without its database the server says so: {r.returncode} {r.stderr}")
    expect(not w.answers(w.url + "/readyz"), "not ready without its database")
    pg.start()
    w.wait(lambda: w.answers(w.url + "/readyz"), 60, "the server does not find its database again")
    expect({p["name"] for p in w.rows("/api/v1/projects")} == {"shop", "ledger"}, "the same projects")
    commit = w.commit("ledger", "After the database came back", {"NOTES.md": "back\n"})
    w.git("ledger", "push", "-q", "origin", "main")
    w.release_of("ledger", commit)  # tested and built; without requests its canary would wait for ever
    verify(w)
    print("ok the database went away and came back")

    w.stop_server()
    verify(w)
    pg.kill()
    r = w.weir("doctor", check=False)
    expect(r.returncode == 1 and "away    database" in r.stdout, r.stdout)
    r = w.weir("serve", check=False)
    expect(r.returncode in (2, 3) and "weir: " in r.stderr, f"weir serve without its database: {r.returncode} {r.stderr}")
    pg.start()
    print("ok no start without the database")


def main():
    try:
        pg = postgres.Postgres()
    except postgres.Missing as e:
        print(f"skipped: {e}")
        return 77
    folder = tempfile.mkdtemp(prefix="weir-server-pg-")
    w = story.World(folder, (story.free_port(), story.free_port(), story.free_range(200)), True, pg.url)
    good = False
    try:
        play(w, pg)
        good = True
    except story.Failure as e:
        print(f"FAILED {e}", flush=True)
    finally:
        w.down()
        pg.stop()
        if good:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"kept {folder}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
