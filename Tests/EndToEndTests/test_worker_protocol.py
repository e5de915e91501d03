"""The worker's socket, message by message."""
import re

import pytest

from servers import eventually
from workers import Worker


def test_connected_is_the_first_message(server, group):
    with Worker(server, group) as worker:
        assert worker.welcome == {"type": "connected", "workerId": worker.id, "message": "Connected to Task Dispatcher",
                                  "maxMessageBytes": 16 << 20}
        assert re.fullmatch(r"W[1-9][0-9]*-[0-9a-f]{8}", worker.id)


def test_every_worker_has_a_name_of_its_own(server, group):
    with Worker(server, group) as first, Worker(server, group) as second:
        numbers = [int(worker.id[1:].split("-")[0]) for worker in (first, second)]
        assert numbers[0] < numbers[1]


def test_group_is_default_where_none_is_named(launch):
    server = launch()
    with Worker(server, None, ready=True) as worker:
        for members in ({}, {"group": "default"}):
            pending = server.begin("POST", "/api/openai", {"data": {}} | members)
            worker.finish(worker.take()["taskId"])
            assert pending.answer().status == 200


@pytest.mark.parametrize("name", ["gpu cluster", "图像", "a/b&c=d"])
def test_group_of_any_words(server, name):
    with Worker(server, name, ready=True) as worker:
        pending = server.submit(name)
        worker.finish(worker.take()["taskId"])
        assert pending.answer().status == 200


def test_ping_is_answered_by_pong_and_nothing_else(server, group):
    with Worker(server, group) as worker:
        worker.send("ping")
        assert worker.receive() == {"type": "pong"}


def test_task_message_has_exactly_its_members(server, group):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group, {"prompt": "美丽的少女"})
        task = worker.take()
        assert task.keys() == {"type", "taskId", "lease", "payload"} and task["lease"] == 1
        assert task["payload"]["model"] == "default" and task["payload"]["data"] == {"prompt": "美丽的少女"}
        worker.finish(task["taskId"])
        pending.answer()


def test_worker_without_ready_counts_as_ready_after_a_while(server, group):
    # The one that must say ready connected before: would its silence count, it would have been first.
    with Worker(server, group, explicit=True) as silent, Worker(server, group) as automatic:
        task_id = server.queue(group)
        assert server.task(task_id)["status"] == "queued"
        automatic.take(task_id)
        automatic.finish(task_id)
        assert silent.fence() == []


def test_explicit_worker_waits_for_its_ready(server, group):
    with Worker(server, group, explicit=True) as worker:
        task_id = server.queue(group)
        assert server.task(task_id)["status"] == "queued"
        worker.send("ready")
        worker.take(task_id)
        worker.finish(task_id)


def test_worker_holds_one_task_at_a_time(server, group):
    with Worker(server, group, ready=True) as worker:
        first, second = server.queue(group), server.queue(group)
        worker.take(first)
        assert worker.fence() == []
        worker.complete(first)
        messages = [worker.receive(), worker.receive()]
        assert {message["type"]: message["taskId"] for message in messages} == {"task_ack": first, "task": second}
        worker.finish(second)


def test_concurrency_is_what_ready_says(server, group):
    with Worker(server, group, ready={"concurrency": 3}) as worker:
        tasks = [server.queue(group) for _ in range(4)]
        for task_id in tasks[:3]:
            worker.take(task_id)
        assert worker.fence() == []
        assert server.task(tasks[3])["position"] == 1
        worker.complete(tasks[1])
        messages = [worker.receive(), worker.receive()]
        assert {message["type"]: message["taskId"] for message in messages} == {"task_ack": tasks[1], "task": tasks[3]}


def test_most_free_room_goes_first_then_longest_idle(server, group):
    with Worker(server, group, ready={"concurrency": 1}) as small, Worker(server, group, ready={"concurrency": 3}) as large:
        tasks = [server.queue(group) for _ in range(3)]
        large.take(tasks[0])
        large.take(tasks[1])
        # Both have room for one now; the small one has been idle for longer.
        small.take(tasks[2])


def test_declared_models_go_to_those_who_declared_them(server, group):
    with Worker(server, group, ready={"models": ["m1"]}) as specialist, Worker(server, group, ready=True) as other:
        first, second = server.queue(group, model="m1"), server.queue(group, model="m1")
        specialist.take(first)
        assert server.task(second)["status"] == "queued"
        # A model that nobody declared is anybody's.
        third = server.queue(group, model="m2")
        other.take(third)
        specialist.finish(first)
        specialist.take(second)
        specialist.finish(second)
        other.finish(third)


