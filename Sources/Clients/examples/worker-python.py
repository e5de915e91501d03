#!/usr/bin/env python3
"""A Signalbox worker in Python: takes the tasks of a group, works on them, answers.

    pip install websocket-client
    python3 worker-python.py [URL] [GROUP]      (or SIGNALBOX_URL and WORKER_GROUP in the environment)

To make it your own, write another `process_task`.
"""
import contextlib
import json
import os
import sys
import threading
import time
from urllib.parse import urlencode

import websocket

URL = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SIGNALBOX_URL", "ws://localhost:8000/ws")
GROUP = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("WORKER_GROUP", "default")
HEARTBEAT = 20  # seconds of silence after which the worker asks whether the server is still there


def process_task(payload, report, cancelled):
    """The work itself: here it puts `data.content` into capitals, word by word, with a `pause` (seconds) after each.
    Returns the result or raises what went wrong. `report(percent, message)` says how far it is; `cancelled` is an Event."""
    data = payload.get("data") or {}
    if "content" not in data:
        raise ValueError("data.content is missing")
    words = data["content"].split(" ")
    for number, word in enumerate(words):
        report(100 * number // len(words), f"at {word}")
        words[number] = word.upper()
        if cancelled.wait(data.get("pause", 0)):
            raise RuntimeError("cancelled")
    return {"success": True, "data": " ".join(words)}


def work(send, task_id, lease, payload, running):
    """Does one task, on a thread of its own, so that the connection stays awake meanwhile.
    `lease` says which assignment of the task this is: words about one that is over are refused."""
    began = time.monotonic()
    try:
        def report(percent, text): send(type="task_progress", taskId=task_id, lease=lease, progress=percent, message=text)
        answer = {"type": "task_complete", "result": process_task(payload, report, running[task_id])}
    except Exception as error:
        answer = {"type": "task_error", "error": str(error)}
    del running[task_id]
    send(**answer, taskId=task_id, lease=lease, duration=round(1000 * (time.monotonic() - began)))


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
            print(f"connected as {message['workerId']}", flush=True)
            send(type="ready")
        elif message["type"] == "task":
            print(f"working on {task_id}", flush=True)
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
            ws = websocket.create_connection(f"{URL}{'&' if '?' in URL else '?'}{urlencode({'group': GROUP})}", timeout=HEARTBEAT)
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
