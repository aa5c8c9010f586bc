"""A classic trade: a pause between two rounds of polling. What does it save, and what does it cost?"""

import itertools
from collections import Counter

from findings.evidence import ms
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.traffic import Traffic
from probes.measure.phases import percentile_of

LAB = Lab(
    model="nonblocking",
    chapter="Classic mistakes",
    question="What does a pause between two polls save, and what does it cost?",
    watch="CPU and answer time against the pause; and select, which has neither price.",
    try_next=(
        "invoke lab nonblocking  without a pause: a whole core",
        "invoke lab select       told instead of asking",
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


def round_of(run: Run) -> float:
    """From one look to the next, in the median, ns: the pause, and what asking takes."""
    pauses = [one.enter for one in run.calls("clock_nanosleep")]
    return percentile_of(sorted(later - one for one, later in itertools.pairwise(pauses)), 0.5) or 0


def busy(run: Run) -> float:
    """The share of its life that the server's thread was awake; not counted how long it waited for a CPU after a wake-up."""
    return run.server.awake / run.server.wall


def looks_a_second(run: Run) -> float:
    """How many rounds of questions it made, each followed by a pause."""
    return sum(one.count for one in run.calls("clock_nanosleep")) / run.server.wall * 1e9


def lay_ready(run: Run) -> float:
    """How long data lay ready before the thread knew, in the median, ns."""
    return percentile_of(sorted(one.ready_to_notified for one in run.result.messages), 0.5) or 0


@LAB.check("the longer the pause, the less CPU", claims=("C20",))
def saves(run: Run) -> Finding:
    """The share of time that the thread was awake falls from a whole core to a few percent, with the number of its looks."""
    without = busy(run.case("no pause"))
    shares = {name: busy(run.case(name)) for name in PAUSES}
    looks = {name: looks_a_second(run.case(name)) for name in PAUSES}
    found = f"no pause: {without:.1%} awake"
    found += "".join(f", {name}: {shares[name]:.1%} awake ({looks[name]:,.0f} looks a second)" for name in PAUSES)
    # of a few percent each one theft of the CPU by the machine's host can be more than the difference; the looks are counted
    short, long = (looks[name] for name in PAUSES)
    return confirmed(found) if without > 0.9 and max(shares.values()) < 0.4 and 0 < long < short / 2 else failed(found)


@LAB.check("and the later the answer: half a pause, on average", claims=("C20",))
def costs(run: Run) -> Finding:
    """Data comes at any time, the look only at the end of a pause."""
    if min(len(run.case(name).result.messages) for name in PAUSES) < 20 or not run.result.context["traffic"]["gap_ms"]:
        return unavailable("20 messages at least, at any time, make an average: use --messages 20 and a --gap-ms")
    parts, shares = [], []
    for name in PAUSES:
        waited, between = lay_ready(run.case(name)), round_of(run.case(name))
        shares.append(waited / between if between else 0)
        parts.append(
            f"{name}: data lay ready for {ms(waited)}, {shares[-1]:.2f} of the {ms(between)} from one look to the next"
        )
    found = f"{'; '.join(parts)} (medians)"
    return confirmed(found) if all(0.25 < share < 0.9 for share in shares) else failed(found)


@LAB.check("select pays neither price", claims=("C20", "C28"))
def neither(run: Run) -> Finding:
    """Asleep until the packet itself wakes it: little CPU, and told at once. Who pauses is woken by the clock."""
    case, paused = run.case("select"), run.case("2 ms")
    if len(case.result.messages) < 20:
        return unavailable("20 messages at least make an average: use --messages 20")
    told, asked = wakers(case), wakers(paused)
    found = f"select: {busy(case):.1%} awake, {told['packet']} of {told.total()} wake-ups by a packet, woken"
    found += f" {ms(until_woken(case))} after the data was ready (median); with a pause of 2 ms: {busy(paused):.1%},"
    found += f" {asked['packet']} of {asked.total()}, {ms(until_woken(paused))}"
    by_packet = told["packet"] > 0.8 * told.total() and asked["packet"] < 0.1 * asked.total()
    at_once = until_woken(case) < 0.5 * until_woken(paused)
    return confirmed(found) if by_packet and at_once and busy(case) < 0.2 else failed(found)


def until_woken(run: Run) -> float:
    """From the data's readiness to the end of the sleep in which it came, in the median, ns: no slow CPU changes that."""
    ends = [
        sleep.woken - message.ready
        for message in run.result.messages
        for call in run.result.calls
        if call.enter <= message.ready <= call.exit
        for sleep in call.sleeps
        if sleep.off <= message.ready <= sleep.woken
    ]
    return percentile_of(sorted(ends), 0.5) or 0


def wakers(run: Run) -> Counter[str]:
    """How often the server's sleeps were ended by what."""
    return Counter(sleep.waker.chain[0] for call in run.result.calls for sleep in call.sleeps if sleep.waker)
