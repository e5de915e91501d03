"""Clients of the soak that live as long as one task: they submit, wait, poll, watch and cancel, over connections that break, and write into
the ledger what they were told. Those who stay are in listeners.py.
"""
import asyncio
import collections
import json
import random

from wire import Caller, Closed, EventStream, Gone, Refused, WebSocket, token

GROUPS = ["alpha", "beta"]
USERS = [1, 2, 3]
# Seconds that a task may take before somebody must have ended it: its own time, and that in which servers and workers are away.
END_PATIENCE = 90
# Of the events of a task, after how many a watcher loses its connection.
CUT_SHARE = 0.04
# What a key is good for: the same task, asked for once more.
TWICE_SHARE = 0.1
TERMINAL = ("completed", "failed", "cancelled")


class Field:
    """What all clients share: where the server is, which life it is in, and who they are."""

    def __init__(self, ledger, ports, secret, seed, lies):
        self.ledger, self.ports, self.random, self.lies = ledger, ports, random.Random(seed), list(lies)
        self.lies += ["lost-event"] * 2 * ("lost-event" in lies)
        # Counts the server's processes: raised before each is ended.
        self.life = 0
        # Nobody begins anything new; later, those who listen go as well.
        self.is_quiet = self.is_away = False
        self.words = {user: token(secret, user) for user in USERS}
        self.publisher, self.admin = token(secret, "soak", "publisher"), token(secret, "admin", "admin")
        self.sent = self.accepted = 0
        self.events_heard, self.disk_was_full_at = 0, -100.0

    def port(self):
        """Through the proxy, mostly."""
        return self.ports["proxy"] if self.random.random() < 0.6 else self.ports["server"]

    def chance(self, share):
        return self.random.random() < share

    def takes_lie(self, name):
        """Whether this lie is told now. An event may be overheard in vain, by one who loses his connection then: that is tried again."""
        if name not in self.lies or self.ledger.counts["ended: completed"] < 5:
            return False
        self.lies.remove(name)
        return True

    async def pause(self, most=1.0):
        await asyncio.sleep(0.05 + self.random.random() * most)


