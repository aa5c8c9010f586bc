"""A classic trade: a pause between two rounds of polling. What does it save, and what does it cost?"""

import itertools
from collections import Counter

from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.questions.cases import MEANWHILE
from labs.kit.questions.question import Question, Ranges, Truth, Undecided
from labs.kit.questions.server import AWAKE, CALLS, WAITS_IN
from labs.kit.traffic import Traffic
from probes.measure.percentiles import median
from probes.words import ms

LAB = Lab(
    model="nonblocking",
    chapter="Classic mistakes",
    question="What does a pause between two polls save, and what does it cost?",
    watch="the CPU time and the answer time for each pause; with select both are short.",
    try_next=(
        "invoke lab nonblocking  without a pause: a whole core",
        "invoke lab select       a thread that is notified and does not poll",
    ),
    reading=(
        "UNP 6.2, Nonblocking I/O Model: polling",
        "man 2 clock_nanosleep; man 7 time (timer slack)",
    ),
    cases=(
        Case("no pause", "nonblocking"),
        Case("2 ms", "mistakes.poll_pause:pause_2ms"),
        Case("10 ms", "mistakes.poll_pause:pause_10ms"),
        Case("select", "select"),
    ),
    traffic=Traffic(clients=2, messages=40, gap_ms=15, jitter=1.0),
)
PAUSES = ("2 ms", "10 ms")
ENOUGH = 20  # messages that make a median


def round_ns(run: Run) -> float:
    """From the start of one pause to the start of the next, ns (median): the pause, and the polls after it."""
    pauses = [call.enter for call in run.calls("clock_nanosleep")]
    return median(after - before for before, after in itertools.pairwise(pauses)) or 0


def awake(run: Run) -> float:
    """The share of its life that the server's thread was awake, without its waits for a CPU after a wake-up."""
    return run.server.awake / run.server.wall


def rounds_a_second(run: Run) -> float:
    """How many rounds of polling the server made a second; a pause follows each round."""
    return sum(call.count for call in run.calls("clock_nanosleep")) / run.server.wall * 1e9


def unread_ns(run: Run) -> float:
    """How long data was unread before the thread was notified, ns (median)."""
    return median(message.ready_to_notified for message in run.result.messages) or 0


@LAB.check("a longer pause takes less CPU", claims=("C20",))
def saves(run: Run) -> Finding:
    """The share of time that the thread was awake falls from a whole core to a few percent, with the number of its rounds.

    Where the host takes the CPU away once, that may be more than the difference between two pauses. The rounds are a count.
    """
    without = awake(run.case("no pause"))
    shares = {name: awake(run.case(name)) for name in PAUSES}
    rounds = {name: rounds_a_second(run.case(name)) for name in PAUSES}
    evidence = f"no pause: awake {without:.1%} of the time"
    evidence += "".join(f"; {name}: {shares[name]:.1%} ({rounds[name]:,.0f} rounds a second)" for name in PAUSES)
    short, long = (rounds[name] for name in PAUSES)
    return confirmed(evidence) if without > 0.9 and max(shares.values()) < 0.4 and 0 < long < short / 2 else failed(evidence)


@LAB.check("data waits for half a pause on average", claims=("C20",))
def costs(run: Run) -> Finding:
    """Data arrives at any time; the server polls only at the end of a pause."""
    if min(len(run.case(name).result.messages) for name in PAUSES) < ENOUGH or not run.traffic.gap_ms:
        return unavailable(f"a median needs {ENOUGH} messages that arrive at any time: use --messages {ENOUGH} and a --gap-ms")
    parts, shares = [], []
    for name in PAUSES:
        unread, between = unread_ns(run.case(name)), round_ns(run.case(name))
        shares.append(unread / between if between else 0)
        parts.append(f"{name}: data was unread for {ms(unread)}, {shares[-1]:.2f} of the {ms(between)} between two polls")
    evidence = f"{'; '.join(parts)} (medians)"
    return confirmed(evidence) if all(0.25 < share < 0.9 for share in shares) else failed(evidence)


@LAB.check("select takes little CPU, and the packet wakes its thread at once", claims=("C20", "C28"))
def neither(run: Run) -> Finding:
    """A thread in select sleeps until a packet wakes it. A thread in a pause sleeps until the timer wakes it."""
    selecting, pausing = run.case("select"), run.case("2 ms")
    if len(selecting.result.messages) < ENOUGH:
        return unavailable(f"a median needs {ENOUGH} messages: use --messages {ENOUGH}")
    cases = {"select": selecting, "pause of 2 ms": pausing}
    ended = {name: wakers(case) for name, case in cases.items()}
    evidence = "; ".join(
        f"{name}: awake {awake(case):.1%} of the time, a packet ended {ended[name]['packet']} of {ended[name].total()}"
        f" sleeps, and the sleep ended {ms(until_woken_ns(case))} after the data was ready (median)"
        for name, case in cases.items()
    )
    by_packet = {name: causes["packet"] / max(causes.total(), 1) for name, causes in ended.items()}
    woken_by_packet = by_packet["select"] > 0.8 and by_packet["pause of 2 ms"] < 0.1 and ended["pause of 2 ms"].total() > 0
    at_once = until_woken_ns(selecting) < 0.5 * until_woken_ns(pausing)
    return confirmed(evidence) if woken_by_packet and at_once and awake(selecting) < 0.2 else failed(evidence)


def until_woken_ns(run: Run) -> float:
    """From the arrival of data to the end of the sleep in which it arrived, ns (median). A slow CPU does not change it."""
    ends = [
        sleep.woken - message.ready
        for message in run.result.messages
        for call in run.result.calls
        if call.enter <= message.ready <= call.exit
        for sleep in call.sleeps
        if sleep.off <= message.ready <= sleep.woken
    ]
    return median(ends) or 0


def wakers(run: Run) -> Counter[str]:
    """How many of the server's sleeps each cause ended."""
    return Counter(sleep.waker.chain[0] for call in run.result.calls for sleep in call.sleeps if sleep.waker)


OF_A_PAUSE = Ranges(
    (0.1, "a tenth of it, or less"), (0.25, "a tenth to a quarter"), (0.75, "about half of it"), beyond="all of it, or more"
)  # fmt: skip


def unread_share(name: str) -> Question:
    """For how much of a pause of this length is data unread?"""

    def truth(run: Run) -> Truth:
        case = run.case(name)
        between, unread = round_ns(case), unread_ns(case)
        if not case.result.messages:
            raise Undecided("0 messages were followed")
        if not between:
            raise Undecided("this server made 0 pauses")
        return Truth(
            OF_A_PAUSE(unread / between), f"data was unread for {ms(unread)} of the {ms(between)} between two polls (medians)"
        )

    text = f"With a pause of {name} between two polls: for how much of a pause is data unread, in the median?"
    return Question(f"lay-ready@{name.replace(' ', '-')}", text, OF_A_PAUSE.labels, truth, ranges=True)


LAB.ask(
    AWAKE.at("no pause"),
    AWAKE.at("select"),
    unread_share("2 ms"),
    unread_share("10 ms"),
    WAITS_IN.at("10 ms"),
    WAITS_IN.at("no pause"),
    MEANWHILE.at("10 ms"),
    CALLS.at("select"),
)
