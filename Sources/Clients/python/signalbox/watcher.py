"""Watcher: what happens to tasks, as an asynchronous sequence of events: of one task, of a user's tasks, or of those named to the hub.

A break is nobody's business but the watcher's: it comes back by itself and says what it has seen, and whoever iterates gets each event
once, in the task's order.
"""
from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import urllib.request
from typing import Any, AsyncIterator, Callable, Dict, List, Mapping, Optional, Set, Tuple, Union

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from .address import Address, Backoff, Token, segment

log = logging.getLogger("signalbox")

MESSAGE_BYTES_MAX = 64 << 20
HEARTBEAT_SECONDS = 30.0  # A task's socket on which the client says nothing for half an hour is closed.
ENDS = ("completed", "failed", "cancelled")
REFUSALS = (400, 401, 403, 404)
TAKEN_OVER, NOT_LET_IN, NOT_THERE, REPLACED = 1012, 4003, 4004, 4001


class WatchError(Exception):
    """There is nothing to watch: the token is not good for it, or there is no such task.

    :ivar code: the WebSocket's close code (4003, 4004), or the HTTP status.
    """

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words or f"closed with {code}")
        self.code = code


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to a task, or how it stands.

    :ivar kind: the message's `type`, as the server's documents name it: ``task_progress``, ``task_status``, ``progress`` …
    :ivar task_id: the task.
    :ivar seq: the number of the event in the task's life; to be given as `last_seq` by who comes back later.
    :ivar data: the message; of the hub's its `payload`.
    """

    kind: str
    task_id: str
    seq: Optional[int]
    data: Mapping[str, Any]

    @property
    def status(self) -> Optional[str]:
        if self.kind == "task_completed":
            return "completed" if self.data.get("success") else self.data.get("status") or "failed"
        return self.data.get("status")

    @property
    def progress(self) -> Optional[float]:
        return self.data.get("progress")

    @property
    def message(self) -> Optional[str]:
        return self.data.get("message")

    @property
    def result(self) -> Any:
        return self.data.get("result_data", self.data.get("result"))

    @property
    def error(self) -> Any:
        return self.data.get("error_message", self.data.get("error"))


class Watcher:
    """Someone who watches.

        async for event in Watcher("http://localhost:8000", token).task(task_id):
            print(event.kind, event.progress)

    :param url: the server (else SIGNALBOX_URL, else ``http://127.0.0.1:8000``).
    :param token: a token, or something that gives one when called (else SIGNALBOX_TOKEN, else none).
    :param reconnect_delay: the shortest and the longest pause before it connects again, in seconds.
    """

    def __init__(self, url: Optional[str] = None, token: Token = None, *, reconnect_delay: Tuple[float, float] = (1.0, 30.0)) -> None:
        self._address = Address(url, token)
        self._reconnect_delay = reconnect_delay

    async def task(self, task_id: str, last_seq: Optional[int] = None) -> AsyncIterator[Event]:
        """One task, from how it stands (``current_status``) to its end (``task_completed``), with which the sequence ends.

        :param last_seq: the last event that was seen earlier; what followed it is told first.
        :raises WatchError: when there is no such task for this token.
        """
        seen = _Seen(last_seq)
        held: Optional[Event] = None
        path = f"/api/gpu/tasks/{segment(task_id)}/ws"
        async for socket, message in self._messages(lambda: self._address.websocket(path, last_seq=seen.last)):
            kind, seq = message["type"], message.get("seq")
            if kind == "current_status" and seen.last is None:
                seen.last = seq
            elif kind == "current_status":
                # What is missing follows, before the answer to a ping; only where it is no longer to be had is this the news.
                held = Event(kind, task_id, seq, message) if seq is not None and seq > seen.last else None
                if held is not None:
                    await socket.send('{"type":"ping"}')
                continue
            else:
                if held is not None and (kind == "pong" or seq is not None and seq > (held.seq or 0)):
                    seen.last = held.seq
                    yield held
                if kind == "pong" or seq is not None:
                    held = None
                if seq is None or not seen.is_new(seq, kind):
                    continue
            yield Event(kind, task_id, seq, message)
            if kind == "task_completed":
                return

    async def user(self, user_id: Union[str, int]) -> AsyncIterator[Event]:
        """All tasks of a user, from those that have not ended, for ever. After a break each task that has gone on meanwhile is told once,
        as it stands.

        :raises WatchError: when the token is not good for it.
        """
        seen: Dict[str, _Seen] = {}
        bygone = await asyncio.to_thread(self._bygone, user_id)
        is_back = False
        path = f"/api/task/ws/task/{segment(user_id)}"
        async for _, message in self._messages(lambda: self._address.websocket(path)):
            kind = message["type"]
            told: List[Dict[str, Any]] = []
            if kind == "active_tasks":
                told = message["tasks"]
                if is_back:
                    told = await asyncio.to_thread(self._missed, user_id, told, dict(seen), bygone)
                is_back = True
            elif kind == "task_status":
                told = [message]
            for task in told:
                if seen.setdefault(task["task_id"], _Seen(None)).is_new(task["seq"], "task_status", task["status"]):
                    yield Event("task_status", task["task_id"], task["seq"], task)

    def hub(self, *task_ids: str, user_id: Optional[str] = None, project_id: Optional[str] = None) -> Hub:
        """Any number of tasks over one socket, to be chosen while it is open.

        :param user_id: whose client it is, where no token says so.
        """
        return Hub(self, task_ids, user_id, project_id)

    def _bygone(self, user_id: Union[str, int]) -> Optional[Set[str]]:
        """The user's tasks that have ended before anybody watched; None where that is not to be had."""
        try:
            tasks = self._get("/api/task/tasks", limit=500, user_id=user_id)["tasks"]
        except (OSError, ValueError, KeyError):
            return None
        return {task["task_id"] for task in tasks if task["status"] in ENDS}

    def _missed(
        self, user_id: Union[str, int], active: List[Dict[str, Any]], seen: Dict[str, _Seen], bygone: Optional[Set[str]]
    ) -> List[Dict[str, Any]]:
        """What happened to a user's tasks during a break: those that have not ended, those that have and were known, and those that came
        and went meanwhile."""
        found = {task["task_id"]: task for task in active}
        with contextlib.suppress(OSError, ValueError, KeyError):
            for task in self._get("/api/task/tasks", limit=500, user_id=user_id)["tasks"]:
                if task["task_id"] in seen or bygone is not None and task["task_id"] not in bygone:
                    found.setdefault(task["task_id"], task)
        for task_id, one in seen.items():
            if task_id not in found and not one.has_ended:
                # Beyond the newest 500; one that is forgotten stays as it was last told.
                with contextlib.suppress(OSError, ValueError, KeyError):
                    found[task_id] = self._get(f"/api/task/task/{segment(task_id)}/status")
        return list(found.values())

    def _get(self, path: str, **query: Union[str, int]) -> Dict[str, Any]:
        request = urllib.request.Request(self._address.http(path, **query), headers=self._address.headers())
        with urllib.request.urlopen(request, timeout=30) as response:
            data: Dict[str, Any] = json.loads(response.read())["data"]
            return data

    # MARK: Connections

    async def _messages(self, url: Callable[[], str]) -> AsyncIterator[Tuple[ClientConnection, Dict[str, Any]]]:
        """All that one connection after the other says, until nobody listens any more."""
        backoff = Backoff(self._reconnect_delay)
        while True:
            try:
                async with connect(url(), additional_headers=self._address.headers(), max_size=MESSAGE_BYTES_MAX) as socket:
                    beating = asyncio.create_task(_beat(socket))
                    try:
                        async for text in socket:
                            backoff.reset()
                            yield socket, json.loads(text)
                    finally:
                        beating.cancel()
                pause, words = backoff.next(), "the server has closed the connection"
            except ConnectionClosed as closed:
                code, words = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, str(closed))
                if code in (NOT_THERE, REPLACED) or code == NOT_LET_IN and not self._address.can_renew_its_token:
                    raise WatchError(code, words) from None
                pause = 0.0 if code == TAKEN_OVER else backoff.next()
            except InvalidStatus as error:
                status, words = error.response.status_code, str(error)
                if status in REFUSALS and not self._address.can_renew_its_token:
                    raise WatchError(status, words) from None
                pause = backoff.next()
            except (OSError, InvalidHandshake, asyncio.TimeoutError) as error:
                pause, words = backoff.next(), f"{type(error).__name__}: {error}"
            log.info("%s; connecting again in %.1f s", words, pause)
            await asyncio.sleep(pause)


