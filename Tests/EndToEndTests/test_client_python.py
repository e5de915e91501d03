"""The Python package's worker, watcher and client against real servers: what handlers give and raise, who is told of it, and that breaks,
restarts and kills lose nothing and repeat nothing."""
import asyncio
import json
import re
import signal
import subprocess
import sys
import threading

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.server import serve

from conftest import shared
from crews import BRISK, Listening, Working
from documents import python
from places import Place
from producers import PACKAGE
from proxies import Proxy
from servers import BOUND, ROOT, eventually, run

from signalbox import (
    Client, Refused, RequestError, TaskCancelled, TaskError, TaskFailed, TaskNotificationService, TaskWasCancelled, WatchError, Watcher,
    Worker,
)

# A server that asks nobody for a token.
open_server = shared("--auth", "off")


@pytest.fixture
def url(open_server):
    return open_server.url("")


@pytest.fixture
def place(tmp_path):
    with Place(tmp_path / "data") as place:
        yield place


def worker(url, group, handler, **settings):
    return Worker(url, group, handler, reconnect_delay=BRISK, **settings)


class Gate:
    """A handler that counts who came in and lets nobody out before it is opened."""

    def __init__(self):
        self.entered, self.opened = [], threading.Event()

    async def pass_through(self, task):
        self.entered.append(task.id)
        while not self.opened.is_set():
            await asyncio.sleep(0.005)
        return {"task": task.id}

    def stand(self, task):
        self.entered.append(task.id)
        assert self.opened.wait(BOUND)
        return {"task": task.id}

    def until_entered(self, *task_ids):
        eventually(lambda: set(task_ids) <= set(self.entered), "the handler's call")


# MARK: the worker

async def later(task):
    await asyncio.sleep(0)
    return {"echo": task.data, "model": task.model}


def at_once(task):
    return {"echo": task.data, "model": task.model}


@pytest.mark.parametrize("handler", [later, at_once])
def test_what_a_handler_returns_is_the_result(url, group, handler):
    with Working(worker(url, group, handler)):
        result = Client(url).run({"a": [1, "ä"]}, group=group, model="m1")
    assert result == {"echo": {"a": [1, "ä"]}, "model": "m1"}


@pytest.mark.parametrize("kind", ["coroutine", "function"])
def test_what_a_handler_raises_is_the_failure(url, group, kind):
    mine = Worker(url, group)
    details = {"requested": "16GB"}

    def trouble(task):
        raise KeyError("no model") if task.data["kind"] == "plain" else TaskError("out of memory", code="CUDA_OOM", details=details)

    if kind == "coroutine":
        @mine.handle
        async def handle(task):
            trouble(task)
    else:
        mine.handle(trouble)
    with Working(mine):
        with pytest.raises(TaskFailed) as failed:
            Client(url).run({"kind": "plain"}, group=group)
        assert failed.value.error == "'no model'" and failed.value.status == 500
        task_id = Client(url).submit({"kind": "told"}, group=group)
        with Listening(Watcher(url).task(task_id)) as listening:
            error = listening.until(lambda event: event.kind == "task_error")
            listening.join()
        assert (error.error, error.data["error_code"], error.data["error_details"]) == ("out of memory", "CUDA_OOM", details)
        # The worker goes on.
        assert Client(url).get(task_id).status == "failed"
        with pytest.raises(TaskFailed):
            Client(url).run({"kind": "plain"}, group=group)


def test_reports_on_the_way_reach_who_watches(url, group):
    gate = threading.Event()

    def handle(task):
        assert gate.wait(BOUND)
        task.progress(50, "half of it", step="painting", step_info={"batch": 1})
        task.log("two\nlines", level="WARNING", source="model")
        task.cost_info = {"total_cost": 0.5, "currency": "EUR"}
        return "done"

    with Working(worker(url, group, handle)):
        task_id = Client(url).submit({}, group=group)
        with Listening(Watcher(url).task(task_id)) as listening:
            listening.until(lambda event: event.kind == "current_status")
            gate.set()
            listening.join()
    told = {event.kind: event for event in listening.seen}
    assert (told["task_progress"].progress, told["task_progress"].message) == (60, "half of it")
    assert told["task_progress"].data["step_info"] == {"step": "painting", "batch": 1, "worker_progress": 50}
    assert [told["task_logs"].data[name] for name in ("logs", "level", "source")] == ["two\nlines", "WARNING", "model"]
    end = told["task_completed"]
    assert (end.status, end.result, end.data["cost_info"]) == ("completed", "done", {"total_cost": 0.5, "currency": "EUR"})


