"""One message as a picture in the terminal: client, kernel and server as lanes, phase 1 and phase 2 above them.

From the moment the client sends, the picture is to scale; the long sleep before it is a broken line of fixed length. Each
column of the server's lane shows what the thread did for most of that time. Under it, the same in words, with offsets from
"data ready". The picture is plain data (a list of rich Text lines), so that tests can read it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from rich.text import Text

from probes.kernel import syscalls
from probes.measure.queues import place, sent_by_waker
from probes.measure.result import Call, Message, Result, Sleep
from reports.words import duration

# What a thread can be at: glyph, glyph where only ASCII can be shown, style. The same styles serve the tables.
STATES = {
    "asleep": ("·", ".", "blue"),
    "run queue": ("▒", ":", "yellow"),
    "preempted": ("x", "x", "magenta"),
    "kernel": ("━", "=", "red"),
    "copy": ("█", "#", "bold green"),
    "user code": ("─", "-", "default"),
}
_LABEL, _BROKEN = 9, 18
_QUEUES = {
    "epoll": "[epoll's own queue", "select": "[all fds' queues", "poll": "[all fds' queues", "signal": "[no queue",
    "timer": "[no queue", "native aio": "[AIO's queue",
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """One message with all that belongs to it."""

    message: Message
    calls: tuple[Call, ...]  # of the serving thread, from the one under way when the client sent to the echo
    sent: int | None  # when the client called send, if the client told
    end: int
    among: str = ""  # which messages it is the median of, if not of all
    far: int | None = None  # when it called send, if that was so long before that the picture can't hold it (over a link)


def choose(result: Result) -> Scene | None:
    """The most typical message: of those that the thread waited for, and whose sending is known if there are any, the median
    by ready -> in hand. None without any.
    """
    waited = [one for one in result.messages if _asleep_at(result, one)] or list(result.messages)
    waited = [one for one in waited if _sent(result, one)] or waited
    if not waited:
        return None
    among = f"the {len(waited)} that were slept for, of {len(result.messages)}" if len(waited) < len(result.messages) else ""
    waited.sort(key=lambda one: one.returned - one.ready)
    message = waited[len(waited) // 2]
    mine = [one for one in result.calls if one.thread == message.thread and one.histogram is None]
    writes = _echoes(mine, message)
    end = writes[0].exit if writes and writes[0].enter - message.returned < 20 * _span(message) else message.returned
    sent, far = _sent(result, message), None
    if sent is not None and "link" in result.context:
        if message.ready - sent > 3 * _span(message):
            sent, far = None, sent  # to scale, its way would leave no room for the rest
    elif sent is not None and message.ready - sent > 20 * _span(message):
        sent = None  # that was another message's
    start = min(sent or message.ready, message.ready)
    calls = tuple(one for one in mine if one.exit >= start and one.enter <= end)
    return _without_probe(Scene(message, calls, sent, end, among, far))


def _echoes(calls: Iterable[Call], message: Message) -> list[Call]:
    """The calls that wrote something to the message's own connection after it was in hand."""
    return [
        one
        for one in calls
        if one.name in syscalls.WRITES and one.bytes and one.enter >= message.returned and one.fd == message.fd
    ]


def _without_probe(scene: Scene) -> Scene:
    """The scene as if seeing the wake-up had cost nothing: the probe's own work in the waker (measured) is taken out.

    Walking the waker's stack may take longer than all the rest of the way from "ready" to "in hand".
    """
    cut = scene.message.probed
    at = next(
        (s.woken for c in scene.calls for s in c.sleeps if s.probed == cut and s.off <= scene.message.ready <= s.woken), None
    )
    if not cut or at is None:
        return scene
    woken = at

    def earlier(when: int) -> int:
        return when - cut if when >= woken else when

    def moved(call: Call) -> Call:
        sleeps = tuple(replace(s, off=earlier(s.off), woken=earlier(s.woken), on=earlier(s.on)) for s in call.sleeps)
        copied = earlier(call.copied) if call.copied else None
        return replace(call, enter=earlier(call.enter), exit=earlier(call.exit), copied=copied, sleeps=sleeps)

    message = replace(
        scene.message,
        notified=earlier(scene.message.notified),
        read=earlier(scene.message.read),
        copied=earlier(scene.message.copied),
        returned=earlier(scene.message.returned),
    )
    return Scene(message, tuple(map(moved, scene.calls)), scene.sent, earlier(scene.end), scene.among, scene.far)


def _span(message: Message) -> int:
    return max(message.returned - message.ready, 1_000)


def _asleep_at(result: Result, message: Message) -> bool:
    return message.notified > message.read or any(
        call.thread == message.thread and call.exit == message.notified and call.sleeps for call in result.calls
    )


