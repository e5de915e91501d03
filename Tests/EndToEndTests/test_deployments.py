"""The registry of deployments: over HTTP, by probes, by workers, in the database, and what the fleet's watchers are told of it. The stream
of activities, noted and read."""
import json
import re

import pytest

from models import Model, Silence
from monitors import Watcher
from servers import BOUND, Server, eventually
from test_document_g import SECRET, token
from workers import Worker

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# The document's model object, and what the registry adds.
MODEL = {"deployment_id", "model_id", "name", "status", "health_status", "uptime_seconds", "port", "host", "model_source", "cpu_cores",
         "memory_limit", "created_at", "deployed_at"}
REGISTRY = {"health_path", "source", "note", "container_id", "start_timeout"}


def register(server, expect=201, **members):
    answer = server.request("POST", "/api/deployments", members)
    assert answer.status == expect, answer
    return answer.json


def act(server, name, verb, expect=200):
    answer = server.request("POST", f"/api/deployments/{name}/{verb}")
    assert answer.status == expect, answer
    return answer.json


def read(server, name):
    answer = server.get(f"/api/deployments/{name}")
    assert answer.status == 200, answer
    return answer.json


def until(server, name, **members):
    return eventually(lambda: (state := read(server, name)).items() >= members.items() and state, f"{name} {members}")


def told(watcher, name, *events):
    """The next events of a deployment; returns the last one's data."""
    for event in events:
        data = watcher.hear_until("deployment_events", lambda data: data["deployment_id"] == name)
        assert set(data) == {"deployment_id", "model_id", "event", "status", "message", "details"} and data["message"]
        assert set(data["details"]) == {"name", "model_source", "port", "container_id", "estimated_completion"}
        assert data["event"] == event, data
    return data


# Health


@pytest.fixture(scope="module")
def crowd():
    """A server with more deployments that never answer than it asks at once, and one behind them that would answer."""
    server = Server()
    with Silence() as silence, Model() as model:
        for number in range(80):
            register(server, deployment_id=f"silent-{number}", model_id="m", host="127.0.0.1", port=silence.port, start_timeout=1)
        register(server, deployment_id="last", model_id="m", host="127.0.0.1", port=model.port)
        yield server
    assert server.stop() == 0


def test_what_takes_long_begins(doomed, crowd):
    """What becomes of the doomed one is seen in test_unhealthy.py, and of the crowd at this file's end."""
    assert read(doomed[0], "doomed")["status"] == "running"
    assert read(crowd, "last")["status"] == "deploying"


def test_a_model_that_answers_runs(fleet, group):
    with Model() as model, Watcher(fleet, "deployment_events", "activity_stream", "model_status") as watcher:
        made = register(fleet, deployment_id=group, model_id="llama2-7b", name="LLaMA2 Chat", host="127.0.0.1", port=model.port,
                        model_source="huggingface", cpu_cores=4, memory_limit="8GB", container_id="container-abc", health_path="/up?x=1")
        assert set(made) == MODEL | REGISTRY and made["deployment_id"] == group and made["status"] == "deploying"
        assert (made["health_status"], made["uptime_seconds"], made["deployed_at"]) == ("unknown", 0, None)
        started = told(watcher, group, "deployment_started")
        assert started["message"] == "Starting deployment for llama2-7b" and started["status"] == "deploying"
        completion = started["details"].pop("estimated_completion")
        assert TIME.fullmatch(completion) and completion > made["created_at"]
        assert started["details"] == {
            "name": "LLaMA2 Chat", "model_source": "huggingface", "port": model.port, "container_id": "container-abc"}
        assert told(watcher, group, "deployment_completed")["status"] == "running"
        state = read(fleet, group)
        assert (state["status"], state["health_status"]) == ("running", "healthy") and TIME.fullmatch(state["deployed_at"])
        path, headers = model.probes[0]
        assert path == "/up?x=1" and headers["Host"] == f"127.0.0.1:{model.port}"
        data = watcher.hear_until("activity_stream", lambda data: data["resource_id"] == group and "completed" in data["message"])
        assert (data["activity_type"], data["resource_type"], data["severity"]) == ("model_deployment", "deployment", "info")
        # The picture with which somebody else begins has it, in the document's words.
        with Watcher(fleet, "model_status") as other:
            status = other.hear("model_status_update")["data"]
            assert set(status) == {"total_models", "running_models", "failed_models", "models"}
            shown = next(shown for shown in status["models"] if shown["deployment_id"] == group)
            assert set(shown) == MODEL and shown.items() <= (state | {"uptime_seconds": shown["uptime_seconds"]}).items()
            assert status["total_models"] == len(status["models"]) and 1 <= status["running_models"] <= status["total_models"]
        eventually(lambda: read(fleet, group)["uptime_seconds"] >= 1, "a second of its life")
        assert fleet.request("DELETE", f"/api/deployments/{group}").json == {"deployment_id": group, "removed": True}
        told(watcher, group, "deployment_stopped")
    assert fleet.get(f"/api/deployments/{group}").status == 404


