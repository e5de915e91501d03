"""A model that dies while it runs. Probes of what runs are rare, and three of them must fail: it dies early, and is looked at late."""
from servers import eventually


def test_a_model_that_dies_is_unhealthy_and_gets_well(doomed):
    server, model, watcher = doomed
    raised = watcher.hear_until("system_alerts", lambda data: data["type"] == "model_health_check_failed")
    assert raised["resource"] == {"type": "model", "id": "doomed", "current_value": 3, "threshold": 3, "unit": "failures"}
    assert (raised["category"], raised["severity"], raised["resolved"]) == ("model_health", "error", False)
    assert raised["actions"] == ["restart_model", "check_logs"]
    noted = watcher.hear_until("activity_stream", lambda data: data["activity_type"] == "model_health_check")
    assert (noted["resource_type"], noted["resource_id"], noted["severity"]) == ("deployment", "doomed", "error")
    state = server.get("/api/deployments/doomed").json
    assert (state["status"], state["health_status"]) == ("running", "unhealthy") and state["note"]
    model.live()
    # A change of what is asked for is asked at once.
    assert server.request("PUT", "/api/deployments/doomed", {"health_path": "/again"}).status == 200
    resolved = watcher.hear_until("system_alerts", lambda data: data["type"] == "model_health_check_failed")
    assert (resolved["alert_id"], resolved["resolved"]) == (raised["alert_id"], True)
    eventually(lambda: server.get("/api/deployments/doomed").json["health_status"] == "healthy", "health")
