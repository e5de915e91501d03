"""TLS: stock clients over https and wss, what is negotiated, who is refused, and certificates that come anew."""
import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time

import pytest
import requests
import websocket
import websockets

from authorities import Authority, SecureServer, openssl
from documents import node
from monitors import Watcher, browser
from servers import BOUND, ROOT, Server, eventually, read_to_end, run
from test_socket_io_clients import WATCHER
from workers import Worker


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.sign("signalbox")


@pytest.fixture(scope="module")
def secure(authority, certificate):
    server = SecureServer(authority, *certificate, "--echo-path", "/echo", "--auth", "off")
    yield server
    assert server.stop() == 0


@pytest.fixture(autouse=True)
def believed(authority, monkeypatch):
    """Clients that are given no authorities look here for them."""
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority.pem))


# MARK: stock clients

def test_curl(secure, authority):
    command = ["curl", "-sv", "--cacert", str(authority.pem), secure.url("/healthz")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    assert told.stdout == '{"status":"ok"}', told.stderr
    # Who offers h2 as well gets the one that is spoken here.
    assert "http/1.1" in told.stderr and "TLSv1.3" in told.stderr


def test_requests(secure):
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(secure.url("/healthz"), timeout=BOUND).json() == {"status": "ok"}


def test_task_and_worker(secure, group):
    """websocket-client as the worker, http.client as the one who waits."""
    with Worker(secure, group, ready=True) as worker:
        waiting = secure.submit(group, {"text": "x" * 100_000})
        task = worker.receive("task")
        assert "x" * 100_000 in json.dumps(task)
        worker.finish(task["taskId"], {"text": "y" * 200_000})
        assert "y" * 200_000 in waiting.answer().body.decode()


def test_websockets_of_five_megabytes(secure):
    async def talk():
        context = secure.context()
        async with websockets.connect(secure.url("/echo", "ws"), ssl=context, max_size=None, compression=None) as client:
            for size in (0, 1, 100, 16_384, 65_536, 5_000_000):
                message = os.urandom(size)
                await client.send(message)
                assert await client.recv() == message
    asyncio.run(talk())


def test_websocket_client_of_five_megabytes(secure):
    client = websocket.create_connection(secure.url("/echo", "ws"), timeout=BOUND)
    message = os.urandom(5_000_000)
    client.send_binary(message)
    assert client.recv() == message
    client.close()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], None], ids=["polling", "websocket", "upgrade"])
def test_socket_io_of_python(secure, group, transports):
    with Watcher(secure, "activity_stream", transports=transports) as watcher:
        answer = secure.request("POST", "/api/activities", {"activity_type": "user_operation", "message": group})
        assert answer.status in (200, 201), answer
        end = time.monotonic() + BOUND
        while time.monotonic() < end:
            event, arguments = watcher.heard.get(timeout=BOUND)
            if event == "activity_stream" and arguments[0]["data"]["message"] == group:
                return
        pytest.fail("nothing was heard")


def test_socket_io_of_browsers(secure):
    options = json.dumps({"transports": ["websocket"], "autoConnect": True})
    with browser(WATCHER, secure.url(""), options) as client:
        assert json.loads(client.says('"connect"'))[0] == "connect"


def test_ws_of_node(secure, tmp_path):
    script = tmp_path / "echo.js"
    script.write_text("""
        const WebSocket = require('ws')
        const client = new WebSocket(process.argv[2])
        client.on('open', () => client.send('over tls'))
        client.on('message', (data) => { console.log('heard ' + data); client.close() })
        client.on('error', (error) => console.log('error ' + error))
    """)
    with node(script, secure.url("/echo", "ws")) as client:
        assert client.says("heard") == "heard over tls"


# MARK: what is negotiated

