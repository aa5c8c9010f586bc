"""A thread that waits for events (descriptors, signals, completions) blocks nowhere else while it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from findings.properties.property import Cost, Gravity, Observation, Place, Property, broken, held, not_shown, place_of
from findings.sleeps.asleep import CHOSEN
from findings.threads.loops import Loop, OtherWaiters, event_loops, waits_for_connections
from findings.view import Run
from probes.context import LabRun
from probes.kernel import syscalls
from probes.measure.queues import Queue, place
from probes.measure.result import Call, Sleep
from probes.words import count, ms, times

# A sleep on these queues lets others decide when the thread goes on. Page faults outside a call, the kernel's own locks and RCU
# are not the program's choice.
_BLOCKING = CHOSEN - {Queue.EPOLL, Queue.SELECT, Queue.POLL, Queue.IO_URING, Queue.NATIVE_AIO}
_FOR_PEERS = {Queue.SOCKET, Queue.SEND_BUFFER, Queue.PEER_BUFFER, Queue.LINGER}
# A regular file has no "not ready": a call that needs the device sleeps for it, also with O_NONBLOCK (man 2 open). Reads are
# left out: an interpreter may load a module late.
_DEVICE = {Queue.DISK, Queue.PAGE, Queue.WRITEBACK, Queue.JOURNAL, Queue.COMPLETION}
_OF_FILES = syscalls.WRITES | {"fsync", "fdatasync", "syncfs", "sync_file_range", "msync"}
_OTHER_WAITS = {"poll", "select"}  # the queues of a wait for one descriptor inside another wait's loop

_SHORT_NS = 1_000_000  # a lock that the program itself waits for is held for longer, on average
_DELAYS = 3  # times the mean wait for a CPU: a lock whose holder has no CPU is held for that long
# In a program that is not known, a lock may be held for a few ms by a thread without a CPU: these take part in no finding.
_LONG_NS = 20_000_000
_SHARE, _OFTEN = 0.05, 10


_OTHERWISE = "let another thread make this call, and let that thread report to the event loop"
_FOR_ROOM = "keep what was not sent, and let the event loop report room (EPOLLOUT, POLLOUT); send the rest then"
# What to do instead, by the queue of the longest sleeps; the property's own remedy is for sockets.
_REMEDIES: dict[str, str] = {
    Queue.FUTEX: "hold the lock for less time, or let another thread wait for it and report to the event loop",
    Queue.TIMER: "use a timer of the event loop instead of a pause",
    Queue.CHILD: "let SIGCHLD or a pidfd report the child's end to the event loop",
    Queue.POLL: "give the descriptor to the event loop; look up names in another thread or asynchronously",
    Queue.SELECT: "give the descriptor to the event loop; look up names in another thread or asynchronously",
    Queue.PIPE: "make the pipe non-blocking and give it to the event loop",
    Queue.DISK: "let another thread write and sync the file",
    Queue.WRITEBACK: "let another thread write and sync the file",
    Queue.JOURNAL: "let another thread write and sync the file",
}


@dataclass
class _Group:
    """The sleeps of one thread in calls of one name on one queue, outside its wait."""

    loop: Loop
    name: str
    queue: str
    for_room: bool = False  # waits of poll or select after a write that found no room
    calls: list[Call] = field(default_factory=list)
    sleeps: list[Sleep] = field(default_factory=list)

    @property
    def ns(self) -> int:
        return sum(sleep.wait for sleep in self.sleeps)

    @property
    def longest(self) -> Sleep:
        return max(self.sleeps, key=lambda sleep: sleep.wait)

    @property
    def delays(self) -> bool:
        """Do they delay other events for a noticeable time?"""
        share = self.ns / max(self.loop.end - self.loop.begin, 1)
        often = len(self.sleeps) >= _OFTEN and self.ns >= len(self.sleeps) * _SHORT_NS
        return self.longest.wait >= _LONG_NS or (often and share >= _SHARE)


def observe(run: Run) -> Observation:
    """Counts the sleeps outside the wait between a thread's first wait and its last one, by call and queue."""
    loops = event_loops(run)
    if not loops:
        return not_shown("no thread waits for events of several descriptors, signals or completions")
    lab, others = isinstance(run.result.context, LabRun), OtherWaiters(run)
    groups = [group for loop in loops for group in _groups(loop, others, lab) if lab or group.delays]
    if not groups:
        slept = "0 sleeps" if lab else f"no sleep of {ms(_LONG_NS)} or more"
        return held(
            f"{count(len(loops), 'thread')} with an event loop: {slept} in other calls between the first wait and the last"
        )
    worst = max(groups, key=lambda group: len(group.sleeps) if lab else group.ns)
    number = sum(len(group.sleeps) for group in groups)
    in_all = " in all" if len(worst.sleeps) > 1 else ""
    longest = "" if lab else _longest(run, worst)
    return broken(
        f"the thread slept {times(len(worst.sleeps))} in {_where(worst)}, for {ms(worst.ns)}{in_all}{longest};"
        f" {count(number, 'sleep')} outside its wait",
        places=[_place(group) for group in groups],
        remedy=_remedy(worst),
    )


