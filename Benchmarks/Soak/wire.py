"""The wire of the soak's clients: HTTP/1.1, WebSocket and server-sent events over asyncio, by the standard library alone, so that nothing
but this file decides when a connection is cut, read slowly, or left half open. Not a client for anybody else: it knows what it needs.
"""
import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import socket
import struct
import time

HOST = "127.0.0.1"
# Seconds that a connection, an answer or a greeting may take before the client gives up and comes again.
PATIENCE = 15
LINGER_NONE = struct.pack("ii", 1, 0)


class Gone(Exception):
    """The connection ended, or nothing came for too long: what was asked for may or may not have happened."""


class Closed(Gone):
    """The server said that it closes the WebSocket."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class Refused(Gone):
    """The server answered something else than the stream that was asked for."""

    def __init__(self, status, body):
        super().__init__(f"refused with {status} {body[:200]!r}")
        self.status, self.body = status, body


def token(secret, user, role=None, seconds=86_400):
    """A JWT of the server's own secret (RFC 7519, HS256)."""
    def part(data): return base64.urlsafe_b64encode(data).rstrip(b"=")
    claims = {"sub": str(user), "exp": int(time.time()) + seconds} | ({"role": role} if role else {})
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(secret.encode(), text, hashlib.sha256))).decode()


class Channel:
    """One TCP connection and what came of it that nobody has read yet."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.waiting = reader, writer, bytearray()

    @classmethod
    async def open(cls, port, receive_bytes=None):
        plain = socket.socket()
        plain.setblocking(False)
        try:
            if receive_bytes:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(plain, (HOST, port))
                # The reader holds twice its limit before it stops reading.
                reader, writer = await asyncio.open_connection(sock=plain, limit=receive_bytes or 1 << 16)
        except (OSError, TimeoutError) as problem:
            plain.close()
            raise Gone(repr(problem)) from None
        return cls(reader, writer)

    async def more(self, seconds=PATIENCE):
        """Reads something; raises where nothing comes any more."""
        try:
            async with asyncio.timeout(seconds):
                piece = await self.reader.read(65_536)
        except (OSError, TimeoutError) as problem:
            raise Gone(repr(problem)) from None
        if not piece:
            raise Gone("ended")
        self.waiting += piece

    async def take(self, count, seconds=PATIENCE):
        while len(self.waiting) < count:
            await self.more(seconds)
        taken = bytes(self.waiting[:count])
        del self.waiting[:count]
        return taken

    async def until(self, mark, seconds=PATIENCE):
        while (end := self.waiting.find(mark)) < 0:
            await self.more(seconds)
        return (await self.take(end + len(mark)))[:-len(mark)]

    def send(self, data):
        if self.writer.is_closing():
            raise Gone("closing")
        self.writer.write(data)

    async def head(self, seconds=PATIENCE):
        """The head of an answer: status, and headers by their names in lower case."""
        first, *lines = (await self.until(b"\r\n\r\n", seconds)).decode("latin-1").split("\r\n")
        match = re.match(r"HTTP/1\.[01] (\d\d\d)", first)
        if not match:
            raise AssertionError(f"no HTTP: {first!r}")
        return int(match[1]), {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def close(self):
        self.writer.close()

    def reset(self):
        """Ends it without a word, as a machine does that lost its power."""
        try:
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        except (OSError, AttributeError):
            pass
        self.writer.transport.abort()


def request_head(method, path, headers, length=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: soak"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


def bearer(word):
    return {"Authorization": f"Bearer {word}"} if word else {}


class Caller:
    """Requests, one after the other, over a connection that is opened anew where it is gone."""

    def __init__(self, port):
        self.port, self.channel, self.surplus = port, None, 0

    async def ask(self, method, path, body=None, word=None, seconds=PATIENCE, headers=None):
        """Status and body of the answer. Raises Gone where nobody knows what became of the request."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = request_head(method, path, bearer(word) | (headers or {}), None if data is None else len(data))
        if self.channel and (self.channel.reader.at_eof() or self.channel.writer.is_closing()):
            self.close()
        if not self.channel:
            self.channel = await Channel.open(self.port)
        elif self.channel.waiting:
            self.surplus += 1
            raise AssertionError(f"bytes that nobody asked for: {bytes(self.channel.waiting[:200])!r}")
        try:
            self.channel.send(head + (data or b""))
            status, fields = await self.channel.head(seconds)
            answer = await self.channel.take(int(fields.get("content-length", 0)))
        except (Gone, asyncio.CancelledError):
            self.reset()
            raise
        if fields.get("connection", "").lower() == "close":
            self.close()
        return status, answer

    def close(self):
        if self.channel:
            self.channel.close()
        self.channel = None

    def reset(self):
        if self.channel:
            self.channel.reset()
        self.channel = None