class Order:
    """A client and its one task."""

    def __init__(self, field, kind, hubs=()):
        self.field, self.ledger, self.random, self.kind = field, field.ledger, field.random, kind
        self.caller = Caller(field.port())
        # A user's watchers count every number, and are not told of logs.
        has_logs = kind in ("socket", "stream", "slow", "poll")
        steps = self.random.choice([0, 1, 2, 4, 8]) if kind != "slow" else 40
        roll = self.random.random()
        end = "error" if roll < 0.02 else "once" if roll < 0.04 else "never" if roll < 0.045 else "exit" if roll < 0.047 else "done"
        self.plan = {
            "steps": steps, "pause": round(self.random.random() * 0.3, 3), "end": end, "chunks": self.random.randrange(steps + 1),
            "logs": self.random.randrange(steps + 1) if has_logs else 0,
            "size": 200_000 if self.chance(0.005) else self.random.randrange(500), "promised": kind != "sync"}
        text = "é" * 60_000 if self.chance(0.005) else "t" * self.random.randrange(300)
        user = self.random.choice(USERS) if kind in ("user", "hub") else None
        self.word = field.words[user] if user else None
        self.hub = self.random.choice([hub for hub in hubs if hub.user == user]) if kind == "hub" else None
        timeout = 8 if end == "never" else 30
        self.entry = self.ledger.begin(self.plan, text, timeout, self.random.choice([0, 1, 3, 5]), field.life, self.word)
        self.key = f"key-{self.entry.number}" if self.chance(0.9) else None

    def chance(self, share):
        return self.random.random() < share

    def body(self, **members):
        entry = self.entry
        body = {"data": {"n": entry.number, "plan": self.plan, "text": entry.text}, "group": self.random.choice(GROUPS),
                "timeout": entry.timeout * 1000, "retries": entry.retries, "priority": self.random.choice(["high", "normal", "low"])}
        return body | ({"idempotencyKey": self.key} if self.key else {}) | members

    async def run(self):
        try:
            match self.kind:
                case "sync":
                    await self.wait()
                case _:
                    await self.give_in()
        except AssertionError as problem:
            self.ledger.violation("an odd answer", f"{self.entry}: {problem}")
        finally:
            self.caller.close()

    async def ask(self, *arguments, **members):
        return await self.caller.ask(*arguments, **members)

    # Synchronous

    async def wait(self):
        """Waits for the answer; comes again with its key where the connection breaks."""
        entry, body = self.entry, self.body()
        if not self.key:
            self.key = f"key-{entry.number}" if self.chance(0.5) else None
            body = self.body()
        for _ in range(40):
            began = self.ledger.clock()
            entry.given_at = entry.given_at or began
            self.field.sent += 1
            # Some leave without waiting for what they asked.
            patience = self.random.random() if self.chance(0.05) else entry.timeout + 20
            try:
                status, answer = await self.ask("POST", "/api/openai", body, seconds=patience)
            except Gone:
                self.ledger.counts["sync requests cut"] += 1
                self.ledger.require(self.ledger.clock() - began < entry.timeout + 20, "never answered", f"{entry}: a sync request")
                if not self.key:
                    return
                await self.field.pause()
                continue
            said = json.loads(answer)
            if status == 503:
                self.ledger.counts["refused with 503"] += 1
                await self.field.pause()
                continue
            self.ledger.counts[f"sync answers {status}"] += 1
            if status == 409:
                # Of the time before a restart, in which nobody promised it.
                return self.ledger.require(self.field.life > entry.life or self.key, "cancelled by nobody", f"{entry}: sync")
            if not self.ledger.require(status in (200, 500), "an odd answer", f"{entry}: {status} {answer[:200]!r}"):
                return
            entry.task_id = said["taskId"]
            if status == 200:
                self.ledger.check_result(entry, said["result"], "sync")
                if self.plan["steps"] == 0 and self.plan["size"] < 500:
                    self.ledger.latencies.append(self.ledger.clock() - began - self.plan["pause"])
                if self.field.takes_lie("changed-result"):
                    entry.result = dict(entry.result, by="somebody else")
            else:
                self.ledger.check_failure(entry, said["error"], "sync")
            if self.key:
                # What was answered under a key is remembered.
                self.ledger.promise(entry, entry.task_id)
                await self.conclude()
            return

    # Asynchronous

    async def give_in(self):
        if not await self.submit():
            return
        if self.field.takes_lie("ghost-task"):
            ghost = self.ledger.begin(self.plan, "", 30, 0, self.field.life)
            self.ledger.promise(ghost, self.entry.task_id[:-12] + "0123456789ab")
            ghost.end, ghost.ended_at = b"{}", self.ledger.clock()
        tasks = [asyncio.ensure_future(self.follow())]
        if self.chance(0.06):
            tasks.append(asyncio.ensure_future(self.cancel()))
        if self.key and self.chance(TWICE_SHARE):
            tasks.append(asyncio.ensure_future(self.submit_again()))
        await asyncio.gather(*tasks)
        await self.conclude()

    async def submit(self):
        """Until it is taken in. Without a key nobody can ask twice."""
        entry = self.entry
        path, body = ("/api/gpu/tasks", self.body()) if self.word else ("/api/openai", self.body(**{"async": True}))
        for _ in range(120):
            self.field.sent += 1
            # Of the first time: an answer that got lost may have been a yes.
            entry.given_at = entry.given_at or self.ledger.clock()
            try:
                status, answer = await self.ask("POST", path, body, self.word)
            except Gone:
                self.ledger.counts["submissions cut"] += 1
                if not self.key:
                    return False
                await self.field.pause()
                continue
            if status == 503:
                self.ledger.counts["refused with 503"] += 1
                await self.field.pause()
                continue
            if not self.ledger.require(status == 200, "an odd answer", f"{entry}: {status} {answer[:200]!r}"):
                return False
            said = json.loads(answer)
            self.ledger.promise(entry, said.get("taskId") or said["task_id"])
            self.field.accepted += 1
            return True
        self.ledger.violation("never taken in", f"{entry}")
        return False

    async def run_again(self, failed, task_id, began):
        """Takes over the new task of a dead letter."""
        entry = self.entry
        entry.number, entry.plan, entry.text, entry.retries, entry.timeout = (
            failed.number, failed.plan, failed.text, failed.retries, failed.timeout)
        entry.word, entry.tries = failed.word, failed.tries + 1
        self.word = failed.word
        entry.given_at = began
        self.ledger.promise(entry, task_id)
        try:
            await self.conclude()
        finally:
            self.caller.close()

    async def submit_again(self):
        """The same key names the same task."""
        await self.field.pause(2)
        path, body = ("/api/gpu/tasks", self.body()) if self.word else ("/api/openai", self.body(**{"async": True}))
        self.field.sent += 1
        caller = Caller(self.field.port())
        try:
            status, answer = await caller.ask("POST", path, body, self.word)
            # One that was tried again has passed its key on.
            if status == 200 and not self.entry.is_replayed:
                said = json.loads(answer)
                self.ledger.counts["keys asked twice"] += 1
                self.ledger.require((said.get("taskId") or said["task_id"]) == self.entry.task_id, "a key with two tasks",
                                    f"{self.entry}: {answer[:200]!r}")
        except Gone:
            pass
        finally:
            caller.close()

    async def cancel(self):
        entry = self.entry
        await self.field.pause(1.5)
        entry.wants_cancel = True
        caller = Caller(self.field.port())
        try:
            status, answer = await caller.ask("POST", f"/api/task/{entry.task_id}/cancel", b"", self.word)
        except Gone:
            return
        finally:
            caller.close()
        if status == 200:
            self.ledger.counts["cancellations"] += 1
            entry.is_cancelled = True
        else:
            # 503: what the disk did not take.
            self.ledger.require(status in (409, 503), "an odd answer", f"cancel {entry}: {status} {answer[:200]!r}")

    async def follow(self):
        match self.kind:
            case "socket" | "slow" | "user":
                await self.watch("socket")
            case "stream":
                await self.watch("stream")
            case "hub":
                await self.hub.follow(self.entry)

    async def conclude(self):
        """Asks how it ended, until it has."""
        entry, began = self.entry, self.ledger.clock()
        while self.ledger.clock() - began < END_PATIENCE:
            try:
                status, answer = await self.ask("GET", f"/api/task/{entry.task_id}", word=self.word)
            except Gone:
                await self.field.pause(0.5)
                continue
            if not self.ledger.require(status == 200, "lost", f"{entry} was promised, and now: {status} {answer[:200]!r}"):
                entry.end = entry.end or b""
                return
            said = json.loads(answer)
            if said["status"] in TERMINAL:
                return self.ledger.ended(entry, said, answer)
            await self.field.pause(0.4)
        self.ledger.violation("never ended", f"{entry}: {answer[:200]!r}")
        entry.end = b""

    # Watching

    async def open(self, way, last):
        task_id, word = self.entry.task_id, self.word or self.field.words[1]
        if way == "stream":
            return await EventStream.open(self.field.port(), f"/api/tasks/{task_id}/events", word, last)
        small = 4096 if self.kind == "slow" else None
        return await WebSocket.open(self.field.port(), f"/api/gpu/tasks/{task_id}/ws?last_seq={last}", word, small)

    async def watch(self, way):
        """Watches the task to its end, and counts: each number once and in order, but for what a restart took along."""
        seen = Sequence(self.ledger, f"{way} watcher of {self.entry}", self.entry.life)
        began = self.ledger.clock()
        while not seen.is_over:
            if self.ledger.clock() - began > END_PATIENCE:
                return seen.missed("never told", f"nothing behind {seen.last}")
            start = self.field.life
            try:
                source = await self.open(way, seen.last)
            except Refused as refusal:
                if refusal.status == 204:
                    self.ledger.require(seen.has_end, "never told", f"stream of {self.entry} ended at {seen.last} without its end")
                    return
                self.ledger.require(refusal.status == 503, "lost", f"{way} watcher of {self.entry}: {refusal}")
                await self.field.pause()
                continue
            except Gone:
                await self.field.pause()
                continue
            seen.connected(start, self.field.life)
            try:
                await self.listen(source, seen)
            except Closed as end:
                self.ledger.require(end.code != 4004, "lost", f"{way} watcher of {self.entry}: closed with {end.code}")
                self.ledger.require(end.code != 4003, "an odd answer", f"{way} watcher of {self.entry}: closed with {end.code}")
                self.ledger.counts["watchers closed as too slow"] += end.code == 1013
                await self.field.pause(0.5)
            except Gone:
                await self.field.pause(0.5)
            finally:
                source.reset() if self.chance(0.3) else source.channel.close()

    async def listen(self, source, seen):
        while True:
            message = await source.hear(45)
            if message is None:
                # A server that stops ends its streams; otherwise only the task does.
                seen.is_over = seen.has_end
                if not seen.has_end and self.field.life == seen.life:
                    seen.missed("never told", f"ended at {seen.last} without the task's end")
                return
            kind = message["type"]
            if kind in ("connection_established", "heartbeat"):
                continue
            if kind == "current_status":
                seen.told(message["seq"])
                continue
            if kind == "gap":
                seen.gap(message["first_seq"], message["last_seq"])
                continue
            self.field.events_heard += 1
            if kind == "task_progress" and not seen.may_jump and self.field.takes_lie("lost-event"):
                continue
            seen.event(message["seq"], kind in ("task_completed", "task_error", "task_cancelled"), self.kind == "slow")
            if self.kind == "slow":
                await asyncio.sleep(0.2)
            if kind == "task_completed":
                if message["success"]:
                    self.ledger.check_result(self.entry, message["result_data"], "watcher")
                seen.is_over = True
                return
            if self.chance(CUT_SHARE):
                self.ledger.counts["watchers cut by themselves"] += 1
                return source.reset()


