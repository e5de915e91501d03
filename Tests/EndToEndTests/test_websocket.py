"""The WebSocket layer against two stock clients, and by hand where no client would misbehave."""
import base64
import os
import struct
import zlib

import pytest
import websocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from servers import BOUND, read_response

TEXT = "Grüße, 世界 😀"


@pytest.fixture(params=["plain", "deflating"])
def endpoint(request):
    """An echo endpoint, and the compression that websockets may offer to it."""
    server = request.getfixturevalue("echo" if request.param == "plain" else "deflating_echo")
    return server, "deflate" if request.param == "deflating" else None


def dial(endpoint, **options):
    server, compression = endpoint
    return connect(server.url("/echo", "ws"), compression=compression, max_size=None, open_timeout=BOUND, close_timeout=BOUND, **options)


# MARK: echo

def test_websockets_text_and_binary(endpoint):
    with dial(endpoint) as client:
        for message in ("", "a", TEXT, TEXT * 1000, b"", b"\0\xff", os.urandom(70_000)):
            client.send(message)
            assert client.recv(BOUND) == message


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536, 1 << 20, 16 << 20])
def test_websockets_every_length_of_header(endpoint, size):
    with dial(endpoint) as client:
        message = os.urandom(min(size, 4096)) * (size // min(size, 4096) + 1)
        client.send(message[:size])
        assert client.recv(BOUND) == message[:size]


def test_websockets_fragments(endpoint):
    with dial(endpoint) as client:
        client.send(["Hel", "lo, ", "", "世界"])
        assert client.recv(BOUND) == "Hello, 世界"
        client.send([bytes([byte]) for byte in range(256)])
        assert client.recv(BOUND) == bytes(range(256))


def test_websockets_many_messages_at_once(endpoint):
    with dial(endpoint) as client:
        messages = [f"message {number} " + "x" * (number % 300) for number in range(2000)]
        for message in messages:
            client.send(message)
        assert [client.recv(BOUND) for _ in messages] == messages


def test_websockets_ping(endpoint):
    with dial(endpoint) as client:
        assert client.ping(b"payload").wait(BOUND)


def test_websockets_message_that_is_too_long(endpoint):
    with dial(endpoint) as client:
        with pytest.raises(ConnectionClosed) as closed:
            client.send(bytes((16 << 20) + 1))
            client.recv(BOUND)
        assert closed.value.rcvd.code == 1009


def test_deflate_is_negotiated_where_it_is_on(deflating_echo):
    with dial((deflating_echo, "deflate")) as client:
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        client.send("a" * 100_000)
        assert client.recv(BOUND) == "a" * 100_000


def test_deflate_is_not_negotiated_where_it_is_off(echo):
    with dial((echo, "deflate")) as client:
        assert client.protocol.extensions == []
        client.send(TEXT)
        assert client.recv(BOUND) == TEXT


def test_deflate_is_not_forced_upon_a_client(deflating_echo):
    with dial((deflating_echo, None)) as client:
        assert client.protocol.extensions == []
        client.send(TEXT)
        assert client.recv(BOUND) == TEXT


def test_deflated_message_that_grows_too_long(deflating_echo):
    """A bomb: some kilobytes that would be a gigabyte are refused before they are one."""
    with dial((deflating_echo, "deflate")) as client:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = packer.compress(bytes(64 << 20)) + packer.flush(zlib.Z_SYNC_FLUSH)
        client.socket.sendall(frame(0xC2, bomb[:-4]))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(BOUND)
        assert closed.value.rcvd.code == 1009
    assert deflating_echo.get("/healthz").status == 200


@pytest.fixture
def client(echo):
    """The other stock client, connected."""
    opened = websocket.create_connection(echo.url("/echo", "ws"), timeout=BOUND)
    yield opened
    opened.close(timeout=BOUND)


def test_websocket_client_text_and_binary(client):
    for message in ("", TEXT, "x" * 70_000):
        client.send(message)
        assert client.recv() == message
    for message in (b"", b"\0\xff" * 40_000):
        client.send_binary(message)
        assert client.recv() == message


def test_websocket_client_fragments_with_a_ping_between(client):
    client.send_frame(websocket.ABNF.create_frame("Hel", websocket.ABNF.OPCODE_TEXT, fin=0))
    client.ping("between")
    client.send_frame(websocket.ABNF.create_frame("lo", websocket.ABNF.OPCODE_CONT, fin=1))
    received = [client.recv_data(control_frame=True) for _ in range(2)]
    assert received == [(websocket.ABNF.OPCODE_PONG, b"between"), (websocket.ABNF.OPCODE_TEXT, b"Hello")]


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_close_is_answered_with_its_code(client, code):
    client.send_close(code, b"good-bye")
    opcode, data = client.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE and struct.unpack(">H", data[:2])[0] == code


def test_silent_client_is_pinged_and_then_closed(impatient):
    with impatient.raw(handshake(impatient)) as channel:
        assert read_response(channel, head_only=True)[0] == 101
        first, payload = read_frame(channel)
        assert first == 0x89
        channel.sendall(frame(0x8A, payload))
        assert read_frame(channel)[0] == 0x89  # it was heard: pinged again, and this time nobody answers
        assert read_frame(channel)[0] == 0x88


def test_client_that_answers_pings_stays(impatient):
    with connect(impatient.url("/echo", "ws"), ping_interval=None, open_timeout=BOUND) as client:
        # Another client, silent, is pinged and closed meanwhile: by then this one has answered more than one ping.
        with impatient.raw(handshake(impatient)) as channel:
            read_response(channel, head_only=True)
            assert [read_frame(channel)[0] for _ in range(2)] == [0x89, 0x88]
        client.send("still here")
        assert client.recv(BOUND) == "still here"


# MARK: the opening handshake

def test_accept_is_what_the_standard_says(echo):
    """RFC 6455 §1.3: the key of the standard's example and the answer to it."""
    with echo.raw(handshake(echo, key=b"dGhlIHNhbXBsZSBub25jZQ==")) as channel:
        status, headers, _ = read_response(channel, head_only=True)
    assert status == 101 and headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert headers["upgrade"].lower() == "websocket" and headers["connection"].lower() == "upgrade"


def handshake(server, path=b"/echo", key=b"AAAAAAAAAAAAAAAAAAAAAA==", version=b"13", upgrade=b"websocket", connection=b"Upgrade"):
    fields = {b"Host": server.address.encode(), b"Upgrade": upgrade, b"Connection": connection, b"Sec-WebSocket-Key": key,
              b"Sec-WebSocket-Version": version}
    lines = [name + b": " + value + b"\r\n" for name, value in fields.items() if value is not None]
    return b"GET " + path + b" HTTP/1.1\r\n" + b"".join(lines) + b"\r\n"


@pytest.mark.parametrize("path", [b"/echo", b"/ws"])
@pytest.mark.parametrize(("status", "change"), [
    (101, {}),
    (101, {"upgrade": b"WebSocket", "connection": b"keep-alive, upgrade"}),
    (426, {"version": b"8"}),
    (426, {"upgrade": None, "connection": None, "key": None, "version": None}),
    (400, {"version": None}),
    (400, {"key": None}),
    (400, {"key": b"c2hvcnQ="}),
    (400, {"key": b"not base64 at all!!!!!!!"}),
])
def test_handshake(echo, path, status, change):
    with echo.raw(handshake(echo, path, **change)) as channel:
        answered, headers, body = read_response(channel, head_only=status == 101)
    assert answered == status or (status == 400 and answered == 426), (answered, body)
    if answered == 426:
        assert headers["sec-websocket-version"] == "13" and headers["upgrade"].lower() == "websocket"


@pytest.mark.parametrize("path", ["/echo", "/ws"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1.evil.example"])
def test_other_site_is_refused(echo, path, origin):
    with pytest.raises(InvalidStatus) as refused:
        connect(echo.url(path, "ws"), origin=origin, open_timeout=BOUND)
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/echo", "/ws"])
def test_same_site_is_welcome(echo, path):
    for origin in (None, echo.url("")):
        with connect(echo.url(path, "ws"), origin=origin, open_timeout=BOUND):
            pass


def test_frames_that_come_with_the_handshake_are_read(echo):
    with echo.raw(handshake(echo) + frame(0x81, b"early")) as channel:
        assert read_response(channel, head_only=True)[0] == 101
        assert read_frame(channel) == (0x81, b"early")


# MARK: frames that are wrong

def frame(first, payload=b"", mask=b"\x12\x34\x56\x78"):
    """A frame from a client, made by hand; `mask` None leaves it bare."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size) if size < 65_536 else b"\x7f" + struct.pack(">Q", size)
    if mask is None:
        return bytes([first]) + length + payload
    key = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return bytes([first, length[0] | 0x80]) + length[1:] + mask + masked


def read_exactly(channel, count):
    data = b""
    while len(data) < count:
        piece = channel.recv(count - len(data))
        assert piece, f"the connection ended after {data!r}"
        data += piece
    return data


def read_frame(channel):
    first, size = read_exactly(channel, 2)
    assert size < 126, "the server's frames are not masked, and this one is short"
    return first, read_exactly(channel, size)


@pytest.mark.parametrize(("code", "sent"), [
    (1002, frame(0x81, b"bare", mask=None)),
    (1002, frame(0xC1, b"reserved bit")),
    (1002, frame(0x83, b"reserved opcode")),
    (1002, frame(0x8B, b"reserved control opcode")),
    (1002, frame(0x09, b"fragmented ping")),
    (1002, frame(0x89, b"x" * 126)),
    (1002, frame(0x80, b"continues nothing")),
    (1002, frame(0x01, b"a") + frame(0x81, b"b")),
    (1002, b"\x82\xff" + b"\xff" * 8 + b"mask"),
    (1009, b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"mask"),
    (1002, frame(0x88, b"\x03")),
    (1002, frame(0x88, struct.pack(">H", 1005))),
    (1002, frame(0x88, struct.pack(">H", 999))),
    (1007, frame(0x88, struct.pack(">H", 1000) + b"\xff")),
    (1007, frame(0x81, b"\xc3\x28")),
    (1007, frame(0x81, b"\xed\xa0\x80")),
    (1007, frame(0x01, b"\xce\xba\xe1") + frame(0x80, b"\x80")),
    (1009, frame(0x02, bytes(9 << 20)) + frame(0x80, bytes(9 << 20))),
])
def test_wrong_frame_closes_with_its_code(echo, code, sent):
    with echo.raw(handshake(echo, key=base64.b64encode(os.urandom(16)))) as channel:
        assert read_response(channel, head_only=True)[0] == 101
        try:
            channel.sendall(frame(0x82, b"good") + sent)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it closed before all was sent
        assert read_frame(channel) == (0x82, b"good")
        first, payload = read_frame(channel)
        assert first == 0x88 and struct.unpack(">H", payload[:2])[0] == code
        payload[2:].decode()
    assert echo.get("/healthz").status == 200


def test_frame_byte_by_byte(echo):
    with echo.raw() as channel:
        for byte in handshake(echo) + frame(0x01, b"sl") + frame(0x89, b"?") + frame(0x80, b"ow"):
            channel.sendall(bytes([byte]))
        assert read_response(channel, head_only=True)[0] == 101
        assert read_frame(channel) == (0x8A, b"?")
        assert read_frame(channel) == (0x81, b"slow")
