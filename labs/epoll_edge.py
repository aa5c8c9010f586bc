"""epoll, edge-triggered: each arrival is reported once. What does that save, and what must the server do for it?"""

from __future__ import annotations

import os
import select
from typing import Any

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable
from probes.words import count, times

LAB = Lab(
    model="epoll_edge",
    chapter="Multiplexing",
    server="epoll_edge",
    question="What changes when epoll reports each arrival only once?",
    watch="the last recvfrom for every message gets EAGAIN, which tells the server that the socket is drained. (On a stream a"
    " read that returns less than it asked for tells the same; man 7 epoll.)",
    try_next=(
        "invoke lab epoll  level-triggered",
        "invoke lab epoll_edge --size 1000000  many reads for one report",
    ),
    reading=(
        "man 7 epoll: level-triggered and edge-triggered, and the questions at its end",
        "fs/eventpoll.c: ep_send_events puts a level-triggered entry back on the ready list",
    ),
    asides=("labs.epoll_edge:read_half",),
)
EPOLL_CTL_ADD = 1


@LAB.check("the thread sleeps in epoll_wait and never in a call on a socket", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in epoll_wait only."""
    return evidence.slept_only_on(run, "epoll")


@LAB.check("edge-triggered epoll reports unread data only once", claims=("C35",))
def reported_once(run: Run) -> Finding:
    """Two bytes arrive, and one is read: level-triggered epoll reports the rest again, edge-triggered epoll does not."""
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    added = [call for call in run.calls("epoll_ctl") if call.args[1] == EPOLL_CTL_ADD]
    drained = [call for call in run.reads if call.errno == "EAGAIN"]
    level, edge = run.aside["level"], run.aside["edge"]
    words = (
        f"with 1 of 2 bytes unread, level-triggered epoll reported the descriptor {times(level)} more, edge-triggered epoll"
        f" {times(edge)}; this server drained {count(len(added) - 1, 'connection')} to EAGAIN"
        f" {times(sum(call.count for call in drained))}"
    )
    return confirmed(words) if (level, edge) == (1, 0) and drained else failed(words)


@LAB.check("the server registers each descriptor once and drains it every time", claims=("C36",))
def harder(run: Run) -> Finding:
    """No epoll_ctl changed a registration, and a recvfrom got EAGAIN after nearly every message. The parts of a large message
    may arrive while the server drains: then a recvfrom got EAGAIN after nearly every wait.
    """
    changed = [call for call in run.calls("epoll_ctl") if call.args[1] != EPOLL_CTL_ADD]
    without_data = sum(call.count for call in run.reads if call.errno == "EAGAIN")
    messages = len(run.result.messages)
    words = (
        f"{count(len(changed), 'call')} of epoll_ctl changed a registration; {count(without_data, 'read')} got EAGAIN for"
        f" {count(messages, 'message')} and {count(len(run.waits), 'wait')}"
    )
    return confirmed(words) if not changed and without_data >= 0.8 * min(messages, len(run.waits)) > 0 else failed(words)


def read_half() -> dict[str, Any]:
    """How many events epoll_wait returns at once after half of what arrived was read, level- and edge-triggered."""
    events = {}
    for name, mode in (("level", 0), ("edge", select.EPOLLET)):
        reader, writer = os.pipe()
        with select.epoll() as epoll:
            epoll.register(reader, select.EPOLLIN | mode)
            os.write(writer, b"xy")
            assert len(epoll.poll(1)) == 1
            os.read(reader, 1)
            events[name] = len(epoll.poll(0))
        os.close(reader)
        os.close(writer)
    return events
