"""select: one thread waits for many connections, and names them all at every call."""

from __future__ import annotations

import ctypes
import os
import resource
import select as python_select
from typing import Any

from findings import evidence
from labs.kit import growth
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, unavailable

LAB = Lab(
    model="select",
    chapter="Multiplexing",
    server="select",
    question="How does one thread wait for many connections with select?",
    watch="the wake-up goes through poll's callback on each socket's queue; every call names every descriptor.",
    try_next=(
        "invoke lab poll  without the limit",
        "invoke lab epoll  registered once",
        "invoke lab select --clients 200  more to look at, every time",
    ),
    reading=(
        "UNP 6.2, I/O Multiplexing Model; 6.3 to 6.8",
        "man 2 select, man 2 select_tut",
        "fs/select.c: do_select, __pollwait, poll_freewait",
    ),
    asides=("labs.select:beyond_the_limit", "labs.kit.growth:measure"),
)


@LAB.check("blocked in the multiplexer, not in the socket call", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in select only."""
    return evidence.asleep_only_in(run, "select")


@LAB.check("a wait queue wakes it", claims=("C28",))
def woken(run: Run) -> Finding:
    """The wake-ups came through pollwake, which select had left on the sockets' own queues."""
    return evidence.woken_through(run, "select", "pollwake")


@LAB.check("the sets are handed over at every call", claims=("C25",))
def sets(run: Run) -> Finding:
    """Every call brings nfds and pointers to its sets; nothing is registered beforehand."""
    calls = run.calls("select", "pselect6")
    handing = [one for one in calls if one.args[0] > 0 and one.args[1]]
    registered = run.calls("epoll_ctl")
    found = (
        f"{len(handing)} of {len(calls)} calls handed over their sets (nfds up to {max((c.args[0] for c in calls), default=0)})"
    )
    found += f", {len(registered)} calls registered anything{evidence.handing(calls)}"
    return confirmed(found) if calls and len(handing) == len(calls) and not registered else failed(found)


@LAB.check("nothing above 1023", claims=("C29",))
def limit(run: Run) -> Finding:
    """Python and the C library stop at FD_SETSIZE; whether the kernel does is asked by calling it directly."""
    if not run.aside or "skipped" in run.aside:
        return unavailable(str(run.aside.get("skipped", "the experiment beside the traffic did not run")))
    if not run.calls("select", "pselect6"):
        return failed("this server made 0 calls of select")
    python, kernel, fd = run.aside["python"], run.aside["kernel"], run.aside["fd"]
    found = f"descriptor {fd}: Python's select says {python!r}, the system call itself {kernel}"
    return (
        refined(f"{found}: the limit is the fd_set of 1024 bits, not the kernel's") if kernel == "1 ready" else confirmed(found)
    )


@LAB.check("every descriptor is asked at every call", claims=("C26",))
def asked(run: Run) -> Finding:
    """Counted where a probe on the poll methods could be attached; else told by what a call costs."""
    return growth.asks_all(run, "select", run.calls("select", "pselect6"))


@LAB.check("on every descriptor's wait queue, and off again", claims=("C27",))
def queued(run: Run) -> Finding:
    """Counted where a probe could be attached; else told by who wakes it, and by what joining the queues costs."""
    return growth.joins_all(run, "select", run.calls("select", "pselect6"))


@LAB.check("the cost grows with the descriptors", claims=("C31",))
def grows(run: Run) -> Finding:
    """The same call with one ready descriptor among 10, 100 and 900."""
    return growth.grows(run, "select", run.calls("select", "pselect6"))


def beyond_the_limit() -> dict[str, Any]:
    """Asks for a descriptor above 1023, by Python's select and by pselect6 with larger sets."""
    fd = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard <= fd:
        return {"skipped": f"RLIMIT_NOFILE allows {hard} descriptors only: ulimit -Hn 4096 shows it"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, fd + 1), hard))
    reader, writer = os.pipe()
    os.dup2(reader, fd)
    os.write(writer, b"x")
    try:
        python_select.select([fd], [], [], 0)
        python = "1 ready"
    except ValueError as error:
        python = str(error)
    from servers.kit.system import system_call

    sets = ctypes.create_string_buffer(4096 // 8)
    sets[fd // 8] = bytes((1 << fd % 8,))
    now = (ctypes.c_long * 2)(0, 0)
    try:
        kernel = f"{system_call('pselect6', fd + 1, sets, None, None, now, None)} ready"
    except OSError as error:
        kernel = str(error)
    return {"fd": fd, "python": python, "kernel": kernel}
