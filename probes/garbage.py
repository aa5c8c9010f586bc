"""Python's garbage collector looks for cycles again whenever there are many new objects. Where millions are made that have no
cycles, it takes most of the time: 3 million lists of a JSON text take 6 s with it, and 0.2 s without.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """In the `with` block, Python does not search for cycles. Afterwards, the objects from the block count as old, so the next
    search of young objects leaves them out.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.freeze()  # without a search, which takes 0.15 s for the objects of 50,000 calls
            gc.unfreeze()  # moves the objects into the oldest generation
            gc.enable()
