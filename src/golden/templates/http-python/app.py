"""{{name}}: the HTTP service and its routes.

PORT (default 8080) and HOST (default 127.0.0.1) say where it listens. On SIGTERM it stops accepting, finishes the requests
under way and exits with 0. The file VERSION, written by the workflow, tells which commit this is.
"""

import json
import os
import pathlib
import signal
import socket
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
{{#flags}}

import flags
{{/flags}}

NAME = "{{name}}"
HERE = pathlib.Path(__file__).resolve().parent
IDLE_SECONDS = 75  # a connection without a request is closed after this


def read_version():
    try:
        return (HERE / "VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return "dev"


VERSION = read_version()


# --- routes: a function takes the request handler and returns (status, value that becomes JSON) ---


def root(request):
    return 200, {"name": NAME, "version": VERSION}


def healthz(request):
    return 200, {"status": "ok"}


{{#flags}}
def welcome(request):
    user = request.headers.get("X-User", request.client_address[0])
    return 200, {"welcome": "new" if flags.is_on("new-welcome", user) else "old"}


ROUTES = {"/": root, "/healthz": healthz, "/welcome": welcome}
{{/flags}}
{{^flags}}
ROUTES = {"/": root, "/healthz": healthz}
{{/flags}}


# --- serving ---


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keep-alive
    server_version = NAME
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024  # headers and body leave in one write

    def setup(self):
        super().setup()
        self.server.opened(self.connection)

    def finish(self):
        self.server.closed(self.connection)
        super().finish()

    def do_GET(self):
        route = ROUTES.get(self.path.partition("?")[0])
        try:
            status, value = route(self) if route else (404, {"error": "not found"})
        except Exception:
            traceback.print_exc()
            status, value = 500, {"error": "internal error"}
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads would be taken for the next request
        self.answer(status, value)

    do_HEAD = do_GET

    def refuse_method(self):
        self.close_connection = True
        self.answer(405, {"error": "method not allowed"}, [("Allow", "GET, HEAD")])

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = refuse_method

    def answer(self, status, value, headers=()):
        body = json.dumps(value).encode() + b"\n"
        if self.server.stopping:
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, text in headers:
            self.send_header(name, text)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format, *args):
        if os.environ.get("LOG") == "debug":
            super().log_message(format, *args)


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # server_close() waits for their requests

    def __init__(self, address):
        self.stopping = False
        self.connections = set()
        self.lock = threading.Lock()
        self.loop = None
        super().__init__(address, Handler)

    def opened(self, connection):
        with self.lock:
            self.connections.add(connection)
            if self.stopping:
                self.end_of_requests(connection)

    def closed(self, connection):
        with self.lock:
            self.connections.discard(connection)

    @staticmethod
    def end_of_requests(connection):
        """What the client has sent already can still be read; then comes the end. Answers can still be written."""
        try:
            connection.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # it is gone

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def handle_timeout(self):
        self.accepted_all = True

    def start(self):
        self.loop = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        self.loop.start()

    def stop(self):
        """Takes what the kernel has accepted already, finishes every request under way, and returns."""
        self.shutdown()
        self.loop.join()
        self.timeout, self.accepted_all = 0, False
        while not self.accepted_all:
            self.handle_request()
        with self.lock:
            self.stopping = True
            for connection in self.connections:
                self.end_of_requests(connection)
        self.server_close()


def main():
    server = Server((os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "8080"))))
{{#flags}}
    flags.start()
{{/flags}}
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    server.start()
    print(f"{NAME} {VERSION} listens on {server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    asked_to_stop.wait()
    server.stop()


if __name__ == "__main__":
    main()
