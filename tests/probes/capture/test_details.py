"""Details within a budget: when they are wanted (pure), and sums that stay exact without them (live)."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.capture.details import RECORD, Budget
from probes.measure.measure import measure
from probes.measure.result import Result

SECOND, MUCH = 10**9, 1 << 40


def test_without_a_budget_all_details_are_wanted_until_there_is_no_room() -> None:
    budget = Budget(None, 1000)
    assert [budget.wants(taken, at) for at, taken in enumerate((0, 1000, 1001, 1001))] == [True, True, False, False]
    assert budget.full and budget.end(9) == [(0, 2)]


def test_half_of_a_budget_is_for_the_beginning_and_half_for_samples() -> None:
    budget, taken, wanted = Budget(1000, MUCH), 0, []
    for tick in range(30_000):  # 600 s
        wanted.append(budget.wants(taken, tick * SECOND // 50))
        taken += wanted[-1] * 5 * RECORD
    assert taken <= 1000 * RECORD * 1.02
    first, *samples = budget.end(600 * SECOND)
    assert first == (0, 100 * SECOND // 50)
    assert len(samples) >= 20 and samples[-1][0] > 60 * SECOND
    assert not budget.full


def test_between_two_samples_there_is_nothing_to_watch() -> None:
    budget = Budget(1000, MUCH)
    assert budget.wants(0, 0) and budget.pause(0, 0.02) == 0.02
    assert not budget.wants(500 * RECORD, SECOND) and budget.pause(SECOND, 0.02) == 0.1, "the next sample is at 1.125 s"
    assert budget.pause(SECOND * 11 // 10, 0.02) == pytest.approx(0.025) and budget.pause(SECOND * 9 // 8, 0.02) == 0.02
    assert budget.wants(500 * RECORD, SECOND * 9 // 8) and budget.pause(SECOND * 9 // 8, 0.02) == 0.02
    assert not budget.wants(1000 * RECORD, SECOND * 12 // 10) and not budget.wants(1000 * RECORD, SECOND * 13 // 10)
    assert budget.pause(SECOND * 100, 0.02) == 0.1, "the budget is spent"


def test_a_fast_program_has_samples_for_minutes_and_never_exceeds_its_budget() -> None:
    """A program of 2 million calls/s. The kernel side ends each window when its bytes are spent, between two checks."""
    budget, taken, left, closed, second = Budget(50_000, MUCH), 0, 0, 0, 2_000_000 * RECORD
    wanted = False
    for tick in range(0, 120 * SECOND, 20_000_000):
        before, wanted = wanted, budget.wants(taken, tick, closed=closed)
        if wanted and (closed or not before):
            left = budget.grant(taken)
        closed, spent = 0, min(left, second // 50) if wanted else 0
        taken, left = taken + spent, left - spent
        if wanted and not left:
            closed = tick + spent * SECOND // second
    assert taken <= 50_000 * RECORD
    first, *samples = budget.end(120 * SECOND)
    assert first == (0, SECOND // 80) and len(samples) > 50 and samples[-1][0] > 100 * SECOND


def test_the_kernel_side_ends_the_details_at_the_limit_if_all_were_wanted() -> None:
    budget = Budget(None, 1000)
    assert budget.wants(0, 5) and budget.grant(0) == 1000
    assert not budget.wants(900, 9, closed=7) and budget.full and budget.end(9) == [(5, 7)]


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), max_size=200))
def test_a_budget_is_never_exceeded_by_more_than_one_drain(records: int, drains: list[int]) -> None:
    budget, taken, most = Budget(records, MUCH), 0, 0
    for tick, size in enumerate(drains):
        if budget.wants(taken, tick * SECOND):
            taken, most = taken + size, max(most, size)
    assert taken < records * RECORD + most + 1
    windows = budget.end(len(drains) * SECOND)
    assert all(begin <= end for begin, end in windows)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(windows))


def mixed(compiled: Callable[..., Path], count: int, **options: Any) -> tuple[dict[str, int], Result]:
    """What the program says that it called, and what was measured."""
    from probes.capture.instrument import Instrument

    with Instrument(**options) as instrument:
        command = [str(compiled("mixed")), str(count), str(instrument.invite())]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        return json.loads(said), measure(instrument.stop())


@pytest.mark.live
@pytest.mark.parametrize(("count", "details"), [(100_000, 0), (2_000_000, 2000), (100_000, None)])
def test_sums_are_exact_however_few_details_there_are(
    kernel: None, compiled: Callable[..., Path], count: int, details: int | None
) -> None:
    said, result = mixed(compiled, count, details=details)
    assert result.events.sound and result.verdict == "pass", result.events
    rows = {row.name: row for row in result.rows}
    expected = said | {"write": said["write"] + 1}  # it says so by a write
    assert {name: rows[name].count for name in expected} == expected
    assert rows["recvfrom"].errors == {"EAGAIN": said["recvfrom"]} and rows["close"].errors == {"EBADF": said["close"]}
    (thread,) = result.threads
    assert thread.calls == sum(row.count for row in result.rows) == result.details.of
    assert thread.wall == thread.user + thread.wait + thread.sched_delay + thread.preempted + thread.copy + thread.kernel
    assert result.details.complete == (details is None)
    if details == 0:
        assert not result.calls
    assert thread.ended_by and thread.ended_by.status == 0


@pytest.mark.live
def test_where_all_details_find_no_room_the_sums_go_on(kernel: None, compiled: Callable[..., Path]) -> None:
    said, result = mixed(compiled, 400_000, most_bytes=100_000)
    assert result.events.sound and result.events.full and result.details.recorded < result.details.of
    assert {row.name: row.count for row in result.rows}["getppid"] == said["getppid"]


@pytest.mark.live
def test_calls_that_repeat_cost_no_memory(kernel: None, compiled: Callable[..., Path]) -> None:
    """Calls that succeed, too: the first of them are reported one by one, the others in one burst."""
    from probes.capture.instrument import Instrument

    with Instrument() as instrument:
        subprocess.run([compiled("counts"), "300000", str(instrument.invite())], check=True)
        recording = instrument.stop()
    result = measure(recording)
    assert result.details.complete and len(recording.data) < 100_000
    assert {row.name: row.count for row in result.rows}["getppid"] == 300_000
    assert sum(call.count for call in result.named("getppid") if call.histogram) >= 299_900


def spun(compiled: Callable[..., Path], kind: str, rounds: int) -> tuple[Result, int]:
    """The result of a program that spins (tests/programs/spins.c), and the bytes of its recording."""
    from probes.capture.instrument import Instrument

    with Instrument() as instrument:
        subprocess.run([compiled("spins"), str(rounds), kind, str(instrument.invite())], check=True)
        recording = instrument.stop()
    result = measure(recording)
    assert result.events.sound and result.details.complete
    return result, len(recording.data)


@pytest.mark.live
@pytest.mark.parametrize(("kind", "calls"), [("pair", ["poll", "read"]), ("four", ["poll", "read", "newfstatat", "getppid"])])
def test_a_spin_of_several_calls_costs_no_memory(
    kernel: None, compiled: Callable[..., Path], kind: str, calls: list[str]
) -> None:
    """64 rounds are reported call by call, then each call has a burst. The counts are exact."""
    rounds = 1_000_000 // len(calls)
    result, size = spun(compiled, kind, rounds)
    assert size < 200_000
    made = Counter[str]()
    for row in result.rows:
        made[row.name] += row.count
    for name in calls:
        assert made[name] == rounds
        alone = [call for call in result.named(name) if not call.histogram]
        assert 64 <= len(alone) < 200  # more where an interrupt made a call long
        assert sum(call.count for call in result.named(name) if call.histogram) == rounds - len(alone)


@pytest.mark.live
def test_a_spin_goes_on_after_a_sleep(kernel: None, compiled: Callable[..., Path]) -> None:
    """A server may spin between its messages: the rounds after each message are folded at once."""
    result, _ = spun(compiled, "between", 50_000)
    assert len(result.named("clock_nanosleep")) == 50
    assert sum(1 for call in result.named("poll") if not call.histogram) < 200


@pytest.mark.live
@pytest.mark.parametrize("kind", ["six", "echoes", "results"])
def test_what_is_not_a_spin_is_reported_call_by_call(kernel: None, compiled: Callable[..., Path], kind: str) -> None:
    """A round of more than 4 calls; a loop that sleeps, as a server does; one call that alternates between two results."""
    result, _ = spun(compiled, kind, 500)
    name = "fcntl" if kind == "results" else "read"
    assert not any(call.histogram for call in result.named(name))
    assert len(result.named(name)) == (1000 if kind == "results" else 500)


@pytest.mark.live
def test_threads_beyond_the_accounts_share_one(kernel: None) -> None:
    from probes.capture.instrument import Instrument
    from probes.kernel.limits import Sizes

    script = "import os, sys\nfrom probes.capture.prctl import follow_me\nfollow_me(int(sys.argv[1]))\n" + (
        "for _ in range(40):\n    if os.fork() == 0: os._exit(0)\n    os.wait()\n"
    )
    with Instrument(Sizes(accounts=8)) as instrument:
        command = [sys.executable, "-c", script, str(instrument.invite())]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])})
        result = measure(instrument.stop())
    assert result.events.sound, result.events
    assert len(result.threads) == 8 and result.others and result.others.threads == 33
    assert {row.name: row.count for row in result.rows}["exit_group"] == 41
    assert min(result.others.user, result.others.kernel, result.others.wait) >= 0


@pytest.mark.live
@pytest.mark.parametrize("details", [10_000, None])
def test_of_sleeps_that_look_alike_a_sample_of_the_stacks_is_walked(
    kernel: None, compiled: Callable[..., Path], details: int | None
) -> None:
    """Within a budget the first 64, then 1 of 16; a row never says that a stack was walked that was not. In a lab, all are."""
    from probes.capture.instrument import Instrument

    with Instrument(details=details) as instrument:
        command = [str(compiled("sleeps")), "400", str(instrument.invite())]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        result = measure(instrument.stop())
    assert result.events.sound, result.events
    (row,) = [row for row in result.rows if row.name == "clock_nanosleep"]
    (slept,) = row.slept_on
    assert slept.count >= 400 and slept.queue == "timer"
    rows = [each for each in result.sleep_sums if each.call == "clock_nanosleep"]
    assert sum(each.walked for each in rows) == (slept.count if slept.walked is None else slept.walked)
    if details is None:
        assert slept.walked is None
    else:
        assert slept.walked is not None
        assert 64 + (400 - 64) // 16 <= slept.walked <= slept.count // 2


@pytest.mark.live
def test_a_burst_ends_where_its_descriptor_is_closed(kernel: None) -> None:
    """The number means another file afterwards, so its calls without result are a burst of their own."""
    from probes.capture.instrument import Instrument

    script = """
import os, sys
from probes.capture.prctl import follow_me
follow_me(int(sys.argv[1]))
for _ in range(2):
    reader, writer = os.pipe2(os.O_NONBLOCK)
    for _ in range(5):
        try: os.read(reader, 1)
        except BlockingIOError: pass
    os.close(reader)
    os.close(writer)
"""
    with Instrument() as instrument:
        command = [sys.executable, "-c", script, str(instrument.invite())]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])})
        result = measure(instrument.stop())
    bursts = [call for call in result.named("read") if call.errno == "EAGAIN"]
    assert [burst.count for burst in bursts] == [5, 5] and len({burst.fd for burst in bursts}) == 1
