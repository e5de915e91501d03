"""One task, watched through all protocols at once: the same states, numbers, figures and bytes, each in its document's words."""
import json

import pytest
from websockets.sync.client import connect

from servers import BOUND
from streams import SECRET, EventStream, bearer, hub_socket, order, send_at_once, task_socket, token, user_socket
from workers import Worker

USER = "7"
# Numbers that no reader of doubles would write again, keys in their own order, spaces, ends of lines, escapes.
RESULT = ('{"b":1.0,"a":1e400, "c":-0,"big":12345678901234567890.10,"E":1E+2,\r\n\t"text":"\\u00e9\\/\\ud83d\\ude00 é\\n",'
          '"list":[ 1 ,2.50,[]],"0":{"z":null,"y":true}}')
DETAILS = '{"z":0.10,"a":[1.0,\n2e0]}'
WORDS = "显存不足 \\u00e9\\n\\\"GPU 0\\\""


def straight(text):
    """As it stands where a line's end would end the message."""
    return text.replace("\r", " ").replace("\n", " ")


@pytest.fixture(scope="module")
def key():
    return token(USER)


@pytest.fixture(params=[(), ("--deflate",), ("--deflate", "--deflate-context")], ids=["plain", "deflate", "context"])
def guarded(request, launch):
    return launch(*request.param, JWT_SECRET=SECRET)


@pytest.fixture
def worker(guarded):
    """A worker that takes nothing yet: tasks wait for it."""
    with Worker(guarded, "default", explicit=True) as worker:
        yield worker


class Deflated:
    """Document G's socket, by a client that compresses where the server does."""

    def __init__(self, server, task, key):
        self.opening = connect(server.url(f"/api/gpu/tasks/{task}/ws", "ws"), open_timeout=BOUND, max_size=None, proxy=None,
                                  additional_headers=bearer(key))
        self.connection, self.told = self.opening.__enter__(), []
        assert json.loads(self.text())["type"] == "connection_established"
        assert json.loads(self.text())["type"] == "current_status"

    def text(self):
        self.told.append(self.connection.recv(timeout=BOUND))
        return self.told[-1]

    def __exit__(self, *problem):
        return self.opening.__exit__(*problem)


class Audience:
    """Everybody who watches a task. What each was told is a list of (number, type, status, progress, text)."""

    def __init__(self, server, task, key, others=()):
        self.server, self.task, self.key = server, task, key
        self.sockets = {"G": task_socket(server, task, key), "G deflated": Deflated(server, task, key), "N": user_socket(server, USER, key),
                        "P": hub_socket(server, task, *others, token=key),
                        "P lines": hub_socket(server, task, *others, token=key, query="?batch=ndjson")}
        self.stream = EventStream(server, task, token=key)
        self.began = self.stream.hear("current_status")
        for name in ("P", "P lines"):
            for _ in range(1 + len(others)):
                self.sockets[name].hear()
        self.greetings = {name: list(watcher.told) for name, watcher in self.sockets.items()}
        for watcher in self.sockets.values():
            watcher.told.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        for watcher in self.sockets.values():
            watcher.__exit__(None, None, None)

    def told(self, ends):
        """What everybody was told up to the task's end: so many messages, by the protocol, tell of the end."""
        told = {"E": list(self.stream.texts())}
        assert self.stream.ended == "whole"
        for name, watcher in self.sockets.items():
            last = 0
            while last < ends[name[0]]:
                message = json.loads(watcher.text())
                if message.get("task_id") == self.task:
                    last += is_end(message)
            told[name] = [text for text in watcher.told if json.loads(text).get("task_id") == self.task]
        return told

    def polled(self):
        """How the task stands, by everybody who asks: status, number, progress."""
        def ask(path): return self.server.get(path, **bearer(self.key)).json
        dispatch = ask(f"/api/task/{self.task}")
        gpu, user = ask(f"/api/gpu/tasks/{self.task}"), ask(f"/api/task/task/{self.task}/status")["data"]
        hub = ask(f"/api/v1/progress/{self.task}")
        hub = hub.get("data", hub)
        return {"D": (dispatch["status"],), "G": (gpu["status"], gpu["seq"], gpu["progress"]),
                "N": (user["status"], user["seq"], user["progress"]), "P": (hub["status"], hub["seq"], hub["progress"])}


def is_end(message):
    if message["type"] in ("task_error", "task_cancelled", "task_completed"):
        return True
    status = message.get("payload", message).get("status")
    return status in ("completed", "failed", "cancelled") or message["type"] == "error"


