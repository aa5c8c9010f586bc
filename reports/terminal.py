"""A Result for the eye: picture, phase table, sleeps and wakers, threads, witnesses, checks.

80 columns at least; a wider terminal gets percentiles too. Plain text without colours when the output is not a terminal.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import labs
from labs.kit.lab import Run
from probes.measure.result import CallRow, Check, Result, Thread, Verdict
from probes.recording import Quality
from probes.words import count
from reports import cases, drawing, prediction
from reports.drawing import STATES
from reports.words import duration, milliseconds, share, with_command_name
from runs import link

_NARROWEST, _WIDE = 80, 110
_ROWS = 14
_WORTH_TELLING = 2_000  # ns
VERDICT_STYLE = {
    Verdict.CONFIRMED: "green",
    Verdict.REFINED: "cyan",
    Verdict.REFUTED: "magenta",
    Verdict.FAILED: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.UNAVAILABLE: "dim",
}
_PHASES = (("asleep", "wait"), ("run queue", "sched_delay"), ("preempted", "preempted"), ("copy", "copy"), ("kernel", "kernel"))


def console(file: IO[str], width: int | None = None) -> Console:
    """Where a report goes: colours and the real width on a terminal, plain and 80 columns elsewhere."""
    if width is None:
        width = max(_NARROWEST, shutil.get_terminal_size().columns if file.isatty() else _width())
    return Console(file=file, width=width, highlight=False, soft_wrap=False)


def _width() -> int:
    """COLUMNS, as a pager or a script may set it; else 80."""
    wanted = os.environ.get("COLUMNS", "")
    return int(wanted) if wanted.isdigit() else _NARROWEST


def write(result: Result, file: IO[str], stacks: bool = False, width: int | None = None) -> None:
    """The whole report into a terminal, a pipe or a file; elsewhere than on a terminal no line ends in blanks."""
    if file.isatty():
        show(result, console(file, width), stacks)
        return
    plain = io.TextIOWrapper(io.BytesIO(), encoding=getattr(file, "encoding", None) or "utf-8", errors="backslashreplace")
    show(result, console(plain, width), stacks)
    plain.flush()
    text = plain.buffer.getvalue().decode(plain.encoding)
    file.write("".join(line.rstrip() + "\n" for line in text.splitlines()))


def show(result: Result, out: Console, stacks: bool = False) -> None:
    """The whole report. `stacks` adds the kernel stack behind each kind of sleep and wake-up."""
    _heading(result, out)
    if "prediction" in result.context:
        _section(out, "what you said, and what it was")
        prediction.show(result, out, _plain(out))
    if "cases" in result.context:
        _cases(result, out)
    else:
        if "lab" in result.context and labs.find(str(result.context["lab"])).picture:
            _picture(result, out)
        _calls(result, out)
        _sleeps(result, out)
        _threads(result, out)
    _trust(result, out)
    if stacks:
        _stacks(result, out)
    _checks(result, out)


def _section(out: Console, title: str) -> None:
    out.print()
    out.rule(Text(title, style="bold"), align="left", style="dim", characters="-" if _plain(out) else "─")


def _plain(out: Console) -> bool:
    return not out.encoding.lower().startswith("utf")


def _heading(result: Result, out: Console) -> None:
    context: Any = result.context
    if "lab" in context:
        out.print(Text.assemble(("lab " + context["lab"], "bold"), f": {context['question']}"))
        traffic = f", {context['traffic_words']}" if "traffic_words" in context else ""
        cases = context.get("cases", ())
        who = count(len(cases), "server") if cases else count(len(result.threads), "server thread" if traffic else "thread")
        out.print(Text(f"{who}{traffic}", style="dim"))
        for one in cases:
            if one.get("traffic_words", context.get("traffic_words")) != context.get("traffic_words"):
                out.print(Text(f"{one['name']}: {one['traffic_words']}", style="dim"))
        if "link" in context:
            out.print(Text(link.words(context["link"]), style="dim"))
        out.print(Text(context["watch"]))
    else:
        command = " ".join(context.get("command", ["?"]))
        status = context.get("status")
        ended = f", ended with status {status}" if status is not None else ""
        out.print(Text.assemble(("trace ", "bold"), Text(command[:200]), (ended, "bold" if status else "")))
        out.print(Text(count(len(result.threads), "thread"), style="dim"))


def _picture(result: Result, out: Console) -> None:
    scene = drawing.choose(result)
    if scene is None:
        return
    begin = "ready" if scene.far else "send"
    among = scene.among or f"{len(result.messages)}; to scale from {begin} on"
    _section(out, f"one message of {scene.message.bytes:,} B, the median of {among}")
    for line in drawing.draw(scene, max(out.width, 60), _plain(out)):
        out.print(line, no_wrap=True, overflow="crop")
    out.print(drawing.legend(_plain(out)), no_wrap=True, overflow="crop")
    out.print()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", width=10, style="bold")
    grid.add_column(overflow="fold")
    for at, words in drawing.steps(scene):
        grid.add_row(duration(at) if at else "0", escape(words))
    out.print(grid)
    if scene.message.probed > _WORTH_TELLING:
        out.print(
            Text(
                f"taken out: the {duration(scene.message.probed)} that the wake-up's own probe took, before woken", style="dim"
            )
        )


def _cases(result: Result, out: Console) -> None:
    """Several servers: side by side first, then the calls and sleeps of each."""
    _section(out, "side by side")
    out.print(cases.table(result))
    cases.skipped(result, out)
    for name, run in Run(result).cases.items():
        _section(out, f"{name}: system calls, in ms")
        _calls(run.result, out, _ROWS // 3)
        _sleeps(run.result, out, _ROWS // 4)
    out.print()
    _notes(result, out)


def _copy_cell(row: CallRow) -> str:
    if row.copy_quality is Quality.UNAVAILABLE:
        return f"{milliseconds(row.copy)}+" if row.copy else "n/a"
    return ("<" if row.copy_quality is Quality.BOUNDED and row.copy else "") + milliseconds(row.copy)


def _calls(result: Result, out: Console, most: int = _ROWS) -> None:
    """The phase table; `most` rows, a title of its own unless it is a part of something."""
    if most == _ROWS:
        _section(out, "system calls, in ms")
    wide = out.width >= _WIDE
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("call", no_wrap=True)
    for name in ("count", "total", *(label for label, _ in _PHASES)):
        table.add_column(name, justify="right", no_wrap=True, style=STATES[name][2] if name in STATES else None)
    if wide:
        for name in ("p50", "p99"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("bytes", justify="right")
        table.add_column("errors")
    for row in result.rows[:most]:
        cells = [row.name, f"{row.count:,}", milliseconds(row.total)]
        cells += [_copy_cell(row) if phase == "copy" else milliseconds(getattr(row, phase)) for _, phase in _PHASES]
        if wide:
            bound = "~" if row.p_quality is Quality.BOUNDED else ""
            cells += [bound + duration(row.p50), bound + duration(row.p99), f"{row.bytes:,}" if row.bytes else "-"]
            cells.append(_errors(row.errors) or "-")
        table.add_row(*cells)
    out.print(table)
    if len(result.rows) > most:
        rest = result.rows[most:]
        total = duration(sum(one.total for one in rest))
        out.print(Text(f"and {count(len(rest), 'other call')}, {total} together (all in --json)", style="dim"))
    if not wide:
        failures = [f"{row.name} {_errors(row.errors)}" for row in result.rows if row.errors]
        if failures:
            out.print(Text("errors: " + "; ".join(failures), style="dim"))
    if most == _ROWS:
        _notes(result, out)


def _notes(result: Result, out: Console) -> None:
    notes = []
    if any(name.startswith("ERESTART") for row in result.rows for name in row.errors):
        notes.append("ERESTART...: a signal ended it; the program sees EINTR, or the kernel starts the call anew")
    if any(row.copy_quality is Quality.BOUNDED and row.copy for row in result.rows):
        notes.append("< an upper bound: what brackets the copy holds a little more")
    if any(row.copy_quality is Quality.UNAVAILABLE and row.copy for row in result.rows):
        notes.append("+ and more: what no probe shows of this copy is part of kernel")
    if any(row.copy_quality is Quality.UNAVAILABLE and not row.copy for row in result.rows):
        notes.append("n/a: no probe shows this copy, it is part of kernel")
    aside: Any = result.context.get("aside") or {}
    if "sections" in aside:
        notes.append("lseek EBADF: the experiment's own marks, between its sections")
    notes += _polling(result)
    for note in notes:
        out.print(Text(note, style="dim"))


def _polling(result: Result) -> list[str]:
    """What calls did in descriptors' poll methods and wait queues, and epoll's callback: where probes in functions tell."""
    notes = []
    for row in result.rows[:_ROWS]:
        parts = [f"asked {count(row.polled, 'descriptor')}"] if row.polled else []
        if row.queued or row.unqueued:
            parts.append(f"made {row.queued:,} and took out {row.unqueued:,} entries in wait queues")
        if parts:
            notes.append(f"{row.name} ({row.count:,}) {', '.join(parts)}")
        if row.copy_out_max is not None:
            inward = "" if row.copy_in_max is None else f"copied in its descriptors within {duration(row.copy_in_max)}, "
            notes.append(f"{row.name} {inward}copied out its answers within {duration(row.copy_out_max)} (medians)")
    if result.listed:
        after = sorted(one.at - one.ready for one in result.listed if one.ready is not None)
        median = f", {duration(after[len(after) // 2])} after the data was ready (median)" if after else ""
        notes.append(f"epoll's callback put something on the ready list {count(len(result.listed), 'time')}{median}")
    return notes


def _errors(errors: dict[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in errors.items())


def _sleeps(result: Result, out: Console, most: int = _ROWS) -> None:
    rows = [(row.name, slept) for row in result.rows for slept in row.slept_on]
    rows += [(one.name, slept) for one in result.threads if one.kernel_worker for slept in one.slept_on]
    if not rows:
        return
    if most == _ROWS:
        _section(out, "asleep where, and woken by whom")
    else:
        out.print()
    rows.sort(key=lambda one: -one[1].ns)
    for name, slept in rows[:most]:
        line = Text.assemble((f"{duration(slept.ns):>9}", STATES["asleep"][2]), f"  {name} on ", (slept.queue, "bold"))
        line.append(f", {count(slept.count, 'sleep')}")
        if slept.queues and slept.count > 1:
            line.append(", all on one queue" if slept.queues == 1 else f" on {slept.queues:,} queues")
        out.print(line)
        for chain, number in slept.woken_by[:3]:
            out.print(Padding(Text(f"{number:,} x {chain} -> thread", style="dim"), (0, 0, 0, 11)))
    if len(rows) > most:
        out.print(Text(f"and {len(rows) - most} more kinds (all in --json)", style="dim"))


def account(thread: Thread) -> list[tuple[str, int]]:
    """Where a thread's life went, as the states of the picture, largest first; adds up to its wall time."""
    parts = [(label, int(getattr(thread, phase))) for label, phase in _PHASES] + [("user code", thread.user)]
    return sorted(parts, key=lambda one: -one[1])


