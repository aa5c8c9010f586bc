"""A classic mistake: to take a signal for a message. SIGIO reports once that data arrived, for any number of datagrams."""

from findings.spans import overlap
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.traffic import LOST_AFTER, Traffic
from probes.kernel import syscalls
from probes.words import count, ms, times

LAB = Lab(
    model="signal_driven",
    chapter="Classic mistakes",
    question="What happens if two datagrams arrive but only one signal?",
    watch="how many datagrams were read and how many signals were taken; and how long a client waits when a signal is lost.",
    try_next=(
        "invoke lab signal_driven  queued signals, one for each event",
        "invoke lab epoll          a ready list, which loses no event",
    ),
    reading=(
        "UNP 25.3, UDP echo server using SIGIO",
        "man 7 signal (standard signals do not queue), man 2 sigwaitinfo, man 2 sigsuspend",
        "kernel/signal.c: legacy_queue",
    ),
    cases=(
        Case("broken", "mistakes.lost_signal:one_each"),
        Case("raced", "mistakes.lost_signal:raced", traffic={"clients": 1, "messages": 12, "gap_ms": 15, "jitter": 1.0}),
        Case("mended", "mistakes.lost_signal:mended", traffic={"lost_after": 5 * LOST_AFTER}),  # a late answer is not lost
    ),
    traffic=Traffic(clients=4, messages=8, gap_ms=15, jitter=0.02, spread_ms=0, udp=True),
)
SIGIO = 29
PAUSES = ("pause", "ppoll")
SINGLE = "a single client waits for its echo, and no datagrams arrive together: use --clients 2 or more"


def read(run: Run) -> int:
    """How many datagrams were read."""
    return sum(1 for call in run.result.named(*syscalls.READS) if call.bytes)


def taken(run: Run) -> int:
    """How many signals were taken: returned by sigwaitinfo, or delivered during pause."""
    waits = [call for call in run.result.named("rt_sigtimedwait") if call.result == SIGIO]
    return len(waits) + len([call for call in run.result.named(*PAUSES) if call.result is not None])


def resent(run: Run) -> int:
    """The number of answers that came only after the client had sent its datagram again."""
    return sum(client.resent for client in run.clients)


def arrived(run: Run) -> int:
    """How many datagrams arrived at the server."""
    return len(run.round_trips) + resent(run)


def _lost_after_ns(run: Run) -> float:
    """After what time a client sends its datagram again, ns."""
    return 1e9 * (run.traffic.lost_after or LOST_AFTER)


@LAB.check("one read per signal leaves datagrams unread", claims=("C41",))
def coalesced(run: Run) -> Finding:
    """SIGIO is not queued: a server that reads once per signal reads fewer datagrams than arrive."""
    broken = run.case("broken")
    if len(broken.clients) < 2:
        return unavailable(SINGLE)
    evidence = (
        f"{count(arrived(broken), 'datagram')} arrived, {count(taken(broken), 'signal')} were taken,"
        f" {count(read(broken), 'datagram')} were read; {times(resent(broken))} a client waited"
        f" {ms(_lost_after_ns(broken))} and sent again"
    )
    good = resent(broken) and read(broken) <= taken(broken) + 1 < arrived(broken)
    return confirmed(evidence) if good else failed(evidence)


@LAB.check("a signal between the last read and pause is lost", claims=("C41",))
def raced(run: Run) -> Finding:
    """The server reads to EAGAIN and still stalls: the signal's handler ran before pause began.

    Some kernels do not show when a datagram arrived. There the clients that sent again are the evidence.
    """
    case = run.case("raced")
    pauses = [sleep for call in case.result.named(*PAUSES) for sleep in call.sleeps]
    evidence = (
        f"{times(resent(case))} a client sent again, after {ms(_lost_after_ns(case))};"
        f" {count(read(case), 'datagram')} were read"
    )
    if not case.result.messages:
        return confirmed(evidence) if resent(case) and pauses else failed(evidence)
    longest = max(
        (
            overlap(sleep.off, sleep.woken, message.ready, message.notified)
            for message in case.result.messages
            for sleep in pauses
        ),
        default=0,
    )
    evidence += f"; while a datagram was unread, the thread slept in pause for up to {ms(longest)}"
    return confirmed(evidence) if resent(case) and longest > 0.5 * _lost_after_ns(case) else failed(evidence)


@LAB.check("a server that waits for the signal and then drains loses no datagram", claims=("C41",))
def mended(run: Run) -> Finding:
    """Fewer signals than datagrams, and every datagram was answered at once."""
    case = run.case("mended")
    if len(case.clients) < 2 and not resent(case):
        return unavailable(SINGLE)
    if run.link and resent(case):
        return unavailable(f"{count(resent(case), 'datagram')} were sent again; the link itself may have lost them")
    evidence = (
        f"{count(taken(case), 'signal')} for {count(read(case), 'datagram')};"
        f" {count(resent(case), 'datagram')} sent again; the slowest answer took {ms(case.round_trips[-1])}"
    )
    return confirmed(evidence) if not resent(case) and 0 < taken(case) < read(case) else failed(evidence)


FEWER, AS_MANY, MORE = "fewer signals than datagrams", "as many", "more signals than datagrams"


def compare_signals(run: Run) -> Truth:
    """The signals taken and the datagrams that arrived; the last signal may be that which ends the server."""
    signals, datagrams = taken(run), arrived(run)
    if not datagrams:
        raise Undecided("0 datagrams arrived")
    option = FEWER if signals < datagrams - 1 else MORE if signals > datagrams + 1 else AS_MANY
    return Truth(option, f"{count(datagrams, 'datagram')} arrived, {count(signals, 'signal')} were taken")


SIGNALS = Question(
    "signals", "How many signals (SIGIO) does it take for the datagrams that arrive?", (FEWER, AS_MANY, MORE), compare_signals
)

RESENT = Ranges((0, "never"), (4, "1 to 4 times"), beyond="more often")


def count_resent(run: Run) -> Truth:
    """The answers that came only after the client had sent its datagram again."""
    if not run.round_trips:
        raise Undecided("0 datagrams arrived")
    answers = count(len(run.round_trips), "answer")
    return Truth(RESENT(resent(run)), f"{resent(run)} of {answers} came only after the client had sent again")


SENT_AGAIN = Question(
    "sent-again",
    "How often does a client get no answer, and sends its datagram again?",
    RESENT.labels,
    count_resent,
    ranges=True,
)
LAB.ask(
    SIGNALS.at("mended"),
    SENT_AGAIN.at("broken"),
    SENT_AGAIN.at("raced"),
    SENT_AGAIN.at("mended"),
)
