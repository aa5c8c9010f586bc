"""What probes in functions add, where the kernel takes them: poll methods and wait queues counted, epoll's callback, copies.

The counts are what the kernel's own algorithm must do (fs/select.c, fs/eventpoll.c), not what another run showed.
"""

from __future__ import annotations

import functools
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.capture.attach import PROBES, ProbeSpec
from probes.measure.measure import measure
from probes.measure.result import CallRow
from probes.recording import Quality
from tests.conftest import Followed, kernel_lacks

pytestmark = pytest.mark.live
N, M = 37, 11


def taking(*kinds: str) -> tuple[ProbeSpec, ...]:
    """The probes as a kernel that takes only these kinds of hooks, beside tracepoints, would have them."""

    def less(spec: ProbeSpec) -> ProbeSpec:
        kept = [candidate for candidate in spec.candidates if {hook.kind for hook in candidate.hooks} <= {"tracepoint", *kinds}]
        return ProbeSpec(spec.name, spec.hit, tuple(kept), spec.without, spec.required, spec.optional, spec.has_partner)

    return tuple(map(less, PROBES))


@pytest.fixture(params=["the first that it takes", "kprobes"])
def run(request: pytest.FixtureRequest, follow: Callable[..., Followed]) -> Callable[..., Followed]:
    """Follows a program by what this kernel takes first, and by kprobes, which serve where fentry is refused."""
    return functools.partial(follow, wanted=PROBES if request.param != "kprobes" else taking("kprobe", "kretprobe"))


def need(found: Followed, *names: str) -> None:
    """Skips where this kernel has no place for one of these probes."""
    for probe in found.result.probes:
        if probe.name in names and probe.quality is Quality.UNAVAILABLE:
            kernel_lacks(f"{probe.name}: {probe.reason or 'it takes no kprobes'}")


def counts(row: CallRow | Any) -> tuple[int | None, int | None, int | None]:
    return row.polled, row.queued, row.unqueued


def test_poll_and_select_ask_every_descriptor_and_epoll_only_the_ready(
    run: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    found = run(compiled("multiplexes"), str(N), str(M))
    assert found.result.events.sound, found.result.events
    need(found, "poll methods", "wait queues")
    for name in ("ppoll", "pselect6"):
        (row,) = [row for row in found.result.rows if row.name == name]
        assert row.count == 2 * M
        assert row.polled == N * M + 2 * N * M, "asked once where there is no time to sleep, else before the sleep and after it"
        assert row.queued == row.unqueued == N * M, "entered once in each queue, and only where there is time to sleep"
        slept = [call for call in found.result.named(name) if call.sleeps]
        assert {counts(call) for call in slept} <= {(2 * N, N, N)}
    added, removed = found.result.named("epoll_ctl")[:N], found.result.named("epoll_ctl")[N:]
    assert [counts(call) for call in added] == [(1, 1, 0)] * N
    assert [counts(call) for call in removed] == [(0, 0, 1)] * N
    waits = found.result.named("epoll_pwait", "epoll_wait")
    silent = [call for call in waits if not call.result]
    assert (sum(call.count for call in silent), sum(call.polled or 0 for call in silent)) == (M, 0), "they cost a wait nothing"
    assert [call.polled for call in waits if call.result] == [1]


def test_copying_descriptors_in_and_answers_out_is_bounded(run: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    found = run(compiled("multiplexes"), str(N), str(M))
    need(found, "poll methods", "wait queues")
    slept = {name: [call for call in found.result.named(name) if call.sleeps] for name in ("ppoll", "pselect6")}
    for name, calls in slept.items():
        assert M - 2 <= len(calls) <= M, "but for one whose time was over before it slept"
        for call in calls:
            assert call.copy_in_max and call.copy_out_max and call.copy_in_max + call.copy_out_max < call.kernel, name
    waits = [call for call in found.result.named("epoll_pwait", "epoll_wait") if call.result]
    assert all(wait.copy_in_max is None and wait.copy_out_max and wait.copy_out_max < wait.kernel for wait in waits)
    others = [call for call in found.result.calls if call.name not in ("ppoll", "pselect6", "epoll_pwait", "epoll_wait")]
    assert {(call.copy_in_max, call.copy_out_max) for call in others} == {(None, None)}


def test_epolls_callback_is_reported_with_its_reason(run: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    found = run(compiled("multiplexes"), str(N), str(M))
    need(found, "wait queues", "epoll's callback")
    assert found.result.listed is not None and len(found.result.listed) == M, "once for each byte written"
    (writer,) = found.result.threads
    for listed, write in zip(found.result.listed, found.result.named("write"), strict=True):
        assert listed.thread == writer.serial
        assert listed.ready is not None and write.enter < listed.ready <= listed.at < write.exit


@pytest.mark.parametrize("size", [64, 1 << 20])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_copy_of_a_stream_is_measured(
    kind: str, size: int, run: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    found = run(compiled("copies"), kind, str(size), "20")
    assert found.result.events.sound, found.result.events
    (copy,) = [probe for probe in found.result.probes if probe.name == "copy"]
    if copy.quality is not Quality.MEASURED:
        kernel_lacks(f"the copy is {copy.quality} here, by {copy.attached}")
    (row,) = [row for row in found.result.rows if row.name == "recvfrom"]
    assert (row.copy_quality, row.bytes, row.count) == (Quality.MEASURED, 20 * size, 20)
    for call in found.result.named("recvfrom"):
        assert 0 < call.copy < call.total and call.copied is not None and call.enter < call.copied < call.exit
    if size > 64:
        shares = [call.copy / (call.copy + call.kernel) for call in found.result.named("recvfrom")]
        assert statistics.median(shares) > 0.3, "most of reading a megabyte is copying it"


@pytest.mark.parametrize("size", [64, 4096, 20000])
def test_the_copy_of_a_datagram(size: int, run: Callable[..., Followed], compiled: Callable[..., Path]) -> None:
    found = run(compiled("copies"), "udp", str(size), "20")
    assert found.result.events.sound, found.result.events
    need(found, "datagram copy")
    quality = {probe.name: probe.quality for probe in found.result.probes}
    reads = found.result.named("recvfrom")
    (row,) = [row for row in found.result.rows if row.name == "recvfrom"]
    assert row.copy_quality is quality["datagram copy" if all(call.linear for call in reads) else "copy"]
    assert [call.linear for call in reads] == [size <= 4096] * 20
    assert all(0 < call.copy < call.total for call in reads)
    assert len(found.result.messages) == 20 and all(message.copied < message.returned for message in found.result.messages)


def test_the_bounded_copy_is_no_shorter_than_the_measured_one(kernel: None, compiled: Callable[..., Path]) -> None:
    from probes.capture.instrument import Instrument

    def copies(wanted: tuple[ProbeSpec, ...]) -> tuple[Quality, float]:
        with Instrument(wanted=wanted) as instrument:
            subprocess.run([compiled("copies"), "tcp", "65536", "200", str(instrument.invite())], check=True)
            result = measure(instrument.stop())
        assert result.events.sound, result.events
        (row,) = [row for row in result.rows if row.name == "recvfrom"]
        return row.copy_quality, statistics.median(call.copy for call in result.named("recvfrom"))

    exact, bounds = [], []
    for _ in range(3):  # by turns, and the best of three: a median differs by what else the machine does
        measured, copy = copies(PROBES)
        if measured is not Quality.MEASURED:
            kernel_lacks("the copy is an upper bound here in any case")
        bounded, bound = copies(taking())
        assert bounded is Quality.BOUNDED
        exact.append(copy)
        bounds.append(bound)
    assert min(bounds) > 0.5 * min(exact)
