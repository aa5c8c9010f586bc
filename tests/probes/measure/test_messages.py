"""Messages: which call notifies the thread, which calls read, and when the data is returned."""

from __future__ import annotations

import pytest

from probes.measure.messages import Family, completions_of, messages_of_batches, messages_of_calls
from probes.measure.result import SocketCopy
from tests.probes.measure.streams import call, read


def test_a_multiplexer_notified_the_thread_of_the_message() -> None:
    (message,) = messages_of_calls([call("epoll_wait", 10, 110), read(120, 130, ready=100)])
    assert (message.ready, message.notified, message.notified_by, message.read) == (100, 100, "epoll_wait", 120)
    assert (message.copied, message.returned, message.ready_to_notified, message.notified_to_copied) == (129, 130, 0, 29)


def test_the_reading_call_notifies_where_data_was_ready_before_it() -> None:
    (message,) = messages_of_calls([call("epoll_wait", 10, 90), read(120, 130, ready=100)])
    assert (message.notified, message.notified_by) == (120, "recvfrom")


def test_several_reads_of_one_arrival_are_one_message() -> None:
    first = read(120, 130, size=100, ready=100)
    first.drained = False
    last = read(140, 150, size=28, ready=100)
    (message,) = messages_of_calls([first, last])
    assert (message.bytes, message.reads, message.read, message.returned) == (128, 2, 120, 150)


def test_the_end_of_a_stream_is_no_message() -> None:
    assert not list(messages_of_calls([call("recvfrom", 120, 130, result=0, socket=1, ready=100)]))


def test_a_thread_that_copies_in_the_call_that_reports_the_completion_can_know_before_the_copy() -> None:
    taken = [
        SocketCopy(thread=1, socket=1, ready=100, started=120, copied=125, bytes=60, arrivals=1, drained=False),
        SocketCopy(thread=1, socket=1, ready=None, started=126, copied=130, bytes=4, arrivals=0, drained=True),
    ]
    families = {1: Family(0, 50)}
    waits = [call("io_uring_enter", 90, 150, args=(5, 0, 1, 1)), call("io_uring_enter", 160, 170, args=(5, 0, 1, 1))]
    (message,) = completions_of(waits, taken, families)
    assert (message.ready, message.read, message.copied, message.notified, message.returned) == (100, 120, 130, 100, 150)
    assert (message.bytes, message.reads, message.notified_to_copied, message.notified_by) == (64, 2, 30, "io_uring_enter")


def test_messages_of_recvmmsg_are_notified_before_it_and_returned_with_it() -> None:
    batch = call("recvmmsg", 120, 190, result=2)
    taken = [
        SocketCopy(1, socket=1, ready=at, started=130, copied=130 + at, bytes=9, arrivals=1, drained=True) for at in (20, 30)
    ]
    calls = [call("epoll_wait", 10, 110), batch, call("io_uring_enter", 200, 210)]
    found = list(messages_of_batches(calls, taken))
    assert [(message.ready, message.notified, message.notified_by, message.copied, message.returned) for message in found] == [
        (20, 20, "epoll_wait", 150, 190),
        (30, 30, "epoll_wait", 160, 190),
    ]
    assert not list(completions_of(calls, taken, {1: Family(0, 50)}))


@pytest.mark.parametrize(("taker", "notified"), [(1, 180), (2, 160), (3, 160), (4, 170), (5, None)])
def test_a_completion_notifies_the_thread_that_asked_for_it(taker: int, notified: int | None) -> None:
    """Thread 3 works for thread 2; 4 hands in only, and another of its process waits; in the process of 5 nobody does."""
    families = {
        1: Family(0, 50), 2: Family(0, 50), 3: Family(2, 50), 4: Family(0, 60), 5: Family(0, 70), 6: Family(0, 60),
    }  # fmt: skip
    taken = [SocketCopy(thread=taker, socket=1, ready=100, started=120, copied=125, bytes=60, arrivals=1, drained=True)]
    ends = {6: 170, 2: 160, 1: 180}
    calls = [call("io_uring_enter", 90, end, thread=thread, args=(5, 1, 1, 1)) for thread, end in ends.items()]
    calls.append(call("io_uring_enter", 300, 310, thread=4, args=(5, 1, 0, 0)))
    assert [message.returned for message in completions_of(calls, taken, families)] == ([] if notified is None else [notified])


def test_a_multiplexer_that_a_signal_ended_notifies_of_nothing() -> None:
    (message,) = messages_of_calls([call("epoll_wait", 10, 110, result=-4, errno="EINTR"), read(120, 130, ready=100)])
    assert (message.notified, message.notified_by) == (120, "recvfrom")
