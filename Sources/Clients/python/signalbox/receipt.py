"""Receipt: what a report gives back. Whoever wants to know what became of the report awaits it; whoever does not, leaves it.

The report is on its way in either case. Works under every asyncio event loop, and without one.
"""
from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from typing import Callable, Generator, Optional


class NotificationError(Exception):
    """A report was refused, or could not be delivered. Raised only where `strict` is set."""


class Receipt:
    """Awaitable: true when the server has taken the report, false when it was refused, lost or not answered in time."""

    __slots__ = ("_patience", "_problem", "_strict")

    def __init__(self, patience: Callable[[], float], strict: bool) -> None:
        self._patience = patience
        self._strict = strict
        # What was wrong; None where all is well.
        self._problem: concurrent.futures.Future[Optional[str]] = concurrent.futures.Future()

    def __await__(self) -> Generator[None, None, bool]:
        return self._told().__await__()

    async def _told(self) -> bool:
        await self.settled()
        return self.verdict()

    async def settled(self, timeout: Optional[float] = None) -> bool:
        """Waits until it is known what became of the report, and no longer than the service's `timeout` or the one given (seconds).
        Returns whether it is known. Raises nothing."""
        limit = self._patience() if timeout is None else timeout
        if not self._problem.done() and limit > 0:
            loop = asyncio.get_running_loop()
            told = loop.create_future()

            def wake() -> None:
                if not told.done():
                    told.set_result(None)

            def tell(_: object) -> None:
                with contextlib.suppress(RuntimeError):  # The loop has been closed: nobody waits any more.
                    loop.call_soon_threadsafe(wake)

            self._problem.add_done_callback(tell)
            await asyncio.wait([told], timeout=limit)
        return self._problem.done()

    def wait(self, timeout: Optional[float] = None) -> bool:
        """The same as awaiting it, for programs without an event loop: blocks the thread, for at most `timeout` seconds."""
        self.settled_here(self._patience() if timeout is None else timeout)
        return self.verdict()

    def settled_here(self, timeout: float) -> bool:
        """The same as `settled`, blocking the thread."""
        concurrent.futures.wait([self._problem], max(timeout, 0))
        return self._problem.done()

    def verdict(self) -> bool:
        """Whether the report is known to have been taken.

        :raises NotificationError: where `strict` is set and it is not.
        """
        problem = self._problem.result() if self._problem.done() else "no answer in time; the report still waits to be sent"
        if problem is not None and self._strict:
            raise NotificationError(problem)
        return problem is None

    def settle(self, problem: Optional[str]) -> None:
        """For the sender: says what became of the report. What is said later changes nothing."""
        if not self._problem.done():
            self._problem.set_result(problem)
