"""A thread with a multiplexer keeps no connection waiting: it neither sleeps nor computes while another connection has data."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run, ended_by_signal
from probes.kernel import syscalls
from probes.measure.result import Call, Message, Sleep
from probes.words import count, ms

# A handler's user code takes a few times as long as its system calls: 2 to 10 times in Python. Longer user code computes.
_COMPUTES = 30
_MANY = 0.1  # the share of the messages that may arrive during a long computation: a busy machine lengthens a few of them


@dataclass(frozen=True)
class Turn:
    """From the return of one wait to the start of the next: the user code, and the calls in the kernel, ns."""

    begin: int
    end: int
    user: int
    kernel: int

    @property
    def computes(self) -> bool:
        """Was most of the turn user code, far more than its system calls need?"""
        return self.user > _COMPUTES * max(self.kernel, 1)


def observe(run: Run) -> Observation:
    """Counts the messages that were unread while their thread slept in its wait, or while it computed for another one."""
    loops = {thread: loop for thread, calls in run.calls_of.items() if (loop := _Loop.of(calls)).waits}
    messages = [message for message in run.result.messages if message.thread in loops]
    if not messages:
        return not_shown("no thread with a multiplexer read a message")
    alone = _sockets_of_one_thread(run)
    slept = [
        asleep for message in messages if message.socket in alone and (asleep := loops[message.thread].slept_beside(message))
    ]
    if slept:
        return broken(
            f"{count(len(slept), 'message')} of {len(messages)} had unread data when the thread went to sleep in its wait,"
            f" for up to {ms(max(slept))}"
        )
    turns = [turn for message in messages if (turn := loops[message.thread].computed_at(message.ready))]
    if len(turns) > max(2, _MANY * len(messages)):
        return broken(
            f"the thread computed for up to {ms(max(turn.user for turn in turns))} between two waits;"
            f" {count(len(turns), 'message')} of {len(messages)} arrived meanwhile and waited for it"
        )
    return held(
        f"{count(len(messages), 'message')}: 0 were unread when the thread went to sleep, and {len(turns)} arrived while it"
        f" computed for more than {_COMPUTES} times the duration of its calls"
    )


def _sockets_of_one_thread(run: Run) -> set[int]:
    """The sockets that a single thread read: of several threads each may leave the data to another."""
    readers: dict[int, set[int]] = {}
    for call in run.reads:
        if call.socket:
            readers.setdefault(call.socket, set()).add(call.thread)
    return {socket for socket, threads in readers.items() if len(threads) == 1}


@dataclass(frozen=True)
class _Loop:
    """What one thread did in order: its waits, its sleeps in them, its turns, and its writes by descriptor."""

    waits: list[Call]
    sleeps: list[Sleep]
    turns: list[Turn]
    writes: dict[int, list[Call]]

    @classmethod
    def of(cls, calls: Sequence[Call]) -> _Loop:
        """The loop of a thread, from its calls in order."""
        waits = [call for call in calls if call.name in syscalls.MULTIPLEXERS and not (call.open or ended_by_signal(call))]
        writes: dict[int, list[Call]] = {}
        for call in calls:
            if call.fd is not None and call.name in syscalls.WRITES:
                writes.setdefault(call.fd, []).append(call)
        return cls(waits, [sleep for call in waits for sleep in call.sleeps], _turns(calls, waits), writes)

    def slept_beside(self, message: Message) -> int:
        """How long the thread slept in its wait, having gone to sleep when the message was unread, ns.

        A thread that waits for room to send earlier data of this connection leaves its data unread on purpose.
        """
        first = bisect.bisect_right(self.sleeps, message.ready, key=lambda sleep: sleep.off)
        last = bisect.bisect_left(self.sleeps, message.read, key=lambda sleep: sleep.off)
        return sum(sleep.wait for sleep in self.sleeps[first:last] if not self._lacks_room(message.fd, sleep.off))

    def _lacks_room(self, fd: int, at: int) -> bool:
        """Had the last write to the descriptor been a short one at that time, or EAGAIN?"""
        writes = self.writes.get(fd, [])
        before = bisect.bisect_left(writes, at, key=lambda call: call.enter)
        if not before:
            return False
        last = writes[before - 1]
        return last.errno == "EAGAIN" or (len(last.args) > 2 and last.result is not None and last.result < last.args[2])

    def computed_at(self, at: int) -> Turn | None:
        """The turn at that time, if the thread computed in it."""
        index = bisect.bisect_right(self.turns, at, key=lambda turn: turn.begin) - 1
        turn = self.turns[index] if index >= 0 else None
        return turn if turn and at < turn.end and turn.computes else None


def _turns(calls: Sequence[Call], waits: Sequence[Call]) -> list[Turn]:
    """The turns of one thread that made calls, in order. None of a thread with bursts: their calls lie among other calls."""
    if any(call.histogram for call in calls):
        return []
    enters = [call.enter for call in calls]
    turns = []
    for wait, following in itertools.pairwise(waits):
        between = calls[bisect.bisect_left(enters, wait.exit) : bisect.bisect_left(enters, following.enter)]
        if between:
            user = following.enter - wait.exit - sum(call.total for call in between)
            turns.append(Turn(wait.exit, following.enter, user, sum(call.kernel + call.copy for call in between)))
    return turns


LETS_NO_CONNECTION_WAIT = Property(
    id="lets-no-connection-wait",
    statement="no connection's data waits while the thread sleeps or computes",
    remedy="name all connections in every wait, and give long computations to another thread or process",
    observe=observe,
)