@pytest.mark.parametrize("kind", ["nobody", "silence", "wrong"])
def test_a_model_that_does_not_answer_fails_and_may_be_started_again(fleet, group, kind):
    place = {"nobody": Model, "silence": Silence, "wrong": lambda: Model(503)}[kind]()
    if kind == "nobody":
        place.die()
    with place, Watcher(fleet, "deployment_events", "system_alerts") as watcher:
        register(fleet, deployment_id=group, model_id="m", host="127.0.0.1", port=place.port, start_timeout=0.3)
        failed = told(watcher, group, "deployment_started", "deployment_failed")
        assert failed["status"] == "failed"
        state = read(fleet, group)
        assert (state["status"], state["health_status"]) == ("failed", "unhealthy") and state["note"]
        alert = watcher.hear_until("system_alerts", lambda data: data["resource"].get("id") == group)
        assert (alert["type"], alert["resource"]["type"], alert["resolved"]) == ("model_health_check_failed", "model", False)
        assert alert["actions"] == ["restart_model", "check_logs"]
        if kind == "silence":
            return
        place.status = 200
        if kind == "nobody":
            place.live()
        assert act(fleet, group, "restart")["status"] == "deploying"
        told(watcher, group, "deployment_restarted", "deployment_completed")
        over = watcher.hear_until("system_alerts", lambda data: data["resource"].get("id") == group)
        assert (over["alert_id"], over["resolved"]) == (alert["alert_id"], True)
        assert fleet.request("DELETE", f"/api/deployments/{group}").status == 200


def test_a_host_by_name(fleet, group):
    with Model() as model:
        register(fleet, deployment_id=group, model_id="m", host="localhost", port=model.port)
        until(fleet, group, status="running", health_status="healthy")
        assert model.probes[0][1]["Host"] == f"localhost:{model.port}"
    register(fleet, deployment_id=f"{group}-x", model_id="m", host="no-such-host.invalid", port=80, start_timeout=0.3)
    until(fleet, f"{group}-x", status="failed")


def test_what_is_not_probed_runs(fleet, group):
    state = register(fleet, deployment_id=group, model_id="m")
    assert (state["status"], state["health_status"], state["port"], state["host"]) == ("running", "unknown", None, None)


# The life of one by hand


def test_stop_start_restart(fleet, group):
    with Model() as model, Watcher(fleet, "deployment_events", "activity_stream") as watcher:
        assert register(fleet, deployment_id=group, model_id="m", port=model.port, start=False)["status"] == "pending"
        assert act(fleet, group, "start")["status"] == "deploying"
        told(watcher, group, "deployment_started", "deployment_completed")
        stopped = act(fleet, group, "stop")
        assert (stopped["status"], stopped["health_status"], stopped["uptime_seconds"]) == ("stopped", "unknown", 0)
        told(watcher, group, "deployment_stopped")
        act(fleet, group, "start")
        told(watcher, group, "deployment_started", "deployment_completed")
        act(fleet, group, "restart")
        told(watcher, group, "deployment_restarted", "deployment_completed")
        refused = act(fleet, group, "start", expect=409)
        assert refused["error"] and refused["status"] == "running"
        operation = watcher.hear_until("activity_stream", lambda data: data["resource_id"] == group and "stopped" in data["message"]
                                       and data["activity_type"] == "user_operation")
        assert operation["extra_data"]["operation"] == "stop"
        for verb in ("start", "stop", "restart"):
            act(fleet, "nobody", verb, expect=404)
        assert fleet.request("POST", f"/api/deployments/{group}/explode").status == 404


def test_update(fleet, group):
    with Model() as first, Model() as second:
        register(fleet, deployment_id=group, model_id="m", name="One", port=first.port, memory_limit="8GB")
        until(fleet, group, status="running", health_status="healthy")
        answer = fleet.request("PUT", f"/api/deployments/{group}", {"name": "Two", "port": second.port, "memory_limit": None})
        assert answer.status == 200, answer
        assert (answer.json["name"], answer.json["port"], answer.json["memory_limit"]) == ("Two", second.port, None)
        assert answer.json["model_id"] == "m"
        until(fleet, group, health_status="healthy")
        eventually(lambda: second.probes, "a probe at the new place")
    assert fleet.request("PUT", "/api/deployments/nobody", {"name": "x"}).status == 404


