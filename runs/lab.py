"""Runs a lab: the same traffic twice, untraced and under the instrument, and everything about it in one recording."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import labs
from labs.kit import asides, growth
from labs.kit.lab import Case, Lab
from labs.kit.traffic import Traffic
from probes import VERSION, shapes
from probes.capture.instrument import Instrument
from probes.capture.prctl import end_with_parent, follow_me, name_me, read_invitation
from probes.capture.privileges import need_privileges
from probes.clock import now_ns
from probes.context import CasesRun, ExperimentRun, LabRun, Overhead, Seen, ServedCase, Witness
from probes.errors import CannotTrace, LabBroken, WrongUsage
from probes.measure.measure import measure
from probes.measure.percentiles import median
from probes.measure.result import Result
from probes.patience import PATIENCE
from probes.recording import Recording
from runs import accounts
from runs.awake import until_asleep
from runs.clients import Request, encoded
from runs.link import Link
from runs.processes import Child, ChildEnded
from servers.__main__ import find as find_server
from servers.__main__ import missing as server_lacks
from servers.__main__ import speaks_udp

Progress = Callable[[str], None]
# Seconds of CPU time. A lab waits until its server sleeps: before the clients come (a pool may still fork processes when it
# already listens), and after they have closed. A server that polls never sleeps, so the wait ends after this CPU time.
_FIRST_WORK = _LAST_WORK = 0.02
_SPREAD = 4  # IOLAB_SLOW: each client takes longer to serve, so a lab that spreads its clients spreads them 4 times as far


def record(name: str, traffic: Traffic, progress: Progress, link: Link | None = None) -> Recording:
    """Runs the lab of that name under the instrument. Raises CannotTrace, LabBroken, WrongUsage.

    `progress` gets a few words on each step. With a link the clients are at its other end; else all is on loopback.
    """
    lab = labs.find(name)
    need_privileges()
    if lab.experiment:
        if link:
            raise WrongUsage(f"lab {name} has no clients at the other end of a link", "leave --link out")
        return _experiment(lab, name, progress)
    if traffic.udp and not lab.traffic.udp:
        _check_udp(lab, name)
    if traffic.spread_ms and PATIENCE > 1:
        traffic = dataclasses.replace(traffic, spread_ms=traffic.spread_ms * _SPREAD)
    with clients_process(link) as clients:
        return _recorded(lab, name, traffic, progress, link, clients)


def _recorded(lab: Lab, name: str, traffic: Traffic, progress: Progress, link: Link | None, clients: Child) -> Recording:
    """The recording of a lab with clients: untraced, then traced."""
    untraced, missing = _untraced(lab, traffic, progress, link, clients)
    progress("attaching the probes")
    with Instrument() as instrument:
        traced = {}
        for case in lab.servers:
            if case.name not in missing:
                progress(f"{_label(case)}traced: {_of(case, traffic).words}")
                traced[case.name] = serve(case, traffic, instrument.invite(), link, clients)
        instrument.wait_until_gone(2 * PATIENCE)  # workers end a moment after the server that forked them
        progress("reading the recorded events")
        recording = instrument.stop()
    cases = tuple(
        ServedCase(case.name, case.server, _of(case, traffic).words, skipped=missing[case.name])
        if case.name in missing
        else _served_case(case, _of(case, traffic), untraced[case.name], traced[case.name])
        for case in lab.servers
    )
    context = _context(lab, name, traffic, link, cases)
    return dataclasses.replace(recording, context=context if lab.cases else context.of(cases[0]))


def _untraced(
    lab: Lab, traffic: Traffic, progress: Progress, link: Link | None, clients: Child
) -> tuple[dict[str, Served], dict[str, str]]:
    """Each case without the probes; and the cases that this machine does not offer, with the reasons. Raises CannotTrace if it
    offers none.
    """
    served, missing = {}, {}
    for case in lab.servers:
        progress(f"{_label(case)}untraced, to measure the cost of tracing: {_of(case, traffic).words}")
        try:
            served[case.name] = serve(case, traffic, cookie=None, link=link, clients=clients)
        except NotHere as error:
            missing[case.name] = str(error)
    if missing and not served:
        raise CannotTrace(next(iter(missing.values())), "invoke doctor says what this machine lacks")
    return served, missing


def _context(lab: Lab, name: str, traffic: Traffic, link: Link | None, cases: tuple[ServedCase, ...]) -> CasesRun:
    """What the recording keeps beside the records. Runs the lab's experiments beside the traffic."""
    context = CasesRun(
        lab=name,
        iolab=VERSION,
        traffic=traffic.sent,
        traffic_words=traffic.words,
        aside={key: value for place in lab.asides for key, value in _aside(place).items()},
        link=link.description if link else None,
        cases=cases,
    )
    return _with_texts(context, lab)