def digest(texts):
    """Number, type, status and progress of each message."""
    found = []
    for text in texts:
        message = json.loads(text)
        body = message.get("payload", message)
        found.append((body["seq"], message["type"], body.get("status"), body.get("progress")))
    return found


def exact(text, value):
    """Whether the value stands in the message, byte for byte."""
    assert value in text, (value, text)


def begin(server, key, **members):
    """A task that waits, all who watch it, and how it stands for them."""
    task = order(server, key, type="training", **members)
    audience = Audience(server, task, key)
    assert (audience.began["status"], audience.began["progress"], audience.began["seq"]) == ("pending", 5, 1)
    for name in ("G", "G deflated"):
        status = json.loads(audience.greetings[name][1])
        assert (status["status"], status["progress"], status["seq"]) == ("pending", 5, 1)
    [listed] = json.loads(audience.greetings["N"][1])["tasks"]
    assert (listed["task_id"], listed["status"], listed["progress"], listed["seq"]) == (task, "pending", 5, 1)
    for name in ("P", "P lines"):
        assert digest(audience.greetings[name][-1:]) == [(1, "progress", "pending", 5)]
    assert audience.polled() == {"D": ("queued",), "G": ("pending", 1, 5), "N": ("pending", 1, 5), "P": ("pending", 1, 5)}
    return task, audience


def check(told, gpu, user, hub):
    """Everybody was told exactly this, once and in order."""
    assert digest(told["G"]) == digest(told["G deflated"]) == digest(told["E"]) == gpu
    assert told["G deflated"] == told["G"] and told["E"] == [straight(text) for text in told["G"]]
    assert digest(told["N"]) == user
    assert digest(told["P"]) == digest(told["P lines"]) == hub
    assert told["P lines"] == [straight(text) for text in told["P"]]


def run_on(worker, task):
    """The worker takes the task and works: numbers 2 to 6."""
    worker.send("ready")
    worker.take(task)
    worker.send("task_progress", taskId=task, progress=50, message="half", step="train")
    worker.send("task_logs", taskId=task, logs="a line")
    worker.send("task_progress", taskId=task, progress=33.3)
    worker.send_text('{"type":"task_progress","taskId":"%s","progress":"a word"}' % task)
    assert worker.receive("error")
    worker.send("task_progress", taskId=task, progress=100, current_step="last", total_steps=9, completed_steps=9)


RUN = {
    "gpu": [(2, "task_status_update", "running", 20), (3, "task_progress", None, 60), (4, "task_logs", None, None),
            (5, "task_progress", None, 60), (6, "task_progress", None, 80)],
    "user": [(2, "task_status", "running", 20), (3, "task_status", "progress", 60), (5, "task_status", "progress", 60),
             (6, "task_status", "progress", 80)],
    "hub": [(2, "status", "running", None), (3, "progress", "running", 60), (5, "progress", "running", 60),
            (6, "progress", "running", 80)],
}


def test_success(guarded, worker, key):
    task, audience = begin(guarded, key)
    with audience:
        run_on(worker, task)
        assert worker.fence() == []
        polled = audience.polled()
        assert polled == {"D": ("executing",), "G": ("running", 6, 80), "N": ("running", 6, 80), "P": ("running", 6, 80)}
        worker.send_text('{"type":"task_complete","duration":1500,"taskId":"%s","result": %s ,"cost_info":{"total_cost":2.450}}'
                         % (task, RESULT))
        worker.acknowledged(task)
        # The end is final: a second word changes nothing and is told to nobody.
        worker.fail(task, "too late")
        assert worker.receive("error")["error"] == "Task already completed"
        told = audience.told({"G": 1, "N": 1, "P": 1})
        check(told, RUN["gpu"] + [(7, "task_completed", None, None)], RUN["user"] + [(7, "task_status", "completed", 100)],
              RUN["hub"] + [(7, "status", "completed", None)])
        for name, member in (("G", "result_data"), ("G deflated", "result_data"), ("N", "result"), ("P", "result")):
            exact(told[name][-1], f'"{member}":{RESULT}')
        exact(told["E"][-1], f'"result_data":{straight(RESULT)}')
        exact(told["P lines"][-1], f'"result":{straight(RESULT)}')
        exact(told["G"][-1], '"cost_info":{"total_cost":2.450}')
        end = json.loads(told["G"][-1])
        assert (end["success"], end["execution_time"]) == (True, 1.5)
        polled = audience.polled()
        assert polled == {"D": ("completed",), "G": ("completed", 7, 100), "N": ("completed", 7, 100), "P": ("completed", 7, 100)}
        for path in (f"/api/task/{task}", f"/api/task/task/{task}/status", f"/api/gpu/tasks/{task}"):
            exact(guarded.get(path, **bearer(key)).body.decode(), RESULT)


