"""HTTP/1.1 at the wire: what a server must get right for every client, and what it must refuse."""
import json
import socket

import pytest

from servers import BOUND, eventually, read_response, read_to_end
from streams import metric
from workers import Worker

HOST = b"Host: signalbox.test\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


def responses(received):
    """The status codes in a stream of responses, and the first body."""
    assert received.startswith(b"HTTP/1."), received[:200]
    head, _, body = received.partition(b"\r\n\r\n")
    return received.count(b"HTTP/1.1 "), int(head.split(b" ")[1]), body


def is_error(headers, body):
    assert headers["content-type"].split(";")[0] == "application/json"
    words = json.loads(body)["error"]
    return isinstance(words, str) and words != ""


# MARK: errors

@pytest.mark.parametrize("path", [
    "/nothing", "/api", "/api/task/a/b/c", "/api/openai/", "/clients/../etc/passwd", "/clients/examples/%2e%2e/x",
])
def test_unknown_path(server, path):
    with server.raw(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n") as channel:
        status, headers, body = read_response(channel)
    assert status == 404 and is_error(headers, body)


@pytest.mark.parametrize(("method", "path", "allowed"), [
    ("GET", "/api/openai", "POST"), ("DELETE", "/api/openai", "POST"), ("POST", "/api/task/x", "GET"),
    ("GET", "/api/task/x/cancel", "POST"),
    ("POST", "/healthz", "GET"), ("PUT", "/metrics", "GET"), ("BREW", "/healthz", "GET"),
])
def test_wrong_method(server, method, path, allowed):
    answer = server.request(method, path)
    assert answer.status == 405 and isinstance(answer.json["error"], str)
    assert allowed in [word.strip() for word in answer.headers["Allow"].split(",")]
    assert method not in answer.headers["Allow"]


def head_of(length=None, extra=b"", target=b"/api/openai", method=b"POST"):
    size = b"" if length is None else b"Content-Length: %d\r\n" % length
    return method + b" " + target + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n" + size + extra + b"\r\n"


@pytest.mark.parametrize(("status", "request_bytes"), [
    (413, head_of((16 << 20) + 1)),
    (413, head_of(10**18)),
    (413, head_of(None, b"Transfer-Encoding: chunked\r\n") + b"1000001\r\n"),
    (414, head_of(target=b"/" + b"a" * 9000, method=b"GET")),
    (431, head_of(extra=b"X-Long: " + b"a" * 20000 + b"\r\n", method=b"GET", target=b"/healthz")),
    (431, head_of(extra=b"".join(b"X-%d: a\r\n" % number for number in range(200)), method=b"GET", target=b"/healthz")),
    (417, head_of(2, b"Expect: tea\r\n")),
    (501, head_of(None, b"Transfer-Encoding: gzip, chunked\r\n")),
    (505, b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n"),
], ids=lambda value: str(value) if isinstance(value, int) else "")
def test_refusals(server, status, request_bytes):
    """Refused with the status that says why; the connection ends, for what follows on it is no longer certain."""
    with server.raw(request_bytes) as channel:
        answered, headers, body = read_response(channel)
        assert answered == status and is_error(headers, body)
        assert headers["connection"].lower() == "close"
        assert read_to_end(channel) == b""


def test_content_type_that_is_not_json(server):
    answer = server.request("POST", "/api/openai", b"data=1", {"Content-Type": "text/plain"})
    assert answer.status == 415 and isinstance(answer.json["error"], str)


def test_content_type_of_curl_without_a_header(server, group):
    """`curl -d` alone says application/x-www-form-urlencoded, and people forget the header."""
    body = b'{"data":{},"group":"%s"}' % group.encode()
    answer = server.request("POST", "/api/openai", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 415 and "application/json" in answer.json["error"]


def test_content_type_with_a_charset(server, group):
    body = b'{"data":{},"group":"%s"}' % group.encode()
    assert server.request("POST", "/api/openai", body, {"Content-Type": "Application/JSON; charset=utf-8"}).status == 503


@pytest.mark.parametrize("beginning", [b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: "])
def test_head_that_never_ends(impatient, beginning):
    with impatient.raw(beginning) as channel:
        status, headers, body = read_response(channel)
        assert status == 408 and is_error(headers, body)
        assert read_to_end(channel) == b""


def test_body_that_never_ends(impatient):
    with impatient.raw(head_of(10) + b"{") as channel:
        status, headers, body = read_response(channel)
        assert status == 408 and is_error(headers, body)
        assert read_to_end(channel) == b""


def test_connection_that_is_idle_ends_without_a_word(impatient):
    with impatient.raw(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") as channel:
        assert read_response(channel)[0] == 200
        assert read_to_end(channel) == b""


def test_many_slow_ones_harm_nobody(impatient):
    """Heads and bodies that never end, many at once: all are ended within their time, and others are answered meanwhile."""
    channels = [impatient.raw(b"GET /healthz HTTP/1.1\r\nX-Slow: a" if number % 2 else head_of(8192) + b"{") for number in range(300)]
    try:
        assert impatient.get("/healthz").status == 200
        for channel in channels:
            assert read_response(channel)[0] == 408
            assert read_to_end(channel) == b""
    finally:
        for channel in channels:
            channel.close()


def test_answer_that_is_never_read(impatient, group):
    """It is not held for ever: neither where the connection would stay, nor where it was to end."""
    with Worker(impatient, group, ready=True) as worker:
        task_id = impatient.queue(group)
        worker.take(task_id)
        worker.finish(task_id, {"text": "y" * 8_000_000})
    before = metric(impatient, "http_responses_slow_total")
    for extra in (b"", b"Connection: close\r\n"):
        with socket.socket() as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            channel.settimeout(BOUND)
            channel.connect((impatient.host, impatient.port))
            channel.sendall(head_of(extra=extra, target=f"/api/task/{task_id}".encode(), method=b"GET"))
            eventually(lambda: metric(impatient, "http_responses_slow_total") > before, "the end of who does not read")
            before += 1
            assert len(read_to_end(channel)) < 8_000_000
    assert metric(impatient, "queued_bytes") == 0


def test_other_site_may_not_submit(server, group):
    """A page of another site in somebody's browser."""
    for origin in ("http://evil.example", "null"):
        answer = server.request("POST", "/api/openai", {"data": {}, "group": group}, {"Origin": origin})
        assert answer.status == 403 and isinstance(answer.json["error"], str)
    assert server.request("POST", "/api/openai", {"data": {}, "group": group}, {"Origin": server.url("")}).status == 503


def test_limit_of_a_body_can_be_chosen(launch):
    server = launch("--max-body-bytes", "2048")
    body = b'{"data":{"a":"%s"}}'
    assert server.request("POST", "/api/openai", body % (b"a" * (2048 - len(body) + 2))).status == 503
    assert server.request("POST", "/api/openai", body % (b"a" * (2048 - len(body) + 3))).status == 413


# MARK: conversations

def test_keep_alive(server):
    with server.raw() as channel:
        for _ in range(3):
            channel.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert read_response(channel)[0] == 200
            channel.sendall(b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
            assert read_response(channel)[0] == 404


@pytest.mark.parametrize("request_bytes", [
    b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"GET /healthz HTTP/1.0\r\n\r\n",
])
def test_connection_ends_after_the_answer(server, request_bytes):
    count, status, _ = responses(server.exchange(request_bytes))
    assert (count, status) == (1, 200)


def test_client_that_has_said_all_still_gets_its_answer(server):
    with server.raw(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") as channel:
        channel.shutdown(socket.SHUT_WR)
        assert responses(read_to_end(channel))[:2] == (1, 200)


def test_head_byte_by_byte(server):
    with server.raw() as channel:
        for byte in b"POST /api/openai HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}":
            channel.sendall(bytes([byte]))
        status, _, body = read_response(channel)
    assert (status, json.loads(body)) == (400, {"error": "Invalid request: data or messages required"})


def test_head_method(server):
    with server.raw(b"HEAD /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") as channel:
        head_status, head_headers, _ = read_response(channel, head_only=True)
        status, headers, body = read_response(channel)
    assert head_status == status == 200
    assert head_headers["content-length"] == headers["content-length"] == str(len(body))


def test_pipelined_requests_are_answered_in_order(server):
    paths = (b"/healthz", b"/nothing", b"/healthz", b"/api/task/x")
    with server.raw(b"".join(b"GET %s HTTP/1.1\r\n" % path + HOST + b"\r\n" for path in paths)) as channel:
        assert [read_response(channel)[0] for _ in range(4)] == [200, 404, 200, 404]


def test_pipelined_request_waits_for_the_one_before(server, group):
    body = json.dumps({"data": {}, "group": group}).encode()
    both = head_of(len(body)) + body + b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n"
    with Worker(server, group, ready=True) as worker, server.raw(both) as channel:
        task_id = worker.take()["taskId"]
        assert server.task(task_id)["status"] == "executing"
        worker.finish(task_id, {"first": True})
        status, _, answer = read_response(channel)
        assert status == 200 and json.loads(answer)["result"] == {"first": True}
        assert read_response(channel)[0] == 404


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunked_body(server, group, size):
    body = json.dumps({"data": {"text": "a" * 2000}, "group": group}).encode()
    pieces = [body[start:start + size] for start in range(0, len(body), size)]
    chunks = b"".join(b"%X;name=value\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: here\r\n\r\n"
    with Worker(server, group, ready=True) as worker, server.raw(head_of(None, b"Transfer-Encoding: chunked\r\n")) as channel:
        channel.sendall(chunks + b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n")
        task = worker.take()
        assert task["payload"]["data"] == {"text": "a" * 2000}
        worker.finish(task["taskId"])
        assert read_response(channel)[0] == 200
        assert read_response(channel)[0] == 404


def test_expectation_of_a_hundred_is_met(server):
    with server.raw(head_of(2, b"Expect: 100-continue\r\n")) as channel:
        assert read_response(channel)[0] == 100
        channel.sendall(b"{}")
        status, _, body = read_response(channel)
        assert (status, json.loads(body)) == (400, {"error": "Invalid request: data or messages required"})


def test_expectation_is_not_met_where_the_body_is_refused(server):
    with server.raw(head_of(1 << 30, b"Expect: 100-continue\r\n")) as channel:
        assert read_response(channel)[0] == 413


def test_absolute_target(server):
    assert responses(server.exchange(b"GET http://signalbox.test/healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))[1] == 200


# MARK: smuggling

POST = b"POST /api/openai HTTP/1.1\r\n" + HOST
AMBIGUOUS = {
    "length and encoding": POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "encoding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}" + SMUGGLED,
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" + SMUGGLED,
    "list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}" + SMUGGLED,
    "length with a sign": POST + b"Content-Length: +2\r\n\r\n{}" + SMUGGLED,
    "negative length": POST + b"Content-Length: -2\r\n\r\n{}" + SMUGGLED,
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\n{}" + SMUGGLED,
    "empty length": POST + b"Content-Length:\r\n\r\n" + SMUGGLED,
    "length that overflows": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}" + SMUGGLED,
    "space before the colon": POST + b"Content-Length : 2\r\n\r\n{}" + SMUGGLED,
    "folded field": POST + b"X-A: b\r\n Content-Length: 2\r\n\r\n" + SMUGGLED,
    "line feed alone": POST + b"X-A: b\nContent-Length: 2\r\n\r\n{}" + SMUGGLED,
    "carriage return alone": POST + b"X-A: b\rContent-Length: 2\r\n\r\n{}" + SMUGGLED,
    "null byte": POST + b"X-A: b\0c\r\n\r\n" + SMUGGLED,
    "field without a name": POST + b": b\r\n\r\n" + SMUGGLED,
    "line without a colon": POST + b"nonsense\r\n\r\n" + SMUGGLED,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n" + SMUGGLED,
    "two hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n" + SMUGGLED,
    "host with a space": b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n" + SMUGGLED,
    "encoding in HTTP/1.0": b"POST /api/openai HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked twice in two fields": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n" + SMUGGLED,
    "encoding after a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunk size that overflows": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "chunk size with a sign": POST + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "chunk size with a prefix": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "chunk size with line feed alone": POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "chunk longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n" + SMUGGLED,
    "chunk extension with line feed": POST + b"Transfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n" + SMUGGLED,
    "two spaces in the first line": b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED,
    "words behind the version": b"GET /healthz HTTP/1.1 x\r\n" + HOST + b"\r\n" + SMUGGLED,
    "no version": b"GET /healthz\r\n" + HOST + b"\r\n" + SMUGGLED,
    "no first line": b"Host: a\r\n\r\n" + SMUGGLED,
    "TLS where HTTP is spoken": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_request_is_refused_and_the_connection_ends(server, name):
    """One answer, and what stands behind the bad request is never taken for another one."""
    count, status, body = responses(server.exchange(AMBIGUOUS[name]))
    assert count == 1, "the bytes behind the bad request were read as a request"
    assert status in (400, 413, 501), status
    assert json.loads(body)["error"]


def test_empty_lines_before_a_request_are_skipped(server):
    """RFC 9112 §2.2: at least one empty line before the request line should be ignored."""
    assert responses(server.exchange(b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"))[1] == 200


def test_bad_request_does_not_end_the_server(server):
    for _ in range(50):
        with server.raw(b"\0\xff" * 100):
            pass
    assert server.get("/healthz").status == 200


def test_many_connections(server):
    channels = [server.raw() for _ in range(500)]
    try:
        for channel in channels:
            channel.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        for channel in channels:
            channel.settimeout(BOUND)
            assert read_response(channel)[0] == 200
    finally:
        for channel in channels:
            channel.close()
