"""The document's curl commands, run as they stand there by the real curl, and the answers field by field."""
import json
import re
import time

import pytest

from documents import block, shell
from workers import Worker

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
WORKER = re.compile(r"W[1-9][0-9]*-[0-9a-f]{8}")
PICTURE = {"model": "jimeng-4.0", "prompt": "美丽的少女，胶片感", "ratio": "4:3", "resolution": "2k"}


@pytest.fixture
def alone(launch):
    """A server of the test's own: the document's commands speak to the groups `default` and `gpu-cluster`."""
    return launch()


def is_now(milliseconds):
    """Unix time in milliseconds, of about now: not seconds, not microseconds."""
    return isinstance(milliseconds, int) and abs(milliseconds / 1000 - time.time()) < 3600


def body_of(curl):
    code, output = curl.end()
    assert code == 0, output
    return json.loads(output[output.index("{"):])


@pytest.mark.parametrize(("command", "group", "data"), [
    ("sync.sh", "default", {"action": "process", "content": "Hello World"}),
    ("image.sh", "default", PICTURE),
    ("image-group.sh", "gpu-cluster", PICTURE),
])
def test_synchronous_command_waits_for_the_result(alone, command, group, data):
    with Worker(alone, group, ready=True) as worker, shell(quiet(block(command, alone))) as curl:
        task = worker.take()
        assert task.keys() >= {"type", "taskId", "payload"}
        assert UUID.fullmatch(task["taskId"])
        assert task["payload"]["data"] == data
        # The name of the model inside `data` is the worker's business; the task's own is the default.
        assert task["payload"]["model"] == "default"
        worker.complete(task["taskId"], {"success": True, "data": "处理结果"})
        assert body_of(curl) == {"taskId": task["taskId"], "status": "completed", "result": {"success": True, "data": "处理结果"}}


def test_asynchronous_command_is_answered_at_once(alone):
    with Worker(alone, "default", ready=True) as worker, shell(quiet(block("async.sh", alone))) as curl:
        answer = body_of(curl)
        assert answer.keys() == {"taskId", "status"}
        assert UUID.fullmatch(answer["taskId"])
        assert answer["status"] in ("queued", "executing")
        task = worker.take(answer["taskId"])
        assert task["payload"]["data"] == PICTURE

        executing = body_of(shell(quiet(block("status.sh", alone, taskId=answer["taskId"]))))
        assert executing.keys() == {"taskId", "status", "workerId", "startedAt"}
        assert executing["taskId"] == answer["taskId"] and executing["status"] == "executing"
        assert executing["workerId"] == worker.id and WORKER.fullmatch(worker.id)
        assert is_now(executing["startedAt"])

        worker.finish(task["taskId"], {"images": ["a.png"]})
        completed = body_of(shell(quiet(block("status.sh", alone, taskId=answer["taskId"]))))
        assert is_now(completed.pop("completedAt"))
        assert completed == {"taskId": answer["taskId"], "status": "completed", "result": {"images": ["a.png"]}}


def test_openai_command_hands_its_messages_on(alone):
    with Worker(alone, "default", ready=True) as worker, shell(quiet(block("openai.sh", alone))) as curl:
        task = worker.take()
        assert task["payload"]["model"] == "gpt-4"
        assert task["payload"]["messages"] == [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"},
        ]
        worker.complete(task["taskId"], {"role": "assistant", "content": "Hello."})
        answer = body_of(curl)
        assert answer == {"taskId": task["taskId"], "status": "completed", "result": {"role": "assistant", "content": "Hello."}}


def test_polling_script_follows_a_task_to_its_result(alone):
    with Worker(alone, "default", ready=True) as worker, shell(block("poll.sh", alone)) as script:
        task = worker.take()
        assert task["payload"]["data"] == {"task": "long_running_job"}
        script.says("Status: executing")
        worker.finish(task["taskId"], {"success": True})
        code, output = script.end()
        assert code == 0
        assert output.startswith(f"Task ID: {task['taskId']}\n"), output
        assert output.endswith('Status: completed\nResult: {\n  "success": true\n}'), output


def test_polling_script_follows_a_task_to_its_error(alone):
    with Worker(alone, "default", ready=True) as worker, shell(block("poll.sh", alone)) as script:
        task = worker.take()
        worker.fail(task["taskId"], "错误信息")
        worker.acknowledged(task["taskId"])
        code, output = script.end()
        assert code == 0
        assert output.endswith("Status: failed\nError: 错误信息"), output


def test_command_for_an_unknown_task(alone):
    unknown = body_of(shell(quiet(block("status.sh", alone, taskId="1e9651fd-6aa1-4b2c-9d5e-000000000000"))))
    assert unknown == {"error": "Task not found or expired"}


def test_command_without_a_worker(alone):
    assert body_of(shell(quiet(block("sync.sh", alone)))) == {"error": "No worker available"}


def test_answers_are_json_and_their_kind_is_said(server, group):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        worker.finish(worker.take()["taskId"])
        for answer in (pending.answer(), server.get("/api/task/nothing"), server.request("POST", "/api/openai", {})):
            assert answer.headers["Content-Type"].split(";")[0] == "application/json"
            answer.json


def quiet(command):
    """curl without its progress table."""
    return command.replace("curl ", "curl -s ", 1)
