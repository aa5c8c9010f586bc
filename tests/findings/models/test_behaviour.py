"""What announces a read, and who serves whom: each rule with a program that has the behaviour, and its twin that has not."""

from __future__ import annotations

import time

import pytest

from findings.models.classify import classify
from findings.models.descriptors import O_CLOEXEC, O_NONBLOCK
from findings.models.model import Architecture, Classification, Confidence, Mechanism, Model
from tests.findings.models.story import Story

ADD, DEL = 1, 2
IN, ET = 1, 1 << 31


def of(found: Classification) -> tuple[Model, Architecture]:
    return found.model, found.architecture


def dispatching(reader: int) -> Story:
    """Thread 1 waits in epoll, takes each ready connection out of its set, and lets `reader` read it."""
    story = Story()
    story.thread()
    story.listener()
    story.call("epoll_create1", result=4)
    for number in (5, 6):
        story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number)
        story.call("epoll_ctl", 4, ADD, number, IN)
    for number in (5, 6) * 4:
        story.call("epoll_wait", 4, result=1, sleeps="epoll")
        story.call("epoll_ctl", 4, DEL, number)
        story.read(number, by=reader)
        story.call("epoll_ctl", 4, ADD, number, IN, by=reader)
    return story


def test_a_connection_taken_out_of_the_set_was_handed_over() -> None:
    assert of(classify(dispatching(reader=2).result())) == (Model.EPOLL, Architecture.LOOP_AND_WORKERS)
    assert of(classify(dispatching(reader=1).result())) == (Model.EPOLL, Architecture.SINGLE_LOOP)


def polling(descriptors: int) -> Story:
    """Polls that number of descriptors before each read."""
    story = Story()
    story.listener()
    for number in (5, 6):
        story.call("accept4", 3, 0, 0, 0, result=number, sleeps="accept")
        for _ in range(4):
            story.call("poll", 1 << 32, descriptors, result=1, sleeps="poll")
            story.read(number)
    story.call("accept4", 3, 0, 0, 0, result=7)
    return story


def test_a_poll_of_one_descriptor_is_a_time_out() -> None:
    found = classify(polling(1).result())
    assert of(found) == (Model.BLOCKING, Architecture.SEQUENTIAL)
    assert "8 of these reads followed a wait for that connection alone" in "; ".join(found.because)


def looping(name: str, blocking_accept: bool) -> Story:
    """Waits by that call before each read, and sleeps in accept, or accepts after a wait, too."""
    story = Story()
    story.listener()
    for number in (5, 6, 7):
        if not blocking_accept:
            story.call(name, 9, 9, result=1, sleeps=name)
        story.call("accept4", 3, 0, 0, 0, result=number, sleeps="accept" if blocking_accept else "")
        for _ in range(4):
            story.call(name, 9, 9, result=1, sleeps=name)
            story.read(number)
    return story


@pytest.mark.parametrize("name", ["select", "poll"])
def test_a_thread_that_sleeps_in_accept_is_no_loop(name: str) -> None:
    assert of(classify(looping(name, blocking_accept=True).result())) == (Model.BLOCKING, Architecture.SEQUENTIAL)
    assert of(classify(looping(name, blocking_accept=False).result())) == (Model(name), Architecture.SINGLE_LOOP)


def test_the_events_of_the_registrations_tell_edge_triggered_from_level_triggered() -> None:
    for events, model in ((IN | ET, Model.EPOLL_EDGE), (IN, Model.EPOLL)):
        story = Story()
        story.listener()
        story.call("epoll_create1", result=4)
        for number in (5, 6):
            story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number)
            story.call("epoll_ctl", 4, ADD, number, events)
        for number in (5, 6) * 4:
            story.call("epoll_wait", 4, result=1, sleeps="epoll")
            story.read(number)
        found = classify(story.result())
        assert (found.model, found.confidence) == (model, Confidence.CERTAIN)


def two_loops(reuseport: bool) -> Story:
    """Two threads with a listener and a loop each."""
    story = Story()
    other = story.thread()
    for by, listener, epoll in ((1, 3, 4), (other, 5, 6)):
        story.listener(listener, by, reuseport)
        story.call("epoll_create1", result=epoll, by=by)
        story.call("epoll_ctl", epoll, ADD, listener, IN, by=by)
    for by, listener, epoll, number in ((1, 3, 4, 7), (other, 5, 6, 8)):
        story.call("epoll_wait", epoll, result=1, by=by)
        story.call("accept4", listener, 0, 0, O_NONBLOCK, result=number, by=by)
        story.call("epoll_ctl", epoll, ADD, number, IN, by=by)
        for _ in range(4):
            story.call("epoll_wait", epoll, result=1, by=by)
            story.read(number, by=by)
    return story


