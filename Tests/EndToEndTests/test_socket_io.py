"""Socket.IO, revision 5, as its document has it: namespaces, events, acknowledgements, binary parts, wrong packets, recovery."""
import json
import time

import pytest

from engines import SEPARATOR, Polling, Wire
from servers import eventually

PLACES = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


@pytest.fixture
def wire(calm_trial):
    """A client in the main namespace that was told what it had said of itself."""
    with Wire(calm_trial) as wire:
        wire.join()
        assert wire.hear() == '42["auth",{}]'
        yield wire


# Namespaces


@pytest.mark.parametrize("namespace", ["", "/custom,"])
@pytest.mark.parametrize("payload", ["", '{"token":"123"}', '{"a":[1,{"b":null}],"c":"é"}'])
def test_connection(calm_trial, namespace, payload):
    with Wire(calm_trial) as wire:
        answer = wire.join(namespace, payload)
        assert set(answer) == {"sid"} and isinstance(answer["sid"], str)
        assert answer["sid"] != wire.handshake["sid"], "the session's name is its key, and not for others"
        assert wire.hear() == f'42{namespace}["auth",{payload or "{}"}]'


@pytest.mark.parametrize("packet", ["40/custom", "40/custom,"])
def test_the_comma_may_be_left_out(calm_trial, packet):
    with Wire(calm_trial) as wire:
        wire.say(packet)
        assert wire.hear().startswith('40/custom,{"sid":"')


@pytest.mark.parametrize("packet", ["40/random", "40/random,", '40/random,{"token":"123"}'])
def test_unknown_namespace(calm_trial, packet):
    with Wire(calm_trial) as wire:
        wire.say(packet)
        assert wire.hear() == '44/random,{"message":"Invalid namespace"}'


def test_namespaces_side_by_side(calm_trial):
    with Wire(calm_trial) as wire:
        main = wire.join()["sid"]
        assert wire.hear() == '42["auth",{}]'
        assert wire.join("/custom,")["sid"] != main
        assert wire.hear() == '42/custom,["auth",{}]'
        assert wire.fence() == []
        wire.say('42["message",1]')
        assert wire.hear() == '42["message-back",1]'
        wire.say("41/custom,", '42["message","message to main namespace"]')
        assert wire.hear() == '42["message-back","message to main namespace"]'
        wire.join("/custom,")
        assert wire.hear() == '42/custom,["auth",{}]'


def test_disconnection_leaves_the_session(trial):
    """The next word is a ping: nothing answers, nothing ends."""
    with Wire(trial) as wire:
        wire.join()
        assert wire.hear() == '42["auth",{}]'
        wire.say("41")
        assert wire.hear_anything() == "2"


def test_back_in_the_main_namespace(wire):
    wire.say("41")
    assert wire.join()["sid"]
    assert wire.hear() == '42["auth",{}]'


def test_by_polling(calm_trial):
    session = Polling(calm_trial)
    session.say("40")
    connected, *rest = session.hear()
    assert connected.startswith('40{"sid":"')
    assert (rest or session.hear()) == ['42["auth",{}]']
    session.say('42["message",1,"2",{"3":[true]}]', f'452-["message",{PLACES}]', "bAQID", "bBAUG")
    heard = []
    while len(heard) < 4:
        heard += session.hear()
    assert heard == ['42["message-back",1,"2",{"3":[true]}]', f'452-["message-back",{PLACES}]', "bAQID", "bBAUG"]
    assert session.post("1").status == 200
    assert session.is_gone()


def test_who_joins_nothing_is_closed(trial):
    """After a second; its pongs do not help."""
    began = time.monotonic()
    with Wire(trial) as wire:
        with pytest.raises(Exception):
            while True:
                wire.hear()
        assert 0.9 < time.monotonic() - began < 10


def test_who_joins_nothing_by_polling_is_gone(trial):
    began = time.monotonic()
    session = Polling(trial)
    while (answer := session.poll()).status == 200 and "2" in answer.body.decode():
        if session.post("3").status != 200:
            break
    assert time.monotonic() - began > 0.9
    assert session.is_gone()


# Messages


