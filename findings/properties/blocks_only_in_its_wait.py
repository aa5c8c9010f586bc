"""A thread that waits for events (descriptors, signals, completions) blocks nowhere else while it serves."""

from __future__ import annotations

import collections

from findings.properties.property import Observation, Property, broken, held, not_shown
from findings.view import Run
from probes.kernel import syscalls
from probes.measure.queues import place
from probes.measure.result import Call
from probes.words import count, ms

# A sleep on these queues lets others decide when the thread goes on. Page faults outside a call, the kernel's own locks and RCU
# are not the program's choice.
_BLOCKING = {"socket", "accept", "connect", "send buffer", "futex", "pipe", "eventfd", "timer", "child", "flock", "signal"}
# A regular file has no "not ready": a call that needs the device sleeps for it, also with O_NONBLOCK (man 2 open). Reads are
# left out: an interpreter may load a module late.
_DEVICE = {"disk", "page", "completion"}
_OF_FILES = syscalls.WRITES | {"fsync", "fdatasync", "syncfs", "sync_file_range", "msync"}

_SHORT_NS = 1_000_000  # a lock that the program itself waits for is held for longer, on average


def observe(run: Run) -> Observation:
    """Counts the sleeps outside the wait between a thread's first wait and its last one, by call and queue."""
    waiting = 0
    asleep: collections.Counter[tuple[str, str]] = collections.Counter()
    lasted: collections.Counter[tuple[str, str]] = collections.Counter()
    for calls in _loops(run):
        waiting += 1
        for call in calls:
            for sleep in call.sleeps if call.name not in syscalls.LOOP_WAITS else ():
                if sleep.queue in _BLOCKING or (sleep.queue in _DEVICE and call.name in _OF_FILES):
                    asleep[call.name, sleep.queue] += 1
                    lasted[call.name, sleep.queue] += sleep.wait
    if not waiting:
        return not_shown("no thread waits in select, poll or epoll, for signals or for completions")
    for place_of_sleep, number in list(asleep.items()):
        if place_of_sleep[1] == "futex" and lasted[place_of_sleep] < number * _SHORT_NS:
            del asleep[place_of_sleep]  # contention for a lock of a library (glibc's AIO) or of the interpreter
    if not asleep:
        return held(
            f"{count(waiting, 'thread')} with an event loop: 0 sleeps in other calls between the first wait and the last"
        )
    (name, queue), number = asleep.most_common(1)[0]
    where = name if queue == "timer" else f"{name}, {place(queue)}"  # a pause is on no wait queue
    return broken(
        f"the thread slept {count(number, 'time')} in {where}, for {ms(lasted[name, queue])} in all;"
        f" {count(sum(asleep.values()), 'sleep')} outside its wait"
    )


def _loops(run: Run) -> list[list[Call]]:
    """For each thread that waits for events: its calls from its first wait to its last."""
    loops = []
    for calls in run.calls_of.values():
        waits = [at for at, call in enumerate(calls) if call.name in syscalls.LOOP_WAITS]
        if waits:
            loops.append(calls[waits[0] : waits[-1] + 1])
    return loops


BLOCKS_ONLY_IN_ITS_WAIT = Property(
    id="blocks-only-in-its-wait",
    statement="a thread with an event loop blocks only in its wait",
    remedy="make every socket non-blocking, also the accepted ones, and let another thread do what takes long",
    observe=observe,
)
