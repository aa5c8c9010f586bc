"""Drives a server with seeded traffic, one trial at a time, and says what its clients saw.

`python -m runs.driving PARENT` reads one `Task` as a JSON line from stdin, runs the trial in the network namespace of the
server, and prints one `Outcome`. Every byte that a client sends comes from the seed and the submission's name: no server knows
it before.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import json
import os
import random
import socket
import struct
import sys
import termios
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from findings.spoke import Spoke
from labs.kit.traffic import Traffic
from probes import shapes
from probes.capture.prctl import end_with_parent
from probes.clock import now_ns
from probes.context import Client, Exchange, Seen
from probes.patience import PATIENCE
from probes.words import count, visible
from runs import protocols
from runs.awake import awake
from runs.protocols import MORE, Protocol
from runs.sandbox import enter_network
from runs.signal_queue import full

SERVED_WITHIN = 2.0  # seconds for the reply to a small message; a model that keeps clients waiting gets none
_WHOLE_WITHIN = 4.0  # seconds without a byte of a large reply
_ALL_WITHIN = 8.0  # seconds for the replies to many clients, and for a client that another client kept waiting
_SLOW_BYTES = 8 << 20  # twice what a send buffer grows to (tcp_wmem): the server's send finds no room
_HUGE_BYTES = 1 << 20
_MANY = 60
_WITH_DATA = 3  # clients whose data comes with their connection
_ONE_SEGMENT = 30_000  # bytes: less than a segment on loopback (32,741), and more than most servers read at once
_GONE = 10  # clients that have gone when their request is read
_TAKES = 65536
_TIMES = 3  # a reply that comes byte by byte may take so many times as long as the pause that ends it
_BEYOND = 1 << 20  # bytes beyond which a reply has no end
_TWICE = 2 * _TAKES  # bytes of another client's message: more than servers read at once
_PIECE = 16384  # bytes, of a client that sends until the server does not read any more
_READ_WITHIN = 0.5  # seconds in which a server that reads has read a piece
_STALLED = 0.2  # seconds in which a server that reads takes data
_SLEEP = (
    "let each thread sleep in a call until there is work: in the multiplexer for sockets (for EPOLLOUT or POLLOUT while data is"
    " left to send, and only then), in pthread_cond_wait or sem_wait for other threads"
)
_SEND_ON = (
    "read on while clients send, and keep what a short send did not take: wait for room (EPOLLOUT, POLLOUT), and send on from"
    " there"
)
_HANDLE_SIGIO = (
    "block and wait for SIGIO, too: it says that the queue was full and signals are lost; then accept, and try every connection"
    " (fcntl(2), F_SETSIG)"
)
_STAYS = 1.5  # seconds for which a client stays connected while SIGTERM ends the server
_WINDOW_AT, _TCP_INFO_BYTES = 228, 232  # of tcpi_snd_wnd in struct tcp_info (uapi: tcp.h, Linux 5.4)


@dataclass(frozen=True)
class Task:
    """One trial of one server. `process` is a process in its network namespace; 0: the server is on the machine's own."""

    trial: str
    host: str
    port: int
    process: int
    seed: str
    protocol: str
    traffic: Traffic = dataclasses.field(default_factory=Traffic)
    one_at_a_time: bool = False  # the model serves a connection only when the connection before it has ended
    polls: bool = False  # the model never sleeps
    by_signals: bool = False  # the kernel's queue of signals notifies the model's servers
    clients: int = _MANY


@dataclass(frozen=True)
class Outcome:
    """What the clients saw. `fault` is "" if the server did all that the trial asks for."""

    trial: str
    begin: int
    end: int
    fault: str
    seen: str
    traffic: Seen = dataclasses.field(default_factory=lambda: Seen(()))
    clients: tuple[Spoke, ...] = ()  # of a trial with a fault
    remedy: str = ""  # for the fault; "": that of the criterion


class Fault(Exception):
    """What the server did wrong in a trial; with a remedy if it is known, and with the part of a reply that came."""

    def __init__(self, words: str, remedy: str = "", received: bytes = b"") -> None:
        super().__init__(words)
        self.remedy, self.received = remedy, received

    def within(self, words: str) -> Fault:
        """The same fault as the end of a longer sentence."""
        return Fault(f"{words}: {self}", self.remedy, self.received)


