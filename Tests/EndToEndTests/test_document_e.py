"""The document of the fleet's vital signs: its own programs, its five families of events field by field, subscriptions, figures of the
machine, alerts, and who may listen."""
import ast
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import socketio

from documents import python
from engines import Polling, Wire
from monitors import Watcher, browser
from servers import BOUND, ROOT, eventually, run
from test_document_g import FOREIGN, SECRET, ending_token, token
from workers import Worker

FOLDER = Path(__file__).parent / "document_e"
WORDS = {"system_resources": "System resources", "model_status": "Model status", "activity_stream": "Activity stream",
         "system_alerts": "System alerts", "deployment_events": "Deployment events"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def level(percent):
    return "critical" if percent >= 90 else "warning" if percent >= 80 else "high" if percent >= 70 else "normal"


def is_number(value, least=0.0, most=float("inf")):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def check_event(update, kind):
    """What all events have in common; returns the data."""
    assert set(update) == {"event_type", "timestamp", "data"} and update["event_type"] == kind
    assert TIME.fullmatch(update["timestamp"]), update["timestamp"]
    return update["data"]


def check_resources(update):
    data = check_event(update, "system_resources_update")
    assert set(data) == {"cpu", "memory", "disk", "gpu", "network", "fleet"}
    assert set(data["cpu"]) == {"usage_percent", "cores", "frequency", "status"}
    assert set(data["memory"]) == {"usage_percent", "total_gb", "available_gb", "status"}
    assert set(data["disk"]) == {"usage_percent", "total_gb", "free_gb", "status"}
    for part in ("cpu", "memory", "disk"):
        assert is_number(data[part]["usage_percent"], 0, 100)
        # The word is of the whole figure, of which one place is told.
        near = {level(data[part]["usage_percent"] + small) for small in (-0.05, 0, 0.05)}
        assert data[part]["status"] in near, data[part]
    assert isinstance(data["cpu"]["frequency"], int)
    assert set(data["gpu"]) == {"available", "device_count", "devices"} and data["gpu"]["device_count"] == len(data["gpu"]["devices"])
    assert data["gpu"]["available"] == bool(data["gpu"]["devices"])
    assert set(data["network"]) == {"bytes_sent", "bytes_recv", "packets_sent", "packets_recv"}
    assert all(isinstance(figure, int) and figure >= 0 for figure in data["network"].values())
    return data


# The document's programs


@pytest.fixture
def program(tmp_path):
    """Writes a program of the document to a file that can be run: only its address is another."""
    def write(name, server):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "localhost:5000" in text
        path = tmp_path / name
        path.write_text(text.replace("localhost:5000", server.address), encoding="utf-8")
        return path
    return write


def test_javascript_client(fleet, program):
    with browser(program("client.js", fleet)) as client:
        client.says("System Resources: {")
        client.output.first(lambda line: "usage_percent: " in line)
        assert client.output.seen[0] == "Connected to server"
        assert client.output.seen[1] == "Subscription confirmed: {"
        assert "  event_type: 'system_resources'," in client.output.seen
        assert "  message: 'System resources subscription successful'," in client.output.seen


def test_javascript_client_is_told_of_the_end_of_the_server(launch, program):
    server = launch()
    with browser(program("client.js", server)) as client:
        client.says("System Resources: {")
        assert server.stop() == 0
        client.says("Disconnected from server")


def test_python_client(fleet, program):
    """Its handlers take one argument each: with the offset of recovery behind it they would fail."""
    with python(program("client.py", fleet)) as client:
        confirmed = ast.literal_eval(client.says("Subscription confirmed: ").split(": ", 1)[1])
        assert confirmed["event_type"] == "system_resources" and confirmed["session_id"].startswith("client_")
        data = ast.literal_eval(client.says("System Resources: ").split(": ", 1)[1])
        assert set(data) == {"cpu", "memory", "disk", "gpu", "network", "fleet"}
        assert client.output.seen[0] == "Connected to server"


@pytest.mark.parametrize("start, name", [(python, "client.py"), (browser, "client.js")], ids=["python", "javascript"])
def test_clients_that_subscribe_to_all_print_alerts(launch, program, start, name):
    """The memory that the alert speaks of is in use on every machine."""
    server = launch("--memory-warning", "0.2", "--memory-critical", "99.9", "--alert-hysteresis", "0.1")
    path = program(name, server)
    path.write_text(path.read_text(encoding="utf-8").replace("'subscribe_system_resources'", "'subscribe_all'"), encoding="utf-8")
    with start(path) as client:
        line = client.says("Alert: High Memory Usage")
        assert "Memory usage reached" in line


# Figures


def meminfo(name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)[1]) * 1024