def test_a_cancelled_coroutine_is_cancelled_and_the_worker_goes_on(url, group):
    heard = []

    async def handle(task):
        if task.data.get("quick"):
            return "quick"
        heard.append(task.id)
        try:
            await asyncio.sleep(BOUND)
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    with Working(worker(url, group, handle)):
        task_id = Client(url).submit({}, group=group)
        eventually(lambda: heard == [task_id])
        assert Client(url).cancel(task_id).status == "cancelled"
        eventually(lambda: heard == [task_id, "cancelled"])
        # Its room is free again at once: the worker has said that it has let go.
        assert Client(url).run({"quick": True}, group=group) == "quick"


def test_a_cancelled_function_is_told_so_and_the_worker_goes_on(url, group):
    heard = []

    def handle(task):
        if task.data.get("quick"):
            return "quick"
        heard.append(task.id)
        assert not task.is_cancelled
        try:
            task.sleep(BOUND)
        except TaskCancelled:
            heard.append(task.is_cancelled)
            task.raise_if_cancelled()

    with Working(worker(url, group, handle)):
        task_id = Client(url).submit({}, group=group)
        eventually(lambda: heard == [task_id])
        Client(url).cancel(task_id)
        eventually(lambda: heard == [task_id, True])
        assert Client(url).run({"quick": True}, group=group) == "quick"


@pytest.mark.parametrize("way", ["pass_through", "stand"])
def test_concurrency_is_how_many_tasks_it_takes(url, group, way):
    gate = Gate()
    with Working(worker(url, group, getattr(gate, way), concurrency=3)):
        tasks = [Client(url).submit({}, group=group) for _ in range(4)]
        gate.until_entered(*tasks[:3])
        assert Client(url).get(tasks[3]).status == "queued" and tasks[3] not in gate.entered
        gate.opened.set()
        for task_id in tasks:
            assert Client(url).wait(task_id, BOUND).result == {"task": task_id}


def test_what_a_worker_says_of_itself(open_server, url, group):
    mine = worker(url, group, at_once, concurrency=2, models=["m1", "m2"], cost_per_hour=3600, currency="EUR")
    with Working(mine):
        mine.report_status(gpus=[{"id": 0, "name": "H200", "usage_percent": 12.5}])
        known = eventually(lambda: next((one for one in open_server.get("/api/fleet").json["workers"]
                                         if one["worker_id"] == mine.id and one["gpus"]), None))
        assert (known["group"], known["models"], known["concurrency"], known["gpus"][0]["name"]) == (group, ["m1", "m2"], 2, "H200")
        task_id = Client(url).submit({}, group=group, model="m1")
        with Listening(Watcher(url).task(task_id)) as listening:
            listening.join()
        assert listening.seen[-1].data["cost_info"]["currency"] == "EUR"


def test_a_worker_that_nobody_wants_says_so(launch):
    server = launch("--auth", "all")
    with pytest.raises(Refused, match="401"):
        asyncio.run(Worker(server.url(""), "g", at_once).serve())
    with pytest.raises(TypeError, match="handler"):
        asyncio.run(Worker(server.url(""), "g").serve())


def test_a_token_may_come_anew(launch):
    secret = "a secret of these tests, and of nobody else"
    server = launch("--auth", "all", JWT_SECRET=secret)
    good = run("token", "--sub", "rack", "--role", "worker", JWT_SECRET=secret).stdout.strip()
    user = run("token", "--sub", "ann", JWT_SECRET=secret).stdout.strip()
    tokens = ["x.y.z", good]
    with Working(worker(server.url(""), "g", at_once, token=lambda: tokens.pop(0) if len(tokens) > 1 else tokens[0])):
        assert Client(server.url(""), user).run({"a": 1}, group="g")["echo"] == {"a": 1}
    assert tokens == [good]


