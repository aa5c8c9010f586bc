"""Signal-driven I/O: a signal notifies the process. What can the process do in phase 1, and which call copies in phase 2?"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import time
from collections import Counter
from typing import Any

from findings import evidence
from findings.properties.blocks_only_in_its_wait import BLOCKS_ONLY_IN_ITS_WAIT
from findings.properties.leaves_no_data_unread import LEAVES_NO_DATA_UNREAD
from findings.properties.needs_no_short_time_out import NEEDS_NO_SHORT_TIME_OUT
from findings.properties.never_spins import NEVER_SPINS
from labs.kit import asides
from labs.kit.lab import Finding, Lab, Run, confirmed, failed, refined, sleeps, unavailable, waited
from probes.words import count, ms

LAB = Lab(
    model="signal_driven",
    chapter="Signal-driven",
    server="signal_driven",
    question="Which of the two phases still takes the time of a process that a signal notifies?",
    watch="no call waits on a socket; the packet itself queues the signal; recvfrom still copies.",
    try_next=(
        "invoke lab epoll  a ready list instead of a queue of signals",
        "invoke lab posix_aio  a signal that reports a completed read",
    ),
    reading=(
        "UNP 6.2, Signal-Driven I/O Model; chapter 25",
        "man 2 fcntl (F_SETOWN, F_SETSIG, O_ASYNC), man 2 sigwaitinfo",
        "fs/fcntl.c: send_sigio, kill_fasync",
    ),
    asides=("labs.signal_driven:compute_until_the_signal",),
)
PAUSE = 0.1  # seconds until the datagram comes to the process that computes
FOR_A_SIGNAL = {"signal", "signalfd"}  # the places where a thread sleeps until a signal comes


@LAB.check("a signal notifies the process, and no call on a socket sleeps", claims=("C41",))
def notified_by_signal(run: Run) -> Finding:
    """The thread slept only where it waited for signals, and packets woke it by sending a signal."""
    calls = [call for call in run.result.calls if call.sleeps and call.name not in ("exit_group", "exit")]
    asleep = [sleep for sleep in sleeps(calls) if sleep.queue in FOR_A_SIGNAL]
    names = sorted({call.name for call in calls if any(sleep.queue in FOR_A_SIGNAL for sleep in call.sleeps)})
    signalled = sum(1 for sleep in asleep if sleep.waker and {"packet", "signal"} <= set(sleep.waker.chain))
    on_sockets = [call for call in calls if waited(call)]
    words = (
        f"a packet's signal ended {signalled} of {count(len(asleep), 'sleep')} in"
        f" {' and '.join(names) or 'a wait for signals'}; {count(len(on_sockets), 'call')} slept on a socket"
    )
    if not signalled or signalled + 1 < 0.8 * len(asleep) or on_sockets:  # 1: the end of the server
        others = Counter(call.name for call in calls if call.name not in names)
        elsewhere = ", ".join(f"{name} {count(number, 'time')}" for name, number in others.most_common())
        return failed(f"{words}; the thread slept elsewhere: {elsewhere or '0 times'}")
    idle = ms(sum(sleep.wait for sleep in asleep))
    return refined(f"{words}. This thread had nothing else to do: it slept {idle} until the signals came")


@LAB.check("a process that computes goes on until the signal interrupts it", claims=("C41",))
def interrupts(run: Run) -> Finding:
    """The experiment beside the traffic: a process computes, and a signal handler reads the datagram (UNP 6.2, figure 6.4)."""
    aside = asides.of(run)
    if not aside.pause_ms:
        return unavailable(asides.NOT_RUN)
    if not any(call.args and _sets_o_async(call.name, call.args) for call in run.calls("fcntl", "ioctl")):
        return failed("0 calls of fcntl set O_ASYNC: this server gets no signals")
    words = (
        f"a datagram came after {aside.pause_ms} ms; until then the process had computed, with {aside.computed_ms} ms of"
        f" CPU time and {count(aside.switches, 'voluntary switch')}; the handler began {aside.delay_us} us after the"
        f" send, and its own recvfrom read {count(aside.result, 'byte')}"
    )
    on_cpu = aside.computed_ms > 0 and aside.switches <= 1
    return confirmed(words) if on_cpu and aside.result else failed(words)


@LAB.check("each socket needs an owner and O_ASYNC of its own: a connection inherits no O_ASYNC", claims=("C41",))
def armed(run: Run) -> Finding:
    """Calls of fcntl named the owner and set O_ASYNC, for the listener (or the UDP socket) and for each connection."""
    calls = run.calls("fcntl", "ioctl")
    owners = [call.fd for call in calls if call.args and (call.name, call.args[1]) in OWNS]
    asynchronous = [call.fd for call in calls if call.args and _sets_o_async(call.name, call.args)]
    lacking = _lacking([call.result for call in run.connections], asynchronous)
    if lacking:
        accepted = count(len(run.connections), "accepted connection")
        return failed(f"{lacking} of {accepted} have no O_ASYNC: no signal reports data")
    if not owners:
        return failed("no fcntl named an owner (F_SETOWN): the kernel sends the signal to nobody")
    descriptors = {call.result for call in run.connections}
    flags = [call.result or 0 for call in calls if call.fd in descriptors and call.args and call.args[1] == fcntl.F_GETFL]
    words = f"{count(len(run.connections), 'accepted connection')}"
    if flags:
        inherited = sum(1 for each in flags if each & os.O_ASYNC)
        words += f", with O_ASYNC in {inherited} of {count(len(flags), 'answer')} to F_GETFL"
    words += f"; the server named an owner {count(len(owners), 'time')} and set O_ASYNC {count(len(asynchronous), 'time')}"
    return confirmed(words) if len(asynchronous) > len(run.connections) else failed(words)


OWNS = {("fcntl", fcntl.F_SETOWN), ("fcntl", 15), ("ioctl", 0x8901)}  # 15: F_SETOWN_EX; FIOSETOWN
_FIOASYNC = 0x5452


def _sets_o_async(name: str, args: tuple[int, ...]) -> bool:
    if name == "ioctl":
        return args[1] == _FIOASYNC
    return args[1] == fcntl.F_SETFL and bool(args[2] & os.O_ASYNC)


def _lacking(accepted: list[int | None], asynchronous: list[int | None]) -> int:
    """The number of connections without O_ASYNC on their descriptor. A descriptor's number may be used again."""
    return sum(max(accepted.count(fd) - asynchronous.count(fd), 0) for fd in set(accepted))


