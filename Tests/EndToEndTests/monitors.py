"""Watchers of the fleet on the stock clients of Socket.IO: python-socketio, and the official one for browsers under Node."""
import importlib.util
import json
import queue
from pathlib import Path

import socketio

from documents import node
from servers import BOUND


def bundle():
    """The official client for browsers, as a package that serves it has it."""
    found = importlib.util.find_spec("nicegui")
    assert found, "the official client is missing: requirements-assets.txt names the package that has it"
    return Path(found.origin).parent / "static/socket.io.min.js"


def browser(script, *arguments):
    """Runs a program that requires `socket.io-client`."""
    return node(script, *arguments, SOCKET_IO_CLIENT=str(bundle()))


class Watcher:
    """A client of python-socketio, which writes down what it hears."""

    def __init__(self, server, *subscriptions, query="", auth=None, transports=None, headers=None):
        self.heard, self.kept = queue.Queue(), []
        self.client = socketio.Client(reconnection=False)
        self.client.on("*", lambda event, *arguments: self.heard.put((event, arguments)))
        self.client.on("disconnect", lambda reason: self.heard.put(("disconnect", (reason,))))
        self.client.connect(server.url("") + query, auth=auth, transports=transports, headers=headers or {}, wait_timeout=BOUND)
        for word in subscriptions:
            self.subscribe(word)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()

    def say(self, event, *arguments):
        self.client.emit(event, arguments or None)

    def subscribe(self, word):
        """Subscribes; returns the confirmation. Snapshots may come before it or behind it, and are kept."""
        self.say(f"subscribe_{word}")
        return self.hear("subscribed")

    def hear(self, event):
        """The next event of that name; it has one argument, which is returned. Others are kept for later."""
        for place, (name, arguments) in enumerate(self.kept):
            if name == event:
                del self.kept[place]
                return arguments[0]
        while True:
            name, arguments = self.heard.get(timeout=BOUND)
            assert len(arguments) == 1, (name, arguments)
            if name == event:
                return arguments[0]
            self.kept.append((name, arguments))

    def hear_until(self, event, matches):
        """The next event of that name whose data match; returns the data."""
        while True:
            data = self.hear(event)["data"]
            if matches(data):
                return data

    def fence(self):
        """Asks for something that does not exist; returns the names of what came before the refusal."""
        self.say("fence")
        names = []
        while True:
            name, arguments = self.heard.get(timeout=BOUND)
            if name == "error":
                return names
            names.append(name)
            self.kept.append((name, arguments))


class Page:
    """A program under Node that has the official client; it says one JSON value a line."""

    def __init__(self, program):
        self.program, self.place = program, 0

    def __enter__(self):
        self.program.__enter__()
        return self

    def __exit__(self, *_):
        self.program.__exit__()

    def hear(self, name):
        """The next line whose first element is the name; returns the rest. What stands between is passed over."""
        output = self.program.output

        def find():
            return next((place for place in range(self.place, len(output.seen)) if output.seen[place].startswith(f'["{name}"')), None)
        with output.news:
            output.news.wait_for(lambda: find() is not None or output.ended, BOUND)
            place = find()
            assert place is not None, f"nothing of {name}; the output was:\n" + "\n".join(output.seen)
            self.place = place + 1
            return json.loads(output.seen[place])[1:]

    def said(self, name):
        """All lines of that name so far."""
        return [json.loads(line)[1:] for line in self.program.output.seen if line.startswith(f'["{name}"')]