def test_a_result_that_is_too_long_fails_and_the_worker_goes_on(launch, group):
    server = launch("--max-message-bytes", "65536", AUTH="off")
    with Working(worker(server.url(""), group, lambda task: "x" * task.data["size"])):
        client = Client(server.url(""))
        # The greeting says how long it may be: it costs no connection, and so no try.
        state = client.wait(client.submit({"size": 100_000}, group=group), BOUND)
        assert state.status == "failed" and re.fullmatch(r"The result is too long: 100\d\d\d bytes", state.error), state
        with pytest.raises(TaskFailed, match="too long"):
            client.run({"size": 100_000}, group=group)
        assert client.run({"size": 10}, group=group) == "x" * 10


# MARK: results are the worker's until they are acknowledged

class Stub:
    """A server of workers that does what a test tells it. `visits`: one function for each connection; `says`: what its greeting has
    besides; `urls` where they went."""

    def __init__(self, *visits, says=()):
        self.visits, self.urls, self.problem, self.is_done = list(visits), [], None, threading.Event()

        def visit(socket):
            self.urls.append(socket.request.path)
            said = says[len(self.urls) - 1] if len(self.urls) <= len(says) else {}
            socket.send(json.dumps({"type": "connected", "workerId": "W1-00000001"} | said))
            try:
                self.visits.pop(0)(socket)
                if not self.visits:
                    self.is_done.set()
                    dismiss(socket)
            except BaseException as error:
                self.problem = self.problem or error
                self.is_done.set()
                raise

        self.server = serve(visit, "127.0.0.1", 0)
        self.url = "http://127.0.0.1:%d" % self.server.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join(BOUND)
        if self.problem is not None:
            raise self.problem


def hear(socket, kind):
    message = json.loads(socket.recv(timeout=BOUND))
    assert message["type"] == kind, message
    return message


def say(socket, **message):
    socket.send(json.dumps(message))


def dismiss(socket):
    """Lets the worker go, and sees it leave as it should."""
    hear(socket, "drain")
    say(socket, type="drain")
    with pytest.raises(ConnectionClosedOK):
        socket.recv(timeout=BOUND)


def test_a_result_is_sent_again_until_it_is_acknowledged(group):
    calls = []

    def first(socket):
        assert "tasks" not in hear(socket, "ready")
        say(socket, type="task", taskId="t", lease=7, payload={"data": {"n": 1}})
        assert hear(socket, "task_complete")["lease"] == 7
        # It ends without a word of thanks.

    def second(socket):
        assert hear(socket, "ready")["tasks"] == ["t"]
        # First the server may say which of them nobody wants.
        hear(socket, "ping")
        say(socket, type="pong")
        again = hear(socket, "task_complete")
        assert (again["taskId"], again["lease"], again["result"]) == ("t", 7, {"n": 1})
        say(socket, type="task_ack", taskId="t")

    def handle(task):
        calls.append(task.id)
        return task.data

    with Stub(first, second) as stub:
        mine = worker(stub.url, group, handle)
        with Working(mine):
            assert stub.is_done.wait(BOUND)
    assert calls == ["t"]
    assert [re.sub("&ready=explicit", "", url) for url in stub.urls] == [f"/ws?group={group}", f"/ws?group={group}&worker_id=W1-00000001"]