@LAB.check("the thread copies the data in its own recvfrom", claims=("C41", "C43"))
def phase_two(run: Run) -> Finding:
    """After the signal the thread's own recvfrom makes the copy."""
    return evidence.read_without_waiting(run)


LAB.holds(NEVER_SPINS, claims=("C41",))
LAB.holds(NEEDS_NO_SHORT_TIME_OUT, claims=("C41",))
LAB.holds(BLOCKS_ONLY_IN_ITS_WAIT, claims=("C41",))
LAB.holds(LEAVES_NO_DATA_UNREAD, claims=("C41",))


def compute_until_the_signal() -> dict[str, Any]:
    """A process computes until the handler of SIGIO reads: its CPU time and voluntary switches until the handler begins."""
    handled: list[tuple[float, resource.struct_rusage, bytes]] = []

    def on_signal(_number: int, _frame: object) -> None:
        handled.append((time.monotonic(), resource.getrusage(resource.RUSAGE_SELF), here.recv(64)))

    with socket.socket(type=socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.1", 0))
        signal.signal(signal.SIGIO, on_signal)
        fcntl.fcntl(here, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(here, fcntl.F_SETFL, fcntl.fcntl(here, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)
        sender = _send_later(here.getsockname())
        before = resource.getrusage(resource.RUSAGE_SELF)
        while not handled:
            pass  # computes
    os.waitpid(sender, 0)
    at, after, read = handled[0]
    return {
        "pause_ms": round(1000 * PAUSE),
        "computed_ms": round(1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)),
        "switches": after.ru_nvcsw - before.ru_nvcsw,
        "delay_us": round(1e6 * (at - float(read))),
        "result": len(read),
    }


def _send_later(address: tuple[str, int]) -> int:
    """Another process sends a datagram with the time of its sending after PAUSE. Returns the process's id."""
    if child := os.fork():
        return child
    time.sleep(PAUSE)
    with socket.socket(type=socket.SOCK_DGRAM) as there:
        there.sendto(repr(time.monotonic()).encode(), address)
    os._exit(0)
