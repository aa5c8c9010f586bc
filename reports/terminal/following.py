"""Each call of a program on one line, as it ends (`trace --follow`)."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import signal
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import IO, NamedTuple

from findings.following import Began, Ended, Event, Executed, Following, Gone, LeftOut, UnderWay, Who
from findings.sleeps.causes import Cause
from probes import clock
from probes.measure.result import AnsweredBy, Call, Ending, Sleep
from probes.words import count, visible
from reports.arguments import arguments
from reports.flags import result_words
from reports.terminal.screen import screen
from reports.wakers import Names, words
from reports.words import duration

_TIME, _TOOK = 11, 8  # columns of the time, and of the duration of a call
_NAME, _WIDE = 20, 100  # columns of the thread's name, on a wide screen
_SLEEPS = 3  # kinds of sleeps of a call that are shown
_SLOW = 1_000_000  # ns: a call that is not idle for so long is marked
_AT_ONCE = 500  # lines that are written together

_UNIT = re.compile(r"(?<=\d) (?=(?:ns|us|ms|s)\b)")  # no line is broken before a unit
_STYLES = {"": "", "dim": "2", "bold": "1", "red": "31", "yellow": "33", "cyan": "36"}


class Words(NamedTuple):
    """A part of a line with its style."""

    text: str
    style: str = ""


class Lines:
    """Writes events to a stream. On a terminal long lines are broken between words, and parts of them are coloured."""

    def __init__(self, file: IO[str]) -> None:
        out = screen(file)
        self._file = file
        self._encoding = getattr(file, "encoding", None) or "utf-8"
        self._terminal = file.isatty()
        self._width = out.width if self._terminal else None
        self._coloured = self._terminal and out.color_system is not None and not out.no_color
        self._begun = False

    def write(self, events: Iterator[Event], following: Following) -> bool:
        """Writes the events. False: nobody reads them any more."""
        lines: list[str] = []
        for event in events:
            if not self._begun:
                self._begun = True
                lines += self._laid_out([Words(_heading(following.begin or event.at), "dim")])
            lines += self._laid_out(self._line(event, following))
            if len(lines) >= _AT_ONCE:
                if not self._put(lines):
                    return False
                lines = []
        return self._put(lines)

    def end(self, following: Following) -> str:
        """The sentence after the last line."""
        shown, left_out = count(following.shown, "call"), following.left_out
        if left_out:
            return f"{shown} shown, {left_out:,} left out: the program made them faster than they were written and read"
        return f"{shown} shown of {following.seen:,}"

    def _put(self, lines: Sequence[str]) -> bool:
        """Writes past Python's buffer, whose lock a reader that stands still would keep from the report."""
        data = "".join(lines).encode(self._encoding, "backslashreplace")
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()
            while data:
                data = data[os.write(self._file.fileno(), data) :]
        return not data

    def _line(self, event: Event, following: Following) -> list[Words]:
        if isinstance(event, LeftOut):
            return [Words(f"... {count(event.calls, 'call')} left out: more than could be written", "yellow")]
        head = [
            Words(f"{(event.at - (following.begin or 0)) / 1e9:{_TIME}.6f} "),
            Words(self._name(event.thread) + " ", "cyan"),
        ]
        if isinstance(event, Ended):
            return head + call_words(event, following.names)
        if isinstance(event, UnderWay):
            return head + _under_way(event)
        return [*head, Words(" " * _TOOK + " "), Words(f"--- {_deed(event)}", "bold")]

    def _name(self, thread: Who) -> str:
        name = f"{visible(thread.name)} {thread.tid}"
        return name if self._width and self._width < _WIDE else name.ljust(_NAME)

    def _laid_out(self, parts: Sequence[Words]) -> list[str]:
        """The lines of an event, coloured, each with its end."""
        if self._width is not None and sum(len(part.text) for part in parts) > self._width:
            return [line + "\n" for line in self._broken(parts)]
        return ["".join(self._styled(part.text, part.style) for part in parts).rstrip() + "\n"]

    def _broken(self, parts: Sequence[Words]) -> Iterator[str]:
        """The text in lines of the terminal's width; each character keeps its style."""
        plain = _UNIT.sub("\u00a0", "".join(part.text for part in parts))
        styles = [part.style for part in parts for _ in part.text]
        at = 0
        for line in textwrap.wrap(plain, self._width or 80, subsequent_indent=" " * (_TIME + 3), drop_whitespace=True):
            text = line.lstrip() if at else line
            start = plain.index(text, at) if text in plain[at:] else at
            indent = line[: len(line) - len(text)]
            at = start + len(text)
            yield indent + self._runs(text.replace("\u00a0", " "), styles[start:at])

    def _runs(self, text: str, styles: Sequence[str]) -> str:
        found, since = [], 0
        for index in range(1, len(text) + 1):
            if index == len(text) or styles[index] != styles[since]:
                found.append(self._styled(text[since:index], styles[since]))
                since = index
        return "".join(found)

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if style and self._coloured else text


