"""The trial half_close: a client shuts down its own direction, and still gets its reply."""

from __future__ import annotations

import asyncio

from runs.driving.peer import SERVED_WITHIN, WHOLE_WITHIN
from runs.driving.task import Fault
from runs.driving.trial import SLOW_BYTES, Trial


async def half_close(trial: Trial) -> str:
    """A client ends its own direction (shutdown) and still gets its reply; then the server closes.

    A first client ends it after its request, a second one together with its request, and a third one, which reads late, after
    a request that is larger than every buffer.
    """
    for size, with_data, receive_buffer in ((64, False, 0), (64, True, 0), (SLOW_BYTES, False, 8192)):
        request = trial.request(size)
        with await trial.open(receive_buffer, with_data) as peer:
            sending = asyncio.create_task(peer.send_all_and_end(request))
            try:
                await asyncio.sleep(0.2 if receive_buffer else 0)
                await peer.reply(request, WHOLE_WITHIN if receive_buffer else SERVED_WITHIN)
                await sending  # until the FIN is sent
            except Fault as fault:
                found = trial.with_cause(fault, peer)
                raise found.within("a client that had shut down its own direction did not get its reply") from None
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            if not await peer.ended(SERVED_WITHIN):
                raise Fault(f"the server did not close the connection within {SERVED_WITHIN:g} s after the client's end (FIN)")
    return "a client that had shut down its own direction got its reply, and the server closed the connection"
