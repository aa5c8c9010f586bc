"""The numbers and names of system calls, and the sets that say what each does."""

from __future__ import annotations

import errno
import platform

import pytest

from probes.errors import CannotTrace
from probes.kernel import syscalls
from probes.kernel.parameters import parameters

SETS = {
    name: value
    for name, value in vars(syscalls).items()
    if name.isupper() and isinstance(value, set | frozenset) and name != "ON_DESCRIPTOR"
} | {"ON_DESCRIPTOR": syscalls.ON_DESCRIPTOR}


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_no_two_calls_have_one_number(machine: str) -> None:
    numbers = syscalls.numbers(machine)
    assert len(set(numbers.values())) == len(numbers)
    assert {syscalls.names(machine)[number] for number in numbers.values()} == set(numbers)


@pytest.mark.parametrize("name", SETS)
def test_each_name_in_a_set_is_a_call_of_some_architecture(name: str) -> None:
    known = set().union(*(syscalls.numbers(machine) for machine in syscalls.ARCHITECTURES))
    assert SETS[name] <= known


def test_calls_on_descriptors_have_a_descriptor_as_their_first_parameter() -> None:
    for name in syscalls.ON_DESCRIPTOR & parameters().keys():
        assert parameters()[name][0].kind == "fd", name


def test_the_same_call_has_another_number_elsewhere() -> None:
    assert syscalls.numbers("x86_64")["read"] == 0 and syscalls.numbers("aarch64")["read"] == 63
    assert "epoll_wait" not in syscalls.numbers("aarch64")


def test_an_architecture_whose_registers_are_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(CannotTrace, match="riscv64 is not supported"):
        syscalls.architecture()


def test_only_results_of_the_error_range_are_errors() -> None:
    assert syscalls.errno_name(-errno.EPIPE) == "EPIPE"
    assert syscalls.errno_name(-4096) is None and syscalls.errno_name(0) is None
    assert syscalls.errno_name(-(2**40)) is None, "an address of mmap, as a number with a sign"
