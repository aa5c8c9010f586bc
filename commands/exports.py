"""The options that write a run for other programs: --csv, --sqlite, --speedscope, --folded, --perfetto."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from commands import outputs
from commands.options import group
from probes import files

if TYPE_CHECKING:
    from runs.report import Report

HELP = {
    "csv": "write the run's tables into this folder, as CSV files: calls, sleeps, messages, threads, findings, sums",
    "sqlite": "write the run's tables as one SQLite database",
    "speedscope": "write where the threads waited as a flame graph for speedscope.app",
    "folded": "write where the threads waited as folded stacks, for flamegraph.pl and inferno",
    "perfetto": "write the run as a trace for ui.perfetto.dev",
}


class Exports(NamedTuple):
    """The paths that the user named; "" for what the user does not want."""

    csv: str = ""
    sqlite: str = ""
    speedscope: str = ""
    folded: str = ""
    perfetto: str = ""

    def check(self) -> None:
        """Checks before the work that all of it can be written, and installs what it needs. Raises WrongUsage."""
        outputs.check(self.sqlite, self.speedscope, self.folded, self.perfetto)
        if self.csv:
            from reports.export import csv_files

            files.make_folder(self.csv)
            outputs.check(*csv_files.paths(self.csv))
        if self.perfetto:
            from commands.extras import PERFETTO

            PERFETTO.need()

    def steps(self, made: Callable[[], Report]) -> Iterator[Callable[[], None]]:
        """What writes each output. `made` makes the report once."""
        if self.csv:
            yield lambda: _write_csv(made(), self.csv)
        if self.sqlite:
            yield lambda: _write_sqlite(made(), self.sqlite)
        if self.speedscope:
            yield lambda: _write_speedscope(made(), self.speedscope)
        if self.folded:
            yield lambda: _write_folded(made(), self.folded)
        if self.perfetto:
            yield lambda: _write_perfetto(made(), self.perfetto)


NOTHING = Exports()


options = group("files", Exports._field_defaults, Exports)


def _write_csv(report: Report, folder: str) -> None:
    from reports.export import csv_files, tables

    csv_files.write(tables.tables(report), folder)


def _write_sqlite(report: Report, path: str) -> None:
    from reports.export import sqlite, tables

    with files.whole(path, "wb") as file:
        sqlite.write(tables.tables(report), file)


def _write_speedscope(report: Report, path: str) -> None:
    from reports.export import flame

    with files.whole(path) as file:
        flame.write_speedscope(report, file)


def _write_folded(report: Report, path: str) -> None:
    from reports.export import flame

    with files.whole(path) as file:
        flame.write_folded(report, file)


def _write_perfetto(report: Report, path: str) -> None:
    from reports.export import perfetto

    with files.whole(path, "wb") as file:
        perfetto.write(report, file)
