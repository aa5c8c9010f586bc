"""The result of an asynchronous call: the caller waits for it, asks for the state again and again, or gets a callback.

The same work of 20 ms is given to a multiprocessing.Pool (apply, apply_async) and to both executors of concurrent.futures
(submit). What differs is how the calling thread learns of the end, and what the thread does until then.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.pool import AsyncResult, Pool
from typing import Any

from findings.view import NOWHERE
from labs.kit import asides
from labs.kit.experiment import PAUSE, Sections
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, sleeps
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from probes.words import count, ms

LAB = Lab(
    model="terms",
    chapter="Terms and calls",
    question="How does a caller learn that its asynchronous call has ended, and what does that cost?",
    watch="the calling thread: asleep while it waits or has a callback, awake all the time while it reads the state.",
    try_next=(
        "invoke lab terms        what synchronous and blocking mean",
        "invoke lab nonblocking  the same with a socket: a loop that polls",
        "invoke lab poll_pause   a pause between two polls",
    ),
    reading=(
        "docs.python.org: multiprocessing.pool.AsyncResult, concurrent.futures.Future",
        "man 2 futex; kernel/futex/waitwake.c: futex_wait, futex_wake",
    ),
    experiment="labs.async_results:experiment",
)
MANY = 1000  # a caller in a loop reads the state more often than this within 20 ms


@dataclass(frozen=True)
class Way:
    """One pool of workers, with its own names for the synchronous and the asynchronous call."""

    name: str
    wait: Callable[[], object]  # the synchronous call
    start: Callable[[Callable[[object], None] | None], AsyncResult[Any] | Future[Any]]  # the asynchronous call


def ended(handle: AsyncResult[Any] | Future[Any]) -> bool:
    """The state of an asynchronous call: Pool says ready(), the executors say done()."""
    return handle.ready() if isinstance(handle, AsyncResult) else handle.done()


def of_pool(pool: Pool) -> Way:
    """multiprocessing.Pool: apply and apply_async."""
    return Way(
        "Pool",
        lambda: pool.apply(time.sleep, (PAUSE,)),
        lambda callback: pool.apply_async(time.sleep, (PAUSE,), callback=callback),
    )


def of_executor(executor: ThreadPoolExecutor | ProcessPoolExecutor) -> Way:
    """concurrent.futures: submit."""

    def start(callback: Callable[[object], None] | None) -> Future[None]:
        future = executor.submit(time.sleep, PAUSE)
        if callback:
            future.add_done_callback(callback)
        return future

    return Way(type(executor).__name__, lambda: executor.submit(time.sleep, PAUSE).result(), start)


def ways() -> list[tuple[Callable[[], AbstractContextManager[Any]], Callable[[Any], Way]]]:
    """How each pool is created. The pools of processes come first: they fork while this process has one thread only."""
    forking = multiprocessing.get_context("fork")
    return [
        (lambda: forking.Pool(1), of_pool),
        (lambda: ProcessPoolExecutor(1, mp_context=forking), of_executor),
        (lambda: ThreadPoolExecutor(1), of_executor),
    ]


POOLS = ("Pool", "ProcessPoolExecutor", "ThreadPoolExecutor")


def experiment() -> dict[str, Any]:
    """Gives work of PAUSE seconds to each pool three times, and waits for its end in three ways."""
    section = Sections()
    asked: dict[str, int] = {}
    early: dict[str, bool] = {}
    reported: dict[str, bool] = {}
    for make, described in ways():
        with make() as pool:
            way = described(pool)
            way.wait()  # creates the workers
            section(f"{way.name}, waits")
            way.wait()
            section("between")
            section(f"{way.name}, asks")
            handle = way.start(None)
            early[way.name] = ended(handle)
            times = 1
            while not ended(handle):
                times += 1
            section("between")
            asked[way.name] = times
            notice = threading.Event()
            section(f"{way.name}, callback")
            way.start(lambda _result, notice=notice: notice.set())  # type: ignore[misc]
            reported[way.name] = notice.wait(10)
            section("between")
    return section.outcome(asked=asked, early=early, reported=reported)


@dataclass(frozen=True)
class Span:
    """The time of one section, from its mark to the next one of the same thread, ns."""

    duration: int
    asleep: int  # of the calling thread
    sleeps: int

    @property
    def awake(self) -> int:
        """On a CPU, or waiting for a CPU."""
        return self.duration - self.asleep


def span(run: Run, name: str) -> Span:
    """The section of that name; of 0 ns if the recording has no such section."""
    names = asides.of(run).sections
    marks = [call for call in run.result.calls if call.name == "lseek" and call.fd == NOWHERE and call.args[1] < len(names)]
    at = next((at for at, call in enumerate(marks) if names[call.args[1]] == name), None)
    if at is None or at + 1 == len(marks):
        return Span(0, 0, 0)
    slept = sleeps(run.sections.get(name, []))
    return Span(marks[at + 1].enter - marks[at].exit, sum(sleep.wait for sleep in slept), len(slept))


def asleep_throughout(section: Span) -> bool:
    """Did the caller sleep for most of the work?"""
    return section.asleep > 0.5e9 * PAUSE


def in_words(name: str, section: Span) -> str:
    """What the calling thread did in a section."""
    return f"{name}: {ms(section.duration)}, of this {ms(section.asleep)} in {count(section.sleeps, 'sleep')}"


@LAB.check("a synchronous call lets its caller sleep until the result is there", claims=("C01", "C03", "C50"))
def waits(run: Run) -> Finding:
    """Pool.apply, and submit(...).result() of both executors: a worker computes, and the caller sleeps on a futex."""
    spans = {name: span(run, f"{name}, waits") for name in POOLS}
    words = f"work of {ms(PAUSE * 1e9)}; {'; '.join(in_words(name, section) for name, section in spans.items())}"
    return confirmed(words) if all(asleep_throughout(section) for section in spans.values()) else failed(words)


@LAB.check("reading the state again and again keeps the caller awake", claims=("C02", "C50"))
def asks(run: Run) -> Finding:
    """apply_async and submit return at once. A loop over ready() or done() makes no system call, and takes a core.

    The loop also keeps the interpreter's lock from the thread that brings the result, so that the result comes later.
    """
    aside = asides.of(run)
    asked, early = aside.asked or {}, aside.early or {}
    parts, good = [], bool(asked)
    for name in POOLS:
        asking, times = span(run, f"{name}, asks"), asked.get(name, 0)
        parts.append(f"{in_words(name, asking)}; the state was read {count(times, 'time')}, first as {early.get(name)}")
        good = good and times > MANY and early.get(name) is False and asking.asleep < 0.5 * asking.duration
    words = "; ".join(parts)
    return confirmed(words) if good else failed(words)


@LAB.check("a callback reports the end once, and lets its caller sleep", claims=("C02", "C50"))
def called_back(run: Run) -> Finding:
    """The caller waits for an event that the callback sets. A thread of the pool runs the callback when the work has ended."""
    aside = asides.of(run)
    reported, asked = aside.reported or {}, aside.asked or {}
    spans = {name: span(run, f"{name}, callback") for name in POOLS}
    words = "; ".join(
        f"{in_words(name, section)};"
        f" {count(int(reported.get(name, False)), 'callback')}, instead of {count(asked.get(name, 0), 'read')} of the state"
        for name, section in spans.items()
    )
    good = all(asleep_throughout(section) and reported.get(name) for name, section in spans.items())
    return confirmed(words) if good else failed(words)


SHARE = Ranges((0.3, "for less than a third"), (0.7, "for about half of it"), beyond="for most of it")


def asleep_share(text: str, section: str) -> Question:
    """For how much of a section does the calling thread sleep?"""

    def truth(run: Run) -> Truth:
        figures = span(run, section)
        if not figures.duration:
            raise Undecided(f"0 sections of the name {section}")
        return Truth(SHARE(figures.asleep / figures.duration), in_words(section, figures))

    return Question(
        section.replace(", ", "-"), f"{text} For how much of this time does it sleep?", SHARE.labels, truth, ranges=True
    )


LAB.ask(
    asleep_share("A thread calls Pool.apply; the work takes 20 ms.", "Pool, waits"),
    asleep_share("A thread calls apply_async, then ready() in a loop until the work of 20 ms has ended.", "Pool, asks"),
    asleep_share(
        "A thread calls submit, then done() in a loop until the work of 20 ms has ended.", "ProcessPoolExecutor, asks"
    ),
    asleep_share("A thread calls submit, and waits for an event that a callback sets.", "ThreadPoolExecutor, callback"),
)
