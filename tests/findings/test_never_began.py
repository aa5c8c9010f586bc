"""What answered a call that never began: a filter, its supervisor, a tracer, or a signal that ended the thread."""

from __future__ import annotations

import dataclasses

import pytest

from findings.never_began import NeverBegan, never_began
from probes.kernel.records import CallFlag, Kind, SleepFlag
from probes.measure.measure import measure
from probes.measure.result import AnsweredBy
from reports.outcomes import never_began as words
from tests.probes.measure.streams import NUMBERS, record, recording

SUPERVISOR = ("__schedule", "schedule", "wait_for_completion_interruptible", "__seccomp_filter")


def answered(flags: CallFlag, nr: int, ret: int, sleep: bool = False) -> list[NeverBegan]:
    stream = [record(Kind.THREAD, tid=7, ns_tid=7, ns_tgid=7, start=1, comm="server")]
    if sleep:
        stream.append(record(Kind.SLEEP, flags=int(SleepFlag.OUTSIDE), off=10, woken=20, on=20, stack=3, waker_stack=2))
    stream.append(record(Kind.CALL, nr=nr, flags=int(flags), enter=30, exit=30, ret=ret))
    stream.append(record(Kind.EXIT, end=90, calls=1, sleeps=int(sleep), wait=10 * sleep))
    whole = recording(stream)
    return list(never_began(measure(dataclasses.replace(whole, stacks={**whole.stacks, 3: SUPERVISOR}))))


@pytest.mark.parametrize(
    ("flags", "name", "ret", "sleep", "by", "said"),
    [
        (CallFlag.REFUSED, "clone3", -1, False, AnsweredBy.FILTER, "clone3 once EPERM"),
        (CallFlag.REFUSED, "getppid", 4711, True, AnsweredBy.SUPERVISOR,
         "getppid once with the result 4711 (its supervisor answered)"),
        (CallFlag.EMULATED, "getppid", 42, False, AnsweredBy.TRACER, "getppid once with the result 42"),
        (CallFlag.KILLED | CallFlag.NO_RETURN, "read", 0, False, AnsweredBy.SIGNAL, "read once at which the thread died"),
    ],
)  # fmt: skip
def test_what_answered_is_named(flags: CallFlag, name: str, ret: int, sleep: bool, by: AnsweredBy, said: str) -> None:
    (row,) = answered(flags, NUMBERS[name], ret, sleep)
    assert (row.name, row.by) == (name, by)
    assert words([row]) == said


def test_a_call_that_a_tracer_skips_has_no_number() -> None:
    (row,) = answered(CallFlag.EMULATED, -1, -38)
    assert words([row]) == "skipped_call once ENOSYS"
