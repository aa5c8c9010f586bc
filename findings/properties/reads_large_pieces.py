"""A read has room for the data of a message, and does not take it in many small pieces."""

from __future__ import annotations

from findings.properties.property import Cost, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.words import count

_SMALL = 64  # bytes of a read's buffer
_FEW = 500  # small reads of a program that is not known: they cost next to nothing
_MANY = 4  # small reads per message; a header that is read by itself makes one


def observe(run: Run) -> Observation:
    """Counts the reads whose small buffer was full, and that left data in the socket."""
    sized = syscalls.MOVES_BYTES & syscalls.READS - {"readv", "recvmsg", "preadv", "preadv2"}  # these have a list of buffers
    reads = [call for call in run.reads if call.bytes and call.socket and call.histogram is None]
    small = [call for call in reads if call.name in sized and call.bytes == call.args[2] <= _SMALL and not call.drained]
    messages = len(run.result.messages)
    if not reads or not messages:
        return not_shown("no call read data from a socket")
    lab = isinstance(run.result.context, LabRun)
    if len(small) <= max(_MANY * messages, 0 if lab else _FEW):
        return held(f"{count(len(reads), 'read')} with data for {count(messages, 'message')}")
    size = sum(call.bytes for call in small) / len(small)
    return broken(
        f"{count(len(small), 'read')} asked for {size:.0f} {'byte' if size < 1.5 else 'bytes'} each on average and left data in"
        f" the socket: {len(small) / messages:.0f} reads per message",
        places=[
            place_of(
                thread,
                own[0].name,
                own[0].fd,
                own[0].enter,
                Cost(ns=sum(call.total - call.wait for call in own), calls=len(own), bytes=sum(call.bytes for call in own)),
            )
            for thread in run.result.threads
            if (own := [call for call in small if call.thread == thread.serial])
        ],
    )


READS_LARGE_PIECES = Property(
    id="reads-large-pieces",
    statement="no message is read in many small pieces",
    fault="messages are read in many small pieces",
    remedy="give the read a larger buffer, for example 64 KiB, and cut the data into messages afterwards",
    observe=observe,
)
