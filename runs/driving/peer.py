"""The dialogue of one client: its connection, what it sends, and how long it waits for the reply."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import Callable

from findings.spoke import Spoke
from probes.clock import now_ns
from probes.patience import PATIENCE
from probes.words import count
from runs import protocols
from runs.driving.task import Fault, Task
from runs.driving.unread import unacknowledged
from runs.protocols import MORE, Protocol

SERVED_WITHIN = 2.0  # seconds for the reply to a small message; a model that keeps clients waiting gets none
WHOLE_WITHIN = 4.0  # seconds without a byte of a large reply
TAKES = 65536
_TIMES = 3  # a reply that comes byte by byte may take so many times as long as the pause that ends it
_BEYOND = 1 << 20  # bytes beyond which a reply has no end
_STALLED = 0.2  # seconds in which a server that reads takes data


class Peer:
    """One client's connection: a non-blocking socket of its own, so that a trial can reset it or read slowly."""

    def __init__(self, sock: socket.socket, protocol: Protocol) -> None:
        self.sock, self._protocol = sock, protocol
        self.requested = b""  # the last request
        self.port: int = sock.getsockname()[1]
        self._connected = now_ns()
        self._sent: int | None = None
        self._answered: int | None = None
        self._closed: int | None = None
        self._bytes, self._reads = 0, False

    @property
    def all_taken(self) -> bool:
        """Does the server's socket have the whole request?"""
        return self._bytes >= len(self.requested) and unacknowledged(self.sock) == 0

    @property
    def spoke(self) -> Spoke:
        """What it sent and got so far."""
        closed = now_ns() if self._closed is None else self._closed
        return Spoke(self._connected, closed, self._reads, self._bytes, self._sent, self._answered)

    @classmethod
    async def open(cls, task: Task, protocol: Protocol, receive_buffer: int = 0, with_data: bool = False) -> Peer:
        """Connects. `with_data`: the first data comes with the connection, so that it is unread when accept returns.

        A client without quick ACKs delays the last ACK of the handshake, and its first data carries this ACK
        (net/ipv4/tcp_input.c, tcp_rcv_synsent_state_process). TCP_CORK keeps a part of a segment back
        until the FIN (tcp(7)).
        """
        family = socket.AF_INET6 if ":" in task.host else socket.AF_INET
        sock = socket.socket(family)
        if with_data:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(SERVED_WITHIN * PATIENCE):
                await asyncio.get_running_loop().sock_connect(sock, (task.host, task.port))
        except TimeoutError:
            sock.close()
            raise Fault("no connection was made: the accept queue stayed full") from None
        except OSError as error:
            sock.close()
            raise Fault(f"no connection was made: {os.strerror(error.errno or 0)}") from None
        return cls(sock, protocol)

    async def send(self, data: bytes) -> None:
        """Sends the data: a message, or a part of a message."""
        if self._sent is None or self._answered is not None:
            self._sent, self._bytes, self._answered = now_ns(), 0, None
        self._bytes += len(data)
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def reply(self, request: bytes, seconds: float) -> int:
        """Reads until the reply is complete. Returns its bytes. Raises Fault."""
        self.requested = request
        size = len(request) if self._protocol.judged else len(self._protocol.reply(request))
        return await self._until_judged(size, seconds, lambda got, ended: self._protocol.judge(request, got, ended))

    async def replies(self, requests: list[bytes], seconds: float) -> int:
        """The replies to several requests that were sent in one piece."""
        expected = b"".join(map(self._protocol.reply, requests))
        return await self._until_judged(len(expected), seconds, lambda got, ended: protocols.exactly(expected, got, ended))

    async def _until_judged(self, size: int, seconds: float, judge: Callable[[bytes, bool], str]) -> int:
        received, loop, fault = bytearray(), asyncio.get_running_loop(), MORE
        self._reads = True
        end = time.monotonic() + _TIMES * seconds * PATIENCE
        while fault == MORE:
            if time.monotonic() > end:
                raise Fault(f"{self._so_far(received, size)} within {_TIMES * seconds:.1f} s", received=bytes(received))
            if len(received) > 2 * size + _BEYOND:
                raise Fault(f"{len(received):,} bytes came for a reply {self._whole(size)}, and the reply had not ended")
            try:
                async with asyncio.timeout(seconds * PATIENCE):
                    part = await loop.sock_recv(self.sock, TAKES)
            except TimeoutError:
                words = f"{self._so_far(received, size)}, then no byte came for {seconds:.1f} s"
                raise Fault(words, received=bytes(received)) from None
            except OSError as error:
                raise Fault(
                    f"{self._so_far(received, size)}, then the connection broke ({os.strerror(error.errno or 0)})"
                ) from None
            received += part
            if part and len(received) < size and size > TAKES:
                continue  # comparing every part of a large reply would take long
            fault = judge(bytes(received), not part)
        if fault:
            raise Fault(fault, received=bytes(received))
        self._answered = now_ns()
        return len(received)

    def _so_far(self, received: bytearray, size: int) -> str:
        return f"{count(len(received), 'byte')} of a reply {self._whole(size)} came"

    def _whole(self, size: int) -> str:
        """The size of the reply or, where several replies are right, that of the request."""
        return f"to a request of {count(size, 'byte')}" if self._protocol.judged else f"of {count(size, 'byte')}"

    async def exchange(self, request: bytes, seconds: float = SERVED_WITHIN) -> int:
        """Sends and reads at the same time: a large reply begins before the request has been sent."""
        self.requested = request
        sending = asyncio.create_task(self.send(request))
        try:
            return await self.reply(request, seconds)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def ended(self, seconds: float) -> bool:
        """Does the server close the connection within that time? Further bytes are ignored."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds * PATIENCE):
                while await loop.sock_recv(self.sock, TAKES):
                    pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    async def send_all_and_end(self, data: bytes) -> None:
        """Sends the data, and ends this direction (FIN)."""
        await self.send(data)
        self.sock.shutdown(socket.SHUT_WR)

    async def stalled(self, sending: asyncio.Task[None]) -> None:
        """Waits until all is sent, or until the server takes no more data for a moment."""
        end, before, since = time.monotonic() + WHOLE_WITHIN * PATIENCE, -1, time.monotonic()
        while not (sending.done() and not unacknowledged(self.sock)) and time.monotonic() < min(
            end, since + _STALLED * PATIENCE
        ):
            if (waiting := unacknowledged(self.sock)) != before:
                before, since = waiting, time.monotonic()
            await asyncio.sleep(0.01)

    def uncork(self) -> None:
        """Sends what TCP_CORK has held back."""
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    def reset(self) -> None:
        """Closes by a reset: SO_LINGER with 0 s (socket(7))."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._closed = self._closed or now_ns()
        self.sock.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
