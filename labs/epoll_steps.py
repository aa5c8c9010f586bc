"""The steps of epoll: what epoll_ctl leaves in a wait queue, how epoll_wait sleeps, and what it writes.

This is a lab of its own, because the calls of a server show these steps only together. Here, the lab's function registers in
one thread and waits in another, waits for events that come and for events that do not come, and reads the memory that
epoll_wait wrote.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import select
import socket
import struct
import threading
import time
from typing import Any

from labs.kit import asides
from labs.kit.experiment import PAUSE, Sections, later
from labs.kit.growth import NOT_COUNTED
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refuted, sleeps, unavailable
from labs.kit.questions.sections import what_it_does, what_wakes_it
from probes.kernel.syscalls import EPOLL_WAITS
from probes.measure.result import Call, Sleep
from probes.words import count, ms
from servers.kit.system import system_call

LAB = Lab(
    model="epoll",
    chapter="Multiplexing",
    question="What does epoll_ctl leave in the kernel, and what does epoll_wait do with it?",
    watch="the thread that waits was never in epoll_ctl, and the callback wakes it; one wait is one sleep, until something"
    " happens.",
    try_next=(
        "invoke lab epoll         a server, and the cost of a wait",
        "invoke lab select_steps  entries made anew in each call",
    ),
    reading=(
        "man 2 epoll_ctl, man 2 epoll_wait",
        "fs/eventpoll.c: ep_ptable_queue_proc, ep_poll_callback, ep_poll, ep_send_events",
        "include/uapi/linux/eventpoll.h: struct epoll_event",
    ),
    experiment="labs.epoll_steps:experiment",
)
# struct epoll_event: events, data; packed on x86_64 (include/uapi/linux/eventpoll.h)
_EVENT = struct.Struct("=IQ" if platform.machine() == "x86_64" else "=I4xQ")
_ROOM = 3  # events
_BLANK = 0xFF  # what the memory holds before the call
_LONG = 10 * PAUSE
_AHEAD = 10.0  # seconds: a time-out that never ends a wait here
# Of the program's own choice: the kernel gives these words back as they are.
DATA = (0x1111_2222_3333_4444, 0x5555_6666_7777_8888, 0x0123_4567_89AB_CDEF)


def wait(epoll: select.epoll, seconds: float) -> tuple[int, bytes]:
    """One call of epoll_pwait: its result, and the memory that it was given for the events."""
    memory = ctypes.create_string_buffer(bytes([_BLANK]) * (_ROOM * _EVENT.size), _ROOM * _EVENT.size)
    result = system_call("epoll_pwait", epoll.fileno(), memory, _ROOM, int(1000 * seconds), None, 8)
    return result, memory.raw


def add(epoll: select.epoll, sock: socket.socket, data: int) -> None:
    """EPOLL_CTL_ADD for EPOLLIN, with data of the program's choice: select.epoll always gives the descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    event = ctypes.create_string_buffer(_EVENT.pack(select.EPOLLIN, data), _EVENT.size)
    assert libc.epoll_ctl(epoll.fileno(), 1, sock.fileno(), event) == 0


