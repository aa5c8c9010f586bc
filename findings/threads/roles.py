"""The tree of a program's processes, and the role of each thread: acceptor, event loop, worker, helper, idle.

A role comes from what a thread did. Names only keep threads of one role apart: "pool-1" and "pool-2" are of one kind, "pool-N".
"""

from __future__ import annotations

import collections
import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from findings.models.behaviour import Behaviour, Use, behaviour
from findings.models.classify import classify_behaviour
from findings.models.model import Architecture, Classification, Mechanism
from findings.once import once
from probes.measure.result import Call, Result, Thread
from probes.measure.wakers import Link
from probes.words import count

_DIGITS = re.compile(r"\d+")
# The thread that accepts waits for the data of the connections as well, and other threads read it.
_DISPATCHES = (Architecture.LOOP_AND_WORKERS, Architecture.LOOP_AND_HELPERS, Architecture.SHARED_LOOP)
# Each worker serves a connection until it ends, whatever it waits in for the next connection.
_TAKES_TURNS = (Architecture.PREFORK, Architecture.THREAD_POOL)
_FEW_SLEEPS = 3  # a thread that slept no more often than this after its start did no work for others
_TIMED = 0.9  # of a thread's sleeps
_IDLE = 0.001  # of its life, awake


class Role(enum.StrEnum):
    """What a thread or a process is for. The order is that of a report: what serves clients first, idle threads last."""

    MASTER = "master"  # started the processes that serve
    LOOP = "event loop"
    ACCEPTOR = "acceptor"
    WORKER = "worker"
    CONNECTION = "connection"  # made for one connection
    SERVER = "server"  # serves one connection after the other
    CLIENT = "client"
    HELPER = "helper"
    MAIN = "main"
    KERNEL_WORKER = "kernel worker"  # of io_uring
    TIMER = "timer"  # its sleeps end by time
    IDLE = "idle"

    @property
    def rank(self) -> int:
        """Its place in a report."""
        return _RANKS[self]


_RANKS = {role: rank for rank, role in enumerate(Role)}
_SERVES = {Role.LOOP, Role.WORKER, Role.CONNECTION, Role.SERVER}
_NO_SERVER = {Role.MAIN, Role.HELPER, Role.CLIENT, Role.TIMER, Role.IDLE}


@dataclass(frozen=True)
class ThreadGroup:
    """The threads of one role and one kind of name, in the processes of one ProcessGroup. `threads` are serial numbers."""

    role: Role
    name: str
    threads: tuple[int, ...]
    mechanism: Mechanism | None

    @property
    def words(self) -> str:
        """As in "4 idle threads", "event loop"."""
        return _threads(self.role, len(self.threads))


# Roles that need a noun in the plural: "4 idle threads", but "2 workers".
_SAID_WITH_THREAD = {Role.CONNECTION, Role.CLIENT, Role.HELPER, Role.TIMER, Role.IDLE}
_SAID_WITH_NUMBER = {Role.CONNECTION, Role.HELPER, Role.TIMER, Role.IDLE}


def _by_role(groups: Iterable[ThreadGroup], processes: int) -> list[str]:
    """The threads by role, as in "event loop", "4 idle threads", without first threads that only started the others."""
    numbers: collections.Counter[Role] = collections.Counter()
    for group in groups:
        numbers[group.role] += len(group.threads)
    if len(numbers) > 1 and numbers[Role.MAIN] <= processes:
        del numbers[Role.MAIN]
    return [_threads(role, number) for role, number in numbers.items()]


def _threads(role: Role, number: int) -> str:
    noun = f"{role} thread" if role in _SAID_WITH_THREAD else str(role)
    return noun if number == 1 and role not in _SAID_WITH_NUMBER else count(number, noun)


@dataclass(frozen=True)
class ProcessGroup:
    """Processes of one role and one name with the same parents. `processes` are the serial numbers of their first threads."""

    role: Role
    name: str
    processes: tuple[int, ...]
    pids: tuple[int, ...]
    threads: tuple[ThreadGroup, ...]
    children: tuple[ProcessGroup, ...]

    @property
    def words(self) -> str:
        """As in "nginx: master, 2 workers", "redis-server: event loop, 4 idle threads"."""
        own = _by_role(self.threads, len(self.processes)) if len(self.processes) == 1 else [self._number]
        return f"{self.name}: {', '.join([*own, *(child.within(self.name) for child in self.children)])}"

    def within(self, parent: str) -> str:
        """The group in the words of its parent, as in "2 workers with 4 idle threads", "1 process (ls)"."""
        name = "" if self.name == parent else f" ({self.name})"
        leading = self.threads[0]
        more = [group for group in self.threads if group.role is not leading.role or len(leading.threads) > len(self.processes)]
        words = [*_by_role(more, len(self.processes)), *(child.within(self.name) for child in self.children)]
        return self._number + name + (f" with {' and '.join(words)}" if words else "")

    @property
    def _number(self) -> str:
        if self.role is Role.MAIN:
            return count(len(self.processes), "process")
        noun = f"{self.role} process" if self.role in _SAID_WITH_THREAD else str(self.role)
        return count(len(self.processes), noun)


