"""Streams: the watching ends of all protocols, each as the plain text of what it was told, and tokens for them. No test.

A stream of server-sent events is read off a plain socket, its chunks and its lines as the standards have them; WebSockets are the stock
websocket-client's. Nothing is read before a test asks: who does not ask is a slow reader.
"""
import base64
import collections
import hashlib
import hmac
import json
import re
import socket
import struct
import threading
import time

import websocket

from servers import BOUND, run
from workers import Closed

SECRET = "a secret of these tests, and of nobody else"


def token(user, *options):
    """A token, made as an operator makes one."""
    made = run("token", "--sub", str(user), *options, JWT_SECRET=SECRET)
    assert made.returncode == 0 and made.stderr == "", made
    return made.stdout.strip()


def ending_token(user, seconds):
    """A token of another issuer that has ended, and is taken for so much longer: clocks may differ by half a minute."""
    def part(data): return base64.urlsafe_b64encode(data).rstrip(b"=")
    claims = {"sub": user, "exp": int(time.time()) - 30 + seconds}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


def bearer(token):
    return {"Authorization": f"Bearer {token}"} if token else {}


def order(server, token, **members):
    """Gives a task in; returns its id."""
    answer = server.request("POST", "/api/gpu/tasks", {"data": {"n": 1}} | members, bearer(token))
    assert answer.status == 200, answer
    return answer.json["task_id"]


def metric(server, name):
    """A figure of the metrics' page."""
    return float(re.search(rf"^signalbox_{name} (\S+)$", server.get("/metrics").body.decode(), re.M)[1])


def memory(server):
    """The resident bytes of the server's process."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"^VmRSS:\s+(\d+) kB$", status.read(), re.M)[1]) << 10


def send_at_once(worker, messages):
    """Sends all messages of a worker in one go."""
    def frame(text):
        data = text.encode()
        length = len(data)
        size = bytes([0x80 | length]) if length < 126 else struct.pack(
            *((">BH", 0xFE, length) if length < 65_536 else (">BQ", 0xFF, length)))
        # RFC 6455 §5.3: a key of zeros is one as well, and leaves the bytes as they are.
        return b"\x81" + size + bytes(4) + data
    worker.socket.sock.sendall(b"".join(frame(text if isinstance(text, str) else json.dumps(text)) for text in messages))


# Server-sent events

Event = collections.namedtuple("Event", "id type data")


class EventParser:
    """HTML, "Interpreting an event stream", line by line; `comments` and `retry` are what no listener ever sees."""

    def __init__(self):
        self.bytes, self.started, self.last_id = b"", False, ""
        self.comments, self.retry = [], None
        self.data, self.type, self.id = [], "", ""

    def feed(self, data):
        """Returns the events that these bytes complete."""
        self.bytes += data
        if not self.started and len(self.bytes) >= 3:
            self.started = True
            self.bytes = self.bytes.removeprefix(b"\xef\xbb\xbf")
        events = []
        # A carriage return at the end may be half a line's end.
        while self.started and (end := re.search(rb"\r\n|\n|\r(?=.)", self.bytes, re.S)):
            line, self.bytes = self.bytes[:end.start()].decode("utf-8"), self.bytes[end.end():]
            events += self._line(line)
        return events

    def _line(self, line):
        if line == "":
            return self._dispatch()
        if line.startswith(":"):
            self.comments.append(line[1:].removeprefix(" "))
            return []
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        assert field in ("event", "data", "id", "retry"), f"a field that no browser knows: {line!r}"
        if field == "event":
            self.type = value
        elif field == "data":
            self.data.append(value)
        elif field == "id":
            assert "\0" not in value
            self.id = value
        else:
            assert re.fullmatch("[0-9]+", value), line
            self.retry = int(value)
        return []

    def _dispatch(self):
        self.last_id = self.id
        event = Event(self.last_id, self.type or "message", "\n".join(self.data)) if self.data else None
        self.data, self.type = [], ""
        return [event] if event else []


class EventStream:
    """The events of a task over HTTP, read off a plain socket as far as they are asked for."""

    def __init__(self, server, task, query="", token=None, version="1.1", receive_bytes=None, more=b"", method="GET", **headers):
        self.channel = socket.socket()
        if receive_bytes:
            self.channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.channel.settimeout(BOUND)
        self.channel.connect((server.host, server.port))
        lines = [f"{method} /api/tasks/{task}/events{query} HTTP/{version}", f"Host: {server.address}", "Accept: text/event-stream"]
        lines += [f"{name}: {value}" for name, value in (headers | bearer(token)).items()]
        self.channel.sendall("\r\n".join([*lines, "", ""]).encode() + more)
        self.file = self.channel.makefile("rb")
        self.status = int(self._head_line().split(" ")[1])
        self.headers = {}
        while line := self._head_line():
            name, value = line.split(":", 1)
            assert name.lower() not in self.headers, f"{name} twice"
            self.headers[name.lower()] = value.strip()
        self.is_chunked = self.headers.get("transfer-encoding") == "chunked"
        self.parser, self.waiting, self.ended = EventParser(), collections.deque(), None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.channel.close()

    def _head_line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), line
        return line[:-2].decode("latin-1")

    def _piece(self):
        """The next bytes of the body; none where it ends, and `ended` says how: "whole" or "cut"."""
        if not self.is_chunked:
            piece = self.file.read1(65_536)
            self.ended = None if piece else "cut"
            return piece
        size = self.file.readline()
        if not size.endswith(b"\r\n"):
            self.ended = "cut"
            return b""
        length = int(size, 16)
        piece = self.file.read(length + 2)
        if len(piece) < length + 2:
            self.ended = "cut"
        else:
            assert piece.endswith(b"\r\n"), piece[-20:]
            if length == 0:
                self.ended = "whole"
        return piece[:-2] if self.ended is None else b""

    def texts(self):
        """Yields the data of the events as they come, until the body ends."""
        while (event := self.next()) is not None:
            yield event.data

    def next(self):
        """The next event; None where the body ends."""
        while not self.waiting:
            if self.ended or not (piece := self._piece()):
                return None
            self.waiting.extend(self.parser.feed(piece))
        return self.waiting.popleft()

    def hear(self, *types):
        """The next events, which must be of these types, parsed. Each has its number as its id, but for the first half of a pair."""
        heard = []
        for type in types:
            event = self.next()
            assert event is not None and event.type == type, (type, event)
            message = json.loads(event.data)
            assert message["type"] == type, event
            heard.append(message)
        return heard if len(heard) > 1 else heard[0]

    def beats(self, count):
        """Waits until so many more comments have come; no event may be among them."""
        wanted = len(self.parser.comments) + count
        while len(self.parser.comments) < wanted:
            piece = self._piece()
            assert piece, "the stream ended"
            assert self.parser.feed(piece) == []

    def closed(self):
        """Whether nothing but the connection's end follows."""
        return self.file.read() == b""

    def body(self):
        """An answer that is no stream, parsed."""
        data = self.file.read(int(self.headers.get("content-length", 0)))
        return json.loads(data) if data else None


