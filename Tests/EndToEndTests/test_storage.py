"""What outlives the process: tasks, results, keys, numbers and histories, however the process ends and whatever the disk does."""
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import websocket

from ledger import Hand, Home, Ledger, Returning, kill, raw_result
from servers import BINARY, BOUND, environment, eventually, run
from workers import Worker

UNKNOWN = {"error": "Task not found or expired"}
NOT_STORED = (503, {"error": "Task could not be stored"})


@pytest.fixture
def home(launch, tmp_path):
    return Home(launch, tmp_path / "data")


@contextmanager
def busy(server, home, ledger, hands, seed):
    """Clients, workers and a reporting program at work; at the end the server is killed."""
    threads = [ledger.run(hand.work, server) for hand in hands]
    for hand in hands:
        assert hand.is_ready.wait(BOUND)
        hand.is_ready.clear()
    threads += [ledger.run(ledger.submit, server, random.Random(f"{seed} {client}")) for client in range(4)]
    threads.append(ledger.run(ledger.report, server, f"reported-{seed}"))
    yield
    kill(server)
    for thread in threads:
        thread.join(BOUND)
        assert not thread.is_alive()


def settled(counts):
    return not counts.keys() & {"queued", "executing"}


# Killed again and again


def test_nothing_that_was_promised_is_lost(home):
    """Ten servers, one after the other, each killed while it has its hands full."""
    ledger, dice = Ledger(), random.Random(7)
    hands = [Hand(ledger, home, random.Random(number)) for number in range(3)]
    settings = {"AUTH": "off", "MAX_QUEUE_LENGTH": 100_000}
    for life in range(10):
        server = home.begin(**settings)
        ledger.check(server)
        before, enough = ledger.size, dice.randint(20, 600)
        with busy(server, home, ledger, hands, life):
            eventually(lambda: ledger.problems or all(now - then >= least for now, then, least in zip(
                ledger.size, before, (enough, enough // 4, 5))), "enough promises")
    server = home.begin(**settings)
    ledger.check(server)
    for hand in hands:
        ledger.run(hand.work, server)
    counts = eventually(lambda: settled(counts := ledger.check(server)) and counts, "the end of all tasks")
    print(f"\n{ledger.size} tasks, results and reports were acknowledged; in the end: {counts}")
    # A cancellation may have been written down, and its answer lost with the server.
    assert counts["completed"] > 0 and counts["cancelled"] >= len(ledger.cancelled) > 0
    assert server.stop() == 0
    assert home.rows("PRAGMA integrity_check") == [("ok",)]


def test_a_loss_would_be_noticed(home):
    """The same check, of a server whose data was taken away."""
    ledger = Ledger()
    server = home.begin(AUTH="off")
    with busy(server, home, ledger, [Hand(ledger, home, random.Random(1))], "lost"):
        eventually(lambda: ledger.problems or all(count >= 3 for count in ledger.size), "some promises")
    server = home.begin(AUTH="off")
    ledger.check(server)
    kill(server)
    shutil.rmtree(home.folder)
    with pytest.raises(AssertionError, match="was acknowledged, and now: 404"):
        ledger.check(home.begin(AUTH="off"))


@pytest.mark.parametrize("life", range(5))
def test_a_cancellation_that_was_confirmed_stands(home, life):
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        running, waiting = server.queue("g"), server.queue("g")
        worker.take(running)
        assert server.cancel(waiting).status == server.cancel(running).status == 200
        server = home.again(server)
    assert [server.task(task_id)["status"] for task_id in (waiting, running)] == ["cancelled", "cancelled"]


@pytest.mark.parametrize("life", range(5))
def test_a_result_that_was_answered_under_a_key_stands(home, life):
    """Whoever waits with a key is told the result, and is told the same when he asks again."""
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        pending = server.submit("g", idempotencyKey="key")
        worker.complete(worker.take()["taskId"], {"life": life})
        answer = pending.answer()
        assert answer.status == 200
        server = home.again(server)
    again = server.submit("g", idempotencyKey="key", **{"async": True}).answer()
    assert again.json == {"taskId": answer.json["taskId"], "status": "completed"}
    again = server.submit("g", idempotencyKey="key").answer()
    assert (again.status, again.json) == (200, answer.json)


# Waiting tasks


def test_waiting_tasks_wait_again_in_their_order(home):
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        worker.take(server.queue("g"))
        arrivals = {"l1": "low", "n1": "normal", "h1": "high", "n2": "normal", "h2": "high", "l2": "low"}
        tasks = {name: server.queue("g", {"name": name}, priority=priority) for name, priority in arrivals.items()}
        kill(server)
    names = ["h1", "h2", "n1", "n2", "l1", "l2"]
    expected = [tasks[name] for name in names]
    # Twice: what was taken up again can be taken up again.
    for _ in range(2):
        server = home.begin()
        assert [server.task(task_id)["position"] for task_id in expected] == [1, 2, 3, 4, 5, 6]
        kill(server)
    server = home.begin()
    with Worker(server, "g", explicit=True) as worker:
        worker.send("ready")
        for name, task_id in zip(names, expected):
            assert worker.take(task_id)["payload"]["data"] == {"name": name}
            worker.finish(task_id)


def test_a_payload_survives_byte_for_byte(home):
    server = home.begin()
    data = '{"n":1.50,"big":1e400,  "t":"\\u00e9\\/é","n":2}'
    with Worker(server, "g", explicit=True):
        body = f'{{"data":{data},"group":"g","async":true,"model":"m"}}'.encode()
        assert server.request("POST", "/api/openai", body).status == 200
        server = home.again(server)
    with Worker(server, "g", explicit=True) as worker:
        worker.send("ready")
        text = worker.receive_text()
        assert f'"data":{data}' in text and json.loads(text)["payload"]["model"] == "m"


def test_the_time_of_a_waiting_task_goes_on(home):
    """A task's time is counted from its submission, whether there is a server or not."""
    server = home.begin(MIN_TASK_TIMEOUT_MS=100)
    with Worker(server, "g", explicit=True):
        long, short = server.queue("g", timeout=60_000), server.queue("g", timeout=500)
        ends = server.task(short)["enqueuedAt"] + 500
        kill(server)
    eventually(lambda: time.time() * 1000 > ends, "the end of the task's time")
    server = home.begin(MIN_TASK_TIMEOUT_MS=100)
    assert server.until(short, status="failed")["error"] == "Task timeout"
    assert server.task(long)["status"] == "queued"


def test_nobody_waits_any_more_for_what_a_request_waited_for(home):
    """A synchronous task without a key ends with the process: nobody could ask for its result."""
    server = home.begin()
    with Worker(server, "g", explicit=True) as worker:
        pending = server.submit("g")
        worker.send("ready")
        task_id = worker.take()["taskId"]
        worker.send("task_progress", taskId=task_id, progress=10)
        assert worker.fence() == []
        # Another task's acknowledgement comes behind what was written of this one.
        server.queue("g")
        server = home.again(server)
        pending.leave()
    assert server.task(task_id)["status"] == "cancelled"


# Tasks in a worker's hands


def test_a_worker_comes_back_and_delivers(home):
    server = home.begin()
    with Worker(server, "g", ready={"concurrency": 2}) as worker:
        first, second = server.queue("g"), server.queue("g")
        worker.take(first), worker.take(second)
        name = worker.id
        server = home.again(server)
    for task_id in (first, second):
        assert server.task(task_id).items() >= {"status": "executing", "workerId": name}.items()
    with Returning(server, "g", name) as worker:
        assert worker.id == name
        worker.complete(first, {"by": name})
        worker.acknowledged(first)
        server = home.again(server)
    assert server.task(first)["result"] == {"by": name}
    with Returning(server, "g", name) as worker:
        assert worker.id == name
        worker.send("task_progress", taskId=second, progress=50)
        worker.fail(second, "no more memory")
        worker.acknowledged(second)
    state = server.task(second)
    assert (state["status"], state["error"]) == ("failed", "no more memory")


def test_a_name_is_given_back_only_to_whom_it_belongs(home):
    """A name for which nothing waits, one of another group and one that is in use are no names to come back to."""
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        task_id, name = server.queue("g"), worker.id
        worker.take(task_id)
        server = home.again(server)
    with Returning(server, "other", name) as other, Returning(server, "g", "W7-00000000") as unknown, \
            Returning(server, "g", name) as worker, Returning(server, "g", name) as double:
        assert worker.id == name and len({name, other.id, unknown.id, double.id}) == 4
        double.complete(task_id, {"by": "double"})
        assert double.receive("error")["taskId"] == task_id
        worker.finish(task_id, {"by": "worker"})
    assert server.task(task_id)["result"] == {"by": "worker"}


def test_a_worker_that_does_not_come_back(home):
    """What it had in hand runs again where retries are left, and fails where none are."""
    server = home.begin()
    with Worker(server, "g", ready={"concurrency": 3}) as worker:
        # Behind the two that start at once, a third waits: it stands behind the one that runs again.
        again, failed = server.queue("g", retries=1, timeout=600_000), server.queue("g")
        worker.take(again), worker.take(failed)
        worker.send("drain")
        assert worker.fence() == []
        with Worker(server, "g", explicit=True):
            waiting = server.queue("g", timeout=600_000)
            server = home.again(server, RECOVERY_GRACE_MS=500)
    assert [server.task(task_id)["status"] for task_id in (again, failed, waiting)] == ["executing", "executing", "queued"]
    assert server.until(failed, status="failed")["error"] == "Worker disconnected"
    assert server.until(again, status="queued")["position"] == 1 and server.task(waiting)["position"] == 2
    with Worker(server, "g", explicit=True) as worker:
        worker.send("ready")
        worker.take(again)
        # An acknowledgement comes behind what was written before it.
        server.queue("g")
        # Its one retry is used up, for every server to come.
        server = home.again(server, RECOVERY_GRACE_MS=100)
    assert server.until(again, status="failed")["error"] == "Worker disconnected"
    assert server.task(waiting)["status"] == "queued"


# Keys, results and numbers


def test_keys_survive(home):
    server = home.begin()

    def submit(server, key):
        answer = server.submit("g", idempotencyKey=key, **{"async": True}).answer()
        assert answer.status == 200, answer
        return answer.json

    with Worker(server, "g", ready=True) as worker:
        running, waiting = submit(server, "running")["taskId"], submit(server, "waiting")["taskId"]
        worker.take(running)
        name = worker.id
        server = home.again(server)
    assert submit(server, "running") == {"taskId": running, "status": "executing"}
    assert submit(server, "waiting") == {"taskId": waiting, "status": "queued"}
    with Returning(server, "g", name) as worker:
        worker.finish(running, {"once": 1})
        server = home.again(server)
    assert submit(server, "running")["taskId"] == running
    answer = server.submit("g", idempotencyKey="running").answer()
    assert (answer.status, answer.json) == (200, {"taskId": running, "status": "completed", "result": {"once": 1}})
    with Worker(server, "g", explicit=True) as worker:
        assert submit(server, "another")["taskId"] not in (running, waiting)


def test_keys_belong_to_their_users_afterwards_too(home):
    secret = {"JWT_SECRET": "a secret of these tests, and of nobody else"}
    alice, bob = ({"Authorization": "Bearer " + run("token", "--sub", user, **secret).stdout.strip()} for user in ("alice", "bob"))
    server = home.begin(**secret)

    def submit(headers):
        answer = server.request("POST", "/api/openai", {"data": {}, "group": "g", "async": True, "idempotencyKey": "key"}, headers)
        assert answer.status == 200, answer
        return answer.json["taskId"]

    with Worker(server, "g", explicit=True):
        tasks = [submit(headers) for headers in (alice, bob, {})]
        assert len(set(tasks)) == 3
        server = home.again(server, **secret)
    assert [submit(headers) for headers in (alice, bob, {})] == tasks


def test_results_are_remembered_for_the_rest_of_their_time(home):
    """Counted from the end of the task, not from the start of the server."""
    raw = b'{"big":1e400,"n":1.50,  "t":"\\u00e9\\/"}'
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        worker.send_text(f'{{"type":"task_complete","taskId":"{task_id}","result":{raw.decode()}}}')
        worker.acknowledged(task_id)
        before = server.get(f"/api/task/{task_id}").body
        server = home.again(server)
    after = server.get(f"/api/task/{task_id}")
    assert after.body == before and raw_result(after) == raw
    ended = after.json["completedAt"]
    eventually(lambda: time.time() * 1000 > ended + 1500, "half of the time")
    begun = time.time() * 1000
    server = home.again(server, TASK_RESULT_TTL_MS=3000)
    eventually(lambda: (answer := server.get(f"/api/task/{task_id}")).status == 404 and answer.json == UNKNOWN, "forgetting")
    # The two clocks are read a few milliseconds apart.
    assert ended + 2900 < time.time() * 1000 < begun + 3000
    # What was over before a server began is not there at all.
    server = home.again(server, TASK_RESULT_TTL_MS=1000)
    assert server.get(f"/api/task/{task_id}").status == 404


class Listener:
    """A WebSocket that watches one task, as document G has it."""

    def __init__(self, server, task_id, query=""):
        self.socket = websocket.create_connection(server.url(f"/api/gpu/tasks/{task_id}/ws{query}", "ws"), timeout=BOUND)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(timeout=BOUND)

    def hear(self, kind):
        """The next message, which must be of this type; a heartbeat may come before it."""
        message = json.loads(self.socket.recv())
        if message["type"] == "heartbeat":
            message = json.loads(self.socket.recv())
        assert message["type"] == kind, message
        return message


def test_numbers_of_events_are_never_given_twice(home):
    """Not even when nobody had time to write down what was told last."""
    server = home.begin(AUTH="off")
    told, name = [], None
    worker = Worker(server, "g", ready=True)
    task_id = server.queue("g", timeout=600_000)
    worker.take(task_id)
    for life in range(4):
        with Listener(server, task_id) as listener:
            listener.hear("connection_established")
            told.append(("status", listener.hear("current_status")["seq"]))
            for step in range(5):
                worker.send("task_progress", taskId=task_id, progress=life * 10 + step)
                told.append(("event", listener.hear("task_progress")["seq"]))
            name = worker.id
            server = home.again(server, AUTH="off")
        worker = Returning(server, "g", name)
        assert worker.id == name
    with Listener(server, task_id, f"?last_seq={told[-1][1]}") as listener:
        listener.hear("connection_established")
        listener.hear("current_status")
        worker.finish(task_id, {"done": True})
        end = listener.hear("task_completed")
        told.append(("event", end["seq"]))
    events = [number for kind, number in told if kind == "event"]
    assert events == sorted(set(events)) and len(events) == 21
    # How a task stands is told with the number of its last event, which is never below one that was told.
    numbers = [number for _, number in told]
    assert numbers == sorted(numbers)
    server = home.again(server, AUTH="off")
    with Listener(server, task_id) as listener:
        listener.hear("connection_established")
        assert listener.hear("current_status")["seq"] == end["seq"]
        assert listener.hear("task_completed")["seq"] == end["seq"]
    worker.vanish()


# Reported tasks


class Program:
    """An outside program that reports its tasks over HTTP."""

    def __init__(self, server):
        self.server = server

    def post(self, path, **members):
        answer = self.server.request("POST", f"/api/task/{path}", members)
        assert answer.status == 200 and answer.json["success"], answer
        return answer.json["data"]

    def register(self, task_id, **members):
        return self.post("register", task_id=task_id, user_id=1, **members)

    def say(self, task_id, word, **members):
        return self.post(f"task/{task_id}/{word}", **members)

    def status(self, task_id):
        answer = self.server.get(f"/api/task/task/{task_id}/status")
        assert answer.status == 200, answer
        return answer.json["data"]


def test_reported_tasks_survive(home):
    program = Program(home.begin(AUTH="off"))
    program.register("registered", metadata={"n": 1})
    for task_id in ("running", "done", "failed", "cancelled"):
        program.register(task_id, task_type="training", project_id=7)
        program.say(task_id, "started")
    seq = program.say("running", "progress", progress=42.5, message="halfway", current_step="two", total_steps=9, completed_steps=4)["seq"]
    program.say("done", "completed", result={"files": [1, 2]})
    program.say("failed", "failed", error="no", error_code=7, error_type="Trouble", error_details={"at": 1})
    program.say("cancelled", "cancelled", reason="enough")
    words = {"registered": "pending", "running": "running", "done": "completed", "failed": "failed", "cancelled": "cancelled"}
    before = {task_id: program.status(task_id) for task_id in words}
    program = Program(home.again(program.server, AUTH="off"))
    for task_id, word in words.items():
        after = program.status(task_id)
        assert after["status"] == word
        # A task that goes on has new numbers.
        if word in ("pending", "running"):
            assert after.pop("seq", 1) > before[task_id].pop("seq", 0)
        # A disk keeps whole figures.
        assert int(after.pop("progress")) == int(before[task_id].pop("progress"))
        assert after == before[task_id]
    answer = program.server.request("POST", "/api/task/register", {"task_id": "running", "user_id": 1})
    assert (answer.status, answer.json["error"]) == (409, "Task already registered")
    assert program.say("running", "progress", progress=60)["seq"] > seq
    program.say("running", "completed", result="late, but done")
    program.say("registered", "started")
    program.say("registered", "completed", result=None)
    program = Program(home.again(program.server, AUTH="off"))
    assert program.status("running")["result"] == "late, but done"
    assert program.status("registered")["status"] == "completed"


def test_reports_in_batches_and_over_the_socket_survive(home):
    server = home.begin(AUTH="off")
    events = [{"event": "register", "task_id": f"b{number}", "user_id": 1} for number in range(100)]
    events += [{"event": "progress", "task_id": f"b{number}", "progress": number} for number in range(100)]
    answer = server.request("POST", "/api/task/events", {"events": events})
    assert answer.status == 200 and all(verdict["ok"] for verdict in answer.json["data"]["verdicts"]), answer
    producer = websocket.create_connection(server.url("/api/task/ws/producer", "ws"), timeout=BOUND)
    producer.send(json.dumps([{"event": "register", "task_id": f"s{number}", "user_id": 1} for number in range(100)]))
    producer.send(json.dumps({"event": "completed", "task_id": "s99", "result": 99, "ack": 1}))
    assert json.loads(producer.recv()) == {"type": "ack", "ack": 1, "ok": True}
    program = Program(home.again(server, AUTH="off"))
    producer.shutdown()
    assert [program.status(f"b{number}")["progress"] for number in range(100)] == list(range(100))
    assert {program.status(f"s{number}")["status"] for number in range(99)} == {"pending"}
    assert program.status("s99")["result"] == 99


def test_a_removed_task_stays_removed(home):
    program = Program(home.begin(AUTH="off"))
    program.register("gone")
    program.say("gone", "completed", result=1)
    assert program.server.request("DELETE", "/api/task/task/gone").status == 200
    server = home.again(program.server, AUTH="off")
    assert server.get("/api/task/task/gone/status").status == 404


# Histories


EVENTS = 260


class Progress:
    """A task with more events than memory keeps. What is expected of each: its step and its number."""

    def __init__(self, home):
        self.home, self.server = home, home.begin(AUTH="off")
        self.worker = Worker(self.server, "g", ready=True)
        self.task_id = self.server.queue("g", timeout=600_000)
        self.worker.take(self.task_id)
        self.report(0, EVENTS)

    def report(self, start, end):
        for number in range(start, end):
            self.worker.send("task_progress", taskId=self.task_id, progress=number // 10, message=f"step {number}")
        assert self.worker.fence() == []

    def listen(self, after):
        """What a watcher that saw everything up to `after` is told: of each event its type, its words and its number."""
        with Listener(self.server, self.task_id, f"?last_seq={after}") as listener:
            listener.hear("connection_established")
            last = listener.hear("current_status")["seq"]
            heard = []
            while not heard or heard[-1]["seq"] < last:
                heard.append(json.loads(listener.socket.recv()))
            # Nothing comes twice: what follows is the answer to this.
            listener.socket.send('{"type":"ping"}')
            listener.hear("pong")
        return [(message["type"], message.get("message"), message["seq"]) for message in heard]

    def stream(self, after):
        """The same, of the stream for those who have no WebSocket."""
        connection = self.server.connection()
        connection.request("GET", f"/api/tasks/{self.task_id}/events", headers={"Last-Event-ID": str(after)})
        response = connection.getresponse()
        assert response.status == 200
        last = self.server.get(f"/api/gpu/tasks/{self.task_id}").json["seq"]
        heard, seen = [], after
        while True:
            line = response.readline().decode()
            assert line, f"the stream ended behind event {seen} of {last}"
            if line.startswith("id: "):
                seen = int(line.removeprefix("id: "))
            if line.startswith("data: "):
                message = json.loads(line.removeprefix("data: "))
                heard.append((message["type"], message.get("message"), message["seq"]))
                if seen == last:
                    connection.close()
                    return heard

    def stored(self, query=""):
        answer = self.server.get(f"/api/v1/progress/{self.task_id}/history/db{query}")
        assert answer.status == 200 and answer.json["source"] == "database", answer
        return answer.json["history"]


@pytest.mark.parametrize("way", ["listen", "stream"])
def test_a_watcher_is_told_everything_from_memory_and_database(home, way):
    task = Progress(home)
    told = getattr(task, way)(0)
    steps = [(message, seq) for kind, message, seq in told if kind == "task_progress"]
    assert [message for message, _ in steps] == [f"step {number}" for number in range(EVENTS)]
    assert [seq for _, _, seq in told] == list(range(1, len(told) + 1)), "each event once, in order"
    # From the middle, and what memory alone knows.
    for seen in (7, len(told) - 150, len(told) - 20):
        assert getattr(task, way)(seen) == told[seen:]
    task.worker.finish(task.task_id)


def test_an_ended_task_is_told_whole_after_a_restart(home):
    task = Progress(home)
    task.worker.finish(task.task_id, {"ok": True})
    before = task.listen(0)
    task.server = home.again(task.server, AUTH="off")
    assert task.listen(0) == before and before[-1][0] == "task_completed"
    assert task.listen(100) == before[100:]


def test_who_comes_back_to_a_living_task_after_a_restart_is_told_how_it_stands(home):
    """The numbers begin anew behind a gap: nobody knows whether something was told that was never written down."""
    task = Progress(home)
    name = task.worker.id
    task.server = home.again(task.server, AUTH="off")
    with Listener(task.server, task.task_id, "?last_seq=100") as listener:
        listener.hear("connection_established")
        standing = listener.hear("current_status")
        assert standing["status"] == "running" and standing["seq"] > EVENTS
        task.worker = Returning(task.server, "g", name)
        task.report(EVENTS, EVENTS + 1)
        assert listener.hear("task_progress")["message"] == f"step {EVENTS}"
        task.worker.finish(task.task_id)


def test_the_stored_history_survives(home):
    task = Progress(home)
    before = task.stored("?limit=1000")
    assert [entry["message"] for entry in before if entry["message"]] == [f"step {number}" for number in range(EVENTS)]
    assert [entry["message"] for entry in task.stored("?limit=2")] == [f"step {EVENTS - 2}", f"step {EVENTS - 1}"]
    assert len(task.stored()) == 100
    # An acknowledged result comes behind everything that was said before it.
    task.worker.finish(task.task_id)
    task.server = home.again(task.server, AUTH="off")
    after = task.stored("?limit=1000")
    assert after[:-1] == before and (after[-1]["status"], after[-1]["progress"]) == ("completed", 100)
    # Cleared, it stays cleared; the task stays.
    assert task.server.request("DELETE", f"/api/v1/progress/{task.task_id}/history").status == 200
    assert task.stored() == []
    assert task.server.stop() == 0
    task.server = home.begin(AUTH="off")
    assert task.stored() == [] and task.server.task(task.task_id)["status"] == "completed"


def test_without_a_folder_the_history_is_there_as_long_as_the_process(launch):
    server = launch("--data", ":memory:", AUTH="off")
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        for number in range(150):
            worker.send("task_progress", taskId=task_id, message=str(number))
        worker.finish(task_id, {"n": 1})
    history = server.get(f"/api/v1/progress/{task_id}/history/db?limit=1000").json["history"]
    assert [entry["message"] for entry in history if entry["message"]] == [str(number) for number in range(150)]
    assert os.listdir(server.folder.name) == []


# The folder


def test_what_is_kept_is_for_its_owner_alone(home):
    before = os.umask(0)
    try:
        server = home.begin()
    finally:
        os.umask(before)
    with Worker(server, "g", explicit=True):
        server.queue("g")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.folder.iterdir()}
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
    assert {"signalbox.db", "signalbox.db-wal", "jwt-secret"} <= modes.keys() and set(modes.values()) == {0o600}, modes


def refused(folder, user=None):
    """The one line of a server that cannot keep its data there."""
    ended = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0", "--data", str(folder)], env=environment(), cwd="/", user=user,
                           capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=BOUND)
    assert ended.returncode == 1 and ended.stdout == "", ended
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_a_folder_belongs_to_one_server(home):
    server = home.begin()
    line = refused(home.folder)
    assert "in use" in line and str(server.process.pid) in line and str(home.folder) in line
    # The one that has it is not disturbed.
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        worker.finish(task_id)
    # The kernel lets go of it, however the process ended.
    server = home.again(server)
    assert server.task(task_id)["status"] == "completed"


@pytest.fixture
def database(home):
    """The file of a server that has ended."""
    server = home.begin()
    with Worker(server, "g", explicit=True):
        for _ in range(50):
            server.queue("g", {"text": "x" * 1000})
    assert server.stop() == 0
    assert sorted(path.name for path in home.folder.iterdir() if path.name.startswith("signalbox.db")) == ["signalbox.db"]
    return home.file


def overwritten(path):
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(1, size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)


@pytest.mark.parametrize("damage", [
    lambda path: path.write_bytes(b"this is no database, though it is long enough for one\n" * 1000), overwritten,
    lambda path: os.truncate(path, 5000)], ids=["nonsense", "overwritten", "cut off"])
def test_a_damaged_file_is_refused_and_left_alone(home, database, damage):
    damage(database)
    before = database.read_bytes()
    assert "damaged" in refused(home.folder)
    assert database.read_bytes() == before


def test_a_file_of_another_program_is_refused_and_left_alone(home, database):
    database.unlink()
    with closing(sqlite3.connect(database)) as foreign:
        foreign.executescript("CREATE TABLE songs (name TEXT); INSERT INTO songs VALUES ('Yesterday');")
    before = database.read_bytes()
    assert "another program" in refused(home.folder)
    assert database.read_bytes() == before


def test_a_file_of_a_later_version_is_refused_and_left_alone(home, database):
    with closing(sqlite3.connect(database)) as later:
        later.execute("PRAGMA user_version = 99")
    before = database.read_bytes()
    line = refused(home.folder)
    assert "99" in line and "newer program" in line
    assert database.read_bytes() == before


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    assert str(path) in refused(path)
    assert path.read_text() == "precious"
    assert str(tmp_path / "not") in refused(tmp_path / "not/there")


def test_a_folder_that_cannot_be_written_is_refused():
    # Nothing is forbidden to root: then the server is somebody else.
    user = 65534 if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        folder.mkdir()
        os.chmod(parent, 0o755)
        if user:
            os.chown(folder, user, -1)
        os.chmod(folder, 0o500)
        line = refused(folder, user)
        assert str(folder) in line and "Permission denied" in line
        assert list(folder.iterdir()) == []


# The disk


def allow(server, size):
    """How large the server's files may become; None for as large as they like."""
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def fill(server, home):
    """No file of the server can grow any more."""
    allow(server, max(path.stat().st_size for path in home.folder.iterdir()))


def test_a_full_disk_refuses_tasks_and_goes_on(home):
    server = home.begin(AUTH="off")
    program = Program(server)
    program.register("reported")
    with Worker(server, "g", ready={"concurrency": 2}) as worker, Worker(server, "full", explicit=True):
        promised = server.queue("g", timeout=600_000)
        waiting = server.queue("full", timeout=600_000)
        worker.take(promised)
        fill(server, home)
        for key in ("key", None):
            answer = server.submit("full", {"text": "x" * 5000}, idempotencyKey=key, **{"async": True}).answer()
            assert (answer.status, answer.json) == NOT_STORED
        answer = server.request("POST", "/api/gpu/tasks", {"data": {"text": "x" * 5000}, "group": "full"})
        assert answer.status == 503 and answer.json["error"] == "Task could not be stored", answer
        answer = server.request("POST", "/api/task/register", {"task_id": "late", "user_id": 1, "metadata": {"text": "x" * 5000}})
        assert (answer.status, answer.json) == (503, {"success": False, "error": "Task could not be stored"})
        assert server.get("/api/task/task/late/status").json["success"] is False or \
            server.get("/api/task/task/late/status").json["data"]["status"] == "cancelled"
        # Only the one that was promised waits.
        assert server.task(waiting)["position"] == 1
        # A caller who waits is served, and watchers hear what happens.
        with Listener(server, promised) as listener:
            listener.hear("connection_established")
            listener.hear("current_status")
            pending = server.submit("g", {"sync": True})
            sync = worker.take()["taskId"]
            worker.send("task_progress", taskId=promised, progress=50, message="y" * 4000)
            assert listener.hear("task_progress")["message"] == "y" * 4000
            worker.complete(sync, {"sync": True})
            assert pending.answer().json["result"] == {"sync": True}
            # The result of a promised task is known at once, and confirmed when it is safe.
            worker.complete(promised, {"promised": "z" * 5000})
            assert listener.hear("task_completed")["success"] is True
        # Of the sync task nothing is written, so nothing of it is waited for.
        assert {"type": "task_ack", "taskId": promised} not in worker.fence()
        assert server.get("/healthz").status == 200
        assert server.log.first(lambda line: "not stored" in line)
        allow(server, None)
        worker.acknowledged(promised)
        eventually(lambda: server.submit("full", idempotencyKey="key", **{"async": True}).answer().status == 200, "room on the disk")
        program.register("later")
        assert server.task(promised)["result"] == {"promised": "z" * 5000}
        server = home.again(server, AUTH="off")
    assert server.task(promised)["result"] == {"promised": "z" * 5000}
    assert server.task(waiting)["position"] == 1
    program = Program(server)
    assert program.status("reported")["status"] == program.status("later")["status"] == "pending"


def test_a_result_is_confirmed_when_the_disk_has_room_again(home):
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        fill(server, home)
        worker.complete(task_id, {"text": "x" * 5000})
        server.log.first(lambda line: "not stored" in line)
        # Neither confirmed nor forgotten.
        assert worker.fence() == [] and server.task(task_id)["status"] == "completed"
        allow(server, None)
        worker.acknowledged(task_id)
        server = home.again(server)
    assert server.task(task_id)["result"] == {"text": "x" * 5000}


def test_a_late_end_does_not_end_another_task_of_the_name(home):
    """What could not be written in time is written later: by then the name may be a new task's."""
    server = home.begin(AUTH="off")
    program = Program(server)
    program.register("t")
    fill(server, home)
    late = server.begin("POST", "/api/task/task/t/completed", {"result": "x" * 5000})
    server.log.first(lambda line: "not stored" in line)
    allow(server, None)
    program.register("t")
    assert late.answer().status == 200
    assert program.status("t")["status"] == "pending"
    server = home.again(server, AUTH="off")
    assert Program(server).status("t")["status"] == "pending"


# The tables


def columns(home, table):
    return [(name, kind.upper()) for _, name, kind, *_ in home.rows(f"PRAGMA table_info({table})")]


def test_the_tables_of_the_document(home):
    server = home.begin(AUTH="off")
    client = websocket.create_connection(server.url("/api/v1/ws?user_id=7&project_id=p", "ws"), timeout=BOUND,
                                         header={"User-Agent": "a test"})
    client_id = json.loads(client.recv())["payload"]["client_id"]
    program = Program(server)
    program.register("t", project_id="p")
    program.say("t", "progress", progress=45, current_step="训练 45/100 轮", total_steps=100, completed_steps=45, message="训练中",
                step_info={"loss": 0.50})
    client.send('{"type":"ping"}')
    client.recv()
    client.close(timeout=BOUND)
    assert server.stop() == 0
    document = ["id", "task_id", "progress", "current_step", "total_steps", "completed_steps", "message", "status", "metadata",
                "created_at"]
    assert [name for name, _ in columns(home, "progress_histories")][:10] == document
    row = home.rows(f"SELECT {', '.join(document[1:-1])} FROM progress_histories WHERE progress = 45")
    assert row == [("t", 45, "训练 45/100 轮", 100, 45, "训练中", "running", '{"loss": 0.5}')], "as it came"
    document = ["id", "client_id", "user_id", "project_id", "connected_at", "disconnected_at", "last_active_at", "message_count",
                "ip_address", "user_agent", "created_at", "updated_at"]
    assert [name for name, _ in columns(home, "web_socket_sessions")] == document
    (row,) = home.rows("SELECT * FROM web_socket_sessions")
    session = dict(zip(document, row))
    assert session["client_id"] == client_id and session["user_agent"] == "a test" and session["ip_address"].startswith("127.0.0.1")
    assert session["connected_at"] <= session["last_active_at"] <= session["disconnected_at"] <= time.time() * 1000
    assert session["message_count"] == 1


def test_a_session_that_the_process_left_open_is_closed_by_the_next(home):
    server = home.begin(AUTH="off")
    client = websocket.create_connection(server.url("/api/v1/ws", "ws"), timeout=BOUND)
    client.recv()
    count = "SELECT count(*), count(disconnected_at) FROM web_socket_sessions"
    eventually(lambda: home.rows(count) == [(1, 0)], "the session's row")
    server = home.again(server, AUTH="off")
    client.shutdown()
    assert home.rows(count) == [(1, 1)]


def test_old_history_is_removed(home):
    def rows():
        return {table: home.rows(f"SELECT count(*) FROM {table}")[0][0] for table in
                ("tasks", "ended_tasks", "task_events", "task_logs", "task_payloads", "progress_histories", "web_socket_sessions")}
    server = home.begin(AUTH="off")
    client = websocket.create_connection(server.url("/api/v1/ws", "ws"), timeout=BOUND)
    client.recv()
    client.close(timeout=BOUND)
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        worker.send("task_progress", taskId=task_id, progress=1)
        worker.send("task_logs", taskId=task_id, logs="line")
        worker.finish(task_id)
    with Worker(server, "other", explicit=True):
        # Too large to stand in the task's own row.
        waiting = server.queue("other", {"words": "x" * 600}, timeout=600_000)
    assert server.stop() == 0
    assert all(rows().values()) and rows()["tasks"] == 2
    server = home.begin(AUTH="off", HISTORY_TTL_MS=1)
    eventually(lambda: rows() == {table: int(table in ("tasks", "task_payloads")) for table in rows()}, "the sweep")
    assert server.task(waiting)["status"] == "queued"


# The orderly end


@pytest.mark.parametrize("durability", ["power-loss", "process-end"])
def test_an_orderly_end_keeps_everything_that_was_said(home, durability):
    server = home.begin("--durability", durability, AUTH="off", DRAIN_TIMEOUT_MS=200)
    with Worker(server, "g", ready={"concurrency": 8}) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        pending = [server.submit("g", {"n": number}, **{"async": True}) for number in range(100)]
        for number in range(1000):
            worker.send("task_progress", taskId=task_id, message=str(number))
        # Heard, but not waited for until it is written.
        eventually(lambda: server.get(f"/api/gpu/tasks/{task_id}").json.get("message") == "999", "the last report")
        server.process.send_signal(signal.SIGTERM)
        answers = [request.answer() for request in pending]
        assert {answer.status for answer in answers} <= {200, 503}, answers
        assert server.wait() == 0
    assert [path.name for path in home.folder.iterdir() if path.name.startswith("signalbox.db")] == ["signalbox.db"]
    assert home.rows("PRAGMA integrity_check") == [("ok",)]
    assert home.rows("SELECT count(*) FROM progress_histories WHERE status = 'running' AND message <> ''") == [(1000,)]
    server = home.begin(AUTH="off")
    promised = [answer.json["taskId"] for answer in answers if answer.status == 200]
    assert len(promised) > 0 and all(server.task(task)["status"] in ("queued", "executing", "failed") for task in promised)


def test_an_orderly_end_leaves_tasks_to_the_worker_that_has_them(home):
    """An operator who restarts the server in order does not lose what `kill -9` would keep."""
    server = home.begin(DRAIN_TIMEOUT_MS=200)
    with Worker(server, "g", ready={"concurrency": 2}) as worker:
        first, second = server.queue("g"), server.queue("g", retries=1)
        worker.take(first), worker.take(second)
        name = worker.id
        assert server.stop() == 0
    server = home.begin()
    for task_id in (first, second):
        assert server.task(task_id).items() >= {"status": "executing", "workerId": name}.items()
    with Returning(server, "g", name) as worker:
        worker.finish(first, {"after": "the restart"})
    assert server.task(first)["result"] == {"after": "the restart"}
