"""select: one thread waits for many connections, and names all of them in every call."""

from __future__ import annotations

import ctypes
import os
import resource
import select as python_select
from typing import Any

from findings import evidence
from labs.kit import growth
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, unavailable
from probes.words import count

LAB = Lab(
    model="select",
    chapter="Multiplexing",
    server="select",
    question="How does one thread wait for many connections with select?",
    watch="the wake-up goes through pollwake, a callback on each socket's queue; every call names every descriptor.",
    try_next=(
        "invoke lab poll  without the limit",
        "invoke lab epoll  descriptors registered once",
        "invoke lab select --clients 200  200 descriptors more in every call",
    ),
    reading=(
        "UNP 6.2, I/O Multiplexing Model; 6.3 to 6.8",
        "man 2 select, man 2 select_tut",
        "fs/select.c: do_select, __pollwait, poll_freewait",
    ),
    asides=("labs.select:beyond_the_limit", "labs.kit.growth:measure"),
)


@LAB.check("the thread sleeps in select and never in a call on a socket", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in select only."""
    return evidence.slept_only_on(run, "select")


@LAB.check("a socket's wait queue wakes the thread, through pollwake", claims=("C28",))
def woken(run: Run) -> Finding:
    """The wake-ups by a packet went through pollwake, the callback that select had put on the sockets' own queues."""
    return evidence.woken_through(run, "select", "pollwake")


@LAB.check("every call copies the descriptor sets into the kernel", claims=("C25",))
def sets(run: Run) -> Finding:
    """Every call brings nfds and pointers to its sets; no call registers a descriptor beforehand."""
    calls = run.calls("select", "pselect6")
    with_sets = [call for call in calls if call.args[0] > 0 and call.args[1]]
    registering = run.calls("epoll_ctl")
    words = (
        f"{len(with_sets)} of {count(len(calls), 'call')} brought their sets"
        f" (nfds up to {max((call.args[0] for call in calls), default=0)});"
        f" {count(len(registering), 'call')} registered a descriptor{evidence.multiplexer_copies(calls)}"
    )
    return confirmed(words) if calls and len(with_sets) == len(calls) and not registering else failed(words)


@LAB.check("select takes no descriptor above 1023", claims=("C29",))
def limit(run: Run) -> Finding:
    """Python and the C library stop at FD_SETSIZE. A direct system call with larger sets shows whether the kernel does."""
    if not run.aside or "skipped" in run.aside:
        return unavailable(str(run.aside.get("skipped", "the experiment beside the traffic did not run")))
    if not run.calls("select", "pselect6"):
        return failed("this server made 0 calls of select")
    python, kernel, fd = run.aside["python"], run.aside["kernel"], run.aside["fd"]
    words = f"descriptor {fd}: Python's select says {python!r}; the system call with larger sets returns: {kernel}"
    if kernel == "1 ready":
        return refined(f"{words}. The C library's fd_set of 1,024 bits is the limit, and not the kernel")
    return confirmed(words)


@LAB.check("every call polls every descriptor", claims=("C26",))
def polled(run: Run) -> Finding:
    """A probe on the poll methods counts them; on a kernel that takes no such probe, the cost of a call shows it."""
    return growth.polls_all(run, "select", run.calls("select", "pselect6"))


@LAB.check("every call that waits enters every descriptor's wait queue, and leaves it", claims=("C27",))
def queued(run: Run) -> Finding:
    """Probes count the entries; on a kernel that takes no such probes, the wake-ups and the cost of queueing show it."""
    return growth.queues_on_all(run, "select", run.calls("select", "pselect6"))


@LAB.check("the cost of a call grows with the descriptors", claims=("C31",))
def grows(run: Run) -> Finding:
    """The same call with one ready descriptor among 10, 100 and 900."""
    return growth.cost_grows(run, "select", run.calls("select", "pselect6"))


def beyond_the_limit() -> dict[str, Any]:
    """Selects a descriptor above 1023, by Python's select and by pselect6 with larger sets."""
    fd = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard <= fd:
        return {"skipped": f"RLIMIT_NOFILE allows {hard} descriptors only; ulimit -Hn 4096 allows enough"}
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