def test_failure(guarded, worker, key):
    task, audience = begin(guarded, key)
    with audience:
        run_on(worker, task)
        worker.send_text('{"type":"task_error","taskId":"%s","error":"%s","error_code":"OOM","error_type":"MemoryError",'
                         '"error_details":%s,"duration":2000}' % (task, WORDS, DETAILS))
        worker.acknowledged(task)
        told = audience.told({"G": 2, "N": 1, "P": 2})
        check(told, RUN["gpu"] + [(7, "task_error", None, None), (7, "task_completed", None, None)],
              RUN["user"] + [(7, "task_status", "failed", 80)],
              RUN["hub"] + [(7, "status", "failed", None), (7, "error", None, None)])
        words = json.loads(f'"{WORDS}"')
        error, end = map(json.loads, told["G"][-2:])
        assert (error["error_message"], error["error_code"], error["error_type"]) == (words, "OOM", "MemoryError")
        exact(told["G"][-2], f'"error_details":{DETAILS}')
        exact(told["E"][-2], f'"error_details":{straight(DETAILS)}')
        assert (end["success"], end["execution_time"]) == (False, 2)
        failed = json.loads(told["N"][-1])
        assert (failed["error"], failed["error_type"]) == (words, "MemoryError")
        status, error = (json.loads(text)["payload"] for text in told["P"][-2:])
        assert (status["error"], error["error"], error["execution_id"]) == (words, words, task)
        polled = audience.polled()
        assert polled == {"D": ("failed",), "G": ("failed", 7, 80), "N": ("failed", 7, 80), "P": ("failed", 7, 80)}
        assert guarded.get(f"/api/task/{task}", **bearer(key)).json["error"] == words


def test_cancellation(guarded, worker, key):
    task, audience = begin(guarded, key)
    with audience:
        run_on(worker, task)
        assert worker.fence() == []
        assert guarded.request("POST", f"/api/task/{task}/cancel", headers=bearer(key)).json["status"] == "cancelled"
        assert worker.receive() == {"type": "cancel", "taskId": task}
        told = audience.told({"G": 2, "N": 1, "P": 1})
        check(told, RUN["gpu"] + [(7, "task_cancelled", None, None), (7, "task_completed", None, None)],
              RUN["user"] + [(7, "task_status", "cancelled", 80)], RUN["hub"] + [(7, "status", "cancelled", None)])
        cancelled, end = map(json.loads, told["G"][-2:])
        assert cancelled["reason"] == "Task was cancelled by user request" and end["success"] is False
        polled = audience.polled()
        assert polled == {"D": ("cancelled",), "G": ("cancelled", 7, 80), "N": ("cancelled", 7, 80), "P": ("cancelled", 7, 80)}


def test_large_messages_keep_their_place(guarded, worker, key):
    """What is above 64 KiB is read and compressed by other threads; what comes behind it stays behind it."""
    task, audience = begin(guarded, key)
    other = order(guarded, key)
    with audience:
        worker.send("ready", concurrency=2)
        worker.take(task)
        worker.take(other)
        said = [(2, "task_status_update", None)]
        for turn in range(5):
            # A large report, small ones right behind it, a large log, and in the midst of it another task's large result.
            info = '{"turn":%d.0,"blob":"%s"}' % (turn, "b" * (70_000 + 40_000 * turn))
            batch = ['{"type":"task_progress","taskId":"%s","progress":%d,"step_info":%s}' % (task, turn, info)]
            batch += [{"type": "task_logs", "taskId": task, "logs": f"{turn}, {n}"} for n in range(20)]
            batch += [{"type": "task_complete", "taskId": other, "result": "o" * 80_000}] * (turn == 2)
            batch += [{"type": "task_progress", "taskId": task, "progress": turn, "message": f"{turn}, {n}"} for n in range(20)]
            batch += [{"type": "task_logs", "taskId": task, "logs": f"{turn} " + "l" * 60_000}]
            send_at_once(worker, batch)
            worker.fence()
            for report in (report if isinstance(report, dict) else json.loads(report) for report in batch):
                if report["taskId"] == task:
                    said.append((said[-1][0] + 1, report["type"], report.get("logs")))
        result = '{"r":"%s","n":1.0}' % ("r" * 300_000)
        send_at_once(worker, ['{"type":"task_complete","taskId":"%s","result":%s}' % (task, result),
                              {"type": "task_logs", "taskId": task, "logs": "behind the end"}])
        last = said[-1][0] + 1
        told = audience.told({"G": 1, "N": 1, "P": 1})
        # So much at once is more than waits in order: newer progress may have taken the place of older, and nothing else of anything.
        words = {number: (kind, logs) for number, kind, logs in said} | {last: ("task_completed", None)}
        kept = [number for number, (kind, _) in words.items() if kind != "task_progress"]
        newest = max(number for number, (kind, _) in words.items() if kind == "task_progress")
        for name, texts in told.items():
            numbers = [number for number, *_ in digest(texts)]
            assert numbers == sorted(set(numbers)) and {newest, last} <= set(numbers), name
            if name in ("N", "P", "P lines"):
                assert all(words[number][0] != "task_logs" for number in numbers), name
                exact(texts[-1], f'"result":{result}')
                continue
            messages = [json.loads(text) for text in texts]
            assert [(message["type"], message.get("logs")) for message in messages] == [words[number] for number in numbers], name
            assert set(kept) <= set(numbers), name
            exact(texts[-1], f'"result_data":{result}')
        for name in ("G", "G deflated", "E"):
            [large] = [text for text in told[name] if '"step_info":{"' in text and '"turn":4.0' in text][:1]
            exact(large, '"turn":4.0,"blob":"' + "b" * 230_000 + '"}')


