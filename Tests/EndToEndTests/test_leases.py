"""Workers that stop without a word, tasks that run again, and those that failed and are tried again by hand; also across `kill -9`."""
import functools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from websocket import create_connection

from ledger import Home, Returning, kill
from servers import BOUND, Lines, eventually
from workers import Worker

# Takes one task, says which, and goes on only when it is told to: first on the connection that it has, then on a new one under its name.
STUBBORN = """
import json, sys, websocket
url = sys.argv[1]
ws = websocket.create_connection(url)
name = json.loads(ws.recv())["workerId"]
ws.send('{"type": "ready"}')
task = json.loads(ws.recv())
print(json.dumps(task), flush=True)
sys.stdin.readline()
result = json.dumps({"type": "task_complete", "taskId": task["taskId"], "lease": task["lease"], "result": "late"})
try:
    ws.send(result)
    print(json.dumps(ws.recv()), flush=True)
except (OSError, websocket.WebSocketException):
    print('""', flush=True)
ws = websocket.create_connection(url + "&worker_id=" + name)
ws.recv()
ws.send(result)
print(ws.recv(), flush=True)
"""


@pytest.fixture
def home(launch, tmp_path):
    # Lists of dead letters show a user's own, and all where nobody is asked who he is.
    return Home(functools.partial(launch, AUTH="off"), tmp_path / "data")


def metric(server, name):
    line = next(line for line in server.get("/metrics").body.decode().splitlines() if line.startswith(f"signalbox_{name} "))
    return int(line.split()[1])


def letters(server, **query):
    words = "&".join(f"{name}={value}" for name, value in query.items())
    answer = server.get("/api/dead-letters?" + words)
    assert answer.status == 200, answer
    return answer.json["deadLetters"]


