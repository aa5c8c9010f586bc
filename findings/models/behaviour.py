"""What each thread did with its descriptors, in one pass over the calls: how each read of a client's data came about.

A read that slept until data came is *blocking*. A read that did not sleep was either announced or lucky:

* The thread's own wait (select, poll, epoll_wait, a signal, io_getevents) returned an event after the connection was last read:
  that mechanism announced the data. A wait for this descriptor alone is a blocking read with a time-out.
* The connection was in an epoll set, and another thread's wait on this set returned an event meanwhile: epoll announced the
  data, and the connection was handed over.
  A connection that a thread took out of its set after such an event (EPOLL_CTL_DEL) was handed over as well.
* Another thread of the process returned from select or poll meanwhile, and that thread itself neither accepts nor reads: it
  waits for the others (Tcl's notifier thread). Or its set can have this descriptor: the connection was handed over.
* Otherwise nothing announced it. On a blocking descriptor the read would have slept; on a non-blocking one it would have got
  EAGAIN. Such reads count only where no other read of the thread says more.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass, field
from functools import cached_property

from findings.models.descriptors import NAMES, O_CLOEXEC, O_NONBLOCK, Descriptor, Descriptors, EpollSet, Kind, argument
from findings.models.model import Mechanism
from findings.once import once
from probes.kernel import syscalls
from probes.measure.result import Call, Result

_MSG_DONTWAIT = 0x40  # uapi/linux/socket.h
_FLAGS = {"recvfrom": 3, "recvmsg": 2, "recvmmsg": 3}  # which argument has the flags
_GETEVENTS = 1  # IORING_ENTER_GETEVENTS
_MECHANISMS = (
    dict.fromkeys(("select", "pselect6"), Mechanism.SELECT)
    | dict.fromkeys(("poll", "ppoll"), Mechanism.POLL)
    | dict.fromkeys(syscalls.EPOLL_WAITS, Mechanism.EPOLL)
    | dict.fromkeys(syscalls.SIGNAL_WAITS, Mechanism.SIGNAL_DRIVEN)
    | dict.fromkeys(syscalls.AIO_WAITS, Mechanism.NATIVE_AIO)
    | {"io_uring_enter": Mechanism.IO_URING}
)
_COMPLETES = dict.fromkeys(("io_getevents", "io_pgetevents", "io_submit"), Mechanism.NATIVE_AIO) | {
    "io_uring_enter": Mechanism.IO_URING
}
_WRITES = syscalls.WRITES
_RELEVANT = NAMES | syscalls.READS | _WRITES | syscalls.ACCEPTS | frozenset(_MECHANISMS)


@dataclass(slots=True)
class Waits:
    """The waits of a thread by one mechanism."""

    count: int = 0
    slept: int = 0  # waits that slept
    ns: int = 0  # asleep
    reported: int = 0  # waits that returned an event
    names: collections.Counter[str] = field(default_factory=collections.Counter)
    alone: int = 0  # of these: for one descriptor


@dataclass(slots=True)
class Use:
    """What one thread did."""

    serial: int
    reads: collections.Counter[Mechanism] = field(default_factory=collections.Counter)  # of clients' data, by what announced it
    timed: int = 0  # of the blocking reads: after a poll of one descriptor
    lucky: int = 0  # reads of blocking descriptors that nothing announced
    refused: int = 0  # reads that got EAGAIN
    handed: collections.Counter[int] = field(default_factory=collections.Counter)  # reads that another thread's wait announced
    meanwhile: collections.Counter[tuple[int, Mechanism]] = field(
        default_factory=collections.Counter
    )  # reads after another's wait
    covered: collections.Counter[tuple[int, Mechanism]] = field(
        default_factory=collections.Counter
    )  # and its set has room for it
    unannounced: int = 0  # reads of non-blocking descriptors that nothing announced, and that were never in an epoll set
    early: int = 0  # reads that nothing announced, of descriptors that are in an epoll set at other times
    slept: int = 0  # reads of connections that slept
    read_names: collections.Counter[str] = field(default_factory=collections.Counter)
    sends: int = 0  # to clients
    accepts: int = 0
    accepts_slept: int = 0
    accepts_refused: int = 0
    accepted: collections.Counter[Mechanism] = field(default_factory=collections.Counter)  # by what announced the connection
    listeners: set[Descriptor] = field(default_factory=set)  # that it accepted from
    waits: dict[Mechanism, Waits] = field(default_factory=dict)
    as_client: collections.Counter[Mechanism] = field(default_factory=collections.Counter)
    client_reads: int = 0
    other_reads: int = 0  # of files, pipes and sockets that no client sends to
    other_writes: int = 0
    beside: int = 0  # of these reads and writes: after its process had waited for clients
    notifies: bool = False  # it waits for the threads that read
    seekless: int = 0  # pread64 that got ESPIPE on a connection: glibc's POSIX AIO tries it before each read (aio_misc.c)
    woken: int = 0  # rt_sigqueueinfo: how a helper of POSIX AIO reports the end of a request
    reported_at: int = 0
    reported_by: Mechanism | None = None
    reported_alone: bool = False  # that wait was a poll of one descriptor
    reported_set: EpollSet | None = None
    signalled_at: int = 0  # when it last read a signal from a signalfd

    @property
    def served(self) -> int:
        """Reads of clients' data."""
        return sum(self.reads.values()) + self.lucky + self.unannounced + self.early


