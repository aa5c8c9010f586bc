"""The data of experiments: the shipped ones pass, others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import labs
from labs.kit import asides
from labs.kit.growth import SIZES
from probes.recording import Recording
from tests.conftest import DATA, lab_run


@pytest.mark.parametrize("lab", [name for name in labs.names() if (DATA / f"{name}.iolab").exists()])
def test_the_shipped_data_pass(lab: str, recorded: Callable[[str], Recording]) -> None:
    asides.check(lab, lab_run(recorded(lab)).aside, SIZES)


@pytest.mark.parametrize(
    ("lab", "data", "words"),
    [
        ("terms", {"sections": ["a", 1]}, "aside.sections is not a text"),
        ("terms", {"sections": ["a", "a"]}, "the same name"),
        ("epoll", {"mmap": "ENODEV"}, "aside.epoll_wait is missing"),
        ("epoll", {"growth_skipped": "no"}, "aside.epoll_wait is missing"),
        ("poll", {"fd": 3, "events": 1, "revents": 1, "growth": {"select": {"10": 1}}}, "lacks a call or a size"),
        ("threads", {"crowd": {"thread": {"10": {"cpu_ns": 1, "bytes": 1, "switches": 1}}}}, "lacks a unit or a size"),
        ("threads", {"crowd": {"thread": {"10": {"cpu_ns": 1}}}}, "bytes"),
        ("delivery", {"unread": {}}, "aside.unread is not a list"),
    ],
)
def test_other_data_are_refused(lab: str, data: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asides.check(lab, data, SIZES)
