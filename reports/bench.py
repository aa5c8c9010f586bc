"""What tracing costs: a table for each workload, the JSON document, and the page docs/cost.md."""

from __future__ import annotations

import dataclasses
import datetime
import json as codec
from typing import IO

from rich.text import Text

from probes import VERSION
from probes.words import count, visible
from reports.terminal.screen import Column, Screen, figures, note, printing, section
from runs.bench.figures import Bench, Figure, Host, Row
from runs.bench.rounds import Plan
from runs.bench.tools import UNTRACED
from runs.bench.workloads import Workload

SCHEMA_VERSION = 2
AGAIN = "./iolab bench --write docs/cost.md"
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def duration_words(plan: Plan) -> str:
    """What the benchmark is going to do, and how long that takes."""
    seconds = max(1, plan.seconds)
    time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"
    runs = f"{count(plan.rounds, 'round')} of {count(len(plan.workloads), 'workload')}"
    return f"{runs}, each under {count(len(plan.tools), 'condition')}: about {time} on a quiet machine"


def write(bench: Bench, file: IO[str], json: bool = False) -> None:
    """The tables, or the JSON document."""
    if json:
        codec.dump(document(bench), file, indent=1)
        file.write("\n")
        return
    with printing(file) as out:
        out.print(Text.assemble(("bench", "bold"), f": what tracing costs here; {count(bench.rounds, 'round')}"))
        note(out, machine(bench.host))
        for workload in bench.workloads:
            _table(bench, workload, out)
        out.print()
        note(out, _CAPTION)
        for line in [*_busy(bench.host), *remarks(bench)]:
            out.print(Text(f"- {line}"))


def machine(host: Host) -> str:
    """The machine in words."""
    return visible(
        f"kernel {host.kernel}, {host.arch}, {count(host.cpus, 'CPU')}{f' ({host.processor})' if host.processor else ''}; "
        f"load average at the start: {host.load:.1f}{f', nice {host.nice}' if host.nice else ''}"
    )


def _busy(host: Host) -> list[str]:
    """A warning, if other programs used the CPUs when the benchmark began."""
    if host.load <= host.cpus / 2:
        return []
    return ["the machine was busy: other programs slow down the tools and the untraced runs, and the spread is wide"]


def _table(bench: Bench, workload: Workload, out: Screen) -> None:
    section(out, workload.name)
    bare, *rows = bench.rows(workload)
    out.print(Text(workload.words))
    if bare.operation_ns is None:
        return
    out.print(Text(f"untraced: {time(bare.operation_ns)} per {workload.operation}"))
    if rows:
        titles = (f"added per\n{workload.operation}", "throughput\nleft", "CPU\ns", "\nMB", "report\ns", "\nlost")
        figures(out, "\ntool", [Column(title) for title in titles], map(_cells, rows))


def _cells(row: Row) -> list[str]:
    return [
        row.tool.words,
        time(row.added_ns),
        percent(row.left_percent),
        _median(row.cpu_s, 1, 2),
        _median(row.memory_bytes, 1e6, 0),
        _median(row.report_s, 1, 2),
        lost(row),
    ]


def time(figure: Figure | None) -> str:
    """A duration: the median, then the lowest and the highest round in the same unit.

    >>> time(Figure(652.4, 640, 701)), time(Figure(9610.4, 9610.4, 9610.4)), time(Figure(-150, -2_000, 90)), time(None)
    ('652 ns 640..701', '9.61 us', '-150 ns -2000..90', '-')
    """
    if figure is None:
        return "-"
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(figure.median) >= size), _UNITS[-1])
    return _with_rounds(figure, size, unit, 2 if size > 1 else 0)


def percent(figure: Figure | None) -> str:
    """A share of the throughput.

    >>> percent(Figure(30.6, 28.2, 32.0)), percent(Figure(4.26, 3.1, 12.0)), percent(None)
    ('31 % 28..32', '4.3 % 3.1..12', '-')
    """
    return "-" if figure is None else _with_rounds(figure, 1, "%", 1)


def _with_rounds(figure: Figure, size: float, unit: str, digits: int) -> str:
    median, lowest, highest = (_short(value / size, digits) for value in (figure.median, figure.lowest, figure.highest))
    return f"{median} {unit}" + (f" {lowest}..{highest}" if lowest != highest else "")


def _short(value: float, digits: int) -> str:
    """A number below 10 with so many digits after the point, a larger number with fewer.

    >>> [_short(value, 2) for value in (3.14159, -31.4159, 314.159)], _short(31.4, 1)
    (['3.14', '-31.4', '314'], '31')
    """
    return f"{value:.{max(0, digits - (abs(value) >= 10) - (abs(value) >= 100))}f}"


def _median(figure: Figure | None, size: float, digits: int) -> str:
    return "-" if figure is None else f"{figure.median / size:.{digits}f}"


def lost(row: Row) -> str:
    """The share of the calls that the tool did not deliver, or their number where the program does not count its calls."""
    if not row.lost:
        return "-" if row.lost is None else "0"
    share = row.lost_percent
    if share is None:
        return f"{row.lost:,}"
    return f"{share:.1f} %" if share >= 0.1 else "<0.1 %"


_CAPTION = """\
Each figure is the median of the rounds, then the lowest..highest round. The rounds are compared with the median of the \
untraced runs. "added": the typical (median) operation with the tool, minus the typical operation without. "throughput left": \
the throughput, in per cent of the untraced run's. "CPU", "MB": the CPU time and the highest resident memory of the tool's own \
process, its start included. "report": from the end of the program to the end of the tool. "lost": calls that the program \
made and the tool does not report; for redis and nginx, events that the tool itself calls lost."""


