"""How each call ended: as asked, short, with nothing, by its time-out, interrupted, restarted by the kernel, refused."""

from __future__ import annotations

import collections
import enum
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from probes.kernel import syscalls
from probes.measure.result import Call, Result
from probes.measure.wakers import Link


class Outcome(enum.StrEnum):
    """How a call ended. The names are keys in JSON; reports/outcomes.py has the words."""

    DONE = "done"
    SHORT = "short"  # it moved fewer bytes than its argument asked for
    END = "end of data"  # a read returned 0
    NOTHING_READY = "nothing ready"  # a multiplexer returned 0 without waiting
    TIMED_OUT = "timed out"
    INTERRUPTED = "interrupted"  # a signal's handler ran, and the program got EINTR
    RESTARTED = "restarted"  # a signal ended the call, and the kernel made the call again: the program does not notice
    CUT_OFF = "cut off"  # a signal ended the call, and its thread or its handler never came back to the call
    FAILED = "failed"  # with an errno
    REFUSED = "refused"  # a seccomp filter, its supervisor or a tracer answered before the call began
    UNFINISHED = "unfinished"  # it never returned, or was under way when the recording ended


# Which argument says how many bytes are asked for; the kernel moves at most MAX_RW_COUNT in one call (linux/fs.h).
_ASKED = {"read": 2, "pread64": 2, "recvfrom": 2, "write": 2, "pwrite64": 2, "sendto": 2, "sendfile": 3, "getrandom": 1}
_MOST = 0x7FFFF000
_TIME_OUT = {"poll": 2, "epoll_wait": 3, "epoll_pwait": 3}  # which argument is a time-out in ms
_RESTARTS = frozenset(syscalls.RESTARTS.values())
_END_BY_SIGNAL = {"pause", "rt_sigsuspend"}  # these return only with EINTR, after a signal's handler: as asked
_LIMITS = {"ETIMEDOUT", "ETIME"}
_EINTR = -4


class Ended(NamedTuple):
    """One call, or a burst of calls, with its outcome."""

    call: Call
    outcome: Outcome
    asked: int | None = None  # bytes; None: not known, or no call that moves bytes


@dataclass(frozen=True, slots=True)
class CallOutcomes:
    """All calls of one name: how many ended in which way, and the bytes of the short ones."""

    name: str
    counts: dict[Outcome, int]
    errors: dict[str, int] = field(default_factory=dict)  # of FAILED
    short_asked: int = 0
    short_moved: int = 0


def outcomes(result: Result, calls: Sequence[Call] | None = None) -> tuple[CallOutcomes, ...]:
    """The outcomes of all recorded calls, or of a part of them, by name; the most frequent call first.

    The outcome of a part's call may depend on calls outside of the part, so `result` is the whole run.
    """
    chosen = None if calls is None or calls is result.calls else set(map(id, calls))
    tallies: dict[str, _Tally] = collections.defaultdict(_Tally)
    for life in result.calls_of.values():
        after_signals = _after_signals(life, result.machine.arch)
        for at, call in enumerate(life):
            if chosen is None or id(call) in chosen:
                tallies[call.name].add(call, *_outcome(call, after_signals.get(at)))
    return _rows(tallies)


def by_name(calls: Iterable[Ended]) -> tuple[CallOutcomes, ...]:
    """Calls with their outcomes, added up by name."""
    tallies: dict[str, _Tally] = collections.defaultdict(_Tally)
    for ended in calls:
        tallies[ended.call.name].add(*ended)
    return _rows(tallies)


class _Tally:
    """The outcomes of the calls of one name."""

    def __init__(self) -> None:
        self._counts: dict[Outcome, int] = {}
        self._errors: dict[str, int] = {}
        self._short_asked = self._short_moved = 0

    def add(self, call: Call, outcome: Outcome, asked: int | None) -> None:
        """Adds a call with its outcome."""
        self._counts[outcome] = self._counts.get(outcome, 0) + call.count
        if outcome is Outcome.FAILED and call.errno:
            self._errors[call.errno] = self._errors.get(call.errno, 0) + call.count
        elif outcome is Outcome.SHORT:
            self._short_asked += asked or 0
            self._short_moved += call.bytes

    def row(self, name: str) -> CallOutcomes:
        """The row with the sums, the most frequent outcome first."""
        counts, errors = collections.Counter(self._counts), collections.Counter(self._errors)
        return CallOutcomes(name, dict(counts.most_common()), dict(errors.most_common()), self._short_asked, self._short_moved)


def _rows(tallies: Mapping[str, _Tally]) -> tuple[CallOutcomes, ...]:
    rows = [tally.row(name) for name, tally in tallies.items()]
    return tuple(sorted(rows, key=lambda row: -sum(row.counts.values())))


def of_thread(calls: Sequence[Call], arch: str) -> list[Ended]:
    """One thread's calls, in order, with their outcomes."""
    after_signals = _after_signals(calls, arch)
    return [Ended(call, *_outcome(call, after_signals.get(at))) for at, call in enumerate(calls)]


