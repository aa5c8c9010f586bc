"""One client of a trial, as it saw its connection: the process that plays the clients loads this file alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spoke:
    """What a client sent and got, by its own clock (CLOCK_MONOTONIC, ns).

    `sent` and `bytes` are those of its last request, `answered` is the end of the reply. `reads`: did it wait for a reply?
    """

    connected: int
    closed: int
    reads: bool
    bytes: int = 0
    sent: int | None = None
    answered: int | None = None