class Sequence:
    """The numbers of one task's events, as one watcher is told them."""

    def __init__(self, ledger, name, life):
        self.ledger, self.name = ledger, name
        # The last number, and the latest life in which the server surely was no later when it was told.
        self.last, self.life = 0, life
        self.may_jump, self.is_over, self.has_end, self.standing = False, False, False, None
        # What it went through, for who has to find out why something is missing.
        self.story = collections.deque(maxlen=30)

    def note(self, words):
        self.story.append(f"{self.ledger.clock():.2f} {words}")

    def missed(self, kind, words):
        self.ledger.violation(kind, f"{self.name}: {words}; {', '.join(self.story)}")

    def connected(self, start, end):
        """A connection was made while the server's life was between the two."""
        # A restart lies between: numbers go on behind a gap, and `current_status` says where.
        self.may_jump |= end > self.life
        self.life = start
        self.note(f"connected behind {self.last} in life {start}")
        if self.last:
            self.ledger.counts["watchers came back"] += 1

    def told(self, number):
        self.standing = number
        self.note(f"state {number}")
        if number < self.last:
            self.missed("numbers that go back", f"state {number} behind {self.last}")

    def gap(self, first, last):
        if first != self.last + 1 and not self.may_jump:
            self.missed("lost event", f"gap {first}-{last} behind {self.last}")
        self.last, self.may_jump = last, False
        self.ledger.counts["gaps told"] += 1

    def event(self, number, is_end, is_slow=False):
        follows = number == self.last + 1 or number == self.last and is_end
        self.note(f"event {number}")
        if not follows and self.may_jump and number > self.last:
            self.ledger.counts["watchers told where it stands"] += 1
        elif not follows and is_slow and number > self.last:
            # Newer progress takes the place of older.
            self.ledger.counts["events conflated"] += number - self.last - 1
        elif not follows:
            self.missed("an event twice" if number <= self.last else "lost event", f"{number} behind {self.last}")
        self.last, self.may_jump = max(number, self.last), False
        self.has_end |= is_end
