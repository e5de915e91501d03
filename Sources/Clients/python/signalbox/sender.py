"""Sender: events in their order to the server, from a thread of its own.

Not the place where events are made (service.py), and no HTTP (connection.py). What waits is sent as one batch, so a busy program costs few
requests; a lone event goes at once. While the server is away everything waits, within limits; of what must go, progress and logs go
first, the end of a task last.
"""
from __future__ import annotations

import atexit
import collections
import http.client
import itertools
import json
import logging
import os
import random
import threading
import time
import weakref
from typing import Any, Callable, Dict, List, Optional, Tuple

from .address import Token
from .connection import Connection, Later, Refused
from .receipt import Receipt
from .values import encode

log = logging.getLogger("signalbox")

BATCH_EVENTS_MAX = 500
BATCH_BYTES_MAX = 1 << 20
EVENT_BYTES_MAX = 15 << 20  # A server takes bodies of 16 MiB.
QUEUE_BYTES_MAX = 64 << 20
IDLE_SECONDS = 30.0  # Without work for so long, the thread ends and its connection closes; the next event starts another.
BACKOFF_SECONDS = (0.2, 5.0)
POSTPONED_SECONDS = 60.0  # For so long an event is offered to a server that answers, but has no room for it.
EXIT_SECONDS = 2.0  # For so long the end of the program is held up.
SAME_WORDS_SECONDS = 30.0  # The same problem is not logged again within this time.

# What a server says to an event that it has taken already: not a problem where the first answer was lost.
REPEATED = {
    "register": "Task already registered", "completed": "Task already completed", "failed": "Task already failed",
    "cancelled": "Task already cancelled",
}
ENDS = ("completed", "failed", "cancelled")


class Event:
    """Something to report: a JSON object as text, and whoever waits to hear of it."""

    __slots__ = ("kind", "task", "body", "receipt", "number", "repeated", "postponed_at")

    def __init__(self, kind: str, task: str, body: bytes, receipt: Receipt) -> None:
        self.kind = kind
        self.task = task
        self.body = body
        self.receipt = receipt
        self.number = 0
        self.repeated = False  # Whether the server may have taken it without our hearing of it.
        self.postponed_at: Optional[float] = None

    @property
    def may_be_dropped(self) -> bool:
        return self.kind in ("progress", "log")

    @property
    def ends(self) -> bool:
        return self.kind in ENDS


class _Unreadable(Exception):
    """The server cannot take this body; a smaller one perhaps."""

    def __init__(self, words: str, too_long: bool) -> None:
        super().__init__(words)
        self.too_long = too_long