WRONG = [{}, {"model_id": 7}, {"model_id": ""}, {"model_id": "m", "port": 0}, {"model_id": "m", "port": 65536},
         {"model_id": "m", "port": "80"}, {"model_id": "m", "port": 80.5}, {"model_id": "m", "host": "a b"},
         {"model_id": "m", "host": "x\r\ny"}, {"model_id": "m", "host": ""}, {"model_id": "m", "health_path": "up"},
         {"model_id": "m", "health_path": "/a b"}, {"model_id": "m", "health_path": "/\r\nX: y"},
         {"model_id": "m", "start_timeout": 0}, {"model_id": "m", "start_timeout": "soon"}, {"model_id": "m", "cpu_cores": -1},
         {"model_id": "m", "name": []}, {"model_id": "m", "deployment_id": "x" * 300}, {"model_id": "m", "start": "yes"}]


@pytest.mark.parametrize("members", WRONG, ids=[json.dumps(members)[:60] for members in WRONG])
def test_wrong_registration(fleet, members):
    before = fleet.get("/api/deployments").json["total"]
    assert register(fleet, expect=400, **members)["error"]
    assert fleet.get("/api/deployments").json["total"] == before


def test_wrong_requests(fleet, group):
    for body in (b"", b"{", b"[]", b"null", b'"m"'):
        assert fleet.request("POST", "/api/deployments", body).status == 400
    register(fleet, deployment_id=group, model_id="m")
    assert register(fleet, expect=409, deployment_id=group, model_id="m")["error"]
    # A name that only workers' declarations give.
    assert register(fleet, expect=409, deployment_id="worker:a:b", model_id="m")["error"]
    assert fleet.request("PATCH", f"/api/deployments/{group}").status == 405
    assert fleet.request("DELETE", "/api/deployments/nobody").status == 404


def test_a_name_is_made(fleet):
    made = register(fleet, model_id="m")
    assert re.fullmatch(r"dep-[0-9a-f-]{36}", made["deployment_id"]) and made["name"] == "m"
    assert made["deployment_id"] in {row["deployment_id"] for row in fleet.get("/api/deployments").json["deployments"]}


# Workers' own


def test_what_workers_declare(fleet, group):
    with Watcher(fleet, "deployment_events", "model_status") as watcher:
        name = f"worker:{group}:m1"
        with Worker(fleet, group, ready={"models": ["m1"]}) as first:
            told(watcher, name, "deployment_started", "deployment_completed")
            state = read(fleet, name)
            assert (state["status"], state["health_status"], state["source"], state["workers"]) == ("running", "healthy", "worker", 1)
            assert (state["group"], state["model_id"]) == (group, "m1")
            with Worker(fleet, group, ready={"models": ["m1"]}):
                until(fleet, name, workers=2)
            until(fleet, name, workers=1)
            for answer in (fleet.request("DELETE", f"/api/deployments/{name}"), fleet.request("PUT", f"/api/deployments/{name}", {}),
                           fleet.request("POST", f"/api/deployments/{name}/stop")):
                assert answer.status == 409, answer
            assert first.fence() == []
        told(watcher, name, "deployment_stopped")
        assert read(fleet, name)["status"] == "stopped"


# What outlives the process


def test_the_registry_outlives_the_process(launch, tmp_path):
    data = str(tmp_path / "data")
    with Model() as model:
        server = launch("--data", data)
        register(server, deployment_id="runs", model_id="m", name="é", host="127.0.0.1", port=model.port, cpu_cores=2.5, start_timeout=60)
        register(server, deployment_id="stopped", model_id="m")
        register(server, deployment_id="removed", model_id="m")
        register(server, deployment_id="pending", model_id="m", start=False)
        act(server, "stopped", "stop")
        assert server.request("DELETE", "/api/deployments/removed").status == 200
        before = until(server, "runs", status="running", health_status="healthy")
        noted = server.request("POST", "/api/activities", {"activity_type": "user_operation", "message": "before"}).json
        eventually(lambda: noted in server.get("/api/activities").json["activities"], "the activity's place in the database")
        server.process.kill()
        server.process.wait(BOUND)
        probes = len(model.probes)
        server = launch("--data", data)
        listed = {row["deployment_id"]: row["status"] for row in server.get("/api/deployments").json["deployments"]}
        assert listed == {"runs": "running", "stopped": "stopped", "pending": "pending"}
        after = until(server, "runs", health_status="healthy")
        assert after | {"uptime_seconds": 0} == before | {"uptime_seconds": 0}
        assert len(model.probes) > probes, "asked anew"
        assert noted in server.get("/api/activities").json["activities"]


# Activities


def activities(server, query=""):
    answer = server.get(f"/api/activities{query}")
    assert answer.status == 200, answer
    assert set(answer.json) == {"activities", "count", "next_cursor"} and answer.json["count"] == len(answer.json["activities"])
    return answer.json


