"""The JavaScript module in Node: the documents' own examples as they stand there, breaks and restarts that lose nothing and repeat
nothing, and its types."""
import json
import re
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import shared
from crews import BRISK, Working
from documents import node, node_has
from places import Place
from producers import PACKAGE  # noqa: F401 (where the Python package lies)
from proxies import Proxy
from servers import BOUND, ROOT, eventually, run

from signalbox import Client, TaskError, TaskNotificationService, Worker

CLIENTS = ROOT / "Sources/Clients"
MODULE = CLIENTS / "javascript/signalbox.js"
EXPORTS = "ProgressHubClient, SignalboxClient, SignalboxError, TaskNotificationClient, TaskWebSocketClient"
TSC = ["tsc", "--strict", "--target", "es2022", "--module", "es2022", "--moduleResolution", "node", "--lib", "es2022,dom,dom.iterable"]

open_server = shared("--auth", "off")

# Node before 22 has a WebSocket of its own only when it is asked for one.
FLAG = "--experimental-websocket"
HAS_ITS_OWN = "typeof WebSocket === 'function'"
FLAGS = [[]] + ([[FLAG]] if not node_has(HAS_ITS_OWN) and node_has(HAS_ITS_OWN, FLAG) else [])


@pytest.fixture
def place(tmp_path):
    with Place(tmp_path / "data") as place:
        yield place


@pytest.fixture
def script(tmp_path):
    """Runs a text as a module that has all of ours; `url` is the server, `options` are those of a client in a hurry."""
    def begin(url, text, flags=()):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.mjs"
        options = {"url": url, "reconnectDelay": [1000 * pause for pause in BRISK]}
        path.write_text(f"import {{ {EXPORTS} }} from '{MODULE}'\nconst url = {json.dumps(url)}, options = {json.dumps(options)}\n"
                        "const say = (...words) => console.log(words.map((one) => typeof one === 'string' ? one : JSON.stringify(one))"
                        f".join(' '))\n{text}")
        return node(path, flags=flags)
    return begin


def usage(document):
    """How the document uses the class that it shows."""
    text = (Path(__file__).parent / document).read_text(encoding="utf-8")
    return text[text.index("// 使用示例"):]


def told(program, word):
    """What the program said behind this word, each time."""
    return [line.removeprefix(f"{word} ") for line in list(program.output.seen) if line.startswith(f"{word} ")]


class Steps:
    """A handler that goes one step whenever it is told to."""

    def __init__(self):
        self.steps, self.done = threading.Semaphore(0), 0

    def handle(self, task):
        for number in range(1, task.data.get("steps", 0) + 1):
            assert self.steps.acquire(timeout=BOUND)
            task.log(f"line {number}")
            task.progress(number, f"step {number}")
            self.done = number
        if task.data.get("fails"):
            raise TaskError("out of memory", code="CUDA_OOM")
        return {"over": task.data}

    def go(self, count=1):
        for _ in range(count):
            self.steps.release()


# MARK: the documents' examples, in a page of the server

@pytest.mark.parametrize("flags", FLAGS)
def test_the_example_of_the_task_document(launch, script, flags):
    secret = "a secret of these tests, and of nobody else"
    server = launch(JWT_SECRET=secret)
    token = run("token", "--sub", "ann", JWT_SECRET=secret).stdout.strip()
    steps = Steps()
    with Working(Worker(server.url(""), "default", steps.handle)):
        task_id = server.request("POST", "/api/gpu/tasks", {"data": {"steps": 2}}, {"Authorization": f"Bearer {token}"}).json["task_id"]
        text = usage("document_g/client.js").replace("your-task-id", task_id).replace("your-auth-token", token)
        with script(server.url(""), f"globalThis.location = new URL(url)\n{text}\nclient.on('x', () => {{}})", flags) as quiet, \
                script(server.url(""), f"globalThis.location = new URL(url)\n{text}", flags) as program:
            eventually(lambda: server.get(f"/api/gpu/tasks/{task_id}/connections", Authorization=f"Bearer {token}").json[
                "connection_count"] == 2)
            steps.go(2)
            program.says("[INFO] line 1")
            program.says("Progress: 40.8% - step 2")
            program.says("Task completed: Success")
            # Whoever has a handler is told nothing on the console.
            assert quiet.output.seen == []


