"""The life of a task, from being queued to being forgotten, as HTTP callers and workers see it."""
import threading
import time
from urllib.parse import quote

import pytest

from servers import BOUND, eventually
from workers import Closed, Worker

UNKNOWN = {"error": "Task not found or expired"}


def is_now(milliseconds):
    return isinstance(milliseconds, int) and abs(milliseconds / 1000 - time.time()) < 3600


# MARK: waiting

def test_waiting_task_has_a_position(server, group):
    with Worker(server, group, ready=True) as worker:
        tasks = [server.queue(group, {"number": number}) for number in range(4)]
        worker.take(tasks[0])
        for position, task_id in enumerate(tasks[1:], 1):
            state = server.task(task_id)
            assert is_now(state.pop("enqueuedAt"))
            assert state == {"taskId": task_id, "status": "queued", "position": position}
        worker.finish(tasks[0])
        worker.take(tasks[1])
        assert [server.task(task_id)["position"] for task_id in tasks[2:]] == [1, 2]


def test_answer_says_whether_it_waits(server, group):
    with Worker(server, group, ready=True) as worker:
        first = server.submit(group, **{"async": True}).answer()
        second = server.submit(group, **{"async": True}).answer()
        assert first.json == {"taskId": first.json["taskId"], "status": "executing"}
        assert second.json == {"taskId": second.json["taskId"], "status": "queued"}
        worker.take(first.json["taskId"])


def test_priority_goes_before_arrival(server, group):
    with Worker(server, group, ready=True) as worker:
        running = server.queue(group)
        worker.take(running)
        tasks = {}
        arrivals = {"l1": "low", "n1": "normal", "h1": "high", "none": None, "n2": "normal", "h2": "high", "l2": "low"}
        for name, priority in arrivals.items():
            tasks[name] = server.queue(group, **({"priority": priority} if priority else {}))
        expected = ["h1", "h2", "n1", "none", "n2", "l1", "l2"]
        assert [server.task(tasks[name])["position"] for name in expected] == [1, 2, 3, 4, 5, 6, 7]
        for name in expected:
            worker.finish(running)
            running = tasks[name]
            worker.take(running)


def test_no_worker(server, group):
    for members in ({}, {"async": True}):
        answer = server.submit(group, **members).answer()
        assert (answer.status, answer.json) == (503, {"error": "No worker available"})


def test_full_queue(launch, group):
    server = launch(MAX_QUEUE_LENGTH=2)
    with Worker(server, group, ready=True) as worker:
        tasks = [server.queue(group) for _ in range(3)]
        worker.take(tasks[0])
        for members in ({}, {"async": True}):
            refused = server.submit(group, **members).answer()
            assert (refused.status, refused.json) == (503, {"error": "Queue is full"})
        # The queue of a group is its own.
        with Worker(server, group + "-other", ready=True) as other:
            other.take(server.queue(group + "-other"))
        # A place that is given up is free.
        assert server.cancel(tasks[1]).status == 200
        last = server.queue(group)
        assert [server.task(task_id)["position"] for task_id in (tasks[2], last)] == [1, 2]


# MARK: time

def test_timeout_of_a_running_task(brisk, group):
    with Worker(brisk, group, ready=True) as worker:
        pending = brisk.submit(group, timeout=200)
        task_id = worker.take()["taskId"]
        answer = pending.answer()
        assert answer.status == 500 and answer.json["error"] == "Task timeout"
        state = brisk.task(task_id)
        assert is_now(state.pop("failedAt"))
        assert state == {"taskId": task_id, "status": "failed", "error": "Task timeout"}
        # The worker is told to stop; its late result changes nothing.
        assert worker.receive() == {"type": "cancel", "taskId": task_id}
        worker.complete(task_id)
        assert worker.receive()["type"] == "error"
        assert brisk.task(task_id)["error"] == "Task timeout"


def test_timeout_of_a_waiting_task(brisk, group):
    with Worker(brisk, group, explicit=True):
        answer = brisk.submit(group, timeout=200).answer()
        assert answer.status == 500 and answer.json["error"] == "Task timeout"


def test_timeout_that_nobody_named(brisk, group):
    with Worker(brisk, group, explicit=True):
        assert brisk.submit(group).answer().json["error"] == "Task timeout"


def test_timeout_above_the_range_is_clamped(brisk, group):
    with Worker(brisk, group, explicit=True):
        for timeout in (86_400_000, 1e300, 10**40):
            assert brisk.submit(group, timeout=timeout).answer().json["error"] == "Task timeout"


@pytest.mark.parametrize("timeout", ["1", "0", "-5", "0.5", "1e-9", "-1e300"])
def test_timeout_below_the_range_is_clamped(server, group, timeout):
    with Worker(server, group, ready=True) as worker:
        body = f'{{"data":{{}},"group":"{group}","async":true,"timeout":{timeout}}}'.encode()
        task_id = server.request("POST", "/api/openai", body).json["taskId"]
        worker.take(task_id)
        for _ in range(20):  # many round trips: far more than the millisecond that was asked for
            assert server.task(task_id)["status"] == "executing"
        worker.finish(task_id)


