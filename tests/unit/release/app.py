"""A small service for tests: answers, fails on a share of its requests, sleeps, and finishes what it began on SIGTERM.

Environment: PORT; FAIL (share of requests answered with 500), SLOW (seconds a request to /slow takes),
HANG (nothing but /healthz is ever answered), DIE (exit at once),
DEAF (never listen), UNWELL (fail its health check), STUBBORN (ignore SIGTERM),
EAT (take memory without end), FORK (start processes without end)."""
import http.server, os, random, signal, socketserver, sys, threading, time

FAIL = float(os.environ.get("FAIL", "0"))
under_way = 0
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global under_way
        with lock:
            under_way += 1
        try:
            if self.path == "/slow":
                time.sleep(float(os.environ.get("SLOW", "1")))
            if os.environ.get("HANG") and self.path != "/healthz":
                time.sleep(600)
            status = 500 if self.path != "/healthz" and random.random() < FAIL else 200
            if self.path == "/healthz" and os.environ.get("UNWELL"):
                status = 500
            body = (os.environ.get("VERSION", "?") + "\n").encode()
            if self.path == "/status":
                body = open("/proc/self/status", "rb").read()
            if self.path == "/id":
                body = ("%d %s\n" % (os.getpid(), os.listdir("/"))).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        finally:
            with lock:
                under_way -= 1

    def log_message(self, *args):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128


def stop(*_):
    print("SIGTERM: finishing", flush=True)
    if os.environ.get("STUBBORN"):
        return
    deadline = time.time() + 20
    while under_way and time.time() < deadline:
        time.sleep(0.01)
    print("SIGTERM: finished", flush=True)
    os._exit(0)


if os.environ.get("DIE"):
    sys.exit(3)
if os.environ.get("EAT"):
    def eat():
        kept = []
        try:
            while True:
                kept.append(bytearray(8 << 20))
        except MemoryError:
            print("no more memory", flush=True)
            os._exit(4)

    threading.Thread(target=eat).start()
if os.environ.get("FORK"):
    try:
        while True:
            if os.fork() == 0:
                time.sleep(1000)
    except BlockingIOError:
        print("no more processes", flush=True)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop).start())
if os.environ.get("DEAF"):
    while True:
        time.sleep(1)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
