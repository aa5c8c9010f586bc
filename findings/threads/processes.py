"""The processes of a run: their threads, their parents, and how each of them ended."""

from __future__ import annotations

from dataclasses import dataclass
from signal import Signals

from findings.view import Run
from probes.context import TraceRun
from probes.kernel import syscalls
from probes.measure.result import Call, Ending, Thread

_MSG_NOSIGNAL = 0x4000
_SIGNAL_FLAGS = {"sendto": 3, "sendmsg": 2}  # which argument has the flags
_SENDS_A_SIGNAL = {"kill": 1, "tkill": 1, "tgkill": 2, "pidfd_send_signal": 1}  # which argument is the signal
_SHORTLY_NS = 1_000_000_000
_EXITS = ("exit", "exit_group")


@dataclass(frozen=True)
class Process:
    """One process that was followed from its start or from its invitation on."""

    pid: int
    first: Thread  # its first thread
    threads: tuple[Thread, ...]
    parent: Thread | None  # the thread that created it, if that was followed

    @property
    def start(self) -> int:
        """When it began, ns."""
        return self.first.start

    @property
    def end(self) -> int:
        """When its last thread ended, or the recording did, ns."""
        return max(thread.end for thread in self.threads)

    @property
    def ended(self) -> bool:
        """Did it end before the recording did?"""
        return all(thread.ended for thread in self.threads)


@dataclass(frozen=True)
class Death:
    """The signal that ended a process."""

    process: Process
    signal: Signals | None  # None: a signal, but no record says which
    call: Call | None  # the last call of the thread that it hit
    sender: Thread | None = None  # another followed thread that sent it


def processes(run: Run) -> list[Process]:
    """The processes in the order of their starts. An id may serve several, one after the other."""
    threads = {thread.serial: thread for thread in run.result.threads}
    groups: list[list[Thread]] = []
    current: dict[int, list[Thread]] = {}
    for thread in sorted(run.result.threads, key=lambda thread: thread.start):
        creator = threads.get(thread.parent)
        if thread.kernel_worker:
            continue
        if creator is None or creator.pid != thread.pid or thread.pid not in current:
            current[thread.pid] = []
            groups.append(current[thread.pid])
        current[thread.pid].append(thread)
    return [Process(group[0].pid, group[0], tuple(group), threads.get(group[0].parent)) for group in groups]


def deaths(run: Run) -> list[Death]:
    """The processes that a signal ended.

    The kernel side reports the signal with a thread's end. Recordings of older iolabs lack that: there a signal ended a process
    whose threads never called exit or exit_group. The signal follows from the last call: a write that got EPIPE brings SIGPIPE
    to its thread (sk_stream_error, anon_pipe_write), and a thread may send a signal to itself (abort). Or another followed
    thread sent it shortly before.
    """
    found = []
    of_all = processes(run)
    for process in of_all:
        if process.ended and _killed(run, process):
            found.append(_death(run, process))
    return _with_status(run, found, of_all)


def _ending(process: Process) -> Ending | None:
    return max(process.threads, key=lambda thread: thread.end).ended_by


def _killed(run: Run, process: Process) -> bool:
    ending = _ending(process)
    return bool(ending.signal) if ending else not _exited(run, process)


def _exited(run: Run, process: Process) -> bool:
    calls = [run.calls_of.get(thread.serial, []) for thread in process.threads]
    return not any(calls) or any(own and own[-1].name in _EXITS for own in calls)


def _death(run: Run, process: Process) -> Death:
    ending = _ending(process)
    known = ending.signal if ending else 0
    last = [own[-1] for thread in process.threads if (own := run.calls_of.get(thread.serial))]
    for call in last:
        if (number := _own_signal(call, process)) and known in (0, number):
            return Death(process, _named(number), call)
    for call in reversed(run.result.named(*_SENDS_A_SIGNAL)):
        if call.exit <= process.end + _SHORTLY_NS and call.enter >= process.end - _SHORTLY_NS and _target(call) == process.pid:
            sender = next(thread for thread in run.result.threads if thread.serial == call.thread)
            if sender.pid != process.pid and (number := _sent(call)) and known in (0, number):
                return Death(process, _named(number), max(last, key=lambda each: each.exit, default=None), sender)
    return Death(process, _named(known), max(last, key=lambda each: each.exit, default=None))


def _own_signal(call: Call, process: Process) -> int:
    """The signal that a thread's own last call brought to it; 0 if none."""
    if call.name in syscalls.WRITES and call.errno == "EPIPE":
        at = _SIGNAL_FLAGS.get(call.name)
        flags = call.args[at] if at is not None and at < len(call.args) else 0
        return 0 if flags & _MSG_NOSIGNAL else Signals.SIGPIPE
    return _sent(call) if call.name in _SENDS_A_SIGNAL and _target(call) == process.pid else 0


def _target(call: Call) -> int:
    return call.args[0] & 0xFFFFFFFF if call.args and call.name != "pidfd_send_signal" else -1


def _sent(call: Call) -> int:
    at = _SENDS_A_SIGNAL[call.name]
    return call.args[at] & 0xFFFFFFFF if at < len(call.args) and call.result == 0 else 0


def _named(number: int) -> Signals | None:
    try:
        return Signals(number)
    except ValueError:
        return None


def _with_status(run: Run, found: list[Death], of_all: list[Process]) -> list[Death]:
    """The status of a traced command names the signal of its first process (128 + N, as a shell reports it)."""
    context = run.result.context
    if not isinstance(context, TraceRun) or context.status is None or context.status <= 128 or not of_all:
        return found
    first = of_all[0]
    return [
        Death(death.process, _named(context.status - 128), death.call, death.sender)
        if death.process is first and death.signal is None
        else death
        for death in found
    ]
