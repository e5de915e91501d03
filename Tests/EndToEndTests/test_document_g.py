"""The document of one socket per task: its own clients, run as real processes with the packages that they name, and its promises."""
import base64
import hashlib
import hmac
import json
import struct
import time
from pathlib import Path

import pytest
import websocket

from documents import node, node_has, python
from servers import BOUND, eventually, run
from workers import Closed, Worker

FOLDER = Path(__file__).parent / "document_g"
SECRET = "a secret of these tests, and of nobody else"
FOREIGN = "another secret, which this server does not have"


def token(user, *options, secret=SECRET):
    """A token, made as an operator makes one."""
    made = run("token", "--sub", user, *options, JWT_SECRET=secret)
    assert made.returncode == 0 and made.stderr == "", made
    return made.stdout.strip()


def ending_token(user, seconds):
    """A token of another issuer that has ended, and is taken for so much longer: clocks may differ by half a minute."""
    def part(data): return base64.urlsafe_b64encode(data).rstrip(b"=")
    claims = {"sub": user, "exp": int(time.time()) - 30 + seconds}
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def alice():
    return token("alice")


@pytest.fixture
def guarded(launch):
    """A server whose secret is known, as it is out of the box otherwise."""
    return launch(JWT_SECRET=SECRET)


@pytest.fixture
def worker(guarded):
    """A worker that takes nothing yet: tasks wait for it."""
    with Worker(guarded, "default", explicit=True) as worker:
        yield worker


def order(server, token, **members):
    """Gives a task in; returns its id."""
    answer = server.request("POST", "/api/gpu/tasks", {"data": {"n": 1}} | members, bearer(token))
    assert answer.status == 200, answer
    assert answer.json["seq"] >= 1
    return answer.json["task_id"]


def watchers(server, task, token):
    answer = server.get(f"/api/gpu/tasks/{task}/connections", **bearer(token))
    assert answer.status == 200, answer
    return answer.json


def take(worker, task):
    """Takes the task that waited for this worker."""
    worker.send("ready")
    return worker.take(task)


class Watcher:
    """One socket on a task."""

    def __init__(self, server, task, query="", **options):
        self.socket = websocket.create_connection(server.url(f"/api/gpu/tasks/{task}/ws{query}", "ws"), timeout=BOUND, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(timeout=BOUND)

    def hear(self, *kinds):
        """The next messages; they must be of these types. Returns them, or the one. A heartbeat may stand between any two."""
        heard = []
        while len(heard) < len(kinds):
            opcode, data = self.socket.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                raise Closed(struct.unpack(">H", data[:2])[0])
            message = json.loads(data)
            if message["type"] == "heartbeat":
                assert set(message) == {"type", "task_id", "timestamp"}
                continue
            assert message["type"] == kinds[len(heard)], message
            heard.append(message)
        return heard if len(heard) > 1 else heard[0]

    def greeted(self):
        """Hears the two first messages; returns how the task stands."""
        return self.hear("connection_established", "current_status")[1]

    def say(self, kind, **members):
        self.socket.send(json.dumps({"type": kind} | members))

    def closed(self):
        """The code and the words of the close frame, which comes next."""
        opcode, data = self.socket.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE, data
        return struct.unpack(">H", data[:2])[0], data[2:].decode()


# The document's clients


@pytest.fixture
def program(tmp_path):
    """Writes a program of the document to a file that can be run. Only its address, its task and its token are others, and one word:
    the package websockets calls `additional_headers` since its version 14 what it called `extra_headers` before."""
    def write(name, server, task, token):
        text = (FOLDER / name).read_text(encoding="utf-8")
        for old, new in (("localhost:8000", server.address), ("your-task-id", task), ("your-auth-token", token)):
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text.replace("extra_headers", "additional_headers"), encoding="utf-8")
        return path
    return write


def play(server, worker, task, alice, error=None):
    """Waits for the watcher, then does the task; with an error, it fails of it."""
    eventually(lambda: watchers(server, task, alice)["connection_count"] == 1, "the watcher")
    take(worker, task)
    worker.send("task_progress", taskId=task, progress=50, message="第 3 批")
    worker.send("task_logs", taskId=task, logs="Model training started with batch size 32")
    worker.send("task_logs", taskId=task, logs="显存不足", level="WARNING")
    if error:
        worker.fail(task, error)
    else:
        worker.complete(task, {"exit_code": 0}, cost_info={"total_cost": 2.45, "currency": "USD"})
    worker.acknowledged(task)