def test_ended_task_is_forgotten(forgetful, group):
    with Worker(forgetful, group, ready=True) as worker:
        task_id = forgetful.queue(group)
        worker.take(task_id)
        worker.complete(task_id)
        answer = eventually(lambda: (a := forgetful.get(f"/api/task/{task_id}")).status == 404 and a, "forgetting")
        assert answer.json == UNKNOWN
        assert (forgetful.cancel(task_id).status, forgetful.cancel(task_id).json) == (404, UNKNOWN)


def test_waiting_and_running_tasks_are_not_forgotten(forgetful, group):
    with Worker(forgetful, group, ready=True) as worker:
        first, second, third = (forgetful.queue(group) for _ in range(3))
        worker.take(first)
        forgetful.cancel(third)
        eventually(lambda: forgetful.get(f"/api/task/{third}").status == 404, "forgetting")
        assert forgetful.task(first)["status"] == "executing" and forgetful.task(second)["status"] == "queued"


@pytest.mark.parametrize("task_id", ["1e9651fd-6aa1-4b2c-9d5e-000000000000", "xxx", "a" * 300, "%2e%2e%2f", "图"])
def test_unknown_task(server, task_id):
    answer = server.get("/api/task/" + quote(task_id, safe="%"))
    assert (answer.status, answer.json) == (404, UNKNOWN)


# MARK: the end

def test_error_of_the_worker(server, group):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        worker.fail(task_id, '错误信息: "quoted"\n\u0001 \U0001f600')
        worker.acknowledged(task_id)
        answer = pending.answer()
        assert answer.status == 500
        assert answer.json == {"taskId": task_id, "status": "failed", "error": '错误信息: "quoted"\n\u0001 \U0001f600'}
        state = server.task(task_id)
        assert is_now(state.pop("failedAt"))
        assert state == {"taskId": task_id, "status": "failed", "error": '错误信息: "quoted"\n\u0001 \U0001f600'}


def test_completed_task(server, group):
    with Worker(server, group, ready=True) as worker:
        task_id = server.queue(group)
        worker.take(task_id)
        worker.finish(task_id, {"success": True, "data": [1, 2]})
        state = server.task(task_id)
        assert is_now(state.pop("completedAt"))
        assert state == {"taskId": task_id, "status": "completed", "result": {"success": True, "data": [1, 2]}}


@pytest.mark.parametrize("leave", [Worker.close, Worker.vanish])
def test_worker_disconnects(server, group, leave):
    worker = Worker(server, group, ready=True)
    pending = server.submit(group)
    task_id = worker.take()["taskId"]
    leave(worker)
    answer = pending.answer()
    assert answer.status == 500 and answer.json["error"] == "Worker disconnected"
    state = server.task(task_id)
    assert is_now(state.pop("failedAt"))
    assert state == {"taskId": task_id, "status": "failed", "error": "Worker disconnected"}


def test_retry_goes_to_the_front(server, group):
    lost = Worker(server, group, ready=True)
    retried = server.queue(group, retries=1)
    lost.take(retried)
    waiting = [server.queue(group, priority=priority) for priority in ("normal", "normal")]
    lost.vanish()
    state = server.until(retried, status="queued")
    assert state["position"] == 1
    assert [server.task(task_id)["position"] for task_id in waiting] == [2, 3]
    second = Worker(server, group, explicit=True)
    second.send("ready")
    second.take(retried)
    # One retry was asked for and is used up.
    second.vanish()
    assert server.until(retried, status="failed")["error"] == "Worker disconnected"
    with Worker(server, group, explicit=True) as third:
        third.send("ready")
        third.take(waiting[0])


def test_retry_is_invisible_to_the_one_who_waits(server, group):
    lost = Worker(server, group, ready=True)
    with Worker(server, group, explicit=True) as spare:
        pending = server.submit(group, {"number": 1}, retries=3)
        task = lost.take()
        lost.vanish()
        spare.send("ready")
        assert spare.take(task["taskId"])["payload"] == task["payload"]
        spare.finish(task["taskId"], {"by": "spare"})
        assert pending.answer().json["result"] == {"by": "spare"}


# MARK: cancelling

@pytest.mark.parametrize("path, name", [("/api/task/{}/cancel", "taskId"), ("/api/gpu/tasks/{}/cancel", "task_id")])
def test_cancel_of_a_running_task(server, group, path, name):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        after = server.queue(group)
        answer = server.request("POST", path.format(task_id))
        assert answer.status == 200
        assert answer.json == {name: task_id, "status": "cancelled"}
        assert worker.receive() == {"type": "cancel", "taskId": task_id}
        waited = pending.answer()
        assert (waited.status, waited.json) == (409, {"error": "Task cancelled"})
        state = server.task(task_id)
        assert state["taskId"] == task_id and state["status"] == "cancelled"
        # The late result is refused, and the worker is free for the next.
        worker.complete(task_id)
        assert sorted(worker.receive()["type"] for _ in range(2)) == ["error", "task"]
        assert server.task(task_id) == state
        worker.finish(after)


