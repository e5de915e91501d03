"""The Python package `signalbox`: the producer document's three forms, and all that reports can say, against a real server."""
import asyncio
import contextlib
import dataclasses
import datetime
import decimal
import enum
import re
import uuid

import pytest

from conftest import shared
from producers import PACKAGE, Timer, Watcher, away, making, program, status, until  # noqa: F401 (a fixture)
from servers import BOUND, ROOT, run

from signalbox import (
    NotificationError, TaskProgressContext, configure, current_task_id, task_notification_service, task_notifier,
)

# A server that asks nobody for a token.
reported = shared("--auth", "off")


@pytest.fixture
def server(reported):
    """The server of the package's shared service."""
    configure(url=reported.url(""))
    yield reported
    assert asyncio.run(task_notification_service.close()), "reports that were never sent"


@pytest.fixture
def task_id():
    """A name that no other test uses."""
    return f"interview_{uuid.uuid4().hex}"


def said(messages, *names):
    return [tuple(message.get(name) for name in names) if len(names) > 1 else message.get(names[0]) for message in messages]


# MARK: the document's forms, as it writes them but for `...` and the names of the tasks

class llm:
    @staticmethod
    async def generate(*topics):
        return [f"Why {topic}?" for topic in topics]


async def do_something():
    return {"questions": 3}


def test_form_1_the_decorator(server, task_id):
    @task_notifier(
        task_id=task_id,
        user_id=1,
        task_type="interview_generation",
        metadata={"interview_id": 123}
    )
    async def generate_interview_questions(*topics):
        # 任务逻辑
        questions = await llm.generate(*topics)
        return questions

    with Watcher(server, 1) as watcher:
        assert asyncio.run(generate_interview_questions("Swift", "Python")) == ["Why Swift?", "Why Python?"]
        assert said(watcher.life(task_id), "status", "result") == [("running", None), ("completed", ["Why Swift?", "Why Python?"])]
    task = status(server, task_id)
    assert task["status"] == "completed" and task["result"] == ["Why Swift?", "Why Python?"]
    assert (task["user_id"], task["task_type"], task["metadata"]) == (1, "interview_generation", {"interview_id": 123})


async def by_hand(task_id, do_something):
    # 注册任务
    task_notification_service.register_task(
        task_id=task_id,
        user_id=1,
        task_type="interview_generation"
    )

    try:
        # 通知开始
        await task_notification_service.notify_started(task_id)

        # 通知进度
        await task_notification_service.notify_progress(
            task_id,
            progress=50,
            message="正在生成问题..."
        )

        # 执行任务
        result = await do_something()

        # 通知完成
        await task_notification_service.notify_completed(
            task_id,
            result=result
        )

        return result

    except Exception as e:
        # 通知失败
        await task_notification_service.notify_failed(
            task_id,
            error=str(e)
        )
        raise


def test_form_2_by_hand(server, task_id):
    with Watcher(server, 1) as watcher:
        assert asyncio.run(by_hand(task_id, do_something)) == {"questions": 3}
        started, progress, completed = watcher.life(task_id)
    assert started["status"] == "running"
    assert (progress["status"], progress["progress"], progress["message"]) == ("progress", 50, "正在生成问题...")
    assert (completed["status"], completed["result"]) == ("completed", {"questions": 3})
    # Awaited is what the server has: nothing is left to wait for.
    assert status(server, task_id)["status"] == "completed"


def test_form_2_with_a_failure(server, task_id):
    async def fail():
        raise LookupError("no questions left")

    with pytest.raises(LookupError):
        asyncio.run(by_hand(task_id, fail))
    task = status(server, task_id)
    assert (task["status"], task["error"]) == ("failed", "no questions left")


def test_form_3_the_context(server, task_id):
    async def generate_interview_questions():
        async with TaskProgressContext(task_id, total_steps=10) as progress:
            await progress.increment("步骤1: 准备数据")
            await progress.increment("步骤2: 调用LLM")

    task_notification_service.register_task(task_id=task_id, user_id=3)
    with Watcher(server, 3) as watcher:
        asyncio.run(generate_interview_questions())
        messages = watcher.life(task_id)
    assert said(messages, "status") == ["running", "progress", "progress", "completed"]
    assert said(messages[1:3], "progress", "step", "message", "completed_steps", "total_steps") == [
        (10, "Step 1/10", "步骤1: 准备数据", 1, 10), (20, "Step 2/10", "步骤2: 调用LLM", 2, 10)]


