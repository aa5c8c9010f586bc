"""What checks and findings read: a Result with the parts that they need most; and the verdicts that they return."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from findings.descriptors.words import DescriptorWords, words_of
from probes.context import CasesRun, Client, LabRun, Seen, Sent, ServedCase, ServerRun, TrafficRun
from probes.kernel import syscalls
from probes.measure.queues import Queue
from probes.measure.result import Call, Result, Sleep, Thread, Verdict
from probes.measure.table import table

NOWHERE = -1  # the descriptor of the lseek by which an experiment marks its sections (labs/kit/experiment.py)


class Finding(NamedTuple):
    """What a check found."""

    verdict: Verdict
    evidence: str


def confirmed(evidence: str) -> Finding:
    """Verdict.CONFIRMED, with the figures that show it."""
    return Finding(Verdict.CONFIRMED, evidence)


def refined(evidence: str) -> Finding:
    """Verdict.REFINED; the evidence states the qualification."""
    return Finding(Verdict.REFINED, evidence)


def refuted(evidence: str) -> Finding:
    """Verdict.REFUTED, with the figures that show it."""
    return Finding(Verdict.REFUTED, evidence)


def failed(evidence: str) -> Finding:
    """Verdict.FAILED; the evidence names the fault."""
    return Finding(Verdict.FAILED, evidence)


def unavailable(evidence: str) -> Finding:
    """Verdict.UNAVAILABLE; the evidence says why, and what would show it."""
    return Finding(Verdict.UNAVAILABLE, evidence)


@dataclass(frozen=True)
class Run:
    """What a check reads: the measured result, and the parts of it that checks need most."""

    result: Result

    @cached_property
    def cases(self) -> dict[str, Run]:
        """The run of each case by its name, those that this machine doesn't offer left out."""
        context = self.result.context
        cases = context.cases if isinstance(context, CasesRun) else ()
        return {case.name: Run(of_case(self.result, case)) for case in cases if case.skipped is None}

    def case(self, name: str) -> Run:
        """One case's run: its own calls, messages and threads. Raises NotOffered where the machine lacks what it needs."""
        if name in self.cases:
            return self.cases[name]
        context = self.result.context
        cases = context.cases if isinstance(context, CasesRun) else ()
        reason = next((case.skipped for case in cases if case.name == name), None)
        raise NotOffered(f"{name}: 0 calls recorded" + (f"; {reason}" if reason else ""))

    @property
    def seen(self) -> Seen:
        """What the server's clients saw; nothing where the run has no clients, or clients of several servers."""
        return self.result.context.traffic_seen if isinstance(self.result.context, ServerRun) else Seen(())

    @property
    def clients(self) -> tuple[Client, ...]:
        """What each client saw."""
        return self.seen.clients

    @cached_property
    def round_trips(self) -> list[int]:
        """How long each echo took, as the clients saw it, ns, sorted."""
        return self.seen.round_trips

    @property
    def traffic(self) -> Sent:
        """What the lab's clients were asked to send. Raises NotOffered for a run without clients."""
        if not isinstance(self.result.context, TrafficRun):
            raise NotOffered("this run had 0 clients")
        return self.result.context.traffic

    @property
    def silent_ns(self) -> float:
        """How long the traffic's silent client was silent, ns."""
        return 1e6 * self.traffic.silent_ms

    @property
    def flood_ns(self) -> float:
        """How long the traffic's flooding client sent, ns."""
        return 1e6 * self.traffic.flood_ms

    @property
    def aside(self) -> dict[str, Any]:
        """What the lab's experiments beside the traffic found, if it has any."""
        return dict(self.result.context.aside) if isinstance(self.result.context, LabRun) else {}

    @cached_property
    def descriptors(self) -> DescriptorWords:
        """The descriptors of the run in words."""
        return words_of(self.result)

    @cached_property
    def sections(self) -> dict[str, list[Call]]:
        """The calls of each section of an experiment, by the section's name (labs/kit/experiment.py)."""
        names: list[str] = self.aside.get("sections", [])
        sections: dict[str, list[Call]] = {}
        current: dict[int, list[Call]] = {}
        for call in self.result.calls:
            if call.name == "lseek" and call.fd == NOWHERE and call.args[1] < len(names):
                current[call.thread] = sections.setdefault(names[call.args[1]], [])
            elif call.thread in current:
                current[call.thread].append(call)
        return sections

    @property
    def link(self) -> bool:
        """Did clients and server sit at the two ends of a link of their own?"""
        return isinstance(self.result.context, TrafficRun) and self.result.context.link is not None

    @property
    def udp(self) -> bool:
        """Were datagrams sent instead of connections made?"""
        return isinstance(self.result.context, TrafficRun) and self.result.context.traffic.udp

    @cached_property
    def server(self) -> Thread:
        """The server's first thread."""
        return self.result.threads[0]

    def calls(self, *names: str) -> list[Call]:
        """The calls of these names that were not cut short by the signal that ended the server."""
        return [call for call in self.result.named(*names) if not ended_by_signal(call)]

    @property
    def calls_of(self) -> dict[int, list[Call]]:
        """The calls of each thread that made any, in order, by the thread's serial number."""
        return self.result.calls_of

    @cached_property
    def reads(self) -> list[Call]:
        """The calls that read from a connection."""
        return [call for call in self.calls(*syscalls.READS) if call.socket or call.errno == "EAGAIN" or waited(call)]

    @cached_property
    def waits(self) -> list[Call]:
        """The calls of select, poll, epoll_wait and their variants."""
        return self.calls(*syscalls.MULTIPLEXERS)

    @cached_property
    def connections(self) -> list[Call]:
        """The successful accepts, in order; `result` is the connection's descriptor."""
        return [call for call in self.calls(*syscalls.ACCEPTS) if call.result is not None and call.result >= 0]


