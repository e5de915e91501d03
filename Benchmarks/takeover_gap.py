#!/usr/bin/env python3
"""How long do those who connect wait while one server takes over from another? One client after the other connects and asks for /healthz;
the longest wait around each of several takeovers is its gap. Nobody may be refused.

    python3 Benchmarks/takeover_gap.py [TASKS [WATCHERS [TAKEOVERS]]]     SIGNALBOX_BIN names the program

TASKS wait in the database, WATCHERS event streams are open in the server that gives way. The slowest request's time is not in it: nobody waits.
"""
import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

BINARY = os.environ.get("SIGNALBOX_BIN", ".build/release/signalbox")


def begin(folder):
    process = subprocess.Popen(
        [BINARY, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", "--takeover", f"{folder}/door", "--auth", "off",
         "--max-queue-length", "1000000", "--lease-ms", "3600000", "--task-timeout-ms", "600000"], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if 'event="took over"' in line:
            process.waited = int(re.search(r"milliseconds=(\d+)", line)[1])
        if "event=accepting" in line:
            process.accepting = int(re.search(r"milliseconds=(\d+)", line)[1])
        if match := re.search(r"event=listening address=127\.0\.0\.1:(\d+)", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return process, int(match[1])
    sys.exit("the server did not begin")


def fill(port, tasks):
    """Lets tasks wait: their worker takes none."""
    head = b"GET /ws?group=g&ready=explicit HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as worker:
        worker.sendall(head)
        worker.recv(4096)

        def submit(count):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            body = json.dumps({"data": {"prompt": "x" * 200}, "group": "g", "async": True})
            for _ in range(count):
                connection.request("POST", "/api/openai", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                name = json.loads(answer.read())["taskId"]
            names.append(name)
        names = []
        threads = [threading.Thread(target=submit, args=(max(tasks // 8, 1),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return names[0]


def watch(port, task, count):
    request = f"GET /api/tasks/{task}/events HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    watchers = []
    for _ in range(count):
        channel = socket.create_connection(("127.0.0.1", port))
        channel.sendall(request)
        watchers.append(channel)
    for channel in watchers:
        channel.recv(4096)
    return watchers


class Client(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.over, self.longest, self.count = port, False, 0.0, 0

    def run(self):
        while not self.over:
            start = time.monotonic()
            with socket.create_connection(("127.0.0.1", self.port)) as channel:
                channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert channel.recv(4096), "a connection was ended without an answer"
            self.longest = max(self.longest, time.monotonic() - start)
            self.count += 1


def main():
    tasks, watchers, takeovers = (int(word) for word in (sys.argv[1:] + ["10000", "1000", "5"][len(sys.argv) - 1:]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="signalbox-") as folder:
        server, port = begin(folder)
        task = fill(port, tasks)
        for number in range(takeovers):
            streams = watch(port, task, watchers)
            client = Client(port)
            client.start()
            time.sleep(0.5)
            before = client.longest
            heir, _ = begin(folder)
            time.sleep(0.5)
            assert client.is_alive(), "the client was refused"
            client.over = True
            client.join()
            print(f"takeover {number + 1}: {client.count} requests, the longest wait {client.longest * 1000:.0f} ms "
                  f"({before * 1000:.0f} ms before); the successor got the data after "
                  f"{heir.waited} ms and served after {heir.accepting} ms")
            for stream in streams:
                stream.close()
            assert server.wait(60) == 0
            server = heir
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    main()
