"""The trial slow_reader: one client reads its reply late, and another is served."""

from __future__ import annotations

import asyncio

from runs.driving.peer import TAKES, WHOLE_WITHIN
from runs.driving.task import Fault
from runs.driving.trial import SLOW_BYTES, Trial

_TWICE = 2 * TAKES  # bytes of another client's message: more than servers read at once


async def slow_reader(trial: Trial) -> str:
    """A client sends much and reads nothing; another is served meanwhile; then the client reads, and all bytes are there."""
    request = trial.request(SLOW_BYTES)
    with await trial.open(receive_buffer=8192) as slow:
        sending = asyncio.create_task(slow.send(request))
        try:
            await asyncio.sleep(0.2)
            if not trial.task.one_at_a_time:
                try:
                    await trial.served()
                    await trial.served(1, size=_TWICE)
                except Fault as fault:
                    found = await trial.with_load(fault)
                    raise found.within("while one client did not read its reply, another client was not served") from None
            await slow.stalled(sending)
            await trial.asleep("while one client did not read its reply")
            try:
                await slow.reply(request, WHOLE_WITHIN)
            except Fault as fault:
                raise trial.with_cause(fault, slow) from None
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return f"a client that read its reply late got all {len(request):,} bytes; another client was served meanwhile"
