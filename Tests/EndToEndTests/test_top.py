"""`signalbox top`: one picture for scripts, and a picture that goes on for people."""
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest

from servers import BINARY, BOUND, environment, run
from workers import Worker


def picture(server, *words):
    answer = run("top", "--once", "--url", server.url(""), *words)
    assert answer.returncode == 0, answer.stderr
    assert "\x1b" not in answer.stdout
    return answer.stdout.splitlines()


def test_once(launch, group):
    server = launch()
    with Worker(server, group, ready={"concurrency": 4, "models": ["m1", "m2"]}) as worker, Worker(server, "other", ready=True):
        tasks = [server.queue(group) for _ in range(2)]
        for task in tasks:
            worker.take(task)
        lines = picture(server)
        assert re.match(r"signalbox top +http://\S+ +2 workers +2 executing +0 queued", lines[0])
        assert "2 submitted   0 completed   0 failed   0 cancelled" == lines[1]
        assert any(re.fullmatch(rf"{group} +1 +2/4 +m1 m2", line) for line in lines)
        assert any(re.fullmatch(rf"{worker.id} +{group} +#####\.\.\.\.\. 2/4 +m1 m2", line) for line in lines)
        worker.finish(tasks[0])
        assert "2 submitted   1 completed   0 failed   0 cancelled" == picture(server)[1]


def test_tasks_of_the_token_s_user(launch, group):
    server = launch("--auth", "all")
    data = server.folder.name + "/data"

    def token(*words): return run("token", "--data", data, *words).stdout.strip()
    refused = run("top", "--once", "--url", server.url(""))
    assert refused.returncode == 1 and "is answered with 401" in refused.stderr
    alice = {"Authorization": "Bearer " + token("--sub", "alice")}
    register = {"task_id": "t-1", "user_id": "alice"}
    service = {"Authorization": "Bearer " + token("--sub", "s", "--role", "publisher")}
    assert server.request("POST", "/api/task/register", register, service).status == 200
    report = {"progress": 40, "message": "half\u0007way"}
    assert server.request("POST", "/api/task/task/t-1/progress", report, service).status == 200
    lines = picture(server, "--token", alice["Authorization"][7:])
    # What others wrote cannot do anything to the terminal.
    assert any(re.fullmatch(r"t-1 +running +####\.\.\.\.\.\. 40% +half\?way", line) for line in lines)
    assert "(no figures: /metrics is not for this token)" in lines
    assert "0 queued" in picture(server, "--token", token("--sub", "root", "--role", "admin"))[0]


def test_it_goes_on_until_ctrl_c(server, group):
    mine, theirs = pty.openpty()
    command = [BINARY, "top", "--url", server.url(""), "--interval-ms", "100"]
    process = subprocess.Popen(command, env=environment(TERM="xterm"), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, end = b"", time.monotonic() + BOUND
    # The second picture has rates.
    while b"submitted (" not in seen:
        assert time.monotonic() < end, seen
        if select.select([mine], [], [], 1)[0]:
            seen += os.read(mine, 65536)
    process.send_signal(signal.SIGINT)
    assert process.wait(BOUND) == 0
    while select.select([mine], [], [], 0)[0]:
        try:
            seen += os.read(mine, 65536)
        except OSError:
            break
    os.close(mine)
    assert seen.startswith(b"\x1b[?1049h") and seen.endswith(b"\x1b[?1049l")


@pytest.mark.parametrize(("words", "code", "sentence"), [
    (["--colour"], 2, "'--colour' is not understood"), (["--url"], 2, "--url needs a value"),
    (["--url", "ftp://host"], 2, "is no address of a server"), (["--url", "host"], 2, "is no address of a server"),
    (["--url", "http://:80"], 2, "names no host"), (["--interval-ms", "1"], 2, "from 100 to 3600000"),
    (["--once", "--url", "http://127.0.0.1:1"], 1, "does not answer"),
])
def test_what_is_wrong_is_said(words, code, sentence):
    answer = run("top", *words)
    assert answer.returncode == code and sentence in answer.stderr and answer.stdout == ""
