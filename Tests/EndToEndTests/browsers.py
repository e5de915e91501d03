"""Browsers: a headless Chromium, driven over its DevTools protocol by the stock `websockets`, as far as the pages' tests need it.

Not a test and no fixture. Every wait has a bound. What a page logs as an error is kept, and so is what its policy stopped.
"""
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from websockets.sync.client import connect

from servers import BOUND, environment

NAMES = ("chromium", "chromium-browser", "google-chrome")


def program():
    """The browser there is."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One Chromium with a profile of its own; `page` opens a tab."""

    def __init__(self):
        assert program(), "no Chromium here: `make deps` installs it, CHROMIUM names one"
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # Without its sandbox, which needs rights that a container's root has not; it loads nothing but our own pages.
        self.process = subprocess.Popen(
            [program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env=environment(HOME=self.folder.name))
        place = os.path.join(self.folder.name, "DevToolsActivePort")
        end = time.monotonic() + 2 * BOUND
        while not os.path.exists(place) or len(open(place).read().split()) < 2:
            assert self.process.poll() is None, "the browser ended"
            assert time.monotonic() < end, "the browser did not begin"
            time.sleep(0.02)
        port, path = open(place).read().split()
        self.held = contextlib.ExitStack()
        self.socket = self.held.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None, open_timeout=BOUND))
        self.number = 0
        self.pages = {}

    def call(self, method, session=None, **parameters):
        """Asks the browser for something; events that come meanwhile are given to their pages."""
        self.number += 1
        number = self.number
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv(timeout=BOUND))
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            if page := self.pages.get(answer.get("sessionId")):
                page.heard(answer["method"], answer["params"])

    def page(self, url, width=1360, height=900, dark=False, before=""):
        return Page(self, url, width, height, dark, before)

    def close(self):
        self.held.close()
        # Its whole group, which is nobody else's.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.folder.cleanup()


class Page:
    """One tab."""

    def __init__(self, browser, url, width, height, dark, before):
        self.browser = browser
        self.errors = []
        self.context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self.context)["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.pages[self.session] = self
        for domain in ("Page", "Runtime", "Log", "Network", "DOM", "Accessibility"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}, {"name": "prefers-reduced-motion", "value": "reduce"}])
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete'", "the page")

    def heard(self, method, parameters):
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value", one.get("description"))) for one in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def run(self, expression):
        """The value of an expression, awaited where it is a promise."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, what=None):
        """Asks until the expression is true; returns its value."""
        end = time.monotonic() + BOUND
        while True:
            if value := self.run(f"Promise.resolve({expression}).then((found) => found instanceof Node ? true : found)"):
                return value
            assert time.monotonic() < end, f"{what or expression} did not come true; errors: {self.errors}"
            time.sleep(0.02)

    def text(self, selector):
        return self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? null")

    def click(self, selector):
        self.until(f"document.querySelector({json.dumps(selector)})", selector)
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def fill(self, selector, text):
        """Puts a text into a field as if it was typed."""
        self.run(f"""(() => {{ const field = document.querySelector({json.dumps(selector)}); field.value = {json.dumps(text)};
            field.dispatchEvent(new Event('input', {{bubbles: true}})); field.dispatchEvent(new Event('change', {{bubbles: true}})) }})()""")

    def key(self, name, code=None):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=code or name,
                      windowsVirtualKeyCode={"Tab": 9, "Enter": 13, "Escape": 27}.get(name, 0), text="\r" if name == "Enter" and kind == "keyDown" else "")

    def picture(self, path, whole=False):
        """Takes a picture of what is seen, or of all of the page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.browser.pages.pop(self.session, None)
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
