"""What a wait costs, asked of this machine's kernel without any probe; and the findings that labs make of it."""

from __future__ import annotations

from typing import Any

import pytest

from labs.kit import growth
from probes.measure.result import Verdict
from tests.conftest import checked_with, lab_run, recording_of
from tests.labs.kit.beside import beside


def test_select_and_poll_grow_and_epoll_does_not() -> None:
    measured = beside(growth.measure)["growth"]
    assert set(measured) == {"select", "select, no wait", "poll", "poll, no wait", "epoll"}
    small, many = (str(size) for size in growth.SIZES[1:])
    for name, costs in measured.items():
        factor = costs[many] / costs[small]
        assert factor < 2 if name == "epoll" else factor > 3, (name, costs)


def judged(lab: str, check: str, aside: dict[str, Any]) -> Verdict:
    whole = {**lab_run(recording_of(lab)).aside, **aside}
    return next(held.verdict for held in checked_with(lab, aside=whole).checks if held.name == check)


GROWS = {"10": 10_000, "100": 30_000, "900": 200_000}
STAYS = {"10": 4_000, "100": 4_000, "900": 4_100}
SAME = {"select": GROWS, "select, no wait": GROWS, "poll": GROWS, "poll, no wait": GROWS, "epoll": GROWS}
FLAT = dict.fromkeys(SAME, STAYS)
SQUARE = {call: {"10": 1_000, "100": 2_000, "900": 82_000} for call in SAME}  # 10 us for 100 descriptors, squared


@pytest.mark.parametrize("lab", ["select", "poll"])
@pytest.mark.parametrize(
    ("check", "growth"),
    [
        ("every call polls every descriptor, and again after a wake-up or a time-out", FLAT),
        (
            "every call that waits enters every descriptor's wait queue, and leaves it",
            SAME,
        ),  # a call that may wait costs no more than one that may not
        ("the cost of a call grows in proportion to the descriptors", FLAT),
        ("the cost of a call grows in proportion to the descriptors", SQUARE),
    ],
)
def test_a_kernel_that_did_not_walk_would_fail_the_checks(lab: str, check: str, growth: dict[str, dict[str, int]]) -> None:
    assert judged(lab, check, {"growth": growth}) is Verdict.FAILED


def test_an_epoll_that_walked_would_fail_its_check() -> None:
    assert judged("epoll", "the cost of epoll_wait does not grow with the descriptors", {"growth": SAME}) is Verdict.FAILED


def test_an_epoll_with_a_smaller_limit_of_its_own_would_fail_the_check() -> None:
    limits = lab_run(recording_of("epoll")).aside["limit"] | {"refused": "No space left on device from epoll_ctl"}
    assert judged("epoll", "the number of open files limits epoll", {"limit": limits}) is Verdict.FAILED


def test_the_limit_is_that_of_open_files() -> None:
    limits = beside(growth.limit)["limit"]
    assert 200 < limits["taken"] < limits["nofile"] == 256
    assert limits["refused"].endswith("dup")
