"""A program while it runs, call by call: what happened, in the order in which the kernel reported it."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from findings.part import Part
from findings.sleeps.causes import Cause
from findings.sleeps.waits import runs_for_itself
from probes.kernel.records import OTHERS, Kind, Off
from probes.measure.life import Life
from probes.measure.reader import Reader, ending_of
from probes.measure.result import Call, Ending, Sleep
from probes.measure.sockets import SocketEnd, SocketName


@dataclass(frozen=True, slots=True)
class Who:
    """A thread at one moment. `tid`, `pid`: in its own pid namespace."""

    serial: int
    tid: int
    host_tid: int
    pid: int
    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A call, or a burst of calls, has ended, or was under way at the end. `slept`: what ended each of its sleeps.

    `socket`: the addresses of its descriptor, where that is a socket that has some.
    """

    at: int
    thread: Who
    call: Call
    slept: tuple[tuple[Sleep, Cause], ...]
    socket: SocketName | None = None


@dataclass(frozen=True, slots=True)
class Began:
    """A thread is followed from here on. `creator`: None if it was invited or joined."""

    at: int
    thread: Who
    creator: Who | None


@dataclass(frozen=True, slots=True)
class Executed:
    """A process executed another program; the thread's name is the new one."""

    at: int
    thread: Who


@dataclass(frozen=True, slots=True)
class Gone:
    """A thread has ended."""

    at: int
    thread: Who
    ending: Ending


@dataclass(frozen=True, slots=True)
class LeftOut:
    """So many calls were not reported one by one, because the reader of these events was behind."""

    at: int
    calls: int


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Nothing has come for a while, and a thread is in this call, or makes the same call again and again (`burst`).

    `since`: when it fell asleep, or the burst began, ns. `queue`: "" if it is not asleep. `others`: so many threads of that
    name are in the same sleep, each for less time.
    """

    at: int
    thread: Who
    call: str
    since: int
    queue: str = ""
    burst: Call | None = None
    others: int = 0


Event = Ended | Began | Executed | Gone | LeftOut | UnderWay


@dataclass(frozen=True)
class Wanted:
    """Which calls are events: all that match each of these."""

    part: Part = field(default_factory=Part)
    errors: bool = False  # failed calls only
    slower_than: int = 0  # ns


_SOCKETS = {int(Kind.SOCKET), int(Kind.SOCKET_END)}
_NAMES_ITS_SOCKET = {"bind", "connect"}
_A_MOMENT = 1_000_000  # ns


class _Sockets:
    """The sockets that are open now, by process and number. findings/descriptors/words.py does the same for a finished run."""

    def __init__(self) -> None:
        self._tables: dict[int, dict[int, SocketName]] = collections.defaultdict(dict)
        self._closed: dict[tuple[int, int], SocketEnd] = {}  # the latest end, by process and descriptor

    def open(self, pid: int, name: SocketName) -> None:
        """A socket was reported."""
        self._tables[pid][name.fd] = name

    def close(self, end: SocketEnd) -> None:
        """No process has the socket any more. The kernel reports that before the end of the call that closes it."""
        for pid, table in self._tables.items():
            known = table.get(end.name.fd)
            if known and known.inode == end.name.inode:
                del table[end.name.fd]
                self._closed[pid, end.name.fd] = end

    def fork(self, parent: int, child: int) -> None:
        """A process was made, with its parent's descriptors."""
        self._tables[child] = dict(self._tables[parent])

    def gone(self, pid: int) -> None:
        """A process has ended."""
        for fd in self._tables.pop(pid, ()):
            self._closed.pop((pid, fd), None)

    def of(self, pid: int, call: Call) -> SocketName | None:
        """The addresses of the call's descriptor. The kernel says what kind of file it is: another kind has none of them."""
        name = self._tables[pid].get(call.fd) if call.fd is not None else None
        same = name and call.descriptor and (name.family, name.type) == (call.descriptor.family, call.descriptor.type)
        if call.name == "close" and call.result == 0:
            self._tables[pid].pop(call.fd or 0, None)
            return name or self._just_closed(pid, call)
        return name if same else None

    def _just_closed(self, pid: int, call: Call) -> SocketName | None:
        end = self._closed.pop((pid, call.fd or 0), None)
        return end.name if end and call.enter - _A_MOMENT <= end.at <= call.exit else None


