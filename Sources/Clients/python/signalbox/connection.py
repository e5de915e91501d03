"""Connection: bodies to the server and its answers back, over one HTTP connection that stays open. Used by one thread.

Knows no event: what an answer says of them is the sender's to read. One body costs one write and one read; a connection that the server
ended while it was idle is opened again at once, everything else is for the sender to try again.
"""
from __future__ import annotations

import http.client
import ssl
import urllib.parse
from typing import Callable, Dict, Optional, Tuple

from .address import Token

PATH = "/api/task/events"
ANSWER_SECONDS = 10.0  # The longest that a connect or an answer may take.
ANSWER_BYTES_MAX = 16 << 20


class Later(Exception):
    """Nothing came of it now; it is to be tried again. `may_be_heard`: whether the server may have taken it none the less."""

    def __init__(self, words: str, may_be_heard: bool) -> None:
        super().__init__(words)
        self.may_be_heard = may_be_heard


class Refused(Exception):
    """The request as a whole is refused, and would be again."""


class Target:
    """The server's address, taken apart.

    :raises ValueError: when it is no address that can be reached by HTTP.
    """

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        # A port that is no number is a ValueError of its own.
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
            raise ValueError(f"not the address of a server, as http://127.0.0.1:8000 is: {url!r}")
        self.is_secure = parts.scheme == "https"
        self.host, self.port = parts.hostname, parts.port
        self.path = parts.path.rstrip("/") + PATH

    def open(self) -> http.client.HTTPConnection:
        if self.is_secure:
            context = ssl.create_default_context()
            opened: http.client.HTTPConnection = http.client.HTTPSConnection(self.host, self.port, timeout=ANSWER_SECONDS, context=context)
        else:
            opened = http.client.HTTPConnection(self.host, self.port, timeout=ANSWER_SECONDS)
        opened.connect()
        return opened


class Connection:
    """A connection to whatever address is the right one at the moment."""

    def __init__(self, url: Callable[[], str], token: Callable[[], Token]) -> None:
        self._url, self._token = url, token
        self._open: Optional[http.client.HTTPConnection] = None
        self._open_to = ""
        self._path = ""
        self._is_on_its_way = False

    def exchange(self, body: bytes) -> Tuple[int, bytes, bool]:
        """Sends a body; returns the status and the body of the answer, and whether it was sent twice.

        :raises Later: where there is no answer.
        :raises Refused: where the address or the token are nothing that HTTP can carry.
        """
        self._is_on_its_way = False
        try:
            headers = self._headers()
            is_reused = self._connect()
            try:
                return (*self._request(body, headers), False)
            except (ConnectionError, http.client.BadStatusLine):
                # A server may end an idle connection just as it is used again.
                if not is_reused:
                    raise
                self.close()
                self._connect()
                return (*self._request(body, headers), True)
        except ValueError as error:
            self.close()
            raise Refused(str(error)) from None
        except Exception as error:
            self.close()
            raise Later(f"{type(error).__name__}: {error}", self._is_on_its_way) from None

    def _headers(self) -> Dict[str, str]:
        token = self._token()
        token = token() if callable(token) else token
        kind = {"Content-Type": "application/json"}
        return {**kind, "Authorization": f"Bearer {token.strip()}"} if token else kind

    def _connect(self) -> bool:
        """Sees to a connection to the address; returns whether there was one."""
        url = self._url()
        if self._open is not None and self._open_to == url:
            return True
        self.close()
        target = Target(url)
        self._open, self._open_to, self._path = target.open(), url, target.path
        return False

    def _request(self, body: bytes, headers: Dict[str, str]) -> Tuple[int, bytes]:
        opened = self._open
        assert opened is not None
        self._is_on_its_way = True
        try:
            opened.request("POST", self._path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # A server that does not want to read all of it may have answered before.
        with opened.getresponse() as response:
            answer = response.read(ANSWER_BYTES_MAX + 1)
            is_last = response.will_close or not response.isclosed()
        if is_last:
            self.close()
        return response.status, answer

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open = None
