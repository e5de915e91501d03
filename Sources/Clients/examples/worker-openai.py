#!/usr/bin/env python3
"""A Signalbox worker that OpenAI's clients can talk to: a model small enough to read, and as real as a Markov chain is.

    pip install websocket-client
    python3 worker-openai.py [URL] [GROUP]      (or SIGNALBOX_URL and WORKER_GROUP in the environment)

It declares two models: `markov-1`, which goes on with the last words that it is given as its text would, piece by piece, and
`hash-embedding-1`, which gives texts with the same words similar vectors. To make it your own, write another `continue_text` and `embed`.
"""
import contextlib
import hashlib
import json
import math
import os
import random
import re
import sys
import threading
import time
from urllib.parse import urlencode

import websocket

URL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SIGNALBOX_URL", "ws://localhost:8000/ws")
GROUP = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("WORKER_GROUP", "default")
HEARTBEAT = 20  # seconds of silence after which the worker asks whether the server is still there
CONCURRENCY = 64
DIMENSIONS = 64
CHAT, EMBEDDING = "markov-1", "hash-embedding-1"

# What the model knows of the world.
TEXT = """
The signal box stands where the lines meet. The signal is red until the line is clear, and the train waits until the signal is green.
The signalman pulls the lever, the lever moves the points, and the points lead the train to its line. When the train has passed, the
signalman sets the signal to red again and tells the next box that the train is on its way. The next box answers, and the line is clear.
Every train has a number, every line has a name, and every lever has its place. A train that waits is not lost: the signalman knows where
it stands and how long it has waited. In the night the lamps are lit and the box is warm. The bell rings once for a question and twice for
an answer. When the bell rings three times the line is closed, the signal is red and the train goes back to the last station.
"""


class Wrong(Exception):
    """The request cannot be served as it is: the client's mistake, and no retry will help."""


def words_of(text):
    return re.findall(r"\w+|[^\w\s]", text)


def train(text):
    """Which words follow which, as often as they do."""
    words, chain = words_of(text), {}
    for one, other in zip(words, words[1:]):
        chain.setdefault(one.lower(), []).append(other)
    return chain


CHAIN = train(TEXT)


def continue_text(prompt, temperature, seed):
    """Yields words that may follow the prompt. Without temperature it is always the commonest."""
    chance = random.Random(seed)
    known = [word.lower() for word in words_of(prompt) if word.lower() in CHAIN]
    word = known[-1] if known else "the"
    while True:
        followers = CHAIN.get(word, ["the"])
        following = chance.choice(followers) if temperature > 0 else max(sorted(set(followers)), key=followers.count)
        yield following
        word = following.lower()


def embed(text):
    """A vector of length one: each word adds itself at a place, and with a sign, that its hash names."""
    vector = [0.0] * DIMENSIONS
    for word in words_of(text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % DIMENSIONS] += 1 if digest[1] % 2 else -1
    length = math.sqrt(sum(part * part for part in vector)) or 1.0
    return [part / length for part in vector]


def text_of(content):
    """The text of a message, which is a text or a list of parts."""
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def complete(task_id, endpoint, request, chunk, cancelled):
    """One completion, or one chat's; returns the response's body."""
    if endpoint == "/v1/chat/completions":
        prompt = " ".join(text_of(message.get("content")) for message in request["messages"])
        name, whole, piece = "chatcmpl", "chat.completion", "chat.completion.chunk"
    else:
        prompt = request["prompt"] if isinstance(request["prompt"], str) else " ".join(map(str, request["prompt"]))
        name, whole, piece = "cmpl", "text_completion", "text_completion"
    count = request.get("max_completion_tokens") or request.get("max_tokens") or 16
    if not 1 <= count <= 4096:
        raise Wrong("max_tokens must be from 1 to 4096")
    head = {"id": f"{name}-{task_id}", "created": int(time.time()), "model": request["model"]}

    def answer(kind, text, reason, first=False, **more):
        if kind == "chat.completion":
            choice = {"message": {"role": "assistant", "content": text}}
        elif kind == "chat.completion.chunk":
            choice = {"delta": ({"role": "assistant"} if first else {}) | ({"content": text} if text else {})}
        else:
            choice = {"text": text}
        return head | {"object": kind, "choices": [{"index": 0, **choice, "finish_reason": reason, "logprobs": None}]} | more

    text, following = "", continue_text(prompt, request.get("temperature", 1), request.get("seed"))
    for number in range(count):
        if cancelled.wait(float(request.get("pause", 0))):
            raise Wrong("cancelled")
        word = next(following)
        space = "" if number == 0 or re.fullmatch(r"[^\w\s]", word) else " "
        text += space + word
        if request.get("stream"):
            chunk(answer(piece, space + word, None, first=number == 0))
    tokens = len(words_of(prompt))
    usage = {"prompt_tokens": tokens, "completion_tokens": count, "total_tokens": tokens + count}
    if request.get("stream"):
        chunk(answer(piece, "", "length"))
        if (request.get("stream_options") or {}).get("include_usage"):
            chunk(head | {"object": piece, "choices": [], "usage": usage})
    return answer(whole, text, "length", usage=usage)


