"""The running kernel's types, compared with other sources of the same facts."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from probes.capture.btf import Btf
from probes.errors import CannotTrace
from tests.conftest import cannot


@pytest.fixture(scope="module")
def btf() -> Btf:
    if not Path("/sys/kernel/btf/vmlinux").exists():
        cannot("this kernel has no BTF", "a kernel with CONFIG_DEBUG_INFO_BTF")
    return Btf()


def test_offsets_that_are_part_of_the_abi(btf: Btf) -> None:
    assert btf.offset("list_head", "next") == 0
    assert btf.offset("list_head", "prev") == struct.calcsize("P")
    assert btf.offset("upid", "nr") == 0


def test_a_member_of_an_unnamed_inner_struct_is_found(btf: Btf) -> None:
    """sk_buff.next is in a struct in a union, neither of which has a name."""
    assert btf.offset("sk_buff", "next") == 0
    assert btf.offset("sk_buff", "prev") == struct.calcsize("P")


def test_what_is_not_there_is_none(btf: Btf) -> None:
    assert btf.offset("task_struct", "no_such_member") is None
    assert btf.offset("no_such_struct", "pid") is None
    assert btf.size("no_such_struct") is None
    assert btf.tracepoint("no_such_tracepoint") is None
    assert not btf.has_function("no_such_function")


def test_arguments_of_a_tracepoint(btf: Btf) -> None:
    assert btf.tracepoint("sys_enter") == [True, False], "regs, number"
    switch = btf.tracepoint("sched_switch")
    assert switch is not None and sum(switch) == 2 and not switch[0], "two tasks, and whether it was a preemption"


def test_functions_are_those_of_the_symbol_table(btf: Btf) -> None:
    text = {line.split()[2] for line in Path("/proc/kallsyms").read_text().splitlines() if line.split()[1] in "tT"}
    for name in ("schedule", "sock_poll", "add_wait_queue", "no_such_function"):
        assert btf.has_function(name) == (name in text), name


def test_without_libbpf_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", refuse)
    with pytest.raises(CannotTrace, match="libbpf is missing"):
        Btf()