@pytest.mark.parametrize("arguments", ['1,"2",{"3":[true]}', '"é 你好 😀"', "null", "1e3,-0.10,12345678901234567890", '"\\u00e9"',
                                       '{"_placeholder":false}', "[[[[]]]]"])
def test_event(wire, arguments):
    wire.say(f'42["message",{arguments}]')
    assert wire.hear() == f'42["message-back",{arguments}]'


def test_event_without_arguments(wire):
    wire.say('42["message"]')
    assert wire.hear() == '42["message-back"]'


def test_event_in_the_other_namespace(wire):
    """Whoever is in none of a namespace has said nothing in it."""
    wire.say('42/custom,["message",1]')
    try:
        assert wire.fence() == []
    except Exception:
        assert wire.is_closed()


@pytest.mark.parametrize("number", [0, 456, 2**53 - 1])
def test_acknowledgement(wire, number):
    wire.say(f'42{number}["message-with-ack",1,"2",{{"3":[false]}}]')
    assert wire.hear() == f'43{number}[1,"2",{{"3":[false]}}]'


def test_acknowledgement_of_nothing(wire):
    wire.say('427["message-with-ack"]')
    assert wire.hear() == "437[]"


def test_binary_event(wire):
    wire.say(f'452-["message",{PLACES}]', b"\1\2\3", b"\4\5\6")
    assert [wire.hear(), wire.hear(), wire.hear()] == [f'452-["message-back",{PLACES}]', b"\1\2\3", b"\4\5\6"]


def test_binary_event_with_acknowledgement(wire):
    wire.say(f'452-789["message-with-ack",{PLACES}]', b"\1\2\3", b"\4\5\6")
    assert [wire.hear(), wire.hear(), wire.hear()] == [f"462-789[{PLACES}]", b"\1\2\3", b"\4\5\6"]


def test_binary_parts_deep_inside_and_empty(wire):
    wire.say('451-["message",{"a":[{"_placeholder":true,"num":0}],"b":1}]', b"")
    assert [wire.hear(), wire.hear()] == ['451-["message-back",{"a":[{"_placeholder":true,"num":0}],"b":1}]', b""]


# Wrong packets end their session, and nothing else


WRONG = {
    "unknown kind": ["4abc"],
    "kind 9": ["49"],
    "empty": ["4"],
    "payload no list": ["42{}"],
    "payload no JSON": ['42["message",]'],
    "payload missing": ["42"],
    "list empty": ["42[]"],
    "name no text": ['42[{"a":1}]'],
    "name null": ["42[null]"],
    "letters before the payload": ['42abc["message-with-ack",1,"2",{"3":[false]}]'],
    "number of acknowledgement too large": ['4299999999999999999999["message",1]'],
    "connection with a list": ["40[]"],
    "connection with a text": ['40"abc"'],
    "disconnection with a payload": ["41{}"],
    "acknowledgement without number": ["43[1]"],
    "acknowledgement no list": ["431{}"],
    "deep": ["42" + '["message",' + "[" * 20000 + "]" * 20000 + "]"],
    "reserved connect": ['42["connect"]'],
    "reserved connect_error": ['42["connect_error"]'],
    "reserved disconnect": ['42["disconnect"]'],
    "reserved disconnecting": ['42["disconnecting"]'],
    "reserved newListener": ['42["newListener"]'],
    "reserved removeListener": ['42["removeListener"]'],
    "binary without a number": ['45["message"]', b"x"],
    "binary of none": ['450-["message"]'],
    "binary of too many": ["451000000000-[" + '"message"]'],
    "binary of seventeen": ['4517-["message",' + ",".join(f'{{"_placeholder":true,"num":{n}}}' for n in range(17)) + "]"],
    "place beyond": ['451-["message",{"_placeholder":true,"num":1}]', b"x"],
    "place below": ['451-["message",{"_placeholder":true,"num":-1}]', b"x"],
    "place no number": ['451-["message",{"_placeholder":true,"num":"splice"}]', b"x"],
    "place twice": ['452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', b"x", b"y"],
    "bytes for nothing": [b"abc"],
    "more bytes than said": ['451-["message",{"_placeholder":true,"num":0}]', b"x", b"y"],
    "text among bytes": [f'452-["message",{PLACES}]', b"x", '42["message",1]'],
}


