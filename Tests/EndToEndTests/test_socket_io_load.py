"""Socket.IO when there is much of it: large payloads, slow readers, many who hear the same, and the end of the server."""
import asyncio
import json
import random
import re
import signal
import threading
import time

import pytest
import websockets

from engines import SEPARATOR, Polling, Wire, packets
from monitors import Watcher
from servers import BOUND, eventually

SIZE = 60_000


def note(server, message, size=0):
    answer = server.request("POST", "/api/activities", {
        "activity_type": "download_task", "message": message, "extra_data": {"x": "x" * size}})
    assert answer.status == 201, answer


def poller(server, word="activity_stream"):
    """A client by polling that has subscribed and heard how things stand."""
    session = Polling(server)
    session.say("40", f'42["subscribe_{word}"]', "40/fence,")
    heard = []
    while not any(packet.startswith("44/fence,") for packet in heard):
        heard += session.hear()
    return session


def metric(server, name):
    return float(re.search(rf"^signalbox_{name} (\S+)$", server.get("/metrics").body.decode(), re.M)[1])


def test_a_poll_is_no_larger_than_the_payload_may_be(launch):
    """What has no room comes with the next, in order."""
    server = launch()
    session = poller(server)
    for number in range(40):
        note(server, str(number), SIZE)
    heard, answers = [], 0
    while len(heard) < 40:
        answer = session.poll()
        assert len(answer.body) <= 1_000_000
        heard += [json.loads(packet[2:])[1]["data"]["message"] for packet in packets(answer) if packet.startswith('42["activity_stream"')]
        answers += 1
    assert heard == [str(number) for number in range(40)] and answers >= 3


def test_who_does_not_poll_is_given_up(launch):
    """Its share of memory is bounded; it may come back, but not to more than is remembered."""
    server = launch()
    session, other = poller(server), poller(server)
    for number in range(290):
        note(server, str(number), SIZE)
        other.hear()
    assert session.poll().status == 400
    assert other.post("41").status == 200


def test_many_hear_the_same_text(launch):
    """An event is written once for those who are told its offset and once for those who are not, whatever carries it."""
    server = launch()
    wires = [Wire(server) for _ in range(30)]
    for wire in wires:
        wire.join()
        wire.emit("subscribe_activity_stream")
        wire.fence()
    pollers = [poller(server) for _ in range(10)]
    with Watcher(server, "activity_stream") as watcher:
        before = metric(server, "events_encoded_total")
        note(server, "once")
        texts = {wire.hear() for wire in wires} | {packet for session in pollers for packet in session.hear()}
        assert len(texts) == 1
        watcher.hear_until("activity_stream", lambda data: data["message"] == "once")
        assert metric(server, "events_encoded_total") - before == 2
    for wire in wires:
        wire.socket.close()


def test_the_end_of_the_server(launch):
    """Polls are answered and sockets are closed; nobody waits for a session that is over."""
    server = launch()
    session = poller(server)
    pending = session.begin_poll()
    with Wire(server) as wire:
        wire.join()
        server.process.send_signal(signal.SIGTERM)
        assert "1" in packets(pending.answer())
        assert wire.is_closed()
    assert server.wait() == 0


def test_sessions_are_counted(launch):
    server = launch("--socketio-ping-interval-ms", "200", "--socketio-ping-timeout-ms", "200")
    sessions = [Polling(server) for _ in range(3)]
    with Wire(server):
        assert metric(server, "socketio_sessions_opened_total") == 4
        assert 1 <= metric(server, "socketio_polling_sessions") <= 3
    eventually(lambda: metric(server, "socketio_polling_sessions") == 0, "the end of those that never polled")
    assert all(session.is_gone() for session in sessions)


def test_a_session_that_failed_is_looked_at_once(launch):
    """It waits for a poll to hear of its end, and nothing is left to be done about it until then."""
    server = launch("--socketio-test-mode", "--socketio-ping-interval-ms", "25000", "--socketio-ping-timeout-ms", "20000")
    session = Polling(server)
    assert session.post("40").status == 200
    assert [packet[:2] for packet in packets(session.poll())] == ["40", "42"]
    assert session.post("4abc").status == 200
    assert metric(server, "socketio_sessions_failed_total") == 1
    time.sleep(1.2)
    assert metric(server, "socketio_sessions_failed_total") == 1
    # It hears of its end late.
    assert packets(session.poll()) == ["1"]
    assert session.is_gone()


@pytest.mark.parametrize("count", [1, 60])
def test_many_packets_in_one_post(fleet, count):
    """As many as the rate allows, and more."""
    session = Polling(fleet)
    session.say("40")
    session.hear()
    session.post(SEPARATOR.join(['42["hello"]'] * count))
    if count == 1:
        assert json.loads(session.hear()[0][2:])[0] == "error"
    else:
        while (answer := session.poll()).status == 200:
            assert answer.body != b"2"


class Returner:
    """A client that is cut off again and again, by one transport, and comes back as who it was."""

    def __init__(self, server, seed):
        self.server, self.random = server, random.Random(seed)
        self.names, self.offset, self.heard, self.returns, self.faults = None, None, [], 0, []

    async def run(self, last):
        """Until it has heard the last number, which is known once `last` is set."""
        while not (last.is_set() and self.heard and self.heard[-1] == last.number):
            wire = await websockets.connect(self.server.url("/socket.io/?EIO=4&transport=websocket", "ws"), ping_interval=None)
            await wire.recv()
            await wire.send("40" + json.dumps({"pid": self.names["pid"], "offset": self.offset} if self.names else {}))
            names = json.loads((await wire.recv())[2:])
            if self.names:
                self.returns += 1
                if names != self.names:
                    self.faults.append((self.names, self.offset, names))
            else:
                await wire.send('42["subscribe_activity_stream"]')
            self.names = names
            until = time.monotonic() + self.random.uniform(0, 0.15)
            try:
                while time.monotonic() < until or self.offset is None:
                    packet = await asyncio.wait_for(wire.recv(), max(until - time.monotonic(), 0.01) if self.offset else BOUND)
                    name, update, self.offset = json.loads(packet[2:])
                    if name == "activity_stream":
                        self.heard.append(int(update["data"]["message"]))
            except TimeoutError:
                pass
            wire.transport.abort()


def test_hundreds_of_recoveries_miss_nothing(launch):
    server, last = launch(), threading.Event()
    returners = [Returner(server, seed) for seed in range(10)]

    async def main():
        await asyncio.wait_for(asyncio.gather(*(returner.run(last) for returner in returners)), BOUND)

    def produce():
        eventually(lambda: all(returner.offset for returner in returners), "the subscriptions")
        connection, end, number = server.connection(), time.monotonic() + 3, 0
        while time.monotonic() < end:
            connection.request("POST", "/api/activities", json.dumps({"activity_type": "user_operation", "message": str(number)}))
            assert connection.getresponse().read()
            number += 1
        last.number = number - 1
        last.set()
    producer = threading.Thread(target=produce)
    producer.start()
    asyncio.run(main())
    producer.join()
    assert [returner.faults for returner in returners] == [[]] * 10
    assert all(returner.heard == list(range(last.number + 1)) for returner in returners)
    assert sum(returner.returns for returner in returners) > 100
