"""Worker: takes the tasks of a group, gives each to a handler, and tells the server what came of it.

Knows the worker's socket and nothing of the work. A result is this program's until the server says that it has it (`task_ack`): after a
break it is sent again, and what was in hand goes on. Everything but `drain` and `report_status` belongs to one event loop.
"""
from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import inspect
import json
import logging
import signal
import threading
from typing import Any, Callable, Deque, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .address import Address, Backoff, Token
from .assignment import Assignment, Message
from .values import encode

log = logging.getLogger("signalbox")

Handler = Callable[[Assignment], Any]
Decorated = TypeVar("Decorated", bound=Handler)
OnItsWay = Tuple[Optional[Assignment], Message]

WAITING_MAX = 10_000  # Messages that may wait while the server is away; results have no such limit.
MESSAGE_BYTES_MAX = 64 << 20
FENCE: Message = {"type": "ping"}
LAST_WORDS = ("task_complete", "task_error")
TAKEN_BYTES_MAX = 16 << 20  # What a server takes that does not say so in its greeting.
REFUSALS = (400, 401, 403, 404)
TAKEN_OVER, TOO_LONG, NOT_LET_IN = 1012, 1009, 4003


class Refused(Exception):
    """The server does not want this worker, and would not the next time: its token, its group, or the address is wrong."""


