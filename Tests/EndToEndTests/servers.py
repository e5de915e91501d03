"""Servers: one `signalbox serve` as a process, and the requests that are made of it.

Not a test and no fixture (conftest.py has those). Every wait has a bound; nothing sleeps for a guess.
"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SIGNALBOX_BIN") or str(ROOT / ".build/release/signalbox")
BOUND = 30  # seconds that any single wait may take


def environment(**settings):
    """The variables a server is started with: nothing of ours but what a process needs to run."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "ASAN_OPTIONS") if name in os.environ}
    return kept | {name: str(value) for name, value in settings.items()}


def run(*arguments, **settings):
    """Runs the program to its end, for commands that end by themselves."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([BINARY, *arguments], env=environment(**settings), cwd=folder, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=BOUND)


def eventually(condition, what="the condition"):
    """Asks again and again until the answer is true; returns it. For states that only a request can show."""
    end = time.monotonic() + BOUND
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < end, f"{what} did not come true within {BOUND} s"
        time.sleep(0.005)


class Lines:
    """The lines of a pipe, read as they come, so that the process behind it never waits for us."""

    def __init__(self, pipe):
        self.seen, self.ended, self.news = [], False, threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self.thread.start()

    def _read(self, pipe):
        for line in pipe:
            with self.news:
                self.seen.append(line.rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    def first(self, matches):
        """The first line that matches, waited for."""
        def find():
            return next((line for line in self.seen if matches(line)), None)
        with self.news:
            self.news.wait_for(lambda: find() is not None or self.ended, BOUND)
            found = find()
            assert found is not None, "no such line; the output was:\n" + "\n".join(self.seen)
            return found


class Answer:
    """An HTTP response, whole."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Pending:
    """A request that was sent and whose answer nobody has read yet."""

    def __init__(self, connection):
        self.connection = connection

    def answer(self):
        try:
            return Answer(self.connection.getresponse())
        finally:
            self.connection.close()

    def leave(self):
        """The client goes away without waiting."""
        self.connection.close()


class Server:
    """A running server."""

    def __init__(self, arguments=(), settings=None, listen=("127.0.0.1:0",)):
        self.folder = tempfile.TemporaryDirectory(prefix="signalbox-")
        command = [BINARY, "serve", *(word for address in listen for word in ("--listen", address)), *arguments]
        self.process = subprocess.Popen(command, env=environment(**(settings or {})), cwd=self.folder.name, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        self.log = Lines(self.process.stderr)
        self.host, self.port = "127.0.0.1", None
        if "127.0.0.1:0" in listen:
            line = self.log.first(lambda line: "listening" in line and re.search(r"127\.0\.0\.1:\d+", line))
            self.port = int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def url(self, path, scheme="http"):
        return f"{scheme}://{self.address}{path}"

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=BOUND)

    def begin(self, method, path, body=None, headers=None):
        """Sends a request and returns at once. `body`: bytes as they are, or a value that is sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None and "Content-Type" not in headers:
            headers["Content-Type"] = "application/json"
        connection = self.connection()
        connection.request(method, path, body=body, headers=headers)
        return Pending(connection)

    def request(self, method, path, body=None, headers=None):
        return self.begin(method, path, body, headers).answer()

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def submit(self, group, data=None, **members):
        """A synchronous task, on its way."""
        return self.begin("POST", "/api/openai", {"data": data or {}, "group": group} | members)

    def queue(self, group, data=None, **members):
        """An asynchronous task; returns its id."""
        answer = self.submit(group, data, **members, **{"async": True}).answer()
        assert answer.status == 200, answer
        return answer.json["taskId"]

    def task(self, task_id):
        """What the server says of a task."""
        answer = self.get(f"/api/task/{task_id}")
        assert answer.status == 200, answer
        return answer.json

    def until(self, task_id, **members):
        """Waits until the task's state has these members."""
        return eventually(lambda: (state := self.task(task_id)).items() >= members.items() and state, f"{task_id} {members}")

    def cancel(self, task_id):
        return self.request("POST", f"/api/task/{task_id}/cancel")

    def raw(self, data=b""):
        """A plain socket, for bytes that no client would send."""
        channel = socket.create_connection((self.host, self.port), timeout=BOUND)
        channel.sendall(data)
        return channel

    def exchange(self, data):
        """Sends bytes, reads until the server ends the connection."""
        with self.raw(data) as channel:
            return read_to_end(channel)

    def stop(self):
        """Asks it to stop and waits; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        try:
            return self.process.wait(BOUND)
        finally:
            self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(BOUND)
        self.log.thread.join(BOUND)
        self.process.stderr.close()
        self.folder.cleanup()


def read_to_end(channel):
    """Everything until the other side ends the connection."""
    received = b""
    while True:
        try:
            piece = channel.recv(65536)
        except ConnectionResetError:
            return received
        if not piece:
            return received
        received += piece


def read_response(channel, head_only=False):
    """One response from a plain socket: status, headers (names in lower case) and body. Reads not a byte more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = channel.recv(1)
        assert byte, f"the connection ended inside a head: {head!r}"
        head += byte
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    version, status, *_ = first.split(" ", 2)
    assert version in ("HTTP/1.1", "HTTP/1.0"), first
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
    body = b""
    if not head_only and int(status) >= 200 and int(status) not in (204, 304):
        size = int(headers["content-length"])
        while len(body) < size:
            piece = channel.recv(size - len(body))
            assert piece, "the connection ended inside a body"
            body += piece
    return int(status), headers, body
