"""`signalbox worker` and `signalbox top` over TLS: whose certificate they believe, and what they say of one that they do not."""
import pytest

from authorities import Authority, SecureServer
from servers import BOUND, eventually, run
from test_top import picture
from test_worker_command import CommandWorker


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def secure(authority):
    server = SecureServer(authority, *authority.sign("signalbox"))
    yield server
    assert server.stop() == 0


def test_a_worker_completes_a_task(secure, authority, group):
    with CommandWorker(secure, group, "cat", options=("--ca", authority.pem)) as worker:
        text = "x" * 3_000_000
        assert secure.submit(group, {"text": text}).answer().json["result"]["data"]["text"] == text
        assert worker.stop() == 0


def test_the_system_s_store_is_believed(secure, authority):
    """OpenSSL's own variable says where it is."""
    answer = run("top", "--once", "--url", secure.url(""), SSL_CERT_FILE=authority.pem)
    assert answer.returncode == 0 and answer.stdout.startswith("signalbox top "), answer


def test_a_worker_comes_back(authority, group, tmp_path):
    """The server is killed while a command works: its successor on the same port gets the result."""
    data = str(tmp_path / "data")
    signed = authority.sign("signalbox", "back")
    one = SecureServer(authority, *signed, "--data", data)
    script = f"cd {tmp_path}; echo x >> runs; until [ -e go ]; do sleep 0.01; done; echo '\"kept\"'"
    with CommandWorker(one, group, "sh", "-c", script, options=("--ca", authority.pem)) as worker:
        task = one.queue(group)
        one.until(task, status="executing")
        eventually(lambda: (tmp_path / "runs").exists(), "the command")
        one.process.kill()
        one.process.wait(BOUND)
        (tmp_path / "go").touch()
        worker.says("event=done")
        two = SecureServer(authority, *signed, "--data", data, "--listen", one.address)
        assert two.until(task, status="completed")["result"] == "kept"
        assert (tmp_path / "runs").read_text() == "x\n"
        assert worker.stop() == 0
        assert two.stop() == 0


def test_a_certificate_that_goes_bad_is_waited_out(authority, group):
    """A worker that was connected does not give up: what is wrong with the server may be put right."""
    pem, key = authority.sign("signalbox", group)
    good = pem.read_text(), key.read_text()
    one = SecureServer(authority, pem, key)
    with CommandWorker(one, group, "cat", options=("--ca", authority.pem)) as worker:
        one.process.kill()
        one.process.wait(BOUND)
        authority.sign("signalbox", group, names="subjectAltName=DNS:elsewhere.example")
        two = SecureServer(authority, pem, key, "--listen", one.address)
        worker.says("for another name than 127.0.0.1")
        pem.write_text(good[0])
        key.write_text(good[1])
        two.read_anew()
        eventually(lambda: sum("event=connected" in line for line in worker.log.seen) == 2, "the worker, back")
        assert worker.stop() == 0
        assert two.stop() == 0


@pytest.mark.parametrize(("names", "sentence"), [
    ({"names": "subjectAltName=DNS:elsewhere.example"}, "the server's certificate is for another name than 127.0.0.1"),
    ({"days": -1}, "the certificate of 127.0.0.1, or one that leads to it, has expired"),
], ids=["name", "expired"])
def test_certificates_that_are_wrong_are_named(authority, group, names, sentence):
    server = SecureServer(authority, *authority.sign("other", group, **names))
    believing = ("--ca", str(authority.pem))
    refused = run("worker", "--url", server.url("/ws", "ws"), *believing, "--", "cat")
    assert refused.returncode == 1 and sentence in refused.stderr, refused.stderr
    refused = run("top", "--once", "--url", server.url(""), *believing)
    assert refused.returncode == 1 and refused.stderr == f"signalbox: {sentence}\n"
    assert server.stop() == 0


def test_an_unknown_authority_is_refused(secure, tmp_path):
    sentence = "the certificate of 127.0.0.1 is by no authority that is known here; --ca FILE names one"
    for believing in ((), ("--ca", str(Authority(tmp_path, "theirs").pem))):
        refused = run("worker", "--url", secure.url("/ws", "ws"), *believing, "--", "cat")
        assert refused.returncode == 1 and sentence in refused.stderr, refused.stderr
        refused = run("top", "--once", "--url", secure.url(""), *believing)
        assert refused.returncode == 1 and sentence in refused.stderr


def test_who_does_not_speak_tls_is_named(server, authority):
    for words in (("worker", "--url", f"wss://{server.address}/ws", "--ca", str(authority.pem), "--", "cat"),
                  ("top", "--once", "--url", f"https://{server.address}", "--ca", str(authority.pem))):
        refused = run(*words)
        assert refused.returncode == 1 and "does not speak TLS" in refused.stderr, refused.stderr


def test_a_certificate_speaks_for_the_worker(authority, group):
    """No token is asked for where one is shown that the server's authority has signed."""
    server = SecureServer(authority, *authority.sign("other", group), "--auth", "all", clients=authority)
    pem, key = authority.sign("rack7", f"{group}-rack7")
    own = ("--ca", authority.pem, "--cert", pem, "--key", key)
    with CommandWorker(server, group, "cat", options=own) as worker:
        assert worker.stop() == 0
    refused = run("worker", "--url", server.url("/ws", "ws"), "--ca", str(authority.pem), "--", "cat")
    assert refused.returncode == 1 and "status=401" in refused.stderr
    assert server.stop() == 0


def test_a_picture_over_tls(secure, authority, group):
    with CommandWorker(secure, group, "cat", options=("--ca", authority.pem)):
        for scheme in ("https", "wss"):
            lines = picture(secure, "--ca", str(authority.pem), "--url", f"{scheme}://{secure.address}")
            assert any(line.split()[:3] == [group, "1", "0/1"] for line in lines), lines


@pytest.mark.parametrize(("words", "sentence"), [
    (("worker", "--url", "ws://host/ws", "--ca", "x.pem", "--", "cat"), "--ca is for TLS"),
    (("worker", "--url", "wss://host/ws", "--cert", "x.pem", "--", "cat"), "--cert and --key go together"),
    (("worker", "--url", "wss://host/ws", "--ca", "/no/such.pem", "--", "cat"), "cannot read /no/such.pem"),
    (("top", "--url", "http://host", "--ca", "x.pem"), "--ca is for TLS"),
    (("top", "--url", "https://localhost", "--ca", "/no/such.pem"), "cannot read /no/such.pem"),
])
def test_wrong_options_are_named(words, sentence):
    answer = run(*words)
    assert answer.returncode == 2 and sentence in answer.stderr and answer.stderr.startswith("signalbox: ")
