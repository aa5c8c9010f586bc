"""What the clients of a lab got back: for checks that need it beside the calls of the server."""

from __future__ import annotations

from findings.properties import echoes_every_byte
from findings.properties.property import Holds
from findings.view import Run


def echoes(run: Run) -> str:
    """What the clients got back, and what they never got, in words."""
    return echoes_every_byte.observe(run).evidence


def all_echoed(run: Run) -> bool:
    """Did every byte come back to the clients?"""
    return echoes_every_byte.observe(run).holds is Holds.HELD
