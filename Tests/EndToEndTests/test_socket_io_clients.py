"""The stock clients of Socket.IO against this server: every transport, upgrades, acknowledgements, binary, recovery after a cut wire."""
import asyncio
import json
from pathlib import Path

import pytest
import socketio

from monitors import Page, Watcher, browser
from proxies import Proxy
from servers import BOUND, eventually

WATCHER = Path(__file__).parent / "node/watcher.js"
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}


def note(server, message):
    answer = server.request("POST", "/api/activities", {"activity_type": "user_operation", "message": message})
    assert answer.status in (200, 201), answer


def messages_of(client, group):
    """What a page heard of this test, in order."""
    told = [update["data"]["message"] for update, _ in client.said("activity_stream")]
    return [message for message in told if message.startswith(f"{group}-")]


def page(server, *emits, **options):
    """The official client, watching."""
    return Page(browser(WATCHER, server.url(""), json.dumps(options), *map(json.dumps, emits)))


# The official client


def test_browser_by_polling(fleet, group):
    with page(fleet, ["subscribe_activity_stream"], transports=["polling"]) as client:
        _, recovered, transport = client.hear("connect")
        assert (recovered, transport) == (False, "polling")
        assert client.hear("subscribed")[0]["event_type"] == "activity_stream"
        for number in range(3):
            note(fleet, f"{group}-{number}")
            eventually(lambda: messages_of(client, group) == [f"{group}-{old}" for old in range(number + 1)], "the event")
        assert client.said("upgrade") == []


def test_browser_by_websocket(fleet, group):
    with page(fleet, ["subscribe_activity_stream"], transports=["websocket"]) as client:
        assert client.hear("connect")[2] == "websocket"
        client.hear("subscribed")
        note(fleet, f"{group}-1")
        eventually(lambda: messages_of(client, group) == [f"{group}-1"], "the event")
        # As from the official server, an event has its offset behind it.
        assert all(isinstance(offset, str) and offset for _, offset in client.said("activity_stream"))


def test_browser_upgrades(fleet, group):
    with page(fleet, ["subscribe_activity_stream"]) as client:
        # What is said meanwhile comes by one transport or the other.
        messages = [f"{group}-{number}" for number in range(30)]
        eventually(lambda: client.said("subscribed"), "the subscription")
        for message in messages[:29]:
            note(fleet, message)
        eventually(lambda: client.said("upgrade") == [["websocket"]], "the upgrade")
        note(fleet, messages[29])
        eventually(lambda: messages[29] in messages_of(client, group), "the last event")
        assert messages_of(client, group) == messages


def test_browser_is_told_why_it_is_not_let_in(fleet):
    program = browser(WATCHER, fleet.url("/nowhere"), "{}")
    with Page(program) as client:
        assert client.hear("connect_error") == ["Invalid namespace", None]


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]], ids=TRANSPORTS)
def test_browser_recovers(fleet, group, transports):
    """The wire is cut in the middle of it, twice, and nobody gets in for a while: nothing is lost, and nothing comes twice."""
    messages = [f"{group}-{number}" for number in range(60)]
    with Proxy(fleet) as proxy, page(proxy, ["subscribe_activity_stream"], transports=transports) as client:
        name = client.hear("connect")[0]
        client.hear("subscribed")
        eventually(lambda: len(client.said("upgrade")) == len(transports) - 1, "the upgrade")
        for part in range(3):
            for message in messages[part * 20:part * 20 + 10]:
                note(fleet, message)
            if part:
                assert client.hear("connect")[:2] == [name, True]
            eventually(lambda: messages[part * 20] in messages_of(client, group), "the first event")
            proxy.cut()
            for message in messages[part * 20 + 10:part * 20 + 20]:
                note(fleet, message)
            refused = proxy.refused
            eventually(lambda: proxy.refused > refused, "an attempt to come back")
            proxy.mend()
        assert client.hear("connect")[:2] == [name, True]
        eventually(lambda: messages[59] in messages_of(client, group), "the last event")
        assert messages_of(client, group) == messages
        assert len(client.said("subscribed")) == 1


def test_browser_begins_anew_at_another_server(launch, group):
    """Nobody there knows it: it is told so by its new names, and subscribes again as its program does."""
    former = launch()
    with Proxy(former) as proxy, page(proxy, ["subscribe_activity_stream"], transports=["websocket"]) as client:
        name = client.hear("connect")[0]
        client.hear("subscribed")
        note(former, f"{group}-1")
        eventually(lambda: messages_of(client, group) == [f"{group}-1"], "the event")
        proxy.server = launch()
        proxy.cut()
        proxy.mend()
        other, recovered, _ = client.hear("connect")
        assert other != name and recovered is False
        client.hear("subscribed")
        note(proxy.server, f"{group}-2")
        eventually(lambda: messages_of(client, group) == [f"{group}-1", f"{group}-2"], "the event")


def test_browser_with_compression(launch, group):
    server = launch("--deflate")
    with page(server, ["subscribe_activity_stream"], transports=["websocket"]) as client:
        client.hear("subscribed")
        for number in range(3):
            note(server, f"{group}-{number}" + "é" * 1000)
        eventually(lambda: len(messages_of(client, group)) == 3, "the events")