def test_python_client_is_told_of_success(guarded, worker, alice, program):
    task = order(guarded, alice)
    with python(program("client.py", guarded, task, alice)) as client:
        play(guarded, worker, task, alice)
        code, output = client.end()
    assert output.splitlines() == [
        f"Connected to task {task}", "Status: running, Progress: 20%", "[INFO] Model training started with batch size 32",
        "[WARNING] 显存不足", "Task completed: Success"]
    assert code == 0


def test_python_client_is_told_of_failure(guarded, worker, alice, program):
    """The program leaves at task_completed: it must hear that of a task that failed, too."""
    task = order(guarded, alice)
    with python(program("client.py", guarded, task, alice)) as client:
        play(guarded, worker, task, alice, error="GPU memory allocation failed")
        code, output = client.end()
    assert output.splitlines()[-1] == "Task completed: Failed"
    assert code == 0


def test_python_client_comes_after_the_end(guarded, worker, alice, program):
    task = order(guarded, alice)
    take(worker, task)
    worker.finish(task)
    with python(program("client.py", guarded, task, alice)) as client:
        code, output = client.end()
    assert output.splitlines() == [f"Connected to task {task}", "Task completed: Success"]
    assert code == 0


def test_node_client(guarded, worker, alice, program):
    assert node_has("require.resolve('ws')"), "the document's JavaScript client sends a header, as the package ws can (Debian: node-ws)"
    task = order(guarded, alice)
    path = program("client.js", guarded, task, alice)
    path.write_text("const WebSocket = require('ws');\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with node(path) as client:
        play(guarded, worker, task, alice)
        client.says("Task completed: ")
        assert client.output.seen == [
            f"Connected to task {task}", "Status: running, Progress: 20%", "Progress: 60% - 第 3 批",
            "[INFO] Model training started with batch size 32", "[WARNING] 显存不足", "Task completed: Success"]


# What a watcher hears


def test_watcher_hears_all_in_order_and_once(guarded, worker, alice):
    task = order(guarded, alice, provider="runpod", priority="high")
    with Watcher(guarded, task, header=bearer(alice)) as watcher:
        first = watcher.hear("connection_established")
        assert first["connection_id"].startswith("conn_") and first["task_id"] == task
        status = watcher.hear("current_status")
        assert (status["status"], status["progress"], status["provider"], status["priority"]) == ("pending", 5, "runpod", "high")
        assert status["started_at"] is None
        play(guarded, worker, task, alice)
        started, progress, log, warning, end = watcher.hear(
            "task_status_update", "task_progress", "task_logs", "task_logs", "task_completed")
        assert [message["seq"] - status["seq"] for message in (started, progress, log, warning, end)] == [1, 2, 3, 4, 5]
        assert started["data"]["started_at"] and started["message"] == "Task status updated to running"
        assert (progress["progress"], progress["message"], progress["step_info"]) == (60, "第 3 批", {"worker_progress": 50})
        assert (log["level"], log["source"], warning["level"]) == ("INFO", "worker", "WARNING")
        assert end["success"] is True and end["result_data"] == {"exit_code": 0} and end["execution_time"] == 1
        assert end["cost_info"] == {"total_cost": 2.45, "currency": "USD"}


def test_watcher_of_a_cancelled_task(guarded, worker, alice):
    task = order(guarded, alice)
    with Watcher(guarded, task, header=bearer(alice)) as watcher:
        watcher.greeted()
        assert guarded.request("POST", f"/api/gpu/tasks/{task}/cancel", headers=bearer(alice)).status == 200
        cancelled, end = watcher.hear("task_cancelled", "task_completed")
        assert cancelled["reason"] == "Task was cancelled by user request" and end["success"] is False


def test_watcher_asks(guarded, worker, alice):
    task = order(guarded, alice)
    with Watcher(guarded, task, header=bearer(alice)) as watcher:
        standing = watcher.greeted()
        watcher.say("ping", timestamp="2024-01-01T10:05:00Z")
        assert set(watcher.hear("pong")) == {"type", "timestamp"}
        watcher.say("get_status")
        answer = watcher.hear("status_response")
        assert (answer["task_id"], answer["status"], answer["seq"]) == (task, "pending", standing["seq"])
        watcher.socket.send("{")
        assert watcher.hear("error")["message"] == "Error processing message: Invalid JSON format"
        watcher.say("ping")
        watcher.hear("pong")


def test_what_was_missed_is_told_again(guarded, worker, alice):
    task = order(guarded, alice)
    take(worker, task)
    for number in range(3):
        worker.send("task_logs", taskId=task, logs=str(number))
    assert worker.fence() == []
    with Watcher(guarded, task, header=bearer(alice)) as whole:
        last = whole.greeted()["seq"]
    for seen, missed in ((last - 3, ["0", "1", "2"]), (last - 1, ["2"]), (last, [])):
        with Watcher(guarded, task, f"?last_seq={seen}", header=bearer(alice)) as watcher:
            assert watcher.greeted()["seq"] == last
            for number, text in enumerate(missed):
                log = watcher.hear("task_logs")
                assert (log["logs"], log["seq"]) == (text, seen + 1 + number)
            # Nothing comes twice: what follows is the answer to this.
            watcher.say("ping")
            watcher.hear("pong")
    with Watcher(guarded, task, f"?last_seq={last}", header=bearer(alice)) as watcher:
        watcher.greeted()
        worker.send("task_logs", taskId=task, logs="3")
        assert watcher.hear("task_logs")["seq"] == last + 1
        worker.finish(task, {"ok": True})
        assert watcher.hear("task_completed")["seq"] == last + 2
    with Watcher(guarded, task, f"?last_seq={last}", header=bearer(alice)) as late:
        assert late.greeted()["status"] == "completed"
        log, end = late.hear("task_logs", "task_completed")
        assert (log["seq"], end["seq"], end["result_data"]) == (last + 1, last + 2, {"ok": True})


def test_last_seq_must_be_a_number(guarded, worker, alice):
    task = order(guarded, alice)
    with pytest.raises(websocket.WebSocketBadStatusException, match="400"):
        Watcher(guarded, task, "?last_seq=soon", header=bearer(alice))


# Who may watch


def test_three_ways_to_send_a_token(guarded, worker, alice):
    task = order(guarded, alice)
    with Watcher(guarded, task, header=bearer(alice)) as watcher:
        watcher.greeted()
    with Watcher(guarded, task, f"?token={alice}") as watcher:
        watcher.greeted()
    with Watcher(guarded, task, subprotocols=["bearer", alice]) as watcher:
        assert watcher.socket.subprotocol == "bearer"
        watcher.greeted()


@pytest.mark.parametrize("given", [{}, {"header": bearer("nonsense")}, {"secret": FOREIGN}], ids=["none", "bad", "forged"])
def test_without_a_good_token_the_socket_closes_with_4003(guarded, worker, alice, given):
    task = order(guarded, alice)
    if "secret" in given:
        given = {"header": bearer(token("alice", secret=given["secret"]))}
    with Watcher(guarded, task, **given) as watcher:
        assert watcher.closed() == (4003, "authentication failed")


def test_foreign_and_unknown_tasks_close_alike_with_4004(guarded, worker, alice):
    task = order(guarded, alice)
    bob = bearer(token("bob"))
    with Watcher(guarded, task, header=bob) as foreign, Watcher(guarded, "nobody", header=bob) as unknown:
        assert foreign.closed() == unknown.closed() == (4004, "task not found or access denied")
    for path in (f"/api/gpu/tasks/{task}", f"/api/gpu/tasks/{task}/connections"):
        answer = guarded.get(path, **bob)
        assert (answer.status, answer.json) == (404, {"error": "Task not found or expired"})
    for permitted in (token("bob", "--tasks", task), token("root", "--role", "admin")):
        with Watcher(guarded, task, header=bearer(permitted)) as watcher:
            watcher.greeted()


@pytest.mark.parametrize("method, path", [
    ("POST", "/api/gpu/tasks"), ("GET", "/api/gpu/tasks/any"), ("GET", "/api/gpu/tasks/any/connections"),
    ("GET", "/api/gpu/websocket/stats")])
def test_requests_need_a_token(guarded, method, path):
    answer = guarded.request(method, path, {"data": {}} if method == "POST" else None)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), answer
    answer = guarded.request(method, path, {"data": {}} if method == "POST" else None, bearer("nonsense"))
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"'), answer


