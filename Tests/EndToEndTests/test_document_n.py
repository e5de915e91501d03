"""The document of one socket per user: its own clients, run under Node as they stand there, its polling, and its service's promises."""
import base64
import hashlib
import hmac
import json
import re
import signal
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from documents import node
from servers import BOUND, eventually, run

FOLDER = Path(__file__).parent / "document_n"
SECRET = "a secret of these tests, and of nobody else"
FOREIGN = "another secret, which this server does not have"


def token(user, *options, secret=SECRET):
    """A token, made as an operator makes one."""
    made = run("token", "--sub", str(user), *options, JWT_SECRET=secret)
    assert made.returncode == 0 and made.stderr == "", made
    return made.stdout.strip()


def signed(**claims):
    """A token of another issuer."""
    def part(data): return base64.urlsafe_b64encode(data).rstrip(b"=")
    text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guarded(launch):
    """A server whose secret is known, as it is out of the box otherwise."""
    return launch(JWT_SECRET=SECRET)


@pytest.fixture(scope="module")
def one():
    return token(1)


@pytest.fixture(scope="module")
def publisher():
    return token("service", "--role", "publisher")


class Service:
    """A program that reports its tasks over HTTP."""

    def __init__(self, server, token):
        self.server, self.headers = server, bearer(token)

    def post(self, path, **members):
        return self.server.request("POST", f"/api/task/{path}", members or None, self.headers)

    def register(self, task, user=1, **members):
        return self.said(self.post("register", task_id=task, user_id=user, **members))

    def report(self, task, word, **members):
        return self.said(self.post(f"task/{task}/{word}", **members))

    def said(self, answer):
        assert (answer.status, answer.json["success"]) == (200, True), answer
        return answer.json["data"]["seq"]


@pytest.fixture
def service(guarded, publisher):
    return Service(guarded, publisher)


