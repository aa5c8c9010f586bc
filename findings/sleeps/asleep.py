"""In which call threads slept most: for evidence that names what a server waited for."""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from probes.kernel import syscalls
from probes.measure.queues import Queue, place
from probes.measure.result import Call
from probes.words import ms, times

# A sleep on these queues is the program's choice: it waits for a peer, a thread, a time, a child. A page fault or a lock of
# the kernel's may put any call to sleep.
CHOSEN: frozenset[str] = frozenset(
    {
        Queue.SOCKET, Queue.ACCEPT, Queue.CONNECT, Queue.SEND_BUFFER, Queue.PEER_BUFFER, Queue.LINGER, Queue.SELECT, Queue.POLL,
        Queue.EPOLL, Queue.IO_URING, Queue.NATIVE_AIO, Queue.FUTEX, Queue.PIPE, Queue.FIFO_END, Queue.EVENTFD, Queue.TIMER,
        Queue.CHILD, Queue.FLOCK, Queue.RECORD_LOCK, Queue.LEASE, Queue.SEMAPHORE, Queue.MESSAGES, Queue.POSIX_MESSAGES,
        Queue.SIGNAL,
    }
)  # fmt: skip


@dataclass(frozen=True)
class SleptIn:
    """All sleeps in calls of one name on one queue."""

    name: str
    queue: str
    times: int
    ns: int

    @property
    def words(self) -> str:
        """As in "slept 31 times in recvfrom, on the socket's queue, for 300.0 ms in all"."""
        where = f"in {self.name}" + (f", {place(self.queue)}," if self.queue in ("socket", "timer") else "")
        return f"slept {times(self.times)} {where} for {ms(self.ns)} in all"


def slept_in(calls: Iterable[Call], queues: Collection[str] = CHOSEN) -> list[SleptIn]:
    """The sleeps of these calls on those queues, by call and queue, the longest in all first."""
    number: collections.Counter[tuple[str, str]] = collections.Counter()
    lasted: collections.Counter[tuple[str, str]] = collections.Counter()
    for call in calls:
        for sleep in call.sleeps:
            if sleep.queue in queues:
                number[call.name, sleep.queue] += 1
                lasted[call.name, sleep.queue] += sleep.wait
    return [SleptIn(name, queue, number[name, queue], ns) for (name, queue), ns in lasted.most_common()]


def slept_besides(calls: Iterable[Call]) -> str:
    """Where these calls slept longest in words, accepts and reads of connections left out; "" if they did not sleep.

    A read of a connection has its socket, or returned no data; the sockets of other families are not followed.
    """
    others = (
        call
        for call in calls
        if call.name not in syscalls.ACCEPTS and (call.name not in syscalls.READS or (call.bytes and not call.socket))
    )
    found = slept_in(others, CHOSEN - {"signal"})
    return found[0].words if found else ""
