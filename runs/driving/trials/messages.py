"""The trials partial_messages and huge_message: a message is not what one read returns."""

from __future__ import annotations

import asyncio

from runs.driving.peer import SERVED_WITHIN, WHOLE_WITHIN
from runs.driving.task import Fault
from runs.driving.trial import Trial

_HUGE_BYTES = 1 << 20


async def partial_messages(trial: Trial) -> str:
    """A message comes in pieces, and two messages come at once: TCP keeps no boundaries."""
    request = trial.request(200)
    with await trial.open() as peer:
        cuts = sorted({1, 2, 7, len(request) // 2, len(request) - 1})
        begins = [0, *cuts]
        for begin, end in zip(begins, [*cuts, len(request)], strict=True):
            try:
                await peer.send(request[begin:end])
            except OSError:
                raise Fault(f"the server closed the connection before a message in pieces was whole ({begin} B came)") from None
            await asyncio.sleep(0.01)
        await peer.reply(request, SERVED_WITHIN)
        pieces = len(begins)
        if trial.protocol.one_each:
            return f"a request in {pieces} pieces got its whole reply"
        both = [trial.request(40), trial.request(60)]
        await peer.send(b"".join(both))
        await peer.replies(both, SERVED_WITHIN)
    return f"a message in {pieces} pieces and two messages in one piece got their whole replies"


async def huge_message(trial: Trial) -> str:
    """One message larger than every buffer."""
    request = trial.request(_HUGE_BYTES)
    with await trial.open() as peer:
        size = await peer.exchange(request, WHOLE_WITHIN)
    return f"a message of {len(request):,} bytes got its whole reply of {size:,} bytes"
