"""Every limit that a peer can meet, met over real sockets: what it hears, and that the metrics' page tells which limit it was.

What is refused in more detail is tested where it belongs; here each limit of the README's table has one test of its own.
"""
import collections
import concurrent.futures
import contextlib
import json
import re
import select
import socket
import struct
import time
import zlib

import pytest
import websocket

from authorities import Authority, SecureServer
from engines import Wire
from servers import BOUND, eventually, read_response, read_to_end
from streams import hub_socket, number, order, send_at_once, task_socket
from test_websocket import frame
from workers import Closed, Worker

HOST = b"Host: signalbox.test\r\n"
ASK = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"


def page(server):
    """The metrics' page; whoever asks for it may be one too many for a moment."""
    return eventually(lambda: (answer := server.get("/metrics")).status == 200 and answer, "a place to ask from").body.decode()


def counts(server):
    """How often each limit was met."""
    return {name: int(count) for name, count in re.findall(r'^signalbox_limits_reached_total{limit="(\w+)"} (\d+)$', page(server), re.M)}


def reached(server, limit):
    return counts(server)[limit]


def figure(server, name):
    return int(re.search(rf"^signalbox_{name} (\d+)$", page(server), re.M)[1])


@contextlib.contextmanager
def meets(server, limit, times=1):
    """What happens within meets the limit so often, and no other."""
    before = counts(server)
    yield
    eventually(lambda: reached(server, limit) >= before[limit] + times, f"{limit} is counted")
    after = counts(server)
    assert {name for name in after if after[name] != before[name]} == {limit}


def is_turned_away(channel, words):
    status, headers, body = read_response(channel)
    assert (status, json.loads(body)["error"]) == (503, words)
    assert int(headers["retry-after"]) > 0 and headers["connection"] == "close" and headers["content-type"] == "application/json"
    assert read_to_end(channel) == b""
    return True


class Refused(Exception):
    """A handshake that was not taken."""


def socket_at(server, path, receive_bytes=None):
    """A WebSocket as a plain socket, behind its handshake."""
    channel = socket.socket()
    if receive_bytes:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    channel.settimeout(BOUND)
    channel.connect((server.host, server.port))
    channel.sendall(handshake_bytes(path))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += channel.recv(1)
    if not head.startswith(b"HTTP/1.1 101 "):
        channel.close()
        raise Refused(head)
    return channel


def handshake_bytes(path):
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + (
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def closing(channel):
    """Reads frames to the close frame; returns its code and words. None where the connection just ends."""
    data = read_to_end(channel)
    while data:
        size, start = data[1] & 127, 2
        if size == 126:
            size, start = struct.unpack(">H", data[2:4])[0], 4
        elif size == 127:
            size, start = struct.unpack(">Q", data[2:10])[0], 10
        payload, opcode, data = data[start:start + size], data[0] & 15, data[start + size:]
        if len(payload) < size:
            return None
        if opcode == 8:
            assert data == b""
            return struct.unpack(">H", payload[:2])[0], payload[2:].decode()
    return None


# MARK: connections

def test_connections(launch):
    server = launch("--max-connections", "3")
    with server.raw(ASK) as first, server.raw(ASK) as second:
        assert read_response(first)[0] == read_response(second)[0] == 200
        with server.raw(ASK) as third:
            assert read_response(third)[0] == 200
            # What has been sent already is not lost to a reset.
            with server.raw(ASK * 100) as fourth:
                assert is_turned_away(fourth, "Too many connections")
        eventually(lambda: server.get("/healthz").status == 200, "a place that is free again")
        assert reached(server, "connections") >= 1
        assert figure(server, "connections_refused_total") >= 1


def test_connections_per_address(launch):
    server = launch("--max-connections-per-address", "3")
    with server.raw(ASK) as first, server.raw(ASK) as second:
        assert read_response(first)[0] == read_response(second)[0] == 200
        with server.raw(ASK) as third:
            assert read_response(third)[0] == 200
            with server.raw(ASK) as fourth:
                assert is_turned_away(fourth, "Too many connections from this address")
            # Another address of this machine is another one.
            with socket.create_connection((server.host, server.port), BOUND, ("127.0.0.2", 0)) as other:
                other.sendall(ASK)
                assert read_response(other)[0] == 200
        eventually(lambda: server.get("/healthz").status == 200, "a place that is free again")
        assert reached(server, "connections_per_address") >= 1


def test_accepts_per_second(launch):
    server = launch("--max-accepts-per-second", "5")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(server.raw(ASK)) for _ in range(12)]
        assert [read_response(channel)[0] for channel in channels] == [200] * 12
    assert time.monotonic() - began >= 1, "twelve are more than two seconds' worth"
    assert reached(server, "accepts_per_second") >= 2


