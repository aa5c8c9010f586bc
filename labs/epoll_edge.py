"""epoll, edge-triggered: told once. What does that save, and what must the server do for it?"""

from __future__ import annotations

import os
import select
from typing import Any

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable

LAB = Lab(
    model="epoll_edge",
    chapter="Multiplexing",
    server="epoll_edge",
    question="What changes when epoll tells of an arrival only once?",
    watch="every message ends with a recvfrom that gets EAGAIN: so this server knows that it has all. (On a stream a read that"
    " brings less than it asked for says so, too; man 7 epoll.)",
    try_next=(
        "invoke lab epoll  level-triggered",
        "invoke lab epoll_edge --size 1000000  many reads for one telling",
    ),
    reading=(
        "man 7 epoll: level-triggered and edge-triggered, and the questions at its end",
        "fs/eventpoll.c: ep_send_events puts a level-triggered entry back on the ready list",
    ),
    asides=("labs.epoll_edge:read_half",),
)


@LAB.check("blocked in the multiplexer, not in the socket call", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in epoll_wait only."""
    return evidence.asleep_only_in(run, "epoll")


@LAB.check("told once: what is left unread is not told again", claims=("C35",))
def told_once(run: Run) -> Finding:
    """Two bytes arrive, one is read: level-triggered tells again, edge-triggered does not."""
    if not run.aside:
        return unavailable("the experiment beside the traffic did not run")
    armed = [one for one in run.calls("epoll_ctl") if one.args[1] == 1]
    drained = [one for one in run.reads if one.errno == "EAGAIN"]
    level, edge = run.aside["level"], run.aside["edge"]
    found = f"with half of it unread, level-triggered told {level} times, edge-triggered {edge}; this server drained to EAGAIN"
    found += f" {sum(one.count for one in drained)} times on {len(armed) - 1} connections"
    return confirmed(found) if (level, edge) == (1, 0) and drained else failed(found)


@LAB.check("registered once for both directions, drained every time", claims=("C36",))
def harder(run: Run) -> Finding:
    """No epoll_ctl after the first of each descriptor; a fruitless recvfrom for nearly every message, or for nearly every wait,
    where parts of large messages arrive while the server drains.
    """
    changed = [one for one in run.calls("epoll_ctl") if one.args[1] != 1]
    fruitless = sum(one.count for one in run.reads if one.errno == "EAGAIN")
    messages = len(run.result.messages)
    found = f"{len(changed)} registrations changed; {fruitless} fruitless reads for {messages} messages, {len(run.waits)} waits"
    return confirmed(found) if not changed and fruitless >= 0.8 * min(messages, len(run.waits)) > 0 else failed(found)


def read_half() -> dict[str, Any]:
    """How many events epoll_wait gives at once after half of what arrived was read, level- and edge-triggered."""
    found = {}
    for name, mode in (("level", 0), ("edge", select.EPOLLET)):
        reader, writer = os.pipe()
        with select.epoll() as epoll:
            epoll.register(reader, select.EPOLLIN | mode)
            os.write(writer, b"xy")
            assert len(epoll.poll(1)) == 1
            os.read(reader, 1)
            found[name] = len(epoll.poll(0))
        os.close(reader)
        os.close(writer)
    return found
