"""Fixtures: running servers, one for each configuration that the tests need, and what is to be sent to them."""
import itertools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from models import Model
from monitors import Watcher
from servers import BINARY, ROOT, Server, eventually

_groups = itertools.count(1)


def autobahn_scripts():
    """The folder with the conformance suite's scripts, where there is one."""
    folder = Path(os.environ.get("AUTOBAHN_DIR") or ROOT.parent / "shared/tools/autobahn")
    return folder if (folder / "run.sh").is_file() else None


def autobahn_runner():
    """How the conformance suite can be run here: its scripts, wstest, docker; None where there is nothing of the kind."""
    if autobahn_scripts():
        return "scripts"
    if shutil.which("wstest"):
        return "wstest"
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True).returncode == 0:
        return "docker"
    return None


# Where the suite cannot run, its file is no part of the tests, and the first lines of the report say so.
collect_ignore = [] if autobahn_runner() else ["test_autobahn.py"]


def pytest_report_header(config):
    return [f"signalbox: {BINARY}", f"autobahn: {autobahn_runner() or 'not applicable here (no scripts, no wstest, no docker)'}"]


def pytest_sessionstart(session):
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"there is no program at {BINARY}; build it, or set SIGNALBOX_BIN", returncode=2)


@pytest.fixture
def launch():
    """Starts servers of a test's own; those that still run at its end are stopped."""
    started = []

    def start(*arguments, listen=("127.0.0.1:0",), **settings):
        started.append(Server(arguments, settings, listen))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            assert server.stop() == 0, "exit code after SIGTERM"
        else:
            server.close()


def shared(*arguments, **settings):
    """A server for the whole session. Every test that uses it must find it alive and leave it so."""
    @pytest.fixture(scope="session")
    def running():
        server = Server(arguments, settings)
        yield server
        alive = server.process.poll() is None
        code = server.stop()
        assert alive, f"the server ended by itself with {code}:\n" + "\n".join(server.log.seen[-20:])
        assert code == 0, "exit code after SIGTERM"
    return running


# As it is out of the box.
server = shared()
# Tasks must be done soon.
brisk = shared(MIN_TASK_TIMEOUT_MS=100, TASK_TIMEOUT_MS=300, MAX_TASK_TIMEOUT_MS=600)
# Results are forgotten soon.
forgetful = shared(TASK_RESULT_TTL_MS=200)
# Requests must arrive fast, and connections do not stay for nothing.
impatient = shared("--echo-path", "/echo", REQUEST_TIMEOUT_MS=200, KEEP_ALIVE_TIMEOUT_MS=200, PING_INTERVAL_MS=1000)
# Echo endpoints for the WebSocket layer.
echo = shared("--echo-path", "/echo")
deflating_echo = shared("--echo-path", "/echo", "--deflate")
# As it is out of the box, for tests that listen to all that happens: only they and their like make something happen.
fleet = shared()
# What the official suites of Engine.IO and Socket.IO expect, and the same with time enough for a slow machine.
trial = shared("--socketio-test-mode")
calm_trial = shared("--socketio-test-mode", "--socketio-ping-interval-ms", "25000", "--socketio-ping-timeout-ms", "20000")


@pytest.fixture(scope="session")
def doomed():
    """A server, a model of its registry that ran and is dead now, and a watcher. Asked for early, looked at late: to see it takes long."""
    server, model = Server(), Model()
    form = {"deployment_id": "doomed", "model_id": "m", "host": "127.0.0.1", "port": model.port}
    assert server.request("POST", "/api/deployments", form).status == 201
    eventually(lambda: server.get("/api/deployments/doomed").json["health_status"] == "healthy", "health")
    watcher = Watcher(server, "system_alerts", "activity_stream")
    model.die()
    # A new place is asked at once, and then as any other.
    assert server.request("PUT", "/api/deployments/doomed", {"health_path": "/elsewhere"}).status == 200
    yield server, model, watcher
    watcher.client.disconnect()
    model.die()
    assert server.stop() == 0


@pytest.fixture
def group():
    """A name of a group that no other test uses, so that tests of one server do not meet."""
    return f"group-{next(_groups)}"
