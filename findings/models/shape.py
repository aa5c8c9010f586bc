"""The architecture of a server: which threads and processes share the connections, and how the connections reach them."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from findings.models.behaviour import Behaviour, Use
from findings.models.descriptors import Descriptor, Kind
from findings.models.model import Architecture, Mechanism
from findings.spans import most_at_once
from probes.measure.result import Thread
from probes.words import count

_MOST = 0.9  # of the connections: the others may be a client that the run's begin or end cut off
_SOME = 0.2  # of the connections or reads: more than an exception


@dataclass(frozen=True)
class Shape:
    """An architecture, and the counts that show it."""

    architecture: Architecture
    because: tuple[str, ...]


@dataclass(frozen=True)
class Server:
    """What the architecture is read from. `serving` are the threads that read clients' data, the busiest first."""

    behaviour: Behaviour
    threads: dict[int, Thread]
    serving: tuple[int, ...]
    mechanisms: dict[int, Mechanism]  # of each serving thread whose reads show it

    @cached_property
    def connections(self) -> list[Descriptor]:
        """The connections that were read."""
        return [connection for connection in self.behaviour.connections if connection.readers]

    @cached_property
    def read_by(self) -> collections.Counter[int]:
        """How many connections each thread read."""
        return collections.Counter(reader for connection in self.connections for reader in connection.readers)

    @cached_property
    def acceptors(self) -> set[int]:
        """The threads that accepted a connection."""
        return {use.serial for use in self.behaviour.uses.values() if use.accepts}

    def process(self, thread: int) -> int:
        """The process of a thread."""
        return self.behaviour.process_of[thread]

    def use(self, thread: int) -> Use:
        """What a thread did."""
        return self.behaviour.uses[thread]

    def processes(self, threads: Collection[int]) -> set[int]:
        """The processes of these threads."""
        return {self.process(thread) for thread in threads}

    @cached_property
    def siblings(self) -> set[int]:
        """The processes that wait for clients, read none, and have the same parent as one that serves."""
        serving = self.processes(self.serving)
        parents = {self._parent(process) for process in serving} - {0} - serving
        return {process for process in self.behaviour.began if self._parent(process) in parents} - serving

    def _parent(self, process: int) -> int:
        parent = self.threads[process].parent
        return self.behaviour.process_of.get(parent, 0)


def shape(server: Server, mechanism: Mechanism) -> Shape:
    """The architecture of a server whose threads learn of data by that mechanism."""
    if mechanism is Mechanism.POSIX_AIO:  # glibc starts a helper for the first request on each descriptor
        return Shape(Architecture.LOOP_AND_HELPERS, (f"{count(len(server.serving), 'helper thread')} read for the program",))
    found = _made_for_each(server)
    if found:
        return found
    if mechanism is Mechanism.BLOCKING:
        return _of_blocking(server)
    return _of_loops(server, mechanism)


def _made_for_each(server: Server) -> Shape | None:
    """Is there a new process, or a new thread, for each connection?"""
    accepted = [connection for connection in server.connections if connection.kind is Kind.CONNECTION]
    by_process = sum(1 for connection in accepted if _readers_are_new_processes(server, connection))
    of = f"of {count(len(server.connections), 'connection')}"
    if by_process and by_process >= _MOST * len(server.connections):
        words = f"{by_process:,} {of} had a process of their own, which started after the accept"
        return Shape(Architecture.PROCESS_PER_CONNECTION, (words,))
    return _made_threads(server, accepted)


def _readers_are_new_processes(server: Server, connection: Descriptor) -> bool:
    acceptor = server.process(connection.thread)
    readers = server.processes(connection.readers)
    new = [process for process in readers if process != acceptor and server.threads[process].start > connection.since]
    alone = all(server.read_by[reader] == 1 for reader in connection.readers)
    return len(new) == len(readers) and alone


def _made_threads(server: Server, accepted: Sequence[Descriptor]) -> Shape | None:
    """Did each thread start for a connection that it then read? It may read later connections as well, one after the other,
    where there are as many threads as connections at the same time. A pool has fewer.
    """
    first: dict[int, Descriptor] = {}
    own = [connection for connection in accepted if _has_one_reader(server, connection)]
    for connection in own:  # in the order of their accepts
        first.setdefault(next(iter(connection.readers)), connection)
    made = [thread for thread, connection in first.items() if server.threads[thread].start > connection.since]
    if not made or len(own) < _MOST * len(server.connections) or len(made) < _MOST * len(first):
        return None
    again = len(own) - len(first)
    if again and most_at_once((connection.since, connection.used) for connection in own) > len(first):
        return None
    words = f"{len(made):,} of {count(len(first), 'thread')} started after the accept of the connection that it read"
    if again:
        words += f"; {again:,} more connections were read by a thread whose first connection had ended"
    return Shape(Architecture.THREAD_PER_CONNECTION, (words,))


def _has_one_reader(server: Server, connection: Descriptor) -> bool:
    """Does one thread of the acceptor's process read it, which shares no epoll set with other connections?"""
    if len(connection.readers) != 1 or _in_a_shared_set(connection):
        return False
    return server.process(next(iter(connection.readers))) == server.process(connection.thread)


def _in_a_shared_set(connection: Descriptor) -> bool:
    """Does its epoll set have a listener or another connection as well? Then the set is not its thread's own."""
    members = connection.epoll.members if connection.epoll else ()
    return any(each is not connection and (each.kind is Kind.LISTENER or each.serves) for each in members)


