"""From records to calls and threads: what a record becomes, and what does not add up."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from probes.kernel import syscalls
from probes.kernel.records import CallFlag, Kind
from probes.measure.measure import measure
from tests.probes.measure.streams import life, one_call, record, recording


@given(life(), st.data())
@settings(deadline=None)
def test_no_record_goes_missing_unnoticed(stream: list[Any], data: st.DataObject) -> None:
    gone = data.draw(st.integers(0, len(stream) - 1))
    assert not measure(recording(stream[:gone] + stream[gone + 1 :])).events.sound or len(stream) == 1


def test_a_worker_of_the_kernel_has_no_user_code() -> None:
    stream = [
        record(Kind.THREAD, start=100, worker=1, comm="server"),
        record(Kind.NAME, at=110, comm="iou-wrk-7"),
        record(Kind.SLEEP, flags=1, off=200, woken=300, on=310, stack=1, waker_stack=2),
        record(Kind.EXIT, end=400, wait=100, delay=10 + 20, birth=150, copy=20, sleeps=1),
    ]
    (thread,) = measure(recording(stream)).threads
    assert (thread.kernel_worker, thread.name, thread.user) == (True, "iou-wrk-7", 0)
    assert (thread.wait, thread.sched_delay, thread.copy, thread.kernel) == (100, 30, 20, 150)
    assert [(slept.queue, slept.count, slept.ns) for slept in thread.slept_on] == [("epoll", 1, 100)]
    stream[-1] = record(Kind.EXIT, end=401, wait=100, delay=30, birth=150, copy=20, sleeps=1)
    assert not measure(recording(stream)).events.sound


def test_a_failed_call_has_its_errno_and_no_bytes() -> None:
    call = one_call("recvfrom", ret=-104, args=(7, 0, 0, 0)).calls[0]
    assert (call.errno, call.bytes, call.fd, call.result) == ("ECONNRESET", 0, 7, -104)


def test_a_call_that_never_returned_has_no_result() -> None:
    call = one_call("exit_group", flags=int(CallFlag.NO_RETURN)).calls[0]
    assert (call.result, call.errno) == (None, None)


def test_a_call_without_a_descriptor_has_none() -> None:
    assert one_call("getpid", args=(3, 0, 0, 0)).calls[0].fd is None


def test_the_register_after_a_signal_handler_is_no_error() -> None:
    assert one_call("rt_sigreturn", ret=-4).calls[0].errno is None


def test_a_peek_moves_nothing_and_is_no_message() -> None:
    peeked, taken = one_call("recvfrom", ret=64, args=(5, 0, 64, 2)), one_call("recvfrom", ret=64, args=(5, 0, 64, 0))
    assert (peeked.calls[0].bytes, taken.calls[0].bytes) == (0, 64)
    assert one_call("recvmsg", ret=64, args=(5, 0, 2, 0)).calls[0].bytes == 0


def test_a_call_of_a_32_bit_program_has_a_number_and_no_descriptor() -> None:
    call = one_call("read", nr=3 | syscalls.COMPAT, ret=64).calls[0]
    assert (call.name, call.fd, call.bytes) == ("compat_3", None, 0)