def _sent(result: Result, message: Message) -> int | None:
    """When the client sent this message. On loopback the last send before "ready" was its; over a link others' may be later,
    and only an exchange that alone was under way from "ready" to "in hand" tells.
    """
    seen: Any = result.context.get("traffic_seen") or {}
    exchanges = [one for client in seen.get("clients", ()) for one in client["exchanges"]]
    if "link" not in result.context:
        return max((sent for sent, _echoed in exchanges if sent <= message.ready), default=None)
    around = [sent for sent, echoed in exchanges if sent <= message.ready and message.returned <= echoed]
    return around[0] if len(around) == 1 else None


def draw(scene: Scene, width: int, ascii_only: bool = False) -> list[Text]:
    """The picture, `width` columns wide (at least 60)."""
    message = scene.message
    start = min(scene.sent or message.ready, message.ready)
    columns = width - _LABEL - _BROKEN - 1
    step = max((scene.end - start) / columns, 1)

    def column(at: int) -> int:
        return min(max(int((at - start) / step), 0), columns - 1)

    sleep = _sleep_before(scene, start)
    lines = _phases(message, column, ascii_only)
    lines.append(_client(scene, column, columns))
    lines.append(_kernel(scene, sleep, column, columns, ascii_only))
    lines.append(_server(scene, sleep, start, step, columns, ascii_only))
    lines += _names(scene, column, columns)
    return lines


def _sleep_before(scene: Scene, start: int) -> tuple[Call, Sleep] | None:
    for call in scene.calls:
        for sleep in call.sleeps:
            if sleep.off <= scene.message.ready <= sleep.on or sleep.off <= start <= sleep.on:
                return call, sleep
    return None


def _lane(label: str, style: str = "bold") -> Text:
    return Text(label.ljust(_LABEL), style=style)


def _phases(message: Message, column: Any, ascii_only: bool) -> list[Text]:
    bar, left, right = ("-", "|", "|") if ascii_only else ("─", "├", "┤")
    # a completion tells of data that was copied before: then phase 1 ends where the copying began
    begin = message.read if message.notified >= message.copied else max(message.read, message.notified)
    told, first, last = column(min(message.notified, begin)), column(begin), column(message.returned)
    one = Text(" " * _LABEL, style="bold")
    one.append(left + " phase 1: wait for data ".center(_BROKEN + told - 1, bar) + right)
    two = Text(" " * _LABEL, style="bold green")
    label = "phase 2: copy to the process "
    two.append(label.rjust(_BROKEN + first) + left + bar * max(last - first - 1, 0) + right)
    return [one, two]


def _client(scene: Scene, column: Any, columns: int) -> Text:
    line = _lane("client")
    if scene.sent is None:
        words = f"(sent {duration(scene.message.ready - scene.far)} before)" if scene.far else "(its send is not known)"
        line.append(" " * _BROKEN + words[:columns], style="dim")
        return line
    line.append(" " * _BROKEN + " " * column(scene.sent))
    line.append("|send", style="bold")
    return line


def _kernel(scene: Scene, sleep: tuple[Call, Sleep] | None, column: Any, columns: int, ascii_only: bool) -> Text:
    """The wait queue while the thread sleeps, the wake-up, and the copy."""
    message, line = scene.message, _lane("kernel")
    row = [" "] * columns
    styles = [""] * columns

    def put(at: int, text: str, style: str) -> None:
        at = min(at, columns - len(text))
        for index, glyph in enumerate(text):
            row[at + index], styles[at + index] = glyph, style

    ready = column(message.ready)
    put(0, ("=" if ascii_only else "━") * ready, "red")
    put(ready, "|ready", "bold")
    if sleep:
        woken = column(sleep[1].woken)
        if woken > ready + 6:
            put(woken, "|woken", "bold yellow")
        queue = sleep[1].queue
        left = _QUEUES.get(queue, f"[{queue}'s queue" if len(queue) < 10 else f"[{queue}")
        line.append(left[:_BROKEN].ljust(_BROKEN), style="blue")
    else:
        line.append(" " * _BROKEN)
    put(column(message.copied), "|copied", "bold green")
    for glyph, style in zip(row, styles, strict=True):
        line.append(glyph, style=style or None)
    return line


def states(scene: Scene, start: int, step: float, columns: int) -> list[str]:
    """For each column the state in which the thread spent most of that time; a copy always gets its column."""
    spans: list[tuple[int, int, str]] = []
    for call in scene.calls:
        spans.append((call.enter, call.exit, "kernel"))
        for sleep in call.sleeps:
            spans.append((sleep.off, sleep.woken, "asleep"))
            spans.append((sleep.woken, sleep.on, "run queue"))
        if call.copied and call.copy:
            spans.append((call.copied - call.copy, call.copied, "copy"))
    row = []
    for index in range(columns):
        low, high = start + index * step, start + (index + 1) * step
        time = dict.fromkeys(STATES, 0.0)
        time["user code"] = high - low
        for begin, end, state in spans:
            overlap = min(end, high) - max(begin, low)
            if overlap > 0:
                time[state] += overlap
                time["user code" if state == "kernel" else "kernel"] -= overlap
                if state == "copy" and low <= begin < high:
                    time[state] += high - low
        row.append(max(STATES, key=lambda state: time[state]))
    return row


