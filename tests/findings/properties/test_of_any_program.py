"""Each kind of fault in a small program, found with its cost and its place; its right twin is quiet.

The programs are those of tests/programs/faults; tests/findings/record_faults.py records them anew.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import pytest

from findings.diagnosis import ProgramFinding, diagnose
from findings.properties import OF_ANY_PROGRAM, Holds
from findings.properties.closes_its_descriptors import CLOSES_ITS_DESCRIPTORS
from findings.properties.gets_a_cpu import GETS_A_CPU
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from findings.properties.queues_at_no_lock import QUEUES_AT_NO_LOCK
from findings.properties.waits_for_its_children import WAITS_FOR_ITS_CHILDREN
from findings.view import Run
from probes.context import Throttled, TraceRun
from probes.measure.queues import Queue
from probes.measure.result import Call, Result
from tests.conftest import DATA, measured
from tests.findings.models.story import Story

MS = 1_000_000


class Fault(NamedTuple):
    """What must be found in a recording: words of the evidence, the least cost, and the call of the worst place."""

    name: str
    id: str
    words: str
    ns: int = 0
    calls: int = 0
    bytes: int = 0
    call: str | None = None


FAULTS = [
    Fault("blocking_loop-mutex", "blocks-only-in-its-wait", "(woken by helper)", ns=30 * MS, calls=1, call="futex"),
    Fault("blocking_loop-pause", "blocks-only-in-its-wait", "in clock_nanosleep", ns=39 * MS, calls=1, call="clock_nanosleep"),
    Fault("blocking_loop-child", "blocks-only-in-its-wait", "in wait4", ns=39 * MS, calls=1, call="wait4"),
    Fault("blocking_loop-one", "blocks-only-in-its-wait", "for one descriptor alone", ns=39 * MS, calls=1, call="poll"),
    Fault("blocking_loop-pipe", "blocks-only-in-its-wait", "on the pipe's queue", ns=30 * MS, calls=1, call="read"),
    Fault("convoy-wrong", "queues-at-no-lock", "4 threads slept", ns=100 * MS, calls=30, call="futex"),
    Fault("convoy-semaphore", "queues-at-no-lock", "4 threads slept", ns=100 * MS, calls=30, call="futex"),
    Fault("cpu-wrong", "gets-a-cpu", "had no CPU for", ns=300 * MS),
    Fault("deaths-sigpipe", "dies-of-no-signal", "SIGPIPE ended 3 processes", calls=3, call="sendto"),
    Fault("deaths-abort", "dies-of-no-signal", "SIGABRT ended 3 processes", calls=3, call="tgkill"),
    Fault("deaths-fault", "dies-of-no-signal", "SIGSEGV ended 3 processes", calls=3, call="set_robust_list"),
    Fault("delayed_ack-wrong", "waits-for-no-acknowledgement", "of about 40 ms", ns=400 * MS, calls=10, call="recvfrom"),
    Fault("epoll_set-oneshot", "arms-every-descriptor", "no call armed EPOLLONESHOT", ns=300 * MS, call="epoll_ctl"),
    Fault("epoll_set-forgotten", "arms-every-descriptor", "1 accepted connection stayed outside", ns=200 * MS, call="accept4"),
    Fault("leaks-files", "closes-its-descriptors", "never closed 60 descriptors that openat", calls=60, call="openat"),
    Fault("leaks-threads", "ends-its-threads", "threads of process", calls=50, call="futex"),
    Fault("leaks-children", "waits-for-its-children", "never waited for", calls=3),
    Fault("pages-wrong", "waits-for-no-page", "times in page faults", ns=MS, calls=200),
    Fault("short_send-wrong", "sends-every-byte", "further sends", calls=2, bytes=300_000, call="sendto"),
    Fault("sockets-edge", "leaves-no-data-unread", "12 unread bytes", ns=50 * MS, calls=1, bytes=12),
    Fault("sockets-queued", "accepts-every-connection", "never accepted 1", ns=50 * MS, calls=1),
    Fault("sockets-unread", "reads-every-byte", "2 sockets were closed with 24 bytes", ns=100 * MS, bytes=24),
    Fault("spins-eof", "never-spins", "read returned 0 bytes", ns=MS // 10, calls=1000, call="poll"),
    Fault("spins-hup", "never-spins", "reported as ready and no data moved", ns=MS // 10, calls=1000, call="poll"),
    Fault("spins-zero", "never-spins", "time-out 0", ns=MS // 10, calls=1000, call="poll"),
    Fault("spins-eagain", "never-spins", "returned EAGAIN", ns=MS // 10, calls=1000, call="read"),
    Fault("spins-emfile", "never-spins", "accept4 got EMFILE", ns=MS // 10, calls=1000, call="epoll_wait"),
]
ALSO = {"spins-emfile": {"closes-its-descriptors"}}
RIGHT = [
    "blocking_loop-right", "chain-child", "chain-threads", "convoy-pool", "convoy-right", "cpu-right", "deaths-right",
    "deaths-term", "delayed_ack-joined", "delayed_ack-nodelay", "epoll_set-right", "leaks-pool", "leaks-right", "pages-right",
    "short_send-copied", "short_send-right", "sockets-accepted", "sockets-addresses", "sockets-drained", "sockets-read",
    "spins-right",
]  # fmt: skip


def broken(name: str) -> dict[str, ProgramFinding]:
    return {finding.id: finding for finding in diagnose(measured(f"faults/{name}")).broken}


def test_each_recording_is_expected() -> None:
    names = {path.stem for path in (DATA / "faults").glob("*.iolab")}
    assert names == {fault.name for fault in FAULTS} | set(RIGHT)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found(fault: Fault) -> None:
    found = broken(fault.name)
    assert found.keys() == {fault.id} | ALSO.get(fault.name, set()), found
    finding = found[fault.id]
    assert fault.words in finding.evidence
    assert finding.cost.ns >= fault.ns and finding.cost.calls >= fault.calls and finding.cost.bytes >= fault.bytes
    assert finding.place and finding.place.call == fault.call
    process = next(thread for thread in measured(f"faults/{fault.name}").threads if thread.serial == finding.place.thread)
    assert finding.place.pid == process.pid and finding.place.since and finding.place.since >= process.start


@pytest.mark.parametrize("name", RIGHT)
def test_its_right_twin_is_quiet(name: str) -> None:
    assert not broken(name)


def test_each_property_breaks_somewhere_and_holds_somewhere() -> None:
    by_others = {  # tests/findings/properties/test_properties.py
        "computes-little", "serves-in-turn", "needs-no-short-time-out", "wakes-one-thread",
        "closes-ended-connections", "reads-large-pieces",
        "has-one-owner", "sleeps-without-work", "tries-only-ready-connections",  # each has a test file of its own
    }  # fmt: skip
    assert {fault.id for fault in FAULTS} | by_others == {each.id for each in OF_ANY_PROGRAM}
    held = {finding.id for name in RIGHT for finding in diagnose(measured(f"faults/{name}")).held}
    assert {fault.id for fault in FAULTS} <= held


def test_a_queue_at_the_lock_of_an_address_space_is_found() -> None:
    result = measured("faults/convoy-wrong")

    def at_mmap_lock(call: Call) -> Call:
        sleeps = tuple(dataclasses.replace(sleep, queue=Queue.MMAP_LOCK) for sleep in call.sleeps)
        return dataclasses.replace(call, name="mmap", sleeps=sleeps) if call.name == "futex" else call

    seen = QUEUES_AT_NO_LOCK.observe(Run(dataclasses.replace(result, calls=tuple(map(at_mmap_lock, result.calls)))))
    assert seen.holds is Holds.BROKEN and "the lock of their address space (mmap_lock)" in seen.evidence


def test_the_remedy_is_that_of_the_case() -> None:
    remedies = {name: broken(f"blocking_loop-{name}")["blocks-only-in-its-wait"].remedy for name in ("mutex", "pause", "child")}
    assert "lock" in remedies["mutex"] and "timer" in remedies["pause"] and "SIGCHLD" in remedies["child"]


def test_calls_without_details_are_counted_by_the_sums() -> None:
    result = measured("faults/spins-eof")
    some = dataclasses.replace(result, calls=result.calls[: len(result.calls) // 2])
    assert "1,000 times read returned 0 bytes" in NEVER_SPINS.observe(Run(some)).evidence


def test_a_herd_is_found_and_an_exclusive_wait_is_not() -> None:
    herd = {finding.id: finding for finding in diagnose(Run(measured("thundering_herd")).case("in epoll").result).broken}
    assert "accepted connection" in herd["wakes-one-thread"].evidence and herd["wakes-one-thread"].cost.calls >= 20
    for case in ("exclusive", "reuseport"):
        assert "wakes-one-thread" not in {
            finding.id for finding in diagnose(Run(measured("thundering_herd")).case(case).result).broken
        }


def test_a_parent_whose_handler_is_not_known_leaves_no_zombies() -> None:
    result = measured("faults/leaks-children")
    first = next(call for call in result.calls if call.thread == result.threads[0].serial)
    ignores = dataclasses.replace(first, name="rt_sigaction", args=(17, 1, 0, 8), fd=None)
    seen = WAITS_FOR_ITS_CHILDREN.observe(Run(dataclasses.replace(result, calls=(ignores, *result.calls))))
    assert seen.holds is Holds.HELD


def test_a_delay_that_nobody_notices_is_no_finding() -> None:
    result = measured("faults/cpu-wrong")
    short = [dataclasses.replace(thread, preempted=thread.preempted // 10, wait=thread.wall // 2) for thread in result.threads]
    assert GETS_A_CPU.observe(Run(dataclasses.replace(result, threads=tuple(short)))).holds is Holds.HELD


def test_other_programs_on_a_busy_machine_are_no_finding() -> None:
    """The same times without a CPU; but the program's own threads hardly ran meanwhile."""
    result = measured("faults/cpu-wrong")
    alone = [dataclasses.replace(thread, user=thread.user // 20, kernel=0, copy=0) for thread in result.threads]
    seen = GETS_A_CPU.observe(Run(dataclasses.replace(result, threads=tuple(alone))))
    assert seen.holds is Holds.HELD and "other programs had the CPUs" in seen.evidence


def test_a_limit_of_a_control_group_is_named_where_threads_waited_for_it() -> None:
    group = Throttled("/sys/fs/cgroup/cpu/small", times=14, ns=400 * MS, quota_ns=20 * MS, period_ns=100 * MS)
    result = measured("faults/cpu-wrong")
    limited = dataclasses.replace(result, context=TraceRun(throttled=(group,)))
    seen = GETS_A_CPU.observe(Run(limited))
    assert seen.holds is Holds.BROKEN and seen.cost.ns == 400 * MS
    assert "/sys/fs/cgroup/cpu/small (cpu.max: 20.0 ms in each 100.0 ms) was throttled 14 times, for 400.0 ms" in seen.evidence
    assert "raise the limit" in seen.remedy
    idle = [dataclasses.replace(thread, preempted=0, sched_delay=0) for thread in result.threads]
    seen = GETS_A_CPU.observe(Run(dataclasses.replace(limited, threads=tuple(idle))))
    assert seen.holds is Holds.HELD, "other processes of the group were throttled"


def opens(turns: int, reads: bool) -> Story:
    """A run of some us, far too short to see a number grow with time."""
    story = Story()
    story.listener(3)
    story.call("accept", 3, result=4)
    for turn in range(turns):
        if reads:
            story.call("recvfrom", 4, 0, 4096, 0, result=64, socket=1)
        story.call("openat", 0, result=10 + turn)
    return story


@pytest.mark.parametrize(
    ("turns", "reads", "verdict"), [(30, True, Holds.BROKEN), (30, False, Holds.HELD), (10, True, Holds.HELD)]
)
def test_a_file_for_each_read_is_a_leak_in_a_short_run_too(turns: int, reads: bool, verdict: Holds) -> None:
    """A start-up that opens as many files without reading from a client is none."""
    seen = CLOSES_ITS_DESCRIPTORS.observe(Run(opens(turns, reads).result()))
    assert seen.holds is verdict, seen.evidence


def times_out(others_awake: float, woken: int) -> Result:
    """A thread that waits for a queue 20 times until the time is over, and is woken `woken` times; another computes."""
    story = Story()
    thread = story.thread()
    for number in range(20 + woken):
        errno = "ETIMEDOUT" if number < 20 else None
        story.call("futex", 0, by=thread, sleeps="futex", errno=errno, result=-110 if errno else 0)
    result = story.result()
    first, waits = result.threads
    idle = dataclasses.replace(first, wait=int((1 - others_awake) * first.wall), sched_delay=0)
    return dataclasses.replace(result, threads=(idle, waits))


@pytest.mark.parametrize(
    ("others_awake", "woken", "verdict"), [(0.1, 2, Holds.BROKEN), (0.9, 2, Holds.HELD), (0.1, 40, Holds.HELD)]
)
def test_a_queue_that_is_asked_again_and_again_is_polled(others_awake: float, woken: int, verdict: Holds) -> None:
    """While another thread computes, CPython's interpreter lock times out as often; a queue with work is not polled."""
    seen = NEEDS_NO_SHORT_TIME_OUT.observe(Run(times_out(others_awake, woken)))
    assert seen.holds is verdict, seen.evidence
