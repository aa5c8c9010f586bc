"""No thread polls in a loop: calls without a sleep and without a result."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from findings.properties.property import Cost, Observation, Place, Property, broken, held, not_shown, place_of
from findings.properties.turns import Turn, turns_of
from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.result import Call, Thread
from probes.measure.rows import CallSum
from probes.measure.sums import by_thread
from probes.words import count

# A busy loop makes hundreds of such turns for a message. Some are normal: a read until EAGAIN, a herd's loser, the last poll
# of a burst of messages.
_EACH = 10  # for an arrival of data
_SOME = 30  # for a thread without messages
_SHARE, _LONG_NS = 0.03, 500_000_000  # of a thread's life, or on a CPU in all: in a program that is not known
_LATE_NS = 100_000_000  # a loop that began late counts from its beginning on
_ENDS = 5  # reads of the end of one connection: one is enough, as nothing comes after it


@dataclass(frozen=True)
class Spinning:
    """The turns of one thread that neither slept nor had a result, by kind."""

    thread: Thread
    ready: int  # the wait reported a descriptor, but no data moved
    completed: int  # the wait reported a signal or a completion, but no data moved
    empty: int  # the wait returned at once with nothing
    eagain: int  # a read or accept got EAGAIN, and the thread made no wait at all
    full: int  # a write got EAGAIN, and the thread tried again without a wait for room
    ends: int  # the most reads of 0 bytes on one connection before it was closed: a connection that has ended stays readable
    messages: int  # of the thread's process: another thread may have read them
    arrivals: int  # of data, for these messages: a large message arrives in many parts
    ns: int = 0  # on a CPU in these turns, and in these reads
    outcome: str = ""  # of the call that followed most of the waits, with its number
    first: Call | None = None

    @property
    def turns(self) -> int:
        """All of them."""
        return self.ready + self.completed + self.empty + self.eagain + self.full

    @property
    def spins(self) -> bool:
        """More of them than a correct loop makes."""
        return self.ends > _ENDS or self.turns > max(_SOME, _EACH * self.arrivals)

    @property
    def wasteful(self) -> bool:
        """Did the turns take so much of a CPU that the machine notices?"""
        since = self.thread.end - self.first.enter if self.first else 0
        late = since > _LATE_NS and self.ns > 2 * _SHARE * since
        return self.ns > _SHARE * self.thread.wall or self.ns > _LONG_NS or late


def observe(run: Run) -> Observation:
    """Counts, for each thread, the turns without a sleep and without a result."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    messages_of = collections.Counter(processes[message.thread] for message in run.result.messages)
    arrivals_of: collections.Counter[int] = collections.Counter()
    for message in run.result.messages:
        arrivals_of[processes[message.thread]] += max(message.arrivals, 1)
    sums_of = by_thread(run.result.sums)
    seen = [
        _of_thread(
            thread,
            run.calls_of.get(thread.serial, []),
            messages_of[thread.pid],
            arrivals_of[thread.pid],
            sums_of.get(thread.serial, ()),
        )
        for thread in run.result.threads
        if thread.calls
    ]
    if not any(spinning.messages for spinning in seen):
        messages = "; no thread read a message"
    else:
        messages = f", for {count(len(run.result.messages), 'message')}"
    if not seen:
        return not_shown("no thread made a system call")
    lab = isinstance(run.result.context, LabRun)
    spinning = [thread for thread in seen if thread.spins and (lab or thread.wasteful)]
    worst = max(spinning, key=lambda spinning: spinning.turns, default=None)
    if worst is None:
        return held(f"{count(sum(thread.turns for thread in seen), 'turn')} without a sleep and without a result{messages}")
    return broken(_words(worst), places=[_place(thread) for thread in spinning])


def _words(worst: Spinning) -> str:
    thread = worst.thread
    on_cpu = 1 - (thread.wait + thread.sched_delay + thread.preempted) / max(thread.wall, 1)
    kinds = (
        (worst.ready, "a descriptor was reported as ready and no data moved" + worst.outcome),
        (worst.completed, "a signal or a completion came and no data moved"),
        (worst.empty, "the wait returned at once with nothing ready (time-out 0)"),
        (worst.eagain, "a read or accept returned EAGAIN"),
        (worst.full, "the thread repeated a send that had found no room (EAGAIN), without a wait for room"),
        (worst.ends if worst.ends > _ENDS else 0, "a read of one ended connection, which was not closed, returned 0 bytes"),
    )
    words = "; ".join(f"{count(number, 'time')} {kind}" for number, kind in kinds if number)
    return (
        f"thread {thread.name} made {count(worst.turns, 'turn')} without a sleep and without a result"
        f" for {count(worst.messages, 'message')} ({words}), and was on a CPU for {on_cpu:.0%} of its life"
    )