class _Peer:
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
        """Has the server's socket all that was asked for?"""
        return self._bytes >= len(self.requested) and _unacknowledged(self.sock) == 0

    @property
    def spoke(self) -> Spoke:
        """What it sent and got so far."""
        closed = now_ns() if self._closed is None else self._closed
        return Spoke(self._connected, closed, self._reads, self._bytes, self._sent, self._answered)

    @classmethod
    async def open(cls, task: Task, protocol: Protocol, receive_buffer: int = 0, with_data: bool = False) -> _Peer:
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
                raise Fault(f"{len(received):,} bytes came for a reply {self._whole(size)}, without an end")
            try:
                async with asyncio.timeout(seconds * PATIENCE):
                    part = await loop.sock_recv(self.sock, _TAKES)
            except TimeoutError:
                words = f"{self._so_far(received, size)}, then no byte came for {seconds:.1f} s"
                raise Fault(words, received=bytes(received)) from None
            except OSError as error:
                raise Fault(
                    f"{self._so_far(received, size)}, then the connection broke ({os.strerror(error.errno or 0)})"
                ) from None
            received += part
            if part and len(received) < size and size > _TAKES:
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
                while await loop.sock_recv(self.sock, _TAKES):
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
        end, before, since = time.monotonic() + _WHOLE_WITHIN * PATIENCE, -1, time.monotonic()
        while not (sending.done() and not _unacknowledged(self.sock)) and time.monotonic() < min(
            end, since + _STALLED * PATIENCE
        ):
            if (waiting := _unacknowledged(self.sock)) != before:
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

    def __enter__(self) -> _Peer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Trial:
    """The seeded requests and the connections of one trial."""

    def __init__(self, task: Task) -> None:
        self.task, self.protocol = task, protocols.find(task.protocol)
        self._seeded = random.Random(f"{task.seed}/{task.trial}")
        self.traffic = Seen(())
        self.peers: list[_Peer] = []

    def request(self, size: int) -> bytes:
        return self.protocol.request(self._seeded, size)

    async def open(self, receive_buffer: int = 0, with_data: bool = False) -> _Peer:
        self.peers.append(await _Peer.open(self.task, self.protocol, receive_buffer, with_data))
        return self.peers[-1]

    async def served(self, messages: int = 2, seconds: float = SERVED_WITHIN, size: int = 64) -> None:
        """A new client gets the replies to some messages. Raises Fault."""
        for _ in range(messages if self.protocol.one_each else 1):
            with await self.open() as peer:
                for _ in range(1 if self.protocol.one_each else messages):
                    await peer.exchange(self.request(size), seconds)

    async def asleep(self, meanwhile: str) -> None:
        """The server has nothing to do. Raises Fault if one of its threads does not sleep."""
        if self.task.process and not self.task.polls and (found := await awake(self.task.process)):
            raise Fault(f"{meanwhile}, the server had nothing to do, but {found.words}", _SLEEP)

    async def with_load(self, fault: Fault) -> Fault:
        """The fault of a client that was not served, with the words for a thread that never sleeps."""
        if self.task.process and not self.task.polls and (found := await awake(self.task.process)):
            return Fault(f"{fault}; {found.words}", _SLEEP)
        return fault

    def with_cause(self, fault: Fault, peer: _Peer) -> Fault:
        """The fault of a peer's reply, with the words for bytes that belong to another client, or are missing."""
        if self.protocol.judged or not fault.received:
            return fault
        if self.protocol.reply(peer.requested).startswith(fault.received) and peer.all_taken:
            return Fault(f"{fault}, although the server's socket had got the whole request", _SEND_ON)
        others = [self.protocol.reply(other.requested) for other in self.peers if other is not peer and other.requested]
        cause = protocols.cause(self.protocol.reply(peer.requested), fault.received, others)
        return Fault(f"{fault}; {cause.words}", cause.remedy) if cause else fault


# -- the trials: each returns what its clients saw, or raises Fault -------------------------------------------------------


async def _traffic(trial: _Trial) -> str:
    """The traffic of the model's lab: some clients, each with some paced messages."""
    task, begin = trial.task, now_ns()
    clients = await asyncio.gather(*(_client(trial, index) for index in range(task.traffic.clients)))
    trial.traffic = Seen(tuple(clients), begin)
    echoes = sum(len(client.exchanges) for client in clients)
    if faults := [client.gave_up for client in clients if client.gave_up]:
        raise Fault(f"{len(faults)} of {count(len(clients), 'client')} did not get all replies: {faults[0]}")
    return f"{count(echoes, 'reply')} to {count(len(clients), 'client')} were right"


