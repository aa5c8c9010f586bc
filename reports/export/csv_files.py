"""The tables as CSV files in one folder (RFC 4180): a line of names, an empty field for what is not known."""

from __future__ import annotations

import csv
from pathlib import Path

from probes import files
from reports.export.columns import Table
from reports.grade.table import safe

NAMES = (
    "run", "threads", "phases", "calls", "sleeps", "messages", "findings", "places", "checks", "call_sums", "sleep_sums",
    "sockets",
)  # fmt: skip


def paths(folder: str) -> list[str]:
    """The files that `write` makes."""
    return [str(Path(folder) / f"{name}.csv") for name in NAMES]


def write(tables: tuple[Table, ...], folder: str) -> None:
    """A file for each table. Raises WrongUsage where a file can't be written."""
    for table in tables:
        with files.whole(str(Path(folder) / f"{table.name}.csv")) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([column.name for column in table.columns])
            for row in table.rows:  # a thread may have any name (prctl, PR_SET_NAME)
                writer.writerow([safe(value) if isinstance(value, str) else value for value in row])
