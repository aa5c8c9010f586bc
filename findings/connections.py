"""The connections of a server: for each of them the calls on its descriptor, from accept to close."""

from __future__ import annotations

from dataclasses import dataclass

from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call


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
    def closed(self) -> Call | None:
        """The call that closed it; None if the server never closed it."""
        return self.calls[-1] if self.calls and self.calls[-1].name == "close" else None


def connections(run: Run) -> list[Connection]:
    """The server's connections, in the order of their accept. A descriptor's number may serve several, one after the other."""
    found = []
    for accepted in run.connections:
        pid = next(thread.pid for thread in run.result.threads if thread.serial == accepted.thread)
        own = {thread.serial for thread in run.result.threads if thread.pid == pid}
        later = [
            call
            for call in run.result.calls
            if call.fd == accepted.result and call.enter >= accepted.exit and call.thread in own
        ]
        end = next((at for at, call in enumerate(later) if call.name == "close"), len(later))
        found.append(Connection(accepted, tuple(later[: end + 1])))
    return found
