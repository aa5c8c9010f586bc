"""poll: select without its limit. What did it mend, and what did it leave?"""

from __future__ import annotations

import ctypes
import os
import select as python_select
import struct
from typing import Any

from findings import evidence
from labs.kit import growth
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable
from probes.words import count

LAB = Lab(
    model="poll",
    chapter="Multiplexing",
    server="poll",
    question="How does one thread wait for many connections with poll?",
    watch="poll works like select, without its limit: the thread sleeps in poll, pollwake wakes it, every call names every"
    " descriptor.",
    try_next=(
        "invoke lab select  the older call",
        "invoke lab epoll  descriptors registered once",
    ),
    reading=(
        "UNP 6.10 and 6.11",
        "man 2 poll",
        "fs/select.c: do_sys_poll, do_poll, do_pollfd",
    ),
    asides=("labs.poll:poll_a_pipe", "labs.kit.growth:measure"),
)


@LAB.check("the thread sleeps in poll and never in a call on a socket", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in poll only."""
    return evidence.slept_only_on(run, "poll")


@LAB.check("a socket's wait queue wakes the thread, through pollwake", claims=("C28",))
def woken(run: Run) -> Finding:
    """The wake-ups by a packet went through pollwake, the callback that poll had put on the sockets' own queues."""
    return evidence.woken_through(run, "poll", "pollwake")


@LAB.check("poll keeps events and revents apart, and every call copies the whole array", claims=("C30",))
def apart(run: Run) -> Finding:
    """Every call brings the whole array; after the call `events` still has its value."""
    calls = run.calls("poll", "ppoll")
    if not calls:
        return failed("this server made 0 calls of poll")
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    with_array = [call for call in calls if call.args[1] > 0]
    events, revents, fd = run.aside["events"], run.aside["revents"], run.aside["fd"]
    names = {python_select.POLLIN: "POLLIN"}
    words = (
        f"{len(with_array)} of {count(len(calls), 'call')} brought an array (up to {max(c.args[1] for c in calls)} entries);"
        f" after a poll of descriptor {fd} with events=POLLIN: events={names.get(events, events)},"
        f" revents={names.get(revents, revents)}{evidence.multiplexer_copies(calls)}"
    )
    return confirmed(words) if len(with_array) == len(calls) and (events, revents) == (1, 1) else failed(words)


@LAB.check("every call polls every descriptor", claims=("C26",))
def polled(run: Run) -> Finding:
    """A probe on the poll methods counts them; on a kernel that takes no such probe, the cost of a call shows it."""
    return growth.polls_all(run, "poll", run.calls("poll", "ppoll"))


@LAB.check("every call that waits enters every descriptor's wait queue, and leaves it", claims=("C27",))
def queued(run: Run) -> Finding:
    """Probes count the entries; on a kernel that takes no such probes, the wake-ups and the cost of queueing show it."""
    return growth.queues_on_all(run, "poll", run.calls("poll", "ppoll"))


@LAB.check("the cost of a call grows with the descriptors", claims=("C31",))
def grows(run: Run) -> Finding:
    """The same call with one ready descriptor among 10, 100 and 900."""
    return growth.cost_grows(run, "poll", run.calls("poll", "ppoll"))


def poll_a_pipe() -> dict[str, Any]:
    """Polls a pipe with a byte in it, and reads both fields of struct pollfd after the call."""
    from servers.kit.system import system_call

    reader, writer = os.pipe()
    os.write(writer, b"x")
    entry = ctypes.create_string_buffer(struct.pack("ihh", reader, python_select.POLLIN, 0), 8)
    now = (ctypes.c_long * 2)(0, 0)
    system_call("ppoll", entry, 1, now, None, 0)
    fd, events, revents = struct.unpack("ihh", entry.raw)
    return {"fd": fd, "events": events, "revents": revents}
