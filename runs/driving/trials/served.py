"""The trials alive and stays: one new client is served, and stays connected in the second."""

from __future__ import annotations

import threading

from probes.patience import PATIENCE
from runs.driving.peer import Peer
from runs.driving.trial import Trial

_STAYS = 1.5  # seconds for which a client stays connected while SIGTERM ends the server
_STAYING: list[Peer] = []  # keeps references, so that no connection is closed early


async def stays(trial: Trial) -> str:
    """A client that stays connected when the trial has ended, and leaves later."""
    peer = await trial.open()
    await peer.exchange(trial.request(64))
    _STAYING.append(peer)
    timer = threading.Timer(_STAYS * PATIENCE, peer.close)
    timer.daemon = True
    timer.start()
    return "a client was served, and stayed connected"


async def alive(trial: Trial) -> str:
    """Is a new client served? Asked after a trial that failed."""
    await trial.served(1)
    return "a new client was served"
