"""The program as its operator meets it: commands, flags, listeners, figures, and its end."""
import json
import os
import re
import signal
import socket
import subprocess

import pytest

from servers import BINARY, BOUND, Lines, environment, eventually, read_response, read_to_end, run
from workers import Closed, Worker

VARIABLES = ["TASK_TIMEOUT_MS", "MAX_TASK_TIMEOUT_MS", "MIN_TASK_TIMEOUT_MS", "MAX_QUEUE_LENGTH", "TASK_RESULT_TTL_MS"]
DEFAULTS = ["60000", "600000", "5000", "1000", "300000"]


# MARK: commands and flags

def test_version():
    result = run("version")
    assert result.returncode == 0 and result.stderr == ""
    assert re.match(r"signalbox \d+\.\d+", result.stdout)


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_lists_options_with_their_defaults(arguments):
    result = run(*arguments)
    assert result.returncode == 0 and result.stderr == ""
    for word in ["serve", "version", "--listen", "127.0.0.1:8000", "--insecure", *VARIABLES, *DEFAULTS]:
        assert word in result.stdout, word


@pytest.mark.parametrize(("arguments", "named"), [
    (["serve", "--no-such-flag"], "--no-such-flag"),
    (["no-such-command"], "no-such-command"),
    (["serve", "--listen"], "--listen"),
    (["serve", "--listen", "nonsense"], "nonsense"),
    (["serve", "--listen", "127.0.0.1:99999"], "99999"),
    (["serve", "--listen", "127.0.0.1:0", "--log-format", "poem"], "poem"),
    (["serve", "--listen", "127.0.0.1:0", "--log-level", "loud"], "loud"),
])
def test_wrong_flag_ends_with_two_and_names_it(arguments, named):
    result = run(*arguments)
    assert result.returncode == 2, result
    assert result.stdout == "" and named in result.stderr


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("value", ["many", "-1", "1.5", "99999999999999999999"])
def test_wrong_value_in_the_environment_ends_with_two_and_names_it(variable, value):
    result = run("serve", "--listen", "127.0.0.1:0", **{variable: value})
    assert result.returncode == 2, result
    assert variable in result.stderr


def test_values_that_contradict_each_other():
    result = run("serve", "--listen", "127.0.0.1:0", MIN_TASK_TIMEOUT_MS=1000, MAX_TASK_TIMEOUT_MS=500)
    assert result.returncode == 2 and "timeout" in result.stderr.lower()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_open_listener_is_refused_unless_it_is_asked_for(address):
    result = run("serve", "--listen", address)
    assert result.returncode == 2 and "--insecure" in result.stderr


def test_open_listener_that_is_asked_for(launch):
    server = launch("--insecure", listen=("127.0.0.1:0", "0.0.0.0:0"))
    port = int(re.search(r"0\.0\.0\.0:(\d+)", server.log.first(lambda line: "listening" in line and "0.0.0.0:" in line))[1])
    assert curl(f"http://127.0.0.1:{port}/healthz") == "200"


# MARK: listeners

def curl(*arguments):
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    assert result.returncode == 0, result
    return result.stdout


def test_unix_socket(launch, tmp_path):
    path = tmp_path / "signalbox.sock"
    server = launch(listen=("127.0.0.1:0", f"unix:{path}"))
    server.log.first(lambda line: "listening" in line and str(path) in line)
    assert curl("--unix-socket", str(path), "http://localhost/healthz") == "200"
    assert server.stop() == 0
    assert not path.exists()


def test_unix_socket_of_one_that_died_is_taken_over(launch, tmp_path):
    path = tmp_path / "signalbox.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    launch(listen=("127.0.0.1:0", f"unix:{path}"))
    assert curl("--unix-socket", str(path), "http://localhost/healthz") == "200"


def test_ipv6(launch):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        # No IPv6 on this machine: then the program says so.
        result = run("serve", "--listen", "[::1]:0")
        assert result.returncode != 0 and "::1" in result.stderr
        return
    server = launch(listen=("127.0.0.1:0", "[::1]:0"))
    line = server.log.first(lambda line: "listening" in line and "127.0.0.1" not in line)
    port = int(re.search(r"\[([0-9a-f:]+)\]:(\d+)", line)[2])
    assert curl("-g", f"http://[::1]:{port}/healthz") == "200"


def test_listeners_from_the_environment():
    variables = environment(LISTEN="127.0.0.1:0,127.0.0.1:0", DATA=":memory:")
    process = subprocess.Popen([BINARY], env=variables, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL, cwd="/")
    try:
        log = Lines(process.stderr)
        eventually(lambda: log.ended or sum("listening" in line for line in log.seen) == 2, "two listeners")
        ports = [re.search(r"127\.0\.0\.1:(\d+)", line)[1] for line in log.seen if "listening" in line]
        assert len(ports) == 2 and [curl(f"http://127.0.0.1:{port}/healthz") for port in ports] == ["200", "200"]
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(BOUND) == 0
    finally:
        process.kill()
        process.wait()
        log.thread.join(BOUND)
        process.stderr.close()


def test_address_that_is_taken(server):
    result = run("serve", "--listen", server.address)
    assert result.returncode not in (0, None) and result.returncode > 0
    assert str(server.port) in result.stderr


# MARK: figures and logs

SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)( \d+)?')


