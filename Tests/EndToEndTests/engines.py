"""Engine.IO sessions, played by hand: one by long-polling on http.client, one on the stock websocket-client. Every packet as it is."""
import json
import struct
from urllib.parse import urlencode

import websocket

from servers import BOUND
from workers import Closed

SEPARATOR = "\x1e"


def packets(answer):
    """What a poll brought."""
    assert answer.status == 200, answer
    return answer.body.decode().split(SEPARATOR)


class Polling:
    """A session by long-polling. `query`: members that the handshake has besides."""

    def __init__(self, server, path="/socket.io/", headers=None, **query):
        self.server, self.path, self.headers = server, path, headers
        self.opened = self.ask("GET", f"{path}?" + urlencode({"EIO": 4, "transport": "polling"} | query))
        assert self.opened.status == 200, self.opened
        assert self.opened.body[:1] == b"0", self.opened
        self.handshake = json.loads(self.opened.body[1:])
        self.sid = self.handshake["sid"]
        self.url = f"{path}?" + urlencode({"EIO": 4, "transport": "polling", "sid": self.sid})

    def ask(self, method, url, body=None):
        return self.begin(method, url, body).answer()

    def begin(self, method, url, body=None):
        body = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": "text/plain;charset=UTF-8"} if body is not None else {}
        return self.server.begin(method, url, body, headers | (self.headers or {}))

    def poll(self):
        return self.ask("GET", self.url)

    def begin_poll(self):
        """A poll whose answer nobody has read yet."""
        return self.begin("GET", self.url)

    def post(self, body):
        return self.ask("POST", self.url, body)

    def say(self, *texts):
        answer = self.post(SEPARATOR.join(texts))
        assert (answer.status, answer.body) == (200, b"ok"), answer

    def hear(self):
        """The next packets that are no ping; pings are answered."""
        while True:
            heard = packets(self.poll())
            if "2" in heard:
                self.say("3")
            if heard := [packet for packet in heard if packet not in ("2", "6")]:
                return heard

    def is_gone(self):
        return self.poll().status == 400


class Wire:
    """A session on a WebSocket, or a WebSocket of a session that has begun by polling (`sid`)."""

    def __init__(self, server, path="/socket.io/", sid=None, query=None, **options):
        members = {"EIO": 4, "transport": "websocket"} | ({"sid": sid} if sid else {}) | (query or {})
        self.socket = websocket.create_connection(server.url(f"{path}?" + urlencode(members), "ws"), timeout=BOUND, **options)
        self.handshake = None
        if sid is None:
            opened = self.hear_anything()
            assert opened[0] == "0", opened
            self.handshake = json.loads(opened[1:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(timeout=BOUND)

    def hear_anything(self):
        """The next message, pings too: text or bytes."""
        opcode, data = self.socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Closed(struct.unpack(">H", data[:2])[0] if len(data) >= 2 else None)
        return data.decode() if opcode == websocket.ABNF.OPCODE_TEXT else data

    def hear(self):
        """The next message that is no ping; pings are answered."""
        while (message := self.hear_anything()) == "2":
            self.say("3")
        return message

    def say(self, *messages):
        for message in messages:
            if isinstance(message, bytes):
                self.socket.send_binary(message)
            else:
                self.socket.send(message)

    def is_closed(self):
        """Whether the server ends it now; what it still says does not matter, and its pings get no answer."""
        try:
            while True:
                self.hear_anything()
        except (Closed, websocket.WebSocketConnectionClosedException, ConnectionError):
            return True

    def join(self, namespace="", payload=""):
        """Connects to a namespace; returns the answer's JSON."""
        self.say(f"40{namespace}{payload}")
        answer = self.hear()
        assert answer.startswith(f"40{namespace}"), answer
        return json.loads(answer.removeprefix(f"40{namespace}"))

    def emit(self, *arguments):
        self.say("42" + json.dumps(arguments))

    def hear_event(self, name=None):
        """The next event's arguments; it must have that name. Returns name and arguments, or the arguments where the name was given."""
        message = self.hear()
        assert message.startswith("42["), message
        heard, *arguments = json.loads(message[2:])
        if name is None:
            return heard, arguments
        assert heard == name, message
        return arguments

    def fence(self):
        """Joins a namespace that there is none of: its refusal comes after the answers to all that was sent. Returns what came before."""
        self.say("40/fence,")
        before = []
        while not (message := self.hear()).startswith("44/fence,"):
            before.append(message)
        return before
