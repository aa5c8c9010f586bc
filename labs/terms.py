"""The terms: synchronous and asynchronous, blocking and non-blocking, shown by what the calling thread did meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from labs.kit.experiment import PAUSE, Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps

LAB = Lab(
    model="terms",
    chapter="Terms and calls",
    question="Are synchronous and blocking the same, and asynchronous and non-blocking?",
    watch="the synchronous call sleeps until the result is there; a computation is synchronous too, and never sleeps.",
    try_next=(
        "invoke lab blocking     a call that blocks",
        "invoke lab input_calls  the same call, both ways",
    ),
    reading=(
        "UNP 6.2, Synchronous I/O versus Asynchronous I/O",
        "man 7 pthreads; docs.python.org, concurrent.futures",
        "kernel/sched/core.c: __schedule, try_to_wake_up",
    ),
    experiment="labs.terms:experiment",
)


def experiment() -> dict[str, Any]:
    """Waits for results in four ways, and computes in a thread of its own."""
    section = Sections()
    told: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, 0).result()  # the worker exists from here on
        section("synchronous")
        pool.submit(time.sleep, PAUSE).result()
        section("asynchronous")
        handle = pool.submit(time.sleep, PAUSE)
        section("done by then?")
        early = handle.done()
        handle.add_done_callback(lambda _: told.append("callback"))
        section("between")
        handle.result()
    here, there = socket.socketpair()
    here.setblocking(False)
    section("non-blocking")
    try:
        here.recv(1)
    except BlockingIOError:
        section("between")
    here.close()
    there.close()
    worker = threading.Thread(target=compute, args=(section,))
    worker.start()
    worker.join()
    return section.found(done_early=early, told=told)


def compute(section: Sections) -> None:
    """A synchronous call without any I/O."""
    section("computing")
    total = 0
    for number in range(3_000_000):
        total += number
    section("computed")


@LAB.check("synchronous: back only with the result", claims=("C01",))
def synchronous(run: Run) -> Finding:
    """submit(...).result() kept its caller asleep for as long as the work took."""
    asleep = sum(one.wait for one in sleeps(run.sections.get("synchronous", [])))
    found = f"work of {PAUSE * 1000:.0f} ms: submit(...).result() slept {asleep / 1e6:.1f} ms"
    return confirmed(found) if asleep > 0.8 * PAUSE * 1e9 else failed(found)


@LAB.check("asynchronous: a handle at once, the result later", claims=("C02",))
def asynchronous(run: Run) -> Finding:
    """Submit came back before the work was done; a callback told of the end."""
    marks = [one for one in run.result.calls if one.name == "lseek"]
    names = run.aside.get("sections", [])
    at = {names[one.args[1]]: one.enter for one in reversed(marks) if one.args[1] < len(names)}
    took = at.get("done by then?", 0) - at.get("asynchronous", 0)
    found = f"work of {PAUSE * 1000:.0f} ms: submit took {took / 1e6:.2f} ms; done by then: {run.aside.get('done_early')}"
    found += f"; told of the end by: {', '.join(run.aside.get('told', [])) or 'nothing'}"
    good = took > 0 and run.aside.get("done_early") is False and run.aside.get("told") == ["callback"]
    return confirmed(found) if good else failed(found)


@LAB.check("synchronous is not blocking", claims=("C04",))
def computing(run: Run) -> Finding:
    """The thread that computed was runnable from the first line to the last: on a CPU, or waiting for one."""
    owners = {one.thread for one in run.result.calls if one.name == "lseek" and one.args[1] == _number(run, "computing")}
    spans = [
        (first.exit, last.enter)
        for owner in owners
        for first in run.result.calls
        for last in run.result.calls
        if first.thread == last.thread == owner and first.name == last.name == "lseek"
        if (first.args[1], last.args[1]) == (_number(run, "computing"), _number(run, "computed"))
    ]
    if not spans:
        return failed("0 sections in which it computes")
    begin, end = spans[0]
    inside = [one for one in run.result.calls if one.thread in owners and begin <= one.enter < end]
    slept = [one for one in sleeps(inside) if one.queue != "futex"]  # the interpreter's lock is Python's, not the call's
    found = f"{(end - begin) / 1e6:.0f} ms of computing with {len(slept)} sleeps for anything but the interpreter's lock"
    return confirmed(found) if not slept and end - begin > 10e6 else failed(found)


@LAB.check("non-blocking: back at once", claims=("C05",))
def non_blocking(run: Run) -> Finding:
    """Recv without data got EAGAIN and did not sleep."""
    calls = [one for one in run.sections.get("non-blocking", []) if one.name == "recvfrom"]
    good = [one for one in calls if one.errno == "EAGAIN" and not one.sleeps]
    found = f"{len(good)} of {len(calls)} recvfrom got EAGAIN without a sleep"
    return confirmed(found) if good and len(good) == len(calls) else failed(found)


def _number(run: Run, name: str) -> int:
    names: list[str] = run.aside.get("sections", [])
    return names.index(name) if name in names else -1
