"""The requests of a trial come from the seed and the name."""

from __future__ import annotations

from runs.driving.task import Task
from runs.driving.trial import Trial


def test_the_traffic_depends_on_the_seed_and_the_name() -> None:
    made = [Trial(Task("reset", "", 0, 0, seed, "echo")).request(64) for seed in ("a/ada", "a/ada", "a/bob", "b/ada")]
    assert made[0] == made[1] and len(set(made)) == 3
