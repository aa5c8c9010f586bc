"""A program while it runs: on a terminal one screen that changes every second; elsewhere lines every second. Then a summary."""

from __future__ import annotations

import contextlib
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import IO

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from findings.live import Interval, LiveGroup, LiveWait, noun
from probes.words import count, visible
from reports.terminal.screen import Column, Screen, figures, note, printing, screen, section
from reports.wakers import most
from reports.words import duration, share, size

_WAITS = 2  # of a group, in the view of a second
_ALL_WAITS = 5  # in the summary
_CALLS = 4
_IDS = 4
_LEAST = 0.01  # of the time of a group: shorter waits are left out of the view of a second
_AROUND = 5  # lines of the view that no group uses
_COLUMNS = (Column("CPU"), Column("run queue"), Column("asleep"), Column("calls/s"), Column("errors/s"), Column("bytes/s"))


class View:
    """Where the intervals of one program are shown. `live` is None where the stream is no terminal."""

    def __init__(self, file: IO[str], title: str, live: Live | None) -> None:
        self._file, self._title, self._live = file, visible(title), live
        self._since: int | None = None

    def show(self, interval: Interval) -> None:
        """One interval, in the place of the one before, or below it."""
        self._since = interval.since if self._since is None else self._since
        at = duration(interval.until - self._since)
        if self._live:
            self._live.update(screenful(interval, f"{self._title}: {at}", *shutil.get_terminal_size()), refresh=True)
            return
        for line in lines(interval):
            self._file.write(f"{at}  {line}\n")
        self._file.flush()

    def summary(self, whole: Interval) -> None:
        """All of the time."""
        with printing(self._file) as out:
            write_summary(out, whole, self._title)


@contextlib.contextmanager
def view(file: IO[str], title: str) -> Iterator[View]:
    """The view into a stream. On a terminal, the last screen stays when it ends."""
    if not file.isatty():
        yield View(file, title, None)
        return
    with Live(console=screen(file), auto_refresh=False, redirect_stdout=False, redirect_stderr=False) as live:
        yield View(file, title, live)


# -- a second ---------------------------------------------------------------------------------------------------------


def screenful(interval: Interval, title: str, columns: int, rows: int) -> RenderableType:
    """The groups that fit into so many rows, the busiest first. A long line goes on in the next row, so no word is cut."""
    shown: list[RenderableType] = []
    left, hidden = rows - _AROUND, 0
    for group in interval.groups:
        waits = [_wait(wait, group, interval) for wait in _main_waits(group)]
        heading = _rows(name_of(group), columns, 0)
        below = [row for line in [_figures(group, interval), *waits] for row in _rows(line, columns, 2)]
        if len(heading) + len(below) > left:
            hidden += 1
            continue
        left -= len(heading) + len(below)
        shown += [Text(row, style="bold") for row in heading] + [Text(row) for row in below]
    head = [Text(row, style="bold reverse") for row in _rows(title, columns, 0)[:1]]
    tail = [Text(f"{count(hidden, 'more group')}: a larger window shows more", style="dim")] if hidden else []
    return Group(*head, *shown, *tail)


def _rows(line: str, columns: int, indent: int) -> list[str]:
    """A line in rows of the window."""
    blanks = " " * indent
    return textwrap.wrap(visible(line), columns, initial_indent=blanks, subsequent_indent=blanks * 2) or [""]


def lines(interval: Interval) -> Iterator[str]:
    """One line for each group, for files and pipes."""
    for group in interval.groups:
        waits = [_wait(wait, group, interval) for wait in _main_waits(group)]
        yield visible(f"{name_of(group)}: {'; '.join([_figures(group, interval), *waits])}")
    if not interval.groups:
        yield "no thread is followed"


def _figures(group: LiveGroup, interval: Interval) -> str:
    """The figures in words: "CPU 12.0 %, run queue 1.0 %, asleep 87.0 %, 1,204 calls/s, 1.20 MB/s"."""
    cpu, run_queue, asleep, calls, errors, moved = cells(group, interval)
    words = [f"CPU {cpu}", f"run queue {run_queue}", f"asleep {asleep}", f"{calls} calls/s"]
    words += [f"{errors} errors/s"] if group.errors else []
    return ", ".join(words + ([f"{moved}/s"] if group.bytes else []))


def _main_waits(group: LiveGroup) -> Sequence[LiveWait]:
    return [wait for wait in group.waits[:_WAITS] if wait.ns >= _LEAST * group.wall]


def name_of(group: LiveGroup) -> str:
    """The threads of a group in words: "nginx: 2 workers (701, 702)", "mysqld: 4 idle threads connection-N (812)"."""
    number = group.alive or group.threads
    ended = "" if group.alive else ", ended"
    name = "" if group.name == group.process else f" {group.name}"
    ids = ", ".join(map(str, group.pids[:_IDS])) + (f" and {len(group.pids) - _IDS} more" if len(group.pids) > _IDS else "")
    return f"{group.process}: {count(number, noun(group.role))}{name} ({ids}{ended})"


def cells(group: LiveGroup, interval: Interval) -> list[str]:
    """The figures of a group, in the order of the columns. CPU: 100 % is one CPU; asleep: the mean of the threads."""
    seconds = max(interval.ns, 1) / 1e9
    return [
        share(group.cpu, interval.ns) if group.cpu <= interval.ns else f"{100 * group.cpu / interval.ns:,.0f} %",
        share(group.run_queue, group.wall),
        share(group.asleep, group.wall),
        rate(group.calls / seconds),
        rate(group.errors / seconds) if group.errors else "-",
        size(round(group.bytes / seconds)) if group.bytes else "-",
    ]


def rate(number: float) -> str:
    """A number a second.

    >>> rate(0), rate(0.4), rate(1234.5)
    ('0', '0.4', '1,234')
    """
    return f"{number:,.0f}" if not number or number >= 10 else f"{number:.1f}"


def _wait(wait: LiveWait, group: LiveGroup, interval: Interval) -> str:
    """A wait in words: its share of the time, the call, the queue, and what woke the threads."""
    where = f"{wait.call} on {wait.queue}" if wait.call else f"outside calls on {wait.queue}"
    if wait.ended:
        rest = f"{count(wait.ended, 'sleep')}, {most(wait.ended_by, lambda serial: _task(interval, serial))}"
    else:
        rest = "no sleep ended"
    return f"{share(wait.ns, group.wall)} in {where}: {rest}"


def _task(interval: Interval, serial: int) -> str:
    return interval.names.get(serial, "a thread that has ended")


# -- all of the time --------------------------------------------------------------------------------------------------


def write_summary(out: Screen, whole: Interval, title: str) -> None:
    """All groups with their figures, waits and calls."""
    section(out, f"{title}: {duration(whole.ns)}")
    if not whole.groups:
        note(out, "no thread was followed")
        return
    figures(out, "threads", _COLUMNS, [[name_of(group), *cells(group, whole)] for group in whole.groups])
    for group in whole.groups:
        section(out, name_of(group))
        for wait in group.waits[:_ALL_WAITS]:
            out.print(Text(_wait(wait, group, whole)))
        if group.named_calls:
            named = ", ".join(f"{name} {number:,}" for name, number in group.named_calls[:_CALLS])
            more = len(group.named_calls) - _CALLS
            out.print(Text(f"calls: {named}" + (f" and {count(more, 'other system call')}" if more > 0 else "")))
    if whole.unlisted:
        note(out, f"{count(whole.unlisted, 'call')} of threads without an account of their own are in no group")
    note(out, "CPU: 100 % is one CPU. run queue, asleep: the share of the lives of the threads. Counts are exact.")
