"""The examples of the client libraries: those of the two READMEs as they stand there, and the programs with a command line."""
import json
import re
import subprocess
import sys

import pytest

from components import CLIENTS, Page, perceived
from conftest import shared
from documents import node, python
from producers import PACKAGE, program
from servers import BOUND, ROOT, Server, eventually, run
from workers import Worker

from signalbox import Client, TaskNotificationService

EXAMPLES = CLIENTS / "examples"
EXAMPLE = re.compile(r"<!-- client: (?P<name>.*?) -->\n```(?P<language>\w+)\n(?P<text>.*?)```(?:\n```\n(?P<output>.*?)```)?", re.S)

open_server = shared("--auth", "off")


def examples():
    return {found["name"]: found for readme in ("README.md", "Sources/Clients/python/README.md")
            for found in EXAMPLE.finditer((ROOT / readme).read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def capitals(open_server):
    """The worker of the examples that give tasks in."""
    with python(EXAMPLES / "worker-python.py", open_server.url("/ws", "ws")) as worker:
        worker.says("connected as W")
        yield open_server


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return Page(tmp_path_factory.mktemp("page"))


def test_every_example_is_run():
    named = sum((ROOT / readme).read_text().count("<!-- client:") for readme in ("README.md", "Sources/Clients/python/README.md"))
    assert set(examples()) == {"worker", "page", "react", "vue", "package worker", "submit", "watch", "hub"} and named == len(examples())


@pytest.mark.parametrize("name", ["submit", "watch", "hub"])
def test_python_example(capitals, name):
    ran = program(examples()[name]["text"], capitals.url(""))
    assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", examples()[name]["output"])


@pytest.mark.parametrize("name", ["worker", "package worker"])
def test_python_worker_example(open_server, name, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("SIGNALBOX_URL", open_server.url(""))
    path = tmp_path / "worker.py"
    path.write_text(examples()[name]["text"].replace("http://localhost:8000", open_server.url("")))
    with python(path) as worker:
        eventually(lambda: open_server.submit("image", {"prompt": "x"}).answer().status == 200)
        assert Client(open_server.url("")).run({"prompt": "a tree"}, group="image")["prompt"] == "a tree"
        worker.process.terminate()
        assert worker.end()[0] == 0


def test_javascript_example(capitals, tmp_path):
    path = tmp_path / "page.mjs"
    text = examples()["page"]["text"].replace("'/clients", f"'{CLIENTS}")
    # A page of the server.
    path.write_text(f"globalThis.location = new URL('{capitals.url('')}')\n{text}")
    with node(path) as ran:
        code, output = ran.end()
    assert code == 0 and output.splitlines()[-1] == examples()["page"]["output"].strip(), output


def test_react_example(page, open_server):
    (page.folder / "Order.tsx").write_text(examples()["react"]["text"])
    page.compile("Order.tsx")
    service = TaskNotificationService(open_server.url(""))
    service.register_task("order", "anonymous")
    script = """
        import { createElement } from 'react'
        import { createRoot } from 'react-dom/client'
        import { Order } from './Order.js'
        createRoot(root).render(createElement(Order, { task: 'order' }))
        """
    with page.open(open_server.url(""), script) as program:
        program.says("0 % pending")
        assert service.notify_completed("order", {"n": 1}).wait(BOUND)
        program.says('done {"n":1}')
        eventually(lambda: perceived(program)[-1]["value"] == "100")


def test_vue_example(page, open_server):
    text = examples()["vue"]["text"]
    code, template = re.fullmatch(r"<script setup>\n(.*)</script>\n<template>(.*)</template>\n", text, re.S).groups()
    imports, body = re.fullmatch(r"((?:import [^\n]*\n)*)(.*)", code, re.S).groups()
    names = re.search(r"const (\{.*?\})", body)[1]
    service = TaskNotificationService(open_server.url(""))
    service.register_task("interview_123", "anonymous")
    script = f"""
        import {{ createApp }} from 'vue'
        {imports}
        createApp({{ setup() {{ {body}; return {names} }}, template: {json.dumps(f'<p aria-live="polite">{template}</p>')} }}).mount(root)
        """
    with page.open(open_server.url(""), script) as program:
        program.says("pending: ")
        assert service.notify_progress("interview_123", 50, "asking").wait(BOUND)
        program.says("running: asking")


# MARK: programs

SECRET = "a secret of these tests, and of nobody else"


@pytest.fixture(scope="module")
def guarded():
    server = Server((), {"JWT_SECRET": SECRET})
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def token():
    return run("token", "--sub", "ann", JWT_SECRET=SECRET).stdout.strip()


WATCHER = EXAMPLES / "websocket_client_example.py"


def test_the_documents_command_line_watches_a_task(guarded, token):
    with Worker(guarded, "default", explicit=True) as worker:
        def give_in():
            return guarded.request("POST", "/api/gpu/tasks", {"data": {}}, {"Authorization": f"Bearer {token}"}).json["task_id"]

        task_id = give_in()
        with python(WATCHER, "--task-id", task_id, "--token", token, "--url", guarded.url("")) as watcher:
            watcher.says("status  pending")
            worker.send("ready")
            worker.take(task_id)
            worker.send("task_progress", taskId=task_id, progress=50, message="half", step_info={"batch": 1})
            worker.send("task_logs", taskId=task_id, logs="a line")
            worker.complete(task_id, {"n": 1}, cost_info={"total_cost": 2.45, "currency": "USD"})
            worker.acknowledged(task_id)
            code, output = watcher.end()
        assert code == 0 and '60 % half {"worker_progress": 50, "batch": 1}' in output and "[INFO] worker: a line" in output, output
        assert "success after 1 s, cost 2.45 USD" in output, output
        assert output.endswith('result  {"n": 1}')
        task_id = give_in()
        worker.take(task_id)
        worker.send("task_error", taskId=task_id, error="out of memory", error_code="CUDA_OOM", error_details={"a": 1})
        with python(WATCHER, "--task-id", task_id, "--token", token, "--url", guarded.url("")) as watcher:
            code, output = watcher.end()
        assert code == 1 and 'out of memory (CUDA_OOM) {"a": 1}' in output and "no success" in output, output


def test_the_documents_command_line_gives_a_test_task_in(guarded, token):
    with Worker(guarded, "default", explicit=True) as worker, \
            python(WATCHER, "--submit-test-task", "--token", token, "--url", guarded.url("")) as watcher:
        task_id = watcher.says("submitted").split()[-1]
        worker.send("ready")
        worker.take(task_id)
        worker.finish(task_id)
        assert watcher.end()[0] == 0


@pytest.mark.parametrize(("words", "said"), [
    (("--task-id", "nothing", "--token", "TOKEN"), "there is no such task"),
    (("--task-id", "nothing", "--token", "x"), "the token is not good"),
    (("--submit-test-task", "--token", "TOKEN"), "No worker available"), (("--submit-test-task", "--token", "x"), "401"),
    ((), "one of the arguments --task-id --submit-test-task is required"),
])
def test_the_documents_command_line_says_what_is_wrong(guarded, token, words, said):
    arguments = [token if word == "TOKEN" else word for word in words]
    ran = subprocess.run([sys.executable, WATCHER, "--url", guarded.url(""), *arguments], capture_output=True, text=True, timeout=BOUND)
    assert ran.returncode != 0 and said in ran.stdout + ran.stderr and "Traceback" not in ran.stderr, ran


def test_the_watcher_in_javascript(capitals):
    with node(EXAMPLES / "watcher-example.mjs", capitals.url("")) as watcher:
        code, output = watcher.end()
    assert code == 0 and output.endswith('result: {"success":true,"data":"ONE TWO THREE"}'), output


# MARK: what the server hands out

@pytest.mark.parametrize(("path", "kind"), [
    ("javascript/signalbox.js", "text/javascript"), ("javascript/signalbox.d.ts", "text/plain"),
    ("react/RealtimeProgressTracker.tsx", "text/plain"), ("vue/useTask.js", "text/javascript"),
    ("examples/websocket_client_example.py", "text/x-python"), ("examples/worker_example.py", "text/x-python"),
    ("examples/watcher-example.mjs", "text/javascript"),
])
def test_the_server_hands_them_out_as_they_are(server, path, kind):
    answer = server.get(f"/clients/{path}")
    assert answer.status == 200 and answer.body == (CLIENTS / path).read_bytes()
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8" and answer.headers["X-Content-Type-Options"] == "nosniff"
    # Opened by itself it is a text; who imports it is bound by its own policy.
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"
