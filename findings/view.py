"""What checks and findings look at: a Result, the parts of it that they speak of most, and what they may say of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from probes.kernel import syscalls
from probes.measure.result import Call, Result, Sleep, Thread, Verdict
from probes.measure.table import table

NOWHERE = -1  # the descriptor of the lseek by which an experiment marks its sections (labs/kit/experiment.py)


class Finding(NamedTuple):
    """What a check found."""

    verdict: Verdict
    evidence: str


def confirmed(evidence: str) -> Finding:
    """The statement is true (Verdict.CONFIRMED)."""
    return Finding(Verdict.CONFIRMED, evidence)


def refined(evidence: str) -> Finding:
    """The statement is true, with a qualification that the evidence states (Verdict.REFINED)."""
    return Finding(Verdict.REFINED, evidence)


def refuted(evidence: str) -> Finding:
    """The statement is false, on a server that has the model (Verdict.REFUTED)."""
    return Finding(Verdict.REFUTED, evidence)


def failed(evidence: str) -> Finding:
    """This server does not have the property (Verdict.FAILED)."""
    return Finding(Verdict.FAILED, evidence)


def unavailable(evidence: str) -> Finding:
    """This run does not show it; the evidence says why, and what would (Verdict.UNAVAILABLE)."""
    return Finding(Verdict.UNAVAILABLE, evidence)


@dataclass(frozen=True)
class Run:
    """What a check looks at: the measured result, and the parts of it that checks speak of most."""

    result: Result

    @cached_property
    def cases(self) -> dict[str, Run]:
        """The run of each case by its name, those that this machine doesn't offer left out."""
        told = self.result.context.get("cases", ())
        return {one["name"]: Run(of_case(self.result, one)) for one in told if "skipped" not in one}

    def case(self, name: str) -> Run:
        """One case's run: its own calls, messages and threads. Raises NotOffered where the machine lacks what it needs."""
        if name not in self.cases:
            told = {one["name"]: one.get("skipped", "") for one in self.result.context.get("cases", ())}
            raise NotOffered(f"{name}: 0 calls recorded" + (f"; {told[name]}" if told.get(name) else ""))
        return self.cases[name]

    @cached_property
    def round_trips(self) -> list[int]:
        """How long each echo took, as the clients saw it, ns, sorted."""
        return sorted(back - sent for client in self.clients for sent, back in client["exchanges"])

    @property
    def clients(self) -> list[dict[str, Any]]:
        """What each client saw: asked and connected (ns), exchanges [(sent, echoed), ...]."""
        return list(self.result.context.get("traffic_seen", {}).get("clients", ()))

    @property
    def silent_ns(self) -> float:
        """How long the traffic's silent client was silent, ns."""
        return 1e6 * float(self.result.context["traffic"]["silent_ms"])

    @property
    def flood_ns(self) -> float:
        """How long the traffic's flooding client sent, ns."""
        return 1e6 * float(self.result.context["traffic"]["flood_ms"])

    @property
    def aside(self) -> dict[str, Any]:
        """What the lab's experiments beside the traffic found, if it has any."""
        return dict(self.result.context.get("aside", {}))

    @cached_property
    def sections(self) -> dict[str, list[Call]]:
        """The calls of each section of an experiment, by the section's name (labs/kit/experiment.py)."""
        names: list[str] = self.aside.get("sections", [])
        found: dict[str, list[Call]] = {}
        current: dict[int, list[Call]] = {}
        for call in self.result.calls:
            if call.name == "lseek" and call.fd == NOWHERE and call.args[1] < len(names):
                current[call.thread] = found.setdefault(names[call.args[1]], [])
            elif call.thread in current:
                current[call.thread].append(call)
        return found

    @property
    def link(self) -> bool:
        """Did clients and server sit at the two ends of a link of their own?"""
        return bool(self.result.context.get("link"))

    @property
    def udp(self) -> bool:
        """Were datagrams sent instead of connections made?"""
        return bool((self.result.context.get("traffic") or {}).get("udp"))

    @cached_property
    def server(self) -> Thread:
        """The server's first thread."""
        return self.result.threads[0]

    def calls(self, *names: str) -> list[Call]:
        """The calls of these names that were not cut short by the signal that ended the server."""
        return [one for one in self.result.named(*names) if not ended_by_signal(one)]

    @cached_property
    def calls_of(self) -> dict[int, list[Call]]:
        """The calls of each thread that made any, in order, by the thread's serial number."""
        found: dict[int, list[Call]] = {}
        for call in self.result.calls:
            found.setdefault(call.thread, []).append(call)
        return found

    @cached_property
    def reads(self) -> list[Call]:
        """The calls that read from a connection."""
        return [one for one in self.calls(*syscalls.READS) if one.socket or one.errno == "EAGAIN" or one.sleeps]

    @cached_property
    def waits(self) -> list[Call]:
        """The calls of select, poll, epoll and their like."""
        return self.calls(*syscalls.MULTIPLEXERS)

    @cached_property
    def connections(self) -> list[Call]:
        """The successful accepts, in order; `result` is the connection's descriptor."""
        return [one for one in self.calls(*syscalls.ACCEPTS) if one.result is not None and one.result >= 0]


class NotOffered(Exception):
    """A check asked for a case that the machine does not offer; the check is unavailable then, in these words."""


def of_case(result: Result, case: dict[str, Any]) -> Result:
    """What of a result belongs to one case: the process that was its server, and all that it started."""
    mine: set[int] = set()
    for thread in sorted(result.threads, key=lambda one: one.start):
        if thread.parent in mine or (not thread.parent and thread.pid == case["pid"]):
            mine.add(thread.serial)
    calls = tuple(one for one in result.calls if one.thread in mine)
    return replace(
        result,
        calls=calls,
        rows=table(calls, result.probes),
        messages=tuple(one for one in result.messages if one.thread in mine),
        threads=tuple(one for one in result.threads if one.serial in mine),
        context={key: value for key, value in result.context.items() if key != "cases"} | case,
    )


# Where a call on a socket sleeps for its peer; a page fault or a lock may put any call to sleep, and says nothing of the model.
FOR_THE_PEER = {"socket", "accept", "connect", "send buffer"}


def waited(call: Call) -> bool:
    """Did the call sleep until its peer did something?"""
    return any(sleep.queue in FOR_THE_PEER for sleep in call.sleeps)


def turns(calls: list[Call]) -> tuple[int, int]:
    """How many connections these reads served, and in how many turns: as many if each was served to its end."""
    order = [one.socket for one in calls if one.socket]
    changes = sum(1 for before, after in itertools.pairwise(order) if before != after)
    return len(set(order)), changes + bool(order)


def ended_by_signal(call: Call) -> bool:
    """Was the call cut short by a signal (EINTR, or a restart that only the kernel sees)?"""
    return call.errno == "EINTR" or call.errno in syscalls.RESTARTS.values() or call.result is None


def sleeps(calls: list[Call]) -> list[Sleep]:
    """All sleeps of these calls."""
    return [sleep for call in calls for sleep in call.sleeps]
