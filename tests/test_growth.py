"""No step from a recording to a report grows faster than n log n: each is timed on a run that is 4 times as long.

A step that looks through all calls for each message takes 16 times as long then, and not 4 times.
"""

from __future__ import annotations

import functools
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

import labs
from findings.properties import ALL, OF_ANY_PROGRAM
from findings.sleeps.idle import asleep
from findings.slowest import slowest
from findings.view import Run
from probes.garbage import uncollected
from probes.measure.measure import measure
from probes.measure.result import Result
from probes.recording import Recording
from reports import document
from reports.html import page
from runs.lab import measure_and_check
from runs.report import report
from tests.conftest import lab_run
from tests.growth import longer, wider

SHORT, TIMES = 8, 4
ENOUGH = 0.015  # seconds of CPU; what takes less at the larger size is no burden
STEEPEST = 2.2 * TIMES  # n log n and the noise of a shared machine; quadratic growth is TIMES ** 2


def test_a_longer_recording_is_sound(recorded: Callable[[str], Recording]) -> None:
    once, more = measure(recorded("epoll")), measure(longer(recorded("epoll"), 3))
    assert more.events.unmatched == once.events.unmatched == 0
    assert len(more.messages) == 3 * len(once.messages)
    assert len(more.calls) == 3 * len(once.calls)


def test_a_wider_recording_is_sound(recorded: Callable[[str], Recording]) -> None:
    once, more = measure(recorded("threads")), measure(wider(recorded("threads"), 3))
    assert more.events.unmatched == once.events.unmatched == 0
    assert len(more.threads) == 3 * len(once.threads)


def steps(recording: Recording) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every step from this recording to a report, each as a function without arguments."""
    name = lab_run(recording).lab
    yield "measure", lambda: measure(recording)
    result = measure_and_check(recording)
    for each in {each.id: each for each in (*ALL, *OF_ANY_PROGRAM)}.values():
        yield each.id, functools.partial(_on_a_new_run, each.observe, result)
    for check, _claims, function in labs.find(name).checks:
        yield check, functools.partial(_on_a_new_run, function, result)
    yield "asleep", functools.partial(_on_a_new_run, asleep, result)
    yield "slowest", lambda: slowest(result, 5)
    yield "report", lambda: report(result)
    whole = report(result)
    yield "document", lambda: document.document(whole)
    yield "page", lambda: page.write(report(result), io.StringIO())


def _on_a_new_run(function: Callable[[Run], Any], result: Result) -> Any:
    """Without what another function has kept in its Run."""
    return function(Run(result))


def seconds(step: Callable[[], Any], tries: int) -> float:
    """CPU seconds that a step takes: the least of some tries."""
    taken = []
    with uncollected():  # as a report is made
        for _ in range(tries):
            start = time.process_time()
            step()
            taken.append(time.process_time() - start)
    return min(taken)


def steepness(large: Callable[[], Any], small: Callable[[], Any]) -> float:
    """How many times as long the large step takes as the small one. Other work on the machine may make one try longer: what
    looks steep is timed again, and the least of 3 or 6 tries counts. 0 for a step that takes no time worth mentioning.
    """
    for tries in (1, 3, 6):
        taken = seconds(large, tries)
        ratio = taken / seconds(small, tries) if taken > ENOUGH else 0.0
        if ratio <= STEEPEST:
            break
    return ratio


@pytest.mark.parametrize(("lab", "grown"), [("epoll", longer), ("threads", wider), ("select", longer), ("blocking", longer)])
def test_no_step_grows_faster_than_n_log_n(
    lab: str, grown: Callable[[Recording, int], Recording], recorded: Callable[[str], Recording]
) -> None:
    short = dict(steps(grown(recorded(lab), SHORT)))
    steep = {}
    for name, step in steps(grown(recorded(lab), SHORT * TIMES)):
        if (ratio := steepness(step, short[name])) > STEEPEST:
            steep[name] = f"{ratio:.1f} times the time for {TIMES} times the run"
    assert not steep


@pytest.mark.parametrize("each", ["gets-a-cpu", "never-spins"])
def test_threads_that_find_no_cpu_are_not_compared_in_pairs(each: str, recorded: Callable[[str], Recording]) -> None:
    result = measure(recorded("faults/convoy-right"))
    assert result.sums
    observe = next(found for found in OF_ANY_PROGRAM if found.id == each).observe

    def of(number: int) -> Callable[[], Any]:
        thread = replace(result.threads[0], sched_delay=10**12, start=0, end=10**12, calls=9)
        threads = tuple(replace(thread, serial=serial) for serial in range(1, number + 1))
        sums = tuple(replace(row, thread=thread.serial) for thread in threads for row in result.sums[:8])
        return lambda: observe(Run(replace(result, threads=threads, sums=sums, calls=(), messages=())))

    assert steepness(of(400 * TIMES), of(400)) <= STEEPEST


def test_quadratic_growth_is_seen() -> None:
    def pairs(number: int) -> Callable[[], int]:
        return lambda: sum(1 for left in range(number) for right in range(number) if left < right)

    assert steepness(pairs(400 * TIMES), pairs(400)) > STEEPEST
    assert steepness(lambda: sum(range(400_000 * TIMES)), lambda: sum(range(400_000))) <= STEEPEST
