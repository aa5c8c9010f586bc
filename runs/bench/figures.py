"""What the rounds show: for each workload and tool the cost of an operation and the throughput left, with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from runs.bench.tools import UNTRACED, Tool
from runs.bench.workloads import Load, Workload


@dataclass(frozen=True)
class Host:
    """The machine, and its load (average of one minute) when the benchmark began."""

    kernel: str
    arch: str
    processor: str
    cpus: int
    load: float
    nice: int
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Usage:
    """What a tool used in one run, and what it reported. `lost` are the events that the tool itself calls lost."""

    cpu_s: float
    memory_bytes: int
    report_s: float  # from the end of the program to the end of the tool
    calls: int | None
    lost: int


@dataclass(frozen=True)
class Outcome:
    """One run; without a load, `failure` says why."""

    workload: str
    tool: str
    round: int
    load: Load | None
    usage: Usage | None
    failure: str = ""


@dataclass(frozen=True)
class Figure:
    """The median of the rounds, with the lowest and the highest round."""

    median: float
    lowest: float
    highest: float


def figure(rounds: Iterable[float]) -> Figure | None:
    """The spread of the rounds; None if there are none. The median of an even number of rounds is the mean of the two in the
    middle. The larger of the two (probes/measure/percentiles.py) would make the untraced rounds, whose number is even, look
    slower.

    >>> figure([3, 1, 2, 8])
    Figure(median=2.5, lowest=1, highest=8)
    """
    values = list(rounds)
    return Figure(statistics.median(values), min(values), max(values)) if values else None


@dataclass(frozen=True)
class Row:
    """One tool on one workload, over all rounds. Each run is compared with the median of the untraced runs."""

    tool: Tool
    operation_ns: Figure | None  # the typical operation
    added_ns: Figure | None  # of it, by the tool
    left_percent: Figure | None  # throughput, of the untraced run's
    cpu_s: Figure | None
    memory_bytes: Figure | None
    report_s: Figure | None
    calls: int | None  # delivered, in all rounds
    expected: int | None  # calls that the program counted, in the same rounds
    lost: int | None
    failures: tuple[str, ...]

    @property
    def lost_percent(self) -> float | None:
        """The share of the calls that the tool did not deliver; None where it delivers no calls, or none are known."""
        if self.lost is None or not self.expected:
            return None
        return 100 * self.lost / self.expected


@dataclass(frozen=True)
class Bench:
    """A benchmark: what ran, and every outcome."""

    workloads: tuple[Workload, ...]
    tools: tuple[Tool, ...]
    rounds: int
    outcomes: tuple[Outcome, ...]
    left_out: dict[str, str]
    host: Host

    def loads(self, workload: Workload, tool: str) -> list[Load]:
        """What the runs of one tool did, as far as they have a result."""
        return [outcome.load for outcome in self._of(workload, tool) if outcome.load]

    def _of(self, workload: Workload, tool: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if (outcome.workload, outcome.tool) == (workload.name, tool)]

    def rows(self, workload: Workload) -> list[Row]:
        """A row for each tool, the untraced runs first."""
        return [self._row(workload, tool) for tool in self.tools]

    def _row(self, workload: Workload, tool: Tool) -> Row:
        outcomes, loads = self._of(workload, tool.name), self.loads(workload, tool.name)
        bare = self.loads(workload, UNTRACED) if tool.name != UNTRACED else []
        typical, rate = (figure(load.typical_ns for load in bare), figure(load.per_second for load in bare))
        runs = [(outcome.load, outcome.usage) for outcome in outcomes if outcome.load and outcome.usage]
        usages = [usage for _load, usage in runs]
        calls = sum(usage.calls or 0 for usage in usages)
        expected = sum(load.calls or 0 for load, _usage in runs)
        missing = sum(max(0, (load.calls or 0) - (usage.calls or 0)) for load, usage in runs)
        reports = any(usage.calls is not None for usage in usages)
        return Row(
            tool=tool,
            operation_ns=figure(load.typical_ns for load in loads),
            added_ns=figure(load.typical_ns - typical.median for load in loads) if typical else None,
            left_percent=figure(100 * load.per_second / rate.median for load in loads) if rate else None,
            cpu_s=figure(usage.cpu_s for usage in usages),
            memory_bytes=figure(float(usage.memory_bytes) for usage in usages),
            report_s=figure(usage.report_s for usage in usages),
            calls=calls if reports else None,
            expected=expected or None,
            lost=lost_calls(reports, expected, missing, sum(usage.lost for usage in usages)),
            failures=tuple(dict.fromkeys(outcome.failure for outcome in outcomes if outcome.failure)),
        )

    @property
    def complete(self) -> bool:
        """Has every run without a tool and every run under iolab a result?"""
        return all(outcome.load for outcome in self.outcomes if outcome.tool in (UNTRACED, "iolab"))


def lost_calls(reports: bool, expected: int, missing: int, reported: int) -> int | None:
    """The calls that are missing in the tool's report; where the program counts none, the events that the tool calls lost.

    >>> lost_calls(True, 100, 3, 2), lost_calls(True, 0, 0, 2), lost_calls(False, 100, 100, 0)
    (3, 2, None)
    """
    if not reports:
        return None
    return max(missing, reported) if expected else reported
