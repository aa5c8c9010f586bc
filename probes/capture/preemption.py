"""Does this kernel preempt its own code?

Then it may preempt a probe's program, and skip the program for other threads meanwhile. The kernel's configuration and its
command line say so (kernel/Kconfig.preempt). debugfs says it, too (sched/preempt), but is often not mounted.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import platform
from pathlib import Path

_MODES = {"none": False, "voluntary": False, "full": True, "lazy": True}  # kernel/sched/core.c, sched_dynamic_mode
_BUILT_IN = {  # the mode of a kernel without `preempt=`; the first that is set counts
    "CONFIG_PREEMPT_RT": True,
    "CONFIG_PREEMPT_NONE": False,
    "CONFIG_PREEMPT_VOLUNTARY": False,
    "CONFIG_PREEMPT_LAZY": True,
    "CONFIG_PREEMPT": True,
}


@functools.cache
def preempts() -> bool:
    """Whether this kernel may preempt code of the kernel; True where that can't be found out."""
    return found_out(Path("/"), platform.version(), platform.release())


def found_out(root: Path, version: str, release: str) -> bool:
    """The same for the kernel whose files are below `root`."""
    if "PREEMPT" not in version:  # scripts/mkcompile_h: a kernel that can preempt itself says so in its version
        return False
    if "PREEMPT_DYNAMIC" in version:
        for chosen in (_by_debugfs(root), _by_command_line(root)):
            if chosen is not None:
                return chosen
    return _by_configuration(root, release)


def _by_debugfs(root: Path) -> bool | None:
    """sched/preempt has all modes, the one that is in force in brackets: "(none) voluntary full"."""
    with contextlib.suppress(OSError):
        for word in (root / "sys/kernel/debug/sched/preempt").read_text().split():
            if word.startswith("("):
                return _MODES.get(word.strip("()"))
    return None


def _by_command_line(root: Path) -> bool | None:
    with contextlib.suppress(OSError):
        for word in reversed((root / "proc/cmdline").read_text().split()):
            if word.startswith("preempt="):
                return _MODES.get(word.removeprefix("preempt="))
    return None


def _by_configuration(root: Path, release: str) -> bool:
    for path in (root / "proc/config.gz", root / f"boot/config-{release}", root / f"lib/modules/{release}/config"):
        with contextlib.suppress(OSError, EOFError):
            text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            lines = set(text.decode(errors="replace").splitlines())
            for option, answer in _BUILT_IN.items():
                if f"{option}=y" in lines:
                    return answer
    return True
