"""Restarts without loss: one process takes over from another, sockets that a parent made, what a supervisor is told, and ends that are
hurried. Whoever connects meanwhile is served by one process or the other; nobody is refused, and nothing that was promised is lost."""
import array
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import websocket

from ledger import Home, Returning, kill
from servers import BINARY, BOUND, Lines, environment, eventually, read_response
from workers import Closed, Worker

VERSION = "signalbox-takeover-1"


@pytest.fixture
def house(launch, tmp_path):
    return House(launch, tmp_path)


class House(Home):
    """A data folder, and a door by which one server takes over from the other."""

    def __init__(self, launch, folder):
        super().__init__(launch, folder / "data")
        self.door = folder / "door"
        self.pool = ThreadPoolExecutor(4)

    def begin(self, *arguments, **settings):
        return super().begin("--takeover", str(self.door), *arguments, **settings)

    def follow(self, *arguments, **settings):
        """A successor on its way; it is there once the server before has given way."""
        return self.pool.submit(self.begin, *arguments, **settings)


def said(server, words):
    return server.log.first(lambda line: words in line)


def code_of_close(worker):
    with pytest.raises(Closed) as closed:
        while True:
            worker.receive()
    return closed.value.code


def is_ready(server):
    return server.get("/readyz").status == 200


# MARK: one process takes over from the other

class Crowd:
    """Clients that connect again and again, each time anew, and ask for something that is always there or give in a task."""

    def __init__(self, server, group, width=6):
        self.host, self.port, self.group = server.host, server.port, group
        self.over, self.lock, self.faults, self.answers, self.accepted = threading.Event(), threading.Lock(), [], [], []
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True) for number in range(width)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        body = json.dumps({"data": {}, "group": self.group, "async": True}).encode()
        post = b"POST /api/openai HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        request = post if number % 2 else b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        while not self.over.is_set():
            try:
                with socket.create_connection((self.host, self.port), timeout=BOUND) as channel:
                    channel.sendall(request)
                    status, headers, content = read_response(channel)
            except (OSError, AssertionError) as error:
                with self.lock:
                    self.faults.append(repr(error))
                continue
            with self.lock:
                self.answers.append(status)
                if number % 2 and status == 200:
                    self.accepted.append(json.loads(content)["taskId"])
                if status not in (200, 503):
                    self.faults.append((status, content))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(BOUND)
            assert not thread.is_alive()


