"""The rings on the real kernel: wrap-around, overflow, errors, provided buffers, the SQPOLL thread asleep and woken."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers.io_uring import missing
from servers.kit.io_uring import (
    ACCEPT,
    ACCEPT_MULTISHOT,
    ASYNC,
    BUFFER_SELECT,
    CANCEL,
    NOP,
    RECV,
    RECV_MULTISHOT,
    SEND,
    SQPOLL,
    Buffers,
    Completion,
    Ring,
)
from tests.conftest import cannot

GROUP = 7
Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(autouse=True)
def _offered() -> None:
    if lacking := missing("serve"):
        cannot(lacking, "allow io_uring (a container: --privileged)")


def need(variant: str) -> None:
    """Skips where this kernel is too old for it: nothing that one could do makes the test run on it."""
    if lacking := missing(variant):
        pytest.skip(lacking)


@pytest.fixture
def pair() -> Iterator[Pair]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def nop(ring: Ring, data: int) -> None:
    ring.request(NOP, -1, 0, 0, data=data)


def ended(ring: Ring, count: int) -> list[Completion]:
    """The next `count` completions, and no more."""
    found: list[Completion] = []
    while len(found) < count:
        found += ring.wait()
    assert len(found) == count
    return found


def ends_once(entries: int, flags: int, batches: list[int]) -> None:
    """Batches up to several times the size of both rings; each request's own number comes back, once.

    Not always in order: on 5.10 a completion that finds room overtakes those that wait for it.
    """
    with Ring(entries, flags=flags) as ring:
        asked, back = 0, []
        for size in batches:
            for _ in range(size):
                nop(ring, asked)
                asked += 1
            back += [completion.data for completion in ring.wait()]
        if rest := asked - len(back):
            back += [completion.data for completion in ended(ring, rest)]
        assert sorted(back) == list(range(asked))


@pytest.mark.parametrize("entries", [1, 2, 4])
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.integers(1, 25), min_size=1, max_size=60))
def test_every_request_ends_once_however_the_rings_wrap(entries: int, batches: list[int]) -> None:
    ends_once(entries, 0, batches)


@pytest.mark.parametrize("entries", [1, 2, 4])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.integers(1, 15), min_size=1, max_size=10))
def test_every_request_to_the_sqpoll_thread_ends_once(entries: int, batches: list[int]) -> None:
    need("sqpoll")
    ends_once(entries, SQPOLL, batches)


def test_thousands_of_messages_through_a_ring_of_four(pair: Pair) -> None:
    """Sends and receives that really wait, so that completions don't come in the order of the requests."""
    here, there = pair
    memory = ctypes.create_string_buffer(8)
    with Ring(4) as ring:
        for number in range(5000):
            ring.request(RECV, here.fileno(), ctypes.addressof(memory), 8, data=2 * number)
            word = ctypes.create_string_buffer(number.to_bytes(8, "little"), 8)
            ring.request(SEND, there.fileno(), ctypes.addressof(word), 8, data=2 * number + 1)
            assert {(completion.data, completion.result) for completion in ended(ring, 2)} == {
                (2 * number, 8),
                (2 * number + 1, 8),
            }
            assert memory.raw == number.to_bytes(8, "little")


def _overflowed(ring: Ring) -> bool:
    return bool(ring._words[ring._sq_flags] & 1 << 1)


@pytest.mark.parametrize("entries", [1, 4, 32])
def test_completions_that_found_no_room_are_kept_by_the_kernel_and_fetched(entries: int) -> None:
    """A thousand requests end before the process takes a completion: most of them find the ring full."""
    count = 1000
    with Ring(entries) as ring:
        for number in range(count):
            nop(ring, number)
        ring._enter(0)
        assert _overflowed(ring), "that was to overflow"
        assert sorted(completion.data for completion in ended(ring, count)) == list(range(count))
        assert not _overflowed(ring)
        nop(ring, count)
        assert [completion.data for completion in ended(ring, 1)] == [count]


def test_completions_overflow_while_nobody_is_in_the_kernel(pair: Pair) -> None:
    """They come from other threads' doing, and with the completion ring full: the next wait finds all of them."""
    need("multishot")
    here, there = pair
    with Ring(1) as ring:
        buffers = Buffers(ring, GROUP, 64, 16)
        multishot(ring, here, buffers)
        ring._enter(0)
        found: list[Completion] = []
        for number in range(64):
            there.send(number.to_bytes(2, "little"))  # 2 bytes each: a stream may give several at once
        there.shutdown(socket.SHUT_WR)
        while not found or found[-1].result > 0:
            found += ring.wait()
            if not found[-1].more and found[-1].result > 0:  # an overflow ended the multishot request
                multishot(ring, here, buffers)
        data = b"".join(
            ctypes.string_at(buffers.address(completion.buffer or 0), completion.result)
            for completion in found
            if completion.result
        )
        assert data == b"".join(number.to_bytes(2, "little") for number in range(64))


