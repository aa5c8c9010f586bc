"""Every open connection is in epoll's set: EPOLLONESHOT is armed again, and no accepted connection is left out."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from findings.descriptors.registrations import EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLONESHOT, events_of
from findings.descriptors.sockets import unread
from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, ms, times

_LATER_NS = 100_000_000  # the program waited for so long afterwards


@dataclass
class _Watched:
    """One descriptor of a process, and its registration in epoll."""

    accepted: Call | None = None
    added: Call | None = None
    armed: Call | None = None  # the call of epoll_ctl that armed EPOLLONESHOT for the last time
    read: Call | None = None  # the read with data after that: the event was reported
    used: bool = False  # by another call

    def left(self, waited: int) -> list[_Left]:
        """Whether epoll can't report it although the program waited in epoll until `waited`, ns."""
        if self.armed and self.read and waited > self.read.exit + _LATER_NS:
            return [_Left(self.read, False, waited - self.read.exit)]
        if self.accepted and not self.added and not self.used and waited > self.accepted.exit + _LATER_NS:
            return [_Left(self.accepted, True, waited - self.accepted.exit)]
        return []


@dataclass(frozen=True)
class _Left:
    """A descriptor that epoll could not report."""

    call: Call  # its last read, or its accept
    accepted: bool
    ns: int  # from that call to the end of the last wait

    @property
    def fd(self) -> int | None:
        """The descriptor."""
        return self.call.result if self.accepted else self.call.fd


@dataclass(frozen=True)
class _Followed:
    """What the calls of a run did to epoll's sets."""

    found: list[_Left]
    waited: bool
    added: int
    armed: int


def unwatched(run: Run) -> list[_Left]:
    """The descriptors that epoll could not report, although the program waited in epoll."""
    followed = _follow(run)
    return followed.found if followed.waited and followed.added else []


def observe(run: Run) -> Observation:
    """Follows each descriptor from its accept or its first epoll_ctl on to its close."""
    followed = _follow(run)
    if not followed.waited or not followed.added:
        return not_shown("no process waited in epoll and added a descriptor to its set")
    if followed.found:
        return _broken(run, followed.found)
    again = f", and EPOLLONESHOT was armed {times(followed.armed)}" if followed.armed else ""
    return held(f"{count(followed.added, 'descriptor')} added to epoll sets{again}; no accepted connection was left out")


def _follow(run: Run) -> _Followed:
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    watched: dict[tuple[int, int], _Watched] = collections.defaultdict(_Watched)
    waits: dict[int, int] = {}  # of each process: the end of its last wait in epoll
    fresh: dict[int, list[_Watched]] = collections.defaultdict(list)  # of each process: accepted since its last sendmsg
    found: list[_Left] = []
    armed = added = 0
    for call in run.result.calls:
        process = processes[call.thread]
        if call.name in syscalls.EPOLL_WAITS:
            waits[process] = call.exit
        elif call.name in syscalls.ACCEPTS and call.result is not None and call.result >= 0:
            watched[process, call.result] = _Watched(accepted=call)
            fresh[process].append(watched[process, call.result])
        elif call.name == "epoll_ctl" and call.result == 0 and len(call.args) > 2:
            added += call.args[1] == EPOLL_CTL_ADD
            armed += _take(watched, (process, call.args[2] & 0xFFFFFFFF), call)
        elif call.name == "close" and call.fd is not None and (own := watched.pop((process, call.fd), None)):
            found += own.left(waits.get(process, 0))
        elif call.name == "sendmsg" and call.bytes:
            fresh[process] = _handed_over(fresh[process])
        elif call.fd is not None and (process, call.fd) in watched:
            _use(watched[process, call.fd], call)
    found += [left for (process, _), own in watched.items() for left in own.left(waits.get(process, 0))]
    return _Followed(found, bool(waits), added, armed)


def _handed_over(accepted: list[_Watched]) -> list[_Watched]:
    """A sendmsg may have given them to another process (SCM_RIGHTS, unix(7))."""
    for each in accepted:
        each.used = True
    return []


def _broken(run: Run, found: list[_Left]) -> Observation:
    threads = {thread.serial: thread for thread in run.result.threads}
    silent, forgotten = sum(not left.accepted for left in found), sum(left.accepted for left in found)
    words = []
    if silent:
        words.append(
            f"no call armed EPOLLONESHOT again after an event of {count(silent, 'descriptor')}, so epoll reports no"
            " further event there"
        )
    if forgotten:
        them = "it" if forgotten == 1 else "them"
        words.append(f"{count(forgotten, 'accepted connection')} stayed outside every epoll set, and no call read {them}")
    rests = {(threads[each.end.name.thread].pid, each.end.name.fd): each for each in unread(run)}
    rest_of = {id(left): rests.get((threads[left.call.thread].pid, left.fd or 0)) for left in found}
    left_there = [rest for rest in rest_of.values() if rest]
    bytes_left = sum(rest.end.unread or 0 for rest in left_there)
    there = f"; {count(bytes_left, 'byte')} came there and stayed unread for up to" if left_there else ""
    there += f" {ms(max(rest.ns for rest in left_there))}" if left_there else ""
    return broken(
        f"{'; '.join(words)}, for up to {ms(max(left.ns for left in found))} in which the program waited in epoll{there}",
        places=[
            place_of(
                threads[left.call.thread],
                left.call.name if left.accepted else "epoll_ctl",
                left.fd,
                left.call.exit,
                Cost(ns=left.ns, bytes=(rest.end.unread or 0) if (rest := rest_of[id(left)]) else 0),
            )
            for left in found
        ],
    )


def _take(watched: dict[tuple[int, int], _Watched], key: tuple[int, int], call: Call) -> int:
    """Takes a call of epoll_ctl. 1 if it arms EPOLLONESHOT."""
    if call.args[1] == EPOLL_CTL_DEL:
        watched.pop(key, None)
        return 0
    if call.args[1] not in (EPOLL_CTL_ADD, EPOLL_CTL_MOD):
        return 0
    own = watched[key]
    own.added = own.added or call
    own.armed = call if (events_of(call) or 0) & EPOLLONESHOT else None
    own.read = None
    return int(own.armed is not None)


def _use(own: _Watched, call: Call) -> None:
    if call.name in syscalls.READS:
        own.used = True
        if own.armed and call.enter >= own.armed.exit and call.result is not None:
            ended = call.result <= 0 and call.errno != "EAGAIN"  # the end of the connection, or an error
            own.read = call if call.bytes else None if ended else own.read
            own.armed = None if ended else own.armed
    elif call.name in syscalls.WRITES | {"shutdown", "dup"}:
        own.used = True


ARMS_EVERY_DESCRIPTOR = Property(
    id="arms-every-descriptor",
    statement="epoll watches every open connection",
    fault="epoll does not watch an open connection",
    remedy="add each accepted connection to the set, and call epoll_ctl(EPOLL_CTL_MOD) after each event of EPOLLONESHOT",
    observe=observe,
    gravity=Gravity.LOST,
    needs_all=True,
)
