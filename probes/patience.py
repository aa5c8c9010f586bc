"""How patient every time limit is: a machine in emulation is slow, not stuck."""

from __future__ import annotations

import os

from probes.errors import WrongUsage

LEAST, MOST = 0.1, 1000.0


def _patience() -> float:
    slow = os.environ.get("IOLAB_SLOW") or "1"
    try:
        factor = float(slow)
    except ValueError:
        raise WrongUsage(f"IOLAB_SLOW={slow} is not a number", "for example IOLAB_SLOW=20") from None
    if not LEAST <= factor <= MOST:  # false for NaN, too
        raise WrongUsage(f"IOLAB_SLOW={slow} is out of range", f"give a factor from {LEAST:g} to {MOST:g}")
    return factor


PATIENCE = _patience()  # multiplies every time limit