def network():
    """The counters of all interfaces but the loopback: bytes received, packets received, bytes sent, packets sent."""
    rows = [line.split(":") for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
    figures = [[int(figure) for figure in row[1].split()] for row in rows if row[0].strip() != "lo"]
    return {name: sum(row[place] for row in figures)
            for name, place in (("bytes_recv", 0), ("packets_recv", 1), ("bytes_sent", 8), ("packets_sent", 9))}


def test_figures_are_the_machines(fleet):
    before = network()
    with Watcher(fleet, "system_resources") as watcher:
        watcher.hear("system_resources_update")
        data = check_resources(watcher.hear("system_resources_update"))
    after = network()
    assert data["cpu"]["cores"] == os.cpu_count()
    assert data["memory"]["total_gb"] == pytest.approx(meminfo("MemTotal") / 2**30, abs=0.051)
    assert data["memory"]["available_gb"] <= data["memory"]["total_gb"]
    used = (1 - data["memory"]["available_gb"] / data["memory"]["total_gb"]) * 100
    assert data["memory"]["usage_percent"] == pytest.approx(used, abs=1 + 20 / data["memory"]["total_gb"])
    disk = os.statvfs(fleet.folder.name)
    # As df has it: what is kept for the superuser is neither used nor free.
    assert data["disk"]["total_gb"] == pytest.approx(disk.f_blocks * disk.f_frsize / 2**30, abs=2)
    assert data["disk"]["free_gb"] == pytest.approx(disk.f_bavail * disk.f_frsize / 2**30, abs=2)
    for name, figure in data["network"].items():
        assert before[name] <= figure <= after[name], name


def test_no_gpu(launch):
    server = launch("--nvml-library", "none")
    with Watcher(server, "system_resources") as watcher:
        assert watcher.hear("system_resources_update")["data"]["gpu"] == {"available": False, "device_count": 0, "devices": []}


@pytest.fixture(scope="session")
def nvml(tmp_path_factory):
    """A library with the functions of NVIDIA's, and two GPUs that it makes up."""
    library = tmp_path_factory.mktemp("nvml") / "libnvml.so"
    # A Swift toolchain brings clang along.
    compiler = shutil.which("cc") or Path(shutil.which("swift")).resolve().with_name("clang")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, ROOT / "Tests/NVMLStandIn/NVMLStandIn.c"], check=True, timeout=BOUND)
    return library


def test_gpus(launch, nvml):
    settings = Path(f"{nvml}.settings")
    server = launch("--nvml-library", str(nvml), "--gpu-warning", "80", "--gpu-critical", "97", "--memory-warning", "100",
                    "--memory-critical", "100", "--disk-warning", "100", "--disk-critical", "100")
    settings.write_text("gpu 23 16 100 45 none 0 NVIDIA RTX 4090\ngpu 95 75 100 61 none 0 Other\n")
    with Watcher(server, "system_resources", "system_alerts") as watcher:
        gpu = check_resources(watcher.hear("system_resources_update"))["gpu"]
        assert gpu == {"available": True, "device_count": 2, "devices": [
            {"id": 0, "name": "NVIDIA RTX 4090", "usage_percent": 23, "memory_usage_percent": 16, "temperature": 45, "status": "normal"},
            {"id": 1, "name": "Other", "usage_percent": 95, "memory_usage_percent": 75, "temperature": 61, "status": "critical"}]}
        raised = check_alert(watcher.hear("system_alerts"))
        assert (raised["type"], raised["severity"], raised["resource"]["current_value"]) == ("gpu_threshold", "warning", 95)
        assert raised["actions"] == ["check_gpu_processes"] and raised["resource"]["type"] == "gpu"
        # Below the threshold, yet not by the hysteresis: nothing. Then well below it.
        for usage in (78, 20):
            settings.write_text(f"gpu 23 16 100 45 none 0 NVIDIA RTX 4090\ngpu {usage} 75 100 61 none 0 Other\n")
            watcher.hear_until("system_resources_update", lambda data: data["gpu"]["devices"][1]["usage_percent"] == usage)
        resolved = check_alert(watcher.hear("system_alerts"))
        assert (resolved["alert_id"], resolved["resolved"], resolved["resource"]["current_value"]) == (raised["alert_id"], True, 20)
        assert "system_alerts" not in watcher.fence()


