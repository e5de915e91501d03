"""A server process of ours, from its start to its end, and what it says on the way."""

import re
import subprocess
import threading

PORT = re.compile(r"listening.*127\.0\.0\.1:(\d+)")
START_SECONDS = 20
END_SECONDS = 10


class Failure(Exception):
    """Something could not be started or carried out; its text is for people."""


class Process:
    """Started, listening, and ended by `end`: this process and no other."""

    def __init__(self, name, command, folder, port=None):
        """`port` is the one it was told to take, for a server that does not say where it listens."""
        self.name = name
        self.lines = []
        self.port = None
        self.listening = threading.Event()
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        # Reads to the end, so that a server that logs is never held up by a full pipe.
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if port is not None:
            self.port = port
            return
        self.listening.wait(START_SECONDS)
        if self.port is None:
            self.end()
            raise Failure(f"{name} did not say where it listens: " + " ".join("".join(self.lines).split()))

    def read(self):
        for line in self.process.stdout:
            if self.port is None:
                self.lines = self.lines[-20:] + [line]
                found = PORT.search(line)
                if found:
                    self.port = int(found.group(1))
                    self.listening.set()
        self.listening.set()

    @property
    def pids(self):
        return [self.process.pid]

    @property
    def is_over(self):
        return self.process.poll() is not None

    def url(self, scheme, path=""):
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Group:
    """Several processes that share a port."""

    def __init__(self, processes):
        self.processes = processes
        self.name = processes[0].name
        self.url = processes[0].url

    @property
    def pids(self):
        return [process.process.pid for process in self.processes]

    @property
    def is_over(self):
        return any(process.is_over for process in self.processes)

    def end(self):
        for process in self.processes:
            process.end()