def test_a_stopped_worker_loses_its_task_and_its_late_result_is_refused(home):
    server = home.begin("--lease-ms", "600")
    stubborn = subprocess.Popen([sys.executable, "-c", STUBBORN, server.url("/ws?group=g", "ws")],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        output = Lines(stubborn.stdout)
        # It is there before the task is.
        eventually(lambda: metric(server, "workers") == 1, "a worker")
        task_id = server.queue("g", retries=1)
        task = json.loads(output.first(lambda line: task_id in line))
        os.kill(stubborn.pid, signal.SIGSTOP)
        stopped = time.monotonic()
        with Worker(server, "g", ready=True) as worker:
            again = worker.take(task_id)
            assert 0.3 < time.monotonic() - stopped < BOUND
            assert again["lease"] > task["lease"]
            assert metric(server, "worker_leases_expired_total") == 1
            os.kill(stubborn.pid, signal.SIGCONT)
            stubborn.stdin.write("\n")
            stubborn.stdin.flush()
            refused = json.loads(output.first(lambda line: '"error"' in line and task_id in line))
            assert refused == {"type": "error", "error": "Task was assigned anew: this lease is over", "taskId": task_id}
            worker.complete(task_id, "right", lease=again["lease"])
            worker.acknowledged(task_id)
        assert server.task(task_id)["result"] == "right"
    finally:
        stubborn.kill()
        stubborn.wait(BOUND)
        output.thread.join(BOUND)
        stubborn.stdout.close()
        stubborn.stdin.close()


def test_a_worker_that_answers_pings_keeps_its_task_for_as_long_as_it_needs(home):
    server = home.begin("--lease-ms", "300")
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        task = worker.take(task_id)
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            frame = worker.socket.recv_frame()
            assert frame.opcode == 9, frame
            worker.socket.pong(frame.data)
        worker.complete(task_id, 1, lease=task["lease"])
        worker.acknowledged(task_id)


def test_a_worker_that_is_silent_is_told_why_it_ends(home):
    server = home.begin("--lease-ms", "300")
    socket = create_connection(server.url("/ws?group=g", "ws"), timeout=BOUND)
    seen = []
    while True:
        frame = socket.recv_frame()
        seen.append(frame.opcode)
        if frame.opcode == 8:
            break
    assert seen[-3:] == [9, 9, 8], seen
    assert frame.data == (1008).to_bytes(2, "big") + b"no answer to pings"
    socket.shutdown()


def vanish(server, task_id):
    """A worker takes the task and goes without a word."""
    worker = Worker(server, "g", explicit=True)
    worker.send("ready")
    worker.take(task_id)
    worker.vanish()
    eventually(lambda: metric(server, "workers") == 0, "the worker's end")


def test_retries_wait_longer_and_longer_also_across_a_kill(home):
    settings = dict(RETRY_DELAY_MS=4000, MAX_RETRY_DELAY_MS=4000, RECOVERY_GRACE_MS=100)
    for _ in range(10):
        server = home.begin(**settings)
        keeper = Worker(server, "g", explicit=True)
        task_id = server.queue("g", retries=3)
        keeper.close()
        vanish(server, task_id)
        # The first retry is there at once, the second after a while.
        assert server.task(task_id)["position"] == 1 and metric(server, "task_retries_delayed") == 0
        vanish(server, task_id)
        assert metric(server, "task_retries_delayed") == 1
        state = server.task(task_id)
        assert (state["status"], state["position"]) == ("queued", 1)
        (retry_at,), = eventually(
            lambda: home.rows("SELECT retry_at FROM tasks WHERE id = ? AND state = 0 AND retry_at > 0", task_id), "the record")
        if retry_at - time.time() * 1000 > 1500:
            break
        server.cancel(task_id)
        kill(server)
    server = home.again(server, **settings)
    with Worker(server, "g", ready=True) as worker:
        assert metric(server, "task_retries_delayed") == 1 and worker.fence() == []
        task = worker.take(task_id)
        # The server waits by the monotonic clock, and the wall's may have been slewed meanwhile.
        assert time.time() * 1000 >= retry_at - 500, "tried before its time"
        worker.complete(task_id, "third", lease=task["lease"])
        worker.acknowledged(task_id)
    assert server.task(task_id)["result"] == "third" and letters(server) == []


def test_a_worker_that_came_back_says_what_never_reached_it(home):
    server = home.begin()
    with Worker(server, "g", ready={"concurrency": 3}) as worker:
        kept, retried, lost = server.queue("g"), server.queue("g", retries=1), server.queue("g")
        taken = {task_id: worker.take(task_id)["lease"] for task_id in (kept, retried, lost)}
        # What is written of an assignment is written soon, and nobody is told.
        eventually(lambda: home.rows("SELECT count(*) FROM tasks WHERE state = 1") == [(3,)], "three assignments")
        server = home.again(server)
        with Returning(server, "g", worker.id) as back:
            assert back.id == worker.id
            back.send("ready", concurrency=3, tasks=[kept, "somebody-elses"])
            assert back.receive() == {"type": "cancel", "taskId": "somebody-elses"}
            again = back.take(retried)
            assert again["lease"] > taken[retried]
            assert server.until(lost, status="failed")["error"] == "Worker disconnected"
            back.complete(retried, 1, lease=taken[retried])
            assert back.receive("error")["taskId"] == retried
            for task_id, lease in ((retried, again["lease"]), (kept, taken[kept])):
                back.complete(task_id, 2, lease=lease)
                back.acknowledged(task_id)
    assert [letter["taskId"] for letter in letters(server)] == [lost]


def test_a_number_is_given_once_also_by_a_server_that_ends_as_soon_as_it_is_there(home):
    server = home.begin()
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g", timeout=600_000)
        numbers = [worker.take(task_id)["lease"]]
        eventually(lambda: home.rows("SELECT lease FROM tasks") == [(numbers[0],)], "the record")
        kill(server)
    for _ in range(5):
        # What it tells from now on is above what it has written down by now.
        kill(home.begin())
        numbers += home.rows("SELECT sequence FROM tasks")[0]
    assert numbers == sorted(set(numbers)), numbers


def test_a_dead_letter_outlives_the_server_and_its_replay_is_done_once(home):
    server = home.begin()
    payload = {"text": "größer", "n": 1.50}
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g", payload, priority="high", retries=2)
        worker.take(task_id)
        worker.fail(task_id, {"code": 5})
        worker.acknowledged(task_id)
        waited = server.submit("g")
        worker.fail(worker.take()["taskId"], "no")
        assert waited.answer().status == 500
    for _ in range(2):
        server = home.again(server)
        (letter,) = letters(server, group="g")
        assert letter.items() >= {"taskId": task_id, "priority": "high", "retries": 2, "reason": "task_error", "error": {"code": 5}}.items()
        assert b'"payload":{"model":"default","data":{"text": "gr\\u00f6\\u00dfer", "n": 1.5}}' in server.get(f"/api/dead-letters/{task_id}").body
        assert server.request("POST", f"/api/dead-letters/{task_id}/replay").status == 503, "nobody is there"
    with Worker(server, "g", ready=True) as worker:
        answer = server.request("POST", f"/api/dead-letters/{task_id}/replay")
        assert answer.status == 200 and answer.json["replayOf"] == task_id
        replayed = answer.json["taskId"]
        assert worker.take(replayed)["payload"]["data"] == payload
        # What was answered is written: the letter is gone, the task is there.
        server = home.again(server, RECOVERY_GRACE_MS=100)
    assert letters(server) == [] and server.get(f"/api/dead-letters/{task_id}").status == 404
    with Worker(server, "g", ready=True) as worker:
        worker.take(replayed)
        worker.complete(replayed, "done")
        worker.acknowledged(replayed)
    assert server.task(replayed)["result"] == "done" and metric(server, "dead_letters") == 0


def test_many_replays_in_one_request_and_none_is_lost_by_a_kill(home):
    server = home.begin()
    with Worker(server, "g", ready={"concurrency": 200}) as worker:
        tasks = [server.queue("g", {"n": n}) for n in range(120)]
        for task_id in tasks:
            worker.take(task_id)
            worker.fail(task_id, "no")
            worker.acknowledged(task_id)
    page = server.get("/api/dead-letters?limit=100").json
    rest = server.get(f"/api/dead-letters?limit=100&cursor={page['nextCursor']}").json
    assert [letter["taskId"] for letter in page["deadLetters"] + rest["deadLetters"]] == tasks[::-1] and rest["nextCursor"] is None
    with Worker(server, "g", ready=True):
        pending = server.begin("POST", "/api/dead-letters/replay", {"group": "g"})
        kill(server)
        with pytest.raises(Exception):
            assert pending.answer().json == {"replayed": 100, "refused": 0, "remaining": 20}
            raise ConnectionError("answered before the end")
    server = home.begin()
    live = home.rows("SELECT count(*) FROM tasks WHERE state < 2")[0][0]
    assert live + metric(server, "dead_letters") == 120 and live in (0, 100)
    assert server.request("DELETE", f"/api/dead-letters/{tasks[-1]}").json == {"taskId": tasks[-1], "removed": True}
    assert server.request("DELETE", f"/api/dead-letters/{tasks[-1]}").status == 404


def test_the_oldest_letters_give_way_and_none_is_kept_for_ever(home):
    server = home.begin("--max-dead-letters", "2", "--history-ttl-ms", "1500")
    with Worker(server, "g", ready=True) as worker:
        for number in range(3):
            task_id = server.queue("g", {"n": number})
            worker.take(task_id)
            worker.fail(task_id, "no")
            worker.acknowledged(task_id)
    assert len(letters(server)) == 2 and (metric(server, "dead_letters_kept_total"), metric(server, "dead_letters_dropped_total")) == (3, 1)
    eventually(lambda: letters(server) == [] and home.rows("SELECT count(*) FROM dead_letters") == [(0,)], "the end of the letters' time")


def test_letters_without_a_disk(launch):
    server = launch("--data", ":memory:", AUTH="off")
    with Worker(server, "g", ready=True) as worker:
        task_id = server.queue("g")
        worker.take(task_id)
        worker.fail(task_id, "no")
        worker.acknowledged(task_id)
        answer = server.request("POST", "/api/dead-letters/replay", {})
        assert answer.json == {"replayed": 1, "refused": 0, "remaining": 0}
        assert worker.take()["taskId"] != task_id and letters(server) == []