class Sender:
    """The queue and the thread that empties it. Every method may be called from every thread."""

    def __init__(self, url: Callable[[], str], token: Callable[[], Token], events_max: int) -> None:
        self._url, self._token, self._events_max = url, token, events_max
        self._words: Tuple[str, float] = ("", 0.0)
        self.away_since: Optional[float] = None
        self._begin()
        _senders.add(self)

    def _begin(self) -> None:
        """Nothing waits, nobody works: at first, and in a process that was forked off, which inherits no threads."""
        self._news = threading.Condition()
        self._waiting: collections.OrderedDict[int, Event] = collections.OrderedDict()
        self._droppable: collections.deque[int] = collections.deque()  # In their order; some may be gone from the queue.
        self._bytes = 0
        self._last_number = 0
        self._sent_to = 0  # Events up to this number are in the sender's hands.
        self._alone_to = 0  # Events up to this number are sent one by one.
        self._thread: Optional[threading.Thread] = None
        self._hurry = False

    # MARK: The queue

    def put(self, event: Event) -> None:
        """Takes an event in, behind all others. Returns at once."""
        if len(event.body) > EVENT_BYTES_MAX and not _shortened(event):
            self._settle_at_once(event, f"{event.kind} is longer than {EVENT_BYTES_MAX} bytes")
            return
        with self._news:
            problem = self._make_room(event)
            if problem is None:
                problem = self._add(event)
        if problem is not None:
            self._settle_at_once(event, problem)

    def _make_room(self, event: Event) -> Optional[str]:
        while self._is_full(1):
            if not self._drop_oldest():
                # The end of a task has as much room again: without it, those who watch would wait for ever.
                return None if event.ends and not self._is_full(2) else "too many reports wait to be sent"
        return None

    def _is_full(self, times: int) -> bool:
        return len(self._waiting) >= times * self._events_max or self._bytes >= times * QUEUE_BYTES_MAX

    def _drop_oldest(self) -> bool:
        while self._droppable:
            number = self._droppable.popleft()
            if number in self._waiting and number > self._sent_to:
                self._remove(self._waiting[number], "dropped: too many reports wait to be sent")
                return True
        return False

    def _add(self, event: Event) -> Optional[str]:
        self._last_number += 1
        event.number = self._last_number
        self._waiting[event.number] = event
        self._bytes += len(event.body)
        if event.may_be_dropped:
            self._droppable.append(event.number)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="signalbox", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # The interpreter is ending, or the system has no more threads.
                self._thread = None
                self._forget(event)
                return str(error)
        self._news.notify_all()
        return None

    def _forget(self, event: Event) -> None:
        if self._waiting.pop(event.number, None) is not None:
            self._bytes -= len(event.body)
        while self._droppable and self._droppable[0] not in self._waiting:
            self._droppable.popleft()

    def _remove(self, event: Event, problem: Optional[str]) -> None:
        self._forget(event)
        self._settle_at_once(event, problem)
        self._news.notify_all()

    def _settle_at_once(self, event: Event, problem: Optional[str]) -> None:
        if problem is not None:
            # An end that is lost is worth a line of its own: somebody may wait for it.
            self._complain(f"{event.kind} of task {event.task} was not reported: {problem}", event.task if event.ends else problem)
        event.receipt.settle(problem)

    def receipts(self) -> List[Receipt]:
        """Of all that waits or is on its way."""
        with self._news:
            return [event.receipt for event in self._waiting.values()]

    def abandon(self) -> int:
        """Lets go of what waits, of the thread and the connection; returns how many events are lost. A later event starts anew."""
        with self._news:
            lost = list(self._waiting.values())
            for event in lost:
                self._remove(event, "the service was closed")
            self._thread = None
            self._news.notify_all()
        return len(lost)

    def leave(self, until: float) -> None:
        """The program ends: what waits is tried once more without delay, up to the given time."""
        with self._news:
            self._hurry = True
            self._news.notify_all()
            self._news.wait_for(lambda: not self._waiting or self._thread is None, max(until - time.monotonic(), 0))
            if self._waiting:
                log.error("%d reports were lost at the end of the program", len(self._waiting))

    def _complain(self, words: str, problem: str) -> None:
        """Logs words, and for the same problem only now and then."""
        now = time.monotonic()
        is_known = self._words[0] == problem and now - self._words[1] < SAME_WORDS_SECONDS
        if not is_known:
            self._words = (problem, now)
        log.log(logging.DEBUG if is_known else logging.WARNING, "%s", words)

    # MARK: The thread

    def _run(self) -> None:
        connection = Connection(self._url, self._token)
        failures = 0
        while batch := self._next_batch():
            began = time.monotonic()
            try:
                is_done, problem = self._settle(batch, self._send(batch, connection)), "the server has no room for more"
            except Later as error:
                is_done, problem = False, str(error)
                if error.may_be_heard:
                    _mark(batch)
            if is_done:
                failures, self.away_since = 0, None
                continue
            self.away_since = self.away_since or began
            self._complain(f"reports wait: {problem}", problem)
            self._back_off(failures)
            failures += 1
        connection.close()

    def _next_batch(self) -> List[Event]:
        """What is to be sent next, waited for; empty when this thread is to end."""
        me = threading.current_thread()
        with self._news:
            if self._thread is me:
                self._sent_to = 0
            self._news.wait_for(lambda: self._waiting or self._thread is not me, IDLE_SECONDS)
            if self._thread is not me:
                return []
            if not self._waiting:
                self._thread = None
                return []
            batch: List[Event] = []
            size = 0
            for event in itertools.islice(self._waiting.values(), BATCH_EVENTS_MAX):
                size += len(event.body) + 1
                if batch and (size > BATCH_BYTES_MAX or batch[0].number <= self._alone_to):
                    break
                batch.append(event)
            self._sent_to = batch[-1].number
            return batch

    def _back_off(self, failures: int) -> None:
        least, most = BACKOFF_SECONDS
        delay = random.uniform(least, min(most, 2 * least * 2 ** min(failures, 10)))
        me = threading.current_thread()
        with self._news:
            if not self._hurry:
                self._news.wait_for(lambda: self._hurry or self._thread is not me, delay)
                return
        time.sleep(least)

    def _send(self, batch: List[Event], connection: Connection) -> List[Any]:
        """Sends a batch; returns the verdicts, one for each event."""
        try:
            status, answer, is_repeated = connection.exchange(b'{"events":[' + b",".join(event.body for event in batch) + b"]}")
            if is_repeated:
                _mark(batch)
            return _verdicts(len(batch), status, answer)
        except _Unreadable as error:
            if len(batch) > 1:
                self._alone_to = batch[-1].number
                return [None] * len(batch)
            with self._news:
                size = len(batch[0].body)
                if error.too_long and _shortened(batch[0]):
                    self._bytes += len(batch[0].body) - size
                    return [None]
            return [{"ok": False, "error": str(error)}]
        except Refused as error:
            return [{"ok": False, "error": str(error)}] * len(batch)

    def _settle(self, batch: List[Event], verdicts: List[Any]) -> bool:
        """Says what became of each event; returns whether none has to wait for better times."""
        now = time.monotonic()
        postponed = set()
        with self._news:
            for event, verdict in zip(batch, verdicts):
                # None: it is to be sent again, in another form. Gone: the service was closed meanwhile.
                if verdict is None or event.number not in self._waiting:
                    continue
                problem = _problem(event, verdict)
                if problem is not None and (event.task in postponed or _is_passing(verdict)):
                    event.postponed_at = event.postponed_at or now
                    if now - event.postponed_at < POSTPONED_SECONDS:
                        # What came after it in its task had to fail, and waits with it.
                        postponed.add(event.task)
                        continue
                self._remove(event, problem)
        return not postponed


