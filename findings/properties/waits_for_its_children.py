"""A parent waits for each child that has ended: no zombies."""

from __future__ import annotations

import collections
from signal import Signals

from findings.properties.property import Cost, Observation, Property, broken, held, not_shown, place_of
from findings.threads.processes import Process, processes
from findings.view import Run
from probes.words import count, ms

_MANY = 3  # zombies; a parent may wait for the last of its children at its own end
_LATER_NS = 500_000_000
_ANY = {"wait4", "waitid"}


def observe(run: Run) -> Observation:
    """Counts the children that ended at least half a second before their parent, which waited for none of them afterwards.

    A parent that ignores SIGCHLD has no zombies (wait(2)). The recording has no value of rt_sigaction's handler: a parent that
    calls rt_sigaction for SIGCHLD is left out, unless its waits return other children.
    """
    of_all = processes(run)
    owners = {thread.serial: process for process in of_all for thread in process.threads}
    children: dict[int, list[Process]] = collections.defaultdict(list)
    for process in of_all:
        if process.parent and process.ended:
            children[owners[process.parent.serial].first.serial].append(process)
    if not children:
        return not_shown("no followed process had a child that ended")
    left = {parent.first.serial: own for parent in of_all if (own := _zombies(run, parent, children[parent.first.serial]))}
    if not left:
        return held(f"{count(sum(map(len, children.values())), 'child process')} ended; no parent left {_MANY} or more zombies")
    ends = {process.first.serial: process.end for process in of_all}
    serial, worst = max(left.items(), key=lambda item: len(item[1]))
    parent = next(process.first for process in of_all if process.first.serial == serial)
    longest = max(ends[parent.serial] - child.end for child in worst)
    return broken(
        f"process {parent.pid} ({parent.name}) never waited for {count(len(worst), 'child process')} that had ended, for up to"
        f" {ms(longest)}",
        places=[
            place_of(process.first, None, None, left[process.first.serial][0].end, Cost(calls=len(left[process.first.serial])))
            for process in of_all
            if process.first.serial in left
        ],
    )


def _zombies(run: Run, parent: Process, children: list[Process]) -> list[Process]:
    calls = [call for thread in parent.threads for call in run.calls_of.get(thread.serial, [])]
    waits = [call for call in calls if call.name in _ANY and call.result is not None and call.result >= 0]
    reaped = {call.result for call in waits if call.name == "wait4"}
    unnamed = sum(1 for call in waits if call.name == "waitid")
    handles = any(call.name == "rt_sigaction" and call.args[0] == Signals.SIGCHLD and call.args[1] for call in calls)
    if handles and not reaped - {0} and not unnamed:
        return []
    left = [child for child in children if child.pid not in reaped and parent.end - child.end > _LATER_NS]
    return left[unnamed:] if len(left) - unnamed >= _MANY else []


WAITS_FOR_ITS_CHILDREN = Property(
    id="waits-for-its-children",
    statement="a parent waits for each child that has ended",
    fault="children that have ended stay zombies",
    remedy="call waitpid for each ended child (in a loop after SIGCHLD, with WNOHANG), or ignore SIGCHLD",
    observe=observe,
    needs_all=True,
)
