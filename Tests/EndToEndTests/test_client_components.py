"""The React tracker and the Vue composable, rendered for real, against real servers: a task from 0 to 100, one that fails, one whose
server is killed in the middle."""
import json
import re
import signal

import pytest

from components import CLIENTS, Page, perceived
from crews import BRISK
from places import Place
from proxies import Proxy
from servers import BOUND, eventually

from conftest import shared
from producers import PACKAGE  # noqa: F401 (where the Python package lies)

from signalbox import TaskNotificationService

open_server = shared("--auth", "off")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    page = Page(tmp_path_factory.mktemp("page"))
    page.compile("react/RealtimeProgressTracker.tsx")
    return page


@pytest.fixture
def place(tmp_path):
    with Place(tmp_path / "data") as place:
        yield place


@pytest.fixture
def service(open_server):
    service = TaskNotificationService(open_server.url(""))
    yield service
    assert service.wait_until_sent()


# As the document uses it, and with what its handlers say.
REACT = """
    import { createElement } from 'react'
    import { createRoot } from 'react-dom/client'
    import RealtimeProgressTracker from './react/RealtimeProgressTracker.js'
    const properties = {
      onProgress: (progress) => say('进度更新:', progress.progress, progress.message),
      onComplete: (progress) => say('任务完成:', progress.progress, progress.result),
      onError: (error) => say('错误:', error),
      onReconnect: (clientId) => say('重连成功，新客户端ID:', clientId),
      ...PROPERTIES
    }
    const rendered = createRoot(root)
    rendered.render(createElement(RealtimeProgressTracker, properties))
    const other = { ...properties, taskId: 'other', onProgress: undefined }
    process.on('SIGUSR2', () => rendered.render(createElement(RealtimeProgressTracker, other)))
    process.on('SIGTERM', () => { rendered.unmount(); say('unmounted', root.innerHTML) })
    """


def tracker(page, url, **properties):
    return page.open(url, REACT.replace("PROPERTIES", json.dumps(properties)))


def test_a_task_goes_from_0_to_100(page, open_server, service):
    service.register_task("r1", "user-123", project_id="project-456")
    service.notify_progress("r1", progress=0, message="earlier")
    with tracker(page, open_server.url(""), taskId="r1", userId="user-123", projectId="project-456", showHistory=True) as program:
        program.says("进度更新: 0 earlier")
        for done in (1, 2, 3):
            service.notify_progress("r1", progress=done * 25, message=f"part {done}", current_step="painting", total_steps=4,
                                    completed_steps=done)
        program.says('进度更新: 75 part 3')
        service.notify_completed("r1", {"output": "a.png"})
        program.says('任务完成: 100 {"output":"a.png"}')
        last = eventually(lambda: (seen := perceived(program)) and seen[-1]["value"] == "100" and seen[-1])
    assert last["words"] == "100 %, completed" and last["live"].startswith("100 % completed") and last["status"] == last["alert"] == ""
    eventually(lambda: perceived(program)[-1]["history"] == [
        "0 % running earlier", *(f"{25 * done} % running part {done}" for done in (1, 2, 3)), "100 % completed part 3"])
    values = [int(one["value"]) for one in perceived(program) if one["value"] is not None]
    assert values == sorted(values) and {25, 50, 75} & set(values)
    assert any("painting (3/4): part 3" in one["live"] for one in perceived(program))


@pytest.mark.parametrize(("end", "words"), [("failed", "处理失败：网络超时"), ("cancelled", "by hand")])
def test_a_task_that_ends_badly_is_told(page, open_server, service, end, words):
    name = f"r2-{end}"
    service.register_task(name, "ann")
    service.notify_progress(name, 45, "working")
    with tracker(page, open_server.url(""), taskId=name, userId="ann") as program:
        program.says("45 % running")
        getattr(service, f"notify_{end}")(name, words)
        program.says(f"错误: {words}" if end == "failed" else "错误: ")
        seen = eventually(lambda: (all := perceived(program)) and all[-1]["alert"] and all[-1])
        # It stays where it was, and says why.
        assert seen["value"] == "45" and seen["words"] == f"45 %, {end}" and words in (seen["alert"] if end == "failed" else words)
        assert "任务完成" not in "".join(program.output.seen)


def test_a_break_is_told_and_bridged(page, open_server, service):
    service.register_task("r3", "anonymous")
    with Proxy(open_server) as proxy, tracker(page, proxy.url(), taskId="r3") as program:
        program.says("0 % pending")
        service.notify_progress("r3", 10, "before")
        program.says("进度更新: 10 before")
        proxy.cut()
        program.says('"status":"reconnecting"')
        for figure in (20, 30):
            assert service.notify_progress("r3", figure, f"at {figure}").wait(BOUND)
        proxy.mend()
        program.says("重连成功，新客户端ID: client-")
        program.says("进度更新: 30 at 30")
        assert program.output.seen.count("进度更新: 20 at 20") == 1
        eventually(lambda: perceived(program)[-1]["status"] == "")


