"""The numbers that the C side is compiled with: numbers only, and one answer for each difference between kernels."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from probes.capture.bpf import KERNEL
from probes.capture.btf import Btf
from probes.capture.constants import NESTED, REQUIRED, defines
from probes.errors import CannotTrace
from probes.kernel.limits import SIZES

_LINE = re.compile(r"#define [A-Z][A-Z0-9_]* -?\d+U?(, -?\d+)*")
SWITCH_5_10 = [False, True, True]  # preempt, prev, next
SWITCH_5_18 = [False, False, True, True]  # preempt, prev_state, prev, next
SWITCH_6_12 = [False, True, True, False]  # preempt, prev, next, prev_state


class Types(Btf):
    """A kernel with these members only; each stands at an offset of its own."""

    def __init__(self, members: set[tuple[str, str]], switch: list[bool] | None) -> None:
        self._members, self._switch = sorted(members), switch

    def offset(self, struct: str, member: str) -> int | None:
        return 8 * self._members.index((struct, member)) + 8 if (struct, member) in self._members else None

    def size(self, struct: str) -> int | None:
        return 16

    def has_function(self, name: str) -> bool:
        return True

    def tracepoint(self, name: str) -> list[bool] | None:
        return self._switch


ALL = (
    {(struct, member) for _, struct, member in REQUIRED}
    | {place for _, _, outer, inner in NESTED for place in (outer, inner)}
    | {("task_struct", "__state"), ("sock", "sk_socket"), ("socket_alloc", "vfs_inode")}
)


def numbers(members: set[tuple[str, str]], switch: list[bool] | None = SWITCH_6_12) -> dict[str, str]:
    lines = defines(Types(members, switch), SIZES).splitlines()
    return {name: value for _, name, value in (line.split(" ", 2) for line in lines)}


def test_there_are_numbers_only() -> None:
    lines = defines(Types(ALL, SWITCH_6_12), SIZES).splitlines()
    assert [line for line in lines if not _LINE.fullmatch(line)] == []
    names = [line.split()[1] for line in lines]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not Path("/sys/kernel/btf/vmlinux").exists(), reason="no BTF; to make it run: CONFIG_DEBUG_INFO_BTF")
def test_the_c_side_uses_no_number_that_this_kernel_was_not_asked_for() -> None:
    known = {line.split()[1] for line in defines(Btf(), SIZES).splitlines()}
    text = "".join(path.read_text() for path in [*KERNEL.glob("*.c"), KERNEL / "kernel.h"])
    used = set(re.findall(r"\b(?:OFF|HAS|NR)_[A-Z0-9_]+\b", text)) | set(re.findall(r"\bSWITCH_(?:PREV|NEXT|STATE)\b", text))
    assert used and used <= known
    offsets = {name for name in known if name.startswith(("OFF_", "HAS_"))}
    assert offsets <= used, "a number that nobody uses"


def test_a_kernel_without_a_needed_member_is_named() -> None:
    with pytest.raises(CannotTrace, match=r"task_struct\.thread_pid"):
        numbers(ALL - {("task_struct", "thread_pid")})
    with pytest.raises(CannotTrace, match="sched_switch"):
        numbers(ALL, None)


def test_the_state_of_a_task_has_two_names() -> None:
    older = ALL - {("task_struct", "__state")} | {("task_struct", "state")}
    assert numbers(older)["OFF_TASK_STATE"] == str(Types(older, None).offset("task_struct", "state"))
    with pytest.raises(CannotTrace, match="__state"):
        numbers(ALL - {("task_struct", "__state")})


@pytest.mark.parametrize(
    ("switch", "prev", "after", "state"),
    [(SWITCH_5_10, "1", "2", None), (SWITCH_5_18, "2", "3", "1"), (SWITCH_6_12, "1", "2", "3")],
)
def test_the_arguments_of_sched_switch_are_found(switch: list[bool], prev: str, after: str, state: str | None) -> None:
    found = numbers(ALL, switch)
    assert (found["SWITCH_PREV"], found["SWITCH_NEXT"]) == (prev, after)
    assert (found["HAS_SWITCH_STATE"], found["SWITCH_STATE"]) == ("0" if state is None else "1", state or "0")


def test_what_a_kernel_may_lack_is_0_there() -> None:
    lacking = numbers(ALL - {("seccomp", "mode"), ("thread_info", "status"), ("socket_alloc", "vfs_inode")})
    assert (lacking["HAS_SECCOMP"], lacking["OFF_SECCOMP_MODE"]) == ("0", "0")
    assert (lacking["HAS_THREAD_STATUS"], lacking["HAS_THREAD_FLAGS"], lacking["HAS_SOCKET_INODE"]) == ("0", "1", "0")
    assert numbers(ALL)["HAS_SECCOMP"] == "1"
