"""Clients of the soak that stay: clients of the hub, watchers of users, listeners of the fleet by Socket.IO, and the programs that report
tasks and notes. Each loses its connection again and again, comes back as its protocol has it, and counts what it is told.
"""
import asyncio
import json

from clients import USERS, Sequence
from house import SETTINGS
from wire import Caller, Closed, Gone, Refused, WebSocket

# Seconds after which a listener cuts its own connection.
CUT_SECONDS = 12
# Seconds within which a client of the hub must have been told a task's end: its own thirty, and those in which nobody could tell it.
FOLLOW_SECONDS = 75
SEPARATOR = "\x1e"


class Listener:
    """What listens as long as the load lasts, over one connection after the other."""

    def __init__(self, field, name):
        self.field, self.ledger, self.name = field, field.ledger, name
        self.socket, self.is_open = None, False

    async def run(self):
        while True:
            if self.field.is_away:
                await asyncio.sleep(0.1)
                continue
            try:
                await self.session()
            except AssertionError as problem:
                self.ledger.violation("an odd answer", f"{self.name}: {problem}")
            except Closed as end:
                self.ledger.counts[f"closed with {end.code}"] += 1
            except Gone:
                pass
            finally:
                self.leave()
                self.is_open = False
            await self.field.pause()

    def leave(self):
        if self.socket:
            self.socket.reset()
        self.socket = None

    def hang_up(self):
        """It goes for the time of the quiet."""
        if self.socket:
            self.socket.reset()

    def tired(self, began):
        """Whether it is time to lose the connection."""
        if self.field.random.random() * CUT_SECONDS * 40 >= self.field.ledger.clock() - began:
            return False
        self.ledger.counts["listeners cut by themselves"] += 1
        return True


class Hub(Listener):
    """A client of the hub: one socket, the tasks that others want followed."""

    def __init__(self, field, number, user):
        super().__init__(field, f"hub client {number}")
        self.user, self.id, self.wanted, self.life = user, None, {}, 0
        # When it was connected last.
        self.left_at = 0.0

    def leave(self):
        if self.is_open:
            self.left_at = self.ledger.clock()
        super().leave()

    async def follow(self, entry):
        """Until the task's end was told."""
        seen = Sequence(self.ledger, f"{self.name} on {entry}", entry.life)
        seen.entry, seen.is_fresh, seen.done = entry, True, asyncio.get_running_loop().create_future()
        self.wanted[entry.task_id] = seen
        self.ask(entry.task_id)
        try:
            async with asyncio.timeout(FOLLOW_SECONDS):
                await seen.done
        except TimeoutError:
            seen.missed("never told", f"nothing behind {seen.last}")
        finally:
            del self.wanted[entry.task_id]
            self.say(action="unsubscribe", task_id=entry.task_id)

    def ask(self, task_id):
        self.wanted[task_id].is_fresh = True
        self.wanted[task_id].note(f"asked for, open: {self.is_open}")
        self.say(action="subscribe", task_id=task_id)

    def say(self, **members):
        if self.socket and self.is_open:
            try:
                self.socket.say(**members)
            except Gone:
                pass

    async def session(self):
        query = ""
        if self.id:
            # Of what it never heard of, too: a picture that got lost is one that the server believes to be told.
            seen = ",".join(f"{task}:{one.last}" for task, one in self.wanted.items())
            query = f"?old_client_id={self.id}" + (f"&last_seq={seen}" if seen else "")
        start, former = self.field.life, self.life
        self.socket = await WebSocket.open(self.field.port(), f"/api/v1/ws{query}", self.field.words[self.user])
        end = self.field.life
        greeting = await self.socket.hear(15)
        payload = greeting["payload"]
        known = payload.get("subscribed", {}) if greeting["type"] == "reconnected" else {}
        if greeting["type"] == "reconnected":
            self.ledger.counts["hub clients came back"] += 1
            lost = [task for task, is_there in payload.get("recovered", {}).items() if not is_there and task in self.wanted]
            self.ledger.require(not lost or end > former, "lost event", f"{self.name} came back in the same life without {lost}")
        else:
            lost = []
            is_late = self.ledger.clock() - self.left_at > SETTINGS["SESSION_RESUME_MS"] / 1000 - 2
            self.ledger.require(not self.id or end > former or is_late, "a lost session",
                                f"{self.name} was {self.id}, in the same life: {greeting}")
        self.id, self.life, self.is_open = payload["client_id"], start, True
        for task in list(self.wanted):
            self.wanted[task].connected(start, end)
            self.wanted[task].note(f"{greeting['type']}, lost: {task in lost}, known: {task in known}")
            if task in lost:
                self.wanted[task].is_fresh = True
            elif task not in known:
                self.ask(task)
        began = self.ledger.clock()
        while True:
            self.hear(await self.socket.hear())
            if self.tired(began):
                return

    def hear(self, message):
        kind, payload = message["type"], message["payload"]
        seen = self.wanted.get(message["task_id"])
        if not seen or kind not in ("progress", "status", "error"):
            return
        number = payload["seq"]
        is_end = kind == "error" or kind == "status" and payload["status"] in ("completed", "failed", "cancelled")
        if seen.is_fresh:
            # The picture that a subscription begins with.
            seen.told(number)
            seen.last, seen.is_fresh, seen.may_jump = number, False, False
        else:
            self.field.events_heard += 1
            seen.event(number, is_end)
        if kind == "status" and payload["status"] == "completed":
            self.ledger.check_result(seen.entry, payload["result"], self.name)
        if is_end and not seen.done.done():
            seen.done.set_result(None)


