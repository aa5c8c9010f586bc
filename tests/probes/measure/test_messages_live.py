"""Data on its way, live: datagrams one by one, and what the kernel's own workers take for the process."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from probes.patience import PATIENCE
from probes.recording import Quality
from tests.conftest import Followed, cannot, kernel_lacks

pytestmark = pytest.mark.live


def attached(run: Followed, name: str) -> bool:
    """Skips the test if this kernel has no place for the probe, and names the reason."""
    (probe,) = [probe for probe in run.result.probes if probe.name == name]
    if probe.quality is Quality.UNAVAILABLE:
        kernel_lacks(f"{name}: {probe.reason}")
    return True


def test_each_datagram_is_a_message_with_its_own_arrival(
    follow: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    run = follow(compiled("datagrams"))
    assert run.result.events.sound, run.result.events
    attached(run, "datagram taken")
    sent = [int(line) for line in run.output.splitlines()]
    reads = [call for call in run.result.named("recvfrom") if not call.args[3] & 2]
    assert len(reads) == len(sent) == 1 + 5 + 21 + 50 * 2
    timed = [(at, read.ready, read.enter) for at, read in zip(sent, reads, strict=True) if read.ready is not None]
    assert all(read.ready for read in reads), "also of 21 that wait, and behind what a closed socket left"
    assert len(run.result.messages) == len(timed) + 5
    (batch,) = run.result.named("recvmmsg")
    together = [message for message in run.result.messages if message.notified_by == "recvmmsg"]
    assert len(together) == 5 and {(message.notified, message.returned) for message in together} == {(batch.enter, batch.exit)}
    assert [message.ready for message in together] == sorted({message.ready for message in together})
    assert all(message.ready < batch.enter < message.copied <= batch.exit for message in together)
    assert all(at < ready < enter for at, ready, enter in timed)
    prompt = sum(ready < after for (_, ready, _), (after, _, _) in itertools.pairwise(timed))
    assert prompt > 0.9 * len(timed), "loopback delivers before the next is sent, where no other softirq is at work"
    assert {message.arrivals for message in run.result.messages} == {1}
    assert {message.bytes for message in run.result.messages} == {64}


@pytest.mark.parametrize(
    ("how", "name", "queue"), [("async", "iou-wrk-", "io_uring worker"), ("sqpoll", "iou-sqp-", "io_uring submission thread")]
)
def test_workers_of_the_kernel_are_followed(
    how: str, name: str, queue: str, follow: Callable[..., Followed], compiled: Callable[..., Path]
) -> None:
    run = follow(compiled("uring"), how, "50")
    if run.output == "refused\n":
        cannot("io_uring is refused here", "docker run --privileged, or kernel.io_uring_disabled=0")
    assert run.result.events.sound, run.result.events
    attached(run, "kernel worker")
    printed = {int(line.split()[0]): line.split()[1:] for line in run.output.splitlines()}
    if not printed:
        kernel_lacks("this kernel's io_uring has no threads in the process (kernel threads, until 5.11)")
    workers = {thread.tid: thread for thread in run.result.threads if thread.kernel_worker}
    assert set(workers) == set(printed)
    (main,) = [thread for thread in run.result.threads if not thread.kernel_worker]
    for tid, (comm, cpu, delay, switches) in printed.items():
        worker = workers[tid]
        assert worker.name == comm and comm.startswith(name) and worker.pid == main.pid and worker.parent == main.serial
        assert (worker.calls, worker.user) == (0, 0)
        assert worker.wall == worker.wait + worker.sched_delay + worker.preempted + worker.copy + worker.kernel
        # what our own work at each switch may take, and what a host may take from an emulated CPU between two clocks
        slack = max(5_000_000, (1_000_000 if PATIENCE == 1 else 3_000_000) * int(switches))
        on_cpu, waited = worker.kernel + worker.copy, worker.sched_delay + worker.preempted
        assert on_cpu >= 0.9 * int(cpu) - slack and waited >= 0.8 * int(delay) - slack
        if how == "async":  # which is idle when it is asked; the submission thread spins on, or waits for a CPU, until its end
            assert on_cpu <= 1.1 * int(cpu) + slack
            if not run.result.events.reasons.get("unseen"):  # else an upper bound
                assert waited <= 1.2 * int(delay) + 4 * slack
        assert int(switches) <= worker.voluntary_switches <= int(switches) + 1, "it ends after it was asked"
    messages = run.result.messages
    assert len(messages) == 50 and sum(message.bytes for message in messages) == 50 * 64
    assert {message.thread for message in messages} <= {worker.serial for worker in workers.values()}, "they took the data"
    assert sum(worker.copy for worker in workers.values()) > 0 == main.copy
    asleep = [slept for worker in workers.values() for slept in worker.slept_on]
    assert sum(slept.count for slept in asleep) == sum(worker.voluntary_switches for worker in workers.values())
    assert queue in {slept.queue for slept in asleep}
    assert any(slept.woken_by for slept in asleep)


def test_a_worker_of_the_kernel_still_alive_is_accounted_up_to_the_end(kernel: None, compiled: Callable[..., Path]) -> None:
    from probes.capture.instrument import Instrument
    from probes.measure.measure import measure

    with (
        Instrument() as instrument,
        subprocess.Popen(
            [compiled("uring"), "async", "5", str(instrument.invite()), "stay"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdout and process.stdin
        words = process.stdout.readline().split()
        result = measure(instrument.stop())
        process.stdin.write("x")
    if words[:1] == ["refused"]:
        cannot("io_uring is refused here", "docker run --privileged, or kernel.io_uring_disabled=0")
    assert result.events.sound, result.events
    workers = [thread for thread in result.threads if thread.kernel_worker]
    if not words and not workers:
        kernel_lacks("this kernel's io_uring has no threads in the process (kernel threads, until 5.11)")
    assert words[1] in {worker.name for worker in workers}  # on a slow machine the kernel may think that one is not enough
    for worker in workers:
        assert (worker.ended, worker.user) == (False, 0)
        assert worker.wall == worker.wait + worker.sched_delay + worker.preempted + worker.copy + worker.kernel
    worker = max(workers, key=lambda thread: thread.wall)
    assert worker.slept_on[0].queue == "io_uring worker" and worker.wait > worker.wall / 2
