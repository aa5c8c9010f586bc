"""epoll: one thread waits for all connections at once. Where does it sleep, who wakes it, and what is copied?

The server registers each descriptor once, then sleeps in epoll_wait. The kernel shows the callback that fills the ready list
and wakes it, and that the read itself never waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import select
from typing import Any

from findings.evidence import handing
from labs.kit import growth
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, refuted, sleeps, turns, unavailable, waited

LAB = Lab(
    model="epoll",
    chapter="Multiplexing",
    server="epoll",
    question="How does one thread wait for many connections with epoll?",
    watch="all the waiting is in epoll_wait, on epoll's own queue; recvfrom comes only when the data is there.",
    try_next=(
        "invoke lab epoll --clients 200 --messages 5  the same one thread",
        "invoke lab epoll --size 1000000  phase 2 is its own work",
        "invoke lab blocking  the same, one by one",
    ),
    reading=(
        "man 7 epoll, man 2 epoll_ctl, man 2 epoll_wait",
        "fs/eventpoll.c: ep_insert, ep_poll_callback, ep_poll, ep_send_events",
        "UNP 6.2 on multiplexing, and 14.9 on what comes after poll",
    ),
    asides=("labs.epoll:is_anything_shared", "labs.kit.growth:measure", "labs.kit.growth:limit"),
)


@LAB.check("blocked in the multiplexer, not in the socket call", claims=("C22",))
def asleep_in_epoll_wait(run: Run) -> Finding:
    """The thread slept in epoll_wait, never in a call on a socket."""
    waits = [one for one in run.waits if one.name.startswith("epoll")]
    slept = [one for one in waits if one.sleeps]
    sockets = run.reads + run.calls("accept4", "accept", "sendto", "sendmsg", "write", "writev")
    elsewhere = [one for one in sockets if waited(one)]
    evidence = (
        f"{len(slept)} of {len(waits)} epoll_wait slept ({sum(one.wait for one in slept) / 1e6:.1f} ms),"
        f" {len(elsewhere)} of {len(sockets)} calls on sockets did"
    )
    return confirmed(evidence) if slept and not elsewhere else failed(evidence)


@LAB.check("the callback fills the ready list and wakes the waiter", claims=("C33",))
def woken_by_the_callback(run: Run) -> Finding:
    """Every sleep was on epoll's own wait queue, and every wake-up came through ep_poll_callback."""
    asleep = sleeps([one for one in run.waits if one.name.startswith("epoll")])
    own = [one for one in asleep if one.queue == "epoll"]
    seen = [one for one in own if one.waker]  # some machines hide their supervisor's context, and a few wake-ups with it
    called = [one for one in seen if one.waker and "ep_poll_callback" in one.waker.stack]
    evidence = f"{len(called)} of {len(seen)} wake-ups came through ep_poll_callback"
    evidence += f", {len(own)} of {len(asleep)} sleeps were on epoll's own queue"
    if listed := run.result.listed:
        after = sorted(one.at - one.ready for one in listed if one.ready is not None)
        evidence += f"; it put something on the ready list {len(listed)} times"
        evidence += f", {after[len(after) // 2]:,} ns (median) after the data was ready" if after else ""
    return confirmed(evidence) if called and len(called) == len(seen) and len(own) == len(asleep) else failed(evidence)


@LAB.check("registered once, not at every wait", claims=("C32",))
def registered_once(run: Run) -> Finding:
    """One EPOLL_CTL_ADD per descriptor, however many waits follow; the waits name no descriptors."""
    added = [one for one in run.calls("epoll_ctl") if one.args[1] == 1]  # EPOLL_CTL_ADD
    expected = len(run.connections) + 1
    evidence = f"{len(added)} EPOLL_CTL_ADD for {expected} descriptors (listener and connections), {len(run.waits)} waits"
    once = True
    if any(one.queued is not None for one in added):  # counted by probes in functions
        made, later = sum(one.queued or 0 for one in added), sum(one.queued or 0 for one in run.waits)
        evidence += f"; {made} entries made in wait queues by them, {later} by the waits"
        once = made == len(added) and not later
    return confirmed(evidence) if len(added) == expected and len(run.waits) > 1 and once else failed(evidence)


