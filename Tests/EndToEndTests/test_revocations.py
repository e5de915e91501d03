"""Tokens that are refused before their end: what they opened is closed, and they open nothing again, also after `kill -9`."""
import base64
import functools
import hashlib
import hmac
import json
import struct
import time

import pytest
import socketio
import websocket

from ledger import Home
from monitors import Watcher
from servers import BOUND, eventually, read_to_end
from streams import SECRET, bearer, token

REVOKED = (401, {"error": "The token was revoked"})
ABSENT = (404, {"error": "Task not found or expired"})


@pytest.fixture
def home(launch, tmp_path):
    return Home(functools.partial(launch, AUTH="all", JWT_SECRET=SECRET), tmp_path / "data")


def issued(user, age, role="user"):
    """A token for an hour that was issued so many seconds ago; `None` for one that does not say when."""
    def part(data): return base64.urlsafe_b64encode(data).rstrip(b"=")
    claims = {"sub": user, "role": role, "exp": int(time.time()) + 3_600}
    if age is not None:
        claims["iat"] = int(time.time()) - age
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


ADMIN = bearer(issued("root", 0, "admin"))


def ask(server, text):
    answer = server.get("/api/task/nothing", **bearer(text))
    return answer.status, answer.json


def revoke(server, user, **members):
    answer = server.request("POST", "/api/revocations", {"user_id": user} | members, ADMIN)
    assert answer.status == 200, answer
    return answer.json


def opened(server, path, text):
    """A WebSocket that was opened with a token."""
    return websocket.create_connection(server.url(f"{path}?token={text}", "ws"), timeout=BOUND)


def ending(socket):
    """The close code and the words of a socket; what comes before is passed over."""
    while True:
        opcode, data = socket.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            socket.shutdown()
            return struct.unpack(">H", data[:2])[0], data[2:].decode()


def stream(server, text):
    """A stream of a task's events, on a plain socket, of which the head has come."""
    channel = server.raw(f"GET /api/tasks/t/events?token={text} HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode())
    seen = b""
    while b"event: current_status" not in seen:
        seen += channel.recv(65536)
    assert seen.startswith(b"HTTP/1.1 200 ")
    return channel


PATHS = {"/ws": "worker", "/api/task/ws/producer": "publisher", "/api/task/ws/task/alice": "user", "/api/v1/ws": "user",
         "/api/gpu/tasks/t/ws": "user"}


def test_everything_that_a_token_opened_is_closed_and_nothing_else(home):
    server = home.begin()
    registered = server.request("POST", "/api/task/register", {"task_id": "t", "user_id": "alice"}, bearer(issued("p", 0, "publisher")))
    assert registered.status == 200, registered
    old = [opened(server, path, issued("alice", age, role)) for path, role in PATHS.items() for age in (60, None)]
    new = [opened(server, path, issued("alice", 0, role)) for path, role in PATHS.items()]
    watchers = [Watcher(server, "all", auth={"token": issued("alice", 60)}, transports=[way]) for way in ("websocket", "polling")]
    newer = Watcher(server, "all", auth={"token": issued("alice", 0)})
    channel, other = stream(server, issued("alice", 60)), stream(server, issued("alice", 0))
    told = revoke(server, "alice", before=int(time.time()) - 30)
    assert told["closed"] == len(old) + len(watchers) + 1, told
    for socket in old:
        assert ending(socket) == (4003, "token was revoked")
    with channel:
        assert read_to_end(channel).endswith(b"0\r\n\r\n")
    for watcher in watchers:
        assert watcher.hear("error")["message"] == "The token was revoked"
        assert watcher.hear("disconnect")
        watcher.client.disconnect()
    # The others are as they were.
    with newer, other:
        newer.fence()
        for socket in new:
            socket.ping("still there?")
            while socket.recv_frame().opcode != websocket.ABNF.OPCODE_PONG:
                pass
            socket.close(timeout=BOUND)
        other.settimeout(0.05)
        with pytest.raises(TimeoutError):
            assert other.recv(1) is None
    # And what is refused may be read, by programs and by pages.
    for path in ("/api/task/ws/task/alice", "/api/gpu/tasks/t/ws", "/api/v1/ws"):
        assert ending(opened(server, path, issued("alice", 60))) == (4003, "token was revoked")
    for path in ("/ws", "/api/task/ws/producer"):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            opened(server, path, issued("alice", 60, PATHS[path]))
        assert refused.value.status_code == 401
    with pytest.raises(socketio.exceptions.ConnectionError):
        Watcher(server, auth={"token": issued("alice", 60)})


def test_a_revocation_outlives_kill_9_and_so_does_its_end(home):
    server = home.begin()
    old, now = issued("alice", 60), issued("alice", 0)
    assert ask(server, old) == ABSENT
    told = revoke(server, "alice", before=int(time.time()) - 30)
    assert ask(server, old) == REVOKED and ask(server, now) == ABSENT
    server = home.again(server)
    assert ask(server, old) == REVOKED and ask(server, now) == ABSENT
    page = server.get("/api/revocations", **ADMIN).json
    del told["closed"]
    assert page == {"revocations": [told], "count": 1, "next_cursor": None}
    assert server.request("DELETE", "/api/revocations/alice", headers=ADMIN).json == {"user_id": "alice", "removed": True}
    assert ask(server, old) == ABSENT
    server = home.again(server)
    assert ask(server, old) == ABSENT
    assert server.request("DELETE", "/api/revocations/alice", headers=ADMIN).status == 404


def test_who_logs_out_is_done_with_a_token_of_signalbox_and_gets_a_new_one(home):
    server = home.begin()
    mine = token("alice")
    user = opened(server, "/api/task/ws/task/alice", mine)
    answer = server.request("POST", "/api/logout", headers=bearer(mine))
    assert answer.status == 200 and answer.json["closed"] == 1 and answer.json["revoked_by"] == "alice", answer
    assert ending(user) == (4003, "token was revoked")
    assert server.request("POST", "/api/logout", headers=bearer(mine)).status == 401
    server = home.again(server)
    assert ask(server, mine) == REVOKED
    # One of a later second is good.
    assert eventually(lambda: ask(server, token("alice")) == ABSENT, "a second later")


def test_the_tasks_of_a_revoked_worker_go_to_another(home):
    server = home.begin()
    rack = opened(server, "/ws", issued("rack", 0, "worker"))
    assert json.loads(rack.recv())["type"] == "connected"
    rack.send('{"type":"ready"}')
    pending = server.begin("POST", "/api/openai", {"data": {"n": 1}, "retries": 1}, bearer(issued("bob", 0)))
    task = json.loads(rack.recv())
    assert task["type"] == "task"
    other = opened(server, "/ws", issued("shelf", 0, "worker"))
    assert json.loads(other.recv())["type"] == "connected"
    other.send('{"type":"ready"}')
    assert revoke(server, "rack")["closed"] == 1
    assert ending(rack) == (4003, "token was revoked")
    assert json.loads(other.recv())["taskId"] == task["taskId"]
    other.send(json.dumps({"type": "task_complete", "taskId": task["taskId"], "result": "done"}))
    assert pending.answer().json["result"] == "done"
    other.close(timeout=BOUND)


def test_only_admins_revoke(home):
    server = home.begin()
    for role in ("user", "publisher", "worker"):
        assert server.request("POST", "/api/revocations", {"user_id": "alice"}, bearer(issued("mallory", 0, role))).status == 403
    assert server.request("POST", "/api/revocations", {"user_id": "alice"}).status == 401
    assert server.get("/api/revocations", **ADMIN).json["count"] == 0