@dataclass
class Behaviour:
    """What all threads did."""

    uses: dict[int, Use]
    process_of: dict[int, int]
    connections: list[Descriptor]  # CONNECTION, PEER and bound DATAGRAM, in the order of their first use
    sets: list[EpollSet]
    began: dict[int, int]  # when each process first waited for clients, ns
    clients: int  # sockets that the program connected to a server
    calls: int  # that the recording has one by one or in bursts

    @cached_property
    def connections_of(self) -> dict[int, list[Descriptor]]:
        """The connections that each thread read, in the order of their accepts."""
        read: dict[int, list[Descriptor]] = collections.defaultdict(list)
        for connection in self.connections:
            for thread in connection.readers:
                read[thread].append(connection)
        return read

    @cached_property
    def watched(self) -> dict[int, set[Descriptor]]:
        """The listeners in the epoll sets on which each thread waits."""
        watched: dict[int, set[Descriptor]] = collections.defaultdict(set)
        for epoll in self.sets:
            listeners = {member for member in epoll.members if member.kind is Kind.LISTENER}
            for thread in epoll.waiters if listeners else ():
                watched[thread] |= listeners
        return watched


@once
def behaviour(result: Result) -> Behaviour:
    """Reads all calls once, in the order of their ends. (A close takes effect at its start: the number may be used again.)"""
    relevant = [call for call in result.calls if call.name in _RELEVANT and not call.open]
    relevant.sort(key=lambda call: call.enter if call.name == "close" else call.exit)
    scan = _Scan(result)
    for call in relevant:
        scan.take(call)
    for message in result.messages:
        if message.notified_by in _COMPLETES:
            scan.completed(message.thread, message.socket, _COMPLETES[message.notified_by])
    if not result.details.complete:
        scan.count_all(result)
    return scan.behaviour(sum(call.count for call in result.calls))


