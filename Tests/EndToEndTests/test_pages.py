"""The web pages, as a person uses them: in a browser, against the real server. What one does on one page is seen on the other."""
import json
import re

import pytest

from browsers import Browser
from conftest import shared
from servers import eventually, run

# Whoever has the page may do everything.
trusting = shared("--auth", "off")
# A long line of tasks has room.
roomy = shared("--auth", "off", "--max-queue-length", "100000")
guarded = shared("--auth", "all", JWT_SECRET="a secret of thirty-two bytes, or of more")

HOSTILE = """<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>"""


@pytest.fixture(scope="module")
def browser():
    started = Browser()
    yield started
    started.close()


@pytest.fixture
def visit(browser):
    """Opens pages; at the end of the test none of them may have logged an error."""
    pages = []

    def visit(server, path, **options):
        pages.append(browser.page(server.url(path), **options))
        return pages[-1]

    yield visit
    for page in pages:
        errors = page.errors
        page.close()
        assert not errors, errors


def become(page, group, mode="hand", **fields):
    """Lets the page of the test worker connect."""
    for name, value in {"group": group, "task-group": group, "mode": mode, **fields}.items():
        page.fill(f"#{name}", str(value))
    page.click("#connect")
    page.until("document.querySelector('#state').innerText === 'connected' && document.querySelector('#worker-id').innerText !== ''")


def submit(page, data):
    """Submits a task on the page; returns its id."""
    page.run("document.querySelector('#answer').textContent = ''")
    page.fill("#task-data", json.dumps(data))
    page.click("#submit button[type=submit]")
    return page.until("document.querySelector('#answer').textContent.match(/\"taskId\": \"([^\"]+)\"/)?.[1]", "the answer")


def live(page):
    page.until("document.querySelector('#state')?.innerText === 'live'", "the feed")


def row(list_name, task):
    return f"document.querySelector('#{list_name} [data-task={json.dumps(task)}]')"


def in_hand(page):
    return page.until("document.querySelector('#hands > li')?.dataset.task", "a task in hand")


# MARK: What is done on one page is seen on the other

def test_a_task_is_seen_cancelled_and_seen_to_be(trusting, visit, group):
    worker, dashboard = visit(trusting, "/test-worker"), visit(trusting, "/dashboard")
    live(dashboard)
    become(worker, group)
    task = submit(worker, {"prompt": "a lighthouse"})
    assert in_hand(worker) == task
    dashboard.until(f"{row('executing', task)}?.innerText.includes('a lighthouse')", "the request's content")
    name = worker.text("#worker-id")
    dashboard.until(f"document.querySelector('#workers [data-worker={json.dumps(name)}] .tag').innerText === 'busy'")
    dashboard.run(f"{row('executing', task)}.querySelector('.actions button').click()")
    dashboard.until(f"{row('ended', task)}?.innerText.includes('cancelled')", "the end")
    dashboard.until(f"!{row('executing', task)}")
    worker.until("document.querySelectorAll('#hands > li').length === 0", "empty hands")
    assert '"type":"cancel"' in worker.text("#messages")
    worker.click("#connect")
    dashboard.until(f"!document.querySelector('#workers [data-worker={json.dumps(name)}]')", "the worker's end")


def test_what_a_worker_does_by_hand_is_seen(trusting, visit, group):
    worker, dashboard = visit(trusting, "/test-worker"), visit(trusting, "/dashboard")
    live(dashboard)
    become(worker, group)
    task = submit(worker, {"prompt": "by hand"})
    assert in_hand(worker) == task

    def press(words):
        worker.run(f"[...document.querySelectorAll('#hands button')].find((one) => one.innerText === '{words}').click()")

    press("Report")
    dashboard.until(f"{row('executing', task)}?.innerText.includes('working') && {row('executing', task)}.querySelector('progress').value === 60")
    press("Send")
    press("Complete")
    dashboard.until(f"{row('ended', task)}?.innerText.includes('completed') && {row('ended', task)}.innerText.includes('\"done\"')")
    messages = worker.text("#messages")
    assert all(f'"type":"{kind}"' in messages for kind in ("connected", "ready", "task", "task_progress", "task_logs", "task_complete", "task_ack"))
    # Everything about it, and the request with its answer.
    dashboard.run(f"{row('ended', task)}.querySelector('.task').click()")
    dashboard.until("document.querySelector('#task').open")
    assert task in dashboard.text("#task") and "completed" in dashboard.text("#task")
    dashboard.key("Escape")
    dashboard.until("!document.querySelector('#task').open")
    dashboard.fill("#log-text", "by hand")
    dashboard.until("document.querySelector('#log details')", "the request in the log")
    dashboard.click("#log summary")
    dashboard.until(f"document.querySelector('#log .bodies')?.innerText.includes('by hand') && document.querySelector('#log .bodies').innerText.includes({json.dumps(task)})")
    dashboard.fill("#log-text", "no such words anywhere")
    dashboard.until("document.querySelectorAll('#log > li').length === 0")


