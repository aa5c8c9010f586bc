"""The labs, one file each, by their names: the question, the traffic, the checks with the claims that they prove."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from probes.errors import WrongUsage

if TYPE_CHECKING:
    from labs.kit.lab import Lab

_NOT_LABS = {"claims", "exercises", "kit", "wrong"}


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all labs, sorted. The folder is read once a process."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_LABS))


def find(name: str) -> Lab:
    """The lab of that name. Raises WrongUsage, with the nearest name, if there is none."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise WrongUsage(f"there is no lab {name!r}", f"{hint}the labs: {', '.join(names())}")
    lab: Lab = importlib.import_module(f"labs.{name}").LAB
    return lab
