"""How patient every time limit is: a machine in emulation is slow, not stuck."""

from __future__ import annotations

import os

from probes.errors import WrongUsage


def _patience() -> float:
    slow = os.environ.get("IOLAB_SLOW") or "1"
    try:
        return float(slow)
    except ValueError:
        raise WrongUsage(f"IOLAB_SLOW={slow} is not a number", "for example IOLAB_SLOW=20") from None


PATIENCE = _patience()  # multiplies every time limit