def test_the_example_of_the_user_document(open_server, script):
    service = TaskNotificationService(open_server.url(""))
    text = f"globalThis.location = new URL(url)\nconst userId = 11, token = null\n{usage('document_n/client.js')}"
    with script(open_server.url(""), text) as program:
        program.says("已连接到服务器")
        service.register_task("n1", 11)
        service.notify_progress("n1", 50, "half")
        service.notify_completed("n1", {"questions": 3})
        program.says("任务完成: { questions: 3 }")
        service.register_task("n2", 11)
        service.notify_failed("n2", "模型不可用")
        program.says("任务失败: 模型不可用")
    assert service.wait_until_sent()


# MARK: tasks

@pytest.mark.parametrize("flags", FLAGS)
def test_tasks_are_given_in_watched_and_cancelled(open_server, group, script, flags):
    steps = Steps()
    with Working(Worker(open_server.url(""), group, steps.handle, concurrency=2)):
        steps.go(1)
        text = """
            const [group, client] = [process.argv[2], new SignalboxClient({ url })]
            say('run', await client.run({ a: 'ä' }, { group, priority: 'high', timeout: 30000 }))
            const failed = await client.run({ fails: true }, { group }).catch((error) => error)
            say('failed', failed instanceof SignalboxError, failed.status, failed.message)
            say('refused', (await client.run(null, { group }).catch((error) => error)).message)
            say('missing', (await client.get('nothing').catch((error) => error)).status)
            const id = await client.submit({ steps: 1 }, { group, idempotencyKey: group })
            say('again', id === await client.submit({ steps: 2 }, { group, idempotencyKey: group }))
            const end = await client.watch(id).end()
            say('end', end.success, end.result_data, (await client.get(id)).status)
            const long = await client.submit({ steps: 1 }, { group })
            const watching = client.watch(long)
            watching.on('current_status', async () => say('cancel', (await client.cancel(long)).status))
            watching.on('task_cancelled', ({ type }) => say(type))
            say('end', (await watching.end()).success)
            const control = new AbortController()
            const waiting = client.run({ steps: 1 }, { group, signal: control.signal }).catch((error) => error.name)
            setTimeout(() => control.abort(), 50)
            say('aborted', await waiting)
            say('unwatchable', (await client.watch('nothing').end().catch((error) => error)).status)
            """.replace("process.argv[2]", json.dumps(group))
        with script(open_server.url(""), text, flags) as program:
            code, output = program.end()
        steps.go(2)
    assert code == 0, output
    # Who cancels hears of it twice, as the one who asked and as one who watches.
    assert [line for line in output.splitlines() if line != "cancel cancelled"] == [
        'run {"over":{"a":"ä"}}', "failed true 500 out of memory", "refused Invalid request: data or messages required", "missing 404",
        "again true", 'end true {"over":{"steps":1}} completed', "task_cancelled", "end false", "aborted AbortError", "unwatchable 4004"]
    assert output.count("cancel cancelled") == 1


# MARK: breaks

WATCH = """
    const task = new TaskWebSocketClient(%s, null, options)
    task.on('message', ({ type }) => type === 'current_status' && say('standing'))
    task.on('task_logs', ({ logs }) => say('line', logs))
    for (const type of ['current_status', 'task_logs', 'task_progress', 'task_completed'])
      task.on(type, ({ seq }) => say('seq', String(seq)))
    task.on('current_status', ({ seq }) => say('state', String(seq)))
    say('end', (await task.end()).result_data)
    """


@pytest.mark.parametrize("flags", FLAGS)
def test_a_cut_wire_costs_a_task_watcher_nothing(open_server, group, script, flags):
    steps = Steps()
    with Working(Worker(open_server.url(""), group, steps.handle)), Proxy(open_server) as proxy:
        task_id = Client(open_server.url("")).submit({"steps": 30}, group=group)
        with script(proxy.url(), WATCH % json.dumps(task_id), flags) as program:
            program.says("state")
            for number in range(3):
                steps.go(5)
                program.says(f"line line {10 * number + 5}")
                proxy.cut()
                steps.go(5)
                eventually(lambda: steps.done == 10 * number + 10)
                proxy.mend()
            program.says('end {"over":{"steps":30}}')
            code, output = program.end()
    assert code == 0, output
    assert told(program, "line") == [f"line {number}" for number in range(1, 31)]
    numbers = [int(seq) for seq in told(program, "seq")]
    assert numbers == sorted(set(numbers))
    # It was told each time how the task stands, and kept that to itself.
    assert output.count("standing") >= 4 and len(told(program, "state")) == 1