class Watcher:
    """A user's socket."""

    def __init__(self, server, user, token=None, **options):
        query = f"?token={token}" if token else ""
        self.connection = connect(server.url(f"/api/task/ws/task/{user}{query}", "ws"), open_timeout=BOUND, **options)

    def __enter__(self):
        self.socket = self.connection.__enter__()
        return self

    def __exit__(self, *problem):
        return self.connection.__exit__(*problem)

    def hear(self):
        return json.loads(self.socket.recv(timeout=BOUND))

    def greeted(self):
        """Hears the two first messages; returns the tasks that have not ended."""
        first, second = self.hear(), self.hear()
        assert set(first) == {"type", "connection_id", "message", "timestamp"} and first["type"] == "connected", first
        assert first["message"] == "WebSocket 连接已建立"
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first["connection_id"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", first["timestamp"])
        assert second["type"] == "active_tasks" and second["count"] == len(second["tasks"]), second
        return second["tasks"]

    def status(self, task, status, **members):
        """The next message tells this of the task."""
        message = self.hear()
        expected = {"type": "task_status", "task_id": task, "status": status} | members
        assert message.items() >= expected.items(), message
        return message

    def say(self, kind, **members):
        self.socket.send(json.dumps({"type": kind} | members))

    def closed(self):
        with pytest.raises(ConnectionClosed) as ended:
            self.socket.recv(timeout=BOUND)
        return ended.value.rcvd.code, ended.value.rcvd.reason


# The document's clients


def script(tmp_path, text, server):
    """The document's text with this server's address, as a program."""
    path = tmp_path / "program.js"
    path.write_text("const WebSocket = require('ws');\n" + text.replace("localhost:8000", server.address), encoding="utf-8")
    return node(path)


def document(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def live(service, task):
    """A task's life as the document's service tells it."""
    service.report(task, "started")
    service.report(task, "progress", progress=50, message="正在生成问题...", step="Step 3/10")
    service.report(task, "completed", result={"questions": ["问题"]})


def test_the_javascript_client(guarded, service, one, tmp_path):
    service.register("interview_0", task_type="interview_generation")
    text = f"const userId = 1, token = '{one}';\n" + document("client.js").replace("30000", "50") + """
        client.on('active_tasks', tasks => console.log('active', tasks.map(task => task.task_id).join()));
        let pongs = 0;
        client.on('pong', () => { if (++pongs === 2) console.log('pong'); });
        client.on('task_failed', () => client.subscribeTask('interview_0'));
        client.on('disconnected', () => console.log('disconnected'));
        client.on('task_status', task => { if (task.task_id === 'interview_0') client.disconnect(); });
        """
    with script(tmp_path, text, guarded) as client:
        client.says("active interview_0")
        client.says("pong")
        service.register("interview_123")
        live(service, "interview_123")
        client.says("任务完成: { questions: [ '问题' ] }")
        service.register("interview_124")
        service.report("interview_124", "failed", error="模型不可用")
        client.says("任务失败: 模型不可用")
        code, output = client.end()
    assert code == 0, output
    assert output.count("status: 'progress'") == 1 and output.count("task_id: 'interview_123'") == 4, output
    assert output.endswith("WebSocket 连接已关闭\ndisconnected"), output


# What stands around a component: the hooks of React, or of Vue, as far as it uses them.
REACT = """
    const state = {}, effects = [];
    let states = 0;
    const useAuth = () => ({ user: { id: 1 }, token: TOKEN });
    const useRef = value => ({ current: value });
    const useState = value => {
        const key = states++;
        state[key] = value;
        return [value, next => { state[key] = typeof next === 'function' ? next(state[key]) : next; }];
    };
    const useEffect = effect => effects.push(effect);
    """


def test_the_react_component(guarded, service, one, tmp_path):
    service.register("interview_0")
    text = document("react.jsx")
    text = re.sub(r"^(import|export) .*$", "", text, flags=re.M)
    body = text[:text.index("  return (\n    <div>")] + "  return { subscribeTask, unsubscribeTask };\n};\n"
    text = f"const TOKEN = '{one}';" + REACT + body + """
        const component = TaskNotification();
        const leave = effects[0]();
        const until = setInterval(() => {
            if (state[0].interview_123?.status === 'completed') {
                clearInterval(until);
                console.log('tasks', Object.keys(state[0]).join(), state[0].interview_123.progress, state[1]);
                component.unsubscribeTask('interview_0');
            }
        }, 10);
        process.on('SIGTERM', leave);
        """
    with script(tmp_path, text, guarded) as client:
        client.says("活跃任务:")
        service.register("interview_123")
        live(service, "interview_123")
        client.says("任务完成: { questions: [ '问题' ] }")
        client.says("tasks interview_0,interview_123 100 connected")
        client.says("未知消息类型: { type: 'unsubscribed', task_id: 'interview_0' }")
        client.process.send_signal(signal.SIGTERM)
        client.says("WebSocket 连接已关闭")


def test_the_vue_component(guarded, service, one, tmp_path):
    text = document("vue.vue")
    text = text[text.index("<script setup>") + len("<script setup>"):text.index("</script>")]
    text = re.sub(r"^import .*$", "", text, flags=re.M)
    text = f"""
        const ref = value => ({{ value }}), mounts = [], unmounts = [];
        const onMounted = action => mounts.push(action), onUnmounted = action => unmounts.push(action);
        const useAuthStore = () => ({{ user: {{ id: 1 }}, token: '{one}' }});
        """ + text + """
        mounts.forEach(action => action());
        process.on('SIGTERM', () => unmounts.forEach(action => action()));
        process.on('SIGUSR2', () => subscribeTask('interview_123'));
        """
    with script(tmp_path, text, guarded) as client:
        client.says("活跃任务: []")
        service.register("interview_123")
        live(service, "interview_123")
        client.says("任务完成: { questions: [ '问题' ] }")
        service.register("interview_124")
        service.report("interview_124", "failed", error="模型不可用")
        client.says("任务失败: 模型不可用")
        client.process.send_signal(signal.SIGTERM)
        client.says("WebSocket 连接已关闭")
        assert client.end()[0] == 0


def test_the_polling_function(guarded, service, one, tmp_path):
    service.register("interview_123")
    service.register("interview_124")
    text = f"""
        const token = '{one}';
        const fetch = (path, options) => globalThis.fetch('{guarded.url("")}' + path, options);
        """ + document("polling.js").replace("2000", "20") + """
        pollTaskStatus('interview_123');
        pollTaskStatus('interview_124');
        console.log('polling');
        """
    with script(tmp_path, text, guarded) as client:
        client.says("polling")
        live(service, "interview_123")
        service.report("interview_124", "failed", error="模型不可用")
        code, output = client.end()
    # A question that was under way when the answer came is answered as well.
    assert code == 0 and set(output.splitlines()[1:]) == {"任务失败: 模型不可用", "任务完成: { questions: [ '问题' ] }"}, output


# What a user hears


def test_a_user_hears_of_all_tasks_and_of_no_others(guarded, service, one):
    with Watcher(guarded, 1, one) as watcher, Watcher(guarded, 1, one) as second, Watcher(guarded, 2, token(2)) as other:
        assert watcher.greeted() == second.greeted() == other.greeted() == []
        service.register("theirs", user=2)
        service.register("ours", user="1", metadata={"interview_id": 123})
        for socket in (watcher, second):
            socket.status("ours", "pending", progress=0, message="等待中", error=None, seq=1)
        other.status("theirs", "pending")
        assert service.report("ours", "log", logs="not told") == 2
        service.report("ours", "progress", progress=12.5, completed_steps=3, total_steps=10)
        for socket in (watcher, second):
            socket.status("ours", "progress", progress=12.5, step="Step 3/10", message="进行中", seq=3)
        service.report("ours", "cancelled", reason="not needed")
        watcher.status("ours", "cancelled", message="not needed", seq=4)
        watcher.say("ping")
        assert set(watcher.hear()) == {"type", "timestamp"}


@pytest.mark.parametrize("claims", [{"sub": 1}, {"sub": "1"}], ids=["number", "text"])
def test_a_user_who_is_a_number_is_the_same_one_everywhere(guarded, service, claims):
    key = signed(exp=int(time.time()) + 60, **claims)
    service.register("by_number", user=1)
    service.register("by_text", user="1")
    with Watcher(guarded, 1, key) as watcher:
        assert [task["task_id"] for task in watcher.greeted()] == ["by_number", "by_text"]
    listed = guarded.get("/api/task/tasks", **bearer(key)).json["data"]
    assert {task["task_id"]: task["user_id"] for task in listed["tasks"]} == {"by_number": 1, "by_text": 1}


def test_subscribe_and_unsubscribe(guarded, service):
    service.register("shared", user=2)
    service.register("secret", user=2)
    with Watcher(guarded, 1, token(1, "--tasks", "shared")) as watcher:
        assert watcher.greeted() == []
        for hidden in ("secret", "nobody"):
            watcher.say("subscribe", task_id=hidden)
            refusal = watcher.hear()
            assert (refusal["type"], refusal["task_id"], refusal["error"]) == ("error", hidden, "Task not found")
        watcher.say("subscribe", task_id="shared")
        assert watcher.hear() == {"type": "subscribed", "task_id": "shared"}
        watcher.status("shared", "pending", seq=1)
        service.report("shared", "started")
        watcher.status("shared", "running", seq=2)
        watcher.say("unsubscribe", task_id="shared")
        assert watcher.hear() == {"type": "unsubscribed", "task_id": "shared"}
        service.report("shared", "completed")
        service.register("own")
        watcher.status("own", "pending")


# Who may open a socket


@pytest.mark.parametrize("given", [
    None, "nonsense", signed(sub="1", exp=1_700_000_000), "foreign", "other"], ids=["none", "bad", "expired", "forged", "another user's"])
def test_without_a_good_token_the_socket_closes_with_4003(guarded, given):
    key = {"foreign": lambda: token(1, secret=FOREIGN), "other": lambda: token(2)}.get(given, lambda: given)()
    with Watcher(guarded, 1, key) as watcher:
        assert watcher.closed() == (4003, "authentication failed")


def test_an_admin_may_open_any_and_a_header_or_a_subprotocol_does_as_well(guarded, one):
    admin = token("root", "--role", "admin")
    for options in ({"token": admin}, {"additional_headers": bearer(admin)}, {"additional_headers": bearer(one)},
                    {"subprotocols": ["bearer", one]}):
        with Watcher(guarded, 1, **options) as watcher:
            assert watcher.greeted() == []


def test_a_socket_ends_with_its_token_unless_a_newer_one_comes(guarded, service, one):
    ending = signed(sub="1", exp=int(time.time()) - 27)
    with Watcher(guarded, 1, ending) as kept, Watcher(guarded, 1, ending) as lost:
        assert kept.greeted() == lost.greeted() == []
        kept.say("refresh", token=one)
        assert kept.hear()["type"] == "refreshed"
        # The other one's end is the clock of this test.
        assert lost.closed()[0] == 4003
        kept.say("ping")
        assert kept.hear()["type"] == "pong"


# HTTP


def test_polling_lists_and_removes(guarded, service, one):
    for number in range(5):
        service.register(f"task/{number}", task_type="t")
    service.report("task%2F4", "completed", result=1.0)
    seen, query = [], "?limit=2"
    while query:
        page = guarded.get(f"/api/task/tasks{query}", **bearer(one)).json["data"]
        seen += [task["task_id"] for task in page["tasks"]]
        assert page["count"] == len(page["tasks"]) <= 2
        query = page["next_cursor"] and f"?limit=2&cursor={page['next_cursor']}"
    assert sorted(seen) == [f"task/{number}" for number in range(5)] and len(seen) == 5
    done = guarded.get("/api/task/tasks?status=completed", **bearer(one)).json["data"]
    assert [task["task_id"] for task in done["tasks"]] == ["task/4"]
    assert guarded.request("DELETE", "/api/task/task/task%2F0", headers=bearer(one)).status == 409
    assert guarded.request("DELETE", "/api/task/task/task%2F4", headers=bearer(token(2))).status == 404
    assert guarded.request("DELETE", "/api/task/task/task%2F4", headers=bearer(one)).json == {
        "success": True, "data": {"task_id": "task/4"}}
    gone = guarded.get("/api/task/task/task%2F4/status", **bearer(one))
    assert (gone.status, gone.json) == (404, {"success": False, "error": "Task not found"})


@pytest.mark.parametrize("method, path", [
    ("GET", "/api/task/tasks"), ("GET", "/api/task/task/t/status"), ("DELETE", "/api/task/task/t"),
    ("POST", "/api/task/register"), ("POST", "/api/task/task/t/started"), ("POST", "/api/task/events")])
def test_requests_need_a_token(guarded, method, path, one):
    body = {} if method == "POST" else None
    answer = guarded.request(method, path, body)
    assert (answer.status, answer.json) == (401, {"success": False, "error": "A bearer token is needed"}), answer
    if method == "POST":
        answer = guarded.request(method, path, body, bearer(one))
        assert (answer.status, answer.json) == (403, {"success": False, "error": "This needs a token of role publisher"}), answer


# The service


class Producer:
    """A program that reports over its socket."""

    def __init__(self, server, token):
        self.connection = connect(server.url(f"/api/task/ws/producer?token={token}", "ws"), open_timeout=BOUND, max_size=None)

    def __enter__(self):
        self.socket = self.connection.__enter__()
        return self

    def __exit__(self, *problem):
        return self.connection.__exit__(*problem)

    def report(self, *events):
        self.socket.send(json.dumps(events[0] if len(events) == 1 else events))

    def hear(self):
        return json.loads(self.socket.recv(timeout=BOUND))


def test_a_program_reports_over_its_socket(guarded, publisher, one):
    with Producer(guarded, publisher) as producer, Watcher(guarded, 1, one) as watcher:
        assert watcher.greeted() == []
        producer.report({"event": "register", "task_id": "t", "user_id": 1})
        producer.report({"event": "started", "task_id": "t", "ack": 1}, {"event": "started", "task_id": "nobody", "ack": 2})
        assert producer.hear() == {"type": "ack", "ack": 1, "ok": True}
        assert producer.hear() == {"type": "ack", "ack": 2, "ok": False, "error": "Task not found"}
        count = 2_000
        producer.report(*({"event": "progress", "task_id": "t", "progress": n * 100 / count, "ack": n} for n in range(count)))
        assert [producer.hear()["ack"] for _ in range(count)] == list(range(count))
        assert [watcher.hear()["seq"] for _ in range(count + 2)] == list(range(1, count + 3))
    with pytest.raises(InvalidStatus) as refused, Producer(guarded, one):
        pass
    assert refused.value.response.status_code == 403


def test_who_reports_much_and_goes_is_heard(guarded, publisher, one):
    with Producer(guarded, publisher) as producer:
        producer.report({"event": "register", "task_id": "t", "user_id": 1}, {"event": "log", "task_id": "t", "logs": "x" * 60_000},
                        *({"event": "log", "task_id": "t", "logs": "x" * 60_000} for _ in range(40)))
        producer.report({"event": "completed", "task_id": "t", "result": {"kept": True}})
    ended = eventually(lambda: (answer := guarded.get("/api/task/task/t/status", **bearer(one))).status == 200
                       and answer.json["data"]["status"] == "completed" and answer.json["data"], "the task's end")
    assert (ended["result"], ended["seq"]) == ({"kept": True}, 43)


def test_what_was_acknowledged_outlives_the_server(launch, publisher, one, tmp_path):
    options = {"JWT_SECRET": SECRET, "DATA": str(tmp_path / "data")}
    server = launch(**options)
    with Producer(server, publisher) as producer:
        producer.report({"event": "register", "task_id": "done", "user_id": 1, "metadata": {"n": 1}},
                        {"event": "completed", "task_id": "done", "result": {"n": 1.0}},
                        {"event": "register", "task_id": "open", "user_id": 1, "ack": 1})
        assert producer.hear() == {"type": "ack", "ack": 1, "ok": True}
        server.process.kill()
        server.process.wait(BOUND)
    server = launch(**options)
    done = server.get("/api/task/task/done/status", **bearer(one)).json["data"]
    assert (done["status"], done["metadata"]) == ("completed", {"n": 1}) and done["result"] == {"n": 1.0}
    service = Service(server, publisher)
    with Watcher(server, 1, one) as watcher:
        assert [task["task_id"] for task in watcher.greeted()] == ["open"]
        assert service.post("register", task_id="open", user_id=1).status == 409
        service.report("open", "started")
        watcher.status("open", "running")