def _server(scene: Scene, sleep: tuple[Call, Sleep] | None, start: int, step: float, columns: int, ascii_only: bool) -> Text:
    line = _lane("server")
    if sleep:
        glyph = STATES["asleep"][1 if ascii_only else 0]
        how_long = f" {duration(sleep[1].wait)} "
        pad = _BROKEN - len(how_long) - 2
        line.append(glyph * (pad // 2) + "//" + how_long + glyph * (pad - pad // 2), style=STATES["asleep"][2])
    else:
        line.append("not asleep".ljust(_BROKEN), style="dim")
    for state in states(scene, start, step, columns):
        wide, plain, style = STATES[state]
        line.append(plain if ascii_only else wide, style=style)
    return line


def _names(scene: Scene, column: Any, columns: int) -> list[Text]:
    """The names of the calls under the columns where they start, in as many rows as they need."""
    rows: list[list[str]] = []
    for call in scene.calls:
        inside = call.enter >= min(scene.sent or scene.message.ready, scene.message.ready)
        name = f"|{call.name}"
        at = _BROKEN + column(call.enter) if inside else 0
        if not inside:
            name = call.name
        at = max(min(at, _BROKEN + columns - len(name)), 0)
        for row in rows:
            if not "".join(row[max(at - 1, 0) : at + len(name) + 1]).strip():
                break
        else:
            row = [" "] * (_BROKEN + columns)
            rows.append(row)
        for index, glyph in enumerate(name):
            if at + index < len(row):
                row[at + index] = glyph
    return [Text(" " * _LABEL + "".join(row).rstrip(), style="dim") for row in rows[:4]]


def legend(ascii_only: bool = False) -> Text:
    """What the glyphs of the server's lane mean."""
    line = Text(" " * _LABEL)
    for name, (wide, plain, style) in STATES.items():
        if name == "preempted":  # how long is known, but not when: the words under the picture have it
            continue
        line.append((plain if ascii_only else wide) * 2, style=style)
        line.append(f" {name}  ", style="dim")
    return line


def _reading(scene: Scene) -> list[tuple[int, str]]:
    """Phase 2 in words: by a reading call, or by a completion, where the data is there before the thread is told."""
    message = scene.message
    reads = [one for one in scene.calls if one.socket == message.socket and message.read <= one.enter < message.returned]
    by = f" by {message.reads} copies" if message.reads > 1 else ""
    if not reads:
        return [
            (message.copied, f"copied to the process{by}, before any call told of it"),
            (message.notified, f"{message.notified_by} returns with the completion: the data is in the program's hands"),
        ]
    told = []
    read = reads[-1]
    if message.notified_by != read.name:
        told.append((message.notified, f"{message.notified_by} returns: the thread knows"))
    if message.read >= message.ready:
        first = f", the first of {message.reads}" if message.reads > 1 else ""
        told.append((message.read, f"{read.name} starts{first}"))
    copying = sum(one.copy for one in reads)
    how = f"in {duration(copying)} of copying at most" if copying else "in a time that is part of kernel"
    told.append((message.copied, f"copied to the process{by}, {how}"))
    meanwhile = f" ({duration(read.preempted)} of it preempted)" if read.preempted else ""
    told.append((message.returned, f"{read.name} returns: the data is in the program's hands{meanwhile}"))
    return told


def steps(scene: Scene) -> list[tuple[int, str]]:
    """The same message in words: (ns from "data ready", what happened), in order."""
    message = scene.message
    told = [(message.ready, f"the data ({message.bytes:,} B) is ready in the socket")]
    if sent := scene.sent or scene.far:
        told.append((sent, "the client calls send"))
    sleep = _sleep_before(scene, message.ready)
    if sleep:
        call, one = sleep
        told.append((one.off, f"{call.name} puts the thread to sleep {place(one.queue)}"))
        if one.waker:
            whose = (
                "the packet's way into the socket runs in the sender's own call (softirq)"
                if sent_by_waker(one.waker.stack)
                else f"an interrupt, while {one.waker.comm} was running"
                if one.waker.chain[:1] == ("packet",)
                else f"by {one.waker.comm}"
            )
            told.append((one.woken, f"woken: {one.waker.words} -> thread; {whose}"))
        told.append((one.on, f"on a CPU, {duration(one.delay)} after the wake-up"))
    told += _reading(scene)
    if writes := _echoes(scene.calls, message):
        told.append((writes[0].exit, f"{writes[0].name} has sent the echo, in {duration(writes[0].total)}"))
    return sorted((at - message.ready, words) for at, words in told)