def test_it_works_by_itself(trusting, visit, group):
    worker, dashboard = visit(trusting, "/test-worker"), visit(trusting, "/dashboard")
    live(dashboard)
    become(worker, group, mode="complete", seconds=0, reports=3)
    worker.fill("#task-count", "5")
    submit(worker, {"n": 1})
    worker.until("document.querySelector('#messages').innerText.split('\"type\":\"task_ack\"').length === 6", "five results")
    dashboard.until("[...document.querySelectorAll('#ended > tr')].filter((one) => one.innerText.includes('test worker')).length >= 5")
    assert "completed" in dashboard.run("document.querySelector('#throughput svg').getAttribute('aria-label')")


def test_a_failed_task_is_tried_again(trusting, visit, group):
    worker, dashboard = visit(trusting, "/test-worker"), visit(trusting, "/dashboard")
    live(dashboard)
    become(worker, group, mode="fail", seconds=0, reports=0)
    task = submit(worker, {"n": "again"})
    dashboard.until(f"{row('letters', task)}?.innerText.includes('failed by the test worker')", "a dead letter")
    worker.fill("#mode", "hand")
    dashboard.until(f"{row('ended', task)}?.querySelector('.actions button')", "a way to try it again")
    dashboard.run(f"{row('ended', task)}.querySelector('.actions button').click()")
    second = in_hand(worker)
    assert second != task and "again" in worker.text("#hands pre")
    dashboard.until(f"!{row('letters', task)}", "the letter's end")


def test_a_worker_is_sent_home(trusting, visit, group):
    worker, dashboard = visit(trusting, "/test-worker"), visit(trusting, "/dashboard")
    live(dashboard)
    become(worker, group)
    place = f"#workers [data-worker={json.dumps(worker.text('#worker-id'))}]"
    dashboard.until(f"document.querySelector({json.dumps(place)})")
    dashboard.run(f"document.querySelector({json.dumps(place + ' button')}).click()")
    worker.until("document.querySelector('#state').innerText === 'not connected'", "the worker's end")
    dashboard.until(f"!document.querySelector({json.dumps(place)})")


def test_the_first_of_many_are_shown(roomy, visit):
    dashboard, worker = visit(roomy, "/dashboard"), visit(roomy, "/test-worker")
    live(dashboard)
    become(worker, "many")
    many = 1500
    for number in range(many + 1):
        assert roomy.request("POST", "/api/openai", {"data": {"number": number}, "group": "many", "async": True}).status == 200
    dashboard.until(f"document.querySelector('#waiting-count').innerText === '{many:,}'", "the count")
    dashboard.until("document.querySelectorAll('#waiting > tr').length === 20")
    assert dashboard.text("#waiting > tr .number") == "#1" and dashboard.text("#waiting-more") == "the first 20"
    # The rest is a press away, as far as the server tells it; what is not asked for is not there.
    more = "document.querySelector('#waiting').closest('.scroll').querySelector('.more')"
    for shown, label in ((40, "Show 20 more"), (50, "Show 10 more")):
        assert dashboard.run(f"{more}.innerText") == label
        dashboard.run(f"{more}.click()")
        dashboard.until(f"document.querySelectorAll('#waiting > tr').length === {shown}")
    assert dashboard.run(f"{more}.hidden") and dashboard.text("#waiting > tr:last-child .number") == "#50"
    dashboard.until("document.querySelectorAll('#log > li').length === 20")
    names = dashboard.run("[...document.querySelectorAll('#figures dt')].map((one) => one.textContent.replaceAll('\u00a0', ' '))")
    assert "workers, 1 of 1 busy" in names
    # A page of it all is small, however much there is.
    assert dashboard.run("document.querySelectorAll('*').length") < 2500


