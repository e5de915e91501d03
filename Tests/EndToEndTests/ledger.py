"""The ledger: clients, workers and a reporting program that keep a server busy until it is killed, what they were promised, and the check
that the next server on the same folder keeps it. Not a test."""
import http.client
import json
import random
import re
import sqlite3
import threading
from contextlib import closing

import websocket

from servers import BOUND
from workers import Closed, Worker

# What a client sees of a server that was killed.
GONE = (OSError, http.client.HTTPException, websocket.WebSocketException, Closed)


class Home:
    """A data folder on which one server follows the other."""

    def __init__(self, launch, folder):
        self.launch, self.folder = launch, folder
        self.file = folder / "signalbox.db"

    def begin(self, *arguments, **settings):
        return self.launch("--data", str(self.folder), *arguments, **settings)

    def again(self, server, *arguments, **settings):
        """Kills the server and begins anew."""
        kill(server)
        return self.begin(*arguments, **settings)

    def rows(self, query, *values):
        """Asks the database itself, while a server runs or after it."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=BOUND)) as database:
            return database.execute(query, values).fetchall()


def kill(server):
    """Ends it as `kill -9` does."""
    server.process.kill()
    server.process.wait(BOUND)


class Returning(Worker):
    """A worker that comes back under the name that it had."""

    def __init__(self, server, group, name, explicit=True):
        self.kept = []
        path = f"/ws?group={group}&worker_id={name}" + ("&ready=explicit" if explicit else "")
        self.socket = websocket.create_connection(server.url(path, "ws"), timeout=BOUND)
        self.welcome = self.receive("connected")
        self.id = self.welcome["workerId"]


def raw_result(answer):
    """The result of a completed task, byte for byte."""
    return re.fullmatch(rb'\{"taskId":"[^"]*","status":"completed","result":(.*),"completedAt":\d+\}', answer.body, re.DOTALL)[1]


class Caller:
    """Requests over one connection that stays open."""

    def __init__(self, server):
        self.connection = server.connection()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def __call__(self, method, path, **members):
        body = json.dumps(members).encode() if members else None
        self.connection.request(method, path, body=body, headers={"Content-Type": "application/json"} if body else {})
        response = self.connection.getresponse()
        response.body = response.read()
        return response


class Ledger:
    """What was promised. Every entry was told by the server, in so many words, before it stands here."""

    GROUP = "ledger"

    def __init__(self):
        self.lock = threading.Lock()
        # Tasks that were acknowledged: their numbers, by id.
        self.tasks = {}
        # Results of which the worker heard that they are stored.
        self.stored = {}
        # Every result that a worker sent of a task, whatever became of it.
        self.sent = {}
        self.cancelled = set()
        # Tasks of the reporting program: how far their reports were acknowledged.
        self.reported = {}
        # Ends as an earlier check found them.
        self.ends = {}
        self.problems = []

    @property
    def size(self):
        return len(self.tasks), len(self.stored), len(self.reported)

    # The check

    def check(self, server):
        """Everything that was promised is there. Returns how many tasks are in each state."""
        assert self.problems == []
        counts = {}
        with Caller(server) as call:
            for task_id in self.tasks:
                state = self.check_task(task_id, call("GET", f"/api/task/{task_id}"))
                counts[state] = counts.get(state, 0) + 1
            for task_id, stage in self.reported.items():
                self.check_report(task_id, stage, call("GET", f"/api/task/task/{task_id}/status"))
        return counts

    def check_task(self, task_id, answer):
        assert answer.status == 200, f"{task_id} was acknowledged, and now: {answer.status} {answer.body}"
        said = json.loads(answer.body)
        state = said["status"]
        assert state in ("queued", "executing", "completed", "cancelled"), said
        if task_id in self.cancelled:
            assert state == "cancelled", f"{task_id} was cancelled, and now: {said}"
        if state == "completed":
            result = raw_result(answer)
            assert result in self.sent.get(task_id, ()), f"{task_id}: nobody sent {result}"
            assert result == self.stored.get(task_id, result), f"{task_id}: {self.stored[task_id]} was stored, and now: {result}"
        else:
            assert task_id not in self.stored, f"{task_id}: {self.stored[task_id]} was stored, and now: {said}"
        if state in ("completed", "cancelled"):
            assert self.ends.setdefault(task_id, answer.body) == answer.body, "an end that changed"
        return state

    def check_report(self, task_id, stage, answer):
        assert answer.status == 200, f"{task_id} was registered, and now: {answer.status} {answer.body}"
        said = json.loads(answer.body)["data"]
        reached = ["pending", "running", "completed"].index(said["status"])
        assert reached >= min(stage, 2), f"{task_id} had come to {stage}, and now: {said}"
        if stage >= 1:
            assert said["progress"] >= 40, said
        if stage >= 2:
            assert said["result"] == {"of": task_id}, said

    # Those who keep the server busy

    def run(self, body, *arguments):
        """A thread that ends with the server. What else goes wrong in it is a problem of the test."""
        def guarded():
            try:
                body(*arguments)
            except GONE:
                pass
            except Exception as problem:
                self.problems.append(repr(problem))
        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def submit(self, server, random):
        """Submits without a pause, and takes some of it back."""
        with Caller(server) as call:
            while True:
                number = random.randrange(1 << 32)
                answer = call("POST", "/api/openai", **{
                    "data": {"number": number}, "group": self.GROUP, "async": True, "timeout": 600_000,
                    "priority": random.choice(["high", "normal", "low"])})
                assert answer.status == 200, answer.body
                task_id = json.loads(answer.body)["taskId"]
                with self.lock:
                    self.tasks[task_id] = number
                if random.random() < 0.05:
                    answer = call("POST", f"/api/task/{task_id}/cancel")
                    # Otherwise it was done already.
                    assert answer.status in (200, 409), answer.body
                    if answer.status == 200:
                        with self.lock:
                            self.cancelled.add(task_id)

    def report(self, server, name):
        """Registers, reports and completes tasks, one after the other."""
        with Caller(server) as call:
            for number in range(1 << 30):
                task_id = f"{name}-{number}"
                self.acknowledged(task_id, 0, call("POST", "/api/task/register", task_id=task_id, user_id=1))
                self.acknowledged(task_id, 1, call("POST", f"/api/task/task/{task_id}/progress", progress=40))
                if number % 2:
                    self.acknowledged(task_id, 2, call("POST", f"/api/task/task/{task_id}/completed", result={"of": task_id}))

    def acknowledged(self, task_id, stage, answer):
        assert answer.status == 200, answer.body
        with self.lock:
            self.reported[task_id] = stage


class Hand:
    """A worker that outlives servers: it comes back under its name and delivers what it had in hand."""

    ROOM = 12

    def __init__(self, ledger, home, random):
        self.ledger, self.home, self.random, self.name = ledger, home, random, None
        # Tasks in hand and what is in them; those of which the result is on its way, and the result.
        self.held, self.waiting = {}, {}
        self.deliveries = 0
        self.is_ready = threading.Event()

    def work(self, server):
        group = self.ledger.GROUP
        self.waiting = {}
        worker = Returning(server, group, self.name) if self.name else Worker(server, group, explicit=True)
        if worker.id == self.name:
            # What the former server gave it last may never have arrived.
            for (task_id,) in self.home.rows("SELECT id FROM tasks WHERE state = 1 AND worker = ?", self.name):
                self.held.setdefault(task_id, self.ledger.tasks.get(task_id, 0))
        self.name = worker.id
        self.deliver(worker)
        worker.send("ready", concurrency=self.ROOM)
        self.is_ready.set()
        while True:
            message = worker.receive()
            task_id = message.get("taskId")
            match message["type"]:
                case "task":
                    number = message["payload"]["data"]["number"]
                    assert self.ledger.tasks.get(task_id, number) == number, f"another payload: {message}"
                    self.held[task_id] = number
                    # Most are kept for a while.
                    if self.random.random() < 0.2 or len(self.held) - len(self.waiting) >= self.ROOM:
                        self.deliver(worker)
                case "task_ack":
                    del self.held[task_id]
                    with self.ledger.lock:
                        self.ledger.stored[task_id] = self.waiting.pop(task_id)
                case "cancel":
                    # Its room is free again only once the worker speaks of it: here by a result that comes too late.
                    self.deliver(worker)
                case "error":
                    self.held.pop(task_id, None)
                    self.waiting.pop(task_id, None)
                case unknown:
                    raise AssertionError(unknown)

    def deliver(self, worker):
        for task_id, number in self.held.items():
            if task_id in self.waiting:
                continue
            self.deliveries += 1
            # Numbers and escapes that no JSON library would write again as they are.
            result = f'{{"number": {number}.50,  "by":"{worker.id}", "delivery":{self.deliveries}, "text":"\\u00e9\\/é"}}'.encode()
            self.waiting[task_id] = result
            with self.ledger.lock:
                self.ledger.sent.setdefault(task_id, set()).add(result)
            worker.send_text(b'{"type":"task_complete","taskId":"%s","result":%s,"duration":1}' % (task_id.encode(), result))