def test_periods_and_one_sample_for_all(fleet):
    """Figures come every two seconds, the same bytes to everybody; how the models do comes every five."""
    with Wire(fleet) as first, Wire(fleet) as second:
        rows = {}
        for wire in (first, second):
            wire.join()
            wire.emit("subscribe_system_resources")
            rows[wire] = []
        first.emit("subscribe_model_status")
        models = 0
        while models < 2:
            text = first.hear()
            models += text.startswith('42["model_status_update"')
            rows[first] += [text] if text.startswith('42["system_resources_update"') else []
        while len(rows[second]) < len(rows[first]):
            text = second.hear()
            rows[second] += [text] if text.startswith('42["system_resources_update"') else []
        times = [json.loads(text[2:])[1]["timestamp"] for text in rows[first]]
        assert len(times) >= 3 and times == sorted(set(times))
        # With what a subscription begins it has an offset of its own.
        assert len(set(rows[first]) & set(rows[second])) >= 2
        updates = [{text.rsplit(",", 1)[0] for text in row} for row in rows.values()]
        both = {json.loads(text[2:])[1]["timestamp"] for text in rows[second]} & set(times)
        assert len(updates[0] & updates[1]) == len(both) >= 2


def test_nothing_is_looked_at_while_nobody_listens(launch):
    server = launch()

    def samples():
        metrics = server.get("/metrics").body.decode()
        return float(re.search(r"^signalbox_\w*samples\w* (\S+)$", metrics, re.M)[1])
    with Watcher(server, "activity_stream", "deployment_events", "model_status") as watcher:
        assert samples() == 0
        watcher.subscribe("system_resources")
        watcher.hear("system_resources_update")
        assert samples() >= 1


# Subscriptions


@pytest.mark.parametrize("word", WORDS)
def test_subscription(fleet, word):
    with Watcher(fleet) as watcher:
        confirmed = watcher.subscribe(word)
        assert set(confirmed) == {"event_type", "message", "session_id"} and confirmed["session_id"].startswith("client_")
        assert (confirmed["event_type"], confirmed["message"]) == (word, f"{WORDS[word]} subscription successful")
        if word in ("system_resources", "model_status"):
            watcher.hear(f"{word}_update")
        watcher.say(f"unsubscribe_{word}")
        answer = watcher.hear("unsubscribed")
        assert answer["event_type"] == word and answer["session_id"] == confirmed["session_id"]
        # Again, and once more: nothing is wrong with that.
        watcher.subscribe(word)
        watcher.subscribe(word)


@pytest.mark.parametrize("word", ["all", "system_monitor"])
def test_all_at_once(fleet, group, word):
    with Watcher(fleet) as watcher:
        confirmed = watcher.subscribe(word)
        assert confirmed["event_type"] == word
        check_resources(watcher.hear("system_resources_update"))
        check_event(watcher.hear("model_status_update"), "model_status_update")
        fleet.request("POST", "/api/activities", {"activity_type": "download_task", "message": group})
        watcher.hear_until("activity_stream", lambda data: data["message"] == group)
        answer = fleet.request("POST", "/api/deployments", {"model_id": group})
        assert answer.status == 201, answer
        watcher.hear_until("deployment_events", lambda data: data["model_id"] == group)
        watcher.say(f"unsubscribe_{word}")
        assert watcher.hear("unsubscribed")["event_type"] == word
        watcher.kept.clear()
        fleet.request("POST", "/api/activities", {"activity_type": "download_task", "message": group})
        fleet.request("DELETE", f"/api/deployments/{answer.json['deployment_id']}")
        assert watcher.fence() == []


def test_one_of_all_is_given_up(fleet, group):
    with Watcher(fleet, "all") as watcher:
        watcher.say("unsubscribe_activity_stream")
        watcher.hear("unsubscribed")
        watcher.kept.clear()
        fleet.request("POST", "/api/activities", {"activity_type": "download_task", "message": group})
        assert "activity_stream" not in watcher.fence()
        watcher.hear("system_resources_update")


@pytest.mark.parametrize("event", ["subscribe_nothing", "hello", "subscribe", "unsubscribe_everything", "SUBSCRIBE_ALL"])
def test_unknown_event(fleet, event):
    with Watcher(fleet) as watcher:
        watcher.say(event, {"some": "data"})
        answer = watcher.hear("error")
        assert answer["message"] and answer["event"] == event


def test_an_acknowledgement_is_the_confirmation(fleet):
    with Watcher(fleet) as watcher:
        answer = watcher.client.call("subscribe_deployment_events", timeout=BOUND)
        assert answer == watcher.hear("subscribed")


def test_there_is_one_namespace(fleet):
    with pytest.raises(socketio.exceptions.ConnectionError, match="Invalid namespace|failed to connect"):
        socketio.Client(reconnection=False).connect(fleet.url(""), namespaces=["/custom"], wait_timeout=BOUND)