def test_draining_worker_gets_no_new_tasks_and_may_finish(server, group):
    with Worker(server, group, ready={"concurrency": 4}) as leaving, Worker(server, group, ready=True) as staying:
        first = server.queue(group)
        leaving.take(first)
        leaving.send("drain")
        assert [message for message in leaving.fence() if message["type"] == "error"] == []
        second, third = server.queue(group), server.queue(group)
        staying.take(second)
        assert server.task(third)["status"] == "queued"
        leaving.complete(first, {"last": True})
        assert server.until(first, status="completed")["result"] == {"last": True}
        staying.finish(second)
        staying.take(third)
        staying.finish(third)


def test_reports_on_the_way_are_accepted(server, group):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        worker.send("task_progress", taskId=task_id, progress=50, message="half", step="sampling", step_info={"batch": [1, 2]})
        worker.send("task_logs", taskId=task_id, logs="line", level="INFO", source="worker")
        worker.send("task_chunk", taskId=task_id, chunk={"delta": "a"})
        worker.send("worker_status", gpus=[{"index": 0, "name": "H200", "memory_used": 1.5}], memory=0.5, load=0.25)
        assert worker.fence() == []
        worker.finish(task_id, {"done": 1})
        assert pending.answer().json["result"] == {"done": 1}


def test_result_is_acknowledged(server, group):
    with Worker(server, group, ready=True) as worker:
        task_id = server.queue(group)
        worker.take(task_id)
        worker.complete(task_id)
        assert worker.receive() == {"type": "task_ack", "taskId": task_id}
        # What is acknowledged is kept.
        assert server.task(task_id)["status"] == "completed"


def test_second_completion_is_refused_and_changes_nothing(server, group):
    with Worker(server, group, ready=True) as worker:
        task_id = server.queue(group)
        worker.take(task_id)
        worker.finish(task_id, {"attempt": 1})
        before = server.task(task_id)
        worker.complete(task_id, {"attempt": 2})
        assert_error(worker.receive())
        worker.fail(task_id, "too late")
        assert_error(worker.receive())
        assert server.task(task_id) == before


def test_foreign_completion_is_refused_and_changes_nothing(server, group):
    with Worker(server, group, ready=True) as owner:
        task_id = server.queue(group)
        owner.take(task_id)
        with Worker(server, group, ready=True) as other:
            other.complete(task_id, {"stolen": True})
            assert_error(other.receive())
            other.fail(task_id, "sabotage")
            assert_error(other.receive())
            other.send("task_progress", taskId=task_id, progress=99)
            assert_error(other.receive())
        assert server.task(task_id)["status"] == "executing"
        owner.finish(task_id, {"honest": True})
        assert server.task(task_id)["result"] == {"honest": True}


@pytest.mark.parametrize("task_id", ["1e9651fd-6aa1-4b2c-9d5e-000000000000", "nonsense", ""])
def test_completion_of_an_unknown_task_is_refused(server, group, task_id):
    with Worker(server, group, ready=True) as worker:
        worker.complete(task_id)
        assert_error(worker.receive())
        assert worker.fence() == []


@pytest.mark.parametrize("text", [
    "not json", "", "{", "[]", "5", "null", "{}", '{"type":5}', '{"type":"task_complete"}', '{"type":"task_complete","taskId":7}',
    '{"type":"ready","concurrency":"many"}', '{"type":"ready","concurrency":0}', '{"type":"ready","concurrency":-1}',
    '{"type":"ready","models":"m1"}', '{"type":"ready","models":[1]}', "[" * 100_000,
])
def test_malformed_message_gets_an_error_and_the_socket_stays(server, group, text):
    with Worker(server, group, ready=True) as worker:
        worker.send_text(text)
        assert_error(worker.receive())
        pending = server.submit(group)
        worker.finish(worker.take()["taskId"])
        assert pending.answer().status == 200


def test_unknown_members_are_ignored(server, group):
    with Worker(server, group) as worker:
        worker.send("ready", colour="green", nested={"a": [1, {}]})
        pending = server.submit(group, {}, colour="green")
        task_id = worker.take()["taskId"]
        worker.complete(task_id, {"a": 1}, colour="green")
        assert pending.answer().json == {"taskId": task_id, "status": "completed", "result": {"a": 1}}


def test_result_may_be_any_json_value(server, group):
    with Worker(server, group, ready=True) as worker:
        for result in ("null", "true", "-0.0", '"text"', "[]", "[null,{}]"):
            pending = server.submit(group)
            task_id = worker.take()["taskId"]
            worker.send_text(f'{{"type":"task_complete","taskId":"{task_id}","result":{result}}}')
            worker.acknowledged(task_id)
            assert f'"result":{result}'.encode() in pending.answer().body


def test_worker_that_leaves_is_no_longer_there(server, group):
    with Worker(server, group, ready=True):
        pass
    answer = eventually(lambda: (a := server.submit(group).answer()).status == 503 and a)
    assert answer.json == {"error": "No worker available"}


def assert_error(message):
    """An error message, with words in it."""
    assert message["type"] == "error"
    words = message.get("message", message.get("error"))
    assert isinstance(words, str) and words
