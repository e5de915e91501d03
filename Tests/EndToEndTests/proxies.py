"""A wire that can be cut: a TCP proxy in front of a server."""
import socket
import struct
import threading


class Proxy:
    """Passes bytes on, both ways, until it is cut."""

    def __init__(self, server):
        self.server, self.lock, self.pairs, self.is_mended = server, threading.Lock(), [], True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        # How often a client was turned away.
        self.refused = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
        self.listener.close()

    def url(self, path="", scheme="http"):
        return f"{scheme}://{self.address}{path}"

    def cut(self):
        """Ends every connection without a word, and lets none in."""
        with self.lock:
            self.is_mended = False
            for pair in self.pairs:
                for channel in pair:
                    _reset(channel)
            self.pairs = []

    def mend(self):
        with self.lock:
            self.is_mended = True

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if not self.is_mended:
                    self.refused += 1
                    _reset(client)
                    continue
                pair = (client, socket.create_connection((self.server.host, self.server.port)))
                self.pairs.append(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _reset(channel):
    try:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A thread that reads from it keeps it open otherwise.
        channel.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    channel.close()
