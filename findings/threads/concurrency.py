"""Servers that give connections to threads or processes: which of them read a connection, and which connections waited.

Each function checks one statement in a run and returns the verdict with its evidence. `unit` is "thread" or "process".
"""

from __future__ import annotations

import bisect
import itertools
from dataclasses import dataclass

from findings.evidence import created, sleeps_while_unread
from findings.sleeps.asleep import slept_besides, slept_in
from findings.spans import Covered, most_at_once
from findings.view import Finding, Run, confirmed, ended_by_signal, failed, unavailable
from probes.context import TrafficRun
from probes.kernel import syscalls
from probes.measure.queues import Queue
from probes.measure.result import Call, Thread
from probes.words import count, ms, plural

_CLONES = ("clone", "clone3", "fork", "vfork")
_ENDS = ("exit", "exit_group")
# Threads share locks in memory, processes also locks of a file (man 2 flock, man 2 fcntl) and semaphores (man 2 semop).
_LOCKS = frozenset({Queue.FUTEX, Queue.FLOCK, Queue.RECORD_LOCK, Queue.SEMAPHORE})
_FEW = "1 connection waits for no other: use --clients 2 or more"


@dataclass(frozen=True)
class Service:
    """One connection, from its first read to its last, with the threads that read it (by serial number)."""

    begin: int
    end: int
    threads: frozenset[int]


def services(run: Run) -> list[Service]:
    """The connections that were read, in the order of their first reads."""
    reads: dict[int, list[Call]] = {}
    for call in run.reads:
        if call.socket:
            reads.setdefault(call.socket, []).append(call)
    found = [
        Service(calls[0].enter, max(call.exit for call in calls), frozenset(call.thread for call in calls))
        for calls in reads.values()
    ]
    return sorted(found, key=lambda service: service.begin)


def own_reader_each(run: Run, unit: str) -> Finding:
    """Each connection has a thread (or a process) of its own that reads it, and these wait at the same time.

    The evidence counts connections and readers, and how many readers slept in recv at one moment. With few short pauses there
    may be no such moment. Then the evidence is how many connections were between their first and their last read. It does not
    count if the readers share a lock. Such readers sleep for the lock while the data of their connections is unread, or while
    another reader sleeps in recv for its own client.
    """
    served = services(run)
    readers = [_units(run, service, unit) for service in served]
    alone = {next(iter(units)) for units in readers if len(units) == 1}
    evidence = f"{count(len(frozenset().union(*readers)), unit)} read {count(len(served), 'connection')}"
    if len(served) < 2:
        return unavailable(f"{evidence}; {_FEW}")
    accepting = {call.thread for call in run.connections}
    by_acceptor = sum(1 for service in served if not service.threads.isdisjoint(accepting))
    if len(alone) < len(served) and by_acceptor:
        return failed(f"{evidence}; the {unit} that accepts read {count(by_acceptor, 'connection')}")
    if len(alone) < len(served):
        return failed(f"{evidence}; {count(len(served) - len(alone), 'connection')} had no {unit} of their own")
    evidence += f", and no {unit} read two of them"
    asleep = most_at_once((sleep.off, sleep.woken) for call in run.reads if call.socket for sleep in call.sleeps)
    if asleep > 1:
        return confirmed(f"{evidence}; up to {count(asleep, unit)} slept in recv at the same time")
    begun = most_at_once((service.begin, service.end) for service in served)
    evidence += f"; at most {count(begun, 'connection')} had a read begun and more to come"
    if begun < 2 and most_at_once(_stays(run)) < 2:
        return unavailable(f"{evidence}; no 2 clients were connected at the same time: use --messages 3 or more")
    unread, locked = _unread_and_locked(run)
    asleep, queued = _asleep_and_queued(run, served)
    if begun > 1 and locked <= 0.5 * unread and queued <= 0.5 * asleep:
        return confirmed(evidence)
    if begun > 1 and locked <= 0.5 * unread:
        evidence += f"; for {ms(queued)} of the {ms(asleep)} in which a {unit} slept in recv, another {unit} slept for a lock"
    elif begun > 1:
        evidence += f"; for {ms(locked)} of the {ms(unread)} in which data was unread, its {unit} slept for a lock"
    elif locked <= 0.5 * unread and not _accepted_late(run, served):
        return unavailable(f"{evidence}; the data of the others waited for a CPU, not for a lock or for accept: try again")
    besides = slept_besides(run.result.calls)
    return failed(evidence + (f"; besides reads and accepts, the server {besides}" if besides else ""))


