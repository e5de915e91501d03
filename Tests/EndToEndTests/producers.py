"""Producers: the Python package with which a program reports its tasks, and the ends it is seen from: the user's WebSocket, and a server
that does what a test tells it. No test."""
import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest
from websockets.sync.client import connect

from servers import BOUND, ROOT, eventually

PACKAGE = ROOT / "Sources/Clients/python"
if str(PACKAGE) not in sys.path:
    sys.path.insert(0, str(PACKAGE))

from signalbox import TaskNotificationService  # noqa: E402 (found there)

ENDS = ("completed", "failed", "cancelled")


@pytest.fixture
def making():
    """Makes services of a test's own, which are closed at its end."""
    made = []

    def make(url, **settings):
        made.append(TaskNotificationService(url, **settings))
        return made[-1]

    yield make
    for service in made:
        asyncio.run(service.close(timeout=0))


def away():
    """The address of a server that is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def program(script, url, *arguments, **settings):
    """Runs a program that uses the package to its end; returns what `subprocess.run` does."""
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PACKAGE), "PYTHONDONTWRITEBYTECODE": "1", "SIGNALBOX_URL": url} | settings
    return subprocess.run([sys.executable, "-c", script, *arguments], env=variables, capture_output=True, text=True, timeout=BOUND,
                          stdin=subprocess.DEVNULL)


def status(server, task_id, **headers):
    """What the document's polling says of a task; None where there is none."""
    answer = server.get(f"/api/task/task/{quote(task_id, safe='')}/status", **headers)
    assert answer.status in (200, 404), answer
    assert answer.json["success"] is (answer.status == 200)
    return answer.json["data"] if answer.status == 200 else None


def until(server, task_id, word, **headers):
    """The task, once its status is that one."""
    return eventually(lambda: (task := status(server, task_id, **headers)) and task["status"] == word and task, f"{task_id} {word}")


class Watcher:
    """A user's WebSocket."""

    def __init__(self, server, user):
        self.connection = connect(server.url(f"/api/task/ws/task/{user}", "ws"), open_timeout=BOUND, max_size=None)

    def __enter__(self):
        self.socket = self.connection.__enter__()
        assert self.receive()["type"] == "connected"
        assert self.receive()["type"] == "active_tasks"
        return self

    def __exit__(self, *problem):
        return self.connection.__exit__(*problem)

    def receive(self):
        return json.loads(self.socket.recv(timeout=BOUND))

    def until_ended(self, *task_ids):
        """What is told of these tasks until all have ended: for each its messages, without those of its waiting."""
        told = {task_id: [] for task_id in task_ids}
        while not all(messages and messages[-1]["status"] in ENDS for messages in told.values()):
            message = self.receive()
            assert message["type"] == "task_status", message
            if message["task_id"] in told and message["status"] != "pending":
                told[message["task_id"]].append(message)
        return told

    def life(self, task_id):
        """The same for one task."""
        return self.until_ended(task_id)[task_id]


def taken(events):
    """The verdicts of a server that takes everything."""
    return 200, {"success": True, "data": {"verdicts": [{"ok": True, "task_id": event["task_id"], "seq": 1} for event in events]}}


class Stub:
    """A server that answers as it is told. `answers`: for each request a function of its events that gives status and body, or None to end
    the connection without an answer; when there are no more, everything is taken."""

    def __init__(self, *answers, port=0):
        self.answers, self.batches, self.tokens, self.connections = list(answers), [], [], 0
        self.lock = threading.Lock()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                super().setup()
                self.connection.settimeout(BOUND)
                with stub.lock:
                    stub.connections += 1

            def log_message(self, *_):
                pass

            def do_POST(self):
                assert self.path == "/api/task/events" and self.headers["Content-Type"] == "application/json"
                events = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"]
                with stub.lock:
                    answer = stub.answers.pop(0) if stub.answers else taken
                    stub.batches.append(events)
                    stub.tokens.append(self.headers["Authorization"])
                said = answer(events)
                if said is None:
                    self.close_connection = True
                    return
                status, body = said
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        class HTTPServer(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # A client that went away, which some tests want.

        self.server = HTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(BOUND)

    @property
    def events(self):
        """All that was ever sent, as `register a`."""
        return [f"{event['event']} {event['task_id']}" for batch in self.batches for event in batch]


class Timer:
    """How long a block took, in seconds."""

    def __enter__(self):
        self.began = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.began
