"""A child blocks in each blocking call of Linux (tests/programs/waits.c): each sleep has its queue and its waker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from probes.measure.frames import telling
from probes.measure.queues import Queue
from probes.measure.wakers import Link
from tests.conftest import Followed

pytestmark = pytest.mark.live

OUTSIDE = ""  # the sleep is outside calls
_TCP = "packet -> TCP -> socket"


class Expected(NamedTuple):
    """Where a child must have slept, and what may have woken it."""

    call: str
    queue: str
    wakers: frozenset[str]


def expect(call: str, queue: str, *wakers: str) -> Expected:
    return Expected(call, queue, frozenset(wakers))


_WRITTEN = ("disk", "disk -> completion", "disk -> writeback -> page", "kernel worker -> writeback -> page")
WAITS = {
    # System V and POSIX IPC, file locks, futexes
    "semop": expect("semtimedop", Queue.SEMAPHORE, Link.SEMAPHORE),
    "semaphore removed": expect("semtimedop", Queue.SEMAPHORE, Link.SEMAPHORE),
    "semtimedop": expect("semtimedop", Queue.SEMAPHORE, Link.TIMER),
    "msgrcv": expect("msgrcv", Queue.MESSAGES, Link.MESSAGES),
    "msgsnd": expect("msgsnd", Queue.MESSAGES, Link.MESSAGES),
    "mq_receive": expect("mq_timedreceive", Queue.POSIX_MESSAGES, Link.POSIX_MESSAGES),
    "mq_send": expect("mq_timedsend", Queue.POSIX_MESSAGES, Link.POSIX_MESSAGES),
    "flock": expect("flock", Queue.FLOCK, Link.FLOCK),
    "record lock": expect("fcntl", Queue.RECORD_LOCK, Link.RECORD_LOCK),
    "lease": expect("openat", Queue.LEASE, Link.LEASE),
    "futex": expect("futex", Queue.FUTEX, Link.FUTEX),
    "futex limit": expect("futex", Queue.FUTEX, Link.TIMER),
    "futex_waitv": expect("futex_waitv", Queue.FUTEX, Link.FUTEX),
    "mutex": expect("futex", Queue.FUTEX, Link.FUTEX),
    "priority mutex": expect("futex", Queue.FUTEX, Link.FUTEX),
    "robust mutex": expect("futex", Queue.FUTEX, Link.FUTEX),
    "condition": expect("futex", Queue.FUTEX, Link.FUTEX),
    # pipes, FIFOs, terminals
    "pipe read": expect("read", Queue.PIPE, Link.PIPE),
    "pipe write": expect("write", Queue.PIPE, Link.PIPE),
    "pipe closed": expect("read", Queue.PIPE, Link.PIPE),
    "splice from pipe": expect("splice", Queue.PIPE, Link.PIPE),
    "splice to pipe": expect("splice", Queue.PIPE, Link.PIPE),
    "tee": expect("tee", Queue.PIPE, Link.PIPE),
    "vmsplice": expect("vmsplice", Queue.PIPE, Link.PIPE),
    "fifo open to read": expect("openat", Queue.FIFO_END, Link.FIFO_END),
    "fifo open to write": expect("openat", Queue.FIFO_END, Link.FIFO_END),
    "terminal read": expect("read", Queue.TERMINAL, "kernel worker -> terminal"),
    "terminal write": expect("write", Queue.TERMINAL, Link.TERMINAL),
    "master read": expect("read", Queue.TERMINAL, "kernel worker -> terminal"),
    # descriptors of the kernel
    "eventfd read": expect("read", Queue.EVENTFD, Link.EVENTFD),
    "eventfd write": expect("write", Queue.EVENTFD, Link.EVENTFD),
    "timerfd": expect("read", Queue.TIMERFD, Link.TIMER),
    "signalfd": expect("read", Queue.SIGNALFD, Link.SIGNAL),
    "inotify": expect("read", Queue.INOTIFY, Link.INOTIFY),
    "fanotify": expect("read", Queue.FANOTIFY, Link.FANOTIFY),
    "fanotify permission": expect("openat", Queue.FANOTIFY_ANSWER, Link.FANOTIFY),
    "epoll": expect("epoll_wait", Queue.EPOLL, "pipe -> epoll's callback (ep_poll_callback) -> epoll's queue"),
    "epoll limit": expect("epoll_wait", Queue.EPOLL, Link.TIMER),
    "poll": expect("poll", Queue.POLL, "pipe -> poll's callback (pollwake)"),
    "poll limit": expect("poll", Queue.POLL, Link.TIMER),
    "select": expect("pselect6", Queue.SELECT, "pipe -> poll's callback (pollwake)"),
    "io_uring": expect("io_uring_enter", Queue.IO_URING, "pipe -> io_uring", "pipe -> io_uring's completion"),
    "native aio": expect("io_getevents", Queue.NATIVE_AIO, f"pipe -> {Link.AIO_REQUEST} -> {Link.AIO_COMPLETION}"),
    # pages, locks of the kernel, disks
    "page": expect(OUTSIDE, Queue.USERFAULT, Link.USERFAULTFD),
    "page in call": expect("write", Queue.USERFAULT, Link.USERFAULTFD),
    "userfaultfd": expect("read", Queue.USERFAULTFD, Link.SIGNAL),
    "kernel mutex": expect("read", Queue.LOCK, Link.LOCK),
    "inode lock": expect("write", Queue.LOCK, Link.LOCK),
    "fsync": expect("fsync", Queue.WRITEBACK, *_WRITTEN),
    "msync": expect("msync", Queue.WRITEBACK, *_WRITTEN),
    "disk read": expect("pread64", Queue.PAGE, "disk -> page"),
    "disk fault": expect(OUTSIDE, Queue.PAGE, "disk -> page"),
    # sockets
    "tcp accept": expect("accept", Queue.ACCEPT, _TCP),
    "tcp connect": expect("connect", Queue.CONNECT, Link.SIGNAL),
    "tcp recv": expect("recvfrom", Queue.SOCKET, _TCP),
    "tcp recv limit": expect("recvfrom", Queue.SOCKET, Link.TIMER),
    "tcp send": expect("sendto", Queue.SEND_BUFFER, _TCP),
    "sendfile": expect("sendfile", Queue.SEND_BUFFER, _TCP),
    "close with linger": expect("close", Queue.LINGER, _TCP),
    "udp recv": expect("recvfrom", Queue.SOCKET, "packet -> UDP -> socket"),
    "mptcp accept": expect("accept", Queue.ACCEPT, _TCP),
    "mptcp recv": expect("recvfrom", Queue.SOCKET, "packet -> TCP -> MPTCP -> socket"),
    "mptcp send": expect("sendto", Queue.SEND_BUFFER, _TCP, "kernel worker -> socket", "packet -> TCP -> MPTCP -> socket"),
    "unix accept": expect("accept", Queue.ACCEPT, "unix socket -> socket"),
    "unix connect": expect("connect", Queue.CONNECT, "unix socket"),
    "unix stream recv": expect("recvfrom", Queue.SOCKET, "unix socket -> socket"),
    "unix stream send": expect("sendto", Queue.SEND_BUFFER, "unix socket -> socket"),
    "unix datagram recv": expect("recvfrom", Queue.SOCKET, "unix socket -> socket"),
    "unix datagram send": expect("sendto", Queue.SEND_BUFFER, "unix socket -> socket"),
    "unix peer full": expect("sendto", Queue.PEER_BUFFER, "unix socket"),
    "unix sequence recv": expect("recvfrom", Queue.SOCKET, "unix socket -> socket"),
    "unix sequence send": expect("sendto", Queue.SEND_BUFFER, "unix socket -> socket"),
    "vsock accept": expect("accept", Queue.ACCEPT, "kernel worker -> vsock", "kernel worker -> vsock -> socket"),
    "vsock recv": expect("recvfrom", Queue.SOCKET, "kernel worker -> vsock", "kernel worker -> vsock -> socket"),
    # times, signals, other tasks
    "nanosleep": expect("clock_nanosleep", Queue.TIMER, Link.TIMER),
    "clock_nanosleep": expect("clock_nanosleep", Queue.TIMER, Link.TIMER),
    "pause": expect("pause", Queue.SIGNAL, Link.SIGNAL),
    "sigsuspend": expect("rt_sigsuspend", Queue.SIGNAL, Link.SIGNAL),
    "sigwait": expect("rt_sigtimedwait", Queue.SIGNAL, Link.SIGNAL),
    "sigwait limit": expect("rt_sigtimedwait", Queue.SIGNAL, Link.TIMER),
    "read interrupted": expect("read", Queue.PIPE, Link.SIGNAL),
    "wait": expect("wait4", Queue.CHILD, Link.CHILD_END),
    "waitid": expect("waitid", Queue.CHILD, Link.CHILD_END),
    "wait for a stop": expect("wait4", Queue.CHILD, Link.CHILD_STOP),
    "pidfd": expect("poll", Queue.POLL, "child's end -> poll's callback (pollwake)"),
    "vfork": expect("vfork", Queue.VFORK, "vfork's end -> completion"),
    "stop": expect(OUTSIDE, Queue.STOP, Link.SIGNAL),
    "ptrace stop": expect(OUTSIDE, Queue.PTRACE_STOP, Link.TRACER),
    "tracer": expect("wait4", Queue.CHILD, Link.CHILD_STOP),
    "seccomp": expect(OUTSIDE, Queue.SUPERVISOR, "seccomp supervisor -> completion"),
}


@pytest.fixture
def block(
    follow: Callable[..., Followed], compiled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Followed, dict[str, str]]]:
    """Runs the program: all waits, or one of them. What it says of each: the child's pid, or why the machine lacks the wait."""
    program = compiled("waits")
    monkeypatch.chdir(tmp_path)

    def run(*only: str) -> tuple[Followed, dict[str, str]]:
        found = follow(program, *only)
        assert found.result.events.sound, found.result.events
        return found, dict(line.split(": ", 1) for line in found.output.splitlines())

    return run