def embeddings(request):
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    if not all(isinstance(text, str) for text in inputs):
        raise Wrong("input must be a text or a list of texts")
    if request.get("encoding_format") == "base64":
        import base64
        import struct
        def form(vector): return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    else:
        def form(vector): return vector
    data = [{"object": "embedding", "index": index, "embedding": form(embed(text))} for index, text in enumerate(inputs)]
    tokens = sum(len(words_of(text)) for text in inputs)
    return {"object": "list", "model": request["model"], "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def work(send, task_id, lease, payload, running):
    """Does one task, on a thread of its own, so that the connection stays awake meanwhile."""
    try:
        request, endpoint = payload["request"], payload["endpoint"]
        if (endpoint == "/v1/embeddings") != (request["model"] == EMBEDDING):
            raise Wrong(f"{request['model']} does not serve {endpoint}")
        if endpoint == "/v1/embeddings":
            result = embeddings(request)
        else:
            def chunk(piece): send(type="task_chunk", taskId=task_id, lease=lease, chunk=piece)
            result = complete(task_id, endpoint, request, chunk, running[task_id])
        answer = {"type": "task_complete", "result": result}
    except Wrong as mistake:
        answer = {"type": "task_error", "error": str(mistake), "error_code": 400, "error_type": "invalid_request_error"}
    except Exception as error:
        answer = {"type": "task_error", "error": f"{type(error).__name__}: {error}"}
    del running[task_id]
    send(**answer, taskId=task_id, lease=lease)


def receive(ws):
    """The next message. A server that is silent gets a ping, and once more the same time."""
    for attempt in (1, 2):
        try:
            return json.loads(ws.recv() or '{"type": "closed"}')
        except websocket.WebSocketTimeoutException:
            ws.send(json.dumps({"type": "ping"}))
    raise ConnectionError("the server is silent")


def serve(ws, running):
    """Listens to the server until the connection ends."""
    def send(**message):
        try: ws.send(json.dumps(message))
        except (OSError, websocket.WebSocketException): pass  # who listens hears of it too

    while (message := receive(ws))["type"] != "closed":
        task_id = message.get("taskId")
        if message["type"] == "connected":
            send(type="ready", concurrency=CONCURRENCY, models=[CHAT, EMBEDDING])
            print(f"connected as {message['workerId']}", flush=True)
        elif message["type"] == "task":
            running[task_id] = threading.Event()
            threading.Thread(target=work, args=(send, task_id, message.get("lease"), message["payload"], running), daemon=True).start()
        elif message["type"] == "cancel" and task_id in running:
            print(f"cancelled {task_id}", flush=True)
            running[task_id].set()


def main():
    wait = 1
    while True:
        running = {}  # the tasks in hand, each with the event that says it is cancelled
        try:
            ws = websocket.create_connection(
                f"{URL}{'&' if '?' in URL else '?'}{urlencode({'group': GROUP, 'ready': 'explicit'})}", timeout=HEARTBEAT)
            wait = 1
            with contextlib.closing(ws):
                serve(ws, running)
            print(f"the connection is closed; trying again in {wait} s", flush=True)
        except (OSError, websocket.WebSocketException) as error:
            print(f"{error}; trying again in {wait} s", flush=True)
        for cancelled in list(running.values()):
            cancelled.set()  # nobody is there any more to hear of these
        time.sleep(wait)
        wait = min(2 * wait, 30)


try:
    main()
except KeyboardInterrupt:
    print("good-bye")
