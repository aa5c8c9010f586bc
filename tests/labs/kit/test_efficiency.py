"""The cost of select and of poll on the same descriptors, and the verdict that follows from the ratios."""

from __future__ import annotations

import resource

import pytest

from labs.kit import efficiency
from probes.measure.result import Verdict
from tests.conftest import checked_with, lab_run, recording_of
from tests.labs.kit.beside import beside


def test_each_shape_that_the_limits_allow_is_measured() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    measured = beside(efficiency.measure)["efficiency"]
    assert set(measured) == {name for name, (_number, high) in efficiency.SHAPES.items() if high < hard}
    assert all(min(costs.values()) > 0 for costs in measured.values())
    few, many = measured["10 descriptors up to 1,023"], measured["900 descriptors up to 1,023"]
    assert all(many[call] > 3 * few[call] for call in ("select", "poll"))


@pytest.mark.parametrize(
    ("sparse", "dense", "verdict"),
    [
        (1500, 1500, Verdict.CONFIRMED),
        (1500, 1000, Verdict.REFINED),
        (1000, 1000, Verdict.REFUTED),
        (900, 800, Verdict.REFUTED),
    ],
)
def test_the_ratios_decide(sparse: int, dense: int, verdict: Verdict) -> None:
    recording = recording_of("poll")
    shapes = {"sparse": {"select": sparse, "poll": 1000}, "dense": {"select": dense, "poll": 1000}}
    judged = checked_with("poll", aside={**lab_run(recording).aside, "efficiency": shapes})
    assert [each.verdict for each in judged.checks if each.claims == ("C52",)] == [verdict]
