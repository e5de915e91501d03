"""The document's own worker programs, run as real processes with the clients that it names."""
import json

import pytest

from documents import block, node, node_has, python
from servers import eventually

RESULT = {"success": True, "data": "处理结果"}


@pytest.fixture
def program(tmp_path):
    """Writes a block of the document to a file that can be run."""
    def write(name, server):
        path = tmp_path / name
        path.write_text(block(name, server), encoding="utf-8")
        return path
    return write


def take_tasks(server, worker, count=3):
    """Has the worker do some tasks, waited for and polled for."""
    name = worker.says("Worker ID: ").removeprefix("Worker ID: ")
    for number in range(count):
        answer = server.submit("default", {"number": number, "prompt": "美丽的少女"}).answer()
        assert answer.status == 200, answer
        assert answer.json == {"taskId": answer.json["taskId"], "status": "completed", "result": RESULT}
        worker.says(f"收到任务: {answer.json['taskId']}")
    task_id = server.queue("default", {"number": count})
    assert server.until(task_id, status="completed")["result"] == RESULT
    return name


def test_python_worker(launch, program):
    server = launch()
    with python(program("worker-python.py", server)) as worker:
        worker.says("已连接")
        take_tasks(server, worker)
        # Python escapes what is not ASCII: the result keeps the escapes that the worker wrote.
        assert b"\\u5904\\u7406\\u7ed3\\u679c" in server.submit("default").answer().body


def test_node_worker(launch, program):
    assert node_has("require.resolve('ws')"), "the document's Node worker needs the package ws (Debian: node-ws)"
    server = launch()
    with node(program("worker-node.js", server)) as worker:
        worker.says("已连接")
        take_tasks(server, worker)
        assert "处理结果".encode() in server.submit("default").answer().body


def test_first_worker_never_says_ready(launch, tmp_path):
    """The first program in the document connects and waits for tasks: it counts as ready after a second."""
    server = launch()
    path = tmp_path / "worker.js"
    text = block("worker-browser.js", server)
    if node_has("typeof WebSocket === 'function'"):
        flags = ()
    elif node_has("typeof WebSocket === 'function'", "--experimental-websocket"):
        flags = ("--experimental-websocket",)
    else:
        flags, text = (), "const WebSocket = require('ws');\n" + text
    path.write_text(text, encoding="utf-8")
    with node(path, flags=flags) as worker:
        def done():
            answer = server.submit("gpu-cluster", {"prompt": "美丽的少女"}).answer()
            assert answer.status == 200 or (answer.status, answer.json) == (503, {"error": "No worker available"}), answer
            return answer.status == 200 and answer
        answer = eventually(done, "the worker's connection")
        assert answer.json["result"] == {} and answer.json["status"] == "completed"
        worker.says(f"收到任务: {answer.json['taskId']}")


def test_two_workers_share_the_work(launch, program):
    server = launch()
    path = program("worker-python.py", server)
    with python(path) as first, python(path) as second:
        names = {worker.says("Worker ID: ") for worker in (first, second)}
        assert len(names) == 2
        tasks = [server.queue("default", {"number": number}) for number in range(20)]
        for task_id in tasks:
            assert server.until(task_id, status="completed")["result"] == RESULT
        done = [json.dumps(worker.output.seen, ensure_ascii=False).count("收到任务: ") for worker in (first, second)]
        assert sum(done) == 20 and min(done) > 0, done
