"""A thread that serves a connection blocks in the read call itself, and waits for data by no other call."""

from __future__ import annotations

import collections

from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run, waited
from probes.kernel import syscalls
from probes.words import count

_PAUSES = {"nanosleep", "clock_nanosleep"}


def observe(run: Run) -> Observation:
    """Counts, for the threads that read from connections, the reads that slept, the reads without data, and the other waits.

    Source: net/ipv4/tcp.c, tcp_recvmsg_locked: a blocking read sleeps in sk_wait_data, a non-blocking read returns EAGAIN. A
    Python socket with a time-out is non-blocking, and waits in poll before each read (Modules/socketmodule.c, sock_call_ex).
    """
    readers = {call.thread for call in run.reads if call.socket}
    if not readers:
        return not_shown("no thread read from a connection")
    others: collections.Counter[str] = collections.Counter()
    reads = slept = 0
    for reader in readers:
        for call in run.calls_of[reader]:
            if call.name in syscalls.READS and call.socket is not None:
                reads += call.count
                slept += waited(call)
            if call.name in syscalls.READS and call.errno == "EAGAIN":
                others[f"{call.name} without data (EAGAIN)"] += call.count
            elif call.name in syscalls.MULTIPLEXERS or call.name in _PAUSES:
                others[call.name] += call.count
    evidence = f"{count(len(readers), 'thread')} made {count(reads, 'read')}, and {slept} of these slept"
    if others:
        words = ", ".join(f"{number:,} of {name}" for name, number in others.most_common())
        return broken(f"{evidence}; the same threads made other calls to wait: {words}")
    return held(evidence) if slept else not_shown(f"{evidence}: all data was there before; --gap-ms 20 gives it time to sleep")


BLOCKS_IN_ITS_READS = Property(
    id="blocks-in-its-reads",
    statement="a thread waits for its connection's data in the read call, and by no other call",
    remedy="leave the socket blocking, without a time-out, and call recv alone: it sleeps until data is there",
    observe=observe,
)
