"""Messages: the arrivals of data at sockets, each followed over the calls that report it, read it and return it."""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from probes.kernel import syscalls
from probes.measure.result import Call, Message, SocketCopy


@dataclass
class _Arriving:
    first: Call
    notified: int
    notified_by: str
    probed: int
    bytes: int = 0
    reads: int = 0
    arrivals: int = 0


def messages_of_calls(calls: Sequence[Call]) -> Iterable[Message]:
    """The messages in the calls, in the order in which they were returned to the program.

    A message opens with the first read after the data became ready, and closes with the read that leaves the socket empty.
    If the data was ready when a multiplexer returned before that read, the multiplexer's return notified the thread. Else the
    reading call did: at its start if the data was unread in the socket by then, else when the thread ran after the wake-up.
    """
    multiplexed: dict[int, Call] = {}
    arriving: dict[int, _Arriving] = {}
    for call in calls:
        if call.name in syscalls.MULTIPLEXERS and (call.result or 0) > 0:  # not, if a signal ended it
            multiplexed[call.thread] = call
        if call.socket is None or call.name not in syscalls.READS or call.bytes <= 0:
            continue
        one = arriving.get(call.socket)
        if one is None:
            if call.ready is None:
                continue  # nothing told of its arrival: it can't be timed
            one = arriving[call.socket] = _Arriving(call, *_notified(call, call.ready, multiplexed.get(call.thread)))
        one.bytes += call.bytes
        one.reads += 1
        one.arrivals += call.arrivals
        if call.drained:
            del arriving[call.socket]
            assert one.first.ready is not None
            yield Message(
                socket=call.socket,
                thread=call.thread,
                fd=call.fd if call.fd is not None else -1,
                ready=one.first.ready,
                notified=one.notified,
                probed=one.probed,
                notified_by=one.notified_by,
                read=one.first.enter,
                copied=call.copied or call.exit,
                returned=call.exit,
                bytes=one.bytes,
                reads=one.reads,
                arrivals=one.arrivals,
            )


def _within(calls: Sequence[Call], taken: Sequence[SocketCopy]) -> Iterable[tuple[SocketCopy, Call | None, Call | None]]:
    """What was taken, each with the recvmmsg that took it, if one did, and the multiplexer that returned before that."""
    own: dict[int, list[Call]] = collections.defaultdict(list)
    for call in calls:
        if call.name == "recvmmsg" or (call.name in syscalls.MULTIPLEXERS and (call.result or 0) > 0):
            own[call.thread].append(call)
    for one in taken:
        candidates = own[one.thread]
        at = bisect.bisect_right(candidates, one.copied, key=lambda call: call.enter) - 1
        if at >= 0 and candidates[at].name == "recvmmsg" and one.copied <= candidates[at].exit:
            before = next((call for call in candidates[at::-1] if call.name != "recvmmsg"), None)
            yield one, candidates[at], before
        else:
            yield one, None, None


def messages_of_batches(calls: Sequence[Call], taken: Sequence[SocketCopy]) -> Iterable[Message]:
    """The messages that recvmmsg took, many by one call: its start notifies of them, its end returns them to the program."""
    for one, call, multiplexer in _within(calls, taken):
        if call is None or one.ready is None or not one.drained or not one.bytes:
            continue
        notified, notified_by, probed = _notified(call, one.ready, multiplexer)
        yield Message(
            socket=one.socket,
            thread=one.thread,
            fd=call.fd if call.fd is not None else -1,
            ready=one.ready,
            notified=notified,
            notified_by=notified_by,
            probed=probed,
            read=call.enter,
            copied=one.copied,
            returned=call.exit,
            bytes=one.bytes,
            reads=1,
            arrivals=one.arrivals,
        )


_GETEVENTS = 1  # IORING_ENTER_GETEVENTS
_COMPLETES = {"io_uring_enter", "io_getevents", "io_pgetevents", "rt_sigtimedwait"}


def completions_of(
    calls: Sequence[Call], taken: Sequence[SocketCopy], families: Mapping[int, tuple[int, int]]
) -> Iterable[Message]:
    """The messages that no reading call took. Their completion notifies the thread, when the data is in its buffer already.

    The notice is the next return, after the copy, of a call that hands out completions. A call of the thread that took the data
    counts (a worker of the kernel takes it for the thread that made the worker). If that thread never waits for completions, a
    call of any thread in its process counts. `families` has, for each thread, the thread that it works for (or 0), and its
    process.
    """
    # io_uring_enter tells how many requests it took, which is 0 where it only waited; of the others 0 is no completion
    returns: dict[tuple[str, int], list[tuple[int, str]]] = collections.defaultdict(list)
    for call in calls:
        if call.name in _COMPLETES and call.result is not None and call.result >= (call.name != "io_uring_enter"):
            if call.name != "io_uring_enter" or call.args[3] & _GETEVENTS:  # else it only hands in requests
                returns["thread", call.thread].append((call.exit, call.name))
            returns["process", families[call.thread][1]].append((call.exit, call.name))
    for ends in returns.values():
        ends.sort()
    arriving: dict[int, list[SocketCopy]] = collections.defaultdict(list)
    for one, batch, _ in _within(calls, taken):
        if batch is not None:
            continue
        parts = arriving[one.socket]
        parts.append(one)
        if not one.drained:
            continue
        del arriving[one.socket]
        ready = next((part.ready for part in parts if part.ready), None)
        works_for, process = families[one.thread]
        ends = returns.get(("thread", works_for or one.thread)) or returns.get(("process", process), [])
        at = bisect.bisect_left(ends, (one.copied, ""))
        if ready is None or at == len(ends):
            continue
        notified, name = ends[at]
        yield Message(
            socket=one.socket,
            thread=one.thread,
            fd=-1,
            ready=ready,
            notified=notified,
            notified_by=name,
            read=parts[0].started,
            copied=one.copied,
            returned=notified,
            bytes=sum(part.bytes for part in parts),
            reads=len(parts),
            arrivals=sum(part.arrivals for part in parts),
        )


def _notified(read: Call, ready: int, multiplexer: Call | None) -> tuple[int, str, int]:
    """When the thread was notified (ns), by which call, and how much of the time since `ready` was our own probe's."""
    if multiplexer is not None and ready <= multiplexer.exit <= read.enter:
        return multiplexer.exit, multiplexer.name, _probed(multiplexer, ready)
    if ready <= read.enter:
        return read.enter, read.name, 0
    awake = [sleep.on for sleep in read.sleeps if sleep.on >= ready]
    return (awake[0] if awake else ready), read.name, _probed(read, ready)


def _probed(call: Call, ready: int) -> int:
    return sum(min(sleep.probed, sleep.woken - ready) for sleep in call.sleeps if sleep.off <= ready < sleep.woken)