def mask(key, data):
    repeated = (key * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(data), "big")


def frame(opcode, data):
    """A frame of a client (RFC 6455 §5.2)."""
    length, key = len(data), os.urandom(4)
    size = bytes([0x80 | length]) if length < 126 else struct.pack(">BH", 0xFE, length) if length < 65_536 else struct.pack(
        ">BQ", 0xFF, length)
    return bytes([0x80 | opcode]) + size + key + mask(key, data)


class WebSocket:
    """A WebSocket; pings are answered while somebody reads."""

    TEXT, CLOSE, PING, PONG = 1, 8, 9, 10

    def __init__(self, channel):
        self.channel = channel

    @classmethod
    async def open(cls, port, path, word=None, receive_bytes=None):
        channel = await Channel.open(port, receive_bytes)
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            channel.send(request_head("GET", path, {
                "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key} | bearer(word)))
            status, headers = await channel.head()
            if status != 101:
                raise Refused(status, await channel.take(int(headers.get("content-length", 0))))
            expected = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
            assert headers["sec-websocket-accept"] == expected, headers
        except BaseException:
            channel.reset()
            raise
        return cls(channel)

    async def receive(self, seconds=3600):
        """The next text message."""
        while True:
            first, second = await self.channel.take(2, seconds)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(await self.channel.take(2 if length == 126 else 8), "big")
            data = await self.channel.take(length)
            assert second & 0x80 == 0 and first & 0xF0 == 0x80, f"a frame that the server may not send: {first:#x} {second:#x}"
            opcode = first & 0x0F
            if opcode == self.TEXT:
                return data.decode()
            if opcode == self.PING:
                self.channel.send(frame(self.PONG, data))
            elif opcode == self.CLOSE:
                code = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
                try:
                    self.channel.send(frame(self.CLOSE, data[:2]))
                except Gone:
                    pass
                self.channel.close()
                raise Closed(code)
            else:
                assert opcode == self.PONG, f"opcode {opcode}"

    async def hear(self, seconds=3600):
        return json.loads(await self.receive(seconds))

    def send(self, text):
        self.channel.send(frame(self.TEXT, text.encode()))

    def say(self, **members):
        self.send(json.dumps(members))

    async def close(self):
        """Ends it in order; waits for the other side's last word."""
        try:
            self.channel.send(frame(self.CLOSE, (1000).to_bytes(2, "big")))
            while True:
                await self.receive(5)
        except (Gone, AssertionError):
            self.reset()

    def reset(self):
        self.channel.reset()


class EventStream:
    """Server-sent events: the data of each, parsed."""

    def __init__(self, channel):
        self.channel, self.waiting = channel, b""

    @classmethod
    async def open(cls, port, path, word=None, last=None):
        channel = await Channel.open(port)
        try:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(last)} if last is not None else {})
            channel.send(request_head("GET", path, headers | bearer(word)))
            status, fields = await channel.head()
            if status != 200:
                raise Refused(status, await channel.take(int(fields.get("content-length", 0))))
            assert fields.get("transfer-encoding") == "chunked", fields
        except BaseException:
            channel.reset()
            raise
        return cls(channel)

    async def hear(self, seconds=3600):
        """The next event's data; None where the stream ends as it should."""
        while True:
            event, mark, rest = self.waiting.partition(b"\n\n")
            if mark:
                self.waiting = rest
                if data := [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]:
                    return json.loads(b"\n".join(data))
                continue
            length = int(await self.channel.until(b"\r\n", seconds), 16)
            piece = await self.channel.take(length + 2)
            if length == 0:
                return None
            self.waiting += piece[:-2].replace(b"\r", b"")

    async def close(self):
        self.channel.close()

    def reset(self):
        self.channel.reset()
