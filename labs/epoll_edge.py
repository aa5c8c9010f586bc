"""epoll, edge-triggered: each arrival is reported once. What does that save, and what must the server do for it?"""

from __future__ import annotations

import os
import select
from typing import Any

from findings import evidence
from findings.descriptors.echoes import all_echoed
from findings.descriptors.registrations import EPOLLET, registrations
from findings.properties.accepts_every_connection import ACCEPTS_EVERY_CONNECTION
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.closes_ended_connections import CLOSES_ENDED_CONNECTIONS
from findings.properties.leaves_no_data_unread import LEAVES_NO_DATA_UNREAD
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from findings.properties.non_blocking_connections import NON_BLOCKING_CONNECTIONS
from findings.properties.one_mechanism import ONE_MECHANISM
from findings.properties.property import broken_of, together
from findings.properties.reads_large_pieces import READS_LARGE_PIECES
from labs.kit import asides, edges
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, unavailable
from probes.words import count, times

LAB = Lab(
    model="epoll_edge",
    chapter="Multiplexing",
    server="epoll_edge",
    question="What changes when epoll reports each arrival only once?",
    watch="the last recvfrom for every message gets EAGAIN, which shows the server that the socket is drained. (On a stream a"
    " read that returns less than requested shows the same; man 7 epoll.)",
    try_next=(
        "invoke lab epoll  level-triggered",
        "invoke lab epoll_edge --size 1000000  many reads for one report",
    ),
    reading=(
        "man 7 epoll: level-triggered and edge-triggered, and the questions at its end",
        "fs/eventpoll.c: ep_send_events puts a level-triggered entry back on the ready list",
    ),
    asides=("labs.epoll_edge:read_half", "labs.kit.edges:measure"),
)
DRAINED = 0.8  # of the messages, or of the waits: an arrival during the draining needs no EAGAIN of its own


@LAB.check("the thread sleeps in epoll_wait and in no other call", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in epoll_wait, by which alone it waits; no other call slept, and no connection is blocking."""
    finding = evidence.slept_only_on(run, "epoll")
    broken = broken_of(run, BLOCKS_ONLY_IN_ITS_WAIT, ONE_MECHANISM, NON_BLOCKING_CONNECTIONS)
    return failed(f"{finding.evidence}; {broken}") if broken else finding


@LAB.check("a thread without work sleeps: it polls neither in a loop nor after short time-outs", claims=("C24",))
def no_polling(run: Run) -> Finding:
    """Few waits returned without an event, and few events were without data."""
    return together(run, NEVER_SPINS, NEEDS_NO_SHORT_TIME_OUT)


@LAB.check("edge-triggered epoll reports unread data only once", claims=("C35",))
def reported_once(run: Run) -> Finding:
    """Two bytes arrive, and one is read: level-triggered epoll reports the rest again, edge-triggered epoll does not."""
    aside = asides.of(run)
    level, edge = aside.level, aside.edge
    if level is None or edge is None:
        return unavailable(asides.NOT_RUN)
    words = (
        f"with 1 of 2 bytes unread, level-triggered epoll reported the descriptor {times(level)} more, edge-triggered epoll"
        f" {times(edge)}; {_edges(run)}"
    )
    return confirmed(words) if (level, edge) == (1, 0) and is_edge_triggered(run) else failed(words)


@LAB.check("the server takes all that a report announces: every connection, and all data", claims=("C35",))
def takes_all(run: Run) -> Finding:
    """No data stayed in a socket while the thread slept, and no connection in the accept queue."""
    found = together(run, LEAVES_NO_DATA_UNREAD, ACCEPTS_EVERY_CONNECTION, CLOSES_ENDED_CONNECTIONS, READS_LARGE_PIECES)
    return found if is_edge_triggered(run) else failed(f"{_edges(run)}; {found.evidence}")


@LAB.check("the server registers each descriptor once and drains it every time", claims=("C36",))
def harder(run: Run) -> Finding:
    """No epoll_ctl repeated a registration, and the reads end with EAGAIN, or with a read that returned less than it asked for.

    EPOLL_CTL_MOD makes the kernel report again what is there. EPOLLONESHOT needs this call after each event.
    """
    found = registrations(run)
    refused = sum(call.count for call in run.reads if call.errno == "EAGAIN")
    short = sum(1 for call in run.reads if call.bytes and call.histogram is None and call.bytes < call.args[2])
    messages = len(run.result.messages)
    words = (
        f"{len(found.added)} EPOLL_CTL_ADD for {count(found.descriptors, 'descriptor')}, {len(found.changed)} EPOLL_CTL_MOD;"
        f" {count(refused, 'read')} got EAGAIN and {short} returned less than was asked for, for {count(messages, 'message')}"
    )
    if found.again or found.same:
        again = len(found.again) + len(found.same)
        return failed(f"{words}; {again} of these calls asked for the events that the descriptor had")
    if not all_echoed(run) and (spent := found.never_armed_again):
        return failed(f"{words}; {spent} EPOLLONESHOT registrations were never armed again")
    drained = max(refused, short) >= DRAINED * min(messages, len(run.waits)) > 0
    return confirmed(words) if drained and found.added else failed(words)


@LAB.check("edge-triggered epoll takes fewer waits than level-triggered epoll", claims=("C36",))
def fewer_waits(run: Run) -> Finding:
    """Both on the same messages, beside the traffic."""
    return edges.fewer_waits(run) if is_edge_triggered(run) else failed(_edges(run))


@LAB.check("edge-triggered epoll is faster than level-triggered epoll", claims=("C60",))
def faster(run: Run) -> Finding:
    """Both on the same messages, beside the traffic: system calls, CPU time and round trips."""
    return edges.faster(run) if is_edge_triggered(run) else failed(_edges(run))


def is_edge_triggered(run: Run) -> bool:
    """Are the connections registered with EPOLLET? The listener need not be."""
    return registrations(run).with_flag(EPOLLET) >= max(len(run.connections), 1)


def _edges(run: Run) -> str:
    found = registrations(run)
    return f"{found.with_flag(EPOLLET)} of {count(len(found.added), 'registration')} are edge-triggered (EPOLLET)"


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
