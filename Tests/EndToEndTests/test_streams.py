"""Server-sent events of a task, with stock clients and byte for byte; and watchers of every protocol who read too slowly."""
import json
import re
import signal
from http.client import HTTPConnection

import pytest

from documents import Program, node, node_has
from servers import BOUND, eventually, read_response
from streams import (SECRET, EventParser, EventStream, Line, Socket, bearer, ending_token, hub_socket, memory, metric, number, order,
                     send_at_once, task_socket, token, user_socket)
from workers import Closed, Worker

EVENT_SOURCE = "--experimental-eventsource"
HEARTBEAT = "heartbeat"


@pytest.fixture(scope="module")
def alice():
    return token("alice")


@pytest.fixture
def guarded(launch):
    """A server whose secret is known."""
    return launch(JWT_SECRET=SECRET)


@pytest.fixture
def worker(guarded):
    """A worker that takes nothing yet: tasks wait for it."""
    with Worker(guarded, "default", explicit=True) as worker:
        yield worker


def take(worker, task):
    worker.send("ready")
    return worker.take(task)


def play(worker, task):
    """Does a task that waits for this worker: seven events, but the first."""
    take(worker, task)
    worker.send("task_progress", taskId=task, progress=50, message="第 3 批\r\nvon 9")
    worker.send_text('{"type":"task_progress","taskId":"%s","progress":75,"step_info":{\r"b":1.0,\n"a":\r\n2}}' % task)
    worker.send("task_logs", taskId=task, logs="eine Zeile\nnoch eine", level="WARNING")
    worker.complete(task, {"exit_code": 0})
    worker.acknowledged(task)


LIFE = ["current_status", "task_status_update", "task_progress", "task_progress", "task_logs", "task_completed"]


# Stock clients


def test_curl_reads_a_whole_life(guarded, worker, alice):
    task = order(guarded, alice)
    with Program(["curl", "--silent", "--show-error", "--fail", "--no-buffer", "--max-time", str(BOUND),
                  "--header", f"Authorization: Bearer {alice}", guarded.url(f"/api/tasks/{task}/events")]) as curl:
        curl.says("event: current_status")
        play(worker, task)
        code, output = curl.end()
    assert code == 0, output
    events = EventParser().feed((output + "\n").encode())
    assert [event.type for event in events] == LIFE
    assert [event.id for event in events] == ["1", "2", "3", "4", "5", "6"]
    assert [number(event.data) for event in events] == [1, 2, 3, 4, 5, 6]


def test_http_client_reads_line_by_line(guarded, worker, alice):
    task = order(guarded, alice)
    connection = HTTPConnection(guarded.host, guarded.port, timeout=BOUND)
    connection.request("GET", f"/api/tasks/{task}/events", headers=bearer(alice))
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (200, "text/event-stream", "no-store")
    parser = EventParser()
    heard = []
    while not heard:
        heard += parser.feed(answer.readline())
    assert parser.retry == 2000 and heard[0].type == "current_status"
    play(worker, task)
    while line := answer.readline():
        heard += parser.feed(line)
    assert [event.type for event in heard] == LIFE
    # The stream ended in order: the same connection serves on.
    assert not answer.will_close
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


PAGE = """
    const source = new EventSource(process.argv[2]);
    // Its wait before it comes back does not keep the process alive.
    setInterval(() => {}, 1000);
    source.onopen = () => console.log('open');
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) { console.log('closed'); process.exit(0); } };
    for (const type of ['message', 'current_status', 'task_status_update', 'task_progress', 'task_logs', 'task_completed'])
        source.addEventListener(type, event => console.log(type, event.lastEventId, JSON.parse(event.data).seq));
    """


