"""A control group with a limit: the kernel throttles its processes, and the trace says so; without the limit, it does not."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from probes.capture.throttling import Throttling
from tests.conftest import cannot, iolab

COMPUTES = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done"


@contextlib.contextmanager
def group(name: str) -> Iterator[tuple[Path, Callable[[bool], int]]]:
    """A new group, and what limits it to 4 ms in each 100 ms or takes the limit back. Removed in the end."""
    old, new = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
    root = old if (old / "cpu.cfs_quota_us").exists() or (old / "tasks").exists() else new
    folder = root / f"iolab-test-{name}-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        cannot(f"no control group can be made: {error}", "run as root, with /sys/fs/cgroup writable")
    try:
        quota = [folder / file for file in ("cpu.max", "cpu.cfs_quota_us") if (folder / file).exists()]
        if not quota:
            pytest.skip("the groups of this machine have no limit of CPU time (cgroup.subtree_control lacks cpu)")
        unlimited = "max" if quota[0].name == "cpu.max" else "-1"
        yield folder, lambda limited: quota[0].write_text("4000" if limited else unlimited)
    finally:
        folder.rmdir()


@pytest.mark.live
def test_the_limit_of_a_group_is_a_finding_and_its_right_twin_is_quiet(kernel: None, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    with group("limit") as (folder, limit):
        line = ["sh", "-c", f"echo $$ >{folder}/cgroup.procs; {COMPUTES}"]
        found = {}
        for limited in (True, False):
            limit(limited)
            done = iolab("trace", "--json", "--out", str(answer), "--", *line)
            assert done.returncode == 0, done.stderr
            findings = json.loads(answer.read_text())["findings"]
            found[limited] = next(each for each in findings if each["property"] == "gets-a-cpu")
    assert found[True]["verdict"] == "broken", found[True]
    assert f"the control group {folder} (cpu.max: 4.0 ms in each 100.0 ms) was throttled" in found[True]["evidence"]
    assert f"{folder}/cpu.max" in found[True]["remedy"]
    assert "control group" not in found[False]["evidence"]


def test_the_first_checks_have_short_pauses() -> None:
    throttling = Throttling(os.getpid())
    assert 0 < throttling.next_look <= 0.05


def test_groups_of_this_process_are_read() -> None:
    throttling = Throttling(os.getpid())
    assert all(group.times > 0 for group in throttling.since())


def test_a_process_that_has_ended_has_no_groups() -> None:
    assert Throttling(2**22 + 1).since() == ()