# MARK: TLS

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"), "limits")
    return authority, *authority.sign("signalbox")


def test_time_to_shake_hands(certificate):
    server = SecureServer(*certificate, REQUEST_TIMEOUT_MS=200)
    with meets(server, "handshake_time"), server.raw() as channel:
        assert read_to_end(channel) == b""
    assert server.stop() == 0


# MARK: requests

def test_header_bytes(server):
    with meets(server, "header_bytes"), server.raw(b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 20_000 + b"\r\n\r\n") as channel:
        status, _, body = read_response(channel)
        assert (status, json.loads(body)["error"]) == (431, "The request head is too large.")


def test_body_bytes(server):
    request = b"POST /api/openai HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    with meets(server, "body_bytes"), server.raw(request) as channel:
        status, _, body = read_response(channel)
        assert (status, json.loads(body)["error"]) == (413, "The request content is too large.")


@pytest.mark.parametrize("beginning", [
    b"GET /healthz HTT", b"POST /api/openai HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 90000\r\n\r\n{"])
def test_time_to_send_a_request(impatient, beginning):
    with meets(impatient, "request_time"), impatient.raw(beginning) as channel:
        status, _, body = read_response(channel)
        assert (status, json.loads(body)["error"]) == (408, "The request took too long to arrive.")


def test_time_to_say_anything(impatient):
    with meets(impatient, "request_time"), impatient.raw() as channel:
        assert read_to_end(channel) == b""


def test_requests_per_second(launch):
    server = launch("--max-requests-per-second", "5")
    began = time.monotonic()
    with server.raw(ASK * 12) as channel:
        assert [read_response(channel)[0] for _ in range(12)] == [200] * 12
    assert time.monotonic() - began >= 1, "twelve are more than two seconds' worth"
    assert reached(server, "requests_per_second") >= 1


# MARK: messages

def test_message_bytes(echo):
    with meets(echo, "message_bytes"), socket_at(echo, "/echo") as channel:
        channel.sendall(b"\x82\xff" + struct.pack(">Q", (16 << 20) + 1) + b"mask")
        assert closing(channel) == (1009, "message too big")


