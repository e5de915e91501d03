"""What every process of the soak has in common: it ends with the one that started it, it draws its chances from a seed, and it says what it
saw as lines appended to a file, which outlive it even under SIGKILL.
"""
import ctypes
import hashlib
import os
import signal

PR_SET_PDEATHSIG = 1


def end_with_parent():
    """The kernel kills this process when its parent is gone, also while it is stopped."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def digest(secret, number, text):
    """The right result of a task: only who has the payload can tell it."""
    return hashlib.sha256(f"{secret}:{number}:{text}".encode()).hexdigest()


class Journal:
    """Lines in a file, each written by one call: a process that is killed leaves whole lines."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, *words):
        os.write(self.file, (" ".join(str(word) for word in words) + "\n").encode())


class Reading:
    """Such a file, read on from where the last reading ended."""

    def __init__(self, path):
        self.path, self.at = path, 0

    def lines(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.at)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self.at += end
        return [line.split(" ") for line in data[:end].decode().splitlines()]