def test_a_request_into_a_full_ring_with_overflow_loses_nothing() -> None:
    """The submission queue and the completion ring are full: a new request first takes the completions, which makes room."""
    with Ring(1) as ring:
        for number in range(50):
            nop(ring, number)
            if number % 7 == 0:
                ring._enter(0)
        assert sorted(completion.data for completion in ended(ring, 50)) == list(range(50))


def test_errors_come_as_results(pair: Pair) -> None:
    here, there = pair
    memory = ctypes.create_string_buffer(8)
    where = ctypes.addressof(memory)
    there.send(b"x")
    with Ring(4) as ring:
        for data, (operation, fd, address) in enumerate([(RECV, 9999, where), (RECV, here.fileno(), 1), (200, -1, where)]):
            ring.request(operation, fd, address, 8, data=data)
        results = {completion.data: completion.result for completion in ended(ring, 3)}
        assert results == {0: -errno.EBADF, 1: -errno.EFAULT, 2: -errno.EINVAL}
        ring.request(RECV, there.fileno(), where, 8, data=3, message_flags=socket.MSG_DONTWAIT)  # nothing there
        assert [completion.result for completion in ended(ring, 1)] == [-errno.EAGAIN]


def test_a_wrong_request_in_a_batch_stops_none_behind_it() -> None:
    """Kernels end the submission at an invalid one (before IORING_SETUP_SUBMIT_ALL): the rest goes with the next wait."""
    with Ring(8) as ring:
        for number in range(8):
            ring.request(NOP if number != 3 else 200, -1, 0, 0, data=number)
        found = ended(ring, 8)
    assert {completion.data: completion.result for completion in found} == {
        number: 0 if number != 3 else -errno.EINVAL for number in range(8)
    }


def test_setup_errors_name_their_reason() -> None:
    with pytest.raises(OSError, match="io_uring_setup") as caught:
        Ring(0)
    assert caught.value.errno == errno.EINVAL
    with pytest.raises(OSError, match="io_uring_setup") as caught:
        Ring(4, flags=1 << 31)
    assert caught.value.errno == errno.EINVAL


def test_closing_gives_everything_back() -> None:
    fds, maps = set(os.listdir("/proc/self/fd")), _mappings()
    for _ in range(50):
        ring = Ring(4)
        nop(ring, 1)
        ring.wait()
        ring.close()
        ring.close()
    assert set(os.listdir("/proc/self/fd")) == fds
    assert _mappings() == maps == 0


def _mappings() -> int:
    return Path("/proc/self/maps").read_text().count("[io_uring]")


def test_a_context_manager_closes_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), Ring(2) as ring:
        raise ZeroDivisionError
    assert ring.fd == -1 and _mappings() == 0


def test_a_signal_ends_the_sleep_and_loses_nothing(pair: Pair) -> None:
    """It comes once the thread sleeps in io_uring_enter, as /proc tells."""
    here, there = pair
    memory = ctypes.create_string_buffer(8)
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    thread = threading.get_native_id()
    try:
        with Ring(2) as ring:
            ring.request(RECV, here.fileno(), ctypes.addressof(memory), 8, data=1)
            helper = threading.Thread(target=_signal_when_asleep, args=(thread,))
            helper.start()
            assert ring.wait() == []
            helper.join()
            there.send(b"12345678")
            assert [(completion.data, completion.result) for completion in ended(ring, 1)] == [(1, 8)]
    finally:
        signal.signal(signal.SIGUSR1, before)


