"""The steps of select: the eight that courses list, each tried with calls that show this step alone.

This is a lab of its own, because the calls of a server show the steps only together. Here, the lab's function makes calls of
select (the system call pselect6) with memory that the kernel cannot read or cannot write, with descriptors of several kinds,
and with a packet that is not the event that the call waits for.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labs.kit import asides
from labs.kit.experiment import PAUSE, Sections, later, tcp_pair
from labs.kit.growth import NOT_COUNTED
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, sleeps, unavailable
from labs.kit.questions.question import Question, Truth, Undecided
from labs.kit.questions.sections import what_wakes_it
from probes.measure.result import Call, Sleep
from probes.words import count, ms
from servers.kit.system import system_call

LAB = Lab(
    model="select",
    chapter="Multiplexing",
    question="Which steps does one call of select take in the kernel, and in which order?",
    watch="EFAULT at once where the kernel cannot read the sets, and only after the sleep where it cannot write them.",
    try_next=(
        "invoke lab select  a server, and the cost with many descriptors",
        "invoke lab epoll   the model that does not repeat these steps",
    ),
    reading=(
        "man 2 select",
        "fs/select.c: core_sys_select, do_select, __pollwait, pollwake, poll_freewait",
        "net/socket.c: sock_poll; net/ipv4/tcp.c: tcp_poll; net/ipv4/udp.c: udp_poll",
    ),
    experiment="labs.select_steps:experiment",
)
SELECTS = {"select", "pselect6"}
WAKING = ("first socket", "second socket")
_SET = 128  # bytes: 1,024 descriptors


@dataclass
class FdSet:
    """A descriptor set in memory, as the kernel reads and writes it."""

    memory: Any

    @classmethod
    def of(cls, *sockets: int) -> FdSet:
        """A set that names these descriptors."""
        names = bytearray(_SET)
        for fd in sockets:
            names[fd // 8] |= 1 << fd % 8
        return cls(ctypes.create_string_buffer(bytes(names), _SET))

    def __len__(self) -> int:
        return sum(byte.bit_count() for byte in self.memory.raw)


def select(read: Any, write: Any = None, other: Any = None, seconds: float = 0.0, nfds: int = 8 * _SET) -> int:
    """One call of pselect6. Returns its result, and -1 for an error, which the recording shows."""
    timeout = (ctypes.c_long * 2)(int(seconds), int(seconds % 1 * 1e9))
    with contextlib.suppress(OSError):
        return system_call("pselect6", nfds, read, write, other, timeout, None)
    return -1


@contextlib.contextmanager
def read_only(names: FdSet) -> Iterator[ctypes.c_void_p]:
    """The address of a copy of the set, in memory that can be read but not written."""
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        page[:_SET] = names.memory.raw
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ)
        yield ctypes.c_void_p(address)
        libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_WRITE)


def datagram_socket(stack: contextlib.ExitStack) -> socket.socket:
    """A UDP socket with an address of its own on loopback."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.1", 0))
    return sock


def send_to(sock: socket.socket) -> None:
    """Sends a datagram to a socket, which is in its receive buffer when the call returns or soon after."""
    sock.sendto(b"x", sock.getsockname())


def experiment() -> dict[str, Any]:
    """Makes one or two calls of select for each step."""
    section = Sections()
    with contextlib.ExitStack() as stack:
        idle, first, second = (datagram_socket(stack) for _ in range(3))
        section("unreadable sets")
        select(ctypes.c_void_p(8), seconds=PAUSE)  # no program has memory at address 8
        section("unreadable sets, nfds 0")
        select(ctypes.c_void_p(8), nfds=0)
        with read_only(FdSet.of(idle.fileno())) as unwritable:
            section("unwritable sets")
            select(unwritable, seconds=PAUSE)
        section("between")
        named, left = _several_kinds(section, stack)
        for name, sock in zip(WAKING, (first, second), strict=True):
            with later(lambda sock=sock: send_to(sock)):  # type: ignore[misc]
                section(name)
                select(FdSet.of(first.fileno(), second.fileno()).memory, seconds=10)
                section("between")
            sock.recv(1)
        section("time-out")
        select(FdSet.of(idle.fileno()).memory, seconds=PAUSE)
        with later(lambda: send_to(idle)):
            section("another event")
            select(None, None, FdSet.of(idle.fileno()).memory, seconds=10 * PAUSE)
            section("between")
    return section.outcome(named=named, left=left)


