"""Sleeps outside calls: threads of one name are one row, with all wakers; a thread without such sleeps has no row."""

from __future__ import annotations

import dataclasses
import io

from findings.sleeps.outside_calls import OutsideCalls, outside_calls
from probes.measure.result import SleptOn
from reports.terminal import sleeps
from reports.terminal.screen import screen
from tests.conftest import measured


def test_threads_of_one_name_are_one_row() -> None:
    result = measured("blocking")
    first = dataclasses.replace(
        result.threads[0], name="worker", slept_on=(SleptOn("signal stop", 2, 70, (("signal", 2),)), SleptOn("page", 1, 5, ()))
    )
    second = dataclasses.replace(first, slept_on=(SleptOn("signal stop", 1, 30, (("signal", 1),)),))
    other = dataclasses.replace(first, name="uring", kernel_worker=True, slept_on=(SleptOn("io_uring worker", 1, 900, ()),))
    quiet = dataclasses.replace(first, slept_on=())
    result = dataclasses.replace(result, threads=(first, second, other, quiet))
    assert outside_calls(result) == [
        OutsideCalls("uring", True, SleptOn("io_uring worker", 1, 900, ())),
        OutsideCalls("worker", False, SleptOn("signal stop", 3, 100, (("signal", 3),))),
        OutsideCalls("worker", False, SleptOn("page", 1, 5, ())),
    ]
    file = io.StringIO()
    sleeps.show(dataclasses.replace(result, rows=()), screen(file, 100))
    assert "worker, outside calls, on signal stop, 3 sleeps" in file.getvalue()
    assert "3 wake-ups: signal -> thread" in file.getvalue()


def test_no_sleep_outside_calls_is_no_row() -> None:
    result = measured("blocking")
    threads = tuple(dataclasses.replace(thread, slept_on=()) for thread in result.threads)
    assert outside_calls(dataclasses.replace(result, threads=threads)) == []