def _until(condition: Callable[[], bool], seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came"
        os.sched_yield()


def _signal_when_asleep(thread: int) -> None:
    """Once the thread is asleep in system call 426, which is io_uring_enter on every architecture."""
    call = Path(f"/proc/self/task/{thread}/syscall")
    _until(lambda: call.read_text().startswith("426 "))
    os.kill(os.getpid(), signal.SIGUSR1)


def multishot(ring: Ring, sock: socket.socket, buffers: Buffers) -> None:
    flags, priority = BUFFER_SELECT, RECV_MULTISHOT
    ring.request(RECV, sock.fileno(), 0, 0, data=1, flags=flags, priority=priority, group=buffers.group)


def test_provided_buffers_in_use_end_the_receive_with_enobufs_and_given_back_go_on(pair: Pair) -> None:
    need("multishot")
    here, there = pair
    with Ring(4) as ring:
        buffers = Buffers(ring, GROUP, 2, 4)
        multishot(ring, here, buffers)
        there.send(b"abcdefghij")
        first, second, none = ended(ring, 3)
        assert (first.result, second.result, none.result) == (4, 4, -errno.ENOBUFS)
        assert first.more and second.more and not none.more
        assert first.buffer is not None and second.buffer is not None and {first.buffer, second.buffer} == {0, 1}
        assert ctypes.string_at(buffers.address(first.buffer), 4) == b"abcd"
        multishot(ring, here, buffers)  # still none: the same again, and no data lost
        assert [completion.result for completion in ended(ring, 1)] == [-errno.ENOBUFS]
        buffers.give(second.buffer)
        multishot(ring, here, buffers)
        (third,) = ended(ring, 1)
        assert (third.result, third.buffer) == (2, second.buffer)
        assert ctypes.string_at(buffers.address(second.buffer), 2) == b"ij"
        assert ctypes.string_at(buffers.address(first.buffer), 4) == b"abcd", "nobody touches what is not given back"


@pytest.mark.parametrize("count", [1, 2, 8])
def test_the_ring_of_buffers_wraps(pair: Pair, count: int) -> None:
    """Its tail has 16 bits: 70,000 buffers taken and given back go round once."""
    need("multishot")
    here, there = pair
    with Ring(4) as ring:
        buffers = Buffers(ring, GROUP, count, 16)
        multishot(ring, here, buffers)
        for number in range(70_000 if count == 2 else 3000):
            there.send(number.to_bytes(4, "little"))
            (done,) = ended(ring, 1)
            assert done.result == 4 and done.buffer is not None and done.more
            assert ctypes.string_at(buffers.address(done.buffer), 4) == number.to_bytes(4, "little")
            buffers.give(done.buffer)


def test_a_group_taken_back_is_free_for_another(pair: Pair) -> None:
    need("multishot")
    with Ring(4) as ring:
        buffers = Buffers(ring, GROUP, 2, 4)
        with pytest.raises(OSError) as caught:
            Buffers(ring, GROUP, 2, 4)
        assert caught.value.errno == errno.EEXIST
        buffers.close()
        Buffers(ring, GROUP, 2, 4).close()


def test_one_accept_request_gives_many_connections() -> None:
    need("multishot")
    with Ring(16) as ring, socket.create_server(("127.0.0.1", 0), backlog=64) as listener:  # a full ring would end it
        ring.request(ACCEPT, listener.fileno(), 0, 0, data=1, priority=ACCEPT_MULTISHOT)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]
        found = ended(ring, 20)
        assert all(completion.result >= 0 and completion.more for completion in found)
        for completion in found:
            os.close(completion.result)
        for client in clients:
            client.close()


def test_a_cancelled_receive_ends_with_ecanceled(pair: Pair) -> None:
    memory = ctypes.create_string_buffer(8)
    with Ring(4) as ring:
        ring.request(RECV, pair[0].fileno(), ctypes.addressof(memory), 8, data=1)
        ring.request(CANCEL, -1, 1, 0, data=2)
        assert {(completion.data, completion.result) for completion in ended(ring, 2)} == {(1, -errno.ECANCELED), (2, 0)}


def test_a_receive_by_a_worker(pair: Pair) -> None:
    need("worker")
    here, there = pair
    memory = ctypes.create_string_buffer(8)
    with Ring(4) as ring:
        ring.request(RECV, here.fileno(), ctypes.addressof(memory), 8, data=1, flags=ASYNC)
        ring._enter(0)
        there.send(b"worker")
        assert [(completion.data, completion.result) for completion in ended(ring, 1)] == [(1, 6)]
        assert memory.raw[:6] == b"worker"


def _asleep(ring: Ring) -> bool:
    return bool(ring._words[ring._sq_flags] & 1)


def test_the_sqpoll_thread_is_woken_when_it_sleeps(pair: Pair) -> None:
    need("sqpoll")
    here, there = pair
    memory = ctypes.create_string_buffer(8)
    with Ring(2, flags=SQPOLL, idle_ms=1) as ring:
        for number in range(20):
            _until(lambda: _asleep(ring))
            ring.request(RECV, here.fileno(), ctypes.addressof(memory), 8, data=number)
            there.send(b"wake up")
            assert [(completion.data, completion.result) for completion in ended(ring, 1)] == [(number, 7)]


def test_the_sqpoll_thread_awake_needs_no_system_call() -> None:
    """A request is carried out though the process makes no call on the ring at all."""
    need("sqpoll")
    with Ring(2, flags=SQPOLL, idle_ms=10_000) as ring:
        nop(ring, 1)
        ended(ring, 1)  # from now on it is awake for ten seconds
        assert not _asleep(ring)
        nop(ring, 2)
        _until(lambda: ring._words[ring._cq_head] != ring._words[ring._cq_tail], 5)
        assert [completion.data for completion in ended(ring, 1)] == [2]


def test_waiting_beside_the_sqpoll_thread_costs_the_process_nothing(pair: Pair) -> None:
    """Completions are slept for: the waiting thread has used nearly no CPU when the data comes 0.3 s later."""
    need("sqpoll")
    here, there = pair
    memory = ctypes.create_string_buffer(8)
    with Ring(2, flags=SQPOLL, idle_ms=1) as ring:
        ring.request(RECV, here.fileno(), ctypes.addressof(memory), 8, data=1)
        timer = threading.Timer(0.3, there.send, (b"late",))
        timer.start()
        before = resource.getrusage(resource.RUSAGE_THREAD)
        ended(ring, 1)
        after = resource.getrusage(resource.RUSAGE_THREAD)
        timer.join()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 0.1