def test_a_socket_ends_with_its_token(guarded, worker, alice):
    task = order(guarded, alice)
    with Watcher(guarded, task, header=bearer(ending_token("alice", 2))) as watcher:
        watcher.greeted()
        assert watcher.closed()[0] == 4003


def test_a_refreshed_socket_stays(guarded, worker, alice):
    task = order(guarded, alice)
    with Watcher(guarded, task, header=bearer(ending_token("alice", 3))) as kept, \
            Watcher(guarded, task, header=bearer(ending_token("alice", 3))) as lost:
        kept.greeted()
        lost.greeted()
        kept.say("refresh", token=token("bob"))
        assert kept.hear("error")["message"] == "Error processing message: Invalid or expired token"
        kept.say("refresh", token=alice)
        kept.hear("refreshed")
        # The other one's end is the clock of this test.
        assert lost.closed()[0] == 4003
        kept.say("ping")
        kept.hear("pong")


def test_the_server_makes_a_secret_where_none_was_given(launch):
    server = launch()
    made = run("token", "--sub", "alice", "--data", f"{server.folder.name}/data").stdout.strip()
    with Worker(server, "default", explicit=True):
        task = order(server, made)
        with Watcher(server, task, header=bearer(made)) as watcher:
            watcher.greeted()


def test_nobody_needs_a_token_where_the_operator_says_so(launch):
    server = launch("--auth", "off")
    with Worker(server, "default", explicit=True):
        task = server.request("POST", "/api/gpu/tasks", {"data": {}}).json["task_id"]
        with Watcher(server, task) as watcher:
            watcher.greeted()


