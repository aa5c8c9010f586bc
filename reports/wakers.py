"""What ended a sleep, in words: the task with its name, and the way of the wake-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from findings.sleeps.causes import Cause
from probes.measure.wakers import Link
from probes.words import times

# The way of a wake-up by a task; the first of a chain's links that is here counts.
_WAYS: dict[str, str] = {
    Link.TCP: "over TCP",
    Link.UDP: "over UDP",
    Link.UNIX_SOCKET: "through a unix socket",
    Link.VSOCK: "over vsock",
    Link.PIPE: "through a pipe",
    Link.FIFO_END: "through a FIFO",
    Link.TERMINAL: "through a terminal",
    Link.INOTIFY: "through inotify",
    Link.FANOTIFY: "through fanotify",
    Link.USERFAULTFD: "through a userfaultfd",
    Link.SEMAPHORE: "through a System V semaphore",
    Link.MESSAGES: "through a System V message queue",
    Link.POSIX_MESSAGES: "through a POSIX message queue",
    Link.FLOCK: "through a file lock (flock)",
    Link.RECORD_LOCK: "through a file lock (fcntl)",
    Link.LEASE: "through the lease of a file",
    Link.SOCKET_LOCK: "through the lock of a socket",
    Link.DIRECTORY: "through the look-up of a directory",
    Link.JOURNAL: "through the journal of a file system",
    Link.FUSE: "through FUSE",
    Link.NFS: "through NFS",
    Link.RANDOM: "through the entropy pool",
    Link.RCU: "through an RCU grace period",
    Link.EVENTFD: "through an eventfd",
    Link.LOCK: "through a lock of the kernel",
    Link.FUTEX: "through a futex",
    Link.IO_URING: "through io_uring",
    Link.IO_URING_WORK_QUEUE: "through io_uring",
    Link.IO_URING_COMPLETION: "through io_uring",
    Link.AIO_REQUEST: "through AIO",
    Link.AIO_COMPLETION: "through AIO",
    Link.KERNEL_WORKER: "through a worker of the kernel",
    Link.WRITEBACK: "through the writeback of pages",
    Link.PAGE: "through a page",
    Link.SOCKET: "through a socket",
    Link.EPOLL_CALLBACK: "through epoll",
    Link.POLL_CALLBACK: "through poll",
    Link.COMPLETION: "through a completion of the kernel",
}
# What a task did that woke a thread, where no object lies between them; the first of a chain's links counts.
_DEEDS: dict[str, str] = {
    Link.CHILD_END: "the end of",
    Link.CHILD_STOP: "the stop of",
    Link.SIGNAL: "a signal of",
    Link.TRACER: "the tracer",
    Link.SUPERVISOR: "the seccomp supervisor",
    Link.FREEZER: "the cgroup freezer, by",
    Link.END_OF_THE_PROCESS: "the end of",
    Link.END_OF_A_THREAD: "the end of",
    Link.CORE_DUMP: "the core dump of",
    Link.VFORK_END: "the exec or exit of",
}
# What ended a sleep without a task.
_EVENTS: dict[str, str] = {
    Link.TIMER: "a timer",
    Link.PACKET: "a packet",
    Link.DISK: "the disk",
    Link.PAGE: "a page that was read",
    Link.SIGNAL: "a signal",
}
_UNKNOWN = "a wake-up that was not recorded"
Names = Callable[[int], str]  # the words for a followed thread, by its serial number


def way(chain: tuple[str, ...]) -> str:
    """How a task woke a thread.

    >>> way(("packet", "TCP", "socket")), way(("futex",)), way(("rq_qos_wake_function",))
    ('over TCP', 'through a futex', 'through rq_qos_wake_function')
    """
    return next((_WAYS[link] for link in chain if link in _WAYS), f"through {chain[-1]}" if chain else "")


def task(cause: Cause, names: Names) -> str:
    """The task that woke a thread; "" where an interrupt did."""
    return cause.task if cause.thread is None else names(cause.thread)


def words(cause: Cause, names: Names) -> str:
    """One cause: "wrk over TCP", "a timer"."""
    if not cause.chain:
        return _UNKNOWN
    if Link.END_OF_THE_PROCESS in cause.chain:  # whichever of its threads called exit_group, or got the signal
        return "the end of the process"
    if by := task(cause, names):
        deed = next((_DEEDS[link] for link in cause.chain if link in _DEEDS), "")
        return f"{deed} {by}" if deed else f"{by} {way(cause.chain)}"
    return next((_EVENTS[link] for link in cause.chain if link in _EVENTS), cause.chain[0])


def together(ended_by: Iterable[tuple[Cause, int]], names: Names) -> list[tuple[str, int]]:
    """The causes in words, those with the same words together, the most frequent first."""
    sums: dict[str, int] = {}
    for cause, number in ended_by:
        said = words(cause, names)
        sums[said] = sums.get(said, 0) + number
    return sorted(sums.items(), key=lambda entry: -entry[1])


def most(ended_by: Iterable[tuple[Cause, int]], names: Names) -> str:
    """What ended most of the sleeps: "woken by wrk over TCP"; or, if others ended some, "woken mostly by wrk over TCP"."""
    found = together(ended_by, names)
    if not found:
        return ""
    (first, number), whole = found[0], sum(number for _, number in found)
    if first == _UNKNOWN:  # the thread still slept when the recording ended, for example
        return "no wake-up was recorded"
    if number == whole:
        return f"woken by {first}"
    return f"woken mostly by {first}" if 2 * number > whole else f"woken {number:,} of {times(whole)} by {first}"
