"""One browser without a screen for all tests of pages, driven over two pipes by the DevTools protocol.

Chromium reads commands from descriptor 3 and writes answers and events to descriptor 4 (--remote-debugging-pipe): JSON
documents that a zero byte ends. The start of a browser takes a second of CPU time, a further page in its tab a tenth.
"""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from probes.patience import PATIENCE
from tests.conftest import cannot

_OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--in-process-gpu", "--hide-scrollbars", "--no-first-run",
    "--remote-debugging-pipe", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
)  # fmt: skip
_LONGEST = 240 * PATIENCE  # s: a machine with much other work draws slowly
_ABOVE = 10  # descriptors of the pipes: none is 3 or 4
_WRONG = {"error", "assert"}  # calls of the console


@dataclass(frozen=True)
class Screen:
    """What a page is shown on: its size in pixels, and what the reader asked for."""

    name: str
    wide: int
    high: int
    mobile: bool = False
    dark: bool = False
    media: str = "screen"


PHONE = Screen("phone", 390, 844, mobile=True, dark=True)
LAPTOP = Screen("laptop", 1280, 800)
PAPER = Screen("paper", 688, 1017, media="print")  # A4 without its margins of 14 mm, at 96 pixels an inch


def chromium() -> str:
    """The browser; the test is skipped where there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        cannot("no browser is installed", "apt-get install chromium")
    assert found
    return found


class Browser:
    """The browser with one tab. `wrong`: errors of the page's scripts and of the console since the page was opened."""

    def __init__(self, folder: Path) -> None:
        self._numbers, self._rest, self._loaded = itertools.count(1), b"", False
        self._session: str | None = None
        self.wrong: list[str] = []
        self._process, self._to, self._from = _started([chromium(), *_OPTIONS, f"--user-data-dir={folder}", "about:blank"])

    def __enter__(self) -> Self:
        target = next(each for each in self._call("Target.getTargets")["targetInfos"] if each["type"] == "page")
        window = self._call("Browser.getWindowForTarget", targetId=target["targetId"])["windowId"]
        # A page in a minimized window is laid out and not painted, which saves a quarter of the CPU time.
        self._call("Browser.setWindowBounds", windowId=window, bounds={"windowState": "minimized"})
        self._session = self._call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Emulation.setFocusEmulationEnabled", enabled=True)  # as a tab that the reader uses
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session = None
        if kind is None:
            self._call("Browser.close")
        os.close(self._to)  # the browser ends when its pipe for commands is closed
        os.waitpid(self._process, 0)
        os.close(self._from)

    def open(self, page: Path) -> None:
        """Loads the page, as by a click on the file."""
        self.wrong, self._loaded = [], False
        self._call("Page.navigate", url=page.as_uri())
        while not self._loaded:
            self._receive()

    def show(self, screen: Screen) -> None:
        """From now on, pages are shown in this way, also the page in the tab."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        media = self._send("Emulation.setEmulatedMedia", media=screen.media, features=[scheme])
        size = self._send(
            "Emulation.setDeviceMetricsOverride",
            width=screen.wide, height=screen.high, deviceScaleFactor=1, mobile=screen.mobile,
        )  # fmt: skip
        for number in (media, size):  # both are sent before the first answer, so the page is laid out once for both
            self._answer(number)

    def run(self, script: str) -> Any:
        """The value of a script in the page. If the value is a promise, waits for its result."""
        found = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def picture(self, whole: bool = True) -> bytes:
        """The page as PNG: whole, or what is on the screen."""
        return base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def printed(self) -> bytes:
        """The page as PDF, as the printer would get it."""
        return base64.b64decode(self._call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def cpu(self) -> float:
        """The CPU time of the browser's processes so far, s."""
        session, self._session = self._session, None
        found = self._call("SystemInfo.getProcessInfo")["processInfo"]
        self._session = session
        return sum(float(process["cpuTime"]) for process in found)

    def _call(self, method: str, **options: Any) -> dict[str, Any]:
        return self._answer(self._send(method, **options))

    def _send(self, method: str, **options: Any) -> int:
        """The number of the command that was sent."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": options}
        if self._session:
            command["sessionId"] = self._session
        left = json.dumps(command).encode() + b"\0"
        while left:
            left = left[os.write(self._to, left) :]
        return number

    def _answer(self, number: int) -> dict[str, Any]:
        """The result of that command; answers come in the order of the commands."""
        while (answer := self._receive()).get("id") != number:
            pass
        assert "error" not in answer, answer["error"]
        found: dict[str, Any] = answer["result"]
        return found

    def _receive(self) -> dict[str, Any]:
        """The next answer or event."""
        while b"\0" not in self._rest:
            assert select.select([self._from], [], [], _LONGEST)[0], "the browser does not answer"
            piece = os.read(self._from, 1 << 20)
            assert piece, "the browser has ended"
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(first)
        self._note(found.get("method"), found.get("params", {}))
        return found

    def _note(self, event: str | None, about: dict[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Runtime.exceptionThrown":
            thrown = about["exceptionDetails"]
            self.wrong.append(thrown.get("exception", {}).get("description") or thrown["text"])
        elif event == "Runtime.consoleAPICalled" and about["type"] in _WRONG:
            self.wrong.append(" ".join(str(value.get("value")) for value in about["args"]))
        elif event == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.wrong.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")


def _started(command: list[str]) -> tuple[int, int, int]:
    """The process, the descriptor for commands, and the descriptor with answers."""
    (read, to), (answers, write) = os.pipe(), os.pipe()
    read, write = _above(read), _above(write)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, read, 3),
        (os.POSIX_SPAWN_DUP2, write, 4),
    ]
    process = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    os.close(read)
    os.close(write)
    return process, to, answers


def _above(descriptor: int) -> int:
    """The same pipe at a number that is not 3 or 4; the browser does not inherit it under this number."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
    os.close(descriptor)
    return moved
