"""The trial reset: clients reset their connections, and a new client is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from probes.patience import PATIENCE
from runs.driving.peer import SERVED_WITHIN, Peer
from runs.driving.task import Fault
from runs.driving.trial import SLOW_BYTES, Trial
from runs.driving.unread import all_read, window

_ONE_SEGMENT = 30_000  # bytes: less than a segment on loopback (32,741), and more than most servers read at once
_GONE = 10  # clients that have gone when their request is read
_PIECE = 16384  # bytes of a piece; a client sends pieces until the server does not read any more
_READ_WITHIN = 0.5  # seconds in which a server that reads has read a piece


async def reset(trial: Trial) -> str:
    """Clients reset their connections: at once, after a message, and while the server has data to send.

    One client shuts down its own direction, and resets the connection while the server's send waits for room. The last clients
    send a request together with their FIN, and close at once. The next send of the server gets the error EPIPE, and the signal
    SIGPIPE (net/ipv4/tcp_input.c, tcp_reset, in the state CLOSE_WAIT).
    """
    (await trial.open()).reset()
    with await trial.open() as peer:
        await peer.send(trial.request(64))
        peer.reset()
    with await trial.open(receive_buffer=8192) as peer:
        sending = asyncio.create_task(peer.send(trial.request(SLOW_BYTES)))
        await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        peer.reset()
    with await trial.open(receive_buffer=8192) as peer:
        with contextlib.suppress(OSError):
            await _send_until_unread(peer, trial.request(SLOW_BYTES))
            peer.sock.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.05)
        peer.reset()
    for _ in range(_GONE):
        with await trial.open(with_data=True) as peer:
            await peer.send(trial.request(_ONE_SEGMENT))
    await asyncio.sleep(0.05)
    try:
        await trial.served(seconds=SERVED_WITHIN)
    except Fault as fault:
        raise Fault(f"after clients had reset their connections, a new client was not served: {fault}") from None
    return "clients reset their connections, and a new client was served"


async def _send_until_unread(peer: Peer, data: bytes) -> None:
    """Sends in pieces until the server leaves a piece unread because its send waits for room. Then a FIN can follow at once.

    The server's kernel acknowledges read data at once, and unread data later (net/ipv4/tcp.c, tcp_cleanup_rbuf). The
    window that it announces becomes smaller by the unread bytes.
    """
    widest = 0
    for begin in range(0, len(data), _PIECE):
        await peer.send(data[begin : begin + _PIECE])
        end = time.monotonic() + _READ_WITHIN * PATIENCE
        while not (read := all_read(peer.sock, widest)) and time.monotonic() < end:
            await asyncio.sleep(0.0002)
        if not read:
            return
        widest = max(widest, window(peer.sock))