# MARK: the decorator

class Trouble(Exception):
    pass


def test_an_exception_is_the_failure_and_goes_on(server, task_id):
    trouble = Trouble("no model")

    @task_notifier(task_id=task_id, user_id=1)
    async def work():
        raise trouble

    with pytest.raises(Trouble) as raised:
        asyncio.run(work())
    assert raised.value is trouble
    task = status(server, task_id)
    assert (task["status"], task["error"], task["error_type"]) == ("failed", "no model", "Trouble")


def test_a_cancelled_call_is_a_cancelled_task(server, task_id):
    @task_notifier(task_id=task_id, user_id=1)
    async def work():
        await asyncio.sleep(BOUND)

    async def main():
        task = asyncio.create_task(work())
        await asyncio.get_running_loop().run_in_executor(None, until, server, task_id, "running")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert status(server, task_id)["status"] == "cancelled"


def test_a_coroutine_that_is_given_up_is_a_cancelled_task(server, task_id):
    inside = []

    @task_notifier(task_id=task_id, user_id=1)
    async def work():
        inside.append(1)
        await asyncio.sleep(BOUND)

    async def main():
        coroutine = work()
        task = asyncio.create_task(coroutine)
        while not inside:
            await asyncio.wait([task], timeout=0.005)
        coroutine.close()
        task.cancel()

    asyncio.run(main())
    until(server, task_id, "cancelled")


@pytest.mark.parametrize("inside_a_loop", [False, True])
def test_a_plain_function(server, task_id, inside_a_loop):
    @task_notifier(task_id=task_id + "_{kind}", user_id=1)
    def work(kind):
        assert current_task_id() == f"{task_id}_{kind}"
        with TaskProgressContext(total_steps=2) as progress:
            progress.increment("first")
        if kind == "bad":
            raise Trouble("plain")
        if kind == "broken":
            raise KeyboardInterrupt
        return {kind: 1}

    async def call(*arguments):
        return work(*arguments)

    def do(*arguments):
        return asyncio.run(call(*arguments)) if inside_a_loop else work(*arguments)

    assert do("good") == {"good": 1}
    with pytest.raises(Trouble):
        do("bad")
    with pytest.raises(KeyboardInterrupt):
        do("broken")
    if inside_a_loop:  # Where it must not wait.
        assert task_notification_service.wait_until_sent()
    good, bad, broken = (status(server, f"{task_id}_{kind}") for kind in ("good", "bad", "broken"))
    assert (good["status"], good["result"]) == ("completed", {"good": 1})
    assert (bad["status"], bad["error"], bad["error_type"]) == ("failed", "plain", "Trouble")
    assert broken["status"] == "cancelled"
    assert current_task_id() is None


def test_a_plain_function_that_gives_an_awaitable(server, task_id):
    async def answer():
        return 42

    @task_notifier(task_id=task_id, user_id=1)
    def work():
        return answer()

    async def main():
        return await work()

    assert asyncio.run(main()) == 42
    assert status(server, task_id)["result"] == 42


def test_names_from_the_arguments_of_the_call(server, task_id):
    class Job:
        id = task_id

        @task_notifier(task_id="{self.id}_{part}", user_id="{owner}", project_id=lambda self, part, owner: f"project-{part}",
                       metadata=lambda self, part, owner: {"part": part})
        async def work(self, part, owner="ann"):
            return current_task_id()

    async def main():
        return await asyncio.gather(Job().work(1), Job().work(2, owner=7))

    assert asyncio.run(main()) == [f"{task_id}_1", f"{task_id}_2"]
    first, second = status(server, f"{task_id}_1"), status(server, f"{task_id}_2")
    assert (first["user_id"], first["project_id"], first["metadata"]) == ("ann", "project-1", {"part": 1})
    assert (second["user_id"], second["project_id"], second["metadata"]) == (7, "project-2", {"part": 2})


def test_a_task_that_somebody_else_registered(server, task_id):
    task_notification_service.register_task(task_id, 6, "theirs")
    asyncio.run(task_notifier(task_id=task_id)(do_something)())
    task = status(server, task_id)
    assert (task["status"], task["user_id"], task["task_type"]) == ("completed", 6, "theirs")


def test_an_ended_task_makes_room_for_the_next_of_its_name(server, task_id):
    @task_notifier(task_id=task_id, user_id=1)
    async def work(number):
        if number == 1:
            raise Trouble
        return number

    with pytest.raises(Trouble):
        asyncio.run(work(1))
    assert status(server, task_id)["status"] == "failed"
    assert asyncio.run(work(2)) == 2
    assert status(server, task_id)["result"] == 2