def _accepted_late(run: Run, served: list[Service]) -> bool:
    """Was a client connected, and not accepted, when the first of the services ended?"""
    first = min(service.end for service in served)
    connected = sum(1 for client in run.clients if client.exchanges and client.connected < first)
    return sum(1 for call in run.connections if call.exit < first) < connected


def _units(run: Run, service: Service, unit: str) -> frozenset[int]:
    """The threads or processes that read a connection: by serial number, or by process id."""
    if unit == "thread":
        return service.threads
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    return frozenset(processes[serial] for serial in service.threads)


def _stays(run: Run) -> list[tuple[int, int]]:
    """How long each client was connected: from the connection to its last echo."""
    return [(client.connected, client.exchanges[-1][1]) for client in run.clients if client.exchanges]


def _unread_and_locked(run: Run) -> tuple[int, int]:
    """How long the data of all messages was unread, and for how long of this its thread slept for a lock, ns."""
    sleeps = sleeps_while_unread(run, _LOCKS)
    return sum(unread for _slept, unread in sleeps), sum(slept for slept, _unread in sleeps)


def _asleep_and_queued(run: Run, served: list[Service]) -> tuple[int, int]:
    """How long readers slept in recv, and for how much of this time another reader slept for a lock, ns.

    A reader that sleeps in recv does not hold the interpreter's lock: Python releases it before it calls recv.
    """
    sleeps = [sleep for call in run.reads if call.socket for sleep in call.sleeps]
    locks = Covered(
        (sleep.off, sleep.woken)
        for service in served
        for thread in service.threads
        for call in run.calls_of[thread]
        if service.begin <= call.enter and call.exit <= service.end
        for sleep in call.sleeps
        if sleep.queue in _LOCKS
    )
    return sum(sleep.wait for sleep in sleeps), sum(locks.within(sleep.off, sleep.woken) for sleep in sleeps)


def cost_of_each(run: Run, unit: str) -> Finding:
    """The server created a thread (or a process) for every connection, when the connection was there, and only for it.

    The evidence counts what was created, what existed before its connection or stayed after it, how long a clone took on
    average, and the voluntary switches for all messages.
    """
    made = [thread for thread in created(run) if (thread.pid == thread.tid) == (unit == "process")]
    connections = count(len(run.connections), "connection")
    if not made:
        return failed(f"the server created 0 {plural(unit)} for {connections}")
    accepts = sorted(call.exit for call in run.connections)
    early = sum(1 for thread, accepted in zip(sorted(made, key=_start), accepts, strict=False) if thread.start < accepted)
    stayed = sum(1 for thread in made if _stayed(run, thread))
    clones = [call for call in run.result.calls if call.name in _CLONES and call.result]
    switches = sum(thread.voluntary_switches for thread in made)
    average = sum(call.total for call in clones) / max(len(clones), 1) / 1e3
    evidence = (
        f"the server created {count(len(made), unit)} for {connections}; {early} of these existed before their connection,"
        f" {stayed} stayed after it; {average:.0f} us of clone each; they made {count(switches, 'voluntary switch')}"
        f" for {count(len(run.result.messages), 'message')}"
    )
    return confirmed(evidence) if len(made) == len(accepts) and not early and not stayed else failed(evidence)


def _start(thread: Thread) -> int:
    return thread.start


def _stayed(run: Run, thread: Thread) -> bool:
    """Did the thread sleep after its last read, and not end by itself before a signal ended the server?

    An executor lets its threads end when the server ends, so a thread's own exit proves nothing after that signal.
    """
    calls = run.calls_of.get(thread.serial, [])
    signals = [
        call.exit for call in run.calls_of.get(run.server.serial, []) if ended_by_signal(call) and call.name not in _ENDS
    ]
    if calls and calls[-1].name in _ENDS and (not signals or calls[-1].enter < signals[-1]):
        return False
    after = itertools.takewhile(lambda call: call.name not in syscalls.READS, reversed(calls))
    return bool(slept_in(after))


