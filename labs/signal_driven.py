"""Signal-driven I/O: a signal notifies the process. Where does it sleep in phase 1, and which call copies in phase 2?"""

from findings import evidence
from labs.kit.lab import Finding, Lab, Run, confirmed, failed
from probes.words import count

LAB = Lab(
    model="signal_driven",
    chapter="Signal-driven",
    server="signal_driven",
    question="What does a signal spare the process, and what not?",
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
)


@LAB.check("a signal notifies the thread, which never sleeps in a call on a socket", claims=("C41",))
def notified_by_signal(run: Run) -> Finding:
    """The thread slept only where it waited for signals, and packets woke it by sending a signal."""
    finding = evidence.slept_only_on(run, "signal")
    asleep = [sleep for call in run.result.calls for sleep in call.sleeps if sleep.queue == "signal"]
    signalled = [sleep for sleep in asleep if sleep.waker and {"packet", "signal"} <= set(sleep.waker.chain)]
    words = f"{finding.evidence}; a packet's signal ended {len(signalled)} of {count(len(asleep), 'sleep')}"
    good = finding.verdict == "confirmed" and len(signalled) > 0.8 * len(asleep)
    return confirmed(words) if good else failed(words)


@LAB.check("the thread copies the data in its own recvfrom", claims=("C41", "C43"))
def phase_two(run: Run) -> Finding:
    """After the signal the thread's own recvfrom makes the copy."""
    signals = run.calls("rt_sigtimedwait")
    taken = f"the thread took {count(len(signals), 'signal')}"
    return evidence.all_of(evidence.read_without_waiting(run), confirmed(taken) if signals else failed(taken))
