"""A page in a real browser: Chromium by DGEX_CHROMIUM or on PATH."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest

with contextlib.suppress(ImportError):  # Windows
    import fcntl

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM = os.environ.get("DGEX_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)

NEEDS_CHROMIUM = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (DGEX_CHROMIUM names one elsewhere)"),
    pytest.mark.xdist_group("browser"),
]

DRIVER = """
<pre id="results"></pre><script>
(async () => {
  const results = {};
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const type = (input, text) => { input.value = text; input.dispatchEvent(new Event("input", {bubbles: true})); };
  const words = selector => all(selector).map(e => e.textContent);
  try { %s } catch (error) { results.failed = String(error); }
  results.resources = performance.getEntriesByType("resource").map(e => e.name);
  one("#results").textContent = JSON.stringify(results);
})();
</script></body>"""


def browse(html: str, folder: Path, actions: str, *options: str) -> tuple[dict[str, Any], list[str]]:
    """Open a page, let a script act on it, and return what the script noted and what the console said."""
    path = folder / "page.html"
    path.write_text(html.replace("</body>", DRIVER % actions), "utf-8")
    command = [
        str(CHROMIUM),
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=5000",
        *options,
        "--dump-dom",
        path.as_uri(),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="results">(.*?)</pre>', finished.stdout, re.DOTALL)
    assert found, finished.stderr[-2000:]
    console = [line for line in finished.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(unescape(found.group(1)) or "{}"), console


class Driven:
    """A page of a server in a headless Chromium, driven over the DevTools protocol as a person would: keys and clicks.

    Attributes
    ----------
    console : list of str
        What pages said to the console, and errors.
    requests : list of str
        Every address that was asked for.
    """

    def __init__(self, folder: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self.downloads = folder / "downloads"
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        told, asked = os.pipe(), os.pipe()
        # the protocol's own descriptors are 3 and 4: ours lie higher, so that neither is overwritten
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20) for fd in (asked[0], told[1])]
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options += ["--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}", "about:blank"]
        quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        actions = [*quiet, (os.POSIX_SPAWN_DUP2, theirs[0], 3), (os.POSIX_SPAWN_DUP2, theirs[1], 4)]
        self._pid = os.posix_spawn(str(CHROMIUM), [str(CHROMIUM), *options], os.environ, file_actions=actions)
        for fd in (*theirs, asked[0], told[1]):
            os.close(fd)
        self._in, self._out = os.fdopen(told[0], "rb", 0), os.fdopen(asked[1], "wb", 0)
        self._rest, self._session = b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)
        self.look(width, height, dark)

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):
            self._send("Browser.close", {})
        with contextlib.suppress(OSError):
            while self._in.read(65536):  # it ends when the browser does
                pass
        os.waitpid(self._pid, 0)
        self._in.close()
        self._out.close()

    def look(self, width: int, height: int = 900, dark: bool = False) -> None:
        """The size of the window, and whether the person likes it dark."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        feature = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=feature)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the browser, and wait for its answer."""
        number = self._send(method, params)
        while number not in self._answers:
            self._take(json.loads(self._message()))
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        result: dict[str, Any] = answer["result"]
        return result

    def _send(self, method: str, params: dict[str, Any]) -> int:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        return self._number

    def _message(self) -> bytes:
        while b"\0" not in self._rest:
            part = self._in.read(1 << 20)
            assert part, "the browser ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return message

    def _take(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        if "id" in message:
            self._answers[message["id"]] = message
        elif message["method"] == "Runtime.consoleAPICalled":
            self.console.append(str([one.get("value", one.get("description")) for one in params["args"]]))
        elif message["method"] == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif message["method"] == "Log.entryAdded":
            self.console.append(params["entry"]["text"])
        elif message["method"] == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif message["method"] == "Page.javascriptDialogOpening":
            self._send("Page.handleJavaScriptDialog", {"accept": True})

    def open(self, address: str) -> None:
        """Go to an address and wait until the page is there."""
        self.call("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(address)}")

    def value(self, script: str) -> Any:
        """What a script in the page gives."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def wait(self, script: str, seconds: float = 60.0) -> None:
        """Ask until a script gives something true; a page that is just replaced answers next time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(AssertionError):
                if self.value(f"!!({script})"):
                    return
            time.sleep(0.05)
        text = self.value("document.body.innerText")[:2000]
        raise AssertionError(f"{script} stayed false at {self.value('location.href')}: {text}")

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key and let it go."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "ArrowDown": 40, "ArrowUp": 38, "Escape": 27}
        event: dict[str, Any] = {"key": key, "code": "Space" if key == " " else key, "modifiers": 8 if shift else 0}
        event["windowsVirtualKeyCode"] = codes[key]
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self.call("Input.insertText", text=text)

    def tab_to(self, script: str, most: int = 60) -> None:
        """Press Tab until the element in focus, `it`, is the one that is meant, as who uses no mouse does."""
        for _ in range(most):
            self.press("Tab")
            if self.value(f"(it => {script})(document.activeElement)"):
                return
        raise AssertionError(f"{most} times Tab do not lead to {script}")

    def choose_file(self, selector: str, *paths: Path) -> None:
        """Put files into a field, which opens a dialog of the system otherwise."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def shot(self, path: Path) -> None:
        """A picture of the whole page."""
        told = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(told["data"]))
