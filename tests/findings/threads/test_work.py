"""What each process did: its figures add up to those of its threads and calls."""

from __future__ import annotations

import pytest

from findings.sleeps.longest import longest
from findings.threads.work import on_cpu, processes
from tests.conftest import measured


@pytest.mark.parametrize("name", ["processes", "thread_pool", "trace", "lock_in_loop"])
def test_processes_add_up(name: str) -> None:
    result = measured(name)
    works = processes(result)
    assert sum(work.cpu for work in works) == sum(map(on_cpu, result.threads))
    assert sum(work.calls for work in works) == sum(thread.calls for thread in result.threads)
    assert sum(work.received + work.sent for work in works) == sum(call.bytes for call in result.calls)
    assert sum(work.messages or 0 for work in works) == len(result.messages)
    assert [work.cpu for work in works] == sorted((work.cpu for work in works), reverse=True)
    assert {work.pid for work in works} == {thread.pid for thread in result.threads}


def test_bytes_are_those_of_all_calls_where_details_are_a_part() -> None:
    result = measured("budget")
    works = processes(result)
    assert sum(work.received + work.sent for work in works) == sum(row.bytes for row in result.sums)
    assert all(work.messages is None for work in works)


def test_the_longest_call_is_no_longer_than_all_of_its_name() -> None:
    result = measured("lock_in_loop")
    found = longest(result.calls)
    for row in result.rows:
        assert row.p99 <= found[row.name].call <= row.total or row.count == 1
        assert found[row.name].sleep <= row.wait