def test_an_event_source_hears_all_once_and_stops_at_the_end(guarded, worker, alice, tmp_path):
    """The connection breaks in the middle; the browser's client comes back by itself, and not again after the end."""
    assert node_has("typeof EventSource === 'function'", EVENT_SOURCE), f"Node has no {EVENT_SOURCE}"
    task = order(guarded, alice)
    (tmp_path / "page.js").write_text(PAGE, encoding="utf-8")
    with Line(guarded) as line:
        url = f"http://{line.address}/api/tasks/{task}/events?token={alice}"
        with node(tmp_path / "page.js", url, flags=[EVENT_SOURCE, "--no-warnings"]) as page:
            page.says("current_status 1 1")
            take(worker, task)
            worker.send("task_logs", taskId=task, logs="heard")
            page.says("task_logs 3 3")
            line.cut()
            eventually(lambda: metric(guarded, "event_streams") == 0, "the end of the stream")
            worker.send("task_logs", taskId=task, logs="missed")
            worker.send("task_progress", taskId=task, progress=50)
            page.says("task_progress 5 5")
            worker.finish(task)
            code, output = page.end()
    assert output.splitlines() == ["open", "current_status 1 1", "task_status_update 2 2", "task_logs 3 3", "open", "task_logs 4 4",
                                   "task_progress 5 5", "task_completed 6 6", "closed"]
    assert code == 0


# What a stream is


def test_every_event_stands_on_its_own_lines(guarded, worker, alice):
    task = order(guarded, alice)
    with EventStream(guarded, task, token=alice) as stream, task_socket(guarded, task, alice) as socket:
        assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["cache-control"] == "no-store" and "content-length" not in stream.headers
        play(worker, task)
        events = [stream.next() for _ in range(6)]
        assert stream.next() is None and stream.ended == "whole"
        told = [socket.text() for _ in range(5)]
    assert [event.type for event in events] == LIFE and [event.id for event in events] == ["1", "2", "3", "4", "5", "6"]
    # The very words of the task's socket; a line's end, which can only stand between two values, is a space.
    assert [event.data for event in events[1:]] == [re.sub("[\r\n]", " ", text) for text in told]
    assert json.loads(events[2].data)["message"] == "第 3 批\r\nvon 9"
    assert '"b":1.0, "a":  2}' in events[3].data


@pytest.mark.parametrize("ending", ["failed", "cancelled"])
def test_the_first_of_two_messages_of_an_end_does_not_count_as_seen(guarded, worker, alice, ending):
    """Whoever loses the connection between the two gets both again."""
    task = order(guarded, alice)
    with EventStream(guarded, task, token=alice) as stream:
        stream.hear("current_status")
        if ending == "failed":
            take(worker, task)
            stream.hear("task_status_update")
            worker.fail(task, "out of memory")
            types = "task_error", "task_completed"
        else:
            guarded.request("POST", f"/api/gpu/tasks/{task}/cancel", headers=bearer(alice))
            types = "task_cancelled", "task_completed"
        first, second = stream.next(), stream.next()
        assert (first.type, second.type) == types
        last = number(first.data)
        assert number(second.data) == last and (first.id, second.id) == (str(last - 1), str(last))
        assert json.loads(second.data)["success"] is False
        assert stream.next() is None and stream.ended == "whole"
    with EventStream(guarded, task, token=alice, **{"Last-Event-ID": first.id}) as again:
        assert [event[:3:2] for event in (again.next(), again.next())] == [("", first.data), (second.id, second.data)]
        assert again.next() is None and again.ended == "whole"


@pytest.mark.parametrize("way", ["Last-Event-ID", "last_seq"])
def test_what_was_missed_is_told_again_and_the_rest_follows(guarded, worker, alice, way):
    def back(seen):
        if way == "last_seq":
            return EventStream(guarded, task, f"?last_seq={seen}", alice)
        return EventStream(guarded, task, "?last_seq=0", alice, **{way: str(seen)})
    task = order(guarded, alice)
    take(worker, task)
    for text in ("3", "4", "5"):
        worker.send("task_logs", taskId=task, logs=text)
    assert worker.fence() == []
    for seen, missed in ((2, ["3", "4", "5"]), (4, ["5"]), (5, [])):
        with back(seen) as stream:
            assert [log["logs"] for log in ([stream.hear("task_logs") for _ in missed])] == missed
            assert stream.parser.retry == 2000 or not missed
    with back(4) as stream, back(99) as lost:
        assert stream.hear("task_logs")["seq"] == 5
        # A number that there is not yet is none of this stream's: the state is told.
        assert lost.hear("current_status")["seq"] == 5
        worker.finish(task)
        for watcher in (stream, lost):
            assert watcher.hear("task_completed")["seq"] == 6
            assert watcher.next() is None and watcher.ended == "whole"
    with back(6) as stream:
        assert stream.status == 204
    with back(5) as stream:
        assert stream.hear("task_completed")["seq"] == 6 and stream.next() is None