def test_many_activities_are_drawn_together(trusting, visit, group):
    """However much comes, the log is drawn a few times a second, and holds no more than it shows lines."""
    count = "new MutationObserver((all) => { window.draws += 1 }).observe(document.querySelector('#log'), {childList: true}); window.draws = 0"
    dashboard, worker = visit(trusting, "/dashboard"), visit(trusting, "/test-worker")
    live(dashboard)
    dashboard.run(count)
    worker.run("""Promise.all(Array.from({length: 400}, (_, number) => fetch('/api/activities', {method: 'POST', headers: {'Content-Type': 'application/json'},
        body: JSON.stringify({activity_type: 'user_operation', message: `number ${number}`, resource_type: 'x'})})))""")
    dashboard.fill("#log-text", "number 399")
    dashboard.until("document.querySelector('#log > li')?.innerText.includes('number 399')", "the last")
    dashboard.fill("#log-text", "")
    dashboard.until("document.querySelectorAll('#log > li').length === 20")
    presses = 0
    while not dashboard.run("document.querySelector('#log').closest('.scroll').querySelector('.more').hidden"):
        dashboard.run("document.querySelector('#log').closest('.scroll').querySelector('.more').click()")
        presses += 1
        assert presses < 20
    assert dashboard.run("document.querySelectorAll('#log > li').length") == 300
    # One for each line was 400 and more.
    assert dashboard.run("window.draws") < 200


def test_the_dashboard_comes_back_by_itself(launch, visit):
    server = launch("--auth", "off")
    dashboard = visit(server, "/dashboard")
    live(dashboard)
    port = server.port
    assert server.stop() == 0
    dashboard.until("document.querySelector('#state').innerText === 'reconnecting'", "the break")
    again = launch("--auth", "off", listen=(f"127.0.0.1:{port}",))
    live(dashboard)
    again.host, again.port = "127.0.0.1", port
    # What is told now is what the new server has.
    answer = again.request("POST", "/api/activities", {"activity_type": "user_operation", "message": "back again", "resource_type": "x"})
    assert answer.status == 201
    dashboard.until("document.querySelector('#log').innerText.includes('back again')", "the fleet's socket as well")
    # A connection that is refused is one of the things that a browser logs.
    dashboard.errors.clear()


# MARK: What strangers send

def test_hostile_words_stay_words(trusting, visit, group):
    worker, dashboard = visit(trusting, "/test-worker"), visit(trusting, "/dashboard")
    live(dashboard)
    become(worker, group + HOSTILE, models=HOSTILE)
    worker.fill("#raw-text", json.dumps({"type": "worker_status", "gpus": [{"id": 0, "name": HOSTILE, "usage_percent": 1}]}))
    worker.click("#raw button")
    worker.fill("#task-model", HOSTILE)
    task = submit(worker, {HOSTILE: HOSTILE})
    assert in_hand(worker) == task
    worker.fill("#raw-text", json.dumps({"type": "task_progress", "taskId": task, "progress": 5, "step": HOSTILE, "message": HOSTILE}))
    worker.click("#raw button")
    dashboard.until(f"{row('executing', task)}?.innerText.includes('onerror') && {row('executing', task)}.querySelector('progress').value > 40")
    dashboard.run(f"{row('executing', task)}.querySelector('.task').click()")
    dashboard.until("document.querySelector('#task').open")
    worker.fill("#raw-text", json.dumps({"type": "task_error", "taskId": task, "error": HOSTILE}))
    worker.click("#raw button")
    dashboard.until(f"{row('ended', task)}?.innerText.includes('onerror') && {row('letters', task)}")
    assert trusting.request("POST", "/api/activities", {"activity_type": "user_operation", "message": HOSTILE, "resource_type": HOSTILE}).status == 201
    assert trusting.request("POST", "/api/deployments", {"model_id": HOSTILE, "name": HOSTILE, "start": False}).status == 201
    trusting.get("/api/task/%3Cimg%20src=x%20onerror=alert(1)%3E")
    dashboard.fill("#log-text", "<img")
    dashboard.until("document.querySelectorAll('#log > li').length >= 3", "the log")
    dashboard.run("document.querySelectorAll('#log summary').forEach((one) => one.click())")
    for page in (worker, dashboard):
        assert page.run("document.querySelectorAll('img, iframe, body script').length") == 0
        assert page.run("window.hurt") is None


