"""The messages between the runner and the sandbox of a server: lines over a socket (runs/sandbox.py has the other end)."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from probes.errors import CannotTrace


@dataclass
class News:
    """What the sandbox has reported so far."""

    started: int | None = None  # the server's process id, in its own pid namespace
    refused: tuple[str, ...] = ()  # mounts that this machine refused
    memory: int | None = None  # bytes that the server used when the sandbox ended it
    ended: int | None = None  # the status of the server's first process, a signal's number negative
    left: int | None = None  # how many processes of the server run, as the answer to the latest question


class Exchange:
    """The runner's end of the socket. The sandbox ends, and with it the server, when this end closes."""

    def __init__(self, control: socket.socket) -> None:
        self.news = News()
        self._control = control
        self._rest = b""

    def send(self, plan: bytes) -> None:
        """Sends the plan, with which the sandbox begins."""
        self._control.sendall(plan)

    def signal(self, name: str) -> None:
        """Asks the sandbox to send the server's first process a signal."""
        self._say(name)

    def left(self, seconds: float) -> int | None:
        """How many processes of the server run; None: no answer came within that time."""
        self.news.left = None
        self._say("left")
        self.wait(seconds, lambda: self.news.left is not None)
        return self.news.left

    def wait(self, seconds: float, condition: Callable[[], bool]) -> bool:
        """Takes news until the condition holds. False: the time is over, or the sandbox has ended."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or not self.take(end - time.monotonic()):
                return False
        return True

    def take(self, seconds: float = 0) -> bool:
        """Takes the lines that the sandbox has sent, or sends within that time. False: the sandbox has ended."""
        while select.select([self._control], [], [], max(seconds, 0))[0]:
            try:
                received = self._control.recv(65536)
            except OSError:
                return False
            if not received:
                return False
            *lines, self._rest = (self._rest + received).split(b"\n")
            for line in lines:
                self._note(json.loads(line))
            seconds = 0
            if lines:
                break
        return True

    def _note(self, said: dict[str, object]) -> None:
        if "broken" in said:
            raise CannotTrace(
                f"the server's sandbox can't be made here: {said['broken']}", "invoke doctor names what is missing"
            )
        for name in ("started", "memory", "ended", "left"):
            if name in said:
                setattr(self.news, name, int(str(said[name])))
        refused = said.get("refused")
        if isinstance(refused, list):
            self.news.refused = tuple(map(str, refused))

    def _say(self, word: str) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(word.encode() + b"\n")
