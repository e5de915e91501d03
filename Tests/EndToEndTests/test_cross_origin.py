"""Pages of other origins, in a browser: what --allow-origin lets them ask for and read, and that nobody else reads anything."""
import contextlib
import http.server
import json
import threading

import pytest

from browsers import Browser
from servers import run
from workers import Worker

SECRET = "a secret of thirty-two bytes, or of more"


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """A site with one empty page."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>elsewhere</title>")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def site():
    """Its origin."""
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.fixture(scope="module")
def browser():
    started = Browser()
    yield started
    started.close()


@pytest.fixture
def friend(browser):
    """A page and its origin."""
    with site() as origin:
        page = browser.page(origin)
        yield page, origin
        page.close()


def token(*words):
    return run("token", *words, JWT_SECRET=SECRET).stdout.strip()


def fetch(page, url, options="{}"):
    """Status and text of an answer, or the name of the error."""
    return page.run(f"fetch({json.dumps(url)}, {options}).then(async (answer) => [answer.status, await answer.text()], (error) => error.name)")


def test_a_named_origin_uses_all_of_the_api(launch, friend, group):
    page, origin = friend
    server = launch("--allow-origin", origin, JWT_SECRET=SECRET)
    bearer = token("--sub", "alice")
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}

    def post(path, body, **more):
        options = {"method": "POST", "headers": headers | more, "body": json.dumps(body)}
        return fetch(page, server.url(path), json.dumps(options))

    # Refusals can be read: no worker, no token, no such task, a body that is none.
    status, text = post("/api/openai", {"data": {}, "group": group})
    assert (status, json.loads(text)["error"]) == (503, "No worker available")
    assert fetch(page, server.url("/api/task/tasks"))[0] == 401
    assert fetch(page, server.url("/api/task/none"), json.dumps({"headers": headers}))[0] == 404
    assert post("/api/openai", [])[0] == 400
    with Worker(server, group, ready={"models": [group]}) as worker:
        status, text = post("/api/openai", {"data": {"n": 1}, "group": group, "async": True}, **{"Idempotency-Key": group})
        assert status == 200
        task = json.loads(text)["taskId"]
        worker.take(task)
        # A stream of events, as the page's own EventSource has it.
        page.run(f"""(() => {{
            window.heard = []
            const source = new EventSource({json.dumps(server.url(f"/api/tasks/{task}/events?token={bearer}"))})
            source.onopen = () => heard.push('open')
            source.addEventListener('task_completed', (event) => {{ heard.push(JSON.parse(event.data).success); source.close() }})
        }})()""")
        page.until("heard.includes('open')", "the stream")
        worker.finish(task)
        page.until("heard.includes(true)", "the end")
        # A completion in pieces, with a field of those that a stock client of OpenAI's adds.
        options = {"method": "POST", "headers": headers | {"X-Stainless-Lang": "js"},
                   "body": json.dumps({"model": group, "messages": [], "stream": True})}
        page.run(f"window.whole = fetch({json.dumps(server.url('/v1/chat/completions'))}, {json.dumps(options)}).then((one) => one.text()); 1")
        order = worker.receive("task")
        worker.send("task_chunk", taskId=order["taskId"], chunk={"n": 1})
        worker.finish(order["taskId"])
        assert page.run("whole") == 'data: {"n": 1}\n\ndata: [DONE]\n\n'
        # The library, loaded from the server.
        source = json.dumps(server.url("/clients/javascript/signalbox.js"))
        page.run(f"""(async () => {{
            const {{ SignalboxClient }} = await import({source})
            const client = new SignalboxClient({{ url: {json.dumps(server.url(""))}, token: {json.dumps(bearer)} }})
            window.task = await client.submit({{ n: 2 }}, {{ group: {json.dumps(group)} }})
        }})()""")
        worker.finish(worker.receive("task")["taskId"])
    page.errors.clear()  # The browser logs every status that says no.


def test_nobody_else_reads_anything(launch, friend, server):
    page, origin = friend
    other = launch("--allow-origin", "https://app.example")
    for one in (server, other):
        assert fetch(page, one.url("/healthz")) == "TypeError"
        assert fetch(page, one.url("/api/openai"), "{method: 'POST', body: '{}'}") == "TypeError"
        assert page.run(f"import({json.dumps(one.url('/clients/javascript/signalbox.js'))}).catch((error) => error.name)") == "TypeError"
        refused = one.request("OPTIONS", "/api/openai", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert refused.status == 403 and refused.headers["Access-Control-Allow-Origin"] is None
        before = page.run(f"new Promise((done) => {{ const one = new WebSocket({json.dumps(one.url('/api/v1/ws', 'ws'))})\n"
                          "one.onopen = () => done('open'); one.onerror = () => done('refused') })")
        assert before == "refused"
    assert server.get("/healthz", Origin=origin).headers["Vary"] is None
    # A cache must not give the one's answer to the other.
    assert other.get("/healthz").headers["Vary"] == "Origin"
    page.errors.clear()
