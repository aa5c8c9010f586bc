"""A window of the run as lanes: a letter in each cell for what the thread did, the names of the calls, wake-ups and messages.

`draw` returns rich Text lines, so that tests can read them.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text

from findings.pictures.lanes import Lane, Phase, Woken
from findings.pictures.timeline import Band, Cell, Timeline, Window, awake_threads, cells, main_phase, worked
from probes.measure.queues import place
from probes.words import count, visible
from reports import moments, wakers
from reports import timeline as sentences
from reports.terminal.screen import Screen, note, section
from reports.words import duration
from runs.report import Report

_LANES = 12
_LABEL, _WIDE_LABEL, _WIDE = 20, 26, 100  # columns: of a lane's name; on a screen that is so wide
_TICK = 11  # columns between two ticks at least
_LISTED = 9  # wake-ups that the list below the lanes has
_CAUSES = 4
_DENSE = 4  # marks for one in so many columns: more are left out
_ASLEEP_BUT_WORKED = ","
_BETWEEN = "   "  # two signs of the legend
_MARKS = string.digits[1:] + string.ascii_lowercase


@dataclass(frozen=True)
class Letter:
    """How a phase is shown."""

    letter: str
    style: str


LETTERS = {
    Phase.ASLEEP: Letter(".", "blue"),
    Phase.RUN_QUEUE: Letter("r", "yellow reverse"),
    Phase.PREEMPTED: Letter("p", "magenta reverse"),
    Phase.COPY: Letter("c", "bold green reverse"),
    Phase.KERNEL: Letter("k", "red reverse"),
    Phase.USER: Letter("u", "reverse"),
    Phase.BURST: Letter("b", "cyan reverse"),
    Phase.NOT_RECORDED: Letter("?", "dim"),
}


def show(report: Report, window: Window | None, out: Screen) -> None:
    """The section: which window, the lanes, what the letters mean, the wake-ups, how to zoom."""
    found = report.timeline
    chosen = window or found.telling
    section(out, f"timeline: {_window_words(found, chosen)}")
    note(out, _which(found, chosen, window is not None))
    bands = found.bands(chosen, _LANES)
    if not bands:
        note(out, "no thread lived in this window", "")
        return
    drawing = Drawing(report, found, chosen, bands, out.width)
    for line in drawing.lines():
        out.print(line, no_wrap=True, overflow="crop")
    out.print()
    for line in drawing.legend(out.width):
        out.print(line)
    _not_recorded(found, chosen, bands, out)
    drawing.list_wake_ups(out)
    _zoom(found, chosen, out)


def _window_words(found: Timeline, window: Window) -> str:
    step = max(window.span // 100, 1)
    begin, end = window.begin - found.run.begin, window.end - found.run.begin
    whole = "" if window == found.run else f" ({duration(window.span)} of {duration(found.run.span)})"
    return f"{moments.moment(begin, step)} to {moments.moment(end, step)}{whole}"


def _which(found: Timeline, window: Window, named: bool) -> str:
    if named:
        return "the part that --from and --to name; times are from the start of the run"
    if window == found.typical:
        return "the message of the picture, with what came before and after; times are from the start of the run"
    return "the whole run"


def _not_recorded(found: Timeline, window: Window, bands: Sequence[Band], out: Screen) -> None:
    """A sentence about what is not known of the window."""
    shown = [lane for band in bands for lane in (*band.lanes, *band.folded)]
    if not (words := sentences.not_recorded(found, shown, window, LETTERS[Phase.NOT_RECORDED].letter)):
        return
    note(out, words, "yellow")
    if found.details:
        ends = [(max(begin - found.run.begin, 0), end - found.run.begin) for begin, end in found.details[:_CAUSES]]
        parts = [f"{moments.moment(begin, 1_000_000)} to {moments.moment(end, 1_000_000)}" for begin, end in ends]
        more = f" and {count(len(found.details) - len(parts), 'later window')}" if len(found.details) > len(parts) else ""
        note(out, f"recorded one by one: {', '.join(parts)}{more}")


def _zoom(found: Timeline, window: Window, out: Screen) -> None:
    """How to see more, and less."""
    step = max(window.span // 10, 1)
    begin, end = (at - found.run.begin for at in (window.begin + window.span // 4, window.end - window.span // 4))
    words = f"to zoom in: --from {moments.typed(begin, step)} --to {moments.typed(end, step)}"
    if window != found.run:
        words += "; the whole run: --from 0 --to end"
    note(out, words)


class Drawing:
    """The lanes of one window on a screen of so many columns."""

    def __init__(self, report: Report, found: Timeline, window: Window, bands: Sequence[Band], width: int) -> None:
        self._report, self._found, self._window, self._bands = report, found, window, bands
        self._label = _WIDE_LABEL if width >= _WIDE else _LABEL
        self.columns = width - self._label - 1
        self._lanes = [lane for band in bands for lane in band.lanes]
        self._cells = {lane.thread.serial: cells(lane, window, self.columns) for lane in self._lanes}
        self._woken = found.wake_ups(self._lanes, window)
        self._marks = dict(zip(map(id, self._woken), _MARKS, strict=False)) if len(self._woken) <= len(_MARKS) else {}
        self._shown: set[Phase] = set()
        self._also: dict[str, str] = {}  # signs of the legend beside the phases

    def lines(self) -> Iterable[Text]:
        """The axis and the lanes."""
        yield from self._axis()
        for band in self._bands:
            if len(self._bands) > 1 or band.folded:
                yield Text(visible(self._report.labels.group(band.group)), style="bold")
            for lane in band.lanes:
                yield from self._lane(lane)
            if band.folded:
                yield self._folded(band)

    def _axis(self) -> Iterable[Text]:
        begin = self._window.begin - self._found.run.begin
        line = [" "] * self.columns
        for at, label in moments.ticks(begin, begin + self._window.span, max(self.columns // _TICK, 1)):
            column = (at - begin) * self.columns // max(self._window.span, 1)
            words = f"|{label}"
            if column + len(words) <= self.columns and not "".join(line[column : column + len(words)]).strip():
                line[column : column + len(words)] = words
        yield self._row("", Text("".join(line), style="dim"))

    def _row(self, label: str, cells: Text) -> Text:
        return Text(label[: self._label].ljust(self._label + 1)).append_text(cells)

    def _lane(self, lane: Lane) -> Iterable[Text]:
        if marks := self._marked(lane):
            yield self._row("", marks)
        thread = lane.thread
        room = self._label - len(str(thread.tid)) - 1
        line = Text()
        for cell in self._cells[thread.serial]:
            line.append(*self._sign(cell))
        yield self._row(f"{visible(thread.name)[:room]} {thread.tid}", line)
        if names := self._names(lane):
            yield self._row("", names)

    def _sign(self, cell: Cell) -> tuple[str, str]:
        """The letter of a cell, and its style."""
        phase = main_phase(cell)
        if phase is None:
            return " ", ""
        if phase is Phase.ASLEEP and worked(cell):
            self._also[_ASLEEP_BUT_WORKED] = "asleep for most of the cell, with work in between"
            return _ASLEEP_BUT_WORKED, LETTERS[phase].style
        self._shown.add(phase)
        return LETTERS[phase].letter, LETTERS[phase].style

    def _folded(self, band: Band) -> Text:
        """Several threads in one lane: how many of them worked in each cell."""
        columns = [cells(lane, self._window, self.columns) for lane in band.folded]
        line = Text()
        for number in awake_threads(columns):
            sign = "?" if number is None else "." if not number else str(number) if number < 10 else "+"
            line.append(sign, style=LETTERS[Phase.ASLEEP].style if sign == "." else "" if number else "dim")
        self._also["1-9 +"] = "in a lane of several threads: how many were awake in that cell (+ is 10 or more)"
        return self._row(f"{len(band.folded):,} more", line)

    def _column(self, at: int) -> int:
        return min(max((at - self._window.begin) * self.columns // max(self._window.span, 1), 0), self.columns - 1)

    def _marked(self, lane: Lane) -> Text | None:
        """Wake-ups by their number, and messages: data ready, data copied."""
        marks = [(woken.sleep.woken, self._marks.get(id(woken), "^"), "yellow") for woken in self._of(lane)]
        for message in self._found.messages_of(lane, self._window):
            marks += [(message.ready, "D", "bold"), (message.copied, "R", "bold green")]
        marks = [mark for mark in marks if self._window.begin <= mark[0] < self._window.end]
        if not marks or len(marks) * _DENSE > self.columns:
            return None
        row: dict[int, tuple[str, str]] = {}
        for at, sign, style in sorted(marks):
            column = self._column(at)
            row[column] = ("*", "bold") if column in row and row[column][0] != sign else (sign, style)
        for sign, words in (("D", "data ready"), ("R", "data read"), ("^", "woken"), ("*", "several of these in one cell")):
            if any(found == sign for found, _ in row.values()):
                self._also[sign] = words
        line = Text()
        for column in sorted(row):
            line.append(" " * (column - len(line)))
            line.append(*row[column])
        return line

    def _of(self, lane: Lane) -> list[Woken]:
        return [woken for woken in self._woken if woken.thread == lane.thread.serial]

    def _names(self, lane: Lane) -> Text | None:
        """The names of the calls that are wide enough."""
        line = ""
        for call, low, high in lane.calls_within(self._window.begin, self._window.end):
            column, room = self._column(low), self._column(high) - self._column(low)
            name = visible(call.name) if low < self._window.begin else f"|{visible(call.name)}"
            if len(name) <= room and len(line) <= column:
                line = line.ljust(column) + name
        return Text(line, style="dim") if line else None

    def legend(self, width: int) -> list[Text]:
        """What the letters mean; only those that were drawn, in lines of that width."""
        signs = [(how.letter, how.style, phase.words) for phase, how in LETTERS.items() if phase in self._shown]
        signs += [(sign, "bold", words) for sign, words in self._also.items()]
        found = [Text()]
        for sign, style, words in signs:
            if found[-1] and len(found[-1]) + len(_BETWEEN) + len(sign) + 1 + len(words) > width:
                found.append(Text())
            found[-1].append(_BETWEEN if found[-1] else "")
            found[-1].append(sign, style=style).append(f" {words}", style="dim")
        return found

    def list_wake_ups(self, out: Screen) -> None:
        """Who woke whom: one line each where they are few, else how many by each cause."""
        names: Callable[[int], str] = self._report.labels.waker
        if not self._woken:
            return
        if len(self._woken) > _LISTED:
            causes = wakers.together(((self._found.cause(woken), 1) for woken in self._woken), names)
            listed = "; ".join(f"{number:,} by {words}" for words, number in causes[:_CAUSES])
            more = f"; {count(len(causes) - _CAUSES, 'other cause')}" if len(causes) > _CAUSES else ""
            note(out, visible(f"{count(len(self._woken), 'wake-up')}: {listed}{more}"), "")
            return
        of = {thread.serial: thread for thread in self._report.whole.threads}
        step = max(self._window.span // 100, 1)
        for woken in self._woken:
            at = moments.moment(woken.sleep.woken - self._found.run.begin, step)
            by = wakers.words(self._found.cause(woken), lambda serial: self._report.labels.thread(of[serial]))
            slept = f"after {duration(woken.sleep.wait)} in {woken.call.name}, asleep {place(woken.sleep.queue)}"
            line = f"{at}: {self._report.labels.thread(of[woken.thread])} is woken by {by}, {slept}"
            out.print(Text.assemble((self._marks[id(woken)], "yellow"), f" {visible(line)}"))
