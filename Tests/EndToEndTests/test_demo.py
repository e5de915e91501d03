"""`make demo`'s program: it shows what it says, works, and takes all with it when it ends."""
import json
import signal
import subprocess
import sys
import time
import urllib.request

from servers import BINARY, BOUND, ROOT, Lines, environment, eventually


def test_it_runs_and_leaves_nothing():
    command = [sys.executable, "-B", "-u", str(ROOT / "Benchmarks/demo.py"), "--server", BINARY, "--rate", "20"]
    demo = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = Lines(demo.stdout)
    try:
        output.first(lambda line: "Ctrl-C ends it all" in line)
        url = output.first(lambda line: "curl -s" in line).split()[-1].removesuffix("/api/fleet")

        def get(path):
            with urllib.request.urlopen(url + path, timeout=BOUND) as answer:
                return answer.read().decode()
        fleet = eventually(lambda: len((found := json.loads(get("/api/fleet")))["workers"]) == 3 and found, "three workers")
        assert sorted(worker["group"] for worker in fleet["workers"]) == ["count", "count", "openai"]

        def completed():
            return any(line.startswith('signalbox_tasks_ended_total{state="completed"}') and float(line.split()[1]) >= 5
                       for line in get("/metrics").splitlines())
        eventually(completed, "five tasks done")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(BOUND) == 0, "\n".join(output.seen)
        output.first(lambda line: "tasks were taken in" in line)
        output.first(lambda line: line == "good-bye")
    finally:
        if demo.poll() is None:
            demo.kill()
            demo.wait(BOUND)
    deadline = time.monotonic() + BOUND
    while True:
        try:
            get("/healthz")
        except OSError:
            break
        assert time.monotonic() < deadline, "the server outlives the demo"


def test_it_can_end_by_itself():
    command = [sys.executable, "-B", str(ROOT / "Benchmarks/demo.py"), "--server", BINARY, "--seconds", "2"]
    ended = subprocess.run(command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert "0 were not" in ended.stdout and "OpenAI clients" in ended.stdout