def test_message_bytes_after_inflating(deflating_echo):
    with meets(deflating_echo, "message_bytes"), deflating_echo.raw(handshake_bytes("/echo").replace(
            b"Upgrade: ", b"Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: ", 1)) as channel:
        while b"\r\n\r\n" not in channel.recv(4096):
            pass
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = squeeze.compress(bytes((16 << 20) + 1)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
        channel.sendall(frame(0xC2, bomb[:-4]))
        assert closing(channel) == (1009, "message too big")


def test_messages_per_second(launch):
    server = launch("--max-messages-per-second", "5", "--max-message-burst", "10", "--auth", "off")
    for flood in (frame(0x81, b'{"action":"ping"}'), frame(0x89, b"x")):
        with meets(server, "messages_per_second"), socket_at(server, "/api/v1/ws") as channel:
            channel.sendall(flood * 40)
            assert closing(channel) == (1008, "too many messages in a second")


def test_messages_per_second_of_a_worker(launch):
    """It waits, and all it said is heard."""
    server = launch("--max-worker-messages-per-second", "40", "--auth", "off")
    with Worker(server, "default", explicit=True, ready=True) as worker:
        task = order(server, None)
        assert worker.take()["taskId"] == task
        with task_socket(server, task) as watcher:
            began = time.monotonic()
            first = number(watcher.told[-1]) + 1
            send_at_once(worker, [{"type": "task_logs", "taskId": task, "logs": str(n)} for n in range(100)])
            assert [number(watcher.text()) for _ in range(100)] == list(range(first, first + 100))
            assert time.monotonic() - began >= 1, "a hundred are more than two seconds' worth"
        assert reached(server, "messages_per_second") >= 1
        worker.finish(task)


def test_packets_per_second_of_socket_io(launch):
    server = launch("--socketio-max-rate", "5", "--auth", "off")
    with meets(server, "messages_per_second"), Wire(server) as wire:
        wire.join()
        with contextlib.suppress(ConnectionError, websocket.WebSocketConnectionClosedException):
            wire.say(*['42["x"]'] * 20)
        assert wire.is_closed()


def test_time_to_say_who_one_is(trial):
    """A session of Socket.IO that is let in nowhere; any other speaker says so in the request that begins it."""
    with meets(trial, "authentication_time"), Wire(trial) as wire:
        with pytest.raises((Closed, websocket.WebSocketConnectionClosedException, ConnectionError)):
            while True:
                wire.hear()


def test_subscriptions(launch):
    server = launch("--auth", "off")
    with meets(server, "subscriptions"), hub_socket(server, *(f"task-{n}" for n in range(128))) as watcher:
        watcher.say(action="subscribe", task_id="task-128")
        while (message := watcher.hear())["type"] != "error":
            pass
        assert "Too many subscriptions: at most 128" in json.dumps(message)


def test_queued_bytes(launch):
    server = launch("--auth", "off", MAX_QUEUED_BYTES=131072, MAX_MESSAGE_BYTES=65536, MAX_BODY_BYTES=65536)
    with Worker(server, "default", explicit=True, ready=True) as worker:
        task = order(server, None)
        worker.take()
        with task_socket(server, task, receive_bytes=4_096) as slow:
            for n in range(2_000):
                send_at_once(worker, [{"type": "task_logs", "taskId": task, "logs": "l" * 4_000}] * 20)
                worker.fence()
                if reached(server, "queued_bytes"):
                    break
            assert reached(server, "queued_bytes") == 1
            assert slow.close_code() == 1013
        worker.finish(task)


# MARK: memory

def test_memory_for_unfinished_input(launch):
    server = launch("--echo-path", "/echo", "--max-input-memory-bytes", "400000", "--max-body-bytes", "300000", "--max-message-bytes", "300000")
    head = b"POST /api/openai HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 250000\r\n\r\n"
    with server.raw(head + b" " * 240_000) as first:
        eventually(lambda: figure(server, "input_bytes") >= 240_000, "it is counted")
        with meets(server, "input_memory"), server.raw(head + b" " * 240_000) as second:
            assert is_turned_away(second, "Too much unfinished input on this server")
        with meets(server, "input_memory"), socket_at(server, "/echo") as third:
            third.sendall(frame(0x02, b"x" * 200_000))
            assert closing(third) == (1013, "too much unfinished input on this server")
        first.sendall(b" " * 10_000)
        assert read_response(first)[0] == 400
    assert figure(server, "input_bytes") < 1_000


def test_memory_of_the_process(launch):
    """Nobody new, no new task, then the slowest readers: and all is well once they are gone."""
    mark = 64 << 20
    server = launch("--echo-path", "/echo", "--memory-high-bytes", str(mark), "--auth", "off")
    assert server.get("/readyz").status == 200 and figure(server, "memory_high_bytes") == mark
    with Worker(server, "default", explicit=True, ready=True) as worker, contextlib.ExitStack() as stack:
        known = server.connection()
        known.request("GET", "/readyz")
        assert known.getresponse().read() == b'{"status":"ready"}'
        slow, pressing = [], True
        while pressing and len(slow) < 400:
            try:
                channel = stack.enter_context(socket_at(server, "/echo", 4_096))
            except Refused:
                pressing = False
                break
            channel.setblocking(False)
            slow.append(channel)
            load, sent = frame(0x82, b"e" * 60_000) * 80, 0
            # Until the server reads no more of what it cannot send back.
            while sent < len(load) and select.select([], [channel], [], 0.2)[1]:
                with contextlib.suppress(BlockingIOError, ConnectionError):
                    sent += channel.send(load[sent:])
            pressing = server.get("/readyz").status == 200
        assert not pressing, "memory that is never short"
        eventually(lambda: reached(server, "memory_consumers") > 0, "slow readers that are never given up")
        eventually(lambda: server.get("/readyz").status == 200, "memory that is short for ever")
        def end_of(channel):
            channel.settimeout(2)
            with contextlib.suppress(TimeoutError):
                return closing(channel)
            return "open"
        with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
            ends = collections.Counter(pool.map(end_of, slow))
        # Who reads nothing for too long after that is cut off; most were not given up at all.
        assert ends[1013, "server is short of memory, and messages are read too slowly"] > 0, ends
        assert ends["open"] > 0, ends
        assert server.submit("default", {"n": 1}, **{"async": True}).answer().status == 200
        worker.take()
    assert any("memory is short" in line for line in server.log.seen)


def test_newcomers_while_memory_is_short(launch):
    """A mark below what any process holds: it is short from the first look on."""
    server = launch("--memory-high-bytes", "1000000", "--auth", "off")
    eventually(lambda: server.get("/readyz").status == 503, "the first look")
    assert server.get("/healthz").status == 200
    answer = server.get("/api/task/x")
    assert (answer.status, answer.json, answer.headers["Retry-After"]) == (503, {"error": "Server is short of memory"}, "5")
    with Worker(server, "default", explicit=True, ready=True):
        assert server.submit("default", {}).answer().status == 503
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(server.raw())
        with server.raw() as late:
            assert is_turned_away(late, "Server is short of memory")
    assert reached(server, "memory_connections") >= 2
