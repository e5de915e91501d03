"""The dispatch document's own code, block by block, as it stands there; only the server's address is another."""
import os
import subprocess
import sys
from pathlib import Path

from servers import BOUND, Lines

FOLDER = Path(__file__).parent / "document_d"
ADDRESS = "localhost:3000"
# Client libraries call handlers in threads of their own, and print writes its arguments one by one: a line is written in one piece here,
# so that two threads' lines never mix.
WHOLE_LINES = """
import builtins, io, os, runpy, sys
write = builtins.print
def print(*values, file=None, flush=False, **words):
    line = io.StringIO()
    write(*values, file=line, **words)
    (file or sys.stdout).write(line.getvalue())
builtins.print, sys.argv, sys.path[0] = print, sys.argv[1:], os.path.dirname(sys.argv[1])
runpy.run_path(sys.argv[0], run_name="__main__")
"""
# Ours first: what stands there goes by the name of the package that it wraps.
NODE_PATHS = (str(Path(__file__).parent / "node"), "/usr/share/nodejs", "/usr/lib/nodejs")


def block(name, server, **replacements):
    text = (FOLDER / name).read_text(encoding="utf-8")
    assert ADDRESS in text
    text = text.replace(ADDRESS, server.address)
    for old, new in replacements.items():
        text = text.replace("{" + old + "}", new)
    return text


class Program:
    """A program that runs beside the test, its output line by line."""

    def __init__(self, command, **environment):
        self.process = subprocess.Popen(command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        self.output = Lines(self.process.stdout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.end()

    def end(self):
        """Waits for its end; returns exit code and output."""
        code = self.process.wait(BOUND)
        self.output.thread.join(BOUND)
        self.process.stdout.close()
        return code, "\n".join(self.output.seen)

    def says(self, words):
        return self.output.first(lambda line: words in line)


def shell(script):
    return Program(["bash", "-c", script])


def python(script, *arguments):
    return Program([sys.executable, "-u", "-c", WHOLE_LINES, str(script), *arguments])


def node(script, *arguments, flags=(), **environment):
    path = ":".join(filter(None, (os.environ.get("NODE_PATH"), *NODE_PATHS)))
    return Program(["node", *flags, str(script), *arguments], NODE_PATH=path, **environment)


def node_has(expression, *flags):
    """Whether Node, started with these flags, finds the expression true."""
    path = ":".join(filter(None, (os.environ.get("NODE_PATH"), *NODE_PATHS)))
    result = subprocess.run(["node", *flags, "-e", f"process.exit({expression} ? 0 : 1)"], env=os.environ | {"NODE_PATH": path},
                            capture_output=True, timeout=BOUND)
    return result.returncode == 0
