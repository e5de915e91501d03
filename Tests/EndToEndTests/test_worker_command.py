"""`signalbox worker`: any command as a worker, from its standard input to the server's answer."""
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from websockets.sync.server import serve

from servers import BINARY, BOUND, Lines, environment, eventually, run


class CommandWorker:
    """A running `signalbox worker`."""

    def __init__(self, server, group, *command, options=()):
        words = [BINARY, "worker", "--url", server.url("/ws", "ws"), "--group", group, *options, "--", *command]
        self.process = subprocess.Popen(words, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace")
        self.log = Lines(self.process.stderr)

    def __enter__(self):
        self.says("event=connected")
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()

    def says(self, words):
        return self.log.first(lambda line: words in line)

    def wait(self):
        code = self.process.wait(BOUND)
        self.log.thread.join(BOUND)
        self.process.stderr.close()
        return code

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()


def python(text):
    return sys.executable, "-c", text


def test_payload_in_result_out(server, group):
    with CommandWorker(server, group, "cat") as worker:
        answer = server.submit(group, {"n": 1.50, "text": "ä"}).answer()
        assert answer.status == 200, answer
        # JSON goes through as it stands.
        assert answer.body.endswith(b'"result":{"model":"default","data":' + json.dumps({"n": 1.50, "text": "ä"}).encode() + b"}}")
        assert worker.stop() == 0


@pytest.mark.parametrize(("script", "result"), [
    ("printf 'no JSON\\n'", "no JSON"), ("true", ""), ("printf '[1, 2.50]'", [1, 2.5]), ("printf '\\377'", "\ufffd"),
    ("echo $SIGNALBOX_TASK_ID", None),
])
def test_results(server, group, script, result):
    with CommandWorker(server, group, "sh", "-c", script):
        answer = server.submit(group).answer().json
        assert answer["result"] == (answer["taskId"] if result is None else result)


def test_large_payloads_and_results(server, group):
    """More than any pipe holds, both ways."""
    with CommandWorker(server, group, "cat"):
        text = "x" * 3_000_000
        assert server.submit(group, {"text": text}).answer().json["result"]["data"]["text"] == text


def test_failures_say_why(server, group):
    script = "echo progress 10 >&2; echo first >&2; echo 'out of memory' >&2; exit 3"
    with CommandWorker(server, group, "sh", "-c", script):
        answer = server.submit(group).answer()
        assert answer.status == 500 and answer.json["error"] == "first\nout of memory"
    with CommandWorker(server, group, "sh", "-c", "exit 7"):
        assert server.submit(group).answer().json["error"] == "exit code 7"
    with CommandWorker(server, group, "sh", "-c", "kill -SEGV $$"):
        assert server.submit(group).answer().json["error"] == "killed by signal 11"
    with CommandWorker(server, group, "/no/such/program"):
        assert server.submit(group).answer().json["error"].startswith("cannot run /no/such/program: ")


def test_progress_and_logs(server, group, tmp_path):
    script = """
        echo 'loading the model' >&2
        echo 'progress 25 a quarter' >&2
        until [ -e half ]; do sleep 0.01; done
        printf '{"progress": 50, "message": "half"}' >&2
        until [ -e go ]; do sleep 0.01; done
        echo done"""
    with CommandWorker(server, group, "sh", "-c", f"cd {tmp_path}; {script}"):
        task = server.queue(group)
        # 0 to 100 of the command's are 40 to 80 of the task's.
        server.until(task, status="executing", progress=50, message="a quarter")
        (tmp_path / "half").touch()
        # The line is not ended, and so not said.
        (tmp_path / "go").touch()
        assert server.until(task, status="completed")["result"] == "done"


def test_pieces_of_a_result(server, group):
    script = """echo '{"chunk": {"n": 1.0}}' >&2; echo '{"chunk": "two"}' >&2; echo '{"n": 3}'"""
    with CommandWorker(server, group, "sh", "-c", script, options=("--models", group)):
        # It says that it is connected before the server has heard what it can do.
        eventually(lambda: server.get(f"/v1/models/{group}").status == 200, "the model")
        body = {"model": group, "prompt": "x", "stream": True}
        answer = server.request("POST", "/v1/completions", body)
        assert answer.body == b'data: {"n": 1.0}\n\ndata: "two"\n\ndata: [DONE]\n\n'


def test_cancelled_commands_get_sigterm_and_then_sigkill(server, group, tmp_path):
    kind = python(f"""
import os, pathlib, signal, sys, time, json
name = json.load(sys.stdin)["data"]["name"]
def ended(*_):
    pathlib.Path({str(tmp_path)!r}, name + ".term").touch()
    if name == "kind": sys.exit(1)
signal.signal(signal.SIGTERM, ended)
pathlib.Path({str(tmp_path)!r}, name).write_text(str(os.getpid()))
while True: time.sleep(0.01)
""")
    with CommandWorker(server, group, *kind, options=("--grace-ms", "300", "--concurrency", "2")) as worker:
        tasks = {name: server.queue(group, {"name": name}) for name in ("kind", "stubborn")}
        for name, task in tasks.items():
            eventually(lambda: (tmp_path / name).exists() and (tmp_path / name).read_text(), "the command")
            assert server.cancel(task).status == 200
        for name in tasks:
            eventually(lambda: (tmp_path / f"{name}.term").exists(), "SIGTERM")
        worker.says("killed(signal: 9)")
        worker.says("exited(1)")
        # Their room is free again.
        again = server.queue(group, {"name": "kind"})
        server.until(again, status="executing")
        assert server.cancel(again).status == 200


def test_as_many_at_a_time_as_it_says(server, group, tmp_path):
    script = f"cd {tmp_path}; touch $SIGNALBOX_TASK_ID; until [ -e go ]; do sleep 0.01; done"
    with CommandWorker(server, group, "sh", "-c", script, options=("--concurrency", "3")):
        tasks = [server.queue(group) for _ in range(5)]
        eventually(lambda: len(list(tmp_path.iterdir())) == 3, "three at a time")
        assert [server.task(task)["status"] for task in tasks] == ["executing"] * 3 + ["queued"] * 2
        (tmp_path / "go").touch()
        for task in tasks:
            server.until(task, status="completed")


LONG_OR_SHORT = 'if grep -q long; then head -c 200000 /dev/zero | tr "\\0" x; else echo \'"short"\'; fi'


def test_a_result_that_the_server_does_not_take_is_not_sent(launch, group):
    """The server's greeting says what it takes: the worker goes on with what comes next, and can be stopped."""
    server = launch("--max-message-bytes", "100000", "--max-body-bytes", "100000")
    with CommandWorker(server, group, "sh", "-c", LONG_OR_SHORT) as worker:
        task = server.queue(group, {"kind": "long"})
        worker.says("longer than the server takes")
        assert server.until(task, status="failed")["error"]
        assert server.until(server.queue(group, {"kind": "next"}), status="completed")["result"] == "short"
        assert worker.stop() == 0
        assert sum("longer than the server takes" in line for line in worker.log.seen) == 1
        assert sum("event=connected" in line for line in worker.log.seen) == 1


class Silent:
    """A server of workers whose greeting does not say how long a message may be: it hangs up, and hears the rest on the next connection."""

    def __init__(self):
        self.heard, self.is_done = [], threading.Event()
        self.server = serve(self.visit, "127.0.0.1", 0, max_size=100_000)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def visit(self, socket):
        socket.send(json.dumps({"type": "connected", "workerId": "W1-00000001", "message": "Connected to Task Dispatcher"}))
        self.heard.append(json.loads(socket.recv(timeout=BOUND)))
        if len(self.heard) == 1:
            socket.send(json.dumps({"type": "task", "taskId": "t", "payload": {"kind": "long"}}))
        self.heard.append(json.loads(socket.recv(timeout=BOUND)))
        socket.send(json.dumps({"type": "task_ack", "taskId": "t"}))
        self.is_done.set()
        socket.recv(timeout=BOUND)

    def url(self, path, scheme):
        return "%s://127.0.0.1:%d%s" % (scheme, self.server.socket.getsockname()[1], path)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join(BOUND)


def test_a_server_that_does_not_say_what_it_takes_hangs_up_once(group):
    with Silent() as server, CommandWorker(server, group, "sh", "-c", LONG_OR_SHORT) as worker:
        assert server.is_done.wait(BOUND), worker.log.seen
        ready, again, failed = server.heard
        assert (ready["type"], again["type"], again["tasks"]) == ("ready", "ready", ["t"])
        assert failed["type"] == "task_error" and "longer than the server takes" in failed["error"]


def test_result_is_delivered_to_the_next_server(launch, group, tmp_path):
    """The server is killed while a command works: the worker comes back as who it was, and the task ends once."""
    data = str(tmp_path / "data")
    one = launch("--data", data)
    script = f"cd {tmp_path}; echo x >> runs; until [ -e go ]; do sleep 0.01; done; echo '\"kept\"'"
    with CommandWorker(one, group, "sh", "-c", script) as worker:
        task = one.queue(group)
        one.until(task, status="executing")
        eventually(lambda: (tmp_path / "runs").exists(), "the command")
        one.process.kill()
        one.process.wait(BOUND)
        (tmp_path / "go").touch()
        worker.says("event=done")
        two = launch("--data", data, listen=(one.address,))
        two.host, two.port = one.host, one.port
        two.log.first(lambda line: "listening" in line)
        assert two.until(task, status="completed")["result"] == "kept"
        assert (tmp_path / "runs").read_text() == "x\n"
        assert worker.stop() == 0


def test_sigterm_finishes_what_is_in_hand(server, group, tmp_path):
    script = f"cd {tmp_path}; touch began; until [ -e go ]; do sleep 0.01; done; echo 1"
    with CommandWorker(server, group, "sh", "-c", script) as worker:
        task = server.queue(group)
        eventually(lambda: (tmp_path / "began").exists(), "the command")
        worker.process.send_signal(signal.SIGTERM)
        worker.says("draining")

        def is_draining():
            return any(member["draining"] for member in server.get("/api/fleet").json["workers"] if member["group"] == group)
        eventually(is_draining, "the drain")
        assert server.submit(group).answer().status == 503
        (tmp_path / "go").touch()
        assert server.until(task, status="completed")["result"] == 1
        assert worker.wait() == 0


def test_a_second_signal_ends_at_once(server, group, tmp_path):
    script = f"cd {tmp_path}; echo $$ > began; sleep 600"
    with CommandWorker(server, group, "sh", "-c", script) as worker:
        task = server.queue(group)
        eventually(lambda: (tmp_path / "began").exists() and (tmp_path / "began").read_text(), "the command")
        worker.process.send_signal(signal.SIGINT)
        worker.says("draining")
        worker.process.send_signal(signal.SIGINT)
        assert worker.wait() == 1
        assert server.until(task, status="failed")["error"] == "Worker disconnected"

        def is_over():
            try:
                os.kill(int((tmp_path / "began").read_text()), 0)
            except ProcessLookupError:
                return True
            with open(f"/proc/{int((tmp_path / 'began').read_text())}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
        eventually(is_over, "the command's end")


def test_token(launch, group):
    server = launch("--auth", "all")
    words = ["worker", "--url", server.url("/ws", "ws"), "--group", group, "--", "cat"]
    refused = run(*words)
    assert refused.returncode == 1 and "status=401" in refused.stderr
    token = run("token", "--sub", "rack", "--role", "worker", "--data", server.folder.name + "/data").stdout.strip()
    with CommandWorker(server, group, "cat", options=("--token", token)) as worker:
        assert worker.stop() == 0


@pytest.mark.parametrize(("words", "sentence"), [
    ([], "there is no command"), (["--", ], "there is no command"), (["cat"], "the command stands behind --"),
    (["--group"], "--group needs a value"), (["--colour", "red", "--", "cat"], "there is no option --colour"),
    (["--concurrency", "0", "--", "cat"], "--concurrency: '0' is no number from 1 to 4096"),
    (["--url", "wss://host:1x/ws", "--", "cat"], "has no port"), (["--url", "http://host", "--", "cat"], "is no address of a server"),
    (["--url", "ws://host:0/ws", "--", "cat"], "has no port"), (["--url", "ws:///ws", "--", "cat"], "names no host"),
])
def test_wrong_command_lines_are_named(words, sentence):
    answer = run("worker", *words)
    assert answer.returncode == 2 and sentence in answer.stderr and answer.stderr.startswith("signalbox: ")


def test_many_workers_of_many_tasks(server, group):
    """Nothing is mixed up between tasks."""
    with CommandWorker(server, group, "cat", options=("--concurrency", "8")), CommandWorker(server, group, "cat"):
        answers = {}

        def ask(number):
            answers[number] = server.submit(group, {"number": number}).answer().json["result"]["data"]["number"]
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(BOUND)
        assert answers == {number: number for number in range(60)}