def lacks(lab: Lab) -> str | None:
    """What this machine lacks for all servers of the lab, in a sentence; None if it runs here."""
    lacking = [server_lacks(case.server) for case in lab.servers]
    return lacking[0] if lacking and all(lacking) else None


def _label(case: Case) -> str:
    return f"{case.name}, " if case.name else ""


def _of(case: Case, traffic: Traffic) -> Traffic:
    return dataclasses.replace(traffic, **case.traffic)


def _check_udp(lab: Lab, name: str) -> None:
    if lab.cases or not find_server(str(lab.server), udp=True):
        able = ", ".join(other for other in labs.names() if labs.find(other).server and speaks_udp(other))
        raise WrongUsage(f"lab {name} has no server for UDP", f"leave --udp out, or take one of {able}")


def _served_case(case: Case, traffic: Traffic, untraced: Served, traced: Served) -> ServedCase:
    """What the recording keeps of a case's clients, its process, and the untraced run before."""
    return ServedCase(
        name=case.name,
        server=case.server,
        traffic_words=traffic.words,
        pid=traced.pid,
        traffic_seen=traced.traffic_seen,
        witness=traced.witness,
        overhead=_overhead(untraced, traced),
    )


_LabContext = TypeVar("_LabContext", bound=LabRun)


def _with_texts(context: _LabContext, lab: Lab) -> _LabContext:
    """The same with the lab's model and texts of today."""
    return dataclasses.replace(context, model=lab.model, question=lab.question, watch=lab.watch, try_next=tuple(lab.try_next))


def _experiment(lab: Lab, name: str, progress: Progress) -> Recording:
    """A lab without clients: one function, followed, that makes the calls in question by itself."""
    progress("attaching the probes")
    with Instrument() as instrument:
        progress("the experiment")
        with Child("runs.lab", str(lab.experiment), str(os.getpid()), invitation=instrument.invite()) as child:
            aside = json.loads(child.rest(30))
        instrument.wait_until_gone(2 * PATIENCE)
        progress("reading the recorded events")
        return instrument.stop(_with_texts(ExperimentRun(lab=name, iolab=VERSION, aside=aside), lab))


def measure_and_check(recording: Recording) -> Result:
    """The result of a recording; a lab's checks are judged anew."""
    try:
        result = measure(recording)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise WrongUsage(f"the recording is damaged ({error})", "name a file made by --save") from error
    return check(result)


def check(result: Result) -> Result:
    """The same with the verdicts of its lab, if it is a lab's."""
    context = result.context
    if not isinstance(context, LabRun):
        return result
    lab = labs.find(context.lab)
    try:
        asides.check(context.lab, context.aside, growth.SIZES)
    except ValueError as error:
        raise WrongUsage(f"the recording is damaged ({error})", "name a file made by --save") from error
    return lab.judge(dataclasses.replace(result, context=_with_texts(context, lab)))


class NotHere(LabBroken):
    """The server said that this machine does not offer what it needs (status 2)."""


@dataclass(frozen=True)
class Served:
    """One server's run with its clients: its process, what the clients saw, and the process's own accounts."""

    pid: int
    traffic_seen: Seen
    witness: Witness
    steady_cpu_ns: int = 0  # with `steady`: CPU time of each message in the second half of the traffic