ACKNOWLEDGEMENTS = """
const { io } = require('socket.io-client')
const socket = io(process.argv[2], { transports: JSON.parse(process.argv[3]), auth: { token: '123' } })
const say = (...values) => console.log(JSON.stringify(values))
socket.on('auth', (auth) => say('auth', auth))
const shown = (value) => value instanceof ArrayBuffer || Buffer.isBuffer(value) ? [...new Uint8Array(value)] : value
socket.on('message-back', (...values) => say('back', ...values.map(shown)))
socket.emit('message', 1, { two: [3] })
socket.emit('message', Uint8Array.from([1, 2, 3]), 'é')
socket.emit('message-with-ack', 'a', Uint8Array.from([4, 5]), (...values) => say('acknowledged', ...values.map(shown)))
const custom = socket.io.socket('/custom', { auth: { n: 1 } })
custom.on('auth', (auth) => say('custom', auth))
custom.on('disconnect', (reason) => say('left', reason))
custom.connect()
"""


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_browser_says_and_hears_everything(trial, tmp_path, transports):
    script = tmp_path / "program.js"
    script.write_text(ACKNOWLEDGEMENTS, encoding="utf-8")
    with Page(browser(script, trial.url(""), json.dumps(transports or ["polling", "websocket"]))) as client:
        assert client.hear("auth") == [{"token": "123"}]
        assert client.hear("back") == [1, {"two": [3]}]
        assert client.hear("back") == [[1, 2, 3], "é"]
        assert client.hear("acknowledged") == ["a", [4, 5]]
        eventually(lambda: client.said("custom") == [[{"n": 1}]], "the other namespace")


# python-socketio


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_python(fleet, group, transports):
    """The handlers of the document take one argument: that is what they get."""
    with Watcher(fleet, "activity_stream", transports=transports) as watcher:
        if transports is None:
            eventually(lambda: watcher.client.transport() == "websocket", "the upgrade")
        else:
            assert watcher.client.transport() == transports[0]
        for number in range(3):
            note(fleet, f"{group}-{number}")
            watcher.hear_until("activity_stream", lambda data: data["message"] == f"{group}-{number}")
        assert watcher.fence() == []


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_python_says_and_hears_everything(trial, transports):
    client = socketio.SimpleClient()
    client.connect(trial.url(""), auth={"token": "123"}, transports=transports, wait_timeout=BOUND)
    assert client.receive(BOUND) == ["auth", {"token": "123"}]
    client.emit("message", (1, "2", {"3": [True]}))
    assert client.receive(BOUND) == ["message-back", 1, "2", {"3": [True]}]
    client.emit("message", (b"\1\2\3", {"deep": b"\4"}))
    assert client.receive(BOUND) == ["message-back", b"\1\2\3", {"deep": b"\4"}]
    assert client.call("message-with-ack", ("a", b"\5"), timeout=BOUND) == ("a", b"\5")
    client.disconnect()


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_python_by_asyncio(fleet, trial, group, transports):
    async def main():
        client, heard = socketio.AsyncClient(reconnection=False), asyncio.Queue()
        client.on("subscribed", lambda data: heard.put_nowait(("subscribed", data["event_type"])))
        client.on("activity_stream", lambda data: heard.put_nowait(data["data"]["message"]))
        await client.connect(fleet.url(""), transports=transports, wait_timeout=BOUND)
        await client.emit("subscribe_activity_stream")
        assert await asyncio.wait_for(heard.get(), BOUND) == ("subscribed", "activity_stream")
        await asyncio.to_thread(note, fleet, group)
        while await asyncio.wait_for(heard.get(), BOUND) != group:
            pass
        await client.disconnect()
        echo = socketio.AsyncSimpleClient()
        await echo.connect(trial.url(""), transports=transports, wait_timeout=BOUND)
        assert await echo.receive(BOUND) == ["auth", {}]
        await echo.emit("message", (b"\1\2", 3))
        assert await echo.receive(BOUND) == ["message-back", b"\1\2", 3]
        assert await echo.call("message-with-ack", "x", timeout=BOUND) == "x"
        await echo.disconnect()
    asyncio.run(asyncio.wait_for(main(), BOUND * 2))


def test_python_comes_back_and_subscribes_again(fleet, group):
    """Without recovery a client that reconnects starts anew, as its program does on `connect`."""
    with Proxy(fleet) as proxy:
        client, connections, heard = socketio.Client(reconnection_delay=0.02, reconnection_delay_max=0.05), [], []

        def connected():
            connections.append(client.get_sid())
            client.emit("subscribe_activity_stream")
        confirmed = []
        client.on("connect", connected)
        client.on("subscribed", confirmed.append)
        client.on("activity_stream", lambda data: heard.append(data["data"]["message"]))
        client.connect(proxy.url(""), transports=["websocket"], wait_timeout=BOUND)
        eventually(lambda: len(confirmed) == 1, "the subscription")
        proxy.cut()
        proxy.mend()
        eventually(lambda: len(confirmed) == 2, "the second subscription")
        assert len(set(connections)) == 2
        note(fleet, group)
        eventually(lambda: group in heard, "the event")
        client.disconnect()