def figures(server):
    """The metrics page, read as Prometheus reads it: {name with labels: value}, {family: type}."""
    answer = server.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert text.endswith("\n")
    values, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds and kind in ("counter", "gauge", "histogram", "summary")
            kinds[name] = kind
        elif line and not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = match[1]
            family = name if name in kinds else re.sub(r"_(bucket|sum|count|total)$", "", name)
            assert family in kinds, f"{name} has no type"
            assert name.startswith("signalbox_"), name
            key = name + (match[2] or "")
            assert key not in values, f"{key} twice"
            values[key] = float(match[3])
            if kinds[family] == "counter":
                assert values[key] >= 0
    return values, kinds


def changed(before, after):
    return {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}


def test_figures_move_with_the_work(launch):
    server = launch()
    before, kinds = figures(server)
    with Worker(server, "default", ready=True) as worker:
        during = changed(before, figures(server)[0])
        assert any("worker" in name and value == 1 for name, value in during.items()), during
        pending = server.submit("default")
        task_id = worker.take()["taskId"]
        during = changed(before, figures(server)[0])
        assert any("executing" in name and value == 1 for name, value in during.items()), during
        worker.finish(task_id)
        pending.answer()
        after = changed(before, figures(server)[0])
        assert any("completed" in name and value == 1 for name, value in after.items()), after
        assert not any("executing" in name and value == 1 for name, value in after.items()), after
    assert "counter" in kinds.values() and "gauge" in kinds.values()


def test_histograms_are_cumulative(server, group):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        worker.finish(worker.take()["taskId"])
        pending.answer()
    values, kinds = figures(server)
    for family in (name for name, kind in kinds.items() if kind == "histogram"):
        buckets = {key: value for key, value in values.items() if key.startswith(family + "_bucket")}
        assert list(buckets.values()) == sorted(buckets.values())
        assert next(reversed(buckets)).endswith('le="+Inf"}') and next(reversed(buckets.values())) == values[family + "_count"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(server, path):
    assert server.get(path).status == 200


def test_log_in_json(launch):
    server = launch("--log-format", "json")
    for line in server.log.seen:
        entry = json.loads(line)
        assert {"time", "level", "event"} <= entry.keys()


def test_payloads_stay_out_of_the_log(launch, group):
    server = launch("--log-level", "debug")
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group, {"secret": "swordfish"})
        worker.finish(worker.take()["taskId"], {"secret": "barracuda"})
        assert pending.answer().status == 200
    assert server.stop() == 0
    assert not [line for line in server.log.seen if "swordfish" in line or "barracuda" in line]


# MARK: the end

def test_end_waits_for_what_is_being_waited_for(launch, group):
    server = launch()
    worker = Worker(server, group, ready=True)
    idle = Worker(server, group + "-idle", ready=True)
    pending = server.submit(group)
    task_id = worker.take()["taskId"]
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(server), "the end of accepting")
    worker.complete(task_id, {"in": "time"})
    answer = pending.answer()
    assert answer.status == 200 and answer.json["result"] == {"in": "time"}
    assert code_of_close(worker) == 1001
    assert code_of_close(idle) == 1001
    assert server.wait() == 0


def refuses(server):
    try:
        with socket.create_connection((server.host, server.port), timeout=BOUND):
            return False
    except ConnectionError:
        return True


def code_of_close(worker):
    with pytest.raises(Closed) as closed:
        while True:
            worker.receive()
    return closed.value.code


def test_end_with_nothing_to_wait_for(launch, group):
    server = launch()
    worker = Worker(server, group, ready=True)
    with server.raw():
        server.process.send_signal(signal.SIGTERM)
        assert code_of_close(worker) == 1001
        assert server.wait() == 0


def test_end_does_not_wait_for_ever(launch, group):
    server = launch(DRAIN_TIMEOUT_MS=200)
    worker = Worker(server, group, ready=True)
    pending = server.submit(group)
    worker.take()
    server.process.send_signal(signal.SIGTERM)
    answer = pending.answer()
    assert answer.status >= 500 and isinstance(answer.json["error"], str)
    assert code_of_close(worker) == 1001
    assert server.wait() == 0


@pytest.mark.parametrize("request_line", ["GET /readyz", "POST /api/openai"])
def test_connection_that_stays_open_gets_nothing_new_during_the_end(launch, group, request_line):
    server = launch()
    worker = Worker(server, group, ready={"concurrency": 2})
    first = server.submit(group)
    task_id = worker.take()["taskId"]
    with server.raw(b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n") as channel:
        assert read_response(channel)[0] == 200
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses(server), "the end of accepting")
        # It hears that nothing more is taken, or is closed.
        body = json.dumps({"data": {}, "group": group})
        try:
            channel.sendall(f"{request_line} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            received = read_to_end(channel)
        except ConnectionError:
            received = b""
        assert received == b"" or received.startswith(b"HTTP/1.1 503 ")
    worker.finish(task_id)
    assert first.answer().status == 200
    assert server.wait() == 0


def test_interrupt_is_an_end_too(launch):
    server = launch()
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0


def test_descriptors_do_not_leak(launch, group):
    server = launch()
    folder = f"/proc/{server.process.pid}/fd"
    for _ in range(3):
        Worker(server, group, ready=True).vanish()
        server.get("/healthz")
    before = eventually(lambda: len(os.listdir(folder)))
    for _ in range(50):
        Worker(server, group, ready=True).vanish()
        server.get("/healthz")
    eventually(lambda: len(os.listdir(folder)) <= before + 1, "descriptors closed")
