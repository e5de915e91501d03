#!/usr/bin/env python3
"""A fleet to look at: one server, a few workers, and a stream of tasks, until Ctrl-C ends all of it. `make demo` runs it.

    python3 demo.py --server PROGRAM [--seconds N]

Its data lie in a folder of its own, which goes with it. Nothing is measured here.
"""
import argparse
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A command as a worker: it counts its payload's words, takes its time, and says how far it is.
COUNT = """
read -r payload
for percent in 20 40 60 80; do echo "progress $percent counting" >&2; sleep 0.$((RANDOM % 4 + 1)); done
printf '{"words": %d}' "$(printf %s "$payload" | wc -w)"
"""
WORDS = "the signal is red until the line is clear and the train waits until it is green".split()


def free(port):
    """Whether nobody listens at the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def ask(url, body=None):
    """The status of an answer."""
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=30) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


def orders():
    """Tasks without end: path and body, now of this kind, now of that."""
    for number in itertools.count(1):
        text = " ".join(random.choices(WORDS, k=random.randint(3, 12)))
        if number % 3:
            priority = random.choice(["low", "normal", "high"])
            yield "/api/openai", {"data": {"content": text}, "group": "count", "async": True, "priority": priority}
        else:
            message = {"role": "user", "content": text}
            yield "/v1/chat/completions", {"model": "markov-1", "messages": [message], "stream": True, "max_tokens": 20, "pause": 0.05}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True, type=Path, help="the program")
    parser.add_argument("--seconds", type=float, help="how long, where nobody is there to press Ctrl-C")
    parser.add_argument("--rate", type=float, default=3, help="tasks a second")
    settings = parser.parse_args()
    program = str(settings.server.resolve())
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())

    # Groups of their own: Ctrl-C is for this program, which ends them in order.
    def start(*command, **options):
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)

    with tempfile.TemporaryDirectory(prefix="signalbox-demo-") as folder:
        log = open(os.path.join(folder, "log"), "w+")
        running = [start(program, "serve", "--listen", f"127.0.0.1:{8000 if free(8000) else 0}", "--data", folder, stderr=log)]
        try:
            address = listening(log, running[0], over)
            if address is None:
                return 1
            url, socket_url = f"http://{address}", f"ws://{address}/ws"
            for concurrency in (4, 2):
                running.append(start(
                    program, "worker", "--url", socket_url, "--group", "count", "--concurrency", str(concurrency), "--",
                    "bash", "-c", COUNT, stderr=log))
            running.append(start(
                sys.executable, str(ROOT / "Sources/Clients/examples/worker-openai.py"), socket_url, "openai", stdout=log, stderr=log))
            tell(url, program)
            send(url, over, settings)
        finally:
            # Workers first, so that nobody misses anybody.
            for process in reversed(running):
                end(process)
        print("good-bye")
    return 0


def listening(log, server, over):
    """The address that the server says; None where it says none."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.poll() is None and not over.is_set():
        with open(log.name) as text:
            for line in text:
                if "listening" in line and "address=" in line:
                    return line.split("address=")[1].split()[0]
        time.sleep(0.05)
    with open(log.name) as text:
        print("The server does not listen:", text.read(), sep="\n", file=sys.stderr)
    return None


def tell(url, program):
    if ask(url + "/dashboard") == 200:
        print(f"The fleet in a browser:   {url}/dashboard")
    print(f"The fleet in a terminal:  {program} top --url {url}")
    print(f"Its workers as JSON:      curl -s {url}/api/fleet")
    print(f"A task of yours:          curl -s {url}/api/openai -H 'Content-Type: application/json' "
          "-d '{\"data\": {\"content\": \"how many words\"}, \"group\": \"count\"}'")
    print(f"OpenAI clients:           base_url = {url}/v1, model = markov-1")
    print("Ctrl-C ends it all.", flush=True)


def send(url, over, settings):
    """Gives tasks in, at their rate, until it is over."""
    end = time.monotonic() + settings.seconds if settings.seconds else None
    taken, refused = 0, 0
    threads = threading.BoundedSemaphore(32)
    lock = threading.Lock()

    def give(path, body):
        nonlocal taken, refused
        status = ask(url + path, body)
        threads.release()
        with lock:
            if status == 200:
                taken += 1
            else:
                refused += 1
    for path, body in orders():
        if over.wait(random.expovariate(settings.rate)) or end and time.monotonic() > end:
            break
        if threads.acquire(blocking=False):
            threading.Thread(target=give, args=(path, body), daemon=True).start()
    print(f"{taken} tasks were taken in, {refused} were not")


def end(process):
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
