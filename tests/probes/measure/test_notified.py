"""The definition of "notified" holds for every model: the thread is on a CPU, in the call that reports the message."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from statistics import median

import pytest

from findings.view import Run
from probes.context import CasesRun
from probes.measure.measure import measure
from probes.measure.messages import Family, completions_of, messages_of_calls
from probes.measure.result import Call, Message, Result, Sleep, SocketCopy
from probes.patience import PATIENCE
from tests.conftest import measured
from tests.probes.measure.streams import call, read

NOTIFIED_BY = {
    "asyncio": "epoll_wait",
    "blocking": "recvfrom",
    "epoll": "epoll_wait",
    "epoll_edge": "epoll_wait",
    "io_uring": "io_uring_enter",
    "native_aio": "io_getevents",
    "nonblocking": "recvfrom",
    "poll": "poll",
    "posix_aio": "read",
    "process_pool": "recvfrom",
    "processes": "recvfrom",
    "select": "pselect6",
    "selectors": "epoll_wait",
    "signal_driven": "rt_sigtimedwait",
    "thread_pool": "recvfrom",
    "threads": "recvfrom",
}
POLLS = {"nonblocking"}  # its thread never sleeps


def of_model(name: str) -> Result:
    """The result of the model itself, which is the first case of a lab with several."""
    result = measured(name)
    return next(iter(Run(result).cases.values())).result if isinstance(result.context, CasesRun) else result


def reported(result: Result, message: Message) -> Call:
    """The call that notified the thread: of its name, and under way at that moment."""
    found = [
        call
        for call in result.calls
        if call.name == message.notified_by
        and call.thread == message.thread
        and call.histogram is None
        and call.enter <= message.notified <= call.exit
    ]
    assert len(found) == 1, message
    return found[0]


def asleep_at(result: Result, thread: int, moment: int) -> bool:
    """Was the thread switched out at that moment, asleep or waiting for a CPU?"""
    spans = sorted((sleep.off, sleep.on) for call in result.calls if call.thread == thread for sleep in call.sleeps)
    at = bisect.bisect_right(spans, (moment, 1 << 63)) - 1
    return at >= 0 and spans[at][0] <= moment < spans[at][1]


@pytest.mark.parametrize("name", sorted(NOTIFIED_BY))
def test_the_moments_of_a_message_are_in_order(name: str) -> None:
    for message in of_model(name).messages:
        assert message.ready <= message.notified <= message.returned
        assert message.read < message.copied <= message.returned
        assert 0 <= message.probed <= message.notified - message.ready, (
            "the probe's own work is part of the time that it prolongs"
        )
        assert message.all_ready is None or message.ready <= message.all_ready <= message.copied


@pytest.mark.parametrize("name", sorted(NOTIFIED_BY))
def test_the_thread_is_on_a_cpu_in_the_call_that_reports(name: str) -> None:
    result = of_model(name)
    assert {message.notified_by for message in result.messages} == {NOTIFIED_BY[name]}
    for message in result.messages:
        reporter = reported(result, message)
        assert not asleep_at(result, message.thread, message.notified)
        assert message.notified <= message.copied, "the thread can know before it copies"
        after = [sleep for sleep in reporter.sleeps if sleep.on > message.notified]
        assert not after or reporter.copied, "a call that sleeps on has not reported"


@pytest.mark.parametrize("name", sorted(set(NOTIFIED_BY) - POLLS))
def test_a_thread_that_slept_is_notified_at_its_switch_in(name: str) -> None:
    """By the same rule in each model: the time until then is the wake-up and the run queue, and no work of the thread."""
    result, slept = of_model(name), 0
    for message in result.messages:
        reporter = reported(result, message)
        for sleep in reporter.sleeps:
            if sleep.off <= message.ready < sleep.woken and sleep is reporter.sleeps[-1]:
                assert message.notified == sleep.on
                assert message.probed == min(sleep.probed, sleep.woken - message.ready) > 0
                slept += 1
    assert slept > len(result.messages) / 4


def test_no_model_is_set_apart_by_its_own_work() -> None:
    """The same machine woke all of them: by the old rules native AIO and signals were at five times the others' median."""
    times = {
        name: median(message.ready_to_notified for message in of_model(name).messages)
        for name in NOTIFIED_BY
        if name not in POLLS
    }
    assert max(times.values()) < 3 * median(times.values()), times


def test_a_completion_interface_used_for_readiness_reports_like_a_multiplexer() -> None:
    wait = call("io_uring_enter", 10, 110, result=0, args=(5, 0, 1, 1), sleeps=(slept(20, 104, 106),))
    (message,) = messages_of_calls([wait, read(120, 130, ready=100)])
    assert (message.notified, message.notified_by, message.probed) == (106, "io_uring_enter", 3)


def test_a_signal_reports_whichever_call_waits_for_it() -> None:
    for name, result in (("rt_sigtimedwait", 35), ("rt_sigsuspend", -4), ("pause", -4)):
        wait = call(name, 10, 110, result=result, sleeps=(slept(20, 104, 106),))
        (message,) = messages_of_calls([wait, read(120, 130, ready=100)])
        assert (message.notified, message.notified_by) == (106, name)


def test_a_read_of_a_signalfd_reports_and_a_read_of_a_file_does_not() -> None:
    for queue, notified in (("signalfd", 106), ("pipe", 120)):
        wait = call("read", 10, 110, fd=9, result=128, bytes=128, sleeps=(slept(20, 104, 106, queue),))
        (message,) = messages_of_calls([wait, read(120, 130, ready=100)])
        assert message.notified == notified