def test_more_than_memory_holds_is_told_out_of_the_database(guarded, worker, alice):
    task = order(guarded, alice)
    take(worker, task)
    send_at_once(worker, ({"type": "task_logs", "taskId": task, "logs": str(n)} for n in range(150)))
    assert worker.fence() == []
    with EventStream(guarded, task, "?last_seq=2", alice) as stream:
        assert [stream.hear("task_logs")["seq"] for _ in range(150)] == list(range(3, 153))
        worker.send("task_logs", taskId=task, logs="next")
        assert stream.hear("task_logs")["seq"] == 153
    with EventStream(guarded, task, "?last_seq=53", alice) as stream:
        assert [stream.hear("task_logs")["seq"] for _ in range(100)] == list(range(54, 154))


def test_a_late_watcher_gets_the_end(guarded, worker, alice):
    task = order(guarded, alice)
    play(worker, task)
    with EventStream(guarded, task, token=alice, more=b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") as stream:
        status, end = stream.hear("current_status", "task_completed")
        assert (status["status"], status["progress"], end["result_data"], end["seq"]) == ("completed", 100, {"exit_code": 0}, 6)
        assert stream.next() is None and stream.ended == "whole"
        assert b'\r\n\r\n{"status":"ok"}' in stream.file.read()


@pytest.mark.parametrize("path, query, headers", [
    ("t", "?last_seq=soon", {}), ("t", "?last_seq=-1", {}), ("t", "", {"Last-Event-ID": "soon"}), ("t", "", {"Last-Event-ID": "1 2"})])
def test_a_position_must_be_a_number(guarded, worker, alice, path, query, headers):
    task = order(guarded, alice)
    with EventStream(guarded, task, query, alice, **headers) as stream:
        assert stream.status == 400
        assert stream.body() == {"error": f"Invalid request: {'Last-Event-ID' if headers else 'last_seq'} must be a whole number"}


def test_a_head_has_no_body(guarded, worker, alice):
    task = order(guarded, alice)
    with guarded.raw() as channel:
        for path, status in ((task, 200), ("nobody", 404), (task, 200)):
            channel.sendall(f"HEAD /api/tasks/{path}/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {alice}\r\n\r\n".encode())
            told, headers, _ = read_response(channel, head_only=True)
            assert told == status
            assert headers["content-type"] == ("text/event-stream" if status == 200 else "application/json")
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert read_response(channel)[2] == b'{"status":"ok"}'
    assert metric(guarded, "event_streams") == metric(guarded, "event_streams_opened_total") == 0


def test_other_methods_are_refused(guarded, alice):
    for method in ("POST", "DELETE", "PUT"):
        answer = guarded.request(method, "/api/tasks/t/events", headers=bearer(alice))
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("headers", [{}, {"Connection": "keep-alive"}], ids=["plain", "keep-alive"])
def test_a_client_of_http_1_0_gets_lines_and_the_connections_end(guarded, worker, alice, headers):
    task = order(guarded, alice)
    with EventStream(guarded, task, token=alice, version="1.0", **headers) as stream:
        assert "transfer-encoding" not in stream.headers and stream.headers["connection"] == "close"
        stream.hear("current_status")
        play(worker, task)
        stream.hear(*LIFE[1:])
        assert stream.next() is None and stream.closed()


def test_requests_behind_a_stream_are_answered_at_its_end(guarded, worker, alice):
    first, second = order(guarded, alice), order(guarded, alice)
    more = (f"GET /api/tasks/{second}/events?token={alice} HTTP/1.1\r\nHost: h\r\n\r\n"
            "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").encode()
    with EventStream(guarded, first, token=alice, more=more) as stream:
        stream.hear("current_status")
        play(worker, first)
        stream.hear(*LIFE[1:])
        assert stream.next() is None and stream.ended == "whole"
        assert stream.file.readline() == b"HTTP/1.1 200 OK\r\n"
        eventually(lambda: metric(guarded, "event_streams_opened_total") == 2, "the second stream")
        play(worker, second)
        rest = stream.file.read()
    # The worker took the second task as soon as it was free: before the stream began.
    assert rest.count(b"event: ") == len(LIFE) - 1 and b"\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n" in rest
    assert rest.endswith(b'\r\n\r\n{"status":"ok"}')


def test_a_client_that_goes_leaves_nothing_behind(guarded, worker, alice):
    task = order(guarded, alice)
    for _ in range(3):
        with EventStream(guarded, task, token=alice) as stream:
            stream.hear("current_status")
    eventually(lambda: metric(guarded, "event_streams") == 0, "the end of the streams")
    assert guarded.request("GET", f"/api/gpu/tasks/{task}", headers=bearer(alice)).json["status"] == "pending"


# Tokens


def test_tokens_are_asked_for(guarded, worker, alice):
    task = order(guarded, alice)
    with EventStream(guarded, task) as stream:
        assert (stream.status, stream.headers["www-authenticate"]) == (401, "Bearer")
    with EventStream(guarded, task, token="nonsense") as stream:
        assert (stream.status, stream.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')
    for good in (token("bob", "--tasks", task), token("root", "--role", "admin")):
        with EventStream(guarded, task, f"?token={good}") as stream:
            stream.hear("current_status")
    bob = token("bob")
    with EventStream(guarded, task, token=bob) as foreign, EventStream(guarded, "nobody", token=bob) as absent:
        assert foreign.status == absent.status == 404
        assert foreign.headers.keys() == absent.headers.keys()
        assert foreign.body() == absent.body() == {"error": "Task not found or expired"}
    with EventStream(guarded, "n" * 201, token=alice) as impossible:
        assert impossible.status == 404 and impossible.body() == {"error": "Task not found or expired"}


def test_nobody_needs_a_token_where_the_operator_says_so(launch):
    server = launch("--auth", "off")
    with Worker(server, "default", explicit=True), EventStream(server, order(server, None)) as stream:
        stream.hear("current_status")


def test_a_stream_ends_with_its_token(guarded, worker, alice):
    task = order(guarded, alice)
    ending = ending_token("alice", 2)
    with EventStream(guarded, task, f"?token={ending}") as stream, EventStream(guarded, task, token=alice) as other:
        stream.hear("current_status")
        assert stream.next() is None and stream.ended == "whole" and stream.closed()
        other.hear("current_status")
        take(worker, task)
        other.hear("task_status_update")
    with EventStream(guarded, task, f"?token={ending}&last_seq=1") as stream:
        assert stream.status == 401


# Time, and the server's end


def test_a_silent_stream_has_a_heartbeat(launch, alice):
    server = launch(JWT_SECRET=SECRET, PING_INTERVAL_MS=1000)
    with Worker(server, "default", explicit=True) as worker:
        task = order(server, alice)
        with EventStream(server, task, token=alice) as stream, EventStream(server, task, token=alice, version="1.0") as plain:
            for type in ("current_status", "task_status_update"):
                for watcher in (stream, plain):
                    watcher.hear(type)
                for _ in range(2):
                    for watcher in (stream, plain):
                        watcher.beats(1)
                    # A worker that answers no ping would be closed.
                    assert worker.fence() == []
                if type == "current_status":
                    take(worker, task)
            assert {*stream.parser.comments, *plain.parser.comments} == {HEARTBEAT}


def test_streams_end_with_the_server(guarded, worker, alice):
    task = order(guarded, alice)
    with EventStream(guarded, task, token=alice) as stream, EventStream(guarded, task, token=alice, version="1.0") as plain:
        for watcher in (stream, plain):
            watcher.hear("current_status")
        guarded.process.send_signal(signal.SIGTERM)
        assert stream.next() is None and stream.ended == "whole" and stream.closed()
        assert plain.next() is None and plain.closed()
        assert guarded.wait() == 0


def test_hundreds_of_streams_disturb_nobody(guarded, worker, alice):
    count = 300
    task = order(guarded, alice)
    streams = [EventStream(guarded, task, token=alice) for _ in range(count)]
    try:
        for stream in streams:
            stream.hear("current_status")
        assert metric(guarded, "event_streams") == count
        other = guarded.submit("default", {"n": 1})
        play(worker, task)
        worker.finish(worker.take()["taskId"])
        assert other.answer().json["status"] == "completed"
        for stream in streams:
            events = [stream.next() for _ in range(5)]
            assert [event.type for event in events] == LIFE[1:]
            assert stream.next() is None and stream.ended == "whole"
        assert (metric(guarded, "event_streams"), metric(guarded, "event_streams_opened_total")) == (0, count)
    finally:
        for stream in streams:
            stream.close()


# Slow readers


def progress(task, n):
    """A report of some 300 bytes."""
    return {"type": "task_progress", "taskId": task, "progress": n % 101, "message": f"{n} " + "p" * 280}


def log(task, n):
    """A log of 1 to 4 KiB."""
    return {"type": "task_logs", "taskId": task, "logs": f"{n} " + "l" * (1_024 + n * 1_021 % 3_072)}


class Audience:
    """Watchers of one task, of each protocol one that reads at once and one that reads later."""

    def __init__(self, server, task, user):
        key = token(user)
        small = {"receive_bytes": 4_096}
        self.quick = {"G": task_socket(server, task, key), "E": EventStream(server, task, token=key),
                      "N": user_socket(server, user, key), "P": hub_socket(server, task, token=key)}
        self.slow = {"G": task_socket(server, task, key, **small), "E": EventStream(server, task, token=key, **small),
                     "N": user_socket(server, user, key, **small), "P": hub_socket(server, task, token=key, **small)}
        for watchers in (self.quick, self.slow):
            watchers["E"].hear("current_status")
            assert watchers["P"].hear()["type"] == "progress"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for watcher in [*self.quick.values(), *self.slow.values()]:
            watcher.__exit__(None, None, None)


def read(watcher):
    """The next message of any watcher about its task, as it is."""
    if isinstance(watcher, Socket):
        # Who listens for half a minute hears that the server lives.
        while (text := watcher.text()).startswith('{"type":"heartbeat"'):
            pass
        return text
    event = watcher.next()
    assert event is not None, "the stream ended"
    if event.type == "gap":
        assert event.id == str(json.loads(event.data)["last_seq"])
    else:
        assert event.id == str(number(event.data))
    return event.data


def content(text):
    """What a message reports: ("gap", first, last), or its number and its words."""
    message = json.loads(text)
    if message["type"] == "gap":
        return "gap", message["first_seq"], message["last_seq"]
    message = message.get("payload", message)
    return message["seq"], message.get("logs") or message.get("message")


def check(heard, said, logs_too=True):
    """What a slow reader was told, against all that was said from its first to its last number: `said` has the words by number.

    Every log was told or lies in a gap, a gap holds nothing that was told and begins and ends with a log that was not, the newest progress
    was told, everything in order.
    """
    logs = {number for number, words in said.items() if words.endswith("l")}
    assert logs_too or not any(item[0] == "gap" for item in heard), "a gap for one who hears no logs"
    position, missing = min(said) - 1, set()
    for item in heard:
        if item[0] == "gap":
            _, first, last = item
            assert position < first <= last and {first, last} <= logs, (position, item)
            missing |= logs & set(range(first, last + 1))
            position = last
        else:
            seq, words = item
            assert seq > position, (position, item)
            assert words == said[seq], (seq, words, said[seq])
            position = seq
    told = {item[0] for item in heard}
    if logs_too:
        assert logs - told == missing, sorted((logs - told) ^ missing)[:10]
    newest = max(said.keys() - logs)
    assert newest in told, f"the newest progress, {newest}"
    return len(said.keys() - logs - told), len(missing)


def test_slow_readers_are_spared_and_the_others_hear_all(guarded, worker, alice):
    task = order(guarded, alice)
    take(worker, task)
    with Audience(guarded, task, "alice") as audience:
        said, reports, last = {}, 0, 2

        def say(*audiences):
            """Lets the worker report a little, and those who read at once hear it, each event once and in order."""
            nonlocal reports, last
            batch = [(progress if n % 2 else log)(task, n) for n in range(reports, reports + 20)]
            send_at_once(worker, batch)
            reports += len(batch)
            news = {last + index: report.get("logs") or report["message"] for index, report in enumerate(batch, 1)}
            last += len(batch)
            said.update(news)
            for name, watcher in [pair for watchers in audiences for pair in watchers.items()]:
                expected = [item for item in news.items() if name in "GE" or not item[1].endswith("l")]
                assert [content(read(watcher)) for _ in expected] == expected, name

        def figures():
            return [metric(guarded, name) for name in ("watchers_behind_total", "events_conflated_total", "events_left_out_total")]

        for turn in range(2):
            began = figures()
            said.clear()
            # Until all four are behind, and logs are left out.
            while (now := figures())[0] < began[0] + 4 or now[2] == began[2]:
                say(audience.quick)
                assert len(said) < 40_000, "slow readers that never fall behind"
            if turn == 0:
                before = memory(guarded)
                for _ in range(500):
                    say(audience.quick)
                # Another 15 MB for each of two.
                assert memory(guarded) - before < 12 << 20
            conflated = left_out = 0
            for name, watcher in audience.slow.items():
                heard = []
                while not heard or heard[-1][0] != last:
                    heard.append(content(read(watcher)))
                spared = check(heard, said, logs_too=name in "GE")
                assert spared[0] > 0 and (spared[1] > 0) == (name in "GE"), (name, spared)
                conflated, left_out = conflated + spared[0], left_out + spared[1]
            # Who has caught up hears again as everybody does.
            for _ in range(5):
                say(audience.quick, audience.slow)
            assert figures() == [began[0] + 4, began[1] + conflated, began[2] + left_out]


def test_a_slow_reader_gets_the_end(guarded, worker, alice):
    """The task ends while its watchers are behind."""
    task = order(guarded, alice)
    take(worker, task)
    with Audience(guarded, task, "alice") as audience:
        for watcher in audience.quick.values():
            watcher.__exit__(None, None, None)
        said, n = {}, 0
        while metric(guarded, "watchers_behind_total") < 4 or metric(guarded, "events_left_out_total") == 0:
            batch = [(progress if m % 2 else log)(task, m) for m in range(n, n + 500)]
            send_at_once(worker, batch)
            assert worker.fence() == []
            said |= {3 + m: report.get("logs") or report["message"] for m, report in enumerate(batch, n)}
            n += 500
            assert n < 60_000
        worker.finish(task, {"exit_code": 0})
        for name, watcher in audience.slow.items():
            heard, text = [], read(watcher)
            while '"exit_code"' not in text:
                heard.append(content(text))
                text = read(watcher)
            assert number(text) == max(said) + 1
            check(heard, said, logs_too=name in "GE")
            if name == "E":
                assert watcher.next() is None and watcher.ended == "whole"


SMALL = {"MAX_QUEUED_BYTES": 256 << 10, "MAX_MESSAGE_BYTES": 128 << 10, "MAX_BODY_BYTES": 128 << 10}


@pytest.fixture
def tight(launch):
    """A server at which little may wait for one connection."""
    return launch(JWT_SECRET=SECRET, PING_INTERVAL_MS=1000, **SMALL)


def test_who_never_reads_a_task_is_closed_and_comes_back_for_the_rest(tight, alice):
    with Worker(tight, "default", explicit=True) as worker:
        task = order(tight, alice)
        take(worker, task)
        small = {"receive_bytes": 4_096}
        with task_socket(tight, task, alice) as quick, task_socket(tight, task, alice, **small) as slow, \
                EventStream(tight, task, token=alice, **small) as stream:
            stream.hear("current_status")
            n = 0
            while metric(tight, "websockets_slow_total") + metric(tight, "event_streams_slow_total") < 2:
                send_at_once(worker, [log(task, m) for m in range(n, n + 20)])
                assert [number(quick.text()) for _ in range(20)] == list(range(n + 3, n + 23))
                n += 20
                assert n < 20_000, "slow readers that are never given up"
            slow.told.clear()
            assert slow.close_code() == 1013
            told = [number(text) for text in slow.told]
            assert told == list(range(3, 3 + len(told))) and len(told) < n
            told_stream = [event.id for event in iter(stream.next, None)]
            assert told_stream == [str(3 + index) for index in range(len(told_stream))] and stream.ended == "cut"
        with task_socket(tight, task, alice, f"?last_seq={told[-1]}") as back:
            assert [number(back.text()) for _ in range(n - len(told))] == list(range(told[-1] + 1, n + 3))
        worker.finish(task)


@pytest.mark.parametrize("surface", ["N", "P", "P in lines"])
def test_who_never_reads_results_is_closed_and_comes_back(tight, surface):
    """Ends are never left out: a reader of many tasks who gets too many of them is given up."""
    key, publisher = token(1), token("service", "--role", "publisher")
    tasks = [f"task-{n}" for n in range(100)]

    def report(**event):
        answer = tight.request("POST", "/api/task/events", {"events": [event]}, bearer(publisher))
        assert answer.status == 200 and answer.json["data"]["verdicts"][0]["ok"], answer

    def hub(**options):
        return hub_socket(tight, *([] if "query" in options else tasks), token=key, receive_bytes=4_096,
                          query=options.get("query", "?user_id=1") + ("&batch=ndjson" if "lines" in surface else ""))

    for task in tasks:
        report(event="register", task_id=task, user_id="1")
    slow = user_socket(tight, 1, key, receive_bytes=4_096) if surface == "N" else hub()
    while surface != "N" and not slow.told[-1].startswith('{"type":"progress","task_id":"task-99"'):
        slow.text()
    slow.told.clear()
    done = 0
    while metric(tight, "websockets_slow_total") == 0:
        report(event="completed", task_id=tasks[done], result="r" * 100_000)
        done += 1
        assert done < len(tasks), "a slow reader that is never given up"
    for task in tasks[done:]:
        report(event="completed", task_id=task, result="r" * 1_000)
    assert slow.close_code() == 1013
    told = [json.loads(text) for text in slow.told]
    slow.__exit__(None, None, None)
    if surface == "N":
        assert [message["task_id"] for message in told] == tasks[:len(told)] and len(told) < done
        with user_socket(tight, 1, key) as back:
            assert json.loads(back.told[1])["tasks"] == []
        return
    # What it is told again may be too much at once as well: then it is closed again, and comes back for the rest.
    name = slow.id
    while len(told) < len(tasks):
        with hub(query=f"?user_id=1&old_client_id={name}") as back:
            first = json.loads(back.told.pop())
            assert (first["type"], first["payload"].get("recovered")) == ("reconnected", None), first
            assert sorted(first["payload"]["subscribed"]) == sorted(tasks)
            name, before = back.id, len(told)
            back.say(action="ping")
            try:
                while (message := back.hear())["type"] != "pong":
                    told.append(message)
            except Closed as end:
                assert end.code == 1013
            assert len(told) > before, f"nothing follows {before} messages"
    assert [message["payload"]["seq"] for message in told] == [2] * len(tasks)
    assert sorted(message["task_id"] for message in told) == sorted(tasks)


def test_those_who_never_read_at_all_cost_little(tight, alice):
    """Neither the rest, nor the close frame, nor the end of the stream is ever read."""
    with Worker(tight, "default", explicit=True) as worker:
        task = order(tight, alice)
        take(worker, task)
        before, others, count = memory(tight), metric(tight, "connections"), 20
        slow = [task_socket(tight, task, alice, receive_bytes=4_096) for _ in range(count)] + [
            EventStream(tight, task, token=alice, receive_bytes=4_096) for _ in range(count)]
        reports = 0
        while metric(tight, "websockets_slow_total") + metric(tight, "event_streams_slow_total") < 2 * count:
            send_at_once(worker, [log(task, n) for n in range(reports, reports + 20)])
            assert worker.fence() == []
            reports += 20
            assert reports < 20_000, "slow readers that are never given up"
        # Only what was in the queue before they fell behind is kept for them.
        assert metric(tight, "queued_bytes") < 2 * count * (128 << 10)
        assert memory(tight) - before < 32 << 20
        for watcher in slow:
            watcher.__exit__(None, None, None)
        eventually(lambda: worker.fence() == [] and metric(tight, "connections") == others, "the end of those who never read")
        assert metric(tight, "queued_bytes") < 4_096
        worker.finish(task)