def _outcome(call: Call, after_signal: Outcome | None) -> tuple[Outcome, int | None]:
    """The outcome of a call, and the bytes that it asked for."""
    if call.refused:
        return Outcome.REFUSED, None
    if after_signal is not None:
        return after_signal, None
    if call.result is None:
        return Outcome.UNFINISHED, None
    if not call.result or call.errno:  # these outcomes need the result 0 or an error
        if _timed_out(call):
            return Outcome.TIMED_OUT, None
        if call.errno:
            done = call.errno == "EINTR" and call.name in _END_BY_SIGNAL
            return Outcome.DONE if done else Outcome.FAILED, None
        if call.name in syscalls.MULTIPLEXERS:
            return Outcome.NOTHING_READY, None
    asked = asked_for(call)
    if call.name in syscalls.READS and call.result == 0 and asked != 0 and call.name != "recvmmsg":
        return Outcome.END, asked
    short = asked is not None and call.result < asked
    return Outcome.SHORT if short else Outcome.DONE, asked


def asked_for(call: Call) -> int | None:
    """How many bytes the call's argument asks for; None: the call has no such argument, or it is not recorded.

    >>> from probes.measure.result import Call
    >>> none = dict(enter=0, exit=1, errno=None, total=1, wait=0, sched_delay=0, preempted=0, copy=0, kernel=1)
    >>> asked_for(Call(thread=1, name="sendto", fd=3, args=(3, 0, 1000, 0), result=600, bytes=600, **none))
    1000
    """
    at = _ASKED.get(call.name)
    return None if at is None or at >= len(call.args) else min(call.args[at], _MOST)


def _timed_out(call: Call) -> bool:
    """Did a time-out end the call? Of a multiplexer: it found nothing ready, though it waited."""
    if call.errno in _LIMITS:
        return True
    if call.name in syscalls.MULTIPLEXERS:
        at = _TIME_OUT.get(call.name)
        limit = call.args[at] & 0xFFFFFFFF if at is not None and at < len(call.args) else 0
        return call.result == 0 and bool(call.sleeps or limit)
    if call.name in syscalls.AIO_WAITS and call.result == 0:
        return bool(call.sleeps)
    # SO_RCVTIMEO and SO_SNDTIMEO, semtimedop, sigtimedwait: EAGAIN after a sleep that a timer ended
    waker = call.sleeps[-1].waker if call.sleeps else None
    return call.errno == "EAGAIN" and waker is not None and waker.chain[0] == Link.TIMER


# ---- signals ----


def _after_signals(calls: Sequence[Call], arch: str) -> dict[int, Outcome]:
    """What became of each call that a signal ended, by its place among the thread's calls.

    The kernel ends the call with a result that no program sees (ERESTARTSYS and others). Without a handler it makes the same
    call again at once. With a handler it sets up the handler's frame (arch/x86/kernel/signal.c, handle_signal): the result
    becomes EINTR there, or the call is made again after the handler. The handler ends with rt_sigreturn, whose result is the
    interrupted code's register for results: EINTR, or the value before the call, which is the call's number on x86_64 and
    its first argument on aarch64. Handlers may nest, so the interrupted calls form a stack.
    """
    found: dict[int, Outcome] = {}
    waiting: list[int] = []
    for at, call in enumerate(calls):
        if waiting and _same_again(calls[waiting[-1]], call) and waiting[-1] == at - 1:
            found[waiting.pop()] = Outcome.RESTARTED
        if call.name == "rt_sigreturn" and waiting and call.result is not None:
            before = calls[waiting[-1]]
            if call.result == _EINTR:
                found[waiting.pop()] = Outcome.DONE if before.name in _END_BY_SIGNAL else Outcome.INTERRUPTED
            elif call.result == _restart_value(before, arch):
                found[waiting.pop()] = Outcome.RESTARTED
        elif call.errno in _RESTARTS or (call.errno == "EINTR" and call.name not in _END_BY_SIGNAL):
            waiting.append(at)
    for at in waiting:
        found[at] = Outcome.INTERRUPTED if calls[at].errno == "EINTR" else Outcome.CUT_OFF
    return found


def _same_again(ended: Call, call: Call) -> bool:
    """Does the kernel make the call again that a signal ended, without a handler in between?"""
    if ended.errno == "ERESTART_RESTARTBLOCK":
        return call.name == "restart_syscall"
    return ended.errno in _RESTARTS and (call.name, call.args) == (ended.name, ended.args)


@functools.cache
def _number(name: str, arch: str) -> int | None:
    return syscalls.numbers(arch).get(name)


def _restart_value(call: Call, arch: str) -> int | None:
    """The result of rt_sigreturn after which the kernel makes the call again."""
    return _number(call.name, arch) if arch == "x86_64" else call.args[0] if call.args else None