def _several_kinds(section: Sections, stack: contextlib.ExitStack) -> tuple[int, int]:
    """Selects sockets and pipes of which some are ready; how many descriptors the set named before, and how many after."""
    silent, sender = stack.enter_context(tcp_pair())
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    stack.callback(os.close, writer)
    ready, quiet = datagram_socket(stack), datagram_socket(stack)
    silent.send(b"x")
    os.write(writer, b"x")
    send_to(ready)
    for sock in (sender, ready):
        sock.recv(1, socket.MSG_PEEK)  # a packet may need a moment on a busy machine
    names = FdSet.of(*(each.fileno() for each in (silent, sender, ready, quiet)), reader)
    named = len(names)
    section("five descriptors")
    select(names.memory)
    section("two sets")
    select(FdSet.of(sender.fileno()).memory, FdSet.of(sender.fileno()).memory)
    section("between")
    return named, len(names)


def only(run: Run, section: str) -> Call | None:
    """The single call of select in that section."""
    calls = [call for call in run.sections.get(section, []) if call.name in SELECTS]
    return calls[0] if len(calls) == 1 else None


def asleep(call: Call | None) -> list[Sleep]:
    """The call's sleeps on the queues of its descriptors; a page fault may put any call to sleep."""
    return [sleep for sleep in sleeps([call]) if sleep.queue == "select"] if call else []


UNKNOWN = "unknown"


def ended_by(sleep: Sleep) -> str:
    """What ended the sleep: "packet", "timer", or another cause."""
    return sleep.waker.chain[0] if sleep.waker and sleep.waker.chain else UNKNOWN


def not_so(words: str, ends: list[str]) -> Finding:
    """The check failed, unless the machine hid a wake-up: then the run does not show what ended a sleep."""
    return unavailable(f"{words}; this machine hid a wake-up: run the lab again") if UNKNOWN in ends else failed(words)


def outcome(call: Call | None) -> str:
    """In words: what the call returned, and its sleeps."""
    if call is None:
        return "0 calls of select"
    ended = f"got {call.errno}" if call.errno else f"returned {call.result}"
    return f"the call {ended} after {count(len(asleep(call)), 'sleep')} ({ms(call.wait)})"


@LAB.check("step 1: select copies the sets from user space into the kernel", claims=("C25",))
def copies_in(run: Run) -> Finding:
    """With sets in memory that cannot be read, the call fails before it sleeps. With nfds 0 the kernel does not read the sets.

    The copy has as many bits as nfds, rounded up to words of the CPU (fs/select.c: FDS_BYTES).
    """
    call, without = only(run, "unreadable sets"), only(run, "unreadable sets, nfds 0")
    words = f"sets in unreadable memory: {outcome(call)}; with nfds 0: {outcome(without)}"
    good = call and call.errno == "EFAULT" and not asleep(call) and without and without.result == 0
    return confirmed(words) if good else failed(words)