# MARK: Who may look

def test_the_dashboard_asks_for_an_admins_token(guarded, visit):
    secret = {"JWT_SECRET": "a secret of thirty-two bytes, or of more"}
    user, admin = (run("token", "--sub", "one", "--role", role, **secret).stdout.strip() for role in ("user", "admin"))
    page = visit(guarded, "/dashboard")

    def log_in(token):
        page.until("document.querySelector('#login').open", "the dialog")
        page.fill("#token", token)
        page.click("#login-form button[type=submit]")

    log_in(user)
    page.until("document.querySelector('#login-problem').innerText.includes('admin')", "the refusal")
    log_in(admin)
    live(page)
    assert page.run("sessionStorage.length === 1 && localStorage.length === 0 && !document.cookie")
    assert not page.run("document.querySelector('#login').open")
    # The same token is a worker's; the page hands it over in the subprotocol, and not in the address.
    page.call("Page.navigate", url=guarded.url("/test-worker"))
    page.until("document.querySelector('#connect') && document.readyState === 'complete'")
    become(page, "default")
    assert eventually(lambda: guarded.request("GET", "/api/fleet", headers={"Authorization": f"Bearer {admin}"}).json["total_workers"] == 1)
    page.call("Page.navigate", url=guarded.url("/dashboard"))
    live(page)
    page.click("#login-button")
    page.until("document.querySelector('#state').innerText === 'logged out'", "the end")
    assert page.run("sessionStorage.length") == 0
    # A refused handshake is one of the things that a browser logs.
    page.errors.clear()


# MARK: For everybody

AUDIT = """(() => {
    const problems = []
    const seen = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility !== 'hidden' && !node.closest('.visually-hidden, .skip')
    const name = (node) => node.getAttribute('aria-label') || (node.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.innerText).join(' ').trim()
        || [...(node.labels ?? [])].map((one) => one.textContent).join(' ').trim() || (node.matches('button, a, summary') ? node.textContent.trim() : '')
    for (const node of document.querySelectorAll('button, a, input, select, textarea, progress, nav, section, dialog, [role=region], [role=img]')) {
        if (!name(node)) problems.push(`no name: ${node.outerHTML.slice(0, 90)}`)
    }
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id)
    for (const id of new Set(ids.filter((id, place) => ids.indexOf(id) !== place))) problems.push(`twice: #${id}`)
    if (document.querySelectorAll('main').length !== 1) problems.push('not one main')
    if (document.querySelectorAll('h1').length !== 1) problems.push('not one h1')
    if (!document.documentElement.lang || !document.title) problems.push('no language, or no title')
    if (document.querySelector('[tabindex]:not([tabindex="0"]):not([tabindex="-1"])')) problems.push('a tabindex of its own')
    if (document.querySelectorAll('[aria-live], [role=status], [role=alert]').length > 4) problems.push('too much is read out')
    for (const node of document.querySelectorAll('.scroll')) if (node.tabIndex !== 0) problems.push('a list that keys cannot scroll')
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true})
    const colour = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255] }
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4).reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0)
    const ground = (node) => { for (let at = node; at; at = at.parentElement) { const found = colour(getComputedStyle(at).backgroundColor); if (found[3] > 0.99) return found } return [255, 255, 255, 1] }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement
        if (!walker.currentNode.data.trim() || !seen(node) || node.closest('script, noscript, option, :disabled')) continue
        const style = getComputedStyle(node)
        const ink = colour(node instanceof SVGElement ? style.fill : style.color)
        const [bright, dark] = [light(ink), light(ground(node))].sort((left, right) => right - left)
        const contrast = (bright + 0.05) / (dark + 0.05)
        if (contrast < 4.5) problems.push(`contrast ${contrast.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 40)} ${node.className}`)
    }
    if (document.documentElement.scrollWidth > innerWidth) problems.push(`wider than the window: ${document.documentElement.scrollWidth}`)
    return [...new Set(problems)]
})()"""