@LAB.check("one thread serves many connections", claims=("C24",))
def one_thread(run: Run) -> Finding:
    """All connections were open together and served in turns, by one thread that was hardly ever on the CPU."""
    if run.udp:
        return unavailable("datagrams of all clients come to 1 socket: without --udp there are connections")
    if len(run.connections) < 2:
        return unavailable("one connection is not many: use --clients 2 or more")
    if len(run.result.threads) > 1:
        return failed(f"{len(run.result.threads)} threads")
    count, served = turns(run.reads)
    together = _most_open(run)
    if count and len(run.result.messages) <= count:
        return unavailable(f"{count} connections with a message each: in which order they are served shows with --messages 2")
    busy = 1 - (run.server.wait + run.server.sched_delay + run.server.preempted) / run.server.wall
    evidence = (
        f"1 thread, {together} of {len(run.connections)} connections open at the same time, served in {served} turns,"
        f" on the CPU {busy:.1%} of the time"
    )
    return confirmed(evidence) if together > 1 and served > count else failed(evidence)


@LAB.check("does epoll share memory with the process?", claims=("C37",))
def shared_memory(run: Run) -> Finding:
    """The text says that epoll shares its events by mmap. Two system calls decide it: mmap of an epoll descriptor, and
    epoll_wait with a pointer to nowhere.
    """
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    mapped, copied = run.aside["mmap"], run.aside["epoll_wait"]
    descriptors = {one.fd for one in run.waits if one.name.startswith("epoll")}
    if not descriptors:
        return failed("this server made no epoll_wait")
    if mapped == "ENODEV" and copied == "EFAULT":
        return refuted(
            "mmap of an epoll descriptor: ENODEV, there is nothing to map; epoll_wait with a bad pointer: EFAULT,"
            f" so the events are copied out, by each of {len(run.waits)} waits{handing(run.waits)}"
        )
    if mapped == "ENODEV":
        return refined(f"mmap of an epoll descriptor: ENODEV; epoll_wait with a bad pointer: {copied}")
    return failed(f"mmap of an epoll descriptor: {mapped}; epoll_wait with a bad pointer: {copied}")


@LAB.check("the cost of a wait does not grow with the descriptors", claims=("C31",))
def flat(run: Run) -> Finding:
    """One ready descriptor among 10, 100 and 900: select and poll pay for all, epoll_wait for the one."""
    return growth.stays(run, [one for one in run.waits if one.name.startswith("epoll")])


@LAB.check("what limits it is the number of open files", claims=("C34",))
def limit(run: Run) -> Finding:
    """One descriptor after the other was registered until something was refused."""
    return growth.limited(run, [one for one in run.waits if one.name.startswith("epoll")])


def _most_open(run: Run) -> int:
    """The most connections open at one time, by the order of accepts and closes."""
    opened: set[int] = set()
    most = 0
    accepted = {id(one) for one in run.connections}
    for call in run.result.calls:
        if id(call) in accepted and call.result is not None:
            opened.add(call.result)
        elif call.name == "close" and call.fd in opened and call.fd is not None:
            opened.discard(call.fd)
        most = max(most, len(opened))
    return most


def is_anything_shared() -> dict[str, Any]:
    """Tries what the claim says: maps an epoll descriptor; and has epoll_wait write its events to address 1."""
    found: dict[str, Any] = {}
    ready, other = os.pipe()
    with contextlib.closing(select.epoll()) as epoll:
        try:
            mmap.mmap(epoll.fileno(), mmap.PAGESIZE).close()
            found["mmap"] = "mapped"
        except OSError as error:
            found["mmap"] = os_error(error.errno)
        epoll.register(other, select.EPOLLOUT)  # an empty pipe has room: ready at once
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.epoll_wait(epoll.fileno(), ctypes.c_void_p(1), 1, 0)
        found["epoll_wait"] = os_error(ctypes.get_errno()) if result < 0 else f"{result} events"
    os.close(ready)
    os.close(other)
    return found


def os_error(number: int | None) -> str:
    """ENODEV for 19."""
    return errno.errorcode.get(number or 0, str(number))
