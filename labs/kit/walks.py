"""What one call of select or poll does with the descriptors that it names, shown by its results, without a probe in the kernel.

reported  With time-out 0 the call counts the ready descriptors among many. The kernel knows the state of a descriptor only from
          its poll method.
replaced  While the call sleeps, dup2 puts a ready descriptor in the place of each quiet one. dup2 wakes no task, and the call
          keeps the file that it had before. So the call can report the new files only if it looks up each number again and
          polls it (fs/select.c: do_select and do_pollfd call fdget for each descriptor, in each walk).
woken     A byte to each of the pipes in turn: each ends a sleep of the call, so that the call had an entry in each queue.
held      While the call sleeps, each pipe's reader is closed. The entry in the wait queue has a reference to the file
          (__pollwait: get_file), so that the pipe still has a reader, and its writer gets no POLLERR. The entry's removal gives
          the reference back (free_poll_entry: remove_wait_queue, fput). `released` counts the pipes without a reader then.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select as python_select
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labs.kit import asides, growth
from labs.kit.asides import Walks
from labs.kit.experiment import PAUSE, later
from labs.kit.lab import Finding, Run, confirmed, failed, unavailable
from probes.measure.result import Call
from probes.words import count
from servers.kit.system import system_call

MANY = 300  # descriptors of `reported`
FEW = 5  # of the others
_DESCRIPTORS = MANY + 100  # of a process that makes the experiments
_TRIES = 4  # on a busy machine the other thread may come after the end of the time-out

Wait = Callable[[Sequence[int], float], int]


def of_select() -> dict[str, Any]:
    """The experiments with pselect6."""
    return _experiments(selected)


def of_poll() -> dict[str, Any]:
    """The experiments with ppoll."""
    return _experiments(polled)


def selected(fds: Sequence[int], seconds: float) -> int:
    """Waits with pselect6 until descriptors can be read; how many it reports."""
    nfds = max(fds) + 1
    names = bytearray((nfds // 64 + 1) * 8)
    for fd in fds:
        names[fd // 8] |= 1 << fd % 8
    return system_call("pselect6", nfds, ctypes.create_string_buffer(bytes(names)), None, None, _time_out(seconds), None)


def polled(fds: Sequence[int], seconds: float) -> int:
    """The same with ppoll."""
    entries = ctypes.create_string_buffer(b"".join(struct.pack("ihh", fd, python_select.POLLIN, 0) for fd in fds))
    return system_call("ppoll", entries, len(fds), _time_out(seconds), None, 0)


def _time_out(seconds: float) -> Any:
    return (ctypes.c_long * 2)(int(seconds), int(seconds % 1 * 1e9))


def _experiments(wait: Wait) -> dict[str, Any]:
    """The experiments as data; nothing where RLIMIT_NOFILE allows too few descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        return {}
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _DESCRIPTORS), hard))
    return {"walks": asdict(walk_with(wait))}


def walk_with(wait: Wait) -> Walks:
    """All experiments with one way to wait for descriptors."""
    held, released = _held(wait)
    return Walks(
        many=MANY,
        ready=MANY // 3,
        reported=_reported(wait),
        few=FEW,
        after_time_out=_replaced(wait, wakes=False),
        after_wake_up=_replaced(wait, wakes=True),
        woken=_woken(wait),
        held=held,
        released=released,
    )


@dataclass(frozen=True)
class _Pipe:
    reader: int
    writer: int


@dataclass
class _Seen:
    ended: bool = False  # the call had returned
    with_reader: int = 0  # pipes that had a reader before that


@contextlib.contextmanager
def _pipes(number: int) -> Iterator[list[_Pipe]]:
    pipes = [_Pipe(*os.pipe()) for _ in range(number)]
    try:
        yield pipes
    finally:
        for pipe in pipes:
            for fd in (pipe.reader, pipe.writer):
                with contextlib.suppress(OSError):  # an experiment may have closed it
                    os.close(fd)


def _reported(wait: Wait) -> int:
    """Every third of the descriptors is ready: duplicates of two pipes, so that a small RLIMIT_NOFILE is enough."""
    with _pipes(2) as (full, empty), contextlib.ExitStack() as stack:
        os.write(full.writer, b"x")
        fds = [os.dup((empty if at % 3 else full).reader) for at in range(MANY)]
        for fd in fds:
            stack.callback(os.close, fd)
        return wait(fds, 0)


def _replaced(wait: Wait, wakes: bool) -> int:
    """dup2 during the sleep; a byte for the first pipe ends the sleep where it `wakes`, else the time-out does."""
    found = 0
    for turn in range(1, _TRIES + 1):
        with _pipes(FEW) as pipes, _pipes(1) as (full,):
            os.write(full.writer, b"x")

            def replace(pipes: list[_Pipe] = pipes, full: _Pipe = full) -> None:
                for pipe in pipes[wakes:]:
                    os.dup2(full.reader, pipe.reader)
                if wakes:
                    os.write(pipes[0].writer, b"x")

            with later(replace):
                found = wait([pipe.reader for pipe in pipes], 10 if wakes else 5 * turn * PAUSE)
        if found:
            break
    return found


def _woken(wait: Wait) -> int:
    """How many of the pipes end the sleep of a call that names them all."""
    woken = 0
    with _pipes(FEW) as pipes:
        for pipe in pipes:
            with later(lambda pipe=pipe: os.write(pipe.writer, b"x")):  # type: ignore[misc]
                woken += wait([each.reader for each in pipes], 10) == 1
            os.read(pipe.reader, 1)
    return woken