class _Scan:
    def __init__(self, result: Result) -> None:
        self._descriptors = Descriptors(result.threads)
        self._uses: dict[int, Use] = {thread.serial: Use(thread.serial) for thread in result.threads}
        self._workers = {thread.serial: thread.parent for thread in result.threads if thread.kernel_worker}
        self._connections: dict[Descriptor, None] = {}
        self._completed: dict[int, Descriptor] = {}
        self._sets: dict[EpollSet, None] = {}
        self._began: dict[int, int] = {}
        self._reports: dict[int, tuple[Call, Mechanism]] = {}  # of each process: its last report by select or poll
        self._waited: dict[int, int] = {}  # when each process first waited in a multiplexer
        self._clients = 0

    def behaviour(self, calls: int) -> Behaviour:
        for process in self._waited.keys() - self._began.keys():  # a listener from before the recording shows at its accept
            if self._descriptors.has_listener(process):
                self._began[process] = self._waited[process]
        self._waits_for_others()
        return Behaviour(
            uses=self._uses,
            process_of=self._descriptors.process_of,
            connections=list(self._connections),
            sets=list(self._sets),
            began=self._began,
            clients=self._clients,
            calls=calls,
        )

    def count_all(self, result: Result) -> None:
        """The waits of the whole run, from the kernel's sums, in the place of those that were reported one by one."""
        for use in self._uses.values() if result.sleep_sums else ():
            for waits in use.waits.values():
                waits.ns = waits.slept = 0
        for row in result.sleep_sums:
            if (row_use := self._uses.get(row.thread)) and row.call in _MECHANISMS:
                waits = row_use.waits.setdefault(_MECHANISMS[row.call], Waits())
                waits.ns += row.wait
                waits.slept += row.count
                waits.names[row.call] += row.count

    def _waits_for_others(self) -> None:
        """A thread that neither accepts nor reads may wait in select or poll for the threads that do."""
        for use in self._uses.values():
            for (thread, mechanism), number in use.meanwhile.items():
                notifier = self._uses[thread]
                if not notifier.accepts and not notifier.served and number >= 0.5 * use.unannounced:
                    notifier.notifies = True
                    use.reads[mechanism] += number
                    use.unannounced -= number
            rest = use.lucky + use.unannounced
            for (thread, mechanism), number in use.covered.items() if rest and not use.slept else ():
                if number > 0.5 * rest:
                    use.reads[mechanism] += rest
                    use.handed[thread] += rest
                    use.lucky = use.unannounced = 0

    def take(self, call: Call) -> None:
        self._descriptors.until(call.enter)
        use = self._uses[call.thread]
        if call.name in syscalls.READS:
            self._read(call, use)
        elif call.name in _WRITES:
            self._write(call, use)
        elif call.name in _MECHANISMS:
            self._wait(call, use)
        elif call.name in syscalls.ACCEPTS:
            self._accept(call, use)
        else:
            self._descriptors.take(call)
            if call.name == "connect" and (found := self._descriptors.at(call)):
                self._clients += found.kind is Kind.CLIENT

    def completed(self, thread: int, socket: int, mechanism: Mechanism) -> None:
        """A completion announced or returned the data; the recording names the socket only."""
        use = self._uses[self._workers.get(thread, thread)]
        if mechanism is Mechanism.NATIVE_AIO and use.read_names:
            return  # calls read the data, and were counted
        connection = self._completed.get(socket)
        if connection is None:
            connection = self._completed[socket] = Descriptor(Kind.PEER, 0, 0)
            self._connections[connection] = None
        connection.readers[use.serial] = connection.readers.get(use.serial, 0) + 1
        use.reads[mechanism] += 1

    def _wait(self, call: Call, use: Use) -> None:
        mechanism = _MECHANISMS[call.name]
        waits = use.waits.setdefault(mechanism, Waits())
        waits.count += call.count
        waits.names[call.name] += call.count
        waits.slept += bool(call.sleeps)
        waits.ns += call.wait
        alone = mechanism is Mechanism.POLL and argument(call, 1) == 1
        process = self._descriptors.process_of[call.thread]
        self._waited.setdefault(process, call.enter)
        if process not in self._began and self._descriptors.listens_still(process):
            self._began.setdefault(process, call.enter)
        epoll = self._descriptors.epoll_set(call) if mechanism is Mechanism.EPOLL else None
        if epoll:
            epoll.waiters.add(call.thread)
            self._sets[epoll] = None
        if _reports(call):
            waits.reported += 1
            waits.alone += alone
            if mechanism in (Mechanism.SELECT, Mechanism.POLL):
                self._reports[process] = call, mechanism
            use.reported_at, use.reported_by, use.reported_alone = call.exit, mechanism, alone
            use.reported_set = epoll
            if epoll:
                epoll.reported, epoll.reporter = call.exit, call.thread

    def _accept(self, call: Call, use: Use) -> None:
        listener = self._descriptors.listens(call)
        use.listeners.add(listener)
        use.accepts_slept += bool(call.sleeps)
        process = self._descriptors.process_of[call.thread]
        unknown = not listener.thread  # opened before the recording: the waits before this accept were for clients as well
        self._began.setdefault(process, self._waited.get(process, call.enter) if unknown else call.enter)
        if call.result is None or call.result < 0:
            use.accepts_refused += call.count
            return
        use.accepts += 1
        if call.sleeps:
            use.accepted[Mechanism.BLOCKING] += 1
        elif use.reported_by and use.reported_at > listener.used:
            use.accepted[use.reported_by] += 1
        listener.used = call.exit
        if use.reported_alone:  # the wait was for the listener
            use.reported_at = 0
        flags = argument(call, 3) if call.name == "accept4" else 0
        made = Descriptor(
            Kind.CONNECTION,
            call.thread,
            call.exit,
            non_blocking=bool(flags & O_NONBLOCK),
            close_on_exec=bool(flags & O_CLOEXEC),
            listener=listener,
            used=call.exit,
        )
        self._descriptors.put(call, call.result, made)
        self._connections[made] = None

    def _write(self, call: Call, use: Use) -> None:
        found = self._descriptors.at(call)
        if found and found.serves:
            use.sends += 1
        elif found is None or found.kind is not Kind.CLIENT:
            use.other_writes += 1
            use.beside += self._descriptors.process_of[call.thread] in self._began

    def _read(self, call: Call, use: Use) -> None:
        found = self._descriptors.of_socket(call)
        if found and found.kind is Kind.SIGNALFD and call.result and call.result > 0:
            use.signalled_at = call.exit
        if found is None or not found.serves:
            if found and found.kind is Kind.CLIENT:
                self._read_as_client(call, use, found)
            else:
                use.other_reads += call.count
                use.beside += call.count if self._descriptors.process_of[call.thread] in self._began else 0
            return
        use.read_names[call.name] += call.count
        if call.errno == "EAGAIN":
            use.refused += call.count
        elif call.errno == "ESPIPE":
            use.seekless += 1
        elif call.result is not None and call.result > 0:
            self._connections.setdefault(found)
            use.slept += bool(call.sleeps)
            self._attribute(call, use, found)
            found.used = call.exit
            found.readers[call.thread] = found.readers.get(call.thread, 0) + 1

    def _read_as_client(self, call: Call, use: Use, found: Descriptor) -> None:
        if call.result is not None and call.result >= 0:
            use.client_reads += 1
            if call.sleeps:
                use.as_client[Mechanism.BLOCKING] += 1
            elif use.reported_by and use.reported_at > found.used:
                use.as_client[Mechanism.BLOCKING if use.reported_alone else use.reported_by] += 1
            found.used = call.exit

    def _attribute(self, call: Call, use: Use, found: Descriptor) -> None:
        """Which mechanism announced the data of this read."""
        if any(sleep.queue == "socket" for sleep in call.sleeps):
            use.reads[Mechanism.BLOCKING] += 1
        elif use.reported_by and use.reported_at > found.used and self._can_announce(use, found):
            alone = _waited_for_it_alone(use, found)
            use.timed += alone
            use.reads[Mechanism.BLOCKING if alone else use.reported_by] += 1
        elif found.signals and use.signalled_at > found.used:
            use.reads[Mechanism.SIGNAL_DRIVEN] += 1
        elif reporter := _reporter(found):
            use.reads[Mechanism.EPOLL] += 1
            if reporter != call.thread:
                use.handed[reporter] += 1
        elif found.registered:
            use.early += 1
        else:
            self._unannounced(call, use, found)

    def _unannounced(self, call: Call, use: Use, found: Descriptor) -> None:
        non_blocking = found.non_blocking or bool(argument(call, _FLAGS.get(call.name, 9)) & _MSG_DONTWAIT)
        use.unannounced += non_blocking
        use.lucky += not non_blocking
        report, mechanism = self._reports.get(self._descriptors.process_of[call.thread], (None, Mechanism.POLL))
        if report and report.exit > found.used and report.thread != call.thread:
            use.meanwhile[report.thread, mechanism] += non_blocking
            use.covered[report.thread, mechanism] += _has_room_for(report, call.fd or 0)

    @staticmethod
    def _can_announce(use: Use, found: Descriptor) -> bool:
        """A signal announces what has O_ASYNC, epoll_wait what was added to its set, as far as the recording shows it."""
        if use.reported_by is Mechanism.SIGNAL_DRIVEN:
            return found.signals or not found.thread
        return not found.registered or use.reported_set is None or found in use.reported_set.members


