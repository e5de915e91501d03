"""Crews: the Python package's workers and watchers at work beside a test, each on a thread and an event loop of its own. No test."""
import asyncio
import threading

from producers import PACKAGE  # noqa: F401 (where the package lies)
from servers import BOUND, eventually

BRISK = (0.05, 0.4)  # pauses before a reconnect, in seconds


class Beside:
    """A coroutine that runs beside the test. What it raises, the end of the block raises too."""

    def __init__(self, work):
        self.problem, self.result, self.loop = None, None, None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        async def main():
            self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
            self.result = await self._work()

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.problem = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is None and self.problem is not None:
            raise self.problem

    @property
    def has_ended(self):
        return not self._thread.is_alive()

    def stop(self):
        if self.loop is not None and not self.has_ended:
            try:
                self.loop.call_soon_threadsafe(self.task.cancel)
            except RuntimeError:
                pass  # It has just ended by itself.
        self.join()

    def join(self):
        self._thread.join(BOUND)
        assert self.has_ended, "it goes on and on"


class Working(Beside):
    """A worker at work, from when the server knows it until it has left, at the end of the block."""

    def __init__(self, worker):
        super().__init__(worker.serve)
        self.worker = worker

    def __enter__(self):
        super().__enter__()
        eventually(lambda: self.worker.id or self.has_ended, "the worker's connection")
        return self.worker

    def stop(self):
        self.worker.drain()
        self.join()


class Listening(Beside):
    """Somebody who collects events until there are no more."""

    def __init__(self, events):
        super().__init__(self._collect)
        self._events, self.seen = events, []

    async def _collect(self):
        async for event in self._events:
            self.seen.append(event)

    def until(self, matches, what="an event"):
        """The first event that matches, waited for."""
        return eventually(lambda: next((event for event in list(self.seen) if matches(event)), None)
                          or (self.has_ended and self.stop() and None), what)

    def of(self, task_id):
        return [event for event in list(self.seen) if event.task_id == task_id]
