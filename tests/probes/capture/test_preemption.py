"""Whether a kernel preempts its own code, from the files of several kernels."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from probes.capture.preemption import found_out

DYNAMIC = "#1 SMP PREEMPT_DYNAMIC Debian"
NONE, FULL = "CONFIG_PREEMPT_NONE=y\nCONFIG_PREEMPT_DYNAMIC=y\n", "CONFIG_PREEMPT=y\nCONFIG_PREEMPT_DYNAMIC=y\n"


def kernel(root: Path, config: str = "", cmdline: str = "", debugfs: str = "") -> Path:
    for path, text in (("boot/config-1", config), ("proc/cmdline", cmdline), ("sys/kernel/debug/sched/preempt", debugfs)):
        if text:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return root


@pytest.mark.parametrize(
    ("version", "config", "cmdline", "debugfs", "answer"),
    [
        ("#1 SMP Debian", "", "", "", False),
        ("#1 SMP PREEMPT Debian", "CONFIG_PREEMPT=y", "", "", True),
        ("#1 SMP PREEMPT_RT Debian", "CONFIG_PREEMPT_RT=y", "", "", True),
        (DYNAMIC, NONE, "quiet", "", False),
        (DYNAMIC, FULL, "quiet", "", True),
        (DYNAMIC, "CONFIG_PREEMPT_VOLUNTARY=y", "", "", False),
        (DYNAMIC, "CONFIG_PREEMPT_LAZY=y", "", "", True),
        (DYNAMIC, "# CONFIG_PREEMPT_NONE is not set", "", "", True),
        (DYNAMIC, NONE, "quiet preempt=full", "", True),
        (DYNAMIC, FULL, "preempt=full preempt=none", "", False),
        (DYNAMIC, NONE, "", "none voluntary (full)", True),
        (DYNAMIC, FULL, "preempt=full", "(none) voluntary full", False),
        (DYNAMIC, "", "", "", True),
    ],
)
def test_the_kernels_own_files_say_whether_it_preempts_itself(
    tmp_path: Path, version: str, config: str, cmdline: str, debugfs: str, answer: bool
) -> None:
    assert found_out(kernel(tmp_path, config, cmdline, debugfs), version, "1") is answer


def test_the_configuration_may_be_packed_and_may_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    packed = tmp_path / "proc" / "config.gz"
    packed.write_bytes(gzip.compress(NONE.encode()))
    assert not found_out(tmp_path, DYNAMIC, "1")
    packed.write_bytes(packed.read_bytes()[:20])
    assert found_out(tmp_path, DYNAMIC, "1")