@dataclass(frozen=True)
class Roles:
    """The tree, the role of each thread by serial number, and when each process first waited for clients."""

    tree: tuple[ProcessGroup, ...]
    role_of: Mapping[int, Role]
    mechanism_of: Mapping[int, Mechanism]
    process_of: Mapping[int, int]  # the process of each thread, both by serial number
    service: Mapping[int, int]  # ns; processes that never waited for clients have no entry
    service_began: int | None  # when the first of the processes waited for clients; None: the program is no server

    def in_service(self, call: Call) -> bool:
        """Was the call made after the start-up of its process?

        A process that waits for clients has started when it first waits for them. Any other process started with the program,
        or serves a connection.
        """
        if self.service_began is None:
            return True
        return call.enter >= self.service.get(self.process_of[call.thread], self.service_began)

    @property
    def words(self) -> str:
        """The tree on one line."""
        return "; ".join(group.words for group in self.tree)


@dataclass(frozen=True)
class Identity:
    """What a program is, and what its threads are for."""

    classification: Classification
    roles: Roles


@once
def identify(result: Result) -> Identity:
    """Classification and roles, from one reading of the calls."""
    seen = behaviour(result)
    classification = classify_behaviour(result, seen)
    return Identity(classification, _Tree(result, seen, classification).roles())


def roles(result: Result) -> Roles:
    """The roles alone."""
    return identify(result).roles