def _of_blocking(server: Server) -> Shape:
    serving, processes = server.serving, server.processes(server.serving)
    connections = count(len(server.connections), "connection")
    waiting = len(server.siblings)
    if len(processes) == len(serving) and len(processes) + waiting > 1:
        words = f"{count(len(processes), 'process')} read {connections}"
        more = f", and {count(waiting, 'more process')} waited for clients" if waiting else ""
        return Shape(Architecture.PREFORK, (words + more,))
    if len(serving) == 1 and (serving[0] in server.acceptors or not server.acceptors):
        return Shape(Architecture.SEQUENTIAL, (f"the thread that accepts read {_all(server)}",))
    where = f" in {count(len(processes), 'process')}" if len(processes) > 1 else ""
    reused = sum(1 for thread in serving if server.read_by[thread] > 1)
    words = f"{count(len(serving), 'thread')}{where} read {connections}, {reused:,} of them more than one"
    return Shape(Architecture.THREAD_POOL, (words,))


def _of_loops(server: Server, mechanism: Mechanism) -> Shape:
    loops = set(server.serving) | _idle_loops(server, mechanism)
    handed = _handed_over(server) or _same_set(server)
    if handed:
        return handed
    if len(loops) == 1:
        return _of_one_loop(server)
    holders = {thread: _listeners(server, thread) for thread in loops | server.acceptors}
    holders = {thread: listeners for thread, listeners in holders.items() if listeners}
    loops_words = count(len(loops), "event loop")
    if len(holders.keys() & loops) <= 1 and server.acceptors:
        words = f"{count(len(server.acceptors), 'thread')} accepted the connections that {loops_words} read"
        return Shape(Architecture.ACCEPTOR_AND_WORKERS, (words,))
    all_listeners = [listener for listeners in holders.values() for listener in listeners]
    own = len(set(all_listeners)) == len(all_listeners) > 1
    if own and all(listener.reuseport for listener in all_listeners):
        return Shape(
            Architecture.LOOP_PER_LISTENER,
            (f"{loops_words} accept from {len(all_listeners):,} listeners, each from its own (SO_REUSEPORT)",),
        )
    return Shape(Architecture.LOOPS_ON_ONE_LISTENER, (f"{loops_words} accept from the same listener",))


def _idle_loops(server: Server, mechanism: Mechanism) -> set[int]:
    """The threads that wait for connections as the serving threads do, and happened to get none."""
    siblings = server.siblings
    processes = server.processes(server.serving)
    found = set()
    for thread, use in server.behaviour.uses.items():
        process = server.process(thread)
        if mechanism not in use.waits and not (mechanism is Mechanism.EPOLL_EDGE and Mechanism.EPOLL in use.waits):
            continue
        if (process in siblings and thread == process) or (process in processes and _listeners(server, thread)):
            found.add(thread)
    return found


def _listeners(server: Server, thread: int) -> set[Descriptor]:
    """The listeners that a thread accepts from, or that are in its epoll sets; and the datagram sockets that it reads."""
    datagrams = {each for each in server.behaviour.connections_of.get(thread, ()) if each.kind is Kind.DATAGRAM}
    return server.use(thread).listeners | server.behaviour.watched.get(thread, set()) | datagrams


def _handed_over(server: Server) -> Shape | None:
    """Do several threads read the same connections, or does one thread wait for another thread's connections?"""
    reads = sum(server.use(thread).served for thread in server.serving)
    handed: collections.Counter[int] = collections.Counter()
    for thread in server.serving:
        handed.update(server.use(thread).handed)
    several = sum(1 for each in server.connections if len(each.readers) > 1 and each.kind is not Kind.DATAGRAM)
    if handed.total() < _SOME * reads and several < _SOME * len(server.connections):
        return None
    words = (
        f"{count(len(server.serving), 'thread')} read {count(len(server.connections), 'connection')},"
        f" {several:,} of them read by more than one; for {handed.total():,} of {count(reads, 'read')}"
        " another thread had waited"
    )
    readers = sum(number for thread, number in handed.items() if thread in server.serving)
    shared = readers >= 0.5 * handed.total()
    return Shape(Architecture.SHARED_LOOP if shared else Architecture.LOOP_AND_WORKERS, (words,))


def _same_set(server: Server) -> Shape | None:
    """Do several threads wait on one epoll set that has connections? Which of them gets an event is chance."""
    serving = set(server.serving)
    for epoll in server.behaviour.sets:
        waiting = len(epoll.waiters)
        if waiting > 1 and epoll.waiters >= serving and any(member.serves for member in epoll.members):
            connections = count(len(server.connections), "connection")
            words = f"{count(waiting, 'thread')} wait on the same epoll set, and read {connections}"
            return Shape(Architecture.SHARED_LOOP, (words,))
    return None


def _of_one_loop(server: Server) -> Shape:
    loop = server.serving[0]
    connections = count(len(server.connections), "connection")
    if server.acceptors and loop not in server.acceptors:
        return Shape(
            Architecture.ACCEPTOR_AND_WORKERS, (f"another thread accepted the {connections} that the event loop read",)
        )
    helpers = [use for use in server.behaviour.uses.values() if _helps(server, use, loop)]
    if helpers:
        words = f"one thread read {_all(server)}; {count(len(helpers), 'thread')} of its process did work beside it"
        return Shape(Architecture.LOOP_AND_HELPERS, (words,))
    return Shape(Architecture.SINGLE_LOOP, (f"one thread read {_all(server)}",))


def _all(server: Server) -> str:
    """The connections in words, as in "all 3 connections"."""
    number = len(server.connections)
    return "the only connection" if number == 1 else f"all {count(number, 'connection')}"


def _helps(server: Server, use: Use, loop: int) -> bool:
    """Did a thread of the loop's process read or write files, pipes or connections beside the loop?"""
    if use.serial == loop or use.notifies or server.process(use.serial) != server.process(loop):
        return False
    return use.sends + use.beside >= max(3, 0.05 * server.use(loop).served)
