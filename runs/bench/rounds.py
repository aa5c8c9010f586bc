"""The rounds: each runs every workload under every tool once, so that what changes on the machine meets all tools alike."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from probes.capture.instrument import Instrument
from probes.errors import CannotTrace, WrongUsage
from probes.patience import PATIENCE
from runs.bench.figures import Bench, Host, Outcome, Usage
from runs.bench.programs import Ended, Failed, Guard, Program
from runs.bench.tools import TOOLS, UNTRACED, Delivered, Tool, versions
from runs.bench.workloads import SECONDS, WORKLOADS, Load, Place, Subject, Workload, compiled

ROUNDS, MOST_ROUNDS = 3, 100
_ATTACH, _REPORT = 20, 30  # seconds, at most
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO (include/linux/proc_ns.h)


@dataclass(frozen=True)
class Plan:
    """What a benchmark runs, and what it leaves out, with the reason."""

    workloads: tuple[Workload, ...]
    tools: tuple[Tool, ...]
    rounds: int
    left_out: dict[str, str]

    @property
    def seconds(self) -> float:
        """About how long it takes on a quiet machine."""
        return self.rounds * sum(
            tool.seconds + (1.2 if workload.name == "nginx" else SECONDS) for workload in self.workloads for tool in self.tools
        )


def plan(only: str, tools: str, rounds: int) -> Plan:
    """What to run, by the names that the user typed ("" is all). Raises WrongUsage for an unknown name."""
    if not 1 <= rounds <= MOST_ROUNDS:
        raise WrongUsage(f"--rounds {rounds} is out of range", f"it takes 1 to {MOST_ROUNDS}")
    workloads = {workload.name: workload for workload in WORKLOADS}
    every = {tool.name: tool for tool in TOOLS}
    chosen = _named(only, "workload", list(workloads))
    compared = [UNTRACED, *(name for name in _named(tools, "tool", list(every)) if name != UNTRACED)]
    left_out = {name: workloads[name].missing() for name in chosen}
    left_out |= {every[name].words: every[name].missing() or _hidden_pids(every[name]) for name in compared}
    left_out = {name: why for name, why in left_out.items() if why}
    if not set(chosen) - set(left_out):
        raise CannotTrace("no workload of the benchmark can run here", "; ".join(left_out[name] for name in chosen))
    return Plan(
        tuple(workloads[name] for name in chosen if name not in left_out),
        tuple(every[name] for name in compared if every[name].words not in left_out),
        rounds,
        left_out,
    )


def _named(text: str, kind: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()] or known
    for name in names:
        if name not in known:
            raise WrongUsage(f"bench has no {kind} {name!r}", f"the {kind}s are {', '.join(known)}")
    return list(dict.fromkeys(names))


def _hidden_pids(tool: Tool) -> str:
    """Why a tool that is attached by process id can't work here; "" if it can."""
    if not any("{pid}" in word for word in tool.line) or Path("/proc/self/ns/pid").stat().st_ino == _INITIAL_PID_NAMESPACE:
        return ""
    return "it chooses processes by the host's process ids, which a container does not see: start it with --pid=host"


def bench(what: Plan, progress: Callable[[str], None]) -> Bench:
    """Runs the rounds. Each run has a folder of its own. The guard removes what is left."""
    host, outcomes = _host(), []
    with contextlib.ExitStack() as stack:
        base = Path(tempfile.mkdtemp(prefix="iolab-bench-"))
        guard = stack.enter_context(Guard(base))
        program = compiled(base)
        if any(tool.name == "iolab" for tool in what.tools):
            progress("compiling the probes, if this machine has not done so before")
            Instrument().__exit__(None, None, None)  # later starts find the programs on the disk
        for number in range(what.rounds):
            for workload in what.workloads:
                progress(f"round {number + 1} of {what.rounds}: {workload.name}")
                for tool in order(what.tools, number):
                    with tempfile.TemporaryDirectory(dir=base) as folder:
                        outcomes.append(run(workload, tool, number, Place(Path(folder), guard, program)))
    return Bench(what.workloads, what.tools, what.rounds, tuple(outcomes), what.left_out, host)