def test_names_that_cannot_be_made_do_not_disturb_the_function(server, caplog):
    @task_notifier(task_id="{job.id}", user_id=1)
    async def work(job):
        return job

    assert asyncio.run(work(5)) == 5
    assert "work is not reported: AttributeError" in caplog.text
    with pytest.raises(TypeError, match="positional"):
        asyncio.run(work(1, 2))


def test_what_can_be_no_task_is_refused_when_it_is_decorated():
    with pytest.raises(TypeError, match="'id'"):
        @task_notifier(task_id="{id}", user_id=1)
        async def work(name):
            pass
    with pytest.raises(TypeError, match="generator"):
        @task_notifier(task_id="a", user_id=1)
        async def pieces():
            yield 1


# MARK: the context: who starts a task ends it

def test_a_context_inside_a_decorated_call_only_counts(server, task_id):
    @task_notifier(task_id=task_id, user_id=1)
    async def work():
        async with TaskProgressContext(total_steps=3) as progress:
            for _ in range(5):
                await progress.increment()
        with contextlib.suppress(Trouble):
            async with TaskProgressContext(total_steps=3):
                raise Trouble("of this block alone")
        return "whole"

    with Watcher(server, 1) as watcher:
        asyncio.run(work())
        messages = watcher.life(task_id)
    assert said(messages, "status") == ["running"] + ["progress"] * 5 + ["completed"]
    assert said(messages[1:6], "progress") == [33.33, 66.67, 100, 100, 100]
    assert messages[5]["step"] == "Step 3/3" and messages[-1]["result"] == "whole"


@pytest.mark.parametrize(("error", "word"), [(None, "completed"), (Trouble("bad step"), "failed"), (asyncio.CancelledError(), "cancelled")])
def test_a_context_that_owns_its_task_says_how_it_ended(server, task_id, error, word):
    async def work():
        async with TaskProgressContext(task_id, total_steps=2, user_id=9, task_type="t", metadata={"a": 1}) as progress:
            await progress.increment("one")
            await progress.log("a line")
            progress.result = [1]
            if error:
                raise error

    with pytest.raises(type(error)) if error else contextlib.nullcontext():
        asyncio.run(work())
    task = status(server, task_id)
    assert (task["status"], task["user_id"], task["task_type"], task["metadata"]) == (word, 9, "t", {"a": 1})
    assert task.get("result") == ([1] if word == "completed" else None)
    assert task.get("error") == ("bad step" if word == "failed" else None)


def test_a_context_that_is_told_not_to_own_its_task(server, task_id):
    async def work():
        async with TaskProgressContext(task_id, total_steps=2, user_id=9, owns=False) as progress:
            await progress.increment()

    asyncio.run(work())
    assert status(server, task_id)["status"] == "running"
    assert task_notification_service.notify_completed(task_id).wait()


# MARK: reports

def test_reports_of_many_tasks_at_once_come_in_their_order(server, task_id):
    names = [f"{task_id}_{number}" for number in range(40)]

    @task_notifier(task_id="{name}", user_id=77)
    async def work(name):
        for figure in range(1, 11):
            receipt = task_notification_service.notify_progress(name, progress=figure * 5, message=f"{name} {figure}")
            if figure % 2:
                await receipt
        return name

    async def main():
        await asyncio.gather(*map(work, names))

    with Watcher(server, 77) as watcher:
        asyncio.run(main())
        told = watcher.until_ended(*names)
    for name, messages in told.items():
        assert said(messages, "status") == ["running"] + ["progress"] * 10 + ["completed"]
        assert said(messages[1:-1], "progress", "message") == [(figure * 5, f"{name} {figure}") for figure in range(1, 11)]
        numbers = said(messages, "seq")
        assert numbers == sorted(set(numbers)) and messages[-1]["result"] == name