@contextmanager
def faithful(server, group):
    """A worker that comes back whenever its socket is closed; it takes tasks in hand, and finishes every second one at once."""
    over, faults = threading.Event(), []

    def work():
        name, held = None, []
        while not over.is_set():
            try:
                worker = Returning(server, group, name or "nobody")
                name = worker.id
                worker.send("ready", concurrency=4)
                for task in held:
                    worker.complete(task)
                held = []
                while True:
                    message = worker.receive()
                    if message["type"] == "task":
                        held.append(message["taskId"])
                        if len(held) == 2:
                            worker.complete(held.pop(0))
            except (Closed, OSError, websocket.WebSocketException) as error:
                if isinstance(error, (ConnectionRefusedError, ConnectionResetError)) and not over.is_set():
                    faults.append(repr(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield faults
    over.set()


def test_nobody_is_refused_while_processes_take_over(house, group):
    """Four processes, one after the other, under a crowd that connects all the time."""
    settings = {"AUTH": "off", "MAX_QUEUE_LENGTH": 100_000}
    server = house.begin(**settings)
    port = server.port
    with faithful(server, group) as troubles:
        eventually(lambda: group in server.get("/metrics").body.decode() or server.get("/api/fleet").json["workers"], "the worker")
        crowd = Crowd(server, group)
        for _ in range(3):
            before = len(crowd.accepted)
            eventually(lambda: len(crowd.accepted) > before + 20 or crowd.faults, "accepted tasks")
            successor = house.begin(**settings)
            assert successor.port == port
            assert server.process.wait(BOUND) == 0
            server = successor
        before = len(crowd.accepted)
        eventually(lambda: len(crowd.accepted) > before + 20 or crowd.faults, "accepted tasks")
        crowd.stop()
        assert crowd.faults == [] and troubles == []
        print(f"\n{len(crowd.answers)} requests, {crowd.answers.count(503)} of them told to come again")
        for task_id in crowd.accepted:
            assert server.task(task_id)["status"] in ("queued", "executing", "completed"), task_id
    assert server.stop() == 0


def test_worker_delivers_across_a_takeover(house, group):
    server = house.begin()
    with Worker(server, group, ready={"concurrency": 2}) as worker:
        first, second = server.queue(group, {"n": 1}), server.queue(group, {"n": 2})
        worker.take(first), worker.take(second)
        waiting = server.queue(group, {"n": 3})
        successor = house.begin()
        assert code_of_close(worker) == 1012
        with Returning(successor, group, worker.id) as again:
            again.finish(first, {"from": "before"})
            again.send("ready", concurrency=1)
            again.finish(second, {"from": "before"})
            again.finish(again.take(waiting)["taskId"])
    for task_id in (first, second):
        assert successor.task(task_id)["result"] == {"from": "before"}
    assert server.wait() == 0


def test_request_in_flight_is_answered_and_who_connects_waits(house, group):
    server = house.begin(TAKEOVER_DRAIN_MS=60_000)
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        successor = house.follow()
        said(server, "giving way")
        # It is let in by the successor, which is not there yet.
        early = server.begin("GET", "/api/fleet")
        assert not successor.done()
        worker.complete(task_id, {"in": "time"})
        answer = pending.answer()
        assert answer.status == 200 and answer.json["result"] == {"in": "time"}
        assert early.answer().status == 200
        assert code_of_close(worker) == 1012
    assert server.wait() == 0
    assert is_ready(successor.result(BOUND))


def test_request_that_takes_too_long_may_be_asked_again(house, group):
    server = house.begin(TAKEOVER_DRAIN_MS=200)
    with Worker(server, group, ready={"concurrency": 2}) as worker:
        plain, keyed = server.submit(group), server.submit(group, {"n": 1}, idempotencyKey="key")
        tasks = {worker.take()["taskId"], worker.take()["taskId"]}
        successor = house.begin()
        for pending in (plain, keyed):
            answer = pending.answer()
            assert answer.status == 503 and answer.json == {"error": "Server is restarting"}
            assert answer.headers["Retry-After"] == "1"
        left = tasks - {worker.receive("cancel")["taskId"]}
        assert code_of_close(worker) == 1012
        again = successor.submit(group, {"n": 1}, idempotencyKey="key")
        with Returning(successor, group, worker.id) as returned:
            returned.finish(*left, {"as": "promised"})
        assert again.answer().json["result"] == {"as": "promised"}
    assert server.wait() == 0


def test_watchers_come_back_without_a_hole(house, group):
    server = house.begin(AUTH="off")
    worker = Worker(server, group, ready=True)
    task_id = server.queue(group)
    worker.take(task_id)
    heard, last, number, finished = [], 0, 0, False
    for life in range(3):
        query = f"?last_seq={last}" if life else ""
        with closing(websocket.create_connection(server.url(f"/api/gpu/tasks/{task_id}/ws{query}", "ws"), timeout=BOUND)) as watcher:
            # Of a task that lives on the next process tells how it stands, and from there on every event.
            while json.loads(watcher.recv())["type"] != "current_status":
                pass
            for _ in range(20):
                worker.send("task_progress", taskId=task_id, progress=50, message=f"m{number}")
                number += 1
            worker.fence()
            successor = house.begin(AUTH="off") if life < 2 else None
            if not successor:
                worker.finish(task_id)
            while True:
                opcode, data = watcher.recv_data()
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    assert int.from_bytes(data[:2], "big") == 1012
                    break
                message = json.loads(data)
                if "seq" in message and message["type"] == "task_progress":
                    assert message["seq"] > last
                    last = message["seq"]
                    if message.get("message", "").startswith("m"):
                        heard.append(message["message"])
                if message["type"] == "task_completed":
                    finished = True
                    break
        if successor:
            assert code_of_close(worker) == 1012
            assert server.wait() == 0
            server = successor
            worker = Returning(server, group, worker.id)
    assert finished and heard == [f"m{number}" for number in range(60)]
    worker.close()


def test_unix_socket_and_file_go_along(house, launch, tmp_path):
    path = tmp_path / "s.sock"
    listen = ("127.0.0.1:0", f"unix:{path}")
    arguments = ("--takeover", str(house.door), "--data", str(house.folder))
    first = launch(*arguments, listen=listen)
    inode = path.stat().st_ino
    second = launch(*arguments, listen=listen)
    assert first.wait() == 0
    assert path.stat().st_ino == inode
    with socket.socket(socket.AF_UNIX) as channel:
        channel.connect(str(path))
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_response(channel)[0] == 200
    third = launch(*arguments, "--listen", "127.0.0.1:0")  # it wants another port, and no unix socket
    assert second.wait() == 0 and third.port == second.port
    assert len({line.split("address=")[1].split()[0] for line in third.log.seen if "event=listening" in line}) == 2
    assert not connects(path)
    assert third.stop() == 0
    assert not house.door.exists()


def connects(path):
    with socket.socket(socket.AF_UNIX) as channel:
        return channel.connect_ex(str(path)) == 0


# MARK: one of them dies

class Knock:
    """A process at the door, word by word."""

    def __init__(self, path, kind=socket.SOCK_SEQPACKET):
        self.socket = socket.socket(socket.AF_UNIX, kind)
        self.socket.settimeout(BOUND)
        self.socket.connect(str(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, words):
        self.socket.send(f"{VERSION}\n{words}".encode())

    def hear(self):
        """The next message and the descriptors beside it; empty at the end."""
        data, ancillary, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
        numbers = array.array("i")
        for level, kind, content in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            numbers.frombytes(content[:len(content) - len(content) % 4])
        return data.decode(), list(numbers)

    def offered(self):
        """Says hello; returns the listening sockets, without the door."""
        self.say("hello test")
        text, numbers = self.hear()
        assert text.startswith(f"{VERSION}\noffer "), text
        os.close(numbers[0])
        return [socket.socket(fileno=number) for number in numbers[1:]]


@pytest.mark.parametrize("step", ["knocks", "hello", "go"])
def test_successor_that_dies_leaves_the_server_serving(house, group, step):
    server = house.begin(TAKEOVER_DRAIN_MS=60_000)
    with Worker(server, group, ready={"concurrency": 2}) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        with Knock(house.door) as knock:
            if step != "knocks":
                sockets = knock.offered()
                assert [s.getsockname()[1] for s in sockets] == [server.port]
                assert is_ready(server)
                if step == "go":
                    knock.say("go")
                    said(server, "giving way")
                for passed in sockets:
                    passed.close()
        if step == "go":
            said(server, "serving on")
        assert is_ready(server)
        second = server.queue(group)
        worker.take(second)
        worker.finish(second)
        worker.finish(task_id, {"still": "here"})
        assert pending.answer().json["result"] == {"still": "here"}
    # The next one has its way.
    successor = house.begin()
    assert server.wait() == 0 and is_ready(successor)


def test_successor_that_is_killed_leaves_the_server_serving(house, group):
    server = house.begin(TAKEOVER_DRAIN_MS=60_000)
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--takeover", str(house.door), "--data", str(house.folder)]
        process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said(server, "giving way")
        process.kill()
        process.wait(BOUND)
        said(server, "serving on")
        assert is_ready(server)
        worker.finish(task_id)
        assert pending.answer().status == 200


def test_successor_that_is_told_to_stop_leaves_the_server_serving(house, group):
    server = house.begin(TAKEOVER_DRAIN_MS=60_000)
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        worker.take()
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--takeover", str(house.door), "--data", str(house.folder)]
        process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        said(server, "giving way")
        process.terminate()
        assert process.wait(BOUND) == 1
        said(server, "serving on")
        pending.leave()
        worker.receive("cancel")


def test_server_that_is_killed_while_it_gives_way_is_followed_at_once(house, group):
    server = house.begin(TAKEOVER_DRAIN_MS=60_000)
    worker = Worker(server, group, ready={"concurrency": 2})
    task_id = server.queue(group)
    worker.take(task_id)
    pending = server.submit(group)
    worker.take()
    coming = house.follow()
    said(server, "giving way")
    early = server.begin("GET", "/healthz")
    kill(server)
    assert early.answer().status == 200
    successor = coming.result(BOUND)
    pending.leave()
    with Returning(successor, group, worker.id) as again:
        again.finish(task_id)
    assert successor.task(task_id)["status"] == "completed"


@contextmanager
def false_predecessor(path):
    """A process that listens at the door as a server does; yields what takes the knock."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(str(path))
        door.listen()
        door.settimeout(BOUND)

        def admit():
            knock = Knock.__new__(Knock)
            knock.socket, _ = door.accept()
            knock.socket.settimeout(BOUND)
            assert knock.hear() == (f"{VERSION}\nhello 0.1.0", [])
            return door, knock
        yield admit


@pytest.mark.parametrize("step", ["hello", "offer", "go"])
def test_predecessor_that_dies_is_followed(house, step):
    with socket.create_server(("127.0.0.1", 0)) as listener, false_predecessor(house.door) as admit:
        coming = house.follow()
        door, knock = admit()
        with knock:
            if step != "hello":
                words = f"{VERSION}\noffer 0.0.9\nlent 127.0.0.1:0".encode()
                socket.send_fds(knock.socket, [words], [door.fileno(), listener.fileno()])
            if step == "go":
                assert knock.hear() == (f"{VERSION}\ngo", [])
            door.close()
        server = coming.result(BOUND)
        # What it was passed it has, whatever became of the giver.
        assert (server.port == listener.getsockname()[1]) == (step != "hello")
        assert is_ready(server)


@pytest.mark.parametrize("words", ["refused it does not please us", "go", "offer 1\nlent 127.0.0.1:0", "nonsense"])
def test_predecessor_that_gives_nothing_is_told_of(house, words):
    with false_predecessor(house.door) as admit:
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--takeover", str(house.door), "--data", str(house.folder)]
        process = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        _, knock = admit()
        with knock:
            knock.say(words)
            log = process.communicate(timeout=BOUND)[1]
    assert process.returncode == 1 and "cannot take over" in log
    assert ("it does not please us" in log) == words.startswith("refused")


def test_garbage_at_the_door_harms_nobody(house):
    server = house.begin()
    for data in (b"garbage", b"\0" * 65536, f"{VERSION}\ngo".encode(), f"{VERSION}\nyours".encode(), b"signalbox-takeover-9\nhello 9"):
        with Knock(house.door) as knock:
            knock.socket.send(data)
            text, numbers = knock.hear()
            assert numbers == [] and (text == "" or "refused" in text)
    with open(os.devnull) as null, Knock(house.door) as knock:
        socket.send_fds(knock.socket, [f"{VERSION}\nhello gift".encode()], [null.fileno()] * 100)
        text, numbers = knock.hear()
        for number in numbers:
            os.close(number)
        assert len(numbers) == 2
    with pytest.raises(OSError):
        Knock(house.door, socket.SOCK_STREAM)
    crowd = [Knock(house.door) for _ in range(40)]
    assert is_ready(server)
    for knock in crowd:
        knock.socket.close()
    # None of what came is open any more.
    eventually(lambda: len(os.listdir(f"/proc/{server.process.pid}/fd")) < 60, "closed descriptors")
    successor = house.begin()
    assert server.wait() == 0 and is_ready(successor)


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as knock:
    knock.connect(sys.argv[1])
    try:
        knock.send(b"signalbox-takeover-1\\nhello thief")
        print(knock.recv(100))
    except ConnectionError:
        print(b"")
"""


def test_door_is_its_owners_alone(house, tmp_path):
    server = house.begin()
    assert house.door.stat().st_mode & 0o777 == 0o600
    if os.geteuid() == 0:
        # Whoever gets past the file's mode is asked who it is all the same.
        house.door.chmod(0o666)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_mode & 0o001 == 0:
                folder.chmod(folder.stat().st_mode | 0o011)
        ran = subprocess.run([sys.executable, "-c", STRANGER, str(house.door)], capture_output=True, text=True, timeout=BOUND, check=True)
        assert ran.stdout.strip() == "b''"
        said(server, "another user's")
    assert is_ready(server)


def test_folder_for_all_is_no_place_for_a_door(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    ran = subprocess.run([BINARY, "serve", "--listen", "127.0.0.1:0", "--takeover", str(folder / "door")], env=environment(), cwd=tmp_path,
                         capture_output=True, text=True, timeout=BOUND)
    assert ran.returncode == 1 and "anybody may write" in ran.stderr


def test_no_takeover_from_a_server_that_stops(house, group):
    server = house.begin(DRAIN_TIMEOUT_MS=60_000)
    with Worker(server, group, ready=True) as worker:
        task_id = server.queue(group)
        worker.take(task_id)
        server.process.send_signal(signal.SIGTERM)
        said(server, "draining")
        with pytest.raises(FileNotFoundError):
            Knock(house.door)
        worker.finish(task_id)
        assert worker.receive() == {"type": "drain"}
        assert code_of_close(worker) == 1001
    assert server.wait() == 0


# MARK: ends that are hurried

@pytest.mark.parametrize("first, second", [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_second_signal_ends_the_waiting(launch, group, first, second):
    server = launch(DRAIN_TIMEOUT_MS=600_000)
    worker = Worker(server, group, ready={"concurrency": 2})
    pending, kept = server.submit(group), server.queue(group)
    worker.take(), worker.take(kept)
    server.process.send_signal(first)
    said(server, "draining")
    server.process.send_signal(second)
    answer = pending.answer()
    assert answer.status == 503 and answer.headers["Retry-After"] == "1"
    assert answer.json == {"error": "Server is shutting down"}
    assert code_of_close(worker) == 1001
    assert server.wait() == 0


def test_workers_may_finish_what_they_have_in_hand(launch, group):
    server = launch(DRAIN_TIMEOUT_MS=600_000)
    worker, idle = Worker(server, group, ready=True), Worker(server, group + "-idle", ready=True)
    task_id = server.queue(group)
    worker.take(task_id)
    server.process.send_signal(signal.SIGTERM)
    assert idle.receive() == {"type": "drain"}
    worker.finish(task_id)
    assert worker.receive() == {"type": "drain"}
    assert code_of_close(worker) == code_of_close(idle) == 1001
    assert server.wait() == 0


# MARK: sockets that a parent made

class Parent:
    """Makes sockets and starts servers that listen on them, as systemd does."""

    def __init__(self, folder, sockets, names=None):
        self.folder, self.sockets, self.names, self.started = folder, sockets, names, []

    def begin(self, *arguments, process="$$", **settings):
        numbers = [s.fileno() for s in self.sockets]
        variables = {"LISTEN_FDS": str(len(numbers))} | ({"LISTEN_FDNAMES": self.names} if self.names else {})

        def settle():
            # Out of the way first: one may stand where another belongs.
            high = [os.dup2(number, 100 + index) for index, number in enumerate(numbers)]
            for index, number in enumerate(high):
                os.dup2(number, 3 + index, inheritable=True)
                os.close(number)
        started = subprocess.Popen(
            ["sh", "-c", f'export LISTEN_PID={process}; exec "$0" "$@"', BINARY, "serve", "--data", str(self.folder / "data"), *arguments],
            env=environment(**settings) | variables, cwd=self.folder, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            preexec_fn=settle, close_fds=False)
        started.log = Lines(started.stderr)
        self.started.append(started)
        return started

    def close(self):
        for started in self.started:
            if started.poll() is None:
                started.kill()
                started.wait(BOUND)
            started.log.thread.join(BOUND)
            started.stderr.close()
        for listener in self.sockets:
            listener.close()


@pytest.fixture
def parents(tmp_path):
    made = []

    def make(*sockets, names=None):
        made.append(Parent(tmp_path, list(sockets), names))
        return made[-1]
    yield make
    for parent in made:
        parent.close()


def ask(address, path="/healthz"):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as channel:
        channel.settimeout(BOUND)
        channel.connect(address)
        channel.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return read_response(channel)[0]


def test_passed_sockets_are_served_across_processes(parents, tmp_path):
    """The parent holds the sockets: who connects while there is no process waits for the next."""
    path = str(tmp_path / "s.sock")
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    parent = parents(tcp, unix, names="web:local")
    addresses = [tcp.getsockname(), path]
    for _ in range(2):
        server = parent.begin()
        with ThreadPoolExecutor(2) as pool:
            # Asked before anybody listens.
            assert list(pool.map(ask, addresses)) == [200, 200]
        # They may be answered before what the server says of itself has been read.
        eventually(lambda: sum("event=listening" in line for line in list(server.log.seen)) >= 2, "both lines of the log")
        lines = [line for line in server.log.seen if "event=listening" in line]
        assert len(lines) == 2 and "from=web" in lines[0] and "from=local" in lines[1], "the standard address is not served besides"
        server.terminate()
        assert server.wait(BOUND) == 0
    assert os.path.exists(path), "it is the parent's"


def test_passed_sockets_and_named_addresses(parents):
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    server = parents(tcp).begin("--listen", f"127.0.0.1:{port}", "--listen", "127.0.0.1:0")
    line = server.log.first(lambda line: "event=listening" in line and "from=" not in line)
    assert ask(("127.0.0.1", port)) == ask(("127.0.0.1", int(re.search(r"127\.0\.0\.1:(\d+)", line)[1]))) == 200


def test_sockets_of_another_process_are_not_ours(parents):
    tcp = socket.create_server(("127.0.0.1", 0))
    server = parents(tcp).begin("--listen", "127.0.0.1:0", process="1")
    line = server.log.first(lambda line: "event=listening" in line)
    assert str(tcp.getsockname()[1]) not in line and "from=" not in line


@pytest.mark.parametrize("kind", ["a file", "datagrams", "an idle socket", "open to all"])
def test_passed_descriptor_that_cannot_be_served(parents, tmp_path, kind):
    made = {"a file": lambda: open(os.devnull), "datagrams": lambda: socket.socket(type=socket.SOCK_DGRAM), "an idle socket": socket.socket,
            "open to all": lambda: socket.create_server(("0.0.0.0", 0))}[kind]()
    server = parents(made).begin()
    assert server.wait(BOUND) == 2
    server.log.thread.join(BOUND)
    assert ("--auth all" if kind == "open to all" else "descriptor 3 of LISTEN_FDS is no listening stream socket") in server.log.seen[-1]


def test_passed_sockets_are_shared_as_they_were_made(parents):
    tcp = socket.create_server(("127.0.0.1", 0))
    server = parents(tcp).begin("--share-port")
    assert server.wait(BOUND) == 2
    server.log.thread.join(BOUND)
    assert "--share-port" in server.log.seen[-1] and "ReusePort=" in server.log.seen[-1]


def test_passed_sockets_go_on_to_a_successor(house, launch, parents, tmp_path):
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    parent = parents(tcp)
    server = parent.begin("--takeover", str(house.door))
    assert ask(("127.0.0.1", port)) == 200
    successor = launch("--takeover", str(house.door), "--data", str(tmp_path / "data"), listen=(f"127.0.0.1:{port}",))
    successor.port = port
    assert server.wait(BOUND) == 0
    assert is_ready(successor)


# MARK: what a supervisor is told

class Supervisor:
    """Listens to what a process says of itself."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(BOUND)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def hear(self, first):
        """The next datagram that begins with a line like that, as a table; others are passed over."""
        while True:
            lines = dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())
            if first in lines:
                return lines


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_supervisor_is_told(launch, tmp_path, kind, group):
    address = str(tmp_path / "notify") if kind == "path" else f"@signalbox-{os.getpid()}-{group}"
    supervisor = Supervisor(address)
    with closing(supervisor.socket):
        server = launch(NOTIFY_SOCKET=address)
        assert supervisor.hear("READY") == {"READY": "1", "STATUS": "Serving"}
        server.process.send_signal(signal.SIGHUP)
        reloading = supervisor.hear("RELOADING")
        assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
        assert supervisor.hear("READY")["READY"] == "1"
        worker = Worker(server, group, ready=True)
        task_id = server.queue(group)
        worker.take(task_id)
        server.process.send_signal(signal.SIGTERM)
        assert supervisor.hear("STOPPING") == {"STOPPING": "1", "STATUS": "Draining: 1 tasks in workers' hands"}
        worker.finish(task_id)
        assert server.wait() == 0


def test_watchdog_hears_that_the_loop_turns(launch, tmp_path):
    supervisor = Supervisor(str(tmp_path / "notify"))
    with closing(supervisor.socket):
        server = launch(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=100_000)
        for _ in range(3):
            assert supervisor.hear("WATCHDOG") == {"WATCHDOG": "1"}
        assert server.stop() == 0


def test_silent_supervisor_is_no_obstacle(launch, tmp_path):
    server = launch(NOTIFY_SOCKET=str(tmp_path / "nobody"), WATCHDOG_USEC=100_000)
    assert is_ready(server)
    assert server.stop() == 0


def test_hangup_without_certificates_is_survived(launch):
    server = launch()
    server.process.send_signal(signal.SIGHUP)
    assert "TLS is not spoken" in said(server, "nothing to be read anew")
    assert is_ready(server)
    assert server.stop() == 0
