"""What callers and workers give: it goes through byte for byte, at any size that is allowed, or is refused in words that name the fault."""
import json

import pytest

from workers import Worker

# MARK: what users gave stays as it was

ODD = [
    b'{"a":1.0,"b":1e400,"c":-0,"d":12345678901234567890123456789,"e":0.1000000000000000055511151231257827}',
    b'{"z":1,"a":2,"z":3,"":null}',
    rb'{"escapes":"\u0041\/\ud83d\ude00\u0000\u001f\"\\ \b\f\n\r\t"}',
    '{"utf8":"美丽的少女 😀 \u2028\u007f"}'.encode(),
    b'{ "white" : [ 1 ,\t2 ,\r\n 3 ] ,\n"space":{ } }',
    b'{"data":{"data":{"messages":[]}},"taskId":"x","type":"task","result":1}',
    b'{"deep":' + b"[" * 100 + b"]" * 100 + b"}",
]


@pytest.mark.parametrize("odd", ODD)
def test_data_reaches_the_worker_byte_for_byte(server, group, odd):
    with Worker(server, group, ready=True) as worker:
        body = b'{ "data":' + odd + b',"group":"' + group.encode() + b'" , "async":true,"data2":1}'
        task_id = server.request("POST", "/api/openai", body).json["taskId"]
        text = worker.receive_text().encode()
        assert b'"data":' + odd in text
        assert json.loads(text)["taskId"] == task_id


@pytest.mark.parametrize("odd", ODD)
def test_messages_reach_the_worker_byte_for_byte(server, group, odd):
    with Worker(server, group, ready=True) as worker:
        messages = b'[{"role":"user","content":' + odd + b" } ]"
        body = b'{"messages":' + messages + b',"model":"gpt-4","group":"' + group.encode() + b'","async":true}'
        assert server.request("POST", "/api/openai", body).status == 200
        assert b'"messages":' + messages in worker.receive_text().encode()


@pytest.mark.parametrize("odd", ODD)
def test_result_reaches_the_caller_byte_for_byte(server, group, odd):
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group)
        task_id = worker.take()["taskId"]
        worker.send_text(f'{{"duration":1,"result":{odd.decode()} ,"taskId":"{task_id}","type":"task_complete"}}')
        worker.acknowledged(task_id)
        assert b'"result":' + odd in pending.answer().body
        assert b'"result":' + odd in server.get(f"/api/task/{task_id}").body


@pytest.mark.parametrize("size", [100_000, 4 << 20, (16 << 20) - 200])
def test_large_payload_and_result(server, group, size):
    text = ("0123456789abcdef" * (size // 16 + 1))[:size]
    with Worker(server, group, ready=True) as worker:
        pending = server.submit(group, {"text": text})
        task = worker.take()
        assert task["payload"]["data"]["text"] == text
        worker.finish(task["taskId"], {"text": text[::-1]})
        answer = pending.answer()
        assert answer.status == 200 and answer.json["result"]["text"] == text[::-1]
        assert server.task(task["taskId"])["result"]["text"] == text[::-1]


# MARK: bad requests

@pytest.mark.parametrize("body", [b"{}", b'{"model":"m"}', b'{"Data":{}}', b'{"payload":{"data":1}}', b'{"async":true,"group":"nobody"}'])
def test_request_without_data_or_messages(server, body):
    answer = server.request("POST", "/api/openai", body)
    assert (answer.status, answer.json) == (400, {"error": "Invalid request: data or messages required"})


@pytest.mark.parametrize(("member", "value"), [
    ("data", '"text"'), ("data", "[1]"), ("messages", "{}"), ("messages", '"text"'), ("group", "5"), ("group", "{}"), ("model", "5"),
    ("model", "[]"), ("async", '"yes"'), ("async", "1"), ("timeout", '"60000"'), ("timeout", "true"), ("timeout", "{}"),
    ("priority", "5"), ("priority", '"urgent"'), ("retries", '"x"'), ("idempotencyKey", "5"),
])
def test_member_of_a_wrong_type_is_named(server, member, value):
    other = "other" if member == "data" else "data"
    answer = server.request("POST", "/api/openai", f'{{"{member}":{value},"{other}":{{}}}}'.encode())
    assert answer.status == 400 and member in answer.json["error"], answer


@pytest.mark.parametrize("body", [
    b"", b" ", b"{", b"[]", b'"data"', b"5", b"null", b'{"data":{}} x', b'{"data":{},}', b"{'data':1}", b'{"data":01}', b'{"data":"\xff"}',
    b'{"data":"\n"}', b'{"data":"\\x"}', b'{"data":NaN}', b'{"data":"\\ud800"', b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
])
def test_malformed_json(server, body):
    answer = server.request("POST", "/api/openai", body)
    assert answer.status == 400 and isinstance(answer.json["error"], str) and answer.json["error"], answer
