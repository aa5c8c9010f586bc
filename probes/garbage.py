"""Python's garbage collector looks for cycles again whenever there are many new objects. Where millions are made that have no
cycles, it takes most of the time: 3 million lists of a JSON text take 6 s with it, and 0.2 s without.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Within, no cycles are looked for."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
