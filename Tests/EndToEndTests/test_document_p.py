"""The document of the hub: its own snippets under Node, its messages heard by two stock Python clients, its REST side, and clients that
are cut off hundreds of times and miss nothing."""
import asyncio
import json
import random
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
import websocket
import websockets

from documents import node, node_has
from servers import BOUND, eventually
from workers import Closed, Worker

FOLDER = Path(__file__).parent / "document_p"
PROGRESS = {"task_id", "progress", "current_step", "total_steps", "completed_steps", "message", "status", "timestamp", "seq"}


class Client:
    """One client of the hub, on the stock websocket-client."""

    def __init__(self, server, query="", path="/api/v1/ws", **options):
        self.socket = websocket.create_connection(server.url(path + query, "ws"), timeout=BOUND, **options)
        self.greeting = self.hear()
        self.id = self.greeting["payload"]["client_id"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(timeout=BOUND)

    def hear(self, *kinds):
        """The next message, or the next ones, which must be of these types."""
        heard = []
        while len(heard) < max(len(kinds), 1):
            opcode, data = self.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise Closed(struct.unpack(">H", data[:2])[0])
            message = json.loads(data)
            assert set(message) == {"type", "task_id", "payload"}, message
            assert not kinds or message["type"] == kinds[len(heard)], message
            heard.append(message)
        return heard if len(heard) > 1 else heard[0]

    def say(self, **members):
        self.socket.send(json.dumps(members))

    def subscribe(self, task):
        """Subscribes; returns the topics."""
        self.say(action="subscribe", task_id=task)
        return self.hear("subscribed")["payload"]["topics"]

    def vanish(self):
        """Ends the connection without a word."""
        self.socket.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.sock.close()


@pytest.fixture
def worker(server, group):
    with Worker(server, group, ready={"concurrency": 8}) as worker:
        worker.group = group
        yield worker


def begin(server, worker):
    """A task in the worker's hands."""
    task = server.queue(worker.group)
    worker.take(task)
    return task


# The document's snippets


def prelude(server, **constants):
    """What stands around a snippet in its page: the browser's WebSocket, React's useEffect, and the names that it uses."""
    assert node_has("require.resolve('ws')"), "the snippets need a browser's WebSocket; the package ws has it (Debian: node-ws)"
    names = "".join(f"const {name} = {json.dumps(value)}\n" for name, value in constants.items())
    return f"const WebSocket = require('ws')\nconst useEffect = (effect) => effect()\n{names}"


@pytest.fixture
def script(tmp_path):
    def write(server, name, after="", **constants):
        path = tmp_path / name
        path.write_text(prelude(server, **constants) + (FOLDER / name).read_text(encoding="utf-8") + after, encoding="utf-8")
        return path
    return write


def test_reconnect_snippet(server, worker, script):
    task = begin(server, worker)
    with Client(server) as client:
        client.subscribe(task)
        client.hear("progress")
        name = client.id
        client.vanish()
    eventually(lambda: server.get("/api/v1/progress/active").json["connected_clients"] == 0, "the end of the socket")
    worker.send("task_progress", taskId=task, progress=50, message="missed")
    assert worker.fence() == []
    more = "\nconst heard = ws.onmessage\nws.onmessage = (event) => { heard(event); console.log(JSON.parse(event.data).type) }\n"
    with node(script(server, "reconnect.js", more, wsUrl=server.url("/api/v1/ws/reconnect", "ws"), oldClientId=name)) as program:
        program.says("progress")
        assert program.output.seen == [f"已恢复订阅: {{ '{task}': true }}", "reconnected", "progress"]
    worker.finish(task)


def test_debugging_snippet(server, script):
    with node(script(server, "debug.js", url=server.url("/api/v1/ws?user_id=user-123&project_id=project-456", "ws"))) as program:
        program.says("WebSocket已连接")
        line = program.says("收到消息:")
        assert json.loads(line.removeprefix("收到消息: "))["payload"]["message"] == "WebSocket连接成功"
        stats = server.get("/api/v1/websocket/stats").json
        assert (stats["by_user"], stats["by_project"]) == ({"user-123": 1}, {"project-456": 1})


def test_heartbeat_snippet(server, script, tmp_path):
    """Its thirty seconds pass at once: only the clock of the snippet is another."""
    path = script(server, "heartbeat.js")
    path.write_text(
        "const ws = new (require('ws'))(" + json.dumps(server.url("/api/v1/ws", "ws")) + ")\n"
        "ws.onmessage = (event) => console.log(event.data)\n"
        "const setInterval = (beat, delay) => globalThis.setInterval(beat, delay / 300)\n" + path.read_text(encoding="utf-8"),
        encoding="utf-8")
    with node(path) as program:
        pong = json.loads(program.says('"pong"'))
        assert abs(pong["payload"]["timestamp"] - time.time()) < 60 and pong["task_id"] == ""


# Messages


def test_a_task_from_beginning_to_end(server, worker):
    task = begin(server, worker)
    with Client(server, "?user_id=u1") as client:
        assert client.greeting["type"] == "connected" and client.id.startswith("client-") and len(client.id) == 39
        assert client.subscribe(task) == [task]
        state = client.hear("progress")["payload"]
        assert set(state) == PROGRESS and state["status"] == "running"
        worker.send("task_progress", taskId=task, progress=50, message="正在处理第4个片段...", current_step="处理视频片段", total_steps=10,
                    completed_steps=4)
        payload = client.hear("progress")["payload"]
        assert set(payload) == PROGRESS and payload["progress"] == 60
        assert (payload["current_step"], payload["total_steps"], payload["completed_steps"]) == ("处理视频片段", 10, 4)
        client.say(type="ping")
        assert isinstance(client.hear("pong")["payload"]["timestamp"], int)
        worker.finish(task, {"output": "..."})
        status = client.hear("status")["payload"]
        assert (status["status"], status["error"], status["result"]) == ("completed", "", {"output": "..."})
        client.say(action="unsubscribe", task_id=task)
        assert client.hear("unsubscribed")["payload"]["topics"] == []


def test_a_failure_is_two_messages(server, worker):
    task = begin(server, worker)
    with Client(server) as client:
        client.subscribe(task)
        client.hear("progress")
        worker.fail(task, "处理失败：网络超时")
        worker.acknowledged(task)
        status, error = client.hear("status", "error")
        assert status["payload"]["status"] == "failed"
        assert (error["payload"]["execution_id"], error["payload"]["error"]) == (task, "处理失败：网络超时")


def test_lines(server, worker):
    """Many messages in one turn come as lines of few frames, where a client asks for that."""
    task = begin(server, worker)
    with Client(server, "?batch=ndjson") as client:
        client.subscribe(task)
        client.hear("progress")
        reports = [{"type": "task_progress", "taskId": task, "progress": number / 2, "message": str(number)} for number in range(200)]
        worker.socket.sock.sendall(b"".join(
            websocket.ABNF.create_frame(json.dumps(report), websocket.ABNF.OPCODE_TEXT).format() for report in reports))
        frames, heard = 0, []
        while len(heard) < 200:
            lines = client.socket.recv().split("\n")
            frames += 1
            heard += [json.loads(line)["payload"]["message"] for line in lines]
        assert heard == [str(number) for number in range(200)] and frames <= 20
    worker.finish(task)


def test_requests(server, worker):
    task = begin(server, worker)
    for number in (10, 20, 30):
        worker.send("task_progress", taskId=task, progress=number, message=str(number))
    assert worker.fence() == []
    now = server.get(f"/api/v1/progress/{task}")
    assert now.status == 200 and set(now.json) == PROGRESS and now.json["message"] == "30"
    memory = server.get(f"/api/v1/progress/{task}/history?limit=2").json
    assert (memory["task_id"], memory["source"], [row["message"] for row in memory["history"]]) == (task, "memory", ["20", "30"])

    def stored():
        answer = server.get(f"/api/v1/progress/{task}/history/db?limit=3")
        assert answer.status == 200 and answer.json["source"] == "database", answer
        return [row["message"] for row in answer.json["history"]] == ["10", "20", "30"]
    eventually(stored, "the rows")
    with Client(server, "?user_id=rest") as client:
        answer = server.request("POST", f"/api/v1/progress/{task}/subscribe?client_id={client.id}")
        assert answer.json == {"message": "订阅成功", "task_id": task, "client_id": client.id}
        subscribed, state = client.hear("subscribed", "progress")
        assert subscribed["payload"]["topics"] == [task] and state["payload"]["message"] == "30"
        assert server.get("/api/v1/progress/active").json["by_user"]["rest"] == 1
        assert server.request("POST", f"/api/v1/progress/{task}/unsubscribe?client_id={client.id}").status == 200
        assert client.hear("unsubscribed")["payload"]["topics"] == []
    cleared = server.request("DELETE", f"/api/v1/progress/{task}/history")
    assert cleared.json == {"message": "历史已清除", "task_id": task}
    assert server.get(f"/api/v1/progress/{task}/history").json["history"] == []
    eventually(lambda: server.get(f"/api/v1/progress/{task}/history/db").json["history"] == [], "the end of the rows")
    stats = server.get("/api/v1/progress/stats").json
    assert set(stats) == {"total_tasks", "active_tasks", "completed_tasks", "failed_tasks"} and stats["active_tasks"] >= 1
    worker.finish(task)
    assert server.get("/api/v1/progress/nobody").status == 404


def test_a_session_ends_after_its_time(launch, group):
    server = launch("--session-resume-ms", "200")
    with Client(server) as client:
        name = client.id
    time.sleep(0.5)
    with Client(server, f"?old_client_id={name}") as client:
        assert client.greeting["type"] == "connected"


# Coming back


def test_a_clients_name_is_in_no_log_line(launch):
    """Who knows it speaks for the client."""
    server = launch(LOG_LEVEL="debug")
    with Client(server) as client, Client(server, f"?old_client_id={client.id}") as heir:
        names = [client.id, heir.id]
    assert server.log.first(lambda line: "hub client connected" in line)
    assert server.stop() == 0
    assert [line for line in server.log.seen if any(name in line for name in names)] == []


def test_more_than_memory_holds_comes_from_the_database(server, worker):
    task = begin(server, worker)
    with Client(server) as client:
        client.subscribe(task)
        first = client.hear("progress")["payload"]["seq"]
        name = client.id
    for number in range(500):
        worker.send("task_progress", taskId=task, progress=number / 5)
    assert worker.fence() == []
    with Client(server, f"?old_client_id={name}") as client:
        payload = client.greeting["payload"]
        assert (payload["old_client_id"], payload["subscribed"]) == (name, {task: True}) and "recovered" not in payload
        assert [client.hear("progress")["payload"]["seq"] for _ in range(500)] == list(range(first + 1, first + 501))
    worker.finish(task)


class Listener:
    """A client on the stock websockets that is cut off again and again, and keeps count of what it heard."""

    def __init__(self, server, tasks, seed):
        self.server, self.tasks, self.random = server, tasks, random.Random(seed)
        self.name, self.seen, self.returns, self.faults, self.ended = None, {}, 0, [], set()

    async def run(self, over):
        while not over.is_set():
            await self.session(self.random.random() * 0.2)
        await self.session(None)

    async def session(self, seconds):
        """One socket, for so long; to the ends of all tasks where it is None."""
        query = ""
        if self.name:
            positions = ",".join(f"{task}:{last}" for task, last in self.seen.items())
            query = f"?old_client_id={self.name}" + (f"&last_seq={positions}" if positions else "")
        async with websockets.connect(self.server.url("/api/v1/ws" + query, "ws"), open_timeout=BOUND, max_queue=None) as connection:
            greeting = json.loads(await connection.recv())
            self.name = greeting["payload"]["client_id"]
            if greeting["type"] == "reconnected":
                self.returns += 1
                if "recovered" in greeting["payload"]:
                    self.faults.append(greeting)
            else:
                self.seen = {}
            known = greeting["payload"].get("subscribed", {})
            for task in self.tasks:
                if task not in known:
                    await connection.send(json.dumps({"action": "subscribe", "task_id": task}))
            end = None if seconds is None else time.monotonic() + seconds
            while seconds is None and not self.done or end and time.monotonic() < end:
                try:
                    message = json.loads(await asyncio.wait_for(connection.recv(), BOUND if end is None else max(end - time.monotonic(), 0)))
                except TimeoutError:
                    break
                self.hear(message)
            if end is not None and self.random.random() < 0.7:
                connection.transport.abort()

    @property
    def done(self):
        return len(self.ended) == len(self.tasks)

    def hear(self, message):
        if "seq" not in message["payload"]:
            return
        task, sequence = message["task_id"], message["payload"]["seq"]
        last = self.seen.get(task)
        if last is not None and sequence != last + 1:
            self.faults.append((task, last, message))
        self.seen[task] = sequence
        if message["type"] == "status" and message["payload"]["status"] == "completed":
            self.ended.add(task)


def test_hundreds_of_reconnects_miss_nothing(server, worker):
    tasks = [begin(server, worker) for _ in range(6)]
    over = threading.Event()

    def produce():
        end, number = time.monotonic() + 7, 0
        while time.monotonic() < end:
            worker.send("task_progress", taskId=tasks[number % 6], progress=min(number / 50, 100), message=str(number))
            number += 1
            time.sleep(0.0005)
        over.set()
        for task in tasks:
            worker.complete(task)

    async def listen(listeners):
        await asyncio.wait_for(asyncio.gather(*(listener.run(over) for listener in listeners)), BOUND)

    listeners = [Listener(server, tasks, seed) for seed in range(12)]
    producer = threading.Thread(target=produce)
    producer.start()
    asyncio.run(listen(listeners))
    producer.join()
    assert [listener.faults[:2] for listener in listeners] == [[]] * len(listeners)
    sequences = {task: server.get(f"/api/v1/progress/{task}").json["seq"] for task in tasks}
    assert all(listener.seen == sequences for listener in listeners)
    assert sum(listener.returns for listener in listeners) > 200
    for _ in tasks:
        worker.receive("task_ack")
