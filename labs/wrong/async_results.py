"""Wrong for lab async_results: the callers that wait ask in a loop, those that ask wait first, and no callback is given."""

import time
from typing import Any

from labs.async_results import ended, ways
from labs.kit.experiment import PAUSE, Sections


def experiment() -> dict[str, Any]:
    """Does the other thing in every section."""
    section = Sections()
    asked: dict[str, int] = {}
    early: dict[str, bool] = {}
    reported: dict[str, bool] = {}
    for make, described in ways():
        with make() as pool:
            way = described(pool)
            way.wait()
            section(f"{way.name}, waits")
            handle = way.start(None)
            while not ended(handle):
                pass
            section("between")
            section(f"{way.name}, asks")
            way.wait()
            handle = way.start(None)
            time.sleep(2 * PAUSE)
            early[way.name], asked[way.name] = ended(handle), 1
            section("between")
            section(f"{way.name}, callback")
            handle = way.start(None)
            while not ended(handle):
                pass
            reported[way.name] = False
            section("between")
    return section.outcome(asked=asked, early=early, reported=reported)
