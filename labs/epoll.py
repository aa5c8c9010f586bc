"""epoll: one thread waits for all connections at once. Where does it sleep, what wakes it, and what is copied?

The server registers each descriptor once, then sleeps in epoll_wait. The kernel shows the callback that fills the ready list
and wakes the thread, and that recvfrom itself never waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import select
from typing import Any

from findings import evidence, summary
from findings.descriptors.registrations import registrations
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
from findings.properties.turns import turns_of
from labs.kit import asides, growth
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, refuted, sleeps, turns, unavailable
from probes.context import ServerRun
from probes.kernel import syscalls
from probes.words import count

LAB = Lab(
    model="epoll",
    chapter="Multiplexing",
    server="epoll",
    question="How does one thread wait for many connections with epoll?",
    watch="the thread sleeps in epoll_wait, on epoll's own queue; it calls recvfrom only when the data is there.",
    try_next=(
        "invoke lab epoll --clients 200 --messages 5  still one thread",
        "invoke lab epoll --size 1000000  phase 2 takes longer",
        "invoke lab blocking  one client at a time",
    ),
    reading=(
        "man 7 epoll, man 2 epoll_ctl, man 2 epoll_wait",
        "fs/eventpoll.c: ep_insert, ep_poll_callback, ep_poll, ep_send_events",
        "UNP 6.2 on multiplexing, and 14.9 on what comes after poll",
    ),
    asides=("labs.epoll:try_to_share", "labs.kit.growth:measure", "labs.kit.growth:limit"),
)
FOR_EACH_CONNECTION = (
    ACCEPTS_EVERY_CONNECTION,
    CLOSES_ENDED_CONNECTIONS,
    LEAVES_NO_DATA_UNREAD,
    READS_LARGE_PIECES,
)


@LAB.check("the thread sleeps in epoll_wait and in no other call", claims=("C22",))
def asleep_in_epoll_wait(run: Run) -> Finding:
    """The thread slept in epoll_wait, by which alone it waits; no other call slept, and no connection is blocking."""
    finding = evidence.slept_only_on(run, "epoll")
    broken = broken_of(run, BLOCKS_ONLY_IN_ITS_WAIT, ONE_MECHANISM, NON_BLOCKING_CONNECTIONS)
    return failed(f"{finding.evidence}; {broken}") if broken else finding


@LAB.check("a thread without work sleeps: it polls neither in a loop nor after short time-outs", claims=("C24",))
def no_polling(run: Run) -> Finding:
    """Few waits returned without an event, and few events were without data."""
    return together(run, NEVER_SPINS, NEEDS_NO_SHORT_TIME_OUT)


@LAB.check("ep_poll_callback fills the ready list and wakes the waiter", claims=("C33",))
def woken_by_the_callback(run: Run) -> Finding:
    """Every sleep was on epoll's own wait queue, and every wake-up by a packet went through ep_poll_callback.

    A time-out or a signal may end a sleep as well. Some machines hide the context of their supervisor, and with it a few
    wake-ups: the wake-ups count whose waker was seen.
    """
    asleep = sleeps([call for call in run.waits if call.name in syscalls.EPOLL_WAITS])
    own = [sleep for sleep in asleep if sleep.queue == "epoll"]
    seen = [sleep for sleep in own if sleep.waker and sleep.waker.chain[0] not in ("timer", "signal")]
    through = [sleep for sleep in seen if sleep.waker and "ep_poll_callback" in sleep.waker.stack]
    words = (
        f"{len(own)} of {count(len(asleep), 'sleep')} were on epoll's own queue;"
        f" {len(through)} of {count(len(seen), 'wake-up')} by packets went through ep_poll_callback"
    )
    listed = summary.ready_list(run.result)
    if listed and listed.count:
        words += f"; the callback put {count(listed.count, 'descriptor')} on the ready list"
        delay = listed.after_ready.p50
        words += f", {delay:,} ns after the data was ready (median)" if delay is not None else ""
    return confirmed(words) if through and len(through) == len(seen) and len(own) == len(asleep) else failed(words)


@LAB.check("epoll_ctl registers each descriptor once, and not at every wait", claims=("C32",))
def registered_once(run: Run) -> Finding:
    """One EPOLL_CTL_ADD for each descriptor. The waits name no descriptors and make no entries in wait queues."""
    found = registrations(run)
    words = f"{len(found.added)} EPOLL_CTL_ADD for {count(found.descriptors, 'descriptor')}; {count(len(run.waits), 'wait')}"
    if found.again:
        words += f"; {len(found.again)} EPOLL_CTL_ADD added a descriptor again"
    if found.same:
        words += f"; {len(found.same)} EPOLL_CTL_MOD asked for the events that the descriptor had"
    queued_once = True
    if any(call.queued is not None for call in found.added):  # a probe counted the entries
        by_adding, by_waiting = sum(call.queued or 0 for call in found.added), sum(call.queued or 0 for call in run.waits)
        words += f"; epoll_ctl made {by_adding} entries in wait queues, the waits made {by_waiting}"
        queued_once = by_adding == len(found.added) and not by_waiting
    once = found.descriptors >= max(len(run.connections), 1) and not found.again and not found.same
    return confirmed(words) if once and len(run.waits) > 1 and queued_once else failed(words)


@LAB.check("one thread serves many connections", claims=("C24",))
def one_thread(run: Run) -> Finding:
    """All connections were open at the same time, and one thread served them in turns, with little CPU.

    It tried only descriptors that epoll_wait had reported, left no data unread, and closed each connection that had ended.
    """
    broken = broken_of(run, *FOR_EACH_CONNECTION)
    if why := _few(run):
        return failed(broken) if broken else unavailable(why)
    connections, served = turns(run.reads)
    at_once = _most_open(run)
    words = (
        f"{count(len(run.result.threads), 'thread')}, {at_once} of {count(len(run.connections), 'connection')} open at the same"
        f" time and served in {count(served, 'turn')}"
    )
    if fault := broken or _busy(run):
        return failed(f"{words}; {fault}")
    thread = run.server
    on_cpu = 1 - (thread.wait + thread.sched_delay + thread.preempted) / max(thread.wall, 1)
    words += f"; the thread was on a CPU for {on_cpu:.1%} of the time{_memory(run)}"
    good = len(run.result.threads) == 1 and at_once > 1 and served > connections
    return confirmed(words) if good else failed(words)


def _few(run: Run) -> str:
    """Why this traffic does not show the order of service; "" where it does."""
    if run.udp:
        return "datagrams of all clients arrive at 1 socket: without --udp there are connections"
    if len(run.connections) < 2:
        return "a single connection is not many: use --clients 2 or more"
    connections, _ = turns(run.reads)
    if connections and len(run.result.messages) <= connections:
        return f"each of {connections} connections sent 1 message: --messages 2 shows the order of service"
    return ""


def _busy(run: Run) -> str:
    """What a thread does that tries descriptors without result, or computes most of the time; "" for another thread."""
    tried, reported = tries(run)
    if tried > 1.5 * reported:
        return f"the thread tried {count(tried, 'descriptor')}, of which {reported} had been reported"
    thread = run.server
    ran_or_slept = max(thread.wall - thread.sched_delay - thread.preempted, 1)  # without the time that others took from it
    if thread.user > 0.5 * ran_or_slept:
        return f"the thread was in user code for {thread.user / ran_or_slept:.0%} of its life"
    return ""


def _memory(run: Run) -> str:
    """The memory of the server's processes at the end of the traffic, as an addition to evidence."""
    context = run.result.context
    if not isinstance(context, ServerRun) or context.witness is None:
        return ""
    return f", and the process had {context.witness.memory_bytes / 1e6:.1f} MB of memory"


