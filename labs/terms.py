"""The terms: synchronous and asynchronous, blocking and non-blocking, shown by what the calling thread does meanwhile."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from labs.kit import asides
from labs.kit.experiment import PAUSE, Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps
from labs.kit.questions.question import Question, Truth, Undecided
from labs.kit.questions.sections import ANY_CALL, what_it_does
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, ms

LAB = Lab(
    model="terms",
    chapter="Terms and calls",
    question="Does synchronous mean blocking, and does asynchronous mean non-blocking?",
    watch="the synchronous call sleeps until the result is there; a computation is also synchronous, but never sleeps.",
    try_next=(
        "invoke lab blocking     a call that blocks",
        "invoke lab input_calls  the same calls, blocking and non-blocking",
    ),
    reading=(
        "UNP 6.2, Synchronous I/O versus Asynchronous I/O",
        "man 7 pthreads; docs.python.org, concurrent.futures",
        "kernel/sched/core.c: __schedule, try_to_wake_up",
    ),
    experiment="labs.terms:experiment",
)


def experiment() -> dict[str, Any]:
    """Gets results in four ways, and computes in a thread of its own."""
    section = Sections()
    notices: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, 0).result()  # creates the worker
        section("synchronous")
        pool.submit(time.sleep, PAUSE).result()
        section("asynchronous")
        handle = pool.submit(time.sleep, PAUSE)
        section("done by then?")
        early = handle.done()
        handle.add_done_callback(lambda _: notices.append("callback"))
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
    return section.outcome(done_early=early, told=notices)


def compute(section: Sections) -> None:
    """A synchronous call without any I/O."""
    section("computing")
    total = 0
    for number in range(3_000_000):
        total += number
    section("computed")


@LAB.check("a synchronous call returns only with its result", claims=("C01",))
def synchronous(run: Run) -> Finding:
    """The caller of submit(...).result() slept as long as the work took."""
    asleep = sum(sleep.wait for sleep in sleeps(run.sections.get("synchronous", [])))
    words = f"the work takes {ms(PAUSE * 1e9)}; the caller of submit(...).result() slept {ms(asleep)}"
    return confirmed(words) if asleep > 0.8 * PAUSE * 1e9 else failed(words)


@LAB.check("an asynchronous call returns a handle at once, and reports its result later", claims=("C02",))
def asynchronous(run: Run) -> Finding:
    """The call of submit returned before the work was done, and a callback reported the end of the work."""
    marks = [call for call in run.result.calls if call.name == "lseek"]
    aside = asides.of(run)
    names = aside.sections
    at = {names[call.args[1]]: call.enter for call in reversed(marks) if call.args[1] < len(names)}
    took = at.get("done by then?", 0) - at.get("asynchronous", 0)
    early, notices = aside.done_early, aside.told
    words = (
        f"the work takes {ms(PAUSE * 1e9)}; submit returned after {ms(took)}, when done() was {early};"
        f" the end of the work was reported by: {', '.join(notices) or 'nothing'}"
    )
    return confirmed(words) if took > 0 and early is False and notices == ("callback",) else failed(words)


@LAB.check("a synchronous computation does not block its thread", claims=("C04",))
def computing(run: Run) -> Finding:
    """The thread that computed was runnable all the time: on a CPU, or waiting for a CPU.

    Its sleeps for the interpreter's lock are left out: they belong to Python, and not to the computation.
    """
    begins, ends = _marks(run, "computing"), _marks(run, "computed")
    spans = [(begin, end) for begin in begins for end in ends if begin.thread == end.thread]
    if not spans:
        return failed("0 computations in the recording")
    begin, end = spans[0]
    inside = [call for call in run.result.calls if call.thread == begin.thread and begin.exit <= call.enter < end.enter]
    slept = [sleep for sleep in sleeps(inside) if sleep.queue != "futex"]
    duration = end.enter - begin.exit
    words = f"{ms(duration)} of computing with {count(len(slept), 'sleep')}, not counting sleeps on the interpreter's lock"
    return confirmed(words) if not slept and duration > 10e6 else failed(words)


@LAB.check("a non-blocking call returns at once", claims=("C05",))
def non_blocking(run: Run) -> Finding:
    """A recv without data got EAGAIN and did not sleep."""
    calls = [call for call in run.sections.get("non-blocking", []) if call.name == "recvfrom"]
    refused = [call for call in calls if call.errno == "EAGAIN" and not call.sleeps]
    words = f"{len(refused)} of {count(len(calls), 'call')} of recvfrom got EAGAIN without a sleep"
    return confirmed(words) if refused and len(refused) == len(calls) else failed(words)


def _marks(run: Run, name: str) -> list[Call]:
    """The calls by which the experiment began the section of that name."""
    names = asides.of(run).sections
    number = names.index(name) if name in names else -1
    return [call for call in run.result.calls if call.name == "lseek" and call.args[1] == number]


GOES_ON, DONE = "no, it goes on meanwhile", "yes, submit returns with the result"


def done_by_then(run: Run) -> Truth:
    """Was the work done when submit had returned?"""
    aside = asides.of(run)
    if aside.done_early is None:
        raise Undecided("the experiment did not call done()")
    early, notices = aside.done_early, ", ".join(aside.told)
    words = f"the work takes {ms(PAUSE * 1e9)}; done() right after submit returned {early}"
    return Truth(DONE if early else GOES_ON, f"{words}; the end of the work was reported by: {notices or 'nothing'}")


NEVER_ASLEEP, ASLEEP = "none of it: it is runnable all the time", "some or all of it, as in a blocking read"


def asleep_while_computing(run: Run) -> Truth:
    """Did the thread sleep while it computed?"""
    if "computing" not in run.sections:
        raise Undecided("0 computations in the recording")
    slept = [sleep for sleep in sleeps(run.sections["computing"]) if sleep.queue != "futex"]
    words = f"{count(len(slept), 'sleep')} during the computation, not counting sleeps on the interpreter's lock"
    return Truth(ASLEEP if slept else NEVER_ASLEEP, words)


LAB.ask(
    what_it_does("synchronous", ANY_CALL, "Another thread does work of 20 ms. submit(...).result()"),
    what_it_does("non-blocking", syscalls.READS, "No data was sent. A non-blocking recv"),
    Question(
        "asynchronous",
        "submit(...) has just returned. Is the work of 20 ms done by then?",
        (GOES_ON, DONE),
        done_by_then,
    ),
    Question(
        "computing",
        "A function computes for some 100 ms, without any I/O. For how much of that does its thread sleep?",
        (NEVER_ASLEEP, ASLEEP),
        asleep_while_computing,
    ),
)