def test_a_killed_server_is_bridged(page, place):
    service = TaskNotificationService(place.url)
    service.register_task("r4", "anonymous")
    assert service.notify_progress("r4", 10, "before").wait(BOUND)
    with tracker(page, place.url, taskId="r4") as program:
        program.says("进度更新: 10 before")
        place.kill()
        place.open()
        assert service.notify_progress("r4", 60, "after").wait(BOUND)
        program.says("进度更新: 60 after")
        assert service.notify_completed("r4").wait(BOUND)
        program.says("任务完成: 100")
    figures = [int(line.split()[1]) for line in program.output.seen if line.startswith("进度更新:")]
    assert figures == sorted(figures) and program.output.seen.count("进度更新: 60 after") == 1


def test_tries_end_where_the_page_says_so(page, open_server):
    with Proxy(open_server) as proxy:
        proxy.cut()
        with tracker(page, proxy.url(), taskId="r5", autoReconnect=False) as program:
            program.says("错误: 连接错误")
            program.says('"status":"disconnected"')


def test_another_task_takes_its_place_and_leaving_closes_the_socket(page, open_server, service):
    clients = lambda: open_server.get("/api/v1/websocket/stats").json["by_user"].get("user-r6", 0)  # noqa: E731
    service.register_task("r6", "user-r6")
    service.register_task("other", "user-r6")
    service.notify_progress("other", 70, "the other one")
    with tracker(page, open_server.url(""), taskId="r6", userId="user-r6") as program:
        eventually(lambda: clients() == 1)
        program.process.send_signal(signal.SIGUSR2)
        program.says("70 % running: the other one")
        eventually(lambda: clients() == 1)
        program.process.send_signal(signal.SIGTERM)
        program.says("unmounted")
        eventually(lambda: clients() == 0)


def test_it_has_the_documents_properties_and_no_others():
    text = (CLIENTS / "react/RealtimeProgressTracker.tsx").read_text()
    declared = re.search(r"interface RealtimeProgressTrackerProps \{(.*?)\n\}", text, re.S)[1]
    assert re.findall(r"^  (\w+\??):", declared, re.M) == [
        "taskId", "userId?", "projectId?", "wsUrl?", "onProgress?", "onComplete?", "onError?", "onReconnect?", "showHistory?",
        "autoReconnect?", "maxReconnectAttempts?"]
    assert re.search(r"userId = 'anonymous'.*showHistory = false, autoReconnect = true, maxReconnectAttempts = 5", text)


# MARK: Vue

VUE = """
    import { createApp, ref } from 'vue'
    import { useTask, useUserTasks } from './vue/useTask.js'
    const options = { reconnectDelay: DELAY }
    const name = ref('v1')
    const app = createApp({
      setup: () => ({ ...useTask(name, { userId: 'ann', ...options }), user: useUserTasks('ann', null, options) }),
      template: `<div role="progressbar" :aria-valuenow="progress" :aria-valuetext="status"></div>
        <p aria-live="polite">{{ connectionStatus }} {{ message }} {{ result }}</p><p role="alert">{{ error }}</p>
        <li v-for="(task, id) in user.tasks.value">{{ id }} {{ task.status }}</li>`,
    })
    app.mount(root)
    process.on('SIGUSR2', () => { name.value = 'v2' })
    process.on('SIGTERM', () => app.unmount())
    """.replace("DELAY", json.dumps([1000 * pause for pause in BRISK]))


def test_vue(page, open_server, service):
    service.register_task("v1", "ann")
    service.register_task("v2", "ann")
    with Proxy(open_server) as proxy, page.open(proxy.url(), VUE) as program:
        def shows(**members):
            return eventually(lambda: (seen := perceived(program)) and seen[-1].items() >= members.items() and seen[-1], str(members))

        shows(value="0", words="pending")
        service.notify_progress("v1", 50, "half of it")
        shows(value="50", words="running")
        eventually(lambda: [line.split()[0] for line in perceived(program)[-1]["history"]] == ["v1", "v2"])
        proxy.cut()
        eventually(lambda: perceived(program)[-1]["live"].startswith("reconnecting"))
        assert service.notify_completed("v1", {"n": 3}).wait(BOUND)
        proxy.mend()
        seen = shows(value="100", words="completed")
        assert re.sub(r"\s+", "", seen["live"]) == 'connectedhalfofit{"n":3}'
        shows(history=["v1 completed", "v2 pending"])
        program.process.send_signal(signal.SIGUSR2)
        shows(value="0", words="pending")
        service.notify_failed("v2", "模型不可用")
        shows(words="failed", alert="模型不可用")
        program.process.send_signal(signal.SIGTERM)
        assert program.end()[0] == 0