def datagram_socket(stack: contextlib.ExitStack) -> socket.socket:
    """A UDP socket with an address of its own on loopback."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.1", 0))
    return sock


def send_to(sock: socket.socket) -> None:
    """Sends a datagram to a socket, which is in its receive buffer when the call returns or soon after."""
    sock.sendto(b"x", sock.getsockname())


def experiment() -> dict[str, Any]:
    """Registers and waits, one section for each step."""
    section = Sections()
    with contextlib.ExitStack() as stack:
        epoll = stack.enter_context(select.epoll())
        first, second, third = (datagram_socket(stack) for _ in range(3))
        _registered_elsewhere(section, epoll, first)
        section("time-out")
        wait(epoll, _LONG)
        section("between")
        send_to(first)
        first.recv(1, socket.MSG_PEEK)  # a packet may need a moment on a busy machine
        section("data before the wait")
        wait(epoll, _AHEAD)
        section("between")
        _another_event(section, stack)
        with select.epoll() as fresh:
            for sock, data in zip((first, second, third), DATA, strict=True):
                add(fresh, sock, data)
            send_to(third)
            third.recv(1, socket.MSG_PEEK)
            section("two of three")
            result, memory = wait(fresh, 0)
            section("between")
    events = [_EVENT.unpack_from(memory, at * _EVENT.size) for at in range(max(result, 0))]
    return section.outcome(
        written=[data for _events, data in events],
        untouched=len(memory) - len(memory.rstrip(bytes([_BLANK]))),
        room=len(memory),
    )


def _registered_elsewhere(section: Sections, epoll: select.epoll, sock: socket.socket) -> None:
    """A thread registers the socket and ends; this thread waits. Then this thread sleeps elsewhere while data arrives."""

    def register() -> None:
        section("registering")
        epoll.register(sock, select.EPOLLIN)

    thread = threading.Thread(target=register)
    thread.start()
    thread.join()
    with later(lambda: send_to(sock)):
        section("waiting")
        wait(epoll, _AHEAD)
        section("between")
    sock.recv(1)
    with select.epoll() as own:
        own.register(sock, select.EPOLLIN)
        with later(lambda: send_to(sock)):
            section("asleep elsewhere")
            time.sleep(_LONG)
            section("between")
    sock.recv(1)


def _another_event(section: Sections, stack: contextlib.ExitStack) -> None:
    """A packet wakes the waiter, and is not the event that was asked for: urgent data (EPOLLPRI)."""
    sock = datagram_socket(stack)
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLPRI)
        with later(lambda: send_to(sock)):
            section("another event")
            wait(epoll, _LONG)
            section("between")


def only(run: Run, section: str) -> Call | None:
    """The single call of epoll_wait in that section."""
    calls = [call for call in run.sections.get(section, []) if call.name in EPOLL_WAITS]
    return calls[0] if len(calls) == 1 else None


def asleep(call: Call | None) -> list[Sleep]:
    """The call's sleeps on epoll's queue; a page fault may put any call to sleep."""
    return [sleep for sleep in sleeps([call]) if sleep.queue == "epoll"] if call else []


def ends(found: list[Sleep]) -> list[str]:
    """What ended each sleep: "packet", "timer", or another cause."""
    return [sleep.waker.chain[0] if sleep.waker and sleep.waker.chain else "unknown" for sleep in found]


def outcome(call: Call | None) -> str:
    """In words: what the call returned, and its sleeps."""
    if call is None:
        return "0 calls of epoll_wait"
    found = asleep(call)
    ended = f", ended by: {', '.join(ends(found))}" if found else ""
    return f"the call returned {call.result} after {count(len(found), 'sleep')} ({ms(call.wait)}{ended})"


@LAB.check("epoll_ctl puts the task that calls it on the wait queue of the socket", claims=("C54",))
def queues_the_task(run: Run) -> Finding:
    """The task that registered had ended, and the packet still woke the waiter, by the callback. A task that had registered
    slept on, while data arrived.
    """
    registering = [call for call in run.sections.get("registering", []) if call.name == "epoll_ctl" and call.result == 0]
    waiting = only(run, "waiting")
    found = asleep(waiting)
    through = [sleep for sleep in found if sleep.waker and "ep_poll_callback" in sleep.waker.stack]
    pauses = [call for call in run.sections.get("asleep elsewhere", []) if call.name in ("clock_nanosleep", "nanosleep")]
    woken = ends([sleep for sleep in sleeps(pauses) if sleep.queue == "timer"])
    words = (
        f"{count(len(registering), 'thread')} called epoll_ctl and ended; another thread waited: {outcome(waiting)}, and"
        f" {count(len(through), 'wake-up')} went through ep_poll_callback; a thread that had called epoll_ctl slept in another"
        f" call while data arrived: {count(len(woken), 'sleep')}, ended by: {', '.join(woken) or 'nothing'}"
    )
    elsewhere = waiting and all(call.thread != waiting.thread for call in registering)
    if len(registering) != 1 or not elsewhere or ends(found) != ["packet"] or len(through) != 1 or woken != ["timer"]:
        return failed(words)
    words += ". What stands in the socket's wait queue is an entry of the epoll instance, with the callback"
    queued = registering[0].queued
    if queued is None:
        return refuted(f"{words}; {NOT_COUNTED}")
    words += f"; epoll_ctl made {count(queued, 'entry')}"
    return refuted(words) if queued == 1 else failed(words)


@LAB.check("epoll_wait sleeps for a moment, checks the ready list, and sleeps again", claims=("C55",))
def sleeps_in_pieces(run: Run) -> Finding:
    """One wait that ends by its time-out, one that a packet ends: each is one sleep. A second sleep follows only a wake-up
    after which no event was there.
    """
    long, packet, other = only(run, "time-out"), only(run, "waiting"), only(run, "another event")
    words = (
        f"no event: {outcome(long)}; a packet: {outcome(packet)}; a packet that is not the event asked for (EPOLLPRI):"
        f" {outcome(other)}"
    )
    every = [*asleep(long), *asleep(packet), *asleep(other)]
    if unseen := sum(1 for sleep in every if sleep.waker is None):
        return unavailable(f"{words}; the kernel did not report what ended {count(unseen, 'sleep')}: run the lab again")
    if ends(asleep(long)) != ["timer"] or ends(asleep(packet)) != ["packet"] or ends(asleep(other)) != ["packet", "timer"]:
        return failed(words)
    functions = {name for call in (long, packet) for sleep in asleep(call) for name in sleep.stack}
    words += ". No sleep ended by itself to check the list"
    return refuted(words + ("" if "schedule_timeout" in functions else "; the thread did not sleep in schedule_timeout"))


@LAB.check("epoll_wait does not sleep if an event is on the ready list already", claims=("C33",))
def ready_before(run: Run) -> Finding:
    """The callback needs no waiter: it puts the descriptor on the list when the data arrives."""
    call = only(run, "data before the wait")
    words = f"data that had arrived before: {outcome(call)}"
    return confirmed(words) if call and call.result == 1 and not asleep(call) else failed(words)


@LAB.check("epoll_wait returns only a number, and the program then fetches the ready descriptors", claims=("C56",))
def only_a_number(run: Run) -> Finding:
    """The memory that the call was given: an event for each ready descriptor, with the data that the program had registered."""
    call = only(run, "two of three")
    aside = asides.of(run)
    written, untouched, room = aside.written, aside.untouched, aside.room
    own = sum(1 for data in written if data in (DATA[0], DATA[2]))
    words = (
        f"2 of 3 descriptors were ready: {outcome(call)}, and had written {count(len(written), 'event')} into the program's"
        f" memory ({room - untouched} of {room} B), {own} of them with the data that the program had registered for these"
        " descriptors"
    )
    good = call and call.result == 2 and sorted(written) == sorted((DATA[0], DATA[2])) and room - untouched == 2 * room // 3
    return refuted(f"{words}. No further call fetches anything") if good else failed(words)


LAB.ask(
    what_it_does("data before the wait", EPOLL_WAITS, "Data arrived before the call. An epoll_wait with a time-out of 10 s"),
    what_wakes_it("waiting", EPOLL_WAITS, "Another thread registered a UDP socket, which gets a datagram. An epoll_wait"),
    what_wakes_it("time-out", EPOLL_WAITS, "No data arrives. An epoll_wait with a time-out of 200 ms"),
)
