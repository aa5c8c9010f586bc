"""Signal-driven I/O: told by a signal. Who is asleep in phase 1, and who copies in phase 2?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed

LAB = Lab(
    model="signal_driven",
    chapter="Signal-driven",
    server="signal_driven",
    question="What does a signal take off the process, and what not?",
    watch="nothing waits on a socket; the packet itself queues the signal; recvfrom still copies.",
    try_next=(
        "invoke lab epoll  a ready list instead of a queue of signals",
        "invoke lab posix_aio  a signal that means: it is done",
    ),
    reading=(
        "UNP 6.2, Signal-Driven I/O Model; chapter 25",
        "man 2 fcntl (F_SETOWN, F_SETSIG, O_ASYNC), man 2 sigwaitinfo",
        "fs/fcntl.c: send_sigio, kill_fasync",
    ),
)


@LAB.check("told by a signal, free in phase 1", claims=("C41",))
def told_by_signal(run: Run) -> Finding:
    """The thread slept only where it waited for signals, and the packets woke it by sending one."""
    found = evidence.asleep_only_in(run, "signal")
    asleep = [one for call in run.result.calls for one in call.sleeps if one.queue == "signal"]
    signalled = [one for one in asleep if one.waker and {"packet", "signal"} <= set(one.waker.chain)]
    words = f"{found.evidence}; {len(signalled)} of {len(asleep)} wake-ups were signals sent by a packet"
    return confirmed(words) if found.verdict == "confirmed" and len(signalled) > 0.8 * len(asleep) else failed(words)


@LAB.check("held in phase 2 like the rest", claims=("C41", "C43"))
def phase_two(run: Run) -> Finding:
    """The copy is made inside the thread's own recvfrom, after the signal."""
    signals = run.calls("rt_sigtimedwait")
    taken = f"{len(signals)} signals were taken"
    return evidence.together(evidence.read_without_waiting(run), confirmed(taken) if signals else failed(taken))
