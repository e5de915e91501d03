"""TaskNotificationService: the reports that a program makes of its tasks, one method each, and the service that all of a program shares.

Makes events and gives them to the sender; decides nothing about the tasks: what a task may become next is the server's to say.
"""
from __future__ import annotations

import collections
import math
import os
import time
from typing import Any, Mapping, Optional, Union

from .address import URL, Token
from .connection import Target
from .receipt import Receipt
from .sender import ENDS, Event, Sender
from .values import clipped, encode, plain

# What a server takes, in bytes of UTF-8; longer texts are cut.
WORDS_BYTES_MAX = 4 << 10
LOG_BYTES_MAX = 64 << 10
NAME_BYTES_MAX = 200

STARTED_MAX = 10_000  # Tasks of which is remembered that this program has started them.


class TaskNotificationService:
    """Reports tasks to one server.

    Each report is on its way as soon as its method was called, in the order of the calls, and gives back a :class:`Receipt`: awaiting it
    (or ``wait()`` on it, without an event loop) waits for the server's word and says whether it took the report.

    :param url: the server, as ``http://127.0.0.1:8000`` (else SIGNALBOX_URL, else that address).
    :param token: a token of role ``publisher``, or something that gives one when called (else SIGNALBOX_TOKEN, else none).
    :param strict: whether a report that is awaited and was not taken raises :class:`NotificationError`; else it is logged only.
    :param timeout: seconds that awaiting a report may take. Once the server has been away for so long, nobody waits any more.
    :param queue_max: reports that may wait while the server is away. Beyond it the oldest progress and logs are dropped, then new tasks
        are refused; ends of tasks have as much room again.
    """

    def __init__(
        self, url: Optional[str] = None, token: Token = None, *, strict: bool = False, timeout: float = 5.0, queue_max: int = 10_000
    ) -> None:
        self._url: Optional[str] = None
        self._token: Token = None
        self._strict, self._timeout = strict, timeout
        self._started: collections.OrderedDict[str, None] = collections.OrderedDict()
        self.configure(url=url, token=token)
        self._sender = Sender(
            lambda: self._url or os.environ.get("SIGNALBOX_URL") or URL, lambda: self._token or os.environ.get("SIGNALBOX_TOKEN"),
            queue_max)

    def configure(
        self, *, url: Optional[str] = None, token: Token = None, strict: Optional[bool] = None, timeout: Optional[float] = None
    ) -> None:
        """Changes what is given, and leaves the rest as it is.

        :raises ValueError: when the address is none.
        """
        if url is not None:
            Target(url)
            self._url = url
        if token is not None:
            self._token = token
        if strict is not None:
            self._strict = strict
        if timeout is not None:
            self._timeout = timeout

    # MARK: Reports

    def register_task(
        self, task_id: Union[str, int], user_id: Union[str, int], task_type: Optional[str] = None,
        project_id: Union[str, int, None] = None, metadata: Optional[Mapping[str, Any]] = None,
    ) -> Receipt:
        """Makes a task known. Need not be awaited: what is reported of the task afterwards comes after it."""
        return self._report(
            "register", task_id, user_id=_identifier(user_id), project_id=_identifier(project_id),
            task_type=_clip(task_type, NAME_BYTES_MAX), metadata=_object(metadata))

    def notify_started(self, task_id: Union[str, int]) -> Receipt:
        """The task has begun."""
        return self._report("started", task_id)

    def notify_progress(
        self, task_id: Union[str, int], progress: Optional[float] = None, message: Optional[str] = None, step: Optional[str] = None,
        current_step: Union[str, int, None] = None, total_steps: Optional[int] = None, completed_steps: Optional[int] = None,
        step_info: Optional[Mapping[str, Any]] = None,
    ) -> Receipt:
        """How far the task is.

        :param progress: 0 to 100.
        """
        return self._report(
            "progress", task_id, progress=_figure(progress), message=_clip(message, WORDS_BYTES_MAX),
            step=_clip(step, WORDS_BYTES_MAX), current_step=_clip(current_step, WORDS_BYTES_MAX), total_steps=_count(total_steps),
            completed_steps=_count(completed_steps), step_info=_object(step_info))

    def notify_log(self, task_id: Union[str, int], logs: str, level: Optional[str] = None, source: Optional[str] = None) -> Receipt:
        """Lines that the task wrote."""
        return self._report(
            "log", task_id, logs=clipped(logs, LOG_BYTES_MAX), level=_clip(level, NAME_BYTES_MAX), source=_clip(source, NAME_BYTES_MAX))

    def notify_completed(self, task_id: Union[str, int], result: Any = None) -> Receipt:
        """The task is done. What of the result JSON does not have goes as `values.plain` says."""
        return self._report("completed", task_id, result=result)

    def notify_failed(
        self, task_id: Union[str, int], error: Any = None, error_type: Optional[str] = None, error_code: Union[str, int, None] = None,
        error_details: Any = None,
    ) -> Receipt:
        """The task has failed.

        :param error: words, an exception (whose class is the `error_type` where none is given), or any value.
        """
        if isinstance(error, BaseException):
            error_type = error_type or type(error).__name__
            error = clipped(error, LOG_BYTES_MAX) or type(error).__name__
        return self._report(
            "failed", task_id, error=error, error_type=_clip(error_type, NAME_BYTES_MAX), error_code=_clip(error_code, NAME_BYTES_MAX),
            error_details=error_details)

    def notify_cancelled(self, task_id: Union[str, int], reason: Optional[str] = None) -> Receipt:
        """The task was given up."""
        return self._report("cancelled", task_id, reason=_clip(reason, WORDS_BYTES_MAX))

    def _report(self, kind: str, task_id: Union[str, int], **members: Any) -> Receipt:
        task = str(task_id)
        receipt = Receipt(self._patience, self._strict)
        if kind == "started":
            self._started[task] = None
            if len(self._started) > STARTED_MAX:
                self._started.popitem(last=False)
        elif kind in ENDS:
            self._started.pop(task, None)
        body = encode({"event": kind, "task_id": task, **{name: value for name, value in members.items() if value is not None}})
        self._sender.put(Event(kind, task, body, receipt))
        return receipt

    def has_started(self, task_id: Union[str, int]) -> bool:
        """Whether this program reported here that the task has begun, and not yet that it has ended."""
        return str(task_id) in self._started

    def _patience(self) -> float:
        """Seconds that somebody may still wait for an answer."""
        away = self._sender.away_since
        return self._timeout if away is None else max(0.0, self._timeout - (time.monotonic() - away))

    # MARK: The end

    async def flush(self, timeout: float = 10.0) -> bool:
        """Waits until nothing waits to be sent, for at most so many seconds; returns whether that came true."""
        end = time.monotonic() + timeout
        for receipt in self._sender.receipts():
            if not await receipt.settled(max(end - time.monotonic(), 0)):
                return False
        return True

    def wait_until_sent(self, timeout: float = 10.0) -> bool:
        """The same for programs without an event loop: blocks the thread."""
        end = time.monotonic() + timeout
        return all(receipt.settled_here(end - time.monotonic()) for receipt in self._sender.receipts())

    async def close(self, timeout: float = 10.0) -> bool:
        """Waits as `flush` does, then gives up the connection and what could not be sent. A later report opens it again."""
        is_flushed = await self.flush(timeout)
        return self._sender.abandon() == 0 and is_flushed


def _clip(value: Any, bytes_max: int) -> Optional[str]:
    return None if value is None else clipped(value, bytes_max)


def _identifier(value: Any) -> Union[str, int, None]:
    """A text or a whole number, as the server wants the names of users and projects."""
    return value if value is None or isinstance(value, (str, int)) and not isinstance(value, bool) else str(value)


def _object(value: Optional[Mapping[str, Any]]) -> Optional[Any]:
    """An object stays one; what is none goes as a member of one, since the server takes nothing else here."""
    if value is None:
        return None
    value = plain(value)
    return value if isinstance(value, dict) else {"value": value}


def _figure(value: Any) -> Optional[float]:
    """A number of any kind; what is none, as NaN, is left out."""
    try:
        figure = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return (int(figure) if figure == int(figure) else figure) if math.isfinite(figure) else None


def _count(value: Any) -> Optional[int]:
    figure = _figure(value)
    return None if figure is None else max(int(figure), 0)


#: The service that `task_notifier` and `TaskProgressContext` use where they are given none.
task_notification_service = TaskNotificationService()

#: Sets the server, the token and the manners of that service.
configure = task_notification_service.configure