def _groups(loop: Loop, others: OtherWaiters, lab: bool) -> list[_Group]:
    """The sleeps outside the wait. The contention for a lock of a library (glibc's AIO) or of the interpreter is left out."""
    groups: dict[tuple[str, str, bool], _Group] = {}
    of_peers = lab or waits_for_connections(loop)
    devices = lab or loop.sources > 1
    for at, call in enumerate(loop.calls):
        if not call.sleeps or loop.in_wait(call):
            continue
        for sleep in call.sleeps:
            counts = sleep.queue in _BLOCKING and (of_peers or sleep.queue not in _FOR_PEERS)
            counts |= devices and sleep.queue in _DEVICE and call.name in _OF_FILES
            counts |= not lab and sleep.queue in _OTHER_WAITS
            if counts and not others.waited(loop.thread.serial, sleep):
                kind = call.name, sleep.queue, sleep.queue in _OTHER_WAITS and _is_for_room(loop.calls, at)
                group = groups.setdefault(kind, _Group(loop, *kind))
                group.calls.append(call)
                group.sleeps.append(sleep)
    short = max(_SHORT_NS, _DELAYS * _mean_delay(loop))
    return [group for group in groups.values() if group.queue != "futex" or group.ns >= len(group.sleeps) * short]


def _is_for_room(calls: Sequence[Call], at: int) -> bool:
    """Does the call at that place come after a write that found no room, or before a write?"""
    following = next((call for call in calls[at + 1 : at + 2]), None)
    return (at > 0 and _found_no_room(calls[at - 1])) or (following is not None and following.name in syscalls.WRITES)


def _found_no_room(call: Call) -> bool:
    """Did the write send nothing, or less than it was given?"""
    if call.name not in syscalls.WRITES:
        return False
    return call.errno == "EAGAIN" or (call.result is not None and len(call.args) > 2 and 0 <= call.result < call.args[2])


def _mean_delay(loop: Loop) -> int:
    """How long the thread waited for a CPU after a sleep, ns: on a busy machine, the holder of a short lock waits as long."""
    delays = [sleep.delay for call in loop.calls for sleep in call.sleeps]
    return sum(delays) // len(delays) if delays else 0


def _where(group: _Group) -> str:
    if group.for_room:
        return f"{group.name}, for room in the send buffer of one connection"
    if group.queue in _OTHER_WAITS:
        return f"{group.name}, for one descriptor alone, as a DNS query does"
    return group.name if group.queue == "timer" else f"{group.name}, {place(group.queue)}"  # a pause is on no wait queue


def _remedy(group: _Group) -> str:
    """What to do instead; "": the property's own remedy."""
    if group.for_room:
        return _FOR_ROOM
    return "" if group.queue in _FOR_PEERS else _REMEDIES.get(group.queue, _OTHERWISE)


def _longest(run: Run, group: _Group) -> str:
    """The longest of these sleeps, the thread that ended it, and the messages that arrived during it."""
    sleep = group.longest
    words = f", the longest {ms(sleep.wait)}" if len(group.sleeps) > 1 else ""
    if sleep.waker and sleep.queue in ("futex", "pipe", "eventfd"):
        words += f" (woken by {sleep.waker.comm})"
    serial = group.loop.thread.serial
    late = [message for message in run.result.messages if message.thread == serial and sleep.off < message.ready < sleep.woken]
    return words + (f"; {count(len(late), 'message')} arrived during that sleep" if late else "")


def _place(group: _Group) -> Place:
    call = max(group.calls, key=lambda call: call.wait)
    cost = Cost(ns=group.ns, calls=len(group.sleeps))
    return place_of(group.loop.thread, group.name, call.fd, group.longest.off, cost)


BLOCKS_ONLY_IN_ITS_WAIT = Property(
    id="blocks-only-in-its-wait",
    statement="a thread with an event loop blocks only in its wait",
    fault="an event loop blocks outside its wait",
    remedy="make every socket non-blocking, also the accepted ones, and let another thread do what takes long",
    observe=observe,
    gravity=Gravity.LATE,
    lab="slow_handler",
)