@pytest.mark.parametrize("version, accepted", [("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)])
def test_versions(secure, version, accepted):
    told = secure.client(f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0")
    assert ("Verify return code: 0 (ok)" in told.stdout and "Cipher is (NONE)" not in told.stdout) == accepted, told.stdout
    if not accepted:
        assert "alert protocol version" in told.stderr or "no protocols available" in told.stderr, told.stderr


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA256", "ADH-AES128-SHA", "NULL"])
def test_ciphers_without_secrecy_or_integrity_are_refused(secure, cipher):
    assert "Cipher is (NONE)" in secure.client("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0").stdout


@pytest.mark.parametrize("offered, chosen", [("http/1.1", "http/1.1"), ("h2,http/1.1", "http/1.1"), ("h2", None), (None, None)])
def test_alpn(secure, offered, chosen):
    told = secure.client(*(["-alpn", offered] if offered else [])).stdout
    assert (f"ALPN protocol: {chosen}" if chosen else "No ALPN negotiated") in told
    assert "Verify return code: 0 (ok)" in told


def resume(server, tmp_path, version):
    """Whether a second connection resumed the first one's session."""
    ticket = tmp_path / "ticket"
    request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    first = server.client(version, "-ign_eof", "-sess_out", ticket, input=request)
    assert '{"status":"ok"}' in first.stdout and "New, TLS" in first.stdout, first.stdout
    second = server.client(version, "-ign_eof", "-sess_in", ticket, input=request)
    assert '{"status":"ok"}' in second.stdout, second.stdout
    return "Reused, TLS" in second.stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption(secure, tmp_path, version):
    assert resume(secure, tmp_path, version)


def test_renegotiation_is_refused(secure):
    told = secure.client("-tls1_2", input="R\n")
    assert "no renegotiation" in told.stderr, told.stderr


# MARK: what is no TLS, or not all of it

def test_plain_http_is_told(secure):
    plain = requests.get(f"http://{secure.address}/healthz", timeout=BOUND)
    assert (plain.status_code, plain.text) == (400, "This port speaks TLS: use https or wss\n")


@pytest.mark.parametrize("data", [b"\x00" * 100, b"SSH-2.0-x\r\n", b"\x16\x03\x01\x00\x04ABCD", b"\x80\x2e\x01\x00\x02" + b"\x00" * 41,
                                  b"\x16\x03\x01\x40\x00" + b"A" * 16_384, b"\x16\x03\x01\x00\x00" * 1_000, b"\x15\x03\x01\x00\x02\x02\x28",
                                  b"\x17\x03\x03\x00\x10" + b"B" * 16],
                         ids=["zeros", "ssh", "no hello", "sslv2", "large", "empty", "alert", "data"])
def test_garbage_is_refused(secure, data):
    with secure.raw(data) as channel:
        answer = read_to_end(channel)
    # An alert or nothing.
    assert answer == b"" or (answer[0] == 21 and len(answer) <= 14), answer
    assert secure.get("/healthz").status == 200


def hello():
    """A client's first bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    session = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("sent", [0, 1, 5, 100])
def test_stalled_handshake_is_dropped(authority, certificate, sent):
    server = SecureServer(authority, *certificate, REQUEST_TIMEOUT_MS=200)
    with server.raw(hello()[:sent]) as channel:
        assert read_to_end(channel) == b""
    assert server.stop() == 0


def test_handshake_byte_by_byte(secure, authority):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = secure.context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with secure.raw() as channel:
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def drive(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        channel.sendall(bytes([byte]))
                    incoming.write(channel.recv(65_536))

        drive(session.do_handshake)
        session.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while b'{"status":"ok"}' not in answer:
            answer += drive(lambda: session.read(65_536))


def test_farewell(secure):
    """An orderly end is said in TLS too: a client that insists on it sees no truncation."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with secure.channel(highest=version) as channel:
            channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert read_to_end(channel).endswith(b'{"status":"ok"}')


def test_half_closed(secure):
    """Who says that nothing more will come still gets its answer, as without TLS."""
    with secure.channel() as channel:
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        socket.socket.shutdown(channel, socket.SHUT_WR)
        assert read_to_end(channel).endswith(b'{"status":"ok"}')


def test_handshakes_are_counted(secure):
    def counts():
        page = secure.get("/metrics").body.decode()
        return [int(re.search(rf"^signalbox_tls_handshakes{kind}_total (\d+)$", page, re.M)[1]) for kind in ("", "_failed")]
    done, failed = counts()
    with secure.raw(b"garbage, and not a little") as channel:
        read_to_end(channel)
    assert eventually(lambda: counts()[1] == failed + 1)
    assert counts()[0] > done


def test_reset_within_a_handshake(secure):
    for count in (0, 3, 200):
        channel = secure.raw(hello()[:count])
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        channel.close()
    assert secure.get("/healthz").status == 200


def test_many_at_once(secure):
    """A burst of handshakes is served in turn, and those who are there are not kept waiting for all of it."""
    with secure.channel() as old:
        channels = [secure.raw(hello()) for _ in range(300)]
        old.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in old.recv(65_536)
        for channel in channels:
            assert channel.recv(5)[0] == 22
            channel.close()


# MARK: unix sockets, options

def test_unix_sockets_stay_plain(authority, certificate, tmp_path):
    path = tmp_path / "plain.sock"
    server = SecureServer(authority, *certificate, "--listen", f"unix:{path}")
    line = server.log.first(lambda line: "listening" in line and "unix:" in line)
    assert "scheme=http" in line.split()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(BOUND)
        channel.connect(str(path))
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_to_end(channel).endswith(b'{"status":"ok"}')
    assert server.stop() == 0


def test_options_go_together(certificate):
    pem, key = certificate
    assert run("serve", "--tls-cert", str(pem)).returncode == 2
    assert run("serve", "--tls-key", str(key)).returncode == 2
    assert run("serve", "--tls-client-ca", str(pem)).returncode == 2
    wrong = run("serve", "--tls-cert", "nowhere.pem", "--tls-key", str(key), "--data", ":memory:")
    assert wrong.returncode == 1 and "cannot read nowhere.pem: No such file or directory" in wrong.stderr


def test_open_key_is_warned_of(authority, certificate, tmp_path):
    pem, key = certificate
    copy = tmp_path / "open.key"
    shutil.copy(key, copy)
    copy.chmod(0o644)
    server = SecureServer(authority, pem, copy)
    assert "level=warning" in server.log.first(lambda line: "can be read by everybody" in line)
    assert "PRIVATE" not in "\n".join(server.log.seen)
    assert server.stop() == 0


# MARK: certificates that come anew

def shown(server):
    """The name on the certificate that a new connection is shown."""
    return "new" if "CN = new" in server.client().stdout else "old"


def test_sighup(authority, tmp_path):
    first, second = authority.sign("old"), authority.sign("new")
    pem, key = tmp_path / "server.pem", tmp_path / "server.key"

    def lay(certificate):
        shutil.copy(certificate[0], pem)
        shutil.copy(certificate[1], key)

    lay(first)
    server = SecureServer(authority, pem, key, "--echo-path", "/echo", "--auth", "off")
    client = websocket.create_connection(server.url("/echo", "ws"), timeout=BOUND)
    assert shown(server) == "old"
    # A file that is wrong changes nothing.
    pem.write_text("this is no certificate")
    assert "level=error" in server.read_anew()
    assert shown(server) == "old"
    # Nor does a certificate whose key has not come yet.
    shutil.copy(second[0], pem)
    assert "level=error" in server.read_anew()
    assert shown(server) == "old"
    lay(second)
    assert "level=info" in server.read_anew()
    assert shown(server) == "new"
    # Who was there before lives on.
    client.send("still here")
    assert client.recv() == "still here"
    client.close()
    assert server.stop() == 0


# MARK: certificates of clients

@pytest.fixture(scope="module")
def asking(authority, certificate):
    """A server that asks for certificates, and for tokens of everybody."""
    server = SecureServer(authority, *certificate, "--auth", "all", clients=authority)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "theirs").sign("worker-7", "stranger")


def join(server, certificate, group):
    options = {"ca_certs": str(server.authority.pem)}
    if certificate:
        options |= {"certfile": str(certificate[0]), "keyfile": str(certificate[1])}
    return websocket.create_connection(server.url(f"/ws?group={group}", "ws"), timeout=BOUND, sslopt=options)


def test_a_certificate_speaks_for_a_worker(asking, authority, group):
    worker = join(asking, authority.sign("worker-7"), group)
    assert json.loads(worker.recv())["type"] == "connected"
    worker.close()
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        join(asking, None, group)
    assert refused.value.status_code == 401


def test_a_certificate_speaks_for_nobody_else(asking, authority):
    pair = tuple(map(str, authority.sign("worker-8")))
    for path in ("/api/task/x", "/metrics", "/api/fleet"):
        assert requests.get(asking.url(path), cert=pair, timeout=BOUND).status_code in (401, 404), path
    assert requests.get(asking.url("/metrics"), cert=pair, timeout=BOUND).status_code == 401


def test_certificates_of_strangers_are_refused(asking, stranger, group):
    with pytest.raises((ssl.SSLError, OSError, websocket.WebSocketException)):
        join(asking, stranger, group).recv()
    told = asking.client("-cert", stranger[0], "-key", stranger[1], "-ign_eof", input="GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert "alert unknown ca" in told.stderr and "200 OK" not in told.stdout, told.stderr
    assert asking.get("/healthz").status == 200


def test_a_resumed_session_still_speaks_for_its_worker(asking, authority):
    context = asking.context(authority.sign("worker-9"))
    upgrade = (b"GET /ws?group=g HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    session = None
    for resumed in (False, True):
        with context.wrap_socket(asking.raw(), server_hostname=asking.host, session=session) as channel:
            channel.sendall(upgrade)
            assert channel.recv(65_536).startswith(b"HTTP/1.1 101")
            assert channel.session_reused == resumed
            session = channel.session
