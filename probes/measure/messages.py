"""Messages: the arrivals of data at sockets, each followed over the calls that report it, read it and return it.

One definition of *notified* holds for all models: the first moment at which the thread, on a CPU in the call that reports the
message, can know of the data. Which call reports the message depends on what the thread called:

* A *reporter* (a multiplexer, io_getevents, io_uring_enter, a wait for a signal) that returned between *ready* and the start of
  the reading call. A reporter sleeps only while it has nothing to report. So the thread can know from its last switch-in in the
  reporter on. If the data came later than that, the thread can know from *ready* on; if the reporter did not sleep, from its
  start or from *ready* on.
* Otherwise the reading call: from its start on, if the data was ready by then; else from the switch-in after the wake-up on.
* If no call read the data (io_uring, a worker of the kernel), the call that returned the completion. If the thread copied the
  data inside that call, the rule of the reading call holds. If the data was copied elsewhere, the thread can know of it only
  after the copy: the same rule holds, with the end of the copy in the place of *ready*.

The probe's own work in a wake-up between *ready* and *notified* is in `Message.probed`, for every model.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from probes.kernel import syscalls
from probes.measure.result import Call, Message, Sleep, SocketCopy

_GETEVENTS = 1  # IORING_ENTER_GETEVENTS
_COMPLETES = {"io_uring_enter", "io_getevents", "io_pgetevents", "rt_sigtimedwait"}
_UNTIL_A_SIGNAL = {"pause", "rt_sigsuspend"}  # these return only with EINTR, after a signal's handler
_REPORTERS = syscalls.MULTIPLEXERS | _COMPLETES | _UNTIL_A_SIGNAL


@dataclass(frozen=True)
class Family:
    """The process and the creator of a thread."""

    works_for: int  # the thread that a worker of the kernel works for; 0 for any other thread
    process: int
    sleeps: tuple[Sleep, ...] = ()  # of a worker of the kernel, which makes no call


@dataclass(frozen=True)
class _Notice:
    at: int
    by: str
    probed: int


@dataclass
class _Arriving:
    first: Call
    notice: _Notice
    calls: list[Call] = field(default_factory=list)


def messages_of_calls(calls: Sequence[Call]) -> Iterable[Message]:
    """The messages in the calls, in the order in which they were returned to the program.

    A message opens with the first read after the data became ready, and closes with the read that leaves the socket empty.
    """
    reporters: dict[int, Call] = {}
    arriving: dict[int, _Arriving] = {}
    signalfds = _signalfds(calls)
    for call in calls:
        if _reports(call) or ((call.thread, call.fd) in signalfds and call.bytes):
            reporters[call.thread] = call
        if call.socket is None or call.name not in syscalls.READS or call.bytes <= 0:
            continue
        message = arriving.get(call.socket)
        if message is None:
            if call.ready is None:
                continue  # no probe reported its arrival: it can't be timed
            message = arriving[call.socket] = _Arriving(call, _notice(call, call.ready, reporters.get(call.thread)))
        message.calls.append(call)
        if call.drained:
            del arriving[call.socket]
            yield _message_of(message)


def _message_of(arriving: _Arriving) -> Message:
    first, last = arriving.first, arriving.calls[-1]
    assert first.ready is not None and first.socket is not None
    arrivals = sum(call.arrivals for call in arriving.calls)
    return Message(
        socket=first.socket,
        thread=last.thread,
        fd=last.fd if last.fd is not None else -1,
        ready=first.ready,
        notified=arriving.notice.at,
        probed=arriving.notice.probed,
        notified_by=arriving.notice.by,
        read=first.enter,
        copied=last.copied or last.exit,
        returned=last.exit,
        bytes=sum(call.bytes for call in arriving.calls),
        reads=len(arriving.calls),
        arrivals=arrivals,
        all_ready=_all_ready(first.ready, arrivals, (call.latest for call in arriving.calls)),
    )


def _all_ready(first: int, arrivals: int, latest: Iterable[int | None]) -> int | None:
    """When the last of the arrivals came; None: not recorded."""
    known = [at for at in latest if at]
    return max(known) if known else first if arrivals <= 1 else None


def _within(calls: Sequence[Call], copies: Sequence[SocketCopy]) -> Iterable[tuple[SocketCopy, Call | None, Call | None]]:
    """The copies, each with the recvmmsg that made it, or None, and the reporter that returned before that recvmmsg."""
    own: dict[int, list[Call]] = collections.defaultdict(list)
    for call in calls:
        if call.name == "recvmmsg" or _reports(call):
            own[call.thread].append(call)
    for copy in copies:
        candidates = own[copy.thread]
        at = bisect.bisect_right(candidates, copy.copied, key=lambda call: call.enter) - 1
        if at >= 0 and candidates[at].name == "recvmmsg" and copy.copied <= candidates[at].exit:
            before = next((call for call in candidates[at::-1] if call.name != "recvmmsg"), None)
            yield copy, candidates[at], before
        else:
            yield copy, None, None


def messages_of_batches(calls: Sequence[Call], copies: Sequence[SocketCopy]) -> Iterable[Message]:
    """The messages that recvmmsg took, many by one call: the call's end returns them to the program."""
    for copy, call, reporter in _within(calls, copies):
        if call is None or copy.ready is None or not copy.drained or not copy.bytes:
            continue
        notice = _notice(call, copy.ready, reporter)
        yield Message(
            socket=copy.socket,
            thread=copy.thread,
            fd=call.fd if call.fd is not None else -1,
            ready=copy.ready,
            notified=notice.at,
            notified_by=notice.by,
            probed=notice.probed,
            read=call.enter,
            copied=copy.copied,
            returned=call.exit,
            bytes=copy.bytes,
            reads=1,
            arrivals=copy.arrivals,
            all_ready=_all_ready(copy.ready, copy.arrivals, (copy.latest,)),
        )