def test_a_server_that_takes_less_is_believed_before_it_hangs_up(group):
    def first(socket):
        hear(socket, "ready")
        say(socket, type="task", taskId="t", payload={"data": {"size": 5_000}})
        hear(socket, "task_complete")
        # It ends without a word of thanks, and the next one takes less.

    def second(socket):
        assert hear(socket, "ready")["tasks"] == ["t"]
        hear(socket, "ping")
        say(socket, type="pong")
        assert hear(socket, "task_error")["error_type"] == "ResultTooLong"
        say(socket, type="task_ack", taskId="t")
        say(socket, type="task", taskId="u", payload={"data": {"size": 10}})
        # The piece was too long, and is not sent.
        assert hear(socket, "task_complete")["taskId"] == "u"
        say(socket, type="task_ack", taskId="u")

    async def handle(task):
        if task.id == "u":
            task.chunk("x" * 5_000)
        return "x" * task.data["size"]

    with Stub(first, second, says=[{}, {"maxMessageBytes": 1_000}]) as stub:
        with Working(worker(stub.url, group, handle)):
            assert stub.is_done.wait(BOUND)


def test_chunks_go_out_in_their_order_before_the_result(group):
    async def handle(task):
        for word in ("Hel", "lo"):
            task.chunk({"delta": word})
        return "Hello"

    def only(socket):
        hear(socket, "ready")
        say(socket, type="task", taskId="t", lease=3, payload={})
        assert [hear(socket, "task_chunk") for _ in range(2)] == [
            {"type": "task_chunk", "taskId": "t", "lease": 3, "chunk": {"delta": word}} for word in ("Hel", "lo")]
        hear(socket, "task_complete")
        say(socket, type="task_ack", taskId="t")

    with Stub(only) as stub, Working(worker(stub.url, group, handle)):
        assert stub.is_done.wait(BOUND)


@pytest.mark.parametrize("words", [
    {"type": "error", "error": "Task was assigned anew: this lease is over", "taskId": "t"}, {"type": "cancel", "taskId": "t"}])
def test_a_result_that_nobody_wants_is_let_go(group, words):
    def only(socket):
        hear(socket, "ready")
        say(socket, type="task", taskId="t", lease=7, payload={})
        hear(socket, "task_complete")
        say(socket, **words)

    with Stub(only) as stub, Working(worker(stub.url, group, at_once)):
        assert stub.is_done.wait(BOUND)


def test_what_nobody_wants_after_a_break_is_let_go_before_anything_is_said_of_it(group):
    leases = []

    def first(socket):
        hear(socket, "ready")
        say(socket, type="task", taskId="t", lease=1, payload={})
        assert hear(socket, "task_complete")["lease"] == 1

    def second(socket):
        assert hear(socket, "ready")["tasks"] == ["t"]
        hear(socket, "ping")
        say(socket, type="cancel", taskId="t")
        say(socket, type="task", taskId="t", lease=3, payload={})
        say(socket, type="pong")
        assert hear(socket, "task_complete")["lease"] == 3
        say(socket, type="task_ack", taskId="t")

    with Stub(first, second) as stub, Working(worker(stub.url, group, lambda task: leases.append(task.lease))):
        assert stub.is_done.wait(BOUND)
    assert leases == [1, 3]


def test_a_task_that_is_assigned_anew_takes_the_place_of_the_former(group):
    leases = []

    async def handle(task):
        leases.append(task.lease)
        if task.lease == 1:
            try:
                await asyncio.sleep(BOUND)
            finally:
                leases.append("cancelled")
        return task.lease

    def only(socket):
        hear(socket, "ready")
        say(socket, type="task", taskId="t", lease=1, payload={})
        eventually(lambda: leases == [1])
        say(socket, type="task", taskId="t", lease=2, payload={})
        done = hear(socket, "task_complete")
        assert (done["lease"], done["result"]) == (2, 2)
        say(socket, type="task_ack", taskId="t")

    with Stub(only) as stub, Working(worker(stub.url, group, handle)):
        assert stub.is_done.wait(BOUND)
    assert leases == [1, "cancelled", 2]


@pytest.mark.parametrize("ends_meanwhile", [True, False])
def test_a_server_that_is_killed_gets_every_result_and_no_task_runs_twice(place, ends_meanwhile):
    gate, count = Gate(), 5
    client = Client(place.url)
    with Working(worker(place.url, "g", gate.pass_through, concurrency=count)) as mine:
        name = mine.id
        tasks = [client.submit({"n": number}, group="g") for number in range(count)]
        gate.until_entered(*tasks)
        place.kill()
        if ends_meanwhile:
            gate.opened.set()
        place.open()
        gate.opened.set()
        for task_id in tasks:
            state = client.wait(task_id, BOUND)
            assert (state.status, state.result) == ("completed", {"task": task_id}), state
        assert sorted(gate.entered) == sorted(tasks)
        assert mine.id == name