def serve(
    case: Case,
    traffic: Traffic,
    cookie: int | None,
    link: Link | None = None,
    clients: Child | None = None,
    *,
    memory_at_half: bool = False,
    steady: bool = False,
) -> Served:
    """One server and its clients, from start to end; what the clients and the process's own accounts say.

    A server may give back the memory of its connections at their end. With `memory_at_half` its memory is also read when half
    of the messages were echoed, and the larger figure counts. With `steady` the connections stay open until all messages were
    echoed, so the server's CPU time between half and all is for messages only. `clients` is a `clients_process` that may
    have sent other traffic before. Raises LabBroken; NotHere if the server says that it can't be run on this machine.
    """
    traffic = _of(case, traffic)
    longer, traffic = (link.seconds(traffic), link.paced(traffic)) if link else (0, traffic)
    options = [*case.options, *(["--udp"] if traffic.udp else []), *(["--host", link.host] if link else [])]
    with contextlib.ExitStack() as stack:
        words, within = ("--with-parent", str(os.getpid()), *options), link.server if link else ()
        server = stack.enter_context(Child("servers", case.server, *words, within=within, invitation=cookie))
        host, port = _address(server)
        until_asleep(server.pid, _FIRST_WORK)
        before = accounts.accounts(server.pid)
        clients = clients or stack.enter_context(clients_process(link))
        clients.answer(encoded(Request(host, port, traffic, hold=steady)))
        try:
            run = _clients_run(server, clients, 30 + 3 * (traffic.seconds + longer), memory_at_half, steady)
        except ChildEnded as error:
            raise _whose_end(server, case) or error from error
        if any(client.gave_up for client in run.seen.clients) and (broken := _whose_end(server, case)):
            raise broken
        until_asleep(server.pid, _LAST_WORK)
        witness = accounts.witness(server.pid, before)
        witness = dataclasses.replace(witness, memory_bytes=max(witness.memory_bytes, run.memory_bytes))
        server.end()
    later = sum(exchange.echoed > run.half for exchange in run.seen.exchanges)
    return Served(server.pid, run.seen, witness, run.cpu_ns // max(later, 1))


def clients_process(link: Link | None = None) -> Child:
    """The process of the clients, at the other end of the link if there is a link. It sends one traffic at a time."""
    return Child("runs.clients", str(os.getpid()), within=link.clients if link else (), answered=True)


def _address(server: Child) -> tuple[str, int]:
    """The host and the port that the server prints when it listens."""
    try:
        _ready, host, port = server.line(60).split()
    except ChildEnded as error:
        if error.status == 2:
            raise NotHere(server.complaint or str(error)) from error
        raise
    return host, int(port)


@dataclass(frozen=True)
class _ClientsRun:
    """What the clients saw, and the server's accounts meanwhile."""

    seen: Seen
    half: int  # when half of the messages were echoed
    memory_bytes: int  # at that time, if it was asked for
    cpu_ns: int  # from that time to the last echo, if it was asked for


def _clients_run(server: Child, clients: Child, patience: float, memory_at_half: bool, steady: bool) -> _ClientsRun:
    """Reads the clients' lines to their end, and the server's accounts when they come."""
    clients.line(patience)  # half of the messages were echoed
    half, cpu_at_half = now_ns(), accounts.cpu_ns(server.pid)
    at_half = accounts.memory_of_all(server.pid) if memory_at_half else 0
    cpu_at_end = cpu_at_half
    if steady:
        clients.line(patience)  # all messages were echoed
        cpu_at_end = accounts.cpu_ns(server.pid)
        clients.answer()
    seen: Seen = shapes.read(Seen, json.loads(clients.line(patience)), "clients")
    return _ClientsRun(seen, half, at_half, cpu_at_end - cpu_at_half)


# The last line that a server prints before it dies -> the cause and the remedy, for the user.
_DEATHS = {
    "filedescriptor out of range in select()": "select takes only descriptors below FD_SETSIZE, 1024 (claim C29):"
    " try --clients 1000, or ./iolab lab poll --clients 2000",
    "Too many open files": "the server has used all its descriptors (RLIMIT_NOFILE): raise ulimit -n, or lower --clients",
    "MemoryError": "the server had no memory left: raise memory.max of its cgroup or ulimit -v, or lower --clients and --size",
}


def _whose_end(server: Child, case: Case) -> LabBroken | None:
    """Why the clients failed, if it is because the server had ended."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(1)
    if server.ended is None:
        return None
    last = server.complaint.splitlines()[-1:] or ["it printed no reason"]
    remedy = next((words for end, words in _DEATHS.items() if last[0].endswith(end) or end in last[0]), server.complaint)
    if server.ended < 0:
        return ChildEnded(f"server {case.server}", server.ended, "")
    return LabBroken(f"server {case.server} ended while its clients were at work: {last[0]}", remedy)


def _overhead(untraced: Served, traced: Served) -> Overhead | None:
    """The same traffic without and with the probes: seconds from the first message to the last echo, CPU seconds of the
    server, and the median round trip of a message (ns). None where a run had no echo.
    """
    if not untraced.traffic_seen.exchanges or not traced.traffic_seen.exchanges:
        return None
    return Overhead(
        untraced_s=untraced.traffic_seen.seconds,
        untraced_cpu_s=untraced.witness.cpu_ns / 1e9,
        untraced_round_trip_ns=median(untraced.traffic_seen.round_trips) or 0,
        traced_s=traced.traffic_seen.seconds,
        traced_cpu_s=traced.witness.cpu_ns / 1e9,
        traced_round_trip_ns=median(traced.traffic_seen.round_trips) or 0,
    )


def _aside(place: str) -> dict[str, Any]:
    """Runs "module:function" in a process of its own; its return value."""
    with Child("runs.lab", place, str(os.getpid())) as child:
        outcome: dict[str, Any] = json.loads(child.rest(30))
        return outcome


def main() -> None:
    """`python -m runs.lab MODULE:FUNCTION PARENT [--follow FD]`: what `_aside` and `_experiment` start."""
    module, name = sys.argv[1].split(":")
    function = getattr(importlib.import_module(module), name)
    end_with_parent(int(sys.argv[2]))
    if len(sys.argv) > 3:
        invitation = read_invitation(int(sys.argv[4]))
        name_me("experiment")
        follow_me(invitation)
    print(json.dumps(function()), flush=True)
    os._exit(0)  # no interpreter teardown in the recording


if __name__ == "__main__":
    main()