class UserWatcher(Listener):
    """Document N's watcher: all tasks of a user. It is told how all stand when it comes; between that and its end it misses nothing."""

    def __init__(self, field, user):
        super().__init__(field, f"watcher of user {user}")
        self.user, self.epoch, self.last, self.ends = user, 0, {}, {}

    async def session(self):
        self.socket = await WebSocket.open(self.field.port(), f"/api/task/ws/task/{self.user}", self.field.words[self.user])
        assert (await self.socket.hear(15))["type"] == "connected"
        tasks = (await self.socket.hear(15))["tasks"]
        self.last = {task["task_id"]: task["seq"] for task in tasks}
        self.epoch, self.ends, self.is_open = self.epoch + 1, {}, True
        began = self.ledger.clock()
        while True:
            message = await self.socket.hear()
            assert message["type"] == "task_status", message
            self.field.events_heard += 1
            task, number = message["task_id"], message["seq"]
            # The name of an ended task may be registered anew, by a program that does not know how far it got: its numbers go on.
            is_anew = task not in self.last and message["status"] == "pending"
            self.ledger.require(number == self.last.get(task, 0) + 1 or is_anew, "lost event",
                                f"{self.name} of {task}: {number} behind {self.last.get(task, 0)}")
            self.last[task] = number
            if message["status"] in ("completed", "failed", "cancelled"):
                self.ends[task] = message
            if self.tired(began):
                return

    async def check_end(self, task, epoch):
        """Whoever was there all the time was told the end."""
        for _ in range(300):
            if self.epoch != epoch or not self.is_open:
                return None
            if end := self.ends.get(task):
                return end
            await asyncio.sleep(0.05)
        self.ledger.violation("never told", f"{self.name}: the end of {task}")
        return None


class Fleet(Listener):
    """A listener of the fleet's activities, by Socket.IO over a WebSocket, which recovers its session as the JavaScript client does."""

    def __init__(self, field, number):
        super().__init__(field, f"fleet listener {number}")
        self.names, self.offset, self.heard = None, None, []

    async def session(self):
        self.socket = await WebSocket.open(self.field.port(), "/socket.io/?EIO=4&transport=websocket")
        opened = await self.socket.receive(15)
        assert opened[0] == "0", opened
        back = json.dumps({"pid": self.names["pid"], "offset": self.offset}) if self.names and self.offset else ""
        self.socket.send("40" + back)
        await self.listen(self.socket.receive, self.socket.send)

    async def listen(self, receive, send):
        began = self.ledger.clock()
        while True:
            packet = await receive()
            if packet == "2":
                send("3")
            elif packet.startswith("40"):
                names = json.loads(packet[2:])
                if names == self.names:
                    self.ledger.counts["fleet listeners recovered"] += 1
                else:
                    self.close_segment()
                    self.names, self.offset = names, None
                    send('42["subscribe_activity_stream"]')
                self.is_open = True
            elif packet.startswith("42"):
                self.hear(json.loads(packet[2:]))
            else:
                assert packet == "6", packet
            if self.tired(began):
                return

    def hear(self, event):
        name, data, *offset = event
        if offset:
            self.offset = offset[0]
        if name == "activity_stream":
            words = data["data"]["message"].split()
            if words[0] == "note":
                number = int(words[1])
                # A subscription begins with some of the past.
                if not self.heard or number > self.heard[0] or len(self.heard) > 1:
                    self.heard.append(number)

    def close_segment(self):
        self.ledger.check_notes(self.name, self.heard)
        self.ledger.counts["notes heard"] += len(self.heard)
        self.heard = []


