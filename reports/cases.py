"""Several servers side by side: what the clients felt, what the kernel saw, then each one's calls and sleeps."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labs.kit.lab import Run
from probes.measure.phases import percentile_of
from probes.measure.result import Result
from reports.words import duration, share


def table(result: Result) -> Table:
    """One column a case, one row a figure."""
    told = result.context["cases"]
    runs = Run(result).cases
    grid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("", no_wrap=True)
    for one in told:
        grid.add_column(one["name"], justify="right", no_wrap=True)
    grid.add_row("server", *(one["server"].rpartition(":")[2] for one in told), style="dim")
    for label, figure in _FIGURES.items():
        grid.add_row(label, *(figure(runs[one["name"]]) if one["name"] in runs else "-" for one in told))
    return grid


def skipped(result: Result, out: Console) -> None:
    """What this machine does not offer, with the reason."""
    for one in result.context["cases"]:
        if "skipped" in one:
            out.print(Text(f"{one['name']} could not be run here: {one['skipped']}", style="yellow"))


def _trip(run: Run, part: float) -> str:
    found = percentile_of(run.round_trips, part)
    return duration(found) if found is not None else "-"


def _untraced(run: Run) -> str:
    cost = run.result.context.get("overhead")
    return duration(cost["untraced_round_trip_ns"]) if cost else "-"


def _lay(run: Run, part: float) -> str:
    found = percentile_of(sorted(one.ready_to_notified for one in run.result.messages), part)
    return duration(found) if found is not None else "n/a"


def _awake(run: Run) -> str:
    return share(sum(one.awake for one in run.result.threads), sum(one.wall for one in run.result.threads))


def _each(run: Run, number: int) -> str:
    return f"{number / max(len(run.round_trips), 1):,.1f}"


_FIGURES: dict[str, Callable[[Run], str]] = {
    "answer, median": lambda run: _trip(run, 0.5),
    "  the slowest": lambda run: _trip(run, 1),
    "  median, untraced": _untraced,
    "lay ready, median": lambda run: _lay(run, 0.5),
    "  the longest": lambda run: _lay(run, 1),
    "calls an answer": lambda run: _each(run, sum(one.count for one in run.result.calls)),
    "switches an answer": lambda run: _each(run, sum(one.voluntary_switches for one in run.result.threads)),
    "awake, a thread": _awake,
    "threads": lambda run: f"{len(run.result.threads)}",
}
