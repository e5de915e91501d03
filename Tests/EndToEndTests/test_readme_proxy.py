"""nginx in front: the README's own configuration, before a server that asks everybody for a token, and every protocol through it."""
import http.client
import json
import os
import queue
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import openai
import pytest
import requests
import socketio
import websocket

from authorities import Authority
from monitors import Page, browser
from servers import BOUND, Lines, Server, eventually
from streams import SECRET, bearer, token
from test_readme import README, option_table, units
from test_socket_io_clients import WATCHER

CONFIGURATION = re.compile(r"```nginx\n# signalbox.conf\n(.*?)```", re.S)
# What has to be another on a machine of tests.
FRAME = """
daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
    client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi; scgi_temp_path FOLDER/scgi;
    include FOLDER/signalbox.conf;
}
"""


def configuration():
    return CONFIGURATION.search(README.read_text())[1]


class Front(Server):
    """A server as its clients see it, through nginx."""

    def __init__(self, authority, folder):
        self.pem, self.host = str(authority.pem), "localhost"
        self.folder, self.nginx = folder, None
        certificate, key = authority.sign("signalbox.example")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.behind = Server(
            ["--listen", f"unix:{folder}/server.sock", "--auth", "all", "--allow-origin", f"https://{self.address}"],
            {"JWT_SECRET": SECRET})
        text = configuration()
        for old, new in {
                "listen 443 ssl http2;": f"listen 127.0.0.1:{self.port} ssl http2;",
                "listen [::]:443 ssl http2;": f"listen unix:{folder}/other.sock ssl http2;",
                "unix:/run/signalbox.sock": f"unix:{folder}/server.sock",
                "/etc/nginx/signalbox.crt": certificate,
                "/etc/nginx/signalbox.key": key,
                "/var/log/nginx/signalbox.log": f"{folder}/access.log"}.items():
            assert text.count(old) == 1, old
            text = text.replace(old, str(new))
        Path(folder, "signalbox.conf").write_text(text)
        Path(folder, "nginx.conf").write_text(FRAME.replace("FOLDER", folder))
        program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        assert program, "there is no nginx: make deps installs it"
        command = [program, "-e", "stderr", "-p", folder, "-c", f"{folder}/nginx.conf"]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=BOUND)
        assert checked.returncode == 0, checked.stderr
        self.nginx = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.errors = Lines(self.nginx.stderr)
        eventually(self.answers, "nginx")

    def answers(self):
        assert self.nginx.poll() is None, self.errors.seen
        with socket.socket() as channel:
            return channel.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, path, scheme="http"):
        return f"{scheme}s://{self.address}{path}"

    def context(self):
        return ssl.create_default_context(cafile=self.pem)

    def connection(self):
        return http.client.HTTPSConnection(self.host, self.port, timeout=BOUND, context=self.context())

    def log(self):
        return Path(self.folder, "access.log").read_text()

    def end(self):
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait(BOUND)
            self.errors.thread.join(BOUND)
            self.nginx.stderr.close()
        assert self.behind.stop() == 0


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    # A path of a unix socket is short.
    with tempfile.TemporaryDirectory(prefix="front-") as folder:
        front = Front(Authority(tmp_path_factory.mktemp("authority"), "ours"), folder)
        yield front
        front.end()
    assert not [line for line in front.errors.seen if "[emerg]" in line or "[alert]" in line], front.errors.seen


@pytest.fixture(autouse=True)
def believed(front, monkeypatch):
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, front.pem)


class Socket:
    """A WebSocket through nginx."""

    def __init__(self, front, path, token, **options):
        self.socket = websocket.create_connection(
            front.url(path, "ws"), timeout=BOUND, header=bearer(token), sslopt={"ca_certs": front.pem}, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, kind, **members):
        self.socket.send(json.dumps({"type": kind} | members))

    def receive(self, kind):
        """The next message of that type. Pings, which are answered on the way, make no wait longer."""
        end = time.monotonic() + BOUND
        while time.monotonic() < end:
            opcode, data = self.socket.recv_data(control_frame=True)
            assert opcode != websocket.ABNF.OPCODE_CLOSE, data
            if opcode == websocket.ABNF.OPCODE_TEXT and (message := json.loads(data))["type"] == kind:
                return message
        raise AssertionError(f"no {kind} within {BOUND} s")