def _threads(result: Result, out: Console) -> None:
    _section(out, "each thread's whole life")
    threads = sorted(result.threads, key=lambda one: -one.wall)
    for thread in threads[:_ROWS]:
        line = Text.assemble((f"{thread.name} {thread.tid}", "bold"), f"  {duration(thread.wall)} =")
        for index, (label, ns) in enumerate(one for one in account(thread) if one[1]):
            line.append(" + " if index else " ")
            line.append(f"{label} {share(ns, thread.wall)}", style=STATES[label][2])
        line.append(
            f"; {count(thread.calls, 'call')}, {thread.voluntary_switches:,} voluntary and"
            f" {thread.involuntary_switches:,} other switches" + ("" if thread.ended else "; still alive at the end")
        )
        out.print(line)
    if len(threads) > _ROWS:
        out.print(Text(f"and {count(len(threads) - _ROWS, 'other thread')} (all in --json)", style="dim"))


def _trust(result: Result, out: Console) -> None:
    context: Any = result.context
    _section(out, "can this be trusted?")
    events = result.events
    style = "" if events.sound else "bold yellow"
    line = f"{events.seen:,} events, {events.lost} lost, {events.unmatched} unmatched"
    if not events.sound:
        line += ": " + ", ".join(f"{name} {number}" for name, number in events.reasons.items())
    out.print(Text(line, style=style))
    if not events.sound:
        out.print("so nothing is claimed; run it again, with less beside it (docs/troubleshooting.md explains the words)")
    if "full" in events.reasons:
        words = "the recording was full before the end: what came later is not in it, and all that lived then is shown as alive"
        out.print(words, style="bold yellow")
    if unseen := events.reasons.get("unseen"):
        out.print(Text(f"this machine hid {count(unseen, 'switch')} to us: there run queue is an upper bound", style="dim"))
    if late := events.reasons.get("copy_end"):
        out.print(Text(f"copies whose end was not told: {late:,}; there copy is an upper bound", style="dim"))
    if refused := events.reasons.get("refused"):
        out.print(Text(f"a seccomp filter refused {count(refused, 'system call')}, which no row shows", style="dim"))
    several = len({one.pid for one in result.threads}) > 1  # the kernel's accounts are of the process that was started
    if witness := context.get("witness"):
        out.print(
            f"psutil: {witness['voluntary_switches']:.0f} voluntary and {witness['involuntary_switches']:.0f} other switches of"
            f" the main thread; {witness['cpu_ns'] / 1e6:.1f} ms of CPU, {witness['rss_bytes'] / 1e6:.1f} MB of the"
            f" {'first process' if several else 'process'} (while there was traffic)"
        )
    if cost := context.get("overhead"):
        trip = cost["traced_round_trip_ns"] / cost["untraced_round_trip_ns"]
        cpu = cost["traced_cpu_s"] / cost["untraced_cpu_s"] if cost["untraced_cpu_s"] else 0
        out.print(
            f"tracing cost: the same traffic untraced took {duration(round(cost['untraced_s'] * 1e9))}, traced"
            f" {duration(round(cost['traced_s'] * 1e9))}; {'' if several else f'server CPU x{cpu:.2f}, '}median round trip"
            f" x{trip:.2f}"
        )
    missing = [one for one in result.probes if one.quality is Quality.UNAVAILABLE]
    for probe in missing:
        if not probe.optional:
            out.print(Text(f"not shown here: {probe.name} ({probe.reason})", style="yellow"))
    if more := [probe.name for probe in missing if probe.optional]:
        words = f"not shown by this kernel, which takes no probe in its functions: {', '.join(more)} (doctor says why)"
        out.print(Text(words, style="dim"))
    kinds = sorted({one.attached.split(":")[0] for one in result.probes if one.attached})
    out.print(
        Text(
            f"{len(result.probes) - len(missing)} of {len(result.probes)} probes attached, by {', '.join(kinds)};"
            f" kernel {result.machine['kernel']}, {result.machine['cpus']} CPUs",
            style="dim",
        )
    )