def _heading(at: int) -> str:
    now = time.time() - (clock.now_ns() - at) / 1e9
    since = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03}"
    return f"seconds since {since}, thread and its id, time in the call, call = result; parts of the time"


def _deed(event: Began | Executed | Gone) -> str:
    if isinstance(event, Began):
        if event.creator is None:
            return "is followed from here on"
        what = "process" if event.thread.pid != event.creator.pid else "thread"
        return f"begins: a {what} that {visible(event.creator.name)} {event.creator.tid} made"
    if isinstance(event, Executed):
        return f"executes {visible(event.thread.name)}"
    return _end(event.ending, event.thread)


def _end(ending: Ending, thread: Who) -> str:
    if ending.signal:
        known = {int(number) for number in signal.Signals}
        name = signal.Signals(ending.signal).name if ending.signal in known else f"signal {ending.signal}"
        return f"killed by {name}" + (", core dumped" if ending.core else "")
    return f"ends with status {ending.status}" if thread.tid == thread.pid else "ends"


# -- a call -------------------------------------------------------------------------------------------------------------


def call_words(event: Ended, names: Names) -> list[Words]:
    """The call with its duration, arguments, result and phases."""
    call = event.call
    took = "-" if call.refused else duration(call.total)
    slow = call.total - call.wait >= _SLOW
    parts = [Words(took.rjust(_TOOK) + " ", "yellow" if slow else "")]
    parts += [Words(visible(call.name), "bold"), Words(f"({arguments(call, event.socket)})"), *_result(call)]
    phases = "; ".join(_phases(call, event.slept, names))
    return parts + ([Words(f"; {phases}", "dim")] if phases else [])


def _under_way(event: UnderWay) -> list[Words]:
    """What a thread has been in, if nothing has come for a while."""
    parts = [Words(duration(event.at - event.since).rjust(_TOOK) + " ")]
    if event.burst:
        made = f"{event.burst.count:,} times in a row until now"
        call = [Words(visible(event.burst.name), "bold"), Words(f"({arguments(event.burst)})")]
        return [*parts, *call, *_result(event.burst), Words(f"; {made}", "dim")]
    where = f"in {visible(event.call)}, which has not ended" if event.call else "outside calls"
    others = f"; {count(event.others, 'other thread')} of that name, too" if event.others else ""
    return [*parts, Words(f"asleep until now on {event.queue}, {where}{others}", "dim")]


def _result(call: Call) -> list[Words]:
    if call.result is None:
        why = "under way at the end" if call.open else "never returned"
        return [Words(f" = ? ({why})", "red" if call.open else "")]
    if call.errno:
        if call.errno.startswith("ERESTART"):
            return [Words(" = ? "), Words(f"{call.errno} (interrupted by a signal)", "yellow")]
        return [Words(" = -1 "), Words(call.errno, "red")]
    if flags := result_words(call):
        return [Words(f" = {call.result:#x} ({flags})")]
    wide = call.name in _ADDRESSES
    return [Words(f" = {call.result & 0xFFFFFFFFFFFFFFFF:#x}" if wide else f" = {call.result}")]


_ANSWERS: dict[AnsweredBy | None, str] = {
    AnsweredBy.FILTER: "answered by a seccomp filter",
    AnsweredBy.SUPERVISOR: "answered by the seccomp supervisor",
    AnsweredBy.TRACER: "answered by a tracer",
    AnsweredBy.SIGNAL: "a signal ended the thread before the call began",
}
_ADDRESSES = {"mmap", "brk", "mremap", "shmat"}


def _phases(call: Call, slept: Sequence[tuple[Sleep, Cause]], names: Names) -> Iterator[str]:
    if call.count > 1:
        yield f"{call.count:,} times in a row, the longest {duration(call.longest)}"
    if call.refused:
        yield _ANSWERS.get(call.answered_by, "answered before it began")
    yield from _asleep(slept, names)
    if call.sched_delay:
        yield f"{duration(call.sched_delay)} for a CPU"
    if call.preempted:
        yield f"{duration(call.preempted)} preempted"
    if call.copy:
        yield f"{duration(call.copy)} copying" + (" at most" if call.late else "")


def _asleep(slept: Sequence[tuple[Sleep, Cause]], names: Names) -> Iterator[str]:
    """The sleeps, those on one queue that ended alike together, the longest first."""
    groups: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for sleep, cause in slept:
        groups[sleep.queue, visible(words(cause, names)) if cause.chain else ""].append(sleep.wait)
    ordered = sorted(groups.items(), key=lambda group: -sum(group[1]))
    for (queue, by), waits in ordered[:_SLEEPS]:
        number = f" in {count(len(waits), 'sleep')}" if len(waits) > 1 else ""
        yield f"asleep {duration(sum(waits))}{number} on {queue}" + (f", woken by {by}" if by else "")
    if rest := [wait for _, waits in ordered[_SLEEPS:] for wait in waits]:
        yield f"asleep {duration(sum(rest))} in {count(len(rest), 'other sleep')}"
