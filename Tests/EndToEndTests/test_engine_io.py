"""Engine.IO, revision 4, as its documents have it: handshakes, both transports, heartbeats, upgrades and ends of sessions."""
import http.client
import json
import time

import pytest
import websocket

from engines import SEPARATOR, Polling, Wire, packets
from servers import BOUND, eventually, read_response

PATH = "/engine.io/"
KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


@pytest.fixture(params=["/engine.io/", "/socket.io/"])
def path(request):
    return request.param


def refused(server, url, **options):
    """The status with which a WebSocket is refused."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refusal:
        websocket.create_connection(server.url(url, "ws"), timeout=BOUND, **options)
    return refusal.value.status_code


# Handshake


def test_polling_handshake(trial, path):
    session = Polling(trial, path)
    assert set(session.handshake) == KEYS
    assert session.opened.headers["Content-Type"] == "text/plain; charset=UTF-8"
    del session.handshake["sid"]
    assert session.handshake == {"upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1000000}
    assert b": " not in session.opened.body and b", " not in session.opened.body, "spaces"


def test_websocket_handshake(trial, path):
    with Wire(trial, path) as wire:
        assert set(wire.handshake) == KEYS
        del wire.handshake["sid"]
        assert wire.handshake == {"upgrades": [], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1000000}


def test_names_of_sessions_cannot_be_guessed(trial):
    names = {Polling(trial, PATH).sid for _ in range(50)}
    assert len(names) == 50 and all(len(name) >= 20 for name in names)


WRONG = ["transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling", "EIO=5&transport=polling", "EIO=4",
         "EIO=4&transport=abc", "EIO=4&transport=polling&sid=unknown", "EIO=4&transport=polling&sid=", "EIO=4&transport=polling&sid=%zz",
         ""]


@pytest.mark.parametrize("query", WRONG)
def test_wrong_polling_handshake(trial, path, query):
    answer = trial.get(f"{path}?{query}")
    assert answer.status == 400, answer


@pytest.mark.parametrize("query", [query.replace("polling", "websocket") for query in WRONG])
def test_wrong_websocket_handshake(trial, path, query):
    assert refused(trial, f"{path}?{query}") == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_wrong_method_of_a_handshake(trial, path, method):
    answer = trial.request(method, f"{path}?EIO=4&transport=polling", b"")
    assert answer.status in ((400,) if method in ("POST", "PUT") else (400, 405)), answer


def test_the_times_of_the_test_mode_may_be_others(calm_trial):
    handshake = Polling(calm_trial).handshake
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (25000, 20000)


def test_there_is_no_echo_without_the_test_mode(server):
    assert server.get(f"{PATH}?EIO=4&transport=polling").status == 404


def test_handshake_as_configured(launch):
    server = launch("--socketio-transports", "polling", "--socketio-ping-interval-ms", "7000", "--socketio-ping-timeout-ms", "5000",
                    "--socketio-max-payload", "2000")
    session = Polling(server)
    del session.handshake["sid"]
    assert session.handshake == {"upgrades": [], "pingInterval": 7000, "pingTimeout": 5000, "maxPayload": 2000}
    assert refused(server, "/socket.io/?EIO=4&transport=websocket") == 400
    assert refused(server, f"/socket.io/?EIO=4&transport=websocket&sid={session.sid}") == 400


def test_websocket_alone_as_configured(launch):
    server = launch("--socketio-transports", "websocket")
    assert server.get("/socket.io/?EIO=4&transport=polling").status == 400
    with Wire(server) as wire:
        assert (wire.handshake["pingInterval"], wire.handshake["pingTimeout"], wire.handshake["maxPayload"]) == (25000, 20000, 1000000)


# Messages


@pytest.mark.parametrize("payload", ["4hello", SEPARATOR.join(["4test1", "4test2", "4test3"]), SEPARATOR.join(["4hello", "bAQIDBA=="]),
                                     "4€ 你好 😀", "4", "bAA=="])
def test_polling_messages(calm_trial, payload):
    session = Polling(calm_trial, PATH)
    pushed = session.post(payload)
    assert (pushed.status, pushed.body) == (200, b"ok")
    answer = session.poll()
    assert (answer.status, answer.body.decode()) == (200, payload)
    assert answer.headers["Content-Type"] == "text/plain; charset=UTF-8"


def test_a_message_answers_the_poll_that_waits(calm_trial):
    session = Polling(calm_trial, PATH)
    pending = session.begin_poll()
    session.say("4hello")
    assert packets(pending.answer()) == ["4hello"]


def test_one_connection_serves_many_polls(calm_trial):
    session = Polling(calm_trial, PATH)
    connection = calm_trial.connection()
    for number in range(5):
        for method, body, expected in (("POST", f"4{number}", b"ok"), ("GET", None, f"4{number}".encode())):
            connection.request(method, session.url, body)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, expected)
    connection.close()


@pytest.mark.parametrize("payload", ["abc", "", "9", "7x", "b!!!!", "bAQ", SEPARATOR, "4hello" + SEPARATOR, SEPARATOR + "4hello",
                                     SEPARATOR.join(["4hello", "abc"]), "2", "5", "0{}", b"4\xff"])
def test_a_wrong_payload_ends_the_session(calm_trial, payload):
    session = Polling(calm_trial, PATH)
    assert session.post(payload).status == 400
    assert session.poll().status == 400


def test_two_polls_at_once_end_the_session(calm_trial):
    session = Polling(calm_trial, PATH)
    # Two connections: which poll comes first is known when the other is sent once the first one is heard.
    first = session.begin_poll()
    heard(calm_trial, session)
    second = session.poll()
    assert second.status == 400
    answer = first.answer()
    assert (answer.status, answer.body) == (200, b"1")
    assert session.poll().status == 400


def heard(server, session):
    """The server has seen all that was sent: it deals with requests in the order in which they come to the machine."""
    session.say("6")
    assert server.get("/healthz").status == 200


def test_websocket_messages(calm_trial):
    with Wire(calm_trial, PATH) as wire:
        for message in ("4hello", "4", "4€ 你好 😀", b"\1\2\3\4", b"", b"\xff" * 70000, "4" + "x" * 70000):
            wire.say(message)
            assert wire.hear() == message


@pytest.mark.parametrize("message", ["abc", "", "9", "2", "5", "0{}"])
def test_a_wrong_message_ends_the_session(calm_trial, message):
    with Wire(calm_trial, PATH) as wire:
        wire.say(message)
        assert wire.is_closed()


def test_sizes(calm_trial):
    """A message of maxPayload is taken, one byte more is not."""
    whole, more = "4" + "x" * 999_999, "4" + "x" * 1_000_000
    session = Polling(calm_trial, PATH)
    session.say(whole)
    assert session.poll().body.decode() == whole
    assert session.post(more).status == 413
    with Wire(calm_trial, PATH) as wire:
        wire.say(whole)
        assert wire.hear() == whole
        try:
            wire.say(more)
        except ConnectionError:
            pass
        assert wire.is_closed()


def test_a_body_that_is_too_large_is_not_read(calm_trial):
    """Its head alone is answered: nothing of it need come."""
    session = Polling(calm_trial, PATH)
    head = f"POST {session.url} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n".encode()
    with calm_trial.raw(head) as channel:
        assert read_response(channel)[0] == 413


def test_a_payload_of_too_many_packets_ends_the_session(calm_trial):
    session = Polling(calm_trial, PATH)
    assert session.post(SEPARATOR.join(["4"] * 100_000)).status == 400
    assert session.is_gone()


# Heartbeat


def test_polling_heartbeat(trial, path):
    session = Polling(trial, path)
    for _ in range(3):
        assert packets(session.poll()) == ["2"]
        session.say("3")


def test_a_polling_session_without_pong_is_gone(trial, path):
    began = time.monotonic()
    session = Polling(trial, path)
    # It is open by its own time: the ping comes at 300 ms.
    assert packets(session.poll()) == ["2"]
    assert time.monotonic() - began >= 0.295
    # The poll ends with the session, not before; how it ends is the server's choice.
    session.poll()
    assert time.monotonic() - began >= 0.49
    assert session.poll().status == 400


def test_a_polling_session_that_never_polls_is_gone(trial, path):
    session = Polling(trial, path)
    time.sleep(0.5)
    assert session.poll().status == 400


def test_websocket_heartbeat(trial, path):
    with Wire(trial, path) as wire:
        for _ in range(3):
            assert wire.hear_anything() == "2"
            wire.say("3")


def test_a_websocket_without_pong_is_closed(trial, path):
    began = time.monotonic()
    with Wire(trial, path) as wire:
        assert wire.is_closed()
        assert time.monotonic() - began >= 0.49


# End


def test_a_polling_client_ends_its_session(calm_trial, path):
    session = Polling(calm_trial, path)
    pending = session.begin_poll()
    heard(calm_trial, session)
    assert session.post("1").body == b"ok"
    answer = pending.answer()
    assert (answer.status, answer.body) == (200, b"6")
    assert session.poll().status == 400
    assert session.post("4hello").status == 400


def test_a_websocket_client_ends_its_session(calm_trial, path):
    with Wire(calm_trial, path) as wire:
        wire.say("1")
        assert wire.is_closed()


def test_what_comes_behind_the_end_is_nothing(calm_trial):
    session = Polling(calm_trial, PATH)
    assert session.post(SEPARATOR.join(["1", "4hello"])).status == 200
    assert session.is_gone()


# Upgrade


def upgraded(server, path=PATH):
    """A session that began by polling and goes on over a WebSocket."""
    session = Polling(server, path)
    wire = Wire(server, path, sid=session.sid)
    wire.say("2probe")
    assert wire.hear_anything() == "3probe"
    wire.say("5")
    return session, wire


def test_upgrade(calm_trial):
    session = Polling(calm_trial, PATH)
    pending = session.begin_poll()
    heard(calm_trial, session)
    with Wire(calm_trial, PATH, sid=session.sid) as wire:
        wire.say("2probe")
        assert wire.hear_anything() == "3probe"
        # The poll comes back, so that the client can let go of polling.
        assert packets(pending.answer()) == ["6"]
        assert packets(session.poll()) == ["6"]
        wire.say("5")
        wire.say("4hello")
        assert wire.hear() == "4hello"
        wire.say(b"\1\2\3")
        assert wire.hear() == b"\1\2\3"


def test_nothing_is_lost_in_an_upgrade(calm_trial):
    """What was said before the last word of the upgrade comes by one way or the other, once and in order."""
    session = Polling(calm_trial, PATH)
    session.say("4one")
    with Wire(calm_trial, PATH, sid=session.sid) as wire:
        wire.say("2probe")
        assert wire.hear_anything() == "3probe"
        session.say("4two", "bAQID")
        wire.say("5")
        assert [wire.hear(), wire.hear(), wire.hear()] == ["4one", "4two", b"\1\2\3"]


def test_after_an_upgrade_polling_is_refused(calm_trial, path):
    session, wire = upgraded(calm_trial, path)
    with wire:
        assert session.poll().status == 400
        assert session.post("4hello").status == 400
        if path == PATH:
            wire.say("4hello")
            assert wire.hear() == "4hello"


def test_after_an_upgrade_another_websocket_is_refused(calm_trial, path):
    session, wire = upgraded(calm_trial, path)
    with wire:
        try:
            with Wire(calm_trial, path, sid=session.sid) as other:
                assert other.is_closed()
        except websocket.WebSocketBadStatusException as refusal:
            assert refusal.status_code == 400
        if path == PATH:
            wire.say("4hello")
            assert wire.hear() == "4hello"


def test_websocket_of_an_unknown_session(calm_trial, path):
    assert refused(calm_trial, f"{path}?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA") == 400


@pytest.mark.parametrize("words", [["2other"], ["4hello"], ["3probe"], ["2probe", "4hello"], [b"\2"]])
def test_a_wrong_probe_ends_the_websocket_alone(calm_trial, words):
    session = Polling(calm_trial, PATH)
    with Wire(calm_trial, PATH, sid=session.sid) as wire:
        wire.say(*words)
        assert wire.is_closed()
    session.say("4hello")
    assert packets(session.poll()) == ["4hello"]


def test_a_websocket_that_leaves_before_its_upgrade_ends_nothing(calm_trial):
    session = Polling(calm_trial, PATH)
    with Wire(calm_trial, PATH, sid=session.sid) as wire:
        wire.say("2probe")
        assert wire.hear_anything() == "3probe"

    def again():
        """Until the server has seen the end, a poll comes back at once with nothing."""
        session.say("4hello")
        return "4hello" in packets(session.poll())
    eventually(again, "polling as before")


def test_a_poll_whose_client_left_ends_the_session(calm_trial):
    session = Polling(calm_trial, PATH)
    pending = session.begin_poll()
    heard(calm_trial, session)
    pending.leave()
    assert session.poll().status == 400


# Web pages of other origins


def test_any_origin_in_the_test_mode(trial, path):
    answer = trial.get(f"{path}?EIO=4&transport=polling", Origin="https://elsewhere.example")
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")


def test_origins(launch):
    """An origin of the list is named in answers and in those before them; others are refused, on both transports."""
    server = launch("--allow-origin", "https://app.example")
    url, friend, foe = "/socket.io/?EIO=4&transport=polling", "https://app.example", "https://elsewhere.example"
    answer = server.get(url, Origin=friend)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, friend)
    assert "Origin" in answer.headers["Vary"]
    before = server.request("OPTIONS", url, headers={
        "Origin": friend, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"})
    assert before.status in (200, 204) and before.headers["Access-Control-Allow-Origin"] == friend
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    assert "content-type" in before.headers["Access-Control-Allow-Headers"].lower()
    answer = server.get(url, Origin=foe)
    assert answer.status in (400, 403) and answer.headers["Access-Control-Allow-Origin"] is None
    session = Polling(server, headers={"Origin": friend})
    posted = session.post("40")
    assert posted.headers["Access-Control-Allow-Origin"] == friend and posted.body == b"ok"
    assert server.get(session.url, Origin=foe).status in (400, 403)
    assert session.poll().status == 200
    assert refused(server, "/socket.io/?EIO=4&transport=websocket", origin=foe) in (400, 403)
    with Wire(server, origin=friend) as wire:
        assert wire.handshake
    # Who is no page of the web says no origin.
    assert server.get(url).status == 200


# Trouble


def test_a_client_that_stops_in_its_post_costs_nothing(calm_trial):
    session = Polling(calm_trial, PATH)
    with calm_trial.raw(f"POST {session.url} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4he".encode()):
        session.say("4hello")
        assert packets(session.poll()) == ["4hello"]


def test_paths_around(calm_trial):
    for wrong in ("/socket.io/abc?EIO=4&transport=polling", "/socket.io2/?EIO=4&transport=polling"):
        assert calm_trial.get(wrong).status == 404
    assert json.loads(calm_trial.get("/socket.io/?EIO=4&transport=polling&t=abc&b64=1").body[1:])["sid"]


def test_head_and_unknown_methods_of_a_session(calm_trial):
    session = Polling(calm_trial, PATH)
    for method in ("PUT", "DELETE"):
        assert calm_trial.request(method, session.url, b"4x").status in (400, 405)
    connection = http.client.HTTPConnection(calm_trial.host, calm_trial.port, timeout=BOUND)
    connection.request("HEAD", session.url)
    assert connection.getresponse().status in (200, 400, 405)
    connection.close()