@LAB.check("step 2: select registers the callback __pollwait", claims=("C27",))
def registers(run: Run) -> Finding:
    """__pollwait is the function that the walk of step 3 calls to make the entries in the wait queues. A call with time-out 0
    has no such function (fs/select.c: do_select). The callback that runs when data arrives is another one: pollwake.
    """
    woken = [sleep for name in WAKING for sleep in asleep(only(run, name)) if sleep.waker]
    through = [sleep for sleep in woken if sleep.waker and "pollwake" in sleep.waker.stack]
    at_once = only(run, "five descriptors")
    words = (
        f"{len(through)} of {count(len(woken), 'wake-up')} ran the callback pollwake; __pollwait only makes the entry,"
        " during the walk"
    )
    if at_once is None or not woken or len(through) < len(woken) or asleep(at_once):
        return failed(f"{words}; with time-out 0: {outcome(at_once)}")
    if at_once.queued is None:
        return refined(f"{words}; the calls of __pollwait are not counted: {NOT_COUNTED}")
    words += f"; with time-out 0 the call made {count(at_once.queued, 'entry')}"
    return refined(words) if at_once.queued == 0 else failed(words)


@LAB.check("step 3: select walks all descriptors and calls the poll method of each", claims=("C26",))
def walks(run: Run) -> Finding:
    """TCP sockets, UDP sockets and a pipe: the call named five descriptors, did not sleep, and found the three that were ready.

    No earlier call named these descriptors, so that the kernel can know their state only from their poll methods.
    """
    call, named = only(run, "five descriptors"), asides.of(run).named
    words = f"{count(named, 'descriptor')} of 3 kinds, 3 of them ready, time-out 0: {outcome(call)}"
    if call is None or named != 5 or call.result != 3 or asleep(call):
        return failed(words)
    if call.polled is None:
        return confirmed(f"{words}; {NOT_COUNTED}")
    words += f"; {count(call.polled, 'poll method')} called"
    return confirmed(words) if call.polled == named else failed(words)


@LAB.check("step 4: __pollwait puts the thread on the wait queue of each descriptor", claims=("C27",))
def enters(run: Run) -> Finding:
    """Two calls named the same two sockets; a packet for one socket ended the first call, a packet for the other the second.

    What stands in the queue is an entry with the callback pollwake, which then wakes the thread: the thread itself does not
    stand there.
    """
    calls = [only(run, name) for name in WAKING]
    ends = [[ended_by(sleep) for sleep in asleep(call)] for call in calls]
    words = "; ".join(f"{name}: {outcome(call)}" for name, call in zip(WAKING, calls, strict=True))
    if ends != [["packet"], ["packet"]] or any(call is None or call.result != 1 for call in calls):
        return not_so(f"{words}; the sleeps were ended by: {ends}", [end for of_call in ends for end in of_call])
    words += ". A packet for each of the 2 sockets ended the sleep, by the callback pollwake of an entry"
    counted = [(call.queued, call.unqueued) for call in calls if call and call.queued is not None]
    if not counted:
        return refined(f"{words}; {NOT_COUNTED}")
    words += f"; entries made and removed: {', '.join(f'{made} and {removed}' for made, removed in counted)}"
    return refined(words) if counted == [(2, 2), (2, 2)] else failed(words)


@LAB.check("step 5: the poll method returns a mask, which select stores in the sets", claims=("C26",))
def masks(run: Run) -> Finding:
    """One socket with data and with room to send, named in two sets: select sets a bit in each, and counts two."""
    call = only(run, "two sets")
    words = f"1 socket with data and with room, named in the read set and in the write set: {outcome(call)}"
    return confirmed(words) if call and call.result == 2 and not asleep(call) else failed(words)


@LAB.check("step 6: with no descriptor ready, schedule_timeout puts the thread to sleep", claims=("C28",))
def sleeps_until(run: Run) -> Finding:
    """A packet or the time-out ends the sleep. Since Linux 2.6.28 the timer is an hrtimer: schedule_hrtimeout_range."""
    by_packet, by_timer = asleep(only(run, WAKING[0])), asleep(only(run, "time-out"))
    ends = [ended_by(sleep) for sleep in (*by_packet, *by_timer)]
    functions = {name for sleep in (*by_packet, *by_timer) for name in sleep.stack}
    words = f"{count(len(ends), 'sleep')}, ended by: {', '.join(ends) or 'nothing'}"
    if ends != ["packet", "timer"]:
        return not_so(words, ends)
    if "schedule_timeout" in functions:
        return confirmed(f"{words}; the threads slept in schedule_timeout")
    way = [name for name in ("schedule_hrtimeout_range_clock", "poll_schedule_timeout", "do_select") if name in functions]
    return refined(f"{words}; the thread slept in {', called by '.join(way)}; schedule_timeout was not called")