def test_an_activity(fleet, group):
    with Watcher(fleet, "activity_stream") as watcher:
        posted = {"activity_type": "download_task", "message": f"{group} 下载", "severity": "critical", "resource_type": "model",
                  "resource_id": "llama", "extra_data": {"a": [1, 2.50, None]}}
        body = json.dumps(posted).replace("2.5,", "2.50,").encode()
        answer = fleet.request("POST", "/api/activities", body)
        assert answer.status == 201
        assert set(answer.json) == set(posted) | {"id", "created_at"} and answer.json.items() >= posted.items()
        assert answer.json["id"].startswith("act-") and TIME.fullmatch(answer.json["created_at"])
        assert b"2.50" in answer.body, "numbers go through as they are"
        assert watcher.hear_until("activity_stream", lambda data: data["id"] == answer.json["id"]) == answer.json
        short = fleet.request("POST", "/api/activities", {"activity_type": "user_operation", "message": group}).json
        assert (short["severity"], short["resource_type"], short["resource_id"], short["extra_data"]) == ("info", None, None, {})
        eventually(lambda: short in activities(fleet)["activities"], "the activity's place in the database")
        assert answer.json in activities(fleet)["activities"]


def test_pages_of_activities(fleet, group):
    made = [fleet.request("POST", "/api/activities", {
        "activity_type": "system_resource_threshold" if number % 2 else "download_task", "message": f"{group}-{number}",
        "severity": "error" if number < 2 else "warning"}).json for number in range(7)]
    eventually(lambda: made[-1] in activities(fleet)["activities"], "the activities' place in the database")
    query, rows, pages = "?limit=3", [], 0
    while len([row for row in rows if row in made]) < 7:
        page = activities(fleet, query)
        assert page["count"] == 3
        rows += page["activities"]
        query = f"?limit=3&cursor={page['next_cursor']}"
        pages += 1
    assert [row for row in rows if row in made] == made[::-1] and len({row["id"] for row in rows}) == len(rows) and pages >= 3
    odd = activities(fleet, "?activity_type=system_resource_threshold&limit=2")
    assert odd["activities"] == [made[5], made[3]]
    errors = activities(fleet, "?severity=error&limit=1000")["activities"]
    assert [row for row in errors if row in made] == made[1::-1] and all(row["severity"] == "error" for row in errors)
    assert activities(fleet, "?activity_type=system_resource_threshold&severity=error&limit=1")["activities"] == [made[1]]


@pytest.mark.parametrize("members", [
    {}, {"activity_type": "party", "message": "x"}, {"activity_type": "user_operation"}, {"activity_type": "user_operation", "message": ""},
    {"activity_type": "user_operation", "message": "x", "severity": "fatal"}, {"activity_type": "user_operation", "message": 7},
    {"activity_type": "user_operation", "message": "x", "extra_data": []}, {"activity_type": "user_operation", "message": "x" * 5000},
    {"activity_type": "user_operation", "message": "x", "extra_data": {"y": "x" * 70000}}], ids=range(9))
def test_wrong_activity(fleet, members):
    answer = fleet.request("POST", "/api/activities", members)
    assert answer.status == 400 and answer.json["error"], answer


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "activity_type=party", "severity=fatal", "cursor=" + "x" * 200])
def test_wrong_question_for_activities(fleet, query):
    assert fleet.get(f"/api/activities?{query}").status == 400


def test_tasks_are_activities(fleet, group):
    with Watcher(fleet, "activity_stream") as watcher, Worker(fleet, group, ready=True) as worker:
        task = fleet.queue(group)
        worker.take(task)
        worker.fail(task, "out of memory")
        worker.acknowledged(task)
        told = [watcher.hear_until("activity_stream", lambda data: data["resource_id"] == task) for _ in range(2)]
        assert [(row["severity"], row["resource_type"]) for row in told] == [("info", "task"), ("error", "task")]
        assert "out of memory" in json.dumps(told[1])


# Who may


def test_who_may_change_the_registry(launch):
    server = launch(AUTH="all", JWT_SECRET=SECRET)
    user, publisher = token("alice"), token("deployer", "--role", "publisher")

    def ask(method, path, words, body=None):
        return server.request(method, path, body, {"Authorization": f"Bearer {words}"} if words else {}).status
    form = {"model_id": "m", "deployment_id": "d"}
    assert [ask("POST", "/api/deployments", words, form) for words in (None, user, publisher)] == [401, 403, 201]
    assert ask("POST", "/api/deployments/d/stop", user) == 403 and ask("DELETE", "/api/deployments/d", user) == 403
    assert ask("GET", "/api/deployments/d", user) == 200
    assert ask("POST", "/api/deployments/d/stop", publisher) == 200


# What took long


def test_many_that_never_answer_keep_nobody_from_being_asked(crowd):
    until(crowd, "last", status="running", health_status="healthy")
    for number in range(80):
        until(crowd, f"silent-{number}", status="failed")
