"""The comparison of all models as one table, and below it what one should see."""

from __future__ import annotations

import io
import json as codec
from typing import IO

from rich.table import Table
from rich.text import Text

from probes.words import count
from reports import terminal
from reports.terminal import console
from reports.words import duration
from runs import link
from runs.compare import ALIKE, WORKER, Comparison, Crowd, Row, as_data, judge

_CAPTION = """\
Calls, CPU and voluntary switches are a message's share; times are medians, from the data ready in the socket to the thread \
told of it, and on to the data copied; MB is memory over all its processes, what several share counted in parts (PSS)."""


def write(comparison: Comparison, file: IO[str], json: bool = False) -> None:
    """The table, or the JSON document."""
    if json:
        codec.dump(as_data(comparison), file, indent=1)
        file.write("\n")
        return
    target: IO[str] = file if file.isatty() else io.StringIO()
    out = console(target)
    for model, reason in comparison.missing.items():
        out.print(Text(f"{model} could not be run here: {reason}", style="yellow"))
    rows, crowds = list(comparison.rows), list(comparison.crowds)
    out.print(Text.assemble(("compare", "bold"), f": every model on the same traffic: {comparison.traffic.words}"))
    if comparison.link:
        out.print(Text(link.words(comparison.link), style="dim"))
    out.print()
    for one in (_phases(rows), _figures(rows)):
        out.print(one)
        out.print()
    out.print(Text(_CAPTION, style="dim"))
    out.print()
    out.print(_crowds(crowds))
    out.print()
    for sentence in seen(rows, crowds):
        out.print(Text("- " + sentence))
    terminal.checks(judge(comparison), out)
    if target is not file:
        assert isinstance(target, io.StringIO)
        file.write("".join(line.rstrip() + "\n" for line in target.getvalue().splitlines()))


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        left = not index or name.startswith("phase")
        table.add_column(name, justify="left" if left else "right", style="" if index else "bold", no_wrap=True)
    return table


def _phases(rows: list[Row]) -> Table:
    table = _table("model", "phase 1: waits for data in", "phase 2: copied by")
    for row in rows:
        table.add_row(row.model, row.phase_1, row.phase_2)
    return table


def _figures(rows: list[Row]) -> Table:
    table = _table("model", "calls", "ready-told", "told-copied", "CPU", "switches", "threads", "MB")
    for row in rows:
        told, copied = (("-" if ns is None else duration(ns)) for ns in (row.ready_to_notified_ns, row.notified_to_copied_ns))
        table.add_row(
            row.model + ("" if row.sound else " (!)"),
            f"{row.calls_per_message:,}",
            told,
            copied,
            duration(row.cpu_per_message_ns),
            f"{row.switches_per_message}",
            str(row.threads),
            f"{row.memory_bytes / 1e6:.1f}",
        )
    return table


def _crowds(crowds: list[Crowd]) -> Table:
    table = _table("median round trip, untraced", *(count(one.connections, "connection") for one in crowds))
    for name in crowds[0].round_trip_ns if crowds else ():
        table.add_row(name, *(duration(one.round_trip_ns[name]) for one in crowds))
    return table


def seen(rows: list[Row], crowds: list[Crowd]) -> list[str]:
    """What the figures of this very run show, a sentence each."""
    sentences = []
    busiest = max(rows, key=lambda row: row.cpu_per_message_ns)
    others = sorted(row.cpu_per_message_ns for row in rows if row is not busiest)
    sentences.append(
        f"{busiest.model} takes {busiest.cpu_per_message_ns / max(others[len(others) // 2], 1):,.0f} times the CPU of the"
        " median model" + (": it is the one that never sleeps." if busiest.phase_1.startswith("awake") else ".")
    )
    known = [row for row in rows if row.phase_2 != "?"]
    free = [row.model for row in rows if row.phase_2.endswith(WORKER)]
    sentences.append(
        f"In phase 2 the server's one thread is held in {len(known) - len(free)} of {len(rows)} models;"
        f" a worker thread or process is in {', '.join(free)}."
    )
    slow = max((row for row in rows if row.ready_to_notified_ns is not None), key=lambda row: row.ready_to_notified_ns or 0)
    sentences.append(
        f"Data lay longest before somebody knew in {slow.model}: {duration(slow.ready_to_notified_ns or 0)} (median)."
    )
    for crowd in crowds:
        order = sorted(crowd.round_trip_ns.items(), key=lambda one: one[1])
        words = ", ".join(f"{name} {duration(ns)}" for name, ns in order)
        near = [name for name, ns in order if ns <= ALIKE * order[0][1]]
        first = f"{near[0]} answers first" if len(near) == 1 else f"{' and '.join(near)} answer about equally fast"
        sentences.append(f"At {count(crowd.connections, 'connection')} {first}: {words}.")
    return sentences
