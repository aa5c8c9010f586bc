"""The page of the comparison: plots of all models, the figure of each, the tables, the statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Any

from markupsafe import Markup

from findings.rounds import Ranking, Spread, joined
from probes.context import LabRun
from probes.measure.result import Verdict
from probes.words import count
from reports import comparison as words
from reports.figures import plots
from reports.figures.paper import Paper
from reports.figures.plots import Bar, Mark, Spreads
from reports.html import page, templates
from reports.words import VERDICTS, claims_named, definitions, duration
from runs import compare, link
from runs.compare import Comparison
from runs.rows import Row

_SIZES = (("wide", plots.WIDE), ("narrow", plots.NARROW))


def write(comparison: Comparison, file: IO[str]) -> None:
    """The whole page."""
    file.write(templates.render("comparison.html", _content(comparison)))


def _content(comparison: Comparison) -> dict[str, Any]:
    """What the template inserts."""
    shown = {check.verdict for check in comparison.checks} - {Verdict.CONFIRMED}
    ids = [claim for check in comparison.checks for claim in check.claims]
    models = joined([row.model for row in comparison.rows])
    return {
        "title": f"compare {models}" if comparison.chosen else "compare",
        "heading": f"{models} on the same traffic" if comparison.chosen else "Every model on the same traffic",
        "comparison": comparison,
        "machine": next((drawn.result.machine for drawn in comparison.drawn), None),
        "link_words": link.words(comparison.link) if comparison.link else "",
        "rounds": max((row.rounds for row in comparison.rows), default=0),
        "plots": [*_message_plots(comparison.rows), *_crowd_plots(comparison)],
        "rows": [(label, [cell(row) for row in comparison.rows]) for label, cell in _CELLS],
        "figures": [page.figure(drawn) | {"case": _model(drawn.result.context)} for drawn in comparison.drawn],
        "sentences": [] if comparison.chosen else words.sentences(comparison),
        "checks": [(check, VERDICTS[check.verdict].word) for check in comparison.checks],
        "claims": comparison.claims,
        "definitions": definitions(shown),
        "claims_named": claims_named(ids[0]) if ids else "",
        "untraced_rounds": compare.UNTRACED_ROUNDS,
        "pause": f"{compare.crowd_traffic(1).gap_ms:g}",
    }


def _model(context: Any) -> str:
    return context.model if isinstance(context, LabRun) else ""


def _message_plots(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Times, calls, CPU time and memory, the fastest model first."""
    ordered = sorted(rows, key=lambda row: row.ready_to_copied_spread_ns.p50 if row.ready_to_copied_spread_ns else 0)
    times = [Spreads(row.model, _marks(row)) for row in ordered]
    legend = (("asleep", "until the thread was notified"), ("copy", "until the data was copied"))
    title = "From data ready to notified and to copied"
    found = [_plot(title, lambda title, wide: plots.spreads(title, times, wide), legend)]
    calls = [Bar(row.model, row.calls_per_message, f"{row.calls_per_message:,}") for row in rows]
    cpu = [_spread_bar(row.model, row.cpu_per_message_ns) for row in rows]
    memory = [Bar(row.model, row.memory_bytes / 1e6, f"{row.memory_bytes / 1e6:.1f} MB") for row in rows]
    found += [
        _plot("System calls per message", lambda title, wide: plots.bars(title, calls, "kernel", wide)),
        _plot("CPU time per message", lambda title, wide: plots.bars(title, cpu, "user", wide, 1_000)),
        _plot("Memory of all processes of the server", lambda title, wide: plots.bars(title, memory, "polling", wide)),
    ]
    return found


def _marks(row: Row) -> tuple[Mark, ...]:
    found = [
        ("asleep", "until notified", row.ready_to_notified_spread_ns),
        ("copy", "until copied", row.ready_to_copied_spread_ns),
    ]
    return tuple(Mark(kind, about, spread) for kind, about, spread in found if spread)


def _crowd_plots(comparison: Comparison) -> list[dict[str, Any]]:
    """The rivals at few and at many connections."""
    if not comparison.crowds:
        return []
    trips = [(crowd.connections, crowd.round_trip_ns) for crowd in comparison.crowds]
    cpu = [(crowd.connections, crowd.cpu_per_message_ns) for crowd in comparison.crowds]
    return [
        _crowd_plot("Round trip, untraced", trips, "asleep"),
        _crowd_plot("CPU time per message, untraced", cpu, "user"),
    ]


def _crowd_plot(title: str, rankings: list[tuple[int, Ranking]], kind: str) -> dict[str, Any]:
    lines = [
        _spread_bar(f"{name}, {count(connections, 'connection')}", figure)
        for connections, ranking in rankings
        for name, figure in ranking.figures.items()
    ]
    return _plot(title, lambda title, wide: plots.bars(title, lines, kind, wide, 1_000))


def _spread_bar(label: str, figure: Spread) -> Bar:
    return Bar(label, figure.median, duration(figure.median), figure.low, figure.high)


def _plot(title: str, draw: Callable[[str, float], Paper], legend: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """A plot in two widths, of which the screen chooses."""
    return {"drawings": [(name, Markup(draw(title, wide).svg(alone=False))) for name, wide in _SIZES], "legend": legend}


_CELLS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("phase 1: waits for data in", lambda row: words.waiting(row.phase_1)),
    ("phase 2: copied by", lambda row: words.copying(row.phase_2)),
    ("ready to notified", lambda row: words.with_rounds(row.ready_to_notified_ns)),
    ("notified to copied", lambda row: words.with_rounds(row.notified_to_copied_ns)),
    ("CPU time per message", lambda row: words.with_rounds(row.cpu_per_message_ns)),
    ("system calls per message", lambda row: f"{row.calls_per_message:,}"),
    ("context switches per message", lambda row: f"{row.switches_per_message:,}"),
    ("threads", lambda row: f"{row.threads:,}"),
    ("memory", lambda row: f"{row.memory_bytes / 1e6:.1f} MB"),
    ("messages", lambda row: f"{row.messages:,}"),
)
