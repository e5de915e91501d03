"""The descriptions of the API, `/openapi.json` and `/asyncapi.json`: true to their standards, to the table of routes, and to what the
server answers."""
import copy
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pydantic
import pytest
from jsonschema import Draft7Validator
from openapi_spec_validator import validate
from referencing import Registry
from referencing.jsonschema import DRAFT7

with warnings.catch_warnings():
    # Two of its fields are called "schema", as the standard has it, which pydantic warns of.
    warnings.simplefilter("ignore", UserWarning)
    from asyncapi3 import AsyncAPI3

from browsers import Browser
from conftest import shared
from servers import BOUND, ROOT

trusting = shared("--auth", "off")
METHODS = {"get", "post", "put", "delete"}


@pytest.fixture(scope="module")
def openapi(trusting):
    return trusting.get("/openapi.json").json


@pytest.fixture(scope="module")
def asyncapi(trusting):
    return trusting.get("/asyncapi.json").json


def references(value):
    """Everything that a document refers to."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def resolve(document, reference):
    place = document
    for key in reference.removeprefix("#/").split("/"):
        place = place[key.replace("~1", "/").replace("~0", "~")]
    return place


def shape(path):
    """A path whose parameters may be called anything."""
    return re.sub(r"\{[^}]*\}", "{}", path.partition("?")[0])


def patterns():
    """The paths in the server's table of routes, as its source has them."""
    text = "".join(file.read_text() for file in sorted((ROOT / "Sources/Gateway").glob("Routes*.swift")))
    return {found for found in re.findall(r'match\("(/[^"]*)"\)', text) if "..." not in found}


def test_openapi_is_valid_and_complete(openapi):
    validate(openapi)
    assert openapi["openapi"].startswith("3.1")
    names = [one["operationId"] for item in openapi["paths"].values() for one in item.values()]
    assert len(set(names)) == len(names) > 50
    for path, item in openapi["paths"].items():
        for method, one in item.items():
            assert method in METHODS and one["summary"] and set(one["tags"]) <= {tag["name"] for tag in openapi["tags"]}, path
            content = one.get("requestBody", {}).get("content", {})
            assert all("example" in body for body in content.values()), f"{method} {path} has no example"
            for status, answer in one["responses"].items():
                answer = resolve(openapi, answer["$ref"]) if "$ref" in answer else answer
                for kind, body in answer.get("content", {}).items():
                    assert kind != "application/json" or "example" in body or path.endswith(".json"), f"{method} {path} {status} has no example"


def test_asyncapi_holds_together(asyncapi):
    assert asyncapi["asyncapi"] == "3.0.0" and asyncapi["info"].keys() >= {"title", "version"}
    for reference in references(asyncapi):
        assert resolve(asyncapi, reference), reference
    for name, operation in asyncapi["operations"].items():
        channel = resolve(asyncapi, operation["channel"]["$ref"])
        assert operation["action"] in ("send", "receive"), name
        for message in operation["messages"]:
            assert message["$ref"].startswith(operation["channel"]["$ref"] + "/messages/"), name
            assert resolve(asyncapi, resolve(asyncapi, message["$ref"])["$ref"])["examples"]
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel.get("parameters", {})), name


def test_asyncapi_is_valid(asyncapi):
    """Every object of the document is one of AsyncAPI 3.0's, with its members and no others, the bindings for WebSockets among them."""
    AsyncAPI3.model_validate(asyncapi)


@pytest.mark.parametrize("path", [
    "info.version", "operations.worker-receive.action=publish", "operations.worker-receive.channel", "channels.worker.messages=none",
    "channels.worker.colour=red", "channels.worker.bindings.ws.colour=red", "channels.worker.bindings.ws.method=PUT",
    "channels.task.parameters.task_id.colour=red", "components.messages.worker-send-task.colour=red",
    "components.messages.worker-send-task.examples=none", "components.colour=red", "asyncapi=3",
])
def test_a_wrong_asyncapi_would_be_found(asyncapi, path):
    """What was called valid above says something."""
    document = copy.deepcopy(asyncapi)
    path, wrong, value = path.partition("=")
    *way, last = path.split(".")
    place = document
    for key in way:
        place = place[key]
    if wrong:
        place[last] = value
    else:
        del place[last]
    with pytest.raises(pydantic.ValidationError):
        AsyncAPI3.model_validate(document)