def _held(wait: Wait) -> tuple[int, int]:
    """How many pipes still have a reader after close during the sleep, and how many have none after the call."""
    with_reader = released = 0
    for turn in range(1, _TRIES + 1):
        with _pipes(FEW) as pipes, _pipes(1) as (other,):
            seen = _Seen()

            def close(pipes: list[_Pipe] = pipes, seen: _Seen = seen) -> None:
                for pipe in pipes:
                    os.close(pipe.reader)
                without = _without_reader(pipes)
                seen.with_reader = 0 if seen.ended else FEW - without

            with later(close):
                wait([*(pipe.reader for pipe in pipes), other.reader], 5 * turn * PAUSE)
                seen.ended = True
            with_reader, released = seen.with_reader, _without_reader(pipes)
        if with_reader == FEW:
            break
    return with_reader, released


def _without_reader(pipes: Sequence[_Pipe]) -> int:
    """How many of the writers get POLLERR, which a pipe without a reader reports (fs/pipe.c: pipe_poll)."""
    asking = python_select.poll()
    for pipe in pipes:
        asking.register(pipe.writer, 0)
    return sum(bool(events & python_select.POLLERR) for _fd, events in asking.poll(0))


# -- the findings -------------------------------------------------------------------------------------------------------


def polls_all(run: Run, name: str, calls: list[Call]) -> Finding:
    """Every call polls every descriptor, and again after a sleep: counted by a probe on the poll methods, or else shown by what
    calls return and by what they cost.
    """
    if lacking := growth.missing(run, name, calls):
        return lacking
    if (walks := asides.of(run).walks) is None:
        return unavailable("the experiment beside the traffic did not run: does ulimit -Hn allow 400 descriptors?")
    costs = growth.costs_of(run, f"{name}, no wait")
    shown = (
        f"with time-out 0 and {walks.ready} of {walks.many} descriptors ready {name} returned {walks.reported}; when dup2 had"
        f" put ready descriptors in the places of {walks.few} quiet ones during the sleep, {name} returned"
        f" {walks.after_time_out} after its time-out and {walks.after_wake_up} after the wake-up by a byte"
    )
    walked = walks.reported == walks.ready and walks.after_time_out == walks.after_wake_up == walks.few
    if counted := _counted(run, calls):
        whole = [call for call, watched in counted if call.polled and call.polled % watched == 0]
        evidence = (
            f"{count(len(counted), 'call')} polled {count(sum(call.polled or 0 for call, _ in counted), 'descriptor')};"
            f" {len(whole)} of these calls polled every descriptor that they watched, once or (after a wake-up) again; {shown}"
        )
        return (confirmed if walked and len(whole) >= 0.9 * len(counted) else failed)(evidence)
    evidence = f"{shown}; with time-out 0, {growth.words(name, costs)}; {growth.NOT_COUNTED}"
    return (confirmed if walked and growth.share_of_descriptors(costs) > 0.5 else failed)(evidence)


def queues_on_all(run: Run, name: str, calls: list[Call]) -> Finding:
    """A call that may wait makes an entry in every descriptor's wait queue and removes it: counted by probes, or else shown by
    the wake-ups, by the references of the entries to the files, and by the additional cost of a call that may wait.
    """
    if lacking := growth.missing(run, name, calls):
        return lacking
    if counted := [(call, watched) for call, watched in _counted(run, calls) if call.sleeps]:
        complete = [call for call, watched in counted if call.queued == call.unqueued == watched]
        evidence = (
            f"{count(len(counted), 'call')} that slept made {sum(call.queued or 0 for call, _ in counted):,} entries in wait"
            f" queues and removed {sum(call.unqueued or 0 for call, _ in counted):,}; for {len(complete)} of these calls both"
            " numbers are those of their descriptors"
        )
        return (confirmed if len(complete) >= 0.9 * len(counted) else failed)(evidence)
    if (walks := asides.of(run).walks) is None:
        return unavailable("the experiment beside the traffic did not run: does ulimit -Hn allow 400 descriptors?")
    costs, no_wait = growth.costs_of(run, name), growth.costs_of(run, f"{name}, no wait")
    queueing = {size: ns - no_wait[size] for size, ns in costs.items()}
    evidence = (
        f"{walks.woken} of {walks.few} pipes ended the sleep of a call that named them all; an entry keeps its file open:"
        f" {walks.held} of {walks.few} pipes kept their reader when it was closed during the sleep, and {walks.released} of"
        f" {walks.few} had lost it after the call; what a call that may wait costs more than a call with time-out 0, which"
        f" makes no entry: {growth.words(name, queueing)}; {growth.NOT_COUNTED}"
    )
    most = str(growth.SIZES[2])
    grows = queueing[most] - queueing[str(growth.SIZES[0])] > 0.2 * costs[most]
    return (confirmed if grows and walks.woken == walks.held == walks.released == walks.few else failed)(evidence)


def _counted(run: Run, calls: list[Call]) -> list[tuple[Call, int]]:
    """The calls whose poll methods a probe counted, each with the number of its descriptors: the listener and the connections
    that were open. Bursts are left out: the number of open connections is not known for each of their calls.
    """
    counted = {id(call) for call in calls if call.polled is not None and call.histogram is None}
    accepted = {id(call) for call in run.connections}
    opened: set[int] = set()
    pairs = []
    for call in run.result.calls:
        if id(call) in counted:
            pairs.append((call, 1 + len(opened)))
        elif id(call) in accepted and call.result is not None:
            opened.add(call.result)
        elif call.name == "close" and call.fd is not None:
            opened.discard(call.fd)
    return pairs
