"""select: one thread waits for many connections, and names all of them in every call."""

from __future__ import annotations

import ctypes
import os
import resource
import select as python_select
import signal
import socket
from dataclasses import asdict
from typing import Any

from findings import evidence
from labs.kit import asides, growth, loop, walks
from labs.kit.experiment import later
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, refuted, unavailable
from probes.measure.result import Call
from probes.words import count

LAB = Lab(
    model="select",
    chapter="Multiplexing",
    server="select",
    question="How does one thread wait for many connections with select?",
    watch="the wake-up goes through pollwake, a callback on each socket's queue; every call names every descriptor.",
    try_next=(
        "invoke lab poll  without the limit",
        "invoke lab epoll  descriptors registered once",
        "invoke lab select --clients 200  200 descriptors more in every call",
    ),
    reading=(
        "UNP 6.2, I/O Multiplexing Model; 6.3 to 6.8",
        "man 2 select, man 2 select_tut",
        "fs/select.c: do_select, __pollwait, poll_freewait",
    ),
    asides=(
        "labs.select:beyond_the_limit",
        "labs.select:signals_of_data",
        "labs.kit.arguments:of_select",
        "labs.kit.walks:of_select",
        "labs.kit.growth:measure",
    ),
)


@LAB.check("the thread sleeps in select while it has nothing to do, and nowhere else", claims=("C22",))
def asleep(run: Run) -> Finding:
    """The thread slept in select only. It did not spin, did not poll after short time-outs, and no handler blocked."""
    return loop.sleeps_only_in(run, "select")


@LAB.check("a socket's wait queue wakes the thread, through pollwake", claims=("C28",))
def woken(run: Run) -> Finding:
    """The wake-ups by a packet went through pollwake, the callback that select had put on the sockets' own queues."""
    return evidence.woken_through(run, "select", "pollwake")


@LAB.check("the kernel sends the process a signal when data comes", claims=("C53",))
def signalled(run: Run) -> Finding:
    """A thread that has blocked all signals still returns from select when data comes, and then has no pending signal."""
    asleep = [sleep for call in calls_of(run) for sleep in call.sleeps if sleep.waker]
    by_signal = [sleep for sleep in asleep if sleep.waker and sleep.waker.chain[0] == "signal"]
    words = f"a signal ended {len(by_signal)} of {count(len(asleep), 'sleep')} in select before the end of the server"
    if not calls_of(run):
        return failed("this server made 0 calls of select")
    if (seen := asides.of(run).signals) is None:
        return unavailable(f"{words}; the experiment beside the traffic did not run")
    words += (
        f"; with {count(seen.blocked, 'signal')} blocked, so that each would stay pending, data ended a sleep in select"
        f" (returned {seen.ready}): {count(seen.pending, 'signal')} pending. The packet's softirq runs the callback pollwake,"
        " which wakes the thread"
    )
    return refuted(words) if not by_signal and seen.ready == 1 and seen.pending == 0 else confirmed(words)


@LAB.check("every call copies the descriptor sets in, and overwrites them and its time-out", claims=("C25", "C51"))
def sets(run: Run) -> Finding:
    """Every call brings nfds and pointers to its sets, and no call registers a descriptor. What a call leaves in the memory of
    its arguments shows in the experiment beside the traffic.
    """
    calls = [call for call in calls_of(run) if len(call.args) > 1]  # of a burst the arguments are not known
    with_sets = [call for call in calls if call.args[0] > 0 and call.args[1]]
    registering = run.calls("epoll_ctl")
    words = (
        f"{len(with_sets)} of {count(len(calls), 'call')} brought their sets"
        f" (nfds up to {max((call.args[0] for call in calls), default=0)});"
        f" {count(len(registering), 'call')} registered a descriptor{evidence.multiplexer_copies(calls)}"
    )
    if not calls or len(with_sets) < len(calls) or registering:
        return failed(words)
    if (left := asides.of(run).overwritten) is None:
        return unavailable(f"{words}; the experiment beside the traffic did not run")
    words += (
        f"; a set that named {count(left.named, 'descriptor')} named {left.left} after the call, and a second call with this"
        f" set returned {left.again} when data had come for the other one; a time-out of {left.time_out_us:,} us was"
        f" {left.time_left_us:,} us after a call that returned at once, and {left.expired_us:,} us were"
        f" {left.expired_left_us:,} us after a call in which the time-out ended"
    )
    overwrites = 0 < left.left < left.named and left.again == 0
    timed = 0 < left.time_left_us < left.time_out_us and left.expired_left_us == 0
    return confirmed(words) if overwrites and timed else failed(words)