def test_a_user_with_many_tasks_hears_all_of_each_once(launch, key):
    server = launch(JWT_SECRET=SECRET)
    publisher = {"Authorization": f"Bearer {token('service', '--role', 'publisher')}"}
    count = 50
    reported = [f"run/{n}" for n in range(count)]

    def report(*events):
        answer = server.request("POST", "/api/task/events", {"events": list(events)}, publisher)
        assert all(verdict["ok"] for verdict in answer.json["data"]["verdicts"]), answer

    with Worker(server, "default", explicit=True) as worker:
        dispatched = [order(server, key, metadata={"n": n}) for n in range(count)]
        # A hundred names, of which half are of tasks that there are not yet.
        with user_socket(server, USER, key) as user, hub_socket(server, *dispatched, *reported, token=key) as hub:
            known = {task["task_id"]: [task["seq"]] for task in json.loads(user.told[1])["tasks"]}
            assert known == {task: [1] for task in dispatched}
            subscribed = {}
            for text in hub.told:
                message = json.loads(text)
                if message["type"] == "progress":
                    subscribed.setdefault(message["task_id"], []).append(message["payload"]["seq"])
                elif message["type"] == "subscribed":
                    topics = message["payload"]["topics"]
            hub.say(action="ping")
            while (message := hub.hear())["type"] != "pong":
                subscribed.setdefault(message["task_id"], []).append(message["payload"]["seq"])
            assert subscribed == known and sorted(topics) == sorted(dispatched + reported)
            heard, of_hub = dict(known), {task: list(numbers) for task, numbers in subscribed.items()}
            report(*({"event": "register", "task_id": task, "user_id": USER} for task in reported))
            worker.send("ready", concurrency=count)
            assert sorted(worker.take()["taskId"] for _ in dispatched) == sorted(dispatched)
            for turn in range(4):
                send_at_once(worker, ({"type": "task_progress", "taskId": task, "progress": turn * 20} for task in dispatched))
                report(*({"event": "progress", "task_id": task, "progress": turn * 20} for task in reported))
                assert worker.fence() == []
            for index, task in enumerate(dispatched):
                worker.complete(task, {"n": index}) if index % 2 else worker.fail(task, "for nothing")
            report(*({"event": "completed" if index % 2 else "cancelled", "task_id": task} for index, task in enumerate(reported)))

            def collect(watcher, found, kinds):
                ended = set()
                while len(ended) < 2 * count:
                    message = watcher.hear()
                    body = message.get("payload", message)
                    if message["type"] == "error":
                        continue
                    assert message["type"] in kinds, message
                    found.setdefault(message["task_id"], []).append(body["seq"])
                    if body["status"] in ("completed", "failed", "cancelled"):
                        assert message["task_id"] not in ended
                        ended.add(message["task_id"])
            collect(user, heard, {"task_status"})
            collect(hub, of_hub, {"status", "progress"})
            # Dispatched: queued, started, four reports, the end. Reported: registered, four reports, of which the first is its start, too.
            for found in (heard, of_hub):
                assert {task: found[task] for task in dispatched} == {task: list(range(1, 8)) for task in dispatched}
                lives = {tuple(found[task]) for task in reported}
                assert len(lives) == 1 and (life := lives.pop()) == tuple(range(1, len(life) + 1)), lives
