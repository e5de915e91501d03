"""Assignment: one task in a worker's hands, as its handler sees it: what is to be done, whom to tell, and whether anybody still wants it.

Knows no socket: what it has to tell goes to whoever made it (worker.py). Every method may be called from every thread.
"""
from __future__ import annotations

import asyncio
import threading
import time
from typing import Any, Callable, Dict, List, Mapping, Optional, Union

from .values import clipped, encode, plain

# What a server takes, in bytes of UTF-8; longer texts are cut.
WORDS_BYTES_MAX = 4 << 10
LOG_BYTES_MAX = 64 << 10

Message = Dict[str, Any]


class TaskCancelled(Exception):
    """Nobody wants the task any more: it was cancelled, its time is up, or another worker has it."""


class TaskError(Exception):
    """A failure with more to say of it than words.

    :param code: goes to those who watch as `error_code`.
    :param details: anything JSON can hold, as `error_details`.
    """

    def __init__(self, error: Any, *, code: Optional[str] = None, details: Any = None) -> None:
        super().__init__(error)
        self.error, self.code, self.details = error, code, details


class Assignment:
    """A task, given to this worker."""

    def __init__(self, message: Mapping[str, Any], tell: Callable[[Assignment, Message], None]) -> None:
        #: The task's name.
        self.id: str = message["taskId"]
        #: Which assignment of the task this is; it grows with every one.
        self.lease: Optional[int] = message.get("lease")
        payload = message.get("payload")
        #: All that was given in: `model`, `messages`, `data`, and for an OpenAI request its whole body as `request`.
        self.payload: Dict[str, Any] = payload if isinstance(payload, dict) else {}
        #: What the work cost, as ``{"total_cost": 0.02, "currency": "USD"}``, where the handler knows it.
        self.cost_info: Optional[Mapping[str, Any]] = None
        self._tell = tell
        self._began = time.monotonic()
        self._is_cancelled = threading.Event()
        # The worker's own: the handler, where it is a coroutine; the last word, once it is said, and as it goes over the wire; which of the
        # worker's connections it came by.
        self.running: Optional[asyncio.Task[None]] = None
        self.outcome: Optional[Message] = None
        self.text = b""
        self.visit = 0

    @property
    def data(self) -> Dict[str, Any]:
        """What the task is about."""
        data = self.payload.get("data")
        return data if isinstance(data, dict) else {}

    @property
    def messages(self) -> List[Any]:
        """The same in OpenAI's form."""
        messages = self.payload.get("messages")
        return messages if isinstance(messages, list) else []

    @property
    def model(self) -> str:
        return str(self.payload.get("model") or "default")

    # MARK: On the way

    def progress(
        self, percent: Optional[float] = None, message: Optional[str] = None, *, step: Optional[str] = None,
        current_step: Union[str, int, None] = None, total_steps: Optional[int] = None, completed_steps: Optional[int] = None,
        step_info: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """How far the work is. Where progress comes faster than it can be sent, the newest takes the place of the one before.

        :param percent: 0 to 100.
        """
        self._say(
            "task_progress", progress=percent, message=_clip(message), step=_clip(step), current_step=_clip(current_step),
            total_steps=total_steps, completed_steps=completed_steps, step_info=step_info)

    def log(self, logs: str, level: Optional[str] = None, source: Optional[str] = None) -> None:
        """Lines that the work wrote."""
        self._say("task_logs", logs=clipped(logs, LOG_BYTES_MAX), level=level, source=source)

    def chunk(self, piece: Any) -> None:
        """A piece of the result, for a client that asked for a stream: for OpenAI's, a `chat.completion.chunk` object."""
        self._tell(self, {"type": "task_chunk", "chunk": piece})

    def _say(self, kind: str, **members: Any) -> None:
        self._tell(self, {"type": kind, **{name: value for name, value in members.items() if value is not None}})

    # MARK: Cancellation

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants the task any more. A coroutine is cancelled by asyncio; a plain function has to look from time to time."""
        return self._is_cancelled.is_set()

    def raise_if_cancelled(self) -> None:
        """
        :raises TaskCancelled: when nobody wants the task any more.
        """
        if self.is_cancelled:
            raise TaskCancelled

    def sleep(self, seconds: float) -> None:
        """Waits, in a plain function.

        :raises TaskCancelled: as soon as nobody wants the task any more.
        """
        if self._is_cancelled.wait(seconds):
            raise TaskCancelled

    # MARK: For the worker

    def cancel(self) -> None:
        """Nobody wants it any more. To be called on the worker's event loop."""
        self._is_cancelled.set()
        if self.running is not None:
            self.running.cancel()

    def completed(self, result: Any) -> Message:
        return self._last_word("task_complete", result=plain(result))

    def failed(self, error: BaseException) -> Message:
        if self.is_cancelled and isinstance(error, (TaskCancelled, asyncio.CancelledError)):
            return self._last_word("task_error", error="cancelled")
        if isinstance(error, TaskError):
            known = {"error_code": error.code, "error_details": plain(error.details), "error_type": "TaskError"}
            given = {name: value for name, value in known.items() if value is not None}
            return self._last_word("task_error", error=plain(error.error), **given)
        words = clipped(error, LOG_BYTES_MAX) or type(error).__name__
        return self._last_word("task_error", error=words, error_type=type(error).__name__)

    def end(self, outcome: Message, bytes_max: int) -> None:
        """The last word is said. Where the server does not take one so long, it is that: else the task would be running for ever."""
        self.outcome, self.text = outcome, self.message(outcome)
        if len(self.text) > bytes_max:
            words = f"The result is too long: {len(self.text)} bytes"
            self.outcome = self._last_word("task_error", error=words, error_type="ResultTooLong")
            self.text = self.message(self.outcome)

    def _last_word(self, kind: str, **members: Any) -> Message:
        cost = {} if self.cost_info is None else {"cost_info": plain(self.cost_info)}
        return {"type": kind, **members, "duration": round(1000 * (time.monotonic() - self._began)), **cost}

    def message(self, members: Message) -> bytes:
        """Something to tell, as it goes over the wire."""
        named = {"type": members["type"], "taskId": self.id} if self.lease is None else {
            "type": members["type"], "taskId": self.id, "lease": self.lease}
        return encode({**named, **members})


def _clip(value: Any) -> Optional[str]:
    return None if value is None else clipped(value, WORDS_BYTES_MAX)
