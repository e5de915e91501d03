"""Places: a server that is killed and started again on the same folder and the same port, while its clients go on. No test."""
import signal
import socket

from servers import Server


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Place:
    """A folder and a port; `server` is who serves there now. Nobody is asked for a token unless `settings` say so."""

    def __init__(self, folder, *arguments, **settings):
        self.folder, self.port, self.arguments = str(folder), free_port(), arguments
        self.settings = {"AUTH": "off"} | settings
        self.server = None

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *_):
        if self.server.process.poll() is None:
            assert self.server.stop() == 0, "exit code after SIGTERM"
        else:
            self.server.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def open(self):
        self.server = Server(("--data", self.folder, *self.arguments), self.settings, listen=(f"127.0.0.1:{self.port}",))
        self.server.port = self.port
        self.server.log.first(lambda line: "listening" in line)
        return self.server

    def kill(self):
        """Ends the server without a word to anybody."""
        self.server.process.send_signal(signal.SIGKILL)
        self.server.wait()
