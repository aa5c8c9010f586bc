"""The sockets of the JSON document: a row for each, NULL for what is not known, and the bytes that no call read."""

from __future__ import annotations

import json

import pytest

from findings.descriptors.sockets import sockets
from findings.view import Run
from reports.sockets import data
from tests.conftest import measured, reported


@pytest.mark.parametrize("name", ["faults/sockets-unread", "faults/sockets-read", "faults/sockets-addresses"])
def test_each_socket_has_a_row(name: str) -> None:
    found = data(reported(name))
    lives = sockets(Run(measured(name)))
    assert json.loads(json.dumps(found)) == found and len(found) == len(lives) > 0
    for row, life in zip(found, lives, strict=True):
        assert (row["kind"], row["pid"], row["words"]) == (life.kind, life.pid, life.words)
        assert row["fd"] is None or row["fd"] >= 0
        assert row["local"] is None or set(row["local"]) == {"host", "port"}
        assert (row["end_ns"] is None) == (life.end is None) == (row["open"] is None)


def test_bytes_that_no_call_read_are_in_their_rows() -> None:
    unread = [row["unread_bytes"] for row in data(reported("faults/sockets-unread")) if row["unread_bytes"]]
    assert sum(unread) == 16 + 3 + 5
    assert not any(row["unread_bytes"] for row in data(reported("faults/sockets-read")))


def test_a_socket_of_the_unix_family_has_a_path_and_no_address() -> None:
    rows = [row for row in data(reported("faults/sockets-addresses")) if row["kind"].startswith("unix")]
    assert rows and all(row["local"] is None and row["peer"] is None for row in rows) and any(row["path"] for row in rows)
