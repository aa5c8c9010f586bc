"""The trial silent_client: one client says nothing, and another is served."""

from __future__ import annotations

import asyncio

from runs.driving.task import Fault
from runs.driving.trial import ALL_WITHIN, Trial


async def silent_client(trial: Trial) -> str:
    """One client connects and says nothing; another is served meanwhile, or after it where the model takes turns."""
    with await trial.open() as silent:
        await asyncio.sleep(0.05)  # so that the server accepts the silent client first
        await trial.asleep("while its only client was silent")
        if trial.task.one_at_a_time:
            waiting = asyncio.create_task(trial.served(seconds=ALL_WITHIN))
            await asyncio.sleep(0.2)
            silent.close()
            await waiting
            return "a client was served as soon as a silent client had left: the model serves one client at a time"
        try:
            await trial.served()
        except Fault as fault:
            raise fault.within("while one client was silent, another client was not served") from None
        return "while one client was silent, another client was served"
