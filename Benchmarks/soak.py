#!/usr/bin/env python3
"""Soaks a Signalbox: starts it, keeps it under a mixed load for as long as it is told, cuts, stalls and kills whatever can be, and checks
that nothing was lost, that the counters agree, and that memory is flat. Standard library only.

The load pauses every minute or so: at such a quiet point everything that was promised must have ended, everything that was opened must be
closed, and every entry of the ledger is looked at once more. Exits with 0 and `OK`, or with 1 and each violation; then the folder with the
server's data and logs stays. With one seed the same chances are drawn, but processes and networks do not repeat themselves.
"""
import argparse
import asyncio
import json
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "Soak"))

import house  # noqa: E402 (found there)
from clients import GROUPS, USERS, Field, Order  # noqa: E402
from ledger import Ledger  # noqa: E402
from listeners import Fleet, Hub, Noter, PollingFleet, Producer, Replayer, Report, UserWatcher  # noqa: E402
from memory import MIB, Memory  # noqa: E402
from wire import Caller, Gone, WebSocket  # noqa: E402

SECRET = "a secret of the soak, and of nobody else"
# What a client comes for, and how often.
KINDS = {"sync": 30, "poll": 16, "socket": 14, "stream": 12, "hub": 14, "user": 6, "slow": 0.5, "report": 8}
# Tasks under way at once, whatever the rate says: a server that is away must not be met by all that piled up meanwhile.
UNDER_WAY_MAX = 300
# Descriptors of the loop, the database and its readers, and the kernel's files about the machine.
OWN_DESCRIPTORS = 24
# The tables of what is kept for a few minutes, and a log that is moved home every 16 MiB. One that nobody moves home needs ten minutes.
DATABASE_BYTES = 192 << 20
LIES = {
    "wrong-result": "a worker computes one wrong result", "lost-result": "a worker notes a confirmation that it never got",
    "old-lease": "a worker notes one assignment twice", "lost-event": "a watcher overhears one event",
    "changed-result": "a client remembers another result than it was told", "ghost-task": "the ledger holds a task that never was",
    "ghost-report": "the ledger holds a report that never was", "ghost-note": "the ledger holds a note that never was",
    "counter": "a counter is read as one more than it is", "leak": "memory is read as growing by a MiB a second",
    "descriptor": "a connection stays open over a quiet point"}
WORKER_LIES = ("wrong-result", "lost-result", "old-lease")


