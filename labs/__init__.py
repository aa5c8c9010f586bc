"""The labs, one file each, by their names: the question, the traffic, the checks with the claims that they prove."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import TYPE_CHECKING

from probes.errors import WrongUsage
from probes.words import did_you_mean

if TYPE_CHECKING:
    from labs.kit.lab import Lab

_NOT_LABS = {"claims", "exercises", "kit", "wrong"}


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all labs, sorted. The folder is read once a process."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_LABS))


def known(name: str) -> str:
    """Returns the name if a lab has it. Otherwise raises WrongUsage, which suggests the most similar name."""
    if name not in names():
        raise WrongUsage(f"there is no lab {name!r}", f"{did_you_mean(name, names())}the labs: {', '.join(names())}")
    return name


def find(name: str) -> Lab:
    """The lab of that name. Raises WrongUsage."""
    lab: Lab = importlib.import_module(f"labs.{known(name)}").LAB
    return lab