# Alerts


def check_alert(update):
    data = check_event(update, "system_alerts")
    named = {"alert_id", "type", "category", "severity", "title", "message", "resource", "actions", "auto_resolve", "resolved"}
    assert set(data) - {"resolved_at"} == named
    assert data["alert_id"].startswith("alert_") and data["severity"] in ("warning", "error", "critical")
    assert set(data["resource"]) - {"id"} == {"type", "current_value", "threshold", "unit"}
    assert data["title"] and data["message"] and isinstance(data["auto_resolve"], bool)
    return data


def test_alerts(launch, tmp_path):
    """Raised at once, told to who comes later, kept; resolved by the life of the server whose thresholds are others."""
    data = str(tmp_path / "data")
    always = ("--disk-warning", "0.1", "--disk-critical", "0.1", "--alert-hysteresis", "0")
    server = launch("--data", data, "--memory-warning", "0.2", "--memory-critical", "99.9", *always)
    with Watcher(server, "system_alerts", "activity_stream") as watcher:
        told = {alert["type"]: alert for alert in (check_alert(watcher.hear("system_alerts")) for _ in range(2))}
        memory, disk = told["memory_threshold"], told["disk_threshold"]
        assert (memory["severity"], disk["severity"], memory["category"]) == ("warning", "critical", "resource_threshold")
        figure = memory["resource"]["current_value"]
        assert memory["resource"] == {"type": "memory", "current_value": figure, "threshold": 0.2, "unit": "%"}
        assert memory["message"] == f"Memory usage reached {figure}%"
        assert (memory["title"], memory["resolved"]) == ("High Memory Usage", False)
        assert memory["actions"] == ["check_processes", "restart_services"]
        assert disk["actions"] == ["cleanup_temp_files", "archive_logs"]
        watcher.hear_until("activity_stream", lambda data: data["activity_type"] == "system_resource_threshold"
                           and data["message"] == memory["message"])
        with Watcher(server, "system_alerts") as late:
            assert {check_alert(late.hear("system_alerts"))["alert_id"] for _ in range(2)} == {memory["alert_id"], disk["alert_id"]}
    listed = server.get("/api/alerts?active=true").json
    assert (listed["count"], listed["active"]) == (2, 2)
    assert {alert["alert_id"] for alert in listed["alerts"]} == {memory["alert_id"], disk["alert_id"]}
    assert all(TIME.fullmatch(alert["raised_at"]) and alert["resolved_at"] is None for alert in listed["alerts"])
    server.process.kill()
    server.process.wait(BOUND)
    server = launch("--data", data, "--memory-warning", "100", "--memory-critical", "100", *always)
    with Watcher(server, "system_alerts") as watcher:
        first, second = (check_alert(watcher.hear("system_alerts")) for _ in range(2))
        assert {first["alert_id"], second["alert_id"]} == {memory["alert_id"], disk["alert_id"]}
        resolved = watcher.hear_until("system_alerts", lambda data: data["resolved"])
        assert resolved["alert_id"] == memory["alert_id"] and TIME.fullmatch(resolved["resolved_at"])
        eventually(lambda: server.get("/api/alerts?active=true").json["count"] == 1, "the end of the alert")
    over = server.get("/api/alerts?active=false").json
    assert [alert["alert_id"] for alert in over["alerts"]] == [memory["alert_id"]] and over["alerts"][0]["resolved"] is True
    page = server.get("/api/alerts?limit=1").json
    rest = server.get(f"/api/alerts?limit=1&cursor={page['next_cursor']}").json
    assert {page["alerts"][0]["alert_id"], rest["alerts"][0]["alert_id"]} == {memory["alert_id"], disk["alert_id"]}
    assert rest["next_cursor"] is None
    for wrong in ("limit=0", "limit=abc", "active=perhaps"):
        assert server.get(f"/api/alerts?{wrong}").status == 400


@pytest.mark.parametrize("options", [
    ["--memory-warning", "90", "--memory-critical", "80"], ["--disk-warning", "101"], ["--gpu-critical", "x"], ["--alert-hysteresis", "-1"],
    ["--socketio-transports", "carrier-pigeon"]])
def test_wrong_options(options):
    result = run("serve", "--listen", "127.0.0.1:0", *options)
    assert result.returncode != 0 and result.stderr


# The fleet's own figures