def test_a_server_that_is_killed_in_the_middle_costs_a_task_watcher_nothing(place, script):
    steps = Steps()
    with Working(Worker(place.url, "g", steps.handle, reconnect_delay=BRISK)):
        task_id = Client(place.url).submit({"steps": 4}, group="g")
        with script(place.url, WATCH % json.dumps(task_id)) as program:
            program.says("state")
            steps.go(2)
            program.says("line line 2")
            place.kill()
            place.open()
            eventually(lambda: len(told(program, "state")) == 2)
            steps.go(2)
            program.says("end")
            code, output = program.end()
    assert code == 0, output
    assert told(program, "line") == [f"line {number}" for number in range(1, 5)]
    numbers = [int(seq) for seq in told(program, "seq")]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("way", ["cut", "kill"])
def test_a_user_hears_of_what_came_and_went_during_a_break(place, script, way):
    service = TaskNotificationService(place.url)
    service.register_task("long", 1)
    service.register_task("short", 1)
    service.register_task("old", 1)
    assert service.notify_completed("old").wait(BOUND)
    text = """
        const user = new TaskNotificationClient(1, null, options)
        user.on('active_tasks', (tasks) => say('active', String(tasks.length)))
        user.on('task_status', ({ task_id, status, seq }) => say('task', task_id, status, String(seq)))
        for (const end of ['completed', 'failed']) user.on(`task_${end}`, ({ task_id }) => {
            say('ended', task_id, end, Object.keys(user.tasks).sort().join())
            if (task_id === 'long') user.disconnect()
        })
        user.on('disconnected', ({ willReconnect }) => say('disconnected', String(willReconnect)))
        user.connect()
        """
    with Proxy(place.server) as proxy, script(proxy.url() if way == "cut" else place.url, text) as program:
        program.says("active 2")
        proxy.cut() if way == "cut" else place.kill()
        program.says("disconnected true")
        if way == "kill":
            place.open()
        assert service.notify_completed("short", result=[1]).wait(BOUND)
        service.register_task("between", 1)
        assert service.notify_failed("between", "why").wait(BOUND)
        proxy.mend()
        program.says("ended between failed")
        program.says("ended short completed")
        assert service.notify_completed("long").wait(BOUND)
        program.says("ended long completed between,long,short")
        code, output = program.end()
    assert code == 0 and program.output.seen[-1] == "disconnected false", output
    assert not any("old" in line for line in program.output.seen)
    for name in ("long", "short", "between"):
        numbers = [int(line.split()[-1]) for line in told(program, f"task {name}")]
        assert numbers == sorted(set(numbers)), output


HUB = """
    const hub = new ProgressHubClient({ ...options, userId: 'ann' })
    for (const type of ['connected', 'reconnected']) hub.on(type, ({ client_id }) => say(type, String(client_id === hub.clientId)))
    hub.on('progress', ({ task_id, progress, seq }) => { say(task_id, String(progress)); say('seq', task_id, String(seq)) })
    hub.on('status', ({ task_id, status }) => say(task_id, status))
    hub.on('error', ({ task_id, error }) => { say('error', task_id ?? 'b', error); hub.unsubscribe('b') })
    hub.on('unsubscribed', ({ topics }) => { say('left', topics); hub.disconnect() })
    hub.subscribe('a')
    hub.on('connected', () => hub.subscribe('b'))
    hub.connect()
    """


@pytest.mark.parametrize("way", ["cut", "kill"])
def test_the_hub_comes_back_as_who_it_was(place, script, way):
    service = TaskNotificationService(place.url)
    for name in ("a", "b"):
        service.register_task(name, "ann")
        assert service.notify_started(name).wait(BOUND)
    with Proxy(place.server) as proxy, script(proxy.url() if way == "cut" else place.url, HUB) as program:
        program.says("b 0")
        for number in range(1, 4):
            assert service.notify_progress("a", number).wait(BOUND)
        program.says("a 3")
        proxy.cut() if way == "cut" else place.kill()
        if way == "kill":
            place.open()
        for number in range(4, 9):
            assert service.notify_progress("a", number).wait(BOUND)
        assert service.notify_failed("b", "why").wait(BOUND)
        proxy.mend()
        program.says("a 8")
        program.says("error b why")
        program.says('left ["a"]')
        code, output = program.end()
    assert code == 0, output
    figures = [int(figure) for figure in told(program, "a") if figure.isdigit()]
    if way == "cut":
        assert figures == list(range(9)) and "reconnected true" in program.output.seen
    # After a restart numbers begin anew behind a gap, and how the task stands is told first.
    numbers = [int(seq) for seq in told(program, "seq a")]
    assert numbers == sorted(set(numbers)) and figures == sorted(figures) and figures[-1] == 8 and output.count("error b") == 1, output


