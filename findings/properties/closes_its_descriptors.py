"""A program closes the descriptors that it opened and no longer uses."""

from __future__ import annotations

import bisect
import collections

from findings.descriptors.lives import Descriptor, descriptors
from findings.properties.property import Cost, Observation, Property, broken, held, not_shown, place_of
from findings.threads.processes import processes
from findings.view import Run
from probes.kernel import syscalls
from probes.words import count

_MANY = 20
_SOON_NS = 100_000_000  # a descriptor that is used only in this time after its opening is used once
# From the first of them to the last: a start-up opens and closes many at once (PostgreSQL counts how many it may have). A
# shorter run shows a leak if the program reads between the openings.
_LONG_NS = 500_000_000
_PART, _SPREAD = 4, 0.1  # in the last quarter of the time at least a tenth of the descriptors was still opened
_LIMIT = {"EMFILE", "ENFILE"}


def observe(run: Run) -> Observation:
    """Counts the descriptors that were opened all the time, used once, and never closed.

    Connections are left out: a client may keep its connection open without sending (closes-ended-connections counts those that
    ended). A program that reached the limit of descriptors (EMFILE) leaks, or its limit is too low.
    """
    found = descriptors(run)
    limits = [call for call in run.result.calls if call.errno in _LIMIT]
    if not found and not limits:
        return not_shown("no call opened a descriptor")
    threads = {thread.serial: thread for thread in run.result.threads}
    leaks = _leaks(run, found)
    words, places = [], []
    if leaks:
        (_, name), own = max(leaks.items(), key=lambda item: len(item[1]))
        process = threads[own[0].opened.thread]
        words.append(
            f"process {process.pid} ({process.name}) never closed {count(len(own), 'descriptor')} that {name} returned and"
            f" that it used once; the last is descriptor {own[-1].fd}"
        )
        places = [
            place_of(threads[own[0].opened.thread], name, own[0].fd, own[0].opened.exit, Cost(calls=len(own)))
            for (_, name), own in leaks.items()
        ]
    if limits:
        failed = sum(call.count for call in limits)
        words.append(f"{count(failed, 'call')} of {limits[0].name} failed at the limit of descriptors ({limits[0].errno})")
        places.append(place_of(threads[limits[0].thread], limits[0].name, limits[0].fd, limits[0].enter, Cost(calls=failed)))
    if words:
        return broken("; ".join(words), places=places)
    left = sum(1 for each in found if each.closed is None)
    return held(f"{count(len(found), 'descriptor')} opened, {left:,} still open at the end; their number does not grow")


def _leaks(run: Run, found: list[Descriptor]) -> dict[tuple[int, str], list[Descriptor]]:
    """The descriptors that look leaked, by process and by the call that opened them.

    They count at the moment of the last opening: an interpreter closes its files at its end.
    """
    begins = {process.pid: process.start for process in processes(run)}
    groups: dict[tuple[int, str], list[Descriptor]] = collections.defaultdict(list)
    for each in found:
        if each.opened.name not in syscalls.ACCEPTS | {"socket"}:
            groups[each.process, each.opened.name].append(each)
    leaks = {}
    for key, opened in groups.items():
        begin, last = begins[key[0]], opened[-1].opened.enter
        own = [each for each in opened if _is_kept(each, last)]
        span = last - own[0].opened.enter if own else 0
        if len(own) < _MANY or (span < _LONG_NS and _turns(run, own) < _MANY):
            continue
        since = sum(1 for each in opened if each.opened.enter >= own[0].opened.enter)  # a start-up opens and closes many files
        late = sum(1 for each in own if each.opened.enter > last - (last - begin) // _PART)
        if 2 * len(own) >= since and late >= _SPREAD * len(own):
            leaks[key] = own
    return leaks


def _turns(run: Run, opened: list[Descriptor]) -> int:
    """How often a thread read from a socket and then opened some of these: a start-up opens many files without such reads."""
    reads: dict[int, list[int]] = {}
    turns = set()
    for each in opened:
        thread = each.opened.thread
        if thread not in reads:
            calls = run.calls_of.get(thread, [])
            reads[thread] = [call.exit for call in calls if call.name in syscalls.READS and call.socket is not None]
        turns.add((thread, bisect.bisect_right(reads[thread], each.opened.enter)))
    return len(turns)


def _is_kept(each: Descriptor, moment: int) -> bool:
    """Was it used only soon after its opening, and was it still open at that moment?"""
    used = each.used.exit if each.used else each.opened.exit
    return used - each.opened.exit < _SOON_NS and (each.closed is None or each.closed.enter > moment)


CLOSES_ITS_DESCRIPTORS = Property(
    id="closes-its-descriptors",
    statement="a program closes the descriptors that it no longer uses",
    fault="descriptors are not closed",
    remedy="close each descriptor in every path, also after an error; or raise the limit of descriptors (RLIMIT_NOFILE)",
    observe=observe,
    needs_all=True,
)