@pytest.mark.parametrize("dark, width", [(False, 1360), (True, 1360), (False, 390), (True, 390)], ids=["light", "dark", "light phone", "dark phone"])
def test_everybody_can_use_them(trusting, visit, group, dark, width):
    options = {"dark": dark, "width": width, "height": 844}
    worker, dashboard, docs = (visit(trusting, path, **options) for path in ("/test-worker", "/dashboard", "/docs#submit"))
    live(dashboard)
    # Something of everything is shown.
    become(worker, group, mode="fail", seconds=0, reports=0)
    worker.click("#report")
    dead = submit(worker, {"n": 1})
    dashboard.until(row("letters", dead), "a dead letter")
    worker.fill("#mode", "hand")
    task = submit(worker, {"n": 2})
    submit(worker, {"n": 3})
    dashboard.until(f"{row('executing', task)} && document.querySelector('#waiting > tr') && document.querySelector('#log details')")
    docs.until("document.querySelector('details[open] .try')", "an open request")
    docs.run("document.querySelectorAll('details.operation').forEach((one, place) => { if (place % 9 === 0) one.open = true })")
    for page in (worker, dashboard, docs):
        assert page.run(AUDIT) == []
    dashboard.run(f"{row('executing', task)}.querySelector('.task').click()")
    dashboard.until("document.querySelector('#task').open")
    assert dashboard.run(AUDIT) == []


@pytest.mark.parametrize("path", ["/dashboard", "/test-worker", "/docs"])
def test_keys_reach_everything_in_its_order(trusting, visit, path):
    page = visit(trusting, path)
    if path == "/dashboard":
        live(page)
    if path == "/docs":
        page.until("document.querySelector('details.operation')")
    reached = []
    for _ in range(24):
        page.key("Tab")
        # Where it stands among all elements, and whether one sees that it has the focus.
        place, outline = page.run("""(() => { const one = document.activeElement
            return [[...document.querySelectorAll('*')].indexOf(one), one.matches(':focus-visible') && getComputedStyle(one).outlineStyle !== 'none'] })()""")
        if reached and place <= reached[-1]:
            break
        assert outline, page.run("document.activeElement.outerHTML.slice(0, 200)")
        reached.append(place)
    assert len(reached) > 8, "the keys reach little"
    first = page.run("document.querySelectorAll('*')[%d].innerText" % reached[0])
    assert first == "Skip to the content"


def test_nothing_is_loaded_from_elsewhere(trusting):
    for path in ("/dashboard", "/test-worker", "/docs"):
        answer = trusting.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert answer.status == 200 and "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        text = answer.body.decode()
        assert "://" not in text and "style=" not in text and " on" + "click" not in text and "<script>" not in text
        names = ["/pages/" + part.split('"')[0] for part in text.split('"/pages/')[1:]]
        seen = set()
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            part = trusting.get(name)
            assert part.status == 200 and part.headers["X-Content-Type-Options"] == "nosniff", name
            imports = re.findall(r"from '([^']+)'", part.body.decode())
            if name == "/clients/javascript/signalbox.js":
                # It is for others as well, and knows where a server is on one's own machine; it needs nothing else.
                continue
            assert all(one.startswith(("./", "/clients/")) for one in imports), imports
            names += [one.replace("./", "/pages/") for one in imports]
            # The one address is the name of SVG.
            words = part.body.decode().replace("http://www.w3.org/2000/svg", "")
            assert "://" not in words and "innerHTML" not in words and "insertAdjacent" not in words, name
            # Sockets are the client module's alone.
            assert "new WebSocket" not in words, name
        assert "/clients/javascript/signalbox.js" in seen