def slept(run: Followed, pid: int, call: str) -> set[tuple[str, str]]:
    """The queues and wakers of one child's sleeps in these calls."""
    threads = {thread.serial: thread for thread in run.result.threads if thread.pid == pid}
    if call == OUTSIDE:
        outside = [slept for thread in threads.values() for slept in thread.slept_on]
        return {(slept.queue, chain) for slept in outside for chain, _ in slept.woken_by}
    calls = [made for made in run.result.named(call) if made.thread in threads]
    return {(sleep.queue, sleep.waker.words) for made in calls for sleep in made.sleeps if sleep.waker}


def wrong(run: Followed, said: dict[str, str]) -> dict[str, set[tuple[str, str]]]:
    """The waits without their queue and waker, each with what the recording has of its child."""
    found = {}
    for name in (name for name, answer in said.items() if answer.isdigit()):
        call, queue, wakers = WAITS[name]
        sleeps = slept(run, int(said[name]), call)
        if not any((queue, waker) in sleeps for waker in wakers):
            found[name] = sleeps
    return found


def test_every_blocking_call_has_its_queue_and_its_waker(block: Callable[..., tuple[Followed, dict[str, str]]]) -> None:
    run, said = block()
    assert said.keys() == WAITS.keys()
    missing = {name: answer for name, answer in said.items() if not answer.isdigit()}
    assert len(missing) <= 8, missing
    no_helper(run)
    for name in wrong(run, said):  # on a busy machine a time may be over before the child has left its CPU: it never sleeps
        again = [wrong(*block(name)) for _ in range(2)]
        assert {} in again, again


def no_helper(run: Followed) -> None:
    """No sleep and no wake-up of the run is named after a helper of the kernel, or after a frame of the probes."""
    sleeps = [sleep for call in run.result.calls for sleep in call.sleeps]
    names = {sleep.queue for sleep in sleeps} | {name for sleep in sleeps if sleep.waker for name in sleep.waker.chain}
    assert names and not [name for name in names if " " not in name and not list(telling((name,)))]
