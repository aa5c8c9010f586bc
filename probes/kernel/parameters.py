"""The parameters of system calls: their names and kinds.

parameters.tsv has what the kernel says of them (tracefs, events/syscalls/sys_enter_*/format).
"""

from __future__ import annotations

import enum
from functools import cache
from pathlib import Path
from typing import NamedTuple


class As(enum.StrEnum):
    """How the value of a parameter is to be read."""

    FD = "fd"
    POINTER = "pointer"
    INT = "int"  # 32 bits with a sign
    LONG = "long"  # 64 bits with a sign
    NUMBER = "number"
    FLAGS = "flags"
    MODE = "mode"


class Parameter(NamedTuple):
    """One parameter."""

    kind: As
    name: str


@cache
def parameters() -> dict[str, tuple[Parameter, ...]]:
    """The parameters of each call, by its name."""
    lines = (Path(__file__).parent / "parameters.tsv").read_text().splitlines()
    return {name: tuple(map(_parameter, rest)) for name, *rest in (line.split("\t") for line in lines)}


def _parameter(text: str) -> Parameter:
    kind, name = text.split(" ")
    return Parameter(As(kind), name)


def signed(value: int, bits: int) -> int:
    """The value of a register as a number with a sign.

    >>> signed(0xFFFFFFFF, 32), signed(5, 32)
    (-1, 5)
    """
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
