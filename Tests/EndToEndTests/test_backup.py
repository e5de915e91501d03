"""`signalbox backup`: what it copies of a server at work, what a server finds in the copy, and what is refused."""
import os
import threading

import pytest

from servers import run
from streams import SECRET, bearer
from workers import Worker


@pytest.fixture
def shelf(tmp_path):
    """A folder for copies."""
    return tmp_path


def backup(server, target, **settings):
    return run("backup", "--data", server.folder.name + "/data", str(target), **settings)


def test_a_server_on_the_copy_goes_on_where_the_other_was(launch, shelf, group):
    first = launch()
    with Worker(first, group, ready=True) as worker:
        done = first.queue(group, {"n": 1})
        worker.receive("task")
        worker.finish(done, {"result": 1.0})
        first.until(done, status="completed")
        held = first.queue(group, {"n": 2})
        worker.receive("task")
        waiting = first.queue(group, {"n": 3})
        made = backup(first, shelf / "copy")
        assert made.returncode == 0 and made.stderr == "", made
        assert made.stdout.startswith("copied ") and made.stdout.endswith(" bytes\n")
        # What comes behind it is none of it, and nobody noticed.
        later = first.queue(group, {"n": 4})
        token = run("token", "--sub", "operator", "--role", "admin", "--data", first.folder.name + "/data").stdout.strip()
    second = launch("--data", str(shelf / "copy"))
    assert second.task(done)["status"] == "completed" and second.task(done)["result"] == {"result": 1.0}
    assert second.get(f"/api/task/{later}").status == 404
    # Tokens of before are good, for their secret is in the copy.
    assert second.request("GET", "/api/revocations", headers=bearer(token)).status == 200
    with Worker(second, group) as worker:
        worker.send("ready")
        assert worker.receive("task")["taskId"] == waiting
        worker.finish(waiting, {"n": 3})
        second.until(waiting, status="completed")
    # Whose it was may still come.
    assert second.task(held)["status"] == "executing"


def test_every_receipt_before_the_copy_is_in_it(launch, shelf, group):
    """While others write as fast as they can."""
    server = launch("--max-queue-length", "100000")
    receipts, is_over = [], threading.Event()

    def write():
        while not is_over.is_set():
            receipts.append(server.queue(group))

    with Worker(server, group):
        server.queue(group)
        writers = [threading.Thread(target=write, daemon=True) for _ in range(4)]
        for writer in writers:
            writer.start()
        try:
            for number in range(5):
                while len(receipts) < 50 * (number + 1) and any(writer.is_alive() for writer in writers):
                    is_over.wait(0.01)
                before = list(receipts)
                assert backup(server, shelf / f"copy-{number}").returncode == 0
        finally:
            is_over.set()
            for writer in writers:
                writer.join(30)
        assert len(before) >= 250
    other = launch("--data", str(shelf / "copy-4"))
    assert [task for task in before if other.get(f"/api/task/{task}").status != 200] == []


def test_a_folder_that_nobody_serves(launch, shelf, group):
    server = launch("--data", str(shelf / "data"))
    with Worker(server, group):
        task = server.queue(group)
    assert server.stop() == 0
    if os.geteuid() == 0:
        # As under systemd: root copies what a service has.
        for path in (shelf / "data", *(shelf / "data").iterdir()):
            os.chown(path, 61_184, 61_184)
    made = run("backup", str(shelf / "copy"), DATA=str(shelf / "data"))
    assert made.returncode == 0, made
    assert sorted(os.listdir(shelf / "copy")) == ["jwt-secret", "signalbox.db"]
    for path in (shelf / "copy", *(shelf / "copy").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    assert launch("--data", str(shelf / "copy")).get(f"/api/task/{task}").status == 200


def test_a_secret_of_the_environment_is_not_written_down(launch, shelf):
    server = launch(JWT_SECRET=SECRET)
    assert backup(server, shelf / "copy", JWT_SECRET=SECRET).returncode == 0
    assert os.listdir(shelf / "copy") == ["signalbox.db"]


@pytest.mark.parametrize(("arguments", "code", "words"), [
    ([], 2, "wanted is one folder"),
    (["one", "two"], 2, "wanted is one folder"),
    (["--no-such-flag", "one"], 2, "--no-such-flag"),
    (["--data", ":memory:", "one"], 2, ":memory:"),
    (["--data", "nowhere", "one"], 1, "nowhere/signalbox.db"),
    (["--data", "nowhere", "/dev/null"], 1, "is there already"),
    (["--data", "nowhere", "no/such/parent"], 1, "no/such/parent"),
])
def test_refused(arguments, code, words):
    told = run("backup", *arguments)
    assert told.returncode == code and told.stdout == "" and words in told.stderr and told.stderr.count("\n") == 1, told


def test_nothing_is_left_of_a_copy_that_failed(launch, shelf):
    server = launch()
    (shelf / "copy").write_text("mine")
    assert "is there already" in backup(server, shelf / "copy").stderr
    (shelf / "data").mkdir()
    (shelf / "data" / "signalbox.db").write_text("no database" * 1000)
    told = run("backup", "--data", str(shelf / "data"), str(shelf / "other"))
    assert told.returncode == 1 and "damaged" in told.stderr
    assert sorted(os.listdir(shelf)) == ["copy", "data"] and (shelf / "copy").read_text() == "mine"


def test_help():
    told = run("backup", "--help")
    assert told.returncode == 0 and "signalbox backup [--data DIR] TARGET" in told.stdout
    assert "signalbox backup" in run("--help").stdout