async def _client(trial: _Trial, index: int) -> Client:
    """One client of the traffic, as runs/clients.py has it for echoes."""
    task, traffic = trial.task, trial.task.traffic
    seeded = random.Random(f"{task.seed}/{index}")
    await asyncio.sleep(traffic.gap_ms / 1000 * index / traffic.clients)
    asked = connected = now_ns()
    exchanges: list[Exchange] = []
    gave_up, port = "", 0
    peer: _Peer | None = None
    try:
        for number in range(traffic.messages):
            if peer is None or trial.protocol.one_each:
                peer = await trial.open()
                connected, port = (connected if port else now_ns()), peer.port
            await asyncio.sleep(traffic.gap_ms / 1000 * seeded.uniform(1 - traffic.jitter, 1 + traffic.jitter))
            request, sent = trial.protocol.request(seeded, traffic.size), now_ns()
            patience = traffic.give_up_after + (0 if number else traffic.seconds)  # the connections before it may come first
            await peer.exchange(request, patience)
            exchanges.append(Exchange(sent, now_ns()))
            if trial.protocol.one_each:
                peer.close()
    except (Fault, OSError) as error:
        gave_up = str(error)
    if peer:
        peer.close()
    missing = (traffic.messages - len(exchanges)) * traffic.size
    return Client(
        asked=asked, connected=connected, port=port, exchanges=tuple(exchanges), not_echoed=missing, gave_up=gave_up
    )  # fmt: skip


async def _silent_client(trial: _Trial) -> str:
    """One client connects and says nothing; another is served meanwhile, or after it where the model takes turns."""
    with await trial.open() as silent:
        await asyncio.sleep(0.05)  # so that the server accepts the silent client first
        await trial.asleep("while its only client was silent")
        if trial.task.one_at_a_time:
            waiting = asyncio.create_task(trial.served(seconds=_ALL_WITHIN))
            await asyncio.sleep(0.2)
            silent.close()
            await waiting
            return "a client was served as soon as a silent client had left: the model serves one client at a time"
        try:
            await trial.served()
        except Fault as fault:
            raise fault.within("while one client was silent, another client was not served") from None
        return "while one client was silent, another client was served"


async def _slow_reader(trial: _Trial) -> str:
    """A client sends much and reads nothing; another is served meanwhile; then the client reads, and all bytes are there."""
    request = trial.request(_SLOW_BYTES)
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
                await slow.reply(request, _WHOLE_WITHIN)
            except Fault as fault:
                raise trial.with_cause(fault, slow) from None
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    return f"a client that read its reply late got all {len(request):,} bytes; another client was served meanwhile"


async def _partial_messages(trial: _Trial) -> str:
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


async def _huge_message(trial: _Trial) -> str:
    """One message larger than every buffer."""
    request = trial.request(_HUGE_BYTES)
    with await trial.open() as peer:
        size = await peer.exchange(request, _WHOLE_WITHIN)
    return f"a message of {len(request):,} bytes got its whole reply of {size:,} bytes"


async def _many_clients(trial: _Trial) -> str:
    """Many clients connect at once; each is served."""
    number = trial.task.clients

    async def one(request: bytes) -> None:
        with await trial.open() as peer:
            await peer.exchange(request, _ALL_WITHIN)

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
                await peer.reply(request, _ALL_WITHIN)
            except Fault as fault:
                raise Fault(f"a client whose data came before its connection was accepted was not served: {fault}") from None
    if trial.task.by_signals and trial.task.process:
        await _with_a_full_queue(trial)
    return f"{number} clients that connected at once were served"


async def _with_a_full_queue(trial: _Trial) -> None:
    """Clients send when the queue of signals has no room: the kernel then sends SIGIO, without a descriptor, instead.

    fs/fcntl.c, send_sigio_to_task: "if (!do_send_sig_info(...)) break; fallthrough; /* fall back on the old plain SIGIO */".
    """
    with full(trial.task.process):
        try:
            await trial.served()
            await trial.served()
        except Fault as fault:
            words = "with a full queue of signals (RLIMIT_SIGPENDING) the kernel sends SIGIO alone, and a client was not served"
            raise Fault(f"{words}: {fault}", _HANDLE_SIGIO) from None


async def _reset(trial: _Trial) -> str:
    """Clients reset their connections: at once, after a message, and while the server has data to send.

    One client ends its direction, and resets the connection while the server's send waits for room. The last clients send a
    request together with their FIN, and have gone. The next send of the server gets the error EPIPE, and the signal SIGPIPE
    (net/ipv4/tcp_input.c, tcp_reset, in the state CLOSE_WAIT).
    """
    (await trial.open()).reset()
    with await trial.open() as peer:
        await peer.send(trial.request(64))
        peer.reset()
    with await trial.open(receive_buffer=8192) as peer:
        sending = asyncio.create_task(peer.send(trial.request(_SLOW_BYTES)))
        await asyncio.sleep(0.1)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        peer.reset()
    with await trial.open(receive_buffer=8192) as peer:
        with contextlib.suppress(OSError):
            await _send_until_unread(peer, trial.request(_SLOW_BYTES))
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