def test_a_listener_for_each_loop_needs_so_reuseport() -> None:
    assert classify(two_loops(reuseport=True).result()).architecture is Architecture.LOOP_PER_LISTENER
    assert classify(two_loops(reuseport=False).result()).architecture is Architecture.LOOPS_ON_ONE_LISTENER


def test_a_thread_that_reads_a_later_connection_is_no_pool_while_threads_are_as_many_as_connections() -> None:
    story = Story()
    story.listener()
    workers = []
    for number in (5, 6):
        story.call("accept4", 3, result=number, sleeps="accept")
        workers.append(story.thread())
    for number, by in zip((5, 6) * 3, workers * 3, strict=True):
        story.read(number, by=by, sleeps="socket")
    story.call("close", 5, by=workers[0])
    story.call("accept4", 3, result=5, sleeps="accept")
    for _ in range(3):
        story.read(5, by=workers[0], sleeps="socket")
    assert classify(story.result()).model is Model.THREADS
    story.call("accept4", 3, result=7, sleeps="accept")  # a third connection at the same time, for which no thread starts
    story.call("accept4", 3, result=8, sleeps="accept")
    for number, by in zip((5, 6, 7, 8), workers * 2, strict=True):
        story.read(number, by=by, sleeps="socket")
    assert classify(story.result()).model is Model.THREAD_POOL


def test_a_thread_may_wait_for_another_that_reads() -> None:
    def run(accepts: int, highest: int) -> Classification:
        story = Story()
        notifier = story.thread()
        story.listener()
        for number in (5, 6):
            story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number, by=accepts)
        for number in (5, 6) * 4:
            story.call("select", highest + 1, result=1, sleeps="select", by=notifier)
            story.read(number)
        return classify(story.result())

    assert of(run(accepts=1, highest=6)) == (Model.SELECT, Architecture.SINGLE_LOOP)
    assert of(run(accepts=2, highest=6)) == (Model.SELECT, Architecture.LOOP_AND_WORKERS)
    assert run(accepts=2, highest=3).model is Model.UNKNOWN  # an acceptor's select is for its listener


def test_threads_that_wait_on_one_set_share_its_connections() -> None:
    for number_of_threads, architecture in ((2, Architecture.SHARED_LOOP), (1, Architecture.SINGLE_LOOP)):
        story = Story()
        other = story.thread()
        story.listener()
        story.call("epoll_create1", result=4)
        for number in (5, 6):
            story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number)
            story.call("epoll_ctl", 4, ADD, number, IN)
        for number in (5, 6) * 4:
            story.call("epoll_wait", 4, result=1, sleeps="epoll")
            story.read(number)
        if number_of_threads == 2:
            story.call("epoll_wait", 4, result=0, sleeps="epoll", by=other)
        assert of(classify(story.result())) == (Model.EPOLL, architecture)


def test_a_read_with_msg_dontwait_polls() -> None:
    for flag, model in ((0x40, Model.NONBLOCKING), (0, Model.BLOCKING)):
        story = Story()
        story.listener()
        for number in (5, 6):
            story.call("accept4", 3, result=number)
        for number in (5, 6) * 4:
            story.call("recvfrom", number, 0, 4096, flag, result=-11, errno="EAGAIN")
            story.call("recvfrom", number, 0, 4096, flag, result=64)
        assert classify(story.result()).model is model


def test_a_program_that_only_connects_is_a_client() -> None:
    story = Story()
    story.call("socket", 2, 1, result=3)
    story.call("connect", 3)
    story.read(3, sleeps="socket")
    found = classify(story.result())
    assert (found.model, found.confidence) == (Model.CLIENT, Confidence.CERTAIN)
    story.listener(4)
    story.call("accept4", 4, result=5, sleeps="accept")
    story.read(5, sleeps="socket")
    assert classify(story.result()).model is Model.BLOCKING, "a proxy is a server"


def test_a_listener_without_clients_is_no_guess() -> None:
    story = Story()
    story.listener()
    story.call("epoll_create1", result=4)
    story.call("epoll_wait", 4, result=0, sleeps="epoll")
    found = classify(story.result())
    assert (found.model, found.confidence) == (Model.UNKNOWN, Confidence.UNKNOWN)
    assert "too little traffic" in found.summary and any("epoll_wait" in reason for reason in found.because)