def pool_size(run: Run, usual: int, unit: str) -> int:
    """How many threads or processes the server's pool has: those that read, if connections outnumber them.

    The first thread may be one of a pool of threads; the first process waits for the others, and is no part of their pool. A
    pool that was made before the first connection, and has one for each of them, has as many as were created. For other
    servers, `usual`: that of the lab's own server.
    """
    made, connections = created(run), len(run.connections)
    first = min((call.exit for call in run.connections), default=0)
    readers = frozenset().union(*(service.threads for service in services(run)))
    working = len(readers) if unit == "thread" else len(_working(run))
    if 1 < working < connections:
        return working
    early = bool(made) and all(thread.start <= first for thread in made)
    return len(made) if early and len(made) >= connections else usual


def _working(run: Run) -> list[Thread]:
    """The created threads that read connections."""
    readers = frozenset().union(*(service.threads for service in services(run)))
    return [thread for thread in created(run) if thread.serial in readers]


def at_most(run: Run, workers: int) -> Finding:
    """The server created no more threads that serve than its pool has, though more connections came."""
    made, connections = created(run), len(run.connections)
    clones = [call for call in run.result.calls if call.name in _CLONES and call.result]
    average = sum(call.total for call in clones) / max(len(clones), 1) / 1e3
    evidence = f"the server created {count(len(made), 'thread')} for {count(connections, 'connection')}"
    if not made or len(_working(run)) > workers:
        return failed(evidence)
    if connections <= workers:
        return unavailable(f"{evidence}, no more than the pool has threads: use --clients {workers + 2}")
    return confirmed(f"{evidence}, {average:.0f} us of clone each")


def ceiling(run: Run, workers: int, unit: str) -> Finding:
    """The connections beyond the pool's size are served only after another connection has ended, and only these wait.

    The evidence gives the most connections that were served at one moment, the readers, and how long connections waited for
    the end of another.
    """
    served = services(run)
    readers = frozenset().union(*(service.threads for service in served))
    together = most_at_once((service.begin, service.end) for service in served)
    evidence = (
        f"{count(len(served), 'connection')}, {count(len(readers), unit)}:"
        f" at most {count(together, 'connection')} served at the same time"
    )
    if len(served) <= workers:
        return unavailable(f"{evidence}; {workers} {plural(unit)} serve them all: --clients {workers + 2} shows the ceiling")
    if together > workers or len(readers) > workers:
        return failed(evidence)
    full, idle = _waited_for_an_end(run, served, workers)
    if idle and not _paced(run):
        return unavailable(f"{evidence}; the clients made no pauses, so that all waited for a CPU: use a --gap-ms above 0")
    if idle:
        accepting = sorted({call.thread for call in run.connections})
        besides = slept_besides(call for thread in accepting for call in run.calls_of[thread])
        evidence += f"; {count(len(idle), 'connection')} waited for the end of another, for up to {ms(max(idle))},"
        evidence += f" while fewer than {workers} were served"
        return failed(evidence + (f"; besides reads and accepts, the server {besides}" if besides else ""))
    if not full:
        return unavailable(f"{evidence}; no client connected while {workers} were served: use --messages 3 or more")
    return confirmed(f"{evidence}; {count(len(full), 'connection')} waited for the end of another, for up to {ms(max(full))}")


def _paced(run: Run) -> bool:
    """Did the clients pause between their messages?"""
    return isinstance(run.result.context, TrafficRun) and run.result.context.traffic.gap_ms > 0


def _waited_for_an_end(run: Run, served: list[Service], workers: int) -> tuple[list[int], list[int]]:
    """For each connection that was read only after another had ended: how long it waited from its client's connection, ns.

    Two lists: of those that came while `workers` connections were served, and of those that came while fewer were served and
    that waited for more than half of the shortest service.
    """
    full: list[int] = []
    idle: list[int] = []
    begins = [service.begin for service in served]
    ends = sorted(service.end for service in served)
    short = min(service.end - service.begin for service in served) / 2
    for service, came in zip(served, sorted(client.connected for client in run.clients if client.asked), strict=False):
        ended = bisect.bisect_right(ends, came)  # of the connections that had ended by then; the next one's end is ends[ended]
        if ended == len(ends) or ends[ended] > service.begin:
            continue
        together = bisect.bisect_left(begins, ends[ended]) - ended
        if together >= workers:
            full.append(service.begin - came)
        elif service.begin - came > short:
            idle.append(service.begin - came)
    return full, idle