@pytest.mark.parametrize("packets", WRONG.values(), ids=WRONG.keys())
def test_wrong_packet(wire, packets):
    try:
        wire.say(*packets)
    except ConnectionError:
        pass
    assert wire.is_closed()


@pytest.mark.parametrize("packets", [["4abc"], ["42{}"], ["450-[1]"], ['42["connect"]']])
def test_wrong_packet_by_polling(calm_trial, packets):
    session = Polling(calm_trial)
    session.say("40")
    session.post(SEPARATOR.join(packets))
    # What waited may still be told.
    while (answer := session.poll()).status == 200:
        assert answer.body != b"2"


@pytest.mark.parametrize("packets", [
    ["4abc"], ['42["message",1]'], ['451-["message",{"_placeholder":true,"num":0}]', b"x"], ["40[]"], ["431[]"], [b"x"]])
def test_wrong_first_packet(calm_trial, packets):
    with Wire(calm_trial) as wire:
        wire.say(*packets)
        assert wire.is_closed()


def test_others_do_not_notice(calm_trial, wire):
    for packets in WRONG.values():
        with Wire(calm_trial) as other:
            other.join()
            try:
                other.say(*packets)
            except ConnectionError:
                continue
    wire.say('42["message",1]')
    assert wire.hear() == '42["message-back",1]'


def test_too_fast(fleet):
    """Who says more in a second than a client may is closed."""
    with Wire(fleet) as wire:
        wire.join()
        try:
            for _ in range(100):
                wire.say(*['42["message",1]'] * 50)
        except ConnectionError:
            pass
        assert wire.is_closed()


def test_too_fast_by_polling(fleet):
    session = Polling(fleet)
    session.say("40")
    assert session.hear()[0].startswith("40{")
    session.post(SEPARATOR.join(['42["message",1]'] * 500))
    while (answer := session.poll()).status == 200:
        assert answer.body != b"2"


# Recovery


def watching(server, payload="", **options):
    """A client of the server's own namespace that listens to activities; with its names."""
    wire = Wire(server, **options)
    names = wire.join("", payload)
    if not payload:
        wire.emit("subscribe_activity_stream")
        assert wire.hear_event("subscribed")[0]["event_type"] == "activity_stream"
        # It begins with the last of the past.
        wire.fence()
    return wire, names


def note(server, message):
    answer = server.request("POST", "/api/activities", {"activity_type": "user_operation", "message": message})
    assert answer.status in (200, 201), answer
    return answer.json["id"]


def hear_notes(wire, *messages):
    """Hears these activities, and these alone; returns the offset of the last."""
    offset = None
    for message in messages:
        update, offset = wire.hear_event("activity_stream")
        assert update["data"]["message"] == message
        assert isinstance(offset, str) and offset
    return offset


@pytest.fixture
def notes(group):
    """Messages of this test alone."""
    return [f"{group}-{number}" for number in range(6)]


def back(pid, offset):
    return json.dumps({"pid": pid, "offset": offset})


def test_recovery(fleet, notes):
    wire, names = watching(fleet)
    assert set(names) == {"sid", "pid"} and names["pid"] not in (names["sid"], wire.handshake["sid"])
    for message in notes[:2]:
        note(fleet, message)
    offset = hear_notes(wire, *notes[:2])
    wire.socket.sock.close()
    for message in notes[2:4]:
        note(fleet, message)
    heir, again = watching(fleet, back(names["pid"], offset))
    with heir:
        # It is who it was, its subscriptions are as they were, and what it missed comes first.
        assert again == names
        note(fleet, notes[4])
        hear_notes(heir, *notes[2:5])
        assert heir.fence() == []


def test_recovery_replays_nothing_that_was_heard(fleet, notes):
    wire, names = watching(fleet)
    for message in notes[:3]:
        note(fleet, message)
    first = hear_notes(wire, notes[0])
    last = hear_notes(wire, *notes[1:3])
    for offset, rest in ((last, []), (first, notes[1:3])):
        wire.socket.sock.close()
        wire, again = watching(fleet, back(names["pid"], offset))
        assert again == names
        hear_notes(wire, *rest)
        assert wire.fence() == []
    wire.socket.close()


