"""A classic mistake: to take a signal for a message. SIGIO says that something came, once, however much it was."""

from findings.evidence import ms
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.traffic import LOST_AFTER, Traffic
from probes.kernel import syscalls

LAB = Lab(
    model="signal_driven",
    chapter="Classic mistakes",
    question="What if two datagrams come, and one signal?",
    watch="datagrams read against signals taken; and what a client waits for when a signal is lost.",
    try_next=(
        "invoke lab signal_driven  queued signals, one for each event",
        "invoke lab epoll          a ready list, which nobody can miss",
    ),
    reading=(
        "UNP 25.3, UDP echo server using SIGIO",
        "man 7 signal (standard signals do not queue), man 2 sigwaitinfo, man 2 sigsuspend",
        "kernel/signal.c: legacy_queue",
    ),
    cases=(
        Case("broken", "mistakes.lost_signal:one_each"),
        Case("raced", "mistakes.lost_signal:raced", traffic={"clients": 1, "messages": 12, "gap_ms": 15, "jitter": 1.0}),
        Case("mended", "mistakes.lost_signal:mended", traffic={"lost_after": 5 * LOST_AFTER}),  # late is not lost
    ),
    traffic=Traffic(clients=4, messages=8, gap_ms=15, jitter=0.02, spread_ms=0, udp=True),
)


def datagrams(run: Run) -> int:
    """How many were read."""
    return sum(1 for one in run.result.named(*syscalls.READS) if one.bytes)


def taken(run: Run) -> int:
    """How many signals ended a sleep in sigwaitinfo, or were there already; or interrupted pause."""
    waits = [one for one in run.result.named("rt_sigtimedwait") if (one.result or 0) == 29]  # SIGIO
    return len(waits) + len([one for one in run.result.named("pause", "ppoll") if one.result is not None])


def _seconds(run: Run) -> float:
    """After how long a client sends again."""
    return float((run.result.context.get("traffic") or {}).get("lost_after") or LOST_AFTER)


def _lost_after(run: Run) -> str:
    return f"{_seconds(run) * 1e3:.0f} ms"


def stalls(run: Run) -> int:
    """How many answers came only after the client had sent again."""
    return sum(client["resent"] for client in run.clients)


@LAB.check("a datagram for each signal: some are left lying", claims=("C41",))
def coalesced(run: Run) -> Finding:
    """SIGIO is not queued: as many reads as signals are fewer than the datagrams that came."""
    broken = run.case("broken")
    if len(broken.clients) < 2:
        return unavailable("1 client waits for its echo, and nothing comes at the same time: use --clients 2 or more")
    sent = len(broken.round_trips) + stalls(broken)
    found = f"{sent} datagrams came, {taken(broken)} signals were taken, {datagrams(broken)} datagrams read;"
    found += f" {stalls(broken)} times a client waited {_lost_after(broken)} and sent again"
    return confirmed(found) if stalls(broken) and datagrams(broken) <= taken(broken) + 1 < sent else failed(found)


@LAB.check("look, then sleep: a signal between the two wakes nobody", claims=("C41",))
def raced(run: Run) -> Finding:
    """It reads to EAGAIN, and still stalls: pause began after the signal's handler had run."""
    case = run.case("raced")
    pauses = [sleep for one in case.result.named("pause", "ppoll") for sleep in one.sleeps]
    found = f"{stalls(case)} times a client had to send again, after {_lost_after(case)}; {datagrams(case)} datagrams read"
    if not case.result.messages:  # a kernel whose probes don't tell when a datagram came
        return confirmed(found) if stalls(case) and pauses else failed(found)
    longest = max(
        (
            max(0, min(sleep.woken, message.notified) - max(sleep.off, message.ready))
            for message in case.result.messages
            for sleep in pauses
        ),
        default=0,
    )
    found += f"; with data lying ready pause slept on for up to {ms(longest)}"
    return confirmed(found) if stalls(case) and longest > 0.5 * _seconds(case) * 1e9 else failed(found)


@LAB.check("waited for and drained, nothing is lost", claims=("C41",))
def mended(run: Run) -> Finding:
    """Fewer signals than datagrams, and every one answered at once."""
    case = run.case("mended")
    if len(case.clients) < 2 and not stalls(case):
        return unavailable("1 client waits for its echo, and nothing comes at the same time: use --clients 2 or more")
    if run.link and stalls(case):
        return unavailable(f"{stalls(case)} datagrams were sent again, and on a link they may have been lost on the way")
    found = f"{datagrams(case)} datagrams by {taken(case)} signals, {stalls(case)} sent again;"
    found += f" the slowest answer took {ms(case.round_trips[-1])}"
    return confirmed(found) if not stalls(case) and 0 < taken(case) < datagrams(case) else failed(found)