def test_fleet(fleet, group):
    gpu = {"id": 0, "name": "NVIDIA A100", "usage_percent": 91.5, "memory_usage_percent": 50, "temperature": 60}
    with Worker(fleet, group, ready={"models": ["m1"], "concurrency": 2}) as worker, Watcher(fleet, "system_resources") as watcher:
        worker.send("worker_status", gpus=[gpu], memory={"used_gb": 3.20}, load=[0.5, 1])
        assert worker.fence() == []
        answer = fleet.get("/api/fleet")
        member = next(member for member in answer.json["workers"] if member["group"] == group)
        device = gpu | {"status": "critical"}
        assert member == {
            "worker_id": worker.id, "group": group, "models": ["m1"], "concurrency": 2, "busy": 0, "draining": False, "gpus": [device],
            "connected_at": member["connected_at"], "reported_at": member["reported_at"], "memory": {"used_gb": 3.20}, "load": [0.5, 1]}
        assert b'"memory":{"used_gb": 3.2}' in answer.body or b'"memory":{"used_gb":3.2}' in answer.body
        assert answer.json["total_workers"] >= 1 and answer.json["total_gpus"] >= 1
        mine = {"worker_id": worker.id, "group": group} | device
        told = watcher.hear_until("system_resources_update", lambda data: mine in data["fleet"]["devices"])["fleet"]
        assert told["workers"] >= 1 and told["device_count"] == len(told["devices"])
        worker.send("worker_status", gpus="many")
        worker.receive("error")
    assert all(member["group"] != group for member in fleet.get("/api/fleet").json["workers"])


# Who may


@pytest.fixture
def guarded(launch):
    return launch(AUTH="all", JWT_SECRET=SECRET)


def refusal(server, **options):
    with pytest.raises(socketio.exceptions.ConnectionError) as error:
        Watcher(server, **options)
    return str(error.value)


def test_a_token_is_needed_where_all_need_one(guarded, group):
    alice, bob, admin = (token(*words) for words in (["alice"], ["bob"], ["root", "--role", "admin"]))
    with Watcher(guarded, "activity_stream", auth={"token": alice}) as by_auth, \
            Watcher(guarded, "activity_stream", query=f"?token={bob}") as by_query, \
            Watcher(guarded, "activity_stream", headers={"Authorization": f"Bearer {admin}"}, transports=["polling"]) as by_header:
        answer = guarded.request("POST", "/api/activities", {"activity_type": "download_task", "message": group},
                                 {"Authorization": f"Bearer {alice}"})
        assert answer.status == 201
        # Alice's own, and admins see all.
        for watcher in (by_auth, by_header):
            watcher.hear_until("activity_stream", lambda data: data["message"] == group)
        assert "activity_stream" not in by_query.fence()
        listed = {name: guarded.get("/api/activities", Authorization=f"Bearer {words}").json["count"]
                  for name, words in (("alice", alice), ("bob", bob))}
        assert listed["alice"] == listed["bob"] + 1
    for options in ({}, {"auth": {}}, {"auth": {"token": "nonsense"}}, {"auth": {"token": token("alice", secret=FOREIGN)}},
                    {"auth": {"token": 7}}, {"query": "?token=nonsense"}):
        assert refusal(guarded, **options)
    for path in ("activities", "alerts", "deployments", "fleet"):
        assert guarded.get(f"/api/{path}").status == 401


def test_a_token_ends_while_its_owner_listens(guarded):
    """Who must come back with another one is told so by the end; the old one lets nobody in again."""
    watcher = Watcher(guarded, "all", auth={"token": ending_token("alice", 1)})
    assert watcher.hear("disconnect")
    watcher.client.disconnect()


def test_who_is_refused_hears_why_and_nothing_else(guarded):
    with Wire(guarded) as wire:
        wire.say("40")
        answer = wire.hear()
        assert answer.startswith('44{"message":"')
        wire.emit("subscribe_all")
        assert wire.is_closed()


def test_a_recovery_is_let_in_anew(guarded):
    """The secret of a session is not enough: who comes back must be let in again."""
    with Wire(guarded) as wire:
        names = wire.join("", json.dumps({"token": token("alice")}))
        wire.emit("subscribe_deployment_events")
        _, offset = wire.hear_event("subscribed")
        wire.socket.sock.close()
    back = {"pid": names["pid"], "offset": offset}
    with Wire(guarded) as wire:
        wire.say("40" + json.dumps(back))
        assert wire.hear().startswith("44")
    with Wire(guarded) as wire:
        assert wire.join("", json.dumps(back | {"token": token("bob")}))["pid"] != names["pid"]
    with Wire(guarded) as wire:
        assert wire.join("", json.dumps(back | {"token": token("alice")})) == names


def test_others_are_open_as_the_document_is(fleet):
    session = Polling(fleet)
    session.say("40")
    assert session.hear()[0].startswith('40{"sid":"')