class _Tree:
    def __init__(self, result: Result, seen: Behaviour, classification: Classification) -> None:
        self._seen = seen
        self._classification = classification
        self._server_of = {
            seen.process_of[model.thread]: each for each in (*classification.beside, classification) for model in each.threads
        }
        self._threads = {thread.serial: thread for thread in result.threads}
        self._mechanism_of = {
            model.thread: model.mechanism
            for each in (classification, *classification.beside)
            for model in each.threads
            if model.mechanism
        }
        self._listeners = {connection.listener for connection in seen.connections if connection.readers}
        self._sleeps, self._timed = _sleeps(result)
        self._role_of = {thread.serial: self._role(thread) for thread in result.threads}
        self._members: dict[int, list[int]] = collections.defaultdict(list)
        self._children: dict[int, list[int]] = collections.defaultdict(list)
        for thread in result.threads:
            process = seen.process_of[thread.serial]
            self._members[process].append(thread.serial)
            if process == thread.serial:
                self._children[seen.process_of.get(thread.parent, 0)].append(process)
        self._process_roles: dict[int, Role] = {}
        for process in sorted(self._members, key=lambda serial: self._threads[serial].start, reverse=True):
            self._process_roles[process] = self._process_role(process)

    def roles(self) -> Roles:
        served = {self._seen.process_of[thread] for thread, role in self._role_of.items() if role in _SERVES | {Role.ACCEPTOR}}
        began = {process: at for process, at in self._seen.began.items() if process in served or not served}
        return Roles(
            tree=self._fold(self._children[0]),
            role_of=self._role_of,
            mechanism_of=self._mechanism_of,
            process_of=self._seen.process_of,
            service=began,
            service_began=min(began.values(), default=None),
        )

    def _role(self, thread: Thread) -> Role:
        use = self._seen.uses[thread.serial]
        if thread.kernel_worker:
            return Role.KERNEL_WORKER
        if use.served:
            return self._serving_role(use)
        if use.accepts:
            return Role.LOOP if self._server(use.serial).architecture in _DISPATCHES else Role.ACCEPTOR
        watched = self._seen.watched.get(use.serial, set())
        server = self._server(use.serial)
        own_listener = watched and server.architecture is Architecture.LOOP_PER_LISTENER
        if server.serves and (own_listener or watched & self._listeners):
            made_ready = server.architecture in _TAKES_TURNS
            return Role.WORKER if made_ready else Role.LOOP  # it waits for connections, and other threads got them
        if use.client_reads:
            return Role.CLIENT
        first = self._seen.process_of[thread.serial] == thread.serial
        if first:
            return Role.MAIN
        return self._role_beside(use)

    def _server(self, thread: int) -> Classification:
        """The server that the thread's process belongs to; processes without clients belong to the first."""
        return self._server_of.get(self._seen.process_of[thread], self._classification)

    def _serving_role(self, use: Use) -> Role:
        architecture, mechanism = self._server(use.serial).architecture, self._mechanism_of.get(use.serial)
        made = architecture in (Architecture.THREAD_PER_CONNECTION, Architecture.PROCESS_PER_CONNECTION)
        if made and not use.accepts:
            return Role.CONNECTION
        if mechanism is Mechanism.POSIX_AIO:
            return Role.HELPER
        if architecture in (Architecture.THREAD_POOL, Architecture.PREFORK, Architecture.LOOP_AND_WORKERS):
            return Role.WORKER
        return Role.SERVER if mechanism in (None, Mechanism.BLOCKING) else Role.LOOP

    def _role_beside(self, use: Use) -> Role:
        """The role of a thread that reads no client's data."""
        sleeps = self._sleeps[use.serial]
        if sleeps and self._timed[use.serial] >= _TIMED * sleeps and sleeps > _FEW_SLEEPS:
            return Role.TIMER
        works = use.sends + use.other_reads + use.other_writes > _FEW_SLEEPS
        thread = self._threads[use.serial]
        woken = sleeps > _FEW_SLEEPS and thread.awake > _IDLE * thread.wall
        return Role.HELPER if works or woken else Role.IDLE

    def _process_role(self, process: int) -> Role:
        """The role of its first thread in a report. A process without clients whose children have clients is a master."""
        own = min((self._role_of[thread] for thread in self._members[process]), key=lambda role: role.rank)
        # In a damaged recording a child may begin before its parent, and has no role yet.
        children = {self._process_roles[child] for child in self._children[process] if child in self._process_roles}
        if self._goes_between(process, own):
            return Role.CONNECTION
        if own is not Role.ACCEPTOR and not self._serves(process) and children & (_SERVES | {Role.ACCEPTOR}):
            self._role_of[process] = Role.MASTER
            return Role.MASTER
        parent = self._seen.process_of.get(self._threads[process].parent)
        if parent is None or self._serves(parent):
            return own
        made_for_each = self._server(process).architecture is Architecture.PROCESS_PER_CONNECTION
        if own in _NO_SERVER and process in self._seen.began and not made_for_each:  # it waited for clients, and none came
            self._role_of[process] = self._idle_worker()
            return Role.WORKER
        shared = own is Role.ACCEPTOR and self._serves(process)
        return Role.WORKER if own in (Role.LOOP, Role.SERVER) or shared else own

    def _goes_between(self, process: int, own: Role) -> bool:
        """Was it made for a connection, and did a child of its own read it (vsftpd, sshd)?"""
        if self._server(process).architecture is not Architecture.PROCESS_PER_CONNECTION or own not in _NO_SERVER:
            return False
        began = min(self._seen.began.values(), default=0)
        readers = (child for child in self._children[process] if self._process_roles[child] is Role.CONNECTION)
        return self._threads[process].start > began and next(readers, None) is not None

    def _serves(self, process: int) -> bool:
        """Did one of its threads read a client's data?"""
        return any(self._seen.uses[thread].served for thread in self._members[process])

    def _idle_worker(self) -> Role:
        """The role that a waiting process would have with clients: that of the other processes."""
        loops = any(role is Role.LOOP for role in self._role_of.values())
        return Role.LOOP if loops else Role.WORKER

    def _fold(self, processes: Iterable[int]) -> tuple[ProcessGroup, ...]:
        """Processes of one server, one role and one kind of name as one group."""
        groups: dict[tuple[int, Role, str], list[int]] = {}
        for process in processes:
            key = id(self._server(process)), self._process_roles[process], kind(self._threads[process].name)
            groups.setdefault(key, []).append(process)
        folded = [self._process_group(role, members) for (_, role, _), members in groups.items()]
        return tuple(sorted(folded, key=lambda group: group.role.rank))

    def _process_group(self, role: Role, processes: Sequence[int]) -> ProcessGroup:
        children = [child for process in processes for child in self._children[process]]
        members = [thread for process in processes for thread in self._members[process]]
        return ProcessGroup(
            role=role,
            name=_common_name([self._threads[process].name for process in processes]),
            processes=tuple(processes),
            pids=tuple(self._threads[process].pid for process in processes),
            threads=self._thread_groups(members),
            children=self._fold(children),
        )

    def _thread_groups(self, members: Iterable[int]) -> tuple[ThreadGroup, ...]:
        groups: dict[tuple[Role, str, Mechanism | None], list[int]] = {}
        for thread in members:
            key = self._role_of[thread], kind(self._threads[thread].name), self._mechanism_of.get(thread)
            groups.setdefault(key, []).append(thread)
        found = [
            ThreadGroup(role, _common_name([self._threads[thread].name for thread in threads]), tuple(threads), mechanism)
            for (role, _, mechanism), threads in groups.items()
        ]
        return tuple(sorted(found, key=lambda group: (group.role.rank, -self._awake(group))))

    def _awake(self, group: ThreadGroup) -> int:
        return sum(self._threads[thread].awake for thread in group.threads)


def _sleeps(result: Result) -> tuple[collections.Counter[int], collections.Counter[int]]:
    """How often each thread slept inside calls, and how many of these sleeps a timer ended."""
    sleeps: collections.Counter[int] = collections.Counter()
    timed: collections.Counter[int] = collections.Counter()
    if not result.details.complete and result.sleep_sums:
        for row in result.sleep_sums:
            if row.call is not None:
                sleeps[row.thread] += row.count
                timed[row.thread] += row.count if row.waker and Link.TIMER in row.waker.chain else 0
        return sleeps, timed
    for call in result.calls:
        for sleep in call.sleeps:
            sleeps[call.thread] += 1
            timed[call.thread] += sleep.waker is not None and Link.TIMER in sleep.waker.chain
    return sleeps, timed


def kind(name: str) -> str:
    """A thread's name without its numbers."""
    return _DIGITS.sub("N", name)


def _common_name(names: Sequence[str]) -> str:
    return names[0] if len(set(names)) == 1 else kind(names[0])
