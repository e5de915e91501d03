"""OpenAI's routes, asked by OpenAI's own Python client as anybody installs it."""
import asyncio
import json
import threading

import openai
import pytest

from documents import python
from servers import BOUND, ROOT, eventually
from workers import Worker

SCRIPT = ROOT / "Sources/Clients/examples/worker-openai.py"
HELLO = [{"role": "user", "content": "Where does the train wait?"}]


def client(server, **options):
    return openai.OpenAI(base_url=server.url("/v1"), **{"api_key": "none", "max_retries": 0, "timeout": BOUND} | options)


def on_a_thread(work):
    """Does something that waits for its answer; returns what waits for that."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except Exception as error:
            outcome.append(error)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait():
        thread.join(BOUND)
        return outcome[0]
    return wait


@pytest.fixture(scope="module")
def model(server):
    """The example worker, in a group of its own: its models lead to it."""
    with python(SCRIPT, server.url("/ws", "ws"), "openai") as worker:
        worker.says("connected as W")
        yield worker


def test_chat(server, model):
    answer = client(server).chat.completions.create(model="markov-1", messages=HELLO, max_tokens=5, temperature=0)
    assert answer.object == "chat.completion" and answer.model == "markov-1"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content and answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens == 6 + 5
    # The request's name is the task's.
    assert server.task(answer._request_id)["status"] == "completed"


def test_chat_in_pieces(server, model):
    ask = {"model": "markov-1", "messages": HELLO, "max_tokens": 8, "seed": 7}
    whole = client(server).chat.completions.create(**ask).choices[0].message.content
    pieces = list(client(server).chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    assert pieces[0].choices[0].delta.role == "assistant" and all(piece.object == "chat.completion.chunk" for piece in pieces)
    assert len(pieces) == 10
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces[:-1]) == whole
    assert pieces[-2].choices[0].finish_reason == "length" and pieces[-1].usage.completion_tokens == 8


def test_completions(server, model):
    ask = {"model": "markov-1", "prompt": "The signal", "max_tokens": 4, "seed": 3}
    whole = client(server).completions.create(**ask)
    assert whole.object == "text_completion" and whole.usage.prompt_tokens == 2
    assert "".join(piece.choices[0].text for piece in client(server).completions.create(**ask, stream=True)) == whole.choices[0].text


def test_embeddings(server, model):
    texts = ["the train waits", "the train that waits", "bell"]
    answer = client(server).embeddings.create(model="hash-embedding-1", input=texts)
    one, other, bell = (item.embedding for item in answer.data)
    assert len(one) == 64 and answer.usage.prompt_tokens == 8

    def similarity(left, right): return sum(a * b for a, b in zip(left, right))
    assert similarity(one, other) > 0.8 > similarity(one, bell)
    plain = client(server).embeddings.create(model="hash-embedding-1", input=texts[0], encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(one, abs=1e-6)


def test_models(server, model):
    names = {model.id: model for model in client(server).models.list()}
    assert {"markov-1", "hash-embedding-1"} <= names.keys()
    assert names["markov-1"].owned_by == "openai" and names["markov-1"].object == "model" and names["markov-1"].created > 1e9
    assert client(server).models.retrieve("markov-1").id == "markov-1"
    with pytest.raises(openai.NotFoundError) as refusal:
        client(server).models.retrieve("no/such model")
    assert refusal.value.code == "model_not_found" and refusal.value.param == "model"


def test_fifty_at_a_time(server, model):
    async def ask(asking, number):
        words = []
        stream = await asking.chat.completions.create(
            model="markov-1", messages=HELLO, max_tokens=6, seed=number, stream=True, extra_body={"pause": 0.01})
        async for piece in stream:
            words.append(piece.choices[0].delta.content or "")
        whole = await asking.chat.completions.create(model="markov-1", messages=HELLO, max_tokens=6, seed=number)
        return "".join(words) == whole.choices[0].message.content

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=server.url("/v1"), api_key="none", max_retries=0, timeout=BOUND) as asking:
            return await asyncio.gather(*(ask(asking, number) for number in range(50)))

    assert asyncio.run(all_of_them()) == [True] * 50


def test_a_worker_s_refusal_is_a_bad_request(server, model):
    with pytest.raises(openai.BadRequestError) as refusal:
        client(server).chat.completions.create(model="markov-1", messages=HELLO, max_tokens=5000)
    assert refusal.value.body["message"] == "max_tokens must be from 1 to 4096" and refusal.value.code == "400"
    with pytest.raises(openai.BadRequestError):
        client(server).chat.completions.create(model="hash-embedding-1", messages=HELLO)


def test_a_stream_that_is_closed_is_cancelled(server, model):
    stream = client(server).chat.completions.create(
        model="markov-1", messages=HELLO, max_tokens=4096, stream=True, extra_body={"pause": 0.02})
    task_id = stream.response.headers["x-request-id"]
    assert next(iter(stream)).choices
    stream.close()
    model.says(f"cancelled {task_id}")
    server.until(task_id, status="cancelled")


def test_members_reach_the_worker_byte_for_byte(server, group):
    body = b'{"temperature": 0.70, "model": "%s", "messages": [ {"role":"user","content":"\\u0061"} ], "n": 1e0}' % group.encode()
    with Worker(server, group, ready={"models": [group]}, explicit=True) as worker:
        pending = server.begin("POST", "/v1/chat/completions", body)
        text = worker.receive_text()
        assert body.decode() in text
        worker.send_text('{"type":"task_complete","taskId":"%s","result":{"z": 1.50, "a": [ ]}}' % json.loads(text)["taskId"])
        assert pending.answer().body == b'{"z": 1.50, "a": [ ]}'


def test_errors_of_the_server(server, group):
    asking = client(server)
    with pytest.raises(openai.NotFoundError, match="does not exist") as refusal:
        with Worker(server, group, ready={"models": ["something"]}, explicit=True):
            asking.chat.completions.create(model="nothing-like-it", messages=HELLO)
    assert refusal.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError, match="messages must be an array") as refusal:
        asking.chat.completions.create(model="m", messages="Hello")
    assert refusal.value.param == "messages" and refusal.value.type == "invalid_request_error"
    with pytest.raises(openai.InternalServerError, match="No worker available"):
        asking.chat.completions.create(model="m", messages=HELLO, extra_headers={"X-Group": group})
    with Worker(server, group, ready={"models": [group]}, explicit=True) as worker:
        answer = on_a_thread(lambda: asking.chat.completions.create(model=group, messages=HELLO))
        worker.send("task_error", taskId=worker.take()["taskId"], error={"message": "out of memory", "code": "oom"})
        error = answer()
        assert isinstance(error, openai.InternalServerError) and error.code == "oom" and error.body["message"] == "out of memory"


def test_an_error_in_the_midst_of_a_stream_is_raised(server, group):
    with Worker(server, group, ready={"models": [group]}, explicit=True) as worker:
        stream = on_a_thread(lambda: client(server).chat.completions.create(model=group, messages=HELLO, stream=True))
        task = worker.take()["taskId"]
        worker.send("task_chunk", taskId=task, chunk={"object": "chat.completion.chunk", "choices": []})
        pieces = iter(stream())
        next(pieces)
        worker.fail(task, "out of memory")
        with pytest.raises(openai.APIError, match="out of memory"):
            next(pieces)


def test_a_full_queue_is_a_rate_limit(launch, group):
    server = launch(MAX_QUEUE_LENGTH=1)
    with Worker(server, group, ready={"models": [group]}, explicit=True):
        server.queue(group)
        server.queue(group)
        with pytest.raises(openai.RateLimitError, match="Queue is full") as refusal:
            client(server).chat.completions.create(model=group, messages=HELLO)
        assert refusal.value.response.headers["retry-after"] == "1"


def test_timeouts(brisk, group):
    with Worker(brisk, group, ready={"models": [group], "concurrency": 2}, explicit=True) as worker:
        with pytest.raises(openai.InternalServerError, match="Task timeout") as refusal:
            client(brisk).chat.completions.create(model=group, messages=HELLO)
        assert refusal.value.status_code == 504 and refusal.value.code == "timeout"
        assert worker.receive("task") and worker.receive("cancel")
        # The client's own patience: it goes away, and the worker hears of it.
        with pytest.raises(openai.APITimeoutError):
            client(brisk, timeout=0.05).chat.completions.create(model=group, messages=HELLO, extra_body={"timeout": 600})
        task, cancel = worker.receive("task"), worker.receive("cancel")
        assert task["taskId"] == cancel["taskId"]


def test_keys(launch, group):
    server = launch("--auth", "all")
    with pytest.raises(openai.AuthenticationError) as refusal:
        client(server).models.list()
    assert refusal.value.code == "invalid_api_key"
    from servers import run
    token = run("token", "--sub", "alice", "--data", server.folder.name + "/data").stdout.strip()
    assert list(client(server, api_key=token).models.list()) == []


def test_other_worker_of_the_same_model_is_taken(server, group):
    """Two groups have the model: who waits for neither is served by the one with room."""
    with Worker(server, group, ready={"models": [group]}, explicit=True) as one, \
            Worker(server, group + "-b", ready={"models": [group]}, explicit=True) as other:
        asked = [on_a_thread(lambda: client(server).completions.create(model=group, prompt="x")) for _ in range(2)]
        # Both at work before either is done: else the second may go where the first went.
        for worker, task in [(worker, worker.take()["taskId"]) for worker in (one, other)]:
            worker.complete(task, {"choices": []})
        assert [answer().choices for answer in asked] == [[], []]
        eventually(lambda: server.get("/v1/models").json["data"], "a list of models")