def test_examples_of_messages_are_what_their_schemas_say(asyncapi):
    """AsyncAPI's own schemas are those of JSON Schema's seventh draft."""
    registry = Registry().with_resource("urn:asyncapi", DRAFT7.create_resource(asyncapi))
    seen = 0
    for name, message in asyncapi["components"]["messages"].items():
        Draft7Validator.check_schema(message["payload"])
        check = Draft7Validator({"$ref": f"urn:asyncapi#/components/messages/{name}/payload"}, registry=registry)
        for example in message["examples"]:
            check.validate(example["payload"])
            seen += 1
        if message["payload"].get("type") == "object" and message["payload"].get("required"):
            assert not check.is_valid({}), f"{name} takes anything"
    assert seen > 50


def test_every_route_is_described(openapi, asyncapi):
    described = {shape(path) for path in openapi["paths"]} | {shape(channel["address"]) for channel in asyncapi["channels"].values()}
    # A verb of the table is several paths of the description, and Engine.IO's other paths are of its own protocol.
    verbs = {"/api/task/task/{task_id}/{verb}": "/api/task/task/{task_id}/progress", "/api/deployments/{id}/{action}": "/api/deployments/{id}/start"}
    missing = {one for one in patterns() if shape(verbs.get(one, one)) not in described} - {"/socket.io", "/engine.io/"}
    assert len(patterns()) > 40 and not missing


def test_methods_are_those_that_the_server_takes(trusting, openapi):
    for path, item in openapi["paths"].items():
        target = path.replace("{file}", "worker-python.py" if "clients" in path else "house.css").replace("{worker_id}", "W1-1234abcd")
        answer = trusting.request("OPTIONS", re.sub(r"\{\w+\}", "some-name", target))
        allowed = {word.strip().lower() for word in answer.headers["Allow"].split(",")} - {"head", "options"}
        assert allowed == set(item), path


def test_the_server_answers_as_described(trusting, openapi, tmp_path):
    """Schemathesis asks what the description lets it ask, and holds every answer against it."""
    # What its examples name is there.
    example = openapi["components"]["parameters"]["task_id"]["example"]
    assert trusting.request("POST", "/api/task/register", {"task_id": example, "user_id": 1}).status == 200
    assert trusting.request("POST", f"/api/task/task/{example}/progress", {"progress": 50, "message": "asking"}).status == 200
    assert trusting.request("POST", "/api/deployments", {"deployment_id": "dep-1", "model_id": "m", "start": False}).status == 201
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", trusting.url("/openapi.json"), "--phases", "examples,coverage,fuzzing",
        "-n", "5", "--max-time", "20", "--seed", "1", "--generation-deterministic", "--no-color",
        "-c", "status_code_conformance,content_type_conformance,response_schema_conformance,allow_header_conformance",
        # A stream ends with its task; the pages are looked at elsewhere.
        "--exclude-operation-id", "streamEvents", "--exclude-tag", "Server"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=10 * BOUND)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r"(\d{3,}) generated, \1 passed", done.stdout), done.stdout


def test_the_page_shows_all_of_it_and_tries_it(trusting, openapi, asyncapi):
    browser = Browser()
    try:
        page = browser.page(trusting.url("/docs"))
        page.until("document.querySelector('details.operation')")
        shown = page.run("[...document.querySelectorAll('details.operation')].map((one) => one.id)")
        assert sorted(shown) == sorted([one["operationId"] for item in openapi["paths"].values() for one in item.values()]
                                       + [f"socket-{name}" for name in asyncapi["channels"]])
        page.run("document.querySelectorAll('details.operation').forEach((one) => { one.open = true })")
        page.until(f"document.querySelectorAll('details.operation .try').length === {len(shown)}")
        page.click("#getHealth .try button")
        page.until("document.querySelector('#getHealth .try .code')?.innerText.includes('ok')", "an answer")
        page.run("""document.querySelector('#postActivity textarea').value = '{"activity_type":"user_operation","message":"tried from the page"}'""")
        page.click("#postActivity .try button")
        page.until("document.querySelector('#postActivity .try .tag')?.innerText === '201'", "a request with a body")
        page.click("#socket-worker .try button")
        page.until("document.querySelector('#socket-worker .talk').innerText.includes('Connected to Task Dispatcher')", "a socket")
        page.run("document.querySelector('#socket-worker .try input:nth-of-type(2)').value = '{\"type\":\"ping\"}'")
        page.click("#socket-worker .try button[type=submit]")
        page.until("document.querySelector('#socket-worker .talk').innerText.includes('pong')", "its answer")
        page.fill("#find", "dead-letters")
        assert 0 < page.run("document.querySelectorAll('details.operation:not([hidden])').length") < 8
        assert not page.errors, page.errors
    finally:
        browser.close()
    assert json.loads(trusting.get("/api/activities").body)["activities"]
