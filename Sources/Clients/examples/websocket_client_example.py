#!/usr/bin/env python3
"""Watches one task over its WebSocket, from how it stands to its end: reconnects, heartbeats, every kind of message.

    pip install websockets
    python3 websocket_client_example.py --task-id TASK --token TOKEN
    python3 websocket_client_example.py --submit-test-task --token TOKEN

Exits with 0 if the task succeeded, with 1 if it did not or could not be watched. Says in this one file how the protocol is spoken;
programs of your own are shorter with the package `signalbox`.
"""
import argparse
import asyncio
import json
import os
import random
import sys
import urllib.error
import urllib.request
from datetime import datetime, timezone
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

HEARTBEAT = 30  # seconds between two pings
FINAL = {4003: "the token is not good for this task", 4004: "there is no such task, or it is somebody else's"}


class TaskWatcher:
    """One task's watcher: remembers what it has seen, so that a break loses nothing and repeats nothing."""

    def __init__(self, url, task_id, token):
        self.address = f"{url.replace('http', 'ws', 1).rstrip('/')}/api/gpu/tasks/{quote(task_id, safe='')}/ws"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.last_seq = None
        self.told = set()  # the types of the messages of the last event: an end may be told in two
        self.success = None

    async def watch(self):
        """To the end of the task; returns whether it succeeded."""
        failures = 0
        while self.success is None:
            wait = min(30, 2 ** failures * random.uniform(1, 1.5))
            address = self.address if self.last_seq is None else f"{self.address}?last_seq={self.last_seq}"
            try:
                async with connect(address, additional_headers=self.headers) as websocket:
                    beating = asyncio.create_task(self.beat(websocket))
                    try:
                        async for message in websocket:
                            failures = 0
                            self.handle(json.loads(message))
                            if self.success is not None:
                                return self.success
                    finally:
                        beating.cancel()
                problem = "the server has closed the connection"
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else None
                if code in FINAL:
                    say("error", FINAL[code])
                    return False
                problem = str(closed)
                if code == 1012:  # another process has taken over: come back at once
                    wait = 0
            except (OSError, InvalidHandshake, asyncio.TimeoutError) as error:
                problem = f"{type(error).__name__}: {error}"
            failures += 1
            say("connection", f"{problem}; trying again in {wait:.1f} s")
            await asyncio.sleep(wait)
        return self.success

    async def beat(self, websocket):
        """Says now and then that somebody is there: a silent watcher is closed after half an hour."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            try:
                await websocket.send(json.dumps({"type": "ping", "timestamp": datetime.now(timezone.utc).isoformat()}))
            except ConnectionClosed:
                return

    def is_new(self, data):
        """Whether an event was not told yet. What is no event has no number."""
        seq, kind = data.get("seq"), data.get("type")
        if seq is None or kind in ("current_status", "status_response"):
            return True
        if self.last_seq is not None and (seq < self.last_seq or seq == self.last_seq and kind in self.told):
            return False
        self.told = {*self.told, kind} if seq == self.last_seq else {kind}
        self.last_seq = seq
        return True

    def handle(self, data):
        """One message of the server."""
        if not self.is_new(data):
            return
        kind = data.get("type")
        if kind == "connection_established":
            say("connection", f"connected as {data['connection_id']}")
        elif kind == "current_status":
            if self.last_seq is None:
                self.last_seq = data.get("seq")
            say("status", f"{data['status']}, {data.get('progress', 0)} %")
        elif kind == "task_status_update":
            say("status", f"{data['status']}, {data.get('progress', 0)} %: {data.get('message', '')}")
        elif kind == "task_progress":
            steps = f" {json.dumps(data['step_info'], ensure_ascii=False)}" if data.get("step_info") else ""
            say("progress", f"{data['progress']} % {data.get('message') or ''}{steps}")
        elif kind == "task_logs":
            say("log", f"[{data.get('level')}] {data.get('source')}: {data['logs']}")
        elif kind == "task_error":
            code = f" ({data['error_code']})" if data.get("error_code") else ""
            details = f" {json.dumps(data['error_details'], ensure_ascii=False)}" if data.get("error_details") else ""
            say("error", f"{data['error_message']}{code}{details}")
        elif kind == "task_cancelled":
            say("cancelled", data.get("reason") or "")
        elif kind == "task_completed":
            self.success = bool(data["success"])
            time = f" after {data['execution_time']} s" if data.get("execution_time") is not None else ""
            cost = f", cost {data['cost_info'].get('total_cost')} {data['cost_info'].get('currency')}" if data.get("cost_info") else ""
            say("completed" if self.success else "ended", f"{'success' if self.success else 'no success'}{time}{cost}")
            if data.get("result_data") is not None:
                say("result", json.dumps(data["result_data"], ensure_ascii=False))
        elif kind == "gap":
            say("gap", f"events {data['first_seq']} to {data['last_seq']} were left out: this watcher reads too slowly")
        elif kind == "error":
            say("error", data.get("message", ""))
        elif kind not in ("heartbeat", "pong", "status_response"):
            say(str(kind), json.dumps(data, ensure_ascii=False))


def say(what, words):
    print(f"{what:>10}  {words}", flush=True)


def submit(url, token):
    """Gives a small task in; returns its id."""
    body = json.dumps({"data": {"content": "a test task", "pause": 0.2}, "type": "test", "priority": "normal"}).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url.rstrip('/')}/api/gpu/tasks", body, headers), timeout=30) as answer:
            task_id = json.load(answer)["task_id"]
    except urllib.error.HTTPError as error:
        sys.exit(f"the task was not taken in: {error.code} {error.read().decode()}")
    except OSError as error:
        sys.exit(f"the server cannot be reached: {error}")
    say("submitted", task_id)
    return task_id


def main():
    parser = argparse.ArgumentParser(description="Watches a task, as it happens.")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--task-id", help="the task to watch")
    task.add_argument("--submit-test-task", action="store_true", help="give in a task of its own, and watch that")
    parser.add_argument("--token", default=os.environ.get("SIGNALBOX_TOKEN"), help="a token (or SIGNALBOX_TOKEN)")
    parser.add_argument("--url", default=os.environ.get("SIGNALBOX_URL", "http://localhost:8000"), help="the server (or SIGNALBOX_URL)")
    arguments = parser.parse_args()
    task_id = submit(arguments.url, arguments.token) if arguments.submit_test_task else arguments.task_id
    try:
        return 0 if asyncio.run(TaskWatcher(arguments.url, task_id, arguments.token).watch()) else 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
