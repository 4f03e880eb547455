import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
import app


class RoutesTest(unittest.TestCase):
    def setUp(self):
        self.server = app.Server(("127.0.0.1", 0))
        self.server.start()
        self.client = http.client.HTTPConnection(*self.server.server_address, timeout=10)

    def tearDown(self):
        self.client.close()
        self.server.stop()

    def get(self, path, method="GET", body=None):
        self.client.request(method, path, body=body)
        answer = self.client.getresponse()
        return answer.status, answer.read(), answer

    def test_root_tells_name_and_version(self):
        status, body, answer = self.get("/?x=1")
        self.assertEqual(status, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(json.loads(body), {"name": app.NAME, "version": app.VERSION})

    def test_health(self):
        self.assertEqual(self.get("/healthz")[0], 200)

    def test_unknown_path(self):
        self.assertEqual(self.get("/nosuch")[0], 404)

    def test_other_methods_are_refused(self):
        status, _, answer = self.get("/", method="POST", body=b"x")
        self.assertEqual(status, 405)
        self.assertEqual(answer.headers["Allow"], "GET, HEAD")

    def test_head_has_no_body(self):
        status, body, answer = self.get("/", method="HEAD")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(answer.headers["Content-Length"]), 0)

    def test_connection_is_kept(self):
        self.get("/")
        first = self.client.sock
        self.get("/healthz")
        self.assertIs(self.client.sock, first)

    def test_a_failing_route_answers_500(self):
        app.ROUTES["/broken"] = lambda request: 1 / 0
        self.addCleanup(app.ROUTES.pop, "/broken")
        stderr, sys.stderr = sys.stderr, open(os.devnull, "w")
        try:
            self.assertEqual(self.get("/broken")[0], 500)
        finally:
            sys.stderr.close()
            sys.stderr = stderr
        self.assertEqual(self.get("/")[0], 200)


class StopTest(unittest.TestCase):
    def test_requests_under_way_are_finished(self):
        entered, go_on = threading.Event(), threading.Event()

        def slow(request):
            entered.set()
            go_on.wait(10)
            return 200, {"slow": True}

        app.ROUTES["/slow"] = slow
        self.addCleanup(app.ROUTES.pop, "/slow")
        server = app.Server(("127.0.0.1", 0))
        server.start()
        client = http.client.HTTPConnection(*server.server_address, timeout=10)
        idle = socket.create_connection(server.server_address, timeout=10)
        client.request("GET", "/slow")
        entered.wait(10)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        self.assertEqual(idle.recv(1), b"")  # an idle connection is closed at once
        go_on.set()
        answer = client.getresponse()
        self.assertEqual((answer.status, json.load(answer)), (200, {"slow": True}))
        self.assertEqual(answer.headers["Connection"], "close")
        stopping.join(10)
        with self.assertRaises(OSError):
            socket.create_connection(server.server_address, timeout=10)
        idle.close()
        client.close()

    def test_sigterm_ends_the_process_with_0(self):
        process = subprocess.Popen(
            [sys.executable, os.path.join(app.HERE, "app.py")],
            env=dict(os.environ, PORT="0"),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            port = int(re.search(r":(\d+)$", process.stderr.readline().strip()).group(1))
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            client.request("GET", "/healthz")
            self.assertEqual(client.getresponse().status, 200)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), 0)
            client.close()
        finally:
            process.kill()
            process.wait()
            process.stderr.close()


if __name__ == "__main__":
    unittest.main()