@LAB.check("step 7: after the wake-up select walks all descriptors again", claims=("C28",))
def walks_again(run: Run) -> Finding:
    """A packet brings data to a socket that the call watches for another event. select's entries are open to urgent data
    always (POLLPRI), and the arrival of any data says that it might be urgent: so the packet wakes the thread. The thread polls
    again, finds nothing, and sleeps on in the same call until the time-out.
    """
    call = only(run, "another event")
    ends = [ended_by(sleep) for sleep in asleep(call)]
    words = f"1 packet that is not the event: {outcome(call)}; the sleeps were ended by: {', '.join(ends) or 'nothing'}"
    if call is None or ends != ["packet", "timer"] or call.result != 0:
        return not_so(words, ends)
    if call.polled is None:
        return confirmed(f"{words}. Between the two sleeps the thread found its descriptor not ready; {NOT_COUNTED}")
    words += f"; {count(call.polled, 'poll method')} called for 1 descriptor"
    return confirmed(words) if call.polled == 3 else failed(words)


@LAB.check("step 8: select copies the sets from the kernel to user space", claims=("C25",))
def copies_out(run: Run) -> Finding:
    """With sets in memory that cannot be written, the call fails after it has slept: the copy is the last step."""
    call, named, left = only(run, "unwritable sets"), asides.of(run).named, asides.of(run).left
    words = (
        f"sets in memory that can only be read: {outcome(call)}; in writable memory a set named {count(named, 'descriptor')}"
        f" before the call and {left} after it"
    )
    ends = [ended_by(sleep) for sleep in asleep(call)]
    late = call and call.errno == "EFAULT" and ends == ["timer"]
    return confirmed(words) if late and 0 < left < named else not_so(words, ends)


AT_ONCE, LATE, NEVER = "at once", "after it has slept", "never: it returns 0 after the time-out"


def fails_when(section: str, text: str) -> Question:
    """When does the section's call get EFAULT?"""

    def truth(run: Run) -> Truth:
        call = only(run, section)
        if call is None:
            raise Undecided("0 calls of select in this section")
        return Truth(NEVER if call.errno != "EFAULT" else LATE if asleep(call) else AT_ONCE, outcome(call))

    return Question(section.replace(" ", "-"), f"{text} When does it fail (EFAULT)?", (AT_ONCE, LATE, NEVER), truth)


AGAIN, RETURNS, ON = "it polls again, and sleeps on in the same call", "it returns", "it sleeps on, and polls nothing"


def after_another_event(run: Run) -> Truth:
    """What a packet does that is not the event that the call waits for."""
    call = only(run, "another event")
    if call is None:
        raise Undecided("0 calls of select in this section")
    ends = [ended_by(sleep) for sleep in asleep(call)]
    option = AGAIN if len(ends) > 1 else RETURNS if ends == ["packet"] else ON
    return Truth(option, f"{outcome(call)}; the sleeps were ended by: {', '.join(ends) or 'nothing'}")


LAB.ask(
    fails_when("unreadable sets", "The kernel cannot read the memory of the sets. A select has a time-out of 20 ms."),
    fails_when("unwritable sets", "The kernel cannot write the memory of the sets. A select has a time-out of 20 ms."),
    what_wakes_it("second socket", SELECTS, "Of two UDP sockets, the second one gets a datagram. A select on both"),
    Question(
        "another-event",
        "A select waits for urgent data of a socket, and ordinary data arrives. What does the thread do?",
        (AGAIN, RETURNS, ON),
        after_another_event,
    ),
)
