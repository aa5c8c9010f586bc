"""What a program registers with epoll: the calls of epoll_ctl, and the events that each of them asks for."""

from __future__ import annotations

from dataclasses import dataclass

from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call

EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD = 1, 2, 3  # uapi/linux/eventpoll.h
EPOLLIN, EPOLLONESHOT, EPOLLET = 1, 1 << 30, 1 << 31


@dataclass(frozen=True)
class Registrations:
    """The successful calls of epoll_ctl."""

    added: list[Call]
    again: list[Call]  # of these: additions of a descriptor that had been added since it was opened
    changed: list[Call]  # EPOLL_CTL_MOD
    same: list[Call]  # of these: changes to the events that the descriptor had. EPOLLONESHOT is armed again by such a call

    @property
    def descriptors(self) -> int:
        """How many descriptors were added."""
        return len(self.added) - len(self.again)

    def with_flag(self, flag: int) -> int:
        """How many additions asked for this flag."""
        return sum(1 for call in self.added if (events_of(call) or 0) & flag)

    @property
    def never_armed_again(self) -> int:
        """How many EPOLLONESHOT registrations were never changed: each reports one event only."""
        changed = {call.args[2] for call in self.changed}
        return sum(1 for call in self.added if (events_of(call) or 0) & EPOLLONESHOT and call.args[2] not in changed)


def events_of(call: Call) -> int | None:
    """The events that a call of epoll_ctl asks for; None where they are not known. (A recording of an earlier version has an
    address in this place, which takes more than 32 bits.)
    """
    return call.args[3] if len(call.args) > 3 and 0 < call.args[3] < 1 << 32 else None


def registrations(run: Run) -> Registrations:
    """Follows each descriptor from its opening to its close: the number of a closed descriptor may soon mean another file."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    known: dict[tuple[int, int], int | None] = {}  # the events of each descriptor, by process and number
    found = Registrations([], [], [], [])
    for call in run.result.calls:
        process = processes[call.thread]
        if call.name in syscalls.ACCEPTS and call.result is not None:
            known.pop((process, call.result), None)
        elif call.name == "close" and call.fd is not None:
            known.pop((process, call.fd), None)
        elif call.name == "epoll_ctl" and call.result == 0:
            _take(found, known, (process, call.args[2]), call)
    return found


def _take(found: Registrations, known: dict[tuple[int, int], int | None], descriptor: tuple[int, int], call: Call) -> None:
    events = events_of(call)
    if call.args[1] == EPOLL_CTL_ADD:
        found.added.append(call)
        if descriptor in known:
            found.again.append(call)
        known[descriptor] = events
    elif call.args[1] == EPOLL_CTL_MOD:
        found.changed.append(call)
        if events is not None and events == known.get(descriptor) and not events & EPOLLONESHOT:
            found.same.append(call)
        known[descriptor] = events
