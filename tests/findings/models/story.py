"""A run in a few lines: threads and their calls, one after the other, for tests of what the classification makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from probes.measure.result import Call, Details, Result, Sleep, Thread
from tests.conftest import measured

_STEP = 1000  # ns between two calls


class Story:
    """Each call comes after the call before it, and lasts 100 ns."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._threads: dict[int, Thread] = {}
        self._now = _STEP
        self.process()

    def process(self, parent: int = 0) -> int:
        """A process by fork; the first one has the number 1."""
        return self._born(parent, len(self._threads) + 1)

    def thread(self, parent: int = 1) -> int:
        """A thread of its parent's process."""
        return self._born(parent, self._threads[parent].pid)

    def _born(self, parent: int, pid: int) -> int:
        serial = len(self._threads) + 1
        self._now += _STEP
        self._threads[serial] = replace(
            measured("epoll").threads[0], serial=serial, parent=parent, pid=pid, tid=serial, start=self._now, name="program"
        )
        return serial

    def call(self, name: str, *args: int, result: int = 0, by: int = 1, sleeps: str = "", **more: Any) -> None:
        """A call whose first argument is its descriptor; `sleeps` is the queue that it sleeps on."""
        self._now += _STEP
        enter, leave = self._now, self._now + 100
        asleep = (Sleep(off=enter, woken=leave, on=leave, queue=sleeps, stack=(), waker=None),) if sleeps else ()
        self._calls.append(
            Call(
                thread=by,
                name=name,
                fd=args[0] if args else None,
                args=(*args, 0, 0, 0, 0)[:4],
                enter=enter,
                exit=leave,
                result=result,
                errno=more.pop("errno", None),
                bytes=max(result, 0),
                total=100,
                wait=100 if sleeps else 0,
                sched_delay=0,
                preempted=0,
                copy=0,
                kernel=0 if sleeps else 100,
                sleeps=asleep,
                **more,
            )
        )

    def listener(self, number: int = 3, by: int = 1, reuseport: bool = False) -> None:
        """socket, bind, listen."""
        self.call("socket", 2, 1, result=number, by=by)
        if reuseport:
            self.call("setsockopt", number, 1, 15, by=by)
        self.call("bind", number, by=by)
        self.call("listen", number, by=by)

    def read(self, number: int, by: int = 1, sleeps: str = "") -> None:
        """A read of 64 bytes."""
        self.call("recvfrom", number, 0, 4096, 0, result=64, by=by, sleeps=sleeps)

    def result(self) -> Result:
        """The run."""
        threads = tuple(self._lived(thread) for thread in self._threads.values())
        details = Details(len(self._calls), len(self._calls))
        whole = replace(measured("epoll"), calls=tuple(self._calls), threads=threads, rows=(), messages=(), details=details)
        return replace(whole, sums=(), sleep_sums=(), listed=None)

    def _lived(self, thread: Thread) -> Thread:
        own = [call for call in self._calls if call.thread == thread.serial]
        return replace(thread, end=self._now + _STEP, calls=len(own), wait=sum(call.wait for call in own))
