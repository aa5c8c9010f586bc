"""The moment of a fault: what one thread did, and which data waited meanwhile, ready to be drawn.

`of_place` takes the moment from the recorded calls: the sleep, the call or the user code that broke a property, with the
data that was unread in other sockets. `of_trial` takes the clients of a trial instead: they know when they sent a request, also
where the server never accepted their connection. None: nothing waited, and a picture would show nothing.
"""

from __future__ import annotations

import bisect
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from findings.descriptors.unread import left_unread
from findings.pictures.figure import Doing, inside
from findings.properties.property import Place
from findings.spans import overlap
from findings.spoke import Spoke
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.queues import place as place_words
from probes.measure.result import Call, Ending, Thread

_ROWS = 3  # of data that waited
_PAD = 0.06  # of the moment, before and after it
_LEAST_NS = 1_000_000  # a shorter moment is the course of things
_NOTICEABLE = 0.1  # of the moment: data that waited for less is left out
_SPANS, _NAMES = 400, 12  # of one picture
_NAMED = 0.01  # of the moment: shorter calls have no name in the picture


class Fate(enum.StrEnum):
    """What a line of data shows."""

    UNREAD = "unread"  # in its socket
    NO_REPLY = "no reply"
    SILENT = "sends nothing"
    READS_NOTHING = "reads nothing"


@dataclass(frozen=True)
class Waiting:
    """Data that waited, or a client that makes others wait. `end` None: still so at the end of the moment."""

    fate: Fate
    begin: int
    end: int | None = None
    bytes: int = 0
    fd: int | None = None  # of the server; None: a client's own view
    client: int = 0  # the client's place in its trial


@dataclass(frozen=True)
class Span:
    """What the thread did from one moment to another; user code where there is no span."""

    begin: int
    end: int
    doing: Doing


@dataclass(frozen=True)
class Named:
    """A call with its begin; `asleep` and `queue` (in words) of its longest sleep in the moment."""

    name: str
    begin: int
    fd: int | None = None
    asleep: int = 0
    queue: str = ""
    count: int = 1


@dataclass(frozen=True)
class Moment:
    """One moment of one thread: times are ns of CLOCK_MONOTONIC. `calls`: first the call in which the thread was longest."""

    begin: int
    end: int
    thread: str
    tid: int
    lived_until: int
    spans: tuple[Span, ...]
    calls: tuple[Named, ...]
    waiting: tuple[Waiting, ...]
    more: int = 0  # that waited, too
    listened: int | None = None  # when the server began to listen
    ended_by: Ending | None = None  # where the thread ended in the moment


def of_place(run: Run, place: Place, listened: int | None) -> Moment | None:
    """The moment of a broken property."""
    thread = next((thread for thread in run.result.threads if thread.serial == place.thread), None)
    if thread is None or place.since is None:
        return None
    calls = run.calls_of.get(thread.serial, [])
    if place.call is None and place.fd is not None:
        return _of_unread(run, thread, listened)
    begin, end = _around(calls, place.since, thread)
    waiting = [each for each in _unread(run, thread) if _common(each, begin, end) >= _NOTICEABLE * (end - begin)]
    if end - begin < _LEAST_NS or not waiting:
        return None
    return _moment(run, thread, begin, end, waiting, listened)


def of_trial(run: Run, clients: Sequence[Spoke], listened: int | None) -> Moment | None:
    """The moment of a failed trial: clients without a reply, and what the thread that kept them waiting did."""
    rows = [row for number, client in enumerate(clients, 1) if (row := _of_client(number, client))]
    unanswered = [row for row in rows if row.fate is Fate.NO_REPLY]
    if not unanswered or not run.result.threads:
        return None
    others = [row for row in rows if row.fate is not Fate.NO_REPLY][:1]
    shown = sorted([*others, *unanswered[: _ROWS - len(others)]], key=lambda row: row.begin)
    begin = min(row.begin for row in shown)
    end = max(row.end or clients[row.client - 1].closed for row in shown)
    if end - begin < _LEAST_NS:
        return None
    moment = _moment(run, _busiest(run, begin, end), begin, end, shown, listened)
    return replace(moment, more=len(unanswered) - sum(row.fate is Fate.NO_REPLY for row in shown))


def _of_client(number: int, client: Spoke) -> Waiting | None:
    if client.sent is None:
        return Waiting(Fate.SILENT, client.connected, client=number)
    if not client.reads:
        return Waiting(Fate.READS_NOTHING, client.sent, bytes=client.bytes, client=number)
    if client.answered is None:
        return Waiting(Fate.NO_REPLY, client.sent, bytes=client.bytes, client=number)
    return None