def order(tools: Sequence[Tool], number: int) -> list[Tool]:
    """The runs of a round: each round begins with another tool. The untraced run stands at the begin and in the middle.

    >>> order(["untraced", "a", "b", "c", "d"], 1)
    ['untraced', 'b', 'c', 'untraced', 'd', 'a']
    """
    untraced, *rest = tools
    at, half = number % max(1, len(rest)), len(rest) // 2
    rest = [*rest[at:], *rest[:at]]
    return [untraced, *rest[:half], untraced, *rest[half:]]


def _host() -> Host:
    system, load, nice = os.uname(), os.getloadavg()[0], os.getpriority(os.PRIO_PROCESS, 0)
    return Host(system.release, system.machine, _processor(), os.cpu_count() or 1, load, nice, tuple(versions()))


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def run(workload: Workload, tool: Tool, number: int, place: Place) -> Outcome:
    """One workload under one tool, once. A failure is part of the outcome."""
    try:
        subject = workload.subject(place)
        with contextlib.closing(subject):
            load, usage = (_wrapped if not tool.attaches else _attached)(workload, tool, subject, place)
        return Outcome(workload.name, tool.name, number, load, usage)
    except Failed as failed:
        return Outcome(workload.name, tool.name, number, None, None, str(failed))


def _wrapped(workload: Workload, tool: Tool, subject: Subject, place: Place) -> tuple[Load, Usage | None]:
    """A tool that starts the program itself; without a tool, the program alone."""
    command = tool.command(place.folder, program=subject.command)
    with place.start(tool.words, command, tool.environment(place.folder)) as started:
        subject.ready(started)
        load = subject.work(tool.share)
        started.sample()  # strace may end before the next sample
        subject.end()
        end = time.monotonic()
        ended = started.wait(_REPORT)
        if tool.name == UNTRACED:
            return load, None
        return load, _usage(workload, tool, started, ended, end, place)


def _attached(workload: Workload, tool: Tool, subject: Subject, place: Place) -> tuple[Load, Usage]:
    """A tool that is attached to the running process."""
    with place.start("the program", subject.command) as program:
        pid = subject.ready(program)
        command = tool.command(place.folder, pid)
        with place.start(tool.words, command, tool.environment(place.folder)) as started:
            _await_attached(tool, started)
            load = subject.work(tool.share)
            started.sample()
            subject.end()
            end = time.monotonic()
            started.interrupt()
            ended = started.wait(_REPORT)
            return load, _usage(workload, tool, started, ended, end, place)


def _await_attached(tool: Tool, started: Program) -> None:
    deadline = time.monotonic() + _ATTACH * PATIENCE
    while not tool.attached(started):
        if not started.alive:
            raise Failed(f"{tool.words} ended early: {started.complaint()}")
        if time.monotonic() > deadline:
            raise Failed(f"{tool.words} was not attached after {_ATTACH * PATIENCE:g} s")
        time.sleep(0.01)


def _usage(workload: Workload, tool: Tool, started: Program, ended: Ended, end: float, place: Place) -> Usage:
    """What the tool used and reported. `end` is when the program was asked to end."""
    report_s = time.monotonic() - end
    try:
        delivered = tool.delivered(place.folder, started)
    except (ValueError, KeyError, OSError) as error:
        raise Failed(f"{tool.words} ended with status {ended.status} without a report: {started.complaint()}") from error
    calls = delivered.of(workload.counted) if workload.counted else _every(delivered)
    if calls == 0:
        raise Failed(f"{tool.words} ended with status {ended.status} and reports no call: {started.complaint()}")
    return Usage(ended.cpu_s, ended.memory_bytes, report_s, calls, delivered.lost)


def _every(delivered: Delivered) -> int | None:
    return None if delivered.calls is None else sum(delivered.calls.values())
