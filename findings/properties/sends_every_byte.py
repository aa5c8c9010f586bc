"""The program sends what a short send left over."""

from __future__ import annotations

from findings.properties.property import Cost, Gravity, Observation, Property, broken, held, not_shown, place_of
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.result import Call
from probes.words import count

_SIZED = {"write", "sendto"}  # their second argument is the data, their third its size


def observe(run: Run) -> Observation:
    """Follows each short send to the next write on its descriptor.

    A non-blocking send takes what the send buffer has room for (net/ipv4/tcp.c, tcp_sendmsg_locked). A right program sends the
    rest, from the place after the part that was taken or from a copy. A wrong program begins at the start of the same data
    again, or closes the connection without a wait in between.
    """
    sends = [call for call in run.result.named(*_SIZED) if call.bytes]
    short = [call for call in sends if 0 < call.bytes < _size(call)]
    if not sends:
        return not_shown("no write or send took data")
    if not short:
        return held(f"each of {count(len(sends), 'send')} took all of its data")
    dropped = _dropped(run, {id(call) for call in short})
    if not dropped:
        return held(f"{count(len(short), 'send')} of {len(sends):,} took a part of the data; no program dropped the rest")
    taken = sum(call.bytes for call in dropped)
    asked = sum(_size(call) for call in dropped)
    threads = {thread.serial: thread for thread in run.result.threads}
    fds = {(call.thread, call.fd) for call in dropped}
    refused = sum(call.count for call in run.result.calls if _is_refused(call) and (call.thread, call.fd) in fds)
    more = f"; {count(refused, 'further send')} on the same connections got EAGAIN" if refused else ""
    return broken(
        f"{count(len(dropped), 'send')} took {taken:,} of {count(asked, 'byte')}, and the rest was never sent{more}",
        places=[
            place_of(threads[call.thread], call.name, call.fd, call.exit, Cost(calls=1, bytes=_size(call) - call.bytes))
            for call in dropped
        ],
    )


def _dropped(run: Run, short: set[int]) -> list[Call]:
    """The short sends whose rest was dropped for sure."""
    processes = {thread.serial: thread.pid for thread in run.result.threads}
    waiting: dict[tuple[int, int | None], Call] = {}
    waited: set[int] = set()  # threads that waited for events after a short send
    dropped = []
    for call in run.result.calls:
        key = processes[call.thread], call.fd
        if call.name in syscalls.LOOP_WAITS:
            waited.add(call.thread)
        elif call.name == "close" and (before := waiting.pop(key, None)):
            if call.thread == before.thread and call.thread not in waited:
                dropped.append(before)
        elif call.name in syscalls.WRITES and (before := waiting.get(key)):
            if _begins_again(before, call):
                dropped.append(before)
            del waiting[key]
        if id(call) in short:
            waiting[key] = call
            waited.discard(call.thread)
    return dropped


def _begins_again(before: Call, call: Call) -> bool:
    """Does the call send the same data, from its start?"""
    return call.name in _SIZED and len(call.args) > 2 and call.args[1:3] == before.args[1:3]


def _is_refused(call: Call) -> bool:
    return call.name in syscalls.WRITES and call.errno == "EAGAIN"


def _size(call: Call) -> int:
    return call.args[2] if len(call.args) > 2 else 0


SENDS_EVERY_BYTE = Property(
    id="sends-every-byte",
    statement="the program sends what a short send left over",
    fault="the rest of a short send was dropped",
    remedy="keep the rest, wait until the multiplexer reports room (EPOLLOUT), and send on from there",
    observe=observe,
    gravity=Gravity.LOST,
    lab="short_write",
    needs_all=True,
)
