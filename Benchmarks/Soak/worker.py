"""A worker of the soak: several tasks at a time, each done as its payload says, over a connection that breaks. It comes back under its
name, says what it has in hand, delivers what it owes, and now and then what it should not: a result of an assignment that is over.

What it saw is in its journal: `T task lease number` for an assignment that reached it, `A task lease state` for an end that was confirmed,
`R task lease` for a word of it that was refused.
"""
import argparse
import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path

import processes
from wire import Gone, WebSocket

# Of the results that come too late anyway, how many are told.
LATE_SHARE = 0.5
# A lie is told more than once: a connection may break before anybody hears it.
LIE_TIMES = 3


class Hand:
    """A task in hand."""

    def __init__(self, lease):
        self.lease, self.work, self.last_word, self.state = lease, None, None, None


class Worker:
    def __init__(self, options):
        self.options, self.random = options, random.Random(options.seed)
        self.journal = processes.Journal(options.journal)
        self.name, self.socket = None, None
        self.hands, self.late = {}, {}
        self.taken, self.lies = 0, list(options.lies) * LIE_TIMES
        self.is_draining = False

    async def run(self):
        while True:
            try:
                await self.session()
            except Gone:
                pass
            self.socket = None
            await asyncio.sleep(0.05 + self.random.random() * 0.3)

    async def session(self):
        path = f"/ws?group={self.options.group}&ready=explicit" + (f"&worker_id={self.name}" if self.name else "")
        socket = await WebSocket.open(self.random.choice(self.options.ports), path)
        try:
            welcome = await socket.hear(15)
            assert welcome["type"] == "connected", welcome
            if welcome["workerId"] != self.name:
                self.disown()
            self.name, self.socket, self.is_draining = welcome["workerId"], socket, False
            socket.say(type="ready", concurrency=self.options.concurrency, tasks=list(self.hands))
            for task_id, hand in list(self.hands.items()) + list(self.late.items()):
                if hand.last_word:
                    socket.send(hand.last_word)
            self.late = {task_id: hand for task_id, hand in self.late.items() if not hand.last_word}
            while True:
                self.hear(await socket.hear())
        except Gone:
            socket.reset()
            raise

    def disown(self):
        """What it had in hand is somebody else's now."""
        for task_id, hand in self.hands.items():
            if self.random.random() < LATE_SHARE:
                self.late[task_id] = hand
            elif hand.work:
                hand.work.cancel()
        self.hands = {}

    def hear(self, message):
        task_id = message.get("taskId")
        match message["type"]:
            case "task":
                self.take(task_id, message["lease"], message["payload"]["data"])
            case "task_ack":
                if hand := self.hands.pop(task_id, None):
                    self.journal.write("A", task_id, hand.lease, hand.state)
            case "cancel":
                hand = self.hands.pop(task_id, None)
                if hand and hand.work:
                    hand.work.cancel()
                # Some say nothing, and keep their room occupied for a while.
                if hand and self.random.random() < 0.8:
                    self.say(type="task_error", taskId=task_id, lease=hand.lease, error="given up")
            case "error":
                if hand := self.hands.pop(task_id, None):
                    self.journal.write("R", task_id, hand.lease)
                    if hand.work:
                        hand.work.cancel()
            case "drain":
                self.is_draining = False
                self.say(type="ready", concurrency=self.options.concurrency)
            case "pong":
                pass
            case unknown:
                raise AssertionError(unknown)

    def take(self, task_id, lease, data):
        self.taken += 1
        if self.tells("old-lease"):
            self.journal.write("T", task_id, lease, data["n"])
        self.journal.write("T", task_id, lease, data["n"])
        hand = self.hands[task_id] = Hand(lease)
        hand.work = asyncio.ensure_future(self.work(task_id, hand, data))
        if self.taken % 200 == 0:
            self.say(type="drain")
        elif self.taken % 20 == 0:
            self.say(type="worker_status", load=self.random.random(), gpus=[{
                "id": 0, "name": "soak", "usage_percent": self.random.randrange(70), "memory_usage_percent": 10.5, "temperature": 45}])

    async def work(self, task_id, hand, data):
        number, plan = data["n"], data["plan"]
        about = {"taskId": task_id, "lease": hand.lease}
        for step in range(plan["steps"]):
            await asyncio.sleep(plan["pause"])
            self.say(type="task_progress", progress=100 * (step + 1) / plan["steps"], message=f"step {step}", **about)
            if step < plan["logs"]:
                self.say(type="task_logs", logs=f"line {step} of {number}", level="INFO", **about)
            if step < plan["chunks"]:
                self.say(type="task_chunk", chunk={"step": step}, **about)
        await asyncio.sleep(plan["pause"])
        end = plan["end"]
        if end == "never":
            return
        if end == "exit":
            os._exit(9)
        if end == "once":
            # The first who tries fails; who tries after him does not.
            try:
                os.close(os.open(Path(self.options.journal).parent / f"once-{number}", os.O_CREAT | os.O_EXCL))
                end = "error"
            except FileExistsError:
                end = "done"
        if end == "error":
            hand.state = "failed"
            word = {"type": "task_error", "error": f"Planned error {number}", "error_code": "PLANNED"} | about
        else:
            right = processes.digest(self.options.secret, number, data.get("text", ""))
            if plan["promised"] and self.tells("wrong-result"):
                right = "wrong" + right[5:]
            result = {"n": number, "digest": right, "lease": hand.lease, "by": self.name, "pad": "x" * plan["size"]}
            hand.state = "completed"
            word = {"type": "task_complete", "result": result, "duration": 1} | about
            if plan["promised"] and not right.startswith("wrong") and self.tells("lost-result"):
                # It believes that the server has it; the server was never told.
                self.journal.write("A", task_id, hand.lease, "completed")
                return
        hand.last_word = json.dumps(word)
        if self.socket:
            self.say_text(hand.last_word)

    def tells(self, lie):
        """Whether this lie is told now."""
        if lie not in self.lies or self.taken < 3:
            return False
        self.lies.remove(lie)
        return True

    def say(self, **members):
        self.say_text(json.dumps(members))

    def say_text(self, text):
        if self.socket:
            try:
                self.socket.send(text)
            except Gone:
                pass


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("--lies", nargs="*", default=[])
    return parser.parse_args()


if __name__ == "__main__":
    processes.end_with_parent()
    try:
        asyncio.run(Worker(options()).run())
    except KeyboardInterrupt:
        sys.exit(0)
