"""BPF by BCC: compiles without kernel headers, and quotes BCC and the kernel when they refuse a program.

BCC is used here, in image.py and in cost.py, and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probes.errors import CannotTrace

KERNEL = Path(__file__).parents[1] / "kernel"  # the programs' sources
ENDS = {"fentry": "kfunc", "fexit": "kretfunc"}  # BCC's names for the two ends of a function


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """Keeps what BCC and clang print to stdout and stderr, for the error message."""
    said: list[str] = []
    with os.fdopen(os.memfd_create("iolab-bcc"), "w+b", buffering=0) as catch:
        saved = os.dup(1), os.dup(2)
        os.dup2(catch.fileno(), 1)
        os.dup2(catch.fileno(), 2)
        try:
            yield said
        finally:
            for copy, target in zip(saved, (1, 2), strict=True):
                os.dup2(copy, target)
                os.close(copy)
            catch.seek(0)
            said.append(catch.read().decode(errors="replace"))


def import_bcc() -> Any:
    """The bcc module. Raises CannotTrace if it is missing, or if another package has that name."""
    try:
        import bcc
    except ImportError as error:
        raise CannotTrace(
            f"BCC is missing ({error})", "apt-get install python3-bpfcc, or start ./iolab, which installs it"
        ) from error
    if not hasattr(bcc, "BPF"):
        raise CannotTrace(
            f"{bcc.__file__} is not the BPF compiler collection but another package of that name",
            "pip uninstall bcc; apt-get install python3-bpfcc",
        )
    return bcc


def compile_bpf(text: bytes, **options: Any) -> Any:
    """A bcc.BPF of this program, compiled against our stub headers (BCC takes their place from the environment).

    Nothing is attached yet, whatever the programs' names: BCC would attach all those that are named like a hook of theirs.
    """

    class Bpf(import_bcc().BPF):  # type: ignore[misc]
        def _trace_autoload(self) -> None:
            pass

    before = os.environ.get("BCC_KERNEL_SOURCE")
    os.environ["BCC_KERNEL_SOURCE"] = str(KERNEL / "headers")
    here = os.open(".", os.O_PATH)
    try:
        os.chdir(KERNEL)  # clang takes headers from the current folder, too
        return Bpf(text=text, **options)
    finally:
        os.fchdir(here)
        os.close(here)
        del os.environ["BCC_KERNEL_SOURCE"]
        if before is not None:
            os.environ["BCC_KERNEL_SOURCE"] = before


def program_on(bpf: Any, prefix: str, function: str) -> bytes:
    """The name that KFUNC_PROBE(function) gave to its program: newer versions of BCC put "vmlinux__" before it."""
    names = [f"{prefix}__{module}{function}".encode() for module in ("vmlinux__", "")]
    return next(name for name in names if import_bcc().lib.bpf_function_start(bpf.module, name))


def complaint(said: str) -> str:
    """Why the kernel refused, in what BCC and libbpf printed: the last line that says something."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return ""
    if "kprobe_events" in lines[-1] and not Path("/sys/bus/event_source/devices/kprobe").exists():
        return "this kernel is built without kprobes"
    return lines[-1].removeprefix("libbpf: ").removeprefix("bpf: Failed to load program: ")[:160]
