"""A private PostgreSQL for scenarios: a cluster of its own in a temporary folder, a Unix socket, no TCP port; gone with its starter."""
import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time


class Missing(Exception):
    """PostgreSQL is not installed here."""


class Postgres:
    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise Missing("PostgreSQL is not installed (/usr/lib/postgresql/*/bin)")
        self.bin = os.path.dirname(found[-1])
        self.as_user = ["setpriv", "--pdeathsig=QUIT"]
        self.folder = tempfile.mkdtemp(prefix="weir-pg-")
        if os.getuid() == 0:
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                shutil.rmtree(self.folder)
                raise Missing("there is no user 'postgres' to run PostgreSQL as") from None
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user[1:1] = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.data = os.path.join(self.folder, "data")
        self.url = f"postgresql:///postgres?host={self.folder}&user=weir"
        self.process = None
        # a locale with an order of its own: what relies on the order of bytes must say so
        subprocess.run([*self.as_user, f"{self.bin}/initdb", "-D", self.data, "-A", "trust", "-U", "weir", "-E", "UTF8", "--locale=C.UTF-8",
                        "--locale-provider=icu", "--icu-locale=en", "--no-sync"], check=True, cwd="/", stdout=subprocess.DEVNULL)
        self.start()

    def start(self):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen([*self.as_user, f"{self.bin}/postgres", "-D", self.data, "-c", "listen_addresses=", "-c",
                                             f"unix_socket_directories={self.folder}", "-c", "fsync=off", "-c", "max_connections=60"],
                                            cwd="/", stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.time() + 60
        while not self.ask("SELECT 1"):
            if self.process.poll() is not None or time.time() > end:
                raise RuntimeError("PostgreSQL does not answer:\n" + open(os.path.join(self.folder, "log"), encoding="utf-8").read())
            time.sleep(0.1)

    def ask(self, sql):
        """The answer of psql, "" when there is none."""
        r = subprocess.run([f"{self.bin}/psql", "-XAtq", self.url, "-c", sql], capture_output=True, text=True)
        return r.stdout.strip() if r.returncode == 0 else ""

    def kill(self):
        """As a power cut of the database alone."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(3)  # SIGQUIT: at once, without a checkpoint
            self.process.wait(30)

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
