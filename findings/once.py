"""Keeps what a function found in a result, because several properties and reports need the same facts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol, TypeVar

from probes.measure.result import Result


class _OfAResult(Protocol):
    """An object that belongs to one result, such as a Run."""

    @property
    def result(self) -> Result: ...


Found = TypeVar("Found")
Subject = TypeVar("Subject", bound=Result | _OfAResult)


def once(find: Callable[[Subject], Found]) -> Callable[[Subject], Found]:
    """A function of a result or of a run that runs once for each result. No caller may change what it returns."""

    @functools.wraps(find)
    def kept(subject: Subject) -> Found:
        memory = (subject if isinstance(subject, Result) else subject.result).found
        if find not in memory:
            memory[find] = find(subject)
        found: Found = memory[find]
        return found

    return kept