class Worker(Socket):
    def __init__(self, front, group):
        super().__init__(front, f"/ws?group={group}", token("rack", "--role", "worker"))
        self.receive("connected")
        self.send("ready")

    def finish(self, task, result):
        self.send("task_complete", taskId=task["taskId"], result=result)
        self.receive("task_ack")


# MARK: what is passed on

def test_a_task_over_http_2(front, group):
    """curl waits in a stream of HTTP/2, the worker is behind a WebSocket."""
    body = json.dumps({"group": group, "data": {"text": "x" * 300_000}})
    with Worker(front, group) as worker:
        curl = subprocess.Popen(
            ["curl", "-s", "--http2", "--max-time", str(BOUND), "-w", "\n%{http_version} %{http_code}", "-d", "@-",
             "-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {token('alice')}", front.url("/api/openai")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        curl.stdin.write(body)
        curl.stdin.close()
        task = worker.receive("task")
        assert task["payload"]["data"]["text"] == "x" * 300_000
        worker.finish(task, {"text": "y" * 300_000})
        answer, words = curl.stdout.read().rsplit("\n", 1)
        assert curl.wait(BOUND) == 0
        curl.stdout.close()
    assert words == "2 200" and json.loads(answer)["result"]["text"] == "y" * 300_000


def test_events_come_as_they_happen(front, group):
    """The worker goes on only once an event was heard: one that were held back would never come."""
    alice = token("alice")
    with Worker(front, group) as worker:
        task = front.request("POST", "/api/gpu/tasks", {"data": {}, "group": group}, bearer(alice)).json["task_id"]
        held = worker.receive("task")
        with requests.get(front.url(f"/api/tasks/{task}/events"), headers=bearer(alice), stream=True, timeout=BOUND) as stream:
            lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            for step in (1, 2, 3):
                worker.send("task_progress", taskId=held["taskId"], progress=step * 20, message=f"step {step}")
                assert next(line for line in lines if f'"step {step}"' in line)
            worker.finish(held, {"n": 1})
            assert next(line for line in lines if line == "event: task_completed")
            # The end is the end of the answer.
            assert [line for line in lines if line.startswith("event:")] == []


def test_a_completion_streams(front, group):
    """OpenAI's client; the worker writes the next piece once the one before was heard."""
    client = openai.OpenAI(base_url=front.url("/v1"), api_key=token("alice"), max_retries=0, timeout=BOUND)
    ask = {"model": "m", "messages": [{"role": "user", "content": "tell"}], "extra_body": {"group": group}}
    heard, ended = [], threading.Event()

    def listen():
        for piece in client.chat.completions.create(**ask, stream=True):
            heard.append(piece.choices[0].delta.content)
        ended.set()

    with Worker(front, group) as worker:
        threading.Thread(target=listen, daemon=True).start()
        task = worker.receive("task")
        for count, word in enumerate(["the ", "line ", "is ", "clear"], 1):
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            worker.send("task_chunk", taskId=task["taskId"], chunk=chunk)
            eventually(lambda: len(heard) == count, f"piece {count}")
        worker.finish(task, {})
        assert ended.wait(BOUND) and "".join(heard) == "the line is clear"


def test_socket_io_by_polling_and_upgraded(front, group):
    """The stock client of Python; it moves from polling to a WebSocket, if it may."""
    for transports, last in ((["polling"], "polling"), (None, "websocket")):
        told = queue.Queue()
        client = socketio.Client(reconnection=False)
        client.on("activity_stream", lambda event: told.put(event["data"]["message"]))
        client.connect(front.url(""), transports=transports, auth={"token": token("operator", "--role", "admin")}, wait_timeout=BOUND)
        assert client.transport() == last
        client.call("subscribe_activity_stream", timeout=BOUND)
        for number in range(3):
            message = f"{group}-{last}-{number}"
            answer = front.request("POST", "/api/activities", {"activity_type": "user_operation", "message": message},
                                   bearer(token("operator", "--role", "admin")))
            assert answer.status in (200, 201), answer
            while told.get(timeout=BOUND) != message:
                pass
        client.disconnect()


def test_socket_io_of_a_page(front):
    """The official client for browsers."""
    options = {"auth": {"token": token("alice")}}
    with Page(browser(WATCHER, front.url(""), json.dumps(options), json.dumps(["subscribe_system_resources"]))) as client:
        client.hear("connect")
        client.hear("subscribed")
        client.hear("system_resources_update")
        eventually(lambda: client.said("upgrade"), "the WebSocket")


def test_pages_connect_from_their_own_name_alone(front):
    alice = token("alice")
    with Socket(front, "/api/v1/ws?user_id=alice", alice, origin=f"https://{front.address}") as hub:
        hub.receive("connected")
        hub.send("ping")
        hub.receive("pong")
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        Socket(front, "/api/v1/ws?user_id=alice", alice, origin="https://elsewhere.example")
    assert refusal.value.status_code == 403


def test_who_goes_away_is_gone_for_the_server(front, group):
    """A client that no longer waits cancels its task, also with nginx in between."""
    with Worker(front, group) as worker:
        waiting = front.begin("POST", "/api/openai", {"data": {}, "group": group}, bearer(token("alice")))
        task = worker.receive("task")
        waiting.leave()
        assert worker.receive("cancel")["taskId"] == task["taskId"]


def test_close_codes_come_through(front):
    with Socket(front, "/api/gpu/tasks/none/ws", None) as watcher:
        opcode, data = watcher.socket.recv_data()
        assert (opcode, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 4003)


def test_the_page_and_the_log(front):
    """The dashboard is there; the log has who asked for what, and no token."""
    secret = token("alice")
    assert front.get("/dashboard").status == 200
    assert front.get(f"/api/task/tasks?token={secret}").status == 200
    eventually(lambda: '"GET /api/task/tasks" 200' in front.log(), "the line")
    assert secret not in front.log() and "token=" not in front.log()
    assert all(line.startswith("127.0.0.1 [") for line in front.log().splitlines())


def test_bodies_as_large_as_the_server_takes(front, group):
    with Worker(front, group) as worker:
        waiting = front.begin("POST", "/api/openai", {"data": {"text": "x" * 15_000_000}, "group": group}, bearer(token("alice")))
        task = worker.receive("task")
        worker.finish(task, {})
        assert waiting.answer().status == 200
    assert front.request("POST", "/api/openai", b"x" * (16 * 1024 * 1024 + 1), bearer(token("alice"))).status == 413


# MARK: what it says

def test_its_numbers_fit_the_options():
    def option(flag):
        return int(re.search(rf"^\| `--{flag} \w+` \| `\w+` \| (\d+) \|", option_table(), re.M)[1])

    def setting(name):
        return int(re.search(rf"^ +{name} (\d+)[ms];", configuration(), re.M)[1])

    assert setting("proxy_read_timeout") * 1000 > option("max-task-timeout-ms")
    assert setting("keepalive_timeout") * 1000 < option("keep-alive-timeout-ms")
    assert setting("client_max_body_size") << 20 == option("max-body-bytes")
    # What the server says by itself comes in time.
    assert setting("proxy_read_timeout") * 1000 > 2 * option("ping-interval-ms")


def test_its_socket_is_the_drop_in_s():
    path = re.search(r"server unix:(\S+);", configuration())[1]
    assert ("Socket", "ListenStream", path) in units()["signalbox.socket.d/nginx.conf"]