def test_reports_without_an_event_loop(server, task_id):
    service = task_notification_service
    assert service.register_task(task_id, 5, "t", "p", {"a": [1]}).wait()
    assert service.notify_started(task_id).wait()
    assert service.notify_progress(
        task_id, progress=12.5, message="m", current_step="s", total_steps=8, completed_steps=1, step_info={"b": 2}).wait()
    assert service.notify_log(task_id, "two\nlines", level="WARNING", source="model").wait()
    task = status(server, task_id)
    assert (task["status"], task["progress"], task["message"], task["project_id"]) == ("running", 12.5, "m", "p")
    assert (task["current_step"], task["total_steps"], task["completed_steps"], task["step_info"]) == ("s", 8, 1, {"b": 2})
    assert service.notify_failed(task_id, error={"why": 1}, error_type="E", error_code=17, error_details=[2]).wait()
    task = status(server, task_id)
    assert (task["status"], task["error"], task["error_type"], task["error_code"], task["error_details"]) == (
        "failed", '{"why":1}', "E", "17", [2])


@pytest.mark.parametrize("name", ["a/b", "面试 1?#%&", '"\\', "x" * 200, 17])
def test_names_of_every_kind(server, name):
    assert task_notification_service.register_task(name, "ann b/c").wait()
    assert task_notification_service.notify_cancelled(name, "because").wait()
    task = status(server, str(name))
    assert (task["task_id"], task["user_id"], task["status"], task["message"]) == (str(name), "ann b/c", "cancelled", "because")


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: float
    seen: datetime.date


class Model:
    def model_dump(self):
        return {"fields": (1, 2)}


class Array:
    def tolist(self):
        return [[1.5], [float("nan")]]


class Broken:
    def __str__(self):
        raise ValueError("no words")


class Words:
    def __str__(self):
        return "my words"


