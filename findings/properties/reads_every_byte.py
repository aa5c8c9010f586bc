"""All data that arrives at the program's sockets is read."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from findings.descriptors.sockets import Untaken, ends_are_known, unread
from findings.descriptors.unread import left_unread
from findings.descriptors.words import socket_words
from findings.properties.arms_every_descriptor import unwatched
from findings.properties.property import Cost, Gravity, Observation, Place, Property, broken, held, not_shown, place_of
from findings.view import Run
from findings.whole import why_not_whole
from probes.context import LabRun
from probes.words import count, ms

_SLEPT_NS = 20_000_000  # leaves-no-data-unread names a thread that slept for so long beside its data


def observe(run: Run) -> Observation:
    """Checks what was in each socket when it was closed or when the recording ended.

    The kernel reports the close itself, so this needs no record of a call. What a finding about the calls explains is left out.
    """
    ends = run.result.socket_ends
    if not ends_are_known(run) or not ends:
        return not_shown("the recording has no end of a socket")
    found = [each for each in unread(run) if not _is_explained(run, each) and not _is_a_servers_own(run, each)]
    if not found:
        rest = sum(end.unread or 0 for end in ends)
        words = f", apart from {count(rest, 'byte')} that had just come, or that another finding names" if rest else ""
        return held(f"nothing was unread in {count(len(ends), 'socket')} at the close or at the end of the recording{words}")
    return broken("; ".join(_words(found)), places=_places(run, found))


def _is_a_servers_own(run: Run, untaken: Untaken) -> bool:
    """Is it a socket between the processes of a lab's server? SIGTERM may end a process before it reads its data."""
    return isinstance(run.result.context, LabRun) and untaken.end.name.family == socket.AF_UNIX


def _is_explained(run: Run, untaken: Untaken) -> bool:
    """Does a finding about calls name this socket, and say why it was not read?"""
    if why_not_whole(run.result):
        return False
    name = untaken.end.name
    pids = {thread.serial: thread.pid for thread in run.result.threads}
    silent = {(pids[left.call.thread], left.fd) for left in unwatched(run)}
    slept = {rest.socket for rest in left_unread(run) if rest.slept >= _SLEPT_NS}
    return (pids.get(name.thread, 0), name.fd) in silent or name.socket in slept


def _words(found: Sequence[Untaken]) -> list[str]:
    """A sentence for the closed sockets, and one for those that are open."""
    words = []
    for still_open in (False, True):
        some = sorted((each for each in found if each.end.open is still_open), key=lambda each: -each.ns)
        if not some:
            continue
        total = sum(each.end.unread or 0 for each in some)
        least = "at least " if any(each.end.at_least for each in some) else ""
        what = "was still open at the end of the recording" if still_open else "was closed"
        if len(some) > 1:
            what = what.replace("was", "were", 1)
        subject = socket_words(some[0].end.name) if len(some) == 1 else count(len(some), "socket")
        words.append(
            f"{subject} {what} with {least}{count(total, 'byte')} that the program never read, for up to {ms(some[0].ns)}"
            + (f" ({socket_words(some[0].end.name)} the longest)" if len(some) > 1 else "")
        )
        if resets := sum(each.resets for each in some):
            words.append(
                f"the kernel reset {count(resets, 'connection')} (RST) because of it: the peer may lose what was sent to it"
            )
    return words


def _places(run: Run, found: Sequence[Untaken]) -> list[Place]:
    threads = {thread.serial: thread for thread in run.result.threads}
    return [
        place_of(
            threads[each.end.name.thread],
            fd=each.end.name.fd if each.end.name.fd >= 0 else None,
            since=each.since,
            cost=Cost(ns=each.ns, bytes=each.end.unread or 0),
        )
        for each in found
    ]


READS_EVERY_BYTE = Property(
    id="reads-every-byte",
    statement="the program reads all data that arrives",
    fault="data arrived that the program never read",
    remedy="read each socket until the end of its data before you close it; add each open socket to the event loop's set",
    observe=observe,
    gravity=Gravity.LOST,
)
