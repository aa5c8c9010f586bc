"""Whether a recording is complete, and which figures each kind of loss voids. No other file has rules about losses."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from probes.kernel import syscalls
from probes.kernel.records import Loss
from probes.measure.result import Call, Events, SocketCopy
from probes.recording import Missing


class Voids(enum.Enum):
    """The figures that cannot be trusted after a loss."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    MESSAGES = "messages"
    COPIES = "copies"
    READY_LIST = "epoll's callbacks"


@dataclass(frozen=True)
class Soundness:
    """The rules, applied to the losses of one recording. `socket_copies` are the copies outside reading calls."""

    losses: Mapping[str, int]
    calls: Sequence[Call]
    socket_copies: Sequence[SocketCopy]

    VOIDS: ClassVar[dict[str, Voids]] = {
        Loss.RING_FULL.name: Voids.EVERYTHING,
        Loss.THREADS_FULL.name: Voids.EVERYTHING,
        Loss.UNMATCHED.name: Voids.EVERYTHING,
        Loss.STACK_FAILED.name: Voids.NOTHING,  # the report calls the queue or the waker unknown
        Loss.UNSEEN.name: Voids.NOTHING,  # the phase is an upper bound
        Loss.COPY_END.name: Voids.NOTHING,  # the copy is an upper bound, and its row is marked as bounded
        Loss.REFUSED.name: Voids.NOTHING,  # the kernel did not make the call
        Loss.ARRIVAL.name: Voids.MESSAGES,
        Loss.UNINVITED.name: Voids.NOTHING,  # the process does not belong to the run
        Loss.STACK_CUT.name: Voids.NOTHING,  # a chain of wake-ups may lack its start
        Loss.GENERATIONS_FULL.name: Voids.MESSAGES,  # two connections may count as one
        Loss.WATCHERS_FULL.name: Voids.READY_LIST,
        Loss.SERIALS_FULL.name: Voids.EVERYTHING,  # two threads may have the same number
        Loss.EMULATED.name: Voids.NOTHING,  # the kernel did not make the call
        Loss.KILLED.name: Voids.NOTHING,  # the call did not begin
        Loss.SUMS_FULL.name: Voids.EVERYTHING,
        Loss.SOCKETS_FULL.name: Voids.NOTHING,  # a descriptor may lack its address
        Missing.MISSED: Voids.EVERYTHING,
        Missing.SKIPPED: Voids.EVERYTHING,  # only where `_skipped_begin` is true
        Missing.PAIRED: Voids.COPIES,  # only where `_skipped_copy` is true
        Missing.FULL: Voids.EVERYTHING,  # the part before the end is complete: Events.full says so beside `lost`
        Missing.CUT: Voids.EVERYTHING,
        Missing.SUMMED_MS: Voids.NOTHING,  # Missing.CUT stands beside it
    }

    # The probes' tables of fixed size: the same program fills them again, however little else the machine does.
    TABLES: ClassVar[set[str]] = {
        Loss.THREADS_FULL.name, Loss.ARRIVAL.name, Loss.GENERATIONS_FULL.name, Loss.WATCHERS_FULL.name, Loss.SERIALS_FULL.name,
        Loss.SUMS_FULL.name,
    }  # fmt: skip

    def events(self, seen: int, unmatched: Mapping[str, int]) -> Events:
        """The counts of the report. `unmatched` is what the reader could not match, by reason."""
        reasons = {name.lower(): number for name, number in self.losses.items() if number} | dict(unmatched)
        alone = self._number(Loss.UNMATCHED.name) + sum(unmatched.values())
        needs_room = not alone and 0 < self.lost == sum(self._number(name) for name in self.TABLES)
        return Events(seen, self.lost, alone, reasons, needs_room)

    @property
    def lost(self) -> int:
        """How many events are missing from the figures."""
        return sum(
            self._number(name) for name, voids in self.VOIDS.items() if voids is not Voids.NOTHING and self._is_lost(name)
        )

    def _number(self, name: str) -> int:
        return self.losses.get(name, 0)

    def _is_lost(self, name: str) -> bool:
        if name == Missing.SKIPPED:
            return self._skipped_begin()
        if name == Missing.PAIRED:
            return self._skipped_copy()
        return name not in (Loss.UNMATCHED.name, Missing.FULL)  # each has a place of its own in Events

    def _skipped_begin(self) -> bool:
        """The end of a call without its begin is a refused, emulated or killed call, unless the kernel skipped the begin."""
        return any(self._number(loss.name) for loss in (Loss.REFUSED, Loss.EMULATED, Loss.KILLED))

    def _skipped_copy(self) -> bool:
        """Did a skipped event of a copy belong to a followed thread?

        One probe reports the copy, another reports the socket: a call that only one of them reports lacks the other. A copy
        from a unix socket always lacks the socket, and is counted too. A read that neither reports, though it returned data,
        lacks both if its descriptor is known to be a connection. For several copies in one call, and for copies outside of
        calls, no second probe exists, so they count as lost.
        """
        if not self._number(Missing.PAIRED):
            return False
        if self.socket_copies:
            return True
        connections = {call.result for call in self.calls if call.name in syscalls.ACCEPTS}
        connections |= {call.fd for call in self.calls if call.socket is not None or call.name == "connect"}
        for call in self.calls:
            if call.copies > 1 or (call.copied is None) != (call.socket is None):
                return True
            if call.bytes and call.copied is None and call.name in syscalls.READS and call.fd in connections:
                return True
        return False