class Soak:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.seconds = options.seconds or options.minutes * 60
        self.random = random.Random(options.seed)
        self.began = time.monotonic()
        self.ledger = Ledger(SECRET, lambda: time.monotonic() - self.began)
        # Results are remembered for long enough to be looked at again at the next quiet point.
        self.quiet_every = min(max(self.seconds / 8, 6), 60)
        result_seconds = round(self.quiet_every) + 45
        self.ledger.result_seconds = result_seconds
        self.server = house.Server(options.server, folder, SECRET, result_seconds, [])
        self.memory = Memory(result_seconds + 20, options.rate)
        self.ports = {"server": self.server.port, "proxy": 0}
        self.field = Field(self.ledger, self.ports, SECRET, options.seed, options.lies)
        self.page, self.base, self.base_life = None, None, None
        self.under_way, self.listeners, self.running = set(), [], []
        self.is_over, self.has_faults = asyncio.Event(), False
        self.server_seconds, self.database_max, self.descriptors_max, self.metrics_seconds = 0.0, 0, 0, 0.0

    def count(self, what, number=1):
        self.ledger.counts[what] += number

    def say(self, words):
        print(f"{self.ledger.clock():8.1f} s  {words}", flush=True)

    # The server's lives

    async def start(self):
        self.server.start()
        self.memory.begin()
        while not self.server.is_listening():
            await asyncio.sleep(0.02)
        self.page = self.base = None

    async def restart(self, how):
        """Ends the server and starts the next on the same folder and port."""
        self.field.life += 1
        self.server_seconds += self.server.processor_seconds()
        self.server.end(how)
        end = time.monotonic() + house.STOP_SECONDS
        while self.server.process.poll() is None:
            if time.monotonic() > end:
                self.ledger.violation("does not stop", f"{how.name}, after {house.STOP_SECONDS} s")
                self.server.end(signal.SIGKILL)
            await asyncio.sleep(0.02)
        code = self.server.process.returncode
        self.ledger.require(code == (-9 if how == signal.SIGKILL else 0), "an odd end", f"{code} after {how.name}: {self.server.tail()}")
        self.count(f"server ended by {how.name}")
        await self.start()
        self.field.life += 1

    def lives(self):
        """How long each life lasts: short ones first, then one of half of the time, for leaks that are slow; a short one again."""
        share, lengths = 0.42, []
        while sum(lengths) < self.seconds * share:
            lengths.append(max(self.random.uniform(0.04, 0.12) * self.seconds, min(20, self.seconds / 4)) if self.seconds > 600 else
                           self.seconds * share / 2)
        return [*lengths, self.seconds * 0.5]

    async def age(self):
        """Restarts the server when a life is over."""
        for length in self.lives():
            # Of load: not at the end of a quiet point, when nothing is in hand.
            left = length
            while left > 0 or self.field.is_quiet:
                await asyncio.sleep(0.1)
                left -= 0 if self.field.is_quiet else 0.1
            how = self.random.choice([signal.SIGKILL, signal.SIGTERM])
            self.say(f"the server is ended by {how.name}")
            self.is_restarting = True
            await self.restart(how)
            self.is_restarting = False

    is_restarting = False

    # Faults

    async def trouble(self):
        # However short the time is, something of each must have happened.
        due = ["kill", "cut", "stop", "stall"]
        while True:
            await asyncio.sleep(self.random.expovariate(self.options.faults))
            if self.field.is_quiet:
                continue
            now = time.monotonic()
            chances = {"cut": 6, "stall": 4, "slow": 3, "kill": 2, "stop": 1, "disk": self.options.disk}
            match due.pop(0) if due else self.random.choices(list(chances), list(chances.values()))[0]:
                case "cut":
                    self.count("connections cut by the proxy", self.proxy.tell("cut", self.random.choice([0.1, 0.3, 1])))
                case "stall":
                    self.count("connections stalled", self.proxy.tell("stall", 0.3, self.random.uniform(0.5, 6)))
                case "slow":
                    self.count("connections slowed down", self.proxy.tell("slow", 0.2, self.random.uniform(2, 6)))
                case "kill":
                    self.crew.kill_one()
                    self.count("workers killed")
                case "stop":
                    self.crew.stop_one(now + house.SETTINGS["LEASE_MS"] / 1000 * self.random.uniform(0.5, 2.5))
                    self.count("workers stopped")
                case "disk" if not self.is_restarting:
                    await self.fill_disk()

    async def fill_disk(self):
        """The server's files do not grow for a moment. What was promised before is kept; what waits is tried again."""
        self.count("disk full")
        self.field.disk_was_full_at = self.ledger.clock()
        pid = self.server.process.pid
        self.server.let_files_grow(False)
        await asyncio.sleep(self.random.uniform(0.5, 2.5))
        if self.server.process.pid == pid:
            self.server.let_files_grow(True)
        self.field.disk_was_full_at = self.ledger.clock()

    # The load

    async def load(self):
        """A client every now and then, as strangers come: at random, so many a second."""
        due = time.monotonic()
        while True:
            due = max(due + self.random.expovariate(self.options.rate), time.monotonic() - 1)
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if self.field.is_quiet or len(self.under_way) >= UNDER_WAY_MAX:
                due = time.monotonic()
                await asyncio.sleep(0.05)
                continue
            kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
            self.spawn(Report(self.field, self.watchers).run() if kind == "report" else Order(self.field, kind, self.hubs).run())

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.under_way.add(task)
        task.add_done_callback(self.over)

    def over(self, task):
        self.under_way.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            self.ledger.violation("a client's fault", repr(problem))

    def replayed(self, failed, task_id, began):
        self.spawn(Order(self.field, "poll").run_again(failed, task_id, began))

    # What is seen all the time

    async def sample(self):
        caller, beat = Caller(self.server.port), 0
        while True:
            await asyncio.sleep(0.5)
            beat += 1
            self.crew.keep(time.monotonic())
            if self.is_restarting:
                continue
            if self.server.process.poll() is not None:
                raise house.Failure(f"the server ended by itself with {self.server.process.returncode}:\n{self.server.tail()}")
            resident, anonymous = self.server.memory()
            age = time.monotonic() - self.server.began
            leak = int(age) * MIB if "leak" in self.options.lies else 0
            self.memory.add(age, resident, anonymous + leak)
            self.database_max = max(self.database_max, size := self.server.database)
            self.ledger.require(size < DATABASE_BYTES, "the database", f"{size / MIB:.0f} MiB")
            if self.field.is_away:
                caller.close()
            elif beat % 4 == 0:
                try:
                    await self.read_page(caller)
                except Gone:
                    pass

    async def read_page(self, caller):
        """The metrics' page; what of it does not agree is a violation."""
        pid = self.server.process.pid
        began = time.monotonic()
        status, body = await caller.ask("GET", "/metrics", word=self.field.admin)
        self.ledger.require(status == 200, "an odd answer", f"/metrics: {status}")
        self.metrics_seconds = max(self.metrics_seconds, time.monotonic() - began)
        page = house.parse(body)
        if self.field.takes_lie("counter"):
            page["tasks_submitted_total"] += 1
        # The answer may be of a server that is gone meanwhile.
        if self.server.process.pid != pid:
            return page
        for words in house.disagreements(page) + (house.fallen(self.page, page) if self.page else []):
            self.ledger.violation("counters", words)
        self.page = page
        return page

    # Quiet points

    async def quiet(self, is_last=False):
        """Everything ends; then everything is looked at."""
        while self.is_restarting:
            await asyncio.sleep(0.05)
        self.field.is_quiet = True
        self.proxy.tell("heal", 1)
        self.vandal.tell("quiet")
        for pid in list(self.crew.stopped_until):
            self.crew.go_on(pid)
        end = time.monotonic() + 150
        while self.under_way and time.monotonic() < end:
            await asyncio.sleep(0.05)
        for task in list(self.under_way):
            self.ledger.violation("never ended", f"a client, after 150 s of quiet: {task.get_coro()}")
            task.cancel()
        held = await WebSocket.open(self.server.port, "/api/v1/ws") if self.field.takes_lie("descriptor") else None
        if held:
            # Pings are answered while somebody listens.
            listening = asyncio.ensure_future(self.drain(held))
        if self.field.takes_lie("ghost-report"):
            self.ledger.reports["ghost"] = (self.field.words[1], {}, self.ledger.clock())
        if self.field.takes_lie("ghost-note"):
            self.ledger.notes.add(self.ledger.note + 1)
            self.ledger.check_notes("a liar", [self.ledger.note, self.ledger.note + 2])
        self.field.is_away = True
        caller = Caller(self.server.port)
        await self.check_closed(caller)
        await self.check_ledger(caller)
        if is_last:
            caller.close()
            how = self.random.choice([signal.SIGKILL, signal.SIGTERM])
            self.say(f"the server is ended by {how.name} and has to remember everything")
            self.is_restarting = True
            await self.restart(how)
            self.is_restarting = False
            caller = Caller(self.server.port)
            await self.check_entries(caller)
        if held:
            listening.cancel()
            held.reset()
        caller.close()
        resident, anonymous = self.server.memory()
        age = time.monotonic() - self.server.began
        self.memory.add_quiet(age, anonymous)
        self.say(f"quiet point: {len(self.ledger.entries)} tasks looked at, {len(self.ledger.reports)} reports, life {self.server.lives} "
                 f"is {age:.0f} s old and holds {anonymous / MIB:.1f} MiB, {len(self.ledger.violations)} violations so far")
        for listener in self.listeners:
            if isinstance(listener, Fleet):
                self.ledger.check_notes(listener.name, listener.heard)
                listener.heard = listener.heard[-1:]
        self.ledger.forget()
        self.base = dict(self.page or {}), dict(self.ledger.counts), self.field.sent, self.field.accepted, self.field.events_heard
        self.base_life = self.field.life
        self.field.is_quiet = self.field.is_away = False
        self.vandal.tell("begin")

    @staticmethod
    async def drain(socket):
        while True:
            await socket.receive()

    async def check_closed(self, caller):
        """What was open is closed, and what waited is done: at the latest when the last silent session has been given up."""
        wanted = {
            "connections": len(self.crew.places) + 1, "websockets": len(self.crew.places), "workers": len(self.crew.places),
            "groups": len(GROUPS), 'tasks{state="queued"}': 0, 'tasks{state="executing"}': 0}
        wanted |= dict.fromkeys(["hub_clients", "event_streams", "queued_bytes", "records_waiting", "promises_waiting", "tasks_reported",
                                 "socketio_polling_sessions", "task_payload_bytes", "task_retries_delayed"], 0)
        end = time.monotonic() + 20
        while True:
            # Again and again: one that was just being opened is there only now.
            for listener in self.listeners:
                listener.hang_up()
            page = await self.read_page(caller)
            # A connection that says goodbye is none any more, and has its socket for a second.
            descriptors, sockets = self.server.descriptors()
            page |= {"descriptors of no socket": descriptors - sockets, "sockets of no connection": sockets - page["connections"]}
            wanted |= {"sockets of no connection": 1, "descriptors of no socket": min(descriptors - sockets, OWN_DESCRIPTORS)}
            wrong = {name: page[name] for name, value in wanted.items() if page[name] != value}
            if not wrong:
                break
            if time.monotonic() > end:
                told = ", ".join(f"{name} is {value:.0f}, not {wanted[name]}" for name, value in wrong.items())
                self.ledger.violation("not closed", told)
                break
            await asyncio.sleep(0.2)
        self.descriptors_max = max(self.descriptors_max, descriptors - sockets)
        if self.base and self.base_life == self.field.life:
            self.compare(page)

    def compare(self, page):
        """What the server counted since the last quiet point, in one life, and what its clients did."""
        before, counts, sent, accepted, heard = self.base
        if not before:
            return
        counts = {name: value - counts.get(name, 0) for name, value in self.ledger.counts.items()}
        grown = {name: value - before.get(name, 0) for name, value in page.items()}
        # What the clients cannot know: requests whose answer never came.
        unknown = counts.get("sync requests cut", 0) + counts.get("submissions cut", 0)
        submitted, over = grown["tasks_submitted_total"], house.ended(grown)

        def require(low, value, high, words):
            self.ledger.require(low <= value <= high, "counters",
                                f"{words}: {value:.0f} of the server, {low:.0f} to {high:.0f} of the clients")

        known = self.field.accepted - accepted + counts.get("sync answers 200", 0) + counts.get("sync answers 500", 0)
        require(known, submitted, self.field.sent - sent, "tasks submitted")
        require(counts.get("ended: completed", 0), over["completed"], 1 << 60, "tasks completed")
        reported = grown["tasks_registered_total"]
        require(counts.get("ended: failed", 0), over["failed"],
                counts.get("ended: failed", 0) + counts.get("sync answers 500", 0) + unknown, "tasks failed")
        require(counts.get("ended: cancelled", 0), over["cancelled"], counts.get("ended: cancelled", 0) + unknown, "tasks cancelled")
        require(submitted + reported, sum(over.values()), submitted + reported, "tasks ended of those submitted and registered")
        require(counts.get("assignments", 0), grown["task_wait_seconds_count"], 1 << 60, "assignments")
        require(counts.get("reports confirmed", 0), grown["producer_reports_total"], 1 << 60, "reports")
        # An end is told once more to who comes after it.
        require(self.field.events_heard - heard,
                grown["events_delivered_total"] + grown["events_replayed_total"] + 2 * counts.get("promised", 0), 1 << 60, "events told")
        require(grown["workers"], 0, 0, "workers")
        self.count("quiet points compared with the clients")

    async def check_ledger(self, caller):
        await asyncio.sleep(0.3)
        self.ledger.read(self.crew.journals)
        await self.check_entries(caller)
        self.ledger.check_workers()
        for entry in self.ledger.entries.values():
            said = json.loads(entry.end or b"{}")
            # What failed is kept, unless it was tried again or the disk was full.
            if said.get("status") != "failed" or entry.is_replayed or entry.given_at - 40 < self.field.disk_was_full_at:
                continue
            if self.ledger.clock() - entry.ended_at > self.ledger.result_seconds:
                continue
            status, body = await caller.ask("GET", f"/api/dead-letters/{entry.task_id}", word=self.field.admin)
            if self.ledger.require(status == 200, "a lost letter", f"{entry}: {status} {body[:200]!r}"):
                status, _ = await caller.ask("DELETE", f"/api/dead-letters/{entry.task_id}", word=self.field.admin)
                self.ledger.require(status == 200, "an odd answer", f"a letter's removal: {status}")
                self.count("dead letters looked at")

    async def check_entries(self, caller):
        """Whatever was promised is there and unchanged."""
        for task_id, entry in self.ledger.entries.items():
            if entry.end:
                self.ledger.check_again(entry, *await caller.ask("GET", f"/api/task/{task_id}", word=entry.word))
        for task_id, (word, result, told_at) in self.ledger.reports.items():
            status, body = await caller.ask("GET", f"/api/task/task/{task_id}/status", word=word)
            if status == 404 and self.ledger.is_forgotten(told_at):
                continue
            data = json.loads(body).get("data") or {}
            self.ledger.require(status == 200 and data["status"] == "completed" and data["result"] == result, "a lost report",
                                f"{task_id}: {status} {body[:200]!r}")

    # From beginning to end

    async def run(self):
        await self.start()
        self.proxy = house.Tool("proxy", self.server.port, self.random.randrange(1 << 32))
        self.ports["proxy"] = self.proxy.first
        self.vandal = house.Tool("vandal", self.server.port, self.random.randrange(1 << 32))
        self.crew = house.Crew(self.options.workers, GROUPS, [self.ports["server"], self.ports["proxy"]], self.folder, SECRET, self.random,
                               [lie for lie in self.options.lies if lie in WORKER_LIES])
        self.crew.keep(time.monotonic())
        self.hubs = [Hub(self.field, number, user) for number, user in enumerate(USERS * 2)]
        self.watchers = {user: UserWatcher(self.field, user) for user in USERS}
        self.listeners = [*self.hubs, *self.watchers.values(), Fleet(self.field, 1), Fleet(self.field, 2), PollingFleet(self.field, 3),
                          Noter(self.field, "noter"), Producer(self.field, 1), Producer(self.field, 2), Replayer(self.field, self.replayed)]
        self.vandal.tell("begin")
        self.ageing = asyncio.ensure_future(self.age())
        self.running = [self.ageing, *(asyncio.ensure_future(body) for body in [
            self.sample(), self.load(), self.trouble(), *(listener.run() for listener in self.listeners)])]
        self.running.append(asyncio.ensure_future(self.rounds()))
        done, _ = await asyncio.wait(self.running, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            if not task.cancelled():
                task.result()

    async def rounds(self):
        """Load and quiet in turn, until the time is over."""
        end = time.monotonic() + self.seconds
        while True:
            left = end - time.monotonic()
            try:
                await asyncio.wait_for(self.is_over.wait(), max(min(self.quiet_every, left), 0.1))
            except TimeoutError:
                pass
            is_last = self.is_over.is_set() or time.monotonic() + 3 > end
            if is_last:
                while self.is_restarting:
                    await asyncio.sleep(0.05)
                self.ageing.cancel()
            await self.quiet(is_last)
            if is_last:
                break
        raise Over()

    def close(self):
        for task in self.running:
            task.cancel()
        if self.server.process and self.server.process.poll() is None:
            self.server_seconds += self.server.processor_seconds()
            self.server.process.kill()
            self.server.process.wait()
        for program in ("proxy", "vandal", "crew"):
            if hasattr(self, program):
                getattr(self, program).close()

    def report(self):
        """The table of what happened."""
        elapsed = self.ledger.clock()
        counts = self.ledger.counts
        lines = [("time", f"{elapsed:.0f} s, {self.server.lives} lives of the server"),
                 ("server's processor time", f"{self.server_seconds:.1f} s")]
        lines += [(name, f"{counts[name]:,}") for name in sorted(counts)]
        lines += [("workers that ended", f"{self.crew.died:,}"), ("events heard by watchers", f"{self.field.events_heard:,}")]
        if len(self.ledger.latencies) > 10:
            cuts = statistics.quantiles(self.ledger.latencies, n=100)
            lines.append(("sync answers without work, p50 / p99", f"{cuts[49] * 1000:.1f} / {cuts[98] * 1000:.1f} ms"))
        if resident := self.memory.resident:
            lines.append(("resident, first / middle / last / most", " / ".join(f"{size / MIB:.1f}" for size in (
                resident[0], resident[len(resident) // 2], resident[-1], max(resident))) + " MiB"))
        lines.append(("descriptors of no socket, most", f"{self.descriptors_max}"))
        lines.append(("slowest /metrics", f"{self.metrics_seconds * 1000:.0f} ms"))
        lines.append(("database, most", f"{self.database_max / MIB:.1f} MiB"))
        width = max(len(name) for name, _ in lines)
        print("\n".join(f"  {name:<{width}}  {value}" for name, value in lines))
        told, violations = self.memory.judge()
        print("\n".join(f"  memory of {words}" for words in told))
        for words in violations:
            self.ledger.violation("memory", words)


class Over(Exception):
    """The soak has come to its end."""


async def soak(options, folder):
    running = Soak(options, folder)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.is_over.set)
    problem = None
    try:
        await running.run()
    except Over:
        pass
    except house.Failure as failure:
        problem = str(failure)
    finally:
        running.close()
    running.report()
    violations = running.ledger.violations + ([problem] if problem else [])
    told = sum(running.ledger.kinds.values()) + (problem is not None)
    print("\n".join(["", *violations]))
    print("OK" if not told else f"{told} violations: " + ", ".join(f"{kind} ({n})" for kind, n in running.ledger.kinds.items()))
    return not told


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--server", default=str(Path(__file__).resolve().parents[1] / ".build/release/signalbox"), help="the program")
    parser.add_argument("--minutes", type=float, default=60, help="how long the load lasts")
    parser.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--rate", type=float, default=15, help="clients that come in a second")
    parser.add_argument("--workers", type=int, default=6, help="worker processes")
    parser.add_argument("--faults", type=float, default=0.3, help="faults in a second, besides those of clients and vandals")
    parser.add_argument("--disk", type=float, default=0, help="how often the disk is full, where a cut is 6")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="of all chances")
    parser.add_argument("--lies", choices=LIES, nargs="*", default=[],
                        help="what must be found: " + "; ".join(f"{lie}: {words}" for lie, words in LIES.items()))
    parser.add_argument("--folder", help="where the soak makes its own folder, if not where temporary files are")
    parser.add_argument("--keep", action="store_true", help="keep the folder also where all is well")
    options = parser.parse_args()
    options.server = str(Path(options.server).resolve())
    folder = Path(tempfile.mkdtemp(prefix="signalbox-soak-", dir=options.folder))
    print(f"seed {options.seed}, folder {folder}", flush=True)
    is_well = False
    try:
        is_well = asyncio.run(soak(options, folder))
    finally:
        if is_well and not options.keep:
            shutil.rmtree(folder)
        else:
            print(f"The server's data and logs are in {folder}")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
