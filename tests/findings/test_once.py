"""Facts that several findings need are found once for each result."""

from __future__ import annotations

import dataclasses

from findings.once import once
from findings.view import Run
from probes.measure.result import Result
from tests.conftest import measured


def test_a_result_is_read_once_for_all_readers() -> None:
    asked: list[Result] = []

    @once
    def calls(run: Run) -> int:
        asked.append(run.result)
        return len(run.result.calls)

    result = measured("epoll")
    assert calls(Run(result)) == calls(Run(result)) == len(result.calls) and len(asked) == 1
    part = dataclasses.replace(result, calls=result.calls[:3])
    assert calls(Run(part)) == 3 and len(asked) == 2, "a part is a result of its own"


def test_the_calls_of_names_and_threads_stay_in_order() -> None:
    result = measured("epoll")
    names = ("sendto", "recvfrom", "recvfrom")
    assert result.named(*names) == [call for call in result.calls if call.name in names]
    assert (
        result.named("accept4") == [call for call in result.calls if call.name == "accept4"] and result.named("nothing") == []
    )
    assert sorted(map(id, result.calls)) == sorted(id(call) for calls in result.calls_of.values() for call in calls)
