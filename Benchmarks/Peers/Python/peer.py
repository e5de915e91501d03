"""Python's `websockets` in the part of an echo server or of a fan-out, as its documentation has both.

usage: peer.py ws|fan PORT [deflate]    (0: a free one, which is printed)
"""

import asyncio
import signal
import sys

from websockets.asyncio.server import broadcast, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

watchers = set()


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def fan(connection):
    if connection.request.path == "/publish":
        async for message in connection:
            broadcast(watchers, message)
        return
    watchers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        watchers.discard(connection)


async def main(part, port, deflates):
    extensions = None
    if deflates:
        extensions = [ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)]
    handler = {"ws": echo, "fan": fan}[part]
    options = {"compression": None, "extensions": extensions, "max_size": 1 << 24, "ping_interval": None, "backlog": 4096}
    async with serve(handler, "127.0.0.1", port, **options) as server:
        print(f"listening 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        stop = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set_result, None)
        await stop


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("ws", "fan"):
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["deflate"]))