def _waited_for_it_alone(use: Use, found: Descriptor) -> bool:
    """Was the thread's last wait for this connection only? A datagram socket is all that its server waits for."""
    if found.kind is Kind.DATAGRAM:
        return False
    epoll = use.reported_set
    return use.reported_alone or (epoll is not None and epoll.whole and epoll.members == {found})


def _has_room_for(report: Call, number: int) -> bool:
    """Can the set of a select or a poll have that descriptor? (The recording has no sets, but how large they were.)

    A select names its highest descriptor. An acceptor's listener and pipe are older than its connections, and their numbers
    are lower.
    """
    if report.name in ("select", "pselect6"):
        return argument(report, 0) > number
    return argument(report, 1) > 2


def _reporter(found: Descriptor) -> int:
    """The thread whose epoll_wait returned an event after the connection was last read; 0: none."""
    if found.epoll:
        return found.epoll.reporter if found.epoll.reported > found.used else 0
    return found.taken_by if found.taken_at > found.used else 0


def _reports(call: Call) -> bool:
    """Did the wait return with an event?"""
    if call.name in ("pause", "rt_sigsuspend"):
        return call.result is not None  # after a signal's handler, always with EINTR
    if call.name == "io_uring_enter":
        return call.result is not None and call.result >= 0 and bool(argument(call, 3) & _GETEVENTS)
    return call.result is not None and call.result > 0
