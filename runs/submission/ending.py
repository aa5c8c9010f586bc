"""How a server ended."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass

ENDS_WITHIN = 3.0  # seconds after SIGTERM


@dataclass(frozen=True)
class Ending:
    """How a server ended on SIGTERM: its status (a signal's number negative), after how long, and what it left running."""

    status: int | None  # None: it did not end
    seconds: float
    left: int


def how_ended(status: int | None) -> str:
    """The verb of a sentence: "ended with status 1", "was killed by SIGSEGV"."""
    if status is None:
        return "still runs"
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-status).name}"
    return f"was killed by signal {-status}"
