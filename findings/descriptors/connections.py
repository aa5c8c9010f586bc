"""The connections of a server: for each of them the calls on its descriptor, from accept to close."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call

_F_SETFL, _O_NONBLOCK, _FIONBIO, _MSG_DONTWAIT = 4, 0o4000, 0x5421, 0x40  # uapi: fcntl.h, ioctls.h, socket.h
_FLAGS = {"recvfrom": 3, "recvmsg": 2}  # which argument has the flags


@dataclass(frozen=True)
class Connection:
    """One connection: its accept, and the calls on its descriptor until it is closed."""

    accepted: Call
    calls: tuple[Call, ...]

    @property
    def reads(self) -> list[Call]:
        """The reads that returned data."""
        return [call for call in self.calls if call.name in syscalls.READS and call.bytes]

    @property
    def sends(self) -> list[Call]:
        """The sends that took data."""
        return [call for call in self.calls if call.name in syscalls.WRITES and call.bytes]

    @property
    def read(self) -> int:
        """The bytes that the server read."""
        return sum(call.bytes for call in self.reads)

    @property
    def sent(self) -> int:
        """The bytes that the server's sends took."""
        return sum(call.bytes for call in self.sends)

    @property
    def refused(self) -> list[Call]:
        """The sends that got EAGAIN: the send buffer had no room."""
        return [call for call in self.calls if call.name in syscalls.WRITES and call.errno == "EAGAIN"]

    @property
    def ended(self) -> Call | None:
        """The read that got 0 bytes: the client has ended the connection."""
        reads = (call for call in self.calls if call.name in syscalls.READS and not call.open)
        return next((call for call in reads if call.result == 0 and _argument(call, 2)), None)

    @property
    def closed(self) -> Call | None:
        """The call that closed it; None if the server never closed it."""
        return self.calls[-1] if self.calls and self.calls[-1].name == "close" else None

    @property
    def set_non_blocking(self) -> bool:
        """Did accept4, fcntl or ioctl set O_NONBLOCK?"""
        by_accept = self.accepted.name == "accept4" and bool(_argument(self.accepted, 3) & _O_NONBLOCK)
        return by_accept or any(_sets_non_blocking(call) for call in self.calls)

    @property
    def blocking_readers(self) -> set[int]:
        """The threads that read it without MSG_DONTWAIT."""
        reads = [call for call in self.calls if call.name in syscalls.READS]
        return {call.thread for call in reads if not _argument(call, _FLAGS.get(call.name, 9)) & _MSG_DONTWAIT}


def connections(run: Run) -> list[Connection]:
    """The server's connections, in the order of their accept. A descriptor's number may serve several, one after the other.

    A connection that a child process inherits is the connection of its parent.
    """
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    accepts = {id(call) for call in run.connections}
    found: list[tuple[Call, list[Call]]] = []
    is_open: dict[tuple[int, int], list[Call]] = {}
    for call in run.result.calls:
        process = processes[call.thread]
        if id(call) in accepts and call.result is not None:
            found.append((call, []))
            is_open[process, call.result] = found[-1][1]
        elif call.fd is not None and (process, call.fd) in is_open:
            is_open[process, call.fd].append(call)
            if call.name == "close":
                del is_open[process, call.fd]
    return [Connection(accepted, tuple(calls)) for accepted, calls in found]


def left_blocking(found: Iterable[Connection], loops: set[int]) -> list[Connection]:
    """Those that no call made non-blocking, although one of the threads `loops` reads them."""
    return [each for each in found if not each.set_non_blocking and each.blocking_readers & loops]


def _sets_non_blocking(call: Call) -> bool:
    """fcntl(F_SETFL) with O_NONBLOCK. Of ioctl(FIONBIO) the recording has no value: programs call it to set the flag."""
    if call.name == "ioctl":
        return _argument(call, 1) == _FIONBIO
    return call.name == "fcntl" and _argument(call, 1) == _F_SETFL and bool(_argument(call, 2) & _O_NONBLOCK)


def _argument(call: Call, number: int) -> int:
    """An argument of a call; 0 where it is not known: a burst keeps the descriptor alone."""
    return call.args[number] & 0xFFFFFFFF if number < len(call.args) else 0