def test_recovery_of_a_subscription_whose_answer_was_lost(fleet, notes):
    """What it begins with and what came since is one story: nothing of it is told twice."""
    wire = Wire(fleet)
    names = wire.join()
    wire.emit("subscribe_deployment_events")
    _, offset = wire.hear_event("subscribed")
    wire.emit("subscribe_activity_stream")
    # The server has dealt with it; that the client heard the answer it does not say when it comes back.
    wire.fence()
    for message in notes[:3]:
        note(fleet, message)
    wire.socket.sock.close()
    for message in notes[3:]:
        note(fleet, message)
    heir, again = watching(fleet, back(names["pid"], offset))
    with heir:
        assert again == names
        told = [json.loads(text[2:]) for text in heir.fence()]
        assert [name for name, *_ in told].count("subscribed") == 1
        messages = [update["data"]["message"] for name, update, _ in told if name == "activity_stream"]
        assert [message for message in messages if message in notes] == notes
        offsets = [int(event[-1]) for event in told]
        assert offsets == sorted(offsets) and offsets[0] > int(offset)


def test_a_session_that_said_goodbye_is_not_recovered(fleet, notes):
    wire, names = watching(fleet)
    note(fleet, notes[0])
    offset = hear_notes(wire, notes[0])
    wire.say("41")
    assert wire.fence() == []
    wire.socket.close()
    heir, again = watching(fleet, back(names["pid"], offset))
    with heir:
        assert again["pid"] != names["pid"] and again["sid"] != names["sid"]
        note(fleet, notes[1])
        assert heir.fence() == []


@pytest.mark.parametrize("pid, offset", [("unknown", None), (None, "unknown"), (None, ""), ("", "")])
def test_wrong_recovery_is_a_new_connection(fleet, notes, pid, offset):
    wire, names = watching(fleet)
    note(fleet, notes[0])
    heard = hear_notes(wire, notes[0])
    wire.socket.sock.close()
    heir, again = watching(fleet, back(names["pid"] if pid is None else pid, heard if offset is None else offset))
    with heir:
        assert again["pid"] != names["pid"] and again["sid"] != names["sid"]


@pytest.mark.parametrize("payload", ['{"pid":1,"offset":2}', '{"pid":"x"}', '{"offset":"x"}', '{"pid":null,"offset":null}'])
def test_odd_recovery_is_a_new_connection(fleet, payload):
    wire, names = watching(fleet, payload)
    with wire:
        assert set(names) == {"sid", "pid"}


def test_recovery_ends_after_its_time(launch):
    server = launch("--socketio-recovery-ms", "200")
    wire, names = watching(server)
    note(server, "one")
    offset = hear_notes(wire, "one")
    wire.socket.sock.close()
    # The time runs from when the server saw the end, which it tells nobody.
    time.sleep(0.7)
    heir, again = watching(server, back(names["pid"], offset))
    with heir:
        assert again["pid"] != names["pid"]


def test_recovery_by_polling(fleet, notes):
    """The same one may come back by another transport."""
    wire, names = watching(fleet)
    note(fleet, notes[0])
    offset = hear_notes(wire, notes[0])
    wire.socket.sock.close()
    note(fleet, notes[1])
    session = Polling(fleet)
    session.say("40" + back(names["pid"], offset))
    heard = []
    while len(heard) < 2:
        heard += session.hear()
    assert json.loads(heard[0][2:]) == names
    name, update, _ = json.loads(heard[1][2:])
    assert (name, update["data"]["message"]) == ("activity_stream", notes[1])
    session.say("41")
    assert session.post("1").status == 200


def test_no_recovery_in_the_test_mode(calm_trial):
    with Wire(calm_trial) as wire:
        assert set(wire.join("", '{"pid":"x","offset":"y"}')) == {"sid"}
        assert wire.hear() == '42["auth",{"pid":"x","offset":"y"}]'


def test_secrets_are_in_no_log_line(launch):
    server = launch(LOG_LEVEL="debug")
    wire, names = watching(server)
    secrets = [wire.handshake["sid"], names["pid"]]
    wire.socket.close()
    eventually(lambda: server.get("/healthz").status == 200)
    assert server.stop() == 0
    assert [line for line in server.log.seen if any(secret in line for secret in secrets)] == []