async def _send_until_unread(peer: _Peer, data: bytes) -> None:
    """Sends in pieces until the server leaves a piece unread: its send waits for room. So a FIN can follow at once.

    The server's kernel acknowledges what was read at once, and what was not read later (net/ipv4/tcp.c, tcp_cleanup_rbuf). The
    window that it announces becomes smaller by the unread bytes.
    """
    widest = 0
    for begin in range(0, len(data), _PIECE):
        await peer.send(data[begin : begin + _PIECE])
        end = time.monotonic() + _READ_WITHIN * PATIENCE
        while not (read := _all_read(peer.sock, widest)) and time.monotonic() < end:
            await asyncio.sleep(0.0002)
        if not read:
            return
        widest = max(widest, _window(peer.sock))


def _all_read(sock: socket.socket, widest: int) -> bool:
    """Did the peer acknowledge all data, and is its window as wide as before?"""
    return _unacknowledged(sock) == 0 and _window(sock) >= widest


def _unacknowledged(sock: socket.socket) -> int:
    """The bytes that the peer has not acknowledged, or that were not sent yet (tcp(7), SIOCOUTQ)."""
    return int(struct.unpack("=i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0])


def _window(sock: socket.socket) -> int:
    """The window that the peer announced last."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(struct.unpack_from("=I", info, _WINDOW_AT)[0]) if len(info) == _TCP_INFO_BYTES else 0


async def _stays(trial: _Trial) -> str:
    """A client that stays connected when the trial has ended, and leaves later."""
    peer = await trial.open()
    await peer.exchange(trial.request(64))
    _STAYING.append(peer)
    timer = threading.Timer(_STAYS * PATIENCE, peer.close)
    timer.daemon = True
    timer.start()
    return "a client was served, and stayed connected"


_STAYING: list[_Peer] = []  # so that no connection is closed with its last reference


async def _half_close(trial: _Trial) -> str:
    """A client ends its own direction (shutdown) and still gets its reply; then the server closes.

    A first client ends it after its request, a second one together with its request, and a third one, which reads late, after
    a request that is larger than every buffer.
    """
    for size, with_data, receive_buffer in ((64, False, 0), (64, True, 0), (_SLOW_BYTES, False, 8192)):
        request = trial.request(size)
        with await trial.open(receive_buffer, with_data) as peer:
            sending = asyncio.create_task(peer.send_all_and_end(request))
            try:
                await asyncio.sleep(0.2 if receive_buffer else 0)
                await peer.reply(request, _WHOLE_WITHIN if receive_buffer else SERVED_WITHIN)
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


async def _alive(trial: _Trial) -> str:
    """Is a new client served? Asked after a trial that failed."""
    await trial.served(1)
    return "a new client was served"


TRIALS: dict[str, Callable[[_Trial], Awaitable[str]]] = {
    "traffic": _traffic,
    "silent_client": _silent_client,
    "slow_reader": _slow_reader,
    "partial_messages": _partial_messages,
    "huge_message": _huge_message,
    "many_clients": _many_clients,
    "reset": _reset,
    "half_close": _half_close,
    "alive": _alive,
    "stays": _stays,
}


async def _run(task: Task) -> Outcome:
    trial, begin = _Trial(task), now_ns()
    fault = seen = remedy = ""
    try:
        seen = await TRIALS[task.trial](trial)
    except Fault as error:
        fault, remedy = visible(str(error)), error.remedy
    except OSError as error:
        fault = f"a client's connection broke: {os.strerror(error.errno or 0)}"
    clients = tuple(peer.spoke for peer in trial.peers) if fault else ()
    return Outcome(task.trial, begin, now_ns(), fault, seen, trial.traffic, clients, remedy)


def main() -> None:
    """Runs the tasks of stdin, one after the other, and ends with it."""
    end_with_parent(int(sys.argv[1]))
    for line in sys.stdin:
        task = shapes.read(Task, json.loads(line), "task")
        if task.process:
            enter_network(task.process)
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(asyncio.run(_run(task)), default=shapes.plain), flush=True)


def encoded(task: Task) -> str:
    """The line that `main` reads."""
    words: dict[str, Any] = dataclasses.asdict(task)
    return json.dumps(words) + "\n"


if __name__ == "__main__":
    main()