def test_pauses_grow_and_end(script):
    text = """
        const task = new TaskWebSocketClient('t', null, { url: 'http://127.0.0.1:1', reconnectDelay: [4, 40], maxReconnectAttempts: 6 })
        task.on('error', () => {})
        task.on('reconnecting', ({ attempt, delay }) => say('pause', String(attempt), String(delay)))
        task.on('disconnected', ({ willReconnect }) => say('gone', String(willReconnect)))
        say('end', (await task.end().catch((error) => error)).name)
        """
    with script("http://127.0.0.1:1", text) as program:
        code, output = program.end()
    assert code == 0, output
    pauses = [float(words.split()[1]) for words in told(program, "pause")]
    assert len(pauses) == 6
    for number, pause in enumerate(pauses):
        assert min(40, 4 * 2 ** number) <= pause <= min(40, 6 * 2 ** number)
    assert told(program, "gone") == ["true"] * 6 + ["false"] and told(program, "end") == ["SignalboxError"]


def test_a_server_that_is_silent_is_taken_for_gone(script):
    text = """
        import { createServer } from 'node:net'
        import { createHash } from 'node:crypto'
        let visits = 0
        const server = createServer((socket) => {
          visits += 1
          socket.on('error', () => {})
          socket.once('data', (data) => {
            const key = /sec-websocket-key: (.*)\\r\\n/i.exec(data.toString())[1]
            const accept = createHash('sha1').update(key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
            const lines = ['HTTP/1.1 101 OK', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`, '', '']
            socket.write(lines.join('\\r\\n'))
          })
        })
        await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
        const address = `http://127.0.0.1:${server.address().port}`
        const hub = new ProgressHubClient({ ...options, url: address, heartbeat: 10 })
        hub.on('disconnected', ({ reason }) => {
          say('gone', reason)
          if (visits === 2) process.exit(0)
        })
        hub.connect()
        """
    with script("http://127.0.0.1:1", text) as program:
        code, output = program.end()
    assert code == 0 and output.splitlines() == ["gone the server is silent"] * 2, output


def test_without_a_websocket_it_says_what_is_needed(tmp_path):
    path = tmp_path / "alone.mjs"
    path.write_text(f"delete globalThis.WebSocket\nconst {{ ProgressHubClient }} = await import('{MODULE}')\n"
                    "try { new ProgressHubClient().connect() } catch (error) { console.log(error.message) }")
    ran = subprocess.run(["node", path], env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path, capture_output=True, text=True, timeout=BOUND)
    assert "install ws" in ran.stdout, ran


# MARK: types

def test_types_are_those_of_the_module(tmp_path):
    subprocess.run([*TSC, "--allowJs", "--checkJs", "--noEmit", MODULE], check=True, timeout=4 * BOUND)
    made = subprocess.run([*TSC, "--allowJs", "--declaration", "--emitDeclarationOnly", "--outDir", tmp_path, MODULE], timeout=4 * BOUND)
    assert made.returncode == 0
    first, kept = (CLIENTS / "javascript/signalbox.d.ts").read_text().split("\n", 1)
    # Another tsc may break its lines elsewhere.
    assert first.startswith("//") and kept.split() == (tmp_path / "signalbox.d.ts").read_text().split()


USE = f"""
import {{ {EXPORTS} }} from '{MODULE}'
const client = new SignalboxClient({{ url: 'http://h' }})
const id: string = await client.submit({{ a: 1 }}, {{ priority: 'high' }})
const end = await new TaskWebSocketClient(id, () => 'token', {{ lastSeq: 3 }}).end()
const isGood: boolean = end.success
new ProgressHubClient({{ userId: 'ann', heartbeat: 5 }}).on('progress', ({{ progress }}) => progress).subscribe('a')
new TaskNotificationClient(1, 'token').subscribeTask('a')
export const words: string = new SignalboxError(4004, 'no', {{ isGood }}).message
// @ts-expect-error
await client.submit({{ a: 1 }}, {{ priority: 'urgent' }})
// @ts-expect-error
new TaskWebSocketClient(5)
// @ts-expect-error
new TaskNotificationClient(1, 'token').subscribeTask()
// @ts-expect-error
new ProgressHubClient({{ user: 'ann' }})
"""


def test_types_help_who_writes_typescript(tmp_path):
    path = tmp_path / "use.ts"
    path.write_text(USE)
    checked = subprocess.run([*TSC, "--noEmit", path], capture_output=True, text=True, timeout=4 * BOUND)
    assert checked.returncode == 0, checked.stdout
