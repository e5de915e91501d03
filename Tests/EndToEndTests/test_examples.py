"""The example workers: as the server hands them out, and as they run from their folder."""
import signal

import pytest

from documents import node, node_has, python
from servers import ROOT, eventually

EXAMPLES = ROOT / "Sources/Clients/examples"


def _programs():
    """The workers and the clients they can have here."""
    yield pytest.param(lambda *words: python(EXAMPLES / "worker-python.py", *words), id="python")
    if node_has("require.resolve('ws')"):
        yield pytest.param(lambda *words: node(EXAMPLES / "worker-node.js", *words), id="node")
    if not node_has("typeof WebSocket === 'function'") and node_has("typeof WebSocket === 'function'", "--experimental-websocket"):
        yield pytest.param(lambda *words: node(EXAMPLES / "worker-node.js", *words, flags=["--experimental-websocket"]), id="node-global")


programs = pytest.mark.parametrize("start", list(_programs()))


@pytest.mark.parametrize("name", ["worker-python.py", "worker-node.js", "worker-openai.py"])
def test_example_is_served_as_it_is(server, name):
    answer = server.get(f"/clients/examples/{name}")
    assert answer.status == 200
    assert answer.body == (EXAMPLES / name).read_bytes()


@programs
def test_example_works(server, group, start):
    with start(server.url("/ws", "ws"), group) as worker:
        worker.says("connected as W")
        answer = server.submit(group, {"content": "Hello World"}).answer()
        assert answer.status == 200, answer
        assert answer.json["result"] == {"success": True, "data": "HELLO WORLD"}
        # An exception in the work becomes the task's error, and the worker goes on.
        failed = server.submit(group, {"prompt": "no content"}).answer()
        assert failed.status == 500
        assert failed.json == {"taskId": failed.json["taskId"], "status": "failed", "error": "data.content is missing"}
        assert server.submit(group, {"content": "again"}).answer().json["result"]["data"] == "AGAIN"


@programs
def test_example_hears_a_cancellation_and_goes_on(server, group, start):
    with start(server.url("/ws", "ws"), group) as worker:
        worker.says("connected as W")
        task_id = server.queue(group, {"content": "one two", "pause": 3600})
        server.until(task_id, status="executing")
        worker.says(task_id)
        assert server.cancel(task_id).status == 200
        worker.says(f"cancelled {task_id}")
        assert server.submit(group, {"content": "next"}).answer().json["result"]["data"] == "NEXT"


@programs
def test_example_ends_cleanly_on_interrupt(server, group, start):
    with start(server.url("/ws", "ws"), group) as worker:
        worker.says("connected as W")
        worker.process.send_signal(signal.SIGINT)
        code, output = worker.end()
        assert code == 0, output
        assert "Traceback" not in output and "Error" not in output
        eventually(lambda: server.submit(group).answer().status == 503, "the worker's leave")


@programs
def test_example_comes_back_when_the_server_was_away(launch, group, start):
    first = launch()
    port = first.port
    with start(first.url("/ws", "ws"), group) as worker:
        worker.says("connected as W")
        assert first.stop() == 0
        worker.says("trying again")
        second = launch(listen=(f"127.0.0.1:{port}",))
        second.port = port
        second.log.first(lambda line: "listening" in line)
        answer = eventually(lambda: (a := second.submit(group, {"content": "back"}).answer()).status == 200 and a, "the worker's return")
        assert answer.json["result"]["data"] == "BACK"
