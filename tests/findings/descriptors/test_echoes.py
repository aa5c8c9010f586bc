"""What the clients got back: all of it, or less, in figures."""

from __future__ import annotations

from findings.descriptors.echoes import all_echoed, echoes
from findings.view import Run
from tests.conftest import measured


def test_every_byte_came_back() -> None:
    run = Run(measured("short_write")).case("mended")
    assert all_echoed(run) and echoes(run).startswith("6 messages came back whole")


def test_bytes_that_never_came_back_are_counted() -> None:
    run = Run(measured("short_write")).case("broken")
    assert not all_echoed(run) and "never echoed" in echoes(run)