_DIGITS = re.compile(r"\d+")  # names of a kind differ in their numbers (roles.kind, whose file takes long to import)


def _alike_together(events: Iterable[UnderWay]) -> Iterator[UnderWay]:
    """Threads of one name in the same sleep as one event, that of the longest sleep."""
    groups: dict[tuple[object, ...], list[UnderWay]] = collections.defaultdict(list)
    for event in events:
        own = event.thread.serial if event.burst else 0
        groups[event.thread.pid, _DIGITS.sub("N", event.thread.name), event.call, event.queue, own].append(event)
    for group in groups.values():
        yield replace(min(group, key=lambda event: event.since), others=len(group) - 1)


class Following:
    """Makes events of records as they come."""

    def __init__(self, reader: Reader, wanted: Wanted) -> None:
        self._reader, self._wanted = reader, wanted
        self._alive: dict[int, int] = {}  # serial numbers by the kernel's ids
        self._who: dict[int, Who] = {}
        self._sockets = _Sockets()
        self._seen = collections.Counter[int]()  # calls of each thread
        self._said = collections.Counter[int]()  # calls of each thread that were counted as left out
        self._at = self._left_out = 0
        self.begin: int | None = None  # of the first thread, ns
        self.seen = self.shown = self.left_out = 0  # calls
        self._makes: Mapping[int, Callable[[Any, Life], Iterator[Event]]] = {
            int(Kind.THREAD): self._began,
            int(Kind.CALL): self._ended,
            int(Kind.BURST): self._ended,
            int(Kind.EXEC): self._executed,
            int(Kind.NAME): self._named,
            int(Kind.EXIT): self._gone,
        }

    def read(self, data: bytes) -> Iterator[Event]:
        """The events of these packed records.

        A call such as connect gives an address to its socket, and the kernel side reports this address after the call. So the
        event of the call waits for the next record of its thread, and the events of other threads wait with it.
        """
        naming: Call | None = None
        held: list[Event] = []
        for record, life in self._reader.follow(data):
            if record.kind in _SOCKETS:
                self._on_socket(record)
            if naming and record.thread == naming.thread:
                yield from self._call_ended(naming)
                yield from held
                naming, held = None, []
            make = self._makes.get(record.kind)
            if not make or not life:
                continue
            if naming:
                held += make(record, life)
            elif record.kind == Kind.CALL and life.calls[-1].name in _NAMES_ITS_SOCKET:
                naming = life.calls[-1]
            else:
                yield from make(record, life)
        if naming:
            yield from self._call_ended(naming)
        yield from held

    def moment(self, data: bytes) -> Iterator[Event]:
        """The events of the records of one moment: what was left out until then; else, what is under way."""
        found = list(self._reader.follow_moment(data))
        open_bursts = collections.Counter[int]()
        for record, _ in found:
            if record.kind == Kind.BURST:
                open_bursts[record.thread] += record.count
        before = self.left_out
        for record, _ in found:
            if record.kind == Kind.STATE:
                self._at = record.at
                self._account(record.thread, record.made - self._seen[record.thread] - open_bursts[record.thread])
        if self.left_out == before:
            yield from _alike_together(event for record, call in found for event in self._under_way(record, call))

    def _on_socket(self, record: Any) -> None:
        who, sockets = self._who.get(record.thread), self._reader.sockets
        if record.kind == Kind.SOCKET_END:
            if end := sockets.on_end(record):
                self._sockets.close(end)
        elif who:
            self._sockets.open(who.pid, sockets.on_socket(record))

    def _under_way(self, record: Any, burst: Call | None) -> Iterator[UnderWay]:
        who = self._who.get(record.thread)
        if who is None or not self._wanted.part.has_thread(who):
            return
        if burst:
            if self._wanted.part.has_call(burst):
                yield UnderWay(self._at, who, burst.name, burst.enter, burst=burst)
        elif record.kind == Kind.STATE and record.off == Off.ASLEEP:
            name = "" if record.nr == -1 else self._reader.name(record.nr)
            if self._wanted.part.has_name(name):
                yield UnderWay(record.at, who, name, record.off_at, self._reader.queue(record.stack)[0])

    def names(self, serial: int) -> str:
        """A followed thread in words, as the waker of another."""
        who = self._who.get(serial)
        return f"{who.name} {who.tid}" if who else "a thread that has ended"

    def end(self) -> Iterator[Event]:
        """What is still to be said at the end."""
        yield from self._say_left_out()

    def _began(self, record: Any, life: Life) -> Iterator[Event]:
        who = Who(record.thread, record.ns_tid, record.tid, record.ns_tgid, life.name)
        self._who[record.thread] = who
        self._alive[record.tid] = record.thread
        if (creator := self._who.get(record.parent)) and creator.pid != who.pid:
            self._sockets.fork(creator.pid, who.pid)
        self.begin = record.start if self.begin is None else self.begin
        if self._wanted.part.has_thread(who) and not self._narrow:
            yield Began(record.start, who, self._who.get(record.parent))

    @property
    def _narrow(self) -> bool:
        """Are only some calls wanted? Then other events would be in the way."""
        wanted = self._wanted
        return bool(wanted.part.calls or wanted.part.of_descriptors or wanted.errors or wanted.slower_than)

    def _ended(self, _record: Any, life: Life) -> Iterator[Event]:
        return self._call_ended(life.calls[-1])

    def _call_ended(self, call: Call) -> Iterator[Event]:
        self._at = call.exit
        self.seen += call.count
        self._seen[call.thread] += call.count
        who = self._who[call.thread]
        socket = self._sockets.of(who.pid, call)
        if not self._wants(who, call, socket):
            return
        yield from self._say_left_out()
        self.shown += call.count
        slept = tuple((sleep, self._cause(sleep)) for sleep in call.sleeps)
        yield Ended(call.exit, who, call, slept, socket)

    def _wants(self, who: Who, call: Call, socket: SocketName | None) -> bool:
        wanted = self._wanted
        if call.total < wanted.slower_than or (wanted.errors and call.errno is None):
            return False
        if wanted.part.ports and (socket is None or socket.ports.isdisjoint(wanted.part.ports)):
            return False
        return not wanted.part or (wanted.part.has_thread(who) and wanted.part.has_call(call))

    def _cause(self, sleep: Sleep) -> Cause:
        """What ended a sleep. Only the threads that live now are known; findings/sleeps/causes.py finds it after the run."""
        waker = sleep.waker
        if waker is None:
            return Cause(())
        if not waker.stack or not runs_for_itself(waker):
            return Cause(waker.chain)
        serial = self._alive.get(waker.tid)
        return Cause(waker.chain, serial) if serial else Cause(waker.chain, task=f"{waker.comm} {waker.tid}")

    def _executed(self, record: Any, life: Life) -> Iterator[Event]:
        self._rename(record.thread, life)
        if self._wanted.part.has_thread(self._who[record.thread]) and not self._narrow:
            yield Executed(record.at, self._who[record.thread])

    def _named(self, record: Any, life: Life) -> Iterator[Event]:
        self._rename(record.thread, life)
        yield from ()

    def _rename(self, serial: int, life: Life) -> None:
        old = self._who[serial]
        self._who[serial] = Who(serial, life.birth.ns_tid, old.host_tid, old.pid, life.name)

    def _gone(self, record: Any, life: Life) -> Iterator[Event]:
        self._at = record.end
        self._account(record.thread, record.made - record.calls - record.bursts)  # bursts may be open still
        ending = ending_of(record)
        if ending is None:
            return
        who = self._who[record.thread]
        if who.tid == who.pid:
            self._sockets.gone(who.pid)
        if self._alive.get(who.host_tid) == who.serial:
            del self._alive[who.host_tid]
        if self._wanted.part.has_thread(who) and not self._narrow:
            yield from self._say_left_out()
            yield Gone(record.end, who, ending)

    def _account(self, serial: int, missing: int) -> None:
        """Takes note of how many calls of a thread were not reported until now."""
        new = missing - self._said[serial]
        if new > 0 and serial != OTHERS:
            self._said[serial] = missing
            self._left_out += new
            self.left_out += new

    def _say_left_out(self) -> Iterator[Event]:
        if self._left_out:
            yield LeftOut(self._at, self._left_out)
            self._left_out = 0
