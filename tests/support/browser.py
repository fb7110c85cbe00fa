"""Debian's Chromium without a window, driven over its DevTools pipe by the standard library alone.

    with Browser() as browser:
        browser.open(path.as_uri())
        browser.click("a.word")
        assert browser.evaluate("document.title") == "..."

The protocol's messages go through two pipes, each ended by a zero byte, so that no port is opened
and no websocket needed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = """
--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync
--disable-background-networking --disable-component-update --disable-dev-shm-usage
--disable-extensions --hide-scrollbars --remote-debugging-pipe
""".split()  # noqa: SIM905
_PATIENCE = 60.0  # seconds; a shared machine starts a browser slowly


class Browser:
    """One page of a browser, at desktop width unless `resize` says otherwise."""

    def __enter__(self) -> Self:
        if CHROMIUM is None:
            raise RuntimeError("no chromium here; tests that need one ask for it first")
        with ExitStack() as undo:
            self._start(CHROMIUM, undo)
            self._undo = undo.pop_all()
        return self

    def _start(self, chromium: str, undo: ExitStack) -> None:
        profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        undo.callback(profile.cleanup)
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        for end in (self._out, self._in):
            undo.callback(os.close, end)
        wrapper = [sys.executable, "-c", _ON_3_AND_4, str(to_browser), str(from_browser)]
        process = subprocess.Popen(
            [*wrapper, chromium, *_FLAGS, f"--user-data-dir={profile.name}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        undo.callback(_end, process)
        os.close(to_browser)
        os.close(from_browser)
        self._received, self._count, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = {"targetId": pages[0]["targetId"], "flatten": True}
        self._session = self.call("Target.attachToTarget", **attached)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(1280, 900)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    # ---- what a person does ----------------------------------------------------------------

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url="about:blank")  # another fragment alone would load nothing
        self.call("Page.navigate", url=url)
        self.until(
            lambda: (
                self.evaluate("document.readyState + ' ' + location.protocol")
                == f"complete {url.partition(':')[0]}:"
            )
        )

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Another window, or a phone."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=mobile,
        )  # fmt: skip

    def click(self, selector: str) -> None:
        """Press and release the mouse in the middle of what `selector` finds first."""
        x, y = self.evaluate(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "found.scrollIntoView({block: 'center'}); const box = found.getClientRects()[0];"
            "return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key by its name: Tab, Enter, ArrowRight, ..."""
        code, text = _KEYS[key]
        given = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call(
            "Input.dispatchKeyEvent", type="keyDown", **given, **({"text": text} if text else {})
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **given)

    # ---- what a person sees ----------------------------------------------------------------

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """The visible text of what `selector` finds first."""
        return str(self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText"))

    def screenshot(self, path: Path, *, whole: bool = True) -> Path:
        """A PNG of the page, or of the window."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def complaints(self) -> list[str]:
        """Errors that the page caused: exceptions, and what its security policy forbade."""
        self.evaluate("0")
        thrown = [e for e in self.events if e["method"] == "Runtime.exceptionThrown"]
        logged = [e for e in self.events if e["method"] == "Log.entryAdded"]
        return [json.dumps(event["params"]) for event in thrown + logged]

    def requests(self) -> list[str]:
        """Every address that the page asked for."""
        self.evaluate("0")
        asked = [e for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in asked]

    # ---- the protocol ----------------------------------------------------------------------

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's result; RuntimeError where the browser refuses it."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") != self._count:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + _PATIENCE
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError("the page did not come to it")
            time.sleep(0.02)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            if not select.select([self._in], [], [], _PATIENCE)[0]:
                raise TimeoutError("the browser says nothing")
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser ended")
            self._received += chunk
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


# The browser reads commands from descriptor 3 and answers on 4.
_ON_3_AND_4 = """
import fcntl, os, sys
given, taken = (fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3])
os.dup2(given, 3), os.dup2(taken, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the browser and what it started: it is alone in its session."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


_KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "ArrowLeft": (37, ""),
    "ArrowRight": (39, ""),
    "End": (35, ""),
}
