"""Workers: the other end of `/ws`, played by the stock websocket-client, one message at a time."""
import json
import socket
import struct
from urllib.parse import urlencode

import websocket

from servers import BOUND


class Closed(Exception):
    """The server closed the socket; `code` is the close code, None where there was none."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class Worker:
    """A connected worker. It is ready when `ready` is given: True, or the members of the message."""

    def __init__(self, server, group, ready=None, explicit=False, expect_connected=True):
        # What came while something else was waited for.
        self.kept = []
        query = {"group": group} if group is not None else {}
        if explicit:
            query["ready"] = "explicit"
        self.socket = websocket.create_connection(server.url("/ws" + ("?" + urlencode(query) if query else ""), "ws"), timeout=BOUND)
        self.welcome = self.receive() if expect_connected else None
        self.id = self.welcome["workerId"] if self.welcome else None
        if ready is not None:
            self.ready(**(ready if isinstance(ready, dict) else {}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send_text(self, text):
        self.socket.send(text)

    def send(self, kind, **members):
        self.send_text(json.dumps({"type": kind} | members))

    def receive_text(self):
        """The next text message, as it is."""
        opcode, data = self.socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Closed(struct.unpack(">H", data[:2])[0] if len(data) >= 2 else None)
        assert opcode == websocket.ABNF.OPCODE_TEXT, f"opcode {opcode}"
        return data.decode()

    def receive(self, kind=None):
        """The next message; it must be of that type."""
        message = self.kept.pop(0) if self.kept else json.loads(self.receive_text())
        assert kind is None or message["type"] == kind, message
        return message

    def ready(self, **members):
        """Says ready and waits until the server has heard it: the pong comes after. For groups in which nothing waits."""
        self.send("ready", **members)
        assert self.fence() == [], "an answer to ready"

    def fence(self):
        """Sends a ping; returns what came before its pong. After it the server has dealt with all that was sent."""
        self.send("ping")
        before = []
        while (message := self.receive())["type"] != "pong":
            before.append(message)
        return before

    def take(self, task_id=None):
        """The next message is a task; returns it."""
        message = self.receive("task")
        assert task_id is None or message["taskId"] == task_id, message
        return message

    def complete(self, task_id, result=None, **members):
        self.send("task_complete", taskId=task_id, result=result if result is not None else {"success": True}, duration=1000, **members)

    def fail(self, task_id, error):
        self.send("task_error", taskId=task_id, error=error, duration=1000)

    def acknowledged(self, task_id):
        """Waits until the result is kept. The next task needs no disk, and may come before that."""
        acknowledgement = {"type": "task_ack", "taskId": task_id}
        before = []
        while (message := self.receive()) != acknowledgement:
            assert message["type"] == "task", message
            before.append(message)
        self.kept = before + self.kept

    def finish(self, task_id, result=None):
        """Completes a task and hears that the result is kept."""
        self.complete(task_id, result)
        self.acknowledged(task_id)

    def close(self):
        """Ends the conversation as the standard wants it; afterwards the server has forgotten the worker."""
        self.socket.close(timeout=BOUND)

    def vanish(self):
        """Ends the connection without a word."""
        self.socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.sock.close()