def _stacks(result: Result, out: Console) -> None:
    _section(out, "kernel stacks, innermost first")
    seen: set[tuple[object, ...]] = set()
    for call in result.calls:
        for sleep in call.sleeps:
            key = (call.name, sleep.stack, sleep.waker.stack if sleep.waker else None)
            if key in seen or len(seen) > 40:
                continue
            seen.add(key)
            out.print(Text(f"{call.name} asleep on {sleep.queue}", style="bold"))
            out.print(Padding(Text(" < ".join(sleep.stack), style="blue"), (0, 0, 0, 2)))
            if sleep.waker:
                out.print(Text(f"  woken while {sleep.waker.comm} ran"))
                out.print(Padding(Text(" < ".join(sleep.waker.stack), style="dim"), (0, 0, 0, 2)))


def checks(found: Sequence[Check], out: Console) -> None:
    """The verdicts with their evidence."""
    _section(out, "what this proves")
    for one in found:
        _check(one, out)


def _checks(result: Result, out: Console) -> None:
    context: Any = result.context
    if result.checks:
        checks(result.checks, out)
    if context.get("try_next"):
        out.print()
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold", style="dim")
        for index, line in enumerate(context["try_next"]):
            command, _, why = line.partition("  ")
            grid.add_row("try next:" if not index else "", with_command_name(command), why.strip())
        out.print(grid)


def _check(check: Check, out: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=12, style=VERDICT_STYLE[check.verdict])
    grid.add_column(overflow="fold")
    grid.add_row(check.verdict.value, Text.assemble((check.name, "bold"), f"  {' '.join(check.claims)}"))
    grid.add_row("", escape(check.evidence))
    out.print(grid)
