"""What lies between clients and server, and what is none: `proxy` passes bytes on and can cut connections, hold them still and slow them
down; `vandal` opens connections that mean no good. Both are told what to do by lines on standard input, and end with it.
"""
import asyncio
import os
import random
import struct
import sys

import processes
from wire import HOST, Channel, Gone

# Connections of the vandal at a time.
VANDALS = 24


class Pair:
    """A client's connection and the server's, and what happens to what passes."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.stalled_until, self.slow_until = 0.0, 0.0

    async def carry(self, source, sink):
        loop = asyncio.get_running_loop()
        try:
            while data := await source.reader.read(65_536):
                while (wait := self.stalled_until - loop.time()) > 0:
                    await asyncio.sleep(wait)
                if self.slow_until > loop.time():
                    for start in range(0, len(data), 4096):
                        sink.writer.write(data[start:start + 4096])
                        await asyncio.sleep(0.1)
                else:
                    sink.writer.write(data)
                await sink.writer.drain()
            if sink.writer.can_write_eof():
                sink.writer.write_eof()
        except OSError:
            self.cut()

    async def run(self):
        await asyncio.gather(self.carry(self.near, self.far), self.carry(self.far, self.near))
        self.near.close()
        self.far.close()

    def cut(self):
        self.near.reset()
        self.far.reset()


class Proxy:
    def __init__(self, port, seed):
        self.port, self.random, self.pairs = port, random.Random(seed), set()

    async def accept(self, reader, writer):
        near = Channel(reader, writer)
        try:
            far = await Channel.open(self.port)
        except Gone:
            return near.reset()
        pair = Pair(near, far)
        self.pairs.add(pair)
        try:
            await pair.run()
        finally:
            self.pairs.discard(pair)

    def command(self, words):
        """`cut SHARE`, `stall SHARE SECONDS`, `slow SHARE SECONDS`, `heal`."""
        now = asyncio.get_running_loop().time()
        chosen = [pair for pair in self.pairs if len(words) < 2 or self.random.random() < float(words[1])]
        for pair in chosen:
            match words[0]:
                case "cut":
                    pair.cut()
                case "stall":
                    pair.stalled_until = now + float(words[2])
                case "slow":
                    pair.slow_until = now + float(words[2])
                case "heal":
                    pair.stalled_until = pair.slow_until = 0.0
        return len(chosen)


class Vandal:
    """Connections that mean no good, a new one for each that ends."""

    def __init__(self, port, seed):
        self.port, self.random = port, random.Random(seed)
        self.is_quiet, self.open, self.done = True, set(), 0

    async def run(self):
        async def one():
            while True:
                if not self.is_quiet:
                    await self.visit()
                await asyncio.sleep(0.2 + self.random.random() * 2)
        await asyncio.gather(*(one() for _ in range(VANDALS)))

    async def visit(self):
        try:
            channel = await Channel.open(self.port, receive_bytes=self.random.choice([None, 2048]))
        except Gone:
            return
        if self.is_quiet:
            # It is so since this connection was asked for.
            return channel.reset()
        self.open.add(channel)
        try:
            async with asyncio.timeout(20):
                await self.random.choice([
                    self.noise, self.slow_head, self.silence, self.long_head, self.slow_body, self.bad_frames, self.no_reader, self.tls,
                    self.half_closed, self.long_message, self.bomb])(channel)
        except (Gone, OSError, TimeoutError):
            pass
        finally:
            self.open.discard(channel)
            self.done += 1
            channel.reset() if self.random.random() < 0.5 else channel.close()

    async def to_end(self, channel):
        while True:
            await channel.more(20)
            channel.waiting.clear()

    async def noise(self, channel):
        channel.send(os.urandom(self.random.randrange(1, 5000)))
        await self.to_end(channel)

    async def slow_head(self, channel):
        for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"a" * 1000:
            channel.send(bytes([byte]))
            await asyncio.sleep(0.3)

    async def silence(self, channel):
        await self.to_end(channel)

    async def long_head(self, channel):
        channel.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 100_000)
        await self.to_end(channel)

    async def slow_body(self, channel):
        channel.send(b"POST /api/openai HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
        while True:
            channel.send(b" ")
            await asyncio.sleep(0.3)

    async def upgrade(self, channel, path="/api/v1/ws"):
        channel.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
        await channel.head()

    async def bad_frames(self, channel):
        await self.upgrade(channel)
        channel.send(self.random.choice([
            b"\x81\x05hello", b"\xff\x80" + bytes(4), b"\x81\xff" + b"\xff" * 8 + bytes(4), b"\x89\xfe\x10\x00" + bytes(4100),
            b"\x01\x80" + bytes(4) + b"\x01\x80" + bytes(4), b"\x88\x82" + bytes(4) + b"\0\0", b"\x81\x82" + bytes(4) + b"\xc0\xaf",
            b"\x00\x80" + bytes(4), os.urandom(300)]))
        await self.to_end(channel)

    async def no_reader(self, channel):
        channel.send(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
        await asyncio.sleep(10)

    async def tls(self, channel):
        channel.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500))
        await self.to_end(channel)

    async def half_closed(self, channel):
        await self.upgrade(channel)
        channel.writer.write_eof()
        await self.to_end(channel)

    async def long_message(self, channel):
        await self.upgrade(channel)
        channel.send(b"\x81\xff" + struct.pack(">Q", 64 << 20) + bytes(4))
        await self.to_end(channel)

    async def bomb(self, channel):
        await self.upgrade(channel)
        for _ in range(2000):
            channel.send(b"\x00\x81" + bytes(4) + b"a")
        await self.to_end(channel)

    def command(self, words):
        """`begin`, `quiet`."""
        self.is_quiet = words[0] == "quiet"
        if self.is_quiet:
            for channel in list(self.open):
                channel.reset()
        return self.done


async def main(role, port, seed):
    loop, commands = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    if role == "proxy":
        actor = Proxy(port, seed)
        server = await asyncio.start_server(actor.accept, HOST, 0, limit=1 << 16)
        print(server.sockets[0].getsockname()[1], flush=True)
    else:
        actor = Vandal(port, seed)
        running = asyncio.ensure_future(actor.run())
        print(0, flush=True)
    while line := await commands.readline():
        print(actor.command(line.decode().split()), flush=True)
    if role != "proxy":
        running.cancel()


if __name__ == "__main__":
    processes.end_with_parent()
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
