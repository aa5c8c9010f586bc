"""A classic mistake: a handler that takes its time, inside the event loop. Whose time does it take?"""

from findings import evidence
from findings.evidence import ms
from labs.kit.lab import Case, Finding, Lab, Run, confirmed, failed, unavailable
from labs.kit.traffic import Traffic
from servers.mistakes.slow_handler import HANDLING

LAB = Lab(
    model="epoll",
    chapter="Classic mistakes",
    question="What does one slow handler do to everybody else in an event loop?",
    watch="the sleeps of the loop's thread: in the broken server it sleeps for a timer, with others' data ready.",
    try_next=(
        "invoke lab selectors  the loop that dispatches: the Reactor",
        "invoke lab asyncio    the same trap, under await",
    ),
    reading=(
        "docs.python.org, asyncio: Running Blocking Code",
        "man 2 epoll_ctl (EPOLLONESHOT)",
        "D. C. Schmidt, Reactor",
    ),
    cases=(Case("broken", "mistakes.slow_handler:broken"), Case("mended", "mistakes.slow_handler:mended")),
    traffic=Traffic(clients=4, messages=15, gap_ms=25, jitter=0.5, slow=1),
)


def quick(run: Run) -> list[int]:
    """The round trips of the clients that asked for nothing slow, ns, sorted."""
    return sorted(back - sent for client in run.clients if not client.get("slow") for sent, back in client["exchanges"])


@LAB.check("one slow handler stalls every other connection", claims=("C38",))
def stalled(run: Run) -> Finding:
    """The loop's thread slept in the handler while others' data lay ready."""
    broken = run.case("broken")
    worst, lay = evidence.held_up(broken, "timer")
    trips = quick(broken)
    if not trips:
        return unavailable("1 client, and it is the slow one: use --clients 2 or more")
    late = sum(1 for one in trips if one > 0.2 * HANDLING * 1e9)
    found = (
        f"{late} of {len(trips)} quick requests waited, up to {ms(trips[-1])}; data lay ready for {ms(lay)}, for {ms(worst)}"
    )
    found += f" of which the loop's thread slept in a handler ({HANDLING * 1e3:.0f} ms each)"
    return confirmed(found) if late and worst > 0.3 * HANDLING * 1e9 else failed(found)


@LAB.check("handed to workers, it stalls nobody", claims=("C38",))
def handed_over(run: Run) -> Finding:
    """The loop's thread slept in epoll_wait only, and the quick requests were answered at once."""
    mended = run.case("mended")
    trips, own = quick(mended), mended.server.serial
    if not trips:
        return unavailable("1 client, and it is the slow one: use --clients 2 or more")
    held, stalled = (
        sum(1 for slept, _lay in evidence.held_ups(case, "timer") if slept > 0.3 * HANDLING * 1e9)
        for case in (mended, run.case("broken"))
    )
    elsewhere = [one for one in mended.result.calls if one.thread == own and any(s.queue == "timer" for s in one.sleeps)]
    late = sum(1 for one in trips if one > 0.2 * HANDLING * 1e9)
    found = f"{late} of {len(trips)} quick requests waited (the slowest {ms(trips[-1])});"
    found += f" the loop's thread slept {len(elsewhere)} times in a handler; {held} messages lay ready while the thread that"
    found += f" read them slept for another connection (in the loop: {stalled})"
    return confirmed(found) if not elsewhere and held < 0.5 * stalled else failed(found)
