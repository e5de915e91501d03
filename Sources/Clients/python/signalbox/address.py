"""Address: where a server is, how to say who one is there, and when to try again. No socket."""
from __future__ import annotations

import os
import random
import urllib.parse
from typing import Callable, Dict, Optional, Tuple, Union

Token = Union[str, Callable[[], str], None]

URL = "http://127.0.0.1:8000"


class Address:
    """A server, and the token that it is shown.

    :param url: ``http://HOST:PORT``, ``ws://HOST:PORT`` or their secure forms; a path before the server's own is kept, and a worker's
        ``/ws`` behind it is overlooked (else SIGNALBOX_URL, else ``http://127.0.0.1:8000``).
    :param token: a token, or something that gives one when called, which is asked before every connection (else SIGNALBOX_TOKEN).
    :raises ValueError: when it is no address.
    """

    def __init__(self, url: Optional[str] = None, token: Token = None) -> None:
        url = url or os.environ.get("SIGNALBOX_URL") or URL
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname or parts.port == 0:
            raise ValueError(f"not the address of a server, as http://127.0.0.1:8000 is: {url!r}")
        path = parts.path.rstrip("/")
        self._secure = "s" if parts.scheme in ("https", "wss") else ""
        self._rest = parts.netloc + (path[:-len("/ws")] if path.endswith("/ws") else path)
        self._token = token

    def http(self, path: str, **query: Union[str, int, None]) -> str:
        return f"http{self._secure}://{self._rest}{path}{_query(query)}"

    def websocket(self, path: str, **query: Union[str, int, None]) -> str:
        return f"ws{self._secure}://{self._rest}{path}{_query(query)}"

    def headers(self) -> Dict[str, str]:
        token = self._token or os.environ.get("SIGNALBOX_TOKEN")
        token = token() if callable(token) else token
        return {"Authorization": f"Bearer {token.strip()}"} if token else {}

    @property
    def can_renew_its_token(self) -> bool:
        """Whether a server that has refused may think otherwise the next time."""
        return callable(self._token)


def _query(members: Dict[str, Union[str, int, None]]) -> str:
    given = {name: value for name, value in members.items() if value is not None}
    return "?" + urllib.parse.urlencode(given) if given else ""


def segment(name: Union[str, int]) -> str:
    """A name as one segment of a path."""
    return urllib.parse.quote(str(name), safe="")


class Backoff:
    """How long to wait before the next try: 1, 2, 4, 8 … 30 seconds, each longer by up to a half, so that many do not come at once.

    :param range: the shortest and the longest pause, in seconds.
    """

    def __init__(self, range: Tuple[float, float] = (1.0, 30.0)) -> None:
        self._least, self._most = range
        self.reset()

    def reset(self) -> None:
        """A try went well."""
        self._failures = 0

    def next(self) -> float:
        pause = min(self._most, self._least * float(2 ** min(self._failures, 16)) * random.uniform(1, 1.5))
        self._failures += 1
        return pause
