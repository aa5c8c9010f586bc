"""The parameters of system calls are those that the kernel names."""

from __future__ import annotations

from pathlib import Path

import pytest

from probes.kernel import syscalls
from probes.kernel.parameters import As, parameters

KNOWN = parameters()


def test_every_call_of_both_architectures_that_kernels_still_have_is_known() -> None:
    names = set(syscalls.numbers("x86_64")) | set(syscalls.numbers("aarch64"))
    assert not set(KNOWN) - names
    assert len(names - set(KNOWN)) < 30, names - set(KNOWN)


def test_the_first_argument_of_calls_on_descriptors_is_a_descriptor() -> None:
    for name in syscalls.ON_DESCRIPTOR & set(KNOWN):
        assert KNOWN[name][0].kind is As.FD or name == "dup2", name


@pytest.mark.live
def test_the_kernel_names_the_same_parameters(kernel: None) -> None:
    folder = Path("/sys/kernel/tracing/events/syscalls")
    if not (folder / "sys_enter_read").is_dir():
        pytest.skip("this kernel has no events for each system call (CONFIG_FTRACE_SYSCALLS)")
    for name in ("read", "openat", "epoll_ctl", "futex", "accept4"):
        lines = (folder / f"sys_enter_{name}" / "format").read_text().split("__syscall_nr", 1)[1].splitlines()
        fields = [line.split(";")[0].split()[-1].lstrip("*") for line in lines if "field:" in line]
        assert [parameter.name for parameter in KNOWN[name]] == fields, name
