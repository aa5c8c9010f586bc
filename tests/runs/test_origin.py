"""A recording to hand in names its student, else the login, with a time before the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.clock import now_ns
from runs import origin


def test_the_name_is_the_student_or_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "ada")
    assert (origin.here("Ada L.").student, origin.here("").student, origin.here("Ada L.").login) == ("Ada L.", "ada", "ada")
    monkeypatch.delenv("SUDO_USER")
    assert origin.here("").student == "root"


def test_the_boot_is_the_same_for_each_recording_and_is_no_id_of_the_kernel() -> None:
    found = origin.here("x")
    assert found.boot == origin.here("y").boot and found.answered <= now_ns()
    if found.boot:
        assert found.boot not in Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", "")


def test_a_long_name_is_cut() -> None:
    assert len(origin.here("x" * 500).student) == 100
