"""The longest call and sleep of each name, also of calls that were not reported one by one."""

from __future__ import annotations

from findings.sleeps.longest import longest
from probes.measure.measure import measure
from tests.conftest import recording_of


def test_the_sums_know_the_longest_of_all_calls() -> None:
    result = measure(recording_of("budget"))
    assert not result.details.complete
    reported, every = longest(result.calls), longest(result.calls, result.sums, result.sleep_sums)
    assert {row.name for row in result.rows} == set(every) > set(reported)
    assert all(every[name].call >= known.call and every[name].sleep >= known.sleep for name, known in reported.items())


def test_both_agree_where_every_call_was_reported() -> None:
    result = measure(recording_of("epoll"))
    assert longest(result.calls, result.sums, result.sleep_sums) == longest(result.calls)
