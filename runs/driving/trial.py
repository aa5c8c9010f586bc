"""What the trials share: the seeded requests, the connections, and the words for the cause of a fault."""

from __future__ import annotations

import random

from probes.context import Seen
from runs import protocols
from runs.awake import awake
from runs.driving.peer import SERVED_WITHIN, Peer
from runs.driving.task import Fault, Task

ALL_WITHIN = 8.0  # seconds for the replies to many clients, and for a client that another client kept waiting
SLOW_BYTES = 8 << 20  # twice what a send buffer grows to (tcp_wmem): the server's send finds no room
_SLEEP = (
    "let each thread sleep in a call until there is work: in the multiplexer for sockets (for EPOLLOUT or POLLOUT while data is"
    " left to send, and only then), in pthread_cond_wait or sem_wait for other threads"
)
_SEND_ON = (
    "continue to read while clients send; keep the data that a short send did not take, wait for room (EPOLLOUT, POLLOUT), and"
    " send the rest then"
)


class Trial:
    """The seeded requests and the connections of one trial."""

    def __init__(self, task: Task) -> None:
        self.task, self.protocol = task, protocols.find(task.protocol)
        self._seeded = random.Random(f"{task.seed}/{task.trial}")
        self.traffic = Seen(())
        self.peers: list[Peer] = []

    def request(self, size: int) -> bytes:
        """A request of this size from the seed."""
        return self.protocol.request(self._seeded, size)

    async def open(self, receive_buffer: int = 0, with_data: bool = False) -> Peer:
        """Connects a client of this trial."""
        self.peers.append(await Peer.open(self.task, self.protocol, receive_buffer, with_data))
        return self.peers[-1]

    async def served(self, messages: int = 2, seconds: float = SERVED_WITHIN, size: int = 64) -> None:
        """A new client gets the replies to some messages. Raises Fault."""
        for _ in range(messages if self.protocol.one_each else 1):
            with await self.open() as peer:
                for _ in range(1 if self.protocol.one_each else messages):
                    await peer.exchange(self.request(size), seconds)

    async def asleep(self, meanwhile: str) -> None:
        """Checks a server that has nothing to do. Raises Fault if one of its threads does not sleep."""
        if self.task.process and not self.task.polls and (found := await awake(self.task.process)):
            raise Fault(f"{meanwhile}, the server had nothing to do, but {found.words}", _SLEEP)

    async def with_load(self, fault: Fault) -> Fault:
        """The fault of a client that was not served, with the words for a thread that never sleeps."""
        if self.task.process and not self.task.polls and (found := await awake(self.task.process)):
            return Fault(f"{fault}; {found.words}", _SLEEP)
        return fault

    def with_cause(self, fault: Fault, peer: Peer) -> Fault:
        """The fault of a peer's reply, with the words for bytes that belong to another client, or are missing."""
        if self.protocol.judged or not fault.received:
            return fault
        if self.protocol.reply(peer.requested).startswith(fault.received) and peer.all_taken:
            return Fault(f"{fault}, although the server's socket had got the whole request", _SEND_ON)
        others = [self.protocol.reply(other.requested) for other in self.peers if other is not peer and other.requested]
        cause = protocols.cause(self.protocol.reply(peer.requested), fault.received, others)
        return Fault(f"{fault}; {cause.words}", cause.remedy) if cause else fault