def _verdicts(count: int, status: int, answer: bytes) -> List[Any]:
    """Reads the answer to so many events."""
    try:
        data = json.loads(answer)
    except (ValueError, RecursionError):
        data = None
    said = data if isinstance(data, dict) else {}
    words = f"{said['error']} ({status})" if "error" in said else f"{status} {http.client.responses.get(status, '')}".rstrip()
    if status == 200:
        inner = said.get("data")
        verdicts = inner.get("verdicts") if isinstance(inner, dict) else None
        if isinstance(verdicts, list) and len(verdicts) == count and all(isinstance(verdict, dict) for verdict in verdicts):
            return verdicts
        raise Refused("the answer is not that of a Signalbox server")
    if status in (408, 425, 429, 502, 503, 504):
        # What a proxy says of its server leaves open what the server has heard.
        raise Later(words, may_be_heard=status in (502, 504))
    if status in (400, 413, 422, 500):
        raise _Unreadable(words, too_long=status == 413)
    raise Refused(words)


def _mark(batch: List[Event]) -> None:
    for event in batch:
        event.repeated = True


def _problem(event: Event, verdict: Dict[str, Any]) -> Optional[str]:
    if verdict.get("ok") is True:
        return None
    words = str(verdict.get("error") or "refused")
    return None if event.repeated and words == REPEATED.get(event.kind) else words


def _is_passing(verdict: Dict[str, Any]) -> bool:
    return verdict.get("status") in (429, 503)


def _shortened(event: Event) -> bool:
    """A result that is too long for the server must not leave the task running for ever: the task is said to have failed of it."""
    if event.kind != "completed":
        return False
    event.kind = "failed"
    event.body = encode({
        "event": "failed", "task_id": event.task, "error": f"The result is too long: {len(event.body)} bytes",
        "error_type": "ResultTooLong",
    })
    return True


# MARK: The process

_senders: "weakref.WeakSet[Sender]" = weakref.WeakSet()


@atexit.register
def _leave() -> None:
    until = time.monotonic() + EXIT_SECONDS
    for sender in list(_senders):
        sender.leave(until)


def _begin_in_child() -> None:
    for sender in list(_senders):
        sender._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