@LAB.check("epoll shares its events with the process by mmap", claims=("C37",))
def shared_memory(run: Run) -> Finding:
    """Two system calls decide it: mmap of an epoll descriptor, and epoll_wait with an address that is not mapped."""
    aside = asides.of(run)
    mapped, copied = aside.mmap, aside.epoll_wait
    if not mapped:
        return unavailable(asides.NOT_RUN)
    if not any(call.name in syscalls.EPOLL_WAITS for call in run.waits):
        return failed("this server made 0 calls of epoll_wait")
    words = f"mmap of an epoll descriptor: {mapped}; epoll_wait with a bad address: {copied}"
    if mapped == "ENODEV" and copied == "EFAULT":
        return refuted(
            f"{words}. There is nothing to map, and each of {count(len(run.waits), 'wait')} copies its events out"
            f"{evidence.multiplexer_copies(run.waits)}"
        )
    return refined(words) if mapped == "ENODEV" else failed(words)


@LAB.check("the cost of epoll_wait does not grow with the descriptors", claims=("C31",))
def flat(run: Run) -> Finding:
    """One ready descriptor among 10, 100 and 900: select and poll pay for all of them, epoll_wait for the ready one."""
    return growth.cost_stays(run, [call for call in run.waits if call.name in syscalls.EPOLL_WAITS])


@LAB.check("the number of open files limits epoll", claims=("C34",))
def limit(run: Run) -> Finding:
    """Descriptors were registered one by one, until a call failed."""
    return growth.limited_by_files(run, [call for call in run.waits if call.name in syscalls.EPOLL_WAITS])


def tries(run: Run) -> tuple[int, int]:
    """On how many descriptors the thread called read, accept or their like after its waits, and how many were reported.

    A descriptor counts once per wait. A burst of EAGAIN spans several waits: each of its calls counts.
    """
    tried = reported = 0
    for turn in turns_of(run.calls_of.get(run.server.serial, [])):
        calls = [call for call in turn.calls if call.name in syscalls.READS | syscalls.ACCEPTS]
        tried += len({call.fd for call in calls}) + sum(call.count - 1 for call in calls)
        reported += max(turn.wait.result or 0, 0)
    return tried, reported


def _most_open(run: Run) -> int:
    """The most connections open at one time, by the order of accepts and closes."""
    opened: set[int] = set()
    most = 0
    accepted = {id(call) for call in run.connections}
    for call in run.result.calls:
        if id(call) in accepted and call.result is not None:
            opened.add(call.result)
        elif call.name == "close" and call.fd in opened and call.fd is not None:
            opened.discard(call.fd)
        most = max(most, len(opened))
    return most


def try_to_share() -> dict[str, Any]:
    """Tests the claim: maps an epoll descriptor, and lets epoll_wait write its events to address 1."""
    outcome: dict[str, Any] = {}
    reader, writer = os.pipe()
    with contextlib.closing(select.epoll()) as epoll:
        try:
            mmap.mmap(epoll.fileno(), mmap.PAGESIZE).close()
            outcome["mmap"] = "mapped"
        except OSError as error:
            outcome["mmap"] = error_name(error.errno)
        epoll.register(writer, select.EPOLLOUT)  # an empty pipe has room: ready at once
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.epoll_wait(epoll.fileno(), ctypes.c_void_p(1), 1, 0)
        outcome["epoll_wait"] = error_name(ctypes.get_errno()) if result < 0 else f"{result} events"
    os.close(reader)
    os.close(writer)
    return outcome


def error_name(number: int | None) -> str:
    """ENODEV for 19."""
    return errno.errorcode.get(number or 0, str(number))
