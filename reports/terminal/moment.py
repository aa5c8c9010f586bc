"""The moment of a fault as a small picture: the thread's lane with its calls, and below it the data that waited, to scale.

`draw` returns rich Text lines, so that tests can read them; the page for a browser shows the same lines.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence, Set

from rich.text import Text

from findings.pictures.figure import Doing
from findings.pictures.moment import Fate, Moment, Named, Waiting
from findings.spans import overlap
from probes.words import count, visible
from reports.terminal.picture import Scale
from reports.terminal.states import STATES
from reports.words import duration

_LABEL, _CALL_ROWS = 11, 2  # columns of a lane's name; rows of calls
_WAITS = ("░", "%")


def draw(moment: Moment, width: int, ascii_only: bool = False) -> list[Text]:
    """The picture, `width` columns wide (40 at least)."""
    columns = max(width, 40) - _LABEL
    scale = Scale(moment.begin, max((moment.end - moment.begin) / columns, 1), columns)
    lane = _doing(moment, scale)
    lines = [_title(moment, width), _thread(moment, lane, scale, ascii_only), *_calls(moment, scale)]
    lines += [_waiting(each, moment, scale, ascii_only) for each in moment.waiting]
    if moment.more:
        lines.append(Text(" " * _LABEL + f"and {moment.more:,} more", style="dim"))
    return [*lines, *_legend(set(lane), columns, ascii_only)]


def _title(moment: Moment, width: int) -> Text:
    took = duration(moment.end - moment.begin)
    if moment.listened is None:
        return Text(f"{took} of the server, to scale", style="dim")
    since = f"{max(moment.begin - moment.listened, 0) / 1e9:.3f} s"
    words = f"{took} of the server, from {since} after it began to listen, to scale"
    return Text(words if len(words) <= width else f"{took}, from {since} after listen(), to scale", style="dim")


def _lane(label: str) -> Text:
    return Text(visible(label)[: _LABEL - 1].ljust(_LABEL), style="bold")


def _doing(moment: Moment, scale: Scale) -> list[Doing]:
    """For each column what the thread did for most of that time."""
    time: list[dict[Doing, float]] = [{Doing.USER: scale.step} for _ in range(scale.columns)]
    for span in moment.spans:
        for column in range(scale.column(span.begin), scale.column(span.end) + 1):
            low = scale.start + column * scale.step
            if common := overlap(span.begin, span.end, low, low + scale.step):
                time[column][span.doing] = time[column].get(span.doing, 0) + common
                time[column][Doing.USER] -= common
    return [max(each, key=lambda doing: each[doing]) for each in time]


def _thread(moment: Moment, lane: Sequence[Doing], scale: Scale, ascii_only: bool) -> Text:
    line = _lane(f"thread {moment.tid}")
    ended = _ended(moment)
    until = min(scale.column(moment.lived_until), scale.columns - len(ended)) if ended else scale.columns
    for doing in lane[:until]:
        state = STATES[doing]
        line.append(state.ascii if ascii_only else state.glyph, style=state.style)
    return line.append(ended, style="bold red")


def _ended(moment: Moment) -> str:
    """How the thread ended in the moment; "" if it did not."""
    if moment.ended_by is None:
        return ""
    number = moment.ended_by.signal
    if number in set(signal.Signals):
        return f"|{signal.Signals(number).name}"
    return f"|signal {number}" if number else f"|exit {moment.ended_by.status}"


def _calls(moment: Moment, scale: Scale) -> list[Text]:
    """The calls under the columns where they begin: the longest with its sleep, the others by name where there is room."""
    rows = [" " * scale.columns for _ in range(_CALL_ROWS)]
    for place, call in enumerate(moment.calls):
        for text in _first(call) if place == 0 else (f"|{call.name}",):
            at = min(scale.column(call.begin), max(scale.columns - len(text), 0))
            row = next((row for row in range(_CALL_ROWS) if not rows[row][max(at - 1, 0) : at + len(text) + 1].strip()), None)
            if row is not None and len(text) <= scale.columns:
                rows[row] = rows[row][:at] + text + rows[row][at + len(text) :]
                break
    return [Text(" " * _LABEL + visible(row.rstrip()), style="dim") for row in rows if row.strip()]


def _first(call: Named) -> tuple[str, ...]:
    """The longest call in words, from the longest text to the shortest."""
    on = f" on descriptor {call.fd}" if call.fd is not None else ""
    if call.count > 1:
        return f"|{call.name}{on}, {count(call.count, 'time')}", f"|{call.name}"
    if not call.asleep:
        return f"|{call.name}{on}", f"|{call.name}"
    slept = f"asleep for {duration(call.asleep)}"
    return f"|{call.name}{on}: {slept}, {call.queue}", f"|{call.name}{on}: {slept}", f"|{call.name}: {slept}", f"|{call.name}"


def _waiting(each: Waiting, moment: Moment, scale: Scale, ascii_only: bool) -> Text:
    """A line of data: from its arrival to its read, with how long that was."""
    line = _lane(f"client {each.client}" if each.client else "" if each.fd is None else f"fd {each.fd}")
    begin, last = scale.column(each.begin), scale.column(moment.end if each.end is None else each.end)
    took = (moment.end if each.end is None else min(each.end, moment.end)) - each.begin
    words = str(each.fate) if each.fate in (Fate.SILENT, Fate.READS_NOTHING) else f"{each.fate} for {duration(took)}"
    edge = "<" if each.begin < moment.begin else "|"  # "<": it began before the picture does
    said = f"{edge}{each.bytes:,} B " if each.bytes else f"{edge}connects "
    glyph = _WAITS[ascii_only]
    line.append(" " * min(begin, max(scale.columns - len(said) - len(words) - 1, 0)))
    line.append(said, style="bold")
    room = last - (len(line) - _LABEL) - len(words) - 1
    left = max(room // 2, 0)
    style = "yellow" if each.fate in (Fate.UNREAD, Fate.NO_REPLY) else "dim"
    line.append(f"{glyph * left}{' ' if left else ''}{words} {glyph * max(room - left - 1, 0)}", style=style)
    if each.end is not None and each.end <= moment.end and len(line) - _LABEL <= scale.columns - 5:
        line.append("|read", style="bold")
    return line


def _legend(shown: Set[Doing], columns: int, ascii_only: bool) -> list[Text]:
    """What the glyphs of these states mean, in as many lines as they need."""
    lines = [Text()]
    entries = [(_WAITS[ascii_only] * 2, "yellow", "waits")]
    entries += [
        ((state.ascii if ascii_only else state.glyph) * 2, state.style, name) for name, state in STATES.items() if name in shown
    ]
    for glyphs, style, name in entries:
        if len(lines[-1]) + len(glyphs) + len(name) + 1 > columns:
            lines.append(Text())
        lines[-1].append(glyphs, style=style).append(f" {name}  ", style="dim")
    return [Text(" " * _LABEL).append_text(line) for line in lines]
