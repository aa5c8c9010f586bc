"""A thread does not spend its time in page faults that wait for the disk."""

from __future__ import annotations

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.measure.queues import Queue
from probes.measure.result import Thread
from probes.words import count, ms, times

_PAGES = {Queue.PAGE, Queue.DISK, Queue.USERFAULT}
_MANY, _LONG_NS = 100, 200_000_000  # a program that starts from a cold disk faults a few dozen times
_SHARE = 0.1


def observe(run: Run) -> Observation:
    """Adds up the sleeps outside calls (in page faults) on a page or on the disk."""
    threads = [thread for thread in run.result.threads if not thread.kernel_worker]
    if not threads:
        return not_shown("no thread was followed")
    sums = {thread.serial: _faults(thread) for thread in threads}
    number, slept = sum(each[0] for each in sums.values()), sum(each[1] for each in sums.values())
    stalled = [thread for thread in threads if _stalls(thread, *sums[thread.serial])]
    if not stalled:
        return held(f"{count(number, 'page fault')} slept, for {ms(slept)} in all")
    number, slept = sum(sums[each.serial][0] for each in stalled), sum(sums[each.serial][1] for each in stalled)
    lives = sum(thread.wall for thread in stalled)
    return broken(
        f"{count(len(stalled), 'thread')} slept {times(number)} in page faults until a page was read from the disk, for"
        f" {ms(slept)} in all: {slept / max(lives, 1):.0%} of {'its life' if len(stalled) == 1 else 'their lives'}",
        places=[
            place_of(thread, None, None, thread.start, Cost(ns=sums[thread.serial][1], calls=sums[thread.serial][0]))
            for thread in stalled
        ],
    )


def _faults(thread: Thread) -> tuple[int, int]:
    """How often the thread slept in page faults, and for how long, ns."""
    own = [slept for slept in thread.slept_on if slept.queue in _PAGES]
    return sum(slept.count for slept in own), sum(slept.ns for slept in own)


def _stalls(thread: Thread, number: int, ns: int) -> bool:
    return (number >= _MANY or ns >= _LONG_NS) and ns >= _SHARE * thread.wall


WAITS_FOR_NO_PAGE = Property(
    id="waits-for-no-page",
    statement="no thread spends its time in page faults that wait for the disk",
    fault="a thread spends its time in page faults that wait for the disk",
    remedy="read the file ahead (madvise MADV_WILLNEED, MAP_POPULATE), lock hot pages (mlock), or use less memory",
    observe=observe,
    gravity=Gravity.LATE,
)