def test_a_multiplexer_that_slept_on_beside_unread_data_had_not_reported_it() -> None:
    """Edge-triggered, or a descriptor that was registered late: the second sleep began after the data was ready."""
    wait = call("epoll_wait", 10, 310, sleeps=(slept(20, 50, 60), slept(120, 290, 300)))
    (message,) = messages_of_calls([wait, read(320, 330, ready=100)])
    assert (message.notified, message.ready_to_notified) == (300, 197)


def test_a_poll_of_ready_data_notifies_at_the_call_that_finds_it() -> None:
    (message,) = messages_of_calls([call("epoll_wait", 105, 110), read(120, 130, ready=100)])
    assert message.notified == 105
    (message,) = messages_of_calls([call("pselect6", 90, 110), read(120, 130, ready=100)])
    assert message.notified == 100


def test_a_worker_of_the_kernel_notifies_by_its_completion() -> None:
    """The probe's own work in the worker's wake-up and in that of the thread are both taken out."""
    copy = SocketCopy(thread=2, socket=1, ready=100, started=130, copied=140, bytes=60, arrivals=1, drained=True)
    families = {1: Family(0, 50), 2: Family(1, 50, (slept(20, 110, 120),))}
    wait = call("io_uring_enter", 10, 170, args=(5, 0, 1, 1), sleeps=(slept(20, 150, 160),))
    (message,) = completions_of([wait], [copy], families)
    assert (message.notified, message.probed, message.notified_to_copied, message.returned) == (160, 6, 0, 170)


def test_a_completion_of_the_first_part_notifies_of_a_message_in_parts() -> None:
    parts = [
        SocketCopy(1, socket=1, ready=100, started=112, copied=115, bytes=60, arrivals=1, drained=False, latest=100),
        SocketCopy(1, socket=1, ready=None, started=212, copied=215, bytes=60, arrivals=1, drained=True, latest=150),
    ]
    waits = [
        call("io_uring_enter", 10, 120, args=(5, 0, 1, 1), sleeps=(slept(20, 104, 106),)),
        call("io_uring_enter", 130, 220, args=(5, 0, 1, 1), sleeps=(slept(140, 204, 206),)),
    ]
    (message,) = completions_of(waits, parts, {1: Family(0, 50)})
    assert (message.notified, message.copied, message.returned, message.all_ready) == (106, 215, 220, 150)


def test_a_burst_of_io_uring_enter_reports_the_completion_that_ended_it() -> None:
    """A program that asks again and again: the calls without result are a burst, which has no arguments."""
    copy = SocketCopy(thread=1, socket=1, ready=100, started=130, copied=140, bytes=60, arrivals=1, drained=True)
    burst = call("io_uring_enter", 10, 170, args=(), result=0, count=9)
    (message,) = completions_of([burst], [copy], {1: Family(0, 50)})
    assert (message.notified_by, message.returned) == ("io_uring_enter", 170)


def slept(off: int, woken: int, on: int, queue: str = "epoll") -> Sleep:
    return Sleep(off, woken, on, queue, (), None, probed=3)


@pytest.mark.live
def test_native_aio_and_signals_are_notified_as_soon_as_epoll(kernel: None) -> None:
    """Five times in turn, each in its own server: no median is three times that of epoll."""
    from labs.kit.lab import Case
    from labs.kit.traffic import Traffic
    from probes.capture.instrument import Instrument
    from runs import lab as run

    names = ("epoll", "native_aio", "signal_driven", "io_uring", "blocking")
    seen = []
    with run.clients_process() as clients, Instrument() as instrument:
        for turn in range(5):
            for name in names:
                try:
                    traffic = Traffic(clients=1, messages=7, gap_ms=5)
                    served = run.serve(Case(name, name), traffic, instrument.invite(), clients=clients)
                except run.NotHere:
                    continue
                seen.append((name, turn, served))
        instrument.wait_until_gone(2 * PATIENCE)
        result = measure(instrument.stop())
    times: dict[str, list[float]] = {}
    for name, _turn, served in seen:
        mine = {thread.serial for thread in result.threads if thread.pid == served.pid}
        found = [message for message in result.messages if message.thread in mine]
        assert {message.notified_by for message in found} == {NOTIFIED_BY[name]}
        times.setdefault(name, []).append(median(message.ready_to_notified for message in found))
    medians = {name: median(several) for name, several in times.items()}
    assert max(medians.values()) < 3 * medians["epoll"], medians


@pytest.mark.live
def test_the_last_segment_of_a_large_message_is_ready_after_the_first(follow: Callable[..., object], kernel: None) -> None:
    from labs.kit.lab import Case
    from labs.kit.traffic import Traffic
    from probes.capture.instrument import Instrument
    from runs import lab as run

    with Instrument() as instrument:
        served = run.serve(Case("", "blocking"), Traffic(clients=1, messages=3, size=1_000_000), instrument.invite(), None)
        instrument.wait_until_gone(2 * PATIENCE)
        result = measure(instrument.stop())
    assert result.messages
    segmented = [message for message in result.messages if message.arrivals > 1]
    assert sum(message.bytes for message in segmented) > 2_000_000
    for message in segmented:
        assert message.all_ready is not None and message.ready < message.all_ready < message.copied
    sends = [exchange.sent for exchange in served.traffic_seen.exchanges]
    assert all(any(sent < message.ready for sent in sends) for message in segmented)