# MARK: leaving

def test_drain_finishes_what_is_in_hand_and_takes_nothing_new(open_server, url, group):
    gate = Gate()
    with Working(worker(url, group, gate.pass_through, concurrency=2)) as mine:
        in_hand = Client(url).submit({}, group=group)
        gate.until_entered(in_hand)
        mine.drain()
        eventually(lambda: any(one["worker_id"] == mine.id and one["draining"] for one in open_server.get("/api/fleet").json["workers"]))
        assert _is_refused(lambda: Client(url).submit({}, group=group))
        gate.opened.set()
        assert Client(url).wait(in_hand, BOUND).result == {"task": in_hand}
    assert gate.entered == [in_hand]


def _is_refused(act):
    with pytest.raises(RequestError) as refused:
        act()
    return refused.value.status == 503


EXAMPLE = ROOT / "Sources/Clients/examples/worker_example.py"


@pytest.fixture
def with_package(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")


def test_sigterm_lets_a_worker_finish(open_server, url, group, with_package):
    client = Client(url)
    with python(EXAMPLE, url, group) as program:
        program.says("connected as W")
        assert client.run({"content": "hello world"}, group=group) == {"success": True, "data": "HELLO WORLD"}
        with pytest.raises(TaskFailed, match="data.content is missing"):
            client.run({}, group=group)
        task_id = client.submit({"content": "one two", "pause": 0.3}, group=group)
        program.says(f"working on {task_id}")
        program.process.send_signal(signal.SIGTERM)
        assert client.wait(task_id, BOUND).result == {"success": True, "data": "ONE TWO"}
        code, output = program.end()
        assert code == 0 and output.endswith("good-bye") and "Traceback" not in output, output


def test_a_second_signal_ends_it_at_once(url, group, with_package):
    client = Client(url)
    with python(EXAMPLE, url, group) as program:
        program.says("connected as W")
        task_id = client.submit({"content": "one two", "pause": 3600}, group=group)
        program.says(f"working on {task_id}")
        program.process.send_signal(signal.SIGTERM)
        eventually(lambda: _is_refused(lambda: client.run({}, group=group)))
        program.process.send_signal(signal.SIGTERM)
        code, output = program.end()
        assert code == 0 and "left at once; 1 tasks were in hand" in output, output


def test_who_does_not_end_in_time_is_left_behind(url, group):
    gate = Gate()
    with Working(worker(url, group, gate.stand, drain_timeout=0.05)):
        task_id = Client(url).submit({}, group=group)
        gate.until_entered(task_id)
    gate.opened.set()
    assert Client(url).wait(task_id, BOUND).error == "Worker disconnected"


# MARK: the client

def test_client(url, group):
    client = Client(url)
    with pytest.raises(RequestError, match="No worker available") as refused:
        client.submit({}, group=group)
    assert refused.value.status == 503
    with pytest.raises(RequestError, match="data or messages required"):
        client.submit()
    with pytest.raises(RequestError) as missing:
        client.get("nothing")
    assert missing.value.status == 404
    gate = Gate()
    with Working(worker(url, group, gate.stand)):
        first = client.submit({"n": 1}, group=group, idempotency_key=f"key of {group}", priority="high", retries=1, timeout=30)
        assert client.submit({"n": 2}, group=group, idempotency_key=f"key of {group}") == first
        gate.until_entered(first)
        state = client.wait(first, timeout=0)
        assert state.status == "executing" and not state.has_ended
        problems, other = [], client.submit({}, group=group, idempotency_key=f"other of {group}")
        # Who waits for a task that is there already waits for the same.
        waiting = threading.Thread(target=lambda: problems.append(
            _error_of(lambda: client.run({}, group=group, idempotency_key=f"other of {group}"))))
        waiting.start()
        client.cancel(other)
        waiting.join(BOUND)
        assert isinstance(problems[0], TaskWasCancelled)
        gate.opened.set()
        assert client.wait(first, BOUND).result == {"task": first}
        with pytest.raises(RequestError) as ended:
            client.cancel(first)
        assert ended.value.status == 409


def _error_of(act):
    try:
        act()
    except RequestError as error:
        return error


def test_run_with_a_key_outlives_the_server(place):
    gate, answers = Gate(), []
    with Working(worker(place.url, "g", gate.pass_through)):
        asking = threading.Thread(target=lambda: answers.append(Client(place.url).run({}, group="g", idempotency_key="once")))
        asking.start()
        eventually(lambda: gate.entered)
        place.kill()
        place.open()
        gate.opened.set()
        asking.join(BOUND)
    assert answers == [{"task": gate.entered[0]}] and len(gate.entered) == 1


# MARK: the watcher

class Steps:
    """A handler that goes one step whenever it is told to."""

    def __init__(self):
        self.steps, self.done = threading.Semaphore(0), 0

    def handle(self, task):
        for number in range(1, task.data["steps"] + 1):
            assert self.steps.acquire(timeout=BOUND)
            task.log(f"line {number}")
            self.done = number
        return "over"

    def go(self, count=1):
        for _ in range(count):
            self.steps.release()


def lines(events):
    return [event.data["logs"] for event in events if event.kind == "task_logs"]


def test_a_cut_wire_costs_a_watcher_nothing(open_server, group):
    steps = Steps()
    with Working(worker(open_server.url(""), group, steps.handle)), Proxy(open_server) as proxy:
        task_id = Client(open_server.url("")).submit({"steps": 30}, group=group)
        with Listening(Watcher(proxy.url(), reconnect_delay=BRISK).task(task_id)) as listening:
            listening.until(lambda event: event.kind == "current_status")
            for number in range(3):
                steps.go(5)
                listening.until(lambda event: event.data.get("logs") == f"line {10 * number + 5}")
                proxy.cut()
                steps.go(5)
                eventually(lambda: steps.done == 10 * number + 10)
                proxy.mend()
            listening.join()
    assert lines(listening.seen) == [f"line {number}" for number in range(1, 31)]
    numbers = [event.seq for event in listening.seen]
    assert numbers == sorted(set(numbers)) and listening.seen[-1].result == "over"


def test_a_restart_in_the_middle_costs_a_watcher_nothing(place):
    steps = Steps()
    with Working(worker(place.url, "g", steps.handle)):
        task_id = Client(place.url).submit({"steps": 4}, group="g")
        with Listening(Watcher(place.url, reconnect_delay=BRISK).task(task_id)) as listening:
            listening.until(lambda event: event.kind == "current_status")
            steps.go(2)
            listening.until(lambda event: event.data.get("logs") == "line 2")
            place.kill()
            place.open()
            # Of a task that goes on, numbers begin anew behind a gap; who comes back is told how it stands.
            listening.until(lambda event: event.kind == "current_status" and event.seq > 3)
            steps.go(2)
            listening.join()
    assert lines(listening.seen) == ["line 1", "line 2", "line 3", "line 4"]
    numbers = [event.seq for event in listening.seen]
    assert numbers == sorted(set(numbers)) and listening.seen[-1].kind == "task_completed"


def test_who_comes_later_names_what_was_seen(url, group):
    steps = Steps()
    with Working(worker(url, group, steps.handle)):
        task_id = Client(url).submit({"steps": 4}, group=group)
        steps.go(4)
        Client(url).wait(task_id, BOUND)

    def collected(**since):
        with Listening(Watcher(url).task(task_id, **since)) as listening:
            listening.join()
        return listening.seen

    everything = collected(last_seq=0)
    assert lines(everything) == ["line 1", "line 2", "line 3", "line 4"]
    half = next(event.seq for event in everything if event.data.get("logs") == "line 2")
    assert lines(collected(last_seq=half)) == ["line 3", "line 4"]
    assert [event.kind for event in collected()] == ["current_status", "task_completed"]


def test_what_cannot_be_watched_is_an_error(launch, url):
    async def first(events):
        async for event in events:
            return event

    with pytest.raises(WatchError) as missing:
        asyncio.run(first(Watcher(url).task("nothing")))
    assert missing.value.code == 4004
    with pytest.raises(WatchError) as refused:
        asyncio.run(first(Watcher(launch().url(""), "x.y.z").user(1)))
    assert refused.value.code == 4003


@pytest.mark.parametrize("way", ["cut", "restart"])
def test_a_user_hears_of_what_came_and_went_during_a_break(place, way):
    service = TaskNotificationService(place.url)
    with Proxy(place.server) as proxy:
        watched = proxy if way == "cut" else place
        address = watched.url() if way == "cut" else watched.url
        service.register_task("long", 1)
        service.register_task("short", 1)
        service.register_task("old", 1)
        assert service.notify_completed("old").wait()
        with Listening(Watcher(address, reconnect_delay=BRISK).user(1)) as listening:
            listening.until(lambda event: event.task_id == "short")
            proxy.cut() if way == "cut" else place.server.stop()
            if way == "restart":
                place.open()
            assert service.notify_completed("short", result=[1]).wait(BOUND)
            service.register_task("between", 1)
            assert service.notify_failed("between", "why").wait(BOUND)
            proxy.mend()
            listening.until(lambda event: event.task_id == "between" and event.status == "failed")
            listening.until(lambda event: event.task_id == "short" and event.status == "completed")
            assert service.notify_completed("long").wait(BOUND)
            listening.until(lambda event: event.task_id == "long" and event.status == "completed")
        for name in ("long", "short", "between"):
            numbers = [event.seq for event in listening.of(name)]
            assert numbers == sorted(set(numbers)), name
        assert listening.of("old") == []
    assert asyncio.run(service.close())


@pytest.mark.parametrize("way", ["cut", "restart"])
def test_the_hub_comes_back_as_who_it_was(place, way):
    service = TaskNotificationService(place.url)
    for name in ("a", "b"):
        service.register_task(name, "ann")
        assert service.notify_started(name).wait()
    with Proxy(place.server) as proxy:
        hub = Watcher(proxy.url() if way == "cut" else place.url, reconnect_delay=BRISK).hub("a", user_id="ann")
        with Listening(hub) as listening:
            listening.until(lambda event: event.task_id == "a")
            asyncio.run_coroutine_threadsafe(hub.subscribe("b"), listening.loop).result(BOUND)
            listening.until(lambda event: event.task_id == "b")
            for number in range(1, 4):
                assert service.notify_progress("a", number).wait(BOUND)
            listening.until(lambda event: event.task_id == "a" and event.progress == 3)
            former = hub.client_id
            proxy.cut() if way == "cut" else place.server.stop()
            if way == "restart":
                place.open()
            for number in range(4, 9):
                assert service.notify_progress("a", number).wait(BOUND)
            assert service.notify_failed("b", "why").wait(BOUND)
            proxy.mend()
            listening.until(lambda event: event.task_id == "b" and event.kind == "error")
            listening.until(lambda event: event.task_id == "a" and event.progress == 8)
            asyncio.run_coroutine_threadsafe(hub.unsubscribe("b"), listening.loop).result(BOUND)
        assert hub.client_id != former
    told = [event.progress for event in listening.of("a") if event.kind == "progress"]
    if way == "cut":
        assert told == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    # After a restart numbers begin anew behind a gap, and how the task stands is told first.
    numbers = [event.seq for event in listening.of("a")]
    assert numbers == sorted(set(numbers)) and told == sorted(told) and told[-1] == 8
    assert [event.kind for event in listening.of("b")].count("error") == 1
    assert asyncio.run(service.close())


# MARK: the package

def test_types():
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir=/dev/null", "-p", "signalbox"]
    checked = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, timeout=10 * BOUND)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_who_only_reports_loads_no_websocket(with_package):
    script = "import signalbox, sys; signalbox.configure(url='http://127.0.0.1:1'); print('websockets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=BOUND).stdout == "False\n"
