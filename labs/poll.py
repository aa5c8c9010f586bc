"""poll: select without its limit. What did it mend, and what not?"""

from __future__ import annotations

import ctypes
import os
import select as python_select
import struct
from typing import Any

from findings import evidence
from labs.kit import growth
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable

LAB = Lab(
    model="poll",
    chapter="Multiplexing",
    server="poll",
    question="How does one thread wait for many connections with poll?",
    watch="like select in all but its limit: asleep in poll, woken through poll's callback, everything named anew.",
    try_next=(
        "invoke lab select  the older one",
        "invoke lab epoll  registered once",
    ),
    reading=(
        "UNP 6.10 and 6.11",
        "man 2 poll",
        "fs/select.c: do_sys_poll, do_poll, do_pollfd",
    ),
    asides=("labs.poll:wish_and_answer", "labs.kit.growth:measure"),
)


@LAB.check("blocked in the multiplexer, not in the socket call", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in poll only."""
    return evidence.asleep_only_in(run, "poll")


@LAB.check("a wait queue wakes it", claims=("C28",))
def woken(run: Run) -> Finding:
    """The wake-ups came through pollwake, which poll had left on the sockets' own queues."""
    return evidence.woken_through(run, "poll", "pollwake")


@LAB.check("wish and answer apart, and all of them at every call", claims=("C30",))
def apart(run: Run) -> Finding:
    """The array goes in at every call; what was wished is still in it afterwards."""
    calls = run.calls("poll", "ppoll")
    if not calls:
        return failed("this server made 0 calls of poll")
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    whole = [one for one in calls if one.args[1] > 0]
    kept, answer, fd = run.aside["events"], run.aside["revents"], run.aside["fd"]
    found = (
        f"{len(whole)} of {len(calls)} calls handed over an array (up to {max(c.args[1] for c in calls)} entries);"
        f" descriptor {fd}: wished {kept}, answered {answer}, the wish unchanged{evidence.handing(calls)}"
    )
    return confirmed(found) if len(whole) == len(calls) and (kept, answer) == (1, 1) else failed(found)


@LAB.check("every descriptor is asked at every call", claims=("C26",))
def asked(run: Run) -> Finding:
    """Counted where a probe on the poll methods could be attached; else told by what a call costs."""
    return growth.asks_all(run, "poll", run.calls("poll", "ppoll"))


@LAB.check("on every descriptor's wait queue, and off again", claims=("C27",))
def queued(run: Run) -> Finding:
    """Counted where a probe could be attached; else told by who wakes it, and by what joining the queues costs."""
    return growth.joins_all(run, "poll", run.calls("poll", "ppoll"))


@LAB.check("the cost grows with the descriptors", claims=("C31",))
def grows(run: Run) -> Finding:
    """The same call with one ready descriptor among 10, 100 and 900."""
    return growth.grows(run, "poll", run.calls("poll", "ppoll"))


def wish_and_answer() -> dict[str, Any]:
    """Polls a pipe with a byte in it, and looks at both fields of struct pollfd afterwards."""
    from servers.kit.system import system_call

    reader, writer = os.pipe()
    os.write(writer, b"x")
    entry = ctypes.create_string_buffer(struct.pack("ihh", reader, python_select.POLLIN, 0), 8)
    now = (ctypes.c_long * 2)(0, 0)
    system_call("ppoll", entry, 1, now, None, 0)
    fd, events, revents = struct.unpack("ihh", entry.raw)
    return {"fd": fd, "events": events, "revents": revents}