def inetd(flags: int) -> Story:
    """A process for each connection, which executes a program that reads the connection as descriptor 0."""
    story = Story()
    story.listener()
    for number in (5, 6):
        story.call("accept4", 3, 0, 0, flags, result=number, sleeps="accept")
        child = story.process(parent=1)
        story.call("dup2", number, 0, by=child, result=0)
        story.call("execve", by=child)
        for _ in range(3):
            story.call("read", 0, 0, 4096, result=64, by=child, sleeps="socket")
    return story


def test_a_connection_is_followed_through_fork_dup_and_exec() -> None:
    for flags in (0, O_CLOEXEC):  # a duplicate stays open
        assert of(classify(inetd(flags).result())) == (Model.PROCESSES, Architecture.PROCESS_PER_CONNECTION)


def test_a_number_that_was_closed_is_another_file() -> None:
    for close in (("close", 5), ("close_range", 5, 9)):
        story = Story()
        story.listener()
        story.call("accept4", 3, result=5, sleeps="accept")
        story.call(*close)
        story.call("openat", -100, result=5)
        story.call("read", 5, 0, 4096, result=64)
        found = classify(story.result())
        assert found.model is Model.UNKNOWN and "0 reads of clients' data" in found.because[0]


def test_a_signal_announces_only_what_asked_for_signals() -> None:
    for o_async, mechanism in ((0o20000, Mechanism.SIGNAL_DRIVEN), (0, None)):
        story = Story()
        story.listener()
        for number in (5, 6):
            story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number)
            story.call("fcntl", number, 4, O_NONBLOCK | o_async)
        for number in (5, 6) * 4:
            story.call("rt_sigtimedwait", result=35, sleeps="signal")
            story.read(number)
        assert classify(story.result()).threads[0].mechanism is mechanism


def test_a_signal_may_be_read_from_a_signalfd() -> None:
    for o_async, model in ((0o20000, Model.SIGNAL_DRIVEN), (0, Model.NONBLOCKING)):
        story = Story()
        story.listener()
        story.call("signalfd4", result=4)
        for number in (5, 6):
            story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number)
            story.call("fcntl", number, 4, O_NONBLOCK | o_async)
        for number in (5, 6) * 4:
            story.call("read", 4, 0, 128, result=128, sleeps="signalfd")
            story.read(number)
            story.call("recvfrom", number, 0, 4096, result=-11, errno="EAGAIN")
        assert classify(story.result()).model is model


def test_a_set_of_one_connection_is_a_time_out_if_it_was_made_in_the_recording() -> None:
    for made, model in ((True, Model.BLOCKING), (False, Model.EPOLL)):  # an older set may have a listener
        story = Story()
        story.listener()
        for number, epoll in ((5, 7), (6, 8)):
            story.call("accept4", 3, 0, 0, O_NONBLOCK, result=number)
            if made:
                story.call("epoll_create1", result=epoll)
            story.call("epoll_ctl", epoll, ADD, number, IN)
            for _ in range(4):
                story.call("epoll_wait", epoll, result=1, sleeps="epoll")
                story.read(number)
        assert classify(story.result()).model is model


def test_threads_that_try_pread_first_are_helpers_of_posix_aio() -> None:
    for tries, model in ((True, Model.POSIX_AIO), (False, Model.THREADS)):
        story = Story()
        story.listener()
        for number in (5, 6):
            story.call("accept4", 3, result=number, sleeps="accept")
            helper = story.thread()
            for _ in range(4):
                if tries:
                    story.call("pread64", number, 0, 4096, result=-29, errno="ESPIPE", by=helper)
                story.call("read", number, 0, 4096, result=64, by=helper, sleeps="socket")
        assert classify(story.result()).model is model


def test_two_hundred_threads_take_no_longer_per_call_than_ten() -> None:
    def seconds(threads: int) -> float:
        story = Story()
        story.listener()
        for number in range(10, 10 + threads):
            story.call("accept4", 3, result=number, sleeps="accept")
            by = story.thread()
            for _ in range(20):
                story.read(number, by=by, sleeps="socket")
        result = story.result()
        begin = time.process_time()
        assert classify(result).model is Model.THREADS
        return (time.process_time() - begin) / len(result.calls)

    assert seconds(200) < 5 * min(seconds(10), seconds(10))