def remarks(bench: Bench) -> list[str]:
    """What was left out, and which runs have no result, each with the reason."""
    found = [f"without {name}: {why}" for name, why in bench.left_out.items()]
    for workload in bench.workloads:
        for row in bench.rows(workload):
            found += [f"{workload.name}, {row.tool.words}: a run has no result: {why}" for why in row.failures]
    return [visible(line) for line in found]


# -- JSON -------------------------------------------------------------------------------------------------------------


def document(bench: Bench) -> dict[str, object]:
    """The benchmark as plain JSON data; times in ns, except where the key names another unit."""
    return {
        "schema_version": SCHEMA_VERSION,
        "iolab": VERSION,
        "machine": dataclasses.asdict(bench.host),
        "rounds": bench.rounds,
        "left_out": bench.left_out,
        "workloads": [_workload(bench, workload) for workload in bench.workloads],
    }


def _workload(bench: Bench, workload: Workload) -> dict[str, object]:
    return {
        "name": workload.name,
        "words": workload.words,
        "operation": workload.operation,
        "tools": [_row(row) for row in bench.rows(workload)],
    }


def _row(row: Row) -> dict[str, object]:
    spreads = ("operation_ns", "added_ns", "left_percent", "cpu_s", "memory_bytes", "report_s")
    return {
        "name": row.tool.name,
        "words": row.tool.words,
        **{name: _rounded(getattr(row, name)) for name in spreads},
        "calls": row.calls,
        "expected": row.expected,
        "lost": row.lost,
        "failures": list(row.failures),
    }


def _rounded(figure: Figure | None) -> dict[str, float] | None:
    return None if figure is None else {name: round(value, 3) for name, value in dataclasses.asdict(figure).items()}


# -- the page ---------------------------------------------------------------------------------------------------------


def write_page(bench: Bench, file: IO[str]) -> None:
    """The page for docs/: the tables, the day, the machine, and how the page was made."""
    parts = [f"# What tracing costs\n\n{_made(bench)}\n\n{_ABOUT}\n"]
    parts += [_page_table(bench, workload) for workload in bench.workloads]
    listed = "".join(f"* {line}\n" for line in [*_busy(bench.host), *remarks(bench)])
    parts += [f"## Remarks\n\n{listed}"] if listed else []
    file.write("\n".join(parts))


def _made(bench: Bench) -> str:
    today = datetime.datetime.now(tz=datetime.UTC).date()
    programs = "".join(f"* {version}\n" for version in bench.host.versions)
    return f"""Written on {today} by `{AGAIN}`, iolab {VERSION}, in {count(bench.rounds, "round")}.

* {machine(bench.host)}
{programs}""".rstrip()


_ABOUT = """\
The command writes every table; no table is edited by hand. Each round runs every workload under every tool once, in another
order, so that what changes on the machine meets all tools alike. Each figure is the median of the rounds, followed by the
lowest..highest round. The rounds are compared with the median of the untraced runs, of which each round has two. On a busy
machine the spread is wide, and an added time can be below zero: then the cost is smaller than the noise. Start the command on
your machine for your figures.

* **added**: the typical (median) operation with the tool, minus the typical operation without a tool.
* **throughput left**: the throughput with the tool, in per cent of the throughput without.
* **CPU** and **memory**: CPU time and highest resident memory of the tool's own process, its start included. The work that a
  tool does inside the kernel is part of the traced program's time. Memory of the kernel (maps, buffers) is not included.
* **report**: the time from the end of the program to the end of the tool.
* **delivered**: the calls that the tool reports, in all rounds. The program counts its `recvfrom`, `sendto` and `epoll_wait`; a
  histogram has no names, so its sum contains every call of the program. redis and nginx do not count their calls.
* **lost**: calls that the program counted and the tool does not report; for redis and nginx, events that the tool itself calls
  lost.

The tools: *iolab trace* records every call with its phases and sleeps. *empty probes* are two programs at the entry and the
exit of each system call that do nothing: the floor for every tool that attaches there. *clocks alone* are two programs that
find the process in a table and read the clock: the floor for every tool that knows how long calls take. *bpftrace hist* is a
histogram of durations, *bpftrace lines* prints a line per call. *syscount -L* is BCC's table of counts and durations.

In roundtrip, bulk and epoll the server and the client each have a CPU of their own, if there are two. Left alone, the scheduler
puts both on one CPU for some time, then on two, which changes a round trip more than most tools do."""


def _page_table(bench: Bench, workload: Workload) -> str:
    bare, *_ = rows = bench.rows(workload)
    heads = ["tool", f"added per {workload.operation}", "throughput left", "CPU", "memory", "report", "delivered", "lost"]
    lines = [heads, ["---"] * len(heads)]
    lines += [_page_cells(row) for row in rows if row.tool.name != UNTRACED]
    table = "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
    return f"## {workload.name}\n\n{workload.words}. Untraced: {time(bare.operation_ns)} per {workload.operation}.\n\n{table}"


def _page_cells(row: Row) -> list[str]:
    name, added, left, cpu, memory, report, lost_share = _cells(row)
    delivered = "-" if row.calls is None else f"{row.calls:,}" + (f" of {row.expected:,}" if row.expected else "")
    return [name, added, left, _with_unit(cpu, "s"), _with_unit(memory, "MB"), _with_unit(report, "s"), delivered, lost_share]


def _with_unit(cell: str, unit: str) -> str:
    return cell if cell == "-" else f"{cell} {unit}"