def _place(spinning: Spinning) -> Place:
    first = spinning.first
    cost = Cost(ns=spinning.ns, calls=spinning.turns + spinning.ends)
    if first is None:
        return place_of(spinning.thread, cost=cost)
    return place_of(spinning.thread, first.name, first.fd, first.enter, cost)


def _of_thread(thread: Thread, calls: list[Call], messages: int, arrivals: int, sums: Sequence[CallSum]) -> Spinning:
    turns = [turn for turn in turns_of(calls) if not turn.slept and turn.without_result]
    reported = [turn for turn in turns if (turn.wait.result or 0) > 0]
    eagain = _eagain(calls)
    full = _tried_again(calls)
    ends = _ends(calls)
    spun = [turn.wait for turn in turns] + [call for turn in turns for call in turn.calls] + eagain + full
    return Spinning(
        thread,
        ready=sum(turn.without_result for turn in reported if turn.wait.name in syscalls.MULTIPLEXERS),
        completed=sum(turn.without_result for turn in reported if turn.wait.name not in syscalls.MULTIPLEXERS),
        empty=sum(turn.without_result for turn in turns if (turn.wait.result or 0) <= 0),
        eagain=sum(call.count for call in eagain),
        full=sum(call.count for call in full),
        ends=ends,
        messages=messages,
        arrivals=arrivals,
        ns=min(
            sum(turn.on_cpu for turn in turns) + sum(call.exit - call.enter for call in eagain + full),  # bursts overlap
            thread.user + thread.kernel + thread.copy,
        ),
        outcome=_outcome(turns, sums),
        first=min(spun, key=lambda call: call.enter, default=None),
    )


def _outcome(turns: Iterable[Turn], sums: Sequence[CallSum]) -> str:
    """The call that failed most often after a wait that reported a descriptor, in words; "" if none did.

    The sums of the thread have the number of these calls in the whole run, also where the details are a part.
    """
    outcomes: collections.Counter[tuple[str, str | None]] = collections.Counter()
    for turn in turns:
        for call in turn.calls:
            if call.errno or (call.name in syscalls.READS and call.result == 0):
                outcomes[call.name, call.errno] += call.count
    for (name, errno), number in outcomes.most_common(1):
        whole = sum(row.count for row in sums if row.name == name and row.errno == errno and (errno or row.outcome == 0))
        what = f"got {errno}" if errno else "returned 0 bytes, the end of the file or connection"
        return f": {max(number, whole):,} times {name} {what}"
    return ""


def _eagain(calls: Iterable[Call]) -> list[Call]:
    """Reads and accepts of a thread that got EAGAIN at once; none for a thread that waits in a multiplexer."""
    eagain = []
    for call in calls:
        if call.name in syscalls.MULTIPLEXERS:
            return []
        if call.errno == "EAGAIN" and not call.sleeps and call.name in syscalls.READS | syscalls.ACCEPTS:
            eagain.append(call)
    return eagain


def _tried_again(calls: Iterable[Call]) -> list[Call]:
    """Writes of a thread that got EAGAIN after an earlier write to the same descriptor got EAGAIN, with no wait in between."""
    refused: set[int | None] = set()
    again = []
    for call in calls:
        if call.name in syscalls.LOOP_WAITS or call.sleeps:
            refused.clear()
        elif call.name in syscalls.WRITES and call.errno == "EAGAIN":
            if call.count > 1 or call.fd in refused:
                again.append(call)
            refused.add(call.fd)
    return again


def _ends(calls: Iterable[Call]) -> int:
    """The most reads of a thread that returned 0 bytes on one connection, one after the other.

    A file has an end that a program may read again. An empty datagram is an arrival, and a read that asks for 0 bytes gets 0:
    neither is the end of a connection.
    """
    connections: set[int] = set()
    ends: collections.Counter[int] = collections.Counter()
    most = 0
    for call in calls:
        if call.name in syscalls.ACCEPTS and call.result is not None:
            connections.add(call.result)
        elif call.fd in connections and (call.bytes or call.arrivals or call.name == "close"):
            ends.pop(call.fd, None)
        elif call.fd in connections and call.name in syscalls.READS and call.result == 0 and not _asks_nothing(call):
            ends[call.fd] += call.count
            most = max(most, ends[call.fd])
    return most


def _asks_nothing(call: Call) -> bool:
    return call.name in ("read", "recvfrom") and call.args[2:3] == (0,)


NEVER_SPINS = Property(
    id="never-spins",
    statement="no thread polls in a loop: a thread without work sleeps",
    fault="a thread polls in a loop",
    remedy="wait without a time-out, and wait for writability only while there is data left to send",
    observe=observe,
    lab="always_writable",
)