class Worker:
    """A worker of one group.

        worker = Worker("http://localhost:8000", "image", concurrency=2)

        @worker.handle
        async def paint(task):
            task.progress(50, "half of it")
            return {"url": "…"}

        worker.run()

    The handler is a coroutine function, or a plain one, which runs on a thread of its own. What it returns is the result, what it raises
    the failure. A coroutine whose task nobody wants any more is cancelled; a plain function finds `task.is_cancelled` set.

    :param url: the server (else SIGNALBOX_URL, else ``http://127.0.0.1:8000``).
    :param group: whose tasks it takes.
    :param handler: the handler, where it is not decorated.
    :param concurrency: how many tasks it takes at a time.
    :param models: the models it has; tasks that name one of them go to such workers only.
    :param token: a token of role ``worker``, or something that gives one when called (else SIGNALBOX_TOKEN).
    :param cost_per_hour: what its time costs, in `currency`.
    :param drain_timeout: seconds that its tasks are given to end after `drain`; None for ever.
    :param reconnect_delay: the shortest and the longest pause before it connects again, in seconds.
    """

    def __init__(
        self, url: Optional[str] = None, group: str = "default", handler: Optional[Handler] = None, *, concurrency: int = 1,
        models: Optional[Sequence[str]] = None, token: Token = None, cost_per_hour: Optional[float] = None,
        currency: Optional[str] = None, drain_timeout: Optional[float] = 60.0, reconnect_delay: Tuple[float, float] = (1.0, 30.0),
    ) -> None:
        if concurrency < 1:
            raise ValueError("concurrency is at least 1")
        self.group = group
        #: Its name, as the server gave it; None before it was connected.
        self.id: Optional[str] = None
        self._address = Address(url, token)
        self._handler = handler
        self._ready: Message = {"type": "ready", "concurrency": concurrency}
        for name, value in (("models", models and list(models)), ("cost_per_hour", cost_per_hour), ("currency", currency)):
            if value is not None:
                self._ready[name] = value
        self._backoff = Backoff(reconnect_delay)
        self._drain_timeout = drain_timeout
        self._held: Dict[str, Assignment] = {}
        self._waiting: Deque[OnItsWay] = collections.deque()
        self._bytes_max = TAKEN_BYTES_MAX
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._visits = 0
        self._is_draining = self._may_leave = self._is_full = self._is_fenced = False

    def handle(self, handler: Decorated) -> Decorated:
        """Decorates the handler."""
        self._handler = handler
        return handler

    # MARK: Running

    def run(self) -> None:
        """Works until SIGTERM or SIGINT, which let it finish what it has in hand; a second one ends it at once.

        :raises Refused: when the server does not want it.
        """
        async def work() -> None:
            work = asyncio.create_task(self.serve())

            def leave() -> None:
                if self._is_draining:
                    work.cancel()
                self.drain()

            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                try:
                    loop.add_signal_handler(number, leave)
                except NotImplementedError:  # Windows: the interrupt ends it at once.
                    break
            try:
                await work
            except asyncio.CancelledError:
                log.warning("left at once; %d tasks were in hand", len(self._held))

        asyncio.run(work())

    async def serve(self) -> None:
        """Works until it is drained or cancelled. Sees to no signals.

        :raises Refused: when the server does not want it.
        """
        if self._handler is None:
            raise TypeError("a worker needs a handler: Worker(…, handler=…), or @worker.handle")
        self._loop = asyncio.get_running_loop()
        # Made here, and not before: in Python 3.9 they belong to the loop that runs when they are made.
        self._news, self._leaving, self._dismissed = asyncio.Event(), asyncio.Event(), asyncio.Event()
        if self._is_draining:
            self._leaving.set()
        visits = asyncio.create_task(self._visit_again_and_again())
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait([visits, leaving], return_when=asyncio.FIRST_COMPLETED)
            if not visits.done():
                await asyncio.wait([visits], timeout=self._drain_timeout)
            if visits.done():
                await visits
            else:
                log.warning("%d tasks did not end within %s s", len(self._held), self._drain_timeout)
        finally:
            for one in (visits, leaving):
                one.cancel()
            await asyncio.gather(visits, leaving, return_exceptions=True)
            for assignment in list(self._held.values()):
                assignment.cancel()
            self._loop = None

    def drain(self) -> None:
        """Takes no new tasks, finishes those in hand, waits until the server has their results, and ends. From any thread."""
        self._is_draining = True
        self._on_loop(self._leave)

    def _leave(self) -> None:
        self._leaving.set()
        self._put(None, {"type": "drain"})

    def report_status(
        self, gpus: Optional[Sequence[Mapping[str, Any]]] = None, memory: Any = None, load: Any = None
    ) -> None:
        """How its machine does, for the fleet's figures. From any thread."""
        known = {"gpus": gpus, "memory": memory, "load": load}
        self._tell(None, {"type": "worker_status", **{name: value for name, value in known.items() if value is not None}})

    # MARK: The connection

    async def _visit_again_and_again(self) -> None:
        is_first_refusal = True
        while not (self._is_draining and not self._held):
            pause = 0.0
            try:
                await self._visit()
                if self._dismissed.is_set():
                    return
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else None
                words = str(closed)
                if code == NOT_LET_IN and not self._address.can_renew_its_token:
                    raise Refused(words) from None
                if code == TOO_LONG:
                    self._shorten()
                pause = 0.0 if code == TAKEN_OVER else self._backoff.next()
            except InvalidStatus as error:
                words = f"HTTP {error.response.status_code} {error.response.body.decode('utf-8', 'replace') if error.response.body else ''}"
                # A server that is just starting, or a token that comes anew, may be of another mind in a moment.
                if error.response.status_code in REFUSALS and not (self._address.can_renew_its_token and is_first_refusal):
                    raise Refused(words.rstrip()) from None
                is_first_refusal, pause = False, self._backoff.next()
            except (OSError, InvalidHandshake, asyncio.TimeoutError) as error:
                words, pause = f"{type(error).__name__}: {error}", self._backoff.next()
            else:
                words, pause = "the server has closed the connection", self._backoff.next()
            if self._is_draining and not self._held:
                return
            log.warning("%s; connecting again in %.1f s", words, pause)
            if self._is_draining:
                await asyncio.sleep(pause)
            else:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._leaving.wait(), pause)

    async def _visit(self) -> None:
        """One connection, to its end."""
        url = self._address.websocket("/ws", group=self.group, worker_id=self.id, ready="explicit")
        async with connect(url, additional_headers=self._address.headers(), max_size=MESSAGE_BYTES_MAX) as socket:
            self._greet(json.loads(await socket.recv()))
            parts = [asyncio.ensure_future(part) for part in (self._hear(socket), self._write(socket), self._dismissed.wait())]
            try:
                done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
                for part in done:
                    await part
            finally:
                for part in parts:
                    part.cancel()
                await asyncio.gather(*parts, return_exceptions=True)

    def _greet(self, connected: Message) -> None:
        """Says what is in hand, and what came of it: the server may have been another one meanwhile, or have given it to others."""
        is_back = self.id is not None
        self.id = connected["workerId"]
        self._backoff.reset()
        log.info("connected as %s", self.id)
        self._visits += 1
        self._may_leave = False
        self._is_fenced = False
        self._takes(connected.get("maxMessageBytes"))
        waiting = [way for way in self._waiting if way[0] is not None and self._holds(way[0]) and way[1]["type"] not in LAST_WORDS]
        hello: Message = {"type": "drain"} if self._is_draining else {**self._ready, "tasks": list(self._held)} if is_back else self._ready
        outcomes: List[OnItsWay] = [(held, held.outcome) for held in self._held.values() if held.outcome is not None]
        greeting: List[Message] = [hello, FENCE] if self._held and not self._is_draining else [hello]
        self._waiting = collections.deque([*((None, message) for message in greeting), *waiting, *outcomes])
        self._news.set()

    async def _write(self, socket: ClientConnection) -> None:
        """What waits goes out, in its order."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting and not self._is_fenced:
                assignment, message = self._waiting.popleft()
                # Nothing is said of what was in hand before the server has said what of it nobody wants: an answer to that would be taken
                # for one about the next assignment of the same task.
                self._is_fenced = message is FENCE
                if assignment is None:
                    data = encode(message)
                else:
                    data = assignment.text if message is assignment.outcome else assignment.message(message)
                if len(data) > self._bytes_max:  # Which is none of the last words: those fail instead.
                    log.warning("a %s of %d bytes is longer than the server takes: it is not sent", message["type"], len(data))
                    continue
                try:
                    await socket.send(data.decode())
                except BaseException:
                    self._waiting.appendleft((assignment, message))
                    raise

    async def _hear(self, socket: ClientConnection) -> None:
        async for text in socket:
            message = json.loads(text)
            kind, task = message.get("type"), message.get("taskId")
            held = self._held.get(task) if isinstance(task, str) else None
            if kind == "task":
                self._begin(message)
            elif kind == "task_ack":
                self._let_go(held)
            elif kind == "cancel" and held is not None:
                log.info("task %s is cancelled", task)
                self._is_unwanted(held)
            elif kind == "error":
                self._refused(held, message)
            elif kind == "pong":
                self._is_fenced = False
                self._news.set()
            elif kind == "drain" and self._is_draining:
                self._may_leave = True
                self._leave_if_done()

    # MARK: Tasks

    def _begin(self, message: Message) -> None:
        assignment = Assignment(message, self._tell)
        assignment.visit = self._visits
        former = self._held.pop(assignment.id, None)
        if former is not None:
            self._forget_words_of(former)
            former.cancel()
        self._held[assignment.id] = assignment
        log.info("working on %s", assignment.id)
        handler = self._handler
        assert handler is not None
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None)):
            assignment.running = asyncio.create_task(self._handle(assignment, handler))
        else:
            context = contextvars.copy_context()
            # A thread that no longer listens must not hold up the end of the program.
            threading.Thread(target=context.run, args=(self._handle_here, assignment, handler), name=assignment.id, daemon=True).start()

    async def _handle(self, assignment: Assignment, handler: Handler) -> None:
        try:
            outcome = assignment.completed(await handler(assignment))
        except asyncio.CancelledError as error:
            if self._loop is None:
                raise
            outcome = assignment.failed(error)
        except Exception as error:
            outcome = assignment.failed(error)
        self._ended(assignment, outcome)

    def _handle_here(self, assignment: Assignment, handler: Handler) -> None:
        try:
            outcome = assignment.completed(handler(assignment))
        except BaseException as error:
            outcome = assignment.failed(error)
        self._on_loop(lambda: self._ended(assignment, outcome))

    def _ended(self, assignment: Assignment, outcome: Message) -> None:
        if not self._holds(assignment):
            return
        if assignment.is_cancelled:
            # The server has ended the task, and wants to hear only that this worker has room again; another connection has its own.
            self._let_go(assignment)
            if assignment.visit == self._visits:
                self._put(assignment, outcome)
        else:
            assignment.end(outcome, self._bytes_max)
            self._put(assignment, assignment.outcome or outcome)

    def _is_unwanted(self, held: Assignment) -> None:
        if held.outcome is None:
            held.cancel()
        else:
            self._let_go(held)

    def _refused(self, held: Optional[Assignment], message: Message) -> None:
        """What the server did not take, it would not take again either."""
        # Of a task that was let go, as one that is cancelled, nobody waits to hear anything.
        log.log(logging.DEBUG if held is None and "taskId" in message else logging.WARNING, "the server refused: %s", message.get("error"))
        # Work that goes on is ended by `cancel` alone: this may be said of an earlier assignment of the task.
        if held is not None and held.outcome is not None:
            self._let_go(held)

    def _holds(self, assignment: Assignment) -> bool:
        return self._held.get(assignment.id) is assignment

    def _let_go(self, held: Optional[Assignment]) -> None:
        if held is not None and self._holds(held):
            self._forget_words_of(held)
            del self._held[held.id]
            self._leave_if_done()

    def _leave_if_done(self) -> None:
        """The server says that it has nothing in hand of ours, and we have nothing that it waits for."""
        if self._may_leave and not self._held:
            self._dismissed.set()

    def _forget_words_of(self, assignment: Assignment) -> None:
        if any(way[0] is assignment for way in self._waiting):
            self._waiting = collections.deque(way for way in self._waiting if way[0] is not assignment)

    def _takes(self, bytes_max: Any) -> None:
        """The server says how long a message may be. It may be another server than the one before, and results wait for it."""
        if not isinstance(bytes_max, int) or bytes_max <= 0:
            return
        self._bytes_max = bytes_max
        for held in self._held.values():
            if held.outcome is not None and len(held.text) > bytes_max:
                held.end(held.outcome, bytes_max)

    def _shorten(self) -> None:
        """A server that did not say how much it takes has hung up because of a message that is too long: the longest result, which would
        be sent again."""
        longest = max(self._held.values(), key=lambda held: len(held.text), default=None)
        if longest is not None and longest.outcome is not None:
            # The same result may be a few bytes shorter the next time, by its duration.
            self._bytes_max = len(longest.text) - 1024
            longest.end(longest.outcome, self._bytes_max)
        self._waiting = collections.deque(way for way in self._waiting if way[1]["type"] != "task_chunk")

    # MARK: What is told

    def _tell(self, assignment: Optional[Assignment], message: Message) -> None:
        self._on_loop(lambda: self._tell_here(assignment, message))

    def _tell_here(self, assignment: Optional[Assignment], message: Message) -> None:
        if assignment is not None and (not self._holds(assignment) or assignment.is_cancelled):
            return
        if message["type"] == "task_progress" and self._waiting:
            # The newest figure in place of the last thing that waits, where that is an older one.
            last_assignment, last = self._waiting[-1]
            if last_assignment is assignment and last["type"] == "task_progress":
                self._waiting.pop()
                message = {**last, **message}
        self._put(assignment, message)

    def _put(self, assignment: Optional[Assignment], message: Message) -> None:
        if len(self._waiting) >= WAITING_MAX and (assignment is None or message is not assignment.outcome):
            if not self._is_full:
                log.warning("%d messages wait to be sent: what comes now is dropped, but for results", len(self._waiting))
            self._is_full = True
            return
        self._is_full = False
        self._waiting.append((assignment, message))
        self._news.set()

    def _on_loop(self, act: Callable[[], Any]) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            if asyncio.get_running_loop() is loop:
                act()
                return
        except RuntimeError:
            pass
        try:
            loop.call_soon_threadsafe(act)
        except RuntimeError:
            pass  # The loop has been closed: nobody hears of it any more.
