"""edged.py: a `weir edge` that follows the server of served.py, on a folder and port of its own."""
import os
import re
import signal
import subprocess

from served import ENV, PORT, TOKENS, TOP, WEIR, call, expect, free_port


class Edge:
    def __init__(self, name, who="edge"):
        self.port, self.data, self.who, self.log, self.p = free_port(), os.path.join(TOP, name), who, os.path.join(TOP, name + ".log"), None
        self.dir = os.path.join(self.data, "edge")

    def start(self):
        env = {**{k: v for k, v in ENV.items() if k not in ("WEIR_TOKEN_FILE", "WEIR_DATA")}, "WEIR_TOKEN": TOKENS[self.who]}
        with open(self.log, "a", encoding="utf-8") as log:
            self.p = subprocess.Popen([WEIR, "edge", "--server", f"http://127.0.0.1:{PORT}", "--data", self.data, "--port", str(self.port)], env=env, cwd=TOP,
                                      stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.p.stdout.readline()
        expect(f"serves http://127.0.0.1:{self.port}" in line, f"the edge comes up: {line} {self.said()}")

    def stop(self, how=signal.SIGTERM):
        self.p.send_signal(how)
        code = self.p.wait(60)
        expect(code == (0 if how == signal.SIGTERM else -how), f"exit code {code}: {self.said()}")

    def said(self):
        return open(self.log, encoding="utf-8").read()

    def file(self, tail=""):
        return os.path.join(self.dir, "sets", "shop~production.copy" + tail)

    def kept(self, name):
        path = os.path.join(self.dir, name)
        return open(path, encoding="utf-8").read() if os.path.exists(path) else ""

    def call(self, method, path, body=None, who="app", **more):
        return call(method, path, body, who, port=self.port, **more)

    def single(self, key, context=None, who="app"):
        return self.call("POST", f"/ofrep/v1/evaluate/flags/{key}", {"context": context or {}}, who)

    def metric(self, name):
        status, text, _ = self.call("GET", "/metrics", who="reader")
        expect(status == 200, f"metrics: {status} {text}")
        return float(re.search(rf"^weir_edge_{re.escape(name)} (\S+)$", text, re.M).group(1))

    def revision(self):
        return self.metric('revision{set="shop/production"}')