# WebSockets


class Socket:
    """A watcher's WebSocket, the texts that it was told in `told`; reads when it is asked to."""

    def __init__(self, server, path, token=None, receive_bytes=None, lines=False):
        options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)] if receive_bytes else []
        self.socket = websocket.create_connection(
            server.url(path, "ws"), timeout=BOUND, header=bearer(token), sockopt=options, skip_utf8_validation=True)
        self.lines, self.waiting, self.told = lines, collections.deque(), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown()

    def text(self):
        """The next message as it is; raises Closed at the end."""
        while not self.waiting:
            opcode, data = self.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise Closed(struct.unpack(">H", data[:2])[0] if len(data) >= 2 else None)
            assert opcode == websocket.ABNF.OPCODE_TEXT, opcode
            text = data.decode("utf-8")
            self.waiting.extend(text.split("\n") if self.lines else [text])
        self.told.append(self.waiting.popleft())
        return self.told[-1]

    def hear(self):
        return json.loads(self.text())

    def say(self, **members):
        self.socket.send(json.dumps(members))

    def close_code(self):
        """Reads on to the close frame; returns its code. None where the connection just ends."""
        try:
            while True:
                self.text()
        except Closed as end:
            return end.code
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            return None


def task_socket(server, task, token=None, query="", **options):
    """Document G's, greeted; the greeting stays in `told`."""
    watcher = Socket(server, f"/api/gpu/tasks/{task}/ws{query}", token, **options)
    assert watcher.hear()["type"] == "connection_established"
    assert watcher.hear()["type"] == "current_status"
    return watcher


def user_socket(server, user, token=None, **options):
    """Document N's, greeted."""
    watcher = Socket(server, f"/api/task/ws/task/{user}", token, **options)
    assert watcher.hear()["type"] == "connected"
    assert watcher.hear()["type"] == "active_tasks"
    return watcher


def hub_socket(server, *tasks, token=None, query="", **options):
    """Document P's, subscribed to tasks. The state of each stands in `told`."""
    watcher = Socket(server, f"/api/v1/ws{query}", token, lines="batch=ndjson" in query, **options)
    assert (first := watcher.hear())["type"] in ("connected", "reconnected"), first
    watcher.id = first["payload"]["client_id"]
    for task in tasks:
        watcher.say(action="subscribe", task_id=task)
        while watcher.hear()["type"] != "subscribed":
            pass
    return watcher


# What was told of a task


def number(text):
    """The number of the event that a message tells of; None where it tells of none."""
    message = json.loads(text)
    message = message.get("payload", message)
    return message.get("seq") if isinstance(message, dict) else None


# Between a client and the server


class Line:
    """A way to the server that can be cut."""

    def __init__(self, server):
        self.server, self.pairs, self.lock = server, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = self.server.raw()
            with self.lock:
                self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source, sink):
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Ends every connection that there is now."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()