class Hub:
    """The hub's socket: tasks are subscribed and unsubscribed, and whoever iterates hears of them.

        async with watcher.hub("task-1", user_id="ann") as hub:
            await hub.subscribe("task-2")
            async for event in hub:
                print(event.task_id, event.progress)

    `client_id` is its name; a hub that comes back within five minutes by that name misses nothing.
    """

    def __init__(self, watcher: Watcher, task_ids: Tuple[str, ...], user_id: Optional[str], project_id: Optional[str]) -> None:
        self._watcher = watcher
        self._query: Dict[str, Optional[str]] = {"user_id": user_id, "project_id": project_id}
        self._seen = {task_id: _Seen(None) for task_id in task_ids}
        self._socket: Optional[ClientConnection] = None
        #: Its name; None before it was connected.
        self.client_id: Optional[str] = None
        self._told: Optional[AsyncIterator[Event]] = None

    async def __aenter__(self) -> Hub:
        return self

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._told, "aclose", None)
        if close is not None:
            await close()

    def __aiter__(self) -> AsyncIterator[Event]:
        if self._told is None:
            self._told = self._events()
        return self._told

    async def subscribe(self, task_id: str) -> None:
        """Hears of a task from now on, also of one that is not there yet."""
        if task_id not in self._seen:
            self._seen[task_id] = _Seen(None)
            await self._say("subscribe", task_id)

    async def unsubscribe(self, task_id: str) -> None:
        """Hears of it no more."""
        if self._seen.pop(task_id, None) is not None:
            await self._say("unsubscribe", task_id)

    async def _say(self, action: str, task_id: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):  # The next connection begins with all that are subscribed.
                await self._socket.send(json.dumps({"action": action, "task_id": task_id}))

    def _url(self) -> str:
        positions = ",".join(f"{task}:{seen.whole}" for task, seen in self._seen.items() if seen.last is not None)
        coming_back = {"old_client_id": self.client_id, "last_seq": positions or None} if self.client_id else {}
        return self._watcher._address.websocket("/api/v1/ws", **self._query, **coming_back)

    async def _events(self) -> AsyncIterator[Event]:
        async for socket, message in self._watcher._messages(self._url):
            kind, task_id, payload = message["type"], message.get("task_id") or "", message.get("payload") or {}
            if kind in ("connected", "reconnected"):
                self._socket, self.client_id = socket, payload["client_id"]
                known = payload.get("subscribed", {})
                for wanted in self._seen:
                    if wanted not in known:
                        self._seen[wanted].is_asked_anew = True
                        await self._say("subscribe", wanted)
                for unwanted in known:
                    if unwanted not in self._seen:
                        await self._say("unsubscribe", unwanted)
            elif kind == "error" and "seq" not in payload:
                log.warning("the server refused: %s", payload.get("error"))
            elif task_id in self._seen and "seq" in payload and self._seen[task_id].is_new(payload["seq"], kind, payload.get("status")):
                yield Event(kind, task_id, payload["seq"], payload)


class _Seen:
    """The last event of a task that was told, and in which messages: an end may be told in two."""

    def __init__(self, last: Optional[int]) -> None:
        self.last = last
        self._kinds: List[str] = []
        self._status: Optional[str] = None
        self.is_asked_anew = False

    @property
    def has_ended(self) -> bool:
        return self._status in ENDS

    @property
    def whole(self) -> int:
        """The last event of which all was told: a failure is told as `status` and then as `error`."""
        last = self.last or 0
        return last - 1 if self._kinds == ["status"] and self._status == "failed" else last

    def is_new(self, seq: int, kind: str, status: Optional[str] = None) -> bool:
        was_asked_anew, self.is_asked_anew = self.is_asked_anew, False
        if self.last is not None and seq < self.last and not was_asked_anew:
            return False
        if seq == self.last and (kind in self._kinds or was_asked_anew):
            return False
        self._kinds = [*self._kinds, kind] if seq == self.last else [kind]
        self.last, self._status = seq, status or self._status
        return True


async def _beat(socket: ClientConnection) -> None:
    """Says something now and then, so that the server sees somebody there."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await socket.send('{"type":"ping"}')