class NotOffered(Exception):
    """A check asked for a case that the machine does not offer; the check is unavailable then, in these words."""


def of_case(result: Result, case: ServedCase) -> Result:
    """The part of a result that belongs to one case of its lab."""
    if not isinstance(result.context, CasesRun) or case.pid is None:
        raise NotOffered(f"{case.name}: 0 calls recorded")
    return replace(of_process(result, case.pid), context=result.context.of(case))


def of_process(result: Result, pid: int) -> Result:
    """The part of a result that belongs to one process and to the processes that it started."""
    mine: set[int] = set()
    for thread in sorted(result.threads, key=lambda thread: thread.start):
        if thread.parent in mine or (not thread.parent and thread.pid == pid):
            mine.add(thread.serial)
    calls = tuple(call for call in result.calls if call.thread in mine)
    return replace(
        result,
        calls=calls,
        rows=table(calls, result.probes),
        messages=tuple(message for message in result.messages if message.thread in mine),
        threads=tuple(thread for thread in result.threads if thread.serial in mine),
        socket_names=tuple(name for name in result.socket_names if name.thread in mine),
        socket_ends=tuple(end for end in result.socket_ends if end.name.thread in mine),
    )


# Where a call on a socket sleeps for its peer; a page fault or a lock may put any call to sleep, and says nothing of the model.
FOR_THE_PEER = {"socket", "accept", "connect", "send buffer", Queue.PEER_BUFFER, Queue.LINGER}


def waited(call: Call) -> bool:
    """Did the call sleep until its peer did something?"""
    return any(sleep.queue in FOR_THE_PEER for sleep in call.sleeps)


def turns(calls: list[Call]) -> tuple[int, int]:
    """How many connections these reads served, and in how many turns: as many if each was served to its end."""
    order = [call.socket for call in calls if call.socket]
    changes = sum(1 for before, after in itertools.pairwise(order) if before != after)
    return len(set(order)), changes + bool(order)


_BY_SIGNAL = frozenset({"EINTR", *syscalls.RESTARTS.values()})


def ended_by_signal(call: Call) -> bool:
    """Was the call cut short by a signal (EINTR, or a restart that only the kernel sees)?"""
    return call.errno in _BY_SIGNAL or call.result is None


def sleeps(calls: list[Call]) -> list[Sleep]:
    """All sleeps of these calls."""
    return [sleep for call in calls for sleep in call.sleeps]
