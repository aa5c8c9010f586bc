"""The memory limit of a control group, in both versions of control groups. The tests write files in place of the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.capture import cgroup

MB = 1 << 20


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in place of /; this process is in the group /a/b of version 2."""
    for folder in ("proc/self", "sys/fs/cgroup/a/b", "memory/c"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory,cpu:/c\n0::/a/b\n")
    mounts = f"cgroup2 {tmp_path}/sys/fs/cgroup cgroup2 rw,nosuid 0 0\ncgroup {tmp_path}/memory cgroup rw,memory 0 0\n"
    (tmp_path / "proc/self/mounts").write_text(mounts)

    def place(name: object) -> Path:
        return Path(name) if str(name).startswith(str(tmp_path)) else tmp_path / str(name).lstrip("/")  # type: ignore[arg-type]

    monkeypatch.setattr(cgroup, "Path", place)
    return tmp_path


def test_a_group_without_a_limit_has_none(system: Path) -> None:
    (system / "sys/fs/cgroup/a/b/memory.max").write_text("max\n")
    assert cgroup.memory_limit() is None


def test_the_lowest_limit_of_the_groups_above_counts(system: Path) -> None:
    (system / "sys/fs/cgroup/a/b/memory.max").write_text(f"{512 * MB}\n")
    (system / "sys/fs/cgroup/a/memory.max").write_text(f"{256 * MB}\n")
    (system / "sys/fs/cgroup/memory.max").write_text("max\n")
    assert cgroup.memory_limit() == 256 * MB


def test_version_1_has_a_file_of_another_name_and_a_number_for_no_limit(system: Path) -> None:
    (system / "memory/c/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert cgroup.memory_limit() is None
    (system / "memory/c/memory.limit_in_bytes").write_text(f"{64 * MB}\n")
    assert cgroup.memory_limit() == 64 * MB


@pytest.mark.parametrize(("events", "killed"), [("oom 3\noom_kill 1\n", True), ("oom 3\noom_kill 0\n", False), ("", False)])
def test_only_a_process_that_was_killed_counts(system: Path, events: str, killed: bool) -> None:
    (system / "sys/fs/cgroup/a/b/memory.events").write_text(events)
    assert cgroup.killed_for_memory() is killed
