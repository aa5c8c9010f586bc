"""How each process ended: with an exit status, or by a signal, and which other process sent it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from signal import Signals

from findings.threads.processes import Process, deaths, processes
from findings.view import Run
from probes.measure.result import Call, Thread


@dataclass(frozen=True, slots=True)
class Ended:
    """One process that has ended."""

    process: Process
    status: int | None  # None: a signal ended it, or the status is not known
    signal: str = ""  # "" without a signal, or where no record names it
    by_signal: bool = False
    core: bool = False  # the kernel dumped its memory; False, too, where the recording does not say
    sender: Thread | None = None  # a followed thread of another process that sent the signal


def endings(run: Run) -> tuple[Ended, ...]:
    """Each process that ended while it was followed, in the order of the starts."""
    killed = {death.process.first.serial: death for death in deaths(run)}
    found = []
    for process in processes(run):
        if not process.ended:
            continue
        death = killed.get(process.first.serial)
        sender = death.sender if death else None
        if reported := _reported(process, sender):
            found.append(reported)
        elif death:
            signal = death.signal.name if death.signal else ""
            found.append(Ended(process, None, signal, by_signal=True, sender=sender))
        else:
            found.append(Ended(process, _status(run, process)))
    return tuple(found)


def _reported(process: Process, sender: Thread | None) -> Ended | None:
    """What the kernel side reports of the process's last thread; None for a recording without that."""
    last = max(process.threads, key=lambda thread: thread.end)
    ending = last.ended_by
    if ending is None:
        return None
    if ending.signal:
        return Ended(process, None, signal_name(ending.signal), by_signal=True, core=ending.core, sender=sender)
    return Ended(process, ending.status)


def signal_name(number: int) -> str:
    """The name of a signal; real-time signals have numbers.

    >>> signal_name(13), signal_name(40)
    ('SIGPIPE', 'signal 40')
    """
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"


def _status(run: Run, process: Process) -> int | None:
    """The status that the process's own calls show: that of exit_group, or of the last thread's exit."""
    calls = [call for thread in process.threads for call in run.calls_of.get(thread.serial, [])[-1:]]
    return _argument([call for call in calls if call.name == "exit_group"] or [call for call in calls if call.name == "exit"])


def _argument(calls: Sequence[Call]) -> int | None:
    last = max(calls, key=lambda call: call.enter, default=None)
    return last.args[0] & 0xFF if last and last.args else None