def _of_unread(run: Run, thread: Thread, listened: int | None) -> Moment | None:
    """The longest time for which the thread's own data was unread while it slept in its wait."""
    rests = [rest for rest in left_unread(run) if rest.thread == thread.serial and rest.slept >= _LEAST_NS]
    fds = {call.socket: call.fd for call in run.reads if call.thread == thread.serial}
    found = [
        Waiting(Fate.UNREAD, rest.since, rest.since + rest.ns, rest.bytes, fds.get(rest.socket))
        for rest in sorted(rests, key=lambda rest: -rest.slept)[:1]
    ] or sorted(_unread(run, thread), key=lambda each: each.begin - (each.end or each.begin))[:1]
    if not found or (end := found[0].end or 0) - found[0].begin < _LEAST_NS:
        return None
    return _moment(run, thread, found[0].begin, end, found, listened)


def _around(calls: Sequence[Call], since: int, thread: Thread) -> tuple[int, int]:
    """The call or the user code in which the thread was at that time; of a call that slept, the sleep with a little before."""
    at = bisect.bisect_right(calls, since, key=lambda call: call.enter) - 1
    if at >= 0 and calls[at].exit >= since:
        call = calls[at]
        sleep = max((sleep for sleep in call.sleeps), key=lambda sleep: sleep.wait, default=None)
        return (sleep.off, sleep.on) if sleep else (call.enter, call.exit)
    return since, calls[at + 1].enter if at + 1 < len(calls) else thread.end


def _unread(run: Run, thread: Thread) -> list[Waiting]:
    """The data that threads of the same process found in their sockets, until its read began."""
    process = {other.serial for other in run.result.threads if other.pid == thread.pid}
    return [
        Waiting(Fate.UNREAD, message.ready, message.read, message.bytes, message.fd)
        for message in run.result.messages
        if message.thread in process and message.read > message.ready
    ]


def _common(each: Waiting, begin: int, end: int) -> int:
    return overlap(begin, end, each.begin, end if each.end is None else each.end)


def _busiest(run: Run, begin: int, end: int) -> Thread:
    """The thread that slept longest outside a wait for events or connections; else one that ended; else the first."""

    def score(thread: Thread) -> tuple[int, bool]:
        calls = run.calls_of.get(thread.serial, ())
        asleep = sum(
            overlap(sleep.off, sleep.woken, begin, end)
            for call in calls
            if call.name not in syscalls.LOOP_WAITS | syscalls.ACCEPTS
            for sleep in call.sleeps
        )
        return asleep, begin < thread.end < end and bool(thread.ended)

    lived = [thread for thread in run.result.threads if thread.start < end and not thread.kernel_worker]
    return max(lived or [run.server], key=score)


def _moment(run: Run, thread: Thread, begin: int, end: int, waiting: Iterable[Waiting], listened: int | None) -> Moment:
    rows = sorted(waiting, key=lambda each: each.begin)
    longest = sorted(rows, key=lambda each: -_common(each, begin, end))[:_ROWS]
    first = min([begin, *(each.begin for each in longest if each.begin > begin - (end - begin))])
    pad = int(_PAD * (end - first))
    begin, end = first - pad, end + pad
    calls = [call for call in run.calls_of.get(thread.serial, ()) if call.enter < end and call.exit > begin]
    spans = [Span(each.begin, each.end, each.doing) for call in calls for each in inside(call)]
    spans = sorted(spans, key=lambda span: span.begin - span.end)[:_SPANS]
    return Moment(
        begin=begin,
        end=end,
        thread=thread.name,
        tid=thread.tid,
        lived_until=thread.end,
        spans=tuple(sorted(spans, key=lambda span: span.begin)),
        calls=tuple(_named(calls, begin, end)),
        waiting=tuple(each for each in rows if each in longest),
        more=len(rows) - len(longest),
        listened=listened,
        ended_by=thread.ended_by if thread.ended and thread.end < end else None,
    )


def _named(calls: Sequence[Call], begin: int, end: int) -> list[Named]:
    """The calls, the longest first."""

    def inside_of(call: Call) -> int:
        return overlap(call.enter, call.exit, begin, end)

    found = []
    worth = [call for call in calls if inside_of(call) >= _NAMED * (end - begin)]
    for call in sorted(worth, key=lambda call: -inside_of(call))[:_NAMES]:
        sleep = max(call.sleeps, key=lambda sleep: sleep.wait, default=None)
        queue = place_words(sleep.queue) if sleep else ""
        fd = call.fd if call.fd is not None and call.fd >= 0 else None
        found.append(Named(call.name, call.enter, fd, sleep.wait if sleep else 0, queue, call.count))
    return found
