"""No small write waits for the acknowledgement of the write before: Nagle's algorithm against the delayed acknowledgement."""

from __future__ import annotations

import collections
from dataclasses import dataclass, field

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.percentiles import median
from probes.measure.queues import Queue
from probes.measure.result import Call, Sleep
from probes.words import count, ms

# The receiver delays an acknowledgement for at least 40 ms (TCP_DELACK_MIN, include/net/tcp.h) if it has nothing to send. Until
# then the sender keeps a second small segment back (tcp_nagle_check, net/ipv4/tcp_output.c). Timers and CPUs add a few ms.
_DELAY_NS = (39_000_000, 56_000_000)
_SMALL = 1448  # bytes: a write that fills a segment is sent at once
_MANY, _SHARE = 5, 0.5
_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_FOR_DATA = {Queue.SOCKET, Queue.EPOLL, Queue.POLL, Queue.SELECT}


@dataclass
class _Connection:
    """One descriptor of a process, as far as this pattern needs it."""

    writes: int = 0  # small writes since the last read
    reads: int = 0  # reads with data since the last write
    waited: Sleep | None = None  # the last sleep for its data
    split: list[tuple[Call, int]] = field(default_factory=list)  # the sleeps after two small writes, or between two parts, ns
    no_delay: bool = False


def observe(run: Run) -> Observation:
    """Looks for sleeps of about 40 ms after two small writes in a row, and between two reads of one request."""
    connections = _follow(run)
    pairs = sum(len(each.split) for each in connections)
    if not pairs:
        return not_shown("no connection carried a message in two small writes")
    late = [own for each in connections if (own := _delayed(each))]
    if not late:
        return held(
            f"{count(pairs, 'sleep')} after two small writes or between two parts of a message; no connection has a series of"
            " sleeps of about 40 ms"
        )
    threads = {thread.serial: thread for thread in run.result.threads}
    durations = [ns for own in late for _, ns in own]
    return broken(
        f"{count(len(durations), 'sleep')} of about 40 ms (median {ms(median(durations) or 0)}) between the parts of a message"
        f" on {count(len(late), 'descriptor')}: a second small write waits for a delayed acknowledgement",
        places=[
            place_of(
                threads[own[0][0].thread],
                own[0][0].name,
                own[0][0].fd,
                own[0][0].enter,
                Cost(ns=sum(ns for _, ns in own), calls=len(own)),
            )
            for own in late
        ],
    )


def _follow(run: Run) -> list[_Connection]:
    """The connections: each descriptor of each process from its opening to its close."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    connections: dict[tuple[int, int], _Connection] = collections.defaultdict(_Connection)
    closed: list[_Connection] = []
    waited: dict[int, tuple[Call, Sleep]] = {}  # of each thread: its last wait in a multiplexer
    for call in run.result.calls:
        if call.name in syscalls.MULTIPLEXERS:
            if call.sleeps:
                waited[call.thread] = call, max(call.sleeps, key=lambda sleep: sleep.wait)
            continue
        if call.fd is None:
            continue
        key = processes[call.thread], call.fd
        if call.name == "close":
            closed += [connections.pop(key)] if key in connections else []
        elif call.name == "setsockopt" and call.args[1:3] == (_IPPROTO_TCP, _TCP_NODELAY):
            connections[key].no_delay = True
        elif call.name in syscalls.WRITES and call.bytes:
            each = connections[key]
            each.writes = each.writes + 1 if call.bytes < _SMALL else 0
            each.reads = 0
            waited.pop(call.thread, None)
        elif call.name in syscalls.READS and call.bytes and call.socket:
            _take(connections[key], call, waited.pop(call.thread, None))
    return closed + list(connections.values())


def _take(each: _Connection, call: Call, wait: tuple[Call, Sleep] | None) -> None:
    """A read with data: how long the thread slept for it, if it is the answer to two small writes or a second part."""
    own = next(((call, sleep) for sleep in call.sleeps if sleep.queue in _FOR_DATA), wait)
    two_writes = each.writes >= 2 and not each.no_delay
    second_part = each.reads == 1 and not each.writes
    if own and (two_writes or second_part):
        each.split.append((own[0], own[1].wait))
    each.reads += 1
    each.writes = 0


def _delayed(each: _Connection) -> list[tuple[Call, int]]:
    """The sleeps of about 40 ms, if they are many of these sleeps."""
    late = [(call, ns) for call, ns in each.split if _DELAY_NS[0] <= ns <= _DELAY_NS[1]]
    return late if len(late) >= _MANY and len(late) >= _SHARE * len(each.split) else []


WAITS_FOR_NO_ACKNOWLEDGEMENT = Property(
    id="waits-for-no-acknowledgement",
    statement="no small write waits for a delayed acknowledgement",
    fault="small writes wait for delayed acknowledgements (Nagle's algorithm)",
    remedy="send a message by one call (a buffer, writev), or set TCP_NODELAY on the side that writes several small parts",
    observe=observe,
    gravity=Gravity.LATE,
)
