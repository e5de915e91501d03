"""Client: gives tasks in over HTTP, asks how they stand, cancels them. No event loop: an async program calls it by `asyncio.to_thread`.

Watching a task as it goes is the watcher's (watcher.py).
"""
from __future__ import annotations

import dataclasses
import http.client
import json
import math
import time
import urllib.error
import urllib.request
from typing import Any, Dict, List, Mapping, Optional

from .address import Address, Backoff, Token, segment
from .values import encode

POLL_SECONDS = (0.05, 2.0)


class RequestError(Exception):
    """The server did not do what was asked.

    :ivar status: the HTTP status, as 503 where no worker is there.
    """

    def __init__(self, status: int, words: str, body: Mapping[str, Any]) -> None:
        super().__init__(f"{words} ({status})")
        self.status, self.words, self.body = status, words, body


class TaskFailed(RequestError):
    """The task was begun, or waited, and failed: by the worker's words, by its time, or because its worker vanished.

    :ivar error: the worker's words, or any JSON that it gave for them.
    """

    def __init__(self, status: int, error: Any, body: Mapping[str, Any]) -> None:
        super().__init__(status, error if isinstance(error, str) else json.dumps(error), body)
        self.error = error


class TaskWasCancelled(RequestError):
    """Somebody cancelled the task."""


@dataclasses.dataclass(frozen=True)
class TaskState:
    """How a task stands.

    :ivar status: ``queued``, ``executing``, ``completed``, ``failed`` or ``cancelled``.
    :ivar body: all that the server said.
    """

    id: str
    status: str
    progress: Optional[float]
    message: Optional[str]
    result: Any
    error: Any
    body: Mapping[str, Any]

    @property
    def has_ended(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")


class Client:
    """Someone who gives tasks in.

    :param url: the server (else SIGNALBOX_URL, else ``http://127.0.0.1:8000``).
    :param token: a token, or something that gives one when called (else SIGNALBOX_TOKEN, else none).
    :param timeout: seconds that an answer may take, beyond the time that the task itself is given.
    """

    def __init__(self, url: Optional[str] = None, token: Token = None, *, timeout: float = 30.0) -> None:
        self._address = Address(url, token)
        self._timeout = timeout

    def submit(
        self, data: Optional[Mapping[str, Any]] = None, *, messages: Optional[List[Any]] = None, model: Optional[str] = None,
        group: Optional[str] = None, timeout: Optional[float] = None, priority: Optional[str] = None, retries: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> str:
        """Gives a task in, and returns its id once the server has written it down.

        :param data: what it is about; this or `messages`.
        :param messages: the same in OpenAI's form.
        :param group: which workers may take it.
        :param timeout: seconds until it must have ended.
        :param priority: ``high``, ``normal`` or ``low``.
        :param retries: how often it may start anew when its worker vanishes.
        :param idempotency_key: the same key gives the same task. With one, a request that got no answer is made again.
        :raises RequestError: when it is not taken in.
        """
        return str(self._give_in(_task(data, messages, model, group, timeout, priority, retries), True, idempotency_key)["taskId"])

    def run(
        self, data: Optional[Mapping[str, Any]] = None, *, messages: Optional[List[Any]] = None, model: Optional[str] = None,
        group: Optional[str] = None, timeout: Optional[float] = None, priority: Optional[str] = None, retries: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> Any:
        """Gives a task in, waits for its end and returns its result. The parameters are those of `submit`. Who interrupts it, or is ended,
        cancels the task.

        :raises TaskFailed: when it fails.
        :raises TaskWasCancelled: when somebody cancels it.
        :raises RequestError: when it is not taken in.
        """
        return self._give_in(_task(data, messages, model, group, timeout, priority, retries), False, idempotency_key).get("result")

    def get(self, task_id: str) -> TaskState:
        """How a task stands.

        :raises RequestError: when there is none (404).
        """
        return _state(self._request("GET", f"/api/task/{segment(task_id)}"), task_id)

    def wait(self, task_id: str, timeout: Optional[float] = None) -> TaskState:
        """Asks until the task has ended; a watcher hears of it sooner.

        :param timeout: seconds after which the state is returned as it is; None for as long as it takes.
        :raises RequestError: when there is none, or none any more (404).
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        pause, longest = POLL_SECONDS
        while not (state := self.get(task_id)).has_ended and time.monotonic() < end:
            time.sleep(min(pause, max(end - time.monotonic(), 0)))
            pause = min(2 * pause, longest)
        return state

    def cancel(self, task_id: str) -> TaskState:
        """Cancels a task that has not ended.

        :raises RequestError: when there is none (404), or it has ended (409).
        """
        return _state(self._request("POST", f"/api/task/{segment(task_id)}/cancel"), task_id)

    # MARK: Requests

    def _give_in(self, task: Dict[str, Any], is_async: bool, key: Optional[str]) -> Dict[str, Any]:
        # The server clamps the time that a task asks for, to ten minutes unless it is told otherwise.
        patience = self._timeout if is_async else self._timeout + task.get("timeout", 60_000) / 1000
        headers = {} if key is None else {"Idempotency-Key": key}
        body = encode({**task, "async": is_async})
        end = time.monotonic() + patience
        backoff = Backoff()
        while True:
            try:
                return self._request("POST", "/api/openai", body, headers, max(end - time.monotonic(), 1))
            except (OSError, http.client.HTTPException):
                pause = backoff.next()
                if key is None or time.monotonic() + pause > end:
                    raise
                time.sleep(pause)

    def _request(
        self, method: str, path: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None,
        timeout: Optional[float] = None,
    ) -> Dict[str, Any]:
        kind = {"Content-Type": "application/json"} if body is not None else {}
        request = urllib.request.Request(
            self._address.http(path), body, {**kind, **self._address.headers(), **(headers or {})}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout if timeout is None else timeout) as response:
                return _members(response.read())
        except urllib.error.HTTPError as error:
            with error:
                raise _problem(error.code, _members(error.read()), error.reason) from None


def _task(
    data: Optional[Mapping[str, Any]], messages: Optional[List[Any]], model: Optional[str], group: Optional[str],
    timeout: Optional[float], priority: Optional[str], retries: Optional[int],
) -> Dict[str, Any]:
    milliseconds = None if timeout is None else round(1000 * timeout)
    members = {
        "data": data, "messages": messages, "model": model, "group": group, "timeout": milliseconds, "priority": priority,
        "retries": retries,
    }
    return {name: value for name, value in members.items() if value is not None}


def _members(data: bytes) -> Dict[str, Any]:
    try:
        members = json.loads(data)
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _problem(status: int, body: Mapping[str, Any], reason: str) -> RequestError:
    error = body.get("error", reason)
    if status == 500 and "error" in body:
        return TaskFailed(status, error, body)
    words = error if isinstance(error, str) else json.dumps(error)
    return TaskWasCancelled(status, words, body) if status == 409 and words == "Task cancelled" else RequestError(status, words, body)


def _state(body: Mapping[str, Any], task_id: str) -> TaskState:
    return TaskState(
        id=str(body.get("taskId", task_id)), status=str(body.get("status")), progress=body.get("progress"), message=body.get("message"),
        result=body.get("result"), error=body.get("error"), body=body)
