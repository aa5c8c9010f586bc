"""The sentences about lost and unseen events: a sentence for each kind of loss that leaves the verdicts alone, and the
remedy for the other kinds. probes/measure/soundness.py has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from findings.never_began import NeverBegan
from probes.kernel.records import Loss
from probes.measure.result import AnsweredBy, Events
from probes.recording import Missing
from probes.words import count
from reports import outcomes
from reports.words import share

_SENTENCES: dict[Loss | Missing, Callable[[int], str]] = {
    Loss.UNSEEN: lambda number: (
        f"this machine hid {count(number, 'context switch')} from us; the run queue times of these switches are upper bounds"
    ),
    Loss.COPY_END: lambda number: (
        f"the kernel did not report the end of {count(number, 'copy')}; the copy times of these calls are upper bounds"
    ),
    Loss.REFUSED: lambda number: (
        f"a seccomp filter answered {count(number, 'system call')} before the call began;"
        " the rows of the table count these calls, without a duration"
    ),
    Loss.EMULATED: lambda number: (
        f"a tracer answered or skipped {count(number, 'system call')} before the call began;"
        " the rows of the table count these calls, without a duration"
    ),
    Loss.KILLED: lambda number: f"{count(number, 'thread')} died at the entry of a system call, which never began",
    Loss.SOCKETS_FULL: lambda number: (
        f"a table of the probes had no room for {count(number, 'record')} of sockets;"
        " descriptors may lack an address, and unread data may be missing"
    ),
    Loss.UNINVITED: lambda number: (
        f"iolab refused {count(number, 'attempt')} of other processes to enter this recording"
        " (another iolab runs at the same time, or a program tried to enter)"
    ),
    Missing.CUT: lambda _number: (
        "the recording is cut off: iolab still records, iolab was killed, or the copy of the file is not complete;"
        " it has only the calls that were recorded one by one until the cut, and shows the threads of that moment as alive"
    ),
    Missing.SUMMED_MS: lambda ms: (
        "the recording is cut off: iolab still records, iolab was killed, or the copy of the file is not complete;"
        f" its sums are exact for its first {ms / 1000:.1f} s, and the calls that were recorded one by one go on until the cut"
    ),
}


_ANSWERED = {
    Loss.REFUSED: (AnsweredBy.FILTER, AnsweredBy.SUPERVISOR),
    Loss.EMULATED: (AnsweredBy.TRACER,),
    Loss.KILLED: (AnsweredBy.SIGNAL,),
}


def in_per_cent(events: Events) -> str:
    """The share of the lost events in brackets; "" where none was lost.

    >>> in_per_cent(Events(988, 12, 0)), in_per_cent(Events(1000, 0, 0))
    (' (1.2 %)', '')
    """
    return f" ({share(events.lost, events.seen + events.lost)})" if events.lost else ""


def notes(events: Events, refused: Sequence[NeverBegan] = ()) -> list[str]:
    """A sentence for each kind of event that is no loss, but makes a figure an upper bound or leaves a call out.

    `refused` are the calls that never began, where the recording names them.
    """
    numbers = {loss: events.reasons.get(loss.name.lower(), 0) for loss in _SENTENCES}
    sentences = {loss: _SENTENCES[loss](number) for loss, number in numbers.items() if number}
    if Missing.SUMMED_MS in sentences:
        del sentences[Missing.CUT]
    for loss, answered in _ANSWERED.items():
        rows = [row for row in refused if row.by in answered]
        if rows and loss in sentences:
            sentences[loss] += f": {outcomes.never_began(rows)}"
    return list(sentences.values())


def remedy(events: Events) -> str:
    """What the user can do against lost events."""
    if Missing.CUT.lower() in events.reasons:
        return "Run it again, and let iolab end by itself or by Ctrl-C."
    if events.needs_room:
        return "The program needs more room than a table of the probes has: trace it with fewer clients, or for a shorter time."
    return "Run it again with less load on the machine."
