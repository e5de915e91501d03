#!/usr/bin/env python3
"""A worker by the package `signalbox`: puts `data.content` into capitals, word by word, with a `pause` (seconds) after each.

    pip install ./Sources/Clients/python
    python3 worker_example.py [URL] [GROUP]
"""
import asyncio
import logging
import os
import sys

from signalbox import TaskError, Worker

URL, GROUP = (sys.argv[1:] + [None, None])[:2]
worker = Worker(URL, GROUP or os.environ.get("WORKER_GROUP", "default"), concurrency=4)


@worker.handle
async def capitals(task):
    if "content" not in task.data:
        raise TaskError("data.content is missing", code="MISSING_CONTENT")
    words = task.data["content"].split(" ")
    for number, word in enumerate(words):
        task.progress(100 * number / len(words), f"at {word}", total_steps=len(words), completed_steps=number)
        words[number] = word.upper()
        await asyncio.sleep(task.data.get("pause", 0))  # Here it is cancelled, once nobody wants the task any more.
    task.log(f"{len(words)} words")
    return {"success": True, "data": " ".join(words)}


logging.basicConfig(level=logging.INFO, format="%(message)s")
worker.run()  # Until SIGTERM or SIGINT: what it has in hand it finishes.
print("good-bye")
