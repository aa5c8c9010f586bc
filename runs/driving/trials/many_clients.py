"""The trial many_clients: many clients connect at once; for signal-driven I/O also with a full queue of signals."""

from __future__ import annotations

import asyncio

from runs.driving.task import Fault
from runs.driving.trial import ALL_WITHIN, Trial
from runs.signal_queue import full

_WITH_DATA = 3  # clients whose data comes with their connection
_HANDLE_SIGIO = (
    "block SIGIO and wait for it, too: SIGIO says that the queue was full and signals are lost; then accept, and try every"
    " connection (fcntl(2), F_SETSIG)"
)


async def many_clients(trial: Trial) -> str:
    """Many clients connect at once; each is served."""
    number = trial.task.clients

    async def one(request: bytes) -> None:
        with await trial.open() as peer:
            await peer.exchange(request, ALL_WITHIN)

    outcomes = await asyncio.gather(*(one(trial.request(64)) for _ in range(number)), return_exceptions=True)
    faults = [str(outcome) for outcome in outcomes if isinstance(outcome, Exception)]
    if faults:
        raise Fault(f"{len(faults)} of {number} clients that connected at once were not served: {faults[0]}")
    for _ in range(_WITH_DATA):
        request = trial.request(64)
        with await trial.open(with_data=True) as peer:
            await peer.send(request)
            peer.uncork()
            try:
                await peer.reply(request, ALL_WITHIN)
            except Fault as fault:
                raise Fault(f"a client whose data came before its connection was accepted was not served: {fault}") from None
    if trial.task.by_signals and trial.task.process:
        await _with_a_full_queue(trial)
    return f"{number} clients that connected at once were served"


async def _with_a_full_queue(trial: Trial) -> None:
    """Clients send when the queue of signals has no room: the kernel then sends SIGIO instead, which names no descriptor.

    fs/fcntl.c, send_sigio_to_task: "if (!do_send_sig_info(...)) break; fallthrough; /* fall back on the old plain SIGIO */".
    """
    with full(trial.task.process):
        try:
            await trial.served()
            await trial.served()
        except Fault as fault:
            words = "with a full queue of signals (RLIMIT_SIGPENDING) the kernel sends SIGIO, and a client was not served"
            raise Fault(f"{words}: {fault}", _HANDLE_SIGIO) from None