@pytest.mark.parametrize(("value", "read"), [
    ("面试 \x00\u2028\"", "面试 \x00\u2028\""), (2**64 + 1, 2**64 + 1), (0.1, 0.1), (True, True), (None, None),
    (float("nan"), None), ([float("inf"), -float("inf")], [None, None]),
    ({1: "a", None: "b", False: "c", (1, 2): "d"}, {"1": "a", "null": "b", "false": "c", "[1, 2]": "d"}),
    (({1}, frozenset(), range(2)), [[1], [], "range(0, 2)"]), (b"\xff\x00", "/wA="),
    (datetime.datetime(2026, 1, 20, 10, 30, tzinfo=datetime.timezone.utc), "2026-01-20T10:30:00+00:00"),
    (decimal.Decimal("1.10"), "1.10"), (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    ([Colour.RED, Point(1.0, datetime.date(2026, 1, 2)), Model(), Array()],
     ["red", {"x": 1.0, "seen": "2026-01-02"}, {"fields": [1, 2]}, [[1.5], [None]]]),
    ([Broken(), Words(), Point], ["<Broken>", "my words", str(Point)]), ("half \ud800 pair", "half ? pair"),
], ids=str)
def test_values_that_json_does_not_have(server, task_id, value, read):
    task_notification_service.register_task(task_id, 1)
    assert task_notification_service.notify_completed(task_id, value).wait()
    assert status(server, task_id)["result"] == read


def test_values_without_an_end(server, task_id):
    ring, large = [], 10**5000
    ring.append(ring)
    task_notification_service.register_task(task_id, 1, metadata={"ring": ring})
    assert task_notification_service.notify_progress(task_id, progress=float("nan"), message=large, total_steps=float("inf")).wait()
    assert task_notification_service.notify_completed(task_id, {"ring": ring, "large": large}).wait()
    assert status(server, task_id)["result"]["large"] == hex(large)


def test_texts_that_are_too_long_are_cut(server, task_id):
    service, long = task_notification_service, "长" * 50_000
    service.register_task(task_id, 1, "t" * 500)
    assert service.notify_progress(task_id, message=long, step=long).wait()
    assert service.notify_log(task_id, long).wait()
    message = status(server, task_id)["message"]
    assert len(message.encode()) <= 4096 and message == "长" * (len(message) - 1) + "…"
    assert service.notify_cancelled(task_id, long).wait()


def test_a_result_that_is_too_long_is_a_failure(server, task_id):
    async def work():
        return "x" * (16 << 20)

    asyncio.run(task_notifier(task_id=task_id, user_id=1)(work)())
    task = status(server, task_id)
    assert (task["status"], task["error_type"]) == ("failed", "ResultTooLong")


# MARK: reports that the server does not want

def test_a_refused_report_is_logged_and_the_function_goes_on(server, task_id, caplog):
    task_notification_service.register_task(task_id, 1)
    assert task_notification_service.notify_completed(task_id).wait()

    @task_notifier(task_id=task_id)
    async def late():
        return 1

    assert asyncio.run(late()) == 1
    assert f"completed of task {task_id} was not reported: Task already completed" in caplog.text

    async def unknown():
        return await task_notification_service.notify_started("nobody-knows-it")

    assert asyncio.run(unknown()) is False
    assert "Task not found" in caplog.text


def test_strict_says_what_was_refused(reported, task_id, making):
    service = making(reported.url(""), strict=True)
    with pytest.raises(NotificationError, match="Task not found"):
        service.notify_progress(task_id, 5).wait()
    service.register_task(task_id, 1).wait()
    ran = []

    @task_notifier(task_id=task_id, user_id=1, service=service)
    async def work():
        ran.append(1)

    with pytest.raises(NotificationError, match="Task already registered"):
        asyncio.run(work())
    assert ran == []

    @task_notifier(task_id="{other}", user_id=1, service=service)
    async def fail(other):
        assert service.notify_cancelled(other).wait()
        raise Trouble("what the caller must hear")

    with pytest.raises(Trouble):
        asyncio.run(fail(task_id + "_2"))


def test_tokens(launch, task_id, making, caplog):
    secret = "a secret of this test, and of nobody else"
    guarded = launch(JWT_SECRET=secret)

    def token(role):
        return run("token", "--sub", "robot", "--role", role, JWT_SECRET=secret).stdout

    assert not making(guarded.url("")).register_task(task_id, 1).wait()
    assert "401" in caplog.messages[-1]
    assert not making(guarded.url(""), token=token("user")).register_task(task_id, 1).wait()
    assert "403" in caplog.messages[-1]
    service = making(guarded.url("") + "/", token=lambda: token("publisher"))
    assert service.register_task(task_id, 1).wait() and service.notify_completed(task_id, 1).wait()
    admin = token("admin").strip()
    assert status(guarded, task_id, Authorization=f"Bearer {admin}")["status"] == "completed"


# MARK: programs

def test_what_waits_at_the_end_of_a_program_is_sent(reported, task_id):
    script = """
import sys
from signalbox import task_notification_service as service
service.register_task(sys.argv[1], 1)
for number in range(2000):
    service.notify_progress(sys.argv[1], number / 20)
service.notify_completed(sys.argv[1], "said last")
"""
    ran = program(script, reported.url(""), task_id)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert status(reported, task_id)["result"] == "said last"


def test_a_program_whose_server_is_away_ends_none_the_less(task_id):
    script = """
import asyncio, sys
from signalbox import configure, task_notifier
configure(timeout=0.2)
@task_notifier(task_id=sys.argv[1], user_id=1)
async def work():
    return 1
print(asyncio.run(work()))
"""
    with Timer() as timer:
        ran = program(script, away(), task_id)
    assert ran.returncode == 0 and ran.stdout == "1\n" and "3 reports were lost" in ran.stderr
    assert timer.seconds < 15


def test_a_process_that_was_forked_off_reports_by_itself(reported, task_id):
    script = """
import os, sys
from signalbox import task_notification_service as service
assert service.register_task(sys.argv[1], 1).wait()
child = os.fork()
if child == 0:
    os._exit(0 if service.notify_progress(sys.argv[1], 50, "child").wait() else 1)
assert os.waitpid(child, 0)[1] == 0
assert service.notify_completed(sys.argv[1], "parent").wait()
"""
    ran = program(script, reported.url(""), task_id)
    assert ran.returncode == 0, ran.stderr
    assert status(reported, task_id)["result"] == "parent"


# What the readmes' examples are to leave behind.
EXAMPLES = {
    "decorator": ("interview_123", {
        "status": "completed", "result": {"questions": ["Why?"]}, "user_id": 1, "task_type": "interview_generation"}),
    "service": ("report_7", {"status": "completed", "result": {"pages": 12}, "user_id": 1, "task_type": "report"}),
}


def readme_examples():
    for readme in (PACKAGE / "README.md", ROOT / "README.md"):
        for name, script in re.findall(r"<!-- python: (.*?) -->\n```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.S):
            yield pytest.param(name, script, id=f"{readme.parent.name}-{name}")


@pytest.mark.parametrize(("name", "script"), list(readme_examples()))
def test_readme_example(launch, name, script):
    task, members = EXAMPLES[name]
    server = launch("--auth", "off")
    ran = program(script, server.url(""))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert status(server, task).items() >= members.items()


def test_readme_has_every_example():
    assert {example.values[0] for example in readme_examples()} == set(EXAMPLES)