# Who watches


def test_who_watches_is_told(guarded, worker, alice):
    first, second = order(guarded, alice), order(guarded, alice)
    foreign = order(guarded, token("bob"))
    with Watcher(guarded, first, header=bearer(alice)) as one, Watcher(guarded, first, header=bearer(alice)) as two, \
            Watcher(guarded, foreign, header=bearer(token("bob"))) as other:
        for watcher in (one, two, other):
            watcher.greeted()
        told = watchers(guarded, first, alice)
        assert (told["task_id"], told["connection_count"], told["has_active_connections"]) == (first, 2, True)
        for connection in told["connections"]:
            assert set(connection) == {"task_id", "user_id", "connected_at", "last_ping"}
            assert (connection["task_id"], connection["user_id"]) == (first, "alice")
        told = watchers(guarded, second, alice)
        assert (told["connection_count"], told["has_active_connections"], told["connections"]) == (0, False, [])

        def statistics(token):
            answer = guarded.get("/api/gpu/websocket/stats", **bearer(token))
            assert answer.status == 200 and answer.json["timestamp"]
            numbers = answer.json["websocket_statistics"]
            return numbers["total_connections"], numbers["active_tasks"], numbers["task_connection_counts"]
        assert statistics(alice) == (2, 1, {first: 2})
        assert statistics(token("root", "--role", "admin")) == (3, 2, {first: 2, foreign: 1})
        two.socket.close(timeout=BOUND)
        eventually(lambda: statistics(alice) == (1, 1, {first: 1}), "the watcher's leave")


def test_a_task_is_told_whole(guarded, worker, alice):
    task = order(guarded, alice, type="training", model="m1", priority="low")
    take(worker, task)
    worker.finish(task, {"exit_code": 0})
    answer = guarded.get(f"/api/gpu/tasks/{task}", **bearer(alice)).json
    expected = {"task_id": task, "status": "completed", "progress": 100, "user_id": "alice", "type": "training", "model": "m1",
                "group": "default", "priority": "low", "attempts": 1, "result_data": {"exit_code": 0}}
    assert answer.items() >= expected.items(), answer
