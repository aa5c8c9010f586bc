"""A recording with the details of a part: findings that rest on missing calls are held against the part that has them all."""

from __future__ import annotations

import dataclasses

from findings.diagnosis import diagnose
from findings.properties import Holds
from findings.sleeps.idle import asleep
from findings.slowest import slowest
from findings.view import Run
from findings.whole import first_part, why_not_whole
from probes.measure.result import Details, Result
from tests.conftest import measured


def part(result: Result, share: float = 0.5) -> Result:
    """The same run, with the details of its beginning only; the threads and rows have the whole run."""
    begin = min(thread.start for thread in result.threads)
    end = begin + int(share * (max(thread.end for thread in result.threads) - begin))
    calls = tuple(call for call in result.calls if call.exit <= end)
    details = Details(sum(call.count for call in calls), sum(call.count for call in result.calls), ((begin, end),))
    messages = tuple(message for message in result.messages if message.returned <= end)
    return dataclasses.replace(result, calls=calls, messages=messages, details=details)


def test_a_whole_recording_is_whole() -> None:
    assert why_not_whole(measured("epoll")) == "" and first_part(measured("epoll")) is None


def test_the_first_part_ends_its_threads() -> None:
    result = part(measured("faults/leaks-files"))
    first = first_part(result)
    assert first and first.details.complete and "calls were recorded one by one" in why_not_whole(result)
    _, end = result.details.windows[0]
    assert all(thread.end <= end for thread in first.threads) and not any(thread.ended for thread in first.threads)
    assert len(first.calls) == len(result.calls)


def test_a_lossy_recording_has_no_first_part() -> None:
    result = part(measured("epoll"))
    assert first_part(dataclasses.replace(result, events=dataclasses.replace(result.events, lost=1))) is None


def test_a_fault_in_the_first_part_is_found_and_says_so() -> None:
    found = {finding.id: finding for finding in diagnose(part(measured("faults/leaks-files"), 0.8)).findings}
    leak = found["closes-its-descriptors"]
    assert leak.verdict is Holds.BROKEN and "(of the beginning: only" in leak.evidence


def test_missing_calls_are_no_fault() -> None:
    """Cut off in its middle, a right server has closed nothing, answered nothing, and read nothing more."""
    for name in ("epoll", "epoll_edge", "threads", "asyncio", "faults/short_send-right", "faults/epoll_set-right"):
        for share in (0.3, 0.5, 0.7):
            assert not diagnose(part(measured(name), share)).broken, (name, share)


def test_time_asleep_without_details_is_not_known() -> None:
    result = part(measured("epoll"))
    for thread in result.threads:
        parts = asleep(Run(result))[thread.serial]
        assert parts.idle + parts.held_up + parts.not_known == thread.wait and parts.not_known > 0
    assert len(slowest(result, 3).messages) == 3