def test_cancel_of_a_waiting_task(server, group):
    with Worker(server, group, ready=True) as worker:
        running, waiting, last = server.queue(group), server.queue(group), server.queue(group)
        worker.take(running)
        assert server.cancel(waiting).status == 200
        assert server.task(waiting)["status"] == "cancelled"
        assert server.task(last)["position"] == 1
        worker.finish(running)
        worker.take(last)
        worker.finish(last)
        assert worker.fence() == []


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
def test_cancel_of_an_ended_task(server, group, how):
    with Worker(server, group, ready=True) as worker:
        task_id = server.queue(group)
        worker.take(task_id)
        if how == "completed":
            worker.finish(task_id)
        elif how == "failed":
            worker.fail(task_id, "no")
            worker.acknowledged(task_id)
        else:
            assert server.cancel(task_id).status == 200
        before = server.task(task_id)
        answer = server.cancel(task_id)
        assert answer.status == 409 and isinstance(answer.json["error"], str)
        assert server.task(task_id) == before and before["status"] == how


@pytest.mark.parametrize("path", ["/api/task/nobody/cancel", "/api/gpu/tasks/nobody/cancel"])
def test_cancel_of_an_unknown_task(server, path):
    answer = server.request("POST", path)
    assert (answer.status, answer.json) == (404, UNKNOWN)


def test_client_that_goes_away_cancels_its_running_task(server, group):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        pending.leave()
        assert worker.receive() == {"type": "cancel", "taskId": task_id}
        assert server.task(task_id)["status"] == "cancelled"


def test_client_that_goes_away_cancels_its_waiting_task(server, group):
    with Worker(server, group, ready=True) as worker:
        worker.take(server.queue(group))
        pending = server.submit(group, {"unwanted": True})
        last = eventually(lambda: _queued_behind(server, group), "the waiting request")
        pending.leave()
        server.until(last, position=1)


def _queued_behind(server, group):
    """A task at position 2: so the request before it has arrived."""
    task_id = server.queue(group)
    if server.task(task_id)["position"] == 2:
        return task_id
    server.cancel(task_id)


def test_client_of_an_asynchronous_task_may_go_away(server, group):
    with Worker(server, group, ready=True) as worker:
        task_id = server.queue(group)
        worker.take(task_id)
        assert worker.fence() == []
        worker.finish(task_id)


def test_worker_that_ignores_a_cancellation_is_given_up_waiting_for(launch, group):
    """A cancelled task keeps its worker's room until the worker speaks of it, but not for ever."""
    server = launch(ABANDONED_GRACE_MS=100)
    with Worker(server, group, ready=True) as worker:
        first, second = server.queue(group), server.queue(group)
        worker.take(first)
        assert server.cancel(first).status == 200
        assert worker.receive("cancel")["taskId"] == first
        worker.take(second)


# MARK: many at once

def test_results_are_not_mixed_up(server, group):
    """Sixty callers that wait, four workers, one hundred tasks that nobody waits for: each gets its own."""
    workers = [Worker(server, group, ready={"concurrency": 8}) for _ in range(4)]

    def work(worker):
        try:
            while True:
                message = worker.receive()
                if message["type"] == "task":
                    worker.complete(message["taskId"], {"doubled": 2 * message["payload"]["data"]["number"]})
        except (Closed, OSError):
            pass

    threads = [threading.Thread(target=work, args=(worker,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    waiting = [(number, server.submit(group, {"number": number})) for number in range(60)]
    queued = [(number, server.queue(group, {"number": number})) for number in range(60, 160)]
    for number, pending in waiting:
        assert pending.answer().json["result"] == {"doubled": 2 * number}
    for number, task_id in queued:
        assert server.until(task_id, status="completed")["result"] == {"doubled": 2 * number}
    for worker, thread in zip(workers, threads):
        worker.socket.send_close()
        thread.join(BOUND)
        assert not thread.is_alive()


# MARK: the same task twice

@pytest.mark.parametrize("way", ["member", "header"])
def test_idempotency_key_names_the_same_task(server, group, way):
    def submit(key, **members):
        headers = {"Idempotency-Key": key} if way == "header" else {}
        body = {"data": {}, "group": group} | members | ({"idempotencyKey": key} if way == "member" else {})
        return server.begin("POST", "/api/openai", body, headers)

    with Worker(server, group, ready=True) as worker:
        first = submit(group + "-key", **{"async": True}).answer()
        task_id = first.json["taskId"]
        assert submit(group + "-key", **{"async": True}).answer().json == {"taskId": task_id, "status": "executing"}
        worker.take(task_id)
        waiting = submit(group + "-key")
        other = submit(group + "-other", **{"async": True}).answer().json["taskId"]
        assert other != task_id
        worker.finish(task_id, {"once": True})
        worker.take(other)
        expected = {"taskId": task_id, "status": "completed", "result": {"once": True}}
        assert waiting.answer().json == expected
        assert submit(group + "-key").answer().json == expected
        assert submit(group + "-key", **{"async": True}).answer().json["taskId"] == task_id
        assert worker.fence() == []
