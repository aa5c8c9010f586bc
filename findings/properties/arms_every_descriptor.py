"""Every open connection is in epoll's set: EPOLLONESHOT is armed again, and no accepted connection is left out."""

from __future__ import annotations

import collections
from dataclasses import dataclass

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.registrations import EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLONESHOT, events_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count, ms

_LATER_NS = 100_000_000  # the program waited for so long afterwards


@dataclass
class _Watched:
    """One descriptor of a process: what epoll knows of it."""

    accepted: Call | None = None
    added: Call | None = None
    armed: Call | None = None  # the call of epoll_ctl that armed EPOLLONESHOT for the last time
    read: Call | None = None  # the read with data after that: the event was reported
    used: bool = False  # by another call


def observe(run: Run) -> Observation:
    """Follows each descriptor from its accept or its first epoll_ctl on to its close."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    watched: dict[tuple[int, int], _Watched] = collections.defaultdict(_Watched)
    waits: dict[int, int] = {}  # of each process: the end of its last wait in epoll
    armed = 0
    for call in run.result.calls:
        process = processes[call.thread]
        if call.name in syscalls.EPOLL_WAITS:
            waits[process] = call.exit
        elif call.name in syscalls.ACCEPTS and call.result is not None and call.result >= 0:
            watched[process, call.result] = _Watched(accepted=call)
        elif call.name == "epoll_ctl" and call.result == 0 and len(call.args) > 2:
            armed += _take(watched, (process, call.args[2] & 0xFFFFFFFF), call)
        elif call.fd is not None and (process, call.fd) in watched:
            _use(watched, (process, call.fd), call)
    if not waits or not watched:
        return not_shown("no process waited in epoll and added a descriptor to its set")
    silent = [each for key, each in watched.items() if each.armed and each.read and waits.get(key[0], 0) > _late(each.read)]
    forgotten = [
        each
        for key, each in watched.items()
        if each.accepted and not each.added and not each.used and waits.get(key[0], 0) > _late(each.accepted)
    ]
    added = sum(1 for each in watched.values() if each.added)
    if not silent and not forgotten:
        again = f", and EPOLLONESHOT was armed {count(armed, 'time')}" if armed else ""
        return held(
            f"{count(added, 'open descriptor')} in the sets of epoll at the end{again}; no accepted connection was left out"
        )
    return _broken(run, silent, forgotten, processes, waits)


def _broken(
    run: Run, silent: list[_Watched], forgotten: list[_Watched], processes: dict[int, int], waits: dict[int, int]
) -> Observation:
    threads = {thread.serial: thread for thread in run.result.threads}
    words, places = [], []
    for each in silent:
        assert each.read
        ns = waits[processes[each.read.thread]] - each.read.exit
        places.append(place_of(threads[each.read.thread], "epoll_ctl", each.read.fd, each.read.exit, Cost(ns=ns)))
    for each in forgotten:
        assert each.accepted
        ns = waits[processes[each.accepted.thread]] - each.accepted.exit
        place = place_of(
            threads[each.accepted.thread], each.accepted.name, each.accepted.result, each.accepted.exit, Cost(ns=ns)
        )
        places.append(place)
    longest = ms(max(place.cost.ns for place in places))
    if silent:
        words.append(
            f"no call armed EPOLLONESHOT again after an event of {count(len(silent), 'descriptor')}, so that epoll reports"
            " nothing of them any more"
        )
    if forgotten:
        words.append(f"no call added {count(len(forgotten), 'accepted connection')} to a set, and none read from them")
    return broken(f"{'; '.join(words)}, for up to {longest} until the end", places=places)


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


def _use(watched: dict[tuple[int, int], _Watched], key: tuple[int, int], call: Call) -> None:
    own = watched[key]
    if call.name == "close":
        del watched[key]
    elif call.name in syscalls.READS:
        own.used = True
        if own.armed and call.enter >= own.armed.exit and call.result is not None:
            ended = (
                call.result <= 0 and call.errno != "EAGAIN"
            )  # the end of the connection, or an error: nothing comes any more
            own.read = call if call.bytes else None if ended else own.read
            own.armed = None if ended else own.armed
    elif call.name in syscalls.WRITES | {"shutdown", "dup", "fcntl", "getsockopt"}:
        own.used = own.used or call.name not in ("fcntl", "getsockopt")


def _late(call: Call) -> int:
    return call.exit + _LATER_NS


ARMS_EVERY_DESCRIPTOR = Property(
    id="arms-every-descriptor",
    statement="epoll watches every open connection",
    remedy="add each accepted connection to the set, and call epoll_ctl(EPOLL_CTL_MOD) after each event of EPOLLONESHOT",
    observe=observe,
    gravity=Gravity.LOST,
    needs_all=True,
)
