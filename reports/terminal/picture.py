"""One message as a picture: client, kernel and server as lanes, phase 1 and phase 2 above them, the steps in words below.

The picture is to scale from the moment the client sends; the sleep before it is a broken line of fixed length. Each column of
the server's lane shows what the thread did for most of that time. `draw` returns rich Text lines, so that tests can read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from findings.pictures.scene import Scene
from findings.spans import overlap
from probes.measure.result import Call
from probes.words import count, visible
from reports.terminal.screen import Screen, note, section
from reports.terminal.states import STATES
from reports.terminal.steps import steps
from reports.words import duration

_LABEL, _BROKEN = 9, 18  # columns: the lane's name, the sleep that is not to scale
_CALL_ROWS = 4  # rows for the names of the calls
_WORTH_TELLING = 2_000  # ns
_QUEUES = {
    "epoll": "[epoll's own queue", "select": "[all fds' queues", "poll": "[all fds' queues", "signal": "[no queue",
    "timer": "[no queue", "native aio": "[AIO's queue",
}  # fmt: skip


def show(scene: Scene, out: Screen) -> None:
    """The section: picture, legend, steps."""
    section(out, f"one message of {scene.message.bytes:,} B, to scale from {'ready' if scene.sent is None else 'send'} on")
    note(out, which(scene))
    for line in draw(scene, out.width, out.plain):
        out.print(line, no_wrap=True, overflow="crop")
    out.print(legend(out.width, out.plain))
    out.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", width=10, style="bold")
    grid.add_column(overflow="fold")
    for at, words in steps(scene):
        grid.add_row(duration(at) if at else "0", Text(visible(words)))
    out.print(grid)
    if scene.message.probed > _WORTH_TELLING:
        note(out, f'subtracted after "woken": {duration(scene.message.probed)} (the probe\'s own work)')


def which(scene: Scene) -> str:
    """Which message it is."""
    if scene.slept_for:
        return f"the median of the {scene.median_of:,} messages (of {scene.messages:,}) that found the thread asleep"
    return f"the median of {count(scene.median_of, 'message')}"


@dataclass(frozen=True)
class Scale:
    """The columns of the picture: where a moment lies."""

    start: int
    step: float  # ns in one column
    columns: int

    def column(self, at: int) -> int:
        """The column of a moment; the first or the last for one outside."""
        return min(max(int((at - self.start) / self.step), 0), self.columns - 1)


def draw(scene: Scene, width: int, ascii_only: bool = False) -> list[Text]:
    """The lanes, `width` columns wide (at least 60)."""
    columns = width - _LABEL - _BROKEN - 1
    scale = Scale(scene.start, max((scene.end - scene.start) / columns, 1), columns)
    lines = _phases(scene, scale, ascii_only)
    lines.append(_client(scene, scale))
    lines += _kernel(scene, scale, ascii_only)
    lines.append(_server(scene, scale, ascii_only))
    return lines + _calls(scene, scale)


def _lane(label: str) -> Text:
    return Text(label.ljust(_LABEL), style="bold")


def _phases(scene: Scene, scale: Scale, ascii_only: bool) -> list[Text]:
    message = scene.message
    bar, left, right = ("-", "|", "|") if ascii_only else ("─", "├", "┤")
    # a completion announces data that was copied before: then phase 1 ends where the copying began
    begin = message.read if message.notified >= message.copied else max(message.read, message.notified)
    notified, first = scale.column(min(message.notified, begin)), scale.column(begin)
    last = scale.column(message.returned)
    wait = Text(" " * _LABEL, style="bold")
    wait.append(left + " phase 1: wait for data ".center(_BROKEN + notified - 1, bar) + right)
    copy = Text(" " * _LABEL, style="bold green")
    copy.append("phase 2: copy to the process ".rjust(_BROKEN + first) + left + bar * max(last - first - 1, 0) + right)
    return [wait, copy]


def _client(scene: Scene, scale: Scale) -> Text:
    line = _lane("client")
    if scene.sent is not None:
        line.append(" " * (_BROKEN + scale.column(scene.sent)))
        return line.append("|send", style="bold")
    before = scene.sent_long_before
    words = "(send time not known)" if before is None else f"(sent {duration(scene.message.ready - before)} before)"
    return line.append(" " * _BROKEN + words[: scale.columns], style="dim")


def _kernel(scene: Scene, scale: Scale, ascii_only: bool) -> list[Text]:
    """The wait queue while the thread sleeps, the wake-up, and the copy; a second line for what has no room in the first."""
    message, sleep, at_start = scene.message, scene.sleep_when_ready, scene.sleep_at_start
    ready = scale.column(message.ready)
    marks = [(ready, "|ready", "bold")]
    if sleep and scale.column(sleep[1].woken) > ready:
        marks.append((scale.column(sleep[1].woken), "|woken", "bold yellow"))
    if message.arrivals > 1 and message.all_ready is not None:
        marks.append((scale.column(message.all_ready), "|all ready", "bold"))
    marks.append((scale.column(message.copied), "|copied", "bold green"))
    marks.sort(key=lambda mark: mark[0])
    first, second = [(0, ("=" if ascii_only else "━") * ready, "red")], list[tuple[int, str, str]]()
    for at, words, style in marks:
        at = min(at, scale.columns - len(words))
        row = first if at >= first[-1][0] + len(first[-1][1]) else second
        if row is second and second and at < second[-1][0] + len(second[-1][1]) + 1:
            continue  # no room in either line; the steps below name the moment
        row.append((at, words, style))
    line, below = _lane("kernel"), Text(" " * (_LABEL + _BROKEN))
    line.append((_queue(at_start[1].queue) if at_start else "")[:_BROKEN].ljust(_BROKEN), style="blue")
    return [_marked(line, first), *([_marked(below, second)] if second else [])]


def _queue(name: str) -> str:
    return _QUEUES.get(name, visible(f"[{name}'s queue" if len(name) < 10 else f"[{name}"))


def _marked(line: Text, marks: Sequence[tuple[int, str, str]]) -> Text:
    """The line with each mark at its column."""
    begin = len(line.plain)
    for at, words, style in marks:
        line.append(" " * (begin + at - len(line.plain)))
        line.append(words, style=style)
    return line


def states(scene: Scene, scale: Scale) -> list[str]:
    """For each column the state in which the thread spent most of that time; a copy always gets its column."""
    spans = [span for call in scene.calls for span in _spans(call)]
    row = []
    for index in range(scale.columns):
        low, high = scale.start + index * scale.step, scale.start + (index + 1) * scale.step
        time = dict.fromkeys(STATES, 0.0)
        time["user code"] = high - low
        for begin, end, state in spans:
            if common := overlap(begin, end, low, high):
                time[state] += common
                time["user code" if state == "kernel" else "kernel"] -= common
                if state == "copy" and low <= begin < high:
                    time[state] += high - low
        row.append(max(STATES, key=lambda state: time[state]))
    return row


def _spans(call: Call) -> list[tuple[int, int, str]]:
    """What the thread did in a call: (from, to, state); the call itself first, as the others lie in it."""
    spans = [(call.enter, call.exit, "kernel")]
    for sleep in call.sleeps:
        spans += [(sleep.off, sleep.woken, "asleep"), (sleep.woken, sleep.on, "run queue")]
    if call.copied and call.copy:
        spans.append((call.copied - call.copy, call.copied, "copy"))
    return spans


def _server(scene: Scene, scale: Scale, ascii_only: bool) -> Text:
    line = _lane("server")
    if at_start := scene.sleep_at_start:
        asleep = STATES["asleep"]
        glyph = asleep.ascii if ascii_only else asleep.glyph
        how_long = f" {duration(at_start[1].wait)} "
        pad = _BROKEN - len(how_long) - 2
        line.append(glyph * (pad // 2) + "//" + how_long + glyph * (pad - pad // 2), style=asleep.style)
    else:
        line.append("not asleep".ljust(_BROKEN), style="dim")
    for name in states(scene, scale):
        state = STATES[name]
        line.append(state.ascii if ascii_only else state.glyph, style=state.style)
    return line


def _calls(scene: Scene, scale: Scale) -> list[Text]:
    """The names of the calls under the columns where they start, in as many rows as they need."""
    rows: list[list[str]] = []
    for call in scene.calls:
        inside = call.enter >= scene.start
        name = visible(f"|{call.name}" if inside else call.name)
        at = _BROKEN + scale.column(call.enter) if inside else 0
        at = max(min(at, _BROKEN + scale.columns - len(name)), 0)
        for row in rows:
            if not "".join(row[max(at - 1, 0) : at + len(name) + 1]).strip():
                break
        else:
            row = [" "] * (_BROKEN + scale.columns)
            rows.append(row)
        row[at : at + len(name)] = list(name)
    return [Text(" " * _LABEL + "".join(row).rstrip(), style="dim") for row in rows[:_CALL_ROWS]]


def legend(width: int, ascii_only: bool = False) -> Text:
    """What the glyphs of the server's lane mean; below the lane where the width allows it."""
    line = Text()
    for name, state in STATES.items():
        if name == "preempted":  # its length is known, but not its place; the steps below the picture name it
            continue
        line.append((state.ascii if ascii_only else state.glyph) * 2, style=state.style)
        line.append(f" {name}  ", style="dim")
    line.rstrip()
    return Text(" " * max(min(_LABEL, width - len(line)), 0)).append_text(line)