def completions_of(calls: Sequence[Call], copies: Sequence[SocketCopy], families: Mapping[int, Family]) -> Iterable[Message]:
    """The messages that no reading call took: a completion reports them.

    The reporter is the next return, after the first copy, of a call that hands out completions. A call of the thread that
    took the data counts (a worker of the kernel takes it for the thread that made the worker). If that thread never waits for
    completions, a call of any thread in its process counts.
    """
    returns = _returns_of_completions(calls, families)
    for parts in _taken_by_no_call(calls, copies):
        copy = parts[-1]
        ready = next((part.ready for part in parts if part.ready), None)
        family = families[copy.thread]
        ends = returns.get(("thread", family.works_for or copy.thread)) or returns.get(("process", family.process), [])
        first, at = (bisect.bisect_left(ends, part.copied, key=lambda call: call.exit) for part in (parts[0], copy))
        if ready is None or at == len(ends):
            continue
        notice = _notice_of_completion(ends[first], ready, parts[0], family)
        arrivals = sum(part.arrivals for part in parts)
        yield Message(
            socket=copy.socket,
            thread=copy.thread,
            fd=-1,
            ready=ready,
            notified=notice.at,
            notified_by=notice.by,
            probed=notice.probed,
            read=parts[0].started,
            copied=copy.copied,
            returned=ends[at].exit,
            bytes=sum(part.bytes for part in parts),
            reads=len(parts),
            arrivals=arrivals,
            all_ready=_all_ready(ready, arrivals, (part.latest for part in parts)),
        )


def _taken_by_no_call(calls: Sequence[Call], copies: Sequence[SocketCopy]) -> Iterable[list[SocketCopy]]:
    """The copies of each message outside of reading calls. The last copy of a message leaves the socket empty."""
    arriving: dict[int, list[SocketCopy]] = collections.defaultdict(list)
    for copy, batch, _ in _within(calls, copies):
        if batch is None:
            arriving[copy.socket].append(copy)
            if copy.drained:
                yield arriving.pop(copy.socket)


def _returns_of_completions(calls: Sequence[Call], families: Mapping[int, Family]) -> dict[tuple[str, int], list[Call]]:
    """The calls that handed out completions, of each thread and of each process, in the order of their ends.

    io_uring_enter returns how many requests it took, which is 0 if it only waited; of the others, 0 means no completion.
    """
    returns: dict[tuple[str, int], list[Call]] = collections.defaultdict(list)
    for call in calls:
        if call.name in _COMPLETES and call.result is not None and call.result >= (call.name != "io_uring_enter"):
            if call.name != "io_uring_enter" or _gets_completions(call):  # else it only submits requests
                returns["thread", call.thread].append(call)
            returns["process", families[call.thread].process].append(call)
    for ends in returns.values():
        ends.sort(key=lambda call: call.exit)
    return returns


def _reports(call: Call) -> bool:
    """Did the call return with the news that data is ready, that a request is complete, or that a signal came?"""
    if call.name not in _REPORTERS or call.result is None:
        return False
    if call.name == "io_uring_enter":
        return call.result >= 0 and _gets_completions(call)
    return call.result > 0 or call.name in _UNTIL_A_SIGNAL  # the others: not, if a signal ended the call


def _gets_completions(enter: Call) -> bool:
    """Does the io_uring_enter fetch completions? A burst, which has no arguments, submitted nothing, so it fetches."""
    return len(enter.args) < 4 or bool(enter.args[3] & _GETEVENTS)


def _signalfds(calls: Sequence[Call]) -> set[tuple[int, int | None]]:
    """The descriptors that a thread slept on as signalfds: a read of one reports a signal."""
    return {(call.thread, call.fd) for call in calls if call.sleeps and call.sleeps[-1].queue == "signalfd"}


def _notice(read: Call, ready: int, reporter: Call | None) -> _Notice:
    """The notice of data that a reading call takes."""
    if reporter is not None and ready <= reporter.exit <= read.enter:
        return _made(reporter, max(_last_switch_in(reporter), ready), ready)
    return _made(read, _first_on_cpu(read, ready), ready)


def _notice_of_completion(call: Call, ready: int, copy: SocketCopy, family: Family) -> _Notice:
    """The notice of data that was copied without a reading call. `family` is that of the thread that made the copy."""
    if call.thread == copy.thread and call.enter <= copy.copied:
        return _made(call, _first_on_cpu(call, ready), ready)
    at = _first_on_cpu(call, copy.copied)
    return _made(call, at, ready, family.sleeps)


def _last_switch_in(call: Call) -> int:
    return call.sleeps[-1].on if call.sleeps else call.enter


def _first_on_cpu(call: Call, since: int) -> int:
    """The first moment from `since` on at which the thread is on a CPU in the call."""
    if since <= call.enter:
        return call.enter
    return next((sleep.on for sleep in call.sleeps if sleep.on >= since), since)


def _made(call: Call, at: int, ready: int, others: tuple[Sleep, ...] = ()) -> _Notice:
    """The notice, with the probe's own work in the wake-ups between `ready` and the notice."""
    between = [sleep for sleep in (*call.sleeps, *others) if ready < sleep.woken <= at]
    return _Notice(at, call.name, sum(min(sleep.probed, sleep.woken - ready) for sleep in between))
