"""Python's garbage collector looks for cycles again whenever there are many new objects. Where millions are made that have no
cycles, it takes most of the time: 3 million lists of a JSON text take 6 s with it, and 0.2 s without.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Within, no cycles are looked for. What was made within counts as old afterwards, so the next search leaves it out."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.freeze()  # without a look at them: a search through the objects of 50,000 calls takes 0.15 s
            gc.unfreeze()  # into the oldest generation
            gc.enable()
