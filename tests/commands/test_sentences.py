"""What goes wrong is a sentence that names the cause and the remedy: no traceback, and no wrong cause."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes.errors import WrongUsage
from probes.patience import _patience
from tests.conftest import COMMAND, ROOT, iolab, readable_by_all, started_anew


@pytest.mark.parametrize("factor", ["-1", "0", "nan", "inf", "1e9", "fast"])
def test_a_senseless_patience_is_refused(factor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOLAB_SLOW", factor)
    with pytest.raises(WrongUsage, match=re.escape(f"IOLAB_SLOW={factor} is ")):
        _patience()


def test_a_senseless_patience_ends_a_command() -> None:
    done = started_anew("claims", IOLAB_SLOW="fast")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "IOLAB_SLOW=fast is not a number" in done.stderr


def test_doctor_of_another_user_names_what_is_missing() -> None:
    readable_by_all()
    done = subprocess.run([*COMMAND, "doctor"], capture_output=True, text=True, user=65534, cwd="/")
    assert done.returncode == 4 and "Traceback" not in done.stderr
    assert "can't write the report" not in done.stderr
    assert "CAP_BPF" in done.stdout and "Failed to compile" not in done.stdout


def test_without_venv_the_error_names_the_remedy_for_another_user() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file in ("iolab", "pyproject.toml"):
            shutil.copy(ROOT / file, folder)
        done = subprocess.run([folder / "iolab", "labs"], capture_output=True, text=True, user=65534, cwd="/")
    assert done.returncode == 4
    assert "iolab is not installed yet" in done.stderr and "may not write to" in done.stderr


@pytest.mark.live
def test_too_few_descriptors_are_named(kernel: None) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (30, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    done = subprocess.run([*COMMAND, "lab", "blocking"], capture_output=True, text=True, preexec_fn=few)
    assert done.returncode == 4 and "allows 30 open files" in done.stderr and "ulimit -n 1024" in done.stderr


@pytest.mark.live
def test_a_server_beyond_FD_SETSIZE_is_named_with_the_claim(kernel: None) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 2100:
        pytest.skip("RLIMIT_NOFILE is too low for 2,000 connections; to make it run: ulimit -Hn 4096")
    done = iolab("lab", "select", "--clients", "2000", "--messages", "2")
    assert done.returncode == 3
    problem, remedy = done.stderr.splitlines()[-2:]
    assert "server select ended" in problem and "FD_SETSIZE" in remedy


@pytest.fixture
def small_group(tmp_path: Path) -> Iterator[Path]:
    """A control group of 64 MB, made by this test."""
    for kind, options, limit in (("cgroup2", [], "memory.max"), ("cgroup", ["-o", "memory"], "memory.limit_in_bytes")):
        root = tmp_path / kind
        root.mkdir()
        if os.geteuid() or subprocess.run(["mount", "-t", kind, *options, "none", str(root)], capture_output=True).returncode:
            continue
        group = root / f"iolab-test-{os.getpid()}"
        try:
            group.mkdir()
            if (group / limit).exists():
                (group / limit).write_text(str(64 << 20))
                yield group
                return
        finally:
            group.rmdir()
            subprocess.run(["umount", str(root)], check=True)
    pytest.skip("no memory controller that this test may use; to make it run: root, and cgroups(7)")


@pytest.mark.live
def test_too_little_memory_is_named_before_anything_runs(kernel: None, small_group: Path) -> None:
    line = ["sh", "-c", f'echo $$ >{small_group}/cgroup.procs; exec "$@"', "sh", *COMMAND, "lab", "blocking"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert "allows 64 MB of memory" in done.stderr and "memory.max" in done.stderr
