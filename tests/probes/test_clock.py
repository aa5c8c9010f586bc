"""The probes' clock from Python: CLOCK_MONOTONIC, without the offset of a time namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes import clock
from probes.errors import CannotTrace


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder in place of /proc/self, in another time namespace than the first."""
    (tmp_path / "ns").mkdir()
    (tmp_path / "ns" / "time").touch()
    (tmp_path / "ns" / "time_for_children").hardlink_to(tmp_path / "ns" / "time")
    monkeypatch.setattr(clock, "Path", lambda place: Path(str(place).replace("/proc/self", str(tmp_path))))
    clock.offset_ns.cache_clear()
    yield tmp_path
    clock.offset_ns.cache_clear()


def test_the_offset_of_a_time_namespace_is_subtracted(proc: Path) -> None:
    (proc / "timens_offsets").write_text("monotonic           5        25\nboottime           7         0\n")
    assert clock.offset_ns() == 5 * 10**9 + 25
    now = clock.now_ns()
    assert 0 <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) - 5 * 10**9 - 25 - now < 10**9


def test_a_negative_offset_is_added(proc: Path) -> None:
    (proc / "timens_offsets").write_text("monotonic          -3 500000000\n")
    assert clock.offset_ns() == -2_500_000_000


def test_the_offsets_of_a_namespace_for_children_are_not_ours(proc: Path) -> None:
    (proc / "ns" / "time_for_children").unlink()
    (proc / "ns" / "time_for_children").touch()
    with pytest.raises(CannotTrace, match="time namespace for its children"):
        clock.offset_ns()


def test_a_kernel_without_time_namespaces_has_no_offset(proc: Path) -> None:
    (proc / "ns" / "time").unlink()
    assert clock.offset_ns() == 0
