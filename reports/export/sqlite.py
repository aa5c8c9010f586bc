"""The tables as one SQLite database."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import IO

from reports.export.columns import Table


def write(tables: tuple[Table, ...], file: IO[bytes]) -> None:
    """Writes the database. It is made in memory, so that the file appears whole or not at all."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for table in tables:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in table.columns)
            database.execute(f'CREATE TABLE "{table.name}" ({columns})')
            marks = ", ".join("?" * len(table.columns))
            database.executemany(f'INSERT INTO "{table.name}" VALUES ({marks})', table.rows)
        database.commit()
        file.write(database.serialize())