class PollingFleet(Fleet):
    """The same by long-polling, as clients that do not recover: each connection is a story of its own."""

    def __init__(self, field, number):
        super().__init__(field, number)
        self.name = f"polling listener {number}"

    async def session(self):
        self.close_segment()
        self.names = self.offset = None
        caller, sender = Caller(self.field.port()), Caller(self.field.port())
        self.socket, path, waiting, posts = caller, "/socket.io/?EIO=4&transport=polling", [], []
        try:
            status, answer = await caller.ask("GET", path)
            if status == 503:
                raise Gone("busy")
            assert status == 200 and answer[:1] == b"0", answer
            path += "&sid=" + json.loads(answer[1:])["sid"]

            async def receive():
                # It may have been hung up on while it was not on the line.
                if self.field.is_away:
                    raise Gone("away")
                while posts:
                    status, answer = await sender.ask("POST", path, SEPARATOR.join(posts).encode())
                    posts.clear()
                    if status != 200:
                        raise Gone(f"{status} {answer}")
                while not waiting:
                    status, answer = await caller.ask("GET", path)
                    if status != 200:
                        raise Gone(f"{status} {answer}")
                    waiting.extend(answer.decode().split(SEPARATOR))
                    if waiting == ["1"]:
                        raise Gone("closed")
                return waiting.pop(0)

            posts.append("40")
            await self.listen(receive, posts.append)
        finally:
            sender.reset()


class Noter(Listener):
    """Writes notes, which all listeners of the fleet must hear in order."""

    async def session(self):
        self.socket = Caller(self.field.ports["server"])
        while not self.field.is_quiet:
            self.ledger.note += 1
            number = self.ledger.note
            try:
                status, answer = await self.socket.ask(
                    "POST", "/api/activities", {"activity_type": "user_operation", "message": f"note {number}"})
            except Gone:
                self.ledger.unsure_notes.add(number)
                raise
            if status == 201:
                self.ledger.notes.add(number)
            else:
                self.ledger.require(status == 503, "an odd answer", f"note: {status} {answer[:200]!r}")
                self.ledger.unsure_notes.add(number)
            await self.field.pause(0.6)


class Report:
    """A program that runs a task of its own and reports it over HTTP; what was confirmed must be there, and its user's watchers told."""

    def __init__(self, field, watchers):
        self.field, self.ledger, self.random = field, field.ledger, field.random
        self.ledger.number += 1
        self.task_id, self.user = f"report-{self.ledger.number}", self.random.choice(USERS)
        self.result = {"of": self.task_id, "pad": "x" * self.random.randrange(300)}
        self.watcher, self.caller = watchers[self.user], Caller(field.port())

    async def run(self):
        try:
            epoch = self.watcher.epoch if self.watcher.is_open else None
            register = {"task_id": self.task_id, "user_id": self.user, "task_type": "soak"}
            if not await self.post("/api/task/register", register, 409):
                return
            for step in range(self.random.randrange(5)):
                await self.post(f"/api/task/task/{self.task_id}/progress", {"progress": 10 * step, "message": f"step {step}"})
                await self.field.pause(0.4)
            if not await self.post(f"/api/task/task/{self.task_id}/completed", {"result": self.result}, 409):
                return
            self.ledger.reports[self.task_id] = (self.field.words[self.user], self.result, self.ledger.clock())
            if epoch is not None and (end := await self.watcher.check_end(self.task_id, epoch)):
                self.ledger.require(end["result"] == self.result, "wrong result", f"{self.task_id}: {end}")
        except AssertionError as problem:
            self.ledger.violation("an odd answer", f"{self.task_id}: {problem}")
        finally:
            self.caller.close()

    async def post(self, path, body, *known):
        """Until it is confirmed. An answer that says that it was there already is a confirmation, where the one before got lost."""
        was_cut = False
        for _ in range(120):
            try:
                status, answer = await self.caller.ask("POST", path, body, self.field.publisher)
            except Gone:
                was_cut = True
                await self.field.pause()
                continue
            if status == 200 or status in known and was_cut:
                self.ledger.counts["reports confirmed"] += 1
                return True
            if status != 503:
                self.ledger.violation("an odd answer", f"{self.task_id} {path}: {status} {answer[:200]!r}")
                return False
            was_cut = True
            await self.field.pause()
        self.ledger.violation("never taken in", f"{self.task_id} {path}")
        return False


