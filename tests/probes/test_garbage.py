"""Work without a search for cycles."""

from __future__ import annotations

import gc

from probes.garbage import uncollected


def test_objects_from_the_block_are_old_afterwards() -> None:
    """The next search of the young objects does not go through it."""
    with uncollected():
        made = [[number] for number in range(50_000)]
        assert not gc.isenabled() and gc.get_count()[0] > 40_000
    assert gc.isenabled() and gc.get_count()[0] < 1000 and len(made) == 50_000


def test_a_cycle_from_the_block_is_found_by_a_full_search() -> None:
    with uncollected():
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
    assert gc.collect() >= 1