@LAB.check("select takes no descriptor above 1023", claims=("C29",))
def limit(run: Run) -> Finding:
    """Python and the C library stop at FD_SETSIZE. A direct system call with larger sets shows whether the kernel does."""
    aside = asides.of(run)
    python, kernel, fd = aside.python, aside.kernel, aside.fd
    if not kernel:
        return unavailable(aside.not_run)
    if not calls_of(run):
        return failed("this server made 0 calls of select")
    words = f"descriptor {fd}: Python's select says {python!r}; the system call with larger sets returns: {kernel}"
    if kernel == "1 ready":
        return refined(f"{words}. The C library's fd_set of 1,024 bits is the limit, and not the kernel")
    return confirmed(words)


@LAB.check("every call polls every descriptor, and again after a wake-up or a time-out", claims=("C26", "C28", "C57"))
def polled(run: Run) -> Finding:
    """A probe on the poll methods counts them; on a kernel that takes no such probe, results and costs of calls show it."""
    return walks.polls_all(run, "select", calls_of(run))


@LAB.check("every call that waits enters every descriptor's wait queue, and leaves it", claims=("C27",))
def queued(run: Run) -> Finding:
    """Probes count the entries; on a kernel that takes no such probes, wake-ups and references to the files show them."""
    return walks.queues_on_all(run, "select", calls_of(run))


@LAB.check("the cost of a call grows in proportion to the descriptors", claims=("C31",))
def grows(run: Run) -> Finding:
    """The same call with one ready descriptor among 10, 100 and 900."""
    return growth.cost_grows(run, "select", calls_of(run))


@LAB.check("one thread serves all connections, and keeps none of them waiting", claims=("C24",))
def serves(run: Run) -> Finding:
    """The thread accepts, reads and closes all connections; it neither sleeps nor computes while one of them has data."""
    return loop.serves_all(run)


def calls_of(run: Run) -> list[Call]:
    """The calls of select, under both of its names."""
    return run.calls("select", "pselect6")


def beyond_the_limit() -> dict[str, Any]:
    """Selects a descriptor above 1023, by Python's select and by pselect6 with larger sets."""
    fd = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard <= fd:
        return {"skipped": f"RLIMIT_NOFILE allows {hard} descriptors only; ulimit -Hn 4096 allows enough"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, fd + 1), hard))
    reader, writer = os.pipe()
    os.dup2(reader, fd)
    os.write(writer, b"x")
    try:
        python_select.select([fd], [], [], 0)
        python = "1 ready"
    except ValueError as error:
        python = str(error)
    from servers.kit.system import system_call

    sets = ctypes.create_string_buffer(4096 // 8)
    sets[fd // 8] = bytes((1 << fd % 8,))
    now = (ctypes.c_long * 2)(0, 0)
    try:
        kernel = f"{system_call('pselect6', fd + 1, sets, None, None, now, None)} ready"
    except OSError as error:
        kernel = str(error)
    return {"fd": fd, "python": python, "kernel": kernel}


def signals_of_data() -> dict[str, Any]:
    """Selects a socket with all signals blocked: a signal that the kernel sent for the data would stay pending."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        with later(lambda: sock.sendto(b"x", sock.getsockname())):
            ready = walks.selected([sock.fileno()], 10)
    blocked, pending = signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.sigpending()
    return {"signals": asdict(asides.Signals(blocked=len(blocked), ready=ready, pending=len(pending)))}