class Producer(Listener):
    """A program that reports many tasks in batches over one socket, and asks for each to be confirmed."""

    def __init__(self, field, number):
        super().__init__(field, f"producer {number}")
        self.number, self.batch, self.open_events = number, 0, []

    async def session(self):
        self.socket = await WebSocket.open(self.field.port(), "/api/task/ws/producer", self.field.publisher)
        if self.open_events:
            # Nobody knows how many of them arrived.
            await self.give_in(self.open_events, True)
        while not self.field.is_quiet:
            self.batch += 1
            self.open_events = []
            for index in range(self.field.random.randrange(1, 8)):
                task_id = f"batch-{self.number}-{self.batch}-{index}"
                user = self.field.random.choice(USERS)
                self.open_events += [{"event": "register", "task_id": task_id, "user_id": user},
                                     {"event": "progress", "task_id": task_id, "progress": 50, "message": "half"},
                                     {"event": "completed", "task_id": task_id, "result": {"of": task_id}}]
            await self.give_in(self.open_events, False)
            await self.field.pause(1.5)

    async def give_in(self, events, is_again):
        for number, event in enumerate(events):
            event["ack"] = number
        self.socket.send(json.dumps(events))
        is_refused = False
        for number, event in enumerate(events):
            answer = await self.socket.hear(20)
            assert answer["type"] == "ack" and answer["ack"] == number, (answer, number)
            if answer["ok"] or is_again and "already" in answer["error"]:
                self.ledger.counts["reports confirmed"] += answer["ok"]
            else:
                # A disk that is full; what came of the rest is not known.
                self.ledger.require("stored" in answer["error"] or is_refused or "shutting" in answer["error"], "an odd answer",
                                    f"{self.name}: {answer} to {event}")
                is_refused = True
                continue
            if event["event"] == "completed" and not is_refused:
                user = next(one["user_id"] for one in events if one["task_id"] == event["task_id"] and one["event"] == "register")
                self.ledger.reports[event["task_id"]] = (self.field.words[user], event["result"], self.ledger.clock())
        self.open_events = events if is_refused else []


class Replayer(Listener):
    """Somebody who looks after the dead letters: some of them are tried again."""

    def __init__(self, field, spawn):
        super().__init__(field, "replayer")
        self.spawn = spawn

    async def session(self):
        self.socket = Caller(self.field.ports["server"])
        while True:
            await asyncio.sleep(1)
            if self.field.is_quiet:
                return
            status, answer = await self.socket.ask("GET", "/api/dead-letters?limit=50", word=self.field.admin)
            assert status == 200, answer
            for letter in json.loads(answer)["deadLetters"]:
                entry = self.ledger.entries.get(letter["taskId"])
                if not entry or not entry.end or entry.is_replayed or entry.tries > 1 or self.field.random.random() < 0.5:
                    continue
                self.field.sent += 1
                # Also where its answer is lost.
                entry.is_replayed, began = True, self.ledger.clock()
                status, answer = await self.socket.ask("POST", f"/api/dead-letters/{entry.task_id}/replay", b"", self.field.admin)
                if status == 200:
                    self.ledger.counts["dead letters replayed"] += 1
                    self.spawn(entry, json.loads(answer)["taskId"], began)
                else:
                    entry.is_replayed = False
                    self.ledger.require(status in (409, 503), "an odd answer", f"replay of {entry}: {status} {answer[:200]!r}")
